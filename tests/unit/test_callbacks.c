/* SPDX-License-Identifier: MIT */
/* test_callbacks.c - tasks and timers that modules declare: through swaps, faults and unloads. */
#include "world.h"

#include <criterion/criterion.h>
#include <orchestrator/callbacks.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000000 };

struct state {
    uint64_t rounds, begun, broken, beats, beat_calls, extras;
};

static struct hx_module *module;
static char told[160];

static void hear(bool bad, const char *line)
{
    cr_assert(bad);
    snprintf(told, sizeof(told), "%s", line);
}

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static hx_status_t load(const char *params, struct hx_job *job)
{
    *job = (struct hx_job){ .kind = HX_JOB_LOAD,
                            .file = world_file("caller.hxm"),
                            .params = params,
                            .who = "test",
                            .by = &hx_kernel_principal };
    hx_status_t err = world_run(run_engine, job);
    module = hx_module_find("caller");
    return err;
}

static void begin(const char *params)
{
    struct hx_job job;
    world_begin(1000);
    hx_callbacks_bind_tell(hear);
    cr_assert_eq(load(params, &job), HX_OK, "%s", job.report.message);
}

static struct state state(void)
{
    struct state state;
    memcpy(&state, module->running->state, sizeof(state));
    return state;
}

static const struct hx_callback *callback(const char *key)
{
    return hx_callback_find(module, key);
}

static bool find_task(struct hx_task *task, void *name)
{
    return strcmp(task->name, *(const char **)name) != 0 || (*(void **)name = task, false);
}

static struct hx_task *task(const char *name)
{
    const void *found = name;
    hx_task_for_each(find_task, &found);
    return found == name ? NULL : (struct hx_task *)(uintptr_t)found;
}

/* ---- timers ---------------------------------------------------------------------------------------------------------- */

Test(callbacks, a_timer_counts_its_periods)
{
    begin("");
    struct state before = state();
    uint64_t served = callback("beat")->served;
    hal_host_advance(10 * MS);
    cr_assert_eq(state().beats - before.beats, 10, "%lu", state().beats - before.beats);
    cr_assert_eq(callback("beat")->served - served, 10);
}

Test(callbacks, periods_of_a_closed_module_are_told_in_one_call)
{
    begin("");
    hx_module_close(module, false);
    hal_host_advance(5 * MS);
    struct state before = state();
    cr_assert_eq(callback("beat")->pending, 5);
    hx_preempt_disable();
    hx_lifecycle_reopen(module);
    hx_preempt_enable();
    hal_host_advance(MS / 10);
    cr_assert(state().beats - before.beats >= 5 && state().beats - before.beats <= 6);
    cr_assert(state().beat_calls - before.beat_calls <= 2, "%lu", state().beat_calls - before.beat_calls);
}

Test(callbacks, a_timer_keeps_its_beat_through_a_swap_and_its_count_through_a_revert)
{
    begin("");
    uint64_t due_ns = callback("beat")->due_ns;
    cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert_eq((callback("beat")->due_ns - due_ns) % MS, 0, "its phase has changed");
    cr_assert_geq(state().beats, 10000);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    uint64_t beats = state().beats;
    hal_host_advance(10 * MS);
    cr_assert_eq(state().beats, beats + 10);
    cr_assert_eq((callback("beat")->due_ns - due_ns) % MS, 0);
}

Test(callbacks, a_new_period_counts_from_the_open_on)
{
    begin("");
    cr_assert_eq(world_reload("caller", "caller_5.hxm", NULL), HX_OK);
    uint64_t calls = state().beat_calls;
    hal_host_advance(10 * MS);
    cr_assert_eq(state().beat_calls - calls, 5, "%lu", state().beat_calls - calls);
}

/* ---- tasks ----------------------------------------------------------------------------------------------------------- */

Test(callbacks, a_task_is_called_again_and_again)
{
    begin("");
    struct state before = state();
    hal_host_advance(50 * MS);
    cr_assert(state().rounds - before.rounds > 40 && state().rounds - before.rounds <= 50, "%lu", state().rounds);
    cr_assert_eq(task("caller:round")->priority, 100);
    cr_assert_eq(task("caller:round")->owner, module);
}

Test(callbacks, a_restartable_wait_is_broken_off_and_the_call_made_on_the_new_version)
{
    struct hx_job job;
    begin("nap_ms=3600000");
    cr_assert_eq(state().begun, 1);
    hx_handle_t before = task("caller:round")->handle;
    cr_assert_eq(world_reload("caller", "caller_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_lt(job.swap.blackout_ns, 2 * MS, "%lu", job.swap.blackout_ns);
    hal_host_advance(20 * MS);
    cr_assert_eq(state().broken, 0, "the call that was broken off went on");
    cr_assert(state().rounds >= 15000 && state().rounds % 1000 == 0, "%lu", state().rounds);
    cr_assert_eq(task("caller:round")->handle, before, "another task");
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "caller", NULL), HX_OK);
    cr_assert_eq(task("caller:round")->priority, 90);
}

Test(callbacks, a_key_keeps_its_kind)
{
    struct hx_job job;
    begin("nap_ms=3600000");
    cr_assert_eq(world_reload("caller", "caller_4.hxm", &job), HX_E_INVAL);
    cr_assert(strstr(job.swap.report.message, "beat was a timer"), "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "reserve");
    cr_assert(!callback("more") && !callback("later"), "what was claimed for it is kept");
    cr_assert_null(task("caller:more"));
    cr_assert_eq(state().begun, 1, "it was not even closed");
}

static hx_status_t close_and_open(void *unused)
{
    struct hx_report report;
    (void)unused;
    hx_report_init(&report);
    hx_status_t err = hx_lifecycle_close(&module, 1, &report);
    if (err != HX_OK)
        return err;
    hx_lifecycle_reopen(module);
    hx_preempt_enable();
    return HX_OK;
}

Test(callbacks, a_call_that_was_broken_off_is_made_again_when_the_module_opens)
{
    begin("nap_ms=3600000");
    cr_assert_eq(world_run(close_and_open, NULL), HX_OK);
    hal_host_advance(MS);
    cr_assert(state().begun == 2 && state().broken == 0 && state().rounds == 0, "%lu", state().begun);
}

Test(callbacks, a_sleeper_that_is_not_restartable_refuses_the_swap)
{
    struct hx_job job;
    begin("nap_ms=3000 stubborn=1");
    cr_assert_eq(world_reload("caller", "caller_2.hxm", &job), HX_E_BUSY);
    cr_assert(strstr(job.swap.report.message, "caller:round is still inside") &&
                  strstr(job.swap.report.message, "hx_sleep_ns"),
              "%s", job.swap.report.message);
    cr_assert(!callback("more") && !task("caller:more"), "what was reserved for the new version is left");
    cr_assert_str_eq(world_version("caller"), "1.0.0");
    hal_host_advance(3000u * MS);
    cr_assert(state().rounds == 1 && state().broken == 0);
}

Test(callbacks, an_error_ends_a_task_and_a_new_version_begins_another)
{
    begin("answer=33");
    hal_host_advance(50 * MS);
    cr_assert_eq(state().rounds, 3);
    cr_assert_null(task("caller:round"));
    cr_assert(callback("round")->ended);
    cr_assert_str_eq(told, "caller: task round ends: the device does not answer as it should");
    cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK);
    hal_host_advance(50 * MS);
    cr_assert_geq(state().rounds, 40003, "%lu", state().rounds);
    cr_assert(!callback("round")->ended);
}

Test(callbacks, a_task_goes_on_after_a_timeout_of_its_own)
{
    begin("answer=7");
    hal_host_advance(50 * MS);
    cr_assert_gt(state().rounds, 20);
}

Test(callbacks, a_task_that_faults_is_a_fault_of_its_module)
{
    begin("faults=1 nap_ms=100");
    hal_host_advance(2000u * MS);
    cr_assert_eq(module->state, HX_MODULE_ERROR);
    cr_assert_eq(callback("round")->lost, 1);
    uint64_t pending = callback("beat")->pending;
    hal_host_advance(10 * MS);
    cr_assert_eq(callback("beat")->pending, pending, "its timer goes on");
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
    cr_assert_null(task("caller:round"));
}

Test(callbacks, after_a_revert_the_task_goes_on_with_the_old_version)
{
    begin("nap_ms=3600000");
    struct hx_job job = { .kind = HX_JOB_RELOAD,
                          .file = world_file("caller.hxm"),
                          .params = "faults=1",
                          .who = "test",
                          .by = &hx_kernel_principal,
                          .may_downgrade = true,
                          .module = "caller" };
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(100 * MS);
    cr_assert_eq(module->state, HX_MODULE_RUNNING);
    cr_assert_eq(callback("round")->lost, 1);
    cr_assert_eq(state().rounds, 0, "the state of the swap");
    cr_assert_eq(state().begun, 2, "its call that was broken off, made again: %lu", state().begun);
}

Test(callbacks, a_killed_task_is_back_with_the_next_version)
{
    begin("");
    cr_assert_eq(hx_task_kill(task("caller:calls")->handle), HX_OK);
    cr_assert_eq(hx_task_kill(task("caller:round")->handle), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert(!task("caller:calls") && !task("caller:round"));
    uint64_t beats = state().beats;
    cr_assert_geq(callback("beat")->pending, 9);
    cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert_geq(state().beats, beats + 19000, "what was pending is not lost");
    cr_assert(task("caller:calls") && task("caller:round"));
}

static void begin_probation(const char *params)
{
    begin("nap_ms=3600000");
    struct hx_job job = { .kind = HX_JOB_RELOAD,
                          .file = world_file("caller.hxm"),
                          .params = params,
                          .who = "test",
                          .by = &hx_kernel_principal,
                          .may_downgrade = true,
                          .module = "caller" };
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s", job.swap.report.message);
}

Test(callbacks, a_task_that_ended_on_probation_is_back_after_the_revert)
{
    begin_probation("answer=33");
    hal_host_advance(50 * MS);
    cr_assert_eq(state().rounds, 3);
    cr_assert(callback("round")->ended && !task("caller:round"));
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert(task("caller:round") && !callback("round")->ended);
    cr_assert_eq(state().begun, 2, "%lu", state().begun);
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
}

Test(callbacks, tasks_that_were_killed_on_probation_are_back_after_the_revert)
{
    begin_probation("");
    hx_handle_t calls = task("caller:calls")->handle;
    cr_assert_eq(hx_task_kill(calls), HX_OK);
    cr_assert_eq(hx_task_kill(task("caller:round")->handle), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert(!task("caller:calls") && !task("caller:round"));
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    uint64_t beats = state().beats;
    hal_host_advance(10 * MS);
    cr_assert(task("caller:calls") && task("caller:round"));
    cr_assert_geq(state().beats, beats + 10);
}

static struct hx_callback *unbound;

/* What a task meets that had found the module open, and then another version was published, which lacks the key. */
static hx_ret_t published_meanwhile(void)
{
    unbound->bound = false;
    return HX_E_UNSUPPORTED;
}

Test(callbacks, who_was_on_the_way_when_the_key_went_is_there_when_it_comes_back)
{
    begin("");
    unbound = (struct hx_callback *)(uintptr_t)callback("round");
    const void *round = module->running->calls_vtable.op[unbound->op];
    hx_ret_t (*op)(void) = published_meanwhile;
    memcpy(&module->running->calls_vtable.op[unbound->op], &op, sizeof(op));
    hal_host_advance(10 * MS);
    cr_assert(!unbound->bound && !unbound->ended && task("caller:round"));
    cr_assert_str_empty(told);
    uint64_t rounds = state().rounds;
    module->running->calls_vtable.op[unbound->op] = round;
    unbound->bound = true;
    hx_preempt_disable();
    hx_callbacks_resume(module);
    hx_preempt_enable();
    hal_host_advance(10 * MS);
    cr_assert_geq(state().rounds, rounds + 8);
}

/* An error of a round that was over when another version was published. */
static const void *round_of_new;
static hx_ret_t outlived(void)
{
    module->running->calls_vtable.op[unbound->op] = round_of_new;
    hx_callbacks_bind(module, module->running);
    return HX_E_HARDWARE;
}

Test(callbacks, an_error_of_the_version_before_does_not_end_the_task)
{
    begin("");
    unbound = (struct hx_callback *)(uintptr_t)callback("round");
    round_of_new = module->running->calls_vtable.op[unbound->op];
    hx_ret_t (*op)(void) = outlived;
    memcpy(&module->running->calls_vtable.op[unbound->op], &op, sizeof(op));
    hal_host_advance(10 * MS);
    cr_assert_eq(module->running->calls_vtable.op[unbound->op], round_of_new);
    cr_assert(!unbound->ended && task("caller:round"));
}

/* ---- claims ---------------------------------------------------------------------------------------------------------- */

Test(callbacks, what_is_new_is_called_from_the_open_on_and_gone_after_a_revert)
{
    begin("");
    cr_assert_eq(hx_callback_ask(module, "later"), HX_E_NOENT);
    cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK);
    cr_assert_eq(hx_callback_ask(module, "later"), HX_OK);
    cr_assert_eq(hx_callback_ask(module, "beat"), HX_E_NOENT, "a timer is no deferred function");
    hal_host_advance(10 * MS);
    cr_assert(state().extras >> 32 == 1 && (uint32_t)state().extras >= 8, "%lx", state().extras);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    cr_assert(!callback("more") && !callback("later") && !task("caller:more"));
    cr_assert_eq(hx_callback_ask(module, "later"), HX_E_NOENT);
}

Test(callbacks, what_is_missing_waits_until_the_commit)
{
    begin("");
    cr_assert_eq(world_reload("caller", "caller_3.hxm", NULL), HX_OK);
    struct state before = state();
    hal_host_advance(10 * MS);
    cr_assert(state().rounds == before.rounds && state().beats == before.beats);
    cr_assert(task("caller:round") && callback("beat") && !callback("beat")->bound);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    hal_host_advance(10 * MS);
    cr_assert(state().rounds > before.rounds && state().beats > before.beats);
    cr_assert_eq(world_reload("caller", "caller_3.hxm", NULL), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "caller", NULL), HX_OK);
    cr_assert(!task("caller:round") && !callback("round") && !callback("beat") && callback("more"));
}

Test(callbacks, nothing_is_left_of_an_unloaded_module)
{
    begin("nap_ms=3600000");
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
    struct census before = world_census();
    uint32_t tasks = hx_task_count();
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(world_load("caller.hxm", NULL), HX_OK);
        hal_host_advance(i * 3 * MS);
        cr_assert_eq(hx_task_count(), tasks + 2);
        cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK);
        hal_host_advance(i * 3 * MS);
        cr_assert_eq(world_unload("caller", NULL), HX_OK);
        cr_assert_null(hx_callback_next(NULL));
        cr_assert_eq(hx_task_count(), tasks);
    }
    ASSERT_CENSUS(before);
}

Test(callbacks, a_load_and_a_swap_that_run_out_of_memory_leave_nothing)
{
    struct hx_job job;
    begin("");
    uint32_t tasks = hx_task_count();
    cr_assert_eq(world_reload("caller", "caller_2.hxm", NULL), HX_OK); /* what stays with the identity is there */
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
    struct census before = world_census();
    uint32_t failed = 0;
    for (uint32_t nth = 2;; nth++) { /* the first is that of the task which asks */
        hal_host_fail_at(nth);
        hx_status_t err = world_reload("caller", "caller_2.hxm", &job);
        bool has_failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (err == HX_OK && !has_failed)
            break;
        failed += err != HX_OK;
        if (err == HX_OK)
            cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caller", NULL), HX_OK);
        cr_assert(!callback("more") && !callback("later"));
        cr_assert_eq(hx_task_count(), tasks);
        ASSERT_CENSUS(before);
    }
    cr_assert_geq(failed, 4, "%u", failed);
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
    before = world_census();
    tasks = hx_task_count();
    for (uint32_t nth = 2;; nth++) {
        hal_host_fail_at(nth);
        hx_status_t err = load("", &job);
        bool has_failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (err == HX_OK && !has_failed)
            break;
        if (err == HX_OK)
            cr_assert_eq(world_unload("caller", NULL), HX_OK);
        cr_assert_eq(hx_task_count(), tasks);
        ASSERT_CENSUS(before);
    }
}
