/* SPDX-License-Identifier: MIT */
/*
 * ranges.c - a set of physical memory ranges.
 *
 * Why separate: memory maps come unsorted, overlapping and with holes from two protocols, and kernel/mm takes pieces out of
 * the result; all three need the same few operations and no allocation.
 * Source: Multiboot2 3.6.8, Xen hvm_memmap_table_entry: type 1 is usable memory in both (ACPI 6.2, 15).
 */
#include "ranges.h"

#include <string.h>

#define TYPE_USABLE 1u

static uint64_t range_end(const struct hx_boot_range *range)
{
    return range->first_pa + range->bytes;
}

static void range_delete(struct hx_boot_range *set, uint32_t *count, uint32_t at)
{
    memmove(&set[at], &set[at + 1], (*count - at - 1) * sizeof(*set));
    (*count)--;
}

static uint32_t range_smallest(const struct hx_boot_range *set, uint32_t count)
{
    uint32_t smallest = 0;

    for (uint32_t i = 1; i < count; i++) {
        if (set[i].bytes < set[smallest].bytes)
            smallest = i;
    }
    return smallest;
}

/* A range that touches no other goes in before @at. */
static void range_insert(struct hx_boot_range *set, uint32_t *count, uint32_t at, struct hx_boot_range range)
{
    if (*count == HX_BOOT_RANGES_MAX) {
        uint32_t smallest = range_smallest(set, *count);
        if (set[smallest].bytes >= range.bytes)
            return;
        range_delete(set, count, smallest);
        if (smallest < at)
            at--;
    }
    memmove(&set[at + 1], &set[at], (*count - at) * sizeof(*set));
    set[at] = range;
    (*count)++;
}

__attribute__((cold)) void hx_boot_ranges_add(struct hx_boot_range set[HX_BOOT_RANGES_MAX], uint32_t *count,
                                              uint64_t first, uint64_t end)
{
    uint32_t low = 0;
    uint32_t high;

    if (first > UINT64_MAX - (HX_BOOT_PAGE_BYTES - 1))
        return;
    first = (first + HX_BOOT_PAGE_BYTES - 1) & ~(uint64_t)(HX_BOOT_PAGE_BYTES - 1);
    end &= ~(uint64_t)(HX_BOOT_PAGE_BYTES - 1);
    if (first >= end)
        return;

    while (low < *count && range_end(&set[low]) < first)
        low++;
    for (high = low; high < *count && set[high].first_pa <= end; high++) {
        if (set[high].first_pa < first)
            first = set[high].first_pa;
        if (range_end(&set[high]) > end)
            end = range_end(&set[high]);
    }
    if (low == high) {
        range_insert(set, count, low, (struct hx_boot_range){ first, end - first });
        return;
    }
    set[low] = (struct hx_boot_range){ first, end - first };
    memmove(&set[low + 1], &set[high], (*count - high) * sizeof(*set));
    *count -= high - low - 1;
}

__attribute__((cold)) void hx_boot_ranges_remove(struct hx_boot_range set[HX_BOOT_RANGES_MAX], uint32_t *count,
                                                 uint64_t first, uint64_t end)
{
    first &= ~(uint64_t)(HX_BOOT_PAGE_BYTES - 1);
    end = end > UINT64_MAX - (HX_BOOT_PAGE_BYTES - 1)
              ? UINT64_MAX
              : (end + HX_BOOT_PAGE_BYTES - 1) & ~(uint64_t)(HX_BOOT_PAGE_BYTES - 1);

    for (uint32_t i = 0; i < *count;) {
        uint64_t old_first = set[i].first_pa;
        uint64_t old_end = range_end(&set[i]);

        if (old_end <= first || end <= old_first) {
            i++;
        } else if (old_first < first) {
            set[i++].bytes = first - old_first;
            if (end < old_end)
                range_insert(set, count, i, (struct hx_boot_range){ end, old_end - end });
        } else if (end < old_end) {
            set[i++] = (struct hx_boot_range){ end, old_end - end };
        } else {
            range_delete(set, count, i);
        }
    }
}

__attribute__((cold)) hx_status_t hx_boot_ranges_apply(struct hx_boot_info *info, bool usable_pass, uint64_t first,
                                                       uint64_t bytes, uint32_t type)
{
    bool wraps = bytes > UINT64_MAX - first;

    if ((type == TYPE_USABLE) != usable_pass || bytes == 0)
        return HX_OK;
    if (!usable_pass) {
        hx_boot_ranges_remove(info->range, &info->range_count, first, wraps ? UINT64_MAX : first + bytes);
        return HX_OK;
    }
    if (wraps || first + bytes > HX_BOOT_PA_LIMIT)
        return HX_E_FORMAT;
    hx_boot_ranges_add(info->range, &info->range_count, first, first + bytes);
    return HX_OK;
}
