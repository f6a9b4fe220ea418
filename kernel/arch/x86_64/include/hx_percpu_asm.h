/* SPDX-License-Identifier: MIT */
/*
 * hx_percpu_asm.h - a CPU's own data, by one instruction each, so that a migration cannot come in between.
 *
 * Shared by the kernel's hx_hal_inline.h and the host's: GS base points at this CPU's (or thread's) copy in both.
 */
#pragma once
#include <hal/hx_cpu.h>
#include <stdbool.h>

#define hx_percpu_read(variable) /* an HX_PERCPU variable, or a field of one */                                        \
    ({                                                                                                                 \
        __typeof__(variable) hx_value_;                                                                                \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(hx_value_) : "i"(&(variable)));                                     \
        hx_value_;                                                                                                     \
    })
#define hx_cpu_read(field) hx_percpu_read(hx_cpu.field)
#define hx_cpu_write(field, value)                                                                                     \
    do {                                                                                                               \
        __typeof__(hx_cpu.field) hx_value_ = (value);                                                                  \
        __asm__ volatile("mov %0, %%gs:%c1" : : "r"(hx_value_), "i"(&hx_cpu.field) : "memory");                        \
    } while (0)
#define hx_cpu_add32(field, amount)                                                                                    \
    __asm__ volatile("addl %0, %%gs:%c1" : : "i"(amount), "i"(&hx_cpu.field) : "memory", "cc")

/* Takes one off, and whether nothing is left. */
#define hx_cpu_dec32_is_zero(field)                                                                                    \
    ({                                                                                                                 \
        bool hx_zero_;                                                                                                 \
        __asm__ volatile("subl $1, %%gs:%c1" : "=@ccz"(hx_zero_) : "i"(&hx_cpu.field) : "memory");                     \
        hx_zero_;                                                                                                      \
    })

/* @array: HX_PERCPU, of 32 bits an element; @index of 64. */
#define hx_percpu_count32(array, index)                                                                                \
    __asm__ volatile("incl %%gs:%c1(, %0, 4)" : : "r"(index), "i"(&(array)[0]) : "memory", "cc")

/* Whether a task may be switched away from here: preemption is on, and this is no interrupt. */
static inline bool hx_cpu_is_thread(void)
{
    bool thread;
    __asm__ volatile("cmpq $0, %%gs:%c1" : "=@cce"(thread) : "i"(&hx_cpu.preempt_off) : "cc");
    return thread;
}

/* Counts out of @slot on this CPU, for a call that the gate's assembly does not finish. */
static inline void hx_slot_count_left(struct hx_slot *slot)
{
    __asm__ volatile("incq %%gs:%c1(%0)" : : "r"(slot), "i"(HX_SLOT_LEFT) : "memory", "cc");
}
