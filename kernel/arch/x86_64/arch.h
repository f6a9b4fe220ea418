/* SPDX-License-Identifier: MIT */
/*
 * arch.h - what the composition root calls to bring the CPU side of the machine up, in this order.
 *
 * Apart from hx_hal.h because the portable core has no business here.
 * May be used by: kernel/main, kernel/mm and this room. Context of all: the boot CPU, interrupts off, thread.
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

/*
 * COM1, polled, so that everything after it can be heard. Without a UART all console output is dropped; returns whether
 * there is one. Needs nothing.
 */
bool hx_arch_serial_init_early(void);

/* WP, NX, SMEP, SMAP, UMIP where the CPU has them; an SSE or x87 instruction traps. Call right after boot.S. */
void hx_arch_cpu_features_on(void);

/* CPU 0 gets its copy of the per-CPU template; GS base points at it. Before any %gs access, so before gate and locks. */
void hx_arch_percpu_init(void);

/* GDT, TSS with stacks for #DF, NMI and #MC, IDT with all 256 vectors. Faults reach hx_entry_trap() from here on. */
void hx_arch_traps_init(void);

/* The id of this CPU's local APIC, by which the firmware's tables name it. Needs nothing. */
uint32_t hx_arch_apic_id(void);

/*
 * Legacy PICs silenced, local APIC and the I/O APICs of @acpi on, ISA lines routed as it says, clock calibrated, COM1 by
 * interrupt. Needs hx_mm_map_mmio(). Leaves interrupts off: the caller turns them on when the core can take them. Says so
 * and halts when there is no APIC. @acpi is not kept.
 */
struct hx_acpi_info;
void hx_arch_interrupts_init(const struct hx_acpi_info *acpi);

/* For `irq': where line @line enters the I/O APICs, as "GSI 2 edge high". Returns the length; 0: nowhere. */
size_t hx_arch_line_describe(uint32_t line, char *text, size_t bytes);

/* ---- several CPUs --------------------------------------------------------------------------------------------------- */
/*
 * Starts processor @index of @acpi, which hx_arch_cpu_reset() was done to HX_ARCH_RESET_NS ago: it gets the next id and goes to
 * hx_entry_cpu(). HX_E_LIMIT, HX_E_NOMEM (also: no page below 1 MiB); HX_E_TIMEOUT: it has not come, and if it does later it
 * does nothing. One at a time; thread context, interrupts on. @acpi is kept.
 */
HX_NODISCARD hx_status_t hx_arch_cpu_start(const struct hx_acpi_info *acpi, uint32_t index);
void hx_arch_cpu_reset(uint32_t apic_id);
enum { HX_ARCH_RESET_NS = 10000000 };

/* For `cpus': which one CPU @cpu is and how far its time stamp counter was from CPU 0's. Returns the length. */
size_t hx_arch_cpu_describe(uint32_t cpu, char *text, size_t bytes);

/* Has all other CPUs forget the translations of @pages pages from @va, or with 0 pages all that are not global: on return
 * none of them uses what they were. Under hx_mm_lock, interrupts off. */
void hx_arch_flush_others(uintptr_t va, size_t pages);

/* ---- for the benchmark ---------------------------------------------------------------------------------------------- */
/* Passes of the calibration loop, HX_ARCH_SPIN_INSNS instructions each. */
enum { HX_ARCH_SPIN_INSNS = 3 };
extern uint64_t hx_arch_calibration_spins;
/* The time stamp counter: retired instructions in an emulator that counts them. */
uint64_t hx_arch_tsc(void);

/* Interrupts this CPU as if line @line had asked: for measuring and for tests. */
void hx_arch_irq_raise(uint32_t line);

/* ---- for placement --------------------------------------------------------------------------------------------------- */
/* A number that is another one in each boot: the CPU's random generator's when it has one and that answers (@out_random),
 * or else the time stamp counter's. Needs nothing. */
uint64_t hx_arch_entropy(bool *out_random);

/* ---- interrupts that came, for `irq' ---------------------------------------------------------------------------------- */
/* For `irq cpus': "0x38 line 8" and how often each CPU has taken it, modulo 2^32; 0: none has. Not of exceptions. */
size_t hx_arch_vector_describe(uint32_t vector, char *text, size_t bytes);
