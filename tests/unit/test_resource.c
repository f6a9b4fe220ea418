/* SPDX-License-Identifier: MIT */
/* test_resource.c - pools, what is held and used of them, quotas, and what modules are charged for. */
#include "resource_fixture.h"

#include <lib/random.h>
#include <stdio.h>

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

Test(resource, modules_that_take_all_they_can_leave_records_to_the_kernel)
{
    static struct hx_resource_holder holder[HX_ALLOCATIONS_MAX / HX_RES_ALLOCATIONS_MAX + 1];
    hx_handle_t one = HX_HANDLE_NONE, first = HX_HANDLE_NONE;
    uint32_t taken = 0;
    begin();
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_FILES, 1000000), HX_OK);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(holder); i++) {
        hx_resource_holder_init(&holder[i]);
        for (uint32_t k = 0; k <= HX_RES_ALLOCATIONS_MAX; k++) {
            hx_status_t err = hx_resource_allocate_asked(&holder[i], HX_RESOURCE_FILES, 1, &one);
            bool may = k < HX_RES_ALLOCATIONS_MAX && taken < HX_ALLOCATIONS_MAX - HX_ALLOCATIONS_KEPT;
            cr_assert_eq(err, may ? HX_OK : HX_E_LIMIT, "%u of holder %u", k, i);
            taken += may;
            first = taken == 1 ? one : first;
        }
    }
    for (uint32_t i = 0; i < HX_ALLOCATIONS_KEPT; i++)
        cr_assert_eq(hx_resource_allocate(&holder[0], HX_RESOURCE_FILES, 1, &one), HX_OK, "%u of the kernel's", i);
    cr_assert_eq(hx_resource_allocate(&holder[0], HX_RESOURCE_FILES, 1, &one), HX_E_LIMIT);
    cr_assert_eq(hx_resource_deallocate(first), HX_OK);
    cr_assert_eq(hx_resource_allocate_asked(&holder[1], HX_RESOURCE_FILES, 1, &one), HX_E_LIMIT, "it is the kernel's");
    cr_assert_eq(hx_resource_allocate(&holder[1], HX_RESOURCE_FILES, 1, &one), HX_OK);
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
