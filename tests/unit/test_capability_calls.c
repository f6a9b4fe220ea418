/* SPDX-License-Identifier: MIT */
/* test_capability_calls.c - every principal against every operation; and what a module calls while it may, and after. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <hal/hx_import.h>
#include <helix/kv.h>
#include <ipc/event_bus.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <module/export_needs.h>
#include <module/exports.h>
#include <orchestrator/resource_broker.h>
#include <stdio.h>
#include <string.h>

/* ---- every principal against every operation ------------------------------------------------------------------------- */

/* One principal for each type, who holds that alone; and who holds nothing, and everything. */
enum { NOTHING = HX_CAPABILITY_NONE, EVERYTHING = HX_CAPABILITY_TYPE_COUNT };

static void make_principal(uint32_t which, struct hx_principal *out)
{
    static const char *const texts[HX_CAPABILITY_TYPE_COUNT] = { NULL,
                                                                 "memory:0x0-0xffffffffffffffff:rwx",
                                                                 "ports:0x0-0xffff",
                                                                 "lines:0-63",
                                                                 "files:/:rw",
                                                                 "network:0-65535",
                                                                 "modules",
                                                                 "system",
                                                                 "debug",
                                                                 "ipc",
                                                                 "resource" };
    *out = (struct hx_principal){ .name = "one", .kind = HX_PRINCIPAL_CONSOLE };
    for (uint32_t type = 1; type < HX_CAPABILITY_TYPE_COUNT; type++) {
        struct hx_capability what;
        const char *why = NULL;
        if (which != type && which != EVERYTHING)
            continue;
        cr_assert_eq(hx_capability_parse(texts[type], &what, &why), HX_OK, "%s", why);
        cr_assert_eq(grant(out, what, HX_CAPABILITY_NEVER), HX_OK);
    }
}

static bool may(uint32_t which, uint32_t needs)
{
    return needs == HX_CAPABILITY_NONE || which == needs || which == EVERYTHING;
}

static struct hx_principal principals[EVERYTHING + 1];

static hx_status_t request_jobs(void *unused)
{
    static const enum hx_job_kind kinds[] = { HX_JOB_LOAD, HX_JOB_UNLOAD, HX_JOB_RELOAD, HX_JOB_COMMIT,
                                              HX_JOB_ROLLBACK };
    (void)unused;
    for (uint32_t which = 0; which <= EVERYTHING + 1; which++)
        for (uint32_t i = 0; i < HX_ARRAY_SIZE(kinds); i++) {
            struct hx_job request = {
                .kind = kinds[i], .module = "none", .params = "", .who = "test", .by = &hx_kernel_principal
            };
            request.by = which <= EVERYTHING ? &principals[which] : NULL;
            cr_assert_eq(hx_engine_run(&request) == HX_E_PERM, which > EVERYTHING || !may(which, HX_CAPABILITY_MODULES),
                         "principal %u, job %u", which, i);
        }
    return HX_OK;
}

Test(module_capability, every_principal_may_request_of_the_engine_what_the_matrix_says)
{
    for (uint32_t which = 0; which <= EVERYTHING; which++)
        make_principal(which, &principals[which]);
    cr_assert_eq(world_run(request_jobs, NULL), HX_OK);
}

/* The real table with handlers that do nothing. */
static uint32_t ran;
static hx_status_t harmless(int argc, char **argv)
{
    (void)argc, (void)argv;
    ran++;
    return HX_OK;
}

Test(module_capability, the_console_may_type_what_the_matrix_says)
{
    uint32_t commands = 0, denied = 0;
    struct hx_principal console = hx_console_principal;
    for (uint32_t which = 0; which <= EVERYTHING; which++) {
        make_principal(which, &principals[which]);
        hx_console_principal = principals[which];
        for (const struct hx_command *c = hx_command_next(hx_command_table, NULL); c;
             c = hx_command_next(hx_command_table, c)) {
            struct hx_command copy[2] = { *c, { .id = { HX_CAPABILITY_NONE, NULL } } };
            const struct hx_command *const table[] = { copy, NULL };
            char line[64];
            copy[0].handler = harmless;
            snprintf(line, sizeof(line), "%s", c->id.name);
            cr_assert_lt(c->id.needs, HX_CAPABILITY_TYPE_COUNT);
            uint32_t before = ran;
            hx_status_t err = hx_command_run(table, line);
            cr_assert_eq(err, may(which, c->id.needs) ? HX_OK : HX_E_PERM, "%s by %u", c->id.name, which);
            cr_assert_eq(ran - before, err == HX_OK);
            commands++;
            denied += err != HX_OK;
        }
    }
    hx_console_principal = console;
    cr_assert_gt(denied, commands / 2);
}

#define EXPORT_ROW(name, type) { #name, HX_CAPABILITY_##type },
static const struct {
    const char *name;
    uint32_t needs;
} needs[] = { HX_EXPORT_NEEDS(EXPORT_ROW) };

Test(module_capability, each_export_needs_what_its_line_says)
{
    cr_assert_eq(HX_ARRAY_SIZE(needs), hx_import_count);
    for (size_t i = 0; i < HX_ARRAY_SIZE(needs); i++) {
        const struct hx_export *export = hx_exports_look(needs[i].name, strlen(needs[i].name));
        cr_assert_not_null(export, "%s", needs[i].name);
        cr_assert_eq(export->needs, needs[i].needs, "%s", needs[i].name);
    }
}

/* Every port, by every principal, by way of the check that both port exports make. */
Test(module_capability, every_principal_may_use_the_ports_that_the_matrix_says)
{
    for (uint32_t which = 0; which <= EVERYTHING; which++) {
        make_principal(which, &principals[which]);
        for (uint32_t type = 1; type < HX_CAPABILITY_TYPE_COUNT; type++)
            for (uint64_t at = 0; at < 64; at += 7)
                if (type < HX_CAPABILITY_MODULES && type != HX_CAPABILITY_FILE_SYSTEM)
                    cr_assert_eq(hx_capability_check(&principals[which], type, 0, at, at) == HX_OK, may(which, type));
    }
}

/* ---- the exports, called by a module ---------------------------------------------------------------------------------- */

/* Arguments with which a call of what needs @type comes as far as its check, and succeeds behind it. */
static hx_ret_t call_with_authority(uint32_t number, uint32_t type)
{
    static struct hx_message message;
    static struct hx_event events[2];
    if (number == NUMBER_hx_request) {
        message = (struct hx_message){ .type = HX_MESSAGE_REQUEST };
        return CALL(hx_request, hx_router_find("echo"), &message, sizeof(message), HX_WAIT_FOREVER, 0);
    }
    if (number == NUMBER_hx_channel_connect)
        return CALL(hx_channel_connect, "svc_echo/echo", 13, 0, 0, 0);
    if (number == NUMBER_hx_res_allocate)
        return CALL(hx_res_allocate, "memory", 6, 1, 0, 0);
    if (number == NUMBER_hx_topic_history)
        return CALL(hx_topic_history, "test.caps", 9, events, sizeof(events), 0);
    switch (type) {
    case HX_CAPABILITY_IO_PORT: return call(number, 0x71, 0, 0, 0, 0);
    case HX_CAPABILITY_MEMORY: {
        static struct hx_message_memory memory;
        return call(number, 0xfd000000, HX_PAGE_BYTES, HX_GRANT_READ, (uint64_t)&memory, sizeof(memory));
    }
    case HX_CAPABILITY_IPC: return call(number, (uint64_t) "echo", 4, 0, 0, 0);
    default: return call(number, 0, 0, 0, 0, 0);
    }
}

static bool is_denial(hx_ret_t result)
{
    return result == HX_E_PERM || result == HX_E_EXPIRED || result == HX_E_POLICY;
}

static hx_status_t call_everything(void *unused)
{
    struct hx_module *module = hx_module_find("caps_calls");
    struct hx_principal *own = module->principal;
    (void)unused;
    for (uint32_t which = 0; which <= EVERYTHING; which++) {
        module->principal = &principals[which];
        for (uint32_t i = 0; i < hx_import_count; i++) {
            const struct hx_export *export = hx_exports_look(hx_import_table[i].name, strlen(hx_import_table[i].name));
            hx_ret_t result = call_with_authority(i + 1, export->needs);
            cr_assert_eq(is_denial(result), !may(which, export->needs), "%s by %u: %ld", hx_import_table[i].name, which,
                         (long)result);
            if (export->needs != HX_CAPABILITY_NONE && may(which, export->needs))
                cr_assert_geq(result, 0, "%s by %u: %ld", hx_import_table[i].name, which, (long)result);
        }
    }
    module->principal = own;
    return HX_OK;
}

Test(module_capability, every_principal_may_call_the_exports_that_the_matrix_says)
{
    for (uint32_t which = 0; which <= EVERYTHING; which++)
        make_principal(which, &principals[which]);
    load_caller();
    cr_assert_eq(world_run(call_everything, NULL), HX_OK);
}

static hx_status_t ask_after_revoke(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_calls");
    struct hx_message message = { .type = HX_MESSAGE_REQUEST };
    hx_handle_t service = hx_router_find("echo");
    hx_ret_t end = CALL(hx_channel_connect, "svc_echo/echo", 13, 0, 0, 0);
    cr_assert_gt(end, 0);
    cr_assert_eq(CALL(hx_channel_close, end, 0, 0, 0, 0), HX_E_PERM, "it is another's channel");
    cr_assert_eq(CALL(hx_handle_drop, end, 0, 0, 0, 0), HX_OK);
    cr_assert_eq(CALL(hx_channel_connect, "svc_echoes/echo", 15, 0, 0, 0), HX_E_PERM);
    cr_assert_eq(CALL(hx_request, service, &message, sizeof(message), HX_WAIT_FOREVER, 0), HX_OK);
    cr_assert_eq(CALL(hx_request, service + 1, &message, sizeof(message), 0, 0), HX_E_STALE);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, grant_of(principal, HX_CAPABILITY_IPC, "echo").id), HX_OK);
    cr_assert_eq(CALL(hx_request, service, &message, sizeof(message), HX_WAIT_FOREVER, 0), HX_E_PERM);
    cr_assert_eq(CALL(hx_service_find, "echo", 4, 0, 0, 0), HX_E_PERM);
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_IPC, 0, 0, 0, "echo"), hx_hal_clock_ns() + 1000), HX_OK);
    cr_assert_eq(CALL(hx_service_find, "echo", 4, 0, 0, 0), (hx_ret_t)service);
    hal_host_advance(1000);
    cr_assert_eq(CALL(hx_service_find, "echo", 4, 0, 0, 0), HX_E_EXPIRED);
    return HX_OK;
}

Test(module_capability, a_service_is_asked_only_while_that_is_allowed)
{
    load_caller();
    cr_assert_eq(world_run(ask_after_revoke, NULL), HX_OK);
}

static hx_status_t derive_and_end(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_calls");
    struct hx_capability all = cap(HX_CAPABILITY_NETWORK, G, 80, 85, ""),
                         one = cap(HX_CAPABILITY_NETWORK, 0, 81, 81, "");
    struct hx_capability bad = cap(HX_CAPABILITY_NETWORK, 0, 9, 8, "");
    cr_assert_eq(CALL(hx_cap_find, &all, sizeof(all), 0, 0, 0), HX_E_NOENT);
    cr_assert_eq(grant(principal, all, HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t top = id;
    cr_assert_eq(CALL(hx_cap_find, &one, sizeof(one), 0, 0, 0), (hx_ret_t)top);
    cr_assert_eq(CALL(hx_cap_find, &one, sizeof(one) - 1, 0, 0, 0), HX_E_INVAL);
    cr_assert_eq(CALL(hx_cap_find, &bad, sizeof(bad), 0, 0, 0), HX_E_INVAL);
    hx_ret_t below = CALL(hx_cap_derive, top, &one, sizeof(one), 5000, 0);
    cr_assert_gt(below, 0);
    cr_assert_eq(CALL(hx_cap_derive, below, &one, sizeof(one), HX_WAIT_FOREVER, 0), HX_E_PERM);
    cr_assert_eq(CALL(hx_cap_derive, top, &bad, sizeof(bad), HX_WAIT_FOREVER, 0), HX_E_INVAL);
    cr_assert_eq(CALL(hx_cap_derive, 7, &one, sizeof(one), HX_WAIT_FOREVER, 0), HX_E_STALE);
    cr_assert_eq(CALL(hx_cap_derive, top, &one, sizeof(one), 0, 0), HX_E_EXPIRED);
    hal_host_advance(5000);
    cr_assert_eq(CALL(hx_cap_derive, below, &one, sizeof(one), HX_WAIT_FOREVER, 0), HX_E_EXPIRED);
    below = CALL(hx_cap_derive, top, &one, sizeof(one), HX_WAIT_FOREVER, 0);
    cr_assert_gt(below, 0);
    cr_assert_eq(CALL(hx_handle_drop, below, 0, 0, 0, 0), HX_OK);
    cr_assert_eq(CALL(hx_handle_drop, below, 0, 0, 0, 0), HX_E_STALE);
    cr_assert_eq(CALL(hx_cap_revoke, hx_kernel_principal.first[1]->id, 0, 0, 0, 0), HX_E_PERM);
    cr_assert_eq(CALL(hx_cap_revoke, top, 0, 0, 0, 0), HX_OK);
    cr_assert_eq(CALL(hx_cap_find, &one, sizeof(one), 0, 0, 0), HX_E_NOENT);
    return HX_OK;
}

Test(module_capability, a_module_derives_from_what_it_holds_and_ends_it)
{
    load_caller();
    cr_assert_eq(world_run(derive_and_end, NULL), HX_OK);
}

#define MAP(first, bytes, rights, memory) CALL(hx_memory_map, first, bytes, rights, memory, sizeof(*(memory)))
enum { GR = HX_GRANT_READ, GW = HX_GRANT_WRITE };
#define DEVICE 0xfd000000ul

static hx_status_t map_and_lose(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_calls");
    struct hx_holder *holder = &hx_module_find("caps_calls")->holder;
    struct hx_message_memory first, second;
    struct hx_grant *taken;
    cr_assert_eq(MAP(DEVICE, 0x1000, GR | GW, &first), HX_OK);
    cr_assert_eq(first.bytes, 0x1000);
    cr_assert_eq(first.permissions, GR | GW);
    *(volatile uint32_t *)first.address = 7;
    cr_assert_eq(MAP(DEVICE + 0x1000, 0x3000, GR, &second), HX_OK);
    cr_assert_eq(MAP(DEVICE + 0x1000, 0x4000, GR, &second), HX_E_PERM);
    cr_assert_eq(MAP(DEVICE - 0x1000, 0x2000, GR, &second), HX_E_PERM);
    cr_assert_eq(MAP(DEVICE, 0x1000, GW, &second), HX_E_INVAL);
    cr_assert_eq(MAP(DEVICE, 0x1000, GR | 4, &second), HX_E_INVAL);
    cr_assert_eq(MAP(DEVICE, 0, GR, &second), HX_E_INVAL);
    cr_assert_eq(MAP(DEVICE + 16, 0x1000, GR, &second), HX_E_INVAL);
    cr_assert_eq(MAP(DEVICE, 16, GR, &second), HX_E_INVAL);
    cr_assert_eq(MAP(0 - 0x1000ul, 0x2000, GR, &second), HX_E_INVAL);
    cr_assert_eq(MAP(0 - 0x1000ul, 0x1000, GR, &second), HX_E_INVAL, "it ends where nothing is");
    cr_assert_eq(MAP(0, 0, GR, &second), HX_E_INVAL, "not all there is");
    cr_assert_eq(CALL(hx_memory_map, DEVICE, 0x1000, GR, &second, sizeof(second) - 1), HX_E_INVAL);
    cr_assert_eq(hx_grant_take(first.grant, holder, GR, &taken), HX_E_PERM, "it is sent to nobody");
    cr_assert_eq(hx_grant_describe(second.grant, holder, &second), HX_OK);

    hx_handle_t declared = grant_of(principal, HX_CAPABILITY_MEMORY, "").id;
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_MEMORY, R, DEVICE, DEVICE + 0x3fff, ""), hx_hal_clock_ns() + 1000),
                 HX_OK);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, declared), HX_OK);
    cr_assert_eq(hx_grant_describe(first.grant, holder, &first), HX_E_STALE, "nothing lets him write there any more");
    cr_assert_eq(hx_grant_describe(second.grant, holder, &second), HX_OK);
    cr_assert_eq(MAP(DEVICE, 0x1000, GR | GW, &first), HX_E_PERM);
    hal_host_advance(1000);
    cr_assert_eq(MAP(DEVICE, 0x1000, GR, &first), HX_E_EXPIRED);
    hx_capability_purge();
    cr_assert_eq(hx_grant_describe(second.grant, holder, &second), HX_E_STALE);
    return HX_OK;
}

Test(module_capability, registers_of_a_device_are_mapped_while_that_is_allowed)
{
    load_caller();
    cr_assert_eq(world_run(map_and_lose, NULL), HX_OK);
}

static hx_status_t map_memory(void *unused)
{
    (void)unused;
    struct hx_module *module = hx_module_find("caps_calls");
    struct hx_principal *own = module->principal;
    struct hx_message_memory memory;
    module->principal = &principals[EVERYTHING];
    cr_assert_eq(MAP(0x100000, 0x1000, GR, &memory), HX_E_PERM);
    cr_assert_eq(MAP(DEVICE, 0x1000, GR, &memory), HX_OK);
    module->principal = own;
    return HX_OK;
}

Test(module_capability, memory_is_mapped_for_nobody)
{
    make_principal(EVERYTHING, &principals[EVERYTHING]);
    load_caller();
    cr_assert_eq(world_run(map_memory, NULL), HX_OK);
}

/* ---- resources --------------------------------------------------------------------------------------------------------- */

static hx_handle_t taken;

static hx_status_t take_and_keep(void *unused)
{
    (void)unused;
    struct hx_module *module = hx_module_find("caps_calls");
    struct hx_resource_share share;
    hx_resource_usage(module->resources, HX_RESOURCE_MEMORY, &share);
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_MEMORY, share.allocated + 10), HX_OK);
    cr_assert_eq(CALL(hx_res_allocate, "memory", 6, 11, 0, 0), HX_E_QUOTA);
    hx_ret_t ten = CALL(hx_res_allocate, "memory", 6, 10, 0, 0);
    cr_assert_gt(ten, 0);
    taken = (hx_handle_t)ten;
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_MEMORY, HX_QUOTA_NONE), HX_OK);
    cr_assert_eq(
        hx_capability_revoke(&hx_kernel_principal, grant_of(module->principal, HX_CAPABILITY_RESOURCE, "memory").id),
        HX_OK);
    cr_assert_eq(CALL(hx_res_allocate, "memory", 6, 1, 0, 0), HX_E_PERM);
    cr_assert_eq(CALL(hx_res_use, ten, 10, 0, 0, 0), HX_OK, "what it has it keeps");
    hx_handle_t others = HX_HANDLE_NONE;
    struct hx_resource_holder *other = hx_module_find("svc_echo")->resources;
    cr_assert_eq(hx_resource_allocate(other, HX_RESOURCE_MEMORY, 1, &others), HX_OK);
    cr_assert_eq(CALL(hx_res_use, others, 0, 0, 0, 0), HX_E_STALE, "another's");
    cr_assert_eq(CALL(hx_handle_drop, others, 0, 0, 0, 0), HX_E_STALE);
    cr_assert_eq(hx_resource_deallocate(others), HX_OK);
    return HX_OK;
}

static hx_status_t spend(void *unused)
{
    struct hx_resource_account account;
    (void)unused;
    hal_host_advance(5000000000);
    cr_assert_eq(CALL(hx_res_spend, "io", 2, 5000, 0, 0), 0, "it has no quota");
    cr_assert_eq(hx_resource_set_quota(hx_module_find("caps_calls")->resources, HX_RESOURCE_IO, 1000), HX_OK);
    cr_assert_eq(CALL(hx_res_spend, "io", 2, 1000, 0, 0), 0, "the burst");
    hx_ret_t wait_ns = CALL(hx_res_spend, "io", 2, 100, 0, 0);
    cr_assert(wait_ns >= 100000000 && wait_ns < 101000000, "%ld", (long)wait_ns);
    hal_host_advance((uint64_t)wait_ns);
    cr_assert_eq(CALL(hx_res_spend, "io", 2, 0, 0, 0), 0);
    cr_assert_eq(CALL(hx_res_look, "io", 2, &account, sizeof(account), 0), HX_OK);
    cr_assert(account.used == 6100 && account.quota == 1000 && account.throttled == 1, "%lu", account.used);
    return HX_OK;
}

Test(module_capability, what_a_module_spends_of_a_rate_is_counted_and_it_is_told_how_long_to_wait)
{
    load_caller();
    cr_assert_eq(hx_resource_pool_add("io=1M", 5), HX_OK);
    cr_assert_eq(world_run(spend, NULL), HX_OK);
}

static hx_status_t look_after_swap(void *unused)
{
    struct hx_resource_account account;
    (void)unused;
    cr_assert_eq(CALL(hx_res_use, taken, 9, 0, 0, 0), HX_OK);
    cr_assert_eq(CALL(hx_res_look, "memory", 6, &account, sizeof(account), 0), HX_OK);
    cr_assert_geq(account.allocated - account.used, 1);
    return HX_OK;
}

Test(module_capability, a_module_takes_of_a_pool_while_it_may_and_keeps_what_it_has)
{
    struct hx_resource_pool before, after;
    struct hx_allocation one;
    load_caller();
    cr_assert_eq(world_unload("caps_calls", NULL), HX_OK);
    cr_assert_eq(hx_resource_pool_get(HX_RESOURCE_MEMORY, &before), HX_OK);
    cr_assert_eq(world_load("caps_calls.hxm", &job), HX_OK);
    cr_assert_eq(world_run(take_and_keep, NULL), HX_OK);
    cr_assert_eq(world_reload("caps_calls", "caps_calls.hxm", &job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(2000000000);
    cr_assert_eq(world_run(look_after_swap, NULL), HX_OK);
    cr_assert_eq(world_unload("caps_calls", NULL), HX_OK);
    cr_assert_eq(hx_resource_get(taken, &one), HX_E_NOENT);
    cr_assert_eq(hx_resource_pool_get(HX_RESOURCE_MEMORY, &after), HX_OK);
    cr_assert_eq(after.available, before.available);
    cr_assert_eq(after.count, before.count);
}

/* ---- events ------------------------------------------------------------------------------------------------------------ */

static hx_status_t publish_once(void *unused)
{
    struct hx_event event = { .type = HX_EVENT_CUSTOM };
    (void)unused;
    hx_event_publish(test_topic, NULL, &event);
    return hx_task_sleep_until(hx_hal_clock_ns() + 1000000);
}

static hx_status_t expect_heard(void *count)
{
    cr_assert_eq(hx_kv_count(), (hx_ret_t)(uintptr_t)count);
    return HX_OK;
}

Test(module_capability, a_subscription_is_a_request_and_ends_with_what_it_gave)
{
    load_caller();
    struct hx_principal *principal = principal_of("caps_calls");
    struct hx_capability topic_cap = cap(HX_CAPABILITY_IPC, 0, 0, 0, "test.caps");
    cr_assert_eq(world_run(publish_once, NULL), HX_OK);
    cr_assert_eq(world_run(expect_heard, (void *)1), HX_OK);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, grant_of(principal, HX_CAPABILITY_IPC, "test.caps").id),
                 HX_OK);
    uint64_t denied = principal->denied;
    cr_assert_eq(world_run(publish_once, NULL), HX_OK);
    cr_assert_eq(world_run(expect_heard, (void *)1), HX_OK, "it is not his any more");
    cr_assert_eq(principal->denied, denied, "of that nothing is told, as it would be an event again");
    cr_assert_eq(grant(principal, topic_cap, HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(world_run(publish_once, NULL), HX_OK);
    cr_assert_eq(world_run(expect_heard, (void *)2), HX_OK);
}
