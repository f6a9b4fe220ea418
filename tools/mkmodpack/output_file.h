/* SPDX-License-Identifier: MIT */
/* output_file.h - a file that is there wholly or not at all. */
#pragma once
#include "finding.h"

#include <lib/slice.h>

/* Whether @path may be written without @input, which is read, being lost: a finding when the two are one file. */
bool hx_mp_file_spares(const char *path, const char *input, struct hx_mp_findings *findings);
/* Writes @bytes to @path: wholly, or not at all; what was at @path before is replaced at once. A device or a pipe is written
 * as it is. */
bool hx_mp_file_write(const char *path, struct hx_slice bytes, struct hx_mp_findings *findings);
/* The same for the name @name in the open directory @directory; @path is what findings call it. A symbolic link at @name is
 * replaced, never followed. */
bool hx_mp_file_write_at(int directory, const char *name, const char *path, struct hx_slice bytes,
                         struct hx_mp_findings *findings);
