# SPDX-License-Identifier: MIT
"""test_sweep.py - the scheduler is swapped at one instruction after another of a fixed workload, which does not notice.

The work is the kernel's own (kernel/main/sweep.c, in the benchmark's kernel); here is what must come out of it.
"""
import json

from harness import Ended, Guest, Machine, built, case, counted, equal, log, main

LEAST = 2000
# A nanosecond is an instruction, so the same run can be had again.
CLOCK = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm,base=2026-01-01T00:00:00"]


def sweep(options, limit_s):
    """What the kernel printed: (exit code, objects by name, lines of deviations)."""
    machine = Machine(cmdline=f"color=off panic=exit seed=1 bench=sweep,{options}",
                      kernel=built("kernel", "helix-bench.bin"), extra=list(CLOCK))
    with Guest(machine) as guest:
        try:
            guest.boot(limit_s)
            raise AssertionError("the sweep did not end the machine")
        except Ended as ended:
            code = ended.code
        lines = guest.screen.lines
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    return code, objects, [line for line in lines if line.startswith("sweep: ")]


@case("wherever in the workload the scheduler is swapped for whichever other, its digest is the same", limit_s=1800)
def everywhere():
    count = counted(2500, 20000)
    code, objects, said = sweep(count, limit_s=1700)
    for item in objects:
        log(item)
    equal(said, [], "deviations")
    equal(code, 0, "exit code")
    found = objects[-1]
    equal((found["name"], found["runs"], found["deviations"]), ("sweep", count, 0), "the sweep")
    assert found["offsets"] >= LEAST, f"{found['offsets']} different instructions, not {LEAST}"
    equal(found["in_tasks"] + found["in_core"] + found["idle"], count, "where the timer hit")


@case("a run of the sweep can be had alone, with the same digest")
def alone():
    digests = set()
    for number in (7, 1234):
        code, objects, said = sweep(f"2500,{number}", limit_s=100)
        equal((code, said, objects[-1]["runs"]), (0, [], 1), "one run")
        digests.add(objects[-1]["digest"])
    equal(len(digests), 1, "digests")


if __name__ == "__main__":
    main()
