/* SPDX-License-Identifier: MIT */
/* printable.c - see printable.h. */
#include "printable.h"

size_t hx_mp_print_name(const char *name, FILE *to)
{
    size_t count = 0;

    for (; name[count]; count++)
        fputc(name[count] <= ' ' || name[count] > '~' ? '?' : name[count], to);
    return count;
}

void hx_mp_print_column(const char *name, size_t width, FILE *to)
{
    size_t used = hx_mp_print_name(name, to);

    do
        fputc(' ', to);
    while (++used < width);
}
