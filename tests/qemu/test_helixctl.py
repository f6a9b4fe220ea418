# SPDX-License-Identifier: MIT
"""test_helixctl.py - helixctl and a real kernel: pushed, replaced, cut off, refused, watched."""
import contextlib
import fnmatch
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml

from harness import ROOT, boot, built, case, contains, counted, equal, log, main, mkmodpack, scratch
from peer import DATA, HELLO, PUSH, frame, push_payload
from views import fixture, shipped

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import edit_to_live  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, "tests", "malformed"))
import cases as malformed  # noqa: E402

TOOL = built("tools", "helixctl", "helixctl")
OK, REFUSED, ABSENT, STOPPED = 0, 1, 3, 130


class Machine:
    """A guest with its control channel, and helixctl for it."""

    def __init__(self, guest, path):
        self.guest, self.path = guest, path

    def start(self, *arguments):
        # pylint: disable=consider-using-with
        return subprocess.Popen([TOOL, arguments[0], "--connect", self.path, *arguments[1:]], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def wait(self, process, limit_s=60):
        """Until it ends; the console is read meanwhile, or it would fill. Returns (output, errors)."""
        end = time.monotonic() + limit_s
        while process.poll() is None:
            assert time.monotonic() < end, "helixctl does not end"
            self.guest.pump(0.01)
        return process.communicate()

    def read_until(self, process, part, limit_s=60):
        """What it writes, until @part is in that."""
        said, end = "", time.monotonic() + limit_s
        while part not in said:
            assert time.monotonic() < end and process.poll() is None, f"no {part!r} in {said!r}"
            if self.guest.pump(0.05, also=[process.stdout.fileno()]):
                said += os.read(process.stdout.fileno(), 65536).decode()
        return said

    def run(self, *arguments, status=OK):
        process = self.start(*arguments)
        out, errors = self.wait(process)
        equal(process.returncode, status, f"{arguments}: exit status ({out}{errors})")
        return out if status == OK else errors

    def rows(self, *command):
        json_too = () if command[0] == "exec" else ("--json",)
        return [json.loads(line) for line in self.run(*command, *json_too).splitlines()]

    def version(self, module):
        return {row["name"]: row["version"] for row in self.rows("lsmod")}[module]


@contextlib.contextmanager
def machine(**options):
    with scratch() as folder:
        path = os.path.join(folder, "control.sock")
        with boot(control=path, **options) as guest:
            yield Machine(guest, path)


@case("a module is pushed and replaced from outside, its state kept; what the kernel shows comes as text and as rows", limit_s=300)
def push():
    with machine(cmdline="probation_ms=100000") as helix:
        ready = json.loads(helix.run("wait-ready", "--json"))
        equal(ready["protocol"], 1, "protocol")
        contains(helix.run("exec", "kv", "fill", "100"), "put 100 keys")
        contains(helix.run("push", shipped("svc_kv-2"), "--name", "fresh.hxm", "--reload"), "svc_kv 1.0.0 -> 2.0.0")
        contains(helix.run("exec", "kv verify 100"), "100 of 100")
        equal(helix.version("svc_kv"), "2.0.0", "version")
        contains(helix.run("rollback", "svc_kv"), "reverted")
        equal(helix.version("svc_kv"), "1.0.0", "version")
        contains(helix.run("reload", "svc_kv", "fresh.hxm"), "2.0.0")
        contains(helix.run("push", shipped("svc_echo"), "--load"), "loaded svc_echo")
        contains(helix.run("push", shipped("svc_echo-2"), "--reload", "--load"), "svc_echo 1.0.0 -> 2.0.0")
        outcomes = [(row["who"], row["old"], row["new_version"], row["outcome"]) for row in helix.rows("swaps")]
        equal([o[:3] for o in outcomes], [("control", "svc_kv", "2.0.0"), ("control", "svc_kv", "2.0.0"),
                                          ("control", "svc_echo", "2.0.0")], "swaps")
        equal(outcomes[0][3], "reverted", "outcome")
        assert {"control", "console"} <= {row["name"] for row in helix.rows("ps")}, "tasks"
        contains(helix.run("lsmod"), "svc_kv           2.0.0    Running")
        contains(helix.run("dmesg"), "svc_log")
        equal(helix.rows("dmesg")[0]["source"], "kernel", "log")
        assert any(row["what"].startswith("svc_echo") for row in helix.rows("events", "-n", "40")), "events"
        contains("\n".join(helix.guest.run("kv verify 100")), "100 of 100")
        equal(helix.guest.poweroff(), 0, "exit code")


PHASES = {"link": ("link", "admit"), "init": ("init", "reserve"), "drain": ("drain",), "save": ("save",), "load": ("load",),
          "publish": ("publish",), "check": ("start", "check")}


def judge_timeline(picture, rows):
    """It is SVG, names its phases, and has of each swap a bar of them, in order, each as long as it was."""
    space = "{http://www.w3.org/2000/svg}"
    boxes = [(box.find(space + "title").text, float(box.get("x")), float(box.get("y")), float(box.get("width")))
             for box in xml.fromstring(picture).iter(space + "rect") if box.find(space + "title") is not None]
    equal([title for title, *_ in boxes if " " not in title], [*PHASES, "other", "probation"], "the key to the colours")
    bars = {}
    for title, x, y, width in boxes:
        if " " in title:
            bars.setdefault(y, []).append((title, x, width))
    equal(len(bars), len(rows), "bars")
    for row, bar in zip(rows, bars.values()):
        took = {name: sum(row[f"{step}_ns"] for step in steps) for name, steps in PHASES.items()}
        wanted = [f"{name} {ns / 1000:.3f} us" for name, ns in took.items() if ns]
        equal([title for title, *_ in bar][:len(wanted)], wanted, "phases")
        equal(bar[-1][0], f"probation {(row['decided_ns'] - row['open_ns']) / 1000:.3f} us, not to scale", "probation")
        scale = sum(width for *_, width in bar[:len(wanted)]) / sum(took.values())
        for (title, x, width), (_, next_x, _), ns in zip(bar, bar[1:], filter(None, took.values())):
            assert abs(width - ns * scale) < 0.02 and abs(x + width - next_x) < 0.02, f"{title}: {bar}"


@case("pictures are drawn from the kernel's rows", limit_s=300)
def pictures():
    with machine(cmdline="probation_ms=200") as helix:
        helix.run("reload", "svc_kv", "svc_kv-2.hxm")
        dot = helix.run("graph")
        for part in ('"m:svc_kv" -> "i:hx.kv-1.', '"s:kv"', '"m:svc_log" [shape=box', '"c:svc_kv/kv" [shape=cds',
                     '"m:svc_kv" -> "c:svc_kv/kv"'):
            contains(dot, part)
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=dot, text=True, check=True, capture_output=True)
        helix.guest.wait(lambda: helix.rows("swaps")[0]["decided_ns"] > 0, 60, "the end of probation")
        rows = helix.rows("swaps")
        judge_timeline(helix.run("timeline"), rows)
        phases = sum(rows[0][f"{name}_ns"] for name in ("link", "admit", "init", "reserve", "drain", "save", "load", "publish"))
        assert 0 < phases <= rows[0]["total_ns"] * 1.05 and rows[0]["link_ns"] > 0 and rows[0]["load_ns"] > 0, rows[0]
        equal(helix.guest.poweroff(), 0, "exit code")


@case("what is followed goes on until Ctrl-C, and the kernel goes on too", limit_s=300)
def follow():
    with machine() as helix:
        for arguments, before, command, wanted in (
                (("events", "-f"), "svc_log", "insmod svc_echo.hxm", "svc_echo 1.0.0"),
                (("events", "-f", "--json"), "svc_log", "reload svc_echo svc_echo-2.hxm", '"swapped"'),
                (("dmesg", "-f"), "svc_log", "insmod drv_serial.hxm", "nothing answers at port"),
                (("dmesg", "-f", "--json"), '"svc_log 1.0.0', "insmod drv_serial.hxm", '"drv_serial"')):
            process = helix.start(*arguments)
            helix.read_until(process, before)
            helix.guest.run(command)
            helix.read_until(process, wanted)
            process.send_signal(signal.SIGINT)
            helix.wait(process)
            equal(process.returncode, OK, f"{arguments}: exit status")
        contains(helix.run("lsmod"), "svc_echo")
        equal(helix.guest.poweroff(), 0, "exit code")


# ---- for programs ------------------------------------------------------------------------------------------------------
def documented():
    """{command: (the members that its objects have, those that another object has alone)}, of the manual page's JSON."""
    with open(os.path.join(ROOT, "tools", "helixctl", "helixctl.1.scd"), encoding="utf-8") as file:
        part = re.search(r"^# JSON\n(.*?)^# ", file.read(), re.MULTILINE | re.DOTALL)[1]
    members = {}
    for names, text in re.findall(r"^(\*.*\*)\n((?:\t.*\n)+)", part, re.MULTILINE):
        usual, _, other = text.partition("; or, ")
        for name in re.findall(r"\*([a-z-]+)\*", names):
            members[name] = [set(re.findall(r"(?<!\w)_([a-z]\w*?)_(?!\w)", words)) for words in (usual, other)]
    members["watch"][0] |= members["push"][0]
    return members


def fits(rows, members, what, may_lack=()):
    assert rows, f"{what}: there are none"
    for row in rows:
        usual, other = members
        assert set(row) == other or usual - set(may_lack) <= set(row) <= usual, (
            f"{what}: {sorted(row)}; not documented: {sorted(set(row) - usual)}, not there: {sorted(usual - set(row))}")


@case("what --json writes is what the manual page says", limit_s=300)
def rows():
    members = documented()
    with scratch() as folder, machine(cmdline="probation_ms=100000") as helix:
        project = os.path.join(folder, "project")
        os.mkdir(project)
        fits([json.loads(helix.run("wait-ready", "--json"))], members["wait-ready"], "wait-ready")
        for more in ((shipped("svc_kv-2"), "--reload"), (shipped("svc_echo"), "--load")):
            fits([json.loads(helix.run("push", *more, "--json"))], members["push"], "push")
        fits([json.loads(helix.run("push", shipped("svc_echo"), "--json"))], members["push"], "push alone", ["output"])
        for command in ("rollback", "reload"):
            fits([json.loads(helix.run(command, "svc_kv", "--json"))], members[command], command)
        refused = helix.start("push", fixture("missing_symbol"), "--json")
        told, _ = helix.wait(refused)
        fits([json.loads(told)], members["push"], "push, refused here", ["status", "error", "text", "output"])
        equal(json.loads(told)["exit"], REFUSED, "exit")
        refused = helix.start("rollback", "nobody", "--json")
        told, _ = helix.wait(refused)
        fits([json.loads(told)], members["rollback"], "rollback, refused")
        told = helix.run("watch", project, "--build", "true", "--file", shipped("svc_kv-2"), "--ask", "kv count", "--count", "1",
                         "--json")
        fits([json.loads(told)], members["watch"], "watch")
        for command in ("lsmod", "ps", "swaps", "timeline", "dmesg", "events"):
            fits(helix.rows(command), members[command], command)
        tables = [helix.rows("exec", "--json", command) for command in ("lsmod", "services", "chan")]
        equal({frozenset(row) for row in helix.rows("graph")}, {frozenset(table[0]) for table in tables}, "graph: kinds of rows")
        equal([set(row) for row in helix.rows("exec", "--json", "version")], [{"text"}], "exec: of a command without rows")
        equal({row["name"] for row in tables[2]}, {"svc_kv/kv", "svc_echo/echo"}, "names of channels")
        equal(helix.guest.poweroff(), 0, "exit code")


# ---- what goes wrong -------------------------------------------------------------------------------------------------
class Cutter:
    """A socket between helixctl and the machine; the connection ends when so many bytes have gone to the kernel (None: never)."""

    def __init__(self, machine_path, path, limit=None):
        self.machine_path, self.path, self.left, self.sent = machine_path, path, limit, 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(60)
        self.server.close()

    def _serve(self):
        near, _ = self.server.accept()
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(self.machine_path)
            self._carry(near, far)
            # What has been sent is to arrive: the machine ends the connection when it has read all.
            far.shutdown(socket.SHUT_WR)
            far.settimeout(30)
            with contextlib.suppress(OSError):
                while far.recv(65536):
                    pass

    def _carry(self, near, far):
        while self.left is None or self.left > 0:
            for ready in select.select([near, far], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is far:
                    near.sendall(data)
                    continue
                far.sendall(data[:self.left])
                self.sent += len(data[:self.left])
                self.left = None if self.left is None else self.left - len(data[:self.left])


@case("a push that is cut off at any byte: helixctl says that the connection has ended, the old version answers, nothing is left "
      "of it", limit_s=600)
def cut():
    command = "reload svc_kv cut.hxm"
    arguments = ("push", shipped("svc_kv-2"), "--name", "cut.hxm", "--reload")
    with scratch() as folder, machine() as helix:
        through = Machine(helix.guest, os.path.join(folder, "cutter"))
        helix.run("exec", "kv fill 10")
        with Cutter(helix.path, through.path) as cutter:
            through.run(*arguments[:2], "--name", "uncut.hxm")
        there = cutter.sent  # behind so many bytes the file is there
        whole = there + 16 + len(command)
        count = counted(10, 400)
        edges = [1, 15, 16, 17, 167, 168, 169, 184, 188, 189, there - 1, there, there + 1, there + 16, whole - 1]
        for at in sorted(set(edges + [whole * i // count for i in range(1, count)])):
            with Cutter(helix.path, through.path, at) as cutter:
                errors = through.run(*arguments, status=ABSENT)
            equal(cutter.sent, at, "bytes that arrived")
            assert re.match("helixctl: .*(the connection to .* has ended|closed before)", errors), f"cut behind {at}: {errors}"
            contains(helix.run("exec", "kv verify 10"), "10 of 10")
            equal(helix.version("svc_kv"), "1.0.0", f"version after a cut behind byte {at}")
            equal(" cut.hxm " in " " + helix.run("exec", "modinfo").replace("\n", " "), at >= there,
                  f"whether the file is there after a cut behind byte {at} of {whole}")
        equal(helix.rows("swaps"), [], "swaps")
        contains(helix.run(*arguments), "1.0.0 -> 2.0.0")
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a helixctl that is killed or interrupted in the middle of a push is followed by one that is served", limit_s=300)
def killed():
    with scratch() as folder, machine() as helix:
        through = Machine(helix.guest, os.path.join(folder, "cutter"))
        big = os.path.join(folder, "big.hxm")
        with open(big, "wb") as file:
            file.write(os.urandom(1000000))
        for number in [*[signal.SIGKILL] * counted(3, 30), signal.SIGINT]:
            with Cutter(helix.path, through.path) as cutter:
                process = through.start("push", big, "--no-check")
                helix.guest.wait(lambda line=cutter: line.sent > 10000, 60, "the push is under way")
                process.send_signal(number)
                helix.wait(process)
                equal(process.returncode, 130 if number == signal.SIGINT else -number, "exit status")
            assert "big.hxm" not in helix.run("exec", "modinfo"), "it is there"
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a wrong checksum is told, the file is not there and the old version answers", limit_s=300)
def checksum():
    with machine() as helix:
        helix.run("exec", "kv fill 10")
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(helix.path)
            line.sendall(frame(1, HELLO) + frame(2, PUSH, push_payload("sum.hxm", b"x" * 100, crc=1)) +
                         frame(2, DATA, bytes(4) + b"x" * 100))
            said = b""
            end = time.monotonic() + 60
            while b"again" not in said:
                assert time.monotonic() < end, said
                helix.guest.pump(0.05, also=[line.fileno()])
                with contextlib.suppress(BlockingIOError):
                    said += line.recv(65536, socket.MSG_DONTWAIT)
            contains(said.decode(errors="replace"), "not 00000001 as was said; push it again")
        assert "sum.hxm" not in helix.run("exec", "modinfo"), "it is there"
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        equal(helix.guest.poweroff(), 0, "exit code")


def refuse(helix, file, module, says):
    """@file is pushed in the place of @module, and what is said of it on one line matches @says; returns that."""
    errors = helix.run("push", file, "--no-check", f"--reload={module}", status=REFUSED)
    assert errors.startswith(f"helixctl: refused: reload: {module}: ") and errors.count("\n") == 1, errors
    assert fnmatch.fnmatchcase(errors.lower(), f"*{says}*"), f"{file}: {errors}lacks {says}"
    return errors.strip()


@case("each malformed object is pushed in the place of a module: the loader's reason is told here, the old version runs on",
      limit_s=900)
def malformed_objects():
    every = list(malformed.malformed(built("tests", "fixtures", "loader")))
    step = -(-len(every) // counted(20, len(every)))
    with scratch() as folder, machine() as helix:
        helix.run("exec", "kv fill 10")
        path = os.path.join(folder, "bad.hxm")
        for name, _, error, _, message, content in every[::step]:
            with open(path, "wb") as file:
                file.write(content)
            says = f"{error}: {message}".lower() if content else "0 bytes"
            if content:
                refuse(helix, path, "svc_kv", says)
            else:
                contains(helix.run("push", path, "--no-check", "--reload=svc_kv", status=REFUSED), says, name)
        equal(helix.version("svc_kv"), "1.0.0", "version")
        equal(helix.rows("swaps")[-1]["outcome"], "refused", "the record")
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        equal(helix.guest.poweroff(), 0, "exit code")


# module to replace: {file: what is said}
BAD_ABI = {"svc_kv": {"newer_abi": "abi: *built for", "wrong_abi": "abi: *built for", "wrong_record_size": "abi: ",
                      "wrong_magic": "magic", "descriptor_missing": ".hx.module", "descriptor_twice": ".hx.module",
                      "name_empty": "name", "name_unprintable": "name", "name_unterminated": "name",
                      "summary_unterminated": "summary", "missing_symbol": "unresolved-symbol: *hx_no_such_export",
                      "missing_dependency": "dependency: *hx.nobody", "ops_differ": "version: ", "op_in_init": "range: ",
                      "vtable_outside": "range: ", "vtable_short": "format: ", "vtable_op_null": "range: ",
                      "vtable_op_in_data": "range: ", "hook_outside": "range: ", "irq_handler_in_data": "range: ",
                      "irq_line_absurd": "range: ", "state_undeclared": "format: ", "caps_broken": "range: *capability",
                      "caps_imports": "hx_port_read8", "types_struct": "version: *struct hx_message: its type differs",
                      "types_import": "version: *import hx_sleep_ns: its type differs"},
           "drv_rtc": {"major_lower": "version: *0.9"},
           "pairs": {"types_provider_turned": "version: "},
           "svc_echo": {"types_user_turned": "version: "}, "types_user": {"constructor_faults": "fault: *stumbles"}}
BAD_STATE = {"sched_rr": {"sched_field_dropped": "state-schema: *handle",
                          "sched_load_refuses": "state: state-schema: *refused the state",
                          "sched_load_faults": "state: fault: *refused the state", "sched_start_fails": "start: ",
                          "sched_check_fails": "check: ", "sched_init_fails": "init: ", "sched_init_faults": "init: fault: "},
             "saves_undeclared": {"good_minimal": "state-schema: *load"},
             "shelf": {"shelf_3": "range: *level"},
             "account": {"account_4": "state-schema: *copies", "account_5": "state-schema: *record"}}


@case("a module that fails a check of the ABI or of the state: the old version runs on, and the reason is told here", limit_s=300)
def bad_modules():
    with scratch() as folder, machine(cmdline="probation_ms=0") as helix:
        helix.run("exec", "kv fill 10")
        for name in ("types_provider", "types_user", "saves_undeclared", "shelf_1", "account"):
            helix.run("push", fixture(name), "--load")
        helix.run("push", shipped("svc_echo"), "--load")
        before = {row["name"]: (row["version"], row["state"]) for row in helix.rows("lsmod")}
        for module, files in (BAD_ABI | BAD_STATE).items():
            for name, says in files.items():
                log(refuse(helix, fixture(name), module, says))
        equal({row["name"]: (row["version"], row["state"]) for row in helix.rows("lsmod")}, before, "modules")
        # Without --no-check it is refused before it is sent.
        half = os.path.join(folder, "half.hxm")
        with open(shipped("svc_kv-2"), "rb") as whole, open(half, "wb") as file:
            file.write(whole.read()[:9000])
        contains(helix.run("push", half, "--reload=svc_kv", status=REFUSED), "the kernel's loader refuses it")
        for name in ("newer_abi", "missing_symbol", "types_struct"):
            contains(helix.run("push", fixture(name), "--reload", status=REFUSED), name + ".hxm: ")
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        # So is what the running version saves.
        for name, says in (("sched_save_fails", "state: hardware: *could not save its state"),
                           ("sched_save_too_much", "state: limit: ")):
            contains(helix.run("push", fixture(name), "--reload=sched_rr"), "committed")
            log(refuse(helix, shipped("sched_prio"), "sched_rr", says))
            contains(helix.run("push", shipped("sched_rr"), "--reload"), "committed")
        equal(helix.guest.poweroff(), 0, "exit code")


def packed(*arguments):
    status, out, errors = mkmodpack(*arguments)
    equal(status, 0, out + errors)


@case("control=signed takes by helixctl what the owner has signed, and refuses the rest with the reason", limit_s=300)
def signed():
    keys = os.path.join(ROOT, "tests", "fixtures", "keys")
    with scratch() as folder:
        ready, other = os.path.join(folder, "svc_kv-2.hxm"), os.path.join(folder, "other.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", other], check=True, capture_output=True)
        # As the manual page says.
        packed("strip", "-o", ready, built("modules", "svc_kv-2.debug"))
        with machine(cmdline="control=signed", kernel=built("kernel", "helix-signed.bin")) as helix:
            helix.run("exec", "kv fill 10")

            def refused(*more):
                errors = helix.run("push", ready, "--reload", *more, status=REFUSED)
                equal(errors, "helixctl: refused: svc_kv-2.hxm: denied: control=signed: the key in this kernel has not signed "
                      "this; mkmodpack sign\n", "what is said")
                contains(helix.run("exec", "kv verify 10"), "10 of 10")
                assert "pushed" not in helix.run("exec", "modinfo"), "it is there"

            refused()
            refused("--key", other)
            refused("--no-check")
            packed("sign", "--key", other, ready)
            refused()
            packed("sign", "--key", os.path.join(keys, "control.pem"), ready)
            with open(ready, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                last = file.read()
                file.seek(-1, os.SEEK_END)
                file.write(bytes([last[0] ^ 1]))
            refused("--no-check")
            with open(ready, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(last)
            contains(helix.run("push", ready, "--reload"), "svc_kv 1.0.0 -> 2.0.0")
            contains(helix.run("exec", "kv verify 10"), "10 of 10")
            os.unlink(ready + ".sig")
            helix.run("push", shipped("svc_echo"), "--key", os.path.join(keys, "control.pem"), "--load")
            equal(helix.guest.poweroff(), 0, "exit code")
        with machine(cmdline="control=signed") as helix:
            errors = helix.run("push", ready, "--key", os.path.join(keys, "control.pem"), status=REFUSED)
            contains(errors, "disabled: control=signed, and no key is built into this kernel")
            equal(helix.guest.poweroff(), 0, "exit code")


@case("Ctrl-C does not wait for the engine: what that has begun goes on, and the next command is obeyed behind it", limit_s=300)
def interrupted():
    with machine() as helix:
        helix.run("push", fixture("slow_start"))
        process = helix.start("exec", "insmod", "slow_start.hxm", "nap_ms=12000")
        helix.guest.wait_line("slow_start: naps")
        process.send_signal(signal.SIGINT)
        _, errors = helix.wait(process)
        equal(process.returncode, STOPPED, f"exit status ({errors})")
        contains(errors, "it goes on in the kernel; swaps and lsmod tell what came of it")
        contains("\n".join(helix.guest.run("lsmod")), "slow_start       1.0.0    Initializing")
        equal(helix.version("slow_start"), "1.0.0", "version, when it runs")
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a kernel that ends is told from one that refuses", limit_s=300)
def gone():
    for arguments in (("events", "-f"), ("dmesg", "-f", "--json")):
        with machine() as helix:
            process = helix.start(*arguments)
            helix.read_until(process, "svc_log")
            equal(helix.guest.poweroff(), 0, "exit code")
            _, errors = process.communicate(timeout=60)
            equal(process.returncode, ABSENT, f"{arguments}: exit status")
            assert re.fullmatch("helixctl: .*: the connection to .* has ended; see whether the kernel still runs\n", errors), errors
    with machine(cmdline="control=off") as helix:
        contains(helix.run("lsmod", "--timeout", "2", status=ABSENT), "control=on")
        equal(helix.guest.poweroff(), 0, "exit code")


# ---- watch -----------------------------------------------------------------------------------------------------------
@case("a file of a new project is saved, and the new version answers, its state kept; a mistake leaves the old one", limit_s=300)
def watch():
    with scratch() as folder, machine() as helix:
        sdk = edit_to_live.install(os.path.join(folder, "sdk"))
        project, environment = edit_to_live.make_project(sdk, folder)
        live = edit_to_live.Watch(helix.guest, project, environment, helix.path)
        try:
            first = live.next()
            contains(first["answer"], "hello 1.0: request 1")
            took, told = live.edit("first")
            contains(told["answer"], "first 1.0: request 2")
            log(f"{took:.3f} s: {told}")
            took, told = live.edit("second")
            contains(told["answer"], "second 1.0: request 3")
            live.save(live.text.replace("HX_OK", "HX_OH"))
            equal(live.next()["exit"], REFUSED, "a source that does not compile")
            live.save(live.text.replace('HX_MODULE("hello"', 'HX_MODULE("svc_kv"'))
            told = live.next()
            equal((told["exit"], told["error"]), (REFUSED, "in-use"), "what would leave the kernel without a store")
            took, told = live.edit("third")
            contains(told["answer"], "third 1.0: request 4")
        finally:
            live.close()
        equal(helix.guest.poweroff(), 0, "exit code")


main()
