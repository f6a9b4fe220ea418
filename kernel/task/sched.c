/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs next: the core's lists, what the policy is asked and told, and the switch itself.
 *
 * The truth is here: every ready task stands in a list of its class at all times. The policy holds a second opinion on the
 * policy class, and the core keeps book of what it has been told:
 *   told     the policy has the task queued;
 *   inbox    ready, and the policy does not know: to be told before the next question;
 *   running  the handle that the policy believes to run (it was picked, and no later pick named it as prev), and
 *   picked   its task while that lives: kept only while no policy task runs. It may be ready: a core task interrupted
 *            it, which is none of the policy's business.
 * An answer is right when it names a task that was told. Everything else is looked into by ask_again().
 *
 * Two events that would make the books disagree are told as something equivalent: a picked task that stopped and woke
 * before the policy was asked has yielded; one that was killed has exited.
 *
 * Most stops are of a policy task that yields or waits while nothing else goes on. give_way() asks at once, and looks only
 * afterwards, once, whether anything did: need_resched is set by whatever adds to a list or to the inbox. Then, and for
 * every other kind of stop, decide() has the whole story.
 *
 * Context: a CPU's book is changed by that CPU alone, with interrupts off; operations of the policy run with interrupts on
 *          and preemption off, so that meanwhile interrupts can add to the lists and to the inbox, and nothing else can.
 * Cost:    constant for policy tasks; core tasks are few, and kept sorted.
 */
#include "schedule.h"

#include <hal/hx_hal_entry.h>

/* Why the picked task does not run: one of enum hx_sched_reason, or this: a core task came first. */
enum { STOP_INTERRUPTED = HX_SCHED_EXIT + 1 };

static struct book {
    struct hx_task_list core;   /* ready, by priority, first come first within one */
    struct hx_task_list policy; /* ready and running, first come first; those that the core chose go to the end */
    struct hx_task_list inbox;
    struct hx_task *picked;
    hx_handle_t running;
    uint64_t stop;   /* of the picked task */
    uint64_t ran_ns; /* by the task that the policy picked last, before it was last started; 0 while a quick one runs */
    struct hx_task *dead;  /* exited, to be reaped */
    struct hx_timer slice; /* runs on freely while policy tasks run, so that a switch need not touch it */
    bool tick_due;
    struct hx_task *starved; /* gets its turn, compared by address alone */
    uint64_t slow_switches;
    uint64_t gone_switches; /* of tasks that are no more */
    struct hx_sched_stats stats;
    struct hx_task idle;
} book_template HX_PERCPU;

static const struct hx_slot_info *policy_slot;

static inline bool policy_is_open(void)
{
    return hx_likely(policy_slot->state == HX_SLOT_OPEN);
}

static inline void policy_enter(void)
{
    hx_cpu_add32(preempt_off, 1);
    hx_irq_enable();
}

static inline void policy_leave(void)
{
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
}

/* ---- lists ---------------------------------------------------------------------------------------------------------- */
/* @first: in front of its equals, because it did not give way by itself. */
static void core_insert(struct book *book, struct hx_task *task, bool first)
{
    struct hx_task *before;
    TAILQ_FOREACH_REVERSE(before, &book->core, hx_task_list, ready_link)
        if (before->priority > task->priority || (!first && before->priority == task->priority))
            break;
    if (before)
        TAILQ_INSERT_AFTER(&book->core, before, task, ready_link);
    else
        TAILQ_INSERT_HEAD(&book->core, task, ready_link);
}

static void policy_rotate(struct book *book, struct hx_task *task)
{
    TAILQ_REMOVE(&book->policy, task, ready_link);
    TAILQ_INSERT_TAIL(&book->policy, task, ready_link);
}

static void inbox_add(struct book *book, struct hx_task *task)
{
    TAILQ_INSERT_TAIL(&book->inbox, task, inbox_link);
    task->in_inbox = true;
}

static void inbox_remove(struct book *book, struct hx_task *task)
{
    TAILQ_REMOVE(&book->inbox, task, inbox_link);
    task->in_inbox = false;
}

void hx_sched_ready_add(struct hx_task *task, enum hx_sched_reason news)
{
    struct book *book = HX_THIS_CPU(book_template);
    task->state = HX_TASK_READY;
    hx_cpu_write(need_resched, 1);
    if (task->class == HX_TASK_CORE) {
        core_insert(book, task, false);
        return;
    }
    TAILQ_INSERT_TAIL(&book->policy, task, ready_link);
    task->news = (uint8_t)news;
    task->started_ns = 0;
    if (task == book->picked)
        book->stop = HX_SCHED_YIELD; /* its stop has not been told, so neither need its return be */
    else
        inbox_add(book, task);
}

bool hx_sched_ready_remove(struct hx_task *task)
{
    struct book *book = HX_THIS_CPU(book_template);
    bool told = task->told || task->doubted;
    if (task->state == HX_TASK_READY)
        TAILQ_REMOVE(&book->policy, task, ready_link);
    if (task->in_inbox)
        inbox_remove(book, task);
    book->gone_switches += task->switches;
    if (task == book->picked) {
        book->picked = NULL;
        book->stop = HX_SCHED_EXIT;
        told = false; /* the next question says that it is gone */
    }
    task->told = task->doubted = false;
    return told;
}

void hx_sched_reorder(struct hx_task *task)
{
    struct book *book = HX_THIS_CPU(book_template);
    if (task->class != HX_TASK_CORE || task->state != HX_TASK_READY)
        return;
    TAILQ_REMOVE(&book->core, task, ready_link);
    core_insert(book, task, false);
    hx_cpu_write(need_resched, 1);
}

/* ---- what the policy is told ---------------------------------------------------------------------------------------- */
void hx_sched_tell_removed(hx_handle_t task)
{
    if (policy_is_open())
        (void)!hx_sched_remove(task); /* one that it does not know is none of our worries */
}

void hx_sched_tell_priority(hx_handle_t task, uint8_t priority)
{
    if (policy_is_open())
        (void)!hx_sched_adjust(task, priority);
}

/* @want becomes true when one of them should replace the running task. False: an operation failed, its task stays. */
static bool tell_inbox(struct book *book, bool *want)
{
    struct hx_task *task;
    while ((task = TAILQ_FIRST(&book->inbox))) {
        inbox_remove(book, task);
        task->told = true;
        policy_enter();
        hx_ret_t answer = hx_sched_ready(task->handle, task->priority, task->news);
        policy_leave();
        if (hx_unlikely(answer < 0)) {
            task->told = false;
            inbox_add(book, task);
            book->stats.bad_answers++;
            return false;
        }
        task->doubted = false;
        task->news = HX_SCHED_WOKEN; /* it is told once that a task is new */
        *want |= answer > 0;
    }
    return true;
}

/* The picked task is done with as far as the policy's books go; what it does not know of it yet comes by the inbox. */
static void settle_picked(struct book *book, const struct hx_task *except)
{
    struct hx_task *picked = book->picked;
    if (picked && picked != except && picked->state == HX_TASK_READY && !picked->told && !picked->in_inbox)
        inbox_add(book, picked);
    book->picked = NULL;
    book->running = HX_HANDLE_NONE;
    book->stop = HX_SCHED_BLOCK;
    book->ran_ns = 0;
}

static inline void set_picked(struct book *book, struct hx_task *task)
{
    task->told = false;
    book->picked = task;
    book->running = task->handle;
    book->stop = STOP_INTERRUPTED; /* until it runs */
    book->ran_ns = 0;
}

/* The core chooses @task, which is ready, whatever the policy thinks; then both agree that it runs. */
static struct hx_task *choose_ourselves(struct book *book, struct hx_task *task)
{
    settle_picked(book, task);
    book->stats.fallbacks++;
    if (task->in_inbox)
        inbox_remove(book, task);
    bool queued = task->told || task->doubted;
    set_picked(book, task);
    policy_rotate(book, task);
    if (!queued)
        return task;
    task->doubted = !policy_is_open();
    if (!task->doubted) {
        policy_enter();
        hx_sched_tell_removed(task->handle);
        hx_sched_tell_priority(task->handle, task->priority);
        policy_leave();
    }
    return task;
}

static struct hx_task *fall_back(struct book *book)
{
    struct hx_task *first = TAILQ_FIRST(&book->policy);
    if (first)
        return choose_ourselves(book, first);
    settle_picked(book, NULL);
    return NULL;
}

/* ---- what the policy is asked --------------------------------------------------------------------------------------- */
static bool any_told(const struct book *book)
{
    const struct hx_task *task;
    TAILQ_FOREACH(task, &book->policy, ready_link)
        if (task->told)
            return true;
    return false;
}

static hx_ret_t ask(struct book *book, hx_handle_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    book->stats.decisions++;
    policy_enter();
    hx_ret_t answer = hx_sched_pick(prev, reason, ran_ns, now_ns);
    policy_leave();
    return answer;
}

/*
 * @answer names no task that was told. Right all the same: no task, while none was told; a ready task that the policy has
 * kept queued from the time when it was not asked. A waiting one of that kind is taken off its queue, and it is asked
 * again. The rest is wrong. @prev: the previous task where it is still ready, else NULL.
 */
static struct hx_task *ask_again(struct book *book, struct hx_task *prev, hx_ret_t answer, uint64_t now_ns)
{
    struct hx_task *task;
    while ((task = hx_task_lookup((hx_handle_t)answer)) && !task->told && task->doubted) {
        task->doubted = false;
        if (task->state == HX_TASK_READY) {
            if (task->in_inbox)
                inbox_remove(book, task);
            return task;
        }
        policy_enter();
        hx_sched_tell_removed(task->handle);
        policy_leave();
        answer = ask(book, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, now_ns);
    }
    if (task && task->told)
        return task;
    if (answer == (hx_ret_t)HX_HANDLE_NONE && !any_told(book))
        return NULL;
    if (policy_is_open())
        book->stats.bad_answers++;
    if (answer > 0) {
        policy_enter();
        hx_sched_tell_removed((hx_handle_t)answer);
        policy_leave();
    } else if (answer < 0 && prev && prev->told) {
        /* Nobody knows whether it was queued before the operation failed. */
        prev->told = false;
        prev->doubted = true;
        inbox_add(book, prev);
    }
    return fall_back(book);
}

/* The policy was asked, and so told that the picked task has stopped. Returns what follows from its answer, picked. */
static struct hx_task *answered(struct book *book, struct hx_task *prev, hx_ret_t answer, uint64_t now_ns)
{
    settle_picked(book, prev);
    struct hx_task *task = ask_again(book, prev, answer, now_ns);
    if (task && task != book->picked)
        set_picked(book, task);
    return task;
}

static struct hx_task *ask_policy(struct book *book, uint64_t now_ns)
{
    struct hx_task *prev = book->stop <= HX_SCHED_YIELD ? book->picked : NULL;
    hx_handle_t running = book->running;
    uint64_t stop = book->stop, ran_ns = book->ran_ns;
    if (prev)
        prev->told = true; /* by this question */
    settle_picked(book, prev);
    return answered(book, prev, ask(book, running, stop, ran_ns, now_ns), now_ns);
}

/* The policy's choice @next stands back for the task that it has let wait too long. */
static struct hx_task *choose_starved(struct book *book, struct hx_task *next)
{
    struct hx_task *task = book->starved;
    book->starved = NULL;
    if (!next || next == task || TAILQ_FIRST(&book->policy) != task)
        return next;
    book->stats.starved++;
    return choose_ourselves(book, task); /* @next was picked: it goes to the inbox */
}

/* A policy task to run, ready and picked, or NULL. */
static struct hx_task *choose_policy(struct book *book, uint64_t now_ns)
{
    bool want = false, open = policy_is_open();
    if (TAILQ_EMPTY(&book->policy) && book->running == HX_HANDLE_NONE)
        return NULL;
    if (open && !tell_inbox(book, &want))
        return fall_back(book);
    if (book->stop == STOP_INTERRUPTED) {
        if (!want)
            return book->picked; /* its turn is not over */
        book->stop = HX_SCHED_PREEMPT;
    }
    if (!open)
        return fall_back(book);
    struct hx_task *next = ask_policy(book, now_ns);
    return book->starved ? choose_starved(book, next) : next;
}

/* Until nothing has become ready meanwhile: interrupts are on during each question. */
static struct hx_task *choose(struct book *book, uint64_t now_ns)
{
    for (;;) {
        hx_cpu_write(need_resched, 0);
        struct hx_task *next = TAILQ_FIRST(&book->core);
        if (!next)
            next = choose_policy(book, now_ns);
        if (!hx_cpu_read(need_resched))
            return next ? next : &book->idle;
    }
}

/* ---- the switch ----------------------------------------------------------------------------------------------------- */
static void slice_expired(struct hx_timer *timer)
{
    struct book *book = HX_THIS_CPU(book_template);
    if (hx_task_current()->class != HX_TASK_POLICY)
        return; /* the next switch to a policy task arms it again */
    book->tick_due = true;
    hx_cpu_write(need_resched, 1);
    hx_timer_arm(timer, hx_hal_clock_ns() + HX_TICK_NS, slice_expired);
}

static void reap(struct book *book)
{
    struct hx_task *dead = book->dead;
    if (!dead)
        return;
    book->dead = NULL;
    if (book->picked == dead)
        book->picked = NULL; /* the policy will hear of its end by the handle */
    book->gone_switches += dead->switches;
    hx_task_free(dead);
}

void hx_sched_reap(void)
{
    reap(HX_THIS_CPU(book_template));
}

/* Interrupts off on both sides. Returns when @prev runs again, on the same CPU. */
static inline void switch_to(struct hx_task *prev, struct hx_task *next, uint64_t now_ns)
{
    next->started_ns = now_ns;
    next->switches++;
    prev->frame = hx_cpu_read(frame);
    hx_cpu_write(frame, next->frame);
    hx_cpu_write(current, next);
    hx_hal_switch(&prev->context, &next->context);
}

static inline void mark(struct hx_task *task, enum hx_task_state state, bool told, bool doubted)
{
    task->state = (uint8_t)state;
    task->told = told;
    task->doubted = doubted;
    task->in_inbox = false;
}

/* @prev has stopped and is in the books; the one to run is found and run. */
static void decide(struct book *book, struct hx_task *prev, uint64_t now_ns)
{
    struct hx_task *next = choose(book, now_ns);
    if (next->class == HX_TASK_CORE) {
        TAILQ_REMOVE(&book->core, next, ready_link);
    } else if (next->class == HX_TASK_POLICY) {
        book->picked = NULL; /* it is the running task from here on */
        next->quick = !next->kill_pending && book->ran_ns == 0;
        if (!book->slice.armed)
            hx_timer_arm(&book->slice, now_ns + HX_TICK_NS, slice_expired);
    }
    mark(next, HX_TASK_RUNNING, false, next->doubted);
    if (next == prev) {
        next->started_ns = now_ns;
        return;
    }
    book->slow_switches++;
    if (book->dead)
        hx_cpu_write(need_resched, 1); /* so that somebody comes by here soon */
    switch_to(prev, next, now_ns);
    reap(book);
}

/* Any task, any reason; @prev's state is set. Interrupts off. */
static __attribute__((noinline)) void stop(struct hx_task *prev, uint64_t reason)
{
    struct book *book = HX_THIS_CPU(book_template);
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    prev->run_ns += ran_ns;
    prev->started_ns = now_ns;
    if (prev->class == HX_TASK_POLICY) {
        book->picked = prev;
        book->running = prev->handle;
        book->stop = reason;
        book->ran_ns += ran_ns;
    }
    decide(book, prev, now_ns);
}

/*
 * give_way()'s question could not be taken at its word. Interrupts off.
 * A slot that is not open did not hear the question: then @prev has merely stopped.
 */
static __attribute__((noinline)) void look_again(struct hx_task *prev, uint64_t reason, uint64_t now_ns,
                                                 hx_ret_t answer)
{
    struct book *book = HX_THIS_CPU(book_template);
    reap(book);
    if (policy_is_open()) {
        book->stats.decisions++;
        (void)answered(book, reason == HX_SCHED_YIELD ? prev : NULL, answer, now_ns);
    } else {
        prev->told = false;
        book->picked = prev;
        book->running = prev->handle;
        book->stop = prev->state == HX_TASK_READY ? HX_SCHED_YIELD : reason;
        book->ran_ns = now_ns - prev->started_ns;
    }
    decide(book, prev, now_ns);
}

/* A quick task stops for @reason; it is in the books. Interrupts on and preemption off on entry, the reverse on return. */
static inline __attribute__((always_inline)) void give_way(struct hx_task *prev, uint64_t reason)
{
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    prev->run_ns += ran_ns;
    hx_ret_t answer = hx_sched_pick(prev->handle, reason, ran_ns, now_ns);
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    struct hx_task *next = hx_task_lookup((hx_handle_t)answer);
    if (hx_unlikely(!next || !next->told || hx_cpu_read(need_resched)))
        look_again(prev, reason, now_ns, answer);
    else {
        mark(next, HX_TASK_RUNNING, false, false);
        switch_to(prev, next, now_ns);
    }
}

void hx_sched_stop_waiting(struct hx_task *task, enum hx_task_state state)
{
    task->state = (uint8_t)state;
    if (task->class == HX_TASK_POLICY)
        TAILQ_REMOVE(&HX_THIS_CPU(book_template)->policy, task, ready_link);
    if (hx_unlikely(!task->quick)) {
        stop(task, HX_SCHED_BLOCK);
        return;
    }
    hx_cpu_add32(preempt_off, 1);
    hx_irq_enable();
    give_way(task, HX_SCHED_BLOCK);
}

_Noreturn void hx_sched_stop_dead(struct hx_task *task)
{
    struct book *book = HX_THIS_CPU(book_template);
    reap(book);
    book->dead = task;
    if (task->class == HX_TASK_POLICY)
        TAILQ_REMOVE(&book->policy, task, ready_link);
    hx_cpu_write(preempt_off, 0);
    stop(task, HX_SCHED_EXIT);
    __builtin_unreachable();
}

static __attribute__((noinline)) void yield_slowly(struct hx_task *task)
{
    hx_irq_disable();
    if (task->kill_pending && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    if (task->class != HX_TASK_IDLE)
        task->state = HX_TASK_READY;
    if (task->class == HX_TASK_CORE)
        core_insert(HX_THIS_CPU(book_template), task, false);
    stop(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

void hx_task_yield(void)
{
    struct hx_task *task = hx_task_current();
    if (hx_unlikely(!task->quick)) {
        yield_slowly(task);
        return;
    }
    hx_cpu_add32(preempt_off, 1);
    mark(task, HX_TASK_READY, true, false); /* told by the question that follows */
    give_way(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

/* ---- preemption ----------------------------------------------------------------------------------------------------- */
/*
 * Each tick looks at one task, so everybody comes by in time. One that woke is not stamped by the wake, which would cost a
 * reading of the clock, but by the first look at it.
 */
static bool anybody_starves(struct book *book, uint64_t now_ns)
{
    struct hx_task *task = TAILQ_FIRST(&book->policy);
    if (task->state != HX_TASK_READY || task->started_ns == 0) {
        if (task->state == HX_TASK_READY)
            task->started_ns = now_ns;
        policy_rotate(book, task);
        return false;
    }
    bool starves = now_ns - task->started_ns >= HX_SCHED_STARVE_NS;
    if (starves)
        book->starved = task; /* stays at the head */
    else
        policy_rotate(book, task);
    return starves;
}

/* The running task's account up to now, as if it had been started now. */
static void account(struct book *book, struct hx_task *task, uint64_t now_ns)
{
    uint64_t ran_ns = now_ns - task->started_ns;
    task->run_ns += ran_ns;
    task->started_ns = now_ns;
    task->quick = false; /* until it is picked again: ran_ns is more than can be seen from started_ns */
    book->ran_ns += ran_ns;
}

static bool tick_wants(struct book *book, struct hx_task *task)
{
    uint64_t now_ns = hx_hal_clock_ns();
    account(book, task, now_ns);
    policy_enter();
    hx_ret_t answer = hx_sched_tick(task->handle, book->ran_ns);
    policy_leave();
    if (answer < 0)
        book->stats.bad_answers++;
    return anybody_starves(book, now_ns) || answer != 0;
}

/* Whether the policy task that runs should be replaced by another policy task. */
static bool policy_wants(struct book *book, struct hx_task *task)
{
    bool tick = book->tick_due, want = false;
    book->tick_due = false;
    if (!policy_is_open())
        return tick;
    if (!tell_inbox(book, &want))
        want = true; /* the question that follows falls back */
    return (tick && tick_wants(book, task)) || want;
}

static void preempt_policy(struct book *book, struct hx_task *task)
{
    if (hx_unlikely(task->kill_pending) && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    bool want = TAILQ_EMPTY(&book->core) && policy_wants(book, task);
    if (!want && TAILQ_EMPTY(&book->core))
        return;
    task->state = HX_TASK_READY;
    stop(task, want ? HX_SCHED_PREEMPT : STOP_INTERRUPTED);
}

/* Interrupts off, preemption on, outside interrupts. */
static void preempt(void)
{
    struct book *book = HX_THIS_CPU(book_template);
    struct hx_task *task = hx_task_current();
    hx_cpu_write(need_resched, 0);
    reap(book);
    switch (task->class) {
    case HX_TASK_POLICY: preempt_policy(book, task); break;
    case HX_TASK_CORE:
        if (TAILQ_EMPTY(&book->core) || TAILQ_FIRST(&book->core)->priority <= task->priority)
            break;
        task->state = HX_TASK_READY;
        core_insert(book, task, true);
        stop(task, HX_SCHED_PREEMPT);
        break;
    case HX_TASK_IDLE: stop(task, HX_SCHED_PREEMPT); break;
    }
}

void hx_sched_point(void)
{
    if (!hx_cpu_read(need_resched) || hx_cpu_read(preempt_off) || hx_cpu_read(irq_depth) || !hx_irq_enabled())
        return;
    hx_irq_disable();
    preempt();
    hx_irq_enable();
}

void hx_preempt_enable(void)
{
    hx_cpu_add32(preempt_off, -1);
    hx_sched_point();
}

void hx_entry_irq_exit(void)
{
    if (hx_cpu_read(need_resched) && !hx_cpu_read(preempt_off))
        preempt();
}

void hx_entry_timer(void)
{
    hx_timer_run(hx_hal_clock_ns());
}

/* ---- start, idle, policies that come and go --------------------------------------------------------------------------- */
void hx_sched_init(void)
{
    struct book *book = HX_THIS_CPU(book_template);
    TAILQ_INIT(&book->core);
    TAILQ_INIT(&book->policy);
    TAILQ_INIT(&book->inbox);
    book->stop = HX_SCHED_BLOCK;
    policy_slot = hx_slot_info(&hx_slots[HX_SLOT_hx_sched]);
}

struct hx_task *hx_sched_idle_task(void)
{
    return &HX_THIS_CPU(book_template)->idle;
}

_Noreturn void hx_task_idle(void)
{
    for (;;) {
        hx_irq_disable();
        if (hx_cpu_read(need_resched))
            preempt();
        hx_hal_idle();
    }
}

/* Whoever provides the slot next may have it queued, if it comes with a state of an earlier time. */
static bool forget(struct hx_task *task, void *context)
{
    (void)context;
    task->told = false;
    task->doubted = task->class == HX_TASK_POLICY;
    return true;
}

/* Interrupts off. */
static void forget_all(struct book *book)
{
    hx_task_for_each(forget, NULL);
    while (!TAILQ_EMPTY(&book->inbox))
        inbox_remove(book, TAILQ_FIRST(&book->inbox));
    book->picked = NULL;
    book->running = HX_HANDLE_NONE;
    book->stop = HX_SCHED_BLOCK;
    struct hx_task *task;
    TAILQ_FOREACH(task, &book->policy, ready_link) {
        if (task->state == HX_TASK_READY)
            inbox_add(book, task);
    }
}

void hx_sched_forget_all(void)
{
    hx_irq_flags_t flags = hx_irq_save();
    forget_all(HX_THIS_CPU(book_template));
    hx_irq_restore(flags);
}

void hx_sched_announce_all(void)
{
    bool want = false;
    hx_irq_flags_t flags = hx_irq_save();
    struct book *book = HX_THIS_CPU(book_template);
    forget_all(book);
    if (policy_is_open())
        (void)tell_inbox(book, &want);
    if (want)
        hx_cpu_write(need_resched, 1);
    hx_irq_restore(flags);
}

static bool add_switches(struct hx_task *task, void *sum)
{
    *(uint64_t *)sum += task->switches;
    return true;
}

/* A quick switch is counted once, at its task: it was asked for, and it was made. */
void hx_sched_stats(struct hx_sched_stats *out)
{
    hx_irq_flags_t flags = hx_irq_save();
    const struct book *book = HX_THIS_CPU(book_template);
    uint64_t switches = book->gone_switches;
    hx_task_for_each(add_switches, &switches);
    *out = book->stats;
    out->switches = switches;
    out->decisions += switches - book->slow_switches;
    hx_irq_restore(flags);
}
