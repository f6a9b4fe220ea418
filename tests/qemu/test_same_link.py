# SPDX-License-Identifier: MIT
"""test_same_link.py - what `mkmodpack link' makes of a module on the host is what the kernel made of it: the same bytes at
the same addresses.

modinfo says where the parts of a module lie and what its text and read-only data hash to in memory; the host links the
file to the same places, with the kernel's symbols at the addresses that sym shows.
"""
import ctypes
import os
import re
import subprocess
import sys

from harness import ROOT, boot, built, case, contains, equal, log, main, scratch
from views import fixture, pack, shipped

sys.path.insert(0, os.path.join(ROOT, "tests", "differential"))
import dump  # noqa: E402 pylint: disable=wrong-import-position
import elf  # noqa: E402 pylint: disable=wrong-import-position

SEED = "seed=20210"
PART = re.compile(r"  (\w+) +(0x[0-9a-f]+), (\d+) bytes(?:, XXH64 ([0-9a-f]{16}))?")
FLAGS = ("-std=gnu11 -Wall -Werror -ffreestanding -mno-red-zone -mgeneral-regs-only -fno-stack-protector "
         "-fcf-protection=none").split()
WAYS = ("-mcmodel=kernel -fno-pic -fno-pie -O2", "-mcmodel=small -fPIC -fno-plt -O0", "-mcmodel=small -fpie -O2 -g",
        "-mcmodel=large -fno-pic -fno-pie -O0", "-mcmodel=large -fPIC -O2")

# Something of everything that the loader has to make or change: pointers in tables, the GOT, calls, weak symbols.
SOURCE = """
#include <helix/module.h>
extern int absent(void) __attribute__((weak));
static hx_ret_t first(void) { return hx_log(HX_LOG_INFO, HX_TEXT("first")); }
static hx_ret_t second(void) { return (hx_ret_t)hx_clock_ns() + (absent ? absent() : 0); }
static hx_ret_t (*const calls[])(void) = { first, second };
hx_ret_t (*variable_calls[])(void) = { second, first };
const char *names[] = { "one", "two", "three" };
int (*weak_pointer)(void) = absent;
int counter = 4, zero;
static hx_ret_t check(void)
{
    switch (counter + zero++) {
    case 0: return calls[1]();
    case 1: return first();
    case 2: return variable_calls[0]();
    case 3: return names[counter & 1][0];
    case 4: return (hx_ret_t)(uintptr_t)hx_clock_ns == 1;
    default: return second() + (weak_pointer != 0);
    }
}
static hx_ret_t init(void) { return check() < 0; }
HX_MODULE(NAME, HX_VERSION(1, 0, 0), "linked twice", .init = init, .check = check);
"""


def xxh64(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH64.restype = ctypes.c_uint64
    return library.XXH64(bytes(data), ctypes.c_size_t(len(data)), ctypes.c_uint64(0))


def compile_module(directory, name, compiler, way):
    out = os.path.join(directory, name + ".hxm")
    subprocess.run([compiler, *FLAGS, *way.split(), f'-DNAME="{name}"', "-I", os.path.join(ROOT, "include"), "-x", "c", "-c",
                    "-o", out, "-"], input=SOURCE, text=True, check=True)
    return out


def parts_of(guest, name):
    """Part -> (address, size, hash or None)."""
    lines = guest.run("modinfo " + name)
    parts = {m[1]: (int(m[2], 16), int(m[3]), m[4]) for m in map(PART.fullmatch, lines) if m}
    assert "rodata" in parts, "\n".join(lines)
    return parts


def imports_of(guest, path, known):
    """The kernel's addresses of what a module imports; what it has not and the module can do without is left out."""
    wanted = {s.name: s.bind for s in elf.Elf.load(path).symbols()[1:] if s.shndx == elf.SHN_UNDEF}
    for name in set(wanted) - set(known):
        found = [line for line in guest.run("sym " + name) if line.startswith("0x") and "export" in line]
        if not found:
            assert wanted[name] == elf.STB_WEAK or name == "_GLOBAL_OFFSET_TABLE_", f"sym does not know {name}"
            continue
        known[name] = int(found[0].split()[0], 16)
    return {name: known[name] for name in wanted if name in known}


def bytes_at(linked, address, size):
    """A part as the host has it: sections and what the loader made, with zeroes between them."""
    memory = bytearray(size)
    regions = [(s.address, s.data) for s in linked.sections.values()] + list(linked.made.items())
    for start, data in regions:
        if address <= start and start + len(data) <= address + size:
            memory[start - address:start - address + len(data)] = data
    return memory


def compare(guest, path, name, known, directory):
    parts = parts_of(guest, name)
    symbols = imports_of(guest, path, known)
    base = min(address for address, _, _ in parts.values()) & ~0xfff
    options = [word for part, (address, _, _) in parts.items() for word in ("--place", f"{part}={address:#x}")]
    copy = os.path.join(directory, "linked-" + os.path.basename(path))
    with open(path, "rb") as source, open(copy, "wb") as to:
        to.write(source.read())
    linked = dump.link(built("tools", "mkmodpack", "mkmodpack"), copy, base, symbols, *options)
    for part, (address, size, wanted) in parts.items():
        equal(wanted is not None, part in ("text", "rodata"), f"{part} of {name} has a hash")
        if wanted is None:
            continue
        equal(f"{xxh64(bytes_at(linked, address, size)):016x}", wanted, f"{part} of {name} at {address:#x}")
    return len(linked.made)


@case("the modules that ship are linked in the kernel as on the host")
def shipped_modules():
    with scratch() as directory, boot(cmdline=SEED) as guest:
        known = {}
        for name in ("drv_rtc", "sched_rr", "svc_kv"):
            compare(guest, shipped(name), name, known, directory)
        for name, file in (("sched_rr", "sched_rr-2"), ("svc_kv", "svc_kv-2")):
            contains(guest.run(f"reload {name} {file}.hxm"), "2.0.0", "reload")
            compare(guest, shipped(file), name, known, directory)
        guest.poweroff()


@case("modules of every code model and of both compilers are linked in the kernel as on the host")
def models():
    with scratch() as directory:
        files = {f"m_{compiler}_{i}": compile_module(directory, f"m_{compiler}_{i}", compiler, way)
                 for compiler in ("gcc", "clang") for i, way in enumerate(WAYS)}
        own = {"good_minimal": fixture("good_minimal")}
        order = [shipped("sched_rr"), *files.values(), *own.values()]
        with boot(cmdline=SEED, initrd=pack(os.path.join(directory, "pack.cpio"), order, [])) as guest:
            known = {}
            made = sum(compare(guest, path, name, known, directory) for name, path in {**files, **own}.items())
            log(f"count: {len(files) + len(own)} modules")
            assert made >= 3, f"only {made} modules have a table that the loader made"
            guest.poweroff()


@case("another seed puts a module elsewhere, and a link for another place is another link")
def seeds():
    with scratch() as directory:
        hashes = set()
        for seed in ("seed=1", "seed=2"):
            with boot(cmdline=seed) as guest:
                hashes.add(parts_of(guest, "svc_kv")["rodata"])
                compare(guest, shipped("svc_kv"), "svc_kv", {}, directory)
                guest.poweroff()
        equal(len(hashes), 2, "places")


main()
