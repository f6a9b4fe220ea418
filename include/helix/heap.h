/* SPDX-License-Identifier: MIT */
/*
 * heap.h - ready tasks in order, for policies whose order is not that of arrival.
 *
 * Why a header: a policy's tables lie in its declared state, so that they are swapped with it; the heap is functions on
 * tables that somebody else owns. They are compiled into the module that uses them. `before` says who comes first: a total
 * order, so that equal histories make equal decisions. A task's rank may change only while it is in no heap.
 * Shape:   a binary heap in an array from position 1 on: the children of p are at 2p and 2p + 1. place[i] is the position of
 *          task i, 0 for none, so zeroed tables are an empty heap and any task can be taken out.
 * Safety:  what is read from a table is cut to an index, and the count is checked: spoiled tables lead to a wrong choice,
 *          which the kernel finds, and never to a wild write.
 * Cost:    push, take, remove: O(log n); replace_first with a task that becomes second of two: 30 instructions.
 */
#pragma once
#include <helix/types.h>

#define HX_HEAP_ENTRIES (HX_TASKS_MAX + 1)

struct hx_heap {
    uint16_t *entry; /* [HX_HEAP_ENTRIES] indexes of tasks; entry[0] is not used, and may be the last of another heap */
    uint64_t *count;
    uint16_t *place;                        /* [HX_TASKS_MAX] may be shared by heaps that no task is in two of */
    bool (*before)(uint32_t a, uint32_t b); /* whether task @a is to run before task @b */
};

static inline uint32_t hx_heap_at(struct hx_heap heap, uint64_t position)
{
    return heap.entry[position] % HX_TASKS_MAX;
}

static inline void hx_heap_set(struct hx_heap heap, uint64_t position, uint32_t task)
{
    heap.entry[position] = (uint16_t)task;
    heap.place[task] = (uint16_t)position;
}

/* @position is free and is filled by @task, or by one that is ranked lower than @task and had its place above. */
static inline void hx_heap_up(struct hx_heap heap, uint64_t position, uint32_t task)
{
    while (position > 1) {
        uint32_t parent = hx_heap_at(heap, position / 2);
        if (!heap.before(task, parent))
            break;
        hx_heap_set(heap, position, parent);
        position /= 2;
    }
    hx_heap_set(heap, position, task);
}

static inline void hx_heap_down(struct hx_heap heap, uint64_t position, uint32_t task)
{
    uint64_t count = *heap.count;
    while (2 * position <= count) {
        uint64_t child = 2 * position;
        if (child < count && heap.before(hx_heap_at(heap, child + 1), hx_heap_at(heap, child)))
            child++;
        if (!heap.before(hx_heap_at(heap, child), task))
            break;
        hx_heap_set(heap, position, hx_heap_at(heap, child));
        position = child;
    }
    hx_heap_set(heap, position, task);
}

/* ---- for the policy: HX_E_CORRUPT from any of them means that the tables are spoiled ------------------------------------ */
/* @task is in no heap. */
static inline hx_ret_t hx_heap_push(struct hx_heap heap, uint32_t task)
{
    if (__builtin_expect(*heap.count >= HX_TASKS_MAX, 0))
        return HX_E_CORRUPT;
    hx_heap_up(heap, ++*heap.count, task);
    return HX_OK;
}

static inline hx_ret_t hx_heap_remove(struct hx_heap heap, uint32_t task)
{
    uint64_t position = heap.place[task], count = *heap.count;
    if (__builtin_expect(count > HX_TASKS_MAX || position == 0 || position > count, 0))
        return HX_E_CORRUPT;
    uint32_t last = hx_heap_at(heap, count);
    heap.place[last] = 0;
    heap.place[task] = 0;
    *heap.count = count - 1;
    if (position == count)
        return HX_OK;
    if (position > 1 && heap.before(last, hx_heap_at(heap, position / 2)))
        hx_heap_up(heap, position, last);
    else
        hx_heap_down(heap, position, last);
    return HX_OK;
}

/* Takes the first task out; the heap is not empty. Returns its index. */
static inline hx_ret_t hx_heap_take(struct hx_heap heap)
{
    uint32_t first = hx_heap_at(heap, 1);
    uint64_t count = *heap.count;
    if (__builtin_expect(count > HX_TASKS_MAX || heap.place[first] != 1, 0))
        return HX_E_CORRUPT;
    heap.place[first] = 0;
    *heap.count = count - 1;
    if (count > 1)
        hx_heap_down(heap, 1, hx_heap_at(heap, count));
    return (hx_ret_t)first;
}

/* As taking the first and pushing @task, at half the price. */
static inline hx_ret_t hx_heap_replace_first(struct hx_heap heap, uint32_t task)
{
    uint32_t first = hx_heap_at(heap, 1);
    if (__builtin_expect(*heap.count > HX_TASKS_MAX, 0))
        return HX_E_CORRUPT;
    heap.place[first] = 0;
    hx_heap_down(heap, 1, task);
    return (hx_ret_t)first;
}

/* ---- for save and check ------------------------------------------------------------------------------------------------ */
/* Copies the heap, so that it can be taken apart in order while the state stays as it is. */
struct hx_heap_copy {
    uint16_t entry[HX_HEAP_ENTRIES];
    uint64_t count;
    uint16_t place[HX_TASKS_MAX];
};

static inline hx_ret_t hx_heap_copy(struct hx_heap heap, struct hx_heap_copy *copy)
{
    copy->count = *heap.count;
    if (copy->count > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    struct hx_heap to = { copy->entry, &copy->count, copy->place, heap.before };
    for (uint64_t position = 1; position <= copy->count; position++)
        hx_heap_set(to, position, hx_heap_at(heap, position));
    return HX_OK;
}

static inline bool hx_heap_is_sound(struct hx_heap heap)
{
    uint64_t count = *heap.count; /* once: the heap may be at work */
    if (count > HX_TASKS_MAX)
        return false;
    for (uint64_t position = 1; position <= count; position++) {
        uint32_t task = heap.entry[position];
        if (task >= HX_TASKS_MAX || heap.place[task] != position)
            return false;
        if (position > 1 && !heap.before(hx_heap_at(heap, position / 2), task))
            return false;
    }
    return true;
}
