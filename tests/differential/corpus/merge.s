# SPDX-License-Identifier: MIT
# merge: sections of many kinds and alignments, with and without contents, and references across them.
# expected: each goes into a part by its flags; padding is left alone.
    .section .rodata.str1.1, "aMS", @progbits, 1
text_a: .string "one"
text_b: .string "one"
    .section .rodata.cst16, "aM", @progbits, 16
    .balign 16
numbers: .quad 1, 2, 1, 2
    .section .text.a, "ax", @progbits
    .balign 64
f:  lea text_b(%rip), %rdi
    lea numbers + 16(%rip), %rsi
    call g
    ret
    .section .text.b, "ax", @progbits
    .balign 2
g:  lea table_end - 4(%rip), %rax
    jmp f
    .section .data.page, "aw", @progbits
    .balign 4096
page: .quad page, f, g
    .section .bss.page, "aw", @nobits
    .balign 2048
zeroes: .skip 5000
    .section .data.rel.ro, "aw", @progbits
    .balign 8
table: .quad text_a, text_b, numbers, zeroes + 4999, table_end, empty
table_end:
    .section .empty, "a", @progbits
    .balign 16
empty:
    .section .note.some, "a", @note
    .long 4, 4, 1
    .string "any"
    .long 0
    .section .group_a, "aG", @progbits, signature, comdat
    .quad table_end - .
    .weak signature
signature: .quad signature, f
