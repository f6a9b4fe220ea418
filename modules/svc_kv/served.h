/* SPDX-License-Identifier: MIT */
/*
 * served.h - the store as others reach it, in both versions: by calls of hx.kv, by requests, by a channel (helix/kv.h).
 *
 * Why a guard: each call and each request comes in a task of its own, on any CPU, and the layouts bear one at a time. Who
 * finds somebody inside sleeps and tries again. Inside nothing is imported, because an import is where a killed task ends;
 * one who faults there takes the version along, and the guard with it.
 * Swap:      the task waits for a message outside of all that a swap waits for, and between two messages nothing is kept: what
 *            is queued lies in the channel.
 *
 * Kept:      what a call changes it has put into the record when it returns (kept.h); before a reply goes into the channel, it
 *            says so.
 *
 * The includer defines kv_get, kv_put_at, kv_del, kv_list, kv_count and kv_check, which expect to be alone, and kv_modified_of.
 */
#pragma once
#include <helix/guard.h>

#include "kept.h"

enum { KV_TRY_NS = 100000, KV_TRIES_MAX = 10000, KV_REPLY_NS = 100000000 };

static uint32_t kv_guard;

/* ---- calls ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t kv_enter(void)
{
    for (uint32_t tries = 0; tries < KV_TRIES_MAX; tries++) {
        if (hx_guard_try(&kv_guard))
            return HX_OK;
        hx_ret_t slept = hx_sleep_ns(KV_TRY_NS);
        if (slept < 0)
            return slept;
    }
    return HX_E_BUSY;
}

static hx_ret_t kv_leave(hx_ret_t result)
{
    hx_guard_leave(&kv_guard);
    return result;
}

/* The record becomes the call's, and the store what it says. */
static hx_ret_t kv_agree(void)
{
    hx_ret_t err = hx_record_begin();
    if (err == HX_OK && kept->changes == 0 && kv.changes == 0 && kv.used != 0)
        err = kept_put_all();
    if (err < 0 || kv.changes == kept->changes)
        return err;
    hx_ret_t count = kept_close_gaps();
    err = count < 0 ? count : kv_enter();
    return err == HX_OK ? kv_leave(kept_restore((uint32_t)count)) : err;
}

/* To look; what was recorded by a version that is gone is to be seen, too. */
static hx_ret_t kv_enter_to_look(void)
{
    hx_ret_t err = kv.changes < kept->changes ? kv_agree() : HX_OK;
    return err == HX_OK ? kv_enter() : err;
}

static hx_ret_t kv_enter_to_change(void)
{
    hx_ret_t err = kv_agree();
    if (err == HX_OK)
        err = kv_enter();
    if (err == HX_OK)
        entry_touched_count = 0;
    return err;
}

/* Others may look from here on, and nobody else changes anything yet. */
static hx_ret_t kv_leave_changed(hx_ret_t result)
{
    hx_ret_t err = HX_OK;
    kv.changes += entry_touched_count != 0;
    (void)kv_leave(result);
    for (uint32_t i = 0; err == HX_OK && i < entry_touched_count; i++)
        err = kept_put(entry_touched[i]);
    if (err == HX_OK && entry_touched_count)
        err = kept_put_changes();
    return err == HX_OK ? result : err;
}

static hx_ret_t kv_op_get(const void *key, uint64_t key_bytes, void *value, uint64_t value_bytes)
{
    hx_ret_t err = kv_enter_to_look();
    return err < 0 ? err : kv_leave(kv_get(key, key_bytes, value, value_bytes));
}

static hx_ret_t kv_op_put(const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes)
{
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    hx_ret_t err = kv_enter_to_change();
    return err < 0 ? err : kv_leave_changed(kv_put_at(key, key_bytes, value, value_bytes, now_ns));
}

static hx_ret_t kv_op_del(const void *key, uint64_t key_bytes)
{
    hx_ret_t err = kv_enter_to_change();
    return err < 0 ? err : kv_leave_changed(kv_del(key, key_bytes));
}

static hx_ret_t kv_op_list(uint64_t cursor, void *key, uint64_t key_bytes)
{
    hx_ret_t err = kv_enter_to_look();
    return err < 0 ? err : kv_leave(kv_list(cursor, key, key_bytes));
}

static hx_ret_t kv_op_count(void)
{
    hx_ret_t err = kv_enter_to_look();
    return err < 0 ? err : kv_leave(kv_count());
}

/* It must not sleep: a store at work is believed. */
static hx_ret_t kv_check_at_rest(void)
{
    return hx_guard_try(&kv_guard) ? kv_leave(kv_check()) : HX_OK;
}

/* ---- messages -------------------------------------------------------------------------------------------------------- */
/* The data of a request, and in its place the data of the reply. */
struct kv_data {
    uint8_t *data;
    uint64_t bytes, room;
};

static hx_ret_t kv_answer_get(struct kv_data *d)
{
    hx_ret_t whole = kv_op_get(d->data, d->bytes, d->data, d->room);
    d->bytes = whole < 0 ? 0 : (uint64_t)whole < d->room ? (uint64_t)whole : d->room;
    return whole;
}

static hx_ret_t kv_answer_put(struct kv_data *d)
{
    uint64_t bytes = d->bytes;
    d->bytes = 0;
    if (bytes == 0 || d->data[0] > bytes - 1)
        return HX_E_INVAL;
    const uint8_t *key = d->data + 1;
    return kv_op_put(key, d->data[0], key + d->data[0], bytes - 1 - d->data[0]);
}

static hx_ret_t kv_answer(uint32_t code, struct kv_data *d)
{
    if (code == HX_KV_GET)
        return kv_answer_get(d);
    if (code == HX_KV_PUT)
        return kv_answer_put(d);
    uint64_t bytes = d->bytes;
    d->bytes = 0;
    if (code == HX_KV_DELETE)
        return kv_op_del(d->data, bytes);
    return code == HX_KV_COUNT ? kv_op_count() : HX_E_UNSUPPORTED;
}

/* The message becomes the reply, if there is no error. */
static hx_ret_t kv_serve(struct hx_message *message, uint64_t message_bytes)
{
    (void)message_bytes;
    struct kv_data d = { message->data, message->payload == HX_PAYLOAD_INLINE ? message->bytes : 0, HX_INLINE_MAX };
    hx_ret_t result = kv_answer(message->code, &d);
    if (result < 0)
        return result;
    message->payload = d.bytes ? HX_PAYLOAD_INLINE : HX_PAYLOAD_NONE;
    message->bytes = (uint8_t)d.bytes;
    message->code = (uint32_t)result;
    return HX_OK;
}

/* The grant is nobody else's until it goes back. */
static hx_ret_t kv_serve_large(struct hx_message *message)
{
    const struct hx_message_memory *memory = &message->memory;
    struct hx_kv_large *large = (struct hx_kv_large *)(uintptr_t)memory->address;
    if (memory->permissions != (HX_GRANT_READ | HX_GRANT_WRITE) || memory->bytes < sizeof(*large))
        return HX_E_INVAL;
    struct kv_data d = { large->data, large->bytes, sizeof(large->data) };
    if (d.bytes > d.room)
        return HX_E_INVAL;
    hx_ret_t result = kv_answer(message->code, &d);
    large->bytes = d.bytes;
    if (result >= 0)
        message->code = (uint32_t)result;
    return result;
}

/* What it carries goes back with the reply, or is given up. */
static void kv_reply(uint64_t end, struct hx_message *message, hx_ret_t result)
{
    bool wanted = message->type == HX_MESSAGE_REQUEST;
    message->type = result < 0 ? HX_MESSAGE_ERROR : HX_MESSAGE_REPLY;
    if (result < 0) {
        message->code = (uint32_t)-result;
        message->bytes = 0;
    }
    hx_handle_t carried = message->payload == HX_PAYLOAD_MEMORY ? message->memory.grant : HX_HANDLE_NONE;
    if (message->payload == HX_PAYLOAD_CAPABILITY)
        carried = message->capability;
    if (wanted && hx_channel_send(end, message, sizeof(*message), KV_REPLY_NS) == HX_OK)
        return;
    if (carried != HX_HANDLE_NONE)
        (void)!hx_handle_drop(carried);
}

/* Nothing has happened before the message is there: a swap need not wait for it. */
static hx_ret_t kv_serve_channel(void)
{
    struct hx_message message;
    hx_ret_t end = hx_channel_mine(HX_TEXT("kv"));
    hx_ret_t result = end;
    if (end >= 0)
        result = hx_channel_receive((uint64_t)end, &message, sizeof(message), HX_WAIT_FOREVER | HX_WAIT_RESTARTABLE);
    if (result < 0)
        return result == HX_E_LIMIT ? HX_E_TIMEOUT : result; /* no room for what it carries: later */
    if (message.payload == HX_PAYLOAD_CAPABILITY)
        result = HX_E_INVAL;
    else
        result = message.payload == HX_PAYLOAD_MEMORY ? kv_serve_large(&message) : kv_serve(&message, sizeof(message));
    (void)!hx_record_commit(); /* HX_E_STATE: it has changed nothing */
    kv_reply((uint64_t)end, &message, result);
    return HX_OK;
}

HX_SERVICE(HX_KV_SERVICE, 1u << HX_KV_GET | 1u << HX_KV_COUNT, kv_serve);
HX_CHANNEL("kv", HX_KV_CHANNEL_CAPACITY);
HX_TASK("serve", HX_PRIORITY_NORMAL, kv_serve_channel);
