/* SPDX-License-Identifier: MIT */
/*
 * misuse_cases.c - what the kernel's memory does to a caller who is lost: it says so before anything has changed.
 *
 * How a kernel survives that: this one is linked with --wrap, so that hx_mm_broken(), which ends the machine, comes here.
 * Each case goes on with what it misused, and gives it back.
 */
#include "selftest.h"

#include <mm/vm.h>
#include <string.h>

enum { PIECE_BYTES = 20000, PIECE_PAGES = 5 };

/* ---- catching ------------------------------------------------------------------------------------------------------- */
static void *back[5]; /* of __builtin_setjmp() */
static hx_irq_flags_t flags_before;
static const char *said;
static bool was_held;

_Noreturn void caught(const char *what, const void *address) __asm__("__wrap_hx_mm_broken");
_Noreturn void caught(const char *what, const void *address)
{
    (void)address;
    said = what;
    was_held = atomic_load(&hx_mm_lock.taken) && !hx_irq_enabled();
    __builtin_longjmp(back, 1);
}

struct call {
    void (*function)(const struct call *call);
    uintptr_t va, other_va;
    size_t bytes;
    enum hx_prot prot;
    struct hx_hal_grant *grant;
    uint32_t slot;
};

/* @call is refused, with hx_mm_lock held, in the words @wanted. */
static bool is_refused(const struct call *call, const char *wanted)
{
    said = NULL;
    flags_before = hx_irq_save();
    hx_irq_restore(flags_before);
    if (__builtin_setjmp(back) == 0)
        call->function(call);
    else
        hx_lock_release(&hx_mm_lock, flags_before);
    if (!said)
        return selftest_fail("accepted instead of: %s", wanted);
    if (!was_held)
        return selftest_fail("without the lock: %s", said);
    EXPECT_TEXT(said, wanted);
    return true;
}

static void image_free(const struct call *call)
{
    hx_hal_image_free(call->va, call->bytes);
}

static void image_protect(const struct call *call)
{
    hx_hal_image_protect(call->va, call->bytes, call->prot);
}

static void piece_free(const struct call *call)
{
    hx_hal_piece_free(call->va, call->bytes, call->prot);
}

static void piece_seal(const struct call *call)
{
    hx_hal_piece_seal(call->va, call->bytes, call->prot);
}

static void region_share(const struct call *call)
{
    hx_hal_region_share(call->va, call->other_va, call->bytes);
}

static void region_commit(const struct call *call)
{
    hx_hal_region_commit(call->va, call->other_va, call->bytes);
}

static void heap_free(const struct call *call)
{
    hx_hal_free((void *)call->va);
}

static void grant_free(const struct call *call)
{
    hx_hal_grant_free(call->grant);
}

static void grant_attach(const struct call *call)
{
    hx_hal_grant_attach(call->grant, call->slot, HX_PROT_R);
}

static void grant_detach(const struct call *call)
{
    hx_hal_grant_detach(call->grant, call->slot);
}

static void table_put(const struct call *call)
{
    hx_vm_table_put(call->va);
}

#define REFUSED(wanted, call_function, ...)                                                                            \
    do {                                                                                                               \
        const struct call misuse = { .function = (call_function), __VA_ARGS__ };                                       \
        if (!is_refused(&misuse, wanted))                                                                              \
            return false;                                                                                              \
    } while (0)

#define NOT_WHOLE "not the whole of an allocation"
#define NOT_MEMORY "not image memory"
#define NOT_ALIKE "image memory of another kind or permission"
#define SHOWN "state that another image shows"
#define NOT_STATE "shared, but not state on both sides"
#define TWICE "state is shared twice"

/* ---- runs ----------------------------------------------------------------------------------------------------------- */
static bool piece_sizes_are_checked(void)
{
    uint8_t *memory;
    uintptr_t va;

    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++) {
        EXPECT(hx_hal_piece_alloc(PIECE_BYTES, 8, prot, &va, &memory) == HX_OK);
        REFUSED(NOT_WHOLE, piece_free, .va = va, .bytes = 2 * HX_PAGE_BYTES, .prot = prot);
        REFUSED(NOT_WHOLE, piece_free, .va = va + HX_PAGE_BYTES, .bytes = PIECE_BYTES - HX_PAGE_BYTES, .prot = prot);
        REFUSED(NOT_MEMORY, piece_free, .va = va, .bytes = (PIECE_PAGES + 1) * HX_PAGE_BYTES, .prot = prot);
        REFUSED(NOT_ALIKE, piece_free, .va = va, .bytes = PIECE_BYTES,
                .prot = prot == HX_PROT_R ? HX_PROT_RX : HX_PROT_R);
        if (prot != HX_PROT_RW) {
            REFUSED(NOT_WHOLE, piece_seal, .va = va, .bytes = 2 * HX_PAGE_BYTES, .prot = prot);
            REFUSED(NOT_WHOLE, piece_seal, .va = va + HX_PAGE_BYTES, .bytes = PIECE_BYTES - HX_PAGE_BYTES,
                    .prot = prot);
        }
        EXPECT(can_write((uintptr_t)memory) && can_write((uintptr_t)memory + PIECE_BYTES - 1));
        hx_hal_piece_seal(va, PIECE_BYTES, prot);
        REFUSED(NOT_WHOLE, piece_free, .va = va, .bytes = 2 * HX_PAGE_BYTES, .prot = prot);
        hx_hal_piece_free(va, PIECE_BYTES, prot);
        REFUSED(NOT_MEMORY, piece_free, .va = va, .bytes = PIECE_BYTES, .prot = prot);
    }
    return true;
}

static bool image_ends_are_checked(void)
{
    uintptr_t va;

    EXPECT(hx_hal_image_alloc(8 * HX_PAGE_BYTES, &va) == HX_OK);
    REFUSED(NOT_WHOLE, image_free, .va = va + 2 * HX_PAGE_BYTES, .bytes = 6 * HX_PAGE_BYTES);
    REFUSED(NOT_WHOLE, image_free, .va = va + 2 * HX_PAGE_BYTES, .bytes = 2 * HX_PAGE_BYTES);
    REFUSED(NOT_WHOLE, image_free, .va = va, .bytes = 7 * HX_PAGE_BYTES);
    REFUSED(NOT_MEMORY, image_free, .va = va, .bytes = 9 * HX_PAGE_BYTES);
    REFUSED(NOT_MEMORY, image_free, .va = va, .bytes = 100);
    EXPECT(can_write(va) && can_write(va + 8 * HX_PAGE_BYTES - 1));
    hx_hal_image_free(va, 8 * HX_PAGE_BYTES);
    REFUSED(NOT_MEMORY, image_free, .va = va, .bytes = 8 * HX_PAGE_BYTES);
    return true;
}

static bool pieces_are_no_images(void)
{
    const size_t whole_bytes = PIECE_PAGES * HX_PAGE_BYTES;
    uint8_t *memory, *small;
    uintptr_t va, small_va, image_va;

    EXPECT(hx_hal_piece_alloc(PIECE_BYTES, 8, HX_PROT_RX, &va, &memory) == HX_OK);
    EXPECT(hx_hal_piece_alloc(100, 8, HX_PROT_RX, &small_va, &small) == HX_OK);
    EXPECT(hx_hal_image_alloc(whole_bytes, &image_va) == HX_OK);
    uintptr_t page_va = small_va & ~(uintptr_t)(HX_PAGE_BYTES - 1);
    for (uint32_t sealed = 0; sealed < 2; sealed++) {
        REFUSED(NOT_ALIKE, image_free, .va = va, .bytes = whole_bytes);
        REFUSED(NOT_ALIKE, image_free, .va = page_va, .bytes = HX_PAGE_BYTES);
        for (enum hx_prot prot = HX_PROT_NONE; prot <= HX_PROT_RX; prot++) {
            REFUSED(NOT_ALIKE, image_protect, .va = va, .bytes = whole_bytes, .prot = prot);
            REFUSED(NOT_ALIKE, image_protect, .va = page_va, .bytes = HX_PAGE_BYTES, .prot = prot);
        }
        EXPECT(can_run(small_va + 2000) == false && can_write((uintptr_t)memory) == !sealed);
        hx_hal_piece_seal(va, PIECE_BYTES, HX_PROT_RX);
        hx_hal_piece_seal(small_va, 100, HX_PROT_RX);
    }
    REFUSED(NOT_ALIKE, piece_free, .va = image_va, .bytes = whole_bytes, .prot = HX_PROT_RW);
    REFUSED("no such piece", piece_free, .va = small_va, .bytes = 300, .prot = HX_PROT_RX);
    hx_hal_image_free(image_va, whole_bytes);
    hx_hal_piece_free(small_va, 100, HX_PROT_RX);
    hx_hal_piece_free(va, PIECE_BYTES, HX_PROT_RX);
    return true;
}

/* ---- regions -------------------------------------------------------------------------------------------------------- */
enum { IMAGES = 4 };

static bool images_get(uintptr_t va[IMAGES])
{
    for (uint32_t i = 0; i < IMAGES; i++)
        EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &va[i]) == HX_OK);
    return true;
}

static void images_put(const uintptr_t va[IMAGES])
{
    for (uint32_t i = 0; i < IMAGES; i++)
        hx_hal_image_free(va[i], HX_PAGE_BYTES);
}

static bool sharing_is_once(void)
{
    uintptr_t va[IMAGES];

    EXPECT(images_get(va));
    const uintptr_t old_va = va[IMAGES - 1];
    hx_hal_region_share(va[0], old_va, HX_PAGE_BYTES);
    REFUSED(NOT_STATE, region_share, .va = va[1], .other_va = va[0], .bytes = HX_PAGE_BYTES); /* shown what is shown */
    REFUSED(NOT_STATE, region_share, .va = va[0], .other_va = va[1], .bytes = HX_PAGE_BYTES); /* shows already */
    REFUSED(TWICE, region_share, .va = va[1], .other_va = old_va, .bytes = HX_PAGE_BYTES);
    REFUSED(SHOWN, image_free, .va = old_va, .bytes = HX_PAGE_BYTES);
    REFUSED(SHOWN, image_protect, .va = old_va, .bytes = HX_PAGE_BYTES, .prot = HX_PROT_R);
    REFUSED("state of another image is handed over", region_commit, .va = va[0], .other_va = va[1],
            .bytes = HX_PAGE_BYTES);
    *(volatile uint64_t *)old_va = 7;
    EXPECT(*(volatile uint64_t *)va[0] == 7);
    *(volatile uint64_t *)va[0] = 8; /* each way in which it ends lets it begin anew */
    hx_hal_region_share(va[1], old_va, HX_PAGE_BYTES);
    EXPECT(*(volatile uint64_t *)va[1] == 7);
    hx_hal_region_unshare(va[1], HX_PAGE_BYTES);
    hx_hal_region_share(va[2], old_va, HX_PAGE_BYTES);
    hx_hal_region_commit(va[2], old_va, HX_PAGE_BYTES);
    hx_hal_region_share(va[1], va[2], HX_PAGE_BYTES);
    images_put(va);
    return true;
}

static bool only_state_is_shared(void)
{
    static const struct {
        size_t bytes;
        enum hx_prot prot;
    } piece[] = { { PIECE_BYTES, HX_PROT_RX }, { PIECE_BYTES, HX_PROT_RW }, { 100, HX_PROT_RW }, { 100, HX_PROT_R } };
    uintptr_t va[IMAGES], piece_va;
    uint8_t *memory;

    EXPECT(images_get(va));
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(piece); i++) {
        EXPECT(hx_hal_piece_alloc(piece[i].bytes, 8, piece[i].prot, &piece_va, &memory) == HX_OK);
        uintptr_t page_va = piece_va & ~(uintptr_t)(HX_PAGE_BYTES - 1);
        REFUSED(NOT_STATE, region_share, .va = va[0], .other_va = page_va, .bytes = HX_PAGE_BYTES);
        REFUSED(NOT_STATE, region_share, .va = page_va, .other_va = va[0], .bytes = HX_PAGE_BYTES);
        hx_hal_piece_free(piece_va, piece[i].bytes, piece[i].prot);
    }
    for (enum hx_prot prot = HX_PROT_NONE; prot <= HX_PROT_RX; prot++) {
        if (prot == HX_PROT_RW)
            continue;
        hx_hal_image_protect(va[1], HX_PAGE_BYTES, prot);
        REFUSED(NOT_STATE, region_share, .va = va[0], .other_va = va[1], .bytes = HX_PAGE_BYTES);
        REFUSED(NOT_STATE, region_share, .va = va[1], .other_va = va[0], .bytes = HX_PAGE_BYTES);
    }
    REFUSED(NOT_STATE, region_share, .va = va[0], .other_va = va[2], .bytes = 2 * HX_PAGE_BYTES);
    hx_hal_region_unshare(va[0], HX_PAGE_BYTES);
    images_put(va);
    return true;
}

/* ---- beside images -------------------------------------------------------------------------------------------------- */
static bool heap_is_checked_under_the_lock(void)
{
    uint64_t *object = hx_hal_alloc(16), *neighbour = hx_hal_alloc(16);

    EXPECT(object && neighbour);
    hx_hal_free(object);
    REFUSED("freed twice", heap_free, .va = (uintptr_t)object);
    REFUSED("freed what was not allocated", heap_free, .va = (uintptr_t)&said);
    hx_hal_free(neighbour);
    return true;
}

/* The lock is held as by every caller of hx_vm_table_put(). */
static void table_put_locked(const struct call *call)
{
    (void)hx_lock_acquire(&hx_mm_lock);
    table_put(call);
}

static bool tables_in_use_are_kept(void)
{
    uintptr_t va;

    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &va) == HX_OK);
    REFUSED("a page table is given back in use", table_put_locked, .va = va);
    EXPECT(can_write(va));
    hx_hal_image_free(va, HX_PAGE_BYTES);
    return true;
}

#define PUT_WRONG "a grant is put where one is, or twice"
#define TAKEN_WRONG "a grant is taken from where it is not"

static bool slots_are_checked(void)
{
    struct hx_hal_grant *grant = hx_hal_grant_alloc(1), *other = hx_hal_grant_alloc(1);

    EXPECT(grant && other);
    REFUSED(PUT_WRONG, grant_attach, .grant = grant, .slot = HX_HAL_GRANT_SLOTS);
    REFUSED(TAKEN_WRONG, grant_detach, .grant = grant, .slot = 5);
    hx_hal_grant_attach(grant, 5, HX_PROT_RW);
    REFUSED(PUT_WRONG, grant_attach, .grant = grant, .slot = 6);
    REFUSED(PUT_WRONG, grant_attach, .grant = other, .slot = 5);
    REFUSED(TAKEN_WRONG, grant_detach, .grant = other, .slot = 5);
    REFUSED(TAKEN_WRONG, grant_detach, .grant = grant, .slot = 6);
    REFUSED(TAKEN_WRONG, grant_detach, .grant = grant, .slot = HX_HAL_GRANT_SLOTS);
    REFUSED("a grant is freed in its slot", grant_free, .grant = grant);
    EXPECT(can_write(hx_hal_grant_va(5)) && !can_read(hx_hal_grant_va(6)));
    hx_hal_grant_detach(grant, 5);
    hx_hal_grant_free(grant);
    hx_hal_grant_free(other);
    return true;
}

static const struct selftest_case cases[] = {
    { "a large piece is not freed nor sealed in part, nor with another permission", piece_sizes_are_checked },
    { "an image is not freed in part", image_ends_are_checked },
    { "a piece, sealed or not, is not freed nor protected as an image, nor an image freed as a piece",
      pieces_are_no_images },
    { "state is shared with one image at a time, and neither freed nor protected in it", sharing_is_once },
    { "what is not state is not shared, on either side", only_state_is_shared },
    { "a grant is in one slot, and a slot holds one grant", slots_are_checked },
    { "the heap's mistakes are said while its lock is held", heap_is_checked_under_the_lock },
    { "a table with a leaf in it is not given back", tables_in_use_are_kept },
};
const struct selftest_group selftest_misuse = { cases, HX_ARRAY_SIZE(cases) };
