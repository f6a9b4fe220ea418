# SPDX-License-Identifier: MIT
"""test_gate.py - the gate's counting argument over every interleaving; and each known way to get it wrong must be found."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from spin import holds, is_found  # noqa: E402
from tap import case, counted, main  # noqa: E402


@case("after a drain no caller is inside the closed version, and none comes in later", limit_s=600)
def drain_is_sound():
    holds("gate.pml", f"CALLS={counted(1, 2)}")


@case("entered bumped after the vtable is loaded: found")
def entered_after_load():
    is_found("gate.pml", "ENTERED_AFTER_LOAD", "CALLS=1")


@case("entered summed before left: found")
def entered_first():
    is_found("gate.pml", "ENTERED_FIRST", "CALLS=1")


@case("a drain that does not interrupt the CPUs: found")
def no_sync():
    is_found("gate.pml", "NO_SYNC", "CALLS=1")


@case("one up-down counter a CPU: found")
def one_counter():
    is_found("gate.pml", "ONE_COUNTER", "CALLS=1")


if __name__ == "__main__":
    main()
