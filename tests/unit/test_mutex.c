/* SPDX-License-Identifier: MIT */
/*
 * test_mutex.c - exclusion, order, inheritance, and what is left by those who end.
 *
 * The policy is of strict priorities: whoever has the highest runs, first come first within one.
 */
#include "task_fixture.h"

#include <task/mutex.h>

/* ---- the policy ------------------------------------------------------------------------------------------------------ */
static struct {
    struct {
        hx_handle_t task;
        uint64_t priority;
    } queue[64], running;
    uint32_t queued;
} policy;
static struct hx_gate_vtable policy_vtable;

static bool queue_remove(hx_handle_t task)
{
    for (uint32_t i = 0; i < policy.queued; i++)
        if (policy.queue[i].task == task) {
            memmove(&policy.queue[i], &policy.queue[i + 1], (--policy.queued - i) * sizeof(policy.queue[0]));
            return true;
        }
    return false;
}

static void queue_add(hx_handle_t task, uint64_t priority)
{
    (void)queue_remove(task);
    cr_assert_lt(policy.queued, HX_ARRAY_SIZE(policy.queue));
    uint32_t i = policy.queued++;
    for (; i > 0 && policy.queue[i - 1].priority < priority; i--)
        policy.queue[i] = policy.queue[i - 1];
    policy.queue[i].task = task;
    policy.queue[i].priority = priority;
}

static hx_ret_t policy_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    (void)reason;
    queue_add(task, priority);
    return policy.running.task == HX_HANDLE_NONE || priority > policy.running.priority ? HX_SCHED_REPLACE
                                                                                       : HX_SCHED_LATER;
}

static hx_ret_t policy_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    (void)ran_ns;
    (void)now_ns;
    if (prev != HX_HANDLE_NONE && (reason & 0xff) <= HX_SCHED_YIELD)
        queue_add(prev, hx_task_of(prev)->priority);
    policy.running.task = HX_HANDLE_NONE;
    if (policy.queued == 0)
        return HX_HANDLE_NONE;
    policy.running = policy.queue[0];
    (void)queue_remove(policy.running.task);
    return (hx_ret_t)policy.running.task;
}

static hx_ret_t policy_tick(uint64_t task, uint64_t ran_ns)
{
    (void)task;
    (void)ran_ns;
    return policy.queued > 0 && policy.queue[0].priority > policy.running.priority;
}

static hx_ret_t policy_remove(uint64_t task)
{
    return queue_remove(task) ? HX_OK : HX_E_NOENT;
}

static hx_ret_t policy_adjust(uint64_t task, uint64_t priority)
{
    if (policy.running.task == task)
        policy.running.priority = priority;
    else if (queue_remove(task))
        queue_add(task, priority);
    return HX_OK;
}

static void start(void)
{
    const void *ops[] = { (const void *)(uintptr_t)policy_ready,  (const void *)(uintptr_t)policy_pick,
                          (const void *)(uintptr_t)policy_tick,   (const void *)(uintptr_t)policy_remove,
                          (const void *)(uintptr_t)policy_adjust, (const void *)(uintptr_t)hx_gate_op_unsupported };
    machine_start();
    for (size_t i = 0; i < HX_OPS_MAX; i++)
        policy_vtable.op[i] = i < HX_ARRAY_SIZE(ops) ? ops[i] : (const void *)(uintptr_t)hx_gate_op_unsupported;
    hx_slot_publish(&hx_slots[HX_SLOT_hx_sched], &policy_vtable, NULL);
}

/* ---- what tasks do --------------------------------------------------------------------------------------------------- */
static struct hx_mutex mutexes[HX_MUTEX_CHAIN_MAX + 4];
#define A (&mutexes[0])
#define B (&mutexes[1])

/*
 * A task's deeds, a word of two letters or more each, done in order:
 * lA  lock A, and note it    uA  unlock A    tA  try       dA  lock A for 100 ns at most    eA  lock, noting only errors
 * s5  sleep 5 ns             b5  burn 5 ns   n   note one's name     x   exit             m  mend A
 */
struct script {
    const char *deeds;
};

static struct hx_mutex *mutex_of(char letter)
{
    return &mutexes[letter - 'A'];
}

static void note_lock(char letter, hx_status_t status)
{
    if (status == HX_OK)
        note("%s+%c", me(), letter);
    else
        note("%s?%c:%d", me(), letter, status);
}

static hx_status_t perform(void *argument)
{
    for (const char *at = argument; *at;) {
        char deed = at[0], letter = at[1];
        unsigned long long ns = strtoull(at + 1, NULL, 10);
        at += strcspn(at, " ");
        at += strspn(at, " ");
        switch (deed) {
        case 'l': note_lock(letter, hx_mutex_lock(mutex_of(letter), UINT64_MAX)); break;
        case 'd': note_lock(letter, hx_mutex_lock(mutex_of(letter), hx_hal_clock_ns() + 100)); break;
        case 't': note_lock(letter, hx_mutex_try_lock(mutex_of(letter))); break;
        case 'u': expect_ok(hx_mutex_unlock(mutex_of(letter))); break;
        case 'm': hx_mutex_mend(A); break;
        case 's': expect_ok(sleep_ns(ns)); break;
        case 'b': hal_host_advance(ns); break;
        case 'n': note("%s@%u", me(), hx_task_current()->priority); break;
        case 'x': hx_task_exit(7);
        default: cr_assert_fail("%c", deed);
        }
    }
    return HX_OK;
}

static hx_handle_t perform_at(uint8_t priority, const char *name, const char *deeds)
{
    return spawn_class(HX_TASK_POLICY, name, priority, perform, (void *)(uintptr_t)deeds);
}

static uint32_t priority_of(hx_handle_t task)
{
    return hx_task_of(task)->priority;
}

static void begin(void)
{
    start();
    for (size_t i = 0; i < HX_ARRAY_SIZE(mutexes); i++)
        hx_mutex_init(&mutexes[i]);
}

/* Nobody has any, nobody waits, and nobody is in anybody's list. */
static void end(void)
{
    hal_host_run();
    for (size_t i = 0; i < HX_ARRAY_SIZE(mutexes); i++) {
        cr_assert_eq(mutexes[i].owner, HX_HANDLE_NONE, "mutex %zu is left locked", i);
        cr_assert_eq(mutexes[i].waiters.waiters.next, &mutexes[i].waiters.waiters);
    }
    machine_stop();
}

/* ---- exclusion ------------------------------------------------------------------------------------------------------- */
Test(mutex, a_free_one_is_taken_without_the_scheduler_and_given_back)
{
    begin();
    hx_handle_t task = perform_at(100, "a", "lA s10 uA lA uA tA s10 uA");
    cr_assert_eq(A->owner, task, "the owner is known by its handle");
    hal_host_run();
    expect_trace("a+A a+A a+A");
    end();
}

Test(mutex, one_has_it_at_a_time_and_the_next_gets_it_by_the_unlock)
{
    begin();
    perform_at(100, "a", "lA s10 n uA n");
    hx_handle_t b = perform_at(100, "b", "lA n uA");
    expect_trace("a+A");
    hal_host_advance(10);
    expect_trace("a@100 a@100 b+A b@100");
    cr_assert_null(hx_task_of(b));
    end();
}

Test(mutex, trying_does_not_wait)
{
    begin();
    perform_at(100, "a", "lA s10 uA");
    perform_at(200, "b", "tA s20 tA uA");
    hal_host_run();
    expect_trace("a+A b?A:-5 b+A");
    end();
}

Test(mutex, waiters_get_it_by_priority_and_first_come_first_within_one)
{
    begin();
    perform_at(10, "owner", "lA s10 uA");
    perform_at(20, "low1", "lA uA");
    perform_at(30, "high1", "lA uA");
    perform_at(20, "low2", "lA uA");
    perform_at(30, "high2", "lA uA");
    hal_host_run();
    expect_trace("owner+A high1+A high2+A low1+A low2+A");
    end();
}

Test(mutex, a_waiter_that_gets_another_priority_gets_another_place)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lA s10 uA");
    perform_at(20, "first", "lA uA");
    hx_handle_t second = perform_at(20, "second", "lA uA");
    expect_ok(hx_task_set_priority(second, 40));
    cr_assert_eq(priority_of(owner), 40, "and it is inherited");
    expect_ok(hx_task_set_priority(second, 30));
    cr_assert_eq(priority_of(owner), 30);
    hal_host_run();
    expect_trace("owner+A second+A first+A");
    end();
}

static hx_status_t unlock_anothers(void *argument)
{
    (void)argument;
    cr_assert_eq(hx_mutex_unlock(A), HX_E_PERM);
    cr_assert_eq(hx_mutex_unlock(B), HX_E_PERM, "nobody's");
    return HX_OK;
}

Test(mutex, who_does_not_have_it_cannot_unlock_it)
{
    begin();
    perform_at(100, "a", "lA s10 uA");
    spawn("b", unlock_anothers, NULL);
    end();
}

Test(mutex, they_may_be_unlocked_in_any_order)
{
    begin();
    perform_at(100, "a", "lA lB lC uB s1 uA uC lB uB");
    hal_host_run();
    expect_trace("a+A a+B a+C a+B");
    end();
}

/* ---- inheritance ----------------------------------------------------------------------------------------------------- */
Test(mutex, an_owner_runs_at_the_highest_priority_of_those_who_wait)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lA s10 n uA n");
    perform_at(20, "b", "lA uA");
    cr_assert_eq(priority_of(owner), 20);
    perform_at(30, "c", "lA uA");
    cr_assert_eq(priority_of(owner), 30);
    perform_at(5, "d", "lA uA");
    cr_assert_eq(priority_of(owner), 30);
    cr_assert_eq(hx_task_of(owner)->base, 10);
    hal_host_run();
    expect_trace("owner+A owner@30 c+A b+A owner@10 d+A");
    end();
}

Test(mutex, no_third_task_delays_one_that_waits)
{
    begin();
    perform_at(10, "low", "lA b100 uA n");
    expect_trace("low+A low@10");
    hx_preempt_disable(); /* all three come up at one moment while low has it */
    perform_at(10, "low", "lA s10 b100 uA n");
    hx_preempt_enable();
    perform_at(100, "middle", "s20 b1000 n");
    perform_at(200, "high", "s15 lA n uA");
    hal_host_run();
    expect_trace("low+A high+A high@200 middle@100 low@10");
    end();
}

Test(mutex, it_goes_along_a_chain_of_owners_and_back)
{
    begin();
    hx_handle_t a = perform_at(10, "a", "lA s10 n uA n");
    hx_handle_t b = perform_at(20, "b", "lB lA n uA n uB n");
    hx_handle_t c = perform_at(30, "c", "lC lB n uB uC");
    cr_assert_eq(priority_of(a), 30);
    hx_handle_t d = perform_at(40, "d", "lC uC");
    cr_assert_eq(priority_of(a), 40);
    cr_assert_eq(priority_of(b), 40);
    cr_assert_eq(priority_of(c), 40);
    cr_assert_eq(priority_of(d), 40);
    expect_ok(hx_task_set_priority(d, 90));
    cr_assert_eq(priority_of(a), 90);
    expect_ok(hx_task_kill(d));
    cr_assert_eq(priority_of(a), 30, "c still waits");
    cr_assert_eq(priority_of(b), 30);
    cr_assert_eq(priority_of(c), 30);
    hal_host_run();
    expect_trace("a+A b+B c+C a@30 b+A b@30 b@30 c+B c@30 b@20 a@10");
    end();
}

Test(mutex, of_two_that_it_holds_the_higher_counts_until_it_is_given_back)
{
    begin();
    perform_at(10, "owner", "lA lB s10 n uB n uA n");
    perform_at(20, "b", "lA uA");
    perform_at(30, "c", "lB uB");
    hal_host_run();
    expect_trace("owner+A owner+B owner@30 c+B owner@20 b+A owner@10");
    end();
}

Test(mutex, who_gets_it_inherits_of_those_who_go_on_waiting)
{
    begin();
    perform_at(10, "a", "lA s10 uA");
    hx_handle_t b = perform_at(50, "b", "lA s10 n uA");
    hx_handle_t c = perform_at(20, "c", "lA uA");
    hal_host_advance(10);
    expect_trace("a+A b+A");
    expect_ok(hx_task_set_priority(c, 60));
    cr_assert_eq(priority_of(b), 60);
    hal_host_run();
    expect_trace("b@60 c+A");
    end();
}

Test(mutex, who_was_given_it_and_has_not_run_inherits_and_runs_at_once)
{
    begin();
    perform_at(200, "owner", "lA s10 uA b50 n");
    perform_at(50, "b", "lA n uA");
    perform_at(250, "d", "s20 lA uA");
    hal_host_run();
    expect_trace("owner+A b+A b@250 d+A owner@200");
    end();
}

Test(mutex, a_new_priority_of_an_owner_is_its_own_and_shows_when_nobody_lends_a_higher)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lA s10 n uA n");
    perform_at(50, "b", "lA uA");
    expect_ok(hx_task_set_priority(owner, 20));
    cr_assert_eq(priority_of(owner), 50);
    hal_host_run();
    expect_trace("owner+A owner@50 b+A owner@20");
    end();
}

/* ---- giving up ------------------------------------------------------------------------------------------------------- */
Test(mutex, a_deadline_ends_the_wait_and_what_was_lent)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lA s200 n uA");
    perform_at(50, "b", "dA n");
    cr_assert_eq(priority_of(owner), 50);
    hal_host_advance(99);
    expect_trace("owner+A");
    hal_host_advance(1);
    expect_trace("b?A:-7 b@50");
    cr_assert_eq(priority_of(owner), 10);
    hal_host_run();
    expect_trace("owner@10");
    end();
}

Test(mutex, one_that_comes_in_time_disarms_the_deadline)
{
    begin();
    perform_at(10, "owner", "lA s50 uA");
    perform_at(50, "b", "dA s100 uA");
    hal_host_run();
    expect_trace("owner+A b+A");
    end();
}

Test(mutex, a_waiter_that_is_killed_waits_and_lends_no_more)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lA s10 uA");
    hx_handle_t b = perform_at(50, "b", "lA uA");
    perform_at(20, "c", "lA uA");
    expect_ok(hx_task_kill(b));
    cr_assert_eq(priority_of(owner), 20);
    hal_host_run();
    expect_trace("owner+A c+A");
    end();
}

Test(mutex, one_that_is_killed_before_it_sees_what_it_was_given_leaves_no_orphan)
{
    begin();
    perform_at(200, "owner", "lA s10 uA b10");
    hx_handle_t b = perform_at(50, "b", "lA uA");
    perform_at(20, "c", "lA uA");
    perform_at(20, "d", "lA uA");
    perform_at(20, "f", "lA uA");
    hx_preempt_disable();
    hx_handle_t e = perform_at(255, "e", "s5 lA n uA");
    expect_trace("owner+A");
    hx_preempt_enable();
    (void)e;
    hal_host_advance(9);
    hx_handle_t owner = A->owner & ~((hx_handle_t)1 << 63);
    cr_assert_not_null(hx_task_of(owner));
    hx_preempt_disable();
    expect_ok(hx_task_kill(e));
    expect_ok(hx_task_kill(owner)); /* b has it now, and has not run */
    cr_assert_eq(A->owner & ~((hx_handle_t)1 << 63), b);
    cr_assert(A->orphaned);
    hx_mutex_mend(A);
    expect_ok(hx_task_kill(b));
    hx_preempt_enable();
    hal_host_run();
    expect_trace("c+A d+A f+A");
    end();
}

/* ---- owners that end ------------------------------------------------------------------------------------------------- */
Test(mutex, what_a_task_holds_when_it_is_killed_goes_to_the_next_as_an_orphan)
{
    begin();
    hx_handle_t owner = perform_at(10, "owner", "lB lA s10 uA uB");
    perform_at(50, "b", "lA m uA");
    perform_at(20, "c", "lA uA lB uB");
    expect_ok(hx_task_kill(owner));
    hal_host_run();
    expect_trace("owner+B owner+A b?A:1 c+A c?B:1");
    end();
}

Test(mutex, what_a_task_holds_when_it_exits_is_an_orphan_until_it_is_mended)
{
    begin();
    perform_at(10, "owner", "lA s10 x");
    hal_host_run();
    perform_at(10, "b", "lA uA tA uA");
    perform_at(10, "c", "lA m uA lA uA");
    hal_host_run();
    expect_trace("owner+A b?A:1 b?A:1 c?A:1 c+A");
    end();
}

Test(mutex, who_returns_with_one_held_has_ended_too)
{
    begin();
    perform_at(10, "owner", "lA s10");
    perform_at(20, "b", "lA uA");
    hal_host_run();
    expect_trace("owner+A b?A:1");
    end();
}

Test(mutex, an_owner_that_waits_for_another_and_is_killed_leaves_both)
{
    begin();
    hx_handle_t a = perform_at(10, "a", "lA s100 uA");
    hx_handle_t b = perform_at(20, "b", "lB lA uA uB");
    perform_at(30, "c", "lB uB");
    cr_assert_eq(priority_of(a), 30);
    expect_ok(hx_task_kill(b));
    cr_assert_eq(priority_of(a), 10);
    hal_host_run();
    expect_trace("a+A b+B c?B:1");
    end();
}

/* ---- refusals -------------------------------------------------------------------------------------------------------- */
Test(mutex, who_has_it_is_refused)
{
    begin();
    perform_at(10, "a", "lA lA tA uA");
    hal_host_run();
    expect_trace("a+A a?A:-24 a?A:-5");
    end();
}

Test(mutex, two_that_would_wait_for_each_other_are_refused)
{
    begin();
    perform_at(10, "a", "lA s10 lB uA");
    perform_at(20, "b", "lB lA uA uB");
    hal_host_run();
    expect_trace("a+A b+B a?B:-24 b+A");
    end();
}

Test(mutex, a_circle_of_three_is_refused)
{
    begin();
    perform_at(10, "a", "lA s10 lC uA");
    perform_at(20, "b", "lB lA uA uB");
    perform_at(30, "c", "lC lB uB uC");
    hal_host_run();
    expect_trace("a+A b+B c+C a?C:-24 b+A c+B");
    end();
}

/* Number n locks n, and then n - 1. */
static hx_status_t hang_on(void *argument)
{
    size_t n = (size_t)(uintptr_t)argument;
    expect_ok(hx_mutex_lock(&mutexes[n], UINT64_MAX));
    hx_status_t err = n > 0 ? hx_mutex_lock(&mutexes[n - 1], UINT64_MAX) : sleep_ns(10);
    if (err != HX_OK)
        note("%zu:%d", n, err);
    else if (n > 0)
        expect_ok(hx_mutex_unlock(&mutexes[n - 1]));
    expect_ok(hx_mutex_unlock(&mutexes[n]));
    return HX_OK;
}

Test(mutex, a_chain_that_is_too_long_is_refused)
{
    begin();
    hx_handle_t first = spawn("t", hang_on, (void *)0);
    for (uintptr_t n = 1; n < HX_MUTEX_CHAIN_MAX + 2; n++)
        spawn_class(HX_TASK_POLICY, "t", (uint8_t)(100 + n), hang_on, (void *)n);
    expect_trace("17:-18");
    cr_assert_eq(priority_of(first), 100 + HX_MUTEX_CHAIN_MAX, "inherited over all of the chain");
    end();
}

static hx_status_t lock_where_nobody_may_wait(void *argument)
{
    (void)argument;
    hx_preempt_disable();
    note("%d %d", hx_mutex_lock(A, UINT64_MAX), hx_mutex_try_lock(A));
    hx_preempt_enable();
    hx_irq_disable();
    note("%d %d", hx_mutex_lock(A, UINT64_MAX), hx_mutex_try_lock(A));
    hx_irq_enable();
    return HX_OK;
}

static void lock_in_interrupt(struct hx_timer *timer)
{
    (void)timer;
    note("%d %d", hx_mutex_lock(A, UINT64_MAX), hx_mutex_try_lock(A));
}

Test(mutex, where_nobody_may_wait_it_is_refused_even_if_it_is_free)
{
    static struct hx_timer timer;
    begin();
    cr_assert_eq(hx_mutex_lock(A, UINT64_MAX), HX_E_STATE, "the idle task");
    spawn("a", lock_where_nobody_may_wait, NULL);
    expect_trace("-25 -25 -25 -25");
    hx_timer_arm(&timer, 10, lock_in_interrupt);
    perform_at(10, "b", "b20");
    expect_trace("-25 -25");
    end();
}

/* ---- many ------------------------------------------------------------------------------------------------------------ */
static struct {
    hx_handle_t inside[4];
    uint64_t entered, orphans;
} crowd;

static hx_status_t come_and_go(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    for (;;) {
        uint32_t first = (uint32_t)(random_next(&seed) % 4), second = (uint32_t)(random_next(&seed) % 4);
        hx_status_t got = hx_mutex_lock(&mutexes[first], hx_hal_clock_ns() + random_next(&seed) % 2000);
        if (got < 0) {
            cr_assert_eq(got, HX_E_TIMEOUT);
            continue;
        }
        cr_assert(crowd.inside[first] == HX_HANDLE_NONE || got == HX_MUTEX_ORPHANED, "two are inside");
        crowd.inside[first] = hx_task_current()->handle;
        crowd.orphans += got == HX_MUTEX_ORPHANED;
        hx_mutex_mend(&mutexes[first]);
        crowd.entered++;
        hal_host_advance(random_next(&seed) % 300);
        hx_status_t also = hx_mutex_lock(&mutexes[second], hx_hal_clock_ns() + random_next(&seed) % 2000);
        cr_assert(also >= 0 || also == HX_E_TIMEOUT || also == HX_E_CYCLE, "%d", also);
        if (also >= 0) {
            crowd.orphans += also == HX_MUTEX_ORPHANED;
            hx_mutex_mend(&mutexes[second]);
            expect_ok(sleep_ns(random_next(&seed) % 300));
            crowd.inside[second] = HX_HANDLE_NONE;
            expect_ok(hx_mutex_unlock(&mutexes[second]));
        }
        cr_assert_eq(crowd.inside[first], hx_task_current()->handle);
        crowd.inside[first] = HX_HANDLE_NONE;
        expect_ok(hx_mutex_unlock(&mutexes[first]));
        expect_ok(sleep_ns(random_next(&seed) % 3000));
    }
}

/* With interrupts when they like: between any two of its clock readings. */
Test(mutex, a_crowd_with_deadlines_kills_and_new_priorities_is_kept_apart)
{
    hx_handle_t task[12] = { 0 };
    uint64_t seed = 42;
    begin();
    hal_host_clock_step(7);
    for (int round = 0; round < 20000; round++) {
        hx_handle_t *one = &task[random_next(&seed) % HX_ARRAY_SIZE(task)];
        if (!hx_task_of(*one))
            *one = spawn_class(HX_TASK_POLICY, "t", (uint8_t)(1 + random_next(&seed) % 250), come_and_go,
                               (void *)(uintptr_t)random_next(&seed));
        else if (random_next(&seed) % 4 == 0)
            expect_ok(hx_task_kill(*one));
        else
            expect_ok(hx_task_set_priority(*one, (uint8_t)(1 + random_next(&seed) % 250)));
        hal_host_advance(random_next(&seed) % 500);
    }
    for (size_t i = 0; i < HX_ARRAY_SIZE(task); i++)
        if (hx_task_of(task[i]))
            expect_ok(hx_task_kill(task[i]));
    cr_assert_gt(crowd.entered, 1000);
    cr_assert_gt(crowd.orphans, 100);
    end();
}
