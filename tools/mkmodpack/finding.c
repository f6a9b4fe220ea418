/* SPDX-License-Identifier: MIT */
/* finding.c - see finding.h. */
#include "finding.h"

#include <errno.h>
#include <helix/types.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

/* One line stays one line, whatever a name or a file holds. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static void tell(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *format,
                 va_list arguments)
{
    char line[1024];
    char name[PATH_MAX + HX_NAME_MAX + 4]; /* PACK(FILE) */

    vsnprintf(line, sizeof(line), format, arguments);
    snprintf(name, sizeof(name), "%s", file);
    clean(line);
    clean(name);
    if (findings->take)
        findings->take(findings, err, name, line);
    else
        fprintf(stderr, "mkmodpack: %s: %s\n", name, line);
    findings->count++;
}

void hx_mp_find(struct hx_mp_findings *findings, const char *file, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(findings, HX_E_FORMAT, file, format, arguments);
    va_end(arguments);
}

void hx_mp_find_error(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(findings, err, file, format, arguments);
    va_end(arguments);
}

hx_status_t hx_mp_status_of(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
    case ENOTDIR: return HX_E_NOENT;
    case EACCES:
    case EPERM:
    case EROFS: return HX_E_PERM;
    case EEXIST: return HX_E_EXIST;
    case ENOMEM: return HX_E_NOMEM;
    case ENOSPC:
    case EDQUOT: return HX_E_FULL;
    case EFBIG:
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE: return HX_E_LIMIT;
    case EIO: return HX_E_HARDWARE;
    default: return HX_E_INVAL;
    }
}
