/* SPDX-License-Identifier: MIT */
/*
 * sched_prio.c - strict priorities: the highest ready level runs, first come first served within it.
 *
 * Why: the policy most unlike round robin that still speaks the common state fields; swapping the two shows that the order
 * of tasks is all a policy owns.
 * State:     256 intrusive lists and a bitmap of those that are not empty. A link is an index plus 1, and 0 for none, so a
 *            zeroed state is empty; back[i] of the first task in a list is PRIO_FIRST, so that 0 says "not queued".
 * Invariant: a queued task stands in the list of priority[i]; handle[i] is 0 or a handle of index i; what lies at or above
 *            limit has never been used.
 * Fairness:  none between levels, by design; the kernel steps in for a task that waits too long. A task that is preempted
 *            goes to the end of its level, whatever it has left of its slice: no rule about remainders can be abused.
 * Context:   as helix/sched.h says: one operation at a time, so no lock.
 */
#include <helix/fmt.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    PRIO_LEVELS = 256,
    PRIO_WORDS = PRIO_LEVELS / 64,
    PRIO_FIRST = HX_TASKS_MAX + 1, /* in back[]: nobody stands before */
    PRIO_QUANTUM_MS_MAX = 10000,
    PRIO_LINE_MAX = 96,
};

#define PRIO_FIELDS(SCALAR, ARRAY)                                                                                     \
    SCALAR(u64, running) /* handle last picked, 0: none or not known */                                                \
    SCALAR(u32, queued)                                                                                                \
    SCALAR(u32, limit) /* highest index seen, plus 1 */                                                                \
    ARRAY(u64, occupied, PRIO_WORDS)                                                                                   \
    ARRAY(u32, first, PRIO_LEVELS)                                                                                     \
    ARRAY(u32, last, PRIO_LEVELS)                                                                                      \
    ARRAY(u32, next, HX_TASKS_MAX)                                                                                     \
    ARRAY(u32, back, HX_TASKS_MAX)                                                                                     \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
HX_STATE(prio, PRIO_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice within a level in milliseconds, 1 to 10000");

static struct hx_state_stream prio_stream;

#define prio_unlikely(condition) __builtin_expect(!!(condition), 0)

/* ---- the lists ------------------------------------------------------------------------------------------------------- */
static inline bool prio_is_queued(uint32_t i)
{
    return prio.back[i] != 0;
}

/* The highest level with a ready task, or -1. */
static inline int prio_top(void)
{
    int word = PRIO_WORDS - 1;
    while (word >= 0 && prio.occupied[word] == 0)
        word--;
    return word < 0 ? -1 : word * 64 + 63 - __builtin_clzll(prio.occupied[word]);
}

/* Links are checked before they are followed: a spoiled one becomes an error, not a wild write. */
static inline hx_ret_t prio_append(uint32_t i)
{
    uint32_t level = prio.priority[i], last = prio.last[level];
    if (prio_unlikely(last > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    if (last == 0) {
        prio.first[level] = i + 1;
        prio.back[i] = PRIO_FIRST;
        prio.occupied[level / 64] |= 1ull << (level % 64);
    } else {
        prio.next[last - 1] = i + 1;
        prio.back[i] = last;
    }
    prio.next[i] = 0;
    prio.last[level] = i + 1;
    prio.queued++;
    return HX_OK;
}

/* Takes the first task off the highest level. Returns its handle, HX_HANDLE_NONE or HX_E_CORRUPT. */
static inline hx_ret_t prio_take(void)
{
    int level = prio_top();
    if (level < 0)
        return (hx_ret_t)HX_HANDLE_NONE;
    uint32_t i = prio.first[level] - 1;
    if (prio_unlikely(i >= HX_TASKS_MAX))
        return HX_E_CORRUPT;
    uint32_t next = prio.next[i];
    if (prio_unlikely(next > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    prio.first[level] = next;
    if (next != 0) {
        prio.back[next - 1] = PRIO_FIRST;
    } else {
        prio.last[level] = 0;
        prio.occupied[level / 64] &= ~(1ull << (level % 64));
    }
    prio.back[i] = 0;
    prio.queued--;
    prio.picks[i]++;
    prio.running = prio.handle[i];
    return (hx_ret_t)prio.handle[i];
}

/* Does nothing for a task that is not queued. */
static hx_ret_t prio_unlink(uint32_t i)
{
    uint32_t level = prio.priority[i], back = prio.back[i], next = prio.next[i];
    if (back == 0)
        return HX_OK;
    if (prio_unlikely(back > PRIO_FIRST || next > HX_TASKS_MAX))
        return HX_E_CORRUPT;
    if (back == PRIO_FIRST)
        prio.first[level] = next;
    else
        prio.next[back - 1] = next;
    if (next == 0)
        prio.last[level] = back == PRIO_FIRST ? 0 : back;
    else
        prio.back[next - 1] = back;
    if (prio.first[level] == 0)
        prio.occupied[level / 64] &= ~(1ull << (level % 64));
    prio.back[i] = 0;
    prio.queued--;
    return HX_OK;
}

/* ---- what is known of a task ----------------------------------------------------------------------------------------- */
static void prio_limit_raise(uint64_t count)
{
    if (count > prio.limit)
        prio.limit = (uint32_t)count;
}

static bool prio_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && prio.handle[i] == task;
}

static void prio_account_reset(uint32_t i)
{
    prio.runtime[i] = 0;
    prio.picks[i] = 0;
}

/* Its accounting stays: a task that the kernel takes off the queue to run it comes back. */
static hx_ret_t prio_forget(uint32_t i)
{
    hx_ret_t err = prio_unlink(i);
    prio.handle[i] = HX_HANDLE_NONE;
    prio.priority[i] = 0;
    return err;
}

/* Index i belongs to @task from now on; its previous owner is gone, whether or not anybody said so. */
static __attribute__((noinline)) hx_ret_t prio_adopt(uint32_t i, hx_handle_t task)
{
    hx_ret_t err = HX_OK;
    if (prio.handle[i] != HX_HANDLE_NONE) {
        err = prio_forget(i);
        prio_account_reset(i);
    }
    prio.handle[i] = task;
    prio_limit_raise(i + 1u);
    return err;
}

/* A queued task moves to the end of its new level. */
static hx_ret_t prio_set_level(uint32_t i, uint8_t level)
{
    if (prio.priority[i] == level)
        return HX_OK;
    bool queued = prio_is_queued(i);
    hx_ret_t err = prio_unlink(i);
    if (err < 0)
        return err;
    prio.priority[i] = level;
    return queued ? prio_append(i) : HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t prio_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint32_t i = hx_handle_index(task);
    if (prio_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX))
        return HX_E_INVAL;
    hx_ret_t err = prio.handle[i] == task ? HX_OK : prio_adopt(i, task);
    if (err == HX_OK)
        err = prio_set_level(i, (uint8_t)priority);
    if (err == HX_OK && !prio_is_queued(i))
        err = prio_append(i);
    if (prio_unlikely(err < 0))
        return err;
    if (reason == HX_SCHED_NEW)
        prio_account_reset(i);
    hx_handle_t running = prio.running;
    if (running == HX_HANDLE_NONE || priority > prio.priority[hx_handle_index(running) % HX_TASKS_MAX])
        return HX_SCHED_REPLACE;
    return HX_SCHED_LATER;
}

/*
 * The previous task stops running. It may still stand in a list: while the slot was closed, or after a wrong answer, the
 * kernel chose it without asking.
 */
static inline hx_ret_t prio_put_back(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(prev);
    if (prio_unlikely(i >= HX_TASKS_MAX))
        return HX_E_INVAL;
    hx_ret_t err = prio_unlikely(prio.handle[i] != prev) ? prio_adopt(i, prev) : HX_OK;
    if (prio_unlikely(err < 0))
        return err;
    prio.runtime[i] += ran_ns;
    if (prio_unlikely(reason == HX_SCHED_EXIT)) {
        prio_account_reset(i);
        return prio_forget(i);
    }
    if (reason == HX_SCHED_BLOCK)
        return prio_unlikely(prio_is_queued(i)) ? prio_unlink(i) : HX_OK;
    return prio_unlikely(prio_is_queued(i)) ? HX_OK : prio_append(i);
}

static hx_ret_t prio_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    (void)now_ns;
    prio.running = HX_HANDLE_NONE;
    if (prev != HX_HANDLE_NONE) {
        hx_ret_t err = prio_put_back(prev, reason, ran_ns);
        if (prio_unlikely(err < 0))
            return err;
    }
    return prio_take();
}

static hx_ret_t prio_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                          uint64_t priority)
{
    hx_ret_t err = prio_ready(woken, priority, HX_SCHED_WOKEN);
    return err < 0 ? err : prio_pick(prev, reason, ran_ns, now_ns);
}

static hx_ret_t prio_tick(uint64_t task, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    int top = prio_top(), level = prio.priority[i];
    return top > level || (top == level && ran_ns >= (uint64_t)quantum_ms * 1000000);
}

static hx_ret_t prio_remove(uint64_t task)
{
    return prio_is_known(task) ? prio_forget(hx_handle_index(task)) : HX_E_NOENT;
}

static hx_ret_t prio_adjust(uint64_t task, uint64_t priority)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = prio.handle[i] == task ? HX_OK : prio_adopt(i, task);
    return err == HX_OK ? prio_set_level(i, (uint8_t)priority) : err;
}

static hx_ret_t prio_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[PRIO_LINE_MAX];
    if (!prio_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    uint64_t us = prio.runtime[i] / 1000;
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s, ran %llu.%03llu ms, picked %u",
                                prio.priority[i], prio_is_queued(i) ? "queued" : "not queued",
                                (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), prio.picks[i]);
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t prio_init(void)
{
    return quantum_ms >= 1 && quantum_ms <= PRIO_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t prio_save_level(int level, uint32_t *count)
{
    for (uint32_t link = prio.first[level]; link != 0; link = prio.next[link - 1]) {
        if (link > HX_TASKS_MAX || ++*count > prio.queued)
            return HX_E_CORRUPT;
        hx_ret_t err = hx_state_stream_put(&prio_stream, &prio.handle[link - 1], sizeof(prio.handle[0]));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

static hx_ret_t prio_save_ready(void)
{
    hx_state_stream_begin(&prio_stream, HX_TEXT(HX_SCHED_STATE_READY));
    uint32_t count = 0;
    for (int level = PRIO_LEVELS - 1; level >= 0; level--) {
        hx_ret_t err = prio_save_level(level, &count);
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&prio_stream);
}

static hx_ret_t prio_save_waiting(void)
{
    hx_state_stream_begin(&prio_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < prio.limit; i++) {
        if (prio.handle[i] == HX_HANDLE_NONE || prio_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&prio_stream, &prio.handle[i], sizeof(prio.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&prio_stream);
}

static hx_ret_t prio_save(void)
{
    uint32_t limit = prio.limit;
    if (limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = prio_save_ready();
    if (err == HX_OK)
        err = prio_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), prio.priority, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), prio.runtime, limit * sizeof(prio.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), prio.picks, limit * sizeof(prio.picks[0]));
    return err;
}

/* An array by index that the old policy may not have kept. */
#define PRIO_LOAD_ARRAY(name, array) prio_load_array(HX_TEXT(name), (array), sizeof(array), sizeof((array)[0]))
static hx_ret_t prio_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                                uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    prio_limit_raise((uint64_t)bytes / unit_bytes);
    return HX_OK;
}

static hx_ret_t prio_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&prio_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&prio_stream, &task, sizeof(task));
        if (err < 0)
            return err;
        uint32_t i = hx_handle_index(task);
        if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || prio.handle[i] != HX_HANDLE_NONE)
            return HX_E_SCHEMA; /* no task, or one that was there already */
        err = prio_adopt(i, task);
        if (err == HX_OK && queued)
            err = prio_append(i);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* Priorities first: they say into which list a task goes. */
static hx_ret_t prio_load(void)
{
    hx_ret_t err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_PRIORITY, prio.priority);
    if (err == HX_OK)
        err = prio_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = prio_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err == HX_OK)
        err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_RUNTIME, prio.runtime);
    if (err == HX_OK)
        err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_PICKS, prio.picks);
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool prio_level_sound(uint32_t level, uint32_t *count)
{
    uint32_t before = 0;
    for (uint32_t link = prio.first[level]; link != 0; before = link, link = prio.next[link - 1]) {
        if (link > HX_TASKS_MAX || prio.priority[link - 1] != level || prio.handle[link - 1] == HX_HANDLE_NONE)
            return false;
        if (prio.back[link - 1] != (before ? before : (uint32_t)PRIO_FIRST))
            return false;
        if (++*count > prio.queued) /* also ends a cycle */
            return false;
    }
    bool occupied = (prio.occupied[level / 64] >> (level % 64) & 1) != 0;
    return prio.last[level] == before && occupied == (before != 0);
}

static bool prio_task_sound(uint32_t i, uint64_t now_ns)
{
    hx_handle_t task = prio.handle[i];
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) != HX_HANDLE_TASK))
        return false;
    if (prio.runtime[i] > now_ns) /* no task has run for longer than the machine */
        return false;
    return i < prio.limit ||
           (task == HX_HANDLE_NONE && prio.priority[i] == 0 && prio.runtime[i] == 0 && prio.picks[i] == 0);
}

static hx_ret_t prio_check(void)
{
    if (prio.limit > HX_TASKS_MAX || prio.queued > prio.limit)
        return HX_E_CORRUPT;
    if (prio.running != HX_HANDLE_NONE &&
        (hx_handle_type(prio.running) != HX_HANDLE_TASK || hx_handle_index(prio.running) >= prio.limit))
        return HX_E_CORRUPT;
    uint32_t count = 0;
    for (uint32_t level = 0; level < PRIO_LEVELS; level++)
        if (!prio_level_sound(level, &count))
            return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    uint32_t claim_queued = 0;
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!prio_task_sound(i, now_ns))
            return HX_E_CORRUPT;
        claim_queued += prio_is_queued(i);
    }
    return count == prio.queued && claim_queued == count ? HX_OK : HX_E_CORRUPT;
}

static const struct hx_sched_ops prio_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_2, reserve),
    .ready = prio_ready,
    .pick = prio_pick,
    .tick = prio_tick,
    .remove = prio_remove,
    .adjust = prio_adjust,
    .info = prio_info,
    .turn = prio_turn,
};

HX_MODULE("sched_prio", HX_VERSION(1, 0, 0), "strict-priority scheduler", .init = prio_init, .save = prio_save,
          .load = prio_load, .check = prio_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &prio_ops);
