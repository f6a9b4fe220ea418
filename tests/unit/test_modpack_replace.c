/* SPDX-License-Identifier: MIT */
/*
 * test_modpack_replace.c - mkmodpack's verdict on a swap, held against what the kernel does with the same two files.
 *
 * Nobody uses what the modules here provide, so of the reasons about interfaces only some are the kernel's too.
 */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../tools/mkmodpack/replace.h"

static void take(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings, (void)err;
    cr_log_info("%s: %s\n", file, text);
}

static bool open_module(struct hx_mp_module *out, const char *name)
{
    struct hx_mp_findings findings = { .take = take };
    return hx_mp_module_open_bytes(out, name, name, world_file(name), &findings);
}

/* The kernel admits a swap whatever an interface loses while nobody relies on it. */
static bool refuses_for_sure(const struct hx_mp_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++)
        if (verdict->change[i].refuses && strcmp(verdict->change[i].aspect, "interface") != 0)
            return true;
    return false;
}

/* Whether the kernel refused before the blackout, by looking alone. */
static bool was_not_admitted(hx_status_t err, const struct hx_job *job)
{
    const char *step = job->swap.report.step;
    return err != HX_OK && (strcmp(step, "admit") == 0 || strcmp(step, "reserve") == 0 || strcmp(step, "link") == 0);
}

static void compare(const char *old_file, const char *new_file)
{
    struct hx_mp_module old, new;
    struct hx_mp_verdict verdict;
    struct hx_job job;
    bool good = open_module(&old, old_file);
    cr_assert(good, "%s", old_file);
    good = open_module(&new, new_file);
    cr_assert(good, "%s", new_file);
    hx_mp_judge(&verdict, &old, &new);
    cr_assert_not(verdict.no_memory);

    world_begin(0);
    cr_assert_eq(world_load(old_file, &job), HX_OK, "%s: %s", old_file, job.report.message);
    hx_status_t err = world_reload(job.loaded, new_file, &job);
    bool refused = was_not_admitted(err, &job);
    if (verdict.refusals == 0)
        cr_assert_not(refused, "%s for %s: %s", new_file, old_file, job.swap.report.message);
    if (refuses_for_sure(&verdict))
        cr_assert(refused, "%s for %s: %s", new_file, old_file, verdict.change[0].text);
    if (refused)
        cr_assert(verdict.refusals > 0, "%s for %s: %s", new_file, old_file, job.swap.report.message);
    if (err == HX_OK)
        cr_assert_str_eq(verdict.state, hx_state_way_name(job.swap.way), "%s for %s", new_file, old_file);
    cr_assert_eq(world_unload(err == HX_OK ? new.record->name : old.record->name, &job), HX_OK, "%s",
                 job.report.message);
    hx_mp_verdict_free(&verdict);
    hx_mp_module_close(&old);
    hx_mp_module_close(&new);
}

Test(modpack_replace, the_kernel_agrees_about_stores)
{
    static const char *const files[] = { "svc_kv.hxm", "svc_kv-2.hxm" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(files); i++)
        for (size_t j = 0; j < HX_ARRAY_SIZE(files); j++)
            compare(files[i], files[j]);
}

Test(modpack_replace, the_kernel_agrees_about_schedulers)
{
    static const char *const files[] = { "sched_rr.hxm", "sched_rr-2.hxm", "sched_prio.hxm",
                                         "sched_field_dropped.hxm" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(files); i++)
        for (size_t j = 0; j < HX_ARRAY_SIZE(files); j++)
            if (i != 3)
                compare(files[i], files[j]);
}

Test(modpack_replace, the_kernel_agrees_about_other_kinds)
{
    static const char *const files[] = { "drv_rtc.hxm", "good_minimal.hxm", "svc_kv.hxm", "irq_taken.hxm" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(files); i++)
        for (size_t j = 0; j < HX_ARRAY_SIZE(files); j++)
            compare(files[i], files[j]);
}
