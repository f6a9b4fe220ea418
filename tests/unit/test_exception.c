/* SPDX-License-Identifier: MIT */
/* test_exception.c - what is a module's fault, and what is not. */
#include "../host/hal_host.h"

#include <criterion/criterion.h>
#include <gate/gate.h>
#include <interrupts/exception.h>
#include <orchestrator/panic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static uint32_t told;

static void on_module_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    (void)frame, (void)description, (void)backtrace;
    told++;
}

static void on_end(enum hal_host_end how, uint32_t code)
{
    (void)how, (void)code;
    exit(strstr(hal_host_console(), "panic") || strstr(hal_host_console(), "PANIC") ? 42 : 43);
}

static const volatile uint8_t *volatile nowhere;
static int raised;
static struct hx_gate_frame *spoiled;

HAL_HOST_MODULE static hx_ret_t fault(void)
{
    return *nowhere;
}

HAL_HOST_MODULE static hx_ret_t be_interrupted(void)
{
    raise(raised);
    return 7;
}

/* What a module that overran its stack may have done to its frame. */
HAL_HOST_MODULE static hx_ret_t spoil_slot(void)
{
    spoiled = hx_cpu_read(frame);
    spoiled->slot = (struct hx_slot *)((uintptr_t)spoiled->slot + 4);
    return *nowhere;
}

HAL_HOST_MODULE static hx_ret_t spoil_prev(void)
{
    spoiled = hx_cpu_read(frame);
    spoiled->prev = (struct hx_gate_frame *)0x10;
    return *nowhere;
}

static hx_ret_t call(hx_ret_t (*operation)(void))
{
    static struct hx_gate_vtable vtable;
    struct hx_slot *slot = &hx_slots[HX_SLOT_hx_rtc];
    hal_host_init();
    hx_gate_init();
    hx_exception_bind(on_module_fault);
    hal_host_on_end = on_end;
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)operation;
    hx_slot_publish(slot, &vtable, NULL);
    return hx_gate_call(slot, 0, 0, 0, 0, 0);
}

Test(exception, a_modules_fault_is_its_callers_error)
{
    cr_assert_eq(call(fault), HX_E_FAULT);
    cr_assert_eq(told, 1);
    cr_assert_eq(hx_exception_unwound(), 1);
    cr_assert_null(hx_gate_frame());
}

Test(exception, an_nmi_in_a_module_is_counted_and_said_and_not_its_fault)
{
    raised = SIGUSR1;
    cr_assert_eq(call(be_interrupted), 7);
    cr_assert_eq(told, 0);
    cr_assert_eq(hx_exception_unwound(), 0);
    cr_assert_eq(hx_exception_nmis(), 1);
    cr_assert(strstr(hal_host_console(), "NMI"));
}

Test(exception, an_nmi_outside_every_module_is_survived_and_a_storm_does_not_flood)
{
    hal_host_init();
    hx_gate_init();
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    cr_assert_eq(hx_exception_nmis(), 1000);
    uint32_t lines = 0;
    for (const char *at = hal_host_console(); (at = strstr(at, "NMI")); at++)
        lines++;
    cr_assert_eq(lines, 10);
}

Test(exception, a_machine_check_in_a_module_is_a_panic, .exit_code = 42)
{
    raised = SIGUSR2;
    (void)call(be_interrupted);
}

Test(exception, a_frame_whose_slot_is_spoiled_is_not_unwound, .exit_code = 42)
{
    (void)call(spoil_slot);
}

Test(exception, a_frame_whose_predecessor_is_spoiled_is_not_unwound, .exit_code = 42)
{
    (void)call(spoil_prev);
}

static struct hx_gate_frame *beyond(uintptr_t off)
{
    uintptr_t low = 0, high = 0;
    hx_hal_stack_bounds(&low, &high);
    return (struct hx_gate_frame *)(high + off);
}

Test(exception, only_a_whole_frame_on_this_stack_may_be_unwound)
{
    struct hx_gate_frame frame = { .slot = &hx_slots[HX_SLOTS_MAX - 1] };
    hal_host_init();
    hx_gate_init();
    cr_assert(hx_gate_may_unwind(&frame));
    frame.slot = &hx_slots[HX_SLOTS_MAX];
    cr_assert_not(hx_gate_may_unwind(&frame));
    frame.slot = &hx_slots[0] - 1;
    cr_assert_not(hx_gate_may_unwind(&frame));
    frame.slot = NULL;
    cr_assert_not(hx_gate_may_unwind(&frame));
    frame.slot = hx_slots;
    frame.prev = &frame;
    cr_assert_not(hx_gate_may_unwind(&frame), "a chain that bites its tail");
    frame.prev = NULL;
    frame.in_import = 1;
    cr_assert_not(hx_gate_may_unwind(&frame));
    cr_assert_not(hx_gate_may_unwind(beyond(0)));
    cr_assert_not(hx_gate_may_unwind(beyond(4096)), "above the stack");
    cr_assert_not(hx_gate_may_unwind(beyond(-(uintptr_t)8)), "half of it above the stack");
}
