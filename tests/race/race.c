/* SPDX-License-Identifier: MIT */
/*
 * race.c - channels, handles and topics under real threads and ThreadSanitizer: the kernel's own files, and below them a task
 * layer in which a task is a thread. Speaks TAP; a race that is found ends the program with an error.
 *
 * A thread has a CPU of its own: GS base is set as tests/host does. What the seam owes channels beside that is memory and a
 * clock.
 */
#include <asm/prctl.h>
#include <ipc/channel.h>
#include <ipc/event_bus.h>
#include <ipc/grant.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <task/handover.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 8,
    MESSAGES = 50000,
    SENDERS = 2,
    RECEIVERS = 2,
    LEVELS = 4,
    CLOSINGS = 300,
    CLONINGS = 2000,
    TOPICS = 20000
};

/* ---- the machine ----------------------------------------------------------------------------------------------------- */
struct hx_cpu hx_cpu;

static struct thread {
    struct hx_cpu cpu;
    struct hx_task task;
    pthread_cond_t woken;
    pthread_t thread;
    void (*body)(uint32_t number);
    uint32_t number;
} threads[THREADS_MAX + 1]; /* the last: main */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t allocations;

hx_irq_flags_t hx_irq_save(void)
{
    return 0;
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
hx_status_t hx_grant_take(hx_handle_t grant, const struct hx_holder *owner, uint32_t permissions, struct hx_grant **out)
{
    (void)grant, (void)owner, (void)permissions, (void)out;
    return HX_E_STALE;
}
hx_status_t hx_grant_accept(struct hx_grant *grant, struct hx_holder *owner, struct hx_message_memory *out)
{
    (void)grant, (void)owner, (void)out;
    return HX_E_STALE;
}
void hx_grant_drop(struct hx_grant *grant)
{
    (void)grant;
}

static void enter(struct thread *thread)
{
    thread->cpu.self = &thread->cpu;
    thread->cpu.current = &thread->task;
    thread->task.handle = hx_handle_make(HX_HANDLE_TASK, 1, (uint32_t)(thread - threads) + 1);
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, (uintptr_t)&thread->cpu - (uintptr_t)&hx_cpu) != 0)
        abort();
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    enter(thread);
    thread->body(thread->number);
    return NULL;
}

static void start(uint32_t at, void (*body)(uint32_t), uint32_t number)
{
    threads[at].body = body;
    threads[at].number = number;
    pthread_cond_init(&threads[at].woken, NULL);
    if (pthread_create(&threads[at].thread, NULL, run, &threads[at]) != 0)
        abort();
}

static void join(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
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

/* Ends the wait of @task, if it waits for something to be handed over, or has been handed it and has not seen it. */
static void kill(struct hx_task *task)
{
    pthread_mutex_lock(&mutex);
    struct hx_waitq *queue = task->waiting_on;
    if (queue && task->state == HX_TASK_BLOCKED && task->wait_ring.next) {
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
        if (is || err != HX_OK)
            return err;
    }
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

/* ---- the trials ------------------------------------------------------------------------------------------------------ */
static struct hx_holder holder = { .self = 1, .name = "race" };
static struct hx_channel_ends ends;
static uint32_t complaints;
static uint8_t seen[SENDERS][MESSAGES]; /* atomic */
static uint64_t sent, received;

static void complain(const char *what, uint64_t got, uint64_t wanted)
{
    __atomic_add_fetch(&complaints, 1, __ATOMIC_RELAXED);
    printf("# %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

static void expect(const char *what, uint64_t got, uint64_t wanted)
{
    if (got != wanted)
        complain(what, got, wanted);
}

static uint64_t checksum(const struct hx_message *message)
{
    return (message->code + 1) * 0x9e3779b97f4a7c15u ^ message->correlation << 8 ^ message->priority;
}

static struct hx_message make(uint32_t sender, uint32_t number)
{
    struct hx_message message = { .type = HX_MESSAGE_NOTIFICATION,
                                  .code = number,
                                  .correlation = sender,
                                  .priority = (uint8_t)((number * 2654435761u >> 13) % LEVELS * 60),
                                  .payload = HX_PAYLOAD_INLINE,
                                  .bytes = 8 };
    uint64_t sum = checksum(&message);
    memcpy(message.data, &sum, sizeof(sum));
    return message;
}

static void sender(uint32_t number)
{
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct hx_message message = make(number, i);
        hx_status_t err;
        do /* in all ways there are */
            err = hx_ipc_send(ends.end[0], &holder, &message,
                              i % 3 == 0   ? HX_WAIT_NOT
                              : i % 3 == 1 ? UINT64_MAX
                                           : hx_hal_clock_ns() + 20000);
        while (err == HX_E_FULL || err == HX_E_TIMEOUT);
        expect("sent", (uint64_t)(uint32_t)err, HX_OK);
    }
}

/* What it has seen last of each sender, by priority. */
struct order {
    int64_t last[SENDERS][LEVELS];
};

static void note(struct order *order, const struct hx_message *message)
{
    uint64_t sum;
    memcpy(&sum, message->data, sizeof(sum));
    if (message->correlation >= SENDERS || message->code >= MESSAGES || sum != checksum(message)) {
        complain("a damaged message", message->code, 0);
        return;
    }
    int64_t *last = &order->last[message->correlation][message->priority / 60];
    if ((int64_t)message->code <= *last)
        complain("out of order", message->code, (uint64_t)*last);
    *last = message->code;
    if (__atomic_exchange_n(&seen[message->correlation][message->code], 1, __ATOMIC_RELAXED))
        complain("doubled", message->code, 0);
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static void receiver(uint32_t number)
{
    struct order order;
    struct hx_message message;
    uint64_t turn = 0;
    memset(&order, 0xff, sizeof(order));
    for (;; turn++) {
        if (turn % 16 == number && hx_ipc_select(&ends.end[1], 1, &holder, UINT64_MAX) != 0)
            complain("select", 0, 0);
        hx_status_t err = hx_ipc_receive(ends.end[1], &holder, &message,
                                         turn % 3 == 0   ? HX_WAIT_NOT
                                         : turn % 3 == 1 ? UINT64_MAX
                                                         : hx_hal_clock_ns() + 20000);
        if (err == HX_OK)
            note(&order, &message);
        else if (err == HX_E_CLOSED)
            return;
        else if (err != HX_E_EMPTY && err != HX_E_TIMEOUT)
            complain("received", (uint64_t)-err, HX_OK);
        if (hx_ipc_count(ends.end[1], &holder) > 16)
            complain("more than fits", 17, 16);
    }
}

static void trial_all_arrive(void)
{
    expect("created", (uint64_t)hx_ipc_create(16, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        start(SENDERS + i, receiver, i);
    for (uint32_t i = 0; i < SENDERS; i++)
        start(i, sender, i);
    join(SENDERS);
    (void)!hx_ipc_close(ends.end[0], &holder);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        pthread_join(threads[SENDERS + i].thread, NULL);
    expect("received", received, SENDERS * MESSAGES);
    hx_handle_close_all(&holder);
}

/* Who receives is killed again and again, often when a message has just been handed to him; he is his own successor. */
static bool all_sent; /* atomic */
static uint64_t killed;

static void mortal(uint32_t number)
{
    struct hx_message message;
    (void)number;
    for (;;) {
        hx_status_t err = hx_ipc_receive(ends.end[1], &holder, &message, UINT64_MAX);
        if (err == HX_E_CLOSED)
            return;
        if (err == HX_E_KILLED)
            __atomic_add_fetch(&killed, 1, __ATOMIC_RELAXED);
        else if (err != HX_OK || message.correlation >= SENDERS || message.code >= MESSAGES)
            complain("received", (uint64_t)-err, HX_OK);
        else if (__atomic_exchange_n(&seen[message.correlation][message.code], 1, __ATOMIC_RELAXED))
            complain("doubled", message.code, 0);
        else
            __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
    }
}

static void killer(uint32_t number)
{
    for (uint32_t i = 0; !__atomic_load_n(&all_sent, __ATOMIC_ACQUIRE); i++) {
        kill(&threads[SENDERS + i % number].task);
        sched_yield();
    }
}

static void trial_killing(void)
{
    enum { MORTALS = 3 };
    received = killed = 0;
    memset(seen, 0, sizeof(seen));
    expect("created", (uint64_t)hx_ipc_create(2, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < MORTALS; i++)
        start(SENDERS + i, mortal, i);
    start(SENDERS + MORTALS, killer, MORTALS);
    for (uint32_t i = 0; i < SENDERS; i++)
        start(i, sender, i);
    join(SENDERS);
    __atomic_store_n(&all_sent, true, __ATOMIC_RELEASE);
    pthread_join(threads[SENDERS + MORTALS].thread, NULL);
    (void)!hx_ipc_close(ends.end[0], &holder);
    for (uint32_t i = 0; i < MORTALS; i++)
        pthread_join(threads[SENDERS + i].thread, NULL);
    expect("received", received, SENDERS * MESSAGES);
    expect("killed at least once", killed > 0, 1);
    hx_handle_close_all(&holder);
}

/* Whatever was sent before somebody closed is received. */
static void hasty_sender(uint32_t number)
{
    struct hx_message message = make(number, 1);
    while (hx_ipc_send(ends.end[0], &holder, &message, UINT64_MAX) == HX_OK)
        __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
}

static void hasty_receiver(uint32_t number)
{
    struct hx_message message;
    (void)number;
    while (hx_ipc_receive(ends.end[1], &holder, &message, UINT64_MAX) == HX_OK)
        __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static void closer(uint32_t number)
{
    struct hx_message message = make(0, 0);
    for (uint32_t i = 0; i < number % 40; i++) {
        if (hx_ipc_send(ends.end[0], &holder, &message, HX_WAIT_NOT) == HX_OK)
            __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
        sched_yield();
    }
    if (number % 2)
        (void)!hx_ipc_close(ends.end[number / 2 % 2], &holder);
    else
        (void)!hx_handle_close(ends.end[0], &holder);
    if (number % 4 == 0) /* nothing of it is left, and somebody uses it */
        (void)!hx_handle_close(ends.end[1], &holder);
}

static void trial_closing(void)
{
    for (uint32_t i = 0; i < CLOSINGS; i++) {
        sent = received = 0;
        expect("created", (uint64_t)hx_ipc_create(1 + i % 5, &holder, &ends), HX_OK);
        start(0, hasty_sender, 0);
        start(1, hasty_sender, 1);
        start(2, hasty_receiver, 0);
        start(3, hasty_receiver, 1);
        start(4, closer, i);
        join(5);
        if (i % 4)
            expect("received before it was closed", received, sent);
        hx_handle_close_all(&holder);
    }
}

/* Handles of one end come and go, and travel, while messages are sent through them. */
static void cloner(uint32_t number)
{
    struct hx_holder mine = { .self = number, .name = "cloner" };
    struct hx_message message = make(0, number);
    for (uint32_t i = 0; i < CLONINGS; i++) {
        hx_handle_t clone = HX_HANDLE_NONE;
        if (hx_ipc_clone(ends.end[0], &holder, HX_RIGHT_ALL, &mine, &clone) != HX_OK)
            complain("not cloned", i, 0);
        message.payload = i % 4 ? HX_PAYLOAD_NONE : HX_PAYLOAD_CAPABILITY;
        message.bytes = 0;
        message.capability = clone;
        if (hx_ipc_send(clone, &mine, &message, UINT64_MAX) == HX_OK)
            __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
        else
            complain("not sent", i, 0);
        hx_status_t err = hx_handle_close(clone, &mine);
        if (err != (i % 4 ? HX_OK : HX_E_STALE))
            complain("closed", (uint64_t)-err, 0);
    }
}

static void collector(uint32_t number)
{
    struct hx_holder mine = { .self = number, .name = "collector" };
    struct hx_message message;
    hx_handle_t end = HX_HANDLE_NONE;
    if (hx_ipc_clone(ends.end[1], &holder, HX_RIGHT_ALL, &mine, &end) != HX_OK)
        complain("not cloned", number, 0);
    while (hx_ipc_receive(end, &mine, &message, UINT64_MAX) == HX_OK) {
        __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
        if (message.payload == HX_PAYLOAD_CAPABILITY && hx_handle_close(message.capability, &mine) != HX_OK)
            complain("no handle came along", 0, 0);
    }
    (void)!hx_handle_close(end, &mine);
}

static void describer(uint32_t number)
{
    struct hx_channel_info info;
    for (uint32_t i = 0; i < 1000; i++)
        for (uint32_t from = number; hx_channel_describe(from, &info); from = info.number + 1)
            if (info.queued[0] > info.capacity || info.queued[1] > info.capacity)
                complain("more than fits", info.queued[1], info.capacity);
}

static void trial_cloning(void)
{
    sent = received = 0;
    expect("created", (uint64_t)hx_ipc_create(8, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < 3; i++)
        start(i, cloner, i + 1);
    start(3, describer, 1);
    start(4, collector, 1);
    start(5, collector, 2);
    join(4);
    (void)!hx_ipc_close(ends.end[0], &holder);
    pthread_join(threads[4].thread, NULL);
    pthread_join(threads[5].thread, NULL);
    expect("received", received, sent);
    hx_handle_close_all(&holder);
}

/* A subscription goes from topic to topic, the last of which has just gone, while somebody looks for events. */
static struct hx_subscription subscription = { .filter.types = HX_EVENTS_ALL };

static void onlooker(uint32_t number)
{
    struct hx_event event;
    uint64_t topic = 0, last = 0;
    (void)number;
    while (topic < TOPICS) {
        if (!hx_event_next(&subscription, &event))
            continue;
        if (event.words[0] < topic || (event.words[0] == topic && event.words[1] <= last))
            complain("an old event", event.words[1], last);
        topic = event.words[0];
        last = event.words[1];
    }
}

static void changer(uint32_t number)
{
    struct hx_topic *topic = NULL, *before = NULL;
    (void)number;
    for (uint64_t i = 1; i <= TOPICS; i++, before = topic) {
        expect("a topic", (uint64_t)hx_topic_create(i % 2 ? "one" : "two", &holder, &topic), HX_OK);
        hx_topic_destroy(before);
        hx_event_unsubscribe(&subscription);
        hx_event_subscribe(topic, &subscription, true);
        for (uint64_t j = 1; j < 8; j++) {
            struct hx_event event = { .type = HX_EVENT_CUSTOM, .words = { i, j } };
            hx_event_publish(topic, &holder, &event);
        }
    }
    hx_topic_destroy(topic);
}

static void trial_topics(void)
{
    start(0, onlooker, 0);
    start(1, changer, 0);
    join(2);
    hx_event_unsubscribe(&subscription);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } trials[] = {
        { "two senders and two receivers: none lost, doubled or out of order within its priority", trial_all_arrive },
        { "what is handed to one who is killed before he sees it is received by another", trial_killing },
        { "what was sent before a channel was closed is received", trial_closing },
        { "handles are cloned, given away and closed while messages go through them", trial_cloning },
        { "a subscription changes its topic while somebody looks for events", trial_topics },
    };
    bool failed = false;
    enter(&threads[THREADS_MAX]);
    printf("1..%zu\n", HX_ARRAY_SIZE(trials));
    for (size_t i = 0; i < HX_ARRAY_SIZE(trials); i++) {
        complaints = 0;
        trials[i].run();
        expect("objects left", allocations, 0);
        expect("handles left", hx_handle_next(0) != NULL, 0);
        printf("%sok %zu - %s\n", complaints ? "not " : "", i + 1, trials[i].name);
        fflush(stdout);
        failed = failed || complaints;
    }
    return failed;
}
