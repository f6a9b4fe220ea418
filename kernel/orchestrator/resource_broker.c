/* SPDX-License-Identifier: MIT */
/*
 * resource_broker.c - see resource_broker.h.
 *
 * Invariant: of a pool that is no rate's alone, available = total - what all holders have allocated; a holder's `allocated' is
 * the sum of his records and of `charged'. The same of rates, where what is allocated is a reservation of so much a second.
 */
#include "resource_broker.h"

#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <string.h>

struct links {
    uint32_t next, prev; /* 1 + index, 0: none */
};

struct record {
    struct hx_resource_holder *holder; /* NULL: free */
    uint64_t allocated, used;
    uint32_t generation; /* outlives the allocation */
    enum hx_resource resource;
    bool pinned;
    struct links in_pool, in_holder; /* free: in_pool.next is the next of those */
};

static const uint64_t second_ns = 1000000000u;
static const uint64_t debt_max_s = 1000000000u; /* nobody is told to wait for longer: nanoseconds have an end */
static const struct {
    const char *name;
    bool is_rate;
} known[HX_RESOURCE_CUSTOM] = {
    [HX_RESOURCE_MEMORY] = { "memory", false },
    [HX_RESOURCE_CPU_TIME] = { "cpu", true },
    [HX_RESOURCE_IO] = { "io", true },
    [HX_RESOURCE_FILES] = { "files", false },
    [HX_RESOURCE_CONNECTIONS] = { "connections", false },
};

static struct hx_lock broker_lock =
    HX_LOCK_INIT(HX_RANK_RESOURCE); /* apart: what begins as zeros takes no room in the file */
static struct {
    struct hx_resource_pool pool[HX_RESOURCES_MAX];
    struct record record[HX_ALLOCATIONS_MAX];
    uint32_t free;  /* 1 + index */
    uint32_t used;  /* records from here up have never been taken */
    uint32_t taken; /* that are somebody's now */
} broker;

static bool is_news;
static void (*told_over)(void);

static hx_irq_flags_t lock(void)
{
    return hx_lock_acquire(&broker_lock);
}

static void unlock(hx_irq_flags_t flags)
{
    bool tell = is_news;
    is_news = false;
    hx_lock_release(&broker_lock, flags);
    if (tell && told_over)
        told_over();
}

void hx_resource_bind(void (*over)(void))
{
    told_over = over;
}

static void note_over(struct hx_resource_share *share)
{
    if (share->is_over)
        return;
    share->is_over = share->has_news = is_news = true;
    share->throttled++;
}

bool hx_resource_take_news(struct hx_resource_holder *holder, enum hx_resource resource)
{
    hx_irq_flags_t flags = lock();
    bool news = holder->share[resource].has_news;
    holder->share[resource].has_news = false;
    unlock(flags);
    return news;
}

/* ---- pools ---------------------------------------------------------------------------------------------------------- */

void hx_resource_init(void)
{
    hx_irq_flags_t flags = lock();
    memset(broker.pool, 0, sizeof(broker.pool));
    memset(broker.record, 0, sizeof(broker.record));
    broker.free = broker.used = broker.taken = 0;
    unlock(flags);
}

static struct hx_resource_pool *pool_of(enum hx_resource resource)
{
    return resource < HX_RESOURCES_MAX && broker.pool[resource].exists ? &broker.pool[resource] : NULL;
}

static struct hx_resource_pool *pool_called(const char *name, size_t bytes)
{
    for (uint32_t i = 0; i < HX_RESOURCES_MAX; i++)
        if (broker.pool[i].exists && strlen(broker.pool[i].name) == bytes &&
            strncmp(broker.pool[i].name, name, bytes) == 0)
            return &broker.pool[i];
    return NULL;
}

static void make(struct hx_resource_pool *pool, const char *name, bool is_rate, uint64_t total)
{
    *pool = (struct hx_resource_pool){ .exists = true, .is_rate = is_rate, .total = total, .available = total };
    hx_fmt(pool->name, sizeof(pool->name), "%s", name);
}

hx_status_t hx_resource_pool_init(enum hx_resource resource, uint64_t total)
{
    if (resource >= HX_RESOURCE_CUSTOM)
        return HX_E_INVAL;
    hx_irq_flags_t flags = lock();
    hx_status_t err = pool_of(resource) ? HX_E_EXIST : HX_OK;
    if (err == HX_OK)
        make(&broker.pool[resource], known[resource].name, known[resource].is_rate, total);
    unlock(flags);
    return err;
}

static bool is_known(const char *name)
{
    for (uint32_t i = 0; i < HX_RESOURCE_CUSTOM; i++)
        if (strcmp(known[i].name, name) == 0)
            return true;
    return false;
}

static hx_status_t make_custom(const char *name, size_t bytes, uint64_t total, enum hx_resource *out)
{
    if (is_known(name) || pool_called(name, bytes))
        return HX_E_EXIST;
    for (uint32_t i = HX_RESOURCE_CUSTOM; i < HX_RESOURCES_MAX; i++) {
        if (broker.pool[i].exists)
            continue;
        make(&broker.pool[i], name, false, total);
        *out = (enum hx_resource)i;
        return HX_OK;
    }
    return HX_E_LIMIT;
}

hx_status_t hx_resource_custom_init(const char *name, uint64_t total, enum hx_resource *out)
{
    size_t bytes = strnlen(name, HX_NAME_MAX);
    if (bytes == 0 || bytes == HX_NAME_MAX)
        return HX_E_INVAL;
    hx_irq_flags_t flags = lock();
    hx_status_t err = make_custom(name, bytes, total, out);
    unlock(flags);
    return err;
}

hx_status_t hx_resource_find(const char *name, size_t bytes, enum hx_resource *out)
{
    hx_irq_flags_t flags = lock();
    const struct hx_resource_pool *pool = pool_called(name, bytes);
    unlock(flags);
    if (!pool)
        return HX_E_NOENT;
    *out = (enum hx_resource)(pool - broker.pool); /* pools stay */
    return HX_OK;
}

hx_status_t hx_resource_pool_get(enum hx_resource resource, struct hx_resource_pool *out)
{
    hx_irq_flags_t flags = lock();
    const struct hx_resource_pool *pool = pool_of(resource);
    if (pool)
        *out = *pool;
    unlock(flags);
    return pool ? HX_OK : HX_E_NOENT;
}

/* ---- holding -------------------------------------------------------------------------------------------------------- */

void hx_resource_holder_init(struct hx_resource_holder *holder)
{
    memset(holder, 0, sizeof(*holder));
    for (uint32_t i = 0; i < HX_RESOURCES_MAX; i++)
        holder->share[i].quota = HX_QUOTA_NONE;
}

/* @amount goes from the pool to @holder. */
static hx_status_t take(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount)
{
    struct hx_resource_pool *pool = pool_of(resource);
    if (!pool)
        return HX_E_NOENT;
    if (!amount)
        return HX_E_INVAL;
    struct hx_resource_share *share = &holder->share[resource];
    if (share->allocated > share->quota || amount > share->quota - share->allocated) {
        if (!pool->is_rate) /* of these it is what is spent that counts */
            note_over(share);
        return HX_E_QUOTA;
    }
    if (amount > pool->available)
        return HX_E_EXHAUSTED;
    if (!pool->is_rate)
        share->is_over = false;
    share->allocated += amount;
    pool->available -= amount;
    return HX_OK;
}

static void give_back(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount)
{
    holder->share[resource].allocated -= amount;
    broker.pool[resource].available += amount;
}

static struct links *links_of(uint32_t which, bool in_pool)
{
    struct record *record = &broker.record[which - 1];
    return in_pool ? &record->in_pool : &record->in_holder;
}

static void enter(uint32_t *first, uint32_t which, bool in_pool)
{
    *links_of(which, in_pool) = (struct links){ .next = *first };
    if (*first)
        links_of(*first, in_pool)->prev = which;
    *first = which;
}

static void strike(uint32_t *first, uint32_t which, bool in_pool)
{
    struct links gone = *links_of(which, in_pool);
    if (gone.next)
        links_of(gone.next, in_pool)->prev = gone.prev;
    if (gone.prev)
        links_of(gone.prev, in_pool)->next = gone.next;
    else
        *first = gone.next;
}

/* 1 + the index of one that nobody has, or 0. It stays free. */
static uint32_t free_record(void)
{
    if (broker.free)
        return broker.free;
    return broker.used < HX_ALLOCATIONS_MAX ? broker.used + 1 : 0;
}

static void use_record(uint32_t which)
{
    if (which == broker.free)
        broker.free = broker.record[which - 1].in_pool.next;
    else
        broker.used++;
}

static hx_handle_t handle_of(uint32_t which)
{
    return hx_handle_make(HX_HANDLE_ALLOCATION, broker.record[which - 1].generation, which - 1);
}

static struct record *record_of(hx_handle_t allocation)
{
    uint32_t index = hx_handle_index(allocation);
    if (index >= HX_ALLOCATIONS_MAX || !broker.record[index].holder || handle_of(index + 1) != allocation)
        return NULL;
    return &broker.record[index];
}

static uint32_t allocate(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount,
                         hx_status_t *out_err)
{
    uint32_t which = free_record();
    *out_err = take(holder, resource, amount);
    if (*out_err != HX_OK)
        return 0;
    if (!which) {
        give_back(holder, resource, amount);
        *out_err = HX_E_LIMIT;
        return 0;
    }
    use_record(which);
    struct record *record = &broker.record[which - 1];
    record->generation = (record->generation + 1) & 0xffffffu;
    record->holder = holder;
    record->resource = resource;
    record->allocated = amount;
    record->used = 0;
    record->pinned = false;
    enter(&broker.pool[resource].first, which, true);
    enter(&holder->first, which, false);
    broker.pool[resource].count++;
    holder->count++;
    broker.taken++;
    return which;
}

hx_status_t hx_resource_allocate(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount,
                                 hx_handle_t *out)
{
    hx_status_t err = HX_E_INTERNAL;
    hx_irq_flags_t flags = lock();
    uint32_t which = allocate(holder, resource, amount, &err);
    if (which)
        *out = handle_of(which);
    unlock(flags);
    return err;
}

hx_status_t hx_resource_allocate_asked(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount,
                                       hx_handle_t *out)
{
    hx_status_t err = HX_E_LIMIT;
    uint32_t which = 0;
    hx_irq_flags_t flags = lock();
    if (holder->count < HX_RES_ALLOCATIONS_MAX && broker.taken < HX_ALLOCATIONS_MAX - HX_ALLOCATIONS_KEPT)
        which = allocate(holder, resource, amount, &err);
    if (which)
        *out = handle_of(which);
    unlock(flags);
    return err;
}

static void deallocate(struct record *record)
{
    struct hx_resource_holder *holder = record->holder;
    struct hx_resource_pool *pool = &broker.pool[record->resource];
    uint32_t which = (uint32_t)(record - broker.record) + 1;
    give_back(holder, record->resource, record->allocated);
    if (!pool->is_rate)
        holder->share[record->resource].used -= record->used;
    strike(&pool->first, which, true);
    strike(&holder->first, which, false);
    pool->count--;
    holder->count--;
    broker.taken--;
    record->holder = NULL;
    record->in_pool.next = broker.free;
    broker.free = which;
}

hx_status_t hx_resource_deallocate(hx_handle_t allocation)
{
    hx_irq_flags_t flags = lock();
    struct record *record = record_of(allocation);
    if (record)
        deallocate(record);
    unlock(flags);
    return record ? HX_OK : HX_E_NOENT;
}

void hx_resource_pin(hx_handle_t allocation)
{
    hx_irq_flags_t flags = lock();
    struct record *record = record_of(allocation);
    if (record)
        record->pinned = true;
    unlock(flags);
}

hx_status_t hx_resource_update_usage(hx_handle_t allocation, uint64_t used)
{
    hx_status_t err = HX_E_NOENT;
    hx_irq_flags_t flags = lock();
    struct record *record = record_of(allocation);
    if (record && used > record->allocated) {
        err = HX_E_RANGE;
    } else if (record) {
        if (!broker.pool[record->resource].is_rate) /* what a rate's holder has used is what he has spent */
            record->holder->share[record->resource].used += used - record->used;
        record->used = used;
        err = HX_OK;
    }
    unlock(flags);
    return err;
}

static void describe(const struct record *record, struct hx_allocation *out)
{
    *out = (struct hx_allocation){ .handle = handle_of((uint32_t)(record - broker.record) + 1),
                                   .resource = record->resource,
                                   .allocated = record->allocated,
                                   .used = record->used,
                                   .pinned = record->pinned,
                                   .holder = record->holder };
}

hx_status_t hx_resource_get(hx_handle_t allocation, struct hx_allocation *out)
{
    hx_irq_flags_t flags = lock();
    const struct record *record = record_of(allocation);
    if (record)
        describe(record, out);
    unlock(flags);
    return record ? HX_OK : HX_E_NOENT;
}

hx_status_t hx_resource_next(const struct hx_resource_holder *holder, hx_handle_t after, struct hx_allocation *out)
{
    hx_irq_flags_t flags = lock();
    const struct record *record = record_of(after);
    uint32_t which = after == HX_HANDLE_NONE              ? holder->first
                     : record && record->holder == holder ? record->in_holder.next
                                                          : 0;
    if (which)
        describe(&broker.record[which - 1], out);
    unlock(flags);
    return which ? HX_OK : HX_E_NOENT;
}

static void uncharge(struct hx_resource_holder *holder, uint64_t bytes)
{
    struct hx_resource_share *share = &holder->share[HX_RESOURCE_MEMORY];
    share->charged -= bytes;
    share->used -= bytes;
    give_back(holder, HX_RESOURCE_MEMORY, bytes);
}

void hx_resource_release_all(struct hx_resource_holder *holder)
{
    hx_irq_flags_t flags = lock();
    while (holder->first)
        deallocate(&broker.record[holder->first - 1]);
    uncharge(holder, holder->share[HX_RESOURCE_MEMORY].charged);
    unlock(flags);
}

void hx_resource_usage(const struct hx_resource_holder *holder, enum hx_resource resource,
                       struct hx_resource_share *out)
{
    hx_irq_flags_t flags = lock();
    *out = holder->share[resource];
    unlock(flags);
}

hx_status_t hx_resource_charge_memory(struct hx_resource_holder *holder, uint64_t bytes)
{
    if (!holder || !bytes)
        return HX_OK;
    hx_irq_flags_t flags = lock();
    hx_status_t err = take(holder, HX_RESOURCE_MEMORY, bytes);
    if (err == HX_OK) {
        holder->share[HX_RESOURCE_MEMORY].charged += bytes;
        holder->share[HX_RESOURCE_MEMORY].used += bytes;
    }
    unlock(flags);
    return err;
}

void hx_resource_uncharge_memory(struct hx_resource_holder *holder, uint64_t bytes)
{
    if (!holder)
        return;
    hx_irq_flags_t flags = lock();
    uint64_t charged = holder->share[HX_RESOURCE_MEMORY].charged;
    uncharge(holder, bytes < charged ? bytes : charged);
    unlock(flags);
}

/* ---- rates ---------------------------------------------------------------------------------------------------------- */

/* Time is counted in microseconds here, so that products fit; what is too short for one unit is kept for the next time. */
static void fill(struct hx_resource_share *share, uint64_t now_ns)
{
    if (now_ns <= share->filled_ns)
        return;
    uint64_t seconds = (now_ns - share->filled_ns) / second_ns;
    uint64_t us = (now_ns - share->filled_ns) % second_ns / 1000;
    int64_t most = (int64_t)share->quota;
    /* In a second at least its quota flows in: as many as the debt has quotas fill it, and one more. */
    if (seconds > (uint64_t)(most - share->balance) / share->quota + 1) {
        share->balance = most;
        share->filled_ns = now_ns;
        return;
    }
    uint64_t part = us * share->quota / 1000000;
    share->balance += (int64_t)(seconds * share->quota + part);
    share->filled_ns += seconds * second_ns + (share->quota < 1000000 ? part * second_ns / share->quota : us * 1000);
    if (share->balance >= most) {
        share->balance = most;
        share->filled_ns = now_ns;
    }
}

static uint64_t spend(struct hx_resource_share *share, uint64_t amount, uint64_t now_ns)
{
    share->used += amount;
    if (share->quota == HX_QUOTA_NONE)
        return 0;
    fill(share, now_ns);
    /* Who owes a second and more is charged nothing on top: others may use a service while its own tasks wait. */
    if (share->balance > -(int64_t)share->quota)
        share->balance -= (int64_t)(amount < HX_RATE_MAX ? amount : HX_RATE_MAX);
    if (share->balance >= 0) {
        share->is_over = false;
        return 0;
    }
    note_over(share);
    uint64_t debt = (uint64_t)-share->balance, seconds = debt / share->quota;
    return share->filled_ns + (seconds < debt_max_s ? seconds : debt_max_s) * second_ns +
           (debt % share->quota * 1000000 / share->quota + 1) * 1000;
}

uint64_t hx_resource_spend(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount,
                           uint64_t now_ns)
{
    uint64_t until_ns = 0;
    hx_irq_flags_t flags = lock();
    const struct hx_resource_pool *pool = pool_of(resource);
    if (pool && pool->is_rate)
        until_ns = spend(&holder->share[resource], amount, now_ns);
    unlock(flags);
    return until_ns;
}

/* ---- quotas --------------------------------------------------------------------------------------------------------- */

static hx_status_t set_quota(struct hx_resource_share *share, const struct hx_resource_pool *pool, uint64_t quota)
{
    if (!pool)
        return HX_E_NOENT;
    if (pool->is_rate && quota != HX_QUOTA_NONE && (quota == 0 || quota > HX_RATE_MAX))
        return HX_E_RANGE;
    share->quota = quota;
    share->balance = pool->is_rate && quota != HX_QUOTA_NONE ? (int64_t)quota : 0;
    share->filled_ns = hx_hal_clock_ns();
    share->is_over = false;
    return HX_OK;
}

hx_status_t hx_resource_set_quota(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t quota)
{
    if (resource >= HX_RESOURCES_MAX)
        return HX_E_NOENT;
    hx_irq_flags_t flags = lock();
    hx_status_t err = set_quota(&holder->share[resource], pool_of(resource), quota);
    unlock(flags);
    return err;
}

/* "1M": a number and what it is multiplied by. */
static hx_status_t parse_amount(const char *text, size_t bytes, bool is_cpu, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t value = 0, factor = 1;
    const char *unit = bytes > 1 ? memchr(units, text[bytes - 1], sizeof(units) - 1) : NULL;
    if (is_cpu) { /* of one processor */
        factor = second_ns / 100;
        bytes -= bytes > 1 && text[bytes - 1] == '%';
    } else if (unit) {
        factor = UINT64_C(1) << 10 * (uint32_t)(unit - units + 1);
        bytes--;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return HX_E_FORMAT;
        uint32_t digit = (uint32_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return HX_E_RANGE;
        value = value * 10 + digit;
    }
    if (bytes == 0)
        return HX_E_FORMAT;
    if (value > (is_cpu ? HX_CPUS_MAX * UINT64_C(100) : (HX_QUOTA_NONE - 1) / factor) || (is_cpu && value == 0))
        return HX_E_RANGE;
    *out = value * factor;
    return HX_OK;
}

hx_status_t hx_resource_pool_add(const char *text, size_t bytes)
{
    char name[HX_NAME_MAX] = "";
    const char *equals = memchr(text, '=', bytes);
    size_t length = equals ? (size_t)(equals - text) : 0;
    uint64_t total = 0;
    enum hx_resource resource = HX_RESOURCE_MEMORY;
    if (length == 0 || length >= sizeof(name))
        return HX_E_FORMAT;
    memcpy(name, text, length);
    hx_status_t err = parse_amount(equals + 1, bytes - length - 1, false, &total);
    if (err != HX_OK)
        return err;
    while (resource < HX_RESOURCE_CUSTOM && strcmp(known[resource].name, name) != 0)
        resource++;
    return resource < HX_RESOURCE_CUSTOM ? hx_resource_pool_init(resource, total)
                                         : hx_resource_custom_init(name, total, &resource);
}

hx_status_t hx_resource_parse_quota(const char *text, size_t bytes, enum hx_resource *out_resource, uint64_t *out_quota)
{
    const char *equals = memchr(text, '=', bytes);
    if (!equals)
        return HX_E_FORMAT;
    hx_status_t err = hx_resource_find(text, (size_t)(equals - text), out_resource);
    size_t left = bytes - (size_t)(equals + 1 - text);
    if (err != HX_OK)
        return err;
    if (left == 4 && strncmp(equals + 1, "none", 4) == 0) {
        *out_quota = HX_QUOTA_NONE;
        return HX_OK;
    }
    return parse_amount(equals + 1, left, *out_resource == HX_RESOURCE_CPU_TIME, out_quota);
}

void hx_resource_quota_text(enum hx_resource resource, uint64_t quota, char out[24])
{
    if (quota == HX_QUOTA_NONE)
        hx_fmt(out, 24, "none");
    else if (resource == HX_RESOURCE_CPU_TIME)
        hx_fmt(out, 24, "%llu%%", (unsigned long long)(quota / (second_ns / 100)));
    else
        hx_fmt(out, 24, "%llu", (unsigned long long)quota);
}
