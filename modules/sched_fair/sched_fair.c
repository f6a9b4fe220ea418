/* SPDX-License-Identifier: MIT */
/*
 * sched_fair.c - shares: each ready task gets the CPU in proportion to its weight, and the weight comes from its priority.
 *
 * Why: the policy that most people expect of a machine they share, and one whose order is not that of arrival.
 * How:      a task's virtual run time grows by the time it runs over its weight; the one with the least runs. So whoever is
 *           behind catches up, and a slice is an amount of virtual time: twice the weight, twice the slice. Nothing is
 *           divided on the way: the inverse weights stand in a table.
 * Clock:    the virtual time of the machine follows the task that is furthest behind, and only goes forward. A new task
 *           starts there. One that has slept does too, less a head start of half a slice, so sleep earns no more than that.
 * Shares:   a yield ends the slice and no more: who is still furthest behind goes on, so that shares do not depend on how
 *           often a task gives way.
 * State:    virtual times wrap and are compared by their distance; equals run in the order in which they were queued.
 * Invariant: handle[i] is 0 or a handle of index i; what lies at or above limit has never been used.
 * Cost:     O(log n) in the number of ready tasks.
 * Context:  as helix/sched.h says: one operation at a time, so no lock.
 */
#include <helix/fmt.h>
#include <helix/heap.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum { FAIR_QUANTUM_MS_MAX = 10000, FAIR_LINE_MAX = 96 };

/* No two virtual times are further apart: in nanoseconds, this is 36 years. */
#define FAIR_DISTANCE_MAX (1ll << 60)

#define FAIR_FIELDS(SCALAR, ARRAY)                                                                                     \
    SCALAR(u64, running) /* handle last picked, 0: none or not known */                                                \
    SCALAR(u64, reached) /* virtual time of the running task when it was last looked at */                             \
    SCALAR(u64, clock)                                                                                                 \
    SCALAR(u64, ticket) /* last one given out */                                                                       \
    SCALAR(u32, queued)                                                                                                \
    SCALAR(u32, limit) /* highest index seen, plus 1 */                                                                \
    ARRAY(u32, heap, HX_HEAP_ENTRIES)                                                                                  \
    ARRAY(u32, place, HX_TASKS_MAX)                                                                                    \
    ARRAY(u64, vruntime, HX_TASKS_MAX)                                                                                 \
    ARRAY(u64, order, HX_TASKS_MAX) /* ticket drawn when it was queued */                                              \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
HX_STATE(fair, FAIR_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice at priority 128 in milliseconds, 1 to 10000");

/* Beside the common language: both or neither. Virtual times mean something only beside the clock that they belong to. */
#define FAIR_STATE_VRUNTIME "vruntime" /* hx_u64[up to HX_TASKS_MAX] by index */
#define FAIR_STATE_CLOCK "vclock"      /* hx_u64 */

static struct hx_state_stream fair_stream;
static struct hx_heap_copy fair_copy;

#define fair_unlikely(condition) __builtin_expect(!!(condition), 0)

/* ---- weights --------------------------------------------------------------------------------------------------------- */
/*
 * The weight doubles every 64 levels, in a straight line in between: 64 at priority 0, 256 at 128, 1016 at 255. Sixteen to
 * one is enough to matter, and not so much that the lightest waits for ever.
 */
#define FAIR_WEIGHT(priority) ((64u + (priority) % 64u) << ((priority) / 64u))

/* Virtual over real time, in 65536ths: 65536 at priority 128. */
#define FAIR_INVERSE(priority) ((1u << 24) + FAIR_WEIGHT(priority) / 2) / FAIR_WEIGHT(priority)
#define FAIR_INVERSE_4(p) FAIR_INVERSE(p), FAIR_INVERSE(p + 1), FAIR_INVERSE(p + 2), FAIR_INVERSE(p + 3)
#define FAIR_INVERSE_16(p) FAIR_INVERSE_4(p), FAIR_INVERSE_4(p + 4), FAIR_INVERSE_4(p + 8), FAIR_INVERSE_4(p + 12)
#define FAIR_INVERSE_64(p) FAIR_INVERSE_16(p), FAIR_INVERSE_16(p + 16), FAIR_INVERSE_16(p + 32), FAIR_INVERSE_16(p + 48)
static const uint32_t fair_inverse[UINT8_MAX + 1] = {
    FAIR_INVERSE_64(0u),
    FAIR_INVERSE_64(64u),
    FAIR_INVERSE_64(128u),
    FAIR_INVERSE_64(192u),
};

/* How far task i comes in virtual time by running for @ran_ns. The product is wider than a word after a day. */
static inline uint64_t fair_virtual(uint32_t i, uint64_t ran_ns)
{
    return (uint64_t)((unsigned __int128)ran_ns * fair_inverse[fair.priority[i]] >> 16);
}

static inline int64_t fair_slice(void)
{
    return (int64_t)quantum_ms * 1000000;
}

/* ---- the queue ------------------------------------------------------------------------------------------------------- */
/* How far @a lies behind @b; negative: ahead of it. */
static inline int64_t fair_behind(uint64_t a, uint64_t b)
{
    return (int64_t)(b - a);
}

static bool fair_before(uint32_t a, uint32_t b)
{
    int64_t behind = fair_behind(fair.vruntime[a], fair.vruntime[b]);
    return behind != 0 ? behind > 0 : fair.order[a] < fair.order[b];
}

static inline struct hx_heap fair_heap(void)
{
    return (struct hx_heap){ fair.heap, &fair.queued, fair.place, fair_before };
}

static inline bool fair_is_queued(uint32_t i)
{
    return fair.place[i] != 0;
}

static inline hx_ret_t fair_push(uint32_t i)
{
    fair.order[i] = ++fair.ticket;
    return hx_heap_push(fair_heap(), i);
}

static hx_ret_t fair_unqueue(uint32_t i)
{
    return fair_is_queued(i) ? hx_heap_remove(fair_heap(), i) : HX_OK;
}

/* The running task has come to @reached. */
static inline void fair_clock_follow(uint64_t reached)
{
    if (fair.queued > 0) {
        uint64_t first = fair.vruntime[hx_heap_at(fair_heap(), 1)];
        if (fair_behind(first, reached) > 0)
            reached = first;
    }
    if (fair_behind(fair.clock, reached) > 0)
        fair.clock = reached;
}

/* Task i, which has been away, stands where it stood, but not further behind than its head start. */
static inline void fair_catch_up(uint32_t i)
{
    uint64_t earliest = fair.clock - (uint64_t)fair_slice() / 2;
    if (fair_behind(fair.vruntime[i], earliest) > 0)
        fair.vruntime[i] = earliest;
}

/* ---- what is known of a task ----------------------------------------------------------------------------------------- */
/* Indexes that were never used stand at the clock. */
static void fair_limit_raise(uint64_t count)
{
    while (fair.limit < count && fair.limit < HX_TASKS_MAX)
        fair.vruntime[fair.limit++] = fair.clock;
}

static bool fair_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && fair.handle[i] == task;
}

static void fair_account_reset(uint32_t i)
{
    fair.vruntime[i] = fair.clock;
    fair.runtime[i] = 0;
    fair.picks[i] = 0;
}

/* Its accounting stays: a task that the kernel takes off the queue to run it comes back. */
static hx_ret_t fair_forget(uint32_t i)
{
    hx_ret_t err = fair_unqueue(i);
    fair.handle[i] = HX_HANDLE_NONE;
    fair.priority[i] = 0;
    return err;
}

/* Index i belongs to @task from now on; its previous owner is gone, whether or not anybody said so. */
static __attribute__((noinline)) hx_ret_t fair_adopt(uint32_t i, hx_handle_t task)
{
    hx_ret_t err = HX_OK;
    if (fair.handle[i] != HX_HANDLE_NONE) {
        err = fair_forget(i);
        fair_account_reset(i);
    }
    fair.handle[i] = task;
    fair_limit_raise(i + 1u);
    return err;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
/*
 * It takes a quarter of a slice to be worth interrupting another, so that two tasks that wake each other do not. Others may
 * be told of later: by the next tick, which is sooner than a slice ends.
 */
static hx_ret_t fair_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint32_t i = hx_handle_index(task);
    if (fair_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX))
        return HX_E_INVAL;
    hx_ret_t err = fair.handle[i] == task ? HX_OK : fair_adopt(i, task);
    if (fair_unlikely(err < 0))
        return err;
    fair.priority[i] = (uint8_t)priority;
    if (fair_unlikely(reason == HX_SCHED_NEW)) {
        err = fair_unqueue(i); /* its rank is about to change */
        fair_account_reset(i);
    }
    if (err == HX_OK && !fair_is_queued(i)) {
        fair_catch_up(i);
        err = fair_push(i);
    }
    if (fair_unlikely(err < 0))
        return err;
    bool far = fair.running != HX_HANDLE_NONE && fair_behind(fair.vruntime[i], fair.reached) > fair_slice() / 4;
    return far ? HX_SCHED_REPLACE : HX_SCHED_LATER;
}

static inline hx_ret_t fair_choose(uint32_t i)
{
    fair.running = fair.handle[i];
    fair.reached = fair.vruntime[i];
    if (fair_behind(fair.clock, fair.reached) > 0)
        fair.clock = fair.reached; /* nobody who is ready stands further behind */
    fair.picks[i]++;
    return (hx_ret_t)fair.handle[i];
}

static inline hx_ret_t fair_choose_first(void)
{
    if (fair.queued == 0)
        return (hx_ret_t)HX_HANDLE_NONE;
    hx_ret_t first = hx_heap_take(fair_heap());
    return fair_unlikely(first < 0) ? first : fair_choose((uint32_t)first);
}

/* Task i, which is not queued, is ready beside those that are. */
static inline hx_ret_t fair_choose_beside(uint32_t i)
{
    fair.order[i] = ++fair.ticket;
    if (fair.queued == 0 || fair_before(i, hx_heap_at(fair_heap(), 1)))
        return fair_choose(i);
    hx_ret_t first = hx_heap_replace_first(fair_heap(), i);
    return fair_unlikely(first < 0) ? first : fair_choose((uint32_t)first);
}

static inline void fair_charge(uint32_t i, uint64_t ran_ns)
{
    fair.runtime[i] += ran_ns;
    fair.vruntime[i] += fair_virtual(i, ran_ns);
    fair_clock_follow(fair.vruntime[i]);
}

/*
 * The kernel chose task i without asking, while the slot was closed or after a wrong answer. It may be new here, still be
 * queued, or have been away for long.
 */
static __attribute__((noinline)) hx_ret_t fair_meet(uint32_t i, hx_handle_t task)
{
    hx_ret_t err = fair.handle[i] == task ? HX_OK : fair_adopt(i, task);
    if (err == HX_OK)
        err = fair_unqueue(i); /* before its rank changes */
    fair_catch_up(i);
    return err;
}

static hx_ret_t fair_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    (void)now_ns;
    hx_handle_t running = fair.running;
    fair.running = HX_HANDLE_NONE;
    if (prev == HX_HANDLE_NONE)
        return fair_choose_first();
    uint32_t i = hx_handle_index(prev);
    if (fair_unlikely(i >= HX_TASKS_MAX))
        return HX_E_INVAL;
    hx_ret_t err = HX_OK;
    if (fair_unlikely(prev != running || fair.handle[i] != prev || fair_is_queued(i)))
        err = fair_meet(i, prev);
    if (fair_unlikely(err < 0))
        return err;
    fair_charge(i, ran_ns);
    if (reason <= HX_SCHED_YIELD)
        return fair_choose_beside(i);
    if (fair_unlikely(reason == HX_SCHED_EXIT)) {
        fair_account_reset(i);
        err = fair_forget(i);
    }
    return fair_unlikely(err < 0) ? err : fair_choose_first();
}

static hx_ret_t fair_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                          uint64_t priority)
{
    hx_ret_t err = fair_ready(woken, priority, HX_SCHED_WOKEN);
    return err < 0 ? err : fair_pick(prev, reason, ran_ns, now_ns);
}

/* The slice is over, and somebody is behind. */
static hx_ret_t fair_tick(uint64_t task, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    uint64_t came = fair_virtual(i, ran_ns), reached = fair.vruntime[i] + came;
    fair.reached = reached;
    fair_clock_follow(reached);
    return came >= (uint64_t)fair_slice() && fair.queued > 0 &&
           fair_behind(fair.vruntime[hx_heap_at(fair_heap(), 1)], reached) > 0;
}

static hx_ret_t fair_remove(uint64_t task)
{
    return fair_is_known(task) ? fair_forget(hx_handle_index(task)) : HX_E_NOENT;
}

/* Where it stands is what it has had; from now on it is charged differently. */
static hx_ret_t fair_adjust(uint64_t task, uint64_t priority)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = fair.handle[i] == task ? HX_OK : fair_adopt(i, task);
    fair.priority[i] = (uint8_t)priority;
    return err;
}

static hx_ret_t fair_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[FAIR_LINE_MAX];
    if (!fair_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    int64_t ahead_us = fair_behind(fair.clock, fair.vruntime[i]) / 1000;
    uint64_t us = fair.runtime[i] / 1000, size_us = (uint64_t)(ahead_us < 0 ? -ahead_us : ahead_us);
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s, ran %llu.%03llu ms, picked %u",
                                fair.priority[i], fair_is_queued(i) ? "queued" : "not queued",
                                (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), fair.picks[i]);
    used = hx_fmt_append(line, sizeof(line), used, ", weight %u, at %c%llu.%03llu ms", FAIR_WEIGHT(fair.priority[i]),
                         ahead_us < 0 ? '-' : '+', (unsigned long long)(size_us / 1000),
                         (unsigned long long)(size_us % 1000));
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t fair_init(void)
{
    return quantum_ms >= 1 && quantum_ms <= FAIR_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t fair_save_ready(void)
{
    struct hx_heap heap = { fair_copy.entry, &fair_copy.count, fair_copy.place, fair_before };
    hx_state_stream_begin(&fair_stream, HX_TEXT(HX_SCHED_STATE_READY));
    hx_ret_t err = hx_heap_copy(fair_heap(), &fair_copy);
    while (err == HX_OK && fair_copy.count > 0) {
        hx_ret_t first = hx_heap_take(heap);
        err = first < 0 ? first : hx_state_stream_put(&fair_stream, &fair.handle[first], sizeof(fair.handle[0]));
    }
    return err == HX_OK ? hx_state_stream_flush(&fair_stream) : err;
}

static hx_ret_t fair_save_waiting(void)
{
    hx_state_stream_begin(&fair_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < fair.limit; i++) {
        if (fair.handle[i] == HX_HANDLE_NONE || fair_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&fair_stream, &fair.handle[i], sizeof(fair.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&fair_stream);
}

static hx_ret_t fair_save(void)
{
    uint32_t limit = fair.limit;
    if (limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = fair_save_ready();
    if (err == HX_OK)
        err = fair_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), fair.priority, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), fair.runtime, limit * sizeof(fair.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), fair.picks, limit * sizeof(fair.picks[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(FAIR_STATE_VRUNTIME), fair.vruntime, limit * sizeof(fair.vruntime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(FAIR_STATE_CLOCK), &fair.clock, sizeof(fair.clock));
    return err;
}

/* An array by index that the old policy may not have kept. */
#define FAIR_LOAD_ARRAY(name, array) fair_load_array(HX_TEXT(name), (array), sizeof(array), sizeof((array)[0]))
static hx_ret_t fair_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                                uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    fair_limit_raise((uint64_t)bytes / unit_bytes);
    return HX_OK;
}

static bool fair_distance_sound(uint32_t i)
{
    int64_t behind = fair_behind(fair.vruntime[i], fair.clock);
    return behind < FAIR_DISTANCE_MAX && behind > -FAIR_DISTANCE_MAX;
}

/* Without virtual times everybody starts at zero, and equals run in the old order. */
static hx_ret_t fair_load_virtual(void)
{
    hx_ret_t bytes = hx_state_get_array(HX_TEXT(FAIR_STATE_CLOCK), &fair.clock, sizeof(fair.clock), sizeof(fair.clock));
    if (bytes <= 0)
        return bytes;
    bytes = hx_state_get_array(HX_TEXT(FAIR_STATE_VRUNTIME), fair.vruntime, sizeof(fair.vruntime),
                               sizeof(fair.vruntime[0]));
    if (bytes < 0)
        return bytes;
    fair.limit = (uint32_t)((uint64_t)bytes / sizeof(fair.vruntime[0]));
    for (uint32_t i = 0; i < fair.limit; i++)
        if (!fair_distance_sound(i))
            return HX_E_SCHEMA;
    return HX_OK;
}

static hx_ret_t fair_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&fair_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&fair_stream, &task, sizeof(task));
        if (err < 0)
            return err;
        uint32_t i = hx_handle_index(task);
        if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || fair.handle[i] != HX_HANDLE_NONE)
            return HX_E_SCHEMA; /* no task, or one that was there already */
        err = fair_adopt(i, task);
        if (err == HX_OK && queued)
            err = fair_push(i);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* Virtual times first: they say where in the queue a task goes. */
static hx_ret_t fair_load(void)
{
    hx_ret_t err = fair_load_virtual();
    if (err == HX_OK)
        err = fair_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = fair_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_PRIORITY, fair.priority);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_RUNTIME, fair.runtime);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_PICKS, fair.picks);
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool fair_task_sound(uint32_t i, uint64_t now_ns)
{
    hx_handle_t task = fair.handle[i];
    if (i >= fair.limit)
        return task == HX_HANDLE_NONE && !fair_is_queued(i) && fair.priority[i] == 0 && fair.vruntime[i] == 0 &&
               fair.order[i] == 0 && fair.runtime[i] == 0 && fair.picks[i] == 0;
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) != HX_HANDLE_TASK))
        return false;
    if (fair_is_queued(i) && task == HX_HANDLE_NONE)
        return false;
    /* No task has run for longer than the machine. */
    return fair.runtime[i] <= now_ns && fair.order[i] <= fair.ticket && (!task || fair_distance_sound(i));
}

/* Nobody who is ready has been left further behind than a head start. */
static bool fair_clock_sound(void)
{
    if (fair.queued == 0)
        return true;
    uint64_t first = fair.vruntime[hx_heap_at(fair_heap(), 1)];
    return fair_behind(first, fair.clock) <= FAIR_QUANTUM_MS_MAX * 1000000ll / 2;
}

static hx_ret_t fair_check(void)
{
    if (fair.limit > HX_TASKS_MAX || fair.queued > fair.limit || !hx_heap_is_sound(fair_heap()))
        return HX_E_CORRUPT;
    if (fair.running != HX_HANDLE_NONE &&
        (hx_handle_type(fair.running) != HX_HANDLE_TASK || hx_handle_index(fair.running) >= fair.limit))
        return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    uint32_t claim_queued = 0;
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!fair_task_sound(i, now_ns))
            return HX_E_CORRUPT;
        claim_queued += fair_is_queued(i);
    }
    return claim_queued == fair.queued && fair_clock_sound() ? HX_OK : HX_E_CORRUPT;
}

static const struct hx_sched_ops fair_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_0, turn),
    .ready = fair_ready,
    .pick = fair_pick,
    .tick = fair_tick,
    .remove = fair_remove,
    .adjust = fair_adjust,
    .info = fair_info,
    .turn = fair_turn,
};

HX_MODULE("sched_fair", HX_VERSION(1, 0, 0), "fair-share scheduler", .init = fair_init, .save = fair_save,
          .load = fair_load, .check = fair_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_0, HX_SCHED_OPS_1_0, &fair_ops);
