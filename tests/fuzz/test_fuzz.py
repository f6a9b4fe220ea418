# SPDX-License-Identifier: MIT
"""test_fuzz.py - libFuzzer on all that reads bytes from outside: no promise of its header is broken, nothing leaks.

corpus/ holds, for each target, inputs named after what they are and what fuzzing found beside them (names of hexadecimal
digits), reduced by `-merge=1`. All of it is replayed, then the rest of the time goes into looking for more.
"""
import base64
import concurrent.futures
import functools
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, counted, log, main  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
OUT = os.path.join(BUILD, "fuzz")  # fuzzers, and the inputs that broke something
CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-w", "-fsanitize=fuzzer,address,undefined",
         "-fno-sanitize-recover=all",
         *(f"-I{os.path.join(ROOT, d)}" for d in ("include", "kernel", ".", "tests/host/include"))]
LIBRARY = [f"kernel/lib/{name}.c"
           for name in ("control_frame", "cpio", "crc", "ed25519", "err", "fmt", "hash", "label", "sha512", "sort")]
# Target: its share of the time, the longest input it makes, what it needs beside the library.
TARGETS = {
    "elf": (0.44, 32768, ["modloader/*.c", "kernel/module/types.c"]),
    "boot": (0.12, 4096, ["kernel/boot/*.c"]),
    "acpi": (0.08, 2048, ["kernel/boot/acpi.c"]),
    "manifest": (0.11, 4096, ["kernel/module/pack.c"]),
    "pack": (0.11, 4096, ["kernel/module/pack.c"]),
    "cpio": (0.06, 4096, []),
    "control": (0.04, 16384, []),
    "ed25519": (0.04, 256, []),
}
SHOWN_MAX_BYTES = 4096
GRACE_S = 120  # beyond the time that a fuzzer was given


def compile_target(target):
    """Returns the compiler's complaints, empty when there are none."""
    patterns = [f"tests/fuzz/fuzz_{target}.c", *LIBRARY, *TARGETS[target][2]]
    sources = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(ROOT, pattern)))]
    done = subprocess.run(["clang", *FLAGS, *sources, "-o", os.path.join(OUT, f"fuzz_{target}")], capture_output=True,
                          text=True, timeout=GRACE_S, check=False)
    return f"fuzz_{target}:\n{done.stderr}" if done.returncode else ""


@functools.cache
def build():
    os.makedirs(OUT, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(filter(None, pool.map(compile_target, TARGETS)))


def fuzzer(target):
    faults = [fault for fault in build() if fault.startswith(f"fuzz_{target}:")]
    assert not faults, faults[0]
    return os.path.join(OUT, f"fuzz_{target}")


def run(arguments, limit_s):
    done = subprocess.run(arguments, cwd=OUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=limit_s, check=False)
    return done.returncode, done.stdout


def diagnosis(target, output):
    """What a person needs: the end of the report, the input that did it, and how to see it again."""
    lines = [line for line in output.splitlines() if not re.match(r"#\d+\t|stat::", line)][-60:]  # without progress
    found = re.findall(r"Test unit written to (\S+)", output) or re.findall(r"^Running: (\S+)", output, re.M)
    if found:
        with open(found[-1], "rb") as file:
            data = file.read()
        lines.append(f"replay: {os.path.join(OUT, 'fuzz_' + target)} {found[-1]}")
        lines.append(f"input, {len(data)} bytes, base64: {base64.b64encode(data).decode()}" if len(data) <= SHOWN_MAX_BYTES
                     else f"input, {len(data)} bytes: too long to show")
    return "\n".join([f"{target} broke:", *lines])


def replay(target):
    program = fuzzer(target)
    inputs = sorted(glob.glob(os.path.join(CORPUS, target, "*.bin")))
    assert inputs, f"no corpus for {target}"
    status, output = run([program, "-timeout=20", *inputs], GRACE_S)
    assert status == 0, diagnosis(target, output)
    executed = len(re.findall(r"^Executed ", output, re.M))
    assert executed == len(inputs), f"{executed} of {len(inputs)} inputs were executed"
    # Once more in one go: what one input leaves behind in memory must not disturb the next.
    status, output = run([program, "-timeout=20", "-runs=0", f"-max_len={max(map(os.path.getsize, inputs))}",
                          f"-artifact_prefix={OUT}/{target}-", os.path.join(CORPUS, target)], GRACE_S)
    assert status == 0, diagnosis(target, output)
    log(f"{executed} inputs")


def add_replay(target):
    def one():
        replay(target)

    one.__name__ = f"replay_{target}"
    case(f"the corpus of fuzz_{target} breaks nothing", limit_s=3 * GRACE_S)(one)


def seeds(target, folder):
    """Beside the corpus: every module as today's compiler makes it, good and bad."""
    if target == "elf":
        for path in glob.glob(os.path.join(BUILD, "**", "*.hxm"), recursive=True):
            if os.path.isfile(path):
                shutil.copy(path, os.path.join(folder, os.path.basename(path)))


def explore(target, total_s):
    """Returns (what broke or nothing, a line for the log)."""
    seconds = max(1, round(total_s * TARGETS[target][0]))
    with tempfile.TemporaryDirectory() as work:
        seeds(target, work)
        status, output = run([fuzzer(target), f"-max_total_time={seconds}", f"-max_len={TARGETS[target][1]}", "-timeout=20",
                              "-print_final_stats=1", f"-artifact_prefix={OUT}/{target}-", work,
                              os.path.join(CORPUS, target)], seconds + GRACE_S)
    units = re.search(r"stat::number_of_executed_units: *(\d+)", output)
    return (diagnosis(target, output) if status else "",
            f"{target}: {units[1] if units else 'unknown'} units executed in {seconds} s")


for each in TARGETS:
    add_replay(each)


@case("what a fuzzer makes of the corpora breaks nothing", limit_s=900)
def explore_all():
    total_s = counted(60, 600)
    build()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda target: explore(target, total_s), TARGETS))
    for _, executed in results:
        log(executed)
    faults = [fault for fault, _ in results if fault]
    assert not faults, "\n".join(faults)


main()
