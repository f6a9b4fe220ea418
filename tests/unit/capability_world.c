/* SPDX-License-Identifier: MIT */
/* capability_world.c - see capability_world.h. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <ipc/event_bus.h>
#include <stdio.h>
#include <string.h>

struct hx_capability cap(uint32_t type, uint32_t rights, uint64_t first, uint64_t last, const char *path)
{
    struct hx_capability what = { .type = type, .rights = rights, .first = first, .last = last };
    snprintf(what.path, sizeof(what.path), "%s", path);
    return what;
}

struct hx_principal alice, bob, carol;
struct hx_capability_refusal refusal;
hx_handle_t id;

void capability_begin(void)
{
    world_begin(1000);
    hal_host_clock_step(0);
    alice = (struct hx_principal){ .name = "alice", .kind = HX_PRINCIPAL_CONSOLE };
    bob = (struct hx_principal){ .name = "bob", .kind = HX_PRINCIPAL_CONSOLE };
    carol = (struct hx_principal){ .name = "carol", .kind = HX_PRINCIPAL_CONSOLE };
}

hx_status_t grant(struct hx_principal *to, struct hx_capability what, uint64_t expires_ns)
{
    return hx_capability_grant(&hx_kernel_principal, to, &what, expires_ns, &id, &refusal);
}

hx_status_t derive(struct hx_principal *by, hx_handle_t from, struct hx_principal *to, struct hx_capability what,
                   uint64_t expires_ns)
{
    return hx_capability_derive(by, from, to, &what, expires_ns, &id, &refusal);
}

hx_status_t transfer(struct hx_principal *by, hx_handle_t from, struct hx_principal *to)
{
    return hx_capability_transfer(by, from, to, &id, &refusal);
}

hx_status_t port(struct hx_principal *principal, uint64_t first, uint64_t last)
{
    return hx_capability_check(principal, HX_CAPABILITY_IO_PORT, 0, first, last);
}

uint32_t held(const struct hx_principal *holder)
{
    struct hx_capability_grant copy;
    uint32_t count = 0;
    for (uint32_t at = 0; hx_capability_next(&at, holder, &copy);)
        count++;
    return count;
}

struct hx_job job;

struct hx_principal *principal_of(const char *module)
{
    return hx_module_find(module)->principal;
}

struct hx_capability_grant grant_of(const struct hx_principal *principal, uint32_t type, const char *path)
{
    struct hx_capability_grant copy = { 0 };
    for (uint32_t at = 0; hx_capability_next(&at, principal, &copy);)
        if (copy.what.type == type && strcmp(copy.what.path, path) == 0)
            return copy;
    cr_assert_fail("no such grant");
    return copy;
}

uint32_t written;

void write_port(uint16_t number, uint8_t value)
{
    (void)number, (void)value;
    written++;
}

uint8_t read_port(uint16_t number)
{
    return (uint8_t)number;
}

struct call {
    uint64_t export, argument[5];
};

hx_ret_t call(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    struct call call = { number - 1, { a, b, c, d, e } };
    uint8_t nothing[1];
    return hx_kv_get(&call, sizeof(call), nothing, sizeof(nothing));
}

struct hx_topic *test_topic;

void load_caller(void)
{
    hal_host_port_read = read_port;
    hal_host_port_write = write_port;
    cr_assert_eq(hx_topic_create("test.caps", &hx_kernel_holder, &test_topic), HX_OK);
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("caps_calls.hxm", &job), HX_OK, "%s", job.report.message);
}
