/* SPDX-License-Identifier: MIT */
/* test_loader.c - the load as a whole: ownership, failing memory, and the questions about images and files. */
#include "loader_fixture.h"

/* Returns how many allocations the load makes. */
static uint32_t fail_each_allocation(const char *name)
{
    struct object object = object_read(name);
    struct fixture *fixture = fixture_new();
    uint32_t n;

    for (n = 1; n < 100; n++) {
        struct hx_image *image = NULL;
        struct hx_ldr_report report;
        hx_status_t err;

        fixture->alloc_count = 0;
        fixture->fail_at = n;
        err = hx_ldr_load(object_slice(&object), &fixture->env, &image, &report);
        if (!err) {
            hx_ldr_unload(image, &fixture->env);
            break;
        }
        cr_assert_eq(err, HX_E_NOMEM);
        cr_assert_eq(report.err, HX_E_NOMEM);
        cr_assert_not_null(strstr(report.message, "no memory for"));
        cr_assert_null(image);
        cr_assert_eq(fixture->live, 0u, "%s: allocation %u leaves %u", name, n, fixture->live);
    }
    cr_assert_lt(n, 100u);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
    return n - 1;
}

Test(loader, the_nth_allocation_fails_for_every_n_of_every_load_and_nothing_is_left)
{
    static const char *const names[] = { "common",        "constructor", "group",     "lifetimes",
                                         "many_groups",   "pic_large",   "pic_small", "pic_no_plt",
                                         "pic_unrelaxed", "relro",       "unwind",    "weak" };

    cr_assert_eq(fail_each_allocation("good"), 7u, "three tables and four parts");
    for (size_t i = 0; i < HX_ARRAY_SIZE(names); i++)
        (void)fail_each_allocation(names[i]);
}

/* What asks for a table without a hint in its symbols is met while it is relocated. */
Test(loader, an_image_that_turns_out_to_need_a_table_is_begun_again)
{
    struct object object = object_read("pic_unrelaxed");
    struct fixture *fixture = fixture_new();
    Elf64_Sym *table = object_symbol(&object, "_GLOBAL_OFFSET_TABLE_");
    uint32_t with_hint, resolved;

    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    with_hint = fixture->alloc_count;
    resolved = fixture->resolve_count;
    table->st_shndx = SHN_ABS; /* nobody's name any more */
    fixture->alloc_count = fixture->resolve_count = 0;
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    cr_assert_gt(fixture->alloc_count, with_hint);
    cr_assert_eq(fixture->resolve_count, resolved, "each symbol is resolved once all the same");
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

Test(loader, an_object_loads_again_after_it_was_refused)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = NULL;
    struct hx_ldr_report report;

    fixture->fail_at = 2;
    cr_assert_eq(hx_ldr_load(object_slice(&object), &fixture->env, &image, &report), HX_E_NOMEM);
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

Test(loader, unloading_nothing_does_nothing)
{
    struct fixture *fixture = fixture_new();

    hx_ldr_unload(NULL, &fixture->env);
    free(fixture);
}

Test(loader, the_file_is_not_changed_and_not_needed_after_the_load)
{
    struct object object = object_read("good");
    struct object copy = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uint64_t (*add)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "good_add");

    cr_assert_arr_eq(object.bytes, copy.bytes, object.size);
    memset(object.bytes, 0xcc, object.size);
    cr_assert_eq(add(1), 4u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(copy.bytes);
    free(fixture);
}

Test(loader, records_are_relocated_and_found)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    const struct hx_module_record *module = fixture_record(image, HX_RECORDS_MODULE);
    const struct hx_param_record *param = fixture_record(image, HX_RECORDS_PARAMS);

    cr_assert_eq(image->records[HX_RECORDS_MODULE].bytes, sizeof(*module));
    cr_assert_eq(module->magic, HX_MODULE_MAGIC);
    cr_assert_str_eq(module->name, "good");
    cr_assert(hx_image_in_part(image, (uintptr_t)module->hooks.init, HX_PART_TEXT));
    cr_assert_eq(module->hooks.init(), HX_OK);
    cr_assert_eq(image->records[HX_RECORDS_PARAMS].bytes, sizeof(*param));
    cr_assert_eq(*(const uint32_t *)hx_image_at(image, (uintptr_t)param->variable, param->bytes), 3u);
    cr_assert_eq(image->records[HX_RECORDS_FIELDS].bytes, 2 * sizeof(struct hx_field_record));
    cr_assert_eq(image->records[HX_RECORDS_PORTS].bytes, sizeof(struct hx_ports_record));
    cr_assert_eq(image->records[HX_RECORDS_IRQS].bytes, 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(loader, bytes_of_an_image_are_found_only_inside_of_its_parts)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    for (size_t i = 0; i <= HX_PART_STATE; i++) {
        uintptr_t start = image->part[i].va;
        uintptr_t end = start + image->part[i].bytes;

        cr_assert_eq((uintptr_t)hx_image_at(image, start, 1), start);
        cr_assert_eq((uintptr_t)hx_image_at(image, start, image->part[i].bytes), start);
        cr_assert_null(hx_image_at(image, start, image->part[i].bytes + 1));
        cr_assert_null(hx_image_at(image, end, 1));
        cr_assert_null(hx_image_at(image, start, SIZE_MAX));
        cr_assert_null(hx_image_at(image, start - 1, 2));
        cr_assert(hx_image_in_part(image, end - 1, (enum hx_image_part)i));
        cr_assert(!hx_image_in_part(image, end, (enum hx_image_part)i));
        cr_assert(!hx_image_in_part(image, start - 1, (enum hx_image_part)i));
    }
    cr_assert_null(hx_image_at(image, 0, 1));
    cr_assert_null(hx_image_at(image, UINTPTR_MAX, 1));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(loader, parts_have_names)
{
    cr_assert_str_eq(hx_image_part_name(HX_PART_TEXT), "text");
    cr_assert_str_eq(hx_image_part_name(HX_PART_STATE), "state");
    cr_assert_str_eq(hx_image_part_name(HX_PART_COUNT), "?");
}

Test(loader, an_address_in_text_has_a_function)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t call = fixture_address(image, &object, "good_call");
    struct hx_label label = { 0 };

    cr_assert_eq(hx_image_symbol(image, object_slice(&object), call, &label), HX_OK);
    cr_assert_str_eq(label.name, "good_call");
    cr_assert_eq(label.va, call);
    cr_assert_eq(label.bytes, object_symbol(&object, "good_call")->st_size);
    cr_assert_eq(hx_image_symbol(image, object_slice(&object), call + 5, &label), HX_OK);
    cr_assert_str_eq(label.name, "good_call");
    cr_assert_eq(label.va, call);
    cr_assert_eq(hx_image_symbol(image, object_slice(&object), image->part[HX_PART_TEXT].va - 1, &label), HX_E_NOENT);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(loader, of_several_functions_that_may_hold_an_address_the_nearest_counts)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t init = fixture_address(image, &object, "good_init");
    struct hx_label label = { 0 };

    /* Without a size it holds all that follows, as labels in assembly do. */
    object_symbol(&object, "good_add")->st_size = 0;
    cr_assert_lt(fixture_address(image, &object, "good_add"), init);
    cr_assert_gt(object_symbol_index(&object, "good_add"), object_symbol_index(&object, "good_init"));
    cr_assert_eq(hx_image_symbol(image, object_slice(&object), init + 1, &label), HX_OK);
    cr_assert_str_eq(label.name, "good_init");
    cr_assert_eq(label.va, init);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

/* Whatever is broken in the file that the image came from, a backtrace goes without names. */
static void expect_no_symbol(const struct hx_image *image, struct object *object, uintptr_t va)
{
    struct hx_label label = { 0 };

    cr_assert_eq(hx_image_symbol(image, object_slice(object), va, &label), HX_E_NOENT);
    cr_assert_null(label.name);
    free(object->bytes);
    *object = object_read("good");
}

Test(loader, a_file_with_broken_tables_has_no_functions)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t call = fixture_address(image, &object, "good_call");

    object_section(&object, ".text")->sh_offset = object.size;
    expect_no_symbol(image, &object, call);
    object_section(&object, ".symtab")->sh_offset = object.size;
    expect_no_symbol(image, &object, call);
    object_section(&object, ".symtab")->sh_link = 0xffff;
    expect_no_symbol(image, &object, call);
    object_section(&object, ".strtab")->sh_offset = object.size;
    expect_no_symbol(image, &object, call);
    object_section(&object, ".strtab")->sh_type = SHT_PROGBITS;
    expect_no_symbol(image, &object, call);
    object_section(&object, ".symtab")->sh_type = SHT_PROGBITS;
    expect_no_symbol(image, &object, call);
    object_header(&object)->e_shnum--;
    expect_no_symbol(image, &object, call);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(loader, a_broken_file_has_no_functions)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t call = fixture_address(image, &object, "good_call");
    struct hx_label label = { 0 };

    cr_assert_eq(hx_image_symbol(image, hx_slice_of(object.bytes, 100), call, &label), HX_E_NOENT);
    object_section(&object, ".symtab")->sh_entsize = 1;
    cr_assert_eq(hx_image_symbol(image, object_slice(&object), call, &label), HX_E_NOENT);
    object_section(&object, ".symtab")->sh_entsize = sizeof(Elf64_Sym);
    object_symbol(&object, "good_call")->st_name = 0xffffff;
    cr_assert_eq(hx_image_symbol(image, object_slice(&object), call, &label), HX_E_NOENT);
    cr_assert_null(label.name);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(loader, peek_finds_records_without_loading)
{
    struct object object = object_read("good");
    struct hx_slice records;
    struct hx_module_record module;

    cr_assert_eq(hx_ldr_peek(object_slice(&object), HX_RECORDS_MODULE, &records), HX_OK);
    cr_assert_eq(hx_slice_read(records, 0, &module, sizeof(module)), HX_OK);
    cr_assert_str_eq(module.name, "good");
    cr_assert_eq(module.version, HX_VERSION(1, 2, 3));
    cr_assert_eq(hx_ldr_peek(object_slice(&object), HX_RECORDS_IRQS, &records), HX_E_NOENT);
    cr_assert_eq(hx_ldr_peek(object_slice(&object), HX_RECORDS_COUNT, &records), HX_E_NOENT);
    object_section(&object, ".hx.module")->sh_offset = object.size;
    cr_assert_eq(hx_ldr_peek(object_slice(&object), HX_RECORDS_MODULE, &records), HX_E_TRUNCATED);
    object_header(&object)->e_machine = EM_ARM;
    cr_assert_eq(hx_ldr_peek(object_slice(&object), HX_RECORDS_MODULE, &records), HX_E_UNSUPPORTED);
    free(object.bytes);
}

/* Every byte of the tables in turn, in three ways: whatever comes of it, nothing is left and nothing is read outside. */
Test(loader, no_single_changed_byte_leaves_anything_behind, .timeout = 120)
{
    static const uint8_t masks[] = { 0xff, 0x80, 0x01 };
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    uint32_t refused = 0;

    for (size_t at = 0; at < object.size; at++) {
        for (size_t m = 0; m < sizeof(masks); m++) {
            struct hx_image *image = NULL;
            struct hx_ldr_report report;

            object.bytes[at] ^= masks[m];
            if (hx_ldr_load(object_slice(&object), &fixture->env, &image, &report) == HX_OK)
                hx_ldr_unload(image, &fixture->env);
            else
                refused++;
            cr_assert_eq(fixture->live, 0u, "byte %zu", at);
            object.bytes[at] ^= masks[m];
        }
    }
    cr_assert_gt(refused, 1000u);
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    free(object.bytes);
    free(fixture);
}
