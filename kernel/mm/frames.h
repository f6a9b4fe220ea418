/* SPDX-License-Identifier: MIT */
/*
 * frames.h - physical frames of 4 KiB, handed out in runs: a buddy system whose books lie outside the frames.
 *
 * Why outside: frames for images are mapped nowhere while they are free, and a stray write to freed memory then cannot
 * break the allocator. Names no CPU and touches no frame; a frame is a number.
 * May be used by: kernel/mm, tests. Locks: the caller's. Context: any. Cost: O(log of the largest run), whatever the size
 * of memory; starting costs one byte of store a frame.
 * Source of the method: Knowlton, "A fast storage allocator", CACM 8 (1965).
 */
#pragma once
#include <helix/types.h>

enum {
    HX_FRAMES_BYTES = 4096,
    HX_FRAMES_ORDERS = 13,                           /* largest run: 2^12 frames, 16 MiB */
    HX_FRAMES_RUN_MAX = 1 << (HX_FRAMES_ORDERS - 1), /* frames */
};
#define HX_FRAMES_NONE UINT64_MAX

/* What a run is for; a run is given back under the same name. */
enum hx_frame_use {
    HX_FRAMES_TABLE = 1, /* page tables */
    HX_FRAMES_SLAB,      /* small heap objects */
    HX_FRAMES_LARGE,     /* one large heap object */
    HX_FRAMES_STACK,
    HX_FRAMES_IMAGE,
    HX_FRAMES_POOL, /* pieces of images share it */
    HX_FRAMES_GRANT,
    HX_FRAMES_SCRATCH, /* given back by the function that took it */
};

struct hx_frame_link {
    uint32_t next; /* of a free run; of a run in use: its frames */
    uint32_t prev;
};

struct hx_frames {
    uint64_t first_pa; /* of frame 0 */
    uint32_t count;    /* frames spanned, holes included */
    uint32_t total;    /* frames managed */
    uint32_t free;
    uint32_t nonempty; /* bit k: there is a free run of 2^k */
    uint32_t head[HX_FRAMES_ORDERS];
    struct hx_frame_link *link; /* [count] */
    uint8_t *tag;               /* [count] */
};

/* Bytes of bookkeeping for @count frames. */
size_t hx_frames_books_bytes(uint32_t count);
/* Spans @count frames from @first_pa, none of them managed yet. @books: [hx_frames_books_bytes(count)], 8-aligned. */
void hx_frames_init(struct hx_frames *frames, uint64_t first_pa, uint32_t count, void *books);
/* Puts [@first_pa, @first_pa + @bytes), whole frames inside the span and never added before, under management. */
void hx_frames_add(struct hx_frames *frames, uint64_t first_pa, uint64_t bytes);

/*
 * @count adjacent frames, contents undefined, aligned to the power of two at or above @count (counted from frame 0).
 * HX_FRAMES_NONE: no run is long enough, or @count is 0 or above HX_FRAMES_RUN_MAX.
 */
HX_NODISCARD uint64_t hx_frames_alloc(struct hx_frames *frames, uint32_t count, enum hx_frame_use use);
/* Gives the run that starts at @pa back. HX_E_INVAL, nothing changed: no run in use for @use starts there. */
HX_NODISCARD hx_status_t hx_frames_free(struct hx_frames *frames, uint64_t pa, enum hx_frame_use use);
/* Frames of the run in use for @use that starts at @pa; 0: there is none. */
uint32_t hx_frames_run(const struct hx_frames *frames, uint64_t pa, enum hx_frame_use use);
