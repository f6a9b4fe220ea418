/* SPDX-License-Identifier: MIT */
/*
 * console_output.c - what commands print: text, by the sink of the task that runs them; on the console the log between it.
 *
 * Context: the console's task and that of the control channel, each with its own sink, so nothing is locked; the log is the
 * console's alone.
 */
#include "console.h"

#include "log.h"

#include <hal/hx_hal.h>
#include <lib/fmt.h>
#include <stdarg.h>
#include <string.h>
#include <task/task.h>

static struct {
    struct hx_log_cursor shown;
    struct hx_log_entry due; /* valid while is_due */
    bool is_due;
    uint64_t missed; /* lines overwritten before they could be shown */
    const struct hx_console_env *env;
} output;

static _Atomic bool color_on = true;

/* ---- sinks ---------------------------------------------------------------------------------------------------------- */
static struct hx_sink *bound;

struct hx_sink *hx_console_sink(void)
{
    return bound && bound->task == hx_task_current() ? bound : &hx_console_own_sink;
}

void hx_console_bind_sink(struct hx_sink *sink)
{
    sink->task = hx_task_current();
    bound = sink;
}

/* ---- text ----------------------------------------------------------------------------------------------------------- */
/* Writes with CR before each LF. */
static void write_terminal(const struct hx_sink *sink, const char *text, size_t bytes)
{
    char piece[256];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            piece[used++] = '\r';
        piece[used++] = text[i];
        if (used >= sizeof(piece) - 2 || i + 1 == bytes) {
            sink->write(piece, used);
            used = 0;
        }
    }
}

static void write_lines(struct hx_sink *sink, const char *text, size_t bytes)
{
    if (bytes == 0 || (sink->wants_rows && sink->has_rows))
        return;
    if (sink->wants_rows)
        hx_console_text_rows(sink, text, bytes);
    else if (sink->is_terminal)
        write_terminal(sink, text, bytes);
    else
        sink->write(text, bytes);
    sink->inside_line = text[bytes - 1] != '\n';
}

void hx_console_text(const char *text, size_t bytes)
{
    struct hx_sink *sink = hx_console_sink();
    if (sink->is_terminal && !sink->inside_line)
        hx_console_log_show();
    write_lines(sink, text, bytes);
}

void hx_console_printf(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    size_t whole = hx_fmt_v(text, sizeof(text), format, arguments);
    va_end(arguments);
    hx_console_text(text, whole < sizeof(text) ? whole : sizeof(text) - 1);
}

void hx_console_fresh_line(void)
{
    struct hx_sink *sink = hx_console_sink();
    if (sink->inside_line)
        write_lines(sink, "\n", 1);
}

void hx_console_error(const char *command, const char *what, const char *why)
{
    char *error = hx_console_sink()->error;
    hx_fmt(error, HX_SINK_ERROR_MAX, "%s: %s: %s", command, what, why);
    hx_console_printf("%s%s: %s: %s%s\n", hx_console_style(HX_STYLE_ERROR), command, what, why,
                      hx_console_style(HX_STYLE_PLAIN));
}

/* ---- colours -------------------------------------------------------------------------------------------------------- */
const char *hx_console_style(enum hx_console_style style)
{
    /* Source: ECMA-48, SGR. */
    static const char *const sequences[] = {
        [HX_STYLE_PLAIN] = "\033[0m", [HX_STYLE_PROMPT] = "\033[1;36m", [HX_STYLE_STRONG] = "\033[1m",
        [HX_STYLE_FAINT] = "\033[2m", [HX_STYLE_WARNING] = "\033[33m",  [HX_STYLE_ERROR] = "\033[31m",
    };
    return color_on && hx_console_sink()->is_terminal ? sequences[style] : "";
}

void hx_console_heading(const char *text)
{
    hx_console_printf("%s%s%s\n", hx_console_style(HX_STYLE_STRONG), text, hx_console_style(HX_STYLE_PLAIN));
}

void hx_console_table(const char *heading)
{
    struct hx_sink *sink = hx_console_sink();
    if (heading && !sink->wants_rows)
        hx_console_heading(heading);
    sink->has_rows = true;
}

void hx_console_set_color(bool on)
{
    color_on = on;
}

bool hx_console_color(void)
{
    return color_on;
}

hx_status_t hx_console_switch_parse(const char *text, bool *out)
{
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0)
        return HX_E_INVAL;
    *out = on;
    return HX_OK;
}

/* ---- the log -------------------------------------------------------------------------------------------------------- */
void hx_console_log_begin(void)
{
    output.shown = hx_log_newest();
    output.is_due = false;
    output.missed = 0;
}

/* Goes on to the next line that is for the console. */
bool hx_console_log_is_due(void)
{
    uint64_t missed = 0;
    while (!output.is_due && hx_log_next(&output.shown, &output.due, &missed)) {
        output.missed += missed;
        output.is_due = output.due.level <= hx_log_console_level();
    }
    return output.is_due;
}

static enum hx_console_style style_of(uint32_t level)
{
    switch (level) {
    case HX_LOG_ERROR: return HX_STYLE_ERROR;
    case HX_LOG_WARN: return HX_STYLE_WARNING;
    default: return HX_STYLE_FAINT;
    }
}

static void show_line(const char *text, enum hx_console_style style)
{
    char line[HX_LOG_FORMATTED_MAX + 32];
    size_t used = hx_fmt_append(line, sizeof(line), 0, "%s%s%s\n", hx_console_style(style), text,
                                hx_console_style(HX_STYLE_PLAIN));
    write_terminal(&hx_console_own_sink, line, used);
}

void hx_console_log_show(void)
{
    char text[HX_LOG_FORMATTED_MAX];
    while (hx_console_log_is_due()) {
        if (output.missed > 0) {
            hx_fmt(text, sizeof(text), "(%llu lines of the log came too fast to be shown)",
                   (unsigned long long)output.missed);
            show_line(text, HX_STYLE_WARNING);
            output.missed = 0;
        }
        hx_log_format(&output.due, text, sizeof(text));
        show_line(text, style_of(output.due.level));
        output.is_due = false;
    }
}

/* ---- binding -------------------------------------------------------------------------------------------------------- */
void hx_console_bind(const struct hx_console_env *env)
{
    output.env = env;
}

const struct hx_console_env *hx_console_env(void)
{
    static const struct hx_console_env nothing;
    return output.env ? output.env : &nothing;
}
