/* SPDX-License-Identifier: MIT */
/*
 * pack.c - check an initrd against its manifest and index it.
 *
 * Why the manifest comes first: it says how many files there are and what each is for, so that one pass over the archive
 *            with one table suffices, and a file that nobody meant to be there has no place to go.
 * Policy:    functions here do not clean up; hx_pack_open() owns the failure path. Who refuses writes the message.
 * Invariant: an entry's content.data is NULL until its file was met; on HX_OK no entry is without.
 * Context:   thread, allocates once.   Locks: none.
 */
#include "pack.h"

#include <hal/hx_hal.h>
#include <lib/cpio.h>
#include <lib/fmt.h>
#include <lib/hash.h>

enum {
    WORD_SHOWN_MAX = 48, /* characters of a hostile word in a message */
    WORDS_MAX = 2,       /* of a line */
    TRAILER_BYTES = 110 + sizeof("TRAILER!!!"),
};

/* One line of the manifest, taken apart. */
struct line {
    uint32_t number;
    uint32_t word_count; /* may exceed WORDS_MAX; only that many are kept */
    struct hx_slice word[WORDS_MAX];
};

struct line_cursor {
    struct hx_slice text;
    size_t offset;
    uint32_t number; /* of the line read last */
};

/* ---- refusals -------------------------------------------------------------------------------------------------------- */
static hx_status_t refuse_line(struct hx_pack_report *report, hx_status_t err, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static hx_status_t refuse_line(struct hx_pack_report *report, hx_status_t err, uint32_t line, const char *format, ...)
{
    va_list arguments;
    size_t used = hx_fmt_append(report->message, sizeof(report->message), 0, "manifest line %u: ", line);

    report->err = err;
    report->line = line;
    va_start(arguments, format);
    hx_fmt_v(report->message + used, sizeof(report->message) - used, format, arguments);
    va_end(arguments);
    return err;
}

static hx_status_t refuse_file(struct hx_pack_report *report, hx_status_t err, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static hx_status_t refuse_file(struct hx_pack_report *report, hx_status_t err, uint64_t offset, const char *format, ...)
{
    va_list arguments;
    size_t used =
        hx_fmt_append(report->message, sizeof(report->message), 0, "archive offset %llu: ", (unsigned long long)offset);

    report->err = err;
    report->offset = offset;
    va_start(arguments, format);
    hx_fmt_v(report->message + used, sizeof(report->message) - used, format, arguments);
    va_end(arguments);
    return err;
}

struct shown {
    char text[WORD_SHOWN_MAX + 4];
};

/* @word as it may appear in a message: what does not print becomes '?', what is too long ends in "...". */
static struct shown show(struct hx_slice word)
{
    struct shown out = { { 0 } };
    size_t n = word.bytes < WORD_SHOWN_MAX ? word.bytes : WORD_SHOWN_MAX;

    for (size_t i = 0; i < n; i++)
        out.text[i] = word.data[i] > ' ' && word.data[i] < 0x7f ? (char)word.data[i] : '?';
    if (n < word.bytes)
        memcpy(out.text + n, "...", 3);
    return out;
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */
static bool name_char_valid(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '+' || c == '-';
}

bool hx_pack_name_valid(struct hx_slice name)
{
    const size_t suffix = sizeof(HX_PACK_SUFFIX) - 1;

    if (name.bytes <= suffix || name.bytes >= HX_PACK_NAME_MAX)
        return false;
    if (name.data[0] == '.' || name.data[0] == '-')
        return false;
    for (size_t i = 0; i < name.bytes; i++)
        if (!name_char_valid(name.data[i]))
            return false;
    return memcmp(name.data + name.bytes - suffix, HX_PACK_SUFFIX, suffix) == 0;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------- */
static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Takes @text, a line without its line feed, apart. */
static void split_words(struct hx_slice text, struct line *out)
{
    size_t at = 0;

    out->word_count = 0;
    while (at < text.bytes && text.data[at] != '#') {
        size_t start = at;

        while (at < text.bytes && text.data[at] != '#' && !is_blank(text.data[at]))
            at++;
        if (at > start) {
            if (out->word_count < WORDS_MAX)
                out->word[out->word_count] = (struct hx_slice){ text.data + start, at - start };
            out->word_count++;
        } else {
            at++;
        }
    }
}

/* The next line. HX_E_NOENT at the end. */
static hx_status_t next_line(struct line_cursor *cursor, struct line *out, struct hx_pack_report *report)
{
    const uint8_t *start = cursor->text.data + cursor->offset;
    const uint8_t *end;

    if (cursor->offset == cursor->text.bytes)
        return HX_E_NOENT;
    out->number = ++cursor->number;
    end = memchr(start, '\n', cursor->text.bytes - cursor->offset);
    if (!end)
        return refuse_line(report, HX_E_TRUNCATED, out->number, "no line feed at its end: the manifest is cut off");
    for (const uint8_t *c = start; c < end; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return refuse_line(report, HX_E_FORMAT, out->number, "byte 0x%02x at column %zu is not text", *c,
                               (size_t)(c - start) + 1);
    split_words((struct hx_slice){ start, (size_t)(end - start) }, out);
    cursor->offset += (size_t)(end - start) + 1;
    return HX_OK;
}

static hx_status_t check_first_line(struct line_cursor *cursor, struct hx_pack_report *report)
{
    struct line line = { 0 };
    hx_status_t err = next_line(cursor, &line, report);

    if (err == HX_E_NOENT)
        return refuse_line(report, HX_E_TRUNCATED, 1, "the manifest is empty");
    if (err != HX_OK)
        return err;
    if (line.word_count != 2 || !hx_slice_equal(line.word[0], "helix-initrd"))
        return refuse_line(report, HX_E_FORMAT, line.number, "it must read: helix-initrd %d", HX_PACK_FORMAT);
    if (!hx_slice_equal(line.word[1], "1"))
        return refuse_line(report, HX_E_UNSUPPORTED, line.number, "format `%s' is not supported, only %d is",
                           show(line.word[1]).text, HX_PACK_FORMAT);
    return HX_OK;
}

/* The next line that names a file. HX_E_NOENT at the end. */
static hx_status_t next_file_line(struct line_cursor *cursor, struct line *out, struct hx_pack_report *report)
{
    hx_status_t err;

    do {
        err = next_line(cursor, out, report);
    } while (err == HX_OK && out->word_count == 0);
    if (err != HX_OK)
        return err;
    if (!hx_slice_equal(out->word[0], "load") && !hx_slice_equal(out->word[0], "hold"))
        return refuse_line(report, HX_E_FORMAT, out->number, "`%s' is no keyword: load or hold is expected",
                           show(out->word[0]).text);
    if (out->word_count == 1)
        return refuse_line(report, HX_E_FORMAT, out->number, "a file name is missing");
    if (out->word_count > 2)
        return refuse_line(report, HX_E_FORMAT, out->number, "%u words where keyword and file name are expected",
                           out->word_count);
    if (out->word[1].bytes >= HX_PACK_NAME_MAX)
        return refuse_line(report, HX_E_LIMIT, out->number, "the file name has %zu characters, at most %d are allowed",
                           out->word[1].bytes, HX_PACK_NAME_MAX - 1);
    if (!hx_pack_name_valid(out->word[1]))
        return refuse_line(report, HX_E_FORMAT, out->number,
                           "`%s' is no file name: letters, digits and ._+- ending in " HX_PACK_SUFFIX,
                           show(out->word[1]).text);
    return HX_OK;
}

/* ---- table ----------------------------------------------------------------------------------------------------------- */
/* The bucket of @name: its own, or the empty one where it would go. */
static uint16_t *bucket_of(const struct hx_pack *pack, struct hx_slice name)
{
    uint32_t at = (uint32_t)hx_hash_name((const char *)name.data, name.bytes) & pack->bucket_mask;

    for (;; at = (at + 1) & pack->bucket_mask) {
        const struct hx_pack_entry *entry;

        if (pack->buckets[at] == 0)
            return &pack->buckets[at];
        entry = &pack->entries[pack->buckets[at] - 1];
        if (entry->name_bytes == name.bytes && memcmp(entry->name, name.data, name.bytes) == 0)
            return &pack->buckets[at];
    }
}

/* One allocation: entries, then buckets, at most half of them in use. */
static hx_status_t alloc_table(struct hx_pack *pack, uint32_t count, struct hx_pack_report *report)
{
    uint32_t bucket_count = 4;
    size_t bytes;

    while (bucket_count < 2 * count)
        bucket_count *= 2;
    bytes = count * sizeof(pack->entries[0]) + bucket_count * sizeof(pack->buckets[0]);
    pack->entries = hx_hal_alloc(bytes);
    if (!pack->entries) {
        report->err = HX_E_NOMEM;
        hx_fmt(report->message, sizeof(report->message), "no memory for an index of %zu bytes", bytes);
        return HX_E_NOMEM;
    }
    pack->buckets = (uint16_t *)(pack->entries + count);
    pack->bucket_mask = bucket_count - 1;
    return HX_OK;
}

static hx_status_t count_files(struct line_cursor cursor, uint32_t *out_count, struct hx_pack_report *report)
{
    struct line line = { 0 };
    uint32_t count = 0;
    hx_status_t err;

    while ((err = next_file_line(&cursor, &line, report)) == HX_OK)
        if (++count > HX_PACK_FILES_MAX)
            return refuse_line(report, HX_E_LIMIT, line.number, "more than %d files", HX_PACK_FILES_MAX);
    if (err != HX_E_NOENT)
        return err;
    *out_count = count;
    return HX_OK;
}

static hx_status_t read_manifest(struct hx_pack *pack, struct hx_pack_report *report)
{
    struct line_cursor cursor = { .text = pack->manifest };
    struct line line = { 0 };
    uint32_t count = 0;
    hx_status_t err = check_first_line(&cursor, report);

    if (err == HX_OK)
        err = count_files(cursor, &count, report);
    if (err == HX_OK)
        err = alloc_table(pack, count, report);
    if (err != HX_OK)
        return err;
    while (pack->count < count && (err = next_file_line(&cursor, &line, report)) == HX_OK) {
        struct hx_pack_entry *entry = &pack->entries[pack->count];
        uint16_t *bucket = bucket_of(pack, line.word[1]);

        if (*bucket != 0)
            return refuse_line(report, HX_E_EXIST, line.number, "%s is named in line %u already",
                               show(line.word[1]).text, pack->entries[*bucket - 1].line);
        entry->name = (const char *)line.word[1].data;
        entry->name_bytes = (uint32_t)line.word[1].bytes;
        entry->line = line.number;
        entry->load = hx_slice_equal(line.word[0], "load");
        pack->load_count += entry->load;
        pack->count++;
        *bucket = (uint16_t)pack->count;
    }
    return err;
}

/* ---- archive --------------------------------------------------------------------------------------------------------- */
/* The next entry, a regular file. HX_E_NOENT after the trailer. */
static hx_status_t next_file(struct hx_cpio *cpio, struct hx_cpio_entry *out, struct hx_pack_report *report)
{
    hx_status_t err = hx_cpio_next(cpio, out);

    if (err == HX_E_TRUNCATED)
        return refuse_file(report, err, cpio->offset, "the archive of %zu bytes is cut off here", cpio->archive.bytes);
    if (err == HX_E_UNSUPPORTED)
        return refuse_file(report, err, cpio->offset, "no regular file in newc format without checksums");
    if (err != HX_OK && err != HX_E_NOENT)
        return refuse_file(report, err, cpio->offset, "this is no header of a cpio archive in newc format");
    if (err == HX_OK && (out->mode & 0170000) != 0100000)
        return refuse_file(report, HX_E_FORMAT, out->offset, "`%s' is no regular file",
                           show(hx_slice_of(out->name, strlen(out->name))).text);
    return err;
}

static hx_status_t find_manifest(struct hx_cpio *cpio, struct hx_pack *pack, struct hx_pack_report *report)
{
    static const uint8_t gzip_magic[2] = { 0x1f, 0x8b };
    struct hx_cpio_entry file = { 0 };
    hx_status_t err;

    if (cpio->archive.bytes >= sizeof(gzip_magic) && memcmp(cpio->archive.data, gzip_magic, sizeof(gzip_magic)) == 0)
        return refuse_file(report, HX_E_UNSUPPORTED, 0, "compressed with gzip: GRUB inflates it after `insmod gzio'");
    err = next_file(cpio, &file, report);
    if (err == HX_E_NOENT)
        return refuse_file(report, HX_E_TRUNCATED, 0, "the archive is empty: no " HX_PACK_MANIFEST);
    if (err != HX_OK)
        return err;
    if (strcmp(file.name, HX_PACK_MANIFEST) != 0)
        return refuse_file(report, HX_E_FORMAT, file.offset, "the first file is `%s', not " HX_PACK_MANIFEST,
                           show(hx_slice_of(file.name, strlen(file.name))).text);
    pack->manifest = file.content;
    return HX_OK;
}

static hx_status_t place_file(struct hx_pack *pack, const struct hx_cpio_entry *file, struct hx_pack_report *report)
{
    struct hx_slice name = hx_slice_of(file->name, strlen(file->name));
    uint16_t bucket = *bucket_of(pack, name);
    struct hx_pack_entry *entry;

    if (bucket == 0)
        return refuse_file(report, HX_E_FORMAT, file->offset, "`%s' is not named in the manifest", show(name).text);
    entry = &pack->entries[bucket - 1];
    if (entry->content.data)
        return refuse_file(report, HX_E_EXIST, file->offset, "a second file called %s", entry->name);
    entry->name = file->name; /* NUL-terminated, as the manifest's copy is not */
    entry->content = file->content;
    return HX_OK;
}

/* What follows the trailer, which @cpio stands at, would be read by nobody: only padding may. */
static hx_status_t check_padding(const struct hx_cpio *cpio, struct hx_pack_report *report)
{
    for (uint64_t i = cpio->offset + TRAILER_BYTES; i < cpio->archive.bytes; i++)
        if (cpio->archive.data[i] != 0)
            return refuse_file(report, HX_E_FORMAT, i, "data after the archive's trailer");
    return HX_OK;
}

static hx_status_t read_archive(struct hx_cpio *cpio, struct hx_pack *pack, struct hx_pack_report *report)
{
    struct hx_cpio_entry file = { 0 };
    hx_status_t err;

    while ((err = next_file(cpio, &file, report)) == HX_OK) {
        err = place_file(pack, &file, report);
        if (err != HX_OK)
            return err;
    }
    return err == HX_E_NOENT ? check_padding(cpio, report) : err;
}

static hx_status_t check_complete(const struct hx_pack *pack, struct hx_pack_report *report)
{
    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hx_pack_entry *entry = &pack->entries[i];

        if (!entry->content.data)
            return refuse_line(report, HX_E_NOENT, entry->line, "%s is not in the archive",
                               show(hx_slice_of(entry->name, entry->name_bytes)).text);
    }
    return HX_OK;
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
hx_status_t hx_pack_open(struct hx_slice initrd, struct hx_pack *out, struct hx_pack_report *report)
{
    struct hx_pack pack = { 0 };
    struct hx_cpio cpio;
    hx_status_t err = HX_E_INTERNAL;

    memset(report, 0, sizeof(*report));
    hx_cpio_init(&cpio, initrd);
    err = find_manifest(&cpio, &pack, report);
    if (err != HX_OK)
        goto out;
    err = read_manifest(&pack, report);
    if (err != HX_OK)
        goto out;
    err = read_archive(&cpio, &pack, report);
    if (err != HX_OK)
        goto out;
    err = check_complete(&pack, report);
out:
    if (err == HX_OK)
        *out = pack;
    else
        hx_pack_close(&pack);
    report->err = err;
    return err;
}

void hx_pack_close(struct hx_pack *pack)
{
    if (!pack)
        return;
    hx_hal_free(pack->entries);
    memset(pack, 0, sizeof(*pack));
}

hx_status_t hx_pack_find(const struct hx_pack *pack, const char *name, struct hx_slice *out)
{
    /* One that is longer than all matches none, wherever it is cut. */
    struct hx_slice key = hx_slice_of(name, strnlen(name, HX_PACK_NAME_MAX));
    uint16_t bucket;

    if (!pack->buckets)
        return HX_E_NOENT;
    bucket = *bucket_of(pack, key);
    if (bucket == 0)
        return HX_E_NOENT;
    *out = pack->entries[bucket - 1].content;
    return HX_OK;
}

const struct hx_pack_entry *hx_pack_entry_at(const struct hx_pack *pack, uint32_t index)
{
    return index < pack->count ? &pack->entries[index] : NULL;
}
