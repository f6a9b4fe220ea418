/* SPDX-License-Identifier: MIT */
/* hx_string_asm.h - in C, so that ThreadSanitizer sees what is read and written. */
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline void hx_copy_words(void *to, const void *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}
