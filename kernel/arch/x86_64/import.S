/* SPDX-License-Identifier: MIT */
/*
 * import.S - the one way out of a module into the kernel: a stub for every export of include/helix/kernel.h.
 *
 * While the kernel works for a module its frame must not be unwound: locks and half-made changes would be left behind. So
 * the stub marks the frame, calls the implementation hx_export_<name>, and on the way back lets a kill that came meanwhile
 * take effect. The frame is looked up again after the call: the task may have slept and gone on on another CPU.
 * The kernel works with the flags of the gate's caller, whatever the module has made of them.
 *
 * On entry: inside a gate (a module always is), arguments as C passes them, rsp = 16n + 8.
 * No privileged instruction: the same file runs in a Linux process whose GS base is set.
 */
#include "include/hx_gate_asm.h"

#include <hal/hx_cpu.h>
#include <helix/kernel.h>

    .text
    .cfi_sections .debug_frame /* for debuggers alone */

/* r10: which import, from 1; r11: what it calls. */
    .type import, @function
    .balign 16
import:
    .cfi_startproc
    STACK_ROOM
    mov %gs:hx_cpu + HX_CPU_FRAME, %rax
    mov %r10b, HX_FRAME_IN_IMPORT(%rax)
    pushq HX_FRAME_RFLAGS(%rax)
    popfq /* without the upper half: SDM vol. 2B */
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    call *%r11
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    mov %gs:hx_cpu + HX_CPU_FRAME, %rcx
    movb $0, HX_FRAME_IN_IMPORT(%rcx)
    cmpb $0, HX_FRAME_KILL(%rcx)
    jne hx_gate_killed
    ret
    .cfi_endproc
    .size import, . - import

.set import_number, 0
.macro IMPORT name
    .set import_number, import_number + 1 /* its place in hx_import_table, from 1 */
    .globl hx_import_\name
    .type hx_import_\name, @function
    .balign 8
hx_import_\name:
    mov $import_number, %r10d
    mov $hx_export_\name, %r11
    jmp import
    .size hx_import_\name, . - hx_import_\name
.endm

#define STUB_OF(name, ...) IMPORT name;
HX_EXPORTS(STUB_OF)

/* const struct hx_import hx_import_table[]; const uint32_t hx_import_count; */
.macro TABLE_ENTRY name
    .section .rodata.str1.1, "aMS", @progbits, 1
.Lname_\name:
    .asciz "\name"
    .section .rodata
    .quad .Lname_\name, hx_import_\name
.endm

#define TABLE_ENTRY_OF(name, ...) TABLE_ENTRY name;
    .section .rodata
    .globl hx_import_table, hx_import_count
    .type hx_import_table, @object
    .type hx_import_count, @object
    .balign 16
hx_import_table:
HX_EXPORTS(TABLE_ENTRY_OF)
    .size hx_import_table, . - hx_import_table
hx_import_count:
    .long (. - hx_import_table) / 16
    .size hx_import_count, 4

    .section .note.GNU-stack, "", @progbits
