# SPDX-License-Identifier: MIT
"""test_declared.py - tasks, channels and services that modules declare, on two processors, while their modules are replaced."""
import re

from harness import boot, case, contains, equal, main, scratch
from views import fixture, memory, pack, shipped


def served(guest, module, key):
    """How often the callback was called, by the console."""
    rows = [row.split() for row in guest.run("calls")]
    row = next(row for row in rows if row[:2] == [module, key])
    assert "ended" not in row, "\n".join(guest.run("dmesg"))
    return int(row[3])


def ask(guest, code, text=""):
    """What the service replies."""
    answer = "\n".join(guest.run(f"request echo {code} {text}".strip()))
    found = re.search(r"reply in \d+ us, code \d+: (.*)", answer)
    assert found, answer
    return found[1]


@case("who talks to a service and by a channel notices nothing of ten swaps of the other side")
def swaps():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_echo"), fixture("echo_user")],
                      [shipped("svc_echo-2")])
        with boot(initrd=initrd, smp=2, cmdline="probation_ms=0") as guest:
            contains(ask(guest, 0, "hello"), "hello", "at once")
            contains(ask(guest, 1, "later"), "later", "later")
            for turn in range(10):
                before = served(guest, "echo_user", "ping")
                file = "svc_echo.hxm" if turn % 2 else "svc_echo-2.hxm"
                contains(guest.run(f"reload svc_echo {file}"), "blackout")
                contains(ask(guest, 2), "01" if turn % 2 else "02", "who answers")
                contains(ask(guest, 1, f"turn-{turn}"), f"turn-{turn}", "later")
                assert served(guest, "echo_user", "ping") > before, "the task stands still"
            since = len(guest.screen.lines)
            guest.run("rmmod svc_echo")
            guest.wait_line("echo_user: task ping ends", limit_s=60, since=since)
            contains(guest.run("request echo 0"), "echo", "nobody serves it")
            guest.run("rmmod echo_user")
            equal(len(guest.run("calls")), 1, "what is left, with its heading")
            equal(guest.poweroff(), 0, "exit code")


@case("a module calls every export, as it is meant and as it is not")
def calls_all():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr")], [fixture("calls_all")])
        with boot(initrd=initrd, smp=2) as guest:
            before = memory(guest)
            contains(guest.run("insmod calls_all.hxm"), "calls_all")
            for part in range(8):
                answer = "\n".join(guest.run(f"request calls_all {part}"))
                assert re.search(r"reply in \d+ us, code 0:", answer), f"part {part}, code is a line of calls_all.c: {answer}"
            guest.run("rmmod calls_all")
            equal(memory(guest), before, "frames, heap bytes, heap objects, image pages")
            equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
