/* SPDX-License-Identifier: MIT */
/*
 * trap_entry.S - 256 ways into the kernel that become two: exceptions (0..31) and interrupts.
 *
 * On entry: interrupts off (every gate in the IDT is an interrupt gate), on the interrupted stack, or on an IST stack for
 * #DF, NMI and #MC. Direction and alignment-check flags are whatever was interrupted.
 * Stack:    the CPU aligns rsp to 16, then pushes five words and the error code, the stub one or two, we 15 and two more:
 *           24 in all, so C is called aligned.
 * Leaving:  by iretq with the frame as C left it; an unwound call goes on at hx_gate_resume that way.
 */
#include "trap.h"

#define RFLAGS_AC 0x40000

    .text

.macro PUSH_REGISTERS
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro POP_REGISTERS
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
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

    .balign 16
exception:
    PUSH_REGISTERS
    mov %cr2, %rax /* before anything can fault */
    push $0
    push %rax
    cld
    FROM_RING_3 HX_TRAP_CS
    mov %rsp, %rdi
    call hx_arch_exception
    TO_RING_3 HX_TRAP_CS
    add $16, %rsp
    POP_REGISTERS
    add $16, %rsp
    iretq

    .balign 16
interrupt:
    PUSH_REGISTERS
    sub $16, %rsp
    cld
    FROM_RING_3 HX_TRAP_CS
    mov %rsp, %rdi
    call hx_arch_interrupt
    TO_RING_3 HX_TRAP_CS
    add $16, %rsp
    POP_REGISTERS
    add $16, %rsp
    iretq

/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX come with an error code (Intel SDM vol. 3A, table 6-1; AMD APM vol. 2, 8.2). */
#define ERROR_CODE_VECTORS 0x60227d00

    .balign 16
    .globl hx_arch_trap_stubs
    .type hx_arch_trap_stubs, @function
hx_arch_trap_stubs:
    .set n, 0
    .rept 256
    .balign 16
    .if n >= 32
    push $0
    push $n
    jmp interrupt
    .else
    .if ((ERROR_CODE_VECTORS >> n) & 1) == 0
    push $0
    .endif
    push $n
    jmp exception
    .endif
    .set n, n + 1
    .endr
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
