/* SPDX-License-Identifier: MIT */
/*
 * rows.c - tables as objects, for programs: see console.h.
 *
 * Why the format of the text says what the values are: a command names its values once, the compiler checks them, and what a
 * person sees does not depend on what a program gets.
 * Source: RFC 8259.
 */
#include "console.h"

#include <lib/fmt.h>
#include <stdarg.h>
#include <string.h>

static void put_text(const struct hx_sink *sink, const char *text)
{
    sink->write(text, strlen(text));
}

/* ---- strings -------------------------------------------------------------------------------------------------------- */
static void put_escaped(const struct hx_sink *sink, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)text[i];
        char escape[8];
        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
            sink->write(&text[i], 1);
        else
            sink->write(escape, hx_fmt(escape, sizeof(escape), c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c));
    }
}

void hx_console_json_string(const struct hx_sink *sink, const char *text, size_t bytes)
{
    put_text(sink, "\"");
    put_escaped(sink, text, bytes);
    put_text(sink, "\"");
}

void hx_console_text_rows(struct hx_sink *sink, const char *text, size_t bytes)
{
    for (size_t from = 0, to = 0; from < bytes; from = to + 1) {
        for (to = from; to < bytes && text[to] != '\n';)
            to++;
        if (!sink->inside_line)
            put_text(sink, "{\"text\":\"");
        put_escaped(sink, text + from, to - from);
        sink->inside_line = to == bytes;
        if (to < bytes)
            put_text(sink, "\"}\n");
    }
}

/* ---- values --------------------------------------------------------------------------------------------------------- */
/* One conversion of a format, without its text. */
struct value {
    char letter;
    bool is_long, has_precision;
    int precision;
};

/* Between the % and the letter: flags, width, precision, length. */
static bool is_before_letter(char byte)
{
    static const char bytes[] = "-+ #0123456789.*lzh";
    return byte && memchr(bytes, byte, sizeof(bytes)) != NULL;
}

/* Where @format goes on behind its next conversion; NULL: there is none. */
static const char *next_value(const char *format, struct value *out, va_list *arguments)
{
    *out = (struct value){ 0 };
    while ((format = memchr(format, '%', strlen(format))) && format[1] == '%')
        format += 2;
    if (!format)
        return NULL;
    for (format++; is_before_letter(*format); format++) {
        out->is_long |= *format == 'l' || *format == 'z';
        if (*format == '*') {
            int star = va_arg(*arguments, int);
            out->precision = out->has_precision ? star : 0;
        } else if (*format == '.') {
            out->has_precision = true;
        } else if (out->has_precision && *format >= '0' && *format <= '9') {
            out->precision = 10 * out->precision + (*format - '0');
        }
    }
    out->letter = *format;
    return format + 1;
}

static void put_string(const struct hx_sink *sink, const struct value *value, const char *text)
{
    size_t bytes = value->has_precision ? strnlen(text, (size_t)value->precision) : strlen(text);
    if (bytes == 1 && text[0] == '-') /* how people are told that there is none */
        put_text(sink, "null");
    else
        hx_console_json_string(sink, text, bytes);
}

/* The argument goes even where @sink is NULL: nobody wants it. */
static void put_value(const struct hx_sink *sink, const struct value *value, va_list *arguments)
{
    char text[24];
    if (value->letter == 's') {
        const char *string = va_arg(*arguments, const char *);
        if (sink)
            put_string(sink, value, string);
        return;
    }
    uint64_t number = value->is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned int);
    if (value->letter == 'd' && !value->is_long)
        number = (uint64_t)(int)number;
    if (!sink)
        return;
    const char *format = value->letter == 'x' ? "\"%llx\"" : value->letter == 'd' ? "%lld" : "%llu";
    hx_fmt(text, sizeof(text), format, (unsigned long long)number);
    put_text(sink, text);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */
/* An object of @keys and the values in @format. What stands around these is for people. */
static void put_object(struct hx_sink *sink, const char *keys, const char *format, va_list *arguments)
{
    struct value value;
    const char *separator = "{";
    while ((format = next_value(format, &value, arguments))) {
        size_t bytes = 0;
        while (keys[bytes] && keys[bytes] != ' ')
            bytes++;
        bool is_wanted = bytes > 0 && keys[0] != '-';
        if (is_wanted) {
            put_text(sink, separator);
            hx_console_json_string(sink, keys, bytes);
            put_text(sink, ":");
            separator = ",";
        }
        put_value(is_wanted ? sink : NULL, &value, arguments);
        keys += bytes + (keys[bytes] == ' ');
    }
    put_text(sink, "}\n");
}

bool hx_console_wants_rows(void)
{
    return hx_console_sink()->wants_rows;
}

void hx_console_row(const char *keys, const char *format, ...)
{
    struct hx_sink *sink = hx_console_sink();
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    if (sink->wants_rows) {
        put_object(sink, keys, format, &arguments);
    } else {
        size_t whole = hx_fmt_v(text, sizeof(text), format, arguments);
        hx_console_text(text, whole < sizeof(text) ? whole : sizeof(text) - 1);
    }
    va_end(arguments);
}

void hx_console_object(const char *keys, const char *format, ...)
{
    struct hx_sink *sink = hx_console_sink();
    va_list arguments;
    va_start(arguments, format);
    if (sink->wants_rows)
        put_object(sink, keys, format, &arguments);
    va_end(arguments);
}
