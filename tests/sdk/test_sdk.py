# SPDX-License-Identifier: MIT
"""test_sdk.py - what is installed is enough: a fresh prefix, moved, on a machine that has neither source nor build directory.
README's own commands: test_readme.py.

The first half installs, copies what the second half needs, and hides both directories under empty ones in a mount namespace of
its own; there the cases run. Who may not make namespaces (or sets HELIX_SDK_COPY=1) builds a copy of the tree and removes it.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from tap import ROOT, case, contains, equal, log, main  # noqa: E402

SCRATCH = os.environ.get("HELIX_SDK_SCRATCH")  # set in the second half
SDK = os.path.join(SCRATCH or "", "moved", "helix")
KINDS = ("service", "driver", "scheduler")
COMPILERS = ("gcc", "clang")
CXX = {"gcc": "g++", "clang": "clang++"}
SPARE = ("HELIX_BUILD", "MAKEFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS", "DESTDIR")


# ---- first half ----------------------------------------------------------------------------------------------------------
def build_dir():
    return os.path.realpath(os.environ.get("HELIX_BUILD") or os.path.join(ROOT, "build"))


def checked(*arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def copy_and_build(folder):
    """A copy of the tree, built and installed; gone afterwards. Returns its directory and its build directory."""
    copy = os.path.join(folder, "copy")
    for path in checked("git", "ls-files", "-z", cwd=ROOT).split("\0")[:-1]:
        os.makedirs(os.path.dirname(os.path.join(copy, path)), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, path), os.path.join(copy, path))
    build = os.path.join(copy, "build")
    checked("meson", "setup", build, copy, "--prefix", "/usr/local")
    checked("ninja", "-C", build)
    install(build, folder)
    shutil.rmtree(copy)
    return copy, build


def install(build, folder):
    """Into a fresh place; and from there to another."""
    checked("meson", "install", "-C", build, "--no-rebuild", "--destdir", os.path.join(folder, "fresh"))
    for here, folders, _ in os.walk(os.path.join(folder, "fresh")):
        if "share" in folders:
            os.mkdir(os.path.join(folder, "moved"))
            os.rename(here, os.path.join(folder, "moved", "helix"))
            return
    sys.exit("nothing was installed")


def prepare():
    with tempfile.TemporaryDirectory(prefix="helix-sdk-") as folder:
        source, build = os.path.realpath(ROOT), build_dir()
        namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        hides = subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", source], capture_output=True, check=False)
        copied = hides.returncode != 0 or os.environ.get("HELIX_SDK_COPY") == "1"
        shutil.copytree(HERE, os.path.join(folder, "tests", "sdk"))
        shutil.copy2(os.path.join(os.path.dirname(HERE), "tap.py"), os.path.join(folder, "tests"))
        command = [sys.executable, os.path.join(folder, "tests", "sdk", "test_sdk.py"), *sys.argv[1:]]
        if copied:
            source, build = copy_and_build(folder)
        else:
            install(build, folder)
            hide = 'for d in "$1" "$2"; do [ ! -d "$d" ] || mount -t tmpfs none "$d" || exit 1; done; shift 2; exec "$@"'
            command = [*namespace, "sh", "-c", hide, "sh", source, build, *command]
        environment = {name: value for name, value in os.environ.items() if name not in SPARE}
        environment.update(HELIX_SDK_SCRATCH=folder, HELIX_SDK_SOURCE=source, HELIX_SDK_BUILT=build, HOME=folder,
                           PKG_CONFIG_PATH=os.path.join(folder, "moved", "helix", "share", "pkgconfig"),
                           PATH=os.path.join(folder, "moved", "helix", "bin") + ":" + os.environ["PATH"])
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


# ---- second half ---------------------------------------------------------------------------------------------------------
def run(*arguments, status=0, **options):
    """Runs a command in the scratch directory; returns what it said on both channels."""
    environment = dict(os.environ, **options.pop("environment", {}))
    done = subprocess.run(arguments, cwd=options.pop("cwd", SCRATCH), env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=110, check=False,
                          **({"stdin": subprocess.DEVNULL} if "input" not in options else {}), **options)
    assert done.returncode == status, f"{' '.join(arguments)}: status {done.returncode}, not {status}\n{done.stdout}"
    return done.stdout


def flags(package="helix-sdk", *more):
    return run("pkg-config", *(more or ("--cflags",)), package).split()


def write(name, text):
    with open(os.path.join(SCRATCH, name), "w", encoding="utf-8") as file:
        file.write(text)


def read(*parts):
    with open(os.path.join(SCRATCH, *parts), encoding="utf-8") as file:
        return file.read()


def plain(compiler, source, out, *more, package="helix-sdk"):
    """As README says, without Meson: cc and ld -r."""
    standard = "-std=gnu++17" if source.endswith(".cpp") else "-std=gnu11"
    run(compiler, standard, "-O2", "-Wall", "-Wextra", "-Werror", *flags(package), *more, "-c", source, "-o", out + ".o")
    run("ld", *flags("helix-sdk", "--variable=ldflags"), out + ".o", *flags("helix-sdk", "--variable=ldlibs"), "-o", out)


def pack(name, *load, hold=()):
    shipped = [os.path.join(SDK, "share", "helix", "modules", "sched_rr.hxm")]
    return run("mkmodpack", "create", "-o", name, "--strip-debug", *shipped, *load, "--hold", *hold)


def console(initrd, *commands):
    """Boots and types; returns what was written."""
    return run("helix-run", "--initrd", initrd, "--cmdline", "panic=exit", input="\n".join([*commands, "poweroff"]) + "\n")


def files():
    for here, _, names in os.walk(SDK):
        for name in names:
            yield os.path.join(here, name)


@case("source and build directory are gone")
def hidden():
    for name in ("HELIX_SDK_SOURCE", "HELIX_SDK_BUILT"):
        path = os.environ[name]
        assert not os.path.exists(path) or not os.listdir(path), path


@case("no installed file names a path of the machine that built it")
def paths():
    words = {os.environ["HELIX_SDK_SOURCE"], os.environ["HELIX_SDK_BUILT"], os.path.join(SCRATCH, "fresh")}
    words |= {word.lstrip("/") for word in words if word.count("/") > 1}  # as the end of a relative path
    faults = []
    for path in files():
        with open(path, "rb") as file:
            content = file.read()
        faults += [f"{path}: {word}" for word in words if word.encode() in content]
    assert not faults, "\n".join(faults)


# Where what is promised is. Each of them is there, and nothing else.
COMMANDS = "(mkmodpack|helixctl|helix-newmodule|helix-run)"
INSTALLED = (
    r"include/helix/[a-z_]+\.(h|def)", r"include/helix-host/helix_host\.h", r"share/pkgconfig/helix-(sdk|sdk-cxx|host)\.pc",
    r"bin/" + COMMANDS, rf"share/man/man1/{COMMANDS}\.1", rf"share/bash-completion/completions/{COMMANDS}",
    rf"share/zsh/site-functions/_{COMMANDS}", r"lib/([^/]+/)?helix/(libhelix-module\.a|libhelix-host\.a|percpu\.ld)",
    r"share/helix/kernel/helix\.(bin|elf)", r"share/helix/modules/[a-z0-9_-]+\.hxm", r"share/helix/initrd/initrd\.cpio",
    r"share/helix/qemu/(helix\.iso|guest\.py|launch\.py|gdb/helix_gdb\.py)", r"share/helix/(exports|types)\.(txt|json)",
    r"share/helix/templates/common/(README\.md|gitignore|meson\.build|tests/meson\.build)",
    r"share/helix/templates/(service|driver|scheduler)/(sample\.c|tests/(unit\.c|boot\.py))",
)


def alternatives(pattern):
    """The texts that a pattern names one by one; where it leaves more open, a pattern for it."""
    found = re.search(r"\(([^()]*\|[^()]*)\)", pattern)
    if not found:
        return [pattern]
    return [text for word in found[1].split("|") for text in alternatives(pattern[:found.start()] + word + pattern[found.end():])]


@case("everything that is promised is there, and nothing else")
def inventory():
    there = [os.path.relpath(path, SDK) for path in files()]
    for wanted in (text for pattern in INSTALLED for text in alternatives(pattern)):
        assert any(re.fullmatch(wanted, path) for path in there), f"nothing like {wanted}"
    strange = [path for path in there if not any(re.fullmatch(pattern, path) for pattern in INSTALLED)]
    assert not strange, strange
    exports = read(SDK, "share", "helix", "exports.txt")
    contains(exports, f"abi        {flags('helix-sdk', '--variable=abi')[0]}\n", "the list of exports")
    contains(exports, "export     hx_log(HX_VAL(level), HX_IN(text))", "the list of exports")
    for name in ("helix-newmodule", "helix-run", "helixctl", "mkmodpack"):
        contains(run(name, "--version"), " 0.", name)
        contains(run(name, "--help"), name)
        run("bash", "-c", f"source {SDK}/share/bash-completion/completions/{name} && complete -p {name}")


def project(kind, compiler):
    """A fresh one, built and tested by its own commands; where its modules are. It is made once."""
    folder, name = os.path.join(SCRATCH, compiler), "my_" + kind
    build = os.path.join(folder, name, "build")
    if not os.path.exists(build):
        os.makedirs(folder, exist_ok=True)
        run("helix-newmodule", name, "--kind", kind, "-C", folder)
        run("meson", "setup", "build", cwd=os.path.dirname(build), environment={"CC": compiler})
        out = run("meson", "test", "-C", "build", cwd=os.path.dirname(build))
        assert re.search(r"Ok: +2\b", out), out
    return build


for one_kind in KINDS:
    for one_compiler in COMPILERS:
        case(f"a new {one_kind} builds with {one_compiler}, passes its test on the host, boots and is reloaded")(
            lambda kind=one_kind, compiler=one_compiler: project(kind, compiler))


@case("a module of each kind wants no more than six lines of Meson")
def six_lines():
    for kind in KINDS:
        run("helix-newmodule", "six_" + kind, "--kind", kind)
        lines = [line for line in read("six_" + kind, "meson.build").splitlines() if line and not line.startswith("#")]
        assert len(lines) <= 6, lines
        assert not re.search("sample|SAMPLE|[{]{2}|SPDX", "".join(read(here, name) for here, _, names in
                                                                  os.walk(os.path.join(SCRATCH, "six_" + kind)) for name in names))


@case("with plain cc and ld: a changed version is reloaded at the console, live, the state kept")
def live():
    for compiler in COMPILERS:
        run("helix-newmodule", "live", "-C", os.path.join(SCRATCH))
        plain(compiler, "live/live.c", f"live-{compiler}.hxm")
        shutil.move(os.path.join(SCRATCH, "live", "live.c"), os.path.join(SCRATCH, "live.c"))
        shutil.rmtree(os.path.join(SCRATCH, "live"))
        write("changed.c", read("live.c").replace('"live 1.%u: request %llu"', '"changed since 1.%u: %llu requests"'))
        plain(compiler, "changed.c", f"changed-{compiler}.hxm", "-DLIVE_MINOR=7")
    pack("live.cpio", "live-gcc.hxm", hold=("changed-clang.hxm", "live-clang.hxm", "changed-gcc.hxm"))
    out = console("live.cpio", "request live 0", "request live 0", "reload live changed-clang.hxm", "request live 0",
                  "reload live changed-gcc.hxm", "request live 0", "swaps")
    contains(out, "live 1.0: request 2")
    contains(out, "live 1.0.0 -> 1.7.0")
    contains(out, "changed since 1.7: 3 requests")
    contains(out, "changed since 1.7: 4 requests")


@contextlib.contextmanager
def machine(initrd):
    """helix-run at work, and where helixctl finds it: nobody says it."""
    runtime = os.path.join(SCRATCH, "runtime")
    os.makedirs(runtime, exist_ok=True)
    where = dict(os.environ, XDG_RUNTIME_DIR=runtime)
    with subprocess.Popen(["helix-run", "--initrd", initrd, "--cmdline", "panic=exit probation_ms=600000"], cwd=SCRATCH, env=where,
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            contains(process.stderr.readline(), f"helix-run: control: {runtime}/helix/control.sock")
            run("helixctl", "wait-ready", environment=where)
            yield where
            process.stdin.close()
            equal(process.wait(60), 0, "exit status of helix-run")
            assert not os.path.exists(f"{runtime}/helix/control.sock"), "the socket is left behind"
        finally:
            process.kill()


def changed(kind):
    """(version, file) of the changed versions that are pushed: by Meson and plain, by the one compiler and the other."""
    name = "my_" + kind
    yield "1.1", os.path.join(project(kind, "clang"), "tests", name + "-next.hxm")
    for minor, compiler in enumerate(("gcc", "clang", "gcc"), 2):
        file = f"{name}-{minor}.hxm"
        plain(compiler, f"gcc/{name}/{name}.c", file, f"-D{name.upper()}_MINOR={minor}")
        yield f"1.{minor}", file


class Driven:
    """A machine by helixctl."""

    def __init__(self, where):
        self.where = where

    def run(self, *arguments):
        return run("helixctl", *arguments, environment=self.where)

    def until(self, command, part, limit_s=30):
        """What comes by itself is waited for."""
        end = time.monotonic() + limit_s
        while part not in (said := self.run("exec", command)):
            assert time.monotonic() < end, f"{command}: no {part!r} in {said}"

    def push(self, name, before, version, file):
        contains(self.run("push", file, "--reload", name), f"{name} {before}.0 -> {version}.0")


@case("a changed service is pushed into the running kernel, and is live: it counts on")
def pushed_service():
    pack("push_service.cpio", os.path.join(project("service", "gcc"), "my_service.hxm"))
    with machine("push_service.cpio") as where:
        helix, before = Driven(where), "1.0"
        contains(helix.run("exec", "request my_service 0"), "my_service 1.0: request 1")
        for asked, (version, file) in enumerate(changed("service"), 2):
            helix.push("my_service", before, version, file)
            contains(helix.run("exec", "request my_service 0"), f"my_service {version}: request {asked}")
            before = version
        helix.run("rollback", "my_service")
        contains(helix.run("exec", "request my_service 0"), f"my_service 1.3: request {asked}")


@case("a changed driver is pushed into the running kernel, and is live: it has what came before, and hears more")
def pushed_driver():
    pack("push_driver.cpio", os.path.join(project("driver", "gcc"), "my_driver.hxm"))
    with machine("push_driver.cpio") as where:
        helix, before = Driven(where), "1.0"
        helix.run("exec", "request my_driver 1 a")
        helix.until("request my_driver 0", "my_driver 1.0: 1 bytes, last 0x61")
        for count, (version, file) in enumerate(changed("driver"), 1):
            helix.push("my_driver", before, version, file)
            contains(helix.run("exec", "request my_driver 0"), f"my_driver {version}: {count} bytes, last 0x{0x60 + count:x}")
            helix.run("exec", f"request my_driver 1 {chr(0x61 + count)}")
            helix.until("request my_driver 0", f"my_driver {version}: {count + 1} bytes, last 0x{0x61 + count:x}")
            before = version


@case("a changed scheduler is pushed into the running kernel, and is live: the tasks go on under it")
def pushed_scheduler():
    pack("push_scheduler.cpio", hold=(os.path.join(project("scheduler", "gcc"), "my_scheduler.hxm"),))

    def counted(helix):
        """How far each task has come."""
        rows = [json.loads(line) for line in helix.run("ps", "--json").splitlines()]
        return [row["counter"] for row in rows if row["name"] in ("one", "two")]

    with machine("push_scheduler.cpio") as where:
        helix, before = Driven(where), "1.0"
        helix.run("exec", "spawn one")
        helix.run("exec", "spawn two")
        contains(helix.run("reload", "sched_rr", "my_scheduler.hxm"), "sched_rr 1.0.0 -> my_scheduler 1.0.0")
        for version, file in changed("scheduler"):
            helix.push("my_scheduler", before, version, file)
            contains(helix.run("exec", "ps"), f"my_scheduler {version}: priority")
            at_swap = counted(helix)
            end = time.monotonic() + 30
            while not all(later > earlier for earlier, later in zip(at_swap, counted(helix))):
                assert time.monotonic() < end, f"a task stands still since {at_swap}"
            equal(len(at_swap), 2, "tasks")
            before = version
        contains(helix.run("rollback", "my_scheduler"), "reverted")


@case("a driver and a scheduler of plain cc are packed")
def plain_kinds():
    for kind in KINDS[1:]:
        run("helix-newmodule", "plain_" + kind, "--kind", kind)
        for compiler in COMPILERS:
            plain(compiler, f"plain_{kind}/plain_{kind}.c", f"plain_{kind}-{compiler}.hxm")
            contains(run("mkmodpack", "info", f"plain_{kind}-{compiler}.hxm"), "plain_" + kind)


CPLUSPLUS = """
#include <helix/fmt.h>
#include <helix/kv.h>
#include <helix/module.h>

namespace {
struct greeting {
    const char *word;
    explicit greeting(const char *text) : word(text) {}
};
greeting hello("constructed");

hx_ret_t serve(hx_message *message, uint64_t)
{
    char kept[16] = {};
    if (hx_kv_put(HX_TEXT("cxx"), HX_TEXT("kept")) < 0 || hx_kv_get(HX_TEXT("cxx"), kept, sizeof(kept)) != 4)
        return HX_E_INTERNAL;
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = static_cast<uint8_t>(
        hx_fmt(reinterpret_cast<char *>(message->data), sizeof(message->data), "%s and %s", hello.word, kept));
    return HX_OK;
}
hx_ret_t init()
{
    return HX_OK;
}
} // namespace

HX_MODULE("cxx", HX_VERSION(1, 0, 0), "in C++", .init = init);
HX_REQUIRES_VERSION(hx_kv, HX_KV_VERSION_1_0, HX_KV_OPS_1_0);
HX_SERVICE("cxx", 0, serve);
"""


@case("each header that is installed stands alone, in C11 and in C++17, without a warning")
def headers():
    found = [os.path.relpath(path, os.path.join(SDK, "include")) for path in glob.glob(os.path.join(SDK, "include", "*", "*.h"))]
    assert "helix/module.h" in found and "helix-host/helix_host.h" in found, found
    for header in found:
        write("alone.c", f"#include <{header}>\n" * 2)
        for language, standard, compilers in (("c", "c11", COMPILERS), ("c++", "c++17", CXX.values())):
            for compiler in compilers:
                run(compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                    f"-I{SDK}/include", "alone.c")


@case("C++17 without exceptions: with both compilers, plain and by Meson")
def cplusplus():
    write("cxx.cpp", CPLUSPLUS)
    for compiler in COMPILERS:
        plain(CXX[compiler], "cxx.cpp", f"cxx-{compiler}.hxm", package="helix-sdk-cxx")
    os.makedirs(os.path.join(SCRATCH, "cxx"))
    shutil.copy(os.path.join(SCRATCH, "cxx.cpp"), os.path.join(SCRATCH, "cxx"))
    write("cxx/meson.build", """project('cxx', 'cpp', default_options: ['cpp_std=gnu++17', 'b_lundef=false', 'b_asneeded=false'])
executable('cxx', 'cxx.cpp', name_suffix: 'hxm', dependencies: dependency('helix-sdk-cxx'), pie: false)
""")
    run("meson", "setup", "build", cwd=os.path.join(SCRATCH, "cxx"))
    run("ninja", "-C", "build", cwd=os.path.join(SCRATCH, "cxx"))
    modules = os.path.join(SDK, "share", "helix", "modules", "")
    shutil.copy(os.path.join(SCRATCH, "cxx", "build", "cxx.hxm"), os.path.join(SCRATCH, "cxx-meson.hxm"))
    pack("cxx.cpio", modules + "svc_kv.hxm", "cxx-gcc.hxm", hold=("cxx-clang.hxm", "cxx-meson.hxm"))
    out = console("cxx.cpio", "request cxx 0", "reload cxx cxx-clang.hxm", "request cxx 0", "reload cxx cxx-meson.hxm",
                  "request cxx 0")
    equal(out.count("constructed and kept"), 3, "answers in\n" + out)


@case("a module for another ABI is refused when it is packed and when it is loaded, with both ids")
def other_abi():
    major, minor = flags("helix-sdk", "--variable=abi")[0].split(".")[:2]
    shutil.copytree(os.path.join(SDK, "include"), os.path.join(SCRATCH, "newer"))
    header = read("newer", "helix", "module.h")
    assert f"HX_ABI HX_VERSION({major}, {minor}, 0)" in header
    write("newer/helix/module.h", header.replace(f"HX_ABI HX_VERSION({major}, {minor}, 0)", "HX_ABI HX_VERSION(77, 5, 0)"))
    write("abi.c", '#include <helix/module.h>\nHX_MODULE("abi", HX_VERSION(1, 0, 0), "of another world");\n')
    plain("gcc", "abi.c", "good.hxm")
    run("gcc", "-std=gnu11", "-O2", "-I" + os.path.join(SCRATCH, "newer"), *flags(), "-c", "abi.c", "-o", "abi.o")
    run("ld", "-r", "abi.o", "-o", "abi.hxm")
    said = rf"built for 77\.5 .*this kernel has {major}\.{minor} "
    refusal = run("mkmodpack", "create", "-o", "abi.cpio", "abi.hxm", status=1)
    assert re.search(said, refusal), refusal
    # The packer would not make it, so the bytes of a good one are changed: a magic number, and then the ABI.
    pack("abi.cpio", hold=("good.hxm",))
    with open(os.path.join(SCRATCH, "abi.cpio"), "r+b") as file:
        content = file.read()
        ours = b"HXM1" + (int(major) << 24 | int(minor) << 12).to_bytes(4, "little")
        at = content.rindex(ours, 0, content.rindex(b"of another world"))
        file.seek(at + 4)
        file.write((77 << 24 | 5 << 12).to_bytes(4, "little"))
    out = console("abi.cpio", "insmod good.hxm", "lsmod")
    assert re.search(said, out), out


@case("helix-newmodule refuses what it cannot do, says why, and leaves nothing")
def refusals():
    os.mkdir(os.path.join(SCRATCH, "taken"))
    before = sorted(os.listdir(SCRATCH))
    for arguments, why in ((("Hello",), "small letters"), (("9lives",), "small letters"), (("a-b",), "small letters"),
                           (("../up",), "small letters"), (("",), "small letters"), (("x" * 21,), "at most 20"),
                           (("int",), "means something else"), (("hx_log",), "means something else"),
                           (("sched_rr",), "comes with the SDK"), (("taken",), "exists already"),
                           (("fine", "-C", "nowhere"), "no such directory"), (("fine", "--kind", "toaster"), "--kind"),
                           (("fine", "--colour"), "unrecognized arguments"), ((), "NAME")):
        said = run("helix-newmodule", *arguments, status=2)
        contains(said, why, " ".join(arguments))
        assert said.startswith("helix-newmodule: ") and said.count("\n") == 1, said
    equal(sorted(os.listdir(SCRATCH)), before, "what is there")


@case("helix-run gives the guest's exit status, and says what it does not do")
def boots():
    out = run("helix-run", input="lsmod\npoweroff 3\n", status=3)
    contains(out, "sched_rr")
    contains(run("helix-run", "--uefi", status=125), "ISO")
    contains(run("helix-run", "--initrd", "nowhere", status=125), "helix-run: --initrd nowhere: no such file")


if SCRATCH:
    main()
else:
    sys.exit(prepare())
