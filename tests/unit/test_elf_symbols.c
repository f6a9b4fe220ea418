/* SPDX-License-Identifier: MIT */
/* test_elf_symbols.c - every symbol is checked and has one value; all that is missing is said at once. */
#include "loader_fixture.h"

#define REFUSED(name, fixture_name, expected, words, patch)                                                            \
    Test(elf_symbols, name)                                                                                            \
    {                                                                                                                  \
        struct object object = object_read(fixture_name);                                                              \
        patch;                                                                                                         \
        fixture_refuse_object(&object, expected, HX_LDR_SYMBOLS, words);                                               \
    }
#define SYMBOL(name) object_symbol(&object, name)

REFUSED(a_name_outside_is_refused, "good", HX_E_FORMAT, "its name lies outside",
        SYMBOL("good_add")->st_name = (uint32_t)object_section(&object, ".strtab")->sh_size)
REFUSED(a_thread_local_variable_is_refused, "tls", HX_E_UNSUPPORTED, "__thread", (void)0)
REFUSED(a_thread_local_import_is_refused, "tls_import", HX_E_UNSUPPORTED, "remove __thread", (void)0)
REFUSED(an_indirect_function_is_refused, "ifunc", HX_E_UNSUPPORTED, "ifunc", (void)0)
REFUSED(a_common_symbol_without_alignment_is_refused, "common", HX_E_FORMAT, "no power of two",
        SYMBOL("common_variable")->st_value = 0)
REFUSED(a_common_symbol_with_an_odd_alignment_is_refused, "common", HX_E_FORMAT, "no power of two",
        SYMBOL("common_variable")->st_value = 24)
REFUSED(a_common_symbol_with_a_huge_alignment_is_refused, "common", HX_E_FORMAT, "no power of two up to a page",
        SYMBOL("common_variable")->st_value = 8192)
REFUSED(a_huge_common_symbol_is_refused, "common", HX_E_LIMIT, "exceed 16 MiB",
        SYMBOL("common_variable")->st_size = UINT64_MAX)
REFUSED(an_unknown_type_is_refused, "good", HX_E_UNSUPPORTED, "`good_add': symbol type 9",
        SYMBOL("good_add")->st_info = ELF64_ST_INFO(STB_GLOBAL, 9))
REFUSED(an_unknown_binding_is_refused, "good", HX_E_UNSUPPORTED, "symbol binding 7",
        SYMBOL("good_add")->st_info = ELF64_ST_INFO(7, STT_FUNC))
REFUSED(a_local_symbol_after_the_globals_is_refused, "good", HX_E_FORMAT, "sh_info",
        SYMBOL("good_add")->st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC))
REFUSED(a_global_symbol_before_the_locals_end_is_refused, "good", HX_E_FORMAT, "sh_info",
        SYMBOL("good_init")->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC))
REFUSED(a_section_that_does_not_exist_is_refused, "good", HX_E_FORMAT, "does not exist",
        SYMBOL("good_add")->st_shndx = object_header(&object)->e_shnum)
REFUSED(a_reserved_section_number_is_refused, "good", HX_E_UNSUPPORTED, "0xff05", SYMBOL("good_add")->st_shndx = 0xff05)
REFUSED(an_extended_section_number_is_refused, "good", HX_E_UNSUPPORTED, "SHN_XINDEX",
        SYMBOL("good_add")->st_shndx = SHN_XINDEX)
REFUSED(a_value_outside_of_its_section_is_refused, "good", HX_E_FORMAT, "outside of its section",
        SYMBOL("good_add")->st_value = object_section(&object, ".text")->sh_size + 1)
REFUSED(a_size_that_leaves_its_section_is_refused, "good", HX_E_FORMAT, "outside of its section",
        SYMBOL("good_add")->st_size = object_section(&object, ".text")->sh_size + 1)
REFUSED(a_size_that_wraps_is_refused, "good", HX_E_FORMAT, "outside of its section",
        SYMBOL("good_call")->st_size = UINT64_MAX)
REFUSED(an_import_without_name_is_refused, "good", HX_E_FORMAT, "must be global and have a name",
        SYMBOL("hx_log")->st_name = 0)
REFUSED(a_local_import_is_refused, "good", HX_E_FORMAT, "must be global and have a name",
        SYMBOL("good_init")->st_shndx = SHN_UNDEF)

Test(elf_symbols, all_missing_names_are_said_at_once)
{
    struct object object = object_read("missing");
    struct fixture *fixture = fixture_new();
    struct hx_ldr_report report;

    fixture_refuse(fixture, &object, HX_E_SYMBOL, HX_LDR_SYMBOLS, "undefined: missing_", &report);
    cr_assert_eq(report.missing_count, 3u);
    cr_assert_not_null(strstr(report.message, "missing_one"));
    cr_assert_not_null(strstr(report.message, "missing_two"));
    cr_assert_not_null(strstr(report.message, "missing_three"));
    cr_assert_not_null(strstr(report.message, "HX_REQUIRES"));
    cr_assert_null(strstr(report.message, "missing_weak"));
    cr_assert_null(strstr(report.message, " more"));
    cr_assert_eq(strncmp(report.symbol, "missing_", 8), 0);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, more_missing_names_than_fit_are_counted)
{
    struct object object = object_read("many_missing");
    struct fixture *fixture = fixture_new();
    struct hx_ldr_report report;
    uint32_t listed = 0, more = 0;

    fixture_refuse(fixture, &object, HX_E_SYMBOL, HX_LDR_SYMBOLS, "a_function_that_nobody_provides_", &report);
    cr_assert_eq(report.missing_count, 64u);
    for (const char *at = report.message; (at = strstr(at, "provides_")); at++)
        listed++;
    cr_assert_eq(sscanf(strstr(report.message, " and ") + 5, "%u more", &more), 1);
    cr_assert_gt(listed, 4u);
    cr_assert_eq(listed + more, 64u);
    cr_assert_eq(report.message[strlen(report.message) - 1], 'S', "the hint is whole: %s", report.message);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, a_missing_offset_table_hints_at_the_compiler_flag)
{
    struct object object = object_read("missing");
    struct fixture *fixture = fixture_new();
    Elf64_Shdr *names;
    size_t index = object_symbol_index(&object, "missing_weak");

    object_resize(&object, object.size + 64);
    names = object_section(&object, ".strtab");
    memcpy(object.bytes + object.size - 64, "\0_GLOBAL_OFFSET_TABLE_", 23);
    object_symbol_at(&object, index)->st_name = (uint32_t)(object.size - 63 - names->sh_offset);
    object_symbol_at(&object, index)->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    names->sh_size = object.size - names->sh_offset;
    for (size_t i = 1; i < object_section(&object, ".symtab")->sh_size / sizeof(Elf64_Sym); i++)
        if (object_symbol_at(&object, i)->st_shndx == SHN_UNDEF && i != index)
            object_symbol_at(&object, i)->st_shndx = SHN_ABS;
    fixture_refuse(fixture, &object, HX_E_SYMBOL, HX_LDR_SYMBOLS, "_GLOBAL_OFFSET_TABLE_; build with -fno-pic", NULL);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, an_import_that_the_environment_refuses_is_refused_with_its_error)
{
    struct object object = object_read("good");
    Elf64_Shdr *names = object_section(&object, ".strtab");

    object_resize(&object, object.size + 32);
    names = object_section(&object, ".strtab");
    memcpy(object.bytes + object.size - 32, "\0refused_import", 16);
    object_symbol(&object, "hx_log")->st_name = (uint32_t)(object.size - 31 - names->sh_offset);
    names->sh_size = object.size - names->sh_offset;
    fixture_refuse_object(&object, HX_E_PERM, HX_LDR_SYMBOLS, "`refused_import': it cannot be imported");
}

Test(elf_symbols, an_absent_weak_symbol_is_zero_and_a_present_one_is_not)
{
    struct object object = object_read("weak");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    int (*which)(void) = (int (*)(void))fixture_address(image, &object, "weak_which");

    cr_assert_eq(which(), 2);
    cr_assert_eq(image->import_count, 1u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, each_symbol_is_resolved_once)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    cr_assert_eq(fixture->resolve_count, 2u);
    cr_assert_eq(image->import_count, 2u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, an_absolute_symbol_keeps_its_value)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;
    uint64_t (*address)(void);

    object_symbol(&object, "hx_clock_ns")->st_shndx = SHN_ABS;
    object_symbol(&object, "hx_clock_ns")->st_value = 0x5678;
    image = fixture_load(fixture, &object);
    address = (uint64_t(*)(void))fixture_address(image, &object, "good_import_address");
    cr_assert_eq(address(), 0x5678u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, the_end_of_a_section_is_a_place_in_it)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    Elf64_Sym *symbol = object_symbol(&object, "good_init");

    symbol->st_value = object_section(&object, ".text")->sh_size;
    symbol->st_size = 0;
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    symbol->st_size = 1;
    fixture_refuse(fixture, &object, HX_E_FORMAT, HX_LDR_SYMBOLS, "outside of its section", NULL);
    free(object.bytes);
    free(fixture);
}

/* What C++ compilers make of variables in inline functions: within one module it is a global symbol. */
Test(elf_symbols, a_unique_symbol_is_like_a_global_one)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();

    object_symbol(&object, "good_add")->st_info = ELF64_ST_INFO(STB_GNU_UNIQUE, STT_FUNC);
    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, common_symbols_that_do_not_fit_together_are_refused)
{
    struct object object = object_read("common");

    object_symbol(&object, "common_variable")->st_size = 9 << 20;
    object_symbol(&object, "common_array")->st_size = 9 << 20;
    fixture_refuse_object(&object, HX_E_LIMIT, HX_LDR_PLACE, "exceed 16 MiB");
}
