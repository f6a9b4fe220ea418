/* SPDX-License-Identifier: MIT */
/*
 * svc_log.c - keeps the last events of the kernel's topics, and tells them to who asks (helix/journal.h).
 *
 * Why: a topic keeps its own last 64, so that one which is busy says nothing of what happened earlier in another.
 * Slow:      events come by subscriptions, one after the other, in a task of the module's: whoever publishes waits for nothing.
 *            What the kernel could not keep until it was told is seen by a gap in a topic's numbers, and counted.
 * Readers:   requests come in any number of tasks beside the one that writes. A record is valid while its head says its
 *            number: who writes takes the head away first and puts it there last, who reads looks before and after.
 * Swap:      all is state. What happens meanwhile waits in the topics.
 */
#include <helix/journal.h>
#include <helix/module.h>

/* HEAD: of a record's words, the one that has sequence, type, bytes and topic. */
enum { RECORDS = 256, WORDS = sizeof(struct hx_event) / 8, HEAD = offsetof(struct hx_event, sequence) / 8 };

#define JOURNAL_STATE(SCALAR, ARRAY)                                                                                   \
    SCALAR(u32, last)                                                                                                  \
    SCALAR(u64, lost)                                                                                                  \
    ARRAY(u32, heard, HX_JOURNAL_TOPIC_COUNT) /* of each topic: number of its last event; 0: none */                   \
    ARRAY(u64, words, RECORDS *WORDS)         /* event n is record n % RECORDS */
HX_STATE(journal, JOURNAL_STATE);

union record {
    struct hx_event event;
    uint64_t words[WORDS];
};

static uint64_t *words_of(uint32_t number)
{
    return &journal.words[number % RECORDS * WORDS];
}

/* Of @last events the newest are kept. */
static uint32_t kept_of(uint32_t last)
{
    return last < RECORDS ? last : RECORDS;
}

/* ---- writing: one at a time ------------------------------------------------------------------------------------------ */
static void write_record(uint32_t number, const union record *record)
{
    uint64_t *words = words_of(number);
    __atomic_store_n(&words[HEAD], 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (uint32_t i = 0; i < WORDS; i++)
        if (i != HEAD)
            __atomic_store_n(&words[i], record->words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&words[HEAD], record->words[HEAD], __ATOMIC_RELEASE);
}

static hx_ret_t keep(enum hx_journal_topic topic, const struct hx_event *event)
{
    union record record = { .event = *event };
    if (journal.heard[topic] != 0)
        journal.lost += event->sequence - journal.heard[topic] - 1;
    journal.heard[topic] = event->sequence;
    record.event.sequence = journal.last + 1;
    record.event.reserved = (uint8_t)topic;
    write_record(journal.last + 1, &record);
    __atomic_store_n(&journal.last, journal.last + 1, __ATOMIC_RELEASE);
    return HX_OK;
}

#define HEAR(name, topic)                                                                                              \
    static hx_ret_t hear_##name(const struct hx_event *event, uint64_t bytes)                                          \
    {                                                                                                                  \
        (void)bytes;                                                                                                   \
        return keep(HX_JOURNAL_##name, event);                                                                         \
    }                                                                                                                  \
    HX_SUBSCRIBE(#name, topic, HX_EVENTS_ALL, hear_##name);
HX_JOURNAL_TOPICS(HEAR)

/* ---- reading --------------------------------------------------------------------------------------------------------- */
/* False: it is not there any more. */
static bool read_record(uint32_t number, union record *out)
{
    const uint64_t *words = words_of(number);
    out->words[HEAD] = __atomic_load_n(&words[HEAD], __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < WORDS; i++)
        if (i != HEAD)
            out->words[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return out->event.sequence == number && __atomic_load_n(&words[HEAD], __ATOMIC_RELAXED) == out->words[HEAD];
}

static hx_ret_t find(const struct hx_journal_query *query, union record *out)
{
    uint32_t last = __atomic_load_n(&journal.last, __ATOMIC_ACQUIRE);
    uint32_t since = last - kept_of(last) + 1;
    if (query->since > since)
        since = query->since;
    for (; since <= last; since++)
        if (read_record(since, out) && out->event.type < HX_EVENT_TYPE_COUNT &&
            query->types & HX_EVENT_BIT(out->event.type))
            return HX_OK;
    return HX_E_NOENT;
}

static hx_ret_t reply(struct hx_message *message, const void *data, uint32_t bytes)
{
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = (uint8_t)bytes;
    __builtin_memcpy(message->data, data, bytes);
    return HX_OK;
}

static hx_ret_t reply_next(struct hx_message *message)
{
    struct hx_journal_query query;
    union record record;
    if (message->payload != HX_PAYLOAD_INLINE || message->bytes != sizeof(query))
        return HX_E_INVAL;
    __builtin_memcpy(&query, message->data, sizeof(query));
    hx_ret_t err = find(&query, &record);
    return err == HX_OK ? reply(message, &record, sizeof(record)) : err;
}

static hx_ret_t serve(struct hx_message *message, uint64_t bytes)
{
    (void)bytes;
    uint32_t last = __atomic_load_n(&journal.last, __ATOMIC_ACQUIRE);
    struct hx_journal_extent extent = { last, kept_of(last), __atomic_load_n(&journal.lost, __ATOMIC_RELAXED) };
    if (message->code == HX_JOURNAL_NEXT)
        return reply_next(message);
    return message->code == HX_JOURNAL_EXTENT ? reply(message, &extent, sizeof(extent)) : HX_E_UNSUPPORTED;
}

/* Each record has the number of its place, but the one that is being written, and those that have not been. */
static hx_ret_t check(void)
{
    uint32_t kept = kept_of(__atomic_load_n(&journal.last, __ATOMIC_ACQUIRE)), empty = 0;
    for (uint32_t place = 0; place < RECORDS; place++) {
        union record record = { .words = { [HEAD] = __atomic_load_n(&words_of(place)[HEAD], __ATOMIC_ACQUIRE) } };
        uint32_t number = record.event.sequence;
        if (number == 0)
            empty++;
        else if (number % RECORDS != place || record.event.reserved >= HX_JOURNAL_TOPIC_COUNT)
            return HX_E_CORRUPT;
    }
    return empty <= RECORDS - kept + 1 ? HX_OK : HX_E_CORRUPT;
}

HX_MODULE("svc_log", HX_VERSION(1, 0, 0), "keeps what the kernel publishes", .check = check);
HX_SERVICE(HX_JOURNAL_SERVICE, 1u << HX_JOURNAL_NEXT | 1u << HX_JOURNAL_EXTENT, serve);
