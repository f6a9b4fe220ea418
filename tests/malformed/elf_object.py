# SPDX-License-Identifier: MIT
"""elf_object.py - a relocatable ELF64 object whose fields can be changed one by one, to any value.

Why not libelf: it keeps an object in order, and here an object has to get out of order. Fields go by the names of <elf.h>;
those that <elf.h> packs into one number (st_info, r_info) are taken apart.
"""
import functools
import re
import struct

HEADER = ("<", ("EI_CLASS", "4xB"), ("EI_DATA", "B"), ("EI_VERSION", "B"), ("EI_OSABI", "B"), ("e_type", "8xH"),
          ("e_machine", "H"), ("e_version", "I"), ("e_entry", "Q"), ("e_phoff", "Q"), ("e_shoff", "Q"), ("e_flags", "I"),
          ("e_ehsize", "H"), ("e_phentsize", "H"), ("e_phnum", "H"), ("e_shentsize", "H"), ("e_shnum", "H"),
          ("e_shstrndx", "H"))
SECTION = ("<", ("sh_name", "I"), ("sh_type", "I"), ("sh_flags", "Q"), ("sh_addr", "Q"), ("sh_offset", "Q"),
           ("sh_size", "Q"), ("sh_link", "I"), ("sh_info", "I"), ("sh_addralign", "Q"), ("sh_entsize", "Q"))
SYMBOL = ("<", ("st_name", "I"), ("st_info", "B"), ("st_other", "B"), ("st_shndx", "H"), ("st_value", "Q"), ("st_size", "Q"))
TYPES_SECTION = ".hx.types"  # kernel/module/types.h
TYPES_HEAD = ("<", ("format", "I"), ("count", "I"))
TYPE = ("<", ("type", "Q"), ("key", "I"), ("name", "I"))
RELOCATION = ("<", ("r_offset", "Q"), ("r_type", "I"), ("r_sym", "I"), ("r_addend", "q"))


class Structure:
    """One structure in the file; reading and writing a field reads and writes the file."""

    def __init__(self, file, offset, layout, index=0):
        fields, at = {}, offset
        for name, code in layout[1:]:
            skipped = int(code[:-2] or 0) if "x" in code else 0
            fields[name] = (at + skipped, layout[0] + code[-1])
            at += skipped + struct.calcsize(code[-1])
        self.__dict__.update(file=file, fields=fields, index=index, end=at)

    def __getattr__(self, name):
        offset, code = self.fields[name]
        return struct.unpack_from(code, self.file, offset)[0]

    def __setattr__(self, name, value):
        offset, code = self.fields[name]
        limit = 1 << 8 * struct.calcsize(code)
        if code[-1] != "q":
            value %= limit  # -1 is the largest number
        struct.pack_into(code, self.file, offset, value)


def size_of(layout):
    return Structure(b"", 0, layout).end


class Object:
    def __init__(self, content):
        self.file = bytearray(content)

    @property
    def header(self):
        return Structure(self.file, 0, HEADER)

    def text(self, offset):
        return bytes(self.file[offset:self.file.index(b"\0", offset)]).decode()

    def section(self, key):
        """By index, or the first one of a name."""
        if isinstance(key, int):
            return Structure(self.file, self.header.e_shoff + key * size_of(SECTION), SECTION, key)
        names = self.section(self.header.e_shstrndx).sh_offset
        for i in range(1, self.header.e_shnum):
            if self.text(names + self.section(i).sh_name) == key:
                return self.section(i)
        raise KeyError(key)

    def entries(self, section, layout):
        return [Structure(self.file, section.sh_offset + i * size_of(layout), layout, i)
                for i in range(section.sh_size // size_of(layout))]

    def symbol(self, key):
        """By name, or the symbol of a section by the section's name."""
        table = self.section(".symtab")
        names = self.section(table.sh_link).sh_offset
        for symbol in self.entries(table, SYMBOL):
            if self.text(names + symbol.st_name) == key:
                return symbol
            if symbol.st_info == 3 and symbol.st_shndx < 0xff00:
                section = self.section(symbol.st_shndx)
                if self.text(self.section(self.header.e_shstrndx).sh_offset + section.sh_name) == key:
                    return symbol
        raise KeyError(key)

    def relocation(self, section, kind, symbol=None):
        """The first one of a type in a table, and against a symbol if one is named."""
        for rela in self.entries(self.section(section), RELOCATION):
            if rela.r_type == kind and (symbol is None or rela.r_sym == self.symbol(symbol).index):
                return rela
        raise KeyError((section, kind, symbol))

    def turn(self, section, kind, offset, symbol, addend=0):
        """Turns the first relocation of a table into another. @symbol: a name or a number."""
        rela = self.entries(self.section(section), RELOCATION)[0]
        rela.r_offset, rela.r_type, rela.r_addend = offset, kind, addend
        rela.r_sym = symbol if isinstance(symbol, int) else self.symbol(symbol).index

    @property
    def types(self):
        return Structure(self.file, self.section(TYPES_SECTION).sh_offset, TYPES_HEAD)

    def type_record(self, key):
        """By index, or by name."""
        section = self.section(TYPES_SECTION)
        for i in range(self.types.count):
            record = Structure(self.file, self.types.end + i * size_of(TYPE), TYPE, i)
            if key in (i, self.text(section.sh_offset + record.name)):
                return record
        raise KeyError(key)

    def swap_types(self, first, second):
        first, second = self.type_record(first), self.type_record(second)
        for name in ("type", "key", "name"):
            one, other = getattr(first, name), getattr(second, name)
            setattr(first, name, other)
            setattr(second, name, one)

    def repeat_type(self, key):
        """The record after it says the same; or, of the last, the one before it."""
        record = self.type_record(key)
        other = self.type_record(record.index + (1 if record.index + 1 < self.types.count else -1))
        for name in ("type", "key", "name"):
            setattr(other, name, getattr(record, name))

    def type_tools(self):
        """What a change may say of them, by name."""
        try:
            return {"types": self.types, "type_record": self.type_record, "swap_types": self.swap_types,
                    "repeat_type": self.repeat_type}
        except KeyError:
            return {}

    def loaded(self):
        """The bytes of all sections that are loaded, without what lies between them."""
        sections = [self.section(i) for i in range(1, self.header.e_shnum)]
        return sum(section.sh_size for section in sections if section.sh_flags & 2 and section.sh_type != 7)

    def resize(self, size):
        self.file[:] = self.file[:size].ljust(size, b"\0")

    def append_name(self, table, name):
        """Adds a name to a string table, which moves to the end of the file; returns its offset in there."""
        content = bytes(self.file[table.sh_offset:table.sh_offset + table.sh_size])
        table.sh_offset = len(self.file)
        table.sh_size = len(content) + len(name) + 1
        self.file += content + name.encode("latin-1") + b"\0"
        return len(content)

    def rename(self, section, name):
        self.section(section).sh_name = self.append_name(self.section(self.header.e_shstrndx), name)

    def rename_symbol(self, symbol, name):
        table = self.section(self.section(".symtab").sh_link)
        self.symbol(symbol).st_name = self.append_name(table, name)


@functools.cache
def constants():
    """The numbers of <elf.h>, by name."""
    with open("/usr/include/elf.h", encoding="utf-8") as file:
        found = re.findall(r"^#define\s+((?:E[TMVI]|ELF|SH[TFN]|ST[TB]|R_X86_64)_?\w+)\s+(\(?[0-9x<< a-fA-F]+\)?)\s*(?:/\*|$)",
                           file.read(), re.M)
    return {name: eval(value, {}) for name, value in found}  # a number, or one shifted
