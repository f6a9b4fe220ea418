# SPDX-License-Identifier: MIT
"""test_storm_cpus.py - tasks come and go on four processors, as fast as they can, while the scheduler is swapped under them.

The work is the kernel's own (kernel/main/storm.c, in the benchmark's kernel); here is what must come out of it. No clock of
instructions: the processors run side by side, and when something happens is chance. What went wrong is in the log.
"""
import json

from harness import Ended, Guest, Machine, built, case, counted, equal, log, main

REDUCED, SWAPS = 2000, 10000


def storm(processors, swaps, seed, limit_s):
    """What the kernel printed: (exit code, its last object, lines of complaints)."""
    machine = Machine(cmdline=f"color=off panic=exit bench=storm,{swaps},{seed}",
                      kernel=built("kernel", "helix-bench.bin"), extra=["-smp", str(processors)])
    with Guest(machine) as guest:
        try:
            guest.boot(limit_s)
            raise AssertionError("the storm did not end the machine")
        except Ended as ended:
            code = ended.code
        lines = guest.screen.lines
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    assert objects, lines[-20:]
    return code, objects[-1], [line for line in lines if line.startswith("storm: ")]


def expect_calm(processors, swaps, seed, limit_s):
    code, found, said = storm(processors, swaps, seed, limit_s)
    log(found)
    equal(said, [], "complaints")
    equal(code, 0, "exit code")
    equal((found["cpus"], found["swaps"]), (processors, swaps), "processors and swaps")
    equal((found["fallbacks"], found["bad_answers"]), (0, 0), "decisions by the core, wrong answers")
    return found


@case("thousands of swaps among four policies under a storm on four processors: nobody lost, nothing decided by the core",
      limit_s=3000)
def four():
    swaps = counted(REDUCED, SWAPS)
    found = expect_calm(4, swaps, 1, limit_s=2900)
    assert found["created"] > swaps and found["killed"] > swaps, found


@case("the same on two processors, and on eight", limit_s=900)
def two_and_eight():
    for processors in (2, 8):
        expect_calm(processors, counted(300, REDUCED), processors, limit_s=400)


if __name__ == "__main__":
    main()
