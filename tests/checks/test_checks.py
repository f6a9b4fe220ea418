# SPDX-License-Identifier: MIT
"""test_checks.py - the kernel built with its checks: locks, and in each swap of the scheduler whom the new one knows.

In that kernel a swap compares the tasks that the new version would say it has with the core's own books, before anything is
published (kernel/hotreload/audit.h). A version that loses a task must be found; those that do not must not, in a storm either.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "qemu"))
from harness import Guest, Machine, Panic, boot, built, case, contains, counted, main, scratch  # noqa: E402
from storms import expect_calm  # noqa: E402
from views import fixture, raw_pack, shipped  # noqa: E402

POLICIES = ("sched_rr-2", "sched_prio", "sched_fair", "sched_edf", "sched_rr")


@case("a scheduler that loses a task in its load is refused, by the task's name; those that ship follow one another")
def loses_a_task():
    with scratch() as folder:
        initrd = raw_pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("drv_rtc"), shipped("svc_kv")],
                          [fixture("sched_load_drops")] + [shipped(name) for name in POLICIES[:-1]])
        with boot(initrd=initrd, extra=["-smp", "2"]) as guest:
            for name in ("one", "two", "three"):
                guest.run(f"spawn {name}")
            said = "\n".join(guest.run("reload sched_rr sched_load_drops.hxm"))
            contains(said, "audit")
            contains(said, "is ready on CPU 0 for the kernel, and for the new version not at all")
            before = "sched_rr"
            for name in POLICIES:
                said = "\n".join(guest.run(f"reload {before} {name}.hxm"))
                contains(said, "probation")
                before = name.split("-")[0]


@case("a gate that is entered with a lock held is a panic")
def lock_across_gate():
    kernel = built("tests", "kernel", "helix-selftest.elf")
    with Guest(Machine(kernel=kernel, initrd="", cmdline="lock_across_gate")) as guest:
        try:
            guest.wait_end(60)
            raise AssertionError("nobody minded")
        except Panic:
            pass
        contains(guest.screen.lines, "panic: invalid opcode")  # before anything else was looked at


@case("a storm of swaps on four processors passes every check", limit_s=1800)
def storm():
    expect_calm(4, counted(200, 2000), 1, limit_s=1700)


if __name__ == "__main__":
    main()
