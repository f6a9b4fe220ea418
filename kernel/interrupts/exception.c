/* SPDX-License-Identifier: MIT */
/* exception.c - see exception.h. */
#include "exception.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <orchestrator/panic.h>

static hx_module_fault_fn module_fault;
static uint64_t unwound;
static uint64_t nmis;

void hx_exception_bind(hx_module_fault_fn on_module_fault)
{
    module_fault = on_module_fault;
}

uint64_t hx_exception_unwound(void)
{
    return unwound;
}

uint64_t hx_exception_nmis(void)
{
    return nmis;
}

/* Whoever was interrupted may hold any lock, so none is taken; a storm is said at each doubling. */
static void count_nmi(void)
{
    char line[64];
    nmis++;
    if (nmis & (nmis - 1))
        return;
    size_t bytes =
        hx_fmt(line, sizeof(line), "\r\nNMI: the hardware reports an error, %llu so far\r\n", (unsigned long long)nmis);
    hx_hal_console_emergency(line, bytes);
}

void hx_entry_trap(struct hx_trap *trap)
{
    char description[96];
    enum hx_trap_kind kind = hx_hal_trap_kind(trap);
    if (kind == HX_TRAP_KIND_NMI) {
        count_nmi();
        return;
    }
    hx_hal_trap_describe(trap, description, sizeof(description));
    struct hx_gate_frame *frame = hx_gate_frame();
    if (kind == HX_TRAP_KIND_MACHINE_CHECK || !frame || hx_hal_ip_in_core(hx_hal_trap_ip(trap)) ||
        !hx_gate_may_unwind(frame))
        hx_panic(trap, "%s", description);
    unwound++;
    if (module_fault)
        module_fault(frame, description);
    hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
}
