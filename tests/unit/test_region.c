/* SPDX-License-Identifier: MIT */
/*
 * test_region.c - state regions while other CPUs run in the new image: what these find in its leaves between any two steps.
 *
 * Two others are modelled. One comes by at every step for the first time, and translates by the leaf as it stands then; the
 * other has come by before, and goes on with what it found until it is told to forget. The first must always find the state,
 * and may write only where the second looks. The source is included, as its functions have the names of the host's own.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define hx_hal_region_share test_region_share
#define hx_hal_region_commit test_region_commit
#define hx_hal_region_unshare test_region_unshare
#define hx_image_space test_region_space
#define hx_mm_arena test_region_arena
#define hx_mm_broken test_region_broken
#define hx_mm_fault test_region_fault
#define hx_mm_lock test_region_lock
#define hx_vm_flush test_region_flush
#define hx_vm_flush_here test_region_flush_here
#define hx_vm_leaf test_region_leaf
#define hx_vm_leaf_of test_region_leaf_of

static void look(void);
static void *copy_page(void *to, const void *from, size_t bytes);
#include <mm/vm.h>
#define hx_lock_release(lock, flags) (look(), hx_lock_release((lock), (flags)))
#define memcpy copy_page
#include "../../kernel/mm/region.c"
#undef memcpy
#undef hx_lock_release

enum { PAGES = 3, OLD_PAGE = 1, NEW_PAGE = 5, OLD_FRAME = 2, NEW_FRAME = 20, FRAMES = 32 };
#define LOW HX_MM_KERNEL_BASE
#define OLD (LOW + OLD_PAGE * (uintptr_t)HX_PAGE_BYTES)
#define NEW (LOW + NEW_PAGE * (uintptr_t)HX_PAGE_BYTES)
#define BYTES (PAGES * (size_t)HX_PAGE_BYTES)

struct hx_image_space hx_image_space;
struct hx_frames hx_mm_arena;
struct hx_lock hx_mm_lock = HX_LOCK_INIT(HX_RANK_MEMORY);

static uint64_t leaf[HX_TERRITORY_PAGES], copy_leaf;
static uint16_t spare[FRAMES];
static bool has_state[FRAMES];
static uint64_t remembered[PAGES]; /* by the second CPU, of the new image's pages; 0: nothing */
static bool watched;
static uint32_t flushed_here;

_Noreturn void hx_mm_broken(const char *what, const void *address)
{
    cr_assert_fail("%s: %p", what, address);
    abort();
}

static void look(void)
{
    for (uint32_t i = 0; watched && i < PAGES; i++) {
        uint64_t now = leaf[NEW_PAGE + i];
        if (!remembered[i])
            remembered[i] = now;
        cr_assert(now & HX_PTE_PRESENT);
        cr_assert(has_state[hx_image_frame_index(hx_image_leaf_frame(now))], "page %u shows no state", i);
        cr_assert(!(now & HX_PTE_WRITE) || hx_image_leaf_frame(now) == hx_image_leaf_frame(remembered[i]),
                  "page %u is written where another CPU does not look", i);
    }
}

uint64_t hx_vm_leaf(uint64_t pa, uint64_t flags)
{
    look();
    return pa | flags;
}

uint64_t *hx_vm_leaf_of(uintptr_t va)
{
    cr_assert_eq(va, HX_MM_MMIO_BASE);
    return &copy_leaf;
}

void hx_vm_flush(uintptr_t va, size_t pages)
{
    look();
    for (uint32_t i = 0; i < PAGES; i++)
        if (NEW + i * (uintptr_t)HX_PAGE_BYTES - va < pages * HX_PAGE_BYTES)
            remembered[i] = 0;
    look();
}

void hx_vm_flush_here(uintptr_t va, size_t pages)
{
    flushed_here += va >= NEW && va < NEW + BYTES && pages == 1;
    look();
}

static void *copy_page(void *to, const void *from, size_t bytes)
{
    uint64_t shown = *hx_image_leaf_at(hx_image_page_of((uintptr_t)from));
    cr_assert_eq(bytes, HX_PAGE_BYTES);
    has_state[hx_image_frame_index(hx_image_leaf_frame(copy_leaf))] =
        has_state[hx_image_frame_index(hx_image_leaf_frame(shown))];
    look();
    return to;
}

/* The old image's frames have the state, and the new one shows them. */
static void begin(void)
{
    hx_mm_arena.first_pa = 0x10000000;
    hx_image_space.low = LOW;
    hx_image_space.window.pages = HX_TERRITORY_PAGES;
    hx_image_space.table[0].own = leaf;
    hx_image_space.spare = spare;
    for (uint32_t i = 0; i < FRAMES; i++)
        spare[i] = HX_IMAGE_NO_FRAME;
    for (uint32_t i = 0; i < PAGES; i++) {
        leaf[OLD_PAGE + i] = hx_image_frame_pa(OLD_FRAME + i) | HX_VM_RW;
        leaf[NEW_PAGE + i] = hx_image_frame_pa(NEW_FRAME + i) | HX_VM_RW;
        has_state[OLD_FRAME + i] = true;
    }
    hx_hal_region_share(NEW, OLD, BYTES);
    watched = true;
}

static void expect_own(uint32_t page, uint32_t frame)
{
    cr_assert_eq(leaf[page], hx_image_frame_pa(frame) | HX_VM_RW, "page %u", page);
}

static void expect_none_waits(void)
{
    for (uint32_t i = 0; i < FRAMES; i++)
        cr_assert_eq(spare[i], HX_IMAGE_NO_FRAME);
}

TestSuite(region, .init = begin);

Test(region, a_page_that_is_written_goes_on_by_itself_when_nobody_looks_at_the_old_one_any_more)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        cr_assert(hx_mm_fault(NEW + i * (uintptr_t)HX_PAGE_BYTES + 8, true));
        expect_own(NEW_PAGE + i, NEW_FRAME + i);
        expect_own(OLD_PAGE + i, OLD_FRAME + i);
    }
    expect_none_waits();
}

Test(region, a_cpu_that_writes_second_only_forgets_what_it_remembers)
{
    cr_assert(hx_mm_fault(NEW, true));
    cr_assert_eq(flushed_here, 0);
    cr_assert(hx_mm_fault(NEW, true));
    cr_assert_eq(flushed_here, 1);
    expect_own(NEW_PAGE, NEW_FRAME);
    hx_hal_region_commit(NEW, OLD, BYTES);
}

Test(region, what_is_handed_over_shows_the_state_at_every_moment)
{
    cr_assert(hx_mm_fault(NEW + HX_PAGE_BYTES, true));
    hx_hal_region_commit(NEW, OLD, BYTES);
    for (uint32_t i = 0; i < PAGES; i++) {
        expect_own(NEW_PAGE + i, i == 1 ? NEW_FRAME + i : OLD_FRAME + i);
        expect_own(OLD_PAGE + i, i == 1 ? OLD_FRAME + i : NEW_FRAME + i);
    }
    expect_none_waits();
}

Test(region, what_is_taken_back_shows_its_own_frames)
{
    watched = false; /* nobody is inside */
    hx_hal_region_unshare(NEW, BYTES);
    for (uint32_t i = 0; i < PAGES; i++) {
        expect_own(NEW_PAGE + i, NEW_FRAME + i);
        expect_own(OLD_PAGE + i, OLD_FRAME + i);
    }
    expect_none_waits();
}
