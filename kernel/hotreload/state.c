/* SPDX-License-Identifier: MIT */
/* state.c - see state.h. */
#include "state.h"

#include <hal/hx_lock.h>
#include <lib/crc.h>
#include <lib/err.h>
#include <string.h>

#define BLOB_MAGIC 0x42535848u /* "HXSB" */
enum { BLOB_FORMAT = 1, BLOB_SLACK = 4096 };

struct blob_header {
    uint32_t magic;
    uint32_t format;
    uint32_t version; /* of the module that saved */
    uint32_t crc;     /* CRC-32C of everything behind the header */
    uint64_t schema;
    uint64_t bytes; /* behind the header */
};

struct blob_record {
    char name[HX_NAME_MAX];
    uint32_t bytes; /* of data; the next record begins at the next multiple of 8 */
    uint32_t reserved;
};

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* ---- the blob ------------------------------------------------------------------------------------------------------- */

static void clear(struct hx_blob *blob)
{
    blob->used = sizeof(struct blob_header);
    blob->field_count = 0;
}

hx_status_t hx_blob_init(struct hx_blob *blob, size_t capacity)
{
    memset(blob, 0, sizeof(*blob));
    blob->data = hx_hal_alloc(capacity);
    if (!blob->data)
        return HX_E_NOMEM;
    blob->capacity = capacity;
    clear(blob);
    return HX_OK;
}

void hx_blob_fini(struct hx_blob *blob)
{
    hx_hal_free(blob->data);
    blob->data = NULL;
}

static hx_status_t begin_field(struct hx_blob *blob, const char *name)
{
    size_t length = strnlen(name, HX_NAME_MAX);
    if (length == 0 || length == HX_NAME_MAX)
        return HX_E_INVAL;
    if (hx_blob_find(blob, name))
        return HX_E_EXIST;
    size_t at = padded(blob->used);
    if (blob->field_count == HX_BLOB_FIELDS_MAX || at > blob->capacity ||
        blob->capacity - at < sizeof(struct blob_record))
        return HX_E_LIMIT;
    struct blob_record *record = (struct blob_record *)(blob->data + at);
    memset(record, 0, sizeof(*record));
    memcpy(record->name, name, length);
    blob->used = at + sizeof(*record);
    blob->field[blob->field_count++] = (struct hx_blob_field){ .name = record->name, .off = (uint32_t)blob->used };
    return HX_OK;
}

hx_status_t hx_blob_put(struct hx_blob *blob, const char *name, const void *data, size_t bytes)
{
    struct hx_blob_field *last = blob->field_count ? &blob->field[blob->field_count - 1] : NULL;
    hx_status_t err = HX_OK;
    if (!last || strcmp(last->name, name) != 0) {
        err = begin_field(blob, name);
        if (err != HX_OK)
            return err;
        last = &blob->field[blob->field_count - 1];
    }
    if (bytes > blob->capacity - blob->used)
        return HX_E_LIMIT;
    err = hx_hal_copy(blob->data + blob->used, data, bytes);
    if (err != HX_OK)
        return err;
    blob->used += bytes;
    last->bytes += (uint32_t)bytes;
    struct blob_record *record = (struct blob_record *)(blob->data + last->off - sizeof(*record));
    record->bytes = last->bytes;
    return HX_OK;
}

void hx_blob_seal(struct hx_blob *blob, uint32_t version, uint64_t schema)
{
    struct blob_header *header = (struct blob_header *)blob->data;
    *header = (struct blob_header){ .magic = BLOB_MAGIC,
                                    .format = BLOB_FORMAT,
                                    .version = version,
                                    .schema = schema,
                                    .bytes = blob->used - sizeof(*header) };
    header->crc = hx_crc32c(0, blob->data + sizeof(*header), blob->used - sizeof(*header));
}

static hx_status_t index_fields(struct hx_blob *blob, struct hx_slice body)
{
    uint64_t at = 0;
    blob->field_count = 0;
    while (at < body.bytes) {
        struct blob_record record;
        hx_status_t err = hx_slice_read(body, at, &record, sizeof(record));
        if (err != HX_OK)
            return err;
        at += sizeof(record);
        if (!record.name[0] || !memchr(record.name, 0, sizeof(record.name)))
            return HX_E_FORMAT;
        if (!hx_slice_has(body, at, record.bytes))
            return HX_E_TRUNCATED;
        if (blob->field_count == HX_BLOB_FIELDS_MAX)
            return HX_E_LIMIT;
        const char *name = (const char *)body.data + at - sizeof(record);
        if (hx_blob_find(blob, name))
            return HX_E_EXIST;
        blob->field[blob->field_count++] = (struct hx_blob_field){ .name = name,
                                                                   .off = (uint32_t)(sizeof(struct blob_header) + at),
                                                                   .bytes = record.bytes };
        at = padded(at + record.bytes);
    }
    return HX_OK;
}

hx_status_t hx_blob_open(struct hx_blob *blob)
{
    struct blob_header header;
    struct hx_slice whole = hx_slice_of(blob->data, blob->used), body;
    hx_status_t err = hx_slice_read(whole, 0, &header, sizeof(header));
    if (err != HX_OK)
        return err;
    if (header.magic != BLOB_MAGIC || header.format != BLOB_FORMAT)
        return HX_E_FORMAT;
    if (header.bytes != blob->used - sizeof(header))
        return HX_E_TRUNCATED;
    err = hx_slice_sub(whole, sizeof(header), header.bytes, &body);
    if (err != HX_OK)
        return err;
    if (hx_crc32c(0, body.data, body.bytes) != header.crc)
        return HX_E_CHECKSUM;
    return index_fields(blob, body);
}

const struct hx_blob_field *hx_blob_find(const struct hx_blob *blob, const char *name)
{
    for (uint32_t i = 0; i < blob->field_count; i++)
        if (strcmp(blob->field[i].name, name) == 0)
            return &blob->field[i];
    return NULL;
}

/* ---- the imports ----------------------------------------------------------------------------------------------------- */

/* The transfer under way. One worker carries state, so there is one at most. */
static struct {
    struct hx_state_transfer *transfer;
    const struct hx_version *version; /* whose hook runs, */
    enum hx_hook hook;                /* HX_HOOK_SAVE or HX_HOOK_LOAD */
} under_way;

static struct hx_state_transfer *transfer_in(enum hx_hook hook)
{
    struct hx_state_transfer *transfer = under_way.transfer;
    if (!transfer || under_way.hook != hook)
        return NULL;
    return hx_module_calling() == under_way.version ? transfer : NULL;
}

hx_ret_t hx_state_import_put(const char *name, const void *data, uint64_t bytes)
{
    struct hx_state_transfer *transfer = transfer_in(HX_HOOK_SAVE);
    return transfer ? hx_blob_put(&transfer->blob, name, data, bytes) : HX_E_STATE;
}

hx_ret_t hx_state_import_get(const char *name, uint64_t offset, void *data, uint64_t bytes)
{
    struct hx_state_transfer *transfer = transfer_in(HX_HOOK_LOAD);
    if (!transfer)
        return HX_E_STATE;
    const struct hx_blob_field *field = hx_blob_find(&transfer->blob, name);
    if (!field)
        return HX_E_NOENT;
    uint64_t left = offset < field->bytes ? field->bytes - offset : 0;
    uint64_t copied = bytes < left ? bytes : left;
    hx_status_t err = hx_hal_copy(data, transfer->blob.data + field->off + (copied ? offset : 0), copied);
    return err == HX_OK ? (hx_ret_t)copied : err;
}

hx_ret_t hx_state_import_size(const char *name)
{
    struct hx_state_transfer *transfer = transfer_in(HX_HOOK_LOAD);
    if (!transfer)
        return HX_E_STATE;
    const struct hx_blob_field *field = hx_blob_find(&transfer->blob, name);
    return field ? (hx_ret_t)field->bytes : HX_E_NOENT;
}

/* ---- deciding ------------------------------------------------------------------------------------------------------- */

static hx_status_t check_fields_fit(const struct hx_version *from, const struct hx_version *to,
                                    struct hx_report *report)
{
    for (uint32_t i = 0; i < from->fields.count; i++) {
        const struct hx_field_record *old = &from->fields.field[i];
        const char *obstacle = hx_fields_obstacle(&from->fields, old, &to->fields);
        if (obstacle)
            return hx_report_fail(
                report, HX_E_SCHEMA, old->name,
                "state field %s %s; declare what becomes of it (HX_STATE_WAS, HX_STATE_DROPS), or give "
                "both versions save and load hooks",
                old->name, obstacle);
    }
    return HX_OK;
}

static hx_status_t decide(struct hx_state_transfer *transfer, struct hx_report *report)
{
    struct hx_version *from = transfer->from, *to = transfer->to;
    bool hooks = hx_version_has_hook(from, HX_HOOK_SAVE) && hx_version_has_hook(to, HX_HOOK_LOAD);
    if (!from->schema && !hx_version_has_hook(from, HX_HOOK_SAVE)) {
        transfer->way = HX_STATE_NONE;
        return HX_OK;
    }
    if (from->schema && from->schema == to->schema &&
        hx_types_agree(&from->types, &to->types, "state", hx_version_name(from))) {
        transfer->way = HX_STATE_SHARED;
        return HX_OK;
    }
    if (!from->schema && !hooks)
        return hx_report_fail(report, HX_E_SCHEMA, hx_hook_name(HX_HOOK_LOAD),
                              "the running version saves its state by a hook, and the new one has no load to take it");
    transfer->way = hooks ? HX_STATE_HOOKS : HX_STATE_FIELDS;
    return hooks ? HX_OK : check_fields_fit(from, to, report);
}

static size_t blob_bytes(const struct hx_version *saver)
{
    return saver->state_bytes + BLOB_SLACK + HX_BLOB_FIELDS_MAX * sizeof(struct blob_record);
}

static hx_status_t reserve_blob(struct hx_blob *blob, size_t capacity, struct hx_report *report)
{
    hx_status_t err = hx_blob_init(blob, capacity);
    if (err != HX_OK)
        return hx_report_fail(report, err, "state", "not enough memory to convert %u bytes of state",
                              (unsigned)capacity);
    return HX_OK;
}

hx_status_t hx_state_prepare(struct hx_state_transfer *transfer, struct hx_version *from, struct hx_version *to,
                             struct hx_report *report)
{
    memset(transfer, 0, sizeof(*transfer));
    transfer->from = from;
    transfer->to = to;
    hx_status_t err = decide(transfer, report);
    if (err != HX_OK || transfer->way != HX_STATE_HOOKS)
        return err;
    return reserve_blob(&transfer->blob, blob_bytes(from), report);
}

/* ---- carrying ------------------------------------------------------------------------------------------------------- */

static hx_status_t run_state_hook(struct hx_state_transfer *transfer, struct hx_version *version, enum hx_hook hook,
                                  struct hx_report *report)
{
    under_way.transfer = transfer;
    under_way.version = version;
    under_way.hook = hook;
    hx_ret_t result = hx_version_hook(version, hook, 0);
    under_way.transfer = NULL;
    if (result >= 0)
        return HX_OK;
    return hx_report_fail(report, (hx_status_t)result, hx_hook_name(hook), "%s %s: %s", hx_version_name(version),
                          hook == HX_HOOK_SAVE ? "could not save its state" : "refused the state",
                          result == HX_E_FAULT ? version->fault : hx_err_text(result));
}

/* Into the blob, which is open then. */
static hx_status_t save(struct hx_state_transfer *transfer, struct hx_version *version, struct hx_report *report)
{
    struct hx_blob *blob = &transfer->blob;
    hx_status_t err = run_state_hook(transfer, version, HX_HOOK_SAVE, report);
    if (err != HX_OK)
        return err;
    hx_blob_seal(blob, version->record->version, version->schema);
    err = hx_blob_open(blob);
    if (err != HX_OK)
        return hx_report_fail(report, err, "blob", "the saved state is damaged: %s", hx_err_text(err));
    return HX_OK;
}

static hx_status_t carry_by_hooks(struct hx_state_transfer *transfer, struct hx_report *report)
{
    hx_status_t err = save(transfer, transfer->from, report);
    if (err != HX_OK)
        return err;
    transfer->bytes = transfer->blob.used;
    transfer->saved_ns = hx_hal_clock_ns();
    err = run_state_hook(transfer, transfer->to, HX_HOOK_LOAD, report);
    return err == HX_OK ? hx_state_check_ranges(transfer->to, report) : err;
}

static hx_status_t carry_fields(struct hx_state_transfer *transfer, struct hx_report *report)
{
    const struct hx_version *from = transfer->from, *to = transfer->to;
    char fault[HX_FIELD_FAULT_MAX];
    for (uint32_t i = 0; i < from->fields.count; i++) {
        const struct hx_field_record *old = &from->fields.field[i];
        if (hx_fields_carry(&from->fields, old, from->state, &to->fields, to->state, &transfer->bytes, fault) != HX_OK)
            return hx_report_fail(report, HX_E_RANGE, old->name, "state field %s", fault);
    }
    return HX_OK;
}

hx_status_t hx_state_check_ranges(const struct hx_version *version, struct hx_report *report)
{
    char fault[HX_FIELD_FAULT_MAX];
    if (!version->fields.rules_count || hx_fields_check(&version->fields, version->state, fault) == HX_OK)
        return HX_OK;
    return hx_report_fail(report, HX_E_RANGE, "state", "state field %s", fault);
}

hx_status_t hx_state_carry(struct hx_state_transfer *transfer, struct hx_report *report)
{
    switch (transfer->way) {
    case HX_STATE_NONE: return HX_OK;
    case HX_STATE_SHARED:
        hx_hal_region_share((uintptr_t)transfer->to->state, (uintptr_t)transfer->from->state,
                            transfer->to->state_mapped);
        transfer->bytes = transfer->from->state_bytes;
        return HX_OK;
    case HX_STATE_HOOKS: return carry_by_hooks(transfer, report);
    case HX_STATE_FIELDS: return carry_fields(transfer, report);
    }
    return HX_E_INTERNAL;
}

#if HX_CHECKS
hx_status_t hx_state_prepare_again(struct hx_state_transfer *transfer, struct hx_report *report)
{
    size_t capacity = blob_bytes(transfer->to);
    if (transfer->blob.capacity >= capacity)
        return HX_OK;
    hx_blob_fini(&transfer->blob);
    return reserve_blob(&transfer->blob, capacity, report);
}

hx_status_t hx_state_save_again(struct hx_state_transfer *transfer, struct hx_report *report)
{
    clear(&transfer->blob);
    return save(transfer, transfer->to, report);
}
#endif

void hx_state_commit(struct hx_version *from, struct hx_version *to, enum hx_state_way way)
{
    if (way == HX_STATE_SHARED)
        hx_hal_region_commit((uintptr_t)to->state, (uintptr_t)from->state, to->state_mapped);
}

void hx_state_revert(struct hx_version *to, enum hx_state_way way)
{
    if (way == HX_STATE_SHARED)
        hx_hal_region_unshare((uintptr_t)to->state, to->state_mapped);
}

void hx_state_release(struct hx_state_transfer *transfer)
{
    hx_blob_fini(&transfer->blob);
}

const char *hx_state_way_name(enum hx_state_way way)
{
    static const char *const names[] = { "none", "shared", "hooks", "fields" };
    return way < HX_ARRAY_SIZE(names) ? names[way] : "?";
}
