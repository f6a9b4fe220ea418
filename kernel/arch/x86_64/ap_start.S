/* SPDX-License-Identifier: MIT */
/*
 * ap_start.S - another CPU's way from real mode to C.
 *
 * The first part is copied to a page below 1 MiB, where a start-up interrupt sends a CPU, and goes on to long mode at once, by
 * boot.S's tables. Who then is not the one that is waited for, as it comes later than it was given, stops: until it has
 * taken its place it uses no stack and writes nothing.
 * Source: Intel SDM vol. 3A, 8.4.4 (start-up), 9.8.5 (long mode).
 */
#define KERNEL_BASE 0xffffffff80000000
#define PA(symbol) ((symbol) - KERNEL_BASE)

#define CR0_VALUE 0x80010033 /* PG WP NE ET MP PE */
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* struct hx_arch_start in cpu_start.c */
#define START_EXPECTED 0
#define START_EFER 4
#define START_CR3 8
#define START_STACK_TOP 16
#define TAKEN 0xfffffffe

    .section .rodata
/* Real mode, at the start of a page; interrupts off. */
    .globl hx_arch_trampoline, hx_arch_trampoline_end
    .type hx_arch_trampoline, @object
    .balign 16
    .code16
hx_arch_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $PA(hx_boot_pml4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    lgdtl gdt_pointer - hx_arch_trampoline
    movl $CR0_VALUE, %eax
    movl %eax, %cr0
    ljmpl $0x08, $PA(enter)
gdt_pointer:
    .short 3 * 8 - 1
    .long PA(hx_boot_gdt)
hx_arch_trampoline_end:
    .size hx_arch_trampoline, . - hx_arch_trampoline

    .text
    .code64
enter:
    movabsq $1f, %rax /* leave the identity map */
    jmpq *%rax
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %eax
    movl $TAKEN, %ecx
    lock cmpxchgl %ecx, hx_arch_start + START_EXPECTED
    jne 2f
    movl $MSR_EFER, %ecx
    movl hx_arch_start + START_EFER, %eax
    xorl %edx, %edx
    wrmsr
    movq hx_arch_start + START_CR3, %rax
    movq %rax, %cr3
    movq hx_arch_start + START_STACK_TOP, %rsp
    xorl %ebp, %ebp /* ends every backtrace */
    call hx_arch_cpu_main
2:  cli
    hlt
    jmp 2b

    .section .note.GNU-stack, "", @progbits
