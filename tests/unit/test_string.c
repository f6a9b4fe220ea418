/* SPDX-License-Identifier: MIT */
/*
 * test_string.c - the freestanding string functions against the system's, at every small length, offset and overlap.
 *
 * The functions are compiled into this test under other names, so that both sets exist side by side.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define memchr own_memchr
#define strlen own_strlen
#define strnlen own_strnlen
#define strcmp own_strcmp
#define strncmp own_strncmp
#include <lib/string.c>
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp

enum { LENGTHS = 140, ROOM = 512 };

static void fill(uint8_t *bytes, size_t count, unsigned int seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 31 + seed);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

Test(string, memcpy_copies_every_length_at_every_alignment_and_nothing_else)
{
    uint8_t from[ROOM], own[ROOM], expected[ROOM];

    for (size_t length = 0; length < LENGTHS; length++)
        for (size_t to = 0; to < 9; to++)
            for (size_t at = 0; at < 9; at++) {
                fill(from, ROOM, 7);
                fill(own, ROOM, 99);
                fill(expected, ROOM, 99);
                memcpy(expected + to, from + at, length);
                cr_assert_eq(own_memcpy(own + to, from + at, length), (void *)(own + to));
                cr_assert_arr_eq(own, expected, ROOM, "%zu bytes from %zu to %zu", length, at, to);
            }
}

Test(string, memmove_is_right_for_every_overlap)
{
    uint8_t own[ROOM], expected[ROOM];

    for (size_t length = 0; length < LENGTHS; length++)
        for (size_t to = 0; to < 80; to++) {
            fill(own, ROOM, 3);
            fill(expected, ROOM, 3);
            memmove(expected + to, expected + 40, length);
            cr_assert_eq(own_memmove(own + to, own + 40, length), (void *)(own + to));
            cr_assert_arr_eq(own, expected, ROOM, "%zu bytes to %zu", length, to);
        }
}

Test(string, memset_sets_every_length_and_nothing_else)
{
    uint8_t own[ROOM], expected[ROOM];

    for (size_t length = 0; length < LENGTHS; length++)
        for (size_t at = 0; at < 9; at++) {
            fill(own, ROOM, 5);
            fill(expected, ROOM, 5);
            memset(expected + at, 0x1a5, length);
            cr_assert_eq(own_memset(own + at, 0x1a5, length), (void *)(own + at));
            cr_assert_arr_eq(own, expected, ROOM);
        }
}

Test(string, memory_functions_stay_inside_of_exact_allocations)
{
    for (size_t length = 1; length < LENGTHS; length++) {
        uint8_t *a = malloc(length);
        uint8_t *b = malloc(length);

        own_memset(a, 1, length);
        own_memcpy(b, a, length);
        own_memmove(a, b, length);
        cr_assert_eq(own_memcmp(a, b, length), 0);
        cr_assert_null(own_memchr(a, 2, length));
        free(a);
        free(b);
    }
}

Test(string, memcmp_orders_by_the_first_difference_as_unsigned_bytes)
{
    uint8_t a[64], b[64];

    for (size_t length = 1; length < 64; length++)
        for (size_t at = 0; at < length; at++) {
            fill(a, 64, 0);
            fill(b, 64, 0);
            a[at] = 0x80;
            b[at] = 0x7f;
            b[63] = 0xff;
            cr_assert_eq(sign(own_memcmp(a, b, length)), 1);
            cr_assert_eq(sign(own_memcmp(b, a, length)), -1);
            cr_assert_eq(own_memcmp(a, b, at), 0);
        }
}

Test(string, memchr_finds_the_first_and_only_inside)
{
    const char text[] = "abcabc";

    cr_assert_eq(own_memchr(text, 'c', 6), (void *)(uintptr_t)(text + 2));
    cr_assert_eq(own_memchr(text, 'c', 3), (void *)(uintptr_t)(text + 2));
    cr_assert_null(own_memchr(text, 'c', 2));
    cr_assert_null(own_memchr(text, 'a', 0));
    cr_assert_eq(own_memchr(text, 0x100 | 'b', 6), (void *)(uintptr_t)(text + 1));
}

Test(string, lengths_stop_at_the_nul_or_the_limit)
{
    cr_assert_eq(own_strlen(""), 0u);
    cr_assert_eq(own_strlen("abc"), 3u);
    cr_assert_eq(own_strnlen("abc", 2), 2u);
    cr_assert_eq(own_strnlen("abc", 9), 3u);
    cr_assert_eq(own_strnlen("abc", 0), 0u);
}

Test(string, a_length_is_found_at_any_alignment_whatever_stands_around)
{
    static const uint8_t around[] = { 0, 1, 0x7f, 0x80, 0xff }; /* before the text, in it and after its NUL */
    char room[64];

    for (size_t i = 0; i < sizeof(around); i++)
        for (size_t shift = 8; shift < 16; shift++)
            for (size_t bytes = 0; bytes < 34; bytes++) {
                memset(room, around[i], sizeof(room));
                memset(room + shift, around[i] ? around[i] : 'a', bytes);
                room[shift + bytes] = 0;
                cr_assert_eq(own_strlen(room + shift), bytes, "%zu bytes at %zu", bytes, shift);
            }
}

Test(string, a_length_is_found_in_the_last_bytes_of_a_page)
{
    long page = sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(pages, MAP_FAILED);
    cr_assert_eq(mprotect(pages + page, (size_t)page, PROT_NONE), 0);
    memset(pages, 'a', (size_t)page - 1);
    for (long bytes = 0; bytes < 20; bytes++)
        cr_assert_eq(own_strlen(pages + page - 1 - bytes), (size_t)bytes);
}

Test(string, comparisons_order_as_the_systems_do)
{
    static const char *const texts[] = { "", "a", "ab", "abc", "abd", "b", "\x80", "\xff" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            cr_assert_eq(sign(own_strcmp(texts[i], texts[j])), sign(strcmp(texts[i], texts[j])));
            for (size_t max = 0; max < 5; max++)
                cr_assert_eq(sign(own_strncmp(texts[i], texts[j], max)), sign(strncmp(texts[i], texts[j], max)));
        }
}
