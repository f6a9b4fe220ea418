# SPDX-License-Identifier: MIT
"""test_gate.py - the gate's counting argument over every interleaving; and each known way to get it wrong must be found."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import case, counted, log, main, skip  # noqa: E402

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gate.pml")
MEMORY_MB = 1500
DEPTH = 1000000
CUT_SHORT = ("max search depth too small", "reached -DMEMLIM", "Search not completed")


def verify(calls, *macros):
    """What the verifier says of the model with @macros defined and @calls calls of each caller."""
    if not shutil.which("spin"):
        skip("spin is not installed")
    with tempfile.TemporaryDirectory() as work:
        def run(*command):
            done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            return done.returncode, done.stdout

        code, text = run("spin", "-a", f"-DCALLS={calls}", *(f"-D{macro}" for macro in macros), MODEL)
        assert code == 0 and "Error" not in text, text
        code, text = run(os.environ.get("CC", "cc"), "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=512",
                         f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c")
        assert code == 0, text
        text = run("./pan", f"-m{DEPTH}")[1]
    states = re.search(r"([0-9.e+]+) states, stored", text)
    log(f"states: {states.group(1) if states else 'none'}")
    return text


@case("after a drain no caller is inside the closed version, and none comes in later", limit_s=600)
def drain_is_sound():
    text = verify(counted(1, 2))
    # No errors in a search that was cut short proves nothing.
    assert re.search(r"errors: 0$", text, re.M) and not any(words in text for words in CUT_SHORT), text[-2000:]


def must_be_found(macro):
    text = verify(1, macro)
    assert "assertion violated" in text, text[-2000:]


@case("entered bumped after the vtable is loaded: found")
def entered_after_load():
    must_be_found("ENTERED_AFTER_LOAD")


@case("entered summed before left: found")
def entered_first():
    must_be_found("ENTERED_FIRST")


@case("a drain that does not interrupt the CPUs: found")
def no_sync():
    must_be_found("NO_SYNC")


@case("one up-down counter a CPU: found")
def one_counter():
    must_be_found("ONE_COUNTER")


if __name__ == "__main__":
    main()
