# SPDX-License-Identifier: MIT
"""test_console.py - the console as a person meets it: keys one by one, text pasted, the log coming in between."""
import io
import re
import time

from harness import boot, case, contains, equal, main, scratch
from views import fixture, pack, shipped

PROMPT = "helix> "
LEFT, RIGHT, UP, DOWN = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B"
HOME, END, DELETE = b"\x1b[H", b"\x1b[F", b"\x1b[3~"


def ctrl(letter):
    return bytes([ord(letter) - ord("@")])


def press(guest, keys, line, column=None):
    """Types @keys; then the row must show @line after the prompt, the cursor at @column of it (its end when None)."""
    at = len(PROMPT) + (len(line) if column is None else column)

    def shown():
        return guest.screen.line.rstrip() == (PROMPT + line).rstrip() and guest.screen.column == at

    guest.type(keys)
    guest.wait(shown, 10, f"{line!r} with the cursor at {at} after {keys!r}, not {guest.screen.line!r}")


def idle(guest, seconds=0.2):
    """Until the machine has been silent for a while."""
    seen = None
    while seen != (len(guest.screen.lines), guest.screen.line) or guest.pending:
        seen = len(guest.screen.lines), guest.screen.line
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            guest.pump(seconds)


@case("every editing key does what it does elsewhere")
def editing():
    with boot() as guest:
        press(guest, b"versoin", "versoin")
        press(guest, LEFT + LEFT + LEFT, "versoin", 4)
        press(guest, b"\x7f", "veroin", 3)
        press(guest, RIGHT + b"X", "veroXin", 5)
        press(guest, b"\x08" + DELETE, "veron", 4)
        press(guest, HOME, "veron", 0)
        press(guest, END, "veron")
        press(guest, ctrl("A") + b">", ">veron", 1)
        press(guest, ctrl("E") + b" two three", ">veron two three")
        press(guest, ctrl("W"), ">veron two ")
        press(guest, LEFT + LEFT + ctrl("K"), ">veron tw")
        press(guest, LEFT + ctrl("U"), "w", 0)
        press(guest, b"\xc3\xa9\xc3\xbc" + b"\x7f", "\u00e9w", 1)
        press(guest, ctrl("L"), "\u00e9w", 1)
        guest.type(ctrl("C"))  # an empty prompt is also what the screen shows while it is drawn again
        guest.wait_line(f"^{PROMPT}\u00e9w\\^C$")
        press(guest, b"\x1b[15~\x1b]0;title\x07\x00\xff", "")
        contains(guest.run("version"), "module ABI")


@case("the arrows bring lines back, and what was being typed")
def history():
    with boot() as guest:
        guest.run("version")
        guest.run("uptime")
        press(guest, b"dra", "dra")
        press(guest, UP, "uptime")
        press(guest, UP, "version")
        press(guest, UP, "version")
        press(guest, b"x", "versionx")
        press(guest, DOWN, "uptime")
        press(guest, DOWN, "dra")
        press(guest, ctrl("U") + UP + UP, "version")
        since = len(guest.screen.lines)
        guest.type(b"\r")
        guest.wait_line("module ABI", since=since)
        idle(guest)


@case("Tab completes commands, modules and files, and lists what it cannot decide")
def completion():
    with boot() as guest:
        press(guest, b"ver\t", "version ")
        press(guest, ctrl("U") + b"rel\t", "reload")
        guest.type(b"\t")
        guest.wait_line("^reload +reloads$")
        press(guest, b" svc_k\t", "reload svc_kv ")
        press(guest, b"sched_r\t", "reload svc_kv sched_rr")
        press(guest, b"-\t", "reload svc_kv sched_rr-2.hxm ")
        press(guest, ctrl("U") + b"kv cou\t", "kv count ")
        contains(guest.run(""), "keys")


@case("a name that is unknown is answered with the nearest, for files with and without their suffix")
def nearest():
    with boot() as guest:
        for command, meant in (("verison", "version"), ("help spwan", "spawn"), ("rmmod svc_kw", "svc_kv"),
                               ("insmod sched_pri", "sched_prio"), ("reload svc_kv svc_kv2", "svc_kv"),
                               ("insmod sched_pro.hxm", "sched_prio.hxm"), ("modinfo sched_pro.hxm", "sched_prio.hxm"),
                               ("kv gte a", "get")):
            lines = guest.run(command)
            equal(len(lines), 1, f"lines of {command}")
            contains(lines, f"did you mean `{meant}'?", command)


@case("sym tells what lies at an address and where a name lies, in the kernel and in modules")
def symbols():
    with boot() as guest:
        for name, offset, owner in (("hx_command_run", 5, "kernel"), ("kv_find", 0, "svc_kv 1.0.0, text"),
                                    ("kv_lengths", 8, "svc_kv 1.0.0, data")):
            lines = guest.run(f"sym {name}")
            equal(len(lines), 1, f"places of {name}")
            place, size = re.fullmatch(rf"(0x[0-9a-f]{{16}}) {name}\+0x0/(0x[0-9a-f]+) \({owner}\)", lines[0]).groups()
            inside = int(place, 16) + offset
            equal(guest.run(f"sym {inside:#x}"), [f"{inside:#018x} {name}+{offset:#x}/{size} ({owner})"], name)
        contains(guest.run("sym hx_log"), "(kernel, export: the stub that modules call)")
        contains(guest.run("sym memset"), "(kernel)", "memset")
        contains(guest.run("sym memset"), "(sched_rr 1.0.0, text)", "memset")
        contains(guest.run("sym hx_comand_run"), "did you mean `hx_command_run'?")
        contains(guest.run("sym 0x10"), "neither text of the kernel nor a part of a module")


@case("what the kernel says while a line is being typed stands above it and tears nothing")
def log_while_typing():
    with scratch() as folder:
        base = [shipped(name) for name in ("sched_rr", "drv_rtc", "svc_kv")]
        with boot(initrd=pack(folder + "/p.cpio", base, [fixture("sched_fault_later")])) as guest:
            guest.run("spawn a")
            since = len(guest.screen.lines)
            guest.run("reload sched_rr sched_fault_later.hxm")
            text, typed = "kv put key " + "value" * 40, 0
            # Into the middle, so that the row is drawn anew at each key; the fault comes in between.
            guest.type(b"' " + LEFT + LEFT)
            while typed < len(text):
                guest.type(text[typed].encode())
                typed += 1
                guest.pump(0.01)
            guest.wait_line("page fault.*reverted to sched_rr 1.0.0", since=since)
            press(guest, HOME, (text + "' ")[:79 - len(PROMPT)], 0)
            for line in guest.screen.lines[since + 1:]:
                assert line.startswith(("reload: ", "[")) and PROMPT not in line, guest.screen.lines[since:]
            press(guest, ctrl("K"), "")
            contains(guest.run("lsmod"), "sched_rr         1.0.0    Running")


@case("a line of more than 255 bytes scrolls, is refused as a whole, and runs once it is shortened")
def long_line():
    with boot() as guest:
        since = len(guest.screen.lines)
        guest.type(b"kv put key " + b"v" * 300 + b"\r")
        guest.wait_line("^console: line: it is longer than 255 bytes", since=since)
        idle(guest)
        contains(guest.run("kv get key"), "kv: key: no")
        guest.type(b"kv put key " + b"v" * 300 + ctrl("W") + b"short\r")
        guest.wait_line("^kv: stored key", since=since)
        idle(guest)
        contains(guest.run("kv count"), "1 keys")
        equal(guest.run("kv get key"), ["short"], "the value")


@case("of a paste that is faster than its commands each line runs whole or is refused whole")
def paste():
    lines = 1200
    with boot() as guest:
        contains(guest.run("kv fill 0"), "put 0")
        since = len(guest.screen.lines)
        guest.type(b"".join(b"kv put key%d value%d\rreload svc_kv svc_kv\r" % (i, i) for i in range(lines // 2)))
        idle(guest, 1.0)
        guest.run("")
        guest.run("")  # the first may be taken for the rest of a line that was lost
        got = guest.screen.lines[since:]
        stored = [line.split()[-1] for line in got if line.startswith("kv: stored ")]
        refused = sum(line.startswith("console: input: ") for line in got)
        reloaded = sum(line.startswith("reload: svc_kv 1.0.0 -> 1.0.0") for line in got)
        others = [line for line in got if not line.startswith(("helix>", "kv: stored ", "reload: ", "console: input: "))]
        equal(others, [], "other lines")
        assert stored and reloaded and len(stored) + reloaded + refused <= lines + 1, (len(stored), reloaded, refused)
        assert refused or len(stored) + reloaded == lines, (len(stored), reloaded)
        contains(guest.run("kv count"), f"{len(stored)} keys")
        for key in stored[:: max(1, len(stored) // 20)]:
            equal(guest.run(f"kv get {key}"), ["value" + key[len("key"):]], key)


@case("Ctrl-C ends a long list")
def break_off():
    with boot() as guest:
        guest.run("kv fill 2000")
        since = len(guest.screen.lines)
        guest.type(b"kv list\r")
        guest.wait_line("^key", since=since)
        guest.type(ctrl("C"))
        count = int(guest.wait_line(r"^kv: (\d+) keys", since=since)[1])
        assert 0 < count < 2000, count
        idle(guest)
        contains(guest.run("version"), "module ABI")


@case("colours are there when asked for, and not one escape sequence for them otherwise")
def colours():
    for option, wanted in (("color=on", True), ("color=off", False)):
        with boot(cmdline=option) as guest:
            guest.transcript = io.BytesIO()
            guest.run("nonsense")
            guest.run("lsmod")
            equal(b"m" in b"".join(part[:5] for part in guest.transcript.getvalue().split(b"\x1b[")[1:]), wanted, option)


if __name__ == "__main__":
    main()
