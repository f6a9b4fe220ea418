/* SPDX-License-Identifier: MIT */
/*
 * privileged.h - the instructions in a module's code that only a kernel may use. They run, because a module does: whoever
 * packs it should know of them.
 */
#pragma once
#include "module_info.h"

struct hx_mp_privileged {
    char text[80];        /* mnemonic and operands */
    const char *function; /* NULL: in none that has a name */
    uint64_t offset;      /* in the function, else in the part */
    const char *part;     /* of the image */
};

/* Calls @each for every one, by address. False: the disassembler cannot be had. */
bool hx_mp_privileged_list(const struct hx_mp_module *module,
                           void (*each)(void *context, const struct hx_mp_privileged *found), void *context);
