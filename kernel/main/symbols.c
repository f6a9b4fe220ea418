/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - names for code addresses, in the core and in modules.
 *
 * Modules: from the pristine file that the image was linked from. Core: from the table that the build appends (symtab.h).
 */
#include <lib/fmt.h>
#include <module/module.h>

#include "compose.h"

size_t hx_symbolise(uintptr_t ip, char *text, size_t bytes)
{
    const char *name = NULL;
    uint64_t offset = 0;
    const struct hx_version *version = hx_module_version_at(ip);
    if (!version)
        return hx_core_symbolise(ip, text, bytes);
    if (hx_image_symbol(version->image, version->file, ip, &name, &offset) != HX_OK)
        return hx_fmt(text, bytes, "0x%llx (%s)", (unsigned long long)(ip - version->image->part[HX_PART_TEXT].va), version->module->name);
    return hx_fmt(text, bytes, "%s+0x%llx (%s)", name, (unsigned long long)offset, version->module->name);
}
