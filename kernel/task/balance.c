/* SPDX-License-Identifier: MIT */
/*
 * balance.c - which CPU a task is on.
 *
 * Mechanism, not policy: a policy orders the tasks of one CPU. A new task goes to an idle CPU, or where the fewest are; a
 * CPU that has decided and has ready tasks left gives them, last come first, to CPUs that are idle; a task that may not be
 * where it is goes where it may. Only a task that is ready and stands on no CPU's stack is moved, by the CPU that it is on.
 */
#include "schedule.h"

enum { LOOKED_AT_MAX = 8 }; /* of the ready tasks, for one that may go: a bound, because decisions are */

uint32_t hx_sched_online, hx_sched_idle;

static uint32_t bit_of(uint32_t cpu)
{
    return 1u << cpu;
}

uint32_t hx_sched_one_of(uint32_t cpus)
{
    uint32_t idle = cpus & __atomic_load_n(&hx_sched_idle, __ATOMIC_RELAXED);
    return (uint32_t)__builtin_ctz(idle ? idle : cpus);
}

uint32_t hx_sched_place(uint8_t allowed)
{
    uint32_t here = hx_cpu_read(id), best = here, fewest = UINT32_MAX;
    uint32_t cpus = __atomic_load_n(&hx_sched_online, __ATOMIC_ACQUIRE) & allowed;
    if (cpus == bit_of(here))
        return here;
    uint32_t idle = cpus & __atomic_load_n(&hx_sched_idle, __ATOMIC_RELAXED);
    for (uint32_t left = idle ? idle : cpus; left; left &= left - 1) {
        uint32_t cpu = (uint32_t)__builtin_ctz(left);
        uint32_t tasks = __atomic_load_n(&hx_sched_book_of(cpu)->tasks, __ATOMIC_RELAXED);
        if (tasks < fewest) {
            fewest = tasks;
            best = cpu;
        }
    }
    return best;
}

void hx_sched_send_away(struct hx_sched_book *book, struct hx_task *task, uint32_t cpu)
{
    hx_handle_t handle = task->handle;
    uint8_t news = task->in_inbox ? task->news : (uint8_t)HX_SCHED_WOKEN;
    bool believed = hx_sched_take_back(book, handle);
    bool told = hx_sched_policy_remove(book, task) || believed;
    book->tasks--;
    if (told)
        hx_sched_tell_removed(handle);
    task->news = news;
    hx_sched_send(task, cpu);
}

/* The last come of the ready tasks that may go to one of @cpus. */
static struct hx_task *somebody_for(struct hx_sched_book *book, const struct hx_task *next, uint32_t cpus)
{
    struct hx_task_ring *ring = book->policy.prev;
    for (uint32_t i = 0; i < LOOKED_AT_MAX && ring != &book->policy; i++, ring = ring->prev) {
        struct hx_task *task = HX_TASK_OF(ring, ring);
        if (task->state == HX_TASK_READY && task != next && task != hx_task_current() && task != book->picked &&
            (task->allowed & cpus))
            return task;
    }
    return NULL;
}

void hx_sched_share(struct hx_sched_book *book, const struct hx_task *next)
{
    uint32_t idle;
    while ((idle = __atomic_load_n(&hx_sched_idle, __ATOMIC_RELAXED) & ~bit_of(hx_cpu_read(id))) != 0) {
        struct hx_task *task = somebody_for(book, next, idle);
        if (!task)
            return;
        uint32_t cpu = hx_sched_one_of(idle & task->allowed);
        __atomic_and_fetch(&hx_sched_idle, ~bit_of(cpu), __ATOMIC_RELAXED); /* others need not think of it */
        hx_sched_send_away(book, task, cpu);
    }
}
