# SPDX-License-Identifier: MIT
# relax32: the loads of relax.s into registers of 32 bits: what they load must have no sign.
# expected: an immediate where the address is below 4 GiB, mov relative to the instruction elsewhere, or the slot. Apart from
# the others, because GNU ld gives up on all of them together.
    .macro all symbol
    .irp reg, eax, ebx, esi, r8d, r15d
    mov \symbol@GOTPCREL(%rip), %\reg
    test %\reg, \symbol@GOTPCREL(%rip)
    add \symbol@GOTPCREL(%rip), %\reg
    cmp \symbol@GOTPCREL(%rip), %\reg
    xor \symbol@GOTPCREL(%rip), %\reg
    .endr
    .endm

    .text
    .globl here
here:
    all outside_near
    all here
    all local
    .weak weak_absent
    all weak_absent

    .data
local:
    .quad 0
