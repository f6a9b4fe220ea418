/* SPDX-License-Identifier: MIT */
/* test_drv_rtc.c - the clock driver against a chip made of a few lines. */
#include "modules/module_host.h"

#include <helix/rtc.h>

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

/* ---- the chip -------------------------------------------------------------------------------------------------------- */
enum { A = 0x0a, B = 0x0b, C = 0x0c, CENTURY = 0x32 };
enum { A_UPDATING = 0x80, B_PERIODIC = 0x40, B_BINARY = 4, B_24H = 2, C_PENDING = 0xc0 };

static struct {
    uint8_t reg[128];
    uint8_t index;
    uint32_t reads_of_c, writes;
    uint32_t updating; /* so many reads of A show an update in progress */
    void (*before_access)(void);
} chip;

static uint8_t chip_read(uint16_t port)
{
    cr_assert(port == 0x71);
    if (chip.before_access)
        chip.before_access();
    uint8_t value = chip.reg[chip.index];
    if (chip.index == A && chip.updating > 0) {
        chip.updating--;
        value |= A_UPDATING;
    }
    if (chip.index == C) {
        chip.reads_of_c++;
        chip.reg[C] = 0;
    }
    return value;
}

static void chip_write(uint16_t port, uint8_t value)
{
    if (chip.before_access)
        chip.before_access();
    if (port == 0x70) {
        cr_assert(value < 0x80, "NMI was disabled");
        chip.index = value;
        return;
    }
    cr_assert(port == 0x71);
    cr_assert(chip.index == A || chip.index == B, "register %#x was written", chip.index);
    chip.reg[chip.index] = value;
    chip.writes++;
}

static uint8_t encode(uint32_t value, uint8_t mode)
{
    return (uint8_t)(mode & B_BINARY ? value : value / 10 * 16 + value % 10);
}

/* As the firmware sets it up: 32,768 Hz base, some rate, nothing enabled. */
static void chip_set(const struct tm *t, uint8_t mode)
{
    uint32_t hour = (uint32_t)t->tm_hour, year = (uint32_t)t->tm_year + 1900;
    uint8_t pm = 0;
    if (!(mode & B_24H)) {
        pm = hour >= 12 ? 0x80 : 0;
        hour = hour % 12 ? hour % 12 : 12;
    }
    chip.reg[0x00] = encode((uint32_t)t->tm_sec, mode);
    chip.reg[0x02] = encode((uint32_t)t->tm_min, mode);
    chip.reg[0x04] = encode(hour, mode) | pm;
    chip.reg[0x07] = encode((uint32_t)t->tm_mday, mode);
    chip.reg[0x08] = encode((uint32_t)t->tm_mon + 1, mode);
    chip.reg[0x09] = encode(year % 100, mode);
    chip.reg[CENTURY] = encode(year / 100, mode);
    chip.reg[A] = 0x26;
    chip.reg[B] = mode;
}

static void chip_set_epoch(time_t when, uint8_t mode)
{
    struct tm t;
    gmtime_r(&when, &t);
    chip_set(&t, mode);
}

static const struct hx_rtc_ops *rtc(void)
{
    return drv_rtc1.vtable;
}

static void setup(void)
{
    memset(&chip, 0, sizeof(chip));
    chip_set_epoch(1700000000, B_24H);
    host_port_read_hook = chip_read;
    host_port_write_hook = chip_write;
}
TestSuite(drv_rtc, .init = setup);

/* ---- time of day ----------------------------------------------------------------------------------------------------- */
static const uint8_t modes[] = { 0, B_24H, B_BINARY, B_BINARY | B_24H };

Test(drv_rtc, the_time_is_read_in_every_encoding)
{
    for (size_t m = 0; m < HX_ARRAY_SIZE(modes); m++)
        for (uint32_t i = 0; i < 20000; i++) {
            /* 1970 to 2199 */
            time_t when = (time_t)(((uint64_t)host_random(1u << 31) << 22 ^ host_random(1u << 31)) % 7258118400ull);
            chip_set_epoch(when, modes[m]);
            hx_ret_t got = rtc()->now();
            cr_assert(got == (hx_ret_t)when, "mode %u: %lld, not %lld", modes[m], (long long)got, (long long)when);
        }
}

Test(drv_rtc, every_day_of_the_calendar_is_right)
{
    for (time_t when = 43200; when < 7258118400; when += 86400) {
        chip_set_epoch(when, B_BINARY | B_24H);
        cr_assert(rtc()->now() == (hx_ret_t)when);
    }
}

Test(drv_rtc, leap_days_and_turns_of_years_and_hours)
{
    static const struct {
        struct tm t;
        hx_ret_t seconds;
    } cases[] = {
        { { .tm_year = 70, .tm_mday = 1 }, 0 },
        { { .tm_year = 99, .tm_mon = 11, .tm_mday = 31, .tm_hour = 23, .tm_min = 59, .tm_sec = 59 }, 946684799 },
        { { .tm_year = 100, .tm_mon = 1, .tm_mday = 29, .tm_hour = 12 }, 951825600 },
        { { .tm_year = 100, .tm_mon = 2, .tm_mday = 1 }, 951868800 },
        { { .tm_year = 124, .tm_mon = 1, .tm_mday = 29, .tm_hour = 0, .tm_min = 30 }, 1709166600 },
        { { .tm_year = 138, .tm_mon = 0, .tm_mday = 19, .tm_hour = 3, .tm_min = 14, .tm_sec = 8 }, 2147483648 },
        { { .tm_year = 200, .tm_mon = 2, .tm_mday = 1, .tm_hour = 11, .tm_min = 59, .tm_sec = 59 }, 4107585599 },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++)
        for (size_t m = 0; m < HX_ARRAY_SIZE(modes); m++) {
            chip_set(&cases[i].t, modes[m]);
            cr_expect(rtc()->now() == cases[i].seconds, "case %zu, mode %zu", i, m);
        }
}

Test(drv_rtc, a_century_that_makes_no_sense_is_not_believed)
{
    static const uint8_t absurd[] = { 0x00, 0xff, 0x99, 0x01, 0x18, 0x22, 0x2a };
    for (size_t i = 0; i < HX_ARRAY_SIZE(absurd); i++) {
        chip_set_epoch(1700000000, B_24H);
        chip.reg[CENTURY] = absurd[i];
        cr_expect(rtc()->now() == 1700000000, "century %#x", absurd[i]);
        chip_set_epoch(315532800, B_24H); /* 1980 */
        chip.reg[CENTURY] = absurd[i];
        cr_expect(rtc()->now() == 315532800, "century %#x", absurd[i]);
        chip_set_epoch(3155673600, B_24H); /* the last day of 2069 */
        chip.reg[CENTURY] = absurd[i];
        cr_expect(rtc()->now() == 3155673600, "century %#x", absurd[i]);
    }
    chip_set_epoch(4107585599, B_24H);
    cr_expect(rtc()->now() == 4107585599);
}

Test(drv_rtc, registers_that_hold_no_time_are_a_hardware_error)
{
    static const struct {
        uint8_t mode, reg, value;
    } cases[] = {
        { B_24H, 0x00, 0x60 },
        { B_24H, 0x00, 0x0a },
        { B_24H, 0x00, 0xa0 },
        { B_24H, 0x02, 0x60 },
        { B_24H, 0x04, 0x24 },
        { B_24H, 0x04, 0x92 },
        { 0, 0x04, 0x00 },
        { 0, 0x04, 0x13 },
        { 0, 0x04, 0x80 },
        { B_24H, 0x07, 0x00 },
        { B_24H, 0x07, 0x32 },
        { B_24H, 0x08, 0x00 },
        { B_24H, 0x08, 0x13 },
        { B_24H, 0x09, 0xff },
        { B_24H | B_BINARY, 0x09, 100 },
        { B_24H | B_BINARY, 0x08, 255 },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        chip_set_epoch(1700000000, cases[i].mode);
        chip.reg[cases[i].reg] = cases[i].value;
        cr_expect(rtc()->now() == HX_E_HARDWARE, "case %zu", i);
    }
    struct tm february = { .tm_year = 123, .tm_mon = 1, .tm_mday = 29 };
    chip_set(&february, B_24H);
    cr_expect(rtc()->now() == HX_E_HARDWARE, "2023 has no 29th of February");
}

Test(drv_rtc, an_update_in_progress_is_waited_for_but_not_for_ever)
{
    chip.updating = 1000;
    cr_expect(rtc()->now() == 1700000000);
    chip.updating = ~0u;
    cr_expect(rtc()->now() == HX_E_HARDWARE);
    cr_expect(~0u - chip.updating < 100000);
}

/* Between two accesses a task may be preempted for any time. */
static uint32_t rare;
static time_t when;
static void time_goes_on(void)
{
    if (host_random(rare) == 0)
        chip_set_epoch(++when, B_24H);
}

Test(drv_rtc, a_time_that_changes_while_it_is_read_is_never_mixed)
{
    chip.before_access = time_goes_on;
    rare = 30;
    uint32_t good = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        when = 1704067199 - host_random(3); /* the last seconds of 2023 */
        chip_set_epoch(when, B_24H);
        time_t before = when;
        hx_ret_t got = rtc()->now();
        cr_assert(got == HX_E_HARDWARE || (got >= before && got <= when), "%lld is not in %lld..%lld", (long long)got,
                  (long long)before, (long long)when);
        good += got >= 0;
    }
    cr_expect(good > 1000);
    rare = 1; /* a clock that never rests */
    cr_expect(rtc()->now() == HX_E_HARDWARE);
}

/* ---- periodic interrupt ---------------------------------------------------------------------------------------------- */
Test(drv_rtc, start_programs_the_rate_and_stop_ends_it)
{
    static const struct {
        uint32_t rate;
        uint8_t a;
    } cases[] = { { 2, 0x2f }, { 64, 0x2a }, { 1024, 0x26 }, { 8192, 0x23 } };
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        *(uint32_t *)host_param(&drv_rtc1, "rate_hz") = cases[i].rate;
        chip.reg[B] = B_24H | 0x80 | 0x30;
        cr_assert(drv_rtc1.record->hooks.init() == HX_OK);
        cr_assert(drv_rtc1.record->hooks.start(0) == HX_OK);
        cr_expect(chip.reg[A] == cases[i].a && chip.reg[B] == (B_24H | B_PERIODIC));
        cr_expect(rtc()->rate() == cases[i].rate);
        cr_expect(drv_rtc1.record->hooks.stop() == HX_OK);
        cr_expect(chip.reg[B] == B_24H);
    }
}

Test(drv_rtc, rates_that_the_chip_does_not_have_are_refused)
{
    static const uint32_t rates[] = { 0, 1, 3, 63, 65, 100, 16384, 1u << 31, ~0u };
    for (size_t i = 0; i < HX_ARRAY_SIZE(rates); i++) {
        *(uint32_t *)host_param(&drv_rtc1, "rate_hz") = rates[i];
        cr_expect(drv_rtc1.record->hooks.init() == HX_E_INVAL, "%u", rates[i]);
    }
    cr_expect(chip.writes == 0 && chip.reads_of_c == 0, "init touched the chip");
}

Test(drv_rtc, all_rate_codes_of_the_chip_are_understood)
{
    static const uint32_t rates[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };
    for (uint8_t code = 0; code < 16; code++) {
        chip.reg[A] = 0x20 | code;
        cr_expect(rtc()->rate() == rates[code], "code %u", code);
    }
}

Test(drv_rtc, interrupts_are_counted_and_rearmed)
{
    cr_assert(drv_rtc1.record->hooks.start(0) == HX_OK);
    for (uint32_t i = 1; i <= 100; i++) {
        uint32_t reads = chip.reads_of_c;
        chip.reg[C] = C_PENDING;
        cr_expect(drv_rtc1_interrupt(1) == HX_OK);
        cr_expect(chip.reads_of_c == reads + 1 && rtc()->ticks() == i);
    }
    cr_expect(drv_rtc1_interrupt(7) == HX_OK); /* what a swap held back */
    cr_expect(rtc()->ticks() == 107);
    host_expect_sound(&drv_rtc1);
}

Test(drv_rtc, a_resumed_start_leaves_count_and_device_alone)
{
    cr_assert(drv_rtc1.record->hooks.start(0) == HX_OK);
    cr_assert(drv_rtc1_interrupt(5) == HX_OK);
    uint32_t writes = chip.writes;
    cr_expect(drv_rtc1.record->hooks.start(1) == HX_OK);
    cr_expect(chip.writes == writes, "nothing differs, so nothing is programmed");
    cr_expect(rtc()->ticks() == 5);
    chip.reg[C] = C_PENDING; /* left by a predecessor that did not come to read it */
    cr_expect(drv_rtc1.record->hooks.start(1) == HX_OK);
    cr_expect(chip.reg[C] == 0 && rtc()->ticks() == 5);
}

/* An interrupt between any two accesses of an operation. */
static uint32_t interrupts, accesses, interrupt_at;
static void interrupt_comes(void)
{
    void (*hook)(void) = chip.before_access;
    if (accesses++ != interrupt_at)
        return;
    chip.before_access = NULL; /* its own accesses are not interrupted by itself */
    chip.reg[C] = C_PENDING;
    cr_assert(drv_rtc1_interrupt(1) == HX_OK);
    chip.before_access = hook;
    interrupts++;
}

Test(drv_rtc, an_interrupt_between_any_two_accesses_spoils_nothing)
{
    chip.before_access = interrupt_comes;
    for (interrupt_at = 0; interrupt_at < 40; interrupt_at++) {
        accesses = 0;
        cr_expect(rtc()->now() == 1700000000, "at access %u", interrupt_at);
        cr_expect(chip.reg[C] == 0, "at access %u: the line is dead", interrupt_at);
        accesses = 0;
        chip.reg[A] = 0x26;
        chip.reg[B] = B_24H;
        cr_expect(drv_rtc1.record->hooks.start(1) == HX_OK);
        cr_expect(chip.reg[A] == 0x2a && chip.reg[B] == (B_24H | B_PERIODIC), "at access %u", interrupt_at);
        cr_expect(chip.reg[C] == 0);
    }
    cr_expect(interrupts > 40 && rtc()->ticks() == interrupts);
    cr_expect(*drv_rtc1_pair == 0);
}

static uint32_t sleeps;
static void owner_goes_on(void)
{
    if (++sleeps == 3)
        *drv_rtc1_pair = 0;
}

Test(drv_rtc, a_second_task_sleeps_until_the_first_is_done)
{
    *drv_rtc1_pair = 1;
    host_sleep_hook = owner_goes_on;
    cr_expect(rtc()->now() == 1700000000 && sleeps == 3);
}

Test(drv_rtc, a_task_that_was_ended_in_an_access_does_not_keep_the_ports)
{
    *drv_rtc1_pair = 1;
    chip.reg[C] = C_PENDING;
    cr_expect(drv_rtc1_interrupt(1) == HX_OK); /* cannot read C now */
    cr_expect(chip.reg[C] == C_PENDING);
    cr_expect(rtc()->now() == 1700000000);
    cr_expect(*drv_rtc1_pair == 0);
    chip.reg[C] = C_PENDING;
    cr_expect(drv_rtc1_interrupt(1) == HX_OK);
    cr_expect(chip.reg[C] == 0 && rtc()->ticks() == 2);
}

Test(drv_rtc, check_finds_seeded_corruptions)
{
    static const struct corruption list[] = {
        { "ticks", 0, 0 }, { "ticks", 0, 41 }, { "ticks", 0, ~0ull }, { "ticks_again", 0, 43 }, { "ticks_again", 0, 0 },
    };
    host_expect_sound(&drv_rtc1);
    cr_assert(drv_rtc1_interrupt(42) == HX_OK);
    host_expect_sound(&drv_rtc1);
    host_expect_found(&drv_rtc1, list, HX_ARRAY_SIZE(list));
}
