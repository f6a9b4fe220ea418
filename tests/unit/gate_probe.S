/* SPDX-License-Identifier: MIT */
/*
 * gate_probe.S - what the gate's test cannot say in C: all registers before and after a call, and instructions counted.
 */
    .text

/*
 * void gate_probe_registers(hx_ret_t (*entry)(void), struct gate_probe *out)
 * Calls @entry with known values in every callee-saved register and with carry and direction flag set; stores what they
 * are afterwards, and the result: rbx, rbp, r12, r13, r14, r15, flags, rsp as difference, rax.
 */
    .globl gate_probe_registers
    .type gate_probe_registers, @function
gate_probe_registers:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    mov $0x1111111111111111, %rbx
    mov $0x2222222222222222, %rbp
    mov $0x3333333333333333, %r12
    mov $0x4444444444444444, %r13
    mov $0x5555555555555555, %r14
    mov $0x6666666666666666, %r15
    std
    stc
    mov %rsp, saved_rsp
    call *%rdi
    pushfq
    cld
    pop %rcx
    mov (%rsp), %rsi
    mov %rbx, 0(%rsi)
    mov %rbp, 8(%rsi)
    mov %r12, 16(%rsi)
    mov %r13, 24(%rsi)
    mov %r14, 32(%rsi)
    mov %r15, 40(%rsi)
    mov %rcx, 48(%rsi)
    mov %rsp, %rcx
    sub saved_rsp, %rcx
    mov %rcx, 56(%rsi)
    mov %rax, 64(%rsi)
    pop %rsi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size gate_probe_registers, . - gate_probe_registers

/* hx_ret_t gate_probe_trash(void) - an operation that leaves nothing intact, its stack pointer included, and faults. */
    .globl gate_probe_trash
    .type gate_probe_trash, @function
gate_probe_trash:
    mov $0xdead, %eax
    mov %rax, %rbx
    mov %rax, %rcx
    mov %rax, %rdx
    mov %rax, %rsi
    mov %rax, %rdi
    mov %rax, %rbp
    mov %rax, %r8
    mov %rax, %r9
    mov %rax, %r10
    mov %rax, %r11
    mov %rax, %r12
    mov %rax, %r13
    mov %rax, %r14
    mov %rax, %r15
    mov %rax, %rsp
    cld
    clc
    ud2
    .size gate_probe_trash, . - gate_probe_trash

/* void gate_probe_clobber(void) - what any C function may do to its caller: no argument register keeps its value. */
    .globl gate_probe_clobber
    .type gate_probe_clobber, @function
gate_probe_clobber:
    mov $0xdead, %edi
    mov %rdi, %rsi
    mov %rdi, %rdx
    mov %rdi, %rcx
    mov %rdi, %r8
    mov %rdi, %r9
    mov %rdi, %r10
    mov %rdi, %r11
    ret
    .size gate_probe_clobber, . - gate_probe_clobber

/* hx_ret_t gate_probe_alignment(void) - an operation that tells its stack pointer's last four bits at entry. */
    .globl gate_probe_alignment
    .type gate_probe_alignment, @function
gate_probe_alignment:
    mov %rsp, %rax
    and $15, %eax
    ret
    .size gate_probe_alignment, . - gate_probe_alignment

/*
 * void gate_probe_step_entry(void), gate_probe_step_plain(const struct hx_slot *), gate_probe_step_stub(const void *)
 * Single-step a call of hx_kv_count(), the plain indirect call that it replaces (load the vtable, call operation 4), and a
 * call of a module's stub.
 */
.macro SINGLE_STEP on
    pushfq
    .if \on
    orl $0x100, (%rsp)
    .else
    andl $~0x100, (%rsp)
    .endif
    popfq
.endm
    .globl gate_probe_step_entry
    .type gate_probe_step_entry, @function
gate_probe_step_entry:
    sub $8, %rsp
    SINGLE_STEP 1
    call hx_kv_count
    SINGLE_STEP 0
    add $8, %rsp
    ret
    .size gate_probe_step_entry, . - gate_probe_step_entry

    .globl gate_probe_step_plain
    .type gate_probe_step_plain, @function
gate_probe_step_plain:
    sub $8, %rsp
    SINGLE_STEP 1
    mov (%rdi), %rax
    call *32(%rax)
    SINGLE_STEP 0
    add $8, %rsp
    ret
    .size gate_probe_step_plain, . - gate_probe_step_plain

    .globl gate_probe_step_stub
    .type gate_probe_step_stub, @function
gate_probe_step_stub:
    sub $8, %rsp
    SINGLE_STEP 1
    call *%rdi
    SINGLE_STEP 0
    add $8, %rsp
    ret
    .size gate_probe_step_stub, . - gate_probe_step_stub

/* The import stubs once more, in front of exports that the test provides: gate_test_import_<name>. */
#define hx_import_ gate_test_import_
#define hx_export_ gate_test_export_
#define hx_import_table gate_test_import_table
#define hx_import_count gate_test_import_count
#include <arch/x86_64/import.S>
#define PROVIDED_OR_NOT_CALLED(name, ...) .weak gate_test_export_##name;
HX_EXPORTS(PROVIDED_OR_NOT_CALLED)

    .section .bss
    .balign 8
saved_rsp:
    .skip 8
