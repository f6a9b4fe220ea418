/* SPDX-License-Identifier: MIT */
/* test_slice.c - no read leaves a slice, whatever offset and length are asked for. */
#include <criterion/criterion.h>
#include <lib/slice.h>

static const uint8_t bytes[] = { 'a', 'b', '\0', 'c', 'd' };
static const struct hx_slice slice = { bytes, sizeof(bytes) };

Test(slice, has_is_right_at_every_edge)
{
    cr_assert(hx_slice_has(slice, 0, 5));
    cr_assert(hx_slice_has(slice, 5, 0));
    cr_assert(hx_slice_has(slice, 4, 1));
    cr_assert(!hx_slice_has(slice, 4, 2));
    cr_assert(!hx_slice_has(slice, 5, 1));
    cr_assert(!hx_slice_has(slice, 6, 0));
    cr_assert(!hx_slice_has(slice, UINT64_MAX, 1));
    cr_assert(!hx_slice_has(slice, 1, UINT64_MAX));
    cr_assert(!hx_slice_has(slice, UINT64_MAX, UINT64_MAX));
}

Test(slice, sub_borrows_what_lies_inside)
{
    struct hx_slice sub = { NULL, 0 };

    cr_assert_eq(hx_slice_sub(slice, 1, 3, &sub), HX_OK);
    cr_assert_eq(sub.data, bytes + 1);
    cr_assert_eq(sub.bytes, 3u);
}

Test(slice, a_refused_read_leaves_the_output_alone)
{
    struct hx_slice sub = slice;
    uint32_t word = 77;

    cr_assert_eq(hx_slice_sub(slice, 3, 3, &sub), HX_E_TRUNCATED);
    cr_assert_eq(sub.bytes, slice.bytes);
    cr_assert_eq(hx_slice_read(slice, 2, &word, sizeof(word)), HX_E_TRUNCATED);
    cr_assert_eq(word, 77u);
}

Test(slice, read_copies_unaligned_words)
{
    uint32_t word = 0;

    cr_assert_eq(hx_slice_read(slice, 1, &word, sizeof(word)), HX_OK);
    cr_assert_arr_eq((uint8_t *)&word, bytes + 1, sizeof(word));
}

Test(slice, a_string_must_end_inside)
{
    cr_assert_str_eq(hx_slice_string(slice, 0), "ab");
    cr_assert_str_eq(hx_slice_string(slice, 2), "");
    cr_assert_null(hx_slice_string(slice, 3));
    cr_assert_null(hx_slice_string(slice, 5));
    cr_assert_null(hx_slice_string(slice, UINT64_MAX));
}

Test(slice, equality_is_of_length_and_bytes)
{
    struct hx_slice ab = { bytes, 2 };

    cr_assert(hx_slice_equal(ab, "ab"));
    cr_assert(!hx_slice_equal(ab, "abc"));
    cr_assert(!hx_slice_equal(ab, "a"));
    cr_assert(!hx_slice_equal(ab, "ax"));
    cr_assert(hx_slice_equal((struct hx_slice){ bytes, 0 }, ""));
}
