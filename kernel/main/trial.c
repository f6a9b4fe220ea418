/* SPDX-License-Identifier: MIT */
/* trial.c - see trial.h. */
#include "trial.h"

#include <hal/hx_hal.h>
#include <hotreload/engine.h>
#include <hotreload/probation.h>
#include <lib/fmt.h>
#include <string.h>

const struct hx_trial_scheduler hx_trial_schedulers[HX_TRIAL_SCHEDULERS] = {
    { "rr 1", "sched_rr.hxm" },   { "rr 2", "sched_rr-2.hxm" }, { "prio", "sched_prio.hxm" },
    { "fair", "sched_fair.hxm" }, { "edf", "sched_edf.hxm" },
};

void hx_trial_begin(struct hx_trial *trial, const char *name, const struct hx_pack *pack)
{
    *trial = (struct hx_trial){ .name = name, .pack = pack, .module = "sched_rr" };
    hx_probation_set_length_ns(0);
}

hx_status_t hx_trial_swap(struct hx_trial *trial, const struct hx_trial_scheduler *to)
{
    static struct hx_job job;
    struct hx_slice file;
    hx_status_t err = hx_pack_find(trial->pack, to->file, &file);
    if (err != HX_OK) {
        hx_trial_print("%s: %s: it is not in the initrd\n", trial->name, to->file);
        return err;
    }
    job = (struct hx_job){
        .kind = HX_JOB_RELOAD, .file = file, .who = trial->name, .by = &hx_kernel_principal, .may_downgrade = true
    };
    hx_fmt(job.module, sizeof(job.module), "%s", trial->module);
    err = hx_engine_run(&job);
    if (err != HX_OK) {
        const struct hx_report *report = job.swap.number ? &job.swap.report : &job.report;
        hx_trial_print("%s: %s to %s, swap %u: %s: %s\n", trial->name, trial->module, to->file, trial->swaps,
                       report->step, report->message);
        return err;
    }
    memcpy(trial->module, job.swap.new_name, sizeof(trial->module));
    trial->swaps++;
    return HX_OK;
}

void hx_trial_print(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    size_t bytes = hx_fmt_v(line, sizeof(line), format, arguments);
    va_end(arguments);
    hx_hal_console_write(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
}

uint64_t hx_trial_number(const char **text, uint64_t otherwise, uint64_t most)
{
    uint64_t number = 0;
    if (**text != ',')
        return otherwise;
    for ((*text)++; **text >= '0' && **text <= '9' && number <= most; (*text)++)
        number = number * 10 + (uint64_t)(**text - '0');
    return number ? number : otherwise;
}

void hx_trial_sleep(uint64_t duration_ns)
{
    (void)hx_task_sleep_until(hx_hal_clock_ns() + duration_ns);
}

struct hx_trial_census hx_trial_census(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    return (struct hx_trial_census){ hx_task_count(), stats.heap_objects, stats.heap_bytes, stats.frames_free };
}

void hx_trial_compare(const struct hx_trial_census *wanted,
                      void (*differs)(const char *what, uint64_t now, uint64_t wanted))
{
    struct hx_trial_census now = hx_trial_census();
    if (now.tasks != wanted->tasks)
        differs("tasks", now.tasks, wanted->tasks);
    if (now.heap_objects != wanted->heap_objects)
        differs("heap objects", now.heap_objects, wanted->heap_objects);
    if (now.heap_bytes != wanted->heap_bytes)
        differs("heap bytes", now.heap_bytes, wanted->heap_bytes);
}
