/* SPDX-License-Identifier: MIT */
/*
 * strip.h - a module made anew without its debug information, with its types recorded, or both.
 *
 * Gone without debug information: sections that are not loaded and hold DWARF or stabs, their relocations, and sections made
 * for the compiler and linker alone. Kept: everything that is loaded, its relocations, and the symbol table, entry for entry:
 * a symbol of a section that is gone becomes an absolute 0 without a name. So the module loads to the same bytes, and backtraces
 * still name its functions.
 */
#pragma once
#include "finding.h"

#include <lib/slice.h>

#define HX_MP_TYPES_SECTION ".hx.types"

struct hx_mp_remake {
    bool strip; /* without debug information */
    struct hx_slice
        types; /* the contents of section .hx.types, in the place of one that is there; empty: it stays as it is */
};

/* @out: the new file, owned by the caller (free). @bytes passed hx_mp_object_check(). A refusal is a finding. */
bool hx_mp_remake(struct hx_slice bytes, const char *path, const struct hx_mp_remake *how, struct hx_slice *out,
                  struct hx_mp_findings *findings);
