/* SPDX-License-Identifier: MIT */
/*
 * string.h - the part of <string.h> that the core uses, found before the system's in freestanding builds.
 */
#pragma once
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *from, int byte, size_t bytes);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);

/* Freestanding compilers call these even for a word; the builtins expand a small constant size in place. */
#ifndef HX_STRING_IMPLEMENTATION
#define memcpy(...) __builtin_memcpy(__VA_ARGS__)
#define memmove(...) __builtin_memmove(__VA_ARGS__)
#define memset(...) __builtin_memset(__VA_ARGS__)
#define memcmp(...) __builtin_memcmp(__VA_ARGS__)
#define strlen(...) __builtin_strlen(__VA_ARGS__)
#endif
