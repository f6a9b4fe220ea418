/* SPDX-License-Identifier: MIT */
/*
 * mm.c - how memory comes up, and the heap's place behind the seam.
 *
 * Order: what is free (usable memory less the first MiB, kernel, initrd and boot information) -> the arena for images ->
 * the allocators' books -> frames below 4 GiB -> tables -> switch -> the frames above, which only now are mapped.
 * Why the arena is taken from the top: the frames that devices can reach with short addresses stay for others.
 * Locks: one for all of memory, rank HX_RANK_MEMORY; clearing what was allocated is done outside it.
 */
#include "mm.h"

#include "grant_memory.h"
#include "heap.h"
#include "image_memory.h"
#include "paging.h"
#include "stack.h"
#include "vm.h"

#include <arch/x86_64/arch.h>
#include <boot/ranges.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#define MIB (1ull << 20)
#define LOW_MEMORY_END MIB /* real-mode tables, firmware, the start of other CPUs */
#define ARENA_MIN (4 * MIB)
#define ARENA_MAX (64 * MIB)
#define ARENA_SHARE 16    /* one part in this many */
#define BOOKS_SHARE 64    /* at most one part in this many may go into bookkeeping for holes */
#define PRESSURE_SHARE 16 /* fewer free frames than one in this many are scarce */
#define DIRECT_BYTES (HX_MM_STACK_BASE - HX_MM_DIRECT_BASE)
_Static_assert(ARENA_MAX / HX_FRAMES_BYTES <= UINT16_MAX, "frames of images have indices of 16 bits, and one is none");
_Static_assert((int)HX_FRAMES_BYTES == (int)HX_PAGE_BYTES && (int)HX_FRAMES_BYTES == (int)HX_BOOT_PAGE_BYTES,
               "one page");

struct hx_lock hx_mm_lock = HX_LOCK_INIT(HX_RANK_MEMORY);
struct hx_frames hx_mm_frames;
struct hx_frames hx_mm_arena;

static struct hx_heap heap;
static const struct hx_boot_info *machine;
static const char *seed_source = "";
static uintptr_t mmio_next_va = HX_MM_MMIO_BASE + HX_PAGE_BYTES; /* behind the window of copy-on-write */

/* Free memory while the machine starts, and what was cut out of it. */
struct plan {
    struct hx_boot_range free[HX_BOOT_RANGES_MAX];
    uint32_t count;
    struct hx_boot_range arena;
    uint64_t books_pa;
};

static uint64_t low_page_pa;

static uint64_t kernel_pa(const char *symbol)
{
    return (uintptr_t)symbol - HX_MM_KERNEL_BASE;
}

static uint64_t range_end(struct hx_boot_range range)
{
    return range.first_pa + range.bytes;
}

static bool range_holds(struct hx_boot_range range, uint64_t pa, uint64_t bytes)
{
    return pa >= range.first_pa && bytes <= range.bytes && pa - range.first_pa <= range.bytes - bytes;
}

/* Above this the CPU has no addresses, or the direct map no room. */
static uint64_t memory_reach(void)
{
    uint64_t reach = 1ull << hx_paging_pa_bits();

    return reach < DIRECT_BYTES ? reach : DIRECT_BYTES;
}

/* ---- the plan ------------------------------------------------------------------------------------------------------- */
static uint64_t plan_bytes(const struct plan *plan)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < plan->count; i++)
        bytes += plan->free[i].bytes;
    return bytes;
}

static void plan_remove(struct plan *plan, uint64_t first_pa, uint64_t bytes)
{
    if (bytes > 0)
        hx_boot_ranges_remove(plan->free, &plan->count, first_pa, first_pa + bytes);
}

/* Leaves out memory so far up that the books for the hole below it would cost more than it is worth. */
static uint32_t plan_limit(struct plan *plan)
{
    plan_remove(plan, memory_reach(), HX_BOOT_PA_LIMIT);
    while (plan->count > 1) {
        uint64_t frames = range_end(plan->free[plan->count - 1]) / HX_FRAMES_BYTES;
        if (frames <= UINT32_MAX / 2 && hx_frames_books_bytes((uint32_t)frames) <= plan_bytes(plan) / BOOKS_SHARE)
            break;
        plan->count--;
    }
    return plan->count ? (uint32_t)(range_end(plan->free[plan->count - 1]) / HX_FRAMES_BYTES) : 0;
}

/* The last page that real mode can use: firmware that says too much is free is wrong about the first ones. 0: none. */
static uint64_t plan_low_page(const struct plan *plan)
{
    const uint64_t real_mode_end = 0xa0000;
    uint64_t page_pa = 0;

    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t end = range_end(plan->free[i]) < real_mode_end ? range_end(plan->free[i]) : real_mode_end;
        uint64_t last_pa = (end & ~(uint64_t)(HX_PAGE_BYTES - 1)) - HX_PAGE_BYTES;
        if (end >= HX_PAGE_BYTES && plan->free[i].first_pa <= last_pa)
            page_pa = last_pa;
    }
    return page_pa;
}

static hx_status_t plan_arena(struct plan *plan)
{
    uint64_t bytes = plan_bytes(plan) / ARENA_SHARE;

    bytes = bytes < ARENA_MIN ? ARENA_MIN : bytes > ARENA_MAX ? ARENA_MAX : bytes;
    bytes &= ~(HX_VM_LARGE_BYTES - 1);
    for (uint32_t i = plan->count; i-- > 0;) {
        uint64_t end = range_end(plan->free[i]) & ~(HX_VM_LARGE_BYTES - 1);
        if (end < plan->free[i].first_pa + bytes)
            continue;
        plan->arena = (struct hx_boot_range){ end - bytes, bytes };
        plan_remove(plan, end - bytes, bytes);
        return HX_OK;
    }
    return HX_E_NOMEM;
}

static hx_status_t plan_books(struct plan *plan, size_t bytes)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->free[i].bytes < bytes || plan->free[i].first_pa + bytes > HX_MM_PROVISIONAL_BYTES)
            continue;
        plan->books_pa = plan->free[i].first_pa;
        plan_remove(plan, plan->books_pa, bytes);
        return HX_OK;
    }
    return HX_E_NOMEM;
}

/* ---- frames --------------------------------------------------------------------------------------------------------- */
/* What lies in [@first, @end) of the plan's free memory goes to the allocator. */
static void frames_give(const struct plan *plan, uint64_t first, uint64_t end)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t low = plan->free[i].first_pa > first ? plan->free[i].first_pa : first;
        uint64_t high = range_end(plan->free[i]) < end ? range_end(plan->free[i]) : end;
        if (low < high)
            hx_frames_add(&hx_mm_frames, low, high - low);
    }
}

/* By boot option, any text, so that placement repeats; otherwise another one each time. */
static uint64_t placement_seed(const struct hx_boot_info *info)
{
    enum { SEED_MAX = 64 };
    char text[SEED_MAX];
    bool random = false;
    uint64_t seed;

    seed_source = "seed=";
    if (hx_boot_option(info, "seed", text, sizeof(text)) == HX_OK)
        return hx_hash_xxh64(text, strlen(text), 0);
    seed = hx_arch_entropy(&random);
    seed_source = random ? "RDRAND" : "TSC";
    return seed;
}

static hx_status_t frames_init(const struct hx_boot_info *info, struct plan *plan)
{
    uint32_t arena_frames;
    uint32_t frames;
    size_t frames_bytes, arena_bytes, image_bytes;
    uint8_t *books;

    memcpy(plan->free, info->range, sizeof(plan->free));
    plan->count = info->range_count;
    plan_remove(plan, kernel_pa(hx_kernel_start), (uint64_t)(hx_kernel_end - hx_kernel_start));
    plan_remove(plan, info->initrd_pa, info->initrd_bytes);
    plan_remove(plan, info->structure.first_pa, info->structure.bytes);
    low_page_pa = plan_low_page(plan);
    plan_remove(plan, 0, LOW_MEMORY_END);
    frames = plan_limit(plan);
    if (plan_arena(plan))
        return HX_E_NOMEM;

    arena_frames = (uint32_t)(plan->arena.bytes / HX_FRAMES_BYTES);
    frames_bytes = (hx_frames_books_bytes(frames) + 7) & ~(size_t)7;
    arena_bytes = (hx_frames_books_bytes(arena_frames) + 7) & ~(size_t)7;
    image_bytes = hx_image_memory_books_bytes(arena_frames);
    if (plan_books(plan, frames_bytes + arena_bytes + image_bytes))
        return HX_E_NOMEM;
    books = hx_mm_phys_to_virt(plan->books_pa);
    hx_frames_init(&hx_mm_frames, 0, frames, books);
    hx_frames_init(&hx_mm_arena, plan->arena.first_pa, arena_frames, books + frames_bytes);
    hx_frames_add(&hx_mm_arena, plan->arena.first_pa, plan->arena.bytes);
    hx_image_memory_init(books + frames_bytes + arena_bytes, arena_frames, placement_seed(info));
    frames_give(plan, 0, HX_MM_PROVISIONAL_BYTES);
    return HX_OK;
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */
static hx_status_t map_section(const char *start, const char *end, uint64_t flags)
{
    return hx_vm_map((uintptr_t)start, kernel_pa(start), (uint64_t)(end - start), flags);
}

static hx_status_t map_kernel(void)
{
    hx_status_t err = map_section(hx_text_start, hx_text_end, HX_VM_RX);

    if (!err)
        err = map_section(hx_rodata_start, hx_rodata_end, HX_VM_R);
    if (!err)
        err = map_section(hx_data_start, hx_boot_stack_guard, HX_VM_RW);
    if (!err)
        err = map_section(hx_boot_stack, hx_data_end, HX_VM_RW);
    return err;
}

/* One range of memory: nothing of the arena, and the kernel's text and constants read-only. */
static hx_status_t map_direct(struct hx_boot_range range, struct hx_boot_range arena)
{
    uint64_t read_only = kernel_pa(hx_text_start);
    uint64_t writable = kernel_pa(hx_rodata_end);
    uint64_t end = range_end(range);
    hx_status_t err = HX_OK;

    for (uint64_t pa = range.first_pa; pa < end && !err;) {
        uint64_t cuts[] = { arena.first_pa, range_end(arena), read_only, writable };
        bool in_arena = pa >= arena.first_pa && pa < range_end(arena);
        bool in_kernel = pa >= read_only && pa < writable;
        uint64_t stop = end;

        for (uint32_t i = 0; i < HX_ARRAY_SIZE(cuts); i++) {
            if (cuts[i] > pa && cuts[i] < stop)
                stop = cuts[i];
        }
        if (!in_arena)
            err = hx_vm_map(HX_MM_DIRECT_BASE + pa, pa, stop - pa, in_kernel ? HX_VM_R : HX_VM_RW);
        pa = stop;
    }
    return err;
}

static hx_status_t tables_init(const struct hx_boot_info *info, const struct plan *plan)
{
    uint64_t reach = (uint64_t)hx_mm_frames.count * HX_FRAMES_BYTES;
    hx_status_t err = hx_vm_init();

    if (!err)
        err = map_kernel();
    for (uint32_t i = 0; i < info->range_count && !err; i++) {
        if (info->range[i].first_pa < reach || range_holds(info->range[i], info->initrd_pa, info->initrd_bytes))
            err = map_direct(info->range[i], plan->arena);
    }
    if (!err && !hx_vm_table_get(HX_MM_MMIO_BASE))
        err = HX_E_NOMEM;
    if (!err)
        err = hx_stack_init();
    if (!err)
        err = hx_grant_memory_init();
    return err;
}

hx_status_t hx_mm_init(const struct hx_boot_info *info, char *out_message)
{
    static struct plan plan; /* 1 KiB: not on the stack */
    hx_status_t err = frames_init(info, &plan);

    machine = info;
    if (!err)
        err = tables_init(info, &plan);
    if (err) {
        (void)hx_fmt(out_message, HX_BOOT_MESSAGE_BYTES, "memory: %llu KiB usable are not enough",
                     (unsigned long long)(plan_bytes(&plan) / 1024));
        return err;
    }
    hx_vm_activate();
    frames_give(&plan, HX_MM_PROVISIONAL_BYTES, UINT64_MAX);
    hx_heap_init(&heap, &hx_mm_frames, HX_MM_DIRECT_BASE);
    return HX_OK;
}

uint64_t hx_mm_low_page(void)
{
    return low_page_pa;
}

bool hx_hal_is_memory(uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < machine->range_count; i++)
        if (first < range_end(machine->range[i]) && machine->range[i].first_pa <= last)
            return true;
    return false;
}

bool hx_mm_is_memory(const struct hx_boot_info *info, uint64_t pa, uint64_t bytes)
{
    for (uint32_t i = 0; i < info->range_count; i++) {
        if (range_holds(info->range[i], pa, bytes))
            return range_end(info->range[i]) <= memory_reach();
    }
    return false;
}

/* ---- pressure ------------------------------------------------------------------------------------------------------- */
/* As long as the count of free frames lies in the window, nothing has changed. Locked by hx_mm_lock. */
static struct {
    uint32_t from, count;
    bool scarce;
    void (*changed)(bool scarce, uint64_t free_frames);
} pressure = { .count = UINT32_MAX };

/* A few frames more are wanted before it is over, so that one that comes and goes does not change it each time. */
static void open_window(void)
{
    uint32_t limit = hx_mm_frames.total / PRESSURE_SHARE, relief = limit + limit / 4;

    pressure.from = pressure.scarce ? 0 : limit;
    pressure.count = pressure.scarce ? relief : UINT32_MAX - limit;
}

void hx_mm_bind_pressure(void (*changed)(bool scarce, uint64_t free_frames))
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);

    pressure.changed = changed;
    open_window();
    hx_lock_release(&hx_mm_lock, flags);
}

static __attribute__((noinline)) void change_pressure(void)
{
    pressure.scarce = !pressure.scarce;
    open_window();
    pressure.changed(pressure.scarce, hx_mm_frames.free);
}

/* hx_mm_lock is held, and frames may have come or gone. */
static inline void look_at_pressure(void)
{
    if (__builtin_expect(hx_mm_frames.free - pressure.from >= pressure.count, 0))
        change_pressure();
}

/* ---- behind the seam ------------------------------------------------------------------------------------------------ */
void *hx_hal_alloc(size_t bytes)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    void *memory = hx_heap_alloc(&heap, bytes);

    if (!memory && hx_stack_give_kept())
        memory = hx_heap_alloc(&heap, bytes);
    look_at_pressure();
    hx_lock_release(&hx_mm_lock, flags);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

void hx_hal_free(void *memory)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    hx_status_t err = hx_heap_free(&heap, memory);

    if (err == HX_E_STALE)
        hx_mm_broken("freed twice", memory);
    if (err == HX_E_CORRUPT)
        hx_mm_broken("the head of a slab was overwritten", memory);
    if (err)
        hx_mm_broken("freed what was not allocated", memory);
    look_at_pressure();
    hx_lock_release(&hx_mm_lock, flags);
}

void hx_hal_memory_stats(struct hx_hal_memory_stats *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);

    *out = (struct hx_hal_memory_stats){
        .frames_total = (uint64_t)hx_mm_frames.total + hx_mm_arena.total,
        .frames_free = (uint64_t)hx_mm_frames.free + hx_stack_kept_frames() + hx_mm_arena.free,
        .heap_bytes = heap.bytes,
        .heap_objects = heap.objects,
        .image_pages = hx_image_memory_pages(),
        .image_tables = hx_image_memory_tables(),
        .grant_pages = hx_grant_memory_pages(),
        .seed_source = seed_source,
    };
    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX; prot++)
        hx_image_memory_pool(prot, &out->pool[prot].pages, &out->pool[prot].bytes);
    hx_lock_release(&hx_mm_lock, flags);
}

void *hx_mm_map_mmio(uint64_t pa, size_t bytes)
{
    uint64_t offset = pa % HX_PAGE_BYTES;
    uint64_t mapped = (offset + bytes + HX_PAGE_BYTES - 1) & ~(uint64_t)(HX_PAGE_BYTES - 1);
    hx_irq_flags_t flags = hx_lock_acquire(&hx_mm_lock);
    uintptr_t va = mmio_next_va;
    hx_status_t err = hx_vm_map(va, pa - offset, mapped, HX_VM_MMIO);

    if (!err)
        mmio_next_va += mapped;
    hx_lock_release(&hx_mm_lock, flags);
    return err ? NULL : (void *)(va + offset);
}
