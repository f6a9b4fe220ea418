/* SPDX-License-Identifier: MIT */
/*
 * image_cases.c - image memory: allocation, guards, protection.
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

static bool hole_leaves_room_for_the_guard(void)
{
    uintptr_t a = 0, b = 0, c = 0;

    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &a) == HX_OK && hx_hal_image_alloc(HX_PAGE_BYTES, &b) == HX_OK);
    hx_hal_image_free(a, IMAGE_BYTES);
    EXPECT(hx_hal_image_alloc(IMAGE_BYTES + HX_PAGE_BYTES, &c) == HX_OK && c > b);
    hx_hal_image_free(c, IMAGE_BYTES + HX_PAGE_BYTES);
    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &c) == HX_OK && c == a);
    hx_hal_image_free(c, IMAGE_BYTES);
    hx_hal_image_free(b, HX_PAGE_BYTES);
    return true;
}

static bool freed_images_are_gone(void)
{
    uintptr_t va = 0, again = 0;

    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &va) == HX_OK);
    memset((void *)va, 0xff, IMAGE_BYTES);
    hx_hal_image_protect(va, HX_PAGE_BYTES, HX_PROT_NONE);
    hx_hal_image_free(va, IMAGE_BYTES);
    for (size_t off = 0; off < IMAGE_BYTES; off += HX_PAGE_BYTES)
        EXPECT(!can_read(va + off));
    EXPECT(hx_hal_image_alloc(IMAGE_BYTES, &again) == HX_OK && again == va && is_zero(va, IMAGE_BYTES));
    hx_hal_image_free(again, IMAGE_BYTES);
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

static const struct selftest_case cases[] = {
    { "images have an unmapped guard on either side", images_have_guards },
    { "a hole is used when the guard fits too, and passed over when it does not", hole_leaves_room_for_the_guard },
    { "a freed image is unmapped, and its memory comes back zeroed", freed_images_are_gone },
    { "each protection of a page is what the CPU obeys, and its neighbours keep theirs", protection_is_obeyed },
    { "no protection makes a page writable and executable", writable_never_runs },
    { "image sizes that cannot be are refused", bad_sizes_are_refused },
    { "all of the arena can be had at once, and one page more cannot", whole_arena_can_be_had },
};
const struct selftest_group selftest_image = { cases, HX_ARRAY_SIZE(cases) };
