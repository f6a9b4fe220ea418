/* SPDX-License-Identifier: MIT */
/*
 * bench_ipc.c - messages, events, requests and grants.
 */
#include "bench_part.h"

#include <arch/x86_64/arch.h>
#include <helix/kv.h>
#include <hotreload/engine.h>
#include <ipc/channel.h>
#include <ipc/event_bus.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <string.h>

/* ---- channels -------------------------------------------------------------------------------------------------------- */

static struct hx_channel_ends ends;
static struct hx_holder talker = { .name = "bench" }; /* as a module is one */
static struct hx_message message = { .type = HX_MESSAGE_NOTIFICATION,
                                     .priority = HX_PRIORITY_NORMAL,
                                     .payload = HX_PAYLOAD_INLINE,
                                     .bytes = HX_INLINE_MAX };

/* A message in, and the same out again. */
static __attribute__((noinline)) uint64_t loop_channel(uint64_t rounds)
{
    struct hx_message received;
    hx_handle_t in = ends.end[0], out = ends.end[1];
    hx_status_t bad = HX_OK;
    uint64_t start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_send(in, &talker, &message, HX_WAIT_NOT);
        bad |= hx_ipc_receive(out, &talker, &received, HX_WAIT_NOT);
    }
    return bad == HX_OK ? hx_arch_tsc() - start : 0;
}

hx_status_t hx_bench_channel_self(const char *name)
{
    talker.self = hx_task_current()->handle;
    hx_status_t err = hx_ipc_create(16, &talker, &ends);
    uint64_t insns = err == HX_OK ? loop_channel(HX_BENCH_ROUNDS) : 0;
    hx_handle_close_all(&talker);
    if (insns == 0)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, insns / HX_BENCH_ROUNDS);
    return HX_OK;
}

/* Rounds of one of the pair, none of which fails. */
static __attribute__((noinline)) hx_status_t ask(uint32_t rounds)
{
    struct hx_message received;
    hx_handle_t end = ends.end[0];
    hx_status_t bad = HX_OK;
    for (uint32_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_send(end, &talker, &message, UINT64_MAX);
        bad |= hx_ipc_receive(end, &talker, &received, UINT64_MAX);
    }
    return bad;
}

static __attribute__((noinline)) hx_status_t answer(uint32_t rounds)
{
    struct hx_message received;
    hx_handle_t end = ends.end[1];
    hx_status_t bad = HX_OK;
    for (uint32_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_receive(end, &talker, &received, UINT64_MAX);
        bad |= hx_ipc_send(end, &talker, &message, UINT64_MAX);
    }
    return bad;
}

/* Each waits for the other's message before it sends its own: so every message is handed over. */
static hx_status_t answerer(void *argument)
{
    hx_status_t bad;
    if (argument) {
        bad = answer(HX_BENCH_SWITCHES);
    } else {
        bad = ask(HX_BENCH_SWITCHES / 4);
        hx_bench_pair.start = hx_arch_tsc();
        bad |= ask(HX_BENCH_SWITCHES - 1 - HX_BENCH_SWITCHES / 4);
        hx_bench_pair.end = hx_arch_tsc();
        bad |= ask(1);
    }
    if (bad == HX_OK)
        hx_bench_pair.done++;
    hx_waitq_wake_all(&hx_bench_pair.finished);
    return bad;
}

/* Each sends, lets the other go first, and then receives what that has sent: so every message is queued. */
static hx_status_t queuer(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    struct hx_message received;
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < HX_BENCH_SWITCHES; i++) {
        if (!me && i == HX_BENCH_SWITCHES / 4)
            hx_bench_pair.start = hx_arch_tsc();
        if (!me && i == HX_BENCH_SWITCHES - 1)
            hx_bench_pair.end = hx_arch_tsc();
        err = hx_ipc_send(ends.end[me], &talker, &message, UINT64_MAX);
        hx_task_yield();
        if (err == HX_OK)
            err = hx_ipc_receive(ends.end[me], &talker, &received, UINT64_MAX);
    }
    hx_bench_pair.done++;
    hx_waitq_wake_all(&hx_bench_pair.finished);
    return err;
}

hx_status_t hx_bench_channel_pair(const char *name)
{
    bool handover = strcmp(name, "channel_handover_64") == 0;
    talker.self = hx_task_current()->handle;
    hx_status_t err = hx_ipc_create(16, &talker, &ends);
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    err = hx_bench_pair_run(name, handover ? answerer : queuer);
    for (uint32_t i = 0; i < 2; i++)
        if (hx_handle_close(ends.end[i], &talker) != HX_OK)
            err = HX_E_FAILED;
    if (err == HX_OK)
        hx_bench_report(name,
                        (hx_bench_pair.end - hx_bench_pair.start) / (HX_BENCH_SWITCHES - 1 - HX_BENCH_SWITCHES / 4));
    return err;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static void nobody_wakes(struct hx_subscription *subscription)
{
    (void)subscription;
}

/* One subscriber, who is told of each event and looks at none. */
hx_status_t hx_bench_event_publish(const char *name)
{
    struct hx_topic *topic = NULL;
    struct hx_event event = { .type = HX_EVENT_CUSTOM, .bytes = 8 };
    struct hx_subscription subscription = { .filter.types = HX_EVENTS_ALL, .notify = nobody_wakes };
    struct hx_holder holder = { .self = hx_handle_make(HX_HANDLE_MODULE, 0, 0), .name = name };
    hx_status_t err = hx_topic_create("bench", &holder, &topic);
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_event_subscribe(topic, &subscription, false);
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; i < HX_BENCH_ROUNDS; i++) {
        subscription.notified = false;
        hx_event_publish(topic, &holder, &event);
    }
    hx_bench_report(name, (hx_arch_tsc() - start) / HX_BENCH_ROUNDS);
    hx_event_unsubscribe(&subscription);
    hx_topic_destroy(topic);
    return HX_OK;
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

/* A request through the router and the gate to a module's service, and its reply. */
static hx_status_t ask_service(const char *name, const struct hx_module *module)
{
    struct hx_message request = { .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX };
    hx_handle_t service = hx_router_find("echo");
    hx_status_t err = HX_OK;
    (void)module;
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; err == HX_OK && i < HX_BENCH_ROUNDS; i++)
        err = hx_router_request(service, &hx_kernel_holder, &request, UINT64_MAX);
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, (hx_arch_tsc() - start) / HX_BENCH_ROUNDS);
    return HX_OK;
}

hx_status_t hx_bench_router_request(const char *name)
{
    return hx_bench_with_module(name, "svc_echo.hxm", ask_service);
}

/* A value stored under a key that is there: when the reply comes, it is in the store's record as well. */
static hx_status_t put_values(const char *name, const struct hx_module *module)
{
    static const struct hx_message put = {
        .code = HX_KV_PUT, .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX, .data = { 5, 'b', 'e', 'n', 'c', 'h' }
    };
    hx_handle_t service = hx_router_find(HX_KV_SERVICE);
    hx_status_t err = HX_OK;
    uint64_t start = 0;
    (void)module;
    for (uint32_t i = 0; err == HX_OK && i <= HX_BENCH_SWITCHES; i++) {
        struct hx_message request = put;
        err = hx_router_request(service, &hx_kernel_holder, &request, UINT64_MAX);
        if (err == HX_OK && (request.type != HX_MESSAGE_REPLY || request.code != (i == 0)))
            err = HX_E_FAILED;
        if (i == 0)
            start = hx_arch_tsc();
    }
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, (hx_arch_tsc() - start) / HX_BENCH_SWITCHES);
    return HX_OK;
}

/* The store that boots with the benchmark has no messages; it has been measured, and is perhaps on probation. */
hx_status_t hx_bench_kv_put(const char *name)
{
    struct hx_job job = { .kind = HX_JOB_UNLOAD, .module = "svc_kv", .who = "bench", .by = &hx_kernel_principal };
    hx_status_t err = hx_module_find(job.module) ? hx_engine_run(&job) : HX_OK;
    if (err != HX_OK)
        return hx_bench_complain(name, job.report.message);
    return hx_bench_with_module(name, "svc_kv.hxm", put_values);
}

/* ---- grants ---------------------------------------------------------------------------------------------------------- */

static struct hx_holder hands[2] = { { .name = "left" }, { .name = "right" } };

/* To the other hand and back again, as often as there are slots and more. */
static hx_status_t hand_over(hx_handle_t grant, uint64_t *out_insns)
{
    struct hx_message_memory memory = { .grant = grant };
    struct hx_grant *taken = NULL;
    hx_status_t err = HX_OK;
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; err == HX_OK && i < HX_BENCH_SWITCHES; i++) {
        err = hx_grant_take(memory.grant, &hands[i % 2], HX_GRANT_READ | HX_GRANT_WRITE, &taken);
        if (err == HX_OK)
            err = hx_grant_accept(taken, &hands[(i + 1) % 2], &memory);
    }
    *out_insns = (hx_arch_tsc() - start) / HX_BENCH_SWITCHES;
    return err;
}

/* Whatever the size: nothing is copied, and one entry of a page directory maps all of it. */
hx_status_t hx_bench_grant(const char *name)
{
    uint64_t insns = 0;
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va;
    hx_status_t err = hx_grant_make(strcmp(name, "grant_1m") == 0 ? 1 << 20 : 1 << 12, &hands[0], &grant, &va);
    if (err == HX_OK)
        err = hand_over(grant, &insns);
    hx_handle_close_all(&hands[0]);
    hx_handle_close_all(&hands[1]);
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, insns);
    return HX_OK;
}
