/* SPDX-License-Identifier: MIT */
/*
 * cmd_events.c - commands about what is published and who serves: topics, events, journal, services, request.
 *
 * Topics and services come and go with modules, whenever the worker runs; what is printed has been copied with preemption off.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "message_text.h"
#include "nearest.h"

#include <helix/journal.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <lib/fmt.h>
#include <module/capability.h>
#include <module/module.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

enum { EVENTS_SHOWN = 16, TIMEOUT_MS = 5000, TIMEOUT_MS_MAX = 86400000 };
static const uint64_t look_ns = 200000000;

/* ---- topics --------------------------------------------------------------------------------------------------------- */
/* Copies what there is to say of topic @index. */
static bool copy_topic(uint32_t index, struct hx_topic_info *out, char name[HX_NAME_MAX], char owner[HX_NAME_MAX])
{
    hx_preempt_disable();
    struct hx_topic *topic = hx_topic_next(NULL);
    while (topic && index-- > 0)
        topic = hx_topic_next(topic);
    if (topic) {
        hx_topic_describe(topic, out);
        hx_fmt(name, HX_NAME_MAX, "%s", out->name);
        hx_fmt(owner, HX_NAME_MAX, "%s", out->owner);
    }
    hx_preempt_enable();
    return topic;
}

static hx_status_t cmd_topics(int argc, char **argv)
{
    struct hx_topic_info info;
    char name[HX_NAME_MAX], owner[HX_NAME_MAX];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_table("TOPIC                OWNER                EVENTS SUBSCRIBERS");
    for (uint32_t i = 0; copy_topic(i, &info, name, owner); i++)
        hx_console_row("topic owner events subscribers", "%-20s %-16s %10llu %11u\n", name, owner,
                       (unsigned long long)info.published, info.subscribers);
    return HX_OK;
}

static void offer_topics(void (*offer)(void *to, const char *name), void *to)
{
    hx_preempt_disable();
    for (struct hx_topic *topic = NULL; (topic = hx_topic_next(topic));)
        offer(to, topic->name);
    hx_preempt_enable();
}

/* ---- one event ------------------------------------------------------------------------------------------------------ */
static const char *type_name(uint32_t type, char number[12])
{
    static const char *const names[] = {
        [HX_EVENT_MODULE_LOADED] = "loaded",
        [HX_EVENT_MODULE_UNLOADED] = "unloaded",
        [HX_EVENT_MODULE_SWAPPED] = "swapped",
        [HX_EVENT_MODULE_FAULTED] = "faulted",
        [HX_EVENT_MODULE_STATE] = "state",
        [HX_EVENT_TASK_CREATED] = "created",
        [HX_EVENT_TASK_EXITED] = "exited",
        [HX_EVENT_INTERRUPT] = "interrupt",
        [HX_EVENT_TIMER] = "timer",
        [HX_EVENT_MEMORY_PRESSURE] = "pressure",
        [HX_EVENT_CAPABILITY] = "capability",
        [HX_EVENT_RESOURCE] = "resource",
        [HX_EVENT_MODULE_RESTARTED] = "restarted",
    };
    if (type < HX_ARRAY_SIZE(names) && names[type])
        return names[type];
    hx_fmt(number, 12, "%u", type);
    return number;
}

static void capability_text(uint64_t number, char out[HX_NAME_MAX])
{
    static const char *const happened[] = { "granted", "revoked", "expired", "denied" };
    uint64_t what = number >> 32;
    hx_fmt(out, HX_NAME_MAX, "%s %s", what < HX_ARRAY_SIZE(happened) ? happened[what] : "?",
           hx_capability_type_name((uint32_t)number));
}

static void resource_text(uint64_t number, char out[HX_NAME_MAX])
{
    struct hx_resource_pool pool = { .name = "?" };
    (void)!hx_resource_pool_get((enum hx_resource)number, &pool);
    hx_fmt(out, HX_NAME_MAX, "over its quota of %s", pool.name);
}

/* What the kernel publishes has a name and a number. */
static void kernel_text(const struct hx_event *event, char *out, size_t bytes)
{
    uint64_t number = event->words[HX_EVENT_NUMBER];
    char text[HX_NAME_MAX];
    if (event->type == HX_EVENT_MODULE_STATE)
        hx_fmt(text, sizeof(text), "%s", hx_module_state_name((enum hx_module_state)number));
    else if (event->type < HX_EVENT_MODULE_STATE || event->type == HX_EVENT_MODULE_RESTARTED)
        hx_version_text((uint32_t)number, text);
    else if (event->type == HX_EVENT_TASK_CREATED || event->type == HX_EVENT_TASK_EXITED)
        hx_fmt(text, sizeof(text), "%u", hx_handle_index(number));
    else if (event->type == HX_EVENT_CAPABILITY)
        capability_text(number, text);
    else if (event->type == HX_EVENT_RESOURCE)
        resource_text(number, text);
    else
        hx_fmt(text, sizeof(text), "%llu", (unsigned long long)number);
    hx_fmt(out, bytes, "%.31s %s", event->text, text);
}

static void print_event(const char *topic, const struct hx_event *event)
{
    char source[HX_NAME_MAX], number[12], data[2 * HX_EVENT_BYTES_MAX + 1];
    hx_text_source(event->source, source);
    if (event->source == HX_HANDLE_NONE && event->type < HX_EVENT_CUSTOM && event->bytes == HX_EVENT_BYTES_MAX)
        kernel_text(event, data, sizeof(data));
    else
        hx_text_data(event->data, event->bytes, data, sizeof(data));
    hx_console_object("time_ns topic sequence type source what", "%llu %s %u %s %s %s",
                      (unsigned long long)event->time_ns, topic, event->sequence, type_name(event->type, number),
                      source, data);
    hx_console_printf("%6llu.%06u %-14s %6u %-10s %-10s %s\n", (unsigned long long)(event->time_ns / 1000000000),
                      (unsigned)(event->time_ns % 1000000000 / 1000), topic, event->sequence,
                      type_name(event->type, number), source, data);
}

/* ---- events --------------------------------------------------------------------------------------------------------- */
/* A topic that is looked at, and what has been seen of it and not printed. */
struct feed {
    char name[HX_NAME_MAX];
    struct hx_subscription subscription;
    uint32_t count, printed;
    struct hx_event event[HX_EVENT_HISTORY];
};
struct feeds {
    struct feed *feed;
    uint32_t count;
    uint64_t lost;
};

/* Time passes only while somebody looks: who wants to see it names it. */
static bool is_meant(const struct hx_topic *topic, const char *name)
{
    return strcmp(topic->name, name ? name : HX_TOPIC_TIME) == 0 ? name != NULL : name == NULL;
}

/* Preemption off. Subscribes, up to @max. Returns how many there are. */
static uint32_t subscribe(struct feeds *feeds, const char *name, uint32_t max)
{
    uint32_t count = 0;
    for (struct hx_topic *topic = NULL; (topic = hx_topic_next(topic));) {
        if (!is_meant(topic, name))
            continue;
        if (count++ >= max)
            continue;
        struct feed *feed = &feeds->feed[feeds->count++];
        hx_fmt(feed->name, sizeof(feed->name), "%s", topic->name);
        feed->subscription.filter.types = HX_EVENTS_ALL;
        hx_event_subscribe(topic, &feed->subscription, true);
    }
    return count;
}

static hx_status_t open_feeds(struct feeds *feeds, const char *name)
{
    hx_preempt_disable();
    uint32_t count = subscribe(feeds, name, 0);
    hx_preempt_enable();
    if (count == 0)
        return HX_E_NOENT;
    feeds->feed = hx_hal_alloc(count * sizeof(*feeds->feed));
    if (!feeds->feed)
        return HX_E_NOMEM;
    hx_preempt_disable();
    (void)subscribe(feeds, name, count);
    hx_preempt_enable();
    return HX_OK;
}

static void close_feeds(struct feeds *feeds)
{
    for (uint32_t i = 0; i < feeds->count; i++)
        hx_event_unsubscribe(&feeds->feed[i].subscription);
    hx_hal_free(feeds->feed);
}

/* Takes what is new; returns how many events that is. */
static uint32_t gather(struct feeds *feeds)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < feeds->count; i++) {
        struct feed *feed = &feeds->feed[i];
        feed->count = feed->printed = 0;
        while (feed->count < HX_EVENT_HISTORY && hx_event_next(&feed->subscription, &feed->event[feed->count]))
            feed->count++;
        count += feed->count;
        feeds->lost += feed->subscription.lost;
        feed->subscription.lost = 0;
    }
    return count;
}

static struct feed *earliest(struct feeds *feeds)
{
    struct feed *first = NULL;
    for (uint32_t i = 0; i < feeds->count; i++) {
        struct feed *feed = &feeds->feed[i];
        if (feed->printed < feed->count &&
            (!first || feed->event[feed->printed].time_ns < first->event[first->printed].time_ns))
            first = feed;
    }
    return first;
}

/* The last @max of what has been gathered, in order of time. */
static void print_gathered(struct feeds *feeds, uint32_t count, uint64_t max)
{
    struct feed *feed = NULL;
    if (feeds->lost > 0)
        hx_console_row("lost", "events: %llu lost\n", (unsigned long long)feeds->lost);
    feeds->lost = 0;
    for (; (feed = earliest(feeds)) && !hx_console_interrupted(); count--, feed->printed++)
        if (count <= max)
            print_event(feed->name, &feed->event[feed->printed]);
}

static void show_events(struct feeds *feeds, uint64_t max, bool follow)
{
    hx_console_table("          TIME TOPIC             SEQ TYPE       SOURCE     WHAT");
    print_gathered(feeds, gather(feeds), max);
    /* What was typed before is for the prompt. */
    for (bool first = true; follow && !hx_console_pause(hx_hal_clock_ns() + look_ns, !first); first = false)
        print_gathered(feeds, gather(feeds), UINT64_MAX);
}

static void offer_nearest(void *nearest, const char *name)
{
    hx_nearest_offer(nearest, name);
}

static hx_status_t refuse_topic(const char *command, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    offer_topics(offer_nearest, &nearest);
    return hx_command_unknown(command, "topic", name, hx_nearest_name(&nearest), "see topics");
}

static hx_status_t cmd_events(int argc, char **argv)
{
    struct feeds feeds = { 0 };
    const char *name = NULL;
    uint64_t max = EVENTS_SHOWN;
    bool follow = false;
    hx_status_t err = HX_OK;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0)
            follow = true;
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            err = hx_command_number(argv[++i], UINT32_MAX, &max);
        else if (argv[i][0] != '-' && !name)
            name = argv[i];
        else
            return hx_command_usage(argv[0]);
        if (err != HX_OK)
            return hx_command_refuse(argv[0], argv[i], err, "give a number of events");
    }
    err = open_feeds(&feeds, name);
    if (err == HX_E_NOENT && name)
        return refuse_topic(argv[0], name);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], "topics", err, NULL);
    show_events(&feeds, max, follow);
    close_feeds(&feeds);
    return HX_OK;
}

static void offer_word(void *matches, const char *name)
{
    hx_editor_offer(matches, name);
}

static void complete_topics(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        offer_topics(offer_word, matches);
}

/* ---- services ------------------------------------------------------------------------------------------------------- */
static bool copy_service(uint32_t index, struct hx_service *out, char owner[HX_NAME_MAX])
{
    hx_preempt_disable();
    const struct hx_service *service = hx_router_next(NULL);
    while (service && index-- > 0)
        service = hx_router_next(service);
    if (service) {
        *out = *service;
        hx_fmt(owner, HX_NAME_MAX, "%s", service->owner->name);
    }
    hx_preempt_enable();
    return service;
}

static hx_status_t cmd_services(int argc, char **argv)
{
    struct hx_service service;
    char owner[HX_NAME_MAX];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_table("SERVICE              OWNER              REQUESTS    REPLIES ERRORS REPEATED");
    for (uint32_t i = 0; copy_service(i, &service, owner); i++)
        hx_console_row("service owner requests replies errors repeated", "%-20s %-16s %10llu %10llu %6llu %8llu\n",
                       service.name, owner, (unsigned long long)service.requests, (unsigned long long)service.replies,
                       (unsigned long long)service.errors, (unsigned long long)service.repeated);
    return HX_OK;
}

static void offer_services(void (*offer)(void *to, const char *name), void *to)
{
    hx_preempt_disable();
    for (const struct hx_service *service = NULL; (service = hx_router_next(service));)
        offer(to, service->name);
    hx_preempt_enable();
}

static void complete_services(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        offer_services(offer_word, matches);
}

static hx_status_t refuse_service(const char *command, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    offer_services(offer_nearest, &nearest);
    return hx_command_unknown(command, "service", name, hx_nearest_name(&nearest), "see services");
}

static hx_status_t ask(const char *command, const char *name, struct hx_message *message, uint64_t timeout_ms)
{
    char text[2 * HX_INLINE_MAX + 1];
    uint64_t began_ns = hx_hal_clock_ns();
    hx_handle_t service = hx_router_find(name);
    if (service == HX_HANDLE_NONE)
        return refuse_service(command, name);
    hx_status_t err = hx_router_request(service, &hx_kernel_holder, message, began_ns + timeout_ms * 1000000);
    uint64_t us = (hx_hal_clock_ns() - began_ns) / 1000;
    if (err != HX_OK)
        return hx_command_refuse(command, name, err, err == HX_E_TIMEOUT ? "try again, or a longer --timeout" : NULL);
    if (message->type == HX_MESSAGE_ERROR)
        return hx_command_refuse(command, name, -(hx_ret_t)message->code, "the service says so");
    hx_text_data(message->data, message->payload == HX_PAYLOAD_INLINE ? message->bytes : 0, text, sizeof(text));
    hx_console_printf("request: reply in %llu us, code %u: %s\n", (unsigned long long)us, message->code, text);
    return HX_OK;
}

static hx_status_t cmd_request(int argc, char **argv)
{
    struct hx_message message = { .priority = HX_PRIORITY_NORMAL };
    uint64_t code = 0, timeout_ms = TIMEOUT_MS;
    if (argc > 4 && strcmp(argv[argc - 2], "--timeout") == 0) {
        argc -= 2;
        hx_status_t err = hx_command_number(argv[argc + 1], TIMEOUT_MS_MAX, &timeout_ms);
        if (err != HX_OK)
            return hx_command_refuse(argv[0], argv[argc + 1], err, "give a number of milliseconds, a day at most");
    }
    if (argc != 3 && argc != 4)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_command_number(argv[2], UINT32_MAX, &code);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[2], err, "give the number of an operation of the service");
    message.code = (uint32_t)code;
    if (argc == 4) {
        size_t bytes = strlen(argv[3]);
        if (bytes > HX_INLINE_MAX)
            return hx_command_refuse(argv[0], "TEXT", HX_E_LIMIT, "give at most 64 bytes");
        memcpy(message.data, argv[3], bytes);
        message.bytes = (uint8_t)bytes;
        message.payload = HX_PAYLOAD_INLINE;
    }
    return ask(argv[0], argv[1], &message, timeout_ms);
}

/* ---- journal -------------------------------------------------------------------------------------------------------- */
/* Asks svc_log, or whoever serves in its place. */
static hx_status_t ask_journal(uint32_t code, const struct hx_journal_query *query, struct hx_message *out)
{
    *out = (struct hx_message){ .code = code, .payload = HX_PAYLOAD_INLINE, .bytes = sizeof(*query) };
    memcpy(out->data, query, sizeof(*query));
    hx_status_t err = hx_router_request(hx_router_find(HX_JOURNAL_SERVICE), &hx_kernel_holder, out,
                                        hx_hal_clock_ns() + TIMEOUT_MS * UINT64_C(1000000));
    if (err == HX_OK && out->type == HX_MESSAGE_ERROR)
        return -(hx_status_t)out->code;
    size_t expected = code == HX_JOURNAL_NEXT ? sizeof(struct hx_event) : sizeof(struct hx_journal_extent);
    return err == HX_OK && (out->payload != HX_PAYLOAD_INLINE || out->bytes != expected) ? HX_E_FORMAT : err;
}

static hx_status_t cmd_journal(int argc, char **argv)
{
#define TOPIC_TEXT(name, topic) topic,
    static const char *const topics[] = { HX_JOURNAL_TOPICS(TOPIC_TEXT) };
    struct hx_journal_query query = { .types = HX_EVENTS_ALL };
    struct hx_journal_extent extent;
    struct hx_message message;
    uint64_t max = EVENTS_SHOWN;
    if (argc != 1 && (argc != 3 || strcmp(argv[1], "-n") != 0))
        return hx_command_usage(argv[0]);
    hx_status_t err = argc == 3 ? hx_command_number(argv[2], UINT32_MAX, &max) : HX_OK;
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[2], err, "give a number of events");
    err = ask_journal(HX_JOURNAL_EXTENT, &query, &message);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], HX_JOURNAL_SERVICE, err, "is svc_log loaded? see services");
    memcpy(&extent, message.data, sizeof(extent));
    query.since = extent.last > max ? extent.last - (uint32_t)max + 1 : 1;
    hx_console_table("          TIME TOPIC             SEQ TYPE       SOURCE     WHAT");
    while (!hx_console_interrupted() && ask_journal(HX_JOURNAL_NEXT, &query, &message) == HX_OK) {
        struct hx_event event;
        memcpy(&event, message.data, sizeof(event));
        print_event(event.reserved < HX_ARRAY_SIZE(topics) ? topics[event.reserved] : "?", &event);
        if (event.sequence >= extent.last) /* what is asked is published, too */
            break;
        query.since = event.sequence + 1;
    }
    hx_console_printf("journal: %u events kept of %u, %llu lost\n", extent.kept, extent.last,
                      (unsigned long long)extent.lost);
    return HX_OK;
}

const struct hx_command hx_commands_events[] = {
    { .id = { HX_CAPABILITY_DEBUG, "topics" },
      .arguments = "",
      .summary = "topics, and what was published on them",
      .handler = cmd_topics },
    { .id = { HX_CAPABILITY_DEBUG, "events" },
      .arguments = "[TOPIC] [-f] [-n N]",
      .summary = "what happened: the last events of a topic, or of all",
      .handler = cmd_events,
      .help = "The last N, 16 if left out. -f: and what happens from now on, until a key is pressed.\n"
              "The seconds of hx.time are shown when it is named.",
      .complete = complete_topics },
    { .id = { HX_CAPABILITY_DEBUG, "journal" },
      .arguments = "[-n N]",
      .summary = "what svc_log has kept of all topics, in one order",
      .handler = cmd_journal,
      .help = "The last N, 16 if left out. SEQ is the number in the journal." },
    { .id = { HX_CAPABILITY_DEBUG, "services" },
      .arguments = "",
      .summary = "services, and what was asked of them",
      .handler = cmd_services },
    { .id = { HX_CAPABILITY_IPC, "request" },
      .arguments = "SERVICE CODE [TEXT] [--timeout MS]",
      .summary = "ask a service, and wait for its reply",
      .handler = cmd_request,
      .help = "CODE is the number of an operation, TEXT up to 64 bytes of its data. MS is 5000 if left out.",
      .complete = complete_services },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
