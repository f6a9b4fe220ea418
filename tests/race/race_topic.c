/* SPDX-License-Identifier: MIT */
/* race_topic.c - a subscription goes from topic to topic, the last of which has just gone, while somebody looks for events. */
#include "race.h"

#include <ipc/event_bus.h>

enum { TOPICS = 20000 };

static struct hx_holder holder = { .self = 1, .name = "race" };
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
            race_complain("an old event", event.words[1], last);
        topic = event.words[0];
        last = event.words[1];
    }
}

static void changer(uint32_t number)
{
    struct hx_topic *topic = NULL, *before = NULL;
    (void)number;
    for (uint64_t i = 1; i <= TOPICS; i++, before = topic) {
        race_expect("a topic", (uint64_t)hx_topic_create(i % 2 ? "one" : "two", &holder, &topic), HX_OK);
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

void race_topic_change(void)
{
    race_start(0, onlooker, 0);
    race_start(1, changer, 0);
    race_join(0, 2);
    hx_event_unsubscribe(&subscription);
}
