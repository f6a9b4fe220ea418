# SPDX-License-Identifier: MIT
"""abi.py - what the binary interface between kernel and modules consists of, as a text of sorted lines, and what a change
of it asks of HX_ABI.

Exports, operations and constants come from the preprocessor, layouts and enumerators from the debug information that the
compiler makes of the headers. Not in it: what is compiled into the module that uses it (inline functions, helper macros),
names of an export's arguments, and counts of what can be extended.
"""
import glob
import os
import re
import subprocess
import tempfile

COUNTS = re.compile(r"_(COUNT|KINDS)$")
RECORD_SECTION = re.compile(r'"(\.(?:hx|init|data|bss)\.[a-z_.]+)"')
INTERFACE = re.compile(r"^HX_INTERFACE\((\w+), (\w+), (\w+)\)", re.MULTILINE)
DIE = re.compile(r" *<(\w+)><(\w+)>: Abbrev Number: \d+(?: \((DW_TAG_\w+)\))?")
ATTRIBUTE = re.compile(r" *<\w+> +DW_AT_(\w+) *: (.*)")
FORM = re.compile(r"^\((?!indirect|offset)\w+\) ?")
INDIRECT = re.compile(r"\((?:indirect string, )?offset: 0x\w+\): ")


def _compiler(arguments, text):
    done = subprocess.run(["gcc", "-std=gnu11", *arguments], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Headers:
    """The contract as the compiler sees it."""

    def __init__(self, include):
        self.include = include
        self.names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(include, "helix", "*.h")))
        self.prologue = "".join(f"#include <helix/{name}>\n" for name in self.names)
        self.text = ""
        for name in self.names:
            with open(os.path.join(include, "helix", name), encoding="utf-8") as file:
                self.text += file.read()

    def preprocessed(self, text):
        """What becomes of @text behind the contract, in one line."""
        out = _compiler(["-E", "-P", "-I" + self.include, "-x", "c", "-"], self.prologue + "@begin\n" + text)
        return " ".join(out.partition("@begin")[2].split())

    def macros(self):
        out = _compiler(["-E", "-dM", "-I" + self.include, "-x", "c", "-"], self.prologue)
        return sorted(re.findall(r"^#define (HX_[A-Z0-9_]+) +\S", out, re.MULTILINE))

    def dies(self):
        """The debug information: {offset: {"tag", attributes by name, "children"}}."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "contract.o")
            _compiler(["-c", "-g", "-gdwarf-4", "-fno-eliminate-unused-debug-types", "-I" + self.include, "-x", "c", "-",
                       "-o", path], self.prologue)
            out = subprocess.run(["readelf", "--wide", "--debug-dump=info", path], capture_output=True, text=True, check=True,
                                 env=dict(os.environ, LC_ALL="C")).stdout
        dies, parents, die = {}, {}, None
        for line in out.splitlines():
            begins, attribute = DIE.match(line), ATTRIBUTE.match(line)
            if begins and begins[3]:
                die = {"tag": begins[3].removeprefix("DW_TAG_"), "children": []}
                dies[begins[2]] = die
                level = int(begins[1], 16)
                parents[level] = die
                if level:
                    parents[level - 1]["children"].append(die)
            elif attribute and die:
                die[attribute[1]] = INDIRECT.sub("", FORM.sub("", attribute[2])).strip()
        return dies


def exports(headers):
    text = headers.preprocessed("#define EXPORT_(name, ...) @export name #__VA_ARGS__\nHX_EXPORTS(EXPORT_)\n")
    for name, arguments in re.findall(r'@export (\w+) "([^"]*)"', text):
        yield f"export {name}", ", ".join(re.findall(r"HX_(VAL|IN|OUT|INOUT|NOTHING)\b", arguments))


def operations(headers):
    """As the kernel compares providers and users."""
    for prefix, _, ops in INTERFACE.findall(headers.text):
        text = headers.preprocessed(f"#define OP_(iface, index, op, ...) @operation index op #__VA_ARGS__\n{ops}(OP_)\n")
        for index, name, arguments in re.findall(r'@operation (\d+) (\w+) "([^"]*)"', text):
            yield f"operation {prefix}.{index}", f"{name}({arguments})"


def version(headers, macro):
    return tuple(map(int, re.findall(r"\((\d+)\)", headers.preprocessed(macro + "\n"))[:3]))


def constants(headers):
    names = [name for name in headers.macros() if name != "HX_ABI" and not re.search(r"_VERSION(_\d+_\d+)?$", name)]
    text = headers.preprocessed("".join(f'@ "{name}" {name}\n' for name in names))
    for name, value in re.findall(r'@ "(\w+)" ([^@]*)', text):
        if value.strip() and "__attribute__" not in value and value.strip() not in ("void", "}") and "{" not in value:
            yield f"constant {name}", value.strip()


class Types:
    def __init__(self, dies):
        self.dies = dies

    def of(self, die):
        """A type in words; typedefs of the contract are looked through, so that it is the bytes that count."""
        reference = re.match(r"<0x(\w+)>", die.get("type", ""))
        if not reference:
            return "void"
        target = self.dies[reference[1]]
        tag, name = target["tag"], target.get("name")
        if tag == "base_type":
            kind = "bool" if "boolean" in target["encoding"] else "char" if name == "char" else \
                "i" if "(signed" in target["encoding"] else "u"
            return kind if len(kind) > 1 else f"{kind}{8 * int(target['byte_size'])}"
        if tag in ("typedef", "const_type", "volatile_type"):
            return ("const " if tag == "const_type" else "") + self.of(target)
        if tag == "pointer_type":
            return "*" + self.of(target)
        if tag == "array_type":
            counts = [child for child in target["children"] if child["tag"] == "subrange_type"]
            return self.of(target) + "".join(f"[{int(count.get('upper_bound', '-1'), 0) + 1}]" for count in counts)
        if tag == "subroutine_type":
            arguments = [self.of(child) for child in target["children"] if child["tag"] == "formal_parameter"]
            return f"fn({', '.join(arguments)}) {self.of(target)}"
        kind = {"structure_type": "struct", "union_type": "union", "enumeration_type": "enum"}.get(tag, tag)
        return f"{kind} {name}" if name else kind

    def target(self, die):
        return self.dies[re.match(r"<0x(\w+)>", die["type"])[1]]


def layouts(headers):
    dies = headers.dies()
    types = Types(dies)
    for die in dies.values():
        name = die.get("name", "")
        if die["tag"] in ("structure_type", "union_type") and name.startswith("hx_") and "byte_size" in die:
            if not name.endswith("_ops"):  # those grow with their interface
                yield from members(types, die, ("struct " if die["tag"] == "structure_type" else "union ") + name)
        elif die["tag"] == "enumeration_type":
            for child in die["children"]:
                if child.get("name", "").startswith("HX_") and not COUNTS.search(child["name"]):
                    yield f"enumerator {child['name']}", str(int(child["const_value"], 0))
        elif die["tag"] == "typedef" and name.startswith("hx_"):
            yield f"type {name}", types.of(die)


def members(types, die, path):
    yield f"{path}, size", f"{int(die['byte_size'])} bytes"
    for child in die["children"]:
        if child["tag"] != "member":
            continue
        place = int(child.get("data_member_location", "0").split()[0], 0)
        inner, words = f"{path}.{child.get('name', f'(at {place})')}", types.of(child)
        yield inner, f"{words} at {place}"
        if words in ("struct", "union"):  # without a name of its own
            yield from members(types, types.target(child), inner)


def sections(headers):
    names = RECORD_SECTION.findall(headers.text)
    names += [".hx." + kind for kind in re.findall(r"HX_INTERFACE_RECORD_\((provides|requires),", headers.text)]
    for name in names:
        yield f"section {name}", "there"


def describe(include):
    """(HX_ABI as (major, minor, patch), {what: how}, {interface: (major, minor)})."""
    headers = Headers(include)
    facts = {}
    for part in (exports, operations, constants, layouts, sections):
        found = dict(part(headers))
        assert found, f"{part.__name__}: nothing was found"
        facts.update(found)
    interfaces = {prefix: version(headers, macro)[:2] for prefix, macro, _ in INTERFACE.findall(headers.text)}
    return version(headers, "HX_ABI"), facts, interfaces


# ---- as a file ----
HEAD = """\
# SPDX-License-Identifier: MIT
# The binary interface between the kernel and modules, as it was last agreed on.
# Made by: python3 tests/lint/test_abi.py --update
"""


def to_text(abi, facts, interfaces):
    lines = [f"abi = {'.'.join(map(str, abi))}"]
    lines += [f"interface {name} = {major}.{minor}" for name, (major, minor) in sorted(interfaces.items())]
    lines += [f"{what} = {how}" for what, how in sorted(facts.items())]
    return HEAD + "\n".join(lines) + "\n"


def from_text(text):
    abi, facts, interfaces = None, {}, {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        what, how = line.split(" = ", 1)
        if what == "abi":
            abi = tuple(map(int, how.split(".")))
        elif what.startswith("interface "):
            interfaces[what.removeprefix("interface ")] = tuple(map(int, how.split(".")))
        else:
            facts[what] = how
    return abi, facts, interfaces


# ---- the rule ----
def changes(old, new):
    """(added, broken) of two descriptions' facts, as lines for people."""
    added = [f"added: {what} = {new[what]}" for what in sorted(set(new) - set(old))]
    broken = [f"removed: {what} = {old[what]}" for what in sorted(set(old) - set(new))]
    broken += [f"changed: {what} = {old[what]}, now {new[what]}" for what in sorted(set(old) & set(new))
               if old[what] != new[what]]
    return added, broken


def _judge(what, old, new, added, broken):
    """What the version @new must be after @old; None: it is right."""
    if broken and new[0] <= old[0]:
        return f"{what} must be at least {old[0] + 1}.0: something is gone or has changed"
    if added and new[:2] <= old[:2]:
        return f"{what} must be at least {old[0]}.{old[1] + 1}: something was added"
    if new < old:
        return f"{what} went back from {'.'.join(map(str, old))}"
    return None


def complaints(old, new):
    """Why the step from description @old to @new is not one that its versions tell of."""
    old_abi, old_facts, old_interfaces = old
    new_abi, new_facts, new_interfaces = new
    added, broken = changes(old_facts, new_facts)
    found = [_judge("HX_ABI (include/helix/module.h)", old_abi, new_abi, added, broken)]
    for name in sorted(set(old_interfaces) & set(new_interfaces)):
        mine = f"operation {name}."
        found.append(_judge(f"the version of {name}", old_interfaces[name], new_interfaces[name],
                            [line for line in added if mine in line], [line for line in broken if mine in line]))
    return added + broken, [complaint for complaint in found if complaint]
