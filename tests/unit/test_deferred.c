/* SPDX-License-Identifier: MIT */
/* test_deferred.c - what an interrupt leaves to be done later: once, in a thread, by whoever runs then. */
#include "world.h"

#include <criterion/criterion.h>
#include <interrupts/router.h>
#include <orchestrator/callbacks.h>
#include <string.h>

enum { BELL = 6, MS = 1000000 };

struct work {
    uint64_t works, calls;
};

static struct hx_module *module;

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static void begin_with(const char *file, const char *params)
{
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    world_begin(1000);
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s", job.report.message);
    module = hx_module_find("deferrer");
}

static void begin(const char *params)
{
    begin_with("deferrer.hxm", params);
}

/* Without giving way to the task that calls for them. */
static void ring(uint32_t times)
{
    hx_preempt_disable();
    for (uint32_t i = 0; i < times; i++)
        hal_host_irq(BELL);
    hx_preempt_enable();
}

static struct work worked(void)
{
    struct work work;
    memcpy(&work, module->running->state, sizeof(work));
    return work;
}

static const struct hx_callback *deferred(const char *key)
{
    return hx_callback_find(module, key);
}

Test(deferred, any_number_of_requests_is_one_call_that_may_sleep)
{
    begin("");
    ring(3);
    cr_assert_eq(worked().calls, 0, "not in the interrupt");
    cr_assert_eq(deferred("work")->pending, 3);
    hal_host_advance(MS);
    cr_assert(worked().works == 3 && worked().calls == 1, "%lu in %lu", worked().works, worked().calls);
    cr_assert(deferred("work")->served == 3 && deferred("work")->pending == 0);
    cr_assert_eq(hx_irq_of_line(BELL)->refused, 0, "an unknown key was taken, or an interrupt slept");
    ring(1);
    hal_host_advance(MS);
    cr_assert(worked().works == 4 && worked().calls == 2);
}

Test(deferred, a_request_that_comes_during_the_call_is_another_call)
{
    begin("");
    ring(2);
    hal_host_advance(500);
    cr_assert(worked().calls == 0 && deferred("work")->pending == 2, "it is in the middle, asleep");
    ring(1);
    hal_host_advance(MS);
    cr_assert(worked().works == 3 && worked().calls == 2, "%lu in %lu", worked().works, worked().calls);
}

Test(deferred, requests_to_a_closed_module_are_kept_until_it_opens)
{
    begin("");
    hx_module_close(module, false);
    ring(2);
    hal_host_advance(10 * MS);
    cr_assert(worked().calls == 0 && deferred("work")->pending == 2);
    hx_preempt_disable();
    hx_lifecycle_reopen(module);
    hx_preempt_enable();
    hal_host_advance(MS);
    cr_assert(worked().works == 2 && worked().calls == 1);
}

Test(deferred, a_swap_moves_requests_to_the_function_of_the_same_key)
{
    struct hx_job job;
    begin("");
    hx_slot_close(module->calls);
    ring(5);
    hal_host_advance(MS);
    cr_assert_eq(world_reload("deferrer", "deferrer_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(MS);
    cr_assert_eq(worked().works, 5);
    cr_assert(deferred("work")->served == 5 && deferred("other")->served == 0);
    cr_assert_eq(hx_callback_ask(module, "other"), HX_OK);
    hal_host_advance(MS);
    cr_assert_eq(worked().works, 1005);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "deferrer", NULL), HX_OK);
    cr_assert_null(deferred("other"));
    cr_assert_eq(hx_callback_ask(module, "other"), HX_E_NOENT);
    ring(1);
    hal_host_advance(MS);
    cr_assert_eq(worked().works, 1, "the state of before the swap, and one more");
}

Test(deferred, a_swap_moves_requests_of_a_module_without_a_line_too)
{
    struct hx_job job;
    begin_with("deferrer_quiet.hxm", "");
    hx_slot_close(module->calls);
    cr_assert_eq(hx_callback_ask(module, "work"), HX_OK);
    hal_host_advance(MS);
    cr_assert_eq(deferred("work")->pending, 1);
    cr_assert_eq(world_reload("deferrer", "deferrer_quiet.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(MS);
    cr_assert_eq(worked().works, 1);
}

static struct hx_gate_vtable in_the_way;
static uint32_t refusals, answers;

/* The gate gives up just when the module opens; the second time it is the function itself that says so. */
static hx_ret_t time_out(void)
{
    if (refusals++ == 0)
        hx_callbacks_resume(module);
    else
        answers++;
    return HX_E_TIMEOUT;
}

Test(deferred, a_request_that_the_gate_refused_is_kept_though_the_module_is_open_by_now)
{
    begin_with("deferrer_quiet.hxm", "");
    const void *const *own = module->calls->vtable;
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        in_the_way.op[i] = (const void *)(uintptr_t)time_out;
    module->calls->vtable = in_the_way.op;
    cr_assert_eq(hx_callback_ask(module, "work"), HX_OK);
    hal_host_advance(MS);
    module->calls->vtable = own;
    cr_assert(refusals == 2 && answers == 1, "%u %u", refusals, answers);
    cr_assert(deferred("work")->pending == 0 && deferred("work")->served == 1);
}

static hx_ret_t close_up(void)
{
    refusals++;
    hx_slot_close(module->calls);
    return HX_E_CLOSED;
}

Test(deferred, a_request_that_the_gate_refused_is_kept_while_the_module_is_closed)
{
    begin_with("deferrer_quiet.hxm", "");
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        in_the_way.op[i] = (const void *)(uintptr_t)close_up;
    module->calls->vtable = in_the_way.op;
    cr_assert_eq(hx_callback_ask(module, "work"), HX_OK);
    hal_host_advance(MS);
    cr_assert(refusals == 1 && deferred("work")->pending == 1, "%u", refusals);
}

Test(deferred, a_function_that_the_new_version_lacks_is_kept_until_the_commit)
{
    struct hx_job job;
    begin("");
    hx_slot_close(module->calls);
    ring(1);
    cr_assert_eq(world_reload("deferrer", "deferrer_3.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(hx_callback_ask(module, "work"), HX_E_NOENT);
    hal_host_advance(MS);
    cr_assert_eq(deferred("work")->pending, 1);
    cr_assert_eq(hx_slot_info(module->calls)->state, HX_SLOT_ABSENT);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "deferrer", NULL), HX_OK);
    hal_host_advance(MS);
    cr_assert_eq(worked().works, 1);
    cr_assert_eq(world_reload("deferrer", "deferrer_3.hxm", NULL), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "deferrer", NULL), HX_OK);
    cr_assert_null(hx_callback_next(NULL));
    cr_assert_eq(world_unload("deferrer", NULL), HX_OK);
}

Test(deferred, one_that_faults_is_a_fault_of_its_module)
{
    begin("faults=1");
    hal_host_advance(2000u * MS);
    ring(2);
    hal_host_advance(10 * MS);
    cr_assert_eq(module->state, HX_MODULE_ERROR);
    cr_assert(deferred("work")->lost == 2 && deferred("work")->pending == 0);
    cr_assert_eq(hx_callback_ask(module, "work"), HX_OK, "it is its own, and waits for a version that works");
    hal_host_advance(MS);
    cr_assert_eq(deferred("work")->pending, 1);
    cr_assert_eq(world_unload("deferrer", NULL), HX_OK);
    cr_assert_null(hx_callback_next(NULL));
}

Test(deferred, nothing_is_left_of_an_unloaded_module)
{
    begin("");
    cr_assert_eq(world_unload("deferrer", NULL), HX_OK);
    struct census before = world_census();
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(world_load("deferrer.hxm", NULL), HX_OK);
        module = hx_module_find("deferrer");
        ring(i);
        cr_assert_eq(world_unload("deferrer", NULL), HX_OK);
        cr_assert_null(hx_callback_next(NULL));
    }
    ASSERT_CENSUS(before);
}
