/* SPDX-License-Identifier: MIT */
/*
 * image_memory.c - address space and frames for module images, and state regions that show another image's frames.
 *
 * Why an arena of its own: its frames are left out of the direct map, so an image is mapped once and its permissions are
 * the whole truth. Why a map of pages in use and not a tree: first fit over bits is short, deterministic, and cannot fail.
 * A guard page follows every allocation and one precedes the first, so each has one on either side.
 * Sharing: while @new_va's leaf shows @old_va's frame (HX_PTE_SHARED), the frame that it had waits in spare[old frame];
 * one frame is shared by one other image at most.
 * Invariant: tables exist exactly for the 2 MiB pieces in which some page is allocated.   Locks: hx_mm_lock.
 */
#include "image_memory.h"

#include "vm.h"

#include <string.h>

#define WINDOW_BYTES (HX_MM_IMAGE_END - HX_MM_KERNEL_BASE)
#define WINDOW_PAGES (WINDOW_BYTES / HX_PAGE_BYTES)
#define PAGES_A_TABLE (HX_VM_LARGE_BYTES / HX_PAGE_BYTES)

static uintptr_t window_va; /* first page: a guard */
static uint32_t window_pages;
static uint64_t taken[WINDOW_PAGES / 64];                  /* pages allocated, the guard behind each included */
static uint16_t table_pages[WINDOW_PAGES / PAGES_A_TABLE]; /* pages mapped through each table of leaves */
static uint16_t *spare;                                    /* [arena frames] */
static uint32_t mapped_pages;
static uintptr_t copy_window_va; /* a page to reach a frame through while it is filled */

static uint32_t frame_index(uint64_t pa)
{
    return (uint32_t)((pa - hx_mm_arena.first_pa) / HX_FRAMES_BYTES);
}

static uint64_t frame_pa(uint32_t index)
{
    return hx_mm_arena.first_pa + (uint64_t)index * HX_FRAMES_BYTES;
}

size_t hx_image_memory_books_bytes(uint32_t frames)
{
    return frames * sizeof(*spare);
}

void hx_image_memory_init(void *books)
{
    window_va = ((uintptr_t)hx_kernel_end + HX_VM_LARGE_BYTES - 1) & ~(HX_VM_LARGE_BYTES - 1);
    window_pages = (uint32_t)((HX_MM_IMAGE_END - window_va) / HX_PAGE_BYTES);
    taken[0] = 1;
    spare = books;
    copy_window_va = HX_MM_MMIO_BASE;
}

static bool page_taken(uint32_t page)
{
    return taken[page / 64] >> page % 64 & 1;
}

static void pages_mark(uint32_t first, uint32_t count, bool in_use)
{
    for (uint32_t page = first; page < first + count; page++) {
        if (in_use)
            taken[page / 64] |= 1ull << page % 64;
        else
            taken[page / 64] &= ~(1ull << page % 64);
    }
}

/* First fit: the lowest run of @count free pages; 0: none (page 0 is never free). */
static uint32_t pages_find(uint32_t count)
{
    uint32_t run = 0;

    for (uint32_t page = 1; page < window_pages; page++) {
        if (page % 64 == 0 && taken[page / 64] == UINT64_MAX) {
            run = 0;
            page += 63;
            continue;
        }
        run = page_taken(page) ? 0 : run + 1;
        if (run == count)
            return page - count + 1;
    }
    return 0;
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */
static void tables_release(uintptr_t va, uint32_t pages)
{
    for (; pages > 0; pages--, va += HX_PAGE_BYTES) {
        uint32_t table = (uint32_t)((va - window_va) / HX_VM_LARGE_BYTES);
        if (--table_pages[table] == 0)
            hx_vm_table_put(va);
    }
}

static hx_status_t tables_reserve(uintptr_t va, uint32_t pages)
{
    for (uint32_t done = 0; done < pages; done++) {
        uint32_t table = (uint32_t)((va + (uintptr_t)done * HX_PAGE_BYTES - window_va) / HX_VM_LARGE_BYTES);
        if (table_pages[table] == 0 && !hx_vm_table_get(va + (uintptr_t)done * HX_PAGE_BYTES)) {
            tables_release(va, done);
            return HX_E_NOMEM;
        }
        table_pages[table]++;
    }
    return HX_OK;
}

/* ---- allocations ---------------------------------------------------------------------------------------------------- */
static void map_fresh(uintptr_t va, uint32_t pages)
{
    for (; pages > 0; pages--, va += HX_PAGE_BYTES) {
        uint64_t pa = hx_frames_alloc(&hx_mm_arena, 1, HX_FRAMES_IMAGE);
        if (pa == HX_FRAMES_NONE)
            hx_mm_broken("the arena has fewer frames than it counts", (void *)va);
        *hx_vm_leaf_of(va) = hx_vm_leaf(pa, HX_VM_RW);
    }
}

static hx_status_t image_alloc(uint32_t pages, uintptr_t *out_va)
{
    uint32_t page;
    uintptr_t va;
    hx_status_t err;

    if (hx_mm_arena.free < pages)
        return HX_E_NOMEM;
    page = pages_find(pages + 1);
    if (page == 0)
        return HX_E_NOMEM;
    va = window_va + (uintptr_t)page * HX_PAGE_BYTES;
    err = tables_reserve(va, pages);
    if (err)
        return err;
    map_fresh(va, pages);
    pages_mark(page, pages + 1, true);
    mapped_pages += pages;
    *out_va = va;
    return HX_OK;
}

hx_status_t hx_hal_image_alloc(size_t bytes, uintptr_t *out_va)
{
    hx_irq_flags_t flags;
    hx_status_t err;

    if (bytes == 0 || bytes % HX_PAGE_BYTES != 0)
        return HX_E_INVAL;
    if (bytes > WINDOW_BYTES)
        return HX_E_NOMEM;
    flags = hx_lock_acquire(&hx_mm_lock);
    err = image_alloc((uint32_t)(bytes / HX_PAGE_BYTES), out_va);
    hx_lock_release(&hx_mm_lock, flags);
    if (!err)
        memset((void *)*out_va, 0, bytes);
    return err;
}

/* The leaf of page @va, when @leaf is that of the page before it: next to it, except at the end of a table. */
static inline uint64_t *leaf_step(uint64_t *leaf, uintptr_t va)
{
    return va % HX_VM_LARGE_BYTES ? leaf + 1 : hx_vm_leaf_of(va);
}

/* Every page of [@va, @va + @bytes) is allocated; otherwise the caller is lost. Part of every blackout: a few
 * instructions a page. */
static uint32_t pages_check(uintptr_t va, size_t bytes)
{
    uint32_t first = (uint32_t)((va - window_va) / HX_PAGE_BYTES);
    uint32_t count = (uint32_t)(bytes / HX_PAGE_BYTES);
    const uint64_t *leaf = NULL;

    if (va < window_va || (va | bytes) % HX_PAGE_BYTES != 0 || bytes > WINDOW_BYTES || first + count > window_pages)
        hx_mm_broken("not image memory", (void *)va);
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t at = va + (uintptr_t)i * HX_PAGE_BYTES;
        bool new_table = i == 0 || at % HX_VM_LARGE_BYTES == 0;
        if (new_table && table_pages[(first + i) / PAGES_A_TABLE] == 0)
            hx_mm_broken("not image memory", (void *)va);
        leaf = new_table ? hx_vm_leaf_of(at) : leaf + 1;
        if (!page_taken(first + i) || *leaf == 0)
            hx_mm_broken("not image memory", (void *)va);
    }
    return count;
}

static uint64_t leaf_frame(const uint64_t *leaf)
{
    return *leaf & HX_PTE_FRAME;
}

/* The frame that belongs to the page: behind a shared one it waits. */
static uint64_t leaf_own_frame(const uint64_t *leaf)
{
    uint64_t pa = leaf_frame(leaf);

    return *leaf & HX_PTE_SHARED ? frame_pa(spare[frame_index(pa)]) : pa;
}

void hx_hal_image_free(uintptr_t va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(va, bytes);

    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = hx_vm_leaf_of(va + (uintptr_t)i * HX_PAGE_BYTES);
        uint64_t pa = leaf_own_frame(leaf);
        *leaf = 0;
        if (hx_frames_free(&hx_mm_arena, pa, HX_FRAMES_IMAGE))
            hx_mm_broken("an image frame is freed twice", (void *)va);
    }
    hx_vm_flush(va, pages);
    tables_release(va, pages);
    pages_mark((uint32_t)((va - window_va) / HX_PAGE_BYTES), pages + 1, false);
    mapped_pages -= pages;
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    static const uint64_t leaf_flags[] = {
        [HX_PROT_NONE] = HX_PTE_NX,
        [HX_PROT_R] = HX_VM_R,
        [HX_PROT_RW] = HX_VM_RW,
        [HX_PROT_RX] = HX_VM_RX,
    };
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(va, bytes);

    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = hx_vm_leaf_of(va + (uintptr_t)i * HX_PAGE_BYTES);
        uint64_t wanted = leaf_flags[prot];
        if (*leaf & HX_PTE_SHARED) /* becomes writable by being written, never executable */
            wanted = prot == HX_PROT_NONE ? HX_PTE_NX | HX_PTE_SHARED : HX_VM_R | HX_PTE_SHARED;
        *leaf = hx_vm_leaf(leaf_frame(leaf), wanted);
    }
    hx_vm_flush(va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

/* ---- pieces --------------------------------------------------------------------------------------------------------- */
static size_t whole_pages(size_t bytes)
{
    return (bytes + HX_PAGE_BYTES - 1) & ~(size_t)(HX_PAGE_BYTES - 1);
}

hx_status_t hx_hal_piece_alloc(size_t bytes, size_t align, enum hx_prot prot, uintptr_t *out_va, uint8_t **out_memory)
{
    hx_status_t err = hx_hal_image_alloc(whole_pages(bytes), out_va);

    (void)align, (void)prot;
    if (!err)
        *out_memory = (uint8_t *)*out_va;
    return err;
}

void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    hx_hal_image_protect(va, whole_pages(bytes), prot);
}

void hx_hal_piece_free(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    (void)prot;
    hx_hal_image_free(va, whole_pages(bytes));
}

void hx_hal_image_window(uintptr_t *out_low, uintptr_t *out_high)
{
    *out_low = window_va;
    *out_high = HX_MM_IMAGE_END;
}

/* ---- state regions -------------------------------------------------------------------------------------------------- */
void hx_hal_region_share(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(new_va, bytes);

    (void)pages_check(old_va, bytes);
    uint64_t *leaf = hx_vm_leaf_of(new_va), *old_leaf = hx_vm_leaf_of(old_va);
    for (uintptr_t off = 0; off < bytes;) {
        uint64_t old_pa = leaf_frame(old_leaf);
        spare[frame_index(old_pa)] = (uint16_t)frame_index(leaf_own_frame(leaf));
        *leaf = hx_vm_leaf(old_pa, HX_VM_R | HX_PTE_SHARED);
        off += HX_PAGE_BYTES;
        if (off < bytes) {
            leaf = leaf_step(leaf, new_va + off);
            old_leaf = leaf_step(old_leaf, old_va + off);
        }
    }
    hx_vm_flush(new_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_region_commit(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(new_va, bytes);

    (void)pages_check(old_va, bytes);
    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *new_leaf = hx_vm_leaf_of(new_va + (uintptr_t)i * HX_PAGE_BYTES);
        uint64_t *old_leaf = hx_vm_leaf_of(old_va + (uintptr_t)i * HX_PAGE_BYTES);
        if (!(*new_leaf & HX_PTE_SHARED))
            continue;
        *old_leaf = hx_vm_leaf(leaf_own_frame(new_leaf), HX_VM_RW);
        *new_leaf = hx_vm_leaf(leaf_frame(new_leaf), HX_VM_RW);
    }
    hx_vm_flush(new_va, pages);
    hx_vm_flush(old_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_region_unshare(uintptr_t new_va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(new_va, bytes);

    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = hx_vm_leaf_of(new_va + (uintptr_t)i * HX_PAGE_BYTES);
        if (*leaf & HX_PTE_SHARED)
            *leaf = hx_vm_leaf(leaf_own_frame(leaf), HX_VM_RW);
    }
    hx_vm_flush(new_va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

/* The shared page at @va goes on in its own frame, with what it showed so far. */
static void page_separate(uintptr_t va, uint64_t *leaf)
{
    uint64_t own_pa = leaf_own_frame(leaf);
    uint64_t *window = hx_vm_leaf_of(copy_window_va);

    *window = hx_vm_leaf(own_pa, HX_VM_RW);
    memcpy((void *)copy_window_va, (const void *)va, HX_PAGE_BYTES);
    *window = 0;
    hx_vm_flush(copy_window_va, 1);
    *leaf = hx_vm_leaf(own_pa, HX_VM_RW);
    hx_vm_flush(va, 1);
}

bool hx_mm_fault(uintptr_t address, bool write)
{
    uintptr_t va = address & ~(uintptr_t)(HX_PAGE_BYTES - 1);
    hx_irq_flags_t flags;
    bool settled = false;
    uint64_t *leaf;

    if (!write || address < window_va || address >= HX_MM_IMAGE_END)
        return false;
    flags = hx_lock_acquire(&hx_mm_lock);
    if (table_pages[(va - window_va) / HX_VM_LARGE_BYTES] != 0) {
        leaf = hx_vm_leaf_of(va);
        settled = (*leaf & (HX_PTE_SHARED | HX_PTE_PRESENT)) == (HX_PTE_SHARED | HX_PTE_PRESENT);
        if (settled)
            page_separate(va, leaf);
    }
    hx_lock_release(&hx_mm_lock, flags);
    return settled;
}

uint32_t hx_image_memory_pages(void)
{
    return mapped_pages;
}
