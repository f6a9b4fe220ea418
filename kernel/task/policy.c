/* SPDX-License-Identifier: MIT */
/*
 * policy.c - the second opinion: what the policy is told and asked, and what is made of its answers.
 *
 * The truth about the policy class is the core's list: every policy task that is ready or runs stands in it. The policy
 * has queues of its own, and the core keeps book of what it has been told:
 *   told     the policy has the task queued;
 *   inbox    ready, and the policy does not know: to be told before the next question;
 *   running  the handle that the policy believes to run (it was picked, and no later pick named it as prev), and
 *   picked   its task while that lives: kept only while no policy task runs. It may be ready: a core task interrupted
 *            it, which is none of the policy's business.
 * An answer is right when it names a task that was told. Everything else is looked into by ask_again().
 *
 * A wake that the policy may hear of later (HX_SCHED_LATER) is kept by the running task, one at a time, and told with the
 * question of its stop; whatever else is told or asked before that sends it to the inbox first.
 *
 * Two events that would make the books disagree are told as something equivalent: a picked task that stopped and woke
 * before the policy was asked has yielded; one that is gone before it was asked is removed, because its index may soon be
 * another's.
 *
 * Context: interrupts off on entry and on return. Operations of the policy run with interrupts on and preemption off, so
 *          that meanwhile interrupts can add to the lists and to the inbox, and nothing else can change.
 * Cost:    constant, but for announcing and for an answer of "none" that is doubtful.
 */
#include "schedule.h"

#include <hal/hx_lock.h>

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

static void policy_rotate(struct hx_sched_book *book, struct hx_task *task)
{
    hx_task_ring_remove(&task->ring);
    hx_task_ring_add(&book->policy, &task->ring);
}

void hx_sched_inbox_add(struct hx_sched_book *book, struct hx_task *task)
{
    TAILQ_INSERT_TAIL(&book->inbox, task, inbox_link);
    task->in_inbox = true;
}

static void inbox_remove(struct hx_sched_book *book, struct hx_task *task)
{
    TAILQ_REMOVE(&book->inbox, task, inbox_link);
    task->in_inbox = false;
}

void hx_sched_news_to_inbox(struct hx_sched_book *book, struct hx_task *task)
{
    struct hx_task *woken = task->woke;
    task->heed &= (uint8_t)~HX_TASK_NEWS;
    woken->news = HX_SCHED_WOKEN;
    woken->started_ns = 0;
    hx_task_ring_add(&book->policy, &woken->ring);
    hx_sched_inbox_add(book, woken);
}

void hx_sched_policy_add(struct hx_sched_book *book, struct hx_task *task, enum hx_sched_reason news)
{
    struct hx_task *current = hx_task_current();
    if (current->heed & HX_TASK_NEWS)
        hx_sched_news_to_inbox(book, current); /* it woke first */
    hx_task_ring_add(&book->policy, &task->ring);
    task->news = (uint8_t)news;
    if (task != current)
        task->started_ns = 0; /* one that is just stopping has its time still to be told */
    if (task == book->picked)
        book->stop = HX_SCHED_YIELD; /* its stop has not been told, so neither need its return be */
    else
        hx_sched_inbox_add(book, task);
}

bool hx_sched_policy_remove(struct hx_sched_book *book, struct hx_task *task)
{
    struct hx_task *current = hx_task_current();
    bool told = task->told || task->doubted;
    if (current->heed & HX_TASK_NEWS && current->woke == task)
        hx_sched_news_to_inbox(book, current);
    if (task->state == HX_TASK_READY)
        hx_task_ring_remove(&task->ring);
    if (task->in_inbox)
        inbox_remove(book, task);
    if (task == book->picked) {
        book->picked = NULL;
        book->stop = HX_SCHED_EXIT;
        told = false; /* the next question says that it is gone */
    }
    task->told = task->doubted = false;
    return told;
}

/* ---- while it is being replaced -------------------------------------------------------------------------------------- */
/*
 * While a swap has the slot closed, who must ask waits, with interrupts on, until it is open: the worker, who closed it, is
 * on CPU 0 and not preempted, so it is never CPU 0 that waits.
 */
static bool is_being_swapped(void)
{
    return hx_sched_slot_state() == HX_SLOT_CLOSED && hx_cpu_read(id) != 0;
}

static __attribute__((noinline)) void wait_for_swap_now(void)
{
    policy_enter();
    while (hx_sched_slot_state() == HX_SLOT_CLOSED)
        hx_cpu_relax();
    policy_leave();
}

static inline void wait_for_swap(void)
{
    if (hx_unlikely(is_being_swapped()))
        wait_for_swap_now();
}

/* ---- for the audit -------------------------------------------------------------------------------------------------- */
#if HX_CHECKS
uint32_t hx_sched_estranged;
static bool is_provided;
#endif

/* A first provider believes nothing; what comes without its predecessor's state may be one of before. */
static inline void note_provider(bool provided)
{
#if HX_CHECKS
    hx_sched_estranged = provided && is_provided ? UINT32_MAX : 0;
    is_provided = provided;
#else
    (void)provided;
#endif
}

static inline void note_telling(hx_handle_t task)
{
    if (HX_CHECKS)
        __atomic_store_n(&hx_sched_book()->telling, task, __ATOMIC_RELAXED);
}

static inline void note_forgotten(struct hx_task *task, bool forgotten)
{
    if (HX_CHECKS && task)
        task->forgotten = forgotten;
}

/* ---- wrong answers -------------------------------------------------------------------------------------------------- */
static void (*unfit)(void);

void hx_task_bind_unfit(void (*told)(void))
{
    unfit = told;
}

/* One now and then is put right and counted; a policy that goes on like that is somebody else's to judge. */
static __attribute__((cold, noinline)) void note_wrong(struct hx_sched_book *book)
{
    uint64_t now_ns = hx_hal_clock_ns();
    const void *whose = hx_slots[HX_SLOT_hx_sched].vtable;
    book->stats.bad_answers++;
    if (book->wrong_of != whose || now_ns - book->wrong_since_ns >= HX_SCHED_WRONG_NS) {
        book->wrong_of = whose;
        book->wrong_since_ns = now_ns;
        book->wrong = 0;
    }
    if (++book->wrong != HX_SCHED_WRONG_MAX || !unfit)
        return;
    policy_enter();
    unfit();
    policy_leave();
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */
/*
 * Calls the policy, about @task. What a gate answers that was closed at that moment is not the policy's; but a policy that
 * gives it for an answer, every time, is not asked for ever.
 */
enum { ASKED_MAX = 16 };
#define ASK(task, call)                                                                                                \
    ({                                                                                                                 \
        hx_ret_t answer_;                                                                                              \
        uint32_t asked_ = 0;                                                                                           \
        note_telling(task);                                                                                            \
        do {                                                                                                           \
            wait_for_swap();                                                                                           \
            policy_enter();                                                                                            \
            answer_ = (call);                                                                                          \
            policy_leave();                                                                                            \
        } while (hx_unlikely(answer_ == HX_E_CLOSED) && hx_cpu_read(id) != 0 && ++asked_ < ASKED_MAX);                 \
        note_telling(HX_HANDLE_NONE);                                                                                  \
        answer_;                                                                                                       \
    })

/* ---- what the policy is told ---------------------------------------------------------------------------------------- */
void hx_sched_tell_removed(hx_handle_t task)
{
    note_forgotten(hx_task_lookup(task), true);
    (void)!ASK(task, hx_sched_remove(task)); /* one that it does not know is none of our worries */
}

void hx_sched_tell_priority(hx_handle_t task, uint8_t priority)
{
    (void)!ASK(task, hx_sched_adjust(task, priority));
}

hx_ret_t hx_sched_tell_reservation(hx_handle_t task, uint64_t runtime_ns, uint64_t period_ns, uint64_t deadline_ns)
{
    return ASK(task, hx_sched_reserve(task, runtime_ns, period_ns, deadline_ns));
}

/*
 * @want becomes true when one of them should replace the running task. False: an operation failed, its task stays.
 * Inline, because every wake comes by here.
 */
static inline __attribute__((always_inline)) bool tell_inbox(struct hx_sched_book *book, bool *want)
{
    struct hx_task *task;
    while ((task = TAILQ_FIRST(&book->inbox))) {
        inbox_remove(book, task);
        task->told = true;
        const void *asked = hx_slots[HX_SLOT_hx_sched].vtable;
        hx_ret_t answer = ASK(task->handle, hx_sched_ready(task->handle, task->priority, hx_sched_here(task->news)));
        if (hx_unlikely(answer < 0)) {
            task->told = false;
            hx_sched_inbox_add(book, task);
            note_wrong(book);
            return false;
        }
        task->doubted = false;
        note_forgotten(task, false);
        task->news = HX_SCHED_WOKEN; /* it is told once that a task is new */
        book->patient = answer == HX_SCHED_LATER ? asked : NULL;
        *want |= answer == HX_SCHED_REPLACE;
    }
    return true;
}

void hx_sched_told_with_question(struct hx_sched_book *book, struct hx_task *woken, bool heard, hx_ret_t answer)
{
    woken->news = HX_SCHED_WOKEN;
    hx_task_ring_add(&book->policy, &woken->ring);
    if (heard && answer >= 0) {
        hx_sched_mark(woken, HX_TASK_READY, true, false);
        return;
    }
    /* Nobody knows whether it was queued before the operation failed. */
    woken->doubted |= heard;
    TAILQ_INSERT_HEAD(&book->inbox, woken, inbox_link); /* before what woke during the question */
    woken->in_inbox = true;
}

/* The picked task is done with as far as the policy's books go; what it does not know of it yet comes by the inbox. */
static void settle_picked(struct hx_sched_book *book, const struct hx_task *except)
{
    struct hx_task *picked = book->picked;
    if (picked && picked != except && picked->state == HX_TASK_READY && !picked->told && !picked->in_inbox)
        hx_sched_inbox_add(book, picked);
    book->picked = NULL;
    book->running = HX_HANDLE_NONE;
    book->stop = HX_SCHED_BLOCK;
    book->ran_ns = 0;
}

bool hx_sched_take_back(struct hx_sched_book *book, hx_handle_t task)
{
    if (book->running != task)
        return false;
    settle_picked(book, book->picked);
    return true;
}

static inline void set_picked(struct hx_sched_book *book, struct hx_task *task)
{
    task->told = false;
    book->picked = task;
    book->running = task->handle;
    book->stop = HX_SCHED_INTERRUPTED; /* until it runs */
    book->ran_ns = 0;
}

/* ---- what the core decides itself ----------------------------------------------------------------------------------- */
/* The core chooses @task, which is ready, whatever the policy thinks; then both agree that it runs. */
static struct hx_task *choose_ourselves(struct hx_sched_book *book, struct hx_task *task)
{
    settle_picked(book, task);
    book->stats.fallbacks++;
    if (task->in_inbox)
        inbox_remove(book, task);
    bool queued = task->told || task->doubted;
    set_picked(book, task);
    note_forgotten(task, true);
    policy_rotate(book, task);
    if (!queued)
        return task;
    task->doubted = !hx_sched_is_open();
    if (!task->doubted) {
        hx_sched_tell_removed(task->handle);
        hx_sched_tell_priority(task->handle, task->priority);
    }
    return task;
}

static struct hx_task *fall_back(struct hx_sched_book *book)
{
    struct hx_task *first = hx_task_ring_first(&book->policy);
    if (first)
        return choose_ourselves(book, first);
    settle_picked(book, NULL);
    return NULL;
}

/* ---- what the policy is asked --------------------------------------------------------------------------------------- */
static bool any_told(const struct hx_sched_book *book)
{
    for (const struct hx_task_ring *ring = book->policy.next; ring != &book->policy; ring = ring->next)
        if (HX_TASK_OF(ring, ring)->told)
            return true;
    return false;
}

static hx_ret_t ask(struct hx_sched_book *book, hx_handle_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    book->stats.decisions++;
    hx_ret_t answer = ASK(prev, hx_sched_pick(prev, hx_sched_here(reason), ran_ns, now_ns));
    if (HX_CHECKS && answer >= 0)
        note_forgotten(hx_task_lookup(prev), false);
    return answer;
}

/*
 * @answer names no task that was told. Right all the same: no task, while none was told; a ready task that the policy has
 * kept queued from the time when it was not asked. A waiting one of that kind is taken off its queue, and it is asked
 * again. The rest is wrong. @prev: the previous task where it is still ready, else NULL.
 */
static struct hx_task *ask_again(struct hx_sched_book *book, struct hx_task *prev, hx_ret_t answer, uint64_t now_ns)
{
    struct hx_task *task;
    while ((task = hx_task_lookup((hx_handle_t)answer)) && hx_task_is_policy_here(task) && !task->told &&
           task->doubted) {
        task->doubted = false;
        if (task->state == HX_TASK_READY) {
            if (task->in_inbox)
                inbox_remove(book, task);
            return task;
        }
        hx_sched_tell_removed(task->handle);
        answer = ask(book, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, now_ns);
    }
    if (task && hx_task_is_told_here(task))
        return task;
    if (answer == (hx_ret_t)HX_HANDLE_NONE && !any_told(book))
        return NULL;
    if (hx_sched_is_open())
        note_wrong(book);
    if (answer > 0) {
        hx_sched_tell_removed((hx_handle_t)answer);
    } else if (answer < 0 && prev && prev->told) {
        /* Nobody knows whether it was queued before the operation failed. */
        prev->told = false;
        prev->doubted = true;
        hx_sched_inbox_add(book, prev);
    }
    return fall_back(book);
}

struct hx_task *hx_sched_answered(struct hx_sched_book *book, struct hx_task *prev, hx_ret_t answer, uint64_t now_ns)
{
    settle_picked(book, prev);
    struct hx_task *task = ask_again(book, prev, answer, now_ns);
    if (task && task != book->picked)
        set_picked(book, task);
    return task;
}

static struct hx_task *ask_policy(struct hx_sched_book *book, uint64_t now_ns)
{
    struct hx_task *prev = book->stop <= HX_SCHED_YIELD ? book->picked : NULL;
    hx_handle_t running = book->running;
    uint64_t stop = book->stop, ran_ns = book->ran_ns;
    if (prev)
        prev->told = true; /* by this question */
    settle_picked(book, prev);
    return hx_sched_answered(book, prev, ask(book, running, stop, ran_ns, now_ns), now_ns);
}

/* The policy's choice @next stands back for the task that it has let wait too long. */
static struct hx_task *choose_starved(struct hx_sched_book *book, struct hx_task *next)
{
    struct hx_task *task = book->starved;
    book->starved = NULL;
    if (!next || next == task || hx_task_ring_first(&book->policy) != task)
        return next;
    book->stats.starved++;
    return choose_ourselves(book, task); /* @next was picked: it goes to the inbox */
}

struct hx_task *hx_sched_choose_policy(struct hx_sched_book *book, uint64_t now_ns)
{
    bool want = false, open;
    if (!hx_task_ring_first(&book->policy) && book->running == HX_HANDLE_NONE)
        return NULL;
    do {
        wait_for_swap();
        open = hx_sched_is_open();
    } while (!open && is_being_swapped()); /* since */
    if (open && !tell_inbox(book, &want))
        return fall_back(book);
    if (book->stop == HX_SCHED_INTERRUPTED) {
        if (!want)
            return book->picked; /* its turn is not over */
        book->stop = HX_SCHED_PREEMPT;
    }
    if (!open)
        return fall_back(book);
    struct hx_task *next = ask_policy(book, now_ns);
    return book->starved ? choose_starved(book, next) : next;
}

/* ---- ticks ---------------------------------------------------------------------------------------------------------- */
/*
 * Each tick looks at one task, so everybody comes by in time. One that woke is not stamped by the wake, which would cost a
 * reading of the clock, but by the first look at it.
 */
static bool anybody_starves(struct hx_sched_book *book, uint64_t now_ns)
{
    struct hx_task *task = hx_task_ring_first(&book->policy);
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
static void account(struct hx_sched_book *book, struct hx_task *task, uint64_t now_ns)
{
    uint64_t ran_ns = now_ns - task->started_ns;
    task->run_ns += ran_ns;
    task->started_ns = now_ns;
    task->heed |= HX_TASK_SLOW; /* until it is picked again: ran_ns is more than can be seen from started_ns */
    book->ran_ns += ran_ns;
}

static bool tick_wants(struct hx_sched_book *book, struct hx_task *task)
{
    uint64_t now_ns = hx_hal_clock_ns();
    account(book, task, now_ns);
    policy_enter();
    hx_ret_t answer = hx_sched_tick(task->handle, book->ran_ns);
    policy_leave();
    if (hx_unlikely(answer < 0)) {
        if (hx_sched_is_unheard(answer))
            return false; /* it goes on until the next */
        note_wrong(book);
    }
    return anybody_starves(book, now_ns) || answer != 0;
}

bool hx_sched_policy_wants(struct hx_sched_book *book, struct hx_task *task)
{
    bool tick = book->tick_due, want = false;
    book->tick_due = false;
    if (task->heed & HX_TASK_NEWS)
        hx_sched_news_to_inbox(book, task);
    if (!hx_sched_is_open()) {
        if (!is_being_swapped())
            return tick;
        book->tick_due = tick; /* it runs on, until the next */
        return false;
    }
    bool told = tell_inbox(book, &want);
    if (tick) {
        want |= tick_wants(book, task);
        told = told && tell_inbox(book, &want); /* what woke meanwhile */
    }
    return want || !told; /* the question that follows falls back */
}

/* ---- policies that come and go -------------------------------------------------------------------------------------- */
/* Whoever provides the slot next may have it queued, if it comes with a state of an earlier time. */
static bool forget(struct hx_task *task, void *context)
{
    (void)context;
    if (task->cpu != hx_cpu_read(id) || task->class != HX_TASK_POLICY)
        return true;
    task->told = false;
    task->doubted = true;
    return true;
}

void hx_sched_forget(struct hx_sched_book *book)
{
    __atomic_store_n(&book->forget_due, false, __ATOMIC_RELAXED);
    hx_task_for_each(forget, NULL);
    struct hx_task *current = hx_task_current();
    if (current->heed & HX_TASK_NEWS)
        hx_sched_news_to_inbox(book, current);
    while (!TAILQ_EMPTY(&book->inbox))
        inbox_remove(book, TAILQ_FIRST(&book->inbox));
    book->picked = NULL;
    book->running = HX_HANDLE_NONE;
    book->stop = HX_SCHED_BLOCK;
    for (const struct hx_task_ring *ring = book->policy.next; ring != &book->policy; ring = ring->next)
        if (HX_TASK_OF(ring, ring)->state == HX_TASK_READY)
            hx_sched_inbox_add(book, HX_TASK_OF(ring, ring));
    if (current->class == HX_TASK_POLICY && current->state == HX_TASK_RUNNING)
        hx_sched_tell_priority(current->handle, current->priority); /* it will hear of it when it stops */
}

/* Interrupts off. */
static void forget_everywhere(void)
{
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++) {
        struct hx_sched_book *book = hx_sched_book_of(cpu);
        if (cpu == hx_cpu_read(id)) {
            hx_sched_forget(book);
        } else if (hx_sched_online & 1u << cpu) {
            __atomic_store_n(&book->forget_due, true, __ATOMIC_SEQ_CST);
            __atomic_store_n(&book->to_do, true, __ATOMIC_SEQ_CST);
            hx_hal_cpu_poke(cpu);
        }
    }
}

void hx_sched_forget_all(void)
{
    hx_irq_flags_t flags = hx_irq_save();
    note_provider(false);
    forget_everywhere();
    hx_irq_restore(flags);
}

void hx_sched_announce_all(void)
{
    bool want = false;
    hx_irq_flags_t flags = hx_irq_save();
    note_provider(true);
    forget_everywhere();
    if (hx_sched_is_open())
        (void)tell_inbox(hx_sched_book(), &want);
    if (want)
        hx_cpu_write(need_resched, 1);
    hx_irq_restore(flags);
}
