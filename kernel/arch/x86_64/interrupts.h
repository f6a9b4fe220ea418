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
    HX_VECTOR_LINE = 0x30, /* HX_LINE_COUNT */
    HX_VECTOR_TIMER = 0xf0,
    HX_VECTOR_POKE = 0xf1, /* of other CPUs: ipi.c */
    HX_VECTOR_CALL = 0xf2,
    HX_VECTOR_FLUSH = 0xf3,
    HX_VECTOR_APIC_ERROR = 0xfe,
    HX_VECTOR_SPURIOUS = 0xff,
    HX_VECTOR_COUNT = 256,
};

/* The ISA's lines, then the inputs of the I/O APICs by their number. */
enum { HX_LINE_ISA = 16, HX_LINE_COUNT = 64, HX_LINE_COM2 = 3, HX_LINE_COM1 = 4 };

/* Local APIC: where its registers are mapped, the same on every CPU. */
extern volatile uint8_t *hx_arch_apic;
enum { HX_APIC_EOI = 0xb0 };
static inline void hx_arch_apic_eoi(void)
{
    *(volatile uint32_t *)(hx_arch_apic + HX_APIC_EOI) = 0;
}
uint32_t hx_arch_apic_in_service(uint32_t vector); /* whether the APIC waits for its EOI */

/* COM1 and COM2. */
void hx_arch_serial_interrupt(uint32_t line);
void hx_arch_serial_by_interrupt(void); /* COM1; its line is unmasked: the edge must be seen */
void hx_arch_serial_flush(void);        /* polled; before the machine ends */

/* The clock. */
void hx_arch_clock_calibrate(void);
void hx_arch_timer_interrupt(void);
/* Another CPU than the first: its timer, and its counter beside that of CPU 0, which meanwhile answers. Interrupts off. */
void hx_arch_clock_join(void);
void hx_arch_clock_answer(void);
/* Code that is run from its start again when an interrupt came in it and may have changed the CPU. */
extern const char hx_arch_clock_is_read[]; /* end; starts with hx_hal_clock_ns */
