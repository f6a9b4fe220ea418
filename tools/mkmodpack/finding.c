/* SPDX-License-Identifier: MIT */
/* finding.c - see finding.h. */
#include "finding.h"

#include <stdarg.h>
#include <stdio.h>

void hx_mp_find(struct hx_mp_findings *findings, const char *file, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "mkmodpack: %s: %s\n", file, line);
    findings->count++;
}
