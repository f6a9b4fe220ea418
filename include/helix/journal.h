/* SPDX-License-Identifier: MIT */
/*
 * journal.h - what the kernel has published, kept in one order: requests to the service HX_JOURNAL_SERVICE (helix/ipc.h).
 *
 *     code                  data of the request           data of the reply
 *     HX_JOURNAL_NEXT       struct hx_journal_query       struct hx_event
 *     HX_JOURNAL_EXTENT     -                             struct hx_journal_extent
 *
 * The event of a reply is as it was published, but for two fields: `sequence` is its number in the journal, `reserved` an enum
 * hx_journal_topic. A journal is read by asking for the number after that of the last reply; HX_E_NOENT: nothing has come since.
 * Numbers that are skipped were overwritten, or not of a type that was asked for.
 * Both operations change nothing, and are made again when the service crashes over them.
 */
#pragma once
#include <helix/ipc.h>

#define HX_JOURNAL_SERVICE "journal"
enum hx_journal_code { HX_JOURNAL_NEXT, HX_JOURNAL_EXTENT };

/* The topics that are kept: all of the kernel's but time. */
#define HX_JOURNAL_TOPICS(TOPIC)                                                                                       \
    TOPIC(modules, HX_TOPIC_MODULES)                                                                                   \
    TOPIC(tasks, HX_TOPIC_TASKS)                                                                                       \
    TOPIC(memory, HX_TOPIC_MEMORY)                                                                                     \
    TOPIC(interrupts, HX_TOPIC_INTERRUPTS)                                                                             \
    TOPIC(security, HX_TOPIC_SECURITY)
#define HX_JOURNAL_TOPIC_(name, topic) HX_JOURNAL_##name,
enum hx_journal_topic { HX_JOURNAL_TOPICS(HX_JOURNAL_TOPIC_) HX_JOURNAL_TOPIC_COUNT };

/* The first event numbered `since` or later whose type has its bit in `types` (HX_EVENT_BIT). */
struct hx_journal_query {
    uint64_t types;
    uint32_t since;
    uint32_t reserved;
};

struct hx_journal_extent {
    uint32_t last; /* number of the newest event; 0: there is none. The first is 1 */
    uint32_t kept; /* so many up to that one */
    uint64_t lost; /* events that came faster than they were kept */
};
