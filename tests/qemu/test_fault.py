# SPDX-License-Identifier: MIT
"""test_fault.py - modules that break: unwound, reverted or set aside, while the machine goes on."""
import re
import time

from harness import Panic, boot, case, contains, equal, main, scratch
from views import all_advance, decisions, fixture, pack, shipped, wait_for


@case("a scheduler that faults 50 ms after its publication is reverted with the state of the swap")
def fault_later():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr")], [fixture("sched_fault_later")])
        with boot(initrd=initrd) as guest:
            for name in "abc":
                guest.run(f"spawn {name}")
            contains(guest.run("reload sched_rr sched_fault_later.hxm"), "blackout")
            wait_for(guest, "swaps", "reverted")
            contains(guest.run("swaps"), "page fault: read of unmapped 0x0")
            contains(guest.run("lsmod"), "sched_rr         1.0.0    Running")
            contains(guest.run("dmesg"), "reverted to sched_rr 1.0.0")
            all_advance(guest)
            equal(guest.poweroff(), 0, "exit code")


@case("a scheduler that faults at its first pick is reverted; one that gives wrong answers is overruled, and at last reverted")
def fault_at_once():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr")],
                      [fixture("sched_fault_at_once"), fixture("sched_wrong_answers")])
        with boot(initrd=initrd, cmdline="probation_ms=60000") as guest:
            for name in "abc":
                guest.run(f"spawn {name}")
            guest.run("reload sched_rr sched_fault_at_once.hxm")
            wait_for(guest, "swaps", "reverted")
            all_advance(guest)
            since = len(guest.screen.lines)
            guest.run("reload sched_rr sched_wrong_answers.hxm")
            guest.wait_line("16 wrong answers within a second: reverted to sched_rr 1.0.0", since=since)
            all_advance(guest)
            assert decisions(guest)[1] >= 16, "the wrong answers were heeded"
            equal(guest.poweroff(), 0, "exit code")


@case("a service that faults returns an error to its caller and is reverted; without a predecessor it is in Error")
def service_fault():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("svc_kv")], [fixture("kv_faults_on_boom")])
        with boot(initrd=initrd, cmdline="restart=off") as guest:
            guest.run("kv fill 100")
            guest.run("reload svc_kv kv_faults_on_boom.hxm")
            since = len(guest.screen.lines)
            contains(guest.run("kv get boom"), "fault")
            wait_for(guest, "swaps", "reverted")
            frame = r"\+0x[0-9a-f]+/0x[0-9a-f]+ \(svc_kv\)"
            guest.wait_line(rf"svc_kv: backtrace: read_nowhere{frame} < get{frame}$", since=since)
            guest.wait_line(rf"page fault: read of unmapped 0x0 in read_nowhere{frame}: reverted", since=since)
            contains(guest.run("kv verify 100"), "100 of 100")
            guest.run("rmmod svc_kv")
            guest.run("insmod kv_faults_on_boom.hxm")
            contains(guest.run("kv get boom"), "fault")
            wait_for(guest, "lsmod", "Error")
            contains(guest.run("kv get other"), "module-failed")
            contains(guest.run("rmmod svc_kv"), "unloaded")
            contains(guest.run("insmod svc_kv.hxm"), "loaded")
            contains(guest.run("kv put a b"), "stored")
            equal(guest.poweroff(), 0, "exit code")


@case("a driver whose interrupt handler faults is reverted, and the clock ticks on")
def handler_fault():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("drv_rtc")], [fixture("irq_handler_faults")])
        with boot(initrd=initrd) as guest:
            guest.run("reload drv_rtc irq_handler_faults.hxm")
            wait_for(guest, "swaps", "reverted")
            contains(guest.run("lsmod"), "drv_rtc          1.0.0    Running")
            ticks = re.search(r"(\d+) ticks", guest.run("date")[0])
            time.sleep(0.3)
            later = re.search(r"(\d+) ticks", guest.run("date")[0])
            assert int(later[1]) > int(ticks[1]), (ticks[0], later[0])
            equal(guest.poweroff(), 0, "exit code")


@case("a panic prints registers, a symbolised backtrace, modules and the log, and ends the machine")
def panic():
    with boot() as guest:
        try:
            guest.run("panic on purpose")
        except Panic as ended:
            text = str(ended) + "\n".join(guest.kernel_lines()) + "\n" + "\n".join(guest.tail(80))
            for part in ("panic: on purpose", "panic: in task console on CPU 0", "rip", "rsp", "backtrace",
                         "modules:", "sched_rr", "round-robin scheduler"):
                contains(text, part)
            # hx_panic() does not return, so that the call of it may be the last instruction of its function.
            for name in ("hx_panic", "cmd_panic", "hx_command_run"):
                assert re.search(rf"#\d+ 0x[0-9a-f]{{16}} {name}(\.\w+)*\+0x[0-9a-f]+/0x[0-9a-f]+$", text, re.M), name
            return
        raise AssertionError("no panic")


main()
