/* SPDX-License-Identifier: MIT */
/* image_memory.h - how image memory comes up; what it offers stands in hx_hal.h. May be used by: kernel/mm. */
#pragma once
#include <hal/hx_hal.h>

/* Bytes of bookkeeping for an arena of @frames. */
size_t hx_image_memory_books_bytes(uint32_t frames);
/* @books: [hx_image_memory_books_bytes(frames)], 8-aligned, any contents. @seed decides where images are placed. */
void hx_image_memory_init(void *books, uint32_t frames, uint64_t seed);
/* Pages mapped for images now. Locks: hx_mm_lock. */
uint32_t hx_image_memory_pages(void);
/* Tables of leaves for them and their aliases. Locks: hx_mm_lock. */
uint32_t hx_image_memory_tables(void);
/* Pages that pieces with @prot share, and the bytes taken of them. Locks: hx_mm_lock. */
void hx_image_memory_pool(enum hx_prot prot, uint64_t *out_pages, uint64_t *out_bytes);
