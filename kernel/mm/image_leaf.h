/* SPDX-License-Identifier: MIT */
/*
 * image_leaf.h - the leaves of images, by the number of their page: how one is found, and what may stand in it.
 *
 * Why inline: a state region is shared in a blackout, at a few instructions a page.
 * Kinds: HX_PTE_POOL, pieces share the page; HX_PTE_PIECE, one piece has it; neither: hx_hal_image_alloc(). A page keeps its
 * kind, and what is meant for another kind is refused by one comparison.
 * May be used by: image_memory.c, region.c. Locks: hx_mm_lock.
 */
#pragma once
#include "image_window.h"
#include "vm.h"

#define HX_IMAGE_WINDOW_BYTES (HX_MM_IMAGE_END - HX_MM_KERNEL_BASE)
#define HX_IMAGE_KIND (HX_PTE_POOL | HX_PTE_PIECE)
/* What decides what a page is. CPUs note in a leaf that they used it, and that is left out. */
#define HX_IMAGE_NATURE (HX_PTE_PRESENT | HX_PTE_WRITE | HX_PTE_NX | HX_PTE_SHARED | HX_IMAGE_KIND)
#define HX_IMAGE_NO_FRAME UINT16_MAX

/* image_memory.c */
extern struct hx_image_space {
    uintptr_t low; /* first page: a guard */
    struct hx_window window;
    struct {
        uint64_t *own, *alias; /* leaves of pages and of their aliases; of a territory that is closed, 512 of 0 */
    } table[HX_TERRITORIES_MAX];
    uint16_t *spare; /* [arena frames]: of a frame that a second image shows, that image's own; or HX_IMAGE_NO_FRAME */
} hx_image_space;

static inline uint32_t hx_image_page_of(uintptr_t va)
{
    return (uint32_t)((va - hx_image_space.low) / HX_PAGE_BYTES);
}

/* The leaf of @page, a guard's too. It is written only after it was found to be the page's. */
static inline uint64_t *hx_image_leaf_at(uint32_t page)
{
    return &hx_image_space.table[page / HX_TERRITORY_PAGES].own[page % HX_TERRITORY_PAGES];
}

/* That of @page, when @leaf is that of the page before it. */
static inline uint64_t *hx_image_leaf_step(uint64_t *leaf, uint32_t page)
{
    return page % HX_TERRITORY_PAGES ? leaf + 1 : hx_image_leaf_at(page);
}

static inline uint64_t hx_image_leaf_frame(uint64_t leaf)
{
    return leaf & HX_PTE_FRAME;
}

static inline uint32_t hx_image_frame_index(uint64_t pa)
{
    return (uint32_t)((pa - hx_mm_arena.first_pa) / HX_FRAMES_BYTES);
}

static inline uint64_t hx_image_frame_pa(uint32_t index)
{
    return hx_mm_arena.first_pa + (uint64_t)index * HX_FRAMES_BYTES;
}

/* Of a leaf that is SHARED: where the frame waits that belongs to the page. */
static inline uint16_t *hx_image_spare_of(uint64_t leaf)
{
    return &hx_image_space.spare[hx_image_frame_index(hx_image_leaf_frame(leaf))];
}

/* Pages of [@va, @va + @bytes), which lies in the window; whether they are mapped is still to be asked. */
static inline uint32_t hx_image_range_check(uintptr_t va, size_t bytes)
{
    uint32_t count = (uint32_t)(bytes / HX_PAGE_BYTES);

    if (va < hx_image_space.low || (va | bytes) % HX_PAGE_BYTES != 0 || bytes > HX_IMAGE_WINDOW_BYTES ||
        hx_image_page_of(va) + count > hx_image_space.window.pages)
        hx_mm_broken("not image memory", (void *)va);
    return count;
}
