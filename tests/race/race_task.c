/* SPDX-License-Identifier: MIT */
/*
 * race_task.c - a task layer in which a task is a thread, below the kernel's own files: what they need of the machine, of
 * handover.h and of wait queues, by one mutex and a condition variable a thread.
 *
 * A thread has a CPU of its own: GS base is set as tests/host does. What the seam owes beside that is memory and a clock.
 */
#include "race.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <task/handover.h>
#include <time.h>
#include <unistd.h>

/* ---- the machine ----------------------------------------------------------------------------------------------------- */
struct hx_cpu hx_cpu;

static struct thread {
    struct hx_cpu cpu;
    struct hx_task task;
    pthread_cond_t woken;
    pthread_t thread;
    void (*body)(uint32_t number);
    jmp_buf *life; /* NULL: who is killed hears of it */
    uint32_t number;
} threads[RACE_THREADS_MAX + 1]; /* the last: main */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t allocations;

hx_irq_flags_t hx_irq_save(void)
{
    return 0;
}
bool hx_irq_enabled(void)
{
    return true;
}
void hx_irq_restore(hx_irq_flags_t flags)
{
    (void)flags;
}
void hx_hal_lock_wait(void)
{
    sched_yield();
}
void hx_preempt_enable(void)
{
    hx_cpu_add32(preempt_off, -1);
}
uint64_t hx_hal_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
void *hx_hal_alloc(size_t bytes)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return calloc(1, bytes);
}
void hx_hal_free(void *memory)
{
    __atomic_sub_fetch(&allocations, 1, __ATOMIC_RELAXED);
    free(memory);
}
uint64_t race_allocations(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

/* ---- threads --------------------------------------------------------------------------------------------------------- */
/* The task of @thread is another from now on. */
static void name(struct thread *thread)
{
    static uint32_t generation;
    uint32_t next = __atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->task.handle, hx_handle_make(HX_HANDLE_TASK, next, (uint32_t)(thread - threads)),
                     __ATOMIC_RELEASE);
}

struct hx_task *hx_task_of(hx_handle_t task)
{
    struct thread *thread = &threads[hx_handle_index(task) % HX_ARRAY_SIZE(threads)];
    return __atomic_load_n(&thread->task.handle, __ATOMIC_ACQUIRE) == task ? &thread->task : NULL;
}

static void enter(struct thread *thread)
{
    thread->cpu.self = &thread->cpu;
    thread->cpu.current = &thread->task;
    thread->life = NULL;
    name(thread);
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, (uintptr_t)&thread->cpu - (uintptr_t)&hx_cpu) != 0)
        abort();
}

void race_enter(void)
{
    enter(&threads[RACE_THREADS_MAX]);
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    enter(thread);
    thread->body(thread->number);
    return NULL;
}

void race_start(uint32_t at, void (*body)(uint32_t), uint32_t number)
{
    threads[at].body = body;
    threads[at].number = number;
    pthread_cond_init(&threads[at].woken, NULL);
    if (pthread_create(&threads[at].thread, NULL, run, &threads[at]) != 0)
        abort();
}

void race_join(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        pthread_join(threads[i].thread, NULL);
}

/* ---- waiting --------------------------------------------------------------------------------------------------------- */
#define THREAD_OF(task_) ((struct thread *)((char *)(task_)-offsetof(struct thread, task)))

void hx_waitq_init(struct hx_waitq *queue)
{
    queue->waiters.next = queue->waiters.prev = &queue->waiters;
}

static void insert(struct hx_waitq *queue, struct hx_task *task)
{
    struct hx_task_ring *head = &queue->waiters, *ring = &task->wait_ring;
    ring->next = head;
    ring->prev = head->prev;
    ring->prev->next = head->prev = ring;
}

static void take_out(struct hx_task *task)
{
    task->wait_ring.next->prev = task->wait_ring.prev;
    task->wait_ring.prev->next = task->wait_ring.next;
    task->wait_ring.next = NULL;
}

static struct hx_task *take_first(struct hx_waitq *queue)
{
    if (queue->waiters.next == &queue->waiters)
        return NULL;
    struct hx_task *task = (struct hx_task *)queue->waiters.next;
    take_out(task);
    return task;
}

static void wake(struct hx_task *task, hx_status_t result)
{
    task->wait_result = result;
    task->state = HX_TASK_READY;
    pthread_cond_signal(&THREAD_OF(task)->woken);
}

/* Until woken, or the deadline and nobody has taken it off. */
static void stop(struct hx_task *task, uint64_t deadline_ns)
{
    struct timespec until = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
                              .tv_nsec = (long)(deadline_ns % 1000000000u) };
    while (task->state == HX_TASK_BLOCKED) {
        if (deadline_ns == UINT64_MAX || !task->wait_ring.next)
            pthread_cond_wait(&THREAD_OF(task)->woken, &mutex);
        else if (pthread_cond_timedwait(&THREAD_OF(task)->woken, &mutex, &until) != 0 && task->wait_ring.next) {
            take_out(task);
            task->wait_result = HX_E_TIMEOUT;
            task->state = HX_TASK_READY;
        }
    }
}

bool hx_handover_is_idle(struct hx_waitq *queue)
{
    pthread_mutex_lock(&mutex);
    bool idle = queue->waiters.next == &queue->waiters;
    pthread_mutex_unlock(&mutex);
    return idle;
}

struct hx_task *hx_handover_take(struct hx_waitq *queue)
{
    pthread_mutex_lock(&mutex);
    struct hx_task *task = take_first(queue);
    pthread_mutex_unlock(&mutex);
    return task;
}

void *hx_handover_place(const struct hx_task *task)
{
    return task->place;
}

void hx_handover_wake(struct hx_task *task)
{
    pthread_mutex_lock(&mutex);
    task->place = (char *)task->place + 1;
    wake(task, HX_OK);
    pthread_mutex_unlock(&mutex);
}

void hx_handover_refuse(struct hx_task *task, hx_status_t err)
{
    pthread_mutex_lock(&mutex);
    wake(task, err);
    pthread_mutex_unlock(&mutex);
}

bool hx_handover_is_done(const struct hx_task *task)
{
    return (uintptr_t)task->place & 1;
}

static bool (*take_back)(struct hx_waitq *queue, const void *place);

void hx_handover_bind(bool (*given)(struct hx_waitq *queue, const void *place))
{
    __atomic_store_n(&take_back, given, __ATOMIC_RELEASE);
}

void race_kill(uint32_t at)
{
    struct hx_task *task = &threads[at].task;
    pthread_mutex_lock(&mutex);
    struct hx_waitq *queue = task->waiting_on;
    if (task->state == HX_TASK_BLOCKED && task->wait_ring.next) {
        take_out(task);
        wake(task, HX_E_KILLED);
    } else if (queue && task->state == HX_TASK_READY && hx_handover_is_done(task)) {
        task->place = (char *)task->place - 1;
        task->state = HX_TASK_BLOCKED; /* it stays where it is meanwhile */
        pthread_mutex_unlock(&mutex);
        if (!__atomic_load_n(&take_back, __ATOMIC_ACQUIRE)(queue, task->place))
            abort();
        pthread_mutex_lock(&mutex);
        wake(task, HX_E_KILLED);
    }
    pthread_mutex_unlock(&mutex);
}

void race_is_mortal(jmp_buf *life)
{
    THREAD_OF(hx_task_current())->life = life;
}

/* It stands on no queue, and has been killed outside of every module. */
static _Noreturn void end(struct thread *thread)
{
    name(thread);
    longjmp(*thread->life, 1);
}

hx_status_t hx_handover_result(const struct hx_task *task)
{
    if (hx_handover_is_done(task))
        return HX_OK;
    return task->wait_result == HX_OK ? HX_E_EMPTY : task->wait_result;
}

hx_status_t hx_handover_wait_slowly(struct hx_waitq *queue, struct hx_lock *lock, void *place, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    pthread_mutex_lock(&mutex);
    task->place = place;
    task->state = HX_TASK_BLOCKED;
    task->waiting_on = queue;
    insert(queue, task);
    hx_lock_release(lock, 0);
    stop(task, deadline_ns);
    task->waiting_on = NULL;
    hx_status_t err = hx_handover_result(task);
    pthread_mutex_unlock(&mutex);
    return err;
}

hx_status_t hx_waitq_wait(struct hx_waitq *queue, bool (*condition)(void *context), void *context, uint64_t deadline_ns)
{
    struct hx_task *task = hx_task_current();
    hx_status_t err = HX_OK;
    for (;;) {
        pthread_mutex_lock(&mutex);
        task->state = HX_TASK_BLOCKED;
        insert(queue, task);
        pthread_mutex_unlock(&mutex);
        bool is = condition(context);
        pthread_mutex_lock(&mutex);
        if (is && task->wait_ring.next)
            take_out(task);
        else
            stop(task, is ? UINT64_MAX : deadline_ns);
        err = is ? HX_OK : task->wait_result;
        pthread_mutex_unlock(&mutex);
        if (err == HX_E_KILLED && THREAD_OF(task)->life)
            end(THREAD_OF(task));
        if (is || err != HX_OK)
            return err;
    }
}

uint32_t hx_waitq_wake_one(struct hx_waitq *queue)
{
    pthread_mutex_lock(&mutex);
    struct hx_task *task = take_first(queue);
    if (task)
        wake(task, HX_OK);
    pthread_mutex_unlock(&mutex);
    return task != NULL;
}

uint32_t hx_waitq_wake_all(struct hx_waitq *queue)
{
    uint32_t woken = 0;
    struct hx_task *task;
    pthread_mutex_lock(&mutex);
    for (; (task = take_first(queue)); woken++)
        wake(task, HX_OK);
    pthread_mutex_unlock(&mutex);
    return woken;
}

uint32_t hx_waitq_count(struct hx_waitq *queue)
{
    uint32_t count = 0;
    pthread_mutex_lock(&mutex);
    for (const struct hx_task_ring *at = queue->waiters.next; at != &queue->waiters; at = at->next)
        count++;
    pthread_mutex_unlock(&mutex);
    return count;
}

/* A little: nobody asks how long. */
hx_status_t hx_task_sleep_until(uint64_t deadline_ns)
{
    (void)deadline_ns;
    sched_yield();
    return HX_OK;
}
