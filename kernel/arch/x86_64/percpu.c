/* SPDX-License-Identifier: MIT */
/*
 * percpu.c - each CPU's copy of the per-CPU template, and how the others find it.
 *
 * Why CPU 0 gets a copy too: the template's own slots hold the shared vtables. Were they CPU 0's counters as well, a sum
 * over all CPUs would be right by accident only, and the template no template.
 */
#include "percpu.h"

#include "arch.h"
#include "cpu_ops.h"

#include <mm/mm.h>
#include <string.h>

enum { CPU0_BYTES = 16384 };

struct hx_cpu hx_cpu HX_PERCPU = { 0 };
struct hx_arch_cpu hx_arch_cpu HX_PERCPU = { .deadline_ns = UINT64_MAX };
/* Its first member, for the gate and the entries of traps. */
extern uintptr_t hx_stack_low __attribute__((alias("hx_arch_cpu")));

uintptr_t hx_arch_percpu_offset[HX_CPUS_MAX];

static uint8_t cpu0_area[CPU0_BYTES] __attribute__((aligned(64)));
static uint32_t cpu_count = 1;

static size_t template_bytes(void)
{
    return (size_t)(hx_percpu_end - hx_percpu_start);
}

static struct hx_arch_cpu *percpu_init(uint32_t id, uint8_t *area, uintptr_t stack_low)
{
    memcpy(area, hx_percpu_start, template_bytes());
    uintptr_t offset = (uintptr_t)area - (uintptr_t)hx_percpu_start;
    hx_arch_percpu_offset[id] = offset;

    struct hx_cpu *cpu = (struct hx_cpu *)((uintptr_t)&hx_cpu + offset);
    cpu->self = cpu;
    cpu->id = id;
    struct hx_arch_cpu *arch = hx_arch_cpu_of(id);
    arch->stack_low = stack_low;
    return arch;
}

void hx_arch_percpu_enter(uint32_t id)
{
    hx_msr_write(HX_MSR_GS_BASE, hx_arch_percpu_offset[id]);
    hx_msr_write(HX_MSR_KERNEL_GS_BASE, 0); /* ring 3's, until there is one */
}

void hx_arch_percpu_init(void)
{
    if (template_bytes() > sizeof(cpu0_area)) {
        static const char text[] = "helix: cpu: the per-CPU section outgrew CPU0_BYTES; halted\n";
        hx_hal_console_emergency(text, sizeof(text) - 1);
        hx_hal_halt();
    }
    percpu_init(0, cpu0_area, (uintptr_t)hx_boot_stack)->apic_id = hx_arch_apic_id();
    hx_arch_percpu_enter(0);
}

__attribute__((cold)) struct hx_arch_cpu *hx_arch_percpu_create(uint32_t id)
{
    enum { ALIGN = 64 };
    if (hx_arch_percpu_offset[id]) /* made for one that did not come */
        return hx_arch_cpu_of(id);
    uint8_t *area = hx_hal_alloc(template_bytes() + ALIGN - 1);
    void *stack = hx_hal_stack_alloc();
    struct hx_tss tss = { 0 };
    if (!area || !stack || !hx_arch_tss_fill(&tss)) {
        hx_hal_free(area);
        hx_hal_stack_free(stack);
        return NULL;
    }
    area += -(uintptr_t)area % ALIGN;
    struct hx_arch_cpu *cpu = percpu_init(id, area, (uintptr_t)stack);
    cpu->tss = tss;
    return cpu;
}

uint32_t hx_hal_cpu_count(void)
{
    return __atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE);
}

void hx_arch_percpu_announce(uint32_t id)
{
    __atomic_store_n(&cpu_count, id + 1, __ATOMIC_SEQ_CST);
}

void *hx_hal_on_cpu(void *variable, uint32_t cpu)
{
    return (void *)((uintptr_t)variable + hx_arch_percpu_offset[cpu]);
}

void hx_hal_stack_bounds(uintptr_t *out_low, uintptr_t *out_high)
{
    uintptr_t low = hx_arch_cpu_here()->stack_low;
    *out_low = low;
    *out_high = low + HX_STACK_BYTES;
}
