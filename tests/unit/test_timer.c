/* SPDX-License-Identifier: MIT */
/* test_timer.c - the heap of timers against a list that is searched. */
#include "task_fixture.h"

#include <task/timer.h>

enum { TIMERS = 200 };

static struct hx_timer timers[TIMERS];
static bool model_armed[TIMERS];
static uint64_t model_deadline[TIMERS];
static uint64_t last_expired_ns, expired_count;

static uint64_t model_next(void)
{
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < TIMERS; i++)
        if (model_armed[i] && model_deadline[i] < next_ns)
            next_ns = model_deadline[i];
    return next_ns;
}

static void expired(struct hx_timer *timer)
{
    size_t i = (size_t)(timer - timers);
    cr_assert(!hx_irq_enabled());
    cr_assert(!timer->armed);
    cr_assert(model_armed[i]);
    cr_assert_eq(timer->deadline_ns, model_deadline[i]);
    cr_assert_eq(model_deadline[i], model_next(), "not the earliest");
    cr_assert_leq(model_deadline[i], hx_hal_clock_ns(), "too early");
    model_armed[i] = false;
    last_expired_ns = timer->deadline_ns;
    expired_count++;
}

static void arm(size_t i, uint64_t deadline_ns)
{
    model_armed[i] = true;
    model_deadline[i] = deadline_ns;
    hx_timer_arm(&timers[i], deadline_ns, expired);
}

Test(timer, random_arming_and_disarming_agrees_with_a_searched_list)
{
    uint64_t seed = 88172645463325252u;
    machine_start();
    for (int round = 0; round < 50000; round++) {
        uint64_t dice = random_next(&seed);
        size_t i = dice % TIMERS;
        switch (dice >> 32 & 3) {
        case 0:
        case 1: arm(i, hx_hal_clock_ns() + 1 + (dice >> 40) % 1000); break;
        case 2:
            cr_assert_eq(hx_timer_disarm(&timers[i]), model_armed[i]);
            model_armed[i] = false;
            break;
        case 3: hal_host_advance((dice >> 40) % 30); break;
        }
        cr_assert(model_next() == UINT64_MAX || hal_host_timer_ns() <= model_next(), "the machine would wake too late");
    }
    hal_host_run();
    cr_assert_eq(model_next(), UINT64_MAX);
    cr_assert_gt(expired_count, 1000);
    machine_stop();
}

Test(timer, a_deadline_in_the_past_expires_at_once)
{
    machine_start();
    hal_host_advance(1000);
    arm(0, 10);
    hal_host_run();
    cr_assert_eq(expired_count, 1);
    cr_assert_eq(hx_hal_clock_ns(), 1000);
    machine_stop();
}

Test(timer, arming_again_moves_the_deadline)
{
    machine_start();
    arm(0, 100);
    arm(0, 500);
    hal_host_advance(400);
    cr_assert_eq(expired_count, 0);
    hal_host_advance(100);
    cr_assert_eq(expired_count, 1);
    machine_stop();
}

Test(timer, the_machine_is_armed_only_for_an_earlier_deadline)
{
    machine_start();
    arm(0, 100);
    uint64_t arms = hal_host_timer_arms();
    arm(1, 200);
    arm(2, 100);
    cr_assert(hx_timer_disarm(&timers[1]));
    model_armed[1] = false;
    cr_assert_eq(hal_host_timer_arms(), arms);
    arm(3, 50);
    cr_assert_eq(hal_host_timer_arms(), arms + 1);
    cr_assert_eq(hal_host_timer_ns(), 50);
    hal_host_run();
    cr_assert_eq(expired_count, 3);
    machine_stop();
}

static void expired_again(struct hx_timer *timer)
{
    if (++expired_count < 5)
        hx_timer_arm(timer, timer->deadline_ns + 10, expired_again);
}

Test(timer, a_callback_may_arm_its_own_timer)
{
    machine_start();
    hx_timer_arm(&timers[0], 10, expired_again);
    hal_host_advance(30);
    cr_assert_eq(expired_count, 3);
    hal_host_advance(1000);
    cr_assert_eq(expired_count, 5);
    cr_assert_eq(hal_host_timer_ns(), UINT64_MAX);
    machine_stop();
}

static void expired_late(struct hx_timer *timer)
{
    (void)timer;
    expired_count++;
}

Test(timer, what_fell_due_with_interrupts_off_expires_when_they_are_on)
{
    machine_start();
    hx_timer_arm(&timers[0], 10, expired_late);
    hx_timer_arm(&timers[1], 20, expired_late);
    hx_irq_disable();
    hal_host_advance(100);
    cr_assert_eq(expired_count, 0);
    hx_irq_enable();
    cr_assert_eq(expired_count, 2);
    machine_stop();
}
