/* SPDX-License-Identifier: MIT */
/* image_memory.h - how image memory comes up; what it offers stands in hx_hal.h. May be used by: kernel/mm. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Bytes of bookkeeping for an arena of @frames. */
size_t hx_image_memory_books_bytes(uint32_t frames);
/* @books: [hx_image_memory_books_bytes()], 2-aligned, any contents. */
void hx_image_memory_init(void *books);
/* Pages mapped for images now. Locks: hx_mm_lock. */
uint32_t hx_image_memory_pages(void);
