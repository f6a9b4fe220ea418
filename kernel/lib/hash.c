/* SPDX-License-Identifier: MIT */
/*
 * hash.c - XXH64 by the xxHash headers.
 *
 * Why the package's header: inlined whole it needs no library, and with the vector code off it holds no SSE.
 */
#define XXH_INLINE_ALL
#define XXH_VECTOR 0              /* XXH_SCALAR: the vector variants need SSE */
#define XXH_FORCE_MEMORY_ACCESS 1 /* packed loads: a freestanding memcpy of a word would be a call */
#include "hash.h"

#ifndef __OPTIMIZE__ /* gcc keeps what nobody calls, and some of that allocates */
#define malloc hx_hash_malloc
#define free hx_hash_free
#endif
#include <xxhash.h>

#ifndef __OPTIMIZE__
void *hx_hash_malloc(size_t bytes)
{
    (void)bytes;
    return NULL;
}

void hx_hash_free(void *memory)
{
    (void)memory;
}
#endif

uint64_t hx_hash_xxh64(const void *data, size_t bytes, uint64_t seed)
{
    return XXH64(data, bytes, seed);
}
