/* SPDX-License-Identifier: MIT */
/*
 * hx_import.h - the stubs through which a module leaves into the kernel, one for every name in HX_EXPORTS.
 *
 * The loader binds a module's undefined symbol to the stub of that name. The stub calls hx_export_<name>(), which has the
 * prototype of the export and is implemented by the rooms that own what it does.
 * May be used by: L5 and up.
 */
#pragma once
#include <helix/kernel.h>

struct hx_import {
    const char *name; /* "hx_log" */
    const void *stub;
};
extern const struct hx_import hx_import_table[]; /* in order of HX_EXPORTS; a frame's in_import - 1 is an index */
extern const uint32_t hx_import_count;

#define HX_IMPORT_ONE_(name, ...) +1
_Static_assert(0 HX_EXPORTS(HX_IMPORT_ONE_) <= UINT8_MAX, "a gate frame holds the number of an import in a byte");

#define HX_IMPORT_TARGET_(name, ...) hx_ret_t hx_export_##name(__VA_ARGS__);
HX_EXPORTS(HX_IMPORT_TARGET_)
