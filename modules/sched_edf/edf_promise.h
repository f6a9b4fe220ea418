/* SPDX-License-Identifier: MIT */
/*
 * edf_promise.h - what a task asks for, whether it can be promised, and how a promise is kept.
 *
 * Terms:    runtime in each period, by a deadline after the period's begin. They are reserved, or follow from a priority of
 *           192 to 255; its bits say how much:
 *           255 - 192 = 111 111: period_ms, doubled for each step of the upper three bits below 7; of which it gets as many
 *           sixteenths as the lower three bits say, plus 1. So 255 is 8/16 of 20 ms, 192 is 1/16 of 2,560 ms.
 * Admission: for each CPU, the sum over its promises of runtime / min(deadline, period), each rounded up to 2^-20, is at
 *           most `shares` sixteenths. Where every deadline is its period's end, a sum of up to 1 can always be kept, and
 *           more never (Liu and Layland, 1973, theorem 7). Where deadlines come before that, the quotient is called the
 *           density, and a sum of up to 1 can always be kept, while more may or may not (Liu, Real-Time Systems, 2000,
 *           theorem 6.2). A deadline after the period's end is taken to be there.
 *           Who does not fit runs with the rest, and `info` says so; he is looked at again when he wakes.
 * Keeping:  a promise is a constant bandwidth server (Abeni and Buttazzo, 1998). It has a deadline and a budget. A task that
 *           wakes keeps both, unless the budget is more than its share of what is left to the deadline: then a period
 *           begins. One that has spent its budget is held until the next period begins; so nobody takes from another by
 *           running for longer than he asked.
 * Lapse:    nobody tells a policy that a task was killed while it waited. A promise whose task has not been seen for eight
 *           periods is given to another who asks.
 * Context:  inside the guard of the CPU at `row`. Tasks are in no queue while deadline and budget change.
 */
#pragma once
#include "edf_state.h"

struct edf_terms {
    uint64_t runtime_ns, period_ns, deadline_ns; /* runtime 0: it asks for nothing */
};

static inline bool edf_is_promised(uint64_t i)
{
    return edf.share[i] != 0;
}

static bool edf_is_reserved(uint64_t i)
{
    return edf.reserved[3 * i] != 0;
}

static struct edf_terms edf_terms(uint64_t i)
{
    const uint32_t *reserved = &edf.reserved[3 * i];
    if (reserved[0] != 0)
        return (struct edf_terms){ reserved[0] * 1000ull, reserved[1] * 1000ull, reserved[2] * 1000ull };
    uint32_t priority = edf.priority[i];
    if (priority < EDF_PROMISED)
        return (struct edf_terms){ 0, 0, 0 };
    uint64_t period_ns = (uint64_t)period_ms * 1000000 << (7 - (priority >> 3 & 7));
    return (struct edf_terms){ period_ns / EDF_SHARES_MAX * ((priority & 7) + 1), period_ns, period_ns };
}

/* In microseconds the quotient stays in a word, and is rounded up. */
static uint32_t edf_share(struct edf_terms terms)
{
    uint64_t of_us = terms.deadline_ns / 1000;
    return (uint32_t)((((terms.runtime_ns + 999) / 1000 << EDF_SHARE_BITS) + of_us - 1) / of_us);
}

static void edf_begin(uint64_t i, uint64_t start_ns)
{
    struct edf_terms terms = edf_terms(i);
    edf.deadline[i] = start_ns + terms.deadline_ns;
    edf.budget[i] = terms.runtime_ns;
}

/* When the period after the one under way begins. */
static inline uint64_t edf_renewal(uint64_t i)
{
    return edf.deadline[i] + (edf_is_reserved(i) ? (edf.reserved[3 * i + 1] - edf.reserved[3 * i + 2]) * 1000ull : 0);
}

static void edf_take_back(uint64_t i, uint64_t row)
{
    edf.taken[row] -= edf.share[i];
    __atomic_store_n(&edf.share[i], 0, __ATOMIC_RELAXED);
    edf.deadline[i] = edf.budget[i] = 0;
}

/* Promises task i what it asks for, if that can be kept. */
static bool edf_promise(uint64_t i, uint64_t row, uint64_t now_ns)
{
    struct edf_terms terms = edf_terms(i);
    if (terms.runtime_ns == 0)
        return false;
    uint32_t share = edf_share(terms);
    if (edf.taken[row] + share > (uint64_t)shares << (EDF_SHARE_BITS - 4))
        return false;
    edf.taken[row] += share;
    __atomic_store_n(&edf.share[i], share, __ATOMIC_RELEASE); /* after home */
    edf_begin(i, now_ns);
    return true;
}

/*
 * Whether task i, which may be of another CPU and just be made a promise there, has one here. A task has none when it comes to
 * another CPU, and is there before it is made one: so who sees a promise of elsewhere sees also that it is elsewhere.
 */
static bool edf_has_promise_at(uint64_t i, uint64_t row)
{
    return __atomic_load_n(&edf.share[i], __ATOMIC_ACQUIRE) != 0 &&
           __atomic_load_n(&edf.home[i], __ATOMIC_RELAXED) == row;
}

/* Takes back what nobody has used for long. O(n), for one who asks and does not fit. */
static void edf_lapse(uint64_t row, uint64_t now_ns)
{
    uint32_t limit = __atomic_load_n(&edf.limit, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < limit && i < HX_TASKS_MAX; i++) {
        if (!edf_has_promise_at(i, row) || edf_is_queued(i) || edf.handle[i] == edf.running[row])
            continue;
        if (now_ns > edf.deadline[i] + EDF_LAPSE_PERIODS * edf_terms(i).period_ns)
            edf_take_back(i, row);
    }
}

static bool edf_promise_or_lapse(uint64_t i, uint64_t row, uint64_t now_ns)
{
    if (edf_promise(i, row, now_ns))
        return true;
    edf_lapse(row, now_ns);
    return edf_promise(i, row, now_ns);
}

/* What task i asks for has changed. */
static void edf_ask(uint64_t i, uint64_t row, uint64_t now_ns)
{
    edf_take_back(i, row);
    edf.asks[i] = edf_is_reserved(i) || edf.priority[i] >= EDF_PROMISED;
    if (edf.asks[i])
        (void)edf_promise_or_lapse(i, row, now_ns);
}

/* Task i wakes: is what it has left more than its share of the time to its deadline? Then a period begins. The budget is at
 * most 2^41, and time left is cut, so that the products fit. */
static void edf_wake(uint64_t i, uint64_t now_ns)
{
    uint64_t left_ns = edf.deadline[i] - now_ns;
    if (now_ns >= edf.deadline[i] || edf.budget[i] >> 10 >= (left_ns >> 10) * edf.share[i] >> EDF_SHARE_BITS)
        edf_begin(i, now_ns);
}

/* The queue for task i, which is ready. When its next period is due, that begins. */
static uint32_t edf_queue_for(uint64_t i, uint64_t row, uint64_t now_ns)
{
    if (!edf_is_promised(i) && (!edf.asks[i] || !edf_promise(i, row, now_ns)))
        return EDF_REST;
    if (edf.budget[i] > 0)
        return EDF_DUE;
    uint64_t renewal_ns = edf_renewal(i);
    if (now_ns < renewal_ns)
        return EDF_HELD;
    bool far = now_ns - renewal_ns >= edf_terms(i).period_ns; /* nobody looked for a whole period */
    edf_begin(i, far ? now_ns : renewal_ns);
    return EDF_DUE;
}
