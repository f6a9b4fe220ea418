# SPDX-License-Identifier: MIT
"""test_text.py - what holds for every text file: licence line, layout, and words that have no place in the tree."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main  # noqa: E402

# Written in pieces, so that this file passes its own test.
FORBIDDEN = re.compile("|".join(["TO" "DO", "FIX" "ME", "XX" "X:", r"\bsessi" r"ons?\b", "/wor" "k/"]))
LICENSED = (".c", ".h", ".S", ".lds", ".def", ".py", ".build", ".cfg", ".sh", ".pml", "meson_options.txt")
PROSE = ("LICENSE", ".md", ".scd")
WIDTH = 132
TABLES = ("tests/lint/specification.txt",)  # an entry is a line
BINARY = (".bin", ".cpio", ".gz", ".png", ".gif", ".svg", ".hxm", ".o")


def files():
    """Everything that git has or would take, as (path, text)."""
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    for path in sorted(filter(None, done.stdout.split("\0"))):
        full = os.path.join(ROOT, path)
        if os.path.isfile(full) and not path.endswith(BINARY):
            with open(full, encoding="utf-8") as file:
                yield path, file.read()


def report(faults):
    assert not faults, "\n".join(faults)


@case("every source file opens with its licence")
def licence():
    faults = []
    for path, text in files():
        head = text.split("\n", 2)[:2]
        if path.startswith("tests/fixtures/"):
            continue  # their first two lines say what they are and what is expected
        if path.endswith(LICENSED) or text.startswith("#!"):
            if "SPDX-License-Identifier: MIT" not in (head[1] if text.startswith("#!") else head[0]):
                faults.append(f"{path}: no SPDX line")
    report(faults)


@case("no file holds a word that has no place in the tree")
def words():
    faults = []
    for path, text in files():
        for number, line in enumerate(text.splitlines(), 1):
            match = FORBIDDEN.search(line)
            if match:
                faults.append(f"{path}:{number}: {match[0]}")
    report(faults)


@case("lines have no trailing blanks, tabs only where they belong, one newline at the end")
def layout():
    faults = []
    for path, text in files():
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            faults.append(f"{path}: does not end in one newline")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                faults.append(f"{path}:{number}: trailing blanks")
            if "\t" in line and not path.endswith((".S", ".scd")):
                faults.append(f"{path}:{number}: a tab")
    report(faults)


@case("no line is wider than a screen of 132 columns")
def width():
    faults = []
    for path, text in files():
        if path in TABLES:
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > WIDTH:
                faults.append(f"{path}:{number}: {len(line)} columns")
    report(faults)


main()
