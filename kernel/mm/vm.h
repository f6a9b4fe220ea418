/* SPDX-License-Identifier: MIT */
/*
 * vm.h - the kernel's page tables: mapping, finding a leaf, walking all leaves.
 *
 * Entries above the leaves carry every right, so that only leaves decide; but for grants, grant_memory.c. May be used by:
 * kernel/mm. Locks: hx_mm_lock, except while the machine starts.
 * Source: Intel SDM vol. 3A, 4.5.
 */
#pragma once
#include "frames.h"
#include "mm.h"
#include <hal/hx_lock.h>

#define HX_PTE_PRESENT 0x1ul
#define HX_PTE_WRITE 0x2ul
#define HX_PTE_USER 0x4ul
#define HX_PTE_WRITE_THROUGH 0x8ul
#define HX_PTE_NO_CACHE 0x10ul
#define HX_PTE_LARGE 0x80ul
#define HX_PTE_GLOBAL 0x100ul
#define HX_PTE_SHARED 0x200ul /* ours: shows another image's frame until it is written */
#define HX_PTE_POOL 0x400ul   /* ours: pieces of images share the page */
#define HX_PTE_PIECE 0x800ul  /* ours: the page is one piece's */
#define HX_PTE_FRAME 0x000ffffffffff000ul
#define HX_PTE_NX (1ul << 63)

/* Leaves of the kernel. NX goes in by hx_vm_leaf(), where the CPU has it. */
#define HX_VM_R (HX_PTE_PRESENT | HX_PTE_GLOBAL | HX_PTE_NX)
#define HX_VM_RW (HX_VM_R | HX_PTE_WRITE)
#define HX_VM_RX (HX_PTE_PRESENT | HX_PTE_GLOBAL)
#define HX_VM_MMIO (HX_VM_RW | HX_PTE_NO_CACHE | HX_PTE_WRITE_THROUGH)

#define HX_VM_LARGE_BYTES 0x200000ul /* of a large page, and of what one table of leaves maps */

/* mm.c */
extern struct hx_lock hx_mm_lock;
extern struct hx_frames hx_mm_frames;
extern struct hx_frames hx_mm_arena; /* frames of images; mapped nowhere else, but for aliases */

/* broken.c: a mistake of the kernel. Says @what and @address, lets go of hx_mm_lock, which the caller holds, and faults. */
_Noreturn void hx_mm_broken(const char *what, const void *address);

/* An empty set of tables. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_vm_init(void);
/* From now on the CPU translates by these tables. */
void hx_vm_activate(void);
uint64_t hx_vm_leaf(uint64_t pa, uint64_t flags);

/* Maps whole pages, large ones where both addresses allow it. HX_E_NOMEM leaves what was done. */
HX_NODISCARD hx_status_t hx_vm_map(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags);

/* The table of 512 leaves that maps the 2 MiB around @va, made when it is missing; NULL: no memory. */
uint64_t *hx_vm_table_get(uintptr_t va);
/* Gives that table back. None of its leaves is present. */
void hx_vm_table_put(uintptr_t va);
/* The 512 entries above such tables, for the 1 GiB around @va, made when they are missing; NULL: no memory. */
uint64_t *hx_vm_directory_get(uintptr_t va);
/* The leaf of the 4 KiB page at @va; its table exists. */
uint64_t *hx_vm_leaf_of(uintptr_t va);

/* Forgets translations on every CPU: after a leaf lost a right or its frame. On return no CPU uses what they were. */
void hx_vm_flush(uintptr_t va, size_t pages);
/* On this CPU alone: of a window that one CPU at a time uses, before it does and after. */
void hx_vm_flush_here(uintptr_t va, size_t pages);

/* Calls @each for every present leaf: @flags is what the leaf and all entries above it allow (WRITE, NX), and
 * the leaf's SHARED. */
typedef void (*hx_vm_leaf_fn)(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context);
void hx_vm_walk(hx_vm_leaf_fn each, void *context);
