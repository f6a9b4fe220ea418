/* SPDX-License-Identifier: MIT */
/*
 * heap.c - size classes over slabs, and runs of frames above them.
 *
 * Why a map in the slab's head and not a list through the free objects: a write after free then cannot lead the heap
 * astray, and a double free shows at once. A slab is found from an object by rounding down; that the frame there is tagged
 * HX_FRAMES_SLAB proves that it is one, so a foreign pointer is never followed.
 */
#include "heap.h"

#include <stdbool.h>
#include <string.h>

enum { SLAB_BYTES = HX_HEAP_SLAB_FRAMES * HX_FRAMES_BYTES, MAP_WORDS = SLAB_BYTES / HX_HEAP_ALIGN / 64 };
#define SLAB_MAGIC 0x62616c73u /* "slab" */

struct hx_heap_slab {
    uint32_t magic;
    uint16_t class;
    uint16_t object_bytes;
    uint16_t capacity;
    uint16_t free;
    uint32_t hint; /* no word of the map before this one has a free object */
    struct hx_heap_slab *next, *prev;
    uint64_t map[MAP_WORDS]; /* 1: free */
};
#define SLAB_HEAD_BYTES ((sizeof(struct hx_heap_slab) + HX_HEAP_ALIGN - 1) & ~(size_t)(HX_HEAP_ALIGN - 1))

/* Up to 64 in steps of 16; above, a power of two and one and a half of it. */
static uint32_t class_of(size_t bytes)
{
    uint32_t log;

    if (bytes <= 64)
        return (uint32_t)(bytes - 1) / 16;
    log = 63u - (uint32_t)__builtin_clzll(bytes - 1);
    return 4 + (log - 6) * 2 + ((uint32_t)((bytes - 1) >> (log - 1)) & 1);
}

static uint32_t class_bytes(uint32_t class)
{
    uint32_t log;

    if (class < 4)
        return (class + 1) * 16;
    log = 6 + (class - 4) / 2;
    return (class - 4) % 2 ? 2u << log : 3u << (log - 1);
}

void hx_heap_init(struct hx_heap *heap, struct hx_frames *frames, uintptr_t map_offset)
{
    *heap = (struct hx_heap){ .frames = frames, .map_offset = map_offset };
}

static void partial_push(struct hx_heap *heap, struct hx_heap_slab *slab)
{
    struct hx_heap_slab **head = &heap->partial[slab->class];

    slab->prev = NULL;
    slab->next = *head;
    if (*head)
        (*head)->prev = slab;
    *head = slab;
}

static void partial_remove(struct hx_heap *heap, struct hx_heap_slab *slab)
{
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        heap->partial[slab->class] = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
}

static struct hx_heap_slab *slab_create(struct hx_heap *heap, uint32_t class)
{
    uint64_t pa = hx_frames_alloc(heap->frames, HX_HEAP_SLAB_FRAMES, HX_FRAMES_SLAB);
    struct hx_heap_slab *slab;
    uint32_t capacity;

    if (pa == HX_FRAMES_NONE)
        return NULL;
    slab = (struct hx_heap_slab *)(uintptr_t)(pa + heap->map_offset);
    capacity = (uint32_t)(SLAB_BYTES - SLAB_HEAD_BYTES) / class_bytes(class);
    *slab = (struct hx_heap_slab){
        .magic = SLAB_MAGIC,
        .class = (uint16_t) class,
        .object_bytes = (uint16_t)class_bytes(class),
        .capacity = (uint16_t)capacity,
        .free = (uint16_t)capacity,
    };
    memset(slab->map, 0xff, capacity / 64 * sizeof(slab->map[0]));
    if (capacity % 64)
        slab->map[capacity / 64] = (1ull << capacity % 64) - 1;
    partial_push(heap, slab);
    return slab;
}

static void *small_alloc(struct hx_heap *heap, uint32_t class)
{
    struct hx_heap_slab *slab = heap->partial[class];
    uint32_t word;
    uint32_t index;

    if (!slab)
        slab = slab_create(heap, class);
    if (!slab)
        return NULL;
    for (word = slab->hint; slab->map[word] == 0;)
        word++;
    index = word * 64 + (uint32_t)__builtin_ctzll(slab->map[word]);
    slab->map[word] &= slab->map[word] - 1;
    slab->hint = word;
    slab->free--;
    if (slab->free == 0)
        partial_remove(heap, slab);
    heap->bytes += slab->object_bytes;
    heap->objects++;
    return (uint8_t *)slab + SLAB_HEAD_BYTES + (size_t)index * slab->object_bytes;
}

static void *large_alloc(struct hx_heap *heap, size_t bytes)
{
    uint32_t count = (uint32_t)((bytes + HX_FRAMES_BYTES - 1) / HX_FRAMES_BYTES);
    uint64_t pa = hx_frames_alloc(heap->frames, count, HX_FRAMES_LARGE);

    if (pa == HX_FRAMES_NONE)
        return NULL;
    heap->bytes += (uint64_t)count * HX_FRAMES_BYTES;
    heap->objects++;
    return (void *)(uintptr_t)(pa + heap->map_offset);
}

void *hx_heap_alloc(struct hx_heap *heap, size_t bytes)
{
    if (bytes == 0 || bytes > HX_HEAP_ALLOC_MAX)
        return NULL;
    return bytes <= HX_HEAP_SMALL_MAX ? small_alloc(heap, class_of(bytes)) : large_alloc(heap, bytes);
}

static hx_status_t large_free(struct hx_heap *heap, uint64_t pa, uint32_t count)
{
    hx_status_t err = hx_frames_free(heap->frames, pa, HX_FRAMES_LARGE);

    if (err)
        return err;
    heap->bytes -= (uint64_t)count * HX_FRAMES_BYTES;
    heap->objects--;
    return HX_OK;
}

/* The object's place in the map, checked. */
static hx_status_t slab_index(const struct hx_heap_slab *slab, uintptr_t va, uint32_t *out)
{
    uint32_t offset = (uint32_t)(va - (uintptr_t)slab);

    if (slab->magic != SLAB_MAGIC || slab->class >= HX_HEAP_CLASSES || slab->object_bytes != class_bytes(slab->class))
        return HX_E_CORRUPT;
    if (offset < SLAB_HEAD_BYTES || (offset - SLAB_HEAD_BYTES) % slab->object_bytes != 0)
        return HX_E_INVAL;
    offset = (offset - (uint32_t)SLAB_HEAD_BYTES) / slab->object_bytes;
    if (offset >= slab->capacity)
        return HX_E_INVAL;
    if (slab->map[offset / 64] >> offset % 64 & 1)
        return HX_E_STALE;
    *out = offset;
    return HX_OK;
}

static hx_status_t small_free(struct hx_heap *heap, struct hx_heap_slab *slab, uintptr_t va)
{
    uint32_t index = 0;
    hx_status_t err = slab_index(slab, va, &index);

    if (err)
        return err;
    heap->bytes -= slab->object_bytes;
    heap->objects--;
    slab->map[index / 64] |= 1ull << index % 64;
    if (index / 64 < slab->hint)
        slab->hint = index / 64;
    slab->free++;
    if (slab->free == 1)
        partial_push(heap, slab);
    if (slab->free < slab->capacity)
        return HX_OK;
    partial_remove(heap, slab);
    slab->magic = 0;
    return hx_frames_free(heap->frames, (uintptr_t)slab - heap->map_offset, HX_FRAMES_SLAB);
}

hx_status_t hx_heap_free(struct hx_heap *heap, void *memory)
{
    uint64_t pa = (uintptr_t)memory - heap->map_offset;
    uint64_t slab_pa = pa & ~(uint64_t)(SLAB_BYTES - 1);
    uint32_t large = hx_frames_run(heap->frames, pa, HX_FRAMES_LARGE);

    if (!memory)
        return HX_OK;
    if (large)
        return large_free(heap, pa, large);
    if (hx_frames_run(heap->frames, slab_pa, HX_FRAMES_SLAB) == 0)
        return HX_E_INVAL;
    return small_free(heap, (struct hx_heap_slab *)(uintptr_t)(slab_pa + heap->map_offset), (uintptr_t)memory);
}
