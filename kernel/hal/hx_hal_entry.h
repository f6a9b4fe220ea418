/* SPDX-License-Identifier: MIT */
/*
 * hx_hal_entry.h - how the machine calls up into the core.
 *
 * Every call comes with interrupts off on the CPU that it concerns. The machine acknowledges the interrupt itself (EOI)
 * before hx_entry_irq_exit(), which may switch tasks and return much later.
 * Implemented by: kernel/interrupts (trap, irq, tick), kernel/task (timer, poke, CPU, exit), kernel/debug (console byte, control).
 */
#pragma once
#include <helix/types.h>

struct hx_trap;

/* A fault or trap of the CPU. Returns when execution may go on as the trap frame now says; otherwise it panics. */
void hx_entry_trap(struct hx_trap *trap);
/* A line, see hx_hal.h. The machine has counted irq_depth. */
void hx_entry_irq(uint32_t line);
/* The deadline of hx_hal_timer_arm() has passed: it is @now_ns. */
void hx_entry_timer(uint64_t now_ns);
/* An interrupt of the timer or a poke is all but over: whom it interrupted, who may go on elsewhere. The machine has counted
 * irq_depth. */
void hx_entry_tick(struct hx_trap *trap);
/* hx_hal_cpu_poke() of this or another CPU; several may be one. */
void hx_entry_poke(void);
/* A CPU other than the first runs the kernel from here on, on a stack of its own. Does not return. */
_Noreturn void hx_entry_cpu(void);
/* Last call of every interrupt that leaves irq_depth 0 and need_resched set: the place where the running task may be
 * replaced. */
void hx_entry_irq_exit(void);
/* A byte from the console's line; several calls an interrupt. */
void hx_entry_console_byte(uint8_t byte);
/* The control channel: bytes have come, or there is room for some that go out. */
void hx_entry_control(void);
