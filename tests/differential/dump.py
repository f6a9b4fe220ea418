# SPDX-License-Identifier: MIT
"""dump.py - runs `mkmodpack link' and reads what it wrote."""
import collections
import os
import subprocess

# @made: regions that the loader made itself, address -> bytes; the GOT comes before the veneers.
Dump = collections.namedtuple("Dump", "sections undefined common made")
Loaded = collections.namedtuple("Loaded", "address data")

FIELDS = {"S": 5, "U": 3, "C": 3, "M": 4}


class Refused(Exception):
    """@error: the short name; @line: what was said."""

    def __init__(self, error, line):
        super().__init__(line)
        self.error, self.line = error, line


def number(text):
    assert text.startswith("0x"), f"{text!r} is no 0x number"
    return int(text, 16)


def data_of(size, text):
    data = b"" if text == "-" else bytes.fromhex(text)
    assert len(data) == number(size), f"{size} bytes are announced, {len(data)} are there"
    assert (text == "-") == (not data), "no bytes are written as -"
    return data


def parse(text):
    """The dump's lines; whatever is not exactly as it is documented is an AssertionError."""
    dump = Dump({}, {}, {}, {})
    for line in text.splitlines():
        word = line.split(" ")
        assert len(word) == FIELDS.get(word[0]), f"not a line of a dump: {line[:100]!r}"
        if word[0] == "S":
            assert number(word[1]) not in dump.sections, f"section {word[1]} is there twice"
            dump.sections[number(word[1])] = Loaded(number(word[2]), data_of(word[3], word[4]))
        elif word[0] == "U":
            assert word[1] not in dump.undefined, f"{word[1]} is there twice"
            dump.undefined[word[1]] = number(word[2])
        elif word[0] == "C":
            dump.common[number(word[1])] = number(word[2])
        else:
            dump.made[number(word[1])] = data_of(word[2], word[3])
    return dump


def link(tool, path, base, symbols, *options):
    """Links the object at @path with @symbols, name -> value. Raises Refused."""
    with open(path + ".symbols", "w", encoding="utf-8") as file:
        file.writelines(f"{name} {value:#x}\n" for name, value in symbols.items())
    if os.path.exists(path + ".dump"):
        os.remove(path + ".dump")
    done = subprocess.run([tool, "link", path, "--base", hex(base), "--symbols", path + ".symbols", "--dump", path + ".dump",
                           *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        assert not done.stderr, f"it succeeded, but said {done.stderr!r}"
        with open(path + ".dump", encoding="utf-8") as file:
            return parse(file.read())
    assert done.returncode == 1, f"status {done.returncode}: {done.stderr}"
    assert done.stderr.count("\n") == 1, f"a refusal is one line: {done.stderr!r}"
    assert not os.path.exists(path + ".dump"), "a refusal left a dump behind"
    raise Refused(done.stderr.split(":")[0], done.stderr.strip())
