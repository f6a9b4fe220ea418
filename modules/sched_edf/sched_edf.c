/* SPDX-License-Identifier: MIT */
/*
 * sched_edf.c - earliest deadline first: tasks that were promised a share of their CPU by a deadline get it, whatever the
 * others do; what is left goes round among the rest. Each CPU by itself.
 *
 * Why: the policy for work that is wrong when it is late, and one that says no: a promise that cannot be kept is not made.
 * Promise:  see edf_promise.h: by priority, or by `reserve`.
 * Order:    those with budget, by deadline; then the rest, in turns of `quantum_ms`; then the held, if nobody else is ready.
 *           The kernel steps in for anyone who waits too long, and that includes the held whose period is long.
 * Exactness: budgets end when a tick is looked at, so late by a tick at most.
 * CPUs:     what belongs to a task is touched by the CPU that it is on, the rest by its CPU, inside its guard. A task that is
 *           heard of on another CPU than before without having been removed (after a revert) is fetched from there. One that
 *           changes CPU asks anew: what was promised on one cannot be promised on another by the same sum.
 * Cost:     pick and turn 45 instructions while nothing is promised on this CPU; O(log n) where deadlines are compared.
 * Context:  as helix/sched.h says.
 */
#include "edf_transfer.h"

/* ---- what is known of a task: outside of guards ------------------------------------------------------------------------ */
static bool edf_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && edf.handle[i] == task;
}

static inline bool edf_is_at(uint64_t i, hx_handle_t task, uint64_t row)
{
    return edf.handle[i] == task && edf.home[i] == (uint8_t)row;
}

/* What belongs to a task and not to its index. */
static void edf_account_reset(uint64_t i)
{
    edf.runtime[i] = 0;
    edf.picks[i] = edf.missed[i] = 0;
    edf.reserved[3 * i] = edf.reserved[3 * i + 1] = edf.reserved[3 * i + 2] = 0;
    edf.asks[i] = 0;
}

/* Out of the queue that has it, wherever that is. Accounting and reservation stay: one that the kernel takes off the queue to
 * run it comes back, and one that changes CPU takes them along. */
static hx_ret_t edf_forget(uint64_t i)
{
    uint64_t home = edf_home(i);
    if (!edf_is_there(i))
        return HX_OK;
    if (!hx_guard_enter(edf_guard(home)))
        return HX_E_BUSY;
    hx_ret_t err = edf_unqueue(i, home);
    edf_take_back(i, home);
    if (edf.running[home] == edf.handle[i])
        edf.running[home] = EDF_NOBODY;
    edf.handle[i] = EDF_GONE(edf.handle[i]);
    edf.priority[i] = 0;
    edf.asks[i] = edf_is_reserved(i);
    hx_guard_leave(edf_guard(home));
    return err;
}

/*
 * Index i belongs to @task, which is at @row, from now on. A previous owner is gone, whether or not anybody said so, and what
 * another CPU still has in its queues it has no longer.
 */
static __attribute__((noinline)) hx_ret_t edf_adopt(uint64_t i, hx_handle_t task, uint64_t row)
{
    uint8_t priority = edf.handle[i] == task ? edf.priority[i] : 0;
    bool another = edf.handle[i] != task && !edf_was(i, task);
    edf_limit_raise(i + 1);
    if (another || edf_home(i) != row) {
        hx_ret_t err = edf_forget(i);
        if (err < 0)
            return err;
    }
    if (another)
        edf_account_reset(i);
    if (!hx_guard_enter(edf_guard(row)))
        return HX_E_BUSY;
    __atomic_store_n(&edf.home[i], (uint8_t)row, __ATOMIC_RELAXED); /* edf_lapse() of any CPU reads it */
    edf.priority[i] = priority;
    edf.asks[i] = edf_is_reserved(i) || priority >= EDF_PROMISED;
    edf.handle[i] = task;
    hx_guard_leave(edf_guard(row));
    return HX_OK;
}

/* A queued task goes to where its new priority says. What is reserved does not depend on it. */
static hx_ret_t edf_set_priority(uint64_t i, uint8_t priority)
{
    uint64_t home = edf_home(i), now_ns = (uint64_t)hx_clock_ns();
    if (!hx_guard_enter(edf_guard(home)))
        return HX_E_BUSY;
    bool stays = edf_is_reserved(i) || (!edf.asks[i] && priority < EDF_PROMISED), queued = edf_is_queued(i);
    hx_ret_t err = stays ? HX_OK : edf_unqueue(i, home);
    edf.priority[i] = priority;
    if (err == HX_OK && !stays) {
        edf_ask(i, home, now_ns);
        err = queued ? edf_push(i, home, edf_queue_for(i, home, now_ns)) : HX_OK;
    }
    hx_guard_leave(edf_guard(home));
    return err;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
/* Whether task i, which is queued, goes before the task that runs. */
static bool edf_beats_running(uint64_t i, uint64_t row)
{
    if (edf.running[row] == EDF_NOBODY)
        return false;
    uint64_t r = edf.running[row] % HX_TASKS_MAX;
    uint32_t queue = !edf_is_promised(r) ? EDF_REST : edf.budget[r] > 0 ? EDF_DUE : EDF_HELD;
    return edf.queue[i] < queue || (edf.queue[i] == EDF_DUE && edf.deadline[i] < edf.deadline[r]);
}

static hx_ret_t edf_queue(uint64_t i, uint64_t row, uint64_t now_ns)
{
    if (edf_unlikely(edf.running[row] == edf.handle[i]))
        edf.running[row] = EDF_NOBODY;
    if (edf_is_queued(i))
        return HX_OK;
    if (edf_is_promised(i))
        edf_wake(i, now_ns);
    return edf_push(i, row, edf_queue_for(i, row, now_ns));
}

static hx_ret_t edf_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint64_t i = hx_handle_index(task), row = EDF_ROW_OF(reason);
    if (edf_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX || reason > EDF_REASON_MAX))
        return HX_E_INVAL;
    bool is_new = HX_SCHED_WHY(reason) == HX_SCHED_NEW;
    hx_ret_t err = is_new ? edf_forget(i) : HX_OK;
    if (is_new)
        edf_account_reset(i);
    if (err == HX_OK && !edf_is_at(i, task, row))
        err = edf_adopt(i, task, row);
    if (err == HX_OK && edf.priority[i] != priority)
        err = edf_set_priority(i, (uint8_t)priority);
    if (edf_unlikely(err < 0))
        return err;
    uint64_t now_ns = edf.asks[i] ? (uint64_t)hx_clock_ns() : 0;
    if (!hx_guard_enter(edf_guard(row)))
        return HX_E_BUSY;
    err = edf_queue(i, row, now_ns);
    /* Where there are deadlines, each wake may be about one. */
    hx_ret_t answer = edf_beats_running(i, row) ? HX_SCHED_REPLACE
                      : edf.taken[row] > 0      ? HX_SCHED_STAY
                                                : HX_SCHED_LATER;
    hx_guard_leave(edf_guard(row));
    return edf_unlikely(err < 0) ? err : answer;
}

static inline hx_ret_t edf_run(uint64_t i, uint64_t row)
{
    hx_handle_t task = edf.handle[i];
    edf.running[row] = task;
    edf.picks[i]++;
    return (hx_ret_t)task;
}

/* Who stops late with budget left, or with the last of it, was not given in time what he was promised. */
static void edf_charge(uint64_t i, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    edf.runtime[i] += ran_ns;
    uint64_t budget = edf.budget[i];
    if (budget == 0)
        return;
    edf.budget[i] = ran_ns < budget ? budget - ran_ns : 0;
    if ((HX_SCHED_WHY(reason) == HX_SCHED_BLOCK || ran_ns >= budget) && now_ns > edf.deadline[i])
        edf.missed[i]++;
}

/* Task i, if it is one, stops. It may still be queued: while the slot was closed, or after a wrong answer, the kernel chose it
 * without asking. */
static hx_ret_t edf_decide(uint64_t i, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    uint64_t row = EDF_ROW_OF(reason);
    if (!hx_guard_enter(edf_guard(row)))
        return HX_E_BUSY;
    edf.running[row] = EDF_NOBODY;
    hx_ret_t answer = edf_let_go(row, now_ns);
    if (answer == HX_OK && i < HX_TASKS_MAX) {
        answer = edf_unqueue(i, row);
        edf_charge(i, reason, ran_ns, now_ns);
        if (answer == HX_OK && HX_SCHED_WHY(reason) <= HX_SCHED_YIELD)
            answer = edf_push(i, row, edf_queue_for(i, row, now_ns));
    }
    if (answer == HX_OK) {
        answer = edf_take(row);
        if (answer >= 0)
            answer = answer < HX_TASKS_MAX ? edf_run((uint64_t)answer, row) : (hx_ret_t)HX_HANDLE_NONE;
    }
    hx_guard_leave(edf_guard(row));
    return answer;
}

static __attribute__((noinline)) hx_ret_t edf_pick_other(hx_handle_t prev, uint64_t reason, uint64_t ran_ns,
                                                         uint64_t now_ns)
{
    uint64_t i = hx_handle_index(prev), row = EDF_ROW_OF(reason);
    if (reason > EDF_REASON_MAX || (i >= HX_TASKS_MAX && prev != HX_HANDLE_NONE))
        return HX_E_INVAL;
    if (prev == HX_HANDLE_NONE)
        return edf_decide(HX_TASKS_MAX, reason, 0, now_ns);
    hx_ret_t err = edf_is_at(i, prev, row) ? HX_OK : edf_adopt(i, prev, row);
    if (err == HX_OK && HX_SCHED_WHY(reason) == HX_SCHED_EXIT) {
        err = edf_forget(i);
        edf_account_reset(i);
        i = HX_TASKS_MAX;
    }
    return err < 0 ? err : edf_decide(i, reason, ran_ns, now_ns);
}

/* Where nothing is promised, and nobody asks, the rest take turns here; all else in edf_pick_other(). */
static hx_ret_t edf_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    uint64_t row = EDF_ROW_OF(reason), i = prev % HX_TASKS_MAX;
    if (edf_unlikely(edf.running[row] != prev || HX_SCHED_WHY(reason) >= HX_SCHED_BLOCK || edf.taken[row] != 0 ||
                     edf.asks[i] != 0))
        return edf_pick_other(prev, reason, ran_ns, now_ns);
    uint64_t next = edf_ring_first(row);
    if (edf_unlikely(next >= HX_TASKS_MAX || !hx_guard_try(edf_guard(row))))
        return edf_pick_other(prev, reason, ran_ns, now_ns);
    edf.runtime[i] += ran_ns;
    edf.queue[i] = EDF_REST;
    hx_ret_t answer = edf_ring_add(i, row);
    if (answer == HX_OK)
        answer = edf_ring_take(next, row);
    if (answer == HX_OK) {
        edf.queue[next] = EDF_NOWHERE;
        answer = edf_run(next, row);
    }
    hx_guard_leave(edf_guard(row));
    return answer;
}

static __attribute__((noinline)) hx_ret_t edf_turn_other(uint64_t prev, uint64_t reason, uint64_t ran_ns,
                                                         uint64_t now_ns, uint64_t woken, uint64_t priority)
{
    hx_ret_t err = edf_ready(woken, priority, (reason & ~(uint64_t)UINT8_MAX) | HX_SCHED_WOKEN);
    return err < 0 ? err : edf_pick(prev, reason, ran_ns, now_ns);
}

/* One waits and another wakes, nobody else is there and nothing is promised: it need not be queued to be taken off again.
 * Then no queue changes, and no guard is needed. */
static hx_ret_t edf_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                         uint64_t priority)
{
    uint64_t row = EDF_ROW_OF(reason), i = woken % HX_TASKS_MAX;
    if (edf_unlikely(edf.running[row] != prev || HX_SCHED_WHY(reason) != HX_SCHED_BLOCK || edf.taken[row] != 0 ||
                     edf_has_rest(row) || edf.handle[i] != woken || edf.home[i] != (uint8_t)row ||
                     edf.priority[i] != priority || edf.asks[i] != 0))
        return edf_turn_other(prev, reason, ran_ns, now_ns, woken, priority);
    edf.runtime[prev % HX_TASKS_MAX] += ran_ns;
    return edf_run(i, row);
}

static hx_ret_t edf_tick(uint64_t task, uint64_t ran_ns)
{
    uint64_t i = task % HX_TASKS_MAX, row = edf_home(i);
    if (edf.taken[row] == 0)
        return edf_has_rest(row) && ran_ns >= (uint64_t)quantum_ms * 1000000;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    if (!hx_guard_enter(edf_guard(row)))
        return HX_E_BUSY;
    hx_ret_t answer = edf_let_go(row, now_ns);
    uint32_t first = edf_first_queue(row);
    bool earlier = first == EDF_DUE && edf.deadline[hx_heap_at(edf_due(row), 1)] < edf.deadline[i];
    if (answer < 0)
        ;
    else if (!edf_is_promised(i))
        answer = first == EDF_DUE || (first == EDF_REST && ran_ns >= (uint64_t)quantum_ms * 1000000);
    else if (edf.budget[i] == 0) /* on what nobody else wanted */
        answer = first == EDF_DUE || first == EDF_REST || now_ns >= edf_renewal(i);
    else
        answer = ran_ns >= edf.budget[i] || earlier;
    hx_guard_leave(edf_guard(row));
    return answer;
}

static hx_ret_t edf_remove(uint64_t task)
{
    return edf_is_known(task) ? edf_forget(hx_handle_index(task)) : HX_E_NOENT;
}

/* Of one that it does not know it is not said where it is: there where it was last. */
static hx_ret_t edf_adjust(uint64_t task, uint64_t priority)
{
    uint64_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = edf.handle[i] == task ? HX_OK : edf_adopt(i, task, edf_home(i));
    if (err == HX_OK && edf.priority[i] != priority)
        err = edf_set_priority(i, (uint8_t)priority);
    return err;
}

/* Task i is to ask for @wanted. When that cannot be promised, all is as before. */
static hx_ret_t edf_reserve_at(uint64_t i, uint64_t row, const uint32_t wanted[3], uint64_t now_ns)
{
    uint32_t *reserved = &edf.reserved[3 * i], before[3] = { reserved[0], reserved[1], reserved[2] };
    uint64_t deadline = edf.deadline[i], budget = edf.budget[i];
    bool promised = edf_is_promised(i), queued = edf_is_queued(i), refused = false;
    hx_ret_t err = edf_unqueue(i, row);
    if (err < 0)
        return err;
    __builtin_memcpy(reserved, wanted, sizeof(before));
    edf_ask(i, row, now_ns);
    if (wanted[0] != 0 && !edf_is_promised(i)) {
        refused = true;
        __builtin_memcpy(reserved, before, sizeof(before));
        edf.asks[i] = edf_is_reserved(i) || edf.priority[i] >= EDF_PROMISED;
        if (promised && edf_promise(i, row, now_ns)) {
            edf.deadline[i] = deadline;
            edf.budget[i] = budget;
        }
    }
    if (queued)
        err = edf_push(i, row, edf_queue_for(i, row, now_ns));
    return err == HX_OK && refused ? HX_E_LIMIT : err;
}

/* In microseconds: what is promised is not less than what was asked for. */
static hx_ret_t edf_reserve(uint64_t task, uint64_t runtime_ns, uint64_t period_ns, uint64_t deadline_ns)
{
    uint64_t i = hx_handle_index(task);
    if (!edf_is_known(task))
        return HX_E_NOENT;
    bool none = runtime_ns == 0 && period_ns == 0 && deadline_ns == 0;
    if (deadline_ns > period_ns)
        deadline_ns = period_ns;
    if (period_ns / 1000 > EDF_RESERVED_US_MAX)
        return HX_E_INVAL;
    uint32_t wanted[3] = { (uint32_t)((runtime_ns + 999) / 1000), (uint32_t)(period_ns / 1000),
                           (uint32_t)(deadline_ns / 1000) };
    if (!none && (runtime_ns == 0 || runtime_ns > deadline_ns || wanted[0] > wanted[2]))
        return HX_E_INVAL;
    uint64_t home = edf_home(i), now_ns = (uint64_t)hx_clock_ns();
    if (!hx_guard_enter(edf_guard(home)))
        return HX_E_BUSY;
    hx_ret_t err = edf_reserve_at(i, home, wanted, now_ns);
    hx_guard_leave(edf_guard(home));
    return err;
}

static size_t edf_info_promise(uint64_t i, char *line, size_t used)
{
    struct edf_terms terms = edf_terms(i);
    if (terms.runtime_ns == 0)
        return used;
    if (!edf_is_promised(i))
        return hx_fmt_append(line, EDF_LINE_MAX, used, ", no deadline: %u/16 taken",
                             (uint32_t)(edf.taken[edf_home(i)] >> (EDF_SHARE_BITS - 4)));
    if (edf_is_reserved(i))
        return hx_fmt_append(line, EDF_LINE_MAX, used, ", %u of %u us by %u, missed %u", edf.reserved[3 * i],
                             edf.reserved[3 * i + 1], edf.reserved[3 * i + 2], edf.missed[i]);
    return hx_fmt_append(line, EDF_LINE_MAX, used, ", %u/16 of %u ms, missed %u", (edf.priority[i] & 7) + 1,
                         (uint32_t)(terms.period_ns / 1000000), edf.missed[i]);
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

/* Before any state is loaded or shared. */
static hx_ret_t edf_init(void)
{
    bool good = quantum_ms >= 1 && quantum_ms <= EDF_QUANTUM_MS_MAX && period_ms >= 1 &&
                period_ms <= EDF_PERIOD_MS_MAX && shares >= 1 && shares <= EDF_SHARES_MAX;
    for (uint32_t row = 0; row < EDF_ROWS; row += EDF_ROW) {
        edf.running[row] = EDF_NOBODY;
        edf.next[EDF_RINGS + row] = edf.back[EDF_RINGS + row] = (uint16_t)(EDF_RINGS + row);
    }
    return good ? HX_OK : HX_E_INVAL;
}

static const struct hx_sched_ops edf_ops = {
    HX_OPS_HEAD(hx_sched), .ready = edf_ready, .pick = edf_pick, .tick = edf_tick,       .remove = edf_remove,
    .adjust = edf_adjust,  .info = edf_info,   .turn = edf_turn, .reserve = edf_reserve,
};

HX_MODULE("sched_edf", HX_VERSION(1, 0, 0), "earliest-deadline-first scheduler", .init = edf_init, .save = edf_save,
          .load = edf_load, .check = edf_check);
HX_PROVIDES(hx_sched, HX_SCHED_OPS, &edf_ops);
