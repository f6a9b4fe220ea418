/* SPDX-License-Identifier: MIT */
/*
 * sort.h - numbers in ascending order. Who sorts something else puts its key in the upper bits and its index in the lower.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* @keys: [count]. In place, no recursion; O(count log count) whatever the order. */
void hx_sort_u64(uint64_t *keys, size_t count);
