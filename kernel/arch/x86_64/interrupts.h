/* SPDX-License-Identifier: MIT */
/*
 * interrupts.h - vectors, and how the parts of this room reach each other's interrupts.
 *
 * May be used by: kernel/arch/x86_64 alone.
 */
#pragma once
#include "trap.h"

#include <stdint.h>

/* 0..31 are the CPU's. The higher a vector, the higher its priority in the local APIC (SDM vol. 3A, 10.8.3). */
enum {
    HX_VECTOR_PIC = 0x20,  /* 16 of the silenced PICs: only spurious ones can come */
    HX_VECTOR_LINE = 0x30, /* 16 of the ISA lines */
    HX_VECTOR_TIMER = 0xf0,
    HX_VECTOR_SYNC = 0xf1,
    HX_VECTOR_APIC_ERROR = 0xfe,
    HX_VECTOR_SPURIOUS = 0xff,
    HX_VECTOR_COUNT = 256,
};

enum { HX_LINE_COUNT = 16, HX_LINE_COM1 = 4 };

/* Local APIC. */
void hx_arch_apic_eoi(void);
uint32_t hx_arch_apic_in_service(uint32_t vector); /* whether the APIC waits for its EOI */

/* COM1. */
void hx_arch_serial_interrupt(void);
void hx_arch_serial_by_interrupt(void); /* its line is unmasked: the edge must be seen */
void hx_arch_serial_flush(void);        /* polled; before the machine ends */

/* The clock. */
void hx_arch_clock_calibrate(void);
void hx_arch_timer_interrupt(void);
