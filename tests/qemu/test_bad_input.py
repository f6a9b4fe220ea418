# SPDX-License-Identifier: MIT
"""test_bad_input.py - what an enemy or a mistake may hand us: one clear line, the prompt, and nothing changed."""
import os

from harness import boot, built, case, contains, equal, main, mkmodpack, scratch
from views import fixture, memory, raw_pack, shipped

HELD = ["missing_symbol", "missing_dependency", "wrong_abi", "wrong_magic", "descriptor_missing", "descriptor_twice",
        "name_unterminated", "vtable_outside", "vtable_op_null", "hook_outside", "irq_taken", "ops_differ", "op_in_init",
        "constructor_faults", "types_struct", "types_import"]
# file: what its refusal says
SAYS = {"missing_symbol": "hx_no_such", "missing_dependency": "requires", "wrong_abi": "abi", "wrong_magic": "magic",
        "descriptor_missing": "descriptor", "descriptor_twice": ".hx.module", "name_unterminated": "name",
        "vtable_outside": "outside", "vtable_op_null": "outside", "hook_outside": "outside", "irq_taken": "drv_rtc",
        "ops_differ": "version", "op_in_init": "given back after init", "constructor_faults": "its constructor stumbles",
        "types_struct": "struct hx_message: its type differs from this kernel's; rebuild with this kernel's sdk",
        "types_import": "import hx_sleep_ns: its type differs from this kernel's"}
SCHED = {"sched_init_fails": "init", "sched_init_faults": "fault", "sched_load_refuses": "load",
         "sched_load_faults": "fault", "sched_start_fails": "start", "sched_check_fails": "check",
         "sched_field_dropped": "field"}


BASE = [shipped(name) for name in ("sched_rr", "drv_rtc", "svc_kv")]


@case("each bad module is refused by insmod in one line, and nothing is left of it")
def insmod():
    with scratch() as folder:
        with open(folder + "/text.hxm", "w", encoding="ascii") as text:
            text.write("#!/bin/sh\necho this is no module\n")
        with open(BASE[0], "rb") as whole, open(folder + "/half.hxm", "wb") as half:
            content = whole.read()
            half.write(content[:len(content) // 2])
        initrd = raw_pack(folder + "/p.cpio", BASE,
                          [fixture(name) for name in HELD] + [folder + "/text.hxm", folder + "/half.hxm"])
        with boot(initrd=initrd) as guest:
            guest.run("insmod missing_symbol.hxm")
            before = memory(guest)
            for name in HELD:
                lines = guest.run(f"insmod {name}.hxm")
                equal(len(lines), 1, f"lines for {name}: {lines}")
                contains(lines[0].lower(), SAYS[name])
                assert lines[0].startswith("insmod: "), lines
                equal(memory(guest), before, f"memory after {name}")
            contains(guest.run("insmod text.hxm"), "ELF")
            contains(guest.run("insmod half.hxm"), "insmod: half.hxm")
            equal(memory(guest), before, "memory after what is no module")
            contains(guest.run("kv put a b"), "stored")
            equal(guest.poweroff(), 0, "exit code")


@case("each bad successor of the scheduler is refused or taken back, the tasks go on")
def reloads():
    with scratch() as folder:
        initrd = raw_pack(folder + "/p.cpio", BASE, [fixture(name) for name in SCHED])
        with boot(initrd=initrd) as guest:
            guest.run("spawn a")
            guest.run("reload sched_rr sched_init_fails.hxm")
            before = memory(guest)
            for name, says in SCHED.items():
                contains("\n".join(guest.run(f"reload sched_rr {name}.hxm")).lower(), says)
                contains(guest.run("lsmod"), "sched_rr         1.0.0    Running")
                equal(memory(guest), before, f"memory after {name}")
            equal(guest.poweroff(), 0, "exit code")


@case("reload, rmmod and insmod of what is not there say so and name the nearest")
def unknown():
    with boot() as guest:
        before = memory(guest)
        for command, part in (("reload svc_kw", "svc_kv"), ("rmmod nobody", "nobody"), ("insmod nothing.hxm", "nothing"),
                              ("reload svc_kv nothing.hxm", "nothing"), ("modinfo nobody", "nobody"),
                              ("relaod svc_kv", "reload"), ("kill 999", "999"), ("swaps x", "swaps"),
                              ("poweroff 1000", "poweroff"), ("dmesg -l loud", "loud"), ("spawn a 256", "256"),
                              ("kv", "kv"), ("insmod sched_prio.hxm", "sched_rr"), ("rmmod", "rmmod")):
            contains(guest.run(command), part)
        equal(memory(guest), before, "memory")
        contains(guest.run("reloads off"), "off")
        contains(guest.run("reload svc_kv"), "reloads")
        contains(guest.run("lsmod"), "svc_kv           1.0.0")
        equal(guest.poweroff(), 0, "exit code")


@case("no initrd, an empty, a truncated and a corrupt one all end at the prompt with one line that says why")
def initrds():
    with open(built("initrd", "initrd.cpio"), "rb") as whole:
        good = whole.read()
    swapped = bytearray(good)
    swapped[0:6] = b"070702"
    cut_name = bytearray(good)
    cut_name[94:102] = b"ffffffff"
    with scratch() as folder:
        for name, content in (("truncated", good[:len(good) // 2]), ("header", good[:60]), ("magic", bytes(swapped)),
                              ("namesize", bytes(cut_name)), ("text", b"this is no archive at all\n" * 10)):
            path = f"{folder}/{name}.cpio"
            with open(path, "wb") as out:
                out.write(content)
            with boot(initrd=path) as guest:
                contains(guest.boot_lines, "initrd: ", name)
                equal(len([line for line in guest.run("lsmod") if "Running" in line]), 0, f"modules after {name}")
                contains(guest.run("kv get a"), "no-provider")
                equal(guest.poweroff(), 0, "exit code")


@case("a bad module in the initrd is reported and left out with what depends on it, the rest runs")
def bad_at_boot():
    with scratch() as folder:
        load = BASE + [fixture(name) for name in ("missing_symbol", "cycle_a", "cycle_b", "wrong_abi", "good_kv_user")]
        with boot(initrd=raw_pack(folder + "/p.cpio", load, [])) as guest:
            for part in ("missing_symbol.hxm", "cycle_a.hxm", "cycle_b.hxm", "cycle", "wrong_abi.hxm"):
                contains(guest.boot_lines, part)
            lines = guest.run("lsmod")
            for part in ("sched_rr", "drv_rtc", "svc_kv"):
                contains(lines, part)
            equal(guest.poweroff(), 0, "exit code")
        with boot(initrd=folder + "/p.cpio", cmdline="skip=svc_kv") as guest:
            contains(guest.boot_lines, "good_kv_user.hxm")
            assert "svc_kv " not in "\n".join(guest.run("lsmod"))
            equal(guest.poweroff(), 0, "exit code")


@case("boot options: safe loads nothing, skip= leaves out, a bad value is said and its default stays")
def options():
    with boot(cmdline="safe") as guest:
        assert not any("Running" in line for line in guest.run("lsmod"))
        equal(guest.poweroff(), 0, "exit code")
    with boot(cmdline="safe=and_sound") as guest:
        assert not any("Running" in line for line in guest.run("lsmod"))
        equal(guest.poweroff(), 0, "exit code")
    with boot(cmdline="skip=" + "nobody," * 30 + "drv_rtc loglevel=loud probation_ms=soon sfae") as guest:
        contains(guest.boot_lines, "loglevel=loud")
        contains(guest.boot_lines, "probation_ms=soon")
        contains(guest.boot_lines, "boot option sfae: unknown")
        contains(guest.boot_lines, "boot option skip=nobody: no module that the initrd loads is called so")
        assert "drv_rtc" not in "\n".join(guest.run("lsmod"))
        contains(guest.run("date"), "no-provider")
        equal(guest.poweroff(), 0, "exit code")


@case("mkmodpack refuses what the kernel would refuse, all findings at once")
def packer():
    with scratch() as folder:
        status, _, errors = mkmodpack("create", "-o", folder + "/p.cpio", *BASE, fixture("missing_symbol"),
                                      fixture("wrong_abi"))
        equal(status, 1, "exit status")
        contains(errors, "missing_symbol")
        contains(errors, "wrong_abi")
        assert not os.path.exists(folder + "/p.cpio")


if __name__ == "__main__":
    main()
