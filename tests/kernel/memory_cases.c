/* SPDX-License-Identifier: MIT */
/*
 * memory_cases.c - what is mapped and how, the heap, stacks, guarded copies, the audit, and memory that runs out.
 */
#include "selftest.h"

#include <lib/fmt.h>
#include <mm/stack.h>
#include <mm/vm.h>
#include <string.h>

#define LOWER_HALF_END 0x800000000000ul
#define IDENTITY_MAPPED 0x100000ul /* by boot.S */

static uint8_t data[] = { RETURN_INSTRUCTION };

static uintptr_t direct_of(const char *symbol)
{
    return (uintptr_t)symbol - HX_MM_KERNEL_BASE + HX_MM_DIRECT_BASE;
}

/* ---- the kernel's own mappings -------------------------------------------------------------------------------------- */
static void count_lower(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context)
{
    (void)pa, (void)bytes, (void)flags;
    *(uint32_t *)context += va < LOWER_HALF_END;
}

static bool lower_half_is_empty(void)
{
    uint32_t leaves = 0;

    hx_vm_walk(count_lower, &leaves);
    EXPECT(leaves == 0);
    EXPECT(module_call(OP_READ, 0, 0) == HX_E_FAULT);
    EXPECT(module_call(OP_READ, IDENTITY_MAPPED, 0) == HX_E_FAULT);
    return true;
}

static bool boot_stack_is_guarded(void)
{
    for (uintptr_t off = 0; off < HX_PAGE_BYTES; off += HX_PAGE_BYTES / 8)
        EXPECT(!can_read((uintptr_t)hx_boot_stack_guard + off));
    EXPECT(can_write((uintptr_t)hx_boot_stack));
    EXPECT(hx_mm_is_stack_guard((uintptr_t)hx_boot_stack - 1));
    EXPECT(!hx_mm_is_stack_guard((uintptr_t)hx_boot_stack));
    return true;
}

static bool is_read_only(const char *start, const char *end)
{
    for (const char *page = start; page < end; page += HX_PAGE_BYTES) {
        EXPECT(can_read((uintptr_t)page) && !can_write((uintptr_t)page));
        EXPECT(can_read(direct_of(page)) && !can_write(direct_of(page)));
    }
    return true;
}

static bool text_is_read_only(void)
{
    return is_read_only(hx_text_start, hx_text_end);
}

static bool rodata_is_read_only(void)
{
    return is_read_only(hx_rodata_start, hx_rodata_end);
}

static bool data_does_not_run(void)
{
    uint8_t on_stack = RETURN_INSTRUCTION;
    uint8_t *in_heap = hx_hal_alloc(1);

    EXPECT(in_heap);
    *in_heap = RETURN_INSTRUCTION;
    EXPECT(!can_run((uintptr_t)data) && !can_run((uintptr_t)&on_stack) && !can_run((uintptr_t)in_heap));
    hx_hal_free(in_heap);
    return true;
}

static bool text_runs_in_one_place(void)
{
    const char *at = hx_text_start;

    while (*(const uint8_t *)at != RETURN_INSTRUCTION)
        at++;
    EXPECT(can_run((uintptr_t)at));
    EXPECT(can_read(direct_of(at)) && !can_run(direct_of(at)));
    return true;
}

static bool arena_is_not_in_direct_map(void)
{
    for (uint32_t i = 0; i < hx_mm_arena.count; i++)
        EXPECT(!can_read(HX_MM_DIRECT_BASE + hx_mm_arena.first_pa + (uint64_t)i * HX_PAGE_BYTES));
    return true;
}

static bool registers_are_uncached(void)
{
    uintptr_t va = (uintptr_t)hx_mm_map_mmio(0xfee00020, 4);

    EXPECT(va % HX_PAGE_BYTES == 0x20);
    EXPECT((*hx_vm_leaf_of(va) | HX_PTE_NX) == (0xfee00000 | HX_VM_MMIO));
    return true;
}

/* ---- heap and stacks ------------------------------------------------------------------------------------------------ */
static uint32_t random_below(uint32_t limit)
{
    static uint64_t state = 88172645463325252u; /* Marsaglia, "Xorshift RNGs", 2003 */

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % limit;
}

static bool is_filled(const uint8_t *memory, size_t bytes, uint8_t with)
{
    for (size_t i = 0; i < bytes; i++) {
        if (memory[i] != with)
            return false;
    }
    return true;
}

static bool heap_keeps_what_it_is_given(void)
{
    enum { OBJECTS = 128, ROUNDS = 2000 };
    static uint8_t *object[OBJECTS];
    static size_t bytes[OBJECTS];

    for (uint32_t i = 0; i < ROUNDS + OBJECTS; i++) {
        uint32_t k = i < ROUNDS ? random_below(OBJECTS) : i - ROUNDS;
        if (object[k]) {
            EXPECT(is_filled(object[k], bytes[k], (uint8_t)(k + 1)));
            hx_hal_free(object[k]);
            object[k] = NULL;
        } else if (i < ROUNDS) {
            bytes[k] = 1 + random_below(random_below(16) ? 2500 : 60000);
            object[k] = hx_hal_alloc(bytes[k]);
            EXPECT(object[k] && (uintptr_t)object[k] % 16 == 0 && is_filled(object[k], bytes[k], 0));
            memset(object[k], (int)(k + 1), bytes[k]);
        }
    }
    return true;
}

static bool stack_is_whole(uintptr_t low)
{
    uintptr_t found_low = 0, found_high = 0, high = low + HX_STACK_BYTES;

    EXPECT(can_write(low) && can_write(high - 1) && !can_run(low));
    EXPECT(!can_read(low - 1) && !can_read(low - HX_STACK_BYTES) && !can_read(high));
    EXPECT(hx_mm_is_stack_guard(low - 1) && !hx_mm_is_stack_guard(low));
    EXPECT(!hx_mm_stack_bounds(low - 1, &found_low, &found_high));
    EXPECT(hx_mm_stack_bounds(low, &found_low, &found_high) && found_low == low && found_high == high);
    EXPECT(hx_mm_stack_bounds(high, &found_low, &found_high) && found_low == low);
    return true;
}

static bool stacks_are_guarded(void)
{
    enum { STACKS = 150 }; /* three tables of leaves */
    static uintptr_t stack[STACKS];
    uint32_t readable = 0;

    for (uint32_t i = 0; i < STACKS; i++) {
        stack[i] = (uintptr_t)hx_hal_stack_alloc();
        EXPECT(stack[i]);
        *(uint8_t *)stack[i] = RETURN_INSTRUCTION;
    }
    for (uint32_t i = 0; i < STACKS; i++)
        EXPECT(stack_is_whole(stack[i]));
    for (uint32_t i = 0; i < STACKS; i++)
        hx_hal_stack_free((void *)stack[i * 77 % STACKS]);
    for (uint32_t i = 0; i < STACKS; i++)
        readable += can_read(stack[i]);
    EXPECT(readable <= HX_VM_LARGE_BYTES / HX_STACK_BYTES / 2); /* those of the first table are kept */
    return true;
}

/* ---- guarded copies ------------------------------------------------------------------------------------------------- */
static bool bad_copies_are_refused(void)
{
    static const uintptr_t bad[] = { 0, IDENTITY_MAPPED, 0x8000000000000000, 0xffffa00000000000, UINTPTR_MAX - 3 };
    char here[8] = { 0 };

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        EXPECT(hx_hal_copy(here, (const void *)bad[i], sizeof(here)) == HX_E_FAULT);
        EXPECT(hx_hal_copy((void *)bad[i], here, sizeof(here)) == HX_E_FAULT);
        EXPECT(hx_hal_copy(here, (const void *)bad[i], 0) == HX_OK);
    }
    return true;
}

static bool copy_stops_at_the_fault(void)
{
    uint8_t *stack = hx_hal_stack_alloc();
    uint8_t here[32] = { 0 };
    uint8_t *end = stack + HX_STACK_BYTES;

    EXPECT(stack);
    memset(end - 16, 7, 16);
    EXPECT(hx_hal_copy(here, end - 16, 32) == HX_E_FAULT);
    EXPECT(is_filled(here, 16, 7) && is_filled(here + 16, 16, 0));
    EXPECT(hx_hal_copy(here + 3, end - 13, 13) == HX_OK && is_filled(here, 16, 7));
    hx_hal_stack_free(stack);
    return true;
}

/* ---- grants --------------------------------------------------------------------------------------------------------- */
static bool grants_are_where_they_should_be(void)
{
    static const uint32_t sizes[] = { 1, 2, 511, 512 };

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(sizes); i++) {
        struct hx_hal_grant *grant = hx_hal_grant_alloc(sizes[i]);
        uintptr_t va = hx_hal_grant_va(i), end = va + sizes[i] * (uintptr_t)HX_PAGE_BYTES, last = end - 1;
        EXPECT(grant);
        EXPECT(!can_read(va));
        hx_hal_grant_attach(grant, i, HX_PROT_RW);
        EXPECT(is_filled((const uint8_t *)va, end - va, 0));
        memset((void *)va, RETURN_INSTRUCTION, end - va);
        EXPECT(can_write(va) && can_write(last) && !can_run(va) && !can_read(va - 1) && !can_read(end));
        hx_hal_grant_detach(grant, i);
        EXPECT(!can_read(va) && !can_read(last));
        hx_hal_grant_attach(grant, HX_HAL_GRANT_SLOTS - 1, HX_PROT_R);
        uintptr_t there = hx_hal_grant_va(HX_HAL_GRANT_SLOTS - 1);
        EXPECT(is_filled((const uint8_t *)there, end - va, RETURN_INSTRUCTION) && !can_read(va));
        EXPECT(!can_write(there) && !can_write(there + (last - va)) && !can_run(there) &&
               !can_read(there + (end - va)));
        hx_hal_grant_detach(grant, HX_HAL_GRANT_SLOTS - 1);
        hx_hal_grant_free(grant);
    }
    return true;
}

/* The local APIC, which tells its version where it is read. */
static bool device_registers_are_where_they_should_be(void)
{
    struct hx_hal_grant *grant = hx_hal_grant_device(0xfee00000, 1);
    uintptr_t va = hx_hal_grant_va(5);
    char text[160];

    EXPECT(grant && !hx_hal_is_memory(0xfee00000, 0xfee00fff) && hx_hal_is_memory(0x100000, 0x100fff));
    hx_hal_grant_attach(grant, 5, HX_PROT_R);
    EXPECT((*(volatile uint32_t *)(va + 0x30) & 0xf0) == 0x10 && !can_write(va) && !can_run(va));
    EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    hx_hal_grant_detach(grant, 5);
    EXPECT(!can_read(va));
    hx_hal_grant_free(grant);
    return true;
}

static bool grants_fault_as_a_module_fault(void)
{
    struct hx_hal_grant *grant = hx_hal_grant_alloc(1);
    uintptr_t va = hx_hal_grant_va(3);

    EXPECT(grant);
    hx_hal_grant_attach(grant, 3, HX_PROT_RW);
    EXPECT(module_call(OP_WRITE, va, 7) == HX_OK && *(volatile uint8_t *)va == 7);
    hx_hal_grant_detach(grant, 3);
    EXPECT(module_call(OP_WRITE, va, 8) == HX_E_FAULT && module_call(OP_READ, va, 0) == HX_E_FAULT);
    hx_hal_grant_attach(grant, 4, HX_PROT_R);
    va = hx_hal_grant_va(4);
    EXPECT(module_call(OP_READ, va, 0) == 7 && module_call(OP_WRITE, va, 8) == HX_E_FAULT);
    EXPECT(*(volatile uint8_t *)va == 7);
    hx_hal_grant_detach(grant, 4);
    hx_hal_grant_free(grant);
    return true;
}

/* ---- audit ---------------------------------------------------------------------------------------------------------- */
static bool audit_passes(void)
{
    char text[160];

    EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    return true;
}

/* The audit's verdict, and its line in @text, while the leaf of a page shows @pa with @flags. */
static hx_status_t audit_with(uintptr_t page_va, uint64_t pa, uint64_t flags, char *text, size_t bytes)
{
    uint64_t *leaf = hx_vm_leaf_of(page_va);
    uint64_t kept = *leaf;

    *leaf = hx_vm_leaf(pa, flags);
    hx_vm_flush(page_va, 1);
    hx_status_t err = hx_mm_audit(text, bytes);
    *leaf = kept;
    hx_vm_flush(page_va, 1);
    return err;
}

static bool names(const char *text, const char *part)
{
    for (size_t bytes = strlen(part); *text; text++) {
        if (strncmp(text, part, bytes) == 0)
            return true;
    }
    return false;
}

static bool audit_finds_writable_text(void)
{
    uint64_t pa = (uintptr_t)hx_text_start + HX_PAGE_BYTES - HX_MM_KERNEL_BASE;
    char text[160], wanted[160];
    uintptr_t page_va;

    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &page_va) == HX_OK);
    EXPECT(audit_with(page_va, pa, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
    hx_fmt(wanted, sizeof(wanted), "frame %#llx is writable at %#lx and executable at %#lx", (unsigned long long)pa,
           page_va, (uintptr_t)hx_text_start + HX_PAGE_BYTES);
    EXPECT_TEXT(text, wanted);
    EXPECT(audit_with(page_va, pa, HX_VM_R, text, sizeof(text)) == HX_OK);
    hx_hal_image_free(page_va, HX_PAGE_BYTES);
    return true;
}

static bool audit_finds_executable_data(void)
{
    uint64_t pa = ((uintptr_t)data & ~(uintptr_t)(HX_PAGE_BYTES - 1)) - HX_MM_KERNEL_BASE;
    char text[160];
    uintptr_t page_va;

    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &page_va) == HX_OK);
    EXPECT(audit_with(page_va, pa, HX_VM_RX, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(audit_with(page_va, pa, HX_VM_RX | HX_PTE_WRITE, text, sizeof(text)) == HX_E_CORRUPT);
    hx_hal_image_free(page_va, HX_PAGE_BYTES);
    return true;
}

/* Each of the kernel's own frames that hold no code, and code elsewhere than where it runs. */
static bool audit_finds_executable_constants(void)
{
    const uintptr_t constant[] = { (uintptr_t)hx_rodata_start, (uintptr_t)hx_rodata_end - 1 };
    char text[160];

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(constant); i++) {
        uintptr_t page_va = constant[i] & ~(uintptr_t)(HX_PAGE_BYTES - 1);
        EXPECT(audit_with(page_va, page_va - HX_MM_KERNEL_BASE, HX_VM_RX, text, sizeof(text)) == HX_E_CORRUPT);
        EXPECT(names(text, "where no code is"));
    }
    uintptr_t direct_va = direct_of(hx_text_start);
    EXPECT(audit_with(direct_va, direct_va - HX_MM_DIRECT_BASE, HX_VM_RX, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(names(text, "where no code is"));
    return true;
}

/* A mapping that was left when its frame was given back, and what it allows does not matter. */
static bool audit_finds_freed_frames(void)
{
    static const uint64_t allowed[] = { HX_VM_R, HX_VM_RW, HX_VM_RX, HX_VM_R | HX_PTE_SHARED };
    uintptr_t page_va, gone_va;
    char text[160];

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(allowed); i++) {
        EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &page_va) == HX_OK);
        EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &gone_va) == HX_OK);
        uint64_t pa = *hx_vm_leaf_of(gone_va) & HX_PTE_FRAME;
        hx_hal_image_free(gone_va, HX_PAGE_BYTES);
        EXPECT(audit_with(page_va, pa, allowed[i], text, sizeof(text)) == HX_E_CORRUPT);
        EXPECT(names(text, "is free and mapped at"));
        hx_hal_image_free(page_va, HX_PAGE_BYTES);
    }
    return true;
}

/* A second mapping of the frame at @va, with @flags. */
static hx_status_t audit_with_second(uintptr_t va, uint64_t flags, char *text, size_t bytes)
{
    uint64_t pa = *hx_vm_leaf_of(va) & HX_PTE_FRAME;
    uintptr_t page_va;
    hx_status_t err = hx_hal_image_alloc(HX_PAGE_BYTES, &page_va);

    if (err)
        return err;
    err = audit_with(page_va, pa, flags, text, bytes);
    hx_hal_image_free(page_va, HX_PAGE_BYTES);
    return err;
}

/* The frame at @va, which the direct map leaves out, in it. */
static hx_status_t audit_with_direct(uintptr_t va, char *text, size_t bytes)
{
    uint64_t pa = *hx_vm_leaf_of(va) & HX_PTE_FRAME;
    uintptr_t direct_va = HX_MM_DIRECT_BASE + pa;
    hx_status_t err = HX_E_NOMEM;

    if (!hx_vm_table_get(direct_va))
        return err;
    err = audit_with(direct_va, pa, HX_VM_RW, text, bytes);
    hx_vm_table_put(direct_va);
    return err;
}

static bool audit_guards_pieces(void)
{
    static const struct {
        enum hx_prot prot;
        const char *finding;
    } piece[] = { { HX_PROT_RX, "and executable at" }, { HX_PROT_R, "and read-only at" } };
    char text[160];
    uint8_t *memory;
    uintptr_t va;

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(piece); i++) {
        EXPECT(hx_hal_piece_alloc(100, 1, piece[i].prot, &va, &memory) == HX_OK);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_E_CORRUPT && names(text, "has an alias at"));
        hx_hal_piece_seal(va, 100, piece[i].prot);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
        uintptr_t page = va & ~(uintptr_t)(HX_PAGE_BYTES - 1);
        EXPECT(audit_with_second(page, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT && names(text, piece[i].finding));
        EXPECT(audit_with_direct(page, text, sizeof(text)) == HX_E_CORRUPT && names(text, piece[i].finding));
        EXPECT(audit_with_second(page, HX_VM_R, text, sizeof(text)) == HX_OK);
        hx_hal_piece_free(va, 100, piece[i].prot);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    }
    return true;
}

/* An alias that is only readable is one that was not taken away. */
static bool audit_finds_any_alias(void)
{
    char text[160];
    uint8_t *memory;
    uintptr_t va;

    EXPECT(hx_hal_piece_alloc(100, 1, HX_PROT_R, &va, &memory) == HX_OK);
    hx_hal_piece_seal(va, 100, HX_PROT_R);
    uint64_t pa = *hx_vm_leaf_of(va) & HX_PTE_FRAME;
    uintptr_t alias_va = (uintptr_t)memory & ~(uintptr_t)(HX_PAGE_BYTES - 1);
    EXPECT(audit_with(alias_va, pa, HX_VM_R, text, sizeof(text)) == HX_E_CORRUPT && names(text, "has an alias at"));
    hx_hal_piece_free(va, 100, HX_PROT_R);
    return true;
}

static bool audit_guards_state(void)
{
    uintptr_t old_va, new_va;
    char text[160];

    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &old_va) == HX_OK && hx_hal_image_alloc(HX_PAGE_BYTES, &new_va) == HX_OK);
    EXPECT(audit_with_second(old_va, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT && names(text, "is writable at"));
    EXPECT(audit_with_direct(old_va, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(audit_with_second(old_va, HX_VM_R, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(audit_with_second(old_va, HX_VM_RX, text, sizeof(text)) == HX_E_CORRUPT);
    hx_hal_region_share(new_va, old_va, HX_PAGE_BYTES);
    EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    EXPECT(audit_with_second(old_va, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
    uint64_t pa = *hx_vm_leaf_of(new_va) & HX_PTE_FRAME;
    EXPECT(audit_with(new_va, pa, HX_VM_RW | HX_PTE_SHARED, text, sizeof(text)) == HX_E_CORRUPT);
    uint64_t kept = *hx_vm_leaf_of(old_va), shared = *hx_vm_leaf_of(new_va);
    EXPECT(audit_with(old_va, kept & HX_PTE_FRAME, HX_VM_R, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(names(text, "as shared, and nobody writes it"));
    EXPECT(audit_with(old_va, kept & HX_PTE_FRAME, HX_VM_R | HX_PTE_SHARED, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(audit_with_second(new_va, HX_VM_R | HX_PTE_SHARED, text, sizeof(text)) == HX_E_CORRUPT);
    EXPECT(names(text, "as shared, and at"));
    EXPECT(*hx_vm_leaf_of(old_va) == kept && *hx_vm_leaf_of(new_va) == shared);
    hx_hal_region_commit(new_va, old_va, HX_PAGE_BYTES);
    EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    EXPECT(audit_with_second(new_va, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
    hx_hal_image_free(old_va, HX_PAGE_BYTES);
    hx_hal_image_free(new_va, HX_PAGE_BYTES);
    return true;
}

static bool audit_guards_grants(void)
{
    struct hx_hal_grant *grant = hx_hal_grant_alloc(3);
    uintptr_t va = hx_hal_grant_va(9), page_va;
    char text[160];

    EXPECT(grant && hx_hal_image_alloc(HX_PAGE_BYTES, &page_va) == HX_OK);
    uint64_t image_pa = *hx_vm_leaf_of(page_va) & HX_PTE_FRAME;
    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RW; prot++) {
        hx_hal_grant_attach(grant, 9, prot);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
        EXPECT(audit_with_second(va, HX_VM_R, text, sizeof(text)) == HX_E_CORRUPT &&
               names(text, "is a grant's and mapped"));
        uint64_t stranger_pa = (uintptr_t)data / HX_PAGE_BYTES * HX_PAGE_BYTES - HX_MM_KERNEL_BASE;
        EXPECT(audit_with(va, stranger_pa, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
        EXPECT(names(text, "is no grant's and mapped"));
        EXPECT(audit_with(va, image_pa, HX_VM_R, text, sizeof(text)) == HX_E_CORRUPT && names(text, "has an alias at"));
        uint64_t *entry = hx_vm_directory_get(va) + (va - HX_MM_GRANT_BASE) / HX_VM_LARGE_BYTES;
        entry[2] = *entry; /* the next slot */
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_E_CORRUPT && names(text, "is a grant's and mapped"));
        entry[2] = 0;
        hx_vm_flush(hx_hal_grant_va(10), 3);
        *entry &= ~HX_PTE_NX;
        uint64_t kept = hx_vm_leaf_of(va)[1];
        hx_vm_leaf_of(va)[1] &= ~HX_PTE_NX;
        hx_vm_flush(va, 3);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_E_CORRUPT && names(text, "and executable at"));
        hx_vm_leaf_of(va)[1] = kept;
        hx_vm_flush(va, 3);
        hx_hal_grant_detach(grant, 9);
        EXPECT(hx_mm_audit(text, sizeof(text)) == HX_OK);
    }
    hx_hal_image_free(page_va, HX_PAGE_BYTES);
    hx_hal_grant_free(grant);
    return true;
}

static bool audit_guards_the_kernel(void)
{
    const uintptr_t constant[] = { (uintptr_t)hx_text_start, (uintptr_t)hx_rodata_start, (uintptr_t)hx_rodata_end - 1 };
    char text[160];

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(constant); i++) {
        EXPECT(audit_with_second(constant[i], HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
        uintptr_t direct_va = direct_of((const char *)constant[i]) & ~(uintptr_t)(HX_PAGE_BYTES - 1);
        EXPECT(audit_with(direct_va, direct_va - HX_MM_DIRECT_BASE, HX_VM_RW, text, sizeof(text)) == HX_E_CORRUPT);
    }
    return true;
}

/* ---- no memory ------------------------------------------------------------------------------------------------------ */
struct hoard {
    struct hoard *next;
};

/* Every free frame, largest runs first. */
static struct hoard *hoard_take(void)
{
    struct hoard *first = NULL;

    for (uint32_t frames = HX_FRAMES_RUN_MAX; frames > 0; frames /= 2) {
        for (;;) {
            uint64_t pa = hx_frames_alloc(&hx_mm_frames, frames, HX_FRAMES_SCRATCH);
            if (pa == HX_FRAMES_NONE)
                break;
            struct hoard *run = hx_mm_phys_to_virt(pa);
            run->next = first;
            first = run;
        }
    }
    return first;
}

static bool hoard_give(struct hoard *run)
{
    while (run) {
        struct hoard *next = run->next;
        EXPECT(hx_frames_free(&hx_mm_frames, (uintptr_t)run - HX_MM_DIRECT_BASE, HX_FRAMES_SCRATCH) == HX_OK);
        run = next;
    }
    return true;
}

/* What somebody got all the same stays theirs, and the runner sees it. */
static bool everything_refuses(void)
{
    char text[160];
    uint8_t *memory;
    uintptr_t va = 0;

    EXPECT(!hx_hal_alloc(16));
    EXPECT(!hx_hal_stack_alloc());
    EXPECT(hx_hal_image_alloc((size_t)hx_mm_arena.free * HX_PAGE_BYTES, &va) == HX_E_NOMEM);
    EXPECT(hx_hal_piece_alloc(2 * HX_VM_LARGE_BYTES, 1, HX_PROT_RX, &va, &memory) == HX_E_NOMEM);
    hx_status_t audit = hx_mm_audit(text, sizeof(text)); /* of a small machine it fits into a frame */
    EXPECT(audit == HX_E_NOMEM || (audit == HX_OK && hx_mm_frames.free > 0));
    return true;
}

/* With one frame the first of several tables can be made and has to be given back. */
static bool no_memory_is_said(void)
{
    (void)hx_stack_give_kept();
    uint64_t last_pa = hx_frames_alloc(&hx_mm_frames, 1, HX_FRAMES_SCRATCH);
    struct hoard *others = hoard_take();
    bool refuse = hx_mm_frames.free == 0 && everything_refuses();
    hx_status_t err = hx_frames_free(&hx_mm_frames, last_pa, HX_FRAMES_SCRATCH);

    refuse = refuse && err == HX_OK && hx_mm_frames.free == 1 && everything_refuses() && hx_mm_frames.free == 1;
    EXPECT(hoard_give(others));
    EXPECT(refuse);
    return true;
}

/* Memory ends in the middle of a grant: nothing of it is kept. */
static bool half_a_grant_is_none(void)
{
    enum { PAGES = 20, GRANTS_MAX = 32 };
    struct hx_hal_grant *grant[GRANTS_MAX];
    struct hx_hal_memory_stats stats;
    uint32_t count = 0;

    struct hx_hal_grant *one = hx_hal_grant_alloc(PAGES / 2);
    struct hoard *others = hoard_take();
    hx_hal_grant_free(one);
    while (count < GRANTS_MAX && (grant[count] = hx_hal_grant_alloc(PAGES)))
        count++;
    hx_hal_memory_stats(&stats);
    one = hx_hal_grant_alloc(PAGES / 2);
    hx_hal_grant_free(one);
    for (uint32_t i = 0; i < count; i++)
        hx_hal_grant_free(grant[i]);
    EXPECT(hoard_give(others));
    EXPECT(one && count < GRANTS_MAX && stats.grant_pages == (uint64_t)count * PAGES);
    return true;
}

static bool kept_stacks_are_given(void)
{
    uintptr_t stack = (uintptr_t)hx_hal_stack_alloc();

    EXPECT(stack);
    hx_hal_stack_free((void *)stack);
    struct hoard *others = hoard_take();
    bool was_there = can_read(stack);
    void *memory = hx_hal_alloc(16);
    bool is_gone = !can_read(stack);
    hx_hal_free(memory);
    EXPECT(hoard_give(others));
    EXPECT(was_there && memory && is_gone);
    return true;
}

static const struct selftest_case cases[] = {
    { "nothing is mapped in the lower half, the null page and the identity map included", lower_half_is_empty },
    { "the boot stack has an unmapped guard below it", boot_stack_is_guarded },
    { "the kernel's text is read-only, through the direct map too", text_is_read_only },
    { "the kernel's constants are read-only, through the direct map too", rodata_is_read_only },
    { "data, heap and stack do not run", data_does_not_run },
    { "the kernel's text does not run through the direct map", text_runs_in_one_place },
    { "no frame of the image arena is in the direct map", arena_is_not_in_direct_map },
    { "device registers are mapped uncached, writable and not executable", registers_are_uncached },
    { "the heap's objects are zeroed, keep their contents and do not overlap", heap_keeps_what_it_is_given },
    { "stacks have unmapped guards, known bounds, and when freed are kept or gone", stacks_are_guarded },
    { "a copy from or to an address that faults is refused", bad_copies_are_refused },
    { "a copy that runs into a guard keeps what it has copied", copy_stops_at_the_fault },
    { "a grant is zeroed, seen in its slot alone and as it may be there, and never runs",
      grants_are_where_they_should_be },
    { "a device's registers can be mapped and taken away, and memory is none of them",
      device_registers_are_where_they_should_be },
    { "a module faults where its grant was, or may only be read", grants_fault_as_a_module_fault },
    { "the audit passes", audit_passes },
    { "the audit names a writable alias of text", audit_finds_writable_text },
    { "the audit reports an executable alias of data", audit_finds_executable_data },
    { "the audit finds executable constants, and code that runs elsewhere", audit_finds_executable_constants },
    { "the audit finds a mapping of a frame that is free", audit_finds_freed_frames },
    { "the audit finds an open alias, and a writable mapping of a module's code or constants, direct map included",
      audit_guards_pieces },
    { "the audit finds an alias that is left, whatever it allows", audit_finds_any_alias },
    { "the audit finds a second mapping of state: alone, shared and handed over", audit_guards_state },
    { "the audit finds a grant that is mapped twice, elsewhere or executable, and what is no grant in the window",
      audit_guards_grants },
    { "the audit finds a writable mapping of the kernel's text and constants", audit_guards_the_kernel },
    { "without free frames, or with one, everything refuses and nothing is lost", no_memory_is_said },
    { "a grant for which memory does not suffice leaves nothing", half_a_grant_is_none },
    { "stacks that are kept are given back when memory runs out", kept_stacks_are_given },
};
const struct selftest_group selftest_memory = { cases, HX_ARRAY_SIZE(cases) };
