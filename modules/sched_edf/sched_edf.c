/* SPDX-License-Identifier: MIT */
/*
 * sched_edf.c - earliest deadline first: tasks that were promised a share of the CPU by a deadline get it, whatever the
 * others do; what is left goes round among the rest.
 *
 * Why: the policy for work that is wrong when it is late, and one that says no: a promise that cannot be kept is not made.
 * Promise:  a task of priority 192 to 255 asks for `runtime` in each `period`; the bits say how much:
 *           255 - 192 = 111 111: period_ms, doubled for each step of the upper three bits below 7; of which it gets as many
 *           sixteenths as the lower three bits say, plus 1. So 255 is 8/16 of 20 ms, 192 is 1/16 of 2,560 ms.
 * Admission: the shares of all promises add up to `shares` sixteenths at most. By Liu and Layland (1973) that much can
 *           always be kept on one CPU, up to all sixteen. Who does not fit runs with the rest, and `info` says so; he is
 *           looked at again when he wakes.
 * Keeping:  a promise is a constant bandwidth server (Abeni and Buttazzo, 1998). It has a deadline and a budget. A task that
 *           wakes keeps both, unless the budget is more than its share of what is left to the deadline: then a period
 *           begins. One that has spent its budget is held until its deadline, when the next period begins; so nobody
 *           takes from another by running for longer than he asked.
 * Order:    those with budget, by deadline; then the rest, in turns of `quantum_ms`; then the held, if nobody else is ready.
 *           The kernel steps in for anyone who waits too long, and that includes the held whose period is long.
 * Exactness: budgets end when a tick is looked at, so late by a tick at most.
 * Lapse:    nobody tells a policy that a task was killed while it waited. A promise whose task has not been seen for eight
 *           periods is given to another who asks.
 * Invariant: handle[i] is 0 or a handle of index i; what lies at or above limit has never been used; deadline and budget are
 *           0 without a promise.
 * Context:  as helix/sched.h says: one operation at a time, so no lock.
 */
#include <helix/fmt.h>
#include <helix/heap.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    EDF_QUANTUM_MS_MAX = 10000,
    EDF_PERIOD_MS_MAX = 10000,
    EDF_SHARES_MAX = 16,
    EDF_LAPSE_PERIODS = 8,
    EDF_PROMISED = 192, /* the lowest priority that asks for a promise */
    EDF_LINE_MAX = 96,
};

/* Where a ready task stands; the lower goes first. */
enum { EDF_DUE, EDF_REST, EDF_HELD, EDF_QUEUES };

#define EDF_FIELDS(SCALAR, ARRAY)                                                                                      \
    SCALAR(u64, running) /* handle last picked, 0: none or not known */                                                \
    SCALAR(u64, ticket)  /* last one given out */                                                                      \
    SCALAR(u32, taken)   /* sixteenths promised */                                                                     \
    SCALAR(u32, limit)   /* highest index seen, plus 1 */                                                              \
    ARRAY(u32, queued, EDF_QUEUES)                                                                                     \
    ARRAY(u32, heap, EDF_QUEUES *HX_HEAP_ENTRIES)                                                                      \
    ARRAY(u32, place, HX_TASKS_MAX)                                                                                    \
    ARRAY(u8, queue, HX_TASKS_MAX)    /* in which of them it is, while place is not 0 */                               \
    ARRAY(u8, promised, HX_TASKS_MAX) /* priority by which a promise was made, 0: none */                              \
    ARRAY(u64, deadline, HX_TASKS_MAX)                                                                                 \
    ARRAY(u64, budget, HX_TASKS_MAX) /* nanoseconds left until the deadline */                                         \
    ARRAY(u64, order, HX_TASKS_MAX)  /* ticket drawn when it was queued */                                             \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)                                                                                    \
    ARRAY(u32, missed, HX_TASKS_MAX) /* deadlines by which the budget had not been given */
HX_STATE(edf, EDF_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice without a deadline in milliseconds, 1 to 10000");
HX_PARAM(uint32_t, period_ms, 20, "period of priorities 248 to 255 in milliseconds, 1 to 10000");
HX_PARAM(uint32_t, shares, 15, "sixteenths of the CPU that deadlines may take, 1 to 16");

/* Beside the common language, all by index: see the fields of the state. */
#define EDF_STATE_PROMISED "promised"
#define EDF_STATE_DEADLINE "deadline"
#define EDF_STATE_BUDGET "budget"
#define EDF_STATE_MISSED "missed"

static struct hx_state_stream edf_stream;
static struct hx_heap_copy edf_copy;

#define edf_unlikely(condition) __builtin_expect(!!(condition), 0)

/* ---- what a priority asks for ---------------------------------------------------------------------------------------- */
static inline uint32_t edf_share(uint32_t priority)
{
    return (priority & 7) + 1;
}

static inline uint64_t edf_period(uint32_t priority)
{
    return (uint64_t)period_ms * 1000000 << (7 - (priority >> 3 & 7));
}

static inline uint64_t edf_runtime(uint32_t priority)
{
    return edf_period(priority) / EDF_SHARES_MAX * edf_share(priority);
}

/* ---- the queues ------------------------------------------------------------------------------------------------------ */
/* Without a promise the deadline is 0, so the rest goes first come, first served. */
static bool edf_before(uint32_t a, uint32_t b)
{
    if (edf.deadline[a] != edf.deadline[b])
        return edf.deadline[a] < edf.deadline[b];
    return edf.order[a] < edf.order[b];
}

static inline struct hx_heap edf_heap(uint32_t queue)
{
    return (struct hx_heap){ &edf.heap[queue * HX_HEAP_ENTRIES], &edf.queued[queue], edf.place, edf_before };
}

static inline uint32_t edf_first(uint32_t queue)
{
    return hx_heap_at(edf_heap(queue), 1);
}

/* The first queue that is not empty, or EDF_QUEUES. */
static inline uint32_t edf_first_queue(void)
{
    uint32_t queue = 0;
    while (queue < EDF_QUEUES && edf.queued[queue] == 0)
        queue++;
    return queue;
}

static inline bool edf_is_queued(uint32_t i)
{
    return edf.place[i] != 0;
}

static hx_ret_t edf_unqueue(uint32_t i)
{
    if (!edf_is_queued(i))
        return HX_OK;
    return edf.queue[i] < EDF_QUEUES ? hx_heap_remove(edf_heap(edf.queue[i]), i) : HX_E_CORRUPT;
}

static inline hx_ret_t edf_push(uint32_t i, uint32_t queue)
{
    edf.order[i] = ++edf.ticket;
    edf.queue[i] = (uint8_t)queue;
    return hx_heap_push(edf_heap(queue), i);
}

/* ---- promises: their tasks are in no queue while deadline and budget change ------------------------------------------- */
static void edf_begin(uint32_t i, uint64_t start_ns)
{
    edf.deadline[i] = start_ns + edf_period(edf.promised[i]);
    edf.budget[i] = edf_runtime(edf.promised[i]);
}

static void edf_take_back(uint32_t i)
{
    if (edf.promised[i] != 0)
        edf.taken -= edf_share(edf.promised[i]);
    edf.promised[i] = 0;
    edf.deadline[i] = edf.budget[i] = 0;
}

/* Promises task i what its priority asks for, if that can be kept. */
static bool edf_promise(uint32_t i, uint64_t now_ns)
{
    uint32_t priority = edf.priority[i];
    if (priority < EDF_PROMISED || edf.taken + edf_share(priority) > shares)
        return false;
    edf.taken += edf_share(priority);
    edf.promised[i] = (uint8_t)priority;
    edf_begin(i, now_ns);
    return true;
}

/* Takes back what nobody has used for long. O(n), for one who asks and does not fit. */
static void edf_lapse(uint64_t now_ns)
{
    for (uint32_t i = 0; i < edf.limit && i < HX_TASKS_MAX; i++) {
        if (edf.promised[i] == 0 || edf_is_queued(i) || edf.handle[i] == edf.running)
            continue;
        if (now_ns > edf.deadline[i] + EDF_LAPSE_PERIODS * edf_period(edf.promised[i]))
            edf_take_back(i);
    }
}

/* Task i asks by @priority from now on. */
static void edf_ask(uint32_t i, uint8_t priority)
{
    edf_take_back(i);
    edf.priority[i] = priority;
    if (priority < EDF_PROMISED)
        return;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    if (edf_promise(i, now_ns))
        return;
    edf_lapse(now_ns);
    (void)edf_promise(i, now_ns);
}

/* Task i wakes: is what it has left more than its share of the time to its deadline? Then a period begins. */
static void edf_wake(uint32_t i, uint64_t now_ns)
{
    uint64_t deadline = edf.deadline[i];
    if (now_ns >= deadline || edf.budget[i] * EDF_SHARES_MAX >= (deadline - now_ns) * edf_share(edf.promised[i]))
        edf_begin(i, now_ns);
}

/* The queue for task i, which is ready. At its deadline the next period begins. */
static inline uint32_t edf_queue_for(uint32_t i, uint64_t now_ns)
{
    if (edf.promised[i] == 0 && (edf.priority[i] < EDF_PROMISED || !edf_promise(i, now_ns)))
        return EDF_REST;
    if (edf.budget[i] > 0)
        return EDF_DUE;
    uint64_t deadline = edf.deadline[i];
    if (now_ns < deadline)
        return EDF_HELD;
    bool far = now_ns - deadline >= edf_period(edf.promised[i]); /* nobody looked for a whole period */
    edf_begin(i, far ? now_ns : deadline);
    return EDF_DUE;
}

/* The held whose deadline has come are due again. */
static hx_ret_t edf_let_go(uint64_t now_ns)
{
    while (edf.queued[EDF_HELD] > 0 && edf.deadline[edf_first(EDF_HELD)] <= now_ns) {
        hx_ret_t first = hx_heap_take(edf_heap(EDF_HELD));
        if (first < 0)
            return first;
        uint32_t i = (uint32_t)first;
        hx_ret_t err = edf_push(i, edf_queue_for(i, now_ns));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* ---- what is known of a task ----------------------------------------------------------------------------------------- */
static void edf_limit_raise(uint64_t count)
{
    if (count > edf.limit)
        edf.limit = (uint32_t)count;
}

static bool edf_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && edf.handle[i] == task;
}

static void edf_account_reset(uint32_t i)
{
    edf.runtime[i] = 0;
    edf.picks[i] = edf.missed[i] = 0;
}

/* Its accounting stays: a task that the kernel takes off the queue to run it comes back. */
static hx_ret_t edf_forget(uint32_t i)
{
    hx_ret_t err = edf_unqueue(i);
    edf_take_back(i);
    edf.handle[i] = HX_HANDLE_NONE;
    edf.priority[i] = 0;
    return err;
}

/* Index i belongs to @task from now on; its previous owner is gone, whether or not anybody said so. */
static __attribute__((noinline)) hx_ret_t edf_adopt(uint32_t i, hx_handle_t task)
{
    hx_ret_t err = HX_OK;
    if (edf.handle[i] != HX_HANDLE_NONE) {
        err = edf_forget(i);
        edf_account_reset(i);
    }
    edf.handle[i] = task;
    edf_limit_raise(i + 1u);
    return err;
}

/* A queued task goes to where its new priority says. */
static hx_ret_t edf_set_priority(uint32_t i, uint8_t priority)
{
    if (edf.priority[i] == priority)
        return HX_OK;
    bool queued = edf_is_queued(i);
    hx_ret_t err = edf_unqueue(i);
    if (err < 0)
        return err;
    edf_ask(i, priority);
    return queued ? edf_push(i, edf_queue_for(i, (uint64_t)hx_clock_ns())) : HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
/* Whether task i, which is queued, goes before the task that runs. */
static bool edf_beats_running(uint32_t i)
{
    if (edf.running == HX_HANDLE_NONE)
        return false;
    uint32_t r = hx_handle_index(edf.running) % HX_TASKS_MAX;
    uint32_t queue = edf.promised[r] == 0 ? EDF_REST : edf.budget[r] > 0 ? EDF_DUE : EDF_HELD;
    return edf.queue[i] < queue || (edf.queue[i] == EDF_DUE && edf.deadline[i] < edf.deadline[r]);
}

static hx_ret_t edf_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint32_t i = hx_handle_index(task);
    if (edf_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX))
        return HX_E_INVAL;
    hx_ret_t err = edf.handle[i] == task ? HX_OK : edf_adopt(i, task);
    if (err == HX_OK)
        err = edf_set_priority(i, (uint8_t)priority);
    if (edf_unlikely(err < 0))
        return err;
    if (reason == HX_SCHED_NEW)
        edf_account_reset(i);
    if (!edf_is_queued(i)) {
        uint64_t now_ns = priority >= EDF_PROMISED ? (uint64_t)hx_clock_ns() : 0;
        if (edf.promised[i] != 0)
            edf_wake(i, now_ns);
        err = edf_push(i, edf_queue_for(i, now_ns));
    }
    if (edf_unlikely(err < 0))
        return err;
    if (edf_beats_running(i))
        return HX_SCHED_REPLACE;
    return edf.taken > 0 ? HX_SCHED_STAY : HX_SCHED_LATER; /* where there are deadlines, each wake may be about one */
}

static inline hx_ret_t edf_choose(uint32_t i)
{
    edf.running = edf.handle[i];
    edf.picks[i]++;
    return (hx_ret_t)edf.handle[i];
}

static inline hx_ret_t edf_choose_first(uint32_t queue)
{
    if (queue == EDF_QUEUES)
        return (hx_ret_t)HX_HANDLE_NONE;
    hx_ret_t first = hx_heap_take(edf_heap(queue));
    return edf_unlikely(first < 0) ? first : edf_choose((uint32_t)first);
}

/* Task i, which is in no queue, is ready beside those that are. */
static inline hx_ret_t edf_choose_beside(uint32_t i, uint32_t queue)
{
    uint32_t first_queue = edf_first_queue();
    if (edf_unlikely(first_queue < queue)) {
        hx_ret_t err = edf_push(i, queue);
        return err == HX_OK ? edf_choose_first(first_queue) : err;
    }
    edf.order[i] = ++edf.ticket;
    edf.queue[i] = (uint8_t)queue;
    if (first_queue > queue || edf_before(i, edf_first(queue)))
        return edf_choose(i);
    hx_ret_t first = hx_heap_replace_first(edf_heap(queue), i);
    return edf_unlikely(first < 0) ? first : edf_choose((uint32_t)first);
}

/* Who stops late with budget left, or with the last of it, was not given in time what he was promised. */
static void edf_charge(uint32_t i, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    edf.runtime[i] += ran_ns;
    uint64_t budget = edf.budget[i];
    if (budget == 0)
        return;
    edf.budget[i] = ran_ns < budget ? budget - ran_ns : 0;
    if ((reason == HX_SCHED_BLOCK || ran_ns >= budget) && now_ns > edf.deadline[i])
        edf.missed[i]++;
}

/*
 * The previous task may still be queued: while the slot was closed, or after a wrong answer, the kernel chose it without
 * asking.
 */
static hx_ret_t edf_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    edf.running = HX_HANDLE_NONE;
    hx_ret_t err = edf.queued[EDF_HELD] > 0 ? edf_let_go(now_ns) : HX_OK;
    if (edf_unlikely(err < 0))
        return err;
    if (prev == HX_HANDLE_NONE)
        return edf_choose_first(edf_first_queue());
    uint32_t i = hx_handle_index(prev);
    if (edf_unlikely(i >= HX_TASKS_MAX))
        return HX_E_INVAL;
    if (edf_unlikely(edf.handle[i] != prev))
        err = edf_adopt(i, prev);
    if (edf_unlikely(edf_is_queued(i)) && err == HX_OK)
        err = edf_unqueue(i);
    if (edf_unlikely(err < 0))
        return err;
    edf_charge(i, reason, ran_ns, now_ns);
    if (reason <= HX_SCHED_YIELD)
        return edf_choose_beside(i, edf_queue_for(i, now_ns));
    if (edf_unlikely(reason == HX_SCHED_EXIT)) {
        edf_account_reset(i);
        err = edf_forget(i);
    }
    return edf_unlikely(err < 0) ? err : edf_choose_first(edf_first_queue());
}

static hx_ret_t edf_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                         uint64_t priority)
{
    hx_ret_t err = edf_ready(woken, priority, HX_SCHED_WOKEN);
    return err < 0 ? err : edf_pick(prev, reason, ran_ns, now_ns);
}

static hx_ret_t edf_tick(uint64_t task, uint64_t ran_ns)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    uint64_t now_ns = edf.promised[i] != 0 || edf.queued[EDF_HELD] > 0 ? (uint64_t)hx_clock_ns() : 0;
    hx_ret_t err = edf_let_go(now_ns);
    if (err < 0)
        return err;
    uint32_t first_queue = edf_first_queue();
    if (edf.promised[i] == 0)
        return first_queue == EDF_DUE || (first_queue == EDF_REST && ran_ns >= (uint64_t)quantum_ms * 1000000);
    if (edf.budget[i] == 0) /* on what nobody else wanted */
        return first_queue < EDF_HELD || now_ns >= edf.deadline[i];
    return ran_ns >= edf.budget[i] || (first_queue == EDF_DUE && edf.deadline[edf_first(EDF_DUE)] < edf.deadline[i]);
}

static hx_ret_t edf_remove(uint64_t task)
{
    return edf_is_known(task) ? edf_forget(hx_handle_index(task)) : HX_E_NOENT;
}

static hx_ret_t edf_adjust(uint64_t task, uint64_t priority)
{
    uint32_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = edf.handle[i] == task ? HX_OK : edf_adopt(i, task);
    return err == HX_OK ? edf_set_priority(i, (uint8_t)priority) : err;
}

static size_t edf_info_promise(uint32_t i, char *line, size_t used)
{
    if (edf.promised[i] != 0)
        return hx_fmt_append(line, EDF_LINE_MAX, used, ", %u/16 of %u ms, missed %u", edf_share(edf.promised[i]),
                             (uint32_t)(edf_period(edf.promised[i]) / 1000000), edf.missed[i]);
    if (edf.priority[i] >= EDF_PROMISED)
        return hx_fmt_append(line, EDF_LINE_MAX, used, ", no deadline: %u/16 taken", edf.taken);
    return used;
}

static hx_ret_t edf_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[EDF_LINE_MAX];
    if (!edf_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    uint64_t us = edf.runtime[i] / 1000;
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s, ran %llu.%03llu ms, picked %u",
                                edf.priority[i], edf_is_queued(i) ? "queued" : "not queued",
                                (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), edf.picks[i]);
    used = edf_info_promise(i, line, used);
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t edf_init(void)
{
    bool good = quantum_ms >= 1 && quantum_ms <= EDF_QUANTUM_MS_MAX && period_ms >= 1 &&
                period_ms <= EDF_PERIOD_MS_MAX && shares >= 1 && shares <= EDF_SHARES_MAX;
    return good ? HX_OK : HX_E_INVAL;
}

static hx_ret_t edf_save_queue(uint32_t queue)
{
    struct hx_heap heap = { edf_copy.entry, &edf_copy.count, edf_copy.place, edf_before };
    hx_ret_t err = hx_heap_copy(edf_heap(queue), &edf_copy);
    while (err == HX_OK && edf_copy.count > 0) {
        hx_ret_t first = hx_heap_take(heap);
        err = first < 0 ? first : hx_state_stream_put(&edf_stream, &edf.handle[first], sizeof(edf.handle[0]));
    }
    return err;
}

static hx_ret_t edf_save_ready(void)
{
    hx_state_stream_begin(&edf_stream, HX_TEXT(HX_SCHED_STATE_READY));
    hx_ret_t err = HX_OK;
    for (uint32_t queue = 0; queue < EDF_QUEUES && err == HX_OK; queue++)
        err = edf_save_queue(queue);
    return err == HX_OK ? hx_state_stream_flush(&edf_stream) : err;
}

static hx_ret_t edf_save_waiting(void)
{
    hx_state_stream_begin(&edf_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < edf.limit; i++) {
        if (edf.handle[i] == HX_HANDLE_NONE || edf_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&edf_stream, &edf.handle[i], sizeof(edf.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&edf_stream);
}

/* One line an array that is saved by index. */
#define EDF_SAVED(ARRAY)                                                                                               \
    ARRAY(HX_SCHED_STATE_PRIORITY, edf.priority)                                                                       \
    ARRAY(EDF_STATE_PROMISED, edf.promised)                                                                            \
    ARRAY(EDF_STATE_DEADLINE, edf.deadline)                                                                            \
    ARRAY(EDF_STATE_BUDGET, edf.budget)                                                                                \
    ARRAY(HX_SCHED_STATE_RUNTIME, edf.runtime)                                                                         \
    ARRAY(HX_SCHED_STATE_PICKS, edf.picks)                                                                             \
    ARRAY(EDF_STATE_MISSED, edf.missed)

static hx_ret_t edf_save(void)
{
    if (edf.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = edf_save_ready();
    if (err == HX_OK)
        err = edf_save_waiting();
#define EDF_SAVE_ARRAY(name, array)                                                                                    \
    if (err == HX_OK)                                                                                                  \
        err = hx_state_put_array(HX_TEXT(name), array, edf.limit * sizeof(array[0]));
    EDF_SAVED(EDF_SAVE_ARRAY)
    return err;
}

/* An array by index that the old policy may not have kept. */
static hx_ret_t edf_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                               uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    edf_limit_raise((uint64_t)bytes / unit_bytes);
    return HX_OK;
}

static hx_ret_t edf_load_arrays(void)
{
    hx_ret_t err = HX_OK;
#define EDF_LOAD_ARRAY(name, array)                                                                                    \
    if (err == HX_OK)                                                                                                  \
        err = edf_load_array(HX_TEXT(name), array, sizeof(array), sizeof(array[0]));
    EDF_SAVED(EDF_LOAD_ARRAY)
    return err;
}

/* Old promises come before new ones. What they say is not believed further than this version would have promised itself. */
static void edf_load_promise(uint32_t i, uint64_t now_ns)
{
    uint64_t deadline = edf.deadline[i], budget = edf.budget[i];
    bool promised = edf.promised[i] != 0 && edf.promised[i] == edf.priority[i];
    edf.promised[i] = 0;
    edf.deadline[i] = edf.budget[i] = 0;
    if (!promised || !edf_promise(i, now_ns))
        return;
    if (deadline < edf.deadline[i])
        edf.deadline[i] = deadline;
    if (budget < edf.budget[i])
        edf.budget[i] = budget;
}

static hx_ret_t edf_load_tasks(const void *name, uint64_t name_bytes, bool queued, uint64_t now_ns)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&edf_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&edf_stream, &task, sizeof(task));
        if (err < 0)
            return err;
        uint32_t i = hx_handle_index(task);
        if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || edf.handle[i] != HX_HANDLE_NONE)
            return HX_E_SCHEMA; /* no task, or one that was there already */
        err = edf_adopt(i, task);
        if (err == HX_OK && queued)
            err = edf_push(i, edf_queue_for(i, now_ns));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* Priorities and promises first: they say into which queue a task goes. */
static hx_ret_t edf_load(void)
{
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    hx_ret_t err = edf_load_arrays();
    for (uint32_t i = 0; i < edf.limit && err == HX_OK; i++)
        edf_load_promise(i, now_ns);
    if (err == HX_OK)
        err = edf_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true, now_ns);
    if (err == HX_OK)
        err = edf_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false, now_ns);
    for (uint32_t i = 0; i < edf.limit; i++)
        if (edf.handle[i] == HX_HANDLE_NONE)
            edf_take_back(i); /* nobody is there to keep it for */
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool edf_queue_sound(uint32_t queue)
{
    if (!hx_heap_is_sound(edf_heap(queue)))
        return false;
    for (uint32_t position = 1; position <= edf.queued[queue]; position++)
        if (edf.queue[hx_heap_at(edf_heap(queue), position)] != queue)
            return false;
    return true;
}

static bool edf_promise_sound(uint32_t i, uint64_t now_ns)
{
    const uint64_t max_ns = (EDF_PERIOD_MS_MAX * 1000000ull) << 7; /* the period may have been another's choice */
    uint32_t promised = edf.promised[i];
    if (promised == 0)
        return edf.deadline[i] == 0 && edf.budget[i] == 0 && (!edf_is_queued(i) || edf.queue[i] == EDF_REST);
    if (promised < EDF_PROMISED || promised != edf.priority[i] || edf.handle[i] == HX_HANDLE_NONE)
        return false;
    if (edf.deadline[i] > now_ns + max_ns || edf.budget[i] > max_ns)
        return false;
    return !edf_is_queued(i) || edf.queue[i] == (edf.budget[i] > 0 ? EDF_DUE : EDF_HELD);
}

static bool edf_task_sound(uint32_t i, uint64_t now_ns)
{
    hx_handle_t task = edf.handle[i];
    if (i >= edf.limit)
        return task == HX_HANDLE_NONE && !edf_is_queued(i) && edf.priority[i] == 0 && edf.promised[i] == 0 &&
               edf.order[i] == 0 && edf.runtime[i] == 0 && edf.picks[i] == 0 && edf.missed[i] == 0;
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) != HX_HANDLE_TASK))
        return false;
    if (edf_is_queued(i) && task == HX_HANDLE_NONE)
        return false;
    /* No task has run for longer than the machine. */
    return edf.runtime[i] <= now_ns && edf.order[i] <= edf.ticket;
}

static hx_ret_t edf_check(void)
{
    if (edf.limit > HX_TASKS_MAX || edf.taken > EDF_SHARES_MAX)
        return HX_E_CORRUPT;
    if (edf.running != HX_HANDLE_NONE &&
        (hx_handle_type(edf.running) != HX_HANDLE_TASK || hx_handle_index(edf.running) >= edf.limit))
        return HX_E_CORRUPT;
    uint32_t claim_queued = 0, claim_taken = 0, queued = 0;
    for (uint32_t queue = 0; queue < EDF_QUEUES; queue++) {
        if (!edf_queue_sound(queue))
            return HX_E_CORRUPT;
        queued += edf.queued[queue];
    }
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!edf_task_sound(i, now_ns) || !edf_promise_sound(i, now_ns))
            return HX_E_CORRUPT;
        claim_queued += edf_is_queued(i);
        claim_taken += edf.promised[i] != 0 ? edf_share(edf.promised[i]) : 0;
    }
    return claim_queued == queued && claim_taken == edf.taken ? HX_OK : HX_E_CORRUPT;
}

static const struct hx_sched_ops edf_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_0, turn),
    .ready = edf_ready,
    .pick = edf_pick,
    .tick = edf_tick,
    .remove = edf_remove,
    .adjust = edf_adjust,
    .info = edf_info,
    .turn = edf_turn,
};

HX_MODULE("sched_edf", HX_VERSION(1, 0, 0), "earliest-deadline-first scheduler", .init = edf_init, .save = edf_save,
          .load = edf_load, .check = edf_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_0, HX_SCHED_OPS_1_0, &edf_ops);
