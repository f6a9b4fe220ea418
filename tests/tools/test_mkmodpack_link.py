# SPDX-License-Identifier: MIT
"""test_mkmodpack_link.py - mkmodpack link, beside GNU ld."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import case, contains, equal, main  # noqa: E402
from modpack import KV, WORK, done, module, path, read, tool, write  # noqa: E402

# ---- link ----
BASE = 0xffffffffa0000000


def compiled(name, code, *flags):
    write(name + ".c", code)
    flags = flags or ("-fno-pic", "-mcmodel=kernel")
    subprocess.run(["gcc", "-O1", "-ffreestanding", "-fno-pie", "-mno-red-zone", "-fno-stack-protector", "-fcf-protection=none",
                    "-fno-asynchronous-unwind-tables", *flags, "-c", path(name + ".c"), "-o", path(name)], check=True)
    return name


def dumped(*arguments):
    """{letter: [fields]} of a dump; numbers are numbers."""
    found = {letter: [] for letter in "SUCM"}
    for line in done("link", *arguments, "--dump", "-").splitlines():
        letter, *fields = line.split(" ")
        for field in fields[:-1] if letter in "SM" else fields:
            assert field.startswith("0x") or letter == "U" and field == fields[0], line
        found[letter].append([int(f, 16) if f.startswith("0x") else f for f in fields])
    return found


def link_refused(name, *arguments):
    """A link that must be refused by one line that starts with the error's name; returns it."""
    result = tool("link", *arguments)
    equal((result.returncode, result.stdout, result.stderr.count("\n")), (1, "", 1), f"{arguments}: {result.stderr}")
    assert result.stderr.startswith(name + ": "), result.stderr
    return result.stderr


OBJECT = """
extern int ext(int); extern int wk(void) __attribute__((weak)); extern int far_data;
int com1; long com2[4]; static int z[5]; int d = 7; int *p = &d; const char *const s = "hi";
int f(int x) { if (wk) x += wk(); return ext(x) + z[x & 3] + com1 + (int)com2[1] + far_data + *p; }
"""


@case("link does what ld does with the same object at the same addresses")
def link_ld():
    compiled("o.o", OBJECT, "-fno-pic", "-mcmodel=kernel", "-fcommon")
    write("o.syms", "# values\n\next 0xffffffffa0100000\n\tfar_data\t0xffffffffa0200004 # here\next 0XFFFFFFFFA0100000")
    got = dumped("o.o", "--base", hex(BASE), "--symbols", "o.syms")
    equal(sorted(got["U"]), [["ext", 0xffffffffa0100000], ["far_data", 0xffffffffa0200004], ["wk", 0]], "undefined")
    names = {index: name for index, name in re.findall(r"^ +\[ *(\d+)\] (\S+)", subprocess.run(
        ["readelf", "-SW", path("o.o")], capture_output=True, text=True, check=True).stdout, re.MULTILINE)}
    symbols = subprocess.run(["readelf", "-sW", path("o.o")], capture_output=True, text=True, check=True).stdout
    commons = {int(n): name for n, name in re.findall(r"^ *(\d+):.* COM +(\w+)$", symbols, re.MULTILINE)}
    equal(sorted(commons[index] for index, _ in got["C"]), ["com1", "com2"], "common symbols")
    equal([f[0] for f in got["S"]], sorted(f[0] for f in got["S"]), "order of sections")
    script = "SECTIONS {\n" + "".join(f"  s{index} 0x{va:x} : {{ *({names[str(index)]}) }}\n" for index, va, size, _ in got["S"]
                                      if size) + "}\n" + "".join(f"{commons[i]} = 0x{va:x};\n" for i, va in got["C"])
    write("o.lds", script)
    subprocess.run(["ld", "-static", "-T", "o.lds", "--defsym", "ext=0xffffffffa0100000", "--defsym",
                    "far_data=0xffffffffa0200004", "o.o", "-o", "o.elf", "-e", "0"], cwd=WORK, check=True)
    for index, _, size, content in got["S"]:
        if not size or set(content) == {"0"}:
            continue
        subprocess.run(["objcopy", "-O", "binary", "-j", f"s{index}", "o.elf", "o.bin"], cwd=WORK, check=True)
        equal(content, read("o.bin").hex(), f"section {names[str(index)]}")


@case("link tells of the table that the loader makes, and of where it is")
def link_got():
    compiled("g.o", "extern int far_data; extern int ext(int); int f(void) { return ext(far_data); }", "-fpic", "-mcmodel=large")
    write("g.syms", "far_data 0x123456789abcdef0\next 0x7\n")
    got = dumped("g.o", "--base", "0x7f0000000000", "--symbols", "g.syms")
    equal(len(got["M"]), 1, "tables")
    address, size, content = got["M"][0]
    equal(len(content), 2 * size, "bytes of the table")
    contains(content, (0x123456789abcdef0).to_bytes(8, "little").hex())
    equal(dict(got["U"])["_GLOBAL_OFFSET_TABLE_"], address, "the table's address")
    contains(done("link", "g.o", "--base", "0x7f0000000000", "--symbols", "g.syms"),
             f"import _GLOBAL_OFFSET_TABLE_ {address:#018x}\n")


@case("link places parts where they are wanted, and writes a dump whole or not at all")
def link_place():
    compiled("o.o", OBJECT, "-fno-pic", "-mcmodel=kernel", "-fcommon")
    write("o.syms", "ext 0xffffffffa0100000\nfar_data 0xffffffffa0200004\n")
    plain = dumped("o.o", "--base", str(BASE), "--symbols", "o.syms")
    got = dumped("o.o", "--base", hex(BASE), "--symbols", "o.syms", "--place", f"data={BASE + 0x5440:#x}", "--place",
                 f"text={BASE + 0x8010}")
    equal([f[1] for f in got["S"]] == [f[1] for f in plain["S"]], False, "addresses")
    addresses = {f[0]: f[1] for f in got["S"]}
    for address in (BASE + 0x5440, BASE + 0x8010):
        assert address in addresses.values(), f"{address:#x} in {addresses}"
    equal(done("link", "o.o", "--base", hex(BASE), "--symbols", "o.syms", "--dump", "o.dump"), "", "output with a dump")
    equal(read("o.dump").decode(), done("link", "o.o", "--base", hex(BASE), "--symbols", "o.syms", "--dump", "-"), "the dump")
    for device, text in (("/dev/stdout", read("o.dump").decode()), ("/dev/null", "")):
        equal(done("link", "o.o", "--base", hex(BASE), "--symbols", "o.syms", "--dump", device), text, device)
    before = read("o.dump")
    link_refused("unresolved-symbol", "o.o", "--base", hex(BASE), "--dump", "o.dump")
    equal(read("o.dump"), before, "the dump after a refusal")
    link_refused("unresolved-symbol", "o.o", "--base", hex(BASE), "--dump", "new.dump")
    equal(os.path.exists(path("new.dump")), False, "a dump after a refusal")
    link_refused("not-found", "o.o", "--base", hex(BASE), "--symbols", "o.syms", "--dump", "nowhere/x")
    text = done("link", "o.o", "--base", hex(BASE), "--symbols", "o.syms")
    for part in (f"text                     {BASE:#018x}", "  .data ", "import ext ", "relocations"):
        contains(text, part)


@case("link writes its dump over nothing that it reads")
def link_apart():
    module("kv.hxm", KV)
    write("mine.txt", "00000000 T nobody\n")
    before = {name: read(name) for name in ("kv.hxm", "mine.txt")}
    for arguments in (("kv.hxm", "--dump", "./kv.hxm"), ("kv.hxm", "--symbols", "mine.txt", "--dump", "mine.txt")):
        contains(link_refused("exists", *arguments, "--base", hex(BASE)), "would be lost, it is the same file")
    equal({name: read(name) for name in before} == before, True, "what it read")


@case("link refuses by one line that starts with the error's short name")
def link_refusals():
    compiled("o.o", OBJECT, "-fno-pic", "-mcmodel=kernel", "-fcommon")
    write("o.syms", "ext 0xffffffffa0100000\nfar_data 0xffffffffa0200004\n")
    good = ("o.o", "--symbols", "o.syms", "--base")
    contains(link_refused("unresolved-symbol", "o.o", "--base", hex(BASE)), "ext, far_data")
    contains(link_refused("not-found", "no.o", "--base", hex(BASE)), "no.o: cannot open")
    contains(link_refused("not-found", "o.o", "--base", hex(BASE), "--symbols", "no.syms"), "no.syms: cannot open")
    contains(link_refused("format", "o.o.c", "--base", hex(BASE)), "o.o.c: ")
    link_refused("invalid", ".", "--base", hex(BASE))
    write("cut.o", read("o.o")[:-100])
    contains(link_refused("truncated", "cut.o", "--base", hex(BASE)), "cut.o: ")
    contains(link_refused("range", *good, "0xfffffffffffff000"), "passes the end of the address space")
    contains(link_refused("range", *good, hex(BASE), "--place", f"data={BASE + 4:#x}"), "multiple of its alignment")
    contains(link_refused("range", *good, hex(BASE), "--place", f"data={BASE + 32:#x}"), "overlaps another part")
    compiled("far.o", "extern char far_data[]; unsigned f(void) { return (unsigned)(unsigned long)far_data; }")
    write("far.syms", "far_data 0x123456789abcdef0\n")
    contains(link_refused("range", "far.o", "--base", hex(BASE), "--symbols", "far.syms"), "far.o: section .rela.text")


@case("a file of symbols is read strictly, and errors have their line")
def link_symbols():
    compiled("w.o", "extern int a; int *p = &a;")
    for text, name, why in (("a 0x1\n\na 0x2\n", "exists", "line 3: `a' is 0x2 here and 0x1 in line 1"),
                            ("# x\na\n", "format", "line 2: `a' is not followed by one 0x"),
                            ("a 1\n", "format", "line 1: `a' is not"), ("a 0x\n", "format", "line 1"),
                            ("a 0x1g\n", "format", "line 1"), ("a 0x10000000000000000\n", "format", "line 1"),
                            ("a 0x1 b\n", "format", "line 1"), ("a\0 0x1\n", "format", "line 1: a NUL"),
                            ("a 0x1\r\n", "format", "line 1: a control character, 0x0d")):
        write("w.syms", text)
        contains(link_refused(name, "w.o", "--base", hex(BASE), "--symbols", "w.syms"), "w.syms: " + why)
    for text in ("a 0x5", "b 0x1\na 0x5\n#\n", "a 0x0000000000000005\n \t\na 0x5#\n"):
        write("w.syms", text)
        equal(dumped("w.o", "--base", hex(BASE), "--symbols", "w.syms")["U"], [["a", 5]], text)


if __name__ == "__main__":
    main()
