/* SPDX-License-Identifier: MIT */
/*
 * waitq.h - a wait queue from inside: what waitq.c and handover.h share. Not for others. Interrupts off.
 */
#pragma once
#include "schedule.h"

#include <hal/hx_lock.h>

#define HX_WAITQ_LOCKED ((struct hx_task_ring *)1)

static inline struct hx_task_ring *hx_waitq_try_lock(struct hx_waitq *queue)
{
    if (HX_CHECKS && hx_cpu_read(lock_rank) >= HX_RANK_WAITQ)
        __builtin_trap(); /* out of order */
    return __atomic_exchange_n(&queue->waiters.next, HX_WAITQ_LOCKED, __ATOMIC_SEQ_CST);
}

/* Returns the first member, or the queue's own ring, however long that takes. */
struct hx_task_ring *hx_waitq_lock(struct hx_waitq *queue);

static inline void hx_waitq_unlock(struct hx_waitq *queue, struct hx_task_ring *first)
{
    __atomic_store_n(&queue->waiters.next, first, __ATOMIC_RELEASE);
}

/* The next two: locked. They return who is the first now; the queue's own ring stands for it meanwhile. */
static inline struct hx_task_ring *hx_waitq_insert(struct hx_waitq *queue, struct hx_task_ring *first,
                                                   struct hx_task *task)
{
    struct hx_task_ring *head = &queue->waiters, *before = head->prev;
    /* From the end: constant time among equals. */
    while (hx_unlikely(before != head) && HX_TASK_OF(before, wait_ring)->priority < task->priority)
        before = before->prev;
    if (hx_unlikely(before != head)) {
        hx_task_ring_insert_after(before, &task->wait_ring);
        return first;
    }
    task->wait_ring.next = first;
    task->wait_ring.prev = head;
    first->prev = &task->wait_ring;
    return &task->wait_ring;
}

static inline struct hx_task_ring *hx_waitq_take_out(struct hx_waitq *queue, struct hx_task_ring *first,
                                                     struct hx_task_ring *member)
{
    if (hx_unlikely(member != first)) {
        hx_task_ring_remove(member);
        return first;
    }
    struct hx_task_ring *next = member->next;
    next->prev = &queue->waiters;
    return next;
}

static inline void hx_waitq_enter(struct hx_waitq *queue, struct hx_task *task)
{
    task->waiting_on = queue;
    struct hx_task_ring *first = hx_waitq_try_lock(queue);
    if (hx_unlikely(first == HX_WAITQ_LOCKED))
        first = hx_waitq_lock(queue);
    hx_waitq_unlock(queue, hx_waitq_insert(queue, first, task));
}

/* @queue is locked, and @first its first member. */
static inline struct hx_task *hx_waitq_take_first(struct hx_waitq *queue, struct hx_task_ring *first)
{
    struct hx_task *task = HX_TASK_OF(first, wait_ring);
    struct hx_task_ring *next = hx_waitq_take_out(queue, first, first);
    if (task->cpu != hx_cpu_read(id))
        task->wait_ring.next = NULL;
    hx_waitq_unlock(queue, next);
    return task;
}

/* @task, which is here and was woken by @queue (NULL: by none), will not see what was handed to it: the room that had it gets it
 * back, and the wait has failed. False: nothing was, or it is left. */
bool hx_handover_undo(struct hx_task *task, struct hx_waitq *queue);

/* What follows, when trying has not been enough: @first is what it yielded. */
struct hx_task *hx_waitq_take_locked(struct hx_waitq *queue, struct hx_task_ring *first);
