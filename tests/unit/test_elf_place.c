/* SPDX-License-Identifier: MIT */
/* test_elf_place.c - sections land in parts by their permission; what cannot be loaded is refused by name. */
#include "loader_fixture.h"

#define REFUSED(name, fixture_name, expected, words, patch)                                                            \
    Test(elf_place, name)                                                                                              \
    {                                                                                                                  \
        struct object object = object_read(fixture_name);                                                              \
        patch;                                                                                                         \
        fixture_refuse_object(&object, expected, HX_LDR_PLACE, words);                                                 \
    }
#define SECTION(name) object_section(&object, name)

REFUSED(writable_text_is_refused, "writable_text", HX_E_UNSUPPORTED,
        "section .evil: it is both writable and executable", (void)0)
REFUSED(thread_local_storage_is_refused, "tls", HX_E_UNSUPPORTED, "remove __thread", (void)0)
REFUSED(constructors_are_refused, "constructor", HX_E_UNSUPPORTED, "init and fini", (void)0)
REFUSED(old_constructors_are_refused, "constructor", HX_E_UNSUPPORTED, "init and fini",
        (SECTION(".init_array")->sh_type = SHT_PROGBITS,
         memcpy((char *)(uintptr_t)object_section_name(&object, object_section_index(&object, ".init_array")), ".ctors",
                7)))
REFUSED(destructors_are_refused, "constructor", HX_E_UNSUPPORTED, "init and fini",
        SECTION(".init_array")->sh_type = SHT_FINI_ARRAY)
REFUSED(an_image_past_the_limit_is_refused, "big", HX_E_LIMIT, "exceed 16 MiB", (void)0)
REFUSED(a_size_that_wraps_is_refused, "big", HX_E_LIMIT, "exceed 16 MiB", SECTION(".bss")->sh_size = UINT64_MAX - 8)
REFUSED(parts_that_exceed_the_limit_together_are_refused, "good", HX_E_LIMIT, "more than 16 MiB",
        (SECTION(".bss")->sh_size = 9 << 20, SECTION(HX_STATE_SECTION)->sh_size = 9 << 20))
REFUSED(nothing_to_load_is_refused, "empty", HX_E_FORMAT, "nothing to load", (void)0)
REFUSED(intermediate_code_is_refused, "lto", HX_E_UNSUPPORTED, "-fno-lto", (void)0)
REFUSED(a_compressed_section_is_refused, "good", HX_E_UNSUPPORTED, "compressed",
        SECTION(".rodata")->sh_flags |= SHF_COMPRESSED)
REFUSED(a_large_section_is_refused, "good", HX_E_UNSUPPORTED, "-mcmodel=kernel",
        SECTION(".data")->sh_flags |= 0x10000000)
REFUSED(unknown_flags_are_refused, "good", HX_E_UNSUPPORTED, "flags 0x40000000",
        SECTION(".data")->sh_flags |= SHF_ORDERED)
REFUSED(more_than_a_page_of_alignment_is_refused, "good", HX_E_LIMIT, "alignment 0x2000",
        SECTION(".data")->sh_addralign = 0x2000)
REFUSED(an_unknown_section_type_is_refused, "good", HX_E_UNSUPPORTED, "section type 0x6fffff00",
        SECTION(".data")->sh_type = 0x6fffff00)
REFUSED(records_without_contents_are_refused, "good", HX_E_FORMAT, "section .hx.module: records must be constant data",
        SECTION(".hx.module")->sh_type = SHT_NOBITS)
REFUSED(executable_records_are_refused, "good", HX_E_FORMAT, "records must be constant data",
        SECTION(".hx.module")->sh_flags |= SHF_EXECINSTR)
REFUSED(records_in_two_sections_are_refused, "good", HX_E_FORMAT, "section .hx.module: it is there twice",
        SECTION(".hx.ports")->sh_name = SECTION(".hx.module")->sh_name)
REFUSED(a_second_state_is_refused, "good", HX_E_FORMAT, "a second state",
        SECTION(".data")->sh_name = SECTION(HX_STATE_SECTION)->sh_name)

Test(elf_place, parts_are_in_order_page_aligned_and_disjoint)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    size_t end = 0;

    for (size_t i = 0; i < HX_PART_COUNT; i++) {
        cr_assert_eq(image->part[i].off, end);
        cr_assert_eq(image->part[i].off % 4096, 0u);
        cr_assert_gt(image->part[i].bytes, 0u);
        cr_assert_eq(fixture->protect_count[i], 1u);
        end = (image->part[i].off + image->part[i].bytes + 4095) & ~(size_t)4095;
    }
    cr_assert_eq(image->bytes, end);
    cr_assert_eq(image->part[HX_PART_STATE].bytes, 104u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, sections_land_in_the_part_of_their_permission_at_their_alignment)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    static const struct {
        const char *name;
        enum hx_image_part part;
    } expected[] = {
        { ".text", HX_PART_TEXT },       { ".rodata", HX_PART_RODATA },       { ".data", HX_PART_DATA },
        { ".hx.ports", HX_PART_RODATA }, { HX_STATE_SECTION, HX_PART_STATE }, { ".rodata.good", HX_PART_RODATA },
    };

    for (size_t i = 0; i < HX_ARRAY_SIZE(expected); i++) {
        size_t index = object_section_index(&object, expected[i].name);
        uintptr_t va = image->section_va[index];

        cr_assert(hx_image_in_part(image, va, expected[i].part), "%s", expected[i].name);
        cr_assert_eq(va % object_section_at(&object, index)->sh_addralign, 0u);
    }
    cr_assert_eq(image->section_va[object_section_index(&object, ".comment")], 0u);
    cr_assert_eq(image->section_va[0], 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, writable_records_are_read_only_in_the_image)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;
    const struct hx_module_record *record;

    object_section(&object, ".hx.module")->sh_flags |= SHF_WRITE;
    image = fixture_load(fixture, &object);
    record = (const void *)(image->memory + image->records[HX_RECORDS_MODULE].off);
    cr_assert(hx_image_in_part(image, (uintptr_t)record, HX_PART_RODATA));
    cr_assert_str_eq(record->name, "good");
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, tables_that_only_relocation_writes_are_read_only_in_the_image)
{
    struct object object = object_read("relro");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t table = fixture_address(image, &object, "relro_table");

    cr_assert(hx_image_in_part(image, table, HX_PART_RODATA));
    cr_assert(hx_image_in_part(image, fixture_address(image, &object, "relro_data"), HX_PART_DATA));
    cr_assert_eq(*(const uint64_t *)hx_image_at(image, table, 8), table);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, unwind_tables_and_notes_are_not_loaded)
{
    struct object object = object_read("unwind");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    int (*seven)(void) = (int (*)(void))fixture_address(image, &object, "unwind_seven");

    cr_assert_eq(image->section_va[object_section_index(&object, ".eh_frame")], 0u);
    cr_assert_eq(image->section_va[object_section_index(&object, ".note.unwind")], 0u);
    cr_assert_eq(image->relocation_count, 0u);
    cr_assert_eq(image->part[HX_PART_RODATA].bytes, 0u);
    cr_assert_eq(fixture->protect_count[HX_PART_RODATA], 0u);
    cr_assert_eq(seven(), 7);
    hx_ldr_unload(image, &fixture->env);

    object_section(&object, ".eh_frame")->sh_type = SHT_X86_64_UNWIND;
    image = fixture_load(fixture, &object);
    cr_assert_eq(image->relocation_count, 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, a_page_of_alignment_is_kept)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;

    object_section(&object, ".rodata.good")->sh_addralign = 4096;
    image = fixture_load(fixture, &object);
    cr_assert_eq(fixture_address(image, &object, "good_word") % 4096, 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}
