/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cpio.c - any bytes whatever are walked as an archive: every entry lies inside, every step leads forward, and an error
 * moves nothing.
 *
 * The numbers of each header are read a second time with the C library, so that a wrong field is seen, not only a wild one.
 */
#include "invariant.h"

#include <lib/cpio.h>

enum { HEADER_BYTES = 110, MODE_AT = 14, CONTENT_BYTES_AT = 54, NAME_BYTES_AT = 94, DIGITS = 8 };

static uint64_t number_at(struct hx_slice archive, uint64_t offset)
{
    char digits[DIGITS + 1] = { 0 };

    must(hx_slice_read(archive, offset, digits, DIGITS) == HX_OK);
    must(strspn(digits, "0123456789abcdefABCDEF") == DIGITS);
    return strtoul(digits, NULL, 16);
}

static void check_name(const char *name)
{
    char copy[4096];
    const char *part;
    char *rest;

    must(name[0] != '\0' && name[0] != '/' && !strstr(name, "//") && name[strlen(name) - 1] != '/');
    if (strlen(name) >= sizeof(copy))
        return;
    strcpy(copy, name);
    for (part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
        must(strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
}

static void check_entry(struct hx_slice archive, const struct hx_cpio_entry *entry, uint64_t next)
{
    uint64_t name_bytes = number_at(archive, entry->offset + NAME_BYTES_AT);
    uint64_t content_off = (entry->offset + HEADER_BYTES + name_bytes + 3) & ~3ull;

    must(lies_in(hx_slice_of(entry->name, name_bytes), archive));
    must(entry->name == (const char *)archive.data + entry->offset + HEADER_BYTES);
    must(strlen(entry->name) + 1 == name_bytes);
    check_name(entry->name);
    must(lies_in(entry->content, archive));
    must(entry->content.data == archive.data + content_off);
    must(entry->content.bytes == number_at(archive, entry->offset + CONTENT_BYTES_AT));
    must(entry->mode == number_at(archive, entry->offset + MODE_AT));
    must((entry->mode & 0170000) == 0100000 || ((entry->mode & 0170000) == 0040000 && entry->content.bytes == 0));
    must(next == ((content_off + entry->content.bytes + 3) & ~3ull));
}

static void check_end(struct hx_slice archive, const struct hx_cpio *cpio, hx_status_t err)
{
    static const char trailer[] = "TRAILER!!!";
    struct hx_slice name;

    switch (err) {
    case HX_E_NOENT:
        must(hx_slice_sub(archive, cpio->offset + HEADER_BYTES, sizeof(trailer), &name) == HX_OK);
        must(memcmp(name.data, trailer, sizeof(trailer)) == 0);
        break;
    case HX_E_TRUNCATED:
    case HX_E_FORMAT:
    case HX_E_UNSUPPORTED: break;
    default: broken("an error that the header names", __FILE__, __LINE__);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hx_slice archive = hx_slice_of(data, size);
    struct hx_cpio_entry entry, before;
    struct hx_cpio cpio;
    hx_status_t err = HX_E_INTERNAL;

    memset(&entry, 0x5a, sizeof(entry));
    hx_cpio_init(&cpio, archive);
    for (;;) {
        uint64_t at = cpio.offset;

        before = entry;
        err = hx_cpio_next(&cpio, &entry);
        must(cpio.archive.data == data && cpio.archive.bytes == size);
        if (err != HX_OK) {
            must(cpio.offset == at && memcmp(&entry, &before, sizeof(entry)) == 0);
            break;
        }
        must(entry.offset == at && cpio.offset >= at + HEADER_BYTES);
        check_entry(archive, &entry, cpio.offset);
    }
    check_end(archive, &cpio, err);
    must(hx_cpio_next(&cpio, &entry) == err); /* it stays where it stopped */
    return 0;
}
