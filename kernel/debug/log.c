/* SPDX-License-Identifier: MIT */
/*
 * log.c - see log.h.
 *
 * The number of a line says where it lies (number % HX_LOG_LINES), so readers need nothing but a number, and a reader that
 * was overtaken sees it from the numbers alone.
 */
#include "log.h"

#include <hal/hx_hal.h>
#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <stdarg.h>
#include <string.h>

/* Apart from the ring, which is large: what starts as zero takes no room in the kernel's file. */
static struct hx_lock ring_lock = HX_LOCK_INIT(HX_RANK_LOG);
static _Atomic uint32_t console_level = HX_LOG_INFO;

static struct {
    struct hx_log_entry line[HX_LOG_LINES]; /* l: ring_lock */
    _Atomic uint64_t written;               /* l for writing: lines ever appended */
    _Atomic(void (*)(void)) arrived;
} ring;

static uint64_t oldest_of(uint64_t written)
{
    return written > HX_LOG_LINES ? written - HX_LOG_LINES : 0;
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */
static void append(struct hx_log_entry *entry)
{
    hx_irq_flags_t flags = hx_lock_acquire(&ring_lock);
    entry->number = atomic_load_explicit(&ring.written, memory_order_relaxed);
    entry->time_ns = hx_hal_clock_ns();
    ring.line[entry->number % HX_LOG_LINES] = *entry;
    atomic_store_explicit(&ring.written, entry->number + 1, memory_order_release);
    hx_lock_release(&ring_lock, flags);
}

static void emergency_line(const struct hx_log_entry *entry)
{
    char text[HX_LOG_FORMATTED_MAX + 2];
    size_t used = hx_log_format(entry, text, HX_LOG_FORMATTED_MAX);
    used = hx_fmt_append(text, sizeof(text), used, "\r\n");
    hx_hal_console_emergency(text, used);
}

static void tell(const struct hx_log_entry *entry)
{
    if (entry->level > atomic_load_explicit(&console_level, memory_order_relaxed))
        return;
    void (*arrived)(void) = atomic_load_explicit(&ring.arrived, memory_order_acquire);
    if (arrived)
        arrived();
    else
        emergency_line(entry);
}

static void make_harmless(char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* @whole: the length that the text would have had. */
static void finish(struct hx_log_entry *entry, uint32_t level, const char *source, size_t whole)
{
    entry->level = level <= HX_LOG_DEBUG ? level : (uint32_t)HX_LOG_DEBUG;
    hx_fmt(entry->source, sizeof(entry->source), "%s", source ? source : "kernel");
    if (whole >= sizeof(entry->text))
        memcpy(entry->text + sizeof(entry->text) - 4, "...", 4);
    make_harmless(entry->text);
    append(entry);
    tell(entry);
}

void hx_log_line(uint32_t level, const char *source, const char *format, ...)
{
    struct hx_log_entry entry = { 0 };
    va_list arguments;
    va_start(arguments, format);
    size_t whole = hx_fmt_v(entry.text, sizeof(entry.text), format, arguments);
    va_end(arguments);
    finish(&entry, level, source, whole);
}

void hx_log_text(uint32_t level, const char *source, const char *text, size_t bytes)
{
    struct hx_log_entry entry = { 0 };
    size_t kept = bytes < sizeof(entry.text) ? bytes : sizeof(entry.text) - 1;
    memcpy(entry.text, text, kept);
    for (size_t i = 0; i < kept; i++)
        if (entry.text[i] == '\0')
            entry.text[i] = '?';
    finish(&entry, level, source, bytes);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */
struct hx_log_cursor hx_log_oldest(void)
{
    return (struct hx_log_cursor){ oldest_of(hx_log_written()) };
}

struct hx_log_cursor hx_log_newest(void)
{
    return (struct hx_log_cursor){ hx_log_written() };
}

bool hx_log_next(struct hx_log_cursor *cursor, struct hx_log_entry *out, uint64_t *out_missed)
{
    *out_missed = 0;
    hx_irq_flags_t flags = hx_lock_acquire(&ring_lock);
    uint64_t written = atomic_load_explicit(&ring.written, memory_order_relaxed);
    bool found = cursor->next < written;
    if (found && cursor->next < oldest_of(written)) {
        *out_missed = oldest_of(written) - cursor->next;
        cursor->next = oldest_of(written);
    }
    if (found)
        *out = ring.line[cursor->next++ % HX_LOG_LINES];
    hx_lock_release(&ring_lock, flags);
    return found;
}

uint64_t hx_log_written(void)
{
    return atomic_load_explicit(&ring.written, memory_order_acquire);
}

uint64_t hx_log_dropped(void)
{
    return oldest_of(hx_log_written());
}

/* ---- what reaches the console ---------------------------------------------------------------------------------------- */
static const char *const level_names[] = { "error", "warn", "info", "debug" };

void hx_log_set_console_level(uint32_t level)
{
    atomic_store_explicit(&console_level, level, memory_order_relaxed);
}

uint32_t hx_log_console_level(void)
{
    return atomic_load_explicit(&console_level, memory_order_relaxed);
}

hx_status_t hx_log_level_parse(const char *text, uint32_t *out_level)
{
    for (uint32_t level = 0; level < HX_ARRAY_SIZE(level_names); level++) {
        bool is_digit = text[0] == (char)('0' + level) && text[1] == '\0';
        if (is_digit || strcmp(text, level_names[level]) == 0) {
            *out_level = level;
            return HX_OK;
        }
    }
    return HX_E_INVAL;
}

const char *hx_log_level_name(uint32_t level)
{
    return level < HX_ARRAY_SIZE(level_names) ? level_names[level] : "unknown";
}

void hx_log_listen(void (*arrived)(void))
{
    atomic_store_explicit(&ring.arrived, arrived, memory_order_release);
}

/* ---- as text -------------------------------------------------------------------------------------------------------- */
size_t hx_log_format(const struct hx_log_entry *entry, char *out, size_t bytes)
{
    static const char *const marks[] = { "error: ", "warning: ", "", "" };
    const char *mark = entry->level < HX_ARRAY_SIZE(marks) ? marks[entry->level] : "";
    return hx_fmt_append(out, bytes, 0, "[%5llu.%06llu] %s: %s%s", (unsigned long long)(entry->time_ns / 1000000000u),
                         (unsigned long long)(entry->time_ns / 1000u % 1000000u), entry->source, mark, entry->text);
}

void hx_log_dump(uint32_t count, void (*print)(const char *line))
{
    static struct hx_log_entry entry; /* the stack may be all but used up */
    static char text[HX_LOG_FORMATTED_MAX];
    uint64_t written = hx_log_written();
    uint64_t number = written > count ? written - count : 0;
    if (number < oldest_of(written))
        number = oldest_of(written);
    for (; number < written; number++) {
        entry = ring.line[number % HX_LOG_LINES];
        entry.source[sizeof(entry.source) - 1] = '\0';
        entry.text[sizeof(entry.text) - 1] = '\0';
        hx_log_format(&entry, text, sizeof(text));
        print(text);
    }
}
