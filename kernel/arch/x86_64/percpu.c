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

uintptr_t hx_arch_percpu_offset[HX_CPUS_MAX];

static uint8_t cpu0_area[CPU0_BYTES] __attribute__((aligned(64)));

static void percpu_init(uint32_t id, uint8_t *area, size_t bytes, uintptr_t stack_low)
{
    memcpy(area, hx_percpu_start, bytes);
    uintptr_t offset = (uintptr_t)area - (uintptr_t)hx_percpu_start;
    hx_arch_percpu_offset[id] = offset;

    struct hx_cpu *cpu = (struct hx_cpu *)((uintptr_t)&hx_cpu + offset);
    cpu->self = cpu;
    cpu->id = id;
    struct hx_arch_cpu *arch = (struct hx_arch_cpu *)((uintptr_t)&hx_arch_cpu + offset);
    arch->stack_low = stack_low;

    hx_msr_write(HX_MSR_GS_BASE, offset);
    hx_msr_write(HX_MSR_KERNEL_GS_BASE, 0); /* ring 3's, until there is one */
}

void hx_arch_percpu_init(void)
{
    size_t bytes = (size_t)(hx_percpu_end - hx_percpu_start);
    if (bytes > sizeof(cpu0_area)) {
        static const char text[] = "helix: cpu: the per-CPU section outgrew CPU0_BYTES; halted\n";
        hx_hal_console_emergency(text, sizeof(text) - 1);
        hx_hal_halt();
    }
    percpu_init(0, cpu0_area, bytes, (uintptr_t)hx_boot_stack);
}

uint32_t hx_hal_cpu_count(void)
{
    return 1;
}

void *hx_hal_on_cpu(void *variable, uint32_t cpu)
{
    return (void *)((uintptr_t)variable + hx_arch_percpu_offset[cpu]);
}

hx_status_t hx_hal_cpu_call_others(void (*function)(void *argument), void *argument, uint64_t deadline_ns)
{
    (void)function;
    (void)argument;
    (void)deadline_ns;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return HX_OK;
}

void hx_hal_cpu_poke(uint32_t cpu)
{
    (void)cpu;
}

void hx_hal_cpu_probe(uint32_t cpu)
{
    (void)cpu;
}

void hx_hal_cpu_stop_others(void)
{
}

void hx_hal_lock_wait(void)
{
    hx_cpu_relax();
}

void hx_hal_stack_bounds(uintptr_t *out_low, uintptr_t *out_high)
{
    uintptr_t low = hx_arch_cpu_here()->stack_low;
    *out_low = low;
    *out_high = low + HX_STACK_BYTES;
}
