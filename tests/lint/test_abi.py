# SPDX-License-Identifier: MIT
"""test_abi.py - the binary interface is the one that abi.txt describes, and HX_ABI tells of each change.

Added: the minor is raised. Removed or changed: the major. Then `python3 tests/lint/test_abi.py --update' writes abi.txt
anew; it refuses as long as the version does not say what has happened.
"""
import functools
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, equal, main  # noqa: E402

import abi  # noqa: E402

INCLUDE = os.path.join(ROOT, "include")
AGREED = os.path.join(ROOT, "tests", "lint", "abi.txt")


@functools.cache
def described():
    return abi.describe(INCLUDE)


def agreed():
    with open(AGREED, encoding="utf-8") as file:
        return abi.from_text(file.read())


def edited(*edits):
    """The description of the headers after each (file, old text, new text)."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(INCLUDE, os.path.join(folder, "include"))
        for name, old, new in edits:
            path = os.path.join(folder, "include", "helix", name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            assert text.count(old) >= 1, f"{name} has no {old!r}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(old, new, 1))
        return abi.describe(os.path.join(folder, "include"))


def judged(*edits):
    return abi.complaints(described(), edited(*edits))


@case("the headers are what abi.txt says")
def same():
    seen, wrong = abi.complaints(agreed(), described())
    equal(described()[0], agreed()[0], "HX_ABI; raised without need, or abi.txt is old: --update")
    assert not seen and not wrong, "\n".join(seen + wrong + ["then run python3 tests/lint/test_abi.py --update"])


@case("the description survives being written and read")
def round_trip():
    here = described()
    equal(abi.from_text(abi.to_text(*here)), here, "what was read")


@case("a new export wants a new minor, and is content with it")
def addition():
    export = ("kernel.h", "    HX_EXPORT(hx_sleep_ns,", "    HX_EXPORT(hx_new, HX_VAL(x)) \\\n    HX_EXPORT(hx_sleep_ns,")
    major, minor, _ = described()[0]
    seen, wrong = judged(export)
    equal(seen, ["added: export hx_new = VAL"], "what is seen")
    assert len(wrong) == 1 and f"at least {major}.{minor + 1}" in wrong[0], wrong
    version = ("module.h", f"HX_ABI HX_VERSION({major}, {minor}, 0)", f"HX_ABI HX_VERSION({major}, {minor + 1}, 0)")
    equal(judged(export, version)[1], [], "complaints")


@case("what is gone or has changed wants a new major: exports, layouts, numbers, names, operations")
def breaks():
    major, minor, _ = described()[0]
    version = ("module.h", f"HX_ABI HX_VERSION({major}, {minor}, 0)", f"HX_ABI HX_VERSION({major}, {minor + 1}, 0)")
    for edit, expected in [
            (("kernel.h", "HX_EXPORT(hx_sleep_ns, HX_VAL(duration_ns))", "HX_EXPORT(hx_sleep_ns, HX_IN(duration))"),
             "changed: export hx_sleep_ns"),
            (("kernel.h", "HX_EXPORT(hx_sleep_ns,", "HX_EXPORT(hx_nap_ns,"), "removed: export hx_sleep_ns"),
            (("ipc.h", "hx_handle_t destination;", "uint32_t destination, more;"),
             "changed: struct hx_message.destination = u64"),
            (("ipc.h", "    HX_MESSAGE_REQUEST,\n", ""), "removed: enumerator HX_MESSAGE_REQUEST"),
            (("err.def", "HX_ERR(EMPTY, 35", "HX_ERR(EMPTY, 135"), "changed: enumerator HX_E_EMPTY"),
            (("module.h", '".hx.callbacks"', '".hx.called"'), "removed: section .hx.callbacks"),
            (("ipc.h", "(UINT64_C(1) << 63)", "(UINT64_C(1) << 62)"), "changed: constant HX_WAIT_RESTARTABLE"),
            (("module.h", "hx_ret_t (*count)(uint64_t count);", "hx_ret_t (*count)(uint32_t count);"),
             "changed: union hx_callback_function.count")]:
        seen, wrong = judged(edit, version)
        assert any(line.startswith(expected) for line in seen), f"{expected}: {seen}"
        assert wrong and f"at least {major + 1}.0" in wrong[0], f"{expected}: {wrong}"


@case("an interface's own version is held to the same rule")
def interface():
    seen, wrong = judged(("kv.h", "OP(hx_kv, 4, count, HX_NOTHING)", "OP(hx_kv, 4, count, HX_VAL(why))"))
    assert any("operation hx_kv.4" in line for line in seen), seen
    assert any("the version of hx_kv must be at least 2.0" in line for line in wrong), wrong


def update():
    here = described()
    if os.path.exists(AGREED):
        seen, wrong = abi.complaints(agreed(), here)
        if wrong:
            sys.exit("\n".join(seen + wrong))
    with open(AGREED, "w", encoding="utf-8") as file:
        file.write(abi.to_text(*here))


if sys.argv[1:] == ["--update"]:
    update()
else:
    main()
