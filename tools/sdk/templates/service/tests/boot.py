# SPDX-License-Identifier: MIT
"""boot.py SDK PACK - sample in a machine: it answers, is swapped while it does, and goes on counting."""
import sys

sys.dont_write_bytecode = True
sdk, pack = sys.argv[1:]
sys.path.insert(0, sdk + "/qemu")
from guest import Guest, Machine  # noqa: E402

with Guest(Machine(kernel=sdk + "/kernel/helix.bin", initrd=pack, cmdline="color=off panic=exit")) as guest:
    def run(command, expected):
        output = "\n".join(guest.run(command))
        assert expected in output, f"{command}: no {expected!r} in:\n{output}"

    guest.boot()
    run("request sample 0", "sample 1.0: request 1")
    run("reload sample sample-next.hxm", "sample 1.0.0 -> 1.1.0")
    run("request sample 0", "sample 1.1: request 2")
    run("rollback sample", "reverted")
    run("request sample 0", "sample 1.0: request 2")
    assert guest.poweroff() == 0
