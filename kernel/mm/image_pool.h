/* SPDX-License-Identifier: MIT */
/*
 * image_pool.h - pages that small pieces of images share: which units of which page are free.
 *
 * A pool holds the pages of one permission. A page's occupancy is one word, a bit a unit; pages stand in lists by their
 * longest free run, so that a page for a piece is found without looking at any other. Pure books: a page is a number, here
 * the index of its frame; nothing is mapped or touched.
 * Trust: all modules are one group. Another group is another array of pools beside the one in image_memory.c, over the same
 * books; nothing in here would change.
 * May be used by: kernel/mm, tests. Locks: the caller's. Context: any. Cost: constant, whatever the number of pages.
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

enum {
    HX_POOL_UNIT_BYTES = 64,
    HX_POOL_UNITS = 64, /* a page */
    HX_POOL_NONE = UINT16_MAX,
};

/* The books of one page. */
struct hx_pool_page {
    uint64_t free;        /* units */
    uint64_t first;       /* units with which a piece begins */
    uint64_t open;        /* units of pieces that are not sealed */
    uint16_t next, prev;  /* in the list of its longest free run */
    uint32_t place : 24;  /* the caller's: where the page is mapped */
    uint32_t longest : 8; /* free run, in units; 0: in no list */
};
_Static_assert(sizeof(struct hx_pool_page) == 32, "an index is a shift");

struct hx_pool {
    struct hx_pool_page *page;        /* of all pools, by frame */
    uint64_t lists;                   /* bit n - 1: a page has a longest free run of n */
    uint16_t head[HX_POOL_UNITS + 1]; /* by longest free run */
    uint32_t pages;
    uint32_t units; /* in use */
};

struct hx_pool_span {
    uint32_t first, count; /* units; count > 0 */
};

/* @page: books for every page that may come, any contents; shared by all pools. */
void hx_pool_init(struct hx_pool *pool, struct hx_pool_page *page);
/* Adds page @index, free throughout, or takes it away again. */
void hx_pool_page_add(struct hx_pool *pool, uint16_t index, uint32_t place);
void hx_pool_page_remove(struct hx_pool *pool, uint16_t index);

/* The page with the shortest free run that holds @units, or HX_POOL_NONE. */
uint16_t hx_pool_find(const struct hx_pool *pool, uint32_t units);
/* Takes @units at the lowest place of page @index where they fit; they do. Returns the first. */
uint32_t hx_pool_take(struct hx_pool *pool, uint16_t index, uint32_t units, bool open);
/* Whether exactly this is a piece of page @index. */
bool hx_pool_is_piece(const struct hx_pool *pool, uint16_t index, struct hx_pool_span span);
/* A piece is not written any more. */
void hx_pool_seal(struct hx_pool *pool, uint16_t index, struct hx_pool_span span);
/* Gives a piece back, sealed or not. */
void hx_pool_give(struct hx_pool *pool, uint16_t index, struct hx_pool_span span);

/* Whether page @index is empty and not the only such page: one is kept for the next piece. */
static inline bool hx_pool_page_is_surplus(const struct hx_pool *pool, uint16_t index)
{
    const struct hx_pool_page *page = &pool->page[index];

    return page->free == UINT64_MAX && (page->next != HX_POOL_NONE || page->prev != HX_POOL_NONE);
}

static inline bool hx_pool_page_is_open(const struct hx_pool *pool, uint16_t index)
{
    return pool->page[index].open != 0;
}
