/* SPDX-License-Identifier: MIT */
/*
 * calibrate.S - the one busy loop of a boot, in assembly so that it costs the same instructions with every compiler: a
 * count of instructions can then leave it out.
 */
#define SPEAKER 0x61
#define SPEAKER_OUT_2 0x20

    .text
/* uint64_t hx_arch_pit_spin(uint64_t max) - returns the passes, HX_ARCH_SPIN_INSNS (3) instructions each. */
    .globl hx_arch_pit_spin
    .type hx_arch_pit_spin, @function
    .balign 16
hx_arch_pit_spin:
    mov %rdi, %rcx
1:  in $SPEAKER, %al
    test $SPEAKER_OUT_2, %al
    loopz 1b
    mov %rdi, %rax
    sub %rcx, %rax
    ret
    .size hx_arch_pit_spin, . - hx_arch_pit_spin

    .section .note.GNU-stack, "", @progbits
