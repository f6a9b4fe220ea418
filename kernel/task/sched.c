/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs next, and the switch to it.
 *
 * Ready core tasks come first, by priority; then what policy.c finds among the policy tasks; then the idle task.
 *
 * Most stops and wakes take the short way in schedule.h; for the others decide() has the whole story.
 *
 * Context: a CPU's book is changed by that CPU alone, with interrupts off; what others want of it stands in its mailbox.
 * Cost:    constant for policy tasks; core tasks are few, and kept sorted.
 */
#include "schedule.h"

#include <hal/hx_hal_entry.h>

struct hx_sched_book hx_sched_book_template HX_PERCPU;
const struct hx_slot_info *hx_sched_slot;
static void (*idle_changed)(bool idle);
static uint64_t (*owner_ran)(void *owner, uint64_t ran_ns, uint64_t now_ns);

/* ---- lists ---------------------------------------------------------------------------------------------------------- */
/* @first: in front of its equals, because it did not give way by itself. */
static void core_insert(struct hx_sched_book *book, struct hx_task *task, bool first)
{
    struct hx_task *before;
    TAILQ_FOREACH_REVERSE(before, &book->core, hx_task_list, core_link)
        if (before->priority > task->priority || (!first && before->priority == task->priority))
            break;
    if (before)
        TAILQ_INSERT_AFTER(&book->core, before, task, core_link);
    else
        TAILQ_INSERT_HEAD(&book->core, task, core_link);
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

void hx_sched_ready_remove(struct hx_task *task)
{
    struct hx_sched_book *book = hx_sched_book();
    book->gone_switches += task->switches;
    book->tasks--;
    (void)hx_sched_policy_remove(book, task);
}

void hx_sched_reorder(struct hx_task *task)
{
    struct hx_sched_book *book = hx_sched_book();
    if (task->class != HX_TASK_CORE || task->state > HX_TASK_RUNNING)
        return;
    hx_cpu_write(need_resched, 1);
    if (task->state == HX_TASK_RUNNING)
        return;
    TAILQ_REMOVE(&book->core, task, core_link);
    core_insert(book, task, false);
}

/* What stopped for good, or for another CPU, and does not stand on its stack any more. */
static void reap(struct hx_sched_book *book)
{
    const struct hx_task *current = hx_task_current();
    struct hx_task *dead = book->dead, *leaving = book->leaving;
    if (hx_unlikely(leaving) && leaving != current) {
        book->leaving = NULL;
        book->tasks--;
        hx_sched_take_back(book, leaving->handle);
        hx_sched_tell_removed(leaving->handle);
        hx_sched_send(leaving, hx_sched_one_of(leaving->allowed & hx_sched_online));
    }
    if (book->leaving || dead == current)
        book->to_do = true; /* another time */
    if (!dead || dead == current)
        return;
    book->dead = NULL;
    hx_handle_t gone = book->running;
    if (gone != HX_HANDLE_NONE && &hx_tasks[hx_handle_index(gone)] == dead) {
        /* The policy, which a core task has kept from being asked, hears of its end before its index is another's. */
        (void)hx_sched_take_back(book, gone);
        hx_sched_tell_removed(gone);
    }
    if (dead->class == HX_TASK_POLICY)
        book->tasks--;
    book->gone_switches += dead->switches;
    hx_task_free(dead);
}

/* What came up meanwhile, and what other CPUs want of this one: at a moment when the policy may be called. */
static __attribute__((noinline)) void attend_now(struct hx_sched_book *book)
{
    __atomic_store_n(&book->to_do, false, __ATOMIC_SEQ_CST); /* before it is looked at */
    reap(book);
    if (__atomic_load_n(&book->forget_due, __ATOMIC_RELAXED))
        hx_sched_forget(book);
    if (__atomic_load_n(&book->errands, __ATOMIC_RELAXED))
        hx_sched_do_errands(book);
}

static inline void attend(struct hx_sched_book *book)
{
    if (hx_unlikely(__atomic_load_n(&book->to_do, __ATOMIC_RELAXED)))
        attend_now(book);
}

void hx_sched_attend(struct hx_sched_book *book)
{
    attend(book);
}

/* Until nothing has become ready meanwhile: interrupts are on during each question. */
static struct hx_task *choose(struct hx_sched_book *book, uint64_t now_ns)
{
    for (;;) {
        hx_cpu_write(need_resched, 0);
        attend(book);
        struct hx_task *next = TAILQ_FIRST(&book->core);
        if (!next)
            next = hx_sched_choose_policy(book, now_ns);
        if (next && hx_unlikely(hx_sched_idle))
            hx_sched_share(book, next);
        if (!hx_cpu_read(need_resched))
            return next ? next : book->idle;
    }
}

/* ---- the switch ----------------------------------------------------------------------------------------------------- */
static bool is_misplaced(const struct hx_task *task)
{
    return !(task->allowed & 1u << task->cpu);
}

static void slice_expired(struct hx_timer *timer)
{
    struct hx_sched_book *book = hx_sched_book();
    if (hx_task_current()->class == HX_TASK_IDLE) {
        (void)hx_timer_disarm(timer); /* the next switch to another task arms it again */
        return;
    }
    hx_cpu_add32(ticks, 1);
    book->tick_due = true;
    hx_cpu_write(need_resched, 1);
}

void hx_sched_reap(void)
{
    reap(hx_sched_book());
}

/* @task has an owner, and has run for @run_ns in all. Returns until when it is to sleep, or 0. */
static __attribute__((noinline, cold)) uint64_t tell_owner(struct hx_task *task, uint64_t run_ns, uint64_t now_ns)
{
    uint64_t ran_ns = run_ns - task->told_ns;
    task->told_ns = run_ns;
    return owner_ran ? owner_ran(task->owner, ran_ns, now_ns) : 0;
}

/* The running task, which has an owner, sleeps for as long as it is to. Returns whether it has slept: it may be elsewhere. */
static __attribute__((noinline, cold)) bool throttle(struct hx_task *task)
{
    bool slept = false;
    for (;;) {
        uint64_t now_ns = hx_hal_clock_ns();
        uint64_t until_ns = tell_owner(task, task->run_ns + now_ns - task->started_ns, now_ns);
        if (!until_ns || task->held || task->kill_pending)
            return slept;
        task->heed |= HX_TASK_SLOW; /* it does not stop by itself */
        if (until_ns > now_ns + HX_THROTTLE_NS)
            until_ns = now_ns + HX_THROTTLE_NS;
        if (hx_task_sleep_until(until_ns) != HX_OK)
            return true;
        slept = true;
    }
}

/* @prev has stopped and is in the books; the one to run is found and run. */
static void decide(struct hx_sched_book *book, struct hx_task *prev, uint64_t now_ns)
{
    if (hx_unlikely(prev->owner != NULL))
        (void)tell_owner(prev, prev->run_ns, now_ns);
    struct hx_task *next = choose(book, now_ns);
    if (next->class == HX_TASK_CORE) {
        TAILQ_REMOVE(&book->core, next, core_link);
    } else if (next->class == HX_TASK_POLICY) {
        book->picked = NULL; /* it is the running task from here on */
        next->heed = next->kill_pending || book->ran_ns != 0 || is_misplaced(next) ? HX_TASK_SLOW : HX_TASK_QUICK;
    }
    if (next != book->idle && !book->slice.armed)
        hx_timer_arm_every(&book->slice, now_ns + HX_TICK_NS, HX_TICK_NS, slice_expired);
    hx_sched_mark(next, HX_TASK_RUNNING, false, next->doubted);
    if (next == prev) {
        next->started_ns = now_ns;
        return;
    }
    book->slow_switches++;
    if (book->dead || book->leaving)
        hx_cpu_write(need_resched, 1); /* so that somebody comes by here soon */
    hx_sched_switch_to(prev, next, now_ns);
    attend(hx_sched_book()); /* perhaps another CPU's by now */
}

/* @handle is that of @prev, which may be dead. */
static void policy_stopped(struct hx_sched_book *book, struct hx_task *prev, hx_handle_t handle, uint64_t reason,
                           uint64_t ran_ns)
{
    if (!prev->kill_pending && !is_misplaced(prev))
        prev->heed = HX_TASK_QUICK; /* when next it is picked, and not just goes on */
    if (hx_unlikely(prev->state == HX_TASK_READY && is_misplaced(prev))) {
        reap(book);
        hx_task_ring_remove(&prev->ring);
        prev->news = HX_SCHED_WOKEN;
        book->leaving = prev; /* when nothing runs on its stack any more */
        book->to_do = true;
        reason = HX_SCHED_BLOCK;
    }
    book->picked = book->leaving == prev ? NULL : prev;
    book->running = handle;
    book->stop = reason;
    book->ran_ns += ran_ns;
}

static void stop_as(struct hx_task *prev, hx_handle_t handle, uint64_t reason)
{
    struct hx_sched_book *book = hx_sched_book();
    if (prev->heed & HX_TASK_NEWS)
        hx_sched_news_to_inbox(book, prev);
    uint64_t now_ns = hx_hal_clock_ns();
    uint64_t ran_ns = now_ns - prev->started_ns;
    prev->run_ns += ran_ns;
    prev->started_ns = now_ns;
    if (prev->class == HX_TASK_POLICY)
        policy_stopped(book, prev, handle, reason, ran_ns);
    decide(book, prev, now_ns);
}

void hx_sched_stop(struct hx_task *prev, uint64_t reason)
{
    stop_as(prev, prev->handle, reason);
}

/* Another than @woken was chosen, and nothing else happened: a switch like any other. */
static bool switch_to_chosen(struct hx_task *prev, uint64_t now_ns, hx_ret_t answer)
{
    struct hx_task *next = hx_task_lookup((hx_handle_t)answer);
    if (!next || !hx_task_is_told_here(next) || hx_cpu_read(need_resched))
        return false;
    hx_sched_mark(next, HX_TASK_RUNNING, false, false);
    hx_sched_switch_to(prev, next, now_ns);
    return true;
}

/*
 * A slot that is not open, or has no such operation, did not hear the question: then @prev has merely stopped, and @woken
 * is still to be told. Until the answer is in the books the policy is called for nothing else: that may wait for a swap.
 */
void hx_sched_look_again(struct hx_task *prev, uint64_t reason, uint64_t now_ns, hx_ret_t answer, struct hx_task *woken)
{
    struct hx_sched_book *book = hx_sched_book();
    bool heard = !hx_sched_is_unheard(answer) && !(woken && answer == HX_E_UNSUPPORTED);
    if (woken) {
        if (reason == HX_SCHED_BLOCK)
            hx_task_ring_remove(&woken->ring);
        hx_sched_told_with_question(book, woken, heard, answer);
        if (heard && switch_to_chosen(prev, now_ns, answer))
            return;
    }
    if (hx_unlikely(__atomic_load_n(&book->forget_due, __ATOMIC_RELAXED))) {
        hx_sched_forget(book); /* whoever answered does not answer for this any more */
    } else if (heard) {
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

_Noreturn void hx_sched_stop_dead(struct hx_task *task, hx_handle_t handle)
{
    struct hx_sched_book *book = hx_sched_book();
    book->dead = task;
    book->to_do = true;
    if (task->class == HX_TASK_POLICY)
        hx_task_ring_remove(&task->ring);
    hx_cpu_write(preempt_off, 0);
    stop_as(task, handle, HX_SCHED_EXIT);
    __builtin_unreachable();
}

/* Preemption off on entry, on on return. */
static __attribute__((noinline)) void yield_slowly(struct hx_task *task)
{
    hx_irq_disable();
    if (task->heed == HX_TASK_NEWS) {
        task->heed = HX_TASK_QUICK;
        hx_sched_mark(task, HX_TASK_READY, true, false);
        hx_irq_enable();
        hx_sched_give_way_with_news(task, HX_SCHED_YIELD);
        hx_irq_enable();
        return;
    }
    hx_cpu_add32(preempt_off, -1);
    if (task->kill_pending && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    if (task->class != HX_TASK_IDLE)
        task->state = HX_TASK_READY;
    if (task->class == HX_TASK_CORE)
        core_insert(hx_sched_book(), task, false);
    hx_sched_stop(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

void hx_task_yield(void)
{
    struct hx_task *task = hx_task_current();
    hx_cpu_add32(preempt_off, 1); /* before it is looked whether it is quick: a tick takes that away, */
    task->state = HX_TASK_READY;  /* and so does a wake, but not of one that is not running */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (hx_unlikely(task->heed != HX_TASK_QUICK)) {
        task->state = HX_TASK_RUNNING;
        yield_slowly(task);
        return;
    }
    hx_sched_mark(task, HX_TASK_READY, true, false); /* told by the question that follows */
    hx_sched_give_way(task, HX_SCHED_YIELD);
    hx_irq_enable();
}

static void preempt_policy(struct hx_sched_book *book, struct hx_task *task)
{
    if (hx_unlikely(task->kill_pending) && !hx_gate_frame())
        hx_task_exit(HX_E_KILLED);
    if (hx_unlikely(task->owner != NULL) && throttle(task))
        return;
    bool want = is_misplaced(task) || (TAILQ_EMPTY(&book->core) && hx_sched_policy_wants(book, task));
    if (!want && TAILQ_EMPTY(&book->core)) {
        if (hx_unlikely(hx_sched_idle))
            hx_sched_share(book, task);
        return;
    }
    task->state = HX_TASK_READY;
    hx_sched_stop(task, want ? HX_SCHED_PREEMPT : HX_SCHED_INTERRUPTED);
}

static void set_idle(bool idle)
{
    struct hx_sched_book *book = hx_sched_book();
    uint32_t bit = 1u << hx_cpu_read(id);
    if (idle)
        __atomic_or_fetch(&hx_sched_idle, bit, __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&hx_sched_idle, ~bit, __ATOMIC_SEQ_CST);
    if (idle_changed && book->idling != idle)
        idle_changed(idle);
    book->idling = idle;
}

/* Interrupts off, preemption on, outside interrupts. */
static void preempt(void)
{
    struct hx_sched_book *book = hx_sched_book();
    struct hx_task *task = hx_task_current();
    hx_cpu_write(need_resched, 0);
    attend(book);
    switch (task->class) {
    case HX_TASK_POLICY: preempt_policy(book, task); break;
    case HX_TASK_CORE:
        if (TAILQ_EMPTY(&book->core) || TAILQ_FIRST(&book->core)->priority <= task->priority)
            break;
        task->state = HX_TASK_READY;
        core_insert(book, task, true);
        hx_sched_stop(task, HX_SCHED_PREEMPT);
        break;
    case HX_TASK_IDLE:
        set_idle(false);
        hx_sched_stop(task, HX_SCHED_PREEMPT);
        break;
    }
}

/* Once more for what came while the policy was asked. */
static void preempt_until_settled(void)
{
    do
        preempt();
    while (hx_unlikely(hx_cpu_read(need_resched)));
}

void hx_sched_switch_if_possible(void)
{
    if (hx_cpu_read(preempt_off) || hx_cpu_read(irq_depth) || !hx_irq_enabled())
        return;
    hx_irq_disable();
    preempt_until_settled();
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
        preempt_until_settled();
}

void hx_entry_timer(uint64_t now_ns)
{
    hx_timer_run(now_ns);
}

/* ---- start, idle ---------------------------------------------------------------------------------------------------- */
void hx_sched_init(struct hx_task *idle)
{
    struct hx_sched_book *book = hx_sched_book();
    uint32_t cpu = hx_cpu_read(id);
    TAILQ_INIT(&book->core);
    hx_task_ring_init(&book->policy);
    TAILQ_INIT(&book->inbox);
    book->stop = HX_SCHED_BLOCK;
    book->idle = idle;
    book->where = cpu << 8;
    book->told_here = (uint16_t)(1 | cpu << 8);
    book->policy_here = (uint16_t)(cpu | HX_TASK_POLICY << 8);
    hx_sched_slot = hx_slot_info(&hx_slots[HX_SLOT_hx_sched]);
    __atomic_or_fetch(&hx_sched_online, 1u << cpu, __ATOMIC_SEQ_CST);
}

void hx_task_bind_idle(void (*changed)(bool idle))
{
    idle_changed = changed;
}

void hx_task_bind_owners(uint64_t (*ran)(void *owner, uint64_t ran_ns, uint64_t now_ns))
{
    owner_ran = ran;
}

_Noreturn void hx_task_idle(void)
{
    for (;;) {
        hx_irq_disable();
        if (hx_cpu_read(need_resched))
            preempt_until_settled();
        set_idle(true);
        if (hx_cpu_read(need_resched)) /* who still thought it busy has poked it all the same */
            continue;
        hx_hal_idle();
    }
}

_Noreturn void hx_entry_cpu(void)
{
    if (hx_task_init() != HX_OK)
        hx_hal_halt();
    hx_irq_enable();
    hx_task_idle();
}

/* ---- for a person --------------------------------------------------------------------------------------------------- */
struct switches {
    uint32_t cpu;
    uint64_t sum;
};

static bool add_switches(struct hx_task *task, void *context)
{
    struct switches *switches = context;
    if (task->cpu == switches->cpu)
        switches->sum += task->switches;
    return true;
}

/* A quick switch is counted once, at its task: it was asked for, and it was made. A task takes its count along. */
void hx_sched_stats_of(uint32_t cpu, struct hx_sched_stats *out)
{
    hx_irq_flags_t flags = hx_irq_save();
    const struct hx_sched_book *book = hx_sched_book_of(cpu);
    struct switches switches = { .cpu = cpu, .sum = book->gone_switches };
    hx_task_for_each(add_switches, &switches);
    *out = book->stats;
    out->switches = switches.sum;
    if (switches.sum > book->slow_switches)
        out->decisions += switches.sum - book->slow_switches;
    hx_irq_restore(flags);
}

void hx_sched_stats(struct hx_sched_stats *out)
{
    struct hx_sched_stats one;
    *out = (struct hx_sched_stats){ 0 };
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++) {
        hx_sched_stats_of(cpu, &one);
        out->decisions += one.decisions;
        out->fallbacks += one.fallbacks;
        out->bad_answers += one.bad_answers;
        out->starved += one.starved;
        out->switches += one.switches;
    }
}
