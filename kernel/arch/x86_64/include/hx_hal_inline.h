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
static inline void hx_irq_restore(hx_irq_flags_t flags)
{
    if (__builtin_expect((flags & 0x200) != 0, 1))
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
