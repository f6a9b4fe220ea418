/* SPDX-License-Identifier: MIT */
/*
 * trap_entry.S - 256 ways into the kernel that become two: exceptions (0..31) and interrupts.
 *
 * On entry: interrupts off (every gate in the IDT is an interrupt gate), on the interrupted stack, or on an IST stack for
 * #DF, NMI and #MC. Direction and alignment-check flags are whatever was interrupted.
 * Stack:    the CPU aligns rsp to 16, then pushes five words and the error code, the stub one or two, we 15 and two more:
 *           24 in all, so C is called aligned.
 *           When it leaves less than HX_STACK_ROOM, C runs on the stack of #DF: there nothing has to be left behind but for
 *           a panic. rsp is in rbx meanwhile.
 * Leaving:  by iretq with the frame as C left it; an unwound call goes on at hx_gate_resume that way.
 */
#include "trap.h"

#include <hal/hx_cpu.h>
#include <hx_gate_asm.h>

#include "percpu.h"

#define RFLAGS_AC 0x40000

    .text
    .cfi_sections .debug_frame

/* A register that is pushed and popped, for debuggers too. */
.macro SAVE name
    push %\name
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \name, 0
.endm
.macro RESTORE name
    pop %\name
    .cfi_adjust_cfa_offset -8
    .cfi_restore \name
.endm
/* To debuggers: what the CPU has pushed, below it error code and vector. */
.macro INTERRUPTED
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 24
    .cfi_offset rip, -8
    .cfi_offset rsp, 16
.endm

.macro PUSH_REGISTERS
    SAVE rax
    SAVE rbx
    SAVE rcx
    SAVE rdx
    SAVE rsi
    SAVE rdi
    SAVE rbp
    SAVE r8
    SAVE r9
    SAVE r10
    SAVE r11
    SAVE r12
    SAVE r13
    SAVE r14
    SAVE r15
.endm

.macro POP_REGISTERS
    RESTORE r15
    RESTORE r14
    RESTORE r13
    RESTORE r12
    RESTORE r11
    RESTORE r10
    RESTORE r9
    RESTORE r8
    RESTORE rbp
    RESTORE rdi
    RESTORE rsi
    RESTORE rdx
    RESTORE rcx
    RESTORE rbx
    RESTORE rax
.endm

/*
 * From ring 3 GS base is the program's, and its AC flag would switch SMAP off for us. The kernel never sets AC, so from
 * ring 0 there is nothing to clear (and CLAC does not exist on a CPU without SMAP).
 */
.macro FROM_RING_3 cs
    testb $3, \cs(%rsp)
    jz .Lkernel\@
    swapgs
    pushfq
    andl $~RFLAGS_AC, (%rsp)
    popfq
.Lkernel\@:
.endm

.macro TO_RING_3 cs
    testb $3, \cs(%rsp)
    jz .Lkernel\@
    swapgs
.Lkernel\@:
.endm

/* On an IST stack the difference is far more. */
.macro JUMP_IF_SHORT to
    mov %rsp, %rax
    sub %gs:hx_stack_low, %rax
    cmp $HX_STACK_ROOM, %rax
    jb \to
.endm

    .balign 16
exception:
    INTERRUPTED
    PUSH_REGISTERS
    mov %cr2, %rax /* before anything can fault */
    push $0
    push %rax
    .cfi_adjust_cfa_offset 16
    cld
    FROM_RING_3 HX_TRAP_CS
    mov %rsp, %rdi
    JUMP_IF_SHORT exception_on_spare_stack
    call hx_arch_exception
exception_end:
    TO_RING_3 HX_TRAP_CS
    add $16, %rsp
    .cfi_adjust_cfa_offset -16
    POP_REGISTERS
    add $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc

    .balign 16
interrupt:
    push $0 /* the vector, which C writes */
    INTERRUPTED
    PUSH_REGISTERS
    sub $16, %rsp
    .cfi_adjust_cfa_offset 16
    cld
    FROM_RING_3 HX_TRAP_CS
    mov %rsp, %rdi
    JUMP_IF_SHORT interrupt_on_spare_stack
    call hx_arch_interrupt
interrupt_end:
    TO_RING_3 HX_TRAP_CS
    add $16, %rsp
    .cfi_adjust_cfa_offset -16
    POP_REGISTERS
    add $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc

exception_on_spare_stack:
    mov %rsp, %rbx
    mov %gs:hx_arch_cpu + HX_ARCH_SPARE_STACK, %rsp
    call hx_arch_exception
    mov %rbx, %rsp
    jmp exception_end

/* A switch from this stack would leave it to two: the task goes on until it has more room, or none. */
interrupt_on_spare_stack:
    mov %rsp, %rbx
    mov %gs:hx_arch_cpu + HX_ARCH_SPARE_STACK, %rsp
    incl %gs:hx_cpu + HX_CPU_PREEMPT_OFF
    call hx_arch_interrupt
    decl %gs:hx_cpu + HX_CPU_PREEMPT_OFF
    mov %rbx, %rsp
    jmp interrupt_end

/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX come with an error code (Intel SDM vol. 3A, table 6-1; AMD APM vol. 2, 8.2). */
#define ERROR_CODE_VECTORS 0x60227d00

    .balign 16
    .globl hx_arch_trap_stubs
    .type hx_arch_trap_stubs, @function
hx_arch_trap_stubs:
    .set n, 0
    .rept 32
    .balign 16
    .if ((ERROR_CODE_VECTORS >> n) & 1)
    test $8, %spl /* the CPU's six words keep rsp aligned: with five, an `int' instruction was it, which brings no code */
    jz 1f
    .endif
    push $0
1:  push $n
    jmp exception
    .set n, n + 1
    .endr
    .balign 16
/* The low byte is the vector; it stands where an error code would. As many as a short jump leads past. */
interrupt_stubs:
    .rept (256 - 32) / 32
    .rept 32
    push $(n - (n / 128) * 256)
    jmp 1f
    .set n, n + 1
    .endr
1:  jmp interrupt
    .balign 8
    .endr
    .org interrupt_stubs + (256 - 32) / 32 * (32 * 4 + 8) /* refused where they have come to more */
    .size hx_arch_trap_stubs, . - hx_arch_trap_stubs

/* void hx_arch_tables_load(const void *gdt_pointer, const void *idt_pointer) - GDT with our selectors, TSS, IDT. */
    .globl hx_arch_tables_load
    .type hx_arch_tables_load, @function
hx_arch_tables_load:
    lgdt (%rdi)
    lidt (%rsi)
    mov $HX_SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $HX_SELECTOR_TSS, %eax
    ltr %ax
    pop %rax
    push $HX_SELECTOR_CODE
    push %rax
    lretq
    .size hx_arch_tables_load, . - hx_arch_tables_load

    .section .note.GNU-stack, "", @progbits
