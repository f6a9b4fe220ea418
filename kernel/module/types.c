/* SPDX-License-Identifier: MIT */
/* types.c - see types.h. */
#include "types.h"

#include <lib/hash.h>
#include <modloader/loader.h>
#include <string.h>

uint32_t hx_types_key(const char *name, size_t bytes)
{
    static const char *const side[] = { "import ", "operation ", "export " };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(side); i++) {
        size_t skip = strlen(side[i]);
        if (bytes > skip && memcmp(name, side[i], skip) == 0)
            return (uint32_t)hx_hash_name(name + skip, bytes - skip);
    }
    return (uint32_t)hx_hash_name(name, bytes);
}

hx_status_t hx_types_read(struct hx_slice file, struct hx_types *out)
{
    struct hx_types_head head;
    memset(out, 0, sizeof(*out));
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_TYPES, &out->section);
    if (err != HX_OK)
        return err == HX_E_NOENT ? HX_OK : err;
    if (hx_slice_read(out->section, 0, &head, sizeof(head)) != HX_OK)
        return HX_E_FORMAT;
    if (head.format != HX_TYPES_FORMAT)
        return HX_E_UNSUPPORTED;
    if (head.count > HX_TYPES_MAX ||
        !hx_slice_has(out->section, sizeof(head), head.count * sizeof(struct hx_type_record)))
        return HX_E_FORMAT;
    out->record = (const struct hx_type_record *)(out->section.data + sizeof(head));
    out->count = head.count;
    return HX_OK;
}

void hx_types_name(const struct hx_types *types, const struct hx_type_record *record, char out[HX_TYPES_NAME_MAX])
{
    uint32_t i = 0;
    for (uint64_t at = record->name; i < HX_TYPES_NAME_MAX - 1 && at < types->section.bytes; at++, i++) {
        char c = (char)types->section.data[at];
        if (!c)
            break;
        out[i] = c < ' ' || c > '~' ? '?' : c;
    }
    out[i] = 0;
}

const struct hx_type_record *hx_types_against(const struct hx_types *types, const struct hx_types *others)
{
    for (uint32_t i = 0, j = 0; i < types->count && j < others->count;) {
        const struct hx_type_record *mine = &types->record[i], *other = &others->record[j];
        if (mine->key == other->key && mine->type != other->type)
            return mine;
        i += mine->key <= other->key;
        j += other->key <= mine->key;
    }
    return NULL;
}
