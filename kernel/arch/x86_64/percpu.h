/* SPDX-License-Identifier: MIT */
/*
 * percpu.h - what this room keeps for each CPU, beside hx_cpu.
 *
 * May be used by: kernel/arch/x86_64 alone. The offsets are known to context.S and clock.S (asserted).
 */
#pragma once
#define HX_ARCH_STACK_LOW 0
#define HX_ARCH_TSC_START 8
#define HX_ARCH_SPARE_STACK 140

#ifndef __ASSEMBLER__
#include <hal/hx_hal.h>

/* SDM vol. 3A, figure 8-11: the 64-bit TSS. */
struct hx_tss {
    uint32_t reserved_0;
    uint32_t rsp[6]; /* stacks of rings 0..2, halves */
    uint32_t reserved_1[2];
    uint32_t ist[14]; /* IST 1..7, halves */
    uint32_t reserved_2[2];
    uint16_t reserved_3;
    uint16_t io_map;
};
_Static_assert(sizeof(struct hx_tss) == 104, "the CPU's layout");

enum { HX_GDT_ENTRIES = 7 };
enum { HX_IST_DF = 1, HX_IST_NMI, HX_IST_MC, HX_IST_COUNT = 3 };

struct hx_arch_cpu {
    uintptr_t stack_low;  /* of the running context: HX_STACK_BYTES from here */
    uint64_t tsc_start;   /* what the TSC said when the clock began */
    uint64_t deadline_ns; /* of the armed timer, UINT64_MAX: none */
    uint32_t apic_id;     /* constant once others see this CPU, as is what follows up to the TSS */
    int64_t tsc_ahead_ns; /* of CPU 0's, as far as was measured */
    uint64_t tsc_error_ns;
    uint64_t gdt[HX_GDT_ENTRIES];
    struct hx_tss tss;
    uint32_t call, flush, nmi; /* a: what other CPUs ask of this one (ipi.c) */
};
_Static_assert(offsetof(struct hx_arch_cpu, stack_low) == HX_ARCH_STACK_LOW, "known to assembly");
_Static_assert(offsetof(struct hx_arch_cpu, tsc_start) == HX_ARCH_TSC_START, "known to assembly");
_Static_assert(offsetof(struct hx_arch_cpu, tss.ist[2 * (HX_IST_DF - 1)]) == HX_ARCH_SPARE_STACK, "known to assembly");

extern struct hx_arch_cpu hx_arch_cpu; /* the template; hx_arch_cpu_here() is this CPU's */

/* What to add to the address of a per-CPU object's template for CPU n. */
extern uintptr_t hx_arch_percpu_offset[HX_CPUS_MAX];

static inline struct hx_arch_cpu *hx_arch_cpu_of(uint32_t cpu)
{
    return (struct hx_arch_cpu *)((uintptr_t)&hx_arch_cpu + hx_arch_percpu_offset[cpu]);
}

static inline struct hx_arch_cpu *hx_arch_cpu_here(void)
{
    uintptr_t offset = (uintptr_t)hx_cpu_read(self) - (uintptr_t)&hx_cpu;
    return (struct hx_arch_cpu *)((uintptr_t)&hx_arch_cpu + offset);
}

/* A copy of the template for CPU @id, its TSS and a first stack, made by another CPU and kept; NULL: no memory. */
struct hx_arch_cpu *hx_arch_percpu_create(uint32_t id);
/* From here on this CPU is @id. */
void hx_arch_percpu_enter(uint32_t id);
/* And from here on all others know it. */
void hx_arch_percpu_announce(uint32_t id);

static inline uintptr_t hx_arch_ist_top(const struct hx_tss *tss, uint32_t i)
{
    return (uintptr_t)tss->ist[2 * i + 1] << 32 | tss->ist[2 * i];
}

/* Stacks for the exceptions that bring their own (traps.c). False: no memory, and nothing is kept. */
bool hx_arch_tss_fill(struct hx_tss *tss);
/* GDT, TSS and IDT are this CPU's. */
void hx_arch_tables_use(struct hx_arch_cpu *cpu);
#endif
