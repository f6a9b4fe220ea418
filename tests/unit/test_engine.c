/* SPDX-License-Identifier: MIT */
/* test_engine.c - faults at every moment of a module's life, and who may come back: what the worker makes of them. */
#include "world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <helix/sched.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 20, PROBATION_MS = 1000 };
static const uint64_t long_ns = 6000000000u; /* longer than kv_awkward sleeps */

static hx_status_t get(void *key)
{
    char value[8];
    return (hx_status_t)hx_kv_get(key, strlen(key), value, sizeof(value));
}

/* A core task that calls get(@key) and is inside by the time that this returns. */
static void enter(const char *key)
{
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, key, 100, get, (void *)key, &task), HX_OK);
    hal_host_advance(1000000);
}

static hx_status_t load_with(const char *file, const char *params, struct hx_job *job)
{
    *job = (struct hx_job){
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    return world_run((hx_status_t(*)(void *))hx_engine_run, job);
}

static const struct hx_module *kv(void)
{
    return hx_module_find("svc_kv");
}

static void begin_with(const char *file)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load(file, NULL), HX_OK);
    world_kv_fill(KEYS);
}

/* ---- a fault while a transaction is under way ------------------------------------------------------------------------ */

Test(engine, a_fault_of_the_old_version_while_it_is_drained_is_not_the_new_ones)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    enter("nap boom");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_FAULT);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_eq(job.swap.outcome, HX_SWAP_REFUSED);
    hal_host_advance(1000000);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR, "a version that faulted runs on");
    cr_assert_eq(world_run(get, "key-1"), HX_E_FAILED);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK, "%s", job.report.message);
}

/* Whether @texts, ended by NULL, stand in @all in this order. */
static bool in_order(const char *all, const char *const *texts)
{
    for (; *texts && all; texts++)
        all = (all = strstr(all, *texts)) ? all + strlen(*texts) : NULL;
    return all;
}

Test(engine, a_fault_names_the_function_and_who_called_it)
{
    begin_with("kv_faults_on_boom.hxm");
    cr_assert_eq(world_run(get, "boom"), HX_E_FAULT);
    cr_assert(in_order(kv()->fault, (const char *const[]){ " in read_nowhere+0x", "/0x", " (svc_kv)", NULL }), "%s",
              kv()->fault);
    cr_assert(in_order(kv()->backtrace, (const char *const[]){ "read_nowhere+0x", "/0x", " (svc_kv) < get+0x", "/0x",
                                                               " (svc_kv)", NULL }),
              "%s", kv()->backtrace);
    cr_assert_eq(strncmp(kv()->backtrace, "read_nowhere", 12), 0, "%s", kv()->backtrace);
    cr_assert_null(strstr(strstr(kv()->backtrace, "get+"), "<"), "the core is in it: %s", kv()->backtrace);
}

Test(engine, a_fault_of_a_version_that_nobody_knows_yet_has_a_function_too)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("sched_rr", "sched_load_faults.hxm", &job), HX_E_FAULT);
    cr_assert_not_null(strstr(job.swap.report.message, " in load+0x"), "%s", job.swap.report.message);
    cr_assert_not_null(strstr(job.swap.report.message, "(sched_rr)"), "%s", job.swap.report.message);
}

Test(engine, a_refused_swap_does_not_open_what_a_fault_has_closed)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    enter("sleep");
    enter("nap boom");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_BUSY);
    cr_assert_str_eq(job.swap.report.subject, "sleep");
    hal_host_advance(1000000);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    cr_assert_eq(world_run(get, "key-1"), HX_E_FAILED);
    cr_assert_eq(world_unload("svc_kv", &job), HX_E_BUSY, "unloaded under a sleeper");
    cr_assert_eq(world_run(get, "key-1"), HX_E_FAILED);
    hal_host_advance(long_ns);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
}

Test(engine, a_fault_during_the_swap_that_commits_the_pending_one_is_refused)
{
    struct hx_job first, second;
    begin_with("svc_kv.hxm");
    cr_assert_eq(world_reload("svc_kv", "kv_awkward.hxm", &first), HX_OK);
    enter("nap boom");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &second), HX_E_FAULT);
    hal_host_advance(1000000);
    cr_assert_eq(hx_history_get(first.swap.number)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(hx_history_get(second.swap.number)->outcome, HX_SWAP_REFUSED);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    cr_assert_eq(world_unload("svc_kv", &second), HX_OK);
}

Test(engine, a_second_fault_before_the_first_is_answered_reverts_once)
{
    struct hx_job job;
    begin_with("svc_kv.hxm");
    struct census before = world_census();
    cr_assert_eq(world_reload("svc_kv", "kv_awkward.hxm", &job), HX_OK);
    enter("nap boom");
    enter("nap boom");
    cr_assert_eq(world_run(get, "boom"), HX_E_FAULT);
    hal_host_advance(100000000);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(kv()->state, HX_MODULE_RUNNING);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    ASSERT_CENSUS(before);
}

/* The task is ready, and has not run, when the old version is told again what is ready. */
static hx_status_t roll_back_with_a_ready_task(void *job)
{
    hx_handle_t task = HX_HANDLE_NONE;
    hx_status_t err = hx_task_create(HX_TASK_POLICY, "ready", 100, get, "key", &task);
    return err == HX_OK ? hx_engine_run(job) : err;
}

Test(engine, a_fault_of_the_version_that_comes_back_is_not_forgotten)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_fault_retold.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("sched_rr", "sched_rr-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(job.swap.way, HX_STATE_HOOKS);
    job = (struct hx_job){ .kind = HX_JOB_ROLLBACK, .module = "sched_rr", .who = "test", .by = &hx_kernel_principal };
    cr_assert_eq(world_run(roll_back_with_a_ready_task, &job), HX_OK, "%s", job.report.message);
    hal_host_advance(10000000);
    cr_assert_eq(hx_module_find("sched_rr")->state, HX_MODULE_ERROR);
    cr_assert_eq(hx_slot_info(&hx_slots[HX_SLOT_hx_sched])->state, HX_SLOT_FAILED);
}

Test(engine, reopening_is_not_for_what_has_faulted_or_failed)
{
    begin_with("svc_kv.hxm");
    struct hx_module *module = hx_module_find("svc_kv");
    const struct hx_slot_info *info = hx_slot_info(&hx_slots[HX_SLOT_hx_kv]);
    hx_module_close(module, false);
    cr_assert_eq(info->state, HX_SLOT_CLOSED);
    cr_assert(hx_module_fault(module, "a fault", ""));
    cr_assert_eq(info->state, HX_SLOT_FAULTED);
    hx_module_close(module, false);
    hx_lifecycle_reopen(module);
    cr_assert_eq(info->state, HX_SLOT_FAULTED);
    module->state = HX_MODULE_ERROR;
    hx_lifecycle_reopen(module);
    cr_assert_eq(info->state, HX_SLOT_FAILED);
    module->state = HX_MODULE_RUNNING;
    hx_lifecycle_reopen(module);
    cr_assert_eq(info->state, HX_SLOT_OPEN);
}

/* ---- who stays inside -------------------------------------------------------------------------------------------------- */

Test(engine, a_rollback_while_somebody_is_inside_changes_nothing)
{
    struct hx_job job;
    begin_with("svc_kv.hxm");
    cr_assert_eq(world_reload("svc_kv", "kv_awkward.hxm", NULL), HX_OK);
    enter("sleep");
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_E_BUSY);
    cr_assert_str_eq(job.report.subject, "sleep");
    cr_assert_eq(kv()->state, HX_MODULE_RUNNING);
    cr_assert_str_eq(world_version("svc_kv"), "1.9.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    cr_assert_not_null(kv()->previous);
    hal_host_advance(long_ns);
    cr_assert_null(kv()->previous, "probation has no end");
}

Test(engine, a_fault_while_somebody_is_inside_can_be_rolled_back_later)
{
    struct hx_job job;
    begin_with("svc_kv.hxm");
    struct census before = world_census();
    cr_assert_eq(world_reload("svc_kv", "kv_awkward.hxm", NULL), HX_OK);
    enter("sleep");
    cr_assert_eq(world_run(get, "boom"), HX_E_FAULT);
    hal_host_advance(2000000000u);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    cr_assert_not_null(kv()->previous);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_STATE);
    cr_assert_not_null(kv()->previous, "a refused swap has thrown the predecessor away");
    hal_host_advance(long_ns);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(kv()->state, HX_MODULE_RUNNING);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    ASSERT_CENSUS(before);
}

Test(engine, a_module_in_error_with_a_predecessor_unloads_without_remains)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "kv_awkward.hxm", NULL), HX_OK);
    enter("sleep");
    cr_assert_eq(world_run(get, "boom"), HX_E_FAULT);
    hal_host_advance(long_ns);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

static hx_status_t call_after_5_ms(void *key)
{
    hx_status_t err = hx_task_sleep_until(hx_hal_clock_ns() + 5000000);
    return err == HX_OK ? get(key) : err;
}

Test(engine, a_failed_start_does_not_pull_the_module_away_from_under_a_caller)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    world_begin(PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "early", 100, call_after_5_ms, "sleep", &task), HX_OK);
    cr_assert_eq(load_with("kv_awkward.hxm", "start_fails=1", &job), HX_E_HARDWARE);
    cr_assert_str_eq(job.report.subject, "early");
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    hal_host_advance(long_ns);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

Test(engine, a_failed_start_that_nobody_saw_leaves_nothing)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(load_with("kv_awkward.hxm", "start_fails=1", &job), HX_E_HARDWARE);
    ASSERT_CENSUS(before);
}

Test(engine, an_unload_that_is_refused_starts_the_module_again)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    enter("sleep");
    cr_assert_eq(world_unload("svc_kv", &job), HX_E_BUSY);
    cr_assert_eq(kv()->state, HX_MODULE_RUNNING);
    cr_assert_eq(world_run(get, "starts"), 2, "stopped, and not started again");
    hal_host_advance(long_ns);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
}

Test(engine, a_module_whose_stop_faults_can_be_unloaded)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(load_with("kv_awkward.hxm", "stop_faults=1", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_unload("svc_kv", &job), HX_E_FAULT);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

Test(engine, a_refused_unload_leaves_probation_alone)
{
    struct hx_job job;
    begin_with("svc_kv.hxm");
    cr_assert_eq(world_load("good_kv_user.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    cr_assert_eq(world_unload("svc_kv", &job), HX_E_IN_USE);
    cr_assert_not_null(kv()->previous);
}

/* ---- what a revert may need again ------------------------------------------------------------------------------------- */

Test(engine, the_name_of_a_version_that_may_come_back_is_taken)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("cycle_b_free.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("cycle_b", "good_minimal.hxm", &job), HX_OK, "%s", job.swap.report.message);
    struct census before = world_census();
    cr_assert_eq(world_load("cycle_b_free.hxm", &job), HX_E_EXIST, "%s", job.report.message);
    cr_assert(strstr(job.report.message, "commit"), "%s", job.report.message);
    ASSERT_CENSUS(before);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "good_minimal", &job), HX_OK);
    cr_assert_eq(world_load("good_minimal.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_str_eq(world_version("cycle_b"), "0.9.0");
}

Test(engine, the_interface_of_a_version_that_may_come_back_is_taken)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("cycle_b_free.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("cycle_b", "good_minimal.hxm", &job), HX_OK, "%s", job.swap.report.message);
    struct census before = world_census();
    cr_assert_eq(world_load("cycle_b_other.hxm", &job), HX_E_EXIST, "%s", job.report.message);
    cr_assert(strstr(job.report.message, "commit good_minimal"), "%s", job.report.message);
    ASSERT_CENSUS(before);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "good_minimal", &job), HX_OK);
    cr_assert_eq(world_load("cycle_b_other.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(engine, nobody_is_loaded_on_what_only_probation_provides)
{
    struct hx_job job;
    begin_with("svc_kv.hxm");
    cr_assert_eq(world_load("requires_newer.hxm", &job), HX_E_VERSION, "%s", job.report.message);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("requires_newer.hxm", &job), HX_E_DEPENDENCY, "%s", job.report.message);
    cr_assert(strstr(job.report.message, "commit svc_kv"), "%s", job.report.message);
    cr_assert_eq(world_load("good_kv_user.hxm", &job), HX_OK, "both versions suffice: %s", job.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_OK);
    cr_assert_eq(world_load("requires_newer.hxm", &job), HX_OK, "%s", job.report.message);
}

Test(engine, nobody_is_loaded_on_a_provider_in_error)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    cr_assert_eq(world_run(get, "boom"), HX_E_FAULT);
    struct census before = world_census();
    cr_assert_eq(world_load("good_kv_user.hxm", &job), HX_E_DEPENDENCY);
    cr_assert(strstr(job.report.message, "Error"), "%s", job.report.message);
    cr_assert_eq(world_load("svc_kv-2.hxm", &job), HX_E_EXIST);
    ASSERT_CENSUS(before);
}

Test(engine, a_swap_that_closes_a_cycle_is_refused)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("cycle_b_free.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("cycle_a.hxm", &job), HX_OK, "%s", job.report.message);
    struct census before = world_census();
    cr_assert_eq(world_reload("cycle_b", "cycle_b.hxm", &job), HX_E_CYCLE, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "admit");
    cr_assert(strstr(job.swap.report.message, "cycle_a"));
    ASSERT_CENSUS(before);
}

/* ---- the worker itself ------------------------------------------------------------------------------------------------- */

Test(engine, the_worker_does_not_wait_at_a_gate_that_only_it_opens)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    uint64_t before_ns = hx_hal_clock_ns();
    cr_assert_eq(world_load("kv_user_insists.hxm", &job), HX_E_BUSY, "%s", job.report.message);
    cr_assert_lt(hx_hal_clock_ns() - before_ns, 1000000000u);
    hal_host_advance(1000000);
    cr_assert_eq(kv()->state, HX_MODULE_ERROR);
}

static hx_status_t late(void *key)
{
    return get(key);
}

Test(engine, a_caller_at_a_closed_gate_gives_up_after_five_seconds)
{
    struct hx_job job;
    begin_with("kv_awkward.hxm");
    struct hx_slot *slot = &hx_slots[HX_SLOT_hx_kv];
    hx_slot_close(slot); /* as a worker that is stuck in a hook has left it */
    uint64_t before_ns = hx_hal_clock_ns();
    cr_assert_eq(world_run(late, "key-1"), HX_E_TIMEOUT);
    cr_assert_geq(hx_hal_clock_ns() - before_ns, 5000000000u);
    cr_assert_eq(hx_slot_inside(slot), 0);
    hx_slot_reopen(slot);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
}

static hx_status_t run_from_policy_task(void *argument)
{
    struct hx_job *job = argument;
    job->result = hx_engine_run(job);
    return HX_OK;
}

Test(engine, a_task_that_can_be_killed_may_not_wait_for_a_job)
{
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with("svc_kv.hxm");
    struct hx_job job = { .kind = HX_JOB_UNLOAD, .module = "svc_kv", .who = "test", .by = &hx_kernel_principal };
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "mortal", 100, run_from_policy_task, &job, &task), HX_OK);
    hal_host_advance(10000000);
    cr_assert_eq(job.result, HX_E_STATE);
    cr_assert_not_null(kv());
}

/* ---- state -------------------------------------------------------------------------------------------------------------- */

Test(engine, state_that_is_saved_but_not_declared_is_not_dropped)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("saves_undeclared.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("saves_undeclared", "good_minimal.hxm", &job), HX_E_SCHEMA, "%s",
                 job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "reserve");
    cr_assert_str_eq(job.swap.report.subject, "load");
}

/* ---- several processors ---------------------------------------------------------------------------------------------------- */

Test(engine, the_first_fault_is_told_and_later_ones_are_counted)
{
    begin_with("kv_awkward.hxm");
    struct hx_module *module = hx_module_find("svc_kv");
    hx_irq_flags_t flags = hx_irq_save(); /* the worker does not answer in between */
    cr_assert(hx_module_fault(module, "the first", "one < two"));
    cr_assert_not(hx_module_fault(module, "the second", "three"));
    cr_assert_str_eq(module->fault, "the first");
    cr_assert_str_eq(module->backtrace, "one < two");
    cr_assert_eq(module->faults, 2);
    hx_irq_restore(flags);
    hx_lifecycle_fail(module);
    cr_assert_not(module->faulted);
    cr_assert_not(hx_module_fault(module, "in Error", ""), "nobody would answer it");
    cr_assert_eq(hx_slot_state(&hx_slots[HX_SLOT_hx_kv]), HX_SLOT_FAILED);
    cr_assert_str_eq(module->fault, "the first");
}

static void *become_second_cpu(void *argument)
{
    (void)argument;
    hal_host_cpu_enter(1);
    return NULL;
}

static void start_second_cpu(void)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, become_second_cpu, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(hx_hal_cpu_count(), 2);
}

Test(engine, an_old_policy_is_refused_where_there_are_several_processors)
{
    struct hx_interface *interface = NULL;
    world_begin(PROBATION_MS);
    interface = hx_interface_find("hx_sched");
    cr_assert_eq(hx_interface_least(interface), 0);
    cr_assert_eq(hx_interface_least(hx_interface_find("hx_kv")), 0);
    start_second_cpu();
    cr_assert_eq(hx_interface_least(interface), HX_SCHED_VERSION_1_2);
    cr_assert_eq(hx_interface_least(hx_interface_find("hx_kv")), 0);
    struct hx_version version = { .provides_count = 1,
                                  .provides = { { .interface = interface, .version = HX_SCHED_VERSION_1_0 } },
                                  .record = &(struct hx_module_record){ .name = "sched_old" } };
    struct hx_report report;
    hx_report_init(&report);
    cr_assert_eq(hx_lifecycle_admit_provides(NULL, &version, &report), HX_E_VERSION);
    cr_assert_str_eq(report.subject, "hx_sched");
    cr_assert(strstr(report.message, "sched_old provides hx.sched 1.0, and 2 processors need 1.2; build it"), "%s",
              report.message);
    version.provides[0].version = HX_SCHED_VERSION_1_2;
    cr_assert_eq(hx_lifecycle_admit_provides(NULL, &version, &report), HX_OK);
}

static struct {
    struct hx_version *version;
    bool done;
} destroying;

static void *destroy_version(void *argument)
{
    (void)argument;
    hal_host_cpu_enter(1);
    hx_version_destroy(destroying.version);
    __atomic_store_n(&destroying.done, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* A trap elsewhere has found it, and names a function of it. */
Test(engine, a_version_is_not_freed_while_the_registry_is_held)
{
    pthread_t thread;
    struct hx_report report;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    hx_report_init(&report);
    cr_assert_eq(
        hx_version_create(hx_module_find("svc_kv"), NULL, world_file("svc_kv.hxm"), "", &destroying.version, &report),
        HX_OK, "%s", report.message);
    hx_irq_flags_t flags = hx_module_registry_lock();
    cr_assert_eq(pthread_create(&thread, NULL, destroy_version, NULL), 0);
    usleep(50000);
    cr_assert_not(__atomic_load_n(&destroying.done, __ATOMIC_SEQ_CST), "freed under the eyes of a trap");
    hx_module_registry_unlock(flags);
    pthread_join(thread, NULL);
    cr_assert(destroying.done);
}

/* ---- a scheduler that goes on answering wrongly ---------------------------------------------------------------------- */

static hx_status_t yield_often(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < 100; i++)
        hx_task_yield();
    return HX_OK;
}

static void have_it_asked(void)
{
    hx_handle_t task = HX_HANDLE_NONE;
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", 100, yield_often, NULL, &task), HX_OK);
    hal_host_advance(100000000);
    cr_assert_eq(hx_task_count(), 2, "a task was lost"); /* idle, worker */
}

Test(engine, a_scheduler_that_goes_on_answering_wrongly_is_reverted_on_probation)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("sched_rr", "sched_wrong_answers.hxm", NULL), HX_OK);
    have_it_asked();
    const struct hx_module *module = hx_module_find("sched_rr");
    cr_assert(module && module->state == HX_MODULE_RUNNING && !module->previous);
    cr_assert_str_eq(world_version("sched_rr"), "1.0.0");
}

Test(engine, a_scheduler_that_goes_on_answering_wrongly_is_in_error_when_there_is_no_other)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_wrong_answers.hxm", &job), HX_OK, "%s", job.report.message);
    have_it_asked();
    const struct hx_module *module = hx_module_find(job.loaded);
    cr_assert_eq(module->state, HX_MODULE_ERROR);
    cr_assert(strstr(module->fault, "16 wrong answers within a second"), "%s", module->fault);
}
