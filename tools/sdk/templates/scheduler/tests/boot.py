# SPDX-License-Identifier: MIT
"""boot.py SDK PACK - sample in a machine of two processors: it is swapped under running tasks, for itself and for others."""
import re
import sys
import time

sys.dont_write_bytecode = True
sdk, pack = sys.argv[1:]
sys.path.insert(0, sdk + "/qemu")
from guest import Guest, Machine  # noqa: E402

with Guest(Machine(kernel=sdk + "/kernel/helix.bin", initrd=pack, cmdline="color=off panic=exit", smp=2)) as guest:
    def run(command, expected):
        output = "\n".join(guest.run(command))
        assert expected in output, f"{command}: no {expected!r} in:\n{output}"
        return output

    def counters():
        found = re.findall(r"^ *\d+ (one|two|three) .* (\d+)$", "\n".join(guest.run("ps")), re.MULTILINE)
        return {name: int(value) for name, value in found}

    def work():
        """All three get on, soon."""
        before = after = counters()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not all(after[name] > before[name] for name in before):
            time.sleep(0.1)
            after = counters()
        assert len(before) == 3 and all(after[name] > before[name] for name in before), f"{before}, then {after}"

    guest.boot()
    for name in ("one", "two", "three"):
        run(f"spawn {name}", f"{name} priority")
    work()
    run("reload sample sample-next.hxm", "sample 1.0.0 -> 1.1.0")
    run("ps", "sample 1.1: priority")
    work()
    run("reload sample sched_rr.hxm", "sample 1.1.0 -> sched_rr")
    work()
    run("reload sched_rr sample.hxm", "-> sample 1.0.0")
    work()
    run("sched", "sample")
    assert guest.poweroff() == 0
