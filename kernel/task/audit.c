/* SPDX-License-Identifier: MIT */
/*
 * audit.c - see audit.h.
 *
 * The policy rests while the slot is closed; the other CPUs do not. What may differ there, and for how long:
 *   telling    the task that a question is about which waits for the opening: until then the books are ahead of the policy;
 *   stopping   the task that runs: its stop is in the books before it is told;
 *   moments    between an answer of before the closing and what is made of it, with interrupts off or about to be: over when
 *              that CPU has come by some more instructions, for in between it calls the policy for nothing else, which would
 *              wait for the opening. So what differs elsewhere is looked at again, after a word with every CPU, before it is
 *              believed.
 *   gone       who ended is known until the policy has been told: it stands as the one that it believes to run, or in `telling'.
 * Nothing is known for certain of tasks that are doubted, nor on a CPU that has still to forget what an earlier policy was told.
 */
#include "audit.h"

#include "schedule.h"

#include <hal/hx_lock.h>
#include <lib/fmt.h>

#if HX_CHECKS
enum { LOOKS_MAX = 100 };
static const uint64_t patience_ns = 10000000000u; /* with a CPU that does not answer */

enum mark { UNKNOWN, QUEUED, WAITING };

/* One swap at a time. */
static uint8_t marks[HX_TASKS_MAX];

static const char *const mark_texts[] = { "not at all", "queued", "waiting" };

static uint32_t cpu_of(const struct hx_sched_saved *saved, hx_handle_t handle)
{
    uint32_t i = hx_handle_index(handle);
    return i < saved->cpu_count ? saved->cpu[i] : 0;
}

static hx_status_t differs(struct hx_sched_difference *out, hx_handle_t handle, const char *is, uint32_t is_on,
                           const char *has, uint32_t has_on)
{
    const struct hx_task *task = hx_task_lookup(handle);
    if (task)
        hx_fmt(out->name, sizeof(out->name), "%s", task->name);
    else
        hx_fmt(out->name, sizeof(out->name), "0x%llx", (unsigned long long)handle);
    out->is = is;
    out->has = has;
    out->is_on = is_on;
    out->has_on = has_on;
    return HX_E_CORRUPT;
}

static bool is_being_told(uint32_t cpu, hx_handle_t handle)
{
    return __atomic_load_n(&hx_sched_book_of(cpu)->telling, __ATOMIC_RELAXED) == handle;
}

static bool has_to_forget(uint32_t cpu)
{
    return __atomic_load_n(&hx_sched_book_of(cpu)->forget_due, __ATOMIC_RELAXED);
}

/* Whether the books say nothing, at this moment, about how the policy has it. */
static bool is_open_question(const struct hx_task *task)
{
    uint32_t cpu = task->cpu;
    return task->doubted || has_to_forget(cpu) || is_being_told(cpu, task->handle);
}

static bool is_stopping_elsewhere(const struct hx_task *task)
{
    const struct hx_cpu *cpu = hx_hal_on_cpu(&hx_cpu, task->cpu);
    return cpu != hx_cpu_read(self) && __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) == task;
}

/* Whether some CPU has still to tell the policy that the dead @handle is gone: it exited there, or was removed. */
static bool is_to_be_told(hx_handle_t handle)
{
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++)
        if (has_to_forget(cpu) || is_being_told(cpu, handle) ||
            __atomic_load_n(&hx_sched_book_of(cpu)->running, __ATOMIC_RELAXED) == handle)
            return true;
    return false;
}

/* The policy has the dead @handle. */
static hx_status_t check_dead(hx_handle_t handle, enum mark mark, uint32_t has_on, struct hx_sched_difference *out)
{
    if (hx_sched_estranged & 1u << mark || is_to_be_told(handle))
        return HX_OK;
    return differs(out, handle, "gone", has_on, mark_texts[mark], has_on);
}

static hx_status_t check_queued(const struct hx_task *task, hx_handle_t handle, uint32_t has_on,
                                struct hx_sched_difference *out)
{
    const char *is = hx_task_state_name(task->state);
    uint32_t is_on = task->cpu;
    if (is_open_question(task))
        return HX_OK;
    if (is_on != has_on || task->state > HX_TASK_RUNNING)
        return differs(out, handle, is, is_on, mark_texts[QUEUED], has_on);
    if (is_stopping_elsewhere(task) || (task->state == HX_TASK_READY && task->told))
        return HX_OK;
    return differs(out, handle, task->state == HX_TASK_READY ? "ready, which nobody has told," : is, is_on,
                   mark_texts[QUEUED], has_on);
}

/* Everybody whom the policy names, and no live one twice. */
static hx_status_t mark_list(const struct hx_sched_saved *saved, enum mark mark, uint32_t *out_dead,
                             struct hx_sched_difference *out)
{
    const hx_handle_t *list = mark == QUEUED ? saved->ready : saved->waiting;
    size_t count = mark == QUEUED ? saved->ready_count : saved->waiting_count;
    for (size_t k = 0; k < count; k++) {
        hx_handle_t handle = list[k];
        uint32_t i = hx_handle_index(handle), has_on = cpu_of(saved, handle);
        if (hx_handle_type(handle) != HX_HANDLE_TASK || i >= HX_TASKS_MAX)
            return differs(out, handle, "no task", 0, mark_texts[mark], has_on);
        const struct hx_task *task = hx_task_lookup(handle);
        hx_status_t err = HX_OK;
        if (!task) {
            *out_dead |= 1u << mark;
            err = check_dead(handle, mark, has_on, out);
        } else if (task->class != HX_TASK_POLICY) {
            err = differs(out, handle, "none of the policy's", task->cpu, mark_texts[mark], has_on);
        } else if (marks[i] != UNKNOWN) {
            err = differs(out, handle, hx_task_state_name(task->state), task->cpu, "twice", has_on);
        } else {
            marks[i] = (uint8_t)mark;
            err = mark == QUEUED ? check_queued(task, handle, has_on, out) : HX_OK;
        }
        if (err != HX_OK)
            return err;
    }
    return HX_OK;
}

struct sought {
    struct hx_sched_difference *out;
    const struct hx_sched_saved *saved;
    hx_status_t err;
};

/* What the core has told is there: who is ready and told is queued, who was ever told of is known. */
static bool check_live(struct hx_task *task, void *context)
{
    struct sought *sought = context;
    hx_handle_t handle = task->handle;
    uint32_t i = (uint32_t)(task - hx_tasks);
    if (task->class != HX_TASK_POLICY || handle == HX_HANDLE_NONE || marks[i] == QUEUED || is_open_question(task))
        return true;
    bool ready = task->state == HX_TASK_READY;
    bool queued = ready && task->told && !is_stopping_elsewhere(task);
    bool known = !(ready && task->news == HX_SCHED_NEW) && task->state < HX_TASK_DEAD && !task->forgotten;
    if (queued || (known && marks[i] == UNKNOWN))
        sought->err = differs(sought->out, handle, hx_task_state_name(task->state), task->cpu, mark_texts[marks[i]],
                              cpu_of(sought->saved, handle));
    return sought->err == HX_OK;
}

static hx_status_t look(const struct hx_sched_saved *saved, uint32_t *out_dead, struct hx_sched_difference *out)
{
    struct sought sought = { .out = out, .saved = saved, .err = HX_OK };
    memset(marks, UNKNOWN, sizeof(marks));
    *out_dead = 0;
    hx_status_t err = mark_list(saved, QUEUED, out_dead, out);
    if (err == HX_OK)
        err = mark_list(saved, WAITING, out_dead, out);
    if (err != HX_OK)
        return err;
    hx_task_for_each(check_live, &sought);
    return sought.err;
}

static bool all_have_forgotten(void)
{
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++)
        if (has_to_forget(cpu))
            return false;
    return true;
}

hx_status_t hx_sched_audit(const struct hx_sched_saved *saved, struct hx_sched_difference *out)
{
    uint32_t dead = 0;
    hx_status_t err = look(saved, &dead, out);
    for (uint32_t looks = 1; err != HX_OK && looks < LOOKS_MAX && hx_hal_cpu_count() > 1; looks++) {
        (void)!hx_hal_cpu_sync(hx_hal_clock_ns() + patience_ns);
        err = look(saved, &dead, out);
    }
    if (err == HX_OK && all_have_forgotten())
        hx_sched_estranged &= dead;
    return err;
}
#endif
