/* SPDX-License-Identifier: MIT */
/* test_hash.c - known answers. Source: xxHash specification, sanity values of xxhsum; FNV reference vectors. */
#include <criterion/criterion.h>
#include <lib/hash.h>
#include <string.h>

/* The input of xxHash's own checks: the high bytes of powers of a prime. */
static void fill(uint8_t *bytes, size_t count)
{
    uint64_t power = UINT64_C(2654435761);

    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(power >> 56);
        power *= UINT64_C(11400714785074694797);
    }
}

Test(hash, xxh64_gives_the_known_answers)
{
    static const struct {
        size_t bytes;
        uint64_t seed;
        uint64_t hash;
    } known[] = {
        { 0, 0, UINT64_C(0xef46db3751d8e999) },
        { 0, UINT64_C(2654435761), UINT64_C(0xac75fda2929b17ef) },
        { 1, 0, UINT64_C(0xe934a84adb052768) },
        { 1, UINT64_C(2654435761), UINT64_C(0x5014607643a9b4c3) },
        { 4, 0, UINT64_C(0x9136a0dca57457ee) },
        { 14, 0, UINT64_C(0x8282dcc4994e35c8) },
        { 14, UINT64_C(2654435761), UINT64_C(0xc3bd6bf63deb6df0) },
        { 222, 0, UINT64_C(0xb641ae8cb691c174) },
        { 222, UINT64_C(2654435761), UINT64_C(0x20cb8ab7ae10c14a) },
    };
    uint8_t bytes[256];

    fill(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        cr_assert_eq(hx_hash_xxh64(bytes, known[i].bytes, known[i].seed), known[i].hash, "case %zu", i);
}

Test(hash, xxh64_does_not_depend_on_alignment)
{
    uint8_t bytes[300], moved[300];

    fill(bytes, sizeof(bytes));
    for (size_t shift = 1; shift < 9; shift++) {
        memcpy(moved + shift, bytes, 256);
        cr_assert_eq(hx_hash_xxh64(moved + shift, 256, 1), hx_hash_xxh64(bytes, 256, 1));
    }
}

Test(hash, names_hash_as_fnv_1a_does)
{
    cr_assert_eq(hx_hash_name("", 0), UINT64_C(0xcbf29ce484222325));
    cr_assert_eq(hx_hash_name("a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    cr_assert_eq(hx_hash_name("foobar", 6), UINT64_C(0x85944171f73967e8));
    cr_assert_eq(hx_hash_name("foobarx", 6), UINT64_C(0x85944171f73967e8));
}
