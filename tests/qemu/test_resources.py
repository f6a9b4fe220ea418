# SPDX-License-Identifier: MIT
"""test_resources.py - what a module may have: memory at load and swap, and the CPU time of its tasks."""
import re
import time

from harness import boot, case, contains, equal, main
from views import all_advance, swap


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


@case("a task of a module over its CPU quota gets about its share of what ran, and the others the rest")
def cpu_quota():
    with boot() as guest:
        contains(guest.run("quota svc_kv cpu=20%"), "svc_kv: cpu=20%")
        contains(guest.run("spawn limited 128 svc_kv"), "spawned")
        contains(guest.run("spawn free 128"), "spawned")
        time.sleep(1.5)  # the burst
        before = cpu_ms(guest)
        time.sleep(4)
        after = cpu_ms(guest)
        limited, free = (after[name] - before[name] for name in ("limited", "free"))
        share = limited / (limited + free)
        assert 0.12 < share < 0.28, f"{share:.2f} of what the two ran, not 0.2: {before} {after}"
        allocated, used, quota, throttled = shares(guest, "svc_kv")["cpu"]
        equal(quota, "20%", "the quota")
        assert throttled > 3, f"throttled {throttled} times"
        assert float(used.removesuffix("ms")) >= after["limited"] - 20, f"{used} used, {after}"
        contains(guest.run("quota svc_kv cpu=none"), "svc_kv: cpu=none")
        before = cpu_ms(guest)
        time.sleep(2)
        after = cpu_ms(guest)
        limited, free = (after[name] - before[name] for name in ("limited", "free"))
        assert 0.4 < limited / (limited + free) < 0.6, f"without a quota: {before} {after}"
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


if __name__ == "__main__":
    main()
