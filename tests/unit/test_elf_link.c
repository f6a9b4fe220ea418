/* SPDX-License-Identifier: MIT */
/* test_elf_link.c - relocations are applied as the psABI says, and each is checked for range, place and symbol. */
#include "one_fixture.h"

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

TYPE_REFUSED(tpoff32_is_refused_with_its_word, R_X86_64_TPOFF32, "remove __thread")
TYPE_REFUSED(tlsgd_is_refused_with_its_word, R_X86_64_TLSGD, "remove __thread")
TYPE_REFUSED(irelative_is_refused_by_name, R_X86_64_IRELATIVE, "R_X86_64_IRELATIVE")
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

/* ---- one type at a time: width, formula, range ------------------------------------------------------------------------ */
static const struct {
    uint32_t type;
    size_t bytes;
} widths[] = {
    { R_X86_64_8, 1 },          { R_X86_64_PC8, 1 },     { R_X86_64_16, 2 },        { R_X86_64_PC16, 2 },
    { R_X86_64_32, 4 },         { R_X86_64_32S, 4 },     { R_X86_64_PC32, 4 },      { R_X86_64_PLT32, 4 },
    { R_X86_64_GOTPCREL, 4 },   { R_X86_64_GOTPC32, 4 }, { R_X86_64_GOTPCRELX, 4 }, { R_X86_64_REX_GOTPCRELX, 4 },
    { R_X86_64_GOT32, 4 },      { R_X86_64_SIZE32, 4 },  { R_X86_64_64, 8 },        { R_X86_64_PC64, 8 },
    { R_X86_64_GOT64, 8 },      { R_X86_64_GOTPC64, 8 }, { R_X86_64_GOTOFF64, 8 },  { R_X86_64_GOTPLT64, 8 },
    { R_X86_64_GOTPCREL64, 8 }, { R_X86_64_SIZE64, 8 },  { R_X86_64_PLTOFF64, 8 },
};

/* A relocation whose result is 0 or small wherever it stands: near itself, or of a small value. */
static void set_small(struct one *one, size_t i, uint64_t off)
{
    one_set(one, ONE_CONSTANTS, 0, widths[i].type, off,
            widths[i].type == R_X86_64_PC8 || widths[i].type == R_X86_64_PC16 ? "one_constants" : "one_nowhere", 0);
}

Test(elf_link, each_width_fits_at_the_last_place_and_not_at_the_next)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct one one = one_new();

        set_small(&one, i, 32 - widths[i].bytes);
        one_load(&one);
        one_free(&one);

        one = one_new();
        set_small(&one, i, 33 - widths[i].bytes);
        one_refuse(&one, HX_E_FORMAT, HX_LDR_RELOCATE, "it lies outside of the section");
        one = one_new();
        set_small(&one, i, UINT64_MAX - widths[i].bytes + 1);
        one_refuse(&one, HX_E_FORMAT, HX_LDR_RELOCATE, "it lies outside of the section");
    }
}

Test(elf_link, no_more_is_written_than_the_width)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct one one = one_new();

        set_small(&one, i, 8);
        one_load(&one);
        cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 7), 1), 0x55);
        cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8 + widths[i].bytes), 1), 0x55);
        one_free(&one);
    }
}

Test(elf_link, a_symbol_that_is_not_loaded_is_refused_for_every_type_that_needs_its_value)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct one one = one_new();
        uint32_t type = widths[i].type;

        one_set(&one, ONE_CONSTANTS, 0, type, 8, "one_unloaded", 0);
        if (type == R_X86_64_GOTPC32 || type == R_X86_64_GOTPC64 || type == R_X86_64_SIZE32 ||
            type == R_X86_64_SIZE64) {
            one_load(&one);
            one_free(&one);
        } else {
            one_refuse(&one, HX_E_RELOC, HX_LDR_RELOCATE, "section that is not loaded");
        }
    }
}

/* The result of @type against a value and an addend: written as @expected, or refused. */
static void check_value(uint32_t type, uint64_t value, int64_t addend, bool fits)
{
    struct one one = one_new();

    one.fixture->far_value = value;
    one_set(&one, ONE_CONSTANTS, 0, type, 8, "hx_clock_ns", addend);
    if (!fits) {
        one_refuse(&one, HX_E_RANGE, HX_LDR_RELOCATE, "does not fit");
        return;
    }
    one_load(&one);
    cr_assert_eq((uint8_t)one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 1), (uint8_t)(value + (uint64_t)addend));
    if (type == R_X86_64_16)
        cr_assert_eq((uint16_t)one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 2), (uint16_t)(value + (uint64_t)addend));
    one_free(&one);
}

Test(elf_link, eight_bits_hold_what_is_a_byte_with_or_without_sign)
{
    check_value(R_X86_64_8, 0xff, 0, true);
    check_value(R_X86_64_8, 0x100, 0, false);
    check_value(R_X86_64_8, 0x100, -1, true);
    check_value(R_X86_64_8, (uint64_t)-0x80, 0, true);
    check_value(R_X86_64_8, (uint64_t)-0x81, 0, false);
}

Test(elf_link, sixteen_bits_hold_what_is_a_word_with_or_without_sign)
{
    check_value(R_X86_64_16, 0xffff, 0, true);
    check_value(R_X86_64_16, 0xffff, 1, false);
    check_value(R_X86_64_16, (uint64_t)-0x8000, 0, true);
    check_value(R_X86_64_16, (uint64_t)-0x8000, -1, false);
}

/* A distance from the place: the addend alone, against the start of the section. */
static void check_distance(uint32_t type, int64_t distance, size_t bytes, bool fits)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, type, 8, "one_constants", distance + 8);
    if (!fits) {
        one_refuse(&one, HX_E_RANGE, HX_LDR_RELOCATE, "does not fit");
        return;
    }
    one_load(&one);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), bytes),
                 (int64_t)((uint64_t)distance << (64 - 8 * bytes)) >> (64 - 8 * bytes));
    one_free(&one);
}

Test(elf_link, distances_are_checked_for_their_width)
{
    check_distance(R_X86_64_PC8, 0x7f, 1, true);
    check_distance(R_X86_64_PC8, 0x80, 1, false);
    check_distance(R_X86_64_PC8, -0x80, 1, true);
    check_distance(R_X86_64_PC8, -0x81, 1, false);
    check_distance(R_X86_64_PC16, 0xffff, 2, true); /* 16-bit code wraps around */
    check_distance(R_X86_64_PC16, 0x10000, 2, false);
    check_distance(R_X86_64_PC16, -0x8000, 2, true);
    check_distance(R_X86_64_PC16, -0x8001, 2, false);
    check_distance(R_X86_64_PC32, INT32_MAX, 4, true);
    check_distance(R_X86_64_PC32, INT64_C(1) + INT32_MAX, 4, false);
    check_distance(R_X86_64_PC32, INT32_MIN, 4, true);
    check_distance(R_X86_64_PC32, INT64_C(-1) + INT32_MIN, 4, false);
    check_distance(R_X86_64_PC64, INT64_MIN, 8, true);
}

Test(elf_link, a_size_is_the_symbols)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_SIZE32, 8, "one_here", 3);
    one_set(&one, ONE_CONSTANTS, 1, R_X86_64_SIZE64, 16, "one_here", -1);
    one_load(&one);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 4), 27);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 16), 8), 23);
    one_free(&one);
    one = one_new();
    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_SIZE32, 8, "one_here", -25);
    one_refuse(&one, HX_E_RANGE, HX_LDR_RELOCATE, "0xffffffffffffffff does not fit 32 bits");
}

Test(elf_link, what_does_not_fit_says_how_to_build)
{
    static const struct {
        uint32_t type;
        uint64_t value;
        const char *words;
    } cases[] = {
        { R_X86_64_32, UINT64_C(0xffffffff80001000), "; build with -mcmodel=kernel" },
        { R_X86_64_32, UINT64_C(0x123456789000), "; build with -fPIC" },
        { R_X86_64_32S, UINT64_C(0x123456789000), "; build with -fPIC" },
        { R_X86_64_PC32, UINT64_C(0x123456789000), "; build with -mcmodel=large" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct one one = one_new();

        one.fixture->far_value = cases[i].value;
        one_set(&one, ONE_CONSTANTS, 0, cases[i].type, 8, "hx_clock_ns", 0);
        one_refuse(&one, HX_E_RANGE, HX_LDR_RELOCATE, cases[i].words);
    }
}

/* Plain ones on both sides of one that is not: the loop takes up where it stopped. */
Test(elf_link, plain_relocations_go_on_behind_another)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_16, 0, "hx_clock_ns", -0x12300);
    one_set(&one, ONE_CONSTANTS, 1, R_X86_64_64, 8, "hx_clock_ns", 0);
    one_load(&one);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 0), 2), 0x45);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 8), 0x12345);
    cr_assert_eq(one.image->relocation_count, 6u);
    one_free(&one);
}
