/* SPDX-License-Identifier: MIT */
/*
 * fuzz_control.c - any bytes whatever come over the line in any pieces; and frames with any bytes between them all come out,
 * in order, and nothing else: every byte that is in none of them is counted as skipped.
 */
#include "invariant.h"

#include <lib/control_frame.h>
#include <lib/crc.h>

enum { HEADER_BYTES = sizeof(struct hx_control_header), LINE_BYTES = 64 * 1024 };

static struct hx_control_decoder decoder;
static uint8_t line[LINE_BYTES];

struct source {
    struct hx_slice left;
};

static uint32_t draw(struct source *source)
{
    if (source->left.bytes == 0)
        return 0;
    source->left.bytes--;
    return *source->left.data++;
}

static struct hx_slice draw_bytes(struct source *source, size_t bytes)
{
    if (bytes > source->left.bytes)
        bytes = source->left.bytes;
    struct hx_slice drawn = { source->left.data, bytes };
    source->left.data += bytes;
    source->left.bytes -= bytes;
    return drawn;
}

/* Frames, garbage and cut frames as the source says. Returns the length of the line. */
static size_t lay_line(struct source *source)
{
    size_t used = 0;
    while (source->left.bytes > 0 && LINE_BYTES - used >= HX_CONTROL_FRAME_MAX) {
        uint32_t what = draw(source), bytes = draw(source) * (what & 1 ? 17u : 1u);
        uint32_t request = draw(source), kind = draw(source);
        struct hx_slice content = draw_bytes(source, bytes < HX_CONTROL_PAYLOAD_MAX ? bytes : HX_CONTROL_PAYLOAD_MAX);
        if (what < 0x60) {
            memcpy(line + used, content.data, content.bytes);
            used += content.bytes;
            continue;
        }
        size_t whole = hx_control_frame_encode(line + used, request, kind, content.data, content.bytes);
        used += what < 0x90 ? whole * (what & 15) / 16 : whole;
    }
    return used;
}

/* The whole frame at @at; 0: there is none. What the contract says, with all bytes at hand. */
static size_t frame_at(struct hx_slice all, size_t at, struct hx_control_header *out)
{
    struct hx_slice whole;
    if (hx_slice_read(all, at, out, HEADER_BYTES) != HX_OK || out->magic != HX_CONTROL_MAGIC ||
        out->bytes > HX_CONTROL_PAYLOAD_MAX || hx_slice_sub(all, at, HEADER_BYTES + out->bytes, &whole) != HX_OK)
        return 0;
    return hx_crc32c_by_table(0, whole.data + 8, whole.bytes - 8) == out->crc ? whole.bytes : 0;
}

/* The decoder's frames from here on are those that lie in @all from *@at on. */
static void compare_frames(struct hx_slice all, size_t *at, uint64_t *skipped)
{
    struct hx_control_frame frame;
    struct hx_control_header header;
    while (hx_control_decoder_next(&decoder, &frame)) {
        size_t whole;
        for (; (whole = frame_at(all, *at, &header)) == 0; ++*at, ++*skipped)
            must(*at < all.bytes);
        must(frame.request == header.request && frame.kind == header.kind && frame.payload.bytes == header.bytes);
        must(lies_in(frame.payload, hx_slice_of(decoder.bytes, sizeof(decoder.bytes))));
        must(memcmp(frame.payload.data, all.data + *at + HEADER_BYTES, header.bytes) == 0);
        *at += whole;
    }
}

static void all_frames_come(struct source source)
{
    size_t step = 1 + draw(&source) * 8, bytes = lay_line(&source), at = 0;
    struct hx_slice all = hx_slice_of(line, bytes);
    struct hx_control_header header;
    uint64_t skipped = 0;
    memset(&decoder, 0, sizeof(decoder));
    for (size_t put = 0; put < bytes;) {
        size_t taken = hx_control_decoder_put(&decoder, line + put, step < bytes - put ? step : bytes - put);
        must(taken > 0);
        put += taken;
        compare_frames(all, &at, &skipped);
    }
    hx_control_decoder_give_up(&decoder);
    compare_frames(all, &at, &skipped);
    for (; at < bytes; at++, skipped++)
        must(frame_at(all, at, &header) == 0);
    must(!hx_control_decoder_waits(&decoder));
    must(decoder.skipped == skipped && (decoder.gaps > 0) == (skipped > 0));
}

static void any_bytes_are_survived(struct hx_slice bytes)
{
    struct hx_control_frame frame;
    uint64_t whole = 0;
    memset(&decoder, 0, sizeof(decoder));
    for (size_t at = 0; at < bytes.bytes;) {
        size_t taken = hx_control_decoder_put(&decoder, bytes.data + at, bytes.bytes - at);
        must(taken > 0);
        at += taken;
        while (hx_control_decoder_next(&decoder, &frame)) {
            must(lies_in(frame.payload, hx_slice_of(decoder.bytes, sizeof(decoder.bytes))));
            whole += sizeof(struct hx_control_header) + frame.payload.bytes;
        }
        must(whole + decoder.skipped + (decoder.to - decoder.from) == at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    any_bytes_are_survived(hx_slice_of(data, size));
    all_frames_come((struct source){ hx_slice_of(data, size) });
    return 0;
}
