/* SPDX-License-Identifier: MIT */
/* test_sched_prio.c - strict priorities against a naive model. Conversions between policies are in test_sched_rr.c. */
#include "modules/sched_model.h"

#include <criterion/criterion.h>

static hx_handle_t task(uint32_t index)
{
    return hx_handle_make(HX_HANDLE_TASK, 1, index);
}

Test(sched_prio, random_events_give_the_models_answers)
{
    sched_test_random(&sched_prio1, 3, 20000);
    sched_test_random(&sched_prio1, 40, 60000);
}

Test(sched_prio, bad_arguments_are_refused)
{
    sched_test_bad_arguments(&sched_prio1);
}

Test(sched_prio, bad_blobs_are_refused)
{
    sched_test_bad_blobs(&sched_prio1);
}

Test(sched_prio, every_index_can_be_used_and_saved)
{
    sched_test_full(&sched_prio1);
}

Test(sched_prio, the_highest_level_runs_and_equals_take_turns)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_prio1);
    for (uint32_t level = 0; level < 256; level++)
        sched_model_ready(&model, task(level), (uint8_t)level, HX_SCHED_NEW);
    sched_model_ready(&model, task(300), 255, HX_SCHED_NEW);
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    cr_expect(running == task(255));
    running = sched_model_pick(&model, running, HX_SCHED_PREEMPT, 1);
    cr_expect(running == task(300));
    running = sched_model_pick(&model, running, HX_SCHED_YIELD, 1);
    cr_expect(running == task(255));
    running = sched_model_pick(&model, running, HX_SCHED_EXIT, 1);
    cr_expect(running == task(300));
    for (uint32_t level = 255; level-- > 0;) {
        running = sched_model_pick(&model, running, HX_SCHED_BLOCK, 1);
        cr_expect(running == task(level));
    }
}

Test(sched_prio, only_a_higher_one_interrupts)
{
    static struct sched_model model;
    const struct hx_sched_ops *op = sched_prio1.vtable;
    sched_model_init(&model, &sched_prio1);
    sched_model_ready(&model, task(1), 100, HX_SCHED_NEW);
    sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    cr_expect(op->ready(task(2), 100, HX_SCHED_NEW) == HX_SCHED_LATER);
    cr_expect(op->tick(task(1), 9999999) == 0);
    cr_expect(op->tick(task(1), 10000000) == 1);
    cr_expect(op->ready(task(3), 99, HX_SCHED_NEW) == HX_SCHED_LATER);
    cr_expect(op->ready(task(4), 101, HX_SCHED_NEW) == HX_SCHED_REPLACE);
    cr_expect(op->tick(task(1), 0) == 1);
}

#define HANDLE(type, index) (((uint64_t)(type) << 56) | (1ull << 32) | (index))

/* What a list is called; a task is called by its index plus 1. What is kept by CPU stands at row 8 times the CPU. */
#define LIST(cpu, level) (6144 + 256 * (cpu) + (level))

Test(sched_prio, check_finds_seeded_corruptions)
{
    static struct sched_model model;
    static const struct corruption list[] = {
        { "limit", 0, 5 },
        { "limit", 0, 0 },
        { "limit", 0, HX_TASKS_MAX + 1 },
        { "running", 0, HANDLE(HX_HANDLE_TASK + 1, 0) },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 6) },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 1) },
        { "running", 56, 1 },
        { "top", 0, LIST(0, 50) },
        { "top", 0, 0 },
        { "top", 8, LIST(1, 3) },
        { "occupied", 0, 0 },
        { "occupied", 0, ~0ull },
        { "occupied", 1, 0 },
        { "occupied", 3, 1 },
        { "occupied", 56, 1 },
        { "next", LIST(0, 50), 0 },
        { "next", LIST(0, 50), LIST(0, 50) },
        { "next", LIST(0, 50), 3 },
        { "next", LIST(0, 50), 5 },
        { "next", LIST(0, 51), 2 },
        { "next", LIST(1, 50), 2 },
        { "next", LIST(7, 255), 0xffff },
        { "back", LIST(0, 50), 0 },
        { "back", LIST(0, 50), 3 },
        { "back", LIST(0, 70), 0xffff },
        { "back", LIST(0, 0), 1 },
        { "next", 2, 2 },
        { "next", 2, LIST(0, 50) },
        { "next", 3, 2 },
        { "next", 4, 5 },
        { "next", 4, 0xffff },
        { "next", 5, 6 },
        { "back", 2, 0 },
        { "back", 2, 1 },
        { "back", 3, LIST(0, 50) },
        { "back", 1, 1 },
        { "back", 4096, LIST(0, 50) },
        { "home", 1, 8 },
        { "home", 0, 3 },
        { "home", 6, 8 },
        { "home", 5, 64 },
        { "handle", 1, 0 },
        { "handle", 2, HANDLE(HX_HANDLE_TASK, 3) },
        { "handle", 5, HANDLE(HX_HANDLE_TASK + 2, 5) },
        { "handle", 6, HANDLE(HX_HANDLE_TASK, 6) },
        { "priority", 1, 51 },
        { "priority", 4, 50 },
        { "priority", 6, 1 },
        { "runtime", 0, ~0ull },
        { "runtime", 6, 1 },
        { "picks", 4095, 1 },
    };
    sched_model_init(&model, &sched_prio1);
    for (uint32_t i = 0; i < 4; i++)
        sched_model_ready(&model, task(i), 50, HX_SCHED_NEW);
    sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    sched_model_ready(&model, task(4), 70, HX_SCHED_NEW);
    sched_model_adjust(&model, task(5), 60);
    host_expect_sound(&sched_prio1);
    host_expect_found(&sched_prio1, list, HX_ARRAY_SIZE(list));
}

Test(sched_prio, spoiled_links_are_errors_not_wild_writes)
{
    static struct sched_model model;
    const struct hx_sched_ops *op = sched_prio1.vtable;
    sched_model_init(&model, &sched_prio1);
    for (uint32_t i = 0; i < 3; i++)
        sched_model_ready(&model, task(i), 50, HX_SCHED_NEW);
    host_field_set(&sched_prio1, "next", LIST(0, 50), 0xfff0);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT);
    cr_expect(host_save(&sched_prio1) == HX_E_CORRUPT);
    host_field_set(&sched_prio1, "next", LIST(0, 50), 1);
    host_field_set(&sched_prio1, "next", 2, 0xfff0);
    cr_expect(op->remove(task(1)) == HX_E_CORRUPT);
    host_field_set(&sched_prio1, "back", 3, 0xfff0);
    cr_expect(op->remove(task(2)) == HX_E_CORRUPT);
    host_field_set(&sched_prio1, "top", 0, 0xfff0fff0);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT);
    sched_model_init(&model, &sched_prio1);
    host_field_set(&sched_prio1, "limit", 0, 0x10000);
    cr_expect(host_save(&sched_prio1) == HX_E_CORRUPT);
}
