#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_mkmodpack.py - mkmodpack as a person runs it: packs, their contents, and every refusal.

Modules are compiled here from a few lines each, with the flags of the kernel's own; MKMODPACK names another program.
"""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, equal, main  # pylint: disable=wrong-import-position

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.environ.get("MKMODPACK", os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack"))
WORK = tempfile.mkdtemp(prefix="mkmodpack-test-")
FLAGS = ("-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone "
         "-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none").split()

# ---- modules ----
HEAD = """
#include <helix/module.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#define TOY_VERSION HX_VERSION(1, TOY_MINOR, 0)
#define TOY_OPS(OP) OP(ex_toy, 0, play, HX_VAL(n)) TOY_MORE(OP)
#ifndef TOY_MINOR
#define TOY_MINOR 0
#endif
#ifndef TOY_MORE
#define TOY_MORE(OP)
#endif
HX_INTERFACE(ex_toy, TOY_VERSION, TOY_OPS)
#define A_OPS(OP) OP(ex_a, 0, f, HX_NOTHING)
HX_INTERFACE(ex_a, HX_VERSION(1, 0, 0), A_OPS)
#define B_OPS(OP) OP(ex_b, 0, f, HX_NOTHING)
HX_INTERFACE(ex_b, HX_VERSION(1, 0, 0), B_OPS)
"""
RTC = """
static hx_ret_t zero(void) { return 0; }
static const struct hx_rtc_ops rtc_ops = { HX_OPS_HEAD(hx_rtc), .now = zero, .ticks = zero, .rate = zero };
HX_PROVIDES(hx_rtc, HX_RTC_OPS, &rtc_ops);
"""
TOY_PROVIDER = """
static hx_ret_t play(uint64_t n) { return (hx_ret_t)n; }
static const struct ex_toy_ops toy_ops = { HX_OPS_HEAD(ex_toy), .play = play };
HX_PROVIDES(ex_toy, TOY_OPS, &toy_ops);
"""
KV = """
#define STORE_STATE(SCALAR, ARRAY) SCALAR(u32, used) ARRAY(u8, keys, 64) ARRAY(i64, times, 3)
HX_STATE(store, STORE_STATE);
HX_PARAM(uint16_t, limit, 700, "keys at most");
static hx_ret_t get(const void *k, uint64_t n, void *v, uint64_t m) { (void)k, (void)n, (void)v, (void)m; return hx_rtc_now(); }
static hx_ret_t put(const void *k, uint64_t n, const void *v, uint64_t m)
{
    (void)k, (void)n, (void)v, (void)m;
    store.used++;
    return hx_log(HX_LOG_INFO, HX_TEXT("put")) + limit;
}
static hx_ret_t del(const void *k, uint64_t n) { (void)k, (void)n; return 0; }
static hx_ret_t list(uint64_t c, void *k, uint64_t n) { (void)c, (void)k, (void)n; return 0; }
static hx_ret_t count(void) { return store.used; }
static hx_ret_t irq(uint64_t n) { return (hx_ret_t)n; }
static const struct hx_kv_ops ops = { HX_OPS_HEAD_UNTIL(hx_kv, HX_KV_VERSION_1_0, modified), .get = get, .put = put,
                                      .del = del, .list = list, .count = count };
HX_MODULE("svc_kv", HX_VERSION(1, 2, 3), "a store", .check = count);
HX_PROVIDES_VERSION(hx_kv, HX_KV_VERSION_1_0, HX_KV_OPS_1_0, &ops);
HX_REQUIRES(hx_rtc, HX_RTC_OPS);
HX_IRQ("tick", 8, irq);
HX_PORTS(0x70, 0x71);
"""


def named(name, version="1, 0, 0"):
    return f'HX_MODULE("{name}", HX_VERSION({version}), "a test");\n'


def path(name):
    return os.path.join(WORK, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path(name)


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def module(file, source, *defines):
    """Compiles @source to the module @file and returns its path."""
    code = write(file + ".c", HEAD + source)
    subprocess.run(["gcc", *FLAGS, *defines, "-I", os.path.join(ROOT, "include"), "-c", code, "-o", path(file + ".o")],
                   check=True)
    subprocess.run(["ld", "-r", path(file + ".o"), "-o", path(file)], check=True)
    return path(file)


def tool(*arguments, cwd=WORK, environment=None, **options):
    return subprocess.run([TOOL, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=dict(os.environ, **(environment or {})), check=False, **options)


def done(*arguments, **options):
    """Runs what must succeed without a word of complaint; returns its standard output."""
    result = tool(*arguments, **options)
    equal((result.returncode, result.stderr), (0, ""), f"mkmodpack {arguments}")
    return result.stdout


def refused(*arguments, findings=1, **options):
    """Runs what must be refused with so many findings; returns them."""
    result = tool(*arguments, **options)
    equal(result.returncode, 1, f"exit status of {arguments}: {result.stderr}")
    lines = result.stderr.splitlines()
    equal(len(lines), findings, f"findings: {result.stderr}")
    for line in lines:
        assert line.startswith("mkmodpack: ") and line.count(": ") >= 2 and "; " in line, line
    return "\n".join(lines)


def pack_refused(*arguments, findings=1):
    """A create that must be refused and leave nothing behind."""
    before = sorted(os.listdir(WORK))
    text = refused("create", "-o", "refused.cpio", *arguments, findings=findings)
    equal(sorted(os.listdir(WORK)), before, "files after a refusal")
    return text


def good_modules():
    """A set with dependencies, an argument order against them, and one that is held."""
    module("zz_rtc.hxm", RTC + named("drv_rtc"))
    module("kv.hxm", KV)
    module("aa_user.hxm", named("user") + "HX_INTERFACE_RECORD_(requires, hx_kv, HX_KV_OPS_1_0, HX_KV_VERSION_1_0, NULL);")
    module("zz_rtc-2.hxm", RTC + named("drv_rtc", "2, 0, 0"))
    return ["aa_user.hxm", "kv.hxm", "zz_rtc.hxm", "--hold", "zz_rtc-2.hxm"]


def patched(source, target, old, new):
    content = read(source)
    equal(content.count(old), 1, f"occurrences of {old!r}")
    return write(target, content.replace(old, new))


# ---- packs ----
@case("a pack lists its modules, providers before users, held ones last")
def order():
    done("create", "-o", "good.cpio", *good_modules())
    listing = json.loads(done("list", "--json", "good.cpio"))
    equal([(f["file"], f["load"]) for f in listing["files"]],
          [("zz_rtc.hxm", True), ("kv.hxm", True), ("aa_user.hxm", True), ("zz_rtc-2.hxm", False)], "files")
    equal((listing["files"][1]["module"], listing["files"][1]["version"]), ("svc_kv", "1.2.3"), "descriptor")
    equal(listing["files"][1]["bytes"], os.path.getsize(path("kv.hxm")), "size")
    text = done("list", "good.cpio").splitlines()
    equal(len(text), 5, "lines of the table")
    contains(text[4], "hold  zz_rtc-2.hxm")


@case("a good pack is verified")
def verify():
    done("create", "-o", "good.cpio", *good_modules())
    equal(done("verify", "good.cpio"), "good.cpio: good: 4 modules, 3 of them loaded at boot\n", "output")


@case("cpio reads the pack and gives back every byte")
def round_trip():
    done("create", "-o", "good.cpio", *good_modules())
    names = ["manifest", "zz_rtc.hxm", "kv.hxm", "aa_user.hxm", "zz_rtc-2.hxm"]
    with open(path("good.cpio"), "rb") as archive:
        out = subprocess.run(["cpio", "-t", "--quiet"], stdin=archive, capture_output=True, text=True, check=True)
    equal((out.stdout.split(), out.stderr), (names, ""), "cpio -t")
    os.makedirs(path("out"), exist_ok=True)
    with open(path("good.cpio"), "rb") as archive:
        subprocess.run(["cpio", "-i", "--quiet"], stdin=archive, cwd=path("out"), check=True)
    for name in names[1:]:
        equal(read("out/" + name), read(name), name)
    equal(read("out/manifest").decode(),
          "helix-initrd 1\nload zz_rtc.hxm\nload kv.hxm\nload aa_user.hxm\nhold zz_rtc-2.hxm\n", "manifest")
    shutil.rmtree(path("out"))


@case("a pack made by cpio from the same files is good too")
def foreign_archive():
    good_modules()
    write("manifest", "helix-initrd 1\nload zz_rtc.hxm # clock\n\nhold kv.hxm\n")
    with open(path("foreign.cpio"), "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"manifest\nzz_rtc.hxm\nkv.hxm\n", stdout=archive,
                       cwd=WORK, check=True)
    contains(done("verify", "foreign.cpio"), "2 modules, 1 of them loaded at boot")


@case("directory, order of arguments, umask and time do not change a byte")
def reproducible():
    modules = good_modules()
    done("create", "-o", "one.cpio", *modules)
    os.makedirs(path("elsewhere"), exist_ok=True)
    for name in ("aa_user.hxm", "kv.hxm", "zz_rtc.hxm", "zz_rtc-2.hxm"):
        shutil.copy(path(name), path("elsewhere/" + name))
        os.utime(path("elsewhere/" + name), (1, 1))
        os.chmod(path("elsewhere/" + name), 0o600)
    done("create", "zz_rtc.hxm", "kv.hxm", "aa_user.hxm", "--hold", "zz_rtc-2.hxm", "-C", path("elsewhere"), "-o",
         path("two.cpio"), cwd="/", umask=0o077)
    equal(read("one.cpio") == read("two.cpio"), True, "same bytes")
    equal(os.stat(path("two.cpio")).st_mode & 0o777, 0o644, "mode")
    for number, held in enumerate((["kv.hxm", "aa_user.hxm"], ["aa_user.hxm", "kv.hxm"])):
        done("create", "-o", f"held{number}.cpio", "zz_rtc.hxm", "--hold", *held)
    equal(read("held0.cpio") == read("held1.cpio"), True, "same bytes of held modules")
    done("create", "-o", "three.cpio", *modules, environment={"SOURCE_DATE_EPOCH": "1700000000"})
    equal(len(read("three.cpio")), len(read("one.cpio")), "size with another time")
    contains(read("three.cpio").decode("latin-1").lower(), f"{1700000000:08x}", "an archive of 2023")
    equal(f"{1700000000:08x}" in read("one.cpio").decode("latin-1").lower(), False, "the time in the other archive")
    shutil.rmtree(path("elsewhere"))


@case("a manifest of one's own decides")
def own_manifest():
    good_modules()
    text = "helix-initrd 1\n# mine\nhold zz_rtc-2.hxm\nload zz_rtc.hxm\n"
    write("mine.txt", text)
    done("create", "-o", "mine.cpio", "--manifest", "mine.txt", "zz_rtc.hxm", "zz_rtc-2.hxm")
    contains(read("mine.cpio").decode("latin-1"), text)
    listing = json.loads(done("list", "--json", "mine.cpio"))
    equal([(f["file"], f["load"]) for f in listing["files"]], [("zz_rtc-2.hxm", False), ("zz_rtc.hxm", True)], "files")


@case("a manifest that does not fit is refused with its line")
def bad_manifest():
    good_modules()
    for text, why in (("helix-initrd 1\nlaod zz_rtc.hxm\n", "manifest line 2: `laod' is no keyword"),
                      ("helix-initrd 1\nload zz_rtc.hxm\nload no.hxm\n", "manifest line 3: no.hxm is not in the archive"),
                      ("helix-initrd 1\n", "`zz_rtc.hxm' is not named in the manifest")):
        write("mine.txt", text)
        contains(pack_refused("--manifest", "mine.txt", "zz_rtc.hxm"), why)
    os.remove(path("mine.txt"))
    contains(pack_refused("--manifest", "mine.txt", "zz_rtc.hxm"), "mine.txt: cannot open: No such file")


@case("an old pack stays when the new one cannot be written, and nothing else is left")
def atomic():
    modules = good_modules()
    done("create", "-o", "good.cpio", *modules)
    before, names = read("good.cpio"), sorted(os.listdir(WORK))
    modules[2] = "zz_rtc-2.hxm"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    contains(refused("create", "-o", "good.cpio", *modules[:3], preexec_fn=limit), "good.cpio: cannot write: File too large")
    equal((read("good.cpio") == before, sorted(os.listdir(WORK))), (True, names), "files")
    contains(refused("create", "-o", "nowhere/good.cpio", *modules[:3]), "cannot write: No such file or directory")
    os.mkfifo(path("fifo"))  # never a device: a broken check would put a file in its place
    contains(refused("create", "-o", "fifo", *modules[:3]), "no regular file")
    os.remove(path("fifo"))


# ---- info ----
@case("info shows what a module declares")
def info():
    good_modules()
    shown = json.loads(done("info", "--json", "kv.hxm"))
    equal([shown[k] for k in ("name", "version", "summary", "abi", "hooks", "imports")],
          ["svc_kv", "1.2.3", "a store", "1.0.0", ["check"], ["hx_log", "hx_rtc_now"]], "head")
    equal([(i["interface"], i["version"], i["operations"][4]) for i in shown["provides"]],
          [("hx.kv", "1.0", "count(HX_NOTHING)")], "provides")
    equal([(i["interface"], i["version"]) for i in shown["requires"]], [("hx.rtc", "1.0")], "requires")
    equal(shown["irqs"], [{"key": "tick", "line": 8}], "irqs")
    equal(shown["ports"], [{"first": 0x70, "last": 0x71}], "ports")
    equal(shown["params"], [{"name": "limit", "bytes": 2, "default": 700, "summary": "keys at most"}], "params")
    equal([(f["name"], f["type"], f["count"], f["offset"]) for f in shown["fields"]],
          [("used", "u32", 1, 0), ("keys", "u8", 64, 4), ("times", "i64", 3, 72)], "fields")
    text = done("info", "kv.hxm")
    for part in ("provides   hx.kv 1.0\n", "requires   hx.rtc 1.0\n", "irq        tick: line 8\n",
                 "param      limit=700 (u16): keys at most\n", "field      times: i64[3] at 72\n"):
        contains(text, part)


# ---- files that are no modules ----
@case("what is no ELF file is refused, all of them at once")
def no_elf():
    write("text.hxm", "hello, world, this is not an ELF file at all, is it")
    write("empty.hxm", "")
    text = pack_refused("text.hxm", "empty.hxm", "missing.hxm", findings=3)
    contains(text, "text.hxm: not an ELF file")
    contains(text, "empty.hxm: not an ELF file: it is empty")
    contains(text, "missing.hxm: cannot open: No such file")


@case("an executable, an archive and a 32-bit object are called what they are")
def wrong_kind():
    write("kind.c", "int main(void) { return 0; }")
    subprocess.run(["gcc", "kind.c", "-o", "exe.hxm"], cwd=WORK, check=True)
    module("m.hxm", named("m"))
    subprocess.run(["ar", "rc", "ar.hxm", "m.hxm.o"], cwd=WORK, check=True)
    subprocess.run(["ld", "-r", "-z", "noexecstack", "-m", "elf_i386", "-b", "binary", "kind.c", "-o", "i386.hxm"], cwd=WORK,
                   check=True)
    text = pack_refused("exe.hxm", "ar.hxm", "i386.hxm", findings=3)
    contains(text, "not a module: a shared object or position-independent executable")
    contains(text, "an ar archive")
    contains(text, "not for this machine: ELF32, machine 3")


@case("a module cut off anywhere is refused")
def truncated():
    whole = read(os.path.basename(module("m.hxm", named("m"))))
    for size in list(range(1, 100, 9)) + list(range(100, len(whole), 211)):
        write("cut.hxm", whole[:size])
        pack_refused("cut.hxm")
    os.remove(path("cut.hxm"))


@case("a relocatable object without a descriptor is refused")
def no_descriptor():
    module("plain.hxm", "int f(void); int f(void) { return 0; }")
    contains(pack_refused("plain.hxm"), "not a Helix module: section .hx.module is missing")


@case("two descriptors are refused")
def two_descriptors():
    module("a.hxm", named("a"))
    module("b.hxm", named("b"))
    subprocess.run(["ld", "-r", "a.hxm.o", "b.hxm.o", "-o", "two.hxm"], cwd=WORK, check=True)
    contains(pack_refused("two.hxm"), "too many records in .hx.module: 2, at most 1")


@case("another ABI is refused")
def abi():
    module("old.hxm", "#undef HX_ABI\n#define HX_ABI HX_VERSION(2, 0, 0)\n" + named("old"))
    contains(pack_refused("old.hxm"), "wrong ABI: built for 2.0.0")


@case("another magic and a half record are refused")
def broken_descriptor():
    module("m.hxm", named("m"))
    patched("m.hxm", "magic.hxm", b"HXM1\0\0\0\1", b"HXM2\0\0\0\1")
    module("half.hxm", named("m") + 'static const int half HX_RECORD_(".hx.irqs") = 1;')
    text = pack_refused("magic.hxm", "half.hxm", findings=2)
    contains(text, "its magic is 0x324d5848")
    contains(text, "broken section .hx.irqs: 4 bytes are no whole records")


# ---- names ----
@case("undefined symbols are refused, all named in one finding")
def undefined():
    module("u.hxm", named("u", "1, 0, 0") + "int there(void); int here(void); int f(void);\n"
           "int f(void) { return there() + here() + (int)hx_rtc_now(); }")
    text = pack_refused("u.hxm")
    for name in ("there", "here", "hx_rtc_now"):
        contains(text, name)


@case("an operation that the required interface does not have is refused")
def unknown_operation():
    module("rtc.hxm", RTC + named("rtc"))
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);\nint hx_rtc_frob(void); int f(void);\n"
           "int f(void) { return hx_rtc_frob(); }")
    contains(pack_refused("rtc.hxm", "u.hxm"), "u.hxm: unknown operation hx_rtc_frob: hx.rtc 1.0 has none of that name")


@case("a kernel interface with other operations is refused")
def other_interface():
    module("rtc.hxm", named("rtc") + """
#define MY_OPS(OP) OP(hx_rtc, 0, soon, HX_NOTHING)
static hx_ret_t zero(void) { return 0; }
static const struct { struct hx_ops_head head; hx_ret_t (*soon)(void); } my = { { HX_RTC_VERSION, 16 }, zero };
HX_PROVIDES(hx_rtc, MY_OPS, &my);
""")
    contains(pack_refused("rtc.hxm"), "another hx.rtc: version 1.0 does not agree with the kernel's 1.0")


@case("a vtable with holes or a wrong head is refused")
def vtable():
    module("rtc.hxm", named("rtc") + RTC.replace(".rate = zero", ".rate = NULL"))
    module("rtc2.hxm", named("rtc2") + RTC.replace("HX_OPS_HEAD(hx_rtc)", ".head = { HX_RTC_VERSION, 16 }"))
    module("rtc3.hxm", named("rtc3") + RTC.replace("&rtc_ops)", "NULL)") + "const void *p = &rtc_ops;")
    text = pack_refused("rtc.hxm", "--hold", "rtc2.hxm", "rtc3.hxm", findings=3)
    contains(text, "rtc.hxm: operation 2 of hx.rtc is missing")
    contains(text, "rtc2.hxm: broken vtable of hx.rtc: its head says version 1.0 and 16 bytes, the record 1.0 and 32")
    contains(text, "rtc3.hxm: broken vtable of hx.rtc: it lies outside the image")


@case("declarations out of range are refused, all of them at once")
def declarations():
    module("d.hxm", named("d") + """
static hx_ret_t irq(uint64_t n) { return (hx_ret_t)n; }
HX_IRQ("x", 16, irq);
HX_IRQ("y", 3, irq);
HX_IRQ("y", 4, NULL);
HX_PORTS(0x71, 0x70);
static uint32_t variable = 1;
static const struct hx_param_record odd HX_RECORD_(".hx.params") = { "odd", "", 3, 0, &variable };
static const struct hx_field_record none HX_RECORD_(".hx.fields") = { "none", HX_FIELD_u64, 8, 4096, 0 };
""")
    text = pack_refused("d.hxm", findings=6)
    for part in (": line 16, flags 0x0; lines are 0 to 15", "interrupt key y is declared twice", "its handler is outside",
                 "empty port range: 0x71 to 0x70", "broken parameter record 0", "broken state field none"):
        contains(text, part)


@case("a hook outside the module's code is refused")
def hook():
    module("h.hxm", 'static const int data = 5;\nHX_MODULE("h", HX_VERSION(1, 0, 0), "", .init = (hx_ret_t(*)(void))&data);')
    contains(pack_refused("h.hxm"), "broken hook 0:")


# ---- modules together ----
@case("a required interface without provider is refused")
def no_provider():
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    contains(pack_refused("u.hxm"), "u.hxm: requires hx.rtc 1.0: no module in the pack provides it; add one that does")


@case("a provider that is only held does not do for one that is loaded at boot")
def held_provider():
    module("rtc.hxm", RTC + named("rtc"))
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    contains(pack_refused("u.hxm", "--hold", "rtc.hxm"), "rtc.hxm provides it but is held")
    done("create", "-o", "held.cpio", "rtc.hxm", "--hold", "u.hxm")


@case("a provider of an older minor version or of another major is refused")
def old_provider():
    more = "-DTOY_MORE(OP)=OP(ex_toy, 1, more, HX_VAL(n))"
    module("old.hxm", named("toy") + TOY_PROVIDER)
    module("u.hxm", named("u") + "HX_REQUIRES(ex_toy, TOY_OPS);", "-DTOY_MINOR=1", more)
    contains(pack_refused("old.hxm", "u.hxm"), "u.hxm: requires ex.toy 1.1: old.hxm provides 1.0")
    module("new.hxm", named("toy") + TOY_PROVIDER.replace(".play = play", ".play = play, .more = play"), "-DTOY_MINOR=1", more)
    module("u1.hxm", named("u") + "HX_REQUIRES(ex_toy, TOY_OPS);")
    done("create", "-o", "newer.cpio", "new.hxm", "u1.hxm")
    module("two.hxm", "#undef TOY_VERSION\n" + named("u"))
    module("u2.hxm", named("u") + "HX_INTERFACE_RECORD_(requires, ex_toy, TOY_OPS, HX_VERSION(2, 0, 0), NULL);")
    contains(pack_refused("new.hxm", "u2.hxm"), "requires ex.toy 2.0: new.hxm provides 1.1")


@case("provider and user built with different operations are refused")
def other_operations():
    module("toy.hxm", named("toy") + TOY_PROVIDER)
    module("u.hxm", named("u") + "#define OTHER(OP) OP(ex_toy, 0, play, HX_IN(n))\nHX_REQUIRES(ex_toy, OTHER);")
    contains(pack_refused("toy.hxm", "u.hxm"), "u.hxm: requires ex.toy 1.0: toy.hxm was built with other operations of it")


@case("a module name twice at boot is refused, once of them held it is not")
def name_twice():
    module("a.hxm", named("same"))
    module("b.hxm", named("same", "2, 0, 0"))
    contains(pack_refused("a.hxm", "b.hxm"), "b.hxm: module same twice: a.hxm is loaded at boot under that name too")
    done("create", "-o", "twice.cpio", "a.hxm", "--hold", "b.hxm")


@case("two providers of one interface at boot are refused")
def provider_twice():
    module("a.hxm", RTC + named("a"))
    module("b.hxm", RTC + named("b"))
    contains(pack_refused("a.hxm", "b.hxm"), "b.hxm: provides hx.rtc: a.hxm, loaded at boot too, provides it already")


@case("a dependency cycle is refused and shown")
def cycle():
    def depends(file, name, mine, other):
        return module(file, named(name) + f"""static hx_ret_t f(void) {{ return 0; }}
static const struct ex_{mine}_ops mine = {{ HX_OPS_HEAD(ex_{mine}), .f = f }};
HX_PROVIDES(ex_{mine}, {mine.upper()}_OPS, &mine);
HX_REQUIRES(ex_{other}, {other.upper()}_OPS);
""")

    depends("a.hxm", "a", "a", "b")
    depends("b.hxm", "b", "b", "a")
    module("c.hxm", named("c") + "HX_REQUIRES(ex_a, A_OPS);")
    contains(pack_refused("a.hxm", "b.hxm", "c.hxm"), "dependency cycle: a -> b -> a")
    depends("self.hxm", "s", "a", "a")
    contains(pack_refused("self.hxm"), "dependency cycle: s -> s")


@case("file names that a pack cannot hold are refused")
def file_names():
    module("m.hxm", named("m"))
    for name in ("m.o", "with space.hxm", "-m.hxm", "m" * 60 + ".hxm"):
        shutil.copy(path("m.hxm"), path(name))
        contains(pack_refused("./" + name), "bad file name")
        os.remove(path(name))
    os.makedirs(path("sub"), exist_ok=True)
    module("sub/m.hxm", named("n"))
    contains(pack_refused("m.hxm", "sub/m.hxm"), "file name m.hxm twice")
    shutil.rmtree(path("sub"))


# ---- packs that are not good ----
@case("verify finds a bad module in a good archive")
def verify_module():
    write("bad.hxm", "not an ELF file, but in an archive")
    write("manifest", "helix-initrd 1\nload bad.hxm\nload u.hxm\n")
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    with open(path("bad.cpio"), "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"manifest\nbad.hxm\nu.hxm\n", stdout=archive, cwd=WORK,
                       check=True)
    text = refused("verify", "bad.cpio", findings=2)
    contains(text, "bad.cpio(bad.hxm): not an ELF file")
    contains(text, "bad.cpio(u.hxm): requires hx.rtc 1.0")
    contains(done("list", "bad.cpio"), "bad.hxm                      ?")


@case("list and verify refuse what is no pack")
def no_pack():
    done("create", "-o", "good.cpio", *good_modules())
    write("cut.cpio", read("good.cpio")[:-200])
    subprocess.run(["gzip", "-kf", "good.cpio"], cwd=WORK, check=True)
    for command in ("list", "verify"):
        contains(refused(command, "cut.cpio"), "is cut off here")
        contains(refused(command, "good.cpio.gz"), "compressed with gzip")
        contains(refused(command, "missing.cpio"), "cannot open: No such file")
        contains(refused(command, "."), "cannot read: Is a directory")


# ---- command line ----
@case("a wrong command line exits with 2 and says how it is meant")
def usage():
    for arguments in ((), ("crate",), ("create", "m.hxm"), ("create", "-o", "x"), ("create", "--frob"), ("list",),
                      ("list", "a", "b"), ("verify", "--json", "a"), ("info",),
                      ("create", "-o", "x", "--manifest", "m", "a.hxm", "--hold", "b.hxm")):
        result = tool(*arguments)
        equal((result.returncode, result.stdout), (2, ""), f"{arguments}: {result.stderr}")
        assert "usage:" in result.stderr or "--help" in result.stderr, result.stderr


@case("help and version go to standard output")
def help_text():
    contains(done("--help"), "create")
    contains(done("--version"), "module ABI 1.0")
    for command in ("create", "list", "verify", "info"):
        contains(done(command, "--help"), f"usage: mkmodpack {command} ")


@case("a bad SOURCE_DATE_EPOCH is refused")
def epoch():
    module("m.hxm", named("m"))
    for text in ("yesterday", "-1", "4294967296", "1x"):
        contains(refused("create", "-o", "e.cpio", "m.hxm", environment={"SOURCE_DATE_EPOCH": text}), "SOURCE_DATE_EPOCH")


@case("a full disk is not taken for success")
def full_disk():
    done("create", "-o", "good.cpio", *good_modules())
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([TOOL, "list", "good.cpio"], cwd=WORK, stdout=full, stderr=subprocess.PIPE, text=True,
                                check=False)
    equal(result.returncode, 1, "exit status")
    contains(result.stderr, "standard output: cannot write")


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(WORK)
