/* SPDX-License-Identifier: MIT */
/* test_resource_memory.c - what modules pay for the memory of their versions, and what a quota refuses. */
#include "resource_fixture.h"

#include <stdio.h>

/* ---- modules: memory ------------------------------------------------------------------------------------------------ */

static hx_status_t run_job(void *argument)
{
    return hx_engine_run(argument);
}

static hx_status_t load_with(const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    return world_run(run_job, job);
}

static hx_status_t reload_with(const char *module, const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                            .file = world_file(file),
                            .params = params,
                            .who = "test",
                            .by = &hx_kernel_principal,
                            .may_downgrade = true };
    snprintf(job->module, sizeof(job->module), "%s", module);
    return world_run(run_job, job);
}

static uint64_t memory_of(const char *module)
{
    return share_of(hx_module_find(module)->resources, HX_RESOURCE_MEMORY).allocated;
}

Test(resource, a_module_pays_for_its_image_until_it_goes)
{
    struct hx_job job;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    const struct hx_version *version = hx_module_find("svc_kv")->running;
    struct hx_resource_share share = share_of(hx_module_find("svc_kv")->resources, HX_RESOURCE_MEMORY);
    cr_assert_geq(share.allocated, hx_image_bytes(version->image));
    cr_assert(share.used <= share.allocated && share.used >= hx_image_bytes(version->image));
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all - share.allocated);
    cr_assert_eq(hx_resource_charge_memory(hx_module_find("svc_kv")->resources, 1000), HX_OK, "for an object");
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all);
}

Test(resource, a_load_over_its_quota_is_refused_and_says_how_much_it_takes)
{
    char expected[32];
    struct hx_job job;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    struct census before = world_census();
    cr_assert_eq(load_with("caller.hxm", "", &job), HX_OK);
    uint64_t needs = memory_of("caller");
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
    char params[64];
    snprintf(params, sizeof(params), "quota.memory=%lu", needs - 1);
    cr_assert_eq(load_with("caller.hxm", params, &job), HX_E_QUOTA);
    snprintf(expected, sizeof(expected), "takes %lu bytes", needs);
    cr_assert(strstr(job.report.message, expected), "%s", job.report.message);
    snprintf(expected, sizeof(expected), "%lu left", needs - 1);
    cr_assert(strstr(job.report.message, expected), "%s", job.report.message);
    cr_assert_str_eq(job.report.step, "admit");
    cr_assert_str_eq(world_version("caller"), "-");
    ASSERT_CENSUS(before);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all);
    snprintf(params, sizeof(params), "quota.memory=%lu", needs);
    cr_assert_eq(load_with("caller.hxm", params, &job), HX_OK, "%s", job.report.message);
}

Test(resource, a_quota_that_makes_no_sense_is_refused_at_load)
{
    static const char *const bad[] = { "quota.memory=lots", "quota.=1", "quota.spoons=1", "quota.cpu=0" };
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        cr_assert_neq(load_with("svc_kv.hxm", bad[i], &job), HX_OK, "%s", bad[i]);
        cr_assert(strstr(job.report.message, bad[i]), "%s", job.report.message);
        ASSERT_CENSUS(before);
    }
    cr_assert_eq(load_with("svc_kv.hxm", "  quota.memory=1G quota.cpu=30% ", &job), HX_OK, "%s", job.report.message);
    const struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    cr_assert_eq(share_of(holder, HX_RESOURCE_MEMORY).quota, 1 << 30);
    cr_assert_eq(share_of(holder, HX_RESOURCE_CPU_TIME).quota, 300 * ms);
}

Test(resource, a_swap_over_the_quota_is_refused_and_the_old_version_goes_on)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    world_kv_fill(50);
    struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    uint64_t one = memory_of("svc_kv");
    struct census before = world_census();
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, one + one / 2), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_QUOTA);
    cr_assert(strstr(job.swap.report.message, "beside the version that runs"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "quota svc_kv memory="), "%s", job.swap.report.message);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(50), 50);
    cr_assert_eq(memory_of("svc_kv"), one);
    ASSERT_CENSUS(before);
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, 4 * one), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_kv_count_intact(50), 50);
}

Test(resource, both_versions_are_paid_for_until_one_goes)
{
    struct hx_job job;
    world_begin(1000000);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    uint64_t one = memory_of("svc_kv");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
    uint64_t both = memory_of("svc_kv");
    cr_assert_gt(both, one + one / 2);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_OK);
    uint64_t two = memory_of("svc_kv");
    uint64_t record = share_of(hx_module_find("svc_kv")->resources, HX_RESOURCE_MEMORY).charged;
    cr_assert_eq(two, both - one + record, "which is the module's, and there once");
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK);
    cr_assert_eq(memory_of("svc_kv"), two);
}

Test(resource, a_swap_takes_no_quota_along_and_keeps_that_of_the_module)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(load_with("svc_kv.hxm", "quota.memory=1G", &job), HX_OK);
    cr_assert_eq(reload_with("svc_kv", "svc_kv.hxm", "quota.memory=2G", &job), HX_E_UNSUPPORTED);
    cr_assert(strstr(job.swap.report.message, "quota svc_kv"), "%s", job.swap.report.message);
    struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, 1 << 29), HX_OK);
    cr_assert_eq(reload_with("svc_kv", "svc_kv.hxm", NULL, &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(share_of(holder, HX_RESOURCE_MEMORY).quota, 1 << 29);
}

Test(resource, modules_cannot_have_more_than_there_is)
{
    struct hx_job job;
    hx_handle_t rest = HX_HANDLE_NONE;
    static struct hx_resource_holder other;
    world_begin(0);
    hx_resource_holder_init(&other);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, available(HX_RESOURCE_MEMORY) - 100, &rest), HX_OK);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_E_EXHAUSTED);
    cr_assert(strstr(job.report.message, "100 more"), "%s", job.report.message);
}

Test(resource, a_load_whose_nth_allocation_fails_leaves_no_account)
{
    struct hx_job job;
    bool loaded = false;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    struct hx_slice file = world_file("svc_kv.hxm");
    for (uint64_t nth = 1; !loaded && nth < 100; nth++) {
        job = (struct hx_job){
            .kind = HX_JOB_LOAD, .file = file, .params = "", .who = "test", .by = &hx_kernel_principal
        };
        hal_host_fail_at(nth + 1); /* the first is the stack of the task that asks */
        loaded = world_run(run_job, &job) == HX_OK;
        hal_host_fail_at(0);
        if (!loaded)
            cr_assert_eq(available(HX_RESOURCE_MEMORY), all, "%lu", nth);
    }
    cr_assert(loaded);
}
