/* SPDX-License-Identifier: MIT */
/*
 * event_bus.h - topics: what is published to one is seen by all who subscribed to it, each at his own pace.
 *
 * A topic keeps its last HX_EVENT_HISTORY events in a ring. A subscription is a place in that ring: publishing is one copy, however
 * many subscribe, and never waits for anybody. Who falls behind by more than the ring holds loses the oldest, and is told
 * how many. Filters are applied when somebody looks.
 *
 * Context: publish, next and is_waiting: any, interrupts included; the rest: thread. Locks: each topic's own, HX_RANK_TOPIC;
 * over the table, and over each subscription, HX_RANK_TOPICS, in which a topic's may be taken.
 */
#pragma once
#include <hal/hx_lock.h>
#include <sys/queue.h>

#include "handle.h"

/* Beneath its name it is this room's own. */
struct hx_topic {
    char name[HX_NAME_MAX];
    struct hx_holder *owner;
    LIST_ENTRY(hx_topic) link;
    struct hx_lock lock;
    uint32_t subscribers;                        /* l: the topic's lock */
    bool gone;                                   /* l: it cannot be found any more; the last subscription frees it */
    uint64_t published;                          /* l: events ever: the number of the newest */
    TAILQ_HEAD(, hx_subscription) subscriptions; /* l */
    void (*wanted)(struct hx_topic *topic);      /* c: see hx_topic_bind_wanted() */
    struct hx_event ring[HX_EVENT_HISTORY];      /* l: event n at n % HX_EVENT_HISTORY */
};

enum { HX_EVENT_SOURCES_MAX = 4 };

/* What interests a subscriber: types by their bits, and who of `source` has published it; @sources 0: whoever has. */
struct hx_event_filter {
    uint64_t types;
    uint32_t sources;
    hx_handle_t source[HX_EVENT_SOURCES_MAX]; /* HX_HANDLE_NONE: the kernel */
};

struct hx_subscription {
    struct hx_lock lock;    /* so that who looks and who takes it to another topic may be two; before the topic's */
    struct hx_topic *topic; /* NULL: it is not in use */
    struct hx_event_filter filter; /* t: the topic's lock, if there is one */
    uint64_t next; /* number of the first event not looked at; an event's `sequence` is the lower half of its number */
    uint64_t delivered, lost;
    /* Called when something that passes the filter is published for the first time since somebody looked; any context, the
     * topic locked: it may wake, nothing else. NULL: nobody wants to be called. */
    void (*notify)(struct hx_subscription *subscription);
    bool notified; /* t */
    TAILQ_ENTRY(hx_subscription) link;
};

/* Locked: events that are in the ring, and where event @number is or will be. */
static inline uint64_t hx_topic_kept(const struct hx_topic *topic)
{
    return topic->published < HX_EVENT_HISTORY ? topic->published : HX_EVENT_HISTORY;
}
static inline struct hx_event *hx_topic_place(struct hx_topic *topic, uint64_t number)
{
    return &topic->ring[number % HX_EVENT_HISTORY];
}

enum { HX_TOPICS_MAX = 256 };

/* A topic of @owner's. HX_E_EXIST, HX_E_INVAL (not a proper name), HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_topic_create(const char *name, struct hx_holder *owner, struct hx_topic **out);
/* Nobody publishes to it any more. Its subscriptions see what is in the ring and nothing after it; they stay. NULL is
 * accepted. */
void hx_topic_destroy(struct hx_topic *topic);
/* By hash; NULL. It stays while its owner is kept from going: in the owner's own code, and for who has preemption off on CPU 0,
 * where topics are made and destroyed. */
struct hx_topic *hx_topic_find(const char *name);
/* The same, if it is @owner's, in whose code the caller is. HX_E_NOENT, HX_E_PERM. Any CPU. */
HX_NODISCARD hx_status_t hx_topic_find_own(const char *name, const struct hx_holder *owner, struct hx_topic **out);
struct hx_topic *hx_topic_next(const struct hx_topic *topic); /* NULL starts and ends; CPU 0, preemption off */
/* @wanted is called when the topic's first subscriber has come. Thread, unlocked. Bound once, before there are any. */
void hx_topic_bind_wanted(struct hx_topic *topic, void (*wanted)(struct hx_topic *topic));

/* Puts it into the topic's history and has its subscribers notified. @topic NULL: nothing (a topic of the kernel before there are
 * any). @event's type, bytes and data count, the rest is stamped. */
void hx_event_publish(struct hx_topic *topic, const struct hx_holder *source, const struct hx_event *event);

/* @subscription, the caller's memory, with filter and notify filled in by him, sees what is published from now on, or with
 * @history what is still in the ring. */
void hx_event_subscribe(struct hx_topic *topic, struct hx_subscription *subscription, bool history);
/* From now on it has @filter. */
void hx_event_set_filter(struct hx_subscription *subscription, const struct hx_event_filter *filter);
/* Publishes to another's topic as hx_event_publish() does: HX_E_NOENT; HX_E_PERM: it is the kernel's. Any CPU. */
HX_NODISCARD hx_status_t hx_topic_publish(const char *name, const struct hx_holder *source,
                                          const struct hx_event *event);
/* After it @notify is not called any more. One that is not in use is left as it is. */
void hx_event_unsubscribe(struct hx_subscription *subscription);
/* The next event that passes the filter. False: none. */
bool hx_event_next(struct hx_subscription *subscription, struct hx_event *out);
/* Whether there may be one: for those who wait, and alone unsubscribe. */
bool hx_event_is_waiting(const struct hx_subscription *subscription);

struct hx_topic_info {
    const char *name, *owner;
    uint64_t published;
    uint32_t subscribers;
};
void hx_topic_describe(struct hx_topic *topic, struct hx_topic_info *out);
/* Copies the last @max events of the topic's history at most, oldest first; returns how many. */
uint32_t hx_topic_read(struct hx_topic *topic, struct hx_event *out, uint32_t max);
/* The same by name, whoever owns it and on whatever CPU. HX_E_NOENT. */
HX_NODISCARD hx_ret_t hx_topic_read_of(const char *name, struct hx_event *out, uint32_t max);
