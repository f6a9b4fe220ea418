# SPDX-License-Identifier: MIT
"""test_symbols.py - what the objects ask of each other, as the linker sees it, and what instructions they may not hold.

The freestanding core asks the machine for hx_hal_* and the gate's assembly and nothing else, so that it runs wherever these
are. A module asks the kernel for its exports and for the operations of the interfaces that it declares to require, and
never reaches for %gs, where the kernel keeps its own.
"""
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
CORE = os.path.join(BUILD, "kernel", "libcore_kernel.a")
KERNEL = os.path.join(BUILD, "kernel", "helix.elf")
MACHINE = os.path.join(BUILD, "kernel", "libmachine_kernel.a")
MODULES = sorted(glob.glob(os.path.join(BUILD, "modules", "*.hxm")))
GATE = ("gate.S.o", "gate_stub.c.o", "import.S.o")  # the gate room's part of the machine's sources
MEMORY = {"memcpy", "memmove", "memset", "memcmp"}
TEMPLATE = {"hx_cpu", "hx_percpu_start", "hx_percpu_end"}  # the seam's data: hx_cpu.h
# Made by tools/mkmodpack/exports_table.c.
TABLE = {"hx_exports_table", "hx_exports_mask", "hx_kernel_types_key", "hx_kernel_types_type", "hx_kernel_types_count"}


def run(*arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=120).stdout


def symbols(path):
    """(defined, undefined) names; weak undefined ones are left out."""
    defined, undefined = set(), set()
    for line in run("nm", "--format=posix", path).splitlines():
        fields = line.split()
        if len(fields) < 2 or len(fields[1]) != 1:
            continue
        (undefined if fields[1] == "U" else defined).add(fields[0])
    return defined, undefined


def members(archive, endings):
    """Defined names of those members of a thin archive whose names have one of these endings."""
    names = set()
    for path in run("ar", "t", archive).split():
        if path.endswith(endings):
            whole = path if os.path.exists(path) else os.path.join(os.path.dirname(archive), path)
            names |= symbols(whole)[0]
    return names


@case("the core asks for the seam, the gate's assembly and the four memory functions, nothing else")
def core():
    defined, undefined = symbols(CORE)
    allowed = defined | members(MACHINE, GATE) | MEMORY | TEMPLATE | TABLE
    left = sorted(name for name in undefined - allowed if not name.startswith("hx_hal_"))
    assert not left, "undefined in the core: " + ", ".join(left)


def exports():
    with open(os.path.join(ROOT, "include", "helix", "kernel.h"), encoding="utf-8") as file:
        return set(re.findall(r"HX_EXPORT\((hx_\w+),", file.read()))


def operations():
    """{"hx_kv": {"hx_kv_get", ...}, ...} from the public headers' lists."""
    found = {}
    for path in glob.glob(os.path.join(ROOT, "include", "helix", "*.h")):
        with open(path, encoding="utf-8") as file:
            for interface, operation in re.findall(r"^\s+OP\((hx_\w+), \d+, (\w+),", file.read(), re.MULTILINE):
                found.setdefault(interface, set()).add(f"{interface}_{operation}")
    return found


def required(path):
    """Interfaces that a module declares to require, from the text section that every module has."""
    text = run("readelf", "-p", ".hx.info", path)
    return re.findall(r"\bdepends=(\w+)", text)


@case("a module asks for exports and for operations of interfaces that it requires, nothing else")
def modules():
    assert MODULES, "no modules in " + BUILD
    faults = []
    for path in MODULES:
        allowed = exports().union(*(operations().get(interface, set()) for interface in required(path)))
        left = sorted(symbols(path)[1] - allowed)
        if left:
            faults.append(f"{os.path.basename(path)}: {', '.join(left)}")
    assert not faults, "\n".join(faults)


def instructions(path, pattern, what):
    lines = run("objdump", "--disassemble", "--no-show-raw-insn", path).splitlines()
    found = [line.strip() for line in lines if re.search(pattern, line)]
    return [f"{os.path.basename(path)}: {what}: {line}" for line in found[:5]]


@case("no module's text touches %gs")
def no_gs():
    faults = [fault for path in MODULES for fault in instructions(path, r"%gs\b|\b(swapgs|wrgsbase)\b", "%gs")]
    assert not faults, "\n".join(faults)


@case("kernel and modules use no vector and no x87 register")
def no_vectors():
    faults = [fault for path in [KERNEL, *MODULES] for fault in instructions(path, r"%[xyz]mm\d|%st\b", "vector or x87")]
    assert not faults, "\n".join(faults)


def functions(path):
    """{name: [(mnemonic, operands), ...]}"""
    found, body = {}, []
    for line in run("objdump", "--disassemble", "--no-show-raw-insn", path).splitlines():
        if start := re.match(r"[0-9a-f]+ <([^>]+)>:$", line):
            body = found.setdefault(start[1], [])
        elif "\t" in line:
            body.append(tuple((line.split("\t")[-1].strip() + " ").split(None, 1) + [""])[:2])
    return found


def clears_flags(body, known, depth=1):
    """Whether @body, run from its start, takes its flags back before it does anything that the direction flag concerns."""
    for mnemonic, operands in body:
        if mnemonic.startswith(("popf", "cld")):
            return True
        if mnemonic.startswith("call"):
            name = re.search(r"<([^>+]+)>", operands)
            return depth > 0 and name is not None and clears_flags(known.get(name[1], []), known, depth - 1)
        if not mnemonic.startswith(("mov", "push", "lea", "xor", "endbr")) or "%es:" in operands:
            return False
    return False


@case("what calls a module by a typed entry takes its flags back before it goes on")
def flags_are_taken_back():
    known = functions(KERNEL)
    entries = set().union(*operations().values())
    calls = [(name, operands, body[i + 1:]) for name, body in known.items() for i, (mnemonic, operands) in enumerate(body)
             if mnemonic.startswith("call") and re.sub(r".*<(.*)>.*", r"\1", operands).strip() in entries]
    assert len(calls) > 10, calls
    faults = [f"{name}: call of {operands}" for name, operands, after in calls if not clears_flags(after, known)]
    assert not faults, "\n".join(faults)


@case("the kernel carries no sanitizer, no position-independent code and no dynamic section")
def freestanding():
    defined, undefined = symbols(KERNEL)
    strange = sorted(name for name in defined | undefined if re.match(r"__(asan|ubsan|tsan|gcov|stack_chk)", name))
    assert not strange, ", ".join(strange)
    assert not undefined, ", ".join(sorted(undefined))
    headers = run("readelf", "--program-headers", KERNEL)
    assert "DYNAMIC" not in headers and "INTERP" not in headers, headers


@case("no segment of the kernel is both writable and executable")
def write_or_execute():
    headers = run("readelf", "--program-headers", "--wide", KERNEL)
    faults = [line.strip() for line in headers.splitlines() if re.match(r"\s+LOAD .*RWE", line)]
    assert not faults, "\n".join(faults)


main()
