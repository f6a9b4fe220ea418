/* SPDX-License-Identifier: MIT */
/*
 * hx_hal_inline.h - per-CPU access and the interrupt flag of a host process: a thread is a CPU, its GS base is set.
 *
 * The gate's assembly is the kernel's own file, so per-CPU data is reached as there. The interrupt flag is a variable that
 * tests/host/hal_host.c keeps and checks; turning it on is where interrupts arrive.
 */
#pragma once
#include "../../../kernel/arch/x86_64/include/hx_gate_asm.h"
#include "../../../kernel/arch/x86_64/include/hx_percpu_asm.h"

#include <stdbool.h>
#include <stdint.h>

/* --- interrupts --- */
typedef uint64_t hx_irq_flags_t;

hx_irq_flags_t hx_irq_save(void);
static inline bool hx_irq_was_enabled(hx_irq_flags_t flags)
{
    return flags != 0;
}
void hx_irq_restore(hx_irq_flags_t flags);
bool hx_irq_enabled(void);
void hx_irq_enable(void);
void hx_irq_disable(void);
static inline void hx_irq_enable_only(void)
{
    __asm__ volatile("cld" : : : "memory", "cc");
    hx_irq_enable();
}
void hx_cpu_relax(void); /* an instant in which an interrupt may come */

/* --- time --- */
uint64_t hx_hal_clock_ns(void);
static inline uint64_t hx_hal_clock_ns_here(void)
{
    return hx_hal_clock_ns();
}
