/* SPDX-License-Identifier: MIT */
/* test_sched_rr.c - both versions of sched_rr against a naive model, and the conversions between all policies. */
#include "modules/sched_model.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct module_host *const versions[] = { &sched_rr1, &sched_rr2 };
static const struct module_host *const policies[] = { &sched_rr1, &sched_rr2, &sched_prio1, &sched_fair1, &sched_edf1 };
static const struct module_host *const accounting[] = { &sched_rr2, &sched_prio1, &sched_fair1, &sched_edf1 };

static hx_handle_t task(uint32_t index)
{
    return hx_handle_make(HX_HANDLE_TASK, 1, index);
}

Test(sched_rr, random_events_give_the_models_answers)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        sched_test_random(versions[v], 3, 20000);
        sched_test_random(versions[v], 40, 40000);
    }
}

Test(sched_rr, bad_arguments_are_refused)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++)
        sched_test_bad_arguments(versions[v]);
}

Test(sched_rr, bad_blobs_are_refused)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++)
        sched_test_bad_blobs(versions[v]);
}

Test(sched_rr, every_index_can_be_used_and_saved)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++)
        sched_test_full(versions[v]);
}

Test(sched_rr, turns_go_round)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_rr1);
    for (uint32_t i = 0; i < 3; i++)
        sched_model_ready(&model, task(i), (uint8_t)(100 + i), HX_SCHED_NEW);
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    for (uint32_t i = 0; i < 9; i++) {
        cr_expect(running == task(i % 3));
        running = sched_model_pick(&model, running, HX_SCHED_PREEMPT, 10);
    }
}

Test(sched_rr, a_slice_ends_only_when_somebody_waits)
{
    static struct sched_model model;
    const struct hx_sched_ops *op = sched_rr1.vtable;
    sched_model_init(&model, &sched_rr1);
    cr_expect(op->tick(task(1), 1000000000) == 0);
    sched_model_ready(&model, task(2), 1, HX_SCHED_NEW);
    cr_expect(op->tick(task(1), 9999999) == 0);
    cr_expect(op->tick(task(1), 10000000) == 1);
}

/* A wake and a stop told at once, and in two calls from the same state: @woken waits, @prev runs. */
static hx_handle_t turn_as_two_calls(const struct module_host *module, hx_handle_t prev, uint64_t reason,
                                     hx_handle_t woken)
{
    static uint8_t before[1 << 20];
    const struct hx_sched_ops *op = module->vtable;
    uint64_t priority = host_random(256);
    cr_assert(module->state_bytes <= sizeof(before));
    memcpy(before, module->state, module->state_bytes);
    cr_assert(op->ready(woken, priority, HX_SCHED_WOKEN) >= 0);
    hx_ret_t expected = op->pick(prev, reason, 10, 20);
    memcpy(module->state, before, module->state_bytes);
    cr_assert(op->turn(prev, reason, 10, 20, woken, priority) == expected, "%s", module->label);
    host_expect_sound(module);
    return (hx_handle_t)expected;
}

Test(sched_rr, a_turn_is_ready_and_pick)
{
    static const struct module_host *const providers[] = { &sched_rr1, &sched_rr2, &sched_prio1, &sched_fair1,
                                                           &sched_edf1 };
    for (size_t v = 0; v < HX_ARRAY_SIZE(providers); v++) {
        enum { TASKS = 4 };
        static struct sched_model model;
        bool waits[TASKS] = { false, true, true, true };
        sched_model_init(&model, providers[v]);
        sched_model_ready(&model, task(0), 9, HX_SCHED_NEW);
        hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
        for (int i = 0; i < 2000; i++) {
            uint32_t woken = (uint32_t)host_random(TASKS);
            uint64_t reason = host_random(3) ? HX_SCHED_BLOCK : HX_SCHED_YIELD;
            if (!waits[woken])
                continue;
            waits[woken] = false;
            waits[hx_handle_index(running)] = reason == HX_SCHED_BLOCK;
            running = turn_as_two_calls(providers[v], running, reason, task(woken));
            cr_assert(running != HX_HANDLE_NONE);
        }
        const struct hx_sched_ops *op = providers[v]->vtable;
        cr_expect(op->turn(running, HX_SCHED_BLOCK, 0, 0, task(HX_TASKS_MAX), 1) == HX_E_INVAL);
        cr_expect(op->turn(running, HX_SCHED_BLOCK, 0, 0, task(1), 256) == HX_E_INVAL);
    }
}

/* Even if nobody says that the old task is gone, or that the new one is new. */
Test(sched_rr, an_index_that_is_used_again_starts_from_nothing)
{
    static const enum hx_sched_reason reasons[] = { HX_SCHED_NEW, HX_SCHED_WOKEN };
    static struct sched_model model;
    hx_handle_t again = hx_handle_make(HX_HANDLE_TASK, 2, 7);
    for (size_t v = 0; v < HX_ARRAY_SIZE(accounting); v++)
        for (size_t r = 0; r < HX_ARRAY_SIZE(reasons); r++) {
            sched_model_init(&model, accounting[v]);
            sched_model_ready(&model, task(7), 9, HX_SCHED_NEW);
            sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
            sched_model_pick(&model, task(7), HX_SCHED_BLOCK, 5000000);
            cr_expect(host_field_get(accounting[v], "runtime", 7) == 5000000);
            sched_model_ready(&model, again, 3, reasons[r]);
            sched_model_info(&model, task(7));
            sched_model_info(&model, again);
            cr_expect(host_field_get(accounting[v], "runtime", 7) == 0);
            cr_expect(host_field_get(accounting[v], "picks", 7) == 0);
        }
}

/* As after a revert: nobody has said that the one is gone and the other new. */
Test(sched_rr, who_comes_where_another_was_forgotten_starts_from_nothing)
{
    hx_handle_t again = hx_handle_make(HX_HANDLE_TASK, 2, 7);
    for (size_t v = 0; v < HX_ARRAY_SIZE(accounting); v++) {
        static struct sched_model model;
        const struct hx_sched_ops *ops = accounting[v]->vtable;
        sched_model_init(&model, accounting[v]);
        cr_expect(ops->ready(task(7), 9, HX_SCHED_NEW) >= 0);
        cr_expect(ops->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == (hx_ret_t)task(7));
        cr_expect(ops->pick(task(7), HX_SCHED_BLOCK, 5000000, 0) == HX_HANDLE_NONE);
        cr_expect(ops->remove(task(7)) == HX_OK);
        cr_expect(ops->remove(task(7)) == HX_E_NOENT);
        cr_expect(ops->ready(task(7), 9, HX_SCHED_WOKEN) >= 0);
        cr_expect(host_field_get(accounting[v], "runtime", 7) == 5000000, "%s: it came back", accounting[v]->label);
        cr_expect(ops->remove(task(7)) == HX_OK);
        cr_expect(ops->ready(again, 3, HX_SCHED_WOKEN) >= 0);
        cr_expect(host_field_get(accounting[v], "runtime", 7) == 0, "%s: another came", accounting[v]->label);
        cr_expect(host_field_get(accounting[v], "picks", 7) == 0, "%s: another came", accounting[v]->label);
        cr_expect(accounting[v]->record->hooks.check() == HX_OK);
    }
}

Test(sched_rr, accounting_ends_with_the_task)
{
    static struct sched_model model;
    for (size_t v = 0; v < HX_ARRAY_SIZE(accounting); v++) {
        sched_model_init(&model, accounting[v]);
        sched_model_ready(&model, task(7), 9, HX_SCHED_NEW);
        sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
        sched_model_pick(&model, task(7), HX_SCHED_EXIT, 5000000);
        cr_expect(host_field_get(accounting[v], "runtime", 7) == 0);
        cr_expect(host_field_get(accounting[v], "picks", 7) == 0);
        host_expect_sound(accounting[v]);
    }
}

Test(sched_rr, all_pairs_of_policies_convert_in_the_midst_of_events)
{
    static struct sched_machine machine;
    sched_machine_init(&machine, &sched_rr1, 60);
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t step = 0; step < 200; step++)
            sched_machine_step(&machine);
        sched_model_convert(&machine.model, policies[round % HX_ARRAY_SIZE(policies)]);
        for (uint32_t i = 0; i < 60; i++)
            if (machine.handle[i])
                sched_model_info(&machine.model, machine.handle[i]);
        sched_model_convert(&machine.model, policies[host_random(HX_ARRAY_SIZE(policies))]);
    }
    sched_model_drain(&machine.model);
}

Test(sched_rr, accounting_survives_a_policy_that_orders_differently)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_rr2);
    for (uint32_t i = 0; i < 5; i++)
        sched_model_ready(&model, task(i), (uint8_t)i, HX_SCHED_NEW);
    hx_handle_t running = HX_HANDLE_NONE;
    for (uint32_t i = 0; i < 23; i++)
        running = sched_model_pick(&model, running, HX_SCHED_YIELD, 1000000 * (i + 1));
    uint64_t ran = host_field_get(&sched_rr2, "runtime", 2), picks = host_field_get(&sched_rr2, "picks", 2);
    cr_assert(ran > 0 && picks > 0);
    for (size_t v = 0; v < HX_ARRAY_SIZE(accounting); v++) {
        sched_model_convert(&model, accounting[v]);
        cr_expect(host_field_get(accounting[v], "runtime", 2) == ran);
        cr_expect(host_field_get(accounting[v], "picks", 2) == picks);
    }
    sched_model_convert(&model, &sched_rr2);
    cr_expect(host_field_get(&sched_rr2, "runtime", 2) == ran);
    cr_expect(host_field_get(&sched_rr2, "picks", 2) == picks);
    for (uint32_t i = 0; i < 5; i++) /* the one that runs included */
        sched_model_info(&model, task(i));
}

Test(sched_rr, version_1_drops_what_it_cannot_keep)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_rr2);
    sched_model_ready(&model, task(1), 9, HX_SCHED_NEW);
    sched_model_pick(&model, sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0), HX_SCHED_YIELD, 77000);
    sched_model_convert(&model, &sched_rr1);
    cr_expect(host_blob_bytes(HX_SCHED_STATE_RUNTIME) == 16);
    sched_model_convert(&model, &sched_rr2);
    cr_expect(host_blob_bytes(HX_SCHED_STATE_RUNTIME) == SIZE_MAX);
    cr_expect(host_field_get(&sched_rr2, "runtime", 1) == 0);
}

Test(sched_rr, a_quantum_out_of_range_is_refused)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(policies); v++) {
        uint32_t *quantum_ms = host_param(policies[v], "quantum_ms");
        static const struct {
            uint32_t value;
            hx_ret_t result;
        } cases[] = { { 0, HX_E_INVAL }, { 1, HX_OK }, { 10000, HX_OK }, { 10001, HX_E_INVAL }, { ~0u, HX_E_INVAL } };
        for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
            *quantum_ms = cases[i].value;
            cr_expect(policies[v]->record->hooks.init() == cases[i].result);
        }
    }
}

/* Tasks 0 to 5 known, 1 to 4 queued in order, 0 running, 5 waiting; and links that are spoiled do not lead anywhere. */
static void prepare(struct sched_model *model, const struct module_host *module)
{
    sched_model_init(model, module);
    for (uint32_t i = 0; i < 5; i++)
        sched_model_ready(model, task(i), 50, HX_SCHED_NEW);
    sched_model_pick(model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    sched_model_adjust(model, task(5), 60);
    host_expect_sound(module);
}

#define HANDLE(type, index) (((uint64_t)(type) << 56) | (1ull << 32) | (index))
/* What the queue of a CPU is called; a task is called by its index plus 1. */
#define QUEUE(cpu) (HX_TASKS_MAX | (cpu) << 8 | 7)
#define RR_CORRUPTIONS                                                                                                 \
    { "limit", 0, 5 }, { "limit", 0, 0 }, { "limit", 0, HX_TASKS_MAX + 1 }, { "back", QUEUE(0), 0 },                   \
        { "back", QUEUE(0), 4 }, { "back", QUEUE(0), 0xffff }, { "next", QUEUE(0), 0 }, { "next", QUEUE(0), 3 },       \
        { "next", QUEUE(0), QUEUE(0) }, { "next", QUEUE(0), 0xffff }, { "next", QUEUE(0), HX_TASKS_MAX + 1 },          \
        { "next", QUEUE(7), 2 }, { "next", 2, 2 }, { "next", 3, 2 }, { "next", 3, QUEUE(0) }, { "next", 5, 1 },        \
        { "next", 5, 2 }, { "next", 4, 6 }, { "next", 3, QUEUE(1) }, { "back", 2, 0 }, { "back", 2, 2 },               \
        { "back", 3, 1 }, { "back", 1, 1 }, { "back", 7, 1 }, { "back", HX_TASKS_MAX, 0xffff },                        \
        { "home", 1, QUEUE(1) }, { "home", 2, 0 }, { "home", 5, 9 }, { "home", 6, QUEUE(2) }, { "home", 4, QUEUE(8) }, \
        { "handle", 0, HANDLE(HX_HANDLE_TASK, 1) }, { "handle", 1, HANDLE(HX_HANDLE_TASK + 1, 1) },                    \
        { "handle", 2, 0 }, { "handle", 5, HANDLE(HX_HANDLE_TASK, 4096) }, { "handle", 6, HANDLE(HX_HANDLE_TASK, 6) }, \
        { "handle", 4095, ~0ull }, { "priority", 6, 1 },                                                               \
    {                                                                                                                  \
        "priority", 4095, 255                                                                                          \
    }

Test(sched_rr, check_finds_seeded_corruptions)
{
    static struct sched_model model;
    static const struct corruption both[] = { RR_CORRUPTIONS };
    static const struct corruption accounts[] = {
        { "runtime", 0, ~0ull }, { "runtime", 5, 1ull << 62 }, { "runtime", 6, 1 },
        { "picks", 6, 1 },       { "picks", 4095, 9 },
    };
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        prepare(&model, versions[v]);
        host_expect_found(versions[v], both, HX_ARRAY_SIZE(both));
    }
    host_expect_found(&sched_rr2, accounts, HX_ARRAY_SIZE(accounts));
}

Test(sched_rr, spoiled_links_are_errors_not_wild_writes)
{
    static struct sched_model model;
    const struct hx_sched_ops *op = sched_rr1.vtable;
    prepare(&model, &sched_rr1);
    host_field_set(&sched_rr1, "next", QUEUE(0), 0xfff0);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT);
    cr_expect(op->pick(task(0), HX_SCHED_YIELD, 0, 0) == HX_E_CORRUPT);
    cr_expect(host_save(&sched_rr1) == HX_E_CORRUPT);
    prepare(&model, &sched_rr1);
    host_field_set(&sched_rr1, "next", 2, 0xfff0);
    cr_expect(op->remove(task(1)) == HX_E_CORRUPT);
    host_field_set(&sched_rr1, "back", 3, 0xfff0);
    cr_expect(op->remove(task(2)) == HX_E_CORRUPT);
    sched_model_init(&model, &sched_rr1);
    host_field_set(&sched_rr1, "limit", 0, 0x10000);
    cr_expect(host_save(&sched_rr1) == HX_E_CORRUPT);
}
