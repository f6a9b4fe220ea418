# SPDX-License-Identifier: MIT
"""test_bench.py - the benchmark runs, names what it promises, says the same twice and keeps to its goals."""
import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import bench  # noqa: E402
from tap import case, log, main, skip  # noqa: E402

PROMISED = ["gate_overhead", "gate_caller", "gate_module_stub", "context_switch",
            "channel_self_64", "channel_round_trip_64", "channel_handover_64", "module_load_10", "module_unload_10",
            "module_reloc_1000", "module_reloc_20000", "module_import",
            "grant_4k", "grant_1m", "router_request", "event_publish", "capability_check", "kv_put",
            "swap_sched_blackout_16", "swap_sched_blackout_667",
            "swap_sched_blackout_4000", "swap_sched_convert_667", "swap_sched_convert_4000",
            "boot_to_prompt", "kernel_bytes", "host_relocs_per_s"]
# Instructions at most, of what gcc makes; a clang build is measured, but another compiler's figures are no goal.
GOALS = {"boot_to_prompt": 20000000, "gate_overhead": 16, "gate_caller": 18, "gate_module_stub": 34,
         "context_switch": 150, "wake_round_trip": 450, "task_create_join": 2000,
         "channel_self_64": 150, "channel_round_trip_64": 700, "channel_handover_64": 600,
         "router_request": 700, "event_publish": 120, "capability_check": 40, "kv_put": 4000,
         "irq_self_ipi": 250, "timer_tick_busy": 400,
         "module_load_10": 40000, "module_unload_10": 15000, "module_reloc_1000": 25,
         "module_reloc_20000": 25, "module_import": 250,
         "swap_sched_blackout_16": 4500, "swap_sched_blackout_667": 4500, "swap_sched_blackout_4000": 4500,
         "swap_sched_convert_667": 250, "swap_sched_convert_4000": 250}


@functools.lru_cache(maxsize=None)
def measured():
    return bench.measure([])


def by_gcc():
    large = os.path.join(bench.helix.build_dir(), "tests", "bench", "large.o")
    with open(large, "rb") as file:
        return b"GCC: " in file.read()


@case("every measurement that is promised is there, and two runs agree to the instruction", limit_s=600)
def repeatable():
    first, second = measured(), bench.measure([])
    for item in first:
        log(item)
    missing = set(PROMISED) - {item["name"] for item in first}
    assert not missing, "missing: " + ", ".join(sorted(missing))
    insns = {item["name"]: item.get("insns") for item in first}
    assert abs(insns["grant_1m"] - insns["grant_4k"]) * 20 < insns["grant_4k"], "1 MiB is not handed over as 4 KiB is"
    first, second = ([item for item in found if "per_second" not in item] for found in (first, second))
    assert first == second, "\n".join(f"{a} {b}" for a, b in zip(first, second) if a != b)


@case("no measurement falls short of its goal", limit_s=300)
def goals():
    insns = {item["name"]: item.get("insns") for item in measured()}
    if not by_gcc():
        skip("not built by gcc")
    short = [f"{name}: {insns[name]} instead of {goal}" for name, goal in GOALS.items() if insns[name] > goal]
    assert not short, "; ".join(short)


main()
