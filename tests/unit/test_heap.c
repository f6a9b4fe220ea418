/* SPDX-License-Identifier: MIT */
/*
 * test_heap.c - size classes, slabs and large objects of the kernel heap.
 */
#include <criterion/criterion.h>
#include <mm/heap.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 8192 };
#define FIRST_PA 0x4000000ull

static struct hx_frames frames;
static struct hx_heap heap;
static uint8_t *memory;
static void *books;

static void setup(void)
{
    memory = aligned_alloc((size_t)HX_HEAP_ALLOC_MAX, (size_t)FRAMES * HX_FRAMES_BYTES);
    books = malloc(hx_frames_books_bytes(FRAMES));
    memset(memory, 0xa5, (size_t)FRAMES * HX_FRAMES_BYTES);
    hx_frames_init(&frames, FIRST_PA, FRAMES, books);
    hx_frames_add(&frames, FIRST_PA, (uint64_t)FRAMES * HX_FRAMES_BYTES);
    hx_heap_init(&heap, &frames, (uintptr_t)memory - FIRST_PA);
}

static void teardown(void)
{
    free(books);
    free(memory);
}

TestSuite(heap, .init = setup, .fini = teardown);

static uint32_t random_below(uint32_t limit)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % limit;
}

static bool inside(const void *object, size_t bytes)
{
    const uint8_t *first = object;

    return first >= memory && first + bytes <= memory + (size_t)FRAMES * HX_FRAMES_BYTES;
}

Test(heap, every_size_gets_memory_of_its_own_aligned_to_16)
{
    for (size_t bytes = 1; bytes <= 20000; bytes++) {
        uint8_t *a = hx_heap_alloc(&heap, bytes);
        uint8_t *b = hx_heap_alloc(&heap, bytes);
        cr_assert(a && b && a != b);
        cr_assert(inside(a, bytes) && inside(b, bytes));
        cr_assert_eq(((uintptr_t)a | (uintptr_t)b) % HX_HEAP_ALIGN, 0);
        cr_assert(a + bytes <= b || b + bytes <= a);
        cr_assert_eq(hx_heap_free(&heap, a), HX_OK);
        cr_assert_eq(hx_heap_free(&heap, b), HX_OK);
    }
    cr_expect_eq(frames.free, frames.total);
}

Test(heap, a_size_is_rounded_up_by_half_at_most)
{
    for (size_t bytes = 33; bytes <= HX_HEAP_SMALL_MAX; bytes++) {
        void *object = hx_heap_alloc(&heap, bytes);
        cr_assert_geq(heap.bytes, bytes);
        cr_assert_leq(heap.bytes, bytes + bytes / 2 + 16, "%zu kept as %llu", bytes, (unsigned long long)heap.bytes);
        cr_assert_eq(hx_heap_free(&heap, object), HX_OK);
    }
}

Test(heap, nothing_and_too_much_are_refused)
{
    void *largest;

    cr_expect_null(hx_heap_alloc(&heap, 0));
    cr_expect_null(hx_heap_alloc(&heap, (size_t)HX_HEAP_ALLOC_MAX + 1));
    cr_expect_null(hx_heap_alloc(&heap, SIZE_MAX));
    largest = hx_heap_alloc(&heap, HX_HEAP_ALLOC_MAX);
    cr_assert_not_null(largest);
    cr_expect(inside(largest, HX_HEAP_ALLOC_MAX));
    cr_expect_eq(hx_heap_free(&heap, largest), HX_OK);
    cr_expect_eq(hx_heap_free(&heap, NULL), HX_OK);
}

Test(heap, live_bytes_and_objects_are_counted)
{
    void *small = hx_heap_alloc(&heap, 100);
    void *large = hx_heap_alloc(&heap, 5000);

    cr_expect_eq(heap.objects, 2);
    cr_expect_eq(heap.bytes, 128 + 8192);
    cr_expect_eq(hx_heap_free(&heap, small), HX_OK);
    cr_expect_eq(hx_heap_free(&heap, large), HX_OK);
    cr_expect_eq(heap.objects, 0);
    cr_expect_eq(heap.bytes, 0);
}

Test(heap, exhaustion_is_an_answer_and_everything_comes_back)
{
    static void *object[FRAMES * 8];
    uint32_t count = 0;

    while ((object[count] = hx_heap_alloc(&heap, 600)) != NULL)
        count++;
    cr_expect_gt(count, FRAMES * 4);
    cr_expect_null(hx_heap_alloc(&heap, 5000));
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(hx_heap_free(&heap, object[(i * 7919ull) % count]), HX_OK);
    cr_expect_eq(frames.free, frames.total);
    cr_expect_eq(heap.objects, 0);
}

Test(heap, a_double_free_is_refused)
{
    void *keep = hx_heap_alloc(&heap, 40);
    void *object = hx_heap_alloc(&heap, 40);
    void *large = hx_heap_alloc(&heap, 9000);

    cr_expect_eq(hx_heap_free(&heap, object), HX_OK);
    cr_expect_eq(hx_heap_free(&heap, object), HX_E_STALE);
    cr_expect_eq(hx_heap_free(&heap, large), HX_OK);
    cr_expect_eq(hx_heap_free(&heap, large), HX_E_INVAL);
    cr_expect_eq(hx_heap_free(&heap, keep), HX_OK);
    cr_expect_eq(hx_heap_free(&heap, keep), HX_E_INVAL, "its slab is gone");
    cr_expect_eq(heap.objects, 0);
}

Test(heap, pointers_that_it_never_gave_are_refused)
{
    uint8_t *object = hx_heap_alloc(&heap, 40);
    uint8_t *large = hx_heap_alloc(&heap, 9000);
    uint64_t stack = hx_frames_alloc(&frames, 4, HX_FRAMES_STACK);
    uint64_t objects = heap.objects;
    int local = 0;

    cr_expect_eq(hx_heap_free(&heap, object + 16), HX_E_INVAL, "inside an object");
    cr_expect_eq(hx_heap_free(&heap, object + 1), HX_E_INVAL);
    cr_expect_eq(hx_heap_free(&heap, (void *)((uintptr_t)object & ~(uintptr_t)0x3fff)), HX_E_INVAL, "a slab's head");
    cr_expect_eq(hx_heap_free(&heap, (void *)((uintptr_t)object | 0x3ff0)), HX_E_INVAL, "behind a slab's last object");
    cr_expect_eq(hx_heap_free(&heap, large + HX_FRAMES_BYTES), HX_E_INVAL);
    cr_expect_eq(hx_heap_free(&heap, (void *)(uintptr_t)(stack + heap.map_offset)), HX_E_INVAL, "another's frames");
    cr_expect_eq(hx_heap_free(&heap, &local), HX_E_INVAL);
    cr_expect_eq(hx_heap_free(&heap, memory - 64), HX_E_INVAL);
    cr_expect_eq(heap.objects, objects);
}

Test(heap, of_all_addresses_in_a_slab_only_those_of_objects_can_be_freed)
{
    static const size_t sizes[] = { 16, 48, 96, 384, 1536, 2048 };

    for (size_t i = 0; i < HX_ARRAY_SIZE(sizes); i++) {
        uint8_t *object = hx_heap_alloc(&heap, sizes[i]);
        uint8_t *slab = (uint8_t *)((uintptr_t)object & ~(uintptr_t)0x3fff);
        for (size_t offset = 0; offset < 0x4000; offset += HX_HEAP_ALIGN) {
            if (slab + offset != object)
                cr_assert_neq(hx_heap_free(&heap, slab + offset), HX_OK, "size %zu, offset %zu", sizes[i], offset);
        }
        cr_assert_eq(hx_heap_free(&heap, object), HX_OK);
    }
}

Test(heap, room_in_a_full_slab_is_used_again)
{
    static uint8_t *object[2048];
    uint32_t count = 0;
    uint32_t free_frames;

    object[count++] = hx_heap_alloc(&heap, 16);
    free_frames = frames.free;
    while (frames.free == free_frames)
        object[count++] = hx_heap_alloc(&heap, 16);
    cr_assert_gt(count, 1000);
    cr_assert_eq(hx_heap_free(&heap, object[--count]), HX_OK); /* the one slab is full again */
    cr_assert_eq(frames.free, free_frames);
    cr_assert_eq(hx_heap_free(&heap, object[0]), HX_OK);
    cr_expect_eq(hx_heap_alloc(&heap, 16), object[0]);
    cr_expect_eq(frames.free, free_frames);
}

Test(heap, an_overwritten_slab_head_is_noticed)
{
    uint8_t *object = hx_heap_alloc(&heap, 40);
    uint8_t *head = (uint8_t *)((uintptr_t)object & ~(uintptr_t)0x3fff);

    head[0] ^= 1;
    cr_expect_eq(hx_heap_free(&heap, object), HX_E_CORRUPT);
    head[0] ^= 1;
    head[5] = 0xff; /* the class */
    cr_expect_eq(hx_heap_free(&heap, object), HX_E_CORRUPT);
}

Test(heap, long_random_use_keeps_every_byte)
{
    enum { OBJECTS = 500, ROUNDS = 100000 };
    static uint8_t *object[OBJECTS];
    static uint32_t size[OBJECTS];

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t i = random_below(OBJECTS);
        if (object[i]) {
            for (uint32_t at = 0; at < size[i]; at += 1 + size[i] / 8)
                cr_assert_eq(object[i][at], (uint8_t)i);
            cr_assert_eq(object[i][size[i] - 1], (uint8_t)i);
            cr_assert_eq(hx_heap_free(&heap, object[i]), HX_OK);
            object[i] = NULL;
        } else {
            size[i] = 1 + random_below(random_below(16) == 0 ? 50000 : 2500);
            object[i] = hx_heap_alloc(&heap, size[i]);
            cr_assert_not_null(object[i]);
            memset(object[i], (int)(uint8_t)i, size[i]);
        }
    }
    for (uint32_t i = 0; i < OBJECTS; i++)
        cr_assert_eq(hx_heap_free(&heap, object[i]), HX_OK);
    cr_expect_eq(frames.free, frames.total);
    cr_expect_eq(heap.bytes, 0);
}
