# SPDX-License-Identifier: MIT
"""gnu_ld.py - links an object with GNU ld at the addresses that the loader chose, and compares every byte.

The copy for ld has section names of its own, so that a generated script can say where each goes, and its global offset
table lies where the loader's lies. What ld keeps elsewhere are the slots: a field that leads to one is compared by what the
slot holds.
"""
import collections
import re
import struct
import subprocess

import elf
import psabi

PLACE = r"\(\.hxs(\d+)(?:\[[^]]*\])?\+(0x[0-9a-f]+)\): "  # a group's signature stands in brackets
OVERFLOW = re.compile(PLACE + "relocation truncated to fit")
CONVERSION = re.compile(PLACE + "failed to convert GOTPCREL relocation")
WINDOW_BYTES = 32 << 20  # in which an image of any size has room; tools/mkmodpack/host_image.c
SLOT_TYPES = psabi.GOT_LOADS + psabi.SLOT_OFFSETS + ("GOTPCREL64",)

# @overflows: (section, offset) of relocations that do not fit. @relaxed: whether loads from the GOT were made shorter.
Output = collections.namedtuple("Output", "elf overflows relaxed text")


def script(dump, got, relaxed):
    """Weak symbols stay undefined, so that ld does with them what it does, except where that cannot be linked."""
    lines = [f'"{name}" = {value:#x};' for name, value in dump.undefined.items()
             if name != psabi.GOT_SYMBOL and (value != 0 or not relaxed)]
    lines.append("SECTIONS {")
    places = sorted((loaded.address, index) for index, loaded in dump.sections.items())
    lines += [f"  {elf.loader_section(index)} {address:#x} : {{ *({elf.loader_section(index)}) }}"
              for address, index in places]
    slots = (max([got] + [a + len(dump.sections[i].data) for a, i in places]) + 0x20000) & ~0xfff
    lines += [f"  .hxgot {got:#x} : {{ *(.got.plt) }}", f"  .hxslots {slots:#x} : {{ *(.got) }}", "  /DISCARD/ : { *(*) }",
              "}"]
    return "\n".join(lines) + "\n"


def default_got(dump):
    """Where ld may put a table that nobody else has."""
    return (max(l.address + len(l.data) for l in dump.sections.values()) + 0x10000) & ~0xfff


def run(path, lds, *options):
    """--noinhibit-exec: fields that overflow are cut off, so that the rest can be compared; --verbose: all are named."""
    with open(path + ".lds", "w", encoding="utf-8") as file:
        file.write(lds)
    return subprocess.run(["ld", "-m", "elf_x86_64", "-static", "-no-pie", "--noinhibit-exec", "--verbose", "--build-id=none",
                           "--no-check-sections", "--no-warn-rwx-segments", "-z", "noexecstack", "-z", "max-page-size=4096",
                           *options, "-T", path + ".lds", path + ".ld.o", "-o", path + ".ld"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def places(pattern, text):
    return {(int(section), int(offset, 16)) for section, offset in pattern.findall(text)}


def link(obj, path, dump):
    """Links the copy beside @path at the addresses of @dump, of which ld sees no contents."""
    got = psabi.Linked(obj, dump).got or default_got(dump)
    with open(path + ".ld.o", "wb") as file:
        file.write(elf.for_other_linker(obj, dump.common))
    done, relaxed = run(path, script(dump, got, True)), True
    text = done.stdout + done.stderr
    if CONVERSION.search(text):
        done, relaxed = run(path, script(dump, got, False), "--no-relax"), False
        text = done.stdout + done.stderr
    overflows = places(OVERFLOW, text)
    assert done.returncode == 0 or overflows, f"ld: {done.stderr[-2000:]}"
    return Output(elf.Elf.load(path + ".ld"), overflows, relaxed, text)


class Comparison:
    """@base: where the loader was told to place the image; of what it reaches from there, it looks at a whole window."""

    def __init__(self, obj, dump, output, base):
        self.base = base
        self.linked = psabi.Linked(obj, dump)
        self.output = output
        self.got, self.slots = self.table(".hxgot"), self.table(".hxslots")

    def table(self, name):
        section = self.output.elf.by_name(name)
        return (section.addr, self.output.elf.content(section)) if section else (0, b"")

    def slot_of_ld(self, address):
        start, data = self.slots
        if not start <= address <= start + len(data) - 8:
            return None
        return struct.unpack_from("<Q", data, address - start)[0]

    def same_slot(self, relocation, loaded, theirs):
        """Whether two fields lead to slots with the same content."""
        origin = self.got[0] if relocation.type in psabi.SLOT_OFFSETS else loaded.address + relocation.offset
        mine, other = [origin + psabi.signed(psabi.field_at(data, relocation), 8 * elf.width(relocation)) -
                       relocation.addend & psabi.MASK for data in (loaded.data, theirs)]
        slot = self.linked.made_at(mine, 8)
        return slot is not None and struct.unpack("<Q", slot)[0] == self.slot_of_ld(other)

    def reaches(self, value):
        """Whether an instruction anywhere in the loader's window can name @value relative to itself."""
        return all(-1 << 31 <= psabi.signed(value - p) < 1 << 31 for p in (self.base, self.base + WINDOW_BYTES))

    def keeps_slot(self, index, relocation, loaded):
        """Whether a load from the GOT was left as it is, where ld, which looks at one instruction alone, need not."""
        before = self.linked.obj.content(self.linked.obj.sections[index])
        at = relocation.offset
        return loaded.data[at - 2:at] == before[at - 2:at] and not self.reaches(self.linked.value_of(relocation.symbol))

    def is_far_for_ld(self, symbol):
        """Common symbols are given to ld as numbers; of the large sections of the medium model it keeps its distance."""
        sections = self.linked.obj.sections
        return symbol.shndx == elf.SHN_COMMON or \
            0 < symbol.shndx < len(sections) and sections[symbol.shndx].flags & elf.SHF_LARGE

    def ld_keeps_slot(self, index, relocation, loaded, theirs):
        """Whether ld left a load from the GOT as it is, which would have reached its target."""
        before = self.linked.obj.content(self.linked.obj.sections[index])
        at = relocation.offset
        slot = loaded.address + at + psabi.signed(psabi.field_at(theirs, relocation), 32) - relocation.addend & psabi.MASK
        return theirs[at - 2:at] == before[at - 2:at] and self.is_far_for_ld(self.linked.symbols[relocation.symbol]) \
            and self.slot_of_ld(slot) == self.linked.value_of(relocation.symbol)

    def excused(self, index, relocation, loaded, theirs, offset):
        """Whether the byte at @offset, which a relocation covers, may differ. What ours must then be says psabi.py."""
        in_field = relocation.offset <= offset < relocation.offset + elf.width(relocation)
        if relocation.type in psabi.GOT_LOADS and (not self.output.relaxed or self.keeps_slot(index, relocation, loaded) or
                                                   self.ld_keeps_slot(index, relocation, loaded, theirs)):
            return relocation.offset - 3 <= offset < relocation.offset + 4
        if relocation.type in SLOT_TYPES:
            return in_field and self.same_slot(relocation, loaded, theirs)
        return in_field and relocation.type == "PLT32" and (index, relocation.offset) in self.output.overflows

    def covering(self, index):
        """Offset -> relocations whose field or instruction may hold that byte."""
        found = collections.defaultdict(list)
        for relocation in self.linked.relocations.get(index, ()):
            for offset in range(relocation.offset - 3, relocation.offset + max(elf.width(relocation), 1)):
                found[offset].append(relocation)
        return found

    def compare_section(self, index, loaded):
        name = self.linked.obj.sections[index].name
        section = self.output.elf.by_name(elf.loader_section(index))
        if not section:
            if loaded.data:
                yield f"{name}: not in ld's output"
            return
        theirs = self.output.elf.content(section)
        if (section.addr, len(theirs)) != (loaded.address, len(loaded.data)):
            yield f"{name}: {len(loaded.data):#x} bytes at {loaded.address:#x}, ld: {len(theirs):#x} at {section.addr:#x}"
            return
        if theirs == loaded.data:
            return
        covering = self.covering(index)
        for offset, (mine, other) in enumerate(zip(loaded.data, theirs)):
            if mine == other:
                continue
            near = covering[offset]
            if any(self.excused(index, r, loaded, theirs, offset) for r in near):
                continue
            which = ", ".join(f"R_X86_64_{r.type} at {r.offset:#x} `{self.linked.symbols[r.symbol].name}'{r.addend:+}"
                              for r in near) or "no relocation"
            yield f"{name}+{offset:#x}: {mine:#04x}, ld: {other:#04x} ({which})"

    def unexpected_overflows(self):
        """What did not fit for ld, and was linked here without a veneer or another slot."""
        for index, offset in sorted(self.output.overflows):
            relocation = next((r for r in self.linked.relocations.get(index, ()) if r.offset == offset), None)
            if not relocation or relocation.type not in ("PLT32",) + psabi.GOT_LOADS:
                yield f"{self.linked.obj.sections[index].name}+{offset:#x}: does not fit for ld, but was not refused"

    def faults(self):
        found = list(self.unexpected_overflows())
        for index, loaded in self.linked.dump.sections.items():
            found += self.compare_section(index, loaded)
        return found
