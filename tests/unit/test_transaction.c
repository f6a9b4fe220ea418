/* SPDX-License-Identifier: MIT */
/* test_transaction.c - several modules swapped in one step: a provider and its user to a new major of their interface. */
#include "pair.h"

#include <criterion/criterion.h>
#include <interrupts/exception.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

static void check_both_swapped(const struct hx_job *job)
{
    pair_assert_runs("2.0.0", 10);
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
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    check_both_swapped(&job);
    cr_assert_eq(world_run(pair_put, "c"), HX_OK);
    pair_assert_runs("2.0.0", 15);
    hal_host_advance(PAIR_PROBATION_MS * 1100000ull);
    cr_assert_null(hx_module_find("shop")->previous);
    cr_assert_null(hx_module_find("depot")->previous);
    cr_assert_eq(hx_history_get(job.swap.transaction)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(hx_history_get(job.swap.transaction + 1)->outcome, HX_SWAP_COMMITTED);
    pair_assert_runs("2.0.0", 15);
}

Test(transaction, the_order_in_which_they_are_named_does_not_matter)
{
    pair_begin("");
    struct hx_job job = pair_job_of("shop", "shop_2.hxm");
    pair_add(&job, "depot", "depot_2.hxm");
    cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    check_both_swapped(&job);
}

Test(transaction, there_and_back_leaves_nothing)
{
    struct hx_job job;
    pair_begin("");
    hx_probation_set_length_ns(0);
    struct census before = world_census();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pair_swap(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
        pair_assert_runs("2.0.0", 10);
        job = pair_job_of("shop", "shop_1.hxm");
        pair_add(&job, "depot", "depot_1.hxm");
        cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
        pair_assert_runs("1.0.0", 10);
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
    pair_begin("");
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, pair_put, "nap", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(pair_swap(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    pair_assert_runs("2.0.0", 15);
}

Test(transaction, a_provider_that_nobody_requires_takes_a_new_major_alone)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    cr_assert_eq(world_load("depot_1.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_load("shop_2.hxm", &job), HX_E_DEPENDENCY, "it is there on probation only");
    cr_assert(strstr(job.report.message, "commit depot"), "%s", job.report.message);
    cr_assert_eq(world_load("shop_1.hxm", &job), HX_E_VERSION, "%s", job.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "depot", &job), HX_OK);
    cr_assert_eq(world_load("shop_1.hxm", &job), HX_E_VERSION, "%s", job.report.message);
    cr_assert_eq(world_load("shop_2.hxm", &job), HX_OK, "%s", job.report.message);
    pair_assert_runs("2.0.0", 0);
}

/* ---- or none -------------------------------------------------------------------------------------------------------------- */

Test(transaction, a_user_that_would_be_left_behind_is_named)
{
    struct hx_job job;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &job), HX_E_VERSION, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "admit");
    cr_assert(strstr(job.swap.report.message, "shop requires hx.depot 1.0"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "--with shop"), "%s", job.swap.report.message);
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, a_user_alone_does_not_get_a_major_that_is_not_there)
{
    struct hx_job job;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(world_reload("shop", "shop_2.hxm", &job), HX_E_VERSION, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "link");
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

struct failure {
    const char *params; /* of shop */
    const char *step;
    hx_status_t err;
};

static const struct failure failures[] = {
    { "fail=1", "init", HX_E_HARDWARE }, { "fail=2", "state", HX_E_SCHEMA }, { "fail=3", "start", HX_E_HARDWARE },
    { "fail=4", "check", HX_E_CORRUPT }, { "fail=5", "start", HX_E_FAULT },  { "fail=7", "state", HX_E_FAULT },
};

static void check_failure(const struct failure *failure)
{
    struct hx_job job;
    pair_begin(failure->params);
    struct census before = world_census();
    cr_assert_eq(pair_swap(&job), failure->err, "%s: %s: %s", failure->params, job.swap.report.step,
                 job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, failure->step, "%s", failure->params);
    cr_assert_str_eq(job.swap.old_name, "shop", "%s", failure->params);
    const struct hx_swap_record *other = hx_history_get(job.swap.transaction);
    cr_assert_str_eq(other->old_name, "depot");
    cr_assert_eq(other->outcome, job.swap.outcome, "%s", failure->params);
    cr_assert_eq(other->report.err, failure->err);
    cr_assert(strstr(other->report.message, "with shop: "), "%s", other->report.message);
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
    cr_assert_eq(world_run(pair_put, "c"), HX_OK);
    pair_assert_runs("1.0.0", 15);
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

Test(transaction, a_faulting_load_of_the_second_undoes_both)
{
    uint64_t faults = hx_exception_unwound();
    check_failure(&failures[5]);
    cr_assert_eq(hx_exception_unwound() - faults, 1, "it is called after it has faulted");
}

static void check_fault_in_anothers_check(uint64_t probation_ns)
{
    struct hx_job job;
    pair_begin("fail=8");
    struct census before = world_census();
    hx_probation_set_length_ns(probation_ns);
    cr_assert_eq(pair_swap(&job), HX_E_FAULT, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "check");
    cr_assert_str_eq(job.swap.old_name, "depot");
    cr_assert_eq(job.swap.outcome, HX_SWAP_REVERTED);
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, a_fault_that_the_check_of_another_brings_about_undoes_both)
{
    check_fault_in_anothers_check(1000000000u);
    check_fault_in_anothers_check(0);
}

Test(transaction, a_provider_that_faults_while_its_user_is_drained_is_not_swapped)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("");
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, pair_put, "nap boom", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(pair_swap(&job), HX_E_FAULT, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_str_eq(job.swap.old_name, "depot");
    hal_host_advance(10000000);
    cr_assert_eq(hx_module_find("depot")->state, HX_MODULE_ERROR);
    cr_assert_eq(hx_module_find("shop")->state, HX_MODULE_RUNNING);
    cr_assert_eq(world_run(pair_count, NULL), HX_E_FAILED);
    cr_assert_eq(pair_swap(&job), HX_E_STATE, "%s", job.swap.report.message);
    cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
}

Test(transaction, a_failing_check_of_the_first_undoes_both)
{
    pair_begin("");
    struct census before = world_census();
    struct hx_job job = pair_job_of("depot", "depot_2_bad_check.hxm");
    pair_add(&job, "shop", "shop_2.hxm");
    cr_assert_eq(pair_run(&job), HX_E_CORRUPT, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "check");
    cr_assert_str_eq(job.swap.old_name, "depot");
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, somebody_who_stays_inside_one_keeps_both)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("");
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "sleeper", 100, pair_put, "sleep", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(pair_swap(&job), HX_E_BUSY, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_str_eq(job.swap.report.subject, "sleeper");
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, modules_that_would_require_each_other_are_refused)
{
    pair_begin("");
    struct census before = world_census();
    struct hx_job job = pair_job_of("shop", "shop_2.hxm");
    pair_add(&job, "depot", "depot_2_cycle.hxm");
    cr_assert_eq(pair_run(&job), HX_E_CYCLE, "%s: %s", job.swap.report.step, job.swap.report.message);
    job = pair_job_of("depot", "depot_2_cycle.hxm");
    pair_add(&job, "shop", "shop_2.hxm");
    cr_assert_eq(pair_run(&job), HX_E_CYCLE, "%s: %s", job.swap.report.step, job.swap.report.message);
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, unknown_names_and_the_same_name_twice_are_refused)
{
    pair_begin("");
    struct census before = world_census();
    struct hx_job job = pair_job_of("depot", "depot_2.hxm");
    pair_add(&job, "nobody", "shop_2.hxm");
    cr_assert_eq(pair_run(&job), HX_E_NOENT);
    cr_assert_str_eq(job.report.subject, "nobody");
    cr_assert(strstr(job.report.message, "nobody"), "%s", job.report.message);
    job = pair_job_of("depot", "depot_2.hxm");
    pair_add(&job, "shop", "shop_2.hxm");
    pair_add(&job, "depot", "depot_2.hxm");
    cr_assert_eq(pair_run(&job), HX_E_INVAL);
    cr_assert(strstr(job.report.message, "depot is named twice"), "%s", job.report.message);
    cr_assert_eq(hx_history_last(), 0);
    ASSERT_CENSUS(before);
    pair_assert_runs("1.0.0", 10);
}

Test(transaction, two_may_not_take_one_name)
{
    pair_begin("");
    struct hx_job other;
    cr_assert_eq(world_load("good_minimal.hxm", &other), HX_OK);
    cr_assert_eq(world_load("cycle_b_free.hxm", &other), HX_OK);
    struct census before = world_census();
    struct hx_job job = pair_job_of("good_minimal", "lifetimes.hxm");
    pair_add(&job, "cycle_b", "lifetimes.hxm");
    hx_status_t err = pair_run(&job);
    cr_assert_eq(err, HX_E_EXIST, "%d: %s: %s", err, job.swap.report.step, job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "belongs to another module"), "%s", job.swap.report.message);
    ASSERT_CENSUS(before);
}

/* ---- failed allocations ------------------------------------------------------------------------------------------------- */

Test(transaction, every_failed_allocation_leaves_both_as_they_were)
{
    struct hx_job job;
    pair_begin("");
    for (uint64_t n = 1;; n++) {
        struct census before = world_census();
        hal_host_fail_at(2 + n); /* the first two are the body's */
        hx_status_t err = pair_swap(&job);
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
        pair_assert_runs("1.0.0", 10);
    }
    pair_assert_runs("2.0.0", 10);
}

Test(transaction, a_job_that_is_run_again_does_not_tell_of_its_last_swap)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_neq(job.swap.number, 0);
    hx_engine_set_reloads(false);
    cr_assert_eq(pair_run(&job), HX_E_DISABLED);
    hx_engine_set_reloads(true);
    cr_assert_eq(job.swap.number, 0);
    snprintf(job.module, sizeof(job.module), "nobody");
    cr_assert_eq(pair_run(&job), HX_E_NOENT);
    cr_assert_eq(job.swap.number, 0);
}

/* ---- eight in one step -------------------------------------------------------------------------------------------------- */

static const char *const crowd[][3] = {
    { "depot", "depot_1.hxm", "depot_2.hxm" },
    { "shop", "shop_1.hxm", "shop_2.hxm" },
    { "good_minimal", "good_minimal.hxm", "good_minimal.hxm" },
    { "cycle_b", "cycle_b_free.hxm", "cycle_b_free.hxm" },
    { "irq_shared_a", "irq_shared_a.hxm", "irq_shared_a.hxm" },
    { "irq_shared_b", "irq_shared_b.hxm", "irq_shared_b.hxm" },
    { "deferrer", "deferrer.hxm", "deferrer_2.hxm" },
    { "sched_rr", "sched_rr.hxm", "sched_rr-2.hxm" },
};

/* @last in the place of the last one's file. */
static struct hx_job crowd_job(const char *last)
{
    size_t count = HX_ARRAY_SIZE(crowd) - 1;
    struct hx_job job = pair_job_of(crowd[count][0], last ? last : crowd[count][2]);
    while (count-- > 0)
        pair_add(&job, crowd[count][0], crowd[count][2]);
    return job;
}

static void begin_crowd(void)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    for (size_t i = 0; i < HX_ARRAY_SIZE(crowd); i++)
        cr_assert_eq(world_load(crowd[i][1], &job), HX_OK, "%s: %s", crowd[i][1], job.report.message);
    cr_assert_eq(world_run(pair_put, "a"), HX_OK);
}

Test(transaction, eight_go_forth_and_back_and_for_good)
{
    struct hx_job job;
    begin_crowd();
    struct census before = world_census();
    for (int i = 0; i < 3; i++) {
        job = crowd_job(NULL);
        cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
        pair_assert_runs("2.0.0", 5);
        cr_assert_eq(world_simple(HX_JOB_ROLLBACK, crowd[i][0], &job), HX_OK, "%s", job.report.message);
        pair_assert_runs("1.0.0", 5);
        ASSERT_CENSUS(before);
    }
    job = crowd_job(NULL);
    cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "sched_rr", &job), HX_OK);
    pair_assert_runs("2.0.0", 5);
    for (size_t i = HX_ARRAY_SIZE(crowd); i-- > 0;)
        cr_assert_eq(world_unload(crowd[i][0], &job), HX_OK, "%s", job.report.message);
}

Test(transaction, eight_are_undone_by_the_last_at_whatever_step)
{
    static const char *const bad[][2] = {
        { "missing_symbol.hxm", "link" },      { "sched_init_fails.hxm", "init" },
        { "sched_init_faults.hxm", "init" },   { "sched_field_dropped.hxm", "reserve" },
        { "sched_load_refuses.hxm", "state" }, { "sched_load_faults.hxm", "state" },
        { "sched_start_fails.hxm", "start" },  { "sched_check_fails.hxm", "check" },
    };
    begin_crowd();
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        struct hx_job job = crowd_job(bad[i][0]);
        cr_assert_lt(pair_run(&job), 0);
        cr_assert_str_eq(job.swap.report.step, bad[i][1], "%s: %s", bad[i][0], job.swap.report.message);
        cr_assert_str_eq(job.swap.old_name, "sched_rr");
        pair_assert_runs("1.0.0", 5);
        ASSERT_CENSUS(before);
    }
}

Test(transaction, every_failed_allocation_leaves_eight_as_they_were)
{
    begin_crowd();
    struct census before = world_census();
    for (uint64_t n = 1;; n++) {
        struct hx_job job = crowd_job(NULL);
        hal_host_fail_at(2 + n); /* the first two are the body's */
        hx_status_t err = pair_run(&job);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_gt(n, 20u);
            break;
        }
        if (err == HX_OK)
            cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_OK);
        else
            cr_assert_eq(err, HX_E_NOMEM, "allocation %lu: %d: %s", n, err, job.swap.report.message);
        ASSERT_CENSUS(before);
        pair_assert_runs("1.0.0", 5);
    }
    pair_assert_runs("2.0.0", 5);
}

/* ---- everything at once ------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 40, REQUESTS = 16 };

static uint32_t next_random(uint32_t below)
{
    static uint64_t x = 88172645463325252u; /* xorshift64: Marsaglia, "Xorshift RNGs" (2003) */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32) % below;
}

static struct hx_job any_request(void)
{
    static const char *const files[][2] = { { "depot_1.hxm", "shop_1.hxm" }, { "depot_2.hxm", "shop_2.hxm" } };
    uint32_t major = next_random(2), both = next_random(2);
    struct hx_job job = pair_job_of("depot", files[major][0]);
    switch (next_random(8)) {
    case 0: return (struct hx_job){ .kind = HX_JOB_LOAD, .file = world_file(files[major][both]), .params = "" };
    case 1: job.kind = HX_JOB_UNLOAD; break;
    case 2: job.kind = HX_JOB_ROLLBACK; break;
    case 3: job.kind = HX_JOB_COMMIT; break;
    case 4: job = pair_job_of("shop", files[both][1]); break;
    case 5:
        job = pair_job_of("shop", files[major][1]);
        pair_add(&job, "depot", files[major][0]);
        break;
    default: pair_add(&job, "shop", files[major][1]); break;
    }
    if (job.kind != HX_JOB_RELOAD && both)
        snprintf(job.module, sizeof(job.module), "shop");
    job.who = "test";
    job.by = &hx_kernel_principal;
    return job;
}

static hx_status_t ask(void *argument)
{
    (void)argument;
    struct hx_job *job = malloc(sizeof(*job));
    *job = any_request();
    job->priority = (uint8_t)next_random(3);
    hx_status_t err = hx_engine_run(job); /* it may be refused */
    (void)err;
    free(job);
    return HX_OK;
}

static hx_status_t call(void *argument)
{
    static char *const keys[] = { "a", "nap", "nap", "nap boom", "boom", "depot boom", "sleep", "b", "c", "d" };
    (void)argument;
    return pair_put(keys[next_random(HX_ARRAY_SIZE(keys))]);
}

static void check_at_rest(void)
{
    struct hx_job job;
    const struct hx_module *depot = hx_module_find("depot"), *shop = hx_module_find("shop");
    if ((depot && depot->previous) || (shop && shop->previous)) {
        cr_assert((depot && depot->state == HX_MODULE_ERROR) || (shop && shop->state == HX_MODULE_ERROR),
                  "a probation has no end");
        bool alone = !depot->previous && depot->state == HX_MODULE_ERROR; /* then shop cannot start on it */
        hx_status_t err = world_simple(HX_JOB_ROLLBACK, depot->previous ? "depot" : "shop", &job);
        cr_assert_eq(err, alone ? HX_E_FAILED : HX_OK, "%s", job.report.message);
        cr_assert_null(depot->previous);
        cr_assert(!shop || !shop->previous);
    }
    cr_assert(!(depot && depot->faulted) && !(shop && shop->faulted), "a fault is not answered");
    if (!depot || !shop)
        return;
    cr_assert_str_eq(world_version("depot"), world_version("shop"));
    hx_status_t sum = world_run(pair_count, NULL);
    if (depot->state == HX_MODULE_RUNNING && shop->state == HX_MODULE_RUNNING)
        cr_assert(sum >= 0 && sum % 5 == 0, "%d", sum);
    else
        cr_assert_lt(sum, 0);
}

static void load_what_is_missing(void)
{
    struct hx_job job;
    const struct hx_module *shop = hx_module_find("shop"), *depot = hx_module_find("depot");
    if (shop && (shop->state == HX_MODULE_ERROR || !depot || depot->state == HX_MODULE_ERROR))
        cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    if (depot && depot->state == HX_MODULE_ERROR)
        cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
    if (!hx_module_find("depot"))
        cr_assert_eq(world_load("depot_1.hxm", &job), HX_OK, "%s", job.report.message);
    bool second = strcmp(world_version("depot"), "2.0.0") == 0;
    if (!hx_module_find("shop"))
        cr_assert_eq(world_load(second ? "shop_2.hxm" : "shop_1.hxm", &job), HX_OK, "%s", job.report.message);
}

/* Callers may be killed wherever they are; who asks may not. */
static void run_a_round(void)
{
    hx_handle_t caller[REQUESTS] = { HX_HANDLE_NONE }, asker = HX_HANDLE_NONE;
    uint64_t tasks = hx_task_count();
    for (int i = 0; i < REQUESTS; i++) {
        uint8_t priority = (uint8_t)(50 + next_random(200));
        hal_host_fail_at(next_random(4) ? 0 : 1 + next_random(60));
        hx_status_t err = next_random(2) ? hx_task_create(HX_TASK_POLICY, "caller", priority, call, NULL, &caller[i])
                                         : hx_task_create(HX_TASK_CORE, "asker", priority, ask, NULL, &asker);
        (void)err; /* an allocation that fails may be its own */
        hal_host_advance(next_random(8) ? next_random(30000000) : 1100000000u);
        if (next_random(3) == 0)
            err = hx_task_kill(caller[next_random(REQUESTS)]);
    }
    hal_host_fail_at(0);
    hal_host_advance(20000000000u);
    cr_assert_eq(hx_task_count(), tasks, "requests or calls have no end");
}

Test(transaction, whatever_is_asked_and_called_at_once_ends_in_one_major_and_leaves_nothing)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    struct census before = world_census();
    for (int i = 0; i < ROUNDS; i++) {
        load_what_is_missing();
        run_a_round();
        check_at_rest();
    }
    if (hx_module_find("shop"))
        cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    if (hx_module_find("depot"))
        cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}
