/* SPDX-License-Identifier: MIT */
/*
 * traps.c - the CPU's tables, and what becomes of a vector: who gets it, and when it is acknowledged.
 *
 * Exceptions: memory management first (a page may only have to be copied), then the fix-up table, then the core.
 * Interrupts: counted in irq_depth while they run; acknowledged on every path that the local APIC waits on, and before
 *             hx_entry_irq_exit(), which may return much later. What the APIC does not wait on (its spurious vector, the
 *             silenced PICs') is counted and not acknowledged: an EOI too many would end somebody else's interrupt.
 */
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"
#include "ipi.h"
#include "percpu.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <mm/mm.h>

/* ---- tables --------------------------------------------------------------------------------------------------------- */

/* SDM vol. 3A, figure 6-8. */
struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, attributes;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "the CPU's layout");

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

enum { GATE_INTERRUPT = 0x8e };

static struct idt_gate idt[HX_VECTOR_COUNT] __attribute__((aligned(16)));

void hx_arch_tables_load(const void *gdt_pointer, const void *idt_pointer); /* trap_entry.S */

static uint8_t ist_of(uint32_t vector)
{
    switch (vector) {
    case HX_TRAP_NMI: return HX_IST_NMI;
    case HX_TRAP_DF: return HX_IST_DF;
    case HX_TRAP_MC: return HX_IST_MC;
    default: return 0;
    }
}

/* See trap.h. */
static uintptr_t stub_of(uint32_t vector)
{
    uint32_t interrupt = vector - HX_TRAP_COUNT;
    uint32_t off = vector < HX_TRAP_COUNT ? vector * 16 : HX_TRAP_COUNT * 16 + interrupt * 4 + interrupt / 32 * 8;
    return (uintptr_t)hx_arch_trap_stubs + off;
}

static void idt_fill(void)
{
    for (uint32_t vector = 0; vector < HX_VECTOR_COUNT; vector++) {
        uintptr_t stub = stub_of(vector);
        idt[vector] = (struct idt_gate){
            .offset_low = (uint16_t)stub,
            .selector = HX_SELECTOR_CODE,
            .ist = ist_of(vector),
            .attributes = GATE_INTERRUPT,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

bool hx_arch_tss_fill(struct hx_tss *tss)
{
    tss->io_map = sizeof(*tss); /* no ports for ring 3 */
    for (uint32_t i = 0; i < HX_IST_COUNT; i++) {
        void *stack = hx_hal_stack_alloc();
        if (!stack) {
            while (i-- > 0)
                hx_hal_stack_free((void *)(hx_arch_ist_top(tss, i) - HX_STACK_BYTES));
            return false;
        }
        uintptr_t top = (uintptr_t)stack + HX_STACK_BYTES;
        tss->ist[2 * i] = (uint32_t)top;
        tss->ist[2 * i + 1] = (uint32_t)(top >> 32);
    }
    return true;
}

/* In the order that SYSRET wants ring 3's: data, then code. SDM vol. 3A, 3.4.5 and figure 7-4. */
static void gdt_fill(uint64_t gdt[HX_GDT_ENTRIES], const struct hx_tss *tss)
{
    uint64_t base = (uintptr_t)tss;
    gdt[0] = 0;
    gdt[HX_SELECTOR_CODE / 8] = 0x00af9b000000ffff;
    gdt[HX_SELECTOR_DATA / 8] = 0x00cf93000000ffff;
    gdt[3] = 0x00cff3000000ffff;
    gdt[4] = 0x00affb000000ffff;
    gdt[HX_SELECTOR_TSS / 8] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    gdt[HX_SELECTOR_TSS / 8 + 1] = base >> 32;
}

void hx_arch_tables_use(struct hx_arch_cpu *cpu)
{
    gdt_fill(cpu->gdt, &cpu->tss);
    struct table_pointer gdt = { sizeof(cpu->gdt) - 1, (uintptr_t)cpu->gdt };
    struct table_pointer idt_pointer = { sizeof(idt) - 1, (uintptr_t)idt };
    hx_arch_tables_load(&gdt, &idt_pointer);
}

void hx_arch_traps_init(void)
{
    struct hx_arch_cpu *cpu = hx_arch_cpu_here();
    idt_fill();
    if (!hx_arch_tss_fill(&cpu->tss)) {
        static const char text[] = "helix: cpu: no memory for the stacks of exceptions; halted\n";
        hx_hal_console_emergency(text, sizeof(text) - 1);
        hx_hal_halt();
    }
    hx_arch_tables_use(cpu);
}

/* ---- exceptions ----------------------------------------------------------------------------------------------------- */

static bool fixup_apply(struct hx_trap *trap)
{
    for (const struct hx_fixup *f = hx_fixups_start; f < hx_fixups_end; f++) {
        if (f->fault_ip == trap->rip) {
            trap->rip = f->resume_ip;
            return true;
        }
    }
    return false;
}

void hx_arch_exception(struct hx_trap *trap)
{
    if (trap->vector == HX_TRAP_NMI && hx_arch_nmi(trap))
        return;
    if (trap->vector == HX_TRAP_PF && hx_mm_fault(trap->cr2, (trap->error & HX_PF_WRITE) != 0))
        return;
    if (trap->vector != HX_TRAP_NMI && trap->vector != HX_TRAP_MC && fixup_apply(trap))
        return;
    hx_entry_trap(trap);
}

/* ---- interrupts ----------------------------------------------------------------------------------------------------- */

static uint32_t taken[HX_VECTOR_COUNT] HX_PERCPU_ZERO;

static const char *vector_name(uint32_t vector)
{
    switch (vector) {
    case HX_VECTOR_TIMER: return "timer";
    case HX_VECTOR_POKE: return "poke";
    case HX_VECTOR_CALL: return "call";
    case HX_VECTOR_FLUSH: return "flush";
    case HX_VECTOR_APIC_ERROR: return "APIC error";
    case HX_VECTOR_SPURIOUS: return "spurious";
    default: return vector < HX_VECTOR_LINE ? "spurious" : "unexpected";
    }
}

__attribute__((cold)) size_t hx_arch_vector_describe(uint32_t vector, char *text, size_t bytes)
{
    char name[16];
    uint32_t sum = 0;
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count() && vector < HX_VECTOR_COUNT; cpu++)
        sum |= ((uint32_t *)hx_hal_on_cpu(taken, cpu))[vector];
    if (!sum)
        return 0;
    if (vector - HX_VECTOR_LINE < HX_LINE_COUNT)
        hx_fmt(name, sizeof(name), "line %u", vector - HX_VECTOR_LINE);
    else
        hx_fmt(name, sizeof(name), "%s", vector_name(vector));
    size_t used = hx_fmt(text, bytes, "0x%02x %-10s", vector, name);
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++)
        used = hx_fmt_append(text, bytes, used, " %7u", ((uint32_t *)hx_hal_on_cpu(taken, cpu))[vector]);
    return used;
}

static void line_interrupt(uint32_t line)
{
    if (line == HX_LINE_COM1 || line == HX_LINE_COM2)
        hx_arch_serial_interrupt(line);
    else
        hx_entry_irq(line);
    hx_arch_apic_eoi();
}

static void other_interrupt(uint32_t vector)
{
    if (vector != HX_VECTOR_SPURIOUS && vector >= HX_VECTOR_LINE && hx_arch_apic_in_service(vector))
        hx_arch_apic_eoi();
}

/* What was interrupted may go on on another CPU: clock.S. */
static void clock_restart(struct hx_trap *trap)
{
    uintptr_t start = (uintptr_t)hx_hal_clock_ns;
    if (trap->rip - start < (uintptr_t)hx_arch_clock_is_read - start)
        trap->rip = start;
}

void hx_arch_interrupt(struct hx_trap *trap)
{
    uint64_t vector = trap->vector = (uint8_t)trap->error;
    trap->error = 0;
    hx_cpu_add32(irq_depth, 1);
    hx_percpu_count32(taken, vector);
    if (vector == HX_VECTOR_TIMER) {
        hx_arch_timer_interrupt();
        hx_entry_tick(trap);
        hx_arch_apic_eoi();
    } else if (vector - HX_VECTOR_LINE < HX_LINE_COUNT) {
        line_interrupt((uint32_t)vector - HX_VECTOR_LINE);
    } else if (!hx_arch_ipi((uint32_t)vector)) {
        other_interrupt((uint32_t)vector);
    } else if (vector == HX_VECTOR_POKE) {
        hx_entry_tick(trap);
    }
    if (hx_cpu_dec32_is_zero(irq_depth) && hx_cpu_read(need_resched)) {
        clock_restart(trap);
        hx_entry_irq_exit();
    }
}

bool hx_hal_ip_in_core(uintptr_t ip)
{
    return ip >= (uintptr_t)hx_text_start && ip < (uintptr_t)hx_text_end && ip != (uintptr_t)hx_gate_stack_short;
}
