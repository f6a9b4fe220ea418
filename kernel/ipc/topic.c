/* SPDX-License-Identifier: MIT */
/*
 * topic.c - topics that come and go, who subscribes, and what is kept of them; see event_bus.h. What is done once an event is in
 * event_bus.c.
 *
 * Lifetime: a topic is freed with its last subscription once it is destroyed; so a subscription's topic is always there, and
 * nobody counts references while publishing.
 */
#include "event_bus.h"

#include <lib/hash.h>
#include <string.h>
#include <task/task.h>

enum { BUCKETS = 32 };

static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_TOPICS);
static struct {
    uint32_t count;
    LIST_HEAD(, hx_topic) bucket[BUCKETS];
} topics;

/* ---- the table ------------------------------------------------------------------------------------------------------ */
static uint32_t bucket_of(const char *name)
{
    return (uint32_t)hx_hash_name(name, strlen(name)) % BUCKETS;
}

/* One word: a person types it. */
static bool is_proper(const char *name)
{
    size_t bytes = strnlen(name, HX_NAME_MAX);
    for (size_t i = 0; i < bytes; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return bytes > 0 && bytes < HX_NAME_MAX;
}

/* Locked. */
static struct hx_topic *find(const char *name)
{
    struct hx_topic *topic = NULL;
    LIST_FOREACH(topic, &topics.bucket[bucket_of(name)], link)
        if (strcmp(topic->name, name) == 0)
            break;
    return topic;
}

static hx_status_t enter(struct hx_topic *topic)
{
    hx_status_t err = HX_OK;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    if (find(topic->name))
        err = HX_E_EXIST;
    else if (topics.count == HX_TOPICS_MAX)
        err = HX_E_LIMIT;
    if (err == HX_OK) {
        LIST_INSERT_HEAD(&topics.bucket[bucket_of(topic->name)], topic, link);
        topics.count++;
    }
    hx_lock_release(&lock, flags);
    return err;
}

hx_status_t hx_topic_create(const char *name, struct hx_holder *owner, struct hx_topic **out)
{
    if (!is_proper(name))
        return HX_E_INVAL;
    struct hx_topic *topic = hx_hal_alloc(sizeof(*topic));
    if (!topic)
        return HX_E_NOMEM;
    memcpy(topic->name, name, strlen(name));
    topic->owner = owner;
    topic->lock = (struct hx_lock)HX_LOCK_INIT(HX_RANK_TOPIC);
    TAILQ_INIT(&topic->subscriptions);
    hx_status_t err = enter(topic);
    if (err == HX_OK)
        *out = topic;
    else
        hx_hal_free(topic);
    return err;
}

void hx_topic_destroy(struct hx_topic *topic)
{
    if (!topic)
        return;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    LIST_REMOVE(topic, link);
    topics.count--;
    hx_lock_release(&lock, flags);
    flags = hx_lock_acquire(&topic->lock);
    topic->gone = true;
    bool unused = topic->subscribers == 0;
    hx_lock_release(&topic->lock, flags);
    if (unused)
        hx_hal_free(topic);
}

struct hx_topic *hx_topic_find(const char *name)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_topic *topic = find(name);
    hx_lock_release(&lock, flags);
    return topic;
}

hx_status_t hx_topic_find_own(const char *name, const struct hx_holder *owner, struct hx_topic **out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock); /* over the look at whose it is: another's may go at any time */
    struct hx_topic *topic = find(name);
    hx_status_t err = !topic ? HX_E_NOENT : topic->owner == owner ? HX_OK : HX_E_PERM;
    hx_lock_release(&lock, flags);
    if (err == HX_OK)
        *out = topic;
    return err;
}

struct hx_topic *hx_topic_next(const struct hx_topic *topic)
{
    struct hx_topic *next = topic ? LIST_NEXT(topic, link) : NULL;
    for (uint32_t i = topic ? bucket_of(topic->name) + 1 : 0; !next && i < BUCKETS; i++)
        next = LIST_FIRST(&topics.bucket[i]);
    return next;
}

/* ---- subscriptions -------------------------------------------------------------------------------------------------- */
void hx_topic_bind_wanted(struct hx_topic *topic, void (*wanted)(struct hx_topic *topic))
{
    topic->wanted = wanted;
}

void hx_event_subscribe(struct hx_topic *topic, struct hx_subscription *subscription, bool history)
{
    subscription->lock.rank = HX_RANK_TOPICS;
    hx_irq_flags_t outer = hx_lock_acquire(&subscription->lock);
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    __atomic_store_n(&subscription->topic, topic, __ATOMIC_RELAXED);
    subscription->next = topic->published + 1 - (history ? hx_topic_kept(topic) : 0);
    subscription->delivered = subscription->lost = 0;
    subscription->notified = false;
    TAILQ_INSERT_TAIL(&topic->subscriptions, subscription, link);
    bool first = topic->subscribers++ == 0;
    hx_lock_release(&topic->lock, flags);
    hx_lock_release(&subscription->lock, outer);
    if (first && topic->wanted)
        topic->wanted(topic);
}

void hx_event_unsubscribe(struct hx_subscription *subscription)
{
    struct hx_topic *topic = subscription->topic;
    if (!topic)
        return;
    hx_irq_flags_t outer = hx_lock_acquire(&subscription->lock);
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    TAILQ_REMOVE(&topic->subscriptions, subscription, link);
    __atomic_store_n(&subscription->topic, NULL, __ATOMIC_RELAXED);
    bool unused = --topic->subscribers == 0 && topic->gone;
    hx_lock_release(&topic->lock, flags);
    hx_lock_release(&subscription->lock, outer);
    if (unused)
        hx_hal_free(topic);
}

void hx_event_set_filter(struct hx_subscription *subscription, const struct hx_event_filter *filter)
{
    subscription->lock.rank = HX_RANK_TOPICS;
    hx_irq_flags_t outer = hx_lock_acquire(&subscription->lock), flags = 0;
    struct hx_topic *topic = subscription->topic;
    if (topic)
        flags = hx_lock_acquire(&topic->lock);
    subscription->filter = *filter;
    if (topic)
        hx_lock_release(&topic->lock, flags);
    hx_lock_release(&subscription->lock, outer);
}

/* The table is locked: the topic's owner may go at any time. */
hx_status_t hx_topic_publish(const char *name, const struct hx_holder *source, const struct hx_event *event)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_topic *topic = find(name);
    hx_status_t err = !topic ? HX_E_NOENT : topic->owner == &hx_kernel_holder ? HX_E_PERM : HX_OK;
    if (err == HX_OK)
        hx_event_publish(topic, source, event);
    hx_lock_release(&lock, flags);
    hx_preempt_disable();
    hx_preempt_enable(); /* for whom that has woken */
    return err;
}

void hx_topic_describe(struct hx_topic *topic, struct hx_topic_info *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    *out = (struct hx_topic_info){ .name = topic->name,
                                   .owner = topic->owner->name,
                                   .published = topic->published,
                                   .subscribers = topic->subscribers };
    hx_lock_release(&topic->lock, flags);
}

uint32_t hx_topic_read(struct hx_topic *topic, struct hx_event *out, uint32_t max)
{
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    uint32_t count = (uint32_t)hx_topic_kept(topic);
    if (count > max)
        count = max;
    for (uint32_t i = 0; i < count; i++)
        out[i] = *hx_topic_place(topic, topic->published + 1 - count + i);
    hx_lock_release(&topic->lock, flags);
    return count;
}

hx_ret_t hx_topic_read_of(const char *name, struct hx_event *out, uint32_t max)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_topic *topic = find(name);
    hx_ret_t count = topic ? (hx_ret_t)hx_topic_read(topic, out, max) : HX_E_NOENT;
    hx_lock_release(&lock, flags);
    return count;
}
