/* SPDX-License-Identifier: MIT */
/*
 * invariant.h - what a fuzz target says when a promise of a public header is broken: which one, then abort.
 *
 * Why not assert(): a target is one file built with optimisation, and its checks must not depend on NDEBUG.
 */
#pragma once
#include <lib/slice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : broken(#condition, __FILE__, __LINE__))

static inline void broken(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
    abort();
}

/* Whether @inner lies in @outer, as addresses. */
static inline bool lies_in(struct hx_slice inner, struct hx_slice outer)
{
    uintptr_t first = (uintptr_t)inner.data;
    uintptr_t outer_first = (uintptr_t)outer.data;

    return first >= outer_first && hx_slice_has(outer, first - outer_first, inner.bytes);
}

/* @text, [bytes], is one line for a person: it ends inside, is not empty and prints. */
static inline bool is_line(const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length > 0 && length < bytes;
}

/* A copy of exact length, so that the address sanitizer sees the first byte that is read past it. To be freed. */
static inline uint8_t *copy_of(const void *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes);

    must(copy || bytes == 0);
    if (bytes)
        memcpy(copy, data, bytes);
    return copy;
}
