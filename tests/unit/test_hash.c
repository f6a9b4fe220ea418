/* SPDX-License-Identifier: MIT */
/* test_hash.c - known answers, and what tables need of the hash of a name. Source: xxHash specification, sanity values of
 * xxhsum. */
#include <criterion/criterion.h>
#include <lib/hash.h>
#include <stdio.h>
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

/* ---- names ---------------------------------------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 40 };

Test(hash, every_bit_of_a_name_counts)
{
    char name[NAME_MAX_BYTES];

    for (size_t bytes = 1; bytes <= sizeof(name); bytes++) {
        memset(name, 'n', sizeof(name));
        uint64_t hash = hx_hash_name(name, bytes);
        for (size_t bit = 0; bit < bytes * 8; bit++) {
            name[bit / 8] = (char)(name[bit / 8] ^ 1 << bit % 8);
            cr_assert_neq(hx_hash_name(name, bytes), hash, "bit %zu of %zu bytes", bit, bytes);
            name[bit / 8] = (char)(name[bit / 8] ^ 1 << bit % 8);
        }
    }
}

Test(hash, the_length_of_a_name_counts_and_what_follows_it_does_not)
{
    char same[NAME_MAX_BYTES];

    memset(same, 0, sizeof(same));
    for (size_t bytes = 0; bytes < sizeof(same); bytes++) {
        cr_assert_neq(hx_hash_name(same, bytes), hx_hash_name(same, bytes + 1), "%zu bytes", bytes);
        uint64_t hash = hx_hash_name(same, bytes);
        same[bytes] = 'x';
        cr_assert_eq(hx_hash_name(same, bytes), hash, "%zu bytes", bytes);
        same[bytes] = 0;
    }
}

Test(hash, names_do_not_depend_on_alignment)
{
    static const char name[] = "hx_interface_operation";
    char moved[sizeof(name) + 8];

    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(moved + shift, name, sizeof(name));
        cr_assert_eq(hx_hash_name(moved + shift, sizeof(name) - 1), hx_hash_name(name, sizeof(name) - 1));
    }
}

Test(hash, names_that_differ_in_a_digit_spread_over_a_table)
{
    enum { NAMES = 1000, PLACES = 2048 };
    static uint8_t taken[PLACES];
    unsigned int worst = 0;

    for (unsigned int i = 0; i < NAMES; i++) {
        char name[16];
        size_t bytes = (size_t)snprintf(name, sizeof(name), "hx_bench_%04u", i);
        unsigned int here = ++taken[hx_hash_name(name, bytes) % PLACES];
        worst = here > worst ? here : worst;
    }
    cr_assert_leq(worst, 6u, "%u names want one place", worst); /* by chance alone 5 are common */
}

Test(hash, names_of_one_length_are_equal_when_every_byte_is)
{
    char a[64], b[64];

    for (size_t bytes = 0; bytes < sizeof(a); bytes++) {
        for (size_t i = 0; i < bytes; i++)
            a[i] = b[i] = (char)('a' + i % 26);
        cr_assert(hx_name_equal(a, b, bytes), "%zu bytes", bytes);
        for (size_t i = 0; i < bytes; i++) {
            b[i] ^= 1;
            cr_assert(!hx_name_equal(a, b, bytes), "byte %zu of %zu", i, bytes);
            b[i] ^= 1;
        }
    }
}
