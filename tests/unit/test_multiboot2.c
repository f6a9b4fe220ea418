/* SPDX-License-Identifier: MIT */
/*
 * test_multiboot2.c - the information structure of a Multiboot 2 loader, as it is and as it must not be.
 *
 * Why copies of exact length: under the address sanitizer a read past the structure is an error of its own.
 */
#include <boot/ranges.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { END = 0, CMDLINE = 1, LOADER = 2, MODULE = 3, MMAP = 6, ACPI_OLD = 14, ACPI_NEW = 15 };
#define INFO_PA 0x9000ull
#define MIB 0x100000ull

static uint8_t buffer[8192];
static size_t used;
static struct hx_boot_info info;
static char message[HX_BOOT_MESSAGE_BYTES];

struct entry {
    uint64_t first, bytes;
    uint32_t type, reserved;
};

static void put(const void *data, size_t bytes)
{
    memcpy(buffer + used, data, bytes);
    used += bytes;
}
static void put32(uint32_t value)
{
    put(&value, sizeof(value));
}
static void begin(void)
{
    memset(buffer, 0, sizeof(buffer));
    used = 8;
}
static void tag(uint32_t type, const void *body, size_t bytes)
{
    put32(type);
    put32((uint32_t)bytes + 8);
    put(body, bytes);
    used = (used + 7) & ~(size_t)7;
}
static void tag_text(uint32_t type, const char *text)
{
    tag(type, text, strlen(text) + 1);
}
static void tag_module(uint32_t first, uint32_t end)
{
    uint32_t body[3] = { first, end, 0 };

    tag(MODULE, body, sizeof(body));
}
static void tag_map_of(uint32_t entry_bytes, const struct entry *entries, size_t count)
{
    put32(MMAP);
    put32((uint32_t)(16 + count * sizeof(*entries)));
    put32(entry_bytes);
    put32(0);
    put(entries, count * sizeof(*entries));
}
static void tag_map(const struct entry *entries, size_t count)
{
    tag_map_of(sizeof(*entries), entries, count);
}
static void end(void)
{
    tag(END, "", 0);
    memcpy(buffer, &(uint32_t){ (uint32_t)used }, 4);
}

static hx_status_t parse_bytes(size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    hx_status_t err;

    memcpy(copy, buffer, bytes);
    memset(message, '?', sizeof(message));
    err = hx_boot_parse_multiboot2(hx_slice_of(copy, bytes), INFO_PA, &info, message);
    cr_assert(memchr(message, 0, sizeof(message)) != NULL, "the message ends");
    cr_assert_eq(err == HX_OK, message[0] == '\0', "a message comes with an error and only then");
    free(copy);
    return err;
}
static hx_status_t parse(void)
{
    return parse_bytes(used);
}

static const struct entry plain[] = { { 0, 0x9fc00, 1, 0 }, { 0xf0000, 0x10000, 2, 0 }, { MIB, 63 * MIB, 1, 0 } };

static void good(void)
{
    begin();
    tag_text(CMDLINE, "panic=exit seed=7");
    tag_text(LOADER, "GRUB 2.06-13");
    tag_module(0x200000, 0x234567);
    tag_map(plain, 3);
    tag(ACPI_OLD, "RSD PTR 0123456789abc", 20);
    end();
}

static void map_only(const struct entry *entries, size_t count)
{
    begin();
    tag_map(entries, count);
    end();
}

Test(multiboot2, what_the_loader_says_is_copied)
{
    good();
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_str_eq(info.cmdline, "panic=exit seed=7");
    cr_expect_str_eq(info.loader, "GRUB 2.06-13");
    cr_expect_eq(info.initrd_pa, 0x200000);
    cr_expect_eq(info.initrd_bytes, 0x34567);
    cr_expect_eq(info.range_count, 2);
    cr_expect_eq(info.range[0].first_pa, 0);
    cr_expect_eq(info.range[0].bytes, 0x9f000);
    cr_expect_eq(info.range[1].first_pa, MIB);
    cr_expect_eq(info.range[1].bytes, 63 * MIB);
    cr_expect_eq(info.structure.first_pa, INFO_PA);
    cr_expect_eq(info.structure.bytes, used);
    cr_expect_eq(memcmp(buffer + (info.rsdp_pa - INFO_PA), "RSD PTR ", 8), 0);
}

Test(multiboot2, the_newer_acpi_tag_wins_wherever_it_stands)
{
    char rsdp[36] = "RSD PTR two";

    for (int newer_first = 0; newer_first < 2; newer_first++) {
        begin();
        tag_map(plain, 3);
        tag(newer_first ? ACPI_NEW : ACPI_OLD, rsdp, newer_first ? 36 : 20);
        tag(newer_first ? ACPI_OLD : ACPI_NEW, rsdp, newer_first ? 20 : 36);
        end();
        cr_assert_eq(parse(), HX_OK);
        cr_expect_eq(buffer[info.rsdp_pa - INFO_PA - 8], ACPI_NEW);
    }
}

Test(multiboot2, every_truncation_is_refused)
{
    good();
    for (size_t bytes = 0; bytes < used; bytes++)
        cr_assert_neq(parse_bytes(bytes), HX_OK, "cut to %zu bytes", bytes);
}

Test(multiboot2, every_truncation_is_refused_even_when_the_size_agrees)
{
    size_t whole;

    good();
    whole = used;
    for (uint32_t bytes = 0; bytes < whole; bytes++) {
        memcpy(buffer, &bytes, sizeof(bytes));
        cr_assert_neq(parse_bytes(bytes), HX_OK, "cut to %u bytes", bytes);
    }
}

Test(multiboot2, any_byte_may_be_wrong_without_harm)
{
    good();
    for (size_t at = 0; at < used; at++) {
        for (int bit = 0; bit < 8; bit++) {
            buffer[at] ^= (uint8_t)(1 << bit);
            (void)parse();
            buffer[at] ^= (uint8_t)(1 << bit);
        }
    }
}

Test(multiboot2, a_tag_shorter_than_its_header_is_refused)
{
    for (uint32_t bytes = 0; bytes < 8; bytes++) {
        begin();
        put32(CMDLINE);
        put32(bytes);
        end();
        cr_expect_eq(parse(), HX_E_FORMAT);
        cr_expect(strstr(message, "shorter than its header"), "%s", message);
    }
}

Test(multiboot2, a_tag_that_leaves_the_structure_is_refused)
{
    static const uint32_t sizes[] = { 0x19, 0x1000, 0x7fffffff, 0xfffffff8, 0xffffffff };

    for (size_t i = 0; i < HX_ARRAY_SIZE(sizes); i++) {
        begin();
        put32(77);
        put32(sizes[i]);
        end();
        cr_expect_eq(parse(), HX_E_FORMAT, "size %#x", sizes[i]);
        cr_expect(strstr(message, "leaves the structure"), "%s", message);
    }
}

Test(multiboot2, without_an_end_tag_it_is_refused)
{
    begin();
    tag_map(plain, 3);
    memcpy(buffer, &(uint32_t){ (uint32_t)used }, 4);
    cr_expect_eq(parse(), HX_E_FORMAT);
    cr_expect(strstr(message, "end tag"), "%s", message);
}

Test(multiboot2, without_a_memory_map_it_is_refused)
{
    static const struct entry reserved = { MIB, 63 * MIB, 2, 0 };

    begin();
    tag_text(CMDLINE, "");
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
    cr_expect(strstr(message, "no memory map"), "%s", message);
    map_only(&reserved, 1);
    cr_expect_eq(parse(), HX_E_FORMAT, "nothing usable");
}

Test(multiboot2, entries_of_an_odd_size_are_refused_and_larger_ones_read)
{
    static const uint32_t bad[] = { 0, 1, 8, 23, 25, 0xfffffff8 };
    uint64_t large[] = { MIB, MIB, 1, 0x5555, 4 * MIB, MIB, 1, 0x5555 };

    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        begin();
        tag_map_of(bad[i], plain, 3);
        end();
        cr_expect_eq(parse(), HX_E_FORMAT, "size %#x", bad[i]);
    }
    begin();
    put32(MMAP);
    put32(16 + sizeof(large));
    put32(32);
    put32(0);
    put(large, sizeof(large));
    end();
    cr_assert_eq(parse(), HX_OK);
    cr_expect_eq(info.range_count, 2);
    cr_expect_eq(info.range[1].first_pa, 4 * MIB);
}

Test(multiboot2, a_map_that_ends_inside_an_entry_is_refused)
{
    begin();
    put32(MMAP);
    put32(16 + 24 + 8);
    put32(24);
    put32(0);
    put(plain, 24 + 8);
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(multiboot2, memory_that_wraps_or_lies_where_none_can_be_is_refused)
{
    static const struct entry bad[] = {
        { UINT64_MAX - 4096, 8192, 1, 0 },   { MIB, UINT64_MAX, 1, 0 }, { 1ull << 52, 4096, 1, 0 },
        { (1ull << 52) - 4096, 8192, 1, 0 }, { UINT64_MAX, 1, 1, 0 },
    };

    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        struct entry entries[2] = { plain[2], bad[i] };
        map_only(entries, 2);
        cr_expect_eq(parse(), HX_E_FORMAT, "entry %zu", i);
    }
}

Test(multiboot2, a_reserved_range_that_wraps_takes_everything_above_it)
{
    static const struct entry entries[] = { { MIB, 63 * MIB, 1, 0 }, { 32 * MIB, UINT64_MAX, 2, 0 } };

    map_only(entries, 2);
    cr_assert_eq(parse(), HX_OK);
    cr_expect_eq(info.range_count, 1);
    cr_expect_eq(info.range[0].first_pa + info.range[0].bytes, 32 * MIB);
}

Test(multiboot2, what_is_usable_and_not_is_not)
{
    static const struct entry entries[] = {
        { 8 * MIB + 100, 200, 2, 0 }, /* before the usable entry, inside one of its pages */
        { MIB, 63 * MIB, 1, 0 },
        { 16 * MIB, 16 * MIB, 3, 0 },
    };

    map_only(entries, 3);
    cr_assert_eq(parse(), HX_OK);
    cr_assert_eq(info.range_count, 3);
    cr_expect_eq(info.range[0].bytes, 7 * MIB);
    cr_expect_eq(info.range[1].first_pa, 8 * MIB + 4096);
    cr_expect_eq(info.range[1].first_pa + info.range[1].bytes, 16 * MIB);
    cr_expect_eq(info.range[2].first_pa, 32 * MIB);
    cr_expect_eq(info.range[2].first_pa + info.range[2].bytes, 64 * MIB);
}

Test(multiboot2, overlapping_and_unsorted_memory_is_joined)
{
    static const struct entry entries[] = {
        { 48 * MIB, 16 * MIB, 1, 0 },
        { MIB, 20 * MIB, 1, 0 },
        { 10 * MIB, 30 * MIB, 1, 0 },
        { 40 * MIB, 8 * MIB, 1, 0 },
    };

    map_only(entries, 4);
    cr_assert_eq(parse(), HX_OK);
    cr_assert_eq(info.range_count, 1);
    cr_expect_eq(info.range[0].first_pa, MIB);
    cr_expect_eq(info.range[0].bytes, 63 * MIB);
}

Test(multiboot2, pages_that_are_not_whole_are_left_out)
{
    static const struct entry entries[] = { { MIB + 1, 3 * 4096, 1, 0 }, { 2 * MIB + 4000, 4000, 1, 0 } };

    map_only(entries, 2);
    cr_assert_eq(parse(), HX_OK);
    cr_assert_eq(info.range_count, 1);
    cr_expect_eq(info.range[0].first_pa, MIB + 4096);
    cr_expect_eq(info.range[0].bytes, 2 * 4096);
}

Test(multiboot2, of_more_ranges_than_fit_the_largest_are_kept)
{
    struct entry entries[HX_BOOT_RANGES_MAX + 40];
    uint64_t first = MIB;

    for (size_t i = 0; i < HX_ARRAY_SIZE(entries); i++) {
        uint64_t pages = 1 + i * 37 % HX_ARRAY_SIZE(entries);
        entries[i] = (struct entry){ first, pages * 4096, 1, 0 };
        first += (pages + 1) * 4096;
    }
    map_only(entries, HX_ARRAY_SIZE(entries));
    cr_assert_eq(parse(), HX_OK);
    cr_assert_eq(info.range_count, HX_BOOT_RANGES_MAX);
    for (uint32_t i = 0; i < info.range_count; i++) {
        cr_expect_gt(info.range[i].bytes, 40 * 4096);
        cr_expect(i == 0 || info.range[i - 1].first_pa + info.range[i - 1].bytes < info.range[i].first_pa);
    }
}

Test(multiboot2, a_cut_in_a_full_set_keeps_it_sorted_and_free_of_the_cut)
{
    struct hx_boot_range set[HX_BOOT_RANGES_MAX];
    uint32_t count = 0;

    for (uint64_t i = 0; i < HX_BOOT_RANGES_MAX; i++)
        hx_boot_ranges_add(set, &count, i * MIB, i * MIB + (i + 10) * 4096);
    cr_assert_eq(count, HX_BOOT_RANGES_MAX);
    hx_boot_ranges_remove(set, &count, 60 * MIB + 8192, 60 * MIB + 12288);
    cr_expect_eq(count, HX_BOOT_RANGES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        cr_expect(set[i].first_pa >= 60 * MIB + 12288 || set[i].first_pa + set[i].bytes <= 60 * MIB + 8192);
        cr_expect(i == 0 || set[i - 1].first_pa + set[i - 1].bytes < set[i].first_pa);
    }
}

Test(multiboot2, a_range_at_the_very_end_does_not_wrap_to_the_start)
{
    struct hx_boot_range set[HX_BOOT_RANGES_MAX];
    uint32_t count = 0;

    hx_boot_ranges_add(set, &count, UINT64_MAX - 10, UINT64_MAX);
    cr_expect_eq(count, 0);
}

Test(multiboot2, a_command_line_that_is_too_long_is_refused)
{
    char text[HX_BOOT_CMDLINE_MAX + 1];

    memset(text, 'x', sizeof(text));
    text[HX_BOOT_CMDLINE_MAX - 1] = '\0';
    begin();
    tag_text(CMDLINE, text);
    tag_map(plain, 3);
    end();
    cr_expect_eq(parse(), HX_OK, "the longest");
    text[HX_BOOT_CMDLINE_MAX - 1] = 'x';
    text[HX_BOOT_CMDLINE_MAX] = '\0';
    begin();
    tag_text(CMDLINE, text);
    tag_map(plain, 3);
    end();
    cr_expect_eq(parse(), HX_E_LIMIT);
    cr_expect(strstr(message, "command line"), "%s", message);
}

Test(multiboot2, a_text_without_an_end_is_refused)
{
    begin();
    tag(CMDLINE, "abc", 3);
    tag_map(plain, 3);
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
    begin();
    tag(CMDLINE, "", 0);
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(multiboot2, a_long_name_of_a_loader_is_cut)
{
    char text[200];

    memset(text, 'n', sizeof(text));
    text[199] = '\0';
    begin();
    tag_text(LOADER, text);
    tag_map(plain, 3);
    end();
    cr_assert_eq(parse(), HX_OK);
    cr_expect_eq(strlen(info.loader), sizeof(info.loader) - 1);
}

Test(multiboot2, a_module_that_ends_before_it_starts_is_refused)
{
    begin();
    tag_module(0x200000, 0x1fffff);
    tag_map(plain, 3);
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
    begin();
    tag(MODULE, "abc", 4);
    end();
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(multiboot2, the_first_module_is_the_initrd)
{
    begin();
    tag_module(0x200000, 0x200000);
    tag_module(0x300000, 0x300010);
    tag_module(0x400000, 0x400020);
    tag_map(plain, 3);
    end();
    cr_assert_eq(parse(), HX_OK);
    cr_expect_eq(info.initrd_pa, 0x300000, "an empty one is none");
    cr_expect_eq(info.initrd_bytes, 0x10);
}

Test(multiboot2, an_empty_module_is_no_initrd)
{
    begin();
    tag_module(0x200000, 0x200000);
    tag_map(plain, 3);
    end();
    cr_assert_eq(parse(), HX_OK);
    cr_expect_eq(info.initrd_pa, 0u);
    cr_expect_eq(info.initrd_bytes, 0u);
}

Test(multiboot2, a_short_acpi_tag_is_refused)
{
    for (uint32_t type = ACPI_OLD; type <= ACPI_NEW; type++) {
        char rsdp[36] = "RSD PTR ";
        begin();
        tag_map(plain, 3);
        tag(type, rsdp, type == ACPI_OLD ? 19 : 35);
        end();
        cr_expect_eq(parse(), HX_E_FORMAT);
    }
}
