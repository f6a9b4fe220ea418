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


def processors(how, chipset):
    with boot(how, smp=4, extra=["-machine", chipset]) as guest:
        contains("\n".join(guest.boot_lines), "4 processors found, 4 used")
        assert not any("acpi:" in line for line in guest.boot_lines), guest.boot_lines
        lines = guest.run("cpus")
        equal([line.split()[:2] for line in lines[1:-1]], [[str(n), str(n)] for n in range(4)], "index and APIC id")
        for n, line in enumerate(lines[1:-1]):
            contains(line, f"runs the kernel as CPU {n}")
        equal(lines[-1], "4 processors found, 4 used", "last line")
        contains(guest.run("irq routes"), "GSI 8 edge high")
        equal(guest.poweroff(), 0, "exit code")


for how_, by in (("direct", "PVH"), ("bios", "GRUB on a BIOS"), ("uefi", "GRUB on UEFI")):
    for chipset_ in ("q35", "pc"):
        def one(how=how_, chipset=chipset_):
            processors(how, chipset)

        one.__name__ = f"processors_{how_}_{chipset_}"
        case(f"four processors of a {chipset_} are found, started by {by}", limit_s=300)(one)


for option_, used_ in (("cpus=1", 1), ("cpus=3", 3), ("cpus=9", 8), ("cpus=none", 8)):
    def limited(option=option_, used=used_):
        with boot(cmdline=option, smp=8) as guest:
            contains("\n".join(guest.boot_lines), f"8 processors found, {used} used")
            equal("cpus=none: expected a number" in "\n".join(guest.boot_lines), option == "cpus=none", "a complaint")
            lines = guest.run("cpus")
            equal(sum("runs the kernel" in line for line in lines), used, "who runs the kernel")
            equal(sum("enabled, not used" in line for line in lines), 8 - used, "who does not")
            equal(guest.poweroff(), 0, "exit code")

    limited.__name__ = "processors_" + option_.replace("=", "_")
    case(f"of eight processors {used_} are used with {option_}", limit_s=300)(limited)


@case("without ACPI the kernel goes on with one processor")
def no_acpi():
    with boot(smp=4, extra=["-machine", "pc,acpi=off"]) as guest:
        contains("\n".join(guest.boot_lines), "acpi: RSDP at 0: the boot loader names none; going on with one processor")
        contains(guest.run("cpus"), "1 processor found, 1 used")
        equal(guest.poweroff(), 0, "exit code")


@case("qemu/run feeds a script through GRUB and returns the guest's code", limit_s=300)
def script():
    done = subprocess.run([os.path.join(ROOT, "qemu", "run")], input="lsmod\npoweroff 7\n", capture_output=True, text=True,
                          timeout=280)
    equal(done.returncode, 7, "exit status\n" + done.stderr)
    contains(done.stdout, "helix> lsmod")
    contains(done.stdout, "sched_rr")
    assert "\x1b" not in done.stdout, repr(done.stdout)


main()
