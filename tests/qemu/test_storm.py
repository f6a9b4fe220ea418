# SPDX-License-Identifier: MIT
"""test_storm.py - tasks come and go while the scheduler is swapped round under them."""
import random
import re

from harness import boot, case, contains, counted, equal, log, main
from views import all_advance, counters, decisions, memory, swap

FILES = ("sched_rr-2.hxm", "sched_prio.hxm", "sched_rr.hxm")
TASKS_MAX = 12


class Storm:
    """What has been spawned and not killed: {name: number}."""

    def __init__(self, guest, seed):
        self.guest, self.dice, self.alive, self.named = guest, random.Random(seed), {}, 0
        self.turns, self.policy = 0, "sched_rr"

    def spawn(self, ahead=""):
        """@ahead: a command that is typed before it, in one go."""
        name = f"t{self.named}"
        self.named += 1
        since = len(self.guest.screen.lines)
        self.guest.type(f"{ahead}spawn {name}\r".encode())
        number = self.guest.wait_line(rf"^spawned (\d+) {name} ", since=since)[1]
        assert number not in self.alive.values(), f"number {number} is another's: {self.alive}"
        self.alive[name] = number

    def pop(self):
        return self.alive.pop(self.dice.choice(sorted(self.alive)))

    def kill(self):
        contains(self.guest.run(f"kill {self.pop()}"), "killed")

    def replace(self):
        """At once, so that the number is taken again before the policy has been asked."""
        self.spawn(f"kill {self.pop()}\r")

    def swap(self):
        file = FILES[self.turns % len(FILES)]
        self.turns += 1
        swap(self.guest, f"reload {self.policy} {file}", self.policy)
        self.policy = "sched_prio" if "prio" in file else "sched_rr"

    def step(self):
        if len(self.alive) < 3:
            self.spawn()
        elif len(self.alive) == TASKS_MAX:
            self.kill()
        else:
            self.dice.choice((self.spawn, self.kill, self.replace, self.replace, self.swap))()


@case("spawns and kills while three schedulers take turns: no task stands still, none is chosen by the core, nothing leaks",
      limit_s=900)
def storm():
    steps, seed = counted(2000, 20000), 1
    log(f"seed: {seed}")
    with boot(cmdline="probation_ms=0") as guest:
        work = Storm(guest, seed)
        for _ in FILES:  # once round, so that all is made that stays
            work.swap()
        work.spawn()
        work.kill()
        before, by_core = memory(guest), decisions(guest)[1:]
        for _ in range(steps):
            work.step()
        work.swap()
        equal(set(counters(guest)), set(work.alive), "the tasks")
        all_advance(guest)
        equal(decisions(guest)[1:], by_core, "decisions by the core, wrong answers")
        while work.alive:
            work.kill()
        while work.policy != "sched_rr" or work.turns % len(FILES):
            work.swap()
        equal(memory(guest), before, "frames, heap bytes, heap objects, image pages")
        equal(decisions(guest)[1:], by_core, "decisions by the core, wrong answers, in the end")
        log(f"{work.turns} swaps, {work.named} tasks")
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
