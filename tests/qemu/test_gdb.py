# SPDX-License-Identifier: MIT
"""test_gdb.py - a real gdb on a running guest: modules have names where they are loaded, in this version and in the next."""
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time

from harness import ROOT, Guest, Machine, Panic, boot, build_dir, case, contains, equal, main

SCRIPT = os.path.join(ROOT, "qemu", "gdb", "helix_gdb.py")
LIMIT_S = 60
END = "-- done --"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gdb:
    """gdb without a terminal: one command a line, each answered up to a mark."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            ["gdb", "-nx", "-q", "-iex", "set debuginfod enabled off", "-iex", "set pagination off", "-iex", "set width 0",
             "-x", SCRIPT, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=False,
            env=dict(os.environ, HELIX_BUILD=build_dir(), LC_ALL="C"))
        self.output = b""
        self.guest = None

    def start(self, *commands):
        self.process.stdin.write("".join(f"{c}\n" for c in [*commands, f"echo {END}\\n"]).encode())
        self.process.stdin.flush()

    def answer(self):
        """What it has said up to the next mark; the guest's console is read meanwhile, so that it does not fill."""
        deadline = time.monotonic() + LIMIT_S
        while END.encode() not in self.output:
            if self.guest:
                self.guest.pump(0)
            left = deadline - time.monotonic()
            assert left > 0, f"gdb has said in {LIMIT_S} s:\n{self.output.decode(errors='replace')}"
            if select.select([self.process.stdout], [], [], min(left, 0.05))[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, f"gdb has ended:\n{self.output.decode(errors='replace')}"
                self.output += data
        said, self.output = self.output.split(END.encode(), 1)
        return re.sub(r"\(gdb\) ", "", said.decode(errors="replace")).strip()

    def has_answered(self):
        if select.select([self.process.stdout], [], [], 0)[0]:
            self.output += os.read(self.process.stdout.fileno(), 65536)
        return END.encode() in self.output

    def run(self, *commands):
        self.start(*commands)
        return self.answer()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def debugged(**machine):
    """A guest at its prompt and a gdb that has stopped it there."""
    port = free_port()
    with boot(extra=["-gdb", f"tcp:127.0.0.1:{port}"], **machine) as guest:
        with contextlib.closing(Gdb()) as gdb:
            gdb.guest = guest
            contains(gdb.run(f"target remote 127.0.0.1:{port}"), "helix: svc_kv 1.0.0 at 0x", "what attaching says")
            yield guest, gdb


class Call:
    """A command at the guest's console that is to run into a breakpoint."""

    def __init__(self, guest, gdb, command, function):
        self.guest, self.gdb, self.command = guest, gdb, command
        self.since = len(guest.screen.lines)
        gdb.start("continue")
        guest.send(command)
        contains(gdb.answer(), function, f"where `{command}' stops")
        self.pc = int(gdb.run("output/x $pc").split()[-1], 16)

    def finish(self):
        """Lets it end; gdb goes on to wait for a breakpoint. Returns the guest's lines."""
        self.gdb.start("continue")

        def is_over():
            if self.gdb.has_answered():  # a function that is inlined in part has two places
                self.gdb.answer()
                self.gdb.start("continue")
            return self.guest.prompted(self.since, self.command)

        self.guest.wait(is_over, LIMIT_S, f"the end of `{self.command}'")
        return self.guest.screen.lines[self.since:]


def interrupt(gdb):
    """Stops a guest that `continue' has running."""
    gdb.process.send_signal(signal.SIGINT)
    return gdb.answer()


def row_of(table, name):
    rows = [line.split() for line in table.splitlines() if name in line.split()[:3]]
    assert rows, f"no row of {name}:\n{table}"
    return rows[0]


def text_of(table, name, version):
    """Where hx-modules says the code of a version lies."""
    rows = [line.split() for line in table.splitlines() if line.split()[:2] == [name, version]]
    equal(len(rows), 1, f"rows of {name} {version}:\n{table}")
    return range(int(rows[0][3], 16), int(rows[0][3], 16) + int(rows[0][4])), rows[0][2]


@case("a function of a module is stopped at by its name, and again in the version that replaces it", 300)
def breakpoints():
    with debugged() as (guest, gdb):
        contains(gdb.run("break kv_op_put"), "Breakpoint 1 at 0x")
        first = Call(guest, gdb, "kv put colour red", "kv_op_put")
        where, state = text_of(gdb.run("hx-modules"), "svc_kv", "1.0.0")
        assert first.pc in where and state == "running", f"{first.pc:#x} is not in {where}, {state}"
        first.finish()
        guest.run("reload svc_kv svc_kv-2.hxm")
        contains(interrupt(gdb), "helix: svc_kv 2.0.0 at 0x", "what the reload says")
        second = Call(guest, gdb, "kv put colour blue", "kv_op_put")
        table = gdb.run("hx-modules")
        where, state = text_of(table, "svc_kv", "2.0.0")
        assert second.pc in where and state == "running", f"{second.pc:#x} is not in {where}, {state}"
        equal(text_of(table, "svc_kv", "1.0.0")[1], "previous", "the old version")
        assert second.pc != first.pc, f"both versions stand at {first.pc:#x}"
        second.finish()
        guest.run("commit svc_kv")
        contains(interrupt(gdb), "helix: svc_kv 1.0.0 at", "what the commit says")
        equal(gdb.run("info symbol %#x" % first.pc).split()[:2], ["No", "symbol"], "the old place has no name any more")
        contains(gdb.run("hx-swaps"), "committed")


@case("a backtrace goes from a module through the gate to who called, and from the kernel through an import", 300)
def backtraces():
    with debugged() as (guest, gdb):
        gdb.run("break kv_op_put")
        call = Call(guest, gdb, "kv put colour red", "kv_op_put")
        names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+)", gdb.run("bt"), re.M)
        equal(names[:2], ["kv_op_put", "hx_kv_put"], "the innermost calls")
        kernel = re.findall(r"kernel/debug/(\w+\.c)", gdb.run("bt"))
        contains(kernel, "cmd_services.c", "who called")
        equal(names[-1], "hx_arch_context_start", "the outermost")
        gdb.run("delete")
        call.finish()


@case("an interrupt is seen through, and a module has its lines where its file with debug information is found", 300)
def lines():
    with debugged() as (_, gdb):
        gdb.run("break rtc_interrupt")
        contains(gdb.run("continue"), "rtc_interrupt")
        calls = gdb.run("bt")
        contains(calls.splitlines()[0], "drv_rtc.c:", "the innermost")
        names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+|<signal handler called>)", calls, re.M)
        equal(names[:2], ["rtc_interrupt", "hx_gate_call"], "the innermost calls")
        trap = names.index("<signal handler called>")
        equal(names[trap - 1], "hx_arch_interrupt", "the handler")
        assert trap + 1 < len(names), f"nothing was interrupted:\n{calls}"


@case("what is unloaded is forgotten, and known again when it comes back", 300)
def unloaded():
    with debugged() as (guest, gdb):
        gdb.start("continue")
        guest.run("rmmod svc_log")
        contains(interrupt(gdb), "helix: svc_log 1.0.0 at")
        assert "svc_log" not in gdb.run("hx-modules"), "it is still shown"
        gdb.start("continue")
        guest.run("insmod svc_log.hxm")
        contains(interrupt(gdb), "helix: svc_log 1.0.0 at 0x")
        gdb.run("set hx-verbose off")
        before = gdb.run("hx-modules")
        equal(gdb.run("hx-symbols", "hx-modules"), before, "what is read again")


@case("tasks, slots and the calls of a task that waits are shown", 300)
def tables():
    with debugged() as (_, gdb):
        tasks = gdb.run("hx-tasks")
        for name in ("idle", "worker", "console", "svc_kv:serve"):
            row_of(tasks, name)
        contains(row_of(tasks, "svc_kv:serve"), "svc_kv")
        equal(sum("*" in line.split() for line in tasks.splitlines()), 1, f"tasks that run:\n{tasks}")
        slots = gdb.run("hx-slots")
        equal(row_of(slots, "hx_kv")[2:6], ["interface", "sleepable", "open", "svc_kv"], "its slot")
        calls = re.findall(r" in (\w+)", gdb.run("hx-bt svc_kv:serve"))
        for name in ("hx_export_hx_channel_receive", "import", "kv_serve_channel", "hx_gate_call", "hx_arch_context_start"):
            contains(calls, name, "the calls of svc_kv:serve")
        contains(gdb.run("hx-bt nobody"), "no such task; see hx-tasks")
        contains(gdb.run("hx-swaps many"), "it takes a number of swaps")


@case("a machine that waits for gdb tells of each module as it is loaded, and a breakpoint may come before it", 300)
def paused():
    port = free_port()
    machine = Machine(cmdline="color=off panic=exit", extra=["-gdb", f"tcp:127.0.0.1:{port}", "-S"])
    with Guest(machine) as guest, contextlib.closing(Gdb()) as gdb:
        gdb.guest = guest
        gdb.run(f"target remote 127.0.0.1:{port}")
        contains(gdb.run("hx-modules"), "hx-modules: the kernel is not there yet")
        contains(gdb.run("break kv_op_put"), "pending")
        gdb.start("continue")
        guest.boot(LIMIT_S)
        said = interrupt(gdb)
        for name in ("sched_rr", "drv_rtc", "svc_kv", "svc_log"):
            contains(said, f"helix: {name} 1.0.0 at 0x")
        Call(guest, gdb, "kv put colour red", "kv_op_put").finish()


@case("a stack that runs over in the core is a panic that names the task")
def core_overflow():
    with debugged() as (guest, gdb):
        gdb.run("break cmd_version")
        Call(guest, gdb, "version", "cmd_version")
        # Stacks are the upper halves of slots of 32 KiB: two words are left, then comes the guard.
        gdb.run("delete", "set $rsp = ((unsigned long) $rsp & ~0x7ffful) + 0x4010")
        gdb.start("continue")
        try:
            guest.wait(lambda: False, LIMIT_S, "a panic")
        except Panic as ended:
            text = str(ended) + "\n".join(guest.tail(80))
            for part in ("stack overflow at 0x", "panic: in task console on CPU 0", "#0 0x"):
                contains(text, part)


@case("each command has its help")
def helps():
    with contextlib.closing(Gdb()) as gdb:
        for name in ("modules", "tasks", "bt", "slots", "swaps", "path", "symbols"):
            contains(gdb.run(f"help hx-{name}"), f"Usage: hx-{name}")
        contains(gdb.run("hx-path /nonexistent"), "no such folder")


main()
