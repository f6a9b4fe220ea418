# SPDX-License-Identifier: MIT
"""guest.py - a Helix machine in QEMU: how it is started, what its console says, and how it ended.

Used by qemu/run, the boot tests and the bench, so that all three agree on the machine, on what a prompt is and on what an
exit status means. The guest's console is COM1, here QEMU's standard input and output; a small terminal renders it line
by line, so that what a person would read is what is matched and printed, whatever the line editor redraws.

How a run ends, as an exit status:
    0..123  the guest's own: `poweroff CODE`. It writes CODE + 1 to the exit device, which makes QEMU's ((CODE+1)<<1)|1,
            so neither QEMU's 0 nor its 1 (its own failures) can be taken for the guest's.
    124     a hang: no prompt within the time limit
    125     QEMU failed, was killed, or the machine was reset under us
    126     the kernel panicked, or halted while booting
"""
import dataclasses
import hashlib
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROMPT = "helix>"
HALTED = re.compile(r"helix: .*; halted$")
BANNER = re.compile(r"\[ *[0-9]+\.[0-9]+\] |Helix |panic:")
EXIT_HANG, EXIT_FAILURE, EXIT_PANIC = 124, 125, 126
EXIT_PORT = 0xF4
BOOT_LIMIT_S = {"direct": 60, "bios": 60, "uefi": 120}
COMMAND_LIMIT_S = 60
PANIC_QUIET_S = 2.0
TAIL_LINES = 40


class Failure(Exception):
    """The run cannot go on. status is the exit status it maps to, text says what happened, with the last lines."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Hang(Failure):
    pass


class Panic(Failure):
    pass


class Reset(Failure):
    """QEMU ended by itself: the guest asked for a reset, or somebody told QEMU to quit."""


class Ended(Exception):
    """The guest switched itself off; code is its own."""

    def __init__(self, code):
        super().__init__(f"the guest ended with code {code}")
        self.code = code


def setting(name, default):
    """A variable of the environment; an empty one is as good as none."""
    return os.environ.get(name) or default


def build_dir():
    """Where kernel and initrd are: a build directory, or the installed SDK, which is laid out like one."""
    installed = os.path.exists(os.path.join(ROOT, "kernel", "helix.bin"))
    return setting("HELIX_BUILD", ROOT if installed else os.path.join(ROOT, "build"))


@dataclasses.dataclass
class Machine:
    """What is booted, and on what. boot: "direct" (-kernel), "bios" or "uefi" (GRUB from an ISO)."""

    boot: str = "direct"
    smp: int = 1
    memory: str = "256M"
    cmdline: str = ""
    kernel: str = ""  # default: the build directory's
    initrd: str = None  # default: the build directory's; "" for none
    debug: bool = False  # wait for gdb
    control: str = ""  # path of the Unix socket at which COM2, the control channel, is reached; "": there is no COM2
    extra: list = dataclasses.field(default_factory=list)  # arguments for QEMU

    def __post_init__(self):
        self.kernel = self.kernel or os.path.join(build_dir(), "kernel", "helix.bin")
        if self.initrd is None:
            self.initrd = self.default_initrd()

    @staticmethod
    def default_initrd():
        return os.path.join(build_dir(), "initrd", "initrd.cpio")

    def iso(self, make=True):
        """The ISO for this kernel, initrd and command line; ninja makes the plain one, others are kept by their content."""
        plain = os.path.join(build_dir(), "qemu", "helix.iso")
        if not self.cmdline and self.initrd == self.default_initrd() and os.path.exists(plain):
            return plain
        key = "\0".join([os.path.abspath(self.kernel), os.path.abspath(self.initrd) if self.initrd else "", self.cmdline])
        path = os.path.join(build_dir(), "qemu", "iso", hashlib.sha256(key.encode()).hexdigest()[:16] + ".iso")
        parts = [self.kernel, os.path.join(ROOT, "qemu", "grub.cfg"), os.path.join(ROOT, "qemu", "mkiso")]
        parts += [self.initrd] if self.initrd else []
        fresh = os.path.exists(path) and all(os.path.getmtime(path) > os.path.getmtime(p) for p in parts)
        if make and not fresh:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            done = subprocess.run(
                [os.path.join(ROOT, "qemu", "mkiso"), self.kernel, self.initrd, path, self.cmdline],
                stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                raise Failure(EXIT_FAILURE, "the ISO cannot be made:\n" + done.stdout + done.stderr)
        return path

    def argv(self, serial="stdio", make=True):
        """QEMU's command line. @serial: where COM1 goes; "mon:stdio" for a person, with QEMU's monitor behind Ctrl-A C."""
        try:
            arguments = shlex.split(setting("QEMU", "qemu-system-x86_64"))
        except ValueError as error:
            raise Failure(EXIT_FAILURE, f"QEMU={os.environ['QEMU']}: {error}") from error
        arguments += ["-machine", "q35", "-cpu", "max", "-accel", setting("HELIX_ACCEL", "tcg")]
        arguments += ["-m", self.memory, "-smp", str(self.smp), "-display", "none", "-nic", "none", "-no-reboot"]
        arguments += ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=0x04"]
        arguments += ["-serial", serial]
        if self.control:
            path = self.control.replace(",", ",,")
            arguments += ["-chardev", f"socket,id=control,path={path},server=on,wait=off", "-serial", "chardev:control"]
        if serial != "mon:stdio":
            arguments += ["-monitor", "none"]
        if self.boot == "direct":
            arguments += ["-kernel", self.kernel]
            arguments += ["-initrd", self.initrd] if self.initrd else []
            arguments += ["-append", self.cmdline] if self.cmdline else []
        else:
            arguments += ["-cdrom", self.iso(make), "-boot", "d"]
        if self.boot == "uefi":
            arguments += ["-bios", setting("HELIX_OVMF", "/usr/share/ovmf/OVMF.fd")]
        if self.debug:
            arguments += ["-gdb", "tcp:127.0.0.1:" + gdb_port(), "-S"]
        return arguments + self.extra


def gdb_port():
    return setting("HELIX_GDB_PORT", "1234")


def guest_code(status):
    """The guest's exit code from QEMU's exit status, or None when it is none."""
    return (status >> 1) - 1 if status >= 3 and status & 1 else None


class Screen:
    """A terminal of one line: renders bytes into finished lines and the line that the cursor is in."""

    ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()#%][\s\S]|[^\[()#%])")

    def __init__(self):
        self.lines = []
        self.cells = []
        self.column = 0
        self.partial = ""  # an escape sequence or a character that has not arrived whole
        self.tail = b""

    @property
    def line(self):
        return "".join(self.cells)

    def at_prompt(self):
        return self.line.rstrip() == PROMPT and self.column == len(PROMPT) + 1

    def feed(self, data):
        data = self.tail + data
        text, self.tail = self._decode(data)
        text = self.partial + text
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
                continue
            match = self.ESCAPE.match(text, at)
            if not match:
                if len(text) - at < 32:
                    break
                at += 1
                continue
            if match[1][0] == "[":
                self._control(match[1][1:-1], match[1][-1])
            at = match.end()
        self.partial = text[at:]

    @staticmethod
    def _decode(data):
        for keep in range(min(3, len(data)) + 1):
            whole = data[: len(data) - keep]
            try:
                return whole.decode(), data[len(whole):]
            except UnicodeDecodeError:
                continue
        return data.decode(errors="replace"), b""

    def _put(self, char):
        if char == "\n":
            self.lines.append(self.line.rstrip())
            self.cells, self.column = [], 0
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char == "\t":
            self.column = (self.column // 8 + 1) * 8
        elif char >= " " and char != "\x7f":
            self._pad(self.column + 1)
            self.cells[self.column] = char
            self.column += 1

    def _pad(self, width):
        self.cells += " " * (width - len(self.cells))

    def _control(self, parameters, final):
        first = parameters.split(";")[0]
        count = int(first) if first.isdigit() else 0
        step = max(1, count)
        if final == "C":
            self.column += step
        elif final == "D":
            self.column = max(0, self.column - step)
        elif final == "G":
            self.column = step - 1
        elif final == "H":
            self.column = 0
        elif final == "P":
            del self.cells[self.column: self.column + step]
        elif final == "@":
            self._pad(self.column)
            self.cells[self.column:self.column] = " " * step
        elif final in "KJ" and count == 0:
            del self.cells[self.column:]
        elif final in "KJ" and count == 1:
            self._pad(self.column)
            self.cells[: self.column] = " " * self.column
        elif final in "KJ":
            self.cells = []


class Guest:
    """A running machine. Every wait has a limit; every failure carries the last lines of the console."""

    def __init__(self, machine, transcript=None):
        self.machine = machine
        self.transcript = transcript  # a binary file that gets the console's bytes as they come
        self.screen = Screen()
        self.panic_since = None
        self.errors = tempfile.TemporaryFile()
        # The log names the one reset that nothing else tells from a wanted one: the triple fault.
        self.reset_log = tempfile.NamedTemporaryFile(prefix="helix-reset-")
        argv = machine.argv() + ["-d", "cpu_reset", "-D", self.reset_log.name]
        try:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        except OSError as error:
            raise Failure(EXIT_FAILURE, f"QEMU cannot be started: {error}") from error
        self.pending = b""
        os.set_blocking(self.process.stdin.fileno(), False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors, self.reset_log):
            try:
                stream.close()
            except OSError:
                pass

    # ---- the console ----
    def send(self, line):
        """Types @line and Enter."""
        self.type(line.encode() + b"\r")

    def type(self, keys):
        """Types raw bytes."""
        self.pending += keys

    def pump(self, seconds, also=()):
        """Moves bytes for at most @seconds, until something came. Returns which of @also are readable. Raises at the end."""
        reading = [self.process.stdout.fileno(), *also]
        writing = [self.process.stdin.fileno()] if self.pending else []
        readable, writable, _ = select.select(reading, writing, [], max(0.0, seconds))
        if writable:
            self._write()
        if self.process.stdout.fileno() in readable:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                self._ended()
            self._read(data)
        elif self.panic_since and time.monotonic() - self.panic_since > PANIC_QUIET_S:
            raise Panic(EXIT_PANIC, "the kernel panicked" + self.tail())
        return [f for f in also if f in readable]

    def _write(self):
        try:
            self.pending = self.pending[os.write(self.process.stdin.fileno(), self.pending):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.pending = b""

    def _read(self, data):
        if self.transcript:
            self.transcript.write(data)
        seen = len(self.screen.lines)
        self.screen.feed(data)
        if any(line.startswith("panic:") or HALTED.match(line) for line in self.screen.lines[seen:]) or self.panic_since:
            self.panic_since = time.monotonic()
        if self.screen.at_prompt():
            self.panic_since = None  # a command's own message looked like one

    def _ended(self):
        status = self.process.wait()
        self.errors.seek(0)
        complaint = self.errors.read().decode(errors="replace").strip()
        if self.panic_since:
            raise Panic(EXIT_PANIC, "the kernel panicked" + self.tail())
        if guest_code(status) is not None:
            raise Ended(guest_code(status))
        if status == 0:
            self.reset_log.seek(0)
            if b"Triple fault" not in self.reset_log.read():
                raise Reset(EXIT_FAILURE, "the machine was reset, or QEMU was told to quit" + self.tail())
            how = "a triple fault reset the machine"
        elif status < 0:
            how = f"QEMU was killed by {signal.Signals(-status).name}"
        else:
            how = f"QEMU failed with status {status}"
        raise Failure(EXIT_FAILURE, how + (":\n" + complaint if complaint else "") + self.tail())

    def tail(self, count=TAIL_LINES):
        lines = self.screen.lines[-count:] + ([self.screen.line] if self.screen.line.strip() else [])
        return "\n--- last lines of the console ---\n" + "\n".join(lines) + "\n---"

    # ---- waiting ----
    def wait(self, done, limit_s, what):
        """Until @done() is true."""
        deadline = time.monotonic() + limit_s
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Hang(EXIT_HANG, f"{what}: nothing within {limit_s:g} s" + self.tail())
            self.pump(min(left, 0.5))

    def boot(self, limit_s=None):
        """Until the first prompt. Returns the kernel's lines before it."""
        self.wait(self.screen.at_prompt, limit_s or BOOT_LIMIT_S[self.machine.boot], "waiting for the first prompt")
        return self.kernel_lines()

    def kernel_lines(self):
        """All lines from the kernel's first one on, without what firmware and boot loader wrote."""
        lines = self.screen.lines
        for index, line in enumerate(lines):
            if BANNER.match(line):
                return lines[index:]
        return lines if self.machine.boot == "direct" else []

    def prompted(self, since, command):
        """Whether @command, sent when @since lines were there, has been taken and the prompt is back."""
        if not self.screen.at_prompt():
            return False
        for line in self.screen.lines[since:]:
            if line.startswith(PROMPT) and (line[len(PROMPT):].strip() or not command.strip()):
                return True
        return False

    def run(self, command, limit_s=COMMAND_LIMIT_S):
        """Runs one console command and returns its output as a list of lines, without the echo and the next prompt."""
        since = len(self.screen.lines)
        self.send(command)
        self.wait(lambda: self.prompted(since, command), limit_s, f"`{command}'")
        lines = self.screen.lines[since:]
        for index, line in enumerate(lines):
            if line.startswith(PROMPT):
                return lines[:index] + lines[index + 1:]
        return lines

    def wait_line(self, pattern, limit_s=COMMAND_LIMIT_S, since=0):
        """Until a finished line from number @since on matches @pattern; returns the match."""
        regex = re.compile(pattern)
        found = []

        def look():
            found[:] = [m for m in map(regex.search, self.screen.lines[since:]) if m]
            return bool(found)

        self.wait(look, limit_s, f"a line like {pattern!r}")
        return found[0]

    def wait_end(self, limit_s=COMMAND_LIMIT_S):
        """Until the guest switches itself off; returns its code."""
        try:
            self.wait(lambda: False, limit_s, "waiting for the machine to end")
        except Ended as ended:
            return ended.code
        raise AssertionError("unreachable")

    def poweroff(self, code=0, limit_s=COMMAND_LIMIT_S):
        self.send(f"poweroff {code}" if code else "poweroff")
        return self.wait_end(limit_s)
