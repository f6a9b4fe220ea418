/* SPDX-License-Identifier: MIT */
/* test_sched_turn.c - wakes of which a policy is told later, with the question that follows. */
#include "policy_fixture.h"

static hx_handle_t victim;

static void start_with_patient_policy(void)
{
    policy.patient = true;
    start_with_policy();
}

/* Wakes all at the gate, then waits until @argument says. */
static hx_status_t wake_gate_and_sleep(void *argument)
{
    (void)wake_gate(NULL);
    expect_ok(sleep_ns((uint64_t)(uintptr_t)argument));
    note("%s.", me());
    return HX_OK;
}

Test(sched_turn, a_wake_is_told_with_the_question_of_the_stop_that_follows)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_sleep, (void *)10);
    hal_host_run();
    expect_trace("+a/new -/block/0>a wake woke ++w a/block/0>w w. w/exit/0>- +a/woken -/block/0>a a. a/exit/0>-");
    cr_assert_eq(stats().fallbacks, 0);
    cr_assert_eq(stats().decisions, 2 + 5);
    stop_checked();
}

static hx_status_t wake_gate_and_yield(void *argument)
{
    (void)wake_gate(argument);
    hx_task_yield();
    note("%s.", me());
    return HX_OK;
}

Test(sched_turn, a_wake_is_told_with_the_question_of_a_yield)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_yield, NULL);
    expect_trace("+a/new -/block/0>a wake woke ++w a/yield/0>w w. w/exit/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched_turn, a_policy_may_choose_another_than_the_one_told_with_the_question)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("ab", wake_gate_and_yield, NULL);
    expect_trace(
        "+a/new +b/new -/block/0>a wake woke ++w a/yield/0>b wake woke b/yield/0>w w. w/exit/0>a a. a/exit/0>b "
        "b. b/exit/0>-");
    cr_assert_eq(stats().fallbacks, 0);
    stop_checked();
}

Test(sched_turn, a_second_wake_has_both_told_at_once_in_order)
{
    start_with_patient_policy();
    spawn_letters("vw", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_sleep, (void *)10);
    hal_host_run();
    expect_trace("+a/new -/block/0>a wake +v/woken +w/woken woke a/block/0>v v. v/exit/0>w w. w/exit/0>- +a/woken "
                 "-/block/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched_turn, a_wake_of_higher_priority_is_told_at_once)
{
    start_with_patient_policy();
    spawn_class(HX_TASK_POLICY, "w", 101, wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_sleep, (void *)10);
    hal_host_run();
    expect_trace("+a/new -/block/0>a wake +w/woken woke a/block/0>w w. w/exit/0>- +a/woken -/block/0>a a. a/exit/0>-");
    stop_checked();
}

static hx_status_t wake_gate_and_burn(void *argument)
{
    (void)wake_gate(NULL);
    return burn(argument);
}

Test(sched_turn, a_wake_is_told_before_the_tick_at_the_latest)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_burn, (void *)3000000);
    expect_trace("+a/new -/block/0>a wake woke +w/woken tick:a/2000000 a. a/exit/3000000>w w. w/exit/0>-");
    stop_checked();
}

Test(sched_turn, a_wake_is_told_when_a_core_task_has_interrupted)
{
    start_with_patient_policy();
    spawn_core("c", 1, sleep_then_end, (void *)500);
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_burn, (void *)1000);
    expect_trace("+a/new -/block/0>a wake woke c. +w/woken a. a/exit/1000>w w. w/exit/0>-");
    stop_checked();
}

static hx_status_t wake_gate_and_kill_victim(void *argument)
{
    (void)wake_gate(argument);
    expect_ok(hx_task_kill(victim));
    note("killed");
    return HX_OK;
}

Test(sched_turn, who_is_killed_before_his_wake_is_told_is_removed_as_one_who_waits)
{
    start_with_patient_policy();
    hx_preempt_disable();
    victim = spawn("w", wait_at_gate, NULL);
    hx_preempt_enable();
    (void)noted();
    spawn_letters("a", wake_gate_and_kill_victim, NULL);
    expect_trace("+a/new -/block/0>a wake woke remove:w killed a/exit/0>-");
    cr_assert_eq(stats().bad_answers, 0);
    stop_checked();
}

static hx_status_t sleep_for_good(void *argument)
{
    (void)argument;
    return hx_task_sleep_until(UINT64_MAX - 1);
}

Test(sched_turn, who_is_killed_while_he_waits_or_sleeps_is_removed)
{
    start_with_policy();
    victim = spawn("w", wait_at_gate, NULL);
    hx_handle_t sleeper = spawn("s", sleep_for_good, NULL);
    (void)noted();
    expect_ok(hx_task_kill(victim));
    expect_ok(hx_task_kill(sleeper));
    expect_trace("remove:w remove:s");
    stop_checked();
}

Test(sched_turn, a_policy_without_turn_gets_two_calls)
{
    policy.old = true;
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("ab", wake_gate_and_yield, NULL);
    expect_trace("+a/new +b/new -/block/0>a wake woke +w/woken a/yield/0>b wake woke b/yield/0>w w. w/exit/0>a a. "
                 "a/exit/0>b b. b/exit/0>-");
    cr_assert_eq(stats().bad_answers + stats().fallbacks, 0);
    stop_checked();
}

static hx_status_t wake_gate_close_and_sleep(void *argument)
{
    (void)wake_gate(NULL);
    hx_slot_close(SCHED_SLOT);
    expect_ok(sleep_ns((uint64_t)(uintptr_t)argument));
    note("%s.", me());
    return HX_OK;
}

static hx_status_t reopen_at_5(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(5));
    hx_slot_reopen(SCHED_SLOT);
    return HX_OK;
}

Test(sched_turn, a_closed_slot_has_not_heard_of_the_wake)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    spawn_core("c", 1, reopen_at_5, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_close_and_sleep, (void *)10);
    hal_host_run();
    expect_trace("+a/new -/block/0>a wake woke w. +a/woken -/block/0>a a. a/exit/0>-");
    cr_assert_eq(stats().bad_answers, 0);
    cr_assert_eq(stats().fallbacks, 1);
    stop_checked();
}

static hx_status_t wake_gate_and_fault(void *argument)
{
    (void)wake_gate(NULL);
    policy.fault_in_pick = true;
    hx_task_yield();
    note("%s.", me());
    return (hx_status_t)(intptr_t)argument;
}

Test(sched_turn, a_fault_in_the_question_that_tells_of_a_wake_loses_nobody)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("b", sleep_then_end, (void *)20);
    (void)noted();
    policy.quiet = true;
    hx_preempt_disable();
    spawn("a", wake_gate_and_yield, NULL);
    hx_preempt_enable();
    expect_trace("wake woke w. a.");
    gate_open = false;
    spawn_letters("w", wait_at_gate, NULL);
    spawn("f", wake_gate_and_fault, NULL);
    hal_host_run();
    expect_trace("wake woke f. w. b.");
    cr_assert_eq(stats().bad_answers, 1);
    stop_checked();
}

static void announce(void)
{
    hx_preempt_disable();
    hx_sched_announce_all();
    hx_preempt_enable();
}

static hx_status_t wake_gate_and_announce(void *argument)
{
    (void)wake_gate(argument);
    announce();
    return HX_OK;
}

Test(sched_turn, an_announcement_tells_of_what_was_to_be_told_later)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_announce, NULL);
    expect_trace("+a/new -/block/0>a wake woke adjust:a/100 +w/woken a/exit/0>w w. w/exit/0>-");
    stop_checked();
}

Test(sched_turn, another_policy_is_told_at_once_until_it_says_otherwise)
{
    static struct hx_gate_vtable other;
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    hx_preempt_disable();
    other = policy_vtable;
    hx_slot_publish(SCHED_SLOT, &other, NULL);
    hx_preempt_enable();
    policy.patient = false;
    (void)noted();
    hx_preempt_disable();
    hx_preempt_enable();
    spawn_letters("a", wake_gate_and_burn, (void *)1);
    expect_trace("+a/new -/block/0>a wake +w/woken woke a. a/exit/1>w w. w/exit/0>-");
    stop_checked();
}
