# SPDX-License-Identifier: MIT
# relax: every instruction whose load from the global offset table may become something shorter, with every kind of
# register; and some that may not.
# expected: as GNU ld does it: an immediate where it fits, an address relative to the instruction, or the slot. Not here: push
# and movslq with a type that has an X, which no assembler makes: GNU ld 2.40 takes them for call and and.
    .macro all symbol
    call *\symbol@GOTPCREL(%rip)
    jmp *\symbol@GOTPCREL(%rip)
    .irp reg, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    mov \symbol@GOTPCREL(%rip), %\reg
    test %\reg, \symbol@GOTPCREL(%rip)
    adc \symbol@GOTPCREL(%rip), %\reg
    add \symbol@GOTPCREL(%rip), %\reg
    and \symbol@GOTPCREL(%rip), %\reg
    cmp \symbol@GOTPCREL(%rip), %\reg
    or \symbol@GOTPCREL(%rip), %\reg
    sbb \symbol@GOTPCREL(%rip), %\reg
    sub \symbol@GOTPCREL(%rip), %\reg
    xor \symbol@GOTPCREL(%rip), %\reg
    .endr
    imul \symbol@GOTPCREL(%rip), %rax
    add %rax, \symbol@GOTPCREL(%rip)
    push \symbol@GOTPCREL(%rip)
    .byte 0x48, 0x8b, 0x05 # mov with the type that has no X: may become lea
    .reloc ., R_X86_64_GOTPCREL, \symbol - 4
    .long 0
    .byte 0x48, 0x03, 0x05 # add with it: may not
    .reloc ., R_X86_64_GOTPCREL, \symbol - 4
    .long 0
    .byte 0xff, 0x15 # nor a call
    .reloc ., R_X86_64_GOTPCREL, \symbol - 4
    .long 0
    .byte 0x48, 0x8b, 0x05 # an addend: not a load of the slot
    .reloc ., R_X86_64_REX_GOTPCRELX, \symbol + 4
    .long 0
    .endm

    .text
    .globl here
here:
    all outside_near
    all here
    all local
    all absolute_low
    .weak weak_absent
    all weak_absent
    .section .text.tight, "ax", @progbits
    call *outside_near@GOTPCREL(%rip)
    .section .text.tighter, "ax", @progbits
    mov outside_near@GOTPCREL(%rip), %rax

    .data
local:
    .quad 0
    .set absolute_low, 0x12345678
