# SPDX-License-Identifier: MIT
# got: every form that asks about the global offset table.
# expected: a slot holds its symbol's address; offsets count from the table.
    .text
    .globl here
here:
    lea _GLOBAL_OFFSET_TABLE_(%rip), %rbx
    movabs $_GLOBAL_OFFSET_TABLE_ - here, %r15
    movabs $_GLOBAL_OFFSET_TABLE_, %r11
    movabs $outside_near@GOTOFF, %rax
    movabs $here@GOTOFF, %rax
    movabs $local@GOTOFF + 4, %rax
    movabs $outside_near@GOT, %rax
    movabs $here@GOT, %rcx
    movabs $outside_near@PLTOFF, %rax
    movabs $here@PLTOFF, %rax
    push outside_near@GOTPCREL(%rip)
    push here@GOTPCREL(%rip)
    cmpq $0, outside_near@GOTPCREL(%rip)
    .weak weak_absent
    mov %rax, weak_absent@GOTPCREL(%rip)
    xchg outside_second@GOTPCREL(%rip), %rdx
    lea outside_near@GOTPCREL(%rip), %rsi
    movq outside_near@GOTPCREL + 4(%rip), %rax
    cmpb $1, outside_near@GOTPCREL + 3(%rip)
    movzbl outside_near@GOTPCREL(%rip), %eax

    .data
local:
    .long outside_near@GOTPCREL
    .long here@GOTPCREL + 8
    .quad outside_near
