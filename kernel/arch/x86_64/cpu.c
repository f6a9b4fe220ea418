/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - what this CPU can do, the protections that are switched on where it has them, and the ends of the machine.
 *
 * Invariant: CR0.TS is set and CR4.OSFXSR too, so that an SSE instruction raises #NM (which says so) and not #UD.
 *            CR4.FSGSBASE is off: ring 3 could otherwise move GS base under the kernel's entry.
 * Source:    Intel SDM vol. 2A (CPUID), vol. 3A 2.5 (control registers).
 */
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"

#include <asm/processor-flags.h>
#include <hal/hx_hal.h>
#include <lib/fmt.h>
#include <string.h>

enum { CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* A feature: where CPUID shows it, and which bit of CR4 switches it on (0: another register, or nothing to switch). */
static const struct feature {
    const char *name;
    uint32_t leaf;
    uint8_t reg, bit;
    uint32_t cr4;
} features[] = {
    { "nx", 0x80000001, CPUID_EDX, 20, 0 },
    { "smep", 7, CPUID_EBX, 7, X86_CR4_SMEP },
    { "smap", 7, CPUID_EBX, 20, X86_CR4_SMAP },
    { "umip", 7, CPUID_ECX, 2, X86_CR4_UMIP },
};

static bool leaf_exists(uint32_t leaf)
{
    return hx_cpuid(leaf & 0x80000000, 0).eax >= leaf;
}

static bool has(const struct feature *feature)
{
    if (!leaf_exists(feature->leaf))
        return false;
    struct hx_cpuid id = hx_cpuid(feature->leaf, 0);
    const uint32_t words[] = { id.ebx, id.ecx, id.edx };
    return words[feature->reg] >> feature->bit & 1;
}

static bool is_on(const struct feature *feature)
{
    if (feature->cr4)
        return (hx_cr4_read() & feature->cr4) != 0;
    return (hx_msr_read(HX_MSR_EFER) & HX_EFER_NXE) != 0;
}

void hx_arch_cpu_features_on(void)
{
    uint64_t cr4 = hx_cr4_read() & ~(uint64_t)X86_CR4_FSGSBASE;
    for (size_t i = 0; i < HX_ARRAY_SIZE(features); i++) {
        if (has(&features[i]))
            cr4 |= features[i].cr4;
    }
    hx_cr4_write(cr4 | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
    if (has(&features[0]))
        hx_msr_write(HX_MSR_EFER, hx_msr_read(HX_MSR_EFER) | HX_EFER_NXE);
    uint64_t cr0 = hx_cr0_read() & ~(uint64_t)(X86_CR0_EM | X86_CR0_CD | X86_CR0_NW);
    hx_cr0_write(cr0 | X86_CR0_WP | X86_CR0_MP | X86_CR0_NE | X86_CR0_TS);
}

/* Source: Intel SDM vol. 2A, CPUID leaf 1. It is the one that the firmware saw, in whatever mode the APIC is. */
uint32_t hx_arch_apic_id(void)
{
    return hx_cpuid(1, 0).ebx >> 24;
}

/* Source: Intel SDM vol. 1, 7.3.17.1: ten tries, after which the generator is taken to be broken. */
uint64_t hx_arch_entropy(bool *out_random)
{
    enum { RDRAND_BIT = 30, TRIES = 10 };
    uint64_t number = 0;
    bool random = false;

    for (uint32_t i = 0; (hx_cpuid(1, 0).ecx >> RDRAND_BIT & 1) && i < TRIES && !random; i++)
        random = hx_rdrand(&number);
    *out_random = random;
    return random ? number : hx_tsc_read();
}

/* ---- for a person --------------------------------------------------------------------------------------------------- */

/* @out, [49]: the brand string, or the vendor's where there is none; without leading blanks. */
static void cpu_name(char out[49])
{
    memset(out, 0, 49);
    if (leaf_exists(0x80000004)) {
        for (uint32_t i = 0; i < 3; i++) {
            struct hx_cpuid id = hx_cpuid(0x80000002 + i, 0);
            memcpy(out + 16 * i, &id, sizeof(id));
        }
    } else {
        struct hx_cpuid id = hx_cpuid(0, 0);
        memcpy(out, &id.ebx, 4);
        memcpy(out + 4, &id.edx, 4);
        memcpy(out + 8, &id.ecx, 4);
    }
    size_t blanks = 0;
    while (out[blanks] == ' ')
        blanks++;
    memmove(out, out + blanks, 49 - blanks);
}

static const char *state_of(const struct feature *feature)
{
    return !has(feature) ? "absent" : is_on(feature) ? "on" : "off";
}

size_t hx_hal_cpu_describe(char *text, size_t bytes)
{
    char name[49];
    cpu_name(name);
    struct hx_cpuid id = hx_cpuid(1, 0);
    uint32_t family = (id.eax >> 8 & 15) + ((id.eax >> 8 & 15) == 15 ? id.eax >> 20 & 0xff : 0);
    uint32_t model = (id.eax >> 4 & 15) | (id.eax >> 12 & 0xf0);
    size_t used = hx_fmt_append(text, bytes, 0, "cpu 0: %s (family %u, model %u, stepping %u)\n", name, family, model,
                                id.eax & 15);
    used = hx_fmt_append(text, bytes, used, "protections: wp %s", hx_cr0_read() & X86_CR0_WP ? "on" : "off");
    for (size_t i = 0; i < HX_ARRAY_SIZE(features); i++)
        used = hx_fmt_append(text, bytes, used, ", %s %s", features[i].name, state_of(&features[i]));
    return hx_fmt_append(text, bytes, used, "\nsse: %s\n", hx_cr0_read() & X86_CR0_TS ? "traps" : "usable");
}

/* ---- devices and waiting -------------------------------------------------------------------------------------------- */

uint8_t hx_hal_port_read8(uint16_t port)
{
    return hx_in8(port);
}

void hx_hal_port_write8(uint16_t port, uint8_t value)
{
    hx_out8(port, value);
}

void hx_hal_idle(void)
{
    hx_wait_for_interrupt();
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

_Noreturn void hx_hal_halt(void)
{
    for (;;)
        hx_stop_cpu();
}

_Noreturn void hx_hal_reboot(void)
{
    enum { KEYBOARD = 0x64, INPUT_FULL = 1 << 1, PULSE_RESET = 0xfe, SPINS = 100000 };
    hx_irq_disable();
    hx_hal_cpu_stop_others();
    hx_arch_serial_flush();
    for (uint32_t i = 0; i < SPINS && hx_in8(KEYBOARD) & INPUT_FULL; i++)
        hx_cpu_relax();
    hx_out8(KEYBOARD, PULSE_RESET);
    for (uint32_t i = 0; i < SPINS; i++)
        hx_cpu_relax();
    hx_triple_fault();
    hx_hal_halt();
}

/*
 * An emulator's exit device makes its status (value << 1) | 1 of what is written: one more than @code, so that 1, which
 * every failure of the emulator itself gives too, means nothing but that. Without the device, the boards' own ports.
 */
_Noreturn void hx_hal_poweroff(uint32_t code)
{
    enum { EXIT_DEVICE = 0xf4, CODE_MAX = 123, ACPI_Q35 = 0x604, ACPI_PC = 0xb004, SLEEP_ENABLE = 1 << 13 };
    hx_irq_disable();
    hx_hal_cpu_stop_others();
    hx_arch_serial_flush();
    hx_out8(EXIT_DEVICE, (uint8_t)((code > CODE_MAX ? CODE_MAX : code) + 1));
    hx_out16(ACPI_Q35, SLEEP_ENABLE);
    hx_out16(ACPI_PC, SLEEP_ENABLE);
    hx_hal_halt();
}
