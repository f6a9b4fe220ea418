# SPDX-License-Identifier: MIT
"""views.py - what scenario tests read off the console, and the packs that they boot."""
import os
import re
import shutil
import subprocess
import time

from harness import built, contains, equal, mkmodpack


def shipped(name):
    """The file of a module that ships."""
    return built("modules", name + ".hxm")


def fixture(name):
    """The file of a module made for tests."""
    return built("tests", "fixtures", "modules", name + ".hxm")


def pack(path, load, hold):
    """A pack made by mkmodpack."""
    status, _, errors = mkmodpack("create", "-o", path, *load, "--hold", *hold)
    equal(status, 0, "mkmodpack: " + errors)
    return path


def raw_pack(path, load, hold):
    """A pack that mkmodpack would refuse to make: by cpio, as an enemy would."""
    folder = path + ".d"
    os.mkdir(folder)
    names = []
    text = "helix-initrd 1\n"
    for word, files in (("load", load), ("hold", hold)):
        for file in files:
            name = os.path.basename(file)
            shutil.copy(file, os.path.join(folder, name))
            names.append(name)
            text += f"{word} {name}\n"
    with open(os.path.join(folder, "manifest"), "w", encoding="ascii") as manifest:
        manifest.write(text)
    with open(path, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=folder, check=True, stdout=out,
                       input="\n".join(["manifest"] + names).encode())
    return path


def tasks(guest):
    """ps as {name: (number, class, counter, policy text)}."""
    return {name: (number, row[0], row[3], row[4]) for number, name, *row in task_rows(guest)}


def task_rows(guest):
    """ps as [(number, name, class, state, CPU, counter, policy text)]; "" for the text that stands in the lines beneath."""
    rows = []
    for line in guest.run("ps")[1:]:
        m = re.fullmatch(r" *(\d+) (\S+) +(core|policy|idle) +(\S+) +(\d+) +\d+ +[\d.]+ +\d+ +(\d+|-)", line)
        if m:
            rows.append([int(m[1]), m[2], m[3], m[4], int(m[5]), 0 if m[6] == "-" else int(m[6]), ""])
        else:
            assert rows and rows[-1][2] == "policy" and line.startswith("     "), line
            rows[-1][6] = (rows[-1][6] + " " + line.strip()).strip()
    return [tuple(row) for row in rows]


def counters(guest):
    """How far each demo task has counted; tasks of modules, MODULE:KEY, do not."""
    return {name: task[2] for name, task in tasks(guest).items() if task[1] == "policy" and ":" not in name}


def all_advance(guest):
    """Every demo task goes on counting."""
    before = counters(guest)
    assert before, "no demo task"
    time.sleep(0.2)
    after = counters(guest)
    equal(set(after), set(before), "the tasks")
    for name, count in before.items():
        assert after[name] > count, f"{name} stands still: {before} {after}"


def mem(guest):
    """mem as ([frames free, heap bytes, heap objects, image pages], [pages and bytes of shared code, of constants, of
    data], tables)."""
    lines = guest.run("mem")
    m = re.match(r"mem: frames (\d+) free of \d+, heap (\d+) bytes in (\d+) objects, images (\d+) pages", lines[0])
    shared = re.match(r"mem: shared pages: code (\d+) \((\d+) bytes\), constants (\d+) \((\d+)\), "
                      r"data (\d+) \((\d+)\); (\d+) tables", lines[1])
    assert m and shared, lines
    *pools, tables = map(int, shared.groups())
    return list(map(int, m.groups())), pools, tables


def memory(guest):
    """mem as (frames free, heap bytes, heap objects, image pages, bytes of code, constants, data in shared pages). The
    pages that pieces share and the tables count as free: how many it takes depends on chance and on the order of
    loading. What of them stays for good is seen by unload()."""
    (frames, heap_bytes, heap_objects, images), pools, tables = mem(guest)
    pages = sum(pools[::2])
    return (frames + pages + tables, heap_bytes, heap_objects, images - pages, *pools[1::2])


def unload(guest, *modules):
    """Unloads all that is loaded. Of the images there is left at most a page of each kind, kept for the next piece, with
    the tables of those."""
    for module in modules:
        contains(guest.run("rmmod " + module), "unloaded")
    (_, _, _, images), pools, tables = mem(guest)
    pages = pools[::2]
    equal(pools[1::2], [0, 0, 0], "bytes in shared pages")
    assert max(pages) <= 1, f"shared pages without a piece: {pages}"
    equal(images, sum(pages), "image pages")
    assert tables <= 2 * images, f"{tables} tables for {images} pages"


def decisions(guest):
    """(by a policy, by the core, wrong answers)"""
    m = re.search(r"(\d+) decisions by a policy, (\d+) by the core, (\d+) wrong", "\n".join(guest.run("uptime")))
    assert m
    return tuple(map(int, m.groups()))


def wait_for(guest, command, part, limit_s=10):
    """Until the command's output has @part."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if part in "\n".join(guest.run(command)):
            return
        time.sleep(0.1)
    contains(guest.run(command), part)


def swap(guest, command, *parts):
    """A reload that succeeds."""
    lines = guest.run(command)
    for part in parts + ("bytes of state", "total", "blackout"):
        contains(lines, part)
    return lines
