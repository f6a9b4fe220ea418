/* SPDX-License-Identifier: MIT */
/*
 * task.c - the table of tasks, and a task's life: created, joined, killed, gone.
 *
 * A dead task's handle is stale at once; its stack and its entry go when nobody stands there any more: a killed one's in
 * kill(), an exiting one's by whoever runs next.
 * Locks: table.lock (HX_RANK_TASK) for the free list; the rest is the task's CPU's, with interrupts off.
 */
#include "waitq.h"

#include <string.h>

struct hx_task hx_tasks[HX_TASKS_MAX];

static struct {
    struct hx_lock lock;
    struct hx_task *free; /* by mail_next */
    uint32_t used;        /* entries from here up have never been taken */
    uint32_t live;
} table = { .lock = HX_LOCK_INIT(HX_RANK_TASK) };

static void (*life_told)(const struct hx_task *task, bool begins);

void hx_task_bind_life(void (*told)(const struct hx_task *task, bool begins))
{
    life_told = told;
}

/* ---- table ---------------------------------------------------------------------------------------------------------- */
struct hx_task *hx_task_enter(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    struct hx_task *task = table.free;
    if (task)
        table.free = task->mail_next;
    else if (table.used < HX_TASKS_MAX)
        hx_waitq_init(&(task = &hx_tasks[table.used++])->joiners);
    if (task)
        table.live++;
    hx_lock_release(&table.lock, flags);
    if (!task)
        return NULL;
    uint32_t generation = task->generation + 1;
    memset(task, 0, offsetof(struct hx_task, generation));
    task->generation = generation;
    return task;
}

/* From here on it can be found. */
static hx_handle_t publish(struct hx_task *task)
{
    hx_handle_t handle = hx_handle_make(HX_HANDLE_TASK, task->generation, (uint32_t)(task - hx_tasks));
    __atomic_store_n(&task->handle, handle, __ATOMIC_RELEASE);
    return handle;
}

static void leave(struct hx_task *task)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    task->mail_next = table.free;
    table.free = task;
    table.live--;
    hx_lock_release(&table.lock, flags);
}

struct hx_task *hx_task_of(hx_handle_t task)
{
    return hx_task_lookup(task);
}

void hx_task_for_each(bool (*each)(struct hx_task *task, void *context), void *context)
{
    uint32_t used = __atomic_load_n(&table.used, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < used; i++)
        if (hx_tasks[i].handle != HX_HANDLE_NONE && !each(&hx_tasks[i], context))
            return;
}

uint32_t hx_task_count(void)
{
    return __atomic_load_n(&table.live, __ATOMIC_RELAXED);
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
    task->class = (uint8_t) class;
    task->allowed = UINT8_MAX;
    task->heed = class == HX_TASK_POLICY ? HX_TASK_QUICK : HX_TASK_SLOW;
    task->priority = task->base = priority;
    memcpy(task->name, name, strnlen(name, HX_NAME_MAX - 1));
}

hx_status_t hx_task_init(void)
{
    struct hx_task *idle = hx_task_enter();
    if (!idle)
        return HX_E_LIMIT;
    describe(idle, HX_TASK_IDLE, "idle", 0);
    idle->cpu = (uint8_t)hx_cpu_read(id);
    idle->allowed = (uint8_t)(1u << idle->cpu);
    idle->state = HX_TASK_RUNNING;
    idle->started_ns = hx_hal_clock_ns();
    (void)publish(idle);
    hx_cpu_write(current, idle);
    hx_sched_init(idle);
    return HX_OK;
}

void hx_task_start(void *task)
{
    struct hx_task *self = task;
    hx_task_exit(self->body(self->argument));
}

/* It begins on the CPU where it was put. */
static void begin(struct hx_task *task, uint32_t cpu, hx_handle_t *out)
{
    struct hx_sched_book *book = hx_sched_book();
    task->state = HX_TASK_READY;
    task->news = HX_SCHED_NEW;
    task->cpu = (uint8_t)cpu;
    task->on_its_way = true;
    *out = publish(task); /* before it can run */
    if (life_told)
        life_told(task, true);
    if (cpu != hx_cpu_read(id)) {
        hx_sched_send(task, cpu);
        return;
    }
    task->on_its_way = false;
    if (task->class == HX_TASK_POLICY)
        book->tasks++;
    hx_sched_ready_add(task, HX_SCHED_NEW);
}

hx_status_t hx_task_create(enum hx_task_class class, const char *name, uint8_t priority,
                           hx_status_t (*body)(void *argument), void *argument, hx_handle_t *out)
{
    void *stack = NULL;
    if (class == HX_TASK_IDLE)
        return HX_E_INVAL;
    stack = hx_hal_stack_alloc();
    if (!stack)
        return HX_E_NOMEM;
    struct hx_task *task = hx_task_enter();
    if (!task) {
        hx_hal_stack_free(stack);
        return HX_E_LIMIT;
    }
    describe(task, class, name, priority);
    task->body = body;
    task->argument = argument;
    task->stack = stack;
    hx_hal_context_init(&task->context, stack, hx_task_start, task);
    if (class == HX_TASK_CORE)
        task->allowed = 1; /* CPU 0 */
    hx_irq_flags_t flags = hx_irq_save();
    hx_sched_reap();
    begin(task, hx_sched_place(task->allowed), out);
    hx_irq_restore(flags);
    hx_sched_point();
    return HX_OK;
}

void hx_task_free(struct hx_task *task)
{
    hx_hal_stack_free(task->stack);
    leave(task);
}

/* ---- end ------------------------------------------------------------------------------------------------------------ */
/* Interrupts off. From here on its handle is stale. */
static void die(struct hx_task *task, hx_status_t status)
{
    hx_handle_t handle = task->handle;
    struct hx_task *joiner;
    if (life_told)
        life_told(task, false);
    task->state = HX_TASK_DEAD;
    __atomic_store_n(&task->handle, HX_HANDLE_NONE,
                     __ATOMIC_SEQ_CST); /* before those who wait are looked for: see join */
    while ((joiner = hx_waitq_take(&task->joiners))) {
        joiner->joined = handle;
        joiner->joined_status = status;
        hx_waitq_wake_taken(joiner, HX_OK);
    }
}

_Noreturn void hx_task_exit(hx_status_t status)
{
    hx_irq_disable();
    struct hx_task *task = hx_task_current();
    hx_handle_t handle = task->handle;
    hx_sched_reap(); /* its own place is taken in a moment; and the policy is not called between an end and its question */
    if (hx_unlikely(task->held))
        hx_mutex_abandon(task);
    die(task, status);
    hx_sched_stop_dead(task, handle);
}

/* Its innermost frame may be in an import; the outer ones are left when those further in have been. */
static void mark_frames(struct hx_gate_frame *frame)
{
    for (; frame; frame = frame->prev)
        if (!frame->kill_pending) /* else it ends in any case */
            frame->kill_pending = HX_KILL_TASK;
}

/* The task is on this CPU. It ends at once only if nobody has taken it off its wait queue a moment ago: then it is as good
 * as running. */
static hx_status_t kill(struct hx_task *task, const uint64_t argument[3])
{
    (void)argument;
    if (task->class != HX_TASK_POLICY)
        return HX_E_PERM;
    bool runs = task == hx_task_current();
    struct hx_gate_frame *frame = runs ? hx_gate_frame() : task->frame;
    task->kill_pending = true;
    task->heed |= HX_TASK_SLOW;
    mark_frames(frame);
    if (runs) {
        /* It is about to stop, and has not been switched away from. */
        if (task->state > HX_TASK_RUNNING && hx_task_unwait(task)) {
            task->wait_result = HX_E_KILLED;
            hx_sched_ready_add(task, HX_SCHED_WOKEN);
        } else if (task->state == HX_TASK_READY) {
            (void)hx_handover_undo(task, task->waiting_on);
        }
        return HX_OK;
    }
    struct hx_waitq *woke = task->state == HX_TASK_READY && !task->wanted ? task->waiting_on : NULL;
    if (task->state != HX_TASK_READY || !frame) {
        if (!hx_task_unwait(task))
            return HX_OK;
    }
    if (frame) {
        if (task->state != HX_TASK_READY) {
            task->wait_result = HX_E_KILLED;
            hx_sched_ready_add(task, HX_SCHED_WOKEN);
        } else if (woke) {
            (void)hx_handover_undo(task, woke);
        }
        return HX_OK;
    }
    hx_handle_t handle = task->handle;
    (void)hx_sched_take_back(hx_sched_book(), handle);
    hx_sched_ready_remove(task);
    hx_mutex_abandon(task);
    die(task, HX_E_KILLED);
    if (woke && !hx_handover_undo(task, woke))
        hx_waitq_pass_on(woke);
    hx_sched_tell_removed(handle); /* one that waited, too: the policy knows nobody who is gone */
    hx_task_free(task);
    return HX_OK;
}

hx_status_t hx_task_kill(hx_handle_t task)
{
    struct hx_errand errand = { .task = task, .work = kill };
    return hx_sched_run_errand(&errand);
}

/* The task is on this CPU. */
static hx_status_t break_wait(struct hx_task *task, const uint64_t argument[3])
{
    const struct hx_gate_frame *frame = task->restartable;
    bool waits = task->state == HX_TASK_BLOCKED || task->state == HX_TASK_SLEEPING;
    if (!frame || frame != task->frame || !waits || task == hx_task_current() || task->wanted ||
        (uint64_t)(uintptr_t)hx_slot_info(frame->slot)->owner != argument[0] || !hx_task_unwait(task))
        return HX_E_STATE;
    task->wait_result = HX_E_RESTART;
    hx_sched_ready_add(task, HX_SCHED_WOKEN);
    return HX_OK;
}

void hx_task_break_waits(const void *owner)
{
    uint32_t used = __atomic_load_n(&table.used, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < used; i++) {
        struct hx_errand errand = { .task = hx_tasks[i].handle, .work = break_wait, .argument = { (uintptr_t)owner } };
        if (!__atomic_load_n(&hx_tasks[i].restartable, __ATOMIC_RELAXED))
            continue;
        hx_status_t broken = hx_sched_run_errand(&errand);
        (void)broken; /* else it does not wait, or not there */
    }
}

struct join {
    const struct hx_task *task;
    hx_handle_t handle;
};

static bool is_gone(void *context)
{
    const struct join *join = context;
    return __atomic_load_n(&join->task->handle, __ATOMIC_SEQ_CST) != join->handle;
}

/* Whoever is on the queue when the task ends is told its status. Who comes later finds it gone, and perhaps an heir of its
 * entry. */
hx_status_t hx_task_join(hx_handle_t handle, uint64_t deadline_ns, hx_status_t *out_status)
{
    struct hx_task *self = hx_task_current(), *task = hx_task_lookup(handle);
    struct join join = { .task = task, .handle = handle };
    if (task == self)
        return HX_E_INVAL;
    if (!task)
        return HX_E_STALE;
    self->joined = HX_HANDLE_NONE;
    hx_status_t err = hx_waitq_wait(&task->joiners, is_gone, &join, deadline_ns);
    if (err == HX_OK && self->joined == handle)
        *out_status = self->joined_status;
    else if (err == HX_OK)
        err = HX_E_STALE;
    hx_irq_flags_t flags = hx_irq_save();
    hx_sched_reap(); /* so that the caller finds the memory released */
    hx_irq_restore(flags);
    return err;
}

/* ---- what is changed ------------------------------------------------------------------------------------------------- */
static hx_status_t set_priority(struct hx_task *task, const uint64_t argument[3])
{
    task->base = (uint8_t)argument[0];
    hx_mutex_settle(task);
    return HX_OK;
}

hx_status_t hx_task_set_priority(hx_handle_t task, uint8_t priority)
{
    struct hx_errand errand = { .task = task, .work = set_priority, .argument = { priority } };
    return hx_sched_run_errand(&errand);
}

static hx_status_t set_affinity(struct hx_task *task, const uint64_t argument[3])
{
    uint32_t cpus = (uint32_t)argument[0] & hx_sched_online;
    if (task->class != HX_TASK_POLICY)
        return HX_E_PERM;
    if (cpus == 0)
        return HX_E_INVAL;
    task->allowed = (uint8_t)argument[0];
    if (cpus & 1u << task->cpu)
        return HX_OK;
    task->heed |= HX_TASK_SLOW; /* it is noticed when it is next interrupted, or stops */
    if (task == hx_task_current())
        hx_cpu_write(need_resched, 1);
    else if (task->state == HX_TASK_READY)
        hx_sched_send_away(hx_sched_book(), task, hx_sched_one_of(cpus));
    return HX_OK;
}

hx_status_t hx_task_set_affinity(hx_handle_t task, uint32_t cpus)
{
    struct hx_errand errand = { .task = task, .work = set_affinity, .argument = { cpus } };
    return hx_sched_run_errand(&errand);
}

static hx_status_t reserve(struct hx_task *task, const uint64_t argument[3])
{
    if (task->class != HX_TASK_POLICY)
        return HX_E_PERM;
    hx_ret_t answer = hx_sched_tell_reservation(task->handle, argument[0], argument[1], argument[2]);
    return answer < 0 ? (hx_status_t)answer : HX_OK;
}

hx_status_t hx_task_reserve(hx_handle_t task, uint64_t runtime_ns, uint64_t period_ns, uint64_t deadline_ns)
{
    struct hx_errand errand = { .task = task, .work = reserve, .argument = { runtime_ns, period_ns, deadline_ns } };
    return hx_sched_run_errand(&errand);
}
