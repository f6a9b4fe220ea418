/* SPDX-License-Identifier: MIT */
/*
 * race_grant.c - grants under threads that take them from each other, give them away, drop and look at them, while one of the
 * holders ends again and again. Each grant has one owner.
 *
 * Of each size there is one grant at a time, and its handle stands on a board, with whose it is. Who has got it, by taking or by
 * closing it, puts a mark of his there, which must find the handle that he took; when memory is given back its place on the
 * board is free. The machine's half is a table of slots that complains of what is taken or empty.
 */
#include "race.h"

#include <ipc/grant.h>

enum {
    HOLDERS = 4,
    MORTAL = 3,
    MODEST = 2,
    POOR = 1,
    SIZES = 8,
    DEVICE = SIZES,
    TURNS = 100000,
    BOTH = HX_GRANT_READ | HX_GRANT_WRITE
};
static const uint64_t free_place = 0, in_hand = 1ull << 63, stride_bytes = 2 * HX_GRANT_BYTES_MAX,
                      first_va = 1ull << 40;
static const uint64_t poor_bytes = 16 * HX_PAGE_BYTES;

static struct hx_holder holder[HOLDERS] = { { .self = 1 }, { .self = 2 }, { .self = 3, .limit = 2 }, { .self = 4 } };
static uint64_t paid[HOLDERS];                                                 /* the handle table's lock */
static uint64_t board[SIZES];                                                  /* atomic */
static uint32_t alive[SIZES + 1], takers;                                      /* atomic */
static uint64_t allocated, freed, taken, given, dropped, too_late, over_limit; /* atomic */

static void count(uint64_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* ---- the machine ------------------------------------------------------------------------------------------------------- */
/* Whoever has the grant may change it, and he alone: nothing of it is atomic. */
struct hx_hal_grant {
    uint32_t pages, slot;
};
static struct hx_hal_grant *in_slot[HX_HAL_GRANT_SLOTS]; /* atomic */

struct hx_hal_grant *hx_hal_grant_alloc(uint32_t pages)
{
    struct hx_hal_grant *grant = malloc(sizeof(*grant));
    *grant = (struct hx_hal_grant){ pages, HX_HAL_GRANT_SLOTS };
    count(&allocated);
    race_expect("grants of a size", __atomic_exchange_n(&alive[pages - 1], 1, __ATOMIC_RELAXED), 0);
    return grant;
}

struct hx_hal_grant *hx_hal_grant_device(uint64_t first, uint32_t pages)
{
    (void)first;
    return hx_hal_grant_alloc(pages);
}

bool hx_hal_is_memory(uint64_t first, uint64_t last)
{
    (void)first, (void)last;
    return false;
}

void hx_hal_grant_free(struct hx_hal_grant *grant)
{
    uint32_t size = grant->pages - 1;
    race_expect("freed where it is mapped", grant->slot, HX_HAL_GRANT_SLOTS);
    free(grant);
    count(&freed);
    race_expect("freed twice", __atomic_exchange_n(&alive[size], 0, __ATOMIC_RELAXED), 1);
    if (size != DEVICE && __atomic_exchange_n(&board[size], free_place, __ATOMIC_ACQ_REL) == free_place)
        race_complain("nobody had it", size, 0);
}

uintptr_t hx_hal_grant_va(uint32_t slot)
{
    return first_va + slot * stride_bytes;
}

void hx_hal_grant_attach(struct hx_hal_grant *grant, uint32_t slot, enum hx_prot prot)
{
    (void)prot;
    race_expect("attached where it is mapped", grant->slot, HX_HAL_GRANT_SLOTS);
    grant->slot = slot;
    if (__atomic_exchange_n(&in_slot[slot], grant, __ATOMIC_RELAXED))
        race_complain("a slot that is taken", slot, 0);
}

void hx_hal_grant_detach(struct hx_hal_grant *grant, uint32_t slot)
{
    race_expect("detached from another slot", grant->slot, slot);
    grant->slot = HX_HAL_GRANT_SLOTS;
    if (__atomic_exchange_n(&in_slot[slot], NULL, __ATOMIC_RELAXED) != grant)
        race_complain("another's slot", slot, 0);
}

static hx_status_t pay(const struct hx_holder *payer, uint64_t bytes, bool back)
{
    if (payer < holder || payer >= holder + HOLDERS)
        return HX_OK; /* messages */
    uint64_t *sum = &paid[payer - holder];
    if (!back && payer == &holder[POOR] && *sum + bytes > poor_bytes)
        return HX_E_LIMIT;
    *sum += back ? -bytes : bytes;
    return HX_OK;
}

/* ---- the board --------------------------------------------------------------------------------------------------------- */
static bool swap(uint32_t size, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&board[size], &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The type is known; in its bits stands whose it is. */
static uint64_t written(hx_handle_t grant, uint32_t whose)
{
    return (grant & UINT64_MAX >> 8) | (uint64_t)(whose + 1) << 56;
}

static hx_handle_t handle_of(uint64_t entry)
{
    return (entry & UINT64_MAX >> 8) | (uint64_t)HX_HANDLE_GRANT << 56;
}

/* Thread @self gave @whose the grant; it is there no more if he has ended since. */
static void show(uint32_t size, uint32_t self, hx_handle_t grant, uint32_t whose)
{
    if (!swap(size, in_hand | self, written(grant, whose)) && whose != MORTAL)
        race_complain("another has had it in his hand", size, whose);
}

static void refill(uint32_t size, uint32_t self)
{
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va = 0;
    if (!swap(size, free_place, in_hand | self))
        return;
    hx_status_t err = hx_grant_make((size + 1) * HX_PAGE_BYTES, &holder[self], &grant, &va);
    if (err == HX_OK)
        show(size, self, grant, self);
    else if (err == HX_E_LIMIT) /* and given back: so the place is free */
        count(&over_limit);
    else
        race_complain("made", (uint64_t)-err, HX_OK);
}

/* ---- who takes, gives away, drops and looks ----------------------------------------------------------------------------- */
static void give(struct hx_grant *grant, uint32_t size, uint32_t self, uint32_t to, uint32_t permissions)
{
    struct hx_message_memory memory = { 0 };
    hx_status_t err = hx_grant_accept(grant, &holder[to], &memory);
    if (err != HX_OK) {
        race_expect("accepted", (uint64_t)-err, (uint64_t)-HX_E_LIMIT);
        count(&over_limit);
        count(&dropped);
        hx_grant_drop(grant);
        return;
    }
    count(&given);
    race_expect("bytes", memory.bytes, (size + 1) * HX_PAGE_BYTES);
    race_expect("permissions", memory.permissions, permissions);
    show(size, self, memory.grant, to);
}

static void take(uint64_t entry, uint32_t size, uint32_t self, uint32_t to, uint32_t permissions)
{
    struct hx_grant *grant = NULL;
    hx_status_t err = hx_grant_take(handle_of(entry), &holder[(entry >> 56) - 1], permissions, &grant);
    if (err == HX_E_STALE)
        count(&too_late);
    if (err == HX_E_STALE || err == HX_E_PERM)
        return;
    race_expect("taken", (uint64_t)-err, HX_OK);
    count(&taken);
    if (!swap(size, entry, in_hand | self))
        race_complain("two have taken a grant", size, self);
    if (to < HOLDERS) {
        give(grant, size, self, to, permissions);
    } else {
        count(&dropped);
        hx_grant_drop(grant);
    }
}

static void look(uint64_t entry, uint32_t size)
{
    struct hx_message_memory memory = { 0 };
    hx_status_t err = hx_grant_describe(handle_of(entry), &holder[(entry >> 56) - 1], &memory);
    if (err == HX_E_STALE)
        return;
    race_expect("described", (uint64_t)-err, HX_OK);
    race_expect("bytes seen", memory.bytes, (size + 1) * HX_PAGE_BYTES);
    race_expect("it is in a slot", (memory.address - first_va) / stride_bytes < HX_HAL_GRANT_SLOTS, true);
    race_expect("permissions seen", memory.permissions & HX_GRANT_READ, HX_GRANT_READ);
}

static void taker(uint32_t self)
{
    for (uint32_t i = 0; i < TURNS; i++) {
        uint32_t size = (i + self * i / 5) % SIZES, turn = i / SIZES % 8;
        uint64_t entry = __atomic_load_n(&board[size], __ATOMIC_ACQUIRE);
        if (entry == free_place)
            refill(size, self);
        else if (entry & in_hand)
            sched_yield();
        else if (turn == 0)
            (void)!hx_handle_close(handle_of(entry), &holder[(entry >> 56) - 1]);
        else if (turn == 1)
            look(entry, size);
        else
            take(entry, size, self, turn == 2 ? HOLDERS : (self + i) % HOLDERS, turn == 3 ? HX_GRANT_READ : BOTH);
    }
    __atomic_sub_fetch(&takers, 1, __ATOMIC_RELEASE);
}

static void mortal(uint32_t whose)
{
    while (__atomic_load_n(&takers, __ATOMIC_ACQUIRE)) {
        hx_handle_close_all(&holder[whose]);
        sched_yield();
    }
}

/* ---- who looks at all of them ------------------------------------------------------------------------------------------- */
static bool may_not(uint64_t first, uint64_t last, uint32_t permissions, void *context)
{
    (void)first, (void)last, (void)permissions, (void)context;
    return false;
}

/* It has a grant of a device, which nobody takes, and which it loses when all that it has are looked at. */
static void inspector(uint32_t whose)
{
    while (__atomic_load_n(&takers, __ATOMIC_ACQUIRE)) {
        struct hx_message_memory memory;
        struct hx_grant_stats stats;
        struct hx_grant *grant = NULL;
        hx_handle_t device = HX_HANDLE_NONE;
        for (uint32_t i = 0; i < SIZES; i++) {
            uint64_t entry = __atomic_load_n(&board[i], __ATOMIC_ACQUIRE);
            if (entry != free_place && !(entry & in_hand))
                look(entry, i);
        }
        hx_grant_stats(&stats);
        race_expect("no more than there can be", stats.live <= 2 * SIZES, true);
        if (hx_grant_make_device(1ull << 32, (DEVICE + 1) * HX_PAGE_BYTES, BOTH, &holder[whose], &device) != HX_OK)
            race_complain("no device", 0, 0);
        race_expect("a device", (uint64_t)-hx_grant_take(device, &holder[whose], BOTH, &grant), (uint64_t)-HX_E_PERM);
        hx_grant_check_devices(&holder[whose], may_not, NULL);
        race_expect("it is gone", (uint64_t)-hx_grant_describe(device, &holder[whose], &memory), (uint64_t)-HX_E_STALE);
    }
}

static void judge(void)
{
    struct hx_grant_stats stats;
    for (uint32_t i = 0; i < HOLDERS; i++) {
        hx_handle_close_all(&holder[i]);
        race_expect("handles of a holder", holder[i].count, 0);
        race_expect("bytes of a holder", paid[i], 0);
    }
    hx_grant_stats(&stats);
    race_expect("grants left", stats.live, 0);
    race_expect("pages left", stats.pages, 0);
    race_expect("freed", freed, allocated);
    race_expect("given away or dropped", given + dropped, taken);
    for (uint32_t i = 0; i < HX_HAL_GRANT_SLOTS; i++)
        race_expect("a slot that is not empty", in_slot[i] != NULL, false);
    race_expect("somebody was too late", too_late > 0, true);
    race_expect("somebody had as much as he may", over_limit > 0, true);
}

void race_grant_owners(void)
{
    hx_grant_init();
    hx_handle_bind_memory(pay);
    takers = HOLDERS;
    for (uint32_t i = 0; i < HOLDERS; i++)
        race_start(i, taker, i);
    race_start(HOLDERS, mortal, MORTAL);
    race_start(HOLDERS + 1, inspector, 0);
    race_join(0, HOLDERS + 2);
    judge();
    hx_handle_bind_memory(NULL);
}
