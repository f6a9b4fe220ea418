/* SPDX-License-Identifier: MIT */
/*
 * cpio.h - reads a cpio archive in the "new ASCII" format without CRC (newc), the container of the initrd.
 *
 * Source: cpio(5), "New ASCII Format". Input is hostile: names must be relative, without "." or ".." parts, NUL-terminated
 * at their declared length and unique as far as the caller checks; only regular files and directories are accepted.
 */
#pragma once
#include "slice.h"

struct hx_cpio {
    struct hx_slice archive; /* borrowed */
    uint64_t offset;         /* of the next header */
};

struct hx_cpio_entry {
    const char *name; /* borrowed, NUL-terminated */
    struct hx_slice content;
    uint64_t offset; /* of its header, for messages */
    uint32_t mode;
};

void hx_cpio_init(struct hx_cpio *cpio, struct hx_slice archive);
/* The next entry. HX_E_NOENT after the trailer; HX_E_TRUNCATED, HX_E_FORMAT, HX_E_UNSUPPORTED with @cpio->offset at the
 * offending header. */
HX_NODISCARD hx_status_t hx_cpio_next(struct hx_cpio *cpio, struct hx_cpio_entry *out);
