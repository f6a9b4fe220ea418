/* SPDX-License-Identifier: MIT */
/*
 * mm.h - the kernel's memory: who starts it, and the few things beside hx_hal.h that the machine's own rooms need of it.
 *
 * The address space:
 *   0xffff800000000000  all usable memory at its physical address, writable, never executable; the kernel's own text and
 *                       constants read-only; frames of images absent
 *   0xffffc00000000000  task stacks, a guard below each
 *   0xffffd00000000000  grants, in slots of 2 MiB with as much between them; what a holder may do stands above the leaves
 *   0xffffe00000000000  device registers, uncached; its first page is the window of copy-on-write
 *   0xfffff00000000000  aliases: pages of images while they are written, as far from here as the pages from the kernel's base
 *   0xffffffff80000000  the kernel, at + 1 MiB; behind it, up to 0xffffffffc0000000, images
 * Everything else, the null page included, is unmapped.
 *
 * May be used by: kernel/main, kernel/arch. Everybody else uses hx_hal.h.
 */
#pragma once
#include <boot/boot_info.h>
#include <hal/hx_hal.h>

#define HX_MM_DIRECT_BASE 0xffff800000000000ul
#define HX_MM_STACK_BASE 0xffffc00000000000ul
#define HX_MM_GRANT_BASE 0xffffd00000000000ul
#define HX_MM_MMIO_BASE 0xffffe00000000000ul
#define HX_MM_ALIAS_BASE 0xfffff00000000000ul
#define HX_MM_KERNEL_BASE 0xffffffff80000000ul
#define HX_MM_IMAGE_END 0xffffffffc0000000ul
#define HX_MM_PROVISIONAL_BYTES 0x100000000ul /* of memory that boot.S maps at HX_MM_DIRECT_BASE */

/* ---- the kernel's own image, from kernel.lds ------------------------------------------------------------------------- */
extern const char hx_text_start[], hx_text_end[];
extern const char hx_rodata_start[], hx_rodata_end[];
extern char hx_data_start[], hx_data_end[]; /* .data, .percpu, .bss */
extern const char hx_kernel_start[], hx_kernel_end[];
extern char hx_boot_stack_guard[], hx_boot_stack[]; /* [HX_PAGE_BYTES], [HX_STACK_BYTES] */

/* Where access faults are expected (hx_hal_copy): a fault at fault_ip goes on at resume_ip. */
struct hx_fixup {
    uint64_t fault_ip;
    uint64_t resume_ip;
};
extern const struct hx_fixup hx_fixups_start[], hx_fixups_end[];

/* ---- start ---------------------------------------------------------------------------------------------------------- */
/*
 * Frames, final page tables, heap, image memory. After it the provisional tables are gone. Boot CPU, interrupts off, on
 * hx_boot_stack. @info stays. HX_E_NOMEM with one line in @out_message, [HX_BOOT_MESSAGE_BYTES]: the machine cannot go on.
 */
HX_NODISCARD hx_status_t hx_mm_init(const struct hx_boot_info *info, char *out_message);

/* Whether [@pa, @pa + @bytes) is usable memory that hx_mm_phys_to_virt() reaches (an initrd must be). */
bool hx_mm_is_memory(const struct hx_boot_info *info, uint64_t pa, uint64_t bytes);

/* @changed is called when frames get scarce (less than one in sixteen is free) and when they no longer are, with how many are
 * free: by who allocates or frees, wherever he does, so it may note it and no more. Bound once. */
void hx_mm_bind_pressure(void (*changed)(bool scarce, uint64_t free_frames));

/* A page below 1 MiB that nobody else uses, for code in real mode; 0: there is none. */
uint64_t hx_mm_low_page(void);

static inline void *hx_mm_phys_to_virt(uint64_t pa)
{
    return (void *)(uintptr_t)(pa + HX_MM_DIRECT_BASE);
}

/* ---- for the machine ------------------------------------------------------------------------------------------------ */
/* Device registers at @pa, any alignment: mapped uncached for good. NULL: no memory for tables. */
HX_NODISCARD void *hx_mm_map_mmio(uint64_t pa, size_t bytes);

/*
 * A page fault at @address: whether it was the first write to a shared state page and is settled now, by this CPU or another,
 * so that the access is to be tried again. Called with interrupts off, before anything else looks at the fault.
 */
bool hx_mm_fault(uintptr_t address, bool write);

/* The kernel stack that @sp lies on: the boot stack or one of hx_hal_stack_alloc(). False: neither. */
bool hx_mm_stack_bounds(uintptr_t sp, uintptr_t *out_low, uintptr_t *out_high);
/* Whether @address lies in the guard of such a stack. */
bool hx_mm_is_stack_guard(uintptr_t address);

/* ---- for a person --------------------------------------------------------------------------------------------------- */
/*
 * Walks all tables by frame. @text gets one line: counts, or the first frame that breaks a rule and the addresses: a frame of
 * an image, or of the kernel's text or constants, that has a writable mapping beside the one that it is meant to have; code
 * that is writable; what runs and is no code, or elsewhere than code is; an alias that is left; a mapping of a frame that is
 * free; a page that is shared and whose owner is gone; a grant's page that is mapped twice, or outside the grants' window.
 * Not while a piece is unsealed. HX_E_CORRUPT in the second case; HX_E_NOMEM: not looked. Interrupts are off throughout.
 */
HX_NODISCARD hx_status_t hx_mm_audit(char *text, size_t bytes);
