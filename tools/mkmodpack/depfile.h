/* SPDX-License-Identifier: MIT */
/* depfile.h - what a file was made from, in the words of make and Ninja. */
#pragma once
#include "finding.h"

#include <stdbool.h>
#include <stddef.h>

/* The text "TARGET: PATH PATH..." with what make and Ninja would misread escaped. Owned by the caller; NULL after a finding: a
 * path that cannot be written in such a file, or no memory. */
char *hx_mp_depfile_make(const char *target, const char *const *path, size_t count, struct hx_mp_findings *findings);
