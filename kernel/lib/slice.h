/* SPDX-License-Identifier: MIT */
/*
 * slice.h - bytes from outside, and the only way to read them: every access is checked against the bounds once, here.
 *
 * A slice borrows; it is passed by value. All readers return HX_E_TRUNCATED and leave the output alone when the slice is
 * too short; no sum of caller-supplied numbers is formed that could wrap.
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>
#include <string.h>

struct hx_slice {
    const uint8_t *data;
    size_t bytes;
};

static inline struct hx_slice hx_slice_of(const void *data, size_t bytes)
{
    return (struct hx_slice){ (const uint8_t *)data, bytes };
}

/* Whether [@offset, @offset + @bytes) lies inside. */
static inline bool hx_slice_has(struct hx_slice s, uint64_t offset, uint64_t bytes)
{
    return offset <= s.bytes && bytes <= s.bytes - offset;
}

HX_NODISCARD static inline hx_status_t hx_slice_sub(struct hx_slice s, uint64_t offset, uint64_t bytes,
                                                    struct hx_slice *out)
{
    if (!hx_slice_has(s, offset, bytes))
        return HX_E_TRUNCATED;
    *out = (struct hx_slice){ s.data + offset, (size_t)bytes };
    return HX_OK;
}

/* Copies, so that the source need not be aligned. */
HX_NODISCARD static inline hx_status_t hx_slice_read(struct hx_slice s, uint64_t offset, void *out, size_t bytes)
{
    if (!hx_slice_has(s, offset, bytes))
        return HX_E_TRUNCATED;
    memcpy(out, s.data + offset, bytes);
    return HX_OK;
}

/* A NUL-terminated string that ends inside; NULL otherwise. Borrowed from the slice. */
static inline const char *hx_slice_string(struct hx_slice s, uint64_t offset)
{
    if (offset >= s.bytes || !memchr(s.data + offset, 0, s.bytes - offset))
        return NULL;
    return (const char *)(s.data + offset);
}

static inline bool hx_slice_equal(struct hx_slice a, const char *text)
{
    return strlen(text) == a.bytes && memcmp(a.data, text, a.bytes) == 0;
}
