/* SPDX-License-Identifier: MIT */
/*
 * bench.h - benchmarks that the kernel runs on itself when booted with the option `bench` (all) or `bench=NAME,NAME`. Of the
 * benchmark's kernel alone.
 *
 * Each prints one JSON object a line, {"name": ..., "insns": ...}. The numbers are differences of the time stamp counter: in
 * an emulator that counts instructions (-icount shift=0) they are retired instructions and the same on every run; anywhere
 * else they are cycles of some clock and say little.
 */
#pragma once
#include <module/pack.h>

/* Runs those that @names asks for ("" or NULL: all) on the modules that are loaded, and ends the machine: status 0, or 1 when
 * one could not be measured. Task context, core class. */
_Noreturn __attribute__((weak)) void hx_bench_run(const char *names, const struct hx_pack *pack);
