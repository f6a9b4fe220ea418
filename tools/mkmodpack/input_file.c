/* SPDX-License-Identifier: MIT */
/*
 * input_file.c - read a file whole.
 *
 * Why not mmap: a file that shrinks while it is read would then end the program by a signal instead of a finding.
 */
#include "input_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Far above every sensible pack; below it sizes fit everywhere. */
#define FILE_BYTES_MAX ((size_t)1 << 30)

static char *join(const char *directory, const char *path)
{
    char *out = NULL;

    if (!directory || path[0] == '/')
        return strdup(path);
    if (asprintf(&out, "%s/%s", directory, path) < 0)
        return NULL;
    return out;
}

/* Makes room for more in @data; NULL when it may not grow further, @data is kept then. */
static uint8_t *grow(uint8_t *data, size_t *capacity)
{
    size_t larger = *capacity ? 2 * *capacity : 65536;
    uint8_t *moved = larger <= FILE_BYTES_MAX ? realloc(data, larger) : NULL;

    if (moved)
        *capacity = larger;
    return moved;
}

static bool read_stream(FILE *stream, struct hx_mp_file *out, struct hx_mp_findings *findings)
{
    uint8_t *data = NULL;
    size_t capacity = 0;
    size_t used = 0;
    size_t n;

    do {
        if (used == capacity) {
            uint8_t *moved = grow(data, &capacity);

            if (!moved) {
                hx_mp_find_error(findings, HX_E_LIMIT, out->path,
                                 "cannot read: it is larger than %zu bytes; name a module or a pack", used);
                goto fail;
            }
            data = moved;
        }
        n = fread(data + used, 1, capacity - used, stream);
        used += n;
    } while (n > 0);
    if (ferror(stream)) {
        hx_mp_find_error(findings, hx_mp_status_of(errno), out->path, "cannot read: %s; name a readable file",
                         strerror(errno));
        goto fail;
    }
    out->bytes = hx_slice_of(data, used);
    return true;
fail:
    free(data);
    return false;
}

bool hx_mp_file_read(struct hx_mp_file *out, const char *directory, const char *path, struct hx_mp_findings *findings)
{
    FILE *stream = NULL;
    const char *slash;
    bool ok = false;

    *out = (struct hx_mp_file){ .path = join(directory, path) };
    if (!out->path) {
        hx_mp_find_error(findings, HX_E_NOMEM, path, "cannot read: %s; free some memory", strerror(ENOMEM));
        return false;
    }
    slash = strrchr(out->path, '/');
    out->name = slash ? slash + 1 : out->path;
    stream = fopen(out->path, "rbe");
    if (!stream) {
        hx_mp_find_error(findings, hx_mp_status_of(errno), out->path, "cannot open: %s; %s", strerror(errno),
                         errno == ENOENT ? "build it, or correct the path" : "name a readable file");
        return false;
    }
    ok = read_stream(stream, out, findings);
    fclose(stream);
    return ok;
}

void hx_mp_file_free(struct hx_mp_file *file)
{
    free(file->path);
    free((void *)(uintptr_t)file->bytes.data);
    *file = (struct hx_mp_file){ 0 };
}
