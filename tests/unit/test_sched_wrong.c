/* SPDX-License-Identifier: MIT */
/* test_sched_wrong.c - what the core makes of a policy that answers wrongly, faults, or never chooses somebody. */
#include "policy_fixture.h"

static hx_handle_t victim;

/* ---- wrong answers ----------------------------------------------------------------------------------------------------- */
static void expect_one_bad_answer(hx_ret_t answer, const char *text)
{
    struct hx_sched_stats before = stats();
    policy.wrong_answer = answer;
    policy.answers = 2; /* the second question: a has yielded */
    spawn_letters("ab", turns, (void *)1);
    expect_trace(text);
    cr_assert_eq(stats().bad_answers - before.bad_answers, 1);
    cr_assert_eq(stats().fallbacks - before.fallbacks, 1);
    stop_checked();
}

Test(sched_wrong, a_stale_handle_is_a_wrong_answer)
{
    start_with_policy();
    hx_handle_t gone = spawn("g", turns, (void *)0);
    (void)noted();
    spawn("h", wait_at_gate, NULL); /* takes the entry */
    gate_open = true;
    hx_waitq_wake_all(&gate);
    (void)noted();
    expect_one_bad_answer((hx_ret_t)gone, "+a/new +b/new -/block/0>a a a/yield/0>g remove:g remove:a adjust:a/100 a. "
                                          "a/exit/0>b b b/yield/0>b b. b/exit/0>-");
}

Test(sched_wrong, a_waiting_task_is_a_wrong_answer)
{
    start_with_policy();
    victim = spawn("w", wait_at_gate, NULL);
    (void)noted();
    policy.wrong_answer = (hx_ret_t)victim;
    policy.answers = 2;
    spawn_letters("ab", turns, (void *)1);
    expect_trace(
        "+a/new +b/new -/block/0>a a a/yield/0>w remove:w remove:a adjust:a/100 a. a/exit/0>b b b/yield/0>b b. "
        "b/exit/0>-");
    cr_assert_eq(stats().bad_answers, 1);
    expect_ok(hx_task_kill(victim));
    stop_checked();
}

Test(sched_wrong, a_core_task_is_a_wrong_answer)
{
    start_with_policy();
    victim = spawn_core("c", 1, wait_at_gate, NULL);
    expect_trace("");
    policy.wrong_answer = (hx_ret_t)victim;
    policy.answers = 2;
    spawn_letters("ab", turns, (void *)1);
    cr_assert_eq(stats().bad_answers, 1);
    (void)noted();
    gate_open = true;
    hx_waitq_wake_all(&gate);
    stop_checked();
}

Test(sched_wrong, the_task_that_just_stopped_to_wait_is_a_wrong_answer)
{
    start_with_policy();
    hx_preempt_disable();
    victim = spawn("w", wait_at_gate, NULL);
    spawn("a", turns, (void *)1);
    policy.wrong_answer = (hx_ret_t)victim;
    policy.answers = 2;
    hx_preempt_enable();
    expect_trace("+w/new +a/new -/block/0>w w/block/0>w remove:w remove:a adjust:a/100 a a/yield/0>a a. a/exit/0>-");
    cr_assert_eq(stats().bad_answers, 1);
    expect_ok(hx_task_kill(victim));
    stop_checked();
}

Test(sched_wrong, none_while_one_is_ready_is_a_wrong_answer)
{
    start_with_policy();
    expect_one_bad_answer((hx_ret_t)HX_HANDLE_NONE, "+a/new +b/new -/block/0>a a a/yield/0>- remove:a adjust:a/100 a. "
                                                    "a/exit/0>b b b/yield/0>b b. b/exit/0>-");
}

Test(sched_wrong, an_error_is_a_wrong_answer)
{
    start_with_policy();
    expect_one_bad_answer(HX_E_CORRUPT, "+a/new +b/new -/block/0>a a a/yield/0>! remove:a adjust:a/100 a. "
                                        "a/exit/0>b b b/yield/0>b b. b/exit/0>-");
}

Test(sched_wrong, after_an_error_the_policy_is_told_again_of_the_task_that_yielded)
{
    start_with_policy();
    policy.wrong_answer = HX_E_CORRUPT;
    policy.answers = 4; /* the question of b's yield */
    spawn_letters("ab", turns, (void *)1);
    expect_trace(
        "+a/new +b/new -/block/0>a a a/yield/0>b b b/yield/0>! remove:a adjust:a/100 +b/woken a. a/exit/0>b b. "
        "b/exit/0>-");
    stop_checked();
}

Test(sched_wrong, numbers_that_are_no_handles_are_wrong_answers)
{
    static const hx_ret_t answers[] = { 1, HX_TASKS_MAX, INT64_MAX, INT64_MIN, HX_E_INVAL, 4095, 1ll << 56 };
    start_with_policy();
    policy.quiet = true;
    for (size_t i = 0; i < HX_ARRAY_SIZE(answers); i++) {
        uint64_t before = stats().bad_answers;
        policy.wrong_answer = answers[i];
        policy.answers = 2;
        spawn_letters("ab", turns, (void *)2);
        cr_assert_eq(stats().bad_answers, before + 1, "answer %zu", i);
        cr_assert_eq(hx_task_count(), 1);
        cr_assert_eq(policy.queued, 0);
    }
    stop_checked();
}

Test(sched_wrong, only_wrong_answers_are_only_fallbacks)
{
    start_with_policy();
    policy.quiet = true;
    policy.wrong_answer = HX_E_INTERNAL;
    policy.answers = UINT64_MAX;
    spawn_letters("abc", turns, (void *)2);
    expect_trace("a b c a b c a. b. c.");
    stop_checked();
}

static uint32_t unfit_told;

static void count_unfit(void)
{
    check_context();
    unfit_told++;
}

/* So many times, and then no more. */
static void answer_wrongly(uint32_t times)
{
    uint64_t before = stats().bad_answers;
    policy.answers = (UINT64_C(1) << times) - 1;
    spawn_letters("ab", turns, (void *)10);
    cr_assert_eq(stats().bad_answers - before, times);
}

static void start_with_judge(void)
{
    start_with_policy();
    policy.quiet = true;
    policy.wrong_answer = HX_E_INTERNAL;
    hx_task_bind_unfit(count_unfit);
}

Test(sched_wrong, a_policy_that_goes_on_answering_wrongly_is_told_of_once)
{
    start_with_judge();
    answer_wrongly(HX_SCHED_WRONG_MAX - 1);
    cr_assert_eq(unfit_told, 0);
    answer_wrongly(1);
    cr_assert_eq(unfit_told, 1);
    answer_wrongly(HX_SCHED_WRONG_MAX - 1);
    cr_assert_eq(unfit_told, 1);
    stop_checked();
}

Test(sched_wrong, wrong_answers_that_come_now_and_then_are_put_right_and_no_more)
{
    start_with_judge();
    for (uint32_t i = 0; i < 4; i++) {
        answer_wrongly(HX_SCHED_WRONG_MAX - 1);
        hal_host_advance(HX_SCHED_WRONG_NS);
    }
    cr_assert_eq(unfit_told, 0);
    stop_checked();
}

Test(sched_wrong, a_ready_that_fails_is_repeated_and_the_core_decides_meanwhile)
{
    start_with_policy();
    policy.ready_answer = HX_E_FULL;
    spawn_letters("ab", turns, (void *)1);
    cr_assert_eq(hx_task_count(), 1, "both ran to their end");
    cr_assert_gt(stats().bad_answers, 0);
    policy.ready_answer = 0;
    (void)noted();
    spawn_letters("a", turns, (void *)0);
    expect_trace("+a/new -/block/0>a a. a/exit/0>-");
    stop_checked();
}

/* ---- faults ------------------------------------------------------------------------------------------------------------ */
Test(sched_wrong, a_fault_in_pick_is_a_wrong_answer)
{
    start_with_policy();
    spawn_letters("w", sleep_then_end, (void *)10);
    (void)noted();
    policy.quiet = true;
    policy.fault_in_pick = true;
    spawn_letters("ab", turns, (void *)1);
    expect_trace("a b a. b.");
    cr_assert_eq(stats().bad_answers, 1);
    cr_assert_eq(stats().fallbacks, 1);
    stop_checked();
}

Test(sched_wrong, a_fault_in_the_question_of_a_yield_loses_no_task)
{
    start_with_policy();
    policy.quiet = true;
    hx_preempt_disable();
    spawn("a", turns, (void *)3);
    spawn("b", turns, (void *)3);
    hx_preempt_enable();
    cr_assert_str_eq(noted(), "a b a b a b a. b.");
    spawn_letters("cd", turns, (void *)1);
    (void)noted();
    policy.fault_in_pick = false;
    hx_preempt_disable();
    spawn("a", turns, (void *)1);
    policy.fault_in_pick = true;
    hx_preempt_enable();
    expect_trace("a a.");
    stop_checked();
}

Test(sched_wrong, a_fault_in_ready_or_tick_is_survived)
{
    start_with_policy();
    policy.quiet = true;
    policy.fault_in_ready = true;
    spawn_letters("ab", turns, (void *)1);
    policy.fault_in_tick = true;
    spawn_letters("cd", burn, (void *)3000000);
    cr_assert_eq(hx_task_count(), 1);
    cr_assert_eq(stats().bad_answers, 2);
    stop_checked();
}

Test(sched_wrong, a_fault_in_remove_or_adjust_is_survived)
{
    start_with_policy();
    hx_preempt_disable();
    victim = spawn("a", turns, (void *)1);
    spawn("b", turns, (void *)1);
    hx_sched_announce_all();
    policy.fault_in_adjust = true;
    expect_ok(hx_task_set_priority(victim, 42));
    policy.fault_in_remove = true;
    expect_ok(hx_task_kill(victim));
    policy.fault_in_remove = policy.fault_in_adjust = true; /* again, when the core says what it chose */
    hx_preempt_enable();
    expect_trace("+a/new +b/new adjust:a/42 remove:a -/block/0>a remove:a remove:b adjust:b/100 b b/yield/0>b b. "
                 "b/exit/0>-");
    stop_checked();
}

/* ---- nobody waits for ever ---------------------------------------------------------------------------------------------- */
static hx_status_t burn_till_victim_ran(void *argument)
{
    (void)argument;
    while (!gate_open && hx_hal_clock_ns() < 5000000000)
        hal_host_advance(1000000);
    return HX_OK;
}

static hx_status_t victim_body(void *argument)
{
    (void)argument;
    gate_open = true;
    note("%llums", (unsigned long long)hx_hal_clock_ns() / 1000000);
    return HX_OK;
}

Test(sched_wrong, a_task_that_the_policy_never_chooses_gets_a_turn_after_a_second)
{
    start_with_policy();
    policy.quiet = true;
    policy.tick_answer = 1;
    hx_preempt_disable();
    policy.favourite = spawn("f", burn_till_victim_ran, NULL);
    spawn("v", victim_body, NULL);
    hx_preempt_enable();
    expect_trace("1004ms");
    cr_assert_eq(stats().starved, 1);
    stop_checked();
}
