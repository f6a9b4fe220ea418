/* SPDX-License-Identifier: MIT */
/* test_declared.c - subscriptions, topics, channels and services that modules declare: through loads, swaps and unloads. */
#include "world.h"

#include <criterion/criterion.h>
#include <ipc/channel.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <orchestrator/callbacks.h>
#include <orchestrator/declared.h>
#include <string.h>

enum { MS = 1000000 };

struct state {
    uint64_t sum, calls, sequence, disorder, own;
};

static struct hx_module *module;
static struct hx_topic *topic;

static void begin(void)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(hx_topic_create("test.topic", &hx_kernel_holder, &topic), HX_OK);
    cr_assert_eq(world_load("listener.hxm", &job), HX_OK, "%s", job.report.message);
    module = hx_module_find("listener");
}

static struct state state(void)
{
    struct state state;
    memcpy(&state, module->running->state, sizeof(state));
    return state;
}

static void publish_to(struct hx_topic *to, uint16_t type, uint64_t word)
{
    struct hx_event event = { .type = type, .bytes = 8, .words = { word } };
    hx_preempt_disable();
    hx_event_publish(to, &hx_kernel_holder, &event);
    hx_preempt_enable();
}

static void publish(uint64_t from, uint64_t to)
{
    for (; from <= to; from++)
        publish_to(topic, HX_EVENT_CUSTOM, from);
}

static const struct hx_callback *ear(void)
{
    return hx_callback_find(module, "ear");
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

Test(declared, events_come_one_by_one_and_in_order)
{
    begin();
    publish(1, 10);
    hal_host_advance(MS);
    cr_assert(state().sum == 55 && state().calls == 10 && state().disorder == 0, "%lu", state().sum);
    publish_to(topic, HX_EVENT_CUSTOM + 1, 1000);
    publish_to(topic, 40, 7);
    hal_host_advance(MS);
    cr_assert(state().sum == 62 && state().calls == 11, "a type that it has not asked for: %lu", state().sum);
    cr_assert_eq(ear()->served, 11);
}

Test(declared, no_event_is_lost_in_a_swap)
{
    struct hx_job job;
    begin();
    publish(1, 3);
    hal_host_advance(MS);
    hx_module_close(module, false);
    publish(1, HX_EVENT_HISTORY);
    hal_host_advance(MS);
    cr_assert_eq(state().calls, 3);
    cr_assert_eq(world_reload("listener", "listener_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(10 * MS);
    cr_assert_eq(state().calls, 3 + HX_EVENT_HISTORY, "%lu", state().calls);
    cr_assert_eq(state().sum, 6 + 1000 * HX_EVENT_HISTORY * (HX_EVENT_HISTORY + 1) / 2, "%lu", state().sum);
    cr_assert(state().disorder == 0 && ear()->subscription.lost == 0);
}

Test(declared, an_event_that_is_told_while_the_gate_closes_is_told_to_the_new_version)
{
    begin();
    for (uint64_t i = 1; i <= 40; i++) {
        publish(i, i);
        hal_host_advance(i * 37);
        cr_assert_eq(world_reload("listener", i % 2 ? "listener_2.hxm" : "listener.hxm", NULL), HX_OK);
    }
    hal_host_advance(MS);
    cr_assert(state().calls == 40 && state().disorder == 0, "%lu", state().calls);
}

Test(declared, events_that_are_overwritten_are_counted)
{
    begin();
    hx_module_close(module, false);
    publish(1, HX_EVENT_HISTORY + 10);
    hx_preempt_disable();
    hx_lifecycle_reopen(module);
    hx_preempt_enable();
    hal_host_advance(10 * MS);
    cr_assert_eq(ear()->subscription.lost, 10);
    cr_assert_eq(state().calls, HX_EVENT_HISTORY);
}

Test(declared, an_event_that_faults_is_lost_and_the_next_goes_to_who_came_back)
{
    begin();
    cr_assert_eq(world_reload("listener", "listener_2.hxm", NULL), HX_OK);
    publish_to(topic, HX_EVENT_CUSTOM, 666);
    publish(1, 4);
    hal_host_advance(10 * MS);
    cr_assert_str_eq(world_version("listener"), "1.0.0");
    cr_assert(ear()->lost == 1 && ear()->served == 4, "%lu %lu", ear()->lost, ear()->served);
    cr_assert_eq(state().sum, 10, "%lu", state().sum);
}

Test(declared, a_topic_that_nobody_has_refuses_the_load)
{
    struct hx_job job;
    world_begin(1000);
    struct census before = world_census();
    cr_assert_eq(world_load("listener.hxm", &job), HX_E_NOENT);
    cr_assert_str_eq(job.report.subject, "ear");
    ASSERT_CENSUS(before);
    cr_assert_null(hx_topic_find("listener.news"), "its own topic is left");
}

Test(declared, a_topic_that_comes_again_is_heard_from_the_next_version_on)
{
    begin();
    hx_topic_destroy(topic);
    cr_assert_eq(hx_topic_create("test.topic", &hx_kernel_holder, &topic), HX_OK);
    publish(1, 2);
    hal_host_advance(MS);
    cr_assert_eq(state().calls, 0);
    cr_assert_eq(world_reload("listener", "listener_2.hxm", NULL), HX_OK);
    publish(1, 2);
    hal_host_advance(MS);
    cr_assert_eq(state().calls, 2);
}

/* What is on its way to the old version would come to the new one, which means another topic by the key. */
Test(declared, a_subscription_keeps_its_topic)
{
    struct hx_job job;
    begin();
    cr_assert_eq(world_reload("listener", "listener_4.hxm", &job), HX_E_INVAL);
    cr_assert_str_eq(job.swap.report.message, "event ear: its topic was test.topic; declare it under another key");
    publish(1, 2);
    hal_host_advance(MS);
    cr_assert_eq(state().calls, 2);
}

/* ---- topics and channels --------------------------------------------------------------------------------------------- */

Test(declared, a_module_hears_its_own_topic_which_goes_with_it)
{
    begin();
    struct hx_topic *own = hx_topic_find("listener.news");
    cr_assert_not_null(own);
    publish_to(own, 1, 5);
    hal_host_advance(MS);
    cr_assert_eq(state().own, 5);
    cr_assert_eq(world_reload("listener", "listener_2.hxm", NULL), HX_OK);
    cr_assert_eq(hx_topic_find("listener.news"), own, "it is the identity's");
    cr_assert_eq(world_unload("listener", NULL), HX_OK);
    cr_assert_null(hx_topic_find("listener.news"));
}

Test(declared, a_channel_is_found_by_its_module_and_key_and_goes_with_it)
{
    char name[2 * HX_NAME_MAX];
    hx_handle_t mine, far, other;
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = 3, .data = "abc" };
    begin();
    bool named = false;
    for (uint32_t i = 0; hx_declared_channel_name(i, name, NULL); i++)
        named |= strcmp(name, "listener/in") == 0;
    cr_assert(named, "it is not among the channels that there are");
    cr_assert_eq(hx_declared_connect("listener/out", &hx_kernel_holder, &far), HX_E_NOENT);
    cr_assert_eq(hx_declared_connect("nobody/in", &hx_kernel_holder, &far), HX_E_NOENT);
    cr_assert_eq(hx_declared_connect("listener", &hx_kernel_holder, &far), HX_E_INVAL);
    cr_assert_eq(hx_declared_connect("/in", &hx_kernel_holder, &far), HX_E_INVAL);
    cr_assert_eq(hx_declared_connect("listener/in", &hx_kernel_holder, &far), HX_OK);
    cr_assert_eq(hx_declared_channel(module, "in", &mine), HX_OK);
    cr_assert_eq(hx_ipc_send(far, &hx_kernel_holder, &message, 0), HX_OK);
    cr_assert_eq(world_reload("listener", "listener_2.hxm", NULL), HX_OK);
    cr_assert(hx_declared_channel(module, "in", &other) == HX_OK && other == mine, "another channel");
    cr_assert_eq(hx_ipc_receive(mine, &module->holder, &message, 0), HX_OK);
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
    cr_assert_eq(hx_ipc_receive(mine, &module->holder, &message, 0), HX_E_EMPTY, "others may come");
    cr_assert_eq(hx_declared_connect("listener/in", &hx_kernel_holder, &far), HX_OK);
    cr_assert_eq(world_unload("listener", NULL), HX_OK);
    for (uint32_t i = 0; hx_declared_channel_name(i, name, NULL); i++)
        cr_assert_neq(strncmp(name, "listener/", 9), 0, "%s is still there", name);
    cr_assert_eq(hx_ipc_receive(far, &hx_kernel_holder, &message, 0), HX_E_CLOSED);
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}

Test(declared, a_channel_keeps_its_capacity)
{
    struct hx_job job;
    begin();
    cr_assert_eq(world_reload("listener", "listener_3.hxm", &job), HX_E_INVAL);
    cr_assert(strstr(job.swap.report.message, "capacity changes from 4 to 5"), "%s", job.swap.report.message);
    cr_assert_null(hx_topic_find("listener.more"), "what was claimed for it is left");
    publish(1, 1);
    hal_host_advance(MS);
    cr_assert_eq(state().sum, 1);
}

Test(declared, a_load_that_runs_out_of_memory_leaves_nothing)
{
    struct hx_job job;
    begin();
    cr_assert_eq(world_unload("listener", NULL), HX_OK);
    struct census before = world_census();
    uint32_t tasks = hx_task_count(), failed = 0;
    for (uint32_t nth = 2;; nth++) {
        hal_host_fail_at(nth);
        hx_status_t err = world_load("listener.hxm", &job);
        bool has_failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (err == HX_OK && !has_failed)
            break;
        failed += err != HX_OK;
        if (err == HX_OK)
            cr_assert_eq(world_unload("listener", NULL), HX_OK);
        cr_assert_eq(hx_task_count(), tasks);
        cr_assert_null(hx_topic_find("listener.news"));
        ASSERT_CENSUS(before);
    }
    cr_assert_geq(failed, 8, "%u", failed);
}

/* ---- services -------------------------------------------------------------------------------------------------------- */

struct asking {
    uint32_t code;
    struct hx_message message;
    hx_status_t err;
    bool done;
};

static hx_status_t ask(void *argument)
{
    struct asking *asking = argument;
    asking->message =
        (struct hx_message){ .code = asking->code, .payload = HX_PAYLOAD_INLINE, .bytes = 5, .data = "12345" };
    asking->err =
        hx_router_request(hx_router_find("echo"), &hx_kernel_holder, &asking->message, hx_hal_clock_ns() + 3000000000u);
    asking->done = true;
    return asking->err;
}

static void begin_echo(void)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(world_load("svc_echo.hxm", &job), HX_OK, "%s", job.report.message);
    module = hx_module_find("svc_echo");
}

Test(declared, a_service_replies_now_and_later)
{
    struct asking asking = { .code = 0 };
    begin_echo();
    cr_assert_eq(world_run(ask, &asking), HX_OK);
    cr_assert(asking.message.type == HX_MESSAGE_REPLY && memcmp(asking.message.data, "12345", 5) == 0);
    asking.code = 1;
    cr_assert_eq(world_run(ask, &asking), HX_OK);
    cr_assert(asking.message.type == HX_MESSAGE_REPLY && memcmp(asking.message.data, "12345", 5) == 0);
    cr_assert_eq(asking.message.source, module->holder.self);
    asking.code = 9;
    cr_assert_eq(world_run(ask, &asking), HX_OK);
    cr_assert(asking.message.type == HX_MESSAGE_ERROR && asking.message.code == -HX_E_UNSUPPORTED);
}

Test(declared, a_request_during_a_swap_is_served_by_the_new_version)
{
    struct asking asking = { .code = 2 };
    hx_handle_t task;
    begin_echo();
    hx_handle_t service = hx_router_find("echo");
    hx_module_close(module, false);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", 100, ask, &asking, &task), HX_OK);
    hal_host_advance(MS);
    cr_assert(!asking.done);
    cr_assert_eq(world_reload("svc_echo", "svc_echo-2.hxm", NULL), HX_OK);
    hal_host_advance(MS);
    cr_assert(asking.done && asking.err == HX_OK && asking.message.data[0] == 2, "%d", asking.err);
    cr_assert_eq(hx_router_find("echo"), service, "its name means the same");
}

Test(declared, a_late_reply_is_given_by_the_new_version)
{
    struct asking asking = { .code = 1 };
    hx_handle_t task;
    begin_echo();
    cr_assert_eq(hx_task_kill(module->called->task), HX_OK); /* nobody replies */
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", 100, ask, &asking, &task), HX_OK);
    hal_host_advance(MS);
    cr_assert(!asking.done && hx_callback_find(module, "late")->pending == 1);
    struct hx_job job;
    cr_assert_eq(world_reload("svc_echo", "svc_echo-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(MS);
    cr_assert(asking.done && asking.err == HX_OK && memcmp(asking.message.data, "12345", 5) == 0, "%d", asking.err);
}

Test(declared, who_waits_for_a_late_reply_is_told_that_its_service_has_gone)
{
    struct asking asking = { .code = 1 };
    hx_handle_t task;
    begin_echo();
    cr_assert_eq(hx_task_kill(module->called->task), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", 100, ask, &asking, &task), HX_OK);
    hal_host_advance(MS);
    cr_assert(!asking.done);
    cr_assert_eq(world_unload("svc_echo", NULL), HX_OK);
    hal_host_advance(MS);
    cr_assert(asking.done && asking.err == HX_E_ABSENT, "%d", asking.err);
    cr_assert_eq(hx_router_find("echo"), HX_HANDLE_NONE);
}

Test(declared, who_waits_for_a_late_reply_is_told_of_a_revert)
{
    struct asking asking = { .code = 1 };
    hx_handle_t task;
    begin_echo();
    cr_assert_eq(world_reload("svc_echo", "svc_echo-2.hxm", NULL), HX_OK);
    cr_assert_eq(hx_task_kill(module->called->task), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", 100, ask, &asking, &task), HX_OK);
    hal_host_advance(MS);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_echo", NULL), HX_OK);
    hal_host_advance(MS);
    cr_assert(asking.done && asking.err == HX_E_FAULT, "%d", asking.err);
}

Test(declared, a_service_whose_name_is_taken_refuses_the_load)
{
    struct hx_service other = { .name = "echo", .owner = &hx_kernel_holder };
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(hx_router_enter(&other), HX_OK);
    struct census before = world_census();
    cr_assert_eq(world_load("svc_echo.hxm", &job), HX_E_EXIST);
    cr_assert_str_eq(job.report.subject, "echo");
    ASSERT_CENSUS(before);
    cr_assert_eq(hx_router_find("echo"), other.handle);
}

/* ---- who has published ------------------------------------------------------------------------------------------------- */
struct news {
    const char *to;
    uint32_t code;
};

static hx_status_t publish_by(void *argument)
{
    const struct news *news = argument;
    struct hx_message message = { .code = news->code };
    hx_status_t err = hx_router_request(hx_router_find(news->to), &hx_kernel_holder, &message, UINT64_MAX);
    return err == HX_OK && message.type == HX_MESSAGE_ERROR ? -(hx_status_t)message.code : err;
}

static void expect_news(const char *by, uint32_t code, uint64_t all, uint64_t of_b)
{
    struct news news = { by, code };
    uint64_t read[2];
    cr_assert_eq(world_run(publish_by, &news), HX_OK);
    hal_host_advance(MS);
    memcpy(read, hx_module_find("news_reader")->running->state, sizeof(read));
    cr_assert(read[0] == all && read[1] == of_b, "%s: %lu and %lu", by, read[0], read[1]);
}

Test(declared, a_subscription_may_hear_one_module_s_events_alone_whenever_that_is_loaded)
{
    struct hx_job job;
    struct news news = { "news_c", 9 };
    struct hx_topic *modules = NULL;
    world_begin(0);
    cr_assert_eq(hx_topic_create(HX_TOPIC_MODULES, &hx_kernel_holder, &modules), HX_OK);
    cr_assert_eq(world_load("news_a.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_load("news_reader.hxm", &job), HX_OK, "%s", job.report.message);
    expect_news("news_a", 1, 1, 0);
    cr_assert_eq(world_load("news_b.hxm", &job), HX_OK, "%s", job.report.message);
    expect_news("news_b", 10, 11, 10);
    expect_news("news_a", 2, 13, 10);
    cr_assert_eq(world_unload("news_b", NULL), HX_OK);
    hx_callbacks_meet_sources(); /* nobody is called like that now */
    expect_news("news_a", 0, 13, 10);
    cr_assert_eq(world_load("news_b.hxm", NULL), HX_OK);
    expect_news("news_b", 100, 113, 110);
    cr_assert_eq(world_load("news_c.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_run(publish_by, &news), HX_E_PERM, "it may listen, not publish");
    cr_assert_eq(world_load("news_five.hxm", &job), HX_E_RANGE, "four sources at most");
    cr_assert_eq(hx_topic_publish("nobody.news", &hx_kernel_holder, &(struct hx_event){ .type = 1 }), HX_E_NOENT);
}

/* ---- a task that receives -------------------------------------------------------------------------------------------- */

static void exchange(hx_handle_t far, char letter)
{
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = 1, .data = { (uint8_t)letter } };
    cr_assert_eq(hx_ipc_send(far, &hx_kernel_holder, &message, 0), HX_OK);
    message.data[0] = 0;
    hal_host_advance(3 * MS);
    hx_status_t err = hx_ipc_receive(far, &hx_kernel_holder, &message, 0);
    cr_assert(err == HX_OK && message.data[0] == letter, "%d", err);
}

Test(declared, a_task_that_waits_for_a_message_goes_on_waiting_in_the_new_version)
{
    struct hx_job job;
    hx_handle_t far;
    begin_echo();
    hal_host_advance(MS);
    cr_assert_eq(hx_declared_connect("svc_echo/echo", &hx_kernel_holder, &far), HX_OK);
    exchange(far, 'a');
    cr_assert_eq(world_reload("svc_echo", "svc_echo-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_lt(job.swap.blackout_ns, 2 * MS);
    exchange(far, 'b');
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_echo", NULL), HX_OK);
    exchange(far, 'c');
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}

Test(declared, nothing_is_left_of_an_unloaded_service)
{
    struct asking asking = { .code = 1 };
    begin_echo();
    cr_assert_eq(world_run(ask, &asking), HX_OK);
    cr_assert_eq(world_unload("svc_echo", NULL), HX_OK);
    struct census before = world_census();
    uint32_t tasks = hx_task_count();
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
        cr_assert_eq(world_run(ask, &asking), HX_OK);
        cr_assert_eq(world_reload("svc_echo", "svc_echo-2.hxm", NULL), HX_OK);
        cr_assert_eq(world_run(ask, &asking), HX_OK);
        cr_assert_eq(world_unload("svc_echo", NULL), HX_OK);
        cr_assert_eq(hx_task_count(), tasks);
    }
    ASSERT_CENSUS(before);
}
