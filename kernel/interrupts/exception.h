/* SPDX-License-Identifier: MIT */
/*
 * exception.h - what a fault means: a module's is unwound to its gate, the core's is a panic. What the machine itself reports
 * is nobody's fault: a non-maskable interrupt is counted and said, a machine check is a panic.
 *
 * A call that does not end is a fault too, see hang.h.
 *
 * The rule of law 3: unwinding happens only when control is in a module, that is, a gate frame is innermost, it is not in an
 * import, and the instruction pointer is not in the core's own text (it may be anywhere else: a module that calls through a
 * null pointer faults at 0).
 */
#pragma once
#include <gate/gate.h>

/*
 * Told of each fault that is about to be unwound, in the fault's context: interrupts off, no sleep, no lock.
 * @description: what happened, and in which function. @backtrace: the functions outside of the core that were under way,
 * innermost first; empty when nothing is known.
 */
typedef void (*hx_module_fault_fn)(const struct hx_gate_frame *frame, const char *description, const char *backtrace);

void hx_exception_bind(hx_module_fault_fn on_module_fault);
/* What a fault of @frame's call, the innermost, is: `unwound' counts it and the module's owner is told. @trap: NULL when the
 * kernel is about to return to the module from an import. */
void hx_exception_tell(const struct hx_trap *trap, const struct hx_gate_frame *frame, const char *what);
/* Whether @trap came where the call of @frame (may be NULL) can be unwound. */
bool hx_exception_is_modules(const struct hx_trap *trap, const struct hx_gate_frame *frame);

/* Faults unwound since boot. */
uint64_t hx_exception_unwound(void);
/* Non-maskable interrupts since boot. */
uint64_t hx_exception_nmis(void);
