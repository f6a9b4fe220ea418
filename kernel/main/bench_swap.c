/* SPDX-License-Identifier: MIT */
/*
 * bench_swap.c - swaps: how long all of one takes, and how long nobody is let in.
 *
 * Durations that swaps report are in nanoseconds; the emulator's clock makes an instruction one of them.
 */
#include "bench_part.h"

#include <hal/hx_hal.h>
#include <hotreload/engine.h>
#include <lib/err.h>
#include <lib/fmt.h>

static hx_status_t swap_to(const char *module, const char *file_name, struct hx_job *job)
{
    struct hx_slice file;
    if (hx_pack_find(hx_bench_pack, file_name, &file) != HX_OK)
        return hx_bench_complain(module, "the file to swap to is not in the initrd");
    *job = (struct hx_job){
        .kind = HX_JOB_RELOAD, .file = file, .who = "bench", .by = &hx_kernel_principal, .may_downgrade = true
    };
    hx_fmt(job->module, sizeof(job->module), "%s", module);
    hx_status_t err = hx_engine_run(job);
    return err == HX_OK ? HX_OK
                        : hx_bench_complain(module, job->swap.number ? job->swap.report.message : job->report.message);
}

static void report_swap(const char *prefix, const char *suffix, const struct hx_job *job)
{
    char name[64];
    hx_fmt(name, sizeof(name), "%s_total%s", prefix, suffix);
    hx_bench_report(name, job->swap.total_ns);
    hx_fmt(name, sizeof(name), "%s_blackout%s", prefix, suffix);
    hx_bench_report(name, job->swap.blackout_ns);
}

/* Swaps to @file, from whatever runs, and then once more: the second is between equals, and is reported. */
static hx_status_t bench_swap(const char *prefix, const char *suffix, const char *module, const char *file)
{
    struct hx_job first, second;
    hx_status_t err = swap_to(module, file, &first);
    if (err == HX_OK)
        err = swap_to(first.swap.new_name, file, &second);
    if (err == HX_OK)
        report_swap(prefix, suffix, &second);
    return err;
}

/* What the swaps of the scheduler are measured with: a few tasks, as many as a desktop has, and nearly all there can be. */
static const struct sleepers {
    uint32_t count;
    const char *suffix;
} sleepers[] = { { 16, "_16" }, { 667, "_667" }, { 4000, "_4000" } };

static struct {
    struct hx_waitq seen;
    uint32_t wanted, count;
} asleep;

static hx_status_t sleeper(void *argument)
{
    (void)argument;
    asleep.count++;
    if (asleep.count == asleep.wanted)
        hx_waitq_wake_all(&asleep.seen);
    return hx_task_sleep_until(UINT64_MAX - 1);
}

static bool all_seen(void *context)
{
    (void)context;
    return asleep.count == asleep.wanted;
}

/* Makes them, and has each run once, so that the policy knows it. */
static hx_status_t make_sleepers(hx_handle_t *task, uint32_t count)
{
    hx_status_t err = HX_OK;
    hx_waitq_init(&asleep.seen);
    asleep.wanted = count;
    asleep.count = 0;
    for (uint32_t i = 0; err == HX_OK && i < count; i++)
        err = hx_task_create(HX_TASK_POLICY, "sleeper", 128, sleeper, NULL, &task[i]);
    return err == HX_OK ? hx_waitq_wait(&asleep.seen, all_seen, NULL, UINT64_MAX) : err;
}

static void report_convert(const struct sleepers *who, const struct hx_job *job)
{
    char name[64];
    report_swap("swap_sched_convert", who->suffix, job);
    if (who == &sleepers[0])
        return; /* what is there once would be most of it */
    hx_fmt(name, sizeof(name), "swap_sched_convert%s", who->suffix);
    hx_bench_report(name, (job->swap.blackout_ns + who->count - 1) / who->count); /* of each task */
}

/* Between equals, to another schema, to another policy and back. */
static hx_status_t bench_scheduler_swaps(const struct sleepers *who)
{
    struct hx_job job;
    hx_status_t err = bench_swap("swap_sched", who->suffix, "sched_rr", "sched_rr.hxm");
    if (err == HX_OK)
        err = swap_to("sched_rr", "sched_rr-2.hxm", &job);
    if (err == HX_OK)
        report_convert(who, &job);
    if (err == HX_OK)
        err = bench_swap("swap_sched_prio", who->suffix, "sched_rr", "sched_prio.hxm");
    return err == HX_OK ? swap_to("sched_prio", "sched_rr.hxm", &job) : err;
}

static hx_status_t bench_swap_sched_with(const char *name, const struct sleepers *who)
{
    hx_handle_t *task = hx_hal_alloc(who->count * sizeof(*task));
    hx_status_t err = task ? make_sleepers(task, who->count) : HX_E_NOMEM;
    err = err == HX_OK ? bench_scheduler_swaps(who) : hx_bench_complain(name, hx_err_text(err));
    for (uint32_t i = 0; task && i < who->count; i++) {
        hx_status_t killed = hx_task_kill(task[i]);
        (void)killed; /* it may not have been made */
    }
    hx_hal_free(task);
    return err;
}

hx_status_t hx_bench_swap_sched(const char *name)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < HX_ARRAY_SIZE(sleepers); i++)
        err = bench_swap_sched_with(name, &sleepers[i]);
    return err;
}

hx_status_t hx_bench_swap_kv(const char *name)
{
    (void)name;
    return bench_swap("swap_kv", "", "svc_kv", "bench_kv.hxm");
}

hx_status_t hx_bench_swap_rtc(const char *name)
{
    (void)name;
    return bench_swap("swap_rtc", "", "drv_rtc", "drv_rtc.hxm");
}
