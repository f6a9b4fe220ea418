# SPDX-License-Identifier: MIT
"""test_traffic.py - tasks send, receive, select, hand over, clone and close, and are killed, while their services are swapped.

The work is the kernel's own (kernel/main/traffic.c, in the benchmark's kernel); here is what must come out of it. What went
wrong is in the log.
"""
import json

from harness import Ended, Guest, Machine, built, case, counted, equal, log, main, scratch
from views import fixture, pack, shipped

SERVICES = ["svc_traffic_a", "svc_traffic_b"]


def traffic(processors, seconds, seed):
    """What the kernel printed: (exit code, its last object, lines of complaints)."""
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr")] + [fixture(name) for name in SERVICES],
                      [fixture(name + "_2") for name in SERVICES])
        machine = Machine(cmdline=f"color=off panic=exit bench=traffic,{seconds},{seed}", initrd=initrd,
                          kernel=built("kernel", "helix-bench.bin"), extra=["-smp", str(processors)])
        with Guest(machine) as guest:
            try:
                guest.boot(seconds + 300)
                raise AssertionError("the traffic did not end the machine")
            except Ended as ended:
                code = ended.code
            lines = guest.screen.lines
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    assert objects, lines[-40:]
    log("\n".join(line[2:] for line in lines if line.startswith("# traffic")))
    return code, objects[-1], [line for line in lines if line.startswith("traffic: ")]


def expect_good(processors, seed):
    seconds = counted(20, 600)
    code, found, said = traffic(processors, seconds, seed)
    log(found)
    equal(said, [], "complaints")
    equal((code, found["cpus"], found["complaints"]), (0, processors, 0), "exit code, processors, complaints")
    for what in ("numbers", "receives", "selects", "random"):
        assert found[what] > 5 * seconds, f"{what}: {found}"
    for what in ("kills", "swaps", "closed"):
        assert found[what] > 1, f"{what}: {found}"


@case("whatever is done with channels while tasks are killed and services swapped, on two processors, nothing is lost",
      limit_s=1000)
def on_two():
    expect_good(2, seed=1)


@case("the same on four processors", limit_s=1000)
def on_four():
    expect_good(4, seed=2)


if __name__ == "__main__":
    main()
