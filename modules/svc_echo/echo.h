/* SPDX-License-Identifier: MIT */
/*
 * echo.h - svc_echo, of version ECHO_MAJOR: gives back what it is sent: by a service, by a channel; at once, or a little later.
 *
 * Service "echo": code 0 replies with the request's payload, and may be served twice; code 1 the same, but later, from its
 * deferred function; code 2 with the major version, so that who asks sees who answers; code 3 like 0, and counts in the record,
 * so that the count, which is the code of the reply, survives a crash. Channel "svc_echo/echo": each message
 * comes back. All of it goes on through a swap: what is to be answered later is state, who waits for a message waits outside.
 *
 * Requests come in any number of tasks at once: a place for a late one is taken and given back by one atomic step.
 */
#pragma once
#include <helix/module.h>

enum { LATE_MAX = 16, TAKEN = 1, SEND_NS = 1000000000 };
enum { ECHO_NOW, ECHO_LATER, ECHO_VERSION, ECHO_COUNTED };

#define ECHO_STATE(SCALAR, ARRAY)                                                                                      \
    SCALAR(u64, end) /* the channel's, once the task has asked for it */                                               \
    SCALAR(u64, requests)                                                                                              \
    SCALAR(u64, messages)                                                                                              \
    ARRAY(u64, late, LATE_MAX)  /* numbers of requests to be answered; 0: free, TAKEN: not complete */                 \
    ARRAY(u64, bytes, LATE_MAX) /* of their payloads */                                                                \
    ARRAY(u64, data, LATE_MAX *(HX_INLINE_MAX / 8))
HX_STATE(echo, ECHO_STATE);
#define ECHO_RECORD(SCALAR, ARRAY) SCALAR(u64, counted)
HX_RECORD(echoes, ECHO_RECORD);

static void copy_words(uint64_t *to, const uint64_t *from)
{
    for (uint32_t i = 0; i < HX_INLINE_MAX / 8; i++)
        to[i] = from[i];
}

static hx_ret_t put_off(const struct hx_message *message)
{
    for (uint32_t i = 0; i < LATE_MAX; i++) {
        uint64_t free = 0;
        if (!__atomic_compare_exchange_n(&echo.late[i], &free, TAKEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        echo.bytes[i] = message->payload == HX_PAYLOAD_INLINE ? message->bytes : 0;
        copy_words(&echo.data[i * (HX_INLINE_MAX / 8)], (const uint64_t *)(const void *)message->data);
        __atomic_store_n(&echo.late[i], message->correlation, __ATOMIC_RELEASE);
        hx_ret_t asked = hx_defer(HX_TEXT("late"));
        return asked < 0 ? asked : HX_REPLY_LATER;
    }
    return HX_E_FULL;
}

/* The reply goes when the call has been left, and then the count is kept. */
static hx_ret_t count(struct hx_message *message)
{
    hx_ret_t err = hx_record_begin();
    uint64_t counted = echoes->counted + 1;
    if (err == HX_OK)
        err = hx_record_put(HX_RECORD_AT(echoes, counted), &counted, sizeof(counted));
    message->code = (uint32_t)counted;
    return err;
}

static hx_ret_t serve(struct hx_message *message, uint64_t bytes)
{
    (void)bytes;
    (void)__atomic_add_fetch(&echo.requests, 1, __ATOMIC_RELAXED);
    switch (message->code) {
    case ECHO_NOW: return HX_OK;
    case ECHO_LATER: return put_off(message);
    case ECHO_VERSION:
        message->payload = HX_PAYLOAD_INLINE;
        message->bytes = 1;
        message->data[0] = ECHO_MAJOR;
        return HX_OK;
    case ECHO_COUNTED: return count(message);
    default: return HX_E_UNSUPPORTED;
    }
}

/* Who asked may have given up: then nobody wants the reply. */
static hx_ret_t reply_late(uint64_t count)
{
    (void)count;
    for (uint32_t i = 0; i < LATE_MAX; i++) {
        uint64_t number = __atomic_load_n(&echo.late[i], __ATOMIC_ACQUIRE);
        if (number <= TAKEN)
            continue;
        struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = (uint8_t)echo.bytes[i] };
        copy_words((uint64_t *)(void *)message.data, &echo.data[i * (HX_INLINE_MAX / 8)]);
        __atomic_store_n(&echo.late[i], 0, __ATOMIC_RELEASE);
        (void)!hx_reply(number, &message, sizeof(message));
    }
    return HX_OK;
}

/* Nothing has happened before the message is there: a swap need not wait for it. */
static hx_ret_t return_message(void)
{
    struct hx_message message;
    if (!echo.end) {
        hx_ret_t end = hx_channel_mine(HX_TEXT("echo"));
        if (end < 0)
            return end;
        echo.end = (uint64_t)end;
    }
    hx_ret_t result = hx_channel_receive(echo.end, &message, sizeof(message), HX_WAIT_FOREVER | HX_WAIT_RESTARTABLE);
    if (result < 0)
        return result;
    echo.messages++;
    message.type = HX_MESSAGE_NOTIFICATION;
    return hx_channel_send(echo.end, &message, sizeof(message), SEND_NS);
}

HX_MODULE("svc_echo", HX_VERSION(ECHO_MAJOR, 0, 0), "gives back what it is sent");
HX_SERVICE("echo", 1u << ECHO_NOW | 1u << ECHO_VERSION, serve);
HX_DEFERRED("late", reply_late);
HX_TASK("serve", 128, return_message);
HX_CHANNEL("echo", 16);
