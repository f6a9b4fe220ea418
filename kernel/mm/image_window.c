/* SPDX-License-Identifier: MIT */
/*
 * image_window.c - see image_window.h.
 *
 * Why a map of pages and not a tree: a search over words is short, and giving back cannot fail.
 * Invariant: a run and the guard behind it are taken; page 0 always is.
 */
#include "image_window.h"

void hx_window_init(struct hx_window *window, uint32_t pages, uint64_t seed)
{
    window->pages = pages;
    window->random = hx_random_of(seed);
    window->taken[0] = 1;
}

/* ---- maps of bits --------------------------------------------------------------------------------------------------- */
/* The first bit in [@from, @end) that is @value, or @end. */
static uint32_t bit_next(const uint64_t *map, uint32_t from, uint32_t end, bool value)
{
    while (from < end) {
        uint64_t word = (value ? map[from / 64] : ~map[from / 64]) >> from % 64;
        if (word) {
            from += (uint32_t)__builtin_ctzll(word);
            return from < end ? from : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

/* As bit_next, going on from 0 behind the end. */
static uint32_t bit_next_around(const uint64_t *map, uint32_t from, uint32_t end, bool value)
{
    uint32_t found = bit_next(map, from, end, value);

    if (found == end)
        found = bit_next(map, 0, from, value) < from ? bit_next(map, 0, from, value) : end;
    return found;
}

/* The lowest run of @count pages in [@first, @end) that are not taken, or 0. */
static uint32_t run_find(const struct hx_window *window, uint32_t first, uint32_t end, uint32_t count)
{
    while (first + count <= end) {
        uint32_t stop = bit_next(window->taken, first, first + count, true);
        if (stop == first + count)
            return first;
        first = bit_next(window->taken, stop, end, false);
    }
    return 0;
}

/* As run_find, from a random place of [@first, @end) on and then from its beginning. */
static uint32_t run_find_random(struct hx_window *window, uint32_t first, uint32_t end, uint32_t count)
{
    uint32_t page;

    if (end - first < count)
        return 0;
    page = run_find(window, first + hx_random_below(&window->random, end - first - count + 1), end, count);
    return page ? page : run_find(window, first, end, count);
}

/* ---- places --------------------------------------------------------------------------------------------------------- */
/* The guard lies in the same territory. */
static uint32_t territory_place(struct hx_window *window, uint32_t territory, uint32_t pages)
{
    uint32_t first = territory * HX_TERRITORY_PAGES;

    if (window->mapped[territory] && window->mapped[territory] + pages > HX_TERRITORY_FILL)
        return 0;
    return run_find_random(window, first, first + HX_TERRITORY_PAGES, pages + 1);
}

/* In a random territory of those whose bit in @map is @value. */
static uint32_t place_in_one(struct hx_window *window, uint32_t pages, const uint64_t *map, bool value)
{
    uint32_t count = window->pages / HX_TERRITORY_PAGES;
    uint32_t territory = bit_next_around(map, hx_random_below(&window->random, count), count, value);

    return territory == count ? 0 : territory_place(window, territory, pages);
}

uint32_t hx_window_place(struct hx_window *window, uint32_t pages)
{
    uint32_t page = 0;

    if (pages >= window->pages)
        return 0;
    for (uint32_t tries = 2; page == 0 && tries > 0 && pages < HX_TERRITORY_FILL; tries--)
        page = place_in_one(window, pages, window->roomy, true);
    if (page == 0 && pages <= HX_TERRITORY_RUN)
        page = place_in_one(window, pages, window->open, false);
    return page ? page : run_find_random(window, 0, window->pages, pages + 1);
}

/* ---- taking --------------------------------------------------------------------------------------------------------- */
static void taken_set(struct hx_window *window, uint32_t first, uint32_t end, bool value)
{
    while (first < end) {
        uint64_t *word = &window->taken[first / 64];
        uint32_t room = 64 - first % 64, here = end - first < room ? end - first : room;
        uint64_t bits = (here == 64 ? UINT64_MAX : (1ull << here) - 1) << first % 64;
        *word = value ? *word | bits : *word & ~bits;
        first += here;
    }
}

static void bit_set(uint64_t *map, uint32_t at, bool value)
{
    uint64_t bit = 1ull << at % 64;

    map[at / 64] = value ? map[at / 64] | bit : map[at / 64] & ~bit;
}

static void mapped_set(struct hx_window *window, uint32_t territory, uint32_t mapped)
{
    window->open_count += (uint32_t)(mapped != 0) - (uint32_t)(window->mapped[territory] != 0);
    window->mapped[territory] = (uint16_t)mapped;
    bit_set(window->open, territory, mapped != 0);
    bit_set(window->roomy, territory, mapped != 0 && mapped < HX_TERRITORY_FILL);
}

/* @pages more or fewer are mapped in the territories that [@first, @first + @pages) lies in. */
static void mapped_count(struct hx_window *window, uint32_t first, uint32_t pages, bool more)
{
    while (pages > 0) {
        uint32_t territory = first / HX_TERRITORY_PAGES;
        uint32_t here = HX_TERRITORY_PAGES - first % HX_TERRITORY_PAGES;
        here = here < pages ? here : pages;
        mapped_set(window, territory, more ? window->mapped[territory] + here : window->mapped[territory] - here);
        first += here;
        pages -= here;
    }
}

void hx_window_take(struct hx_window *window, uint32_t first, uint32_t pages)
{
    taken_set(window, first, first + pages + 1, true);
    mapped_count(window, first, pages, true);
}

void hx_window_give(struct hx_window *window, uint32_t first, uint32_t pages)
{
    taken_set(window, first, first + pages + 1, false);
    mapped_count(window, first, pages, false);
}
