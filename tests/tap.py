# SPDX-License-Identifier: MIT
"""tap.py - test cases in Python that speak the Test Anything Protocol: plan first, a line a case, logs behind "# "."""
import fnmatch
import os
import signal
import sys
import time
import traceback

CASES = []
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FULL = os.environ.get("HELIX_FULL") == "1"


class TimeLimit(BaseException):
    """Not an Exception, so that no case catches it by accident."""


class Skip(Exception):
    pass


def case(name, limit_s=120):
    """Makes the function a case. @name: a sentence. @limit_s: a hang detector, not a target."""

    def add(function):
        CASES.append((name, limit_s, function))
        return function

    return add


def counted(reduced, full):
    """How often to do something: @full under tests/run --full. Printed, so that a result says what it stands for."""
    count = full if FULL else reduced
    log(f"count: {count} (full: {full})")
    return count


def skip(why):
    raise Skip(why)


def log(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def equal(got, wanted, what):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def contains(text, part, what="the output"):
    text = text if isinstance(text, str) else "\n".join(text)
    assert part in text, f"{what} lacks {part!r}:\n{text}"


def _expired(*_):
    raise TimeLimit()


def _run(function, limit_s):
    """Returns (directive, diagnosis); diagnosis None: passed."""
    signal.signal(signal.SIGALRM, _expired)
    signal.alarm(limit_s)
    try:
        function()
        return "", None
    except Skip as why:
        return f" # SKIP {why}", None
    except TimeLimit:
        return "", f"not done within {limit_s} s"
    except AssertionError as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return "", f"{os.path.relpath(at.filename, ROOT)}:{at.lineno}: {error or at.line}"
    except Exception as error:  # pylint: disable=broad-except
        return "", "".join(traceback.format_exception(type(error), error, error.__traceback__))
    finally:
        signal.alarm(0)


def main():
    """Runs the cases whose number, function or name matches one of the arguments (all without any); never returns."""
    wanted = sys.argv[1:]
    if wanted == ["--list"]:
        for name, _, function in CASES:
            print(f"{function.__name__}: {name}")
        sys.exit(0)
    chosen = [c for c in CASES
              if not wanted or any(fnmatch.fnmatch(c[2].__name__, w) or w.lower() in c[0].lower() for w in wanted)]
    if not chosen:
        print("no case matches", file=sys.stderr)
        sys.exit(2)
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, (name, limit_s, function) in enumerate(chosen, 1):
        start = time.monotonic()
        directive, diagnosis = _run(function, limit_s)
        print(f"{'ok' if diagnosis is None else 'not ok'} {number} - {name}{directive}", flush=True)
        if diagnosis is not None:
            failed += 1
            log(diagnosis)
        log(f"{time.monotonic() - start:.1f} s")
    sys.exit(1 if failed else 0)
