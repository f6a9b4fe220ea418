/* SPDX-License-Identifier: MIT */
/* label.c - see label.h. */
#include "label.h"

#include <lib/fmt.h>

size_t hx_label_text(const struct hx_label *label, uintptr_t va, const char *owner, char *text, size_t bytes)
{
    size_t used = hx_fmt(text, bytes, "%s+0x%llx", label->name, (unsigned long long)(va - label->va));
    if (label->bytes)
        used = hx_fmt_append(text, bytes, used, "/0x%llx", (unsigned long long)label->bytes);
    if (owner)
        used = hx_fmt_append(text, bytes, used, " (%s)", owner);
    if (used >= bytes)
        used = bytes ? bytes - 1 : 0;
    for (size_t i = 0; i < used; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    return used;
}
