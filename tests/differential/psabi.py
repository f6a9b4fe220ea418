# SPDX-License-Identifier: MIT
"""psabi.py - is a linked object what the psABI says it must be?

Why beside another linker: what both linkers get wrong in the same way is wrong all the same, and no other linker makes the
veneers that ours makes. Everything here is computed anew from the object, the addresses and the values in the dump.
Source: AMD64 psABI 1.0, table 4.9 (formulas), appendix B.2 (what a load from the GOT may become).
"""
import struct

import elf

MASK = 0xffffffffffffffff
GOT_SYMBOL = "_GLOBAL_OFFSET_TABLE_"
GOT_LOADS = ("GOTPCREL", "GOTPCRELX", "REX_GOTPCRELX")
SLOT_OFFSETS = ("GOT32", "GOT64", "GOTPLT64")
TABLE_RELATIVE = ("GOTOFF64", "PLTOFF64", "GOTPC32", "GOTPC64") + SLOT_OFFSETS
# Which values a field holds. The psABI leaves open whether 8 and 16 bits have a sign.
LIMITS = {"32": (0, 1 << 32), "8": (-1 << 7, 1 << 8), "16": (-1 << 15, 1 << 16), "SIZE32": (0, 1 << 32)}
VENEER = b"\xff\x25\0\0\0\0"  # jmp *0(%rip); the target's address follows


def signed(value, bits=64):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Wrong(Exception):
    pass


def require(condition, text):
    if not condition:
        raise Wrong(text)


class Linked:
    """An object with what the loader made of it."""

    def __init__(self, obj, dump):
        self.obj, self.dump = obj, dump
        self.symbols = obj.symbols()
        self.relocations = obj.relocations()
        self.got = self.find_got()

    def find_got(self):
        if GOT_SYMBOL in self.dump.undefined:
            return self.dump.undefined[GOT_SYMBOL]
        types = {r.type for i in self.dump.sections for r in self.relocations.get(i, ())}
        return next(iter(self.dump.made)) if types.intersection(TABLE_RELATIVE) and self.dump.made else None

    def value_of(self, index):
        """S; None: the symbol stands in a section that is not loaded."""
        symbol = self.symbols[index]
        if index == 0:
            return 0
        if symbol.shndx == elf.SHN_UNDEF:
            require(symbol.name in self.dump.undefined, f"`{symbol.name}' is used, but no U line has it")
            return self.dump.undefined[symbol.name]
        if index in self.dump.common:
            return self.dump.common[index]
        if symbol.shndx == elf.SHN_ABS:
            return symbol.value
        loaded = self.dump.sections.get(symbol.shndx)
        return loaded.address + symbol.value & MASK if loaded else None

    def made_at(self, address, size):
        """Bytes of what the loader made, or None."""
        for start, data in self.dump.made.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start:address - start + size]
        return None

    def slot(self, address):
        """What the GOT slot at an address holds."""
        data = self.made_at(address & MASK, 8)
        require(data is not None, f"{address & MASK:#x} is no GOT slot")
        return struct.unpack("<Q", data)[0]

    def veneer_target(self, address):
        data = self.made_at(address & MASK, 14)
        require(data is not None, f"{address & MASK:#x} is no veneer")
        require(data[:6] == VENEER, f"no veneer at {address & MASK:#x}: {data.hex()}")
        return struct.unpack_from("<Q", data, 6)[0]


def field_at(data, relocation):
    size = elf.width(relocation)
    return int.from_bytes(data[relocation.offset:relocation.offset + size], "little")


def fits(kind, value, size):
    """@value: 64 bits, as computed. Whether the field holds it."""
    low, high = LIMITS.get(kind, (-1 << (8 * size - 1), 1 << (8 * size - 1)))
    return low <= (value if low == 0 else signed(value)) < high


def direct_value(linked, relocation, s, p):
    """The formulas without a slot."""
    kind, a, symbol = relocation.type, relocation.addend, linked.symbols[relocation.symbol]
    if kind in ("64", "32", "32S", "16", "8"):
        return s + a
    if kind in ("PC64", "PC32", "PC16", "PC8", "PLT32"):
        return s + a - p
    if kind in ("GOTOFF64", "PLTOFF64"):
        return s + a - linked.got
    if kind in ("GOTPC32", "GOTPC64"):
        return linked.got + a - p
    if kind in ("SIZE32", "SIZE64"):
        return symbol.size + a
    raise Wrong(f"a type without formula: {kind}")


def check_slot(linked, relocation, s, p, field):
    """G: any slot that holds S."""
    if relocation.type in SLOT_OFFSETS:
        slot = linked.got + signed(field - relocation.addend, 8 * elf.width(relocation))
    elif relocation.type == "GOTPCREL64":
        slot = p + field - relocation.addend
    else:
        slot = p + signed(field, 32) - relocation.addend
    require(linked.slot(slot) == s, f"slot {slot & MASK:#x} holds {linked.slot(slot):#x}, the symbol is {s:#x}")


def check_plain(linked, relocation, s, p, field):
    size = elf.width(relocation)
    value = direct_value(linked, relocation, s, p) & MASK
    if relocation.type == "PLT32" and not fits("PLT32", value, 4):
        veneer = p + signed(field, 32) + 4
        require(relocation.addend == -4, f"a veneer cannot lead to {s:#x}{relocation.addend + 4:+}")
        require(linked.veneer_target(veneer) == s, f"the veneer at {veneer:#x} does not lead to {s:#x}")
        return
    require(fits(relocation.type, value, size), f"{value:#x} does not fit, but it was not refused")
    wanted = value & ((1 << 8 * size) - 1)
    require(field == wanted, f"the field is {field:#x}, the psABI says {wanted:#x}")


def is_code(linked, index, relocation):
    """Whether an instruction that loads from the GOT may end with the field."""
    opcode_bytes = 3 if relocation.type == "REX_GOTPCRELX" else 2
    return bool(linked.obj.sections[index].flags & elf.SHF_EXECINSTR) and relocation.offset >= opcode_bytes


def check_load(linked, relocation, before, after, address, s):
    """A load from the GOT: as it was, with a slot, or as one of the instructions that the psABI allows instead. Returns
    the first byte that it may change and the one behind the last."""
    at, p = relocation.offset, address + relocation.offset
    field = signed(field_at(after, relocation), 32)
    start = at - 3 if relocation.type == "REX_GOTPCRELX" else at - 2
    if after[start:at] == before[start:at]:
        check_slot(linked, relocation, s, p, field)
        return at, at + 4
    require(relocation.addend == -4, "only a load of the slot itself may be relaxed")
    opcode, modrm = before[at - 2], before[at - 1]
    rex = before[at - 3] if relocation.type == "REX_GOTPCRELX" else 0
    register = (modrm >> 3 & 7) | (rex & 4) << 1
    if opcode == 0xff and modrm in (0x15, 0x25):
        if modrm == 0x15:
            require(after[at - 2:at] == b"\x67\xe8", f"a call became {after[at - 2:at + 4].hex()}")
            target = p + 4 + field
        else:
            require(after[at - 2] == 0xe9 and after[at + 3] == 0x90, f"a jump became {after[at - 2:at + 4].hex()}")
            target = p + 3 + struct.unpack_from("<i", after, at - 1)[0]
        require(target & MASK == s, f"the branch goes to {target & MASK:#x}, the symbol is {s:#x}")
        return start, at + 4
    if opcode == 0x8b and after[at - 2] == 0x8d:
        require(after[at - 1] == modrm, "mov became lea with another register")
        require(p + 4 + field & MASK == s, f"lea computes {p + 4 + field & MASK:#x}, the symbol is {s:#x}")
        return at - 2, at + 4
    require(relocation.type != "GOTPCREL", "without the X only a mov may be relaxed, to lea")
    forms = {0x8b: (0xc7, 0), 0x85: (0xf7, 0)}
    if opcode & 0xc7 == 0x03:
        forms[opcode] = 0x81, opcode >> 3
    require(opcode in forms, f"opcode {opcode:#x} may not be relaxed")
    wanted_opcode, extension = forms[opcode]
    new_rex = after[at - 3] if rex else 0
    require(after[at - 2] == wanted_opcode and after[at - 1] == 0xc0 | extension << 3 | register & 7,
            f"{before[at - 3:at].hex()} became {after[at - 3:at].hex()}")
    require(not rex or (new_rex & 0xf0 == 0x40 and new_rex & 1 == register >> 3 and new_rex & 6 == 0
                        and new_rex & 8 == rex & 8), f"REX {rex:#x} became {new_rex:#x}")
    value = field & MASK if rex & 8 else field & 0xffffffff
    require(value == s, f"the operand is {value:#x}, the symbol is {s:#x}")
    return start, at + 4


def check_relocation(linked, index, relocation, before, loaded):
    """Returns the range of bytes that it may change."""
    size = elf.width(relocation)
    s = linked.value_of(relocation.symbol)
    if size == 0:
        return relocation.offset, relocation.offset
    require(s is not None, "its symbol's section is not loaded, but it was not refused")
    require(relocation.offset + size <= len(loaded.data), "it lies outside of its section")
    if relocation.type in GOT_LOADS and is_code(linked, index, relocation):
        return check_load(linked, relocation, before, loaded.data, loaded.address, s)
    p, field = loaded.address + relocation.offset, field_at(loaded.data, relocation)
    check = check_slot if relocation.type in GOT_LOADS + SLOT_OFFSETS + ("GOTPCREL64",) else check_plain
    check(linked, relocation, s, p, field)
    return relocation.offset, relocation.offset + size


def faults_of_section(linked, index, loaded):
    """Every relocation, and that nothing changed which none of them covers."""
    section = linked.obj.sections[index]
    before = linked.obj.content(section)
    rest = bytearray(loaded.data)
    if len(loaded.data) != section.size:
        yield f"{section.name}: {len(loaded.data):#x} bytes, the object has {section.size:#x}"
        return
    for relocation in linked.relocations.get(index, ()):
        name = linked.symbols[relocation.symbol].name
        try:
            start, end = check_relocation(linked, index, relocation, before, loaded)
        except Wrong as why:
            yield f"{section.name}+{relocation.offset:#x} R_X86_64_{relocation.type} `{name}'{relocation.addend:+}: {why}"
            start, end = relocation.offset - 3, relocation.offset + elf.width(relocation)
        rest[start:end] = before[start:end]
    for offset, (got, wanted) in enumerate(zip(rest, before)):
        if got != wanted:
            yield f"{section.name}+{offset:#x}: {wanted:#04x} became {got:#04x} without a relocation"
            return


def faults_of_layout(linked):
    """Every loaded section is there, aligned, and nothing lies on anything else."""
    obj, dump = linked.obj, linked.dump
    for section in obj.sections:
        if elf.is_loaded(section) != (section.index in dump.sections):
            yield f"section {section.index}, {section.name}: loaded {section.index in dump.sections}"
        elif section.index in dump.sections and dump.sections[section.index].address % max(section.align, 1):
            yield f"{section.name}: {dump.sections[section.index].address:#x} is not aligned to {section.align:#x}"
    ranges = [(loaded.address, len(loaded.data), obj.sections[i].name) for i, loaded in dump.sections.items()]
    ranges += [(address, len(data), "made by the loader") for address, data in dump.made.items()]
    for symbol in linked.symbols:
        if symbol.shndx not in (elf.SHN_COMMON, elf.SHN_LARGE_COMMON):
            continue
        if symbol.index not in dump.common:
            yield f"common symbol `{symbol.name}' has no C line"
            continue
        ranges.append((dump.common[symbol.index], symbol.size, symbol.name))
        if dump.common[symbol.index] % symbol.value:
            yield f"common symbol `{symbol.name}' is not aligned to {symbol.value:#x}"
    ranges = sorted(r for r in ranges if r[1])
    for (start, size, name), (following, _, other) in zip(ranges, ranges[1:]):
        if start + size > following:
            yield f"{name} ({start:#x}, {size:#x} bytes) lies on {other} ({following:#x})"


def faults(obj, dump):
    """What is wrong with @dump, a line each."""
    linked = Linked(obj, dump)
    found = list(faults_of_layout(linked))
    for index, loaded in dump.sections.items():
        found += faults_of_section(linked, index, loaded)
    return found
