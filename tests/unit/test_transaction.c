/* SPDX-License-Identifier: MIT */
/*
 * test_transaction.c - several modules swapped in one step: a provider and its user to a new major of their interface.
 *
 * depot provides hx.depot, shop requires it and provides hx.kv, by which the tests call it: put adds to the depot's sum,
 * count reads it. The majors have their operations at other places.
 */
#include "world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <stdio.h>
#include <string.h>

enum { PROBATION_MS = 1000 };

static hx_status_t put(void *key)
{
    return (hx_status_t)hx_kv_put(key, strlen(key), "12345", 5);
}

static hx_status_t count(void *argument)
{
    (void)argument;
    return (hx_status_t)hx_kv_count();
}

static hx_status_t run_job(void *job)
{
    return hx_engine_run(job);
}

static struct hx_job job_of(const char *module, const char *file)
{
    struct hx_job job = {
        .kind = HX_JOB_RELOAD, .priority = 1, .file = world_file(file), .who = "test", .may_downgrade = true
    };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return job;
}

static void add(struct hx_job *job, const char *module, const char *file)
{
    struct hx_job_part *part = &job->with[job->with_count++];
    snprintf(part->module, sizeof(part->module), "%s", module);
    part->file = world_file(file);
    part->may_downgrade = true;
}

/* depot 1 and shop 1 run, and the depot has a sum of 10. @params are shop's. */
static void begin_with(const char *params)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("depot_1.hxm", NULL), HX_OK);
    struct hx_job job = { .kind = HX_JOB_LOAD, .file = world_file("shop_1.hxm"), .params = params, .who = "test" };
    cr_assert_eq(world_run(run_job, &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_run(put, "a"), HX_OK);
    cr_assert_eq(world_run(put, "b"), HX_OK);
}

static hx_status_t swap_both(struct hx_job *job)
{
    *job = job_of("depot", "depot_2.hxm");
    add(job, "shop", "shop_2.hxm");
    return world_run(run_job, job);
}

static void assert_runs(const char *version, int sum)
{
    cr_assert_str_eq(world_version("depot"), version);
    cr_assert_str_eq(world_version("shop"), version);
    cr_assert_eq(world_run(count, NULL), sum, "%d", world_run(count, NULL));
    cr_assert_eq(hx_module_find("shop")->state, HX_MODULE_RUNNING);
    cr_assert_eq(hx_module_find("depot")->state, HX_MODULE_RUNNING);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

static void check_both_swapped(const struct hx_job *job)
{
    assert_runs("2.0.0", 10);
    const struct hx_swap_record *first = hx_history_get(job->swap.transaction);
    const struct hx_swap_record *second = hx_history_get(job->swap.transaction + 1);
    cr_assert_str_eq(first->old_name, "depot", "a provider goes first");
    cr_assert_str_eq(second->old_name, "shop");
    cr_assert_eq(first->transaction, first->number);
    cr_assert_eq(second->transaction, first->number);
    cr_assert_eq(first->way, HX_STATE_SHARED);
    cr_assert_eq(second->way, HX_STATE_HOOKS);
    cr_assert_eq(first->outcome, HX_SWAP_PROBATION);
    cr_assert_eq(second->outcome, HX_SWAP_PROBATION);
    cr_assert_eq(first->blackout_ns, second->blackout_ns);
}

Test(transaction, provider_and_user_go_to_a_new_major_in_one_step)
{
    struct hx_job job;
    begin_with("");
    cr_assert_eq(swap_both(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    check_both_swapped(&job);
    cr_assert_eq(world_run(put, "c"), HX_OK);
    assert_runs("2.0.0", 15);
    hal_host_advance(PROBATION_MS * 1100000ull);
    cr_assert_null(hx_module_find("shop")->previous);
    cr_assert_null(hx_module_find("depot")->previous);
    cr_assert_eq(hx_history_get(job.swap.transaction)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(hx_history_get(job.swap.transaction + 1)->outcome, HX_SWAP_COMMITTED);
    assert_runs("2.0.0", 15);
}

Test(transaction, the_order_in_which_they_are_named_does_not_matter)
{
    begin_with("");
    struct hx_job job = job_of("shop", "shop_2.hxm");
    add(&job, "depot", "depot_2.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    check_both_swapped(&job);
}

Test(transaction, there_and_back_leaves_nothing)
{
    struct hx_job job;
    begin_with("");
    hx_swap_set_probation_ns(0);
    struct census before = world_census();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(swap_both(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
        assert_runs("2.0.0", 10);
        job = job_of("shop", "shop_1.hxm");
        add(&job, "depot", "depot_1.hxm");
        cr_assert_eq(world_run(run_job, &job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
        assert_runs("1.0.0", 10);
    }
    ASSERT_CENSUS(before);
    cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
    cr_assert_null(hx_interface_find("hx_depot"));
}

Test(transaction, a_caller_inside_the_user_still_reaches_the_provider)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with("");
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, put, "nap", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(swap_both(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    assert_runs("2.0.0", 15);
}

Test(transaction, a_provider_that_nobody_requires_takes_a_new_major_alone)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("depot_1.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_load("shop_2.hxm", &job), HX_E_DEPENDENCY, "it is there on probation only");
    cr_assert(strstr(job.report.message, "commit depot"), "%s", job.report.message);
    cr_assert_eq(world_load("shop_1.hxm", &job), HX_E_VERSION, "%s", job.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "depot", &job), HX_OK);
    cr_assert_eq(world_load("shop_1.hxm", &job), HX_E_VERSION, "%s", job.report.message);
    cr_assert_eq(world_load("shop_2.hxm", &job), HX_OK, "%s", job.report.message);
    assert_runs("2.0.0", 0);
}

/* ---- or none -------------------------------------------------------------------------------------------------------------- */

Test(transaction, a_user_that_would_be_left_behind_is_named)
{
    struct hx_job job;
    begin_with("");
    struct census before = world_census();
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &job), HX_E_VERSION, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "admit");
    cr_assert(strstr(job.swap.report.message, "shop requires hx.depot 1.0"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "--with shop"), "%s", job.swap.report.message);
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
}

Test(transaction, a_user_alone_does_not_get_a_major_that_is_not_there)
{
    struct hx_job job;
    begin_with("");
    struct census before = world_census();
    cr_assert_eq(world_reload("shop", "shop_2.hxm", &job), HX_E_VERSION, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "link");
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
}

struct failure {
    const char *params; /* of shop */
    const char *step;
    hx_status_t err;
};

static const struct failure failures[] = {
    { "fail=1", "init", HX_E_HARDWARE }, { "fail=2", "state", HX_E_SCHEMA }, { "fail=3", "start", HX_E_HARDWARE },
    { "fail=4", "check", HX_E_CORRUPT }, { "fail=5", "start", HX_E_FAULT },
};

static void check_failure(const struct failure *failure)
{
    struct hx_job job;
    begin_with(failure->params);
    struct census before = world_census();
    cr_assert_eq(swap_both(&job), failure->err, "%s: %s: %s", failure->params, job.swap.report.step,
                 job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, failure->step, "%s", failure->params);
    cr_assert_str_eq(job.swap.old_name, "shop", "%s", failure->params);
    const struct hx_swap_record *other = hx_history_get(job.swap.transaction);
    cr_assert_str_eq(other->old_name, "depot");
    cr_assert_eq(other->outcome, job.swap.outcome, "%s", failure->params);
    cr_assert_eq(other->report.err, failure->err);
    cr_assert(strstr(other->report.message, "with shop: "), "%s", other->report.message);
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
    cr_assert_eq(world_run(put, "c"), HX_OK);
    assert_runs("1.0.0", 15);
}

Test(transaction, a_failing_init_of_the_second_undoes_both)
{
    check_failure(&failures[0]);
}

Test(transaction, a_refused_state_of_the_second_undoes_both)
{
    check_failure(&failures[1]);
}

Test(transaction, a_failing_start_of_the_second_undoes_both)
{
    check_failure(&failures[2]);
}

Test(transaction, a_failing_check_of_the_second_undoes_both)
{
    check_failure(&failures[3]);
}

Test(transaction, a_faulting_start_of_the_second_undoes_both)
{
    check_failure(&failures[4]);
}

Test(transaction, a_failing_check_of_the_first_undoes_both)
{
    begin_with("");
    struct census before = world_census();
    struct hx_job job = job_of("depot", "depot_2_bad_check.hxm");
    add(&job, "shop", "shop_2.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_CORRUPT, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "check");
    cr_assert_str_eq(job.swap.old_name, "depot");
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
}

Test(transaction, somebody_who_stays_inside_one_keeps_both)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with("");
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "sleeper", 100, put, "sleep", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(swap_both(&job), HX_E_BUSY, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_str_eq(job.swap.report.subject, "sleeper");
    assert_runs("1.0.0", 10);
}

Test(transaction, modules_that_would_require_each_other_are_refused)
{
    begin_with("");
    struct census before = world_census();
    struct hx_job job = job_of("shop", "shop_2.hxm");
    add(&job, "depot", "depot_2_cycle.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_CYCLE, "%s: %s", job.swap.report.step, job.swap.report.message);
    job = job_of("depot", "depot_2_cycle.hxm");
    add(&job, "shop", "shop_2.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_CYCLE, "%s: %s", job.swap.report.step, job.swap.report.message);
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
}

Test(transaction, unknown_names_and_the_same_name_twice_are_refused)
{
    begin_with("");
    struct census before = world_census();
    struct hx_job job = job_of("depot", "depot_2.hxm");
    add(&job, "nobody", "shop_2.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_NOENT);
    cr_assert_str_eq(job.report.subject, "nobody");
    cr_assert(strstr(job.report.message, "nobody"), "%s", job.report.message);
    job = job_of("depot", "depot_2.hxm");
    add(&job, "shop", "shop_2.hxm");
    add(&job, "depot", "depot_2.hxm");
    cr_assert_eq(world_run(run_job, &job), HX_E_INVAL);
    cr_assert(strstr(job.report.message, "depot is named twice"), "%s", job.report.message);
    cr_assert_eq(hx_history_last(), 0);
    ASSERT_CENSUS(before);
    assert_runs("1.0.0", 10);
}

Test(transaction, two_may_not_take_one_name)
{
    begin_with("");
    struct hx_job other;
    cr_assert_eq(world_load("good_minimal.hxm", &other), HX_OK);
    cr_assert_eq(world_load("cycle_b_free.hxm", &other), HX_OK);
    struct census before = world_census();
    struct hx_job job = job_of("good_minimal", "lifetimes.hxm");
    add(&job, "cycle_b", "lifetimes.hxm");
    hx_status_t err = world_run(run_job, &job);
    cr_assert_eq(err, HX_E_EXIST, "%d: %s: %s", err, job.swap.report.step, job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "belongs to another module"), "%s", job.swap.report.message);
    ASSERT_CENSUS(before);
}

/* ---- probation ------------------------------------------------------------------------------------------------------------ */

static void check_reverted(const char *key, const char *culprit, const char *other)
{
    struct hx_job job;
    begin_with("");
    struct census before = world_census();
    cr_assert_eq(swap_both(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_run(put, "c"), HX_OK);
    cr_assert_eq(world_run(put, (void *)key), HX_E_FAULT);
    hal_host_advance(10000000);
    assert_runs("1.0.0", 10);
    for (uint64_t number = job.swap.transaction; number <= hx_history_last(); number++) {
        const struct hx_swap_record *record = hx_history_get(number);
        cr_assert_eq(record->outcome, HX_SWAP_REVERTED);
        cr_assert_eq(record->report.err, HX_E_FAULT);
        cr_assert_eq(strstr(record->report.message, "with ") == record->report.message,
                     strcmp(record->old_name, other) == 0, "%s", record->report.message);
    }
    cr_assert_str_neq(culprit, other);
    ASSERT_CENSUS(before);
}

Test(transaction, a_fault_of_the_user_on_probation_takes_both_back)
{
    check_reverted("boom", "shop", "depot");
}

Test(transaction, a_fault_of_the_provider_on_probation_takes_both_back)
{
    check_reverted("depot boom", "depot", "shop");
}

Test(transaction, who_waits_in_the_user_for_a_provider_that_faulted_does_not_hold_up_the_way_back)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with("");
    cr_assert_eq(swap_both(&job), HX_OK, "%s", job.swap.report.message);
    /* In 20 ms it calls the depot, whose slot the fault has closed; the worker drains the shop by then. */
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, put, "nap", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(world_run(put, "depot boom"), HX_E_FAULT);
    uint64_t before_ns = hx_hal_clock_ns();
    hal_host_advance(100000000);
    cr_assert_lt(hx_hal_clock_ns() - before_ns, 500000000u);
    assert_runs("1.0.0", 10);
}

Test(transaction, a_fault_is_answered_before_the_probation_of_another_ends)
{
    struct hx_job job;
    begin_with("");
    cr_assert_eq(swap_both(&job), HX_OK, "%s", job.swap.report.message);
    hx_module_find("depot")->probation_over = true; /* since a moment: the worker has not looked */
    cr_assert_eq(world_run(put, "boom"), HX_E_FAULT);
    hal_host_advance(10000000);
    assert_runs("1.0.0", 10);
}

static void check_by_hand(enum hx_job_kind kind, const char *module, const char *version)
{
    struct hx_job job;
    begin_with("");
    cr_assert_eq(swap_both(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_run(put, "c"), HX_OK);
    cr_assert_eq(world_simple(kind, module, &job), HX_OK, "%s", job.report.message);
    assert_runs(version, kind == HX_JOB_COMMIT ? 15 : 10);
    cr_assert_eq(world_simple(kind, strcmp(module, "shop") == 0 ? "depot" : "shop", &job), HX_E_NOENT);
    hal_host_advance(PROBATION_MS * 1100000ull);
    assert_runs(version, kind == HX_JOB_COMMIT ? 15 : 10);
}

Test(transaction, a_rollback_of_either_takes_both_back)
{
    check_by_hand(HX_JOB_ROLLBACK, "shop", "1.0.0");
    check_by_hand(HX_JOB_ROLLBACK, "depot", "1.0.0");
}

Test(transaction, a_commit_of_either_keeps_both)
{
    check_by_hand(HX_JOB_COMMIT, "shop", "2.0.0");
    check_by_hand(HX_JOB_COMMIT, "depot", "2.0.0");
}

Test(transaction, a_swap_of_one_commits_the_others_too)
{
    struct hx_job job, second;
    begin_with("");
    cr_assert_eq(swap_both(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &second), HX_OK, "%s", second.swap.report.message);
    cr_assert_eq(hx_history_get(job.swap.transaction + 1)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "depot", &second), HX_OK, "%s", second.report.message);
    assert_runs("2.0.0", 10);
}

/* ---- failed allocations ------------------------------------------------------------------------------------------------- */

Test(transaction, every_failed_allocation_leaves_both_as_they_were)
{
    struct hx_job job;
    begin_with("");
    for (uint64_t n = 1;; n++) {
        struct census before = world_census();
        hal_host_fail_at(2 + n); /* the first two are the body's */
        hx_status_t err = swap_both(&job);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_gt(n, 4u);
            break;
        }
        if (err == HX_OK) {
            cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_OK);
            continue;
        }
        cr_assert_eq(err, HX_E_NOMEM, "allocation %lu: %d", n, err);
        ASSERT_CENSUS(before);
        assert_runs("1.0.0", 10);
    }
    assert_runs("2.0.0", 10);
}
