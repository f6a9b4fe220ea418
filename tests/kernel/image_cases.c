/* SPDX-License-Identifier: MIT */
/*
 * image_cases.c - image memory: allocation, guards, protection; pieces, their aliases, and what is left of them.
 */
#include "selftest.h"

#include <mm/vm.h>
#include <string.h>

#define IMAGE_BYTES (3 * (size_t)HX_PAGE_BYTES)

static bool is_zero(uintptr_t va, size_t bytes)
{
    for (size_t off = 0; off < bytes; off += sizeof(uint64_t)) {
        if (*(const uint64_t *)(va + off) != 0)
            return false;
    }
    return true;
}

static bool images_have_guards(void)
{
    uintptr_t a = 0, b = 0;

    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &a) == HX_OK && hx_hal_image_alloc(HX_PAGE_BYTES, &b) == HX_OK);
    EXPECT(can_write(a) && can_write(a + IMAGE_BYTES - 1) && can_write(b));
    EXPECT(!can_read(a - 1) && !can_read(a + IMAGE_BYTES) && !can_read(b - 1) && !can_read(b + HX_PAGE_BYTES));
    EXPECT(a >= HX_MM_KERNEL_BASE && b + HX_PAGE_BYTES < HX_MM_IMAGE_END);
    hx_hal_image_free(b, HX_PAGE_BYTES);
    hx_hal_image_free(a, IMAGE_BYTES);
    return true;
}

/* Runs that come and go, until the places of many have been used again. */
static bool guards_hold_at_random_places(void)
{
    enum { RUNS = 60, ROUNDS = 1000 };
    static uintptr_t va[RUNS];
    static size_t bytes[RUNS];

    for (uint32_t i = 0; i < ROUNDS + RUNS; i++) {
        uint32_t k = i < ROUNDS ? i * 7919 % RUNS : i - ROUNDS;
        if (va[k]) {
            EXPECT(!can_read(va[k] - 1) && can_write(va[k]) && can_write(va[k] + bytes[k] - 1));
            EXPECT(!can_read(va[k] + bytes[k]));
            hx_hal_image_free(va[k], bytes[k]);
            va[k] = 0;
        }
        if (i < ROUNDS) {
            bytes[k] = (1 + i % 5) * (size_t)HX_PAGE_BYTES;
            EXPECT(hx_hal_image_alloc(bytes[k], &va[k]) == HX_OK);
        }
    }
    return true;
}

static bool places_are_not_in_order(void)
{
    enum { RUNS = 16 };
    uintptr_t va[RUNS];
    uint32_t up = 0, near = 0;

    for (uint32_t i = 0; i < RUNS; i++) {
        EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &va[i]) == HX_OK);
        up += i > 0 && va[i] > va[i - 1];
        near += i > 0 && va[i] - va[i - 1] + 4 * HX_PAGE_BYTES < 8 * HX_PAGE_BYTES;
    }
    for (uint32_t i = 0; i < RUNS; i++)
        hx_hal_image_free(va[i], HX_PAGE_BYTES);
    EXPECT(up > 0 && up < RUNS - 1 && near < RUNS / 2);
    return true;
}

/* All of the arena has the freed frames in it. */
static bool freed_images_are_gone(void)
{
    uintptr_t va = 0, all_va = 0;

    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &va) == HX_OK);
    memset((void *)va, 0xff, IMAGE_BYTES);
    hx_hal_image_protect(va, HX_PAGE_BYTES, HX_PROT_NONE);
    hx_hal_image_free(va, IMAGE_BYTES);
    for (size_t off = 0; off < IMAGE_BYTES; off += HX_PAGE_BYTES)
        EXPECT(!can_read(va + off));
    size_t all_bytes = (size_t)hx_mm_arena.free * HX_PAGE_BYTES;
    EXPECT(hx_hal_image_alloc(all_bytes, &all_va) == HX_OK && is_zero(all_va, all_bytes));
    hx_hal_image_free(all_va, all_bytes);
    return true;
}

static bool protection_is_obeyed(void)
{
    static const struct {
        enum hx_prot prot;
        bool read, write, run;
    } rights[] = {
        { HX_PROT_R, true, false, false },
        { HX_PROT_RX, true, false, true },
        { HX_PROT_NONE, false, false, false },
        { HX_PROT_RW, true, true, false },
    };
    uintptr_t va = 0;

    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &va) == HX_OK);
    *(uint8_t *)(va + HX_PAGE_BYTES) = RETURN_INSTRUCTION;
    EXPECT(!can_run(va + HX_PAGE_BYTES));
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(rights); i++) {
        hx_hal_image_protect(va + HX_PAGE_BYTES, HX_PAGE_BYTES, rights[i].prot);
        EXPECT(can_read(va + HX_PAGE_BYTES) == rights[i].read);
        EXPECT(can_write(va + HX_PAGE_BYTES) == rights[i].write);
        EXPECT(can_run(va + HX_PAGE_BYTES) == rights[i].run);
        EXPECT(can_write(va) && can_write(va + 2 * HX_PAGE_BYTES));
    }
    hx_hal_image_free(va, IMAGE_BYTES);
    return true;
}

static bool writable_never_runs(void)
{
    uintptr_t va = 0;

    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &va) == HX_OK);
    for (enum hx_prot prot = HX_PROT_NONE; prot <= HX_PROT_RX; prot++) {
        hx_hal_image_protect(va, HX_PAGE_BYTES, prot);
        uint64_t leaf = *hx_vm_leaf_of(va);
        EXPECT(!(leaf & HX_PTE_WRITE) || (leaf & HX_PTE_NX));
    }
    hx_hal_image_free(va, HX_PAGE_BYTES);
    return true;
}

static bool bad_sizes_are_refused(void)
{
    uintptr_t va = 1;

    EXPECT(hx_hal_image_alloc(0, &va) == HX_E_INVAL && hx_hal_image_alloc(100, &va) == HX_E_INVAL);
    EXPECT(hx_hal_image_alloc((size_t)1 << 30, &va) == HX_E_NOMEM);
    EXPECT(hx_hal_image_alloc(SIZE_MAX & ~(size_t)(HX_PAGE_BYTES - 1), &va) == HX_E_NOMEM);
    EXPECT(va == 1);
    return true;
}

static bool whole_arena_can_be_had(void)
{
    size_t bytes = (size_t)hx_mm_arena.free * HX_PAGE_BYTES;
    uintptr_t va = 0, more = 0;

    EXPECT(hx_hal_image_alloc(bytes, &va) == HX_OK);
    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &more) == HX_E_NOMEM);
    EXPECT(can_write(va) && can_write(va + bytes - 1));
    hx_hal_image_free(va, bytes);
    return true;
}

/* ---- pieces --------------------------------------------------------------------------------------------------------- */
static uintptr_t page_start(uintptr_t va)
{
    return va & ~(uintptr_t)(HX_PAGE_BYTES - 1);
}

static bool is_filled(uintptr_t va, size_t bytes, uint8_t with)
{
    for (size_t i = 0; i < bytes; i++) {
        if (*(const uint8_t *)(va + i) != with)
            return false;
    }
    return true;
}

/* A piece that is not sealed: written through its memory alone, final where it runs. */
static bool piece_is_open(uintptr_t va, const uint8_t *memory, enum hx_prot prot)
{
    EXPECT(can_read(va) && can_write(va) == (prot == HX_PROT_RW));
    EXPECT(can_write((uintptr_t)memory) && ((uintptr_t)memory == va) == (prot == HX_PROT_RW));
    EXPECT(can_run(va) == (prot == HX_PROT_RX) && !can_run((uintptr_t)memory));
    return true;
}

static bool piece_lives(size_t bytes, size_t align, enum hx_prot prot)
{
    uint8_t *memory = NULL;
    uintptr_t va = 0;

    EXPECT(hx_hal_piece_alloc(bytes, align, prot, &va, &memory) == HX_OK);
    EXPECT(va % align == 0);
    memory[0] = RETURN_INSTRUCTION;
    memory[bytes - 1] = RETURN_INSTRUCTION;
    EXPECT(piece_is_open(va, memory, prot));
    hx_hal_piece_seal(va, bytes, prot);
    EXPECT(prot == HX_PROT_RW || !can_read((uintptr_t)memory));
    EXPECT(can_write(va) == (prot == HX_PROT_RW) && can_run(va) == (prot == HX_PROT_RX));
    EXPECT(*(const uint8_t *)(va + bytes - 1) == RETURN_INSTRUCTION);
    EXPECT(!can_read(page_start(va) - 1) && !can_read(page_start(va + bytes - 1) + HX_PAGE_BYTES));
    hx_hal_piece_free(va, bytes, prot);
    return true;
}

static bool pieces_have_one_permission(void)
{
    static const size_t sizes[] = { 1, 64, 65, 1000, 4032, 4033, HX_PAGE_BYTES, 10000 };
    static const size_t aligns[] = { 1, 16, 64, 128, HX_PAGE_BYTES };

    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++) {
        for (uint32_t i = 0; i < HX_ARRAY_SIZE(sizes); i++) {
            for (uint32_t k = 0; k < HX_ARRAY_SIZE(aligns); k++)
                EXPECT(piece_lives(sizes[i], aligns[k], prot));
        }
    }
    return true;
}

static bool alias_waits_for_both(void)
{
    enum { BYTES = 100 };
    uint8_t *a = NULL, *b = NULL;
    uintptr_t a_va = 0, b_va = 0;

    EXPECT(hx_hal_piece_alloc(BYTES, 16, HX_PROT_RX, &a_va, &a) == HX_OK);
    EXPECT(hx_hal_piece_alloc(BYTES, 16, HX_PROT_RX, &b_va, &b) == HX_OK);
    EXPECT(page_start(a_va) == page_start(b_va) && a_va != b_va);
    hx_hal_piece_seal(a_va, BYTES, HX_PROT_RX);
    EXPECT(can_write((uintptr_t)b));
    hx_hal_piece_free(b_va, BYTES, HX_PROT_RX);
    EXPECT(!can_read((uintptr_t)a) && !can_read((uintptr_t)b));
    EXPECT(hx_hal_piece_alloc(BYTES, 16, HX_PROT_RX, &b_va, &b) == HX_OK);
    hx_hal_piece_free(a_va, BYTES, HX_PROT_RX);
    EXPECT(can_write((uintptr_t)b));
    hx_hal_piece_seal(b_va, BYTES, HX_PROT_RX);
    EXPECT(!can_read((uintptr_t)b));
    hx_hal_piece_free(b_va, BYTES, HX_PROT_RX);
    return true;
}

static bool freed_code_traps(void)
{
    enum { BYTES = 200, INT3 = 0xcc };
    uint8_t *gone = NULL, *stays = NULL;
    uintptr_t gone_va = 0, stays_va = 0;

    EXPECT(hx_hal_piece_alloc(BYTES, 16, HX_PROT_RX, &gone_va, &gone) == HX_OK);
    EXPECT(hx_hal_piece_alloc(BYTES, 16, HX_PROT_RX, &stays_va, &stays) == HX_OK);
    memset(gone, RETURN_INSTRUCTION, BYTES);
    memset(stays, RETURN_INSTRUCTION, BYTES);
    hx_hal_piece_seal(gone_va, BYTES, HX_PROT_RX);
    hx_hal_piece_seal(stays_va, BYTES, HX_PROT_RX);
    EXPECT(can_run(gone_va) && can_run(stays_va) && !can_run(stays_va + 256));
    hx_hal_piece_free(gone_va, BYTES, HX_PROT_RX);
    EXPECT(is_filled(gone_va, BYTES, INT3) && !can_run(gone_va));
    EXPECT(is_filled(stays_va, BYTES, RETURN_INSTRUCTION) && can_run(stays_va));
    hx_hal_piece_free(stays_va, BYTES, HX_PROT_RX);

    EXPECT(hx_hal_piece_alloc(HX_PAGE_BYTES + 1, 1, HX_PROT_RX, &gone_va, &gone) == HX_OK);
    EXPECT(is_filled(gone_va + HX_PAGE_BYTES + 1, HX_PAGE_BYTES - 1, INT3));
    hx_hal_piece_free(gone_va, HX_PAGE_BYTES + 1, HX_PROT_RX);
    return true;
}

static bool small_modules_share_pages(void)
{
    enum { MODULES = 10, PARTS = 3 };
    static const struct {
        enum hx_prot prot;
        size_t bytes;
    } part[PARTS] = { { HX_PROT_RX, 1024 }, { HX_PROT_R, 700 }, { HX_PROT_RW, 300 } };
    struct hx_hal_memory_stats before, now;
    uintptr_t va[MODULES][PARTS];
    uint8_t *memory;

    hx_hal_memory_stats(&before);
    for (uint32_t m = 0; m < MODULES; m++) {
        for (uint32_t p = 0; p < PARTS; p++) {
            EXPECT(hx_hal_piece_alloc(part[p].bytes, 16, part[p].prot, &va[m][p], &memory) == HX_OK);
            hx_hal_piece_seal(va[m][p], part[p].bytes, part[p].prot);
        }
    }
    hx_hal_memory_stats(&now);
    for (uint32_t m = 0; m < MODULES; m++) {
        for (uint32_t p = 0; p < PARTS; p++)
            hx_hal_piece_free(va[m][p], part[p].bytes, part[p].prot);
    }
    EXPECT(now.pool[HX_PROT_RX].pages + now.pool[HX_PROT_R].pages + now.pool[HX_PROT_RW].pages == 6);
    EXPECT(now.pool[HX_PROT_RX].bytes - before.pool[HX_PROT_RX].bytes == MODULES * 1024);
    return true;
}

static bool bad_pieces_are_refused(void)
{
    uint8_t *memory = NULL;
    uintptr_t va = 1;

    EXPECT(hx_hal_piece_alloc(0, 1, HX_PROT_R, &va, &memory) == HX_E_INVAL);
    EXPECT(hx_hal_piece_alloc(1, 0, HX_PROT_R, &va, &memory) == HX_E_INVAL);
    EXPECT(hx_hal_piece_alloc(1, 24, HX_PROT_R, &va, &memory) == HX_E_INVAL);
    EXPECT(hx_hal_piece_alloc(1, 2 * HX_PAGE_BYTES, HX_PROT_R, &va, &memory) == HX_E_INVAL);
    EXPECT(hx_hal_piece_alloc(1, 1, HX_PROT_NONE, &va, &memory) == HX_E_INVAL);
    EXPECT(hx_hal_piece_alloc(SIZE_MAX, 1, HX_PROT_RX, &va, &memory) == HX_E_NOMEM);
    EXPECT(hx_hal_piece_alloc((size_t)1 << 30, 1, HX_PROT_RX, &va, &memory) == HX_E_NOMEM);
    EXPECT(va == 1 && !memory);
    return true;
}

static const struct selftest_case cases[] = {
    { "images have an unmapped guard on either side", images_have_guards },
    { "guards hold at random places, while images come and go", guards_hold_at_random_places },
    { "images are not placed in order nor side by side", places_are_not_in_order },
    { "a freed image is unmapped, and its memory comes back zeroed", freed_images_are_gone },
    { "each protection of a page is what the CPU obeys, and its neighbours keep theirs", protection_is_obeyed },
    { "no protection makes a page writable and executable", writable_never_runs },
    { "image sizes that cannot be are refused", bad_sizes_are_refused },
    { "all of the arena can be had at once, and one page more cannot", whole_arena_can_be_had },
    { "a piece has its permission from the start and is written through an alias until it is sealed",
      pieces_have_one_permission },
    { "the alias of a shared page stays until all of its pieces are sealed or freed", alias_waits_for_both },
    { "what is left of freed code traps, and its neighbour runs", freed_code_traps },
    { "ten modules of 2 KB take six pages", small_modules_share_pages },
    { "pieces that cannot be are refused", bad_pieces_are_refused },
};
const struct selftest_group selftest_image = { cases, HX_ARRAY_SIZE(cases) };
