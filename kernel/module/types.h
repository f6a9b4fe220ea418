/* SPDX-License-Identifier: MIT */
/*
 * types.h - what a module and those whom it meets mean by the names that they share, as hashes of the types.
 *
 * A module's file carries them in a section that is not loaded, which mkmodpack makes of the compiler's debug information. The
 * kernel's own are made when it is built. Pure, no allocation; the bytes are hostile: whoever lies here harms himself alone.
 * May be used by: L5 and up, mkmodpack, tests, fuzzers.
 */
#pragma once
#include <helix/types.h>
#include <lib/slice.h>

#define HX_TYPES_SECTION ".hx.types"

enum {
    HX_TYPES_FORMAT = 1,    /* another one when hx_hash_name(), or the words that are hashed, become others */
    HX_TYPES_MAX = 65535,   /* that mkmodpack records */
    HX_TYPES_NAME_MAX = 64, /* of a name as it is shown */
    HX_TYPES_FAULT_MAX = 160,
};

/* The section: this, the records, and the names. */
struct __attribute__((packed)) hx_types_head {
    uint32_t format;
    uint32_t count;
};

struct __attribute__((packed)) hx_type_record { /* ascending by key */
    uint64_t type;                              /* XXH64 of the type in words */
    uint32_t key;                               /* hx_types_key() of the name */
    uint32_t name;                              /* where in the section it begins; ends with NUL */
};

struct hx_types {
    const struct hx_type_record *record; /* [count], in the file. None: the module does not say. */
    uint32_t count;
    struct hx_slice section;
};

/* "import hx_kv_get" and "operation hx_kv_get" are two sides of one thing. */
uint32_t hx_types_key(const char *name, size_t bytes);
/* Of a module's file; it has none: HX_OK. HX_E_FORMAT: a broken section, HX_E_UNSUPPORTED: one of another format; @fault says what
 * is wrong. */
HX_NODISCARD hx_status_t hx_types_read(struct hx_slice file, struct hx_types *out, char fault[HX_TYPES_FAULT_MAX]);
/* Whether record @i has a name, the key of that, and its place in their order. HX_E_FORMAT: @fault says what is wrong. */
HX_NODISCARD hx_status_t hx_types_check(const struct hx_types *types, uint32_t i, char fault[HX_TYPES_FAULT_MAX]);
/* The name of one of them, printable whatever the file holds. */
void hx_types_name(const struct hx_types *types, const struct hx_type_record *record, char out[HX_TYPES_NAME_MAX]);
/*
 * The first record of @types that the kernel means otherwise, or @others do; NULL: they agree on all that both name. One that fails
 * its check may be it, and the kernel passes none over that does, unless it is of an export which it has and means alike: that is
 * one probe, and the rest of the check would take longer than the import.
 */
const struct hx_type_record *hx_types_against_kernel(const struct hx_types *types);
const struct hx_type_record *hx_types_against(const struct hx_types *types, const struct hx_types *others);
/* Whether both mean the same by "@what @name", as "state svc_kv", or one of them does not say. */
bool hx_types_agree(const struct hx_types *types, const struct hx_types *others, const char *what, const char *name);

/* The kernel's own beside its exports (exports.h), ascending by key; made with the table of exports. */
extern const uint32_t hx_kernel_types_key[];
extern const uint64_t hx_kernel_types_type[];
extern const uint32_t hx_kernel_types_count;
