# SPDX-License-Identifier: MIT
"""test_messages.py - numbered messages go through a service that is swapped, and crashes, meanwhile; none is lost.

The work is the kernel's own (kernel/main/messages.c, in the benchmark's kernel); here is what must come out of it. What went
wrong is in the log.
"""
import json

from harness import Ended, Guest, Machine, built, case, counted, equal, log, main, scratch
from views import fixture, pack, shipped

REDUCED, COUNT = 50000, 1000000
SWAP_EVERY, CRASH_EVERY = 1000, 10000


def messages(processors, options, boot_options, limit_s):
    """What the kernel printed: (exit code, its last object, lines of complaints)."""
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("svc_relay")], [fixture("svc_relay_2")])
        machine = Machine(cmdline=f"color=off panic=exit {boot_options} bench=messages,{options}", initrd=initrd,
                          kernel=built("kernel", "helix-bench.bin"), extra=["-smp", str(processors)])
        with Guest(machine) as guest:
            try:
                guest.boot(limit_s)
                raise AssertionError("the messages did not end the machine")
            except Ended as ended:
                code = ended.code
            lines = guest.screen.lines
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    assert objects, lines[-20:]
    return code, objects[-1], [line for line in lines if line.startswith("messages: ")]


def expect_all(processors, count, crash_every, limit_s, boot_options=""):
    options = f"{count},{SWAP_EVERY}" + (f",{crash_every}" if crash_every else "")
    code, found, said = messages(processors, options, boot_options, limit_s)
    log(found)
    equal(said, [], "complaints")
    equal(code, 0, "exit code")
    equal((found["cpus"], found["sent"]), (processors, count), "processors and messages")
    for what in ("lost", "doubled_without_error", "out_of_order", "wrong_checksum", "wrong_reply"):
        equal(found[what], 0, what)
    equal(found["ok"] + found["errors"], count, "outcomes")
    equal(found["received"] - found["doubled"] - found["received_with_error"], found["ok"], "received of those answered")
    assert found["swaps"] >= count // SWAP_EVERY - 2, found
    assert found["late"] > count // 20, found
    return found


def swapped(processors, limit_s):
    found = expect_all(processors, counted(REDUCED, COUNT), 0, limit_s)
    equal((found["errors"], found["doubled"], found["crashes"]), (0, 0, 0), "errors, doubled messages, crashes")


def crashing(processors, limit_s, count=counted(REDUCED, COUNT), every=counted(CRASH_EVERY // 4, CRASH_EVERY), boot_options=""):
    found = expect_all(processors, count, every, limit_s, boot_options)
    assert found["crashes"] >= count // every - 2, found
    assert 0 < found["restarts"] + found["reloads"] < found["crashes"], found  # the others: back to what ran before, on probation
    assert found["errors"] >= found["crashes"], found
    return found


@case("messages between two producers and two consumers, on two processors, through a service that is swapped: none lost",
      limit_s=3000)
def swapped_on_two():
    swapped(2, limit_s=2900)


@case("the same on four processors", limit_s=3000)
def swapped_on_four():
    swapped(4, limit_s=2900)


@case("the service crashes as well, on two processors: none lost or doubled without an error to its sender", limit_s=3000)
def crashing_on_two():
    found = crashing(2, limit_s=2900)
    assert found["restarts"] > 0, found


@case("the same on four processors, crashing", limit_s=3000)
def crashing_on_four():
    found = crashing(4, limit_s=2900)
    assert found["restarts"] > 0, found


@case("the same where nothing restarts it: it is loaded anew, and its channel is another each time", limit_s=3000)
def crashing_for_good():
    found = crashing(2, limit_s=2900, count=REDUCED, every=CRASH_EVERY // 4, boot_options="restart=off")
    equal(found["restarts"], 0, "restarts")


if __name__ == "__main__":
    main()
