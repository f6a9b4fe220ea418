/* SPDX-License-Identifier: MIT */
/*
 * handover.h - waiting, where a task is a thread: what channels need of the kernel's header of this name, by one mutex and a
 * condition variable a thread. See race_task.c.
 */
#pragma once
#include <hal/hx_lock.h>
#include <string.h>
#include <task/task.h>

#define hx_likely(condition) __builtin_expect(!!(condition), 1)
#define hx_unlikely(condition) __builtin_expect(!!(condition), 0)

bool hx_handover_is_idle(struct hx_waitq *queue);
struct hx_task *hx_handover_take(struct hx_waitq *queue);
void *hx_handover_place(const struct hx_task *task);
void hx_handover_wake(struct hx_task *task);
bool hx_handover_is_done(const struct hx_task *task);
void hx_handover_bind(bool (*take_back)(struct hx_waitq *queue, const void *place));
void hx_handover_refuse(struct hx_task *task, hx_status_t err);
hx_status_t hx_handover_wait_slowly(struct hx_waitq *queue, struct hx_lock *lock, void *place, uint64_t deadline_ns);
hx_status_t hx_handover_result(const struct hx_task *task);

static inline struct hx_task *hx_handover_take_simply(struct hx_waitq *queue)
{
    return hx_handover_take(queue);
}

static inline void hx_handover_wake_simply(struct hx_task *task)
{
    hx_handover_wake(task);
}

static inline bool hx_handover_wait_simply(struct hx_waitq *queue, struct hx_lock *lock, void *place,
                                           hx_irq_flags_t flags)
{
    (void)queue, (void)lock, (void)place, (void)flags;
    return false;
}

static inline void hx_handover_point(void)
{
}
