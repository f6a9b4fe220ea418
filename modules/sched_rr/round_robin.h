/* SPDX-License-Identifier: MIT */
/*
 * round_robin.h - one queue, first come first served, a slice each: the policy that both versions of sched_rr share.
 *
 * Why a header: the versions differ in what they remember of a task (their state schema), not in how they choose. The
 * includer says RR_ACCOUNTING 0 or 1 and declares the module.
 * State:     an intrusive list. Node 0 is the queue itself, node i + 1 the task of index i; back[node] is the node before
 *            it plus 1, so that 0 says "not queued" and a zeroed state is an empty queue.
 * Invariant: handle[i] is 0 or a handle of index i; what lies at or above limit has never been used.
 * Cost:      pick 50 instructions when it also queues the previous task, 40 when that one blocks; ready 30; turn 30 when it
 *            is the woken task's.
 * Context:   as helix/sched.h says: one operation at a time, so no lock.
 */
#pragma once
#include <helix/fmt.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

#define RR_QUEUE_FIELDS(SCALAR, ARRAY)                                                                                 \
    SCALAR(u32, queued)                                                                                                \
    SCALAR(u32, limit) /* highest index seen, plus 1 */                                                                \
    SCALAR(u32, last)                                                                                                  \
    ARRAY(u32, next, HX_TASKS_MAX + 1)                                                                                 \
    ARRAY(u32, back, HX_TASKS_MAX + 1)                                                                                 \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)

#if RR_ACCOUNTING
#define RR_FIELDS(SCALAR, ARRAY)                                                                                       \
    RR_QUEUE_FIELDS(SCALAR, ARRAY)                                                                                     \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
#else
#define RR_FIELDS RR_QUEUE_FIELDS
#endif

HX_STATE(rr, RR_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice in milliseconds, 1 to 10000");

enum { RR_QUANTUM_MS_MAX = 10000, RR_LINE_MAX = 96 };

static struct hx_state_stream rr_stream;

static void rr_limit_raise(uint64_t count)
{
    if (count > rr.limit)
        rr.limit = (uint32_t)count;
}

/* ---- accounting: what version 2 remembers and version 1 does not ----------------------------------------------------- */
#if RR_ACCOUNTING
static void rr_account_ran(uint32_t i, uint64_t ran_ns)
{
    rr.runtime[i] += ran_ns;
}

static void rr_account_picked(uint32_t i)
{
    rr.picks[i]++;
}

static void rr_account_reset(uint32_t i)
{
    rr.runtime[i] = 0;
    rr.picks[i] = 0;
}

static size_t rr_account_format(uint32_t i, char *line, size_t used)
{
    uint64_t us = rr.runtime[i] / 1000;
    return hx_fmt_append(line, RR_LINE_MAX, used, ", ran %llu.%03llu ms, picked %u", (unsigned long long)(us / 1000),
                         (unsigned long long)(us % 1000), rr.picks[i]);
}

static hx_ret_t rr_account_save(void)
{
    hx_ret_t err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), rr.runtime, rr.limit * sizeof(rr.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), rr.picks, rr.limit * sizeof(rr.picks[0]));
    return err;
}

static hx_ret_t rr_account_load(void)
{
    hx_ret_t bytes =
        hx_state_get_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), rr.runtime, sizeof(rr.runtime), sizeof(rr.runtime[0]));
    if (bytes < 0)
        return bytes;
    rr_limit_raise((uint64_t)bytes / sizeof(rr.runtime[0]));
    bytes = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_PICKS), rr.picks, sizeof(rr.picks), sizeof(rr.picks[0]));
    if (bytes < 0)
        return bytes;
    rr_limit_raise((uint64_t)bytes / sizeof(rr.picks[0]));
    return HX_OK;
}

/* No task has run for longer than the machine. */
static bool rr_account_sound(uint32_t i, uint64_t now_ns)
{
    return rr.runtime[i] <= now_ns && (i < rr.limit || (rr.runtime[i] == 0 && rr.picks[i] == 0));
}
#else
static void rr_account_ran(uint32_t i, uint64_t ran_ns)
{
    (void)i;
    (void)ran_ns;
}

static void rr_account_picked(uint32_t i)
{
    (void)i;
}

static void rr_account_reset(uint32_t i)
{
    (void)i;
}

static size_t rr_account_format(uint32_t i, char *line, size_t used)
{
    (void)i;
    (void)line;
    return used;
}

static hx_ret_t rr_account_save(void)
{
    return HX_OK;
}

static hx_ret_t rr_account_load(void)
{
    return HX_OK;
}

static bool rr_account_sound(uint32_t i, uint64_t now_ns)
{
    (void)i;
    (void)now_ns;
    return true;
}
#endif

/* ---- the queue ------------------------------------------------------------------------------------------------------- */
#define rr_unlikely(condition) __builtin_expect(!!(condition), 0)

static inline bool rr_is_queued(uint32_t i)
{
    return rr.back[i + 1] != 0;
}

/* Links are checked before they are followed: a spoiled one becomes an error, not a wild write. */
static inline hx_ret_t rr_append(uint32_t i)
{
    uint32_t last = rr.last;
    if (rr_unlikely(last > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    rr.next[last] = i + 1;
    rr.back[i + 1] = last + 1;
    rr.next[i + 1] = 0;
    rr.last = i + 1;
    rr.queued++;
    return HX_OK;
}

/* @before: the node in front of the task. */
static inline hx_ret_t rr_unlink_after(uint32_t i, uint32_t before)
{
    uint32_t after = rr.next[i + 1];
    if (rr_unlikely(after > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    rr.next[before] = after;
    rr.back[i + 1] = 0;
    rr.queued--;
    if (after == 0)
        rr.last = before;
    else
        rr.back[after] = before + 1;
    return HX_OK;
}

/* Does nothing for a task that is not queued. */
static hx_ret_t rr_unlink(uint32_t i)
{
    uint32_t back = rr.back[i + 1];
    if (back == 0)
        return HX_OK;
    return back - 1 <= HX_TASKS_MAX ? rr_unlink_after(i, back - 1) : HX_E_CORRUPT;
}

/* ---- what is known of a task ----------------------------------------------------------------------------------------- */
static bool rr_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && rr.handle[i] == task;
}

/* Its accounting stays: a task that the kernel takes off the queue to run it comes back. */
static hx_ret_t rr_forget(uint32_t i)
{
    hx_ret_t err = rr_unlink(i);
    rr.handle[i] = HX_HANDLE_NONE;
    rr.priority[i] = 0;
    return err;
}

/* Index i belongs to @task from now on; its previous owner is gone, whether or not anybody said so. */
static hx_ret_t rr_adopt(uint32_t i, hx_handle_t task)
{
    hx_ret_t err = HX_OK;
    if (rr.handle[i] != HX_HANDLE_NONE) {
        err = rr_forget(i);
        rr_account_reset(i);
    }
    rr.handle[i] = task;
    rr_limit_raise(i + 1u);
    return err;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t rr_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    if (rr.handle[i] != task) {
        hx_ret_t err = rr_adopt(i, task);
        if (err < 0)
            return err;
    }
    if (reason == HX_SCHED_NEW)
        rr_account_reset(i);
    rr.priority[i] = (uint8_t)priority;
    if (!rr_is_queued(i)) {
        hx_ret_t err = rr_append(i);
        if (err < 0)
            return err;
    }
    return HX_SCHED_LATER; /* turns are equal: nobody is worth interrupting another for */
}

/* The uncommon half of rr_put_back(): a task nobody spoke of before, or one that is gone. */
static __attribute__((noinline)) hx_ret_t rr_put_back_other(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(prev);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    hx_ret_t err = rr.handle[i] == prev ? HX_OK : rr_adopt(i, prev);
    if (err < 0)
        return err;
    rr_account_ran(i, ran_ns);
    if (reason == HX_SCHED_EXIT) {
        rr_account_reset(i);
        return rr_forget(i);
    }
    return reason == HX_SCHED_BLOCK ? rr_unlink(i) : rr_append(i);
}

/*
 * The previous task stops running. It may still stand in the queue: while the slot was closed, or after a wrong answer,
 * the kernel chose it without asking.
 */
static inline hx_ret_t rr_put_back(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(prev);
    if (rr_unlikely(i >= HX_TASKS_MAX || rr.handle[i] != prev || reason >= HX_SCHED_EXIT))
        return rr_put_back_other(prev, reason, ran_ns);
    rr_account_ran(i, ran_ns);
    if (reason == HX_SCHED_BLOCK)
        return rr_unlikely(rr_is_queued(i)) ? rr_unlink(i) : HX_OK;
    return rr_unlikely(rr_is_queued(i)) ? HX_OK : rr_append(i);
}

static hx_ret_t rr_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    (void)now_ns;
    if (prev != HX_HANDLE_NONE) {
        hx_ret_t err = rr_put_back(prev, reason, ran_ns);
        if (rr_unlikely(err < 0))
            return err;
    }
    uint32_t node = rr.next[0];
    if (node == 0)
        return (hx_ret_t)HX_HANDLE_NONE;
    if (rr_unlikely(node > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    hx_ret_t err = rr_unlink_after(node - 1, 0);
    if (rr_unlikely(err < 0))
        return err;
    rr_account_picked(node - 1);
    return (hx_ret_t)rr.handle[node - 1];
}

static __attribute__((noinline, unused)) hx_ret_t rr_turn_other(uint64_t prev, uint64_t reason, uint64_t ran_ns,
                                                                uint64_t now_ns, uint64_t woken, uint64_t priority)
{
    hx_ret_t err = rr_ready(woken, priority, HX_SCHED_WOKEN);
    return err < 0 ? err : rr_pick(prev, reason, ran_ns, now_ns);
}

/* Inline, because not everybody who includes this provides it. Where one waits and another wakes, and nobody else is there, it need not be queued to be taken off again. */
static inline hx_ret_t rr_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                               uint64_t priority)
{
    uint32_t i = hx_handle_index(woken) % HX_TASKS_MAX, before = hx_handle_index(prev) % HX_TASKS_MAX;
    if (rr_unlikely(rr.queued != 0 || reason != HX_SCHED_BLOCK || rr.handle[i] != woken || rr.handle[before] != prev ||
                    priority > UINT8_MAX))
        return rr_turn_other(prev, reason, ran_ns, now_ns, woken, priority);
    rr_account_ran(before, ran_ns);
    rr.priority[i] = (uint8_t)priority;
    rr_account_picked(i);
    return (hx_ret_t)woken;
}

static hx_ret_t rr_tick(uint64_t task, uint64_t ran_ns)
{
    (void)task;
    return rr.queued > 0 && ran_ns >= (uint64_t)quantum_ms * 1000000;
}

static hx_ret_t rr_remove(uint64_t task)
{
    return rr_is_known(task) ? rr_forget(hx_handle_index(task)) : HX_E_NOENT;
}

static hx_ret_t rr_adjust(uint64_t task, uint64_t priority)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = rr.handle[i] == task ? HX_OK : rr_adopt(i, task);
    rr.priority[i] = (uint8_t)priority;
    return err;
}

static hx_ret_t rr_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[RR_LINE_MAX];
    if (!rr_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s", rr.priority[i],
                                rr_is_queued(i) ? "queued" : "not queued");
    used = rr_account_format(i, line, used);
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t rr_init(void)
{
    return quantum_ms >= 1 && quantum_ms <= RR_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t rr_save_ready(void)
{
    hx_state_stream_begin(&rr_stream, HX_TEXT(HX_SCHED_STATE_READY));
    uint32_t count = 0;
    for (uint32_t node = rr.next[0]; node != 0; node = rr.next[node]) {
        if (node > HX_TASKS_MAX || ++count > rr.queued)
            return HX_E_CORRUPT;
        hx_ret_t err = hx_state_stream_put(&rr_stream, &rr.handle[node - 1], sizeof(rr.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&rr_stream);
}

static hx_ret_t rr_save_waiting(void)
{
    hx_state_stream_begin(&rr_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < rr.limit && i < HX_TASKS_MAX; i++) {
        if (rr.handle[i] == HX_HANDLE_NONE || rr_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&rr_stream, &rr.handle[i], sizeof(rr.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&rr_stream);
}

static hx_ret_t rr_save(void)
{
    if (rr.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = rr_save_ready();
    if (err == HX_OK)
        err = rr_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), rr.priority, rr.limit);
    return err == HX_OK ? rr_account_save() : err;
}

static hx_ret_t rr_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&rr_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&rr_stream, &task, sizeof(task));
        if (err < 0)
            return err;
        uint32_t i = hx_handle_index(task);
        if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || rr.handle[i] != HX_HANDLE_NONE)
            return HX_E_SCHEMA; /* no task, or one that was there already */
        err = rr_adopt(i, task);
        if (err == HX_OK && queued)
            err = rr_append(i);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

static hx_ret_t rr_load(void)
{
    hx_ret_t err = rr_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = rr_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err < 0)
        return err;
    hx_ret_t count = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), rr.priority, sizeof(rr.priority), 1);
    if (count < 0)
        return count;
    rr_limit_raise((uint64_t)count);
    return rr_account_load();
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool rr_queue_sound(void)
{
    uint32_t count = 0, before = 0;
    for (uint32_t node = rr.next[0]; node != 0; before = node, node = rr.next[node]) {
        if (node > HX_TASKS_MAX || rr.back[node] != before + 1 || rr.handle[node - 1] == HX_HANDLE_NONE)
            return false;
        if (++count > rr.queued) /* also ends a cycle */
            return false;
    }
    return rr.last == before && count == rr.queued && rr.back[0] == 0;
}

static bool rr_task_sound(uint32_t i)
{
    hx_handle_t task = rr.handle[i];
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) != HX_HANDLE_TASK))
        return false;
    return i < rr.limit || (task == HX_HANDLE_NONE && rr.priority[i] == 0);
}

static hx_ret_t rr_check(void)
{
    if (rr.limit > HX_TASKS_MAX || rr.queued > rr.limit || !rr_queue_sound())
        return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    uint32_t claim_queued = 0;
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!rr_task_sound(i) || !rr_account_sound(i, now_ns))
            return HX_E_CORRUPT;
        claim_queued += rr_is_queued(i);
    }
    return claim_queued == rr.queued ? HX_OK : HX_E_CORRUPT;
}
