/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - see sweep.h.
 *
 * How: each run starts the workload and a timer. The timer wakes a core task, which has the scheduler swapped there and then,
 * whatever was going on; the work goes on under the new one. The way through the schedulers has every one after every other
 * and after itself. Afterwards nothing may tell the run from one without a swap: not the digest, nor what the scheduler
 * counts, nor the tasks, nor the heap.
 */
#include "sweep.h"

#include "sweep_workload.h"
#include "trial.h"

#include <arch/x86_64/arch.h>
#include <hal/hx_hal.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/sort.h>

enum {
    SWAPS_ROUND = 25,          /* from every scheduler to every one */
    LIMIT_NS = 50000000,       /* a hundred times as long as it takes */
    SETTLES_NS = 1000000,      /* the idle task runs, and what ended is cleared away */
    SLICE_BEGINS_NS = 1850000, /* before the workload: so that a slice ends within it */
    DEVIATIONS_MAX = 20,
    FRAMES_VARY = 64, /* with where the image of the scheduler happens to lie */
    COUNT_MAX = 100000,
};

/* Every pair of neighbours is another one; the first follows the last. */
static const uint8_t way[SWAPS_ROUND] = { 0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 1, 2, 1, 3, 1, 4, 2, 2, 3, 2, 4, 3, 3, 4, 4 };

static struct {
    struct hx_trial trial;
    uint32_t at;                                        /* of hx_trial_schedulers */
    struct hx_trial_census census[HX_TRIAL_SCHEDULERS]; /* the same after each run that ends with the same scheduler */
    uint64_t insns[HX_TRIAL_SCHEDULERS];                /* of the workload, undisturbed */
    uint64_t digest;
    uint64_t *hit; /* [count]: instructions from start to where the timer's interrupt came, in a task of the workload */
    uint32_t count, hits, idle_hits, other_hits, runs, deviations;
} sweep;

/* One run. */
static struct {
    uint32_t number;
    uint64_t offset, start;
    struct hx_timer timer;
    struct hx_waitq due_queue, done_queue;
    bool due, done;
    uint32_t to;
    hx_status_t swapped;
} run;

/* ---- output ---------------------------------------------------------------------------------------------------------- */
/* Where the run can be had again: `bench=sweep,COUNT,NUMBER`. */
static void deviation(const char *what)
{
    sweep.deviations++;
    hx_trial_print("sweep: deviation: bench=sweep,%u,%u: %s to %s at %llu: %s\n", sweep.count, run.number,
                   hx_trial_schedulers[sweep.at].name, hx_trial_schedulers[run.to].name, (unsigned long long)run.offset,
                   what);
}

static void deviates_by(const char *name, uint64_t got, uint64_t wanted)
{
    char what[128];
    if (got == wanted)
        return;
    hx_fmt(what, sizeof(what), "%s: %llu, not %llu", name, (unsigned long long)got, (unsigned long long)wanted);
    deviation(what);
}

static void print_unfinished(const char *name, const struct hx_task *task)
{
    if (task)
        hx_trial_print("sweep: not ended: %s, %s, told %u, doubted %u, in the inbox %u\n", name,
                       hx_task_state_name(task->state), task->told, task->doubted, task->in_inbox);
    else
        hx_trial_print("sweep: not ended: %s, gone\n", name);
}

/* ---- swaps ----------------------------------------------------------------------------------------------------------- */
static hx_status_t swap_to(uint32_t scheduler)
{
    return hx_trial_swap(&sweep.trial, &hx_trial_schedulers[scheduler]);
}

static bool is_due(void *context)
{
    (void)context;
    return run.due;
}

static bool is_done(void *context)
{
    (void)context;
    return run.done;
}

/* A core task: it comes before all of the workload. */
static hx_status_t swapper(void *argument)
{
    (void)argument;
    while (hx_waitq_wait(&run.due_queue, is_due, NULL, UINT64_MAX) == HX_OK) {
        run.due = false;
        run.swapped = swap_to(run.to);
        run.done = true;
        hx_waitq_wake_all(&run.done_queue);
    }
    return HX_OK;
}

static void timer_expired(struct hx_timer *timer)
{
    (void)timer;
    enum hx_task_class class = hx_task_current()->class;
    if (class == HX_TASK_POLICY)
        sweep.hit[sweep.hits++] = hx_arch_tsc() - run.start;
    else if (class == HX_TASK_IDLE)
        sweep.idle_hits++;
    else
        sweep.other_hits++;
    run.due = true;
    hx_waitq_wake_all(&run.due_queue);
}

/* ---- one run --------------------------------------------------------------------------------------------------------- */
static void compare_census(const struct hx_trial_census *wanted)
{
    hx_trial_compare(wanted, deviates_by);
    struct hx_trial_census now = hx_trial_census();
    if (now.frames_free + FRAMES_VARY < wanted->frames_free)
        deviates_by("free frames", now.frames_free, wanted->frames_free);
}

static hx_status_t nothing(void *argument)
{
    (void)argument;
    return HX_OK;
}

/* A slice begins when a task of the policy runs first, and goes on while the machine idles. */
static hx_status_t begin_slice(void)
{
    hx_handle_t task = HX_HANDLE_NONE;
    hx_status_t err = hx_task_create(HX_TASK_POLICY, "first", 128, nothing, NULL, &task);
    hx_trial_sleep(SLICE_BEGINS_NS);
    return err;
}

/* The workload, from beginning to end; at run.offset, if that is not UINT64_MAX, a swap. */
static hx_status_t perform(void)
{
    hx_status_t err = begin_slice();
    if (err == HX_OK)
        err = hx_sweep_workload_start();
    if (err != HX_OK)
        return err;
    uint64_t now_ns = hx_hal_clock_ns();
    run.start = hx_arch_tsc();
    run.due = run.done = false;
    run.swapped = HX_OK;
    if (run.offset != UINT64_MAX)
        hx_timer_arm(&run.timer, now_ns + run.offset, timer_expired);
    err = hx_sweep_workload_wait(now_ns + LIMIT_NS);
    if (err == HX_OK && run.offset != UINT64_MAX)
        err = hx_waitq_wait(&run.done_queue, is_done, NULL, now_ns + LIMIT_NS);
    if (err == HX_OK)
        err = run.swapped;
    hx_trial_sleep(SETTLES_NS);
    return err;
}

static hx_status_t complain(hx_status_t err)
{
    deviation(hx_err_text(err));
    hx_sweep_workload_unfinished(print_unfinished);
    return err;
}

static hx_status_t run_number(uint32_t number)
{
    struct hx_sched_stats before, after;
    run.number = number;
    run.to = way[(number + 1) % SWAPS_ROUND];
    run.offset = sweep.insns[sweep.at] * number / sweep.count;
    hx_sched_stats(&before);
    hx_status_t err = perform();
    if (err != HX_OK)
        return complain(err);
    hx_sched_stats(&after);
    sweep.runs++;
    deviates_by("digest", hx_sweep_workload_digest(), sweep.digest);
    deviates_by("decisions by the core", after.fallbacks - before.fallbacks, 0);
    deviates_by("wrong answers", after.bad_answers - before.bad_answers, 0);
    compare_census(&sweep.census[run.to]);
    sweep.at = run.to;
    return HX_OK;
}

/* ---- before the first ------------------------------------------------------------------------------------------------ */
/* Once round without a swap in the workload: how long it is, what its digest is, and what is the same afterwards. */
static hx_status_t rehearse(void)
{
    hx_status_t err = swap_to(way[0]);
    run.offset = UINT64_MAX;
    for (uint32_t i = 0; err == HX_OK && i < 2 * SWAPS_ROUND; i++) {
        sweep.at = run.to = way[i % SWAPS_ROUND];
        err = perform();
        if (err != HX_OK)
            return complain(err);
        if (i == 0)
            sweep.digest = hx_sweep_workload_digest();
        deviates_by("digest, undisturbed", hx_sweep_workload_digest(), sweep.digest);
        sweep.insns[sweep.at] = hx_sweep_workload_end() - run.start;
        sweep.census[sweep.at] = hx_trial_census();
        run.to = way[(i + 1) % SWAPS_ROUND];
        err = swap_to(run.to);
    }
    sweep.at = way[0];
    return err;
}

static hx_status_t prepare(void)
{
    hx_handle_t task = HX_HANDLE_NONE;
    hx_waitq_init(&run.due_queue);
    hx_waitq_init(&run.done_queue);
    sweep.hit = hx_hal_alloc(sweep.count * sizeof(*sweep.hit));
    if (!sweep.hit)
        return HX_E_NOMEM;
    return hx_task_create(HX_TASK_CORE, "swapper", 200, swapper, NULL, &task);
}

static uint32_t distinct_hits(void)
{
    uint32_t distinct = 0;
    hx_sort_u64(sweep.hit, sweep.hits);
    for (uint32_t i = 0; i < sweep.hits; i++)
        distinct += i == 0 || sweep.hit[i] != sweep.hit[i - 1];
    return distinct;
}

static void report(void)
{
    for (uint32_t i = 0; i < HX_TRIAL_SCHEDULERS; i++)
        hx_trial_print("{\"name\": \"sweep_workload\", \"scheduler\": \"%s\", \"insns\": %llu}\n",
                       hx_trial_schedulers[i].name, (unsigned long long)sweep.insns[i]);
    hx_trial_print(
        "{\"name\": \"sweep\", \"runs\": %u, \"swaps\": %u, \"offsets\": %u, \"in_tasks\": %u, \"in_core\": %u, "
        "\"idle\": %u, \"digest\": \"%016llx\", \"deviations\": %u}\n",
        sweep.runs, sweep.trial.swaps, distinct_hits(), sweep.hits, sweep.other_hits, sweep.idle_hits,
        (unsigned long long)sweep.digest, sweep.deviations);
}

/* This one alone, for which the scheduler is brought to where it would be. */
static hx_status_t run_only(uint32_t number)
{
    sweep.at = run.to = way[number % SWAPS_ROUND];
    hx_status_t err = swap_to(sweep.at);
    return err == HX_OK ? run_number(number) : err;
}

hx_status_t hx_sweep_run(const char *options, const struct hx_pack *pack)
{
    hx_trial_begin(&sweep.trial, "sweep", pack);
    sweep.count = (uint32_t)hx_trial_number(&options, 0, COUNT_MAX);
    bool one = *options == ',';
    uint32_t number = (uint32_t)hx_trial_number(&options, 0, COUNT_MAX);
    if (sweep.count == 0 || sweep.count > COUNT_MAX || number >= sweep.count || *options)
        return HX_E_INVAL;
    hx_status_t err = prepare();
    if (err == HX_OK)
        err = rehearse();
    if (err == HX_OK && one)
        err = run_only(number);
    for (uint32_t i = 0; !one && err == HX_OK && i < sweep.count && sweep.deviations < DEVIATIONS_MAX; i++)
        err = run_number(i);
    report();
    return err == HX_OK && sweep.deviations ? HX_E_FAILED : err;
}
