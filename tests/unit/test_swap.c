/* SPDX-License-Identifier: MIT */
/* test_swap.c - swaps of real modules: the state carried over, every refusal, every failed allocation. */
#include "world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 1000, PROBATION_MS = 1000 };

static void begin_with_kv(void)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    world_kv_fill(KEYS);
}

static void end_probation(void)
{
    hal_host_advance((PROBATION_MS + 10) * 1000000ull);
}

/* ---- state ------------------------------------------------------------------------------------------------------------ */

Test(swap, converted_state_has_every_key_byte_for_byte)
{
    struct hx_job job;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
    cr_assert_eq(job.swap.way, HX_STATE_HOOKS);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

Test(swap, shared_state_has_every_key_and_can_be_written)
{
    struct hx_job job;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_eq(job.swap.way, HX_STATE_SHARED);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    world_kv_fill(KEYS + 20);
    cr_assert_eq(world_kv_count_intact(KEYS + 20), KEYS + 20u);
    end_probation();
    cr_assert_eq(world_kv_count_intact(KEYS + 20), KEYS + 20u);
}

/* A build of the same layout that keeps nothing in the record. */
Test(swap, rollback_restores_the_state_of_the_swap)
{
    struct hx_job job;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "kv_faults_on_boom.hxm", &job), HX_OK);
    cr_assert_eq(job.swap.way, HX_STATE_SHARED);
    world_kv_fill(KEYS + 5);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK);
    cr_assert_eq(job.swap.outcome, HX_SWAP_REVERTED);
    cr_assert_geq(job.swap.calls_since, KEYS + 5u);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS + 5), KEYS, "keys put after the swap are gone");
}

Test(swap, rollback_goes_on_with_what_the_record_has_kept_since)
{
    static const char *const next[] = { "svc_kv.hxm", "svc_kv-2.hxm", "svc_kv-2.hxm" };
    begin_with_kv();
    for (uint32_t i = 1; i <= HX_ARRAY_SIZE(next); i++) {
        struct hx_job job;
        cr_assert_eq(world_reload("svc_kv", next[i - 1], &job), HX_OK);
        world_kv_fill(KEYS + 5 * i);
        cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK);
        cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
        cr_assert_eq(world_kv_count_intact(KEYS + 5 * i), KEYS + 5 * i, "%s", next[i - 1]);
        cr_assert_eq(world_simple(HX_JOB_RESTART, "svc_kv", &job), HX_OK);
        cr_assert_eq(world_kv_count_intact(KEYS + 5 * i), KEYS + 5 * i, "%s", next[i - 1]);
    }
}

Test(swap, probation_ends_in_a_commit_that_frees_the_old_version)
{
    struct hx_job job;
    begin_with_kv();
    struct census before = world_census();
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_not_null(hx_module_find("svc_kv")->previous);
    cr_assert_eq(hx_history_get(job.swap.number)->outcome, HX_SWAP_PROBATION);
    end_probation();
    cr_assert_null(hx_module_find("svc_kv")->previous);
    cr_assert_eq(hx_history_get(job.swap.number)->outcome, HX_SWAP_COMMITTED);
    ASSERT_CENSUS(before);
}

Test(swap, commit_by_hand_ends_probation)
{
    struct hx_job job;
    begin_with_kv();
    struct census before = world_census();
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_OK);
    ASSERT_CENSUS(before);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_E_NOENT);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_E_NOENT);
}

Test(swap, a_second_swap_commits_the_pending_one)
{
    struct hx_job first, second;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &first), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &second), HX_OK);
    cr_assert_eq(hx_history_get(first.swap.number)->outcome, HX_SWAP_COMMITTED);
    cr_assert_eq(second.swap.way, HX_STATE_SHARED);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &second), HX_OK);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

/* ---- faults ----------------------------------------------------------------------------------------------------------- */

static hx_status_t get_boom(void *argument)
{
    char value[8];
    (void)argument;
    return (hx_status_t)hx_kv_get("boom", 4, value, sizeof(value));
}

Test(swap, a_fault_on_probation_reverts_with_the_state_of_the_swap)
{
    struct hx_job job;
    begin_with_kv();
    struct census before = world_census();
    cr_assert_eq(world_reload("svc_kv", "kv_faults_on_boom.hxm", &job), HX_OK);
    world_kv_fill(KEYS + 5);
    cr_assert_eq(world_run(get_boom, NULL), HX_E_FAULT);
    const struct hx_swap_record *record = hx_history_get(job.swap.number);
    cr_assert_eq(record->outcome, HX_SWAP_REVERTED);
    cr_assert_eq(record->report.err, HX_E_FAULT);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS + 5), KEYS);
    ASSERT_CENSUS(before);
}

Test(swap, a_fault_after_probation_ends_in_error_and_the_module_can_be_unloaded_and_loaded)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    struct census before = world_census();
    cr_assert_eq(world_load("kv_faults_on_boom.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(get_boom, NULL), HX_E_FAULT);
    cr_assert_eq(hx_module_find("svc_kv")->state, HX_MODULE_ERROR);
    cr_assert_eq(world_run(get_boom, NULL), HX_E_FAILED);
    cr_assert_eq(world_reload("svc_kv", "svc_kv.hxm", &job), HX_E_STATE);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
    ASSERT_CENSUS(before);
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(get_boom, NULL), HX_E_NOENT);
}

/* ---- refusals, one a step --------------------------------------------------------------------------------------------- */

struct refusal {
    const char *load;  /* what runs */
    const char *first; /* what it is swapped to before, or NULL */
    const char *file;  /* what is refused */
    const char *step;
    hx_status_t err;
    const char *subject; /* part of it */
};

static uint8_t *copy_of_state(const char *module)
{
    const struct hx_version *running = hx_module_find(module)->running;
    uint8_t *copy = malloc(running->state_bytes);
    memcpy(copy, running->state, running->state_bytes);
    return copy;
}

static hx_status_t sleep_long(void *argument)
{
    (void)argument;
    return hx_task_sleep_until(UINT64_MAX - 1);
}

/* Gives the module something to lose: keys, or a task that it has on its books. */
static void fill_state(const char *module)
{
    hx_handle_t task = HX_HANDLE_NONE;
    if (strcmp(module, "svc_kv") == 0) {
        world_kv_fill(KEYS);
        return;
    }
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "sleeper", 77, sleep_long, NULL, &task), HX_OK);
    hal_host_advance(1000000);
}

static void check_refusal(const struct refusal *r)
{
    struct hx_job job;
    char module[HX_NAME_MAX], version[16];
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load(r->load, &job), HX_OK, "%s", job.report.message);
    strcpy(module, job.loaded);
    if (r->first) {
        cr_assert_eq(world_reload(module, r->first, &job), HX_OK, "%s: %s", r->first, job.swap.report.message);
        cr_assert_eq(world_simple(HX_JOB_COMMIT, module, &job), HX_OK);
    }
    strcpy(version, world_version(module));
    fill_state(module);
    struct census before = world_census();
    uint8_t *state = copy_of_state(module);
    hx_status_t err = world_reload(module, r->file, &job);
    cr_assert_eq(err, r->err, "%s: %d, %s: %s", r->file, err, job.swap.report.step, job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, r->step, "%s: %s", r->file, job.swap.report.step);
    cr_assert_eq(job.swap.report.err, r->err, "%s: %d", r->file, job.swap.report.err);
    cr_assert(strstr(job.swap.report.subject, r->subject), "%s: subject `%s'", r->file, job.swap.report.subject);
    cr_assert_neq(job.swap.report.message[0], 0, "%s says nothing", r->file);
    cr_assert_str_eq(world_version(module), version, "%s", r->file);
    cr_assert_eq(hx_module_find(module)->state, HX_MODULE_RUNNING);
    ASSERT_CENSUS(before);
    const struct hx_version *running = hx_module_find(module)->running;
    cr_assert_eq(memcmp(state, running->state, running->state_bytes), 0, "%s: the old version's state has changed",
                 r->file);
    free(state);
    /* The same module swaps to a good version afterwards. */
    cr_assert_eq(world_reload(module, r->load, &job), HX_OK, "%s: %s", r->load, job.swap.report.message);
}

#define REFUSAL(name, ...)                                                                                             \
    Test(swap_refused, name)                                                                                           \
    {                                                                                                                  \
        check_refusal(&(const struct refusal){ __VA_ARGS__ });                                                         \
    }

REFUSAL(at_link_for_a_missing_symbol, "svc_kv.hxm", NULL, "missing_symbol.hxm", "link", HX_E_SYMBOL, "hx_no")
REFUSAL(at_link_for_another_abi, "svc_kv.hxm", NULL, "wrong_abi.hxm", "link", HX_E_ABI, "abi")
REFUSAL(at_link_without_descriptor, "svc_kv.hxm", NULL, "descriptor_missing.hxm", "link", HX_E_FORMAT, ".hx.module")
REFUSAL(at_link_for_a_missing_provider, "svc_kv.hxm", NULL, "missing_dependency.hxm", "link", HX_E_DEPENDENCY, "")
REFUSAL(at_admit_when_the_kernel_relies_on_it, "svc_kv.hxm", NULL, "drv_rtc.hxm", "admit", HX_E_IN_USE, "hx_kv")
REFUSAL(at_init, "sched_rr.hxm", NULL, "sched_init_fails.hxm", "init", HX_E_NOMEM, "init")
REFUSAL(at_a_faulting_init, "sched_rr.hxm", NULL, "sched_init_faults.hxm", "init", HX_E_FAULT, "init")
REFUSAL(at_reserve_for_a_dropped_field, "sched_rr.hxm", NULL, "sched_field_dropped.hxm", "reserve", HX_E_SCHEMA, "")
REFUSAL(at_state_by_load, "sched_rr.hxm", NULL, "sched_load_refuses.hxm", "state", HX_E_SCHEMA, "load")
REFUSAL(at_state_by_a_faulting_load, "sched_rr.hxm", NULL, "sched_load_faults.hxm", "state", HX_E_FAULT, "load")
REFUSAL(at_state_when_save_claims_too_much, "sched_rr.hxm", "sched_save_too_much.hxm", "sched_rr-2.hxm", "state",
        HX_E_LIMIT, "save")
REFUSAL(at_state_by_save, "sched_rr.hxm", "sched_save_fails.hxm", "sched_rr-2.hxm", "state", HX_E_HARDWARE, "save")
REFUSAL(at_start, "sched_rr.hxm", NULL, "sched_start_fails.hxm", "start", HX_E_HARDWARE, "start")
REFUSAL(at_check, "sched_rr.hxm", NULL, "sched_check_fails.hxm", "check", HX_E_CORRUPT, "check")

Test(swap_refused, at_admit_when_the_interrupt_line_is_taken)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("drv_rtc.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("good_minimal.hxm", &job), HX_OK, "%s", job.report.message);
    struct census before = world_census();
    cr_assert_eq(world_reload(job.loaded, "irq_taken.hxm", &job), HX_E_IN_USE, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "reserve");
    cr_assert_str_eq(job.swap.report.subject, "other");
    cr_assert(strstr(job.swap.report.message, "drv_rtc"));
    ASSERT_CENSUS(before);
}

Test(swap_refused, of_an_older_version_that_nobody_named)
{
    struct hx_job job;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                           .module = "svc_kv",
                           .file = world_file("svc_kv.hxm"),
                           .who = "test",
                           .by = &hx_kernel_principal };
    cr_assert_eq(world_run((hx_status_t(*)(void *))hx_engine_run, &job), HX_E_VERSION);
    cr_assert_str_eq(job.swap.report.step, "admit");
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
}

static hx_status_t get_key(void *argument)
{
    char value[8];
    return (hx_status_t)hx_kv_get(argument, strlen(argument), value, sizeof(value));
}

Test(swap_refused, at_drain_while_somebody_sleeps_inside)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "kv_sleeps.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "svc_kv", &job), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "dreamer", 100, get_key, "sleep", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_BUSY, "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "drain");
    cr_assert_str_eq(job.swap.report.subject, "dreamer");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    hal_host_advance(6000000000u);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

Test(swap, waits_for_who_leaves_in_time)
{
    struct hx_job job;
    hx_handle_t task = HX_HANDLE_NONE;
    begin_with_kv();
    cr_assert_eq(world_reload("svc_kv", "kv_sleeps.hxm", &job), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "napper", 100, get_key, "nap", &task), HX_OK);
    hal_host_advance(1000000);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_geq(job.swap.blackout_ns, 10000000u);
}

Test(swap, reloads_off_refuses_and_changes_nothing)
{
    struct hx_job job;
    begin_with_kv();
    hx_engine_set_reloads(false);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_E_DISABLED);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    hx_engine_set_reloads(true);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", &job), HX_OK);
}

Test(swap, of_what_is_not_loaded_says_so)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_reload("nobody", "svc_kv.hxm", &job), HX_E_NOENT);
    cr_assert_str_eq(job.report.subject, "nobody");
}

/* ---- failed allocations ----------------------------------------------------------------------------------------------- */

enum { BODY_ALLOCATIONS = 2 }; /* of the task that a step runs in: its record and its stack */

/* Runs @step with the n-th allocation failing, for every n until none fails; each time nothing may be left or lost. */
static void for_every_allocation(hx_status_t (*step)(void), void (*intact)(void))
{
    for (uint64_t n = 1;; n++) {
        struct census before = world_census();
        hal_host_fail_at(BODY_ALLOCATIONS + n);
        hx_status_t err = step();
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_eq(err, HX_OK, "allocation %lu", n);
            cr_assert_gt(n, 1u, "no allocation was made to fail");
            return;
        }
        if (err == HX_OK)
            continue; /* the failure was in what could do without */
        cr_assert_eq(err, HX_E_NOMEM, "allocation %lu: %d", n, err);
        ASSERT_CENSUS(before);
        intact();
    }
}

static hx_status_t load_kv(void)
{
    return world_load("svc_kv.hxm", NULL);
}

static void kv_is_absent(void)
{
    cr_assert_null(hx_module_find("svc_kv"));
}

Test(swap_allocation, every_failure_in_a_load_leaves_nothing)
{
    world_begin(PROBATION_MS);
    for_every_allocation(load_kv, kv_is_absent);
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
}

static hx_status_t reload_kv_2(void)
{
    return world_reload("svc_kv", "svc_kv-2.hxm", NULL);
}

static hx_status_t reload_kv_1(void)
{
    return world_reload("svc_kv", "svc_kv.hxm", NULL);
}

static void kv_is_intact(void)
{
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

Test(swap_allocation, every_failure_in_a_converting_swap_leaves_the_old_version_whole)
{
    begin_with_kv();
    for_every_allocation(reload_kv_2, kv_is_intact);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

Test(swap_allocation, every_failure_in_a_sharing_swap_leaves_the_old_version_whole)
{
    begin_with_kv();
    for_every_allocation(reload_kv_1, kv_is_intact);
    cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
}

/* Taking back and tearing down must not depend on memory: they succeed with every allocation failing. */
Test(swap_allocation, revert_and_teardown_need_no_memory)
{
    struct hx_job job;
    begin_with_kv();
    struct census before = world_census();
    for (uint64_t n = 1; n <= 8; n++) {
        cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
        struct hx_module *module = hx_module_find("svc_kv");
        cr_assert_not_null(module->previous);
        hal_host_fail_at(BODY_ALLOCATIONS + n);
        cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "svc_kv", &job), HX_OK, "allocation %lu", n);
        cr_assert_not(hal_host_has_failed(), "a revert allocates");
        hal_host_fail_at(0);
        ASSERT_CENSUS(before);
        cr_assert_eq(world_kv_count_intact(KEYS), KEYS);
    }
    hal_host_fail_at(BODY_ALLOCATIONS + 1);
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
    cr_assert_not(hal_host_has_failed(), "a teardown allocates");
    hal_host_fail_at(0);
}

/* ---- parameters -------------------------------------------------------------------------------------------------------- */

static hx_status_t run_job(struct hx_job *job)
{
    return world_run((hx_status_t(*)(void *))hx_engine_run, job);
}

Test(swap, parameters_go_on_to_hold_for_the_same_module_only)
{
    struct hx_job job = { .kind = HX_JOB_LOAD,
                          .file = world_file("sched_rr.hxm"),
                          .params = "quantum_ms=7",
                          .who = "test",
                          .by = &hx_kernel_principal };
    world_begin(PROBATION_MS);
    cr_assert_eq(run_job(&job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("sched_rr", "sched_rr-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(hx_module_find("sched_rr")->running->params_text, "quantum_ms=7");
    cr_assert_eq(world_reload("sched_rr", "sched_prio.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(hx_module_find("sched_prio")->running->params_text, "");
    job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                           .module = "sched_prio",
                           .file = world_file("sched_rr.hxm"),
                           .who = "test",
                           .by = &hx_kernel_principal };
    job.params = "quantum_ms=3";
    cr_assert_eq(run_job(&job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(hx_module_find("sched_rr")->running->params_text, "quantum_ms=3");
}
