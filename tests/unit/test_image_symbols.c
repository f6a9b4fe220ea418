/* SPDX-License-Identifier: MIT */
/* test_image_symbols.c - what a changed file may say, no name comes out of it that is not the image's. */
#include "loader_fixture.h"

struct world {
    struct object object;
    struct fixture *fixture;
    struct hx_image *image;
    struct hx_label label;
};

static struct world world_new(void)
{
    struct world world = { .object = object_read("good"), .fixture = fixture_new() };

    world.image = fixture_load(world.fixture, &world.object);
    return world;
}

static void world_free(struct world *world)
{
    hx_ldr_unload(world->image, &world->fixture->env);
    free(world->object.bytes);
    free(world->fixture);
}

/* The file is changed behind the load; then good_call has no name any more. */
#define NAMELESS(test, change)                                                                                         \
    Test(image_symbols, test)                                                                                          \
    {                                                                                                                  \
        struct world world = world_new();                                                                              \
        Elf64_Sym *symbol = object_symbol(&world.object, "good_call");                                                 \
        uintptr_t va = fixture_address(world.image, &world.object, "good_call");                                       \
        hx_status_t err = hx_image_symbol(world.image, object_slice(&world.object), va, &world.label);                 \
                                                                                                                       \
        cr_assert_eq(err, HX_OK);                                                                                      \
        change;                                                                                                        \
        err = hx_image_symbol(world.image, object_slice(&world.object), va, &world.label);                             \
        cr_assert_eq(err, HX_E_NOENT, "%s", world.label.name);                                                         \
        world_free(&world);                                                                                            \
    }

NAMELESS(a_symbol_without_type_names_nothing, symbol->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE))
NAMELESS(a_symbol_without_name_names_nothing, symbol->st_name = 0)
NAMELESS(a_symbol_of_a_section_far_beyond_the_last_names_nothing, symbol->st_shndx = SHN_ABS)
NAMELESS(a_symbol_of_a_section_that_is_not_loaded_names_nothing,
         (symbol->st_shndx = (uint16_t)object_section_index(&world.object, ".comment"), symbol->st_value = va))

Test(image_symbols, an_address_behind_a_part_has_no_name_however_large_its_symbols_say_that_they_are)
{
    struct world world = world_new();
    const struct hx_image_piece *text = &world.image->part[HX_PART_TEXT];

    object_symbol(&world.object, "good_call")->st_size = UINT64_MAX / 2;
    cr_assert_eq(hx_image_symbol(world.image, object_slice(&world.object), text->va + text->bytes, &world.label),
                 HX_E_NOENT);
    world_free(&world);
}

Test(image_symbols, a_file_with_another_number_of_sections_names_nothing)
{
    struct world world = world_new();
    Elf64_Ehdr *header = object_header(&world.object);
    size_t names = header->e_shstrndx, note = object_section_index(&world.object, ".note.GNU-stack");
    Elf64_Shdr swapped = *object_section_at(&world.object, names);
    uintptr_t va = fixture_address(world.image, &world.object, "good_call");

    cr_assert_eq(names, header->e_shnum - 1u);
    *object_section_at(&world.object, names) = *object_section_at(&world.object, note);
    *object_section_at(&world.object, note) = swapped;
    header->e_shstrndx = (uint16_t)note;
    cr_assert_eq(hx_image_symbol(world.image, object_slice(&world.object), va, &world.label), HX_OK);
    header->e_shnum--;
    cr_assert_eq(hx_image_symbol(world.image, object_slice(&world.object), va, &world.label), HX_E_NOENT);
    world_free(&world);
}

static bool count_those_of_init(const struct hx_label *label, void *context)
{
    uint32_t *of_init = context;

    *of_init += strcmp(label->name, "lifetimes_init") == 0 || strcmp(label->name, "lifetimes_default") == 0;
    return true;
}

Test(image_symbols, what_was_given_back_after_init_has_no_names_any_more)
{
    struct object object = object_read("lifetimes");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uint32_t before = 0, after = 0;

    hx_image_for_each_symbol(image, object_slice(&object), count_those_of_init, &before);
    hx_ldr_settle(image, &fixture->env);
    hx_image_for_each_symbol(image, object_slice(&object), count_those_of_init, &after);
    cr_assert_eq(before, 2u);
    cr_assert_eq(after, 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}
