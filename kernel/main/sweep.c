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

#include <arch/x86_64/arch.h>
#include <hal/hx_hal.h>
#include <hotreload/engine.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/sort.h>
#include <string.h>

enum {
    SWAPS_ROUND = 25,          /* from every scheduler to every one */
    LIMIT_NS = 50000000,       /* a hundred times as long as it takes */
    SETTLES_NS = 1000000,      /* the idle task runs, and what ended is cleared away */
    SLICE_BEGINS_NS = 1850000, /* before the workload: so that a slice ends within it */
    DEVIATIONS_MAX = 20,
    FRAMES_VARY = 64, /* with where the image of the scheduler happens to lie */
    COUNT_MAX = 100000,
};

static const struct scheduler {
    const char *name, *file;
} schedulers[] = {
    { "rr 1", "sched_rr.hxm" },   { "rr 2", "sched_rr-2.hxm" }, { "prio", "sched_prio.hxm" },
    { "fair", "sched_fair.hxm" }, { "edf", "sched_edf.hxm" },
};
enum { SCHEDULERS = sizeof(schedulers) / sizeof(schedulers[0]) };

/* Every pair of neighbours is another one; the first follows the last. */
static const uint8_t way[SWAPS_ROUND] = { 0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 1, 2, 1, 3, 1, 4, 2, 2, 3, 2, 4, 3, 3, 4, 4 };

/* What is the same after each run that ends with the same scheduler. */
struct census {
    uint64_t tasks, heap_objects, heap_bytes, frames_free;
};

static struct {
    const struct hx_pack *pack;
    char module[HX_NAME_MAX]; /* the scheduler's name now */
    uint32_t at;              /* of schedulers */
    struct census census[SCHEDULERS];
    uint64_t insns[SCHEDULERS]; /* of the workload, undisturbed */
    uint64_t digest;
    uint64_t *hit; /* [count]: instructions from start to where the timer's interrupt came, in a task of the workload */
    uint32_t count, hits, idle_hits, other_hits, runs, swaps, deviations;
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
__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    size_t bytes = hx_fmt_v(line, sizeof(line), format, arguments);
    va_end(arguments);
    hx_hal_console_write(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
}

/* Where the run can be had again: `bench=sweep,COUNT,NUMBER`. */
static void deviation(const char *what)
{
    sweep.deviations++;
    print("sweep: deviation: bench=sweep,%u,%u: %s to %s at %llu: %s\n", sweep.count, run.number,
          schedulers[sweep.at].name, schedulers[run.to].name, (unsigned long long)run.offset, what);
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
        print("sweep: not ended: %s, %s, told %u, doubted %u, in the inbox %u\n", name, hx_task_state_name(task->state),
              task->told, task->doubted, task->in_inbox);
    else
        print("sweep: not ended: %s, gone\n", name);
}

/* ---- swaps ----------------------------------------------------------------------------------------------------------- */
static hx_status_t swap_to(uint32_t scheduler)
{
    static struct hx_job job;
    struct hx_slice file;
    hx_status_t err = hx_pack_find(sweep.pack, schedulers[scheduler].file, &file);
    if (err != HX_OK) {
        print("sweep: %s: it is not in the initrd\n", schedulers[scheduler].file);
        return err;
    }
    job = (struct hx_job){ .kind = HX_JOB_RELOAD, .file = file, .who = "sweep", .may_downgrade = true };
    hx_fmt(job.module, sizeof(job.module), "%s", sweep.module);
    err = hx_engine_run(&job);
    if (err != HX_OK) {
        print("sweep: %s to %s: %s\n", sweep.module, schedulers[scheduler].file,
              job.swap.number ? job.swap.report.message : job.report.message);
        return err;
    }
    memcpy(sweep.module, job.swap.new_name, sizeof(sweep.module));
    sweep.swaps++;
    return HX_OK;
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
static void sleep(uint64_t duration_ns)
{
    (void)hx_task_sleep_until(hx_hal_clock_ns() + duration_ns);
}

static struct census census_now(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    return (struct census){ hx_task_count(), stats.heap_objects, stats.heap_bytes, stats.frames_free };
}

static void compare_census(const struct census *wanted)
{
    struct census now = census_now();
    deviates_by("tasks", now.tasks, wanted->tasks);
    deviates_by("heap objects", now.heap_objects, wanted->heap_objects);
    deviates_by("heap bytes", now.heap_bytes, wanted->heap_bytes);
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
    sleep(SLICE_BEGINS_NS);
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
    sleep(SETTLES_NS);
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
        sweep.census[sweep.at] = census_now();
        run.to = way[(i + 1) % SWAPS_ROUND];
        err = swap_to(run.to);
    }
    sweep.at = way[0];
    return err;
}

static uint32_t read_number(const char **text)
{
    uint32_t number = 0;
    if (**text == ',')
        (*text)++;
    for (; **text >= '0' && **text <= '9' && number <= COUNT_MAX; (*text)++)
        number = number * 10 + (uint32_t)(**text - '0');
    return number;
}

static hx_status_t prepare(void)
{
    hx_handle_t task = HX_HANDLE_NONE;
    hx_waitq_init(&run.due_queue);
    hx_waitq_init(&run.done_queue);
    hx_fmt(sweep.module, sizeof(sweep.module), "sched_rr");
    hx_swap_set_probation_ns(0);
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
    for (uint32_t i = 0; i < SCHEDULERS; i++)
        print("{\"name\": \"sweep_workload\", \"scheduler\": \"%s\", \"insns\": %llu}\n", schedulers[i].name,
              (unsigned long long)sweep.insns[i]);
    print("{\"name\": \"sweep\", \"runs\": %u, \"swaps\": %u, \"offsets\": %u, \"in_tasks\": %u, \"in_core\": %u, "
          "\"idle\": %u, \"digest\": \"%016llx\", \"deviations\": %u}\n",
          sweep.runs, sweep.swaps, distinct_hits(), sweep.hits, sweep.other_hits, sweep.idle_hits,
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
    sweep.pack = pack;
    sweep.count = read_number(&options);
    bool one = *options == ',';
    uint32_t number = read_number(&options);
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
