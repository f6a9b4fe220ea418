/* SPDX-License-Identifier: MIT */
/* test_ledger.c - what is entered is released once, newest first. */
#include <criterion/criterion.h>
#include <gate/ledger.h>

static struct hx_ledger ledger;
static struct hx_ledger_node node[3];
static uint32_t order, released;

static void release(struct hx_ledger_node *released_node)
{
    order = order * 10 + (uint32_t)(released_node - node) + 1;
    released++;
}

/* Giving back one thing may give back another, or hold something new. */
static void release_another(struct hx_ledger_node *released_node)
{
    release(released_node);
    hx_ledger_strike(&ledger, &node[0]);
    hx_ledger_enter(&ledger, &node[2], "late", release);
}

Test(ledger, all_is_released_once_newest_first)
{
    hx_ledger_init(&ledger);
    for (uint32_t i = 0; i < 3; i++)
        hx_ledger_enter(&ledger, &node[i], "thing", release);
    cr_assert_eq(ledger.count, 3);
    hx_ledger_release_all(&ledger);
    cr_assert_eq(order, 321);
    cr_assert_eq(ledger.count, 0);
    hx_ledger_release_all(&ledger);
    cr_assert_eq(released, 3);
}

Test(ledger, what_is_struck_is_not_released)
{
    hx_ledger_init(&ledger);
    for (uint32_t i = 0; i < 3; i++)
        hx_ledger_enter(&ledger, &node[i], "thing", release);
    hx_ledger_strike(&ledger, &node[1]);
    cr_assert_eq(ledger.count, 2);
    hx_ledger_release_all(&ledger);
    cr_assert_eq(order, 31);
}

Test(ledger, releases_may_strike_and_enter)
{
    hx_ledger_init(&ledger);
    hx_ledger_enter(&ledger, &node[0], "thing", release);
    hx_ledger_enter(&ledger, &node[1], "thing", release_another);
    hx_ledger_release_all(&ledger);
    cr_assert_eq(order, 23);
    cr_assert_eq(ledger.count, 0);
}
