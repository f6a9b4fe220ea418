/* SPDX-License-Identifier: MIT */
/*
 * hx_string_asm.h - the string instructions: whole words, as fast as the processor moves them.
 *
 * Worth their start-up from a few hundred bytes on. The direction flag is clear, as the ABI has it.
 * Source: Intel SDM vol. 2B, REP MOVS and STOS; vol. 1, 7.3.9.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline void hx_copy_words(void *to, const void *from, size_t words)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static inline void hx_fill_words(void *to, uint64_t word, size_t words)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
}
