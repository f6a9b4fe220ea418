/* SPDX-License-Identifier: MIT */
/* test_state.c - the state blob, whole and damaged. */
#include <criterion/criterion.h>
#include <hotreload/state.h>
#include <string.h>

#include "../host/hal_host.h"

enum { CAPACITY = 4096 };

static struct hx_blob sealed(void)
{
    struct hx_blob blob;
    hal_host_init();
    cr_assert_eq(hx_blob_init(&blob, CAPACITY), HX_OK);
    cr_assert_eq(hx_blob_put(&blob, "first", "abc", 3), HX_OK);
    cr_assert_eq(hx_blob_put(&blob, "first", "defgh", 5), HX_OK);
    cr_assert_eq(hx_blob_put(&blob, "second", "0123456789", 10), HX_OK);
    cr_assert_eq(hx_blob_put(&blob, "empty", "", 0), HX_OK);
    hx_blob_seal(&blob, 7, 42);
    return blob;
}

Test(blob, fields_come_back_as_they_were_put)
{
    struct hx_blob blob = sealed();
    cr_assert_eq(hx_blob_open(&blob), HX_OK);
    const struct hx_blob_field *first = hx_blob_find(&blob, "first"), *second = hx_blob_find(&blob, "second");
    cr_assert_eq(first->bytes, 8u);
    cr_assert_eq(memcmp(blob.data + first->off, "abcdefgh", 8), 0);
    cr_assert_eq(memcmp(blob.data + second->off, "0123456789", 10), 0);
    cr_assert_eq(hx_blob_find(&blob, "empty")->bytes, 0u);
    cr_assert_null(hx_blob_find(&blob, "third"));
    hx_blob_fini(&blob);
    hal_host_fini();
}

Test(blob, every_flipped_bit_is_noticed)
{
    struct hx_blob blob = sealed();
    for (size_t bit = 0; bit < blob.used * 8; bit++) {
        /* version and schema in the header are information for people; what is read from the blob is covered */
        if ((bit / 8 >= 8 && bit / 8 < 12) || (bit / 8 >= 16 && bit / 8 < 24))
            continue;
        blob.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_neq(hx_blob_open(&blob), HX_OK, "bit %zu", bit);
        blob.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(hx_blob_open(&blob), HX_OK);
    hx_blob_fini(&blob);
}

Test(blob, every_truncation_is_noticed)
{
    struct hx_blob blob = sealed();
    for (size_t used = 0, whole = blob.used; used < whole; used++) {
        blob.used = used;
        cr_assert_neq(hx_blob_open(&blob), HX_OK, "%zu bytes", used);
    }
    hx_blob_fini(&blob);
}

/* An enemy who knows the checksum: the structure behind it is checked all the same. */
Test(blob, a_resealed_lie_about_lengths_and_names_is_noticed)
{
    enum { HEADER = 32, NAME = HEADER, BYTES = HEADER + HX_NAME_MAX };
    struct hx_blob blob = sealed();
    uint8_t copy[CAPACITY];
    memcpy(copy, blob.data, blob.used);
    static const uint32_t lengths[] = { UINT32_MAX, UINT32_MAX - 39, 4096, 200 };
    for (size_t i = 0; i < HX_ARRAY_SIZE(lengths); i++) {
        memcpy(blob.data + BYTES, &lengths[i], 4);
        hx_blob_seal(&blob, 7, 42);
        cr_assert_neq(hx_blob_open(&blob), HX_OK, "length %u", lengths[i]);
    }
    memcpy(blob.data, copy, blob.used);
    memset(blob.data + NAME, 'x', HX_NAME_MAX);
    hx_blob_seal(&blob, 7, 42);
    cr_assert_eq(hx_blob_open(&blob), HX_E_FORMAT);
    memcpy(blob.data, copy, blob.used);
    memset(blob.data + NAME, 0, HX_NAME_MAX);
    memcpy(blob.data + NAME, "second", 6);
    hx_blob_seal(&blob, 7, 42);
    cr_assert_eq(hx_blob_open(&blob), HX_E_EXIST);
    hx_blob_fini(&blob);
}

Test(blob, puts_are_refused_that_do_not_fit_or_have_no_name)
{
    char name[HX_NAME_MAX + 1];
    uint8_t data[CAPACITY] = { 0 };
    struct hx_blob blob = sealed();
    cr_assert_eq(hx_blob_put(&blob, "", data, 1), HX_E_INVAL);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    cr_assert_eq(hx_blob_put(&blob, name, data, 1), HX_E_INVAL);
    cr_assert_eq(hx_blob_put(&blob, "first", data, 1), HX_E_EXIST, "not in a row");
    cr_assert_eq(hx_blob_put(&blob, "large", data, CAPACITY), HX_E_LIMIT);
    cr_assert_eq(hx_blob_put(&blob, "fault", (const void *)8, 1), HX_E_FAULT);
    hx_blob_fini(&blob);
}

Test(blob, no_memory_is_said)
{
    struct hx_blob blob;
    hal_host_init();
    hal_host_fail_at(1);
    cr_assert_eq(hx_blob_init(&blob, CAPACITY), HX_E_NOMEM);
    hal_host_fail_at(0);
    hal_host_fini();
}
