/* SPDX-License-Identifier: MIT */
/*
 * control_frame.h - frames of the control channel (helix/control.h): made from bytes, found in bytes.
 *
 * One source for both ends of the line. Nothing is allocated; a frame that was found lies in its decoder until the decoder
 * is used again.
 */
#pragma once
#include <helix/control.h>
#include <lib/slice.h>

enum { HX_CONTROL_FRAME_MAX = sizeof(struct hx_control_header) + HX_CONTROL_PAYLOAD_MAX };

/*
 * Makes a frame at @out and returns its length. @payload: [bytes], bytes <= HX_CONTROL_PAYLOAD_MAX; it may lie where it is to
 * be, at @out + sizeof(struct hx_control_header).
 */
size_t hx_control_frame_encode(uint8_t *out, uint32_t request, uint32_t kind, const void *payload, size_t bytes);

struct hx_control_frame {
    uint32_t request;
    uint32_t kind;
    struct hx_slice payload;
};

struct hx_control_decoder {
    uint64_t damaged;  /* frames that began and were not whole */
    uint64_t skipped;  /* bytes that belong to no frame */
    uint32_t gaps;     /* runs of such bytes */
    uint32_t from, to; /* of bytes: received and not decided yet */
    bool in_gap;       /* its owner may end it after a silence */
    bool is_silent;    /* what is missing does not come any more */
    uint8_t bytes[HX_CONTROL_FRAME_MAX];
};

/* Starts as zeros. Takes what fits of @data, at least a byte once hx_control_decoder_next() has returned false, and returns how
 * much that was. */
size_t hx_control_decoder_put(struct hx_control_decoder *decoder, const void *data, size_t bytes);
/* The next whole frame; false: there is none before more bytes come. Frames with an unknown kind are frames. */
bool hx_control_decoder_next(struct hx_control_decoder *decoder, struct hx_control_frame *out);
/* Whether a frame has begun that is not whole. */
static inline bool hx_control_decoder_waits(const struct hx_control_decoder *decoder)
{
    return decoder->from != decoder->to;
}
/* The line has been silent for too long: what has begun is given up. Whole frames that lie in it come by
 * hx_control_decoder_next(). */
void hx_control_decoder_give_up(struct hx_control_decoder *decoder);
