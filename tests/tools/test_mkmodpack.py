# SPDX-License-Identifier: MIT
"""test_mkmodpack.py - mkmodpack as a person runs it: packs and their contents, what it shows, its command line."""
import json
import os
import re
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, equal, main, skip  # noqa: E402
from modpack import (  # noqa: E402
    ABI, FLAGS, HEAD, KV, RTC, TOOL, WORK, done, good_modules, module, named, pack_refused, path, read, refused, tool,
    write)

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
    main()
