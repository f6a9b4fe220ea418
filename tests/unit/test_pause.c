/* SPDX-License-Identifier: MIT */
/* test_pause.c - modules that stand still, and go on. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/log.h>
#include <helix/kv.h>
#include <interrupts/router.h>
#include <ipc/message_router.h>
#include <orchestrator/callbacks.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000000, SECOND = 1000 * MS, BELL = 6 };

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static hx_status_t load(const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    return world_run(run_engine, job);
}

static struct hx_job begin(const char *file, const char *params)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(load(file, params, &job), HX_OK, "%s", job.report.message);
    return job;
}

static struct hx_job expect(enum hx_job_kind kind, const char *name, hx_status_t err)
{
    struct hx_job job;
    hx_status_t got = world_simple(kind, name, &job);
    cr_assert_eq(got, err, "%s: %d: %s", name, got, job.report.message);
    return job;
}

/* ---- what stands still ----------------------------------------------------------------------------------------------- */

struct caller_state {
    uint64_t rounds, begun, broken, beats, beat_calls, extras;
};

static struct caller_state caller(void)
{
    struct caller_state state;
    memcpy(&state, hx_module_find("caller")->running->state, sizeof(state));
    return state;
}

Test(pause, tasks_and_timers_stand_still_and_go_on)
{
    begin("caller.hxm", "");
    hal_host_advance(10 * MS);
    expect(HX_JOB_PAUSE, "caller", HX_OK);
    cr_assert_eq(hx_module_find("caller")->state, HX_MODULE_PAUSED);
    struct caller_state before = caller();
    uint64_t armed = hal_host_timer_arms();
    hal_host_advance(SECOND);
    struct caller_state still = caller();
    cr_assert_eq(memcmp(&before, &still, sizeof(before)), 0, "%lu rounds, %lu beats", still.rounds - before.rounds,
                 still.beats - before.beats);
    cr_assert_leq(hal_host_timer_arms() - armed, 1, "its timer runs on");
    expect(HX_JOB_RESUME, "caller", HX_OK);
    before = caller();
    hal_host_advance(10 * MS);
    cr_assert(caller().rounds - before.rounds >= 9, "%lu", caller().rounds - before.rounds);
    cr_assert(caller().beats - before.beats >= 9 && caller().beats - before.beats <= 10,
              "time of the pause was counted: %lu beats", caller().beats - before.beats);
}

Test(pause, a_timer_keeps_what_is_left_of_its_time)
{
    begin("caller.hxm", "");
    hal_host_clock_step(0);
    const struct hx_callback *beat = hx_callback_find(hx_module_find("caller"), "beat");
    expect(HX_JOB_PAUSE, "caller", HX_OK);
    uint64_t left_ns = beat->due_ns;
    cr_assert(left_ns > 0 && left_ns <= MS && !beat->timer.armed, "%lu", left_ns);
    hal_host_advance(7 * MS + 1);
    cr_assert_eq(beat->due_ns, left_ns);
    uint64_t calls = caller().beats;
    expect(HX_JOB_RESUME, "caller", HX_OK);
    cr_assert(beat->timer.armed);
    while (caller().beats == calls)
        hal_host_advance(1000);
    cr_assert_eq(caller().beats, calls + 1);
}

static uint64_t deferred_works(void)
{
    uint64_t works;
    memcpy(&works, hx_module_find("deferrer")->running->state, sizeof(works));
    return works;
}

static const struct hx_irq *bell(void)
{
    return hx_irq_of_line(BELL);
}

Test(pause, edges_are_counted_and_told_when_it_goes_on)
{
    begin("deferrer.hxm", "");
    expect(HX_JOB_PAUSE, "deferrer", HX_OK);
    uint64_t works = deferred_works();
    for (int i = 0; i < 5; i++)
        hal_host_irq(BELL);
    hal_host_advance(SECOND);
    cr_assert(bell()->pending == 5 && bell()->served == 0 && deferred_works() == works, "%lu", bell()->pending);
    cr_assert(hal_host_irq_unmasked(BELL));
    expect(HX_JOB_RESUME, "deferrer", HX_OK);
    hal_host_advance(MS);
    cr_assert(bell()->pending == 0 && bell()->served == 5 && deferred_works() > works);
}

Test(pause, a_level_is_masked_until_it_goes_on)
{
    begin("deferrer.hxm", "");
    hal_host_irq_set_level(BELL);
    expect(HX_JOB_PAUSE, "deferrer", HX_OK);
    hal_host_irq(BELL);
    cr_assert_not(hal_host_irq_unmasked(BELL));
    expect(HX_JOB_RESUME, "deferrer", HX_OK);
    cr_assert(hal_host_irq_unmasked(BELL));
    cr_assert_eq(bell()->served, 1);
}

Test(pause, events_wait_in_their_topic)
{
    struct hx_topic *topic = NULL;
    struct hx_job job;
    uint64_t sum = 0;
    world_begin(1000);
    cr_assert_eq(hx_topic_create("test.topic", &hx_kernel_holder, &topic), HX_OK);
    cr_assert_eq(load("listener.hxm", "", &job), HX_OK, "%s", job.report.message);
    expect(HX_JOB_PAUSE, "listener", HX_OK);
    for (uint64_t i = 1; i <= 10; i++) {
        struct hx_event event = { .type = HX_EVENT_CUSTOM, .bytes = 8, .words = { i } };
        hx_event_publish(topic, &hx_kernel_holder, &event);
    }
    hal_host_advance(SECOND);
    memcpy(&sum, hx_module_find("listener")->running->state, sizeof(sum));
    cr_assert_eq(sum, 0);
    expect(HX_JOB_RESUME, "listener", HX_OK);
    hal_host_advance(MS);
    memcpy(&sum, hx_module_find("listener")->running->state, sizeof(sum));
    cr_assert_eq(sum, 55, "%lu", sum);
}

/* ---- who calls it ---------------------------------------------------------------------------------------------------- */

struct asked {
    hx_ret_t result;
    uint64_t took_ns, timeout_ns;
    bool done;
};

static hx_status_t count_keys(void *argument)
{
    struct asked *asked = argument;
    uint64_t began_ns = hx_hal_clock_ns();
    asked->result = hx_kv_count();
    asked->took_ns = hx_hal_clock_ns() - began_ns;
    asked->done = true;
    return HX_OK;
}

static hx_status_t ask_echo(void *argument)
{
    struct asked *asked = argument;
    struct hx_message message = { .payload = HX_PAYLOAD_NONE };
    uint64_t began_ns = hx_hal_clock_ns();
    asked->result =
        hx_router_request(hx_router_find("echo"), &hx_kernel_holder, &message, began_ns + asked->timeout_ns);
    asked->took_ns = hx_hal_clock_ns() - began_ns;
    asked->done = true;
    return HX_OK;
}

static void spawn(hx_status_t (*body)(void *argument), struct asked *asked)
{
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "asks", 150, body, asked, &task), HX_OK);
}

Test(pause, a_caller_waits_and_is_told_that_the_module_is_paused)
{
    struct asked asked = { 0 };
    begin("svc_kv.hxm", "");
    world_kv_fill(10);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    spawn(count_keys, &asked);
    hal_host_advance(4 * (uint64_t)SECOND);
    cr_assert_not(asked.done);
    hal_host_advance(2 * (uint64_t)SECOND);
    cr_assert(asked.done && asked.result == HX_E_PAUSED, "%ld", asked.result);
    asked.done = false;
    spawn(count_keys, &asked);
    hal_host_advance(SECOND);
    expect(HX_JOB_RESUME, "svc_kv", HX_OK);
    cr_assert(asked.done && asked.result == 10, "%ld", asked.result);
}

Test(pause, a_request_waits_until_its_deadline)
{
    struct asked late = { .timeout_ns = 20 * (uint64_t)SECOND }, soon = { .timeout_ns = SECOND };
    begin("svc_echo.hxm", "");
    expect(HX_JOB_PAUSE, "svc_echo", HX_OK);
    spawn(ask_echo, &late);
    spawn(ask_echo, &soon);
    hal_host_advance(2 * (uint64_t)SECOND);
    cr_assert(soon.done && soon.result == HX_E_PAUSED && soon.took_ns >= SECOND, "%ld", soon.result);
    hal_host_advance(10 * (uint64_t)SECOND);
    cr_assert_not(late.done, "%ld", late.result);
    expect(HX_JOB_RESUME, "svc_echo", HX_OK);
    cr_assert(late.done && late.result == HX_OK, "%ld", late.result);
}

static hx_status_t count_by_user(void *argument)
{
    struct asked *asked = argument;
    asked->result = hx_gate_call(hx_slot_find("hx_echo"), 1, 0, 0, 0, 0);
    asked->done = true;
    return HX_OK;
}

Test(pause, a_user_that_waits_at_the_gate_of_a_paused_module_can_be_paused_too)
{
    struct asked asked = { 0 };
    struct hx_job job;
    begin("svc_kv.hxm", "");
    cr_assert_eq(load("good_kv_user.hxm", "", &job), HX_OK, "%s", job.report.message);
    char user[HX_NAME_MAX];
    strcpy(user, job.loaded);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    spawn(count_by_user, &asked);
    hal_host_advance(100 * MS);
    cr_assert_not(asked.done);
    expect(HX_JOB_PAUSE, user, HX_OK);
    cr_assert(asked.done && asked.result == HX_E_CLOSED, "%ld", asked.result);
    expect(HX_JOB_RESUME, "svc_kv", HX_OK);
    expect(HX_JOB_RESUME, user, HX_OK);
    asked.done = false;
    spawn(count_by_user, &asked);
    hal_host_advance(MS);
    cr_assert(asked.done && asked.result >= 0, "%ld", asked.result);
}

Test(pause, users_are_named)
{
    struct hx_job job;
    begin("svc_kv.hxm", "");
    cr_assert_eq(load("good_kv_user.hxm", "", &job), HX_OK, "%s", job.report.message);
    char user[HX_NAME_MAX];
    strcpy(user, job.loaded);
    job = expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    cr_assert_str_eq(job.report.message, user);
    expect(HX_JOB_UNLOAD, "svc_kv", HX_E_IN_USE);
    cr_assert_eq(hx_module_find("svc_kv")->state, HX_MODULE_PAUSED);
    expect(HX_JOB_RESUME, "svc_kv", HX_OK);
    cr_assert_eq(world_kv_count_intact(0), 0);
}

/* ---- refusals -------------------------------------------------------------------------------------------------------- */

Test(pause, what_cannot_be_paused_is_refused)
{
    struct hx_job job;
    begin("sched_rr.hxm", "");
    job = expect(HX_JOB_PAUSE, "sched_rr", HX_E_UNSUPPORTED);
    cr_assert(strstr(job.report.message, "hx_sched") && strstr(job.report.message, "reload"), "%s", job.report.message);
    cr_assert_eq(load("svc_kv.hxm", "", &job), HX_OK);
    expect(HX_JOB_RESUME, "svc_kv", HX_E_ALREADY);
    expect(HX_JOB_PAUSE, "nobody", HX_E_NOENT);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    job = expect(HX_JOB_PAUSE, "svc_kv", HX_E_STATE);
    cr_assert(strstr(job.report.message, "probation"));
    expect(HX_JOB_COMMIT, "svc_kv", HX_OK);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    expect(HX_JOB_PAUSE, "svc_kv", HX_E_ALREADY);
}

Test(pause, a_paused_module_is_not_replaced)
{
    struct hx_job job;
    begin("svc_kv.hxm", "");
    world_kv_fill(10);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_STATE);
    cr_assert(strstr(job.swap.report.message, "resume it first"), "%s", job.swap.report.message);
    expect(HX_JOB_COMMIT, "svc_kv", HX_E_NOENT);
    expect(HX_JOB_ROLLBACK, "svc_kv", HX_E_NOENT);
    cr_assert_eq(hx_module_find("svc_kv")->state, HX_MODULE_PAUSED);
    expect(HX_JOB_RESUME, "svc_kv", HX_OK);
    cr_assert_eq(world_kv_count_intact(10), 10);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
}

static hx_status_t get_sleep(void *argument)
{
    char value[64];
    ((struct asked *)argument)->result = hx_kv_get(HX_TEXT("sleep"), value, sizeof(value));
    return HX_OK;
}

Test(pause, who_stays_inside_keeps_it_running)
{
    struct asked asked = { 0 };
    struct hx_job job;
    begin("kv_sleeps.hxm", "");
    spawn(get_sleep, &asked);
    hal_host_advance(MS);
    job = expect(HX_JOB_PAUSE, "svc_kv", HX_E_BUSY);
    cr_assert(strstr(job.report.message, "asks") && strstr(job.report.message, "hx_sleep_ns"), "%s",
              job.report.message);
    cr_assert_eq(hx_module_find("svc_kv")->state, HX_MODULE_RUNNING);
    cr_assert_eq(world_kv_count_intact(0), 0);
    hal_host_advance(5 * (uint64_t)SECOND);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
}

/* ---- hooks ----------------------------------------------------------------------------------------------------------- */

/* What the module has logged, one word a hook. */
static const char *hooks(void)
{
    static char text[256];
    struct hx_log_entry entry;
    struct hx_log_cursor cursor = hx_log_oldest();
    uint64_t missed = 0;
    text[0] = 0;
    while (hx_log_next(&cursor, &entry, &missed))
        if (strcmp(entry.source, "rests") == 0)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", text[0] ? " " : "", entry.text);
    return text;
}

Test(pause, its_hooks_are_called_while_nobody_is_inside)
{
    begin("rests.hxm", "");
    expect(HX_JOB_PAUSE, "rests", HX_OK);
    expect(HX_JOB_RESUME, "rests", HX_OK);
    cr_assert_str_eq(hooks(), "started pause resume");
}

Test(pause, an_unload_of_a_paused_module_calls_its_hooks_and_leaves_nothing)
{
    struct hx_job job;
    world_begin(1000);
    struct census before = world_census();
    cr_assert_eq(load("rests.hxm", "", &job), HX_OK);
    expect(HX_JOB_PAUSE, "rests", HX_OK);
    expect(HX_JOB_UNLOAD, "rests", HX_OK);
    cr_assert_str_eq(hooks(), "started pause stop fini");
    ASSERT_CENSUS(before);
    cr_assert_eq(load("caller.hxm", "", &job), HX_OK);
    hal_host_advance(3 * MS);
    expect(HX_JOB_PAUSE, "caller", HX_OK);
    expect(HX_JOB_UNLOAD, "caller", HX_OK);
    hal_host_advance(3 * MS);
    ASSERT_CENSUS(before);
}

struct failure {
    const char *params;
    enum hx_job_kind kind;
    hx_status_t err;
    enum hx_module_state then;
};

Test(pause, a_hook_that_refuses_leaves_it_and_one_that_faults_puts_it_into_error)
{
    static const struct failure failures[] = {
        { "refuses=4", HX_JOB_PAUSE, HX_E_HARDWARE, HX_MODULE_RUNNING },
        { "faults=4", HX_JOB_PAUSE, HX_E_FAULT, HX_MODULE_ERROR },
        { "refuses=5", HX_JOB_RESUME, HX_E_HARDWARE, HX_MODULE_PAUSED },
        { "faults=5", HX_JOB_RESUME, HX_E_FAULT, HX_MODULE_ERROR },
        { "refuses=2", HX_JOB_UNLOAD, HX_E_HARDWARE, HX_MODULE_PAUSED },
        { "faults=2", HX_JOB_UNLOAD, HX_E_FAULT, HX_MODULE_ERROR },
    };
    struct hx_job job;
    world_begin(1000);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(failures); i++) {
        const struct failure *failure = &failures[i];
        cr_assert_eq(load("rests.hxm", failure->params, &job), HX_OK);
        if (failure->kind != HX_JOB_PAUSE)
            expect(HX_JOB_PAUSE, "rests", HX_OK);
        job = expect(failure->kind, "rests", failure->err);
        cr_assert_neq(job.report.message[0], 0);
        cr_assert_eq(hx_module_find("rests")->state, failure->then, "%s: %s", failure->params,
                     hx_module_state_name(hx_module_find("rests")->state));
        hx_status_t unloaded = world_unload("rests", NULL);
        if (unloaded != HX_OK) { /* its stop refuses for ever */
            cr_assert_eq(failure->then, HX_MODULE_PAUSED);
            hx_lifecycle_fail(hx_module_find("rests"));
            cr_assert_eq(world_unload("rests", NULL), HX_OK);
        }
        ASSERT_CENSUS(before);
    }
}

/* ---- who is told ----------------------------------------------------------------------------------------------------- */

static char changes[512];

static void hear(void *context, const struct hx_module *module, enum hx_module_state before, enum hx_module_state now)
{
    snprintf(changes + strlen(changes), sizeof(changes) - strlen(changes), "%s%s %s-%s\n", (const char *)context,
             module->name, hx_module_state_name(before), hx_module_state_name(now));
}

static const struct hx_lifecycle_watcher second = { .changed = hear, .context = "2:" };

static void hear_and_bring(void *context, const struct hx_module *module, enum hx_module_state before,
                           enum hx_module_state now)
{
    static bool brought;
    if (!brought)
        cr_assert_eq(hx_lifecycle_watch(&second), HX_OK);
    brought = true;
    hear(context, module, before, now);
}

Test(pause, watchers_hear_of_each_change_in_order_and_one_who_comes_meanwhile_of_the_next)
{
    static const struct hx_lifecycle_watcher first = { .changed = hear_and_bring, .context = "1:" };
    begin("svc_kv.hxm", "");
    cr_assert_eq(hx_lifecycle_watch(&first), HX_OK);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    cr_assert_str_eq(changes, "1:svc_kv Running-Paused\n");
    expect(HX_JOB_UNLOAD, "svc_kv", HX_OK);
    cr_assert_str_eq(changes, "1:svc_kv Running-Paused\n"
                              "1:svc_kv Paused-Stopping\n2:svc_kv Paused-Stopping\n"
                              "1:svc_kv Stopping-Stopped\n2:svc_kv Stopping-Stopped\n"
                              "1:svc_kv Stopped-Unloading\n2:svc_kv Stopped-Unloading\n");
    hx_lifecycle_unwatch(&first);
    hx_lifecycle_unwatch(&second);
    changes[0] = 0;
    for (uint32_t i = 0; i < HX_LIFECYCLE_WATCHERS_MAX; i++)
        cr_assert_eq(hx_lifecycle_watch(&second), HX_OK);
    cr_assert_eq(hx_lifecycle_watch(&second), HX_E_LIMIT);
    hx_lifecycle_unwatch(&second);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_str_eq(changes, "", "%s", changes);
}

Test(pause, who_stops_watching_does_not_change_the_order_of_the_others)
{
    static const struct hx_lifecycle_watcher first = { .changed = hear, .context = "1:" },
                                             third = { .changed = hear, .context = "3:" };
    begin("svc_kv.hxm", "");
    cr_assert_eq(hx_lifecycle_watch(&first), HX_OK);
    cr_assert_eq(hx_lifecycle_watch(&second), HX_OK);
    cr_assert_eq(hx_lifecycle_watch(&third), HX_OK);
    hx_lifecycle_unwatch(&first);
    expect(HX_JOB_PAUSE, "svc_kv", HX_OK);
    cr_assert_str_eq(changes, "2:svc_kv Running-Paused\n3:svc_kv Running-Paused\n");
}
