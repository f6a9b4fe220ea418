/* SPDX-License-Identifier: MIT */
/* test_pack.c - the initrd's index: what it finds, and every reason to refuse one. */
#include <module/pack.h>

#include "../host/hal_host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Each test ends with the check that nothing is left allocated. */
TestSuite(pack, .init = hal_host_init, .fini = hal_host_fini);

/* ---- archives made by hand ------------------------------------------------------------------------------------------- */
enum { MODE_FILE = 0100644, MODE_DIRECTORY = 0040755, MODE_LINK = 0120777 };

struct builder {
    uint8_t *data;
    size_t bytes;
};

static void add_bytes(struct builder *b, const void *data, size_t bytes)
{
    size_t padded = (bytes + 3) & ~(size_t)3;

    b->data = realloc(b->data, b->bytes + padded);
    memset(b->data + b->bytes, 0, padded);
    if (bytes > 0)
        memcpy(b->data + b->bytes, data, bytes);
    b->bytes += padded;
}

static void add_entry(struct builder *b, const char *name, unsigned int mode, const void *content, size_t bytes)
{
    char header[512];
    int n = snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", 1, mode,
                     0, 0, 1, 0, bytes, 0, 0, 0, 0, strlen(name) + 1, 0, name);

    add_bytes(b, header, (size_t)n + 1);
    add_bytes(b, content, bytes);
}

static void add_text(struct builder *b, const char *name, const char *content)
{
    add_entry(b, name, MODE_FILE, content, strlen(content));
}

static void end_archive(struct builder *b)
{
    add_entry(b, "TRAILER!!!", 0, "", 0);
}

/* A pack of the manifest @text and three files a.hxm, b.hxm, c.hxm with their letters in them. */
static struct builder abc(const char *text)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", text);
    add_text(&b, "a.hxm", "aaaa");
    add_text(&b, "b.hxm", "bb");
    add_text(&b, "c.hxm", "");
    end_archive(&b);
    return b;
}

#define GOOD_MANIFEST "helix-initrd 1\nload a.hxm\nload b.hxm\nhold c.hxm\n"

/* Opens an exact copy, so that a sanitizer sees the first byte read past it, and frees @b. */
static struct hx_pack_report refusal(struct builder b)
{
    struct hx_pack pack;
    struct hx_pack_report report;
    uint8_t *copy = malloc(b.bytes ? b.bytes : 1);
    hx_status_t err;

    memset(&pack, 0x5a, sizeof(pack));
    if (b.bytes > 0)
        memcpy(copy, b.data, b.bytes);
    err = hx_pack_open(hx_slice_of(copy, b.bytes), &pack, &report);
    cr_assert_neq(err, HX_OK, "the pack was taken");
    cr_expect_eq(err, report.err);
    cr_expect_eq(((uint8_t *)&pack)[0], 0x5a, "the output was written");
    free(copy);
    free(b.data);
    return report;
}

#define EXPECT_REFUSED(archive, expected_err, expected_message)                                                        \
    do {                                                                                                               \
        struct hx_pack_report report_ = refusal(archive);                                                              \
        cr_expect_eq(report_.err, HX_E_##expected_err, "error %d", report_.err);                                       \
        cr_expect_str_eq(report_.message, expected_message);                                                           \
    } while (0)

#define EXPECT_MANIFEST_REFUSED(text, expected_err, expected_message)                                                  \
    EXPECT_REFUSED(abc(text), expected_err, expected_message)

static void expect_opens(struct builder b, uint32_t count, uint32_t load_count)
{
    struct hx_pack pack = { 0 };
    struct hx_pack_report report;

    cr_assert_eq(hx_pack_open(hx_slice_of(b.data, b.bytes), &pack, &report), HX_OK, "%s", report.message);
    cr_expect_eq(report.err, HX_OK);
    cr_expect_eq(pack.count, count);
    cr_expect_eq(pack.load_count, load_count);
    hx_pack_close(&pack);
    free(b.data);
}

/* ---- what it finds --------------------------------------------------------------------------------------------------- */
Test(pack, entries_come_in_the_order_of_the_manifest)
{
    struct builder b = abc("helix-initrd 1\nhold c.hxm\nload b.hxm\nload a.hxm\n");
    struct hx_pack pack;
    struct hx_pack_report report;

    cr_assert_eq(hx_pack_open(hx_slice_of(b.data, b.bytes), &pack, &report), HX_OK, "%s", report.message);
    cr_assert_eq(pack.count, 3);
    cr_expect_eq(pack.load_count, 2);
    cr_expect_str_eq(hx_pack_entry_at(&pack, 0)->name, "c.hxm");
    cr_expect_not(hx_pack_entry_at(&pack, 0)->load);
    cr_expect_str_eq(hx_pack_entry_at(&pack, 1)->name, "b.hxm");
    cr_expect(hx_pack_entry_at(&pack, 1)->load);
    cr_expect(hx_slice_equal(hx_pack_entry_at(&pack, 1)->content, "bb"));
    cr_expect_str_eq(hx_pack_entry_at(&pack, 2)->name, "a.hxm");
    cr_expect_null(hx_pack_entry_at(&pack, 3));
    hx_pack_close(&pack);
    free(b.data);
}

Test(pack, a_file_is_found_by_its_whole_name_only)
{
    struct builder b = abc(GOOD_MANIFEST);
    struct hx_pack pack;
    struct hx_pack_report report;
    struct hx_slice content = { 0 };
    char long_name[200];

    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    cr_assert_eq(hx_pack_open(hx_slice_of(b.data, b.bytes), &pack, &report), HX_OK, "%s", report.message);
    cr_expect_eq(hx_pack_find(&pack, "a.hxm", &content), HX_OK);
    cr_expect(hx_slice_equal(content, "aaaa"));
    cr_expect_eq(hx_pack_find(&pack, "c.hxm", &content), HX_OK);
    cr_expect_eq(content.bytes, 0);
    cr_expect_eq(hx_pack_find(&pack, "a.hx", &content), HX_E_NOENT);
    cr_expect_eq(hx_pack_find(&pack, "a.hxmm", &content), HX_E_NOENT);
    cr_expect_eq(hx_pack_find(&pack, "", &content), HX_E_NOENT);
    cr_expect_eq(hx_pack_find(&pack, "manifest", &content), HX_E_NOENT);
    cr_expect_eq(hx_pack_find(&pack, long_name, &content), HX_E_NOENT);
    hx_pack_close(&pack);
    cr_expect_eq(hx_pack_find(&pack, "a.hxm", &content), HX_E_NOENT, "a closed pack holds nothing");
    free(b.data);
}

Test(pack, comments_blank_lines_tabs_and_spaces_are_allowed)
{
    expect_opens(
        abc("helix-initrd\t1 # the format\n\n   \n# c\n\tload  a.hxm # c \xc3\xa9\nload b.hxm#c\nhold c.hxm \n"), 3, 2);
}

Test(pack, a_pack_without_modules_is_good)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\n");
    end_archive(&b);
    expect_opens(b, 0, 0);
}

Test(pack, zero_bytes_after_the_trailer_are_padding)
{
    struct builder b = abc(GOOD_MANIFEST);
    uint8_t zeros[512] = { 0 };

    add_bytes(&b, zeros, sizeof(zeros));
    expect_opens(b, 3, 2);
}

/* The names "0.hxm" to "1023.hxm", or one more. */
static struct builder many(unsigned int count)
{
    struct builder b = { 0 };
    char name[32];
    char *text = NULL;
    size_t bytes;
    FILE *manifest = open_memstream(&text, &bytes);

    fputs("helix-initrd 1\n", manifest);
    for (unsigned int i = 0; i < count; i++)
        fprintf(manifest, "load %u.hxm\n", i);
    fclose(manifest);
    add_text(&b, "manifest", text);
    for (unsigned int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%u.hxm", i);
        add_text(&b, name, name);
    }
    end_archive(&b);
    free(text);
    return b;
}

Test(pack, each_of_1024_files_is_found)
{
    struct builder b = many(HX_PACK_FILES_MAX);
    struct hx_pack pack;
    struct hx_pack_report report;

    cr_assert_eq(hx_pack_open(hx_slice_of(b.data, b.bytes), &pack, &report), HX_OK, "%s", report.message);
    for (unsigned int i = 0; i < HX_PACK_FILES_MAX; i++) {
        struct hx_slice content = { 0 };
        char name[32];

        snprintf(name, sizeof(name), "%u.hxm", i);
        cr_assert_eq(hx_pack_find(&pack, name, &content), HX_OK);
        cr_assert(hx_slice_equal(content, name));
        name[strlen(name) - strlen(".hxm")] = '\0';
        cr_assert_eq(hx_pack_find(&pack, name, &content), HX_E_NOENT, "the beginning of a name is no name");
    }
    hx_pack_close(&pack);
    free(b.data);
}

Test(pack, closing_null_or_a_zeroed_pack_does_nothing)
{
    struct hx_pack pack = { 0 };

    hx_pack_close(NULL);
    hx_pack_close(&pack);
    cr_expect_null(hx_pack_entry_at(&pack, 0));
}

/* ---- the archive ----------------------------------------------------------------------------------------------------- */
Test(pack, an_empty_initrd_is_refused)
{
    EXPECT_REFUSED((struct builder){ 0 }, TRUNCATED, "archive offset 0: the archive of 0 bytes is cut off here");
}

Test(pack, an_archive_without_files_is_refused)
{
    struct builder b = { 0 };

    end_archive(&b);
    EXPECT_REFUSED(b, TRUNCATED, "archive offset 0: the archive is empty: no manifest");
}

Test(pack, what_is_no_archive_is_refused)
{
    struct builder b = { 0 };
    char text[200];

    memset(text, 'x', sizeof(text));
    add_bytes(&b, text, sizeof(text));
    EXPECT_REFUSED(b, FORMAT, "archive offset 0: this is no header of a cpio archive in newc format");
}

Test(pack, a_compressed_archive_is_refused_by_name)
{
    struct builder b = { 0 };

    add_bytes(&b, "\x1f\x8b\x08\x00", 4);
    EXPECT_REFUSED(b, UNSUPPORTED, "archive offset 0: compressed with gzip: GRUB inflates it after `insmod gzio'");
}

Test(pack, a_first_file_that_is_not_the_manifest_is_refused)
{
    struct builder b = { 0 };

    add_text(&b, "a.hxm", "aaaa");
    add_text(&b, "manifest", GOOD_MANIFEST);
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT, "archive offset 0: the first file is `a.hxm', not manifest");
}

Test(pack, an_archive_cut_off_anywhere_is_refused)
{
    struct builder whole = abc(GOOD_MANIFEST);

    /* Behind the trailer's name come only padding bytes, which nobody misses. */
    for (size_t bytes = 0; bytes < whole.bytes - 3; bytes++) {
        struct builder b = { malloc(bytes + 1), bytes };

        memcpy(b.data, whole.data, bytes);
        cr_expect_eq(refusal(b).err, HX_E_TRUNCATED, "cut at %zu", bytes);
    }
    free(whole.data);
}

Test(pack, an_archive_cut_off_names_the_place)
{
    struct builder b = abc(GOOD_MANIFEST);

    b.bytes = 200;
    EXPECT_REFUSED(b, TRUNCATED, "archive offset 168: the archive of 200 bytes is cut off here");
}

Test(pack, a_directory_is_refused)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\n");
    add_entry(&b, "dir", MODE_DIRECTORY, "", 0);
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT, "archive offset 136: `dir' is no regular file");
}

Test(pack, a_symbolic_link_is_refused)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\nload a.hxm\n");
    add_entry(&b, "a.hxm", MODE_LINK, "x", 1);
    end_archive(&b);
    EXPECT_REFUSED(b, UNSUPPORTED, "archive offset 148: no regular file in newc format without checksums");
}

Test(pack, data_after_the_trailer_is_refused)
{
    struct builder b = abc(GOOD_MANIFEST);

    add_bytes(&b, "\0\0\0x", 4);
    EXPECT_REFUSED(b, FORMAT, "archive offset 651: data after the archive's trailer");
}

Test(pack, a_second_archive_after_the_first_is_refused)
{
    struct builder b = abc(GOOD_MANIFEST);

    add_text(&b, "manifest", GOOD_MANIFEST);
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT, "archive offset 648: data after the archive's trailer");
}

/* ---- archive against manifest ---------------------------------------------------------------------------------------- */
Test(pack, a_file_that_the_manifest_does_not_name_is_refused)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\nload a.hxm\nload b.hxm\n", FORMAT,
                            "archive offset 400: `c.hxm' is not named in the manifest");
}

Test(pack, a_file_that_the_archive_lacks_is_refused_with_its_line)
{
    struct builder b = abc(GOOD_MANIFEST "# more\nload d.hxm\n");
    struct hx_pack_report report = refusal(b);

    cr_expect_eq(report.err, HX_E_NOENT);
    cr_expect_eq(report.line, 6);
    cr_expect_str_eq(report.message, "manifest line 6: d.hxm is not in the archive");
}

Test(pack, a_file_twice_in_the_archive_is_refused)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\nload a.hxm\n");
    add_text(&b, "a.hxm", "");
    add_text(&b, "a.hxm", "evil");
    end_archive(&b);
    EXPECT_REFUSED(b, EXIST, "archive offset 264: a second file called a.hxm");
}

Test(pack, a_second_manifest_is_refused)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\n");
    add_text(&b, "manifest", "helix-initrd 1\n");
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT, "archive offset 136: `manifest' is not named in the manifest");
}

Test(pack, a_hostile_name_is_shown_without_its_control_characters)
{
    struct builder b = { 0 };

    add_text(&b, "manifest", "helix-initrd 1\n");
    add_text(&b, "\x1b[2J\xff name that goes on and on and on and on and on and on", "");
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT,
                   "archive offset 136: `?[2J??name?that?goes?on?and?on?and?on?and?on?and...' is not named in "
                   "the manifest");
}

/* ---- the manifest ---------------------------------------------------------------------------------------------------- */
Test(pack, an_empty_manifest_is_refused)
{
    EXPECT_MANIFEST_REFUSED("", TRUNCATED, "manifest line 1: the manifest is empty");
}

Test(pack, another_first_line_is_refused)
{
    EXPECT_MANIFEST_REFUSED("load a.hxm\n", FORMAT, "manifest line 1: it must read: helix-initrd 1");
    EXPECT_MANIFEST_REFUSED("\nhelix-initrd 1\n", FORMAT, "manifest line 1: it must read: helix-initrd 1");
    EXPECT_MANIFEST_REFUSED("helix-initrd\n", FORMAT, "manifest line 1: it must read: helix-initrd 1");
    EXPECT_MANIFEST_REFUSED("helix-initrd 1 2\n", FORMAT, "manifest line 1: it must read: helix-initrd 1");
}

Test(pack, another_format_number_is_refused)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 2\n", UNSUPPORTED, "manifest line 1: format `2' is not supported, only 1 is");
}

Test(pack, an_unknown_word_is_refused_with_its_line)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\n\nload a.hxm\nlaod b.hxm\n", FORMAT,
                            "manifest line 4: `laod' is no keyword: load or hold is expected");
}

Test(pack, a_keyword_without_a_file_is_refused)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\nload # a.hxm\n", FORMAT, "manifest line 2: a file name is missing");
}

Test(pack, words_after_the_file_are_refused)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\nload a.hxm b.hxm c\n", FORMAT,
                            "manifest line 2: 4 words where keyword and file name are expected");
}

Test(pack, a_file_named_twice_is_refused_with_both_lines)
{
    EXPECT_MANIFEST_REFUSED(GOOD_MANIFEST "hold b.hxm\n", EXIST, "manifest line 5: b.hxm is named in line 3 already");
}

Test(pack, names_that_are_no_module_files_are_refused)
{
    static const char *const names[] = { "a.o",     ".hxm",          "../a.hxm", ".a.hxm",  "-a.hxm",
                                         "a/b.hxm", "a\xc3\xa9.hxm", "a.hxm/",   "manifest" };

    for (size_t i = 0; i < HX_ARRAY_SIZE(names); i++) {
        char text[128];
        struct hx_pack_report report;

        snprintf(text, sizeof(text), "helix-initrd 1\nload %s\n", names[i]);
        report = refusal(abc(text));
        cr_expect_eq(report.err, HX_E_FORMAT, "%s", names[i]);
        cr_expect(strstr(report.message, "is no file name"), "%s: %s", names[i], report.message);
    }
}

Test(pack, a_name_of_63_characters_is_good_and_one_of_64_is_not)
{
    struct builder b = { 0 };
    char name[HX_PACK_NAME_MAX + 1];
    char text[128];

    memset(name, 'n', sizeof(name));
    memcpy(name + HX_PACK_NAME_MAX - 5, ".hxm", 5);
    cr_assert_eq(strlen(name), 63);
    snprintf(text, sizeof(text), "helix-initrd 1\nload %s\n", name);
    add_text(&b, "manifest", text);
    add_text(&b, name, "");
    end_archive(&b);
    expect_opens(b, 1, 1);

    snprintf(text, sizeof(text), "helix-initrd 1\nload n%s\n", name);
    EXPECT_MANIFEST_REFUSED(text, LIMIT, "manifest line 2: the file name has 64 characters, at most 63 are allowed");
}

Test(pack, a_valid_name_is_told_without_a_pack)
{
    char name[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.hxm";

    cr_assert_eq(strlen(name), HX_PACK_NAME_MAX);
    cr_expect_not(hx_pack_name_valid(hx_slice_of(name, HX_PACK_NAME_MAX)));
    cr_expect(hx_pack_name_valid(hx_slice_of(name + 1, HX_PACK_NAME_MAX - 1)));
    cr_expect(hx_pack_name_valid(hx_slice_of("a.hxm", 5)));
    cr_expect_not(hx_pack_name_valid(hx_slice_of("hxm", 3)));
    cr_expect_not(hx_pack_name_valid(hx_slice_of("", 0)));
}

Test(pack, file_1025_is_refused_with_its_line)
{
    EXPECT_REFUSED(many(HX_PACK_FILES_MAX + 1), LIMIT, "manifest line 1026: more than 1024 files");
}

Test(pack, a_last_line_without_line_feed_is_refused)
{
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\nload a.hxm", TRUNCATED,
                            "manifest line 2: no line feed at its end: the manifest is cut off");
    EXPECT_MANIFEST_REFUSED("helix-initrd 1", TRUNCATED,
                            "manifest line 1: no line feed at its end: the manifest is cut off");
}

Test(pack, control_characters_are_refused_in_comments_too)
{
    struct builder b = { 0 };
    static const char text[] = "helix-initrd 1\n# \0\n";

    EXPECT_MANIFEST_REFUSED("helix-initrd 1\nload a.hxm\r\n", FORMAT,
                            "manifest line 2: byte 0x0d at column 11 is not text");
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\n# \x1b[2J\n", FORMAT,
                            "manifest line 2: byte 0x1b at column 3 is not text");
    EXPECT_MANIFEST_REFUSED("helix-initrd 1\n\x7f\n", FORMAT, "manifest line 2: byte 0x7f at column 1 is not text");
    add_entry(&b, "manifest", MODE_FILE, text, sizeof(text) - 1);
    end_archive(&b);
    EXPECT_REFUSED(b, FORMAT, "manifest line 2: byte 0x00 at column 3 is not text");
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */
Test(pack, no_memory_for_the_index_is_refused)
{
    hal_host_fail_at(1);
    EXPECT_MANIFEST_REFUSED(GOOD_MANIFEST, NOMEM, "no memory for an index of 136 bytes");
    cr_expect(hal_host_has_failed());
}

/* ---- anything -------------------------------------------------------------------------------------------------------- */
Test(pack, every_changed_byte_is_taken_or_refused_with_a_printable_line)
{
    struct builder whole = abc(GOOD_MANIFEST "# comment\n");

    for (size_t i = 0; i < whole.bytes; i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            struct hx_pack pack = { 0 };
            struct hx_pack_report report;

            whole.data[i] ^= (uint8_t)(1u << bit);
            if (hx_pack_open(hx_slice_of(whole.data, whole.bytes), &pack, &report) != HX_OK)
                cr_expect_gt(strlen(report.message), 10);
            for (const char *c = report.message; *c; c++)
                cr_assert(*c >= ' ' && *c <= '~', "byte %zu, bit %u: %s", i, bit, report.message);
            hx_pack_close(&pack);
            whole.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    free(whole.data);
}
