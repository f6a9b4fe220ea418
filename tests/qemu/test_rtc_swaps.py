# SPDX-License-Identifier: MIT
"""test_rtc_swaps.py - drv_rtc is swapped thousands of times while its line ticks a thousand times a second."""
import re

from harness import boot, case, contains, counted, equal, log, main

RATE_HZ = 1024
# An instruction is a nanosecond, and the clock chip goes by the same time.
VIRTUAL = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm,base=2026-01-01T00:00:00"]


def irq(guest):
    """(accepted, served, pending, lost) of the clock's line."""
    m = re.search(r"^ +8 drv_rtc +periodic +armed +(\d+) +(\d+) +(\d+) +(\d+)$", "\n".join(guest.run("irq")), re.M)
    assert m, guest.run("irq")
    return tuple(map(int, m.groups()))


def date(guest):
    """(microseconds since 1970, ticks), read at the same moment."""
    line = guest.run("date")[0]
    m = re.match(r"[-\d]+ [:\d]+\.(\d{6}) UTC, (\d+) s since 1970, (\d+) ticks at (\d+) Hz", line)
    assert m, line
    return int(m[2]) * 1000000 + int(m[1]), int(m[3])


def swap(guest, times):
    lines = guest.run(f"reload drv_rtc drv_rtc.hxm --repeat {times}", limit_s=600)
    contains(lines, f"reload: {times} swaps")
    log(lines[-1])


def accounts(guest):
    """Slows the line down until nothing comes between two looks: what it accepted, when every account agrees on it."""
    contains(guest.run("reload drv_rtc drv_rtc.hxm rate_hz=2"), "drv_rtc")
    for _ in range(50):
        before, (_, ticks), after = irq(guest), date(guest), irq(guest)
        if before == after:
            accepted, served, pending, lost = after
            equal((served, pending, lost, ticks), (accepted, 0, 0, accepted), "served, pending, lost, the driver's ticks")
            return accepted
    raise AssertionError("the line never rests")


@case("of an interrupt a millisecond the old and new versions of a swapped driver serve all, each once", limit_s=900)
def all_served():
    times = counted(10000, 10000)
    with boot(cmdline=f"probation_ms=0 drv_rtc.rate_hz={RATE_HZ}") as guest:
        before = irq(guest)[0]
        swap(guest, times)
        came = accounts(guest) - before
        assert came > 100, f"{came} interrupts: the swaps were not disturbed"
        log(f"{came} interrupts")
        equal(guest.poweroff(), 0, "exit code")


@case("through all swaps the ticks are the time that has passed, by its period", limit_s=900)
def ticks_are_time():
    times = counted(10000, 10000)
    with boot(cmdline=f"probation_ms=0 drv_rtc.rate_hz={RATE_HZ}", extra=VIRTUAL) as guest:
        from_us, from_ticks = date(guest)
        swap(guest, times)
        to_us, to_ticks = date(guest)
        passed = (to_us - from_us) * RATE_HZ / 1000000
        log(f"{to_ticks - from_ticks} ticks in {passed:.3f} periods")
        assert abs(to_ticks - from_ticks - passed) < 1.01, f"{to_ticks - from_ticks} ticks in {passed:.3f} periods"
        accounts(guest)
        equal(guest.poweroff(), 0, "exit code")


if __name__ == "__main__":
    main()
