/* SPDX-License-Identifier: MIT */
/* pair.c - see pair.h. */
#include "pair.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <stdio.h>
#include <string.h>

hx_status_t pair_put(void *key)
{
    return (hx_status_t)hx_kv_put(key, strlen(key), "12345", 5);
}

hx_status_t pair_count(void *argument)
{
    (void)argument;
    return (hx_status_t)hx_kv_count();
}

static hx_status_t run_job(void *job)
{
    return hx_engine_run(job);
}

hx_status_t pair_run(struct hx_job *job)
{
    return world_run(run_job, job);
}

struct hx_job pair_job_of(const char *module, const char *file)
{
    struct hx_job job = { .kind = HX_JOB_RELOAD,
                          .priority = 1,
                          .file = world_file(file),
                          .who = "test",
                          .by = &hx_kernel_principal,
                          .may_downgrade = true };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return job;
}

void pair_add(struct hx_job *job, const char *module, const char *file)
{
    struct hx_job_part *part = &job->with[job->with_count++];
    snprintf(part->module, sizeof(part->module), "%s", module);
    part->file = world_file(file);
    part->may_downgrade = true;
}

void pair_begin(const char *params)
{
    world_begin(PAIR_PROBATION_MS);
    cr_assert_eq(world_load("depot_1.hxm", NULL), HX_OK);
    struct hx_job job = { .kind = HX_JOB_LOAD,
                          .file = world_file("shop_1.hxm"),
                          .params = params,
                          .who = "test",
                          .by = &hx_kernel_principal };
    cr_assert_eq(pair_run(&job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_run(pair_put, "a"), HX_OK);
    cr_assert_eq(world_run(pair_put, "b"), HX_OK);
}

hx_status_t pair_swap(struct hx_job *job)
{
    *job = pair_job_of("depot", "depot_2.hxm");
    pair_add(job, "shop", "shop_2.hxm");
    return pair_run(job);
}

void pair_assert_runs(const char *version, int sum)
{
    cr_assert_str_eq(world_version("depot"), version);
    cr_assert_str_eq(world_version("shop"), version);
    cr_assert_eq(world_run(pair_count, NULL), sum, "%d", world_run(pair_count, NULL));
    cr_assert_eq(hx_module_find("shop")->state, HX_MODULE_RUNNING);
    cr_assert_eq(hx_module_find("depot")->state, HX_MODULE_RUNNING);
}
