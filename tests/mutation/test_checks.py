#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_checks.py - each check of bytes from outside, left out, makes a unit test fail.

All checks are found in the source (checks.py) and made switchable in one copy of it, so that one compilation and one link
serve all of them; then the suites that speak of a file run once for each of its checks, without that check. What is left
out is noticed when a test fails, crashes or hangs.
"""
import concurrent.futures
import functools
import glob
import json
import os
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import ROOT, case, log, main  # noqa: E402
import checks  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
OUT = os.path.join(BUILD, "mutation")
LIMIT_S = 10  # of one run without a check; the longest takes two seconds
BASE_LIMIT_S = 120
IMAGE = "@(loader|image_symbols)/!(no_single_*)"
LOADER = ("malformed/*", "elf_*/!(every_truncation_*)", IMAGE)
# Which suites speak of a file, the ones that notice most first.
SUITES = {
    **{os.path.relpath(path, ROOT): LOADER for path in sorted(glob.glob(os.path.join(ROOT, "modloader", "*.c")))},
    **dict.fromkeys(("modloader/image.c", "modloader/image_symbols.c", "modloader/loader.c"), (IMAGE, *LOADER)),
    "kernel/lib/slice.h": ("slice/*", *LOADER, "@(cpio|pack)/*"),
    "kernel/lib/cpio.c": ("@(cpio|pack)/*",),
    "kernel/lib/ed25519.c": ("ed25519/*",),
    "kernel/module/pack.c": ("pack/*",),
    "kernel/module/plan.c": ("plan/*",),
    "kernel/module/ops.c": ("interface/*", "@(records|version)/*"),
    "kernel/module/records.c": ("records/*", "@(plan|version|engine)/*", "module_capability/*"),
    **dict.fromkeys(("kernel/main/exports.c", "kernel/main/exports_bus.c", "kernel/main/exports_channel.c",
                     "kernel/main/exports_declared.c"), ("exports/*",)),
    **dict.fromkeys(("kernel/main/exports_grant.c", "kernel/main/exports_resource.c"), ("exports/*", "module_capability/*")),
    "kernel/module/types.c": ("types/*",),
    "kernel/module/types_kernel.c": ("types/*",),
    "kernel/orchestrator/record.c": ("record/*", "exports/*"),
    "kernel/ipc/handle.c": ("@(handle|channel)/*",),
    "kernel/ipc/channel.c": ("channel/*",),
    "kernel/ipc/channel_slow.c": ("channel/*",),
    "kernel/ipc/channel_life.c": ("channel/*", "channel_back/*"),
    "kernel/ipc/channel_back.c": ("channel_back/*",),
    "kernel/ipc/channel_circle.c": ("channel_circle/*",),
    "kernel/ipc/grant.c": ("@(grant|channel)/*", "module_capability/*"),
    "kernel/ipc/message_router.c": ("message_router/*",),
    "kernel/ipc/topic.c": ("event_bus/*",),
}
HEADER_TESTS = ("tests/unit/test_slice.c",)  # compiled with the switchable headers
# Checks whose absence changes nothing that a test could see, by file, function and text: why.
EQUIVALENT = {
    ("modloader/elf_check.c", "hx_ldr_check_symtab", "count > UINT32_MAX"): "a file of 96 GiB",
    ("modloader/elf_link.c", "apply_relaxed", "!fits(value, kind->bytes, kind->fit)"):
        "hx_ldr_relax() answers for it, by what holds for the whole window",
    ("modloader/elf_relax.c", "read_load", "rela->r_offset < length"): "the difference wraps, and no section is as large",
    ("modloader/image_symbols.c", "read_label", "symbol.st_shndx == SHN_UNDEF"): "section 0 is never loaded",
    ("kernel/ipc/channel.c", "find_and_lock", "hx_unlikely(!hx_handle_is(entry, handle))"):
        "it is asked once more with the lock held",
    ("kernel/ipc/grant.c", "hx_grant_describe", "!hx_handle_is(entry, grant)"):
        "only another processor makes it true, between the look before it and here",
    ("kernel/lib/ed25519.c", "point_read", "number_reduce(out->y, field_prime)"):
        "of such keys only those of small order have signatures that one could find",
    ("kernel/lib/ed25519.c", "point_read", "!point_find_x(out->x, out->y)"): "nobody finds signatures off the curve",
    ("kernel/lib/ed25519.c", "hx_ed25519_verify", "!point_read(&minus_key, key)"): "as both before",
    ("kernel/module/records.c", "check_array", "range->bytes == 0"): "an array of no bytes has no addresses either",
}


@functools.cache
def found():
    """All checks, numbered from 1."""
    result = []
    for path in SUITES:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            result += checks.find(path, file.read())
    for number, check in enumerate(result, 1):
        check.number = number
    return result


def run(arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    assert done.returncode == 0, f"{' '.join(arguments)[:200]}: status {done.returncode}\n{done.stdout}"
    return done.stdout


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_switch():
    """What decides which check is left out: HELIX_LEFT_OUT, a number in the environment."""
    write(os.path.join(OUT, "switch.h"),
          "extern int helix_left_out;\n#define HELIX_CHECKED(number) (helix_left_out != (number))\n")
    write(os.path.join(OUT, "switch.c"),
          "#include <stdlib.h>\nint helix_left_out;\n__attribute__((constructor(101))) static void read(void)\n"
          "{\n    const char *text = getenv(\"HELIX_LEFT_OUT\");\n    helix_left_out = text ? atoi(text) : 0;\n}\n")
    run(["cc", "-c", "-o", os.path.join(OUT, "switch.o"), os.path.join(OUT, "switch.c")])


def compile_copy(path, command):
    """Compiles the switchable copy of a source as the build compiles the source. Returns the object's path."""
    copy, target = os.path.join(OUT, path), os.path.join(OUT, path + ".o")
    arguments = shlex.split(command)
    if os.path.basename(arguments[0]) == "ccache":
        del arguments[0]
    arguments = [a for a in arguments[:arguments.index("-MD")] if a != "-Werror"]
    own = ["-I" + os.path.join(OUT, "kernel"), "-I" + OUT, "-include", os.path.join(OUT, "switch.h"), "-w"]
    run([arguments[0], *own, *arguments[1:], "-O1", "-c", copy, "-o", target], cwd=BUILD)
    return target


def link(objects):
    """Links the unit tests as the build does, with others in place of some objects (@objects: by their path)."""
    command = shlex.split(run(["ninja", "-C", BUILD, "-t", "commands", "tests/unit"]).splitlines()[-1])
    library = [a for a in command if a.endswith("libcore_host.a")][0]
    members = [objects.get(member, member) for member in run(["ar", "t", library], cwd=BUILD).split()]
    at = command.index(library)
    command = [objects.get(argument, argument) for argument in command]
    command[at:at + 1] = [*members, os.path.join(OUT, "switch.o")]
    command[command.index("-o") + 1] = os.path.join(OUT, "unit")
    run(command, cwd=BUILD)


@functools.cache
def build():
    """Makes the program; None, or what went wrong."""
    try:
        make()
        return None
    except AssertionError as error:
        return error


def make():
    write_switch()
    for directory in {os.path.dirname(path) for path in SUITES}:  # a header of ours must not be found beside the original
        os.makedirs(os.path.join(OUT, directory), exist_ok=True)
        for header in glob.glob(os.path.join(ROOT, directory, "*.h")):
            shutil.copy(header, os.path.join(OUT, directory))
    for path in [*SUITES, *HEADER_TESTS]:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            write(os.path.join(OUT, path), checks.switchable(file.read(), [c for c in found() if c.path == path]))
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        steps = [(os.path.relpath(os.path.join(step["directory"], step["file"]), ROOT), step) for step in json.load(file)]
    steps = [(path, step) for path, step in steps if path in HEADER_TESTS or
             path in SUITES and ("libcore_host.a" in step["output"] or step["output"].startswith("tests/unit.p/"))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda one: compile_copy(one[0], one[1]["command"]), steps))
    link({step["output"]: made for (_, step), made in zip(steps, objects)})


def noticed(suites, number, limit_s=LIMIT_S):
    """Whether any of the suites fails without check @number."""
    environment = dict(os.environ, HELIX_LEFT_OUT=str(number))
    for suite in suites:
        try:
            done = subprocess.run([os.path.join(OUT, "unit"), "--jobs", "1", "--fail-fast", "--filter", suite],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=environment, timeout=limit_s, cwd=ROOT, check=False)
        except subprocess.TimeoutExpired:
            return True
        if done.returncode:
            return True
    return False


@case("with all checks, all suites pass")
def all_pass():
    assert not build(), build()
    for suites in dict.fromkeys(SUITES.values()):
        assert not noticed(suites, 0, BASE_LIMIT_S), f"{suites} fail"


def expect_noticed(path):
    assert not build(), "it is not built"
    own = [check for check in found() if check.path == path]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda check: noticed(SUITES[path], check.number), own))
    unseen = [check for check, seen in zip(own, results) if not seen]
    excused = [check for check in unseen if check.key in EQUIVALENT]
    silent = [check for check in unseen if check.key not in EQUIVALENT]
    log(f"count: {len(own)} checks of {path}, {len(excused)} of them equivalent")
    assert not silent, "nothing fails without\n" + "\n".join(f"{c.path}:{c.line}: {c.text}" for c in silent)


for each in SUITES:
    case(f"each check of {each} is noticed when it is left out", 600)(lambda path=each: expect_noticed(path))


@case("no check is excused that is not there")
def excuses_are_used():
    stale = set(EQUIVALENT) - {check.key for check in found()}
    assert not stale, f"not in the source: {stale}"


if __name__ == "__main__":
    main()
