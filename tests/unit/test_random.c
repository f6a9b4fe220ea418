/* SPDX-License-Identifier: MIT */
/*
 * test_random.c - numbers that repeat for one seed.
 */
#include <criterion/criterion.h>
#include <lib/random.h>

Test(random, numbers_are_those_of_the_reference)
{
    /* Vigna's splitmix64.c, seed 1234567. */
    static const uint64_t known[] = { 6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                      4593380528125082431u, 16408922859458223821u };
    struct hx_random random = hx_random_of(1234567);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        cr_expect_eq(hx_random_next(&random), known[i], "number %zu", i);
}

Test(random, one_seed_repeats_and_another_differs)
{
    struct hx_random a = hx_random_of(0), b = hx_random_of(0), c = hx_random_of(1);
    uint64_t number = hx_random_next(&a);

    cr_expect_eq(hx_random_next(&b), number);
    cr_expect_neq(hx_random_next(&c), number);
    cr_expect_neq(hx_random_next(&a), number);
}

Test(random, every_number_below_a_bound_comes_and_no_other)
{
    enum { BOUND = 7, DRAWS = 7000 };
    struct hx_random random = hx_random_of(3);
    uint32_t count[BOUND] = { 0 };

    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t number = hx_random_below(&random, BOUND);
        cr_assert_lt(number, BOUND);
        count[number]++;
    }
    for (uint32_t i = 0; i < BOUND; i++)
        cr_expect(count[i] > 850 && count[i] < 1150, "%u came %u times", i, count[i]);
    cr_expect_eq(hx_random_below(&random, 1), 0);
}
