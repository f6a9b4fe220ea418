/* SPDX-License-Identifier: MIT */
/*
 * audit.c - is any frame writable through one mapping and executable through another?
 *
 * Why by frame: a page that is read-only where it runs may still be writable elsewhere; only the frame knows. Executable
 * frames are few, so they are listed once and every writable leaf is looked up in the list: two walks, no map of memory.
 */
#include "vm.h"

#include <lib/fmt.h>

struct executable {
    uint64_t first, end; /* physical */
    uintptr_t va;
};

struct audit {
    struct executable *list; /* NULL: count only; merged where adjacent */
    uint32_t count, room;
    uint64_t executable_bytes, writable_bytes;
    uint64_t bad_pa; /* HX_FRAMES_NONE: none */
    uintptr_t bad_writable_va, bad_executable_va;
};

static bool is_executable(uint64_t flags)
{
    return !(flags & HX_PTE_NX);
}

static void collect(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context)
{
    struct audit *audit = context;
    struct executable *last = audit->count && audit->list ? &audit->list[audit->count - 1] : NULL;

    if (!is_executable(flags))
        return;
    audit->executable_bytes += bytes;
    if (last && last->end == pa && last->va + (last->end - last->first) == va) {
        last->end += bytes;
        return;
    }
    if (audit->list && audit->count < audit->room)
        audit->list[audit->count] = (struct executable){ pa, pa + bytes, va };
    audit->count++;
}

static void compare(uintptr_t va, uint64_t pa, uint64_t bytes, uint64_t flags, void *context)
{
    struct audit *audit = context;

    if (!(flags & HX_PTE_WRITE))
        return;
    audit->writable_bytes += bytes;
    for (uint32_t i = 0; i < audit->count && audit->bad_pa == HX_FRAMES_NONE; i++) {
        const struct executable *run = &audit->list[i];
        uint64_t first = run->first > pa ? run->first : pa;
        if (run->first >= pa + bytes || pa >= run->end)
            continue;
        audit->bad_pa = first;
        audit->bad_writable_va = va + (first - pa);
        audit->bad_executable_va = run->va + (first - run->first);
    }
}

hx_status_t hx_mm_audit(char *text, size_t bytes)
{
    struct audit audit = { .bad_pa = HX_FRAMES_NONE };
    hx_irq_flags_t irq = hx_irq_save(); /* the tables stand still between the walks */
    hx_status_t err = HX_E_NOMEM;

    hx_vm_walk(collect, &audit);
    audit.room = audit.count + 1;
    audit.list = hx_hal_alloc(audit.room * sizeof(*audit.list));
    if (!audit.list) {
        (void)hx_fmt(text, bytes, "no memory to look");
        goto out;
    }
    audit.count = 0;
    audit.executable_bytes = 0;
    hx_vm_walk(collect, &audit);
    hx_vm_walk(compare, &audit);
    if (audit.bad_pa != HX_FRAMES_NONE) {
        err = HX_E_CORRUPT;
        (void)hx_fmt(text, bytes, "frame %#llx is writable at %#lx and executable at %#lx",
                     (unsigned long long)audit.bad_pa, audit.bad_writable_va, audit.bad_executable_va);
        goto out;
    }
    err = HX_OK;
    (void)hx_fmt(text, bytes, "%llu KiB executable, %llu KiB writable, no frame is both",
                 (unsigned long long)(audit.executable_bytes / 1024),
                 (unsigned long long)(audit.writable_bytes / 1024));
out:
    hx_hal_free(audit.list);
    hx_irq_restore(irq);
    return err;
}
