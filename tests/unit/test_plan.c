/* SPDX-License-Identifier: MIT */
/* test_plan.c - in which order modules are loaded, and what is left out with its reason. */
#include "world.h"

#include <criterion/criterion.h>
#include <module/plan.h>
#include <string.h>

/* An opened pack of these files, all to be loaded. */
static struct hx_plan plan_of(const char *const *files, uint32_t count, bool (*skips)(const char *name))
{
    static struct hx_pack_entry entries[8];
    struct hx_pack pack = { .entries = entries, .count = count, .load_count = count };
    struct hx_plan plan;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct hx_pack_entry){ .name = files[i], .content = world_file(files[i]), .load = true };
    cr_assert_eq(hx_plan_make(&pack, skips, &plan), HX_OK);
    return plan;
}

#define PLAN(skips, ...)                                                                                               \
    plan_of((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), skips)

static void begin(void)
{
    hal_host_init();
}

static const struct hx_plan_item *item(const struct hx_plan *plan, uint32_t position)
{
    return &plan->items[plan->order[position]];
}

Test(plan, a_provider_comes_before_its_user_and_the_manifest_decides_the_rest, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "drv_rtc.hxm", "good_kv_user.hxm", "sched_rr.hxm", "svc_kv.hxm");
    cr_assert_eq(plan.order_count, 4);
    cr_assert_str_eq(item(&plan, 0)->name, "drv_rtc");
    cr_assert_str_eq(item(&plan, 1)->name, "sched_rr");
    cr_assert_str_eq(item(&plan, 2)->name, "svc_kv");
    cr_assert_str_eq(item(&plan, 3)->name, "good_kv_user");
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}

Test(plan, a_cycle_is_left_out_and_the_rest_is_not, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "cycle_a.hxm", "svc_kv.hxm", "cycle_b.hxm");
    cr_assert_eq(plan.order_count, 1);
    cr_assert_str_eq(item(&plan, 0)->name, "svc_kv");
    cr_assert_eq(plan.items[0].err, HX_E_CYCLE);
    cr_assert_eq(plan.items[2].err, HX_E_CYCLE);
    hx_plan_release(&plan);
}

Test(plan, without_or_with_an_old_provider_a_user_is_left_out, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "good_kv_user.hxm");
    cr_assert_eq(plan.items[0].err, HX_E_DEPENDENCY);
    cr_assert_eq(plan.order_count, 0);
    hx_plan_release(&plan);
    plan = PLAN(NULL, "svc_kv.hxm", "requires_newer.hxm");
    cr_assert_eq(plan.items[1].err, HX_E_VERSION);
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, a_second_provider_is_left_out, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "sched_rr.hxm", "sched_prio.hxm");
    cr_assert_eq(plan.order_count, 1);
    cr_assert_eq(plan.items[1].err, HX_E_EXIST);
    hx_plan_release(&plan);
}

static bool skips_kv(const char *name)
{
    return strcmp(name, "svc_kv") == 0;
}

Test(plan, what_the_owner_skips_takes_its_users_with_it, .init = begin)
{
    struct hx_plan plan = PLAN(skips_kv, "svc_kv.hxm", "good_kv_user.hxm", "sched_rr.hxm");
    cr_assert_eq(plan.items[0].err, HX_E_DISABLED);
    cr_assert_eq(plan.items[1].err, HX_E_DEPENDENCY);
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, a_file_without_a_proper_name_is_left_out, .init = begin)
{
    struct hx_plan plan =
        PLAN(NULL, "descriptor_missing.hxm", "name_unprintable.hxm", "name_unterminated.hxm", "svc_kv.hxm");
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_neq(plan.items[i].err, HX_OK, "%s", plan.items[i].entry->name);
        for (const char *c = plan.items[i].message; *c; c++)
            cr_assert(*c >= ' ' && *c <= '~', "%s: message has a control character", plan.items[i].entry->name);
    }
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, every_failed_allocation_is_reported_and_leaves_nothing, .init = begin)
{
    static struct hx_pack_entry entry;
    struct hx_plan plan;
    entry = (struct hx_pack_entry){ .name = "svc_kv.hxm", .content = world_file("svc_kv.hxm"), .load = true };
    struct hx_pack pack = { .entries = &entry, .count = 1, .load_count = 1 };
    for (uint64_t n = 1;; n++) {
        hal_host_fail_at(n);
        hx_status_t err = hx_plan_make(&pack, NULL, &plan);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_gt(n, 1u);
            break;
        }
        cr_assert_eq(err, HX_E_NOMEM);
        cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
    }
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}
