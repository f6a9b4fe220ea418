/* SPDX-License-Identifier: MIT */
/*
 * module_code.S - operations that go wrong, as position-independent code that is copied to image memory before it runs.
 *
 * Why copied: a fault of the core's own text is a panic; only code elsewhere is unwound. CPU state on entry: a gate's call,
 * arguments in rdi, rsi.
 */
    .section .rodata
    .globl selftest_code_start, selftest_code_end, selftest_code_offsets

selftest_code_start:
answer:
    mov $42, %eax
    ret
read_byte:
    movzbl (%rdi), %eax
    ret
write_byte:
    mov %sil, (%rdi)
    xor %eax, %eax
    ret
jump:
    xor %eax, %eax
    jmp *%rdi
undefined:
    ud2
divide:
    mov $1, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    div %ecx
    ret
vector:
    xorps %xmm0, %xmm0
    ret
trash:
    cli
    std
    mov $0x1234, %ebp
    mov %rbp, %rbx
    mov %rbp, %r12
    mov %rbp, %r13
    mov %rbp, %r14
    mov %rbp, %r15
    ud2
switch_stack:
    mov %rdi, %rsp
    push %rax
    ud2
overflow:
    push %rax
    jmp overflow
selftest_code_end:

/* enum module_op */
    .balign 4
selftest_code_offsets:
    .long answer - selftest_code_start
    .long read_byte - selftest_code_start
    .long write_byte - selftest_code_start
    .long jump - selftest_code_start
    .long undefined - selftest_code_start
    .long divide - selftest_code_start
    .long vector - selftest_code_start
    .long trash - selftest_code_start
    .long switch_stack - selftest_code_start
    .long overflow - selftest_code_start

    .section .note.GNU-stack, "", @progbits
