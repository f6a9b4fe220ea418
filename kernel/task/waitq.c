/* SPDX-License-Identifier: MIT */
/*
 * waitq.c - waiting: for an event, for a time, for both.
 *
 * A task that waits is on at most one queue and has at most one timer armed; whoever comes first, a wake, the timer or a
 * kill, takes it out of both and says by wait_result which it was.
 * Locks: none; a queue is used on one CPU, with interrupts off.
 */
#include "schedule.h"

#define TASK_OF_TIMEOUT(timer) ((struct hx_task *)((char *)(timer)-offsetof(struct hx_task, timeout)))

void hx_waitq_init(struct hx_waitq *queue)
{
    TAILQ_INIT(&queue->waiters);
}

/* From the end: constant time among equals. */
static inline void insert(struct hx_waitq *queue, struct hx_task *task)
{
    struct hx_task *before;
    TAILQ_FOREACH_REVERSE(before, &queue->waiters, hx_task_list, wait_link)
        if (before->priority >= task->priority)
            break;
    if (before)
        TAILQ_INSERT_AFTER(&queue->waiters, before, task, wait_link);
    else
        TAILQ_INSERT_HEAD(&queue->waiters, task, wait_link);
    task->waiting_on = queue;
}

void hx_waitq_reorder(struct hx_task *task)
{
    struct hx_waitq *queue = task->waiting_on;
    if (!queue)
        return;
    TAILQ_REMOVE(&queue->waiters, task, wait_link);
    insert(queue, task);
}

void hx_task_unwait(struct hx_task *task)
{
    if (task->waiting_on)
        TAILQ_REMOVE(&task->waiting_on->waiters, task, wait_link);
    task->waiting_on = NULL;
    if (task->timeout.armed)
        (void)hx_timer_disarm(&task->timeout);
}

void hx_task_wake(struct hx_task *task, hx_status_t result)
{
    hx_task_unwait(task);
    task->wait_result = result;
    hx_sched_ready_add(task, HX_SCHED_WOKEN);
}

static void timed_out(struct hx_timer *timer)
{
    hx_task_wake(TASK_OF_TIMEOUT(timer), HX_E_TIMEOUT);
}

static bool may_wait(const struct hx_task *task)
{
    return !hx_cpu_read(preempt_off) && !hx_cpu_read(irq_depth) && task->class != HX_TASK_IDLE;
}

static inline __attribute__((always_inline)) hx_status_t block(struct hx_waitq *queue, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    if (!may_wait(task))
        return HX_E_STATE;
    if (hx_unlikely(task->kill_pending)) {
        if (!hx_gate_frame())
            hx_task_exit(HX_E_KILLED);
        return HX_E_KILLED;
    }
    if (queue)
        insert(queue, task);
    if (deadline_ns != UINT64_MAX)
        hx_timer_arm(&task->timeout, deadline_ns, timed_out);
    hx_sched_stop_waiting(task, queue ? HX_TASK_BLOCKED : HX_TASK_SLEEPING);
    return task->wait_result;
}

hx_status_t hx_task_block(struct hx_waitq *queue, uint64_t deadline_ns)
{
    return block(queue, deadline_ns);
}

hx_status_t hx_waitq_wait(struct hx_waitq *queue, bool (*condition)(void *context), void *context, uint64_t deadline_ns)
{
    hx_status_t result = HX_OK;
    hx_irq_flags_t flags = hx_irq_save();
    while (!condition(context)) {
        result = block(queue, deadline_ns);
        if (result == HX_OK)
            continue;
        if (result == HX_E_TIMEOUT && condition(context))
            result = HX_OK;
        break;
    }
    hx_irq_restore(flags);
    return result;
}

static uint32_t wake(struct hx_waitq *queue, uint32_t most)
{
    uint32_t woken = 0;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task;
    while (woken < most && (task = TAILQ_FIRST(&queue->waiters))) {
        hx_task_wake(task, HX_OK);
        woken++;
    }
    hx_irq_restore(flags);
    if (woken)
        hx_sched_point();
    return woken;
}

uint32_t hx_waitq_wake_one(struct hx_waitq *queue)
{
    return wake(queue, 1);
}

uint32_t hx_waitq_wake_all(struct hx_waitq *queue)
{
    return wake(queue, UINT32_MAX);
}

hx_status_t hx_task_sleep_until(uint64_t deadline_ns)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_status_t result = hx_task_block(NULL, deadline_ns);
    hx_irq_restore(flags);
    return result == HX_E_TIMEOUT ? HX_OK : result;
}
