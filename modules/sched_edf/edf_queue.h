/* SPDX-License-Identifier: MIT */
/*
 * edf_queue.h - the three queues of a CPU: those with budget by deadline, the rest as they come, and the held.
 *
 * Context: inside the guard of the CPU at `row`. A spoiled link or count becomes an error, not a wild write.
 */
#pragma once
#include "edf_promise.h"

static bool edf_before(uint32_t a, uint32_t b)
{
    if (edf.deadline[a] != edf.deadline[b])
        return edf.deadline[a] < edf.deadline[b];
    return edf.order[a] < edf.order[b];
}

static bool edf_renewed_before(uint32_t a, uint32_t b)
{
    if (edf_renewal(a) != edf_renewal(b))
        return edf_renewal(a) < edf_renewal(b);
    return edf.order[a] < edf.order[b];
}

static inline struct hx_heap edf_due(uint64_t row)
{
    return (struct hx_heap){ &edf.due_heap[row * (HX_TASKS_MAX / EDF_ROW)], &edf.due[row], edf.place, edf_before };
}

static inline struct hx_heap edf_held(uint64_t row)
{
    return (struct hx_heap){ &edf.held_heap[row * (HX_TASKS_MAX / EDF_ROW)], &edf.held[row], edf.place,
                             edf_renewed_before };
}

static inline hx_ret_t edf_ring_add(uint64_t i, uint64_t row)
{
    uint64_t ring = EDF_RINGS + row, last = edf.back[ring];
    if (edf_unlikely(last >= EDF_NAMES))
        return HX_E_CORRUPT;
    edf.next[last] = (uint16_t)(i + 1);
    edf.back[i + 1] = (uint16_t)last;
    edf.next[i + 1] = (uint16_t)ring;
    edf.back[ring] = (uint16_t)(i + 1);
    return HX_OK;
}

static hx_ret_t edf_ring_remove(uint64_t i)
{
    uint64_t back = edf.back[i + 1], next = edf.next[i + 1];
    if (edf_unlikely(back >= EDF_NAMES || next >= EDF_NAMES))
        return HX_E_CORRUPT;
    edf.next[back] = (uint16_t)next;
    edf.back[next] = (uint16_t)back;
    return HX_OK;
}

/* Returns the index of the first, and what is no index when the ring is empty or spoiled. */
static inline uint64_t edf_ring_first(uint64_t row)
{
    return edf.next[EDF_RINGS + row] - 1ull;
}

/* Task i, the first, leaves. */
static inline hx_ret_t edf_ring_take(uint64_t i, uint64_t row)
{
    uint64_t ring = EDF_RINGS + row, next = edf.next[i + 1];
    if (edf_unlikely(next >= EDF_NAMES))
        return HX_E_CORRUPT;
    edf.next[ring] = (uint16_t)next;
    edf.back[next] = (uint16_t)ring;
    return HX_OK;
}

static inline bool edf_has_rest(uint64_t row)
{
    return edf.next[EDF_RINGS + row] != EDF_RINGS + row;
}

/* The first queue that is not empty, or EDF_NOWHERE. */
static inline uint32_t edf_first_queue(uint64_t row)
{
    if (edf.due[row] > 0)
        return EDF_DUE;
    if (edf_has_rest(row))
        return EDF_REST;
    return edf.held[row] > 0 ? EDF_HELD : EDF_NOWHERE;
}

static hx_ret_t edf_push(uint64_t i, uint64_t row, uint32_t queue)
{
    edf.queue[i] = (uint8_t)queue;
    if (queue == EDF_REST)
        return edf_ring_add(i, row);
    edf.order[i] = ++edf.ticket[row];
    return hx_heap_push(queue == EDF_DUE ? edf_due(row) : edf_held(row), (uint32_t)i);
}

/* Does nothing for a task that is not queued. */
static hx_ret_t edf_unqueue(uint64_t i, uint64_t row)
{
    uint32_t queue = edf.queue[i];
    edf.queue[i] = EDF_NOWHERE;
    switch (queue) {
    case EDF_NOWHERE: return HX_OK;
    case EDF_DUE: return hx_heap_remove(edf_due(row), (uint32_t)i);
    case EDF_REST: return edf_ring_remove(i);
    case EDF_HELD: return hx_heap_remove(edf_held(row), (uint32_t)i);
    default: return HX_E_CORRUPT;
    }
}

/* The first task of all. Returns its index, HX_TASKS_MAX when there is none, or HX_E_CORRUPT. */
static hx_ret_t edf_take(uint64_t row)
{
    uint32_t queue = edf_first_queue(row);
    hx_ret_t first = HX_TASKS_MAX;
    if (queue == EDF_REST) {
        first = (hx_ret_t)edf_ring_first(row);
        hx_ret_t err = (uint64_t)first < HX_TASKS_MAX ? edf_ring_take((uint64_t)first, row) : HX_E_CORRUPT;
        if (err < 0)
            return err;
    } else if (queue != EDF_NOWHERE) {
        first = hx_heap_take(queue == EDF_DUE ? edf_due(row) : edf_held(row));
    }
    if (first >= 0 && first < HX_TASKS_MAX)
        edf.queue[first] = EDF_NOWHERE;
    return first;
}

/* The held whose next period has come are due again. */
static hx_ret_t edf_let_go(uint64_t row, uint64_t now_ns)
{
    while (edf.held[row] > 0 && edf_renewal(hx_heap_at(edf_held(row), 1)) <= now_ns) {
        hx_ret_t first = hx_heap_take(edf_held(row));
        if (first < 0)
            return first;
        hx_ret_t err = edf_push((uint64_t)first, row, edf_queue_for((uint64_t)first, row, now_ns));
        if (err < 0)
            return err;
    }
    return HX_OK;
}
