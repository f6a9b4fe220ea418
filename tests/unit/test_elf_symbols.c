/* SPDX-License-Identifier: MIT */
/* test_elf_symbols.c - every symbol is checked and has one value; all that is missing is said at once. */
#include "loader_fixture.h"

/* Objects as compilers make them. Each check by itself: tests/malformed/cases.py. */
#define REFUSED(name, fixture_name, expected, words)                                                                   \
    Test(elf_symbols, name)                                                                                            \
    {                                                                                                                  \
        struct object object = object_read(fixture_name);                                                              \
        fixture_refuse_object(&object, expected, HX_LDR_SYMBOLS, words);                                               \
    }

REFUSED(a_thread_local_variable_is_refused, "tls", HX_E_UNSUPPORTED, "__thread")
REFUSED(a_thread_local_import_is_refused, "tls_import", HX_E_UNSUPPORTED, "remove __thread")
REFUSED(an_indirect_function_is_refused, "ifunc", HX_E_UNSUPPORTED, "ifunc")

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

/* The names that no source says: one of the missing object's becomes @name. */
static void check_hint(const char *name, const char *words)
{
    struct object object = object_read("missing");
    struct fixture *fixture = fixture_new();
    size_t index = object_symbol_index(&object, "missing_two"), old = object.size;
    Elf64_Shdr *names;

    object_resize(&object, old + 64);
    names = object_section(&object, ".strtab");
    strcpy((char *)object.bytes + old + 1, name);
    object_symbol_at(&object, index)->st_name = (uint32_t)(old + 1 - names->sh_offset);
    names->sh_size = object.size - names->sh_offset;
    fixture_refuse(fixture, &object, HX_E_SYMBOL, HX_LDR_SYMBOLS, words, NULL);
    free(object.bytes);
    free(fixture);
}

Test(elf_symbols, names_that_compilers_emit_come_with_the_flag_that_avoids_them)
{
    check_hint("__stack_chk_fail", "; build with -fno-stack-protector");
    check_hint("__cxa_atexit", "-fno-use-cxa-atexit");
    check_hint("__dso_handle", "-fno-use-cxa-atexit");
    check_hint("__cxa_guard_acquire", "-fno-threadsafe-statics");
    check_hint("__gxx_personality_v0", "-fno-exceptions");
    check_hint("_Unwind_Resume", "-fno-exceptions");
    check_hint("_ZTVN10__cxxabiv117__class_type_infoE", "-fno-rtti");
    check_hint("__tls_get_addr", "-D__thread=");
    check_hint("__fentry__", "without -pg");
    check_hint("__asan_load8", "-fno-sanitize=all");
    check_hint("__ubsan_handle_add_overflow", "-fno-sanitize=all");
    check_hint("__memcpy_chk", "-U_FORTIFY_SOURCE");
    check_hint("memcpy", "kernel/lib/string.c");
    check_hint("__morestack_non_split", "-fno-split-stack");
    check_hint("atexit", "static objects");
    check_hint("__udivti3", "no libgcc");
    check_hint("memcpy_", "HX_REQUIRES");
    check_hint("__stack_ch", "HX_REQUIRES");
    check_hint("__c_chkk", "HX_REQUIRES");
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

/* Assemblers keep every name that is declared global; only what is loaded and refers to one misses it. */
Test(elf_symbols, a_name_that_nothing_loaded_refers_to_is_not_missed)
{
    struct object object = object_read("missing");
    struct fixture *fixture = fixture_new();
    struct hx_image *image;

    for (size_t i = 1; i < object_header(&object)->e_shnum; i++) {
        Elf64_Shdr *section = object_section_at(&object, i);
        Elf64_Rela *rela = (Elf64_Rela *)(void *)(object.bytes + section->sh_offset);

        for (size_t r = 0; section->sh_type == SHT_RELA && r < section->sh_size / sizeof(*rela); r++)
            object_rela_type(&rela[r], R_X86_64_NONE);
    }
    image = fixture_load(fixture, &object);
    cr_assert_eq(image->import_count, 0u);
    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}
