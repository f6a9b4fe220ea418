/* SPDX-License-Identifier: MIT */
/*
 * symtab.c - names of the core's own functions, from the table that the second link carries (kernel/symbols.py).
 *
 * Why in the image: the file that is booted has no symbols, and a panic must not depend on a file being there. Why the names
 * are put together where they are asked for: that takes half of the room, and nobody who asks is in a hurry.
 */
#include <string.h>

#include "compose.h"

enum { BLOCK = 16, FIRST_WORD = 0x80 }; /* functions; a byte of a name from here on is a word */

struct symtab_block {  /* of its first function */
    uint32_t text_off; /* from hx_text_start; ascending */
    uint32_t name_off;
};

struct symtab { /* offsets are from its start */
    uint32_t count;
    uint32_t lengths_off; /* uint16_t a function */
    uint32_t words_off;
    struct symtab_block block[];
};

extern const char hx_text_start[], hx_text_end[];
extern const char hx_symbols_start[], hx_symbols_end[];

/* NULL: the first link has none. */
static const struct symtab *table(void)
{
    bool is_there = (uintptr_t)hx_symbols_start != (uintptr_t)hx_symbols_end;
    return is_there ? (const struct symtab *)(const void *)hx_symbols_start : NULL;
}

static const uint16_t *lengths(const struct symtab *symtab)
{
    return (const uint16_t *)(const void *)(hx_symbols_start + symtab->lengths_off);
}

/* String number @index of those that begin at @off, each behind the NUL of the one before it. */
static const char *string_at(uint32_t off, uint32_t index)
{
    const char *string = hx_symbols_start + off;
    while (index-- > 0)
        string += strlen(string) + 1;
    return string;
}

static void expand(const struct symtab *symtab, const char *coded, char name[HX_LABEL_NAME_BYTES])
{
    size_t used = 0;

    for (; *coded; coded++) {
        unsigned char byte = (unsigned char)*coded;
        const char *word = byte < FIRST_WORD ? coded : string_at(symtab->words_off, byte - FIRST_WORD);
        size_t bytes = byte < FIRST_WORD ? 1 : strlen(word);
        if (bytes > HX_LABEL_NAME_BYTES - 1 - used)
            break;
        memcpy(name + used, word, bytes);
        used += bytes;
    }
    name[used] = '\0';
}

bool hx_core_function(uint32_t index, struct hx_label *out, char name[HX_LABEL_NAME_BYTES])
{
    const struct symtab *symtab = table();
    if (!symtab || index >= symtab->count)
        return false;
    const struct symtab_block *block = &symtab->block[index / BLOCK];
    uint32_t text_off = block->text_off;
    for (uint32_t i = index - index % BLOCK; i < index; i++)
        text_off += lengths(symtab)[i];
    expand(symtab, string_at(block->name_off, index % BLOCK), name);
    *out = (struct hx_label){ name, (uintptr_t)hx_text_start + text_off, lengths(symtab)[index] };
    return true;
}

/* How many functions are at or below @text_off. */
static uint32_t count_up_to(const struct symtab *symtab, uint32_t text_off)
{
    uint32_t low = 0, high = (symtab->count + BLOCK - 1) / BLOCK;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (symtab->block[middle].text_off <= text_off)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    uint32_t count = (low - 1) * BLOCK + 1;
    uint32_t end = symtab->block[low - 1].text_off + lengths(symtab)[count - 1]; /* of the last one counted */
    while (count < symtab->count && end <= text_off)
        end += lengths(symtab)[count++];
    return count;
}

bool hx_core_function_at(uintptr_t va, struct hx_label *out, char name[HX_LABEL_NAME_BYTES])
{
    if (va < (uintptr_t)hx_text_start || va >= (uintptr_t)hx_text_end || !table())
        return false;
    uint32_t count = count_up_to(table(), (uint32_t)(va - (uintptr_t)hx_text_start));
    return count > 0 && hx_core_function(count - 1, out, name);
}
