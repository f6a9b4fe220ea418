/* SPDX-License-Identifier: MIT */
/* test_lifecycle.c - the legal edges, all pairs; load and unload as transactions. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Section 3.2 of the specification as corrected: one row a state, in order of enum hx_module_state; x: legal. */
static const char *const edges[HX_MODULE_STATE_COUNT] = {
    /*               LdLoInRuPaSgSdUnEr */
    [HX_MODULE_LOADING] = ".x.....xx", [HX_MODULE_LOADED] = "..x....xx",    [HX_MODULE_INITIALIZING] = "...x...xx",
    [HX_MODULE_RUNNING] = "....xx..x", [HX_MODULE_PAUSED] = "...x.x..x",    [HX_MODULE_STOPPING] = "......x.x",
    [HX_MODULE_STOPPED] = "x......xx", [HX_MODULE_UNLOADING] = ".........", [HX_MODULE_ERROR] = "x..x...x.",
};

Test(lifecycle, every_pair_of_states_is_legal_or_not_as_specified)
{
    for (uint32_t from = 0; from < HX_MODULE_STATE_COUNT; from++) {
        for (uint32_t to = 0; to < HX_MODULE_STATE_COUNT; to++) {
            struct hx_module module = { .state = (enum hx_module_state)from };
            bool legal = edges[from][to] == 'x';
            hx_status_t err = hx_lifecycle_transition(&module, (enum hx_module_state)to);
            cr_assert_eq(err, legal ? HX_OK : HX_E_STATE, "%s -> %s", hx_module_state_name(from),
                         hx_module_state_name(to));
            cr_assert_eq(module.state, legal ? to : from);
        }
    }
    cr_assert_not(hx_lifecycle_is_legal(HX_MODULE_STATE_COUNT, HX_MODULE_LOADING));
    cr_assert_not(hx_lifecycle_is_legal(HX_MODULE_LOADING, HX_MODULE_STATE_COUNT));
}

Test(lifecycle, load_and_unload_leave_nothing)
{
    static const char *const files[] = { "sched_rr.hxm", "drv_rtc.hxm", "svc_kv.hxm", "sched_prio.hxm" };
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(files); i++) {
        cr_assert_eq(world_load(files[i], &job), HX_OK, "%s: %s", files[i], job.report.message);
        cr_assert_eq(hx_module_find(job.loaded)->state, HX_MODULE_RUNNING);
        cr_assert_eq(world_unload(job.loaded, &job), HX_OK, "%s: %s", files[i], job.report.message);
        ASSERT_CENSUS(before);
    }
}

struct refusal {
    const char *file;
    hx_status_t err;
    const char *subject;
};

/* Each is refused, leaves nothing, and the good module still loads. */
static const struct refusal refusals[] = {
    { "missing_symbol.hxm", HX_E_SYMBOL, "hx_no" },
    { "missing_dependency.hxm", HX_E_DEPENDENCY, "" },
    { "cycle_a.hxm", HX_E_DEPENDENCY, "" },
    { "requires_newer.hxm", HX_E_DEPENDENCY, "" },
    { "wrong_abi.hxm", HX_E_ABI, "abi" },
    { "newer_abi.hxm", HX_E_ABI, "abi" },
    { "wrong_magic.hxm", HX_E_FORMAT, ".hx.module" },
    { "wrong_record_size.hxm", HX_E_ABI, "" },
    { "descriptor_missing.hxm", HX_E_FORMAT, ".hx.module" },
    { "descriptor_twice.hxm", HX_E_FORMAT, ".hx.module" },
    { "name_empty.hxm", HX_E_FORMAT, "" },
    { "name_unterminated.hxm", HX_E_FORMAT, "" },
    { "name_unprintable.hxm", HX_E_FORMAT, "" },
    { "summary_unterminated.hxm", HX_E_FORMAT, "" },
    { "state_undeclared.hxm", HX_E_FORMAT, "hx_state" },
    { "hook_outside.hxm", HX_E_RANGE, "" },
    { "irq_handler_in_data.hxm", HX_E_RANGE, "" },
    { "irq_line_absurd.hxm", HX_E_RANGE, "irq" },
    { "op_in_init.hxm", HX_E_RANGE, "hx_rtc" },
    { "vtable_outside.hxm", HX_E_RANGE, "hx_" },
    { "vtable_op_null.hxm", HX_E_RANGE, "hx_" },
    { "vtable_op_in_data.hxm", HX_E_RANGE, "hx_" },
    { "vtable_short.hxm", HX_E_FORMAT, "hx_" },
    { "ops_differ.hxm", HX_E_VERSION, "hx_rtc" },
    { "major_lower.hxm", HX_E_VERSION, "" },
    { "sched_init_fails.hxm", HX_E_NOMEM, "init" },
    { "sched_init_faults.hxm", HX_E_FAULT, "init" },
    { "sched_start_fails.hxm", HX_E_HARDWARE, "start" },
};

Test(lifecycle, a_refused_load_leaves_nothing_and_the_next_works)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(refusals); i++) {
        const struct refusal *r = &refusals[i];
        hx_status_t err = world_load(r->file, &job);
        cr_expect_eq(err, r->err, "%s: %d: %s", r->file, err, job.report.message);
        cr_expect(strstr(job.report.subject, r->subject), "%s: subject `%s'", r->file, job.report.subject);
        cr_expect_neq(job.report.message[0], 0, "%s says nothing", r->file);
        ASSERT_CENSUS(before);
        cr_assert_eq(world_load("sched_rr.hxm", &job), HX_OK, "after %s: %s", r->file, job.report.message);
        cr_assert_eq(world_unload("sched_rr", &job), HX_OK);
        ASSERT_CENSUS(before);
    }
}

Test(lifecycle, a_module_that_others_require_stays)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("good_kv_user.hxm", &job), HX_OK, "%s", job.report.message);
    char user[HX_NAME_MAX];
    strcpy(user, job.loaded);
    cr_assert_eq(world_unload("svc_kv", &job), HX_E_IN_USE);
    cr_assert_str_eq(job.report.subject, user);
    cr_assert_eq(world_unload(user, &job), HX_OK);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK, "%s", job.report.message);
}

Test(lifecycle, a_second_provider_or_name_is_refused)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    struct census before = world_census();
    cr_assert_eq(world_load("sched_prio.hxm", &job), HX_E_EXIST);
    cr_assert(strstr(job.report.message, "sched_rr"));
    ASSERT_CENSUS(before);
    cr_assert_eq(world_load("sched_rr.hxm", &job), HX_E_EXIST);
    ASSERT_CENSUS(before);
    cr_assert_eq(hx_slot_info(&hx_slots[HX_SLOT_hx_sched])->state, HX_SLOT_OPEN, "the first provides on");
    cr_assert_eq(hx_slot_info(&hx_slots[HX_SLOT_hx_sched])->owner, hx_module_find("sched_rr"));
}

Test(lifecycle, parameters_are_set_before_init_and_checked)
{
    static const struct {
        const char *params;
        hx_status_t err;
    } cases[] = {
        { "quantum_ms=5", HX_OK },
        { "quantum_ms=0x10", HX_OK },
        { "", HX_OK },
        { "quantum_ms", HX_E_FORMAT },
        { "quantum_ms=", HX_E_RANGE },
        { "quantum_ms=ten", HX_E_RANGE },
        { "nothing=1", HX_E_NOENT },
        { "quantum_ms=4294967296", HX_E_RANGE },
        { "quantum_ms=18446744073709551616", HX_E_RANGE },
    };
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        job = (struct hx_job){ .kind = HX_JOB_LOAD, .file = world_file("sched_rr.hxm"), .params = cases[i].params };
        job.who = "test";
        job.by = &hx_kernel_principal;
        hx_status_t err = world_run((hx_status_t(*)(void *))hx_engine_run, &job);
        cr_assert_eq(err, cases[i].err, "`%s': %d: %s", cases[i].params, err, job.report.message);
        if (err == HX_OK)
            cr_assert_eq(world_unload("sched_rr", NULL), HX_OK);
        ASSERT_CENSUS(before);
    }
}

/* ---- step by step, as the worker does --------------------------------------------------------------------------------- */
static struct hx_module *load(const char *file)
{
    struct hx_report report;
    struct hx_module *module = NULL;
    hx_report_init(&report);
    cr_assert_eq(report.err, HX_E_INTERNAL, "until somebody says otherwise");
    cr_assert_eq(hx_lifecycle_load(world_file(file), "", &module, &report), HX_OK, "%s", report.message);
    cr_assert_eq(module->state, HX_MODULE_RUNNING);
    return module;
}

static hx_status_t load_two_and_unload(void *argument)
{
    struct hx_report report;
    struct hx_module *kv = load("svc_kv.hxm"), *user = load("good_kv_user.hxm");
    (void)argument;
    hx_report_init(&report);
    cr_assert_eq(hx_lifecycle_may_unload(kv, &report), HX_E_IN_USE);
    cr_assert_str_eq(report.subject, user->name);
    cr_assert_eq(hx_lifecycle_unload(kv, &report), HX_E_IN_USE);
    cr_assert_eq(hx_lifecycle_may_unload(user, &report), HX_OK);
    cr_assert_eq(hx_lifecycle_unload(user, &report), HX_OK);
    cr_assert_eq(hx_lifecycle_unload(kv, &report), HX_OK);
    return HX_OK;
}

Test(lifecycle, a_load_and_an_unload_need_no_engine)
{
    world_begin(0);
    struct census before = world_census();
    cr_assert_eq(world_run(load_two_and_unload, NULL), HX_OK);
    ASSERT_CENSUS(before);
}

static uint32_t told_came, told_went;
static enum hx_event_type told_what;

static void came(struct hx_slot *slot)
{
    told_came += slot != NULL;
}

static void went(struct hx_slot *slot)
{
    told_went += slot != NULL;
}

static void happened(const struct hx_module *module, enum hx_event_type what)
{
    cr_assert_not_null(module);
    told_what = what;
}

Test(lifecycle, an_observer_hears_of_providers_and_of_what_becomes_of_modules)
{
    static const struct hx_lifecycle_observer observer = { .came = came, .went = went, .happened = happened };
    world_begin(0);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    const struct hx_module *kv = hx_module_find("svc_kv");
    hx_lifecycle_bind(&observer);
    hx_lifecycle_notify(kv->running, NULL, true);
    cr_assert(told_came == 1 && told_went == 0);
    hx_lifecycle_notify(kv->running, kv->running, false);
    cr_assert(told_went == 0, "the other provides it too");
    hx_lifecycle_notify(kv->running, NULL, false);
    cr_assert_eq(told_went, 1);
    hx_lifecycle_tell(kv, HX_EVENT_MODULE_SWAPPED);
    cr_assert_eq(told_what, HX_EVENT_MODULE_SWAPPED);
    cr_assert_eq(world_unload("svc_kv", NULL), HX_OK);
    cr_assert_eq(told_went, 2);
    cr_assert_eq(told_what, HX_EVENT_MODULE_UNLOADED);
}
