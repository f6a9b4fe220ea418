# SPDX-License-Identifier: MIT
"""test_mkmodpack_diff.py - mkmodpack diff and types: may one module take the place of another?"""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, equal, main  # noqa: E402
from modpack import (  # noqa: E402
    BUILD, FLAGS, HEAD, TOY_PROVIDER, done, good_modules, module, named, pack_refused, path, read, refused, tool, write)

# ---- diff ----
def judged(old, new, may, *parts, refusals=None):
    """Compares two modules; returns the verdict from JSON."""
    result = tool("diff", old, new)
    equal((result.returncode, result.stderr), (0 if may else 1, ""), f"diff {old} {new}: {result.stdout}")
    for part in parts:
        contains(result.stdout, part)
    contains(result.stdout, f"may {'' if may else 'not '}replace")
    verdict = json.loads(tool("diff", "--json", old, new).stdout)
    equal(verdict["may_replace"], may, "JSON")
    lines = [line for line in result.stdout.splitlines() if line.startswith("refused: ")]
    equal(len(lines), sum(change["refuses"] for change in verdict["changes"]), "reasons")
    equal(len(lines) == 0, may, "reasons and exit status")
    if refusals is not None:
        equal(len(lines), refusals, f"reasons: {lines}")
    return verdict


MORE = "-DTOY_MORE(OP)=OP(ex_toy, 1, more, HX_VAL(n))"
TOY_MORE = TOY_PROVIDER.replace(".play = play", ".play = play, .more = play")


@case("diff: the same module, a newer one and an older one")
def diff_same():
    module("a.hxm", TOY_PROVIDER + named("toy"))
    module("b.hxm", TOY_PROVIDER + named("toy", "1, 1, 0"))
    equal(judged("a.hxm", "a.hxm", True, refusals=0)["changes"], [], "changes")
    judged("a.hxm", "b.hxm", True, "version: 1.0.0 becomes 1.1.0")
    judged("b.hxm", "a.hxm", True, "which is older: reload takes it only when its file is named")
    module("c.hxm", TOY_PROVIDER + named("other"))
    judged("a.hxm", "c.hxm", True, "name: toy becomes other")


@case("diff: interfaces that others may rely on stay, by version and by operation")
def diff_interfaces():
    module("old.hxm", TOY_PROVIDER + named("toy"))
    module("new.hxm", TOY_MORE + named("toy"), "-DTOY_MINOR=1", MORE)
    judged("old.hxm", "new.hxm", True, "interface: ex.toy 1.0 becomes 1.1", "operation: more(HX_VAL(n)) is added")
    judged("new.hxm", "old.hxm", False, "refused: interface: ex.toy 1.1 becomes 1.0", "operation: more(HX_VAL(n)) is gone",
           refusals=1)
    module("none.hxm", named("toy"))
    judged("old.hxm", "none.hxm", False, "refused: interface: ex.toy 1.0 is not provided any more", refusals=1)
    judged("none.hxm", "old.hxm", True, "interface: ex.toy 1.0 is provided now")
    module("major.hxm", (TOY_PROVIDER + named("toy")).replace("HX_PROVIDES(ex_toy, TOY_OPS, &toy_ops)",
           "HX_PROVIDES_VERSION(ex_toy, HX_VERSION(2, 0, 0), TOY_OPS, &toy_ops)").replace(
           "HX_OPS_HEAD(ex_toy)", ".head = { HX_VERSION(2, 0, 0), sizeof(struct ex_toy_ops) }"))
    judged("old.hxm", "major.hxm", False, "refused: interface: ex.toy 1.0 becomes 2.0: another major", refusals=1)
    module("ops.hxm", "#undef TOY_OPS\n#define TOY_OPS(OP) OP(ex_toy, 0, play, HX_VAL(other))\n" + TOY_PROVIDER + named("toy"))
    judged("old.hxm", "ops.hxm", False, "refused: interface: ex.toy 1.0 has other operations", refusals=1)


@case("diff: a module may not come to require itself")
def diff_requires():
    module("old.hxm", TOY_PROVIDER + named("toy"))
    module("self.hxm", TOY_PROVIDER + named("toy") + "HX_REQUIRES(ex_toy, TOY_OPS);")
    judged("old.hxm", "self.hxm", False, "refused: requires: ex.toy 1.0 is provided by the module itself", refusals=1)
    module("rtc.hxm", TOY_PROVIDER + named("toy") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    judged("old.hxm", "rtc.hxm", True, "requires: hx.rtc 1.1 is required now")
    judged("rtc.hxm", "old.hxm", True, "requires: hx.rtc 1.1 is not required any more")


def state(fields, hooks=""):
    return (f"#define F(SCALAR, ARRAY) {fields}\nHX_STATE(store, F);\nstatic hx_ret_t hook(void) {{ return 0; }}\n"
            f'HX_MODULE("s", HX_VERSION(1, 0, 0), "a test", .check = hook, {hooks});\n')


@case("diff: the state is shared, converted by hooks or by field, or stands in the way")
def diff_state():
    module("one.hxm", state("SCALAR(u32, a) ARRAY(u8, b, 8)"))
    module("more.hxm", state("SCALAR(u64, c) SCALAR(u32, a) ARRAY(u8, b, 9)"))
    equal(judged("one.hxm", "one.hxm", True)["state"], "shared", "way")
    equal(judged("one.hxm", "more.hxm", True, "field: c is added", "field: b grows from 8 to 9")["state"], "fields", "way")
    verdict = judged("more.hxm", "one.hxm", False, "refused: field: c is gone", "refused: field: b shrinks from 9 to 8",
                     refusals=2)
    equal(verdict["state"], "refused", "way")
    module("type.hxm", state("SCALAR(i32, a) ARRAY(u8, b, 8)"))
    equal(judged("one.hxm", "type.hxm", True, "field: a: offset 0, 4 bytes, i32 here; offset 0, 4 bytes, u32 before: "
                 "each value must fit")["state"], "fields", "way")
    module("save.hxm", state("SCALAR(u32, a) ARRAY(u8, b, 8)", ".save = hook"))
    module("load.hxm", state("SCALAR(u64, c)", ".load = hook"))
    equal(judged("save.hxm", "load.hxm", True, "field: a is gone")["state"], "hooks", "way")
    equal(judged("save.hxm", "type.hxm", True)["state"], "fields", "way of one that saves to one that does not load")
    judged("one.hxm", "load.hxm", False, refusals=2)
    module("no.hxm", named("s") )
    equal(judged("no.hxm", "one.hxm", True)["state"], "none", "way")
    judged("one.hxm", "no.hxm", False, "refused: field: a is gone", refusals=2)
    module("bare.hxm", named("s").replace(");", ", .save = hook);")
           .replace("HX_MODULE", "static hx_ret_t hook(void) { return 0; }\nHX_MODULE"))
    judged("bare.hxm", "one.hxm", False, "refused: state: the old module saves its state by a hook", refusals=1)
    equal(judged("bare.hxm", "load.hxm", True)["state"], "hooks", "way")
    module("alike.hxm", state("SCALAR(u32, a) ARRAY(u8, b, 8)").replace('"s"', '"t"'))
    equal(judged("one.hxm", "alike.hxm", True)["state"], "fields", "way between two names")


@case("diff: what is declared of a field's former name, loss, default and range is said")
def diff_rules():
    module("old.hxm", state("SCALAR(u32, count) ARRAY(u8, b, 8) SCALAR(u64, hits)"))
    new = state("SCALAR(u64, used) ARRAY(u16, b, 9) SCALAR(i32, low)")
    module("bare.hxm", new)
    judged("old.hxm", "bare.hxm", False, "refused: field: count is gone", "refused: field: hits is gone", refusals=2)
    module("new.hxm", new + "HX_STATE_WAS(used, count);\nHX_STATE_DROPS(hits);\nHX_STATE_DEFAULT(low, -3);\n")
    judged("old.hxm", "new.hxm", True, "field: count becomes used", "field: used: offset 0, 8 bytes, u64 here; offset 0, 4",
           "field: b: offset 8, 18 bytes, u16 here; offset 4, 8 bytes, u8 before", "field: b grows from 8 to 9",
           "field: hits is given up", "field: low is added, with -3 in it")
    module("range.hxm", new + "HX_STATE_RANGE(low, -3, 3);\n")
    equal(judged("bare.hxm", "range.hxm", True)["state"], "fields", "way into a range")
    equal(judged("range.hxm", "range.hxm", True)["state"], "shared", "way")
    for rules, says in [("HX_STATE_RANGE(low, 3, -3);", "there is no such range"),
                        ("HX_STATE_DEFAULT(low, 1L << 31);", "the value does not fit the field"),
                        ("HX_STATE_DROPS(low);", "the state has that field still")]:
        module("bad.hxm", new + rules)
        contains(pack_refused("bad.hxm"), says)


# ---- types ----
MESSAGE = """
static hx_ret_t send(void)
{
    struct hx_message m = { .code = 1 };
    return hx_channel_send(1, &m, sizeof(m), HX_WAIT_NOT);
}
"""
ITEM = """
struct ex_toy_item {
#ifdef TURNED
    uint64_t value; uint32_t code;
#else
    uint32_t code; uint64_t value;
#endif
};
static volatile struct ex_toy_item item HX_RECORD_(".data");
"""


def with_types(file, source, *defines, compiler="gcc"):
    code = write(file + ".c", HEAD + source)
    subprocess.run([compiler, *FLAGS, "-Wno-unused-function", "-g", *defines, "-I", os.path.join(ROOT, "include"), "-c",
                    code, "-o", path(file + ".o")], check=True)
    subprocess.run(["ld", "-r", path(file + ".o"), "-o", path(file)], check=True)
    return path(file)


def types_of(file):
    return {one["name"]: one for one in json.loads(done("types", "--json", file))}


def kernel_types():
    return {one["name"]: one for one in json.loads(done("types", "--json"))}


SENDS = MESSAGE + 'HX_MODULE("sends", HX_VERSION(1, 0, 0), "a test", .init = send);\n'


@case("types: both compilers, in each version of their debug information, say the same of the whole contract")
def types_contract():
    table = os.path.join(BUILD, "kernel", "exports_table")
    outputs = set()
    for compiler in filter(shutil.which, ("gcc", "clang")):
        for version in (4, 5):
            subprocess.run([compiler, "-std=gnu11", "-ffreestanding", f"-gdwarf-{version}", "-fno-eliminate-unused-debug-types",
                            *(f"-I{os.path.join(ROOT, d)}" for d in ("include", "kernel")), "-c",
                            os.path.join(ROOT, "kernel", "main", "contract.c"), "-o", path("contract.o")], check=True)
            outputs.add(subprocess.run([table, "--words", path("contract.o")], capture_output=True, check=True).stdout)
    equal(len(outputs), 1, "descriptions")
    contains(outputs.pop().decode(), "36 1 type u8")


@case("types: each kind of type is described, by both compilers alike")
def types_kinds():
    source = """
enum ex_a_small { EX_A_MINUS = -3, EX_A_PLUS = 200 };
enum ex_a_plain { EX_A_ONE = 1, EX_A_BIG = 200 };
struct ex_a_opaque;
union ex_a_both { uint8_t byte; double number; };
typedef struct { const char *text; volatile uint16_t level; } unnamed;
struct ex_a_all {
    enum ex_a_small small; enum ex_a_plain plain; struct ex_a_opaque *opaque; union ex_a_both both[2];
    unnamed inner[3]; uint32_t low : 3, : 2, high : 9; int64_t table[2][5]; _Bool yes;
    hx_ret_t (*call)(const void *data, uint64_t bytes, unnamed *more, ...); struct ex_a_all *next; char rest[];
};
static struct ex_a_all all HX_RECORD_(".data");
static hx_ret_t f(void) { return all.yes; }
static const struct ex_a_ops ops = { HX_OPS_HEAD(ex_a), .f = f };
HX_PROVIDES(ex_a, A_OPS, &ops);
""" + named("kinds")
    texts = []
    for compiler in filter(shutil.which, ("gcc", "clang")):
        for version in ("-gdwarf-4", "-gdwarf-5"):
            texts.append(types_of(with_types("kinds.hxm", source, version, compiler=compiler)))
    for other in texts[1:]:
        equal(other, texts[0], "types")
    text = texts[0]["struct ex_a_all"]["text"]
    for line in ["0 4 small enum:i32{EX_A_MINUS=-3,EX_A_PLUS=200,}", "4 4 plain enum:u32{EX_A_ONE=1,EX_A_BIG=200,}",
                 "8 8 opaque *struct ex_a_opaque", "16 16 both [2]union ex_a_both", "16 1 both[].byte u8",
                 "16 8 both[].number f64", "32 48 inner [3]struct -", "32 8 inner[].text *const i8",
                 "40 2 inner[].level volatile u16", "80.0 3b low u32", "80.5 9b high u32", "88 80 table [2][5]i64",
                 "168 1 yes bool", "176 8 call *fn(*const void, u64, *struct -, ...) i64", "184 8 next *struct ex_a_all",
                 "192 0 rest []i8"]:
        assert line in text.splitlines(), f"{line} is not in:\n{text}"
    contains(texts[0]["operation ex_a_f"]["text"], "fn() i64")
    contains(texts[0]["union ex_a_both"]["text"], "union 8")


@case("types: what create and strip record is what debug information said, and stays when it is packed again")
def types_recorded():
    said = types_of(with_types("m.hxm", SENDS))
    equal(said["import hx_channel_send"]["hash"], kernel_types()["export hx_channel_send"]["hash"], "an import")
    equal(said["struct hx_message"]["hash"], kernel_types()["struct hx_message"]["hash"], "a structure")
    done("strip", "-o", "s.hxm", "m.hxm")
    shown = subprocess.run(["readelf", "-SW", path("s.hxm")], capture_output=True, text=True, check=True).stdout
    assert ".debug" not in shown and ".hx.types" in shown, shown
    for options in ([], ["--strip-debug"]):
        done("create", "-o", "p.cpio", *options, "--require-types", "m.hxm")
        os.makedirs(path("out"), exist_ok=True)
        done("extract", "-C", "out", "p.cpio", "m.hxm")
        for file in ("out/m.hxm", "s.hxm"):
            equal({name: one["hash"] for name, one in types_of(file).items()},
                  {name: one["hash"] for name, one in said.items()}, f"types of {file}")
    shutil.rmtree(path("out"))
    done("create", "-o", "again.cpio", "--require-types", "s.hxm")


@case("types: a module without debug information has none, which may be refused")
def types_missing():
    module("m.hxm", SENDS)
    contains(refused("types", "m.hxm"), "its types are not recorded")
    done("create", "-o", "p.cpio", "m.hxm")
    contains(pack_refused("--require-types", "m.hxm"), "compile it with -g")


@case("types: what differs from the kernel's is refused, and the field is named")
def types_kernel():
    with_types("field.hxm", SENDS, "-Dcorrelation=reference")
    contains(pack_refused("field.hxm"), "another type of struct hx_message: field `reference': offset 24, 8 bytes here; none "
             "in this kernel")
    first = write("first.h", "#define hx_sleep_ns of_the_header\n#include <helix/module.h>\n#undef hx_sleep_ns\n")
    with_types("import.hxm", "hx_ret_t hx_sleep_ns(uint32_t);\nstatic hx_ret_t go(void) { return hx_sleep_ns(1); }\n"
               'HX_MODULE("m", HX_VERSION(1, 0, 0), "a test", .init = go);\n', "-include", first)
    contains(pack_refused("import.hxm"), "another type of import hx_sleep_ns: fn(u32) i64 here; fn(u64) i64 in this kernel")
    done("strip", "-o", "stripped.hxm", "field.hxm")
    contains(pack_refused("stripped.hxm"), "another type of struct hx_message: which part of it is not known")


@case("types: user and provider that mean different things are refused together, units of one module as well")
def types_pair():
    user = ITEM + "static hx_ret_t go(void) { return ex_toy_play(item.code); }\n" + \
        'HX_MODULE("user", HX_VERSION(1, 0, 0), "a test", .init = go);\nHX_REQUIRES(ex_toy, TOY_OPS);\n'
    with_types("toy.hxm", ITEM + TOY_PROVIDER + named("toy"))
    with_types("user.hxm", user)
    done("create", "-o", "p.cpio", "toy.hxm", "user.hxm")
    with_types("turned.hxm", user, "-DTURNED")
    contains(pack_refused("toy.hxm", "turned.hxm"), "turned.hxm: another type of struct ex_toy_item: field `value': offset 0, 8 "
             "bytes here; offset 8, 8 bytes in toy.hxm")
    one, two = with_types("one.hxm", ITEM + TOY_PROVIDER + named("toy")), with_types("two.hxm", ITEM, "-DTURNED")
    subprocess.run(["ld", "-r", one, two, "-o", path("both.hxm")], check=True)
    contains(pack_refused("both.hxm"), "two types for struct ex_toy_item: field `code': offset 0, 4 bytes in one unit; offset 8")


@case("diff: types that differ are told, to the field where debug information is there")
def types_diff():
    with_types("old.hxm", ITEM + TOY_PROVIDER + named("toy"))
    with_types("new.hxm", ITEM + TOY_PROVIDER + named("toy"), "-DTURNED")
    judged("old.hxm", "new.hxm", True, "type: struct ex_toy_item: field `value': offset 0, 8 bytes here; offset 8, 8 bytes there")
    for file in ("old.hxm", "new.hxm"):
        done("strip", "-o", file, file)
    judged("old.hxm", "new.hxm", True, "type: struct ex_toy_item: which part of it is not known without debug information")


KEEPS = """
#define KEPT(SCALAR, ARRAY) SCALAR(u64, served) ARRAY(u32, lines, 4) MORE(SCALAR)
#ifndef MORE
#define MORE(SCALAR)
#endif
HX_RECORD(kept, KEPT);
#define STATE(SCALAR, ARRAY) SCALAR(u64, count)
HX_STATE(store, STATE);
"""


@case("types, diff: a record is described as the state is; what it keeps has its place, or the swap is refused")
def records():
    for compiler in filter(shutil.which, ("gcc", "clang")):
        text = types_of(with_types("old.hxm", KEEPS + named("keeps"), compiler=compiler))["record keeps"]["text"]
        equal(text, "struct 24\n0 8 served u64\n8 16 lines [4]u32\n", "the record")
    judged("old.hxm", "old.hxm", True, "state: declared alike")
    with_types("more.hxm", KEEPS + named("keeps"), "-DMORE(SCALAR)=SCALAR(u32,extra)")
    judged("old.hxm", "more.hxm", True, "record: extra is added, with zeros in it",
           "record: it is copied by the names of its fields",
           "type: record keeps: field `extra': offset 24, 4 bytes here; none there")
    judged("more.hxm", "old.hxm", False, "refused: record: what it keeps in extra has no place", refusals=1)
    with_types("none.hxm", named("keeps"))
    judged("none.hxm", "old.hxm", True, "record: served is added", "record: lines is added")
    judged("old.hxm", "none.hxm", False, "record: what it keeps in served has no place", "record: what it keeps in lines")
    for file, old, new in (("short.hxm", "lines, 4", "lines, 3"), ("wide.hxm", "u32, lines", "u64, lines")):
        with_types(file, KEEPS.replace(old, new) + named("keeps"))
        judged("old.hxm", file, False, "refused: record: what it keeps in lines has no place", refusals=1)
    # The same fields, and another type.
    with_types("turned.hxm", "typedef volatile uint64_t restless;\n#define hx_u64 restless\n" + KEEPS + named("keeps"))
    judged("old.hxm", "turned.hxm", True, "state: converted field by field", "record: it is copied by the names of its fields",
           "type: record keeps: field `served': volatile u64 here; u64 there",
           "type: state keeps: field `count': volatile u64 here")


@case("types: a damaged section of them is refused")
def types_damaged():
    with_types("m.hxm", SENDS)
    done("strip", "-o", "s.hxm", "m.hxm")
    content = read("s.hxm")
    shown = subprocess.run(["readelf", "-SW", path("s.hxm")], capture_output=True, text=True, check=True).stdout
    at = int(re.search(r"\] \.hx\.types +PROGBITS +\w+ (\w+)", shown)[1], 16)
    for offset, value, says in [(0, 9, "its format is 9, not 1"), (4, 60000, "60000 records are more than"),
                                (16, 1, "its key is another name's")]:
        write("bad.hxm", content[:at + offset] + value.to_bytes(4, "little") + content[at + offset + 4:])
        contains(pack_refused("bad.hxm"), says)


@case("diff: interrupt lines keep their keys; ports, parameters and imports are told")
def diff_declarations():
    def irqs(file, *pairs, more=""):
        return module(file, "static hx_ret_t irq(uint64_t n) { return (hx_ret_t)n; }\n" + named("d") + more +
                      "".join(f'HX_IRQ("{key}", {line}, irq);\n' for key, line in pairs))

    irqs("old.hxm", ("x", 3), more="HX_PORTS(0x60, 0x64);\nHX_PARAM(uint16_t, p, 1, \"p\");\n")
    irqs("line.hxm", ("x", 4))
    irqs("key.hxm", ("y", 3))
    irqs("more.hxm", ("x", 3), ("y", 4), more="HX_PORTS(0x70, 0x71);\nHX_PARAM(uint32_t, p, 1, \"p\");\n"
         "hx_ret_t f(void); hx_ret_t f(void) { return hx_clock_ns(); }\n")
    judged("old.hxm", "line.hxm", False, "refused: irq: x changes from line 3 to 4", "ports: 0x60 to 0x64 are gone",
           "param: p is gone: while the owner has set it", refusals=1)
    judged("old.hxm", "key.hxm", False, "refused: irq: line 3 is held under the key x, now y", refusals=1)
    judged("old.hxm", "more.hxm", True, "irq: y, line 4, is added", "ports: 0x70 to 0x71 are added", "param: p has 32 bits, 16",
           "import: hx_clock_ns is added")
    judged("more.hxm", "old.hxm", True, "irq: y, line 4, is given back", "import: hx_clock_ns is gone")
    irqs("caps.hxm", ("x", 3), more="HX_PORTS(0x60, 0x64);\nHX_PARAM(uint16_t, p, 1, \"p\");\nHX_CAP_DEBUG;\n")
    judged("old.hxm", "caps.hxm", True, "capability: debug is added")
    judged("caps.hxm", "old.hxm", True, "capability: debug is gone")
    irqs("both.hxm", ("x", 3), ("y", 5), ("z", 5))
    judged("old.hxm", "both.hxm", False, "refused: irq: line 5 is declared by z and by y", refusals=1)


@case("diff of packs: what was added, removed, changed and moved, with verdicts")
def diff_packs():
    modules = good_modules()
    done("create", "-o", "old.cpio", *modules)
    equal((tool("diff", "old.cpio", "old.cpio").returncode, done("diff", "old.cpio", "old.cpio")), (0, ""), "the same pack")
    module("zz_rtc-2.hxm", named("drv_rtc", "2, 1, 0"))
    module("new.hxm", named("new"))
    done("create", "-o", "new.cpio", "zz_rtc.hxm", "kv.hxm", "new.hxm", "--hold", "zz_rtc-2.hxm")
    result = tool("diff", "old.cpio", "new.cpio")
    equal((result.returncode, result.stderr), (1, ""), "diff")
    for part in ("removed  aa_user.hxm: loaded\n", "added    new.hxm: loaded\n",
                 "changed  zz_rtc-2.hxm: may not replace its predecessor\n", "refused: interface: hx.rtc 1.1 is not provided"):
        contains(result.stdout, part)
    shown = json.loads(tool("diff", "--json", "old.cpio", "new.cpio").stdout)
    equal([(f["kind"], (f.get("new") or f["old"])["file"]) for f in shown["files"]],
          [("removed", "aa_user.hxm"), ("added", "new.hxm"), ("changed", "zz_rtc-2.hxm")], "files")
    done("create", "-o", "moved.cpio", "zz_rtc.hxm", "--hold", "kv.hxm", "aa_user.hxm", "zz_rtc-2.hxm")
    done("create", "-o", "moved0.cpio", "zz_rtc.hxm", "kv.hxm", "aa_user.hxm", "--hold", "zz_rtc-2.hxm")
    contains(done("diff", "moved0.cpio", "moved.cpio"), "moved    kv.hxm: held, loaded before\n")
    contains(refused("diff", "old.cpio", "kv.hxm"), "one is a pack and one is not")
    refused("diff", "missing.hxm", "missing.cpio", findings=2)


if __name__ == "__main__":
    main()
