/* SPDX-License-Identifier: MIT */
/*
 * sched.h - hx.sched: the policy that says which task runs next.
 *
 * The kernel owns tasks, switching, wait queues and time, and decides on which CPU a task is; a policy only orders handles,
 * for each CPU by itself. Every operation runs on the CPU it speaks of, non-preemptible, with interrupts on, and never nested
 * there; those of different CPUs run at the same time. So what a policy keeps for a CPU (its queue), and for a task that is
 * on it, needs no lock; what it keeps for all of them together does, or an atomic. An operation may not sleep. The kernel
 * checks each answer: a task that is not ready or is elsewhere, or HX_HANDLE_NONE while one is ready, is a wrong answer,
 * which is counted and replaced by the kernel's own first-in-first-out choice for that one decision. Sixteen within a second on
 * one CPU are a fault of the policy's.
 *
 * Slot: atomic. Context: thread, preemption off.
 */
#pragma once
#ifndef __ASSEMBLER__ /* assembly takes the list of operations alone */
#include <helix/interface.h>
#endif

#define HX_SCHED_VERSION_1_0 HX_VERSION(1, 0, 0)
#define HX_SCHED_VERSION_1_2                                                                                           \
    HX_VERSION(1, 2, 0) /* knows of more than one CPU; a machine that has them takes no older one */
#define HX_SCHED_VERSION HX_VERSION(1, 3, 0)

/*
 * In `ready`, `pick` and `turn`, `reason` holds two things: HX_SCHED_WHY(reason) is one of enum hx_sched_reason, and
 * HX_SCHED_CPU(reason) the CPU that is spoken of, below HX_CPUS_MAX. A task is on the CPU by which it was last heard of; one
 * that goes to another is removed here before it is reported ready there, WOKEN.
 *
 * ready:  `task` (its handle) with `priority` 0..255 has become ready on this CPU, for `reason`. The policy queues it.
 *         Returns HX_SCHED_REPLACE when it should replace the running task at once, HX_SCHED_STAY when not, or
 *         HX_SCHED_LATER: not, and of the next one that wakes while some task runs, at no higher a priority than that
 *         task's, it is enough to hear when that task stops, or at its next tick, before anything else is asked. This holds
 *         until `ready` answers otherwise.
 * pick:   `prev` (HX_HANDLE_NONE after idling) ran for `ran_ns` and stops for `reason`; on PREEMPT and YIELD it is to be
 *         queued again. Returns the handle to run next, taken off the queue, or HX_HANDLE_NONE. `now_ns` is time since
 *         boot.
 * tick:   the running `task` has run for `ran_ns` since it was picked. Returns 1 when it should be replaced, else 0.
 * remove: ready `task` leaves the queue unpicked: it was killed, or the kernel runs it by its own choice (then adjust
 *         follows). Or it was killed while it waited; or it ran and is gone, and its index is about to be reported NEW: then
 *         this stands for EXIT. The policy forgets it, its accounting excepted, until it exits or its index is another's.
 * adjust: `task`'s priority is `priority` from now on.
 *
 * After a revert a policy has the beliefs of an earlier moment, and is told again: `ready`, or a requeue in `pick`, of a task
 * that is queued already leaves it queued once; `remove` of a task that is unknown or not queued is harmless.
 *
 * info:   writes one line of text about `task` (what the policy holds on it) to `text`, not NUL-terminated. Returns the
 *         length. Unknown task: HX_E_NOENT. For a person: it may be asked on another CPU than the task's, so it only looks,
 *         and may see a moment between two.
 * turn:   what `ready` may hear later, together with the question: first ready(`woken`, `priority`, HX_SCHED_WOKEN), then
 *         pick(`prev`, `reason`, `ran_ns`, `now_ns`), whose answer it returns. `prev` is a task and not `woken`. A policy
 *         without it gets the two calls.
 * reserve: `task` is to run for `runtime_ns` in every `period_ns`, each time within `deadline_ns` of the period's begin; three
 *         times 0 gives that back. HX_E_LIMIT: with what is promised to others on this CPU that cannot be kept. A reservation
 *         goes with its task, to other CPUs and into other policies as far as they keep such promises.
 */
#define HX_SCHED_OPS_1_0(OP)                                                                                           \
    OP(hx_sched, 0, ready, HX_VAL(task), HX_VAL(priority), HX_VAL(reason))                                             \
    OP(hx_sched, 1, pick, HX_VAL(prev), HX_VAL(reason), HX_VAL(ran_ns), HX_VAL(now_ns))                                \
    OP(hx_sched, 2, tick, HX_VAL(task), HX_VAL(ran_ns))                                                                \
    OP(hx_sched, 3, remove, HX_VAL(task))                                                                              \
    OP(hx_sched, 4, adjust, HX_VAL(task), HX_VAL(priority))                                                            \
    OP(hx_sched, 5, info, HX_VAL(task), HX_OUT(text))
#define HX_SCHED_OPS_1_2(OP)                                                                                           \
    HX_SCHED_OPS_1_0(OP)                                                                                               \
    OP(hx_sched, 6, turn, HX_VAL(prev), HX_VAL(reason), HX_VAL(ran_ns), HX_VAL(now_ns), HX_VAL(woken), HX_VAL(priority))
#define HX_SCHED_OPS(OP)                                                                                               \
    HX_SCHED_OPS_1_2(OP)                                                                                               \
    OP(hx_sched, 7, reserve, HX_VAL(task), HX_VAL(runtime_ns), HX_VAL(period_ns), HX_VAL(deadline_ns))

#ifndef __ASSEMBLER__
#define HX_SCHED_WHY(reason) ((uint8_t)(reason))
#define HX_SCHED_CPU(reason) ((uint32_t)((reason) >> 8))

/* Why a task is reported ready, and why the previous task is up for replacement. */
enum hx_sched_reason {
    HX_SCHED_NEW = 0,     /* ready: created */
    HX_SCHED_WOKEN = 1,   /* ready: was blocked or asleep */
    HX_SCHED_PREEMPT = 2, /* pick: prev is still ready, its slice ended or something better woke */
    HX_SCHED_YIELD = 3,   /* pick: prev is still ready and gave way */
    HX_SCHED_BLOCK = 4,   /* pick: prev is not ready any more */
    HX_SCHED_EXIT = 5,    /* pick: prev is gone; its handle is stale from now on */
};

/* What ready answers. */
enum hx_sched_answer {
    HX_SCHED_STAY = 0,
    HX_SCHED_REPLACE = 1,
    HX_SCHED_LATER = 2,
};

HX_INTERFACE(hx_sched, HX_SCHED_VERSION, HX_SCHED_OPS)

/*
 * The common language of policies: state fields that every policy saves under these names, so that any policy can take
 * over from any other. A policy that keeps more saves it under names of its own; one that loads ignores what it does not
 * know. Arrays by index may end after the highest index in use. "ready" and "waiting" are always there, if empty; the
 * others need not be.
 */
#define HX_SCHED_STATE_READY "ready" /* hx_handle_t[n]: ready tasks, on each CPU next to run first; no running task */
#define HX_SCHED_STATE_WAITING "waiting"   /* hx_handle_t[n]: the other tasks that the policy knows, in any order */
#define HX_SCHED_STATE_CPU "cpu"           /* hx_u8[up to HX_TASKS_MAX] by index: where it is; missing: all on CPU 0 */
#define HX_SCHED_STATE_PRIORITY "priority" /* hx_u8[up to HX_TASKS_MAX] by index of the task's handle */
#define HX_SCHED_STATE_RUNTIME "runtime"   /* hx_u64[up to HX_TASKS_MAX] by index: nanoseconds run */
#define HX_SCHED_STATE_PICKS "picks"       /* hx_u32[up to HX_TASKS_MAX] by index: how often it was chosen, wraps */
#endif
