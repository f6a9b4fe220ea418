/* SPDX-License-Identifier: MIT */
/*
 * symbol_file.h - names with values, for linking by hand: a text of lines "name 0xvalue".
 *
 * # starts a comment that ends with the line; empty lines mean nothing. A name may come again with the same value.
 */
#pragma once
#include "finding.h"

#include <lib/slice.h>

struct hx_mp_symbol {
    char *name; /* in text */
    uint64_t value;
    unsigned int line;
};

struct hx_mp_symbols {
    char *text;                  /* Owned. */
    struct hx_mp_symbol *symbol; /* [count], sorted by name. Owned. */
    size_t count;
};

/* Reads @bytes, which @path names in findings. On refusal, one finding with the line's number, and nothing is left. */
bool hx_mp_symbols_read(struct hx_mp_symbols *out, const char *path, struct hx_slice bytes,
                        struct hx_mp_findings *findings);
/* NULL: not there. Accepts a zeroed one. */
const struct hx_mp_symbol *hx_mp_symbols_find(const struct hx_mp_symbols *symbols, const char *name);
void hx_mp_symbols_free(struct hx_mp_symbols *symbols);
