/* SPDX-License-Identifier: MIT */
/*
 * hx_hal_inline.h - per-CPU access and the interrupt flag of a host process: a thread is a CPU, its GS base is set.
 *
 * The gate's assembly is the kernel's own file, so per-CPU data is reached as there. The interrupt flag is a variable that
 * tests/host/hal_host.c keeps and checks; turning it on is where interrupts arrive.
 */
#pragma once
#include "../../../kernel/arch/x86_64/include/hx_gate_asm.h"

#include <hal/hx_cpu.h>
#include <stdbool.h>
#include <stdint.h>

/* --- per-CPU data --- */
#define hx_cpu_read(field)                                                                                             \
    ({                                                                                                                 \
        __typeof__(hx_cpu.field) hx_value_;                                                                            \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(hx_value_) : "i"(&hx_cpu.field));                                   \
        hx_value_;                                                                                                     \
    })
#define hx_cpu_write(field, value)                                                                                     \
    do {                                                                                                               \
        __typeof__(hx_cpu.field) hx_value_ = (value);                                                                  \
        __asm__ volatile("mov %0, %%gs:%c1" : : "r"(hx_value_), "i"(&hx_cpu.field) : "memory");                        \
    } while (0)
#define hx_cpu_add32(field, amount)                                                                                    \
    __asm__ volatile("addl %0, %%gs:%c1" : : "i"(amount), "i"(&hx_cpu.field) : "memory", "cc")

static inline void hx_slot_count_entered(struct hx_slot *slot)
{
    __asm__ volatile("incq %%gs:%c1(%0)" : : "r"(slot), "i"(HX_SLOT_ENTERED) : "memory", "cc");
}
static inline void hx_slot_count_left(struct hx_slot *slot)
{
    __asm__ volatile("incq %%gs:%c1(%0)" : : "r"(slot), "i"(HX_SLOT_LEFT) : "memory", "cc");
}

/* --- interrupts --- */
typedef uint64_t hx_irq_flags_t;

hx_irq_flags_t hx_irq_save(void);
void hx_irq_restore(hx_irq_flags_t flags);
bool hx_irq_enabled(void);
void hx_irq_enable(void);
void hx_irq_disable(void);
void hx_cpu_relax(void); /* an instant in which an interrupt may come */

static inline uint32_t hx_crc32c_u64(uint32_t crc, uint64_t data)
{
    uint64_t wide = crc;
    __asm__("crc32q %1, %0" : "+r"(wide) : "r"(data));
    return (uint32_t)wide;
}
static inline uint32_t hx_crc32c_u8(uint32_t crc, uint8_t data)
{
    __asm__("crc32b %1, %0" : "+r"(crc) : "r"(data));
    return crc;
}
