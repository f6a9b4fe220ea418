/* SPDX-License-Identifier: MIT */
/* test_capability_messages.c - capabilities and ends of channels that go from one to another. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <ipc/channel.h>
#include <orchestrator/declared.h>
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

/* ---- connections: ends of others' channels that a capability lets have ------------------------------------------------ */

#define CONNECT(name) CALL(hx_channel_connect, name, sizeof(name) - 1, 0, 0, 0)
#define COUNT(end) CALL(hx_channel_count, end, 0, 0, 0, 0)

static hx_handle_t declared_ipc(const char *module)
{
    return grant_of(principal_of(module), HX_CAPABILITY_IPC, "svc_echo").id;
}

static hx_status_t connect_and_lose(void *unused)
{
    struct hx_channel_ends own;
    hx_handle_t kernels = HX_HANDLE_NONE;
    (void)unused;
    hx_ret_t end = CONNECT("svc_echo/echo");
    cr_assert_gt(end, 0);
    hx_ret_t clone = CALL(hx_channel_clone, end, HX_RIGHT_SEND | HX_RIGHT_CLONE, 0, 0, 0);
    cr_assert_gt(clone, 0);
    hx_ret_t clones_clone = CALL(hx_channel_clone, clone, HX_RIGHT_SEND, 0, 0, 0);
    cr_assert_gt(clones_clone, 0);
    cr_assert_eq(CALL(hx_channel_create, 1, &own, sizeof(own), 0, 0), HX_OK);
    cr_assert_eq(hx_declared_connect("svc_echo/echo", &hx_kernel_holder, &kernels), HX_OK);
    cr_assert_eq(
        hx_capability_revoke(&hx_kernel_principal, grant_of(principal_of("caps_calls"), HX_CAPABILITY_IPC, "echo").id),
        HX_OK);
    cr_assert_eq(COUNT(end), 0, "that was another's");
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, declared_ipc("caps_calls")), HX_OK);
    cr_assert_eq(COUNT(end), HX_E_STALE);
    cr_assert_eq(COUNT(clone), HX_E_STALE);
    cr_assert_eq(COUNT(clones_clone), HX_E_STALE);
    cr_assert_eq(COUNT(own.end[0]), 0, "it needs no capability");
    cr_assert_eq(hx_ipc_is_open(kernels, &hx_kernel_holder), 1, "it is another's connection");
    cr_assert_eq(hx_handle_close(kernels, &hx_kernel_holder), HX_OK);
    return HX_OK;
}

Test(module_capability, a_connection_ends_with_the_capability_that_let_it_be_made)
{
    load_caller();
    cr_assert_eq(world_run(connect_and_lose, NULL), HX_OK);
}

static hx_status_t keep_by_another(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_calls");
    hx_ret_t end = CONNECT("svc_echo/echo");
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_IPC, 0, 0, 0, "svc_echo/echo"), hx_hal_clock_ns() + 1000), HX_OK);
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_IPC, 0, 0, 0, "svc_echo.other"), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, declared_ipc("caps_calls")), HX_OK);
    cr_assert_eq(COUNT(end), 0, "another lets him");
    hal_host_advance(1000);
    cr_assert_eq(COUNT(end), 0, "it is over, and nobody has looked");
    hx_capability_purge();
    cr_assert_eq(COUNT(end), HX_E_STALE);
    return HX_OK;
}

Test(module_capability, a_connection_stays_while_any_capability_lets_it)
{
    load_caller();
    cr_assert_eq(world_run(keep_by_another, NULL), HX_OK);
}

static hx_status_t keep_by_warnings(void *unused)
{
    (void)unused;
    hx_ret_t end = CONNECT("svc_echo/echo");
    hx_capability_warns = true;
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, declared_ipc("caps_calls")), HX_OK);
    cr_assert_eq(COUNT(end), 0);
    cr_assert_eq(COUNT(CONNECT("svc_echo/echo")), 0);
    return HX_OK;
}

Test(module_capability, with_warnings_alone_a_connection_stays)
{
    load_caller();
    cr_assert_eq(world_run(keep_by_warnings, NULL), HX_OK);
}

static hx_handle_t connect_sender(void)
{
    hx_handle_t end = HX_HANDLE_NONE;
    cr_assert_eq(hx_declared_connect("svc_echo/echo", sender, &end), HX_OK);
    return end;
}

static hx_status_t pass_connections_on(void *unused)
{
    (void)unused;
    cr_assert_eq(send_capability(connect_sender()), HX_OK);
    hx_handle_t got = receive_capability();
    cr_assert_eq(send_capability(connect_sender()), HX_OK);
    hx_handle_t kept = connect_sender();
    cr_assert_eq(hx_ipc_count(got, receiver), 0);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, declared_ipc("caps_asks")), HX_OK);
    cr_assert_eq(hx_ipc_count(kept, sender), HX_E_STALE);
    cr_assert_eq(hx_ipc_count(got, receiver), HX_E_STALE, "whoever has it by now");
    cr_assert_eq(receive_capability(), HX_HANDLE_NONE, "it was withdrawn on its way");
    cr_assert_eq(hx_ipc_is_open(far_end, receiver), 1, "what brought it is his own");
    return HX_OK;
}

Test(module_capability, a_connection_that_was_passed_on_ends_as_well)
{
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    begin_messages();
    cr_assert_eq(world_run(pass_connections_on, NULL), HX_OK);
}

static hx_handle_t passed;

static hx_status_t pass_one_on(void *unused)
{
    (void)unused;
    cr_assert_eq(send_capability(connect_sender()), HX_OK);
    passed = receive_capability();
    return HX_OK;
}

Test(module_capability, a_connection_ends_with_the_module_that_made_it)
{
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    begin_messages();
    cr_assert_eq(world_run(pass_one_on, NULL), HX_OK);
    cr_assert_eq(hx_ipc_count(passed, receiver), 0);
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(hx_ipc_count(passed, receiver), HX_E_STALE);
}

static bool anything(const struct hx_module *module, const char *name)
{
    (void)module, (void)name;
    return true;
}

Test(module_capability, a_connection_by_who_has_gone_ends_whatever_is_allowed)
{
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    begin_messages();
    hx_handle_t end = connect_sender(), orphan = connect_sender();
    hx_handles[hx_handle_index(orphan)].authority = hx_handle_make(HX_HANDLE_MODULE, 77, 5);
    hx_declared_check_connections(anything);
    cr_assert_eq(hx_ipc_count(end, sender), 0);
    cr_assert_eq(hx_ipc_count(orphan, sender), HX_E_STALE);
}

Test(module_capability, a_connection_goes_over_to_a_version_that_asks_for_the_same)
{
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    begin_messages();
    hx_handle_t end = connect_sender();
    cr_assert_eq(world_reload("caps_asks", "caps_asks.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(2000000000);
    cr_assert_eq(hx_ipc_count(end, sender), 0);
    cr_assert_eq(world_reload("caps_asks", "caps_asks_less.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(hx_ipc_count(end, sender), 0, "the one that asks for it may come back");
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caps_asks", &job), HX_OK);
    cr_assert_eq(hx_ipc_count(end, sender), 0);
    cr_assert_eq(world_reload("caps_asks", "caps_asks_less.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(2000000000);
    cr_assert_eq(hx_ipc_count(end, sender), HX_E_STALE);
}
