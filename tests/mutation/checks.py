# SPDX-License-Identifier: MIT
"""checks.py - finds the checks in a C source, and writes a copy in which each can be switched off.

A check is an `if' whose branch refuses, a `case' that refuses, or a conjunct of what a predicate of validity returns. Where
several conditions are joined by ||, each is a check of its own.
"""
import dataclasses
import re

# In the loader's hot loop `break' hands over to the way that refuses; of two types, `mine' is the one that is refused.
REFUSES = re.compile(r"(return\s+|err\s*=\s*)?(\w*(refuse|violate)\w*\s*\(|HX_E_\w+;)|return\s+(false|NULL|mine);|break;")
REFUSES_AT_ONCE = re.compile(r"return\s+(\w*refuse\w*\s*\(|HX_E_\w+;)")
VALID = re.compile(r"\b(\w*(valid|proper|is_string_table|slice_has|agrees|in_piece)\w*)\([^;{}()]*\)\s*\{")
CONDITION = re.compile(r"\bif\s*\(")
FUNCTION = re.compile(r"^\w[^;{}]*?\b(?!__attribute__\b)(\w+)\([^;{}]*\)\s*\{", re.M)


@dataclasses.dataclass
class Check:
    path: str
    function: str
    line: int
    text: str       # of the condition or the refusal
    start: int      # in the source
    end: int
    switch: str     # what stands in its place; {n}: the check's number, {text}: the text
    number: int = 0

    @property
    def key(self):
        return self.path, self.function, self.text


def mask(source):
    """The source with comments, strings, character constants and preprocessor lines blanked, so that brackets count."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|^[ ]*#(?:\\\n|[^\n])*'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", "_", m[0]), source, flags=re.S | re.M)


def closing(text, at):
    """Where the bracket that opens at @at closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    raise ValueError("a bracket does not close")


def split(text, start, end, operator):
    """The operands of an expression at its outermost level, as (start, end)."""
    depth, begin, operands = 0, start, []
    for i in range(start, end):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0 and text.startswith(operator, i):
            operands.append((begin, i))
            begin = i + len(operator)
    return operands + [(begin, end)]


def strip(text, start, end):
    while text[start].isspace():
        start += 1
    while text[end - 1].isspace():
        end -= 1
    return start, end


def alternatives(text, start, end):
    """Each condition that alone leads to the refusal."""
    for part in split(text, start, end, "||"):
        start, end = strip(text, *part)
        inner = [strip(text, *p) for p in split(text, start, end, "&&")]
        grouped = [p for p in inner if text[p[0]] == "(" and closing(text, p[0]) == p[1] - 1 and "||" in text[p[0]:p[1]]]
        for group in grouped:
            yield from alternatives(text, group[0] + 1, group[1] - 1)
        if not grouped:
            yield start, end


def branch(text, at):
    """What an if controls: a statement up to its semicolon, or the inside of a block."""
    while text[at].isspace():
        at += 1
    if text[at] == "{":
        return text[at + 1:closing(text, at)].lstrip()
    return text[at:text.index(";", at) + 1]


def find(path, source):
    text = mask(source)
    functions = list(FUNCTION.finditer(text))
    checks = []

    def add(start, end, switch):
        function = [match[1] for match in functions if match.start() < start][-1]
        line = source.count("\n", 0, start) + 1
        checks.append(Check(path, function, line, " ".join(source[start:end].split()), start, end, switch))

    for match in CONDITION.finditer(text):
        opened = match.end() - 1
        closed = closing(text, opened)
        if REFUSES.match(branch(text, closed + 1)):
            for part in alternatives(text, opened + 1, closed):
                add(*part, "(HELIX_CHECKED({n}) && ({text}))")
    for match in REFUSES_AT_ONCE.finditer(text):
        if text[:match.start()].rstrip().endswith(":"):
            start = match.start() + len("return")
            add(start, text.index(";", start), " HELIX_CHECKED({n}) ? ({text}) : HX_OK")
    for match in VALID.finditer(text):
        end = closing(text, match.end() - 1)
        for returned in re.finditer(r"return\s", text[match.end():end]):
            start = match.end() + returned.end()
            parts = split(text, start, text.index(";", start), "&&")
            for part in parts if len(parts) > 1 else []:
                add(*strip(text, *part), "(!HELIX_CHECKED({n}) || ({text}))")
    return sorted(checks, key=lambda check: check.start)


def switchable(source, checks):
    """The source, in which HELIX_CHECKED(n) decides whether check n is made."""
    for check in sorted(checks, key=lambda check: -check.start):
        text = check.switch.format(n=check.number, text=source[check.start:check.end])
        source = source[:check.start] + text + source[check.end:]
    return source
