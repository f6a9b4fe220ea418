/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - see mutex.h.
 *
 * The owner's handle is the lock. Beside it a bit says that somebody waits, so that who unlocks must look: while it is not
 * set, nothing but that word is shared. What a task holds is a list of its own; what it waits for is in `wanted` from before
 * it queues until it has it or has given up. It may have been handed to it, and not run yet: then it owns what it wants.
 *
 * Inheritance is not passed on but worked out: a task's priority is the highest of its own and of those who are first in the
 * queues of what it owns. Whoever changes one of these asks the task's CPU to settle it. Asking is a push to a list, so it
 * is done in any context and nobody waits for it; the CPU settles at its next decision, and asks for the owner of what the
 * task waits for, if its priority has changed. So it goes along the chain, and ends where nothing changes.
 *
 * Locks: inheritance.lock (HX_RANK_MUTEX), one for all: who waits, for what, and at which priority, does not change while a
 *        chain is looked along. Only who finds a mutex taken, or is waited for, comes by here. The wait queues' come after
 *        it.
 */
#include "mutex.h"

#include "schedule.h"

#include <hal/hx_lock.h>

#define WANTED_BIT ((hx_handle_t)1 << 63) /* of no handle */

static struct hx_lock inheritance = HX_LOCK_INIT(HX_RANK_MUTEX);

/* What a CPU has been asked to settle. An errand that nobody waits for brings it there. */
static struct settling {
    struct hx_task *first; /* by settle_next */
    struct hx_errand errand;
} settling_template HX_PERCPU_ZERO;

void hx_mutex_init(struct hx_mutex *mutex)
{
    *mutex = (struct hx_mutex){ 0 };
    hx_waitq_init(&mutex->waiters);
}

static hx_handle_t owner_of(const struct hx_mutex *mutex)
{
    return __atomic_load_n(&mutex->owner, __ATOMIC_ACQUIRE) & ~WANTED_BIT;
}

static bool change_owner(struct hx_mutex *mutex, hx_handle_t *from, hx_handle_t to)
{
    return __atomic_compare_exchange_n(&mutex->owner, from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/* ---- settling ------------------------------------------------------------------------------------------------------- */
static hx_status_t settle_all(struct hx_task *idle, const uint64_t argument[3]);

/* Any context. An entry of the table may stand in a list longer than its task lives: then nothing is done for it. */
static void ask_to_settle(struct hx_task *task)
{
    hx_handle_t handle = __atomic_load_n(&task->handle, __ATOMIC_RELAXED);
    if (handle == HX_HANDLE_NONE || __atomic_exchange_n(&task->settle_for, handle, __ATOMIC_SEQ_CST))
        return; /* who comes to it will find what has changed */
    uint32_t cpu = task->cpu;
    struct settling *settling = hx_hal_on_cpu(&settling_template, cpu);
    struct hx_task *first = __atomic_load_n(&settling->first, __ATOMIC_RELAXED);
    do {
        task->settle_next = first;
    } while (!__atomic_compare_exchange_n(&settling->first, &first, task, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (first)
        return;
    settling->errand.task = hx_sched_book_of(cpu)->idle->handle;
    settling->errand.work = settle_all;
    hx_sched_push_errand(&settling->errand, cpu);
}

/* Locked. */
static uint8_t due_priority(const struct hx_task *task)
{
    uint8_t priority = task->base;
    for (struct hx_mutex *mutex = task->held; mutex; mutex = mutex->held_next) {
        uint8_t first = hx_waitq_priority(&mutex->waiters);
        priority = first > priority ? first : priority;
    }
    if (task->wanted && owner_of(task->wanted) == task->handle) {
        uint8_t first = hx_waitq_priority(&task->wanted->waiters);
        priority = first > priority ? first : priority;
    }
    return priority;
}

/* Locked. The task that has what @task waits for, or NULL. */
static struct hx_task *owner_waited_for(const struct hx_task *task)
{
    hx_handle_t owner = task->wanted ? owner_of(task->wanted) : HX_HANDLE_NONE;
    return owner == task->handle ? NULL : hx_task_lookup(owner);
}

/* @task comes before the one that runs, or runs and comes before fewer: that is not left to the next tick. */
static void decide_again(const struct hx_task *task, bool raised)
{
    struct hx_sched_book *book = hx_sched_book();
    if (task->class != HX_TASK_POLICY || task->state != (raised ? HX_TASK_READY : HX_TASK_RUNNING))
        return;
    if (!book->picked)
        book->tick_due = true;
    else if (book->stop == HX_SCHED_INTERRUPTED)
        book->stop = HX_SCHED_PREEMPT;
    hx_cpu_write(need_resched, 1);
}

void hx_mutex_settle(struct hx_task *task)
{
    hx_irq_flags_t flags = hx_lock_acquire(&inheritance);
    uint8_t before = task->priority, priority = due_priority(task);
    struct hx_task *next = NULL;
    if (priority != before) {
        hx_waitq_reorder(task, priority);
        next = owner_waited_for(task);
    }
    hx_lock_release(&inheritance, flags);
    if (priority == before)
        return;
    if (next)
        ask_to_settle(next);
    if (task->on_its_way)
        return; /* it is in no list, and the policy is told when it arrives */
    hx_sched_reorder(task);
    decide_again(task, priority > before);
    if (task->class == HX_TASK_POLICY)
        hx_sched_tell_priority(task->handle, priority);
}

/* At a decision of this CPU's. */
static hx_status_t settle_all(struct hx_task *idle, const uint64_t argument[3])
{
    (void)idle;
    (void)argument;
    struct hx_task *task = __atomic_exchange_n(&HX_THIS_CPU(settling_template)->first, NULL, __ATOMIC_SEQ_CST);
    while (task) {
        struct hx_task *next = task->settle_next;
        hx_handle_t handle =
            __atomic_exchange_n(&task->settle_for, HX_HANDLE_NONE, __ATOMIC_SEQ_CST); /* then looked at */
        if (handle == task->handle && task->cpu == hx_cpu_read(id))
            hx_mutex_settle(task);
        else if (handle == task->handle)
            ask_to_settle(task); /* it is elsewhere by now */
        task = next;
    }
    return HX_OK;
}

/* ---- having it ------------------------------------------------------------------------------------------------------ */
static inline hx_status_t keep(struct hx_task *self, struct hx_mutex *mutex)
{
    mutex->held_next = self->held;
    self->held = mutex;
    return hx_unlikely(mutex->orphaned) ? HX_MUTEX_ORPHANED : HX_OK;
}

static inline void drop(struct hx_task *self, const struct hx_mutex *mutex)
{
    struct hx_mutex **link = &self->held;
    while (*link != mutex)
        link = &(*link)->held_next;
    *link = mutex->held_next;
}

/* Interrupts off. Somebody has waited: if somebody does, it is his, otherwise nobody's. */
static void hand_over(struct hx_mutex *mutex)
{
    hx_irq_flags_t flags = hx_lock_acquire(&inheritance);
    struct hx_task *next = hx_waitq_take(&mutex->waiters);
    __atomic_store_n(&mutex->owner, next ? next->handle | WANTED_BIT : HX_HANDLE_NONE, __ATOMIC_RELEASE);
    hx_lock_release(&inheritance, flags);
    if (next)
        hx_waitq_wake_taken(next, HX_OK);
}

static void give_up(struct hx_mutex *mutex, hx_handle_t owner)
{
    if (!change_owner(mutex, &owner, HX_HANDLE_NONE))
        hand_over(mutex);
}

/* ---- waiting for it ------------------------------------------------------------------------------------------------- */
/* Locked. Free it becomes the caller's; otherwise who has it will look who waits. Returns whether it is the caller's. */
static bool take_or_mark(struct hx_mutex *mutex, hx_handle_t self)
{
    hx_handle_t word = __atomic_load_n(&mutex->owner, __ATOMIC_ACQUIRE);
    for (;;) {
        if ((word & ~WANTED_BIT) == self)
            return true;
        hx_handle_t to = word == HX_HANDLE_NONE ? self : word | WANTED_BIT;
        if (change_owner(mutex, &word, to))
            return to == self;
    }
}

/* Locked. Whether the caller may wait for it. */
static hx_status_t look_along_chain(const struct hx_task *self, const struct hx_mutex *mutex)
{
    for (uint32_t i = 0; i < HX_MUTEX_CHAIN_MAX; i++) {
        hx_handle_t owner = owner_of(mutex);
        if (owner == self->handle)
            return HX_E_CYCLE;
        const struct hx_task *task = hx_task_lookup(owner);
        mutex = task ? task->wanted : NULL;
        if (!mutex || owner_of(mutex) == owner)
            return HX_OK;
    }
    return HX_E_LIMIT;
}

/* In the queue already, or not waiting any more. */
static bool is_mine(void *context)
{
    struct hx_mutex *mutex = context;
    struct hx_task *self = hx_task_current(), *owner = NULL;
    hx_irq_flags_t flags = hx_lock_acquire(&inheritance);
    bool mine = take_or_mark(mutex, self->handle);
    if (!mine)
        owner = owner_waited_for(self);
    bool raise = owner && owner->priority < self->priority;
    hx_lock_release(&inheritance, flags);
    if (raise)
        ask_to_settle(owner);
    return mine;
}

/* From here on it is known what @self waits for. */
static hx_status_t want(struct hx_task *self, struct hx_mutex *mutex)
{
    hx_irq_flags_t flags = hx_lock_acquire(&inheritance);
    hx_status_t err = look_along_chain(self, mutex);
    if (err == HX_OK)
        self->wanted = mutex;
    hx_lock_release(&inheritance, flags);
    return err;
}

/* Returns whether @task has got what it wanted. Otherwise who has it need not hurry for it. */
static bool want_no_more(struct hx_task *task)
{
    hx_irq_flags_t flags = hx_lock_acquire(&inheritance);
    bool mine = owner_of(task->wanted) == task->handle;
    struct hx_task *owner = owner_waited_for(task);
    task->wanted = NULL;
    hx_lock_release(&inheritance, flags);
    if (owner)
        ask_to_settle(owner);
    return mine;
}

/* Interrupts off. */
static __attribute__((noinline)) hx_status_t wait_for(struct hx_task *self, struct hx_mutex *mutex,
                                                      uint64_t deadline_ns)
{
    if (self->kill_pending && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED); /* it will not be asked while it wants something */
    hx_status_t err = want(self, mutex);
    if (err != HX_OK)
        return err;
    err = hx_waitq_wait(&mutex->waiters, is_mine, mutex, deadline_ns);
    return want_no_more(self) ? keep(self, mutex) : err;
}

/* ---- for tasks ------------------------------------------------------------------------------------------------------ */
static inline bool may_lock(const struct hx_task *self)
{
    return hx_cpu_is_thread() && hx_irq_enabled() && self->class != HX_TASK_IDLE;
}

hx_status_t hx_mutex_lock(struct hx_mutex *mutex, uint64_t deadline_ns)
{
    struct hx_task *self = hx_task_current();
    hx_handle_t nobody = HX_HANDLE_NONE;
    if (hx_unlikely(!may_lock(self)))
        return HX_E_STATE;
    hx_irq_disable();
    bool taken = change_owner(mutex, &nobody, self->handle);
    hx_status_t err = hx_likely(taken) ? keep(self, mutex) : wait_for(self, mutex, deadline_ns);
    hx_irq_enable();
    if (hx_unlikely(!taken))
        hx_sched_point(); /* somebody may have to be settled */
    return err;
}

hx_status_t hx_mutex_try_lock(struct hx_mutex *mutex)
{
    struct hx_task *self = hx_task_current();
    hx_handle_t nobody = HX_HANDLE_NONE;
    if (hx_unlikely(!may_lock(self)))
        return HX_E_STATE;
    hx_irq_disable();
    hx_status_t err = change_owner(mutex, &nobody, self->handle) ? keep(self, mutex) : HX_E_BUSY;
    hx_irq_enable();
    return err;
}

hx_status_t hx_mutex_unlock(struct hx_mutex *mutex)
{
    struct hx_task *self = hx_task_current();
    hx_handle_t owner = self->handle;
    if (hx_unlikely(hx_cpu_read(irq_depth) || owner_of(mutex) != owner))
        return HX_E_PERM;
    hx_irq_flags_t flags = hx_irq_save();
    drop(self, mutex);
    if (hx_unlikely(!change_owner(mutex, &owner, HX_HANDLE_NONE))) {
        hand_over(mutex);
        if (self->priority != self->base)
            ask_to_settle(self);
    }
    hx_irq_restore(flags);
    hx_sched_point();
    return HX_OK;
}

void hx_mutex_mend(struct hx_mutex *mutex)
{
    mutex->orphaned = false;
}

/* What was handed to it and it never saw is no orphan. */
void hx_mutex_abandon(struct hx_task *task)
{
    struct hx_mutex *mutex, *wanted = task->wanted;
    while ((mutex = task->held)) {
        task->held = mutex->held_next;
        mutex->orphaned = true;
        give_up(mutex, task->handle);
    }
    if (wanted && want_no_more(task))
        give_up(wanted, task->handle);
}
