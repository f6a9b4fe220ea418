#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""symbols.py NM ELF - the kernel's own function names, as assembly for the section .hx_symbols, for backtraces.

Made from a first link without the table, for the second one with it; the linker script puts text first, so functions lie
at the same addresses in both. Names repeat each other, so that pieces they share are kept once: half of the bytes. Layout,
little endian, offsets from the section's start:

    u32 count, u32 lengths_off, u32 words_off
    a block of 16 functions, ascending: u32 text_off of its first (from hx_text_start), u32 names_off of its first
    count times: u16 bytes up to the next function
    128 words, each NUL-terminated
    names, each NUL-terminated; a byte from 0x80 on stands for the word of that number
"""
import collections
import subprocess
import sys

LINKER = {"hx_kernel_start", "hx_text_start", "hx_text_end"}
BLOCK, WORDS, NAME_BYTES = 16, 128, 64  # symtab.c and HX_LABEL_NAME_BYTES say the same


def functions(nm, elf):
    """Ascending (address, name), one name an address, and the addresses of hx_text_start and hx_text_end."""
    lines = subprocess.run([nm, "--numeric-sort", elf], check=True, capture_output=True, text=True).stdout.splitlines()
    found, limits = {}, {}
    for line in lines:
        value, kind, name = line.split(None, 2)
        if name in LINKER:
            limits[name] = int(value, 16)
        elif kind in "tT":
            found.setdefault(int(value, 16), name[: NAME_BYTES - 1])
    start, end = limits["hx_text_start"], limits["hx_text_end"]
    return [(address, name) for address, name in sorted(found.items()) if start <= address < end], start, end


def shorten(names):
    """The names with their most frequent pairs replaced, one after the other, and the words that stand for."""
    text, words = "\n".join(names), {}
    for code in map(chr, range(0x80, 0x80 + WORDS)):
        pairs = collections.Counter(pair for pair in zip(text, text[1:]) if "\n" not in pair)
        first, second = max(pairs, key=pairs.get, default=("", ""))
        words[code] = words.get(first, first) + words.get(second, second)
        if words[code]:
            text = text.replace(first + second, code)
    return text.split("\n"), list(words.values())


def main():
    table, start, end = functions(sys.argv[1], sys.argv[2])
    names, words = shorten([name for _, name in table])
    blocks = range(0, len(table), BLOCK)
    lengths_off = 12 + 8 * len(blocks)
    words_off = lengths_off + 2 * len(table)
    names_off = words_off + sum(len(word) + 1 for word in words)
    print('.section .hx_symbols, "a", @progbits\n.balign 8')
    print(f".long {len(table)}, {lengths_off}, {words_off}")
    for first in blocks:
        print(f".long {table[first][0] - start}, {names_off + sum(len(name) + 1 for name in names[:first])}")
    for (address, _), (following, _) in zip(table, table[1:] + [(end, None)]):
        print(f".short {following - address}")
    for word in words:
        print(f'.asciz "{word}"')
    for name in names:
        print(f".byte {', '.join(str(ord(character)) for character in name)}, 0")
    print('.section .note.GNU-stack, "", @progbits')


main()
