/* SPDX-License-Identifier: MIT */
/*
 * test_frames.c - the buddy system over physical frames.
 *
 * Why a second book: the properties that matter (no frame twice, none lost, none outside) are checked against a plain
 * array of owners, over long random runs that repeat exactly.
 */
#include <criterion/criterion.h>
#include <mm/frames.h>
#include <stdlib.h>
#include <string.h>

enum { SPAN = 10000, HOLE_FIRST = 3000, HOLE_COUNT = 500 };
#define FIRST_PA 0x1000000ull

static struct hx_frames frames;
static void *books;

static void setup(void)
{
    books = malloc(hx_frames_books_bytes(SPAN));
    memset(books, 0xa5, hx_frames_books_bytes(SPAN));
    hx_frames_init(&frames, FIRST_PA, SPAN, books);
    hx_frames_add(&frames, FIRST_PA, (uint64_t)HOLE_FIRST * HX_FRAMES_BYTES);
    hx_frames_add(&frames, FIRST_PA + (uint64_t)(HOLE_FIRST + HOLE_COUNT) * HX_FRAMES_BYTES,
                  (uint64_t)(SPAN - HOLE_FIRST - HOLE_COUNT) * HX_FRAMES_BYTES);
}

static void teardown(void)
{
    free(books);
}

TestSuite(frames, .init = setup, .fini = teardown);

static uint32_t random_below(uint32_t limit)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % limit;
}

static uint32_t index_of(uint64_t pa)
{
    return (uint32_t)((pa - FIRST_PA) / HX_FRAMES_BYTES);
}

Test(frames, everything_added_is_free_and_the_hole_is_not)
{
    cr_expect_eq(frames.total, SPAN - HOLE_COUNT);
    cr_expect_eq(frames.free, SPAN - HOLE_COUNT);
}

Test(frames, a_run_is_aligned_to_the_power_of_two_above_it)
{
    for (uint32_t count = 1; count <= 600; count++) {
        uint64_t pa = hx_frames_alloc(&frames, count, HX_FRAMES_LARGE);
        uint32_t align = 1;
        while (align < count)
            align *= 2;
        cr_assert_neq(pa, HX_FRAMES_NONE);
        cr_expect_eq(index_of(pa) % align, 0, "%u frames at %u", count, index_of(pa));
        cr_assert_eq(hx_frames_free(&frames, pa, HX_FRAMES_LARGE), HX_OK);
    }
    cr_expect_eq(frames.free, frames.total);
}

Test(frames, five_frames_cost_five)
{
    uint64_t pa = hx_frames_alloc(&frames, 5, HX_FRAMES_LARGE);

    cr_expect_eq(frames.free, frames.total - 5);
    cr_expect_eq(hx_frames_run(&frames, pa, HX_FRAMES_LARGE), 5);
    cr_expect_eq(hx_frames_free(&frames, pa, HX_FRAMES_LARGE), HX_OK);
    cr_expect_eq(frames.free, frames.total);
}

Test(frames, no_frames_and_too_many_are_refused)
{
    cr_expect_eq(hx_frames_alloc(&frames, 0, HX_FRAMES_LARGE), HX_FRAMES_NONE);
    cr_expect_eq(hx_frames_alloc(&frames, HX_FRAMES_RUN_MAX + 1, HX_FRAMES_LARGE), HX_FRAMES_NONE);
    cr_expect_eq(hx_frames_alloc(&frames, UINT32_MAX, HX_FRAMES_LARGE), HX_FRAMES_NONE);
    cr_expect_neq(hx_frames_alloc(&frames, HX_FRAMES_RUN_MAX, HX_FRAMES_LARGE), HX_FRAMES_NONE);
}

Test(frames, every_frame_is_handed_out_once_and_none_of_the_hole)
{
    static uint8_t seen[SPAN];
    uint64_t pa;
    uint32_t count = 0;

    while ((pa = hx_frames_alloc(&frames, 1, HX_FRAMES_TABLE)) != HX_FRAMES_NONE) {
        cr_assert(pa >= FIRST_PA && index_of(pa) < SPAN);
        cr_assert(index_of(pa) < HOLE_FIRST || index_of(pa) >= HOLE_FIRST + HOLE_COUNT);
        cr_assert_eq(seen[index_of(pa)]++, 0);
        count++;
    }
    cr_expect_eq(count, frames.total);
    cr_expect_eq(frames.free, 0);
}

Test(frames, after_everything_came_back_the_largest_run_is_there_again)
{
    static uint64_t taken[SPAN];
    uint32_t count = 0;
    uint64_t whole = hx_frames_alloc(&frames, HX_FRAMES_RUN_MAX, HX_FRAMES_LARGE);

    cr_assert_neq(whole, HX_FRAMES_NONE);
    cr_assert_eq(hx_frames_free(&frames, whole, HX_FRAMES_LARGE), HX_OK);
    while ((taken[count] = hx_frames_alloc(&frames, 1, HX_FRAMES_TABLE)) != HX_FRAMES_NONE)
        count++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = random_below(count);
        uint64_t swap = taken[i];
        taken[i] = taken[other];
        taken[other] = swap;
    }
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(hx_frames_free(&frames, taken[i], HX_FRAMES_TABLE), HX_OK);
    cr_expect_neq(hx_frames_alloc(&frames, HX_FRAMES_RUN_MAX, HX_FRAMES_LARGE), HX_FRAMES_NONE);
}

Test(frames, giving_back_twice_or_what_is_no_run_is_refused)
{
    uint64_t pa = hx_frames_alloc(&frames, 8, HX_FRAMES_STACK);
    uint32_t free_before = frames.free;

    cr_expect_eq(hx_frames_free(&frames, pa + HX_FRAMES_BYTES, HX_FRAMES_STACK), HX_E_INVAL, "inside a run");
    cr_expect_eq(hx_frames_free(&frames, pa + 8, HX_FRAMES_STACK), HX_E_INVAL, "inside a frame");
    cr_expect_eq(hx_frames_free(&frames, pa, HX_FRAMES_TABLE), HX_E_INVAL, "another use");
    cr_expect_eq(hx_frames_free(&frames, FIRST_PA - HX_FRAMES_BYTES, HX_FRAMES_STACK), HX_E_INVAL, "below the span");
    cr_expect_eq(hx_frames_free(&frames, FIRST_PA + (uint64_t)SPAN * HX_FRAMES_BYTES, HX_FRAMES_STACK), HX_E_INVAL);
    cr_expect_eq(hx_frames_free(&frames, UINT64_MAX, HX_FRAMES_STACK), HX_E_INVAL);
    cr_expect_eq(frames.free, free_before);
    cr_expect_eq(hx_frames_free(&frames, pa, HX_FRAMES_STACK), HX_OK);
    cr_expect_eq(hx_frames_free(&frames, pa, HX_FRAMES_STACK), HX_E_INVAL, "twice");
    cr_expect_eq(frames.free, free_before + 8);
}

Test(frames, a_run_that_joined_its_left_neighbour_cannot_come_back_again)
{
    uint64_t left = hx_frames_alloc(&frames, 2, HX_FRAMES_STACK);
    uint64_t right = left + HX_FRAMES_BYTES;

    cr_assert_eq(hx_frames_free(&frames, left, HX_FRAMES_STACK), HX_OK);
    left = hx_frames_alloc(&frames, 1, HX_FRAMES_STACK);
    cr_assert_eq(hx_frames_alloc(&frames, 1, HX_FRAMES_STACK), right);
    cr_assert_eq(hx_frames_free(&frames, left, HX_FRAMES_STACK), HX_OK);
    cr_assert_eq(hx_frames_free(&frames, right, HX_FRAMES_STACK), HX_OK);
    cr_expect_eq(hx_frames_free(&frames, right, HX_FRAMES_STACK), HX_E_INVAL);
    cr_expect_eq(frames.free, frames.total);
}

Test(frames, long_random_use_never_overlaps_and_loses_nothing)
{
    enum { RUNS = 300, ROUNDS = 100000 };
    static uint64_t run[RUNS];
    static uint32_t length[RUNS];
    static uint16_t owner[SPAN]; /* 1 + run; 0: free */
    uint32_t in_use = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t r = random_below(RUNS);
        if (length[r]) {
            for (uint32_t i = 0; i < length[r]; i++)
                owner[index_of(run[r]) + i] = 0;
            cr_assert_eq(hx_frames_free(&frames, run[r], HX_FRAMES_LARGE), HX_OK);
            in_use -= length[r];
            length[r] = 0;
        } else {
            uint32_t count = 1 + random_below(random_below(8) == 0 ? 200 : 12);
            run[r] = hx_frames_alloc(&frames, count, HX_FRAMES_LARGE);
            if (run[r] == HX_FRAMES_NONE)
                continue;
            length[r] = count;
            in_use += count;
            for (uint32_t i = 0; i < count; i++) {
                cr_assert_eq(owner[index_of(run[r]) + i], 0);
                owner[index_of(run[r]) + i] = (uint16_t)(r + 1);
            }
        }
        cr_assert_eq(frames.free, frames.total - in_use);
    }
}
