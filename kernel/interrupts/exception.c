/* SPDX-License-Identifier: MIT */
/* exception.c - see exception.h. */
#include "exception.h"

#include <hal/hx_hal_entry.h>
#include <orchestrator/panic.h>

static hx_module_fault_fn module_fault;
static uint64_t unwound;

void hx_exception_bind(hx_module_fault_fn on_module_fault)
{
    module_fault = on_module_fault;
}

uint64_t hx_exception_unwound(void)
{
    return unwound;
}

void hx_entry_trap(struct hx_trap *trap)
{
    char description[96];
    hx_hal_trap_describe(trap, description, sizeof(description));
    struct hx_gate_frame *frame = hx_gate_frame();
    if (!frame || hx_hal_ip_in_core(hx_hal_trap_ip(trap)) || !hx_gate_may_unwind(frame))
        hx_panic(trap, "%s", description);
    unwound++;
    if (module_fault)
        module_fault(frame, description);
    hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
}
