/* SPDX-License-Identifier: MIT */
/*
 * hx_hal_inline.h - per-CPU access, interrupt flag, gate frame and trap layout of x86-64.
 *
 * With hx_percpu_asm.h the only inline assembly that the core sees. The host has a header of the same name in
 * tests/host/include; the include path decides.
 */
#pragma once
#include "hx_gate_asm.h"
#include "hx_percpu_asm.h"

#include <stdbool.h>
#include <stdint.h>

/* --- interrupts --- */
typedef uint64_t hx_irq_flags_t;

static inline hx_irq_flags_t hx_irq_save(void)
{
    hx_irq_flags_t flags;
    __asm__ volatile("pushfq\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
    return flags;
}
static inline bool hx_irq_was_enabled(hx_irq_flags_t flags)
{
    return (flags & 0x200) != 0;
}
static inline void hx_irq_restore(hx_irq_flags_t flags)
{
    if (__builtin_expect(hx_irq_was_enabled(flags), 1))
        __asm__ volatile("sti" : : : "memory");
}
static inline bool hx_irq_enabled(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpop %0" : "=r"(flags));
    return (flags & 0x200) != 0;
}
static inline void hx_irq_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}
/* All flags, because a module that was called before may have left others set, and the next one would find them. */
static inline void hx_irq_disable(void)
{
    __asm__ volatile("pushq $2\n\tpopfq" : : : "memory", "cc");
}
/* The same for a thread: interrupts on and nothing else. */
static inline void hx_irq_enable_only(void)
{
    __asm__ volatile("pushq $0x202\n\tpopfq" : : : "memory", "cc");
}
static inline void hx_cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* --- time --- */
/* hx_hal_clock_ns() with interrupts off, when nothing can come between: see clock.S. */
static inline uint64_t hx_hal_clock_ns_here(void)
{
    uint64_t low, high;
    __asm__ volatile("rdtsc\n\t"
                     "shl $32, %%rdx\n\t"
                     "or %%rdx, %%rax\n\t"
                     "sub %%gs:hx_hal_clock_start, %%rax\n\t"
                     "mulq hx_hal_clock_rate\n\t"
                     "shrd $32, %%rdx, %%rax"
                     : "=a"(low), "=d"(high)
                     :
                     : "cc");
    return low;
}
