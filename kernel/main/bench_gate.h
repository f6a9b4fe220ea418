/* SPDX-License-Identifier: MIT */
/*
 * bench_gate.h - what a call through the gate costs those who make it: a function with much in its registers, and a module.
 * Of the benchmark's kernel alone.
 */
#pragma once
#include <module/pack.h>

/*
 * Instructions that each call of hx.kv's count costs more than a plain indirect call of it, by name: "gate_caller": from a
 * function with five values live across the call; "gate_module_stub": from a module (bench_stub.hxm in @pack), through its stub.
 * Returns NULL, or why it could not be measured. Task context, core class.
 */
HX_NODISCARD const char *hx_bench_gate(const char *name, const struct hx_pack *pack, uint64_t *out_insns);
