# SPDX-License-Identifier: MIT
"""test_smp.py - what a person sees and says at the console of a machine with four processors."""
import re
import time

from harness import boot, case, contains, equal, main
from views import counters, task_rows

CPUS = 4
BUSY = "abcdef"
WIDTH = 80


def narrow(lines):
    for line in lines:
        assert len(line) <= WIDTH, f"{len(line)} columns: {line}"
    return lines


def spawn(guest):
    for name in BUSY:
        contains(guest.run("spawn " + name), "spawned")


def find(guest, name):
    """(number, CPU) of the task called @name."""
    return next((row[0], row[4]) for row in task_rows(guest) if row[1] == name)


def numbers(lines, heading):
    """The rows of numbers beneath the heading that begins so: {first word: other words}."""
    at = next(i for i, line in enumerate(lines) if line.startswith(heading))
    return {line.split()[0]: line.split()[1:] for line in lines[at + 1:]}


@case("ps shows tasks on every processor, in 80 columns, and all of them count")
def everywhere():
    with boot(smp=CPUS) as guest:
        spawn(guest)
        time.sleep(0.5)
        narrow(guest.run("ps"))
        rows = [row for row in task_rows(guest) if row[1] in BUSY]
        equal(len(rows), len(BUSY), "tasks")
        assert len({row[4] for row in rows}) > 1, rows
        assert all(row[4] < CPUS and row[6] for row in rows), rows
        equal(sum(row[2] == "idle" for row in task_rows(guest)), CPUS, "idle tasks")
        before = counters(guest)
        time.sleep(0.5)
        after = counters(guest)
        assert all(after[name] > before[name] for name in BUSY), (before, after)


@case("affinity moves a task, and there it stays until it may go elsewhere")
def affinity():
    with boot(smp=CPUS) as guest:
        spawn(guest)
        for cpu in (3, 1):
            number = find(guest, "c")[0]
            equal(guest.run(f"affinity {number} {cpu}"), [f"affinity: {number} c: CPUs {cpu}"], "set")
            for _ in range(5):
                time.sleep(0.1)
                equal(find(guest, "c"), (number, cpu), "where it is")
            equal(guest.run(f"affinity {number}"), [f"affinity: {number} c: CPUs {cpu}, now on {cpu}"], "shown")
        before = counters(guest)["c"]
        time.sleep(0.3)
        assert counters(guest)["c"] > before, "it does not run where it was put"
        contains(guest.run(f"affinity {number} 0,2-3"), "CPUs 0,2-3")
        contains(guest.run(f"affinity {number} all"), "CPUs all")
        for text, error in (("4", "range"), ("0-9", "range"), ("x", "invalid"), ("1,", "invalid"), ("3-1", "invalid")):
            contains(guest.run(f"affinity {number} {text}"), f"affinity: {text}: {error}")
        contains(guest.run(f"affinity {number}"), "CPUs all")
        contains(guest.run("affinity 0 1"), "only tasks of class policy")
        contains(guest.run("affinity 999 1"), "not-found")


@case("reserve promises what the policy can keep, and says so when it cannot")
def reserve():
    with boot(smp=CPUS) as guest:
        contains(guest.run("spawn a"), "spawned")
        number = find(guest, "a")[0]
        contains(guest.run(f"reserve {number} 1000 10000"), "unsupported")
        contains(guest.run("reload sched_rr sched_edf.hxm"), "sched_edf")
        equal(guest.run(f"reserve {number} 1000 10000"),
              [f"reserve: {number} a: 1000 us in every 10000 us, within 10000 us"], "promise")
        equal(guest.run(f"reserve {number} 1000 10000 5000"),
              [f"reserve: {number} a: 1000 us in every 10000 us, within 5000 us"], "promise")
        equal(guest.run(f"reserve {number} off"), [f"reserve: {number} a: nothing"], "given back")
        for text, error in (("20000 10000", "invalid"), ("0 10000", "invalid"), ("1 x", "invalid"),
                            ("1000 10000 20000", "invalid"), ("on", "expected `reserve")):
            contains(guest.run(f"reserve {number} {text}"), error)


@case("sched names the policy, and its last row is the sum of the others")
def sched():
    with boot(smp=CPUS) as guest:
        spawn(guest)
        time.sleep(0.3)
        lines = narrow(guest.run("sched"))
        assert re.fullmatch(r"sched: policy sched_rr \d+\.\d+\.\d+, slot open", lines[0]), lines[0]
        rows = numbers(lines, "CPU TASKS")
        equal(set(rows), {"all", *map(str, range(CPUS))}, "rows")
        for column in range(6):
            equal(sum(int(rows[str(cpu)][column]) for cpu in range(CPUS)), int(rows["all"][column]), f"column {column}")
        equal(int(rows["all"][0]), sum(row[2] != "idle" for row in task_rows(guest)), "tasks: those of ps")
        equal([int(rows["all"][3]), int(rows["all"][4])], [0, 0], "wrong answers, starved")
        assert sum(rows[str(cpu)][6] in BUSY for cpu in range(1, CPUS)) >= 2, rows
        equal(rows["0"][6], "console", "who asks")


@case("timers tells when each processor's timer goes off, and who waits for it")
def timers():
    with boot(smp=CPUS) as guest:
        spawn(guest)
        lines = narrow(guest.run("timers"))
        equal(lines[0].split(), ["CPU", "NEXT-MS", "EXPIRED"], "heading")
        for cpu, line in enumerate(lines[1:1 + CPUS]):
            assert re.fullmatch(rf" *{cpu} +([\d.]+|-) +\d+", line), line
        waits = [float(line.split()[-1]) for line in lines if re.match(r" *\d+ .* (sleeping|waiting) ", line)]
        equal(waits, sorted(waits), "earliest first")
        equal(lines[-1], f"timers: {len(waits)} tasks wait with a deadline", "last line")


@case("top shows as many frames as it was asked for, and ends at a key or Ctrl-C")
def top():
    with boot(smp=CPUS) as guest:
        spawn(guest)
        lines = narrow(guest.run("top 2"))
        assert not any("\x1b" in line for line in lines), lines
        frames = [i for i, line in enumerate(lines) if line.startswith("top: ")]
        equal(len(frames), 2, "frames")
        for at in frames:
            busy = re.findall(r"CPU (\d) +([\d.]+)%", lines[at + 1])
            equal([int(cpu) for cpu, _ in busy], list(range(CPUS)), "processors")
            assert all(float(part) > 50 for _, part in busy), lines[at:]
            shown = [line.split() for line in lines[at + 3:at + 3 + len(BUSY)]]
            equal({row[1] for row in shown}, set(BUSY), "the busiest")
            parts = [float(row[6].rstrip("%")) for row in shown]
            equal(parts, sorted(parts, reverse=True), "by use")
            assert sum(parts) > 200, f"{parts}: no more than two processors' worth"
        for key in (b"q", b"\x03"):
            since = len(guest.screen.lines)
            guest.type(b"top\r")
            guest.wait_line("^top: ", since=since)
            guest.type(key)
            contains(guest.run("version"), "module ABI")
        contains(guest.run("top 0"), "from 1 to 86400")
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
