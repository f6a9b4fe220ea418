#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_malformed.py - mkmodpack refuses every malformed object and module as the kernel does, in one line, and writes nothing."""
import concurrent.futures
import fnmatch
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "malformed"))
from tap import ROOT, case, equal, log, main  # noqa: E402
import cases  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack")
GOOD = os.path.join(BUILD, "tests", "fixtures", "loader")
MODULE = os.path.join(BUILD, "modules", "svc_kv-2.hxm")
SYMBOLS = "hx_log 0x41000000\nhx_clock_ns 0x12345\n"


def link(directory, file):
    """Returns (status, standard output and error, whether there is a dump)."""
    dump = file + ".dump"
    done = subprocess.run([TOOL, "link", file, "--base", "0x40000000", "--symbols", os.path.join(directory, "symbols"),
                           "--dump", dump], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr, os.path.exists(dump)


def fault_of(directory, number, malformed):
    """What is wrong with a refusal; empty: nothing."""
    name, _, error, _, message, content = malformed
    file = os.path.join(directory, f"{number}.o")
    with open(file, "wb") as out:
        out.write(content)
    status, said, complaint, dumped = link(directory, file)
    if status == 1 and not said and not dumped and fnmatch.fnmatchcase(complaint, f"{error}: *: {message}\n") \
            and complaint.count("\n") == 1:
        return ""
    return f"{name}: status {status}, dump {dumped}, wanted {error}: {message}, said {said + complaint}"


def with_symbols(directory):
    with open(os.path.join(directory, "symbols"), "w", encoding="utf-8") as file:
        file.write(SYMBOLS)


@case("every malformed object is refused with status 1 and one line that begins with the error, and nothing is written")
def malformed_are_refused():
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(2) as pool:
        with_symbols(directory)
        bad = list(cases.malformed(GOOD))
        faults = list(filter(None, pool.map(lambda one: fault_of(directory, *one), enumerate(bad))))
        log(f"count: {len(bad)} malformed objects")
        assert not faults, "\n".join(faults)


@case("the good objects that they are made from are linked")
def good_are_linked():
    with tempfile.TemporaryDirectory() as directory:
        with_symbols(directory)
        for name in sorted({one[1] for of_step in cases.CASES.values() for one in of_step}):
            os.symlink(os.path.join(GOOD, name + ".o"), os.path.join(directory, name + ".o"))
            equal(link(directory, os.path.join(directory, name + ".o")), (0, "", "", True), name)


def pack(directory, file):
    """Returns (status, what it said, whether there is a pack)."""
    to = os.path.join(directory, os.path.basename(file) + ".cpio")
    done = subprocess.run([TOOL, "create", "-o", to, file], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr, os.path.exists(to)


def fault_of_types(directory, number, malformed):
    name, _, _, message, content = malformed
    file = os.path.join(directory, f"{number}.hxm")
    with open(file, "wb") as out:
        out.write(content)
    status, said, packed = pack(directory, file)
    wanted = f"mkmodpack: {file}: *{message}*\n"
    if (status, packed, said.count("\n")) == (1, False, 1) and fnmatch.fnmatchcase(said, wanted):
        return ""
    return f"{name}: status {status}, pack {packed}, wanted {wanted}, said {said}"


@case("every module with a malformed section of types is refused by create in one line, and packed when it is good")
def malformed_types_are_refused():
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(2) as pool:
        bad = list(cases.malformed_types(MODULE))
        faults = list(filter(None, pool.map(lambda one: fault_of_types(directory, *one), enumerate(bad))))
        log(f"count: {len(bad)} malformed sections of types")
        assert not faults, "\n".join(faults)
        equal(pack(directory, MODULE), (0, "", True), "the good one")


if __name__ == "__main__":
    main()
