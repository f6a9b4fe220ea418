/* SPDX-License-Identifier: MIT */
/* test_types.c - what a module means by the names that it shares: whole and damaged sections, and loads that are refused. */
#include "world.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fnmatch.h>
#include <lib/err.h>
#include <lib/hash.h>
#include <module/exports.h>
#include <module/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the section ----------------------------------------------------------------------------------------------------- */
/* A copy of @name with its section of types, and where that is. */
struct copy {
    uint8_t *data;
    struct hx_slice file;
    Elf64_Shdr *header;
    uint8_t *section;
};

static struct copy copy_of(const char *name)
{
    struct hx_slice file = world_file(name);
    struct hx_types types;
    char fault[HX_TYPES_FAULT_MAX];
    struct copy copy = { .data = malloc(file.bytes) };
    memcpy(copy.data, file.data, file.bytes);
    copy.file = hx_slice_of(copy.data, file.bytes);
    cr_assert_eq(hx_types_read(copy.file, &types, fault), HX_OK);
    cr_assert_gt(types.count, 0, "%s has no types", name);
    copy.section = copy.data + (types.section.data - copy.data);
    Elf64_Ehdr *elf = (Elf64_Ehdr *)copy.data;
    Elf64_Shdr *headers = (Elf64_Shdr *)(copy.data + elf->e_shoff);
    for (uint32_t i = 0; i < elf->e_shnum; i++)
        if (headers[i].sh_offset == (uint64_t)(copy.section - copy.data) && headers[i].sh_type == SHT_PROGBITS)
            copy.header = &headers[i];
    cr_assert_not_null(copy.header);
    return copy;
}

static hx_status_t read_copy(const struct copy *copy)
{
    struct hx_types types;
    char fault[HX_TYPES_FAULT_MAX];
    return hx_types_read(copy->file, &types, fault);
}

/* Modules carry it; whoever changes it changes HX_TYPES_FORMAT as well. */
Test(types, the_key_of_a_name_is_for_good)
{
    cr_assert_eq(hx_types_key("import hx_kv_get", 16), 0xdc0b5a7fu);
    cr_assert_eq(hx_types_key("operation hx_kv_get", 19), 0xdc0b5a7fu);
    cr_assert_eq(hx_types_key("struct hx_capability", 20), 0xf80815ecu);
    cr_assert_eq(HX_TYPES_FORMAT, 1);
}

Test(types, of_a_module_have_names_and_are_in_order)
{
    char fault[HX_TYPES_FAULT_MAX];
    struct hx_types types;
    char name[HX_TYPES_NAME_MAX];
    bool import = false, operation = false, structure = false, state = false;
    cr_assert_eq(hx_types_read(world_file("declares_all.hxm"), &types, fault), HX_OK);
    for (uint32_t i = 0; i < types.count; i++) {
        hx_types_name(&types, &types.record[i], name);
        cr_assert_eq(hx_types_key(name, strlen(name)), types.record[i].key, "%s", name);
        cr_assert(i == 0 || types.record[i].key > types.record[i - 1].key);
        import = import || strcmp(name, "import hx_kv_count") == 0;
        operation = operation || strcmp(name, "operation hx_rtc_now") == 0;
        structure = structure || strcmp(name, "struct hx_module_record") == 0;
        state = state || strcmp(name, "state declares_all") == 0;
    }
    cr_assert(import && operation && structure && state);
    cr_assert_null(hx_types_against_kernel(&types));
}

Test(types, every_export_has_one)
{
    for (size_t place = 0; place <= hx_exports_mask || hx_exports_table[place].name; place++) {
        const struct hx_export *export = &hx_exports_table[place];
        if (!export->name)
            continue;
        cr_assert_neq(export->type, 0, "%s", export->name);
        cr_assert_eq(hx_exports_keyed(hx_types_key(export->name, export->bytes)), export, "%s", export->name);
    }
    cr_assert_null(hx_exports_keyed(hx_types_key("printf", 6)));
}

Test(types, the_kernels_are_in_order)
{
    cr_assert_gt(hx_kernel_types_count, 30);
    for (uint32_t i = 1; i < hx_kernel_types_count; i++)
        cr_assert_lt(hx_kernel_types_key[i - 1], hx_kernel_types_key[i]);
}

Test(types, a_file_without_the_section_does_not_say)
{
    char fault[HX_TYPES_FAULT_MAX];
    struct copy copy = copy_of("declares_all.hxm");
    struct hx_types types;
    copy.header->sh_type = SHT_NOTE;
    cr_assert_eq(hx_types_read(copy.file, &types, fault), HX_OK);
    cr_assert_eq(types.count, 0);
    cr_assert_null(hx_types_against_kernel(&types));
    free(copy.data);
}

Test(types, a_broken_section_is_refused)
{
    struct copy copy = copy_of("declares_all.hxm");
    struct hx_types_head *head = (struct hx_types_head *)copy.section, good = *head;
    uint64_t bytes = copy.header->sh_size;
    for (uint64_t cut = 0; cut < sizeof(good) + good.count * sizeof(struct hx_type_record); cut++) {
        copy.header->sh_size = cut;
        cr_assert_eq(read_copy(&copy), HX_E_FORMAT, "%lu bytes", cut);
    }
    copy.header->sh_size = bytes;
    static const uint32_t counts[] = { UINT32_MAX, HX_TYPES_MAX + 1, HX_TYPES_MAX, 0x10000000 };
    for (size_t i = 0; i < HX_ARRAY_SIZE(counts); i++) {
        head->count = counts[i];
        cr_assert_eq(read_copy(&copy), HX_E_FORMAT, "%u records", counts[i]);
    }
    *head = good;
    head->format++;
    cr_assert_eq(read_copy(&copy), HX_E_UNSUPPORTED);
    head->format = 0;
    cr_assert_eq(read_copy(&copy), HX_E_UNSUPPORTED);
    *head = good;
    copy.header->sh_offset = UINT64_MAX;
    cr_assert_eq(read_copy(&copy), HX_E_TRUNCATED);
    free(copy.data);
}

/* Names that lie outside, do not end or hold anything whatever are read all the same, and are printable. */
Test(types, a_name_is_printable_whatever_the_file_holds)
{
    char fault[HX_TYPES_FAULT_MAX];
    struct copy copy = copy_of("declares_all.hxm");
    struct hx_types types;
    char name[HX_TYPES_NAME_MAX];
    struct hx_type_record *record = (struct hx_type_record *)(copy.section + sizeof(struct hx_types_head));
    memset(copy.section + record->name, 0xff, copy.header->sh_size - record->name);
    cr_assert_eq(hx_types_read(copy.file, &types, fault), HX_OK);
    hx_types_name(&types, types.record, name);
    cr_assert_eq(strspn(name, "?"), strlen(name));
    cr_assert_eq(strlen(name), sizeof(name) - 1);
    static const uint32_t places[] = { UINT32_MAX, UINT32_MAX - 1 };
    for (size_t i = 0; i < HX_ARRAY_SIZE(places); i++) {
        record->name = places[i];
        hx_types_name(&types, types.record, name);
        cr_assert_str_eq(name, "");
    }
    record->name = (uint32_t)copy.header->sh_size - 1;
    hx_types_name(&types, types.record, name);
    cr_assert_str_eq(name, "?");
    free(copy.data);
}

/* In order or not: whoever lies gets a wrong answer, and nothing is read outside. */
Test(types, records_in_no_order_are_compared_without_harm)
{
    char fault[HX_TYPES_FAULT_MAX];
    struct copy copy = copy_of("declares_all.hxm");
    struct hx_types types, other;
    cr_assert_eq(hx_types_read(copy.file, &types, fault), HX_OK);
    cr_assert_eq(hx_types_read(world_file("declares_all.hxm"), &other, fault), HX_OK);
    srand(1);
    for (uint32_t round = 0; round < 1000; round++) {
        copy.section[sizeof(struct hx_types_head) + (size_t)rand() % (types.count * sizeof(struct hx_type_record))] ^=
            (uint8_t)(1 << rand() % 8);
        (void)hx_types_against(&types, &other);
        (void)hx_types_against(&other, &types);
        (void)hx_types_against_kernel(&types);
    }
    free(copy.data);
}

/* ---- loads ----------------------------------------------------------------------------------------------------------- */
static void expect_refused(hx_status_t err, const struct hx_report *report, const char *subject, const char *says)
{
    cr_assert_eq(err, HX_E_VERSION, "%d: %s", err, report->message);
    cr_assert_str_eq(report->subject, subject);
    cr_assert(strstr(report->message, says), "%s", report->message);
}

Test(types, a_module_that_means_another_message_is_refused)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    expect_refused(world_load("types_struct.hxm", &job), &job.report, "struct hx_message",
                   "struct hx_message: its type differs from this kernel's; rebuild with this kernel's SDK");
    ASSERT_CENSUS(before);
}

Test(types, a_module_that_calls_an_export_otherwise_is_refused)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    expect_refused(world_load("types_import.hxm", &job), &job.report, "import hx_sleep_ns",
                   "import hx_sleep_ns: its type differs from this kernel's; rebuild with this kernel's SDK");
    ASSERT_CENSUS(before);
}

Test(types, a_user_that_means_something_else_than_its_provider_is_refused)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("types_provider.hxm", &job), HX_OK, "%s", job.report.message);
    struct census before = world_census();
    expect_refused(world_load("types_user_turned.hxm", &job), &job.report, "struct hx_pair_item", "that of pairs");
    ASSERT_CENSUS(before);
    cr_assert_eq(world_load("types_user.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(types, a_provider_that_means_something_else_than_its_users_is_refused)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("types_provider.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("pairs", "types_provider_turned.hxm", NULL), HX_OK, "nobody uses it");
    cr_assert_eq(world_reload("pairs", "types_provider.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("types_user.hxm", NULL), HX_OK);
    struct census before = world_census();
    expect_refused(world_reload("pairs", "types_provider_turned.hxm", &job), &job.swap.report, "struct hx_pair_item",
                   "that of types_user");
    cr_assert_str_eq(world_version("pairs"), "1.0.0");
    ASSERT_CENSUS(before);
}

/* What the line before each module in tests/malformed's file says. */
struct malformed {
    char *name, *error, *message, *other;
    size_t bytes;
};

static bool next_case(FILE *file, struct malformed *out)
{
    static char line[1024];
    char *rest = line;
    if (!fgets(line, sizeof(line), file))
        return false;
    out->name = strsep(&rest, "\t");
    out->error = strsep(&rest, "\t");
    out->message = strsep(&rest, "\t");
    out->other = strsep(&rest, "\t"); /* mkmodpack's */
    out->bytes = strtoul(rest, NULL, 10);
    return true;
}

Test(types, every_malformed_section_is_refused_and_the_old_version_runs_on)
{
    FILE *file = fopen(HX_MALFORMED_DIR "/malformed.types", "rb");
    struct malformed malformed;
    struct hx_job job;
    unsigned int count = 0;
    cr_assert_not_null(file);
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK, "%s", job.report.message);
    world_kv_fill(10);
    struct census before = world_census();
    for (; next_case(file, &malformed); count++) {
        uint8_t *bytes = malloc(malformed.bytes);
        cr_assert_eq(fread(bytes, 1, malformed.bytes, file), malformed.bytes);
        hx_status_t err = world_reload_bytes("svc_kv", hx_slice_of(bytes, malformed.bytes), &job);
        cr_expect_str_eq(hx_err_name(err), malformed.error, "%s: `%s' is expected, not `%s': %s", malformed.name,
                         malformed.error, hx_err_name(err), job.swap.report.message);
        cr_expect_eq(fnmatch(malformed.message, job.swap.report.message, 0), 0, "%s:\n  %s\nis expected, not\n  %s",
                     malformed.name, malformed.message, job.swap.report.message);
        cr_expect_str_eq(world_version("svc_kv"), "1.0.0", "after %s", malformed.name);
        ASSERT_CENSUS(before);
        free(bytes);
    }
    cr_assert_geq(count, 35u);
    fclose(file);
    cr_assert_eq(world_kv_count_intact(10), 10);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "the good one: %s", job.swap.report.message);
}

/* ---- the state and the record ------------------------------------------------------------------------------------------ */

/* Of one declaration, and of two structures. */
Test(types, a_state_of_another_type_is_converted_though_its_fields_are_the_same)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("types_state.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("types_state", "types_state.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(job.swap.way, HX_STATE_SHARED);
    cr_assert_eq(world_reload("types_state", "types_state_turned.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(job.swap.way, HX_STATE_FIELDS);
    cr_assert_eq(world_reload("types_state", "types_state_turned.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(job.swap.way, HX_STATE_SHARED);
}
