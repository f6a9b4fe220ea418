/* SPDX-License-Identifier: MIT */
/*
 * hal_host.h - the machine that tests run the portable core on, and the handles by which they turn it.
 *
 * It implements hx_hal.h in a Linux process and checks the core's side of each contract; a breach prints one line and
 * aborts. A program that uses it is compiled -fno-pie, linked -no-pie with -Wl,-T,tests/host/percpu.ld, and contains
 * kernel/arch/x86_64/gate.S and gate_stub.c.
 * Time is virtual: it passes in hal_host_advance(), while idle, and by a step at each reading. Interrupts arrive when they
 * are due and the flag is on: in hal_host_advance(), when the flag is turned on, at a reading of the clock, in
 * hx_cpu_relax(), in hx_hal_idle().
 */
#pragma once
#include <hal/hx_hal.h>

/* ---- beginning and end of a test --------------------------------------------------------------------------------------- */
/* This thread becomes CPU 0, interrupts on, clock at 0. Before anything else of the core. */
void hal_host_init(void);
/* Checks that nothing is left: bytes, images, stacks, gate frames, interrupts off, preemption off. */
void hal_host_fini(void);
/* What is left, as text, or NULL when nothing is. */
const char *hal_host_leftovers(void);
/* Another thread becomes CPU @id < HX_CPUS_MAX; hx_hal_cpu_count() is the highest id plus 1. It schedules no tasks. */
void hal_host_cpu_enter(uint32_t id);
/* CPUs that were poked since the last call, a bit each. */
uint32_t hal_host_pokes_take(void);
/* The same of probes, which do nothing else. */
uint32_t hal_host_probes_take(void);

/* ---- allocation ---------------------------------------------------------------------------------------------------------- */
/* The @nth allocation from now on fails, heap, image, grant and stack counted together; 0: none does. */
void hal_host_fail_at(uint64_t nth);
/* Whether the failure has happened. */
bool hal_host_has_failed(void);
uint64_t hal_host_live_stacks(void);

/* ---- time and interrupts ------------------------------------------------------------------------------------------------- */
/* Time goes on by @ns while the caller runs; what falls due is delivered, and may run others first. */
void hal_host_advance(uint64_t ns);
/* What a reading of the clock costs: 10 after hal_host_init(), so that a wait for a deadline ends; 0 for exact figures. */
void hal_host_clock_step(uint64_t ns);
/* The device on line @line asserts it: delivered now or when it can be. There are 40; input 20 is an ISA line's. */
enum { HAL_HOST_LINES = 40, HAL_HOST_ISA_INPUT = 20 };
void hal_host_irq(uint32_t line);
bool hal_host_irq_unmasked(uint32_t line);
void hal_host_irq_set_level(uint32_t line); /* an ISA line: edge-triggered until then */
/* Deadline that the machine is armed for, UINT64_MAX: none; and how often it has been armed. */
uint64_t hal_host_timer_ns(void);
uint64_t hal_host_timer_arms(void);
/* Idles as the idle task would until no interrupt is armed or pending any more. Interrupts on. */
void hal_host_run(void);

/* ---- devices ------------------------------------------------------------------------------------------------------------- */
/* Called for port access; NULL: reads give 0xff, writes are dropped. */
extern uint8_t (*hal_host_port_read)(uint16_t port);
extern void (*hal_host_port_write)(uint16_t port, uint8_t value);
/* What has been written to the console since the last hal_host_console_clear(). */
const char *hal_host_console(void);
void hal_host_console_clear(void);

/* The control channel: how much what is sent waits for (room in the line; at first without end), whether there is one, what the
 * peer has sent (delivered as an interrupt would), and what the kernel has since the last call: [*out_bytes], until the next. */
void hal_host_control_room(size_t bytes);
void hal_host_control_absent(void);
void hal_host_control_send(const void *data, size_t bytes);
const uint8_t *hal_host_control_take(size_t *out_bytes);

/* ---- faults and the end -------------------------------------------------------------------------------------------------- */
/* Functions that stand in for a module's: hx_hal_ip_in_core() is false for them. */
#define HAL_HOST_MODULE __attribute__((section("hal_host_module"), noinline, no_sanitize("address", "undefined")))
/* Takes faults in place of hx_entry_trap(); NULL: that one, where it is linked. */
extern void (*hal_host_on_trap)(struct hx_trap *trap);
enum hal_host_end { HAL_HOST_HALT, HAL_HOST_REBOOT, HAL_HOST_POWEROFF };
/* Called for halt, reboot and power-off; must not return. NULL: the process ends with status 125, 124 or the code. */
extern void (*hal_host_on_end)(enum hal_host_end how, uint32_t code);
