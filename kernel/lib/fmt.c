/* SPDX-License-Identifier: MIT */
/*
 * fmt.c - text from values, for kernel, modules and host alike.
 *
 * Invariant: out.length counts what the whole text has, whether or not it fits; only put() writes, and only inside.
 * Depends on nothing: linked into modules too.
 */
#include "fmt.h"

#include <stdbool.h>
#include <stdint.h>

struct output {
    char *text;
    size_t bytes;
    size_t length;
};

/* One conversion: %[flags][width][.precision][length]letter. */
struct spec {
    bool left, zero, plus, space, alternate;
    bool has_precision;
    size_t width;
    size_t precision;
    unsigned int arg_bytes; /* of an integer argument */
};

enum { DIGITS_MAX = 20, FIELD_MAX = 1 << 20 };

static inline void put(struct output *out, char c)
{
    if (out->length + 1 < out->bytes)
        out->text[out->length] = c;
    out->length++;
}

static void put_repeated(struct output *out, char c, size_t count)
{
    while (count--)
        put(out, c);
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, size_t length)
{
    size_t pad = spec->width > length ? spec->width - length : 0;

    if (!spec->left)
        put_repeated(out, ' ', pad);
    for (size_t i = 0; i < length; i++)
        put(out, text[i]);
    if (spec->left)
        put_repeated(out, ' ', pad);
}

/* @prefix: sign or 0x. Precision is the least count of digits; zero padding goes between prefix and digits. */
static void put_number(struct output *out, const struct spec *spec, uint64_t value, unsigned int base, bool upper,
                       const char *prefix)
{
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char digits[DIGITS_MAX];
    size_t count = 0, prefix_length = 0, zeros = 0, used;

    for (; value; value /= base)
        digits[count++] = set[value % base];
    if (!count && !(spec->has_precision && spec->precision == 0))
        digits[count++] = '0';
    while (prefix[prefix_length])
        prefix_length++;

    if (spec->has_precision && spec->precision > count)
        zeros = spec->precision - count;
    used = prefix_length + zeros + count;
    if (spec->zero && !spec->left && !spec->has_precision && spec->width > used) {
        zeros += spec->width - used;
        used = spec->width;
    }

    if (!spec->left && spec->width > used)
        put_repeated(out, ' ', spec->width - used);
    for (size_t i = 0; i < prefix_length; i++)
        put(out, prefix[i]);
    put_repeated(out, '0', zeros);
    while (count)
        put(out, digits[--count]);
    if (spec->left && spec->width > used)
        put_repeated(out, ' ', spec->width - used);
}

static void put_signed(struct output *out, const struct spec *spec, int64_t value)
{
    const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";

    put_number(out, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false, sign);
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
    size_t length = 0;

    if (!text)
        text = "(null)";
    while ((!spec->has_precision || length < spec->precision) && text[length])
        length++;
    put_padded(out, spec, text, length);
}

static const char *parse_flags(const char *at, struct spec *spec)
{
    for (;; at++) {
        switch (*at) {
        case '-': spec->left = true; break;
        case '0': spec->zero = true; break;
        case '+': spec->plus = true; break;
        case ' ': spec->space = true; break;
        case '#': spec->alternate = true; break;
        default: return at;
        }
    }
}

/* Fields past FIELD_MAX are cut: a wild width may not spin here for minutes. */
static const char *parse_count(const char *at, size_t *out)
{
    size_t count = 0;

    for (; *at >= '0' && *at <= '9'; at++)
        if (count < FIELD_MAX)
            count = count * 10 + (size_t)(*at - '0');
    *out = count < FIELD_MAX ? count : FIELD_MAX;
    return at;
}

static const char *parse_length(const char *at, struct spec *spec)
{
    spec->arg_bytes = sizeof(int);
    switch (*at) {
    case 'h':
        at++;
        spec->arg_bytes = sizeof(short);
        if (*at == 'h') {
            at++;
            spec->arg_bytes = sizeof(char);
        }
        return at;
    case 'l':
        at++;
        if (*at == 'l')
            at++;
        spec->arg_bytes = sizeof(long);
        return at;
    case 'z':
    case 'j':
    case 't': spec->arg_bytes = sizeof(long); return at + 1;
    default: return at;
    }
}

static int64_t narrow_signed(int64_t value, unsigned int bytes)
{
    switch (bytes) {
    case sizeof(char): return (signed char)value;
    case sizeof(short): return (short)value;
    default: return value;
    }
}

static uint64_t narrow_unsigned(uint64_t value, unsigned int bytes)
{
    switch (bytes) {
    case sizeof(char): return (unsigned char)value;
    case sizeof(short): return (unsigned short)value;
    default: return value;
    }
}

static inline int64_t next_signed(va_list *arguments, const struct spec *spec)
{
    if (spec->arg_bytes == sizeof(long))
        return va_arg(*arguments, long);
    return narrow_signed(va_arg(*arguments, int), spec->arg_bytes);
}

static inline uint64_t next_unsigned(va_list *arguments, const struct spec *spec)
{
    if (spec->arg_bytes == sizeof(long))
        return va_arg(*arguments, unsigned long);
    return narrow_unsigned(va_arg(*arguments, unsigned int), spec->arg_bytes);
}

static size_t star(int value)
{
    return value < FIELD_MAX ? (size_t)value : FIELD_MAX;
}

/* Width and precision, from the text or, as *, from the arguments. */
static const char *parse_fields(const char *at, struct spec *spec, va_list *arguments)
{
    int value;

    if (*at == '*') {
        at++;
        value = va_arg(*arguments, int);
        spec->left |= value < 0;
        spec->width = star(value < -FIELD_MAX ? FIELD_MAX : value < 0 ? -value : value);
    } else {
        at = parse_count(at, &spec->width);
    }
    if (*at != '.')
        return at;
    at++;
    spec->has_precision = true;
    if (*at != '*')
        return parse_count(at, &spec->precision);
    value = va_arg(*arguments, int);
    spec->has_precision = value >= 0;
    spec->precision = value < 0 ? 0 : star(value);
    return at + 1;
}

/* @at: behind the %. Returns what follows the conversion; one that is unknown is printed as it stands. */
static const char *convert(struct output *out, const char *at, va_list *arguments)
{
    const char *start = at;
    struct spec spec = { 0 };
    uint64_t value;
    char c;

    at = parse_flags(at, &spec);
    at = parse_fields(at, &spec, arguments);
    at = parse_length(at, &spec);
    switch (*at) {
    case 'd':
    case 'i': put_signed(out, &spec, next_signed(arguments, &spec)); return at + 1;
    case 'u': put_number(out, &spec, next_unsigned(arguments, &spec), 10, false, ""); return at + 1;
    case 'x':
    case 'X':
        value = next_unsigned(arguments, &spec);
        put_number(out, &spec, value, 16, *at == 'X', !spec.alternate || !value ? "" : *at == 'X' ? "0X" : "0x");
        return at + 1;
    case 'p': put_number(out, &spec, (uintptr_t)va_arg(*arguments, void *), 16, false, "0x"); return at + 1;
    case 's': put_string(out, &spec, va_arg(*arguments, const char *)); return at + 1;
    case 'c':
        c = (char)va_arg(*arguments, int);
        put_padded(out, &spec, &c, 1);
        return at + 1;
    case '%': put(out, '%'); return at + 1;
    default: put(out, '%'); return start;
    }
}

size_t hx_fmt_v(char *text, size_t bytes, const char *format, va_list arguments)
{
    struct output out = { text, bytes, 0 };
    va_list rest;

    va_copy(rest, arguments);
    while (*format) {
        if (*format == '%')
            format = convert(&out, format + 1, &rest);
        else
            put(&out, *format++);
    }
    va_end(rest);
    if (bytes)
        text[out.length < bytes ? out.length : bytes - 1] = '\0';
    return out.length;
}

size_t hx_fmt(char *out, size_t bytes, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = hx_fmt_v(out, bytes, format, arguments);
    va_end(arguments);
    return length;
}

size_t hx_fmt_append(char *out, size_t bytes, size_t used, const char *format, ...)
{
    va_list arguments;
    size_t length;

    if (!bytes)
        return 0;
    if (used > bytes - 1)
        used = bytes - 1;
    va_start(arguments, format);
    length = hx_fmt_v(out + used, bytes - used, format, arguments);
    va_end(arguments);
    return length < bytes - used ? used + length : bytes - 1;
}
