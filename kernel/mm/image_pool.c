/* SPDX-License-Identifier: MIT */
/*
 * image_pool.c - see image_pool.h.
 *
 * Why best fit by the longest run: a page with a long run is kept for the piece that needs it, and two bits scanned are all
 * that the choice costs. Runs inside a word are found by shifting it over itself: log2(64) steps.
 * Invariant: a page is in the list of its longest free run, or full and in none.
 */
#include "image_pool.h"

void hx_pool_init(struct hx_pool *pool, struct hx_pool_page *page)
{
    *pool = (struct hx_pool){ .page = page };
    for (uint32_t n = 0; n <= HX_POOL_UNITS; n++)
        pool->head[n] = HX_POOL_NONE;
}

/* ---- words ---------------------------------------------------------------------------------------------------------- */
static uint64_t span_mask(struct hx_pool_span span)
{
    return (span.count == HX_POOL_UNITS ? UINT64_MAX : (1ull << span.count) - 1) << span.first;
}

/* Where a run of @units begins in @free. */
static uint64_t run_starts(uint64_t free, uint32_t units)
{
    for (uint32_t have = 1; have < units;) {
        uint32_t step = units - have < have ? units - have : have;
        free &= free >> step;
        have += step;
    }
    return free;
}

static uint32_t run_longest(uint64_t free)
{
    uint64_t starts[6]; /* [k]: of runs of 2^k */
    uint64_t longest = free;
    uint32_t length = 1;
    uint32_t k = 0;

    if (free == 0 || free == UINT64_MAX)
        return free ? HX_POOL_UNITS : 0;
    for (starts[0] = free; k < 5 && (starts[k] & starts[k] >> (1u << k)); k++)
        starts[k + 1] = starts[k] & starts[k] >> (1u << k);
    length = 1u << k;
    longest = starts[k];
    while (k-- > 0) {
        uint64_t longer = longest & starts[k] >> length;
        if (!longer)
            continue;
        longest = longer;
        length += 1u << k;
    }
    return length;
}

/* Free units at @first and directly above it, and directly below. */
static uint32_t run_above(uint64_t free, uint32_t first)
{
    uint64_t taken = ~(free >> first);

    return taken ? (uint32_t)__builtin_ctzll(taken) : HX_POOL_UNITS;
}

static uint32_t run_below(uint64_t free, uint32_t first)
{
    return first ? (uint32_t)__builtin_clzll(~(free << (HX_POOL_UNITS - first))) : 0;
}

/* ---- lists ---------------------------------------------------------------------------------------------------------- */
static void list_push(struct hx_pool *pool, uint16_t index, uint32_t longest)
{
    struct hx_pool_page *page = &pool->page[index];
    uint16_t next = pool->head[longest];

    page->longest = (uint8_t)longest;
    if (longest == 0)
        return;
    page->prev = HX_POOL_NONE;
    page->next = next;
    if (next != HX_POOL_NONE)
        pool->page[next].prev = index;
    pool->head[longest] = index;
    pool->lists |= 1ull << (longest - 1);
}

static void list_remove(struct hx_pool *pool, uint16_t index)
{
    const struct hx_pool_page *page = &pool->page[index];

    if (page->longest == 0)
        return;
    if (page->next != HX_POOL_NONE)
        pool->page[page->next].prev = page->prev;
    if (page->prev != HX_POOL_NONE) {
        pool->page[page->prev].next = page->next;
        return;
    }
    pool->head[page->longest] = page->next;
    if (page->next == HX_POOL_NONE)
        pool->lists &= ~(1ull << (page->longest - 1));
}

static void list_move(struct hx_pool *pool, uint16_t index, uint32_t longest)
{
    if (longest == pool->page[index].longest)
        return;
    list_remove(pool, index);
    list_push(pool, index, longest);
}

/* ---- pages and pieces ----------------------------------------------------------------------------------------------- */
void hx_pool_page_add(struct hx_pool *pool, uint16_t index, uint32_t place)
{
    pool->page[index] = (struct hx_pool_page){ .free = UINT64_MAX, .place = place & 0xffffff };
    list_push(pool, index, HX_POOL_UNITS);
    pool->pages++;
}

void hx_pool_page_remove(struct hx_pool *pool, uint16_t index)
{
    list_remove(pool, index);
    pool->pages--;
}

uint16_t hx_pool_find(const struct hx_pool *pool, uint32_t units)
{
    uint64_t fitting = pool->lists >> (units - 1) << (units - 1);

    return fitting ? pool->head[__builtin_ctzll(fitting) + 1] : HX_POOL_NONE;
}

uint32_t hx_pool_take(struct hx_pool *pool, uint16_t index, uint32_t units, bool open)
{
    struct hx_pool_page *page = &pool->page[index];
    struct hx_pool_span span = { (uint32_t)__builtin_ctzll(run_starts(page->free, units)), units };

    bool was_longest = run_above(page->free, span.first) == page->longest;

    page->free &= ~span_mask(span);
    page->first |= 1ull << span.first;
    if (open)
        page->open |= span_mask(span);
    pool->units += units;
    if (was_longest)
        list_move(pool, index, run_longest(page->free));
    return span.first;
}

bool hx_pool_is_piece(const struct hx_pool *pool, uint16_t index, struct hx_pool_span span)
{
    const struct hx_pool_page *page = &pool->page[index];
    uint64_t ends = page->free | page->first; /* what follows a piece */

    if (span.count == 0 || span.first >= HX_POOL_UNITS || span.count > HX_POOL_UNITS - span.first)
        return false;
    if ((page->free & span_mask(span)) || (page->first & span_mask(span)) != 1ull << span.first)
        return false;
    return span.first + span.count == HX_POOL_UNITS || (ends >> (span.first + span.count) & 1);
}

void hx_pool_seal(struct hx_pool *pool, uint16_t index, struct hx_pool_span span)
{
    pool->page[index].open &= ~span_mask(span);
}

void hx_pool_give(struct hx_pool *pool, uint16_t index, struct hx_pool_span span)
{
    struct hx_pool_page *page = &pool->page[index];
    uint32_t run;

    page->free |= span_mask(span);
    page->first &= ~(1ull << span.first);
    page->open &= ~span_mask(span);
    pool->units -= span.count;
    run = run_below(page->free, span.first) + run_above(page->free, span.first);
    if (run > page->longest)
        list_move(pool, index, run);
}
