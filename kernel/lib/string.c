/* SPDX-License-Identifier: MIT */
/*
 * string.c - the memory and string functions of the freestanding core and of the modules.
 *
 * Why our own: compilers emit calls to memcpy and memset whatever the flags say, and no packaged library may be linked in.
 * Method:   words of 8 bytes at any alignment, then one word that ends with the last byte and overlaps what is done; no
 *           branch a byte. Long runs are left to the processor's own string instructions. Strings go byte by byte, as
 *           reading ahead of a NUL could touch memory that is not ours; strlen() and strnlen() alone, on which every lookup
 *           of a name waits, read aligned words: none reaches into the next page.
 * Invariant: no loop here may become a call to the function that it implements, hence the pragma; clang needs only
 *           -ffreestanding for the same.
 * Depends on nothing: linked into modules too.
 */
#define HX_STRING_IMPLEMENTATION
#include "string.h"

#include <hx_string_asm.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;
typedef uint64_t __attribute__((may_alias)) aligned_word_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) half_t;
typedef uint16_t __attribute__((may_alias, aligned(1))) quarter_t;

enum { WORD = sizeof(word_t), BLOCK = 4 * WORD, LONG_RUN = 512 };

/* Fewer than a word, in either direction: everything is loaded before anything is stored. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes >= sizeof(half_t)) {
        half_t head = *(const half_t *)from;
        half_t tail = *(const half_t *)(from + bytes - sizeof(half_t));

        *(half_t *)to = head;
        *(half_t *)(to + bytes - sizeof(half_t)) = tail;
    } else if (bytes >= sizeof(quarter_t)) {
        quarter_t head = *(const quarter_t *)from;
        uint8_t tail = from[bytes - 1];

        *(quarter_t *)to = head;
        to[bytes - 1] = tail;
    } else if (bytes) {
        *to = *from;
    }
}

static inline void copy_block(uint8_t *to, const uint8_t *from)
{
    const word_t *in = (const word_t *)from;
    word_t *out = (word_t *)to;
    word_t a = in[0], b = in[1], c = in[2], d = in[3];

    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

static inline void copy_word(uint8_t *to, const uint8_t *from)
{
    *(word_t *)to = *(const word_t *)from;
}

/* Correct for overlapping memory when @to is below @from: the last word is loaded before the first is stored. */
static inline void copy_up(uint8_t *to, const uint8_t *from, size_t bytes)
{
    word_t tail = *(const word_t *)(from + bytes - WORD);
    uint8_t *last = to + bytes - WORD;

    for (; bytes > BLOCK; bytes -= BLOCK, to += BLOCK, from += BLOCK)
        copy_block(to, from);
    for (; bytes > WORD; bytes -= WORD, to += WORD, from += WORD)
        copy_word(to, from);
    *(word_t *)last = tail;
}

static inline void copy_down(uint8_t *to, const uint8_t *from, size_t bytes)
{
    word_t head = *(const word_t *)from;

    for (; bytes > BLOCK; bytes -= BLOCK)
        copy_block(to + bytes - BLOCK, from + bytes - BLOCK);
    for (; bytes > WORD; bytes -= WORD)
        copy_word(to + bytes - WORD, from + bytes - WORD);
    *(word_t *)to = head;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    uint8_t *out = to;
    const uint8_t *in = from;

    if (bytes < WORD) {
        copy_short(out, in, bytes);
        return to;
    }
    if (bytes >= LONG_RUN) {
        hx_copy_words(out, in, bytes / WORD);
        copy_word(out + bytes - WORD, in + bytes - WORD);
        return to;
    }
    for (; bytes > BLOCK; bytes -= BLOCK, out += BLOCK, in += BLOCK)
        copy_block(out, in);
    if (bytes > 2 * WORD) {
        copy_word(out, in);
        copy_word(out + WORD, in + WORD);
        copy_word(out + bytes - 2 * WORD, in + bytes - 2 * WORD);
    } else if (bytes > WORD) {
        copy_word(out, in);
    }
    copy_word(out + bytes - WORD, in + bytes - WORD);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if (bytes < WORD)
        copy_short(to, from, bytes);
    else if ((uintptr_t)to - (uintptr_t)from >= bytes)
        copy_up(to, from, bytes);
    else
        copy_down(to, from, bytes);
    return to;
}

void *memset(void *to, int byte, size_t bytes)
{
    uint8_t *out = to;
    uint8_t *last = out + bytes - WORD;
    word_t fill = (uint8_t)byte * UINT64_C(0x0101010101010101);

    if (bytes < WORD) {
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)byte;
        return to;
    }
    if (bytes >= LONG_RUN) {
        hx_fill_words(out, fill, bytes / WORD);
        *(word_t *)last = fill;
        return to;
    }
    for (; bytes > BLOCK; bytes -= BLOCK, out += BLOCK) {
        ((word_t *)out)[0] = fill;
        ((word_t *)out)[1] = fill;
        ((word_t *)out)[2] = fill;
        ((word_t *)out)[3] = fill;
    }
    for (; bytes > WORD; bytes -= WORD, out += WORD)
        *(word_t *)out = fill;
    *(word_t *)last = fill;
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a;
    const uint8_t *y = b;

    if (bytes >= WORD) {
        const word_t *last_x = (const word_t *)(x + bytes - WORD);
        const word_t *last_y = (const word_t *)(y + bytes - WORD);

        for (; bytes > WORD; bytes -= WORD, x += WORD, y += WORD)
            if (*(const word_t *)x != *(const word_t *)y)
                break;
        if (bytes <= WORD && *last_x == *last_y)
            return 0;
    }
    for (; bytes; bytes--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *from, int byte, size_t bytes)
{
    const uint8_t *at = from;
    const uint8_t *end = at + bytes;

    for (; at != end; at++)
        if (*at == (uint8_t)byte)
            return (void *)(uintptr_t)at;
    return NULL;
}

/* The top bit of each byte that is zero, exact up to the first of them. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

__attribute__((no_sanitize("address"))) size_t strlen(const char *text)
{
    const aligned_word_t *at = (const aligned_word_t *)((uintptr_t)text & ~(uintptr_t)(WORD - 1));
    uint64_t before = ((uint64_t)1 << (uintptr_t)text % WORD * 8) - 1; /* what of the first word is not text */
    uint64_t zeros = zero_bytes(*at | before);

    while (!zeros)
        zeros = zero_bytes(*++at);
    return (uintptr_t)at + (unsigned int)__builtin_ctzll(zeros) / 8 - (uintptr_t)text;
}

__attribute__((no_sanitize("address"))) size_t strnlen(const char *text, size_t max)
{
    const aligned_word_t *at = (const aligned_word_t *)((uintptr_t)text & ~(uintptr_t)(WORD - 1));
    uint64_t before = ((uint64_t)1 << (uintptr_t)text % WORD * 8) - 1;
    uint64_t zeros;
    size_t length;

    if (!max)
        return 0;
    zeros = zero_bytes(*at | before);
    while (!zeros && (uintptr_t)(at + 1) - (uintptr_t)text < max)
        zeros = zero_bytes(*++at);
    length = zeros ? (uintptr_t)at + (unsigned int)__builtin_ctzll(zeros) / 8 - (uintptr_t)text : max;
    return length < max ? length : max;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
    for (; max && *a && *a == *b; max--) {
        a++;
        b++;
    }
    return max ? (uint8_t)*a - (uint8_t)*b : 0;
}
