/* SPDX-License-Identifier: MIT */
/*
 * state.h - for `save` and `load`: fields of any length, cut into spans.
 *
 * One call of hx_state_put() or hx_state_get() moves at most HX_SPAN_MAX bytes. The functions here are made of those two
 * calls and are compiled into the module that uses them:
 *   - an array that lies in memory as it is saved: hx_state_put_array(), hx_state_get_array();
 *   - many small pieces put together: a struct hx_state_stream, which belongs in static memory (it holds a whole span).
 * A field is named by HX_TEXT("name").
 */
#pragma once
#include <helix/kernel.h>

/* HX_OK, or what hx_state_put() refused with. An empty array makes an empty field. */
HX_NODISCARD static inline hx_ret_t hx_state_put_array(const void *name, uint64_t name_bytes, const void *data,
                                                       uint64_t bytes)
{
    const uint8_t *from = (const uint8_t *)data;
    uint64_t done = 0;
    do {
        uint64_t part = bytes - done < (uint64_t)HX_SPAN_MAX ? bytes - done : (uint64_t)HX_SPAN_MAX;
        hx_ret_t err = hx_state_put(name, name_bytes, from + done, part);
        if (err < 0)
            return err;
        done += part;
    } while (done < bytes);
    return HX_OK;
}

/*
 * Copies field @name to @out: [max_bytes]. Returns its length, a multiple of @unit_bytes; 0 when there is no such field.
 * HX_E_SCHEMA: longer than @max_bytes, not a multiple, or shorter than it says.
 */
HX_NODISCARD static inline hx_ret_t hx_state_get_array(const void *name, uint64_t name_bytes, void *out,
                                                       uint64_t max_bytes, uint64_t unit_bytes)
{
    hx_ret_t size = hx_state_size(name, name_bytes);
    if (size < 0)
        return size == HX_E_NOENT ? 0 : size;
    if ((uint64_t)size > max_bytes || (uint64_t)size % unit_bytes != 0)
        return HX_E_SCHEMA;
    uint8_t *to = (uint8_t *)out;
    uint64_t done = 0;
    while (done < (uint64_t)size) {
        uint64_t left = (uint64_t)size - done;
        uint64_t part = left < (uint64_t)HX_SPAN_MAX ? left : (uint64_t)HX_SPAN_MAX;
        hx_ret_t got = hx_state_get(name, name_bytes, done, to + done, part);
        if (got < 0)
            return got;
        if ((uint64_t)got != part)
            return HX_E_SCHEMA;
        done += part;
    }
    return size;
}

struct hx_state_stream {
    const void *name;
    uint64_t name_bytes;
    uint64_t offset; /* reading: of the field's next byte to fetch */
    uint32_t used;   /* bytes of span written, or already read */
    uint32_t filled; /* reading: bytes of span that are there */
    uint8_t span[HX_SPAN_MAX];
};

/* Begins to write or read field @name. Names are string literals: the pointer is kept. */
static inline void hx_state_stream_begin(struct hx_state_stream *stream, const void *name, uint64_t name_bytes)
{
    stream->name = name;
    stream->name_bytes = name_bytes;
    stream->offset = 0;
    stream->used = 0;
    stream->filled = 0;
}

/* Puts what has been collected; the last call of a writer. Makes an empty field when nothing was written. */
HX_NODISCARD static inline hx_ret_t hx_state_stream_flush(struct hx_state_stream *stream)
{
    hx_ret_t err = hx_state_put(stream->name, stream->name_bytes, stream->span, stream->used);
    stream->used = 0;
    if (err < 0)
        return err;
    return HX_OK;
}

HX_NODISCARD static inline hx_ret_t hx_state_stream_put(struct hx_state_stream *stream, const void *data,
                                                        uint64_t bytes)
{
    const uint8_t *from = (const uint8_t *)data;
    while (bytes > 0) {
        if (stream->used == (uint32_t)HX_SPAN_MAX) {
            hx_ret_t err = hx_state_stream_flush(stream);
            if (err < 0)
                return err;
        }
        uint64_t room = (uint64_t)HX_SPAN_MAX - stream->used;
        uint64_t part = bytes < room ? bytes : room;
        __builtin_memcpy(stream->span + stream->used, from, part);
        stream->used += (uint32_t)part;
        from += part;
        bytes -= part;
    }
    return HX_OK;
}

/* Takes exactly @bytes. HX_E_SCHEMA: the field ends before. */
HX_NODISCARD static inline hx_ret_t hx_state_stream_get(struct hx_state_stream *stream, void *out, uint64_t bytes)
{
    uint8_t *to = (uint8_t *)out;
    while (bytes > 0) {
        if (stream->used == stream->filled) {
            hx_ret_t got = hx_state_get(stream->name, stream->name_bytes, stream->offset, stream->span, HX_SPAN_MAX);
            if (got < 0)
                return got;
            if (got == 0 || got > HX_SPAN_MAX)
                return HX_E_SCHEMA;
            stream->offset += (uint64_t)got;
            stream->filled = (uint32_t)got;
            stream->used = 0;
        }
        uint64_t there = stream->filled - stream->used;
        uint64_t part = bytes < there ? bytes : there;
        __builtin_memcpy(to, stream->span + stream->used, part);
        stream->used += (uint32_t)part;
        to += part;
        bytes -= part;
    }
    return HX_OK;
}
