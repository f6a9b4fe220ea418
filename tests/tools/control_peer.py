# SPDX-License-Identifier: MIT
"""control_peer.py - a kernel's end of the control channel (include/helix/control.h) on a Unix socket, made of its contract alone.

It answers commands from a table, takes files, and does what a real kernel does seldom: it damages, loses and cuts.

    with Peer(path, answers={"lsmod": Answer(text="...", rows=[...])}) as peer:
        peer.faults.damage_in = {3}  # the third frame that comes is taken for damaged
"""
import dataclasses
import json
import os
import socket
import struct
import threading

HELLO, EXEC, QUERY, PUSH, DATA, CANCEL = range(1, 7)
OUTPUT, ROWS, ACK, END, DAMAGED = range(0x81, 0x86)
MAGIC = 0x31435848
HEADER = struct.Struct("<IIIHH")
PUSH_HEAD = struct.Struct("<II64s64s")
PAYLOAD_MAX = 4096


def _table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


TABLE = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def encode(request, kind, payload=b""):
    rest = struct.pack("<IHH", request, kind, len(payload)) + payload
    return struct.pack("<II", MAGIC, crc32c(rest)) + rest


class Decoder:
    """Bytes to frames (request, kind, payload); what is none is skipped and counted."""

    def __init__(self):
        self.data = b""
        self.skipped = 0

    def feed(self, data):
        self.data += data
        while len(self.data) >= HEADER.size:
            magic, crc, request, kind, size = HEADER.unpack_from(self.data)
            if magic == MAGIC and size <= PAYLOAD_MAX:
                if len(self.data) < HEADER.size + size:
                    return
                frame = self.data[:HEADER.size + size]
                if crc32c(frame[8:]) == crc:
                    self.data = self.data[len(frame):]
                    yield request, kind, frame[HEADER.size:]
                    continue
            self.data = self.data[1:]
            self.skipped += 1


@dataclasses.dataclass
class Answer:
    """What a command comes to. @endless: goes on until CANCEL. @silent: never answered."""

    text: str = ""
    rows: list = dataclasses.field(default_factory=list)
    status: int = 0
    error: str = "ok"
    why: str = ""
    endless: bool = False
    silent: bool = False


@dataclasses.dataclass
class Faults:
    """Frames are numbered from 1, apart by direction, over the peer's whole life."""

    damage_in: set = dataclasses.field(default_factory=set)  # did not come whole: told
    lose_in: set = dataclasses.field(default_factory=set)  # did not come at all
    damage_out: set = dataclasses.field(default_factory=set)
    lose_out: set = dataclasses.field(default_factory=set)
    cut_in: int = 0  # closed when this frame has come, before it is answered
    cut_bytes: int = 0  # closed when so many bytes have come
    mute: bool = False  # says nothing at all
    noise: bytes = b""  # goes out before all else


class Peer:
    def __init__(self, path, answers=None, faults=None, introduction=None, refuse_push=None):
        self.path = path
        self.answers = answers or {}
        self.faults = faults or Faults()
        self.introduction = {"status": 0, "error": "ok", "text": "helix 9.9", "version": "9.9", "abi": "2.0.0",
                             "protocol": 1, **(introduction or {})}
        self.refuse_push = refuse_push  # (status, error, why), or None
        self.files = {}  # name: bytes, those that came whole
        self.signatures = {}
        self.commands = []  # (kind, line), as they were obeyed
        self.cancelled = 0
        self.cancel_says = (-4, "interrupted", "interrupted")
        self.frames_in = self.frames_out = self.bytes_in = 0
        self.most_under_way = 0
        self.connection = None
        if os.path.exists(path):
            os.unlink(path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(4)
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        for end in (self.connection, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                pass
        self.server.close()
        self.thread.join(10)

    # ---- the line ----
    def _serve(self):
        while not self.stopping:
            try:
                self.connection, _ = self.server.accept()
            except OSError:
                return
            with self.connection:
                try:
                    self._talk()
                except (BrokenPipeError, ConnectionResetError):
                    pass

    def _talk(self):
        decoder = Decoder()
        self.push = None
        self.running = 0
        if self.faults.noise:
            self.connection.sendall(self.faults.noise)
        while True:
            data = self.connection.recv(65536)
            if not data:
                return
            left = self.faults.cut_bytes - self.bytes_in if self.faults.cut_bytes else len(data)
            self.bytes_in += len(data)
            frames = list(decoder.feed(data[:left]))
            self.most_under_way = max(self.most_under_way, sum(kind == DATA for _, kind, _ in frames))
            for frame in frames:
                self.frames_in += 1
                if self.frames_in == self.faults.cut_in:
                    return
                self._receive(*frame)
            if left < len(data) or (self.faults.cut_bytes and self.bytes_in >= self.faults.cut_bytes):
                return

    def _receive(self, request, kind, payload):
        if self.frames_in in self.faults.lose_in or self.faults.mute:
            return
        if self.frames_in in self.faults.damage_in:
            self._send(0, DAMAGED, {"damaged": 1, "skipped": len(payload) + HEADER.size})
            return
        self._take(request, kind, payload)

    def _send(self, request, kind, payload):
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self.frames_out += 1
        frame = encode(request, kind, payload)
        if self.frames_out in self.faults.lose_out:
            return
        if self.frames_out in self.faults.damage_out:
            frame = frame[:-1] + bytes([frame[-1] ^ 0x20])
        self.connection.sendall(frame)

    def _end(self, request, status=0, error="ok", why="", **more):
        self._send(request, END, {"status": status, "error": error, "text": why, **more})

    # ---- requests ----
    def _take(self, request, kind, payload):
        if kind == HELLO:
            self.push, self.running = None, 0
            self._send(request, END, self.introduction)
        elif kind == CANCEL:
            if request == self.running or (self.push and request == self.push["request"]):
                self.cancelled += 1
                self.push, self.running = None, 0
                self._end(request, *self.cancel_says)
        elif kind in (EXEC, QUERY, PUSH) and (self.running or self.push):
            self._end(request, -6, "busy", "a request runs")
        elif kind in (EXEC, QUERY):
            self._run(request, kind, payload.decode())
        elif kind == PUSH:
            self._begin_push(request, payload)
        elif kind == DATA:
            self._take_data(request, payload)

    def _run(self, request, kind, line):
        self.commands.append((kind, line))
        answer = self.answers.get(line) or self.answers.get(line.split()[0])
        if callable(answer):
            answer = answer(line)
        if answer is None:
            answer = Answer(status=-2, error="not-found", why=f"{line}: unknown command: type help for the list")
        if answer.silent:
            self.running = request
            return
        out = "".join(json.dumps(row) + "\n" for row in answer.rows) if kind == QUERY else answer.text
        data = out.encode()
        for at in range(0, len(data), PAYLOAD_MAX):
            self._send(request, ROWS if kind == QUERY else OUTPUT, data[at:at + PAYLOAD_MAX])
        if answer.endless:
            self.running = request
        else:
            self._end(request, answer.status, answer.error, answer.why)

    def _begin_push(self, request, payload):
        size, crc, signature, name = PUSH_HEAD.unpack(payload)
        if self.refuse_push:
            self._end(request, *self.refuse_push)
            return
        self.push = {"request": request, "size": size, "crc": crc, "signature": signature, "data": b"",
                     "name": name.rstrip(b"\0").decode()}

    def _take_data(self, request, payload):
        if not self.push or self.push["request"] != request:
            return
        push = self.push
        (offset,) = struct.unpack_from("<I", payload)
        if offset == len(push["data"]):
            push["data"] += payload[4:]
        self._send(request, ACK, struct.pack("<I", len(push["data"])))
        if len(push["data"]) < push["size"]:
            return
        self.push = None
        if crc32c(push["data"]) != push["crc"]:
            self._end(request, -20, "corrupt", f"push: {push['name']}: checksum; push it again")
            return
        self.files[push["name"]] = push["data"]
        self.signatures[push["name"]] = push["signature"]
        self._end(request, name=push["name"], bytes=push["size"])
