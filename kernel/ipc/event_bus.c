/* SPDX-License-Identifier: MIT */
/*
 * event_bus.c - publishing an event, and looking at the next; see event_bus.h. Built for speed, as the rest of it is for size.
 */
#include "event_bus.h"

#include <string.h>
#include <task/task.h>

/* ---- publishing ----------------------------------------------------------------------------------------------------- */
static __attribute__((noinline)) bool is_of(const struct hx_event_filter *filter, hx_handle_t source)
{
    for (uint32_t i = 0; i < filter->sources; i++)
        if (filter->source[i] == source)
            return true;
    return false;
}

static inline bool passes(const struct hx_event_filter *filter, const struct hx_event *event)
{
    if (!(filter->types >> event->type % HX_EVENT_TYPE_COUNT & 1u))
        return false;
    return __builtin_expect(filter->sources == 0, 1) || is_of(filter, event->source);
}

static hx_handle_t source_of(const struct hx_holder *holder)
{
    if (!holder)
        return HX_HANDLE_NONE;
    return holder->self ? holder->self : hx_task_current()->handle;
}

/* Locked. */
static inline void notify(struct hx_topic *topic, const struct hx_event *event)
{
    struct hx_subscription *subscription = NULL;
    TAILQ_FOREACH(subscription, &topic->subscriptions, link) {
        if (subscription->notified || !subscription->notify || !passes(&subscription->filter, event))
            continue;
        subscription->notified = true;
        subscription->notify(subscription);
    }
}

void hx_event_publish(struct hx_topic *topic, const struct hx_holder *source, const struct hx_event *event)
{
    if (!topic)
        return;
    hx_handle_t from = source_of(source);
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    uint64_t now_ns = hx_hal_clock_ns(), number = ++topic->published;
    struct hx_event *place = hx_topic_place(topic, number);
    place->time_ns = now_ns;
    place->source = from;
    place->sequence = (uint32_t)number;
    place->type = event->type;
    place->bytes = event->bytes < HX_EVENT_BYTES_MAX ? event->bytes : HX_EVENT_BYTES_MAX;
    memcpy(place->data, event->data, HX_EVENT_BYTES_MAX);
    notify(topic, place);
    hx_lock_release(&topic->lock, flags);
    if (__builtin_expect(hx_cpu_read(need_resched), 0)) {
        /* For whom it has woken: while the lock was held it could not be. */
        hx_preempt_disable();
        hx_preempt_enable();
    }
}

/* ---- looking -------------------------------------------------------------------------------------------------------- */
/* Locked. What has been overwritten meanwhile is lost. */
static void catch_up(struct hx_subscription *subscription, const struct hx_topic *topic)
{
    uint64_t oldest = topic->published + 1 - hx_topic_kept(topic);
    if (subscription->next < oldest) {
        subscription->lost += oldest - subscription->next;
        subscription->next = oldest;
    }
}

static bool look(struct hx_subscription *subscription, struct hx_topic *topic, struct hx_event *out)
{
    bool found = false;
    hx_irq_flags_t flags = hx_lock_acquire(&topic->lock);
    subscription->notified = false;
    catch_up(subscription, topic);
    while (!found && subscription->next <= topic->published) {
        const struct hx_event *event = hx_topic_place(topic, subscription->next++);
        found = passes(&subscription->filter, event);
        if (found)
            *out = *event;
    }
    subscription->delivered += found;
    hx_lock_release(&topic->lock, flags);
    return found;
}

bool hx_event_next(struct hx_subscription *subscription, struct hx_event *out)
{
    bool found = false;
    if (!__atomic_load_n(&subscription->topic, __ATOMIC_RELAXED))
        return false;
    hx_irq_flags_t flags = hx_lock_acquire(&subscription->lock);
    struct hx_topic *topic = subscription->topic; /* it stays: to take the subscription from it needs the lock */
    if (topic)
        found = look(subscription, topic, out);
    hx_lock_release(&subscription->lock, flags);
    return found;
}

bool hx_event_is_waiting(const struct hx_subscription *subscription)
{
    const struct hx_topic *topic = subscription->topic;
    return topic && subscription->next <= __atomic_load_n(&topic->published, __ATOMIC_ACQUIRE);
}
