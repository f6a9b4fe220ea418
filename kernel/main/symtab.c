/* SPDX-License-Identifier: MIT */
/*
 * symtab.c - names of the core's own functions, from the table that the second link carries (kernel/symbols.py).
 *
 * Why in the image: the file that is booted has no symbols, and a panic must not depend on a file being there.
 */
#include "compose.h"

#include <lib/fmt.h>

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

/* The last entry at or below @text_off; the first link has no table. */
static const struct symtab_entry *find(const struct symtab *table, uint32_t text_off)
{
    uint32_t low = 0, high = table->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->entry[middle].text_off <= text_off)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &table->entry[low - 1] : NULL;
}

size_t hx_core_symbolise(uintptr_t ip, char *text, size_t bytes)
{
    const struct symtab *table = (const struct symtab *)(const void *)hx_symbols_start;
    const struct symtab_entry *entry;

    if (ip < (uintptr_t)hx_text_start || ip >= (uintptr_t)hx_text_end ||
        (uintptr_t)hx_symbols_start == (uintptr_t)hx_symbols_end)
        return 0;
    entry = find(table, (uint32_t)(ip - (uintptr_t)hx_text_start));
    if (!entry)
        return 0;
    return hx_fmt(text, bytes, "%s+0x%llx", hx_symbols_start + table->names_off + entry->name_off,
                  (unsigned long long)(ip - (uintptr_t)hx_text_start - entry->text_off));
}
