/* SPDX-License-Identifier: MIT */
/* test_control_frame.c - frames out of bytes: whole ones, damaged ones, and what lies behind them. */
#include <criterion/criterion.h>
#include <lib/control_frame.h>
#include <lib/crc.h>

static struct hx_control_decoder decoder;
static uint8_t line[4 * HX_CONTROL_FRAME_MAX];
static size_t used;

static void add(uint32_t request, const char *text)
{
    used += hx_control_frame_encode(line + used, request, HX_CONTROL_EXEC, text, strlen(text));
}

static void add_bytes(const char *text, size_t bytes)
{
    memcpy(line + used, text, bytes);
    used += bytes;
}

/* The next frame's request; 0: none. Puts @step bytes at a time. */
static uint32_t next_request(size_t *at, size_t step)
{
    struct hx_control_frame frame;
    while (!hx_control_decoder_next(&decoder, &frame)) {
        size_t bytes = step < used - *at ? step : used - *at;
        if (bytes == 0)
            return 0;
        *at += hx_control_decoder_put(&decoder, line + *at, bytes);
    }
    return frame.request;
}

Test(control_frame, a_frame_is_laid_out_as_the_contract_says)
{
    uint8_t frame[HX_CONTROL_FRAME_MAX];
    size_t bytes = hx_control_frame_encode(frame, 0x01020304, HX_CONTROL_EXEC, "lsmod", 5);
    static const uint8_t rest[] = { 4, 3, 2, 1, 2, 0, 5, 0, 'l', 's', 'm', 'o', 'd' };
    uint32_t sum = hx_crc32c(0, rest, sizeof(rest));
    cr_assert_eq(bytes, 21u);
    cr_assert_arr_eq(frame, "HXC1", 4);
    cr_assert_arr_eq(frame + 4, &sum, 4);
    cr_assert_arr_eq(frame + 8, rest, sizeof(rest));
}

Test(control_frame, a_payload_may_lie_where_it_is_to_be)
{
    uint8_t there[64] = "................lsmod", elsewhere[64];
    size_t bytes = hx_control_frame_encode(there, 7, HX_CONTROL_EXEC, there + 16, 5);
    cr_assert_eq(bytes, hx_control_frame_encode(elsewhere, 7, HX_CONTROL_EXEC, "lsmod", 5));
    cr_assert_arr_eq(there, elsewhere, bytes);
}

Test(control_frame, frames_come_out_whole_in_whatever_pieces_they_arrive)
{
    add(1, "ps");
    add(2, "");
    add(3, "lsmod");
    for (size_t step = 1; step <= used; step++) {
        size_t at = 0;
        memset(&decoder, 0, sizeof(decoder));
        for (uint32_t request = 1; request <= 3; request++)
            cr_assert_eq(next_request(&at, step), request);
        cr_assert_eq(next_request(&at, step), 0u);
        cr_assert_eq(decoder.skipped + decoder.damaged + decoder.gaps, 0u);
    }
}

Test(control_frame, the_longest_frame_fits_and_a_longer_one_is_none)
{
    static uint8_t payload[HX_CONTROL_PAYLOAD_MAX];
    size_t at = 0;
    used = hx_control_frame_encode(line, 1, HX_CONTROL_DATA, payload, sizeof(payload));
    cr_assert_eq(next_request(&at, SIZE_MAX), 1u);
    used = at = 0;
    add(2, "x");
    line[14] = 1; /* 4097 bytes */
    line[15] = 0x10;
    add(3, "y");
    cr_assert_eq(next_request(&at, SIZE_MAX), 3u);
    cr_assert_eq(decoder.damaged, 1u);
    cr_assert_eq(decoder.skipped, 17u);
}

Test(control_frame, a_frame_with_any_bit_flipped_does_not_come_but_those_around_it_do)
{
    add(1, "before");
    size_t from = used;
    add(2, "damaged");
    size_t to = used;
    add(3, "behind");
    for (size_t bit = 8 * from; bit < 8 * to; bit++) {
        size_t at = 0;
        memset(&decoder, 0, sizeof(decoder));
        line[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(next_request(&at, 5), 1u);
        uint32_t second = next_request(&at, 5);
        if (second == 0) { /* its length has grown: the line is silent, and what it swallowed is looked through */
            hx_control_decoder_give_up(&decoder);
            second = next_request(&at, 5);
        }
        cr_assert_eq(second, 3u, "bit %zu", bit);
        cr_assert_eq(decoder.skipped, to - from);
        cr_assert_eq(decoder.gaps, 1u);
        line[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(control_frame, a_frame_cut_at_any_byte_costs_only_itself)
{
    uint8_t whole[64];
    size_t bytes = hx_control_frame_encode(whole, 9, HX_CONTROL_EXEC, "HXC1 in it", 10);
    for (size_t cut = 0; cut < bytes; cut++) {
        size_t at = 0;
        memset(&decoder, 0, sizeof(decoder));
        used = 0;
        add_bytes((const char *)whole, cut);
        add(1, "one");
        add(2, "two");
        for (uint32_t request = 1; request <= 2; request++) {
            uint32_t came = next_request(&at, SIZE_MAX);
            if (came == 0) {
                hx_control_decoder_give_up(&decoder);
                came = next_request(&at, SIZE_MAX);
            }
            cr_assert_eq(came, request, "cut at %zu", cut);
        }
        cr_assert_eq(decoder.skipped, cut);
        cr_assert_eq(decoder.damaged, cut >= 4 ? 1u + (cut >= 20) : 0u);
    }
}

Test(control_frame, each_gap_counts_once)
{
    size_t at = 0;
    add_bytes("noise HXC noise", 15);
    add(1, "x");
    add_bytes("HXHXC", 5);
    add(2, "x");
    cr_assert_eq(next_request(&at, 1), 1u);
    cr_assert_eq(decoder.gaps, 1u);
    cr_assert_eq(next_request(&at, 1), 2u);
    cr_assert_eq(decoder.gaps, 2u);
    cr_assert_eq(decoder.skipped, 20u);
    cr_assert_eq(decoder.damaged, 0u);
}

Test(control_frame, what_has_begun_waits_until_it_is_given_up)
{
    struct hx_control_frame frame;
    add(1, "half");
    (void)hx_control_decoder_put(&decoder, line, used - 1);
    cr_assert_not(hx_control_decoder_next(&decoder, &frame));
    cr_assert(hx_control_decoder_waits(&decoder));
    hx_control_decoder_give_up(&decoder);
    cr_assert_not(hx_control_decoder_next(&decoder, &frame));
    cr_assert_not(hx_control_decoder_waits(&decoder));
    cr_assert_eq(decoder.damaged, 1u);
}

Test(control_frame, a_byte_that_comes_after_all_is_not_too_late_before_the_next_look)
{
    struct hx_control_frame frame;
    add(1, "half");
    (void)hx_control_decoder_put(&decoder, line, used - 1);
    hx_control_decoder_give_up(&decoder);
    (void)hx_control_decoder_put(&decoder, line + used - 1, 1);
    cr_assert(hx_control_decoder_next(&decoder, &frame));
}
