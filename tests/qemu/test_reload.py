# SPDX-License-Identifier: MIT
"""test_reload.py - scheduler, driver and service replaced under running tasks, with nothing lost."""
import re
import time

from harness import boot, case, contains, equal, log, main, scratch
from views import all_advance, decisions, fixture, memory, raw_pack, shipped, swap, tasks, unload, wait_for


@case("three counting tasks survive sched_rr 1 -> 2 -> sched_prio -> 2, accounting carried over")
def scheduler():
    with boot() as guest:
        for name in "abc":
            contains(guest.run(f"spawn {name}"), "spawned")
        before = tasks(guest)
        numbers = {name: before[name][0] for name in "abc"}
        fallbacks = None
        ran = {}
        for command, old, new in [("reload sched_rr sched_rr-2.hxm", "sched_rr 1.0.0", "2.0.0"),
                                  ("reload sched_rr sched_prio.hxm", "sched_rr 2.0.0", "sched_prio 1.0.0"),
                                  ("reload sched_prio sched_rr-2.hxm", "sched_prio 1.0.0", "sched_rr 2.0.0")]:
            swap(guest, command, old, new)
            time.sleep(0.3)
            after = tasks(guest)
            for name in "abc":
                equal(after[name][0], numbers[name], f"number of task {name} after {command}")
                assert after[name][2] > before[name][2], f"{name} stands still after {command}: {before} {after}"
                m = re.search(r"ran ([\d.]+) ms", after[name][3])
                if m:
                    assert float(m[1]) >= ran.get(name, 0), f"accounting of {name} lost: {after}"
                    ran[name] = float(m[1])
            equal(set(after), set(before), "the tasks")
            before = after
            fallbacks = decisions(guest)[1:] if fallbacks is None else fallbacks
            equal(decisions(guest)[1:], fallbacks, "decisions by the core and wrong answers")
        equal(set(ran), set("abc"), "tasks with accounting")
        swaps = guest.run("swaps")
        for part in ("sched_rr 1.0.0 -> 2.0.0", "sched_rr 2.0.0 -> sched_prio 1.0.0", "sched_prio 1.0.0 -> sched_rr 2.0.0"):
            contains(swaps, part)
        equal(guest.poweroff(), 0, "exit code")


POLICIES = {"rr": ("sched_rr-2.hxm", "sched_rr", "2.0.0"), "prio": ("sched_prio.hxm", "sched_prio", "1.0.0"),
            "fair": ("sched_fair.hxm", "sched_fair", "1.0.0"), "edf": ("sched_edf.hxm", "sched_edf", "1.0.0")}


def ran_ms(guest):
    """What the policy's books say of each task that counts."""
    found = {name: re.search(r"ran ([\d.]+) ms", task[3]) for name, task in tasks(guest).items()
             if task[1] == "policy" and ":" not in name}
    assert all(found.values()), found
    return {name: float(m[1]) for name, m in found.items()}


@case("each of four schedulers takes over from each other while tasks count: books and tasks stay, the core never chooses")
def every_pair():
    tour = "rr prio rr fair rr edf prio fair prio edf fair edf rr".split()  # every ordered pair once
    with boot() as guest:
        swap(guest, "reload sched_rr sched_rr-2.hxm", "sched_rr 1.0.0", "2.0.0")
        for name in "abc":
            contains(guest.run(f"spawn {name}"), "spawned")
        all_advance(guest)
        by_core, numbers, before = decisions(guest)[1:], {n: t[0] for n, t in tasks(guest).items()}, ran_ms(guest)
        for old, new in zip(tour, tour[1:]):
            file, name, version = POLICIES[new]
            swap(guest, f"reload {POLICIES[old][1]} {file}", f"{POLICIES[old][1]} {POLICIES[old][2]}", f"{name} {version}")
            all_advance(guest)
            after = ran_ms(guest)
            for task, ran in before.items():
                assert after[task] > ran, f"{task}: {ran} ms with {old}, {after[task]} ms with {new}"
            before = after
            equal({n: t[0] for n, t in tasks(guest).items()}, numbers, "the tasks")
        equal(decisions(guest)[1:], by_core, "decisions by the core, wrong answers")
        equal(guest.poweroff(), 0, "exit code")


@case("sched_fair shares by weight, sched_edf promises what it can keep and says when it cannot")
def policies():
    with boot() as guest:
        swap(guest, "reload sched_rr sched_fair.hxm", "sched_rr 1.0.0", "sched_fair 1.0.0")
        for name, priority in (("light", 64), ("heavy", 191)):  # 191: just below those that ask for deadlines
            contains(guest.run(f"spawn {name} {priority}"), "spawned")
        time.sleep(2)
        ran = ran_ms(guest)
        share = ran["heavy"] / ran["light"]
        assert 3.2 < share < 4.8, f"{ran}: {share:.2f} times as much, not 4"
        contains(tasks(guest)["heavy"][3], "weight 508")
        swap(guest, "reload sched_fair sched_edf.hxm", "sched_fair 1.0.0", "sched_edf 1.0.0")
        for name in ("first", "second"):
            contains(guest.run(f"spawn {name} 255"), "spawned")
        found = tasks(guest)
        contains(found["first"][3], "8/16 of 20 ms")
        contains(found["second"][3], "no deadline: 8/16 taken")
        before, started = ran_ms(guest), time.monotonic()
        time.sleep(2)
        after, span_ms = ran_ms(guest), (time.monotonic() - started) * 1000
        assert all(after[name] > before[name] for name in after), f"one stands still: {before} {after}"
        got = (after["first"] - before["first"]) / span_ms
        assert 0.4 < got < 0.65, f"{got:.2f} of the CPU, not a half: {before} {after}"
        guest.run("kill " + str(found["first"][0]))
        guest.run("kill " + str(found["second"][0]))
        contains(guest.run("spawn third 255"), "spawned")
        contains(tasks(guest)["third"][3], "8/16 of 20 ms")
        equal(decisions(guest)[1:], (0, 0), "decisions by the core, wrong answers")
        equal(guest.poweroff(), 0, "exit code")


@case("a thousand keys are all there after svc_kv 1 -> 2 -> 1, byte for byte")
def service():
    with boot() as guest:
        contains(guest.run("kv fill 1000"), "1000 of them new")
        for command in ("reload svc_kv", "reload svc_kv svc_kv-2.hxm", "reload svc_kv svc_kv.hxm"):
            swap(guest, command, "svc_kv")
            contains(guest.run("kv verify 1000"), "1000 of 1000")
            contains(guest.run("kv count"), "1000 keys")
        contains(guest.run("lsmod"), "svc_kv           1.0.0    Running")
        equal(guest.poweroff(), 0, "exit code")


@case("constructors run, what only init needs is given back, and what it alone may write stays as it left it")
def lifetimes():
    with scratch() as folder:
        initrd = raw_pack(folder + "/p.cpio", [shipped("sched_rr")], [fixture("constructors"), fixture("lifetimes")])
        with boot(initrd=initrd) as guest:
            guest.run("insmod constructors.hxm")
            contains(guest.run("date"), "1970-01-01 00:20:34")  # 1234 s: who was called, a digit each
            guest.run("rmmod constructors")
            contains(guest.run("dmesg"), "destructor 102")
            before = memory(guest)
            guest.run("insmod lifetimes.hxm")
            pages = memory(guest)[3] - before[3]
            assert pages < 12, f"{pages} pages, and its init data alone has 16"
            swap(guest, "reload lifetimes lifetimes.hxm", "lifetimes")
            guest.run("date")
            contains(guest.run("lsmod"), "lifetimes        1.0.0    Running")
            contains(guest.run("dmesg"), "reverted to lifetimes")
            guest.run("rmmod lifetimes")
            equal(memory(guest), before, "memory afterwards")
            equal(guest.poweroff(), 0, "exit code")


def rtc(guest):
    """(accepted, served, pending, lost) of line 8, and the driver's own ticks."""
    m = re.search(r"drv_rtc +periodic +armed +(\d+) +(\d+) +(\d+) +(\d+)", "\n".join(guest.run("irq")))
    assert m
    ticks = re.search(r"(\d+) ticks", "\n".join(guest.run("date")))
    return tuple(map(int, m.groups())), int(ticks[1])


@case("the clock ticks on through ten swaps of drv_rtc, none counted twice")
def driver():
    with boot() as guest:
        last = 0
        for _ in range(10):
            swap(guest, "reload drv_rtc drv_rtc.hxm", "drv_rtc")
            (accepted, served, pending, lost), ticks = rtc(guest)
            equal((served, pending, lost), (accepted, 0, 0), "served, pending, lost")
            assert accepted <= ticks <= accepted + 2, f"{accepted} interrupts, {ticks} ticks"  # some come in between
            last, before = ticks, last
            assert ticks >= before
            time.sleep(0.05)
        assert last > 5, f"{last} ticks in half a second at 64 Hz"
        equal(guest.poweroff(), 0, "exit code")


@case("state converts on a CPU without the crc32 instruction too")
def old_cpu():
    with boot(extra=["-cpu", "qemu64"]) as guest:
        guest.run("kv fill 50")
        swap(guest, "reload svc_kv", "2.0.0")
        contains(guest.run("kv verify 50"), "50 of 50")
        equal(guest.poweroff(), 0, "exit code")


@case("commit and rollback end a probation by hand, and say so when there is none")
def by_hand():
    with boot(cmdline="probation_ms=100000") as guest:
        guest.run("kv put a one")
        swap(guest, "reload svc_kv", "2.0.0")
        guest.run("kv put a two")
        contains(guest.run("rollback svc_kv"), "1.0.0")
        contains(guest.run("kv get a"), "two")  # its record is the last commit's
        swap(guest, "reload svc_kv", "2.0.0")
        contains(guest.run("commit svc_kv"), "svc_kv")
        contains(guest.run("rollback svc_kv"), "no swap on probation")
        contains(guest.run("swaps"), "reverted")
        contains(guest.run("swaps"), "committed")
        equal(guest.poweroff(), 0, "exit code")


@case("state goes from version to version as it is declared, with no hook; a value out of range refuses, and nothing changes")
def declared_state():
    names = ("shelf_1", "shelf_2", "shelf_3")
    with scratch() as folder:
        path = raw_pack(folder + "/p.cpio", [shipped("sched_rr")], [fixture(name) for name in names])
        with boot(initrd=path, cmdline="probation_ms=0") as guest:
            contains(guest.run("insmod shelf_1.hxm"), "loaded shelf 1.0.0")
            wait_for(guest, "dmesg", "count 7 level 1 4 low -2")
            before = memory(guest)
            contains(guest.run("reload shelf shelf_3.hxm"), "state field level[3] is 4, which is out of its range")
            contains(guest.run("lsmod"), "shelf            1.0.0    Running")
            equal(memory(guest), before, "memory after a refusal")
            swap(guest, "reload shelf shelf_2.hxm", "shelf 1.0.0", "2.0.0")
            wait_for(guest, "dmesg", "used 7 level 1 4 300 low -2 quantum 10")
            contains(guest.run("reload shelf shelf_3.hxm"), "HX_STATE_DROPS")
            contains(guest.run("modinfo shelf"), "recorded")
            contains(guest.run("rmmod shelf"), "unloaded")
            contains(guest.run("insmod shelf_1.hxm tall=3"), "loaded shelf 1.0.0")
            swap(guest, "reload shelf shelf_3.hxm", "shelf 1.0.0", "3.0.0")
            equal(guest.poweroff(), 0, "exit code")


@case("a thousand reloads of each leave frames and heap as they were", limit_s=900)
def many():
    count = 1000
    log(f"count: {count}")
    with boot(cmdline="probation_ms=0") as guest:
        guest.run("kv fill 200")
        guest.run("spawn worker1")
        turns = [("sched_rr", ("sched_rr-2.hxm", "sched_rr.hxm")), ("svc_kv", ("svc_kv-2.hxm", "svc_kv.hxm")),
                 ("drv_rtc", ("drv_rtc.hxm", "drv_rtc.hxm"))]
        for module, files in turns:  # once there and back, so that all is made that stays
            for file in files:
                swap(guest, f"reload {module} {file}")
        before = memory(guest)
        for module, files in turns:
            for i in range(count):
                lines = guest.run(f"reload {module} {files[i % 2]}")
                assert any("blackout" in line for line in lines), (i, lines)
        equal(memory(guest), before, "frames, heap bytes, heap objects, image pages")
        contains(guest.run("kv verify 200"), "200 of 200")
        unload(guest, "sched_rr", "svc_kv", "svc_log", "drv_rtc")
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
