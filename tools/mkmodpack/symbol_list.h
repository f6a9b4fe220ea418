/* SPDX-License-Identifier: MIT */
/* symbol_list.h - the names that a module gives to others and takes from them, and who has what it takes. */
#pragma once
#include "module_info.h"

struct hx_mp_global {
    char *name;       /* Owned. */
    char *section;    /* Owned; "common", "absolute" for those in none. */
    const char *type; /* "function", "object", "other" */
    bool weak;
    uint64_t bytes;
};

enum hx_mp_source {
    HX_MP_FROM_KERNEL,      /* an export */
    HX_MP_FROM_INTERFACE,   /* an operation of one that the module requires */
    HX_MP_FROM_LOADER,      /* the loader makes it */
    HX_MP_FROM_NOBODY_WEAK, /* stays 0 */
    HX_MP_FROM_NOBODY,
};

struct hx_mp_import {
    char *name; /* Owned. */
    bool weak;
    enum hx_mp_source source;
    struct hx_mp_text interface; /* "hx.kv"; "" when it is none */
    struct hx_mp_text version;   /* "1.0" */
};

struct hx_mp_symbol_list {
    struct hx_mp_global *global; /* [global_count], in the file's order. Owned. */
    size_t global_count;
    struct hx_mp_import *import; /* [import_count], in the file's order. Owned. */
    size_t import_count;
};

/*
 * Reads the symbols of @bytes, which passed hx_mp_object_check(). What a required interface offers is known only of a module
 * that could be linked: @module may be one that was refused, then its name alone decides. False: no memory, or the symbol
 * table is damaged.
 */
bool hx_mp_symbol_list_read(struct hx_mp_symbol_list *out, struct hx_slice bytes, const struct hx_mp_module *module);
void hx_mp_symbol_list_free(struct hx_mp_symbol_list *list);
const char *hx_mp_source_name(enum hx_mp_source source);
