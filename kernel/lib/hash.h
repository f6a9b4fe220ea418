/* SPDX-License-Identifier: MIT */
/*
 * hash.h - XXH64 (image identity, schema identity) and FNV-1a (hash tables keyed by names).
 *
 * Source: xxHash specification 0.1.1, "XXH64"; IETF draft-eastlake-fnv, 64-bit parameters.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t hx_hash_xxh64(const void *data, size_t bytes, uint64_t seed);
uint64_t hx_hash_name(const char *text, size_t bytes);
