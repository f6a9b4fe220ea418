# SPDX-License-Identifier: MIT
"""spin.py - runs the verifier over a model, as it is or with one of its mistakes made."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import log, skip  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MB = 1500
DEPTH = 1000000
CUT_SHORT = ("max search depth too small", "reached -DMEMLIM", "Search not completed")
FOUND = re.compile(r"assertion violated|invalid end state \(")


def verify(model, *macros):
    """What the verifier says of @model with @macros defined."""
    if not shutil.which("spin"):
        skip("spin is not installed")
    with tempfile.TemporaryDirectory() as work:
        def run(*command):
            done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            return done.returncode, done.stdout

        code, text = run("spin", "-a", *(f"-D{macro}" for macro in macros), os.path.join(HERE, model))
        assert code == 0 and "Error" not in text, text
        code, text = run(os.environ.get("CC", "cc"), "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=512",
                         f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c")
        assert code == 0, text
        text = run("./pan", f"-m{DEPTH}")[1]
    states = re.search(r"([0-9.e+]+) states, stored", text)
    log(f"states: {states.group(1) if states else 'none'}")
    return text


def holds(model, *macros):
    """All claims of @model hold, in a search that was not cut short: no errors in one that was proves nothing."""
    text = verify(model, *macros)
    assert re.search(r"errors: 0$", text, re.M) and not any(words in text for words in CUT_SHORT), text[-2000:]


def is_found(model, mistake, *macros):
    """The verifier finds a way in which @mistake breaks a claim."""
    text = verify(model, mistake, *macros)
    assert FOUND.search(text), text[-2000:]
