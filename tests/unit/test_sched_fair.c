/* SPDX-License-Identifier: MIT */
/* test_sched_fair.c - shares by weight against a naive model. Conversions between policies are in test_sched_rr.c. */
#include "modules/sched_model.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000, TICK_NS = 2 * MS, SLICE = 10 * MS };

static hx_handle_t task(uint32_t index)
{
    return hx_handle_make(HX_HANDLE_TASK, 1, index);
}

Test(sched_fair, random_events_give_the_models_answers)
{
    sched_test_random(&sched_fair1, 3, 20000);
    sched_test_random(&sched_fair1, 40, 60000);
}

Test(sched_fair, bad_arguments_are_refused)
{
    sched_test_bad_arguments(&sched_fair1);
}

Test(sched_fair, bad_blobs_are_refused)
{
    sched_test_bad_blobs(&sched_fair1);
}

Test(sched_fair, every_index_can_be_used_and_saved)
{
    sched_test_full(&sched_fair1);
}

/* ---- a CPU whose tasks never have enough ------------------------------------------------------------------------------- */
static struct sched_model model;
static hx_handle_t running;

/* Lets the tasks run for @span_ns, ticks and all. Each stops for @reason after @stop_ns, if a tick does not stop it before. */
static void run(uint64_t span_ns, uint64_t stop_ns, enum hx_sched_reason reason)
{
    uint64_t end_ns = host_now_ns + span_ns, ran_ns = 0;
    const struct hx_sched_ops *op = sched_fair1.vtable;
    if (running == HX_HANDLE_NONE)
        running = (hx_handle_t)op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, host_now_ns);
    for (uint64_t now_ns = host_now_ns; now_ns < end_ns;) {
        uint64_t step_ns = stop_ns < TICK_NS ? stop_ns : TICK_NS;
        ran_ns += step_ns;
        now_ns += step_ns;
        bool stops = ran_ns >= stop_ns;
        if (!stops && op->tick(running, ran_ns) != 1)
            continue;
        hx_ret_t next = op->pick(running, stops ? reason : HX_SCHED_PREEMPT, ran_ns, now_ns);
        cr_assert(next > 0);
        running = (hx_handle_t)next;
        ran_ns = 0;
        host_now_ns = now_ns;
    }
    if (ran_ns != 0) { /* so that all is accounted for */
        host_now_ns = end_ns;
        running = (hx_handle_t)op->pick(running, HX_SCHED_PREEMPT, ran_ns, host_now_ns);
    }
    host_expect_sound(&sched_fair1);
}

static void begin(const uint8_t *priorities, uint32_t count)
{
    sched_model_init(&model, &sched_fair1);
    running = HX_HANDLE_NONE;
    for (uint32_t i = 0; i < count; i++)
        cr_assert(((const struct hx_sched_ops *)sched_fair1.vtable)->ready(task(i), priorities[i], HX_SCHED_NEW) >= 0);
}

static int64_t ran(uint32_t i)
{
    return (int64_t)host_field_get(&sched_fair1, "runtime", i);
}

/* No two have had, over their weights, more than a slice apart and what a late tick of the lightest adds to it. */
static void expect_fair(const uint8_t *priorities, uint32_t count, const char *when)
{
    int64_t least = INT64_MAX, most = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t had = ran(i) * 256 / sched_model_weight(priorities[i]);
        least = had < least ? had : least;
        most = had > most ? had : most;
    }
    cr_expect(most - least <= SLICE + 4 * TICK_NS, "%s: %lld us apart", when, (long long)(most - least) / 1000);
}

static const uint8_t mixed[] = { 0, 64, 128, 128, 192, 255, 200, 31 };

Test(sched_fair, weights_double_every_64_levels_and_grow_in_between)
{
    cr_expect(sched_model_weight(128) == 256 && sched_model_weight(255) == 1016);
    for (uint32_t p = 0; p < 255; p++) {
        cr_expect(sched_model_weight((uint8_t)p) < sched_model_weight((uint8_t)(p + 1)));
        cr_expect(p < 64 || sched_model_weight((uint8_t)p) == 2 * sched_model_weight((uint8_t)(p - 64)));
    }
}

Test(sched_fair, time_is_shared_by_weight_within_a_slice_at_every_moment)
{
    begin(mixed, HX_ARRAY_SIZE(mixed));
    for (uint32_t i = 0; i < 500; i++) {
        run((i % 7 + 1) * 3 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
        expect_fair(mixed, HX_ARRAY_SIZE(mixed), "by ticks");
    }
}

Test(sched_fair, yields_do_not_change_the_shares)
{
    begin(mixed, HX_ARRAY_SIZE(mixed));
    for (uint32_t i = 0; i < 200; i++) {
        run(20 * MS, 100000 + i * 1000, HX_SCHED_YIELD);
        expect_fair(mixed, HX_ARRAY_SIZE(mixed), "by yields");
    }
}

Test(sched_fair, a_slice_grows_with_the_weight)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    static const uint8_t pair[] = { 192, 128 };
    begin(pair, 2);
    running = (hx_handle_t)op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, host_now_ns);
    cr_expect(running == task(0));
    cr_expect(op->tick(task(0), 19999999) == 0);
    cr_expect(op->tick(task(0), 20000000) == 1);
    running = (hx_handle_t)op->pick(task(0), HX_SCHED_PREEMPT, 20000000, host_now_ns += 20000000);
    cr_expect(running == task(1));
    cr_expect(op->tick(task(1), 9999999) == 0);
    cr_expect(op->tick(task(1), 10000000) == 0, "now both have had the same, and the first to queue is the other");
    cr_expect(op->tick(task(1), 10000400) == 1);
}

Test(sched_fair, a_sleeper_earns_a_head_start_of_half_a_slice_and_no_more)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    static const uint8_t three[] = { 128, 128, 128 };
    begin(three, 3);
    run(300 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    while (running != task(2))
        run(SLICE, UINT64_MAX, HX_SCHED_PREEMPT);
    running = (hx_handle_t)op->pick(task(2), HX_SCHED_BLOCK, 0, host_now_ns);
    run(60000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    int64_t before[] = { ran(0), ran(1), ran(2) };
    cr_expect(op->ready(task(2), 128, HX_SCHED_WOKEN) == HX_SCHED_REPLACE, "it has had less than who runs");
    run(3000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    int64_t had = ran(2) - before[2], others = ran(0) - before[0] + ran(1) - before[1];
    cr_expect(had >= 1000 * MS - SLICE && had <= 1000 * MS + SLICE / 2 + TICK_NS + SLICE, "%lld us",
              (long long)had / 1000);
    cr_expect(had + others >= 2990ll * MS);
}

Test(sched_fair, who_ran_alone_owes_nothing_to_who_comes_later)
{
    static const uint8_t two[] = { 128, 128 };
    begin(two, 1);
    run(60000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    cr_assert(((const struct hx_sched_ops *)sched_fair1.vtable)->ready(task(1), 128, HX_SCHED_NEW) >= 0);
    run(1000 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    cr_expect(ran(1) <= 500 * MS + SLICE + TICK_NS, "%lld us", (long long)ran(1) / 1000);
    cr_expect(ran(1) >= 500 * MS - SLICE - TICK_NS, "%lld us", (long long)ran(1) / 1000);
}

/* The kernel ran it without asking, after it had been away: that is no credit either. */
Test(sched_fair, who_ran_by_the_kernels_choice_gets_no_credit_for_the_time_before)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    static const uint8_t two[] = { 128, 128 };
    begin(two, 2);
    run(SLICE, UINT64_MAX, HX_SCHED_PREEMPT);
    while (running != task(1))
        run(SLICE, UINT64_MAX, HX_SCHED_PREEMPT);
    running = (hx_handle_t)op->pick(task(1), HX_SCHED_BLOCK, 0, host_now_ns);
    run(60000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    int64_t before = ran(1);
    running = (hx_handle_t)op->pick(task(1), HX_SCHED_PREEMPT, 1000, host_now_ns += 1000);
    host_expect_sound(&sched_fair1);
    running = HX_HANDLE_NONE;
    run(1000 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    cr_expect(ran(1) - before <= 500 * MS + 2 * SLICE, "%lld us", (long long)(ran(1) - before) / 1000);
}

/* It had been away for a minute when the slot was closed and the kernel ran it; then the one that ran before is told again. */
Test(sched_fair, who_stops_after_the_kernels_choice_stands_no_further_behind_than_who_wakes)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    static const uint8_t two[] = { 128, 128 };
    begin(two, 2);
    run(SLICE, UINT64_MAX, HX_SCHED_PREEMPT);
    while (running != task(1))
        run(SLICE, UINT64_MAX, HX_SCHED_PREEMPT);
    running = (hx_handle_t)op->pick(task(1), HX_SCHED_BLOCK, 0, host_now_ns);
    run(60000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    int64_t before = ran(1);
    cr_assert(op->ready(task(0), 128, HX_SCHED_WOKEN) >= 0);
    running = (hx_handle_t)op->pick(task(1), HX_SCHED_PREEMPT, 1000, host_now_ns += 1000);
    host_expect_sound(&sched_fair1);
    run(1000 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    cr_expect(ran(1) - before <= 500 * MS + SLICE + TICK_NS, "%lld us", (long long)(ran(1) - before) / 1000);
}

Test(sched_fair, who_changes_cpu_takes_along_how_far_it_was_from_the_clock)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    static const uint8_t three[] = { 128, 128, 128 };
    begin(three, 3);
    run(5000ull * MS, UINT64_MAX, HX_SCHED_PREEMPT); /* CPU 0's clock is at a third of that, CPU 1's at nothing */
    cr_assert(op->ready(task(7), 128, 1 << 8 | HX_SCHED_NEW) >= 0);
    uint32_t moves = running == task(1) ? 2 : 1;
    uint64_t ahead = host_field_get(&sched_fair1, "vruntime", moves) - host_field_get(&sched_fair1, "clock", 0);
    cr_assert(op->remove(task(moves)) == HX_OK);
    cr_assert(op->ready(task(moves), 128, 1 << 8 | HX_SCHED_WOKEN) >= 0);
    cr_expect(host_field_get(&sched_fair1, "clock", 8) == 0);
    cr_expect((int64_t)(host_field_get(&sched_fair1, "vruntime", moves) - ahead) <= SLICE &&
                  (int64_t)host_field_get(&sched_fair1, "vruntime", moves) >= -SLICE,
              "not 1,600 ms ahead");
    host_expect_sound(&sched_fair1);
}

Test(sched_fair, virtual_times_may_wrap)
{
    begin(mixed, HX_ARRAY_SIZE(mixed));
    uint64_t near_end = 0 - 40ull * MS;
    host_field_set(&sched_fair1, "clock", 0, near_end);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(mixed); i++)
        host_field_set(&sched_fair1, "vruntime", i, near_end);
    for (uint32_t i = 0; i < 100; i++) {
        run(20 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
        expect_fair(mixed, HX_ARRAY_SIZE(mixed), "round the end");
    }
    cr_expect(host_field_get(&sched_fair1, "clock", 0) < near_end, "it has wrapped");
}

Test(sched_fair, equals_run_in_the_order_in_which_they_were_queued)
{
    static const uint8_t same[100] = { 0 };
    const struct hx_sched_ops *op = sched_fair1.vtable;
    begin(same, 100);
    for (uint32_t i = 0; i < 250; i++) {
        running = (hx_handle_t)op->pick(running, HX_SCHED_YIELD, i < 1 ? 0 : 5000, host_now_ns += 5000);
        cr_assert(running == task(i % 100), "%u", i);
    }
}

Test(sched_fair, virtual_times_survive_a_conversion_and_distances_beyond_reason_are_refused)
{
    begin(mixed, HX_ARRAY_SIZE(mixed));
    run(700 * MS, 300000, HX_SCHED_YIELD);
    uint64_t ahead[HX_ARRAY_SIZE(mixed)], far = 1ull << 61;
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(mixed); i++)
        ahead[i] = host_field_get(&sched_fair1, "vruntime", i) - host_field_get(&sched_fair1, "clock", 0);
    cr_assert(host_convert(&sched_fair1, &sched_fair1) == HX_OK);
    host_expect_sound(&sched_fair1);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(mixed); i++)
        cr_expect(host_field_get(&sched_fair1, "vruntime", i) == ahead[i] && ahead[i] < SLICE * 4ull, "%u", i);
    running = HX_HANDLE_NONE;
    run(100 * MS, UINT64_MAX, HX_SCHED_PREEMPT);
    cr_assert(host_save(&sched_fair1) == HX_OK);
    host_blob_put("vruntime", &far, sizeof(far));
    cr_expect(host_load(&sched_fair1) == HX_E_SCHEMA);
}

/* ---- seeded corruptions ------------------------------------------------------------------------------------------------ */
#define HANDLE(type, index) (((uint64_t)(type) << 56) | (1ull << 32) | (index))

/* 0 runs and is 5 ms on; 1, 2, 3 are queued, 4 behind them; 5 waits. */
static void prepare(void)
{
    sched_model_init(&model, &sched_fair1);
    for (uint32_t i = 0; i < 5; i++)
        sched_model_ready(&model, task(i), 128, HX_SCHED_NEW);
    hx_handle_t first = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    sched_model_tick(&model, first, 5 * MS);
    sched_model_adjust(&model, task(5), 60);
}

Test(sched_fair, check_finds_seeded_corruptions)
{
    static const struct corruption list[] = {
        { "queued", 0, 3 },
        { "queued", 0, 5 },
        { "queued", 0, ~0u },
        { "queued", 8, 1 },
        { "limit", 0, 5 },
        { "limit", 0, 0 },
        { "limit", 0, HX_TASKS_MAX + 1 },
        { "running", 0, HANDLE(HX_HANDLE_TASK + 1, 0) },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 6) },
        { "running", 0, 1 },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 1) },
        { "running", 56, HANDLE(HX_HANDLE_TASK, 6) },
        { "ticket", 0, 1 },
        { "clock", 0, 1ull << 62 },
        { "clock", 0, 6000000000 },
        { "heap", 1, 2 },
        { "heap", 1, 0 },
        { "heap", 2, 5 },
        { "heap", 3, 0xffff },
        { "heap", 4, HX_TASKS_MAX },
        { "place", 1, 0 },
        { "place", 1, 2 },
        { "place", 5, 1 },
        { "place", 0, 5 },
        { "place", 4095, 1 },
        { "vruntime", 1, 5 },
        { "vruntime", 2, ~0ull },
        { "home", 1, 8 },
        { "home", 5, 3 },
        { "home", 6, 8 },
        { "vruntime", 6, 1 },
        { "order", 1, 5 },
        { "order", 4, 1000 },
        { "order", 7, 1 },
        { "handle", 1, 0 },
        { "handle", 2, HANDLE(HX_HANDLE_TASK, 3) },
        { "handle", 5, HANDLE(HX_HANDLE_TASK + 2, 5) },
        { "handle", 6, HANDLE(HX_HANDLE_TASK, 6) },
        { "priority", 6, 1 },
        { "runtime", 0, ~0ull },
        { "runtime", 6, 1 },
        { "picks", 4095, 1 },
    };
    prepare();
    host_expect_sound(&sched_fair1);
    host_expect_found(&sched_fair1, list, HX_ARRAY_SIZE(list));
}

Test(sched_fair, spoiled_tables_are_errors_not_wild_writes)
{
    const struct hx_sched_ops *op = sched_fair1.vtable;
    prepare();
    host_field_set(&sched_fair1, "queued", 0, 0x10000);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT);
    cr_expect(op->pick(task(0), HX_SCHED_YIELD, 1, 0) == HX_E_CORRUPT);
    cr_expect(op->ready(task(9), 50, HX_SCHED_NEW) == HX_E_CORRUPT);
    cr_expect(op->remove(task(1)) == HX_E_CORRUPT);
    cr_expect(host_save(&sched_fair1) == HX_E_CORRUPT);
    prepare();
    host_field_set(&sched_fair1, "heap", 1, 0xffff);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT, "task 4095 has no place");
    host_field_set(&sched_fair1, "place", 2, 0xfff0);
    cr_expect(op->remove(task(2)) == HX_E_CORRUPT);
    prepare();
    host_field_set(&sched_fair1, "limit", 0, 0x10000);
    cr_expect(host_save(&sched_fair1) == HX_E_CORRUPT);
}
