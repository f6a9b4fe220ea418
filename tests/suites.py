# SPDX-License-Identifier: MIT
"""suites.py - the part of tests/run that comes after the installation: builds what a suite needs, runs it, counts.

Every test program speaks TAP. A program that prints no plan, does not keep it, is killed or exits with an error although
its cases passed counts as one failure more, so that nothing passes by ending early.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
ASAN = BUILD + "-asan"
CLANG = BUILD + "-clang"
TSAN = BUILD + "-tsan"
CHECKS = BUILD + "-checks"
FULL = os.environ.get("HELIX_FULL") == "1"
PROGRAM_LIMIT_S = 7200 if FULL else 1500
UNIT_LIMIT_S = "60"  # of one unit test
RESULT = re.compile(r"(not )?ok\b(?: +\d+)?(?: *-)? *(.*)")


class SetUp(Exception):
    pass


def say(text):
    print(text, flush=True)


def command(*arguments, environment=None):
    """Runs a step of the set-up; its output is shown only when it fails."""
    done = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=dict(os.environ, **(environment or {})))
    if done.returncode:
        raise SetUp(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}")


def build(directory, targets, *options, environment=None):
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        say(f"# configuring {os.path.relpath(directory, ROOT)}")
        command("meson", "setup", directory, ROOT, "-Dtests=enabled", *options, environment=environment)
    elif not os.path.exists(os.path.join(directory, "helix-tests")):
        # qemu/run may have configured it before Criterion was there.
        command("meson", "configure", directory, "-Dtests=enabled")
        command("meson", "setup", "--reconfigure", directory, ROOT)
    open(os.path.join(directory, "helix-tests"), "w", encoding="utf-8").close()
    command("ninja", "-C", directory, *targets)


def build_main(*targets):
    build(BUILD, targets or ("boot", "tests-ready", "qemu/helix.iso"))


def python(*patterns):
    """Test programs in Python, by the pattern of their paths."""
    paths = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(ROOT, pattern)))]
    return [(os.path.relpath(path, ROOT), [sys.executable, path]) for path in paths]


def unit_of(directory):
    """Criterion's program of one build. TAP goes to a file, because tests share standard output with the runner; what else
    is said is shown when it ends badly."""
    return [os.path.join(directory, "tests", "unit"), "--verbose", "--timeout", UNIT_LIMIT_S,
            "--tap=" + os.path.join(directory, "unit.tap")]


# ---- suites: each builds what it needs and returns its programs as (name, command) -----------------------------------
def suite_unit():
    build_main("tests/unit")
    return [("unit", unit_of(BUILD))]


def suite_unit_asan():
    build(ASAN, ["tests/unit"], "-Db_sanitize=address,undefined")
    return [("unit-asan", unit_of(ASAN))]


def suite_race():
    build(TSAN, ["tests/race"], "-Db_sanitize=thread")
    return [("race", [os.path.join(TSAN, "tests", "race")])]


def suite_checks():
    build(CHECKS, ["boot", "tests-ready"], "-Dchecks=true")
    return [(name, ["env", "HELIX_BUILD=" + CHECKS, *program]) for name, program in python("tests/checks/test_*.py")]


def suite_lint():
    build_main()
    return python("tests/lint/test_*.py")


def suite_boot():
    build_main("all", "boot", "tests-ready", "qemu/helix.iso")  # one case installs
    return python("tests/qemu/test_*.py")


def suite_tools():
    build_main()
    return python("tests/tools/test_*.py")


def suite_differential():
    build_main()
    return python("tests/differential/test_*.py")


def suite_model():
    return python("tests/model/test_*.py")


def suite_fuzz():
    build_main()
    return python("tests/fuzz/test_*.py")


def suite_mutation():
    build_main("tests/unit")
    return python("tests/mutation/test_*.py")


def suite_sdk():
    build_main("all")
    return python("tests/sdk/test_*.py")


def suite_bench():
    build_main()
    return python("tests/bench/test_*.py")


SUITES = {"unit": suite_unit, "unit-asan": suite_unit_asan, "race": suite_race, "checks": suite_checks,
          "lint": suite_lint, "tools": suite_tools, "differential": suite_differential, "boot": suite_boot,
          "model": suite_model, "fuzz": suite_fuzz, "mutation": suite_mutation, "sdk": suite_sdk,
          "bench": suite_bench}
PARALLEL = 2  # programs of one suite at a time: most of them wait for a machine


# ---- running ----
class Outcome:
    """What one test program said."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.planned = name, 0, 0, 0, None
        self.failures = []  # lines to show
        self.counts = []
        self.seconds = 0.0

    def read(self, output):
        diagnosing = False
        for line in output.splitlines():
            line = line.strip()
            plan = re.match(r"1\.\.(\d+)", line)
            result = RESULT.match(line)
            if plan:
                self.planned = int(plan[1])
            elif result:
                diagnosing = bool(result[1])
                self.failed += diagnosing
                self.skipped += not diagnosing and "# SKIP" in line.upper()
                self.passed += not diagnosing
                if diagnosing:
                    self.failures.append(f"not ok - {result[2]}")
            elif line.startswith("# count:"):
                self.counts.append(line[2:])
            elif diagnosing and not re.match(r"#( Running .*)?$", line) and line:
                self.failures.append("    " + line.removeprefix("# "))

    def judge(self, status, errors):
        if self.planned != self.passed + self.failed:
            self.fault(f"plan {self.planned}, but {self.passed + self.failed} results", errors)
        elif status and not self.failed:
            self.fault(f"exit status {status}", errors)

    def fault(self, what, errors):
        self.failed += 1
        self.failures.append(f"not ok - {self.name}: {what}")
        self.failures += ["    " + line for line in errors.splitlines()[-60:]]


def contents(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def run_program(program):
    name, arguments = program
    outcome = Outcome(name)
    start = time.monotonic()
    environment = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1", PYTHONDONTWRITEBYTECODE="1",
                       LSAN_OPTIONS="suppressions=" + os.path.join(ROOT, "tests", "lsan.supp"))
    tap = arguments[-1].removeprefix("--tap=") if arguments[-1].startswith("--tap=") else None
    if tap and os.path.exists(tap):
        os.remove(tap)
    try:
        done = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=PROGRAM_LIMIT_S, env=environment)
        outcome.read(contents(tap) if tap else done.stdout)
        outcome.judge(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as expired:
        outcome.read((expired.stdout or b"").decode(errors="replace"))
        outcome.fault(f"not done within {PROGRAM_LIMIT_S} s", (expired.stderr or b"").decode(errors="replace"))
    except OSError as error:
        outcome.fault(f"cannot be run: {error}", "")
    outcome.seconds = time.monotonic() - start
    return outcome


def show(outcome):
    skipped = f", {outcome.skipped} of them skipped" if outcome.skipped else ""
    say(f"    {outcome.name}: {outcome.passed} passed{skipped}, {outcome.failed} failed ({outcome.seconds:.1f} s)")
    for line in outcome.counts:
        say("        " + line)
    for line in outcome.failures:
        say("        " + line)


def run_suite(suite):
    """Returns (passed, failed)."""
    say(f"{suite}:")
    try:
        programs = SUITES[suite]()
    except SetUp as error:
        say("    " + str(error).replace("\n", "\n    "))
        return 0, 1
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for outcome in pool.map(run_program, programs):
            show(outcome)
            passed += outcome.passed
            failed += outcome.failed
    return passed, failed


def main():
    passed = failed = 0
    say("counts: " + ("full" if FULL else "reduced (tests/run --full runs the full ones)"))
    for suite in sys.argv[1:]:
        more_passed, more_failed = run_suite(suite)
        passed += more_passed
        failed += more_failed
    say(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
