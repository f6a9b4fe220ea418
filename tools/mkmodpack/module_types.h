/* SPDX-License-Identifier: MIT */
/*
 * module_types.h - the types of one module: out of its debug information, or as they were recorded in it; and their recording.
 *
 * Whoever hands a module to a kernel records its types before its debug information goes: create, strip, and who pushes one.
 */
#pragma once
#include "type_words.h"

/*
 * Reads the types of @bytes, which passed hx_mp_object_check(). Of a module without debug information and without a record of
 * them there are none. False after a finding; @out is to be freed either way.
 */
bool hx_mp_module_types_read(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                             struct hx_mp_findings *findings);

/*
 * Makes of @bytes a file in which the types of its debug information are recorded, if it has any; with @strip, without debug
 * information. @out: owned by the caller (free); HX_SLICE of NULL: it needs nothing of this and may be used as it is. False
 * after a finding.
 */
bool hx_mp_module_types_record(struct hx_slice bytes, const char *path, bool strip, struct hx_slice *out,
                               struct hx_mp_findings *findings);
