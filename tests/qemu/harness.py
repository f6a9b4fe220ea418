# SPDX-License-Identifier: MIT
"""harness.py - scenario tests on a booted machine.

    from harness import boot, case, contains, main

    @case("lsmod lists the scheduler")
    def lsmod():
        with boot() as guest:
            contains(guest.run("lsmod"), "sched_rr")

    main()

boot() starts QEMU and waits for the prompt; guest.run() types one command and returns its lines; leaving the block ends
the machine. A guest that panics, hangs or dies fails the case with the console's last lines. Run one file by hand with
python3 tests/qemu/test_boot.py [CASE...] after qemu/run has built; tests/run boot runs all.
"""
import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import FULL, ROOT, case, contains, counted, equal, log, main, skip  # noqa: E402,F401 pylint: disable=unused-import

sys.path.insert(0, os.path.join(ROOT, "qemu"))
from guest import Ended, Failure, Guest, Hang, Machine, Panic, build_dir  # noqa: E402,F401 pylint: disable=unused-import


class Audited(Guest):
    """A guest whose page tables are looked at before it is switched off: no frame is writable here and executable there."""

    def poweroff(self, code=0, **options):
        contains(self.run("mem audit"), "passed", "mem audit")
        return super().poweroff(code, **options)


@contextlib.contextmanager
def boot(how="direct", cmdline="", limit_s=None, **machine):
    """A guest at its first prompt, with the kernel's lines so far in guest.boot_lines. @how: direct, bios or uefi; @machine:
    what else guest.Machine has, as control=PATH for the control channel's socket."""
    cmdline = f"color=off panic=exit {cmdline}".strip()
    with Audited(Machine(boot=how, cmdline=cmdline, **machine)) as guest:
        guest.boot_lines = guest.boot(limit_s)
        yield guest


def built(*parts):
    """A path in the build directory."""
    return os.path.join(build_dir(), *parts)


def mkmodpack(*arguments):
    """Runs the packer; returns (exit status, standard output, standard error)."""
    done = subprocess.run([built("tools", "mkmodpack", "mkmodpack"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def scratch():
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="helix-test-") as path:
        yield path
