/* SPDX-License-Identifier: MIT */
/*
 * type_words.h - the types by which a module meets the kernel and other modules, each in words and as a hash of them.
 *
 * A type in words says all that two sides have to agree on: sizes, places, names, signs, bounds, bits, arguments. Names that
 * the compiler knows for it do not count (a typedef is what it stands for), nor does what a pointer leads to, beyond its name: that
 * is compared under its own name. So gcc and clang say the same, and what is declared but not defined is no difference.
 *
 * The first line of a text is the type itself, each further one a member of it, however deep: "OFFSET BYTES NAME TYPE", from the
 * start of the whole; a bit field has "OFFSET.BIT" and "BITSb".
 */
#pragma once
#include "finding.h"

#include <lib/slice.h>

#include <stdint.h>
#include <stdio.h>

struct hx_mp_type {
    /* "import hx_log", "operation hx_kv_get", "struct hx_message", "state svc_kv", "record svc_kv". Owned, as is text. */
    char *name;
    char *text;    /* NULL: only its hash is known */
    uint64_t type; /* hash of the text */
};

struct hx_mp_types {
    struct hx_mp_type *type; /* [count], by hx_types_key() of their names. Owned. */
    size_t count;
};

/* A structure of functions: an interface's operations, or all that the kernel exports. */
struct hx_mp_type_list {
    char structure[64]; /* "hx_kv_ops" */
    char prefix[48];    /* "operation hx_kv_" */
};

/* What is looked for in debug information. All is borrowed. */
struct hx_mp_types_wanted {
    const struct hx_mp_type_list *list; /* [list_count] */
    size_t list_count;
    char *const *import; /* [import_count] functions, sorted */
    size_t import_count;
    char *const *prefix; /* [prefix_count] of interfaces; structures that are called so, or hx_, are looked for */
    size_t prefix_count;
    const char *state, *record;           /* the variables, of which the second is a pointer; NULL: there is none */
    const char *state_type, *record_type; /* what the types are to be called, that of the second what it leads to */
};

/* Adds a type; its name and text are copied, @text may be NULL. False: not enough memory. */
bool hx_mp_types_add(struct hx_mp_types *types, const char *name, const char *text, uint64_t type);
/* That by which it is found and sorted. */
uint32_t hx_mp_types_key(const struct hx_mp_type *type);
void hx_mp_types_sort(struct hx_mp_types *types);
/* NULL: there is none that means the same. */
const struct hx_mp_type *hx_mp_types_find(const struct hx_mp_types *types, const char *name);
void hx_mp_types_free(struct hx_mp_types *types);

/*
 * Reads what is wanted out of the debug information of @bytes, which passed hx_mp_object_check(), or of a linked program. None is
 * no error: nothing is recorded then. False after a finding: two units of the module mean different things by one name; it
 * cannot be read.
 */
bool hx_mp_types_describe(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                          const struct hx_mp_types_wanted *wanted, struct hx_mp_findings *findings);

/* In one line where two texts differ first: "field `code': offset 8, 4 bytes here; offset 12, 4 bytes there". Owned by the
 * caller; NULL: not enough memory. @here and @there name the sides. */
char *hx_mp_type_difference(const char *text, const char *here, const char *other, const char *there);
