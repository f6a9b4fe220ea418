#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_helixctl.py - helixctl as a person runs it, against a peer that follows the protocol and fails in every way it can.

HELIXCTL names another program.
"""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, counted, equal, main  # pylint: disable=wrong-import-position
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from control_peer import EXEC, QUERY, Answer, Faults, Peer  # pylint: disable=wrong-import-position

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.environ.get("HELIXCTL", os.path.join(BUILD, "tools", "helixctl", "helixctl"))
WORK = tempfile.mkdtemp(prefix="helixctl-test-")
SOCKET = os.path.join(WORK, "control.sock")
MODULE = os.path.join(WORK, "svc_kv-2.hxm")
SPARE = ("HELIX_CONTROL", "HELIX_BUILD", "NO_COLOR", "XDG_RUNTIME_DIR")
OK, REFUSED, USAGE, ABSENT, DAMAGED, STOPPED = 0, 1, 2, 3, 4, 130
PACKER = os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack")
# As it is when nothing can be left out any more.
subprocess.run([PACKER, "create", "-o", MODULE + ".cpio", "--strip-debug", "--hold",
                os.path.join(BUILD, "modules", "svc_kv-2.hxm")], check=True)
subprocess.run([PACKER, "extract", "-C", WORK, MODULE + ".cpio", "svc_kv-2.hxm"], check=True)
with open(MODULE, "rb") as opened:
    MODULE_BYTES = opened.read()
FRAMES = 1 + 1 + -(-len(MODULE_BYTES) // 4092)  # of a push: HELLO, PUSH, DATA
with open(os.path.join(ROOT, "include", "helix", "module.h"), encoding="ascii") as opened:
    ABI = ".".join(re.search(r"define HX_ABI HX_VERSION\((\d+), (\d+), (\d+)\)", opened.read()).groups())

LSMOD = Answer(text="NAME             VERSION\nsvc_kv           1.0.0\n",
               rows=[{"name": "svc_kv", "version": "1.0.0", "state": "Running", "provides": "hx.kv-1.1", "users": "svc_b"},
                     {"name": "svc_b", "version": "2.0.0", "state": "Paused", "provides": None, "users": None}])
SWAPS = Answer(text="NUM\n", rows=[
    {"num": 1, "old": "svc_kv", "old_version": "1.0.0", "new": "svc_kv", "new_version": "2.0.0", "total_ns": 4000000,
     "link_ns": 900000, "admit_ns": 100000, "init_ns": 200000, "reserve_ns": 50000, "drain_ns": 500000, "save_ns": 250000,
     "load_ns": 1000000, "publish_ns": 500000, "start_ns": 30000, "check_ns": 20000, "open_ns": 5000000, "decided_ns": 1005000000,
     "blackout_ns": 2000000, "outcome": "committed"},
    {"num": 2, "old": "a<b", "old_version": "1.0.0", "new": "c&d", "new_version": "1.0.1", "total_ns": 2000000,
     "link_ns": 2000000, "blackout_ns": 0, "outcome": "refused"}])
RELOADED = Answer(text="reload: svc_kv 1.0.0 -> 2.0.0, probation\n")
ANSWERS = {"lsmod": LSMOD, "swaps": SWAPS, "reload": RELOADED, "insmod": Answer(text="insmod: loaded svc_kv 2.0.0\n"),
           "ps": Answer(text="NUM NAME\n  1 console\n", rows=[{"number": 1, "name": "console"}]),
           "rollback": Answer(text="rollback: svc_kv 2.0.0 -> 1.0.0\n"),
           "services": Answer(rows=[{"service": "kv", "owner": "svc_kv"}]),
           "chan": Answer(rows=[{"number": 1, "name": None, "owners": "svc_kv,kernel"},
                                {"number": 2, "name": "svc_kv/kv", "owners": "svc_kv"}]),
           "dmesg": Answer(text="[1.0] one\n[2.0] two\n", rows=[{"at": 1, "text": "one"}]),
           "events": Answer(text="TIME\n1 task created\n", rows=[{"topic": "task"}])}


def pushed(kernel, what, **wanted):
    """Whether @kernel has these files (with _ for what cannot be in a word), and no others."""
    names = {name.replace("_2", "-2") + ".hxm": content for name, content in wanted.items()}
    assert kernel.files == names, (f"{what}: there is { {name: len(content) for name, content in kernel.files.items()} }, not "
                                   f"{ {name: len(content) for name, content in names.items()} }")


def environment(**more):
    return {**{name: value for name, value in os.environ.items() if name not in SPARE}, **more}


def peer(**options):
    options.setdefault("answers", ANSWERS)
    options.setdefault("introduction", {"abi": ABI})
    return Peer(SOCKET, **options)


def tool(*arguments, status=OK, cwd=WORK, connect=SOCKET, **options):
    """Runs it; returns what it wrote, as (output, errors)."""
    named = ["--connect", connect] if connect else []
    done = subprocess.run([TOOL, arguments[0], *named, *arguments[1:]], cwd=cwd, capture_output=True, text=True, timeout=60,
                          env=environment(**options.pop("env", {})), check=False, **options)
    assert done.returncode == status, f"{arguments}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
    for line in done.stderr.splitlines():
        assert line.startswith(("helixctl: ", "usage: ")) or status in (REFUSED, USAGE), done.stderr
    return done.stdout, done.stderr


def refused(*arguments, **options):
    out, errors = tool(*arguments, **{"status": REFUSED, **options})
    equal(out, "", "output")
    return errors


# ---- what shows something --------------------------------------------------------------------------------------------
@case("what the kernel shows a person is shown, and for programs its rows as they are")
def views():
    with peer() as kernel:
        for name in ("lsmod", "ps", "swaps", "dmesg", "events"):
            equal(tool(name), (ANSWERS[name].text, ""), name)
            out, _ = tool(name, "--json")
            equal([json.loads(line) for line in out.splitlines()], ANSWERS[name].rows, name)
        tool("dmesg", "-l", "warn")
        tool("events", "-n", "3", "task")
        equal(kernel.commands[:2], [(EXEC, "lsmod"), (QUERY, "lsmod")], "what was asked")
        equal([line for _, line in kernel.commands[-2:]], ["dmesg -l warn", "events -n 3 task"], "what was asked")


@case("rows that are cut into frames anywhere come whole")
def long_rows():
    rows = [{"number": i, "text": "x" * (i % 97)} for i in range(3000)]
    with peer(answers={"ps": Answer(rows=rows)}):
        out, _ = tool("ps", "--json")
    equal([json.loads(line) for line in out.splitlines()], rows, "rows")


@case("any command of the console can be run, its words as they were given")
def execute():
    with peer(answers={"echo": Answer(text="said\n")}) as kernel:
        equal(tool("exec", 'echo "a  b"')[0], "said\n", "one word")
        equal(tool("exec", "echo", "-f", "--json")[0], "said\n", "several words")
        equal(kernel.commands, [(EXEC, 'echo "a  b"'), (EXEC, "echo -f --json")], "what was asked")
        equal(tool("exec", "-q", "echo"), ("", ""), "quiet")


@case("what the kernel refuses is told with its error's name, and is exit status 1")
def refusals():
    why = "reload: svc_kv: state: state-mismatch: field used; declare it"
    answers = {**ANSWERS, "reload": Answer(text=why + "\n", status=-30, error="state-mismatch", why=why)}
    with peer(answers=answers):
        contains(refused("reload", "svc_kv"), f"helixctl: refused: {why}\n")
        contains(refused("exec", "nonsense"), "not-found")
        out, errors = tool("reload", "--json", "svc_kv", status=REFUSED)
        contains(errors, why)
        equal({key: json.loads(out)[key] for key in ("status", "error", "text", "output")},
              {"status": -30, "error": "state-mismatch", "text": why, "output": why + "\n"}, "the object")
        contains(refused("push", MODULE, "--reload", "-q"), "state-mismatch")


@case("control characters of the kernel's do not reach the terminal")
def printable():
    with peer(answers={"ps": Answer(text="a\033[2Jb\tc\n")}):
        equal(tool("ps")[0], "a?[2Jb\tc\n", "text")


@case("reload, rollback: words with blanks and quotes reach the kernel as words")
def changes():
    with peer() as kernel:
        equal(tool("reload", "svc_kv", "svc_kv-2.hxm", "limit=7", "--with", "a=b.hxm,c")[0], RELOADED.text, "reload")
        tool("reload", "svc_kv", 'text=a "b" \\')
        equal(tool("rollback", "svc_kv")[0], ANSWERS["rollback"].text, "rollback")
        equal([line for _, line in kernel.commands],
              ["reload --with a=b.hxm,c svc_kv svc_kv-2.hxm limit=7", 'reload svc_kv "text=a \\"b\\" \\\\"', "rollback svc_kv"],
              "what was asked")
        contains(refused("reload", "svc_kv", "a\nb"), "one line")


# ---- push ------------------------------------------------------------------------------------------------------------
@case("a module is pushed whole, in a window of four frames, and takes the place that is named")
def push():
    with peer() as kernel:
        out, _ = tool("push", MODULE)
        assert re.fullmatch(rf"push: svc_kv-2\.hxm, {len(MODULE_BYTES)} bytes in [\d.]+ s\n", out), out
        pushed(kernel, "files", svc_kv_2=MODULE_BYTES)
        equal(kernel.commands, [], "commands")
        assert kernel.most_under_way <= 4, kernel.most_under_way
        tool("push", MODULE, "--name", "other.hxm", "--reload")
        tool("push", "--reload=svc_x", MODULE)
        tool("push", MODULE, "--reload", "svc_y")
        tool("push", MODULE, "--load")
        tool("push", MODULE, "--load", "--reload")  # it runs
        assert kernel.files["other.hxm"] == MODULE_BYTES, "other.hxm"
        equal([line for _, line in kernel.commands],
              ["reload svc_kv other.hxm", "reload svc_x svc_kv-2.hxm", "reload svc_y svc_kv-2.hxm", "insmod svc_kv-2.hxm",
               "reload svc_kv svc_kv-2.hxm"], "commands")
    absent = Answer(status=-2, error="not-found", why="reload: svc_kv: not-found: there is no such module")
    with peer(answers={**ANSWERS, "reload": absent}) as kernel:
        equal(tool("push", MODULE, "--load", "--reload", "-q"), ("", ""), "quiet")
        equal([line for _, line in kernel.commands], ["reload svc_kv svc_kv-2.hxm", "insmod svc_kv-2.hxm"], "what is not loaded")
        contains(refused("push", MODULE, "--reload"), "no such module")
        found = json.loads(tool("push", MODULE, "--json", "--load")[0])
    equal([found[key] for key in ("name", "module", "version", "bytes", "resumed", "status", "error", "output")],
          ["svc_kv-2.hxm", "svc_kv", "2.0.0", len(MODULE_BYTES), 0, 0, "ok", ANSWERS["insmod"].text], "the object")


@case("a push that loses any one frame, either way, comes whole all the same")
def push_damaged():
    last = FRAMES + 2
    for number in range(1, last):
        for fault in ("damage_in", "damage_out", "lose_out"):
            with peer(faults=Faults(**{fault: {number}})) as kernel:
                tool("push", MODULE, "--timeout", "4")
                pushed(kernel, f"{fault} {number}", svc_kv_2=MODULE_BYTES)
    for number in (2, 3, FRAMES):
        with peer(faults=Faults(lose_in={number})) as kernel:
            tool("push", MODULE)
            pushed(kernel, f"lose_in {number}", svc_kv_2=MODULE_BYTES)
    small = os.path.join(WORK, "small.hxm")
    with open(small, "wb") as file:
        file.write(b"a frame")
    for number in (2, 3):
        with peer(faults=Faults(damage_in={number})) as kernel:
            tool("push", small, "--no-check")
            pushed(kernel, f"of two frames, {number}", small=b"a frame")


@case("a line that damages everything is told apart from one that says nothing")
def hopeless():
    with peer(faults=Faults(damage_in=set(range(4, 1000)))):
        contains(refused("push", MODULE, status=DAMAGED), "the line damages")
    with peer(faults=Faults(lose_in=set(range(2, 1000)))):
        contains(refused("lsmod", "--timeout", "3", status=ABSENT), "no answer")
    with peer(faults=Faults(damage_out=set(range(2, 1000)))):
        contains(refused("reload", "svc_kv", "--timeout", "3", status=DAMAGED), "the line damages")


@case("debug information stays here, unless it is asked for or a signature holds for it")
def debug_stays():
    source_c, module, shipped = (os.path.join(WORK, name) for name in ("d.c", "d.hxm", "d-plain.hxm"))
    with open(source_c, "w", encoding="ascii") as file:
        file.write('#include <helix/module.h>\nHX_MODULE("d", HX_VERSION(1, 0, 0), "with debug information");\n')
    flags = "-std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only"
    for debug, out in (("-g", module), ("-g0", shipped)):
        subprocess.run(["cc", *flags.split(), debug, "-I" + os.path.join(ROOT, "include"), "-c", source_c, "-o", out], check=True)
    with open(module, "rb") as file:
        whole = file.read()
    with peer() as kernel:
        tool("push", module)
        assert len(kernel.files["d.hxm"]) < os.path.getsize(shipped) + 600 < len(whole) / 2, len(kernel.files["d.hxm"])
        for arguments in (("--keep-debug",), ("--no-check",)):
            tool("push", module, *arguments)
            pushed(kernel, arguments, d=whole)
        with open(module + ".sig", "wb") as file:
            file.write(bytes(64))
        kernel.files.clear()
        tool("push", module)
        pushed(kernel, "with a signature", d=whole)


@case("a connection that ends at any frame of a push is told, and nothing of the file stays")
def push_cut():
    for number in range(1, FRAMES + 1):
        with peer(faults=Faults(cut_in=number)) as kernel:
            errors = refused("push", MODULE, "--reload", "--timeout", "1", status=ABSENT)
            assert "has ended" in errors or "closed before" in errors, errors
            equal((list(kernel.files), kernel.commands), ([], []), f"cut at frame {number}")


@case("a connection that ends at any byte of a push is told")
def push_cut_bytes():
    whole = len(MODULE_BYTES) + 16 * FRAMES + 136 + 4 * (FRAMES - 2)
    step = max(1, whole // counted(25, 400))
    for at in range(1, whole, step):
        with peer(faults=Faults(cut_bytes=at)) as kernel:
            refused("push", MODULE, "--timeout", "1", status=ABSENT)
            equal(kernel.files, {}, f"cut behind byte {at}")


@case("what the kernel thinks of a push is told")
def push_refused():
    for error, why in (("denied", "push: denied: the kernel takes no files, control=off"), ("corrupt", "checksum")):
        with peer(refuse_push=(-1, error, why)) as kernel:
            contains(refused("push", MODULE, "--reload"), why)
            equal((kernel.files, kernel.commands), ({}, []), "what came of it")


@case("a signature is made by --key, or read from beside the file")
def signed():
    module, key, public = (os.path.join(WORK, name) for name in ("signed.hxm", "key.pem", "public.pem"))
    shutil.copy(MODULE, module)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    with peer() as kernel:
        tool("push", module)
        equal(kernel.signatures["signed.hxm"], bytes(64), "no signature")
        tool("push", module, "--key", key)
        made = kernel.signatures["signed.hxm"]
        with open(module + ".sig", "wb") as file:
            file.write(made)
        subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", module, "-sigfile",
                        module + ".sig"], check=True, capture_output=True)
        kernel.signatures.clear()
        tool("push", module)
        equal(kernel.signatures["signed.hxm"], made, "the signature beside it")
        with open(module + ".sig", "ab") as file:
            file.write(b"x")
        contains(refused("push", module), "a signature has 64 bytes")
        contains(refused("push", module, "--key", public), "no private Ed25519 key")
        contains(refused("push", module, "--key", "nowhere"), "No such file")


# ---- what is checked here --------------------------------------------------------------------------------------------
@case("a module for another ABI is refused before it is pushed, with both ids")
def other_abi():
    with peer(introduction={"abi": "77.5.0"}) as kernel:
        major, minor = ABI.split(".")[:2]
        contains(refused("push", MODULE), f"built for ABI {major}.{minor}, the running kernel has 77.5")
        equal(kernel.files, {}, "files")


@case("what the kernel's loader would refuse is refused here, and pushed with --no-check")
def checked():
    bad = os.path.join(WORK, "bad.hxm")
    with open(bad, "wb") as file:
        file.write(MODULE_BYTES[:1000])
    with open(os.path.join(WORK, "empty.hxm"), "wb"), peer() as kernel:
        contains(refused("push", bad), "the kernel's loader refuses it")
        equal(kernel.files, {}, "files")
        tool("push", bad, "--no-check")
        contains(refused("push", bad, "--no-check", "--reload"), "--reload=MODULE")
        tool("push", bad, "--no-check", "--reload", "svc_kv")
        pushed(kernel, "files", bad=MODULE_BYTES[:1000])
        contains(refused("push", "empty.hxm", "--no-check"), "0 bytes")
        contains(refused("push", "nowhere.hxm"), "nowhere.hxm")
        for name in ("x", "a b.hxm", ".hxm", "-x.hxm", "x" * 60 + ".hxm", "../x.hxm"):
            contains(refused("push", MODULE, "--name=" + name), "takes no file of that name")


# ---- connections -----------------------------------------------------------------------------------------------------
@case("the kernel is found by option, variable, build directory, and where qemu/run and helix-run put it")
def places():
    deep = os.path.join(WORK, "tree", "a", "b")
    os.makedirs(deep)
    own = os.path.join(WORK, "run")
    os.makedirs(os.path.join(own, "helix"))
    with peer():
        equal(tool("lsmod", connect=None, env={"HELIX_CONTROL": SOCKET})[0], LSMOD.text, "HELIX_CONTROL")
        tool("lsmod", env={"HELIX_CONTROL": "/nowhere"})
        for build, place, where in (("build", os.path.join(WORK, "tree", "build"), {"cwd": deep}),
                                    ("above", os.path.join(WORK, "tree"), {"cwd": deep}),
                                    ("variable", os.path.join(WORK, "elsewhere"),
                                     {"env": {"HELIX_BUILD": os.path.join(WORK, "elsewhere")}})):
            os.makedirs(os.path.join(place, "qemu"), exist_ok=True)
            os.symlink(SOCKET, os.path.join(place, "qemu", "control.sock"))
            equal(tool("lsmod", connect=None, **where)[0], LSMOD.text, build)
            os.unlink(os.path.join(place, "qemu", "control.sock"))
        os.symlink(SOCKET, os.path.join(own, "helix", "control.sock"))
        tool("lsmod", connect=None, env={"XDG_RUNTIME_DIR": own})
    contains(refused("lsmod", connect=None, status=ABSENT, cwd=deep), "qemu/run")


@case("who does not answer is told apart from who is not there")
def absent():
    with peer(faults=Faults(mute=True)):
        contains(refused("lsmod", "--timeout", "0.3", status=ABSENT), "no kernel has answered")
    contains(refused("lsmod", status=ABSENT), "Connection refused")
    contains(refused("lsmod", connect="/nowhere/x", status=ABSENT), "No such file")
    contains(refused("lsmod", connect="/dev/null", status=ABSENT), "serial port")
    contains(refused("lsmod", connect="/" + "x" * 200, status=ABSENT), "too long")
    with peer(introduction={"protocol": 2}):
        contains(refused("lsmod"), "version 2 of the protocol")


@case("what lies on the line from before is passed over")
def noise():
    with peer(faults=Faults(noise=b"\0garbage HXC1\1\2\3" + os.urandom(300))):
        equal(tool("lsmod")[0], LSMOD.text, "answer")


@case("a lost request is made again, a damaged list is asked for again")
def again():
    for fault, number in (("damage_in", 1), ("damage_in", 2), ("damage_out", 1), ("damage_out", 2), ("damage_out", 3)):
        with peer(faults=Faults(**{fault: {number}})) as kernel:
            equal(tool("lsmod", "--timeout", "20")[0], LSMOD.text, f"{fault} {number}")
            assert kernel.commands, "nothing was asked"
    with peer(faults=Faults(damage_in={2})) as kernel:
        tool("reload", "svc_kv")
        equal(len(kernel.commands), 1, "reloads")
    # What changes something is not done twice.
    with peer(faults=Faults(damage_out={2})) as kernel:
        refused("reload", "svc_kv", status=DAMAGED)
        equal(len(kernel.commands), 1, "reloads")


@case("wait-ready waits for a kernel that is not there yet")
def wait_ready():
    contains(refused("wait-ready", "--timeout", "0.4", status=ABSENT), "cannot connect")
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    late = []
    timer = threading.Timer(0.5, lambda: late.append(peer()))
    timer.start()
    out, _ = tool("wait-ready", "--json", "--timeout", "20")
    timer.join()
    late[0].__exit__()
    equal(json.loads(out)["abi"], ABI, "the introduction")
    with peer():
        contains(tool("wait-ready")[0], f"ABI {ABI}")


def started(*arguments, **options):
    # pylint: disable=consider-using-with
    return subprocess.Popen([TOOL, arguments[0], "--connect", SOCKET, *arguments[1:]], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment(), **options)


def until(condition, what, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@case("what the kernel cannot break off is told at Ctrl-C")
def goes_on():
    with peer(answers={"reload": Answer(silent=True)}) as kernel:
        kernel.cancel_says = (-30, "canceled", "it goes on in the kernel")
        process = started("reload", "x", "--json")
        until(lambda: kernel.commands, "nothing was asked")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        equal((process.returncode, errors), (STOPPED, "helixctl: reload x: it goes on in the kernel\n"), "what is said")
        equal(json.loads(out)["error"], "canceled", "the object")


@case("Ctrl-C cancels what runs in the kernel")
def interrupted():
    answers = {"events": Answer(text="TIME\none\n", rows=[{"a": 1}], endless=True),
               "spin": Answer(text="round\n", endless=True), "reload": Answer(silent=True)}
    for arguments, status, text in ((("events", "-f"), OK, "TIME\none\n"), (("events", "-f", "--json"), OK, '{"a": 1}\n'),
                                    (("exec", "spin"), STOPPED, "round\n"), (("reload", "x"), STOPPED, "")):
        with peer(answers=answers) as kernel:
            process = started(*arguments)
            until(lambda kernel=kernel: kernel.commands, "nothing was asked")
            said = process.stdout.read(len(text))
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
            equal((process.returncode, said + out, kernel.cancelled), (status, text, 1), f"{arguments} {errors}")


@case("who reads no more ends what is followed")
def closed_pipe():
    for text in ("TIME\none\n" * 20000, "TIME\n"):  # also when there is nothing more to write
        with peer(answers={"events": Answer(text=text, endless=True)}) as kernel:
            process = started("events", "-f")
            process.stdout.readline()
            process.stdout.close()
            process.wait(60)
            process.stderr.close()
            until(lambda kernel=kernel: kernel.cancelled, "it was not cancelled")


# ---- terminals -------------------------------------------------------------------------------------------------------
def at_terminal(*arguments, env=None):
    """What it writes when both channels are a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen([TOOL, arguments[0], "--connect", SOCKET, *arguments[1:]], stdin=follower, stdout=follower,
                          stderr=follower, env=environment(**{"TERM": "xterm", **(env or {})})) as process:
        os.close(follower)
        out = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                data = os.read(leader, 4096)
            except OSError:
                break
            out += data
        process.wait(60)
    os.close(leader)
    return out.decode()


@case("colours are for terminals, and not for those with NO_COLOR")
def colours():
    with peer():
        contains(at_terminal("lsmod"), "\033[1mNAME")
        contains(at_terminal("lsmod", env={"NO_COLOR": ""}), "\033[1mNAME")
        contains(at_terminal("exec", "nonsense"), "\033[31mhelixctl: ")
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            for command in (("lsmod",), ("exec", "nonsense")):
                assert "\033" not in at_terminal(*command, env=env), (command, env)
        for command in (("lsmod",), ("exec", "nonsense"), ("push", MODULE, "--reload")):  # into pipes
            for wanted in ({"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": ""}):
                done = subprocess.run([TOOL, command[0], "--connect", SOCKET, *command[1:]], capture_output=True, text=True,
                                      timeout=60, env=environment(**wanted), check=False)
                assert done.stdout + done.stderr and "\033" not in done.stdout + done.stderr, (command, done)


@case("a long push shows how far it is, where there is a terminal")
def progress():
    big = os.path.join(WORK, "big.hxm")
    with open(big, "wb") as file:
        file.write(os.urandom(2 * 1024 * 1024))
    with peer() as kernel:
        contains(at_terminal("push", big, "--no-check"), "KiB/s")
        equal(len(kernel.files["big.hxm"]), 2 * 1024 * 1024, "bytes")
        assert "KiB/s" not in at_terminal("push", big, "--no-check", "--quiet")
    with open(big, "wb") as file:
        file.write(bytes(4 * 1024 * 1024 + 1))
    with peer():
        contains(refused("push", big, "--no-check"), "from 1 to 4194304")


@case("a serial port is a line as good")
def serial_port():
    leader, follower = pty.openpty()
    path = os.ttyname(follower)
    with peer():
        import socket  # pylint: disable=import-outside-toplevel
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(SOCKET)

            def carry():
                while not over.is_set():
                    for ready in select.select([leader, line], [], [], 0.05)[0]:
                        data = os.read(leader, 4096) if ready == leader else line.recv(4096)
                        (line.sendall if ready == leader else lambda d: os.write(leader, d))(data)

            over = threading.Event()
            carrier = threading.Thread(target=carry)
            carrier.start()
            try:
                equal(tool("lsmod", connect=path)[0], LSMOD.text, "answer")
                tool("push", MODULE, connect=path)
            finally:
                over.set()
                carrier.join()
    os.close(leader)
    os.close(follower)


# ---- watch -----------------------------------------------------------------------------------------------------------
def project(name):
    """A directory whose `build' copies one of two modules, as its source says."""
    folder = os.path.join(WORK, name)
    os.makedirs(os.path.join(folder, "build"))
    os.makedirs(os.path.join(folder, "src"))
    with open(os.path.join(folder, "Makefile"), "w", encoding="ascii") as file:
        file.write(f"all:\n\t@grep -q good src/m.c || {{ echo m.c: no good; false; }}\n"
                   f"\t@cp {BUILD}/modules/svc_kv$$(cat src/version).hxm build/svc_kv.hxm\n")
    save(folder, "src/m.c", "good")
    save(folder, "src/version", "")
    return folder


def save(folder, name, text):
    """As editors do: another file, renamed."""
    with open(os.path.join(folder, name + "~"), "w", encoding="ascii") as file:
        file.write(text)
    os.rename(os.path.join(folder, name + "~"), os.path.join(folder, name))


@case("watch builds, pushes and reloads at once and at every save, and tells how long each step took")
def watch():
    folder = project("watched")
    answers = {**ANSWERS, "kv": Answer(text="kv: 3 keys\n")}
    with peer(answers=answers) as kernel:
        process = started("watch", folder, "--json", "--ask", "kv", "--count", "5")
        first = json.loads(process.stdout.readline())
        equal((first["module"], first["version"], first["exit"], first["answer"]), ("svc_kv", "1.0.0", 0, "kv: 3 keys\n"), "first")
        save(folder, "src/version", "-2")
        second = json.loads(process.stdout.readline())
        equal((second["changed"], second["version"], second["same"]), ("version", "2.0.0", False), "second")
        assert second["live_s"] >= second["build_s"] + second["push_s"] + second["reload_s"] > 0, second
        save(folder, "src/m.c", "bad")
        equal(json.loads(process.stdout.readline())["exit"], REFUSED, "third")
        save(folder, "src/m.c", "good again")
        equal(json.loads(process.stdout.readline())["same"], True, "fourth")
        for other in ("src/.m.c.swp", "src/m.c~", "src/m.o", "src/sedAb12yz", "build/x.c"):
            with open(os.path.join(folder, other), "w", encoding="ascii"):
                pass
        time.sleep(0.2)  # for what must not happen
        os.makedirs(os.path.join(folder, "new", "deep"))
        save(folder, "new/deep/x.c", "")
        fifth = json.loads(process.stdout.readline())
        equal(fifth["changed"], "x.c", "fifth")
        _, errors = process.communicate(timeout=60)
        equal(process.returncode, OK, "exit status")
        contains(errors, "m.c: no good")
        contains(errors, "failed with status 2; what runs in the kernel runs on")
        equal([line for _, line in kernel.commands],
              ["reload svc_kv svc_kv.hxm", "kv", "reload svc_kv svc_kv.hxm", "kv"], "commands")


@case("watch outlives refusals and the kernel, and tells a person")
def watch_on():
    folder = project("outlived")
    why = "reload: svc_kv: check: state: no"
    answers = {**ANSWERS, "reload": Answer(status=-3, error="state", why=why)}
    with peer(answers=answers):
        process = started("watch", folder)
        contains(process.stderr.readline(), why)
    contains(process.stderr.readline(), "the connection has ended")
    with peer() as kernel:
        contains(process.stdout.readline(), "live after")
        equal(process.stdout.readline(), RELOADED.text, "what the kernel said")
        equal(kernel.files["svc_kv.hxm"] != b"", True, "the file")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        equal((process.returncode, out, errors), (OK, "", ""), "the end")


@case("watch says what it needs")
def watch_needs():
    folder = project("needs")
    with peer():
        shutil.copy(MODULE, os.path.join(folder, "build", "x.hxm"))
        contains(refused("watch", folder, "--count", "1"), "2 modules in it")
        out, _ = tool("watch", folder, "--count", "1", "--file", os.path.join(folder, "build", "svc_kv.hxm"))
        contains(out, "live after")
        out, _ = tool("watch", folder, "--count", "1", "--build", "true", "--file", MODULE, "--name", "n.hxm", "-m", "svc_b")
        contains(out, "live after")
        os.unlink(os.path.join(folder, "Makefile"))
        contains(refused("watch", folder, "--count", "1"), "--build")
        contains(refused("watch", os.path.join(WORK, "nowhere")), "cannot be watched")


# ---- pictures --------------------------------------------------------------------------------------------------------
@case("the graph is dot's language, from a kernel or from rows")
def graph():
    with peer():
        out, _ = tool("graph")
        contains(out, '"m:svc_kv" -> "i:hx.kv-1.1"')
        contains(out, '"m:svc_b" -> "i:hx.kv-1.1" [style=dashed]')
        contains(out, '"s:kv" [shape=hexagon')
        contains(out, '"m:svc_kv" -> "c:channel 1"')
        contains(out, '"m:kernel" -> "c:channel 1"')
        contains(out, '"c:svc_kv/kv" [shape=cds, label="svc_kv/kv"]')
        contains(out, '"m:svc_kv" -> "c:svc_kv/kv"')
        rows, _ = tool("lsmod", "--json")
    equal(tool("graph", "-", input=rows)[0].count("shape=box"), 2, "boxes")
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=out, text=True, check=True, capture_output=True)
    contains(refused("graph", "-", input="nonsense\n"), "line 1 is no JSON object")
    contains(refused("graph", "nowhere"), "No such file")


@case("the timeline is SVG, each phase as long as it was")
def timeline():
    import xml.etree.ElementTree as xml  # pylint: disable=import-outside-toplevel
    with peer():
        out, _ = tool("timeline")
        rows, _ = tool("swaps", "--json")
        equal(tool("timeline", "--json")[0].count("\n"), 2, "rows")
    equal(tool("timeline", "-", input=rows)[0], out, "the same from rows")
    space = "{http://www.w3.org/2000/svg}"
    boxes = {box.find(space + "title").text: float(box.get("width")) for box in xml.fromstring(out).iter(space + "rect")
             if box.find(space + "title") is not None}
    assert abs(boxes["link 1000.000 us"] - 2 * boxes["drain 500.000 us"]) < 0.02, boxes
    assert abs(boxes["link 2000.000 us"] - 2 * boxes["link 1000.000 us"]) < 0.02, boxes
    assert abs(boxes["other 500.000 us"] - boxes["drain 500.000 us"]) < 0.02, boxes
    equal([title for title in boxes if " " not in title],
          ["link", "init", "drain", "save", "load", "publish", "check", "other", "probation"], "the key to the colours")
    assert 0 < boxes["probation 1000000.000 us, not to scale"] < 40, boxes
    equal(sum(title.startswith("probation ") for title in boxes), 1, "what was refused has had none")
    text = "".join(xml.fromstring(out).itertext())
    contains(text, "svc_kv 1.0.0 -> 2.0.0")
    contains(text, "a<b 1.0.0 -> c&d 1.0.1")
    contains(text, "probation 1.00 s, committed")
    contains(tool("timeline", "-", input="")[0], "</svg>")


# ---- the command line ------------------------------------------------------------------------------------------------
def commands():
    """{command: its options} as --help tells them."""
    text = subprocess.run([TOOL, "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z-]+) +[a-z]", text, re.MULTILINE)
    found = {}
    for name in names:
        details = subprocess.run([TOOL, name, "--help"], capture_output=True, text=True, check=True).stdout
        contains(details, f"usage: helixctl {name}")
        lines = [line[:26] for line in details.split("\n") if line.startswith("  ")]
        found[name] = sorted(set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", " ".join(lines) + " " + (
            "--with" if name == "reload" else ""))))
    return found


@case("help, version and wrong command lines")
def command_line():
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    contains(version, "protocol 1, module ABI " + ABI.rsplit(".", 1)[0])
    equal(len(commands()), 13, "commands")
    for wrong in ((), ("frob",), ("lsmod", "x"), ("push",), ("push", "a", "b"), ("reload",), ("rollback", "a", "b"), ("exec",),
                  ("watch",), ("ps", "--frob"), ("lsmod", "--timeout", "0"), ("lsmod", "--timeout", "x"), ("timeline", "a", "b"),
                  ("watch", ".", "--count", "0"), ("events", "a", "b"), ("lsmod", "--connect")):
        done = subprocess.run([TOOL, *wrong], capture_output=True, text=True, check=False, env=environment())
        equal((done.returncode, done.stdout), (USAGE, ""), wrong)
        assert done.stderr, wrong


def source(*name):
    with open(os.path.join(ROOT, "tools", "helixctl", *name), encoding="utf-8") as file:
        return file.read()


@case("the manual page tells the protocol as the header has it")
def protocol():
    with open(os.path.join(ROOT, "include", "helix", "control.h"), encoding="ascii") as file:
        header = file.read()
    manual = source("helixctl.1.scd")
    numbers, number = {}, 0
    for name, value in re.findall(r"HX_CONTROL_([A-Z]+)(?: = (\w+))?,", header[header.index("enum hx_control_kind"):]):
        number = int(value, 0) if value else number + 1
        numbers[name] = number
    equal(len(numbers), 11, "kinds of frames")
    said = re.findall(r"^\t_(\w+)_ ([A-Z]+)\t", manual, re.MULTILINE)
    equal({name: int(value, 0) for value, name in said}, numbers, "kinds of frames")
    for name, part in (("MAGIC", "magic, {:#x}"), ("PAYLOAD_MAX", "a payload of up to {} bytes"),
                       ("IDLE_MS", "does not go on for {} ms"), ("SIGNATURE_BYTES", "signature ({} bytes"),
                       ("NAME_MAX", "name ({} bytes)")):
        value = int(re.search(rf"HX_CONTROL_{name} = (\w+)", header)[1], 0)
        contains(manual, part.format(value), name)


@case("the manual page and both completions know every command and every option")
def documented():
    manual, zsh = source("helixctl.1.scd"), source("completion", "_helixctl")
    common = {"-c", "--connect", "-j", "--json", "-q", "--quiet", "-t", "--timeout", "-h", "--help"}
    for name, options in commands().items():
        assert re.search(rf"^## .*\b{name}\b", manual, re.MULTILINE), name
        part = re.search(rf"^ +(?:[a-z-]+ \| )*{name}(?: \| [a-z-]+)*\)(.*?);;", zsh, re.MULTILINE | re.DOTALL)
        assert part, f"zsh: {name}"
        known = part[1] + (zsh if "$signed" in part[1] else "")
        for option in options:
            contains(manual, option, f"the manual page ({name})")
            assert option in common or re.search(rf"{option}(?![a-z-])", known), f"zsh: {name}: {option}"
        script = os.path.join(ROOT, "tools", "helixctl", "completion", "helixctl.bash")
        run = subprocess.run(["bash", "--norc", "-c", f"source {script}; COMP_WORDS=({TOOL} {name} -); COMP_CWORD=2; _helixctl; "
                              "printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, check=True)
        equal(sorted(filter(None, run.stdout.split("\n"))), options, f"bash: {name}")
    with peer():
        run = subprocess.run(["bash", "--norc", "-c", f"source {script}; COMP_WORDS=({TOOL} rollback svc_k); COMP_CWORD=2; "
                              "_helixctl; printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, check=True,
                             env=environment(HELIX_CONTROL=SOCKET))
        equal(run.stdout, "svc_kv\n", "modules")


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
