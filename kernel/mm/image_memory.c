/* SPDX-License-Identifier: MIT */
/*
 * image_memory.c - frames and mappings for module images: places, tables, runs of pages, and pieces that share pages.
 *
 * Why an arena of its own: its frames are left out of the direct map, so an image is mapped once and its permissions are
 * the whole truth. Code and constants are written through the alias of their page, which lies at a fixed distance from it in
 * a range of its own: nothing to look up, and nothing to allocate.
 * Invariant: tables exist exactly for the territories in which some page is taken, the alias's beside the image's own. An
 * alias is mapped exactly while a piece in its page is not sealed. No guard is ever mapped.
 * Locks: hx_mm_lock, for BATCH_PAGES of a run at a time; in between, the run is taken and nobody else's.
 */
#include "image_memory.h"

#include "image_leaf.h"
#include "image_pool.h"

#include <string.h>

#define INT3 0xcc /* traps when it is run: Intel SDM vol. 2A */
enum { BATCH_PAGES = 64 };
_Static_assert(HX_IMAGE_WINDOW_BYTES / HX_PAGE_BYTES <= HX_WINDOW_PAGES_MAX, "a map of the window");
_Static_assert(HX_TERRITORY_PAGES *HX_PAGE_BYTES == HX_VM_LARGE_BYTES, "a territory is what a table maps");
_Static_assert(HX_POOL_UNITS *HX_POOL_UNIT_BYTES == HX_PAGE_BYTES, "a page is a word of units");

struct hx_image_space hx_image_space;
static struct hx_window *const window = &hx_image_space.window;
static uint64_t no_leaves[HX_TERRITORY_PAGES]; /* of every territory that is closed; stays 0 */
static struct hx_pool pools[HX_PROT_RX + 1];   /* by permission */
static uint32_t mapped_pages;
static uint32_t promised_frames; /* of the arena: a run that is taken gets them */

static const uint64_t leaf_flags[] = {
    [HX_PROT_NONE] = HX_PTE_NX,
    [HX_PROT_R] = HX_VM_R,
    [HX_PROT_RW] = HX_VM_RW,
    [HX_PROT_RX] = HX_VM_RX,
};

size_t hx_image_memory_books_bytes(uint32_t frames)
{
    return frames * (sizeof(struct hx_pool_page) + sizeof(*hx_image_space.spare));
}

static void tables_forget(uint32_t territory)
{
    hx_image_space.table[territory].own = no_leaves;
    hx_image_space.table[territory].alias = no_leaves;
}

void hx_image_memory_init(void *books, uint32_t frames, uint64_t seed)
{
    struct hx_pool_page *pages = books;
    uintptr_t low = ((uintptr_t)hx_kernel_end + HX_VM_LARGE_BYTES - 1) & ~(HX_VM_LARGE_BYTES - 1);

    hx_image_space.low = low;
    hx_window_init(window, (uint32_t)((HX_MM_IMAGE_END - low) / HX_PAGE_BYTES), seed);
    for (uint32_t territory = 0; territory < HX_TERRITORIES_MAX; territory++)
        tables_forget(territory);
    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++)
        hx_pool_init(&pools[prot], pages);
    hx_image_space.spare = (uint16_t *)(pages + frames);
    memset(hx_image_space.spare, 0xff, frames * sizeof(*hx_image_space.spare)); /* HX_IMAGE_NO_FRAME */
}

static uintptr_t page_va(uint32_t page)
{
    return hx_image_space.low + (uintptr_t)page * HX_PAGE_BYTES;
}

static uintptr_t alias_of(uintptr_t va)
{
    return va - HX_MM_KERNEL_BASE + HX_MM_ALIAS_BASE;
}

static uint64_t *alias_at(uint32_t page)
{
    return &hx_image_space.table[page / HX_TERRITORY_PAGES].alias[page % HX_TERRITORY_PAGES];
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */
static uintptr_t territory_va(uint32_t territory)
{
    return page_va(territory * HX_TERRITORY_PAGES);
}

/* Of the territories [@first, @end), those in which nothing is taken lose their tables. */
static void tables_release(uint32_t first, uint32_t end)
{
    for (; first < end; first++) {
        if (hx_window_is_open(window, first))
            continue;
        tables_forget(first);
        hx_vm_table_put(territory_va(first));
        hx_vm_table_put(alias_of(territory_va(first)));
    }
}

static hx_status_t territory_tables_get(uint32_t territory)
{
    uint64_t *own = hx_vm_table_get(territory_va(territory)), *alias;

    if (!own)
        return HX_E_NOMEM;
    alias = hx_vm_table_get(alias_of(territory_va(territory)));
    if (!alias) {
        hx_vm_table_put(territory_va(territory));
        return HX_E_NOMEM;
    }
    hx_image_space.table[territory].own = own;
    hx_image_space.table[territory].alias = alias;
    return HX_OK;
}

static hx_status_t tables_reserve(uint32_t first, uint32_t end)
{
    for (uint32_t territory = first; territory < end; territory++) {
        if (!hx_window_is_open(window, territory) && territory_tables_get(territory)) {
            tables_release(first, territory);
            return HX_E_NOMEM;
        }
    }
    return HX_OK;
}

/* ---- runs of pages -------------------------------------------------------------------------------------------------- */
static uint32_t run_first_territory(uint32_t page)
{
    return page / HX_TERRITORY_PAGES;
}

static uint32_t run_end_territory(uint32_t page, uint32_t pages)
{
    return (page + pages - 1) / HX_TERRITORY_PAGES + 1;
}

/* Address space with its tables, and the promise of frames; nothing is mapped yet. */
static hx_status_t run_reserve(uint32_t pages, uint32_t *out_page)
{
    uint32_t page;
    hx_status_t err;

    if (hx_mm_arena.free - promised_frames < pages)
        return HX_E_NOMEM;
    page = hx_window_place(window, pages);
    if (page == 0)
        return HX_E_NOMEM;
    err = tables_reserve(run_first_territory(page), run_end_territory(page, pages));
    if (err)
        return err;
    hx_window_take(window, page, pages);
    mapped_pages += pages;
    promised_frames += pages;
    *out_page = page;
    return HX_OK;
}

/* Nothing of it is mapped any more, on any CPU. */
static void run_release(uint32_t page, uint32_t pages)
{
    hx_window_give(window, page, pages);
    tables_release(run_first_territory(page), run_end_territory(page, pages));
    mapped_pages -= pages;
}

/* The arena keeps what it has promised. */
static uint64_t frame_take(enum hx_frame_use use)
{
    uint64_t pa = hx_frames_alloc(&hx_mm_arena, 1, use);

    if (pa == HX_FRAMES_NONE)
        hx_mm_broken("the arena has fewer frames than it counts", NULL);
    promised_frames--;
    return pa;
}

/* One thing is done to all pages of a run, with a turn for interrupts and others who want memory after each batch. */
typedef void (*batch_fn)(uint32_t page, uint32_t pages, uint64_t leaf);
static void in_batches(batch_fn each, uint32_t page, uint32_t pages, uint64_t leaf, hx_irq_flags_t *flags)
{
    for (; pages > BATCH_PAGES; pages -= BATCH_PAGES, page += BATCH_PAGES) {
        each(page, BATCH_PAGES, leaf);
        hx_lock_release(&hx_mm_lock, *flags);
        *flags = hx_lock_acquire(&hx_mm_lock);
    }
    each(page, pages, leaf);
}

/* Fresh frames as @leaf has them; what can be written elsewhere only, through an alias each. */
static void batch_map(uint32_t page, uint32_t pages, uint64_t leaf)
{
    for (; pages > 0; pages--, page++) {
        uint64_t pa = frame_take(HX_FRAMES_IMAGE);
        *hx_image_leaf_at(page) = hx_vm_leaf(pa, leaf);
        if (!(leaf & HX_PTE_WRITE))
            *alias_at(page) = hx_vm_leaf(pa, HX_VM_RW);
    }
}

/* The pages are as @leaf has them: of images the kind alone is asked, of pieces the permission too. None is state that another
 * image shows. */
static void batch_check(uint32_t page, uint32_t pages, uint64_t leaf)
{
    uint64_t asked = leaf & HX_PTE_PIECE ? HX_IMAGE_NATURE : HX_IMAGE_KIND;
    uint64_t wanted = hx_vm_leaf(0, leaf);

    for (; pages > 0; pages--, page++) {
        uint64_t found = *hx_image_leaf_at(page);
        if (found == 0)
            hx_mm_broken("not image memory", (void *)page_va(page));
        if ((found ^ wanted) & asked)
            hx_mm_broken("image memory of another kind or permission", (void *)page_va(page));
        if (!(found & HX_PTE_SHARED) && *hx_image_spare_of(found) != HX_IMAGE_NO_FRAME)
            hx_mm_broken("state that another image shows", (void *)page_va(page));
    }
}

/* The frame that the page loses: behind one that it shows its own waits. */
static uint64_t leaf_strip(uint64_t *leaf)
{
    uint64_t pa = hx_image_leaf_frame(*leaf);

    if (*leaf & HX_PTE_SHARED) {
        uint16_t *spare = hx_image_spare_of(*leaf);
        pa = hx_image_frame_pa(*spare);
        *spare = HX_IMAGE_NO_FRAME;
    }
    *leaf = 0;
    return pa;
}

static void batch_unmap(uint32_t page, uint32_t pages, uint64_t leaf)
{
    (void)leaf;
    for (uint32_t i = page; i < page + pages; i++) {
        if (hx_frames_free(&hx_mm_arena, leaf_strip(hx_image_leaf_at(i)), HX_FRAMES_IMAGE))
            hx_mm_broken("an image frame is freed twice", (void *)page_va(i));
    }
    hx_vm_flush(page_va(page), pages);
}

static void batch_alias_remove(uint32_t page, uint32_t pages, uint64_t leaf)
{
    (void)leaf;
    for (uint32_t i = page; i < page + pages; i++)
        *alias_at(i) = 0;
    hx_vm_flush(alias_of(page_va(page)), pages);
}

/* A page that shows another's frame becomes writable by being written, never executable. */
static void batch_protect(uint32_t page, uint32_t pages, uint64_t leaf)
{
    uint64_t shared = leaf & HX_PTE_PRESENT ? HX_VM_R | HX_PTE_SHARED : HX_PTE_NX | HX_PTE_SHARED;

    for (uint32_t i = page; i < page + pages; i++) {
        uint64_t *at = hx_image_leaf_at(i);
        *at = hx_vm_leaf(hx_image_leaf_frame(*at), *at & HX_PTE_SHARED ? shared : leaf);
    }
    hx_vm_flush(page_va(page), pages);
}

static hx_status_t run_alloc(uint32_t pages, uint64_t leaf, uintptr_t *out_va, hx_irq_flags_t *flags)
{
    uint32_t page = 0;
    hx_status_t err = run_reserve(pages, &page);

    if (err)
        return err;
    in_batches(batch_map, page, pages, leaf, flags);
    *out_va = page_va(page);
    return HX_OK;
}

/* The pages of a whole run, from guard to guard, as @leaf has them; otherwise the caller is lost. */
static uint32_t run_check(uintptr_t va, size_t bytes, uint64_t leaf, hx_irq_flags_t *flags)
{
    uint32_t pages = hx_image_range_check(va, bytes);
    uint32_t page = hx_image_page_of(va);

    in_batches(batch_check, page, pages, leaf, flags);
    if (pages == 0 || *hx_image_leaf_at(page - 1) != 0 || *hx_image_leaf_at(page + pages) != 0)
        hx_mm_broken("not the whole of an allocation", (void *)va);
    return pages;
}

static void run_free(uintptr_t va, uint32_t pages, hx_irq_flags_t *flags)
{
    in_batches(batch_unmap, hx_image_page_of(va), pages, 0, flags);
    run_release(hx_image_page_of(va), pages);
}

/* ---- images --------------------------------------------------------------------------------------------------------- */
hx_status_t hx_hal_image_alloc(size_t bytes, uintptr_t *out_va)
{
    hx_irq_flags_t flags;
    uintptr_t va = 0;
    hx_status_t err;

    if (bytes == 0 || bytes % HX_PAGE_BYTES != 0)
        return HX_E_INVAL;
    if (bytes > HX_IMAGE_WINDOW_BYTES)
        return HX_E_NOMEM;
    flags = hx_lock_acquire(&hx_mm_lock);
    err = run_alloc((uint32_t)(bytes / HX_PAGE_BYTES), HX_VM_RW, &va, &flags);
    hx_lock_release(&hx_mm_lock, flags);
    if (err)
        return err;
    memset((void *)va, 0, bytes);
    *out_va = va;
    return HX_OK;
}

void hx_hal_image_free(uintptr_t va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);

    run_free(va, run_check(va, bytes, 0, &flags), &flags);
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = hx_image_range_check(va, bytes);

    in_batches(batch_check, hx_image_page_of(va), pages, 0, &flags);
    in_batches(batch_protect, hx_image_page_of(va), pages, leaf_flags[prot], &flags);
    hx_lock_release(&hx_mm_lock, flags);
}

/* ---- pieces that share pages ---------------------------------------------------------------------------------------- */
struct shared_piece {
    struct hx_pool *pool;
    uint64_t pa;    /* of the page's frame */
    uint16_t index; /* of that in the arena */
    struct hx_pool_span span;
};

static uint32_t units_of(size_t bytes)
{
    return (uint32_t)((bytes + HX_POOL_UNIT_BYTES - 1) / HX_POOL_UNIT_BYTES);
}

static void alias_map(uintptr_t va, uint64_t pa)
{
    *alias_at(hx_image_page_of(va)) = hx_vm_leaf(pa, HX_VM_RW);
}

static void alias_remove(uintptr_t va)
{
    batch_alias_remove(hx_image_page_of(va), 1, 0);
}

/* CPUs note in a leaf that they used it. */
static bool leaf_has(uint64_t leaf, enum hx_prot prot)
{
    return ((leaf ^ hx_vm_leaf(0, leaf_flags[prot])) & (HX_PTE_PRESENT | HX_PTE_WRITE | HX_PTE_NX)) == 0;
}

/* Whether @va lies in a page that pieces share; which it is then. Anything but image memory loses the caller. */
static bool shared_find(uintptr_t va, size_t bytes, enum hx_prot prot, struct shared_piece *out)
{
    uint32_t page = hx_image_page_of(va);
    uint64_t leaf;

    if (va < hx_image_space.low || page >= window->pages)
        hx_mm_broken("not image memory", (void *)va);
    leaf = *hx_image_leaf_at(page);
    if (!(leaf & HX_PTE_POOL))
        return false;
    out->pool = &pools[prot];
    out->pa = hx_image_leaf_frame(leaf);
    out->index = (uint16_t)hx_image_frame_index(out->pa);
    out->span = (struct hx_pool_span){ (uint32_t)(va % HX_PAGE_BYTES) / HX_POOL_UNIT_BYTES, units_of(bytes) };
    if (va % HX_POOL_UNIT_BYTES != 0 || !leaf_has(leaf, prot) || !hx_pool_is_piece(out->pool, out->index, out->span))
        hx_mm_broken("no such piece", (void *)va);
    return true;
}

static hx_status_t pool_page_create(enum hx_prot prot, uint16_t *out_index)
{
    uint32_t page = 0;
    hx_status_t err = run_reserve(1, &page);
    uint64_t pa;

    if (err)
        return err;
    pa = frame_take(HX_FRAMES_POOL);
    *hx_image_leaf_at(page) = hx_vm_leaf(pa, leaf_flags[prot] | HX_PTE_POOL);
    *out_index = (uint16_t)hx_image_frame_index(pa);
    hx_pool_page_add(&pools[prot], *out_index, page);
    return HX_OK;
}

static void pool_page_destroy(struct hx_pool *pool, uint16_t index)
{
    uint32_t page = pool->page[index].place;

    hx_pool_page_remove(pool, index);
    *hx_image_leaf_at(page) = 0;
    hx_vm_flush(page_va(page), 1);
    if (hx_frames_free(&hx_mm_arena, hx_image_frame_pa(index), HX_FRAMES_POOL))
        hx_mm_broken("a pool's frame is freed twice", (void *)page_va(page));
    run_release(page, 1);
}

static hx_status_t shared_alloc(uint32_t units, enum hx_prot prot, uintptr_t *out_va)
{
    struct hx_pool *pool = &pools[prot];
    uint16_t index = hx_pool_find(pool, units);
    bool fresh = index == HX_POOL_NONE;
    hx_status_t err = fresh ? pool_page_create(prot, &index) : HX_OK;
    uintptr_t va;

    if (err)
        return err;
    va = page_va(pool->page[index].place);
    if (prot != HX_PROT_RW && !hx_pool_page_is_open(pool, index))
        alias_map(va, hx_image_frame_pa(index));
    if (fresh && prot == HX_PROT_RX)
        memset((void *)alias_of(va), INT3, HX_PAGE_BYTES);
    *out_va = va + hx_pool_take(pool, index, units, prot != HX_PROT_RW) * HX_POOL_UNIT_BYTES;
    return HX_OK;
}

/* What was code traps from now on. */
static void shared_wipe(const struct shared_piece *piece, uintptr_t va)
{
    if (!hx_pool_page_is_open(piece->pool, piece->index))
        alias_map(va, piece->pa);
    memset((void *)alias_of(va), INT3, piece->span.count * HX_POOL_UNIT_BYTES);
}

static void shared_free(const struct shared_piece *piece, uintptr_t va, enum hx_prot prot)
{
    bool aliased = hx_pool_page_is_open(piece->pool, piece->index);

    if (prot == HX_PROT_RX) {
        shared_wipe(piece, va);
        aliased = true;
    }
    hx_pool_give(piece->pool, piece->index, piece->span);
    if (aliased && !hx_pool_page_is_open(piece->pool, piece->index))
        alias_remove(va);
    if (hx_pool_page_is_surplus(piece->pool, piece->index))
        pool_page_destroy(piece->pool, piece->index);
}

/* ---- pieces --------------------------------------------------------------------------------------------------------- */
hx_status_t hx_hal_piece_alloc(size_t bytes, size_t align, enum hx_prot prot, uintptr_t *out_va, uint8_t **out_memory)
{
    bool shared = bytes <= HX_PAGE_BYTES - HX_POOL_UNIT_BYTES && align <= HX_POOL_UNIT_BYTES;
    size_t whole_bytes;
    hx_irq_flags_t flags;
    uintptr_t va = 0;
    hx_status_t err;

    if (bytes == 0 || align == 0 || (align & (align - 1)) || align > HX_PAGE_BYTES || prot == HX_PROT_NONE)
        return HX_E_INVAL;
    if (bytes > HX_IMAGE_WINDOW_BYTES)
        return HX_E_NOMEM;
    whole_bytes = hx_page_round_up(bytes);
    flags = hx_lock_acquire(&hx_mm_lock);
    err = shared ? shared_alloc(units_of(bytes), prot, &va)
                 : run_alloc((uint32_t)(whole_bytes / HX_PAGE_BYTES), leaf_flags[prot] | HX_PTE_PIECE, &va, &flags);
    hx_lock_release(&hx_mm_lock, flags);
    if (err)
        return err;
    *out_va = va;
    *out_memory = (uint8_t *)(prot == HX_PROT_RW ? va : alias_of(va));
    if (!shared && whole_bytes != bytes)
        memset(*out_memory + bytes, prot == HX_PROT_RX ? INT3 : 0, whole_bytes - bytes);
    return HX_OK;
}

/* A piece in pages of its own. */
static uint32_t piece_check(uintptr_t va, size_t bytes, enum hx_prot prot, hx_irq_flags_t *flags)
{
    return run_check(va, hx_page_round_up(bytes), leaf_flags[prot] | HX_PTE_PIECE, flags);
}

void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    struct shared_piece piece;
    hx_irq_flags_t flags;

    if (prot == HX_PROT_RW)
        return;
    flags = hx_lock_acquire(&hx_mm_lock);
    if (!shared_find(va, bytes, prot, &piece)) {
        in_batches(batch_alias_remove, hx_image_page_of(va), piece_check(va, bytes, prot, &flags), 0, &flags);
    } else if (hx_pool_page_is_open(piece.pool, piece.index)) {
        hx_pool_seal(piece.pool, piece.index, piece.span);
        if (!hx_pool_page_is_open(piece.pool, piece.index))
            alias_remove(va);
    }
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_piece_free(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    struct shared_piece piece;
    uint32_t pages;

    if (shared_find(va, bytes, prot, &piece)) {
        shared_free(&piece, va, prot);
    } else {
        pages = piece_check(va, bytes, prot, &flags);
        if (prot != HX_PROT_RW)
            in_batches(batch_alias_remove, hx_image_page_of(va), pages, 0, &flags);
        run_free(va, pages, &flags);
    }
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_image_window(uintptr_t *out_low, uintptr_t *out_high)
{
    *out_low = hx_image_space.low;
    *out_high = HX_MM_IMAGE_END;
}

uint32_t hx_image_memory_pages(void)
{
    return mapped_pages;
}

uint32_t hx_image_memory_tables(void)
{
    return 2 * window->open_count;
}

void hx_image_memory_pool(enum hx_prot prot, uint64_t *out_pages, uint64_t *out_bytes)
{
    *out_pages = pools[prot].pages;
    *out_bytes = (uint64_t)pools[prot].units * HX_POOL_UNIT_BYTES;
}
