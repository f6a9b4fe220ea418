#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_control_key.py - the key that is built into a kernel: every form of it, and what is none."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, case, contains, equal, main  # pylint: disable=wrong-import-position

TOOL = os.path.join(ROOT, "kernel", "control_key.py")
PUBLIC = os.path.join(ROOT, "tests", "fixtures", "keys", "control.pub.pem")
SECRET = os.path.join(ROOT, "tests", "fixtures", "keys", "control.pem")
KEY = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"


def tool(*arguments):
    done = subprocess.run([sys.executable, TOOL, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def tool_on(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return tool(file.name)


def key_in(source):
    return "".join(re.findall(r"0x([0-9a-f]{2})", source))


def refused(content, why):
    status, source, text = tool_on(content)
    equal((status, source), (1, ""), f"{content[:80]}: {text}")
    contains(text, why)


@case("PEM, hexadecimal digits and bare bytes make one key")
def forms():
    with open(PUBLIC, "rb") as file:
        pem = file.read()
    for content in (pem, b"A key:\n" + pem.replace(b"\n", b"\r\n"), KEY.encode(), f"  {KEY.upper()}\n".encode(),
                    bytes.fromhex(KEY)):
        status, source, text = tool_on(content)
        equal((status, text), (0, ""), "outcome")
        equal(key_in(source), KEY, "the key")


@case("without a file there is no key")
def none():
    status, source, text = tool()
    equal((status, text, key_in(source)), (0, "", ""), "outcome")
    contains(source, "hx_control_key = NULL;")


@case("what is no public key of Ed25519 is refused with what to do")
def other():
    with open(SECRET, "rb") as file:
        refused(file.read(), "it holds a PRIVATE KEY, not a PUBLIC KEY")
    made = subprocess.run(["sh", "-c", "openssl genpkey -algorithm x25519 | openssl pkey -pubout"], capture_output=True,
                          check=True).stdout
    refused(made, "not one of Ed25519")
    refused(made.replace(b"MC", b"M?"), "its PEM is damaged")
    refused(b"", "0 bytes that are no key")
    refused(KEY[:-2].encode(), "62 bytes that are no key")
    equal(tool("/nonexistent")[2], "control_key: /nonexistent: No such file or directory\n", "what is said")


@case("a key that every signature would be refused of is refused here")
def points():
    small = "anybody can sign for its key"
    for hexadecimal in ("01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "00" * 31 + "80",
                        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"):
        refused(hexadecimal.encode(), small)
    refused(b"02" + b"00" * 31, "not a point of the curve")
    refused(b"ee" + b"ff" * 30 + b"7f", "not a point of the curve")  # 1, improperly encoded


main()
