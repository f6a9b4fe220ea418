/* SPDX-License-Identifier: MIT */
/*
 * timer.h - one-shot timers on the machine's deadline timer, in a pairing heap: arming O(1), expiry and disarming O(log n)
 * amortised.
 *
 * Callbacks run in interrupt context with interrupts off, outside every gate; they belong to the core.
 * Source of the heap: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986).
 */
#pragma once
#include <hal/hx_hal.h>

struct hx_timer {
    struct hx_timer *child, *next, *prev; /* heap links; prev is the parent for a first child */
    uint64_t deadline_ns;
    void (*expired)(struct hx_timer *timer);
    bool armed;
    uint32_t period_ns; /* 0: once */
};

/* Arms or re-arms. Any context. @expired is called once at or soon after @deadline_ns. */
void hx_timer_arm(struct hx_timer *timer, uint64_t deadline_ns, void (*expired)(struct hx_timer *timer));
/* The same, and again every @period_ns until it is disarmed, by @expired perhaps; what is missed is left out. */
void hx_timer_arm_every(struct hx_timer *timer, uint64_t deadline_ns, uint32_t period_ns,
                        void (*expired)(struct hx_timer *timer));
/* Returns whether it was armed; after that @expired is not called any more. Any context. */
bool hx_timer_disarm(struct hx_timer *timer);
/* Runs what is due and arms the machine for the next. From hx_entry_timer(). */
void hx_timer_run(uint64_t now_ns);

struct hx_timer_stats {
    uint64_t expired;    /* since boot */
    uint64_t machine_ns; /* what the machine is armed for: at or before the earliest timer; UINT64_MAX: nothing */
};
void hx_timer_stats(uint32_t cpu, struct hx_timer_stats *out);
