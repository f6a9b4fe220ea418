/* SPDX-License-Identifier: MIT */
/* test_sched_away.c - policies that are closed, that failed, that go away and come. */
#include "policy_fixture.h"

static hx_handle_t victim;

Test(sched_away, while_the_slot_is_closed_the_core_decides_and_the_policy_is_told_later)
{
    start_with_policy();
    hx_preempt_disable();
    spawn("a", turns, (void *)2);
    spawn("b", turns, (void *)2);
    hx_slot_close(SCHED_SLOT);
    hx_preempt_enable();
    expect_trace("a b a b a. b.");
    cr_assert_eq(stats().bad_answers, 0);
    hx_slot_reopen(SCHED_SLOT);
    spawn("c", turns, (void *)1);
    expect_trace("+c/new -/block/0>c c c/yield/0>c c. c/exit/0>-");
    stop_checked();
}

static void close_slot(void)
{
    hx_slot_close(SCHED_SLOT);
}

static hx_status_t close_and_reopen(void *argument)
{
    (void)argument;
    hx_task_yield();
    note("close");
    hx_preempt_disable();
    hx_slot_close(SCHED_SLOT);
    gate_open = true;
    hx_waitq_wake_all(&gate);
    hal_host_advance(10000000);
    note("open");
    hx_slot_reopen(SCHED_SLOT);
    hx_preempt_enable();
    return HX_OK;
}

Test(sched_away, wakes_in_the_closed_window_are_told_when_it_opens)
{
    start_with_policy();
    spawn_letters("wv", wait_at_gate, NULL);
    (void)noted();
    spawn_core("c", 1, close_and_reopen, NULL);
    expect_trace("close open +w/woken +v/woken -/block/0>w w. w/exit/0>v v. v/exit/0>-");
    cr_assert_eq(stats().fallbacks, 0);
    stop_checked();
}

Test(sched_away, a_slot_that_closes_under_the_policy_leaves_the_books_right)
{
    start_with_policy();
    hx_preempt_disable();
    spawn("a", turns, (void *)3);
    spawn("b", turns, (void *)3);
    hx_preempt_enable();
    (void)noted();
    policy.quiet = true;
    hx_preempt_disable();
    spawn("a", turns, (void *)4);
    spawn("b", turns, (void *)4);
    policy.in_pick = close_slot;
    hx_preempt_enable();
    (void)noted();
    cr_assert_eq(hx_task_count(), 1);
    hx_slot_reopen(SCHED_SLOT);
    /* What it still has queued is stale by now; each is noticed once and forgotten. */
    spawn_letters("cd", turns, (void *)4);
    cr_assert_eq(hx_task_count(), 1);
    cr_assert_eq(policy.queued, 0);
    stop_checked();
}

static hx_status_t yield_every_100(void *argument)
{
    for (intptr_t i = (intptr_t)argument; i > 0; i--) {
        hal_host_advance(100);
        hx_task_yield();
    }
    return HX_OK;
}

static hx_status_t reopen_at_1000(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(1000));
    hx_slot_reopen(SCHED_SLOT);
    return HX_OK;
}

Test(sched_away, what_yielded_while_the_slot_was_closed_is_told_after_it)
{
    start_with_policy();
    policy.quiet = true;
    hx_preempt_disable();
    hx_slot_close(SCHED_SLOT);
    spawn_core("c", 1, reopen_at_1000, NULL);
    for (int i = 0; i < 4; i++)
        spawn("t", yield_every_100, (void *)20);
    hx_preempt_enable();
    cr_assert_gt(stats().fallbacks, 5);
    cr_assert_gt(stats().decisions, 5);
    cr_assert_eq(stats().bad_answers, 0);
    cr_assert_eq(stats().starved, 0);
    stop_checked();
}

static hx_status_t fail_then_revert(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(500));
    hx_slot_fail(SCHED_SLOT);
    expect_ok(sleep_ns(5000000)); /* the core decides for two ticks and a half */
    hx_preempt_disable();
    hx_slot_publish(SCHED_SLOT, &policy_vtable, NULL);
    hx_sched_announce_all();
    hx_preempt_enable();
    note("back");
    return HX_OK;
}

Test(sched_away, after_a_revert_the_policy_is_put_right_without_blame)
{
    start_with_policy();
    policy.quiet = true;
    hx_preempt_disable();
    spawn_core("c", 1, fail_then_revert, NULL);
    spawn("a", burn, (void *)4000000);
    spawn("b", burn, (void *)8000000);
    victim = spawn("w", wait_at_gate, NULL);
    hx_preempt_enable();
    cr_assert_eq(stats().bad_answers, 0);
    expect_trace("back a. b.");
    /* It believes that w is ready, as it was when its state was saved. */
    queue_add(victim);
    hx_preempt_disable();
    hx_sched_announce_all();
    queue_add(victim);
    hx_preempt_enable();
    spawn_letters("d", turns, (void *)2);
    expect_trace("d d d.");
    cr_assert_eq(stats().bad_answers, 0, "it could not know");
    expect_ok(hx_task_kill(victim));
    stop_checked();
}

Test(sched_away, a_first_policy_is_told_of_all_ready_tasks_in_order)
{
    machine_start();
    hx_preempt_disable();
    spawn("a", turns, (void *)1);
    spawn("b", turns, (void *)1);
    spawn("w", wait_at_gate, NULL);
    policy_open();
    hx_sched_announce_all();
    expect_trace("+a/new +b/new +w/new");
    hx_preempt_enable();
    expect_trace("-/block/0>a a a/yield/0>b b b/yield/0>w w/block/0>a a. a/exit/0>b b. b/exit/0>-");
    gate_open = true;
    hx_waitq_wake_all(&gate);
    stop_checked();
}

Test(sched_away, a_policy_that_went_away_leaves_everything_to_be_told_to_the_next)
{
    start_with_policy();
    hx_preempt_disable();
    spawn("a", turns, (void *)1);
    spawn("b", turns, (void *)1);
    hx_sched_announce_all();
    hx_slot_retract(SCHED_SLOT);
    hx_sched_forget_all();
    policy.queued = 0;
    (void)noted();
    policy_open();
    hx_preempt_enable();
    expect_trace("+a/woken +b/woken -/block/0>a a a/yield/0>b b b/yield/0>a a. a/exit/0>b b. b/exit/0>-");
    cr_assert_eq(stats().bad_answers, 0);
    stop_checked();
}
