/* SPDX-License-Identifier: MIT */
/* module_types.c - see module_types.h. */
#include "module_types.h"

#include "object.h"
#include "strip.h"

#include <helix/module.h>
#include <module/records.h>
#include <module/types.h>
#include <stdlib.h>
#include <string.h>

/* ---- what to look for ------------------------------------------------------------------------------------------------ */
struct wanted {
    struct hx_mp_types_wanted wanted;
    struct hx_mp_type_list list[HX_PROVIDES_MAX];
    char name[HX_PROVIDES_MAX + HX_REQUIRES_MAX][HX_NAME_MAX];
    char *prefix[HX_PROVIDES_MAX + HX_REQUIRES_MAX];
    struct hx_mp_imports imports;
    char *state, *record; /* the variables. Owned. */
    char state_type[sizeof("state ") + HX_NAME_MAX], record_type[sizeof("record ") + HX_NAME_MAX];
};

/* Names alone, so that the file need not be linked. One that is not proper is for the records' check to say. */
static void want_interfaces(struct wanted *out, struct hx_slice bytes, enum hx_image_records kind, size_t most)
{
    struct hx_slice records = hx_records_peek_interfaces(bytes, kind);
    struct hx_interface_record record;

    for (size_t i = 0; i < most && hx_slice_read(records, i * sizeof(record), &record, sizeof(record)) == HX_OK; i++) {
        char *name = out->name[out->wanted.prefix_count];

        if (!hx_name_is_proper(record.prefix))
            continue;
        snprintf(name, HX_NAME_MAX, "%s", record.prefix);
        out->prefix[out->wanted.prefix_count++] = name;
        if (kind != HX_RECORDS_PROVIDES)
            continue;
        snprintf(out->list[out->wanted.list_count].structure, sizeof(out->list[0].structure), "%s_ops", record.prefix);
        snprintf(out->list[out->wanted.list_count++].prefix, sizeof(out->list[0].prefix), "operation %s_",
                 record.prefix);
    }
}

static bool want(struct wanted *out, struct hx_slice bytes)
{
    char name[HX_NAME_MAX];
    const char *module = hx_records_peek_name(bytes, name) == HX_OK ? name : "?";

    *out = (struct wanted){ 0 };
    want_interfaces(out, bytes, HX_RECORDS_PROVIDES, HX_PROVIDES_MAX);
    want_interfaces(out, bytes, HX_RECORDS_REQUIRES, HX_REQUIRES_MAX);
    if (!hx_mp_object_imports(bytes, &out->imports) || !hx_mp_object_symbol_in(bytes, HX_STATE_SECTION, &out->state) ||
        !hx_mp_object_symbol_in(bytes, HX_RECORD_SECTION, &out->record))
        return false;
    snprintf(out->state_type, sizeof(out->state_type), "state %s", module);
    snprintf(out->record_type, sizeof(out->record_type), "record %s", module);
    out->wanted.list = out->list;
    out->wanted.prefix = out->prefix;
    out->wanted.import = out->imports.name;
    out->wanted.import_count = out->imports.count;
    out->wanted.state = out->state;
    out->wanted.state_type = out->state_type;
    out->wanted.record = out->record;
    out->wanted.record_type = out->record_type;
    return true;
}

static void wanted_free(struct wanted *wanted)
{
    hx_mp_imports_free(&wanted->imports);
    free(wanted->state);
    free(wanted->record);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
static bool find_broken(const char *path, const char *what, struct hx_mp_findings *findings)
{
    hx_mp_find_error(findings, HX_E_FORMAT, path, "%s; build it again", what);
    return false;
}

static bool read_recorded(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                          struct hx_mp_findings *findings)
{
    struct hx_types types;
    char fault[HX_TYPES_FAULT_MAX];
    hx_status_t err = hx_types_read(bytes, &types, fault);

    for (uint32_t i = 0; i < types.count && err == HX_OK; i++) {
        err = hx_types_check(&types, i, fault);
        if (err == HX_OK &&
            !hx_mp_types_add(out, hx_slice_string(types.section, types.record[i].name), NULL, types.record[i].type))
            return find_broken(path, "not enough memory for its types", findings);
    }
    if (err != HX_OK)
        hx_mp_find_error(findings, err, path, "%s", fault);
    return err == HX_OK;
}

static bool read_debug(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                       struct hx_mp_findings *findings)
{
    struct wanted wanted;
    bool ok = want(&wanted, bytes);

    if (!ok)
        (void)find_broken(path, "broken symbol table: libelf cannot read it", findings);
    else
        ok = hx_mp_types_describe(out, bytes, path, &wanted.wanted, findings);
    wanted_free(&wanted);
    return ok;
}

bool hx_mp_module_types_read(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                             struct hx_mp_findings *findings)
{
    *out = (struct hx_mp_types){ 0 };
    if (!read_debug(out, bytes, path, findings))
        return false;
    return out->count > 0 || read_recorded(out, bytes, path, findings);
}

/* ---- recording ------------------------------------------------------------------------------------------------------- */
/* The section's contents, owned by the caller. NULL: not enough memory, or too many. */
static uint8_t *make_section(const struct hx_mp_types *types, size_t *out_bytes)
{
    struct hx_types_head head = { .format = HX_TYPES_FORMAT, .count = (uint32_t)types->count };
    size_t at = sizeof(head), name = at + types->count * sizeof(struct hx_type_record), bytes = name;
    uint8_t *section;

    for (size_t i = 0; i < types->count; i++)
        bytes += strlen(types->type[i].name) + 1;
    section = types->count <= HX_TYPES_MAX ? calloc(1, bytes) : NULL;
    if (!section)
        return NULL;
    memcpy(section, &head, sizeof(head));
    for (size_t i = 0; i < types->count; i++, at += sizeof(struct hx_type_record)) {
        const struct hx_mp_type *type = &types->type[i];
        struct hx_type_record record = { type->type, hx_mp_types_key(type), (uint32_t)name };

        memcpy(section + at, &record, sizeof(record));
        memcpy(section + name, type->name, strlen(type->name) + 1);
        name += strlen(type->name) + 1;
    }
    *out_bytes = bytes;
    return section;
}

bool hx_mp_module_types_record(struct hx_slice bytes, const char *path, bool strip, struct hx_slice *out,
                               struct hx_mp_findings *findings)
{
    struct hx_mp_remake how = { .strip = strip };
    struct hx_mp_types types = { 0 };
    uint8_t *section = NULL;
    size_t section_bytes = 0;
    bool ok = read_debug(&types, bytes, path, findings);

    *out = hx_slice_of(NULL, 0);
    if (ok && types.count > 0) {
        section = make_section(&types, &section_bytes);
        ok = section || find_broken(path, "not enough memory for its types", findings);
        how.types = hx_slice_of(section, section_bytes);
    }
    if (ok && (section || strip))
        ok = hx_mp_remake(bytes, path, &how, out, findings);
    free(section);
    hx_mp_types_free(&types);
    return ok;
}
