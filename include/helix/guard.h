/* SPDX-License-Identifier: MIT */
/*
 * guard.h - what a CPU keeps for itself, but where others must look, and in rare cases touch.
 *
 * Why a header: a policy keeps a queue for each CPU, and by the contract only that CPU calls for it. Two come from outside
 * all the same: after a revert a task may turn up on one CPU while the queue of another still has it, and has to be taken
 * out there; and `check` looks at all queues while they are at work. A guard is a word that lets the first wait and the
 * second know: a bit of it says whether somebody is inside, the others differ whenever somebody has been.
 * Cost:    enter and leave 5 instructions together, while nobody else comes. Guards of two CPUs do not belong in one cache
 *          line.
 * Rules:   who is inside does not enter a second guard, and leaves before he returns. One who faults inside never leaves;
 *          then his version is done for, and waiting for him ends by itself.
 * Context: preemption off, so that nobody waits for one who is not running here. `check` only looks: it may be preempted.
 */
#pragma once
#include <helix/types.h>

enum {
    HX_GUARD_INSIDE = 2, /* the bit that is set while somebody is; leaving counts on from there */
    HX_GUARD_PATIENCE = 1 << 26,
    HX_GUARD_LOOKS = 64,
};

/* False: somebody is inside. */
static inline bool hx_guard_try(uint32_t *guard)
{
    return (__atomic_fetch_or(guard, (uint32_t)HX_GUARD_INSIDE, __ATOMIC_ACQUIRE) & (uint32_t)HX_GUARD_INSIDE) == 0;
}

/* False: it has not become free in a time in which every operation ends. */
static inline bool hx_guard_enter(uint32_t *guard)
{
    for (uint32_t i = 0; i < (uint32_t)HX_GUARD_PATIENCE; i++) {
        if (__builtin_expect(hx_guard_try(guard), 1))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

/*
 * Inside nobody else changes it, so that this need not be one step; and a store of x86 comes after those before it. Only
 * who looks for races must be told in words that he understands.
 */
static inline void hx_guard_leave(uint32_t *guard)
{
#ifdef __SANITIZE_THREAD__
    __atomic_fetch_add(guard, (uint32_t)HX_GUARD_INSIDE, __ATOMIC_RELEASE);
#else
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *guard += (uint32_t)HX_GUARD_INSIDE;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline uint32_t hx_guard_look(const uint32_t *guard)
{
    return __atomic_load_n(guard, __ATOMIC_ACQUIRE);
}

/* Whether nobody has been inside since hx_guard_look() returned @seen. */
static inline bool hx_guard_rested(const uint32_t *guard, uint32_t seen)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return (seen & (uint32_t)HX_GUARD_INSIDE) == 0 && __atomic_load_n(guard, __ATOMIC_RELAXED) == seen;
}

/*
 * For check: whether what @guard guards, number @which, is sound. @sound bears to see it change; only what it says of a
 * view at rest counts against it. One who was busy at each of many looks is believed.
 */
static inline bool hx_guard_judge(const uint32_t *guard, bool (*sound)(uint64_t which), uint64_t which)
{
    for (uint32_t i = 0; i < (uint32_t)HX_GUARD_LOOKS; i++) {
        uint32_t seen = hx_guard_look(guard);
        if (sound(which))
            return true;
        if (hx_guard_rested(guard, seen))
            return false;
    }
    return true;
}
