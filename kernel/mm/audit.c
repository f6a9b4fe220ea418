/* SPDX-License-Identifier: MIT */
/*
 * audit.c - is any frame that must not change writable through some mapping?
 *
 * Why by frame: a page that is read-only where it runs may still be writable elsewhere; only the frame knows. What the
 * mappings of a frame allow together is noted in a byte; a second walk finds the addresses for the person who reads it.
 * Rules: a frame of an image is in use; it is writable in one mapping at most, and in none when another mapping has it
 *        read-only or executable, unless that one, one at most, shows it as shared until it is written, and then one mapping
 *        writes it; it has no alias. The kernel's text and constants are writable nowhere. Executable are frames of images,
 *        where images lie, and the kernel's text, where it was linked; nothing else.
 *        A grant's frame is mapped once beside the direct map, in the grants' window, where there is nothing else but devices.
 * Locks: hx_mm_lock for both walks, as a rule that counts mappings needs them all at one time.
 */
#include "grant_memory.h"
#include "vm.h"

#include <lib/fmt.h>
#include <string.h>

enum {
    SEEN_WRITABLE = 1,
    SEEN_WRITABLE_TWICE = 2,
    SEEN_READ_ONLY = 4, /* and not shared */
    SEEN_EXECUTABLE = 8,
    SEEN_ALIAS = 16,
    SEEN_SHARED = 32,
    SEEN_SHARED_TWICE = 64,
    SEEN_MISPLACED = 128, /* executable where images do not lie */
};

struct audit {
    uint8_t *seen; /* [arena frames] */
    uint64_t executable_bytes, writable_bytes;
    uint64_t bad_pa; /* HX_FRAMES_NONE: none */
    /* of the frame at bad_pa; 0: there is none such */
    uintptr_t any_va, writable_va, second_va, executable_va, read_only_va, alias_va, shared_va, shared_second_va;
};

static bool is_alias(uintptr_t va)
{
    return va >= HX_MM_ALIAS_BASE && va < HX_MM_ALIAS_BASE + (HX_MM_IMAGE_END - HX_MM_KERNEL_BASE);
}

static bool is_direct(uintptr_t va)
{
    return va >= HX_MM_DIRECT_BASE && va < HX_MM_STACK_BASE;
}

/* Where grants are while they have a holder. */
static bool is_for_grants(uintptr_t va)
{
    return va >= HX_MM_GRANT_BASE && va < HX_MM_GRANT_END;
}

static bool is_of_grant(uint64_t pa)
{
    return hx_frames_run(&hx_mm_frames, pa, HX_FRAMES_GRANT) == 1;
}

/* Such may be in the window, too, as often as somebody asks for it. */
static bool is_device(uint64_t pa)
{
    return !hx_hal_is_memory(pa, pa);
}

/* Where the kernel was linked, and behind it images. */
static bool is_for_code(uintptr_t va)
{
    return va >= HX_MM_KERNEL_BASE && va < HX_MM_IMAGE_END;
}

static bool is_within(uint64_t pa, const char *start, const char *end)
{
    return pa >= (uintptr_t)start - HX_MM_KERNEL_BASE && pa < (uintptr_t)end - HX_MM_KERNEL_BASE;
}

static uint8_t *seen_of(const struct audit *audit, uint64_t pa)
{
    uint64_t index = (pa - hx_mm_arena.first_pa) / HX_FRAMES_BYTES;

    return pa >= hx_mm_arena.first_pa && index < hx_mm_arena.count ? &audit->seen[index] : NULL;
}

static bool overlap(uint64_t pa, uint64_t bytes, uint64_t first, uint64_t end)
{
    return pa < end && first < pa + bytes;
}

static bool may_matter(uint64_t pa, uint64_t bytes)
{
    return overlap(pa, bytes, hx_mm_arena.first_pa,
                   hx_mm_arena.first_pa + (uint64_t)hx_mm_arena.count * HX_FRAMES_BYTES) ||
           overlap(pa, bytes, (uintptr_t)hx_text_start - HX_MM_KERNEL_BASE,
                   (uintptr_t)hx_rodata_end - HX_MM_KERNEL_BASE);
}

static uint32_t seen_add(uint32_t seen, uintptr_t va, uint64_t flags)
{
    if (is_alias(va) || is_for_grants(va))
        seen |= SEEN_ALIAS;
    if (!(flags & HX_PTE_NX))
        seen |= is_for_code(va) ? SEEN_EXECUTABLE : SEEN_EXECUTABLE | SEEN_MISPLACED;
    if (flags & HX_PTE_WRITE)
        return seen | (seen & SEEN_WRITABLE ? SEEN_WRITABLE_TWICE : SEEN_WRITABLE);
    if (flags & HX_PTE_SHARED)
        return seen | (seen & SEEN_SHARED ? SEEN_SHARED_TWICE : SEEN_SHARED);
    return seen | SEEN_READ_ONLY;
}

static bool is_in_use(uint64_t pa)
{
    return hx_frames_run(&hx_mm_arena, pa, HX_FRAMES_IMAGE) || hx_frames_run(&hx_mm_arena, pa, HX_FRAMES_POOL);
}

/* Of a frame all of whose mappings were seen. */
static bool is_bad(uint32_t seen, uint64_t pa)
{
    if (seen & (SEEN_ALIAS | SEEN_WRITABLE_TWICE | SEEN_SHARED_TWICE | SEEN_MISPLACED))
        return true;
    if ((seen & SEEN_SHARED) && !(seen & SEEN_WRITABLE))
        return true;
    if ((seen & SEEN_WRITABLE) && (seen & (SEEN_READ_ONLY | SEEN_EXECUTABLE)))
        return true;
    return seen && !is_in_use(pa);
}

/* Of a frame that is no image's: each mapping for itself. */
static bool is_bad_mapping(uintptr_t va, uint64_t pa, bool writable, bool executable)
{
    if (!is_direct(va) && is_for_grants(va) != is_of_grant(pa) && !(is_for_grants(va) && is_device(pa)))
        return true;
    if (is_for_grants(va) && va % HX_MM_GRANT_STRIDE == 0 && hx_grant_memory_is_twice(va))
        return true;
    if (executable && (va - HX_MM_KERNEL_BASE != pa || !is_within(pa, hx_text_start, hx_text_end)))
        return true;
    return writable && is_within(pa, hx_text_start, hx_rodata_end);
}

static void note(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context)
{
    struct audit *audit = context;
    bool writable = flags & HX_PTE_WRITE, executable = !(flags & HX_PTE_NX);

    audit->executable_bytes += executable ? bytes : 0;
    audit->writable_bytes += writable ? bytes : 0;
    if (is_direct(va) && !may_matter(pa, bytes) && !executable) /* most of memory */
        return;
    for (uint64_t end = pa + bytes; pa < end; pa += HX_FRAMES_BYTES, va += HX_FRAMES_BYTES) {
        uint8_t *seen = seen_of(audit, pa);
        if (seen)
            *seen = (uint8_t)seen_add(*seen, va, flags);
        else if (audit->bad_pa == HX_FRAMES_NONE && is_bad_mapping(va, pa, writable, executable))
            audit->bad_pa = pa;
    }
}

static void judge(struct audit *audit)
{
    for (uint32_t i = 0; i < hx_mm_arena.count && audit->bad_pa == HX_FRAMES_NONE; i++) {
        uint64_t pa = hx_mm_arena.first_pa + (uint64_t)i * HX_FRAMES_BYTES;
        if (is_bad(audit->seen[i], pa))
            audit->bad_pa = pa;
    }
}

/* Where the bad frame is mapped, and how. */
static void locate(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context)
{
    struct audit *audit = context;

    if (audit->bad_pa < pa || audit->bad_pa >= pa + bytes)
        return;
    va += audit->bad_pa - pa;
    audit->any_va = va;
    if (is_alias(va) || is_for_grants(va))
        audit->alias_va = va;
    if (flags & HX_PTE_WRITE)
        *(audit->writable_va ? &audit->second_va : &audit->writable_va) = va;
    else if (flags & HX_PTE_SHARED)
        *(audit->shared_va ? &audit->shared_second_va : &audit->shared_va) = va;
    if (!(flags & HX_PTE_NX))
        audit->executable_va = va;
    else if (!(flags & (HX_PTE_WRITE | HX_PTE_SHARED)))
        audit->read_only_va = va;
}

static void say(const struct audit *audit, char *text, size_t bytes)
{
    unsigned long long pa = audit->bad_pa;

    if (!seen_of(audit, pa) && !audit->executable_va && (audit->alias_va || is_of_grant(pa)))
        (void)hx_fmt(text, bytes, "frame %#llx is %s grant's and mapped at %#lx", pa, is_of_grant(pa) ? "a" : "no",
                     audit->any_va);
    else if (seen_of(audit, pa) && audit->alias_va)
        (void)hx_fmt(text, bytes, "frame %#llx of an image has an alias at %#lx", pa, audit->alias_va);
    else if (seen_of(audit, pa) && !is_in_use(pa))
        (void)hx_fmt(text, bytes, "frame %#llx is free and mapped at %#lx", pa, audit->any_va);
    else if (audit->shared_second_va)
        (void)hx_fmt(text, bytes, "frame %#llx is shown at %#lx as shared, and at %#lx", pa, audit->shared_va,
                     audit->shared_second_va);
    else if (audit->shared_va && !audit->writable_va)
        (void)hx_fmt(text, bytes, "frame %#llx is shown at %#lx as shared, and nobody writes it", pa, audit->shared_va);
    else if (!audit->writable_va)
        (void)hx_fmt(text, bytes, "frame %#llx is executable at %#lx, where no code is", pa, audit->executable_va);
    else if (audit->executable_va)
        (void)hx_fmt(text, bytes, "frame %#llx is writable at %#lx and executable at %#lx", pa, audit->writable_va,
                     audit->executable_va);
    else if (audit->read_only_va)
        (void)hx_fmt(text, bytes, "frame %#llx is writable at %#lx and read-only at %#lx", pa, audit->writable_va,
                     audit->read_only_va);
    else
        (void)hx_fmt(text, bytes, "frame %#llx of an image is writable at %#lx and at %#lx", pa, audit->writable_va,
                     audit->second_va);
}

static uint32_t seen_frames(void)
{
    return (hx_mm_arena.count + HX_FRAMES_BYTES - 1) / HX_FRAMES_BYTES;
}

static uint8_t *seen_create(void)
{
    uint64_t pa = hx_frames_alloc(&hx_mm_frames, seen_frames(), HX_FRAMES_SCRATCH);

    return pa == HX_FRAMES_NONE ? NULL : memset(hx_mm_phys_to_virt(pa), 0, seen_frames() * (size_t)HX_FRAMES_BYTES);
}

static void seen_destroy(uint8_t *seen)
{
    if (seen && hx_frames_free(&hx_mm_frames, (uintptr_t)seen - HX_MM_DIRECT_BASE, HX_FRAMES_SCRATCH))
        hx_mm_broken("what the audit noted is gone", seen);
}

hx_status_t hx_mm_audit(char *text, size_t bytes)
{
    struct audit audit = { .bad_pa = HX_FRAMES_NONE };
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    hx_status_t err = HX_E_NOMEM;

    audit.seen = seen_create();
    if (!audit.seen) {
        (void)hx_fmt(text, bytes, "no memory to look");
        goto out;
    }
    hx_vm_walk(note, &audit);
    judge(&audit);
    if (audit.bad_pa != HX_FRAMES_NONE) {
        err = HX_E_CORRUPT;
        hx_vm_walk(locate, &audit);
        say(&audit, text, bytes);
        goto out;
    }
    err = HX_OK;
    (void)hx_fmt(text, bytes, "%llu KiB executable, %llu KiB writable, no frame is both, no image has a second writer",
                 (unsigned long long)(audit.executable_bytes / 1024),
                 (unsigned long long)(audit.writable_bytes / 1024));
out:
    seen_destroy(audit.seen);
    hx_lock_release(&hx_mm_lock, flags);
    return err;
}
