/* SPDX-License-Identifier: MIT */
/*
 * cpu_ops.h - privileged and port instructions, one each.
 *
 * Why a second header with inline assembly: hx_hal_inline.h is seen by the whole core, and none of this is its business.
 * May be used by: kernel/arch/x86_64, kernel/mm.   Source: Intel SDM vol. 2 and vol. 4 (MSR numbers).
 */
#pragma once
#include <stdint.h>

#define HX_MSR_APIC_BASE 0x1bu
#define HX_MSR_EFER 0xc0000080u
#define HX_MSR_GS_BASE 0xc0000101u
#define HX_MSR_KERNEL_GS_BASE 0xc0000102u

#define HX_EFER_LMA (1u << 10)
#define HX_EFER_NXE (1u << 11)

static inline uint8_t hx_in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline void hx_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void hx_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t hx_msr_read(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}
static inline void hx_msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t hx_cr0_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
static inline void hx_cr0_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}
static inline uint64_t hx_cr3_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
static inline uint64_t hx_cr4_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
static inline void hx_cr4_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

struct hx_cpuid {
    uint32_t eax, ebx, ecx, edx;
};
static inline struct hx_cpuid hx_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct hx_cpuid r;
    __asm__("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* False: none was ready. The CPU has the instruction. */
static inline bool hx_rdrand(uint64_t *out)
{
    bool ready;
    __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ready) : : "cc");
    return ready;
}

static inline uint64_t hx_tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Not before what stands in front of it, nor after what follows. */
static inline uint64_t hx_tsc_read_in_order(void)
{
    __asm__ volatile("lfence" : : : "memory");
    uint64_t value = hx_tsc_read();
    __asm__ volatile("lfence" : : : "memory");
    return value;
}

/* Interrupts on and wait, with no interrupt in between: `sti` takes effect after the instruction that follows it. */
static inline void hx_wait_for_interrupt(void)
{
    __asm__ volatile("sti\n\thlt" : : : "memory");
}
static inline void hx_stop_cpu(void)
{
    __asm__ volatile("cli\n\thlt" : : : "memory");
}
/* With a limit of 0 the next exception finds no table: the CPU shuts down and the board resets it. */
static inline void hx_triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = { 0, 0 };
    __asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt) : "memory");
}
