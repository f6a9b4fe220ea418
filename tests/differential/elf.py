# SPDX-License-Identifier: MIT
"""elf.py - reads ELF files, and prepares a relocatable one so that a linker puts its sections where they are told.

Independent of the loader and of libelf: what is compared must not be read by the code that made it.
Source: System V gABI 4.1, AMD64 psABI 1.0.
"""
import collections
import struct

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS = 0, 1, 2, 4, 7, 8
SHT_INIT_ARRAY, SHT_FINI_ARRAY = 14, 15
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_LARGE = 1, 2, 4, 0x10, 0x20, 0x10000000
SHN_UNDEF, SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_LARGE_COMMON = 0, 0xfff1, 0xfff2, 0xff00, 0xff02
STB_WEAK = 2

RELOCATIONS = {
    0: "NONE", 1: "64", 2: "PC32", 3: "GOT32", 4: "PLT32", 9: "GOTPCREL", 10: "32", 11: "32S", 12: "16", 13: "PC16", 14: "8",
    15: "PC8", 24: "PC64", 25: "GOTOFF64", 26: "GOTPC32", 27: "GOT64", 28: "GOTPCREL64", 29: "GOTPC64", 30: "GOTPLT64",
    31: "PLTOFF64", 32: "SIZE32", 33: "SIZE64", 41: "GOTPCRELX", 42: "REX_GOTPCRELX",
}
WIDTH = {"NONE": 0, "8": 1, "PC8": 1, "16": 2, "PC16": 2}
WIDTH.update(dict.fromkeys(["64", "PC64", "GOTOFF64", "GOT64", "GOTPCREL64", "GOTPC64", "GOTPLT64", "PLTOFF64", "SIZE64"], 8))

Section = collections.namedtuple("Section", "index name type flags addr offset size link info align entsize")
Symbol = collections.namedtuple("Symbol", "index name value size bind type shndx")
# @at: where in the file it stands. @type: the psABI's name without R_X86_64_, or a number.
Relocation = collections.namedtuple("Relocation", "offset type symbol addend at")


def width(relocation):
    """Bytes of the field that it changes."""
    return WIDTH.get(relocation.type, 4)


class Elf:
    def __init__(self, data):
        self.data = bytes(data)
        shoff, = struct.unpack_from("<Q", data, 40)
        shnum, shstrndx = struct.unpack_from("<HH", data, 60)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i) for i in range(shnum)]
        names = headers[shstrndx][4]
        self.shoff, self.shstrndx = shoff, shstrndx
        self.sections = [Section(i, self.text(names + h[0]), *h[1:]) for i, h in enumerate(headers)]

    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            return cls(file.read())

    def text(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def content(self, section):
        """The bytes of a section in memory."""
        if section.type == SHT_NOBITS:
            return bytes(section.size)
        return self.data[section.offset:section.offset + section.size]

    def by_name(self, name):
        return next((s for s in self.sections if s.name == name), None)

    def symbols(self):
        table = next((s for s in self.sections if s.type == SHT_SYMTAB), None)
        if not table:
            return []
        strings = self.sections[table.link].offset
        found = []
        for i in range(table.size // 24):
            name, info, _, shndx, value, size = struct.unpack_from("<IBBHQQ", self.data, table.offset + 24 * i)
            found.append(Symbol(i, self.text(strings + name), value, size, info >> 4, info & 15, shndx))
        return found

    def relocations(self):
        """By the number of the section that they change."""
        found = {}
        for table in self.sections:
            if table.type != SHT_RELA:
                continue
            for at in range(table.offset, table.offset + table.size, 24):
                offset, kind, symbol, addend = struct.unpack_from("<QIIq", self.data, at)
                found.setdefault(table.info, []).append(
                    Relocation(offset, RELOCATIONS.get(kind, kind), symbol, addend, at))
        return found


def is_loaded(section):
    """What the loader owes: everything that takes memory, except notes and unwind tables, which it leaves out."""
    return bool(section.flags & SHF_ALLOC) and section.name != ".eh_frame" and section.type in (
        SHT_PROGBITS, SHT_NOBITS, SHT_INIT_ARRAY, SHT_FINI_ARRAY)


def loader_section(index):
    """What a section is called in the copy for another linker: several may have one name in the object."""
    return f".hxs{index}"


def _set_header(data, elf, index, field, value):
    """@field: its offset in the section header and its format."""
    struct.pack_into(field[1], data, elf.shoff + 64 * index + field[0], value)


_NAME, _TYPE, _FLAGS, _OFFSET, _SIZE = (0, "<I"), (4, "<I"), (8, "<Q"), (24, "<Q"), (32, "<Q")


def without_relocations(elf):
    """A copy that any loader takes: shows where sections go when the object itself is refused."""
    data = bytearray(elf.data)
    for section in elf.sections:
        if section.type == SHT_RELA:
            _set_header(data, elf, section.index, _TYPE, SHT_NULL)
    return bytes(data)


def for_other_linker(elf, common):
    """A copy in which each section has a name of its own, nothing is merged, and common symbols have the addresses of
    @common, by symbol index."""
    data = bytearray(elf.data)
    old = elf.sections[elf.shstrndx]
    names = bytearray(elf.content(old))
    for section in elf.sections[1:]:
        if section.index != elf.shstrndx:
            _set_header(data, elf, section.index, _NAME, len(names))
        names += loader_section(section.index).encode() + b"\0"
        _set_header(data, elf, section.index, _FLAGS, section.flags & ~(SHF_MERGE | SHF_STRINGS))
    _set_header(data, elf, elf.shstrndx, _OFFSET, len(data))
    _set_header(data, elf, elf.shstrndx, _SIZE, len(names))
    table = next(s for s in elf.sections if s.type == SHT_SYMTAB)
    for index, address in common.items():
        struct.pack_into("<HQ", data, table.offset + 24 * index + 6, SHN_ABS, address)
    return bytes(data + names)
