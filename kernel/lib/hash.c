/* SPDX-License-Identifier: MIT */
/*
 * hash.c - XXH64 by the xxHash headers; for names, which are short, a few multiplications by hand.
 *
 * Why the package's header: inlined whole it needs no library, and with the vector code off it holds no SSE.
 * Why not XXH64 for names: finding an import is a good part of what it costs to load it; this takes a third.
 */
#define XXH_INLINE_ALL
#define XXH_VECTOR 0              /* XXH_SCALAR: the vector variants need SSE */
#define XXH_FORCE_MEMORY_ACCESS 1 /* packed loads: a freestanding memcpy of a word would be a call */
#include "hash.h"

#include <xxhash.h>

uint64_t hx_hash_xxh64(const void *data, size_t bytes, uint64_t seed)
{
    return XXH64(data, bytes, seed);
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) half_t;

enum { WORD = sizeof(word_t), HALF = sizeof(half_t) };

/* The upper half of the product depends on every bit that goes in, the low bits of it too, which tables use. */
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio */
    unsigned __int128 product = (unsigned __int128)(hash ^ word) * odd;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Fewer bytes than a word, as a number; the length is mixed in apart. */
static inline uint64_t short_word(const char *text, size_t bytes)
{
    uint64_t word = 0;

    if (bytes >= HALF)
        return *(const half_t *)text | (uint64_t) * (const half_t *)(text + bytes - HALF) << 32;
    for (size_t i = 0; i < bytes; i++)
        word = word << 8 | (uint8_t)text[i];
    return word;
}

uint64_t hx_hash_name(const char *text, size_t bytes)
{
    const char *last = text + bytes - WORD; /* ends with the last byte and overlaps what is done */
    uint64_t hash = bytes;

    if (bytes < WORD)
        return mix(hash, short_word(text, bytes));
    for (; text < last; text += WORD)
        hash = mix(hash, *(const word_t *)text);
    return mix(hash, *(const word_t *)last);
}
