/* SPDX-License-Identifier: MIT */
/*
 * edf_state.h - what sched_edf keeps, and where.
 *
 * Rows:      what is kept by CPU stands at its row, so that no two CPUs share a cache line, and is changed inside its guard.
 * Invariant: handle[i] is 0, a handle of index i, or one without its type (forgotten); the handle in running[]
 *            is known and not queued; deadline, budget and share are 0 without a promise;
 *            what lies at or above limit has never been used.
 */
#pragma once
#include <helix/fmt.h>
#include <helix/guard.h>
#include <helix/heap.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    EDF_ROW = 8, /* words: a cache line */
    EDF_ROWS = EDF_ROW * HX_CPUS_MAX,
    EDF_RINGS = HX_TASKS_MAX + 1, /* names of tasks: 1 to HX_TASKS_MAX; of rings: from here, by row */
    EDF_NAMES = EDF_RINGS + EDF_ROWS,
    EDF_QUANTUM_MS_MAX = 10000,
    EDF_PERIOD_MS_MAX = 10000,
    EDF_SHARES_MAX = 16,
    EDF_SHARE_BITS = 20, /* shares are fixed-point numbers: a whole CPU is 1 << EDF_SHARE_BITS */
    EDF_LAPSE_PERIODS = 8,
    EDF_PROMISED = 192,               /* the lowest priority that asks for a promise */
    EDF_RESERVED_US_MAX = 1280000000, /* of a period: what the longest of a priority is */
    EDF_LINE_MAX = 112,
};

/* Where a ready task stands; the lower goes first. */
enum { EDF_NOWHERE, EDF_DUE, EDF_REST, EDF_HELD };

#define EDF_CPU_BITS ((HX_CPUS_MAX - 1u) << 8)
#define EDF_ROW_OF(reason) (((uint64_t)(reason)&EDF_CPU_BITS) / (256 / EDF_ROW))
#define EDF_REASON_MAX ((uint64_t)(HX_CPUS_MAX - 1) << 8 | HX_SCHED_EXIT)
#define EDF_NOBODY UINT64_MAX /* in running[] */

#define EDF_FIELDS(SCALAR, ARRAY)                                                                                      \
    SCALAR(u32, limit)            /* highest index seen, plus 1; raised by any CPU */                                  \
    ARRAY(u64, running, EDF_ROWS) /* by row, as all up to held: handle last picked, or EDF_NOBODY */                   \
    ARRAY(u64, ticket, EDF_ROWS)  /* last one given out */                                                             \
    ARRAY(u64, taken, EDF_ROWS)   /* shares promised */                                                                \
    ARRAY(u64, due, EDF_ROWS)     /* how many are in the heap of those with budget */                                  \
    ARRAY(u64, held, EDF_ROWS)    /* and in that of those without */                                                   \
    ARRAY(u16, due_heap, HX_TASKS_MAX *HX_CPUS_MAX + 1)  /* by deadline; one CPU's behind the other's */               \
    ARRAY(u16, held_heap, HX_TASKS_MAX *HX_CPUS_MAX + 1) /* by the begin of the next period */                         \
    ARRAY(u16, place, HX_TASKS_MAX)                      /* in its heap */                                             \
    ARRAY(u16, next, EDF_NAMES)                          /* of the rest, first come first served: names */             \
    ARRAY(u16, back, EDF_NAMES)                                                                                        \
    ARRAY(u8, queue, HX_TASKS_MAX)         /* where it stands */                                                       \
    ARRAY(u8, home, HX_TASKS_MAX)          /* row of the CPU where it is */                                            \
    ARRAY(u8, asks, HX_TASKS_MAX)          /* for a promise */                                                         \
    ARRAY(u32, reserved, 3 * HX_TASKS_MAX) /* microseconds: runtime, period, deadline; 0: as its priority says */      \
    ARRAY(u32, share, HX_TASKS_MAX)        /* promised, 0: nothing is */                                               \
    ARRAY(u64, deadline, HX_TASKS_MAX)                                                                                 \
    ARRAY(u64, budget, HX_TASKS_MAX) /* nanoseconds left until the deadline */                                         \
    ARRAY(u64, order, HX_TASKS_MAX)  /* ticket drawn when it came into a heap */                                       \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)                                                                                    \
    ARRAY(u32, missed, HX_TASKS_MAX) /* deadlines by which the budget had not been given */
HX_STATE(edf, EDF_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice without a deadline in milliseconds, 1 to 10000");
HX_PARAM(uint32_t, period_ms, 20, "period of priorities 248 to 255 in milliseconds, 1 to 10000");
HX_PARAM(uint32_t, shares, 15, "sixteenths of each CPU that deadlines may take, 1 to 16");

static struct {
    uint32_t guard, unused;
} edf_guards[EDF_ROWS];

#define edf_unlikely(condition) __builtin_expect(!!(condition), 0)

static inline uint32_t *edf_guard(uint64_t row)
{
    return &edf_guards[row].guard;
}

static inline uint64_t edf_home(uint64_t i)
{
    return __atomic_load_n(&edf.home[i], __ATOMIC_RELAXED) % EDF_ROWS / EDF_ROW * EDF_ROW;
}

/* Of a task that was forgotten its handle is kept without the type, so that its accounting is found by no other. */
#define EDF_GONE(task) ((task) & ~(UINT64_MAX << 56))

static inline bool edf_is_there(uint64_t i)
{
    return hx_handle_type(edf.handle[i]) != 0;
}

static inline bool edf_was(uint64_t i, hx_handle_t task)
{
    return edf.handle[i] == HX_HANDLE_NONE || edf.handle[i] == EDF_GONE(task);
}

static inline bool edf_is_queued(uint64_t i)
{
    return edf.queue[i] != EDF_NOWHERE;
}

/* Before anything of the index is written: who sees that also sees the limit. */
static void edf_limit_raise(uint64_t count)
{
    uint32_t limit = __atomic_load_n(&edf.limit, __ATOMIC_RELAXED);
    while (limit < count &&
           !__atomic_compare_exchange_n(&edf.limit, &limit, (uint32_t)count, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}
