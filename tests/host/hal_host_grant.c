/* SPDX-License-Identifier: MIT */
/*
 * hal_host_grant.c - grants: a memory file each, mapped into the slot that it is in.
 *
 * The window is one reservation that allows nothing; a slot that is empty faults as on the machine, and so does what lies
 * between two slots.
 */
#include "hal_host_parts.h"

#include <hal/hx_lock.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT_BYTES ((size_t)HX_HAL_GRANT_PAGES * HX_PAGE_BYTES)
#define STRIDE_BYTES (2 * SLOT_BYTES)

struct hx_hal_grant {
    int file;
    uint32_t pages;
    uint32_t slot; /* HX_HAL_GRANT_SLOTS: in none */
};

static uint8_t *window;
static const struct hx_hal_grant *in_slot[HX_HAL_GRANT_SLOTS];
static uint64_t grant_pages;

void hal_host_grant_init(void)
{
    window =
        mmap(NULL, HX_HAL_GRANT_SLOTS * STRIDE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    HAL_HOST_CHECK(window != MAP_FAILED, "no address space for grants");
}

uint64_t hal_host_grant_pages(void)
{
    return grant_pages;
}

uintptr_t hx_hal_grant_va(uint32_t slot)
{
    return (uintptr_t)window + slot * STRIDE_BYTES;
}

struct hx_hal_grant *hx_hal_grant_alloc(uint32_t pages)
{
    HAL_HOST_CHECK(pages > 0 && pages <= HX_HAL_GRANT_PAGES, "hx_hal_grant_alloc(%u)", pages);
    if (!hal_host_may_allocate())
        return NULL;
    struct hx_hal_grant *grant = malloc(sizeof(*grant));
    HAL_HOST_CHECK(grant, "the host has no memory left");
    *grant = (struct hx_hal_grant){ .file = memfd_create("helix-grant", MFD_CLOEXEC),
                                    .pages = pages,
                                    .slot = HX_HAL_GRANT_SLOTS };
    HAL_HOST_CHECK(grant->file >= 0 && ftruncate(grant->file, (off_t)pages * HX_PAGE_BYTES) == 0, "no memory file");
    grant_pages += pages;
    return grant;
}

/* Here memory ends at 2 GiB, and what lies above is a memory file like the others. */
bool hx_hal_is_memory(uint64_t first, uint64_t last)
{
    (void)last;
    return first < UINT32_C(1) << 31;
}

struct hx_hal_grant *hx_hal_grant_device(uint64_t first, uint32_t pages)
{
    HAL_HOST_CHECK(first % HX_PAGE_BYTES == 0, "hx_hal_grant_device(0x%llx)", (unsigned long long)first);
    return hx_hal_grant_alloc(pages);
}

void hx_hal_grant_free(struct hx_hal_grant *grant)
{
    if (!grant)
        return;
    HAL_HOST_CHECK(grant->slot == HX_HAL_GRANT_SLOTS, "hx_hal_grant_free: it is in slot %u", grant->slot);
    grant_pages -= grant->pages;
    close(grant->file);
    free(grant);
}

/* As with any lock of memory, none of a higher rank is held. */
static void locks_check(const char *what)
{
    HAL_HOST_CHECK(!HX_CHECKS || hx_cpu_read(lock_rank) < HX_RANK_MEMORY, "%s under a lock of rank %u", what,
                   hx_cpu_read(lock_rank));
}

void hx_hal_grant_attach(struct hx_hal_grant *grant, uint32_t slot, enum hx_prot prot)
{
    locks_check("hx_hal_grant_attach");
    HAL_HOST_CHECK(grant->slot == HX_HAL_GRANT_SLOTS, "hx_hal_grant_attach: it is in slot %u", grant->slot);
    HAL_HOST_CHECK(slot < HX_HAL_GRANT_SLOTS && !in_slot[slot], "hx_hal_grant_attach: slot %u is taken", slot);
    HAL_HOST_CHECK(prot == HX_PROT_R || prot == HX_PROT_RW, "hx_hal_grant_attach: enum hx_prot %d", (int)prot);
    void *va = (void *)hx_hal_grant_va(slot);
    void *at = mmap(va, (size_t)grant->pages * HX_PAGE_BYTES, prot == HX_PROT_RW ? PROT_READ | PROT_WRITE : PROT_READ,
                    MAP_SHARED | MAP_FIXED, grant->file, 0);
    HAL_HOST_CHECK(at == va, "the host cannot map a grant");
    in_slot[slot] = grant;
    grant->slot = slot;
}

void hx_hal_grant_detach(struct hx_hal_grant *grant, uint32_t slot)
{
    locks_check("hx_hal_grant_detach");
    HAL_HOST_CHECK(!hx_cpu_read(irq_depth), "hx_hal_grant_detach in an interrupt");
    HAL_HOST_CHECK(slot < HX_HAL_GRANT_SLOTS && in_slot[slot] == grant && grant->slot == slot,
                   "hx_hal_grant_detach: it is in slot %u, not %u", grant->slot, slot);
    void *va = (void *)hx_hal_grant_va(slot);
    void *at = mmap(va, SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    HAL_HOST_CHECK(at == va, "the host cannot unmap a grant");
    in_slot[slot] = NULL;
    grant->slot = HX_HAL_GRANT_SLOTS;
}
