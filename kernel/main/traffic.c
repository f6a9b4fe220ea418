/* SPDX-License-Identifier: MIT */
/*
 * traffic.c - see traffic.h.
 *
 * Workers are policy tasks, which the driver kills and makes again. Each asks one of two services, or does it itself, to send and
 * receive numbered messages on channels that are counted: the driver makes them, gives each service a handle of one end, closes
 * them after a while, receives what is left and makes others. Beside that the services do at random what they like with channels,
 * handles and memory of their own, which they give each other. The driver swaps the services, and now and then ends one.
 *
 * What must hold: no number is received twice, or without having been sent; one that was sent without an error is received, but
 * for one at most with each worker that was killed while it received; everybody ends when it is over; and then there is what
 * there was before.
 */
#include "traffic.h"

#include "trial.h"

#include <hal/hx_hal.h>
#include <hotreload/engine.h>
#include <ipc/channel.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <module/module.h>
#include <string.h>

enum {
    SECONDS = 20,
    SECONDS_MAX = 86400,
    SEED_MAX = 1000000000,
    NUMBERS_MAX = 1 << 22,
    WORKERS = 12,
    CHANNELS = 4,
    CAPACITY_MAX = 12,
    SERVICES = 2,
    TELL_EVERY = 1000, /* kills */
    MOMENT_NS = 1000000,
    LINKS_EVERY = 16, /* of the driver's steps */
    UNLOAD_EVERY = 8, /* of swaps */
};
static const uint64_t patience_ns = 120000000000u; /* of a machine whose CPUs are not always run */

/* The services' codes and words, as tests/fixtures/modules/traffic_fixture.h has them. */
enum code { SEND, RECEIVE, SELECT, CLOSE, ADOPT, KEEP, RANDOM, CODES };
struct words {
    uint64_t channel, number, wait_ns, handle, random;
    int64_t result;
    uint64_t received, damaged;
};
_Static_assert(sizeof(struct words) == HX_INLINE_MAX, "a payload");

static const char *const service_name[SERVICES] = { "traffic_a", "traffic_b" };
static const struct hx_trial_scheduler files[SERVICES][2] = {
    { { "1", "svc_traffic_a.hxm" }, { "2", "svc_traffic_a_2.hxm" } },
    { { "1", "svc_traffic_b.hxm" }, { "2", "svc_traffic_b_2.hxm" } },
};

struct worker {
    hx_handle_t task;
    uint64_t random;
    uint64_t sending; /* the number, until it is known what has become of it; 0: none */
    bool receiving;
    uint64_t done[CODES];
} __attribute__((aligned(64)));

typedef uint64_t number_set[NUMBERS_MAX / 64];

static struct {
    struct hx_trial trial[SERVICES];
    struct worker worker[WORKERS];
    struct hx_channel_ends channel[CHANNELS];                                /* a: the kernel's handles */
    number_set sent, unsure, received;                                       /* a */
    uint64_t numbers;                                                        /* a: the last that was used */
    uint64_t random;                                                         /* the driver's */
    uint64_t doubled, invented, damaged, may_be_lost, errors, chaos_refused; /* a */
    uint64_t kills, closed, done[CODES];
    uint32_t refusals, unloads, hangs, steps, complaints;
    bool over; /* a */
} traffic;

/* ---- output ---------------------------------------------------------------------------------------------------------- */
static void complain(const char *what, uint64_t got, uint64_t wanted)
{
    traffic.complaints++;
    hx_trial_print("traffic: %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

static void expect_equal(const char *what, uint64_t got, uint64_t wanted)
{
    if (got != wanted)
        complain(what, got, wanted);
}

/* ---- small things ---------------------------------------------------------------------------------------------------- */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void count(uint64_t *counter)
{
    (void)__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static bool is_over(void)
{
    return __atomic_load_n(&traffic.over, __ATOMIC_SEQ_CST);
}

/* Whether @number was there already. */
static bool put(uint64_t *set, uint64_t number)
{
    uint64_t bit = UINT64_C(1) << number % 64;
    return __atomic_fetch_or(&set[number / 64], bit, __ATOMIC_SEQ_CST) & bit;
}

static bool has(const uint64_t *set, uint64_t number)
{
    return set[number / 64] >> number % 64 & 1u;
}

static hx_handle_t end_of(uint64_t channel, uint64_t end)
{
    return __atomic_load_n(&traffic.channel[channel % CHANNELS].end[end % 2], __ATOMIC_SEQ_CST);
}

/* ---- a message ------------------------------------------------------------------------------------------------------- */
static void judge_received(uint64_t number, bool damaged)
{
    if (damaged || number == 0 || number > __atomic_load_n(&traffic.numbers, __ATOMIC_SEQ_CST)) {
        count(damaged ? &traffic.damaged : &traffic.invented);
        return;
    }
    if (put(traffic.received, number))
        count(&traffic.doubled);
}

static hx_status_t receive_here(hx_handle_t end, uint64_t deadline_ns)
{
    struct hx_message message;
    uint64_t words[2];
    hx_status_t err = hx_ipc_receive(end, &hx_kernel_holder, &message, deadline_ns);
    if (err != HX_OK)
        return err;
    memcpy(words, message.data, sizeof(words));
    judge_received(words[0], message.bytes != sizeof(words) || words[1] != ~words[0]);
    return HX_OK;
}

static hx_status_t send_here(hx_handle_t end, uint64_t number, uint64_t deadline_ns)
{
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = 16, .priority = (uint8_t)number };
    uint64_t words[2] = { number, ~number };
    memcpy(message.data, words, sizeof(words));
    return hx_ipc_send(end, &hx_kernel_holder, &message, deadline_ns);
}

/* ---- workers --------------------------------------------------------------------------------------------------------- */
static void tell_error(uint32_t service, hx_status_t err)
{
    if (__atomic_fetch_add(&traffic.errors, 1, __ATOMIC_SEQ_CST) % TELL_EVERY == 0)
        hx_trial_print("# traffic: %s: %s\n", service_name[service], hx_err_text(err));
    hx_trial_sleep(MOMENT_NS); /* it has ended, and comes back */
}

/* The error of the request: then nobody knows what came of it. Else words->result tells. */
static hx_status_t ask(uint32_t service, enum code code, struct words *words)
{
    struct hx_message message = { .code = code, .payload = HX_PAYLOAD_INLINE, .bytes = sizeof(*words) };
    hx_handle_t handle = hx_router_find(service_name[service]);
    memcpy(message.data, words, sizeof(*words));
    hx_status_t err = hx_router_request(handle, &hx_kernel_holder, &message, hx_hal_clock_ns() + patience_ns);
    if (err == HX_OK && message.type == HX_MESSAGE_ERROR)
        err = -(hx_status_t)message.code;
    if (err == HX_OK)
        memcpy(words, message.data, sizeof(*words));
    else if (err != HX_E_KILLED)
        tell_error(service, err);
    return err;
}

/* Half of them try; of those who wait some do so for ever: until something comes, or the channel is closed. */
static uint64_t some_wait_ns(uint64_t random)
{
    switch (random % 8) {
    case 0: return HX_WAIT_FOREVER | HX_WAIT_RESTARTABLE;
    case 1: return MOMENT_NS;
    case 2: return 20 * MOMENT_NS | HX_WAIT_RESTARTABLE;
    case 3: return 1;
    default: return HX_WAIT_NOT;
    }
}

static uint64_t deadline_of(uint64_t wait_ns)
{
    wait_ns &= ~HX_WAIT_RESTARTABLE;
    return wait_ns == HX_WAIT_NOT ? 0 : wait_ns == HX_WAIT_FOREVER ? UINT64_MAX : hx_hal_clock_ns() + wait_ns;
}

static void do_send(struct worker *worker, uint64_t random)
{
    uint64_t number = __atomic_add_fetch(&traffic.numbers, 1, __ATOMIC_SEQ_CST);
    struct words words = { .channel = random, .number = number, .wait_ns = some_wait_ns(random >> 8) };
    hx_status_t err = HX_OK;
    if (number >= NUMBERS_MAX)
        return;
    __atomic_store_n(&worker->sending, number, __ATOMIC_SEQ_CST);
    if (random >> 16 & 1)
        words.result = send_here(end_of(random, random >> 17), number, deadline_of(words.wait_ns));
    else
        err = ask(random >> 17 & 1, SEND, &words);
    if (err != HX_OK)
        (void)put(traffic.unsure, number);
    else if (words.result == HX_OK)
        (void)put(traffic.sent, number);
    __atomic_store_n(&worker->sending, 0, __ATOMIC_SEQ_CST);
}

static hx_status_t select_here(uint64_t random, uint64_t deadline_ns)
{
    hx_handle_t ends[CHANNELS];
    for (uint32_t i = 0; i < CHANNELS; i++)
        ends[i] = end_of(random + i, random >> (17 + i));
    hx_ret_t ready = hx_ipc_select(ends, CHANNELS, &hx_kernel_holder, deadline_ns);
    return ready < 0 ? (hx_status_t)ready : receive_here(ends[ready], HX_WAIT_NOT);
}

static void do_receive(struct worker *worker, uint64_t random, enum code code)
{
    struct words words = { .channel = random, .wait_ns = some_wait_ns(random >> 8) };
    __atomic_store_n(&worker->receiving, true, __ATOMIC_SEQ_CST);
    if (random >> 16 & 1) {
        uint64_t deadline_ns = deadline_of(words.wait_ns);
        (void)(code == SELECT ? select_here(random, deadline_ns)
                              : receive_here(end_of(random, random >> 17), deadline_ns));
    } else if (ask(random >> 17 & 1, code, &words) != HX_OK) {
        count(&traffic.may_be_lost);
    } else if (words.result == HX_OK) {
        judge_received(words.received, words.damaged);
    }
    __atomic_store_n(&worker->receiving, false, __ATOMIC_SEQ_CST);
}

static void do_at_random(uint64_t random)
{
    struct words words = { .random = random >> 16 };
    if (ask(random >> 8 & 1, RANDOM, &words) != HX_OK)
        return;
    if (words.damaged)
        count(&traffic.damaged);
    if (words.result < 0)
        count(&traffic.chaos_refused);
}

static hx_status_t work(void *argument)
{
    struct worker *worker = argument;
    while (!is_over()) {
        uint64_t random = next_random(&worker->random), choice = random >> 40;
        enum code code = choice % 8 < 3 ? SEND : choice % 8 < 5 ? RECEIVE : choice % 8 == 5 ? SELECT : RANDOM;
        if (code == SEND)
            do_send(worker, random);
        else if (code == RANDOM)
            do_at_random(random);
        else
            do_receive(worker, random, code);
        worker->done[code]++;
    }
    return HX_OK;
}

static hx_status_t hire(uint32_t i)
{
    struct worker *worker = &traffic.worker[i];
    char name[HX_NAME_MAX];
    hx_fmt(name, sizeof(name), "traffic-%u", i);
    worker->random = next_random(&traffic.random);
    return hx_task_create(HX_TASK_POLICY, name, (uint8_t)(90 + i), work, worker, &worker->task);
}

/* It has ended, whatever it was about. */
static void settle(struct worker *worker)
{
    if (worker->sending)
        (void)put(traffic.unsure, worker->sending);
    traffic.may_be_lost += worker->receiving;
    worker->sending = 0;
    worker->receiving = false;
    for (uint32_t i = 0; i < CODES; i++) {
        traffic.done[i] += worker->done[i];
        worker->done[i] = 0;
    }
}

/* False: it does not end. */
static bool await_end(struct worker *worker)
{
    hx_status_t status = HX_OK, err = hx_task_join(worker->task, hx_hal_clock_ns() + patience_ns, &status);
    if (err == HX_OK || err == HX_E_STALE) {
        settle(worker);
        return true;
    }
    complain("a task that does not end, of number", hx_handle_index(worker->task), 0);
    hx_trial_print("traffic: sending %llu, receiving %u: %s\n", (unsigned long long)worker->sending, worker->receiving,
                   hx_err_text(err));
    return false;
}

static void kill_one(uint64_t random)
{
    uint32_t i = (uint32_t)(random % WORKERS);
    (void)!hx_task_kill(traffic.worker[i].task); /* or it has ended in this moment */
    if (!await_end(&traffic.worker[i]) || hire(i) != HX_OK) {
        complain("workers that could be made again", 0, 1);
        __atomic_store_n(&traffic.over, true, __ATOMIC_SEQ_CST);
    }
    if (++traffic.kills % TELL_EVERY == 0)
        hx_trial_print("# %llu kills, %u and %u swaps, %u unloads, %llu numbers\n", (unsigned long long)traffic.kills,
                       traffic.trial[0].swaps, traffic.trial[1].swaps, traffic.unloads,
                       (unsigned long long)traffic.numbers);
}

/* ---- channels -------------------------------------------------------------------------------------------------------- */
/* A further handle of @end for @service's module; HX_HANDLE_NONE: it is not there, or has too many. */
static hx_handle_t handle_for(uint32_t service, hx_handle_t end, uint32_t rights)
{
    char name[HX_NAME_MAX];
    hx_handle_t handle = HX_HANDLE_NONE;
    hx_fmt(name, sizeof(name), "svc_%s", service_name[service]);
    hx_preempt_disable();
    struct hx_module *module = hx_module_find(name);
    if (module && hx_ipc_clone(end, &hx_kernel_holder, rights, &module->holder, &handle) != HX_OK)
        handle = HX_HANDLE_NONE;
    hx_preempt_enable();
    return handle;
}

static void give_to(uint32_t service, enum code code, uint64_t channel, hx_handle_t end, uint32_t rights)
{
    struct words words = { .channel = channel, .handle = handle_for(service, end, rights) };
    if (words.handle)
        (void)!ask(service, code, &words);
}

static void give_counted(uint32_t service)
{
    for (uint32_t i = 0; i < CHANNELS; i++)
        give_to(service, ADOPT, i, end_of(i, service), HX_RIGHT_SEND | HX_RIGHT_RECEIVE);
}

/* All that is left in it, once it is closed. */
static void empty(const struct hx_channel_ends *ends)
{
    for (uint32_t i = 0; i < 2; i++) {
        hx_status_t err = HX_OK;
        while (err == HX_OK)
            err = receive_here(ends->end[i], HX_WAIT_NOT);
        expect_equal(hx_err_text(err), err == HX_E_CLOSED, true);
        (void)!hx_handle_close(ends->end[i], &hx_kernel_holder);
    }
}

/* By the kernel, or by one of those who have been given it. */
static void close(uint64_t channel, uint64_t random)
{
    struct words words = { .channel = channel };
    if (random & 1)
        (void)!ask(random >> 1 & 1, CLOSE, &words);
    (void)!hx_ipc_close(end_of(channel, 0), &hx_kernel_holder);
}

static void replace(uint32_t channel, uint64_t random)
{
    struct hx_channel_ends before = traffic.channel[channel], ends;
    close(channel, random);
    hx_status_t err = hx_ipc_create(1 + (uint32_t)(random >> 8) % CAPACITY_MAX, &hx_kernel_holder, &ends);
    if (err != HX_OK) {
        complain(hx_err_text(err), 1, 0);
        return;
    }
    for (uint32_t i = 0; i < 2; i++)
        __atomic_store_n(&traffic.channel[channel].end[i], ends.end[i], __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < SERVICES; i++)
        give_to(i, ADOPT, channel, ends.end[i], HX_RIGHT_SEND | HX_RIGHT_RECEIVE);
    empty(&before);
    traffic.closed++;
}

/* A channel between the two services, for whatever they like. */
static void link_services(void)
{
    struct hx_channel_ends ends;
    if (hx_ipc_create(4, &hx_kernel_holder, &ends) != HX_OK)
        return;
    for (uint32_t i = 0; i < 2; i++) {
        give_to(i, KEEP, traffic.steps / LINKS_EVERY, ends.end[i], HX_RIGHT_ALL & ~HX_RIGHT_TRANSFER);
        (void)!hx_handle_close(ends.end[i], &hx_kernel_holder);
    }
}

/* ---- services -------------------------------------------------------------------------------------------------------- */
static hx_status_t run(enum hx_job_kind kind, uint32_t service)
{
    static struct hx_job job;
    job = (struct hx_job){ .kind = kind, .params = "", .who = "traffic", .by = &hx_kernel_principal };
    memcpy(job.module, traffic.trial[service].module, sizeof(job.module));
    hx_status_t err = HX_OK;
    if (kind == HX_JOB_LOAD)
        err =
            hx_pack_find(traffic.trial[service].pack, files[service][traffic.trial[service].swaps % 2].file, &job.file);
    return err == HX_OK ? hx_engine_run(&job) : err;
}

/* With all that it has, and what it has sent. */
static void end_and_begin(uint32_t service)
{
    if (run(HX_JOB_UNLOAD, service) != HX_OK) {
        traffic.refusals++;
        return;
    }
    hx_status_t err = run(HX_JOB_LOAD, service);
    if (err != HX_OK) {
        complain(hx_err_text(err), 1, 0);
        __atomic_store_n(&traffic.over, true, __ATOMIC_SEQ_CST);
        return;
    }
    traffic.unloads++;
    give_counted(service);
    link_services();
}

/* Nothing that they do is a fault; but a host that seldom runs one CPU makes a hang of waiting for it on another. */
static bool has_failed(uint32_t service)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(traffic.trial[service].module);
    bool failed = module && module->state == HX_MODULE_ERROR;
    if (failed) {
        bool hung = strncmp(module->fault, "hang", 4) == 0;
        hx_trial_print("%s: %s: %s: %s\n", hung ? "# traffic" : "traffic", module->name, module->fault,
                       module->backtrace);
        traffic.hangs += hung;
        traffic.complaints += !hung;
    }
    hx_preempt_enable();
    return failed;
}

static void swap(uint32_t service)
{
    struct hx_trial *trial = &traffic.trial[service];
    if (has_failed(service))
        end_and_begin(service);
    else
        traffic.refusals += hx_trial_swap(trial, &files[service][(trial->swaps + 1) % 2]) != HX_OK;
}

/* ---- the driver ------------------------------------------------------------------------------------------------------ */
static void step(void)
{
    uint64_t random = next_random(&traffic.random);
    switch (random % 8) {
    case 0:
    case 1: replace((uint32_t)(random >> 8) % CHANNELS, random >> 16); break;
    case 2:
    case 3: swap(random >> 8 & 1); break;
    default: kill_one(random >> 8); break;
    }
    if (traffic.steps++ % LINKS_EVERY == 0)
        link_services();
    if (random % 8 == 2 && (random >> 9) % UNLOAD_EVERY == 0)
        end_and_begin(random >> 8 & 1);
    hx_trial_sleep((random >> 32) % (2 * MOMENT_NS));
}

static hx_status_t begin(void)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; i < SERVICES && err == HX_OK; i++)
        err = run(HX_JOB_LOAD, i);
    for (uint32_t i = 0; i < CHANNELS && err == HX_OK; i++)
        err = hx_ipc_create(1 + i, &hx_kernel_holder, &traffic.channel[i]);
    for (uint32_t i = 0; i < SERVICES && err == HX_OK; i++)
        give_counted(i);
    for (uint32_t i = 0; i < WORKERS && err == HX_OK; i++)
        err = hire(i);
    return err;
}

static void drive(uint64_t seconds)
{
    uint64_t until_ns = hx_hal_clock_ns() + seconds * 1000000000u;
    while (!is_over() && hx_hal_clock_ns() < until_ns && traffic.numbers < NUMBERS_MAX - WORKERS)
        step();
    __atomic_store_n(&traffic.over, true, __ATOMIC_SEQ_CST);
}

/* Who waits for ever is woken by the closing. */
static void end(void)
{
    for (uint32_t i = 0; i < CHANNELS; i++)
        (void)!hx_ipc_close(traffic.channel[i].end[0], &hx_kernel_holder);
    for (uint32_t i = 0; i < WORKERS; i++)
        (void)await_end(&traffic.worker[i]);
    for (uint32_t i = 0; i < CHANNELS; i++)
        empty(&traffic.channel[i]);
}

static uint32_t live_handles(void)
{
    uint32_t live = 0;
    for (const struct hx_handle_entry *entry = hx_handle_next(0); entry;
         entry = hx_handle_next(hx_handle_index(entry->name)))
        live++;
    return live;
}

struct whole {
    struct hx_trial_census census;
    struct hx_grant_stats grants;
    uint32_t handles, channels;
};

/* Without the services. */
static struct whole take_census(void)
{
    struct whole whole = { .handles = 0 };
    struct hx_channel_info info = { .number = 0 };
    for (uint32_t i = 0; i < SERVICES; i++) {
        hx_status_t err = run(HX_JOB_UNLOAD, i);
        expect_equal(hx_err_text(err), (uint64_t)-err, 0);
    }
    whole.census = hx_trial_census();
    hx_grant_stats(&whole.grants);
    whole.handles = live_handles();
    while (hx_channel_describe(info.number + 1, &info))
        whole.channels++;
    return whole;
}

static void judge(const struct whole *before)
{
    uint64_t lost = 0, silent = 0;
    for (uint64_t number = 1; number < NUMBERS_MAX; number++) {
        lost += has(traffic.sent, number) && !has(traffic.received, number);
        silent += has(traffic.received, number) && !has(traffic.sent, number) && !has(traffic.unsure, number);
    }
    if (lost > traffic.may_be_lost)
        complain("lost without an error", lost, traffic.may_be_lost);
    expect_equal("received though the sender got an error", silent, 0);
    expect_equal("received twice", traffic.doubled, 0);
    expect_equal("received and not sent", traffic.invented, 0);
    expect_equal("damaged", traffic.damaged, 0);
    struct whole after = take_census();
    hx_trial_compare(&before->census, expect_equal);
    expect_equal("handles", after.handles, before->handles);
    expect_equal("channels", after.channels, before->channels);
    expect_equal("grants", after.grants.live, before->grants.live);
    hx_trial_print(
        "{\"name\": \"traffic\", \"cpus\": %u, \"numbers\": %llu, \"lost\": %llu, \"may_be_lost\": %llu, "
        "\"kills\": %llu, \"swaps\": %u, \"refused\": %u, \"unloads\": %u, \"hangs\": %u, \"errors\": %llu, \"closed\": %llu, ",
        hx_hal_cpu_count(), (unsigned long long)traffic.numbers, (unsigned long long)lost,
        (unsigned long long)traffic.may_be_lost, (unsigned long long)traffic.kills,
        traffic.trial[0].swaps + traffic.trial[1].swaps, traffic.refusals, traffic.unloads, traffic.hangs,
        (unsigned long long)traffic.errors, (unsigned long long)traffic.closed);
    hx_trial_print("\"sends\": %llu, \"receives\": %llu, \"selects\": %llu, \"random\": %llu, \"random_refused\": "
                   "%llu, \"complaints\": %u}\n",
                   (unsigned long long)traffic.done[SEND], (unsigned long long)traffic.done[RECEIVE],
                   (unsigned long long)traffic.done[SELECT], (unsigned long long)traffic.done[RANDOM],
                   (unsigned long long)traffic.chaos_refused, traffic.complaints);
}

hx_status_t hx_traffic_run(const char *arguments, const struct hx_pack *initrd)
{
    uint64_t seconds = hx_trial_number(&arguments, SECONDS, SECONDS_MAX);
    traffic.random = hx_trial_number(&arguments, 1, SEED_MAX) * 0x9e3779b97f4a7c15u;
    for (uint32_t i = 0; i < SERVICES; i++) {
        hx_trial_begin(&traffic.trial[i], "# traffic", initrd);
        hx_fmt(traffic.trial[i].module, HX_NAME_MAX, "svc_%s", service_name[i]);
    }
    struct whole before = take_census();
    hx_status_t err = begin();
    if (err == HX_OK)
        drive(seconds);
    else
        complain(hx_err_text(err), 1, 0);
    end();
    judge(&before);
    return traffic.complaints ? HX_E_FAILED : HX_OK;
}
