# SPDX-License-Identifier: MIT
"""storms.py - runs a storm (kernel/main/storm.c) and says what must come out of it, for the tests of more than one kernel."""
import json

from harness import Ended, Guest, Machine, built, equal, log


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
