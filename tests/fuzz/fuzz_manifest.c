/* SPDX-License-Identifier: MIT */
/*
 * fuzz_manifest.c - any text whatever is the manifest of an archive that is otherwise as it should be: a pack is accepted
 * exactly when the rules at the head of pack.h say so, and refused with the error that they name.
 *
 * Why around it: a fuzzer that must also keep the archive's numbers right hardly ever gets past them. The first byte says how
 * the archive is spoiled, if at all. Bytes that mean nothing are filled in two ways, and the answer must not depend on them.
 */
#include "pack_world.h"

enum {
    SPOIL_FILE_MISSING = 1,
    SPOIL_FILE_TWICE = 2,
    SPOIL_FILE_UNNAMED = 4,
    SPOIL_DIRECTORY = 8,
    SPOIL_DATA_BEHIND = 16,
    VARY_ORDER = 32,
    VARY_PADDING_BEHIND = 64,
};
enum { MODE_FILE = 0100644, MODE_DIRECTORY = 0040755 };
#define NAME_UNNAMED "unnamed" /* no manifest can name it */

/* ---- the rules, once more -------------------------------------------------------------------------------------------- */
struct names {
    const char *name[HX_PACK_FILES_MAX]; /* each once; in @text of judge() */
    uint32_t count;
    uint32_t line_count; /* that name a file */
};

static bool name_allowed(const char *name)
{
    size_t length = strlen(name);

    return length < HX_PACK_NAME_MAX && length > 4 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == length &&
           strcmp(name + length - 4, ".hxm") == 0;
}

static bool name_known(const struct names *names, const char *name)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

/* What is wrong with @line, NUL-terminated and taken apart in place; when nothing is, its file, if any, is added to @names,
 * unless it is there. */
static hx_status_t judge_line(char *line, bool first, struct names *names, bool *out_twice)
{
    char *rest = NULL;
    const char *word, *second, *third;

    for (const char *c = line; *c; c++)
        if ((*c > 0 && *c < ' ' && *c != '\t') || *c == 0x7f)
            return HX_E_FORMAT;
    line[strcspn(line, "#")] = '\0';
    word = strtok_r(line, " \t", &rest);
    second = word ? strtok_r(NULL, " \t", &rest) : NULL;
    third = second ? strtok_r(NULL, " \t", &rest) : NULL;
    if (first && (!second || third || strcmp(word, "helix-initrd") != 0))
        return HX_E_FORMAT;
    if (first)
        return strcmp(second, "1") == 0 ? HX_OK : HX_E_UNSUPPORTED;
    if (!word)
        return HX_OK;
    if (!second || third || (strcmp(word, "load") != 0 && strcmp(word, "hold") != 0))
        return HX_E_FORMAT;
    if (strlen(second) >= HX_PACK_NAME_MAX)
        return HX_E_LIMIT;
    if (!name_allowed(second))
        return HX_E_FORMAT;
    if (++names->line_count > HX_PACK_FILES_MAX)
        return HX_E_LIMIT;
    *out_twice |= name_known(names, second);
    if (!name_known(names, second))
        names->name[names->count++] = second;
    return HX_OK;
}

/* What is wrong with the manifest @text, [bytes + 1] and taken apart in place. @names: of its files, as far as it is one. */
static hx_status_t judge(char *text, size_t bytes, struct names *names)
{
    hx_status_t err = HX_E_TRUNCATED; /* an empty one */
    bool twice = false;

    names->count = names->line_count = 0;
    for (char *line = text, *end; line < text + bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + bytes - line));
        if (!end)
            return HX_E_TRUNCATED;
        *end = '\0';
        err = strlen(line) == (size_t)(end - line) ? judge_line(line, line == text, names, &twice) : HX_E_FORMAT;
        if (err != HX_OK)
            return err;
    }
    return err == HX_OK && twice ? HX_E_EXIST : err;
}

/* ---- the archive around it ------------------------------------------------------------------------------------------- */
struct builder {
    uint8_t *data;
    size_t bytes, room;
    uint8_t filler; /* of all that means nothing */
};

static void put(struct builder *b, const void *data, size_t bytes)
{
    size_t padded = (bytes + 3) & ~(size_t)3;

    if (b->bytes + padded > b->room) {
        b->room = 2 * (b->bytes + padded);
        b->data = realloc(b->data, b->room);
        must(b->data != NULL);
    }
    if (bytes)
        memcpy(b->data + b->bytes, data, bytes);
    memset(b->data + b->bytes + bytes, b->filler, padded - bytes);
    b->bytes += padded;
}

static void put_entry(struct builder *b, const char *name, uint32_t mode, const void *content, size_t bytes)
{
    char header[256];
    uint32_t any = b->filler;
    int length = snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", any,
                          mode, any, any, any, any, bytes, any, any, any, any, strlen(name) + 1, any, name);

    put(b, header, (size_t)length + 1);
    put(b, content, bytes);
}

static void put_files(struct builder *b, uint8_t knobs, const struct names *names)
{
    uint32_t count = names->count - (names->count && knobs & SPOIL_FILE_MISSING);

    if (knobs & SPOIL_DIRECTORY)
        put_entry(b, "directory", MODE_DIRECTORY, NULL, 0);
    if (knobs & SPOIL_FILE_UNNAMED)
        put_entry(b, NAME_UNNAMED, MODE_FILE, "x", 1);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = names->name[knobs & VARY_ORDER ? count - 1 - i : i];
        put_entry(b, name, MODE_FILE, name, i % 4); /* the first is empty */
    }
    for (uint32_t i = 0; names->count && knobs & SPOIL_FILE_TWICE && i < 2; i++) /* it may be the missing one */
        put_entry(b, names->name[0], MODE_FILE, "twice", 5);
}

/* An archive of exact length around the manifest @text; its data is to be freed. */
static struct hx_slice build(struct hx_slice text, uint8_t knobs, const struct names *names, uint8_t filler)
{
    static const uint8_t zeros[512];
    struct builder b = { .filler = filler };
    struct hx_slice archive;

    put_entry(&b, HX_PACK_MANIFEST, MODE_FILE, text.data, text.bytes);
    put_files(&b, knobs, names);
    b.filler = 0; /* behind the trailer's name only zeros may follow */
    put_entry(&b, "TRAILER!!!", 0, NULL, 0);
    if (knobs & VARY_PADDING_BEHIND)
        put(&b, zeros, sizeof(zeros));
    if (knobs & SPOIL_DATA_BEHIND)
        put(&b, "data", 4);
    archive = hx_slice_of(copy_of(b.data, b.bytes), b.bytes);
    free(b.data);
    return archive;
}

static bool spoiled(uint8_t knobs, const struct names *names)
{
    return knobs & (SPOIL_DIRECTORY | SPOIL_FILE_UNNAMED | SPOIL_DATA_BEHIND) ||
           (names->count && knobs & (SPOIL_FILE_MISSING | SPOIL_FILE_TWICE));
}

/* Whether the pack is accepted, or refused with the right error, however what means nothing is filled. */
static void check_verdict(struct hx_slice text, uint8_t knobs, const struct names *names, hx_status_t expected)
{
    struct hx_slice archive = build(text, knobs, names, 0);
    struct hx_slice other = build(text, knobs, names, '\n');
    struct hx_pack_report report, other_report;
    hx_status_t err = open_every_way(archive, &report);

    must(expected == HX_OK ? (err != HX_OK) == spoiled(knobs, names) : err == expected);
    must(open_once(other, 0, &other_report) == err);
    must(report.line == other_report.line && report.offset == other_report.offset);
    must(strcmp(report.message, other_report.message) == 0);
    free((void *)other.data);
    free((void *)archive.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct names names;
    hx_status_t expected;
    struct hx_slice text;
    char *copy;

    if (size == 0)
        return 0;
    text = hx_slice_of(data + 1, size - 1);
    copy = calloc(1, size); /* one more than the text has */
    must(copy != NULL);
    memcpy(copy, text.data, text.bytes);
    expected = judge(copy, text.bytes, &names);
    check_verdict(text, data[0], &names, expected);
    free(copy);
    return 0;
}
