/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - what the files of this room owe each other. Not for other rooms.
 *
 * All functions: interrupts off on entry and on return, if not said otherwise.
 */
#pragma once
#include "task.h"

#include <gate/gate.h>
#include <string.h>

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

/* The first member of a list of ready tasks, or NULL. */
static inline struct hx_task *hx_task_ring_first(const struct hx_task_ring *head)
{
    return hx_task_ring_is_empty(head) ? NULL : HX_TASK_OF(head->next, ring);
}

/* ---- task.c: the table ---------------------------------------------------------------------------------------------- */
extern struct hx_task hx_tasks[HX_TASKS_MAX];
_Static_assert((HX_TASKS_MAX & (HX_TASKS_MAX - 1)) == 0, "an index is cut by a mask");

/*
 * NULL for anything that is not the handle of a live task, errors included: a handle holds its index uncut. Entry 0 is never
 * unused, it is the first idle task's, so HX_HANDLE_NONE finds nobody.
 */
static inline struct hx_task *hx_task_lookup(hx_handle_t handle)
{
    struct hx_task *task = &hx_tasks[handle & (HX_TASKS_MAX - 1)];
    return hx_likely(task->handle == handle) ? task : NULL;
}
/* An entry for a new task, zeroed but for its generation. NULL: all are taken. Nobody finds it before it has its handle. */
struct hx_task *hx_task_enter(void);
/* Gives back the stack and the entry of a task that is dead and does not run. */
void hx_task_free(struct hx_task *task);
void hx_task_start(void *task); /* first function on a new task's stack; interrupts on */

/* ---- waitq.c: waiting ----------------------------------------------------------------------------------------------- */
/* Takes @task, which waits and is on this CPU, out of its queue and timer. False: another CPU has woken it already, and the
 * mail that says so is on its way; nothing was done. */
bool hx_task_unwait(struct hx_task *task);
/* The task whom another CPU has taken off its queue, and whom it has posted to this one, becomes ready. */
void hx_task_wake_posted(struct hx_task *task);
/* Takes the first off @queue; NULL: none is there. It is still waiting, and to be woken by hx_waitq_wake_taken(). */
struct hx_task *hx_waitq_take(struct hx_waitq *queue);
void hx_waitq_wake_taken(struct hx_task *task, hx_status_t result);
/* Somebody whom @queue woke is gone before he ran: the next one's turn. A switch is due, and left to the caller. */
void hx_waitq_pass_on(struct hx_waitq *queue);
/* @task, which is on this CPU, gets @priority, and its place by it, if it is on a queue. */
void hx_waitq_reorder(struct hx_task *task, uint8_t priority);
/* Of the first in @queue; 0: nobody is. */
uint8_t hx_waitq_priority(struct hx_waitq *queue);

/* ---- mutex.c -------------------------------------------------------------------------------------------------------- */
/* Gives @task, which is on this CPU, the priority that is due to it. Where the policy may be called. */
void hx_mutex_settle(struct hx_task *task);
/* @task is about to be dead, and on no queue: what it holds goes to others, what it waits for does without it. */
void hx_mutex_abandon(struct hx_task *task);

/* ---- sched.c -------------------------------------------------------------------------------------------------------- */
/* This CPU's book, with the running context for its idle task. */
void hx_sched_init(struct hx_task *idle);
/* @task, which is on this CPU, has become ready for @news (HX_SCHED_NEW, HX_SCHED_WOKEN): into the lists, and a switch is
 * due. Most wakes take the short way, below. */
void hx_sched_ready_add(struct hx_task *task, enum hx_sched_reason news);
/* @task, which does not run, is about to be dead: out of every list. The policy is to be told that it is removed. */
void hx_sched_ready_remove(struct hx_task *task);
/* The running task stops for @reason, its state is set, and it is in the books. Returns when it runs again. */
void hx_sched_stop(struct hx_task *prev, uint64_t reason);
/* The policy has been told that quick @prev stops for @reason, and that @woken (or NULL) is ready; @answer cannot be taken
 * at its word. Returns when @prev runs again. */
void hx_sched_look_again(struct hx_task *prev, uint64_t reason, uint64_t now_ns, hx_ret_t answer,
                         struct hx_task *woken);
/* The running task, which was @handle, is dead, and whoever was before it is reaped; its memory is released by who runs next. */
_Noreturn void hx_sched_stop_dead(struct hx_task *task, hx_handle_t handle);
/* Releases the memory of the task that exited last, if that has not happened. */
void hx_sched_reap(void);
/* Switches, which is due, when this is a thread that may be preempted. Interrupts as they are: off means no. */
void hx_sched_switch_if_possible(void);
static inline void hx_sched_point(void)
{
    if (hx_unlikely(hx_cpu_read(need_resched)))
        hx_sched_switch_if_possible();
}
/* Tell the policy, when there is one. Where it may be called. */
void hx_sched_tell_removed(hx_handle_t task);
void hx_sched_tell_priority(hx_handle_t task, uint8_t priority);
HX_NODISCARD hx_ret_t hx_sched_tell_reservation(hx_handle_t task, uint64_t runtime_ns, uint64_t period_ns,
                                                uint64_t deadline_ns);
/* @task's priority has changed: puts it where it belongs. */
void hx_sched_reorder(struct hx_task *task);

/* ---- mail.c: what CPUs ask of each other ---------------------------------------------------------------------------- */
/*
 * @task is another CPU's, and nobody but the caller has anything to do with it until it gets there: it was taken off a wait
 * queue there, or it is ready and in no list. Any context.
 */
void hx_sched_post(struct hx_task *task);
/* @task, ready and in no list, goes to CPU @cpu, which is another. */
void hx_sched_send(struct hx_task *task, uint32_t cpu);

/* What the CPU of a task is asked to do with it. */
struct hx_errand {
    hx_handle_t task;
    /* Interrupts off, on the task's CPU, where the policy may be called; it may be the running task. */
    hx_status_t (*work)(struct hx_task *task, const uint64_t argument[3]);
    uint64_t argument[3];
    hx_status_t result;
    bool done;
    struct hx_errand *next;
};
/* Does @errand on its task's CPU, wherever that is. Its result, or HX_E_STALE, HX_E_STATE. Thread context, interrupts on. */
HX_NODISCARD hx_status_t hx_sched_run_errand(struct hx_errand *errand);
/* The same, and nobody waits: @errand outlives it, and is another's as soon as its work begins. Interrupts off. */
void hx_sched_push_errand(struct hx_errand *errand, uint32_t cpu);
struct hx_sched_book;
/* Does those that other CPUs have brought. At a decision of this CPU's. */
void hx_sched_do_errands(struct hx_sched_book *book);
/* What came up on this CPU, or was brought, is seen to: where the policy may be called. */
void hx_sched_attend(struct hx_sched_book *book);

/* ---- balance.c: which CPU a task is on ------------------------------------------------------------------------------- */
/* CPUs that run tasks, and those of them that have nothing to do; a bit each. */
extern uint32_t hx_sched_online, hx_sched_idle;

/* The CPU on which a new task, which may be on @allowed, is best put. */
uint32_t hx_sched_place(uint8_t allowed);
/* After a decision for @next: gives ready tasks to CPUs that have none. */
void hx_sched_share(struct hx_sched_book *book, const struct hx_task *next);
/* @task, ready and not running, goes to a CPU on which it may be. */
void hx_sched_send_away(struct hx_sched_book *book, struct hx_task *task, uint32_t cpu);
/* Some CPU of @cpus, which is not empty, idle if there is one. */
uint32_t hx_sched_one_of(uint32_t cpus);

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
    struct hx_task *dead;    /* exited, to be reaped */
    struct hx_task *leaving; /* has stopped, and is to be posted to another CPU */
    struct hx_timer slice;   /* runs on freely while tasks run, so that a switch need not touch it */
    bool to_do; /* something is to be attended to: dead, leaving, or what other CPUs have brought (atomic) */
    bool tick_due;
    bool idling;
    struct hx_task *starved; /* gets its turn, compared by address alone */
    const void *patient;     /* vtable of the policy that said HX_SCHED_LATER last, compared by address alone */
    uint64_t where;          /* this CPU, as it stands in the policy's `reason` */
    uint16_t told_here;      /* told and cpu of a task that the policy has queued here */
    uint16_t policy_here;    /* cpu and class of a policy task that is here */
    uint32_t tasks;          /* policy tasks that are here */
    uint64_t slow_switches;
    uint64_t gone_switches; /* of tasks that are no more */
    struct hx_sched_stats stats;
    struct hx_task *idle;
    uint64_t wrong_since_ns; /* since when wrong answers are counted, whose, and how many there were */
    const void *wrong_of;
    uint32_t wrong;
    hx_handle_t telling; /* only with HX_CHECKS: whom the question that is under way, or about to be, is about */
    /* Written by other CPUs, atomically. */
    struct hx_task *mail __attribute__((aligned(64)));
    struct hx_errand *errands;
    bool forget_due; /* the policy was replaced */
};

extern struct hx_sched_book hx_sched_book_template;
extern uint32_t hx_sched_estranged; /* only with HX_CHECKS, a bit for each list: the policy may have the dead there */
extern const struct hx_slot_info *hx_sched_slot;

static inline struct hx_sched_book *hx_sched_book(void)
{
    return HX_THIS_CPU(hx_sched_book_template);
}

static inline struct hx_sched_book *hx_sched_book_of(uint32_t cpu)
{
    return hx_hal_on_cpu(&hx_sched_book_template, cpu);
}

static inline enum hx_slot_state hx_sched_slot_state(void)
{
    return __atomic_load_n(&hx_sched_slot->state, __ATOMIC_ACQUIRE);
}

static inline bool hx_sched_is_open(void)
{
    return hx_likely(hx_sched_slot_state() == HX_SLOT_OPEN);
}

/* Whether a gate that was not open answered, and no policy. */
static inline bool hx_sched_is_unheard(hx_ret_t answer)
{
    return answer == HX_E_CLOSED || answer == HX_E_ABSENT || answer == HX_E_FAILED;
}

/* Two neighbours at once. */
static inline uint16_t hx_task_pair(const uint8_t *first)
{
    uint16_t pair;
    memcpy(&pair, first, sizeof(pair));
    return pair;
}
/* Whether the policy has @task queued on this CPU. */
static inline bool hx_task_is_told_here(const struct hx_task *task)
{
    _Static_assert(offsetof(struct hx_task, cpu) == offsetof(struct hx_task, told) + 1, "asked together");
    return hx_task_pair((const uint8_t *)&task->told) == hx_percpu_read(hx_sched_book_template.told_here);
}
/* Whether it is a policy task and on this CPU. */
static inline bool hx_task_is_policy_here(const struct hx_task *task)
{
    _Static_assert(offsetof(struct hx_task, class) == offsetof(struct hx_task, cpu) + 1, "asked together");
    return hx_task_pair(&task->cpu) == hx_percpu_read(hx_sched_book_template.policy_here);
}
/* @reason as the policy is told it. */
static inline uint64_t hx_sched_here(uint64_t reason)
{
    return hx_percpu_read(hx_sched_book_template.where) + reason;
}

/* The policy class's part of hx_sched_ready_add() and hx_sched_ready_remove(). */
void hx_sched_policy_add(struct hx_sched_book *book, struct hx_task *task, enum hx_sched_reason news);
bool hx_sched_policy_remove(struct hx_sched_book *book, struct hx_task *task);
void hx_sched_inbox_add(struct hx_sched_book *book, struct hx_task *task);
/* @task goes: the policy will not be asked what follows it. Returns whether the policy believes that it runs, and is to be told
 * that it is removed. */
bool hx_sched_take_back(struct hx_sched_book *book, hx_handle_t task);
/* The policy that is there now has been told nothing. */
void hx_sched_forget(struct hx_sched_book *book);
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

/* Returns when @prev runs again, on whatever CPU. */
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
    hx_ret_t answer = hx_sched_pick(prev->handle, hx_sched_here(reason), ran_ns, now_ns);
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    struct hx_task *next = hx_task_lookup((hx_handle_t)answer);
    if (hx_unlikely(!next || !hx_task_is_told_here(next) || hx_cpu_read(need_resched)))
        hx_sched_look_again(prev, reason, now_ns, answer, NULL);
    else {
        hx_sched_mark(next, HX_TASK_RUNNING, false, false);
        hx_sched_switch_to(prev, next, now_ns);
    }
}

/*
 * hx_sched_give_way() of a task that had only its news not to be quick. Where it waits, the woken one has its place in the
 * core's list already.
 */
static inline __attribute__((always_inline)) void hx_sched_give_way_with_news(struct hx_task *prev, uint64_t reason)
{
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    struct hx_task *woken = prev->woke;
    prev->run_ns += ran_ns;
    woken->started_ns = now_ns;
    hx_ret_t answer =
        hx_sched_turn(prev->handle, hx_sched_here(reason), ran_ns, now_ns, woken->handle, woken->priority);
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    woken = prev->woke;
    if (hx_unlikely((hx_handle_t)answer != woken->handle || hx_cpu_read(need_resched))) {
        hx_sched_look_again(prev, reason, woken->started_ns, answer, woken);
        return;
    }
    if (reason != HX_SCHED_BLOCK)
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
        hx_task_ring_replace(&task->ring, &task->woke->ring); /* before it can wake again */
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

/* Whether @task, which waits, can be made ready without the policy's hearing of it before the running task stops. */
static inline __attribute__((always_inline)) bool hx_sched_may_tell_later(const struct hx_task *task)
{
    const struct hx_task *current = hx_task_current();
    return hx_task_is_policy_here(task) && current->heed == HX_TASK_QUICK && current->state == HX_TASK_RUNNING &&
           task->priority <= current->priority &&
           hx_percpu_read(hx_sched_book_template.patient) == hx_slots[HX_SLOT_hx_sched].vtable;
}

static inline __attribute__((always_inline)) void hx_sched_tell_later(struct hx_task *task)
{
    struct hx_task *current = hx_task_current();
    task->state = HX_TASK_READY;
    current->woke = task;
    current->heed = HX_TASK_NEWS;
}
