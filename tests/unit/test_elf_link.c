/* SPDX-License-Identifier: MIT */
/* test_elf_link.c - relocations are applied as the psABI says, and each is checked for range, place and symbol. */
#include "loader_fixture.h"

#define RELA(section, type) object_rela(&object, section, type)
/* A relocation of the good object made to be another. */
#define TYPE_REFUSED(name, type, words)                                                                                \
    Test(elf_link, name)                                                                                               \
    {                                                                                                                  \
        struct object object = object_read("good");                                                                    \
        object_rela_type(RELA(".rela.text", R_X86_64_PC32), type);                                                     \
        fixture_refuse_object(&object, HX_E_RELOC, HX_LDR_RELOCATE, words);                                            \
    }

Test(elf_link, a_linked_module_runs)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uint64_t (*add)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "good_add");
    uint64_t (*call)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "good_call");
    const char *(*text)(uint64_t) = (const char *(*)(uint64_t))fixture_address(image, &object, "good_text");
    uint64_t (*count)(void) = (uint64_t(*)(void))fixture_address(image, &object, "good_count");
    uint64_t (*log_it)(void) = (uint64_t(*)(void))fixture_address(image, &object, "good_log");
    uint64_t (*agree)(void) = (uint64_t(*)(void))fixture_address(image, &object, "good_addresses_agree");
    uint64_t (*import)(void) = (uint64_t(*)(void))fixture_address(image, &object, "good_import_address");

    cr_assert_eq(add(4), 7u);
    cr_assert_eq(call(4), 48u);
    cr_assert_eq(call(4), 49u);
    cr_assert_eq(count(), 3u);
    cr_assert_str_eq(text(0), "zero");
    cr_assert_str_eq(text(2), "two");
    cr_assert_eq(log_it(), 5u);
    cr_assert_eq(fixture_log_bytes, 5u);
    cr_assert_eq(agree(), 1u);
    cr_assert_eq(import(), 0x12345u);
    cr_assert_geq(image->relocation_count, 20u);
    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

/* Refused because the value of the import does not fit. */
static void refuse_far(uint32_t type, uint64_t value, int64_t addend, const char *words)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    Elf64_Rela *rela = object_rela(&object, ".rela.text", R_X86_64_PLT32);
    struct hx_ldr_report report;

    fixture->far_value = value;
    rela->r_info = ELF64_R_INFO(object_symbol_index(&object, "hx_clock_ns"), type);
    rela->r_addend = addend;
    /* The one use that the compiler made of it is out of the way. */
    object_rela_type(object_rela(&object, ".rela.text", R_X86_64_32S), R_X86_64_NONE);
    for (size_t i = 0; i < object_section(&object, ".rela.text")->sh_size / sizeof(*rela); i++) {
        Elf64_Rela *other = (Elf64_Rela *)(void *)(object.bytes + object_section(&object, ".rela.text")->sh_offset) + i;

        if (other != rela && ELF64_R_SYM(other->r_info) == ELF64_R_SYM(rela->r_info))
            object_rela_type(other, R_X86_64_NONE);
    }
    if (!words) {
        struct hx_image *image = fixture_load(fixture, &object);

        hx_ldr_unload(image, &fixture->env);
    } else {
        fixture_refuse(fixture, &object, HX_E_RANGE, HX_LDR_RELOCATE, words, &report);
        cr_assert_str_eq(report.symbol, "hx_clock_ns");
        cr_assert_str_eq(report.section, ".rela.text");
        cr_assert_neq(report.relocation, UINT32_MAX);
        cr_assert_eq(report.offset, rela->r_offset);
        cr_assert_neq(report.value, 0u);
    }
    free(object.bytes);
    free(fixture);
}

Test(elf_link, pc32_overflow_upwards_is_refused)
{
    refuse_far(R_X86_64_PC32, UINT64_C(0x123456789), -4, "R_X86_64_PC32 against `hx_clock_ns' at offset 0x");
}

Test(elf_link, pc32_overflow_downwards_is_refused)
{
    refuse_far(R_X86_64_PC32, UINT64_C(0xffffffff00000000), -4, "does not fit 32 bits");
}

Test(elf_link, plt32_overflow_is_refused)
{
    refuse_far(R_X86_64_PLT32, UINT64_C(0x7fff00000000), -4, "R_X86_64_PLT32");
}

Test(elf_link, a_positive_value_past_31_bits_is_refused_for_32s)
{
    refuse_far(R_X86_64_32S, UINT64_C(0x80000000), 0, "R_X86_64_32S against `hx_clock_ns'");
    refuse_far(R_X86_64_32S, UINT64_C(0x7fffffff), 0, NULL);
}

Test(elf_link, a_negative_value_past_31_bits_is_refused_for_32s)
{
    refuse_far(R_X86_64_32S, UINT64_C(0xffffffff7fffffff), 0, "0xffffffff7fffffff does not fit 32 bits");
    refuse_far(R_X86_64_32S, UINT64_C(0xffffffff80000000), 0, NULL);
}

Test(elf_link, a_value_past_32_bits_is_refused_for_32)
{
    refuse_far(R_X86_64_32, UINT64_C(0x100000000), 0, "R_X86_64_32 against `hx_clock_ns'");
    refuse_far(R_X86_64_32, UINT64_C(0xffffffff), 0, NULL);
}

Test(elf_link, a_negative_value_is_refused_for_32)
{
    refuse_far(R_X86_64_32, UINT64_C(0xffffffff80000000), 0, "0xffffffff80000000 does not fit 32 bits");
}

Test(elf_link, the_addend_counts_in_the_range)
{
    refuse_far(R_X86_64_32, UINT64_C(0xffffffff), 1, "0x100000000 does not fit 32 bits");
}

TYPE_REFUSED(gotpcrel_is_refused_with_its_flag, R_X86_64_GOTPCREL, "R_X86_64_GOTPCREL against")
TYPE_REFUSED(gotpcrelx_is_refused_with_its_flag, R_X86_64_GOTPCRELX, "-fno-pic")
TYPE_REFUSED(rex_gotpcrelx_is_refused_with_its_flag, R_X86_64_REX_GOTPCRELX, "-fno-pic")
TYPE_REFUSED(gotoff64_is_refused_with_its_flag, R_X86_64_GOTOFF64, "-fno-pic")
TYPE_REFUSED(tpoff32_is_refused_with_its_word, R_X86_64_TPOFF32, "remove __thread")
TYPE_REFUSED(tlsgd_is_refused_with_its_word, R_X86_64_TLSGD, "remove __thread")
TYPE_REFUSED(sixteen_bits_are_refused_by_name, R_X86_64_16, "R_X86_64_16 against")
TYPE_REFUSED(eight_bits_are_refused_by_name, R_X86_64_PC8, "R_X86_64_PC8 against")
TYPE_REFUSED(copy_is_refused_by_name, R_X86_64_COPY, "R_X86_64_COPY")
TYPE_REFUSED(an_unknown_type_is_refused_by_number, 200, "type 200 against")
TYPE_REFUSED(a_hole_among_the_types_is_refused_by_number, 40, "type 40")

#define PATCHED(name, expected, words, patch)                                                                          \
    Test(elf_link, name)                                                                                               \
    {                                                                                                                  \
        struct object object = object_read("good");                                                                    \
        patch;                                                                                                         \
        fixture_refuse_object(&object, expected, HX_LDR_RELOCATE, words);                                              \
    }

PATCHED(a_symbol_that_does_not_exist_is_refused, HX_E_FORMAT, "its symbol does not exist",
        RELA(".rela.text", R_X86_64_PC32)->r_info = ELF64_R_INFO(0xffffff, R_X86_64_PC32))
PATCHED(pc32_that_leaves_its_section_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.text", R_X86_64_PC32)->r_offset = object_section(&object, ".text")->sh_size - 3)
PATCHED(a_place_that_wraps_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.text", R_X86_64_PC32)->r_offset = UINT64_MAX - 1)
PATCHED(a_32s_that_leaves_its_section_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.text", R_X86_64_32S)->r_offset = object_section(&object, ".text")->sh_size)
PATCHED(a_32_that_leaves_its_section_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.rodata.good", R_X86_64_32)->r_offset = object_section(&object, ".rodata.good")->sh_size - 3)
PATCHED(a_64_that_leaves_its_section_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.rodata", R_X86_64_64)->r_offset = object_section(&object, ".rodata")->sh_size - 7)
PATCHED(a_pc64_that_leaves_its_section_is_refused, HX_E_FORMAT, "outside of the section",
        RELA(".rela.rodata.good", R_X86_64_PC64)->r_offset = object_section(&object, ".rodata.good")->sh_size - 7)
PATCHED(a_section_smaller_than_the_field_is_refused, HX_E_FORMAT, "outside of the section",
        (object_section(&object, ".rela.rodata")->sh_info = (uint32_t)object_section_index(&object, ".hx.ports"),
         RELA(".rela.rodata", R_X86_64_64)->r_offset = 0))
PATCHED(relocations_of_memory_without_contents_are_refused, HX_E_FORMAT, "no contents to relocate",
        object_section(&object, ".rela.data")->sh_info = (uint32_t)object_section_index(&object, HX_STATE_SECTION))

Test(elf_link, the_last_place_that_fits_is_accepted)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();

    object_rela(&object, ".rela.text", R_X86_64_PC32)->r_offset = object_section(&object, ".text")->sh_size - 4;
    object_rela(&object, ".rela.rodata", R_X86_64_64)->r_offset = object_section(&object, ".rodata")->sh_size - 8;
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_link, a_pointer_into_a_section_that_is_not_loaded_is_refused)
{
    struct object object = object_read("not_loaded");
    struct fixture *fixture = fixture_new();

    fixture_refuse(fixture, &object, HX_E_RELOC, HX_LDR_RELOCATE,
                   "against `stray' at offset 0x3: its symbol stands in a section that is not loaded", NULL);
    object_rela_type(object_rela(&object, ".rela.text", R_X86_64_PC32), R_X86_64_NONE);
    fixture_refuse(fixture, &object, HX_E_RELOC, HX_LDR_RELOCATE, "R_X86_64_64 against `stray' at offset 0x0", NULL);
    free(object.bytes);
    free(fixture);
}

Test(elf_link, a_relocation_against_nothing_names_nothing)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();

    object_rela(&object, ".rela.text", R_X86_64_PC32)->r_info = ELF64_R_INFO(0, 200);
    fixture_refuse(fixture, &object, HX_E_RELOC, HX_LDR_RELOCATE, "type 200 at offset 0x", NULL);
    free(object.bytes);
    free(fixture);
}
