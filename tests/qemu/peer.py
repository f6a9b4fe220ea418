# SPDX-License-Identifier: MIT
"""peer.py - the other end of the control channel, as include/helix/control.h describes it, and as little as tests need."""
import contextlib
import json
import os
import socket
import struct
import time

from harness import boot, scratch

MAGIC = b"HXC1"
HEADER = struct.Struct("<4sIIHH")
PAYLOAD_MAX, WINDOW, NAME_MAX = 4096, 4, 64
HELLO, EXEC, QUERY, PUSH, DATA, CANCEL = range(1, 7)
OUTPUT, ROWS, ACK, END, DAMAGED = range(0x81, 0x86)
LIMIT_S = 60


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = tuple(_table())


def crc32c(data):
    """RFC 3720, appendix B.4."""
    total = 0xFFFFFFFF
    for byte in data:
        total = total >> 8 ^ TABLE[(total ^ byte) & 0xFF]
    return total ^ 0xFFFFFFFF


def frame(request, kind, payload=b""):
    rest = struct.pack("<IHH", request, kind, len(payload)) + payload
    return MAGIC + struct.pack("<I", crc32c(rest)) + rest


def push_payload(name, content, signature=bytes(64), crc=None):
    return struct.pack("<II64s64s", len(content), crc32c(content) if crc is None else crc, signature, name.encode())


class Peer:
    """@guest: its console is read meanwhile, or it would fill."""

    def __init__(self, path, guest):
        self.guest, self.path, self.buffer, self.number = guest, path, b"", 0
        self.damaged = []  # what DAMAGED frames said
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                assert time.monotonic() < end, "nobody listens"
                time.sleep(0.05)
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, data):
        end = time.monotonic() + LIMIT_S
        while data:
            try:
                data = data[self.socket.send(data):]
            except BlockingIOError:
                assert time.monotonic() < end, "the kernel does not read"
                self.guest.pump(0.01)

    def next(self, limit_s=LIMIT_S):
        """(request, kind, payload); what is no frame fails."""
        end = time.monotonic() + limit_s
        while True:
            if len(self.buffer) >= HEADER.size:
                magic, crc, request, kind, size = HEADER.unpack_from(self.buffer)
                assert magic == MAGIC, self.buffer[:64]
                if len(self.buffer) >= HEADER.size + size:
                    whole, self.buffer = self.buffer[:HEADER.size + size], self.buffer[HEADER.size + size:]
                    assert crc32c(whole[8:]) == crc, whole
                    return request, kind, whole[HEADER.size:]
            try:
                data = self.socket.recv(65536)
                assert data, "the line was closed"
                self.buffer += data
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError("no frame") from None
                self.guest.pump(0.005)

    def begin(self, kind, payload=b""):
        self.number += 1
        self.send(frame(self.number, kind, payload))
        return self.number

    def finish(self, number):
        """Everything until the end of request @number: (END's object, what OUTPUT or ROWS said)."""
        said = b""
        while True:
            request, kind, payload = self.next()
            if kind == DAMAGED:
                self.damaged.append(json.loads(payload))
            elif request == number and kind in (OUTPUT, ROWS):
                said += payload
            elif request == number and kind == END:
                return json.loads(payload), said
            else:
                raise AssertionError(f"unexpected: request {request}, kind {kind:#x}, {payload!r}")

    def hello(self):
        return self.finish(self.begin(HELLO))[0]

    def run(self, command):
        """(END's object, lines)."""
        end, said = self.finish(self.begin(EXEC, command.encode()))
        return end, said.decode().splitlines()

    def query(self, command):
        end, said = self.finish(self.begin(QUERY, command.encode()))
        return end, [json.loads(line) for line in said.splitlines()]

    def push(self, name, content, **more):
        """END's object. Waits for each window's answers before the next."""
        number = self.begin(PUSH, push_payload(name, content, **more))
        sent = expected = 0
        while True:
            while sent < len(content) and sent - expected < WINDOW * (PAYLOAD_MAX - 4):
                part = content[sent:sent + PAYLOAD_MAX - 4]
                self.send(frame(number, DATA, struct.pack("<I", sent) + part))
                sent += len(part)
            request, kind, payload = self.next()
            assert request == number, (request, kind, payload)
            if kind == END:
                return json.loads(payload)
            assert kind == ACK, (kind, payload)
            (expected,) = struct.unpack("<I", payload)


@contextlib.contextmanager
def connected(cmdline="", **machine):
    """A guest, and a peer that has said hello to it."""
    with scratch() as folder:
        path = os.path.join(folder, "control")
        with boot(cmdline=cmdline, control=path, **machine) as guest:
            peer = Peer(path, guest)
            peer.introduction = peer.hello()
            yield guest, peer
            peer.close()
