/* SPDX-License-Identifier: MIT */
/*
 * sample.c - a scheduling policy: first come, first served on each CPU, with a time slice.
 *
 * The simplest that works on any number of CPUs: one guard for all that is kept, so nothing changes while an operation looks.
 * State:     a queue for each CPU, linked by index plus 1, 0 at the ends; and what is known of each task.
 * Invariant: handle[i] is 0 or a handle of index i; a task is queued only where cpu[i] says.
 * Safety:    links are cut to an index before they are followed: spoiled ones lead to a wrong choice, which the kernel finds.
 * Swap:      between versions that declare the same fields the state is handed over; with any other policy it is converted, by
 *            the common language of helix/sched.h.
 */
#include <helix/fmt.h>
#include <helix/guard.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

#ifndef SAMPLE_MINOR
#define SAMPLE_MINOR 0
#endif

enum { LINE_BYTES = 64, SLICE_MS_MAX = 10000 };

#define SAMPLE_FIELDS(SCALAR, ARRAY)                                                                                   \
    SCALAR(u32, limit) /* highest index seen, plus 1 */                                                                \
    ARRAY(u16, first, HX_CPUS_MAX)                                                                                     \
    ARRAY(u16, last, HX_CPUS_MAX)                                                                                      \
    ARRAY(u16, next, HX_TASKS_MAX)                                                                                     \
    ARRAY(u16, before, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, queued, HX_TASKS_MAX)                                                                                    \
    ARRAY(u8, cpu, HX_TASKS_MAX)                                                                                       \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, handle, HX_TASKS_MAX)
HX_STATE(sample, SAMPLE_FIELDS); /* static struct sample_state sample */
HX_PARAM(uint32_t, slice_ms, 10, "time slice in milliseconds, 1 to 10000");

static uint32_t guard;
static struct hx_state_stream stream;     /* of save */
static hx_handle_t loading[HX_TASKS_MAX]; /* of load */
static uint8_t loading_cpu[HX_TASKS_MAX];

/* ---- the queues: inside the guard -------------------------------------------------------------------------------------- */
static uint32_t at(uint32_t link)
{
    return (link - 1) % HX_TASKS_MAX;
}

static void append(uint32_t i)
{
    uint32_t cpu = sample.cpu[i] % HX_CPUS_MAX;
    sample.before[i] = sample.last[cpu];
    sample.next[i] = 0;
    if (sample.last[cpu])
        sample.next[at(sample.last[cpu])] = (uint16_t)(i + 1);
    else
        sample.first[cpu] = (uint16_t)(i + 1);
    sample.last[cpu] = (uint16_t)(i + 1);
    sample.queued[i] = 1;
}

static void unlink(uint32_t i)
{
    uint32_t cpu = sample.cpu[i] % HX_CPUS_MAX;
    if (!sample.queued[i])
        return;
    if (sample.before[i])
        sample.next[at(sample.before[i])] = sample.next[i];
    else
        sample.first[cpu] = sample.next[i];
    if (sample.next[i])
        sample.before[at(sample.next[i])] = sample.before[i];
    else
        sample.last[cpu] = sample.before[i];
    sample.queued[i] = 0;
}

/* Index i is @task's, which is on @cpu, from now on. */
static void adopt(uint32_t i, hx_handle_t task, uint32_t cpu)
{
    if (sample.handle[i] != task || sample.cpu[i] != cpu)
        unlink(i);
    if (sample.limit < i + 1)
        sample.limit = i + 1;
    sample.handle[i] = task;
    sample.cpu[i] = (uint8_t)cpu;
}

static void forget(uint32_t i)
{
    unlink(i);
    sample.handle[i] = HX_HANDLE_NONE;
}

static hx_ret_t take(uint32_t cpu)
{
    uint32_t first = sample.first[cpu];
    if (!first)
        return (hx_ret_t)HX_HANDLE_NONE;
    unlink(at(first));
    return (hx_ret_t)sample.handle[at(first)];
}

/* ---- operations ---------------------------------------------------------------------------------------------------------- */
static bool is_task(hx_handle_t task)
{
    return task != HX_HANDLE_NONE && hx_handle_index(task) < HX_TASKS_MAX;
}

static bool is_known(hx_handle_t task)
{
    return is_task(task) && sample.handle[hx_handle_index(task)] == task;
}

static hx_ret_t sample_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint32_t i = hx_handle_index(task), cpu = HX_SCHED_CPU(reason);
    if (!is_task(task) || priority > UINT8_MAX || cpu >= HX_CPUS_MAX)
        return HX_E_INVAL;
    if (!hx_guard_enter(&guard))
        return HX_E_BUSY;
    adopt(i, task, cpu);
    sample.priority[i] = (uint8_t)priority;
    if (!sample.queued[i])
        append(i);
    hx_guard_leave(&guard);
    return HX_SCHED_STAY;
}

static void put_back(hx_handle_t prev, uint64_t reason)
{
    uint32_t i = hx_handle_index(prev), why = HX_SCHED_WHY(reason);
    adopt(i, prev, HX_SCHED_CPU(reason));
    if (why == HX_SCHED_EXIT)
        forget(i);
    else if (why == HX_SCHED_BLOCK)
        unlink(i);
    else if (!sample.queued[i])
        append(i);
}

static hx_ret_t sample_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    (void)ran_ns;
    (void)now_ns;
    if (HX_SCHED_CPU(reason) >= HX_CPUS_MAX || (prev != HX_HANDLE_NONE && !is_task(prev)))
        return HX_E_INVAL;
    if (!hx_guard_enter(&guard))
        return HX_E_BUSY;
    if (prev != HX_HANDLE_NONE)
        put_back(prev, reason);
    hx_ret_t chosen = take(HX_SCHED_CPU(reason));
    hx_guard_leave(&guard);
    return chosen;
}

static hx_ret_t sample_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                            uint64_t priority)
{
    hx_ret_t err = sample_ready(woken, priority, (reason & ~(uint64_t)UINT8_MAX) | HX_SCHED_WOKEN);
    return err < 0 ? err : sample_pick(prev, reason, ran_ns, now_ns);
}

static hx_ret_t sample_tick(uint64_t task, uint64_t ran_ns)
{
    uint32_t cpu = sample.cpu[hx_handle_index(task) % HX_TASKS_MAX] % HX_CPUS_MAX;
    return sample.first[cpu] != 0 && ran_ns >= (uint64_t)slice_ms * 1000000;
}

static hx_ret_t sample_remove(uint64_t task)
{
    hx_ret_t err = HX_E_NOENT;
    if (!hx_guard_enter(&guard))
        return HX_E_BUSY;
    if (is_known(task)) {
        forget(hx_handle_index(task));
        err = HX_OK;
    }
    hx_guard_leave(&guard);
    return err;
}

static hx_ret_t sample_adjust(uint64_t task, uint64_t priority)
{
    if (!is_task(task) || priority > UINT8_MAX)
        return HX_E_INVAL;
    sample.priority[hx_handle_index(task)] = (uint8_t)priority; /* to be told to whoever comes after */
    return HX_OK;
}

static hx_ret_t sample_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[LINE_BYTES];
    uint32_t i = hx_handle_index(task);
    if (!is_known(task))
        return HX_E_NOENT;
    size_t used = hx_fmt(line, sizeof(line), "sample 1.%u: priority %u, %s", (unsigned)SAMPLE_MINOR, sample.priority[i],
                         sample.queued[i] ? "queued" : "not queued");
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state --------------------------------------------------------------------------------------------------------------- */
static hx_ret_t sample_init(void)
{
    return slice_ms >= 1 && slice_ms <= SLICE_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t save_queue(uint32_t cpu)
{
    hx_ret_t err = HX_OK;
    uint32_t count = 0;
    for (uint32_t link = sample.first[cpu]; link && err == HX_OK; link = sample.next[at(link)])
        err = count++ < HX_TASKS_MAX ? hx_state_stream_put(&stream, &sample.handle[at(link)], sizeof(hx_handle_t))
                                     : HX_E_CORRUPT;
    return err;
}

static hx_ret_t save_ready(void)
{
    hx_ret_t err = HX_OK;
    hx_state_stream_begin(&stream, HX_TEXT(HX_SCHED_STATE_READY));
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX && err == HX_OK; cpu++)
        err = save_queue(cpu);
    return err == HX_OK ? hx_state_stream_flush(&stream) : err;
}

static hx_ret_t save_waiting(void)
{
    hx_ret_t err = HX_OK;
    hx_state_stream_begin(&stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < sample.limit && err == HX_OK; i++)
        if (sample.handle[i] != HX_HANDLE_NONE && !sample.queued[i])
            err = hx_state_stream_put(&stream, &sample.handle[i], sizeof(hx_handle_t));
    return err == HX_OK ? hx_state_stream_flush(&stream) : err;
}

static hx_ret_t sample_save(void)
{
    if (sample.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = save_ready();
    if (err == HX_OK)
        err = save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_CPU), sample.cpu, sample.limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), sample.priority, sample.limit);
    return err;
}

static hx_ret_t load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, loading, sizeof(loading), sizeof(loading[0]));
    if (bytes < 0)
        return bytes;
    for (uint64_t n = 0; n < (uint64_t)bytes / sizeof(loading[0]); n++) {
        uint32_t i = hx_handle_index(loading[n]);
        if (!is_task(loading[n]) || hx_handle_type(loading[n]) != HX_HANDLE_TASK ||
            sample.handle[i] != HX_HANDLE_NONE || loading_cpu[i] >= HX_CPUS_MAX)
            return HX_E_SCHEMA;
        adopt(i, loading[n], loading_cpu[i]);
        if (queued)
            append(i);
    }
    return HX_OK;
}

static hx_ret_t sample_load(void)
{
    hx_ret_t bytes = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_CPU), loading_cpu, sizeof(loading_cpu), 1);
    hx_ret_t err = bytes < 0 ? bytes : load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err == HX_OK)
        err = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), sample.priority, sizeof(sample.priority), 1);
    return err < 0 ? err : HX_OK;
}

/* Whether CPU @cpu's queue is linked both ways, through tasks that say that they are in it. Bears to see it change. */
static bool queue_is_sound(uint64_t cpu)
{
    uint32_t link = sample.first[cpu], before = 0;
    for (uint32_t count = 0; link; link = sample.next[at(link)]) {
        uint32_t i = link - 1;
        if (link > HX_TASKS_MAX || ++count > HX_TASKS_MAX || !sample.queued[i] || sample.cpu[i] != cpu ||
            sample.before[i] != before || hx_handle_index(sample.handle[i]) != i || sample.handle[i] == HX_HANDLE_NONE)
            return false;
        before = link;
    }
    return sample.last[cpu] == before;
}

static hx_ret_t sample_check(void)
{
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        if (!hx_guard_judge(&guard, queue_is_sound, cpu))
            return HX_E_CORRUPT;
    return HX_OK;
}

static const struct hx_sched_ops sample_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_2, reserve),
    .ready = sample_ready,
    .pick = sample_pick,
    .tick = sample_tick,
    .remove = sample_remove,
    .adjust = sample_adjust,
    .info = sample_info,
    .turn = sample_turn,
};

HX_MODULE("sample", HX_VERSION(1, SAMPLE_MINOR, 0), "first come, first served", .init = sample_init,
          .save = sample_save, .load = sample_load, .check = sample_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &sample_ops);
