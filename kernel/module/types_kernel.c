/* SPDX-License-Identifier: MIT */
/*
 * types_kernel.c - what a module says of types, held against what the kernel's build says.
 *
 * Why separate: who only reads what modules say (mkmodpack) has no tables of a kernel. And it runs once an import.
 */
#include "exports.h"
#include "types.h"

/* Of what the kernel does not export it knows some types. Apart, so that the imports pay nothing for it. */
static __attribute__((noinline)) bool agrees(const struct hx_types *types, const struct hx_type_record *record)
{
    char fault[HX_TYPES_FAULT_MAX];
    uint32_t low = 0, high = hx_kernel_types_count;
    if (hx_types_check(types, (uint32_t)(record - types->record), fault) != HX_OK)
        return false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (hx_kernel_types_key[middle] < record->key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < hx_kernel_types_count && hx_kernel_types_key[low] == record->key &&
        hx_kernel_types_type[low] != record->type)
        return false;
    return true;
}

static inline bool export_agrees(const struct hx_export *export, const struct hx_types *types,
                                 const struct hx_type_record *record)
{
    if (export->type != record->type || record->name >= types->section.bytes)
        return false;
    return true;
}

const struct hx_type_record *hx_types_against_kernel(const struct hx_types *types)
{
    const struct hx_type_record *end = types->record + types->count;
    for (const struct hx_type_record *record = types->record; record != end; record++) {
        const struct hx_export *export = hx_exports_keyed(record->key);
        if (export ? !export_agrees(export, types, record) : !agrees(types, record))
            return record;
    }
    return NULL;
}
