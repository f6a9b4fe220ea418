/* SPDX-License-Identifier: MIT */
/* test_fmt.c - text from values is what the system's snprintf makes of them, and never leaves its buffer. */
#include <criterion/criterion.h>
#include <lib/fmt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Both print; text and length must agree. */
#define SAME(...)                                                                                                      \
    do {                                                                                                               \
        char own[128], expected[128];                                                                                  \
        int length = snprintf(expected, sizeof(expected), __VA_ARGS__);                                                \
                                                                                                                       \
        cr_assert_eq(hx_fmt(own, sizeof(own), __VA_ARGS__), (size_t)length);                                           \
        cr_assert_str_eq(own, expected);                                                                               \
    } while (0)

Test(fmt, plain_text_and_percent)
{
    SAME("%s", "");
    SAME("plain");
    SAME("100%%");
    SAME("a%%b%%c");
}

Test(fmt, integers_of_every_length)
{
    SAME("%d %i %u", INT_MIN, INT_MAX, UINT_MAX);
    SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
    SAME("%lld %llu", LLONG_MIN, ULLONG_MAX);
    SAME("%hd %hu %hx", (short)-5, (unsigned short)65535, (unsigned short)0xabcd);
    SAME("%hhd %hhu %hhx", (signed char)-5, (unsigned char)255, (unsigned char)0xab);
    SAME("%zu %zd %jd %td", SIZE_MAX, (ssize_t)-1, INTMAX_MIN, (ptrdiff_t)-7);
    SAME("%d %x %X %u", 0, 0, 0xdeadbeef, 0);
}

Test(fmt, narrow_lengths_cut_what_does_not_fit)
{
    const char *volatile format = "%hhu %hd"; /* not a literal: the compiler would object to the values */
    char own[32];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    hx_fmt(own, sizeof(own), format, 0x1ff, 0x18000);
#pragma GCC diagnostic pop
    cr_assert_str_eq(own, "255 -32768");
}

Test(fmt, widths_flags_and_precisions_of_integers)
{
    SAME("[%5d][%-5d][%05d][%+d][% d]", 42, 42, 42, 42, 42);
    SAME("[%5d][%-5d][%05d][%+d][% d]", -42, -42, -42, -42, -42);
    SAME("[%.3d][%8.3d][%-8.3d][%.0d]", 7, 7, 7, 0);
    SAME("[%#x][%#X][%#x][%#010x][%-#10x][%08x]", 255, 255, 0, 255, 255, 255);
    SAME("[%*d][%-*d][%*d]", 6, 1, 6, 2, -6, 3);
    SAME("[%.*d][%.*d]", 4, 5, -1, 5);
    SAME("[%016lx][%20lu][%-20lu]", 0x1234abcdUL, ULONG_MAX, 1UL);
}

Test(fmt, strings_and_characters)
{
    SAME("[%s][%10s][%-10s][%.2s][%6.2s][%.0s]", "abc", "abc", "abc", "abc", "abc", "abc");
    SAME("[%.*s][%*s]", 2, "abc", 5, "abc");
    SAME("[%c][%4c][%-4c]", 'x', 'y', 'z');
    SAME("[%p]", (void *)0x1234);
}

Test(fmt, a_string_with_precision_needs_no_nul)
{
    const char text[3] = { 'a', 'b', 'c' };

    SAME("[%.3s]", text);
}

Test(fmt, a_null_string_has_a_name)
{
    const char *volatile none = NULL;
    char own[16];

    hx_fmt(own, sizeof(own), "%s", none);
    cr_assert_str_eq(own, "(null)");
}

Test(fmt, an_unknown_conversion_stands_as_it_is)
{
    const char *volatile format = "a%qb %";
    char own[16];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    cr_assert_eq(hx_fmt(own, sizeof(own), format), 6u);
#pragma GCC diagnostic pop
    cr_assert_str_eq(own, "a%qb %");
}

Test(fmt, text_that_does_not_fit_is_cut_and_its_length_returned)
{
    for (size_t room = 0; room < 16; room++) {
        volatile size_t bytes = room; /* the compiler would foresee the cut and object */
        char own[17], expected[17];

        memset(own, '!', sizeof(own));
        memset(expected, '!', sizeof(expected));
        cr_assert_eq(hx_fmt(own, bytes, "%s-%04d", "abcde", 77),
                     (size_t)snprintf(expected, bytes, "%s-%04d", "abcde", 77));
        cr_assert_arr_eq(own, expected, sizeof(own), "room %zu", room);
    }
}

Test(fmt, a_wild_width_is_cut)
{
    volatile int widest = INT_MAX, leftmost = INT_MIN;
    char own[8];

    cr_assert_leq(hx_fmt(own, sizeof(own), "%*d", widest, 1), (size_t)1 << 21);
    cr_assert_str_eq(own, "       ");
    cr_assert_leq(hx_fmt(own, sizeof(own), "%*d", leftmost, 1), (size_t)1 << 21);
    cr_assert_str_eq(own, "1      ");
}

Test(fmt, appending_stops_at_the_end)
{
    char own[8];
    size_t used = hx_fmt_append(own, sizeof(own), 0, "%s", "abc");

    cr_assert_eq(used, 3u);
    used = hx_fmt_append(own, sizeof(own), used, "%d", 12);
    cr_assert_eq(used, 5u);
    used = hx_fmt_append(own, sizeof(own), used, "%s", "wxyz");
    cr_assert_eq(used, 7u);
    cr_assert_str_eq(own, "abc12wx");
    cr_assert_eq(hx_fmt_append(own, sizeof(own), used, "more"), 7u);
    cr_assert_eq(hx_fmt_append(own, sizeof(own), 100, "more"), 7u);
    cr_assert_str_eq(own, "abc12wx");
    cr_assert_eq(hx_fmt_append(own, 0, 0, "more"), 0u);
}
