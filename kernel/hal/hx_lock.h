/* SPDX-License-Identifier: MIT */
/*
 * hx_lock.h - the spinlock: interrupts off while held, ranks checked where HX_CHECKS is 1.
 *
 * Ranks: a lock may be taken only while every lock held on this CPU has a lower rank; the table stands in ARCHITECTURE.md.
 * Never held across a gate, a sleep or a task switch (the scheduler's own excepted).
 */
#pragma once
#include <hal/hx_hal.h>
#include <stdatomic.h>

enum hx_lock_rank {
    HX_RANK_REGISTRY = 10,
    HX_RANK_RECORDS = 13,
    HX_RANK_CALLBACKS = 14,
    HX_RANK_MUTEX = 15,
    HX_RANK_TOPICS = 16,
    HX_RANK_CHANNEL = 16,
    HX_RANK_TOPIC = 17,
    HX_RANK_ROUTER = 18,
    HX_RANK_WAITQ = 20,
    HX_RANK_TASK = 30,
    HX_RANK_ENDS = 40, /* which ends stand in which queues */
    HX_RANK_HANDLE = 45,
    HX_RANK_GRANT = 46,
    HX_RANK_RESOURCE = 47,
    HX_RANK_IRQ = 50,
    HX_RANK_CAPABILITY = 56,
    HX_RANK_MEMORY = 60,
    HX_RANK_LOG = 70,
};

#ifndef HX_CHECKS
#define HX_CHECKS 0 /* the host's build, and the kernel's with -Dchecks=true, have 1 */
#endif

struct hx_lock {
    atomic_uint taken;
    uint32_t rank;
    uint32_t outer_rank; /* of the lock that this CPU held before; written by who holds this one */
};
#define HX_LOCK_INIT(lock_rank)                                                                                        \
    {                                                                                                                  \
        0, (lock_rank), 0                                                                                              \
    }

static inline hx_irq_flags_t hx_lock_acquire(struct hx_lock *lock)
{
    hx_irq_flags_t flags = hx_irq_save();
    if (HX_CHECKS && hx_cpu_read(lock_rank) >= lock->rank)
        __builtin_trap(); /* out of order: the backtrace names the two */
    while (__builtin_expect(atomic_fetch_or_explicit(&lock->taken, 1, memory_order_acquire) & 1, 0))
        hx_hal_lock_wait();
    if (HX_CHECKS) {
        lock->outer_rank = hx_cpu_read(lock_rank);
        hx_cpu_write(lock_rank, lock->rank);
    }
    return flags;
}

/* The same, if nobody has it; and if somebody has, it is not taken, and interrupts are as they were. */
static inline bool hx_lock_try(struct hx_lock *lock, hx_irq_flags_t *out_flags)
{
    hx_irq_flags_t flags = hx_irq_save();
    if (HX_CHECKS && hx_cpu_read(lock_rank) >= lock->rank)
        __builtin_trap();
    if (__builtin_expect(atomic_fetch_or_explicit(&lock->taken, 1, memory_order_acquire) & 1, 0)) {
        hx_irq_restore(flags);
        return false;
    }
    if (HX_CHECKS) {
        lock->outer_rank = hx_cpu_read(lock_rank);
        hx_cpu_write(lock_rank, lock->rank);
    }
    *out_flags = flags;
    return true;
}

static inline void hx_lock_release(struct hx_lock *lock, hx_irq_flags_t flags)
{
    if (HX_CHECKS)
        hx_cpu_write(lock_rank, lock->outer_rank);
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
    hx_irq_restore(flags);
}
