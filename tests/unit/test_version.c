/* SPDX-License-Identifier: MIT */
/* test_version.c - init and fini of a version: constructors, what is given back after init, destructors. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/log.h>
#include <helix/rtc.h>
#include <string.h>

static hx_status_t ask_now(void *argument)
{
    *(hx_ret_t *)argument = hx_rtc_now();
    return HX_OK;
}

static hx_status_t ask_rate(void *argument)
{
    *(hx_ret_t *)argument = hx_rtc_rate();
    return HX_OK;
}

static hx_ret_t rtc_now(void)
{
    hx_ret_t result = HX_E_INTERNAL;
    cr_assert_eq(world_run(ask_now, &result), HX_OK);
    return result;
}

static hx_ret_t rtc_rate(void)
{
    hx_ret_t result = HX_E_INTERNAL;
    cr_assert_eq(world_run(ask_rate, &result), HX_OK);
    return result;
}

/* What has been logged since @cursor, one line after the other. */
static const char *logged(struct hx_log_cursor cursor)
{
    static char text[512];
    struct hx_log_entry entry;
    uint64_t missed = 0;
    text[0] = 0;
    while (hx_log_next(&cursor, &entry, &missed)) {
        strncat(text, entry.text, sizeof(text) - strlen(text) - 2);
        strcat(text, ".");
    }
    return text;
}

static hx_status_t run_job(void *job)
{
    return hx_engine_run(job);
}

Test(version, constructors_run_by_priority_before_init_and_destructors_backwards_after_fini)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    cr_assert_eq(world_load("constructors.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(rtc_now(), 1234);
    struct hx_log_cursor cursor = hx_log_newest();
    cr_assert_eq(world_unload("constructors", &job), HX_OK, "%s", job.report.message);
    cr_assert_str_eq(logged(cursor), "fini.destructor 102.destructor 101.");
    ASSERT_CENSUS(before);
}

Test(version, a_swap_constructs_the_new_version_and_destroys_the_old_one)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("constructors.hxm", &job), HX_OK, "%s", job.report.message);
    struct hx_log_cursor cursor = hx_log_newest();
    cr_assert_eq(world_reload("constructors", "constructors.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_str_eq(logged(cursor), "fini.destructor 102.destructor 101.");
    cr_assert_eq(rtc_now(), 1234);
}

Test(version, when_init_refuses_what_was_constructed_is_destroyed)
{
    struct hx_job job = { .kind = HX_JOB_LOAD, .who = "test", .by = &hx_kernel_principal, .params = "init_refuses=1" };
    world_begin(0);
    struct census before = world_census();
    struct hx_log_cursor cursor = hx_log_newest();
    job.file = world_file("constructors.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_NOMEM, "%s", job.report.message);
    cr_assert_str_eq(job.report.subject, "init");
    cr_assert_str_eq(logged(cursor), "destructor 102.destructor 101.");
    ASSERT_CENSUS(before);
}

Test(version, a_constructor_that_faults_refuses_the_load_and_is_named)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    struct hx_log_cursor cursor = hx_log_newest();
    cr_assert_eq(world_load("constructor_faults.hxm", &job), HX_E_FAULT);
    cr_assert_str_eq(job.report.step, "init");
    cr_assert_str_eq(job.report.subject, "constructor");
    cr_assert(strstr(job.report.message, "stumbles+0x0/"), "%s", job.report.message);
    cr_assert(strstr(job.report.message, ", 1 of 1, faulted: page fault"), "%s", job.report.message);
    cr_assert_str_eq(logged(cursor), "", "nothing else of it is called");
    ASSERT_CENSUS(before);
    cr_assert_eq(world_load("constructors.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(version, what_init_alone_needs_is_given_back_and_the_module_works_on)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    cr_assert_eq(world_load("lifetimes.hxm", &job), HX_OK, "%s", job.report.message);
    const struct hx_image *image = hx_module_find("lifetimes")->running->image;
    cr_assert_eq(image->part[HX_PART_INIT_TEXT].bytes, 0);
    cr_assert_eq(image->part[HX_PART_INIT_DATA].bytes, 0);
    cr_assert_eq(image->part[HX_PART_RO_AFTER_INIT].bytes, 8);
    cr_assert_lt(world_census().image_pages - before.image_pages, 12, "its init data has 16 pages");
    cr_assert_eq(rtc_now(), 42);
    cr_assert_eq(world_unload("lifetimes", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

Test(version, after_init_neither_it_nor_a_constructor_can_be_called)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("lifetimes.hxm", &job), HX_OK, "%s", job.report.message);
    struct hx_version *version = hx_module_find("lifetimes")->running;
    cr_assert_not(hx_version_has_hook(version, HX_HOOK_INIT));
    cr_assert_eq(hx_gate_call(version->hooks, HX_HOOK_INIT, 0, 0, 0, 0), HX_E_UNSUPPORTED);
    cr_assert_eq(hx_gate_call(version->hooks, HX_HOOK_COUNT, version->constructors[0], 0, 0, 0), HX_E_UNSUPPORTED);
}

Test(version, writing_after_init_what_only_init_may_write_is_a_fault)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(world_load("lifetimes.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("lifetimes", "lifetimes.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(rtc_rate(), HX_E_FAULT);
    hal_host_advance(10000000);
    cr_assert_eq(hx_module_find("lifetimes")->state, HX_MODULE_RUNNING, "it is reverted");
    cr_assert_eq(rtc_now(), 42);
    cr_assert_eq(rtc_rate(), HX_E_FAULT);
    hal_host_advance(10000000);
    cr_assert_eq(hx_module_find("lifetimes")->state, HX_MODULE_ERROR, "there is nothing to go back to");
}

Test(version, a_module_in_cxx_is_constructed)
{
    struct hx_job job;
#ifndef HX_HAS_CXX
    cr_skip_test("no C++ compiler");
#endif
    world_begin(0);
    struct census before = world_census();
    cr_assert_eq(world_load("constructors_cxx.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(rtc_now(), 123);
    struct hx_log_cursor cursor = hx_log_newest();
    cr_assert_eq(world_unload("constructors_cxx", &job), HX_OK, "%s", job.report.message);
    cr_assert_str_eq(logged(cursor), "destructor.");
    ASSERT_CENSUS(before);
}
