/* SPDX-License-Identifier: MIT */
/* exception.c - see exception.h. */
#include "exception.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <module/where.h>
#include <orchestrator/panic.h>
#include <orchestrator/record.h>
#include <string.h>

#include "hang.h"

enum { BACKTRACE_MAX = 16, DESCRIPTION_BYTES = 96, WHERE_BYTES = 80, BACKTRACE_BYTES = 192 };

static hx_module_fault_fn module_fault;
static uint64_t unwound;
static uint64_t nmis;

void hx_exception_bind(hx_module_fault_fn on_module_fault)
{
    module_fault = on_module_fault;
}

uint64_t hx_exception_unwound(void)
{
    return __atomic_load_n(&unwound, __ATOMIC_RELAXED);
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

/* "f+0x4/0x40 (module)" of code that is not the core's: of the version that was called, which nobody else may know yet, or
 * of any other. Returns the length. */
static size_t name_code(uintptr_t ip, bool is_return, char *text, size_t bytes)
{
    struct hx_where where;
    uintptr_t va = ip - is_return;
    size_t length = 0;
    hx_irq_flags_t flags = hx_module_registry_lock();
    if (hx_where_in(hx_module_calling(), va, &where) || hx_where_in(hx_module_version_at(va), va, &where))
        length = hx_label_text(&where.label, ip, where.version->module->name, text, bytes);
    hx_module_registry_unlock(flags);
    return length;
}

/* The innermost function outside of the core, then all of them down to where the core called the module. A call to nowhere
 * has no name; who made it has. */
static void trace(const struct hx_trap *trap, char where[WHERE_BYTES], char backtrace[BACKTRACE_BYTES])
{
    uintptr_t ip[BACKTRACE_MAX];
    char name[WHERE_BYTES];
    size_t used = 0, i = 0, count = hx_hal_backtrace(trap, ip, BACKTRACE_MAX);
    where[0] = backtrace[0] = '\0';
    while (!trap && i < count && hx_hal_ip_in_core(ip[i]))
        i++;
    for (; i < count && !hx_hal_ip_in_core(ip[i]); i++) {
        if (!name_code(ip[i], i > 0, name, sizeof(name)))
            continue;
        if (!used)
            memcpy(where, name, sizeof(name));
        used = hx_fmt_append(backtrace, BACKTRACE_BYTES, used, "%s%s", used ? " < " : "", name);
    }
}

void hx_exception_tell(const struct hx_trap *trap, const struct hx_gate_frame *frame, const char *what)
{
    char where[WHERE_BYTES], backtrace[BACKTRACE_BYTES], description[DESCRIPTION_BYTES + WHERE_BYTES];
    (void)__atomic_add_fetch(&unwound, 1, __ATOMIC_RELAXED);
    if (!module_fault)
        return;
    trace(trap, where, backtrace);
    hx_fmt(description, sizeof(description), "%s%s%s", what, where[0] ? " in " : "", where);
    module_fault(frame, description, backtrace);
}

bool hx_exception_is_modules(const struct hx_trap *trap, const struct hx_gate_frame *frame)
{
    if (!frame || !hx_gate_may_unwind(frame))
        return false;
    return hx_hal_trap_kind(trap) == HX_TRAP_KIND_STEP || !hx_hal_ip_in_core(hx_hal_trap_ip(trap));
}

void hx_entry_trap(struct hx_trap *trap)
{
    char description[DESCRIPTION_BYTES];
    enum hx_trap_kind kind = hx_hal_trap_kind(trap);
    if (kind == HX_TRAP_KIND_NMI) {
        count_nmi();
        return;
    }
    if (kind == HX_TRAP_KIND_PROBE) {
        hx_hang_probed(trap);
        return;
    }
    hx_hal_trap_describe(trap, description, sizeof(description));
    struct hx_gate_frame *frame = hx_gate_frame();
    if (kind == HX_TRAP_KIND_MACHINE_CHECK || !hx_exception_is_modules(trap, frame))
        hx_panic(trap, "%s", description);
    hx_exception_tell(trap, frame, description);
    hx_record_drop(frame);
    hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
}
