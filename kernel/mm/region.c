/* SPDX-License-Identifier: MIT */
/*
 * region.c - state regions: pages that show another image's frames until they are written.
 *
 * Sharing: while @new_va's leaf shows @old_va's frame (HX_PTE_SHARED), the frame that it had waits in spare[old frame];
 * one frame is shown by one other image at most, and is not freed until that has ended.
 * Why so little is looked at: sharing is part of a blackout. That a page is state, on either side, is one comparison.
 * Others:  once it is published, every CPU translates by the new image's leaves, at any moment, also while they are changed
 *          here: each value that one ever has must be right for them, and one may write to another frame than before only
 *          when nobody reads the old one any more.
 */
#include "image_leaf.h"
#include "image_memory.h"

#include <string.h>

/* A page to reach a frame through while it is filled. A variable, as compilers take a constant for no memory. */
static uintptr_t copy_window_va = HX_MM_MMIO_BASE;

void hx_hal_region_share(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    const uint64_t state = hx_vm_leaf(0, HX_VM_RW), shared = hx_vm_leaf(0, HX_VM_R | HX_PTE_SHARED);
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = hx_image_range_check(new_va, bytes);

    (void)hx_image_range_check(old_va, bytes);
    uint32_t page = hx_image_page_of(new_va), old_page = hx_image_page_of(old_va);
    uint64_t *leaf = hx_image_leaf_at(page), *old_leaf = hx_image_leaf_at(old_page);
    for (uint32_t end = page + pages; page < end;) {
        uint64_t old_pa = hx_image_leaf_frame(*old_leaf);
        if (((*leaf ^ state) | (*old_leaf ^ state)) & HX_IMAGE_NATURE)
            hx_mm_broken("shared, but not state on both sides", (void *)old_va);
        uint16_t *spare = hx_image_spare_of(old_pa);
        if (*spare != HX_IMAGE_NO_FRAME)
            hx_mm_broken("state is shared twice", (void *)old_va);
        *spare = (uint16_t)hx_image_frame_index(hx_image_leaf_frame(*leaf));
        *leaf = old_pa | shared;
        leaf = hx_image_leaf_step(leaf, ++page);
        old_leaf = hx_image_leaf_step(old_leaf, ++old_page);
    }
    hx_vm_flush(new_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

/* The frame that @leaf, which is shared, shows is not another image's any more. Returns the one that waited meanwhile. */
static uint64_t share_end(uint64_t leaf)
{
    uint16_t *spare = hx_image_spare_of(leaf);
    uint64_t own_pa = hx_image_frame_pa(*spare);

    *spare = HX_IMAGE_NO_FRAME;
    return own_pa;
}

static void leaf_set(uint64_t *leaf, uint64_t pa, uint64_t flags)
{
    __atomic_store_n(leaf, hx_vm_leaf(pa, flags), __ATOMIC_RELAXED);
}

void hx_hal_region_commit(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = hx_image_range_check(new_va, bytes);

    (void)hx_image_range_check(old_va, bytes);
    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = hx_image_leaf_at(hx_image_page_of(new_va) + i);
        uint64_t *old_leaf = hx_image_leaf_at(hx_image_page_of(old_va) + i);
        if (*leaf == 0 || *old_leaf == 0)
            hx_mm_broken("not image memory", (void *)(*leaf ? old_va : new_va));
        if (!(*leaf & HX_PTE_SHARED))
            continue;
        if (hx_image_leaf_frame(*leaf) != hx_image_leaf_frame(*old_leaf))
            hx_mm_broken("state of another image is handed over", (void *)old_va);
        leaf_set(old_leaf, share_end(*leaf), HX_VM_RW);
        leaf_set(leaf, hx_image_leaf_frame(*leaf), HX_VM_RW);
    }
    hx_vm_flush(new_va, pages);
    hx_vm_flush(old_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_region_unshare(uintptr_t new_va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = hx_image_range_check(new_va, bytes);

    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = hx_image_leaf_at(hx_image_page_of(new_va) + i);
        if (*leaf == 0)
            hx_mm_broken("not image memory", (void *)new_va);
        if (*leaf & HX_PTE_SHARED)
            leaf_set(leaf, share_end(*leaf), HX_VM_RW);
    }
    hx_vm_flush(new_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

/*
 * The shared page at @va goes on in its own frame, with what it showed so far. Nobody writes there before every CPU has
 * forgotten the frame that it showed: a CPU that comes by for the first time would, and the others not see it.
 */
static void page_separate(uintptr_t va, uint64_t *leaf)
{
    uint64_t *copy_leaf = hx_vm_leaf_of(copy_window_va), own_pa = share_end(*leaf);

    *copy_leaf = hx_vm_leaf(own_pa, HX_VM_RW);
    hx_vm_flush_here(copy_window_va, 1); /* this CPU may remember what another one looked at through it */
    memcpy((void *)copy_window_va, (const void *)va, HX_PAGE_BYTES);
    *copy_leaf = 0;
    hx_vm_flush_here(copy_window_va, 1);
    leaf_set(leaf, own_pa, HX_VM_R);
    hx_vm_flush(va, 1);
    leaf_set(leaf, own_pa, HX_VM_RW);
}

bool hx_mm_fault(uintptr_t address, bool write)
{
    uintptr_t va = address & ~(uintptr_t)(HX_PAGE_BYTES - 1);
    hx_irq_flags_t flags;
    bool settled;
    uint64_t *leaf;

    if (!write || address < hx_image_space.low || address >= HX_MM_IMAGE_END)
        return false;
    flags = hx_lock_acquire(&hx_mm_lock);
    leaf = hx_image_leaf_at(hx_image_page_of(va));
    settled = (*leaf & (HX_PTE_SHARED | HX_PTE_PRESENT)) == (HX_PTE_SHARED | HX_PTE_PRESENT);
    if (settled) {
        page_separate(va, leaf);
    } else if ((*leaf & (HX_PTE_WRITE | HX_PTE_PRESENT)) == (HX_PTE_WRITE | HX_PTE_PRESENT)) {
        hx_vm_flush_here(va, 1); /* another CPU was first */
        settled = true;
    }
    hx_lock_release(&hx_mm_lock, flags);
    return settled;
}
