/* SPDX-License-Identifier: MIT */
/* test_audit.c - a policy's tasks against the core's: swaps of real policies, and what may differ on other CPUs. */
#include "world.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <task/audit.h>
#include <task/schedule.h>

enum { PROBATION_MS = 1000, YIELDERS = 3, TURNS = 50 };

/* ---- swaps ------------------------------------------------------------------------------------------------------------ */

static struct {
    hx_handle_t yielder[YIELDERS], sleeper;
    uint64_t turns[YIELDERS];
    bool over, due;
    struct hx_waitq queue;
} crowd;

static hx_status_t take_turns(void *argument)
{
    uint64_t *turns = argument;
    while (!crowd.over) {
        (*turns)++;
        if (crowd.turns[0] >= TURNS && !crowd.due) {
            crowd.due = true;
            hx_waitq_wake_one(&crowd.queue);
        }
        hx_task_yield();
    }
    return HX_OK;
}

static hx_status_t sleep_well(void *argument)
{
    (void)argument;
    return hx_task_sleep_until(UINT64_MAX - 1);
}

static bool is_due(void *context)
{
    (void)context;
    return crowd.due;
}

static void make_sleeper(void)
{
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "sleeper", 100, sleep_well, NULL, &crowd.sleeper), HX_OK);
}

static void gather(void)
{
    char name[HX_NAME_MAX];
    hx_waitq_init(&crowd.queue);
    make_sleeper();
    for (uint32_t i = 0; i < YIELDERS; i++) {
        snprintf(name, sizeof(name), "yielder%u", i);
        cr_assert_eq(hx_task_create(HX_TASK_POLICY, name, 100, take_turns, &crowd.turns[i], &crowd.yielder[i]), HX_OK);
    }
}

/* Until each has had turns. Then one is interrupted, the others are queued, the sleeper sleeps. */
static void let_them_run(void)
{
    memset(crowd.turns, 0, sizeof(crowd.turns));
    crowd.due = false;
    cr_assert_eq(hx_waitq_wait(&crowd.queue, is_due, NULL, UINT64_MAX), HX_OK);
    for (uint32_t i = 0; i < YIELDERS; i++)
        cr_assert_gt(crowd.turns[i], TURNS / 2u, "yielder %u", i);
}

static hx_status_t reload(const char *module, const char *file, struct hx_job *job)
{
    *job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                            .file = world_file(file),
                            .who = "test",
                            .by = &hx_kernel_principal,
                            .may_downgrade = true };
    snprintf(job->module, sizeof(job->module), "%s", module);
    return hx_engine_run(job);
}

static void disperse(void)
{
    crowd.over = true;
    cr_assert_eq(hx_task_kill(crowd.sleeper), HX_OK);
}

static void expect_no_help(void)
{
    struct hx_sched_stats stats;
    hx_sched_stats(&stats);
    cr_assert_eq(stats.bad_answers, 0);
    cr_assert_eq(stats.fallbacks, 0);
}

/* From each to each, and each to itself. Before each swap one is killed that sleeps. */
static hx_status_t swap_all(void *argument)
{
    static const char *const files[] = {
        "sched_rr.hxm",   "sched_rr.hxm",   "sched_rr-2.hxm", "sched_prio.hxm", "sched_fair.hxm",
        "sched_edf.hxm",  "sched_edf.hxm",  "sched_fair.hxm", "sched_fair.hxm", "sched_prio.hxm",
        "sched_prio.hxm", "sched_edf.hxm",  "sched_rr.hxm",   "sched_prio.hxm", "sched_rr-2.hxm",
        "sched_fair.hxm", "sched_rr.hxm",   "sched_edf.hxm",  "sched_prio.hxm", "sched_rr.hxm",
        "sched_fair.hxm", "sched_rr-2.hxm", "sched_edf.hxm",  "sched_rr-2.hxm", "sched_rr-2.hxm",
    };
    char module[HX_NAME_MAX] = "sched_rr";
    (void)argument;
    gather();
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(files); i++) {
        struct hx_job job;
        let_them_run();
        cr_assert_eq(hx_task_kill(crowd.sleeper), HX_OK);
        cr_assert_eq(reload(module, files[i], &job), HX_OK, "%s, swap %u: %s", files[i], i, job.swap.report.message);
        memcpy(module, job.swap.new_name, sizeof(module));
        make_sleeper();
    }
    let_them_run();
    disperse();
    return HX_OK;
}

Test(audit, the_policies_pass_among_each_other)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    uint32_t tasks = hx_task_count();
    cr_assert_eq(world_run(swap_all, NULL), HX_OK);
    hal_host_advance(10000000);
    cr_assert_eq(hx_task_count(), tasks);
    expect_no_help();
}

struct refusal {
    const char *file;
    const char *subject; /* begins with this */
    const char *says;    /* NULL: nothing that is looked for */
    enum hx_state_way way;
};

static hx_status_t be_refused(void *argument)
{
    const struct refusal *refusal = argument;
    struct hx_job job;
    gather();
    let_them_run();
    struct census before = world_census();
    hx_status_t err = reload("sched_rr", refusal->file, &job);
    cr_assert_eq(err, HX_E_CORRUPT, "%d: %s: %s", err, job.swap.report.step, job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "audit");
    cr_assert_eq(job.swap.way, refusal->way);
    cr_assert_eq(strncmp(job.swap.report.subject, refusal->subject, strlen(refusal->subject)), 0, "subject `%s'",
                 job.swap.report.subject);
    cr_assert(strstr(job.swap.report.message, refusal->says), "`%s'", job.swap.report.message);
    cr_assert_str_eq(world_version("sched_rr"), "1.0.0");
    ASSERT_CENSUS(before);
    let_them_run(); /* nobody is lost */
    expect_no_help();
    cr_assert_eq(reload("sched_rr", "sched_rr-2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    let_them_run();
    disperse();
    return HX_OK;
}

static void check_refusal(struct refusal refusal)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(be_refused, &refusal), HX_OK);
    hal_host_advance(10000000);
    expect_no_help();
}

#define REFUSAL(name, ...)                                                                                             \
    Test(audit_refuses, name)                                                                                          \
    {                                                                                                                  \
        check_refusal((struct refusal){ __VA_ARGS__ });                                                                \
    }

REFUSAL(a_load_that_drops_a_ready_task, "sched_load_drops.hxm", "yielder",
        "is ready on CPU 0 for the kernel, and for the new version not at all", HX_STATE_HOOKS)
REFUSAL(a_load_that_drops_a_waiting_task, "sched_load_drops_waiting.hxm", "",
        "for the kernel, and for the new version not at all", HX_STATE_HOOKS)
REFUSAL(a_load_that_queues_a_waiting_task, "sched_load_queues.hxm", "",
        "for the kernel, and for the new version queued on CPU 0", HX_STATE_HOOKS)
REFUSAL(a_load_that_takes_a_ready_task_for_a_waiting_one, "sched_load_unqueues.hxm", "yielder",
        "is ready on CPU 0 for the kernel, and for the new version waiting on CPU 0", HX_STATE_HOOKS)
REFUSAL(a_load_that_puts_a_task_on_another_cpu, "sched_load_moves.hxm", "yielder",
        "is ready on CPU 0 for the kernel, and for the new version queued on CPU 1", HX_STATE_HOOKS)
REFUSAL(a_load_that_invents_a_task, "sched_load_invents.hxm", "0x",
        "is gone on CPU 0 for the kernel, and for the new version queued on CPU 0", HX_STATE_HOOKS)
REFUSAL(a_task_that_is_there_twice_in_what_is_shared, "sched_saves_twice.hxm", "yielder",
        "is ready on CPU 0 for the kernel, and for the new version twice", HX_STATE_SHARED)
REFUSAL(one_that_finds_nobody_in_what_is_shared, "sched_saves_none.hxm", "sleeper",
        "is sleeping on CPU 0 for the kernel, and for the new version not at all", HX_STATE_SHARED)
REFUSAL(one_that_finds_damaged_what_is_shared, "sched_save_damaged.hxm", "save", "could not save its state",
        HX_STATE_SHARED)

/* The version that comes back believes what was true at the swap: in its queue is one who is no more, and one waits who is. */
static hx_status_t go_back_and_on(void *argument)
{
    struct hx_job job;
    (void)argument;
    gather();
    let_them_run();
    cr_assert_eq(reload("sched_rr", "sched_rr-2.hxm", &job), HX_OK);
    let_them_run();
    for (uint32_t i = 0; i < YIELDERS; i++)
        if (hx_task_of(crowd.yielder[i])->told)
            cr_assert_eq(hx_task_kill(crowd.yielder[i]), HX_OK);
    disperse();
    job = (struct hx_job){ .kind = HX_JOB_ROLLBACK, .module = "sched_rr", .who = "test", .by = &hx_kernel_principal };
    cr_assert_eq(hx_sched_estranged, 0);
    cr_assert_eq(hx_engine_run(&job), HX_OK, "%s", job.report.message);
    cr_assert_eq(hx_sched_estranged, UINT32_MAX);
    cr_assert_eq(reload("sched_rr", "sched_prio.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_neq(hx_sched_estranged, UINT32_MAX, "what is as it should be is believed from then on");
    cr_assert_neq(hx_sched_estranged, 0);
    return HX_OK;
}

Test(audit, beliefs_of_an_earlier_moment_are_no_difference)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(go_back_and_on, NULL), HX_OK);
    hal_host_advance(10000000);
}

static hx_status_t reload_alone(void *job)
{
    return hx_engine_run(job);
}

Test(audit, needs_no_memory_in_the_blackout_and_says_what_it_wants_before)
{
    static const char *const files[] = { "sched_rr.hxm", "sched_rr-2.hxm", "sched_edf.hxm" };
    char module[HX_NAME_MAX] = "sched_rr";
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(files); i++) {
        struct hx_job job;
        bool failed = true;
        for (uint64_t n = 3; failed; n++) { /* the first two make the task that asks */
            struct census before = world_census();
            job = (struct hx_job){ .kind = HX_JOB_RELOAD,
                                   .file = world_file(files[i]),
                                   .who = "test",
                                   .by = &hx_kernel_principal,
                                   .may_downgrade = true };
            memcpy(job.module, module, sizeof(module));
            hal_host_fail_at(n);
            hx_status_t err = world_run(reload_alone, &job);
            failed = hal_host_has_failed();
            hal_host_fail_at(0);
            if (err == HX_OK)
                break;
            cr_assert_eq(err, HX_E_NOMEM, "%s, allocation %lu: %d", files[i], n, err);
            cr_assert_str_neq(job.swap.report.step, "audit");
            ASSERT_CENSUS(before);
        }
        memcpy(module, job.swap.new_name, sizeof(module));
        cr_assert_eq(world_simple(HX_JOB_COMMIT, module, NULL), HX_OK);
    }
}

/* ---- other CPUs ------------------------------------------------------------------------------------------------------- */

static struct hx_sched_difference found;
static struct hx_task *ready, *waiting;
static hx_handle_t ready_handle, waiting_handle;
static uint8_t cpus[HX_TASKS_MAX];

static void *become_second_cpu(void *argument)
{
    (void)argument;
    hal_host_cpu_enter(1);
    return NULL;
}

/* A ready task that the policy was told of, and one that sleeps, both on CPU 1. */
static void begin_with_two_cpus(void)
{
    pthread_t thread;
    hx_handle_t handle = HX_HANDLE_NONE;
    world_begin(PROBATION_MS);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "waiting", 100, sleep_well, NULL, &waiting_handle), HX_OK);
    hal_host_advance(1000000);
    hx_irq_flags_t flags = hx_irq_save();
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "ready", 100, sleep_well, NULL, &handle), HX_OK);
    hx_irq_restore(flags);
    ready_handle = handle;
    ready = hx_task_of(ready_handle);
    waiting = hx_task_of(waiting_handle);
    cr_assert_eq(pthread_create(&thread, NULL, become_second_cpu, NULL), 0);
    pthread_join(thread, NULL);
    ready->cpu = waiting->cpu = 1;
    ready->told = true;
    ready->in_inbox = false;
    ready->state = HX_TASK_READY;
    waiting->doubted = ready->doubted = waiting->forgotten = ready->forgotten = false;
    cpus[hx_handle_index(ready_handle)] = cpus[hx_handle_index(waiting_handle)] = 1;
    hx_sched_estranged = 0;
}

/* @queued and @known, each a handle or HX_HANDLE_NONE. */
static hx_status_t audit(hx_handle_t queued, hx_handle_t known, hx_handle_t known_too)
{
    hx_handle_t list[2];
    struct hx_sched_saved saved = { .ready = &queued,
                                    .ready_count = queued != HX_HANDLE_NONE,
                                    .waiting = list,
                                    .cpu = cpus,
                                    .cpu_count = HX_TASKS_MAX };
    if (known != HX_HANDLE_NONE)
        list[saved.waiting_count++] = known;
    if (known_too != HX_HANDLE_NONE)
        list[saved.waiting_count++] = known_too;
    return hx_sched_audit(&saved, &found);
}

Test(audit_elsewhere, the_same_tasks_are_no_difference)
{
    begin_with_two_cpus();
    cr_assert_eq(audit(ready_handle, waiting_handle, HX_HANDLE_NONE), HX_OK, "%s is %s, %s", found.name, found.is,
                 found.has);
}

Test(audit_elsewhere, who_is_missing_is_named)
{
    begin_with_two_cpus();
    cr_assert_eq(audit(ready_handle, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "waiting");
    cr_assert_eq(found.is_on, 1);
    cr_assert_str_eq(found.has, "not at all");
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "ready");
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, ready_handle), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "ready");
    cr_assert_str_eq(found.has, "waiting");
}

Test(audit_elsewhere, who_is_in_the_inbox_may_be_unknown_or_waiting_and_not_queued)
{
    begin_with_two_cpus();
    ready->told = false;
    ready->in_inbox = true;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, ready_handle), HX_OK);
    cr_assert_eq(audit(ready_handle, waiting_handle, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.is, "ready, which nobody has told,");
}

Test(audit_elsewhere, whom_a_waiting_question_is_about_may_be_anywhere)
{
    begin_with_two_cpus();
    hx_sched_book_of(1)->telling = ready_handle;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, ready_handle), HX_OK);
    ready->told = false;
    cr_assert_eq(audit(ready_handle, waiting_handle, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(audit(ready_handle, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "waiting");
}

Test(audit_elsewhere, the_dead_are_known_only_until_the_policy_is_told)
{
    begin_with_two_cpus();
    hx_handle_t dead = hx_handle_make(HX_HANDLE_TASK, 77, HX_TASKS_MAX - 1);
    ready->told = false;
    cpus[HX_TASKS_MAX - 1] = 1;
    cr_assert_eq(audit(dead, waiting_handle, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.is, "gone");
    hx_sched_book_of(1)->telling = dead;
    cr_assert_eq(audit(dead, waiting_handle, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, dead), HX_OK);
    hx_sched_book_of(1)->telling = HX_HANDLE_NONE;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, dead), HX_E_CORRUPT);
    cr_assert_str_eq(found.is, "gone");
    cr_assert_str_eq(found.has, "waiting");
    hx_sched_book_of(1)->running = dead;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, dead), HX_OK, "one that has exited");
    hx_sched_book_of(1)->running = HX_HANDLE_NONE;
    hx_sched_estranged = UINT32_MAX;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, dead), HX_OK, "one of before a revert");
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(hx_sched_estranged, 0);
}

Test(audit_elsewhere, who_is_about_to_stop_there_is_known_and_no_more)
{
    begin_with_two_cpus();
    struct hx_cpu *cpu = hx_hal_on_cpu(&hx_cpu, 1);
    cpu->current = ready;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, ready_handle), HX_OK);
    ready->state = HX_TASK_RUNNING;
    ready->told = false;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, ready_handle), HX_OK);
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.is, "running");
    ready->forgotten = true;
    cr_assert_eq(audit(HX_HANDLE_NONE, waiting_handle, HX_HANDLE_NONE), HX_OK);
}

Test(audit_elsewhere, nothing_is_held_against_who_is_doubted_or_a_cpu_that_has_to_forget)
{
    begin_with_two_cpus();
    waiting->doubted = true;
    cr_assert_eq(audit(ready_handle, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_OK);
    cr_assert_eq(audit(waiting_handle, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "ready");
    waiting->doubted = false;
    hx_sched_book_of(1)->forget_due = true;
    cr_assert_eq(audit(HX_HANDLE_NONE, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_OK);
}

/* Over as soon as that CPU goes on. */
static void *finish_the_moment(void *argument)
{
    (void)argument;
    hal_host_cpu_enter(1);
    __atomic_store_n(&ready->told, false, __ATOMIC_SEQ_CST);
    __atomic_store_n(&ready->state, HX_TASK_RUNNING, __ATOMIC_SEQ_CST);
    return NULL;
}

Test(audit_elsewhere, a_moment_between_answer_and_book_is_waited_for)
{
    pthread_t thread;
    begin_with_two_cpus();
    cr_assert_eq(pthread_create(&thread, NULL, finish_the_moment, NULL), 0);
    hx_status_t err = HX_E_CORRUPT;
    for (uint32_t i = 0; err != HX_OK && i < 10000; i++)
        err = audit(HX_HANDLE_NONE, waiting_handle, ready_handle);
    pthread_join(thread, NULL);
    cr_assert_eq(err, HX_OK);
}

Test(audit_here, what_differs_is_looked_at_once)
{
    world_begin(PROBATION_MS);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "waiting", 100, sleep_well, NULL, &waiting_handle), HX_OK);
    hal_host_advance(1000000);
    hx_task_of(waiting_handle)->forgotten = hx_task_of(waiting_handle)->doubted = false;
    cr_assert_eq(audit(HX_HANDLE_NONE, HX_HANDLE_NONE, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.name, "waiting");
    cr_assert_eq(audit(hx_task_current()->handle, waiting_handle, HX_HANDLE_NONE), HX_E_CORRUPT);
    cr_assert_str_eq(found.is, "none of the policy's");
}
