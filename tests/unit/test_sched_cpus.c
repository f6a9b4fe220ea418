/* SPDX-License-Identifier: MIT */
/*
 * test_sched_cpus.c - all policies on several CPUs: queues of their own, tasks that move, state that says where each is, and
 * one thread a CPU at once.
 */
#include "modules/sched_model.h"

#include <criterion/criterion.h>
#include <helix/guard.h>
#include <pthread.h>
#include <string.h>

enum { POLICIES = 5, MS = 1000000 };
static const struct module_host *const policies[POLICIES] = { &sched_rr1, &sched_rr2, &sched_prio1, &sched_fair1,
                                                              &sched_edf1 };

static hx_handle_t task(uint32_t index)
{
    return hx_handle_make(HX_HANDLE_TASK, 1, index);
}

static uint64_t on(uint32_t cpu, enum hx_sched_reason why)
{
    return (uint64_t)cpu << 8 | why;
}

static const struct hx_sched_ops *begin(const struct module_host *module)
{
    static struct sched_model unused;
    sched_model_init(&unused, module);
    return module->vtable;
}

static hx_handle_t pick_on(const struct module_host *module, uint32_t cpu, hx_handle_t prev, enum hx_sched_reason why)
{
    hx_ret_t got =
        ((const struct hx_sched_ops *)module->vtable)->pick(prev, on(cpu, why), prev ? 1000 : 0, host_now_ns += 1000);
    cr_assert(got >= 0, "%s: %d on CPU %u", module->label, (int)got, cpu);
    return (hx_handle_t)got;
}

/* ---- queues ------------------------------------------------------------------------------------------------------------ */
Test(sched_cpus, each_cpu_has_a_queue_of_its_own)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        hx_handle_t running[HX_CPUS_MAX] = { HX_HANDLE_NONE };
        for (uint32_t i = 0; i < 3 * HX_CPUS_MAX; i++)
            cr_assert(op->ready(task(i), 100, on(i % HX_CPUS_MAX, HX_SCHED_NEW)) >= 0);
        for (uint32_t i = 0; i < 9 * HX_CPUS_MAX; i++) {
            uint32_t cpu = i * 3 % HX_CPUS_MAX;
            running[cpu] = pick_on(policies[p], cpu, running[cpu], running[cpu] ? HX_SCHED_YIELD : HX_SCHED_BLOCK);
            cr_expect(running[cpu] != HX_HANDLE_NONE && hx_handle_index(running[cpu]) % HX_CPUS_MAX == cpu);
        }
        host_expect_sound(policies[p]);
        for (uint32_t i = 0; i < 3 * HX_CPUS_MAX; i++) {
            uint32_t cpu = i % HX_CPUS_MAX;
            running[cpu] = pick_on(policies[p], cpu, running[cpu], HX_SCHED_EXIT);
        }
        for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
            cr_expect(running[cpu] == HX_HANDLE_NONE);
        host_expect_sound(policies[p]);
    }
}

Test(sched_cpus, a_cpu_that_is_none_is_refused)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        cr_expect(op->ready(task(1), 1, on(HX_CPUS_MAX, HX_SCHED_NEW)) == HX_E_INVAL);
        cr_expect(op->pick(HX_HANDLE_NONE, on(HX_CPUS_MAX, HX_SCHED_BLOCK), 0, 0) == HX_E_INVAL);
        cr_expect(op->pick(task(1), on(0xfffff, HX_SCHED_EXIT), 0, 0) == HX_E_INVAL);
        cr_expect(op->turn(task(1), on(HX_CPUS_MAX, HX_SCHED_BLOCK), 0, 0, task(2), 1) == HX_E_INVAL);
        host_expect_sound(policies[p]);
    }
}

Test(sched_cpus, a_slice_ends_where_somebody_waits_and_nowhere_else)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        for (uint32_t i = 0; i < 3; i++)
            cr_assert(op->ready(task(i), 100, on(i / 2 + 5, HX_SCHED_NEW)) >= 0);
        cr_assert(pick_on(policies[p], 5, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(0));
        cr_assert(pick_on(policies[p], 6, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(2));
        cr_expect(op->tick(task(0), 11 * MS) == 1, "%s", policies[p]->label);
        cr_expect(op->tick(task(2), 11 * MS) == 0, "%s", policies[p]->label);
    }
}

Test(sched_cpus, a_turn_is_ready_and_pick_on_every_cpu)
{
    static uint8_t before[1 << 20];
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct module_host *module = policies[p];
        const struct hx_sched_ops *op = begin(module);
        cr_assert(module->state_bytes <= sizeof(before));
        for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
            hx_handle_t a = task(10 * cpu), b = task(10 * cpu + 1), running;
            cr_assert(op->ready(a, 100, on(cpu, HX_SCHED_NEW)) >= 0 && op->ready(b, 100, on(cpu, HX_SCHED_NEW)) >= 0);
            running = pick_on(module, cpu, pick_on(module, cpu, HX_HANDLE_NONE, HX_SCHED_BLOCK), HX_SCHED_BLOCK);
            cr_assert(running == b);
            for (uint32_t i = 0; i < 6; i++) {
                hx_handle_t woken = running == a ? b : a;
                memcpy(before, module->state, module->state_bytes);
                cr_assert(op->ready(woken, 100, on(cpu, HX_SCHED_WOKEN)) >= 0);
                hx_ret_t two = op->pick(running, on(cpu, HX_SCHED_BLOCK), 7, host_now_ns);
                memcpy(module->state, before, module->state_bytes);
                cr_assert(op->turn(running, on(cpu, HX_SCHED_BLOCK), 7, host_now_ns, woken, 100) == two);
                cr_assert(two == (hx_ret_t)woken, "%s", module->label);
                running = woken;
            }
            host_expect_sound(module);
        }
    }
}

/* ---- tasks that move --------------------------------------------------------------------------------------------------- */
Test(sched_cpus, a_task_that_was_removed_here_runs_there)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        for (uint32_t i = 0; i < 3; i++)
            cr_assert(op->ready(task(i), 100, on(2, HX_SCHED_NEW)) >= 0);
        cr_expect(op->remove(task(1)) == HX_OK);
        cr_assert(op->ready(task(1), 100, on(7, HX_SCHED_WOKEN)) >= 0);
        host_expect_sound(policies[p]);
        cr_expect(pick_on(policies[p], 7, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(1));
        cr_expect(pick_on(policies[p], 2, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(0));
        cr_expect(pick_on(policies[p], 2, task(0), HX_SCHED_BLOCK) == task(2));
        cr_expect(pick_on(policies[p], 2, task(2), HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        host_expect_sound(policies[p]);
    }
}

/* As after a revert, when the policy has the beliefs of an earlier moment. */
Test(sched_cpus, a_task_that_turns_up_elsewhere_is_taken_out_of_the_queue_where_it_was)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        for (uint32_t i = 0; i < 5; i++)
            cr_assert(op->ready(task(i), 100, on(1, HX_SCHED_NEW)) >= 0);
        cr_assert(op->ready(task(1), 100, on(3, HX_SCHED_WOKEN)) >= 0);
        host_expect_sound(policies[p]);
        cr_expect(pick_on(policies[p], 3, task(2), HX_SCHED_YIELD) == task(1));
        host_expect_sound(policies[p]);
        cr_expect(pick_on(policies[p], 3, task(1), HX_SCHED_BLOCK) == task(2));
        cr_expect(pick_on(policies[p], 4, task(3), HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        hx_ret_t turned = op->turn(task(2), on(3, HX_SCHED_BLOCK), 5, host_now_ns, task(4), 100);
        cr_expect(turned == (hx_ret_t)task(4), "%s", policies[p]->label);
        host_expect_sound(policies[p]);
        cr_expect(pick_on(policies[p], 1, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(0));
        cr_expect(pick_on(policies[p], 1, task(0), HX_SCHED_BLOCK) == HX_HANDLE_NONE, "%s", policies[p]->label);
        host_expect_sound(policies[p]);
    }
}

Test(sched_cpus, a_task_that_waited_elsewhere_is_here_once_it_has_had_a_turn_here)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = begin(policies[p]);
        cr_assert(op->ready(task(1), 100, on(1, HX_SCHED_NEW)) >= 0 &&
                  op->ready(task(2), 100, on(2, HX_SCHED_NEW)) >= 0);
        cr_assert(pick_on(policies[p], 1, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(1));
        cr_assert(pick_on(policies[p], 1, task(1), HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        cr_assert(pick_on(policies[p], 2, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(2));
        cr_expect(op->turn(task(2), on(2, HX_SCHED_BLOCK), 1, host_now_ns, task(1), 100) == (hx_ret_t)task(1));
        cr_assert(op->ready(task(2), 100, on(2, HX_SCHED_WOKEN)) >= 0);
        cr_expect(op->tick(task(1), 11 * MS) == 1, "%s: somebody waits here", policies[p]->label);
        host_expect_sound(policies[p]);
    }
}

/* ---- all at random, in one thread -------------------------------------------------------------------------------------- */
enum { TASKS = 60 };
enum state { GONE, WAITS, READY, RUNS };
static struct {
    enum state state[TASKS];
    hx_handle_t handle[TASKS];
    uint32_t cpu[TASKS], generation, ready[HX_CPUS_MAX];
    hx_handle_t running[HX_CPUS_MAX];
} world;

static void become(uint32_t i, enum state state, uint32_t cpu)
{
    world.ready[world.cpu[i]] -= world.state[i] == READY;
    world.state[i] = state;
    world.cpu[i] = cpu;
    world.ready[cpu] += state == READY;
}

static void decide_on(const struct module_host *module, uint32_t cpu)
{
    hx_handle_t prev = world.running[cpu];
    enum hx_sched_reason why = HX_SCHED_PREEMPT + host_random(4);
    if (prev != HX_HANDLE_NONE)
        become(hx_handle_index(prev), why == HX_SCHED_EXIT ? GONE : why == HX_SCHED_BLOCK ? WAITS : READY, cpu);
    hx_handle_t next = pick_on(module, cpu, prev, prev ? why : HX_SCHED_BLOCK);
    world.running[cpu] = next;
    if (next == HX_HANDLE_NONE) {
        cr_assert(world.ready[cpu] == 0, "%s: %u are ready on CPU %u", module->label, world.ready[cpu], cpu);
        return;
    }
    uint32_t i = hx_handle_index(next);
    cr_assert(i < TASKS && world.handle[i] == next && world.state[i] == READY && world.cpu[i] == cpu, "%s",
              module->label);
    become(i, RUNS, cpu);
}

static void one_event(const struct module_host *module)
{
    const struct hx_sched_ops *op = module->vtable;
    uint32_t i = host_random(TASKS), cpu = host_random(HX_CPUS_MAX), event = host_random(10);
    uint8_t priority = (uint8_t)(host_random(4) * 85);
    if (event < 4) {
        decide_on(module, cpu);
    } else if (event < 7 && world.state[i] == GONE) {
        world.handle[i] = hx_handle_make(HX_HANDLE_TASK, ++world.generation, i);
        cr_assert(op->ready(world.handle[i], priority, on(cpu, HX_SCHED_NEW)) >= 0);
        become(i, READY, cpu);
    } else if (event < 7 && world.state[i] == WAITS) {
        if (host_random(3)) /* else it has moved meanwhile */
            cpu = world.cpu[i];
        else
            (void)!op->remove(world.handle[i]);
        cr_assert(op->ready(world.handle[i], priority, on(cpu, HX_SCHED_WOKEN)) >= 0);
        become(i, READY, cpu);
    } else if (event == 7 && world.state[i] == READY) {
        cr_assert(op->remove(world.handle[i]) == HX_OK);
        cr_assert(op->ready(world.handle[i], priority, on(cpu, HX_SCHED_WOKEN)) >= 0);
        become(i, READY, cpu);
    } else if (event == 8 && world.state[i] != GONE) {
        cr_assert(op->adjust(world.handle[i], priority) == HX_OK);
    } else if (event == 9 && world.running[cpu] != HX_HANDLE_NONE) {
        cr_assert(op->tick(world.running[cpu], host_random(20 * MS)) >= 0);
    }
}

Test(sched_cpus, at_random_no_task_is_lost_or_picked_elsewhere_and_conversions_keep_where_each_is)
{
    const struct module_host *module = policies[0];
    begin(module);
    for (uint32_t round = 0; round < 400; round++) {
        for (uint32_t i = 0; i < 150; i++)
            one_event(module);
        host_expect_sound(module);
        const struct module_host *next = policies[host_random(POLICIES)];
        cr_assert(host_convert(module, next) == HX_OK, "%s -> %s", module->label, next->label);
        module = next;
        host_expect_sound(module);
    }
}

/* ---- state ------------------------------------------------------------------------------------------------------------- */
static void put_blob(const uint8_t *cpus, size_t count)
{
    hx_handle_t ready[] = { task(3), task(4) }, waiting[] = { task(5) };
    host_blob_clear(1 << 20);
    host_blob_put(HX_SCHED_STATE_READY, ready, sizeof(ready));
    host_blob_put(HX_SCHED_STATE_WAITING, waiting, sizeof(waiting));
    host_blob_put(HX_SCHED_STATE_PRIORITY, "\1\2\3\4\5\6", 6);
    if (cpus)
        host_blob_put(HX_SCHED_STATE_CPU, cpus, count);
}

Test(sched_cpus, the_state_says_where_each_task_is_and_a_cpu_that_is_none_is_refused)
{
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct hx_sched_ops *op = policies[p]->vtable;
        put_blob((const uint8_t[]){ 0, 0, 0, 7, 2, 2 }, 6);
        cr_assert(host_load(policies[p]) == HX_OK);
        host_expect_sound(policies[p]);
        cr_expect(pick_on(policies[p], 0, HX_HANDLE_NONE, HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        cr_expect(pick_on(policies[p], 7, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(3));
        cr_expect(op->turn(task(3), on(7, HX_SCHED_BLOCK), 1, host_now_ns, task(9), 4) == (hx_ret_t)task(9));
        put_blob((const uint8_t[]){ 0, 0, 0, 0, 6 }, 5); /* shorter than the highest index */
        cr_assert(host_load(policies[p]) == HX_OK);
        cr_expect(pick_on(policies[p], 6, HX_HANDLE_NONE, HX_SCHED_BLOCK) == task(4));
        put_blob(NULL, 0);
        cr_assert(host_load(policies[p]) == HX_OK);
        cr_expect(pick_on(policies[p], 0, HX_HANDLE_NONE, HX_SCHED_BLOCK) != HX_HANDLE_NONE);
        cr_expect(pick_on(policies[p], 1, HX_HANDLE_NONE, HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        put_blob((const uint8_t[]){ 0, 0, 0, HX_CPUS_MAX, 2, 2 }, 6);
        cr_expect(host_load(policies[p]) == HX_E_SCHEMA, "%s", policies[p]->label);
        put_blob((const uint8_t[]){ 0, 0, 0, 0, 0, 255 }, 6);
        cr_expect(host_load(policies[p]) == HX_E_SCHEMA, "%s: it waits", policies[p]->label);
    }
}

/* ---- guards ------------------------------------------------------------------------------------------------------------ */
static bool never(uint64_t which)
{
    (void)which;
    return false;
}

static uint32_t moving;
static bool moves(uint64_t which)
{
    (void)which;
    cr_assert(hx_guard_enter(&moving));
    hx_guard_leave(&moving);
    return false;
}

Test(sched_cpus, what_is_at_rest_is_judged_and_what_moves_is_believed)
{
    uint32_t guard = 0;
    cr_expect(!hx_guard_judge(&guard, never, 0));
    cr_expect(hx_guard_try(&guard) && !hx_guard_try(&guard));
    cr_expect(hx_guard_judge(&guard, never, 0), "somebody is inside");
    hx_guard_leave(&guard);
    cr_expect(hx_guard_try(&guard));
    hx_guard_leave(&guard);
    cr_expect(!hx_guard_judge(&guard, never, 0));
    cr_expect(hx_guard_judge(&moving, moves, 0));
}

/* ---- one thread a CPU -------------------------------------------------------------------------------------------------- */
enum { EACH = 40, ROUNDS = 20000 };
static struct {
    const struct module_host *module;
    uint64_t mail[HX_CPUS_MAX]; /* atomic: a task on its way to the CPU */
    uint32_t wrong;             /* atomic */
    uint32_t working;           /* atomic */
} storm;

struct worker {
    uint32_t cpu, seed, ready, count;
    enum state state[HX_TASKS_MAX];
    uint32_t own[HX_TASKS_MAX];
    hx_handle_t running;
};

static uint32_t below(struct worker *worker, uint32_t bound)
{
    worker->seed = worker->seed * 1664525u + 1013904223u;
    return (worker->seed >> 8) % bound;
}

static void expect(bool condition)
{
    if (!condition)
        __atomic_fetch_add(&storm.wrong, 1, __ATOMIC_RELAXED);
}

static void storm_decide(struct worker *w)
{
    const struct hx_sched_ops *op = storm.module->vtable;
    enum hx_sched_reason why = HX_SCHED_PREEMPT + below(w, 3);
    if (w->running != HX_HANDLE_NONE) {
        w->state[hx_handle_index(w->running)] = why == HX_SCHED_BLOCK ? WAITS : READY;
        w->ready += why != HX_SCHED_BLOCK;
    }
    hx_ret_t got = op->pick(w->running, on(w->cpu, w->running ? why : HX_SCHED_BLOCK), 1, host_now_ns);
    w->running = got > 0 ? (hx_handle_t)got : HX_HANDLE_NONE;
    expect(got >= 0 && (got > 0) == (w->ready > 0));
    if (got > 0) {
        expect(w->state[hx_handle_index(w->running)] == READY);
        w->state[hx_handle_index(w->running)] = RUNS;
        w->ready--;
    }
}

/* The task becomes ready here, or goes to another CPU if that has taken the last one that did. */
static void storm_wake(struct worker *w, uint32_t at)
{
    const struct hx_sched_ops *op = storm.module->vtable;
    uint32_t i = w->own[at], to = below(w, HX_CPUS_MAX);
    uint64_t none = 0;
    if (w->state[i] != WAITS)
        return;
    if (to != w->cpu && w->count > 2 && below(w, 2) && __atomic_load_n(&storm.mail[to], __ATOMIC_RELAXED) == 0) {
        (void)!op->remove(task(i));
        w->state[i] = GONE;
        if (__atomic_compare_exchange_n(&storm.mail[to], &none, task(i), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            w->own[at] = w->own[--w->count];
            return;
        }
    }
    expect(op->ready(task(i), below(w, 200), on(w->cpu, HX_SCHED_WOKEN)) >= 0);
    w->state[i] = READY;
    w->ready++;
}

static void storm_arrival(struct worker *w)
{
    const struct hx_sched_ops *op = storm.module->vtable;
    hx_handle_t came = __atomic_exchange_n(&storm.mail[w->cpu], 0, __ATOMIC_SEQ_CST);
    if (came == HX_HANDLE_NONE)
        return;
    expect(op->ready(came, below(w, 200), on(w->cpu, HX_SCHED_WOKEN)) >= 0);
    w->own[w->count++] = hx_handle_index(came);
    w->state[hx_handle_index(came)] = READY;
    w->ready++;
}

static void *storm_work(void *argument)
{
    struct worker *w = argument;
    const struct hx_sched_ops *op = storm.module->vtable;
    for (uint32_t i = 0; i < EACH; i++) {
        w->own[w->count++] = w->cpu * EACH + i;
        w->state[w->cpu * EACH + i] = READY;
        w->ready++;
        expect(op->ready(task(w->cpu * EACH + i), below(w, 200), on(w->cpu, HX_SCHED_NEW)) >= 0);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t event = below(w, 8);
        storm_arrival(w);
        if (event < 4)
            storm_decide(w);
        else if (event < 7)
            storm_wake(w, below(w, w->count));
        else if (w->running != HX_HANDLE_NONE)
            expect(op->tick(w->running, below(w, 20 * MS)) >= 0);
    }
    __atomic_fetch_sub(&storm.working, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* While they work, what holds at any time is looked at; when they have ended, all of it. */
Test(sched_cpus, a_thread_for_each_cpu_loses_no_task_and_check_accuses_nobody)
{
    static struct worker workers[HX_CPUS_MAX];
    for (uint32_t p = 0; p < POLICIES; p++) {
        pthread_t thread[HX_CPUS_MAX];
        memset(workers, 0, sizeof(workers));
        memset(&storm, 0, sizeof(storm));
        begin(policies[p]);
        storm.module = policies[p];
        storm.working = HX_CPUS_MAX;
        for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
            workers[cpu].cpu = cpu;
            workers[cpu].seed = cpu * 977 + p;
            cr_assert(pthread_create(&thread[cpu], NULL, storm_work, &workers[cpu]) == 0);
        }
        while (__atomic_load_n(&storm.working, __ATOMIC_SEQ_CST) > 0)
            host_expect_sound(policies[p]);
        for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
            cr_assert(pthread_join(thread[cpu], NULL) == 0);
        cr_expect(storm.wrong == 0, "%s: %u answers were wrong", policies[p]->label, storm.wrong);
        host_expect_sound(policies[p]);
        for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
            hx_handle_t prev = workers[cpu].running;
            for (; workers[cpu].ready > 0; workers[cpu].ready--)
                cr_assert((prev = pick_on(policies[p], cpu, prev, HX_SCHED_BLOCK)) != HX_HANDLE_NONE);
            cr_expect(pick_on(policies[p], cpu, prev, HX_SCHED_BLOCK) == HX_HANDLE_NONE);
        }
        host_expect_sound(policies[p]);
    }
}
