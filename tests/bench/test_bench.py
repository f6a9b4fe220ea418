# SPDX-License-Identifier: MIT
"""test_bench.py - the benchmark runs, names what it promises and says the same twice."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import bench  # noqa: E402
from tap import case, log, main  # noqa: E402

PROMISED = ["gate_overhead", "gate_caller", "gate_module_stub", "context_switch", "channel_self_64", "channel_round_trip_64", "channel_handover_64",
            "module_load_10", "module_unload_10", "module_reloc_1000",
            "module_reloc_20000", "module_import",
            "grant_4k", "grant_1m", "swap_sched_blackout_16", "swap_sched_blackout_667",
            "swap_sched_blackout_4000", "swap_sched_convert_667", "swap_sched_convert_4000",
            "boot_to_prompt", "kernel_bytes", "host_relocs_per_s"]


@case("every measurement that is promised is there, and two runs agree to the instruction", limit_s=600)
def repeatable():
    first, second = bench.measure([]), bench.measure([])
    for item in first:
        log(item)
    missing = set(PROMISED) - {item["name"] for item in first}
    assert not missing, "missing: " + ", ".join(sorted(missing))
    insns = {item["name"]: item.get("insns") for item in first}
    assert abs(insns["grant_1m"] - insns["grant_4k"]) * 20 < insns["grant_4k"], "1 MiB is not handed over as 4 KiB is"
    first, second = ([item for item in found if "per_second" not in item] for found in (first, second))
    assert first == second, "\n".join(f"{a} {b}" for a, b in zip(first, second) if a != b)


main()
