/* SPDX-License-Identifier: MIT */
/*
 * bench_part.h - what the measurements share, and the measurements: each file has those of its rooms, bench.c the table.
 *
 * May be used by: bench*.c.
 */
#pragma once
#include <module/module.h>
#include <module/pack.h>

enum { HX_BENCH_ROUNDS = 10000, HX_BENCH_SWITCHES = 2000 };

extern const struct hx_pack *hx_bench_pack; /* the initrd */

/* One figure, as a line of JSON. */
void hx_bench_report(const char *name, uint64_t insns);
/* Says why @name was not measured; HX_E_FAILED. */
hx_status_t hx_bench_complain(const char *name, const char *why);
/* Loads @file, has it measured, and unloads it. */
hx_status_t hx_bench_with_module(const char *name, const char *file,
                                 hx_status_t (*measure)(const char *name, const struct hx_module *module));

/* Two tasks that take turns: one of them notes when the counting starts and ends, each says when it is done. */
extern struct hx_bench_pair {
    struct hx_waitq ping, pong, finished;
    uint32_t turn, done;
    uint64_t start, end;
} hx_bench_pair;
/* Runs @body(NULL) and @body((void *)1), of the policy's class, until both are done. */
hx_status_t hx_bench_pair_run(const char *name, hx_status_t (*body)(void *));

/* Each measures and reports what the table calls @name. Task context, core class. */
hx_status_t hx_bench_gate_overhead(const char *name);
hx_status_t hx_bench_gate_caller(const char *name);
hx_status_t hx_bench_gate_stub(const char *name);
hx_status_t hx_bench_capability_check(const char *name);
hx_status_t hx_bench_context_switch(const char *name);
hx_status_t hx_bench_wake_round_trip(const char *name);
hx_status_t hx_bench_create_join(const char *name);
hx_status_t hx_bench_channel_self(const char *name);
hx_status_t hx_bench_channel_pair(const char *name);
hx_status_t hx_bench_event_publish(const char *name);
hx_status_t hx_bench_router_request(const char *name);
hx_status_t hx_bench_kv_put(const char *name);
hx_status_t hx_bench_grant(const char *name);
hx_status_t hx_bench_interrupt(const char *name);
hx_status_t hx_bench_self_ipi(const char *name);
hx_status_t hx_bench_load(const char *name);
hx_status_t hx_bench_reloc_1000(const char *name);
hx_status_t hx_bench_reloc_20000(const char *name);
hx_status_t hx_bench_import(const char *name);
hx_status_t hx_bench_swap_sched(const char *name);
hx_status_t hx_bench_swap_kv(const char *name);
hx_status_t hx_bench_swap_rtc(const char *name);
