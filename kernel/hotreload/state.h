/* SPDX-License-Identifier: MIT */
/*
 * state.h - carrying a module's state from one version to the next.
 *
 * Three ways, decided before the gate closes:
 * - the declarations are identical: the new version gets the old one's pages, copied when first written;
 * - the old version has `save` and the new one `load`: they convert through a blob of named fields;
 * - otherwise the kernel converts field by field, by the rules of module/fields.h; an old field that finds no place, or a value
 *   that does not fit, is a refusal.
 *
 * The blob lies in kernel memory: a header {magic, format, version, schema, length, CRC-32C} and fields, each {name, length,
 * data}, in order. It is checked as if an enemy had written it before anything is read from it.
 */
#pragma once
#include <module/module.h>

enum hx_state_way {
    HX_STATE_NONE, /* there is no state to carry */
    HX_STATE_SHARED,
    HX_STATE_HOOKS,
    HX_STATE_FIELDS,
};

enum { HX_BLOB_FIELDS_MAX = 64 };

struct hx_blob {
    uint8_t *data; /* owned */
    size_t capacity;
    size_t used;
    struct hx_blob_field { /* index, rebuilt from data when the blob is opened */
        const char *name;
        uint32_t off, bytes;
    } field[HX_BLOB_FIELDS_MAX];
    uint32_t field_count;
};

struct hx_state_transfer {
    enum hx_state_way way;
    struct hx_version *from, *to;
    struct hx_blob blob;
    size_t bytes;      /* carried */
    uint64_t saved_ns; /* when the old version had saved its state; 0: it was not asked to */
};

/* Decides the way and reserves what it needs. HX_E_SCHEMA names the field; HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_state_prepare(struct hx_state_transfer *transfer, struct hx_version *from,
                                          struct hx_version *to, struct hx_report *report);
/* Carries the state over; nothing of @from changes. No allocation, no sleep. On refusal @to's state is undefined. */
HX_NODISCARD hx_status_t hx_state_carry(struct hx_state_transfer *transfer, struct hx_report *report);
/* For the audit, only with HX_CHECKS: room for what @to will save, reserved after hx_state_prepare() (HX_E_NOMEM), and its
 * saving, after hx_state_carry(): HX_OK, and the blob holds it, open. Its error is reported; no allocation, no sleep. */
HX_NODISCARD hx_status_t hx_state_prepare_again(struct hx_state_transfer *transfer, struct hx_report *report);
HX_NODISCARD hx_status_t hx_state_save_again(struct hx_state_transfer *transfer, struct hx_report *report);
/* Whether what stands in the fields is what their ranges allow: HX_E_RANGE. For pages that were shared, after the open. */
HX_NODISCARD hx_status_t hx_state_check_ranges(const struct hx_version *version, struct hx_report *report);
/* The swap is final, or taken back: for shared pages, who owns what. */
void hx_state_commit(struct hx_version *from, struct hx_version *to, enum hx_state_way way);
void hx_state_revert(struct hx_version *to, enum hx_state_way way);
/* Frees the blob. */
void hx_state_release(struct hx_state_transfer *transfer);
const char *hx_state_way_name(enum hx_state_way way);

/* ---- the blob ------------------------------------------------------------------------------------------------------- */
HX_NODISCARD hx_status_t hx_blob_init(struct hx_blob *blob, size_t capacity);
void hx_blob_fini(struct hx_blob *blob);
/* Appends to the last field when it has this name, else begins it. @data is copied guarded: HX_E_FAULT. HX_E_LIMIT: it does
 * not fit; HX_E_EXIST: the name was used before another; HX_E_INVAL: no proper name. */
HX_NODISCARD hx_status_t hx_blob_put(struct hx_blob *blob, const char *name, const void *data, size_t bytes);
/* Writes the header. */
void hx_blob_seal(struct hx_blob *blob, uint32_t version, uint64_t schema);
/* Checks everything and builds the index. HX_E_FORMAT, HX_E_TRUNCATED, HX_E_CHECKSUM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_blob_open(struct hx_blob *blob);
/* NULL: no such field. */
const struct hx_blob_field *hx_blob_find(const struct hx_blob *blob, const char *name);

/* ---- for the imports hx_state_put, hx_state_get, hx_state_size: legal only inside save or load -------------------------- */
HX_NODISCARD hx_ret_t hx_state_import_put(const char *name, const void *data, uint64_t bytes);
HX_NODISCARD hx_ret_t hx_state_import_get(const char *name, uint64_t offset, void *data, uint64_t bytes);
HX_NODISCARD hx_ret_t hx_state_import_size(const char *name);
