/* SPDX-License-Identifier: MIT */
/* channel_fixture.h - a channel of alice's, into which a test puts messages and from which tasks receive them. */
#pragma once
#include "task_fixture.h"

#include <ipc/channel_parts.h>
#include <ipc/grant.h>

static struct hx_holder alice = { .self = 77, .name = "alice" }, bob = { .self = 88, .name = "bob" };
static struct hx_channel_ends ends;

static inline void start(uint32_t capacity)
{
    machine_start();
    expect_ok(hx_ipc_create(capacity, &alice, &ends));
}

/* Nothing is left of it, memory included. */
static inline void stop(void)
{
    hal_host_run();
    hx_handle_close_all(&alice);
    hx_handle_close_all(&bob);
    hx_handle_close_all(&hx_kernel_holder);
    cr_assert_null(hx_handle_next(0), "handles are left");
    machine_stop();
}

static inline struct hx_message numbered(uint32_t code, uint8_t priority)
{
    struct hx_message message = { .type = HX_MESSAGE_NOTIFICATION, .code = code, .priority = priority };
    return message;
}

static inline hx_status_t send_as(struct hx_holder *who, hx_handle_t end, uint32_t code, uint8_t priority,
                                  uint64_t deadline_ns)
{
    struct hx_message message = numbered(code, priority);
    return hx_ipc_send(end, who, &message, deadline_ns);
}

static inline struct hx_message carrying(hx_handle_t handle)
{
    struct hx_message message = numbered(1, 128);
    message.payload = HX_PAYLOAD_CAPABILITY;
    message.capability = handle;
    return message;
}

static inline hx_status_t put(uint32_t code, uint8_t priority)
{
    return send_as(&alice, ends.end[0], code, priority, HX_WAIT_NOT);
}

/* The code of the next message at end 1, or the error. */
static inline int64_t next(void)
{
    struct hx_message message;
    hx_status_t err = hx_ipc_receive(ends.end[1], &alice, &message, HX_WAIT_NOT);
    return err == HX_OK ? (int64_t)message.code : (int64_t)err;
}

static inline hx_status_t receiver(void *argument)
{
    struct hx_message message;
    uint64_t deadline_ns = argument ? hx_hal_clock_ns() + (uintptr_t)argument : UINT64_MAX;
    hx_status_t err = hx_ipc_receive(ends.end[1], &alice, &message, deadline_ns);
    if (err == HX_OK)
        note("%s=%u", me(), message.code);
    else
        note("%s:%d", me(), err);
    return err;
}

static inline hx_status_t sender(void *argument)
{
    hx_status_t err = send_as(&alice, ends.end[0], (uint32_t)(uintptr_t)argument, 128, UINT64_MAX);
    note("%s:%d", me(), err);
    return err;
}

static inline hx_status_t selector(void *argument)
{
    struct hx_channel_ends *others = argument;
    hx_handle_t both[] = { ends.end[1], others->end[1] };
    hx_ret_t index = hx_ipc_select(both, 2, &alice, hx_hal_clock_ns() + 1000);
    note("%s#%lld", me(), (long long)index);
    return HX_OK;
}
