# SPDX-License-Identifier: MIT
"""test_specification.py - what is asked for is tried: specification.txt names for each item the unit tests that exercise it, and
they are there; where an item is not, it says why.
"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, log, main  # noqa: E402

SECTIONS = {"2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4", "9.1"}


def rows():
    """[(section, item, ours, tests or reason)]"""
    with open(os.path.join(ROOT, "tests/lint/specification.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    found = [re.fullmatch(r"(\d\.\d) (.+?) \| (.+?) \| (.+)", line) for line in lines]
    broken = [line for line, match in zip(lines, found) if not match]
    assert not broken, "no rows: " + "; ".join(broken)
    return [match.groups() for match in found]


def waits_for(test):
    """Whether it is a scenario in QEMU, "qemu/FILE, TEXT", that has the text."""
    path, _, text = test.partition(", ")
    if not path.startswith("qemu/") or not os.path.isfile(os.path.join(ROOT, "tests", path)):
        return False
    with open(os.path.join(ROOT, "tests", path), encoding="utf-8") as file:
        return text in file.read()


@case("each item of the specification's sections 2, 3 and 9 names unit tests that are there, or why it is not")
def items_are_tried():
    tests = set()
    for path in glob.glob(os.path.join(ROOT, "tests/unit/*.c")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tests.update(re.findall(r"^Test\((\w+, \w+)", text, re.MULTILINE))
        if path.endswith("test_records.c"):
            tests.update("records, " + name for name in re.findall(r"^BROKEN\((\w+)", text, re.MULTILINE))
    missing = [f"{section} {item}: {test}" for section, item, ours, named in rows() if ours != "-"
               for test in named.split("; ") if test not in tests and not waits_for(test)]
    assert not missing, "no such tests: " + "; ".join(missing)
    log(f"{len(rows())} items")


@case("no item stands there twice, and no section is left out")
def items_are_told_apart():
    items = [row[:2] for row in rows()]
    twice = sorted({item for item in items if items.count(item) > 1})
    assert not twice, twice
    assert {section for section, _ in items} == SECTIONS


main()
