#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""symbols.py NM ELF - the kernel's own function names, as assembly for the section .hx_symbols, for backtraces.

Made from a first link without the table, for the second one with it; the linker script puts text first, so functions lie
at the same addresses in both. Layout, little endian:

    u32 count, u32 names_off                     (from the section's start)
    count times, ascending: u32 text_off (from hx_text_start), u32 name_off (from names_off)
    names, each NUL-terminated
"""
import subprocess
import sys

LINKER = {"hx_kernel_start", "hx_text_start", "hx_text_end"}


def functions(nm, elf):
    """Ascending (address, name), one name an address, and the address of hx_text_start."""
    lines = subprocess.run([nm, "--numeric-sort", elf], check=True, capture_output=True, text=True).stdout.splitlines()
    found, start = {}, None
    for line in lines:
        value, kind, name = line.split(None, 2)
        if name == "hx_text_start":
            start = int(value, 16)
        elif kind in "tT" and name not in LINKER:
            found.setdefault(int(value, 16), name)
    return sorted(found.items()), start


def main():
    table, start = functions(sys.argv[1], sys.argv[2])
    table = [(address, name) for address, name in table if address >= start]
    print('.section .hx_symbols, "a", @progbits\n.balign 8')
    print(f".long {len(table)}, {8 + 8 * len(table)}")
    name_off = 0
    for address, name in table:
        print(f".long {address - start}, {name_off}")
        name_off += len(name) + 1
    for _, name in table:
        print(f'.asciz "{name}"')
    print('.section .note.GNU-stack, "", @progbits')


main()
