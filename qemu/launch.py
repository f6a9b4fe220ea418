# SPDX-License-Identifier: MIT
"""launch.py - the part of qemu/run that comes after the build: boots the machine for a person or for a script."""
import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import termios

import guest as helix

NAME = helix.setting("HELIX_RUN", "qemu/run")  # what the person has typed


class Parser(argparse.ArgumentParser):
    """Its usual exit status would be taken for the guest's."""

    def error(self, message):
        raise helix.Failure(helix.EXIT_FAILURE, f"{message}; see --help")


def positive(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def joined(arguments):
    """`--option VALUE' as one word, so that a value may start with a dash."""
    arguments = list(arguments)
    for index, argument in enumerate(arguments):
        if argument in ("--smp", "--memory", "--initrd", "--cmdline", "--timeout", "--control") and index + 1 < len(arguments):
            arguments[index] = f"{argument}={arguments.pop(index + 1)}"
    return arguments


def parse(arguments):
    extra = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, extra = arguments[:at], arguments[at + 1:]
    parser = Parser(prog=NAME, add_help=False, allow_abbrev=False)
    parser.add_argument("--uefi", action="store_true")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--memory", default="256M")
    parser.add_argument("--initrd")
    parser.add_argument("--cmdline", default="")
    parser.add_argument("--timeout", type=positive)
    parser.add_argument("--control", metavar="PATH|off")
    options = parser.parse_args(joined(arguments))
    options.extra = extra
    return options


def complain(text):
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


SOCKET_PATH_MAX = 107  # of a Unix socket's, in Linux


def control_folders():
    """Where helixctl looks for the socket: beside what is booted, or, where that is installed, in the user's own place."""
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere", "helix")
    if not os.access(os.path.dirname(own), os.W_OK):
        own = f"/tmp/helix-{os.getuid()}"
    built = os.path.join(helix.build_dir(), "qemu")
    return [own] if os.path.exists(os.path.join(helix.ROOT, "kernel", "helix.bin")) else [built, own]


def is_served(path):
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def free_socket(folder):
    """The first name in @folder at which no other machine listens; None: not there."""
    names = ["control.sock"] + [f"control-{number}.sock" for number in range(2, 33)]
    paths = [os.path.join(folder, name) for name in names]
    paths = [path for path in paths if len(os.fsencode(path)) <= SOCKET_PATH_MAX]
    try:
        if os.path.basename(folder).startswith("helix"):  # the user's own
            os.makedirs(folder, mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK) or (folder.startswith("/tmp/") and os.stat(folder).st_uid != os.getuid()):
            return None
        return next((path for path in paths if not is_served(path)), None)
    except OSError:
        return None


def control_of(options):
    """The path of the control channel's socket, "" for none."""
    if options.control == "off":
        return ""
    if options.control:
        path = os.path.abspath(options.control)
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            raise helix.Failure(helix.EXIT_FAILURE, f"--control {path}: a socket's path has at most {SOCKET_PATH_MAX} bytes")
        if os.path.exists(path) and is_served(path):
            raise helix.Failure(helix.EXIT_FAILURE, f"--control {path}: another machine listens there")
        return path
    found = next(filter(None, map(free_socket, control_folders())), "")
    if not found:
        complain("control: off: no place for its socket; name one by --control PATH")
    return found


def machine_of(options, coloured):
    cmdline = options.cmdline
    if not coloured and "color=" not in cmdline:
        cmdline = f"{cmdline} color=off".strip()
    if options.initrd is not None and not os.path.isfile(options.initrd):
        why = "not a file" if os.path.exists(options.initrd) else "no such file"
        raise helix.Failure(helix.EXIT_FAILURE, f"--initrd {options.initrd}: {why}")
    return helix.Machine(
        boot="direct" if options.direct else "uefi" if options.uefi else "bios",
        smp=options.smp, memory=options.memory, cmdline=cmdline, debug=options.debug, extra=options.extra,
        initrd=os.path.abspath(options.initrd) if options.initrd else None, control=control_of(options))


def announce_gdb():
    elf = os.path.join(helix.build_dir(), "kernel", "helix.elf")
    script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "gdb", "helix_gdb.py")
    complain("waiting for gdb; type in another terminal:")
    print(f"    gdb {shlex.quote(elf)} -x {shlex.quote(script)} -ex 'target remote :{helix.gdb_port()}'", file=sys.stderr,
          flush=True)


def announce_control(path):
    if path:
        complain(f"control: {path}")


def remove_control(path):
    """QEMU leaves it behind when it is killed."""
    try:
        if path and not is_served(path):
            os.unlink(path)
    except OSError:
        pass


def run_for_person(machine):
    """The terminal belongs to QEMU, which gives it back; a killed QEMU does not, so it is restored here."""
    complain("Ctrl-A X quits")
    settings = termios.tcgetattr(sys.stdin)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = subprocess.call(machine.argv("mon:stdio"))
    except OSError as error:
        raise helix.Failure(helix.EXIT_FAILURE, f"QEMU cannot be started: {error}") from error
    finally:
        signal.signal(signal.SIGINT, previous)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
    code = helix.guest_code(status)
    if code is not None:
        return code
    if status == 0:
        return 0
    complain(f"QEMU failed with status {status}" if status > 0 else f"QEMU was killed by signal {-status}")
    return helix.EXIT_FAILURE


class Script:
    """Standard input as lines, read only when one is wanted, so that a slow writer is waited for."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.buffer = b""
        self.ended = False

    def fill(self):
        data = os.read(self.descriptor, 65536)
        self.buffer += data
        self.ended = not data

    def next(self):
        """The next line; None: not there yet, or never when ended is set."""
        line, newline, rest = self.buffer.partition(b"\n")
        if not newline and not (self.ended and line):
            return None
        self.buffer = rest
        return self.as_keys(line.decode(errors="replace"))

    @staticmethod
    def as_keys(line):
        """A script has text, no keys: a tab is a blank, other control characters are left out."""
        return "".join(c for c in line.replace("\t", " ") if not (c < " " or "\x7f" <= c <= "\x9f"))


class Printer:
    """Copies finished lines of the console to standard output, from the kernel's first one on."""

    def __init__(self, guest):
        self.guest = guest
        self.next = None

    def flush(self, all_lines=False):
        lines = self.guest.screen.lines
        if self.next is None:
            if not (all_lines or self.guest.screen.at_prompt()):
                return
            self.next = len(lines) - len(self.guest.kernel_lines())
        for line in lines[self.next:]:
            print(line)
        if all_lines and self.guest.screen.line.strip():
            print(self.guest.screen.line)
        self.next = len(lines)
        sys.stdout.flush()


def feed(guest, script, printer, first_limit_s, limit_s):
    """One line a prompt, then `poweroff'. Returns when a `reboot' was answered by a reset, which ends QEMU; every other
    end is an exception."""
    guest.boot(first_limit_s)
    printer.flush()
    while True:
        command = script.next()
        while command is None and not script.ended:
            if guest.pump(helix.PANIC_QUIET_S, also=[script.descriptor]):
                script.fill()
            printer.flush()
            command = script.next()
        command = "poweroff" if command is None else command
        since = len(guest.screen.lines)
        guest.send(command)

        def prompted(since=since, command=command):
            printer.flush()
            return guest.prompted(since, command)

        try:
            guest.wait(prompted, limit_s, f"`{command}'")
        except helix.Reset:
            if command.split()[:1] != ["reboot"]:
                raise
            return


def run_for_script(machine, timeout_s):
    first_limit_s = timeout_s or helix.BOOT_LIMIT_S[machine.boot]
    limit_s = timeout_s or helix.COMMAND_LIMIT_S
    if machine.debug:
        first_limit_s = limit_s = float(24 * 3600)
    with helix.Guest(machine) as guest:
        printer = Printer(guest)
        try:
            feed(guest, Script(sys.stdin.fileno()), printer, first_limit_s, limit_s)
            printer.flush(all_lines=True)
            return 0
        except helix.Ended as ended:
            printer.flush(all_lines=True)
            return ended.code
        except helix.Failure:
            printer.flush(all_lines=True)
            raise


def main():
    if sys.stdin is None:  # closed by the caller
        sys.stdin = open(os.devnull, encoding="utf-8")
    interactive = sys.stdin.isatty()
    try:
        options = parse(sys.argv[1:])
        machine = machine_of(options, coloured=options.print or (interactive and sys.stdout.isatty()))
        if options.print:
            print(shlex.join(machine.argv("mon:stdio", make=False)))
            return 0
        if options.debug:
            announce_gdb()
        announce_control(machine.control)
        try:
            return run_for_person(machine) if interactive else run_for_script(machine, options.timeout)
        finally:
            remove_control(machine.control)
    except helix.Failure as failure:
        complain(failure)
        return failure.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return helix.EXIT_FAILURE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
