/* SPDX-License-Identifier: MIT */
/* test_svc_log.c - what svc_log keeps and tells: alone, under the sanitizers, and through swaps in a whole Helix. */
#include "modules/module_host.h"
#include "modules/single_step.h"
#include "world.h"

#include <criterion/criterion.h>
#include <helix/journal.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <orchestrator/callbacks.h>
#include <string.h>

enum { RECORDS = 256 };
static uint32_t sent[HX_JOURNAL_TOPIC_COUNT];

static void reset(void)
{
    memset(svc_log1.state, 0, svc_log1.state_bytes);
    memset(sent, 0, sizeof(sent));
}
TestSuite(svc_log, .init = reset);

/* The next event of a topic, as the kernel tells it; all of its data is made from its number. */
static struct hx_event event_of(enum hx_journal_topic topic, uint16_t type)
{
    struct hx_event event = { .sequence = ++sent[topic], .type = type, .bytes = HX_EVENT_BYTES_MAX };
    event.time_ns = event.sequence * 1000;
    memset(event.data, (int)event.sequence, sizeof(event.data));
    return event;
}

static void happen(enum hx_journal_topic topic, uint16_t type)
{
    struct hx_event event = event_of(topic, type);
    hx_ret_t err = (topic == HX_JOURNAL_tasks ? svc_log1_hear_tasks : svc_log1_hear_modules)(&event, sizeof(event));
    cr_assert_eq(err, HX_OK);
}

static hx_ret_t ask(uint32_t since, uint64_t types, struct hx_event *out)
{
    struct hx_journal_query query = { types, since, 0 };
    struct hx_message message = { .code = HX_JOURNAL_NEXT, .payload = HX_PAYLOAD_INLINE, .bytes = sizeof(query) };
    memcpy(message.data, &query, sizeof(query));
    hx_ret_t err = svc_log1_serve(&message, sizeof(message));
    if (err == HX_OK) {
        cr_assert(message.payload == HX_PAYLOAD_INLINE && message.bytes == sizeof(*out));
        memcpy(out, message.data, sizeof(*out));
    }
    return err;
}

static struct hx_journal_extent extent(void)
{
    struct hx_journal_extent extent;
    struct hx_message message = { .code = HX_JOURNAL_EXTENT };
    cr_assert_eq(svc_log1_serve(&message, sizeof(message)), HX_OK);
    cr_assert_eq(message.bytes, sizeof(extent));
    memcpy(&extent, message.data, sizeof(extent));
    return extent;
}

static bool is_whole(const struct hx_event *event)
{
    for (uint32_t i = 1; i < HX_EVENT_BYTES_MAX; i++)
        if (event->data[i] != event->data[0])
            return false;
    return event->bytes == HX_EVENT_BYTES_MAX && event->data[0] == (uint8_t)(event->time_ns / 1000);
}

Test(svc_log, events_of_all_topics_are_kept_in_one_order)
{
    struct hx_event event;
    cr_assert_eq(ask(0, HX_EVENTS_ALL, &event), HX_E_NOENT);
    cr_assert(extent().last == 0 && extent().kept == 0);
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    happen(HX_JOURNAL_modules, HX_EVENT_MODULE_LOADED);
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_EXITED);
    cr_assert(ask(0, HX_EVENTS_ALL, &event) == HX_OK && event.sequence == 1 && is_whole(&event));
    cr_assert(event.type == HX_EVENT_TASK_CREATED && event.reserved == HX_JOURNAL_tasks);
    cr_assert(ask(2, HX_EVENTS_ALL, &event) == HX_OK && event.sequence == 2 && is_whole(&event));
    cr_assert(event.type == HX_EVENT_MODULE_LOADED && event.reserved == HX_JOURNAL_modules);
    cr_assert(ask(3, HX_EVENTS_ALL, &event) == HX_OK && event.sequence == 3 && event.time_ns == 2000);
    cr_assert_eq(ask(4, HX_EVENTS_ALL, &event), HX_E_NOENT);
    cr_assert_eq(ask(UINT32_MAX, HX_EVENTS_ALL, &event), HX_E_NOENT);
    cr_assert(extent().last == 3 && extent().kept == 3 && extent().lost == 0);
    host_expect_sound(&svc_log1);
}

Test(svc_log, types_that_are_not_asked_for_are_passed_over)
{
    struct hx_event event;
    for (uint32_t i = 0; i < 50; i++)
        happen(HX_JOURNAL_tasks, i == 40 ? HX_EVENT_TASK_EXITED : HX_EVENT_TASK_CREATED);
    cr_assert(ask(1, HX_EVENT_BIT(HX_EVENT_TASK_EXITED), &event) == HX_OK && event.sequence == 41);
    cr_assert_eq(ask(42, HX_EVENT_BIT(HX_EVENT_TASK_EXITED), &event), HX_E_NOENT);
    cr_assert_eq(ask(1, 0, &event), HX_E_NOENT);
}

Test(svc_log, the_oldest_are_overwritten)
{
    struct hx_event event;
    for (uint32_t i = 0; i < 3 * RECORDS + 7; i++)
        happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    cr_assert(extent().last == 3 * RECORDS + 7 && extent().kept == RECORDS && extent().lost == 0);
    for (uint32_t i = 2 * RECORDS + 8, since = 1; i <= 3 * RECORDS + 7; i++, since = event.sequence + 1)
        cr_assert(ask(since, HX_EVENTS_ALL, &event) == HX_OK && event.sequence == i && is_whole(&event), "%u", i);
    host_expect_sound(&svc_log1);
}

Test(svc_log, gaps_in_a_topics_numbers_are_counted_as_lost)
{
    sent[HX_JOURNAL_tasks] = 1000; /* it was published on before anybody listened */
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    cr_assert_eq(extent().lost, 0);
    sent[HX_JOURNAL_tasks] += 10;
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    happen(HX_JOURNAL_modules, HX_EVENT_MODULE_LOADED);
    cr_assert(extent().lost == 10 && extent().kept == 3);
    sent[HX_JOURNAL_tasks] = UINT32_MAX - 1;
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    uint64_t lost = extent().lost;
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED); /* number 0: they wrap */
    cr_assert_eq(extent().lost, lost);
}

Test(svc_log, requests_that_are_none_are_refused)
{
    struct hx_message message = { .code = HX_JOURNAL_NEXT };
    cr_assert_eq(svc_log1_serve(&message, sizeof(message)), HX_E_INVAL);
    message.payload = HX_PAYLOAD_INLINE;
    for (message.bytes = 0; message.bytes <= HX_INLINE_MAX; message.bytes++)
        if (message.bytes != sizeof(struct hx_journal_query))
            cr_assert_eq(svc_log1_serve(&message, sizeof(message)), HX_E_INVAL);
    message.code = HX_JOURNAL_EXTENT + 1;
    cr_assert_eq(svc_log1_serve(&message, sizeof(message)), HX_E_UNSUPPORTED);
}

Test(svc_log, check_finds_seeded_corruptions)
{
    enum { HEAD = 2, WORDS = 8 };
    for (uint32_t i = 0; i < 100; i++)
        happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
    const struct corruption list[] = {
        { "last", 0, 102 },
        { "last", 0, UINT32_MAX },
        { "words", 5 * WORDS + HEAD, 6 },
        { "words", 5 * WORDS + HEAD, UINT64_MAX },
        { "words", 200 * WORDS + HEAD, 5 },
        { "words", 5 * WORDS + HEAD, 5 | (uint64_t)HX_JOURNAL_TOPIC_COUNT << 56 },
    };
    host_expect_found(&svc_log1, list, HX_ARRAY_SIZE(list));
    host_field_set(&svc_log1, "words", 5 * WORDS + HEAD, 0);
    host_expect_sound(&svc_log1); /* one is being written */
    host_field_set(&svc_log1, "words", 6 * WORDS + HEAD, 0);
    cr_assert_eq(svc_log1.record->hooks.check(), HX_E_CORRUPT);
}

/* What is asked for is overwritten while it is read. */
static struct hx_event asked;
static hx_ret_t answer;

static void ask_for_the_oldest(void)
{
    answer = ask(1, HX_EVENTS_ALL, &asked);
}

static void overwrite_all(void)
{
    for (uint32_t i = 0; i < RECORDS + 1; i++)
        happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
}

Test(svc_log, events_that_come_at_any_instruction_of_a_request_do_not_tear_its_reply, .timeout = 120)
{
    uint32_t at = 1;
    overwrite_all();
    for (; single_step_strike(at, ask_for_the_oldest, overwrite_all); at++)
        if (answer == HX_OK)
            cr_assert(is_whole(&asked) && asked.time_ns == 1000ull * asked.sequence, "at instruction %u", at);
    cr_assert(answer == HX_OK && at > 100 && is_whole(&asked));
}

static void check(void)
{
    answer = svc_log1.record->hooks.check();
}

static void ask_in_between(void)
{
    struct hx_event event;
    cr_assert_eq(svc_log1.record->hooks.check(), HX_OK);
    if (ask(1, HX_EVENTS_ALL, &event) == HX_OK)
        cr_assert(is_whole(&event));
}

static void keep_one(void)
{
    happen(HX_JOURNAL_tasks, HX_EVENT_TASK_CREATED);
}

Test(svc_log, requests_and_checks_at_any_instruction_of_a_writer_find_all_in_order, .timeout = 120)
{
    overwrite_all();
    for (uint32_t at = 1; single_step_strike(at, keep_one, ask_in_between); at++)
        ;
    reset();
    for (uint32_t at = 1; single_step_strike(at, check, keep_one); at += 1 + host_random(1 + at / 10))
        cr_assert_eq(answer, HX_OK, "at instruction %u", at);
}

/* ---- in a whole Helix, through swaps ----------------------------------------------------------------------------------- */
enum { MS = 1000000 };
static struct hx_topic *tasks;

static void begin(void)
{
    static const char *const names[] = { HX_TOPIC_MODULES, HX_TOPIC_MEMORY, HX_TOPIC_INTERRUPTS, HX_TOPIC_SECURITY };
    struct hx_topic *topic;
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(hx_topic_create(HX_TOPIC_TASKS, &hx_kernel_holder, &tasks), HX_OK);
    for (size_t i = 0; i < HX_ARRAY_SIZE(names); i++)
        cr_assert_eq(hx_topic_create(names[i], &hx_kernel_holder, &topic), HX_OK);
    cr_assert_eq(world_load("svc_log.hxm", &job), HX_OK, "%s", job.report.message);
}

static void publish(uint32_t count)
{
    hx_preempt_disable();
    while (count-- > 0) {
        struct hx_event event = { .type = HX_EVENT_TASK_CREATED, .bytes = 8 };
        hx_event_publish(tasks, NULL, &event);
    }
    hx_preempt_enable();
}

static hx_status_t request(void *message)
{
    return hx_router_request(hx_router_find(HX_JOURNAL_SERVICE), &hx_kernel_holder, message,
                             hx_hal_clock_ns() + 1000 * MS);
}

static struct hx_journal_extent world_extent(void)
{
    struct hx_journal_extent extent;
    struct hx_message message = { .code = HX_JOURNAL_EXTENT };
    cr_assert(world_run(request, &message) == HX_OK && message.type == HX_MESSAGE_REPLY);
    memcpy(&extent, message.data, sizeof(extent));
    return extent;
}

Test(svc_log, nothing_is_lost_over_swaps_while_events_come)
{
    begin();
    for (uint32_t i = 1; i <= 30; i++) {
        publish(HX_EVENT_HISTORY / 2);
        hal_host_advance(i * 97);
        cr_assert_eq(world_reload("svc_log", "svc_log.hxm", NULL), HX_OK);
        publish(HX_EVENT_HISTORY / 2);
        hal_host_advance(10 * MS);
    }
    struct hx_journal_extent extent = world_extent();
    cr_assert(extent.last == 30 * HX_EVENT_HISTORY && extent.lost == 0, "%u, %lu lost", extent.last, extent.lost);
    cr_assert_eq(extent.kept, RECORDS);
}

Test(svc_log, one_that_hangs_behind_holds_nobody_up_and_says_what_it_has_missed)
{
    begin();
    struct hx_module *module = hx_module_find("svc_log");
    publish(1);
    hal_host_advance(10 * MS);
    hx_module_close(module, false);
    publish(1000); /* returns */
    hx_preempt_disable();
    hx_lifecycle_reopen(module);
    hx_preempt_enable();
    hal_host_advance(10 * MS);
    struct hx_journal_extent extent = world_extent();
    cr_assert(extent.last == 1 + HX_EVENT_HISTORY && extent.lost == 1000 - HX_EVENT_HISTORY, "%u, %lu", extent.last,
              extent.lost);
}
