# SPDX-License-Identifier: MIT
"""test_layers.py - who may include whom: the table of rooms, held against every #include in the tree.

A room includes lower levels and itself. Rooms of one level meet through headers, and the graph of headers has no circle,
nor has the graph of rooms that their headers make. L7 implements L1 and sees nothing above L2 but itself.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main  # noqa: E402

# folder: (level, levels and rooms that it may include beside itself)
ROOMS = {
    "include/helix": (0, {0}),
    "kernel/hal": (1, {0, 1}),
    "kernel/lib": (2, {0, 1}),
    "modloader": (3, {0, 2}),  # pure: not even the seam
    "kernel/gate": (3, {0, 1, 2}),
    "kernel/task": (4, {0, 1, 2, 3, 4}),
    "kernel/ipc": (4, {0, 1, 2, 3, 4}),
    "kernel/module": (5, {0, 1, 2, 3, 4}),
    "kernel/orchestrator": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/interrupts": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/hotreload": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/selfheal": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/syscall": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/process": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/debug": (6, {0, 1, 2, 3, 4, 5, 6}),
    "kernel/arch/x86_64": (7, {0, 1, 2, 7}),
    "kernel/mm": (7, {0, 1, 2, 7}),
    "kernel/boot": (7, {0, 1, 2, 7}),
    "kernel/main": (8, {0, 1, 2, 3, 4, 5, 6, 7, 8}),
    "modules": (9, {0}),
    "tools/mkmodpack": (9, {0, 1, 2, 3, 4, 5}),
    "tools/sdk": (9, {0}),
    "tools/helixctl": (10, {0, 2, 9}),  # checks modules as mkmodpack does
}
# Lies elsewhere, belongs to: the seam's third header, which the include path chooses, and the gate's hot half.
BELONGS = {
    "kernel/arch/x86_64/include/": "kernel/hal",
    "kernel/arch/x86_64/gate.S": "kernel/gate",
    "kernel/arch/x86_64/gate_stub.c": "kernel/gate",
    "kernel/arch/x86_64/import.S": "kernel/gate",
}
# One file, one header more than its room: the unwinding of a trap ends in the gate's assembly.
ALSO = {("kernel/arch/x86_64/trap_text.c", "kernel/gate/gate.h")}
# Not ours: what the compiler and the C library have that means the same without an operating system.
FREESTANDING = re.compile(
    r"(std(arg|bool|def|int|atomic|align|noreturn)|limits|elf|sys/queue|linux/.*|asm/.*|xen/.*|xxhash|uthash|cpuid)\.h$")
SEARCH = ["include", "kernel", "", "kernel/lib", "kernel/arch/x86_64/include"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    """The innermost room that holds @path, or None."""
    for place, room in BELONGS.items():
        if path.startswith(place):
            return room
    fitting = [room for room in ROOMS if path.startswith(room + "/")]
    return max(fitting, key=len, default=None)


def sources():
    for top in ("include", "kernel", "modloader", "modules", "tools"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".S", ".def", ".lds")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def resolve(source, style, name):
    """The file in the tree that `#include name` in @source means; None: a system header."""
    places = [os.path.dirname(source)] if style == '"' else []
    for place in places + SEARCH:
        path = os.path.normpath(os.path.join(place, name))
        if os.path.isfile(os.path.join(ROOT, path)):
            return path
    return None


def includes():
    """Yields (source, line number, name as written, file in the tree or None)."""
    for source in sources():
        with open(os.path.join(ROOT, source), encoding="utf-8") as file:
            text = file.read()
        for match in INCLUDE.finditer(text):
            yield source, text.count("\n", 0, match.start()) + 1, match[2], resolve(source, match[1], match[2])


def report(faults):
    assert not faults, "\n".join(sorted(set(faults)))


@case("every source file lies in a room")
def rooms():
    report([f"{source}: no room of the table holds it" for source in sources() if not room_of(source)])


@case("a room includes only what the table allows it")
def levels():
    faults = []
    for source, line, name, target in includes():
        if target is None or target == "kernel/lib/string.h" and name == "string.h":
            continue
        own, other = room_of(source), room_of(target)
        if (source, target) in ALSO:
            continue
        if own is None or own == other and (own != "modules" or source.split("/")[1] == target.split("/")[1]):
            continue
        if other is None or own == other or ROOMS[other][0] not in ROOMS[own][1]:
            faults.append(f"{source}:{line}: {own} (L{ROOMS[own][0]}) may not include {target}")
    report(faults)


@case("kernel and modules include no header that needs an operating system")
def freestanding():
    report([f"{source}:{line}: <{name}> is not freestanding" for source, line, name, target in includes()
            if target is None and not source.startswith("tools/") and not FREESTANDING.match(name)])


@case("rooms meet through headers: nothing includes a source file")
def headers_only():
    report([f"{source}:{line}: includes {name}" for source, line, name, _ in includes() if name.endswith((".c", ".S"))])


def circle(graph):
    """A circle as a list of nodes, or None. Iterative: depth first with three colours."""
    done = set()
    for start in sorted(graph):
        path, on_path, stack = [], set(), [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                done.add(node)
                continue
            if node in done:
                continue
            path.append(node)
            on_path.add(node)
            stack.append((node, True))
            for after in sorted(graph.get(node, ())):
                if after in on_path:
                    return path[path.index(after):] + [after]
                if after not in done:
                    stack.append((after, False))
    return None


@case("the graph of headers has no circle")
def header_circle():
    graph = {}
    for source, _, _, target in includes():
        if target and source.endswith(".h"):
            graph.setdefault(source, set()).add(target)
    found = circle(graph)
    assert not found, " -> ".join(found)


@case("the rooms' headers make no circle of rooms")
def room_circle():
    graph = {}
    for source, _, _, target in includes():
        if target and source.endswith(".h") and room_of(source) != room_of(target):
            graph.setdefault(room_of(source), set()).add(room_of(target))
    found = circle(graph)
    assert not found, " -> ".join(found)


main()
