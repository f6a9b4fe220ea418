# SPDX-License-Identifier: MIT
# widths: every plain relocation there is, of 8, 16, 32 and 64 bits, absolute and relative.
# expected: each field holds what the psABI's table says, and nothing beside it changes.
    .text
    .globl start
start:
    nop
    .byte 0xcc
    .reloc ., R_X86_64_PC8, start + 5
    .byte 0x11
    .byte 0xcc
    .reloc ., R_X86_64_PC16, start - 3
    .short 0x2222
    .byte 0xcc
    .reloc ., R_X86_64_PC32, later + 7
    .long 0x33333333
    .byte 0xcc
    .reloc ., R_X86_64_PC64, outside_near - 9
    .quad 0x4444444444444444
    .reloc ., R_X86_64_NONE, later
    jrcxz later
    jmp later
later:
    mov $small_8, %al
    mov $small_16, %ax
    call start
    call outside_near
    jne outside_near
    jmp outside_near
    lea outside_near(%rip), %rax
    movabs $outside_near, %rax
    movabs $outside_near - start, %rdx
    ret

    .data
    .byte small_8, small_8 + 3, -1
    .short small_16, small_16 - 5
    .quad outside_near, outside_near + 0x7fffffff, start, later - 100000
    .long later - .
    .long outside_near - .
    .quad later - ., outside_near - .
    .quad weak_absent, absolute
    .byte 0
    .quad start
    .byte 0
    .weak weak_absent
    .set absolute, 0x1122334455667788
    .globl absolute
