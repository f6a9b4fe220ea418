# SPDX-License-Identifier: MIT
"""test_record.py - what a module may not lose survives its crashes, hangs, restarts and reverts, and the restart says so."""
import re

from harness import boot, case, contains, equal, main, scratch
from views import fixture, pack, shipped

RESTARTED = r"%s: page fault.*: restarted from its record;"


def crash(guest, service, module):
    """Has the module crash, and waits until it runs again."""
    since = len(guest.screen.lines)
    contains(guest.run(f"request {service}"), "fault")
    guest.wait_line(RESTARTED % module, since=since)


def code(guest, command):
    return int(re.search(r"code (\d+)", guest.run(command)[0])[1])


@case("what was put into the store is there after a crash, after a restart, and after a new version has crashed")
def store():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("kv_crashes")], [fixture("kv_crashes_2")])
        with boot(initrd=initrd, smp=2) as guest:
            for n in range(10):
                contains(guest.run(f"kv put key{n} value{n}"), "stored")
            contains(guest.run("kv del key3"), "deleted")
            crash(guest, "crash 0", "svc_kv")
            equal(code(guest, "request kv 3"), 9, "keys after the crash")
            for n in range(10):
                contains(guest.run(f"kv get key{n}"), "not-found" if n == 3 else f"value{n}")
            contains(guest.run("swaps"), "restarted from its record after page fault")
            contains(guest.run("modinfo svc_kv"), ", 11 commits")
            contains(guest.run("kv put key3 again"), "stored")
            contains(guest.run("reload svc_kv kv_crashes_2.hxm"), "blackout")
            contains(guest.run("kv put late one"), "stored")
            since = len(guest.screen.lines)
            contains(guest.run("request crash 0"), "fault")
            guest.wait_line("svc_kv: page fault.*: reverted to svc_kv 1.0.0", since=since)
            contains(guest.run("kv get late"), "one")
            contains(guest.run("kv get key3"), "again")
            contains(guest.run("restart svc_kv"), "restarted from its record")
            equal(code(guest, "request kv 3"), 11, "keys in the end")
            contains(guest.run("kv get late"), "one")
            equal(guest.poweroff(), 0, "exit code")


@case("counts that were replied and the count in the record are the same, with a crash at each tenth call")
def counts():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("echo_crashes")], [])
        with boot(initrd=initrd, smp=2) as guest:
            for n in range(1, 101):
                equal(code(guest, "request echo 3"), n, "the count")
                if n % 10 == 0:
                    crash(guest, "crash 0", "svc_echo")
                    contains(guest.run("restart svc_echo"), "restarted from its record")  # and may crash again
            equal(guest.poweroff(), 0, "exit code")


@case("a call that hangs, or crashes in the middle of several puts, has put nothing, and others go on")
def hangs():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("account")], [])
        with boot(initrd=initrd, smp=2) as guest:
            equal(code(guest, "request account 0"), 1, "the count")
            since = len(guest.screen.lines)
            contains(guest.run("request account 8"), "fault")
            guest.wait_line("account: hang.*: restarted from its record;", since=since)
            equal(code(guest, "request account 1"), 1, "after a hang")
            for doing, kept in ((3, 1), (4, 1), (5, 2)):
                contains(guest.run("restart account"), "restarted from its record")
                crash(guest, f"account {doing}", "account")
                equal(code(guest, "request account 1"), kept, f"after a crash at {doing}")
            equal(code(guest, "request account 0"), 3, "in the end")
            equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
