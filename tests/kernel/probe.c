/* SPDX-License-Identifier: MIT */
/*
 * probe.c - asking the CPU what it allows: data through hx_hal_copy(), instructions through a gate that unwinds.
 */
#include "selftest.h"

#include <gate/gate.h>
#include <interrupts/exception.h>
#include <lib/fmt.h>
#include <string.h>

extern const uint8_t selftest_code_start[], selftest_code_end[]; /* module_code.S */
extern const uint32_t selftest_code_offsets[OP_COUNT];

static struct hx_gate_vtable vtable;
static struct hx_slot *slot;
static char last_fault[96];

bool can_read(uintptr_t va)
{
    uint8_t byte;

    return hx_hal_copy(&byte, (const void *)va, 1) == HX_OK;
}

bool can_write(uintptr_t va)
{
    uint8_t byte;

    return hx_hal_copy(&byte, (const void *)va, 1) == HX_OK && hx_hal_copy((void *)va, &byte, 1) == HX_OK;
}

bool can_run(uintptr_t va)
{
    return module_call(OP_JUMP, va, 0) == HX_OK;
}

static void on_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    (void)frame, (void)backtrace;
    hx_fmt(last_fault, sizeof(last_fault), "%s", description);
}

hx_status_t selftest_module_init(void)
{
    uintptr_t code_va;
    hx_status_t err = hx_hal_image_alloc(HX_PAGE_BYTES, &code_va);

    if (err)
        return err;
    slot = hx_slot_create("selftest", HX_SLOT_KIND_HOOKS, false);
    if (!slot)
        return HX_E_LIMIT;
    memcpy((void *)code_va, selftest_code_start, (size_t)(selftest_code_end - selftest_code_start));
    hx_hal_image_protect(code_va, HX_PAGE_BYTES, HX_PROT_RX);
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = i < OP_COUNT ? (const void *)(code_va + selftest_code_offsets[i])
                                    : (const void *)(uintptr_t)hx_gate_op_unsupported;
    hx_slot_publish(slot, &vtable, NULL);
    hx_exception_bind(on_fault);
    return HX_OK;
}

hx_ret_t module_call(enum module_op op, uint64_t a, uint64_t b)
{
    return hx_gate_call(slot, op, a, b, 0, 0);
}

bool module_is_unwound(enum module_op op, uint64_t a, uint64_t b, const char *fault)
{
    uint64_t calls = hx_slot_calls(slot), unwound = hx_exception_unwound();

    last_fault[0] = '\0';
    EXPECT(hx_irq_enabled());
    EXPECT(module_call(op, a, b) == HX_E_FAULT);
    EXPECT(hx_irq_enabled());
    EXPECT_TEXT(last_fault, fault);
    EXPECT(hx_exception_unwound() == unwound + 1);
    EXPECT(!hx_gate_frame());
    EXPECT(hx_slot_inside(slot) == 0 && hx_slot_calls(slot) == calls + 1);
    EXPECT(hx_cpu_read(irq_depth) == 0 && hx_cpu_read(preempt_off) == 0);
    return true;
}
