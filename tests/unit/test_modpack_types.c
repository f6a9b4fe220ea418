/* SPDX-License-Identifier: MIT */
/* test_modpack_types.c - where two types in words differ, and what is recorded of a module. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/mkmodpack/module_types.h"
#include "world.h"

static void expect(const char *text, const char *other, const char *expected)
{
    char *said = hx_mp_type_difference(text, "here", other, "there");
    cr_assert_str_eq(said, expected);
    free(said);
}

Test(modpack_types, the_first_field_that_differs_is_named)
{
    static const char plain[] = "struct 24\n0 4 type u32\n8 8 code u64\n16.0 3b bits u32\n";
    expect("struct 24\n0 4 type u32\n8 4 code u32\n", "struct 24\n0 4 type u32\n12 4 code u32\n",
           "field `code': offset 8, 4 bytes here; offset 12, 4 bytes there");
    expect(plain, "struct 24\n0 4 type u32\n8 8 code i64\n16.0 3b bits u32\n", "field `code': u64 here; i64 there");
    expect(plain, "struct 24\n0 4 type u32\n8 8 code u64\n16.3 3b bits u32\n",
           "field `bits': offset 16.0, 3 bits here; offset 16.3, 3 bits there");
    expect(plain, "struct 24\n0 4 type u32\n8 8 code u64\n", "field `bits': offset 16.0, 3 bits here; none there");
    expect("struct 24\n0 4 type u32\n8 8 code u64\n", plain, "field `bits': none here; offset 16.0, 3 bits there");
    expect("struct 24\n0 4 type u32\n", "struct 32\n0 4 type u32\n", "struct 24 here; struct 32 there");
    expect("fn(u64) i64\n", "fn(u32) i64\n", "fn(u64) i64 here; fn(u32) i64 there");
    expect(plain, NULL, "which part of it is not known without debug information");
}

Test(modpack_types, deeper_fields_are_named_by_their_path)
{
    expect("struct 16\n0 16 a [2]struct b\n0 4 a[].x u32\n4 4 a[].y u32\n",
           "struct 16\n0 16 a [2]struct b\n0 4 a[].y u32\n4 4 a[].x u32\n",
           "field `a[].x': offset 0, 4 bytes here; offset 4, 4 bytes there");
}

/* A stripped module says the same as the one that it was made of, and to record it again changes nothing. */
Test(modpack_types, what_is_recorded_is_what_was_described)
{
    static const char *const names[] = { "declares_all", "types_struct", "calls_all" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(names); i++) {
        char path[64];
        struct hx_mp_findings findings = { 0 };
        struct hx_mp_types debug, recorded;
        struct hx_slice again;
        snprintf(path, sizeof(path), "%s.debug", names[i]);
        cr_assert(hx_mp_module_types_read(&debug, world_file(path), path, &findings));
        snprintf(path, sizeof(path), "%s.hxm", names[i]);
        struct hx_slice stripped = world_file(path);
        cr_assert(hx_mp_module_types_read(&recorded, stripped, path, &findings));
        cr_assert_gt(debug.count, 3);
        cr_assert_eq(debug.count, recorded.count);
        for (size_t j = 0; j < debug.count; j++) {
            cr_assert_str_eq(debug.type[j].name, recorded.type[j].name);
            cr_assert_eq(debug.type[j].type, recorded.type[j].type);
            cr_assert_not_null(debug.type[j].text);
            cr_assert_null(recorded.type[j].text);
        }
        cr_assert(hx_mp_module_types_record(stripped, path, false, &again, &findings));
        cr_assert_null(again.data, "there is nothing to do");
        cr_assert(hx_mp_module_types_record(stripped, path, true, &again, &findings));
        cr_assert_eq(again.bytes, stripped.bytes);
        free((void *)(uintptr_t)again.data);
        hx_mp_types_free(&debug);
        hx_mp_types_free(&recorded);
    }
}
