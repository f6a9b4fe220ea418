/* SPDX-License-Identifier: MIT */
/* test_capability_messages.c - capabilities and ends of channels that go from one to another. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <ipc/channel.h>
#include <string.h>

static struct hx_channel_ends ends;
static hx_handle_t far_end;
static struct hx_holder *sender, *receiver;

/* caps_asks sends, caps_hears receives; the one holds network:80-85 and may pass it on. */
static void begin_messages(void)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    sender = &hx_module_find("caps_asks")->holder;
    cr_assert_eq(world_load("caps_hears.hxm", &job), HX_OK, "%s", job.report.message);
    receiver = &hx_module_find("caps_hears")->holder;
    cr_assert_eq(hx_ipc_create(2, sender, &ends), HX_OK);
    cr_assert_eq(hx_handle_give(ends.end[1], sender, receiver, &far_end), HX_OK);
    cr_assert_eq(grant(principal_of("caps_asks"), cap(HX_CAPABILITY_NETWORK, G, 80, 85, ""), HX_CAPABILITY_NEVER),
                 HX_OK);
}

static hx_status_t send_capability(hx_handle_t capability)
{
    struct hx_message message = { .payload = HX_PAYLOAD_CAPABILITY, .capability = capability };
    return hx_ipc_send(ends.end[0], sender, &message, HX_WAIT_NOT);
}

static hx_handle_t receive_capability(void)
{
    struct hx_message message;
    cr_assert_eq(hx_ipc_receive(far_end, receiver, &message, HX_WAIT_NOT), HX_OK);
    cr_assert_eq(message.payload, HX_PAYLOAD_CAPABILITY);
    return message.capability;
}

static bool has_network(const char *module)
{
    return hx_capability_check(principal_of(module), HX_CAPABILITY_NETWORK, 0, 81, 81) == HX_OK;
}

static hx_status_t pass_on(void *unused)
{
    (void)unused;
    struct hx_principal *asks = principal_of("caps_asks");
    hx_handle_t top = id;
    cr_assert_eq(derive(asks, top, asks, cap(HX_CAPABILITY_NETWORK, 0, 81, 81, ""), HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t derived = id;
    cr_assert_eq(send_capability(derived), HX_OK, "it has been derived by who sends it");
    cr_assert_eq(send_capability(derived), HX_E_STALE, "it is on its way");
    cr_assert_not(has_network("caps_hears"));
    hx_handle_t got = receive_capability();
    cr_assert_neq(got, HX_HANDLE_NONE);
    cr_assert_neq(got, derived);
    cr_assert(has_network("caps_hears"));
    cr_assert_eq(hx_capability_revoke(asks, got), HX_OK, "it comes from one of his");
    cr_assert_not(has_network("caps_hears"));

    cr_assert_eq(derive(asks, top, asks, cap(HX_CAPABILITY_NETWORK, 0, 81, 81, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(send_capability(id), HX_OK);
    cr_assert_eq(hx_capability_revoke(asks, top), HX_OK);
    cr_assert_eq(receive_capability(), HX_HANDLE_NONE, "it was revoked on its way");
    cr_assert_eq(send_capability(grant_of(asks, HX_CAPABILITY_IO_PORT, "").id), HX_E_PERM);
    cr_assert_eq(send_capability(hx_kernel_principal.first[1]->id), HX_E_STALE);

    cr_assert_eq(grant(asks, cap(HX_CAPABILITY_NETWORK, G, 80, 90, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(send_capability(id), HX_OK);
    cr_assert_eq(hx_messages_principal.count, 1);
    cr_assert_eq(receive_capability(), HX_HANDLE_NONE, "who receives it has not asked for so much");
    cr_assert_eq(hx_messages_principal.count, 0);
    cr_assert_null(asks->first[HX_CAPABILITY_NETWORK]);

    cr_assert_eq(grant(asks, cap(HX_CAPABILITY_NETWORK, G, 80, 85, ""), hx_hal_clock_ns() + 1000), HX_OK);
    cr_assert_eq(send_capability(id), HX_OK);
    hal_host_advance(1000);
    cr_assert_eq(receive_capability(), HX_HANDLE_NONE, "it was over");
    cr_assert_eq(grant(asks, cap(HX_CAPABILITY_NETWORK, G, 80, 85, ""), hx_hal_clock_ns() + 1000), HX_OK);
    hal_host_advance(1000);
    cr_assert_eq(send_capability(id), HX_E_EXPIRED);

    cr_assert_eq(grant(asks, cap(HX_CAPABILITY_NETWORK, G, 80, 85, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(send_capability(id), HX_OK);
    cr_assert_eq(hx_handle_close(far_end, receiver), HX_OK);
    cr_assert_eq(hx_messages_principal.count, 0, "nobody will receive it");
    return HX_OK;
}

Test(module_capability, a_capability_goes_with_a_message)
{
    begin_messages();
    cr_assert_eq(world_run(pass_on, NULL), HX_OK);
}

Test(module_capability, an_operation_of_a_channel_needs_its_right_and_no_other)
{
    struct hx_holder owner = { .self = hx_hal_clock_ns() + 1, .name = "owner" }, other = owner;
    struct hx_message message = { 0 };
    struct hx_channel_ends fixed;
    cr_assert_eq(hx_ipc_create(1, &hx_kernel_holder, &fixed), HX_OK);
    for (uint32_t rights = 0; rights <= HX_RIGHT_ALL; rights++) {
        hx_handle_t end, clone;
        cr_assert_eq(hx_ipc_create(1, &other, &ends), HX_OK);
        cr_assert_eq(hx_ipc_clone(ends.end[0], &other, rights, &owner, &end), HX_OK);
        cr_assert_eq(hx_ipc_send(ends.end[1], &other, &message, HX_WAIT_NOT), HX_OK);
        cr_assert_eq(hx_ipc_send(end, &owner, &message, HX_WAIT_NOT), rights & HX_RIGHT_SEND ? HX_OK : HX_E_PERM);
        cr_assert_eq(hx_ipc_receive(end, &owner, &message, HX_WAIT_NOT), rights & HX_RIGHT_RECEIVE ? HX_OK : HX_E_PERM);
        cr_assert_eq(hx_ipc_clone(end, &owner, 0, &owner, &clone), rights & HX_RIGHT_CLONE ? HX_OK : HX_E_PERM);
        cr_assert_eq(hx_ipc_clone(end, &owner, HX_RIGHT_ALL, &owner, &clone),
                     rights == HX_RIGHT_ALL ? HX_OK : HX_E_PERM);
        cr_assert_eq(hx_ipc_close(end, &owner), rights & HX_RIGHT_CLOSE ? HX_OK : HX_E_PERM, "%u", rights);
        message = (struct hx_message){ .payload = HX_PAYLOAD_CAPABILITY, .capability = end };
        hx_handle_t way;
        cr_assert_eq(hx_ipc_clone(fixed.end[0], &hx_kernel_holder, HX_RIGHT_SEND, &owner, &way), HX_OK);
        cr_assert_eq(hx_ipc_send(way, &owner, &message, HX_WAIT_NOT), rights & HX_RIGHT_TRANSFER ? HX_OK : HX_E_PERM);
        if (rights & HX_RIGHT_TRANSFER)
            cr_assert_eq(hx_ipc_receive(fixed.end[1], &hx_kernel_holder, &message, HX_WAIT_NOT), HX_OK);
        message = (struct hx_message){ 0 };
        hx_handle_close_all(&owner);
        hx_handle_close_all(&other);
    }
}
