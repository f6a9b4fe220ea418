/* SPDX-License-Identifier: MIT */
/*
 * copy.S - copying from or to an address that somebody else named: an access that faults becomes an error.
 *
 * Why string instructions: eight bytes an instruction, and one place to fault at. A fault at a listed instruction goes on
 * at its fix-up (traps.c); the table lies between hx_fixups_start and hx_fixups_end.
 */
#define HX_ERR(name, number, short_name, text) .set HX_E_##name, -(number);
#include <helix/err.def>
#undef HX_ERR

.macro MAY_FAULT fixup
    .pushsection .hx_fixups, "a", @progbits
    .balign 8
    .quad .Lat\@, \fixup
    .popsection
.Lat\@:
.endm

    .text

/*
 * hx_status_t hx_hal_copy(void *to, const void *from, size_t bytes)
 * Both must lie wholly in the upper half: user memory is refused by its address, before SMAP has to.
 */
    .globl hx_hal_copy
    .type hx_hal_copy, @function
    .balign 16
hx_hal_copy:
    lea (%rdi, %rdx), %rax
    lea (%rsi, %rdx), %rcx
    test %rdx, %rdx
    jz 1f
    dec %rax /* last bytes */
    dec %rcx
    and %rdi, %rax
    and %rsi, %rcx
    and %rcx, %rax
    test %rax, %rax
    jns copy_failed
    mov %rdx, %rcx
    shr $3, %rcx
    MAY_FAULT copy_failed
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    MAY_FAULT copy_failed
    rep movsb
1:  xor %eax, %eax
    ret
copy_failed:
    mov $HX_E_FAULT, %eax
    ret
    .size hx_hal_copy, . - hx_hal_copy

    .section .note.GNU-stack, "", @progbits
