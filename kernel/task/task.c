/* SPDX-License-Identifier: MIT */
/*
 * task.c - the table of tasks, and a task's life: created, joined, killed, gone.
 *
 * A dead task's handle is stale at once; its memory goes when nobody stands on its stack any more: a killed one's in
 * hx_task_kill(), an exiting one's by whoever runs next.
 * Locks: table.lock (HX_RANK_TASK) for the free list; the rest is one CPU's, with interrupts off.
 */
#include "schedule.h"

#include <hal/hx_lock.h>
#include <string.h>

struct hx_task hx_task_nobody; /* handle 0 has index 0, and that entry is never unused: the idle task's */
struct hx_task *hx_task_table[HX_TASKS_MAX];

static struct {
    struct hx_lock lock;
    uint32_t generation[HX_TASKS_MAX];
    uint32_t next_free[HX_TASKS_MAX]; /* index + 1, 0 ends it */
    uint32_t first_free;              /* likewise */
    uint32_t used;                    /* indexes from here up have never been taken */
    uint32_t live;
} table = { .lock = HX_LOCK_INIT(HX_RANK_TASK) };

/* ---- table ---------------------------------------------------------------------------------------------------------- */
hx_status_t hx_task_enter(struct hx_task *task)
{
    hx_status_t err = HX_E_LIMIT;
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    uint32_t index = table.first_free - 1;
    if (table.first_free)
        table.first_free = table.next_free[index];
    else if (table.used < HX_TASKS_MAX)
        index = table.used++;
    else
        goto out;
    task->handle = hx_handle_make(HX_HANDLE_TASK, ++table.generation[index], index);
    hx_task_table[index] = task;
    table.live++;
    err = HX_OK;
out:
    hx_lock_release(&table.lock, flags);
    return err;
}

static void leave(struct hx_task *task)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    uint32_t index = hx_handle_index(task->handle);
    hx_task_table[index] = &hx_task_nobody;
    table.next_free[index] = table.first_free;
    table.first_free = index + 1;
    table.live--;
    hx_lock_release(&table.lock, flags);
}

struct hx_task *hx_task_of(hx_handle_t task)
{
    return hx_task_lookup(task);
}

void hx_task_for_each(bool (*each)(struct hx_task *task, void *context), void *context)
{
    for (uint32_t i = 0; i < table.used; i++)
        if (hx_task_table[i] != &hx_task_nobody && !each(hx_task_table[i], context))
            return;
}

uint32_t hx_task_count(void)
{
    return table.live;
}

const char *hx_task_state_name(enum hx_task_state state)
{
    switch (state) {
    case HX_TASK_READY: return "ready";
    case HX_TASK_RUNNING: return "running";
    case HX_TASK_BLOCKED: return "waiting";
    case HX_TASK_SLEEPING: return "sleeping";
    case HX_TASK_DEAD: return "dead";
    }
    return "unknown";
}

/* ---- beginning ------------------------------------------------------------------------------------------------------ */
static void describe(struct hx_task *task, enum hx_task_class class, const char *name, uint8_t priority)
{
    task->class = class;
    task->heed = class == HX_TASK_POLICY ? HX_TASK_QUICK : HX_TASK_SLOW;
    task->priority = priority;
    memcpy(task->name, name, strnlen(name, HX_NAME_MAX - 1));
    hx_waitq_init(&task->joiners);
}

static void table_init(void)
{
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++)
        hx_task_table[i] = &hx_task_nobody;
}

hx_status_t hx_task_init(void)
{
    struct hx_task *idle = hx_sched_idle_task();
    if (table.live == 0)
        table_init();
    hx_sched_init();
    describe(idle, HX_TASK_IDLE, "idle", 0);
    idle->state = HX_TASK_RUNNING;
    idle->started_ns = hx_hal_clock_ns();
    hx_status_t err = hx_task_enter(idle);
    if (err == HX_OK)
        hx_cpu_write(current, idle);
    return err;
}

void hx_task_start(void *task)
{
    struct hx_task *self = task;
    hx_task_exit(self->body(self->argument));
}

hx_status_t hx_task_create(enum hx_task_class class, const char *name, uint8_t priority,
                           hx_status_t (*body)(void *argument), void *argument, hx_handle_t *out)
{
    hx_status_t err = HX_E_INVAL;
    struct hx_task *task = NULL;
    if (class == HX_TASK_IDLE)
        goto fail;
    err = HX_E_NOMEM;
    task = hx_hal_alloc(sizeof(*task));
    if (!task)
        goto fail;
    describe(task, class, name, priority);
    task->body = body;
    task->argument = argument;
    task->stack = hx_hal_stack_alloc();
    if (!task->stack)
        goto fail;
    hx_hal_context_init(&task->context, task->stack, hx_task_start, task);
    err = hx_task_enter(task);
    if (err != HX_OK)
        goto fail;
    *out = task->handle; /* before it can run */
    hx_irq_flags_t flags = hx_irq_save();
    hx_sched_reap();
    hx_sched_ready_add(task, HX_SCHED_NEW);
    hx_irq_restore(flags);
    hx_sched_point();
    return HX_OK;
fail:
    hx_task_free(task);
    return err;
}

void hx_task_free(struct hx_task *task)
{
    if (!task)
        return;
    if (task->stack)
        hx_hal_stack_free(task->stack);
    hx_hal_free(task);
}

/* ---- end ------------------------------------------------------------------------------------------------------------ */
/* Interrupts off. From here on its handle is stale. */
static void die(struct hx_task *task, hx_status_t status)
{
    struct hx_task *joiner;
    while ((joiner = hx_waitq_first(&task->joiners))) {
        joiner->joined_status = status;
        hx_task_wake(joiner, HX_OK);
    }
    task->state = HX_TASK_DEAD;
    leave(task);
}

_Noreturn void hx_task_exit(hx_status_t status)
{
    hx_irq_disable();
    struct hx_task *task = hx_task_current();
    die(task, status);
    hx_sched_stop_dead(task);
}

/* Its innermost frame may be in an import; the outer ones are left when those further in have been. */
static void mark_frames(struct hx_gate_frame *frame)
{
    for (; frame; frame = frame->prev)
        frame->kill_pending = 1;
}

/* Interrupts off. Returns whether @task is dead now. @out_told: whether the policy has it queued. */
static bool kill(struct hx_task *task, bool *out_told)
{
    bool runs = task == hx_task_current();
    struct hx_gate_frame *frame = runs ? hx_gate_frame() : task->frame;
    task->kill_pending = true;
    task->heed |= HX_TASK_SLOW;
    mark_frames(frame);
    if (runs)
        return false;
    if (frame) {
        if (task->state != HX_TASK_READY)
            hx_task_wake(task, HX_E_KILLED);
        return false;
    }
    struct hx_waitq *woke = task->state == HX_TASK_READY ? task->waiting_on : NULL;
    hx_task_unwait(task);
    *out_told = hx_sched_ready_remove(task);
    die(task, HX_E_KILLED);
    if (woke)
        hx_waitq_pass_on(woke);
    return true;
}

hx_status_t hx_task_kill(hx_handle_t handle)
{
    hx_status_t err = HX_OK;
    bool dead = false, told = false;
    hx_preempt_disable();
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = hx_task_lookup(handle);
    if (!task)
        err = HX_E_STALE;
    else if (task->class != HX_TASK_POLICY)
        err = HX_E_PERM;
    else
        dead = kill(task, &told);
    hx_irq_restore(flags);
    if (told)
        hx_sched_tell_removed(handle);
    if (dead)
        hx_task_free(task);
    hx_preempt_enable();
    return err;
}

hx_status_t hx_task_join(hx_handle_t handle, uint64_t deadline_ns, hx_status_t *out_status)
{
    hx_status_t err = HX_E_STALE;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *self = hx_task_current(), *task = hx_task_lookup(handle);
    if (task == self)
        err = HX_E_INVAL;
    else if (task)
        err = hx_task_block(&task->joiners, deadline_ns);
    if (err == HX_OK)
        *out_status = self->joined_status;
    hx_sched_reap(); /* so that the caller finds the memory released */
    hx_irq_restore(flags);
    return err;
}

hx_status_t hx_task_set_priority(hx_handle_t handle, uint8_t priority)
{
    hx_preempt_disable();
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_task *task = hx_task_lookup(handle);
    if (task) {
        task->priority = priority;
        hx_sched_reorder(task);
        hx_waitq_reorder(task);
    }
    hx_irq_restore(flags);
    if (task && task->class == HX_TASK_POLICY)
        hx_sched_tell_priority(handle, priority);
    hx_preempt_enable();
    return task ? HX_OK : HX_E_STALE;
}
