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
