/* SPDX-License-Identifier: MIT */
/*
 * one_fixture.h - a module in which one relocation at a time is made what a test wants, and what it wrote is looked at.
 *
 * The object has four relocations, all off to begin with: two in text, two in constants. Contents are patched in the file.
 */
#pragma once
#include "loader_fixture.h"

enum one_place { ONE_TEXT, ONE_CONSTANTS };

struct one {
    struct object object;
    struct fixture *fixture;
    struct hx_image *image; /* NULL: not loaded */
};

static inline const char *one_section(enum one_place place)
{
    return place == ONE_TEXT ? ".text.one" : ".rodata.one";
}

static inline Elf64_Rela *one_rela(struct one *one, enum one_place place, size_t index)
{
    Elf64_Shdr *table = object_section(&one->object, place == ONE_TEXT ? ".rela.text.one" : ".rela.rodata.one");

    return (Elf64_Rela *)(void *)(one->object.bytes + table->sh_offset) + index;
}

static inline struct one one_new(void)
{
    struct one one = { .object = object_read("one"), .fixture = fixture_new() };

    for (size_t i = 0; i < 2; i++) {
        object_rela_type(one_rela(&one, ONE_TEXT, i), R_X86_64_NONE);
        object_rela_type(one_rela(&one, ONE_CONSTANTS, i), R_X86_64_NONE);
    }
    return one;
}

static inline void one_free(struct one *one)
{
    hx_ldr_unload(one->image, &one->fixture->env);
    cr_assert_eq(one->fixture->live, 0u);
    free(one->object.bytes);
    free(one->fixture);
}

/* Turns relocation @index of a place on. */
static inline void one_set(struct one *one, enum one_place place, size_t index, uint32_t type, uint64_t off,
                           const char *symbol, int64_t addend)
{
    uint64_t number = symbol ? object_symbol_index(&one->object, symbol) : 0;

    *one_rela(one, place, index) = (Elf64_Rela){ off, ELF64_R_INFO(number, type), addend };
}

/* What the file has at a place. */
static inline uint8_t *one_file(struct one *one, enum one_place place, size_t off)
{
    return one->object.bytes + object_section(&one->object, one_section(place))->sh_offset + off;
}

static inline void one_load(struct one *one)
{
    one->image = fixture_load(one->fixture, &one->object);
}

static inline void one_refuse(struct one *one, hx_status_t expected, enum hx_ldr_step step, const char *words)
{
    fixture_refuse(one->fixture, &one->object, expected, step, words, NULL);
    one_free(one);
}

static inline uintptr_t one_va(struct one *one, enum one_place place, size_t off)
{
    return one->image->section_va[object_section_index(&one->object, one_section(place))] + off;
}

/* What stands at an address of the image; signed, so that distances can be compared. */
static inline int64_t one_read(struct one *one, uintptr_t va, size_t bytes)
{
    const void *at = hx_image_at(one->image, va, bytes);
    int64_t value = 0;

    cr_assert_not_null(at);
    memcpy(&value, at, bytes);
    return bytes == 8 ? value : (int64_t)((uint64_t)value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static inline uintptr_t one_got(const struct one *one)
{
    return one->image->part[HX_PART_RODATA].va + one->image->got.off;
}

static inline uintptr_t one_veneers(const struct one *one)
{
    return one->image->part[HX_PART_TEXT].va + one->image->veneers.off;
}
