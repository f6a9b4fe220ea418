/* SPDX-License-Identifier: MIT */
/*
 * link_object.h - do with an object what the kernel would do at a given address, and tell what came out.
 *
 * Nothing but the kernel's loader judges the object: it need not be a module.
 */
#pragma once
#include "host_image.h"
#include "input_file.h"
#include "symbol_file.h"

#include <stdio.h>

struct hx_mp_link_request {
    uintptr_t base;                      /* on a page, not 0 */
    uintptr_t part_va[HX_PART_COUNT];    /* 0: behind the part before */
    const struct hx_mp_symbols *symbols; /* for what is undefined. Borrowed. */
};

struct hx_mp_linked {
    struct hx_mp_host host;
    struct hx_image *image; /* Owned, as are the arrays. */
    struct hx_mp_linked_import {
        char *name;
        uint64_t value; /* 0: weak, left open */
    } * import;         /* [import_count], in order of the symbol table */
    size_t import_count;
    struct hx_mp_linked_common {
        uint32_t symbol; /* index */
        uintptr_t va;
    } * common; /* [common_count] */
    size_t common_count;
    struct hx_mp_linked_section {
        char *name;
        uint32_t index;
        uintptr_t va;
        size_t bytes;
        const uint8_t *data; /* in the image */
    } * section;             /* [section_count], those that are loaded, by index */
    size_t section_count;
};

/* Links @file. A refusal is one finding with the loader's error; @out is to be freed either way. */
bool hx_mp_link(struct hx_mp_linked *out, const struct hx_mp_file *file, const struct hx_mp_link_request *request,
                struct hx_mp_findings *findings);
/* All of it, for programs: a line "S index address size bytes" for each loaded section, "U name value" for each undefined
 * symbol, "C index address" for each common one, "M address size bytes" for what the loader made. Numbers with 0x. */
void hx_mp_linked_dump(const struct hx_mp_linked *linked, FILE *to);
/* For people: parts, sections, symbols. */
void hx_mp_linked_print(const struct hx_mp_linked *linked, FILE *to);
void hx_mp_linked_free(struct hx_mp_linked *linked);
