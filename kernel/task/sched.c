/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs next, and the switch to it.
 *
 * Ready core tasks come first, by priority; then what policy.c finds among the policy tasks; then the idle task.
 *
 * Most stops are of a policy task that yields or waits while nothing else goes on. give_way() asks the policy at once, and
 * looks only afterwards, once, whether anything did: need_resched is set by whatever adds to a list or to the inbox. Then,
 * and for every other kind of stop, decide() has the whole story.
 *
 * Context: a CPU's book is changed by that CPU alone, with interrupts off.
 * Cost:    constant for policy tasks; core tasks are few, and kept sorted.
 */
#include "schedule.h"

#include <hal/hx_hal_entry.h>

struct hx_sched_book hx_sched_book_template HX_PERCPU;
const struct hx_slot_info *hx_sched_slot;

/* ---- lists ---------------------------------------------------------------------------------------------------------- */
/* @first: in front of its equals, because it did not give way by itself. */
static void core_insert(struct hx_sched_book *book, struct hx_task *task, bool first)
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

void hx_sched_ready_add(struct hx_task *task, enum hx_sched_reason news)
{
    struct hx_sched_book *book = hx_sched_book();
    task->state = HX_TASK_READY;
    hx_cpu_write(need_resched, 1);
    if (task->class == HX_TASK_CORE) {
        core_insert(book, task, false);
        return;
    }
    hx_sched_policy_add(book, task, news);
}

bool hx_sched_ready_remove(struct hx_task *task)
{
    struct hx_sched_book *book = hx_sched_book();
    book->gone_switches += task->switches;
    return hx_sched_policy_remove(book, task);
}

void hx_sched_reorder(struct hx_task *task)
{
    struct hx_sched_book *book = hx_sched_book();
    if (task->class != HX_TASK_CORE || task->state > HX_TASK_RUNNING)
        return;
    hx_cpu_write(need_resched, 1);
    if (task->state == HX_TASK_RUNNING)
        return;
    TAILQ_REMOVE(&book->core, task, ready_link);
    core_insert(book, task, false);
}

/* Until nothing has become ready meanwhile: interrupts are on during each question. */
static struct hx_task *choose(struct hx_sched_book *book, uint64_t now_ns)
{
    for (;;) {
        hx_cpu_write(need_resched, 0);
        struct hx_task *next = TAILQ_FIRST(&book->core);
        if (!next)
            next = hx_sched_choose_policy(book, now_ns);
        if (!hx_cpu_read(need_resched))
            return next ? next : &book->idle;
    }
}

/* ---- the switch ----------------------------------------------------------------------------------------------------- */
static void slice_expired(struct hx_timer *timer)
{
    struct hx_sched_book *book = hx_sched_book();
    if (hx_task_current()->class != HX_TASK_POLICY)
        return; /* the next switch to a policy task arms it again */
    book->tick_due = true;
    hx_cpu_write(need_resched, 1);
    hx_timer_arm(timer, hx_hal_clock_ns() + HX_TICK_NS, slice_expired);
}

static void reap(struct hx_sched_book *book)
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
    reap(hx_sched_book());
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
static void decide(struct hx_sched_book *book, struct hx_task *prev, uint64_t now_ns)
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
    struct hx_sched_book *book = hx_sched_book();
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
    struct hx_sched_book *book = hx_sched_book();
    reap(book);
    if (hx_sched_is_open()) {
        book->stats.decisions++;
        (void)hx_sched_answered(book, reason == HX_SCHED_YIELD ? prev : NULL, answer, now_ns);
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
        TAILQ_REMOVE(&hx_sched_book()->policy, task, ready_link);
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
    struct hx_sched_book *book = hx_sched_book();
    reap(book);
    book->dead = task;
    if (task->class == HX_TASK_POLICY)
        TAILQ_REMOVE(&book->policy, task, ready_link);
    hx_cpu_write(preempt_off, 0);
    stop(task, HX_SCHED_EXIT);
    __builtin_unreachable();
}

/* Preemption off on entry, on on return. */
static __attribute__((noinline)) void yield_slowly(struct hx_task *task)
{
    hx_irq_disable();
    hx_cpu_add32(preempt_off, -1);
    if (task->kill_pending && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    if (task->class != HX_TASK_IDLE)
        task->state = HX_TASK_READY;
    if (task->class == HX_TASK_CORE)
        core_insert(hx_sched_book(), task, false);
    stop(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

void hx_task_yield(void)
{
    struct hx_task *task = hx_task_current();
    hx_cpu_add32(preempt_off, 1); /* before it is looked whether it is quick: a tick takes that away */
    if (hx_unlikely(!task->quick)) {
        yield_slowly(task);
        return;
    }
    mark(task, HX_TASK_READY, true, false); /* told by the question that follows */
    give_way(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

static void preempt_policy(struct hx_sched_book *book, struct hx_task *task)
{
    if (hx_unlikely(task->kill_pending) && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    bool want = TAILQ_EMPTY(&book->core) && hx_sched_policy_wants(book, task);
    if (!want && TAILQ_EMPTY(&book->core))
        return;
    task->state = HX_TASK_READY;
    stop(task, want ? HX_SCHED_PREEMPT : HX_SCHED_INTERRUPTED);
}

/* Interrupts off, preemption on, outside interrupts. */
static void preempt(void)
{
    struct hx_sched_book *book = hx_sched_book();
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
    struct hx_sched_book *book = hx_sched_book();
    TAILQ_INIT(&book->core);
    TAILQ_INIT(&book->policy);
    TAILQ_INIT(&book->inbox);
    book->stop = HX_SCHED_BLOCK;
    hx_sched_slot = hx_slot_info(&hx_slots[HX_SLOT_hx_sched]);
}

struct hx_task *hx_sched_idle_task(void)
{
    return &hx_sched_book()->idle;
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

static bool add_switches(struct hx_task *task, void *sum)
{
    *(uint64_t *)sum += task->switches;
    return true;
}

/* A quick switch is counted once, at its task: it was asked for, and it was made. */
void hx_sched_stats(struct hx_sched_stats *out)
{
    hx_irq_flags_t flags = hx_irq_save();
    const struct hx_sched_book *book = hx_sched_book();
    uint64_t switches = book->gone_switches;
    hx_task_for_each(add_switches, &switches);
    *out = book->stats;
    out->switches = switches;
    out->decisions += switches - book->slow_switches;
    hx_irq_restore(flags);
}
