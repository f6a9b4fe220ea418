#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_mkmodpack.py - mkmodpack as a person runs it: packs, their contents, and every refusal.

Modules are compiled here from a few lines each, with the flags of the kernel's own; MKMODPACK names another program.
"""
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, equal, main, skip  # pylint: disable=wrong-import-position

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.environ.get("MKMODPACK", os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack"))
WORK = tempfile.mkdtemp(prefix="mkmodpack-test-")
FLAGS = ("-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone "
         "-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none").split()
with open(os.path.join(ROOT, "include", "helix", "module.h"), encoding="ascii") as opened:
    ABI = tuple(int(n) for n in re.search(r"define HX_ABI HX_VERSION\((\d+), (\d+), (\d+)\)", opened.read()).groups())

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
static const struct hx_rtc_ops rtc_ops = { HX_OPS_HEAD(hx_rtc), .now = zero, .ticks = zero, .rate = zero, .now_ns = zero };
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


@case("directory, order of arguments, umask, time, time zone and locale do not change a byte")
def reproducible():
    modules = good_modules()
    done("create", "-o", "one.cpio", *modules)
    os.makedirs(path("elsewhere"), exist_ok=True)
    for name in ("aa_user.hxm", "kv.hxm", "zz_rtc.hxm", "zz_rtc-2.hxm"):
        shutil.copy(path(name), path("elsewhere/" + name))
        os.utime(path("elsewhere/" + name), (1, 1))
        os.chmod(path("elsewhere/" + name), 0o600)
    done("create", "zz_rtc.hxm", "kv.hxm", "aa_user.hxm", "--hold", "zz_rtc-2.hxm", "-C", path("elsewhere"), "-o",
         path("two.cpio"), cwd="/", umask=0o077,
         environment={"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "LANG": "C.UTF-8", "NO_COLOR": "1"})
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


@case("no output is written over what it is made from, or over another output")
def outputs_apart():
    modules = good_modules()
    before = {name: read(name) for name in ("kv.hxm", "zz_rtc.hxm")}
    write("mine.txt", "helix-initrd 1\nload zz_rtc.hxm\n")
    os.symlink(path("kv.hxm"), path("other.hxm"))
    for arguments in (("-o", "kv.hxm", *modules), ("-o", "./kv.hxm", *modules), ("-o", "other.hxm", *modules),
                      ("-n", "-o", "kv.hxm", *modules), ("-o", "x.cpio", "--depfile", "kv.hxm", *modules),
                      ("-o", "x.cpio", "--depfile", "x.cpio", *modules),
                      ("-o", "mine.txt", "--manifest", "mine.txt", "zz_rtc.hxm")):
        contains(refused("create", *arguments), "would be lost, it is the same file")
    os.remove(path("other.hxm"))
    for arguments in (("kv.hxm", "--dump", "./kv.hxm"), ("kv.hxm", "--symbols", "mine.txt", "--dump", "mine.txt")):
        contains(link_refused("exists", *arguments, "--base", hex(BASE)), "would be lost, it is the same file")
    contains(read("mine.txt").decode(), "helix-initrd 1")
    equal({name: read(name) for name in before} == before, True, "the modules")
    equal(os.path.exists(path("x.cpio")), False, "a pack")


@case("a file that is named twice is said to be, by that name")
def named_twice():
    module("m.hxm", named("m"))
    contains(pack_refused("m.hxm", "m.hxm", findings=2), "m.hxm: named twice: a pack holds a file once; name it once")


@case("create refuses an import that needs a capability of a type that the module does not ask for")
def import_needs():
    reads = "hx_ret_t f(void); hx_ret_t f(void) { return hx_port_read8(0x71); }\n"
    module("asks.hxm", named("asks") + reads + "HX_PORTS(0x71, 0x71);\n")
    done("create", "-o", "asks.cpio", "asks.hxm")
    module("silent.hxm", named("silent") + reads)
    contains(pack_refused("silent.hxm"),
             "import of hx_port_read8 without a capability of type ports; declare it with HX_PORTS")


# ---- info ----
@case("info shows what a module declares")
def info():
    good_modules()
    shown = json.loads(done("info", "--json", "kv.hxm"))
    equal([shown[k] for k in ("name", "version", "summary", "abi", "hooks", "imports")],
          ["svc_kv", "1.2.3", "a store", "{}.{}.{}".format(*ABI), ["check"], ["hx_log", "hx_rtc_now"]], "head")
    equal([(i["interface"], i["version"], i["operations"][4]) for i in shown["provides"]],
          [("hx.kv", "1.0", "count(HX_NOTHING)")], "provides")
    equal([(i["interface"], i["version"]) for i in shown["requires"]], [("hx.rtc", "1.1")], "requires")
    equal(shown["irqs"], [{"key": "tick", "line": 8, "flags": 0}], "irqs")
    equal(shown["ports"], [{"first": 0x70, "last": 0x71}], "ports")
    equal(shown["params"], [{"name": "limit", "bytes": 2, "default": 700, "summary": "keys at most"}], "params")
    equal([(f["name"], f["type"], f["count"], f["offset"]) for f in shown["fields"]],
          [("used", "u32", 1, 0), ("keys", "u8", 64, 4), ("times", "i64", 3, 72)], "fields")
    module("caps.hxm", named("caps") + 'HX_CAP_IPC("echo");\n'
           'HX_CAP_OPTIONAL(HX_CAPABILITY_NETWORK, HX_CAPABILITY_GRANT, 80, 90, "");\n')
    asked = json.loads(done("info", "--json", "caps.hxm"))["capabilities"]  # in the order of the compiler
    equal({c["capability"]: c["optional"] for c in asked}, {"ipc:echo": False, "network:80-90:g": True}, "capabilities")
    contains(done("info", "caps.hxm"), "capability ipc:echo\n")
    contains(done("info", "caps.hxm"), "capability network:80-90:g, optional\n")
    equal(sorted(done("info", "-F", "capabilities", "caps.hxm").splitlines()), ["ipc:echo", "network:80-90:g, optional"],
          "bare capabilities")
    module("later.hxm", named("later") + "static hx_ret_t work(uint64_t count) { return (hx_ret_t)count; }\n"
           'HX_DEFERRED("work", work);\nHX_TIMER("beat", 1000000, work);\nHX_CHANNEL("in", 8);\n'
           'HX_TOPIC("later.news");\nstatic hx_ret_t hear(const struct hx_event *event, uint64_t bytes)\n'
           '{ return event->bytes > bytes; }\nHX_SUBSCRIBE("ear", "hx.modules", HX_EVENTS_ALL, hear);')
    shown = json.loads(done("info", "--json", "later.hxm"))
    equal(sorted((c["key"], c["kind"], c["number"], c.get("topic")) for c in shown["callbacks"]),
          [("beat", "timer", 1000000, None), ("ear", "event", 2**64 - 1, "hx.modules"), ("work", "deferred", 0, None)],
          "callbacks")
    equal((shown["channels"], shown["topics"]), ([{"key": "in", "capacity": 8}], ["later.news"]), "channels, topics")
    equal(sorted(done("info", "-F", "callbacks", "later.hxm").splitlines()), ["beat timer", "ear event", "work deferred"],
          "callbacks, bare")
    text = done("info", "later.hxm")
    for part in ("deferred   work\n", "timer      beat: every 1000000 ns\n", "channel    in: 8 messages each way\n",
                 "topic      later.news\n", "event      ear: of hx.modules, types 0xffffffffffffffff\n"):
        contains(text, part)
    text = done("info", "kv.hxm")
    for part in ("provides   hx.kv 1.0\n", "requires   hx.rtc 1.1\n", "irq        tick: line 8\n",
                 "param      limit=700 (u16): keys at most\n", "field      times: i64[3] at 72\n"):
        contains(text, part)


# ---- what create can do besides ----
def linked(file, base="0xffffffffa0000000", *more):
    """[(address, bytes)] of what is loaded, whatever the numbers of the sections."""
    write("kernel.syms", "".join(f"{name} 0xffffffff80100000\n" for name in json.loads(done("info", "--json", file))["imports"]))
    text = done("link", file, "--base", base, "--symbols", "kernel.syms", "--dump", "-", *more)
    return sorted(line.split()[-3:] for line in text.splitlines() if line[0] in "SM")


@case("modules lose their debug information, and load to the same bytes")
def strip_debug():
    source_text = KV + "int weak_one(void) __attribute__((weak)); hx_ret_t (*const more[])(void) = { count };"
    for flags in (["-g"], ["-g3", "-ffunction-sections", "-fdata-sections", "-fdebug-types-section"], ["-g", "-gz"], []):
        module("kv.hxm", source_text, *flags)
        module("zz_rtc.hxm", RTC + named("drv_rtc"), *flags)
        done("create", "-o", "whole.cpio", "zz_rtc.hxm", "kv.hxm")
        done("create", "-o", "stripped.cpio", "--strip-debug", "zz_rtc.hxm", "kv.hxm")
        os.makedirs(path("out"), exist_ok=True)
        done("extract", "-C", "out", "stripped.cpio")
        equal(linked("out/kv.hxm"), linked("kv.hxm"), f"what is loaded, {flags}")
        sections = subprocess.run(["readelf", "-SW", path("out/kv.hxm")], capture_output=True, text=True, check=True).stdout
        for part in (".debug", ".zdebug"):
            equal(part in sections, False, f"{part} with {flags}")
        names = [subprocess.run(["nm", "--format=posix", path(f)], capture_output=True, text=True, check=True).stdout
                 for f in ("kv.hxm", "out/kv.hxm")]
        equal([re.findall(r"^(\w+) (\w)", n, re.MULTILINE) for n in names][0],
              [m for m in re.findall(r"^(\w+) (\w)", names[1], re.MULTILINE)], "the symbol table")
        if flags:
            assert len(read("stripped.cpio")) < len(read("whole.cpio")), "the stripped pack is no smaller"
        contains(done("verify", "stripped.cpio"), "good: 2 modules")
    assert b"debug_info" in subprocess.run(["readelf", "-SW", module("g.hxm", named("g"), "-g")], capture_output=True,
                                           check=True).stdout, "the module itself was changed"


@case("a group of debug information goes as a whole, one of code stays")
def strip_groups():
    cxx = shutil.which("g++")
    if not cxx:
        skip("g++ is not installed")
    code = write("g.cpp", "#include <helix/module.h>\nstruct shape { int a; long b; shape *next; };\n"
                 "static shape first;\ntemplate <int N> int twice() { static int n = N; return 2 * n++; }\n"
                 "extern \"C\" { int f(void); int f(void) { return twice<3>() + twice<4>() + first.a; } }\n")
    flags = [flag for flag in FLAGS if flag != "-std=gnu11"]
    subprocess.run([cxx, "-std=c++17", *flags, "-g", "-fdebug-types-section", "-fno-exceptions", "-fno-rtti", "-I",
                    os.path.join(ROOT, "include"), "-c", code, "-o", path("g.o")], check=True)
    module("d.hxm", named("d"))
    subprocess.run(["ld", "-r", path("g.o"), path("d.hxm.o"), "-o", path("g.hxm")], check=True)
    groups = subprocess.run(["readelf", "-gW", path("g.hxm")], capture_output=True, text=True, check=True).stdout
    assert "COMDAT" in groups and ".debug_info" in groups, "the fixture lacks groups:\n" + groups
    done("create", "-o", "g.cpio", "--strip-debug", "g.hxm")
    os.makedirs(path("out"), exist_ok=True)
    done("extract", "-C", "out", "g.cpio", "g.hxm")
    equal(linked("out/g.hxm"), linked("g.hxm"), "what is loaded")
    run = subprocess.run(["readelf", "-agW", path("out/g.hxm")], capture_output=True, text=True, check=True)
    equal(run.stderr, "", "complaints of readelf")

    def members(text):  # of code and data
        return sorted(name for name in re.findall(r"^ +\[ *\d+\] +(\S+)$", text, re.MULTILINE) if "debug" not in name)

    equal(members(run.stdout), members(groups), "members of groups")
    equal("contains 0 sections" in run.stdout, False, "an empty group")


def made(command):
    run = subprocess.run(command, cwd=WORK, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    equal((run.returncode, run.stderr), (0, ""), f"{command}")
    return run.stdout


@case("a dependency file names what the pack was made from, in the words of make and Ninja")
def depfile():
    good_modules()
    odd = "a b#c$d"
    os.makedirs(path(odd), exist_ok=True)
    shutil.copy(path("kv.hxm"), path(f"{odd}/kv.hxm"))
    write("mine.txt", "helix-initrd 1\nload zz_rtc.hxm\nload kv.hxm\n")
    done("create", "-o", f"{odd}/p.cpio", "--depfile", "p.d", "--manifest", "mine.txt", "zz_rtc.hxm", f"{odd}/kv.hxm")
    equal(read("p.d").decode(), "a\\ b\\#c$$d/p.cpio: \\\n  mine.txt \\\n  zz_rtc.hxm \\\n  a\\ b\\#c$$d/kv.hxm\n", "text")
    write("Makefile", "a\\ b\\#c$$d/p.cpio:\n\t@echo made\ninclude p.d\n")
    for file in ("mine.txt", "zz_rtc.hxm", f"{odd}/kv.hxm") if shutil.which("make") else ():
        os.utime(path(f"{odd}/p.cpio"), (1000, 1000))
        for name in ("mine.txt", "zz_rtc.hxm", f"{odd}/kv.hxm"):
            os.utime(path(name), (1, 1))
        make = ["make", "-rs", "--no-print-directory", f"{odd}/p.cpio"]
        equal(made(make).strip(), "", "nothing changed, and it was made")
        os.utime(path(file), (2000, 2000))
        equal(made(make), "made\n", f"after {file}")
    text = refused("create", "-o", "line\nfeed.cpio", "--depfile", "p2.d", "zz_rtc.hxm")
    contains(text, "its name holds a line feed")
    equal(os.path.exists(path("p2.d")) or os.path.exists(path("line\nfeed.cpio")), False, "files after a refusal")
    contains(refused("create", "-o", "no.cpio", "--depfile", "nowhere/p.d", "zz_rtc.hxm"), "nowhere/p.d: cannot write")
    equal(os.path.exists(path("no.cpio")), False, "a pack without its dependency file")
    done("create", "-C", path(odd), "-o", "q.cpio", "--depfile", "q.d", path("zz_rtc.hxm"), "kv.hxm")
    contains(read("q.d").decode(), WORK + "/a\\ b\\#c$$d/kv.hxm")
    shutil.rmtree(path(odd))


@case("a dry run checks everything and writes nothing; verbose says what goes in")
def dry_run():
    modules = good_modules()
    before = sorted(os.listdir(WORK))
    text = done("create", "-n", "-v", "-o", "dry.cpio", "--depfile", "dry.d", *modules)
    equal(sorted(os.listdir(WORK)), before, "files")
    equal([line.split(":")[0] for line in text.splitlines()[:-1]],
          ["load zz_rtc.hxm", "load kv.hxm", "load aa_user.hxm", "hold zz_rtc-2.hxm"], "what goes in")
    contains(text, "dry.cpio: 4 modules, ")
    contains(text, "not written")
    contains(refused("create", "--dry-run", "-o", "dry.cpio", "kv.hxm"), "requires hx.rtc 1.1")
    equal(done("create", "-o", "loud.cpio", "--verbose", *modules).replace("loud", "dry"),
          text.replace(", not written", ""), "without --dry-run")


# ---- extract ----
@case("extract gives back every byte, or the files that are named")
def extract():
    done("create", "-o", "good.cpio", *good_modules())
    shutil.rmtree(path("out"), ignore_errors=True)
    os.makedirs(path("out"))
    names = ["manifest", "zz_rtc.hxm", "kv.hxm", "aa_user.hxm", "zz_rtc-2.hxm"]
    equal(done("extract", "-v", "-C", "out", "good.cpio").split(), names, "what was written")
    equal(sorted(os.listdir(path("out"))), sorted(names), "files")
    for name in names[1:]:
        equal(read("out/" + name) == read(name), True, name)
        equal(os.stat(path("out/" + name)).st_mode & 0o777, 0o644, f"mode of {name}")
    shutil.rmtree(path("out"))
    shutil.rmtree(path("out"), ignore_errors=True)
    os.makedirs(path("out"))
    equal(done("extract", path("good.cpio"), "kv.hxm", "manifest", cwd=path("out")), "", "output")
    equal(sorted(os.listdir(path("out"))), ["kv.hxm", "manifest"], "files that were named")
    contains(refused("extract", "good.cpio", "no.hxm", "../kv.hxm", "-C", "out", findings=2), "no.hxm is not in it")
    contains(refused("extract", "-C", "nowhere", "good.cpio"), "nowhere: cannot extract to it: No such file")
    shutil.rmtree(path("out"))


@case("extract replaces links, follows none, and leaves no half of a file")
def extract_links():
    done("create", "-o", "good.cpio", *good_modules())
    shutil.rmtree(path("out"), ignore_errors=True)
    os.makedirs(path("out"))
    write("victim", "untouched")
    os.symlink(path("victim"), path("out/kv.hxm"))
    os.symlink(path("new"), path("out/aa_user.hxm"))
    os.link(path("victim"), path("out/zz_rtc.hxm"))
    done("extract", "-C", "out", "good.cpio")
    equal((read("victim"), os.path.exists(path("new"))), (b"untouched", False), "what lies outside")
    equal([os.path.islink(path("out/" + n)) for n in ("kv.hxm", "aa_user.hxm")], [False, False], "links")
    equal(read("out/kv.hxm") == read("kv.hxm"), True, "content")
    os.remove(path("out/manifest"))
    os.makedirs(path("out/manifest"))
    contains(refused("extract", "-C", "out", "good.cpio"), "out/manifest: cannot write: it is there and no regular file")
    before = sorted(os.listdir(path("out")))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    contains(refused("extract", "-C", "out", "good.cpio", "kv.hxm", preexec_fn=limit), "File too large")
    equal((sorted(os.listdir(path("out"))), read("out/kv.hxm") == read("kv.hxm")), (before, True), "files")
    shutil.rmtree(path("out"))


@case("a pack whose names lead elsewhere is refused before anything is written")
def extract_outside():
    whole = done("create", "-o", "good.cpio", *good_modules()) or read("good.cpio")
    shutil.rmtree(path("out"), ignore_errors=True)
    os.makedirs(path("out"))
    for name in (b"../v.hxm", b"/tm.hxm\0"):
        write("bad.cpio", whole.replace(b"zz_rtc.hxm"[:len(name)], name[:10]))
        equal(tool("extract", "-C", "out", "bad.cpio").returncode, 1, f"exit status with {name}")
        equal((os.listdir(path("out")), os.path.exists(path("v.hxm"))), ([], False), "files")
    shutil.rmtree(path("out"))


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


@case("packs are read from pipes as from files, and each that is bad is told of")
def pipes():
    done("create", "-o", "good.cpio", *good_modules())
    for command in ("diff {0} {0}", "graph {0}", "list {0}", "verify {0}"):
        line = f"{TOOL} {command.format('<(cat good.cpio)')}"
        run = subprocess.run(["bash", "-c", line], cwd=WORK, capture_output=True, text=True, check=False)
        equal((run.returncode, run.stderr), (0, ""), line)
    write("cut.cpio", read("good.cpio")[:-200])
    shutil.copy(path("cut.cpio"), path("short.cpio"))
    refused("diff", "cut.cpio", "short.cpio", findings=2)


# ---- graph ----
@case("graph draws modules and interfaces, held ones dashed, whatever they are called")
def graph():
    done("create", "-o", "good.cpio", *good_modules())
    text = done("graph", "good.cpio")
    for part in ('label="drv_rtc 1.0.0\\nzz_rtc.hxm"];', 'label="drv_rtc 2.0.0\\nzz_rtc-2.hxm", style=dashed];',
                 'label="hx.rtc 1.1"];', '[label="requires 1.1"];', '[label="provides 1.0", arrowhead=odot];',
                 '[label="provides 1.1", arrowhead=odot, style=dashed];'):
        contains(text, part)
    odd = 'q"u\\o\nte\xe4 [->] ; }.hxm'
    shutil.copy(path("aa_user.hxm"), path(odd))
    text = done("graph", odd, "good.cpio")
    contains(text, 'label="user 1.0.0\\nq\\"u\\\\o?te?? [->] ; }.hxm"];')
    contains(done("graph", odd), 'label="hx.kv", color=red];')
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
    os.remove(path(odd))
    write("text.hxm", "no module")
    contains(refused("graph", "good.cpio", "text.hxm", "missing.hxm", findings=2), "not an ELF file")


# ---- symbols ----
@case("symbols tells what the kernel offers")
def symbols_kernel():
    shown = json.loads(done("symbols", "--json"))
    with open(os.path.join(ROOT, "include", "helix", "kernel.h"), encoding="utf-8") as file:
        exports = re.findall(r"HX_EXPORT\((hx_\w+), (.*?)\) *\\?$", file.read(), re.MULTILINE)
    equal([(e["name"], e["arguments"]) for e in shown["exports"]], exports, "exports")
    equal({i["interface"] for i in shown["interfaces"]}, {"hx.sched", "hx.rtc", "hx.kv"}, "interfaces")
    text = done("symbols")
    contains(text, f"abi        {shown['abi']}\n")
    contains(text, "export     hx_log(HX_VAL(level), HX_IN(text))\n")
    contains(text, "interface  hx.rtc 1.1\n           hx_rtc_now(HX_NOTHING)\n")


@case("symbols tells what a module defines and who has what it imports, of a refused one too")
def symbols_module():
    good_modules()
    text = done("symbols", "kv.hxm")
    contains(text, "import     hx_rtc_now                       from hx.rtc 1.1\n")
    contains(text, "import     hx_log                           from the kernel\n")
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);\nint there(void); int maybe(void) __attribute__((weak));\n"
           "int given = 3; int f(void); int f(void) { return there() + (maybe ? maybe() : 0) + (int)hx_rtc_now(); }")
    result = tool("symbols", "--json", "u.hxm")
    equal(result.returncode, 1, "exit status of a module that is refused")
    contains(result.stderr, "u.hxm: ")
    shown = json.loads(result.stdout)
    equal({i["name"]: i["from"] for i in shown["imports"]},
          {"there": "nobody", "maybe": "nobody: weak, 0", "hx_rtc_now": "hx.rtc 1.1"}, "imports")
    equal([(d["name"], d["type"], d["section"], d["bytes"]) for d in shown["defined"] if d["name"] == "given"],
          [("given", "object", ".data", 4)], "defined")
    equal({d["name"] for d in shown["defined"]}, {"given", "f"}, "defined names")


# ---- info -F ----
@case("info -F shows bare values, one a line")
def info_field():
    good_modules()
    shown = json.loads(done("info", "--json", "kv.hxm"))
    for field, value in (("name", "svc_kv\n"), ("version", "1.2.3\n"), ("provides", "hx.kv 1.0\n"), ("irqs", "tick 8\n"),
                         ("ports", "0x70 0x71\n"), ("params", "limit=700\n"), ("imports", "hx_log\nhx_rtc_now\n"),
                         ("fields", "used u32[1] 0\nkeys u8[64] 4\ntimes i64[3] 72\n"), ("xxh64", shown["xxh64"] + "\n"),
                         ("bytes", f"{shown['bytes']}\n"), ("hooks", "check\n"), ("requires", "hx.rtc 1.1\n")):
        equal(done("info", "-F", field, "kv.hxm"), value, field)
    equal(done("info", "--field=requires", "zz_rtc.hxm"), "", "of a module that requires nothing")
    result = tool("info", "-F", "frob", "kv.hxm")
    equal((result.returncode, result.stdout), (2, ""), "an unknown field")
    contains(result.stderr, "frob: unknown field: there are file name version ")


# ---- verify ----
@case("verify lists privileged instructions with function and offset, and finds nothing wrong in them")
def privileged():
    good_modules()
    module("p.hxm", named("p") + """
void quiet(void); void loud(void); void quiet(void) { __asm__ volatile("nop; cpuid; rdtsc; pushfq; popfq" ::: "memory"); }
__attribute__((naked)) void loud(void)
{
    __asm__("nop; cli; hlt; sti; inb $0x70, %al; outw %ax, %dx; rdmsr; wrmsr; mov %cr3, %rax; mov %rax, %cr0; mov %dr7, %rax;"
            "lidt (%rax); lgdt (%rax); ltr %ax; invlpg (%rax); wbinvd; swapgs; iretq; insb; rep outsl; xsetbv; clts; lmsw %ax;"
            "xsaves (%rax); encls; getsec;"
            "mov %rax, %rbx; ret");
}
""")
    done("create", "-o", "p.cpio", "zz_rtc.hxm", "p.hxm")
    lines = done("verify", "p.cpio").splitlines()
    contains(lines[-1], "p.cpio: good: 2 modules")
    assert all(line.startswith("p.cpio(p.hxm): privileged: ") and " in loud+0x" in line for line in lines[:-1]), lines
    equal(lines[0], "p.cpio(p.hxm): privileged: cli in loud+0x1", "the first")
    equal([line.split()[2] for line in lines[:-1]],
          "cli hlt sti in out rdmsr wrmsr mov mov mov lidt lgdt ltr invlpg wbinvd swapgs iretq insb rep xsetbv clts lmsw "
          "xsaves encls getsec".split(),
          "instructions")
    shown = json.loads(done("verify", "--json", "p.cpio"))
    equal((shown["good"], shown["modules"], shown["findings"]), (True, 2, []), "JSON")
    equal(shown["privileged"][1], {"file": "p.hxm", "instruction": "hlt", "function": "loud", "offset": 2}, "JSON")


@case("verify --json tells every finding, and standard error too")
def verify_findings():
    write("bad.hxm", "not an ELF file, but in an archive")
    write("manifest", "helix-initrd 1\nload bad.hxm\n")
    with open(path("bad.cpio"), "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"manifest\nbad.hxm\n", stdout=archive, cwd=WORK,
                       check=True)
    result = tool("verify", "--json", "bad.cpio")
    shown = json.loads(result.stdout)
    equal((result.returncode, shown["good"], len(shown["findings"])), (1, False, 1), "verdict")
    contains(result.stderr, shown["findings"][0]["text"])
    equal(shown["findings"][0]["file"], "bad.cpio(bad.hxm)", "file")


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
    contains(pack_refused("plain.hxm"), "not a Helix module: it has no descriptor, section .hx.module is missing")


@case("two descriptors are refused")
def two_descriptors():
    module("a.hxm", named("a"))
    module("b.hxm", named("b"))
    subprocess.run(["ld", "-r", "a.hxm.o", "b.hxm.o", "-o", "two.hxm"], cwd=WORK, check=True)
    contains(pack_refused("two.hxm"), "too many records in .hx.module: 2, at most 1")


@case("another ABI is refused")
def abi():
    module("old.hxm", "#undef HX_ABI\n#define HX_ABI HX_VERSION(1, 0, 0)\n" + named("old"))
    contains(pack_refused("old.hxm"), "wrong ABI: built for 1.0 with")


@case("another magic and a half record are refused")
def broken_descriptor():
    module("m.hxm", named("m"))
    number = (ABI[0] << 24 | ABI[1] << 12 | ABI[2]).to_bytes(4, "little")
    patched("m.hxm", "magic.hxm", b"HXM1" + number, b"HXM2" + number)
    module("half.hxm", named("m") + 'static const int half HX_RECORD_(".hx.irqs") = 1;')
    text = pack_refused("magic.hxm", "half.hxm", findings=2)
    contains(text, "its magic is 0x324d5848")
    contains(text, "broken section .hx.irqs: its 4 bytes are no whole records")


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
    contains(pack_refused("rtc.hxm", "u.hxm"), "u.hxm: unknown operation hx_rtc_frob: hx.rtc 1.1 has none of that name")


@case("a kernel interface with other operations is refused")
def other_interface():
    module("rtc.hxm", named("rtc") + """
#define MY_OPS(OP) OP(hx_rtc, 0, soon, HX_NOTHING)
static hx_ret_t zero(void) { return 0; }
static const struct { struct hx_ops_head head; hx_ret_t (*soon)(void); } my = { { HX_RTC_VERSION, 16 }, zero };
HX_PROVIDES(hx_rtc, MY_OPS, &my);
""")
    contains(pack_refused("rtc.hxm"), "another hx.rtc: version 1.1 does not agree with the kernel's 1.1")


@case("a vtable with holes or a wrong head is refused")
def vtable():
    module("rtc.hxm", named("rtc") + RTC.replace(".rate = zero", ".rate = NULL"))
    module("rtc2.hxm", named("rtc2") + RTC.replace("HX_OPS_HEAD(hx_rtc)", ".head = { HX_RTC_VERSION, 16 }"))
    module("rtc3.hxm", named("rtc3") + RTC.replace("&rtc_ops)", "NULL)") + "const void *p = &rtc_ops;")
    text = pack_refused("rtc.hxm", "--hold", "rtc2.hxm", "rtc3.hxm", findings=3)
    contains(text, "rtc.hxm: operation 2 of hx.rtc is missing")
    contains(text, "rtc2.hxm: broken vtable of hx.rtc: its head says version 1.1 and 16 bytes, the record 1.1 and 40")
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
    contains(pack_refused("h.hxm"), "broken hook init:")


# ---- modules together ----
@case("a required interface without provider is refused")
def no_provider():
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    contains(pack_refused("u.hxm"), "u.hxm: requires hx.rtc 1.1: no module in the pack provides it; add one that does")


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
    contains(text, "bad.cpio(u.hxm): requires hx.rtc 1.1")
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
                      ("list", "a", "b"), ("verify", "--frob", "a"), ("info",), ("extract",), ("extract", "-x", "a"), ("diff", "a"),
                      ("diff", "a", "b", "c"), ("graph",), ("graph", "--json", "a"), ("symbols", "a", "b"), ("link", "a"),
                      ("link", "--base", "0x1000"), ("link", "a", "--base", "0x1001"), ("link", "a", "--base", "0"),
                      ("link", "a", "--base", "0x10000000000000000"), ("link", "a", "--base", "-4096"),
                      ("link", "--base"), ("list", "-q", "a"), ("link", "a", "--base", "12x"),
                      ("link", "a", "--base", "4096", "--place", "text"),
                      ("link", "a", "--base", "4096", "--place", "tex=1"), ("link", "a", "--base", "4096", "--place", "text=0"),
                      ("info", "-F", "frob", "a"), ("info", "-F", "name", "--json", "a"),
                      ("create", "-o", "x", "--manifest", "m", "a.hxm", "--hold", "b.hxm")):
        result = tool(*arguments)
        equal((result.returncode, result.stdout), (2, ""), f"{arguments}: {result.stderr}")
        assert "usage:" in result.stderr or "--help" in result.stderr, result.stderr
        assert result.stderr.startswith(("mkmodpack: ", "usage: mkmodpack ")), result.stderr


def commands():
    """{command: its options} as --help tells them."""
    text = done("--help")
    names = re.findall(r"^  ([a-z]+) +[a-z]", text, re.MULTILINE)
    return {name: sorted(set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", done(name, "--help").split("\n", 1)[1])))
            for name in names}


@case("help and version go to standard output")
def help_text():
    contains(done("--help"), "create")
    contains(done("--version"), "module ABI {}.{}".format(*ABI))
    known = commands()
    equal(sorted(known), ["create", "diff", "extract", "graph", "info", "link", "list", "sign", "strip", "symbols",
          "types", "verify"], "commands")
    for command in known:
        contains(done(command, "--help"), f"usage: mkmodpack {command} ")
        equal(done(command, "-h"), done(command, "--help"), f"help of {command}")
        contains(known[command], "--help")


def source(name):
    with open(os.path.join(ROOT, "tools", "mkmodpack", name), encoding="utf-8") as file:
        return file.read()


@case("the manual page tells of every command and every option, below its command")
def manual():
    text = source("mkmodpack.1.scd").replace("\\", "")
    for command, options in commands().items():
        contains(text, f"*mkmodpack {command}* ")
        part = re.search(rf"^## {command}$(.*?)^#+ ", text, re.MULTILINE | re.DOTALL)
        assert part, f"no section of {command}"
        for option in options:
            if option in ("-h", "--help", "--json"):
                contains(text, option)  # told of once, for all
            else:
                assert re.search(rf"\*{option}\*", part[1]), f"{command}: {option} is missing"
    if shutil.which("scdoc"):
        subprocess.run(["scdoc"], input=source("mkmodpack.1.scd"), capture_output=True, text=True, check=True)


@case("a module that is built as the manual page says is one")
def manual_module():
    write("store.c", HEAD + named("store"))
    commands_text = re.search(r"^# MODULES$.*?^```\n(.*?)^```$", source("mkmodpack.1.scd"), re.MULTILINE | re.DOTALL)[1]
    script = commands_text.replace("-I include", "-I " + os.path.join(ROOT, "include"))
    subprocess.run(["sh", "-e", "-c", script], cwd=WORK, check=True)
    equal(done("info", "-F", "name", "store.hxm"), "store\n", "its name")
    write("wide.c", HEAD + named("wide") + "char wide[16 << 20];")
    subprocess.run(["sh", "-e", "-c", script.replace("store", "wide")], cwd=WORK, check=True)
    contains(pack_refused("wide.hxm"), "exceed 16 MiB; make it smaller")


def completed(*words, cwd=WORK):
    """What bash offers for the last of @words."""
    script = os.path.join(ROOT, "tools", "mkmodpack", "completion", "mkmodpack.bash")
    line = " ".join(f"'{word}'" for word in words)
    run = subprocess.run(["bash", "--norc", "-c", f"""source {script}
COMP_WORDS=('{TOOL}' {line}); COMP_CWORD={len(words)}; _mkmodpack; printf '%s\\n' "${{COMPREPLY[@]}}\""""],
                         cwd=cwd, capture_output=True, text=True, check=True)
    equal(run.stderr, "", "complaints of bash")
    return sorted(filter(None, run.stdout.split("\n")))


@case("completion in bash offers every command and every option, files that fit, and names in a pack")
def completion_bash():
    known = commands()
    equal(completed(""), sorted(list(known) + ["--help", "--version"]), "commands")
    equal(completed("li"), ["link", "list"], "commands with li")
    for command, options in known.items():
        equal(completed(command, "-"), options, f"options of {command}")
    done("create", "-o", "good.cpio", *good_modules())
    os.makedirs(path("a dir"), exist_ok=True)
    contains(completed("create", "k"), "kv.hxm")
    equal(completed("list", "goo"), ["good.cpio"], "packs")
    equal(completed("extract", "-C", "a d"), ["a dir"], "directories")
    equal(completed("extract", "good.cpio", "zz"), ["zz_rtc-2.hxm", "zz_rtc.hxm"], "names in the pack")
    equal(completed("extract", "good.cpio", "man"), ["manifest"], "the manifest in the pack")
    equal(completed("link", "--place", "init"), ["init_data=", "init_text="], "parts")
    equal(completed("info", "--field", "=", "ver"), ["version"], "fields behind =")
    equal(completed("extract", "--directory", "="), ["a dir"], "directories behind =")
    unknown = tool("info", "-F", "frob", "x").stderr.split("there are ")[1].split("\n")[0].split()
    equal(completed("info", "-F", ""), sorted(unknown), "fields")
    for field in unknown:
        done("info", "-F", field, "kv.hxm")
        contains(source("mkmodpack.1.scd").replace("\\", ""), f"*{field}*", "the manual page")
    os.rmdir(path("a dir"))


@case("completion in zsh knows every command and every option")
def completion_zsh():
    text = source("completion/_mkmodpack")
    for command, options in commands().items():
        contains(text, f"'{command}:")
        part = re.search(rf"^ +(?:[a-z]+ \| )*{command}(?: \| [a-z]+)*\)$(.*?);;", text, re.MULTILINE | re.DOTALL)
        assert part, f"no arguments of {command}"
        for option in options:
            assert re.search(rf"(?<![\w-]){option}(?![a-z-])", part[1]), f"{command}: {option} is missing"
    if shutil.which("zsh"):
        run = subprocess.run(["zsh", "-f", "-n", os.path.join(ROOT, "tools", "mkmodpack", "completion", "_mkmodpack")],
                             capture_output=True, text=True, check=False)
        equal((run.returncode, run.stderr), (0, ""), "zsh's opinion")


# ---- signatures ----
KEYS = os.path.join(ROOT, "tests", "fixtures", "keys")
SECRET, PUBLIC = os.path.join(KEYS, "control.pem"), os.path.join(KEYS, "control.pub.pem")


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], cwd=WORK, stdin=subprocess.DEVNULL, capture_output=True, check=True)


@case("what is signed is good to its owner, to OpenSSL and to nobody else")
def sign():
    files = [module("m.hxm", named("m")), write("empty.hxm", b"")]
    equal(done("sign", "--key", SECRET, *files), "", "what signing says")
    equal((len(read("m.hxm.sig")), len(read("empty.hxm.sig"))), (64, 64), "signatures")
    openssl("pkeyutl", "-sign", "-inkey", SECRET, "-rawin", "-in", "m.hxm", "-out", "theirs.sig")
    equal(read("m.hxm.sig"), read("theirs.sig"), "OpenSSL's own")
    equal(done("sign", "-k", PUBLIC, "--check", *files), f"{files[0]}: good\n{files[1]}: good\n", "by the public key")
    equal(done("sign", "--check", "-k", SECRET, files[0]), f"{files[0]}: good\n", "by the secret one")
    openssl("genpkey", "-algorithm", "ed25519", "-out", "other.pem")
    contains(refused("sign", "--check", "-k", "other.pem", *files, findings=2), "m.hxm: wrong signature")
    done("sign", "-k", "other.pem", "m.hxm")
    contains(refused("sign", "--check", "-k", PUBLIC, *files), "m.hxm: wrong signature")


@case("a signature that is damaged, cut, missing or of another file is not good")
def sign_damaged():
    file = module("m.hxm", named("m"))
    done("sign", "--key", SECRET, file)
    good = read("m.hxm.sig")
    for what, signature in (("flipped", good[:40] + bytes([good[40] ^ 1]) + good[41:]), ("swapped", good[32:] + good[:32])):
        write("m.hxm.sig", signature)
        contains(refused("sign", "--check", "-k", PUBLIC, file), "wrong signature", what)
    for signature in (b"", good[:63], good + b"\n"):
        write("m.hxm.sig", signature)
        contains(refused("sign", "--check", "-k", PUBLIC, file), f"no signature: it has {len(signature)} bytes instead of 64")
    os.remove(path("m.hxm.sig"))
    contains(refused("sign", "--check", "-k", PUBLIC, file), "m.hxm.sig: cannot open")
    write("m.hxm.sig", good)
    write("m.hxm", read("m.hxm") + b"\0")
    contains(refused("sign", "--check", "-k", PUBLIC, file), "wrong signature")


@case("only a key of Ed25519 signs, and only with its secret")
def sign_keys():
    file = module("m.hxm", named("m"))
    if os.path.exists(path("m.hxm.sig")):
        os.remove(path("m.hxm.sig"))
    contains(refused("sign", "--key", PUBLIC, file), "no secret: it is a public key")
    openssl("genpkey", "-algorithm", "x25519", "-out", "x25519.pem")
    contains(refused("sign", "--key", "x25519.pem", file), "wrong key: it is not one of Ed25519")
    contains(refused("sign", "--key", file, file), "no key: it is not PEM of one")
    contains(refused("sign", "--key", "nowhere.pem", file), "nowhere.pem: cannot open")
    contains(refused("sign", "--key", SECRET, "nowhere.hxm"), "nowhere.hxm: cannot open")
    assert not os.path.exists(path("m.hxm.sig")), "a signature was written after all"
    equal(tool("sign", file).returncode, 2, "status without a key")
    equal(tool("sign", "--key", SECRET).returncode, 2, "status without a file")


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
