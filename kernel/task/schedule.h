/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - what the files of this room owe each other. Not for other rooms.
 *
 * All functions: interrupts off on entry and on return, if not said otherwise.
 */
#pragma once
#include "task.h"

#include <gate/gate.h>

#define hx_likely(condition) __builtin_expect(!!(condition), 1)
#define hx_unlikely(condition) __builtin_expect(!!(condition), 0)

/* This CPU's instance of an HX_PERCPU variable. */
#define HX_THIS_CPU(variable)                                                                                          \
    ((__typeof__(&(variable)))((uintptr_t)hx_cpu_read(self) + ((uintptr_t) & (variable) - (uintptr_t)&hx_cpu)))

/* ---- task.c: the table ---------------------------------------------------------------------------------------------- */
extern struct hx_task hx_task_nobody; /* in the unused entries; its handle is nobody's */
extern struct hx_task *hx_task_table[HX_TASKS_MAX];
_Static_assert((HX_TASKS_MAX & (HX_TASKS_MAX - 1)) == 0, "an index is cut by a mask");

/* NULL for anything that is not the handle of a live task, errors included: a handle holds its index uncut. */
static inline struct hx_task *hx_task_lookup(hx_handle_t handle)
{
    struct hx_task *task = hx_task_table[handle & (HX_TASKS_MAX - 1)];
    return hx_likely(task->handle == handle) ? task : NULL;
}
/* Gives @task a handle. HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_task_enter(struct hx_task *task);
/* Releases the memory of a task that is dead and does not run. */
void hx_task_free(struct hx_task *task);
void hx_task_start(void *task); /* first function on a new task's stack; interrupts on */

/* ---- waitq.c: waiting ----------------------------------------------------------------------------------------------- */
/*
 * The running task waits, on @queue or (NULL) for the deadline alone. Returns what hx_task_wake() was given, HX_E_TIMEOUT,
 * HX_E_KILLED, HX_E_STATE; does not return for a task that was killed outside every module.
 */
HX_NODISCARD hx_status_t hx_task_block(struct hx_waitq *queue, uint64_t deadline_ns);
/* Takes @task out of its queue and timer. */
void hx_task_unwait(struct hx_task *task);
/* @task, which waits, becomes ready. */
void hx_task_wake(struct hx_task *task, hx_status_t result);
/* @task's priority has changed: puts it where it belongs, if it is on a queue. */
void hx_waitq_reorder(struct hx_task *task);

/* ---- sched.c -------------------------------------------------------------------------------------------------------- */
void hx_sched_init(void);
/* The idle task of this CPU. */
struct hx_task *hx_sched_idle_task(void);
/* @task has become ready for @news (HX_SCHED_NEW, HX_SCHED_WOKEN): into the lists, and a switch is due. */
void hx_sched_ready_add(struct hx_task *task, enum hx_sched_reason news);
/* @task, which does not run, is about to be dead: out of every list. Returns whether the policy may have it queued. */
bool hx_sched_ready_remove(struct hx_task *task);
/* The running task waits, @state says how. Returns when it runs again. */
void hx_sched_stop_waiting(struct hx_task *task, enum hx_task_state state);
/* The running task is dead; its memory is released by whoever runs next. */
_Noreturn void hx_sched_stop_dead(struct hx_task *task);
/* Releases the memory of the task that exited last, if that has not happened. */
void hx_sched_reap(void);
/* Switches when that is due and this is a thread that may be preempted. Interrupts as they are: off means no. */
void hx_sched_point(void);
/* Tells the policy, when there is one. Thread context, interrupts on, preemption off. */
void hx_sched_tell_removed(hx_handle_t task);
void hx_sched_tell_priority(hx_handle_t task, uint8_t priority);
/* @task's priority has changed: puts it where it belongs. */
void hx_sched_reorder(struct hx_task *task);

/* ---- policy.c ------------------------------------------------------------------------------------------------------- */
/* Why the picked task does not run: one of enum hx_sched_reason, or this: a core task came first. */
enum { HX_SCHED_INTERRUPTED = HX_SCHED_EXIT + 1 };

/* What a CPU knows of its ready tasks and of what its policy knows: see policy.c. */
struct hx_sched_book {
    struct hx_task_list core;   /* ready, by priority, first come first within one */
    struct hx_task_list policy; /* ready and running, first come first; those that the core chose go to the end */
    struct hx_task_list inbox;
    struct hx_task *picked;
    hx_handle_t running;
    uint64_t stop;   /* of the picked task */
    uint64_t ran_ns; /* by the task that the policy picked last, before it was last started; 0 while a quick one runs */
    struct hx_task *dead;  /* exited, to be reaped */
    struct hx_timer slice; /* runs on freely while policy tasks run, so that a switch need not touch it */
    bool tick_due;
    struct hx_task *starved; /* gets its turn, compared by address alone */
    uint64_t slow_switches;
    uint64_t gone_switches; /* of tasks that are no more */
    struct hx_sched_stats stats;
    struct hx_task idle;
};

extern struct hx_sched_book hx_sched_book_template;
extern const struct hx_slot_info *hx_sched_slot;

static inline struct hx_sched_book *hx_sched_book(void)
{
    return HX_THIS_CPU(hx_sched_book_template);
}

static inline bool hx_sched_is_open(void)
{
    return hx_likely(hx_sched_slot->state == HX_SLOT_OPEN);
}

/* The policy class's part of hx_sched_ready_add() and hx_sched_ready_remove(). */
void hx_sched_policy_add(struct hx_sched_book *book, struct hx_task *task, enum hx_sched_reason news);
bool hx_sched_policy_remove(struct hx_sched_book *book, struct hx_task *task);
/* A policy task to run, ready and picked, or NULL. */
struct hx_task *hx_sched_choose_policy(struct hx_sched_book *book, uint64_t now_ns);
/* The policy was asked, and so told that the running task has stopped; @prev is that where it is still ready, else NULL.
 * Returns what follows from its answer, picked. */
struct hx_task *hx_sched_answered(struct hx_sched_book *book, struct hx_task *prev, hx_ret_t answer, uint64_t now_ns);
/* Whether the policy task that runs should be replaced by another policy task. */
bool hx_sched_policy_wants(struct hx_sched_book *book, struct hx_task *task);
