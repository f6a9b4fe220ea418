/* SPDX-License-Identifier: MIT */
/*
 * hx_hal_inline.h - per-CPU access, interrupt flag, gate frame and trap layout of x86-64.
 *
 * The only header with inline assembly. The host has one of the same name in tests/host/include; the include path decides.
 */
#pragma once
#include "hx_gate_asm.h"

#include <hal/hx_cpu.h>
#include <stdbool.h>
#include <stdint.h>

/* --- per-CPU data: one instruction each, so that a migration cannot come in between --- */
#define hx_cpu_read(field)                                                                                           \
    ({                                                                                                               \
        __typeof__(hx_cpu.field) hx_value_;                                                                          \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(hx_value_) : "i"(&hx_cpu.field));                                 \
        hx_value_;                                                                                                   \
    })
#define hx_cpu_write(field, value)                                                                                   \
    do {                                                                                                             \
        __typeof__(hx_cpu.field) hx_value_ = (value);                                                                \
        __asm__ volatile("mov %0, %%gs:%c1" : : "r"(hx_value_), "i"(&hx_cpu.field) : "memory");                      \
    } while (0)
#define hx_cpu_add32(field, amount)                                                                                  \
    __asm__ volatile("addl %0, %%gs:%c1" : : "i"(amount), "i"(&hx_cpu.field) : "memory", "cc")

/* This CPU's counters of a slot, counted from C where no gate entry does it. */
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

static inline hx_irq_flags_t hx_irq_save(void)
{
    hx_irq_flags_t flags;
    __asm__ volatile("pushfq\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
    return flags;
}
static inline void hx_irq_restore(hx_irq_flags_t flags)
{
    if (flags & 0x200)
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
static inline void hx_irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}
static inline void hx_cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* CRC-32C of eight bytes more (SSE4.2 crc32, which touches no vector register). */
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
