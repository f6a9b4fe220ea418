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

/* ---- rings ---------------------------------------------------------------------------------------------------------- */
#define HX_TASK_OF(member, field) ((struct hx_task *)((char *)(uintptr_t)(member)-offsetof(struct hx_task, field)))

static inline void hx_task_ring_init(struct hx_task_ring *head)
{
    head->next = head->prev = head;
}

static inline bool hx_task_ring_is_empty(const struct hx_task_ring *head)
{
    return head->next == head;
}

static inline void hx_task_ring_insert_after(struct hx_task_ring *before, struct hx_task_ring *member)
{
    struct hx_task_ring *next = before->next;
    member->next = next;
    member->prev = before;
    next->prev = member;
    before->next = member;
}

/* At the end. */
static inline void hx_task_ring_add(struct hx_task_ring *head, struct hx_task_ring *member)
{
    hx_task_ring_insert_after(head->prev, member);
}

static inline void hx_task_ring_remove(struct hx_task_ring *member)
{
    struct hx_task_ring *next = member->next, *prev = member->prev;
    next->prev = prev;
    prev->next = next;
}

/* @new stands where @old stood. */
static inline void hx_task_ring_replace(struct hx_task_ring *old, struct hx_task_ring *new)
{
    struct hx_task_ring *next = old->next, *prev = old->prev;
    new->next = next;
    new->prev = prev;
    next->prev = new;
    prev->next = new;
}

/* The first member of a list of ready tasks, of a wait queue, or NULL. */
static inline struct hx_task *hx_task_ring_first(const struct hx_task_ring *head)
{
    return hx_task_ring_is_empty(head) ? NULL : HX_TASK_OF(head->next, ring);
}

static inline struct hx_task *hx_waitq_first(const struct hx_waitq *queue)
{
    const struct hx_task_ring *head = &queue->waiters;
    return hx_unlikely(hx_task_ring_is_empty(head)) ? NULL : HX_TASK_OF(head->next, wait_ring);
}

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
/* Somebody whom @queue woke is gone before he ran: the next one's turn. A switch is due, and left to the caller. */
void hx_waitq_pass_on(struct hx_waitq *queue);
/* @task's priority has changed: puts it where it belongs, if it is on a queue. */
void hx_waitq_reorder(struct hx_task *task);

/* ---- sched.c -------------------------------------------------------------------------------------------------------- */
void hx_sched_init(void);
/* The idle task of this CPU. */
struct hx_task *hx_sched_idle_task(void);
/* @task has become ready for @news (HX_SCHED_NEW, HX_SCHED_WOKEN): into the lists, and a switch is due. Wakes go by
 * hx_sched_ready_woken(), below. */
void hx_sched_ready_add(struct hx_task *task, enum hx_sched_reason news);
/* @task, which does not run, is about to be dead: out of every list. Returns whether the policy may have it queued. */
bool hx_sched_ready_remove(struct hx_task *task);
/* The running task stops for @reason, its state is set, and it is in the books. Returns when it runs again. */
void hx_sched_stop(struct hx_task *prev, uint64_t reason);
/* The policy has been told that quick @prev stops for @reason, and that @woken (or NULL) is ready; @answer cannot be taken
 * at its word. Returns when @prev runs again. */
void hx_sched_look_again(struct hx_task *prev, uint64_t reason, uint64_t now_ns, hx_ret_t answer,
                         struct hx_task *woken);
/* The running task is dead; its memory is released by whoever runs next. */
_Noreturn void hx_sched_stop_dead(struct hx_task *task);
/* Releases the memory of the task that exited last, if that has not happened. */
void hx_sched_reap(void);
/* Switches, which is due, when this is a thread that may be preempted. Interrupts as they are: off means no. */
void hx_sched_switch_if_possible(void);
static inline void hx_sched_point(void)
{
    if (hx_unlikely(hx_cpu_read(need_resched)))
        hx_sched_switch_if_possible();
}
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
    struct hx_task_ring policy; /* ready and running, first come first; those that the core chose go to the end */
    struct hx_task_list inbox;
    struct hx_task *picked;
    hx_handle_t running;
    uint64_t stop;   /* of the picked task */
    uint64_t ran_ns; /* by the task that the policy picked last, before it was last started; 0 while a quick one runs */
    struct hx_task *dead;  /* exited, to be reaped */
    struct hx_timer slice; /* runs on freely while policy tasks run, so that a switch need not touch it */
    bool tick_due;
    struct hx_task *starved; /* gets its turn, compared by address alone */
    const void *patient;     /* vtable of the policy that said HX_SCHED_LATER last, compared by address alone */
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
/* The policy was told, by a question that it answered with @answer, of @woken, which is in no inbox; not @heard: it was
 * not, after all. */
void hx_sched_told_with_question(struct hx_sched_book *book, struct hx_task *woken, bool heard, hx_ret_t answer);
/* The policy has not heard of the task that @task, which runs, woke: it goes to the inbox. */
void hx_sched_news_to_inbox(struct hx_sched_book *book, struct hx_task *task);

/* ---- the short way -------------------------------------------------------------------------------------------------- */
/*
 * Most stops are of a policy task that yields or waits while nothing else goes on, and most wakes are of a task that the
 * running one does not give way to. Here the policy is asked at once, and it is looked only afterwards, once, whether
 * anything happened meanwhile: need_resched is set by whatever adds to a list or to the inbox. What is not as usual goes
 * to sched.c, which has the whole story. Inline, because callers differ in what they know.
 */
static inline void hx_sched_mark(struct hx_task *task, enum hx_task_state state, bool told, bool doubted)
{
    task->state = (uint8_t)state;
    task->told = told;
    task->doubted = doubted;
    task->in_inbox = false;
}

/* Returns when @prev runs again, on the same CPU. */
static inline void hx_sched_switch_to(struct hx_task *prev, struct hx_task *next, uint64_t now_ns)
{
    next->started_ns = now_ns;
    next->switches++;
    prev->frame = hx_cpu_read(frame);
    hx_cpu_write(frame, next->frame);
    hx_cpu_write(current, next);
    hx_hal_switch(&prev->context, &next->context);
}

/* A quick task stops for @reason; it is in the books. Interrupts on and preemption off on entry, the reverse on return. */
static inline __attribute__((always_inline)) void hx_sched_give_way(struct hx_task *prev, uint64_t reason)
{
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    prev->run_ns += ran_ns;
    hx_ret_t answer = hx_sched_pick(prev->handle, reason, ran_ns, now_ns);
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    struct hx_task *next = hx_task_lookup((hx_handle_t)answer);
    if (hx_unlikely(!next || !next->told || hx_cpu_read(need_resched)))
        hx_sched_look_again(prev, reason, now_ns, answer, NULL);
    else {
        hx_sched_mark(next, HX_TASK_RUNNING, false, false);
        hx_sched_switch_to(prev, next, now_ns);
    }
}

/*
 * hx_sched_give_way() of a task that had only its news not to be quick. One that waits is still in the core's list, because
 * its place there is likely to be the woken one's.
 */
static inline __attribute__((always_inline)) void hx_sched_give_way_with_news(struct hx_task *prev, uint64_t reason)
{
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    struct hx_task *woken = prev->woke;
    prev->run_ns += ran_ns;
    woken->started_ns = now_ns;
    hx_ret_t answer = hx_sched_turn(prev->handle, reason, ran_ns, now_ns, woken->handle, woken->priority);
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    woken = prev->woke;
    if (hx_unlikely((hx_handle_t)answer != woken->handle || hx_cpu_read(need_resched))) {
        hx_sched_look_again(prev, reason, woken->started_ns, answer, woken);
        return;
    }
    if (reason == HX_SCHED_BLOCK)
        hx_task_ring_replace(&prev->ring, &woken->ring);
    else
        hx_task_ring_add(&hx_sched_book()->policy, &woken->ring);
    hx_sched_mark(woken, HX_TASK_RUNNING, false, false);
    hx_sched_switch_to(prev, woken, woken->started_ns);
}

/* The running task, which heeds @heed, waits; @state says how. Returns when it runs again. */
static inline __attribute__((always_inline)) void hx_sched_stop_waiting(struct hx_task *task, enum hx_task_state state,
                                                                        uint8_t heed)
{
    task->state = (uint8_t)state;
    if (heed == HX_TASK_NEWS) {
        task->heed = HX_TASK_QUICK;
        hx_cpu_add32(preempt_off, 1);
        hx_irq_enable();
        hx_sched_give_way_with_news(task, HX_SCHED_BLOCK);
        return;
    }
    if (task->class == HX_TASK_POLICY)
        hx_task_ring_remove(&task->ring);
    if (heed == HX_TASK_QUICK) {
        hx_cpu_add32(preempt_off, 1);
        hx_irq_enable();
        hx_sched_give_way(task, HX_SCHED_BLOCK);
    } else {
        hx_sched_stop(task, HX_SCHED_BLOCK);
    }
}

/* @task, which waited, has become ready: hx_sched_ready_add() of HX_SCHED_WOKEN. Returns whether a switch is due. */
static inline __attribute__((always_inline)) bool hx_sched_ready_woken(struct hx_task *task)
{
    struct hx_task *current = hx_task_current();
    if (hx_unlikely(task->class != HX_TASK_POLICY || current->heed != HX_TASK_QUICK ||
                    current->state != HX_TASK_RUNNING || task->priority > current->priority ||
                    hx_percpu_read(hx_sched_book_template.patient) != hx_slots[HX_SLOT_hx_sched].vtable)) {
        hx_sched_ready_add(task, HX_SCHED_WOKEN);
        return true;
    }
    task->state = HX_TASK_READY;
    current->woke = task;
    current->heed = HX_TASK_NEWS;
    return false;
}
