/* SPDX-License-Identifier: MIT */
/* test_capability_broker.c - who holds what: grants, what is derived from them, their ends; and the same against a model. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(broker, .init = capability_begin);

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
    struct hx_capability_grant copy;
    uint32_t at = 0;
    cr_assert(hx_capability_next(&at, &alice, &copy) && copy.id == top && copy.holder == &alice && !copy.permanent);
    cr_assert(copy.granted_ns == now && copy.expires_ns == now + 1000);
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

/* ---- what is told ---------------------------------------------------------------------------------------------------- */

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
