/* SPDX-License-Identifier: MIT */
/*
 * ranges.h - a set of physical memory ranges: sorted, disjoint, whole pages, at most HX_BOOT_RANGES_MAX.
 *
 * When a set is full its smallest range is given up: memory that stays unused does no harm, memory used twice does.
 * Used by: the two boot-info parsers and kernel/mm. Context: any; nothing is allocated.
 */
#pragma once
#include "boot_info.h"

#define HX_BOOT_PAGE_BYTES 4096u
/* No x86-64 has memory at or above this. Source: Intel SDM vol. 3A, 4.1.4 (MAXPHYADDR is at most 52). */
#define HX_BOOT_PA_LIMIT (1ull << 52)

/* Adds [@first, @end), rounded inwards to pages; merges what touches. Empty is fine. */
void hx_boot_ranges_add(struct hx_boot_range set[HX_BOOT_RANGES_MAX], uint32_t *count, uint64_t first, uint64_t end);
/* Takes [@first, @end), rounded outwards to pages, out of the set. */
void hx_boot_ranges_remove(struct hx_boot_range set[HX_BOOT_RANGES_MAX], uint32_t *count, uint64_t first, uint64_t end);

/*
 * One entry of a loader's memory map, as both protocols have it. Call twice for the whole map: with @usable_pass first,
 * when usable entries are added, then without, when all others are taken out again, so that where two entries overlap the
 * memory counts as not usable. HX_E_FORMAT: a usable entry wraps or lies where no memory can be.
 */
HX_NODISCARD hx_status_t hx_boot_ranges_apply(struct hx_boot_info *info, bool usable_pass, uint64_t first,
                                              uint64_t bytes, uint32_t type);
