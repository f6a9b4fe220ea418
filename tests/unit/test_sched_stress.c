/* SPDX-License-Identifier: MIT */
/* test_sched_stress.c - random tasks under a policy that is honest, and under one that is not. */
#include "policy_fixture.h"

enum { STRESS_TASKS = 24, STRESS_ROUNDS = 300 };

static uint64_t stress_seed, stress_rounds;
static hx_handle_t stress_task[STRESS_TASKS];

static uint64_t dice(uint64_t sides)
{
    return random_next(&stress_seed) % sides;
}

static hx_status_t stress_body(void *argument)
{
    (void)argument;
    for (int i = 0; i < STRESS_ROUNDS; i++) {
        stress_rounds++;
        switch (dice(8)) {
        case 0: hal_host_advance(dice(3000000)); break;
        case 1: (void)!sleep_ns(dice(1000)); break;
        case 2:
            gate_open = false;
            (void)!hx_waitq_wait(&gate, is_open, NULL, hx_hal_clock_ns() + dice(100000));
            break;
        case 3:
            gate_open = true;
            hx_waitq_wake_one(&gate);
            break;
        case 4:
            hx_preempt_disable();
            hx_waitq_wake_all(&gate);
            hal_host_advance(dice(10000));
            hx_preempt_enable();
            break;
        case 5:
            if (dice(40) == 0)
                (void)!hx_task_kill(stress_task[dice(STRESS_TASKS)]);
            break;
        default: hx_task_yield();
        }
    }
    return HX_OK;
}

/* A core task that disturbs: closes, fails, reverts, makes the policy lie. */
static hx_status_t stress_disturber(void *argument)
{
    for (int i = 0; i < 400; i++) {
        (void)!sleep_ns(dice(2000000));
        if (argument == NULL)
            continue;
        hx_preempt_disable();
        switch (dice(6)) {
        case 0:
            hx_slot_close(SCHED_SLOT);
            gate_open = true;
            hx_waitq_wake_all(&gate);
            hal_host_advance(dice(3000000));
            hx_slot_reopen(SCHED_SLOT);
            break;
        case 1:
            hx_slot_fail(SCHED_SLOT);
            hx_preempt_enable();
            (void)!sleep_ns(dice(9000000));
            hx_preempt_disable();
            hx_slot_publish(SCHED_SLOT, &policy_vtable, NULL);
            hx_sched_announce_all();
            break;
        case 2:
            policy.answers = random_next(&stress_seed) & 0xf;
            policy.wrong_answer = dice(2) ? (hx_ret_t)stress_task[dice(STRESS_TASKS)] : -(hx_ret_t)dice(40);
            break;
        case 3: policy.fault_in_pick = true; break;
        case 4:
            policy.fault_in_ready = dice(2);
            policy.tick_answer = (hx_ret_t)dice(2);
            policy.eager = dice(2);
            policy.patient = dice(2);
            break;
        case 5:
            hx_slot_retract(SCHED_SLOT);
            hx_sched_forget_all();
            policy.queued = 0;
            hx_preempt_enable();
            (void)!sleep_ns(dice(5000000));
            hx_preempt_disable();
            hx_slot_publish(SCHED_SLOT, &policy_vtable, NULL);
            hx_sched_announce_all();
            break;
        }
        hx_preempt_enable();
    }
    return HX_OK;
}

static void stress(uint64_t seed, bool disturb)
{
    stress_seed = seed;
    policy.quiet = true;
    hx_preempt_disable();
    for (int i = 0; i < STRESS_TASKS; i++)
        stress_task[i] = spawn("s", stress_body, NULL);
    spawn_core("d", 1, stress_disturber, disturb ? &policy : NULL);
    hx_preempt_enable();
    hal_host_run();
    cr_assert_eq(hx_task_count(), 1, "seed %llu: %u tasks never ended", (unsigned long long)seed, hx_task_count() - 1);
}

Test(sched_stress, random_tasks_under_an_honest_policy_need_no_fallback)
{
    start_with_policy();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        policy.patient = seed % 2;
        stress(seed * 0x9e3779b97f4a7c15u, false);
    }
    cr_assert_eq(stats().bad_answers, 0);
    cr_assert_eq(stats().fallbacks, stats().starved);
    cr_assert_eq(policy.queued, 0);
    cr_assert_gt(stress_rounds, 10000);
    stop_checked();
}

Test(sched_stress, random_tasks_under_a_policy_that_lies_faults_and_vanishes_all_come_to_their_end)
{
    start_with_policy();
    for (uint64_t seed = 1; seed <= 40; seed++)
        stress(seed * 0xd1342543de82ef95u, true);
    cr_assert_gt(stats().bad_answers, 100);
    cr_assert_gt(stats().fallbacks, 100);
    stop_checked();
}
