/* SPDX-License-Identifier: MIT */
/*
 * sched_fair.c - shares: each ready task gets its CPU in proportion to its weight, and the weight comes from its priority.
 *
 * Why: the policy that most people expect of a machine they share, and one whose order is not that of arrival.
 * How:      a task's virtual run time grows by the time it runs over its weight; the one with the least runs. So whoever is
 *           behind catches up, and a slice is an amount of virtual time: twice the weight, twice the slice. Nothing is
 *           divided on the way: the inverse weights stand in a table.
 * Clock:    the virtual time of a CPU follows the task there that is furthest behind, and only goes forward. A new task
 *           starts there. One that has slept does too, less a head start of half a slice, so sleep earns no more than that.
 * CPUs:     each shares out its own time. The clocks of two have nothing to do with each other: a task that changes CPU takes
 *           along how far it is from the clock, and of one that is not known that alone is kept. What belongs to a task is
 *           touched by the CPU that it is on, the rest by its CPU, inside its guard. A task that is heard of on another CPU
 *           than before without having been removed (after a revert) is fetched from there.
 * Shares:   a yield ends the slice and no more: who is still furthest behind goes on, so that shares do not depend on how
 *           often a task gives way.
 * State:    virtual times wrap and are compared by their distance; equals run in the order in which they were queued. What
 *           is kept by CPU stands at its row, so that no two CPUs share a cache line.
 * Invariant: handle[i] is 0, a handle of index i, or one without its type (forgotten); the handle in running[]
 *           is known and not queued; what lies at or above limit has never been used.
 * Check:    looks at the heaps while they are at work, by their guards (see helix/guard.h): a fault in that of a CPU that
 *           rests for the time of one walk is found; what is said of a task alone holds at any time.
 * Cost:     O(log n) in the number of ready tasks; pick 55 instructions with one other, turn 50 when it is the woken task's.
 * Context:  as helix/sched.h says.
 */
#include <helix/fmt.h>
#include <helix/guard.h>
#include <helix/heap.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    FAIR_ROW = 8, /* words: a cache line */
    FAIR_ROWS = FAIR_ROW * HX_CPUS_MAX,
    FAIR_QUANTUM_MS_MAX = 10000,
    FAIR_LINE_MAX = 96,
};

#define FAIR_CPU_BITS ((HX_CPUS_MAX - 1u) << 8)
#define FAIR_ROW_OF(reason) (((uint64_t)(reason)&FAIR_CPU_BITS) / (256 / FAIR_ROW))
#define FAIR_REASON_MAX ((uint64_t)(HX_CPUS_MAX - 1) << 8 | HX_SCHED_EXIT)
#define FAIR_NOBODY UINT64_MAX /* in running[] */

/* No two virtual times of a CPU are further apart: in nanoseconds, this is 36 years. */
#define FAIR_DISTANCE_MAX (1ll << 60)

#define FAIR_FIELDS(SCALAR, ARRAY)                                                                                     \
    SCALAR(u32, limit)             /* highest index seen, plus 1; raised by any CPU */                                 \
    ARRAY(u64, running, FAIR_ROWS) /* by row, as all up to the heap: handle last picked, or FAIR_NOBODY */             \
    ARRAY(u64, reached, FAIR_ROWS) /* virtual time of the running task when it was last looked at */                   \
    ARRAY(u64, clock, FAIR_ROWS)                                                                                       \
    ARRAY(u64, ticket, FAIR_ROWS) /* last one given out */                                                             \
    ARRAY(u64, queued, FAIR_ROWS)                                                                                      \
    ARRAY(u16, heap, HX_TASKS_MAX *HX_CPUS_MAX + 1) /* one behind the other */                                         \
    ARRAY(u16, place, HX_TASKS_MAX)                                                                                    \
    ARRAY(u8, home, HX_TASKS_MAX)      /* row of the CPU where it is */                                                \
    ARRAY(u64, vruntime, HX_TASKS_MAX) /* where there is no handle: ahead of the clock */                              \
    ARRAY(u64, order, HX_TASKS_MAX)    /* ticket drawn when it was queued */                                           \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
HX_STATE(fair, FAIR_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice at priority 128 in milliseconds, 1 to 10000");

/* Beside the common language. */
#define FAIR_STATE_VRUNTIME "vruntime" /* hx_i64[up to HX_TASKS_MAX] by index: ahead of the clock */

static struct {
    uint32_t guard, unused;
} fair_guards[FAIR_ROWS];
static struct hx_state_stream fair_stream;
static struct hx_heap_copy fair_copy;
static uint8_t fair_cpu[HX_TASKS_MAX]; /* of save and load */
static uint64_t fair_cpu_count;        /* of load */
static uint64_t fair_head_start;       /* half a slice; set by init */

#define fair_unlikely(condition) __builtin_expect(!!(condition), 0)

static inline uint32_t *fair_guard(uint64_t row)
{
    return &fair_guards[row].guard;
}

/* ---- weights --------------------------------------------------------------------------------------------------------- */
/*
 * The weight doubles every 64 levels, in a straight line in between: 64 at priority 0, 256 at 128, 1016 at 255. Sixteen to
 * one is enough to matter, and not so much that the lightest waits for ever.
 */
#define FAIR_WEIGHT(priority) ((64u + (priority) % 64u) << ((priority) / 64u))

/* Virtual over real time, in 65536ths: 65536 at priority 128. */
#define FAIR_INVERSE(priority) ((1u << 24) + FAIR_WEIGHT(priority) / 2) / FAIR_WEIGHT(priority)
#define FAIR_INVERSE_4(p) FAIR_INVERSE(p), FAIR_INVERSE(p + 1), FAIR_INVERSE(p + 2), FAIR_INVERSE(p + 3)
#define FAIR_INVERSE_16(p) FAIR_INVERSE_4(p), FAIR_INVERSE_4(p + 4), FAIR_INVERSE_4(p + 8), FAIR_INVERSE_4(p + 12)
#define FAIR_INVERSE_64(p) FAIR_INVERSE_16(p), FAIR_INVERSE_16(p + 16), FAIR_INVERSE_16(p + 32), FAIR_INVERSE_16(p + 48)
static const uint32_t fair_inverse[UINT8_MAX + 1] = {
    FAIR_INVERSE_64(0u),
    FAIR_INVERSE_64(64u),
    FAIR_INVERSE_64(128u),
    FAIR_INVERSE_64(192u),
};

/* How far task i comes in virtual time by running for @ran_ns. The product is wider than a word after a day. */
static inline uint64_t fair_virtual(uint64_t i, uint64_t ran_ns)
{
    return (uint64_t)((unsigned __int128)ran_ns * fair_inverse[fair.priority[i]] >> 16);
}

static inline int64_t fair_slice(void)
{
    return (int64_t)quantum_ms * 1000000;
}

/* ---- the queues: inside the guard -------------------------------------------------------------------------------------- */
/* How far @a lies behind @b; negative: ahead of it. */
static inline int64_t fair_behind(uint64_t a, uint64_t b)
{
    return (int64_t)(b - a);
}

static bool fair_before(uint32_t a, uint32_t b)
{
    int64_t behind = fair_behind(fair.vruntime[a], fair.vruntime[b]);
    return behind != 0 ? behind > 0 : fair.order[a] < fair.order[b];
}

static inline struct hx_heap fair_heap(uint64_t row)
{
    return (struct hx_heap){ &fair.heap[row * (HX_TASKS_MAX / FAIR_ROW)], &fair.queued[row], fair.place, fair_before };
}

static inline bool fair_is_queued(uint64_t i)
{
    return fair.place[i] != 0;
}

static inline hx_ret_t fair_push(uint64_t i, uint64_t row)
{
    fair.order[i] = ++fair.ticket[row];
    return hx_heap_push(fair_heap(row), (uint32_t)i);
}

static hx_ret_t fair_unqueue(uint64_t i, uint64_t row)
{
    return fair_is_queued(i) ? hx_heap_remove(fair_heap(row), (uint32_t)i) : HX_OK;
}

static inline void fair_clock_raise(uint64_t row, uint64_t reached)
{
    if ((int64_t)(fair.clock[row] - reached) < 0)
        fair.clock[row] = reached;
}

/* The clock goes as far as the one who is furthest behind, the running task having come to @reached. */
static inline void fair_clock_follow(uint64_t row, uint64_t reached)
{
    if (fair.queued[row] > 0) {
        uint64_t first = fair.vruntime[hx_heap_at(fair_heap(row), 1)];
        if (fair_behind(first, reached) > 0)
            reached = first;
    }
    fair_clock_raise(row, reached);
}

/* Before somebody comes or goes: decisions leave it to those who need it, for nothing is lost until then. */
static inline void fair_clock_settle(uint64_t row)
{
    if (fair.running[row] != FAIR_NOBODY)
        fair_clock_follow(row, fair.reached[row]);
}

/* Task i, which has been away, stands where it stood, but not further behind than its head start. */
static inline void fair_catch_up(uint64_t i, uint64_t row)
{
    uint64_t earliest = fair.clock[row] - fair_head_start;
    if ((int64_t)(fair.vruntime[i] - earliest) < 0)
        fair.vruntime[i] = earliest;
}

static inline hx_ret_t fair_run(uint64_t i, uint64_t row, uint64_t vruntime)
{
    hx_handle_t task = fair.handle[i];
    fair.running[row] = task;
    fair.reached[row] = vruntime;
    fair.picks[i]++;
    return (hx_ret_t)task;
}

static hx_ret_t fair_take(uint64_t row)
{
    fair.running[row] = FAIR_NOBODY;
    if (fair.queued[row] == 0)
        return (hx_ret_t)HX_HANDLE_NONE;
    hx_ret_t first = hx_heap_take(fair_heap(row));
    return fair_unlikely(first < 0) ? first : fair_run((uint64_t)first, row, fair.vruntime[first]);
}

/* Returns where it has come. */
static inline uint64_t fair_charge(uint64_t i, uint64_t ran_ns)
{
    uint64_t reached = fair.vruntime[i] + fair_virtual(i, ran_ns);
    fair.runtime[i] += ran_ns;
    fair.vruntime[i] = reached;
    return reached;
}

/* ---- what is known of a task: outside of guards ------------------------------------------------------------------------ */
/* Before anything of the index is written: who sees that also sees the limit. */
static void fair_limit_raise(uint64_t count)
{
    uint32_t limit = __atomic_load_n(&fair.limit, __ATOMIC_RELAXED);
    while (limit < count && !__atomic_compare_exchange_n(&fair.limit, &limit, (uint32_t)count, false, __ATOMIC_SEQ_CST,
                                                         __ATOMIC_RELAXED))
        ;
}

/* Of a task that was forgotten its handle is kept without the type, so that its accounting is found by no other. */
#define FAIR_GONE(task) ((task) & ~(UINT64_MAX << 56))

static inline bool fair_is_there(uint64_t i)
{
    return hx_handle_type(fair.handle[i]) != 0;
}

static inline bool fair_was(uint64_t i, hx_handle_t task)
{
    return fair.handle[i] == HX_HANDLE_NONE || fair.handle[i] == FAIR_GONE(task);
}

static bool fair_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && fair.handle[i] == task;
}

static inline uint64_t fair_home(uint64_t i)
{
    return __atomic_load_n(&fair.home[i], __ATOMIC_RELAXED) % FAIR_ROWS / FAIR_ROW * FAIR_ROW;
}

static inline bool fair_is_at(uint64_t i, hx_handle_t task, uint64_t row)
{
    return fair.handle[i] == task && fair.home[i] == (uint8_t)row;
}

static void fair_account_reset(uint64_t i)
{
    fair.runtime[i] = 0;
    fair.picks[i] = 0;
}

/* Out of the queue that has it, wherever that is. Its accounting stays: one that the kernel takes off the queue to run it
 * comes back. */
static hx_ret_t fair_forget(uint64_t i)
{
    uint64_t home = fair_home(i);
    if (!fair_is_there(i))
        return HX_OK;
    if (!hx_guard_enter(fair_guard(home)))
        return HX_E_BUSY;
    fair_clock_settle(home);
    hx_ret_t err = fair_unqueue(i, home);
    if (fair.running[home] == fair.handle[i])
        fair.running[home] = FAIR_NOBODY;
    fair.vruntime[i] -= fair.clock[home];
    fair.handle[i] = FAIR_GONE(fair.handle[i]);
    fair.priority[i] = 0;
    hx_guard_leave(fair_guard(home));
    return err;
}

/* For good: the next one who has its index starts from nothing. */
static hx_ret_t fair_end(uint64_t i)
{
    hx_ret_t err = fair_forget(i);
    fair_account_reset(i);
    fair.vruntime[i] = 0;
    return err;
}

/*
 * Index i belongs to @task, which is at @row, from now on. A previous owner is gone, whether or not anybody said so, and what
 * another CPU still has in its queue it has no longer.
 */
static __attribute__((noinline)) hx_ret_t fair_adopt(uint64_t i, hx_handle_t task, uint64_t row)
{
    hx_ret_t err = HX_OK;
    uint8_t priority = fair.handle[i] == task ? fair.priority[i] : 0;
    fair_limit_raise(i + 1);
    if (fair.handle[i] == task)
        err = fair_home(i) != row ? fair_forget(i) : HX_OK;
    else if (!fair_was(i, task))
        err = fair_end(i);
    if (err < 0)
        return err;
    if (!hx_guard_enter(fair_guard(row)))
        return HX_E_BUSY;
    fair_clock_settle(row);
    if (!fair_is_there(i)) {
        fair.vruntime[i] += fair.clock[row];
        fair.order[i] = 0; /* it has drawn none here */
    }
    fair.home[i] = (uint8_t)row;
    fair.priority[i] = priority;
    fair.handle[i] = task;
    hx_guard_leave(fair_guard(row));
    return HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t fair_queue(uint64_t i, uint64_t row, bool is_new)
{
    hx_ret_t err = HX_OK;
    fair_clock_settle(row);
    if (is_new) {
        err = fair_unqueue(i, row); /* its rank is about to change */
        fair_account_reset(i);
        fair.vruntime[i] = fair.clock[row];
    }
    if (fair_unlikely(fair.running[row] == fair.handle[i]))
        fair.running[row] = FAIR_NOBODY;
    if (err < 0 || fair_is_queued(i))
        return err;
    fair_catch_up(i, row);
    return fair_push(i, row);
}

/*
 * It takes a quarter of a slice to be worth interrupting another, so that two tasks that wake each other do not. Others may
 * be told of later: by the next tick, which is sooner than a slice ends.
 */
static hx_ret_t fair_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint64_t i = hx_handle_index(task), row = FAIR_ROW_OF(reason);
    if (fair_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX || reason > FAIR_REASON_MAX))
        return HX_E_INVAL;
    hx_ret_t err = fair_is_at(i, task, row) ? HX_OK : fair_adopt(i, task, row);
    if (fair_unlikely(err < 0))
        return err;
    if (!hx_guard_enter(fair_guard(row)))
        return HX_E_BUSY;
    fair.priority[i] = (uint8_t)priority;
    err = fair_queue(i, row, HX_SCHED_WHY(reason) == HX_SCHED_NEW);
    bool far = fair.running[row] != FAIR_NOBODY && fair_behind(fair.vruntime[i], fair.reached[row]) > fair_slice() / 4;
    hx_guard_leave(fair_guard(row));
    return fair_unlikely(err < 0) ? err : far ? HX_SCHED_REPLACE : HX_SCHED_LATER;
}

/*
 * The previous task stops running, and is not the one that was picked last: the kernel chose it without asking, while the
 * slot was closed or after a wrong answer. It may be new here, still be queued, or have been away for long.
 */
static hx_ret_t fair_meet(uint64_t i, hx_handle_t task, uint64_t row)
{
    hx_ret_t err = fair_is_at(i, task, row) ? HX_OK : fair_adopt(i, task, row);
    if (err < 0)
        return err;
    if (!hx_guard_enter(fair_guard(row)))
        return HX_E_BUSY;
    fair_clock_settle(row);
    err = fair_unqueue(i, row); /* before its rank changes */
    fair_catch_up(i, row);
    hx_guard_leave(fair_guard(row));
    return err;
}

static hx_ret_t fair_decide(uint64_t i, uint64_t reason, uint64_t ran_ns)
{
    uint64_t row = FAIR_ROW_OF(reason);
    hx_ret_t err = HX_OK;
    if (!hx_guard_enter(fair_guard(row)))
        return HX_E_BUSY;
    fair_clock_settle(row);
    if (i < HX_TASKS_MAX) {
        fair_clock_follow(row, fair_charge(i, ran_ns));
        if (HX_SCHED_WHY(reason) <= HX_SCHED_YIELD)
            err = fair_push(i, row);
    }
    if (err == HX_OK)
        err = fair_take(row);
    hx_guard_leave(fair_guard(row));
    return err;
}

static __attribute__((noinline)) hx_ret_t fair_pick_other(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint64_t i = hx_handle_index(prev), row = FAIR_ROW_OF(reason);
    if (reason > FAIR_REASON_MAX || (i >= HX_TASKS_MAX && prev != HX_HANDLE_NONE))
        return HX_E_INVAL;
    if (prev == HX_HANDLE_NONE)
        return fair_decide(HX_TASKS_MAX, reason, 0);
    hx_ret_t err = prev != fair.running[row] ? fair_meet(i, prev, row) : HX_OK;
    hx_ret_t answer = err < 0 ? err : fair_decide(i, reason, ran_ns);
    if (HX_SCHED_WHY(reason) == HX_SCHED_EXIT && err == HX_OK)
        err = fair_end(i);
    return err < 0 ? err : answer;
}

/*
 * Where the one that was picked gives way beside one other, here; all else in fair_pick_other(). Who is alone in the heap
 * need not draw a ticket: whoever comes draws a later one than it last did.
 */
static hx_ret_t fair_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    uint64_t row = FAIR_ROW_OF(reason), i = prev % HX_TASKS_MAX;
    (void)now_ns;
    if (fair_unlikely(fair.running[row] != prev || HX_SCHED_WHY(reason) >= HX_SCHED_BLOCK || fair.queued[row] != 1 ||
                      !hx_guard_try(fair_guard(row))))
        return fair_pick_other(prev, reason, ran_ns);
    uint64_t next = hx_heap_at(fair_heap(row), 1), reached = fair_charge(i, ran_ns), waits = fair.vruntime[next];
    if ((int64_t)(reached - waits) < 0) {
        next = i;
        waits = reached;
    } else {
        fair.place[next] = 0;
        hx_heap_set(fair_heap(row), 1, (uint32_t)i);
    }
    hx_ret_t answer = fair_run(next, row, waits);
    hx_guard_leave(fair_guard(row));
    return answer;
}

static __attribute__((noinline)) hx_ret_t fair_turn_other(uint64_t prev, uint64_t reason, uint64_t ran_ns,
                                                          uint64_t now_ns, uint64_t woken, uint64_t priority)
{
    hx_ret_t err = fair_ready(woken, priority, (reason & ~(uint64_t)UINT8_MAX) | HX_SCHED_WOKEN);
    return err < 0 ? err : fair_pick(prev, reason, ran_ns, now_ns);
}

/* Where one waits and another wakes, and nobody else is there, it need not be queued to be taken off again. */
static hx_ret_t fair_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                          uint64_t priority)
{
    uint64_t row = FAIR_ROW_OF(reason), i = woken % HX_TASKS_MAX;
    if (fair_unlikely(fair.running[row] != prev || HX_SCHED_WHY(reason) != HX_SCHED_BLOCK || fair.queued[row] != 0 ||
                      fair.handle[i] != woken || fair.home[i] != (uint8_t)row || priority > UINT8_MAX ||
                      !hx_guard_try(fair_guard(row))))
        return fair_turn_other(prev, reason, ran_ns, now_ns, woken, priority);
    fair_clock_raise(row, fair.reached[row]);
    (void)fair_charge(prev % HX_TASKS_MAX, ran_ns);
    fair.priority[i] = (uint8_t)priority;
    fair_catch_up(i, row);
    hx_ret_t answer = fair_run(i, row, fair.vruntime[i]);
    hx_guard_leave(fair_guard(row));
    return answer;
}

/* The slice is over, and somebody is behind. */
static hx_ret_t fair_tick(uint64_t task, uint64_t ran_ns)
{
    uint64_t i = task % HX_TASKS_MAX, row = fair_home(i);
    if (!hx_guard_enter(fair_guard(row)))
        return HX_E_BUSY;
    uint64_t came = fair_virtual(i, ran_ns), reached = fair.vruntime[i] + came;
    fair.reached[row] = reached;
    fair_clock_follow(row, reached);
    bool over = came >= (uint64_t)fair_slice() && fair.queued[row] > 0 &&
                fair_behind(fair.vruntime[hx_heap_at(fair_heap(row), 1)], reached) > 0;
    hx_guard_leave(fair_guard(row));
    return over;
}

static hx_ret_t fair_remove(uint64_t task)
{
    return fair_is_known(task) ? fair_forget(hx_handle_index(task)) : HX_E_NOENT;
}

/* Where it stands is what it has had; from now on it is charged differently. Of one that is not known it is not said where it
 * is: there where it was last. */
static hx_ret_t fair_adjust(uint64_t task, uint64_t priority)
{
    uint64_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = fair.handle[i] == task ? HX_OK : fair_adopt(i, task, fair_home(i));
    if (err == HX_OK)
        fair.priority[i] = (uint8_t)priority;
    return err;
}

static hx_ret_t fair_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[FAIR_LINE_MAX];
    if (!fair_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    int64_t ahead_us = fair_behind(fair.clock[fair_home(i)], fair.vruntime[i]) / 1000;
    uint64_t us = fair.runtime[i] / 1000, size_us = (uint64_t)(ahead_us < 0 ? -ahead_us : ahead_us);
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s, ran %llu.%03llu ms, picked %u",
                                fair.priority[i], fair_is_queued(i) ? "queued" : "not queued",
                                (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), fair.picks[i]);
    used = hx_fmt_append(line, sizeof(line), used, ", weight %u, at %c%llu.%03llu ms", FAIR_WEIGHT(fair.priority[i]),
                         ahead_us < 0 ? '-' : '+', (unsigned long long)(size_us / 1000),
                         (unsigned long long)(size_us % 1000));
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
/* Before any state is loaded or shared. */
static hx_ret_t fair_init(void)
{
    for (uint32_t row = 0; row < FAIR_ROWS; row += FAIR_ROW)
        fair.running[row] = FAIR_NOBODY;
    fair_head_start = (uint64_t)fair_slice() / 2;
    return quantum_ms >= 1 && quantum_ms <= FAIR_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t fair_save_queue(uint64_t row)
{
    struct hx_heap heap = { fair_copy.entry, &fair_copy.count, fair_copy.place, fair_before };
    hx_ret_t err = hx_heap_copy(fair_heap(row), &fair_copy);
    while (err == HX_OK && fair_copy.count > 0) {
        hx_ret_t first = hx_heap_take(heap);
        err = first < 0 ? first : hx_state_stream_put(&fair_stream, &fair.handle[first], sizeof(fair.handle[0]));
    }
    return err;
}

static hx_ret_t fair_save_ready(void)
{
    hx_state_stream_begin(&fair_stream, HX_TEXT(HX_SCHED_STATE_READY));
    for (uint32_t row = 0; row < FAIR_ROWS; row += FAIR_ROW) {
        hx_ret_t err = fair_save_queue(row);
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&fair_stream);
}

static hx_ret_t fair_save_waiting(void)
{
    hx_state_stream_begin(&fair_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < fair.limit; i++) {
        fair_cpu[i] = (uint8_t)(fair_home(i) / FAIR_ROW);
        if (!fair_is_there(i) || fair_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&fair_stream, &fair.handle[i], sizeof(fair.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&fair_stream);
}

/* Clocks are not saved: how far a task is from its clock is all that counts. */
static hx_ret_t fair_save_virtual(void)
{
    hx_state_stream_begin(&fair_stream, HX_TEXT(FAIR_STATE_VRUNTIME));
    for (uint32_t i = 0; i < fair.limit; i++) {
        uint64_t ahead = fair.vruntime[i] - (fair_is_there(i) ? fair.clock[fair_home(i)] : 0);
        hx_ret_t err = hx_state_stream_put(&fair_stream, &ahead, sizeof(ahead));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&fair_stream);
}

static hx_ret_t fair_save(void)
{
    uint32_t limit = fair.limit;
    if (limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = fair_save_ready();
    if (err == HX_OK)
        err = fair_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_CPU), fair_cpu, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), fair.priority, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), fair.runtime, limit * sizeof(fair.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), fair.picks, limit * sizeof(fair.picks[0]));
    return err == HX_OK ? fair_save_virtual() : err;
}

/* An array by index that the old policy may not have kept. */
#define FAIR_LOAD_ARRAY(name, array) fair_load_array(HX_TEXT(name), (array), sizeof(array), sizeof((array)[0]))
static hx_ret_t fair_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                                uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    fair_limit_raise((uint64_t)bytes / unit_bytes);
    return HX_OK;
}

static bool fair_distance_sound(uint64_t ahead)
{
    return (int64_t)ahead < FAIR_DISTANCE_MAX && (int64_t)ahead > -FAIR_DISTANCE_MAX;
}

/* All clocks begin at zero. Without virtual times so does everybody, and equals run in the old order. */
static hx_ret_t fair_load_virtual(void)
{
    hx_ret_t err = FAIR_LOAD_ARRAY(FAIR_STATE_VRUNTIME, fair.vruntime);
    for (uint32_t i = 0; i < fair.limit && err == HX_OK; i++)
        err = fair_distance_sound(fair.vruntime[i]) ? HX_OK : HX_E_SCHEMA;
    return err;
}

static hx_ret_t fair_load_task(hx_handle_t task, bool queued)
{
    uint32_t i = hx_handle_index(task);
    if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || fair.handle[i] != HX_HANDLE_NONE)
        return HX_E_SCHEMA; /* no task, or one that was there already */
    uint32_t cpu = i < fair_cpu_count ? fair_cpu[i] : 0;
    if (cpu >= HX_CPUS_MAX)
        return HX_E_SCHEMA;
    fair_limit_raise(i + 1u);
    fair.handle[i] = task;
    fair.home[i] = (uint8_t)(cpu * FAIR_ROW);
    return queued ? fair_push(i, fair.home[i]) : HX_OK;
}

static hx_ret_t fair_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&fair_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&fair_stream, &task, sizeof(task));
        if (err == HX_OK)
            err = fair_load_task(task, queued);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* CPUs and virtual times first: they say where a task goes. */
static hx_ret_t fair_load(void)
{
    hx_ret_t count = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_CPU), fair_cpu, sizeof(fair_cpu), 1);
    if (count < 0)
        return count;
    fair_cpu_count = (uint64_t)count;
    hx_ret_t err = fair_load_virtual();
    if (err == HX_OK)
        err = fair_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = fair_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_PRIORITY, fair.priority);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_RUNTIME, fair.runtime);
    if (err == HX_OK)
        err = FAIR_LOAD_ARRAY(HX_SCHED_STATE_PICKS, fair.picks);
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static struct {
    uint32_t seen; /* the guard when the walk began */
    uint64_t walked, claimed;
} fair_checked[HX_CPUS_MAX];

/* What is queued there is known, is there, has drawn a ticket, and is no further from the clock than it can be. */
static bool fair_queue_sound(uint64_t row)
{
    uint64_t count = fair.queued[row];
    if (!hx_heap_is_sound(fair_heap(row)))
        return false;
    for (uint64_t position = 1; position <= count; position++) {
        uint32_t i = hx_heap_at(fair_heap(row), position);
        if (!fair_is_there(i) || fair.home[i] != row || fair.order[i] > fair.ticket[row])
            return false;
        if (!fair_distance_sound(fair.vruntime[i] - fair.clock[row]))
            return false;
    }
    return true;
}

static bool fair_running_sound(uint64_t row)
{
    hx_handle_t running = fair.running[row];
    return running == FAIR_NOBODY ||
           (hx_handle_type(running) == HX_HANDLE_TASK && hx_handle_index(running) < fair.limit &&
            (fair.handle[hx_handle_index(running)] != running || !fair_is_queued(hx_handle_index(running))));
}

/* Nobody who is ready has been left further behind than a head start. */
static bool fair_clock_sound(uint64_t row)
{
    if (fair.queued[row] == 0)
        return true;
    uint64_t first = fair.vruntime[hx_heap_at(fair_heap(row), 1)];
    return fair_behind(first, fair.clock[row]) <= FAIR_QUANTUM_MS_MAX * 1000000ll / 2;
}

static bool fair_cpu_sound(uint64_t row)
{
    fair_checked[row / FAIR_ROW].seen = hx_guard_look(fair_guard(row));
    fair_checked[row / FAIR_ROW].walked = fair.queued[row];
    fair_checked[row / FAIR_ROW].claimed = 0;
    return fair.queued[row] <= HX_TASKS_MAX && fair_queue_sound(row) && fair_running_sound(row) &&
           fair_clock_sound(row);
}

/* The limit is read last: see fair_limit_raise(). No task has run for longer than the machine; @now_ns may have passed. */
static bool fair_task_sound(uint32_t i, uint64_t now_ns)
{
    hx_handle_t task = fair.handle[i];
    uint64_t home = fair.home[i];
    bool used = task != HX_HANDLE_NONE || fair_is_queued(i) || home != 0 || fair.priority[i] != 0 ||
                fair.vruntime[i] != 0 || fair.order[i] != 0 || fair.runtime[i] != 0 || fair.picks[i] != 0;
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) > HX_HANDLE_TASK))
        return false;
    if (home != home % FAIR_ROWS / FAIR_ROW * FAIR_ROW)
        return false;
    if (fair.runtime[i] > now_ns && fair.runtime[i] > (uint64_t)hx_clock_ns())
        return false;
    return !used || i < __atomic_load_n(&fair.limit, __ATOMIC_ACQUIRE);
}

/* One who moves while he is looked at counts nowhere; he cannot come back unseen, for that takes the guard. */
static void fair_count_claim(uint64_t i)
{
    uint64_t home = fair_home(i);
    bool queued = fair_is_queued(i);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    fair_checked[home / FAIR_ROW].claimed += queued && fair_home(i) == home;
}

static hx_ret_t fair_check(void)
{
    if (fair.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    for (uint64_t row = 0; row < FAIR_ROWS; row += FAIR_ROW)
        if (!hx_guard_judge(fair_guard(row), fair_cpu_sound, row))
            return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!fair_task_sound(i, now_ns))
            return HX_E_CORRUPT;
        fair_count_claim(i);
    }
    /* All that say they are queued are in the heap, where nothing has changed since. */
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        if (fair_checked[cpu].claimed != fair_checked[cpu].walked &&
            hx_guard_rested(fair_guard(cpu * FAIR_ROW), fair_checked[cpu].seen))
            return HX_E_CORRUPT;
    return HX_OK;
}

static const struct hx_sched_ops fair_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_2, reserve),
    .ready = fair_ready,
    .pick = fair_pick,
    .tick = fair_tick,
    .remove = fair_remove,
    .adjust = fair_adjust,
    .info = fair_info,
    .turn = fair_turn,
};

HX_MODULE("sched_fair", HX_VERSION(1, 0, 0), "fair-share scheduler", .init = fair_init, .save = fair_save,
          .load = fair_load, .check = fair_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &fair_ops);
