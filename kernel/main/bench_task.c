/* SPDX-License-Identifier: MIT */
/*
 * bench_task.c - switches, wakes and short lives of tasks, under the policy that runs.
 */
#include "bench_part.h"

#include <arch/x86_64/arch.h>
#include <hal/hx_hal.h>
#include <lib/err.h>
#include <string.h>

enum { JOIN_ROUNDS = 100 };

struct hx_bench_pair hx_bench_pair;

static hx_status_t yielder(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < HX_BENCH_SWITCHES; i++) {
        if (i == HX_BENCH_SWITCHES / 4 && !hx_bench_pair.start)
            hx_bench_pair.start = hx_arch_tsc();
        hx_task_yield();
    }
    if (!hx_bench_pair.end)
        hx_bench_pair.end = hx_arch_tsc();
    hx_bench_pair.done++;
    hx_waitq_wake_all(&hx_bench_pair.finished);
    return HX_OK;
}

static bool both_done(void *context)
{
    (void)context;
    return hx_bench_pair.done == 2;
}

hx_status_t hx_bench_pair_run(const char *name, hx_status_t (*body)(void *))
{
    hx_handle_t task = HX_HANDLE_NONE;
    memset(&hx_bench_pair, 0, sizeof(hx_bench_pair));
    hx_waitq_init(&hx_bench_pair.ping);
    hx_waitq_init(&hx_bench_pair.pong);
    hx_waitq_init(&hx_bench_pair.finished);
    hx_status_t err = hx_task_create(HX_TASK_POLICY, "ping", 128, body, (void *)0, &task);
    if (err == HX_OK)
        err = hx_task_create(HX_TASK_POLICY, "pong", 128, body, (void *)1, &task);
    if (err == HX_OK)
        err = hx_waitq_wait(&hx_bench_pair.finished, both_done, NULL, hx_hal_clock_ns() + 10000000000u);
    return err == HX_OK ? HX_OK : hx_bench_complain(name, hx_err_text(err));
}

hx_status_t hx_bench_context_switch(const char *name)
{
    hx_status_t err = hx_bench_pair_run(name, yielder);
    /* From the first quarter of one task to its end both yield in turn: two switches a round. */
    if (err == HX_OK)
        hx_bench_report(name,
                        (hx_bench_pair.end - hx_bench_pair.start) / (2 * (HX_BENCH_SWITCHES - HX_BENCH_SWITCHES / 4)));
    return err;
}

static bool my_turn(void *context)
{
    return hx_bench_pair.turn == (uint32_t)(uintptr_t)context;
}

static hx_status_t waker(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < HX_BENCH_SWITCHES; i++) {
        hx_status_t err = hx_waitq_wait(me ? &hx_bench_pair.pong : &hx_bench_pair.ping, my_turn, argument, UINT64_MAX);
        if (err != HX_OK)
            return err;
        if (i == HX_BENCH_SWITCHES / 4 && !me)
            hx_bench_pair.start = hx_arch_tsc();
        if (i == HX_BENCH_SWITCHES - 1 && !me)
            hx_bench_pair.end = hx_arch_tsc();
        hx_bench_pair.turn = !me;
        hx_waitq_wake_one(me ? &hx_bench_pair.ping : &hx_bench_pair.pong);
    }
    hx_bench_pair.done++;
    hx_waitq_wake_all(&hx_bench_pair.finished);
    return HX_OK;
}

hx_status_t hx_bench_wake_round_trip(const char *name)
{
    hx_status_t err = hx_bench_pair_run(name, waker);
    if (err == HX_OK)
        hx_bench_report(name,
                        (hx_bench_pair.end - hx_bench_pair.start) / (HX_BENCH_SWITCHES - 1 - HX_BENCH_SWITCHES / 4));
    return err;
}

static hx_status_t nothing(void *argument)
{
    (void)argument;
    return HX_OK;
}

hx_status_t hx_bench_create_join(const char *name)
{
    uint64_t start = 0;
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < 2 * JOIN_ROUNDS; i++) {
        hx_handle_t task = HX_HANDLE_NONE;
        hx_status_t status = HX_OK;
        if (i == JOIN_ROUNDS)
            start = hx_arch_tsc();
        err = hx_task_create(HX_TASK_CORE, "short", 1, nothing, NULL, &task);
        if (err == HX_OK)
            err = hx_task_join(task, UINT64_MAX, &status);
    }
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, (hx_arch_tsc() - start) / JOIN_ROUNDS);
    return HX_OK;
}
