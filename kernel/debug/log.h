/* SPDX-License-Identifier: MIT */
/*
 * log.h - the kernel log: the last lines that anybody had to say, each with time, level and source.
 *
 * A fixed ring; the oldest line gives way to the newest and is counted as dropped. Readers have cursors of their own and
 * are told how much they missed. Until somebody listens (the console task), a line that passes the console level also
 * goes out at once through the emergency path, so that the boot story is complete whatever happens.
 *
 * May be used by: L6 and up. Libraries below return errors instead; whoever composes them logs once.
 * Context: any but NMI and machine check. No lock of rank HX_RANK_WAITQ or higher may be held by the caller, because a
 * listener may be woken.
 * Locks: one spinlock of rank HX_RANK_LOG around the copying of one line; texts are made outside it.
 */
#pragma once
#include <helix/kernel.h>
#include <stdbool.h>

enum {
    HX_LOG_LINES = 512,
    HX_LOG_TEXT_MAX = 208, /* NUL included; longer texts end in "..." */
};

struct hx_log_entry {
    uint64_t number; /* counts from 0; gaps in what a reader sees are lines that it missed */
    uint64_t time_ns;
    uint32_t level;           /* enum hx_log_level */
    char source[HX_NAME_MAX]; /* name of a module, or "kernel" */
    char text[HX_LOG_TEXT_MAX];
};

struct hx_log_cursor {
    uint64_t next; /* number of the line to read next */
};

/* Appends a line. @level above HX_LOG_DEBUG counts as HX_LOG_DEBUG; @source NULL is "kernel". Control characters in the
 * text become '?', so that no text can steer a terminal. */
__attribute__((format(printf, 3, 4))) void hx_log_line(uint32_t level, const char *source, const char *format, ...);
/* The same with a text from a module: @text, [bytes], need not end in NUL. */
void hx_log_text(uint32_t level, const char *source, const char *text, size_t bytes);

/* At the oldest line that is left. */
struct hx_log_cursor hx_log_oldest(void);
/* Past the newest line. */
struct hx_log_cursor hx_log_newest(void);
/* Copies the next line and steps on. Returns whether there was one. @out_missed: lines that were overwritten since the
 * cursor was there, 0 for none. */
bool hx_log_next(struct hx_log_cursor *cursor, struct hx_log_entry *out, uint64_t *out_missed);
/* Lines overwritten so far. */
uint64_t hx_log_dropped(void);
uint64_t hx_log_written(void);

/* Lines with a level up to @level are for the console. Default HX_LOG_INFO. */
void hx_log_set_console_level(uint32_t level);
uint32_t hx_log_console_level(void);
/* "error", "warn", "info", "debug" or 0..3, as in the boot option loglevel. HX_E_INVAL. */
HX_NODISCARD hx_status_t hx_log_level_parse(const char *text, uint32_t *out_level);
const char *hx_log_level_name(uint32_t level);

/* From now on @arrived is called after each line for the console, in the context of who logged, and the emergency path is
 * left alone. NULL goes back to it. */
void hx_log_listen(void (*arrived)(void));

/* "[    1.234567] kernel: text" into @out; a warning or an error says so. Returns the length. */
size_t hx_log_format(const struct hx_log_entry *entry, char *out, size_t bytes);
enum { HX_LOG_FORMATTED_MAX = HX_LOG_TEXT_MAX + HX_NAME_MAX + 40 };

/* For the panic dump: calls @print with each of the last @count lines, formatted. Takes no lock; a line that was being
 * written when the machine stopped may come out mixed. */
void hx_log_dump(uint32_t count, void (*print)(const char *line));
