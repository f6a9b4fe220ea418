/* SPDX-License-Identifier: MIT */
/*
 * stack.c - kernel stacks, each with an unmapped guard as large as itself below it.
 *
 * Why a fixed slot of 32 KiB each: the bounds of a stack follow from any address on it, without a lookup. A table of leaves
 * maps 64 slots, one word of the map of slots, so the table goes when the word becomes 0 and no frame is left behind.
 * Why some stay mapped: a task that comes and goes then costs no walk through tables, and no question to other CPUs. Their
 * frames count as free, and are given back when memory runs out.
 * Locks: hx_mm_lock.
 */
#include "stack.h"

#include "vm.h"

#define SLOT_BYTES (2ul * HX_STACK_BYTES)
#define SLOTS_A_TABLE (HX_VM_LARGE_BYTES / SLOT_BYTES)
#define SLOT_WORDS (HX_TASKS_MAX / SLOTS_A_TABLE + 1) /* every task, and those that have none */
#define STACK_FRAMES (HX_STACK_BYTES / HX_FRAMES_BYTES)
_Static_assert(SLOTS_A_TABLE == 64, "a table is a word");

static uint64_t taken[SLOT_WORDS];
static uint64_t kept; /* of the first table's slots: mapped, and nobody's */
static uint32_t kept_count;

/* Makes the tables above the leaves, so that they never come and go. */
hx_status_t hx_stack_init(void)
{
    if (!hx_vm_table_get(HX_MM_STACK_BASE))
        return HX_E_NOMEM;
    hx_vm_table_put(HX_MM_STACK_BASE);
    return HX_OK;
}

static uintptr_t slot_stack(uint32_t slot)
{
    return HX_MM_STACK_BASE + slot * SLOT_BYTES + HX_STACK_BYTES;
}

/* Lowest free slot, or SLOT_WORDS * 64. */
static uint32_t slot_find(void)
{
    uint32_t word = 0;

    while (word < SLOT_WORDS && taken[word] == UINT64_MAX)
        word++;
    return word == SLOT_WORDS ? (uint32_t)(SLOT_WORDS * 64) : word * 64 + (uint32_t)__builtin_ctzll(~taken[word]);
}

static hx_status_t slot_map(uint32_t slot)
{
    uintptr_t va = slot_stack(slot);
    uint64_t *leaf = taken[slot / 64] ? hx_vm_leaf_of(va) : hx_vm_table_get(va);
    uint64_t pa;

    if (!leaf)
        return HX_E_NOMEM;
    pa = hx_frames_alloc(&hx_mm_frames, STACK_FRAMES, HX_FRAMES_STACK);
    if (pa == HX_FRAMES_NONE) {
        if (taken[slot / 64] == 0)
            hx_vm_table_put(va);
        return HX_E_NOMEM;
    }
    leaf = hx_vm_leaf_of(va);
    for (uint32_t i = 0; i < STACK_FRAMES; i++)
        leaf[i] = hx_vm_leaf(pa + i * HX_FRAMES_BYTES, HX_VM_RW);
    taken[slot / 64] |= 1ull << slot % 64;
    return HX_OK;
}

static uint32_t kept_take(void)
{
    uint32_t slot = (uint32_t)__builtin_ctzll(kept);

    taken[0] |= kept & -kept;
    kept &= kept - 1;
    kept_count--;
    return slot;
}

void *hx_hal_stack_alloc(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    hx_status_t err = HX_OK;
    uint32_t slot;

    if (kept) {
        slot = kept_take();
    } else {
        slot = slot_find();
        err = slot < SLOT_WORDS * 64 ? slot_map(slot) : HX_E_LIMIT;
    }
    hx_lock_release(&hx_mm_lock, flags);
    return err ? NULL : (void *)slot_stack(slot);
}

static bool slot_taken(uint64_t slot)
{
    return slot < SLOT_WORDS * 64 && (taken[slot / 64] >> slot % 64 & 1);
}

/* Of a slot that is nobody's any more, on any CPU. */
static void slot_unmap(uint32_t slot)
{
    uintptr_t va = slot_stack(slot);
    uint64_t *leaf = hx_vm_leaf_of(va);
    uint64_t pa = *leaf & HX_PTE_FRAME;

    for (uint32_t i = 0; i < STACK_FRAMES; i++)
        leaf[i] = 0;
    hx_vm_flush(va, STACK_FRAMES);
    if (hx_frames_free(&hx_mm_frames, pa, HX_FRAMES_STACK))
        hx_mm_broken("a stack's frames are not its own", (void *)va);
    if (taken[slot / 64] == 0 && (slot >= 64 || kept == 0))
        hx_vm_table_put(va);
}

void hx_hal_stack_free(void *stack)
{
    uintptr_t va = (uintptr_t)stack;
    uint64_t slot = (va - HX_MM_STACK_BASE) / SLOT_BYTES;
    hx_irq_flags_t flags;

    if (!stack)
        return;
    flags = hx_lock_acquire(&hx_mm_lock);
    if (va < HX_MM_STACK_BASE || !slot_taken(slot) || va != slot_stack((uint32_t)slot))
        hx_mm_broken("freed what is no stack", stack);
    taken[slot / 64] &= ~(1ull << slot % 64);
    if (slot < 64) {
        kept |= 1ull << slot;
        kept_count++;
    } else {
        slot_unmap((uint32_t)slot);
    }
    hx_lock_release(&hx_mm_lock, flags);
}

bool hx_stack_give_kept(void)
{
    bool any = kept != 0;

    for (; kept; kept_count--) {
        uint32_t slot = (uint32_t)__builtin_ctzll(kept);
        kept &= kept - 1;
        slot_unmap(slot);
    }
    return any;
}

uint32_t hx_stack_kept_frames(void)
{
    return kept_count * STACK_FRAMES;
}

bool hx_mm_stack_bounds(uintptr_t sp, uintptr_t *out_low, uintptr_t *out_high)
{
    uintptr_t low = (uintptr_t)hx_boot_stack;
    uint64_t slot = (sp - HX_MM_STACK_BASE - 1) / SLOT_BYTES; /* an empty stack's sp is just above it */

    if (sp < low || sp > low + HX_STACK_BYTES) {
        if (sp <= HX_MM_STACK_BASE || !slot_taken(slot) || sp < slot_stack((uint32_t)slot))
            return false;
        low = slot_stack((uint32_t)slot);
    }
    *out_low = low;
    *out_high = low + HX_STACK_BYTES;
    return true;
}

bool hx_mm_is_stack_guard(uintptr_t address)
{
    uintptr_t guard = (uintptr_t)hx_boot_stack_guard;
    uint64_t slot = (address - HX_MM_STACK_BASE) / SLOT_BYTES;

    if (address >= guard && address < guard + HX_PAGE_BYTES)
        return true;
    return address >= HX_MM_STACK_BASE && slot_taken(slot) && address < slot_stack((uint32_t)slot);
}
