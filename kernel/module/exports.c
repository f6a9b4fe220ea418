/* SPDX-License-Identifier: MIT */
/* exports.c - see exports.h. */
#include "exports.h"

#include <lib/hash.h>

hx_status_t hx_exports_find(const char *name, size_t bytes, const void **out_stub)
{
    uint64_t hash = hx_hash_name(name, bytes);

    for (const struct hx_export *at = &hx_exports_table[hash & hx_exports_mask]; at->name; at++) {
        if (at->hash == hash && at->bytes == bytes && hx_name_equal(at->name, name, bytes)) {
            *out_stub = at->stub;
            return HX_OK;
        }
    }
    return HX_E_SYMBOL;
}
