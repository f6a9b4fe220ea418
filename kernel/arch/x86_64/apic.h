/* SPDX-License-Identifier: MIT */
/*
 * apic.h - the local APIC's registers for its timer's driver (clock.c), and its way to other CPUs' (ipi.c, cpu_start.c).
 *
 * May be used by: kernel/arch/x86_64 alone.   Source: Intel SDM vol. 3A, table 10-1.
 */
#pragma once
#include <stdint.h>

enum {
    HX_APIC_LVT_TIMER = 0x320,
    HX_APIC_TIMER_INITIAL = 0x380,
    HX_APIC_TIMER_CURRENT = 0x390,
    HX_APIC_TIMER_DIVIDE = 0x3e0,
    HX_APIC_DIVIDE_BY_1 = 0xb,
};

/* What is sent: one of these, or a vector. Source: Intel SDM vol. 3A, figure 10-12. */
enum {
    HX_APIC_COMMAND_NMI = 4 << 8,
    HX_APIC_COMMAND_INIT = 5 << 8,
    HX_APIC_COMMAND_STARTUP = 6 << 8, /* | the page where to start */
};
/* Any context. */
void hx_arch_apic_send(uint32_t apic_id, uint32_t command);

/* This CPU's own, uid @uid, is on; all of its lines but the NMIs' are masked. */
struct hx_acpi_info;
void hx_arch_apic_on(const struct hx_acpi_info *acpi, uint32_t uid);

void hx_arch_apic_write(uint32_t reg, uint32_t value);
uint32_t hx_arch_apic_read(uint32_t reg);
