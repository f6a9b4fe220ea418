/* SPDX-License-Identifier: MIT */
/*
 * exports.h - the kernel's own symbols that a module may import, by name.
 *
 * The table is made when the kernel is built (tools/mkmodpack/exports_table.c), so that nothing is left to do at boot.
 */
#pragma once
#include <helix/types.h>

struct hx_export {
    const char *name; /* NULL: nobody has this place */
    const void *stub; /* hal/hx_import.h */
    uint64_t type;    /* types.h */
    uint32_t hash;    /* the lower half of hx_hash_name() of the name, which is its key in types.h */
    uint16_t bytes;   /* of the name */
    uint16_t needs;   /* enum hx_capability_type: export_needs.h */
};
/* Open addressing: an export is at (hash & mask) or in the places after it, before the first free one. Twice as many places
 * as exports, or more, and behind them what runs over, closed by a free one: nothing has to go round. The hash at a free place
 * is of none who would look there: its own place is the next, or the first. So a hash that is equal says that there is a name. */
extern const struct hx_export hx_exports_table[];
extern const size_t hx_exports_mask;

/* The export whose name has @key, or NULL. */
static inline const struct hx_export *hx_exports_keyed(uint32_t key)
{
    const struct hx_export *at = &hx_exports_table[key & hx_exports_mask];
    for (; at->hash != key; at++)
        if (!at->name)
            return NULL;
    return at;
}

/* The export @name, [@bytes], or NULL. Constant time. */
const struct hx_export *hx_exports_look(const char *name, size_t bytes);
/* The import stub of @name, [@bytes]. Constant time. HX_E_SYMBOL. */
HX_NODISCARD hx_status_t hx_exports_find(const char *name, size_t bytes, const void **out_stub);
