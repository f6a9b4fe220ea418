/* SPDX-License-Identifier: MIT */
/* test_restart.c - modules that begin again: by hand, and by themselves after a crash. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/log.h>
#include <helix/kv.h>
#include <hotreload/restart.h>
#include <ipc/message_router.h>
#include <orchestrator/callbacks.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000000, SECOND = 1000 * MS };
enum { ADD, READ, FAULT, FAULT_UNLESS_FRESH };

static char told[2048];

static void hear(bool bad, const char *line)
{
    (void)bad;
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s\n", line);
}

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static struct hx_job load(const char *file, const char *params)
{
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s: %s", file, job.report.message);
    return job;
}

static void begin(bool restarts)
{
    world_begin(1000);
    hx_engine_bind(hear);
    hx_engine_set_restarts(restarts);
}

static struct hx_job expect(enum hx_job_kind kind, const char *name, hx_status_t err)
{
    struct hx_job job;
    hx_status_t got = world_simple(kind, name, &job);
    cr_assert_eq(got, err, "%s: %d: %s %s", name, got, job.report.message, job.swap.report.message);
    return job;
}

static const struct hx_module *keeper(void)
{
    return hx_module_find("keeper");
}

struct asked {
    uint32_t code;
    hx_status_t err;
    uint64_t reply;
    bool done;
};

static hx_status_t ask_once(void *argument)
{
    struct asked *asked = argument;
    struct hx_message message = { .code = asked->code };
    asked->err = hx_router_request(hx_router_find("keeper"), &hx_kernel_holder, &message, UINT64_MAX);
    memcpy(&asked->reply, message.data, sizeof(asked->reply));
    asked->done = true;
    return HX_OK;
}

static hx_status_t ask(uint32_t code, uint64_t *out)
{
    struct asked asked = { .code = code };
    cr_assert_eq(world_run(ask_once, &asked), HX_OK);
    *out = asked.reply;
    return asked.err;
}

static uint64_t number(uint32_t code)
{
    uint64_t reply = 0;
    hx_status_t err = ask(code, &reply);
    cr_assert_eq(err, HX_OK, "%d", err);
    return reply;
}

static void crash(void)
{
    uint64_t ignored = 0;
    cr_assert_eq(ask(FAULT, &ignored), HX_E_FAULT);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------- */

Test(restart, it_begins_again_with_its_parameters_and_keeps_its_identity)
{
    begin(false);
    load("keeper.hxm", "start_at=7");
    hx_handle_t service = hx_router_find("keeper");
    const struct hx_module *module = keeper();
    const struct hx_version *version = module->running;
    cr_assert_eq(number(ADD), 8);
    struct census before = world_census();
    struct hx_job job = expect(HX_JOB_RESTART, "keeper", HX_OK);
    ASSERT_CENSUS(before);
    cr_assert(keeper() == module && module->running != version && hx_router_find("keeper") == service);
    cr_assert_eq(module->state, HX_MODULE_RUNNING);
    cr_assert_eq(module->restarts, 1);
    cr_assert_str_eq(module->running->params_text, "start_at=7");
    cr_assert_eq(number(READ), 7, "its state is another's");
    cr_assert_eq(job.swap.outcome, HX_SWAP_RESTARTED);
    cr_assert_str_eq(job.swap.who, "test");
    cr_assert_eq(world_unload("keeper", NULL), HX_OK);
}

static hx_status_t put_echo(void *argument)
{
    (void)argument;
    return hx_kv_put(HX_TEXT("echo"), HX_TEXT("over and out")) < 0 ? HX_E_FAILED : HX_OK;
}

Test(restart, users_stay_bound_and_are_named)
{
    begin(false);
    load("svc_kv.hxm", "");
    char user[HX_NAME_MAX];
    strcpy(user, load("good_kv_user.hxm", "").loaded);
    world_kv_fill(10);
    struct hx_job job = expect(HX_JOB_RESTART, "svc_kv", HX_OK);
    cr_assert_str_eq(job.report.message, user);
    cr_assert_eq(world_kv_count_intact(10), 10, "they are in its record");
    expect(HX_JOB_UNLOAD, "svc_kv", HX_E_IN_USE);
    cr_assert_eq(world_run(put_echo, NULL), HX_OK); /* which its user gives back when it stops */
    expect(HX_JOB_RESTART, user, HX_OK);
    expect(HX_JOB_UNLOAD, user, HX_OK);
    expect(HX_JOB_UNLOAD, "svc_kv", HX_OK);
}

Test(restart, from_paused_and_from_error)
{
    begin(false);
    load("keeper.hxm", "");
    number(ADD);
    expect(HX_JOB_PAUSE, "keeper", HX_OK);
    expect(HX_JOB_RESTART, "keeper", HX_OK);
    cr_assert_eq(keeper()->state, HX_MODULE_RUNNING);
    cr_assert_eq(number(ADD), 1);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_ERROR);
    uint64_t reply = 0;
    cr_assert_eq(ask(READ, &reply), HX_E_FAILED);
    expect(HX_JOB_RESTART, "keeper", HX_OK);
    cr_assert_eq(number(ADD), 1);
}

/* How often the module called rests has logged @hook. */
static uint32_t hook_calls(const char *hook)
{
    struct hx_log_entry entry;
    struct hx_log_cursor cursor = hx_log_oldest();
    uint64_t missed = 0;
    uint32_t calls = 0;
    while (hx_log_next(&cursor, &entry, &missed))
        calls += strcmp(entry.source, "rests") == 0 && strcmp(entry.text, hook) == 0;
    return calls;
}

Test(restart, nothing_of_a_version_that_has_crashed_is_called_any_more)
{
    begin(false);
    load("rests.hxm", "");
    expect(HX_JOB_RESTART, "rests", HX_OK);
    cr_assert(hook_calls("started") == 2 && hook_calls("stop") == 1 && hook_calls("fini") == 1);
    hx_lifecycle_fail(hx_module_find("rests"));
    expect(HX_JOB_RESTART, "rests", HX_OK);
    cr_assert(hook_calls("started") == 3 && hook_calls("stop") == 1 && hook_calls("fini") == 1);
}

Test(restart, who_waits_for_a_late_reply_of_before_is_told)
{
    begin(false);
    load("keeper.hxm", "");
    uint64_t before_ns = hx_hal_clock_ns();
    cr_assert_eq(hx_callback_find(keeper(), "keeper")->service.forsaken_ns, 0);
    expect(HX_JOB_RESTART, "keeper", HX_OK);
    cr_assert_geq(hx_callback_find(keeper(), "keeper")->service.forsaken_ns, before_ns);
}

Test(restart, tasks_and_timers_go_on_after_it)
{
    struct {
        uint64_t rounds, begun, broken, beats;
    } state;
    static const char *const from[] = { "", "pause", "error" };
    begin(false);
    load("caller.hxm", "");
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(from); i++) {
        hal_host_advance(5 * MS);
        if (i == 1)
            expect(HX_JOB_PAUSE, "caller", HX_OK);
        if (i == 2)
            hx_lifecycle_fail(hx_module_find("caller"));
        expect(HX_JOB_RESTART, "caller", HX_OK);
        hal_host_advance(20 * MS);
        memcpy(&state, hx_module_find("caller")->running->state, sizeof(state));
        cr_assert(state.rounds >= 15 && state.rounds <= 25 && state.beats >= 15 && state.beats <= 25,
                  "%s: %lu rounds, %lu beats", from[i], state.rounds, state.beats);
    }
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
}

static hx_status_t spin(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < 40; i++)
        hal_host_advance(MS);
    return HX_OK;
}

static hx_status_t restart_soon(void *job)
{
    hx_status_t slept = hx_task_sleep_until(hx_hal_clock_ns() + 10 * MS);
    return slept == HX_OK ? hx_engine_run(job) : slept;
}

Test(restart, a_scheduler_begins_again_and_hears_of_all_that_is_ready)
{
    struct hx_job job = { .kind = HX_JOB_RESTART, .module = "sched_rr", .who = "test", .by = &hx_kernel_principal };
    struct hx_sched_stats stats;
    hx_handle_t task = HX_HANDLE_NONE;
    begin(false);
    load("sched_rr.hxm", "");
    hx_preempt_disable();
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(hx_task_create(HX_TASK_POLICY, "spin", 100, spin, NULL, &task), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "soon", 200, restart_soon, &job, &task), HX_OK);
    hx_preempt_enable();
    hal_host_advance(500 * MS);
    cr_assert_eq(job.result, HX_OK, "%s", job.swap.report.message);
    cr_assert(job.swap.outcome == HX_SWAP_RESTARTED);
    hx_sched_stats(&stats);
    cr_assert(stats.bad_answers == 0 && stats.fallbacks == 0, "%lu %lu", stats.bad_answers, stats.fallbacks);
}

static uint64_t failing;

static hx_status_t run_failing(void *job)
{
    hal_host_fail_at(failing);
    return hx_engine_run(job);
}

Test(restart, what_refuses_leaves_it_as_it_was)
{
    begin(false);
    load("svc_kv.hxm", "");
    world_kv_fill(10);
    struct hx_job job;
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
    job = expect(HX_JOB_RESTART, "svc_kv", HX_E_STATE);
    cr_assert(strstr(job.swap.report.message, "probation"), "%s", job.swap.report.message);
    cr_assert_eq(job.swap.outcome, HX_SWAP_REFUSED);
    expect(HX_JOB_ROLLBACK, "svc_kv", HX_OK);
    load("rests.hxm", "refuses=2"); /* its stop */
    struct census before = world_census();
    job = expect(HX_JOB_RESTART, "rests", HX_E_HARDWARE);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_eq(hx_module_find("rests")->state, HX_MODULE_RUNNING);
    ASSERT_CENSUS(before);
    for (uint64_t nth = 1; nth < 200; nth++) {
        failing = nth;
        job = (struct hx_job){ .kind = HX_JOB_RESTART, .module = "svc_kv", .who = "test", .by = &hx_kernel_principal };
        hx_status_t err = world_run(run_failing, &job);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed)
            break;
        cr_assert_eq(err, HX_E_NOMEM, "%lu: %d: %s", nth, err, job.swap.report.message);
        cr_assert_eq(world_kv_count_intact(10), 10, "allocation %lu", nth);
        ASSERT_CENSUS(before);
    }
    cr_assert_eq(hx_module_find("svc_kv")->restarts, 1);
}

Test(restart, one_whose_start_fails_is_in_error_and_says_so)
{
    begin(false);
    load("keeper.hxm", "faults_at=1000");
    hal_host_advance(2 * (uint64_t)SECOND);
    struct hx_job job = expect(HX_JOB_RESTART, "keeper", HX_E_FAULT);
    cr_assert(strstr(job.swap.report.message, "in Error"), "%s", job.swap.report.message);
    cr_assert_eq(job.swap.outcome, HX_SWAP_FAILED);
    cr_assert_eq(keeper()->state, HX_MODULE_ERROR);
    cr_assert_eq(world_unload("keeper", NULL), HX_OK);
}

/* ---- by itself ------------------------------------------------------------------------------------------------------- */

Test(restart, a_crash_restarts_it_once_and_a_second_leaves_it_in_error)
{
    begin(true);
    load("keeper.hxm", "");
    struct census before = world_census();
    number(ADD);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_RUNNING);
    cr_assert(strstr(told, "restarted clean") && strstr(told, "page fault"), "%s", told);
    cr_assert_eq(number(ADD), 1);
    ASSERT_CENSUS(before);
    const struct hx_swap_record *record = hx_history_get(hx_history_last());
    cr_assert(record->outcome == HX_SWAP_RESTARTED && strcmp(record->who, "fault") == 0);
    cr_assert(strstr(record->report.message, "page fault"), "%s", record->report.message);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_ERROR);
    cr_assert(strstr(told, "it is in Error; restart it"), "%s", told);
    expect(HX_JOB_RESTART, "keeper", HX_OK);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_RUNNING, "by hand it had another turn");
    hal_host_advance(HX_RESTART_RENEWS_NS);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_RUNNING, "its turn has come again");
    cr_assert_eq(keeper()->restarts, 4);
}

Test(restart, where_the_owner_says_no_a_crash_leaves_it_in_error)
{
    begin(false);
    load("keeper.hxm", "");
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_ERROR);
}

Test(restart, a_request_that_may_be_repeated_is_served_by_the_new_version)
{
    begin(true);
    load("keeper.hxm", "");
    number(ADD);
    cr_assert_eq(number(FAULT_UNLESS_FRESH), 0);
    cr_assert_eq(keeper()->restarts, 1);
}

Test(restart, requests_that_come_meanwhile_wait_for_the_new_version)
{
    struct asked bad = { .code = FAULT }, good[3] = { { .code = READ }, { .code = READ }, { .code = READ } };
    hx_handle_t task = HX_HANDLE_NONE;
    begin(true);
    load("keeper.hxm", "start_at=5");
    number(ADD);
    /* None of them runs before the fault: the worker, more urgent than all, is kept off until they stand at the gate. */
    hx_preempt_disable();
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "bad", 254, ask_once, &bad, &task), HX_OK);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(good); i++)
        cr_assert_eq(hx_task_create(HX_TASK_CORE, "good", 253, ask_once, &good[i], &task), HX_OK);
    hx_preempt_enable();
    hal_host_advance(100 * MS);
    cr_assert(bad.done && bad.err == HX_E_FAULT);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(good); i++)
        cr_assert(good[i].done && good[i].err == HX_OK && good[i].reply == 5, "%d %lu", good[i].err, good[i].reply);
}

Test(restart, one_that_cannot_be_restarted_is_in_error_and_the_log_says_why)
{
    begin(true);
    load("keeper.hxm", "faults_at=1000");
    hal_host_advance(2 * (uint64_t)SECOND);
    crash();
    cr_assert_eq(keeper()->state, HX_MODULE_ERROR);
    cr_assert(strstr(told, "no restart: start: its start faulted"), "%s", told);
    cr_assert(strstr(keeper()->fault, "serve"), "its first fault is not told any more: %s", keeper()->fault);
    cr_assert_eq(world_unload("keeper", NULL), HX_OK);
}

Test(restart, on_probation_the_predecessor_comes_back_instead)
{
    begin(true);
    load("svc_kv.hxm", "");
    world_kv_fill(10);
    cr_assert_eq(world_reload("svc_kv", "kv_faults_on_boom.hxm", NULL), HX_OK);
    char value[8];
    (void)value;
    hx_lifecycle_bind(NULL);
    cr_assert_eq(world_kv_count_intact(10), 10);
    cr_assert(hx_module_fault(hx_module_find("svc_kv"), "on purpose", ""));
    expect(HX_JOB_COMMIT, "svc_kv", HX_E_FAULT);
    cr_assert_eq(hx_module_find("svc_kv")->restarts, 0);
}
