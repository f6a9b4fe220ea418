#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_differential.py - the loader against GNU ld, byte for byte, and against the psABI.

A corpus is compiled by both compilers in many ways; each object is linked at several addresses by `mkmodpack link', which
is the kernel's loader, and by ld at the same addresses. What one of them refuses, the other has to refuse as well.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import dump  # noqa: E402 pylint: disable=wrong-import-position
import elf  # noqa: E402 pylint: disable=wrong-import-position
import gnu_ld  # noqa: E402 pylint: disable=wrong-import-position
import matrix  # noqa: E402 pylint: disable=wrong-import-position
import psabi  # noqa: E402 pylint: disable=wrong-import-position
from tap import FULL, ROOT, case, equal, log, main  # noqa: E402 pylint: disable=wrong-import-position

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.environ.get("MKMODPACK", os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack"))
WORK = os.path.join(BUILD, "differential")
SHOWN = 12  # disagreements of one object, and objects of one case
NAME_SHOWN = 31  # characters of a section's name that a refusal shows at least
AT_ONCE = 2

# Where an image lies: like a program, in the kernel's module area, and where only position independence reaches.
BASES = _, KERNEL, HIGH = 0x400000, 0xffffffffa0000000, 0x7f0000000000
FAR = 0x123456780000  # a call's reach away from each of them

# Loader fixtures that are not to load, and as what they are refused.
REFUSED = {
    "big": "limit", "empty": "format", "ifunc": "unsupported", "lto": "unsupported",
    "not_loaded": "relocation", "tls": "unsupported", "tls_import": "unsupported", "writable_text": "unsupported",
}


def value_of_import(name, i, base, mode):
    """Beside the image, or every second one far away, or around the last address that a call or a load reaches."""
    if name.startswith("small_"):
        return {"small_8": 0x5a, "small_16": 0x1234}[name]
    if mode == "edge":
        return base + (0x80000000 if i % 2 else -0x80000000) + 0x34 * i & psabi.MASK
    return (FAR if mode == "far" and i % 2 == 0 else base + 0x10000000) + 0x1238 * i


def imports(obj, base, mode):
    """A value for each undefined symbol that somebody has; names say which nobody has."""
    names = [symbol.name for symbol in obj.symbols()[1:] if symbol.shndx == elf.SHN_UNDEF]
    return {name: value_of_import(name, i, base, mode) for i, name in enumerate(names)
            if name != psabi.GOT_SYMBOL and not name.startswith(("absent", "weak_absent"))}


class Linking:
    """One object at one place."""

    def __init__(self, path, base, mode):
        self.path, self.base = f"{path}.{base:x}-{mode}", base
        shutil.copy(path, self.path)
        self.obj = elf.Elf.load(path)
        self.symbols = imports(self.obj, base, mode)
        self.refused = None
        self.relaxed = True  # by ld

    def link(self, path=None):
        return dump.link(TOOL, path or self.path, self.base, self.symbols)

    def faults(self):
        """What is wrong with what the loader made of it."""
        try:
            linked = self.link()
        except dump.Refused as refusal:
            self.refused = refusal
            if self.has_large_common() and refusal.error == "unsupported":
                return []
            return self.faults_of_refusal() if refusal.error == "range" else [f"refused: {refusal}"]
        output = gnu_ld.link(self.obj, self.path, linked)
        self.relaxed = output.relaxed
        return psabi.faults(self.obj, linked) + gnu_ld.Comparison(self.obj, linked, output, self.base).faults()

    def has_large_common(self):
        """Common symbols of the medium model, which nobody promised: they are refused, as such."""
        return any(symbol.shndx == elf.SHN_LARGE_COMMON for symbol in self.obj.symbols())

    def refused_place(self):
        """(section, offset) that the refusal names."""
        found = re.search(r"section (\S+), relocation (\d+): ", self.refused.line)
        assert found, f"a refusal that does not say where: {self.refused}"
        name, number = found[1], int(found[2])
        return {(table.info, self.obj.relocations()[table.info][number].offset) for table in self.obj.sections
                if table.type == elf.SHT_RELA and table.name[:NAME_SHOWN] == name[:NAME_SHOWN] and
                number < table.size // 24}

    def faults_of_refusal(self):
        """ld, at the addresses that the object has without its relocations, must not be able to do it either."""
        with open(self.path + ".bare", "wb") as file:
            file.write(elf.without_relocations(self.obj))
        overflows = gnu_ld.link(self.obj, self.path, self.link(self.path + ".bare")).overflows
        if self.refused_place() & overflows:
            return []
        return [f"refused: {self.refused}", f"ld links that place; what does not fit for it: {overflows or 'nothing'}"]

    def clean(self):
        for path in glob.glob(glob.escape(self.path) + "*"):
            os.remove(path)


def places(number):
    """Bases of the @number-th object, and where what it needs is from there. All the ways of --full are so many that each
    is tried at two places only; its neighbours are at others."""
    turn = BASES[number % 3]
    if FULL:
        return [(turn, "near"), (BASES[number // 3 % 3], ("far", "edge")[number // 9 % 2])]
    return [(base, "near") for base in BASES] + [(turn, "far"), (BASES[(number + 1) % 3], "edge")]


def try_object(number, path, how):
    """Returns (links, refusals, links in which ld relaxed nothing, lines about what is wrong)."""
    refusals, unrelaxed, wrong = 0, 0, []
    for base, mode in places(number):
        linking = Linking(path, base, mode)
        try:
            faults = linking.faults()
        except AssertionError as error:
            faults = [str(error)]
        refusals += linking.refused is not None
        unrelaxed += not linking.relaxed
        if faults:
            wrong += [how, f"  at {base:#x}, symbols {mode}: {linking.path}"]
            wrong += ["    " + line for line in faults[:SHOWN]]
        else:
            linking.clean()
    if not wrong:
        os.remove(path)
    return len(places(number)), refusals, unrelaxed, wrong


def try_choice(number, choice):
    out = os.path.join(WORK, f"{number}-{os.path.basename(choice[0])}.o")
    command = matrix.command(*choice, out)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, 0, 0, [" ".join(command), "  " + done.stderr[-500:]]
    return try_object(number, out, " ".join(command))


def agree(function, items, minimum):
    """Runs @function on all, two at a time; at least @minimum objects must have been linked, not refused."""
    os.makedirs(WORK, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(function, range(len(items)), items))
    links, refusals, unrelaxed = (sum(numbers) for numbers in zip(*(r[:3] for r in results)))
    log(f"count: {len(items)} objects, {links} links; {refusals} refused by both linkers, {unrelaxed} that ld cannot relax")
    wrong = [r[3] for r in results if r[3]]
    shown = "\n".join(line for lines in wrong[:SHOWN] for line in lines)
    assert not wrong, f"{len(wrong)} of {len(items)} objects disagree\n{shown}"
    assert links - refusals >= minimum, f"only {links - refusals} links"


def corpus(extension):
    choices = matrix.everything(extension) if FULL else matrix.sample(extension)
    agree(try_choice, choices, len(choices))


@case("C is linked as GNU ld links it, compiled in every way", limit_s=3000)
def c():
    corpus(".c")


@case("C++ is linked as GNU ld links it, compiled in every way", limit_s=3000)
def cxx():
    corpus(".cc")


@case("assembly with every relocation is linked as GNU ld links it", limit_s=300)
def assembly():
    corpus(".s")


@case("what does not fit its field is refused by both linkers, whatever the field")
def too_far():
    os.makedirs(WORK, exist_ok=True)
    for i, code in enumerate((".byte outside", ".short outside", ".long outside", "mov $outside, %rax", "jrcxz outside",
                              ".long outside - .", "lea outside(%rip), %rax", ".reloc ., R_X86_64_PC16, outside\n.short 0",
                              "jmp outside + 8", ".weak absent\njmp absent + 1")):
        path = os.path.join(WORK, f"too-far-{i}.o")
        subprocess.run(["gcc", "-x", "assembler", "-c", "-o", path, "-"], input=code + "\n", text=True, check=True)
        linking = Linking(path, HIGH, "far")
        equal(linking.faults(), [], code)
        assert linking.refused, f"it was not refused: {code}"


def try_file(number, path):
    copy = os.path.join(WORK, f"own-{number}-{os.path.basename(path)}")
    shutil.copy(path, copy)
    return try_object(number, copy, path)


@case("the project's own modules are linked as GNU ld links them", limit_s=300)
def modules():
    paths = sorted(glob.glob(os.path.join(BUILD, "modules", "*.hxm")))
    assert len(paths) >= 6, f"too few modules: {paths}"
    agree(try_file, paths, len(paths))


@case("the loader's fixtures are linked as GNU ld links them, or refused as they should be", limit_s=300)
def fixtures():
    paths = sorted(glob.glob(os.path.join(BUILD, "tests", "fixtures", "loader", "*.o")))
    names = [os.path.basename(path)[:-2] for path in paths]
    assert set(REFUSED) <= set(names), f"fixtures are missing: {set(REFUSED) - set(names)}"
    agree(try_file, [p for p, name in zip(paths, names) if name not in REFUSED], len(paths))
    for path, name in zip(paths, names):
        if name in REFUSED:
            linking = Linking(shutil.copy(path, WORK), KERNEL, "near")
            try:
                linking.link()
                raise AssertionError(f"{name} was not refused")
            except dump.Refused as refusal:
                equal(refusal.error, REFUSED[name], f"refusal of {name}")


# ---- the comparison itself -------------------------------------------------------------------------------------------
def good_link():
    os.makedirs(WORK, exist_ok=True)
    path = os.path.join(WORK, "self.o")
    subprocess.run(matrix.command("relax.s", ("gcc", "", ""), (), path), check=True)
    linking = Linking(path, KERNEL, "near")
    return linking, linking.link()


def with_byte(linked, index, offset):
    """A dump in which one byte of a section has another value."""
    loaded = linked.sections[index]
    data = bytearray(loaded.data)
    data[offset] ^= 0x10
    sections = dict(linked.sections)
    sections[index] = dump.Loaded(loaded.address, bytes(data))
    return linked._replace(sections=sections)


@case("a comparison notices each byte that is wrong, by ld and by the psABI")
def notices_bytes():
    linking, linked = good_link()
    output = gnu_ld.link(linking.obj, linking.path, linked)
    equal(gnu_ld.Comparison(linking.obj, linked, output, linking.base).faults(), [], "without an error")
    equal(psabi.faults(linking.obj, linked), [], "without an error")
    for index, loaded in linked.sections.items():
        for offset in range(0, len(loaded.data), 131):
            wrong = with_byte(linked, index, offset)
            where = f"section {index}, offset {offset:#x}"
            assert psabi.faults(linking.obj, wrong), f"not noticed by the psABI's formulas: {where}"
            assert gnu_ld.Comparison(linking.obj, wrong, output, linking.base).faults(), f"not noticed beside ld: {where}"


@case("a comparison notices a wrong slot, a missing section and a section that lies elsewhere")
def notices_rest():
    linking, linked = good_link()
    assert linked.made, "there is no table of addresses to change"
    made = {address: bytes([data[0] ^ 1]) + data[1:] for address, data in linked.made.items()}
    assert psabi.faults(linking.obj, linked._replace(made=made)), "a wrong slot is not noticed"
    index, loaded = next(iter(linked.sections.items()))
    rest = {i: l for i, l in linked.sections.items() if i != index}
    assert psabi.faults(linking.obj, linked._replace(sections=rest)), "a missing section is not noticed"
    moved = linked._replace(sections={**rest, index: dump.Loaded(loaded.address + 64, loaded.data)})
    assert psabi.faults(linking.obj, moved), "a section that was moved is not noticed by the psABI's formulas"
    beside_ld = gnu_ld.Comparison(linking.obj, moved, gnu_ld.link(linking.obj, linking.path, moved), KERNEL)
    assert beside_ld.faults(), "a section that was moved is not noticed beside ld"


@case("a refusal of what ld links is noticed")
def notices_refusal():
    linking, _ = good_link()
    table = next(s for s in linking.obj.sections if s.type == elf.SHT_RELA)
    linking.refused = dump.Refused("range", f"range: section {table.name}, relocation 0: it does not fit")
    assert linking.faults_of_refusal(), "it is not noticed"


if __name__ == "__main__":
    shutil.rmtree(WORK, ignore_errors=True)
    main()
