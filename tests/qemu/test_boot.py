# SPDX-License-Identifier: MIT
"""test_boot.py - the machine comes up on every way in, says so, and goes down when it is told to."""
import os
import subprocess

from harness import ROOT, boot, case, contains, equal, main


@case("a direct boot reaches the prompt")
def direct():
    with boot() as guest:
        contains(guest.run("version"), "elix")
        equal(guest.poweroff(), 0, "exit code")


@case("GRUB on a BIOS reaches the prompt", limit_s=180)
def bios():
    with boot("bios") as guest:
        contains(guest.run("version"), "elix")
        equal(guest.poweroff(3), 3, "exit code")


@case("GRUB on UEFI reaches the prompt", limit_s=300)
def uefi():
    with boot("uefi") as guest:
        contains(guest.run("version"), "elix")
        equal(guest.poweroff(123), 123, "exit code")


@case("qemu/run feeds a script through GRUB and returns the guest's code", limit_s=300)
def script():
    done = subprocess.run([os.path.join(ROOT, "qemu", "run")], input="lsmod\npoweroff 7\n", capture_output=True, text=True,
                          timeout=280)
    equal(done.returncode, 7, "exit status\n" + done.stderr)
    contains(done.stdout, "helix> lsmod")
    contains(done.stdout, "sched_rr")
    assert "\x1b" not in done.stdout, repr(done.stdout)


main()
