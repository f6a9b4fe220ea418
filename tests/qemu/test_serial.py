# SPDX-License-Identifier: MIT
"""test_serial.py - drv_serial on a second 16550, at whose other end this program sits."""
import contextlib
import os
import re
import socket
import struct
import threading
import time

from harness import boot, case, contains, equal, log, main, scratch
from views import fixture, pack, shipped

BYTES = 128 * 1024
RELOADS = 20


class Line:
    """The far end of COM3. Sends and receives in threads of its own, so that neither waits for the other."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.received = bytearray()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(4096):
                self.received += data

    def send(self, data):
        writer = threading.Thread(target=self.socket.sendall, args=(data,), daemon=True)
        writer.start()

    def wait(self, count, limit_s=60):
        """Until so many bytes have come, or none has for @limit_s."""
        last, since = -1, time.monotonic()
        while len(self.received) < count and time.monotonic() - since < limit_s:
            if len(self.received) != last:
                last, since = len(self.received), time.monotonic()
            time.sleep(0.05)
        return bytes(self.received)


@contextlib.contextmanager
def machine(load, hold, smp=2):
    """A guest with COM3, whose far end is a Line."""
    with scratch() as folder:
        path = os.path.join(folder, "com3")
        initrd = pack(folder + "/p.cpio", [shipped("sched_rr"), *load], hold)
        extra = ["-chardev", f"socket,id=com3,path={path},server=on,wait=off",
                 "-device", "isa-serial,iobase=0x3e8,irq=5,chardev=com3"]
        with boot(initrd=initrd, smp=smp, cmdline="probation_ms=0", extra=extra) as guest:
            yield guest, Line(path)


def numbered(first, count):
    """Bytes of a stream in which each four say where they belong."""
    return b"".join(struct.pack(">I", 0x5A000000 | i) for i in range(first // 4, (first + count) // 4))


def counts(guest):
    """(received, sent, overruns, errors) as the driver says."""
    answer = "\n".join(guest.run("request com3 0"))
    found = re.search(r"code \d+: ([0-9a-f]{64})", answer)
    assert found, answer
    return struct.unpack("<4Q", bytes.fromhex(found[1]))


def compare(found, expected):
    for i, (a, b) in enumerate(zip(found, expected)):
        assert a == b, f"byte {i} is {a:#04x}, not {b:#04x}; around it {found[max(0, i - 8):i + 8].hex()}"
    equal(len(found), len(expected), "bytes")


@case("what is typed at the console goes out, and what comes in is received there")
def by_hand():
    with machine([], [shipped("drv_serial")]) as (guest, line):
        contains(guest.run("insmod drv_serial.hxm"), "drv_serial")
        contains(guest.run('send drv_serial/com3 "hello out there"'), "15 bytes")
        equal(line.wait(15), b"hello out there", "what came out")
        line.send(b"hello-in-there")  # it may come in parts, and a line's last blanks would be lost
        got = ""
        while len(got) < 14:
            answer = "\n".join(guest.run("receive drv_serial/com3 --timeout 10000"))
            got += re.search(r"receive: notification of drv_serial, code 0: (.*)", answer)[1]
        equal(got, "hello-in-there", "what came in")
        equal(counts(guest), (14, 15, 0, 0), "counts")
        contains(guest.run("rmmod drv_serial"), "unloaded")
        contains(guest.run("send drv_serial/com3 x"), "no such channel")
        contains(guest.run("insmod drv_serial.hxm baud=9600"), "drv_serial")
        contains(guest.run("send drv_serial/com3 again"), "5 bytes")
        equal(line.wait(20), b"hello out thereagain", "what came out")
        equal(guest.poweroff(), 0, "exit code")


@case("a stream of 128 KiB or more goes in and out while the driver is replaced twenty times, and every byte is right")
def reloads():
    with machine([shipped("drv_serial"), fixture("serial_user")], []) as (guest, line):
        stream, over = bytearray(), threading.Event()

        def feed():
            while not over.is_set() or len(stream) < BYTES:
                part = numbered(len(stream), 4096)
                line.socket.sendall(part)
                stream.extend(part)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        for turn in range(RELOADS):
            before = len(line.received)
            contains(guest.run("reload drv_serial"), "blackout")
            line.wait(before + 1)
            assert len(line.received) > before, f"after swap {turn + 1} nothing comes any more"
        over.set()
        feeder.join(300)
        compare(line.wait(len(stream)), stream)
        equal(counts(guest), (len(stream), len(stream), 0, 0), "counts")
        equal(len([row for row in guest.run("swaps") if "committed" in row]), RELOADS, "swaps")
        log(f"{len(stream)} bytes each way")
        equal(guest.poweroff(), 0, "exit code")


@case("where there is no such port the driver says so and is not loaded")
def absent():
    with boot() as guest:
        lines = guest.run("insmod drv_serial.hxm")
        contains(lines, "not present")
        contains(lines, "hardware")
        assert "drv_serial" not in "\n".join(guest.run("lsmod"))
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
