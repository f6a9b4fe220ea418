/* SPDX-License-Identifier: MIT */
/*
 * object.h - a module file as libelf sees it: is it the kind of file at all, and what does it leave undefined.
 *
 * Why beside the kernel's loader, which has the last word: a person who packs a wrong file is told what the file is and
 * which step of the build was forgotten, where the kernel needs to say no more than that it will not do.
 */
#pragma once
#include "input_file.h"

struct hx_mp_imports {
    char **name; /* [count], sorted. Owned. */
    size_t count;
};

/* Whether @file is a relocatable ELF64 object for x86-64 that libelf can read. Refusals become findings. */
bool hx_mp_object_check(const struct hx_mp_file *file, struct hx_mp_findings *findings);
/* The undefined symbols of a file that passed the check. False: libelf refuses the file, or no memory. */
bool hx_mp_object_imports(struct hx_slice bytes, struct hx_mp_imports *out);
void hx_mp_imports_free(struct hx_mp_imports *imports);

/* The name of the first object in @section, owned by the caller; NULL: there is none. False as above. */
bool hx_mp_object_symbol_in(struct hx_slice bytes, const char *section, char **out);

struct hx_mp_object_section {
    const char *name; /* "" when it has none */
    uint32_t index;
    uint32_t type; /* SHT_ */
    uint64_t flags;
    uint64_t bytes; /* in memory */
};

/* Calls @each for the sections in order, until it returns false. False: it did, or libelf refuses the file. */
bool hx_mp_object_sections(struct hx_slice bytes,
                           bool (*each)(void *context, const struct hx_mp_object_section *section), void *context);
