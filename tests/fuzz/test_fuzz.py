# SPDX-License-Identifier: MIT
"""test_fuzz.py - libFuzzer on the loader, with the project's own modules as seeds: nothing is overrun, nothing is left."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, counted, log, main  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
SOURCES = ["tests/fuzz/fuzz_elf.c", "kernel/lib/fmt.c"]


def seeds(folder):
    """Every module that was built, good and bad."""
    for path in glob.glob(os.path.join(BUILD, "**", "*.hxm"), recursive=True):
        shutil.copy(path, os.path.join(folder, os.path.basename(path)))


@case("the loader survives what a fuzzer makes of real modules", limit_s=900)
def loader():
    seconds = counted(20, 300)
    with tempfile.TemporaryDirectory() as work:
        fuzzer, corpus = os.path.join(work, "fuzz"), os.path.join(work, "corpus")
        os.mkdir(corpus)
        seeds(corpus)
        sources = [os.path.join(ROOT, s) for s in SOURCES] + sorted(glob.glob(os.path.join(ROOT, "modloader", "*.c")))
        subprocess.run(["clang", "-std=gnu11", "-O1", "-g", "-w", "-fsanitize=fuzzer,address,undefined",
                        "-fno-sanitize-recover=all", *(f"-I{os.path.join(ROOT, d)}" for d in (
                            "include", "kernel", ".", "tests/host/include")), *sources, "-o", fuzzer], check=True)
        done = subprocess.run([fuzzer, f"-max_total_time={seconds}", "-max_len=32768", "-print_final_stats=1", corpus],
                              cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
        for line in done.stdout.splitlines():
            if line.startswith("stat::number_of_executed_units"):
                log(line)
        assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-60:])


main()
