/* SPDX-License-Identifier: MIT */
/*
 * gate.S - the one way into a module: an entry for every operation that the kernel calls, and what a closed slot answers.
 *
 * Why assembly: the frame must hold the caller's callee-saved registers and flags as they were at the call, which no C
 * function can know; and the whole price is 16 instructions more than `mov slot, %rax; call *op(%rax)`.
 *
 * The counted 16, per call: the caller's call, pushfq, six pushes, push slot, push frame, set frame, entered++, [load,
 * call: the plain indirect call], left++, pop frame, add, ret.
 *
 * Invariant: `entered` is bumped before the slot's vtable is loaded, and `left` after the callee has returned. gate.h says
 *            why a drain is wrong when that order changes. Both are single instructions on this CPU's copy, so an
 *            interrupt or a migration in between moves a count to another CPU and never loses it.
 * Invariant: `left` is bumped before the frame is taken off, so that a task that is stopped in between still has a frame:
 *            one without any may be ended on the spot, and would never be counted out.
 * Invariant: on the way out nothing is taken from below the frame, and the six registers are not reloaded: the callee kept
 *            them. Only hx_gate_resume reads them. Nor are the flags, where an instruction counts: who calls an operation by
 *            its own entry sets them (hx_irq_disable() and hx_gate_left() do).
 * Stack:     at an entry rsp = 16n + 8; nine words are pushed, so the callee is called with rsp = 16n, as the ABI wants.
 * Symbols:   absolute addresses fit 32 bits sign-extended (the kernel's -2 GiB, a host program linked -no-pie).
 *
 * Unwinding: what stands on the stack is told to debuggers, in debug information alone (.cfi_*); the kernel has its frames.
 *
 * No privileged instruction: the same file runs in a Linux process whose GS base is set.
 */
#include "include/hx_gate_asm.h"

#include <gate/interfaces.h>
#include <hal/hx_cpu.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>

/* Error numbers, from the one list. */
#define HX_ERR(name, number, short_name, text) .set HX_E_##name, -(number);
#include <helix/err.def>
#undef HX_ERR

.set OPS_MAX, 16 /* HX_OPS_MAX; asserted in gate_stub.c */

.macro FUNCTION name
    .globl \name
    .type \name, @function
    .balign 16
\name:
    .cfi_startproc
.endm
.macro END name
    .cfi_endproc
    .size \name, . - \name
.endm

/* A push, a pop, and what takes several words off, for debuggers too. */
.macro PUSH what:vararg
    pushq \what
    .cfi_adjust_cfa_offset 8
.endm
.macro POP what:vararg
    popq \what
    .cfi_adjust_cfa_offset -8
.endm
.macro DROP bytes:vararg
    add $\bytes, %rsp
    .cfi_adjust_cfa_offset -(\bytes)
.endm
.macro PARK_REGISTER name
    PUSH %\name
    .cfi_rel_offset \name, 0
.endm

/* Parks flags and callee-saved registers in the order of struct hx_gate_frame, down to the slot. */
.macro PARK
    pushfq
    .cfi_adjust_cfa_offset 8
    PARK_REGISTER rbx
    PARK_REGISTER rbp
    PARK_REGISTER r12
    PARK_REGISTER r13
    PARK_REGISTER r14
    PARK_REGISTER r15
.endm
/* Behind the call they are what they were. */
.macro UNPARKED
    .cfi_restore rbx
    .cfi_restore rbp
    .cfi_restore r12
    .cfi_restore r13
    .cfi_restore r14
    .cfi_restore r15
.endm
/* rsp is at a frame that another call has parked. */
.macro AT_FRAME
    .cfi_def_cfa rsp, HX_FRAME_BYTES + 8
    .cfi_offset rbx, -24
    .cfi_offset rbp, -32
    .cfi_offset r12, -40
    .cfi_offset r13, -48
    .cfi_offset r14, -56
    .cfi_offset r15, -64
.endm

/* No spinlock is held across a gate: where that is checked, it ends here, before anything has changed. */
.macro HOLDS_NO_LOCK
#if defined(HX_CHECKS) && HX_CHECKS
    cmpl $0, %gs:hx_cpu + HX_CPU_LOCK_RANK
    je .Lholds_none_\@
    ud2
.Lholds_none_\@:
#endif
.endm

    .text
    .cfi_sections .debug_frame

/*
 * hx_ret_t <interface>_<operation>(...)
 * The arguments stay where they are. rax is free: no operation is variadic.
 */
.macro GATE_ENTRY name, slot, index
FUNCTION \name
    HOLDS_NO_LOCK
    PARK
    PUSH $hx_slots + (\slot << HX_SLOT_SHIFT)
    PUSH %gs:hx_cpu + HX_CPU_FRAME
    mov %rsp, %gs:hx_cpu + HX_CPU_FRAME
    incq %gs:hx_slots + (\slot << HX_SLOT_SHIFT) + HX_SLOT_ENTERED
    mov hx_slots + (\slot << HX_SLOT_SHIFT) + HX_SLOT_VTABLE, %rax /* after entered++ */
    call *(8 * \index)(%rax)
    incq %gs:hx_slots + (\slot << HX_SLOT_SHIFT) + HX_SLOT_LEFT
    UNPARKED
    POP %gs:hx_cpu + HX_CPU_FRAME /* after left++ */
    DROP HX_FRAME_BYTES - HX_FRAME_SLOT
    ret
END \name
.endm

#define ENTRY_OF_OP(iface, index, op, ...) GATE_ENTRY iface##_##op, HX_SLOT_##iface, index;
#define ENTRIES_OF(prefix, PREFIX, sleepable) PREFIX##_OPS(ENTRY_OF_OP)
HX_KERNEL_INTERFACES(ENTRIES_OF)

/* hx_ret_t hx_gate_call(struct hx_slot *slot, uint32_t index, uint64_t a, uint64_t b, uint64_t c, uint64_t d) */
FUNCTION hx_gate_call
    HOLDS_NO_LOCK
    PARK
    PUSH %rdi
    PUSH %gs:hx_cpu + HX_CPU_FRAME
    mov %rsp, %gs:hx_cpu + HX_CPU_FRAME
    incq %gs:HX_SLOT_ENTERED(%rdi)
    mov HX_SLOT_VTABLE(%rdi), %rax /* after entered++ */
    mov %esi, %r10d
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    mov %r9, %rcx
    call *(%rax, %r10, 8)
    mov HX_FRAME_SLOT(%rsp), %r11
    incq %gs:HX_SLOT_LEFT(%r11)
    UNPARKED
    POP %gs:hx_cpu + HX_CPU_FRAME /* after left++ */
    DROP HX_FRAME_RFLAGS - HX_FRAME_SLOT
    popfq /* without the upper half: SDM vol. 2B */
    .cfi_adjust_cfa_offset -8
    ret
END hx_gate_call

/*
 * A module calls another: its stub (hx_hal_stub_write) comes here with r11 = slot, r10 = offset of the operation in the
 * vtable, the arguments in place and the module's return address on the stack. A module always runs inside a frame of its
 * own, so there is one to look at when the call is over: a kill that arrived meanwhile takes effect before the module goes
 * on. (Not when this call is unwound: then it takes effect at the module's next import, call or return.)
 */
FUNCTION hx_gate_module_enter
    STACK_ROOM
    PARK
    PUSH %r11
    PUSH %gs:hx_cpu + HX_CPU_FRAME
    mov %rsp, %gs:hx_cpu + HX_CPU_FRAME
    incq %gs:HX_SLOT_ENTERED(%r11)
    mov HX_SLOT_VTABLE(%r11), %rax /* after entered++ */
    call *(%rax, %r10)
    mov HX_FRAME_SLOT(%rsp), %r11
    incq %gs:HX_SLOT_LEFT(%r11)
    UNPARKED
    POP %gs:hx_cpu + HX_CPU_FRAME /* after left++ */
    DROP HX_FRAME_RFLAGS - HX_FRAME_SLOT
    popfq
    .cfi_adjust_cfa_offset -8
    mov %gs:hx_cpu + HX_CPU_FRAME, %rcx
    cmpb $0, HX_FRAME_KILL(%rcx)
    jne hx_gate_killed
    ret
END hx_gate_module_enter

/*
 * Where an intercepted call returns to in place of its gate: rsp at its frame, rax the result. The kernel works with the flags
 * of the gate's caller, whatever the module has made of them. Then it goes on where it would have.
 */
FUNCTION hx_gate_intercepted
    AT_FRAME
    pushq HX_FRAME_RFLAGS(%rsp)
    popfq /* without the upper half: SDM vol. 2B */
    mov %rsp, %rdi
    PUSH %rax
    DROP -8
    call hx_gate_leaving
    mov %rax, %r11
    DROP 8
    POP %rax
    jmp *%r11
END hx_gate_intercepted

/* Where a call of a module, of the kernel's or of another's, faults that finds less than HX_STACK_ROOM. */
FUNCTION hx_gate_stack_short
    ud2
END hx_gate_stack_short

/*
 * Where an unwound call continues: rsp at its frame, rax its result, GS this CPU's, everything else anything. The caller
 * gets its registers and flags back as they were at the call, the interrupt flag included: a module that does `cli` and
 * faults does not leave interrupts off. The marks in the parked flags' upper half are wiped, reserved bits stay 0.
 *
 * The frames that nested inside this one were counted out by hx_hal_trap_unwind().
 */
FUNCTION hx_gate_resume
    AT_FRAME
    mov HX_FRAME_SLOT(%rsp), %rcx
    incq %gs:HX_SLOT_LEFT(%rcx)
    POP %gs:hx_cpu + HX_CPU_FRAME /* after left++ */
    DROP 8
    POP %r15
    POP %r14
    POP %r13
    POP %r12
    POP %rbp
    POP %rbx
    UNPARKED
    movl $0, 4(%rsp)
    popfq
    .cfi_adjust_cfa_offset -8
    ret
END hx_gate_resume

/* _Noreturn void hx_gate_unwind_to(struct hx_gate_frame *frame, hx_ret_t result) - frame: the innermost of this task. */
FUNCTION hx_gate_unwind_to
    mov %rsi, %rax
    mov %rdi, %rsp
    cld
    jmp hx_gate_resume
END hx_gate_unwind_to

/*
 * A closed slot whose callers wait. Entered by a gate's call like an operation: rsp = frame - 8, arguments in place.
 *
 * The frame is marked first, so that nobody takes it for one inside the module; `left` is bumped before anything sleeps,
 * so that the drain does not wait for a waiter; then it starts again from the top, `entered` before the load. The new
 * vtable may be this one again.
 */
.macro WAIT_STUB index
wait_\index:
    mov $8 * \index, %r10d
    jmp wait_at_slot
.endm
.altmacro
.set i, 0
.rept OPS_MAX
    WAIT_STUB %i
    .set i, i + 1
.endr
.noaltmacro

    .balign 16
wait_at_slot:
    .cfi_startproc
    movb $1, 8 + HX_FRAME_WAITING(%rsp)
    PUSH %rdi
    PUSH %rsi
    PUSH %rdx
    PUSH %rcx
    PUSH %r8
    PUSH %r9
    PUSH %r10 /* seven words: aligned for the call */
    mov 64 + HX_FRAME_SLOT(%rsp), %rdi
    incq %gs:HX_SLOT_LEFT(%rdi)
    call hx_gate_wait
    mov 64 + HX_FRAME_SLOT(%rsp), %r11
    incq %gs:HX_SLOT_ENTERED(%r11)
    POP %r10
    POP %r9
    POP %r8
    POP %rcx
    POP %rdx
    POP %rsi
    POP %rdi
    movb $0, 8 + HX_FRAME_WAITING(%rsp)
    test %rax, %rax
    jz 1f
    cmp $-4095, %rax
    jae 2f
    jmp *(%rax, %r10) /* the closing version, for a task that is inside it already */
1:  mov HX_SLOT_VTABLE(%r11), %rax /* after entered++ */
    jmp *(%rax, %r10)
2:  ret /* the error, counted out by the gate that called */
    .cfi_endproc

/* The other answers. hx_ret_t name(any arguments) */
.macro ANSWER name, error
FUNCTION \name
    mov $\error, %rax
    ret
END \name
.endm
    ANSWER hx_gate_op_unsupported, HX_E_UNSUPPORTED
    ANSWER hx_gate_op_closed, HX_E_CLOSED
    ANSWER hx_gate_op_absent, HX_E_ABSENT
    ANSWER hx_gate_op_failed, HX_E_FAILED

    .section .rodata
.macro VTABLE name
    .globl \name
    .type \name, @object
    .size \name, 8 * OPS_MAX
    .balign 64
\name:
.endm
.macro WAIT_POINTER index
    .quad wait_\index
.endm

VTABLE hx_gate_vtable_wait
.altmacro
.set i, 0
.rept OPS_MAX
    WAIT_POINTER %i
    .set i, i + 1
.endr
.noaltmacro
VTABLE hx_gate_vtable_closed
    .rept OPS_MAX
    .quad hx_gate_op_closed
    .endr
VTABLE hx_gate_vtable_absent
    .rept OPS_MAX
    .quad hx_gate_op_absent
    .endr
VTABLE hx_gate_vtable_failed
    .rept OPS_MAX
    .quad hx_gate_op_failed
    .endr

    .section .note.GNU-stack, "", @progbits
