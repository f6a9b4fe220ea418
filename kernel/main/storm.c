/* SPDX-License-Identifier: MIT */
/*
 * storm.c - see storm.h.
 *
 * Two kinds of task: survivors, which live as long as the storm and count, and children, which mothers make and end in every
 * way there is. What must hold: no module faults, every decision is a policy's and right, nobody who survives stands still,
 * and when all is over there are as many tasks, objects and frames as before.
 */
#include "storm.h"

#include "trial.h"

#include <hal/hx_hal.h>
#include <interrupts/exception.h>
#include <lib/err.h>
#include <task/mutex.h>

enum {
    SWAPS = 10000,
    SWAPS_MAX = 10000000,
    TELL_EVERY = 1000,
    SURVIVORS = 16,
    MOTHERS = 4,
    PAIRS = 4,
    VAULTS = 3,
    NAP_NS_MAX = 300000,
    SPIN_MAX = 20000,
    MOMENT_NS = 20000000,
};
static const uint64_t patience_ns = 120000000000u; /* of a machine whose CPUs are not always run */

struct count {
    uint64_t value __attribute__((aligned(64)));
    uint64_t seed;
};

static struct {
    struct hx_trial trial;
    uint64_t seed;
    bool over;
    uint32_t complaints;
    uint32_t running; /* survivors and mothers that have not ended */
    struct hx_waitq ended;
    struct count survivor[SURVIVORS], mother[MOTHERS];
    uint64_t created, killed, joined, lost;
    struct pair {
        struct hx_waitq queue[2];
        uint32_t turn;
    } pair[PAIRS];
    struct vault {
        struct hx_mutex mutex;
        uint64_t begun, done; /* not atomic: one at a time is inside */
    } vault[VAULTS];
    uint64_t visits, orphans;
    struct hx_waitq crowd; /* survivors that wait together, woken one at a time or all at once */
    uint32_t crowd_calls;
} storm;

/* ---- output ---------------------------------------------------------------------------------------------------------- */
static void expect_equal(const char *what, uint64_t got, uint64_t wanted)
{
    if (got == wanted)
        return;
    storm.complaints++;
    hx_trial_print("storm: %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

/* ---- chance ---------------------------------------------------------------------------------------------------------- */
/* Source: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003), 64 bits, 13, 7, 17. */
static uint64_t dice(uint64_t *seed, uint64_t sides)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % sides;
}

static void spin(uint64_t turns)
{
    for (uint64_t i = 0; i < turns; i++)
        hx_cpu_relax();
}

static bool is_over(void)
{
    return __atomic_load_n(&storm.over, __ATOMIC_RELAXED);
}

/* ---- those who survive ----------------------------------------------------------------------------------------------- */
static void end(void)
{
    __atomic_sub_fetch(&storm.running, 1, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&storm.ended);
}

struct turn {
    struct pair *pair;
    uint32_t me;
};

static bool is_my_turn(void *context)
{
    const struct turn *turn = context;
    return is_over() || __atomic_load_n(&turn->pair->turn, __ATOMIC_SEQ_CST) == turn->me;
}

/* Two by two they hand a ball to and fro. */
static void play(struct pair *pair, uint32_t me)
{
    struct turn turn = { pair, me };
    if (hx_waitq_wait(&pair->queue[me], is_my_turn, &turn, hx_hal_clock_ns() + MOMENT_NS) != HX_OK)
        return;
    __atomic_store_n(&pair->turn, !me, __ATOMIC_SEQ_CST);
    hx_waitq_wake_one(&pair->queue[!me]);
}

static bool has_been_called(void *context)
{
    return is_over() || __atomic_load_n(&storm.crowd_calls, __ATOMIC_SEQ_CST) != *(const uint32_t *)context;
}

static void wait_in_crowd(void)
{
    uint32_t calls = __atomic_load_n(&storm.crowd_calls, __ATOMIC_SEQ_CST);
    (void)!hx_waitq_wait(&storm.crowd, has_been_called, &calls, hx_hal_clock_ns() + MOMENT_NS);
}

static void call_crowd(bool all)
{
    __atomic_add_fetch(&storm.crowd_calls, 1, __ATOMIC_SEQ_CST);
    if (all)
        hx_waitq_wake_all(&storm.crowd);
    else
        hx_waitq_wake_one(&storm.crowd);
}

static void count_up(uint64_t *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* Who is killed inside leaves it half done, and the next is told so. */
static bool enter_vault(struct vault *vault)
{
    hx_status_t err = hx_mutex_lock(&vault->mutex, hx_hal_clock_ns() + MOMENT_NS);
    if (err < 0)
        return false;
    if (err == HX_MUTEX_ORPHANED) {
        count_up(&storm.orphans);
        vault->begun = vault->done;
        hx_mutex_mend(&vault->mutex);
    }
    expect_equal("visits of a mutex's vault that others have begun", vault->begun, vault->done);
    vault->begun++;
    return true;
}

static void leave_vault(struct vault *vault)
{
    vault->done++;
    expect_equal("visits of a mutex's vault that others have ended", vault->done, vault->begun);
    count_up(&storm.visits);
    if (hx_mutex_unlock(&vault->mutex) != HX_OK)
        expect_equal("mutexes that are another's", 1, 0);
}

/* In any order, so that some would wait for each other, and are refused. */
static void visit_vaults(uint64_t *seed)
{
    struct vault *first = &storm.vault[dice(seed, VAULTS)], *second = &storm.vault[dice(seed, VAULTS)];
    if (!enter_vault(first))
        return;
    spin(dice(seed, SPIN_MAX / 10));
    if (dice(seed, 2))
        hx_task_yield();
    if (enter_vault(second)) {
        spin(dice(seed, SPIN_MAX / 10));
        leave_vault(second);
    }
    leave_vault(first);
}

static hx_status_t survive(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    struct count *count = &storm.survivor[me];
    while (!is_over()) {
        __atomic_add_fetch(&count->value, 1, __ATOMIC_RELAXED);
        switch (dice(&count->seed, 9)) {
        case 0: hx_trial_sleep(dice(&count->seed, NAP_NS_MAX)); break;
        case 1: spin(dice(&count->seed, SPIN_MAX)); break;
        case 2: wait_in_crowd(); break;
        case 3: call_crowd(dice(&count->seed, 2)); break;
        case 4: (void)!hx_task_set_priority(hx_task_current()->handle, (uint8_t)(1 + dice(&count->seed, 254))); break;
        case 5: (void)!hx_task_set_affinity(hx_task_current()->handle, 1 + (uint32_t)dice(&count->seed, 255)); break;
        case 6: visit_vaults(&count->seed); break;
        default:
            if (me < 2 * PAIRS)
                play(&storm.pair[me / 2], me % 2);
            hx_task_yield();
        }
    }
    (void)!hx_task_set_affinity(hx_task_current()->handle, UINT8_MAX);
    end();
    return HX_OK;
}

/* ---- mothers and children -------------------------------------------------------------------------------------------- */
static hx_status_t live_shortly(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    switch (dice(&seed, 6)) {
    case 0: hx_trial_sleep(dice(&seed, NAP_NS_MAX)); break;
    case 1: spin(dice(&seed, SPIN_MAX)); break;
    case 2: hx_trial_sleep(3600000000000u); break; /* until it is killed */
    case 3: wait_in_crowd(); break;
    case 4: visit_vaults(&seed); break;
    default: hx_task_yield();
    }
    return (hx_status_t)(seed & 0xff);
}

static hx_status_t bear(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    struct count *count = &storm.mother[me];
    hx_handle_t child = HX_HANDLE_NONE;
    hx_status_t status = HX_OK;
    while (!is_over()) {
        uint64_t seed = dice(&count->seed, UINT32_MAX) + 1;
        hx_status_t err = hx_task_create(HX_TASK_POLICY, "child", (uint8_t)(1 + seed % 254), live_shortly,
                                         (void *)(uintptr_t)seed, &child);
        if (err != HX_OK) {
            count_up(&storm.lost);
            break;
        }
        count_up(&storm.created);
        if (dice(&count->seed, 2))
            hx_task_yield();
        if (dice(&count->seed, 3) && hx_task_join(child, hx_hal_clock_ns() + NAP_NS_MAX, &status) == HX_OK) {
            count_up(&storm.joined);
            continue;
        }
        if (hx_task_kill(child) == HX_OK)
            count_up(&storm.killed);
        __atomic_add_fetch(&count->value, 1, __ATOMIC_RELAXED);
    }
    end();
    return HX_OK;
}

/* ---- the storm ------------------------------------------------------------------------------------------------------- */
static hx_status_t start(hx_status_t (*body)(void *), const char *name, uint32_t i, struct count *count)
{
    hx_handle_t task = HX_HANDLE_NONE;
    *count = (struct count){ .seed = dice(&storm.seed, UINT64_MAX) + 1 };
    __atomic_add_fetch(&storm.running, 1, __ATOMIC_SEQ_CST);
    hx_status_t err =
        hx_task_create(HX_TASK_POLICY, name, (uint8_t)(1 + dice(&storm.seed, 254)), body, (void *)(uintptr_t)i, &task);
    if (err != HX_OK)
        end();
    return err;
}

static hx_status_t begin(void)
{
    hx_status_t err = HX_OK;
    storm.over = false;
    storm.running = 0;
    storm.crowd_calls = 0;
    hx_waitq_init(&storm.ended);
    hx_waitq_init(&storm.crowd);
    for (uint32_t i = 0; i < VAULTS; i++) {
        storm.vault[i] = (struct vault){ 0 };
        hx_mutex_init(&storm.vault[i].mutex);
    }
    for (uint32_t i = 0; i < PAIRS; i++) {
        storm.pair[i].turn = 0;
        hx_waitq_init(&storm.pair[i].queue[0]);
        hx_waitq_init(&storm.pair[i].queue[1]);
    }
    for (uint32_t i = 0; err == HX_OK && i < SURVIVORS; i++)
        err = start(survive, "survivor", i, &storm.survivor[i]);
    for (uint32_t i = 0; err == HX_OK && i < MOTHERS; i++)
        err = start(bear, "mother", i, &storm.mother[i]);
    return err;
}

static bool all_ended(void *context)
{
    (void)context;
    return __atomic_load_n(&storm.running, __ATOMIC_SEQ_CST) == 0;
}

static bool are_alone(uint32_t tasks)
{
    for (uint64_t begun_ns = hx_hal_clock_ns(); hx_hal_clock_ns() - begun_ns < patience_ns; hx_trial_sleep(MOMENT_NS))
        if (hx_task_count() <= tasks)
            return true;
    return false;
}

static hx_status_t calm(uint32_t tasks)
{
    __atomic_store_n(&storm.over, true, __ATOMIC_SEQ_CST);
    call_crowd(true);
    hx_status_t err = hx_waitq_wait(&storm.ended, all_ended, NULL, hx_hal_clock_ns() + patience_ns);
    if (err != HX_OK)
        expect_equal("survivors and mothers that do not end", storm.running, 0);
    (void)are_alone(tasks); /* what was killed may have a last turn to take */
    for (uint32_t i = 0; i < VAULTS; i++)
        expect_equal("owner of a mutex", storm.vault[i].mutex.owner, HX_HANDLE_NONE);
    return err;
}

/* Nobody who survives stands still. */
static void expect_progress(void)
{
    uint64_t before[SURVIVORS];
    for (uint32_t i = 0; i < SURVIVORS; i++)
        before[i] = __atomic_load_n(&storm.survivor[i].value, __ATOMIC_RELAXED);
    uint64_t begun_ns = hx_hal_clock_ns();
    for (uint32_t i = 0; i < SURVIVORS; i++) {
        while (__atomic_load_n(&storm.survivor[i].value, __ATOMIC_RELAXED) == before[i] &&
               hx_hal_clock_ns() - begun_ns < patience_ns)
            hx_trial_sleep(MOMENT_NS / 10);
        if (__atomic_load_n(&storm.survivor[i].value, __ATOMIC_RELAXED) == before[i]) {
            storm.complaints++;
            hx_trial_print("storm: survivor %u stands still since the last swap\n", i);
        }
    }
}

static hx_status_t blow(uint32_t swaps)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < swaps; i++) {
        err = hx_trial_swap(&storm.trial, &hx_trial_schedulers[dice(&storm.seed, HX_TRIAL_SCHEDULERS)]);
        if ((i + 1) % TELL_EVERY == 0)
            hx_trial_print("# %u of %u swaps, %llu tasks created, %llu killed\n", i + 1, swaps,
                           (unsigned long long)storm.created, (unsigned long long)storm.killed);
    }
    return err;
}

/* Back to the scheduler that one began with, so that what is left can be compared. */
static hx_status_t run(uint32_t swaps)
{
    struct hx_trial_census census = hx_trial_census();
    hx_status_t err = begin();
    if (err == HX_OK)
        err = blow(swaps);
    if (err == HX_OK)
        expect_progress();
    hx_status_t ended = calm((uint32_t)census.tasks);
    if (err == HX_OK)
        hx_trial_compare(&census, expect_equal);
    return err == HX_OK ? ended : err;
}

hx_status_t hx_storm_run(const char *arguments, const struct hx_pack *initrd)
{
    struct hx_sched_stats before, after;
    uint32_t swaps = (uint32_t)hx_trial_number(&arguments, SWAPS, SWAPS_MAX);
    storm.seed = hx_trial_number(&arguments, 1, SWAPS_MAX) * 0x9e3779b97f4a7c15u;
    hx_trial_begin(&storm.trial, "storm", initrd);
    hx_status_t err = run(3); /* what is made once and stays is there now */
    uint64_t faults = hx_exception_unwound();
    hx_sched_stats(&before);
    storm.trial.swaps = 0;
    if (err == HX_OK)
        err = run(swaps);
    hx_sched_stats(&after);
    if (err != HX_OK)
        expect_equal(hx_err_text(err), 1, 0);
    expect_equal("swaps", storm.trial.swaps, swaps);
    expect_equal("faults", hx_exception_unwound() - faults, 0);
    uint64_t starved = after.starved - before.starved; /* where the machine is slow: strict priorities let them wait */
    uint64_t fallbacks = after.fallbacks - before.fallbacks - starved;
    expect_equal("decisions by the core", fallbacks, 0);
    expect_equal("wrong answers", after.bad_answers - before.bad_answers, 0);
    expect_equal("children that could not be made", storm.lost, 0);
    hx_trial_print(
        "{\"name\": \"storm\", \"cpus\": %u, \"swaps\": %u, \"created\": %llu, \"killed\": %llu, \"joined\": %llu, "
        "\"visits\": %llu, \"orphans\": %llu, \"decisions\": %llu, \"switches\": %llu, \"fallbacks\": %llu, \"starved\": %llu, "
        "\"bad_answers\": %llu, \"complaints\": %u}\n",
        hx_hal_cpu_count(), storm.trial.swaps, (unsigned long long)storm.created, (unsigned long long)storm.killed,
        (unsigned long long)storm.joined, (unsigned long long)storm.visits, (unsigned long long)storm.orphans,
        (unsigned long long)(after.decisions - before.decisions),
        (unsigned long long)(after.switches - before.switches), (unsigned long long)fallbacks,
        (unsigned long long)starved, (unsigned long long)(after.bad_answers - before.bad_answers), storm.complaints);
    return storm.complaints ? HX_E_FAILED : HX_OK;
}
