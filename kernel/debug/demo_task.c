/* SPDX-License-Identifier: MIT */
/*
 * demo_task.c - see demo_task.h.
 *
 * The records are static: a demo task that is killed leaves nothing to free, and a record whose task is gone is used again.
 */
#include "demo_task.h"

#include <stdatomic.h>
#include <task/task.h>

enum {
    SPINS_PER_COUNT = 1000,
    COUNTS_PER_YIELD = 64,
};

static struct demo {
    hx_handle_t task; /* 0 or stale: the record is free */
    _Atomic uint64_t counter;
} demos[HX_DEMO_TASKS_MAX];

static hx_status_t demo_body(void *argument)
{
    struct demo *demo = argument;
    while (!hx_task_current()->kill_pending) {
        uint64_t count = atomic_fetch_add_explicit(&demo->counter, 1, memory_order_relaxed);
        /* Work, not a pause: emulators make a pause dear. */
        for (volatile uint32_t i = 0; i < SPINS_PER_COUNT; i++)
            ;
        hx_cpu_relax();
        if (count % COUNTS_PER_YIELD == 0)
            hx_task_yield();
    }
    return HX_E_KILLED;
}

static struct demo *free_record(void)
{
    for (uint32_t i = 0; i < HX_DEMO_TASKS_MAX; i++)
        if (!demos[i].task || !hx_task_of(demos[i].task))
            return &demos[i];
    return NULL;
}

hx_status_t hx_demo_spawn(const char *name, uint8_t priority, hx_handle_t *out)
{
    struct demo *demo = free_record();
    if (!demo)
        return HX_E_LIMIT;
    demo->task = HX_HANDLE_NONE;
    atomic_store_explicit(&demo->counter, 0, memory_order_relaxed);
    hx_status_t err = hx_task_create(HX_TASK_POLICY, name, priority, demo_body, demo, &demo->task);
    if (err == HX_OK)
        *out = demo->task;
    return err;
}

bool hx_demo_counter(hx_handle_t task, uint64_t *out)
{
    for (uint32_t i = 0; i < HX_DEMO_TASKS_MAX; i++) {
        if (task == HX_HANDLE_NONE || demos[i].task != task)
            continue;
        *out = atomic_load_explicit(&demos[i].counter, memory_order_relaxed);
        return true;
    }
    return false;
}
