/* SPDX-License-Identifier: MIT */
/* test_sched_edf.c - deadlines kept and refused, in simulated time. Conversions between policies are in test_sched_rr.c. */
#include "modules/sched_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000000, STEP_NS = MS / 4 };

static hx_handle_t task(uint32_t index)
{
    return hx_handle_make(HX_HANDLE_TASK, 1, index);
}

Test(sched_edf, random_events_leave_it_sound_and_no_task_out)
{
    sched_test_random(&sched_edf1, 3, 20000);
    sched_test_random(&sched_edf1, 40, 60000);
}

Test(sched_edf, bad_arguments_are_refused)
{
    sched_test_bad_arguments(&sched_edf1);
}

Test(sched_edf, bad_blobs_are_refused)
{
    sched_test_bad_blobs(&sched_edf1);
}

Test(sched_edf, every_index_can_be_used_and_saved)
{
    sched_test_full(&sched_edf1);
}

Test(sched_edf, parameters_out_of_range_are_refused)
{
    *sched_edf1_shares = 17;
    cr_expect(sched_edf1.record->hooks.init() == HX_E_INVAL);
    *sched_edf1_shares = 0;
    cr_expect(sched_edf1.record->hooks.init() == HX_E_INVAL);
    *sched_edf1_shares = 16;
    *sched_edf1_period_ms = 0;
    cr_expect(sched_edf1.record->hooks.init() == HX_E_INVAL);
    *sched_edf1_period_ms = 10001;
    cr_expect(sched_edf1.record->hooks.init() == HX_E_INVAL);
    *sched_edf1_period_ms = 10000;
    cr_expect(sched_edf1.record->hooks.init() == HX_OK);
}

/* ---- a machine with jobs ----------------------------------------------------------------------------------------------- */
/* Priority of @sixteenths of a period of 20 ms << @doublings. */
#define DEADLINE(sixteenths, doublings) (uint8_t)(192 + 8 * (7 - (doublings)) + (sixteenths)-1)

#define JOB(level, period, work, start)                                                                                \
    {                                                                                                                  \
        .priority = (level), .period_ns = (period), .work_ns = (work), .released_ns = (start)                          \
    }
#define ALWAYS_READY(level)                                                                                            \
    {                                                                                                                  \
        .priority = (level)                                                                                            \
    }

struct job {
    uint8_t priority;
    uint64_t period_ns, work_ns; /* period 0: always ready */
    uint64_t released_ns;        /* when the job that is under way, or the next one, begins */
    uint64_t left_ns;            /* of the job; 0: it waits for the next */
    uint64_t ran_ns;
    uint32_t done, late;
};

static struct machine {
    struct job *job;
    uint32_t count;
    hx_handle_t running;
    uint64_t ran_ns; /* since it was picked */
} machine;

static const struct hx_sched_ops *edf(void)
{
    return sched_edf1.vtable;
}

static struct job *job_of(hx_handle_t handle)
{
    return &machine.job[hx_handle_index(handle)];
}

static void pick(enum hx_sched_reason reason)
{
    hx_ret_t next = edf()->pick(machine.running, reason, machine.ran_ns, host_now_ns);
    cr_assert(next >= 0, "%d", (int)next);
    machine.running = (hx_handle_t)next;
    machine.ran_ns = 0;
    cr_assert(!next || job_of(machine.running)->left_ns > 0, "it chose one that waits");
}

static void release(uint32_t i, enum hx_sched_reason reason)
{
    struct job *job = &machine.job[i];
    job->left_ns = job->period_ns ? job->work_ns : UINT64_MAX;
    if (edf()->ready(task(i), job->priority, reason) == HX_SCHED_REPLACE)
        pick(HX_SCHED_PREEMPT);
}

static void begin(struct job *jobs, uint32_t count)
{
    static struct sched_model unused;
    sched_model_init(&unused, &sched_edf1);
    machine = (struct machine){ .job = jobs, .count = count };
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].released_ns += host_now_ns;
        if (jobs[i].released_ns == host_now_ns)
            release(i, HX_SCHED_NEW);
    }
}

/* The running job has done all its work. */
static void finish(struct job *job)
{
    job->done++;
    job->late += host_now_ns > job->released_ns + job->period_ns;
    job->released_ns += job->period_ns;
    if (job->released_ns > host_now_ns) {
        pick(HX_SCHED_BLOCK);
        return;
    }
    job->left_ns = job->work_ns; /* the next one waits already */
    pick(HX_SCHED_PREEMPT);
}

static void step(void)
{
    if (machine.running == HX_HANDLE_NONE)
        pick(HX_SCHED_BLOCK);
    host_now_ns += STEP_NS;
    struct job *job = machine.running ? job_of(machine.running) : NULL;
    if (job) {
        machine.ran_ns += STEP_NS;
        job->ran_ns += STEP_NS;
        job->left_ns -= STEP_NS;
        if (job->left_ns == 0)
            finish(job);
        else if (edf()->tick(machine.running, machine.ran_ns) == 1)
            pick(HX_SCHED_PREEMPT);
    }
    for (uint32_t i = 0; i < machine.count; i++)
        if (machine.job[i].left_ns == 0 && machine.job[i].released_ns <= host_now_ns)
            release(i, machine.job[i].done ? HX_SCHED_WOKEN : HX_SCHED_NEW);
}

static void run(uint64_t span_ns)
{
    for (uint64_t end_ns = host_now_ns + span_ns; host_now_ns < end_ns;)
        step();
    host_expect_sound(&sched_edf1);
}

static const char *info(uint32_t i)
{
    static char text[128];
    memset(text, 0, sizeof(text));
    cr_assert(edf()->info(task(i), text, sizeof(text) - 1) > 0);
    return text;
}

static void expect_kept(uint32_t i, uint32_t least)
{
    const struct job *job = &machine.job[i];
    cr_expect(job->late == 0 && job->done >= least, "%u: %u done, %u late", i, job->done, job->late);
    cr_expect(host_field_get(&sched_edf1, "missed", i) == 0, "%u: %s", i, info(i));
}

/* ---- promises ---------------------------------------------------------------------------------------------------------- */
Test(sched_edf, a_set_that_takes_all_of_the_cpu_misses_no_deadline)
{
    static struct job jobs[] = {
        JOB(DEADLINE(8, 0), 20 * MS, 10 * MS, 0),
        JOB(DEADLINE(4, 1), 40 * MS, 10 * MS, 0),
        JOB(DEADLINE(3, 3), 160 * MS, 30 * MS, 0),
        JOB(DEADLINE(1, 4), 320 * MS, 20 * MS, 0),
        ALWAYS_READY(255), /* refused, and always ready */
        ALWAYS_READY(128),
    };
    *sched_edf1_shares = 16;
    begin(jobs, HX_ARRAY_SIZE(jobs));
    cr_expect(strstr(info(0), ", 8/16 of 20 ms, missed 0") && strstr(info(3), ", 1/16 of 320 ms, missed 0"));
    cr_expect(strstr(info(4), ", no deadline: 16/16 taken"), "%s", info(4));
    run(32000ull * MS);
    expect_kept(0, 1599);
    expect_kept(1, 799);
    expect_kept(2, 199);
    expect_kept(3, 99);
    cr_expect(jobs[4].ran_ns == 0 && jobs[5].ran_ns == 0, "there is nothing left for them");
}

/* Periods that begin when they like, work that varies below what was promised; the rest gets what is left. */
Test(sched_edf, out_of_phase_and_irregular_they_miss_none_either)
{
    for (uint32_t round = 0; round < 30; round++) {
        struct job jobs[] = {
            JOB(DEADLINE(5, 0), 20 * MS, 25 * STEP_NS, host_random(80) * STEP_NS),
            JOB(DEADLINE(2, 0), 20 * MS, 10 * STEP_NS, host_random(80) * STEP_NS),
            JOB(DEADLINE(4, 1), 40 * MS, 40 * STEP_NS, host_random(160) * STEP_NS),
            JOB(DEADLINE(4, 3), 160 * MS, 160 * STEP_NS, host_random(640) * STEP_NS),
            ALWAYS_READY(128),
            ALWAYS_READY(10),
        };
        begin(jobs, HX_ARRAY_SIZE(jobs));
        for (uint32_t i = 0; i < 400; i++) {
            run(host_random(40) * STEP_NS);
            struct job *job = &jobs[host_random(4)];
            if (job->left_ns == 0) /* later than it could */
                job->released_ns += host_random(8) * STEP_NS;
        }
        for (uint32_t i = 0; i < 4; i++)
            expect_kept(i, 5);
        cr_expect(jobs[4].ran_ns > 0 && jobs[5].ran_ns > 0, "a sixteenth is left");
    }
}

Test(sched_edf, who_runs_for_longer_than_he_asked_takes_nothing_from_another)
{
    static struct job jobs[] = {
        ALWAYS_READY(DEADLINE(4, 0)), /* never stops */
        JOB(DEADLINE(8, 2), 80 * MS, 40 * MS, 0),
        JOB(DEADLINE(2, 1), 40 * MS, 20 * STEP_NS, 0),
        ALWAYS_READY(128),
    };
    begin(jobs, HX_ARRAY_SIZE(jobs));
    run(16000ull * MS);
    expect_kept(1, 199);
    expect_kept(2, 399);
    cr_expect(jobs[0].ran_ns >= 3990ull * MS && jobs[0].ran_ns <= 4010ull * MS, "%llu",
              (unsigned long long)jobs[0].ran_ns);
    cr_expect(jobs[3].ran_ns >= 1990ull * MS, "%llu", (unsigned long long)jobs[3].ran_ns);
}

Test(sched_edf, the_held_run_when_nobody_else_wants_to)
{
    static struct job jobs[] = { ALWAYS_READY(DEADLINE(1, 0)) };
    begin(jobs, 1);
    run(1000 * MS);
    cr_expect(jobs[0].ran_ns == 1000 * MS);
}

Test(sched_edf, the_earlier_deadline_goes_first_even_if_its_period_is_longer)
{
    static struct job jobs[] = { ALWAYS_READY(DEADLINE(4, 2)), ALWAYS_READY(DEADLINE(4, 1)) };
    begin(jobs, 1);
    run(MS);
    host_now_ns += 50 * MS;
    jobs[1].left_ns = UINT64_MAX;
    cr_expect(edf()->ready(task(1), jobs[1].priority, HX_SCHED_NEW) == HX_SCHED_STAY, "79 ms before 91");
    cr_expect(edf()->tick(task(0), MS) == 0);
    cr_expect(edf()->pick(task(0), HX_SCHED_YIELD, MS, host_now_ns) == (hx_ret_t)task(0));
    cr_expect(edf()->pick(task(0), HX_SCHED_BLOCK, MS, host_now_ns) == (hx_ret_t)task(1));
}

Test(sched_edf, without_promises_it_is_round_robin_whatever_the_priority)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    for (uint32_t i = 0; i < 5; i++)
        sched_model_ready(&model, task(i), (uint8_t)(i * 40), HX_SCHED_NEW);
    hx_handle_t running = HX_HANDLE_NONE;
    for (uint32_t i = 0; i < 20; i++) {
        running = (hx_handle_t)edf()->pick(running, HX_SCHED_PREEMPT, 1, host_now_ns);
        cr_expect(running == task(i % 5));
        cr_expect(edf()->tick(running, 10 * MS - 1) == 0 && edf()->tick(running, 10 * MS) == 1);
    }
}

/* ---- admission --------------------------------------------------------------------------------------------------------- */
static uint64_t taken(void)
{
    return host_field_get(&sched_edf1, "taken", 0) >> 16; /* sixteenths of CPU 0 */
}

Test(sched_edf, a_promise_ends_with_the_task_or_with_its_priority)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(0), DEADLINE(8, 0), HX_SCHED_NEW);
    sched_model_ready(&model, task(1), DEADLINE(7, 5), HX_SCHED_NEW);
    sched_model_ready(&model, task(2), DEADLINE(1, 5), HX_SCHED_NEW);
    cr_expect(taken() == 15 && strstr(info(2), "no deadline: 15/16 taken"), "%s", info(2));
    sched_model_adjust(&model, task(1), DEADLINE(6, 5));
    cr_expect(taken() == 14);
    sched_model_adjust(&model, task(2), 100);
    sched_model_adjust(&model, task(2), DEADLINE(1, 5));
    cr_expect(taken() == 15 && strstr(info(2), ", 1/16 of 640 ms"), "%s", info(2));
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    cr_expect(running == task(0));
    sched_model_pick(&model, running, HX_SCHED_EXIT, 1);
    cr_expect(taken() == 7);
    sched_model_remove(&model, task(2));
    cr_expect(taken() == 6);
    sched_model_ready(&model, hx_handle_make(HX_HANDLE_TASK, 2, 1), 5, HX_SCHED_WOKEN);
    cr_expect(taken() == 0, "the index is another's");
    host_expect_sound(&sched_edf1);
}

Test(sched_edf, who_was_refused_is_looked_at_again_when_it_wakes)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(0), DEADLINE(8, 0), HX_SCHED_NEW);
    sched_model_ready(&model, task(1), DEADLINE(8, 0), HX_SCHED_NEW);
    cr_expect(taken() == 8);
    sched_model_remove(&model, task(0));
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    cr_expect(running == task(1));
    sched_model_pick(&model, running, HX_SCHED_BLOCK, 1);
    sched_model_ready(&model, task(1), DEADLINE(8, 0), HX_SCHED_WOKEN);
    cr_expect(taken() == 8 && strstr(info(1), "8/16 of 20 ms"), "%s", info(1));
}

Test(sched_edf, what_nobody_has_used_for_long_goes_to_who_asks)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(0), DEADLINE(8, 0), HX_SCHED_NEW);
    sched_model_pick(&model, sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0), HX_SCHED_BLOCK, 1);
    host_now_ns += 179 * MS;
    sched_model_ready(&model, task(1), DEADLINE(8, 0), HX_SCHED_NEW);
    cr_expect(strstr(info(1), "no deadline"), "%s", info(1));
    host_now_ns += 2 * MS;
    sched_model_ready(&model, task(2), DEADLINE(8, 0), HX_SCHED_NEW);
    cr_expect(taken() == 8 && strstr(info(2), "8/16 of 20 ms"), "%s", info(2));
    sched_model_ready(&model, task(0), DEADLINE(8, 0), HX_SCHED_WOKEN);
    cr_expect(strstr(info(0), "no deadline"), "%s", info(0));
    host_expect_sound(&sched_edf1);
}

Test(sched_edf, promises_survive_a_conversion_to_itself)
{
    static struct job jobs[] = {
        JOB(DEADLINE(8, 0), 20 * MS, 10 * MS, 0),
        JOB(DEADLINE(4, 1), 40 * MS, 10 * MS, 0),
        JOB(DEADLINE(4, 3), 160 * MS, 40 * MS, 0),
        ALWAYS_READY(DEADLINE(1, 3)),
        ALWAYS_READY(128),
    };
    static const char *const fields[] = { "share", "deadline", "budget", "missed", "queue" };
    *sched_edf1_shares = 16;
    begin(jobs, HX_ARRAY_SIZE(jobs));
    for (uint32_t round = 0; round < 300; round++) {
        uint64_t before[HX_ARRAY_SIZE(fields)][HX_ARRAY_SIZE(jobs)];
        run(host_random(200) * STEP_NS);
        if (machine.running)
            pick(HX_SCHED_PREEMPT);
        for (uint32_t i = 0; i < HX_ARRAY_SIZE(jobs) * HX_ARRAY_SIZE(fields); i++)
            before[i % HX_ARRAY_SIZE(fields)][i / HX_ARRAY_SIZE(fields)] =
                host_field_get(&sched_edf1, fields[i % HX_ARRAY_SIZE(fields)], i / HX_ARRAY_SIZE(fields));
        cr_assert(host_convert(&sched_edf1, &sched_edf1) == HX_OK);
        host_expect_sound(&sched_edf1);
        for (uint32_t i = 0; i < HX_ARRAY_SIZE(jobs); i++)
            for (uint32_t f = 0; f < HX_ARRAY_SIZE(fields); f++)
                cr_expect(host_field_get(&sched_edf1, fields[f], i) == before[f][i], "%s of %u", fields[f], i);
    }
    expect_kept(0, 100);
    expect_kept(1, 100);
    expect_kept(2, 40);
}

Test(sched_edf, promises_in_a_blob_are_not_believed_beyond_what_this_version_makes)
{
    static struct sched_model model;
    uint32_t lies[4] = { 1 << 30, 1 << 19, 1, 7 };
    uint64_t far[4] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    sched_model_init(&model, &sched_edf1);
    for (uint32_t i = 0; i < 3; i++)
        sched_model_ready(&model, task(i), DEADLINE(8, 0), HX_SCHED_NEW);
    cr_assert(host_save(&sched_edf1) == HX_OK);
    host_blob_put("share", lies, sizeof(lies));
    host_blob_put("deadline", far, sizeof(far));
    host_blob_put("budget", far, sizeof(far));
    cr_assert(host_load(&sched_edf1) == HX_OK);
    host_expect_sound(&sched_edf1);
    cr_expect(taken() == 8);
    cr_expect(host_field_get(&sched_edf1, "budget", 0) == 10 * MS);
    cr_expect(host_field_get(&sched_edf1, "deadline", 0) == host_now_ns + 20 * MS);
}

/* ---- reservations ------------------------------------------------------------------------------------------------------ */
static uint64_t on(uint32_t cpu, enum hx_sched_reason why)
{
    return (uint64_t)cpu << 8 | why;
}

static uint64_t share_of(uint32_t i)
{
    return host_field_get(&sched_edf1, "share", i);
}

Test(sched_edf, a_reservation_is_kept_to_the_nanosecond_of_a_tick_whatever_others_do)
{
    static struct job jobs[] = {
        JOB(10, 30 * MS, 12 * MS, 0),         /* 12 of 30 ms, within 20: density 3/5 */
        JOB(10, 50 * MS, 5 * MS, 0),          /* 5 of 50 ms: 1/10 */
        ALWAYS_READY(100), ALWAYS_READY(100), /* 4 of 100 ms, and never has enough: 1/25 */
    };
    begin(jobs, HX_ARRAY_SIZE(jobs));
    cr_expect(edf()->reserve(task(0), 12 * MS, 30 * MS, 20 * MS) == HX_OK);
    cr_expect(edf()->reserve(task(1), 5 * MS, 50 * MS, 50 * MS) == HX_OK);
    cr_expect(edf()->reserve(task(3), 4 * MS, 100 * MS, 100 * MS) == HX_OK);
    cr_expect(strstr(info(0), ", 12000 of 30000 us by 20000, missed 0"), "%s", info(0));
    run(15000ull * MS);
    expect_kept(0, 499);
    expect_kept(1, 299);
    cr_expect(jobs[3].ran_ns >= 595ull * MS && jobs[3].ran_ns <= 605ull * MS, "%llu of 600 ms: it is held",
              (unsigned long long)jobs[3].ran_ns / MS);
    cr_expect(jobs[2].ran_ns >= 6000ull * MS, "the rest gets what is left");
}

Test(sched_edf, densities_add_up_to_the_share_and_not_beyond)
{
    static struct sched_model model;
    *sched_edf1_shares = 16;
    sched_model_init(&model, &sched_edf1);
    for (uint32_t i = 0; i < 4; i++)
        sched_model_ready(&model, task(i), 100, HX_SCHED_NEW);
    cr_expect(edf()->reserve(task(0), 5 * MS, 20 * MS, 10 * MS) == HX_OK, "a half, by the deadline");
    cr_expect(share_of(0) == 1 << 19);
    cr_expect(edf()->reserve(task(1), 5 * MS, 20 * MS, 20 * MS) == HX_OK);
    cr_expect(edf()->reserve(task(2), 2500001, 10 * MS, 10 * MS) == HX_E_LIMIT, "a nanosecond more than there is");
    cr_expect(edf()->reserve(task(2), 2500000, 10 * MS, 11 * MS) == HX_OK, "a later deadline is the period's end");
    cr_expect(taken() == 16 && edf()->reserve(task(3), 1000, 1000 * MS, 1000 * MS) == HX_E_LIMIT);
    host_expect_sound(&sched_edf1);
    cr_expect(edf()->reserve(task(1), 6 * MS, 20 * MS, 20 * MS) == HX_E_LIMIT);
    cr_expect(share_of(1) == 1 << 18 && taken() == 16, "a refusal leaves what there was");
    cr_expect(edf()->reserve(task(1), 4 * MS, 20 * MS, 20 * MS) == HX_OK);
    cr_expect(edf()->reserve(task(0), 0, 0, 0) == HX_OK && share_of(0) == 0);
    cr_expect(edf()->reserve(task(3), 5 * MS, 10 * MS, 10 * MS) == HX_OK);
    host_expect_sound(&sched_edf1);
    sched_model_drain(&model);
}

Test(sched_edf, what_cannot_be_said_exactly_is_rounded_up)
{
    static struct sched_model model;
    *sched_edf1_shares = 16;
    sched_model_init(&model, &sched_edf1);
    for (uint32_t i = 0; i < 3; i++) {
        sched_model_ready(&model, task(i), 100, HX_SCHED_NEW);
        cr_expect(edf()->reserve(task(i), 5 * MS, 15 * MS, 15 * MS) == (i < 2 ? HX_OK : HX_E_LIMIT));
    }
    cr_expect(edf()->reserve(task(2), 4999 * 1000, 15 * MS, 15 * MS) == HX_OK);
}

Test(sched_edf, reservations_that_make_no_sense_are_refused)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(1), 100, HX_SCHED_NEW);
    cr_expect(edf()->reserve(task(2), MS, 10 * MS, 10 * MS) == HX_E_NOENT);
    cr_expect(edf()->reserve(task(1), 11 * MS, 10 * MS, 10 * MS) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), 6 * MS, 10 * MS, 5 * MS) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), 0, 10 * MS, 10 * MS) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), MS, 0, 0) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), 1, 999, 999) == HX_E_INVAL, "less than a microsecond");
    cr_expect(edf()->reserve(task(1), MS, UINT64_MAX, UINT64_MAX) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), UINT64_MAX, UINT64_MAX, UINT64_MAX) == HX_E_INVAL);
    cr_expect(edf()->reserve(task(1), UINT64_MAX, 10 * MS, 10 * MS) == HX_E_INVAL);
    cr_expect(share_of(1) == 0 && taken() == 0);
    host_expect_sound(&sched_edf1);
}

Test(sched_edf, a_reservation_outlives_a_priority_and_ends_with_its_task)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(1), DEADLINE(8, 0), HX_SCHED_NEW);
    cr_expect(share_of(1) == 1 << 19);
    cr_expect(edf()->reserve(task(1), 2500000, 10 * MS, 10 * MS) == HX_OK && share_of(1) == 1 << 18);
    sched_model_adjust(&model, task(1), 3);
    sched_model_adjust(&model, task(1), DEADLINE(4, 0));
    cr_expect(share_of(1) == 1 << 18);
    cr_expect(edf()->reserve(task(1), 0, 0, 0) == HX_OK && strstr(info(1), ", 4/16 of 20 ms"), "%s", info(1));
    cr_expect(edf()->reserve(task(1), 2500000, 10 * MS, 10 * MS) == HX_OK);
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    sched_model_pick(&model, running, HX_SCHED_EXIT, 1);
    cr_expect(taken() == 0);
    sched_model_ready(&model, hx_handle_make(HX_HANDLE_TASK, 2, 1), 3, HX_SCHED_NEW);
    cr_expect(share_of(1) == 0 && host_field_get(&sched_edf1, "reserved", 3) == 0);
    host_expect_sound(&sched_edf1);
}

Test(sched_edf, a_reservation_goes_with_its_task_to_another_cpu_if_that_has_room)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert(edf()->ready(task(i), 100, on(i, HX_SCHED_NEW)) >= 0);
        cr_expect(edf()->reserve(task(i), 6 * MS, 10 * MS, 10 * MS) == HX_OK, "each CPU has its own");
    }
    cr_expect(edf()->remove(task(0)) == HX_OK && taken() == 0);
    cr_assert(edf()->ready(task(0), 100, on(1, HX_SCHED_WOKEN)) >= 0);
    cr_expect(share_of(0) == 0 && strstr(info(0), ", no deadline: 9/16 taken"), "%s", info(0));
    host_expect_sound(&sched_edf1);
    cr_expect(edf()->remove(task(0)) == HX_OK);
    cr_assert(edf()->ready(task(0), 100, on(2, HX_SCHED_WOKEN)) >= 0);
    cr_expect(share_of(0) != 0 && strstr(info(0), ", 6000 of 10000 us by 10000"), "%s", info(0));
    host_expect_sound(&sched_edf1);
}

Test(sched_edf, reservations_survive_a_conversion_and_are_not_believed_if_they_make_no_sense)
{
    static struct sched_model model;
    const uint32_t lies[][3] = { { 5, 4, 4 }, { 4, 8, 9 }, { 0, 1, 1 }, { 1, ~0u, ~0u } };
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(0), 100, HX_SCHED_NEW);
    sched_model_ready(&model, task(1), 100, HX_SCHED_NEW);
    cr_assert(edf()->reserve(task(1), 3 * MS, 20 * MS, 10 * MS) == HX_OK);
    sched_model_convert(&model, &sched_edf1);
    cr_expect(strstr(info(1), ", 3000 of 20000 us by 10000, missed 0"), "%s", info(1));
    cr_expect(host_blob_bytes("reservation") == 2 * 3 * sizeof(uint32_t));
    for (size_t i = 0; i < HX_ARRAY_SIZE(lies); i++) {
        cr_assert(host_save(&sched_edf1) == HX_OK);
        host_blob_put("reservation", lies[i], sizeof(lies[i]));
        cr_expect(host_load(&sched_edf1) == HX_E_SCHEMA, "%zu", i);
        sched_model_init(&model, &sched_edf1);
        sched_model_ready(&model, task(0), 100, HX_SCHED_NEW);
    }
}

/* ---- seeded corruptions ------------------------------------------------------------------------------------------------ */
#define HANDLE(type, index) (((uint64_t)(type) << 56) | (1ull << 32) | (index))

/* 0 runs, 1 and 2 are due, 3 is held, 4 and 5 are of the rest, 6 waits. */
static void prepare(void)
{
    static struct sched_model model;
    sched_model_init(&model, &sched_edf1);
    sched_model_ready(&model, task(3), DEADLINE(1, 0), HX_SCHED_NEW);
    hx_handle_t running = sched_model_pick(&model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0);
    sched_model_pick(&model, running, HX_SCHED_PREEMPT, 2 * MS);
    for (uint32_t i = 0; i < 3; i++)
        sched_model_ready(&model, task(i), DEADLINE(4, i), HX_SCHED_NEW);
    sched_model_pick(&model, task(3), HX_SCHED_PREEMPT, 0);
    for (uint32_t i = 4; i < 6; i++)
        sched_model_ready(&model, task(i), 50, HX_SCHED_NEW);
    sched_model_adjust(&model, task(6), 60);
    cr_assert(host_field_get(&sched_edf1, "running", 0) == task(0) && taken() == 13);
}

/* What the ring of a CPU's rest is called; a task is called by its index plus 1. */
#define RING(cpu) (HX_TASKS_MAX + 1 + 8 * (cpu))

Test(sched_edf, check_finds_seeded_corruptions)
{
    static const struct corruption list[] = {
        { "due", 0, 1 },
        { "due", 8, 1 },
        { "held", 0, 0 },
        { "held", 0, ~0u },
        { "limit", 0, 6 },
        { "limit", 0, HX_TASKS_MAX + 1 },
        { "running", 0, HANDLE(HX_HANDLE_TASK + 1, 0) },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 7) },
        { "running", 0, HANDLE(HX_HANDLE_TASK, 4) },
        { "running", 56, 1 },
        { "ticket", 0, 1 },
        { "taken", 0, 12 << 16 },
        { "taken", 0, 17 << 16 },
        { "taken", 8, 1 << 16 },
        { "due_heap", 1, 2 },
        { "due_heap", 2, 4 },
        { "due_heap", 2, 0xffff },
        { "held_heap", 1, 1 },
        { "place", 3, 0 },
        { "place", 2, 1 },
        { "next", RING(0), 6 },
        { "next", RING(0), RING(0) },
        { "next", RING(0), 0xffff },
        { "next", RING(3), 5 },
        { "back", RING(0), 5 },
        { "next", 5, RING(0) },
        { "next", 5, 5 },
        { "back", 6, RING(0) },
        { "queue", 1, 2 },
        { "queue", 3, 1 },
        { "queue", 5, 0 },
        { "queue", 5, 255 },
        { "queue", 6, 2 },
        { "home", 1, 8 },
        { "home", 5, 8 },
        { "home", 6, 3 },
        { "home", 7, 8 },
        { "asks", 1, 0 },
        { "asks", 7, 1 },
        { "reserved", 21, 1 },
        { "share", 1, 0 },
        { "share", 3, 1 << 19 },
        { "share", 6, 60 },
        { "share", 7, 192 },
        { "deadline", 1, ~0ull },
        { "deadline", 4, 1 },
        { "deadline", 6, 1 },
        { "budget", 1, 0 },
        { "budget", 2, ~0ull },
        { "budget", 3, 1 },
        { "budget", 5, 1 },
        { "order", 1, 1000 },
        { "order", 7, 1 },
        { "handle", 0, 0 },
        { "handle", 4, 0 },
        { "handle", 2, HANDLE(HX_HANDLE_TASK, 3) },
        { "handle", 6, HANDLE(HX_HANDLE_TASK + 2, 6) },
        { "handle", 7, HANDLE(HX_HANDLE_TASK, 7) },
        { "priority", 7, 1 },
        { "runtime", 0, ~0ull },
        { "runtime", 7, 1 },
        { "picks", 4095, 1 },
        { "missed", 4095, 1 },
    };
    prepare();
    host_expect_sound(&sched_edf1);
    host_expect_found(&sched_edf1, list, HX_ARRAY_SIZE(list));
}

Test(sched_edf, spoiled_tables_are_errors_not_wild_writes)
{
    prepare();
    host_field_set(&sched_edf1, "queue", 4, 200);
    cr_expect(edf()->remove(task(4)) == HX_E_CORRUPT);
    host_field_set(&sched_edf1, "due", 0, 0x10000);
    cr_expect(edf()->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == HX_E_CORRUPT);
    cr_expect(edf()->pick(task(6), HX_SCHED_YIELD, 1, 0) == HX_E_CORRUPT);
    cr_expect(host_save(&sched_edf1) == HX_E_CORRUPT);
    prepare();
    host_field_set(&sched_edf1, "back", RING(0), 0xffff);
    cr_expect(edf()->ready(task(9), 50, HX_SCHED_NEW) == HX_E_CORRUPT);
    prepare();
    host_field_set(&sched_edf1, "limit", 0, 0x10000);
    cr_expect(host_save(&sched_edf1) == HX_E_CORRUPT);
}
