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
    hx_task_ring_init(&queue->waiters);
}

/* From the end: constant time among equals. */
static void insert(struct hx_waitq *queue, struct hx_task *task)
{
    struct hx_task_ring *before = queue->waiters.prev;
    while (before != &queue->waiters && HX_TASK_OF(before, wait_ring)->priority < task->priority)
        before = before->prev;
    hx_task_ring_insert_after(before, &task->wait_ring);
}

void hx_waitq_reorder(struct hx_task *task)
{
    struct hx_waitq *queue = task->waiting_on;
    if (!queue || task->state != HX_TASK_BLOCKED)
        return;
    hx_task_ring_remove(&task->wait_ring);
    insert(queue, task);
}

void hx_task_unwait(struct hx_task *task)
{
    if (task->waiting_on && task->state == HX_TASK_BLOCKED)
        hx_task_ring_remove(&task->wait_ring);
    task->waiting_on = NULL;
    if (task->timeout.armed)
        (void)hx_timer_disarm(&task->timeout);
}

void hx_task_wake(struct hx_task *task, hx_status_t result)
{
    hx_task_unwait(task);
    task->wait_result = result;
    (void)hx_sched_ready_woken(task);
}

/* @task is on a queue. It keeps in mind who woke it until it has run. Returns whether a switch is due. */
static inline __attribute__((always_inline)) bool wake_waiter(struct hx_task *task)
{
    hx_task_ring_remove(&task->wait_ring);
    if (hx_unlikely(task->timeout.armed))
        (void)hx_timer_disarm(&task->timeout);
    task->wait_result = HX_OK;
    return hx_sched_ready_woken(task);
}

static void timed_out(struct hx_timer *timer)
{
    hx_task_wake(TASK_OF_TIMEOUT(timer), HX_E_TIMEOUT);
}

/* What a quick task need not be asked. */
static hx_status_t may_wait(const struct hx_task *task)
{
    if (task->class == HX_TASK_IDLE)
        return HX_E_STATE;
    if (!task->kill_pending)
        return HX_OK;
    if (!hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    return HX_E_KILLED;
}

/* @heed is the task's, known or not; @queue NULL: not on any. */
static inline __attribute__((always_inline)) void stop(struct hx_task *task, struct hx_waitq *queue,
                                                       uint64_t deadline_ns, uint8_t heed)
{
    task->waiting_on = queue;
    if (queue && hx_likely(hx_task_ring_is_empty(&queue->waiters)))
        hx_task_ring_insert_after(&queue->waiters, &task->wait_ring);
    else if (queue)
        insert(queue, task);
    if (hx_unlikely(deadline_ns != UINT64_MAX))
        hx_timer_arm(&task->timeout, deadline_ns, timed_out);
    hx_sched_stop_waiting(task, queue ? HX_TASK_BLOCKED : HX_TASK_SLEEPING, heed);
    task->waiting_on = NULL;
}

hx_status_t hx_task_block(struct hx_waitq *queue, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    if (hx_cpu_read(preempt_off) || hx_cpu_read(irq_depth))
        return HX_E_STATE;
    if (task->heed & HX_TASK_SLOW) {
        hx_status_t err = may_wait(task);
        if (err != HX_OK)
            return err;
    }
    stop(task, queue, deadline_ns, task->heed);
    return task->wait_result;
}

/* hx_task_block() on a queue. Inline for one who has just woken another, as whoever passes something on has. */
static inline __attribute__((always_inline)) hx_status_t block(struct hx_waitq *queue, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    if (task->heed != HX_TASK_NEWS || (hx_cpu_read(preempt_off) | hx_cpu_read(irq_depth)) != 0)
        return hx_task_block(queue, deadline_ns);
    if (!queue)
        __builtin_unreachable();
    stop(task, queue, deadline_ns, HX_TASK_NEWS);
    return task->wait_result;
}

hx_status_t hx_waitq_wait(struct hx_waitq *queue, bool (*condition)(void *context), void *context, uint64_t deadline_ns)
{
    hx_irq_flags_t flags = hx_irq_save();
    if (hx_unlikely(condition(context)))
        goto out;
    do {
        hx_status_t err = block(queue, deadline_ns);
        if (hx_likely(err == HX_OK))
            continue;
        if (err == HX_E_TIMEOUT && condition(context))
            break;
        hx_irq_restore(flags);
        return err;
    } while (hx_unlikely(!condition(context)));
out:
    hx_irq_restore(flags);
    return HX_OK;
}

uint32_t hx_waitq_wake_one(struct hx_waitq *queue)
{
    bool due = false;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = hx_waitq_first(queue);
    if (hx_likely(task))
        due = wake_waiter(task);
    hx_irq_restore(flags);
    if (hx_unlikely(!task))
        return 0;
    if (hx_unlikely(due))
        hx_sched_point();
    return 1;
}

uint32_t hx_waitq_wake_all(struct hx_waitq *queue)
{
    uint32_t woken = 0;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task;
    while ((task = hx_waitq_first(queue))) {
        (void)wake_waiter(task);
        woken++;
    }
    hx_irq_restore(flags);
    if (woken)
        hx_sched_point();
    return woken;
}

void hx_waitq_pass_on(struct hx_waitq *queue)
{
    struct hx_task *next = hx_waitq_first(queue);
    if (next)
        (void)wake_waiter(next);
}

hx_status_t hx_task_sleep_until(uint64_t deadline_ns)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_status_t result = hx_task_block(NULL, deadline_ns);
    hx_irq_restore(flags);
    return result == HX_E_TIMEOUT ? HX_OK : result;
}
