/* SPDX-License-Identifier: MIT */
/*
 * vm.c - the kernel's page tables, four levels.
 *
 * Why no table is ever copied or cached: tables lie in the direct map, a leaf is found by three loads, and what is mapped
 * stands in one place only. Before hx_vm_activate() the provisional direct map of boot.S serves in the same way, which is
 * why tables made until then must come from the first 4 GiB.
 * Invariant: entries above the leaves are PRESENT | WRITE | USER without NX, but those of grants. No recursion: the walk
 * keeps four cursors.
 */
#include "vm.h"

#include "paging.h"

#include <arch/x86_64/arch.h>

#include <string.h>

#define ENTRIES 512u
#define ABOVE_LEAF (HX_PTE_PRESENT | HX_PTE_WRITE | HX_PTE_USER)

static uint64_t root_pa = HX_FRAMES_NONE;
static uint64_t nx_mask; /* HX_PTE_NX where the CPU has it */

static uint64_t *table_at(uint64_t pa)
{
    return hx_mm_phys_to_virt(pa & HX_PTE_FRAME);
}

/* @level: 0 for leaves of 4 KiB, 3 for the root. */
static uint32_t index_of(uintptr_t va, uint32_t level)
{
    return (uint32_t)(va >> (12 + 9 * level)) % ENTRIES;
}

static uint64_t table_create(void)
{
    uint64_t pa = hx_frames_alloc(&hx_mm_frames, 1, HX_FRAMES_TABLE);

    if (pa != HX_FRAMES_NONE)
        memset(hx_mm_phys_to_virt(pa), 0, HX_FRAMES_BYTES);
    return pa;
}

hx_status_t hx_vm_init(void)
{
    nx_mask = hx_paging_has_nx() ? HX_PTE_NX : 0;
    root_pa = table_create();
    return root_pa == HX_FRAMES_NONE ? HX_E_NOMEM : HX_OK;
}

void hx_vm_activate(void)
{
    hx_paging_load(root_pa);
}

uint64_t hx_vm_leaf(uint64_t pa, uint64_t flags)
{
    return pa | (flags & ~HX_PTE_NX) | (flags & nx_mask);
}

/* The entry for @va at @level, tables above it made as needed; NULL: no memory. */
static uint64_t *entry_get(uintptr_t va, uint32_t level)
{
    uint64_t *table = table_at(root_pa);

    for (uint32_t at = 3; at > level; at--) {
        uint64_t *entry = &table[index_of(va, at)];
        if (!(*entry & HX_PTE_PRESENT)) {
            uint64_t pa = table_create();
            if (pa == HX_FRAMES_NONE)
                return NULL;
            *entry = pa | ABOVE_LEAF;
        }
        table = table_at(*entry);
    }
    return &table[index_of(va, level)];
}

hx_status_t hx_vm_map(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags)
{
    uint64_t *entry;

    while (bytes > 0) {
        bool large = (va | pa) % HX_VM_LARGE_BYTES == 0 && bytes >= HX_VM_LARGE_BYTES;
        uint64_t step = large ? HX_VM_LARGE_BYTES : HX_FRAMES_BYTES;
        uint32_t run = ENTRIES - index_of(va, large ? 1 : 0);

        entry = entry_get(va, large ? 1 : 0);
        if (!entry)
            return HX_E_NOMEM;
        for (; run > 0 && bytes >= step; run--) { /* neighbours in the same table need no search */
            *entry++ = hx_vm_leaf(pa, flags | (large ? HX_PTE_LARGE : 0));
            va += step;
            pa += step;
            bytes -= step;
        }
    }
    return HX_OK;
}

uint64_t *hx_vm_table_get(uintptr_t va)
{
    return entry_get(va & ~(HX_VM_LARGE_BYTES - 1), 0);
}

uint64_t *hx_vm_directory_get(uintptr_t va)
{
    return entry_get(va & ~(512 * HX_VM_LARGE_BYTES - 1), 1);
}

static bool table_is_empty(uint64_t pa)
{
    const uint64_t *leaf = table_at(pa);
    uint64_t any = 0;

    for (uint32_t i = 0; i < ENTRIES; i++)
        any |= leaf[i];
    return any == 0;
}

void hx_vm_table_put(uintptr_t va)
{
    uint64_t *entry = entry_get(va, 1);
    uint64_t pa = *entry & HX_PTE_FRAME;

    if (!table_is_empty(pa))
        hx_mm_broken("a page table is given back in use", (void *)va);
    *entry = 0;
    hx_vm_flush(va, 1); /* INVLPG also drops what is cached of the levels above: SDM 4.10.4.1 */
    if (hx_frames_free(&hx_mm_frames, pa, HX_FRAMES_TABLE))
        hx_mm_broken("a page table is none", hx_mm_phys_to_virt(pa));
}

uint64_t *hx_vm_leaf_of(uintptr_t va)
{
    return entry_get(va, 0);
}

void hx_vm_flush_here(uintptr_t va, size_t pages)
{
    for (; pages > 0; pages--, va += HX_FRAMES_BYTES)
        hx_paging_flush(va);
}

/* INVLPG lets what was stored before be seen: a CPU that is not counted yet by then sees it when it comes. */
void hx_vm_flush(uintptr_t va, size_t pages)
{
    hx_vm_flush_here(va, pages);
    hx_arch_flush_others(va, pages);
}

void hx_vm_walk(hx_vm_leaf_fn each, void *context)
{
    const uint64_t *table[4] = { [3] = table_at(root_pa) };
    uint64_t allowed[4] = { [3] = HX_PTE_WRITE };
    uint32_t index[4] = { 0 };
    uintptr_t base[4] = { 0 };
    uint32_t level = 3;

    for (;;) {
        uint64_t entry;
        uint64_t flags;
        uintptr_t va;

        if (index[level] == ENTRIES) {
            if (level == 3)
                return;
            level++;
            continue;
        }
        entry = table[level][index[level]];
        va = base[level] + ((uintptr_t)index[level] << (12 + 9 * level));
        if (level == 3 && index[3] >= ENTRIES / 2)
            va |= 0xffff000000000000ul;
        index[level]++;
        if (!(entry & HX_PTE_PRESENT))
            continue;
        flags = (allowed[level] & entry & HX_PTE_WRITE) | ((allowed[level] | entry) & HX_PTE_NX);
        if (level == 0 || (entry & HX_PTE_LARGE)) {
            uint64_t bytes = 1ul << (12 + 9 * level);
            each(va, entry & HX_PTE_FRAME & ~(bytes - 1), bytes, flags | (entry & HX_PTE_SHARED), context);
            continue;
        }
        level--;
        table[level] = table_at(entry);
        allowed[level] = flags;
        index[level] = 0;
        base[level] = va;
    }
}
