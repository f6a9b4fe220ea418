/* SPDX-License-Identifier: MIT */
/*
 * hang.h - calls of modules that do not end: found by the ticks that pass in them, and unwound like a fault.
 *
 * What counts is a scheduler tick that is delivered while the call is the innermost one of the running task: a task that
 * waits, is preempted or starved gets none, so it is not blamed for what others do. While the kernel works for the module
 * the call is only marked, and ends when the import returns (law 3).
 * Ticks need interrupts on. A processor that stands in a call and gets none is seen by another one, which sends it a
 * non-maskable interrupt each millisecond; each that finds it still there counts as a tick. A single processor that loops
 * with interrupts off is lost, and so are all that do so at the same time, when nobody is left.
 */
#pragma once
#include <gate/gate.h>

/*
 * Budgets in ticks of HX_TICK_NS, of which a call's frame counts up to 255.
 * sleepable: whole services; the dearest operations there are take a few milliseconds.
 * atomic:    while a policy chooses or an interrupt's handler runs, nobody else does on that processor; but it may wait for
 *            another processor's policy, and a virtual machine's processors stand still at times.
 * hooks:     load, save and check go over the whole state, up to megabytes.
 */
enum { HX_HANG_SLEEPABLE_TICKS = 100, HX_HANG_ATOMIC_TICKS = 250, HX_HANG_HOOK_TICKS = 250 };
enum {
    HX_HANG_LOOKS = 3,          /* that find a processor at the same place before it is probed */
    HX_HANG_PROBE_NS = 1000000, /* between two probes */
    HX_HANG_WATCH_NS = 5000000, /* between two looks of an idle processor at the busy ones */
    HX_HANG_LINGER_LOOKS = 200, /* of which it takes so many when there is no busy one, before it stops */
};

/* For hx_gate_policy: the return of an import finds the call of @frame marked. */
void hx_hang_ended(const struct hx_gate_frame *frame);
/* For hx_task_bind_idle(): this processor begins or stops to idle. Interrupts off. */
void hx_hang_idle_changed(bool idle);
/* A probe from another processor has come, in an NMI. */
void hx_hang_probed(struct hx_trap *trap);
