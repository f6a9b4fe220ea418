/* SPDX-License-Identifier: MIT */
/*
 * messages.c - see messages.h.
 *
 * Producers ask the relay, one request after the other, and keep which numbers ended in an error; the relay sends what it was
 * asked with into a channel, from which consumers receive; the driver swaps the relay after so many requests, while others
 * go on. When it has crashed the worker restarts it, and what is queued stays; or, with restart=off and where it has crashed too
 * often, the driver loads it anew, and what is queued is received from a channel that is closed. Nobody asks twice. What must
 * hold: what was answered has been received, once; what was received twice had an error; the relay's state has gone through all
 * swaps; and each consumer receives a producer's numbers of one priority in their order.
 */
#include "messages.h"

#include "trial.h"

#include <hal/hx_hal.h>
#include <hotreload/engine.h>
#include <hotreload/history.h>
#include <hotreload/probation.h>
#include <interrupts/exception.h>
#include <ipc/channel.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <orchestrator/declared.h>
#include <string.h>

enum {
    COUNT = 50000,
    COUNT_MAX = 2000000,
    SWAP_EVERY = 1000,
    PRODUCERS = 2,
    CONSUMERS = 2,
    EACH_MAX = COUNT_MAX / PRODUCERS,
    WORDS = HX_INLINE_MAX / 8,
    LATE_ONE_OF = 8,
    TELL_EVERY = 100,   /* swaps */
    REFUSALS_MAX = 100, /* of swaps, one after the other */
    MOMENT_NS = 1000000,
};
static const uint64_t patience_ns = 120000000000u; /* of a machine whose CPUs are not always run */
static const uint64_t answer_ns = 60000000000u;
static const uint64_t probation_ns = 3600000000000u;

/* The relay's codes, as tests/fixtures/modules/relay_fixture.h has them. */
enum { RELAY_NOW, RELAY_LATER, RELAY_CRASH_BEFORE, RELAY_CRASH_AFTER, RELAY_COUNT };
static const char relay_name[] = "svc_relay";
static const struct hx_trial_scheduler relays[] = { { "1", "svc_relay.hxm" }, { "2", "svc_relay_2.hxm" } };

/* Of a message; a consumer keeps the order within each. */
static const uint8_t priorities[] = { HX_PRIORITY_NORMAL, 32, 255 };
enum { PRIORITIES = HX_ARRAY_SIZE(priorities) };

typedef uint64_t number_set[EACH_MAX / 64 + 1];

struct producer {
    uint64_t sent, ok, late, faults, timeouts, gone, refused, wrong_replies, crashes;
    number_set failed;
} __attribute__((aligned(64)));

struct consumer {
    uint64_t received, doubled, out_of_order, wrong_checksums;
    uint64_t last[PRODUCERS][PRIORITIES];
    uint32_t lingered; /* in this swap */
} __attribute__((aligned(64)));

static struct {
    struct hx_trial trial;
    uint64_t each, swap_every, crash_every;
    uint64_t ended;                /* a: requests */
    uint32_t producing, consuming; /* a: tasks */
    uint32_t life;                 /* a: of the relay, which has another channel in each */
    uint32_t restarts, reloads, refusals, refusals_together, complaints;
    uint64_t seen;       /* of the history's entries */
    bool over, trouble;  /* a */
    bool calm, swapping; /* a: wanted by one who makes it crash; the driver's */
    struct hx_waitq room, driver;
    struct producer producer[PRODUCERS];
    struct consumer consumer[CONSUMERS];
    number_set received[PRODUCERS], doubled[PRODUCERS]; /* a */
} messages;

/* ---- output ---------------------------------------------------------------------------------------------------------- */
static void expect_equal(const char *what, uint64_t got, uint64_t wanted)
{
    if (got == wanted)
        return;
    messages.complaints++;
    hx_trial_print("messages: %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

static bool is_over(void)
{
    return __atomic_load_n(&messages.over, __ATOMIC_SEQ_CST);
}

static uint64_t ended(void)
{
    return __atomic_load_n(&messages.ended, __ATOMIC_SEQ_CST);
}

/* ---- sets of numbers -------------------------------------------------------------------------------------------------- */
/* Whether @number was there already. */
static bool put(uint64_t *set, uint64_t number)
{
    uint64_t bit = UINT64_C(1) << number % 64;
    return __atomic_fetch_or(&set[number / 64], bit, __ATOMIC_RELAXED) & bit;
}

static bool has(const uint64_t *set, uint64_t number)
{
    return set[number / 64] >> number % 64 & 1u;
}

/* ---- a message -------------------------------------------------------------------------------------------------------- */
static uint64_t *words_of(struct hx_message *message)
{
    return (uint64_t *)(void *)message->data;
}

static uint64_t checksum(struct hx_message *message)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < WORDS - 1; i++)
        sum = (sum ^ words_of(message)[i]) * 0x9e3779b97f4a7c15u;
    return sum;
}

static uint32_t priority_of(uint64_t number)
{
    return (uint32_t)(number / 3 % PRIORITIES);
}

static void write_message(struct hx_message *message, uint64_t producer, uint64_t number, uint32_t code)
{
    uint64_t *words = words_of(message);
    *message = (struct hx_message){
        .code = code, .priority = priorities[priority_of(number)], .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX
    };
    words[0] = producer;
    words[1] = number;
    for (uint32_t i = 2; i < WORDS - 1; i++)
        words[i] = (number << 3 | i) * 0xbf58476d1ce4e5b9u ^ producer;
    words[WORDS - 1] = checksum(message);
}

/* ---- producers -------------------------------------------------------------------------------------------------------- */
static bool has_room(void *context)
{
    (void)context;
    return is_over() || ended() < (__atomic_load_n(&messages.trial.swaps, __ATOMIC_SEQ_CST) + 2) * messages.swap_every;
}

static void tell_driver(bool trouble)
{
    if (trouble)
        __atomic_store_n(&messages.trouble, true, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&messages.driver);
}

/* Whether @me is to have the relay crash by this number; one that came to nothing is made up for. A little sooner or later, so
 * that it comes at any time between two swaps. */
static bool is_crash_due(uint64_t me, uint64_t number)
{
    uint64_t crashes = messages.producer[me].crashes, every = messages.crash_every;
    return every && number + (crashes * 7919 + me * every / PRODUCERS) % every >= (crashes + 1) * every;
}

/* Before it is sent on, and afterwards, in turn. */
static uint32_t code_of(uint64_t me, uint64_t number)
{
    if (is_crash_due(me, number))
        return messages.producer[me].crashes % 2 ? RELAY_CRASH_AFTER : RELAY_CRASH_BEFORE;
    return number % LATE_ONE_OF ? RELAY_NOW : RELAY_LATER;
}

static void judge_reply(struct producer *producer, struct hx_message *reply, uint64_t me, uint64_t number,
                        uint32_t code)
{
    if (reply->type == HX_MESSAGE_ERROR) {
        producer->refused++;
        (void)put(producer->failed, number);
        return;
    }
    producer->ok++;
    producer->late += code == RELAY_LATER;
    producer->wrong_replies +=
        reply->type != HX_MESSAGE_REPLY || words_of(reply)[0] != me || words_of(reply)[1] != number;
}

static void judge_error(struct producer *producer, uint64_t number, uint32_t code, hx_status_t err)
{
    (void)put(producer->failed, number);
    switch (err) {
    case HX_E_FAULT:
        producer->faults++;
        producer->crashes += code >= RELAY_CRASH_BEFORE;
        break;
    case HX_E_TIMEOUT: producer->timeouts++; break;
    default: producer->gone++; break;
    }
}

/* HX_HANDLE_NONE: it is over. */
static hx_handle_t find_relay(void)
{
    hx_handle_t relay = hx_router_find("relay");
    for (; relay == HX_HANDLE_NONE && !is_over(); relay = hx_router_find("relay"))
        hx_trial_sleep(MOMENT_NS);
    return relay;
}

/* Every other crash comes while nothing is swapped; else hardly any would. */
static void await_calm(uint64_t me)
{
    if ((messages.producer[me].crashes / 2 + me) % 2)
        return;
    __atomic_store_n(&messages.calm, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&messages.swapping, __ATOMIC_SEQ_CST) && !is_over())
        hx_trial_sleep(MOMENT_NS / 10);
}

static void send_one(uint64_t me, uint64_t number)
{
    struct producer *producer = &messages.producer[me];
    struct hx_message message;
    uint32_t code = code_of(me, number);
    hx_handle_t relay = find_relay();
    write_message(&message, me, number, code);
    producer->sent++;
    if (code >= RELAY_CRASH_BEFORE)
        await_calm(me);
    hx_status_t err = hx_router_request(relay, &hx_kernel_holder, &message, hx_hal_clock_ns() + answer_ns);
    if (err == HX_OK)
        judge_reply(producer, &message, me, number, code);
    else
        judge_error(producer, number, code, err);
    if (code >= RELAY_CRASH_BEFORE)
        __atomic_store_n(&messages.calm, false, __ATOMIC_SEQ_CST);
    uint64_t now_ended = __atomic_add_fetch(&messages.ended, 1, __ATOMIC_SEQ_CST);
    if (err != HX_OK || now_ended % messages.swap_every == 0)
        tell_driver(err != HX_OK);
    if (err != HX_OK && err != HX_E_FAULT)
        hx_trial_sleep(MOMENT_NS); /* it is in Error: not all that there is to send is sent to it */
}

static hx_status_t produce(void *argument)
{
    uint64_t me = (uint64_t)(uintptr_t)argument;
    for (uint64_t number = 1; number <= messages.each && !is_over(); number++) {
        hx_status_t err = hx_waitq_wait(&messages.room, has_room, NULL, UINT64_MAX);
        if (err != HX_OK)
            return err;
        send_one(me, number);
    }
    __atomic_sub_fetch(&messages.producing, 1, __ATOMIC_SEQ_CST);
    tell_driver(false);
    return HX_OK;
}

/* ---- consumers -------------------------------------------------------------------------------------------------------- */
static void judge_message(struct consumer *consumer, struct hx_message *message)
{
    const uint64_t *words = words_of(message);
    uint64_t producer = words[0], number = words[1];
    consumer->received++;
    if (message->payload != HX_PAYLOAD_INLINE || message->bytes != HX_INLINE_MAX ||
        checksum(message) != words[WORDS - 1] || producer >= PRODUCERS || number == 0 || number > messages.each ||
        message->priority != priorities[priority_of(number)]) {
        consumer->wrong_checksums++;
        return;
    }
    if (put(messages.received[producer], number)) {
        consumer->doubled++;
        (void)put(messages.doubled[producer], number);
    }
    uint64_t *last = &consumer->last[producer][priority_of(number)];
    consumer->out_of_order += number <= *last;
    *last = number;
}

/* To the channel of the relay's life now. False: it is over, and there is none. */
static bool connect(hx_handle_t *end, uint32_t *life)
{
    for (;;) {
        *life = __atomic_load_n(&messages.life, __ATOMIC_SEQ_CST);
        if (hx_declared_connect("svc_relay/out", &hx_kernel_holder, end) == HX_OK)
            return true;
        if (is_over())
            return false;
        hx_trial_sleep(MOMENT_NS);
    }
}

/* Every other swap finds the channel full, and who waits for room. */
static void linger(struct consumer *consumer)
{
    uint32_t swaps = __atomic_load_n(&messages.trial.swaps, __ATOMIC_SEQ_CST);
    if (swaps % 2 == 0 || swaps == consumer->lingered || !__atomic_load_n(&messages.swapping, __ATOMIC_SEQ_CST))
        return;
    consumer->lingered = swaps;
    hx_trial_sleep(2 * MOMENT_NS);
}

/* All that comes until it is closed. One waits for ever, the other never for long. */
static hx_status_t receive_all(uint64_t me, hx_handle_t end)
{
    struct hx_message message;
    hx_status_t err = HX_OK;
    while (err == HX_OK || err == HX_E_TIMEOUT) {
        err = hx_ipc_receive(end, &hx_kernel_holder, &message, me ? hx_hal_clock_ns() + MOMENT_NS : UINT64_MAX);
        if (err != HX_OK)
            continue;
        judge_message(&messages.consumer[me], &message);
        linger(&messages.consumer[me]);
    }
    return err;
}

static hx_status_t consume(void *argument)
{
    uint64_t me = (uint64_t)(uintptr_t)argument;
    hx_handle_t end = HX_HANDLE_NONE;
    uint32_t life = 0;
    bool last = false;
    while (!last && connect(&end, &life)) {
        hx_status_t err = receive_all(me, end);
        if (err != HX_E_CLOSED)
            expect_equal(hx_err_text(err), 1, 0);
        last = err != HX_E_CLOSED || (is_over() && life == __atomic_load_n(&messages.life, __ATOMIC_SEQ_CST));
        (void)!hx_handle_close(end, &hx_kernel_holder);
    }
    __atomic_sub_fetch(&messages.consuming, 1, __ATOMIC_SEQ_CST);
    tell_driver(false);
    return HX_OK;
}

/* ---- the driver ------------------------------------------------------------------------------------------------------- */
/* HX_MODULE_UNLOADING: it is not there; HX_MODULE_STOPPING: it has faulted, and what comes of it is being decided. */
static enum hx_module_state state_of_relay(void)
{
    hx_preempt_disable();
    const struct hx_module *relay = hx_module_find(relay_name);
    enum hx_module_state state = !relay ? HX_MODULE_UNLOADING : relay->faulted ? HX_MODULE_STOPPING : relay->state;
    hx_preempt_enable();
    return state;
}

/* What was refused can be tried again, for some time. */
static void refused(const char *what)
{
    messages.refusals++;
    if (++messages.refusals_together < REFUSALS_MAX)
        return;
    expect_equal(what, messages.refusals_together, 0);
    __atomic_store_n(&messages.over, true, __ATOMIC_SEQ_CST);
}

static const struct hx_trial_scheduler *next_relay(void)
{
    return &relays[(messages.trial.swaps + 1) % HX_ARRAY_SIZE(relays)];
}

static hx_status_t unload_relay(void)
{
    static struct hx_job job;
    job = (struct hx_job){ .kind = HX_JOB_UNLOAD, .who = "messages", .by = &hx_kernel_principal };
    memcpy(job.module, relay_name, sizeof(relay_name));
    hx_status_t err = hx_engine_run(&job);
    if (err != HX_OK)
        refused("unloads refused together");
    return err;
}

static hx_status_t load_relay(void)
{
    static struct hx_job job;
    job = (struct hx_job){ .kind = HX_JOB_LOAD, .params = "", .who = "messages", .by = &hx_kernel_principal };
    hx_status_t err = hx_pack_find(messages.trial.pack, next_relay()->file, &job.file);
    if (err == HX_OK)
        err = hx_engine_run(&job);
    if (err != HX_OK)
        refused("loads refused together");
    return err;
}

/* Those that the worker has decided on by itself. */
static void count_restarts(void)
{
    hx_preempt_disable();
    while (state_of_relay() == HX_MODULE_RUNNING && messages.seen < hx_history_last()) {
        const struct hx_swap_record *entry = hx_history_get(++messages.seen);
        messages.restarts += entry && entry->outcome == HX_SWAP_RESTARTED;
    }
    hx_preempt_enable();
}

/* It is in Error, where nobody restarts it, or gone already. */
static void reload_relay(enum hx_module_state state)
{
    if (state == HX_MODULE_ERROR && unload_relay() != HX_OK)
        return;
    if (state == HX_MODULE_ERROR)
        __atomic_add_fetch(&messages.life, 1, __ATOMIC_SEQ_CST);
    if (load_relay() != HX_OK)
        return;
    messages.reloads++;
    messages.refusals_together = 0;
}

/* Three of four crashes come on probation, when the predecessor comes back by itself. */
static void swap_relay(void)
{
    hx_probation_set_length_ns(messages.crash_every && hx_exception_unwound() % 4 ? probation_ns : 0);
    if (hx_trial_swap(&messages.trial, next_relay()) != HX_OK) {
        refused("swaps refused together");
        hx_trial_sleep(MOMENT_NS);
        return;
    }
    messages.refusals_together = 0;
    hx_waitq_wake_all(&messages.room);
    if (messages.trial.swaps % TELL_EVERY == 0)
        hx_trial_print("# %u swaps, %u restarts, %u reloads, %llu requests\n", messages.trial.swaps, messages.restarts,
                       messages.reloads, (unsigned long long)ended());
}

static bool is_swap_due(void)
{
    return !__atomic_load_n(&messages.calm, __ATOMIC_SEQ_CST) &&
           ended() >= (messages.trial.swaps + 1) * messages.swap_every;
}

static bool has_work(void *context)
{
    (void)context;
    return __atomic_load_n(&messages.trouble, __ATOMIC_SEQ_CST) || is_swap_due() ||
           __atomic_load_n(&messages.producing, __ATOMIC_SEQ_CST) == 0;
}

static void drive_once(void)
{
    enum hx_module_state state = state_of_relay();
    __atomic_store_n(&messages.swapping, true, __ATOMIC_SEQ_CST);
    if (state == HX_MODULE_ERROR || state == HX_MODULE_UNLOADING)
        reload_relay(state);
    else if (state == HX_MODULE_RUNNING && is_swap_due())
        swap_relay();
    count_restarts();
    __atomic_store_n(&messages.swapping, false, __ATOMIC_SEQ_CST);
    if (state != HX_MODULE_RUNNING || !is_swap_due())
        hx_trial_sleep(MOMENT_NS / 10);
}

static void drive(void)
{
    uint64_t before = 0, since_ns = hx_hal_clock_ns();
    while (__atomic_load_n(&messages.producing, __ATOMIC_SEQ_CST) > 0 && !is_over()) {
        (void)!hx_waitq_wait(&messages.driver, has_work, NULL, hx_hal_clock_ns() + 20 * MOMENT_NS);
        __atomic_store_n(&messages.trouble, false, __ATOMIC_SEQ_CST);
        drive_once();
        if (ended() != before) {
            before = ended();
            since_ns = hx_hal_clock_ns();
        } else if (hx_hal_clock_ns() - since_ns > patience_ns) {
            expect_equal("requests since the driver's patience began", 0, 1);
            return;
        }
    }
}

static bool none_produces(void *context)
{
    (void)context;
    return __atomic_load_n(&messages.producing, __ATOMIC_SEQ_CST) == 0;
}

static bool none_consumes(void *context)
{
    (void)context;
    return __atomic_load_n(&messages.consuming, __ATOMIC_SEQ_CST) == 0;
}

/* What is queued is received after the closing. */
static void end(void)
{
    hx_handle_t channel = HX_HANDLE_NONE;
    while (state_of_relay() != HX_MODULE_RUNNING && !is_over())
        drive_once();
    __atomic_store_n(&messages.over, true, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&messages.room);
    if (hx_waitq_wait(&messages.driver, none_produces, NULL, hx_hal_clock_ns() + patience_ns) != HX_OK)
        expect_equal("producers that do not end", messages.producing, 0);
    struct hx_module *relay = hx_module_find(relay_name);
    if (relay && hx_declared_channel(relay, "out", &channel) == HX_OK) /* who connects may not close it */
        (void)!hx_ipc_close(channel, &relay->holder);
    if (hx_waitq_wait(&messages.driver, none_consumes, NULL, hx_hal_clock_ns() + patience_ns) != HX_OK)
        expect_equal("consumers that do not end", messages.consuming, 0);
}

static hx_status_t start(const char *name, hx_status_t (*body)(void *), uint64_t argument, uint32_t *running)
{
    hx_handle_t task = HX_HANDLE_NONE;
    __atomic_add_fetch(running, 1, __ATOMIC_SEQ_CST);
    hx_status_t err = hx_task_create(HX_TASK_POLICY, name, 128, body, (void *)(uintptr_t)argument, &task);
    if (err != HX_OK)
        __atomic_sub_fetch(running, 1, __ATOMIC_SEQ_CST);
    return err;
}

static hx_status_t start_all(void)
{
    hx_status_t err = HX_OK;
    for (uint64_t i = 0; err == HX_OK && i < CONSUMERS; i++)
        err = start("consumer", consume, i, &messages.consuming);
    for (uint64_t i = 0; err == HX_OK && i < PRODUCERS; i++)
        err = start("producer", produce, i, &messages.producing);
    return err;
}

/* ---- the verdict ------------------------------------------------------------------------------------------------------ */
struct verdict {
    struct producer sum; /* its set is not used */
    uint64_t received, doubled, out_of_order, wrong_checksums;
    uint64_t lost, doubled_silently, unsure;
};

static void count_numbers(struct verdict *verdict, uint32_t i)
{
    const struct producer *producer = &messages.producer[i];
    for (uint64_t number = 1; number <= producer->sent; number++) {
        bool failed = has(producer->failed, number), received = has(messages.received[i], number);
        verdict->lost += !failed && !received;
        verdict->unsure += failed && received;
        verdict->doubled_silently += !failed && has(messages.doubled[i], number);
    }
}

static void judge(struct verdict *verdict)
{
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        const struct producer *producer = &messages.producer[i];
        verdict->sum.sent += producer->sent;
        verdict->sum.ok += producer->ok;
        verdict->sum.late += producer->late;
        verdict->sum.faults += producer->faults;
        verdict->sum.timeouts += producer->timeouts;
        verdict->sum.gone += producer->gone;
        verdict->sum.refused += producer->refused;
        verdict->sum.wrong_replies += producer->wrong_replies;
        verdict->sum.crashes += producer->crashes;
        count_numbers(verdict, i);
    }
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        verdict->received += messages.consumer[i].received;
        verdict->doubled += messages.consumer[i].doubled;
        verdict->out_of_order += messages.consumer[i].out_of_order;
        verdict->wrong_checksums += messages.consumer[i].wrong_checksums;
    }
}

static uint64_t errors_of(const struct verdict *verdict)
{
    return verdict->sum.faults + verdict->sum.timeouts + verdict->sum.gone + verdict->sum.refused;
}

/* By the relay's own state, which has gone through all swaps. */
static uint64_t count_by_relay(void)
{
    struct hx_message message = { .code = RELAY_COUNT };
    hx_status_t err = hx_router_request(hx_router_find("relay"), &hx_kernel_holder, &message, UINT64_MAX);
    return err == HX_OK && message.type == HX_MESSAGE_REPLY ? words_of(&message)[0] : 0;
}

static void expect_good(const struct verdict *verdict, uint64_t faults)
{
    expect_equal("messages sent", verdict->sum.sent, PRODUCERS * messages.each);
    expect_equal("answered, but not received", verdict->lost, 0);
    expect_equal("received twice without an error", verdict->doubled_silently, 0);
    expect_equal("out of order", verdict->out_of_order, 0);
    expect_equal("damaged", verdict->wrong_checksums, 0);
    expect_equal("replies to another request", verdict->sum.wrong_replies, 0);
    expect_equal("refused by the relay", verdict->sum.refused, 0);
    expect_equal("faults beside the crashes", faults, verdict->sum.crashes);
    if (messages.crash_every)
        return;
    expect_equal("passed on, as the relay's state knows", count_by_relay(), verdict->received);
    expect_equal("errors, and nothing crashes", errors_of(verdict), 0);
}

static void print_verdict(const struct verdict *verdict, uint64_t took_ns)
{
    hx_trial_print("{\"name\": \"messages\", \"cpus\": %u, \"sent\": %llu, \"ok\": %llu, \"errors\": %llu, \"faults\": "
                   "%llu, \"timeouts\": %llu, \"late\": %llu, ",
                   hx_hal_cpu_count(), (unsigned long long)verdict->sum.sent, (unsigned long long)verdict->sum.ok,
                   (unsigned long long)errors_of(verdict), (unsigned long long)verdict->sum.faults,
                   (unsigned long long)verdict->sum.timeouts, (unsigned long long)verdict->sum.late);
    hx_trial_print("\"received\": %llu, \"received_with_error\": %llu, \"lost\": %llu, \"doubled\": %llu, "
                   "\"doubled_without_error\": %llu, \"out_of_order\": %llu, \"wrong_checksum\": %llu, "
                   "\"wrong_reply\": %llu, ",
                   (unsigned long long)verdict->received, (unsigned long long)verdict->unsure,
                   (unsigned long long)verdict->lost, (unsigned long long)verdict->doubled,
                   (unsigned long long)verdict->doubled_silently, (unsigned long long)verdict->out_of_order,
                   (unsigned long long)verdict->wrong_checksums, (unsigned long long)verdict->sum.wrong_replies);
    hx_trial_print("\"swaps\": %u, \"swaps_refused\": %u, \"crashes\": %llu, \"restarts\": %u, \"reloads\": %u, "
                   "\"ms\": %llu, \"complaints\": %u}\n",
                   messages.trial.swaps, messages.refusals, (unsigned long long)verdict->sum.crashes, messages.restarts,
                   messages.reloads, (unsigned long long)(took_ns / 1000000), messages.complaints);
}

hx_status_t hx_messages_run(const char *arguments, const struct hx_pack *initrd)
{
    static struct verdict verdict;
    messages.each = hx_trial_number(&arguments, COUNT, COUNT_MAX) / PRODUCERS;
    messages.swap_every = hx_trial_number(&arguments, SWAP_EVERY, COUNT_MAX);
    messages.crash_every = hx_trial_number(&arguments, 0, COUNT_MAX);
    if (messages.each > EACH_MAX)
        messages.each = EACH_MAX;
    hx_trial_begin(&messages.trial, "# messages", initrd);
    memcpy(messages.trial.module, relay_name, sizeof(relay_name));
    hx_waitq_init(&messages.room);
    hx_waitq_init(&messages.driver);
    messages.seen = hx_history_last();
    uint64_t faults = hx_exception_unwound(), begun_ns = hx_hal_clock_ns();
    uint32_t handles = hx_kernel_holder.count;
    hx_status_t err = start_all();
    if (err == HX_OK)
        drive();
    else
        expect_equal(hx_err_text(err), 1, 0);
    end();
    judge(&verdict);
    expect_good(&verdict, hx_exception_unwound() - faults);
    expect_equal("handles that are left", hx_kernel_holder.count, handles);
    print_verdict(&verdict, hx_hal_clock_ns() - begun_ns);
    return messages.complaints ? HX_E_FAILED : HX_OK;
}
