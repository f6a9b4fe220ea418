/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - names for code addresses, in the core and in modules.
 *
 * Modules: from the pristine file that the image was linked from. Core: from the table that the build appends (symtab.h).
 */
#include <module/where.h>

#include "compose.h"

size_t hx_symbolise(uintptr_t ip, bool is_return, char *text, size_t bytes)
{
    uintptr_t va = ip - is_return; /* a call that does not return may be the last instruction of its function */
    struct hx_where where;
    struct hx_label label;
    char name[HX_LABEL_NAME_BYTES];
    if (hx_where_in(hx_module_version_at(va), va, &where))
        return hx_label_text(&where.label, ip, where.version->module->name, text, bytes);
    return hx_core_function_at(va, &label, name) ? hx_label_text(&label, ip, NULL, text, bytes) : 0;
}
