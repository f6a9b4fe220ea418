/* SPDX-License-Identifier: MIT */
/*
 * test_pvh.c - the start information of the PVH protocol, as it is and as it must not be.
 *
 * Physical memory is one array here; whatever points outside is refused by at(), as kmain's is.
 */
#include <boot/ranges.h>
#include <criterion/criterion.h>
#include <string.h>

#define BASE 0x1000ull /* physical address of the array */
#define MIB 0x100000ull
enum { START = 0x1000, CMDLINE = 0x1100, MODULES = 0x1400, MAP = 0x1500, BYTES = 0x2000, MAGIC = 0x336ec578 };

static struct {
    uint32_t magic, version, flags, module_count;
    uint64_t modules_pa, cmdline_pa, rsdp_pa, map_pa;
    uint32_t map_count, reserved;
} start;
static struct {
    uint64_t pa, bytes, cmdline_pa, reserved;
} module;
static struct {
    uint64_t first, bytes;
    uint32_t type, reserved;
} map[3];

static uint8_t memory[BYTES];
static struct hx_boot_info info;
static char message[HX_BOOT_MESSAGE_BYTES];

static hx_status_t at(uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    if (pa < BASE || pa - BASE > BYTES || bytes > BYTES - (pa - BASE))
        return HX_E_RANGE;
    *out = hx_slice_of(memory + (pa - BASE), (size_t)bytes);
    return HX_OK;
}

static void setup(void)
{
    memset(memory, 0, sizeof(memory));
    start = (__typeof__(start)){ MAGIC, 1, 0, 1, MODULES, CMDLINE, 0xf5000, MAP, 3, 0 };
    module = (__typeof__(module)){ 0x3e00000, 0x12345, 0, 0 };
    map[0] = (__typeof__(map[0])){ 0, 0x9fc00, 1, 0 };
    map[1] = (__typeof__(map[0])){ MIB, 63 * MIB, 1, 0 };
    map[2] = (__typeof__(map[0])){ 63 * MIB, MIB, 2, 0 };
    strcpy((char *)memory + CMDLINE - BASE, "safe seed=3");
}

TestSuite(pvh, .init = setup);

static hx_status_t parse_bytes(size_t bytes)
{
    hx_status_t err;

    memcpy(memory + START - BASE, &start, sizeof(start));
    memcpy(memory + MODULES - BASE, &module, sizeof(module));
    memcpy(memory + MAP - BASE, map, sizeof(map));
    err = hx_boot_parse_pvh(hx_slice_of(memory + START - BASE, bytes), START, at, &info, message);
    cr_assert_eq(err == HX_OK, message[0] == '\0', "a message comes with an error and only then");
    return err;
}
static hx_status_t parse(void)
{
    return parse_bytes(sizeof(start));
}

Test(pvh, what_the_loader_says_is_copied)
{
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_str_eq(info.loader, "PVH");
    cr_expect_str_eq(info.cmdline, "safe seed=3");
    cr_expect_eq(info.initrd_pa, 0x3e00000);
    cr_expect_eq(info.initrd_bytes, 0x12345);
    cr_expect_eq(info.rsdp_pa, 0xf5000);
    cr_expect_eq(info.structure.first_pa, START);
    cr_assert_eq(info.range_count, 2);
    cr_expect_eq(info.range[1].first_pa, MIB);
    cr_expect_eq(info.range[1].bytes, 62 * MIB, "the reserved entry counts");
}

Test(pvh, every_truncation_is_refused)
{
    for (size_t bytes = 0; bytes < sizeof(start); bytes++)
        cr_assert_eq(parse_bytes(bytes), HX_E_TRUNCATED, "cut to %zu bytes", bytes);
}

Test(pvh, another_magic_is_refused)
{
    start.magic ^= 1;
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(pvh, without_a_memory_map_it_is_refused)
{
    start.map_count = 0;
    cr_expect_eq(parse(), HX_E_FORMAT);
    setup();
    start.version = 0;
    cr_expect_eq(parse(), HX_E_FORMAT, "version 0 has none");
    cr_expect(strstr(message, "no memory map"), "%s", message);
    setup();
    map[0].type = map[1].type = 2;
    cr_expect_eq(parse(), HX_E_FORMAT, "nothing usable");
}

Test(pvh, a_map_outside_memory_is_refused)
{
    static const uint64_t bad[] = { 0, BASE - 1, BASE + BYTES - 71, UINT64_MAX, UINT64_MAX - 71, 1ull << 40 };

    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        start.map_pa = bad[i];
        cr_expect_eq(parse(), HX_E_FORMAT, "at %#llx", (unsigned long long)bad[i]);
    }
    start.map_pa = MAP;
    start.map_count = UINT32_MAX;
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(pvh, memory_that_wraps_or_lies_where_none_can_be_is_refused)
{
    map[1].bytes = UINT64_MAX;
    cr_expect_eq(parse(), HX_E_FORMAT);
    map[1].bytes = 4096;
    map[1].first = UINT64_MAX - 100;
    cr_expect_eq(parse(), HX_E_FORMAT);
    map[1].first = 1ull << 52;
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(pvh, overlapping_ranges_are_joined)
{
    map[0] = (__typeof__(map[0])){ 30 * MIB, 40 * MIB, 1, 0 };
    cr_assert_eq(parse(), HX_OK);
    cr_assert_eq(info.range_count, 2);
    cr_expect_eq(info.range[0].first_pa, MIB);
    cr_expect_eq(info.range[0].bytes, 62 * MIB);
    cr_expect_eq(info.range[1].first_pa, 64 * MIB, "behind the reserved one");
    cr_expect_eq(info.range[1].bytes, 6 * MIB);
}

Test(pvh, a_command_line_that_is_too_long_is_refused)
{
    memset(memory + CMDLINE - BASE, 'x', HX_BOOT_CMDLINE_MAX - 1);
    memory[CMDLINE - BASE + HX_BOOT_CMDLINE_MAX - 1] = 0;
    cr_expect_eq(parse(), HX_OK, "the longest");
    memory[CMDLINE - BASE + HX_BOOT_CMDLINE_MAX - 1] = 'x';
    cr_expect_eq(parse(), HX_E_LIMIT);
    cr_expect(strstr(message, "command line"), "%s", message);
}

Test(pvh, a_command_line_outside_memory_is_refused_and_none_is_fine)
{
    start.cmdline_pa = UINT64_MAX - 5;
    cr_expect_eq(parse(), HX_E_FORMAT);
    start.cmdline_pa = 0;
    cr_expect_eq(parse(), HX_OK);
    cr_expect_str_eq(info.cmdline, "");
}

Test(pvh, an_initrd_that_wraps_or_lies_where_none_can_be_is_refused)
{
    module.bytes = UINT64_MAX;
    cr_expect_eq(parse(), HX_E_FORMAT);
    module.bytes = 4096;
    module.pa = UINT64_MAX - 100;
    cr_expect_eq(parse(), HX_E_FORMAT);
    module.pa = (1ull << 52) - 1;
    cr_expect_eq(parse(), HX_E_FORMAT);
}

Test(pvh, a_module_list_outside_memory_is_refused_and_none_is_fine)
{
    start.modules_pa = BASE + BYTES - 31;
    cr_expect_eq(parse(), HX_E_FORMAT);
    start.modules_pa = UINT64_MAX;
    cr_expect_eq(parse(), HX_E_FORMAT);
    start.module_count = 0;
    cr_expect_eq(parse(), HX_OK);
    cr_expect_eq(info.initrd_bytes, 0);
}

Test(pvh, any_byte_may_be_wrong_without_harm)
{
    hx_status_t err = parse();

    cr_assert_eq(err, HX_OK);
    for (size_t i = START - BASE; i < MAP - BASE + sizeof(map); i++) {
        for (int bit = 0; bit < 8; bit++) {
            memory[i] ^= (uint8_t)(1 << bit);
            err = hx_boot_parse_pvh(hx_slice_of(memory + START - BASE, sizeof(start)), START, at, &info, message);
            cr_assert_eq(err == HX_OK, message[0] == '\0', "byte %zu, bit %d", i, bit);
            memory[i] ^= (uint8_t)(1 << bit);
        }
    }
}
