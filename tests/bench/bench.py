# SPDX-License-Identifier: MIT
"""bench.py - one boot in which an instruction is a nanosecond, and what the kernel measured in it, as JSON lines.

Beside them the size of the kernel, and two figures that are times: how fast the loader is on this machine, and, when it is asked
for, how long an edit takes until it is live.
"""
import fnmatch
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "qemu"))
import edit_to_live  # noqa: E402
import guest as helix  # noqa: E402

# Time is the number of instructions, the calendar starts where it always does, and nobody's host clock comes in.
CLOCK = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm,base=2026-01-01T00:00:00"]
LIMIT_S = 300


def machine(names=()):
    """@names without wildcards narrow down what the kernel runs at all."""
    plain = names and not any(c in name for name in names for c in "*?[")
    option = "bench=" + ",".join(names) if plain else "bench"
    initrd = os.path.join(helix.build_dir(), "tests", "fixtures", "modules", "bench.cpio")
    machine_ = helix.Machine(cmdline=f"color=off panic=exit seed=1 {option}", initrd=initrd, extra=list(CLOCK))
    machine_.kernel = os.path.join(helix.build_dir(), "kernel", "helix-bench.bin")
    return machine_


def run_kernel(machine_):
    """The objects that the kernel prints. It ends the machine itself, or gives the prompt back when it is done."""
    with helix.Guest(machine_) as guest:
        try:
            guest.boot(LIMIT_S)
            code = guest.poweroff()
        except helix.Ended as ended:
            code = ended.code
        lines = guest.screen.lines
        if code:
            raise helix.Failure(code, f"the benchmark ended with code {code}" + guest.tail())
    return [json.loads(line) for line in lines if line.startswith("{")]


def kernel_bytes():
    return {"name": "kernel_bytes", "bytes": os.path.getsize(helix.Machine().kernel)}


def host_relocs_per_s():
    folder = os.path.join(helix.build_dir(), "tests", "bench")
    done = subprocess.run([os.path.join(folder, "host_load"), os.path.join(folder, "large.o")],
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


OUTSIDE = {"kernel_bytes": kernel_bytes, "host_relocs_per_s": host_relocs_per_s}
ON_DEMAND = {"edit_to_live": edit_to_live.measure}  # only when named: a time that is long


def measure(names):
    """All objects whose name matches one of @names (all without any)."""
    inside = [name for name in names if name not in OUTSIDE and name not in ON_DEMAND]
    found = run_kernel(machine(inside)) if inside or not names else []
    found += [run() for name, run in ON_DEMAND.items() if name in names]
    found += [run() for name, run in OUTSIDE.items() if not names or any(fnmatch.fnmatch(name, n) for n in names)]
    return [o for o in found if not names or any(fnmatch.fnmatch(o["name"], name) for name in names)]


def main():
    names = sys.argv[1:]
    try:
        found = measure(names)
    except helix.Failure as failure:
        print(f"tests/bench/run: {failure}", file=sys.stderr)
        sys.exit(failure.status)
    except ValueError as error:
        print(f"tests/bench/run: a line of the kernel is not JSON: {error}", file=sys.stderr)
        sys.exit(helix.EXIT_FAILURE)
    for item in found:
        print(json.dumps(item))
    missing = [name for name in names if not any(fnmatch.fnmatch(o["name"], name) for o in found)]
    if missing or not found:
        print("tests/bench/run: no such measurement: " + ", ".join(missing or ["any"]), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
