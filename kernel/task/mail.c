/* SPDX-License-Identifier: MIT */
/*
 * mail.c - what CPUs ask of each other: to make a task ready that is there, to do something with it that needs the policy.
 *
 * Both are lists that anybody pushes to and their CPU alone takes, as a whole, so one compare-and-exchange and one exchange
 * are all there is. Who pushes to an empty one pokes the CPU: who finds it full knows that a poke is on its way.
 */
#include "schedule.h"

#include <hal/hx_hal_entry.h>

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */
void hx_sched_post(struct hx_task *task)
{
    uint32_t cpu = task->cpu;
    struct hx_sched_book *book = hx_sched_book_of(cpu);
    struct hx_task *first = __atomic_load_n(&book->mail, __ATOMIC_RELAXED);
    do {
        task->mail_next = first;
    } while (!__atomic_compare_exchange_n(&book->mail, &first, task, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (!first)
        hx_hal_cpu_poke(cpu);
}

void hx_sched_send(struct hx_task *task, uint32_t cpu)
{
    task->on_its_way = true;
    __atomic_store_n(&task->cpu, (uint8_t)cpu, __ATOMIC_RELEASE);
    hx_sched_post(task);
}

/* The order in which they came. */
static struct hx_task *reverse(struct hx_task *last)
{
    struct hx_task *first = NULL;
    while (last) {
        struct hx_task *before = last->mail_next;
        last->mail_next = first;
        first = last;
        last = before;
    }
    return first;
}

static void take_mail(struct hx_sched_book *book)
{
    struct hx_task *task = reverse(__atomic_exchange_n(&book->mail, NULL, __ATOMIC_SEQ_CST));
    while (task) {
        struct hx_task *next = task->mail_next;
        if (task->state == HX_TASK_READY) {
            if (task->class == HX_TASK_POLICY)
                book->tasks++;
            task->on_its_way = false;
            hx_sched_ready_add(task, task->news); /* it is new, or was sent here */
        } else {
            hx_task_wake_posted(task);
        }
        task = next;
    }
}

void hx_entry_poke(void)
{
    struct hx_sched_book *book = hx_sched_book();
    take_mail(book);
    if (__atomic_load_n(&book->to_do, __ATOMIC_RELAXED))
        hx_cpu_write(need_resched, 1);
}

/* ---- errands -------------------------------------------------------------------------------------------------------- */
enum { MOVED = 1 }; /* no status: the task is elsewhere by now */

static hx_status_t work_here(struct hx_errand *errand)
{
    struct hx_task *task = hx_task_lookup(errand->task);
    if (!task)
        return HX_E_STALE;
    if (__atomic_load_n(&task->cpu, __ATOMIC_ACQUIRE) != hx_cpu_read(id) || task->on_its_way)
        return MOVED;
    return errand->work(task, errand->argument);
}

void hx_sched_do_errands(struct hx_sched_book *book)
{
    struct hx_errand *errand = __atomic_exchange_n(&book->errands, NULL, __ATOMIC_SEQ_CST);
    while (errand) {
        struct hx_errand *next = errand->next;
        errand->result = work_here(errand);
        __atomic_store_n(&errand->done, true, __ATOMIC_RELEASE); /* it is gone now */
        errand = next;
    }
}

void hx_sched_push_errand(struct hx_errand *errand, uint32_t cpu)
{
    struct hx_sched_book *book = hx_sched_book_of(cpu);
    struct hx_errand *first = __atomic_load_n(&book->errands, __ATOMIC_RELAXED);
    errand->done = false;
    do {
        errand->next = first;
    } while (!__atomic_compare_exchange_n(&book->errands, &first, errand, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    __atomic_store_n(&book->to_do, true, __ATOMIC_SEQ_CST);
    if (cpu == hx_cpu_read(id))
        hx_cpu_write(need_resched, 1);
    else
        hx_hal_cpu_poke(cpu);
}

/*
 * Preemption off: who waits can neither be ended nor go elsewhere, so the errand lies well on its stack. Two that wait for
 * each other do each other's errands.
 */
static hx_status_t send(struct hx_errand *errand, uint32_t cpu)
{
    hx_sched_push_errand(errand, cpu);
    while (!__atomic_load_n(&errand->done, __ATOMIC_ACQUIRE)) {
        hx_cpu_relax();
        hx_irq_disable();
        hx_sched_attend(hx_sched_book());
        hx_irq_enable();
    }
    return errand->result;
}

hx_status_t hx_sched_run_errand(struct hx_errand *errand)
{
    hx_status_t err = MOVED;
    bool may_wait = !hx_cpu_read(preempt_off) && !hx_cpu_read(irq_depth) && hx_irq_enabled();
    hx_preempt_disable();
    while (err == MOVED) {
        const struct hx_task *task = hx_task_lookup(errand->task);
        uint32_t cpu = task ? task->cpu : hx_cpu_read(id);
        if (cpu != hx_cpu_read(id)) {
            err = may_wait ? send(errand, cpu) : HX_E_STATE;
            continue;
        }
        hx_irq_flags_t flags = hx_irq_save();
        hx_sched_attend(hx_sched_book());
        take_mail(hx_sched_book());
        err = work_here(errand);
        hx_irq_restore(flags);
    }
    hx_preempt_enable();
    return err;
}
