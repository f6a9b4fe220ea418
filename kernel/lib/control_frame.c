/* SPDX-License-Identifier: MIT */
/*
 * control_frame.c - see control_frame.h.
 *
 * Why the buffer is one frame long: an undecided frame never fills it, so there is always room for the byte that decides;
 * and what a false beginning has swallowed lies here still and is looked through again, a byte behind.
 * Context: any; a decoder has one owner.
 */
#include "control_frame.h"

#include "crc.h"

enum { HEADER_BYTES = sizeof(struct hx_control_header), SUM_OFF = offsetof(struct hx_control_header, request) };
_Static_assert(HEADER_BYTES == 16 && SUM_OFF == 8, "as it goes over the line");

static uint32_t sum_of(const uint8_t *frame, size_t bytes)
{
    return hx_crc32c(0, frame + SUM_OFF, bytes - SUM_OFF);
}

size_t hx_control_frame_encode(uint8_t *out, uint32_t request, uint32_t kind, const void *payload, size_t bytes)
{
    struct hx_control_header header = {
        .magic = HX_CONTROL_MAGIC, .request = request, .kind = (uint16_t)kind, .bytes = (uint16_t)bytes
    };
    if (bytes > 0)
        memmove(out + HEADER_BYTES, payload, bytes);
    memcpy(out, &header, HEADER_BYTES);
    header.crc = sum_of(out, HEADER_BYTES + bytes);
    memcpy(out, &header, HEADER_BYTES);
    return HEADER_BYTES + bytes;
}

size_t hx_control_decoder_put(struct hx_control_decoder *decoder, const void *data, size_t bytes)
{
    uint32_t left = decoder->to - decoder->from;
    if (bytes > sizeof(decoder->bytes) - left)
        bytes = sizeof(decoder->bytes) - left;
    if (bytes == 0)
        return 0;
    if (bytes > sizeof(decoder->bytes) - decoder->to) {
        memmove(decoder->bytes, decoder->bytes + decoder->from, left);
        decoder->from = 0;
        decoder->to = left;
    }
    memcpy(decoder->bytes + decoder->to, data, bytes);
    decoder->to += (uint32_t)bytes;
    decoder->is_silent = false;
    return bytes;
}

/* Whether what is there can be the beginning of a frame. */
static bool begins(const uint8_t *at, size_t bytes)
{
    static const uint32_t magic = HX_CONTROL_MAGIC;
    return memcmp(at, &magic, bytes < sizeof(magic) ? bytes : sizeof(magic)) == 0;
}

/* What lies at `from` is no frame: on to the next that may be one. */
static void skip(struct hx_control_decoder *decoder)
{
    decoder->gaps += !decoder->in_gap;
    decoder->in_gap = true;
    do {
        decoder->from++;
        decoder->skipped++;
    } while (decoder->from != decoder->to && !begins(decoder->bytes + decoder->from, decoder->to - decoder->from));
}

/* The frame at @at, which begins. Its length; 0: more bytes decide; HX_E_CORRUPT: it is none. */
static hx_ret_t decide(const uint8_t *at, size_t bytes, struct hx_control_frame *out)
{
    struct hx_control_header header;
    if (bytes < HEADER_BYTES)
        return 0;
    memcpy(&header, at, HEADER_BYTES);
    if (header.bytes > HX_CONTROL_PAYLOAD_MAX)
        return HX_E_CORRUPT;
    if (bytes < HEADER_BYTES + (size_t)header.bytes)
        return 0;
    if (header.crc != sum_of(at, HEADER_BYTES + (size_t)header.bytes))
        return HX_E_CORRUPT;
    *out = (struct hx_control_frame){ header.request, header.kind, hx_slice_of(at + HEADER_BYTES, header.bytes) };
    return HEADER_BYTES + header.bytes;
}

bool hx_control_decoder_next(struct hx_control_decoder *decoder, struct hx_control_frame *out)
{
    while (decoder->from != decoder->to) {
        const uint8_t *at = decoder->bytes + decoder->from;
        size_t bytes = decoder->to - decoder->from;
        if (!begins(at, bytes)) {
            skip(decoder);
            continue;
        }
        hx_ret_t length = decide(at, bytes, out);
        if (length > 0) {
            decoder->from += (uint32_t)length;
            decoder->in_gap = false;
            return true;
        }
        if (length == 0 && !decoder->is_silent)
            return false;
        decoder->damaged += bytes >= sizeof(uint32_t);
        skip(decoder);
    }
    return false;
}

void hx_control_decoder_give_up(struct hx_control_decoder *decoder)
{
    decoder->is_silent = true;
}
