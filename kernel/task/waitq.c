/* SPDX-License-Identifier: MIT */
/*
 * waitq.c - waiting: for an event, for a time, for both.
 *
 * A task that waits is on at most one queue and has at most one timer armed; whoever comes first, a wake, the timer or a
 * kill, takes it off the queue and says by wait_result which it was. The timer and the kill come on the task's own CPU. A
 * wake may come on another: it takes the task off, says so by wait_ring.next = NULL, and posts it to its CPU; until it gets
 * there the task is nobody else's. So is one that is woken together with others, until its turn comes.
 *
 * Lock: a queue's pointer to its first member. Who exchanges it for LOCKED and gets something else has the queue, and gives it
 * back with one store; so it costs little more than reading it. Held for a few instructions, interrupts off, and no other
 * lock is taken meanwhile (rank HX_RANK_WAITQ).
 * Order: a waiter queues, which is an exchange, and then evaluates its condition; who wakes makes it true, and then takes the
 *        lock. One of the two exchanges comes first: so either the waiter sees the condition, or is seen on the queue.
 */
#include "handover.h"

#define TASK_OF_TIMEOUT(timer) ((struct hx_task *)((char *)(timer)-offsetof(struct hx_task, timeout)))

static bool (*take_back)(struct hx_waitq *queue, const void *place);

void hx_handover_bind(bool (*given)(struct hx_waitq *queue, const void *place))
{
    __atomic_store_n(&take_back, given, __ATOMIC_RELEASE);
}

/* ---- the queue ------------------------------------------------------------------------------------------------------ */
void hx_waitq_init(struct hx_waitq *queue)
{
    hx_task_ring_init(&queue->waiters);
}

struct hx_task_ring *hx_waitq_lock(struct hx_waitq *queue)
{
    struct hx_task_ring *first;
    while (hx_unlikely((first = hx_waitq_try_lock(queue)) == HX_WAITQ_LOCKED))
        hx_hal_lock_wait();
    return first;
}

/* @task is on this CPU. False: another CPU has taken it off. */
static bool leave(struct hx_waitq *queue, struct hx_task *task)
{
    struct hx_task_ring *first = hx_waitq_lock(queue);
    bool on_it = task->wait_ring.next != NULL;
    if (on_it)
        first = hx_waitq_take_out(queue, first, &task->wait_ring);
    hx_waitq_unlock(queue, first);
    return on_it;
}

struct hx_task *hx_waitq_take_locked(struct hx_waitq *queue, struct hx_task_ring *first)
{
    if (first == HX_WAITQ_LOCKED)
        first = hx_waitq_lock(queue);
    if (first != &queue->waiters)
        return hx_waitq_take_first(queue, first);
    hx_waitq_unlock(queue, first);
    return NULL;
}

struct hx_task *hx_waitq_take(struct hx_waitq *queue)
{
    return hx_waitq_take_locked(queue, hx_waitq_lock(queue));
}

uint32_t hx_waitq_count(struct hx_waitq *queue)
{
    uint32_t count = 0;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task_ring *first = hx_waitq_lock(queue);
    for (const struct hx_task_ring *at = first; at != &queue->waiters; at = at->next)
        count++;
    hx_waitq_unlock(queue, first);
    hx_irq_restore(flags);
    return count;
}

/* In one go: who wakes meanwhile must not find the queue without it. */
void hx_waitq_reorder(struct hx_task *task, uint8_t priority)
{
    struct hx_waitq *queue = task->state == HX_TASK_BLOCKED ? task->waiting_on : NULL;
    if (!queue) {
        task->priority = priority;
        return;
    }
    struct hx_task_ring *first = hx_waitq_lock(queue);
    task->priority = priority;
    if (task->wait_ring.next)
        first = hx_waitq_insert(queue, hx_waitq_take_out(queue, first, &task->wait_ring), task);
    hx_waitq_unlock(queue, first);
}

uint8_t hx_waitq_priority(struct hx_waitq *queue)
{
    struct hx_task_ring *first = hx_waitq_lock(queue);
    uint8_t priority = first == &queue->waiters ? 0 : HX_TASK_OF(first, wait_ring)->priority;
    hx_waitq_unlock(queue, first);
    return priority;
}

/* ---- waking --------------------------------------------------------------------------------------------------------- */
bool hx_task_unwait(struct hx_task *task)
{
    if (task->waiting_on && task->state == HX_TASK_BLOCKED && !leave(task->waiting_on, task))
        return false;
    task->waiting_on = NULL;
    if (task->timeout.armed)
        (void)hx_timer_disarm(&task->timeout);
    return true;
}

/* @task is here. */
static void wake_here(struct hx_task *task)
{
    if (task->timeout.armed)
        (void)hx_timer_disarm(&task->timeout);
    if (hx_sched_may_tell_later(task))
        hx_sched_tell_later(task);
    else
        hx_sched_ready_add(task, HX_SCHED_WOKEN);
}

void hx_waitq_wake_taken(struct hx_task *task, hx_status_t result)
{
    task->wait_result = result; /* it keeps in mind who woke it until it has run */
    if (task->cpu == hx_cpu_read(id))
        wake_here(task);
    else
        hx_sched_post(task);
}

void hx_task_wake_posted(struct hx_task *task)
{
    if (hx_unlikely(task->kill_pending))
        (void)hx_handover_undo(task, task->waiting_on);
    wake_here(task);
}

static void timed_out(struct hx_timer *timer)
{
    struct hx_task *task = TASK_OF_TIMEOUT(timer);
    if (!hx_task_unwait(task))
        return;
    task->wait_result = HX_E_TIMEOUT;
    wake_here(task);
}

/* Interrupts off; @first is what the lock was exchanged for. */
static __attribute__((noinline)) uint32_t wake_one_slowly(struct hx_waitq *queue, struct hx_task_ring *first,
                                                          hx_irq_flags_t flags)
{
    if (first == HX_WAITQ_LOCKED)
        first = hx_waitq_lock(queue);
    bool any = first != &queue->waiters;
    if (any)
        hx_waitq_wake_taken(hx_waitq_take_first(queue, first), HX_OK);
    else
        hx_waitq_unlock(queue, first);
    hx_irq_restore(flags);
    if (any)
        hx_sched_point();
    return any;
}

/* The usual: one of this CPU waits, and the policy need not hear of it yet. Calls nothing, so that it has nothing to save. */
uint32_t hx_waitq_wake_one(struct hx_waitq *queue)
{
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task_ring *first = hx_waitq_try_lock(queue);
    if (hx_unlikely(first == HX_WAITQ_LOCKED || first == &queue->waiters))
        return wake_one_slowly(queue, first, flags);
    struct hx_task *task = HX_TASK_OF(first, wait_ring);
    if (hx_unlikely(!hx_sched_may_tell_later(task) || task->timeout.armed))
        return wake_one_slowly(queue, first, flags);
    hx_waitq_unlock(queue, hx_waitq_take_out(queue, first, first));
    task->wait_result = HX_OK;
    hx_sched_tell_later(task);
    hx_irq_restore(flags);
    return 1;
}

/* In their order, by mail_next. Under one hold of the lock: who queues again meanwhile is not among them. */
static struct hx_task *take_all(struct hx_waitq *queue)
{
    struct hx_task *all = NULL, **end = &all;
    struct hx_task_ring *head = &queue->waiters, *next;
    for (struct hx_task_ring *member = hx_waitq_lock(queue); member != head; member = next) {
        next = member->next;
        member->next = NULL;
        *end = HX_TASK_OF(member, wait_ring);
        end = &(*end)->mail_next;
    }
    *end = NULL;
    head->prev = head;
    hx_waitq_unlock(queue, head);
    return all;
}

uint32_t hx_waitq_wake_all(struct hx_waitq *queue)
{
    uint32_t woken = 0;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = take_all(queue), *next;
    for (; task; task = next) {
        next = task->mail_next; /* before the mail has it */
        hx_waitq_wake_taken(task, HX_OK);
        woken++;
    }
    hx_irq_restore(flags);
    if (woken)
        hx_sched_point();
    return woken;
}

void hx_waitq_pass_on(struct hx_waitq *queue)
{
    struct hx_task *next = hx_waitq_take(queue);
    if (next)
        hx_waitq_wake_taken(next, HX_OK);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------- */
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

/* @queue: NULL, or @task is on it. @heed is the task's, known or not. */
static inline __attribute__((always_inline)) void stop(struct hx_task *task, struct hx_waitq *queue,
                                                       uint64_t deadline_ns, uint8_t heed)
{
    if (hx_unlikely(deadline_ns != UINT64_MAX))
        hx_timer_arm(&task->timeout, deadline_ns, timed_out);
    hx_sched_stop_waiting(task, queue ? HX_TASK_BLOCKED : HX_TASK_SLEEPING, heed);
    task->waiting_on = NULL;
}

static __attribute__((noinline)) void stop_any(struct hx_task *task, struct hx_waitq *queue, uint64_t deadline_ns)
{
    stop(task, queue, deadline_ns, task->heed);
}

/* What it is waiting for is there. If somebody on another CPU has woken it as well, his mail must find it waiting. */
static void stay(struct hx_task *task, struct hx_waitq *queue)
{
    if (leave(queue, task))
        task->waiting_on = NULL;
    else
        stop_any(task, queue, UINT64_MAX);
}

/* Of a wait that is over. One that was killed while it stopped, outside of every module, goes no further. */
static hx_status_t result_of(const struct hx_task *task)
{
    if (task->wait_result == HX_E_KILLED && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    return task->wait_result;
}

/* Once it has waited, with @err for its result. Returns whether that is all. */
static bool is_over(bool (*condition)(void *context), void *context, hx_status_t *err)
{
    if (*err != HX_E_KILLED && condition(context)) {
        *err = HX_OK;
        return true;
    }
    return *err != HX_OK;
}

/* @waited: it has, with task->wait_result. */
static __attribute__((noinline)) hx_status_t wait_slowly(struct hx_waitq *queue, bool (*condition)(void *context),
                                                         void *context, uint64_t deadline_ns, hx_irq_flags_t flags,
                                                         bool waited)
{
    struct hx_task *task = hx_task_current();
    hx_status_t err = waited ? result_of(task) : HX_OK;
    while (!waited || !is_over(condition, context, &err)) {
        err = hx_cpu_is_thread() ? may_wait(task) : HX_E_STATE;
        if (err != HX_OK) {
            if (err == HX_E_STATE && condition(context))
                err = HX_OK;
            break;
        }
        hx_waitq_enter(queue, task);
        if (condition(context)) {
            stay(task, queue);
            break;
        }
        stop_any(task, queue, deadline_ns);
        err = result_of(task);
        waited = true;
    }
    hx_irq_restore(flags);
    return err;
}

/* Who passes something on has just woken another, and finds nothing there yet: the usual, of many turns. */
hx_status_t hx_waitq_wait(struct hx_waitq *queue, bool (*condition)(void *context), void *context, uint64_t deadline_ns)
{
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = hx_task_current();
    if (hx_unlikely(task->heed != HX_TASK_NEWS || !hx_cpu_is_thread()))
        return wait_slowly(queue, condition, context, deadline_ns, flags, false);
    hx_waitq_enter(queue, task);
    if (hx_unlikely(condition(context)))
        stay(task, queue);
    else {
        stop(task, queue, deadline_ns, HX_TASK_NEWS);
        if (hx_unlikely(task->wait_result != HX_OK || !condition(context)))
            return wait_slowly(queue, condition, context, deadline_ns, flags, true);
    }
    hx_irq_restore(flags);
    return HX_OK;
}

bool hx_handover_undo(struct hx_task *task, struct hx_waitq *queue)
{
    if (!queue || !hx_handover_is_done(task) || !take_back)
        return false;
    void *place = (char *)task->place - HX_HANDOVER_DONE;
    if (!take_back(queue, place))
        return false;
    task->place = place;
    task->wait_result = HX_E_KILLED;
    return true;
}

hx_status_t hx_handover_result(const struct hx_task *task)
{
    if (hx_handover_is_done(task))
        return HX_OK;
    hx_status_t err = result_of(task);
    return err == HX_OK ? HX_E_EMPTY : err;
}

/* One that may not wait ends, perhaps: not with the lock. */
hx_status_t hx_handover_wait_slowly(struct hx_waitq *queue, struct hx_lock *lock, void *place, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    if (!hx_cpu_is_thread() || task->class == HX_TASK_IDLE || task->kill_pending) {
        hx_lock_release(lock, 0);
        return hx_cpu_is_thread() ? may_wait(task) : HX_E_STATE;
    }
    task->place = place;
    hx_waitq_enter(queue, task);
    hx_lock_release(lock, 0);
    stop_any(task, queue, deadline_ns);
    return hx_handover_result(task);
}

hx_status_t hx_task_sleep_until(uint64_t deadline_ns)
{
    hx_status_t err = HX_E_STATE;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = hx_task_current();
    if (hx_cpu_is_thread())
        err = task->heed & HX_TASK_SLOW ? may_wait(task) : HX_OK;
    if (err == HX_OK) {
        stop(task, NULL, deadline_ns, task->heed);
        err = task->wait_result == HX_E_TIMEOUT ? HX_OK : result_of(task);
    }
    hx_irq_restore(flags);
    return err;
}
