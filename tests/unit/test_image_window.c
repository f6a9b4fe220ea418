/* SPDX-License-Identifier: MIT */
/*
 * test_image_window.c - where runs of pages go.
 *
 * Why a second book: guards and overlaps are checked against a plain array of owners.
 */
#include <criterion/criterion.h>
#include <mm/image_window.h>
#include <string.h>

enum { PAGES = 40 * HX_TERRITORY_PAGES };

static struct hx_window window;
static uint16_t owner[PAGES + 1]; /* 0: not mapped */

static void setup(void)
{
    memset(&window, 0, sizeof(window));
    memset(owner, 0, sizeof(owner));
    hx_window_init(&window, PAGES, 42);
}

TestSuite(image_window, .init = setup);

/* A run that is placed, with what surrounds it looked at. */
static uint32_t take(uint32_t pages, uint16_t who)
{
    uint32_t first = hx_window_place(&window, pages);

    if (first == 0)
        return 0;
    cr_assert(first + pages < PAGES, "%u pages at %u: no guard behind", pages, first);
    for (uint32_t page = first - 1; page <= first + pages; page++)
        cr_assert_eq(owner[page], 0, "%u pages at %u: page %u is another's", pages, first, page);
    for (uint32_t page = first; page < first + pages; page++)
        owner[page] = who;
    hx_window_take(&window, first, pages);
    return first;
}

static void give(uint32_t first, uint32_t pages)
{
    memset(&owner[first], 0, pages * sizeof(owner[0]));
    hx_window_give(&window, first, pages);
}

static uint32_t open_territories(void)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < PAGES / HX_TERRITORY_PAGES; i++)
        open += hx_window_is_open(&window, i);
    return open;
}

Test(image_window, one_seed_places_alike_and_another_does_not)
{
    uint32_t first[8], differ = 0;

    for (uint32_t i = 0; i < 8; i++)
        first[i] = take(1 + i, 1);
    setup();
    for (uint32_t i = 0; i < 8; i++)
        cr_expect_eq(take(1 + i, 1), first[i]);
    setup();
    window.random = hx_random_of(43);
    for (uint32_t i = 0; i < 8; i++)
        differ += take(1 + i, 1) != first[i];
    cr_expect(differ >= 7);
}

Test(image_window, small_runs_share_a_territory_until_it_is_filled)
{
    for (uint32_t i = 0; i < HX_TERRITORY_FILL; i++) {
        cr_assert(take(1, 1));
        cr_assert_eq(open_territories(), 1);
    }
    cr_assert(take(1, 1));
    cr_assert_eq(open_territories(), 2);
}

Test(image_window, a_small_run_and_its_guard_lie_in_one_territory)
{
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t pages = 1 + i % HX_TERRITORY_RUN, first = take(pages, 1);
        cr_assert_eq(first / HX_TERRITORY_PAGES, (first + pages) / HX_TERRITORY_PAGES);
        give(first, pages);
    }
}

Test(image_window, a_run_that_fills_a_territory_opens_one_and_small_runs_leave_it_alone)
{
    cr_assert(take(1, 1));
    uint32_t first = take(HX_TERRITORY_FILL, 1);
    cr_assert_eq(open_territories(), 2);
    for (uint32_t i = 1; i < HX_TERRITORY_FILL; i++)
        cr_assert_neq(take(1, 1) / HX_TERRITORY_PAGES, first / HX_TERRITORY_PAGES);
    cr_assert_eq(open_territories(), 2);
}

Test(image_window, every_place_of_a_territory_and_every_territory_comes)
{
    static bool seen[HX_TERRITORY_PAGES], territory[PAGES / HX_TERRITORY_PAGES];
    uint32_t places = 0, territories = 0;

    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t first = take(1, 1);
        places += !seen[first % HX_TERRITORY_PAGES];
        territories += !territory[first / HX_TERRITORY_PAGES];
        seen[first % HX_TERRITORY_PAGES] = territory[first / HX_TERRITORY_PAGES] = true;
        give(first, 1);
    }
    cr_expect_eq(places, HX_TERRITORY_PAGES - 1, "all but the last, which is a guard: %u", places);
    cr_expect_eq(territories, PAGES / HX_TERRITORY_PAGES);
}

Test(image_window, runs_never_touch_in_a_long_run)
{
    enum { RUNS = 400, ROUNDS = 30000 };
    static uint32_t first[RUNS], pages[RUNS];
    struct hx_random random = hx_random_of(9);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t k = hx_random_below(&random, RUNS);
        if (first[k]) {
            for (uint32_t page = first[k]; page < first[k] + pages[k]; page++)
                cr_assert_eq(owner[page], k + 1);
            give(first[k], pages[k]);
            first[k] = 0;
            continue;
        }
        pages[k] = 1 + hx_random_below(&random, hx_random_below(&random, 20) ? 30 : 900);
        first[k] = take(pages[k], (uint16_t)(k + 1));
    }
    for (uint32_t k = 0; k < RUNS; k++)
        if (first[k])
            give(first[k], pages[k]);
    cr_expect_eq(open_territories(), 0);
    for (uint32_t page = 1; page < PAGES; page++)
        cr_assert(!hx_window_is_taken(&window, page), "page %u is left", page);
}

Test(image_window, all_of_it_can_be_had_and_no_more)
{
    cr_expect_eq(hx_window_place(&window, PAGES), 0);
    cr_expect_eq(hx_window_place(&window, PAGES - 1), 0);
    cr_expect_eq(hx_window_place(&window, UINT32_MAX), 0);
    cr_expect_eq(take(PAGES - 2, 1), 1, "between the guards at either end");
    cr_expect_eq(hx_window_place(&window, 1), 0);
}

Test(image_window, a_hole_that_fits_with_its_guard_is_found_wherever_it_is)
{
    cr_assert_eq(take(PAGES - 2, 1), 1);
    give(1, PAGES - 2);
    hx_window_take(&window, 1, 10000);
    hx_window_take(&window, 10001 + 4, PAGES - 2 - 10004); /* pages 10002 to 10004 are free */
    cr_expect_eq(hx_window_place(&window, 2), 10002);
    cr_expect_eq(hx_window_place(&window, 3), 0, "no room for the guard");
}
