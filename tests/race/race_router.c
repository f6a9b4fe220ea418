/* SPDX-License-Identifier: MIT */
/*
 * race_router.c - requests under threads: some ask, some answer late, some are killed while they wait, and one has the service
 * crash, takes it away and brings it back. Each request has one outcome, an answer that was accepted is the outcome, and who
 * has taken his service away is alone with it.
 *
 * The gate here is a count of callers and a state, with what the router may expect of the real one: who closes it and has seen
 * nobody inside finds nobody there later.
 */
#include "race.h"

#include <gate/gate.h>
#include <ipc/message_router.h>
#include <time.h>

enum {
    ASKERS = 2,
    MORTALS = 2, /* askers that are killed */
    ANSWERERS = 2,
    ASKS = 10000, /* of each asker */
    LIVES = 200,  /* of each mortal: in all, more than HX_REQUESTS_MAX: what the dead leave must be used again */
    DESK = 4,     /* requests that may be answered late; the others are forgotten */
    NUMBERS = 1 << 18,
    SERIAL_SHIFT = 8, /* in the number of a request */
};
enum { AT_ONCE, LATE, TWICE, FORGET, CRASH, CODES }; /* what a request is about */
enum { OPEN, CLOSED, ABSENT, ANOTHERS };             /* the gate */
enum outcome { NONE, REPLIED, ANSWERED, NOT_THERE, FAULTED, TOO_LATE, DIED, OUTCOMES };
static const char *const outcome_name[OUTCOMES] = {
    "no outcome", "replies", "late answers", "services that had gone", "faults", "deadlines that passed", "deaths"
};

static struct hx_holder holder[ASKERS + MORTALS] = { { .self = 11 }, { .self = 12 }, { .self = 13 }, { .self = 14 } };
static struct hx_holder owner = { .self = 1, .name = "service" }, stranger = { .self = 2, .name = "stranger" };
static struct hx_slot slot;
static uint32_t gate, inside;                        /* atomic */
static uint64_t desk[DESK];                          /* atomic: requests that wait to be answered */
static uint8_t outcomes[NUMBERS], accepted[NUMBERS]; /* atomic: of each request; answers to it */
static uint32_t busy, done;                          /* atomic: who asks still; all that */
static uint64_t highest, counted_replies;            /* highest: atomic */
static _Thread_local uint64_t under_way;             /* the request that this thread has at the service */

static void sleep_ns(long ns)
{
    nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* ---- the service ------------------------------------------------------------------------------------------------------ */
static void write_answer(struct hx_message *message, uint64_t number, enum outcome by)
{
    uint64_t answer = number * OUTCOMES + by;
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = sizeof(answer);
    memcpy(message->data, &answer, sizeof(answer));
}

static void lay_down(uint64_t number)
{
    __atomic_store_n(&desk[(number >> SERIAL_SHIFT) % DESK], number, __ATOMIC_RELEASE);
}

static hx_ret_t serve(struct hx_message *message)
{
    under_way = message->correlation;
    switch (message->code) {
    case LATE: lay_down(under_way); return HX_REPLY_LATER;
    case FORGET: return HX_REPLY_LATER;
    case CRASH: return HX_E_FAULT;
    case TWICE:
        lay_down(under_way);
        sched_yield();
        __attribute__((fallthrough));
    default: write_answer(message, under_way, REPLIED); return HX_OK;
    }
}

hx_ret_t hx_gate_call(struct hx_slot *called, uint32_t index, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)called, (void)index, (void)b, (void)c, (void)d;
    for (;;) {
        __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        uint32_t state = __atomic_load_n(&gate, __ATOMIC_SEQ_CST);
        hx_ret_t result = state == OPEN ? serve((struct hx_message *)(uintptr_t)a) : HX_E_ABSENT;
        __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        if (state == ANOTHERS)
            race_complain("a call of what is another's by now", state, OPEN);
        if (state != CLOSED)
            return result;
        while (__atomic_load_n(&gate, __ATOMIC_SEQ_CST) == CLOSED)
            if (hx_hal_clock_ns() >= hx_task_current()->patience->deadline_ns)
                return HX_E_TIMEOUT;
            else
                sched_yield();
        hx_task_current()->patience->passed_ns = hx_hal_clock_ns();
    }
}

/* Nobody is inside when it returns. */
static void shut(uint32_t state)
{
    __atomic_store_n(&gate, state, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&inside, __ATOMIC_SEQ_CST))
        sched_yield();
}

/* ---- who asks ---------------------------------------------------------------------------------------------------------- */
static void note(uint64_t number, enum outcome outcome)
{
    uint64_t serial = number >> SERIAL_SHIFT;
    if (serial >= NUMBERS)
        abort();
    if (__atomic_exchange_n(&outcomes[serial], (uint8_t)outcome, __ATOMIC_RELAXED) != NONE)
        race_complain("two outcomes of a request", serial, 0);
    uint64_t before = __atomic_load_n(&highest, __ATOMIC_RELAXED);
    while (before < serial &&
           !__atomic_compare_exchange_n(&highest, &before, serial, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

static enum outcome outcome_of(hx_status_t err, const struct hx_message *message)
{
    uint64_t answer;
    memcpy(&answer, message->data, sizeof(answer));
    switch (err) {
    case HX_OK:
        if (message->type != HX_MESSAGE_REPLY || answer / OUTCOMES != message->correlation)
            race_complain("another's answer", answer / OUTCOMES, message->correlation);
        return (enum outcome)(answer % OUTCOMES);
    case HX_E_ABSENT: return NOT_THERE;
    case HX_E_FAULT: return FAULTED;
    case HX_E_TIMEOUT: return TOO_LATE;
    default: race_complain("asked", (uint64_t)-err, HX_OK); return NONE;
    }
}

/* NONE: it has not begun. */
static enum outcome ask(uint32_t number, uint32_t code, uint64_t deadline_ns)
{
    struct hx_message message = { .type = HX_MESSAGE_REQUEST, .code = code, .payload = HX_PAYLOAD_NONE };
    hx_handle_t service = hx_router_find("race");
    hx_status_t err = service ? hx_router_request(service, &holder[number], &message, deadline_ns) : HX_E_STALE;
    enum outcome outcome = NONE;
    if (message.correlation)
        note(message.correlation, outcome = outcome_of(err, &message));
    else
        race_expect("refused", (uint64_t)-err, (uint64_t)-HX_E_STALE);
    if (outcome == NONE || outcome == NOT_THERE)
        sleep_ns(20000); /* it will be back */
    return outcome;
}

static void asker(uint32_t number)
{
    for (uint32_t i = 0; i < ASKS;) {
        uint32_t patience = i / CODES % 4;
        enum outcome outcome = ask(number, i % CODES,
                                   patience == 0   ? HX_WAIT_NOT
                                   : patience == 1 ? hx_hal_clock_ns() + 30000
                                   : patience == 2 ? hx_hal_clock_ns() + 2000000
                                                   : UINT64_MAX);
        i += outcome != NONE && outcome != NOT_THERE;
    }
    __atomic_sub_fetch(&busy, 1, __ATOMIC_RELEASE);
}

static void mortal(uint32_t number)
{
    jmp_buf life;
    volatile uint32_t deaths = 0;
    race_is_mortal(&life);
    if (setjmp(life)) {
        note(under_way, DIED);
        deaths++;
    }
    while (deaths < LIVES)
        ask(number, deaths % 2 ? LATE : FORGET, UINT64_MAX);
    __atomic_sub_fetch(&busy, 1, __ATOMIC_RELEASE);
}

static bool is_done(void)
{
    return __atomic_load_n(&done, __ATOMIC_ACQUIRE);
}

static void killer(uint32_t first)
{
    for (uint32_t i = 0; !is_done(); i++) {
        race_kill(first + i % MORTALS);
        sched_yield();
    }
}

/* ---- who answers ------------------------------------------------------------------------------------------------------- */
/* All of them answer all there is, again and again; one of them, once, is accepted. */
static void answerer(uint32_t number)
{
    for (uint32_t i = number; !is_done(); i++) {
        struct hx_message answer = { .code = number };
        uint64_t asked = __atomic_load_n(&desk[i % DESK], __ATOMIC_ACQUIRE);
        if (asked) {
            write_answer(&answer, asked, ANSWERED);
            if (i % 8 == 0)
                race_expect("a stranger", (uint64_t)-hx_router_reply(asked, &stranger, &answer), (uint64_t)-HX_E_STALE);
            if (hx_router_reply(asked, &owner, &answer) == HX_OK)
                __atomic_add_fetch(&accepted[asked >> SERIAL_SHIFT], 1, __ATOMIC_RELAXED);
        }
        sched_yield();
    }
}

/* ---- who serves, and takes it away --------------------------------------------------------------------------------------- */
static void provider(uint32_t number)
{
    (void)number;
    while (__atomic_load_n(&busy, __ATOMIC_ACQUIRE)) {
        struct hx_service *service = calloc(1, sizeof(*service));
        *service = (struct hx_service){ .name = "race", .owner = &owner, .slot = &slot, .repeatable = 1u << CRASH };
        __atomic_store_n(&gate, OPEN, __ATOMIC_SEQ_CST);
        race_expect("entered", (uint64_t)-hx_router_enter(service), HX_OK);
        sleep_ns(300000);
        shut(CLOSED); /* it has crashed, or is replaced by one that does not know of late answers */
        hx_router_forsake(service);
        __atomic_store_n(&gate, OPEN, __ATOMIC_SEQ_CST);
        sleep_ns(300000);
        shut(ABSENT);
        hx_router_leave(service);
        __atomic_store_n(&gate, ANOTHERS, __ATOMIC_SEQ_CST);
        counted_replies += service->replies;
        free(service);
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

static void judge(void)
{
    uint64_t count[OUTCOMES] = { 0 };
    for (uint64_t i = 1; i <= highest; i++) {
        count[outcomes[i]]++;
        if (outcomes[i] != DIED || accepted[i] > 1)
            race_expect("answers that were accepted", accepted[i], outcomes[i] == ANSWERED);
    }
    race_expect("requests without an outcome", count[NONE], 0);
    race_expect("replies that were counted", counted_replies, count[REPLIED] + count[ANSWERED]);
    for (uint32_t i = REPLIED; i < OUTCOMES; i++)
        race_expect(outcome_name[i], count[i] > 0, true);
}

void race_router_outcomes(void)
{
    enum { PROVIDER = ASKERS + MORTALS, ANSWERER, KILLER = ANSWERER + ANSWERERS };
    busy = ASKERS + MORTALS;
    for (uint32_t i = 0; i < ASKERS + MORTALS; i++)
        race_start(i, i < ASKERS ? asker : mortal, i);
    race_start(PROVIDER, provider, 0);
    for (uint32_t i = 0; i < ANSWERERS; i++)
        race_start(ANSWERER + i, answerer, i);
    race_start(KILLER, killer, ASKERS);
    race_join(0, KILLER + 1);
    judge();
}
