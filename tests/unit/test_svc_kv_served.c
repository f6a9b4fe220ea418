/* SPDX-License-Identifier: MIT */
/* test_svc_kv_served.c - the store by messages: both versions alone, under the sanitizers, and through swaps in a whole Helix. */
#include "modules/module_host.h"
#include "world.h"

#include <criterion/criterion.h>
#include <helix/guard.h>
#include <helix/kv.h>
#include <ipc/channel.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <orchestrator/callbacks.h>
#include <orchestrator/declared.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const struct module_host *module;
    const struct svc_kv_served *served;
} versions[] = { { &svc_kv1, &svc_kv1_served }, { &svc_kv2, &svc_kv2_served } };

static const struct hx_kv_ops *ops(size_t v)
{
    return versions[v].module->vtable;
}

static void reset(size_t v)
{
    memset(versions[v].module->state, 0, versions[v].module->state_bytes);
    host_record_clear();
    *versions[v].served->guard = 0;
    host_sleep_hook = NULL;
    host_channel_in = NULL;
    host_channel_sent = 0;
    host_channel_send_result = HX_OK;
    host_dropped = 0;
}

static struct hx_message request(uint32_t code, const void *data, size_t bytes)
{
    struct hx_message message = { .type = HX_MESSAGE_REQUEST, .code = code, .priority = HX_PRIORITY_NORMAL };
    message.payload = bytes ? HX_PAYLOAD_INLINE : HX_PAYLOAD_NONE;
    message.bytes = (uint8_t)bytes;
    if (bytes)
        memcpy(message.data, data, bytes);
    return message;
}

static struct hx_message put(const char *key, const char *value)
{
    char data[HX_INLINE_MAX + 1];
    int bytes = snprintf(data, sizeof(data), "%c%s%s", (char)strlen(key), key, value);
    return request(HX_KV_PUT, data, (size_t)bytes);
}

static bool says(const struct hx_message *message, uint32_t code, const char *data)
{
    size_t bytes = strlen(data);
    return message->code == code && message->payload == (bytes ? HX_PAYLOAD_INLINE : HX_PAYLOAD_NONE) &&
           (bytes == 0 || (message->bytes == bytes && memcmp(message->data, data, bytes) == 0));
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */
Test(svc_kv_served, a_request_does_what_the_call_does)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        struct hx_message message = put("key", "value");
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 1, ""));
        message = put("key", "other");
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 0, ""));
        message = put("", "");
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_E_INVAL);
        message = request(HX_KV_GET, "key", 3);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 5, "other"));
        message = request(HX_KV_GET, "kex", 3);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_E_NOENT);
        message = request(HX_KV_COUNT, NULL, 0);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 1, ""));
        message = request(HX_KV_DELETE, "key", 3);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 0, ""));
        message = request(HX_KV_DELETE, "key", 3);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_E_NOENT);
        message = request(HX_KV_COUNT + 1, NULL, 0);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_E_UNSUPPORTED);
        cr_expect(ops(v)->count() == 0);
        host_expect_sound(versions[v].module);
    }
}

Test(svc_kv_served, a_put_whose_lengths_contradict_each_other_is_refused)
{
    static const uint8_t data[][3] = { { 0 }, { 3, 'a', 'b' }, { 255, 'a', 'b' } };
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        for (size_t i = 0; i < HX_ARRAY_SIZE(data); i++)
            for (size_t bytes = 0; bytes <= 3; bytes++) {
                struct hx_message message = request(HX_KV_PUT, data[i], bytes);
                cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_E_INVAL, "%zu of %zu", bytes, i);
            }
        struct hx_message message = request(HX_KV_PUT, "\2ab", 3);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK, "a value may be empty");
        message = request(HX_KV_GET, "ab", 2);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK && says(&message, 0, ""));
    }
}

Test(svc_kv_served, a_long_value_is_cut_and_its_length_told)
{
    char value[HX_KV_VALUE_MAX];
    memset(value, 'v', sizeof(value));
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        cr_assert(ops(v)->put("long", 4, value, sizeof(value)) == 1);
        struct hx_message message = request(HX_KV_GET, "long", 4);
        cr_expect(versions[v].served->serve(&message, sizeof(message)) == HX_OK);
        cr_expect(message.code == HX_KV_VALUE_MAX && message.bytes == HX_INLINE_MAX && message.data[63] == 'v');
    }
}

/* ---- one at a time --------------------------------------------------------------------------------------------------- */
static uint32_t *guard, naps;

static void leave_after_three(void)
{
    if (++naps == 3)
        hx_guard_leave(guard);
}

Test(svc_kv_served, who_finds_somebody_inside_waits)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        guard = versions[v].served->guard;
        naps = 0;
        host_sleep_hook = leave_after_three;
        cr_assert(hx_guard_try(guard));
        cr_expect(ops(v)->put("a", 1, "b", 1) == 1 && naps == 3);
        cr_expect(versions[v].module->record->hooks.check() == HX_OK);
        host_sleep_hook = NULL;
        cr_assert(hx_guard_try(guard));
        cr_expect(ops(v)->get("a", 1, NULL, 0) == HX_E_BUSY, "not for ever");
        cr_expect(ops(v)->put("a", 1, "b", 1) == HX_E_BUSY && ops(v)->del("a", 1) == HX_E_BUSY);
        cr_expect(ops(v)->list(0, NULL, 0) == HX_E_BUSY && ops(v)->count() == HX_E_BUSY);
        if (v == 1)
            cr_expect(ops(v)->modified("a", 1) == HX_E_BUSY);
        host_field_set(versions[v].module, "used", 0, 7);
        cr_expect(versions[v].module->record->hooks.check() == HX_OK, "what changes is not judged");
        hx_guard_leave(guard);
        cr_expect(versions[v].module->record->hooks.check() == HX_E_CORRUPT);
        cr_expect(hx_guard_try(guard), "check has stayed inside");
    }
}

/* ---- the channel ----------------------------------------------------------------------------------------------------- */
static void receive(size_t v, const struct hx_message *message)
{
    host_channel_in = message;
    cr_assert(versions[v].served->round() == HX_OK);
}

Test(svc_kv_served, each_request_by_the_channel_has_one_reply)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        cr_expect(versions[v].served->round() == HX_E_EMPTY);
        struct hx_message message = put("key", "value");
        message.correlation = 99;
        receive(v, &message);
        cr_expect(host_channel_sent == 1 && host_channel_out.correlation == 99);
        cr_expect(host_channel_out.type == HX_MESSAGE_REPLY && says(&host_channel_out, 1, ""));
        message = request(HX_KV_GET, "kex", 3);
        receive(v, &message);
        cr_expect(host_channel_out.type == HX_MESSAGE_ERROR && host_channel_out.code == -HX_E_NOENT);
        cr_expect(host_channel_out.bytes == 0);
        message = request(HX_KV_DELETE, "key", 3);
        message.type = HX_MESSAGE_NOTIFICATION;
        receive(v, &message);
        cr_expect(host_channel_sent == 2, "nobody wants to know");
        cr_expect(ops(v)->count() == 0, "but it is done");
    }
}

Test(svc_kv_served, what_a_message_carries_goes_back_or_is_given_up)
{
    struct hx_message message = { .type = HX_MESSAGE_REQUEST, .payload = HX_PAYLOAD_CAPABILITY, .capability = 5 };
    struct hx_kv_large large = { 0 };
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        receive(v, &message);
        cr_expect(host_channel_out.type == HX_MESSAGE_ERROR && host_channel_out.code == -HX_E_INVAL);
        cr_expect(host_channel_out.capability == 5 && host_dropped == 0);
        host_channel_send_result = HX_E_TIMEOUT;
        receive(v, &message);
        cr_expect(host_dropped == 5);
        struct hx_message with_grant = { .type = HX_MESSAGE_NOTIFICATION,
                                         .payload = HX_PAYLOAD_MEMORY,
                                         .memory = { 6, (uintptr_t)&large, 4096, 3, 0 } };
        receive(v, &with_grant);
        cr_expect(host_dropped == 6, "nobody wants it back");
    }
}

static struct hx_message with(struct hx_kv_large *large, uint32_t code, const void *data, size_t bytes)
{
    struct hx_message message = { .type = HX_MESSAGE_REQUEST,
                                  .code = code,
                                  .payload = HX_PAYLOAD_MEMORY,
                                  .memory = { 6, (uintptr_t)large, 4096, HX_GRANT_READ | HX_GRANT_WRITE, 0 } };
    large->bytes = bytes;
    if (bytes <= sizeof(large->data))
        memcpy(large->data, data, bytes);
    return message;
}

Test(svc_kv_served, the_longest_key_and_value_fit_a_grant)
{
    struct hx_kv_large large;
    uint8_t all[HX_KV_LARGE_MAX + 1];
    memset(all, 'v', sizeof(all));
    memset(all + 1, 'k', HX_KV_KEY_MAX);
    all[0] = HX_KV_KEY_MAX;
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        struct hx_message message = with(&large, HX_KV_PUT, all, HX_KV_LARGE_MAX);
        receive(v, &message);
        cr_expect(host_channel_out.type == HX_MESSAGE_REPLY && host_channel_out.code == 1 && large.bytes == 0);
        message = with(&large, HX_KV_GET, all + 1, HX_KV_KEY_MAX);
        receive(v, &message);
        cr_expect(host_channel_out.type == HX_MESSAGE_REPLY && host_channel_out.code == HX_KV_VALUE_MAX);
        cr_expect(host_channel_out.payload == HX_PAYLOAD_MEMORY && host_channel_out.memory.grant == 6);
        cr_expect(large.bytes == HX_KV_VALUE_MAX && memcmp(large.data, all + 1 + HX_KV_KEY_MAX, HX_KV_VALUE_MAX) == 0);
    }
}

Test(svc_kv_served, a_grant_that_cannot_be_what_it_should_is_refused)
{
    struct hx_kv_large large;
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(v);
        struct hx_message bad[4];
        for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++)
            bad[i] = with(&large, HX_KV_COUNT, "", i == 0 ? HX_KV_LARGE_MAX + 1 : 0);
        bad[1].memory.permissions = HX_GRANT_READ;
        bad[2].memory.permissions = HX_GRANT_WRITE;
        bad[3].memory.bytes = sizeof(large) - 1;
        for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
            large.bytes = i == 0 ? HX_KV_LARGE_MAX + 1 : 0;
            receive(v, &bad[i]);
            cr_expect(host_channel_out.type == HX_MESSAGE_ERROR && host_channel_out.code == -HX_E_INVAL, "%zu", i);
        }
        large.bytes = UINT64_MAX;
        receive(v, &bad[0]);
        cr_expect(host_channel_out.type == HX_MESSAGE_ERROR);
    }
}

/* ---- in a whole Helix, through swaps ----------------------------------------------------------------------------------- */
enum { MS = 1000000, ROUNDS = 12, REQUESTS = 40 };
static const char *const files[] = { "svc_kv-2.hxm", "svc_kv.hxm" };

static void begin(void)
{
    struct hx_job job;
    world_begin(0);
    hx_grant_init();
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK, "%s", job.report.message);
}

static hx_status_t ask(void *message)
{
    return hx_router_request(hx_router_find(HX_KV_SERVICE), &hx_kernel_holder, message, hx_hal_clock_ns() + 1000 * MS);
}

static void numbered(uint32_t number, char key[16], char value[24])
{
    snprintf(key, 16, "key%u", number);
    snprintf(value, 24, "is %u", number * 7919);
}

Test(svc_kv_served, what_changes_nothing_may_be_repeated)
{
    begin();
    const uint64_t repeatable = 1u << HX_KV_GET | 1u << HX_KV_COUNT;
    cr_expect(hx_callback_find(hx_module_find("svc_kv"), HX_KV_SERVICE)->number == repeatable);
    cr_assert_eq(world_reload("svc_kv", files[0], NULL), HX_OK);
    cr_expect(hx_callback_find(hx_module_find("svc_kv"), HX_KV_SERVICE)->number == repeatable);
}

Test(svc_kv_served, what_was_put_by_requests_is_found_through_every_version)
{
    begin();
    struct hx_job job;
    char key[16], value[24];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        numbered(round, key, value);
        struct hx_message message = put(key, value);
        cr_assert(world_run(ask, &message) == HX_OK && message.type == HX_MESSAGE_REPLY && message.code == 1);
        cr_assert_eq(world_reload("svc_kv", files[round % 2], &job), HX_OK, "%s", job.swap.report.message);
        for (uint32_t i = 0; i <= round; i++) {
            numbered(i, key, value);
            message = request(HX_KV_GET, key, strlen(key));
            cr_assert(world_run(ask, &message) == HX_OK && says(&message, (uint32_t)strlen(value), value), "%u", i);
        }
    }
}

/* One client that sends requests ahead and reads replies when it likes, while another task swaps. */
static hx_handle_t far;
static uint32_t replies;

static hx_status_t send_all(void *unused)
{
    char key[16], value[24];
    (void)unused;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        numbered(i, key, value);
        struct hx_message message = put(key, value);
        message.correlation = i;
        hx_status_t err = hx_ipc_send(far, &hx_kernel_holder, &message, UINT64_MAX);
        cr_assert_eq(err, HX_OK);
        (void)!hx_task_sleep_until(hx_hal_clock_ns() + MS);
    }
    return HX_OK;
}

static hx_status_t receive_all(void *unused)
{
    struct hx_message message;
    (void)unused;
    for (; replies < REQUESTS; replies++) {
        hx_status_t err = hx_ipc_receive(far, &hx_kernel_holder, &message, hx_hal_clock_ns() + 2000ull * MS);
        cr_assert_eq(err, HX_OK, "reply %u: %d", replies, err);
        cr_assert(message.correlation == replies && message.type == HX_MESSAGE_REPLY && message.code == 1);
    }
    return HX_OK;
}

Test(svc_kv_served, no_request_by_the_channel_is_lost_or_made_twice_in_swaps)
{
    begin();
    hx_handle_t sender, receiver;
    struct hx_message message = request(HX_KV_COUNT, NULL, 0);
    cr_assert_eq(hx_declared_connect(HX_KV_CHANNEL, &hx_kernel_holder, &far), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "sender", 100, send_all, NULL, &sender), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "receiver", 100, receive_all, NULL, &receiver), HX_OK);
    for (uint32_t i = 0; replies < REQUESTS && i < 1000; i++) {
        cr_assert_eq(world_reload("svc_kv", files[i % 2], NULL), HX_OK);
        hal_host_advance(MS / 3);
    }
    cr_assert_eq(replies, REQUESTS);
    cr_assert(world_run(ask, &message) == HX_OK && says(&message, REQUESTS, ""));
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}

static hx_status_t exchange_grant(void *argument)
{
    struct hx_message *message = argument;
    hx_handle_t end;
    uintptr_t va;
    hx_status_t err = hx_declared_connect(HX_KV_CHANNEL, &hx_kernel_holder, &end);
    cr_assert_eq(err, HX_OK);
    cr_assert_eq(hx_grant_make(sizeof(struct hx_kv_large), &hx_kernel_holder, &message->memory.grant, &va), HX_OK);
    struct hx_kv_large *large = (struct hx_kv_large *)va;
    large->bytes = HX_KV_LARGE_MAX;
    memset(large->data, 'x', HX_KV_LARGE_MAX);
    large->data[0] = HX_KV_KEY_MAX;
    message->memory.permissions = HX_GRANT_READ | HX_GRANT_WRITE;
    message->payload = HX_PAYLOAD_MEMORY;
    message->type = HX_MESSAGE_REQUEST;
    message->code = HX_KV_PUT;
    cr_assert_eq(hx_ipc_send(end, &hx_kernel_holder, message, UINT64_MAX), HX_OK);
    cr_assert_eq(hx_ipc_receive(end, &hx_kernel_holder, message, hx_hal_clock_ns() + 1000 * MS), HX_OK);
    cr_assert_eq(hx_handle_close(message->memory.grant, &hx_kernel_holder), HX_OK);
    return hx_handle_close(end, &hx_kernel_holder);
}

Test(svc_kv_served, a_grant_goes_there_and_back)
{
    begin();
    struct hx_message message = { 0 };
    cr_assert_eq(world_run(exchange_grant, &message), HX_OK);
    cr_expect(message.type == HX_MESSAGE_REPLY && message.payload == HX_PAYLOAD_MEMORY && message.code == 1);
    message = request(HX_KV_GET, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", HX_KV_KEY_MAX);
    cr_assert(world_run(ask, &message) == HX_OK && message.code == HX_KV_VALUE_MAX);
}

Test(svc_kv_served, a_client_that_takes_no_replies_holds_up_a_swap_for_a_tenth_of_a_second_at_most)
{
    struct hx_job job;
    begin();
    cr_assert_eq(hx_declared_connect(HX_KV_CHANNEL, &hx_kernel_holder, &far), HX_OK);
    struct hx_message message = request(HX_KV_COUNT, NULL, 0);
    for (uint32_t i = 0; i < HX_KV_CHANNEL_CAPACITY; i++)
        cr_assert_eq(hx_ipc_send(far, &hx_kernel_holder, &message, 0), HX_OK);
    hal_host_advance(MS);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(hx_ipc_send(far, &hx_kernel_holder, &message, 0), HX_OK);
    hal_host_advance(MS);
    cr_assert_eq(world_reload("svc_kv", files[0], &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_lt(job.swap.blackout_ns, 110 * MS, "%lu", job.swap.blackout_ns);
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}
