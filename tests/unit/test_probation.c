/* SPDX-License-Identifier: MIT */
/* test_probation.c - after the open: what ends the probation that several modules share, and what must not. */
#include "pair.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- faults and the owner's word ---------------------------------------------------------------------------------------- */

static void check_reverted(const char *key, const char *culprit, const char *other)
{
    struct hx_job job;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_run(pair_put, "c"), HX_OK);
    cr_assert_eq(world_run(pair_put, (void *)key), HX_E_FAULT);
    hal_host_advance(10000000);
    pair_assert_runs("1.0.0", 10);
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

Test(probation, a_fault_of_the_user_on_probation_takes_both_back)
{
    check_reverted("boom", "shop", "depot");
}

Test(probation, a_fault_of_the_provider_on_probation_takes_both_back)
{
    check_reverted("depot boom", "depot", "shop");
}

Test(probation, who_waits_in_the_user_for_a_provider_that_faulted_does_not_hold_up_the_way_back)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    /* In 20 ms it calls the depot, whose slot the fault has closed; the worker drains the shop by then. */
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, pair_put, "nap", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(world_run(pair_put, "depot boom"), HX_E_FAULT);
    uint64_t before_ns = hx_hal_clock_ns();
    hal_host_advance(100000000);
    cr_assert_lt(hx_hal_clock_ns() - before_ns, 500000000u);
    pair_assert_runs("1.0.0", 10);
}

Test(probation, a_fault_is_answered_before_the_probation_of_another_ends)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    hx_module_find("depot")->probation_over = true; /* since a moment: the worker has not looked */
    cr_assert_eq(world_run(pair_put, "boom"), HX_E_FAULT);
    hal_host_advance(10000000);
    pair_assert_runs("1.0.0", 10);
}

static void check_by_hand(enum hx_job_kind kind, const char *module, const char *version)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_run(pair_put, "c"), HX_OK);
    cr_assert_eq(world_simple(kind, module, &job), HX_OK, "%s", job.report.message);
    pair_assert_runs(version, kind == HX_JOB_COMMIT ? 15 : 10);
    cr_assert_eq(world_simple(kind, strcmp(module, "shop") == 0 ? "depot" : "shop", &job), HX_E_NOENT);
    hal_host_advance(PAIR_PROBATION_MS * 1100000ull);
    pair_assert_runs(version, kind == HX_JOB_COMMIT ? 15 : 10);
}

Test(probation, a_rollback_of_either_takes_both_back)
{
    check_by_hand(HX_JOB_ROLLBACK, "shop", "1.0.0");
    check_by_hand(HX_JOB_ROLLBACK, "depot", "1.0.0");
}

Test(probation, a_commit_of_either_keeps_both)
{
    check_by_hand(HX_JOB_COMMIT, "shop", "2.0.0");
    check_by_hand(HX_JOB_COMMIT, "depot", "2.0.0");
}

Test(probation, a_swap_of_one_commits_the_others_too)
{
    struct hx_job job, second;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &second), HX_OK, "%s", second.swap.report.message);
    cr_assert_eq(hx_history_get(job.swap.transaction + 1)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "depot", &second), HX_OK, "%s", second.report.message);
    pair_assert_runs("2.0.0", 10);
}

Test(probation, who_faults_while_a_rollback_waits_for_him_changes_nothing)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, pair_put, "nap boom", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(job.swap.report.err, HX_E_CANCELED);
    hal_host_advance(PAIR_PROBATION_MS * 1100000ull);
    pair_assert_runs("1.0.0", 10);
    ASSERT_CENSUS(before);
}

static hx_status_t boom_both(void *argument)
{
    (void)argument;
    hx_preempt_disable(); /* the worker comes later */
    hx_status_t first = pair_put("depot boom"), second = pair_put("boom");
    hx_status_t committed = hx_probation_commit(hx_module_find("shop"));
    hx_preempt_enable();
    cr_assert_eq(committed, HX_E_FAULT, "a version that has faulted is kept for good");
    return first == HX_E_FAULT ? second : HX_E_INTERNAL;
}

Test(probation, faults_of_both_before_the_answer_take_them_back_once)
{
    struct hx_job job;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_run(boom_both, NULL), HX_E_FAULT);
    hal_host_advance(10000000);
    pair_assert_runs("1.0.0", 10);
    cr_assert_not(hx_module_find("shop")->faulted);
    cr_assert_not(hx_module_find("depot")->faulted);
    ASSERT_CENSUS(before);
}

/* ---- its time ------------------------------------------------------------------------------------------------------------- */

Test(probation, a_time_that_ran_out_before_a_revert_does_not_count_for_the_next_swap)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    hx_module_find("depot")->probation_over = true; /* since a moment: the worker has not looked */
    cr_assert_eq(world_run(pair_put, "boom"), HX_E_FAULT);
    pair_assert_runs("1.0.0", 10);
    cr_assert_eq(world_reload("good_minimal", "good_minimal.hxm", NULL), HX_OK);
    hal_host_advance(500000000);
    job = pair_job_of("shop", "shop_2.hxm");
    pair_add(&job, "depot", "depot_2.hxm");
    cr_assert_eq(pair_run(&job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(600000000);
    cr_assert_null(hx_module_find("good_minimal")->previous, "its time is over");
    cr_assert_not_null(hx_module_find("depot")->previous, "theirs is not");
    hal_host_advance(500000000);
    cr_assert_null(hx_module_find("depot")->previous);
}

Test(probation, a_refused_swap_does_not_begin_its_time_anew)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    hal_host_advance(700000000);
    struct hx_job refused = pair_job_of("depot", "depot_2_cycle.hxm");
    pair_add(&refused, "shop", "shop_2.hxm");
    cr_assert_eq(pair_run(&refused), HX_E_CYCLE);
    cr_assert_not_null(hx_module_find("depot")->previous);
    hal_host_advance(400000000);
    cr_assert_null(hx_module_find("depot")->previous);
    cr_assert_eq(hx_history_get(job.swap.transaction)->outcome, HX_SWAP_COMMITTED);
}

static void check_error_is_kept(void)
{
    struct hx_job job;
    cr_assert_eq(hx_module_find("shop")->state, HX_MODULE_ERROR);
    cr_assert_eq(hx_module_find("depot")->state, HX_MODULE_RUNNING);
    hal_host_advance(2 * PAIR_PROBATION_MS * 1000000ull);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "depot", &job), HX_E_BUSY, "somebody is inside until 5 s");
    cr_assert_eq(world_reload("depot", "depot_2.hxm", &job), HX_E_STATE, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.subject, "shop");
    cr_assert(strstr(job.swap.report.message, "rollback"), "%s", job.swap.report.message);
    hal_host_advance(10000000000u);
    cr_assert_not_null(hx_module_find("shop")->previous, "what is in Error was committed");
    cr_assert_not_null(hx_module_find("depot")->previous);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_OK, "%s", job.report.message);
    pair_assert_runs("1.0.0", 10);
}

Test(probation, has_no_end_while_one_of_them_is_in_error)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("");
    struct census before = world_census();
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "sleeper", 100, pair_put, "sleep", &task), HX_OK);
    hal_host_advance(1000000);
    hx_module_find("depot")->probation_over = true; /* since a moment: the worker has not looked */
    cr_assert_eq(world_run(pair_put, "boom"), HX_E_FAULT);
    hal_host_advance(1100000000);
    check_error_is_kept();
    ASSERT_CENSUS(before);
}

static hx_status_t put_after_5_ms(void *key)
{
    hx_status_t err = hx_task_sleep_until(hx_hal_clock_ns() + 5000000);
    return err == HX_OK ? pair_put(key) : err;
}

Test(probation, has_no_end_when_a_start_fails_and_somebody_is_inside)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    pair_begin("fail=6");
    struct census before = world_census();
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "early", 100, put_after_5_ms, "sleep", &task), HX_OK);
    cr_assert_eq(pair_swap(&job), HX_E_HARDWARE, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "start");
    cr_assert_str_eq(job.swap.report.subject, "early");
    cr_assert(strstr(job.swap.report.message, "early is still inside shop"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "`rollback shop'"), "%s", job.swap.report.message);
    const struct hx_swap_record *other = hx_history_get(job.swap.transaction);
    cr_assert_str_eq(other->old_name, "depot");
    cr_assert_eq(other->report.err, HX_E_HARDWARE);
    check_error_is_kept();
    ASSERT_CENSUS(before);
}

/* ---- what history has lost ------------------------------------------------------------------------------------------------ */

static void check_lost_record(bool by_fault)
{
    struct hx_job job;
    pair_begin("");
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    struct census before = world_census();
    hx_probation_set_length_ns(1000000000000u);
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    hx_probation_set_length_ns(0);
    for (int i = 0; i < HX_HISTORY_ENTRIES + 3; i++)
        cr_assert_eq(world_reload("good_minimal", "good_minimal.hxm", NULL), HX_OK);
    cr_assert_null(hx_probation_record(hx_module_find("depot")));
    cr_assert_not_null(hx_module_find("depot")->previous);
    if (by_fault)
        cr_assert_eq(world_run(pair_put, "boom"), HX_E_FAULT);
    else
        cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_OK, "%s", job.report.message);
    hal_host_advance(10000000);
    pair_assert_runs("1.0.0", 10);
    ASSERT_CENSUS(before);
}

Test(probation, a_rollback_does_not_need_its_record)
{
    check_lost_record(false);
}

Test(probation, a_revert_does_not_need_its_record)
{
    check_lost_record(true);
}

/* ---- who comes back ------------------------------------------------------------------------------------------------------- */

Test(probation, a_predecessor_that_does_not_start_again_takes_its_users_into_error)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(world_load("depot_1_stays.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("shop_1.hxm", NULL), HX_OK);
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "shop", &job), HX_E_HARDWARE, "%s", job.report.message);
    cr_assert_str_eq(job.report.step, "start");
    cr_assert(strstr(job.report.message, "depot, the version that came back"), "%s", job.report.message);
    cr_assert_eq(hx_module_find("depot")->state, HX_MODULE_ERROR);
    cr_assert_eq(hx_module_find("shop")->state, HX_MODULE_ERROR);
    cr_assert_eq(world_run(pair_count, NULL), HX_E_FAILED);
    cr_assert_eq(world_unload("depot", &job), HX_E_IN_USE);
    cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

Test(probation, an_unload_of_the_user_commits_the_provider_and_a_refused_one_does_not)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(world_load("depot_1.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("shop_1.hxm", NULL), HX_OK);
    cr_assert_eq(pair_swap(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_unload("depot", &job), HX_E_IN_USE, "%s", job.report.message);
    cr_assert_not_null(hx_module_find("depot")->previous);
    cr_assert_not_null(hx_module_find("shop")->previous);
    cr_assert_eq(world_unload("shop", &job), HX_OK, "%s", job.report.message);
    cr_assert_null(hx_module_find("depot")->previous);
    cr_assert_str_eq(world_version("depot"), "2.0.0");
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "depot", &job), HX_E_NOENT);
    cr_assert_eq(world_unload("depot", &job), HX_OK, "%s", job.report.message);
    hal_host_advance(2 * PAIR_PROBATION_MS * 1000000ull);
    ASSERT_CENSUS(before);
}

static struct hx_job rename_both(void)
{
    struct hx_job job = pair_job_of("good_minimal", "lifetimes.hxm");
    pair_add(&job, "cycle_b", "cycle_b_free.hxm");
    return job;
}

Test(probation, a_name_comes_back_with_its_version)
{
    world_begin(PAIR_PROBATION_MS);
    struct hx_job job, by_old_name;
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("cycle_b_free.hxm", NULL), HX_OK);
    struct census before = world_census();
    job = rename_both();
    cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    cr_assert_not_null(hx_module_find("lifetimes"));
    cr_assert_eq(world_load("good_minimal.hxm", &by_old_name), HX_E_EXIST, "its name may come back");
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "good_minimal", &by_old_name), HX_E_NOENT);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "cycle_b", &job), HX_OK, "%s", job.report.message);
    cr_assert_null(hx_module_find("lifetimes"));
    cr_assert_not_null(hx_module_find("good_minimal"));
    ASSERT_CENSUS(before);
    job = rename_both();
    cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "cycle_b", &job), HX_OK);
    cr_assert_eq(world_load("good_minimal.hxm", &by_old_name), HX_OK, "%s", by_old_name.report.message);
}

/* ---- lines ---------------------------------------------------------------------------------------------------------------- */

enum { RTC_LINE = 8 };

static struct hx_job with_scheduler(const char *module, const char *file, const char *scheduler)
{
    struct hx_job job = pair_job_of(module, file);
    pair_add(&job, "sched_rr", scheduler);
    return job;
}

Test(probation, a_line_that_only_the_newcomer_has_goes_with_it)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    struct census before = world_census();
    static const char *const schedulers[] = { "sched_load_refuses.hxm", "sched_check_fails.hxm", "sched_rr-2.hxm" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(schedulers); i++) {
        job = with_scheduler("good_minimal", "drv_rtc.hxm", schedulers[i]);
        bool good = i == HX_ARRAY_SIZE(schedulers) - 1;
        cr_assert_eq(pair_run(&job) == HX_OK, good, "%s: %s", job.swap.report.step, job.swap.report.message);
        cr_assert_eq(hal_host_irq_unmasked(RTC_LINE), good);
        if (good)
            cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "sched_rr", &job), HX_OK, "%s", job.report.message);
        cr_assert_not(hal_host_irq_unmasked(RTC_LINE));
        ASSERT_CENSUS(before);
    }
    cr_assert_eq(world_load("drv_rtc.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(probation, a_line_that_the_newcomer_lacks_is_kept_for_the_predecessor)
{
    struct hx_job job;
    world_begin(PAIR_PROBATION_MS);
    cr_assert_eq(world_load("irq_shared_a.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    struct census before = world_census();
    job = with_scheduler("irq_shared_a", "good_minimal.hxm", "sched_rr-2.hxm");
    cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    cr_assert_not(hal_host_irq_unmasked(17));
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "good_minimal", &job), HX_OK, "%s", job.report.message);
    cr_assert(hal_host_irq_unmasked(17));
    ASSERT_CENSUS(before);
    job = with_scheduler("irq_shared_a", "good_minimal.hxm", "sched_rr-2.hxm");
    cr_assert_eq(pair_run(&job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "sched_rr", &job), HX_OK);
    cr_assert_eq(world_load("irq_shared_a.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert(hal_host_irq_unmasked(17));
}

Test(probation, a_commit_gives_back_the_lines_that_only_the_predecessor_had)
{
    static const char *const there_and_back[][2] = { { "good_minimal", "irq_shared_a.hxm" },
                                                     { "irq_shared_a", "good_minimal.hxm" } };
    world_begin(0);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    struct census before = world_census();
    for (size_t i = 0; i < HX_ARRAY_SIZE(there_and_back); i++) {
        struct hx_job job = with_scheduler(there_and_back[i][0], there_and_back[i][1], "sched_rr.hxm");
        cr_assert_eq(pair_run(&job), HX_OK, "%s: %s", job.swap.report.step, job.swap.report.message);
    }
    ASSERT_CENSUS(before);
}
