/* SPDX-License-Identifier: MIT */
/*
 * mutex.h - exclusion for tasks, with priority inheritance.
 *
 * A task that holds mutexes runs at the highest priority of those who wait for any of them, along a chain of owners who wait
 * in their turn; hx_task.base is what it has of its own. Who unlocks hands over to the first of those who wait, by priority,
 * first come first within one. What a task holds when it ends goes to the next as orphaned.
 *
 * Rules:   where a spinlock would do, that is cheaper. No mutex is held across a gate, and none is given back from memory
 *          while somebody holds or wants it. Core tasks share mutexes with core tasks only: no priority brings a policy task
 *          before them.
 * Context: tasks, with interrupts and preemption on.
 * Cost:    one compare-and-exchange each way, and no scheduler, while nobody waits.
 */
#pragma once
#include "task.h"

enum {
    HX_MUTEX_ORPHANED = 1, /* it is the caller's, but who had it ended meanwhile: what it guards may be half changed */
    HX_MUTEX_CHAIN_MAX = 16,
};

struct hx_mutex {
    hx_handle_t owner; /* HX_HANDLE_NONE: free; the top bit: somebody waits, or did. Atomic; see mutex.c */
    struct hx_waitq waiters;
    struct hx_mutex *held_next; /* the owner's: what else it holds */
    bool orphaned;              /* the owner's */
};
#define HX_MUTEX_INIT(mutex)                                                                                           \
    {                                                                                                                  \
        .waiters = HX_WAITQ_INIT((mutex).waiters)                                                                      \
    }

void hx_mutex_init(struct hx_mutex *mutex);
/*
 * Waits for it until @deadline_ns (UINT64_MAX: for ever). HX_OK, HX_MUTEX_ORPHANED: the caller has it. HX_E_CYCLE: he has it
 * already, or who has it waits for one that the caller has, at however many removes; HX_E_LIMIT: at more than
 * HX_MUTEX_CHAIN_MAX; HX_E_TIMEOUT; HX_E_KILLED: inside a module, unwind; HX_E_STATE: not a task, an interrupt, preemption or
 * interrupts off.
 */
HX_NODISCARD hx_status_t hx_mutex_lock(struct hx_mutex *mutex, uint64_t deadline_ns);
/* The same at once or not at all: HX_E_BUSY. */
HX_NODISCARD hx_status_t hx_mutex_try_lock(struct hx_mutex *mutex);
/* HX_E_PERM: it is not the caller's, and nothing was done. Switches, when who gets it comes first. */
hx_status_t hx_mutex_unlock(struct hx_mutex *mutex);
/* What it guards is whole again: later owners are not told. The caller has it. */
void hx_mutex_mend(struct hx_mutex *mutex);
