/* SPDX-License-Identifier: MIT */
/*
 * pvh.c - reads the start information of the PVH boot protocol (`qemu -kernel`).
 *
 * Why separate: the structure is a handful of physical addresses; each is turned into bytes by the caller's function, which
 * is where bounds are known, so that this file stays pure.
 * Source: Xen public/arch-x86/hvm/start_info.h (the layout is there; offsets are repeated here because the input is read
 *         through a slice, never through a struct pointer).
 */
#include "ranges.h"

#include <lib/fmt.h>

#define PVH_MAGIC 0x336ec578u

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules_pa, cmdline_pa, rsdp_pa;
};
struct start_info_map { /* from version 1 on, behind the above */
    uint64_t map_pa;
    uint32_t entry_count, reserved;
};
struct module_entry {
    uint64_t first_pa, bytes, cmdline_pa, reserved;
};
struct map_entry {
    uint64_t first, bytes;
    uint32_t type, reserved;
};
_Static_assert(sizeof(struct start_info) == 40 && sizeof(struct start_info_map) == 16, "as the loader has it");
_Static_assert(sizeof(struct module_entry) == 32 && sizeof(struct map_entry) == 24, "as the loader has it");

__attribute__((cold)) static hx_status_t refuse(char *out_message, hx_status_t err, const char *what, uint64_t value)
{
    (void)hx_fmt(out_message, HX_BOOT_MESSAGE_BYTES, "pvh: %s (%#llx)", what, (unsigned long long)value);
    return err;
}

static hx_status_t take_cmdline(uint64_t pa, hx_boot_at_fn at, struct hx_boot_info *out, char *out_message)
{
    struct hx_slice bytes;
    const char *text;

    if (pa == 0)
        return HX_OK;
    if (at(pa, HX_BOOT_CMDLINE_MAX, &bytes))
        return refuse(out_message, HX_E_FORMAT, "the command line lies outside memory", pa);
    text = hx_slice_string(bytes, 0);
    if (!text)
        return refuse(out_message, HX_E_LIMIT, "the command line is too long", pa);
    memcpy(out->cmdline, text, strlen(text) + 1);
    return HX_OK;
}

static hx_status_t take_initrd(const struct start_info *info, hx_boot_at_fn at, struct hx_boot_info *out,
                               char *out_message)
{
    struct hx_slice bytes;
    struct module_entry module;

    if (info->module_count == 0)
        return HX_OK;
    if (at(info->modules_pa, sizeof(module), &bytes) || hx_slice_read(bytes, 0, &module, sizeof(module)))
        return refuse(out_message, HX_E_FORMAT, "the module list lies outside memory", info->modules_pa);
    if (module.bytes > HX_BOOT_PA_LIMIT || module.first_pa > HX_BOOT_PA_LIMIT - module.bytes)
        return refuse(out_message, HX_E_FORMAT, "the initrd lies where no memory can be", module.first_pa);
    out->initrd_pa = module.bytes ? module.first_pa : 0;
    out->initrd_bytes = module.bytes;
    return HX_OK;
}

static hx_status_t take_map(struct hx_slice bytes, bool usable_pass, struct hx_boot_info *out, char *out_message)
{
    struct map_entry entry = { 0 };

    for (uint64_t offset = 0; offset < bytes.bytes; offset += sizeof(entry)) {
        hx_status_t err = hx_slice_read(bytes, offset, &entry, sizeof(entry));
        if (!err)
            err = hx_boot_ranges_apply(out, usable_pass, entry.first, entry.bytes, entry.type);
        if (err)
            return refuse(out_message, HX_E_FORMAT, "the memory map has memory where none can be", entry.first);
    }
    return HX_OK;
}

static hx_status_t take_maps(struct hx_slice start_info, uint32_t version, hx_boot_at_fn at, struct hx_boot_info *out,
                             char *out_message)
{
    struct start_info_map map = { 0 };
    struct hx_slice bytes;
    hx_status_t err;

    if (version >= 1 && hx_slice_read(start_info, sizeof(struct start_info), &map, sizeof(map)))
        return refuse(out_message, HX_E_TRUNCATED, "the start information is not all there", start_info.bytes);
    if (map.entry_count == 0)
        return refuse(out_message, HX_E_FORMAT, "there is no memory map; version", version);
    if (at(map.map_pa, (uint64_t)map.entry_count * sizeof(struct map_entry), &bytes))
        return refuse(out_message, HX_E_FORMAT, "the memory map lies outside memory", map.map_pa);
    err = take_map(bytes, true, out, out_message);
    if (!err)
        err = take_map(bytes, false, out, out_message);
    if (!err && out->range_count == 0)
        err = refuse(out_message, HX_E_FORMAT, "no usable memory in the memory map; entries", map.entry_count);
    return err;
}

__attribute__((cold)) hx_status_t hx_boot_parse_pvh(struct hx_slice start_info, uint64_t info_pa, hx_boot_at_fn at,
                                                    struct hx_boot_info *out, char *out_message)
{
    struct start_info info;
    hx_status_t err;

    memset(out, 0, sizeof(*out));
    out_message[0] = '\0';
    if (hx_slice_read(start_info, 0, &info, sizeof(info)))
        return refuse(out_message, HX_E_TRUNCATED, "the start information is not all there", start_info.bytes);
    if (info.magic != PVH_MAGIC)
        return refuse(out_message, HX_E_FORMAT, "wrong magic in the start information", info.magic);
    memcpy(out->loader, "PVH", sizeof("PVH"));
    out->rsdp_pa = info.rsdp_pa;
    err = take_cmdline(info.cmdline_pa, at, out, out_message);
    if (!err)
        err = take_initrd(&info, at, out, out_message);
    if (!err)
        err = take_maps(start_info, info.version, at, out, out_message);
    if (err)
        return err;
    out->structure = (struct hx_boot_range){ info_pa, start_info.bytes };
    return HX_OK;
}
