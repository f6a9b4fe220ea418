# SPDX-License-Identifier: MIT
"""test_services.py - the services that ship: the key-value store by messages, the journal, and what the console sends by hand."""
import re
import time

from harness import boot, case, contains, equal, main, scratch
from views import fixture, pack, shipped


@case("the store answers requests and messages as it answers calls, in every version")
def store():
    with boot(smp=2, cmdline="probation_ms=0") as guest:
        contains(guest.run("kv put name Helix"), "stored")
        for file in ("svc_kv-2.hxm", "svc_kv.hxm", "svc_kv-2.hxm"):
            contains(guest.run("request kv 0 name"), "code 5: Helix")
            contains(guest.run("request kv 3"), "code 1")
            contains(guest.run("send svc_kv/kv name --request 0"), "4 bytes")
            contains(guest.run("receive svc_kv/kv"), "reply of svc_kv, code 5: Helix")
            contains(guest.run("reload svc_kv " + file), "blackout")
        contains(guest.run("request kv 0 other"), "not-found")
        contains(guest.run("send svc_kv/kv other --request 0"), "5 bytes")
        contains(guest.run("receive svc_kv/kv"), "error of svc_kv, code 3")
        contains(guest.run("request kv 2 name"), "code 0")
        contains(guest.run("kv get name"), "not-found")
        contains(guest.run("send svc_kv/kv name --request 0"), "4 bytes")
        contains(guest.run("reload svc_kv svc_kv.hxm"), "blackout")
        contains(guest.run("receive svc_kv/kv"), "error of svc_kv, code 3")
        equal(guest.poweroff(), 0, "exit code")


def served(guest, key):
    """How often a task of kv_messages was called; it has not ended."""
    row = next(row for row in map(str.split, guest.run("calls")) if row[:2] == ["kv_messages", key])
    assert "ended" not in row, "\n".join(guest.run("dmesg"))
    return int(row[3])


@case("three clients, by calls, by requests and by the channel, on four processors: each gets its own through twenty swaps")
def clients():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), fixture("kv_messages")],
                      [shipped("svc_kv-2")])
        with boot(initrd=initrd, smp=4, cmdline="probation_ms=0") as guest:
            ways = ("calls", "requests", "channel")
            for turn in range(20):
                before = {way: served(guest, way) for way in ways}
                contains(guest.run("reload svc_kv " + ("svc_kv.hxm" if turn % 2 else "svc_kv-2.hxm")), "blackout")
                for way in ways:
                    end = time.monotonic() + 20
                    while served(guest, way) == before[way]:
                        assert time.monotonic() < end, f"{way} stands still after swap {turn + 1}"
            contains(guest.run("rmmod kv_messages"), "unloaded")
            rest = int(re.search(r"code (\d+)", guest.run("request kv 3")[0])[1])
            assert rest <= 3, f"{rest} keys are left by three clients"
            equal(guest.poweroff(), 0, "exit code")


def spawn(guest, name):
    """The number of a new task that counts."""
    return int(re.match(r"spawned (\d+) ", guest.run(f"spawn {name}")[0])[1])


def journal(guest, count=1000, tells="", times=1, limit_s=20):
    """
    (rows as [time, topic, number, type, source, what], kept, last, lost), as soon as so many @times a row has what the pattern
    @tells: nobody who publishes waits for the journal, and a task that is killed ends when it runs.
    """
    end = time.monotonic() + limit_s
    while True:
        lines = guest.run(f"journal -n {count}")
        last = re.fullmatch(r"journal: (\d+) events kept of (\d+), (\d+) lost", lines[-1])
        assert last, lines
        if sum(re.search(tells, line) is not None for line in lines[1:-1]) >= times or time.monotonic() > end:
            return [line.split(None, 5) for line in lines[1:-1]], *map(int, last.groups())


@case("the journal has what happened to modules and tasks, in order, and goes on through swaps of whoever keeps it")
def keeps():
    with boot(smp=2, cmdline="probation_ms=0") as guest:
        counter = spawn(guest, "counter")
        contains(guest.run("reload svc_kv svc_kv-2.hxm"), "blackout")
        for _ in range(3):
            contains(guest.run("reload svc_log"), "blackout")
        contains(guest.run(f"kill {counter}"), "kill")
        journal(guest, tells="exited.* counter")
        contains(guest.run("reload svc_kv svc_kv.hxm"), "blackout")
        rows, kept, last, lost = journal(guest, tells="swapped.* svc_kv 1.0.0")
        equal((kept, lost), (last, 0), "kept and lost")
        equal([int(row[2]) for row in rows], list(range(1, last + 1)), "numbers")
        times = [float(row[0]) for row in rows]
        text = [" ".join((row[1], row[3], row[5])) for row in rows]
        story = [next(i for i, line in enumerate(text) if re.match(part, line)) for part in (
            "hx.tasks created counter", "hx.modules swapped svc_kv 2.0.0", "hx.modules swapped svc_log 1.0.0",
            "hx.tasks exited counter", "hx.modules swapped svc_kv 1.0.0")]
        equal(story, sorted(story), "the order")
        equal([times[i] for i in story], sorted(times[i] for i in story), "the times")
        rows, kept, _, _ = journal(guest, 2)
        equal((len(rows), kept > 2), (2, True), "the last two")
        contains(guest.run("rmmod svc_log"), "unloaded")
        contains(guest.run("journal"), "is svc_log loaded")
        equal(guest.poweroff(), 0, "exit code")


@case("many tasks come and go while the journal is replaced, and nobody waits for it")
def storm():
    with boot(smp=2, cmdline="probation_ms=0") as guest:
        for turn in range(10):
            numbers = [spawn(guest, f"t{turn}_{i}") for i in range(6)]
            contains(guest.run("reload svc_log"), "blackout")
            for number in numbers:
                contains(guest.run(f"kill {number}"), "kill")
        rows, kept, last, lost = journal(guest, tells=r"exited.* t\d+_\d", times=60)
        equal(kept, min(last, 256), "kept")
        created, exited = (sum(row[3] == kind and row[5].startswith("t") for row in rows) for kind in ("created", "exited"))
        equal((created, exited, lost), (60, 60, 0), "tasks that came, went, and events lost")
        equal(guest.poweroff(), 0, "exit code")


@case("events -f shows what happens as it does, until a key is pressed; topics counts it")
def follow():
    with boot(smp=2) as guest:
        since = len(guest.screen.lines)
        guest.send("events hx.time -f")
        guest.wait_line(r"hx.time +\d+ timer +\S+ +second \d+", since=since)
        guest.type(b"q")
        guest.wait(guest.screen.at_prompt, 20, "the prompt, after a key")
        row = next(line.split() for line in guest.run("topics") if line.startswith("hx.time"))
        assert row[1] == "kernel" and int(row[2]) >= 1 and row[3] == "0", row
        equal(guest.poweroff(), 0, "exit code")


@case("send and receive say what is wrong and what to do")
def refusals():
    with boot(cmdline="probation_ms=0") as guest:
        contains(guest.run("insmod svc_echo.hxm"), "svc_echo")
        contains(guest.run("help send"), "MODULE/KEY")
        contains(guest.run("send"), "expected `send CHANNEL TEXT [--request CODE]'")
        contains(guest.run("send svc_echo/ecko x"), "did you mean `svc_echo/echo'")
        contains(guest.run("send svc_echo x"), "give MODULE/KEY")
        contains(guest.run("send 999/0 x"), "no such channel")
        contains(guest.run("send svc_echo/echo " + 65 * "x"), "at most 64 bytes")
        contains(guest.run("send svc_echo/echo x --request many"), "give the number")
        contains(guest.run("receive svc_echo/echo --timeout soon"), "milliseconds")
        contains(guest.run("receive svc_echo/echo --timeout 10"), "nothing came")
        contains(guest.run("receive svc_echo/echo --timeout 0"), "timeout")
        contains(guest.run("send svc_echo/echo 'to and fro'"), "10 bytes")
        contains(guest.run("receive svc_echo/echo"), "notification of svc_echo, code 0: to and fro")
        row = next(line.split() for line in guest.run("chan") if "svc_echo" in line)
        for _ in range(2):  # as the end that others have, by number
            contains(guest.run(f"send {row[0]}/1 {64 * 'y'}"), "64 bytes")
            contains(guest.run(f"receive {row[0]}/1"), 64 * "y")
        answer = ""
        for _ in range(2 * 16 + 4):  # nobody receives what svc_echo gives back
            answer += "\n".join(guest.run("send svc_echo/echo z"))
        contains(answer, "nobody receives")
        contains(guest.run("rmmod svc_echo"), "unloaded")
        contains(guest.run("send sv\thello"), "5 bytes")  # Tab completes svc_kv/kv
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
