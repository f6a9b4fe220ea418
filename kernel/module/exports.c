/* SPDX-License-Identifier: MIT */
/* exports.c - see exports.h. */
#include "exports.h"

#include <lib/hash.h>

static inline __attribute__((always_inline)) const struct hx_export *look(const char *name, size_t bytes)
{
    uint32_t hash = (uint32_t)hx_hash_name(name, bytes);
    const struct hx_export *at = &hx_exports_table[hash & hx_exports_mask];

    for (; at->hash != hash || at->bytes != bytes || !hx_name_equal(at->name, name, bytes); at++)
        if (!at->name)
            return NULL;
    return at;
}

/* Apart, so that the others pay nothing for it: what hashes and compares less than a word takes many registers. */
static __attribute__((noinline)) const struct hx_export *look_short(const char *name, size_t bytes)
{
    return look(name, bytes);
}

const struct hx_export *hx_exports_look(const char *name, size_t bytes)
{
    return bytes < HX_NAME_WORD ? look_short(name, bytes) : look(name, bytes);
}

hx_status_t hx_exports_find(const char *name, size_t bytes, const void **out_stub)
{
    const struct hx_export *export = hx_exports_look(name, bytes);

    if (!export)
        return HX_E_SYMBOL;
    *out_stub = export->stub;
    return HX_OK;
}
