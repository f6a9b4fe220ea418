# SPDX-License-Identifier: MIT
"""test_tidy.py - clang-tidy with the checks of .clang-tidy on the portable core, the modules and the packer, as the host
builds them (the freestanding flags say nothing to the checks)."""
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main, skip  # noqa: E402

INCLUDES = ["-I" + os.path.join(ROOT, d) for d in ("include", "kernel", "", "tests/host/include", "tools")]
ROOMS = ["kernel/lib", "modloader", "kernel/gate", "kernel/task", "kernel/module", "kernel/orchestrator",
         "kernel/interrupts", "kernel/hotreload", "kernel/debug", "kernel/boot", "modules/*", "tools/helixctl", "tools/mkmodpack"]


def tidy(path):
    done = subprocess.run(["clang-tidy", "--quiet", path, "--", "-std=gnu11", "-D_GNU_SOURCE",
                           '-DHX_HELIX_VERSION=""', *INCLUDES], cwd=ROOT, capture_output=True,
                          text=True, timeout=300)
    return done.stdout.strip() if done.returncode else ""


@case("clang-tidy finds nothing", limit_s=600)
def clean():
    if not shutil.which("clang-tidy"):
        skip("clang-tidy is not installed")
    paths = [path for room in ROOMS for path in sorted(glob.glob(os.path.join(ROOT, room, "*.c")))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [text for text in pool.map(tidy, paths) if text]
    assert not found, "\n".join(found)


main()
