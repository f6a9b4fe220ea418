# SPDX-License-Identifier: MIT
"""test_helixctl.py - helixctl and a real kernel: pushed, replaced, cut off, refused, watched."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import ROOT, boot, built, case, contains, counted, equal, log, main, scratch
from peer import DATA, HELLO, PUSH, frame, push_payload
from views import fixture, shipped

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import edit_to_live  # noqa: E402

TOOL = built("tools", "helixctl", "helixctl")
OK, REFUSED, ABSENT = 0, 1, 3


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

    def read_until(self, process, part, limit_s=30):
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
        return [json.loads(line) for line in self.run(*command, "--json").splitlines()]

    def version(self, module):
        return {row["name"]: row["version"] for row in self.rows("lsmod")}[module]


@contextlib.contextmanager
def machine(**options):
    with scratch() as folder:
        path = os.path.join(folder, "control.sock")
        with boot(control=path, **options) as guest:
            yield Machine(guest, path)


@case("a module is pushed and replaced from outside, its state kept; what the kernel shows comes as text and as rows")
def push():
    with machine() as helix:
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


@case("pictures are drawn from the kernel's rows")
def pictures():
    with machine() as helix:
        helix.run("reload", "svc_kv", "svc_kv-2.hxm")
        dot = helix.run("graph")
        for part in ('"m:svc_kv" -> "i:hx.kv-1.', '"s:kv"', '"m:svc_log" [shape=box'):
            contains(dot, part)
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=dot, text=True, check=True, capture_output=True)
        row = helix.rows("swaps")[0]
        phases = sum(row[f"{name}_ns"] for name in ("link", "admit", "init", "reserve", "drain", "save", "load", "publish"))
        assert 0 < phases <= row["total_ns"] * 1.05 and row["link_ns"] > 0 and row["load_ns"] > 0, row
        picture = helix.run("timeline")
        contains(picture, "svc_kv 1.0.0 -&#62; 2.0.0")
        for name in ("link", "drain", "save", "load", "publish"):
            assert re.search(rf"<title>{name} [1-9][0-9.]* us", picture) or row[f"{name}_ns"] < 1000, (name, row, picture)
        equal(helix.guest.poweroff(), 0, "exit code")


@case("what is followed goes on until Ctrl-C, and the kernel goes on too")
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


# ---- what goes wrong -------------------------------------------------------------------------------------------------
def stream(name, content, crc=None):
    """All that goes over the line in a push."""
    data = frame(1, HELLO) + frame(2, PUSH, push_payload(name, content, crc=crc))
    for at in range(0, len(content), 4092):
        data += frame(2, DATA, at.to_bytes(4, "little") + content[at:at + 4092])
    return data


def send_and_hang_up(helix, data):
    """As a helixctl that is killed does."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(helix.path)
        line.setblocking(False)
        while data:
            try:
                data = data[line.send(data):]
            except BlockingIOError:
                pass
            helix.guest.pump(0.001)
            with contextlib.suppress(BlockingIOError):
                line.recv(65536)


@case("a push that is cut off at any byte leaves the old version running and nothing behind", limit_s=600)
def cut():
    with open(shipped("svc_kv-2"), "rb") as file:
        data = stream("cut.hxm", file.read())
    with machine() as helix:
        helix.run("exec", "kv fill 10")
        count = counted(24, 400)
        edges = [1, 16, 17, 152, 153, 168, 172, 173, len(data) - 1]
        for at in sorted(set(edges + [len(data) * i // count for i in range(1, count)])):
            send_and_hang_up(helix, data[:at])
            files = helix.run("exec", "modinfo")
            assert "cut.hxm" not in files, f"cut behind byte {at} of {len(data)}: {files}"
            contains(helix.run("reload", "svc_kv", "cut.hxm", status=REFUSED), "cut.hxm")
        equal(helix.version("svc_kv"), "1.0.0", "version")
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        contains(helix.run("push", shipped("svc_kv-2"), "--name", "cut.hxm", "--reload"), "1.0.0 -> 2.0.0")
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a helixctl that is killed in the middle of a push is followed by one that is served")
def killed():
    with scratch() as folder, machine() as helix:
        big = os.path.join(folder, "big.hxm")
        with open(big, "wb") as file:
            file.write(os.urandom(300000))
        for _ in range(counted(3, 30)):
            process = helix.start("push", big, "--no-check")
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                helix.guest.pump(0.01)
            process.kill()
            process.communicate()
            assert "big.hxm" not in helix.run("exec", "modinfo"), "it is there"
        process = helix.start("push", big, "--no-check")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        helix.wait(process)
        equal(process.returncode, 130, "exit status of Ctrl-C")
        assert "big.hxm" not in helix.run("exec", "modinfo"), "it is there"
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a wrong checksum is told, and the file is not there")
def checksum():
    with machine() as helix:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(helix.path)
            line.sendall(stream("sum.hxm", b"x" * 100, crc=1))
            said = b""
            end = time.monotonic() + 30
            while b"again" not in said:
                assert time.monotonic() < end, said
                helix.guest.pump(0.05, also=[line.fileno()])
                with contextlib.suppress(BlockingIOError):
                    said += line.recv(65536, socket.MSG_DONTWAIT)
            contains(said.decode(errors="replace"), "not 00000001 as was said; push it again")
        assert "sum.hxm" not in helix.run("exec", "modinfo"), "it is there"
        equal(helix.guest.poweroff(), 0, "exit code")


# module to replace: {file: what is said}
BAD = {"sched_rr": {"sched_init_fails": "init", "sched_init_faults": "fault", "sched_load_refuses": "load",
                    "sched_load_faults": "fault", "sched_start_fails": "start", "sched_check_fails": "check",
                    "sched_field_dropped": "field"},
       "svc_kv": {"missing_symbol": "symbol", "missing_dependency": "", "newer_abi": "built for", "wrong_abi": "built for",
                  "wrong_magic": "", "descriptor_missing": "", "ops_differ": "version", "vtable_outside": "outside",
                  "constructor_faults": "relies"}}


@case("a module that fails a check of the loader, the ABI or the state: the old version runs on, and the reason is told here",
      limit_s=300)
def bad_modules():
    with scratch() as folder, machine() as helix:
        helix.run("exec", "kv fill 10")
        half = os.path.join(folder, "half.hxm")
        with open(shipped("svc_kv-2"), "rb") as whole, open(half, "wb") as file:
            file.write(whole.read()[:9000])
        contains(helix.run("push", half, "--no-check", "--reload=svc_kv", status=REFUSED), "reload: svc_kv: link")
        contains(helix.run("push", half, "--reload=svc_kv", status=REFUSED), "the kernel's loader refuses it")
        for module, files in BAD.items():
            for name, says in files.items():
                errors = helix.run("push", fixture(name), "--no-check", f"--reload={module}", status=REFUSED)
                log(errors.strip())
                contains(errors, f"helixctl: refused: reload: {module}: ")
                contains(errors.lower(), says)
                assert errors.count("\n") == 1, errors
        for name in ("newer_abi", "missing_symbol"):
            contains(helix.run("push", fixture(name), "--reload", status=REFUSED).lower(), BAD["svc_kv"][name])
        equal((helix.version("sched_rr"), helix.version("svc_kv")), ("1.0.0", "1.0.0"), "versions")
        contains(helix.run("exec", "kv verify 10"), "10 of 10")
        equal(helix.guest.poweroff(), 0, "exit code")


@case("a kernel that ends is told from one that refuses")
def gone():
    with machine() as helix:
        process = helix.start("events", "-f")
        helix.read_until(process, "svc_log")
        equal(helix.guest.poweroff(), 0, "exit code")
        _, errors = process.communicate(timeout=30)
        equal(process.returncode, ABSENT, "exit status")
        contains(errors, "the connection")
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
