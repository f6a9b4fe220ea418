/* SPDX-License-Identifier: MIT */
/* test_elf_place.c - sections land in parts by their permission; what cannot be loaded is refused by name. */
#include "loader_fixture.h"

/* Objects as compilers make them. Each check by itself: tests/malformed/cases.py. */
#define REFUSED(name, fixture_name, expected, words)                                                                   \
    Test(elf_place, name)                                                                                              \
    {                                                                                                                  \
        struct object object = object_read(fixture_name);                                                              \
        fixture_refuse_object(&object, expected, HX_LDR_PLACE, words);                                                 \
    }

REFUSED(writable_text_is_refused, "writable_text", HX_E_UNSUPPORTED,
        "section .evil: it is both writable and executable")
REFUSED(an_image_past_the_limit_is_refused, "big", HX_E_LIMIT, "exceed 16 MiB")
REFUSED(nothing_to_load_is_refused, "empty", HX_E_FORMAT, "nothing to load")
REFUSED(intermediate_code_is_refused, "lto", HX_E_UNSUPPORTED, "-fno-lto")

Test(elf_place, each_part_that_has_bytes_is_sealed_once)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    size_t bytes = 0;

    for (size_t i = 0; i < HX_PART_COUNT; i++) {
        cr_assert_eq(image->part[i].bytes > 0, i <= HX_PART_STATE);
        cr_assert_eq(fixture->sealed_count[i], i <= HX_PART_STATE);
        cr_assert_eq(image->part[i].va % (image->part[i].align ? image->part[i].align : 1), 0u);
        bytes += image->part[i].bytes;
    }
    cr_assert_eq(hx_image_bytes(image), bytes);
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
    record = fixture_record(image, HX_RECORDS_MODULE);
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
    cr_assert_eq(fixture->sealed_count[HX_PART_RODATA], 0u);
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

Test(elf_place, what_may_lie_far_away_may_lie_near)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;

    object_section(&object, ".data")->sh_flags |= 0x10000000; /* SHF_X86_64_LARGE */
    image = fixture_load(fixture, &object);
    cr_assert(hx_image_in_part(image, image->section_va[object_section_index(&object, ".data")], HX_PART_DATA));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

/* The names that constructor.c gives its functions, in the order in which they are to run. */
Test(elf_place, constructors_are_sorted_by_priority_and_destructors_too)
{
    static const char *const first_to_last[] = { "build_101", "build_102", "build_5000", "build_a", "build_b" };
    struct object object = object_read("constructor");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    const uint64_t *array =
        (const void *)(image->part[HX_PART_RODATA].memory + image->constructors.off); /* NOLINT: aligned to 8 */

    cr_assert_eq(image->constructors.bytes, sizeof(first_to_last) / sizeof(first_to_last[0]) * sizeof(*array));
    for (size_t i = 0; i < HX_ARRAY_SIZE(first_to_last); i++)
        cr_assert_eq(array[i], fixture_address(image, &object, first_to_last[i]), "%zu", i);
    array = (const void *)(image->part[HX_PART_RODATA].memory + image->destructors.off); /* NOLINT: aligned to 8 */
    cr_assert_eq(image->destructors.bytes, 2 * sizeof(*array));
    cr_assert_eq(array[0], fixture_address(image, &object, "tear_down_200"));
    cr_assert_eq(array[1], fixture_address(image, &object, "tear_down"));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, a_hundred_sections_of_constructors_are_sorted)
{
    struct object object = object_read("many_constructors");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    const uint64_t *array =
        (const void *)(image->part[HX_PART_RODATA].memory + image->constructors.off); /* NOLINT: aligned to 8 */

    cr_assert_eq(image->constructors.bytes, 100 * sizeof(*array));
    for (uint64_t i = 0; i < 100; i++)
        cr_assert_eq(array[i], i);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

/* As assemblers write it that are not told the type. */
Test(elf_place, constructors_are_known_by_their_name_too)
{
    struct object object = object_read("constructor");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;

    object_section(&object, ".init_array")->sh_type = SHT_PROGBITS;
    object_section(&object, ".fini_array")->sh_type = SHT_PROGBITS;
    image = fixture_load(fixture, &object);
    cr_assert_eq(image->constructors.bytes, 5 * sizeof(uint64_t));
    cr_assert_eq(image->destructors.bytes, 2 * sizeof(uint64_t));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, constructors_that_take_no_memory_are_not_loaded)
{
    struct object object = object_read("constructor");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;

    object_section(&object, ".init_array")->sh_flags &= ~(uint64_t)SHF_ALLOC;
    image = fixture_load(fixture, &object);
    cr_assert_eq(image->constructors.bytes, 3 * sizeof(uint64_t), "those with a priority");
    cr_assert_eq(image->section_va[object_section_index(&object, ".init_array")], 0u);
    cr_assert_eq(image->destructors.bytes, 2 * sizeof(uint64_t));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

/* With -fPIC -fdata-sections a variable whose name begins so has such a section. */
Test(elf_place, a_variable_called_rose_stays_writable)
{
    struct object object = object_read("relro");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    cr_assert(hx_image_in_part(image, fixture_address(image, &object, "rose"), HX_PART_DATA));
    cr_assert(hx_image_in_part(image, fixture_address(image, &object, "relro_local"), HX_PART_RODATA));
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, common_symbols_are_data_at_their_alignment)
{
    struct object object = object_read("common");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    int *(*variable)(void) = (int *(*)(void))fixture_address(image, &object, "common_variable_address");
    char *(*array)(void) = (char *(*)(void))fixture_address(image, &object, "common_array_address");

    cr_assert_eq((uintptr_t)array() % 64, 0u);
    cr_assert(hx_image_in_part(image, (uintptr_t)variable(), HX_PART_DATA));
    cr_assert_eq(hx_image_at(image, (uintptr_t)array(), 1000), array());
    cr_assert_eq(*variable(), 0);
    *variable() = 1;
    cr_assert(array() > (char *)variable() ? array() >= (char *)(variable() + 1)
                                           : array() + 1000 <= (char *)variable());
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_place, what_init_alone_needs_is_apart_and_goes_when_it_has_run)
{
    struct object object = object_read("lifetimes");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uintptr_t init = fixture_address(image, &object, "lifetimes_init");
    uintptr_t limit = fixture_address(image, &object, "lifetimes_limit");
    int (*get)(void) = (int (*)(void))fixture_address(image, &object, "lifetimes_get");
    uint32_t live = fixture->live;

    cr_assert(hx_image_in_part(image, init, HX_PART_INIT_TEXT) && hx_image_is_code(image, init));
    cr_assert(hx_image_in_part(image, fixture_address(image, &object, "lifetimes_default"), HX_PART_INIT_DATA));
    cr_assert(hx_image_in_part(image, limit, HX_PART_RO_AFTER_INIT));
    ((void (*)(void))init)();
    hx_ldr_settle(image, &fixture->env);
    cr_assert_eq(fixture->live, live - 2);
    cr_assert(!hx_image_holds(image, init));
    cr_assert_eq(get(), 42);
    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

/* Whether [@va, @va + 1) is inside of a section that is loaded. */
static bool in_section(struct object *object, const struct hx_image *image, uintptr_t va)
{
    for (size_t i = 1; i < image->section_count; i++)
        if (image->section_va[i] && va - image->section_va[i] < object_section_at(object, i)->sh_size)
            return true;
    return false;
}

Test(elf_place, what_lies_between_sections_is_zero)
{
    static const char *const names[] = { "good", "common", "one", "lifetimes", "pic_unrelaxed" };

    size_t gaps = 0;

    for (size_t n = 0; n < HX_ARRAY_SIZE(names); n++) {
        struct object object = object_read(names[n]);
        struct fixture *fixture = fixture_new();
        struct hx_image *image;

        object_section(&object, ".bss")->sh_addralign = 1024; /* even one that has no bytes makes a gap */
        image = fixture_load(fixture, &object);
        for (size_t part = 0; part < HX_PART_COUNT; part++) {
            const struct hx_image_piece *piece = &image->part[part];

            for (size_t off = 0; off < piece->bytes; off++) {
                bool made = part == HX_PART_RODATA && off - image->got.off < image->got.bytes;

                if (made || in_section(&object, image, piece->va + off))
                    continue;
                cr_assert_eq(piece->memory[off], 0, "%s, %s at %zu", names[n], hx_image_part_name((uint32_t)part), off);
                gaps++;
            }
        }
        hx_ldr_unload(image, &fixture->env);
        free(object.bytes);
        free(fixture);
    }
    cr_assert_gt(gaps, 1000u);
}

/* clang and gcc make such references where an array has no members. */
Test(elf_place, what_takes_no_memory_has_an_address)
{
    struct object object = object_read("pic_small");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    cr_assert_eq(object_section(&object, ".bss")->sh_size, 0u);
    cr_assert_neq(image->section_va[object_section_index(&object, ".bss")], 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}
