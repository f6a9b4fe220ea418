/* SPDX-License-Identifier: MIT */
/*
 * strip.h - a module without its debug information.
 *
 * Gone: sections that are not loaded and hold DWARF or stabs, their relocations, and sections made for the compiler and
 * linker alone. Kept: everything that is loaded, its relocations, and the symbol table, entry for entry: a symbol of a
 * section that is gone becomes an absolute 0 without a name. So the module loads to the same bytes, and backtraces
 * still name its functions.
 */
#pragma once
#include "finding.h"

#include <lib/slice.h>

/* @out: the new file, owned by the caller (free). @bytes passed hx_mp_object_check(). A refusal is a finding. */
bool hx_mp_strip_debug(struct hx_slice bytes, const char *path, struct hx_slice *out, struct hx_mp_findings *findings);
