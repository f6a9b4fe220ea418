# SPDX-License-Identifier: MIT
"""test_headers.py - each header of the contract stands alone: first and only thing in a file, in C11 and in C++17."""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main, skip  # noqa: E402

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compile_alone(compiler, language, standard):
    """Compiles each public header alone; returns the complaints."""
    if not shutil.which(compiler):
        skip(f"{compiler} is not installed")
    headers = sorted(glob.glob(os.path.join(ROOT, "include", "helix", "*.h")))
    assert headers, "no headers"
    complaints = []
    for header in headers:
        text = f'#include <helix/{os.path.basename(header)}>\n' * 2  # twice: the guard is there
        done = subprocess.run([compiler, *WARNINGS, f"-std={standard}", f"-I{ROOT}/include", "-x", language, "-"],
                              input=text, capture_output=True, text=True, timeout=60)
        if done.returncode:
            complaints.append(done.stderr)
    assert not complaints, "\n".join(complaints)


@case("every public header compiles alone as C11 with gcc")
def c11_gcc():
    compile_alone("gcc", "c", "c11")


@case("every public header compiles alone as C11 with clang")
def c11_clang():
    compile_alone("clang", "c", "c11")


@case("every public header compiles alone as C++17 with g++")
def cxx17_gcc():
    compile_alone("g++", "c++", "c++17")


@case("every public header compiles alone as C++17 with clang++")
def cxx17_clang():
    compile_alone("clang++", "c++", "c++17")


main()
