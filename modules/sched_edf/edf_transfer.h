/* SPDX-License-Identifier: MIT */
/*
 * edf_transfer.h - sched_edf's state in a blob, and whether it is sound where it lies.
 *
 * Check:   looks at the queues while they are at work, by their guards (see helix/guard.h): a fault in those of a CPU that
 *          rests for the time of one walk is found; what is said of a task alone holds at any time.
 */
#pragma once
#include "edf_queue.h"

/* Beside the common language, all by index: see the fields of the state. */
#define EDF_STATE_SHARE "share"
#define EDF_STATE_DEADLINE "deadline"
#define EDF_STATE_BUDGET "budget"
#define EDF_STATE_MISSED "missed"
#define EDF_STATE_RESERVATION "reservation" /* hx_u32[3][up to HX_TASKS_MAX]: microseconds: runtime, period, deadline */

static struct hx_state_stream edf_stream;
static struct hx_heap_copy edf_copy;
static uint8_t edf_cpu[HX_TASKS_MAX]; /* of save and load */
static uint64_t edf_cpu_count;        /* of load */

/* ---- save ------------------------------------------------------------------------------------------------------------ */
static hx_ret_t edf_save_heap(struct hx_heap from)
{
    struct hx_heap heap = { edf_copy.entry, &edf_copy.count, edf_copy.place, from.before };
    hx_ret_t err = hx_heap_copy(from, &edf_copy);
    while (err == HX_OK && edf_copy.count > 0) {
        hx_ret_t first = hx_heap_take(heap);
        err = first < 0 ? first : hx_state_stream_put(&edf_stream, &edf.handle[first], sizeof(edf.handle[0]));
    }
    return err;
}

static hx_ret_t edf_save_ring(uint64_t row)
{
    uint64_t ring = EDF_RINGS + row;
    uint32_t count = 0;
    for (uint64_t name = edf.next[ring]; name != ring; name = edf.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || ++count > edf.limit)
            return HX_E_CORRUPT;
        hx_ret_t err = hx_state_stream_put(&edf_stream, &edf.handle[name - 1], sizeof(edf.handle[0]));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

static hx_ret_t edf_save_ready(void)
{
    hx_ret_t err = HX_OK;
    hx_state_stream_begin(&edf_stream, HX_TEXT(HX_SCHED_STATE_READY));
    for (uint64_t row = 0; row < EDF_ROWS && err == HX_OK; row += EDF_ROW) {
        err = edf_save_heap(edf_due(row));
        if (err == HX_OK)
            err = edf_save_ring(row);
        if (err == HX_OK)
            err = edf_save_heap(edf_held(row));
    }
    return err == HX_OK ? hx_state_stream_flush(&edf_stream) : err;
}

static hx_ret_t edf_save_waiting(void)
{
    hx_state_stream_begin(&edf_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < edf.limit; i++) {
        edf_cpu[i] = (uint8_t)(edf_home(i) / EDF_ROW);
        if (!edf_is_there(i) || edf_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&edf_stream, &edf.handle[i], sizeof(edf.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&edf_stream);
}

/* One line an array that is saved by index, with how many elements a task has. */
#define EDF_SAVED(ARRAY)                                                                                               \
    ARRAY(HX_SCHED_STATE_CPU, edf_cpu, 1)                                                                              \
    ARRAY(HX_SCHED_STATE_PRIORITY, edf.priority, 1)                                                                    \
    ARRAY(EDF_STATE_RESERVATION, edf.reserved, 3)                                                                      \
    ARRAY(EDF_STATE_SHARE, edf.share, 1)                                                                               \
    ARRAY(EDF_STATE_DEADLINE, edf.deadline, 1)                                                                         \
    ARRAY(EDF_STATE_BUDGET, edf.budget, 1)                                                                             \
    ARRAY(HX_SCHED_STATE_RUNTIME, edf.runtime, 1)                                                                      \
    ARRAY(HX_SCHED_STATE_PICKS, edf.picks, 1)                                                                          \
    ARRAY(EDF_STATE_MISSED, edf.missed, 1)

static hx_ret_t edf_save(void)
{
    if (edf.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = edf_save_ready();
    if (err == HX_OK)
        err = edf_save_waiting();
#define EDF_SAVE_ARRAY(name, array, each)                                                                              \
    if (err == HX_OK)                                                                                                  \
        err = hx_state_put_array(HX_TEXT(name), array, edf.limit * (each) * sizeof(array[0]));
    EDF_SAVED(EDF_SAVE_ARRAY)
    return err;
}

/* ---- load ------------------------------------------------------------------------------------------------------------ */
/* An array by index that the old policy may not have kept. Returns how many tasks it is about. */
static hx_ret_t edf_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                               uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    edf_limit_raise((uint64_t)bytes / unit_bytes);
    return (hx_ret_t)((uint64_t)bytes / unit_bytes);
}

static hx_ret_t edf_load_arrays(void)
{
    hx_ret_t count = edf_load_array(HX_TEXT(HX_SCHED_STATE_CPU), edf_cpu, sizeof(edf_cpu), 1), err = count;
    edf_cpu_count = count < 0 ? 0 : (uint64_t)count;
#define EDF_LOAD_ARRAY(name, array, each)                                                                              \
    if (err >= 0 && (const void *)(array) != (const void *)edf_cpu)                                                    \
        err = edf_load_array(HX_TEXT(name), array, sizeof(array), (each) * sizeof(array[0]));
    EDF_SAVED(EDF_LOAD_ARRAY)
    return err < 0 ? err : HX_OK;
}

static bool edf_reservation_sound(uint64_t i)
{
    const uint32_t *reserved = &edf.reserved[3 * i];
    if (reserved[0] == 0)
        return reserved[1] == 0 && reserved[2] == 0;
    return reserved[0] <= reserved[2] && reserved[2] <= reserved[1] && reserved[1] <= EDF_RESERVED_US_MAX;
}

/* Old promises come before new ones. What they say is not believed further than this version would have promised itself. */
static void edf_load_promise(uint64_t i, uint64_t row, uint64_t now_ns)
{
    uint64_t deadline = edf.deadline[i], budget = edf.budget[i];
    bool promised = edf.share[i] != 0;
    edf.asks[i] = edf_is_reserved(i) || edf.priority[i] >= EDF_PROMISED;
    edf.share[i] = 0;
    edf.deadline[i] = edf.budget[i] = 0;
    if (!promised || !edf_promise(i, row, now_ns))
        return;
    if (deadline < edf.deadline[i])
        edf.deadline[i] = deadline;
    if (budget < edf.budget[i])
        edf.budget[i] = budget;
}

static hx_ret_t edf_load_promises(uint64_t now_ns)
{
    for (uint32_t i = 0; i < edf.limit; i++) {
        uint32_t cpu = i < edf_cpu_count ? edf_cpu[i] : 0;
        if (!edf_reservation_sound(i))
            return HX_E_SCHEMA;
        edf.home[i] = (uint8_t)(cpu % HX_CPUS_MAX * EDF_ROW);
        edf_load_promise(i, edf.home[i], now_ns);
    }
    return HX_OK;
}

static hx_ret_t edf_load_task(hx_handle_t task, bool queued, uint64_t now_ns)
{
    uint32_t i = hx_handle_index(task);
    if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || edf.handle[i] != HX_HANDLE_NONE)
        return HX_E_SCHEMA; /* no task, or one that was there already */
    if (i < edf_cpu_count && edf_cpu[i] >= HX_CPUS_MAX)
        return HX_E_SCHEMA;
    edf_limit_raise(i + 1u);
    edf.handle[i] = task;
    return queued ? edf_push(i, edf.home[i], edf_queue_for(i, edf.home[i], now_ns)) : HX_OK;
}

static hx_ret_t edf_load_tasks(const void *name, uint64_t name_bytes, bool queued, uint64_t now_ns)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&edf_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&edf_stream, &task, sizeof(task));
        if (err == HX_OK)
            err = edf_load_task(task, queued, now_ns);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* CPUs, priorities and promises first: they say into which queue a task goes. */
static hx_ret_t edf_load(void)
{
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    hx_ret_t err = edf_load_arrays();
    if (err == HX_OK)
        err = edf_load_promises(now_ns);
    if (err == HX_OK)
        err = edf_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true, now_ns);
    if (err == HX_OK)
        err = edf_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false, now_ns);
    for (uint32_t i = 0; i < edf.limit; i++)
        if (edf.handle[i] == HX_HANDLE_NONE)
            edf_take_back(i, edf_home(i)); /* nobody is there to keep it for */
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static struct {
    uint32_t seen; /* the guard when the walk began */
    uint64_t walked, claimed;
    uint64_t shares; /* of those who claim one */
} edf_checked[HX_CPUS_MAX];

static bool edf_promise_sound(uint64_t i)
{
    const uint64_t max_ns = (EDF_PERIOD_MS_MAX * 1000000ull) << 7; /* the period may have been another's choice */
    uint32_t queue = edf.queue[i];
    if (!edf_is_promised(i))
        return edf.deadline[i] == 0 && edf.budget[i] == 0 && (queue == EDF_NOWHERE || queue == EDF_REST);
    if (!edf.asks[i] || !edf_is_there(i) || edf.share[i] > 1u << EDF_SHARE_BITS)
        return false;
    if (edf.deadline[i] > (uint64_t)hx_clock_ns() + max_ns || edf.budget[i] > max_ns)
        return false;
    return queue == EDF_NOWHERE || queue == (edf.budget[i] > 0 ? EDF_DUE : EDF_HELD);
}

static bool edf_member_sound(uint64_t i, uint64_t row, uint32_t queue)
{
    return edf.queue[i] == queue && edf.home[i] == row && edf_is_there(i) &&
           edf.order[i] <= (queue == EDF_REST ? UINT64_MAX : edf.ticket[row]) && edf_promise_sound(i);
}

static bool edf_heap_sound(struct hx_heap heap, uint64_t row, uint32_t queue, uint64_t *count)
{
    uint64_t queued = *heap.count;
    if (!hx_heap_is_sound(heap) || queued > HX_TASKS_MAX)
        return false;
    for (uint64_t position = 1; position <= queued; position++)
        if (!edf_member_sound(hx_heap_at(heap, position), row, queue))
            return false;
    *count += queued;
    return true;
}

static bool edf_ring_sound(uint64_t row, uint64_t *count)
{
    uint64_t ring = EDF_RINGS + row, before = ring;
    for (uint64_t name = edf.next[ring]; name != ring; before = name, name = edf.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || edf.back[name] != before || !edf_member_sound(name - 1, row, EDF_REST))
            return false;
        if (++*count > HX_TASKS_MAX) /* that ends a ring that leads elsewhere */
            return false;
    }
    return edf.back[ring] == before;
}

static bool edf_running_sound(uint64_t row)
{
    hx_handle_t running = edf.running[row];
    return running == EDF_NOBODY ||
           (hx_handle_type(running) == HX_HANDLE_TASK && hx_handle_index(running) < edf.limit &&
            (edf.handle[hx_handle_index(running)] != running || !edf_is_queued(hx_handle_index(running))));
}

static bool edf_cpu_sound(uint64_t row)
{
    uint64_t count = 0;
    edf_checked[row / EDF_ROW].seen = hx_guard_look(edf_guard(row));
    if (edf.taken[row] > 1u << EDF_SHARE_BITS || !edf_running_sound(row))
        return false;
    if (!edf_heap_sound(edf_due(row), row, EDF_DUE, &count) || !edf_ring_sound(row, &count) ||
        !edf_heap_sound(edf_held(row), row, EDF_HELD, &count))
        return false;
    edf_checked[row / EDF_ROW].walked = count;
    edf_checked[row / EDF_ROW].claimed = edf_checked[row / EDF_ROW].shares = 0;
    return true;
}

/* The limit is read last: see edf_limit_raise(). No task has run for longer than the machine; @now_ns may have passed. */
static bool edf_task_sound(uint64_t i, uint64_t now_ns)
{
    hx_handle_t task = edf.handle[i];
    uint64_t home = edf.home[i];
    bool used = task != HX_HANDLE_NONE || edf_is_queued(i) || home != 0 || edf.asks[i] != 0 || edf.priority[i] != 0 ||
                edf.share[i] != 0 || edf.reserved[3 * i] != 0 || edf.order[i] != 0 || edf.deadline[i] != 0 ||
                edf.budget[i] != 0 || edf.runtime[i] != 0 || edf.picks[i] != 0 || edf.missed[i] != 0;
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) > HX_HANDLE_TASK))
        return false;
    if (home != home % EDF_ROWS / EDF_ROW * EDF_ROW || edf.queue[i] > EDF_HELD)
        return false;
    if (edf.runtime[i] > now_ns && edf.runtime[i] > (uint64_t)hx_clock_ns())
        return false;
    return !used || i < __atomic_load_n(&edf.limit, __ATOMIC_ACQUIRE);
}

/* Where nothing has changed since the walk, all that say they are queued were met on it, and what is promised to one is a
 * part of what is taken. */
static bool edf_claims_sound(uint32_t cpu)
{
    return (edf_checked[cpu].claimed == edf_checked[cpu].walked &&
            edf_checked[cpu].shares == edf.taken[cpu * EDF_ROW]) ||
           !hx_guard_rested(edf_guard(cpu * EDF_ROW), edf_checked[cpu].seen);
}

/* The promise of a task that is in no queue is looked at here, if its CPU rests and has it all the time. */
static bool edf_idle_promise_sound(uint64_t i)
{
    uint64_t home = edf_home(i);
    return edf_promise_sound(i) || !hx_guard_rested(edf_guard(home), edf_checked[home / EDF_ROW].seen) ||
           edf_home(i) != home;
}

/* One who moves while he is looked at counts nowhere; he cannot come back unseen, for that takes the guard. */
static void edf_count_claims(uint64_t i)
{
    uint64_t home = edf_home(i), share = edf.share[i];
    bool queued = edf_is_queued(i);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (edf_home(i) != home)
        return;
    edf_checked[home / EDF_ROW].claimed += queued;
    edf_checked[home / EDF_ROW].shares += share;
}

static hx_ret_t edf_check(void)
{
    if (edf.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    for (uint64_t row = 0; row < EDF_ROWS; row += EDF_ROW)
        if (!hx_guard_judge(edf_guard(row), edf_cpu_sound, row))
            return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    for (uint64_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!edf_task_sound(i, now_ns) || !edf_idle_promise_sound(i))
            return HX_E_CORRUPT;
        edf_count_claims(i);
    }
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        if (!edf_claims_sound(cpu))
            return HX_E_CORRUPT;
    return HX_OK;
}
