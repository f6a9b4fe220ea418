/* SPDX-License-Identifier: MIT */
/*
 * sched_prio.c - strict priorities: the highest ready level runs, first come first served within it; for each CPU by itself.
 *
 * Why: the policy most unlike round robin that still speaks the common state fields; swapping the two shows that the order
 * of tasks is all a policy owns.
 * State:     a ring of links for each level of each CPU. A link is the name of a task, its index plus 1, or of a list;
 *            next[] leads round from a list through its tasks, back[] the other way; back[] of a task that is not queued is
 *            0. `occupied` has a bit for each level whose list is not empty, `top` is the list of the highest of them. What
 *            is kept by CPU stands at its row, so that no two CPUs share a cache line.
 * Invariant: a queued task stands in the list of priority[i] on the CPU of home[i]; handle[i] is 0, a handle of index i, or one
 *            without its type (forgotten); the handle in running[] is known and not queued;
 *            what lies at or above limit has never been used.
 * CPUs:      what belongs to a task is touched by the CPU that it is on, lists by their CPU, inside its guard. A task that is
 *            heard of on another CPU than before without having been removed (after a revert) is fetched from there.
 * Fairness:  none between levels, by design; the kernel steps in for a task that waits too long. A task that is preempted
 *            goes to the end of its level, whatever it has left of its slice: no rule about remainders can be abused.
 * Safety:    a link is cut or checked before it is followed: a spoiled one becomes an error or a wrong choice, not a wild
 *            write.
 * Check:     looks at the lists while they are at work, by their guards (see helix/guard.h): a fault in those of a CPU that
 *            rests for the time of one walk is found; what is said of a task alone holds at any time.
 * Cost:      pick 45 instructions among equals, 70 between levels; turn 30 when it is the woken task's.
 * Context:   as helix/sched.h says.
 */
#include <helix/fmt.h>
#include <helix/guard.h>
#include <helix/module.h>
#include <helix/sched.h>
#include <helix/state.h>

enum {
    PRIO_LEVELS = 256,
    PRIO_WORDS = PRIO_LEVELS / 64,
    PRIO_NAMES = 2 * HX_TASKS_MAX,             /* of tasks: 1 to HX_TASKS_MAX; of lists: the last of them */
    PRIO_LISTS = PRIO_LEVELS * HX_CPUS_MAX,    /* by CPU and level */
    PRIO_FIRST_LIST = PRIO_NAMES - PRIO_LISTS, /* which is a multiple of their number */
    PRIO_ROW = 8,                              /* words: a cache line */
    PRIO_QUANTUM_MS_MAX = 10000,
    PRIO_LINE_MAX = 96,
};
_Static_assert((int)PRIO_FIRST_LIST > (int)HX_TASKS_MAX && PRIO_FIRST_LIST % PRIO_LISTS == 0, "names are distinct");

#define PRIO_CPU_BITS ((HX_CPUS_MAX - 1u) << 8)
#define PRIO_LIST(reason, level) (((uint64_t)(reason)&PRIO_CPU_BITS) | (uint64_t)PRIO_FIRST_LIST | (level))
#define PRIO_ROW_OF(reason) (((uint64_t)(reason)&PRIO_CPU_BITS) / (256 / PRIO_ROW))
#define PRIO_REASON_MAX ((uint64_t)(HX_CPUS_MAX - 1) << 8 | HX_SCHED_EXIT)
#define PRIO_NOBODY UINT64_MAX /* in running[] */

#define PRIO_FIELDS(SCALAR, ARRAY)                                                                                     \
    SCALAR(u32, limit)                         /* highest index seen, plus 1; raised by any CPU */                     \
    ARRAY(u64, running, PRIO_ROW *HX_CPUS_MAX) /* by row: handle last picked, or PRIO_NOBODY */                        \
    ARRAY(u64, top, PRIO_ROW *HX_CPUS_MAX)     /* by row: highest list that is not empty, 0: none */                   \
    ARRAY(u64, occupied, PRIO_ROW *HX_CPUS_MAX)                                                                        \
    ARRAY(u16, next, PRIO_NAMES)                                                                                       \
    ARRAY(u16, back, PRIO_NAMES)                                                                                       \
    ARRAY(u8, home, HX_TASKS_MAX) /* row of the CPU where it is */                                                     \
    ARRAY(u64, handle, HX_TASKS_MAX)                                                                                   \
    ARRAY(u8, priority, HX_TASKS_MAX)                                                                                  \
    ARRAY(u64, runtime, HX_TASKS_MAX)                                                                                  \
    ARRAY(u32, picks, HX_TASKS_MAX)
HX_STATE(prio, PRIO_FIELDS);
HX_PARAM(uint32_t, quantum_ms, 10, "time slice within a level in milliseconds, 1 to 10000");

static struct {
    uint32_t guard, unused;
} prio_guards[PRIO_ROW * HX_CPUS_MAX]; /* by row */
static struct hx_state_stream prio_stream;
static uint8_t prio_cpu[HX_TASKS_MAX]; /* of save and load */
static uint64_t prio_cpu_count;        /* of load */

#define prio_unlikely(condition) __builtin_expect(!!(condition), 0)

static inline uint32_t *prio_guard(uint64_t row)
{
    return &prio_guards[row].guard;
}

/* ---- the lists: inside the guard --------------------------------------------------------------------------------------- */
static inline bool prio_is_queued(uint64_t i)
{
    return prio.back[i + 1] != 0;
}

/* The list where task i belongs on the CPU of @row. */
static inline uint64_t prio_list(uint64_t i, uint64_t row)
{
    return PRIO_LIST(row * (256 / PRIO_ROW), prio.priority[i]);
}

static inline void prio_link(uint64_t i, uint64_t list)
{
    uint64_t last = prio.back[list];
    prio.next[last % PRIO_NAMES] = (uint16_t)(i + 1);
    prio.back[i + 1] = (uint16_t)last;
    prio.next[i + 1] = (uint16_t)list;
    prio.back[list] = (uint16_t)(i + 1);
}

static inline void prio_append(uint64_t i, uint64_t row)
{
    uint64_t list = prio_list(i, row), level = prio.priority[i];
    prio.occupied[row + level / 64] |= 1ull << (level % 64);
    if (prio.top[row] < list)
        prio.top[row] = list;
    prio_link(i, list);
}

/* The list at @row that was emptied is not the top any more. */
static void prio_find_top(uint64_t row)
{
    uint64_t word = PRIO_WORDS;
    while (word > 0 && prio.occupied[row + word - 1] == 0)
        word--;
    prio.top[row] = 0;
    if (word > 0)
        prio.top[row] =
            PRIO_LIST(row * (256 / PRIO_ROW), word * 64 - 1 - (uint64_t)__builtin_clzll(prio.occupied[row + word - 1]));
}

static void prio_emptied(uint64_t list, uint64_t row)
{
    uint64_t level = list % PRIO_LEVELS;
    prio.occupied[row + level / 64] &= ~(1ull << (level % 64));
    if (prio.top[row] == list)
        prio_find_top(row);
}

/* Does nothing for a task that is not queued. */
static hx_ret_t prio_unlink(uint64_t i, uint64_t row)
{
    uint64_t back = prio.back[i + 1], next = prio.next[i + 1];
    if (back == 0)
        return HX_OK;
    if (prio_unlikely(back >= PRIO_NAMES || next >= PRIO_NAMES))
        return HX_E_CORRUPT;
    prio.next[back] = (uint16_t)next;
    prio.back[next] = (uint16_t)back;
    prio.back[i + 1] = 0;
    if (back == next)
        prio_emptied(prio_list(i, row), row);
    return HX_OK;
}

static inline hx_ret_t prio_run(uint64_t i, uint64_t row)
{
    prio.picks[i]++;
    prio.running[row] = prio.handle[i];
    return (hx_ret_t)prio.handle[i];
}

/* The first task of @list, which is not empty and may become so. Returns its handle or HX_E_CORRUPT. */
static inline hx_ret_t prio_take(uint64_t list, uint64_t row)
{
    uint64_t first = prio.next[list], i = first - 1;
    if (prio_unlikely(i >= HX_TASKS_MAX))
        return HX_E_CORRUPT;
    uint64_t next = prio.next[first];
    prio.next[list] = (uint16_t)next;
    prio.back[next % PRIO_NAMES] = (uint16_t)list;
    prio.back[first] = 0;
    return prio_run(i, row);
}

/* The first task of the highest list. Returns its handle, HX_HANDLE_NONE or HX_E_CORRUPT. */
static hx_ret_t prio_take_top(uint64_t row)
{
    uint64_t list = prio.top[row] % PRIO_NAMES;
    prio.running[row] = PRIO_NOBODY;
    if (list == 0)
        return (hx_ret_t)HX_HANDLE_NONE;
    hx_ret_t answer = prio_take(list, row);
    if (prio.next[list] == list)
        prio_emptied(list, row);
    return answer;
}

/* ---- what is known of a task: outside of guards ------------------------------------------------------------------------ */
/* Before anything of the index is written: who sees that also sees the limit. */
static void prio_limit_raise(uint64_t count)
{
    uint32_t limit = __atomic_load_n(&prio.limit, __ATOMIC_RELAXED);
    while (limit < count && !__atomic_compare_exchange_n(&prio.limit, &limit, (uint32_t)count, false, __ATOMIC_SEQ_CST,
                                                         __ATOMIC_RELAXED))
        ;
}

/* Of a task that was forgotten its handle is kept without the type, so that its accounting is found by no other. */
#define PRIO_GONE(task) ((task) & ~(UINT64_MAX << 56))

static inline bool prio_is_there(uint64_t i)
{
    return hx_handle_type(prio.handle[i]) != 0;
}

static inline bool prio_was(uint64_t i, hx_handle_t task)
{
    return prio.handle[i] == HX_HANDLE_NONE || prio.handle[i] == PRIO_GONE(task);
}

static bool prio_is_known(hx_handle_t task)
{
    uint32_t i = hx_handle_index(task);
    return i < HX_TASKS_MAX && task != HX_HANDLE_NONE && prio.handle[i] == task;
}

static inline uint64_t prio_home(uint64_t i)
{
    return __atomic_load_n(&prio.home[i], __ATOMIC_RELAXED) % (PRIO_ROW * HX_CPUS_MAX) / PRIO_ROW * PRIO_ROW;
}

static void prio_account_reset(uint64_t i)
{
    prio.runtime[i] = 0;
    prio.picks[i] = 0;
}

/* Out of the list that has it, wherever that is. Its accounting stays: one that the kernel takes off the queue to run it
 * comes back. */
static hx_ret_t prio_forget(uint64_t i)
{
    uint64_t home = prio_home(i);
    if (!prio_is_there(i))
        return HX_OK;
    if (!hx_guard_enter(prio_guard(home)))
        return HX_E_BUSY;
    hx_ret_t err = prio_unlink(i, home);
    if (prio.running[home] == prio.handle[i])
        prio.running[home] = PRIO_NOBODY;
    prio.handle[i] = PRIO_GONE(prio.handle[i]);
    prio.priority[i] = 0;
    hx_guard_leave(prio_guard(home));
    return err;
}

/*
 * Index i belongs to @task, which is at @row, from now on. A previous owner is gone, whether or not anybody said so, and what
 * another CPU still has in its lists it has no longer.
 */
static __attribute__((noinline)) hx_ret_t prio_adopt(uint64_t i, hx_handle_t task, uint64_t row)
{
    prio_limit_raise(i + 1);
    if (prio.handle[i] != task || prio_home(i) != row) {
        uint8_t priority = prio.handle[i] == task ? prio.priority[i] : 0;
        if (prio.handle[i] != task && !prio_was(i, task))
            prio_account_reset(i);
        hx_ret_t err = prio_forget(i);
        if (err < 0)
            return err;
        prio.priority[i] = priority;
    }
    if (!hx_guard_enter(prio_guard(row)))
        return HX_E_BUSY;
    prio.home[i] = (uint8_t)row;
    prio.handle[i] = task;
    hx_guard_leave(prio_guard(row));
    return HX_OK;
}

/* A queued task moves to the end of its new level. */
static hx_ret_t prio_set_level(uint64_t i, uint8_t level)
{
    uint64_t home = prio_home(i);
    if (prio.priority[i] == level)
        return HX_OK;
    if (!hx_guard_enter(prio_guard(home)))
        return HX_E_BUSY;
    bool queued = prio_is_queued(i);
    hx_ret_t err = prio_unlink(i, home);
    if (err == HX_OK) {
        prio.priority[i] = level;
        if (queued)
            prio_append(i, home);
    }
    hx_guard_leave(prio_guard(home));
    return err;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static inline hx_ret_t prio_answer(uint64_t priority, uint64_t row)
{
    hx_handle_t running = prio.running[row];
    if (running == PRIO_NOBODY || priority > prio.priority[running % HX_TASKS_MAX])
        return HX_SCHED_REPLACE;
    return HX_SCHED_LATER;
}

static hx_ret_t prio_ready(uint64_t task, uint64_t priority, uint64_t reason)
{
    uint64_t i = hx_handle_index(task), row = PRIO_ROW_OF(reason);
    if (prio_unlikely(i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX || reason > PRIO_REASON_MAX))
        return HX_E_INVAL;
    hx_ret_t err = HX_OK;
    if (prio_unlikely(prio.handle[i] != task || prio.home[i] != row))
        err = prio_adopt(i, task, row);
    if (err == HX_OK)
        err = prio_set_level(i, (uint8_t)priority);
    if (prio_unlikely(err < 0))
        return err;
    if (HX_SCHED_WHY(reason) == HX_SCHED_NEW)
        prio_account_reset(i);
    if (!prio_is_queued(i)) {
        if (!hx_guard_enter(prio_guard(row)))
            return HX_E_BUSY;
        prio_append(i, row);
        if (prio_unlikely(prio.running[row] == task))
            prio.running[row] = PRIO_NOBODY;
        hx_guard_leave(prio_guard(row));
    }
    return prio_answer(priority, row);
}

/* The previous task stops running. It may be new here, gone, or still stand in a list: while the slot was closed, or after a
 * wrong answer, the kernel chose it without asking. */
static hx_ret_t prio_put_back(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint64_t i = hx_handle_index(prev), row = PRIO_ROW_OF(reason);
    if (i >= HX_TASKS_MAX)
        return HX_E_INVAL;
    hx_ret_t err = prio.handle[i] == prev && prio.home[i] == row ? HX_OK : prio_adopt(i, prev, row);
    if (err < 0)
        return err;
    prio.runtime[i] += ran_ns;
    if (HX_SCHED_WHY(reason) == HX_SCHED_EXIT) {
        prio_account_reset(i);
        return prio_forget(i);
    }
    if (!hx_guard_enter(prio_guard(row)))
        return HX_E_BUSY;
    prio.running[row] = PRIO_NOBODY; /* who looks before the next one is taken does not meet one both here and queued */
    if (HX_SCHED_WHY(reason) == HX_SCHED_BLOCK)
        err = prio_unlink(i, row);
    else if (!prio_is_queued(i))
        prio_append(i, row);
    hx_guard_leave(prio_guard(row));
    return err;
}

static __attribute__((noinline)) hx_ret_t prio_pick_other(hx_handle_t prev, uint64_t reason, uint64_t ran_ns)
{
    uint64_t row = PRIO_ROW_OF(reason);
    if (reason > PRIO_REASON_MAX)
        return HX_E_INVAL;
    hx_ret_t answer = prev != HX_HANDLE_NONE ? prio_put_back(prev, reason, ran_ns) : HX_OK;
    if (answer < 0)
        return answer;
    if (!hx_guard_enter(prio_guard(row)))
        return HX_E_BUSY;
    answer = prio_take_top(row);
    hx_guard_leave(prio_guard(row));
    return answer;
}

/* Among equals that take turns here, all else in prio_pick_other(). */
static hx_ret_t prio_pick(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns)
{
    uint64_t row = PRIO_ROW_OF(reason), i = prev % HX_TASKS_MAX;
    (void)now_ns;
    if (prio_unlikely(prio.running[row] != prev || HX_SCHED_WHY(reason) >= HX_SCHED_BLOCK))
        return prio_pick_other(prev, reason, ran_ns);
    uint64_t list = PRIO_LIST(reason, prio.priority[i]);
    if (prio.top[row] != list || !hx_guard_try(prio_guard(row)))
        return prio_pick_other(prev, reason, ran_ns);
    prio.runtime[i] += ran_ns;
    prio_link(i, list);
    hx_ret_t answer = prio_take(list, row);
    hx_guard_leave(prio_guard(row));
    return answer;
}

static __attribute__((noinline)) hx_ret_t prio_turn_other(uint64_t prev, uint64_t reason, uint64_t ran_ns,
                                                          uint64_t now_ns, uint64_t woken, uint64_t priority)
{
    hx_ret_t err = prio_ready(woken, priority, (reason & ~(uint64_t)UINT8_MAX) | HX_SCHED_WOKEN);
    return err < 0 ? err : prio_pick(prev, reason, ran_ns, now_ns);
}

/* One waits, and the one that woke is above all that are queued: it need not be queued to be taken off again. Then no list
 * changes, and no guard is needed. */
static hx_ret_t prio_turn(uint64_t prev, uint64_t reason, uint64_t ran_ns, uint64_t now_ns, uint64_t woken,
                          uint64_t priority)
{
    uint64_t row = PRIO_ROW_OF(reason), i = woken % HX_TASKS_MAX, before = prev % HX_TASKS_MAX;
    if (prio_unlikely(prio.running[row] != prev || HX_SCHED_WHY(reason) != HX_SCHED_BLOCK || prio.handle[i] != woken ||
                      prio.home[i] != (uint8_t)row || prio_is_queued(i) || priority > UINT8_MAX ||
                      prio.top[row] >= PRIO_LIST(reason, priority)))
        return prio_turn_other(prev, reason, ran_ns, now_ns, woken, priority);
    prio.runtime[before] += ran_ns;
    prio.priority[i] = (uint8_t)priority;
    prio.picks[i]++;
    prio.running[row] = woken;
    return (hx_ret_t)woken;
}

static hx_ret_t prio_tick(uint64_t task, uint64_t ran_ns)
{
    uint64_t i = task % HX_TASKS_MAX, row = prio_home(i), top = prio.top[row], list = prio_list(i, row);
    return top > list || (top == list && ran_ns >= (uint64_t)quantum_ms * 1000000);
}

static hx_ret_t prio_remove(uint64_t task)
{
    return prio_is_known(task) ? prio_forget(hx_handle_index(task)) : HX_E_NOENT;
}

/* Of one that it does not know it is not said where it is: there where it was last. */
static hx_ret_t prio_adjust(uint64_t task, uint64_t priority)
{
    uint64_t i = hx_handle_index(task);
    if (i >= HX_TASKS_MAX || task == HX_HANDLE_NONE || priority > UINT8_MAX)
        return HX_E_INVAL;
    hx_ret_t err = prio.handle[i] == task ? HX_OK : prio_adopt(i, task, prio_home(i));
    return err == HX_OK ? prio_set_level(i, (uint8_t)priority) : err;
}

static hx_ret_t prio_info(uint64_t task, void *text, uint64_t text_bytes)
{
    char line[PRIO_LINE_MAX];
    if (!prio_is_known(task))
        return HX_E_NOENT;
    uint32_t i = hx_handle_index(task);
    uint64_t us = prio.runtime[i] / 1000;
    size_t used = hx_fmt_append(line, sizeof(line), 0, "priority %u, %s, ran %llu.%03llu ms, picked %u",
                                prio.priority[i], prio_is_queued(i) ? "queued" : "not queued",
                                (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), prio.picks[i]);
    if (used > text_bytes)
        used = text_bytes;
    __builtin_memcpy(text, line, used);
    return (hx_ret_t)used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
/* Before any state is loaded or shared. */
static hx_ret_t prio_init(void)
{
    for (uint32_t list = PRIO_FIRST_LIST; list < PRIO_NAMES; list++)
        prio.next[list] = prio.back[list] = (uint16_t)list;
    for (uint32_t row = 0; row < PRIO_ROW * HX_CPUS_MAX; row += PRIO_ROW)
        prio.running[row] = PRIO_NOBODY;
    return quantum_ms >= 1 && quantum_ms <= PRIO_QUANTUM_MS_MAX ? HX_OK : HX_E_INVAL;
}

static hx_ret_t prio_save_list(uint64_t list, uint32_t *count)
{
    for (uint64_t name = prio.next[list]; name != list; name = prio.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || ++*count > prio.limit)
            return HX_E_CORRUPT;
        hx_ret_t err = hx_state_stream_put(&prio_stream, &prio.handle[name - 1], sizeof(prio.handle[0]));
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* From the highest level of word @word at @row down. */
static hx_ret_t prio_save_word(uint64_t row, uint64_t word, uint32_t *count)
{
    for (uint64_t left = prio.occupied[row + word], bit; left != 0; left &= ~(1ull << bit)) {
        bit = 63 - (uint64_t)__builtin_clzll(left);
        hx_ret_t err = prio_save_list(PRIO_LIST(row * (256 / PRIO_ROW), word * 64 + bit), count);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

static hx_ret_t prio_save_ready(void)
{
    uint32_t count = 0;
    hx_state_stream_begin(&prio_stream, HX_TEXT(HX_SCHED_STATE_READY));
    for (uint64_t row = 0; row < PRIO_ROW * HX_CPUS_MAX; row += PRIO_ROW)
        for (uint64_t word = PRIO_WORDS; word-- > 0;) {
            hx_ret_t err = prio_save_word(row, word, &count);
            if (err < 0)
                return err;
        }
    return hx_state_stream_flush(&prio_stream);
}

static hx_ret_t prio_save_waiting(void)
{
    hx_state_stream_begin(&prio_stream, HX_TEXT(HX_SCHED_STATE_WAITING));
    for (uint32_t i = 0; i < prio.limit; i++) {
        prio_cpu[i] = (uint8_t)(prio_home(i) / PRIO_ROW);
        if (!prio_is_there(i) || prio_is_queued(i))
            continue;
        hx_ret_t err = hx_state_stream_put(&prio_stream, &prio.handle[i], sizeof(prio.handle[0]));
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&prio_stream);
}

static hx_ret_t prio_save(void)
{
    uint32_t limit = prio.limit;
    if (limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = prio_save_ready();
    if (err == HX_OK)
        err = prio_save_waiting();
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_CPU), prio_cpu, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PRIORITY), prio.priority, limit);
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_RUNTIME), prio.runtime, limit * sizeof(prio.runtime[0]));
    if (err == HX_OK)
        err = hx_state_put_array(HX_TEXT(HX_SCHED_STATE_PICKS), prio.picks, limit * sizeof(prio.picks[0]));
    return err;
}

/* An array by index that the old policy may not have kept. */
#define PRIO_LOAD_ARRAY(name, array) prio_load_array(HX_TEXT(name), (array), sizeof(array), sizeof((array)[0]))
static hx_ret_t prio_load_array(const void *name, uint64_t name_bytes, void *array, uint64_t max_bytes,
                                uint64_t unit_bytes)
{
    hx_ret_t bytes = hx_state_get_array(name, name_bytes, array, max_bytes, unit_bytes);
    if (bytes < 0)
        return bytes;
    prio_limit_raise((uint64_t)bytes / unit_bytes);
    return HX_OK;
}

static hx_ret_t prio_load_task(hx_handle_t task, bool queued)
{
    uint32_t i = hx_handle_index(task);
    if (hx_handle_type(task) != HX_HANDLE_TASK || i >= HX_TASKS_MAX || prio.handle[i] != HX_HANDLE_NONE)
        return HX_E_SCHEMA; /* no task, or one that was there already */
    uint32_t cpu = i < prio_cpu_count ? prio_cpu[i] : 0;
    if (cpu >= HX_CPUS_MAX)
        return HX_E_SCHEMA;
    prio_limit_raise(i + 1u);
    prio.handle[i] = task;
    prio.home[i] = (uint8_t)(cpu * PRIO_ROW);
    if (queued)
        prio_append(i, prio.home[i]);
    return HX_OK;
}

static hx_ret_t prio_load_tasks(const void *name, uint64_t name_bytes, bool queued)
{
    hx_ret_t bytes = hx_state_size(name, name_bytes);
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    if ((uint64_t)bytes % sizeof(hx_handle_t) != 0 || (uint64_t)bytes > HX_TASKS_MAX * sizeof(hx_handle_t))
        return HX_E_SCHEMA;
    hx_state_stream_begin(&prio_stream, name, name_bytes);
    for (uint64_t left = (uint64_t)bytes / sizeof(hx_handle_t); left > 0; left--) {
        hx_handle_t task;
        hx_ret_t err = hx_state_stream_get(&prio_stream, &task, sizeof(task));
        if (err == HX_OK)
            err = prio_load_task(task, queued);
        if (err < 0)
            return err;
    }
    return HX_OK;
}

/* CPUs and priorities first: they say into which list a task goes. */
static hx_ret_t prio_load(void)
{
    hx_ret_t count = hx_state_get_array(HX_TEXT(HX_SCHED_STATE_CPU), prio_cpu, sizeof(prio_cpu), 1);
    if (count < 0)
        return count;
    prio_cpu_count = (uint64_t)count;
    hx_ret_t err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_PRIORITY, prio.priority);
    if (err == HX_OK)
        err = prio_load_tasks(HX_TEXT(HX_SCHED_STATE_READY), true);
    if (err == HX_OK)
        err = prio_load_tasks(HX_TEXT(HX_SCHED_STATE_WAITING), false);
    if (err == HX_OK)
        err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_RUNTIME, prio.runtime);
    if (err == HX_OK)
        err = PRIO_LOAD_ARRAY(HX_SCHED_STATE_PICKS, prio.picks);
    return err;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static struct {
    uint32_t seen; /* the guard when the walk began */
    uint32_t walked, claimed;
} prio_checked[HX_CPUS_MAX];

static bool prio_list_sound(uint64_t list, uint64_t row, uint32_t *count)
{
    uint64_t before = list;
    for (uint64_t name = prio.next[list]; name != list; before = name, name = prio.next[name]) {
        if (name - 1 >= HX_TASKS_MAX || prio.back[name] != before || !prio_is_there(name - 1))
            return false;
        if (prio.priority[name - 1] != list % PRIO_LEVELS || prio.home[name - 1] != row)
            return false;
        if (++*count > HX_TASKS_MAX) /* that ends a ring that leads elsewhere */
            return false;
    }
    uint64_t level = list % PRIO_LEVELS;
    bool occupied = (prio.occupied[row + level / 64] >> (level % 64) & 1) != 0;
    return prio.back[list] == before && occupied == (before != list);
}

static bool prio_running_sound(uint64_t row)
{
    hx_handle_t running = prio.running[row];
    return running == PRIO_NOBODY ||
           (hx_handle_type(running) == HX_HANDLE_TASK && hx_handle_index(running) < prio.limit &&
            (prio.handle[hx_handle_index(running)] != running || !prio_is_queued(hx_handle_index(running))));
}

static bool prio_cpu_sound(uint64_t row)
{
    uint32_t count = 0, cpu = (uint32_t)(row / PRIO_ROW);
    uint64_t top = 0;
    prio_checked[cpu].seen = hx_guard_look(prio_guard(row));
    for (uint64_t level = 0; level < PRIO_LEVELS; level++) {
        uint64_t list = PRIO_LIST(row * (256 / PRIO_ROW), level);
        if (!prio_list_sound(list, row, &count))
            return false;
        if (prio.next[list] != list)
            top = list;
    }
    prio_checked[cpu].walked = count;
    prio_checked[cpu].claimed = 0;
    return prio.top[row] == top && prio_running_sound(row);
}

/* The limit is read last: see prio_limit_raise(). No task has run for longer than the machine; @now_ns may have passed. */
static bool prio_task_sound(uint32_t i, uint64_t now_ns)
{
    hx_handle_t task = prio.handle[i];
    uint64_t home = prio.home[i];
    bool used =
        task != HX_HANDLE_NONE || home != 0 || prio.priority[i] != 0 || prio.runtime[i] != 0 || prio.picks[i] != 0;
    if (task != HX_HANDLE_NONE && (hx_handle_index(task) != i || hx_handle_type(task) > HX_HANDLE_TASK))
        return false;
    if (home != home % (PRIO_ROW * HX_CPUS_MAX) / PRIO_ROW * PRIO_ROW)
        return false;
    if (prio.runtime[i] > now_ns && prio.runtime[i] > (uint64_t)hx_clock_ns())
        return false;
    return !used || i < __atomic_load_n(&prio.limit, __ATOMIC_ACQUIRE);
}

/* One who moves while he is looked at counts nowhere; he cannot come back unseen, for that takes the guard. */
static void prio_count_claim(uint64_t i)
{
    uint64_t home = prio_home(i);
    bool queued = prio_is_queued(i);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    prio_checked[home / PRIO_ROW].claimed += queued && prio_home(i) == home;
}

static hx_ret_t prio_check(void)
{
    if (prio.limit > HX_TASKS_MAX)
        return HX_E_CORRUPT;
    for (uint64_t row = 0; row < PRIO_ROW * HX_CPUS_MAX; row += PRIO_ROW)
        if (!hx_guard_judge(prio_guard(row), prio_cpu_sound, row))
            return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!prio_task_sound(i, now_ns))
            return HX_E_CORRUPT;
        prio_count_claim(i);
    }
    /* All that say they are queued have been met on the walk, where nothing has changed since. */
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++)
        if (prio_checked[cpu].claimed != prio_checked[cpu].walked &&
            hx_guard_rested(prio_guard(cpu * PRIO_ROW), prio_checked[cpu].seen))
            return HX_E_CORRUPT;
    return HX_OK;
}

static const struct hx_sched_ops prio_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_2, reserve),
    .ready = prio_ready,
    .pick = prio_pick,
    .tick = prio_tick,
    .remove = prio_remove,
    .adjust = prio_adjust,
    .info = prio_info,
    .turn = prio_turn,
};

HX_MODULE("sched_prio", HX_VERSION(1, 0, 0), "strict-priority scheduler", .init = prio_init, .save = prio_save,
          .load = prio_load, .check = prio_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &prio_ops);
