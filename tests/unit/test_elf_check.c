/* SPDX-License-Identifier: MIT */
/*
 * test_elf_check.c - each check of header, section table and string tables refuses, in words that name it.
 *
 * One object that is in order, one field of it changed a test.
 */
#include "loader_fixture.h"

/* @patch runs with `object`; what is left must be refused. */
#define REFUSED(name, expected, step, words, patch)                                                                    \
    Test(elf_check, name)                                                                                              \
    {                                                                                                                  \
        struct object object = object_read("good");                                                                    \
        patch;                                                                                                         \
        fixture_refuse_object(&object, expected, step, words);                                                         \
    }
#define HEADER object_header(&object)
#define SECTION(name) object_section(&object, name)

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

REFUSED(an_empty_file_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "0 bytes", object_resize(&object, 0))
REFUSED(a_file_of_zeroes_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "not an ELF file", memset(object.bytes, 0, object.size))
REFUSED(a_wrong_magic_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "7f 45 4c 47", HEADER->e_ident[EI_MAG3] = 'G')
REFUSED(a_32_bit_object_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "-m64", HEADER->e_ident[EI_CLASS] = ELFCLASS32)
REFUSED(big_endian_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "little-endian", HEADER->e_ident[EI_DATA] = ELFDATA2MSB)
REFUSED(an_unknown_ident_version_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "version", HEADER->e_ident[EI_VERSION] = 2)
REFUSED(an_unknown_version_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "version 2", HEADER->e_version = 2)
REFUSED(another_os_abi_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "OS/ABI 9", HEADER->e_ident[EI_OSABI] = 9)
REFUSED(another_machine_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "machine 183", HEADER->e_machine = EM_AARCH64)
REFUSED(an_executable_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "executable or shared object",
        HEADER->e_type = ET_EXEC)
REFUSED(a_shared_object_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "executable or shared object",
        HEADER->e_type = ET_DYN)
REFUSED(a_core_file_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "ELF type 4", HEADER->e_type = ET_CORE)
REFUSED(a_wrong_header_size_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "e_ehsize", HEADER->e_ehsize = 52)
REFUSED(a_wrong_section_header_size_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "e_shentsize", HEADER->e_shentsize = 40)
REFUSED(no_sections_are_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "e_shnum", HEADER->e_shnum = 0)
REFUSED(extended_numbering_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "e_shnum", HEADER->e_shnum = SHN_LORESERVE)
REFUSED(section_headers_past_the_end_are_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section headers",
        HEADER->e_shoff = object.size - 64)
REFUSED(a_section_header_offset_that_wraps_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section headers",
        HEADER->e_shoff = UINT64_MAX - 63)
REFUSED(more_section_headers_than_fit_are_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section headers",
        HEADER->e_shnum = 0xfeff)
REFUSED(a_name_table_index_out_of_range_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "e_shstrndx",
        HEADER->e_shstrndx = HEADER->e_shnum)
REFUSED(no_name_table_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "e_shstrndx", HEADER->e_shstrndx = SHN_UNDEF)
REFUSED(an_extended_name_table_index_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "SHN_XINDEX",
        HEADER->e_shstrndx = SHN_XINDEX)
REFUSED(a_name_table_of_another_type_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "no string table",
        SECTION(".shstrtab")->sh_type = SHT_PROGBITS)
REFUSED(a_name_table_outside_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section names",
        SECTION(".shstrtab")->sh_offset = object.size)
REFUSED(an_empty_name_table_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "NUL", SECTION(".shstrtab")->sh_size = 0)
REFUSED(a_name_table_without_last_nul_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "NUL", SECTION(".shstrtab")->sh_size--)
REFUSED(a_section_name_outside_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "its name",
        SECTION(".text")->sh_name = (uint32_t)SECTION(".shstrtab")->sh_size)

REFUSED(section_content_outside_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section .text: its content",
        SECTION(".text")->sh_size = object.size)
REFUSED(a_section_offset_that_wraps_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section .text: its content",
        SECTION(".text")->sh_offset = UINT64_MAX)
REFUSED(a_section_size_that_wraps_is_refused, HX_E_TRUNCATED, HX_LDR_CHECK, "section .data: its content",
        SECTION(".data")->sh_size = UINT64_MAX - 16)
REFUSED(an_alignment_that_is_no_power_of_two_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "alignment 0x18",
        SECTION(".data")->sh_addralign = 24)
REFUSED(relocations_without_addend_are_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "SHT_REL",
        SECTION(".rela.data")->sh_type = SHT_REL)
REFUSED(an_extended_index_table_is_refused, HX_E_UNSUPPORTED, HX_LDR_CHECK, "SHN_XINDEX",
        SECTION(".comment")->sh_type = SHT_SYMTAB_SHNDX)

REFUSED(a_stripped_object_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "no symbol table",
        SECTION(".symtab")->sh_type = SHT_PROGBITS)
REFUSED(a_second_symbol_table_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "second symbol table",
        SECTION(".comment")->sh_type = SHT_SYMTAB)
REFUSED(a_wrong_symbol_size_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_entsize is 16",
        SECTION(".symtab")->sh_entsize = 16)
REFUSED(a_size_of_part_of_a_symbol_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "no count of symbols",
        SECTION(".symtab")->sh_size -= 8)
REFUSED(an_empty_symbol_table_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "no count of symbols",
        SECTION(".symtab")->sh_size = 0)
REFUSED(a_first_global_past_the_table_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_info",
        SECTION(".symtab")->sh_info = 100000)
REFUSED(a_first_global_of_zero_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_info", SECTION(".symtab")->sh_info = 0)
REFUSED(a_symbol_name_table_of_another_type_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_link",
        SECTION(".symtab")->sh_link = (uint32_t)object_section_index(&object, ".text"))
REFUSED(a_symbol_name_table_that_does_not_exist_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_link",
        SECTION(".symtab")->sh_link = HEADER->e_shnum)
REFUSED(a_symbol_name_table_without_last_nul_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "section .strtab",
        SECTION(".strtab")->sh_size--)

REFUSED(relocations_of_no_section_are_refused, HX_E_FORMAT, HX_LDR_CHECK, "section .rela.data: sh_info 0",
        SECTION(".rela.data")->sh_info = 0)
REFUSED(relocations_of_a_section_that_does_not_exist_are_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_info",
        SECTION(".rela.data")->sh_info = HEADER->e_shnum)
REFUSED(relocations_by_another_symbol_table_are_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_link",
        SECTION(".rela.data")->sh_link--)
REFUSED(a_wrong_relocation_size_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "sh_entsize",
        SECTION(".rela.data")->sh_entsize = 16)
REFUSED(a_size_of_part_of_a_relocation_is_refused, HX_E_FORMAT, HX_LDR_CHECK, "size 0x17",
        SECTION(".rela.data")->sh_size--)

Test(elf_check, two_groups_are_accepted)
{
    struct object object = object_read("group");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_check, one_group_twice_is_refused)
{
    struct object object = object_read("group");

    object_section_at(&object, 2)->sh_info = object_section_at(&object, 1)->sh_info;
    fixture_refuse_object(&object, HX_E_UNSUPPORTED, HX_LDR_CHECK, "there twice");
}

Test(elf_check, two_groups_of_one_name_are_refused)
{
    struct object object = object_read("group");

    object_symbol(&object, "group_second")->st_name = object_symbol(&object, "group_first")->st_name;
    fixture_refuse_object(&object, HX_E_UNSUPPORTED, HX_LDR_CHECK, "there twice");
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

Test(elf_check, a_group_without_signature_is_refused)
{
    struct object object = object_read("group");

    object_section_at(&object, 1)->sh_info = 1000;
    fixture_refuse_object(&object, HX_E_FORMAT, HX_LDR_CHECK, "signature");
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
