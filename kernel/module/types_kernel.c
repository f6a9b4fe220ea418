/* SPDX-License-Identifier: MIT */
/*
 * types_kernel.c - what a module says of types, held against what the kernel's build says.
 *
 * Why separate: who only reads what modules say (mkmodpack) has no tables of a kernel. And it runs once an import.
 */
#include "exports.h"
#include "types.h"

/* The kernel's type of @key, if it has one of it. */
static bool find_own(uint32_t key, uint64_t *out)
{
    uint32_t low = 0, high = hx_kernel_types_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (hx_kernel_types_key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == hx_kernel_types_count || hx_kernel_types_key[low] != key)
        return false;
    *out = hx_kernel_types_type[low];
    return true;
}

const struct hx_type_record *hx_types_against_kernel(const struct hx_types *types)
{
    for (uint32_t i = 0; i < types->count; i++) {
        const struct hx_type_record *record = &types->record[i];
        uint64_t own;
        const struct hx_export *export = hx_exports_keyed(record->key);
        if (export)
            own = export->type;
        else if (!find_own(record->key, &own))
            continue;
        if (own != record->type)
            return record;
    }
    return NULL;
}
