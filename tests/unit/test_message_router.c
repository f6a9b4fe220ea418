/* SPDX-License-Identifier: MIT */
/* test_message_router.c - requests to services and their replies: each ends once, whatever becomes of the service. */
#include "task_fixture.h"
#include "world.h"

#include <helix/kv.h>
#include <interrupts/exception.h>
#include <ipc/message_router.h>

enum {
    ECHO,
    FAIL,
    LATER,
    CRASH,
    CRASH_ONCE,
    NONSENSE,
    SLEEP,
    EARLY,
    HALF,
    ERROR,
    ASK_OTHER,
    CALL_OTHER,
    RESTART,
    FORSAKEN
};

static struct hx_slot *slot;
static struct hx_holder owner = { .self = ((hx_handle_t)HX_HANDLE_MODULE << 56) | 1, .name = "svc" };
static struct hx_holder stranger = { .self = ((hx_handle_t)HX_HANDLE_MODULE << 56) | 2, .name = "other" };
static struct hx_holder asker = { .self = ((hx_handle_t)HX_HANDLE_MODULE << 56) | 3, .name = "asker" };
static struct hx_service service, nested;
static struct hx_module modules[2]; /* whose slots they are: two, so that one calls the other through the gate */
static uint64_t put_off;            /* correlation of the last request whose reply was */
static uint32_t crashes, restarts;
static struct hx_message seen; /* as the service found it */

HAL_HOST_MODULE static void fault(void)
{
    *(volatile char *)(uintptr_t)8 = 1;
}

static void say(struct hx_message *message, const char *text)
{
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = (uint8_t)strlen(text);
    memcpy(message->data, text, strlen(text));
}

/* Its code faults where the machine believes that a module's is. */
static hx_ret_t serve(struct hx_message *message, uint64_t bytes)
{
    cr_assert_eq(bytes, sizeof(*message));
    seen = *message;
    switch (message->code) {
    case ECHO: message->data[0]++; return HX_OK;
    case FAIL: return HX_E_NOENT;
    case LATER:
        put_off = message->correlation;
        message->data[0] = 'x';
        return HX_REPLY_LATER;
    case CRASH_ONCE:
        if (crashes > 0)
            return HX_OK;
        __attribute__((fallthrough));
    case CRASH:
        crashes++;
        message->data[0] = '!';
        fault();
        return HX_OK;
    case NONSENSE: message->payload = HX_PAYLOAD_MEMORY; return HX_OK;
    case SLEEP: expect_ok(sleep_ns(1000)); return HX_OK;
    case EARLY: {
        struct hx_message reply = { .code = 5 };
        say(&reply, "early");
        expect_ok(hx_router_reply(message->correlation, &owner, &reply));
        cr_assert_eq(hx_router_reply(message->correlation, &owner, &reply), HX_E_STALE, "one outcome");
        return HX_REPLY_LATER;
    }
    case ERROR: message->type = HX_MESSAGE_ERROR; return 7;
    case ASK_OTHER: {
        struct hx_message other = { .code = ECHO };
        say(&other, "m");
        return hx_router_request(nested.handle, &owner, &other, 50);
    }
    case CALL_OTHER: {
        struct hx_message other = { .code = ECHO };
        return hx_gate_call(nested.slot, 3, (uint64_t)(uintptr_t)&other, sizeof(other), 0, 0);
    }
    case RESTART:
        hal_host_advance(1);
        cr_assert_lt(++restarts, 1000, "for ever");
        return HX_E_RESTART;
    case FORSAKEN: hx_router_forsake(&service); return HX_REPLY_LATER;
    default: return HX_E_UNSUPPORTED;
    }
}

static struct hx_gate_vtable vtable;

static void on_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    (void)description;
    (void)backtrace;
    hx_slot_fault(&hx_slots[hx_slot_index(frame->slot)]);
}

static void bind(struct hx_service *one, const char *name)
{
    *one = (struct hx_service){ .owner = &owner, .op = 3, .repeatable = 1u << CRASH_ONCE };
    snprintf(one->name, sizeof(one->name), "%s", name);
    one->slot = hx_slot_create(name, HX_SLOT_KIND_CALLBACKS, true);
    for (int i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)hx_gate_op_unsupported;
    vtable.op[3] = (const void *)(uintptr_t)serve;
    hx_slot_publish(one->slot, &vtable, &modules[one == &nested]);
    expect_ok(hx_router_enter(one));
}

static const struct hx_gate_policy policy = { .wait = hx_module_gate_wait };

static void start(void)
{
    machine_start();
    hx_module_registry_init();
    hx_gate_bind(&policy);
    hx_exception_bind(on_fault);
    bind(&service, "svc.echo");
    slot = service.slot;
}

static void stop(void)
{
    hx_slot_retract(slot);
    hx_router_leave(&service);
    hx_slot_destroy(slot);
    machine_stop();
}

static struct ask {
    uint32_t code;
    uint64_t deadline_ns;
    struct hx_message message;
    hx_status_t err;
} last;

static hx_status_t ask(void *argument)
{
    struct ask *one = argument;
    one->message = (struct hx_message){ .code = one->code, .priority = 9 };
    say(&one->message, "a");
    one->err = hx_router_request(service.handle, &asker, &one->message, one->deadline_ns);
    if (one->err == HX_OK)
        note("%s:%s:%d:%.*s", me(), one->message.type == HX_MESSAGE_ERROR ? "error" : "reply", (int)one->message.code,
             one->message.bytes, (char *)one->message.data);
    else
        note("%s:%d", me(), one->err);
    return one->err;
}

static void request_until(uint32_t code, uint64_t deadline_ns)
{
    last = (struct ask){ .code = code, .deadline_ns = deadline_ns };
    spawn_core("a", 100, ask, &last);
}

static void request(uint32_t code)
{
    request_until(code, UINT64_MAX);
}

static hx_status_t reply(uint64_t correlation, const struct hx_holder *from, const char *text)
{
    struct hx_message message = { .code = 3 };
    say(&message, text);
    return hx_router_reply(correlation, from, &message);
}

/* ---- services ------------------------------------------------------------------------------------------------------- */
Test(message_router, a_service_is_found_by_its_name_while_it_is_there)
{
    start();
    cr_assert_eq(hx_router_find("svc.echo"), service.handle);
    cr_assert_eq(hx_router_find("svc.ech"), HX_HANDLE_NONE);
    struct hx_service again = { .name = "svc.echo", .owner = &owner };
    cr_assert_eq(hx_router_enter(&again), HX_E_EXIST);
    bind(&nested, "svc.other");
    uint32_t count = 0;
    for (struct hx_service *one = NULL; (one = hx_router_next(one));)
        count++;
    cr_assert_eq(count, 2);
    hx_slot_retract(nested.slot);
    hx_router_leave(&nested);
    hx_slot_destroy(nested.slot);
    stop();
    cr_assert_eq(hx_router_find("svc.echo"), HX_HANDLE_NONE);
}

Test(message_router, a_service_that_has_left_is_stale_and_another_handle_none)
{
    struct hx_message message = { .code = ECHO };
    start();
    hx_handle_t old = service.handle, task = hx_task_current()->handle;
    cr_assert_eq(hx_router_request(task, &asker, &message, 0), HX_E_STALE);
    hx_slot_retract(slot);
    hx_router_leave(&service);
    cr_assert_eq(hx_router_request(old, &asker, &message, 0), HX_E_STALE);
    hx_slot_destroy(slot);
    machine_stop();
}

/* ---- replies -------------------------------------------------------------------------------------------------------- */
Test(message_router, a_request_is_stamped_and_becomes_the_reply)
{
    start();
    hal_host_advance(700);
    request(ECHO);
    expect_trace("a:reply:0:b");
    cr_assert_eq(seen.type, HX_MESSAGE_REQUEST);
    cr_assert_eq(seen.source, asker.self);
    cr_assert_eq(seen.destination, service.handle);
    cr_assert_eq(seen.time_ns, 700);
    cr_assert_eq(seen.priority, 9);
    cr_assert_eq(last.message.source, owner.self);
    cr_assert_eq(last.message.destination, asker.self);
    cr_assert_eq(last.message.correlation, seen.correlation);
    uint64_t first = seen.correlation;
    request(ECHO);
    cr_assert_neq(seen.correlation, first);
    cr_assert_eq(service.requests, 2);
    cr_assert_eq(service.replies, 2);
    expect_trace("a:reply:0:b");
    stop();
}

Test(message_router, what_the_service_returns_instead_is_an_error_reply)
{
    start();
    request(FAIL);
    expect_trace("a:error:3:");
    request(99);
    expect_trace("a:error:17:");
    request(ERROR);
    expect_trace("a:error:9:a");
    stop();
}

Test(message_router, a_reply_of_which_nobody_knows_the_payload_is_an_error)
{
    start();
    request(NONSENSE);
    expect_trace("a:error:1:");
    stop();
}

Test(message_router, a_request_carries_nothing_or_some_bytes)
{
    struct hx_message message = { .code = ECHO, .payload = HX_PAYLOAD_CAPABILITY };
    start();
    cr_assert_eq(hx_router_request(service.handle, &asker, &message, 0), HX_E_INVAL);
    message = (struct hx_message){ .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX + 1 };
    cr_assert_eq(hx_router_request(service.handle, &asker, &message, 0), HX_E_INVAL);
    cr_assert_eq(service.requests, 0);
    stop();
}

Test(message_router, nobody_asks_where_nobody_may_wait)
{
    struct hx_message message = { .code = ECHO };
    start();
    hx_preempt_disable();
    cr_assert_eq(hx_router_request(service.handle, &asker, &message, 0), HX_E_STATE);
    hx_preempt_enable();
    hx_irq_disable();
    cr_assert_eq(hx_router_request(service.handle, &asker, &message, 0), HX_E_STATE);
    hx_irq_enable();
    stop();
}

/* ---- late replies --------------------------------------------------------------------------------------------------- */
Test(message_router, a_late_reply_ends_the_wait)
{
    start();
    request(LATER);
    expect_trace("");
    expect_ok(reply(put_off, &owner, "late"));
    expect_trace("a:reply:3:late");
    cr_assert_eq(last.message.correlation, put_off);
    cr_assert_eq(last.message.source, owner.self);
    stop();
}

Test(message_router, a_second_late_reply_is_stale)
{
    start();
    request(LATER);
    expect_ok(reply(put_off, &owner, "late"));
    cr_assert_eq(reply(put_off, &owner, "again"), HX_E_STALE);
    expect_trace("a:reply:3:late");
    request(LATER);
    cr_assert_eq(reply(put_off - HX_REQUESTS_MAX, &owner, "again"), HX_E_STALE, "the same place, another number");
    expect_ok(reply(put_off, &owner, "late"));
    expect_trace("a:reply:3:late");
    stop();
}

Test(message_router, a_stranger_does_not_reply)
{
    start();
    request(LATER);
    cr_assert_eq(reply(put_off, &stranger, "mine"), HX_E_STALE);
    expect_ok(reply(put_off, &owner, "late"));
    expect_trace("a:reply:3:late");
    stop();
}

Test(message_router, a_late_reply_that_carries_what_it_may_not_leaves_the_request_open)
{
    struct hx_message message = { .payload = HX_PAYLOAD_MEMORY };
    start();
    request(LATER);
    cr_assert_eq(hx_router_reply(put_off, &owner, &message), HX_E_INVAL);
    message = (struct hx_message){ .type = HX_MESSAGE_ERROR, .code = 6 };
    expect_ok(hx_router_reply(put_off, &owner, &message));
    expect_trace("a:error:6:");
    stop();
}

Test(message_router, a_reply_after_the_deadline_is_stale_and_the_request_as_it_was)
{
    start();
    request_until(LATER, 1000);
    hal_host_advance(999);
    expect_trace("");
    hal_host_advance(1);
    expect_trace("a:-7");
    cr_assert_eq(last.message.data[0], 'a');
    cr_assert_eq(reply(put_off, &owner, "late"), HX_E_STALE);
    cr_assert_eq(service.errors, 1);
    stop();
}

Test(message_router, who_does_not_wait_gets_no_late_reply)
{
    start();
    request_until(LATER, 0);
    hal_host_advance(1);
    expect_trace("a:-7");
    request_until(ECHO, 0);
    expect_trace("a:reply:0:b");
    stop();
}

Test(message_router, a_reply_that_comes_before_the_service_has_returned_counts)
{
    start();
    request(EARLY);
    expect_trace("a:reply:5:early");
    stop();
}

Test(message_router, a_forsaken_request_has_failed_and_its_reply_is_stale)
{
    start();
    request(LATER);
    hx_slot_close(slot);
    hal_host_advance(10);
    hx_router_forsake(&service);
    expect_trace("a:-8");
    cr_assert_eq(reply(put_off, &owner, "late"), HX_E_STALE);
    hx_slot_reopen(slot);
    hal_host_advance(10);
    request(LATER);
    expect_ok(reply(put_off, &owner, "late"));
    expect_trace("a:reply:3:late");
    stop();
}

Test(message_router, the_late_reply_of_a_service_that_leaves_is_absent)
{
    start();
    request(LATER);
    stop();
    expect_trace("a:-10");
    cr_assert_eq(reply(put_off, &owner, "late"), HX_E_STALE);
}

static hx_status_t ask_as_policy_task(void *argument)
{
    return ask(argument);
}

Test(message_router, a_killed_asker_leaves_nothing_behind)
{
    start();
    for (int i = 0; i < 2 * HX_REQUESTS_MAX; i++) {
        last = (struct ask){ .code = LATER, .deadline_ns = UINT64_MAX };
        hx_handle_t task = spawn("a", ask_as_policy_task, &last);
        expect_ok(hx_task_kill(task));
        cr_assert_eq(reply(put_off, &owner, "late"), HX_E_STALE);
    }
    request(ECHO);
    expect_trace("a:reply:0:b");
    stop();
}

static hx_status_t ask_often(void *argument)
{
    struct hx_message message = { .code = ECHO };
    for (int i = 0; i <= HX_REQUESTS_MAX; i++)
        expect_ok(hx_router_request(service.handle, &asker, &message, 0));
    (void)argument;
    return HX_OK;
}

Test(message_router, a_task_asks_as_often_as_it_likes)
{
    start();
    spawn("a", ask_often, NULL);
    cr_assert_eq(service.replies, HX_REQUESTS_MAX + 1);
    stop();
}

Test(message_router, requests_under_way_are_limited)
{
    static struct ask many[HX_REQUESTS_MAX + 1];
    start();
    for (int i = 0; i <= HX_REQUESTS_MAX; i++) {
        many[i] = (struct ask){ .code = LATER, .deadline_ns = 1000 };
        spawn("a", ask, &many[i]);
    }
    expect_trace("a:-18");
    hal_host_advance(1000);
    for (int i = 0; i < HX_REQUESTS_MAX; i++)
        cr_assert_eq(many[i].err, HX_E_TIMEOUT);
    noted();
    request(ECHO);
    expect_trace("a:reply:0:b");
    stop();
}

/* ---- a service that is swapped --------------------------------------------------------------------------------------- */
Test(message_router, a_request_waits_while_the_service_is_swapped)
{
    start();
    hx_slot_close(slot);
    request(ECHO);
    hal_host_advance(1000);
    expect_trace("");
    hx_slot_publish(slot, &vtable, &modules[0]);
    hx_module_wake_callers();
    expect_trace("a:reply:0:b");
    stop();
}

Test(message_router, the_deadline_counts_at_the_gate_too)
{
    start();
    hx_slot_close(slot);
    request_until(ECHO, 1000);
    hal_host_advance(999);
    expect_trace("");
    hal_host_advance(1);
    expect_trace("a:-7");
    request(ECHO);
    hal_host_advance(4999999999u);
    expect_trace("");
    hal_host_advance(1);
    expect_trace("a:-7");
    hx_slot_reopen(slot);
    stop();
}

/* It is the request's, not that of those that are made on its way. */
Test(message_router, a_deadline_is_not_that_of_calls_within)
{
    start();
    bind(&nested, "svc.other");
    hx_slot_close(nested.slot);
    request_until(ASK_OTHER, 20);
    hal_host_advance(40);
    expect_trace("");
    hx_slot_reopen(nested.slot);
    hx_module_wake_callers();
    expect_trace("a:reply:10:a");
    hx_slot_close(nested.slot);
    request_until(CALL_OTHER, hx_hal_clock_ns() + 20);
    hal_host_advance(40);
    expect_trace("");
    hx_slot_reopen(nested.slot);
    hx_module_wake_callers();
    expect_trace("a:reply:11:a");
    hx_slot_close(nested.slot);
    request_until(ASK_OTHER, 20);
    hal_host_advance(50);
    expect_trace("a:-7");
    hx_slot_retract(nested.slot);
    hx_router_leave(&nested);
    hx_slot_destroy(nested.slot);
    stop();
}

/* A task that has asked has as much patience as before. */
static hx_status_t ask_then_call(void *argument)
{
    struct hx_message message = { .code = ECHO };
    expect_ok(hx_router_request(service.handle, &asker, &message, hx_hal_clock_ns() + 20));
    cr_assert_null(hx_task_current()->patience);
    hx_slot_close(slot);
    note("called:%d", (int)hx_gate_call(slot, 3, (uint64_t)(uintptr_t)&message, sizeof(message), 0, 0));
    (void)argument;
    return HX_OK;
}

Test(message_router, a_deadline_is_not_that_of_calls_after)
{
    start();
    spawn_core("a", 100, ask_then_call, NULL);
    hal_host_advance(40);
    expect_trace("");
    hx_slot_reopen(slot);
    hx_module_wake_callers();
    expect_trace("called:0");
    stop();
}

Test(message_router, served_by_the_version_after_the_forsaken_one_a_late_reply_comes)
{
    start();
    hx_slot_close(slot);
    request(LATER);
    hal_host_advance(10);
    hx_router_forsake(&service);
    hal_host_advance(10);
    hx_slot_publish(slot, &vtable, &modules[0]);
    hx_module_wake_callers();
    expect_trace("");
    expect_ok(reply(put_off, &owner, "late"));
    expect_trace("a:reply:3:late");
    stop();
}

/* ---- a service that crashes ------------------------------------------------------------------------------------------ */
Test(message_router, who_asks_a_service_that_crashes_gets_a_fault_and_his_message)
{
    start();
    request(CRASH);
    expect_trace("a:-8");
    cr_assert_eq(last.message.data[0], 'a');
    cr_assert_eq(crashes, 1);
    hx_slot_fail(slot);
    request(ECHO);
    expect_trace("a:-11");
    stop();
}

Test(message_router, what_may_be_repeated_is_asked_again_once_the_service_is_back)
{
    start();
    request(CRASH_ONCE);
    expect_trace("");
    cr_assert_eq(seen.data[0], 'a');
    hx_slot_publish(slot, &vtable, &modules[0]);
    hx_module_wake_callers();
    expect_trace("a:reply:4:a");
    cr_assert_eq(service.repeated, 1);
    stop();
}

Test(message_router, what_may_be_repeated_fails_when_the_service_does_not_come_back)
{
    start();
    request_until(CRASH_ONCE, 1000);
    hal_host_advance(1000);
    expect_trace("a:-8");
    hx_slot_fail(slot);
    crashes = 0;
    request(CRASH_ONCE);
    expect_trace("a:-11");
    stop();
}

/* As if that had happened between its return and the wait. */
Test(message_router, a_request_that_is_forsaken_before_it_waits_has_failed)
{
    start();
    hal_host_advance(10);
    request(FORSAKEN);
    expect_trace("a:-8");
    stop();
}

/* ---- leaving -------------------------------------------------------------------------------------------------------- */
static hx_status_t leave(void *argument)
{
    (void)argument;
    hx_slot_retract(slot);
    hx_router_leave(&service);
    note("left");
    return HX_OK;
}

/* As if its waits were broken off for a swap again and again. */
Test(message_router, a_service_that_always_wants_to_be_called_again_is_taken_for_gone)
{
    start();
    request_until(RESTART, 10);
    hal_host_run();
    cr_assert_eq(last.err, HX_E_TIMEOUT, "%d", last.err);
    request(RESTART);
    hal_host_run();
    cr_assert_eq(last.err, HX_E_FAULT, "%d", last.err);
    cr_assert_eq(service.errors, 2);
    noted();
    stop();
}

Test(message_router, a_service_leaves_when_nobody_is_on_the_way_to_it)
{
    start();
    request(SLEEP);
    spawn_core("leaver", 200, leave, NULL);
    expect_trace("");
    hal_host_advance(10000000);
    expect_trace("a:reply:6:a left");
    hx_slot_destroy(slot);
    machine_stop();
}

/* ---- modules -------------------------------------------------------------------------------------------------------- */
/* The key-value store stands for a service: its get takes a message for a key, of which it has none. */
static void world_start(const char *file)
{
    world_begin(1000000);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("svc_kv", file, NULL), HX_OK);
    service = (struct hx_service){
        .name = "store", .owner = &owner, .slot = &hx_slots[HX_SLOT_hx_kv], .repeatable = 1u << 1
    };
    expect_ok(hx_router_enter(&service));
}

static hx_status_t ask_store(void *argument)
{
    struct hx_message message = { .code = *(uint32_t *)argument };
    hx_status_t err = hx_router_request(service.handle, &asker, &message, UINT64_MAX);
    note("%s:%d:%u", me(), err, err == HX_OK ? message.code : 0);
    return err;
}

Test(message_router, a_request_that_a_version_crashed_at_is_served_by_the_one_before)
{
    uint32_t code = 1;
    world_start("kv_faults_on_message.hxm");
    cr_assert_eq(world_run(ask_store, &code), HX_OK);
    expect_trace("body:0:3");
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(service.repeated, 1);
}

Test(message_router, a_request_that_may_not_be_repeated_ends_with_the_crash)
{
    uint32_t code = 2;
    world_start("kv_faults_on_message.hxm");
    cr_assert_eq(world_run(ask_store, &code), HX_E_FAULT);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_run(ask_store, &code), HX_OK);
    expect_trace("body:-8:0 body:0:3");
}

static hx_status_t nap_in_store(void *argument)
{
    char value[8];
    (void)argument;
    note("nap:%d", (int)hx_kv_get("nap", 3, value, sizeof(value)));
    return HX_OK;
}

static struct hx_job swap_job;

static hx_status_t swap_store(void *argument)
{
    hx_status_t err = hx_engine_run(&swap_job);
    note("swap:%d", err);
    (void)argument;
    return err;
}

Test(message_router, requests_during_a_swap_are_served_by_the_new_version)
{
    uint32_t code = 2;
    world_start("kv_sleeps.hxm");
    swap_job = (struct hx_job){
        .kind = HX_JOB_RELOAD, .file = world_file("svc_kv-2.hxm"), .who = "test", .by = &hx_kernel_principal
    };
    snprintf(swap_job.module, sizeof(swap_job.module), "svc_kv");
    spawn_core("napper", 100, nap_in_store, NULL);
    spawn_core("swapper", 100, swap_store, NULL);
    for (int i = 0; i < 3; i++)
        spawn_core("a", 50, ask_store, &code);
    hal_host_advance(10000000);
    expect_trace("");
    hal_host_advance(100000000);
    expect_trace("nap:-3 swap:0 a:0:3 a:0:3 a:0:3");
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(service.requests, 3);
    cr_assert_eq(service.replies, 3);
}
