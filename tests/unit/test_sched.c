/* SPDX-License-Identifier: MIT */
/*
 * test_sched.c - what the core asks a policy, tells it, and makes of its answers.
 *
 * The policy is a first-in-first-out queue of plain functions behind the slot, which writes down every call and can be made
 * to answer otherwise.
 */
#include "task_fixture.h"

#include <hal/hx_hal_entry.h>

/* ---- the policy ------------------------------------------------------------------------------------------------------ */
enum { QUEUE = 64 };

static struct {
    hx_handle_t queue[QUEUE];
    uint32_t queued;
    char name[HX_TASKS_MAX][16]; /* by index and end of the generation: tasks are called by one letter */
    bool quiet;                  /* nothing is written down */
    bool eager;                  /* what becomes ready should run at once */
    bool patient;                /* what becomes ready may be told later */
    bool old;                    /* it has no turn */
    bool fault_in_pick, fault_in_ready, fault_in_tick, fault_in_remove, fault_in_adjust;
    hx_ret_t ready_answer; /* negative: given by ready in place of its own */
    hx_ret_t tick_answer;
    uint64_t answers; /* pick's next answers, one bit each, that are wrong_answer */
    hx_ret_t wrong_answer;
    hx_handle_t favourite; /* chosen whenever it is queued */
    bool inside;           /* in something that lets time pass */
    void (*in_pick)(void); /* called once, in the next pick */
    void (*in_ready)(void);
    void (*in_tick)(void);
} policy;

static struct hx_gate_vtable policy_vtable;

static char letter(hx_handle_t task)
{
    const struct hx_task *live = hx_task_of(task);
    char *name = &policy.name[hx_handle_index(task) % HX_TASKS_MAX][hx_handle_generation(task) % 16];
    if (task == HX_HANDLE_NONE)
        return '-';
    if (live)
        *name = live->name[0];
    return *name ? *name : '?';
}

static bool queue_remove(hx_handle_t task)
{
    for (uint32_t i = 0; i < policy.queued; i++)
        if (policy.queue[i] == task) {
            memmove(&policy.queue[i], &policy.queue[i + 1], (--policy.queued - i) * sizeof(policy.queue[0]));
            return true;
        }
    return false;
}

static void queue_add(hx_handle_t task)
{
    (void)queue_remove(task);
    cr_assert_lt(policy.queued, QUEUE);
    policy.queue[policy.queued++] = task;
}

static void check_context(void)
{
    cr_assert(hx_irq_enabled(), "an operation was called with interrupts off");
    cr_assert_gt(hx_cpu_read(preempt_off), 0, "an operation was called with preemption on");
    cr_assert_not(policy.inside, "operations nest");
    cr_assert_eq(hx_cpu_read(irq_depth), 0, "an operation was called in an interrupt");
}

static void once(void (**hook)(void))
{
    void (*function)(void) = *hook;
    *hook = NULL;
    policy.inside = true;
    if (function)
        function();
    policy.inside = false;
}

HAL_HOST_MODULE static void fault_if(bool *wanted)
{
    if (*wanted) {
        *wanted = false;
        (void)*(volatile int *)NULL;
    }
}

static const char *const reasons[] = { "new", "woken", "preempt", "yield", "block", "exit" };

static hx_ret_t policy_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    check_context();
    cr_assert_leq(reason, HX_SCHED_WOKEN);
    cr_assert_eq(priority, hx_task_of(task)->priority);
    if (!policy.quiet)
        note("+%c/%s", letter(task), reasons[reason]);
    once(&policy.in_ready);
    fault_if(&policy.fault_in_ready);
    if (policy.ready_answer < 0)
        return policy.ready_answer;
    queue_add(task);
    return policy.eager ? HX_SCHED_REPLACE : policy.patient ? HX_SCHED_LATER : HX_SCHED_STAY;
}

static hx_ret_t policy_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    check_context();
    (void)now_ns;
    cr_assert(reason >= HX_SCHED_PREEMPT && reason <= HX_SCHED_EXIT);
    if (reason == HX_SCHED_EXIT)
        cr_assert_null(hx_task_of(prev), "an exited task's handle is stale");
    char before = letter(prev);
    if (prev != HX_HANDLE_NONE && reason <= HX_SCHED_YIELD)
        queue_add(prev);
    else
        (void)queue_remove(prev);
    fault_if(&policy.fault_in_pick);
    hx_handle_t next = HX_HANDLE_NONE;
    if (policy.favourite && queue_remove(policy.favourite)) {
        next = policy.favourite;
    } else if (policy.queued) {
        next = policy.queue[0];
        (void)queue_remove(next);
    }
    bool wrong = policy.answers & 1;
    policy.answers >>= 1;
    if (wrong && next != HX_HANDLE_NONE)
        queue_add(next);
    hx_ret_t answer = wrong ? policy.wrong_answer : (hx_ret_t)next;
    if (!policy.quiet)
        note("%c/%s/%llu>%c", before, reasons[reason], (unsigned long long)ran_ns,
             answer < 0 ? '!' : letter((hx_handle_t)answer));
    once(&policy.in_pick);
    return answer;
}

static hx_ret_t policy_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                            uint64_t priority)
{
    cr_assert_eq(priority, hx_task_of(woken)->priority);
    cr_assert(reason == HX_SCHED_BLOCK || reason == HX_SCHED_YIELD);
    cr_assert_neq(prev, woken);
    if (!policy.quiet)
        note("++%c", letter(woken));
    queue_add(woken);
    return policy_pick(prev, reason, ran_ns, now_ns);
}

static hx_ret_t policy_tick(uint64_t task, uint64_t ran_ns)
{
    check_context();
    cr_assert_eq(task, hx_task_current()->handle);
    if (!policy.quiet)
        note("tick:%c/%llu", letter(task), (unsigned long long)ran_ns);
    once(&policy.in_tick);
    fault_if(&policy.fault_in_tick);
    return policy.tick_answer;
}

static hx_ret_t policy_remove(uint64_t task)
{
    check_context();
    if (!policy.quiet)
        note("remove:%c", letter(task));
    fault_if(&policy.fault_in_remove);
    return queue_remove(task) ? HX_OK : HX_E_NOENT;
}

static hx_ret_t policy_adjust(uint64_t task, uint64_t priority)
{
    check_context();
    if (!policy.quiet)
        note("adjust:%c/%llu", letter(task), (unsigned long long)priority);
    fault_if(&policy.fault_in_adjust);
    return HX_OK;
}

#define SCHED_SLOT (&hx_slots[HX_SLOT_hx_sched])

/* The rule of kernel/interrupts, without it. */
static void on_trap(struct hx_trap *trap)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    if (!frame || hx_hal_ip_in_core(hx_hal_trap_ip(trap)) || !hx_gate_may_unwind(frame)) {
        fprintf(stderr, "test_sched: fault at %p\n", (void *)hx_hal_trap_ip(trap));
        abort();
    }
    hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
}

static void policy_open(void)
{
    const void *ops[] = { (const void *)(uintptr_t)policy_ready,  (const void *)(uintptr_t)policy_pick,
                          (const void *)(uintptr_t)policy_tick,   (const void *)(uintptr_t)policy_remove,
                          (const void *)(uintptr_t)policy_adjust, (const void *)(uintptr_t)hx_gate_op_unsupported,
                          (const void *)(uintptr_t)policy_turn };
    for (size_t i = 0; i < HX_OPS_MAX; i++)
        policy_vtable.op[i] = i < HX_ARRAY_SIZE(ops) ? ops[i] : (const void *)(uintptr_t)hx_gate_op_unsupported;
    if (policy.old)
        policy_vtable.op[6] = (const void *)(uintptr_t)hx_gate_op_unsupported;
    hal_host_on_trap = on_trap;
    hx_slot_publish(SCHED_SLOT, &policy_vtable, NULL);
}

static void start_with_policy(void)
{
    machine_start();
    policy_open();
}

static struct hx_sched_stats stats(void)
{
    struct hx_sched_stats now;
    hx_sched_stats(&now);
    return now;
}

static void stop_checked(void)
{
    machine_stop();
    cr_assert_eq(hx_slot_inside(SCHED_SLOT), 0);
}

/* ---- what tasks do ----------------------------------------------------------------------------------------------------- */
/* Yields as often as the argument says and notes each turn. */
static hx_status_t turns(void *argument)
{
    for (intptr_t i = (intptr_t)argument; i > 0; i--) {
        note("%s", me());
        hx_task_yield();
    }
    note("%s.", me());
    return HX_OK;
}

/* Runs for as many nanoseconds, then ends. */
static hx_status_t burn(void *argument)
{
    hal_host_advance((uint64_t)(uintptr_t)argument);
    note("%s.", me());
    return HX_OK;
}

static hx_status_t sleep_then_end(void *argument)
{
    expect_ok(sleep_ns((uint64_t)(uintptr_t)argument));
    note("%s.", me());
    return HX_OK;
}

static struct hx_waitq gate = HX_WAITQ_INIT(gate);
static bool gate_open;

static bool is_open(void *context)
{
    (void)context;
    return gate_open;
}

static hx_status_t wait_at_gate(void *argument)
{
    (void)argument;
    (void)!hx_waitq_wait(&gate, is_open, NULL, UINT64_MAX);
    note("%s.", me());
    return HX_OK;
}

/* Several at once: none runs before all are there. */
static void spawn_letters(const char *letters, hx_status_t (*body)(void *argument), void *argument)
{
    hx_preempt_disable();
    for (; *letters; letters++)
        spawn((char[]){ *letters, 0 }, body, argument);
    hx_preempt_enable();
}

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

static hx_status_t wake_gate(void *argument)
{
    (void)argument;
    note("wake");
    gate_open = true;
    hx_waitq_wake_all(&gate);
    note("woke");
    return HX_OK;
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

/* ---- wakes that are told later ----------------------------------------------------------------------------------------- */
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

Test(sched, a_wake_is_told_with_the_question_of_the_stop_that_follows)
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

Test(sched, a_wake_is_told_with_the_question_of_a_yield)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_yield, NULL);
    expect_trace("+a/new -/block/0>a wake woke ++w a/yield/0>w w. w/exit/0>a a. a/exit/0>-");
    stop_checked();
}

Test(sched, a_policy_may_choose_another_than_the_one_told_with_the_question)
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

Test(sched, a_second_wake_has_both_told_at_once_in_order)
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

Test(sched, a_wake_of_higher_priority_is_told_at_once)
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

Test(sched, a_wake_is_told_before_the_tick_at_the_latest)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_burn, (void *)3000000);
    expect_trace("+a/new -/block/0>a wake woke +w/woken tick:a/2000000 a. a/exit/3000000>w w. w/exit/0>-");
    stop_checked();
}

Test(sched, a_wake_is_told_when_a_core_task_has_interrupted)
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

Test(sched, who_is_killed_before_his_wake_is_told_is_removed_as_one_who_waits)
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

Test(sched, who_is_killed_while_he_waits_or_sleeps_is_removed)
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

Test(sched, a_policy_without_turn_gets_two_calls)
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

Test(sched, a_closed_slot_has_not_heard_of_the_wake)
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

Test(sched, a_fault_in_the_question_that_tells_of_a_wake_loses_nobody)
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

Test(sched, an_announcement_tells_of_what_was_to_be_told_later)
{
    start_with_patient_policy();
    spawn_letters("w", wait_at_gate, NULL);
    (void)noted();
    spawn_letters("a", wake_gate_and_announce, NULL);
    expect_trace("+a/new -/block/0>a wake woke adjust:a/100 +w/woken a/exit/0>w w. w/exit/0>-");
    stop_checked();
}

Test(sched, another_policy_is_told_at_once_until_it_says_otherwise)
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

Test(sched, a_stale_handle_is_a_wrong_answer)
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

Test(sched, a_waiting_task_is_a_wrong_answer)
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

Test(sched, a_core_task_is_a_wrong_answer)
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

Test(sched, the_task_that_just_stopped_to_wait_is_a_wrong_answer)
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

Test(sched, none_while_one_is_ready_is_a_wrong_answer)
{
    start_with_policy();
    expect_one_bad_answer((hx_ret_t)HX_HANDLE_NONE, "+a/new +b/new -/block/0>a a a/yield/0>- remove:a adjust:a/100 a. "
                                                    "a/exit/0>b b b/yield/0>b b. b/exit/0>-");
}

Test(sched, an_error_is_a_wrong_answer)
{
    start_with_policy();
    expect_one_bad_answer(HX_E_CORRUPT, "+a/new +b/new -/block/0>a a a/yield/0>! remove:a adjust:a/100 a. "
                                        "a/exit/0>b b b/yield/0>b b. b/exit/0>-");
}

Test(sched, after_an_error_the_policy_is_told_again_of_the_task_that_yielded)
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

Test(sched, numbers_that_are_no_handles_are_wrong_answers)
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

Test(sched, only_wrong_answers_are_only_fallbacks)
{
    start_with_policy();
    policy.quiet = true;
    policy.wrong_answer = HX_E_INTERNAL;
    policy.answers = UINT64_MAX;
    spawn_letters("abc", turns, (void *)2);
    expect_trace("a b c a b c a. b. c.");
    stop_checked();
}

Test(sched, a_ready_that_fails_is_repeated_and_the_core_decides_meanwhile)
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
Test(sched, a_fault_in_pick_is_a_wrong_answer)
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

Test(sched, a_fault_in_the_question_of_a_yield_loses_no_task)
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

Test(sched, a_fault_in_ready_or_tick_is_survived)
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

Test(sched, a_fault_in_remove_or_adjust_is_survived)
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

/* ---- closed, failed and new policies ------------------------------------------------------------------------------------ */
Test(sched, while_the_slot_is_closed_the_core_decides_and_the_policy_is_told_later)
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

Test(sched, wakes_in_the_closed_window_are_told_when_it_opens)
{
    start_with_policy();
    spawn_letters("wv", wait_at_gate, NULL);
    (void)noted();
    spawn_core("c", 1, close_and_reopen, NULL);
    expect_trace("close open +w/woken +v/woken -/block/0>w w. w/exit/0>v v. v/exit/0>-");
    cr_assert_eq(stats().fallbacks, 0);
    stop_checked();
}

Test(sched, a_slot_that_closes_under_the_policy_leaves_the_books_right)
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

Test(sched, what_yielded_while_the_slot_was_closed_is_told_after_it)
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

Test(sched, after_a_revert_the_policy_is_put_right_without_blame)
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

Test(sched, a_first_policy_is_told_of_all_ready_tasks_in_order)
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

Test(sched, a_policy_that_went_away_leaves_everything_to_be_told_to_the_next)
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

Test(sched, a_task_that_the_policy_never_chooses_gets_a_turn_after_a_second)
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

/* ---- all of it ---------------------------------------------------------------------------------------------------------- */
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

Test(sched, random_tasks_under_an_honest_policy_need_no_fallback)
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

Test(sched, random_tasks_under_a_policy_that_lies_faults_and_vanishes_all_come_to_their_end)
{
    start_with_policy();
    for (uint64_t seed = 1; seed <= 40; seed++)
        stress(seed * 0xd1342543de82ef95u, true);
    cr_assert_gt(stats().bad_answers, 100);
    cr_assert_gt(stats().fallbacks, 100);
    stop_checked();
}
