/* SPDX-License-Identifier: MIT */
/*
 * drv_rtc.c - the PC's clock chip: the time of day, and a periodic interrupt that is counted.
 *
 * Why: the smallest driver with ports, a real interrupt line and state that must survive a swap while the device runs on.
 * Chip:      two ports, an index and a data register, shared by the operations (tasks) and the interrupt handler. One
 *            access at a time owns the pair; a handler that comes in between leaves its part to the owner, because it must
 *            not wait for a task that it interrupts.
 * Swap:      the device is not touched by it. Interrupts of the blackout arrive afterwards in `count`; start(1) programs
 *            only what differs and counts nothing, so no tick is lost or counted twice.
 * State:     the count is written by the handler alone, twice, so that `check` can tell a spoiled one; the time at boot once.
 * Source:    Motorola MC146818A data sheet; the century byte is a convention of PCs (ACPI 6.4, 5.2.9, CENTURY).
 */
#include <helix/module.h>
#include <helix/rtc.h>

enum {
    RTC_PORT_INDEX = 0x70, /* bit 7 would disable NMI: kept clear */
    RTC_PORT_DATA = 0x71,
    RTC_IRQ = 8,

    RTC_SECONDS = 0x00,
    RTC_MINUTES = 0x02,
    RTC_HOURS = 0x04,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_CENTURY = 0x32,

    RTC_A_UPDATING = 0x80,
    RTC_A_RATE = 0x0f,
    RTC_B_SET = 0x80,
    RTC_B_PERIODIC = 0x40,
    RTC_B_ALARM = 0x20,
    RTC_B_UPDATE_ENDED = 0x10,
    RTC_B_BINARY = 0x04,
    RTC_B_24H = 0x02,
    RTC_HOURS_PM = 0x80,

    RTC_RATE_MIN = 2,
    RTC_RATE_MAX = 8192,
    RTC_POLLS_MAX =
        50000, /* an update takes 2.2 ms; a poll of the flag is never below 0.1 us, on hardware above 1 us */
    RTC_READS_MAX = 16,
    RTC_TRIES_MAX = 100,
    RTC_TRY_NS = 100000,
};

static const uint64_t ns_per_second = 1000000000;

#define RTC_FIELDS(SCALAR, ARRAY)                                                                                      \
    SCALAR(u64, ticks)                                                                                                 \
    SCALAR(u64, ticks_again)                                                                                           \
    SCALAR(u64, boot_ns) /* since 1970, when the monotonic clock began; 0: not known */
HX_STATE(rtc, RTC_FIELDS);
HX_PARAM(uint32_t, rate_hz, 64, "periodic interrupts a second, a power of two, 2 to 8192");

/* ---- registers ------------------------------------------------------------------------------------------------------- */
enum { PAIR_FREE, PAIR_OWNED, PAIR_OWNED_IRQ_WAITS };
static uint32_t pair; /* a: who owns the two ports; private to this version, free whenever nobody is inside */

static bool pair_change(uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&pair, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The ports are declared below, so the kernel does not refuse them. */
static uint8_t raw_read(uint32_t reg)
{
    (void)!hx_port_write8(RTC_PORT_INDEX, reg);
    return (uint8_t)hx_port_read8(RTC_PORT_DATA);
}

/*
 * An access is a few instructions, but its task may have been preempted in the middle: sleep, so that it can go on even if
 * it matters less than this one. One that does not in 10 ms has been ended there, and its claim is void; should it live
 * after all, a reading that both spoil is found out by raw_read_stable().
 */
static void pair_acquire(void)
{
    for (uint32_t tries = 0; tries < RTC_TRIES_MAX; tries++) {
        if (pair_change(PAIR_FREE, PAIR_OWNED))
            return;
        (void)!hx_sleep_ns(RTC_TRY_NS);
    }
    __atomic_store_n(&pair, PAIR_OWNED, __ATOMIC_RELEASE);
}

static void pair_release(void)
{
    while (!pair_change(PAIR_OWNED, PAIR_FREE)) {
        __atomic_store_n(&pair, PAIR_OWNED, __ATOMIC_RELEASE);
        raw_read(RTC_C); /* for the handler that could not: the line stays dead until this is read */
    }
}

static uint8_t reg_read(uint32_t reg)
{
    pair_acquire();
    uint8_t value = raw_read(reg);
    pair_release();
    return value;
}

static void reg_write(uint32_t reg, uint8_t value)
{
    pair_acquire();
    (void)!hx_port_write8(RTC_PORT_INDEX, reg);
    (void)!hx_port_write8(RTC_PORT_DATA, value);
    pair_release();
}

/* ---- periodic interrupt ---------------------------------------------------------------------------------------------- */
static void acknowledge(void)
{
    do {
        if (pair_change(PAIR_FREE, PAIR_OWNED)) {
            raw_read(RTC_C);
            pair_release();
            return;
        }
    } while (!pair_change(PAIR_OWNED, PAIR_OWNED_IRQ_WAITS) &&
             __atomic_load_n(&pair, __ATOMIC_RELAXED) != PAIR_OWNED_IRQ_WAITS);
}

static hx_ret_t rtc_interrupt(uint64_t count)
{
    acknowledge();
    uint64_t ticks = rtc.ticks + count;
    __atomic_store_n(&rtc.ticks, ticks, __ATOMIC_RELAXED);
    __atomic_store_n(&rtc.ticks_again, ticks, __ATOMIC_RELAXED);
    return HX_OK;
}

static bool rate_is_legal(uint32_t rate)
{
    return rate >= RTC_RATE_MIN && rate <= RTC_RATE_MAX && (rate & (rate - 1)) == 0;
}

/* Register A counts octaves down from 32,768 Hz, which is 1. */
static uint8_t code_of_rate(uint32_t rate)
{
    return (uint8_t)(16 - __builtin_ctz(rate));
}

static uint32_t rate_of_code(uint8_t code)
{
    if (code <= 2) /* none; and two that repeat slower ones */
        return code == 0 ? 0 : 256u >> (code - 1);
    return 32768u >> (code - 1);
}

/* ---- time of day ----------------------------------------------------------------------------------------------------- */
struct rtc_time {
    uint32_t year, month, day, hour, minute, second;
};

struct rtc_raw {
    uint8_t second, minute, hour, day, month, year, century, mode;
};

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

static bool time_is_sound(const struct rtc_time *t)
{
    return t->year >= 1970 && t->year < 2200 && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
           t->day <= days_in_month(t->year, t->month) && t->hour < 24 && t->minute < 60 && t->second < 60;
}

/* @t is sound. */
static uint64_t seconds_since_1970(const struct rtc_time *t)
{
    uint32_t before = t->year - 1;
    uint64_t days = (uint64_t)(t->year - 1970) * 365;
    days += (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    for (uint32_t month = 1; month < t->month; month++)
        days += days_in_month(t->year, month);
    days += t->day - 1;
    return ((days * 24 + t->hour) * 60 + t->minute) * 60 + t->second;
}

/* Two digits in the chip's encoding; 255, which no field accepts, when they are none. */
static uint32_t digits(uint8_t raw, uint8_t mode)
{
    if (mode & RTC_B_BINARY)
        return raw;
    return (raw & 0x0f) <= 9 && raw >> 4 <= 9 ? (raw >> 4) * 10u + (raw & 0x0fu) : UINT8_MAX;
}

static uint32_t hours(uint8_t raw, uint8_t mode)
{
    if (mode & RTC_B_24H)
        return digits(raw, mode);
    uint32_t hour = digits(raw & (uint8_t)~RTC_HOURS_PM, mode);
    if (hour < 1 || hour > 12)
        return UINT8_MAX;
    return hour % 12 + (raw & RTC_HOURS_PM ? 12 : 0);
}

/* The century byte is not on every board: what it says is taken when it makes sense, else the years from 1970 to 2069. */
static uint32_t full_year(uint32_t year, uint32_t century)
{
    if (year > 99)
        return 0;
    if (century * 100 + year >= 1970 && century <= 21)
        return century * 100 + year;
    return year + (year < 70 ? 2000 : 1900);
}

static bool raw_equal(const struct rtc_raw *a, const struct rtc_raw *b)
{
    return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

static hx_status_t raw_sample(struct rtc_raw *out)
{
    uint32_t polls = 0;
    while (reg_read(RTC_A) & RTC_A_UPDATING)
        if (++polls == RTC_POLLS_MAX)
            return HX_E_HARDWARE;
    out->second = reg_read(RTC_SECONDS);
    out->minute = reg_read(RTC_MINUTES);
    out->hour = reg_read(RTC_HOURS);
    out->day = reg_read(RTC_DAY);
    out->month = reg_read(RTC_MONTH);
    out->year = reg_read(RTC_YEAR);
    out->century = reg_read(RTC_CENTURY);
    out->mode = reg_read(RTC_B) & (RTC_B_BINARY | RTC_B_24H);
    return HX_OK;
}

/* A task may be preempted between two registers, so one sample is none: two alike, one after the other, are the time. */
static hx_status_t raw_read_stable(struct rtc_raw *out)
{
    struct rtc_raw before;
    hx_status_t err = raw_sample(&before);
    for (uint32_t reads = 1; err == HX_OK && reads < RTC_READS_MAX; reads++) {
        err = raw_sample(out);
        if (err != HX_OK || raw_equal(&before, out))
            return err;
        before = *out;
    }
    return HX_E_HARDWARE;
}

static hx_ret_t rtc_now(void)
{
    struct rtc_raw raw;
    hx_status_t err = raw_read_stable(&raw);
    if (err != HX_OK)
        return err;
    struct rtc_time t = {
        .year = full_year(digits(raw.year, raw.mode), digits(raw.century, raw.mode)),
        .month = digits(raw.month, raw.mode),
        .day = digits(raw.day, raw.mode),
        .hour = hours(raw.hour, raw.mode),
        .minute = digits(raw.minute, raw.mode),
        .second = digits(raw.second, raw.mode),
    };
    return time_is_sound(&t) ? (hx_ret_t)seconds_since_1970(&t) : HX_E_HARDWARE;
}

static hx_ret_t rtc_now_ns(void)
{
    return rtc.boot_ns ? (hx_ret_t)rtc.boot_ns + hx_clock_ns() : HX_E_HARDWARE;
}

static hx_ret_t rtc_ticks(void)
{
    return (hx_ret_t)__atomic_load_n(&rtc.ticks, __ATOMIC_RELAXED);
}

static hx_ret_t rtc_rate(void)
{
    return rate_of_code(reg_read(RTC_A) & RTC_A_RATE);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */
static hx_ret_t rtc_init(void)
{
    return rate_is_legal(rate_hz) ? HX_OK : HX_E_INVAL;
}

/* Once: a time that is taken again with every version would jump by up to a second. A clock without a time leaves it open. */
static void time_at_boot(void)
{
    hx_ret_t now = rtc.boot_ns ? HX_E_EXIST : rtc_now();
    if (now > 0)
        rtc.boot_ns = (uint64_t)now * ns_per_second - (uint64_t)hx_clock_ns();
}

static hx_ret_t rtc_start(uint64_t resumed)
{
    (void)resumed; /* the count goes on from what the state says, be that nothing */
    uint8_t a = reg_read(RTC_A), b = reg_read(RTC_B);
    uint8_t want_a = (uint8_t)((a & ~(RTC_A_RATE | RTC_A_UPDATING)) | code_of_rate(rate_hz));
    uint8_t want_b = (uint8_t)((b & ~(RTC_B_SET | RTC_B_ALARM | RTC_B_UPDATE_ENDED)) | RTC_B_PERIODIC);
    if (want_a != (a & ~RTC_A_UPDATING))
        reg_write(RTC_A, want_a);
    if (want_b != b)
        reg_write(RTC_B, want_b);
    /* A flag left from before (firmware, or a predecessor that faulted in its handler) would keep the line dead. */
    reg_read(RTC_C);
    time_at_boot();
    return HX_OK;
}

static hx_ret_t rtc_stop(void)
{
    reg_write(RTC_B, (uint8_t)(reg_read(RTC_B) & ~RTC_B_PERIODIC));
    reg_read(RTC_C);
    return HX_OK;
}

/* The handler may run between the two loads, but not every time. */
static hx_ret_t rtc_check(void)
{
    for (uint32_t tries = 0; tries < RTC_READS_MAX; tries++) {
        uint64_t again = __atomic_load_n(&rtc.ticks_again, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&rtc.ticks, __ATOMIC_ACQUIRE) == again)
            return HX_OK;
    }
    return HX_E_CORRUPT;
}

static const struct hx_rtc_ops rtc_ops = {
    HX_OPS_HEAD(hx_rtc), .now = rtc_now, .ticks = rtc_ticks, .rate = rtc_rate, .now_ns = rtc_now_ns,
};

HX_MODULE("drv_rtc", HX_VERSION(1, 0, 0), "CMOS real-time clock", .init = rtc_init, .start = rtc_start,
          .stop = rtc_stop, .check = rtc_check);
HX_PROVIDES(hx_rtc, HX_RTC_OPS, &rtc_ops);
HX_PORTS(RTC_PORT_INDEX, RTC_PORT_DATA);
HX_IRQ("periodic", RTC_IRQ, rtc_interrupt);
