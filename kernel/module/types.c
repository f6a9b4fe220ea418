/* SPDX-License-Identifier: MIT */
/* types.c - see types.h. */
#include "types.h"

#include <lib/err.h>
#include <lib/fmt.h>
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

static __attribute__((format(printf, 3, 4))) hx_status_t refuse(char fault[HX_TYPES_FAULT_MAX], hx_status_t err,
                                                                const char *format, ...)
{
    va_list arguments;
    size_t used = hx_fmt(fault, HX_TYPES_FAULT_MAX, "section " HX_TYPES_SECTION);
    va_start(arguments, format);
    used += hx_fmt_v(fault + used, HX_TYPES_FAULT_MAX - used, format, arguments);
    va_end(arguments);
    hx_fmt_append(fault, HX_TYPES_FAULT_MAX, used, "; pack the module anew, with this kernel's mkmodpack");
    return err;
}

hx_status_t hx_types_read(struct hx_slice file, struct hx_types *out, char fault[HX_TYPES_FAULT_MAX])
{
    struct hx_types_head head;
    memset(out, 0, sizeof(*out));
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_TYPES, &out->section);
    if (err != HX_OK)
        return err == HX_E_NOENT ? HX_OK : refuse(fault, err, ": %s", hx_err_text(err));
    if (hx_slice_read(out->section, 0, &head, sizeof(head)) != HX_OK)
        return refuse(fault, HX_E_FORMAT, ": %zu bytes are too few for its head", out->section.bytes);
    if (head.format != HX_TYPES_FORMAT)
        return refuse(fault, HX_E_UNSUPPORTED, ": its format is %u, not %u", head.format, HX_TYPES_FORMAT);
    if (!hx_slice_has(out->section, sizeof(head), head.count * sizeof(struct hx_type_record)))
        return refuse(fault, HX_E_FORMAT, ": %u records are more than its %zu bytes hold", head.count,
                      out->section.bytes);
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

static hx_status_t refuse_record(char fault[HX_TYPES_FAULT_MAX], const struct hx_types *types, uint32_t i,
                                 const char *wrong)
{
    char shown[HX_TYPES_NAME_MAX];
    hx_types_name(types, &types->record[i], shown);
    return refuse(fault, HX_E_FORMAT, ", record %u (%s): %s", i, shown, wrong);
}

hx_status_t hx_types_check(const struct hx_types *types, uint32_t i, char fault[HX_TYPES_FAULT_MAX])
{
    const struct hx_type_record *record = &types->record[i];
    const char *name = hx_slice_string(types->section, record->name);
    if (!name)
        return refuse_record(fault, types, i, "its name lies outside");
    if (hx_types_key(name, strlen(name)) != record->key)
        return refuse_record(fault, types, i, "its key is another name's");
    if (i > 0 && record->key <= record[-1].key)
        return refuse_record(fault, types, i, "it is not in order");
    return HX_OK;
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

static const struct hx_type_record *record_of(const struct hx_types *types, uint32_t key)
{
    for (uint32_t i = 0; i < types->count; i++)
        if (types->record[i].key == key)
            return &types->record[i];
    return NULL;
}

bool hx_types_agree(const struct hx_types *types, const struct hx_types *others, const char *what, const char *name)
{
    char full[HX_TYPES_NAME_MAX];
    uint32_t key = hx_types_key(full, hx_fmt(full, sizeof(full), "%s %s", what, name));
    const struct hx_type_record *mine = record_of(types, key), *other = record_of(others, key);
    return !mine || !other || mine->type == other->type;
}
