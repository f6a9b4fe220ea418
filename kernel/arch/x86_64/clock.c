/* SPDX-License-Identifier: MIT */
/*
 * clock.c - time from the TSC, and the one-shot deadline from the local APIC's timer; both measured against the PIT once.
 *
 * Why multiply-shift: a division costs more than everything else in a clock reading.
 * Why the smallest of a few short measurements: whatever disturbs one (a host that takes the CPU away) makes it longer.
 * Frequencies are rounded to 100 kHz, which is coarser than no error that is left and makes an exact clock come out exact:
 * on an emulator that counts an instruction as a nanosecond, a nanosecond is an instruction.
 * Source: Intel SDM vol. 3A, 10.5.4 and 17.17; Intel 8254 data sheet, mode 0; IBM PC AT port 0x61.
 */
#include "apic.h"
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"
#include "percpu.h"

#include <hal/hx_hal_entry.h>

enum {
    PIT_HZ = 1193182,
    PIT_TICKS = 2386, /* 2 ms */
    PIT_CHANNEL_2 = 0x42,
    PIT_COMMAND = 0x43,
    PIT_CHANNEL_2_MODE_0 = 0xb0, /* low byte, then high byte; counts down once */
    SPEAKER = 0x61,
    SPEAKER_GATE_2 = 1 << 0,
    SPEAKER_SOUND = 1 << 1,
    MEASUREMENTS = 3,
    ROUND_HZ = 100000,
    FALLBACK_HZ = 1000000000,
};
static const uint64_t spins_max = 20000000;
static const uint64_t ns_per_second = 1000000000;
static const uint64_t arm_max_ns = 1000000000; /* the timer's register is 32 bits wide: longer ones are armed again */

uint64_t hx_arch_calibration_spins;

uint64_t hx_arch_ns_per_tsc;  /* << 32; 0: not known yet, time stands still. Read by clock.S */
static uint64_t ticks_per_ns; /* of the APIC's timer, << 32 */

/* Passes until the PIT's channel 2 has counted down, at most @max, HX_ARCH_SPIN_INSNS instructions each. calibrate.S */
uint64_t hx_arch_pit_spin(uint64_t max);

struct measurement {
    uint64_t tsc, apic;
};

/* One run of the PIT; false when it does not count. */
static bool measure(struct measurement *out)
{
    uint8_t speaker = hx_in8(SPEAKER) & (uint8_t)~SPEAKER_SOUND;
    hx_out8(SPEAKER, speaker | SPEAKER_GATE_2);
    hx_out8(PIT_COMMAND, PIT_CHANNEL_2_MODE_0);
    hx_out8(PIT_CHANNEL_2, PIT_TICKS & 0xff);
    hx_arch_apic_write(HX_APIC_TIMER_INITIAL, UINT32_MAX);
    hx_out8(PIT_CHANNEL_2, PIT_TICKS >> 8); /* starts it */
    uint64_t from = hx_tsc_read();
    uint32_t apic_from = hx_arch_apic_read(HX_APIC_TIMER_CURRENT);
    uint64_t spins = hx_arch_pit_spin(spins_max);
    uint64_t to = hx_tsc_read();
    uint32_t apic_to = hx_arch_apic_read(HX_APIC_TIMER_CURRENT);
    hx_arch_calibration_spins += spins;
    hx_out8(SPEAKER, speaker & (uint8_t)~SPEAKER_GATE_2);
    *out = (struct measurement){ to - from, apic_from - apic_to };
    return spins < spins_max;
}

/* @ticks in one run, as a frequency. */
static uint64_t hz_of(uint64_t ticks)
{
    uint64_t hz = ticks * PIT_HZ / PIT_TICKS;
    hz = (hz + ROUND_HZ / 2) / ROUND_HZ * ROUND_HZ;
    return hz ? hz : FALLBACK_HZ;
}

static void use(uint64_t tsc_hz, uint64_t apic_hz)
{
    hx_arch_ns_per_tsc = (ns_per_second << 32) / tsc_hz;
    ticks_per_ns = (apic_hz << 32) / ns_per_second;
}

void hx_arch_clock_calibrate(void)
{
    hx_arch_apic_write(HX_APIC_TIMER_DIVIDE, HX_APIC_DIVIDE_BY_1);
    struct measurement best = { UINT64_MAX, UINT64_MAX };
    bool counts = true;
    for (uint32_t i = 0; i < MEASUREMENTS && counts; i++) {
        struct measurement m;
        counts = measure(&m);
        best.tsc = m.tsc < best.tsc ? m.tsc : best.tsc;
        best.apic = m.apic < best.apic ? m.apic : best.apic;
    }
    hx_arch_apic_write(HX_APIC_TIMER_INITIAL, 0);
    hx_arch_cpu_here()->tsc_start = hx_tsc_read();
    if (counts) {
        use(hz_of(best.tsc), hz_of(best.apic));
    } else {
        static const char text[] = "helix: clock: the PIT does not count; 1 GHz assumed\n";
        hx_hal_console_emergency(text, sizeof(text) - 1);
        use(FALLBACK_HZ, FALLBACK_HZ);
    }
    hx_arch_cpu_here()->deadline_ns = UINT64_MAX;
    hx_arch_apic_write(HX_APIC_LVT_TIMER, HX_VECTOR_TIMER);
}

/* ---- other CPUs' counters ------------------------------------------------------------------------------------------- */
enum { ROUNDS_MIN = 8, ROUNDS_MAX = 256, ENOUGH_NS = 1000, NO_MORE = UINT32_MAX };
static struct {
    uint32_t asked, answered; /* rounds, from 1 on */
    uint64_t tsc;             /* CPU 0's, in the round that was answered last */
} compare;

void hx_arch_clock_answer(void)
{
    for (uint32_t round = 0, asked = 0; asked != NO_MORE;) {
        asked = __atomic_load_n(&compare.asked, __ATOMIC_ACQUIRE);
        if (asked != round + 1) {
            hx_cpu_relax();
            continue;
        }
        round = asked;
        compare.tsc = hx_tsc_read_in_order();
        __atomic_store_n(&compare.answered, round, __ATOMIC_RELEASE);
    }
    compare.asked = compare.answered = 0;
}

static int64_t ns_of(int64_t ticks)
{
    return (int64_t)((__int128)ticks * (__int128)hx_arch_ns_per_tsc >> 32);
}

/* In the shortest round CPU 0 has read its counter in the middle, as far as anybody knows; a host that takes one of the two
 * away makes it longer. A counter within the error of that counts as the same. */
void hx_arch_clock_join(void)
{
    struct hx_arch_cpu *cpu = hx_arch_cpu_here();
    uint64_t shortest = INT64_MAX;
    int64_t ahead = 0;
    for (uint32_t round = 1; round <= ROUNDS_MIN || (round <= ROUNDS_MAX && ns_of((int64_t)shortest / 2) > ENOUGH_NS);
         round++) {
        uint64_t from = hx_tsc_read_in_order();
        __atomic_store_n(&compare.asked, round, __ATOMIC_RELEASE);
        while (__atomic_load_n(&compare.answered, __ATOMIC_ACQUIRE) != round)
            hx_cpu_relax();
        uint64_t took = hx_tsc_read_in_order() - from;
        if (took < shortest) {
            shortest = took;
            ahead = (int64_t)(from + took / 2 - compare.tsc);
        }
    }
    __atomic_store_n(&compare.asked, NO_MORE, __ATOMIC_RELEASE);
    uint64_t error = shortest / 2 + 1;
    cpu->tsc_ahead_ns = ns_of(ahead);
    cpu->tsc_error_ns = (uint64_t)ns_of((int64_t)error);
    cpu->tsc_start = hx_arch_cpu_of(0)->tsc_start;
    if ((uint64_t)(ahead < 0 ? -ahead : ahead) > error)
        cpu->tsc_start += (uint64_t)ahead;
    hx_arch_apic_write(HX_APIC_TIMER_DIVIDE, HX_APIC_DIVIDE_BY_1);
    hx_arch_apic_write(HX_APIC_LVT_TIMER, HX_VECTOR_TIMER);
}

static void arm(uint64_t now_ns, uint64_t deadline_ns)
{
    uint64_t delta = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    if (delta > arm_max_ns)
        delta = arm_max_ns;
    uint64_t ticks = (uint64_t)((unsigned __int128)delta * ticks_per_ns >> 32) + 1; /* 0 would stop it */
    hx_arch_apic_write(HX_APIC_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void hx_hal_timer_arm(uint64_t deadline_ns)
{
    hx_arch_cpu_here()->deadline_ns = deadline_ns;
    if (deadline_ns == UINT64_MAX)
        hx_arch_apic_write(HX_APIC_TIMER_INITIAL, 0);
    else
        arm(hx_hal_clock_ns(), deadline_ns);
}

/* Early when the deadline is further than one count reaches, or by rounding; late ones of a deadline taken back are none. */
void hx_arch_timer_interrupt(void)
{
    struct hx_arch_cpu *cpu = hx_arch_cpu_here();
    if (cpu->deadline_ns == UINT64_MAX)
        return;
    uint64_t now = hx_hal_clock_ns();
    if (now < cpu->deadline_ns) {
        arm(now, cpu->deadline_ns);
        return;
    }
    cpu->deadline_ns = UINT64_MAX;
    hx_entry_timer(now);
}

uint64_t hx_arch_tsc(void)
{
    return hx_tsc_read();
}
