/* SPDX-License-Identifier: MIT */
/*
 * apic.h - the local APIC's registers for its timer's driver (clock.c).
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

void hx_arch_apic_write(uint32_t reg, uint32_t value);
uint32_t hx_arch_apic_read(uint32_t reg);
