/* SPDX-License-Identifier: MIT */
/* exports.c - see exports.h. */
#include "exports.h"

#include <lib/hash.h>
#include <string.h>

enum { BUCKETS = 128 }; /* open addressing, at most half full */
_Static_assert(BUCKETS / 2 <= UINT8_MAX, "a gate frame holds the number of an import in a byte");

static const struct hx_import *buckets[BUCKETS];

static uint32_t bucket_of(const char *name)
{
    return (uint32_t)hx_hash_name(name, strlen(name)) % BUCKETS;
}

hx_status_t hx_exports_bind(const struct hx_import *imports, uint32_t count)
{
    if (count > BUCKETS / 2)
        return HX_E_LIMIT;
    memset(buckets, 0, sizeof(buckets));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bucket = bucket_of(imports[i].name);
        while (buckets[bucket])
            bucket = (bucket + 1) % BUCKETS;
        buckets[bucket] = &imports[i];
    }
    return HX_OK;
}

hx_status_t hx_exports_find(const char *name, const void **out_stub)
{
    for (uint32_t bucket = bucket_of(name); buckets[bucket]; bucket = (bucket + 1) % BUCKETS) {
        if (strcmp(buckets[bucket]->name, name) == 0) {
            *out_stub = buckets[bucket]->stub;
            return HX_OK;
        }
    }
    return HX_E_SYMBOL;
}
