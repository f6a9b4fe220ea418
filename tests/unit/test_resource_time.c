/* SPDX-License-Identifier: MIT */
/* test_resource_time.c - rates: how they flow in and are spent, and whom a quota of CPU time holds up. */
#include "resource_fixture.h"

#include <hal/hx_hal_entry.h>
#include <stdio.h>

/* ---- rates ---------------------------------------------------------------------------------------------------------- */

Test(resource, a_rate_flows_in_and_a_bucket_holds_that_of_a_second)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 5, 0), 0, "no pool, nothing to count");
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 1 << 20), HX_OK);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1 << 30, 0), 0, "no quota");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).used, 1 << 30);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, 0), HX_E_RANGE);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, HX_RATE_MAX + 1), HX_E_RANGE);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, 1000), HX_OK);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1000, 0), 0, "the burst");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 0);
    uint64_t until = hx_resource_spend(&holder, HX_RESOURCE_IO, 100, 0);
    cr_assert(until >= 100 * ms && until <= 100 * ms + 2000, "%lu", until);
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until / 2), 0, "not yet");
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 1, "once, though asked twice");
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until), 0);
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 1000, until + 100 * second), 0,
                 "no more than of one second");
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 1, until + 100 * second), 0);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).throttled, 2);
    until += 110 * second;
    cr_assert_eq(hx_resource_spend(&holder, HX_RESOURCE_IO, 0, until), 0);
    cr_assert_gt(hx_resource_spend(&holder, HX_RESOURCE_IO, 1001, until + second / 2), 0, "it was full before that");
    hx_resource_release_all(&holder);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).quota, 1000);
}

Test(resource, who_asks_often_gets_no_less_than_who_asks_seldom)
{
    static const uint64_t rates[] = { 1, 3, 1000, 123456789, HX_RATE_MAX / 2 };
    begin();
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 1), HX_OK);
    for (size_t i = 0; i < HX_ARRAY_SIZE(rates); i++) {
        struct hx_resource_holder holder;
        hx_resource_holder_init(&holder);
        cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, rates[i]), HX_OK);
        (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 2 * rates[i], 0);
        cr_assert_eq(share_of(&holder, HX_RESOURCE_IO).balance, -(int64_t)rates[i]);
        for (uint64_t now = 0; now <= second; now += 777777)
            (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 0, now);
        (void)hx_resource_spend(&holder, HX_RESOURCE_IO, 0, second);
        int64_t balance = share_of(&holder, HX_RESOURCE_IO).balance, slack = 1 + (int64_t)(rates[i] / 1000);
        cr_assert(balance >= -slack && balance <= slack, "%lu: %ld", rates[i], balance);
    }
}

Test(resource, who_owes_a_second_is_charged_nothing_on_top)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, second), HX_OK);
    cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_CPU_TIME, second / 100), HX_OK);
    for (uint32_t i = 0; i < 1000; i++)
        (void)hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 2 * ms, 0);
    cr_assert_leq(hx_resource_spend(&holder, HX_RESOURCE_CPU_TIME, 0, 0), second + 200 * ms + 2000);
    cr_assert_eq(share_of(&holder, HX_RESOURCE_CPU_TIME).used, 2000 * ms, "but it is counted");
}

Test(resource, who_has_spent_far_more_than_a_small_quota_is_told_a_time_that_can_be_told)
{
    struct hx_resource_holder holder;
    begin();
    hx_resource_holder_init(&holder);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_IO, 100), HX_OK);
    for (uint64_t quota = 1; quota <= 100000; quota *= 10) {
        uint64_t now_ns = hx_hal_clock_ns();
        cr_assert_eq(hx_resource_set_quota(&holder, HX_RESOURCE_IO, quota), HX_OK);
        uint64_t until_ns = hx_resource_spend(&holder, HX_RESOURCE_IO, UINT64_MAX, now_ns);
        cr_assert(until_ns > now_ns + 90000000 * second && until_ns <= INT64_MAX, "%lu: %lu", quota, until_ns);
    }
}

/* ---- modules: CPU time ---------------------------------------------------------------------------------------------- */

static bool stop;

/* A task of a module that has always something to do. */
static hx_status_t busy(void *argument)
{
    hx_task_current()->owner = argument;
    while (!stop)
        hal_host_advance(ms / 10);
    return HX_OK;
}

static hx_status_t naps(void *argument)
{
    hx_task_current()->owner = argument;
    while (!stop) {
        hal_host_advance(ms);
        (void)hx_task_sleep_until(hx_hal_clock_ns() + ms);
    }
    return HX_OK;
}

static void pass(uint64_t ns)
{
    cr_assert_eq(hx_task_sleep_until(hx_hal_clock_ns() + ns), HX_OK);
}

/* What the task gets of the next seconds, in percent. */
static uint32_t percent_of(hx_handle_t task, uint64_t seconds)
{
    uint64_t began = hx_task_of(task)->run_ns;
    pass(seconds * second);
    return (uint32_t)((hx_task_of(task)->run_ns - began) * 100 / (seconds * second));
}

static struct hx_module *owner_with(uint32_t percent)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", &job), HX_OK);
    struct hx_module *module = hx_module_find("svc_kv");
    if (percent)
        cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, percent * 10 * ms), HX_OK);
    stop = false;
    return module;
}

static hx_handle_t start(const char *name, hx_status_t (*body)(void *argument), void *argument)
{
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, name, 100, body, argument, &task), HX_OK);
    return task;
}

/* Those who watch are core tasks: they come before who is busy. */
static hx_status_t watch_shares(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t limited = start("limited", busy, module), free = start("free", busy, NULL);
    pass(2 * second); /* the burst is used up */
    uint64_t began = hx_task_of(free)->run_ns;
    uint32_t got = percent_of(limited, 10);
    uint64_t others = (hx_task_of(free)->run_ns - began) / (100 * ms);
    cr_assert(got >= 18 && got <= 22, "%u percent", got);
    cr_assert(others >= 76 && others <= 82, "%lu percent", others);
    struct hx_resource_share share = share_of(module->resources, HX_RESOURCE_CPU_TIME);
    cr_assert_gt(share.throttled, 10);
    cr_assert(share.used + 3 * ms > hx_task_of(limited)->run_ns && share.used <= hx_task_of(limited)->run_ns + 3 * ms);
    stop = true;
    return HX_OK;
}

Test(resource, a_task_over_its_owners_quota_gets_its_share_and_others_the_rest, .timeout = 60)
{
    cr_assert_eq(world_run(watch_shares, owner_with(20)), HX_OK);
}

static hx_status_t watch_naps(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("naps", naps, module);
    pass(second);
    uint64_t ran = hx_task_of(task)->run_ns, used = share_of(module->resources, HX_RESOURCE_CPU_TIME).used;
    cr_assert_gt(ran, 400 * ms);
    cr_assert(used + 3 * ms > ran && used <= ran + ms, "%lu of %lu", used, ran); /* and the task that it declares */
    cr_assert_eq(share_of(module->resources, HX_RESOURCE_CPU_TIME).throttled, 0);
    stop = true;
    return HX_OK;
}

Test(resource, a_task_that_sleeps_before_each_tick_pays_as_well, .timeout = 60)
{
    cr_assert_eq(world_run(watch_naps, owner_with(0)), HX_OK);
}

static hx_status_t watch_quotas(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("busy", busy, module);
    cr_assert_geq(percent_of(task, 3), 98);
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, 100 * ms), HX_OK);
    pass(second);
    cr_assert_leq(percent_of(task, 3), 12);
    cr_assert_eq(hx_resource_set_quota(module->resources, HX_RESOURCE_CPU_TIME, HX_QUOTA_NONE), HX_OK);
    pass(second);
    cr_assert_geq(percent_of(task, 3), 98);
    stop = true;
    return HX_OK;
}

Test(resource, a_module_without_a_quota_is_not_held_up, .timeout = 60)
{
    cr_assert_eq(world_run(watch_quotas, owner_with(0)), HX_OK);
}

static hx_status_t kill_throttled(void *argument)
{
    hx_handle_t task = start("busy", busy, argument);
    pass(3 * second);
    cr_assert_eq(hx_task_of(task)->state, HX_TASK_SLEEPING);
    cr_assert_eq(hx_task_kill(task), HX_OK);
    cr_assert_null(hx_task_of(task));
    return HX_OK;
}

Test(resource, a_throttled_task_can_be_killed, .timeout = 60)
{
    cr_assert_eq(world_run(kill_throttled, owner_with(1)), HX_OK);
}

static hx_status_t watch_leaving(void *argument)
{
    struct hx_module *module = argument;
    hx_handle_t task = start("busy", busy, module);
    pass(2 * second);
    module->leaving = true;
    pass(HX_THROTTLE_NS);
    cr_assert_geq(percent_of(task, 1), 98);
    module->leaving = false;
    pass(10 * ms);
    cr_assert_leq(percent_of(task, 1), 3);
    stop = true;
    return HX_OK;
}

Test(resource, who_is_waited_for_to_leave_the_module_is_not_held_up, .timeout = 60)
{
    cr_assert_eq(world_run(watch_leaving, owner_with(1)), HX_OK);
}

static struct hx_slot *visited;

HAL_HOST_MODULE static hx_ret_t ten_ticks(void)
{
    struct hx_trap *none = NULL;
    for (uint32_t i = 0; i < 10; i++) {
        hx_cpu_read(self)->ticks++;
        hx_entry_tick(none);
    }
    return 7;
}

static hx_status_t visit(void *argument)
{
    hx_task_current()->owner = argument;
    return hx_gate_call(visited, 0, 0, 0, 0, 0) == 7 ? HX_OK : HX_E_INTERNAL;
}

Test(resource, ticks_in_a_modules_code_are_the_modules_unless_a_task_of_somebodys_is_there)
{
    static struct hx_gate_vtable vtable;
    struct hx_module *module = owner_with(1);
    visited = hx_slot_create("visited", HX_SLOT_KIND_CALLBACKS, true);
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)ten_ticks;
    hx_slot_publish(visited, &vtable, module);
    uint64_t before = share_of(module->resources, HX_RESOURCE_CPU_TIME).used;
    cr_assert_eq(world_run(visit, NULL), HX_OK, "the caller is not stopped");
    struct hx_resource_share share = share_of(module->resources, HX_RESOURCE_CPU_TIME);
    cr_assert_eq(share.used - before, 10 * (uint64_t)HX_TICK_NS);
    cr_assert_eq(share.throttled, 1);
    cr_assert_eq(world_run(visit, module), HX_OK);
    cr_assert_leq(share_of(module->resources, HX_RESOURCE_CPU_TIME).used - share.used, (uint64_t)HX_TICK_NS,
                  "what it ran, not its ticks");
    hx_slot_destroy(visited);
}
