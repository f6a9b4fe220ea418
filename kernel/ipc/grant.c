/* SPDX-License-Identifier: MIT */
/*
 * grant.c - see grant.h.
 *
 * A grant always has a handle: its holder's, or one of `transit' while it is in a message. So giving the handle on is what
 * decides between two who take the same grant at once, and nobody else finds it between take and accept.
 * Why a slot is not used again before all others were: who still writes where its grant has been faults, and does not
 * change another's.
 * Who only looks at a grant takes no lock, as with handles: what it reads is written atomically, after the name that would be
 * true no more has gone.
 * Locks: HX_RANK_GRANT over slots and the list of free grants; never held while pages are mapped or unmapped.
 */
#include "grant.h"

#include <string.h>

enum { GRANTS_MAX = 1024, NO_SLOT = HX_HAL_GRANT_SLOTS, WORDS = HX_HAL_GRANT_SLOTS / 64 };
#define NO_DEVICE UINT64_MAX
_Static_assert((int)HX_GRANT_BYTES_MAX == HX_HAL_GRANT_PAGES * (int)HX_PAGE_BYTES, "a grant fits into a slot");

struct hx_grant {
    struct hx_hal_grant *memory;
    hx_handle_t name;      /* of transit's, from take to accept */
    uint32_t pages;        /* a */
    uint32_t slot;         /* a; NO_SLOT: not mapped */
    uint64_t device;       /* a; its first register; NO_DEVICE: it is memory */
    struct hx_grant *next; /* of the free ones */
};

static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_GRANT);
static struct hx_grant grants[GRANTS_MAX];
static struct hx_grant *free_grants; /* of those that were used before */
static uint32_t used;                /* of grants[] */
static uint64_t taken[WORDS];        /* slots */
static uint32_t last_slot = HX_HAL_GRANT_SLOTS - 1;
static struct hx_grant_stats stats;
static struct hx_holder transit = { .name = "messages", .in_transit = true };

/* ---- slots ---------------------------------------------------------------------------------------------------------- */
/* The next free one after the last that was taken, or NO_SLOT. */
static uint32_t slot_find(void)
{
    uint32_t from = (last_slot + 1) % HX_HAL_GRANT_SLOTS;
    uint64_t mask = UINT64_MAX << from % 64;

    for (uint32_t i = 0; i <= WORDS; i++, mask = UINT64_MAX) {
        uint32_t word = (from / 64 + i) % WORDS;
        uint64_t room = ~taken[word] & mask;
        if (room)
            return word * 64 + (uint32_t)__builtin_ctzll(room);
    }
    return NO_SLOT;
}

static void set_slot(struct hx_grant *grant, uint32_t slot)
{
    __atomic_store_n(&grant->slot, slot, __ATOMIC_RELEASE);
}

static hx_status_t map(struct hx_grant *grant, uint32_t permissions)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    uint32_t slot = slot_find();

    if (slot != NO_SLOT) {
        taken[slot / 64] |= 1ull << slot % 64;
        last_slot = slot;
    }
    hx_lock_release(&lock, flags);
    if (slot == NO_SLOT)
        return HX_E_LIMIT;
    set_slot(grant, slot);
    hx_hal_grant_attach(grant->memory, slot, permissions & HX_GRANT_WRITE ? HX_PROT_RW : HX_PROT_R);
    return HX_OK;
}

static void unmap(struct hx_grant *grant)
{
    uint32_t slot = grant->slot;

    if (slot == NO_SLOT)
        return;
    set_slot(grant, NO_SLOT);
    hx_hal_grant_detach(grant->memory, slot);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    taken[slot / 64] &= ~(1ull << slot % 64);
    hx_lock_release(&lock, flags);
}

/* ---- grants --------------------------------------------------------------------------------------------------------- */
/* One that is not in use, or NULL. */
static struct hx_grant *grant_get(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_grant *grant = free_grants;

    if (grant)
        free_grants = grant->next;
    else if (used < GRANTS_MAX)
        grant = &grants[used++];
    hx_lock_release(&lock, flags);
    return grant;
}

static void grant_put(struct hx_grant *grant, bool was_live)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);

    if (was_live) {
        stats.live--;
        stats.pages -= grant->pages;
    }
    grant->next = free_grants;
    free_grants = grant;
    hx_lock_release(&lock, flags);
}

/* Nobody has a handle of it any more. */
static void grant_end(struct hx_grant *grant)
{
    unmap(grant);
    hx_hal_grant_free(grant->memory);
    grant_put(grant, true);
}

static void release(struct hx_handle_entry *entry)
{
    grant_end(entry->object);
}

void hx_grant_init(void)
{
    hx_handle_bind(HX_HANDLE_GRANT, release);
}

static hx_status_t grant_make(uint64_t device, uint32_t pages, struct hx_grant **out)
{
    struct hx_grant *grant = grant_get();

    if (!grant)
        return HX_E_LIMIT;
    grant->memory = device == NO_DEVICE ? hx_hal_grant_alloc(pages) : hx_hal_grant_device(device, pages);
    __atomic_store_n(&grant->device, device, __ATOMIC_RELEASE);
    if (!grant->memory) {
        grant_put(grant, false);
        return HX_E_NOMEM;
    }
    __atomic_store_n(&grant->pages, pages, __ATOMIC_RELEASE);
    set_slot(grant, NO_SLOT);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    stats.live++;
    stats.pages += pages;
    hx_lock_release(&lock, flags);
    *out = grant;
    return HX_OK;
}

static hx_status_t make(uint64_t device, uint64_t bytes, uint32_t permissions, struct hx_holder *owner,
                        hx_handle_t *out, uintptr_t *out_va)
{
    struct hx_grant *grant = NULL;
    hx_handle_t name = HX_HANDLE_NONE;

    if (bytes == 0 || bytes > HX_GRANT_BYTES_MAX)
        return HX_E_INVAL;
    if (hx_cpu_read(irq_depth))
        return HX_E_STATE;
    hx_status_t err = grant_make(device, (uint32_t)(hx_page_round_up(bytes) / HX_PAGE_BYTES), &grant);
    if (err != HX_OK)
        return err;
    err = map(grant, permissions);
    uintptr_t va = hx_hal_grant_va(grant->slot);
    if (err == HX_OK)
        err = hx_handle_open_for(HX_HANDLE_GRANT, grant, owner, permissions,
                                 device == NO_DEVICE ? grant->pages * (uint64_t)HX_PAGE_BYTES : 0, &name);
    if (err != HX_OK) {
        grant_end(grant);
        return err;
    }
    *out = name;
    *out_va = va;
    return HX_OK;
}

hx_status_t hx_grant_make(uint64_t bytes, struct hx_holder *owner, hx_handle_t *out, uintptr_t *out_va)
{
    return make(NO_DEVICE, bytes, HX_GRANT_READ | HX_GRANT_WRITE, owner, out, out_va);
}

hx_status_t hx_grant_make_device(uint64_t first, uint64_t bytes, uint32_t permissions, struct hx_holder *owner,
                                 hx_handle_t *out)
{
    uintptr_t va;

    return hx_hal_is_memory(first, first + bytes - 1) ? HX_E_PERM : make(first, bytes, permissions, owner, out, &va);
}

static uint64_t device_of(const struct hx_grant *grant)
{
    return __atomic_load_n(&grant->device, __ATOMIC_ACQUIRE);
}

static uint64_t bytes_of(const struct hx_grant *grant)
{
    return (uint64_t)__atomic_load_n(&grant->pages, __ATOMIC_ACQUIRE) * HX_PAGE_BYTES;
}

void hx_grant_check_devices(struct hx_holder *owner,
                            bool (*may)(uint64_t first, uint64_t last, uint32_t permissions, void *context),
                            void *context)
{
    const struct hx_handle_entry *entry = NULL;

    for (uint32_t at = 0; (entry = hx_handle_next(at)); at = (uint32_t)(entry - hx_handles)) {
        hx_handle_t name = HX_HANDLE_READ(entry->name);
        const struct hx_grant *grant = HX_HANDLE_READ(entry->object);
        if (hx_handle_type(name) != HX_HANDLE_GRANT || HX_HANDLE_READ(entry->owner) != owner)
            continue;
        uint64_t device = device_of(grant);
        if (device == NO_DEVICE || may(device, device + bytes_of(grant) - 1, HX_HANDLE_READ(entry->rights), context))
            continue;
        hx_status_t err = hx_handle_close(name, owner);
        (void)err; /* it was given up meanwhile */
    }
}

static struct hx_message_memory describe(const struct hx_grant *grant, hx_handle_t name, uint32_t permissions)
{
    return (struct hx_message_memory){
        .grant = name,
        .address = hx_hal_grant_va(__atomic_load_n(&grant->slot, __ATOMIC_ACQUIRE)),
        .bytes = bytes_of(grant),
        .permissions = permissions,
    };
}

hx_status_t hx_grant_describe(hx_handle_t grant, const struct hx_holder *owner, struct hx_message_memory *out)
{
    hx_status_t err = HX_E_STALE;
    const struct hx_handle_entry *entry = hx_handle_look(grant, HX_HANDLE_GRANT, owner, 0, &err);

    if (!entry)
        return err;
    /* Type-stable: gone, it is another. What was read is true if the name still is, as that goes first. */
    struct hx_message_memory found = describe(HX_HANDLE_READ(entry->object), grant, HX_HANDLE_READ(entry->rights));
    if (!hx_handle_is(entry, grant))
        return HX_E_STALE;
    *out = found;
    return HX_OK;
}

/* Of a handle of transit's, which nobody else changes. */
static uint32_t *rights_of(hx_handle_t name)
{
    return &hx_handles[hx_handle_index(name)].rights;
}

/* ---- from one holder to another -------------------------------------------------------------------------------------- */
hx_status_t hx_grant_take(hx_handle_t grant, const struct hx_holder *owner, uint32_t permissions, struct hx_grant **out)
{
    hx_status_t err = HX_E_STALE;
    const struct hx_handle_entry *entry = hx_handle_look(grant, HX_HANDLE_GRANT, owner, permissions, &err);
    hx_handle_t name = HX_HANDLE_NONE;

    if (!entry)
        return err;
    if (!(permissions & HX_GRANT_READ))
        return HX_E_INVAL;
    if (hx_cpu_read(irq_depth))
        return HX_E_STATE;
    struct hx_grant *found = HX_HANDLE_READ(entry->object); /* it is that one if @grant is not stale below */
    if (device_of(found) != NO_DEVICE)
        return HX_E_PERM;
    err = hx_handle_give(grant, owner, &transit, &name);
    if (err != HX_OK)
        return err;
    __atomic_store_n(rights_of(name), permissions, __ATOMIC_RELEASE);
    found->name = name;
    unmap(found);
    *out = found;
    return HX_OK;
}

hx_status_t hx_grant_accept(struct hx_grant *grant, struct hx_holder *owner, struct hx_message_memory *out)
{
    hx_handle_t name = HX_HANDLE_NONE;
    uint32_t permissions = *rights_of(grant->name);
    hx_status_t err = map(grant, permissions);

    if (err != HX_OK)
        return err;
    struct hx_message_memory given = describe(grant, HX_HANDLE_NONE, permissions);
    err = hx_handle_give(grant->name, &transit, owner, &name); /* from here on the owner may lose it at any time */
    if (err != HX_OK) {
        unmap(grant);
        return err;
    }
    given.grant = name;
    *out = given;
    return HX_OK;
}

void hx_grant_drop(struct hx_grant *grant)
{
    hx_status_t err = hx_handle_close(grant->name, &transit);
    (void)err; /* nobody but the message has it */
}

void hx_grant_stats(struct hx_grant_stats *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);

    *out = stats;
    hx_lock_release(&lock, flags);
}
