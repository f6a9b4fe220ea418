/* SPDX-License-Identifier: MIT */
/*
 * round_robin.h - one queue a CPU, first come first served, a slice each: the policy that both versions of sched_rr share.
 *
 * Why a header: the versions differ in what they remember of a task (their state schema), not in how they choose. The
 * includer says RR_ACCOUNTING 0 or 1 and declares the module.
 * State:     rings of links. A link is the name of a task, its index plus 1, or of a queue; queue names are made so that a
 *            reason becomes one by a single or. next[] leads round from a queue through its tasks, back[] the other way;
 *            back[] of a task that is not queued is 0.
 * Invariant: handle[i] is 0, a handle of index i, or one without its type (forgotten); what lies at or above limit has never been
 *            used; a queued task is in the queue home[i].
 * CPUs:      what belongs to a task is touched by the CPU that it is on, a queue by its CPU, inside its guard. A task that
 *            is heard of on another CPU than before without having been removed (after a revert) is fetched from there.
 * Safety:    a link is cut or checked before it is followed: a spoiled one becomes an error or a wrong choice, not a wild
 *            write.
 * Check:     looks at the queues while they are at work, by their guards (see helix/guard.h): a fault in a queue that rests
 *            for the time of one walk is found; what is said of a task alone holds at any time.
 * Cost:      pick 45 instructions when it also queues the previous task, 35 when that one blocks; ready 40; turn 20 when it
 *            is the woken task's.
 * Context:   as helix/sched.h says.
 */
#pragma once
#include <helix/fmt.h>
#include <helix/guard.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    RR_NAMES = 2 * HX_TASKS_MAX, /* of tasks: 1 to HX_TASKS_MAX; of queues: some above */
    RR_QUANTUM_MS_MAX = 10000,
    RR_LINE_MAX = 96,
};

/* The queue of the CPU in @reason, whatever the rest of it is. */
#define RR_WHY_BITS 7u
#define RR_CPU_BITS ((HX_CPUS_MAX - 1u) << 8)
#define RR_QUEUE(reason) (((uint64_t)(reason)&RR_CPU_BITS) | RR_WHY_BITS | (uint64_t)HX_TASKS_MAX)
#define RR_QUEUE_OF_CPU(cpu) RR_QUEUE((uint32_t)(cpu) << 8)
#define RR_QUEUE_IF_BLOCK ((uint32_t)HX_TASKS_MAX + RR_WHY_BITS - HX_SCHED_BLOCK) /* plus a reason */
#define RR_CPU(queue) (HX_SCHED_CPU(queue) % HX_CPUS_MAX)
#define RR_REASON_MAX ((uint64_t)(HX_CPUS_MAX - 1) << 8 | HX_SCHED_EXIT)
_Static_assert(HX_SCHED_EXIT <= RR_WHY_BITS, "why is covered by the bits that the name of a queue has set");
_Static_assert(RR_QUEUE_OF_CPU(HX_CPUS_MAX - 1) < RR_NAMES && HX_TASKS_MAX % (HX_CPUS_MAX << 8) == 0,
               "names are distinct");

#define RR_QUEUE_FIELDS(SCALAR, ARRAY)                                                                                 \
    SCALAR(u32, limit) /* highest index seen, plus 1; raised by any CPU */                                             \
    ARRAY(u16, next, RR_NAMES)                                                                                         \
    ARRAY(u16, back, RR_NAMES)                                                                                         \
    ARRAY(u16, home, HX_TASKS_MAX) /* queue of the CPU where it is, 0: never seen */                                   \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)

#if RR_ACCOUNTING
#define RR_FIELDS(SCALAR, ARRAY)                                                                                       \
    RR_QUEUE_FIELDS(SCALAR, ARRAY)                                                                                     \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
#else
#define RR_FIELDS RR_QUEUE_FIELDS
#endif

HX_STATE(rr, RR_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice in milliseconds, 1 to 10000");

static uint32_t rr_guard[RR_NAMES - HX_TASKS_MAX]; /* by name of the queue, so that they lie apart */
static struct hx_state_stream rr_stream;
static uint8_t rr_cpu[HX_TASKS_MAX]; /* of save and load */
static uint64_t rr_cpu_count;        /* of load */

#define rr_unlikely(condition) __builtin_expect(!!(condition), 0)

/* Before anything of the index is written: who sees that also sees the limit. */
static void rr_limit_raise(uint64_t count)
{
    uint32_t limit = __atomic_load_n(&rr.limit, __ATOMIC_RELAXED);
    while (limit < count &&
           !__atomic_compare_exchange_n(&rr.limit, &limit, (uint32_t)count, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

static inline uint32_t *rr_guard_of(uint64_t queue)
{
    return &rr_guard[queue - HX_TASKS_MAX];
}

/* ---- accounting: what version 2 remembers and version 1 does not ----------------------------------------------------- */
#if RR_ACCOUNTING
static void rr_account_ran(uint64_t i, uint64_t ran_ns)
{
    rr.runtime[i] += ran_ns;
}

static void rr_account_picked(uint64_t i)
{
    rr.picks[i]++;
}

static void rr_account_reset(uint64_t i)
{
    rr.runtime[i] = 0;
    rr.picks[i] = 0;
}

static size_t rr_account_format(uint32_t i, char *line, size_t used)
{
    uint64_t us = rr.runtime[i] / 1000;
    return hx_fmt_append(line, RR_LINE_MAX, used, ", ran %llu.%03llu ms, picked %u", (unsigned long long)(us / 1000),
                         (unsigned long long)(us % 1000), rr.picks[i]);
}

static hx_ret_t rr_account_save(void)
{
    hx_ret_t err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), rr.runtime, rr.limit * sizeof(rr.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), rr.picks, rr.limit * sizeof(rr.picks[0]));
    return err;
}

static hx_ret_t rr_account_load(void)
{
    hx_ret_t bytes =
        hx_state_get_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), rr.runtime, sizeof(rr.runtime), sizeof(rr.runtime[0]));
    if (bytes < 0)
        return bytes;
    rr_limit_raise((uint64_t)bytes / sizeof(rr.runtime[0]));
    bytes = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_PICKS), rr.picks, sizeof(rr.picks), sizeof(rr.picks[0]));
    if (bytes < 0)
        return bytes;
    rr_limit_raise((uint64_t)bytes / sizeof(rr.picks[0]));
    return HX_OK;
}

/* No task has run for longer than the machine; @now_ns may have passed. */
static bool rr_account_sound(uint32_t i, uint64_t now_ns)
{
    return rr.runtime[i] <= now_ns || rr.runtime[i] <= (uint64_t)hx_clock_ns();
}

static bool rr_account_used(uint32_t i)
{
    return rr.runtime[i] != 0 || rr.picks[i] != 0;
}
#else
static void rr_account_ran(uint64_t i, uint64_t ran_ns)
{
    (void)i;
    (void)ran_ns;
}

static void rr_account_picked(uint64_t i)
{
    (void)i;
}

static void rr_account_reset(uint64_t i)
{
    (void)i;
}

static size_t rr_account_format(uint32_t i, char *line, size_t used)
{
    (void)i;
    (void)line;
    return used;
}

static hx_ret_t rr_account_save(void)
{
    return HX_OK;
}

static hx_ret_t rr_account_load(void)
{
    return HX_OK;
}

static bool rr_account_sound(uint32_t i, uint64_t now_ns)
{
    (void)i;
    (void)now_ns;
    return true;
}

static bool rr_account_used(uint32_t i)
{
    (void)i;
    return false;
}
#endif

/* ---- the queues: inside the guard ------------------------------------------------------------------------------------- */
static inline bool rr_is_queued(uint64_t i)
{
    return rr.back[i + 1] != 0;
}

static inline void rr_append(uint64_t i, uint64_t queue)
{
    uint64_t last = rr.back[queue];
    rr.home[i] = (uint16_t)queue;
    rr.next[last % RR_NAMES] = (uint16_t)(i + 1);
    rr.back[i + 1] = (uint16_t)last;
    rr.next[i + 1] = (uint16_t)queue;
    rr.back[queue] = (uint16_t)(i + 1);
}

/* Does nothing for a task that is not queued. */
static hx_ret_t rr_unlink(uint64_t i)
{
    uint32_t back = rr.back[i + 1], next = rr.next[i + 1];
    if (back == 0)
        return HX_OK;
    if (rr_unlikely(back >= RR_NAMES || next >= RR_NAMES))
        return HX_E_CORRUPT;
    rr.next[back] = (uint16_t)next;
    rr.back[next] = (uint16_t)back;
    rr.back[i + 1] = 0;
    return HX_OK;
}

/* Takes the first task off. Returns its handle, HX_HANDLE_NONE or HX_E_CORRUPT. */
static inline hx_ret_t rr_take(uint64_t queue)
{
    uint64_t first = rr.next[queue], i = first - 1;
    if (rr_unlikely(i >= HX_TASKS_MAX))
        return first == queue ? (hx_ret_t)HX_HANDLE_NONE : HX_E_CORRUPT;
    uint64_t next = rr.next[first];
    rr.next[queue] = (uint16_t)next;
    rr.back[next % RR_NAMES] = (uint16_t)queue;
    rr.back[first] = 0;
    rr_account_picked(i);
    return (hx_ret_t)rr.handle[i];
}

/* ---- what is known of a task: outside of guards ------------------------------------------------------------------------ */
/* Of a task that was forgotten its handle is kept without the type, so that its accounting is found by no other. */
#define RR_GONE(task) ((task) & ~(UINT64_MAX << 56))

static inline bool rr_is_there(uint64_t i)
{
    return hx_handle_type(rr.handle[i]) != 0;
}

static inline bool rr_was(uint64_t i, hx_handle_t task)
{
    return rr.handle[i] == HX_HANDLE_NONE || rr.handle[i] == RR_GONE(task);
}

static bool rr_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && rr.handle[i] == task;
}

static inline uint64_t rr_home(uint64_t i)
{
    return RR_QUEUE_OF_CPU(RR_CPU(__atomic_load_n(&rr.home[i], __ATOMIC_RELAXED)));
}

/* Out of the queue that has it, wherever that is. Its accounting stays: one that the kernel takes off the queue to run it
 * comes back. */
static hx_ret_t rr_forget(uint64_t i)
{
    uint64_t home = rr_home(i);
    if (!rr_is_there(i))
        return HX_OK;
    if (!hx_guard_enter(rr_guard_of(home)))
        return HX_E_BUSY;
    hx_ret_t err = rr_unlink(i);
    rr.handle[i] = RR_GONE(rr.handle[i]);
    rr.priority[i] = 0;
    hx_guard_leave(rr_guard_of(home));
    return err;
}

/*
 * Index i belongs to @task, which is at @queue, from now on. A previous owner is gone, whether or not anybody said so, and
 * what another CPU still has in its queue it has no longer.
 */
static __attribute__((noinline)) hx_ret_t rr_adopt(uint64_t i, hx_handle_t task, uint64_t queue)
{
    rr_limit_raise(i + 1u);
    if (rr.handle[i] != task || rr_home(i) != queue) {
        uint8_t priority = rr.handle[i] == task ? rr.priority[i] : 0;
        if (rr.handle[i] != task && !rr_was(i, task))
            rr_account_reset(i);
        hx_ret_t err = rr_forget(i);
        if (err < 0)
            return err;
        rr.priority[i] = priority;
    }
    if (!hx_guard_enter(rr_guard_of(queue)))
        return HX_E_BUSY;
    rr.home[i] = (uint16_t)queue;
    rr.handle[i] = task;
    hx_guard_leave(rr_guard_of(queue));
    return HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t rr_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint64_t i = hx_handle_index(task), queue = RR_QUEUE(reason);
    if (rr_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX || reason > RR_REASON_MAX))
        return HX_E_INVAL;
    if (rr_unlikely(rr.handle[i] != task || rr.home[i] != queue)) {
        hx_ret_t err = rr_adopt(i, task, queue);
        if (err < 0)
            return err;
    }
    if (HX_SCHED_WHY(reason) == HX_SCHED_NEW)
        rr_account_reset(i);
    rr.priority[i] = (uint8_t)priority;
    if (!rr_is_queued(i)) {
        if (!hx_guard_enter(rr_guard_of(queue)))
            return HX_E_BUSY;
        rr_append(i, queue);
        hx_guard_leave(rr_guard_of(queue));
    }
    return HX_SCHED_LATER; /* turns are equal: nobody is worth interrupting another for */
}

/* The previous task stops running, and there is something unusual about it: see rr_pick(). */
static hx_ret_t rr_put_back(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint64_t i = hx_handle_index(prev), queue = RR_QUEUE(reason);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    hx_ret_t err = rr.handle[i] == prev && rr.home[i] == queue ? HX_OK : rr_adopt(i, prev, queue);
    if (err < 0)
        return err;
    rr_account_ran(i, ran_ns);
    if (HX_SCHED_WHY(reason) == HX_SCHED_EXIT) {
        rr_account_reset(i);
        return rr_forget(i);
    }
    if (!hx_guard_enter(rr_guard_of(queue)))
        return HX_E_BUSY;
    if (HX_SCHED_WHY(reason) == HX_SCHED_BLOCK)
        err = rr_unlink(i);
    else if (!rr_is_queued(i))
        rr_append(i, queue);
    hx_guard_leave(rr_guard_of(queue));
    return err;
}

static __attribute__((noinline)) hx_ret_t rr_pick_other(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    if (reason > RR_REASON_MAX)
        return HX_E_INVAL;
    hx_ret_t answer = prev != HX_HANDLE_NONE ? rr_put_back(prev, reason, ran_ns) : HX_OK;
    if (answer < 0)
        return answer;
    uint64_t queue = RR_QUEUE(reason);
    if (!hx_guard_enter(rr_guard_of(queue)))
        return HX_E_BUSY;
    answer = rr_take(queue);
    hx_guard_leave(rr_guard_of(queue));
    return answer;
}

/*
 * The usual stop here, the others in rr_pick_other(): a first task, one that is new or gone, and one that still stands in a
 * queue, because while the slot was closed, or after a wrong answer, the kernel chose it without asking.
 */
static hx_ret_t rr_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    uint64_t i = prev % HX_TASKS_MAX, queue = RR_QUEUE(reason);
    (void)now_ns;
    if (rr_unlikely(prev == HX_HANDLE_NONE || rr.handle[i] != prev || rr_is_queued(i)))
        return rr_pick_other(prev, reason, ran_ns);
    if (HX_SCHED_WHY(reason) < HX_SCHED_BLOCK) {
        if (rr_unlikely(!hx_guard_try(rr_guard_of(queue))))
            return rr_pick_other(prev, reason, ran_ns);
        rr_append(i, queue);
    } else if (rr_unlikely(HX_SCHED_WHY(reason) != HX_SCHED_BLOCK || !hx_guard_try(rr_guard_of(queue)))) {
        return rr_pick_other(prev, reason, ran_ns);
    }
    rr_account_ran(i, ran_ns);
    hx_ret_t answer = rr_take(queue);
    hx_guard_leave(rr_guard_of(queue));
    return answer;
}

static __attribute__((noinline, unused)) hx_ret_t rr_turn_other(uint64_t prev, uint64_t reason, uint64_t ran_ns,
                                                                uint64_t now_ns, uint64_t woken, uint64_t priority)
{
    hx_ret_t err = rr_ready(woken, priority, (reason & ~(uint64_t)UINT8_MAX) | HX_SCHED_WOKEN);
    return err < 0 ? err : rr_pick(prev, reason, ran_ns, now_ns);
}

/*
 * Inline, because not everybody who includes this provides it. Where one waits and another wakes, and nobody else is there,
 * it need not be queued to be taken off again: then no queue changes, and no guard is needed. Only where the reason is that
 * one waits does `queue` name a queue; for others nobody has that name.
 */
static inline hx_ret_t rr_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                               uint64_t priority)
{
    uint64_t i = woken % HX_TASKS_MAX, before = prev % HX_TASKS_MAX;
    uint32_t queue = (uint32_t)reason + RR_QUEUE_IF_BLOCK;
    if (rr_unlikely(rr.next[queue] != (uint16_t)queue || rr.handle[i] != woken || rr.home[i] != (uint16_t)queue ||
                    rr.handle[before] != prev || priority > UINT8_MAX))
        return rr_turn_other(prev, reason, ran_ns, now_ns, woken, priority);
    rr_account_ran(before, ran_ns);
    rr.priority[i] = (uint8_t)priority;
    rr_account_picked(i);
    return (hx_ret_t)woken;
}

static hx_ret_t rr_tick(uint64_t task, uint64_t ran_ns)
{
    uint64_t queue = rr_home(task % HX_TASKS_MAX);
    return rr.next[queue] != queue && ran_ns >= (uint64_t)quantum_ms * 1000000;
}

static hx_ret_t rr_remove(uint64_t task)
{
    return rr_is_known(task) ? rr_forget(hx_handle_index(task)) : HX_E_NOENT;
}

/* Of one that it does not know it is not said where it is: there where it was last. */
static hx_ret_t rr_adjust(uint64_t task, uint64_t priority)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = rr.handle[i] == task ? HX_OK : rr_adopt(i, task, rr_home(i));
    if (err == HX_OK)
        rr.priority[i] = (uint8_t)priority;
    return err;
}

static hx_ret_t rr_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[RR_LINE_MAX];
    if (!rr_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s", rr.priority[i],
                                rr_is_queued(i) ? "queued" : "not queued");
    used = rr_account_format(i, line, used);
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
/* Before any state is loaded or shared. */
static hx_ret_t rr_init(void)
{
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        rr.next[RR_QUEUE_OF_CPU(cpu)] = rr.back[RR_QUEUE_OF_CPU(cpu)] = (uint16_t)RR_QUEUE_OF_CPU(cpu);
    return quantum_ms >= 1 && quantum_ms <= RR_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t rr_save_queue(uint64_t queue)
{
    uint32_t count = 0;
    for (uint64_t name = rr.next[queue]; name != queue; name = rr.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || ++count > rr.limit)
            return HX_E_CORRUPT;
        hx_ret_t err = hx_state_stream_put(&rr_stream, &rr.handle[name - 1], sizeof(rr.handle[0]));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

static hx_ret_t rr_save_ready(void)
{
    hx_state_stream_begin(&rr_stream, HX_TEXT(HX_SCHED_STATE_READY));
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
        hx_ret_t err = rr_save_queue(RR_QUEUE_OF_CPU(cpu));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&rr_stream);
}

static hx_ret_t rr_save_waiting(void)
{
    hx_state_stream_begin(&rr_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < rr.limit; i++) {
        rr_cpu[i] = (uint8_t)RR_CPU(rr.home[i]);
        if (!rr_is_there(i) || rr_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&rr_stream, &rr.handle[i], sizeof(rr.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&rr_stream);
}

static hx_ret_t rr_save(void)
{
    if (rr.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = rr_save_ready();
    if (err == HX_OK)
        err = rr_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_CPU), rr_cpu, rr.limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), rr.priority, rr.limit);
    return err == HX_OK ? rr_account_save() : err;
}

static hx_ret_t rr_load_task(hx_handle_t task, bool queued)
{
    uint32_t i = hx_handle_index(task);
    if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || rr.handle[i] != HX_HANDLE_NONE)
        return HX_E_SCHEMA; /* no task, or one that was there already */
    uint32_t cpu = i < rr_cpu_count ? rr_cpu[i] : 0;
    if (cpu >= HX_CPUS_MAX)
        return HX_E_SCHEMA;
    rr_limit_raise(i + 1u);
    rr.handle[i] = task;
    rr.home[i] = (uint16_t)RR_QUEUE_OF_CPU(cpu);
    if (queued)
        rr_append(i, rr.home[i]);
    return HX_OK;
}

static hx_ret_t rr_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&rr_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&rr_stream, &task, sizeof(task));
        if (err == HX_OK)
            err = rr_load_task(task, queued);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* CPUs first: they say into which queue a task goes. */
static hx_ret_t rr_load(void)
{
    hx_ret_t count = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_CPU), rr_cpu, sizeof(rr_cpu), 1);
    if (count < 0)
        return count;
    rr_cpu_count = (uint64_t)count;
    hx_ret_t err = rr_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = rr_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err < 0)
        return err;
    count = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), rr.priority, sizeof(rr.priority), 1);
    if (count < 0)
        return count;
    rr_limit_raise((uint64_t)count);
    return rr_account_load();
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static struct {
    uint32_t seen[HX_CPUS_MAX]; /* the guard when the walk began */
    uint32_t walked[HX_CPUS_MAX], claimed[HX_CPUS_MAX];
} rr_checked;

static bool rr_queue_sound(uint64_t queue)
{
    uint64_t before = queue;
    uint32_t count = 0, cpu = RR_CPU(queue);
    rr_checked.seen[cpu] = hx_guard_look(rr_guard_of(queue));
    for (uint64_t name = rr.next[queue]; name != queue; before = name, name = rr.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || rr.back[name] != before || !rr_is_there(name - 1))
            return false;
        if (rr.home[name - 1] != queue || ++count > HX_TASKS_MAX) /* that ends a ring that leads elsewhere */
            return false;
    }
    rr_checked.walked[cpu] = count;
    rr_checked.claimed[cpu] = 0;
    return rr.back[queue] == before;
}

/* The limit is read last: see rr_limit_raise(). */
static bool rr_task_sound(uint32_t i)
{
    hx_handle_t task = rr.handle[i];
    uint32_t home = rr.home[i];
    bool used = task != HX_HANDLE_NONE || home != 0 || rr.priority[i] != 0 || rr_account_used(i);
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) > HX_HANDLE_TASK))
        return false;
    if (home != 0 && home != RR_QUEUE_OF_CPU(RR_CPU(home)))
        return false;
    return !used || i < __atomic_load_n(&rr.limit, __ATOMIC_ACQUIRE);
}

/* All that say they are queued have been met on the walk, if the queue has rested since. */
static bool rr_claims_sound(uint32_t cpu)
{
    return rr_checked.claimed[cpu] == rr_checked.walked[cpu] ||
           !hx_guard_rested(rr_guard_of(RR_QUEUE_OF_CPU(cpu)), rr_checked.seen[cpu]);
}

/* One who moves while he is looked at counts nowhere; he cannot come back unseen, for that takes the guard. */
static void rr_count_claim(uint64_t i)
{
    uint64_t home = rr_home(i);
    bool queued = rr_is_queued(i);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    rr_checked.claimed[RR_CPU(home)] += queued && rr_home(i) == home;
}

static hx_ret_t rr_check(void)
{
    if (rr.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
        uint64_t queue = RR_QUEUE_OF_CPU(cpu);
        if (!hx_guard_judge(rr_guard_of(queue), rr_queue_sound, queue))
            return HX_E_CORRUPT;
    }
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!rr_task_sound(i) || !rr_account_sound(i, now_ns))
            return HX_E_CORRUPT;
        rr_count_claim(i);
    }
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        if (!rr_claims_sound(cpu))
            return HX_E_CORRUPT;
    return HX_OK;
}
