/* SPDX-License-Identifier: MIT */
/*
 * multiboot2.c - reads the information structure of a Multiboot 2 loader (GRUB 2).
 *
 * Why separate: pure, so that a host test can feed it what no loader would hand over.
 * Invariant: on HX_OK nothing in the result points into the structure but rsdp_pa, and `structure` says where it lies.
 * Source:    Multiboot2 Specification 2.0, 3.6.
 */
#include "ranges.h"

#include <lib/fmt.h>

enum {
    TAG_END = 0,
    TAG_CMDLINE = 1,
    TAG_LOADER = 2,
    TAG_MODULE = 3,
    TAG_MMAP = 6,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15
};
enum { TAG_HEADER_BYTES = 8, RSDP_1_BYTES = 20, RSDP_2_BYTES = 36 };

struct tag {
    uint32_t type;
    uint64_t offset; /* of the tag in the structure */
    struct hx_slice body;
};

struct parse {
    struct hx_slice info;
    uint64_t info_pa;
    struct hx_boot_info *out;
    char *message;
};

__attribute__((cold)) static hx_status_t refuse(struct parse *parse, hx_status_t err, const char *what, uint64_t offset)
{
    (void)hx_fmt(parse->message, HX_BOOT_MESSAGE_BYTES, "multiboot2: %s (tag at %#llx)", what,
                 (unsigned long long)offset);
    return err;
}

/* The tag at @offset; its successor's offset to @out_next. */
static hx_status_t tag_at(struct parse *parse, uint64_t offset, struct tag *out, uint64_t *out_next)
{
    uint32_t head[2];
    hx_status_t err = hx_slice_read(parse->info, offset, head, sizeof(head));

    if (err)
        return refuse(parse, HX_E_FORMAT, "the structure ends without an end tag", offset);
    if (head[1] < TAG_HEADER_BYTES)
        return refuse(parse, HX_E_FORMAT, "a tag is shorter than its header", offset);
    out->type = head[0];
    out->offset = offset;
    err = hx_slice_sub(parse->info, offset + TAG_HEADER_BYTES, head[1] - TAG_HEADER_BYTES, &out->body);
    if (err)
        return refuse(parse, HX_E_FORMAT, "a tag leaves the structure", offset);
    *out_next = offset + (((uint64_t)head[1] + 7) & ~7ull);
    return HX_OK;
}

static hx_status_t take_text(struct parse *parse, const struct tag *tag, char *out, size_t bytes)
{
    const char *text = hx_slice_string(tag->body, 0);
    size_t length;

    if (!text)
        return refuse(parse, HX_E_FORMAT, "a text does not end in its tag", tag->offset);
    length = strlen(text);
    if (length >= bytes && tag->type == TAG_CMDLINE)
        return refuse(parse, HX_E_LIMIT, "the command line is too long", tag->offset);
    if (length >= bytes)
        length = bytes - 1;
    memcpy(out, text, length);
    out[length] = '\0';
    return HX_OK;
}

static hx_status_t take_module(struct parse *parse, const struct tag *tag)
{
    uint32_t bounds[2];

    if (hx_slice_read(tag->body, 0, bounds, sizeof(bounds)))
        return refuse(parse, HX_E_FORMAT, "a module tag is too short", tag->offset);
    if (bounds[1] < bounds[0])
        return refuse(parse, HX_E_FORMAT, "a module ends before it starts", tag->offset);
    if (parse->out->initrd_bytes == 0 && bounds[1] > bounds[0]) {
        parse->out->initrd_pa = bounds[0];
        parse->out->initrd_bytes = bounds[1] - bounds[0];
    }
    return HX_OK;
}

static hx_status_t take_rsdp(struct parse *parse, const struct tag *tag)
{
    if (tag->body.bytes < (tag->type == TAG_ACPI_NEW ? RSDP_2_BYTES : RSDP_1_BYTES))
        return refuse(parse, HX_E_FORMAT, "the ACPI tag is too short", tag->offset);
    if (tag->type == TAG_ACPI_NEW || parse->out->rsdp_pa == 0)
        parse->out->rsdp_pa = parse->info_pa + tag->offset + TAG_HEADER_BYTES;
    return HX_OK;
}

static hx_status_t take_map(struct parse *parse, const struct tag *tag, bool usable_pass)
{
    uint32_t head[2]; /* entry size, entry version */
    struct {
        uint64_t first, bytes;
        uint32_t type, reserved;
    } entry;
    _Static_assert(sizeof(entry) == 24, "as the loader has it");

    if (hx_slice_read(tag->body, 0, head, sizeof(head)))
        return refuse(parse, HX_E_FORMAT, "the memory map is too short", tag->offset);
    if (head[0] < sizeof(entry) || head[0] % 8 != 0)
        return refuse(parse, HX_E_FORMAT, "entries of the memory map have an odd size", tag->offset);
    for (uint64_t at = sizeof(head); at < tag->body.bytes; at += head[0]) {
        if (!hx_slice_has(tag->body, at, head[0]) || hx_slice_read(tag->body, at, &entry, sizeof(entry)))
            return refuse(parse, HX_E_FORMAT, "the memory map ends inside an entry", tag->offset);
        if (hx_boot_ranges_apply(parse->out, usable_pass, entry.first, entry.bytes, entry.type))
            return refuse(parse, HX_E_FORMAT, "the memory map has memory where none can be", tag->offset);
    }
    return HX_OK;
}

static hx_status_t take_tag(struct parse *parse, const struct tag *tag)
{
    switch (tag->type) {
    case TAG_CMDLINE: return take_text(parse, tag, parse->out->cmdline, sizeof(parse->out->cmdline));
    case TAG_LOADER: return take_text(parse, tag, parse->out->loader, sizeof(parse->out->loader));
    case TAG_MODULE: return take_module(parse, tag);
    case TAG_MMAP: return take_map(parse, tag, true);
    case TAG_ACPI_OLD:
    case TAG_ACPI_NEW: return take_rsdp(parse, tag);
    default: return HX_OK;
    }
}

/* All tags; in the second pass only memory maps count. */
static hx_status_t take_tags(struct parse *parse, bool second_pass)
{
    struct tag tag = { .type = TAG_END };
    uint64_t offset = TAG_HEADER_BYTES;

    for (;;) {
        hx_status_t err = tag_at(parse, offset, &tag, &offset);
        if (err)
            return err;
        if (tag.type == TAG_END)
            return HX_OK;
        if (!second_pass)
            err = take_tag(parse, &tag);
        else if (tag.type == TAG_MMAP)
            err = take_map(parse, &tag, false);
        if (err)
            return err;
    }
}

__attribute__((cold)) hx_status_t hx_boot_parse_multiboot2(struct hx_slice info, uint64_t info_pa,
                                                           struct hx_boot_info *out, char *out_message)
{
    struct parse parse = { info, info_pa, out, out_message };
    uint32_t total_bytes;
    hx_status_t err;

    memset(out, 0, sizeof(*out));
    out_message[0] = '\0';
    if (hx_slice_read(info, 0, &total_bytes, sizeof(total_bytes)) || hx_slice_sub(info, 0, total_bytes, &parse.info))
        return refuse(&parse, HX_E_TRUNCATED, "the structure is not all there", 0);
    err = take_tags(&parse, false);
    if (!err)
        err = take_tags(&parse, true);
    if (!err && out->range_count == 0)
        err = refuse(&parse, HX_E_FORMAT, "there is no memory map, or no usable memory in it", 0);
    if (err)
        return err;
    out->structure = (struct hx_boot_range){ info_pa, total_bytes };
    return HX_OK;
}
