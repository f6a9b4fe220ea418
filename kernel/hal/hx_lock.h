/* SPDX-License-Identifier: MIT */
/*
 * hx_lock.h - the spinlock: interrupts off while held, ranks checked in debug builds.
 *
 * Ranks: a lock may be taken only while every lock held on this CPU has a lower rank; the table stands in ARCHITECTURE.md.
 * Never held across a gate, a sleep or a task switch (the scheduler's own excepted).
 */
#pragma once
#include <hx_hal_inline.h>
#include <stdatomic.h>

enum hx_lock_rank {
    HX_RANK_REGISTRY = 10,
    HX_RANK_WAITQ = 20,
    HX_RANK_TASK = 30,
    HX_RANK_TIMER = 40,
    HX_RANK_IRQ = 50,
    HX_RANK_MEMORY = 60,
    HX_RANK_LOG = 70,
};

struct hx_lock {
    atomic_uint taken;
    uint32_t rank;
};
#define HX_LOCK_INIT(lock_rank) { 0, (lock_rank) }

static inline hx_irq_flags_t hx_lock_acquire(struct hx_lock *lock)
{
    hx_irq_flags_t flags = hx_irq_save();
    while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire))
        hx_cpu_relax();
    return flags;
}

static inline void hx_lock_release(struct hx_lock *lock, hx_irq_flags_t flags)
{
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
    hx_irq_restore(flags);
}
