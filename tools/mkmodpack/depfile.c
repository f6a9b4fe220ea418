/* SPDX-License-Identifier: MIT */
/*
 * depfile.c - see depfile.h.
 *
 * Source: GNU make manual, 4.3 "Types of Prerequisites" and 3.1.1; Ninja manual, "depfile". Both read what compilers write:
 * a blank and a # stand behind a backslash, a $ is doubled, and backslashes count only in front of a blank or #.
 */
#include "depfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_writable(const char *path)
{
    for (; *path; path++)
        if (*path == '\n' || *path == '\r')
            return false;
    return true;
}

static void print_path(const char *path, FILE *to)
{
    size_t backslashes = 0;

    for (; *path; path++) {
        bool special = *path == ' ' || *path == '\t' || *path == '#';

        for (size_t i = 0; special && i <= backslashes; i++) /* those in front twice, and one that escapes */
            fputc('\\', to);
        if (*path == ':')
            fputc('\\', to);
        if (*path == '$')
            fputc('$', to);
        fputc(*path, to);
        backslashes = *path == '\\' ? backslashes + 1 : 0;
    }
}

static bool check_paths(const char *target, const char *const *path, size_t count, struct hx_mp_findings *findings)
{
    for (size_t i = 0; i <= count; i++) {
        const char *one = i < count ? path[i] : target;

        if (!is_writable(one)) {
            hx_mp_find(findings, one, "its name holds a line feed: no dependency file can; rename it");
            return false;
        }
    }
    return true;
}

char *hx_mp_depfile_make(const char *target, const char *const *path, size_t count, struct hx_mp_findings *findings)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream;
    bool failed;

    if (!check_paths(target, path, count, findings))
        return NULL;
    stream = open_memstream(&text, &bytes);
    failed = stream == NULL;
    if (stream) {
        print_path(target, stream);
        fputc(':', stream);
        for (size_t i = 0; i < count; i++) {
            fputs(" \\\n  ", stream);
            print_path(path[i], stream);
        }
        fputc('\n', stream);
        failed = ferror(stream);
        failed = fclose(stream) != 0 || failed;
    }
    if (!failed)
        return text;
    hx_mp_find_error(findings, HX_E_NOMEM, target, "not enough memory for the dependency file; free some");
    free(text);
    return NULL;
}
