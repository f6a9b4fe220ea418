/* SPDX-License-Identifier: MIT */
/*
 * paging.S - the instructions of paging that C cannot say; prototypes stand above each.
 *
 * Source: Intel SDM vol. 2 (CPUID leaves 1, 0x80000001, 0x80000008; INVLPG), vol. 3A 2.5 (CR4.PGE), 4.10.4.
 */
#define CR4_PGE 0x80

	.text
	.code64

/* void hx_paging_flush(uintptr_t va) */
	.globl hx_paging_flush
	.type hx_paging_flush, @function
hx_paging_flush:
	invlpg (%rdi)
	ret
	.size hx_paging_flush, . - hx_paging_flush

/* void hx_paging_reload(void) */
	.globl hx_paging_reload
	.type hx_paging_reload, @function
hx_paging_reload:
	movq %cr3, %rax
	movq %rax, %cr3
	ret
	.size hx_paging_reload, . - hx_paging_reload

/* void hx_paging_load(uint64_t root_pa); interrupts off. PGE is off during the load, so that no old entry survives it. */
	.globl hx_paging_load
	.type hx_paging_load, @function
hx_paging_load:
	pushq %rbx
	movq %cr4, %rsi
	andq $~CR4_PGE, %rsi
	movq %rsi, %cr4
	movq %rdi, %cr3
	movl $1, %eax
	cpuid
	testl $(1 << 13), %edx
	jz 1f
	orq $CR4_PGE, %rsi
	movq %rsi, %cr4
1:	popq %rbx
	ret
	.size hx_paging_load, . - hx_paging_load

/* bool hx_paging_has_nx(void) */
	.globl hx_paging_has_nx
	.type hx_paging_has_nx, @function
hx_paging_has_nx:
	pushq %rbx
	movl $0x80000001, %eax
	cpuid
	shrl $20, %edx
	andl $1, %edx
	movl %edx, %eax
	popq %rbx
	ret
	.size hx_paging_has_nx, . - hx_paging_has_nx

/* uint32_t hx_paging_pa_bits(void) */
	.globl hx_paging_pa_bits
	.type hx_paging_pa_bits, @function
hx_paging_pa_bits:
	pushq %rbx
	movl $0x80000000, %eax
	cpuid
	movl $36, %esi
	cmpl $0x80000008, %eax
	jb 1f
	movl $0x80000008, %eax
	cpuid
	movzbl %al, %esi
1:	movl %esi, %eax
	popq %rbx
	ret
	.size hx_paging_pa_bits, . - hx_paging_pa_bits

	.section .note.GNU-stack, "", @progbits
