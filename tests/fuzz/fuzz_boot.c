/* SPDX-License-Identifier: MIT */
/*
 * fuzz_boot.c - any bytes whatever are what the boot loader says: the Multiboot 2 structure, PVH's start information, or the
 * command line. The first byte says which.
 *
 * Memory maps are read a second time here, the simple way: no usable range overlaps what some entry says is not usable, and
 * none reaches beyond what entries say is. Structures are handed over in copies of exact length.
 */
#include "invariant.h"

#include <boot/ranges.h>

#define INFO_PA 0x9000ull

enum { PROTOCOL_MULTIBOOT2, PROTOCOL_PVH, PROTOCOL_OPTIONS, PROTOCOL_COUNT };
enum { WINDOW_BYTES = 0x10000, ENTRIES_MAX = WINDOW_BYTES / 24 };

struct entry {
    uint64_t first, bytes;
    uint32_t type, reserved;
};

static struct {
    struct entry entry[ENTRIES_MAX];
    uint32_t count;
} map;

/* ---- what holds for both protocols ----------------------------------------------------------------------------------- */
/* Whether the byte at @pa is in an entry that is usable, or in one that is not. */
static bool map_has(uint64_t pa, bool usable)
{
    for (uint32_t i = 0; i < map.count; i++)
        if ((map.entry[i].type == 1) == usable && pa >= map.entry[i].first &&
            pa - map.entry[i].first < map.entry[i].bytes)
            return true;
    return false;
}

static void check_range(const struct hx_boot_range *range)
{
    uint64_t end = range->first_pa + range->bytes;

    must(range->bytes > 0 && range->first_pa % HX_BOOT_PAGE_BYTES == 0 && range->bytes % HX_BOOT_PAGE_BYTES == 0);
    must(range->first_pa < HX_BOOT_PA_LIMIT && range->bytes <= HX_BOOT_PA_LIMIT - range->first_pa);
    must(map_has(range->first_pa, true) && map_has(end - 1, true));
    must(!map_has(range->first_pa, false) && !map_has(end - 1, false));
    for (uint32_t i = 0; i < map.count; i++) {
        const struct entry *entry = &map.entry[i];

        if (entry->type != 1 && entry->bytes > 0)
            must(entry->first < range->first_pa || entry->first >= end);
        /* Where a usable entry ends inside, another one goes on. */
        if (entry->type == 1 && entry->first + entry->bytes > range->first_pa && entry->first + entry->bytes < end)
            must(map_has((entry->first + entry->bytes) & ~(uint64_t)(HX_BOOT_PAGE_BYTES - 1), true));
    }
}

static void check_info(const struct hx_boot_info *info, uint64_t structure_bytes)
{
    must(strnlen(info->loader, sizeof(info->loader)) < sizeof(info->loader));
    must(strnlen(info->cmdline, sizeof(info->cmdline)) < sizeof(info->cmdline));
    must(info->initrd_bytes || !info->initrd_pa);
    must(info->initrd_pa <= HX_BOOT_PA_LIMIT && info->initrd_bytes <= HX_BOOT_PA_LIMIT - info->initrd_pa);
    must(info->structure.first_pa == INFO_PA && info->structure.bytes == structure_bytes);
    must(info->range_count > 0 && info->range_count <= HX_BOOT_RANGES_MAX);
    for (uint32_t i = 0; i < info->range_count; i++) {
        check_range(&info->range[i]);
        must(i == 0 || info->range[i - 1].first_pa + info->range[i - 1].bytes < info->range[i].first_pa);
    }
}

static void check_refusal(hx_status_t err, const char *message)
{
    must(err == HX_E_TRUNCATED || err == HX_E_FORMAT || err == HX_E_LIMIT);
    must(is_line(message, HX_BOOT_MESSAGE_BYTES));
}

/* ---- options --------------------------------------------------------------------------------------------------------- */
/* The value of @name in @line, which is taken apart; NULL when there is none. */
static const char *option_last(char *line, const char *name)
{
    const char *value = NULL;
    char *rest;

    for (char *word = strtok_r(line, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        size_t length = strcspn(word, "=");

        if (length == strlen(name) && memcmp(word, name, length) == 0)
            value = word[length] ? word + length + 1 : word + length;
    }
    return value;
}

static void check_option(const struct hx_boot_info *info, const char *name, size_t bytes)
{
    char line[HX_BOOT_CMDLINE_MAX];
    char *out = malloc(bytes);
    const char *value;
    hx_status_t err;

    must(out != NULL || bytes == 0);
    memset(out, 0x5a, bytes);
    memcpy(line, info->cmdline, sizeof(line));
    value = option_last(line, name);
    err = hx_boot_option(info, name, out, bytes);
    must(err == (!value ? HX_E_NOENT : strlen(value) >= bytes ? HX_E_LIMIT : HX_OK));
    if (err == HX_OK)
        must(strcmp(out, value) == 0);
    for (size_t i = 0; err != HX_OK && i < bytes; i++)
        must(out[i] == 0x5a);
    free(out);
}

static void check_options(const struct hx_boot_info *info)
{
    static const char *const names[] = { "panic", "loglevel", "safe", "skip", "seed", "a", "" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_option(info, names[i], 0);
        check_option(info, names[i], 4);
        check_option(info, names[i], HX_BOOT_CMDLINE_MAX);
    }
}

static void fuzz_options(struct hx_slice input)
{
    struct hx_boot_info *info = calloc(1, sizeof(*info));

    must(info != NULL);
    memcpy(info->cmdline, input.data, input.bytes < HX_BOOT_CMDLINE_MAX ? input.bytes : HX_BOOT_CMDLINE_MAX - 1);
    check_options(info);
    free(info);
}

/* ---- Multiboot 2 ----------------------------------------------------------------------------------------------------- */
static uint32_t word_at(struct hx_slice s, uint64_t offset)
{
    uint32_t word = 0;

    must(hx_slice_read(s, offset, &word, sizeof(word)) == HX_OK);
    return word;
}

/* The entries of a memory map tag. */
static void collect_tag(struct hx_slice info, uint64_t tag_off)
{
    uint64_t end = tag_off + word_at(info, tag_off + 4);
    uint32_t entry_bytes = word_at(info, tag_off + 8);

    must(entry_bytes >= sizeof(struct entry));
    for (uint64_t at = tag_off + 16; at < end; at += entry_bytes) {
        must(map.count < ENTRIES_MAX);
        must(hx_slice_read(info, at, &map.entry[map.count++], sizeof(struct entry)) == HX_OK);
    }
}

/* Collects the memory map, and checks the texts, of an accepted structure. */
static void collect_multiboot2(struct hx_slice info, const struct hx_boot_info *out)
{
    const char *cmdline = "";
    const char *loader = "";

    map.count = 0;
    for (uint64_t at = 8; word_at(info, at) != 0; at += (word_at(info, at + 4) + 7ull) & ~7ull) {
        must(hx_slice_has(info, at, word_at(info, at + 4)) && word_at(info, at + 4) >= 8);
        switch (word_at(info, at)) {
        case 1: cmdline = (const char *)info.data + at + 8; break;
        case 2: loader = (const char *)info.data + at + 8; break;
        case 6: collect_tag(info, at); break;
        default: break;
        }
    }
    must(strcmp(out->cmdline, cmdline) == 0);
    must(strlen(out->loader) == strnlen(loader, sizeof(out->loader) - 1));
    must(memcmp(out->loader, loader, strlen(out->loader)) == 0);
}

static void fuzz_multiboot2(struct hx_slice input)
{
    char message[HX_BOOT_MESSAGE_BYTES];
    struct hx_boot_info out;
    uint8_t *copy = copy_of(input.data, input.bytes);
    uint32_t total_bytes = 0;
    hx_status_t err;

    memset(message, 0x5a, sizeof(message));
    memset(&out, 0x5a, sizeof(out));
    err = hx_boot_parse_multiboot2(hx_slice_of(copy, input.bytes), INFO_PA, &out, message);
    if (err == HX_OK) {
        must(hx_slice_read(input, 0, &total_bytes, sizeof(total_bytes)) == HX_OK && total_bytes <= input.bytes);
        collect_multiboot2(hx_slice_of(copy, total_bytes), &out);
        check_info(&out, total_bytes);
        must(out.rsdp_pa == 0 || (out.rsdp_pa >= INFO_PA && out.rsdp_pa - INFO_PA + 20 <= total_bytes));
        check_option(&out, "safe", sizeof("safe"));
    } else {
        check_refusal(err, message);
    }
    free(copy);
}

/* ---- PVH ------------------------------------------------------------------------------------------------------------- */
enum { PVH_INFO_BYTES = 56, PVH_MAP_AT = 40, PVH_COUNT_AT = 48, COPIES_MAX = 3 };

/* Physical memory at INFO_PA: the input, then zeros. */
static struct {
    uint8_t byte[WINDOW_BYTES];
    void *copy[COPIES_MAX]; /* what was handed out */
    uint32_t copy_count;
} memory;

static hx_status_t memory_at(uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    uint8_t *copy;

    if (pa < INFO_PA || !hx_slice_has(hx_slice_of(memory.byte, WINDOW_BYTES), pa - INFO_PA, bytes))
        return HX_E_RANGE;
    must(memory.copy_count < COPIES_MAX);
    copy = copy_of(memory.byte + (pa - INFO_PA), (size_t)bytes);
    memory.copy[memory.copy_count++] = copy;
    *out = hx_slice_of(copy, (size_t)bytes);
    return HX_OK;
}

static void collect_pvh(void)
{
    struct hx_slice window = hx_slice_of(memory.byte, WINDOW_BYTES);
    uint64_t map_pa = 0;

    must(hx_slice_read(window, PVH_MAP_AT, &map_pa, sizeof(map_pa)) == HX_OK);
    map.count = word_at(window, PVH_COUNT_AT);
    must(map.count <= ENTRIES_MAX && map_pa >= INFO_PA);
    must(hx_slice_read(window, map_pa - INFO_PA, map.entry, map.count * sizeof(struct entry)) == HX_OK);
}

static void fuzz_pvh(struct hx_slice input)
{
    size_t bytes = input.bytes < WINDOW_BYTES ? input.bytes : WINDOW_BYTES;
    size_t info_bytes = bytes < PVH_INFO_BYTES ? bytes : PVH_INFO_BYTES;
    uint8_t *copy = copy_of(input.data, info_bytes);
    char message[HX_BOOT_MESSAGE_BYTES];
    struct hx_boot_info out;
    hx_status_t err;

    memcpy(memory.byte, input.data, bytes);
    memory.copy_count = 0;
    memset(message, 0x5a, sizeof(message));
    memset(&out, 0x5a, sizeof(out));
    err = hx_boot_parse_pvh(hx_slice_of(copy, info_bytes), INFO_PA, memory_at, &out, message);
    if (err == HX_OK) {
        collect_pvh();
        check_info(&out, info_bytes);
        check_option(&out, "safe", sizeof("safe"));
    } else {
        check_refusal(err, message);
    }
    for (uint32_t i = 0; i < memory.copy_count; i++)
        free(memory.copy[i]);
    memset(memory.byte, 0, bytes);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hx_slice input;

    if (size == 0 || size > WINDOW_BYTES)
        return 0;
    input = hx_slice_of(data + 1, size - 1);
    switch (data[0] % PROTOCOL_COUNT) {
    case PROTOCOL_MULTIBOOT2: fuzz_multiboot2(input); break;
    case PROTOCOL_PVH: fuzz_pvh(input); break;
    default: fuzz_options(input); break;
    }
    return 0;
}
