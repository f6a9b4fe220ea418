/* SPDX-License-Identifier: MIT */
/*
 * audit.h - whether a policy and the core mean the same tasks. Only where HX_CHECKS is 1.
 *
 * The policy's side is what it saves, in the common language of helix/sched.h; the core's is its table and its books, which
 * say what the policy has been told. Both are the same set: who is ready is queued, who waits is known, and nobody else is.
 */
#pragma once
#include "task.h"

/* Borrows its arrays; missing ones have no elements. */
struct hx_sched_saved {
    const hx_handle_t *ready, *waiting;
    const uint8_t *cpu; /* by index */
    size_t ready_count, waiting_count, cpu_count;
};

struct hx_sched_difference {
    char name[HX_NAME_MAX]; /* of the task; a number where there is none */
    const char *is, *has;   /* static text: what the core says of it, and what the policy does */
    uint32_t is_on, has_on; /* the CPUs */
};

/*
 * HX_OK, or HX_E_CORRUPT and the first difference. The slot is closed, nobody is inside, preemption is off, and interrupts are
 * on: other CPUs may be in the middle of a step, which is looked at again until it is over. One at a time. Does not allocate.
 */
HX_NODISCARD hx_status_t hx_sched_audit(const struct hx_sched_saved *saved, struct hx_sched_difference *out);
