/* SPDX-License-Identifier: MIT */
/*
 * test_image_pool.c - pages that small pieces share.
 *
 * Why a second book: that no unit is given twice and the right page is chosen is checked against a plain array of owners
 * over long random runs that repeat exactly.
 */
#include <criterion/criterion.h>
#include <lib/random.h>
#include <mm/image_pool.h>
#include <string.h>

enum { PAGES = 8 };

static struct hx_pool_page books[PAGES];
static struct hx_pool pool;

static void setup(void)
{
    memset(books, 0xa5, sizeof(books));
    hx_pool_init(&pool, books);
}

TestSuite(image_pool, .init = setup);

static uint32_t longest_of(uint64_t free)
{
    uint32_t run = 0, longest = 0;

    for (uint32_t i = 0; i < HX_POOL_UNITS; i++) {
        run = free >> i & 1 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

Test(image_pool, an_empty_pool_has_no_page)
{
    cr_expect_eq(hx_pool_find(&pool, 1), HX_POOL_NONE);
    cr_expect_eq(hx_pool_find(&pool, HX_POOL_UNITS), HX_POOL_NONE);
}

Test(image_pool, a_page_is_found_until_it_is_full)
{
    hx_pool_page_add(&pool, 3, 1000);
    cr_expect_eq(books[3].place, 1000);
    cr_expect_eq(hx_pool_find(&pool, HX_POOL_UNITS), 3);
    cr_expect_eq(hx_pool_take(&pool, 3, 60, false), 0);
    cr_expect_eq(hx_pool_find(&pool, 5), HX_POOL_NONE);
    cr_expect_eq(hx_pool_find(&pool, 4), 3);
    cr_expect_eq(hx_pool_take(&pool, 3, 4, false), 60);
    cr_expect_eq(hx_pool_find(&pool, 1), HX_POOL_NONE);
    cr_expect_eq(pool.units, HX_POOL_UNITS);
}

Test(image_pool, the_page_with_the_shortest_run_that_fits_is_taken)
{
    for (uint16_t i = 0; i < 3; i++)
        hx_pool_page_add(&pool, i, i);
    hx_pool_take(&pool, 0, 54, false); /* 10 left */
    hx_pool_take(&pool, 1, 44, false); /* 20 left */
    cr_expect_eq(hx_pool_find(&pool, 10), 0);
    cr_expect_eq(hx_pool_find(&pool, 11), 1);
    cr_expect_eq(hx_pool_find(&pool, 21), 2);
}

Test(image_pool, an_empty_page_is_surplus_beside_another)
{
    hx_pool_page_add(&pool, 0, 0);
    cr_expect(!hx_pool_page_is_surplus(&pool, 0));
    hx_pool_page_add(&pool, 1, 1);
    cr_expect(hx_pool_page_is_surplus(&pool, 0) && hx_pool_page_is_surplus(&pool, 1));
    hx_pool_take(&pool, 0, 1, false);
    cr_expect(!hx_pool_page_is_surplus(&pool, 0) && !hx_pool_page_is_surplus(&pool, 1));
    hx_pool_page_remove(&pool, 1);
    cr_expect_eq(pool.pages, 1);
    cr_expect_eq(hx_pool_find(&pool, HX_POOL_UNITS), HX_POOL_NONE);
}

Test(image_pool, only_whole_pieces_are_pieces)
{
    hx_pool_page_add(&pool, 0, 0);
    hx_pool_take(&pool, 0, 4, false);
    hx_pool_take(&pool, 0, 2, false);
    cr_expect(hx_pool_is_piece(&pool, 0, (struct hx_pool_span){ 0, 4 }));
    cr_expect(hx_pool_is_piece(&pool, 0, (struct hx_pool_span){ 4, 2 }));
    static const struct hx_pool_span no_piece[] = { { 0, 3 },  { 0, 5 },  { 0, 6 },          { 1, 3 },  { 4, 1 },
                                                    { 4, 3 },  { 0, 0 },  { 6, 1 },          { 4, 61 }, { 64, 1 },
                                                    { 0, 64 }, { 0, 65 }, { 4, UINT32_MAX }, { 70, 1 } };
    for (size_t i = 0; i < sizeof(no_piece) / sizeof(no_piece[0]); i++)
        cr_expect(!hx_pool_is_piece(&pool, 0, no_piece[i]), "%u, %u", no_piece[i].first, no_piece[i].count);
    hx_pool_take(&pool, 0, 58, false);
    cr_expect(hx_pool_is_piece(&pool, 0, (struct hx_pool_span){ 6, 58 }), "up to the end of the page");
    hx_pool_give(&pool, 0, (struct hx_pool_span){ 0, 4 });
    cr_expect(!hx_pool_is_piece(&pool, 0, (struct hx_pool_span){ 0, 4 }), "given back");
}

Test(image_pool, a_page_is_open_until_its_last_piece_is_sealed_or_given)
{
    hx_pool_page_add(&pool, 0, 0);
    hx_pool_take(&pool, 0, 4, true);
    hx_pool_take(&pool, 0, 4, true);
    hx_pool_take(&pool, 0, 4, false);
    hx_pool_seal(&pool, 0, (struct hx_pool_span){ 0, 4 });
    cr_expect(hx_pool_page_is_open(&pool, 0));
    hx_pool_give(&pool, 0, (struct hx_pool_span){ 8, 4 });
    cr_expect(hx_pool_page_is_open(&pool, 0));
    hx_pool_give(&pool, 0, (struct hx_pool_span){ 4, 4 });
    cr_expect(!hx_pool_page_is_open(&pool, 0));
}

struct held {
    uint16_t page;
    struct hx_pool_span span; /* count 0: none */
};

static uint64_t mask_of(struct hx_pool_span span)
{
    uint64_t mask = 0;

    for (uint32_t i = span.first; i < span.first + span.count; i++)
        mask |= 1ull << i;
    return mask;
}

/* What the books say of a page is what the pieces held say. */
static void check_page(uint16_t page, const struct held *held, uint32_t count)
{
    uint64_t free = UINT64_MAX, first = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (held[i].span.count == 0 || held[i].page != page)
            continue;
        free &= ~mask_of(held[i].span);
        first |= 1ull << held[i].span.first;
        cr_assert(hx_pool_is_piece(&pool, page, held[i].span));
    }
    cr_assert_eq(books[page].free, free);
    cr_assert_eq(books[page].first, first);
    cr_assert_eq(books[page].longest, longest_of(free));
}

/* The shortest run that fits, of all pages. */
static uint32_t best_fit(uint32_t units)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t longest = longest_of(books[i].free);
        if (longest >= units && longest < best)
            best = longest;
    }
    return best;
}

Test(image_pool, no_unit_is_given_twice_in_a_long_run)
{
    enum { HELD = 60, ROUNDS = 20000 };
    static struct held held[HELD];
    struct hx_random random = hx_random_of(5);

    for (uint16_t i = 0; i < PAGES; i++)
        hx_pool_page_add(&pool, i, i);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct held *one = &held[hx_random_below(&random, HELD)];
        uint16_t page = one->page;
        if (one->span.count) {
            hx_pool_give(&pool, page, one->span);
            one->span.count = 0;
        } else {
            uint32_t units = 1 + hx_random_below(&random, hx_random_below(&random, 8) ? 12 : HX_POOL_UNITS);
            uint32_t best = best_fit(units);
            page = hx_pool_find(&pool, units);
            cr_assert_eq(page == HX_POOL_NONE, best == UINT32_MAX);
            if (page == HX_POOL_NONE)
                continue;
            cr_assert_eq(longest_of(books[page].free), best);
            uint64_t free = books[page].free;
            *one = (struct held){ page, { hx_pool_take(&pool, page, units, false), units } };
            cr_assert_eq(free & mask_of(one->span), mask_of(one->span), "units that are taken");
        }
        check_page(page, held, HELD);
    }
}
