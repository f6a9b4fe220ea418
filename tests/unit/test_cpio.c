/* SPDX-License-Identifier: MIT */
/* test_cpio.c - archives are walked entry by entry, and a malformed one is refused at the header that is wrong. */
#include <criterion/criterion.h>
#include <lib/cpio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* An archive under construction. */
struct archive {
    uint8_t *bytes;
    size_t size;
};

static void append(struct archive *archive, const void *data, size_t bytes)
{
    archive->bytes = realloc(archive->bytes, archive->size + bytes + 4);
    memcpy(archive->bytes + archive->size, data, bytes);
    archive->size += bytes;
}

static void pad(struct archive *archive)
{
    while (archive->size % 4)
        append(archive, "", 1);
}

static void add_raw(struct archive *archive, uint32_t mode, const char *name, size_t name_bytes, const char *content,
                    size_t content_bytes)
{
    char header[111];

    snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1u, mode, 0u, 0u,
             1u, 0u, content_bytes, 0u, 0u, 0u, 0u, name_bytes, 0u);
    append(archive, header, 110);
    append(archive, name, name_bytes);
    pad(archive);
    append(archive, content, content_bytes);
    pad(archive);
}

static void add(struct archive *archive, const char *name, const char *content)
{
    add_raw(archive, 0100644, name, strlen(name) + 1, content, strlen(content));
}

static void end(struct archive *archive)
{
    add(archive, "TRAILER!!!", "");
}

/* In a piece of memory of exactly its size. */
static struct hx_cpio open_archive(struct archive *archive)
{
    struct hx_cpio cpio;

    archive->bytes = realloc(archive->bytes, archive->size);
    hx_cpio_init(&cpio, hx_slice_of(archive->bytes, archive->size));
    return cpio;
}

static struct archive two_files(void)
{
    struct archive archive = { NULL, 0 };

    add(&archive, "manifest", "hello");
    add(&archive, "modules/a.hxm", "12345678");
    end(&archive);
    return archive;
}

Test(cpio, entries_come_in_order_with_name_and_content)
{
    struct archive archive = two_files();
    struct hx_cpio cpio = open_archive(&archive);
    struct hx_cpio_entry entry;

    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_str_eq(entry.name, "manifest");
    cr_assert(hx_slice_equal(entry.content, "hello"));
    cr_assert_eq(entry.mode, 0100644u);
    cr_assert_eq(entry.offset, 0u);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_str_eq(entry.name, "modules/a.hxm");
    cr_assert(hx_slice_equal(entry.content, "12345678"));
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_E_NOENT);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_E_NOENT);
    free(archive.bytes);
}

Test(cpio, an_archive_of_cpio_itself_is_read)
{
    /* As `printf x > f; printf 'd\nf\n' | cpio -o -H newc` writes it, with a directory. */
    struct archive archive = { NULL, 0 };
    struct hx_cpio cpio;
    struct hx_cpio_entry entry;

    add_raw(&archive, 0040755, "d", 2, "", 0);
    add(&archive, "f", "x");
    end(&archive);
    cpio = open_archive(&archive);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_str_eq(entry.name, "d");
    cr_assert_eq(entry.mode, 0040755u);
    cr_assert_eq(entry.content.bytes, 0u);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_str_eq(entry.name, "f");
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_E_NOENT);
    free(archive.bytes);
}

Test(cpio, padding_after_the_trailer_does_not_matter)
{
    struct archive archive = two_files();
    struct hx_cpio cpio;
    struct hx_cpio_entry entry;

    append(&archive, "\0\0\0\0\0\0\0\0", 8);
    cpio = open_archive(&archive);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK);
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_E_NOENT);
    free(archive.bytes);
}

Test(cpio, every_truncation_is_refused_at_the_header_that_it_cuts)
{
    struct archive whole = two_files();

    for (size_t size = 0; size < whole.size; size++) {
        struct archive cut = { NULL, 0 };
        struct hx_cpio cpio;
        struct hx_cpio_entry entry;
        hx_status_t err;

        append(&cut, whole.bytes, size);
        cut.bytes = realloc(cut.bytes, size ? size : 1);
        hx_cpio_init(&cpio, hx_slice_of(cut.bytes, size));
        do {
            err = hx_cpio_next(&cpio, &entry);
        } while (!err);
        /* The last bytes of the padding behind the trailer carry nothing. */
        if (size < whole.size - 3)
            cr_assert_eq(err, HX_E_TRUNCATED, "%zu of %zu: %d", size, whole.size, err);
        cr_assert_leq(cpio.offset, size + 3);
        free(cut.bytes);
    }
    free(whole.bytes);
}

/* The only entry of an archive, refused. */
static void refuse(struct archive *archive, hx_status_t expected)
{
    struct hx_cpio cpio = open_archive(archive);
    struct hx_cpio_entry entry = { .name = "untouched" };

    cr_assert_eq(hx_cpio_next(&cpio, &entry), expected);
    cr_assert_eq(cpio.offset, 0u);
    cr_assert_str_eq(entry.name, "untouched");
    free(archive->bytes);
}

#define NAME_REFUSED(test, name, bytes)                                                                                \
    Test(cpio, test)                                                                                                   \
    {                                                                                                                  \
        struct archive archive = { NULL, 0 };                                                                          \
                                                                                                                       \
        add_raw(&archive, 0100644, name, bytes, "x", 1);                                                               \
        refuse(&archive, HX_E_FORMAT);                                                                                 \
    }

NAME_REFUSED(an_absolute_name_is_refused, "/etc", 5)
NAME_REFUSED(a_parent_is_refused, "../x", 5)
NAME_REFUSED(a_parent_inside_is_refused, "a/../x", 7)
NAME_REFUSED(a_parent_at_the_end_is_refused, "a/..", 5)
NAME_REFUSED(a_dot_is_refused, ".", 2)
NAME_REFUSED(a_leading_dot_is_refused, "./x", 4)
NAME_REFUSED(an_empty_part_is_refused, "a//x", 5)
NAME_REFUSED(a_trailing_slash_is_refused, "a/", 3)
NAME_REFUSED(an_empty_name_is_refused, "", 1)
NAME_REFUSED(a_name_of_no_bytes_is_refused, "", 0)
NAME_REFUSED(a_name_without_nul_is_refused, "abcd", 4)
NAME_REFUSED(a_name_that_ends_early_is_refused, "ab\0c", 5)

Test(cpio, names_with_dots_that_lead_nowhere_are_accepted)
{
    static const char *const names[] = { "a.b", ".hidden", "..a", "a/.b/c..", "..." };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct archive archive = { NULL, 0 };
        struct hx_cpio cpio;
        struct hx_cpio_entry entry;

        add(&archive, names[i], "x");
        cpio = open_archive(&archive);
        cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_OK, "%s", names[i]);
        free(archive.bytes);
    }
}

Test(cpio, a_link_is_refused)
{
    struct archive archive = { NULL, 0 };

    add_raw(&archive, 0120777, "link", 5, "target", 6);
    refuse(&archive, HX_E_UNSUPPORTED);
}

Test(cpio, a_device_is_refused)
{
    struct archive archive = { NULL, 0 };

    add_raw(&archive, 0020644, "tty", 4, "", 0);
    refuse(&archive, HX_E_UNSUPPORTED);
}

Test(cpio, a_directory_with_content_is_refused)
{
    struct archive archive = { NULL, 0 };

    add_raw(&archive, 0040755, "d", 2, "x", 1);
    refuse(&archive, HX_E_FORMAT);
}

Test(cpio, a_wrong_magic_is_refused)
{
    struct archive archive = two_files();

    archive.bytes[0] = '1';
    refuse(&archive, HX_E_FORMAT);
}

Test(cpio, the_format_with_checksums_is_refused_as_what_it_is)
{
    struct archive archive = two_files();

    archive.bytes[5] = '2';
    refuse(&archive, HX_E_UNSUPPORTED);
}

Test(cpio, a_number_that_is_none_is_refused)
{
    static const size_t numbers[] = { 6 + 8 * 1, 6 + 8 * 6 + 7, 6 + 8 * 11 };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct archive archive = two_files();

        archive.bytes[numbers[i]] = 'g';
        refuse(&archive, HX_E_FORMAT);
    }
}

Test(cpio, a_content_size_past_the_end_is_refused)
{
    struct archive archive = two_files();

    memcpy(archive.bytes + 6 + 8 * 6, "ffffffff", 8);
    refuse(&archive, HX_E_TRUNCATED);
}

Test(cpio, a_name_size_past_the_end_is_refused)
{
    struct archive archive = two_files();

    memcpy(archive.bytes + 6 + 8 * 11, "FFFFFFFF", 8);
    refuse(&archive, HX_E_TRUNCATED);
}

/* The page behind the archive cannot be read. */
Test(cpio, a_name_without_nul_is_not_read_past_the_end_of_the_archive)
{
    enum { PAGE = 4096 };
    struct archive archive = { NULL, 0 };
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct hx_cpio cpio;
    struct hx_cpio_entry entry;

    cr_assert(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    add_raw(&archive, 0100644, "abcdefghij", 10, "", 0);
    cr_assert_eq(archive.size, 120u);
    memcpy(pages + PAGE - archive.size, archive.bytes, archive.size);
    hx_cpio_init(&cpio, hx_slice_of(pages + PAGE - archive.size, archive.size));
    cr_assert_eq(hx_cpio_next(&cpio, &entry), HX_E_FORMAT);
    munmap(pages, 2 * PAGE);
    free(archive.bytes);
}
