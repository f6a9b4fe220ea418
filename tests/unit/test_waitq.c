/* SPDX-License-Identifier: MIT */
/* test_waitq.c - waiting for events and times. */
#include "task_fixture.h"

static struct hx_waitq queue;
static uint32_t tokens;

static bool take_token(void *context)
{
    (void)context;
    if (tokens == 0)
        return false;
    tokens--;
    return true;
}

static hx_status_t wait_forever(void *argument)
{
    (void)argument;
    hx_status_t status = hx_waitq_wait(&queue, take_token, NULL, UINT64_MAX);
    note("%s:%d", me(), status);
    return status;
}

static hx_status_t wait_100(void *argument)
{
    (void)argument;
    hx_status_t status = hx_waitq_wait(&queue, take_token, NULL, hx_hal_clock_ns() + 100);
    note("%s:%d@%llu", me(), status, (unsigned long long)hx_hal_clock_ns());
    return status;
}

static void start(void)
{
    machine_start();
    hx_waitq_init(&queue);
}

Test(waitq, a_true_condition_does_not_wait)
{
    start();
    tokens = 1;
    spawn("a", wait_forever, NULL);
    expect_trace("a:0");
    machine_stop();
}

Test(waitq, waiters_are_woken_by_priority_and_first_come_first_within_one)
{
    start();
    spawn_class(HX_TASK_POLICY, "low1", 10, wait_forever, NULL);
    spawn_class(HX_TASK_POLICY, "high1", 200, wait_forever, NULL);
    spawn_class(HX_TASK_POLICY, "low2", 10, wait_forever, NULL);
    spawn_class(HX_TASK_POLICY, "high2", 200, wait_forever, NULL);
    for (int i = 0; i < 4; i++) {
        tokens = 1;
        cr_assert_eq(hx_waitq_wake_one(&queue), 1);
    }
    cr_assert_eq(hx_waitq_wake_one(&queue), 0);
    expect_trace("high1:0 high2:0 low1:0 low2:0");
    machine_stop();
}

Test(waitq, a_new_priority_moves_a_waiter)
{
    start();
    spawn_class(HX_TASK_POLICY, "first", 10, wait_forever, NULL);
    hx_handle_t second = spawn_class(HX_TASK_POLICY, "second", 10, wait_forever, NULL);
    expect_ok(hx_task_set_priority(second, 11));
    tokens = 2;
    hx_waitq_wake_one(&queue);
    hx_waitq_wake_one(&queue);
    expect_trace("second:0 first:0");
    machine_stop();
}

Test(waitq, all_are_woken_and_those_who_find_nothing_wait_on)
{
    start();
    spawn("a", wait_forever, NULL);
    spawn("b", wait_forever, NULL);
    spawn("c", wait_forever, NULL);
    tokens = 2;
    cr_assert_eq(hx_waitq_wake_all(&queue), 3);
    expect_trace("a:0 b:0");
    tokens = 1;
    cr_assert_eq(hx_waitq_wake_all(&queue), 1);
    expect_trace("c:0");
    machine_stop();
}

Test(waitq, a_deadline_ends_the_wait_and_leaves_the_queue)
{
    start();
    spawn("a", wait_100, NULL);
    hal_host_advance(99);
    expect_trace("");
    hal_host_advance(1);
    expect_trace("a:-7@100");
    cr_assert_eq(hx_waitq_wake_all(&queue), 0);
    machine_stop();
}

Test(waitq, a_wake_before_the_deadline_disarms_it)
{
    start();
    spawn("a", wait_100, NULL);
    hal_host_advance(50);
    tokens = 1;
    hx_waitq_wake_one(&queue);
    expect_trace("a:0@50");
    cr_assert_eq(hal_host_timer_ns(), 100, "one idle interrupt is cheaper than disarming the machine");
    machine_stop();
}

Test(waitq, a_condition_that_became_true_by_the_deadline_wins)
{
    start();
    spawn("a", wait_100, NULL);
    tokens = 1; /* and nobody says so */
    hal_host_advance(100);
    expect_trace("a:0@100");
    machine_stop();
}

Test(waitq, a_wake_is_passed_on_when_the_waiter_is_killed_before_it_runs)
{
    start();
    hx_handle_t first = spawn("a", wait_forever, NULL);
    spawn("b", wait_forever, NULL);
    hx_preempt_disable();
    tokens = 1;
    cr_assert_eq(hx_waitq_wake_one(&queue), 1);
    expect_ok(hx_task_kill(first));
    hx_preempt_enable();
    expect_trace("b:0");
    machine_stop();
}

Test(waitq, who_has_run_since_it_was_woken_passes_nothing_on)
{
    start();
    hx_handle_t first = spawn("a", wait_forever, NULL);
    spawn("b", wait_100, NULL);
    cr_assert_eq(hx_waitq_wake_one(&queue), 1); /* a finds nothing and waits behind b */
    hal_host_advance(50);
    tokens = 1; /* whoever is woken by mistake will take it */
    expect_ok(hx_task_kill(first));
    expect_trace("");
    tokens = 0;
    hal_host_advance(50);
    expect_trace("b:-7@100");
    machine_stop();
}

Test(waitq, a_wake_that_timed_out_first_is_not_passed_on)
{
    start();
    hx_handle_t first = spawn("a", wait_100, NULL);
    spawn("b", wait_forever, NULL);
    hx_preempt_disable();
    hal_host_advance(100); /* a's time is up, and it has not run */
    tokens = 1;
    expect_ok(hx_task_kill(first));
    hx_preempt_enable();
    expect_trace("");
    cr_assert_eq(hx_waitq_wake_one(&queue), 1);
    expect_trace("b:0");
    machine_stop();
}

static void wake_in_interrupt(struct hx_timer *timer)
{
    (void)timer;
    tokens = 1;
    cr_assert_eq(hx_waitq_wake_one(&queue), 1);
    note("woke");
}

Test(waitq, a_wake_in_an_interrupt_switches_after_it)
{
    static struct hx_timer timer;
    start();
    spawn("a", wait_forever, NULL);
    hx_timer_arm(&timer, 10, wake_in_interrupt);
    hal_host_advance(10);
    expect_trace("woke a:0");
    machine_stop();
}

Test(waitq, where_one_may_not_wait_it_is_refused)
{
    start();
    cr_assert_eq(hx_waitq_wait(&queue, take_token, NULL, UINT64_MAX), HX_E_STATE, "the idle task");
    cr_assert_eq(hx_task_sleep_until(UINT64_MAX), HX_E_STATE);
    cr_assert_eq(queue.waiters.next, &queue.waiters);
    machine_stop();
}

static hx_status_t wait_without_preemption(void *argument)
{
    (void)argument;
    hx_preempt_disable();
    note("%d", hx_waitq_wait(&queue, take_token, NULL, UINT64_MAX));
    hx_preempt_enable();
    return HX_OK;
}

Test(waitq, with_preemption_off_waiting_is_refused)
{
    start();
    spawn("a", wait_without_preemption, NULL);
    expect_trace("-25");
    machine_stop();
}

static hx_status_t sleeper(void *argument)
{
    cr_assert_eq(sleep_ns((uint64_t)(uintptr_t)argument), HX_OK);
    note("%llu", (unsigned long long)hx_hal_clock_ns());
    return HX_OK;
}

Test(waitq, sleepers_wake_in_order_of_their_deadlines)
{
    static const uintptr_t ns[] = { 500, 100, 900, 300, 700, 200 };
    start();
    for (size_t i = 0; i < HX_ARRAY_SIZE(ns); i++)
        spawn("s", sleeper, (void *)ns[i]);
    hal_host_run();
    expect_trace("100 200 300 500 700 900");
    machine_stop();
}
