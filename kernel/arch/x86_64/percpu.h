/* SPDX-License-Identifier: MIT */
/*
 * percpu.h - what this room keeps for each CPU, beside hx_cpu.
 *
 * May be used by: kernel/arch/x86_64 alone. The offset is known to context.S (asserted).
 */
#pragma once
#define HX_ARCH_STACK_LOW 0

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
    uint64_t deadline_ns; /* of the armed timer, UINT64_MAX: none */
    uint64_t gdt[HX_GDT_ENTRIES];
    struct hx_tss tss;
};
_Static_assert(offsetof(struct hx_arch_cpu, stack_low) == HX_ARCH_STACK_LOW, "known to assembly");

extern struct hx_arch_cpu hx_arch_cpu; /* the template; hx_arch_cpu_here() is this CPU's */

/* What to add to the address of a per-CPU object's template for CPU n. */
extern uintptr_t hx_arch_percpu_offset[HX_CPUS_MAX];
extern uint8_t hx_arch_ist_stacks[HX_IST_COUNT][HX_STACK_BYTES]; /* CPU 0's */

static inline struct hx_arch_cpu *hx_arch_cpu_here(void)
{
    uintptr_t offset = (uintptr_t)hx_cpu_read(self) - (uintptr_t)&hx_cpu;
    return (struct hx_arch_cpu *)((uintptr_t)&hx_arch_cpu + offset);
}
#endif
