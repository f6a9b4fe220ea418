#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fake_qemu.py - stands in for QEMU (by the variable of that name) to test qemu/run itself.

Speaks as firmware, boot loader and a kernel's console would, and ends in every way that QEMU can. HELIX_FAKE chooses what
happens at start: nothing, "refuse" (QEMU's own failure), "mute" (no prompt), "boot-panic", "boot-halt".
"""
import os
import signal
import sys
import time


def put(text):
    os.write(1, text.encode())


def end(code):
    sys.exit(((code + 1) << 1) | 1)


def command(line):
    word, _, rest = line.partition(" ")
    if word == "echo":
        put(rest + "\r\n")
    elif word == "noisy":  # a message from an interrupt, while the line is being typed
        put("done\r\n")
    elif word == "poweroff":
        end(int(rest or 0))
    elif word in ("reboot", "quit"):
        sys.exit(0)
    elif word == "panic":
        put("panic: on request\r\n  rip 0xffffffff80100000 kmain+0x0\r\n")
        if rest == "exit":
            end(1)
        time.sleep(3600)
    elif word == "fuse":  # panics by itself, while nobody types
        signal.signal(signal.SIGALRM, lambda *_: put("\r\npanic: by itself\r\n"))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    elif word == "misuse":
        put("panic: what: this is only a command's message\r\n")
    elif word == "hang":
        time.sleep(3600)
    elif word == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "fail":
        sys.stderr.write("fake: the disk is on fire\n")
        sys.exit(1)
    elif word == "colour":
        put("\x1b[31mred\x1b[0m text\r\n")


def read_line():
    """As a line editor does: echo, with the line redrawn once in between by a message."""
    line = ""
    while True:
        byte = os.read(0, 1)
        if not byte:
            time.sleep(3600)
        if byte == b"\r":
            put("\r\n")
            return line
        if byte < b" ":
            put("\r\ncontrol character\r\n")
            end(99)
        line += byte.decode()
        put(byte.decode())
        if line == "noisy":
            put("\r\x1b[K[    1.000] tick\r\nhelix> " + line)


def main():
    how = os.environ.get("HELIX_FAKE", "")
    if how == "refuse":
        sys.stderr.write("fake: no such machine\n")
        sys.exit(1)
    put("\x1b[2J\x1b[01;01HBdsDxe: starting Boot0001\r\n\x1b[0mHelix 0.0.0 (fake)\r\n")
    if how == "mute":
        time.sleep(3600)
    if how == "boot-panic":
        put("panic: no memory\r\n")
        end(1)
    if how == "boot-halt":
        put("\r\nhelix: boot: memory: 1 KiB usable are not enough; halted\r\n")
        time.sleep(3600)
    put("arguments: " + " ".join(sys.argv[1:]) + "\r\n")
    while True:
        put("helix> ")
        command(read_line())


main()
