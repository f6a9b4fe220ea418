# SPDX-License-Identifier: MIT
"""test_clang.py - the other compiler agrees: everything builds with clang, in a build directory of its own."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main, skip  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build")) + "-clang"


def run(*arguments):
    done = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(os.environ, CC="clang"), timeout=540)
    assert done.returncode == 0, done.stdout


@case("kernel, modules, packer and unit tests build with clang without a warning", limit_s=540)
def everything():
    if not shutil.which("clang"):
        skip("clang is not installed")
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        run("meson", "setup", BUILD, ROOT, "-Dtests=enabled")
    run("ninja", "-C", BUILD, "all", "tests/unit", "tests/kernel/helix-selftest.elf")


main()
