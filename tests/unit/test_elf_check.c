/* SPDX-License-Identifier: MIT */
/*
 * test_elf_check.c - what is in order is accepted, wherever it lies; what is cut off is not.
 *
 * Each check by itself: tests/malformed/cases.py.
 */
#include "loader_fixture.h"

#include <lib/hash.h>

Test(elf_check, a_good_object_is_accepted)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

Test(elf_check, every_truncation_is_refused_and_none_is_read_past)
{
    struct object whole = object_read("good");

    for (size_t size = 0; size < whole.size; size++) {
        struct object object = { malloc(size ? size : 1), size };
        struct fixture *fixture = fixture_new();
        struct hx_image *image = NULL;
        struct hx_ldr_report report;

        memcpy(object.bytes, whole.bytes, size);
        cr_assert_neq(hx_ldr_load(object_slice(&object), &fixture->env, &image, &report), HX_OK, "at %zu", size);
        cr_assert_eq(fixture->live, 0u);
        cr_assert_neq(report.message[0], '\0');
        free(object.bytes);
        free(fixture);
    }
    free(whole.bytes);
}

Test(elf_check, an_object_at_an_odd_address_is_accepted)
{
    struct object object = object_read("good");
    uint8_t *odd = malloc(object.size + 1);
    struct fixture *fixture = fixture_new();
    struct hx_image *image = NULL;
    struct hx_ldr_report report;

    memcpy(odd + 1, object.bytes, object.size);
    cr_assert_eq(hx_ldr_load(hx_slice_of(odd + 1, object.size), &fixture->env, &image, &report), HX_OK);
    hx_ldr_unload(image, &fixture->env);
    free(odd);
    free(object.bytes);
    free(fixture);
}

Test(elf_check, two_groups_are_accepted)
{
    struct object object = object_read("group");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_check, hundreds_of_groups_are_accepted)
{
    struct object object = object_read("many_groups");
    struct fixture *fixture = fixture_new();

    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

Test(elf_check, unprintable_names_do_not_reach_the_message)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_ldr_report report;
    char *name = (char *)(uintptr_t)object_section_name(&object, object_section_index(&object, ".data"));

    object_section(&object, ".data")->sh_addralign = 3;
    name[1] = '\n';
    name[2] = '\x1b';
    fixture_refuse(fixture, &object, HX_E_FORMAT, HX_LDR_CHECK, "section .??ta: ", &report);
    cr_assert_str_eq(report.section, ".??ta");
    free(object.bytes);
    free(fixture);
}

Test(elf_check, no_memory_for_the_groups_is_refused)
{
    struct object object = object_read("group");
    struct fixture *fixture = fixture_new();

    fixture->fail_at = 2; /* the first one is for the section table */
    fixture_refuse(fixture, &object, HX_E_NOMEM, HX_LDR_CHECK, "no memory for 2 section groups", NULL);
    free(object.bytes);
    free(fixture);
}

/* The hash of names is no secret: 16 bytes of which the second half takes back what the first did to it. */
static void colliding_name(uint64_t number, char out[17])
{
    uint64_t first = UINT64_C(0x6161616161616161) + number, second;

    second = hx_hash_mix_(16, first) ^ UINT64_C(0x0123456789abcdef);
    memcpy(out, &first, sizeof(first));
    memcpy(out + sizeof(first), &second, sizeof(second));
    out[16] = '\0';
}

Test(elf_check, signatures_made_to_fall_together_do_not_keep_the_loader_busy)
{
    enum { NAME_BYTES = 17 };
    struct object object = object_read("many_groups");
    size_t groups = 0, at = object.size, places[300];
    Elf64_Shdr *names;

    for (size_t i = 0; i < HX_ARRAY_SIZE(places); i++) {
        char symbol[32];

        snprintf(symbol, sizeof(symbol), "signature_%zu", i);
        places[i] = object_symbol_index(&object, symbol);
    }
    object_resize(&object, object.size + HX_ARRAY_SIZE(places) * NAME_BYTES);
    names = object_section_at(&object, object_section(&object, ".symtab")->sh_link);
    names->sh_size = object.size - names->sh_offset;
    for (uint64_t number = 0; groups < HX_ARRAY_SIZE(places); number++) {
        char name[NAME_BYTES];

        colliding_name(number, name);
        if (strlen(name) != NAME_BYTES - 1)
            continue;
        memcpy(object.bytes + at, name, NAME_BYTES);
        object_symbol_at(&object, places[groups++])->st_name = (uint32_t)(at - names->sh_offset);
        at += NAME_BYTES;
    }
    fixture_refuse_object(&object, HX_E_LIMIT, HX_LDR_CHECK, "too many like it");
}
