/* SPDX-License-Identifier: MIT */
/*
 * label.h - a name for a stretch of memory, a function or an object, and how an address in it is shown.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { HX_LABEL_NAME_BYTES = 64 }; /* that a name has room in which is put together for a label */

struct hx_label {
    const char *name; /* may hold anything but NUL: a module's names come from its file */
    uintptr_t va;
    size_t bytes; /* 0: unknown, as that of a function written in assembly may be */
};

/* "name+0x12/0x40 (owner)", without "/0x40" when the size is unknown and without " (owner)" for NULL; what cannot be printed
 * is shown as '?'. Returns the length, which is less than @bytes unless that is 0. */
size_t hx_label_text(const struct hx_label *label, uintptr_t va, const char *owner, char *text, size_t bytes);
