/* SPDX-License-Identifier: MIT */
/* test_interface.c - definitions of interfaces: which lists are lists, who agrees with whom, what goes with whom. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LIST(text) hx_slice_of(text, sizeof(text))

Test(interface, a_list_of_operations_is_whole_or_refused)
{
    cr_assert_eq(hx_ops_count(LIST("")), 0);
    cr_assert_eq(hx_ops_count(LIST("a()\0b(x)\0")), 2);
    cr_assert_eq(hx_ops_count(hx_slice_of("a()", 3)), HX_E_FORMAT, "no end");
    cr_assert_eq(hx_ops_count(hx_slice_of("a()", 4)), HX_E_FORMAT, "no empty name at the end");
    cr_assert_eq(hx_ops_count(LIST("a()\0\0b()")), HX_E_FORMAT, "goes on after its end");
    cr_assert_eq(hx_ops_count(LIST("a\0")), HX_E_FORMAT, "no arguments");
    cr_assert_eq(hx_ops_count(LIST("a\t()\0")), HX_E_FORMAT, "a control character");
    cr_assert_eq(hx_ops_count(LIST("a\177()\0")), HX_E_FORMAT, "delete");
    cr_assert_eq(hx_ops_count(hx_slice_of(NULL, 0)), HX_E_FORMAT);
    char many[HX_OPS_MAX * 4 + 5];
    for (uint32_t i = 0; i <= HX_OPS_MAX; i++)
        memcpy(many + 4 * i, "a()", 4);
    many[sizeof(many) - 1] = 0;
    cr_assert_eq(hx_ops_count(hx_slice_of(many, sizeof(many))), HX_E_FORMAT);
    many[4 * HX_OPS_MAX] = 0;
    cr_assert_eq(hx_ops_count(hx_slice_of(many, 4 * HX_OPS_MAX + 1)), HX_OPS_MAX);
}

static hx_status_t offer(const char *name, struct hx_interface_offer *offer, struct hx_interface **out)
{
    struct hx_report report;
    hx_report_init(&report);
    hx_status_t err = hx_interface_offer(name, offer, false, out, &report);
    cr_assert_eq(report.err == err, err != HX_OK);
    return err;
}

Test(interface, the_longest_list_counts_and_goes_with_its_provider)
{
    struct hx_interface *interface = NULL, *same = NULL;
    struct hx_interface_offer first = { .ops = LIST("a()\0"), .version = HX_VERSION(1, 0, 0) };
    struct hx_interface_offer longer = { .ops = LIST("a()\0b()\0"), .version = HX_VERSION(1, 1, 0) };
    struct hx_interface_offer other = { .ops = LIST("a()\0c()\0"), .version = HX_VERSION(1, 1, 0) };
    struct hx_interface_offer major = { .ops = LIST("a()\0"), .version = HX_VERSION(2, 0, 0) };
    world_begin(0);
    struct census before = world_census();
    cr_assert_eq(offer("hx_new", &first, &interface), HX_OK);
    cr_assert_eq(offer("hx_new", &major, &same), HX_E_VERSION);
    cr_assert_eq(offer("hx_new", &longer, &same), HX_OK);
    cr_assert_eq(same, interface);
    cr_assert_eq(interface->op_count, 2);
    cr_assert_eq(hx_interface_op(interface, "b", 1), 1);
    cr_assert_eq(offer("hx_new", &other, &same), HX_E_VERSION);
    hx_interface_withdraw(interface, &longer);
    cr_assert_eq(interface->op_count, 1);
    cr_assert_eq(interface->version, HX_VERSION(1, 0, 0));
    cr_assert_eq(offer("hx_new", &other, &same), HX_OK, "a list that is gone is still in the way");
    hx_interface_withdraw(interface, &first);
    hx_interface_withdraw(interface, &other);
    cr_assert_null(hx_interface_find("hx_new"));
    ASSERT_CENSUS(before);
}

Test(interface, a_refused_provider_leaves_no_definition_behind)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    struct census before = world_census();
    cr_assert_eq(world_load("kv_extended.hxm", &job), HX_E_EXIST, "%s", job.report.message);
    ASSERT_CENSUS(before);
    cr_assert_eq(hx_interface_find("hx_kv")->op_count, 6);
}

Test(interface, slots_run_out_with_an_error)
{
    static struct hx_interface_offer offers[HX_SLOTS_MAX];
    struct hx_interface *interface[HX_SLOTS_MAX];
    uint32_t count = 0;
    hx_status_t err = HX_OK;
    world_begin(0);
    struct census before = world_census();
    for (; err == HX_OK; count += err == HX_OK) {
        char name[HX_NAME_MAX];
        snprintf(name, sizeof(name), "hx_%u", count);
        offers[count] = (struct hx_interface_offer){ .ops = LIST("a()\0"), .version = HX_VERSION(1, 0, 0) };
        err = offer(name, &offers[count], &interface[count]);
    }
    cr_assert_eq(err, HX_E_LIMIT);
    cr_assert_eq(count, HX_SLOTS_MAX - HX_SLOTS_STATIC);
    while (count--)
        hx_interface_withdraw(interface[count], &offers[count]);
    ASSERT_CENSUS(before);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
}
