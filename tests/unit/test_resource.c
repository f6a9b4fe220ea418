/* SPDX-License-Identifier: MIT */
/* test_resource.c - pools, what is held and used of them, quotas, and what modules are charged for. */
#include "world.h"

#include <criterion/criterion.h>
#include <hal/hx_hal_entry.h>
#include <lib/random.h>
#include <orchestrator/resource_broker.h>
#include <stdio.h>
#include <string.h>

static const uint64_t ms = 1000000, second = 1000000000;

static void begin(void)
{
    hal_host_init();
    hal_host_clock_step(0);
    hx_resource_init();
}

static uint64_t available(enum hx_resource resource)
{
    struct hx_resource_pool pool;
    cr_assert_eq(hx_resource_pool_get(resource, &pool), HX_OK);
    return pool.available;
}

static struct hx_resource_share share_of(const struct hx_resource_holder *holder, enum hx_resource resource)
{
    struct hx_resource_share share;
    hx_resource_usage(holder, resource, &share);
    return share;
}

/* ---- pools ---------------------------------------------------------------------------------------------------------- */

Test(resource, a_pool_is_made_once_and_a_second_time_drops_nothing)
{
    struct hx_resource_holder holder;
    hx_handle_t one = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 10), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 4, &one), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 20), HX_E_EXIST);
    cr_assert_eq(available(HX_RESOURCE_FILES), 6);
    cr_assert_eq(hx_resource_deallocate(one), HX_OK);
    cr_assert_eq(available(HX_RESOURCE_FILES), 10);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CUSTOM, 1), HX_E_INVAL, "that wants a name");
}

Test(resource, a_resource_of_ones_own_has_a_name_that_nobody_else_has)
{
    enum hx_resource ports = HX_RESOURCE_MEMORY, other = HX_RESOURCE_MEMORY;
    char name[HX_NAME_MAX + 1];
    begin();
    cr_assert_eq(hx_resource_custom_init("ports", 3, &ports), HX_OK);
    cr_assert_geq(ports, HX_RESOURCE_CUSTOM);
    cr_assert_eq(hx_resource_custom_init("ports", 3, &other), HX_E_EXIST);
    cr_assert_eq(hx_resource_custom_init("memory", 3, &other), HX_E_EXIST, "though there is no pool of it");
    cr_assert_eq(hx_resource_custom_init("", 3, &other), HX_E_INVAL);
    memset(name, 'x', sizeof(name));
    cr_assert_eq(hx_resource_custom_init(name, 3, &other), HX_E_INVAL);
    cr_assert_eq(hx_resource_find("ports", 5, &other), HX_OK);
    cr_assert_eq(other, ports);
    cr_assert_eq(hx_resource_find("port", 4, &other), HX_E_NOENT);
    cr_assert_eq(hx_resource_find("memory", 6, &other), HX_E_NOENT);
    for (uint32_t i = HX_RESOURCE_CUSTOM + 1; i < HX_RESOURCES_MAX; i++) {
        snprintf(name, sizeof(name), "own%u", i);
        cr_assert_eq(hx_resource_custom_init(name, 1, &other), HX_OK);
    }
    cr_assert_eq(hx_resource_custom_init("more", 1, &other), HX_E_LIMIT);
}

/* ---- holding -------------------------------------------------------------------------------------------------------- */

Test(resource, each_refusal_says_why_and_changes_nothing)
{
    struct hx_resource_holder holder, other;
    hx_handle_t one = HX_HANDLE_NONE, two = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    hx_resource_holder_init(&other);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 1, &one), HX_E_NOENT, "no pool");
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCES_MAX, 1, &one), HX_E_NOENT, "no resource");
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_MEMORY, 1), HX_E_NOENT);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCES_MAX, 1), HX_E_NOENT);
    cr_assert_eq(hx_resource_charge_memory(&holder, 1), HX_E_NOENT);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 100), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 0, &one), HX_E_INVAL);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_MEMORY, 60), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 61, &one), HX_E_QUOTA);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, UINT64_MAX, &one), HX_E_QUOTA);
    cr_assert_eq(one, HX_HANDLE_NONE);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 60, &one), HX_OK);
    cr_assert_eq(hx_handle_type(one), HX_HANDLE_ALLOCATION);
    cr_assert_eq(hx_resource_charge_memory(&holder, 1), HX_E_QUOTA);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, 41, &two), HX_E_EXHAUSTED);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, UINT64_MAX, &two), HX_E_EXHAUSTED);
    cr_assert_eq(hx_resource_charge_memory(&other, 41), HX_E_EXHAUSTED);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 40);
    cr_assert_eq(share_of(&other, HX_RESOURCE_MEMORY).allocated, 0);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, 40, &two), HX_OK);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 0);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_MEMORY, 10), HX_OK, "what it has it keeps");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).allocated, 60);
    cr_assert_eq(hx_resource_deallocate(two), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 1, &two), HX_E_QUOTA);
}

Test(resource, what_is_used_is_at_most_what_is_allocated)
{
    struct hx_resource_holder holder;
    struct hx_allocation got;
    hx_handle_t one = HX_HANDLE_NONE, two = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 100), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 50, &one), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 20, &two), HX_OK);
    cr_assert_eq(hx_resource_update_usage(one, 51), HX_E_RANGE);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).used, 0);
    cr_assert_eq(hx_resource_update_usage(one, 50), HX_OK);
    cr_assert_eq(hx_resource_update_usage(two, 7), HX_OK);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).used, 57);
    cr_assert_eq(hx_resource_update_usage(one, 30), HX_OK);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).used, 37);
    cr_assert_eq(hx_resource_get(one, &got), HX_OK);
    cr_assert(got.allocated == 50 && got.used == 30 && got.holder == &holder && got.resource == HX_RESOURCE_MEMORY);
    cr_assert_eq(hx_resource_deallocate(one), HX_OK);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).used, 7);
}

Test(resource, a_stale_or_invented_allocation_is_none)
{
    struct hx_resource_holder holder;
    struct hx_allocation got;
    hx_handle_t one = HX_HANDLE_NONE, again = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 100), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 5, &one), HX_OK);
    cr_assert_eq(hx_resource_deallocate(one), HX_OK);
    cr_assert_eq(hx_resource_deallocate(one), HX_E_NOENT, "twice");
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 5, &again), HX_OK);
    cr_assert_eq(hx_handle_index(one), hx_handle_index(again), "its place is used again");
    const hx_handle_t wrong[] = { one,
                                  HX_HANDLE_NONE,
                                  UINT64_MAX,
                                  again & 0xffffffff,
                                  hx_handle_make(HX_HANDLE_TASK, hx_handle_generation(again), hx_handle_index(again)),
                                  hx_handle_make(HX_HANDLE_ALLOCATION, 0, 3),
                                  hx_handle_make(HX_HANDLE_ALLOCATION, 1, HX_ALLOCATIONS_MAX) };
    for (size_t i = 0; i < HX_ARRAY_SIZE(wrong); i++) {
        cr_assert_eq(hx_resource_deallocate(wrong[i]), HX_E_NOENT, "%zu", i);
        cr_assert_eq(hx_resource_update_usage(wrong[i], 0), HX_E_NOENT, "%zu", i);
        cr_assert_eq(hx_resource_get(wrong[i], &got), HX_E_NOENT, "%zu", i);
    }
    cr_assert_eq(available(HX_RESOURCE_FILES), 95);
}

Test(resource, when_all_records_are_taken_the_next_is_refused_and_leaves_nothing)
{
    static hx_handle_t all[HX_ALLOCATIONS_MAX];
    struct hx_resource_holder holder;
    hx_handle_t more = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 1000000), HX_OK);
    for (uint32_t i = 0; i < HX_ALLOCATIONS_MAX; i++)
        cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 2, &all[i]), HX_OK, "%u", i);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 2, &more), HX_E_LIMIT);
    cr_assert_eq(available(HX_RESOURCE_FILES), 1000000 - 2 * HX_ALLOCATIONS_MAX);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_FILES).allocated, 2 * HX_ALLOCATIONS_MAX);
    cr_assert_eq(hx_resource_deallocate(all[77]), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 2, &more), HX_OK);
    hx_resource_release_all(&holder);
    cr_assert_eq(available(HX_RESOURCE_FILES), 1000000);
    cr_assert_eq(hx_resource_deallocate(more), HX_E_NOENT);
}

Test(resource, teardown_gives_back_all_of_one_holder_and_nothing_of_others)
{
    struct hx_resource_holder holder, other;
    struct hx_resource_pool pool;
    struct hx_allocation got = { .handle = HX_HANDLE_NONE };
    hx_handle_t mine[3], others = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    hx_resource_holder_init(&other);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 100), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 10), HX_OK);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_MEMORY, 50), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 10, &mine[0]), HX_OK);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, 20, &others), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 3, &mine[1]), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_MEMORY, 1, &mine[2]), HX_OK);
    cr_assert_eq(hx_resource_charge_memory(&holder, 30), HX_OK);
    cr_assert_eq(hx_resource_update_usage(mine[0], 4), HX_OK);
    for (uint32_t i = 3; i-- > 0;) {
        cr_assert_eq(hx_resource_next(&holder, got.handle, &got), HX_OK);
        cr_assert_eq(got.handle, mine[i], "newest first");
    }
    cr_assert_eq(hx_resource_next(&holder, got.handle, &got), HX_E_NOENT);
    cr_assert_eq(hx_resource_next(&holder, others, &got), HX_E_NOENT, "another's");
    hx_resource_release_all(&holder);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 80);
    cr_assert_eq(available(HX_RESOURCE_FILES), 10);
    cr_assert_eq(hx_resource_pool_get(HX_RESOURCE_MEMORY, &pool), HX_OK);
    cr_assert_eq(pool.count, 1);
    cr_assert_eq(hx_resource_get(mine[0], &got), HX_E_NOENT);
    cr_assert_eq(hx_resource_get(others, &got), HX_OK);
    struct hx_resource_share share = share_of(&holder, HX_RESOURCE_MEMORY);
    cr_assert(share.allocated == 0 && share.used == 0 && share.charged == 0 && share.quota == 50);
    hx_resource_release_all(&holder);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 80);
}

Test(resource, memory_is_charged_without_a_record_too)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 100), HX_OK);
    cr_assert_eq(hx_resource_charge_memory(NULL, 1000), HX_OK, "the kernel's own is not counted");
    hx_resource_uncharge_memory(NULL, 1000);
    cr_assert_eq(hx_resource_charge_memory(&holder, 0), HX_OK);
    cr_assert_eq(hx_resource_charge_memory(&holder, 70), HX_OK);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).used, 70);
    hx_resource_uncharge_memory(&holder, 30);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 60);
    hx_resource_uncharge_memory(&holder, 1000);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), 100, "no more than was charged");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_MEMORY).allocated, 0);
}

/* ---- against a model ------------------------------------------------------------------------------------------------ */

enum { HOLDERS = 4, RESOURCES = 3, LIVE_MAX = 200, POOL = 1000 };
static struct model {
    struct hx_resource_holder holder[HOLDERS];
    uint64_t quota[HOLDERS][RESOURCES];
    struct hx_allocation live[LIVE_MAX];
    uint32_t count;
    hx_handle_t gone;
} model;

static uint64_t held(const struct hx_resource_holder *holder, uint32_t resource, bool used)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < model.count; i++)
        if ((!holder || model.live[i].holder == holder) && model.live[i].resource == (enum hx_resource)resource)
            sum += used ? model.live[i].used : model.live[i].allocated;
    return sum;
}

static const enum hx_resource counted[RESOURCES] = { HX_RESOURCE_MEMORY, HX_RESOURCE_FILES, HX_RESOURCE_CONNECTIONS };

static void try_allocate(struct hx_random *random)
{
    uint32_t who = hx_random_below(random, HOLDERS), which = hx_random_below(random, RESOURCES);
    uint64_t amount = 1 + hx_random_below(random, POOL / 8);
    struct hx_resource_holder *holder = &model.holder[who];
    hx_handle_t made = HX_HANDLE_NONE;
    uint64_t has = held(holder, counted[which], false);
    hx_status_t due = has + amount > model.quota[who][which]                        ? HX_E_QUOTA
                      : held(NULL, counted[which], false) + amount > (uint64_t)POOL ? HX_E_EXHAUSTED
                                                                                    : HX_OK;
    cr_assert_eq(hx_resource_allocate(holder, counted[which], amount, &made), due);
    if (due == HX_OK)
        model.live[model.count++] =
            (struct hx_allocation){ .handle = made, .holder = holder, .resource = counted[which], .allocated = amount };
}

static void drop(uint32_t at)
{
    model.gone = model.live[at].handle;
    model.live[at] = model.live[--model.count];
}

static void one_deed(struct hx_random *random)
{
    uint32_t deed = hx_random_below(random, 100), at = model.count ? hx_random_below(random, model.count) : 0;
    if ((deed < 45 || !model.count) && model.count < LIVE_MAX) {
        try_allocate(random);
    } else if (deed < 75) {
        cr_assert_eq(hx_resource_deallocate(model.live[at].handle), HX_OK);
        drop(at);
        cr_assert_eq(hx_resource_deallocate(model.gone), HX_E_NOENT);
    } else if (deed < 93) {
        uint64_t used = hx_random_below(random, POOL / 8);
        hx_status_t due = used > model.live[at].allocated ? HX_E_RANGE : HX_OK;
        cr_assert_eq(hx_resource_update_usage(model.live[at].handle, used), due);
        if (due == HX_OK)
            model.live[at].used = used;
    } else if (deed < 98) {
        uint32_t who = hx_random_below(random, HOLDERS), which = hx_random_below(random, RESOURCES);
        uint64_t quota = hx_random_below(random, 2) ? HX_QUOTA_NONE / 2 : hx_random_below(random, POOL);
        cr_assert_eq(hx_resource_set_quota(&model.holder[who], counted[which], quota), HX_OK);
        model.quota[who][which] = quota;
    } else {
        struct hx_resource_holder *holder = &model.holder[hx_random_below(random, HOLDERS)];
        hx_resource_release_all(holder);
        for (uint32_t i = model.count; i-- > 0;)
            if (model.live[i].holder == holder)
                drop(i);
    }
}

static void compare(void)
{
    uint32_t listed = 0;
    for (uint32_t i = 0; i < RESOURCES; i++) {
        cr_assert_eq(available(counted[i]), POOL - held(NULL, counted[i], false));
        for (uint32_t who = 0; who < HOLDERS; who++) {
            struct hx_resource_share share = share_of(&model.holder[who], counted[i]);
            cr_assert_eq(share.allocated, held(&model.holder[who], counted[i], false));
            cr_assert_eq(share.used, held(&model.holder[who], counted[i], true));
        }
    }
    for (uint32_t who = 0; who < HOLDERS; who++) {
        struct hx_allocation got = { .handle = HX_HANDLE_NONE };
        for (; hx_resource_next(&model.holder[who], got.handle, &got) == HX_OK; listed++)
            cr_assert_eq(got.holder, &model.holder[who]);
    }
    cr_assert_eq(listed, model.count);
    for (uint32_t i = 0; i < model.count; i++) {
        struct hx_allocation got;
        cr_assert_eq(hx_resource_get(model.live[i].handle, &got), HX_OK);
        cr_assert(got.allocated == model.live[i].allocated && got.used == model.live[i].used);
    }
}

Test(resource, whatever_happens_the_books_are_those_of_a_simple_model)
{
    struct hx_random random = hx_random_of(34);
    begin();
    memset(model.quota, 0x7f, sizeof(model.quota));
    for (uint32_t i = 0; i < HOLDERS; i++)
        hx_resource_holder_init(&model.holder[i]);
    for (uint32_t i = 0; i < RESOURCES; i++)
        cr_assert_eq(hx_resource_pool_init(counted[i], POOL), HX_OK);
    for (uint32_t i = 0; i < 20000; i++) {
        one_deed(&random);
        if (i % 16 == 0)
            compare();
    }
}

/* ---- rates ---------------------------------------------------------------------------------------------------------- */

Test(resource, a_rate_flows_in_and_a_bucket_holds_that_of_a_second)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 5, 0), 0, "no pool, nothing to count");
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 1 << 20), HX_OK);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1 << 30, 0), 0, "no quota");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).used, 1 << 30);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, 0), HX_E_RANGE);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, HX_RATE_MAX + 1), HX_E_RANGE);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, 1000), HX_OK);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1000, 0), 0, "the burst");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 0);
    uint64_t until = hx_resource_spend(&holder, HX_RESOURCE_IO, 100, 0);
    cr_assert(until >= 100 * ms && until <= 100 * ms + 2000, "%lu", until);
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until / 2), 0, "not yet");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 1, "once, though asked twice");
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until), 0);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1000, until + 100 * second), 0,
                 "no more than of one second");
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 1, until + 100 * second), 0);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 2);
    until += 110 * second;
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until), 0);
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 1001, until + second / 2), 0, "it was full before that");
    hx_resource_release_all(&holder);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).quota, 1000);
}

Test(resource, who_asks_often_gets_no_less_than_who_asks_seldom)
{
    static const uint64_t rates[] = { 1, 3, 1000, 123456789, HX_RATE_MAX / 2 };
    begin();
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 1), HX_OK);
    for (size_t i = 0; i < HX_ARRAY_SIZE(rates); i++) {
        struct hx_resource_holder holder;
        hx_resource_holder_init(&holder);
        cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, rates[i]), HX_OK);
        (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 2 * rates[i], 0);
        cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).balance, -(int64_t)rates[i]);
        for (uint64_t now = 0; now <= second; now += 777777)
            (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 0, now);
        (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 0, second);
        int64_t balance = share_of(&holder, HX_RESOURCE_IO).balance, slack = 1 + (int64_t)(rates[i] / 1000);
        cr_assert(balance >= -slack && balance <= slack, "%lu: %ld", rates[i], balance);
    }
}

Test(resource, who_owes_a_second_is_charged_nothing_on_top)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, second), HX_OK);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_CPU_TIME, second / 100), HX_OK);
    for (uint32_t i = 0; i < 1000; i++)
        (void)hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 2 * ms, 0);
    cr_assert_leq(hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 0, 0), second + 200 * ms + 2000);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_CPU_TIME).used, 2000 * ms, "but it is counted");
}

Test(resource, quotas_are_read_as_people_write_them)
{
    static const struct {
        const char *text;
        hx_status_t err;
        enum hx_resource resource;
        uint64_t quota;
    } cases[] = {
        { "memory=4096", HX_OK, HX_RESOURCE_MEMORY, 4096 },
        { "memory=64K", HX_OK, HX_RESOURCE_MEMORY, 65536 },
        { "memory=1M", HX_OK, HX_RESOURCE_MEMORY, 1 << 20 },
        { "memory=0", HX_OK, HX_RESOURCE_MEMORY, 0 },
        { "memory=none", HX_OK, HX_RESOURCE_MEMORY, HX_QUOTA_NONE },
        { "cpu=20%", HX_OK, HX_RESOURCE_CPU_TIME, 200000000 },
        { "cpu=150", HX_OK, HX_RESOURCE_CPU_TIME, 1500000000 },
        { "cpu=0", HX_E_RANGE, 0, 0 },
        { "cpu=801%", HX_E_RANGE, 0, 0 },
        { "cpu=%", HX_E_FORMAT, 0, 0 },
        { "cpu=", HX_E_FORMAT, 0, 0 },
        { "cpu", HX_E_FORMAT, 0, 0 },
        { "memory=-1", HX_E_FORMAT, 0, 0 },
        { "memory=K", HX_E_FORMAT, 0, 0 },
        { "memory=1KK", HX_E_FORMAT, 0, 0 },
        { "memory=18446744073709551615", HX_E_RANGE, 0, 0 },
        { "memory=18446744073709551616", HX_E_RANGE, 0, 0 },
        { "memory=99999999T", HX_E_RANGE, 0, 0 },
        { "mem=1", HX_E_NOENT, 0, 0 },
        { "=1", HX_E_NOENT, 0, 0 },
    };
    begin();
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 1 << 20), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, second), HX_OK);
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        enum hx_resource resource = HX_RESOURCES_MAX;
        uint64_t quota = 42;
        cr_assert_eq(hx_resource_parse_quota(cases[i].text, strlen(cases[i].text), &resource, &quota), cases[i].err,
                     "%s", cases[i].text);
        if (cases[i].err == HX_OK)
            cr_assert(resource == cases[i].resource && quota == cases[i].quota, "%s: %lu", cases[i].text, quota);
    }
    char text[24];
    hx_resource_quota_text(HX_RESOURCE_CPU_TIME, 200000000, text);
    cr_assert_str_eq(text, "20%");
    hx_resource_quota_text(HX_RESOURCE_MEMORY, HX_QUOTA_NONE, text);
    cr_assert_str_eq(text, "none");
}

Test(resource, pools_are_added_as_people_write_them)
{
    static const struct {
        const char *text;
        hx_status_t err;
        const char *name;
        uint64_t total;
    } cases[] = {
        { "licences=4", HX_OK, "licences", 4 },
        { "files=1K", HX_OK, "files", 1024 },
        { "io=2M", HX_OK, "io", 2 << 20 },
        { "connections=3", HX_OK, "connections", 3 },
        { "licences=5", HX_E_EXIST, "licences", 4 },
        { "files=1", HX_E_EXIST, "files", 1024 },
        { "memory=1", HX_E_EXIST, "memory", 1 << 20 },
        { "cpu=50%", HX_E_FORMAT, NULL, 0 },
        { "none", HX_E_FORMAT, NULL, 0 },
        { "=4", HX_E_FORMAT, NULL, 0 },
        { "x=", HX_E_FORMAT, NULL, 0 },
        { "x=4x", HX_E_FORMAT, NULL, 0 },
        { "x=18446744073709551616", HX_E_RANGE, NULL, 0 },
        { "a_name_of_thirty_two_characters_=1", HX_E_FORMAT, NULL, 0 },
    };
    begin();
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, 1 << 20), HX_OK);
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        struct hx_resource_pool pool;
        enum hx_resource resource = HX_RESOURCES_MAX;
        cr_assert_eq(hx_resource_pool_add(cases[i].text, strlen(cases[i].text)), cases[i].err, "%s", cases[i].text);
        if (!cases[i].name)
            continue;
        cr_assert_eq(hx_resource_find(cases[i].name, strlen(cases[i].name), &resource), HX_OK);
        cr_assert_eq(hx_resource_pool_get(resource, &pool), HX_OK);
        cr_assert(pool.total == cases[i].total && pool.available == pool.total, "%s", cases[i].text);
        cr_assert_eq(pool.is_rate, resource == HX_RESOURCE_IO);
    }
    for (uint32_t i = 0; i < HX_RESOURCES_MAX - HX_RESOURCE_CUSTOM - 1; i++) {
        char text[8];
        snprintf(text, sizeof(text), "more%u=1", i);
        cr_assert_eq(hx_resource_pool_add(text, strlen(text)), HX_OK);
    }
    cr_assert_eq(hx_resource_pool_add("x=1", 3), HX_E_LIMIT);
}

Test(resource, what_is_pinned_says_so_and_its_heir_is_not)
{
    struct hx_resource_holder holder;
    struct hx_allocation found;
    hx_handle_t one = HX_HANDLE_NONE, heir = HX_HANDLE_NONE;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 10), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 4, &one), HX_OK);
    cr_assert(hx_resource_get(one, &found) == HX_OK && !found.pinned);
    hx_resource_pin(one);
    cr_assert(hx_resource_get(one, &found) == HX_OK && found.pinned);
    cr_assert_eq(hx_resource_deallocate(one), HX_OK);
    hx_resource_pin(one);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 4, &heir), HX_OK);
    cr_assert_eq(hx_handle_index(heir), hx_handle_index(one));
    cr_assert(hx_resource_get(heir, &found) == HX_OK && !found.pinned);
}

static uint32_t overs;

static void count_over(void)
{
    overs++;
}

Test(resource, who_wants_more_than_his_quota_is_told_of_once_until_he_gets_something)
{
    struct hx_resource_holder holder;
    hx_handle_t one = HX_HANDLE_NONE;
    begin();
    hx_resource_bind(count_over);
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 5), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, second), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 6, &one), HX_E_EXHAUSTED);
    cr_assert_eq(overs, 0, "he has no quota");
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_FILES, 2), HX_OK);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 3, &one), HX_E_QUOTA);
    cr_assert_eq(overs, 1);
    cr_assert(hx_resource_take_news(&holder, HX_RESOURCE_FILES));
    cr_assert_not(hx_resource_take_news(&holder, HX_RESOURCE_FILES));
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 2, &one), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_FILES, 1, &one), HX_E_QUOTA);
    cr_assert_eq(overs, 2);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_FILES).throttled, 2);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_CPU_TIME, 1000), HX_OK);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 1000, 0), 0);
    cr_assert_eq(overs, 2);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 1, 0), 0);
    cr_assert_eq(overs, 3);
    cr_assert(hx_resource_take_news(&holder, HX_RESOURCE_CPU_TIME));
    cr_assert_not(hx_resource_take_news(&holder, HX_RESOURCE_MEMORY));
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_CPU_TIME, 1000), HX_OK);
    cr_assert_eq(hx_resource_allocate(&holder, HX_RESOURCE_CPU_TIME, 1001, &one), HX_E_QUOTA);
    cr_assert_eq(overs, 3, "of a rate it is what is spent that counts");
}

/* ---- modules: memory ------------------------------------------------------------------------------------------------ */

static hx_status_t run_job(void *argument)
{
    return hx_engine_run(argument);
}

static hx_status_t load_with(const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    return world_run(run_job, job);
}

static hx_status_t reload_with(const char *module, const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                            .file = world_file(file),
                            .params = params,
                            .who = "test",
                            .by = &hx_kernel_principal,
                            .may_downgrade = true };
    snprintf(job->module, sizeof(job->module), "%s", module);
    return world_run(run_job, job);
}

static uint64_t memory_of(const char *module)
{
    return share_of(hx_module_find(module)->resources, HX_RESOURCE_MEMORY).allocated;
}

Test(resource, a_module_pays_for_its_image_until_it_goes)
{
    struct hx_job job;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    const struct hx_version *version = hx_module_find("svc_kv")->running;
    struct hx_resource_share share = share_of(hx_module_find("svc_kv")->resources, HX_RESOURCE_MEMORY);
    cr_assert_geq(share.allocated, hx_image_bytes(version->image));
    cr_assert(share.used <= share.allocated && share.used >= hx_image_bytes(version->image));
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all - share.allocated);
    cr_assert_eq(hx_resource_charge_memory(hx_module_find("svc_kv")->resources, 1000), HX_OK, "for an object");
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all);
}

Test(resource, a_load_over_its_quota_is_refused_and_says_how_much_it_takes)
{
    char expected[32];
    struct hx_job job;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    struct census before = world_census();
    cr_assert_eq(load_with("caller.hxm", "", &job), HX_OK);
    uint64_t needs = memory_of("caller");
    cr_assert_eq(world_unload("caller", NULL), HX_OK);
    char params[64];
    snprintf(params, sizeof(params), "quota.memory=%lu", needs - 1);
    cr_assert_eq(load_with("caller.hxm", params, &job), HX_E_QUOTA);
    snprintf(expected, sizeof(expected), "takes %lu bytes", needs);
    cr_assert(strstr(job.report.message, expected), "%s", job.report.message);
    snprintf(expected, sizeof(expected), "%lu left", needs - 1);
    cr_assert(strstr(job.report.message, expected), "%s", job.report.message);
    cr_assert_str_eq(job.report.step, "admit");
    cr_assert_str_eq(world_version("caller"), "-");
    ASSERT_CENSUS(before);
    cr_assert_eq(available(HX_RESOURCE_MEMORY), all);
    snprintf(params, sizeof(params), "quota.memory=%lu", needs);
    cr_assert_eq(load_with("caller.hxm", params, &job), HX_OK, "%s", job.report.message);
}

Test(resource, a_quota_that_makes_no_sense_is_refused_at_load)
{
    static const char *const bad[] = { "quota.memory=lots", "quota.=1", "quota.spoons=1", "quota.cpu=0" };
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        cr_assert_neq(load_with("svc_kv.hxm", bad[i], &job), HX_OK, "%s", bad[i]);
        cr_assert(strstr(job.report.message, bad[i]), "%s", job.report.message);
        ASSERT_CENSUS(before);
    }
    cr_assert_eq(load_with("svc_kv.hxm", "  quota.memory=1G quota.cpu=30% ", &job), HX_OK, "%s", job.report.message);
    const struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    cr_assert_eq(share_of(holder, HX_RESOURCE_MEMORY).quota, 1 << 30);
    cr_assert_eq(share_of(holder, HX_RESOURCE_CPU_TIME).quota, 300 * ms);
}

Test(resource, a_swap_over_the_quota_is_refused_and_the_old_version_goes_on)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    world_kv_fill(50);
    struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    uint64_t one = memory_of("svc_kv");
    struct census before = world_census();
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, one + one / 2), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_QUOTA);
    cr_assert(strstr(job.swap.report.message, "beside the version that runs"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "quota svc_kv memory="), "%s", job.swap.report.message);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(50), 50);
    cr_assert_eq(memory_of("svc_kv"), one);
    ASSERT_CENSUS(before);
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, 4 * one), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_kv_count_intact(50), 50);
}

Test(resource, both_versions_are_paid_for_until_one_goes)
{
    struct hx_job job;
    world_begin(1000000);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    uint64_t one = memory_of("svc_kv");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
    uint64_t both = memory_of("svc_kv");
    cr_assert_gt(both, one + one / 2);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_OK);
    uint64_t two = memory_of("svc_kv");
    uint64_t record = share_of(hx_module_find("svc_kv")->resources, HX_RESOURCE_MEMORY).charged;
    cr_assert_eq(two, both - one + record, "which is the module's, and there once");
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK);
    cr_assert_eq(memory_of("svc_kv"), two);
}

Test(resource, a_swap_takes_no_quota_along_and_keeps_that_of_the_module)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(load_with("svc_kv.hxm", "quota.memory=1G", &job), HX_OK);
    cr_assert_eq(reload_with("svc_kv", "svc_kv.hxm", "quota.memory=2G", &job), HX_E_UNSUPPORTED);
    cr_assert(strstr(job.swap.report.message, "quota svc_kv"), "%s", job.swap.report.message);
    struct hx_resource_holder *holder = hx_module_find("svc_kv")->resources;
    cr_assert_eq(hx_resource_set_quota(holder, HX_RESOURCE_MEMORY, 1 << 29), HX_OK);
    cr_assert_eq(reload_with("svc_kv", "svc_kv.hxm", NULL, &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(share_of(holder, HX_RESOURCE_MEMORY).quota, 1 << 29);
}

Test(resource, modules_cannot_have_more_than_there_is)
{
    struct hx_job job;
    hx_handle_t rest = HX_HANDLE_NONE;
    static struct hx_resource_holder other;
    world_begin(0);
    hx_resource_holder_init(&other);
    cr_assert_eq(hx_resource_allocate(&other, HX_RESOURCE_MEMORY, available(HX_RESOURCE_MEMORY) - 100, &rest), HX_OK);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_E_EXHAUSTED);
    cr_assert(strstr(job.report.message, "100 more"), "%s", job.report.message);
}

Test(resource, a_load_whose_nth_allocation_fails_leaves_no_account)
{
    struct hx_job job;
    bool loaded = false;
    world_begin(0);
    uint64_t all = available(HX_RESOURCE_MEMORY);
    struct hx_slice file = world_file("svc_kv.hxm");
    for (uint64_t nth = 1; !loaded && nth < 100; nth++) {
        job = (struct hx_job){
            .kind = HX_JOB_LOAD, .file = file, .params = "", .who = "test", .by = &hx_kernel_principal
        };
        hal_host_fail_at(nth + 1); /* the first is the stack of the task that asks */
        loaded = world_run(run_job, &job) == HX_OK;
        hal_host_fail_at(0);
        if (!loaded)
            cr_assert_eq(available(HX_RESOURCE_MEMORY), all, "%lu", nth);
    }
    cr_assert(loaded);
}

/* ---- modules: CPU time ---------------------------------------------------------------------------------------------- */

static bool stop;

/* A task of a module that has always something to do. */
static hx_status_t busy(void *argument)
{
    hx_task_current()->owner = argument;
    while (!stop)
        hal_host_advance(ms / 10);
    return HX_OK;
}

static hx_status_t naps(void *argument)
{
    hx_task_current()->owner = argument;
    while (!stop) {
        hal_host_advance(ms);
        (void)hx_task_sleep_until(hx_hal_clock_ns() + ms);
    }
    return HX_OK;
}

static void pass(uint64_t ns)
{
    cr_assert_eq(hx_task_sleep_until(hx_hal_clock_ns() + ns), HX_OK);
}

/* What the task gets of the next seconds, in percent. */
static uint32_t percent_of(hx_handle_t task, uint64_t seconds)
{
    uint64_t began = hx_task_of(task)->run_ns;
    pass(seconds * second);
    return (uint32_t)((hx_task_of(task)->run_ns - began) * 100 / (seconds * second));
}

static struct hx_module *owner_with(uint32_t percent)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    struct hx_module *module = hx_module_find("svc_kv");
    if (percent)
        cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, percent * 10 * ms), HX_OK);
    stop = false;
    return module;
}

static hx_handle_t start(const char *name, hx_status_t (*body)(void *argument), void *argument)
{
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, name, 100, body, argument, &task), HX_OK);
    return task;
}

/* Those who watch are core tasks: they come before who is busy. */
static hx_status_t watch_shares(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t limited = start("limited", busy, module), free = start("free", busy, NULL);
    pass(2 * second); /* the burst is used up */
    uint64_t began = hx_task_of(free)->run_ns;
    uint32_t got = percent_of(limited, 10);
    uint64_t others = (hx_task_of(free)->run_ns - began) / (100 * ms);
    cr_assert(got >= 18 && got <= 22, "%u percent", got);
    cr_assert(others >= 76 && others <= 82, "%lu percent", others);
    struct hx_resource_share share = share_of(module->resources, HX_RESOURCE_CPU_TIME);
    cr_assert_gt(share.throttled, 10);
    cr_assert(share.used + 3 * ms > hx_task_of(limited)->run_ns && share.used <= hx_task_of(limited)->run_ns + 3 * ms);
    stop = true;
    return HX_OK;
}

Test(resource, a_task_over_its_owners_quota_gets_its_share_and_others_the_rest, .timeout = 60)
{
    cr_assert_eq(world_run(watch_shares, owner_with(20)), HX_OK);
}

static hx_status_t watch_naps(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("naps", naps, module);
    pass(second);
    uint64_t ran = hx_task_of(task)->run_ns, used = share_of(module->resources, HX_RESOURCE_CPU_TIME).used;
    cr_assert_gt(ran, 400 * ms);
    cr_assert(used + 3 * ms > ran && used <= ran + ms, "%lu of %lu", used, ran); /* and the task that it declares */
    cr_assert_eq(share_of(module->resources, HX_RESOURCE_CPU_TIME).throttled, 0);
    stop = true;
    return HX_OK;
}

Test(resource, a_task_that_sleeps_before_each_tick_pays_as_well, .timeout = 60)
{
    cr_assert_eq(world_run(watch_naps, owner_with(0)), HX_OK);
}

static hx_status_t watch_quotas(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("busy", busy, module);
    cr_assert_geq(percent_of(task, 3), 98);
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, 100 * ms), HX_OK);
    pass(second);
    cr_assert_leq(percent_of(task, 3), 12);
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, HX_QUOTA_NONE), HX_OK);
    pass(second);
    cr_assert_geq(percent_of(task, 3), 98);
    stop = true;
    return HX_OK;
}

Test(resource, a_module_without_a_quota_is_not_held_up, .timeout = 60)
{
    cr_assert_eq(world_run(watch_quotas, owner_with(0)), HX_OK);
}

static hx_status_t kill_throttled(void *argument)
{
    hx_handle_t task = start("busy", busy, argument);
    pass(3 * second);
    cr_assert_eq(hx_task_of(task)->state, HX_TASK_SLEEPING);
    cr_assert_eq(hx_task_kill(task), HX_OK);
    cr_assert_null(hx_task_of(task));
    return HX_OK;
}

Test(resource, a_throttled_task_can_be_killed, .timeout = 60)
{
    cr_assert_eq(world_run(kill_throttled, owner_with(1)), HX_OK);
}

static hx_status_t watch_leaving(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("busy", busy, module);
    pass(2 * second);
    module->leaving = true;
    pass(HX_THROTTLE_NS);
    cr_assert_geq(percent_of(task, 1), 98);
    module->leaving = false;
    pass(10 * ms);
    cr_assert_leq(percent_of(task, 1), 3);
    stop = true;
    return HX_OK;
}

Test(resource, who_is_waited_for_to_leave_the_module_is_not_held_up, .timeout = 60)
{
    cr_assert_eq(world_run(watch_leaving, owner_with(1)), HX_OK);
}

Test(resource, who_has_spent_far_more_than_a_small_quota_is_told_a_time_that_can_be_told)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 100), HX_OK);
    for (uint64_t quota = 1; quota <= 100000; quota *= 10) {
        uint64_t now_ns = hx_hal_clock_ns();
        cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, quota), HX_OK);
        uint64_t until_ns = hx_resource_spend(&holder, HX_RESOURCE_IO, UINT64_MAX, now_ns);
        cr_assert(until_ns > now_ns + 90000000 * second && until_ns <= INT64_MAX, "%lu: %lu", quota, until_ns);
    }
}

static struct hx_slot *visited;

HAL_HOST_MODULE static hx_ret_t ten_ticks(void)
{
    struct hx_trap *none = NULL;
    for (uint32_t i = 0; i < 10; i++) {
        hx_cpu_read(self)->ticks++;
        hx_entry_tick(none);
    }
    return 7;
}

static hx_status_t visit(void *argument)
{
    hx_task_current()->owner = argument;
    return hx_gate_call(visited, 0, 0, 0, 0, 0) == 7 ? HX_OK : HX_E_INTERNAL;
}

Test(resource, ticks_in_a_modules_code_are_the_modules_unless_a_task_of_somebodys_is_there)
{
    static struct hx_gate_vtable vtable;
    struct hx_module *module = owner_with(1);
    visited = hx_slot_create("visited", HX_SLOT_KIND_CALLBACKS, true);
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)ten_ticks;
    hx_slot_publish(visited, &vtable, module);
    uint64_t before = share_of(module->resources, HX_RESOURCE_CPU_TIME).used;
    cr_assert_eq(world_run(visit, NULL), HX_OK, "the caller is not stopped");
    struct hx_resource_share share = share_of(module->resources, HX_RESOURCE_CPU_TIME);
    cr_assert_eq(share.used - before, 10 * (uint64_t)HX_TICK_NS);
    cr_assert_eq(share.throttled, 1);
    cr_assert_eq(world_run(visit, module), HX_OK);
    cr_assert_leq(share_of(module->resources, HX_RESOURCE_CPU_TIME).used - share.used, (uint64_t)HX_TICK_NS,
                  "what it ran, not its ticks");
    hx_slot_destroy(visited);
}
