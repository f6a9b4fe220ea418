/* SPDX-License-Identifier: MIT */
/* test_sort.c - every permutation of a few keys, and many keys in every order that is bad for something. */
#include <criterion/criterion.h>
#include <lib/sort.h>

static void expect_sorted(uint64_t *keys, size_t count, uint64_t sum)
{
    uint64_t found = 0;

    hx_sort_u64(keys, count);
    for (size_t i = 0; i < count; i++) {
        found += keys[i] * keys[i];
        cr_assert(i == 0 || keys[i - 1] <= keys[i], "%zu of %zu", i, count);
    }
    cr_assert_eq(found, sum, "keys came or went");
}

Test(sort, every_choice_of_six_keys_is_sorted)
{
    for (uint32_t choice = 0; choice < 6 * 6 * 6 * 6 * 6 * 6; choice++) {
        uint64_t keys[6], sum = 0;
        uint32_t rest = choice;

        for (size_t i = 0; i < 6; i++, rest /= 6) {
            keys[i] = rest % 6;
            sum += keys[i] * keys[i];
        }
        expect_sorted(keys, 6, sum);
    }
}

Test(sort, ascending_descending_and_scattered_keys_are_sorted)
{
    enum { COUNT = 1000 };
    static uint64_t keys[COUNT];

    for (int way = 0; way < 3; way++) {
        uint64_t sum = 0;

        for (uint64_t i = 0; i < COUNT; i++) {
            keys[i] = way == 0 ? i : way == 1 ? COUNT - i : i * UINT64_C(0x9e3779b97f4a7c15);
            sum += keys[i] * keys[i];
        }
        expect_sorted(keys, COUNT, sum);
    }
}

Test(sort, nothing_and_a_single_key_stay_as_they_are)
{
    uint64_t key = 7;

    hx_sort_u64(&key, 0);
    hx_sort_u64(&key, 1);
    cr_assert_eq(key, 7u);
}
