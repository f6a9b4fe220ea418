# SPDX-License-Identifier: MIT
"""test_refusals.py - whatever is wrong with a module that is pushed to a running kernel, the old version runs on, and the host is
told why.

What is wrong are the objects and modules of tests/malformed, where each breaks one check of the loader or of the types, and the
fixtures that break one of the binary interface, of what is declared, or of the state. helixctl says what is told here:
test_helixctl.py.
"""
import fnmatch
import os
import sys

from harness import ROOT, built, case, contains, equal, log, main
from peer import connected
from views import all_advance, fixture, memory, shipped

sys.path.insert(0, os.path.join(ROOT, "tests", "malformed"))
import cases  # noqa: E402 pylint: disable=wrong-import-position

# Where a refusal has no advice of its own, this stands behind it.
UNCHANGED = "; nothing was changed"
# file: what is said of it in svc_kv's place
INTERFACE = {
    "wrong_magic": "magic", "wrong_abi": "built for", "newer_abi": "built for", "wrong_record_size": "bytes",
    "descriptor_missing": "descriptor", "descriptor_twice": ".hx.module", "name_empty": "name", "name_unprintable": "name",
    "name_unterminated": "name", "summary_unterminated": "summary", "vtable_outside": "outside", "vtable_op_null": "outside",
    "vtable_op_in_data": "outside the module's code", "vtable_short": "vtable", "hook_outside": "outside",
    "irq_handler_in_data": "outside", "irq_line_absurd": "line 99", "op_in_init": "given back after init",
    "caps_broken": "", "caps_flags": "",
    "state_undeclared": "state", "missing_symbol": "hx_no_such", "missing_dependency": "requires", "ops_differ": "version",
    "types_struct": "struct hx_message: its type differs", "types_import": "import hx_sleep_ns: its type differs",
    "constructor_faults": "relies",
}
SCHEDULER = {
    "sched_init_fails": "init", "sched_init_faults": "fault", "sched_field_dropped": "state field",
    "sched_load_refuses": "refused the state", "sched_load_faults": "fault", "sched_start_fails": "start",
    "sched_check_fails": "check",
}


def content(path):
    with open(path, "rb") as file:
        return file.read()


class Kernel:
    """A guest, and what is pushed to it."""

    def __init__(self, guest, peer):
        self.guest, self.peer = guest, peer

    def version(self, module):
        end, rows = self.peer.query("lsmod")
        equal(end["status"], 0, "lsmod")
        return {row["name"]: (row["version"], row["state"]) for row in rows}[module]

    def replace(self, module, bytes_):
        """(status, all that was said)"""
        equal(self.peer.push("it.hxm", bytes_)["status"], 0, "the push, which looks at nothing")
        end, lines = self.peer.run(f"reload {module} it.hxm")
        return end["status"], "\n".join(lines) or end.get("text", "")

    def refuses(self, module, bytes_, pattern, what):
        before = self.version(module)
        status, said = self.replace(module, bytes_)
        assert status != 0 and "\n" not in said and \
            fnmatch.fnmatchcase(said.removesuffix(UNCHANGED).lower(), f"reload: {module}: {pattern}".lower()), \
            f"{what}: status {status}, {pattern} is expected, not {said}"
        equal(self.version(module), before, f"{module} after {what}")

    def takes(self, module, file):
        status, said = self.replace(module, content(file))
        equal(status, 0, f"{file}: {said}")


@case("each check of the loader: the old version runs on, and the host sees the check's own words", limit_s=600)
def loader():
    with connected() as (guest, peer):
        it = Kernel(guest, peer)
        contains(peer.run("kv fill 10")[1], "10 keys")
        bad = list(cases.malformed(built("tests", "fixtures", "loader")))
        it.refuses("svc_kv", bad[1][-1], "*", "the first")
        before = memory(guest)
        for name, _, error, _, message, bytes_ in bad:
            if bytes_:
                it.refuses("svc_kv", bytes_, f"link: {error}: {message}", name)
            else:
                assert peer.push("it.hxm", bytes_)["status"] != 0, "the push of nothing"
        it.refuses("svc_kv", bad[1][-1], "*", "the first again")  # the kernel keeps what was pushed last
        equal(memory(guest), before, "memory")
        contains(peer.run("kv verify 10")[1], "10 of 10")
        log(f"count: {len(bad)} objects")
        it.takes("svc_kv", shipped("svc_kv-2"))


@case("each check of the types: the old version runs on, and the host sees the check's own words", limit_s=300)
def types():
    with connected() as (guest, peer):
        it = Kernel(guest, peer)
        for name, error, message, _, bytes_ in cases.malformed_types(shipped("svc_kv-2")):
            it.refuses("svc_kv", bytes_, f"link: {error}: {message}", name)
        it.takes("svc_kv", shipped("svc_kv-2"))


@case("each check of the interface and of what is declared: the old version runs on, and the host sees the reason", limit_s=300)
def interface():
    with connected() as (guest, peer):
        it = Kernel(guest, peer)
        contains(peer.run("kv fill 10")[1], "10 keys")
        for name, says in INTERFACE.items():
            it.refuses("svc_kv", content(fixture(name)), f"*{says}*", name)
        contains(peer.run("kv verify 10")[1], "10 of 10")
        it.takes("svc_kv", shipped("svc_kv-2"))
        equal(guest.poweroff(), 0, "exit code")


@case("each check of the state and of the record: the old version runs on, and the host sees the reason", limit_s=300)
def state():
    with connected("probation_ms=0") as (guest, peer):
        it = Kernel(guest, peer)
        for name, says in SCHEDULER.items():
            it.refuses("sched_rr", content(fixture(name)), f"*{says}*", name)
        for name, says in (("sched_save_fails", "save"), ("sched_save_too_much", "save")):
            it.takes("sched_rr", fixture(name))
            it.refuses("sched_rr", content(shipped("sched_rr-2")), f"*{says}*", "what follows " + name)
        for file, bad in (("shelf_1.hxm", {"shelf_3": "state field level*out of its range"}),
                          ("account.hxm", {"account_4": "record account: what it keeps in copies has no place*",
                                           "account_5": "record account: what it keeps in count has no place*"})):
            equal(peer.push(file, content(fixture(file[:-4])))["status"], 0, file)
            equal(peer.run("insmod " + file)[0]["status"], 0, file)
            for name, says in bad.items():
                it.refuses(file.split(".")[0].split("_")[0], content(fixture(name)), f"*{says}*", name)
        it.takes("shelf", fixture("shelf_2"))
        it.refuses("shelf", content(fixture("shelf_3")), "*state field quantum has no place*", "shelf_3 after shelf_2")
        peer.run("spawn a")
        all_advance(guest)
        equal(guest.poweroff(), 0, "exit code")


main()
