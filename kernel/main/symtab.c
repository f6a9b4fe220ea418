/* SPDX-License-Identifier: MIT */
/*
 * symtab.c - names of the core's own functions, from the table that the second link carries (kernel/symbols.py).
 *
 * Why in the image: the file that is booted has no symbols, and a panic must not depend on a file being there.
 */
#include "compose.h"

struct symtab_entry {
    uint32_t text_off; /* of the function from hx_text_start; ascending */
    uint32_t name_off;
};

struct symtab {
    uint32_t count;
    uint32_t names_off; /* from the table's start */
    struct symtab_entry entry[];
};

extern const char hx_text_start[], hx_text_end[];
extern const char hx_symbols_start[], hx_symbols_end[];

/* NULL: the first link has none. */
static const struct symtab *table(void)
{
    bool is_there = (uintptr_t)hx_symbols_start != (uintptr_t)hx_symbols_end;
    return is_there ? (const struct symtab *)(const void *)hx_symbols_start : NULL;
}

bool hx_core_function(uint32_t index, struct hx_label *out)
{
    const struct symtab *symtab = table();
    if (!symtab || index >= symtab->count)
        return false;
    uint32_t end = (uint32_t)(hx_text_end - hx_text_start);
    if (index + 1 < symtab->count)
        end = symtab->entry[index + 1].text_off;
    out->name = hx_symbols_start + symtab->names_off + symtab->entry[index].name_off;
    out->va = (uintptr_t)hx_text_start + symtab->entry[index].text_off;
    out->bytes = end - symtab->entry[index].text_off;
    return true;
}

/* How many entries are at or below @text_off. */
static uint32_t count_up_to(const struct symtab *symtab, uint32_t text_off)
{
    uint32_t low = 0, high = symtab->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (symtab->entry[middle].text_off <= text_off)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool hx_core_function_at(uintptr_t va, struct hx_label *out)
{
    if (va < (uintptr_t)hx_text_start || va >= (uintptr_t)hx_text_end || !table())
        return false;
    uint32_t count = count_up_to(table(), (uint32_t)(va - (uintptr_t)hx_text_start));
    return count > 0 && hx_core_function(count - 1, out);
}
