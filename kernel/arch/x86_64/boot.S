/* SPDX-License-Identifier: MIT */
/*
 * boot.S - from the boot loader's 32-bit world to kmain() in long mode.
 *
 * Why two entries: GRUB takes the Multiboot 2 header, `qemu -kernel` takes the PVH note; after four instructions they are
 * the same. Tables made here are provisional: 4 GiB at 0 and at HX_MM_DIRECT_BASE, 1 GiB at the kernel's base, all
 * writable and executable. hx_mm_init() replaces them before anything from outside is run.
 * Invariant: whatever is wrong with the machine ends in one line on COM1, never in a triple fault.
 * Source:    Multiboot2 Specification 2.0, 3.1 and 3.3; Xen docs/misc/pvh.pandoc; Intel SDM vol. 3A, 9.8.5.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PA(symbol) ((symbol) - KERNEL_BASE)

#define HX_BOOT_MULTIBOOT2 1 /* enum hx_boot_protocol */
#define HX_BOOT_PVH 2

#define MB2_HEADER_MAGIC 0xe85250d6
#define MB2_LOADER_MAGIC 0x36d76289
#define PVH_MAGIC 0x336ec578

#define COM1 0x3f8
#define STACK_BYTES 16384 /* HX_STACK_BYTES */

#define CR0_VALUE 0x80010033 /* PG WP NE ET MP PE */
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800

	/* --- Multiboot 2 header: tags are 8-byte aligned; flag 1 marks an optional one --- */
	.section .multiboot2, "ax", @progbits
	.balign 8
mb2_header:
	.long MB2_HEADER_MAGIC
	.long 0 /* i386, protected mode */
	.long mb2_header_end - mb2_header
	.long -(MB2_HEADER_MAGIC + (mb2_header_end - mb2_header))
	.balign 8
	.short 1, 0 /* information request: the memory map is a must */
	.long 12
	.long 6
	.balign 8
	.short 1, 1 /* information request: command line, loader's name, modules, ACPI old and new */
	.long 28
	.long 1, 2, 3, 14, 15
	.balign 8
	.short 6, 0 /* modules page-aligned */
	.long 8
	.balign 8
	.short 0, 0 /* end; no framebuffer is asked for */
	.long 8
mb2_header_end:

	/* --- PVH: physical address of the 32-bit entry; XEN_ELFNOTE_PHYS32_ENTRY is 18 --- */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad PA(hx_boot_pvh)

	/* --- 32-bit entries: protected mode, flat segments, no paging, interrupts off --- */
	.section .text.boot, "ax", @progbits
	.code32

/* eax: loader's magic, ebx: physical address of the information structure. */
	.globl hx_boot_multiboot2
	.type hx_boot_multiboot2, @function
hx_boot_multiboot2:
	cli
	cld
	movl $PA(hx_boot_stack + STACK_BYTES), %esp
	movl $PA(text_no_magic), %esi
	cmpl $MB2_LOADER_MAGIC, %eax
	jne refuse
	movl $HX_BOOT_MULTIBOOT2, %ebp
	jmp enter
	.size hx_boot_multiboot2, . - hx_boot_multiboot2

/* ebx: physical address of struct hvm_start_info. */
	.globl hx_boot_pvh
	.type hx_boot_pvh, @function
hx_boot_pvh:
	cli
	cld
	movl $PA(hx_boot_stack + STACK_BYTES), %esp
	movl $PA(text_no_pvh), %esi
	cmpl $PVH_MAGIC, (%ebx)
	jne refuse
	movl $HX_BOOT_PVH, %ebp
	.size hx_boot_pvh, . - hx_boot_pvh

/* ebp: protocol, ebx: information. */
enter:
	movl $PA(text_no_long_mode), %esi
	pushfl /* CPUID exists where EFLAGS.ID can be changed */
	popl %eax
	movl %eax, %ecx
	xorl $0x200000, %eax
	pushl %eax
	popfl
	pushfl
	popl %eax
	cmpl %ecx, %eax
	je refuse
	pushl %ebx
	movl $0x80000000, %eax
	cpuid
	popl %ebx
	cmpl $0x80000001, %eax
	jb refuse
	pushl %ebx
	movl $0x80000001, %eax
	cpuid
	popl %ebx
	testl $(1 << 29), %edx /* LM */
	jz refuse

	movl $EFER_LME, %esi
	testl $(1 << 20), %edx /* NX */
	jz 1f
	orl $EFER_NXE, %esi
1:
	/* Provisional tables. The loader has zeroed .bss; 7: present, writable, user (leaves decide); 0x83: a 2 MiB page. */
	movl $PA(boot_pd), %edi
	movl $0x83, %eax
	movl $2048, %ecx
2:	movl %eax, (%edi)
	addl $8, %edi
	addl $0x200000, %eax
	decl %ecx
	jnz 2b
	movl $PA(boot_pd) + 7, PA(boot_pdpt_low)
	movl $PA(boot_pd) + 0x1007, PA(boot_pdpt_low + 8)
	movl $PA(boot_pd) + 0x2007, PA(boot_pdpt_low + 16)
	movl $PA(boot_pd) + 0x3007, PA(boot_pdpt_low + 24)
	movl $PA(boot_pd) + 7, PA(boot_pdpt_high + 510 * 8)
	movl $PA(boot_pdpt_low) + 7, PA(hx_boot_pml4)
	movl $PA(boot_pdpt_low) + 7, PA(hx_boot_pml4 + 256 * 8)
	movl $PA(boot_pdpt_high) + 7, PA(hx_boot_pml4 + 511 * 8)

	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $PA(hx_boot_pml4), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl %esi, %eax
	wrmsr
	movl $CR0_VALUE, %eax
	movl %eax, %cr0
	lgdt PA(boot_gdt_pointer)
	ljmp $0x08, $PA(enter_64)

/* esi: physical address of a text. Sends it by COM1, 115200 8N1, and stops. */
refuse:
	movl $PA(uart_setup), %edi
	movl $6, %ecx
1:	movzbl (%edi), %edx
	addl $COM1, %edx
	movb 1(%edi), %al
	outb %al, %dx
	addl $2, %edi
	decl %ecx
	jnz 1b
2:	movl $0x100000, %ecx /* a dead UART does not hold us up for ever */
	movl $COM1 + 5, %edx
3:	inb %dx, %al
	testb $0x20, %al
	jnz 4f
	decl %ecx
	jnz 3b
4:	movb (%esi), %al
	testb %al, %al
	jz 5f
	movl $COM1, %edx
	outb %al, %dx
	incl %esi
	jmp 2b
5:	hlt
	jmp 5b

	.code64
enter_64:
	movabsq $1f, %rax /* leave the identity map */
	jmpq *%rax
1:	movabsq $boot_gdt_pointer_64, %rax
	lgdt (%rax)
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq $hx_boot_stack + STACK_BYTES, %rsp
	movl %ebp, %edi
	movl %ebx, %esi /* zero-extended */
	xorl %ebp, %ebp /* ends every backtrace */
	call kmain
2:	cli
	hlt
	jmp 2b

	.section .rodata.boot, "a", @progbits
	.balign 8
	.globl hx_boot_gdt /* ap_start.S uses it too */
hx_boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: code, 64 bits, accessed */
	.quad 0x00cf93000000ffff /* 0x10: data, accessed */
boot_gdt_end:
boot_gdt_pointer:
	.short boot_gdt_end - hx_boot_gdt - 1
	.long PA(hx_boot_gdt)
boot_gdt_pointer_64:
	.short boot_gdt_end - hx_boot_gdt - 1
	.quad hx_boot_gdt
uart_setup: /* register, value: no interrupts, divisor 1, 8N1, DTR and RTS */
	.byte 1, 0x00, 3, 0x80, 0, 0x01, 1, 0x00, 3, 0x03, 4, 0x03
text_no_magic:
	.asciz "\r\nhelix: boot: not started by a Multiboot 2 loader (wrong magic); halted\r\n"
text_no_pvh:
	.asciz "\r\nhelix: boot: PVH entry without its start information (wrong magic); halted\r\n"
text_no_long_mode:
	.asciz "\r\nhelix: boot: this CPU has no 64-bit mode; halted\r\n"

	.section .bss, "aw", @nobits
	.balign 4096
	.globl hx_boot_pml4 /* and these tables */
hx_boot_pml4:
	.skip 4096
boot_pdpt_low:
	.skip 4096
boot_pdpt_high:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	/* The stack that kmain() starts on; the final tables leave the page below it unmapped. */
	.globl hx_boot_stack_guard
hx_boot_stack_guard:
	.skip 4096
	.globl hx_boot_stack
hx_boot_stack:
	.skip STACK_BYTES

	.section .note.GNU-stack, "", @progbits
