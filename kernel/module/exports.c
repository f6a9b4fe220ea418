/* SPDX-License-Identifier: MIT */
/* exports.c - see exports.h. */
#include "exports.h"

#include <lib/hash.h>

const struct hx_export *hx_exports_look(const char *name, size_t bytes)
{
    uint32_t hash = (uint32_t)hx_hash_name(name, bytes);
    const struct hx_export *at = &hx_exports_table[hash & hx_exports_mask];

    for (; at->hash != hash || at->bytes != bytes || !hx_name_equal(at->name, name, bytes); at++)
        if (!at->name)
            return NULL;
    return at;
}

hx_status_t hx_exports_find(const char *name, size_t bytes, const void **out_stub)
{
    const struct hx_export *export = hx_exports_look(name, bytes);

    if (!export)
        return HX_E_SYMBOL;
    *out_stub = export->stub;
    return HX_OK;
}
