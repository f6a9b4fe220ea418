/* SPDX-License-Identifier: MIT */
/*
 * region_cases.c - state regions: sharing, the first write, and the two ends.
 *
 * Cases run on a pair of regions of which each crosses from one table of leaves into the next, at different pages, so that a
 * step that is right inside a table only is seen. The tables lie apart in memory: next to each other, one could be walked
 * off its end into the other without a difference.
 */
#include "selftest.h"

#include <mm/image_window.h>
#include <mm/vm.h>
#include <string.h>

enum {
    PAGES = 24,
    OLD_LEAD = 20, /* pages before the table ends */
    NEW_LEAD = 5,
    WORDS = HX_PAGE_BYTES / sizeof(uint64_t),
};
#define REGION_BYTES (PAGES * (size_t)HX_PAGE_BYTES)
/* Large enough not to be kept inside one table. */
#define IMAGE_PAGES (HX_TERRITORY_RUN + PAGES)
#define IMAGE_BYTES (IMAGE_PAGES * (size_t)HX_PAGE_BYTES)

struct pair {
    uintptr_t old_va, new_va;             /* of the regions */
    uintptr_t old_image_va, new_image_va; /* that they lie in */
};

static uint32_t pages_to_table_end(uintptr_t va)
{
    return (uint32_t)((HX_VM_LARGE_BYTES - va % HX_VM_LARGE_BYTES) / HX_PAGE_BYTES);
}

/* The first word of a page. */
static volatile uint64_t *word(uintptr_t region_va, uint32_t page)
{
    return (volatile uint64_t *)(region_va + (uintptr_t)page * HX_PAGE_BYTES);
}

static uint64_t old_mark(uint32_t page)
{
    return 0x01d0000 + page;
}

static uint64_t new_mark(uint32_t page)
{
    return 0x9e30000 + page;
}

/* The leaf of the first page that @region_va has in its second table does not follow that of the page before. */
static bool tables_are_apart(uintptr_t region_va, uint32_t lead)
{
    uintptr_t va = region_va + lead * (uintptr_t)HX_PAGE_BYTES;

    return hx_vm_leaf_of(va) != hx_vm_leaf_of(va - HX_PAGE_BYTES) + 1;
}

/* An image with a page to spare on either side of a region that has @lead pages in its first table: placed anew until a table
 * ends where there is room for that. */
static bool place_region(uint32_t lead, uintptr_t *out_image_va, uintptr_t *out_region_va)
{
    enum { TRIES = 1000 };

    for (uint32_t i = 0; i < TRIES; i++) {
        EXPECT(hx_hal_image_alloc(IMAGE_BYTES, out_image_va) == HX_OK);
        uint32_t first = pages_to_table_end(*out_image_va);
        *out_region_va = *out_image_va + (first - lead) * (uintptr_t)HX_PAGE_BYTES;
        if (first > lead && first - lead + PAGES < IMAGE_PAGES && tables_are_apart(*out_region_va, lead))
            return true;
        hx_hal_image_free(*out_image_va, IMAGE_BYTES);
    }
    return selftest_fail("no image lies across tables in %u tries", (uint32_t)TRIES);
}

static bool place(struct pair *pair)
{
    EXPECT(place_region(OLD_LEAD, &pair->old_image_va, &pair->old_va));
    EXPECT(place_region(NEW_LEAD, &pair->new_image_va, &pair->new_va));
    EXPECT(pages_to_table_end(pair->old_va) == OLD_LEAD && pages_to_table_end(pair->new_va) == NEW_LEAD);
    return true;
}

static bool place_and_share(struct pair *pair)
{
    EXPECT(place(pair));
    for (uint32_t i = 0; i < PAGES; i++) {
        *word(pair->old_va, i) = old_mark(i);
        word(pair->old_va, i)[WORDS - 1] = ~old_mark(i);
        *word(pair->new_va, i) = new_mark(i);
    }
    hx_hal_region_share(pair->new_va, pair->old_va, REGION_BYTES);
    return true;
}

static void give_old(const struct pair *pair)
{
    hx_hal_image_free(pair->old_image_va, IMAGE_BYTES);
}

static void give_new(const struct pair *pair)
{
    hx_hal_image_free(pair->new_image_va, IMAGE_BYTES);
}

/* The old one last: it may still be shown. */
static bool give_both(const struct pair *pair)
{
    give_new(pair);
    give_old(pair);
    return true;
}

/* Page @page of a region shows the old region's contents, to the last word. */
static bool shows_old(uintptr_t region_va, uint32_t page)
{
    EXPECT(*word(region_va, page) == old_mark(page));
    EXPECT(word(region_va, page)[WORDS - 1] == ~old_mark(page));
    return true;
}

static bool all_show_old(uintptr_t region_va)
{
    for (uint32_t i = 0; i < PAGES; i++)
        EXPECT(shows_old(region_va, i));
    return true;
}

static void write_odd_pages(uintptr_t region_va)
{
    for (uint32_t i = 1; i < PAGES; i += 2)
        *word(region_va, i) = new_mark(i);
}

/* As write_odd_pages() leaves a region that has shown the old one's contents. */
static bool odd_are_written(uintptr_t region_va)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        EXPECT(*word(region_va, i) == (i % 2 ? new_mark(i) : old_mark(i)));
        EXPECT(word(region_va, i)[WORDS - 1] == ~old_mark(i));
    }
    return true;
}

/* ---- cases ---------------------------------------------------------------------------------------------------------- */
static bool share_shows_the_old_frames(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    EXPECT(all_show_old(pair.new_va) && all_show_old(pair.old_va));
    for (uint32_t i = 0; i < PAGES; i++) {
        *word(pair.old_va, i) = i;
        EXPECT(*word(pair.new_va, i) == i);
    }
    return give_both(&pair);
}

static bool neighbours_stay(void)
{
    struct pair pair;

    EXPECT(place(&pair));
    volatile uint64_t *const neighbour[] = { word(pair.new_va, 0) - 1, word(pair.new_va, PAGES),
                                             word(pair.old_va, 0) - 1, word(pair.old_va, PAGES) };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(neighbour); i++)
        *neighbour[i] = 0xbef0 + i;
    hx_hal_region_share(pair.new_va, pair.old_va, REGION_BYTES);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(neighbour); i++)
        EXPECT(*neighbour[i] == 0xbef0 + i && can_write((uintptr_t)neighbour[i]));
    EXPECT(!can_read(pair.new_image_va + IMAGE_BYTES) && !can_read(pair.old_image_va + IMAGE_BYTES));
    return give_both(&pair);
}

static bool first_write_copies(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    EXPECT(odd_are_written(pair.new_va) && all_show_old(pair.old_va));
    write_odd_pages(pair.new_va);
    EXPECT(odd_are_written(pair.new_va));
    EXPECT(!can_read(HX_MM_MMIO_BASE)); /* the window that copies go through */
    return give_both(&pair);
}

static bool commit_hands_over(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    hx_hal_region_commit(pair.new_va, pair.old_va, REGION_BYTES);
    EXPECT(odd_are_written(pair.new_va));
    give_old(&pair);
    for (uint32_t i = 0; i < PAGES; i++) {
        EXPECT(!(*hx_vm_leaf_of((uintptr_t)word(pair.new_va, i)) & HX_PTE_SHARED));
        EXPECT(can_write((uintptr_t)word(pair.new_va, i)));
    }
    EXPECT(odd_are_written(pair.new_va));
    give_new(&pair);
    return true;
}

static bool unshare_gives_back(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    hx_hal_region_unshare(pair.new_va, REGION_BYTES);
    for (uint32_t i = 0; i < PAGES; i++)
        *word(pair.new_va, i) = word(pair.new_va, i)[WORDS - 1] = ~(uint64_t)i;
    EXPECT(all_show_old(pair.old_va));
    return give_both(&pair);
}

static bool share_again_after_unshare(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    hx_hal_region_unshare(pair.new_va, REGION_BYTES);
    hx_hal_region_share(pair.new_va, pair.old_va, REGION_BYTES);
    EXPECT(all_show_old(pair.new_va));
    return give_both(&pair);
}

static bool new_is_freed_while_shared(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    give_new(&pair);
    EXPECT(all_show_old(pair.old_va) && can_write(pair.old_va));
    give_old(&pair);
    return true;
}

static bool protect_keeps_the_share(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    *(volatile uint8_t *)pair.old_va = RETURN_INSTRUCTION;
    hx_hal_image_protect(pair.new_va, REGION_BYTES, HX_PROT_RX);
    EXPECT(can_read(pair.new_va) && !can_run(pair.new_va));
    hx_hal_image_protect(pair.new_va, REGION_BYTES, HX_PROT_NONE);
    EXPECT(!can_read(pair.new_va) && !can_write(pair.new_va));
    hx_hal_image_protect(pair.new_va, REGION_BYTES, HX_PROT_RW);
    *word(pair.old_va, 0) = old_mark(0);
    write_odd_pages(pair.new_va);
    EXPECT(odd_are_written(pair.new_va) && all_show_old(pair.old_va));
    return give_both(&pair);
}

static bool module_writes_first(void)
{
    struct pair pair;

    EXPECT(place_and_share(&pair));
    EXPECT(module_call(OP_WRITE, (uintptr_t)word(pair.new_va, NEW_LEAD), 0x5a) == HX_OK);
    EXPECT((uint8_t)*word(pair.new_va, NEW_LEAD) == 0x5a && all_show_old(pair.old_va));
    return give_both(&pair);
}

/* Behind such an image lies no table; one that is made for the step after the last page stays, and the runner sees it. Placed
 * anew until it ends there. */
static bool place_at_table_end(uintptr_t *out_va)
{
    enum { TRIES = 20000 };

    for (uint32_t i = 0; i < TRIES; i++) {
        EXPECT(hx_hal_image_alloc(IMAGE_BYTES, out_va) == HX_OK);
        if ((*out_va + IMAGE_BYTES) % HX_VM_LARGE_BYTES == 0)
            return true;
        hx_hal_image_free(*out_va, IMAGE_BYTES);
    }
    return selftest_fail("no image ends with its table in %u tries", (uint32_t)TRIES);
}

static bool end_of_a_table_is_an_end(void)
{
    enum { BYTES = 4 * HX_PAGE_BYTES };
    uintptr_t inside_va = 0, image_va = 0;

    EXPECT(hx_hal_image_alloc(BYTES, &inside_va) == HX_OK && place_at_table_end(&image_va));
    uintptr_t last_va = image_va + IMAGE_BYTES - BYTES;

    hx_hal_region_share(last_va, inside_va, BYTES);
    *word(inside_va, 3) = old_mark(3);
    EXPECT(*word(last_va, 3) == old_mark(3));
    hx_hal_region_unshare(last_va, BYTES);
    hx_hal_region_share(inside_va, last_va, BYTES);
    *word(last_va, 3) = new_mark(3);
    EXPECT(*word(inside_va, 3) == new_mark(3));
    hx_hal_region_commit(inside_va, last_va, BYTES);
    hx_hal_image_free(image_va, IMAGE_BYTES);
    EXPECT(*word(inside_va, 3) == new_mark(3));
    hx_hal_image_free(inside_va, BYTES);
    return true;
}

static bool audit_passes_while_shared(void)
{
    struct pair pair;
    char text[160];

    EXPECT(place_and_share(&pair));
    write_odd_pages(pair.new_va);
    EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    return give_both(&pair);
}

static const struct selftest_case cases[] = {
    { "a shared region shows the old region's frames, page by page", share_shows_the_old_frames },
    { "sharing leaves the pages around a region alone", neighbours_stay },
    { "the first write to a shared page copies it, and the old page stays", first_write_copies },
    { "commit hands over what was not written and keeps what was", commit_hands_over },
    { "unshare leaves the old region as if nothing had happened", unshare_gives_back },
    { "a region can be shared again after unshare", share_again_after_unshare },
    { "the new image can be freed while it shares", new_is_freed_while_shared },
    { "protecting a shared page neither runs it nor ends the sharing", protect_keeps_the_share },
    { "a module's write to a shared page is settled, not unwound", module_writes_first },
    { "a region may end where its table of leaves ends", end_of_a_table_is_an_end },
    { "the audit passes while regions are shared", audit_passes_while_shared },
};
const struct selftest_group selftest_region = { cases, HX_ARRAY_SIZE(cases) };
