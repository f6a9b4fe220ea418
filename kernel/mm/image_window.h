/* SPDX-License-Identifier: MIT */
/*
 * image_window.h - where in the module area a run of pages goes: at random, with an unmapped guard on either side.
 *
 * The window is cut into territories, each what one table of leaves maps. A small run goes to a random place of a territory
 * that has runs already, until a quarter of it is mapped; only then another is opened, at random too. So small runs share
 * tables. A larger run gets a territory of its own; one of more than half a territory goes to a random place of the window.
 * Entropy, window of 1 GiB: 9 bits for the first territory and 9 for the place in it, 18 for the first run; 8 to 9 bits for
 * each further one to who knows the territory. A place that is taken leads to the next free one, so runs behind long ones
 * are a little more likely. This hinders who guesses an address, not who can ask for one.
 * Guard: a run takes the page behind it as well, and what precedes it is free or the guard of another, so that no two runs
 * ever touch.
 * May be used by: kernel/mm, tests. Names no CPU, maps nothing. Locks: the caller's. Context: any. Cost: a few words of the
 * territory's map; when territories are full, of the window's.
 */
#pragma once
#include <lib/random.h>
#include <stdbool.h>

enum {
    HX_WINDOW_PAGES_MAX = 1 << 18, /* 1 GiB */
    HX_TERRITORY_PAGES = 512,
    HX_TERRITORY_FILL = HX_TERRITORY_PAGES / 4, /* pages mapped in one that a small run is added to, with that run */
    HX_TERRITORY_RUN = HX_TERRITORY_PAGES / 2,  /* pages of the longest run that is kept inside one */
    HX_TERRITORIES_MAX = HX_WINDOW_PAGES_MAX / HX_TERRITORY_PAGES,
};

struct hx_window {
    uint32_t pages;
    struct hx_random random;
    uint16_t mapped[HX_TERRITORIES_MAX]; /* pages of runs */
    uint32_t open_count;
    uint64_t open[HX_TERRITORIES_MAX / 64];   /* bit: mapped is not 0 */
    uint64_t roomy[HX_TERRITORIES_MAX / 64];  /* bit: nor HX_TERRITORY_FILL */
    uint64_t taken[HX_WINDOW_PAGES_MAX / 64]; /* pages of runs, and the guard behind each */
};

/* @window, all 0, gets @pages, at most HX_WINDOW_PAGES_MAX and a multiple of HX_TERRITORY_PAGES. Page 0 stays a guard. */
void hx_window_init(struct hx_window *window, uint32_t pages, uint64_t seed);
/* First page of a free run of @pages > 0 with its guards, or 0: there is none. Nothing is taken. */
uint32_t hx_window_place(struct hx_window *window, uint32_t pages);
void hx_window_take(struct hx_window *window, uint32_t first, uint32_t pages);
void hx_window_give(struct hx_window *window, uint32_t first, uint32_t pages);

static inline bool hx_window_is_taken(const struct hx_window *window, uint32_t page)
{
    return window->taken[page / 64] >> page % 64 & 1;
}

/* Whether a page of territory @territory is mapped. */
static inline bool hx_window_is_open(const struct hx_window *window, uint32_t territory)
{
    return window->mapped[territory] != 0;
}
