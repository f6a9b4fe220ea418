/* SPDX-License-Identifier: MIT */
/*
 * policy_fixture.h - a policy for tests of the scheduler's core: a first-in-first-out queue of plain functions behind the slot,
 * which writes down every call and can be made to answer otherwise.
 */
#pragma once
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

static inline char letter(hx_handle_t task)
{
    const struct hx_task *live = hx_task_of(task);
    char *name = &policy.name[hx_handle_index(task) % HX_TASKS_MAX][hx_handle_generation(task) % 16];
    if (task == HX_HANDLE_NONE)
        return '-';
    if (live)
        *name = live->name[0];
    return *name ? *name : '?';
}

static inline bool queue_remove(hx_handle_t task)
{
    for (uint32_t i = 0; i < policy.queued; i++)
        if (policy.queue[i] == task) {
            memmove(&policy.queue[i], &policy.queue[i + 1], (--policy.queued - i) * sizeof(policy.queue[0]));
            return true;
        }
    return false;
}

static inline void queue_add(hx_handle_t task)
{
    (void)queue_remove(task);
    cr_assert_lt(policy.queued, QUEUE);
    policy.queue[policy.queued++] = task;
}

static inline void check_context(void)
{
    cr_assert(hx_irq_enabled(), "an operation was called with interrupts off");
    cr_assert_gt(hx_cpu_read(preempt_off), 0, "an operation was called with preemption on");
    cr_assert_not(policy.inside, "operations nest");
    cr_assert_eq(hx_cpu_read(irq_depth), 0, "an operation was called in an interrupt");
}

static inline void once(void (**hook)(void))
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

static inline hx_ret_t policy_ready(uint64_t task, uint64_t priority, uint64_t reason)
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

static inline hx_ret_t policy_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
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

static inline hx_ret_t policy_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
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

static inline hx_ret_t policy_tick(uint64_t task, uint64_t ran_ns)
{
    check_context();
    cr_assert_eq(task, hx_task_current()->handle);
    if (!policy.quiet)
        note("tick:%c/%llu", letter(task), (unsigned long long)ran_ns);
    once(&policy.in_tick);
    fault_if(&policy.fault_in_tick);
    return policy.tick_answer;
}

static inline hx_ret_t policy_remove(uint64_t task)
{
    check_context();
    if (!policy.quiet)
        note("remove:%c", letter(task));
    fault_if(&policy.fault_in_remove);
    return queue_remove(task) ? HX_OK : HX_E_NOENT;
}

static inline hx_ret_t policy_adjust(uint64_t task, uint64_t priority)
{
    check_context();
    if (!policy.quiet)
        note("adjust:%c/%llu", letter(task), (unsigned long long)priority);
    fault_if(&policy.fault_in_adjust);
    return HX_OK;
}

#define SCHED_SLOT (&hx_slots[HX_SLOT_hx_sched])

/* The rule of kernel/interrupts, without it. */
static inline void on_trap(struct hx_trap *trap)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    if (!frame || hx_hal_ip_in_core(hx_hal_trap_ip(trap)) || !hx_gate_may_unwind(frame)) {
        fprintf(stderr, "test_sched: fault at %p\n", (void *)hx_hal_trap_ip(trap));
        abort();
    }
    hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
}

static inline void policy_open(void)
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

static inline void start_with_policy(void)
{
    machine_start();
    policy_open();
}

static inline struct hx_sched_stats stats(void)
{
    struct hx_sched_stats now;
    hx_sched_stats(&now);
    return now;
}

static inline void stop_checked(void)
{
    machine_stop();
    cr_assert_eq(hx_slot_inside(SCHED_SLOT), 0);
}

/* ---- what tasks do ----------------------------------------------------------------------------------------------------- */
/* Yields as often as the argument says and notes each turn. */
static inline hx_status_t turns(void *argument)
{
    for (intptr_t i = (intptr_t)argument; i > 0; i--) {
        note("%s", me());
        hx_task_yield();
    }
    note("%s.", me());
    return HX_OK;
}

/* Runs for as many nanoseconds, then ends. */
static inline hx_status_t burn(void *argument)
{
    hal_host_advance((uint64_t)(uintptr_t)argument);
    note("%s.", me());
    return HX_OK;
}

static inline hx_status_t sleep_then_end(void *argument)
{
    expect_ok(sleep_ns((uint64_t)(uintptr_t)argument));
    note("%s.", me());
    return HX_OK;
}

static struct hx_waitq gate = HX_WAITQ_INIT(gate);
static bool gate_open;

static inline bool is_open(void *context)
{
    (void)context;
    return gate_open;
}

static inline hx_status_t wait_at_gate(void *argument)
{
    (void)argument;
    (void)!hx_waitq_wait(&gate, is_open, NULL, UINT64_MAX);
    note("%s.", me());
    return HX_OK;
}

static inline hx_status_t wake_gate(void *argument)
{
    (void)argument;
    note("wake");
    gate_open = true;
    hx_waitq_wake_all(&gate);
    note("woke");
    return HX_OK;
}

/* Several at once: none runs before all are there. */
static inline void spawn_letters(const char *letters, hx_status_t (*body)(void *argument), void *argument)
{
    hx_preempt_disable();
    for (; *letters; letters++)
        spawn((char[]){ *letters, 0 }, body, argument);
    hx_preempt_enable();
}
