/* SPDX-License-Identifier: MIT */
/* extract.h - files out of a pack, into a directory and nowhere else. */
#pragma once
#include "pack_file.h"

#include <stdio.h>

/*
 * Writes the files called @name, [@count], or all with the manifest when @count is 0, to @directory, which must exist: each
 * wholly or not at all. What is there under such a name is replaced, a symbolic link itself and not what it points to.
 * Names that are not in the pack, and files that cannot be written, become findings; the others are written. @verbose, if
 * not NULL, gets the names of those that were.
 */
void hx_mp_extract(const struct hx_mp_pack *pack, const char *directory, char *const *name, size_t count, FILE *verbose,
                   struct hx_mp_findings *findings);
