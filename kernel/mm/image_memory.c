/* SPDX-License-Identifier: MIT */
/*
 * image_memory.c - frames and mappings for module images, and state regions that show another image's frames.
 *
 * Why an arena of its own: its frames are left out of the direct map, so an image is mapped once and its permissions are
 * the whole truth. Code and constants are written through the alias of their page, which lies at a fixed distance from it in
 * a range of its own: nothing to look up, and nothing to allocate.
 * Sharing: while @new_va's leaf shows @old_va's frame (HX_PTE_SHARED), the frame that it had waits in spare[old frame];
 * one frame is shared by one other image at most.
 * Invariant: tables exist exactly for the territories in which some page is mapped, the alias's beside the image's own. An
 * alias is mapped exactly while a piece in its page is not sealed.   Locks: hx_mm_lock.
 */
#include "image_memory.h"

#include "image_pool.h"
#include "image_window.h"
#include "vm.h"

#include <string.h>

#define WINDOW_BYTES (HX_MM_IMAGE_END - HX_MM_KERNEL_BASE)
#define INT3 0xcc /* traps when it is run: Intel SDM vol. 2A */
_Static_assert(WINDOW_BYTES / HX_PAGE_BYTES <= HX_WINDOW_PAGES_MAX, "a map of the window");
_Static_assert(HX_TERRITORY_PAGES *HX_PAGE_BYTES == HX_VM_LARGE_BYTES, "a territory is what a table maps");
_Static_assert(HX_POOL_UNITS *HX_POOL_UNIT_BYTES == HX_PAGE_BYTES, "a page is a word of units");

static uintptr_t window_va; /* first page: a guard */
static struct hx_window window;
static struct hx_pool pools[HX_PROT_RX + 1]; /* by permission */
static uint16_t *spare;                      /* [arena frames] */
static uint32_t mapped_pages;

/* Of each territory in which something is mapped: the leaves of its pages and of their aliases. */
static struct {
    uint64_t *own, *alias;
} tables[HX_TERRITORIES_MAX];
static uintptr_t copy_window_va; /* a page to reach a frame through while it is filled */

static const uint64_t leaf_flags[] = {
    [HX_PROT_NONE] = HX_PTE_NX,
    [HX_PROT_R] = HX_VM_R,
    [HX_PROT_RW] = HX_VM_RW,
    [HX_PROT_RX] = HX_VM_RX,
};

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
    return frames * (sizeof(struct hx_pool_page) + sizeof(*spare));
}

void hx_image_memory_init(void *books, uint32_t frames, uint64_t seed)
{
    struct hx_pool_page *pages = books;

    window_va = ((uintptr_t)hx_kernel_end + HX_VM_LARGE_BYTES - 1) & ~(HX_VM_LARGE_BYTES - 1);
    hx_window_init(&window, (uint32_t)((HX_MM_IMAGE_END - window_va) / HX_PAGE_BYTES), seed);
    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++)
        hx_pool_init(&pools[prot], pages);
    spare = (uint16_t *)(pages + frames);
    copy_window_va = HX_MM_MMIO_BASE;
}

static uintptr_t page_va(uint32_t page)
{
    return window_va + (uintptr_t)page * HX_PAGE_BYTES;
}

static uint32_t page_of(uintptr_t va)
{
    return (uint32_t)((va - window_va) / HX_PAGE_BYTES);
}

static uintptr_t alias_of(uintptr_t va)
{
    return va - HX_MM_KERNEL_BASE + HX_MM_ALIAS_BASE;
}

static uint64_t *leaf_at(uint32_t page)
{
    return &tables[page / HX_TERRITORY_PAGES].own[page % HX_TERRITORY_PAGES];
}

static uint64_t *alias_at(uint32_t page)
{
    return &tables[page / HX_TERRITORY_PAGES].alias[page % HX_TERRITORY_PAGES];
}

/* The leaf of @page, which the guard behind a run may be, when @leaf is that of the page before it. */
static inline uint64_t *leaf_step(uint64_t *leaf, uint32_t page)
{
    return page % HX_TERRITORY_PAGES ? leaf + 1 : leaf_at(page);
}

/* Of the page at @va, in a territory that is open. */
static inline uint64_t *leaf_of(uintptr_t va)
{
    return leaf_at(page_of(va));
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */
static uintptr_t territory_va(uint32_t territory)
{
    return page_va(territory * HX_TERRITORY_PAGES);
}

/* Of the territories [@first, @end), those in which nothing is mapped lose their tables. */
static void tables_release(uint32_t first, uint32_t end)
{
    for (; first < end; first++) {
        if (hx_window_is_open(&window, first))
            continue;
        hx_vm_table_put(territory_va(first));
        hx_vm_table_put(alias_of(territory_va(first)));
    }
}

static hx_status_t territory_tables_get(uint32_t territory)
{
    tables[territory].own = hx_vm_table_get(territory_va(territory));
    if (!tables[territory].own)
        return HX_E_NOMEM;
    tables[territory].alias = hx_vm_table_get(alias_of(territory_va(territory)));
    if (tables[territory].alias)
        return HX_OK;
    hx_vm_table_put(territory_va(territory));
    return HX_E_NOMEM;
}

static hx_status_t tables_reserve(uint32_t first, uint32_t end)
{
    for (uint32_t territory = first; territory < end; territory++) {
        if (!hx_window_is_open(&window, territory) && territory_tables_get(territory)) {
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

/* Address space with its tables; nothing is mapped yet. */
static hx_status_t run_reserve(uint32_t pages, uint32_t *out_page)
{
    uint32_t page;
    hx_status_t err;

    if (hx_mm_arena.free < pages)
        return HX_E_NOMEM;
    page = hx_window_place(&window, pages);
    if (page == 0)
        return HX_E_NOMEM;
    err = tables_reserve(run_first_territory(page), run_end_territory(page, pages));
    if (err)
        return err;
    hx_window_take(&window, page, pages);
    mapped_pages += pages;
    *out_page = page;
    return HX_OK;
}

/* Nothing of it is mapped any more, on any CPU. */
static void run_release(uint32_t page, uint32_t pages)
{
    hx_window_give(&window, page, pages);
    tables_release(run_first_territory(page), run_end_territory(page, pages));
    mapped_pages -= pages;
}

/* The arena has as many frames as it counts. */
static uint64_t frame_take(enum hx_frame_use use)
{
    uint64_t pa = hx_frames_alloc(&hx_mm_arena, 1, use);

    if (pa == HX_FRAMES_NONE)
        hx_mm_broken("the arena has fewer frames than it counts", NULL);
    return pa;
}

/* @pages from @page on with fresh frames; what can be written elsewhere only, through an alias each. */
static void map_fresh(uint32_t page, uint32_t pages, enum hx_prot prot)
{
    for (; pages > 0; pages--, page++) {
        uint64_t pa = frame_take(HX_FRAMES_IMAGE);
        *leaf_at(page) = hx_vm_leaf(pa, leaf_flags[prot]);
        if (prot != HX_PROT_RW)
            *alias_at(page) = hx_vm_leaf(pa, HX_VM_RW);
    }
}

static hx_status_t image_alloc(uint32_t pages, enum hx_prot prot, uintptr_t *out_va)
{
    uint32_t page = 0;
    hx_status_t err = run_reserve(pages, &page);

    if (err)
        return err;
    map_fresh(page, pages, prot);
    *out_va = page_va(page);
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
    err = image_alloc((uint32_t)(bytes / HX_PAGE_BYTES), HX_PROT_RW, out_va);
    hx_lock_release(&hx_mm_lock, flags);
    if (!err)
        memset((void *)*out_va, 0, bytes);
    return err;
}

/* Every page of [@va, @va + @bytes) is allocated; otherwise the caller is lost. Part of every blackout: a few
 * instructions a page. */
static uint32_t pages_check(uintptr_t va, size_t bytes)
{
    uint32_t first = page_of(va);
    uint32_t count = (uint32_t)(bytes / HX_PAGE_BYTES);
    const uint64_t *leaf = NULL;

    if (va < window_va || (va | bytes) % HX_PAGE_BYTES != 0 || bytes > WINDOW_BYTES || first + count > window.pages)
        hx_mm_broken("not image memory", (void *)va);
    for (uint32_t page = first; page < first + count; page++) {
        bool new_table = page == first || page % HX_TERRITORY_PAGES == 0;
        if (new_table && !hx_window_is_open(&window, page / HX_TERRITORY_PAGES))
            hx_mm_broken("not image memory", (void *)va);
        leaf = new_table ? leaf_at(page) : leaf + 1;
        if (*leaf == 0)
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

static void image_free(uintptr_t va, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = leaf_at(page_of(va) + i);
        uint64_t pa = leaf_own_frame(leaf);
        *leaf = 0;
        if (hx_frames_free(&hx_mm_arena, pa, HX_FRAMES_IMAGE))
            hx_mm_broken("an image frame is freed twice", (void *)va);
    }
    hx_vm_flush(va, pages);
    run_release(page_of(va), pages);
}

void hx_hal_image_free(uintptr_t va, size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);

    image_free(va, pages_check(va, bytes));
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint32_t pages = pages_check(va, bytes);

    for (uint32_t i = 0; i < pages; i++) {
        uint64_t *leaf = leaf_at(page_of(va) + i);
        uint64_t wanted = leaf_flags[prot];
        if (!hx_frames_run(&hx_mm_arena, leaf_own_frame(leaf), HX_FRAMES_IMAGE))
            hx_mm_broken("a page of pieces keeps its permission", (void *)va);
        if (*leaf & HX_PTE_SHARED) /* becomes writable by being written, never executable */
            wanted = prot == HX_PROT_NONE ? HX_PTE_NX | HX_PTE_SHARED : HX_VM_R | HX_PTE_SHARED;
        *leaf = hx_vm_leaf(leaf_frame(leaf), wanted);
    }
    hx_vm_flush(va, pages);
    hx_lock_release(&hx_mm_lock, flags);
}

/* ---- pieces in pages of their own ----------------------------------------------------------------------------------- */
static size_t whole_pages(size_t bytes)
{
    return (bytes + HX_PAGE_BYTES - 1) & ~(size_t)(HX_PAGE_BYTES - 1);
}

static void aliases_remove(uintptr_t va, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        *alias_at(page_of(va) + i) = 0;
    hx_vm_flush(alias_of(va), pages);
}

/* CPUs note in a leaf that they used it. */
static bool leaf_has(uint64_t leaf, enum hx_prot prot)
{
    return ((leaf ^ hx_vm_leaf(0, leaf_flags[prot])) & (HX_PTE_PRESENT | HX_PTE_WRITE | HX_PTE_NX)) == 0;
}

/* Its pages, which have @prot. */
static uint32_t run_check(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    uint32_t pages = pages_check(va, whole_pages(bytes));

    if (!leaf_has(*leaf_of(va), prot))
        hx_mm_broken("a piece has another permission", (void *)va);
    return pages;
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

static uintptr_t page_start(uintptr_t va)
{
    return va & ~(uintptr_t)(HX_PAGE_BYTES - 1);
}

static void alias_map(uintptr_t va, uint64_t pa)
{
    *alias_at(page_of(va)) = hx_vm_leaf(pa, HX_VM_RW);
}

/* Whether @va lies in a page that pieces share; which it is then. Anything but image memory loses the caller. */
static bool shared_find(uintptr_t va, size_t bytes, enum hx_prot prot, struct shared_piece *out)
{
    uint32_t page = page_of(va);
    uint64_t leaf;

    if (va < window_va || page >= window.pages || !hx_window_is_open(&window, page / HX_TERRITORY_PAGES))
        hx_mm_broken("not image memory", (void *)va);
    leaf = *leaf_at(page);
    out->pa = leaf & HX_PTE_FRAME;
    if (!hx_frames_run(&hx_mm_arena, out->pa, HX_FRAMES_POOL))
        return false;
    out->pool = &pools[prot];
    out->index = (uint16_t)frame_index(out->pa);
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
    *leaf_at(page) = hx_vm_leaf(pa, leaf_flags[prot]);
    *out_index = (uint16_t)frame_index(pa);
    hx_pool_page_add(&pools[prot], *out_index, page);
    return HX_OK;
}

static void pool_page_destroy(struct hx_pool *pool, uint16_t index)
{
    uint32_t page = pool->page[index].place;

    hx_pool_page_remove(pool, index);
    *leaf_at(page) = 0;
    hx_vm_flush(page_va(page), 1);
    if (hx_frames_free(&hx_mm_arena, frame_pa(index), HX_FRAMES_POOL))
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
        alias_map(va, frame_pa(index));
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

static void alias_remove(uintptr_t va)
{
    aliases_remove(page_start(va), 1);
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
    hx_irq_flags_t flags;
    uintptr_t va = 0;
    hx_status_t err;

    if (bytes == 0 || align == 0 || (align & (align - 1)) || align > HX_PAGE_BYTES || prot == HX_PROT_NONE)
        return HX_E_INVAL;
    if (bytes > WINDOW_BYTES)
        return HX_E_NOMEM;
    flags = hx_lock_acquire(&hx_mm_lock);
    err = shared ? shared_alloc(units_of(bytes), prot, &va)
                 : image_alloc((uint32_t)(whole_pages(bytes) / HX_PAGE_BYTES), prot, &va);
    hx_lock_release(&hx_mm_lock, flags);
    if (err)
        return err;
    *out_va = va;
    *out_memory = (uint8_t *)(prot == HX_PROT_RW ? va : alias_of(va));
    if (!shared && whole_pages(bytes) != bytes)
        memset(*out_memory + bytes, prot == HX_PROT_RX ? INT3 : 0, whole_pages(bytes) - bytes);
    return HX_OK;
}

void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    struct shared_piece piece;
    hx_irq_flags_t flags;

    if (prot == HX_PROT_RW)
        return;
    flags = hx_lock_acquire(&hx_mm_lock);
    if (!shared_find(va, bytes, prot, &piece)) {
        aliases_remove(va, run_check(va, bytes, prot));
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
        pages = run_check(va, bytes, prot);
        if (prot != HX_PROT_RW)
            aliases_remove(va, pages);
        image_free(va, pages);
    }
    hx_lock_release(&hx_mm_lock, flags);
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
    uint32_t page = page_of(new_va), old_page = page_of(old_va);
    uint64_t *leaf = leaf_at(page), *old_leaf = leaf_at(old_page);
    for (uint32_t end = page + pages; page < end;) {
        uint64_t old_pa = leaf_frame(old_leaf);
        spare[frame_index(old_pa)] = (uint16_t)frame_index(leaf_own_frame(leaf));
        *leaf = hx_vm_leaf(old_pa, HX_VM_R | HX_PTE_SHARED);
        leaf = leaf_step(leaf, ++page);
        old_leaf = leaf_step(old_leaf, ++old_page);
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
        uint64_t *new_leaf = leaf_at(page_of(new_va) + i);
        uint64_t *old_leaf = leaf_at(page_of(old_va) + i);
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
    uint64_t *copy_leaf = hx_vm_leaf_of(copy_window_va);

    *copy_leaf = hx_vm_leaf(own_pa, HX_VM_RW);
    memcpy((void *)copy_window_va, (const void *)va, HX_PAGE_BYTES);
    *copy_leaf = 0;
    hx_vm_flush(copy_window_va, 1);
    *leaf = hx_vm_leaf(own_pa, HX_VM_RW);
    hx_vm_flush(va, 1);
}

bool hx_mm_fault(uintptr_t address, bool write)
{
    uintptr_t va = page_start(address);
    hx_irq_flags_t flags;
    bool settled = false;
    uint64_t *leaf;

    if (!write || address < window_va || address >= HX_MM_IMAGE_END)
        return false;
    flags = hx_lock_acquire(&hx_mm_lock);
    if (hx_window_is_open(&window, page_of(va) / HX_TERRITORY_PAGES)) {
        leaf = leaf_of(va);
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

uint32_t hx_image_memory_tables(void)
{
    return 2 * window.open_count;
}

void hx_image_memory_pool(enum hx_prot prot, uint64_t *out_pages, uint64_t *out_bytes)
{
    *out_pages = pools[prot].pages;
    *out_bytes = (uint64_t)pools[prot].units * HX_POOL_UNIT_BYTES;
}
