/* SPDX-License-Identifier: MIT */
/* test_hang.c - whose ticks are counted, when a call has had too many, and what becomes of it. */
#include "../host/hal_host.h"

#include <criterion/criterion.h>
#include <gate/gate.h>
#include <hal/hx_hal_entry.h>
#include <interrupts/exception.h>
#include <interrupts/hang.h>
#include <signal.h>
#include <string.h>

static uint32_t told, delivered, step = 1;
static char said[128];

static void on_module_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    (void)frame, (void)backtrace;
    told++;
    strncpy(said, description, sizeof(said) - 1);
}

/* A signal stands for the timer's interrupt. */
static void on_timer(struct hx_trap *trap)
{
    struct hx_cpu *cpu = hx_cpu_read(self);
    cpu->ticks += step;
    delivered++;
    hx_entry_tick(trap);
}

HAL_HOST_MODULE static hx_ret_t loop(void)
{
    while (raise(SIGUSR1) == 0)
        ;
    return 7;
}

HAL_HOST_MODULE static hx_ret_t thousand(void)
{
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    return 7;
}

/* As an import would, and its return. */
HAL_HOST_MODULE static hx_ret_t loop_in_import(void)
{
    struct hx_gate_frame *frame = hx_cpu_read(frame);
    frame->in_import = 1;
    while (!frame->kill_pending)
        raise(SIGUSR1);
    frame->in_import = 0;
    hx_gate_killed();
}

static const struct hx_gate_policy policy = { .hung = hx_hang_ended };

static hx_ret_t call_in(struct hx_slot *slot, hx_ret_t (*operation)(void))
{
    static struct hx_gate_vtable vtable;
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)operation;
    hx_slot_publish(slot, &vtable, NULL);
    return hx_gate_call(slot, 0, 0, 0, 0, 0);
}

static void start(void)
{
    hal_host_init();
    hx_gate_init();
    hx_gate_bind(&policy);
    hx_exception_bind(on_module_fault);
    hal_host_on_trap = on_timer;
}

Test(hang, a_call_that_does_not_end_is_unwound_when_its_ticks_are_used_up)
{
    start();
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS);
    cr_assert_eq(told, 1);
    cr_assert(strstr(said, "hang: 200 ms"), "%s", said);
    cr_assert_null(hx_gate_frame());
    cr_assert_eq(hx_slot_inside(&hx_slots[HX_SLOT_hx_kv]), 0);
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_sched], loop), HX_E_FAULT, "each call counts for itself");
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS + HX_HANG_ATOMIC_TICKS);
}

Test(hang, interrupts_that_are_no_ticks_blame_nobody)
{
    start();
    step = 0;
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], thousand), 7);
    cr_assert_eq(told, 0);
}

Test(hang, in_an_import_the_call_ends_when_it_returns_and_the_import_is_named)
{
    start();
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop_in_import), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS);
    cr_assert_eq(told, 1);
    cr_assert(strstr(said, "hang: 200 ms, at last in hx_log"), "%s", said);
    cr_assert_null(hx_gate_frame());
}

Test(hang, a_tick_outside_of_every_module_is_nobodys)
{
    start();
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    cr_assert_eq(told, 0);
}
