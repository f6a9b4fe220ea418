/* SPDX-License-Identifier: MIT */
/* where.c - see where.h. */
#include "where.h"

static bool find_part(const struct hx_image *image, uintptr_t va, enum hx_image_part *out)
{
    for (uint32_t part = 0; part < HX_PART_COUNT; part++) {
        *out = (enum hx_image_part)part;
        if (hx_image_in_part(image, va, *out))
            return true;
    }
    return false;
}

bool hx_where_in(const struct hx_version *version, uintptr_t va, struct hx_where *out)
{
    const struct hx_image *image = version ? version->image : NULL;
    if (!image || !find_part(image, va, &out->part))
        return false;
    out->version = version;
    if (hx_image_symbol(image, version->file, va, &out->label) != HX_OK)
        out->label =
            (struct hx_label){ hx_image_part_name(out->part), image->part[out->part].va, image->part[out->part].bytes };
    return true;
}
