/* SPDX-License-Identifier: MIT */
/* test_elf_got.c - GOT slots and veneers are made where they are needed, and nowhere else. */
#include "one_fixture.h"

/* ---- modules as compilers make them ---------------------------------------------------------------------------------- */
static void run_pic(const char *name)
{
    struct object object = object_read(name);
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);
    uint64_t (*call)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "pic_call");
    uint64_t (*pointer)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "pic_by_pointer");
    uint64_t (*agrees)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "pic_address_agrees");
    uint64_t (*jump)(uint64_t) = (uint64_t(*)(uint64_t))fixture_address(image, &object, "pic_switch");
    uint64_t (*import)(void) = (uint64_t(*)(void))fixture_address(image, &object, "pic_import_address");
    uint64_t (*log_it)(void) = (uint64_t(*)(void))fixture_address(image, &object, "pic_log");
    uint64_t (*weak)(void) = (uint64_t(*)(void))fixture_address(image, &object, "pic_weak");

    cr_assert_eq(call(1), 49u);
    cr_assert_eq(pointer(2), 44u);
    cr_assert_eq(agrees(fixture_address(image, &object, "pic_global")), 1u);
    cr_assert_eq(agrees(1), 0u);
    cr_assert_eq(import(), 0x12345u);
    cr_assert_eq(log_it(), 5u);
    cr_assert_eq(weak(), 7u);
    cr_assert_eq(jump(5), 200u);
    cr_assert_eq(jump(4), 2u);
    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
    free(object.bytes);
    free(fixture);
}

Test(elf_got, position_independent_code_runs)
{
    run_pic("pic_small");
}

Test(elf_got, calls_by_the_table_run)
{
    run_pic("pic_no_plt");
}

Test(elf_got, code_that_may_not_be_relaxed_runs)
{
    run_pic("pic_unrelaxed");
}

Test(elf_got, large_position_independent_code_runs)
{
    run_pic("pic_large");
}

Test(elf_got, every_allocation_of_a_load_with_a_table_may_fail)
{
    struct object object = object_read("pic_large");
    struct fixture *fixture = fixture_new();
    struct hx_ldr_report report;
    struct hx_image *image = NULL;

    hx_ldr_unload(fixture_load(fixture, &object), &fixture->env);
    for (uint32_t count = fixture->alloc_count, n = 1; n <= count; n++) {
        fixture->alloc_count = 0;
        fixture->fail_at = n;
        cr_assert_eq(hx_ldr_load(object_slice(&object), &fixture->env, &image, &report), HX_E_NOMEM);
        cr_assert_eq(fixture->live, 0u, "%u allocations left", fixture->live);
    }
    free(object.bytes);
    free(fixture);
}

/* ---- slots ----------------------------------------------------------------------------------------------------------- */
Test(elf_got, a_module_that_needs_none_gets_none)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    struct hx_image *image = fixture_load(fixture, &object);

    cr_assert_eq(image->got.bytes, 0u);
    cr_assert_eq(image->veneers.bytes, 0u);
    hx_ldr_unload(image, &fixture->env);
    free(object.bytes);
    free(fixture);
}

Test(elf_got, two_relocations_against_a_symbol_share_its_slot)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_GOTPCREL, 8, "one_here", 0);
    one_set(&one, ONE_CONSTANTS, 1, R_X86_64_GOTPCREL64, 16, "one_here", 5);
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 8u);
    cr_assert_eq(one_got(&one) % 8, 0u);
    cr_assert_eq((uint64_t)one_read(&one, one_got(&one), 8), fixture_address(one.image, &one.object, "one_here"));
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 4),
                 (int64_t)(one_got(&one) - one_va(&one, ONE_CONSTANTS, 8)));
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 16), 8),
                 (int64_t)(one_got(&one) + 5 - one_va(&one, ONE_CONSTANTS, 16)));
    one_free(&one);
}

Test(elf_got, two_symbols_have_two_slots_whatever_their_values)
{
    struct one one = one_new();

    one.fixture->far_value = UINT64_C(0xfedcba9876543210);
    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_GOT64, 8, "one_here", 0);
    one_set(&one, ONE_CONSTANTS, 1, R_X86_64_GOTPLT64, 16, "hx_clock_ns", 0);
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 16u);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 8), 0);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 16), 8), 8);
    cr_assert_eq((uint64_t)one_read(&one, one_got(&one), 8), fixture_address(one.image, &one.object, "one_here"));
    cr_assert_eq((uint64_t)one_read(&one, one_got(&one) + 8, 8), UINT64_C(0xfedcba9876543210));
    one_free(&one);
}

Test(elf_got, the_slots_of_an_absolute_and_of_an_open_weak_symbol_hold_their_values)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_GOT32, 8, "one_absolute", 1);
    one_set(&one, ONE_CONSTANTS, 1, R_X86_64_GOT32, 16, "one_nowhere", 0);
    one_load(&one);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 4), 1);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 16), 4), 8);
    cr_assert_eq(one_read(&one, one_got(&one), 8), INT64_C(0x123456789abc));
    cr_assert_eq(one_read(&one, one_got(&one) + 8, 8), 0);
    one_free(&one);
}

Test(elf_got, the_place_of_the_table_can_be_asked_for_without_a_slot)
{
    static const uint32_t types[] = { R_X86_64_GOTPC32, R_X86_64_GOTPC64, R_X86_64_GOTOFF64, R_X86_64_PLTOFF64 };

    for (size_t i = 0; i < 2 * HX_ARRAY_SIZE(types); i++) {
        struct one one = one_new();
        const uint32_t type = types[i / 2];
        bool from_got = type == R_X86_64_GOTOFF64 || type == R_X86_64_PLTOFF64;

        if (i % 2) /* nothing far away hints at what is needed */
            object_symbol(&one.object, "one_absolute")->st_value = 0x1000;

        one_set(&one, ONE_CONSTANTS, 0, type, 8, "one_here", 3);
        one_load(&one);
        cr_assert_eq(one.image->got.bytes, 8u);
        cr_assert_eq(one_read(&one, one_got(&one), 8), 0);
        cr_assert_eq(one_read(&one, one_va(&one, ONE_CONSTANTS, 8), type == R_X86_64_GOTPC32 ? 4 : 8),
                     from_got ? (int64_t)(fixture_address(one.image, &one.object, "one_here") + 3 - one_got(&one))
                              : (int64_t)(one_got(&one) + 3 - one_va(&one, ONE_CONSTANTS, 8)));
        one_free(&one);
    }
}

/* The object's undefined import becomes the name of the table; the string is long enough to be overwritten elsewhere. */
static void name_symbol(struct one *one, const char *symbol, const char *name)
{
    size_t index = object_symbol_index(&one->object, symbol);
    Elf64_Shdr *names = object_section_at(&one->object, object_section(&one->object, ".symtab")->sh_link);
    size_t end = one->object.size, extra = strlen(name) + 1;
    uint64_t names_off = names->sh_offset, names_bytes = names->sh_size;

    object_resize(&one->object, end + names_bytes + extra); /* the string table moves to the end and grows */
    names = object_section_at(&one->object, object_section(&one->object, ".symtab")->sh_link);
    memcpy(one->object.bytes + end, one->object.bytes + names_off, names_bytes);
    memcpy(one->object.bytes + end + names_bytes, name, extra);
    object_symbol_at(&one->object, index)->st_name = (uint32_t)names_bytes;
    names->sh_offset = end;
    names->sh_size = names_bytes + extra;
}

Test(elf_got, its_undefined_name_is_its_first_byte)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_64, 8, "hx_clock_ns", 0);
    name_symbol(&one, "hx_clock_ns", "_GLOBAL_OFFSET_TABLE_");
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 8u);
    cr_assert_eq((uint64_t)one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 8), one_got(&one));
    cr_assert_eq(one.image->import_count, 0u);
    one_free(&one);
}

Test(elf_got, a_definition_of_its_name_is_the_modules_own)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_64, 8, "one_text", 0);
    name_symbol(&one, "one_text", "_GLOBAL_OFFSET_TABLE_");
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 0u);
    cr_assert_eq((uint64_t)one_read(&one, one_va(&one, ONE_CONSTANTS, 8), 8), one_va(&one, ONE_TEXT, 0));
    one_free(&one);
}

Test(elf_got, its_name_undefined_twice_is_refused)
{
    struct one one = one_new();

    name_symbol(&one, "hx_clock_ns", "_GLOBAL_OFFSET_TABLE_");
    name_symbol(&one, "one_nowhere", "_GLOBAL_OFFSET_TABLE_");
    one_refuse(&one, HX_E_FORMAT, HX_LDR_SYMBOLS, "`_GLOBAL_OFFSET_TABLE_': it is there twice");
}

Test(elf_got, a_table_that_exceeds_the_image_is_refused)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_GOT64, 8, "one_here", 0);
    object_section(&one.object, ".bss")->sh_size = (16 << 20) - 112;
    one_refuse(&one, HX_E_LIMIT, HX_LDR_PLACE, "global offset table of 0x8");
}

/* ---- relaxation: what GNU ld 2.40 makes of each form, byte for byte ----------------------------------------------------- */
enum result {
    SLOT,     /* as it was, with the distance to the slot */
    RELATIVE, /* the distance to the symbol */
    ABSOLUTE, /* the symbol */
};

struct form {
    uint32_t type;
    const char *before; /* the instruction up to the field */
    uint8_t before_bytes;
    enum result result;
    const char *after; /* what it is to become, up to the field; not for SLOT */
    uint8_t after_bytes;
    bool nop; /* a nop follows, and the field is one byte earlier */
};

#define X R_X86_64_GOTPCRELX
#define RX R_X86_64_REX_GOTPCRELX
#define OLD R_X86_64_GOTPCREL
#define CODE(text) text, sizeof(text) - 1

/* Everything reaches: a symbol in [0, 2 GiB). */
static const struct form near_forms[] = {
    { X, CODE("\xff\x15"), RELATIVE, CODE("\x67\xe8"), false },           /* call */
    { X, CODE("\xff\x25"), RELATIVE, CODE("\xe9"), true },                /* jmp */
    { X, CODE("\x48\xff\x15"), RELATIVE, CODE("\x48\x67\xe8"), false },   /* rex.W call */
    { RX, CODE("\x48\x8b\x05"), ABSOLUTE, CODE("\x48\xc7\xc0"), false },  /* mov rax */
    { RX, CODE("\x4c\x8b\x3d"), ABSOLUTE, CODE("\x49\xc7\xc7"), false },  /* mov r15 */
    { X, CODE("\x8b\x0d"), ABSOLUTE, CODE("\xc7\xc1"), false },           /* mov ecx */
    { RX, CODE("\x44\x8b\x0d"), ABSOLUTE, CODE("\x41\xc7\xc1"), false },  /* mov r9d */
    { RX, CODE("\x48\x85\x1d"), ABSOLUTE, CODE("\x48\xf7\xc3"), false },  /* test rbx */
    { RX, CODE("\x4c\x85\x1d"), ABSOLUTE, CODE("\x49\xf7\xc3"), false },  /* test r11 */
    { X, CODE("\x85\x1d"), ABSOLUTE, CODE("\xf7\xc3"), false },           /* test ebx */
    { RX, CODE("\x48\x13\x15"), ABSOLUTE, CODE("\x48\x81\xd2"), false },  /* adc rdx */
    { RX, CODE("\x4c\x03\x05"), ABSOLUTE, CODE("\x49\x81\xc0"), false },  /* add r8 */
    { RX, CODE("\x48\x23\x3d"), ABSOLUTE, CODE("\x48\x81\xe7"), false },  /* and rdi */
    { RX, CODE("\x48\x3b\x35"), ABSOLUTE, CODE("\x48\x81\xfe"), false },  /* cmp rsi */
    { RX, CODE("\x4c\x0b\x25"), ABSOLUTE, CODE("\x49\x81\xcc"), false },  /* or r12 */
    { RX, CODE("\x48\x1b\x2d"), ABSOLUTE, CODE("\x48\x81\xdd"), false },  /* sbb rbp */
    { RX, CODE("\x48\x2b\x25"), ABSOLUTE, CODE("\x48\x81\xec"), false },  /* sub rsp */
    { RX, CODE("\x4c\x33\x2d"), ABSOLUTE, CODE("\x49\x81\xf5"), false },  /* xor r13 */
    { X, CODE("\x33\x05"), ABSOLUTE, CODE("\x81\xf0"), false },           /* xor eax */
    { RX, CODE("\x44\x3b\x15"), ABSOLUTE, CODE("\x41\x81\xfa"), false },  /* cmp r10d */
    { OLD, CODE("\x48\x8b\x05"), RELATIVE, CODE("\x48\x8d\x05"), false }, /* mov rax: lea */
    { OLD, CODE("\x44\x8b\x0d"), RELATIVE, CODE("\x44\x8d\x0d"), false }, /* mov r9d: lea */
    { OLD, CODE("\xff\x15"), SLOT, NULL, 0, false },                      /* the old type says too little */
    { OLD, CODE("\x48\x85\x1d"), SLOT, NULL, 0, false },                  /* the same */
    { OLD, CODE("\x48\x03\x05"), SLOT, NULL, 0, false },                  /* the same */
    { X, CODE("\xff\x35"), SLOT, NULL, 0, false },                        /* push */
    { X, CODE("\xff\x14"), SLOT, NULL, 0, false },                        /* call by a register */
    { RX, CODE("\x48\x8b\x04"), SLOT, NULL, 0, false },                   /* mov, but not at rip */
    { RX, CODE("\x48\x8d\x05"), SLOT, NULL, 0, false },                   /* lea of the slot */
    { RX, CODE("\x48\x89\x05"), SLOT, NULL, 0, false },                   /* a store */
    { RX, CODE("\x49\x8b\x05"), SLOT, NULL, 0, false },                   /* a prefix bit that would name r8 */
    { X, CODE("\x43\x05"), SLOT, NULL, 0, false },                        /* no such operation */
    { RX, CODE("\x0f\x8b\x05"), SLOT, NULL, 0, false },                   /* no prefix where one is promised */
};

/* The symbol fits 32 bits with its sign alone, and no distance reaches it: the top of the address space. */
static const struct form high_forms[] = {
    { X, CODE("\xff\x15"), SLOT, NULL, 0, false },
    { X, CODE("\xff\x25"), SLOT, NULL, 0, false },
    { RX, CODE("\x4c\x8b\x3d"), ABSOLUTE, CODE("\x49\xc7\xc7"), false },
    { RX, CODE("\x4c\x85\x1d"), ABSOLUTE, CODE("\x49\xf7\xc3"), false },
    { RX, CODE("\x48\x13\x15"), ABSOLUTE, CODE("\x48\x81\xd2"), false },
    { X, CODE("\x8b\x0d"), SLOT, NULL, 0, false },
    { RX, CODE("\x44\x8b\x0d"), SLOT, NULL, 0, false },
    { X, CODE("\x85\x1d"), SLOT, NULL, 0, false },
    { X, CODE("\x33\x05"), SLOT, NULL, 0, false },
    { OLD, CODE("\x48\x8b\x05"), SLOT, NULL, 0, false },
};

/* It fits nothing. */
static const struct form far_forms[] = {
    { X, CODE("\xff\x15"), SLOT, NULL, 0, false },      { X, CODE("\xff\x25"), SLOT, NULL, 0, false },
    { RX, CODE("\x4c\x8b\x3d"), SLOT, NULL, 0, false }, { RX, CODE("\x4c\x85\x1d"), SLOT, NULL, 0, false },
    { RX, CODE("\x48\x13\x15"), SLOT, NULL, 0, false }, { X, CODE("\x8b\x0d"), SLOT, NULL, 0, false },
    { RX, CODE("\x44\x3b\x15"), SLOT, NULL, 0, false }, { OLD, CODE("\x48\x8b\x05"), SLOT, NULL, 0, false },
};

/* A symbol of an image that may lie above 2 GiB but below 4 GiB: ld gives up on the 64-bit forms here. */
static const struct form middle_forms[] = {
    { X, CODE("\xff\x15"), RELATIVE, CODE("\x67\xe8"), false },
    { RX, CODE("\x4c\x8b\x3d"), RELATIVE, CODE("\x4c\x8d\x3d"), false },
    { X, CODE("\x8b\x0d"), ABSOLUTE, CODE("\xc7\xc1"), false },
    { RX, CODE("\x4c\x85\x1d"), SLOT, NULL, 0, false },
    { X, CODE("\x85\x1d"), ABSOLUTE, CODE("\xf7\xc3"), false },
    { RX, CODE("\x48\x13\x15"), SLOT, NULL, 0, false },
    { X, CODE("\x33\x05"), ABSOLUTE, CODE("\x81\xf0"), false },
};

static void check_result(struct one *one, const struct form *form, size_t field, uint64_t value)
{
    const uint8_t *code = hx_image_at(one->image, one_va(one, ONE_TEXT, 0), 32);
    size_t start = field - form->before_bytes;
    uintptr_t at = one_va(one, ONE_TEXT, field);

    cr_assert_not_null(code);
    cr_assert_eq(code[start - 1], 0x90);
    cr_assert_eq(code[field + 4], 0x90);
    if (form->result == SLOT) {
        cr_assert_eq(one->image->got.bytes, 8u);
        cr_assert_eq((uint64_t)one_read(one, one_got(one), 8), value);
        cr_assert_eq(memcmp(code + start, form->before, form->before_bytes), 0);
        cr_assert_eq(one_read(one, at, 4), (int64_t)(one_got(one) - 4 - at));
        return;
    }
    cr_assert_eq(one->image->got.bytes, 0u, "a slot that nobody needs");
    cr_assert_eq(memcmp(code + start, form->after, form->after_bytes), 0);
    at = one_va(one, ONE_TEXT, start + form->after_bytes);
    cr_assert_eq((uint32_t)one_read(one, at, 4), (uint32_t)(form->result == ABSOLUTE ? value : value - 4 - at));
    if (form->nop)
        cr_assert_eq(code[field + 3], 0x90);
}

static void check_forms(const struct form *forms, size_t count, const char *symbol, uint64_t far_value, uintptr_t low,
                        uintptr_t high)
{
    for (size_t i = 0; i < count; i++) {
        struct one one = one_new();

        one.fixture->far_value = far_value;
        one.fixture->env.low = low;
        one.fixture->env.high = high;
        memcpy(one_file(&one, ONE_TEXT, 8 - forms[i].before_bytes), forms[i].before, forms[i].before_bytes);
        one_set(&one, ONE_TEXT, 0, forms[i].type, 8, symbol, -4);
        one_load(&one);
        check_result(&one, &forms[i], 8,
                     far_value                             ? far_value
                     : strcmp(symbol, "one_here") == 0     ? fixture_address(one.image, &one.object, symbol)
                     : strcmp(symbol, "one_absolute") == 0 ? UINT64_C(0x123456789abc)
                     : strcmp(symbol, "hx_clock_ns") == 0  ? 0x12345
                                                           : 0);
        one_free(&one);
    }
}

#define LOW_END ((uintptr_t)1 << 31)
#define CHECK_FORMS(forms, symbol, value, low, high)                                                                   \
    check_forms(forms, sizeof(forms) / sizeof((forms)[0]), symbol, value, low, high)

Test(elf_got, every_form_against_a_symbol_of_the_image_is_relaxed)
{
    CHECK_FORMS(near_forms, "one_here", 0, 0, LOW_END);
}

Test(elf_got, every_form_against_an_import_within_reach_is_relaxed)
{
    CHECK_FORMS(near_forms, "hx_clock_ns", 0, 0, LOW_END);
}

Test(elf_got, every_form_against_an_open_weak_symbol_is_relaxed)
{
    CHECK_FORMS(near_forms, "one_nowhere", 0, 0, LOW_END);
}

Test(elf_got, an_import_at_the_top_is_named_with_its_sign_only)
{
    CHECK_FORMS(high_forms, "hx_clock_ns", UINT64_C(0xffffffff80001000), 0, LOW_END);
}

Test(elf_got, an_import_far_away_keeps_its_slot)
{
    CHECK_FORMS(far_forms, "hx_clock_ns", UINT64_C(0x123456789000), 0, LOW_END);
    CHECK_FORMS(far_forms, "one_absolute", 0, 0, LOW_END);
}

Test(elf_got, an_image_above_2_gib_has_lea_for_mov)
{
    CHECK_FORMS(middle_forms, "one_here", 0, 0x1000000, 0x1000000 + LOW_END);
}

Test(elf_got, an_image_that_may_lie_anywhere_keeps_its_slots)
{
    CHECK_FORMS(far_forms, "one_here", 0, 0, (uintptr_t)1 << 40);
}

/* As ld does with absolute symbols: no lea for what is not of the image, even where it would reach. */
Test(elf_got, an_import_above_2_gib_keeps_its_slot_for_a_64_bit_mov)
{
    static const struct form forms[] = {
        { RX, CODE("\x4c\x8b\x3d"), SLOT, NULL, 0, false },
        { X, CODE("\x8b\x0d"), ABSOLUTE, CODE("\xc7\xc1"), false },
        { OLD, CODE("\x48\x8b\x05"), RELATIVE, CODE("\x48\x8d\x05"), false },
    };

    CHECK_FORMS(forms, "hx_clock_ns", 0x80000800, 0x1000000, 0x1000000 + LOW_END);
}

Test(elf_got, a_window_below_the_top_half_fits_nothing)
{
    CHECK_FORMS(far_forms, "one_here", 0, UINT64_C(0xffff800000000000), UINT64_C(0xffff900000000000));
}

/* Every place of the unrolled look at the types, and the loop behind it. */
Test(elf_got, a_slot_is_found_wherever_its_relocation_stands)
{
    for (size_t at = 0; at < 19; at++) {
        struct one one = one_new();
        Elf64_Shdr *table = object_section(&one.object, ".rela.rodata.one");
        size_t old = one.object.size;
        Elf64_Rela *rela;

        object_resize(&one.object, (old + 7) / 8 * 8 + 19 * sizeof(*rela));
        table = object_section(&one.object, ".rela.rodata.one");
        table->sh_offset = (old + 7) / 8 * 8;
        table->sh_size = 19 * sizeof(*rela);
        one_set(&one, ONE_CONSTANTS, at, R_X86_64_GOTPCREL, 8, "one_here", 0);
        one_load(&one);
        cr_assert_eq(one.image->got.bytes, 8u, "relocation %zu", at);
        one_free(&one);
    }
}

Test(elf_got, a_slot_of_a_symbol_that_does_not_exist_is_refused)
{
    struct one one = one_new();

    one_set(&one, ONE_CONSTANTS, 0, R_X86_64_GOTPCREL, 8, "one_here", 0);
    one_rela(&one, ONE_CONSTANTS, 0)->r_info = ELF64_R_INFO(0xffffff, R_X86_64_GOTPCREL);
    one_refuse(&one, HX_E_FORMAT, HX_LDR_RELOCATE, "its symbol does not exist");
}

/* The last place of a window belongs to no symbol but one that marks the end of its section. */
Test(elf_got, the_end_of_the_window_counts_for_the_end_of_a_section)
{
    static const struct form at_end = { RX, CODE("\x48\x8b\x05"), RELATIVE, CODE("\x48\x8d\x05"), false };
    struct one one = one_new();

    object_symbol(&one.object, "one_here")->st_value = object_section(&one.object, ".data")->sh_size;
    object_symbol(&one.object, "one_here")->st_size = 0;
    memcpy(one_file(&one, ONE_TEXT, 5), at_end.before, 3);
    one_set(&one, ONE_TEXT, 0, RX, 8, "one_here", -4);
    one_load(&one);
    check_result(&one, &at_end, 8, fixture_address(one.image, &one.object, "one_here"));
    one_free(&one);
}

static void check_kept(struct one *one, enum one_place place, uint64_t field, int64_t addend)
{
    one_load(one);
    cr_assert_eq(one->image->got.bytes, 8u);
    cr_assert_eq(one_read(one, one_va(one, place, field), 4),
                 (int64_t)(one_got(one) + (uint64_t)addend - one_va(one, place, field)));
    one_free(one);
}

Test(elf_got, an_addend_other_than_the_fields_size_keeps_the_slot)
{
    struct one one = one_new();

    memcpy(one_file(&one, ONE_TEXT, 5), "\x48\x8b\x05", 3);
    one_set(&one, ONE_TEXT, 0, RX, 8, "one_here", 0);
    check_kept(&one, ONE_TEXT, 8, 0);
}

Test(elf_got, constants_are_never_taken_for_instructions)
{
    struct one one = one_new();

    memcpy(one_file(&one, ONE_CONSTANTS, 5), "\x48\x8b\x05", 3);
    one_set(&one, ONE_CONSTANTS, 0, RX, 8, "one_here", -4);
    check_kept(&one, ONE_CONSTANTS, 8, -4);
}

/* The instruction would begin before the section does: what lies there in the file is not looked at. */
Test(elf_got, an_instruction_is_not_looked_for_outside_of_its_section)
{
    struct one one = one_new();

    object_section(&one.object, ".text.one")->sh_offset += 8;
    object_section(&one.object, ".text.one")->sh_size -= 8;
    memcpy(one_file(&one, ONE_TEXT, 0) - 3, "\x48\x8b\x05", 3);
    one_set(&one, ONE_TEXT, 0, RX, 0, "one_here", -4);
    check_kept(&one, ONE_TEXT, 0, -4);

    one = one_new();
    object_section(&one.object, ".text.one")->sh_offset += 8;
    object_section(&one.object, ".text.one")->sh_size -= 8;
    memcpy(one_file(&one, ONE_TEXT, 0) - 1, "\x48\x8b\x05", 3);
    one_set(&one, ONE_TEXT, 0, RX, 2, "one_here", -4);
    check_kept(&one, ONE_TEXT, 2, -4);

    one = one_new();
    memcpy(one_file(&one, ONE_TEXT, 0), "\x8b\x05", 2);
    one_set(&one, ONE_TEXT, 0, X, 2, "one_here", -4);
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 0u);
    one_free(&one);
}

Test(elf_got, a_relaxed_field_that_leaves_its_section_is_refused)
{
    struct one one = one_new();

    memcpy(one_file(&one, ONE_TEXT, 26), "\x48\x8b\x05", 3);
    one_set(&one, ONE_TEXT, 0, RX, 29, "one_here", -4);
    one_refuse(&one, HX_E_FORMAT, HX_LDR_RELOCATE, "it lies outside of the section");
}

/* What is decided twice is decided from the file, not from memory that another relocation has changed in between. */
Test(elf_got, overlapping_relocations_do_not_change_what_was_decided)
{
    struct one one = one_new();

    memcpy(one_file(&one, ONE_TEXT, 5), "\x48\x8b\x05", 3);
    one_set(&one, ONE_TEXT, 0, R_X86_64_64, 4, "one_absolute", 0);
    one_set(&one, ONE_TEXT, 1, RX, 8, "one_here", -4);
    one_load(&one);
    cr_assert_eq(one.image->got.bytes, 0u);
    one_free(&one);
}

/* ---- veneers ---------------------------------------------------------------------------------------------------------- */
static const uint8_t veneer[16] = { 0xff, 0x25, 0,    0,    0,    0, /* jmp *0(%rip) */
                                    0x00, 0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0xcc, 0xcc };

Test(elf_got, a_call_that_does_not_reach_goes_by_a_veneer)
{
    struct one one = one_new();

    one.fixture->far_value = UINT64_C(0x123456789000);
    one_set(&one, ONE_TEXT, 0, R_X86_64_PLT32, 8, "hx_clock_ns", -4);
    one_set(&one, ONE_TEXT, 1, R_X86_64_PLT32, 20, "hx_clock_ns", -4);
    one_load(&one);
    cr_assert_eq(one.image->veneers.bytes, 16u);
    cr_assert_eq(one_veneers(&one) % 16, 0u);
    cr_assert_eq(memcmp(hx_image_at(one.image, one_veneers(&one), 16), veneer, 16), 0);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_TEXT, 8), 4),
                 (int64_t)(one_veneers(&one) - one_va(&one, ONE_TEXT, 12)));
    cr_assert_eq(one_read(&one, one_va(&one, ONE_TEXT, 20), 4),
                 (int64_t)(one_veneers(&one) - one_va(&one, ONE_TEXT, 24)));
    one_free(&one);
}

Test(elf_got, each_far_symbol_has_a_veneer_of_its_own)
{
    struct one one = one_new();

    one.fixture->far_value = UINT64_C(0x123456789000);
    one_set(&one, ONE_TEXT, 0, R_X86_64_PLT32, 8, "one_absolute", -4);
    one_set(&one, ONE_TEXT, 1, R_X86_64_PLT32, 20, "hx_clock_ns", -4);
    one_load(&one);
    cr_assert_eq(one.image->veneers.bytes, 32u);
    cr_assert_eq(one_read(&one, one_veneers(&one) + 6, 8), INT64_C(0x123456789abc));
    cr_assert_eq(memcmp(hx_image_at(one.image, one_veneers(&one) + 16, 16), veneer, 16), 0);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_TEXT, 20), 4),
                 (int64_t)(one_veneers(&one) + 16 - one_va(&one, ONE_TEXT, 24)));
    one_free(&one);
}

Test(elf_got, a_call_that_reaches_needs_no_veneer)
{
    struct one one = one_new();

    one_set(&one, ONE_TEXT, 0, R_X86_64_PLT32, 8, "hx_clock_ns", -4);
    one_set(&one, ONE_TEXT, 1, R_X86_64_PLT32, 20, "one_here", -4);
    one_load(&one);
    cr_assert_eq(one.image->veneers.bytes, 0u);
    cr_assert_eq(one_read(&one, one_va(&one, ONE_TEXT, 8), 4), (int64_t)(0x12345 - one_va(&one, ONE_TEXT, 12)));
    one_free(&one);
}

Test(elf_got, only_calls_of_the_symbol_itself_have_veneers)
{
    static const struct {
        uint32_t type;
        int64_t addend;
    } cases[] = { { R_X86_64_PC32, -4 }, { R_X86_64_PLT32, 0 }, { R_X86_64_PLT32, 12 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct one one = one_new();

        one.fixture->far_value = UINT64_C(0x123456789000);
        one_set(&one, ONE_TEXT, 0, cases[i].type, 8, "hx_clock_ns", cases[i].addend);
        one_set(&one, ONE_TEXT, 1, R_X86_64_PLT32, 20, "hx_clock_ns", -4); /* so that there is one */
        one_refuse(&one, HX_E_RANGE, HX_LDR_RELOCATE, "against `hx_clock_ns' at offset 0x8");
    }
}

/* The outermost values that every call in [0, 2 GiB) reaches, and the next ones. */
Test(elf_got, the_reach_of_a_call_is_known_to_the_byte)
{
    static const struct {
        uint64_t value;
        bool reaches;
    } cases[] = { { 0, true }, { UINT64_MAX, false }, { 0x80000003, true }, { 0x80000004, false } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct one one = one_new();

        object_symbol(&one.object, "one_absolute")->st_value = cases[i].value;
        one_set(&one, ONE_TEXT, 0, R_X86_64_PLT32, 8, "one_absolute", -4);
        one_load(&one);
        cr_assert_eq(one.image->veneers.bytes, cases[i].reaches ? 0u : 16u);
        one_free(&one);
    }
}

Test(elf_got, a_far_call_runs)
{
    struct object object = object_read("good");
    struct fixture *fixture = fixture_new();
    uint64_t code_bytes = 4096;
    uint8_t *far = mmap((void *)UINT64_C(0x200000000000), code_bytes, PROT_READ | PROT_WRITE, /* NOLINT: far away */
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Elf64_Rela *rela = object_rela(&object, ".rela.text", R_X86_64_PLT32);
    struct hx_image *image;

    cr_assert(far != MAP_FAILED && (uintptr_t)far > UINT32_MAX);
    memcpy(far, "\xb8\x2a\0\0\0\xc3", 6); /* mov $42, %eax; ret */
    cr_assert_eq(mprotect(far, code_bytes, PROT_READ | PROT_EXEC), 0);
    fixture->far_value = (uintptr_t)far;
    rela->r_info = ELF64_R_INFO(object_symbol_index(&object, "hx_clock_ns"), R_X86_64_PLT32);
    object_rela_type(object_rela(&object, ".rela.text", R_X86_64_32S), R_X86_64_NONE);
    for (size_t i = 0; i < object_section(&object, ".rela.text")->sh_size / sizeof(*rela); i++) {
        Elf64_Rela *other = (Elf64_Rela *)(void *)(object.bytes + object_section(&object, ".rela.text")->sh_offset) + i;

        if (other != rela && ELF64_R_SYM(other->r_info) == ELF64_R_SYM(rela->r_info))
            object_rela_type(other, R_X86_64_NONE);
    }
    image = fixture_load(fixture, &object);
    uint64_t (*log_it)(void) = (uint64_t(*)(void))fixture_address(image, &object, "good_log");
    cr_assert_eq(log_it(), 42u);
    hx_ldr_unload(image, &fixture->env);
    munmap(far, code_bytes);
    free(object.bytes);
    free(fixture);
}
