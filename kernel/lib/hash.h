/* SPDX-License-Identifier: MIT */
/*
 * hash.h - XXH64 (image identity, schema identity), and a hash for tables keyed by names.
 *
 * Why two: finding an import is a good part of what it costs to load it; for names, which are short, a few multiplications
 * take a third of what XXH64 takes, and in place half of that.
 * Source: xxHash specification 0.1.1, "XXH64"; the other is our own and may change with any build.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t hx_hash_xxh64(const void *data, size_t bytes, uint64_t seed);

/* ---- names ---------------------------------------------------------------------------------------------------------- */
typedef uint64_t __attribute__((may_alias, aligned(1))) hx_name_word_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) hx_name_half_t;
enum { HX_NAME_WORD = sizeof(hx_name_word_t), HX_NAME_HALF = sizeof(hx_name_half_t) };

/* The upper half of the product depends on every bit that goes in, the low bits of it too, which tables use. */
static inline uint64_t hx_hash_mix_(uint64_t hash, uint64_t word)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio */
    unsigned __int128 product = (unsigned __int128)(hash ^ word) * odd;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Fewer bytes than a word, as a number; the length is mixed in apart. */
static inline uint64_t hx_name_short_(const char *text, size_t bytes)
{
    uint64_t word = 0;

    if (bytes >= HX_NAME_HALF)
        return *(const hx_name_half_t *)text | (uint64_t) * (const hx_name_half_t *)(text + bytes - HX_NAME_HALF) << 32;
    for (size_t i = 0; i < bytes; i++)
        word = word << 8 | (uint8_t)text[i];
    return word;
}

/* Multiplies once per 8 bytes. Any bit is as good as another. Whoever knows it can make names that fall together. */
static inline uint64_t hx_hash_name(const char *text, size_t bytes)
{
    const char *last = text + bytes - HX_NAME_WORD; /* ends with the last byte and overlaps what is done */
    uint64_t hash = bytes;

    if (bytes < HX_NAME_WORD)
        return hx_hash_mix_(hash, hx_name_short_(text, bytes));
    for (; text < last; text += HX_NAME_WORD)
        hash = hx_hash_mix_(hash, *(const hx_name_word_t *)text);
    return hx_hash_mix_(hash, *(const hx_name_word_t *)last);
}

/* Whether two names of one length are the same. */
static inline bool hx_name_equal(const char *a, const char *b, size_t bytes)
{
    if (bytes < HX_NAME_WORD)
        return hx_name_short_(a, bytes) == hx_name_short_(b, bytes);
    for (size_t i = 0; i < bytes - HX_NAME_WORD; i += HX_NAME_WORD)
        if (*(const hx_name_word_t *)(a + i) != *(const hx_name_word_t *)(b + i))
            return false;
    return *(const hx_name_word_t *)(a + bytes - HX_NAME_WORD) == *(const hx_name_word_t *)(b + bytes - HX_NAME_WORD);
}
