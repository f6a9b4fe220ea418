/* SPDX-License-Identifier: MIT */
/* test_capability.c - capabilities as values; the broker; each gateway, with every principal. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <debug/console.h>
#include <hal/hx_import.h>
#include <helix/kv.h>
#include <interrupts/router.h>
#include <ipc/channel.h>
#include <ipc/event_bus.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <module/export_needs.h>
#include <module/exports.h>
#include <orchestrator/capability_broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { R = HX_CAPABILITY_READ, W = HX_CAPABILITY_WRITE, X = HX_CAPABILITY_EXECUTE, G = HX_CAPABILITY_GRANT };

static struct hx_capability cap(uint32_t type, uint32_t rights, uint64_t first, uint64_t last, const char *path)
{
    struct hx_capability what = { .type = type, .rights = rights, .first = first, .last = last };
    snprintf(what.path, sizeof(what.path), "%s", path);
    return what;
}

#define PORTS(first, last) cap(HX_CAPABILITY_IO_PORT, 0, first, last, "")
#define PORTS_G(first, last) cap(HX_CAPABILITY_IO_PORT, G, first, last, "")

/* ---- values ---------------------------------------------------------------------------------------------------------- */

Test(capability, what_is_not_sound_is_found_out)
{
    const struct {
        struct hx_capability what;
        const char *fault;
    } rows[] = {
        { cap(HX_CAPABILITY_NONE, 0, 0, 0, ""), "no such type" },
        { cap(HX_CAPABILITY_TYPE_COUNT, 0, 0, 0, ""), "no such type" },
        { cap(UINT32_MAX, 0, 0, 0, ""), "no such type" },
        { cap(HX_CAPABILITY_IO_PORT, R, 1, 2, ""), "no such right" },
        { cap(HX_CAPABILITY_IO_PORT, 16, 1, 2, ""), "no such right" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R | X, 0, 0, "/a"), "no such right" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, G, 0, 0, "/a"), "gives no right" },
        { cap(HX_CAPABILITY_MEMORY, 0, 0, 5, ""), "gives no right" },
        { PORTS(2, 1), "ends before" },
        { cap(HX_CAPABILITY_MEMORY, R, 2, 1, ""), "ends before" },
        { PORTS(0, 0x10000), "out of range" },
        { cap(HX_CAPABILITY_INTERRUPT, 0, 0, 64, ""), "out of range" },
        { cap(HX_CAPABILITY_NETWORK, 0, 0, 0x10000, ""), "out of range" },
        { cap(HX_CAPABILITY_DEBUG, 0, 0, 1, ""), "no range" },
        { cap(HX_CAPABILITY_IPC, 0, 1, 1, "a"), "no range" },
        { cap(HX_CAPABILITY_DEBUG, 0, 0, 0, "a"), "no path" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, ""), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "etc"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc/"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc//a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "//"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc/../a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/.."), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/./a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a:b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a\x7f"), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "/a"), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "a."), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "a..b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/"), NULL },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R | W | G, 0, 0, "/..a/.b/a.b"), NULL },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, ""), NULL },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "hx.modules"), NULL },
        { cap(HX_CAPABILITY_MEMORY, X, 0, UINT64_MAX, ""), NULL },
        { PORTS(0, 0xffff), NULL },
        { cap(HX_CAPABILITY_INTERRUPT, 0, 63, 63, ""), NULL },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(rows); i++) {
        const char *fault = hx_capability_fault(&rows[i].what);
        cr_assert_eq(!fault, !rows[i].fault, "row %zu: %s", i, fault ? fault : "sound");
        cr_assert(!fault || strstr(fault, rows[i].fault), "row %zu: %s", i, fault);
    }
    struct hx_capability open_end = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/");
    memset(open_end.path + 1, 'a', sizeof(open_end.path) - 1);
    cr_assert_not_null(hx_capability_fault(&open_end));
}

Test(capability, a_path_covers_what_is_below_it_and_not_its_neighbours)
{
    const struct {
        uint32_t type;
        const char *prefix, *path;
        bool covers;
    } rows[] = {
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc/a", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etcetera", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/et", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc.d", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/", "/etc", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/", false },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv.get", true },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv/ch", true },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv2", false },
        { HX_CAPABILITY_IPC, "", "anything", true },
        { HX_CAPABILITY_IPC, "hx.a", "hx.b", false },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(rows); i++)
        cr_assert_eq(hx_capability_path_covers(rows[i].type, rows[i].prefix, rows[i].path), rows[i].covers, "row %zu",
                     i);
}

Test(capability, one_covers_another_by_type_rights_range_and_path)
{
    struct hx_capability a = cap(HX_CAPABILITY_MEMORY, R | W, 10, 20, ""), b = a;
    cr_assert(hx_capability_covers(&a, &b));
    b.rights = R | X;
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_MEMORY, R, 9, 20, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_MEMORY, R, 10, 21, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_IO_PORT, 0, 10, 20, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    a = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a");
    b = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/b");
    cr_assert_not(hx_capability_covers(&a, &b));
}

Test(capability, what_is_written_is_read_again)
{
    static const char *const texts[] = {
        "ports:0x70-0x71", "ports:0x70:g", "lines:8",       "memory:0x0-0xffffffffffffffff:rwx",
        "files:/etc:rw",   "files:/:rg",   "network:80-90", "modules",
        "system:g",        "debug",        "ipc",           "ipc:svc_echo:g",
        "ipc::g"
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(texts); i++) {
        struct hx_capability what;
        const char *why = NULL;
        char text[HX_CAPABILITY_TEXT_MAX];
        cr_assert_eq(hx_capability_parse(texts[i], &what, &why), HX_OK, "%s: %s", texts[i], why);
        hx_capability_text(&what, text);
        cr_assert_str_eq(text, texts[i]);
    }
    struct hx_capability long_one;
    const char *fault = NULL;
    char long_text[96] = "ipc:";
    memset(long_text + 4, 'a', HX_CAPABILITY_PATH_MAX - 1);
    cr_assert_eq(hx_capability_parse(long_text, &long_one, &fault), HX_OK, "%s", fault);
    cr_assert_eq(strlen(long_one.path), HX_CAPABILITY_PATH_MAX - 1);
    long_text[strlen(long_text)] = 'a';
    cr_assert_eq(hx_capability_parse(long_text, &long_one, &fault), HX_E_INVAL);
    struct hx_capability longest = cap(HX_CAPABILITY_FILE_SYSTEM, R | W | G, 0, 0, "/");
    memset(longest.path + 1, 'a', sizeof(longest.path) - 2);
    char text[HX_CAPABILITY_TEXT_MAX];
    hx_capability_text(&longest, text);
    cr_assert_str_eq(text + strlen(text) - 4, ":rwg");
}

Test(capability, what_is_not_written_so_is_refused)
{
    static const char *const texts[] = { "",
                                         "port:1",
                                         "none",
                                         "ports",
                                         "ports:",
                                         "ports:0x",
                                         "ports:1-",
                                         "ports:1-0",
                                         "ports:1:z",
                                         "ports:1;",
                                         "portsx:1",
                                         "modules:1",
                                         "debug:0",
                                         "files",
                                         "files:etc:r",
                                         "files:/etc",
                                         "lines:99999999999999999999",
                                         "lines:64",
                                         "ipc:a:g:g",
                                         "ipc:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(texts); i++) {
        struct hx_capability what = { .type = 77 };
        const char *why = NULL;
        cr_assert_eq(hx_capability_parse(texts[i], &what, &why), HX_E_INVAL, "%s", texts[i]);
        cr_assert_not_null(why);
        cr_assert_eq(what.type, 77, "written on refusal");
    }
}

/* ---- the broker ------------------------------------------------------------------------------------------------------ */

static struct hx_principal alice, bob, carol;
static struct hx_capability_refusal refusal;
static hx_handle_t id;

/* Three who are no modules, so that only a policy of the test's refuses. */
static void begin(void)
{
    world_begin(1000);
    hal_host_clock_step(0);
    alice = (struct hx_principal){ .name = "alice", .kind = HX_PRINCIPAL_CONSOLE };
    bob = (struct hx_principal){ .name = "bob", .kind = HX_PRINCIPAL_CONSOLE };
    carol = (struct hx_principal){ .name = "carol", .kind = HX_PRINCIPAL_CONSOLE };
}

TestSuite(broker, .init = begin);

static hx_status_t grant(struct hx_principal *to, struct hx_capability what, uint64_t expires_ns)
{
    return hx_capability_grant(&hx_kernel_principal, to, &what, expires_ns, &id, &refusal);
}

static hx_status_t derive(struct hx_principal *by, hx_handle_t from, struct hx_principal *to, struct hx_capability what,
                          uint64_t expires_ns)
{
    return hx_capability_derive(by, from, to, &what, expires_ns, &id, &refusal);
}

static hx_status_t transfer(struct hx_principal *by, hx_handle_t from, struct hx_principal *to)
{
    return hx_capability_transfer(by, from, to, &id, &refusal);
}

static hx_status_t port(struct hx_principal *principal, uint64_t first, uint64_t last)
{
    return hx_capability_check(principal, HX_CAPABILITY_IO_PORT, 0, first, last);
}

static uint32_t held(const struct hx_principal *holder)
{
    struct hx_capability_grant copy;
    uint32_t count = 0;
    for (uint32_t at = 0; hx_capability_next(&at, holder, &copy);)
        count++;
    return count;
}

Test(broker, nobody_may_anything_before_he_is_granted_it)
{
    for (uint32_t type = 1; type < HX_CAPABILITY_TYPE_COUNT; type++) {
        cr_assert_eq(hx_capability_check(&alice, type, 0, 0, 0), HX_E_PERM, "%u", type);
        cr_assert_eq(hx_capability_check(NULL, type, 0, 0, 0), HX_E_PERM);
        cr_assert_eq(hx_capability_check(&hx_kernel_principal, type, 0, 0, 0), HX_OK);
        cr_assert_eq(hx_capability_check(&hx_console_principal, type, 0, 0, 0), HX_OK);
    }
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_IPC, 0, "a"), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(NULL, HX_CAPABILITY_IPC, 0, "a"), HX_E_PERM);
    cr_assert_eq(hx_capability_check(&alice, HX_CAPABILITY_NONE, 0, 0, 0), HX_OK, "what needs nothing is everybody's");
    cr_assert_eq(hx_capability_check(&hx_kernel_principal, HX_CAPABILITY_TYPE_COUNT, 0, 0, 0), HX_E_PERM);
    cr_assert_eq(hx_capability_check(&hx_kernel_principal, 35, 0, 0, 0), HX_E_PERM, "no shift wraps");
    cr_assert_eq(alice.denied, HX_CAPABILITY_TYPE_COUNT);
}

Test(broker, a_grant_lets_its_holder_do_that_much_and_no_more)
{
    cr_assert_eq(grant(&alice, PORTS(0x70, 0x71), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(port(&alice, 0x70, 0x71), HX_OK);
    cr_assert_eq(port(&alice, 0x71, 0x71), HX_OK);
    cr_assert_eq(port(&alice, 0x6f, 0x70), HX_E_PERM);
    cr_assert_eq(port(&alice, 0x71, 0x72), HX_E_PERM);
    cr_assert_eq(port(&alice, 0x72, 0x6f), HX_E_INVAL);
    cr_assert_eq(port(&bob, 0x70, 0x70), HX_E_PERM);
    cr_assert_eq(hx_capability_check(&alice, HX_CAPABILITY_INTERRUPT, 0, 0x70, 0x70), HX_E_PERM);
    cr_assert_eq(alice.denied_type, HX_CAPABILITY_INTERRUPT);
    cr_assert_eq(alice.denied_first, 0x70);
    cr_assert_eq(grant(&alice, cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc"), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_FILE_SYSTEM, R, "/etc/a"), HX_OK);
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_FILE_SYSTEM, W, "/etc/a"), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_FILE_SYSTEM, R, "/etcetera"), HX_E_PERM);
}

Test(broker, what_is_not_sound_is_not_granted)
{
    cr_assert_eq(grant(&alice, PORTS(2, 1), HX_CAPABILITY_NEVER), HX_E_INVAL);
    cr_assert(strstr(refusal.why, "ends before"), "%s", refusal.why);
    cr_assert_eq(grant(&alice, PORTS_G(1, 1), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(derive(&alice, id, &bob, PORTS(1, 0), HX_CAPABILITY_NEVER), HX_E_INVAL);
    cr_assert_eq(held(&bob), 0);
}

Test(broker, what_is_derived_covers_no_more_and_needs_the_right_to_pass_on)
{
    cr_assert_eq(grant(&alice, PORTS_G(0x60, 0x6f), HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t top = id;
    cr_assert_eq(derive(&alice, top, &bob, PORTS(0x5f, 0x60), HX_CAPABILITY_NEVER), HX_E_PERM);
    cr_assert_eq(derive(&alice, top, &bob, PORTS(0x60, 0x64), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(port(&bob, 0x64, 0x64), HX_OK);
    cr_assert_eq(derive(&bob, id, &carol, PORTS(0x60, 0x60), HX_CAPABILITY_NEVER), HX_E_PERM, "no right to");
    cr_assert_eq(derive(&bob, top, &carol, PORTS(0x60, 0x60), HX_CAPABILITY_NEVER), HX_E_STALE, "not his");
    struct hx_capability what = PORTS(0x60, 0x60);
    cr_assert_eq(hx_capability_grant(&bob, &carol, &what, HX_CAPABILITY_NEVER, &id, &refusal), HX_E_PERM);
    cr_assert_eq(hx_capability_grant(&alice, &carol, &what, HX_CAPABILITY_NEVER, &id, &refusal), HX_OK);
    cr_assert_eq(derive(&alice, 0, &bob, what, HX_CAPABILITY_NEVER), HX_E_STALE);
    cr_assert_eq(derive(&alice, UINT64_MAX, &bob, what, HX_CAPABILITY_NEVER), HX_E_STALE);
}

Test(broker, revoking_ends_the_whole_tree_below)
{
    cr_assert_eq(grant(&alice, PORTS_G(0x60, 0x6f), HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t top = id, first, second;
    cr_assert_eq(derive(&alice, top, &bob, PORTS_G(0x60, 0x64), HX_CAPABILITY_NEVER), HX_OK);
    first = id;
    cr_assert_eq(derive(&bob, first, &carol, PORTS_G(0x61, 0x61), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(derive(&carol, id, &bob, PORTS(0x61, 0x61), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(derive(&alice, top, &carol, PORTS(0x6f, 0x6f), HX_CAPABILITY_NEVER), HX_OK);
    second = id;
    cr_assert_eq(hx_capability_revoke(&carol, first), HX_E_PERM, "it does not come from hers");
    cr_assert_eq(hx_capability_revoke(&alice, first), HX_OK);
    cr_assert_eq(held(&bob), 0);
    cr_assert_eq(held(&carol), 1);
    cr_assert_eq(port(&carol, 0x61, 0x61), HX_E_PERM);
    cr_assert_eq(port(&carol, 0x6f, 0x6f), HX_OK);
    cr_assert_eq(hx_capability_revoke(&alice, first), HX_E_STALE);
    cr_assert_eq(hx_capability_revoke(&carol, second), HX_OK, "one's own");
    cr_assert_eq(bob.count + carol.count, 0);
    cr_assert_eq(alice.count, 1);
}

Test(broker, what_the_kernel_and_the_console_hold_is_for_good)
{
    struct hx_capability_grant copy;
    for (uint32_t at = 0; hx_capability_next(&at, NULL, &copy);) {
        cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, copy.id), HX_E_NOT_REVOCABLE);
        cr_assert_eq(transfer(copy.holder, copy.id, &alice), HX_E_NOT_REVOCABLE);
    }
    cr_assert_eq(held(&hx_kernel_principal), HX_CAPABILITY_TYPE_COUNT - 1);
    cr_assert_eq(held(&hx_console_principal), HX_CAPABILITY_TYPE_COUNT - 1);
}

Test(broker, a_transfer_takes_from_one_what_it_gives_the_other)
{
    cr_assert_eq(grant(&alice, PORTS_G(0x60, 0x6f), HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t old = id, child;
    cr_assert_eq(derive(&alice, old, &carol, PORTS(0x60, 0x60), HX_CAPABILITY_NEVER), HX_OK);
    child = id;
    cr_assert_eq(transfer(&bob, old, &bob), HX_E_STALE, "not his");
    cr_assert_eq(transfer(&carol, child, &bob), HX_E_PERM, "no right to");
    cr_assert_eq(transfer(&alice, old, &bob), HX_OK);
    cr_assert_neq(id, old);
    cr_assert_eq(port(&alice, 0x60, 0x60), HX_E_PERM);
    cr_assert_eq(port(&bob, 0x60, 0x60), HX_OK);
    cr_assert_eq(transfer(&alice, old, &carol), HX_E_STALE);
    cr_assert_eq(hx_capability_revoke(&bob, id), HX_OK);
    cr_assert_eq(held(&carol), 0, "the child goes with it");
}

Test(broker, a_grant_ends_with_its_time)
{
    uint64_t now = hx_hal_clock_ns();
    cr_assert_eq(hx_capability_expiry(5, 7), 12);
    cr_assert_eq(hx_capability_expiry(5, UINT64_MAX - 5), HX_CAPABILITY_NEVER);
    cr_assert_eq(hx_capability_expiry(5, UINT64_MAX), HX_CAPABILITY_NEVER);
    cr_assert_eq(grant(&alice, PORTS_G(1, 9), now), HX_E_EXPIRED, "it would be over at once");
    cr_assert_eq(grant(&alice, PORTS_G(1, 9), now + 1000), HX_OK);
    hx_handle_t top = id;
    cr_assert_eq(derive(&alice, top, &bob, PORTS_G(1, 2), HX_CAPABILITY_NEVER), HX_OK);
    hx_handle_t below = id;
    hal_host_advance(999);
    cr_assert_eq(port(&alice, 1, 1), HX_OK);
    hal_host_advance(1);
    cr_assert_eq(port(&alice, 1, 1), HX_E_EXPIRED);
    cr_assert_eq(port(&bob, 1, 1), HX_E_EXPIRED, "it lasts no longer than what it comes from");
    cr_assert_eq(port(&bob, 3, 3), HX_E_PERM);
    cr_assert_eq(derive(&bob, below, &carol, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_E_EXPIRED);
    cr_assert_eq(derive(&bob, below, &carol, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_E_STALE);
    cr_assert_eq(transfer(&alice, top, &carol), HX_E_EXPIRED);
    cr_assert_eq(held(&alice) + held(&bob), 0);
    cr_assert_eq(grant(&alice, cap(HX_CAPABILITY_IPC, 0, 0, 0, "a"), hx_hal_clock_ns() + 10), HX_OK);
    hal_host_advance(10);
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_IPC, 0, "a.b"), HX_E_EXPIRED);
    hx_capability_purge();
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_IPC, 0, "a.b"), HX_E_PERM);
    cr_assert_eq(held(&alice), 0);
}

Test(broker, a_new_grant_sweeps_out_what_is_over)
{
    cr_assert_eq(grant(&alice, PORTS(1, 9), hx_hal_clock_ns() + 10), HX_OK);
    hal_host_advance(10);
    cr_assert_eq(grant(&bob, PORTS(1, 9), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(held(&alice), 0);
}

static char asked[8];

static const char *refuse_low(const struct hx_capability *what, const struct hx_principal *principal)
{
    (void)principal;
    strcat(asked, "l");
    return what->first < 10 ? "it is low" : NULL;
}

static const char *refuse_carol(const struct hx_capability *what, const struct hx_principal *principal)
{
    (void)what;
    strcat(asked, "c");
    return principal == &carol ? "it is carol" : NULL;
}

Test(broker, policies_are_asked_in_order_until_one_refuses)
{
    static struct hx_capability_policy low = { "low", refuse_low, NULL },
                                       not_carol = { "not-carol", refuse_carol, NULL };
    cr_assert_eq(hx_capability_add_policy(&low), HX_OK);
    cr_assert_eq(hx_capability_add_policy(&not_carol), HX_OK);
    cr_assert_eq(hx_capability_add_policy(&low), HX_E_ALREADY);
    cr_assert_eq(hx_capability_add_policy(&not_carol), HX_E_ALREADY);
    cr_assert_eq(grant(&carol, PORTS(5, 5), HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_str_eq(asked, "l");
    cr_assert_str_eq(refusal.policy, "low");
    cr_assert_str_eq(refusal.why, "it is low");
    cr_assert_eq(grant(&carol, PORTS(15, 15), HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_str_eq(asked, "llc");
    cr_assert_eq(grant(&bob, PORTS_G(15, 15), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(transfer(&bob, id, &carol), HX_E_POLICY);
    cr_assert_eq(port(&bob, 15, 15), HX_OK, "it stays with him");
}

Test(broker, the_table_has_an_end_and_all_of_it_comes_back)
{
    uint32_t before = held(NULL);
    for (uint32_t round = 0; round < 3; round++) {
        cr_assert_eq(grant(&alice, PORTS_G(1, 9), HX_CAPABILITY_NEVER), HX_OK);
        hx_handle_t top = id;
        for (uint32_t i = before + 1; i < HX_CAPABILITY_GRANTS_MAX; i++)
            cr_assert_eq(derive(&alice, top, &bob, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_OK);
        cr_assert_eq(derive(&alice, top, &bob, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_E_LIMIT);
        cr_assert_eq(grant(&alice, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_E_LIMIT);
        cr_assert_eq(hx_capability_revoke(&alice, top), HX_OK);
        cr_assert_eq(held(NULL), before);
    }
}

/* ---- against a model: a list of grants, each with the place of its parent -------------------------------------------- */

enum { MODEL_MAX = 4096, PRINCIPALS = 3, STEPS = 30000 };

static struct model {
    hx_handle_t id;
    int parent; /* -1: the kernel's */
    int holder;
    struct hx_capability what;
    uint64_t expires_ns;
    bool live;
} model[MODEL_MAX];
static int modelled;
static struct hx_principal *const who[PRINCIPALS] = { &alice, &bob, &carol };

static bool model_over(int i)
{
    return model[i].expires_ns <= hx_hal_clock_ns();
}

static void model_end(int top)
{
    model[top].live = false;
    for (int i = top + 1; i < modelled; i++) /* children come after their parents */
        if (model[i].parent >= 0 && !model[model[i].parent].live)
            model[i].live = false;
}

static void model_purge(void)
{
    for (int i = 0; i < modelled; i++)
        if (model[i].live && model_over(i))
            model_end(i);
}

static void model_add(int parent, int holder, struct hx_capability what, uint64_t expires_ns)
{
    uint64_t most = parent >= 0 && model[parent].expires_ns < expires_ns ? model[parent].expires_ns : expires_ns;
    model[modelled++] = (struct model){ id, parent, holder, what, most, true };
}

static hx_status_t model_find(int i, int by)
{
    if (!model[i].live || model[i].holder != by)
        return HX_E_STALE;
    if (!model_over(i))
        return HX_OK;
    model_end(i);
    return HX_E_EXPIRED;
}

static hx_status_t model_check(int by, uint64_t first, uint64_t last)
{
    hx_status_t err = HX_E_PERM;
    for (int i = 0; i < modelled; i++)
        if (model[i].live && model[i].holder == by && model[i].what.first <= first && last <= model[i].what.last) {
            if (!model_over(i))
                return HX_OK;
            err = HX_E_EXPIRED;
        }
    return err;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)rand() % n;
}

static void random_step(void)
{
    int by = (int)below(PRINCIPALS), to = (int)below(PRINCIPALS), i = modelled ? (int)below((uint32_t)modelled) : -1;
    if (modelled > 40 && below(4))
        i = modelled - 1 - (int)below(40);
    uint64_t first = below(16), last = first + below(8);
    uint64_t expires_ns = below(3) ? HX_CAPABILITY_NEVER : hx_hal_clock_ns() + 1 + below(200);
    struct hx_capability what = below(3) ? PORTS_G(first, last) : PORTS(first, last);
    hx_status_t expected = HX_OK;
    if (i >= 0 && below(4))
        by = model[i].holder;
    switch (i < 0 ? 0 : below(7)) {
    case 0:
        if (held(NULL) > HX_CAPABILITY_GRANTS_MAX - 10)
            return;
        cr_assert_eq(grant(who[to], what, expires_ns), HX_OK);
        model_purge();
        model_add(-1, to, what, expires_ns);
        break;
    case 1:
    case 2:
        if (held(NULL) > HX_CAPABILITY_GRANTS_MAX - 10)
            return;
        expected = model_find(i, by);
        if (expected == HX_OK && (!(model[i].what.rights & G) || !hx_capability_covers(&model[i].what, &what)))
            expected = HX_E_PERM;
        cr_assert_eq(derive(who[by], model[i].id, who[to], what, expires_ns), expected);
        if (expected == HX_OK)
            model_add(i, to, what, expires_ns);
        break;
    case 3:
        expected = model_find(i, by);
        if (expected == HX_OK && !(model[i].what.rights & G) &&
            (model[i].parent < 0 || model[model[i].parent].holder != by))
            expected = HX_E_PERM;
        cr_assert_eq(transfer(who[by], model[i].id, who[to]), expected);
        if (expected == HX_OK) {
            model[i].id = id;
            model[i].holder = to;
        }
        break;
    case 4:
        expected = model[i].live ? HX_E_PERM : HX_E_STALE;
        for (int above = i; model[i].live && above >= 0; above = model[above].parent)
            if (model[above].holder == by)
                expected = HX_OK;
        cr_assert_eq(hx_capability_revoke(who[by], model[i].id), expected);
        if (expected == HX_OK)
            model_end(i);
        break;
    case 5: hal_host_advance(below(20)); break;
    default:
        hx_capability_purge();
        model_purge();
        break;
    }
}

Test(broker, thirty_thousand_random_steps_agree_with_a_simple_model)
{
    srand(7);
    uint32_t before = held(NULL);
    for (uint32_t step = 0; step < STEPS && modelled < MODEL_MAX - 1; step++) {
        random_step();
        int by = (int)below(PRINCIPALS);
        uint64_t first = below(16), last = first + below(4);
        cr_assert_eq(port(who[by], first, last), model_check(by, first, last), "step %u", step);
        uint32_t live = 0;
        for (int i = 0; i < modelled; i++)
            live += model[i].live;
        cr_assert_eq(held(NULL), before + live, "step %u", step);
        cr_assert_eq(alice.count + bob.count + carol.count, live);
    }
}

/* ---- modules --------------------------------------------------------------------------------------------------------- */

static void begin_modules(void)
{
    begin();
    hx_console_set_color(false);
}

TestSuite(module_capability, .init = begin_modules);

static struct hx_job job;

static struct hx_principal *principal_of(const char *module)
{
    return hx_module_find(module)->principal;
}

Test(module_capability, a_module_holds_what_it_declares_and_loses_it_with_its_end)
{
    uint32_t before = held(NULL);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(world_unload("good_minimal", NULL), HX_OK);
    struct census census = world_census();
    cr_assert_eq(world_load("caps_asks.hxm", &job), HX_OK, "%s", job.report.message);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(principal->count, 2, "what is optional is not given");
    cr_assert_eq(port(principal, 0x70, 0x71), HX_OK);
    cr_assert_eq(port(principal, 0x72, 0x72), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "svc_echo.x"), HX_OK);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "svc_kv"), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "caps_asks.topic"), HX_OK, "its own");
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "caps_asks2"), HX_E_PERM);
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(held(NULL), before);
    ASSERT_CENSUS(census);
}

Test(module_capability, the_owner_may_grant_what_a_module_asks_for_and_nothing_else)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    struct hx_capability what = cap(HX_CAPABILITY_DEBUG, G, 0, 0, "");
    cr_assert_eq(hx_capability_grant(&hx_console_principal, principal, &what, HX_CAPABILITY_NEVER, &id, &refusal),
                 HX_OK);
    what = cap(HX_CAPABILITY_NETWORK, 0, 85, 91, "");
    cr_assert_eq(hx_capability_grant(&hx_console_principal, principal, &what, HX_CAPABILITY_NEVER, &id, &refusal),
                 HX_E_POLICY);
    cr_assert_str_eq(refusal.policy, "manifest");
    what = cap(HX_CAPABILITY_MODULES, 0, 0, 0, "");
    cr_assert_eq(grant(principal, what, HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_eq(grant(principal, PORTS(0x3f8, 0x3f8), HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_str_eq(refusal.policy, "devices");
}

Test(module_capability, what_a_module_passes_on_ends_with_it)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_NETWORK, G, 80, 90, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(derive(principal, id, &alice, cap(HX_CAPABILITY_NETWORK, 0, 80, 80, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(held(&alice), 1);
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(held(&alice), 0);
}

Test(module_capability, a_version_that_asks_for_less_ends_what_it_does_not_ask_for)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_DEBUG, 0, 0, 0, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(world_reload("caps_asks", "caps_asks_less.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(principal->count, 4, "the old one may come back");
    hal_host_advance(2000000000);
    cr_assert_eq(principal_of("caps_asks"), principal);
    cr_assert_eq(principal->count, 1);
    cr_assert_eq(port(principal, 0x70, 0x71), HX_OK);
    cr_assert_eq(world_reload("caps_asks", "caps_asks.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(principal->count, 3);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caps_asks", &job), HX_OK);
    cr_assert_eq(principal->count, 1, "it came with the version that is gone again");
}

Test(module_capability, an_import_that_was_not_asked_for_is_refused_by_name)
{
    struct census census = world_census();
    cr_assert_eq(world_load("caps_imports.hxm", &job), HX_E_PERM);
    cr_assert_str_eq(job.report.step, "link");
    cr_assert_str_eq(job.report.subject, "hx_port_read8");
    cr_assert(strstr(job.report.message, "type ports; declare it with HX_PORTS"), "%s", job.report.message);
    ASSERT_CENSUS(census);
}

Test(module_capability, the_kernels_own_devices_are_refused_with_the_reason)
{
    uint32_t before = held(NULL);
    struct census census = world_census();
    cr_assert_eq(world_load("caps_console.hxm", &job), HX_E_POLICY);
    cr_assert(strstr(job.report.message, "ports:0x300-0x3f8, which no module may have: it is the kernel's console"),
              "%s", job.report.message);
    cr_assert_eq(held(NULL), before);
    ASSERT_CENSUS(census);
}

Test(module_capability, a_broken_record_is_refused)
{
    cr_assert_eq(world_load("caps_broken.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.report.message, "type network: it ends before it begins"), "%s", job.report.message);
    cr_assert_eq(world_load("caps_flags.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.report.message, "broken capability record 0, type network: "), "%s", job.report.message);
}

/* No module: it has asked for nothing, so that what the first policy lets pass is refused by the second. */
static const char *refusing(uint32_t type, uint64_t at)
{
    struct hx_principal module = { .name = "module", .kind = HX_PRINCIPAL_MODULE };
    cr_assert_eq(grant(&module, cap(type, 0, at, at, ""), HX_CAPABILITY_NEVER), HX_E_POLICY);
    return refusal.policy;
}

Test(module_capability, exactly_the_kernels_own_devices_are_reserved)
{
    static const struct {
        uint32_t type;
        uint64_t first, last;
    } own[] = { { HX_CAPABILITY_IO_PORT, 0x20, 0x21 },   { HX_CAPABILITY_IO_PORT, 0x40, 0x43 },
                { HX_CAPABILITY_IO_PORT, 0xa0, 0xa1 },   { HX_CAPABILITY_IO_PORT, 0xf4, 0xf4 },
                { HX_CAPABILITY_IO_PORT, 0x2f8, 0x2ff }, { HX_CAPABILITY_IO_PORT, 0x3f8, 0x3ff },
                { HX_CAPABILITY_IO_PORT, 0xcf8, 0xcff }, { HX_CAPABILITY_INTERRUPT, 0, 0 },
                { HX_CAPABILITY_INTERRUPT, 2, 2 },       { HX_CAPABILITY_INTERRUPT, 3, 3 },
                { HX_CAPABILITY_INTERRUPT, 4, 4 } };
    for (uint32_t type = HX_CAPABILITY_IO_PORT; type <= HX_CAPABILITY_INTERRUPT; type++)
        for (uint64_t at = 0; at <= (type == HX_CAPABILITY_IO_PORT ? 0x1000 : 63); at++) {
            bool reserved = false;
            for (size_t i = 0; i < HX_ARRAY_SIZE(own); i++)
                reserved = reserved || (own[i].type == type && at >= own[i].first && at <= own[i].last);
            cr_assert_str_eq(refusing(type, at), reserved ? "devices" : "manifest", "%u 0x%lx", type, at);
        }
}

static uint32_t written;

static void write_port(uint16_t number, uint8_t value)
{
    (void)number, (void)value;
    written++;
}

static uint8_t read_port(uint16_t number)
{
    return (uint8_t)number;
}

static hx_ret_t ask_port(uint16_t number)
{
    uint8_t bytes[256];
    return hx_kv_get("k", 1, bytes, number - 1u);
}

static hx_status_t use_ports(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_asks");
    struct hx_capability_grant copy;
    uint8_t bytes[0x6f] = { 0 };
    uint32_t at = 0;
    cr_assert_eq(ask_port(0x71), 0x71);
    cr_assert_eq(ask_port(0x72), HX_E_PERM);
    cr_assert_eq(hx_kv_put("k", 1, "", 0), HX_E_PERM);
    cr_assert_eq(written, 0);
    cr_assert_eq(hx_kv_put("k", 1, bytes, 0x6f), HX_OK);
    cr_assert_eq(written, 1);
    do
        cr_assert(hx_capability_next(&at, principal, &copy));
    while (copy.what.type != HX_CAPABILITY_IO_PORT);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, copy.id), HX_OK);
    cr_assert_eq(ask_port(0x71), HX_E_PERM);
    cr_assert_eq(grant(principal, PORTS(0x71, 0x71), hx_hal_clock_ns() + 100), HX_OK);
    cr_assert_eq(ask_port(0x71), 0x71);
    cr_assert_eq(ask_port(0x70), HX_E_PERM);
    hal_host_advance(100);
    cr_assert_eq(ask_port(0x71), HX_E_EXPIRED);
    return HX_OK;
}

Test(module_capability, a_port_is_checked_each_time_it_is_used)
{
    hal_host_port_read = read_port;
    hal_host_port_write = write_port;
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(use_ports, NULL), HX_OK);
}

Test(module_capability, a_line_without_a_capability_is_not_claimed)
{
    struct hx_irq_record record = { .key = "key", .line = 9 };
    struct hx_version version = { .irqs = &record, .irqs_count = 1 };
    struct hx_report why;
    hx_report_init(&why);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(hx_irq_claim_all(hx_module_find("good_minimal"), &version, &why), HX_E_PERM);
    cr_assert(strstr(why.message, "holds no capability"), "%s", why.message);
}

static hx_status_t load_until_nothing_fails(void *unused)
{
    (void)unused;
    uint32_t before = held(NULL), failures = 0;
    for (uint64_t nth = 1;; nth++, failures++) {
        job = (struct hx_job){ .kind = HX_JOB_LOAD, .params = "", .who = "test", .by = &hx_kernel_principal };
        job.file = world_file("caps_asks.hxm");
        struct census census = world_census();
        hal_host_fail_at(nth);
        hx_status_t err = hx_engine_run(&job);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_eq(err, HX_OK);
            cr_assert_gt(failures, 5);
            return HX_OK;
        }
        cr_assert_eq(err, HX_E_NOMEM, "%lu: %s", nth, job.report.message);
        cr_assert_eq(held(NULL), before);
        ASSERT_CENSUS(census);
    }
}

Test(module_capability, whatever_allocation_fails_nothing_is_left)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK); /* what is made once */
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(world_run(load_until_nothing_fails, NULL), HX_OK);
}

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
                                                                 "ipc" };
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

#define EXPORT_NUMBER(name, ...) NUMBER_##name,
enum { NO_EXPORT, HX_EXPORTS(EXPORT_NUMBER) };

struct call {
    uint64_t export, argument[5];
};

static hx_ret_t call(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    struct call call = { number - 1, { a, b, c, d, e } };
    uint8_t nothing[1];
    return hx_kv_get(&call, sizeof(call), nothing, sizeof(nothing));
}
#define CALL(name, a, b, c, d, e)                                                                                      \
    call(NUMBER_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))

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

static struct hx_topic *test_topic;

static void load_caller(void)
{
    hal_host_port_read = read_port;
    hal_host_port_write = write_port;
    cr_assert_eq(hx_topic_create("test.caps", &hx_kernel_holder, &test_topic), HX_OK);
    cr_assert_eq(world_load("svc_echo.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("caps_calls.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(module_capability, every_principal_may_call_the_exports_that_the_matrix_says)
{
    for (uint32_t which = 0; which <= EVERYTHING; which++)
        make_principal(which, &principals[which]);
    load_caller();
    cr_assert_eq(world_run(call_everything, NULL), HX_OK);
}

/* The grant of type @type of @principal's. */
static struct hx_capability_grant grant_of(const struct hx_principal *principal, uint32_t type, const char *path)
{
    struct hx_capability_grant copy = { 0 };
    for (uint32_t at = 0; hx_capability_next(&at, principal, &copy);)
        if (copy.what.type == type && strcmp(copy.what.path, path) == 0)
            return copy;
    cr_assert_fail("no such grant");
    return copy;
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

/* ---- in messages ------------------------------------------------------------------------------------------------------ */

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

static char tale[128];

static void tell(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type, uint64_t first)
{
    size_t used = strlen(tale);
    snprintf(tale + used, sizeof(tale) - used, "%s%s %c %s %lx", used ? "; " : "", principal->name, "GRXD"[what],
             hx_capability_type_name(type), (unsigned long)first);
}

static void expect_tale(const char *expected)
{
    cr_assert_str_eq(tale, expected);
    tale[0] = '\0';
}

Test(broker, what_happens_is_told)
{
    hx_capability_bind(tell);
    cr_assert_eq(grant(&alice, PORTS_G(0x60, 0x6f), hx_hal_clock_ns() + 100), HX_OK);
    expect_tale("alice G ports 60");
    cr_assert_eq(derive(&alice, id, &bob, PORTS_G(0x61, 0x61), HX_CAPABILITY_NEVER), HX_OK);
    expect_tale("bob G ports 61");
    cr_assert_eq(transfer(&bob, id, &carol), HX_OK);
    expect_tale("carol G ports 61");
    cr_assert_eq(port(&bob, 0x61, 0x61), HX_E_PERM);
    expect_tale("bob D ports 61");
    cr_assert_eq(hx_capability_revoke(&alice, id), HX_OK);
    expect_tale("carol R ports 0");
    hal_host_advance(100);
    cr_assert_eq(port(&alice, 0x61, 0x61), HX_E_EXPIRED);
    expect_tale("alice X ports 61");
}

Test(broker, with_warnings_alone_what_is_denied_is_told_and_done)
{
    static struct hx_capability_policy not_carol = { "not-carol", refuse_carol, NULL };
    hx_capability_bind(tell);
    hx_capability_warns = true;
    cr_assert_eq(hx_capability_add_policy(&not_carol), HX_OK);
    cr_assert_eq(port(&alice, 1, 1), HX_OK);
    cr_assert_eq(hx_capability_check_path(&alice, HX_CAPABILITY_IPC, 0, "a"), HX_OK);
    cr_assert_eq(alice.denied, 2);
    expect_tale("alice D ports 1; alice D ipc 0");
    cr_assert_eq(port(NULL, 1, 1), HX_E_PERM, "nobody is nobody");
    cr_assert_eq(port(&alice, 2, 1), HX_E_INVAL);
    cr_assert_eq(grant(&carol, PORTS(1, 1), HX_CAPABILITY_NEVER), HX_OK);
    expect_tale("carol D ports 1; carol G ports 1");
}

/* ---- the console's words --------------------------------------------------------------------------------------------- */

static hx_status_t run_line(void *line)
{
    return hx_command_run(hx_command_table, line);
}

static hx_status_t run(const char *text)
{
    char line[256];
    snprintf(line, sizeof(line), "%s", text);
    hal_host_console_clear();
    return world_run(run_line, line);
}

static void expect(const char *text)
{
    cr_assert_not_null(strstr(hal_host_console(), text), "`%s' is not in: %s", text, hal_host_console());
}

Test(module_capability, caps_lists_grants_and_what_was_denied)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(port(principal_of("caps_asks"), 0x99, 0x99), HX_E_PERM);
    cr_assert_eq(run("caps"), HX_OK);
    expect("caps_asks        ports:0x70-0x71                never        declared");
    expect("ipc:svc_echo");
    cr_assert_null(strstr(hal_host_console(), "for good"));
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    expect("denied 1 times, last ports 0x99");
    cr_assert_eq(run("caps console"), HX_OK);
    expect("console          modules:g                      never        for good");
    cr_assert_eq(run("caps nobody"), HX_E_NOENT);
    expect("no such module");
    cr_assert_eq(run("caps a b"), HX_E_INVAL);
}

Test(module_capability, grant_and_revoke_do_as_they_say)
{
    char line[64], text[24];
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(run("grant caps_asks debug --for 2"), HX_OK);
    const char *granted = strstr(hal_host_console(), "granted ");
    cr_assert_not_null(granted);
    cr_assert_eq(sscanf(granted, "granted %23s debug to caps_asks", text), 1);
    cr_assert_eq(hx_capability_check(principal_of("caps_asks"), HX_CAPABILITY_DEBUG, 0, 0, 0), HX_OK);
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    expect("debug                          2 s          granted");
    snprintf(line, sizeof(line), "revoke %s", text);
    cr_assert_eq(run(line), HX_OK);
    expect("revoked");
    cr_assert_eq(run(line), HX_E_STALE);
    cr_assert_eq(run("grant caps_asks debug --for 1"), HX_OK);
    hal_host_advance(1000000001);
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    cr_assert_null(strstr(hal_host_console(), "debug"));
}

Test(module_capability, what_cannot_be_granted_is_refused_with_what_to_do)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(run("grant caps_asks modules"), HX_E_POLICY);
    expect("policy: manifest: it does not ask for that");
    cr_assert_eq(run("grant caps_asks ports:0x3f8"), HX_E_POLICY);
    expect("policy: devices: it is the kernel's console");
    cr_assert_eq(run("grant caps_asks ports:9-8"), HX_E_INVAL);
    expect("it ends before it begins");
    cr_assert_eq(run("grant caps_asks nonsense"), HX_E_INVAL);
    cr_assert_eq(run("grant caps_asks debug --for 0"), HX_E_INVAL);
    cr_assert_eq(run("grant caps_asks debug --to 5"), HX_E_INVAL);
    cr_assert_eq(run("grant nobody debug"), HX_E_NOENT);
    cr_assert_eq(run("revoke x"), HX_E_INVAL);
    cr_assert_eq(run("revoke 3"), HX_E_INVAL);
    cr_assert_eq(run("revoke 400.1"), HX_E_STALE);
    cr_assert_eq(run("revoke 0.1"), HX_E_NOT_REVOCABLE);
}
