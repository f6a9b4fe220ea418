/* SPDX-License-Identifier: MIT */
/* ops.c - see ops.h. */
#include "ops.h"

#include <helix/interface.h>
#include <lib/fmt.h>
#include <string.h>

/* Printable, because people are shown it. */
static bool is_operation(const char *op, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (op[i] < ' ' || op[i] > '~')
            return false;
    return memchr(op, '(', bytes) != NULL;
}

hx_ret_t hx_ops_count(struct hx_slice ops)
{
    hx_ret_t count = 0;
    uint64_t offset = 0;
    for (;;) {
        const char *op = hx_slice_string(ops, offset);
        if (!op)
            return HX_E_FORMAT;
        size_t bytes = strlen(op);
        offset += bytes + 1;
        if (bytes == 0)
            return offset == ops.bytes ? count : HX_E_FORMAT;
        if (!is_operation(op, bytes) || count == HX_OPS_MAX)
            return HX_E_FORMAT;
        count++;
    }
}

hx_ret_t hx_ops_index(struct hx_slice ops, const char *name, size_t bytes)
{
    const char *op = NULL;
    uint64_t offset = 0;
    for (hx_ret_t index = 0; (op = hx_slice_string(ops, offset)) && *op; index++, offset += strlen(op) + 1)
        if (strncmp(op, name, bytes) == 0 && op[bytes] == '(')
            return index;
    return HX_E_NOENT;
}

bool hx_ops_agree(struct hx_slice a, uint32_t a_version, struct hx_slice b, uint32_t b_version)
{
    size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    /* The closing empty name of the shorter list stands where the longer goes on. */
    return HX_VERSION_MAJOR(a_version) == HX_VERSION_MAJOR(b_version) && common > 0 &&
           memcmp(a.data, b.data, common - 1) == 0;
}

void hx_interface_display(const char *prefix, char out[HX_NAME_MAX])
{
    hx_fmt(out, HX_NAME_MAX, "%s", prefix);
    char *separator = memchr(out, '_', strlen(out));
    if (separator)
        *separator = '.';
}
