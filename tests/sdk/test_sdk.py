# SPDX-License-Identifier: MIT
"""test_sdk.py - what is installed is enough: a fresh prefix, moved, on a machine that has neither source nor build directory.

The first half installs, copies what the second half needs, and hides both directories under empty ones in a mount namespace of
its own; there the cases run. Who may not make namespaces (or sets HELIX_SDK_COPY=1) builds a copy of the tree and removes it.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

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
        shutil.copy2(os.path.join(ROOT, "README.md"), folder)
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


@case("everything that is promised is there")
def inventory():
    there = [os.path.relpath(path, SDK) for path in files()]
    for wanted in (r"include/helix/module\.h", r"include/helix/err\.def", r"include/helix-host/helix_host\.h",
                   r"share/pkgconfig/helix-sdk\.pc", r"share/helix/kernel/helix\.bin", r"share/helix/qemu/helix\.iso",
                   r"share/helix/kernel/helix\.elf", r"share/helix/qemu/gdb/helix_gdb\.py",
                   r"lib/.*libhelix-module\.a", r"lib/.*libhelix-host\.a", r"share/helix/exports\.json",
                   *(rf"{place}{name}{end}" for name in ("mkmodpack", "helixctl", "helix-newmodule", "helix-run")
                     for place, end in (("bin/", ""), ("share/man/man1/", r"\.1"), ("share/zsh/site-functions/_", ""),
                                        ("share/bash-completion/completions/", "")))):
        assert any(re.fullmatch(wanted, path) for path in there), f"nothing like {wanted}"
    exports = read(SDK, "share", "helix", "exports.txt")
    contains(exports, f"abi        {flags('helix-sdk', '--variable=abi')[0]}\n", "the list of exports")
    contains(exports, "export     hx_log(HX_VAL(level), HX_IN(text))", "the list of exports")
    for name in ("helix-newmodule", "helix-run", "helixctl", "mkmodpack"):
        contains(run(name, "--version"), " 0.", name)
        contains(run(name, "--help"), name)
        run("bash", "-c", f"source {SDK}/share/bash-completion/completions/{name} && complete -p {name}")


def project(kind, compiler):
    """A fresh one, built and tested by its own commands."""
    name = f"my_{kind}_{compiler}"[:20]
    run("helix-newmodule", name, "--kind", kind)
    run("meson", "setup", "build", cwd=os.path.join(SCRATCH, name), environment={"CC": compiler})
    out = run("meson", "test", "-C", "build", cwd=os.path.join(SCRATCH, name))
    assert re.search(r"Ok: +2\b", out), out
    return name


for one_kind in KINDS:
    for one_compiler in COMPILERS:
        case(f"a new {one_kind} builds with {one_compiler}, passes its test on the host, boots and is reloaded")(
            lambda kind=one_kind, compiler=one_compiler: project(kind, compiler))


@case("a module wants no more than six lines of Meson")
def six_lines():
    run("helix-newmodule", "six")
    lines = [line for line in read("six", "meson.build").splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 6, lines
    assert not re.search("sample|SAMPLE|[{]{2}|SPDX", "".join(read(here, name) for here, _, names in
                                                              os.walk(os.path.join(SCRATCH, "six")) for name in names))


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
def machine(initrd, tools=os.path.join(SDK, "bin")):
    """helix-run at work, and where helixctl finds it: nobody says it."""
    runtime = os.path.join(SCRATCH, "runtime")
    os.makedirs(runtime, exist_ok=True)
    where = dict(os.environ, XDG_RUNTIME_DIR=runtime, PATH=tools + ":" + os.environ["PATH"])
    with subprocess.Popen([os.path.join(tools, "helix-run"), "--initrd", initrd, "--cmdline", "panic=exit"], cwd=SCRATCH, env=where,
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            contains(process.stderr.readline(), f"helix-run: control: {runtime}/helix/control.sock")
            run(os.path.join(tools, "helixctl"), "wait-ready", environment=where)
            yield where
            process.stdin.close()
            equal(process.wait(60), 0, "exit status of helix-run")
            assert not os.path.exists(f"{runtime}/helix/control.sock"), "the socket is left behind"
        finally:
            process.kill()


@case("of each kind, a changed version is pushed into the running kernel, and is live")
def pushed():
    for kind in KINDS:
        name = "push_" + kind
        run("helix-newmodule", name, "--kind", kind)
        plain("gcc", f"{name}/{name}.c", name + ".hxm")
        plain("clang", f"{name}/{name}.c", name + "-next.hxm", f"-D{name.upper()}_MINOR=1")
    pack("push.cpio", "push_service.hxm", "push_driver.hxm", hold=("push_scheduler.hxm",))
    with machine("push.cpio") as where:
        contains(run("helixctl", "exec", "request push_service 0", environment=where), "push_service 1.0: request 1")
        contains(run("helixctl", "push", "push_service-next.hxm", "--reload", environment=where), "push_service 1.0.0 -> 1.1.0")
        contains(run("helixctl", "exec", "request push_service 0", environment=where), "push_service 1.1: request 2")
        contains(run("helixctl", "push", "push_driver-next.hxm", "--reload", environment=where), "push_driver 1.0.0 -> 1.1.0")
        contains(run("helixctl", "push", "push_scheduler-next.hxm", "--reload", "sched_rr", environment=where),
                 "sched_rr 1.0.0 -> push_scheduler 1.1.0")
        contains(run("helixctl", "rollback", "push_scheduler", environment=where), "reverted")


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


def watched(boots, watches):
    """README's two terminals."""
    equal(boots, "helix-run --initrd build/tests/pack.cpio", "what runs in one terminal")
    pack_ = os.path.join(SCRATCH, "hello", "build", "tests", "pack.cpio")
    with machine(pack_, os.path.join(SCRATCH, "helix", "bin")) as where, subprocess.Popen(
            ["sh", "-c", "exec " + watches], cwd=os.path.join(SCRATCH, "hello"), env=where, stdout=subprocess.PIPE,
            text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        contains(lines[0], "as it is: live after")
        contains(lines[2], "hello 1.0: request 1")
        write("hello/hello.c", read("hello", "hello.c").replace('"hello 1.%u', '"good evening 1.%u'))
        lines = [process.stdout.readline() for _ in range(3)]
        contains(lines[0], "hello.c: live after")
        contains(lines[2], "good evening 1.0: request 2")
        process.terminate()


@case("the commands of README do what it says")
def readme():
    section = re.search(r"^## A module of your own\n(.*?)^## ", read("README.md"), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    first, *others = "".join(blocks).splitlines()
    assert "meson install" in first and len(others) > 5, blocks
    os.rename(os.path.dirname(SDK), os.path.join(SCRATCH, "aside"))  # nothing but what README names is found
    os.symlink(os.path.join(SCRATCH, "aside", "helix"), os.path.join(SCRATCH, "helix"))
    try:
        out = run("sh", "-e", "-c", "\n".join(others), environment={"PKG_CONFIG_PATH": ""})
        watched(*re.findall(r"^\$ (.*)$", section[1], re.MULTILINE))
    finally:
        os.rename(os.path.join(SCRATCH, "aside"), os.path.dirname(SDK))
    log(out[-1500:])
    contains(out, "hello 1.0: request 1")
    contains(out, "hello 1.1: request 2")


if SCRATCH:
    main()
else:
    sys.exit(prepare())
