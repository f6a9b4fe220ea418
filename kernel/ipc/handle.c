/* SPDX-License-Identifier: MIT */
/*
 * handle.c - see handle.h.
 *
 * Who looks a handle up takes no lock: an entry's name is written last when it is opened and first when it is closed, and no
 * name comes twice until a generation has gone round.
 */
#include "handle.h"

static struct {
    struct hx_lock lock;
    uint32_t free, used; /* used: entries from here up have never been taken. Entry 0 is nobody's */
    void (*release[HX_HANDLE_TYPE_COUNT])(struct hx_handle_entry *entry);
} table = { .lock = HX_LOCK_INIT(HX_RANK_HANDLE), .used = 1 };

struct hx_handle_entry hx_handles[HX_HANDLES_MAX];
struct hx_holder hx_kernel_holder = { .name = "kernel" };

static hx_status_t (*pay_memory)(const struct hx_holder *holder, uint64_t bytes, bool back);

void hx_handle_bind_memory(hx_status_t (*pay)(const struct hx_holder *holder, uint64_t bytes, bool back))
{
    __atomic_store_n(&pay_memory, pay, __ATOMIC_RELEASE);
}

void hx_handle_settle(void)
{
    hx_lock_release(&table.lock, hx_lock_acquire(&table.lock));
}

void hx_handle_bind(enum hx_handle_type type, void (*release)(struct hx_handle_entry *entry))
{
    __atomic_store_n(&table.release[type], release, __ATOMIC_RELEASE);
}

/* ---- lists: locked --------------------------------------------------------------------------------------------------- */
static hx_status_t pay(const struct hx_holder *payer, uint32_t weight, bool back)
{
    return weight && pay_memory ? pay_memory(payer, (uint64_t)weight * HX_HANDLE_WEIGHT, back) : HX_OK;
}

/* He has been charged for its memory. */
static void charge(struct hx_holder *payer, uint32_t index)
{
    struct hx_handle_entry *entry = &hx_handles[index];
    entry->payer = payer;
    entry->before = 0;
    entry->next = payer->first;
    if (payer->first)
        hx_handles[payer->first].before = index;
    payer->first = index;
    payer->count++;
}

static void uncharge(uint32_t index)
{
    const struct hx_handle_entry *entry = &hx_handles[index];
    if (entry->before)
        hx_handles[entry->before].next = entry->next;
    else
        entry->payer->first = entry->next;
    if (entry->next)
        hx_handles[entry->next].before = entry->before;
    entry->payer->count--;
    (void)!pay(entry->payer, entry->weight, true); /* giving back is never refused */
}

/* 0: none is free. */
static uint32_t take(void)
{
    uint32_t index = table.free;
    if (index) {
        table.free = hx_handles[index].next;
    } else if (table.used < HX_HANDLES_MAX) {
        index = table.used;
        __atomic_store_n(&table.used, index + 1, __ATOMIC_RELAXED); /* hx_handle_next() takes no lock */
    }
    return index;
}

static void put_back(uint32_t index)
{
    hx_handles[index].next = table.free;
    table.free = index;
}

/* HX_OK: he may have one more, and has been charged for it. */
static hx_status_t admit(const struct hx_holder *owner, uint32_t weight)
{
    return owner->count < (owner->limit ? owner->limit : HX_HANDLES_MAX) ? pay(owner, weight, false) : HX_E_LIMIT;
}

/* The next name of an entry. The bits of a generation that is 0 are left out: so no name is HX_HANDLE_NONE, whatever its type. */
static hx_handle_t next_name(enum hx_handle_type type, uint32_t index)
{
    uint32_t generation = (hx_handles[index].generation + 1) & 0xffffffu;
    hx_handles[index].generation = generation ? generation : 1;
    return hx_handle_make(type, hx_handles[index].generation, index);
}

static void set_name(struct hx_handle_entry *entry, hx_handle_t name)
{
    __atomic_store_n(&entry->name, name, __ATOMIC_RELEASE);
}

static void set_owner(struct hx_handle_entry *entry, struct hx_holder *owner)
{
    __atomic_store_n(&entry->owner, owner, __ATOMIC_RELAXED);
}

/* The entry of @handle, if it is a live one of @owner's. */
static struct hx_handle_entry *find(hx_handle_t handle, const struct hx_holder *owner)
{
    struct hx_handle_entry *entry = &hx_handles[hx_handle_index(handle) % HX_HANDLES_MAX];
    return handle != HX_HANDLE_NONE && entry->name == handle && entry->owner == owner ? entry : NULL;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
hx_status_t hx_handle_refusal(hx_handle_t handle, enum hx_handle_type type, const struct hx_holder *owner)
{
    const struct hx_handle_entry *entry = &hx_handles[hx_handle_index(handle) % HX_HANDLES_MAX];
    if (handle == HX_HANDLE_NONE || !hx_handle_is(entry, handle) ||
        (owner && __atomic_load_n(&entry->owner, __ATOMIC_RELAXED) != owner))
        return HX_E_STALE;
    return hx_handle_type(handle) == (uint32_t)type ? HX_E_PERM : HX_E_INVAL;
}

/* A new entry like @like: what it stands for, owner, rights, weight and authority. Locked. */
static hx_status_t open_like(enum hx_handle_type type, const struct hx_handle_entry *like, hx_handle_t *out)
{
    uint32_t index = take();
    hx_status_t err = index ? admit(like->owner, like->weight) : HX_E_LIMIT;
    if (err == HX_OK) {
        struct hx_handle_entry *entry = &hx_handles[index];
        __atomic_store_n(&entry->object, like->object, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->rights, like->rights, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->denied, ~HX_HANDLE_MAY(type, like->rights), __ATOMIC_RELAXED);
        entry->authority = like->authority;
        entry->weight = like->weight;
        set_owner(entry, like->owner);
        charge(like->owner, index);
        *out = next_name(type, index);
        set_name(entry, *out);
    } else if (index) {
        put_back(index);
    }
    return err;
}

hx_status_t hx_handle_open_for(enum hx_handle_type type, void *object, struct hx_holder *owner, uint32_t rights,
                               uint64_t bytes, hx_handle_t *out)
{
    const struct hx_handle_entry like = { .object = object,
                                          .owner = owner,
                                          .rights = rights,
                                          .weight = (uint16_t)((bytes + HX_HANDLE_WEIGHT - 1) / HX_HANDLE_WEIGHT) };
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    hx_status_t err = open_like(type, &like, out);
    hx_lock_release(&table.lock, flags);
    return err;
}

hx_status_t hx_handle_clone(hx_handle_t handle, struct hx_holder *to, uint32_t rights, hx_handle_t authority,
                            hx_handle_t *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    const struct hx_handle_entry *entry = &hx_handles[hx_handle_index(handle) % HX_HANDLES_MAX];
    const struct hx_handle_entry like = {
        .object = entry->object, .owner = to, .rights = rights, .authority = authority ? authority : entry->authority
    };
    hx_status_t err = HX_E_STALE;
    if (handle != HX_HANDLE_NONE && entry->name == handle)
        err = open_like((enum hx_handle_type)hx_handle_type(handle), &like, out);
    hx_lock_release(&table.lock, flags);
    return err;
}

/* Locked, and not on return: what the entry stood for is given back without. */
static void close_and_unlock(struct hx_handle_entry *entry, hx_irq_flags_t flags)
{
    struct hx_handle_entry gone = *entry;
    uint32_t index = hx_handle_index(gone.name);
    set_name(entry, HX_HANDLE_NONE);
    uncharge(index);
    put_back(index);
    hx_lock_release(&table.lock, flags);
    void (*release)(struct hx_handle_entry *) =
        __atomic_load_n(&table.release[hx_handle_type(gone.name)], __ATOMIC_ACQUIRE);
    if (release)
        release(&gone);
}

hx_status_t hx_handle_close(hx_handle_t handle, const struct hx_holder *owner)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    struct hx_handle_entry *entry = find(handle, owner);
    if (!entry) {
        hx_lock_release(&table.lock, flags);
        return HX_E_STALE;
    }
    close_and_unlock(entry, flags);
    return HX_OK;
}

hx_status_t hx_handle_give(hx_handle_t handle, const struct hx_holder *from, struct hx_holder *to, hx_handle_t *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    struct hx_handle_entry *entry = find(handle, from);
    hx_status_t err = entry ? HX_OK : HX_E_STALE;
    bool new_payer = entry && !to->in_transit && entry->payer != to;
    if (new_payer)
        err = admit(to, entry->weight);
    if (err == HX_OK) {
        uint32_t index = hx_handle_index(handle);
        set_name(entry, HX_HANDLE_NONE);
        set_owner(entry, to);
        if (new_payer) {
            uncharge(index);
            charge(to, index);
        }
        *out = next_name((enum hx_handle_type)hx_handle_type(handle), index);
        set_name(entry, *out);
    }
    hx_lock_release(&table.lock, flags);
    return err;
}

/* The first of @holder's that is not on its way; those before it are the messages' from now on. Locked. */
static struct hx_handle_entry *first_own(struct hx_holder *holder)
{
    while (holder->first) {
        uint32_t index = holder->first;
        struct hx_handle_entry *entry = &hx_handles[index];
        if (entry->owner == holder)
            return entry;
        uncharge(index);
        charge(entry->owner, index);
    }
    return NULL;
}

void hx_handle_close_all(struct hx_holder *holder)
{
    for (;;) {
        hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
        struct hx_handle_entry *entry = first_own(holder);
        if (!entry) {
            hx_lock_release(&table.lock, flags);
            return;
        }
        close_and_unlock(entry, flags);
    }
}

const struct hx_handle_entry *hx_handle_next(uint32_t after)
{
    uint32_t used = __atomic_load_n(&table.used, __ATOMIC_RELAXED);
    for (uint32_t i = after + 1; i < used; i++)
        if (!hx_handle_is(&hx_handles[i], HX_HANDLE_NONE))
            return &hx_handles[i];
    return NULL;
}
