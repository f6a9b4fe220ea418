/* SPDX-License-Identifier: MIT */
/*
 * trap_text.c - what the core may ask of a trap, and do to it: texts, addresses, a backtrace, where to go on.
 *
 * Context: any, NMI included; no allocation, no lock.   Source: Intel SDM vol. 3A, table 6-1 and 4.7.
 */
#include "percpu.h"
#include "trap.h"

#include <lib/fmt.h>
#include <mm/mm.h>

static const char *const names[HX_TRAP_COUNT] = {
    [0] = "divide error",
    [1] = "debug",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [6] = "invalid opcode",
    [7] = "x87, MMX or SSE instruction (kernel and modules are built without: -mgeneral-regs-only)",
    [8] = "double fault",
    [9] = "coprocessor segment overrun",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [13] = "general protection",
    [14] = "page fault",
    [16] = "x87 floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point exception",
    [20] = "virtualization exception",
    [21] = "control protection",
    [28] = "hypervisor injection",
    [29] = "VMM communication",
    [30] = "security exception",
};

enum hx_trap_kind hx_hal_trap_kind(const struct hx_trap *trap)
{
    switch (trap->vector) {
    case HX_TRAP_DB: return HX_TRAP_KIND_STEP;
    case HX_TRAP_NMI: return trap->is_probe ? HX_TRAP_KIND_PROBE : HX_TRAP_KIND_NMI;
    case HX_TRAP_MC: return HX_TRAP_KIND_MACHINE_CHECK;
    default: return HX_TRAP_KIND_FAULT;
    }
}

uintptr_t hx_hal_trap_ip(const struct hx_trap *trap)
{
    return trap->rip;
}

static bool is_stack_short(const struct hx_trap *trap)
{
    return trap->rip == (uint64_t)(uintptr_t)hx_gate_stack_short;
}

/* ---- texts ---------------------------------------------------------------------------------------------------------- */

static size_t describe_page_fault(const struct hx_trap *trap, char *text, size_t bytes)
{
    const char *access = trap->error & HX_PF_FETCH ? "execution" : trap->error & HX_PF_WRITE ? "write" : "read";
    const char *page = trap->error & HX_PF_FETCH ? "no-execute" : trap->error & HX_PF_WRITE ? "read-only" : "forbidden";
    if (!(trap->error & HX_PF_PRESENT))
        page = "unmapped";
    else if (trap->error & HX_PF_RESERVED_BIT)
        page = "malformed";
    else if (trap->error & HX_PF_PROTECTION_KEY)
        page = "key-protected";
    else if (trap->error & HX_PF_SHADOW_STACK)
        page = "shadow-stack";
    /* SMAP and SMEP: the page lies in the lower half, which is never the kernel's. */
    else if (!(trap->error & HX_PF_USER) && (int64_t)trap->cr2 >= 0)
        page = "user";
    return hx_fmt(text, bytes, "page fault: %s of %s 0x%llx%s", access, page, (unsigned long long)trap->cr2,
                  trap->error & HX_PF_USER ? " from ring 3" : "");
}

/* #TS #NP #SS #GP: SDM vol. 3A, figure 6-7. */
enum { SELECTOR_ERRORS = 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 };
enum { SELECTOR_EXTERNAL = 1 << 0, SELECTOR_IDT = 1 << 1, SELECTOR_LDT = 1 << 2 };

static size_t describe_selector(const struct hx_trap *trap, char *text, size_t bytes)
{
    uint32_t error = (uint32_t)trap->error;
    const char *when = error & SELECTOR_EXTERNAL ? " while an event was delivered" : "";
    if (error & SELECTOR_IDT)
        return hx_fmt(text, bytes, "%s, gate of vector %u%s", names[trap->vector], error >> 3, when);
    return hx_fmt(text, bytes, "%s, selector 0x%x of the %s%s", names[trap->vector], error & 0xfff8,
                  error & SELECTOR_LDT ? "LDT" : "GDT", when);
}

/* SDM vol. 3A, 6.15, interrupt 21; bit 15: in an enclave. */
static size_t describe_control(const struct hx_trap *trap, char *text, size_t bytes)
{
    static const char *const what[] = {
        "?", "near return", "far return or iret", "no endbranch", "rstorssp", "setssbsy"
    };
    uint64_t code = trap->error & 0x7fff;
    return hx_fmt(text, bytes, "%s: %s", names[HX_TRAP_CP], what[code < HX_ARRAY_SIZE(what) ? code : 0]);
}

size_t hx_hal_trap_describe(const struct hx_trap *trap, char *text, size_t bytes)
{
    uint64_t vector = trap->vector;
    size_t length = 0;
    if (is_stack_short(trap))
        length = hx_fmt(text, bytes, "stack overflow: too little left for a call");
    else if ((vector == HX_TRAP_PF || vector == HX_TRAP_DF) && hx_mm_is_stack_guard(trap->cr2))
        length = hx_fmt(text, bytes, "%s: stack overflow at 0x%llx", names[vector], (unsigned long long)trap->cr2);
    else if (vector == HX_TRAP_PF)
        length = describe_page_fault(trap, text, bytes);
    else if (vector >= HX_TRAP_COUNT)
        length = hx_fmt(text, bytes, "interrupt vector %u", (unsigned)vector);
    else if (!names[vector])
        length = hx_fmt(text, bytes, "reserved exception %u", (unsigned)vector);
    else if (SELECTOR_ERRORS >> vector & 1 && trap->error)
        length = describe_selector(trap, text, bytes);
    else if (vector == HX_TRAP_CP)
        length = describe_control(trap, text, bytes);
    else if (trap->error)
        length = hx_fmt(text, bytes, "%s, error 0x%llx", names[vector], (unsigned long long)trap->error);
    else
        length = hx_fmt(text, bytes, "%s", names[vector]);
    return length < bytes ? length : bytes ? bytes - 1 : 0;
}

size_t hx_hal_trap_registers(const struct hx_trap *trap, char *text, size_t bytes)
{
    const struct {
        const char *name;
        uint64_t value;
    } registers[] = {
        { "rax", trap->rax }, { "rbx", trap->rbx }, { "rcx", trap->rcx }, { "rdx", trap->rdx }, { "rsi", trap->rsi },
        { "rdi", trap->rdi }, { "rbp", trap->rbp }, { "rsp", trap->rsp }, { " r8", trap->r8 },  { " r9", trap->r9 },
        { "r10", trap->r10 }, { "r11", trap->r11 }, { "r12", trap->r12 }, { "r13", trap->r13 }, { "r14", trap->r14 },
        { "r15", trap->r15 }, { "rip", trap->rip }, { "cr2", trap->cr2 },
    };
    size_t used = 0;
    for (size_t i = 0; i < HX_ARRAY_SIZE(registers); i++)
        used = hx_fmt_append(text, bytes, used, "%s %016llx%s", registers[i].name,
                             (unsigned long long)registers[i].value, i % 3 == 2 ? "\n" : "  ");
    return hx_fmt_append(text, bytes, used, "flags %08llx  cs %02llx  ss %02llx  vector %u  error %llx\n",
                         (unsigned long long)trap->rflags, (unsigned long long)trap->cs, (unsigned long long)trap->ss,
                         (unsigned)trap->vector, (unsigned long long)trap->error);
}

/* ---- going on elsewhere --------------------------------------------------------------------------------------------- */

extern const char hx_gate_resume[]; /* gate.S: rsp at the frame, rax the result */

enum { RFLAGS_ONE = 1 << 1 }; /* bit 1 is always set; interrupts stay off until the frame's own flags are back */

/* Calls that nest inside @frame are over too: each is counted out of its slot. */
static void count_out_inner(const struct hx_gate_frame *frame)
{
    uintptr_t low = 0, high = 0;
    hx_hal_stack_bounds(&low, &high);
    const struct hx_gate_frame *inner = hx_cpu_read(frame);
    while (inner && inner < frame && (uintptr_t)inner >= low) {
        if (!inner->waiting)
            hx_slot_count_left(inner->slot);
        if (inner->prev <= inner)
            break;
        inner = inner->prev;
    }
}

void hx_hal_trap_unwind(struct hx_trap *trap, struct hx_gate_frame *frame, hx_ret_t result)
{
    count_out_inner(frame);
    trap->rip = (uint64_t)(uintptr_t)hx_gate_resume;
    trap->rsp = (uint64_t)(uintptr_t)frame;
    trap->rax = (uint64_t)result;
    trap->cs = HX_SELECTOR_CODE;
    trap->ss = HX_SELECTOR_DATA;
    trap->rflags = RFLAGS_ONE;
}

/* ---- backtrace ------------------------------------------------------------------------------------------------------ */

struct span {
    uintptr_t low, high;
};

/* The stack that @sp lies on: the running context's, or one of those that exceptions bring; empty when it is neither. */
static struct span stack_of(uintptr_t sp)
{
    struct span stack = { 0, 0 };
    hx_hal_stack_bounds(&stack.low, &stack.high);
    if (sp >= stack.low && sp < stack.high)
        return stack;
    for (uint32_t i = 0; i < HX_IST_COUNT; i++) {
        stack.high = hx_arch_ist_top(&hx_arch_cpu_here()->tss, i);
        stack.low = stack.high - HX_STACK_BYTES;
        if (sp >= stack.low && sp < stack.high)
            return stack;
    }
    return (struct span){ 0, 0 };
}

static bool holds_frame(struct span stack, uintptr_t at)
{
    return at % sizeof(uint64_t) == 0 && at >= stack.low && at < stack.high && stack.high - at >= 2 * sizeof(uint64_t);
}

static bool has_no_frame(const struct hx_trap *trap)
{
    bool is_canonical = (int64_t)(trap->rip << 16) >> 16 == (int64_t)trap->rip;
    return (trap->vector == HX_TRAP_PF && trap->error & HX_PF_FETCH) || is_stack_short(trap) || !is_canonical;
}

size_t hx_hal_backtrace(const struct hx_trap *trap, uintptr_t *out_ips, size_t max)
{
    size_t count = 0;
    uintptr_t fp = trap ? trap->rbp : (uintptr_t)__builtin_frame_address(0);
    struct span stack = stack_of(trap ? trap->rsp : fp);
    if (trap && count < max)
        out_ips[count++] = trap->rip;
    /* A call to nowhere, or one that is refused, has no frame yet: its caller is what the stack ends with. */
    if (trap && has_no_frame(trap) && holds_frame(stack, trap->rsp) && count < max)
        out_ips[count++] = *(const uintptr_t *)trap->rsp;
    while (count < max && holds_frame(stack, fp)) {
        const uintptr_t *frame = (const uintptr_t *)fp;
        if (frame[1] == 0)
            break;
        out_ips[count++] = frame[1];
        if (frame[0] <= fp)
            break;
        fp = frame[0];
    }
    return count;
}
