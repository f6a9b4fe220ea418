/* SPDX-License-Identifier: MIT */
/*
 * handover.h - waiting for something that is handed over: for rooms that keep what is waited for under a lock of their own.
 *
 * Who finds nothing queues with that lock held, and says where he wants it: so whoever has something to give, and the lock,
 * sees him, puts it there and wakes him; it is his without his looking again. A wake, a deadline or a kill takes him off the
 * queue, whichever comes first, and from being taken to being woken nothing ends him: so his place, on his stack perhaps, may
 * be written. One who is killed when it stands there, and has not seen it, is as one who was killed before: the room gets it
 * back.
 *
 * Inline, because it is most of what a message costs. All functions: the room's lock held, if not said otherwise.
 */
#pragma once
#include "schedule.h"
#include "waitq.h"

#include <hal/hx_lock.h>

/* Whether it is certain that nobody waits on @queue. */
static inline bool hx_handover_is_idle(const struct hx_waitq *queue)
{
    return __atomic_load_n(&queue->waiters.next, __ATOMIC_RELAXED) == &queue->waiters;
}

/* The first of those who wait; NULL: nobody does. He is to be woken by one of the next two. */
static inline struct hx_task *hx_handover_take(struct hx_waitq *queue)
{
    struct hx_task_ring *first = hx_waitq_try_lock(queue);
    if (hx_unlikely(first == HX_WAITQ_LOCKED || first == &queue->waiters))
        return hx_waitq_take_locked(queue, first);
    return hx_waitq_take_first(queue, first);
}

/* Where what he waits for is put; it is aligned. */
static inline void *hx_handover_place(const struct hx_task *task)
{
    return task->place;
}

/* In `place`, when it stands there. */
enum { HX_HANDOVER_DONE = 1 };
static inline bool hx_handover_is_done(const struct hx_task *task)
{
    return (uintptr_t)task->place & HX_HANDOVER_DONE;
}
static inline void hx_handover_done(struct hx_task *task)
{
    task->place = (void *)((uintptr_t)task->place | HX_HANDOVER_DONE);
}

/* He has got it. */
static inline void hx_handover_wake(struct hx_task *task)
{
    hx_handover_done(task);
    hx_waitq_wake_taken(task, HX_OK);
}

/* He gets @err instead; HX_OK: nothing, he is to look for himself. */
static inline void hx_handover_refuse(struct hx_task *task, hx_status_t err)
{
    hx_waitq_wake_taken(task, err);
}

/*
 * The two for the usual: he is of this CPU, waits without a deadline, and the policy need not hear of him yet. Then nobody else
 * takes him off, as long as interrupts are off, and only the queue's own lock may be in the way; no switch becomes due. NULL:
 * it is otherwise, and nothing was done.
 */
static inline struct hx_task *hx_handover_take_simply(struct hx_waitq *queue)
{
    struct hx_task_ring *first = hx_waitq_try_lock(queue);
    struct hx_task *task = HX_TASK_OF(first, wait_ring);
    if (hx_unlikely(first == HX_WAITQ_LOCKED))
        return NULL;
    if (hx_likely(first != &queue->waiters) && hx_likely(hx_sched_may_tell_later(task)) &&
        hx_likely(!task->timeout.armed)) {
        hx_waitq_unlock(queue, hx_waitq_take_out(queue, first, first));
        return task;
    }
    hx_waitq_unlock(queue, first);
    return NULL;
}
static inline void hx_handover_wake_simply(struct hx_task *task)
{
    hx_handover_done(task);
    hx_sched_tell_later(task);
}

/*
 * Waits on @queue, where @lock is held and given back, interrupts off before and after. HX_OK: it is at @place; HX_E_EMPTY: it
 * is to be looked again; what he was refused with; HX_E_TIMEOUT, HX_E_KILLED, HX_E_STATE as hx_waitq_wait().
 */
HX_NODISCARD hx_status_t hx_handover_wait_slowly(struct hx_waitq *queue, struct hx_lock *lock, void *place,
                                                 uint64_t deadline_ns);
/* Of one that has waited: the same. */
hx_status_t hx_handover_result(const struct hx_task *task);

/*
 * The same where the caller has just woken somebody, who then is asked for next, and waits for ever. Returns false with the
 * lock held where it is otherwise; else with interrupts on, and hx_handover_is_done() or hx_handover_result() tells.
 * @flags: whether interrupts were on.
 */
static inline __attribute__((always_inline)) HX_NODISCARD bool hx_handover_wait_simply(struct hx_waitq *queue,
                                                                                       struct hx_lock *lock,
                                                                                       void *place,
                                                                                       hx_irq_flags_t flags)
{
    struct hx_task *task = hx_task_current();
    if (hx_unlikely(task->heed != HX_TASK_NEWS) || hx_unlikely(!hx_cpu_is_thread()) ||
        hx_unlikely(!hx_irq_was_enabled(flags)))
        return false;
    struct hx_task_ring *first = hx_waitq_try_lock(queue);
    if (hx_unlikely(first == HX_WAITQ_LOCKED))
        return false;
    task->place = place;
    task->waiting_on = queue;
    hx_waitq_unlock(queue, hx_waitq_insert(queue, first, task));
    hx_lock_release(lock, 0);
    hx_sched_stop_waiting(task, HX_TASK_BLOCKED, HX_TASK_NEWS);
    task->waiting_on = NULL;
    hx_irq_enable();
    return true;
}

/*
 * @take_back is told of what was put at @place for one who waited on @queue and was killed before he saw it: no lock is held,
 * interrupts are off, and @place is gone when it returns. False: @queue is none of its, or what is there is not to be given
 * back. Bound once.
 */
void hx_handover_bind(bool (*take_back)(struct hx_waitq *queue, const void *place));

/* After waking somebody, with no lock held and interrupts as they were: switches, when that is due. */
static inline void hx_handover_point(void)
{
    hx_sched_point();
}
