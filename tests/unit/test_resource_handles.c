/* SPDX-License-Identifier: MIT */
/* test_resource_handles.c - modules pay for the memory that their handles stand for: grants, and channels that they make. */
#include "world.h"

#include <criterion/criterion.h>
#include <ipc/channel.h>
#include <ipc/grant.h>
#include <orchestrator/resource_broker.h>

static const uint64_t pool_bytes = UINT64_C(1) << 30; /* as world.c makes it */

static struct hx_resource_share share_of(const char *module)
{
    struct hx_resource_share share;
    hx_resource_usage(hx_module_find(module)->resources, HX_RESOURCE_MEMORY, &share);
    return share;
}

static uint64_t charged(const char *module)
{
    return share_of(module).charged;
}

static uint64_t available(void)
{
    struct hx_resource_pool pool;
    cr_assert_eq(hx_resource_pool_get(HX_RESOURCE_MEMORY, &pool), HX_OK);
    return pool.available;
}

/* The module may have so much more than it has. */
static void limit(const char *module, uint64_t more)
{
    cr_assert_eq(
        hx_resource_set_quota(hx_module_find(module)->resources, HX_RESOURCE_MEMORY, share_of(module).allocated + more),
        HX_OK);
}

static struct hx_holder *giver, *taker;
static struct hx_channel_ends way;
static hx_handle_t arrival;

/* svc_kv has a channel, of which good_minimal has the other end. */
static void begin(void)
{
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    giver = &hx_module_find("svc_kv")->holder;
    taker = &hx_module_find("good_minimal")->holder;
    cr_assert_eq(hx_ipc_create(2, giver, &way), HX_OK);
    cr_assert_eq(hx_handle_give(way.end[1], giver, taker, &arrival), HX_OK);
}

static hx_handle_t make_grant(uint64_t bytes)
{
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va = 0;
    cr_assert_eq(hx_grant_make(bytes, giver, &grant, &va), HX_OK);
    return grant;
}

static void send_grant(hx_handle_t grant)
{
    struct hx_message message = { .payload = HX_PAYLOAD_MEMORY,
                                  .memory = { .grant = grant, .permissions = HX_GRANT_READ } };
    cr_assert_eq(hx_ipc_send(way.end[0], giver, &message, HX_WAIT_NOT), HX_OK);
}

Test(resource, who_makes_a_grant_or_a_channel_pays_for_its_memory)
{
    struct hx_channel_ends more;
    hx_handle_t other = HX_HANDLE_NONE;
    uintptr_t va = 0;
    begin();
    uint64_t before = charged("svc_kv");
    cr_assert_gt(charged("good_minimal"), 2 * sizeof(struct hx_message), "its half of the channel");
    hx_handle_t grant = make_grant(5000);
    cr_assert_eq(charged("svc_kv"), before + 8192);
    cr_assert_eq(share_of("svc_kv").used, share_of("svc_kv").allocated);
    limit("svc_kv", 4095);
    cr_assert_eq(hx_grant_make(1, giver, &other, &va), HX_E_QUOTA);
    cr_assert_eq(hx_ipc_create(HX_CHANNEL_CAPACITY_MAX, giver, &more), HX_E_QUOTA);
    cr_assert_eq(charged("svc_kv"), before + 8192, "what is refused costs nothing");
    cr_assert_eq(hx_handle_close(grant, giver), HX_OK);
    cr_assert_eq(charged("svc_kv"), before);
    cr_assert_eq(hx_handle_close(arrival, taker), HX_OK);
    cr_assert_eq(charged("good_minimal"), 0);
}

Test(resource, who_receives_a_grant_pays_for_it_from_then_on)
{
    struct hx_message message;
    begin();
    uint64_t gives = charged("svc_kv"), takes = charged("good_minimal");
    send_grant(make_grant(8192));
    cr_assert_eq(charged("svc_kv"), gives + 8192, "it is on its way");
    limit("good_minimal", 8191);
    cr_assert_eq(hx_ipc_receive(arrival, taker, &message, HX_WAIT_NOT), HX_E_QUOTA);
    cr_assert_eq(hx_ipc_count(arrival, taker), 1, "it stays where it is");
    limit("good_minimal", 8192);
    cr_assert_eq(hx_ipc_receive(arrival, taker, &message, HX_WAIT_NOT), HX_OK);
    cr_assert_eq(charged("svc_kv"), gives);
    cr_assert_eq(charged("good_minimal"), takes + 8192);
    cr_assert_eq(hx_handle_close(message.memory.grant, taker), HX_OK);
    cr_assert_eq(charged("good_minimal"), takes);
}

Test(resource, what_is_on_its_way_when_its_sender_ends_is_nobodys_until_it_is_received)
{
    struct hx_message message;
    begin();
    uint64_t takes = charged("good_minimal");
    send_grant(make_grant(4096));
    cr_assert_eq(world_unload("svc_kv", NULL), HX_OK);
    cr_assert_eq(available(), pool_bytes - share_of("good_minimal").allocated);
    cr_assert_eq(hx_ipc_receive(arrival, taker, &message, HX_WAIT_NOT), HX_OK);
    cr_assert_eq(charged("good_minimal"), takes + 4096);
    cr_assert_eq(world_unload("good_minimal", NULL), HX_OK);
    cr_assert_eq(available(), pool_bytes);
}
