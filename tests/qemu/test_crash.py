# SPDX-License-Identifier: MIT
"""test_crash.py - every kind of crash in a service, a driver and a scheduler: contained, named, and everything else goes on."""
import os
import re
import time

from harness import ROOT, Hang, boot, case, contains, equal, log, main, scratch
from views import counters, fixture, pack, shipped, wait_for

FOLDER = os.path.join(ROOT, "tests", "fixtures", "modules")
with open(os.path.join(FOLDER, "crash.h"), encoding="ascii") as header:
    KINDS = re.findall(r"^    KIND\((\w+)\)", header.read(), re.M)

X87 = r"x87, MMX or SSE instruction .*"
OVERFLOW = r"double fault: stack overflow at 0x[0-9a-f]+"
NOWHERE = "0xffffa00000000000"
# What the log says, up to the name of the function; None: nothing, the call ends as if nothing were.
WHAT = {
    "null_read": "page fault: read of unmapped 0x0",
    "null_write": "page fault: write of unmapped 0x0",
    "null_call": "page fault: execution of unmapped 0x0",
    "unmapped_read": f"page fault: read of unmapped {NOWHERE}",
    "unmapped_write": f"page fault: write of unmapped {NOWHERE}",
    "unmapped_call": f"page fault: execution of unmapped {NOWHERE}",
    "rodata_write": "page fault: write of read-only 0x[0-9a-f]+",
    "text_write": "page fault: write of read-only 0x[0-9a-f]+",
    "non_canonical_read": "general protection",
    "non_canonical_write": "general protection",
    "non_canonical_call": "general protection|page fault: execution of .*",
    "data_call": "page fault: execution of no-execute 0x[0-9a-f]+",
    "aim_call": "page fault: execution of no-execute 0x[0-9a-f]+",
    "unaligned": "general protection",
    "undefined": "invalid opcode",
    "breakpoint": "breakpoint",
    "icebp": "debug|invalid opcode",
    "int_page_fault": "page fault: read of .*",
    "int_vector": None,
    "divide_zero": "divide error",
    "divide_overflow": "divide error",
    "sse": X87,
    "x87": X87,
    "avx": f"invalid opcode|{X87}",
    "descriptor_table": "general protection, selector 0xfff8.*",
    "data_segment": "general protection, selector 0xfff8.*",
    "stack_segment": "general protection, selector 0xfff8.*",
    "task_register": "general protection, selector 0xfff8.*",
    "far_return": "general protection, selector 0xfff8.*",
    "interrupt_return": "general protection, selector 0xfff8.*",
    "single_step": "debug",
    "return_interrupts_off": None,
    "return_direction": None,
    "return_nested_task": None,
    "return_alignment_check": None,
    "recursion": OVERFLOW,
    "huge_frame": OVERFLOW,
    "fault_at_the_end": "page fault: read of unmapped 0x0",
    "import_at_the_end": "stack overflow: too little left for a call",
    "loop_at_the_end": r"hang: \d+ ms",
    "smashed_return": "general protection|page fault: execution of .*",
    "zeroed_return": "page fault: execution of unmapped 0x0",
    "wild_stack": "double fault",
    "low_stack": "double fault",
    "non_canonical_stack": "double fault|stack segment fault",
    "null_stack": "double fault",
    "wild_base": "invalid opcode",
    "wild_leave": "double fault|page fault: .*",
    "loop": r"hang: \d+ ms",
    "loop_halted": r"hang: \d+ ms",
    "loop_of_imports": r"hang: \d+ ms(, at last in hx_clock_ns)?",
    "loop_interrupts_off": r"hang: \d+ ms",
}
NAMELESS = {"aim_call", "smashed_return", "zeroed_return"}  # nobody knows any more who it was
LOG_LIMIT_S = 5
OTHER_CPU = {"loop_interrupts_off"}  # one processor alone is lost
BOUNDS = {"fault_at_the_end", "import_at_the_end", "loop_at_the_end"}  # only where the stack's bounds can be guessed
# A handler runs with interrupts off, so that another processor has to see it.
NO_TICKS = {kind for kind in KINDS if kind.startswith("loop")}


class World:
    """Three modules, of which one crashes, and tasks that count."""

    def __init__(self, guest):
        self.guest = guest
        for name in "ab":
            guest.run(f"spawn {name}")
        guest.run("kv fill 10")
        where = [line for line in guest.run("modinfo sched_rr") if "rodata" in line or "constants" in line]
        self.aim = re.search(r"0x[0-9a-f]+", where[0])[0] if where else "0xffffffff80000000"
        self.aim = str(int(self.aim, 16))

    def parameters(self, kind):
        return f"kind={KINDS.index(kind) + 1} aim={self.aim}"

    def goes_on(self, kind, but):
        """Everything but @but serves, tasks count, and no page is writable and executable."""
        guest = self.guest
        before = counters(guest)
        end = time.monotonic() + 10
        while True:
            after = counters(guest)
            if set(after) == set(before) and all(after[name] > before[name] for name in before):
                break
            assert time.monotonic() < end, f"{kind}: tasks stand still: {before} {after}"
        if but != "svc_kv":
            contains(guest.run("kv verify 10"), "10 of 10", kind)
        if but != "drv_rtc":
            contains(guest.run("date"), "ticks at 64 Hz", kind)
        contains(guest.run("mem audit"), "passed", kind)
        running = [line for line in guest.run("lsmod") if "Running" in line]
        equal(len(running), 2 if but else 3, f"{kind}: running modules")

    def names(self, kind, module, since):
        """The log says what it was, and where."""
        function = "( in .*)?" if kind in NAMELESS else rf" in crash[\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+ \({module}\)"
        self.guest.wait_line(rf": ({WHAT[kind]}){function}: ", limit_s=LOG_LIMIT_S, since=since)

    def reverts(self, kind, module, answer, since):
        """The crash ends the swap: within its steps, so that the command says it, or after them, so that the log does."""
        if "what ran before runs on" in "".join(answer):
            assert re.search(rf": fault: ({WHAT[kind]}).*; what ran before", "".join(answer)), answer
            return
        self.names(kind, module, since)
        self.guest.wait_line(f"reverted to {module} 1.0.0", limit_s=LOG_LIMIT_S, since=since)


def kinds(but):
    return [kind for kind in KINDS if kind not in but]


def try_each(world, run, one):
    """Each of @run; all that fail are told, unless the machine itself does not go on."""
    failures = []
    for kind in run:
        try:
            one(kind)
        except (AssertionError, Hang) as failure:
            failures.append(f"{kind}: " + str(failure)[:4000])
    assert not failures, "\n".join(failures)
    log(f"count: {len(run)} kinds of crash")


@case("each kind in an operation of a service: its caller gets an error, the service is in Error, a new one serves")
def service():
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), shipped("drv_rtc")], [fixture("crash_kv")])
        with boot(initrd=initrd, cmdline="restart=off") as guest:
            world = World(guest)

            def crash(kind):
                guest.run("rmmod svc_kv")
                contains(guest.run(f"insmod crash_kv.hxm {world.parameters(kind)}"), "loaded")
                since = len(guest.screen.lines)
                answer = guest.run("kv get crash")
                if WHAT[kind] is None:
                    contains(guest.run("lsmod"), "svc_kv           1.9.0    Running")
                    guest.run("kv fill 10")
                    world.goes_on(kind, None)
                    return
                contains(answer, "fault")
                world.names(kind, "svc_kv", since)
                wait_for(guest, "lsmod", "Error")
                world.goes_on(kind, "svc_kv")

            try_each(world, kinds(OTHER_CPU), crash)
            equal(guest.poweroff(), 0, "exit code")


def policy(run, **machine):
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), shipped("drv_rtc")],
                      [fixture("crash_sched")])
        with boot(initrd=initrd, **machine) as guest:
            world = World(guest)

            def crash(kind):
                since = len(guest.screen.lines)
                answer = guest.run(f"reload sched_rr crash_sched.hxm {world.parameters(kind)}")
                if WHAT[kind] is None:
                    contains(guest.run("lsmod"), "sched_rr         1.9.0    Running")
                    world.goes_on(kind, None)
                    guest.run("rollback sched_rr")
                else:
                    world.reverts(kind, "sched_rr", answer, since)
                contains(guest.run("lsmod"), "sched_rr         1.0.0    Running")
                world.goes_on(kind, None)

            try_each(world, run, crash)
            equal(guest.poweroff(), 0, "exit code")


@case("each kind in a pick of a scheduler: the swap is reverted, the core chooses meanwhile")
def scheduler():
    policy(kinds(OTHER_CPU))


@case("a loop with interrupts off in a pick, where console and worker are, is ended by another processor: the swap is reverted")
def scheduler_loops():
    policy(sorted(OTHER_CPU), smp=2)


def driver(in_start, run, **machine):
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), shipped("drv_rtc")], [fixture("crash_rtc")])
        with boot(initrd=initrd, **machine) as guest:
            world = World(guest)

            def crash(kind):
                since = len(guest.screen.lines)
                if in_start:
                    guest.run("rmmod drv_rtc")
                    answer = guest.run(f"insmod crash_rtc.hxm in_start=1 {world.parameters(kind)}")
                    if WHAT[kind] is None:
                        contains(answer, "loaded")
                        world.goes_on(kind, None)
                        return
                    contains(answer, "faulted")
                    assert re.search(WHAT[kind], "".join(answer)), answer
                    world.goes_on(kind, "drv_rtc")
                    return
                answer = guest.run(f"reload drv_rtc crash_rtc.hxm {world.parameters(kind)}")
                if WHAT[kind] is None:
                    contains(guest.run("lsmod"), "drv_rtc          1.9.0    Running")
                    world.goes_on(kind, None)
                    guest.run("rollback drv_rtc")
                else:
                    world.reverts(kind, "drv_rtc", answer, since)
                world.goes_on(kind, None)

            try_each(world, run, crash)
            equal(guest.poweroff(), 0, "exit code")


@case("each kind in an interrupt's handler: the swap is reverted, and the clock ticks on")
def handler():
    driver(False, kinds(NO_TICKS | BOUNDS))


@case("each kind in a start: the module is refused, and nothing of it stays")
def start():
    driver(True, kinds(OTHER_CPU))


@case("each loop in an interrupt's handler is ended by another processor: the swap is reverted, and the clock ticks on")
def handler_loops():
    driver(False, sorted(NO_TICKS - BOUNDS), smp=2)


@case("a loop with interrupts off in a start is ended by another processor, and the module is refused")
def start_loops():
    driver(True, sorted(OTHER_CPU), smp=2)


@case("a loop with interrupts off in a service is ended by another processor")
def other_processor():
    kind = "loop_interrupts_off"
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), shipped("drv_rtc")],
                      [fixture("crash_kv"), shipped("svc_kv-2")])
        with boot(initrd=initrd, smp=2, cmdline="restart=off") as guest:
            world = World(guest)
            for _ in range(3):
                guest.run("rmmod svc_kv")
                guest.run(f"insmod crash_kv.hxm {world.parameters(kind)}")
                since = len(guest.screen.lines)
                contains(guest.run("kv get crash"), "fault", "the service's caller")
                world.names(kind, "svc_kv", since)
                wait_for(guest, "lsmod", "Error")
                world.goes_on(kind, "svc_kv")
            guest.run("rmmod svc_kv")
            contains(guest.run("insmod svc_kv-2.hxm"), "loaded")
            contains(guest.run("kv put a b"), "stored")
            equal(guest.poweroff(), 0, "exit code")


@case("while another processor loops with interrupts off, modules are loaded and unloaded: nobody waits for it")
def other_processor_loops():
    kind = "loop_interrupts_off"
    with scratch() as folder:
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), shipped("svc_kv"), shipped("drv_rtc")],
                      [fixture("crash_sched"), fixture("good_minimal")])
        with boot(initrd=initrd, smp=2, cmdline="probation_ms=60000") as guest:
            world = World(guest)
            since = len(guest.screen.lines)
            for name in "cd":  # two on each processor, so that there is something to choose
                guest.run(f"spawn {name}")
            # The twentieth choice comes a moment later, so the loop falls into what follows.
            guest.run(f"reload sched_rr crash_sched.hxm cpu=1 {world.parameters(kind)}")
            end = time.monotonic() + 40
            while not any("sched_rr: hang" in line for line in guest.screen.lines[since:]):
                guest.run("insmod good_minimal.hxm")
                guest.run("rmmod good_minimal")  # refused when the processor does not answer for four seconds
                assert time.monotonic() < end, "the loop has not begun"
            world.names(kind, "sched_rr", since)
            guest.wait_line("reverted to sched_rr 1.0.0", limit_s=LOG_LIMIT_S, since=since)
            guest.run("rmmod good_minimal")
            world.goes_on(kind, None)
            equal(guest.poweroff(), 0, "exit code")


@case("no export hands a module something of the kernel's to hold: a lock, a processor, an interrupt flag")
def nothing_to_hold():
    with open(os.path.join(ROOT, "include", "helix", "kernel.h"), encoding="ascii") as header:
        names = re.findall(r"HX_EXPORT\((hx_\w+)", header.read())
    assert names, "no exports found"
    for name in names:
        assert not re.search("lock|acquire|preempt|irq_(save|disable|off)", name.replace("clock", "")), name


main()
