/* SPDX-License-Identifier: MIT */
/*
 * demo_task.c - see demo_task.h.
 *
 * The records are static: a demo task that is killed leaves nothing to free, and a record whose task is gone is used again.
 */
#include "demo_task.h"

#include <module/module.h>
#include <stdatomic.h>

enum {
    SPINS_PER_COUNT = 1000,
    COUNTS_PER_YIELD = 64,
};

static struct demo {
    hx_handle_t task; /* 0 or stale: the record is free */
    _Atomic uint64_t counter;
    struct hx_module *owner;    /* NULL: nobody */
    struct hx_ledger_node node; /* in the owner's ledger */
    bool is_claimed;            /* somebody is making its task */
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

/* Its owner goes: nobody charges him any more. */
static void release(struct hx_ledger_node *node)
{
    struct demo *demo = (struct demo *)((char *)node - offsetof(struct demo, node));
    hx_status_t ended = HX_OK, err = hx_task_kill(demo->task);
    if (err == HX_OK)
        err = hx_task_join(demo->task, UINT64_MAX, &ended);
    (void)err; /* or it was gone */
    demo->owner = NULL;
}

static struct demo *free_record(void)
{
    for (uint32_t i = 0; i < HX_DEMO_TASKS_MAX; i++)
        if (!demos[i].is_claimed && (!demos[i].task || !hx_task_of(demos[i].task)))
            return &demos[i];
    return NULL;
}

hx_status_t hx_demo_spawn(const char *name, uint8_t priority, hx_handle_t *out)
{
    hx_preempt_disable(); /* two tasks run commands */
    struct demo *demo = free_record();
    if (demo)
        demo->is_claimed = true;
    hx_preempt_enable();
    if (!demo)
        return HX_E_LIMIT;
    demo->task = HX_HANDLE_NONE;
    if (demo->owner)
        hx_ledger_strike(&demo->owner->ledger, &demo->node);
    demo->owner = NULL;
    atomic_store_explicit(&demo->counter, 0, memory_order_relaxed);
    hx_status_t err = hx_task_create(HX_TASK_POLICY, name, priority, demo_body, demo, &demo->task);
    if (err == HX_OK)
        *out = demo->task;
    demo->is_claimed = false;
    return err;
}

static struct demo *demo_of(hx_handle_t task)
{
    for (uint32_t i = 0; task != HX_HANDLE_NONE && i < HX_DEMO_TASKS_MAX; i++)
        if (demos[i].task == task)
            return &demos[i];
    return NULL;
}

hx_status_t hx_demo_give(hx_handle_t task, const char *module)
{
    hx_status_t err = HX_E_NOENT;
    struct demo *demo = demo_of(task);
    hx_preempt_disable();
    struct hx_module *owner = hx_module_find(module);
    struct hx_task *entry = hx_task_of(task);
    if (demo && entry && owner && !demo->owner) {
        err = owner->state == HX_MODULE_RUNNING ? HX_OK : HX_E_STATE;
        if (err == HX_OK) {
            demo->owner = entry->owner = owner;
            hx_ledger_enter(&owner->ledger, &demo->node, "demo task", release);
        }
    }
    hx_preempt_enable();
    return err;
}

bool hx_demo_counter(hx_handle_t task, uint64_t *out)
{
    struct demo *demo = demo_of(task);
    if (demo)
        *out = atomic_load_explicit(&demo->counter, memory_order_relaxed);
    return demo != NULL;
}
