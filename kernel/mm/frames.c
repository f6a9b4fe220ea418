/* SPDX-License-Identifier: MIT */
/*
 * frames.c - the buddy system over physical frames.
 *
 * Why runs of any length: a power of two is taken and the tail given back at once, so that 5 frames cost 5. A run in use
 * keeps its length in its first link and its use in its first tag; all other tags inside a run, free or not, are 0.
 * Invariant: two free buddies of one order never exist side by side; free + in use = total.
 */
#include "frames.h"

#include <stdbool.h>
#include <string.h>

#define TAG_FREE 0x80u /* | order */
#define TAG_USED 0x40u /* | use */
#define NONE UINT32_MAX

static uint32_t order_of(uint32_t count)
{
    return count <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(count - 1);
}

size_t hx_frames_books_bytes(uint32_t count)
{
    return (size_t)count * (sizeof(struct hx_frame_link) + 1);
}

void hx_frames_init(struct hx_frames *frames, uint64_t first_pa, uint32_t count, void *books)
{
    *frames = (struct hx_frames){ .first_pa = first_pa, .count = count, .link = books };
    frames->tag = (uint8_t *)(frames->link + count);
    memset(frames->tag, 0, count);
    for (uint32_t k = 0; k < HX_FRAMES_ORDERS; k++)
        frames->head[k] = NONE;
}

static void list_push(struct hx_frames *frames, uint32_t at, uint32_t order)
{
    uint32_t next = frames->head[order];

    frames->link[at] = (struct hx_frame_link){ next, NONE };
    if (next != NONE)
        frames->link[next].prev = at;
    frames->head[order] = at;
    frames->nonempty |= 1u << order;
    frames->tag[at] = (uint8_t)(TAG_FREE | order);
}

static void list_remove(struct hx_frames *frames, uint32_t at, uint32_t order)
{
    struct hx_frame_link link = frames->link[at];

    if (link.prev != NONE)
        frames->link[link.prev].next = link.next;
    else
        frames->head[order] = link.next;
    if (link.next != NONE)
        frames->link[link.next].prev = link.prev;
    if (frames->head[order] == NONE)
        frames->nonempty &= ~(1u << order);
    frames->tag[at] = 0;
}

/* Gives one aligned power of two back, joined with its buddies as far as they are free. */
static void block_give(struct hx_frames *frames, uint32_t at, uint32_t order)
{
    while (order < HX_FRAMES_ORDERS - 1) {
        uint32_t buddy = at ^ (1u << order);
        if (buddy >= frames->count || frames->tag[buddy] != (TAG_FREE | order))
            break;
        list_remove(frames, buddy, order);
        at &= ~(1u << order);
        order++;
    }
    list_push(frames, at, order);
}

/* Gives any run back, as the aligned powers of two that it consists of. */
static void run_give(struct hx_frames *frames, uint32_t at, uint32_t count)
{
    while (count > 0) {
        uint32_t order = 31u - (uint32_t)__builtin_clz(count);
        if (at != 0 && (uint32_t)__builtin_ctz(at) < order)
            order = (uint32_t)__builtin_ctz(at);
        if (order >= HX_FRAMES_ORDERS)
            order = HX_FRAMES_ORDERS - 1;
        block_give(frames, at, order);
        at += 1u << order;
        count -= 1u << order;
    }
}

void hx_frames_add(struct hx_frames *frames, uint64_t first_pa, uint64_t bytes)
{
    uint32_t count = (uint32_t)(bytes / HX_FRAMES_BYTES);

    run_give(frames, (uint32_t)((first_pa - frames->first_pa) / HX_FRAMES_BYTES), count);
    frames->total += count;
    frames->free += count;
}

uint64_t hx_frames_alloc(struct hx_frames *frames, uint32_t count, enum hx_frame_use use)
{
    uint32_t wanted = order_of(count);
    uint32_t fitting;
    uint32_t order;
    uint32_t at;

    if (count == 0 || count > HX_FRAMES_RUN_MAX)
        return HX_FRAMES_NONE;
    fitting = frames->nonempty >> wanted << wanted;
    if (fitting == 0)
        return HX_FRAMES_NONE;
    order = (uint32_t)__builtin_ctz(fitting);
    at = frames->head[order];
    list_remove(frames, at, order);
    while (order > wanted) {
        order--;
        list_push(frames, at + (1u << order), order);
    }
    frames->tag[at] = (uint8_t)(TAG_USED | use);
    frames->link[at].next = count;
    frames->free -= count;
    if (count != 1u << wanted)
        run_give(frames, at + count, (1u << wanted) - count);
    return frames->first_pa + (uint64_t)at * HX_FRAMES_BYTES;
}

/* The index of the run, or NONE. */
static uint32_t run_find(const struct hx_frames *frames, uint64_t pa, enum hx_frame_use use)
{
    uint64_t offset = pa - frames->first_pa;

    if (pa < frames->first_pa || offset % HX_FRAMES_BYTES != 0 || offset / HX_FRAMES_BYTES >= frames->count)
        return NONE;
    if (frames->tag[offset / HX_FRAMES_BYTES] != (TAG_USED | (uint32_t)use))
        return NONE;
    return (uint32_t)(offset / HX_FRAMES_BYTES);
}

uint32_t hx_frames_run(const struct hx_frames *frames, uint64_t pa, enum hx_frame_use use)
{
    uint32_t at = run_find(frames, pa, use);

    return at == NONE ? 0 : frames->link[at].next;
}

hx_status_t hx_frames_free(struct hx_frames *frames, uint64_t pa, enum hx_frame_use use)
{
    uint32_t at = run_find(frames, pa, use);
    uint32_t count;

    if (at == NONE)
        return HX_E_INVAL;
    count = frames->link[at].next;
    frames->tag[at] = 0;
    frames->free += count;
    run_give(frames, at, count);
    return HX_OK;
}
