/* SPDX-License-Identifier: MIT */
/*
 * hash.h - XXH64 (image identity, schema identity), and a hash for tables keyed by names.
 *
 * Source: xxHash specification 0.1.1, "XXH64"; the other is our own and may change with any build.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t hx_hash_xxh64(const void *data, size_t bytes, uint64_t seed);
/* Multiplies once per 8 bytes. Any bit is as good as another. */
uint64_t hx_hash_name(const char *text, size_t bytes);
