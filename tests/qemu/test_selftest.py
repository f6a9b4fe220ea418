# SPDX-License-Identifier: MIT
"""test_selftest.py - the kernel of tests/kernel judges paging, faults and unwinding on the machine; its cases are ours.

The machines run before the first line is said, because the plan is the guests'.
"""
import re

from harness import Failure, Guest, Machine, Panic, built, case, equal, main

KERNEL = built("tests", "kernel", "helix-selftest.elf")
MACHINES = {
    "64 MiB": {"memory": "64M"},
    "2 GiB": {"memory": "2G"},
    "a plain CPU": {"extra": ["-cpu", "qemu64"]},
    "2 CPUs, after one that does not come": {"smp": 2, "cmdline": "seed=1 absent"},
    "4 CPUs": {"smp": 4},
    "8 CPUs": {"smp": 8},
    "4 CPUs in turns": {"smp": 4, "extra": ["-icount", "shift=0,sleep=off"]},
}
LIMIT_S = 240  # a host may have fewer CPUs
RESULT = re.compile(r"(not )?ok (\d+) - (.*)")


def run(machine):
    """Returns (lines of the console, exit code or None, why there is none)."""
    with Guest(Machine(kernel=KERNEL, initrd="", **{"cmdline": "seed=1", **machine})) as guest:
        try:
            return guest.screen.lines, guest.wait_end(LIMIT_S), None
        except Failure as failure:
            return guest.screen.lines, None, failure


def verdict(failed, diagnosis):
    def judge():
        assert not failed, diagnosis

    return judge


def adopt(where, lines, code, failure):
    """Makes each result of a guest a case, and one more of the whole: a plan kept, and an end that agrees."""
    failures = results = planned = 0
    for at, line in enumerate(lines):
        result = RESULT.fullmatch(line)
        if line.startswith("1.."):
            planned = int(line[3:])
        elif result:
            results += 1
            failures += bool(result[1])
            after = lines[at + 1] if at + 1 < len(lines) else ""
            case(f"{where}: {result[3]}")(verdict(result[1], after.removeprefix("# ")))

    @case(f"{where}: the self-test keeps its plan and ends with the number of its failures")
    def whole():
        assert failure is None, failure
        assert planned, "no plan\n" + "\n".join(lines)
        equal(results, planned, "results")
        equal(code, failures, "exit code")


@case("CPUs that panic at the same time leave one dump", limit_s=LIMIT_S)
def one_dump():
    with Guest(Machine(kernel=KERNEL, initrd="", cmdline="panic_everywhere", smp=4)) as guest:
        try:
            guest.wait_end(LIMIT_S)
        except Panic:
            pass
        equal(sum(line.startswith("panic: CPU") for line in guest.screen.lines), 1, "dumps")
        equal(guest.screen.lines[-1], "panic: powering off with code 101", "last line")


for name, options in MACHINES.items():
    adopt(name, *run(options))
main()
