/* SPDX-License-Identifier: MIT */
/*
 * context.S - from one stack to another: what a C call does not save is already dead, so eight words are enough.
 *
 * A context at rest, from struct hx_hal_context.sp upwards: low end of its stack, r15, r14, r13, r12, rbp, rbx, return
 * address (struct hx_context_frame in context.c). The low end travels with the context so that hx_hal_stack_bounds() needs
 * no task. RFLAGS are not saved: interrupts are off on both sides, and the rest is dead over a call.
 */
#include "percpu.h"

    .text
    .cfi_sections .debug_frame /* for debuggers alone */

/* void hx_hal_switch(struct hx_hal_context *from, struct hx_hal_context *to) - interrupts off */
    .globl hx_hal_switch
    .type hx_hal_switch, @function
    .balign 16
hx_hal_switch:
    .cfi_startproc
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushq %gs:hx_arch_cpu + HX_ARCH_STACK_LOW
    .cfi_def_cfa_offset 64
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    popq %gs:hx_arch_cpu + HX_ARCH_STACK_LOW
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size hx_hal_switch, . - hx_hal_switch

/* Where a new context begins: rbx = argument, r12 = entry, rbp = 0 (ends a backtrace), rsp = 16n. */
    .globl hx_arch_context_start
    .type hx_arch_context_start, @function
    .balign 16
hx_arch_context_start:
    .cfi_startproc
    .cfi_undefined rip
    mov %rbx, %rdi
    sti
    call *%r12
    ud2 /* entry does not return */
    .cfi_endproc
    .size hx_arch_context_start, . - hx_arch_context_start

    .section .note.GNU-stack, "", @progbits
