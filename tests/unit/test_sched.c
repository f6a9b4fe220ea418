/* SPDX-License-Identifier: MIT */
/* test_sched.c - what the core asks a policy, and what it tells it. */
#include "policy_fixture.h"

/* ---- without a policy ------------------------------------------------------------------------------------------------- */
Test(sched, without_a_policy_tasks_run_first_in_first_out)
{
    machine_start();
    spawn_letters("abc", turns, (void *)2);
    expect_trace("a b c a b c a. b. c.");
    cr_assert_eq(stats().decisions, 0);
    cr_assert_eq(stats().bad_answers, 0);
    cr_assert_eq(stats().fallbacks, 9);
    stop_checked();
}

Test(sched, core_tasks_run_before_all_others_by_priority)
{
    machine_start();
    hx_preempt_disable();
    spawn("p", turns, (void *)1);
    spawn_core("x", 10, turns, (void *)1);
    spawn_core("y", 20, turns, (void *)1);
    spawn_core("z", 10, turns, (void *)1);
    hx_preempt_enable();
    expect_trace("y y. x z x. z. p p.");
    cr_assert_eq(stats().fallbacks, 2, "only where a policy task was chosen");
    stop_checked();
}

Test(sched, a_core_task_of_higher_priority_preempts_one_of_lower)
{
    machine_start();
    spawn_core("h", 20, wait_at_gate, NULL);
    spawn_core("l", 10, wake_gate, NULL);
    expect_trace("wake h. woke");
    stop_checked();
}

Test(sched, a_core_task_of_equal_priority_does_not_preempt)
{
    machine_start();
    spawn_core("h", 10, wait_at_gate, NULL);
    spawn_core("l", 10, wake_gate, NULL);
    expect_trace("wake woke h.");
    stop_checked();
}

static hx_status_t step_back(void *argument)
{
    note("10");
    expect_ok(hx_task_set_priority(hx_task_current()->handle, (uint8_t)(uintptr_t)argument));
    note("5");
    return HX_OK;
}

Test(sched, a_core_task_that_steps_back_behind_another_is_preempted)
{
    machine_start();
    hx_preempt_disable();
    spawn_core("a", 10, step_back, (void *)5);
    spawn_core("b", 7, burn, NULL);
    hx_preempt_enable();
    expect_trace("10 b. 5");
    stop_checked();
}

/* ---- with a policy ---------------------------------------------------------------------------------------------------- */
Test(sched, a_policy_is_told_of_ready_tasks_and_asked_for_the_next)
{
    start_with_policy();
    spawn_letters("ab", turns, (void *)1);
    expect_trace("+a/new +b/new -/block/0>a a a/yield/0>b b b/yield/0>a a. a/exit/0>b b. b/exit/0>-");
    cr_assert_eq(stats().decisions, 5);
    cr_assert_eq(stats().switches, 5);
    cr_assert_eq(stats().fallbacks, 0);
    stop_checked();
}

Test(sched, a_task_that_yields_alone_runs_on)
{
    start_with_policy();
    spawn_letters("a", turns, (void *)1);
    expect_trace("+a/new -/block/0>a a a/yield/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched, waiting_and_waking_are_told)
{
    start_with_policy();
    spawn_letters("ab", wait_at_gate, NULL);
    expect_trace("+a/new +b/new -/block/0>a a/block/0>b b/block/0>-");
    gate_open = true;
    hx_preempt_disable();
    hx_waitq_wake_all(&gate);
    hx_preempt_enable();
    expect_trace("+a/woken +b/woken -/block/0>a a. a/exit/0>b b. b/exit/0>-");
    stop_checked();
}

Test(sched, a_policy_may_let_what_woke_run_at_once)
{
    start_with_policy();
    spawn_letters("a", wait_at_gate, NULL);
    (void)noted();
    policy.eager = true;
    spawn("b", wake_gate, NULL);
    expect_trace("+b/new -/block/0>b wake +a/woken b/preempt/0>a a. a/exit/0>b woke b/exit/0>-");
    stop_checked();
}

Test(sched, a_policy_may_let_what_woke_wait)
{
    start_with_policy();
    spawn_letters("a", wait_at_gate, NULL);
    (void)noted();
    spawn("b", wake_gate, NULL);
    expect_trace("+b/new -/block/0>b wake +a/woken woke b/exit/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched, the_running_task_is_asked_about_every_tick_and_replaced_when_the_policy_says_so)
{
    start_with_policy();
    policy.tick_answer = 1;
    spawn_letters("ab", burn, (void *)3000000);
    expect_trace("+a/new +b/new -/block/0>a tick:a/2000000 a/preempt/2000000>b tick:b/2000000 b/preempt/2000000>a a. "
                 "a/exit/1000000>b tick:b/1000000 b/preempt/1000000>b b. b/exit/0>-");
    stop_checked();
}

Test(sched, time_adds_up_over_ticks_that_change_nothing)
{
    start_with_policy();
    spawn_letters("a", burn, (void *)5000000);
    expect_trace("+a/new -/block/0>a tick:a/2000000 tick:a/4000000 a. a/exit/5000000>-");
    stop_checked();
}

Test(sched, idle_is_tickless)
{
    start_with_policy();
    spawn_letters("a", burn, (void *)3000000);
    hal_host_run();
    cr_assert_eq(hal_host_timer_ns(), UINT64_MAX);
    cr_assert_eq(hx_hal_clock_ns(), 4000000, "one tick was under way, no other followed");
    stop_checked();
}

Test(sched, a_core_task_interrupts_a_policy_task_without_its_policy_noticing)
{
    start_with_policy();
    spawn_core("c", 1, sleep_then_end, (void *)500);
    spawn_letters("ab", burn, (void *)1000);
    expect_trace("+a/new +b/new -/block/0>a c. a. a/exit/1000>b b. b/exit/1000>-");
    stop_checked();
}

static hx_status_t sleep_500_wake_and_burn(void *argument)
{
    expect_ok(sleep_ns(500));
    note("c");
    gate_open = true;
    hx_waitq_wake_all(&gate);
    return burn(argument);
}

Test(sched, what_woke_while_a_core_task_ran_is_told_before_the_interrupted_task_goes_on)
{
    start_with_policy();
    spawn_letters("w", wait_at_gate, NULL);
    spawn_core("c", 1, sleep_500_wake_and_burn, (void *)100);
    (void)noted();
    spawn_letters("a", burn, (void *)1000);
    expect_trace("+a/new -/block/0>a c c. +w/woken a. a/exit/1000>w w. w/exit/0>-");
    stop_checked();
}

Test(sched, what_woke_while_a_core_task_ran_may_replace_the_interrupted_task)
{
    start_with_policy();
    spawn_letters("w", wait_at_gate, NULL);
    spawn_core("c", 1, sleep_500_wake_and_burn, (void *)100);
    (void)noted();
    policy.eager = true;
    spawn_letters("a", burn, (void *)1000);
    expect_trace("+a/new -/block/0>a c c. +w/woken a/preempt/500>w w. w/exit/0>a a. a/exit/500>-");
    stop_checked();
}

/* c becomes ready in the question about w's stop and wakes w before anybody is asked again. */
static hx_status_t wake_w_from_core(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(100));
    return wake_gate(NULL);
}

static hx_status_t burn_till_core_is_due_then_wait(void *argument)
{
    hx_irq_disable();
    hal_host_advance(100); /* c is due, and nobody sees it yet */
    (void)!hx_waitq_wait(&gate, is_open, NULL, UINT64_MAX);
    hx_irq_enable();
    note("%s.", me());
    return (hx_status_t)(intptr_t)argument;
}

Test(sched, a_wake_during_the_question_is_told_after_it)
{
    start_with_policy();
    spawn_core("c", 1, wake_w_from_core, NULL);
    spawn_letters("w", burn_till_core_is_due_then_wait, NULL);
    expect_trace("+w/new -/block/0>w w/block/100>- wake woke +w/woken -/block/0>w w. w/exit/0>-");
    stop_checked();
}

static hx_handle_t victim;

static void advance_100(void)
{
    hal_host_advance(100);
}

Test(sched, wakes_during_an_operation_are_told_in_order_before_the_next_question)
{
    start_with_policy();
    hx_preempt_disable();
    spawn("x", sleep_then_end, (void *)20);
    spawn("y", sleep_then_end, (void *)10);
    spawn("z", turns, (void *)1);
    hx_preempt_enable();
    (void)noted();
    policy.in_pick = advance_100; /* y, then x wake inside the question */
    spawn("a", turns, (void *)1);
    expect_trace("+a/new -/block/0>a +y/woken +x/woken a a/yield/100>y y. y/exit/0>x x. x/exit/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched, a_wake_in_the_question_of_a_tick_is_told_after_it)
{
    start_with_policy();
    spawn("w", sleep_then_end, (void *)2000050);
    (void)noted();
    policy.in_tick = advance_100;
    policy.eager = true;
    spawn("a", burn, (void *)3000000);
    expect_trace("+a/new -/block/0>a tick:a/2000000 +w/woken a/preempt/2000100>w w. w/exit/0>a a. a/exit/1000000>-");
    stop_checked();
}

static struct hx_waitq core_gate = HX_WAITQ_INIT(core_gate);
static bool core_gate_open;

static bool core_is_open(void *context)
{
    (void)context;
    return core_gate_open;
}

static hx_status_t wait_then_wake_gate(void *argument)
{
    expect_ok(hx_waitq_wait(&core_gate, core_is_open, NULL, UINT64_MAX));
    return wake_gate(argument);
}

static hx_status_t make_core_ready_and_wait(void *argument)
{
    (void)argument;
    hal_host_advance(2500000); /* a tick is in it, after which its stop is not told at once */
    hx_irq_disable();
    core_gate_open = true;
    hx_waitq_wake_all(&core_gate);
    (void)!hx_waitq_wait(&gate, is_open, NULL, UINT64_MAX);
    hx_irq_enable();
    note("%s.", me());
    return HX_OK;
}

Test(sched, a_task_that_waits_and_wakes_before_its_policy_was_told_has_yielded)
{
    start_with_policy();
    spawn_core("c", 1, wait_then_wake_gate, NULL);
    spawn_letters("w", make_core_ready_and_wait, NULL);
    expect_trace("+w/new -/block/0>w tick:w/2000000 wake woke w/yield/2500000>w w. w/exit/0>-");
    stop_checked();
}

static hx_status_t burn_then_yield(void *argument)
{
    hal_host_advance((uint64_t)(uintptr_t)argument);
    hx_task_yield();
    note("%s.", me());
    return HX_OK;
}

Test(sched, an_interrupted_task_that_yields_has_run_before_and_after)
{
    start_with_policy();
    spawn_core("c", 1, sleep_then_end, (void *)500);
    spawn_letters("a", burn_then_yield, (void *)1000);
    expect_trace("+a/new -/block/0>a c. a/yield/1000>a a. a/exit/0>-");
    stop_checked();
}

static void in_next_pick_100_pass(void)
{
    policy.in_pick = advance_100;
}

static hx_status_t yield_into_100(void *argument)
{
    (void)argument;
    in_next_pick_100_pass();
    hx_task_yield();
    note("%s.", me());
    return HX_OK;
}

Test(sched, a_core_task_that_wakes_in_the_question_of_a_yield_runs_before_the_answer)
{
    start_with_policy();
    spawn_core("c", 1, sleep_then_end, (void *)100);
    hx_preempt_disable();
    spawn("a", yield_into_100, NULL);
    spawn("b", turns, (void *)0);
    hx_preempt_enable();
    expect_trace("+a/new +b/new -/block/0>a a/yield/0>b c. b. b/exit/0>a a. a/exit/0>-");
    stop_checked();
}

static hx_status_t make_core_ready_and_exit(void *argument)
{
    (void)argument;
    hx_irq_disable();
    core_gate_open = true;
    hx_waitq_wake_all(&core_gate);
    hx_task_exit(HX_OK);
}

static hx_status_t wait_then_spawn(void *argument)
{
    (void)argument;
    expect_ok(hx_waitq_wait(&core_gate, core_is_open, NULL, UINT64_MAX));
    note("c");
    spawn("b", turns, (void *)0);
    return HX_OK;
}

Test(sched, an_exit_that_a_core_task_delays_is_told_when_the_memory_is_gone)
{
    start_with_policy();
    spawn_core("c", 1, wait_then_wake_gate, NULL);
    spawn("w", wait_at_gate, NULL);
    (void)noted();
    spawn("a", make_core_ready_and_exit, NULL);
    expect_trace("+a/new -/block/0>a remove:a wake woke +w/woken -/block/0>w w. w/exit/0>-");
    stop_checked();
}

Test(sched, an_end_is_told_before_another_task_has_its_index)
{
    start_with_policy();
    spawn_core("c", 1, wait_then_spawn, NULL);
    spawn("a", make_core_ready_and_exit, NULL);
    expect_trace("+a/new -/block/0>a remove:a c +b/new -/block/0>b b. b/exit/0>-");
    stop_checked();
}

static hx_status_t replace_victim_at_500(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(500));
    expect_ok(hx_task_kill(victim));
    hx_handle_t heir = spawn("h", turns, (void *)0);
    cr_assert_eq(hx_handle_index(heir), hx_handle_index(victim));
    return HX_OK;
}

Test(sched, killing_the_interrupted_task_is_told_before_another_has_its_index)
{
    start_with_policy();
    spawn_core("k", 1, replace_victim_at_500, NULL);
    hx_preempt_disable();
    victim = spawn("a", burn, (void *)1000);
    hx_preempt_enable();
    expect_trace("+a/new -/block/0>a remove:a +h/new -/block/0>h h. h/exit/0>-");
    stop_checked();
}

static hx_status_t join_children(void *argument)
{
    struct hx_hal_memory_stats before, after;
    hx_status_t status;
    (void)argument;
    hx_hal_memory_stats(&before);
    for (int i = 0; i < 100; i++) {
        expect_ok(hx_task_join(spawn("child", burn, (void *)10), UINT64_MAX, &status));
        hx_hal_memory_stats(&after);
        cr_assert_eq(after.frames_free, before.frames_free, "a frame is missing after join");
        cr_assert_eq(after.heap_bytes, before.heap_bytes);
    }
    return HX_OK;
}

Test(sched, under_a_policy_too_memory_is_where_it_was_after_join)
{
    start_with_policy();
    policy.quiet = true;
    spawn("parent", join_children, NULL);
    stop_checked();
}

/* ---- kill and priority ------------------------------------------------------------------------------------------------- */
Test(sched, killing_a_queued_task_is_told)
{
    start_with_policy();
    hx_preempt_disable();
    spawn("a", turns, (void *)1);
    victim = spawn("b", turns, (void *)1);
    hx_sched_announce_all();
    expect_ok(hx_task_kill(victim));
    expect_trace("+a/new +b/new remove:b");
    hx_preempt_enable();
    expect_trace("-/block/0>a a a/yield/0>a a. a/exit/0>-");
    stop_checked();
}

static hx_status_t kill_victim_at_500(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(500));
    expect_ok(hx_task_kill(victim));
    return HX_OK;
}

Test(sched, killing_the_interrupted_task_is_told_as_its_removal)
{
    start_with_policy();
    spawn_core("k", 1, kill_victim_at_500, NULL);
    hx_preempt_disable();
    victim = spawn("a", burn, (void *)1000);
    spawn("b", turns, (void *)0);
    hx_preempt_enable();
    expect_trace("+a/new +b/new -/block/0>a remove:a -/block/0>b b. b/exit/0>-");
    stop_checked();
}

Test(sched, a_new_priority_is_told)
{
    start_with_policy();
    victim = spawn("a", wait_at_gate, NULL);
    (void)noted();
    expect_ok(hx_task_set_priority(victim, 42));
    expect_trace("adjust:a/42");
    cr_assert_eq(hx_task_of(victim)->priority, 42);
    expect_ok(hx_task_kill(victim));
    expect_trace("remove:a");
    stop_checked();
}
