# SPDX-License-Identifier: MIT
"""test_resources.py - what a module may have: memory at load and swap, CPU time of its tasks, a share of pools; what is told."""
import re
import time

from harness import boot, case, contains, equal, main, scratch
from views import all_advance, fixture, pack, shipped, swap


def shares(guest, module):
    """What `res MODULE` says: resource -> (allocated, used, quota, throttled)."""
    found = {}
    for line in guest.run(f"res {module}"):
        words = line.split()
        if len(words) == 6 and words[0] == module:
            found[words[1]] = (words[2], words[3], words[4], int(words[5]))
    return found


def cpu_ms(guest):
    """The CPU time of each task, as ps has it."""
    found = {}
    for line in guest.run("ps"):
        m = re.match(r"\s*\d+ (\S+)\s+(?:policy|core|idle)\s+\S+\s+\d+\s+\d+\s+([\d.]+)", line)
        if m:
            found[m[1]] = float(m[2])
    return found


def expect_share(guest, least, most, seconds):
    """Of what the two tasks run. Who runs while the host is away is charged for that: so a busy host gets more than one turn."""
    shares_seen = []
    while len(shares_seen) < 5:
        before = cpu_ms(guest)
        time.sleep(seconds)
        after = cpu_ms(guest)
        limited, free = (after[name] - before[name] for name in ("limited", "free"))
        shares_seen.append(limited / (limited + free))
        if least < shares_seen[-1] < most:
            return
    raise AssertionError(f"limited gets {shares_seen} of what the two run, not {least} to {most}")


@case("a task of a module over its CPU quota gets about its share of what ran, and the others the rest")
def cpu_quota():
    with boot() as guest:
        contains(guest.run("quota svc_kv cpu=20%"), "svc_kv: cpu=20%")
        contains(guest.run("spawn limited 128 svc_kv"), "spawned")
        contains(guest.run("spawn free 128"), "spawned")
        time.sleep(1.5)  # the burst
        expect_share(guest, 0.12, 0.28, 4)
        after = cpu_ms(guest)
        allocated, used, quota, throttled = shares(guest, "svc_kv")["cpu"]
        equal(quota, "20%", "the quota")
        assert throttled > 3, f"throttled {throttled} times"
        assert float(used.removesuffix("ms")) >= after["limited"] - 20, f"{used} used, {after}"
        contains(guest.run("quota svc_kv cpu=none"), "svc_kv: cpu=none")
        expect_share(guest, 0.4, 0.6, 2)
        swap(guest, "reload svc_kv svc_kv-2.hxm", "svc_kv")
        all_advance(guest)
        contains(guest.run("rmmod svc_kv"), "svc_kv")
        assert "limited" not in cpu_ms(guest), "its task has not gone with it"
        equal(guest.poweroff(), 0, "exit code")


@case("a load and a swap over the memory quota are refused, saying how much is asked for and left; what ran goes on")
def memory_quota():
    with boot() as guest:
        contains(guest.run("kv fill 100"), "100 of them new")
        allocated = int(shares(guest, "svc_kv")["memory"][0])
        assert allocated > 10000, f"{allocated} bytes"
        contains(guest.run(f"quota svc_kv memory={allocated + 100}"), "memory=")
        said = guest.run("reload svc_kv svc_kv-2.hxm")
        contains(said, "over-quota")
        contains(said, "are 100 left")
        contains(said, "beside the version that runs")
        contains(guest.run("kv verify 100"), "100 of 100")
        contains(guest.run("quota svc_kv memory=none"), "memory=none")
        swap(guest, "reload svc_kv svc_kv-2.hxm", "svc_kv")
        contains(guest.run("kv verify 100"), "100 of 100")
        contains(guest.run("rmmod svc_kv"), "svc_kv")
        said = guest.run("insmod svc_kv.hxm quota.memory=4K")
        contains(said, "over-quota")
        contains(said, "its quota of 4096")
        contains(guest.run("insmod svc_kv.hxm quota.memory=1M quota.cpu=50%"), "svc_kv")
        found = shares(guest, "svc_kv")
        equal((found["memory"][2], found["cpu"][2]), ("1048576", "50%"), "quotas")
        contains(guest.run("quota svc_kv spoons=1"), "not-found")
        contains(guest.run("quota nobody memory=1"), "nobody")
        contains(guest.run("res"), "RESOURCE")
        equal(guest.poweroff(), 0, "exit code")


def rows_of(guest, command, pattern, limit_s=20):
    """The rows of what @command prints that match, as soon as there are some: who publishes waits for nobody."""
    end = time.monotonic() + limit_s
    while True:
        found = [m for m in (re.search(pattern, line) for line in guest.run(command)) if m]
        if found or time.monotonic() > end:
            return found


@case("the owner makes a pool; a module takes of it within its quota and gives back; a swap keeps what it has, its end does not")
def pools():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("hoarder")], [])
        with boot(initrd=initrd, cmdline="probation_ms=0") as guest:
            contains(guest.run("request hoarder 0 licences"), "not-found")
            contains(guest.run("pool licences"), "say NAME=AMOUNT")
            contains(guest.run("pool licences=5"), "pool: licences=5")
            contains(guest.run("pool licences=6"), "exist")
            contains(guest.run("request hoarder 0 memory"), "denied")
            for count in (1, 2, 3):
                contains(guest.run("request hoarder 0 licences"), f"code {count}:")
            contains(guest.run("request hoarder 3 licences"), "code 2:")
            equal(shares(guest, "hoarder")["licences"], ("3", "3", "none", 0), "what it has, uses, may have")
            contains(guest.run("res hoarder"), "1 of licences, 1 used")
            contains(guest.run("quota hoarder licences=3"), "licences=3")
            for _ in range(2):
                contains(guest.run("request hoarder 0 licences"), "over-quota")
            equal(shares(guest, "hoarder")["licences"], ("3", "3", "3", 1), "what it has, uses, may have")
            equal(len(rows_of(guest, "events hx.security", r"resource +\S+ +hoarder over its quota of licences")), 1, "events")
            contains(guest.run("reload hoarder"), "blackout")
            contains(guest.run("request hoarder 2 licences"), "code 3:")
            contains(guest.run("request hoarder 1"), "code 2:")
            capability = next(line.split()[0] for line in guest.run("caps hoarder") if "resource:licences" in line)
            contains(guest.run(f"revoke {capability}"), "revoked")
            contains(guest.run("request hoarder 0 licences"), "denied")
            contains(guest.run("request hoarder 2 licences"), "code 2:")
            contains(guest.run("request hoarder 7 100"), "not-found")
            contains(guest.run("pool io=1M"), "pool: io=1M")
            contains(guest.run("quota hoarder io=10"), "io=10")
            wait_ms = int(re.search(r"code (\d+):", guest.run("request hoarder 7 150")[0])[1])
            assert 13000 < wait_ms <= 14000, f"{wait_ms} ms for 140 bytes at 10 a second"
            equal(shares(guest, "hoarder")["io"][2:], ("10", 1), "quota and throttled")
            contains(guest.run("rmmod hoarder"), "unloaded")
            row = next(line.split() for line in guest.run("res") if line.startswith("licences"))
            equal(row, ["licences", "5", "5", "0"], "the pool")
            equal(guest.poweroff(), 0, "exit code")


@case("memory that runs short is told of, and that there is enough again")
def pressure():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("hoarder")], [])
        with boot(initrd=initrd, memory="128M") as guest:
            equal(rows_of(guest, "events hx.memory", "pressure", 0), [], "events")
            for count in range(1, 64):
                contains(guest.run(f"request hoarder 4 {count}"), f"code {count}:")
                found = rows_of(guest, "events hx.memory", r"pressure +\S+ +scarce (\d+)", 0)
                if found:
                    break
            assert found and int(found[0][1]) > 0, "memory is never scarce"
            contains(guest.run("request hoarder 5"), "code 0:")
            enough = rows_of(guest, "events hx.memory", r"pressure +\S+ +enough (\d+)")
            assert int(enough[0][1]) > int(found[0][1]), "fewer frames are free than before"
            equal(guest.poweroff(), 0, "exit code")


@case("seconds are told while somebody listens, each once, and no longer")
def seconds():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), fixture("hoarder")], [])
        with boot(initrd=initrd) as guest:
            end = time.monotonic() + 60
            while int(re.search(r"code (\d+)", guest.run("request hoarder 6")[0])[1]) < 3:
                assert time.monotonic() < end, "no second is heard of"
            contains(guest.run("rmmod hoarder"), "unloaded")
            last = int(rows_of(guest, "events hx.time -n 1", r"second (\d+)")[0][1])
            numbers = [int(m[1]) for m in rows_of(guest, "events hx.time -n 3", r"timer +\S+ +second (\d+)")]
            equal(numbers, list(range(numbers[0], numbers[0] + 3)), "seconds")
            time.sleep(3)
            then = int(rows_of(guest, "events hx.time -n 1", r"second (\d+)")[0][1])
            assert then <= last + 1, f"second {then} is told of, though nobody has listened since {last}"
            equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
