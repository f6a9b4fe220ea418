/* SPDX-License-Identifier: MIT */
/*
 * grant_memory.c - pages that change hands: each grant has a page table of its own, which one entry of a page directory
 * puts into the window and takes out of it.
 *
 * Why the entry above the leaves decides what a holder may do: so a grant of 2 MiB changes hands as fast as one of 4 KiB.
 * Why a CPU forgets all of its translations but the global ones: that does not depend on the size either; these leaves are
 * not global. Attaching forgets nothing, as a slot is empty on every CPU once something was detached from it.
 * Invariant: leaves allow writing and never executing; leaf 0 of a table that is in a slot is HELD.
 * Locks: hx_mm_lock. Source: Intel SDM vol. 3A, 4.6, 4.10.4.1 (MOV to CR3), 4.10.4.3.
 */
#include "grant_memory.h"

#include "paging.h"
#include "stack.h"
#include "vm.h"

#include <arch/x86_64/arch.h>
#include <string.h>

#define HELD HX_PTE_POOL /* ours */
#define SLOT_ENTRIES (HX_MM_GRANT_STRIDE / HX_VM_LARGE_BYTES)
_Static_assert(HX_HAL_GRANT_SLOTS *SLOT_ENTRIES == 512, "the window is one page directory");

static uint64_t *directory;
static uint64_t pages_live; /* hx_mm_lock */

/* The type has no members: a grant is known by its page table, at its place in the direct map. */
static uint64_t *leaves_of(struct hx_hal_grant *grant)
{
    return (uint64_t *)(void *)grant;
}

static uint64_t pa_of(const void *frame)
{
    return (uintptr_t)frame - HX_MM_DIRECT_BASE;
}

hx_status_t hx_grant_memory_init(void)
{
    directory = hx_vm_directory_get(HX_MM_GRANT_BASE);
    return directory ? HX_OK : HX_E_NOMEM;
}

uint64_t hx_grant_memory_pages(void)
{
    return pages_live;
}

bool hx_grant_memory_is_twice(uintptr_t va)
{
    uint64_t entry = directory[(va - HX_MM_GRANT_BASE) / HX_VM_LARGE_BYTES];
    uint32_t found = 0;

    for (uint32_t slot = 0; slot < HX_HAL_GRANT_SLOTS; slot++)
        found += ((directory[slot * SLOT_ENTRIES] ^ entry) & HX_PTE_FRAME) == 0;
    return found > 1;
}

/* ---- frames --------------------------------------------------------------------------------------------------------- */
/* One, cleared, outside the lock. NULL: no memory. */
static void *frame_create(enum hx_frame_use use)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint64_t pa = hx_frames_alloc(&hx_mm_frames, 1, use);

    if (pa == HX_FRAMES_NONE && hx_stack_give_kept())
        pa = hx_frames_alloc(&hx_mm_frames, 1, use);
    if (pa != HX_FRAMES_NONE && use == HX_FRAMES_GRANT)
        pages_live++;
    hx_lock_release(&hx_mm_lock, flags);
    return pa == HX_FRAMES_NONE ? NULL : memset(hx_mm_phys_to_virt(pa), 0, HX_FRAMES_BYTES);
}

static void frame_destroy(void *frame, enum hx_frame_use use)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);

    if (hx_frames_free(&hx_mm_frames, pa_of(frame), use))
        hx_mm_broken("a grant's frame is none", frame);
    if (use == HX_FRAMES_GRANT)
        pages_live--;
    hx_lock_release(&hx_mm_lock, flags);
}

struct hx_hal_grant *hx_hal_grant_alloc(uint32_t pages)
{
    uint64_t *leaf = frame_create(HX_FRAMES_TABLE);

    for (uint32_t i = 0; leaf && i < pages; i++) {
        void *page = frame_create(HX_FRAMES_GRANT);
        if (!page) {
            hx_hal_grant_free((struct hx_hal_grant *)(void *)leaf);
            return NULL;
        }
        leaf[i] = hx_vm_leaf(pa_of(page), HX_VM_RW & ~HX_PTE_GLOBAL);
    }
    return (struct hx_hal_grant *)(void *)leaf;
}

struct hx_hal_grant *hx_hal_grant_device(uint64_t first, uint32_t pages)
{
    uint64_t *leaf = frame_create(HX_FRAMES_TABLE);

    for (uint32_t i = 0; leaf && i < pages; i++)
        leaf[i] = hx_vm_leaf(first + i * (uint64_t)HX_FRAMES_BYTES, HX_VM_MMIO & ~HX_PTE_GLOBAL);
    return (struct hx_hal_grant *)(void *)leaf;
}

void hx_hal_grant_free(struct hx_hal_grant *grant)
{
    uint64_t *leaf = leaves_of(grant);

    if (!grant)
        return;
    if (leaf[0] & HELD) {
        (void)hx_lock_acquire(&hx_mm_lock);
        hx_mm_broken("a grant is freed in its slot", grant);
    }
    for (uint32_t i = 0; i < HX_HAL_GRANT_PAGES && leaf[i] && !(leaf[i] & HX_PTE_NO_CACHE); i++)
        frame_destroy(hx_mm_phys_to_virt(leaf[i] & HX_PTE_FRAME), HX_FRAMES_GRANT);
    frame_destroy(leaf, HX_FRAMES_TABLE);
}

/* ---- slots ---------------------------------------------------------------------------------------------------------- */
uintptr_t hx_hal_grant_va(uint32_t slot)
{
    return HX_MM_GRANT_BASE + slot * HX_MM_GRANT_STRIDE;
}

void hx_hal_grant_attach(struct hx_hal_grant *grant, uint32_t slot, enum hx_prot prot)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint64_t *entry = &directory[slot * SLOT_ENTRIES];

    if (slot >= HX_HAL_GRANT_SLOTS || *entry != 0 || (leaves_of(grant)[0] & HELD))
        hx_mm_broken("a grant is put where one is, or twice", grant);
    leaves_of(grant)[0] |= HELD;
    *entry = hx_vm_leaf(pa_of(grant), (prot == HX_PROT_RW ? HX_VM_RW : HX_VM_R) & ~HX_PTE_GLOBAL);
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_grant_detach(struct hx_hal_grant *grant, uint32_t slot)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uint64_t *entry = &directory[slot * SLOT_ENTRIES];

    if (slot >= HX_HAL_GRANT_SLOTS || (*entry & HX_PTE_FRAME) != pa_of(grant))
        hx_mm_broken("a grant is taken from where it is not", grant);
    *entry = 0;
    hx_paging_reload();
    hx_arch_flush_others(hx_hal_grant_va(slot), 0);
    leaves_of(grant)[0] &= ~HELD; /* nobody translates by it any more */
    hx_lock_release(&hx_mm_lock, flags);
}
