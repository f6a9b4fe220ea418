/* SPDX-License-Identifier: MIT */
/*
 * boot_info.h - what the boot loader told us, checked and copied: nothing in it points into memory that may be reused.
 *
 * Two parsers make it, one for Multiboot 2, one for PVH; both are pure and treat their input as hostile.
 */
#pragma once
#include <helix/types.h>
#include <lib/slice.h>

enum { HX_BOOT_RANGES_MAX = 64, HX_BOOT_CMDLINE_MAX = 512 };

struct hx_boot_range {
    uint64_t first_pa;
    uint64_t bytes;
};

struct hx_boot_info {
    char loader[64]; /* "GRUB 2.06-13", "PVH" */
    char cmdline[HX_BOOT_CMDLINE_MAX];
    uint32_t range_count;
    struct hx_boot_range range[HX_BOOT_RANGES_MAX]; /* usable memory, sorted, disjoint, page-aligned inwards */
    uint64_t initrd_pa;                             /* 0, 0: none */
    uint64_t initrd_bytes;
    uint64_t rsdp_pa;               /* 0: unknown; where the ACPI RSDP (or its copy in the boot information) lies */
    struct hx_boot_range structure; /* the loader's own structure; kept, since rsdp_pa may point into it */
};

/*
 * @info: the Multiboot 2 information structure, [total_size], which lies at @info_pa. The first module is the initrd.
 * Source: Multiboot2 Specification 2.0, section 3.6.
 * HX_E_TRUNCATED, HX_E_FORMAT (a tag leaves the structure, no memory map), HX_E_LIMIT (command line too long).
 * @out_message, [HX_BOOT_MESSAGE_BYTES]: on error, one line for a person.
 */
enum { HX_BOOT_MESSAGE_BYTES = 96 };
HX_NODISCARD hx_status_t hx_boot_parse_multiboot2(struct hx_slice info, uint64_t info_pa, struct hx_boot_info *out,
                                                  char *out_message);

/*
 * @start_info: struct hvm_start_info, which lies at @info_pa. It holds physical addresses, which @at turns into slices (or
 * refuses). The first module is the initrd. Errors as above.
 * Source: Xen public/arch-x86/hvm/start_info.h.
 */
typedef hx_status_t (*hx_boot_at_fn)(uint64_t pa, uint64_t bytes, struct hx_slice *out);
HX_NODISCARD hx_status_t hx_boot_parse_pvh(struct hx_slice start_info, uint64_t info_pa, hx_boot_at_fn at,
                                           struct hx_boot_info *out, char *out_message);

/*
 * The value of option @name in the command line ("panic=exit loglevel=2 safe"): copied to @out, NUL-terminated, empty for
 * a bare word. HX_E_NOENT; HX_E_LIMIT when it does not fit. The last of several wins.
 */
HX_NODISCARD hx_status_t hx_boot_option(const struct hx_boot_info *info, const char *name, char *out, size_t bytes);
