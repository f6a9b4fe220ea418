/* SPDX-License-Identifier: MIT */
/*
 * test_grant.c - memory that changes hands: what each holder can do with it, and that nothing of it is left.
 *
 * What is mapped and how is asked of the host's own paging, by copies that fail where a holder would fault.
 */
#include <criterion/criterion.h>
#include <ipc/grant.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "../host/hal_host.h"

enum { BOTH = HX_GRANT_READ | HX_GRANT_WRITE, MIB = 1 << 20, GRANTS_MAX = 1024 };

static struct hx_holder alice = { .name = "alice" }, bob = { .name = "bob" };

static void begin(void)
{
    hal_host_init();
    hx_grant_init();
}

static bool can_read(uintptr_t va)
{
    uint8_t byte;
    return hx_hal_copy(&byte, (const void *)va, 1) == HX_OK;
}

static bool can_write(uintptr_t va)
{
    const uint8_t byte = 0x5a;
    return hx_hal_copy((void *)va, &byte, 1) == HX_OK;
}

static void expect_stats(uint32_t live, uint64_t pages)
{
    struct hx_grant_stats stats;
    struct hx_hal_memory_stats memory;
    hx_grant_stats(&stats);
    hx_hal_memory_stats(&memory);
    cr_assert_eq(stats.live, live, "%u grants live instead of %u", stats.live, live);
    cr_assert_eq(stats.pages, pages, "%lu pages instead of %lu", stats.pages, pages);
    cr_assert_eq(memory.grant_pages, pages, "the machine has %lu pages of grants", memory.grant_pages);
}

/* Both have given up what they had, and nothing else is left. */
static void end(void)
{
    hx_handle_close_all(&alice);
    hx_handle_close_all(&bob);
    expect_stats(0, 0);
    cr_assert_null(hx_handle_next(0));
    hal_host_fini();
}

static hx_handle_t create(struct hx_holder *owner, uint64_t bytes, uintptr_t *out_va)
{
    hx_handle_t grant = HX_HANDLE_NONE;
    cr_assert_eq(hx_grant_make(bytes, owner, &grant, out_va), HX_OK);
    return grant;
}

static struct hx_grant *take(hx_handle_t grant, const struct hx_holder *owner, uint32_t permissions)
{
    struct hx_grant *taken = NULL;
    cr_assert_eq(hx_grant_take(grant, owner, permissions, &taken), HX_OK);
    cr_assert_not_null(taken);
    return taken;
}

static struct hx_message_memory accept(struct hx_grant *grant, struct hx_holder *owner)
{
    struct hx_message_memory memory = { 0 };
    cr_assert_eq(hx_grant_accept(grant, owner, &memory), HX_OK);
    return memory;
}

/* ---- making and looking ---------------------------------------------------------------------------------------------- */
Test(grant, a_new_one_is_zeroed_whole_pages_that_its_owner_reads_and_writes)
{
    static const struct {
        uint64_t bytes, pages;
    } size[] = { { 1, 1 }, { 4096, 1 }, { 4097, 2 }, { MIB, 256 }, { HX_GRANT_BYTES_MAX, 512 } };
    begin();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(size); i++) {
        struct hx_message_memory memory;
        uintptr_t va = 0;
        hx_handle_t grant = create(&alice, size[i].bytes, &va);
        cr_assert_eq(hx_handle_type(grant), (uint32_t)HX_HANDLE_GRANT);
        cr_assert_eq(hx_grant_describe(grant, &alice, &memory), HX_OK);
        cr_assert(memory.grant == grant && memory.address == va && memory.permissions == BOTH);
        cr_assert_eq(memory.bytes, size[i].pages * HX_PAGE_BYTES);
        for (uint64_t at = 0; at < memory.bytes; at += 8)
            cr_assert_eq(*(const uint64_t *)(va + at), 0u);
        memset((void *)va, 0xa5, memory.bytes);
        cr_assert(!can_read(va - 1) && !can_read(va + memory.bytes));
        expect_stats(1, size[i].pages);
        cr_assert_eq(hx_handle_close(grant, &alice), HX_OK);
        cr_assert(!can_read(va));
        expect_stats(0, 0);
    }
    end();
}

Test(grant, nothing_and_more_than_the_limit_are_refused)
{
    static const uint64_t bad[] = { 0, HX_GRANT_BYTES_MAX + 1ull, 1ull << 32, (1ull << 44) + 1, UINT64_MAX };
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va = 1;
    begin();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(bad); i++)
        cr_assert_eq(hx_grant_make(bad[i], &alice, &grant, &va), HX_E_INVAL);
    cr_assert(grant == HX_HANDLE_NONE && va == 1);
    end();
}

Test(grant, no_two_touch_each_other)
{
    uintptr_t va[4];
    begin();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(va); i++)
        create(&alice, HX_GRANT_BYTES_MAX, &va[i]);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(va); i++)
        cr_assert(!can_read(va[i] - 1) && !can_read(va[i] + HX_GRANT_BYTES_MAX) && can_write(va[i]) &&
                  can_write(va[i] + HX_GRANT_BYTES_MAX - 1));
    end();
}

Test(grant, is_found_by_its_owner_alone_and_while_it_has_it)
{
    struct hx_message_memory memory = { 0 };
    struct hx_grant *taken = NULL;
    uintptr_t va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    cr_assert_eq(hx_grant_describe(grant, &bob, &memory), HX_E_STALE);
    cr_assert_eq(hx_grant_describe(HX_HANDLE_NONE, &alice, &memory), HX_E_STALE);
    cr_assert_eq(hx_grant_describe(grant ^ 1ull << 32, &alice, &memory), HX_E_STALE);
    cr_assert_eq(hx_grant_take(grant, &bob, BOTH, &taken), HX_E_STALE);
    cr_assert_eq(hx_grant_take(HX_HANDLE_NONE, &alice, BOTH, &taken), HX_E_STALE);
    cr_assert(memory.address == 0 && !taken && can_write(va));
    cr_assert_eq(hx_handle_close(grant, &alice), HX_OK);
    cr_assert_eq(hx_grant_describe(grant, &alice, &memory), HX_E_STALE);
    cr_assert_eq(hx_grant_take(grant, &alice, BOTH, &taken), HX_E_STALE);
    end();
}

static void release_nothing(struct hx_handle_entry *entry)
{
    (void)entry;
}

Test(grant, a_handle_of_another_type_is_none)
{
    struct hx_message_memory memory;
    struct hx_grant *taken = NULL;
    hx_handle_t topic = HX_HANDLE_NONE;
    begin();
    hx_handle_bind(HX_HANDLE_TOPIC, release_nothing);
    cr_assert_eq(hx_handle_open(HX_HANDLE_TOPIC, &memory, &alice, BOTH, &topic), HX_OK);
    cr_assert_eq(hx_grant_describe(topic, &alice, &memory), HX_E_INVAL);
    cr_assert_eq(hx_grant_take(topic, &alice, BOTH, &taken), HX_E_INVAL);
    cr_assert_null(taken);
    end();
}

/* ---- from one to another --------------------------------------------------------------------------------------------- */
Test(grant, what_was_written_arrives_elsewhere_and_the_old_place_faults)
{
    static const uint64_t size[] = { 4096, MIB, HX_GRANT_BYTES_MAX };
    begin();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(size); i++) {
        struct hx_message_memory memory;
        uintptr_t va;
        hx_handle_t grant = create(&alice, size[i], &va);
        memset((void *)va, 0x21, size[i]);
        struct hx_grant *taken = take(grant, &alice, BOTH);
        for (uint64_t at = 0; at < size[i]; at += HX_PAGE_BYTES)
            cr_assert(!can_read(va + at) && !can_write(va + at));
        cr_assert_eq(hx_grant_describe(grant, &alice, &memory), HX_E_STALE);
        expect_stats(1, size[i] / HX_PAGE_BYTES);
        memory = accept(taken, &bob);
        cr_assert_neq(memory.address, va);
        cr_assert(memory.bytes == size[i] && memory.permissions == BOTH);
        for (uint64_t at = 0; at < size[i]; at++)
            cr_assert_eq(*(const uint8_t *)(memory.address + at), 0x21);
        cr_assert(!can_read(va) && can_write(memory.address));
        cr_assert_eq(hx_grant_describe(memory.grant, &alice, &memory), HX_E_STALE);
        cr_assert_eq(hx_grant_describe(memory.grant, &bob, &memory), HX_OK);
        cr_assert_eq(hx_handle_close(grant, &alice), HX_E_STALE);
        cr_assert_eq(hx_handle_close(memory.grant, &bob), HX_OK);
    }
    end();
}

Test(grant, who_writes_after_giving_away_faults, .signal = SIGSEGV)
{
    uintptr_t va;
    begin();
    signal(SIGSEGV, SIG_DFL);
    hx_handle_t grant = create(&alice, 1, &va);
    *(volatile uint8_t *)va = 1;
    struct hx_grant *taken = take(grant, &alice, BOTH);
    (void)accept(taken, &bob);
    *(volatile uint8_t *)va = 2;
}

Test(grant, who_may_only_read_and_writes_faults, .signal = SIGSEGV)
{
    uintptr_t va;
    begin();
    signal(SIGSEGV, SIG_DFL);
    hx_handle_t grant = create(&alice, 1, &va);
    struct hx_message_memory memory = accept(take(grant, &alice, HX_GRANT_READ), &bob);
    cr_assert_eq(*(volatile uint8_t *)memory.address, 0);
    *(volatile uint8_t *)memory.address = 2;
}

Test(grant, is_never_executable, .signal = SIGSEGV)
{
    uintptr_t va;
    begin();
    signal(SIGSEGV, SIG_DFL);
    create(&alice, 1, &va);
    *(volatile uint8_t *)va = 0xc3;
    ((void (*)(void))va)();
}

Test(grant, permissions_only_shrink)
{
    static const uint32_t more[] = { BOTH, HX_GRANT_READ | 4, UINT32_MAX };
    struct hx_grant *taken = NULL;
    uintptr_t va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    cr_assert_eq(hx_grant_take(grant, &alice, BOTH | 4, &taken), HX_E_PERM);
    cr_assert_eq(hx_grant_take(grant, &alice, 0, &taken), HX_E_INVAL);
    cr_assert_eq(hx_grant_take(grant, &alice, HX_GRANT_WRITE, &taken), HX_E_INVAL);
    cr_assert(!taken && can_write(va), "refused, and yet gone");
    struct hx_message_memory memory = accept(take(grant, &alice, HX_GRANT_READ), &bob);
    cr_assert_eq(memory.permissions, (uint32_t)HX_GRANT_READ);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(more); i++)
        cr_assert_eq(hx_grant_take(memory.grant, &bob, more[i], &taken), HX_E_PERM);
    cr_assert(!taken && can_read(memory.address) && !can_write(memory.address));
    memory = accept(take(memory.grant, &bob, HX_GRANT_READ), &alice); /* back with whom could write */
    cr_assert(memory.permissions == HX_GRANT_READ && can_read(memory.address) && !can_write(memory.address));
    end();
}

Test(grant, a_dropped_one_is_given_back)
{
    uintptr_t va;
    begin();
    hx_handle_t grant = create(&alice, 5 * HX_PAGE_BYTES, &va);
    struct hx_grant *taken = take(grant, &alice, BOTH);
    expect_stats(1, 5);
    hx_grant_drop(taken);
    expect_stats(0, 0);
    cr_assert(!can_read(va));
    end();
}

Test(grant, one_in_a_message_outlives_who_sent_it)
{
    uintptr_t va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    *(volatile uint8_t *)va = 7;
    struct hx_grant *taken = take(grant, &alice, BOTH);
    hx_handle_close_all(&alice);
    struct hx_message_memory memory = accept(taken, &bob);
    cr_assert_eq(*(const volatile uint8_t *)memory.address, 7);
    end();
}

Test(grant, a_holder_that_ends_gives_back_all_it_has)
{
    uintptr_t va[20];
    begin();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(va); i++)
        create(i % 2 ? &alice : &bob, (i + 1) * 1000, &va[i]);
    hx_handle_close_all(&alice);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(va); i++)
        cr_assert_eq(can_read(va[i]), i % 2 == 0);
    end();
}

Test(grant, a_receiver_with_too_many_handles_gets_none_and_another_does)
{
    struct hx_message_memory memory = { 0 };
    struct hx_holder full = { .name = "full", .limit = 1 };
    uintptr_t va;
    begin();
    create(&full, 1, &va);
    hx_handle_t grant = create(&alice, 1, &va);
    *(volatile uint8_t *)va = 9;
    struct hx_grant *taken = take(grant, &alice, HX_GRANT_READ);
    cr_assert_eq(hx_grant_accept(taken, &full, &memory), HX_E_LIMIT);
    cr_assert(memory.grant == HX_HANDLE_NONE && memory.address == 0);
    memory = accept(taken, &bob);
    cr_assert(*(const volatile uint8_t *)memory.address == 9 && memory.permissions == HX_GRANT_READ);
    hx_handle_close_all(&full);
    end();
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */
Test(grant, as_many_are_mapped_as_there_are_slots)
{
    hx_handle_t grant[HX_HAL_GRANT_SLOTS], more = HX_HANDLE_NONE;
    struct hx_message_memory memory = { 0 };
    uintptr_t va[HX_HAL_GRANT_SLOTS], more_va = 0;
    begin();
    for (uint32_t i = 0; i < HX_HAL_GRANT_SLOTS; i++)
        grant[i] = create(&alice, 1, &va[i]);
    cr_assert_eq(hx_grant_make(1, &alice, &more, &more_va), HX_E_LIMIT);
    expect_stats(HX_HAL_GRANT_SLOTS, HX_HAL_GRANT_SLOTS);
    struct hx_grant *taken = take(grant[17], &alice, BOTH);
    more = create(&alice, 1, &more_va); /* the one slot that is free is used again */
    cr_assert_eq(more_va, va[17]);
    cr_assert_eq(hx_grant_accept(taken, &bob, &memory), HX_E_LIMIT);
    cr_assert_eq(hx_handle_close(more, &alice), HX_OK);
    cr_assert_eq(accept(taken, &bob).address, va[17]);
    end();
}

Test(grant, a_place_is_not_used_again_before_all_others)
{
    uintptr_t va, next_va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    cr_assert_eq(hx_handle_close(grant, &alice), HX_OK);
    for (uint32_t i = 1; i < HX_HAL_GRANT_SLOTS; i++) {
        grant = create(&alice, 1, &next_va);
        cr_assert(next_va != va && !can_read(va), "slot %u", i);
        cr_assert_eq(hx_handle_close(grant, &alice), HX_OK);
    }
    create(&alice, 1, &next_va);
    cr_assert_eq(next_va, va);
    end();
}

Test(grant, as_many_are_in_messages_as_there_may_be)
{
    static struct hx_grant *taken[GRANTS_MAX];
    hx_handle_t more = HX_HANDLE_NONE;
    uintptr_t va;
    begin();
    for (uint32_t i = 0; i < GRANTS_MAX; i++)
        taken[i] = take(create(&alice, 1, &va), &alice, BOTH);
    cr_assert_eq(hx_grant_make(1, &alice, &more, &va), HX_E_LIMIT);
    hx_grant_drop(taken[500]);
    create(&alice, 1, &va);
    for (uint32_t i = 0; i < GRANTS_MAX; i++)
        if (i != 500)
            hx_grant_drop(taken[i]);
    end();
}

static hx_status_t hand_over_once(void)
{
    hx_handle_t grant = HX_HANDLE_NONE;
    struct hx_grant *taken = NULL;
    struct hx_message_memory memory;
    uintptr_t va;
    hx_status_t err = hx_grant_make(3 * HX_PAGE_BYTES, &alice, &grant, &va);
    if (err == HX_OK)
        err = hx_grant_take(grant, &alice, BOTH, &taken);
    if (err == HX_OK)
        err = hx_grant_accept(taken, &bob, &memory);
    hx_handle_close_all(&alice);
    hx_handle_close_all(&bob);
    expect_stats(0, 0);
    return err;
}

Test(grant, an_allocation_that_fails_leaves_nothing)
{
    begin();
    uint64_t nth = 0;
    for (bool failed = true; failed;) {
        hal_host_fail_at(++nth);
        hx_status_t err = hand_over_once();
        failed = hal_host_has_failed();
        cr_assert_eq(err, failed ? HX_E_NOMEM : HX_OK, "allocation %lu: %d", nth, err);
    }
    cr_assert_gt(nth, 1u, "none was tried");
    for (uint32_t i = 0; i < 2 * GRANTS_MAX; i++) { /* nor is a failure remembered */
        hal_host_fail_at(1);
        cr_assert_eq(hand_over_once(), HX_E_NOMEM);
    }
    hal_host_fail_at(0);
    cr_assert_eq(hand_over_once(), HX_OK);
    end();
}

Test(grant, a_full_table_of_handles_leaves_nothing)
{
    struct hx_holder full = { .name = "full", .limit = 1 };
    hx_handle_t grant = HX_HANDLE_NONE, more = HX_HANDLE_NONE;
    uintptr_t va, more_va = 0;
    begin();
    grant = create(&full, 1, &va);
    cr_assert_eq(hx_grant_make(1, &full, &more, &more_va), HX_E_LIMIT);
    cr_assert(more == HX_HANDLE_NONE && more_va == 0);
    expect_stats(1, 1);
    cr_assert_eq(hx_handle_close(grant, &full), HX_OK);
    end();
}

/* ---- contexts -------------------------------------------------------------------------------------------------------- */
Test(grant, none_is_made_or_taken_in_an_interrupt)
{
    struct hx_message_memory memory;
    struct hx_grant *taken = NULL;
    hx_handle_t more = HX_HANDLE_NONE;
    uintptr_t va, more_va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    hx_cpu_add32(irq_depth, 1);
    cr_assert_eq(hx_grant_make(1, &alice, &more, &more_va), HX_E_STATE);
    cr_assert_eq(hx_grant_take(grant, &alice, BOTH, &taken), HX_E_STATE);
    cr_assert_eq(hx_grant_describe(grant, &alice, &memory), HX_OK);
    hx_cpu_add32(irq_depth, -1);
    cr_assert(can_write(va));
    end();
}

Test(grant, is_taken_and_dropped_under_the_lock_of_a_channel)
{
    struct hx_lock channel = HX_LOCK_INIT(HX_RANK_CHANNEL);
    uintptr_t va;
    begin();
    hx_handle_t grant = create(&alice, 1, &va);
    hx_irq_flags_t flags = hx_lock_acquire(&channel);
    struct hx_grant *taken = take(grant, &alice, BOTH);
    hx_grant_drop(taken);
    cr_assert_not(hx_irq_enabled());
    hx_lock_release(&channel, flags);
    end();
}

/* ---- two at once ----------------------------------------------------------------------------------------------------- */
enum { RACES = HX_HAL_GRANT_SLOTS };
static hx_handle_t contested[RACES];
static uint32_t winners[RACES], misled;
static pthread_barrier_t barrier;

static void race(void)
{
    for (uint32_t i = 0; i < RACES; i++) {
        struct hx_grant *taken = NULL;
        pthread_barrier_wait(&barrier);
        hx_status_t err = hx_grant_take(contested[i], &alice, BOTH, &taken);
        if (err == HX_OK) {
            __atomic_fetch_add(&winners[i], 1, __ATOMIC_RELAXED);
            hx_grant_drop(taken);
        } else if (err != HX_E_STALE) {
            __atomic_fetch_add(&misled, 1, __ATOMIC_RELAXED);
        }
    }
}

static void *second_cpu(void *unused)
{
    hal_host_cpu_enter(1);
    race();
    return unused;
}

Test(grant, one_of_two_who_take_it_at_once_gets_it)
{
    pthread_t thread;
    uintptr_t va;
    begin();
    pthread_barrier_init(&barrier, NULL, 2);
    for (uint32_t i = 0; i < RACES; i++)
        contested[i] = create(&alice, 1, &va);
    cr_assert_eq(pthread_create(&thread, NULL, second_cpu, NULL), 0);
    race();
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < RACES; i++)
        cr_assert_eq(winners[i], 1u, "race %u: %u winners", i, winners[i]);
    cr_assert_eq(misled, 0u);
    end();
}
