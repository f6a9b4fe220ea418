# SPDX-License-Identifier: MIT
"""test_pause.py - modules stand still and go on; they begin again, by hand, and once by themselves after a crash."""
import re
import time

from harness import boot, case, contains, equal, main, scratch
from views import fixture, pack, shipped, wait_for


def ticks(guest):
    """What the clock chip's driver has counted; asked of its accounts, because a paused driver does not answer."""
    row = next(line.split() for line in guest.run("irq") if re.match(r" +8 drv_rtc ", line))
    return int(row[row.index("armed") + 2])


def calls(guest, module, key):
    """How often a callback was called."""
    rows = [row.split() for row in guest.run("calls")]
    return int(next(row for row in rows if row[:2] == [module, key])[3])


@case("a paused driver's ticks and a paused module's tasks and timers stand still, and go on")
def stands_still():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("drv_rtc"), fixture("caller")], [])
        with boot(initrd=initrd) as guest:
            contains(guest.run("pause drv_rtc"), "drv_rtc is paused")
            contains(guest.run("pause caller"), "caller is paused")
            contains(guest.run("lsmod"), "Paused")
            contains(guest.run("pause caller"), "Paused already")
            contains(guest.run("reload drv_rtc"), "resume it first")
            contains(guest.run("pause sched_rr"), "cannot wait")
            keys = [("caller", "round"), ("caller", "beat")]
            before = (ticks(guest), [calls(guest, *key) for key in keys])
            time.sleep(0.5)
            equal((ticks(guest), [calls(guest, *key) for key in keys]), before, "while they are paused")
            contains(guest.run("date"), "paused", "who asks the driver")
            contains(guest.run("resume caller"), "goes on")
            contains(guest.run("resume drv_rtc"), "goes on")
            time.sleep(0.5)
            assert ticks(guest) > before[0] + 2, "the ticks do not go on"
            for key, count in zip(keys, before[1]):
                assert calls(guest, *key) > count, f"{key} does not go on"
            contains(guest.run("pause caller"), "paused")
            contains(guest.run("rmmod caller"), "unloaded")
            equal(guest.poweroff(), 0, "exit code")


@case("a service that crashes is restarted once by itself; after the next crash it is in Error until somebody restarts it")
def restarted_once():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("kv_faults_on_boom"), shipped("drv_rtc")], [])
        with boot(initrd=initrd) as guest:
            guest.run("kv put a b")
            since = len(guest.screen.lines)
            contains(guest.run("kv get boom"), "fault")
            guest.wait_line("svc_kv: page fault.*: restarted clean", since=since)
            contains(guest.run("kv put a c"), "stored")
            contains(guest.run("swaps"), "restarted clean after page fault")
            contains(guest.run("events hx.modules"), "restarted")
            contains(guest.run("kv get boom"), "fault")
            wait_for(guest, "lsmod", "Error")
            contains(guest.run("kv get a"), "module-failed")
            contains(guest.run("restart svc_kv"), "restarted")
            contains(guest.run("kv put a d"), "stored")
            assert re.search(r"svc_kv +1\.9\.0 +Running +- +\d+ +0 +2 ", "\n".join(guest.run("lsmod"))), guest.run("lsmod")
            contains(guest.run("restart drv_rtc"), "restarted")
            contains(guest.run("restart sched_rr"), "restarted")
            contains(guest.run("restart nobody"), "no such module")
            equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
