/* SPDX-License-Identifier: MIT */
/*
 * cpio.c - walk a newc archive entry by entry.
 *
 * Invariant: offset moves only past an entry that was wholly checked; after an error it still points at the bad header.
 * Source: cpio(5), "New ASCII Format": 110 bytes of header, thirteen numbers of eight hexadecimal digits behind the
 *         magic; name and content each padded to four bytes.
 */
#include "cpio.h"

enum { HEADER_BYTES = 110, MAGIC_BYTES = 6, DIGITS = 8, ALIGN = 4 };

/* Numbers of the header, in order. */
enum { MODE = 1, FILE_BYTES = 6, NAME_BYTES = 11 };

#define MODE_TYPE 0170000u
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u

static const char trailer[] = "TRAILER!!!";

static hx_status_t read_number(const uint8_t *header, unsigned int index, uint32_t *out)
{
    const uint8_t *digits = header + MAGIC_BYTES + index * DIGITS;
    uint32_t value = 0;

    for (unsigned int i = 0; i < DIGITS; i++) {
        uint8_t c = digits[i];
        uint32_t digit;

        if (c >= '0' && c <= '9')
            digit = c - (uint32_t)'0';
        else if (c >= 'a' && c <= 'f')
            digit = c - (uint32_t)'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - (uint32_t)'A' + 10;
        else
            return HX_E_FORMAT;
        value = value << 4 | digit;
    }
    *out = value;
    return HX_OK;
}

/* The name ends at its declared length and not before it, and no part of it leads out of the archive. */
static hx_status_t check_name(struct hx_slice name)
{
    const char *text = (const char *)name.data;
    size_t part = 0;

    if (hx_slice_string(name, 0) == NULL || strlen(text) + 1 != name.bytes)
        return HX_E_FORMAT;
    for (size_t i = 0; i < name.bytes; i++) {
        if (text[i] != '/' && text[i] != '\0')
            continue;
        if (i == part || (i - part == 1 && text[part] == '.') ||
            (i - part == 2 && text[part] == '.' && text[part + 1] == '.'))
            return HX_E_FORMAT;
        part = i + 1;
    }
    return HX_OK;
}

static inline uint64_t align_up(uint64_t offset)
{
    return (offset + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

void hx_cpio_init(struct hx_cpio *cpio, struct hx_slice archive)
{
    *cpio = (struct hx_cpio){ .archive = archive, .offset = 0 };
}

/* Header and name of the entry at the offset; @out_content_off: of its content. */
static hx_status_t read_header(const struct hx_cpio *cpio, uint32_t *out_mode, uint32_t *out_bytes,
                               struct hx_slice *out_name, uint64_t *out_content_off)
{
    struct hx_slice header;
    uint32_t name_bytes;

    if (hx_slice_sub(cpio->archive, cpio->offset, HEADER_BYTES, &header))
        return HX_E_TRUNCATED;
    if (memcmp(header.data, "070702", MAGIC_BYTES) == 0)
        return HX_E_UNSUPPORTED;
    if (memcmp(header.data, "070701", MAGIC_BYTES) != 0)
        return HX_E_FORMAT;
    if (read_number(header.data, MODE, out_mode) || read_number(header.data, FILE_BYTES, out_bytes) ||
        read_number(header.data, NAME_BYTES, &name_bytes))
        return HX_E_FORMAT;
    if (hx_slice_sub(cpio->archive, cpio->offset + HEADER_BYTES, name_bytes, out_name))
        return HX_E_TRUNCATED;
    if (check_name(*out_name))
        return HX_E_FORMAT;
    *out_content_off = align_up(cpio->offset + HEADER_BYTES + name_bytes);
    return HX_OK;
}

hx_status_t hx_cpio_next(struct hx_cpio *cpio, struct hx_cpio_entry *out)
{
    struct hx_slice name, content;
    uint64_t content_off, next;
    uint32_t mode, bytes, type;
    hx_status_t err;

    err = read_header(cpio, &mode, &bytes, &name, &content_off);
    if (err)
        return err;
    if (hx_slice_equal((struct hx_slice){ name.data, name.bytes - 1 }, trailer))
        return HX_E_NOENT;

    type = mode & MODE_TYPE;
    if (type != MODE_REGULAR && type != MODE_DIRECTORY)
        return HX_E_UNSUPPORTED;
    if (type == MODE_DIRECTORY && bytes != 0)
        return HX_E_FORMAT;
    if (hx_slice_sub(cpio->archive, content_off, bytes, &content))
        return HX_E_TRUNCATED;
    next = align_up(content_off + bytes);
    *out = (struct hx_cpio_entry){
        .name = (const char *)name.data, .content = content, .offset = cpio->offset, .mode = mode
    };
    cpio->offset = next;
    return HX_OK;
}
