/* SPDX-License-Identifier: MIT */
/*
 * heap.h - the kernel heap: small objects by size class in slabs of 16 KiB, larger ones as runs of frames.
 *
 * A slab that becomes empty is given back at once, so that after everything has been freed every frame is free again.
 * May be used by: kernel/mm, tests. Names no CPU: it is given frames and the distance at which they are mapped.
 * Locks: the caller's. Context: any. Cost: constant, but for a scan of at most 16 words of a slab's map.
 */
#pragma once
#include "frames.h"

enum {
    HX_HEAP_ALIGN = 16,
    HX_HEAP_SMALL_MAX = 2048,
    HX_HEAP_CLASSES = 14, /* 16 32 48 64 96 128 192 256 384 512 768 1024 1536 2048 */
    HX_HEAP_SLAB_FRAMES = 4,
    HX_HEAP_ALLOC_MAX = HX_FRAMES_RUN_MAX * HX_FRAMES_BYTES,
};

struct hx_heap_slab;

struct hx_heap {
    struct hx_frames *frames;
    uintptr_t map_offset;                          /* virtual minus physical address */
    struct hx_heap_slab *partial[HX_HEAP_CLASSES]; /* slabs with room */
    uint64_t bytes, objects;                       /* live; sizes rounded up as they are kept */
};

void hx_heap_init(struct hx_heap *heap, struct hx_frames *frames, uintptr_t map_offset);
/* @bytes > 0, aligned to HX_HEAP_ALIGN, contents undefined; NULL: no memory, or above HX_HEAP_ALLOC_MAX. */
HX_NODISCARD void *hx_heap_alloc(struct hx_heap *heap, size_t bytes);
/*
 * NULL is accepted. Nothing changes when refused: HX_E_INVAL (nothing that is allocated starts there), HX_E_STALE (freed
 * already; seen as HX_E_INVAL when its frames were given back with it), HX_E_CORRUPT (the slab's head was overwritten).
 */
HX_NODISCARD hx_status_t hx_heap_free(struct hx_heap *heap, void *memory);
