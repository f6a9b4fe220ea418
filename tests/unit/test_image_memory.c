/* SPDX-License-Identifier: MIT */
/*
 * test_image_memory.c - image memory over page tables that are arrays: what it promises between two holds of its lock, and
 * that its books agree after any order of calls.
 *
 * Why the source is included: its functions have the names of the host's own image memory, which is linked too. Nothing is
 * mapped, so nothing is cleared.
 */
#ifndef __clang__
#pragma GCC optimize("O0") /* as one unit with the fakes below, gcc 12 leaves out calls of tables_release() */
#endif
#include <criterion/criterion.h>
#include <mm/mm.h>
#include <mm/vm.h>
#include <stdlib.h>
#include <string.h>

#define hx_hal_image_alloc test_image_alloc
#define hx_hal_image_free test_image_free
#define hx_hal_image_protect test_image_protect
#define hx_hal_image_window test_image_window
#define hx_hal_piece_alloc test_piece_alloc
#define hx_hal_piece_seal test_piece_seal
#define hx_hal_piece_free test_piece_free
#define hx_kernel_end ((char *)(HX_MM_KERNEL_BASE + HX_VM_LARGE_BYTES))

static void hold_ended(void);
static void turn_come(void);
static void *clear_nothing(void *memory, int byte, size_t bytes);
#define hx_lock_release(lock, flags) (hold_ended(), hx_lock_release((lock), (flags)), turn_come())
#define memset clear_nothing
HX_NODISCARD hx_status_t hx_hal_image_alloc(size_t bytes, uintptr_t *out_va);
void hx_hal_image_free(uintptr_t va, size_t bytes);
void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot);
void hx_hal_image_window(uintptr_t *out_low, uintptr_t *out_high);
HX_NODISCARD hx_status_t hx_hal_piece_alloc(size_t bytes, size_t align, enum hx_prot prot, uintptr_t *out_va,
                                            uint8_t **out_memory);
void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot);
void hx_hal_piece_free(uintptr_t va, size_t bytes, enum hx_prot prot);
#include "../../kernel/mm/image_memory.c"
#undef memset
#undef hx_lock_release

enum { ARENA_FRAMES = 6000, LARGE_PAGES = 4096, HOLD_PAGES = 64 };
#define LARGE_BYTES (LARGE_PAGES * (size_t)HX_PAGE_BYTES)

struct hx_lock hx_mm_lock = HX_LOCK_INIT(HX_RANK_MEMORY);
struct hx_frames hx_mm_frames, hx_mm_arena;
static void *arena_books, *image_books;

/* ---- the machine ---------------------------------------------------------------------------------------------------- */
static uint64_t *table[2][HX_TERRITORIES_MAX + 1]; /* images', aliases' */
static volatile uint32_t table_count;

static struct {
    uint32_t holds, most_frames, most_flushed; /* of one hold */
    uint32_t flushed, frames_free;             /* in the hold that lasts */
    void (*at_turn)(void);                     /* called once */
} watch;

_Noreturn void hx_mm_broken(const char *what, const void *address)
{
    cr_assert_fail("%s: %p", what, address);
    abort();
}

uint64_t hx_vm_leaf(uint64_t pa, uint64_t flags)
{
    return pa | flags;
}

static uint64_t **table_of(uintptr_t va)
{
    bool alias = va < HX_MM_KERNEL_BASE;
    return &table[alias][(va - (alias ? HX_MM_ALIAS_BASE : HX_MM_KERNEL_BASE)) / HX_VM_LARGE_BYTES];
}

uint64_t *hx_vm_table_get(uintptr_t va)
{
    uint64_t **at = table_of(va);
    cr_assert_null(*at);
    *at = calloc(HX_TERRITORY_PAGES, sizeof(**at));
    table_count++;
    return *at;
}

void hx_vm_table_put(uintptr_t va)
{
    uint64_t **at = table_of(va);
    cr_assert_not_null(*at);
    for (uint32_t i = 0; i < HX_TERRITORY_PAGES; i++)
        cr_assert_eq((*at)[i], 0);
    free(*at);
    *at = NULL;
    table_count--;
}

void hx_vm_flush(uintptr_t va, size_t pages)
{
    (void)va;
    watch.flushed += (uint32_t)pages;
}

static void *clear_nothing(void *memory, int byte, size_t bytes)
{
    return (uintptr_t)memory < HX_MM_ALIAS_BASE ? memset(memory, byte, bytes) : memory;
}

static void hold_ended(void)
{
    uint32_t now = hx_mm_arena.free, before = watch.frames_free;
    uint32_t frames = now > before ? now - before : before - now;
    watch.holds++;
    watch.most_frames = frames > watch.most_frames ? frames : watch.most_frames;
    watch.most_flushed = watch.flushed > watch.most_flushed ? watch.flushed : watch.most_flushed;
    watch.frames_free = now;
    watch.flushed = 0;
}

static void turn_come(void)
{
    void (*at_turn)(void) = watch.at_turn;
    watch.at_turn = NULL;
    if (at_turn)
        at_turn();
}

static void begin(void)
{
    arena_books = calloc(1, hx_frames_books_bytes(ARENA_FRAMES));
    hx_frames_init(&hx_mm_arena, 0x10000000, ARENA_FRAMES, arena_books);
    hx_frames_add(&hx_mm_arena, 0x10000000, (uint64_t)ARENA_FRAMES * HX_FRAMES_BYTES);
    image_books = calloc(1, hx_image_memory_books_bytes(ARENA_FRAMES));
    hx_image_memory_init(image_books, ARENA_FRAMES, 5);
    watch.frames_free = hx_mm_arena.free;
}

static uint32_t leaves(bool alias)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t <= HX_TERRITORIES_MAX; t++)
        for (uint32_t i = 0; table[alias][t] && i < HX_TERRITORY_PAGES; i++)
            count += table[alias][t][i] != 0;
    return count;
}

static void end(void)
{
    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++)
        cr_assert_leq(pools[prot].pages, 1);
    cr_assert_eq(leaves(true), 0);
    cr_assert_eq(promised_frames, 0);
    free(arena_books);
    free(image_books);
}

TestSuite(image_memory, .init = begin, .fini = end);

/* ---- turns ---------------------------------------------------------------------------------------------------------- */
/* Since the last look: nobody waited for longer than a batch. Of a piece, pages and aliases are two things to forget. */
static void turns_check(uint32_t flushes)
{
    cr_assert_geq(watch.holds, LARGE_PAGES / HOLD_PAGES);
    cr_assert_leq(watch.most_frames, HOLD_PAGES);
    cr_assert_leq(watch.most_flushed, flushes);
    watch.holds = watch.most_frames = watch.most_flushed = 0;
}

Test(image_memory, a_large_image_gives_turns_after_64_pages)
{
    uintptr_t va = 0;
    cr_assert_eq(hx_hal_image_alloc(LARGE_BYTES, &va), HX_OK);
    turns_check(0);
    hx_hal_image_protect(va, LARGE_BYTES, HX_PROT_R);
    turns_check(HOLD_PAGES);
    hx_hal_image_free(va, LARGE_BYTES);
    turns_check(HOLD_PAGES + 2 * LARGE_PAGES / HX_TERRITORY_PAGES);
}

Test(image_memory, a_large_piece_gives_turns_after_64_pages)
{
    uintptr_t va = 0;
    uint8_t *memory = NULL;
    cr_assert_eq(hx_hal_piece_alloc(LARGE_BYTES - 5, 8, HX_PROT_RX, &va, &memory), HX_OK);
    turns_check(0);
    hx_hal_piece_seal(va, LARGE_BYTES - 5, HX_PROT_RX);
    turns_check(HOLD_PAGES);
    hx_hal_piece_free(va, LARGE_BYTES - 5, HX_PROT_RX);
    turns_check(2 * HOLD_PAGES);
}

/* The rest of the arena can be had in the middle of another's allocation, and no page more. */
static void ask_for_the_rest(void)
{
    size_t rest_bytes = (ARENA_FRAMES - LARGE_PAGES) * (size_t)HX_PAGE_BYTES;
    uintptr_t va = 0;
    cr_assert_eq(hx_mm_arena.free, ARENA_FRAMES - HOLD_PAGES);
    cr_assert_eq(hx_hal_image_alloc(rest_bytes + HX_PAGE_BYTES, &va), HX_E_NOMEM);
    cr_assert_eq(hx_hal_image_alloc(rest_bytes, &va), HX_OK);
    hx_hal_image_free(va, rest_bytes);
}

Test(image_memory, what_is_promised_to_a_run_is_given_to_nobody_else)
{
    uintptr_t va = 0;
    watch.at_turn = ask_for_the_rest;
    cr_assert_eq(hx_hal_image_alloc(LARGE_BYTES, &va), HX_OK);
    cr_assert_null(watch.at_turn);
    hx_hal_image_free(va, LARGE_BYTES);
}

static uintptr_t freed_va;

static void look_at_the_place(void)
{
    uint32_t page = hx_image_page_of(freed_va);
    cr_assert_eq(*hx_image_leaf_at(page + HOLD_PAGES - 1), 0);
    cr_assert_neq(*hx_image_leaf_at(page + HOLD_PAGES), 0);
    for (uint32_t i = 0; i <= LARGE_PAGES; i++)
        cr_assert(hx_window_is_taken(window, page + i));
}

static void wait_for_the_unmapping(void)
{
    if (*hx_image_leaf_at(hx_image_page_of(freed_va)) == 0)
        look_at_the_place();
    else
        watch.at_turn = wait_for_the_unmapping;
}

Test(image_memory, a_run_stays_taken_until_the_last_of_it_is_gone)
{
    cr_assert_eq(hx_hal_image_alloc(LARGE_BYTES, &freed_va), HX_OK);
    watch.at_turn = wait_for_the_unmapping;
    hx_hal_image_free(freed_va, LARGE_BYTES);
    cr_assert_null(watch.at_turn);
}

/* ---- any order ------------------------------------------------------------------------------------------------------ */
enum { LIVE = 500, ROUNDS = 60000 };

static struct live {
    uintptr_t va;
    size_t bytes;
    enum hx_prot prot; /* HX_PROT_NONE: an image */
    bool open;
} live[LIVE];
static uint32_t live_count;

static struct hx_random dice;

static void come(void)
{
    struct live *one = &live[live_count];
    size_t align = 1ull << hx_random_below(&dice, 13);
    uint8_t *memory;
    hx_status_t err;
    *one = (struct live){ .bytes = 1 + hx_random_below(&dice, hx_random_below(&dice, 8) ? 3000 : 500000) };
    one->prot = (enum hx_prot)hx_random_below(&dice, 4);
    if (one->prot == HX_PROT_NONE) {
        one->bytes = hx_page_round_up(one->bytes);
        err = hx_hal_image_alloc(one->bytes, &one->va);
    } else {
        err = hx_hal_piece_alloc(one->bytes, align, one->prot, &one->va, &memory);
        one->open = one->prot != HX_PROT_RW;
        cr_assert(err || one->va % align == 0);
    }
    if (err)
        return;
    for (uint32_t i = 0; i < live_count; i++)
        cr_assert(one->va + one->bytes <= live[i].va || live[i].va + live[i].bytes <= one->va);
    live_count++;
}

static void go(uint32_t at)
{
    struct live one = live[at];
    live[at] = live[--live_count];
    if (one.prot == HX_PROT_NONE)
        hx_hal_image_free(one.va, one.bytes);
    else
        hx_hal_piece_free(one.va, one.bytes, one.prot);
}

static void books_check(void)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < live_count; i++)
        open += live[i].open;
    cr_assert(open || leaves(true) == 0, "an alias is left");
    cr_assert_eq(leaves(false), ARENA_FRAMES - hx_mm_arena.free);
    cr_assert_eq(leaves(false), hx_image_memory_pages());
    cr_assert_eq(table_count, hx_image_memory_tables(), "%u tables, %u counted, %u live", table_count,
                 hx_image_memory_tables(), live_count);
}

Test(image_memory, books_agree_with_the_tables_after_any_order_of_calls)
{
    dice = hx_random_of(7);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t what = hx_random_below(&dice, 100), at = live_count ? hx_random_below(&dice, live_count) : 0;
        if (what < 45 && live_count < LIVE) {
            come();
        } else if (what < 70 && live_count && live[at].prot != HX_PROT_NONE) {
            hx_hal_piece_seal(live[at].va, live[at].bytes, live[at].prot);
            live[at].open = false;
        } else if (live_count) {
            go(at);
        }
        if (round % 500 == 0)
            books_check();
    }
    while (live_count)
        go(live_count - 1);
    books_check();
}
