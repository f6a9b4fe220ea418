# SPDX-License-Identifier: MIT
"""test_storm_cpus.py - tasks come and go on four processors, as fast as they can, while the scheduler is swapped under them.

The work is the kernel's own (kernel/main/storm.c, in the benchmark's kernel); here is what must come out of it. No clock of
instructions: the processors run side by side, and when something happens is chance. What went wrong is in the log.
"""
from harness import case, counted, main
from storms import expect_calm

REDUCED, SWAPS = 2000, 10000


@case("thousands of swaps among four policies under a storm on four processors: nobody lost, nothing decided by the core",
      limit_s=3000)
def four():
    swaps = counted(REDUCED, SWAPS)
    found = expect_calm(4, swaps, 1, limit_s=2900)
    assert found["created"] > swaps and found["killed"] > swaps, found


@case("the same on two processors, and on eight", limit_s=900)
def two_and_eight():
    for processors in (2, 8):
        expect_calm(processors, counted(300, REDUCED), processors, limit_s=400)


if __name__ == "__main__":
    main()
