/* SPDX-License-Identifier: MIT */
/*
 * pack_write.c - see pack_write.h.
 *
 * Why in memory first: the pack is read back by the kernel's own reader before a file with its name exists.
 */
#include "pack_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <module/pack.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ENTRY_OVERHEAD = 512, /* header, name and padding, with room to spare */
    FILE_MODE = 0644,
};

/* ---- manifest -------------------------------------------------------------------------------------------------------- */
char *hx_mp_manifest_make(const struct hx_mp_set *set)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);
    bool failed;

    if (!stream)
        return NULL;
    fprintf(stream, "helix-initrd %d\n", HX_PACK_FORMAT);
    for (size_t i = 0; i < set->count; i++)
        fprintf(stream, "%s %s\n", set->module[i].load ? "load" : "hold", set->module[i].name);
    failed = ferror(stream);
    if (fclose(stream) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- archive --------------------------------------------------------------------------------------------------------- */
/* The time that every file in the pack bears; see reproducible-builds.org, SOURCE_DATE_EPOCH. */
static bool modification_time(time_t *out, const char *path, struct hx_mp_findings *findings)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    unsigned long long value;
    char *end;

    *out = 0;
    if (!text || text[0] == '\0')
        return true;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (*end != '\0' || errno != 0 || text[0] < '0' || text[0] > '9' || value > UINT32_MAX) {
        hx_mp_find(findings, path, "SOURCE_DATE_EPOCH is `%s': not a number of seconds below 2^32; correct or unset it",
                   text);
        return false;
    }
    *out = (time_t)value;
    return true;
}

static bool add_file(struct archive *archive, const char *name, struct hx_slice content, time_t mtime,
                     unsigned int inode)
{
    struct archive_entry *entry = archive_entry_new();
    bool ok = false;

    if (!entry)
        return false;
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, FILE_MODE);
    archive_entry_set_size(entry, (la_int64_t)content.bytes);
    archive_entry_set_mtime(entry, mtime, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_nlink(entry, 1);
    archive_entry_set_ino64(entry, inode);
    archive_entry_set_dev(entry, 0);
    ok = archive_write_header(archive, entry) == ARCHIVE_OK &&
         archive_write_data(archive, content.data, content.bytes) == (la_ssize_t)content.bytes;
    archive_entry_free(entry);
    return ok;
}

static bool write_archive(struct archive *archive, uint8_t *memory, size_t capacity, size_t *out_used,
                          struct hx_slice manifest, const struct hx_mp_set *set, time_t mtime)
{
    bool ok = archive_write_set_format_cpio_newc(archive) == ARCHIVE_OK &&
              archive_write_add_filter_none(archive) == ARCHIVE_OK &&
              archive_write_set_bytes_in_last_block(archive, 1) == ARCHIVE_OK &&
              archive_write_open_memory(archive, memory, capacity, out_used) == ARCHIVE_OK &&
              add_file(archive, HX_PACK_MANIFEST, manifest, mtime, 1);

    for (size_t i = 0; ok && i < set->count; i++)
        ok = add_file(archive, set->module[i].name, set->module[i].bytes, mtime, (unsigned int)i + 2);
    return ok && archive_write_close(archive) == ARCHIVE_OK;
}

bool hx_mp_archive_make(struct hx_mp_archive *out, const char *path, struct hx_slice manifest,
                        const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    struct archive *archive = NULL;
    uint8_t *memory = NULL;
    size_t capacity = (set->count + 3) * ENTRY_OVERHEAD + manifest.bytes;
    size_t used = 0;
    time_t mtime;
    bool ok = false;

    if (!modification_time(&mtime, path, findings))
        return false;
    for (size_t i = 0; i < set->count; i++)
        capacity += set->module[i].bytes.bytes;
    memory = malloc(capacity);
    archive = archive_write_new();
    if (!memory || !archive) {
        hx_mp_find(findings, path, "not enough memory: the pack takes %zu bytes; free some", capacity);
        goto out;
    }
    if (!write_archive(archive, memory, capacity, &used, manifest, set, mtime)) {
        const char *why = archive_error_string(archive);

        hx_mp_find(findings, path, "cannot make the archive: %s; pack fewer or smaller modules", why ? why : "unknown");
        goto out;
    }
    out->bytes = hx_slice_of(memory, used);
    memory = NULL;
    ok = true;
out:
    archive_write_free(archive);
    free(memory);
    return ok;
}

void hx_mp_archive_free(struct hx_mp_archive *archive)
{
    free((void *)(uintptr_t)archive->bytes.data);
    *archive = (struct hx_mp_archive){ 0 };
}
