# SPDX-License-Identifier: MIT
"""test_transaction.py - several modules replaced in one step: an interface's new major, all or none."""
import os
import time

from harness import boot, case, contains, equal, main, scratch
from views import fixture, memory, raw_pack, shipped, swap

BOTH = "reload depot depot_2.hxm --with shop=shop_2.hxm"


def start(folder, cmdline="probation_ms=100000"):
    """A kernel with depot 1 and shop 1 running, and a sum of 3 in the depot."""
    hold = [fixture(name) for name in ("depot_1", "depot_2", "depot_2_bad_check", "depot_2_cycle", "shop_1", "shop_2")]
    path = raw_pack(os.path.join(folder, "p.cpio"), [shipped("sched_rr")], hold)
    return boot(initrd=path, cmdline=cmdline)


def ready(guest, *parameters):
    guest.run("insmod depot_1.hxm")
    contains(guest.run(" ".join(("insmod shop_1.hxm", *parameters))), "loaded shop 1.0.0")
    contains(guest.run("kv put a 123"), "kv:")
    contains(guest.run("kv count"), "3 keys")


def runs(guest, version, total):
    lines = guest.run("lsmod")
    contains(lines, f"depot            {version}    Running")
    contains(lines, f"shop             {version}    Running")
    contains(guest.run("kv count"), f"{total} keys")


@case("provider and user go to a new major in one step, in either order, and back by hand or for good")
def together():
    with scratch() as folder, start(folder) as guest:
        ready(guest)
        contains(guest.run("reload depot depot_2.hxm"), "--with shop")
        runs(guest, "1.0.0", 3)
        for command in (BOTH, "reload shop --with depot"):
            lines = guest.run(command)
            contains(lines, "depot 1.0.0 -> 2.0.0")
            contains(lines, "shop 1.0.0 -> 2.0.0")
            guest.run("kv put a 12345")
            runs(guest, "2.0.0", 8)
            contains(guest.run("rollback depot"), "shop 1.0.0 -> 2.0.0")
            runs(guest, "1.0.0", 3)
        guest.run(BOTH)
        contains(guest.run("commit shop"), "depot 1.0.0 -> 2.0.0")
        contains(guest.run("rollback depot"), "no swap on probation")
        runs(guest, "2.0.0", 3)
        equal(guest.poweroff(), 0, "exit code")


@case("what fails for one is undone for both, and memory is as it was")
def undone():
    for fail, step in ((1, "init"), (2, "state"), (3, "start"), (4, "check"), (5, "start")):
        with scratch() as folder, start(folder) as guest:
            ready(guest, f"fail={fail}")
            guest.run("reload depot --with nobody")
            before = memory(guest)
            contains(guest.run(BOTH), f"shop: {step}: ")
            equal(memory(guest), before, f"memory after a failed {step}")
            runs(guest, "1.0.0", 3)
            contains(guest.run("swaps"), "with shop: ")
            equal(guest.poweroff(), 0, "exit code")


@case("a fault of either on probation takes both back")
def faults():
    with scratch() as folder, start(folder) as guest:
        ready(guest)
        for key in ("boom", "'depot boom'"):
            guest.run(BOTH)
            runs(guest, "2.0.0", 3)
            contains(guest.run(f"kv put {key} 1"), "fault")
            time.sleep(0.2)
            runs(guest, "1.0.0", 3)
        contains(guest.run("dmesg"), "reverted to depot 1.0.0 with it")
        contains(guest.run("dmesg"), "reverted to shop 1.0.0 with it")
        equal(guest.poweroff(), 0, "exit code")


@case("names that are unknown, given twice or require each other are refused, and nothing changes")
def refused():
    with scratch() as folder, start(folder) as guest:
        ready(guest)
        contains(guest.run("reload depot --with"), "expected")
        contains(guest.run("reload depot --with nobody"), "no such module")
        contains(guest.run("reload depot --with shop=nothing.hxm"), "no such file")
        contains(guest.run(BOTH + ",shop"), "named twice")
        contains(guest.run(BOTH + " --with depot"), "named twice")
        contains(guest.run("reload depot depot_2_cycle.hxm --with shop=shop_2.hxm"), "would require")
        contains(guest.run("reload depot depot_2_bad_check.hxm --with shop=shop_2.hxm"), "depot: check: ")
        runs(guest, "1.0.0", 3)
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
