/* SPDX-License-Identifier: MIT */
/* test_event_bus.c - topics, their history, and who sees what is published. */
#include "task_fixture.h"

#include <ipc/event_bus.h>

static struct hx_topic *topic;
static const struct hx_holder module = { .self = ((hx_handle_t)HX_HANDLE_MODULE << 56) | 7, .name = "svc" };

static void start(void)
{
    machine_start();
    expect_ok(hx_topic_create("test.topic", &hx_kernel_holder, &topic));
}

static void stop(void)
{
    hx_topic_destroy(topic);
    machine_stop();
}

static void publish_type(uint16_t type, uint64_t number)
{
    struct hx_event event = { .type = type, .bytes = 8, .words = { number } };
    hx_event_publish(topic, &module, &event);
}

static void publish(uint64_t number)
{
    publish_type(HX_EVENT_CUSTOM, number);
}

/* Reads all that is there into the trace. */
static void drain(struct hx_subscription *subscription)
{
    struct hx_event event;
    while (hx_event_next(subscription, &event))
        note("%u:%llu", event.sequence, (unsigned long long)event.words[0]);
}

static struct hx_subscription everything(void)
{
    return (struct hx_subscription){ .filter.types = HX_EVENTS_ALL };
}

/* ---- topics --------------------------------------------------------------------------------------------------------- */
Test(event_bus, a_topic_is_found_by_its_name_until_it_is_destroyed)
{
    start();
    cr_assert_eq(hx_topic_find("test.topic"), topic);
    cr_assert_null(hx_topic_find("test.topi"));
    hx_topic_destroy(topic);
    cr_assert_null(hx_topic_find("test.topic"));
    hx_topic_destroy(NULL);
    machine_stop();
}

Test(event_bus, one_s_own_topic_is_found_and_another_s_is_not)
{
    start();
    struct hx_topic *found = NULL;
    cr_assert_eq(hx_topic_find_own("test.topic", &module, &found), HX_E_PERM);
    cr_assert_eq(hx_topic_find_own("test.topi", &module, &found), HX_E_NOENT);
    cr_assert_null(found);
    expect_ok(hx_topic_find_own("test.topic", &hx_kernel_holder, &found));
    cr_assert_eq(found, topic);
    stop();
}

Test(event_bus, a_name_is_given_once)
{
    start();
    struct hx_topic *other = NULL;
    cr_assert_eq(hx_topic_create("test.topic", &hx_kernel_holder, &other), HX_E_EXIST);
    cr_assert_null(other);
    stop();
}

Test(event_bus, a_name_is_one_word_that_fits)
{
    static const char *const bad[] = {
        "", "two words", "tab\there", "caf\xc3\xa9", "a-name-of-thirty-two-characters.", "\x7f"
    };
    start();
    struct hx_topic *other = NULL;
    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++)
        cr_assert_eq(hx_topic_create(bad[i], &hx_kernel_holder, &other), HX_E_INVAL, "%s", bad[i]);
    expect_ok(hx_topic_create("a-name-of-thirty-one-characters", &hx_kernel_holder, &other));
    hx_topic_destroy(other);
    stop();
}

Test(event_bus, topics_are_limited_and_their_memory_is_asked_for)
{
    static struct hx_topic *many[HX_TOPICS_MAX];
    struct hx_topic *other = NULL;
    char name[HX_NAME_MAX];
    machine_start();
    for (int i = 0; i < HX_TOPICS_MAX; i++) {
        snprintf(name, sizeof(name), "topic%d", i);
        expect_ok(hx_topic_create(name, &hx_kernel_holder, &many[i]));
    }
    cr_assert_eq(hx_topic_create("more", &hx_kernel_holder, &other), HX_E_LIMIT);
    hx_topic_destroy(many[0]);
    hal_host_fail_at(1);
    cr_assert_eq(hx_topic_create("more", &hx_kernel_holder, &other), HX_E_NOMEM);
    expect_ok(hx_topic_create("more", &hx_kernel_holder, &many[0]));
    uint32_t seen = 0;
    for (topic = NULL; (topic = hx_topic_next(topic));)
        seen++;
    cr_assert_eq(seen, HX_TOPICS_MAX);
    for (int i = 0; i < HX_TOPICS_MAX; i++)
        hx_topic_destroy(many[i]);
    machine_stop();
}

Test(event_bus, a_topic_tells_about_itself)
{
    struct hx_topic_info info;
    struct hx_subscription subscription = everything();
    start();
    hx_event_subscribe(topic, &subscription, false);
    publish(1);
    publish(2);
    hx_topic_describe(topic, &info);
    cr_assert_str_eq(info.name, "test.topic");
    cr_assert_str_eq(info.owner, hx_kernel_holder.name);
    cr_assert_eq(info.published, 2);
    cr_assert_eq(info.subscribers, 1);
    hx_event_unsubscribe(&subscription);
    hx_topic_describe(topic, &info);
    cr_assert_eq(info.subscribers, 0);
    stop();
}

/* ---- publishing ----------------------------------------------------------------------------------------------------- */
Test(event_bus, the_kernel_stamps_source_time_and_number)
{
    struct hx_event event = { .time_ns = 1, .source = 2, .sequence = 3, .type = HX_EVENT_CUSTOM, .bytes = 41 };
    struct hx_event seen[2];
    start();
    hal_host_advance(500);
    hx_event_publish(topic, &module, &event);
    hx_event_publish(topic, NULL, &event);
    cr_assert_eq(hx_topic_read(topic, seen, 2), 2);
    cr_assert_eq(seen[0].time_ns, 500);
    cr_assert_eq(seen[0].source, module.self);
    cr_assert_eq(seen[0].sequence, 1);
    cr_assert_eq(seen[0].bytes, HX_EVENT_BYTES_MAX, "no reader is led behind the data");
    cr_assert_eq(seen[1].source, HX_HANDLE_NONE);
    cr_assert_eq(seen[1].sequence, 2);
    stop();
}

static hx_status_t publish_as_kernel(void *argument)
{
    struct hx_event event = { .type = HX_EVENT_CUSTOM };
    hx_event_publish(topic, &hx_kernel_holder, &event);
    *(hx_handle_t *)argument = hx_task_current()->handle;
    return HX_OK;
}

Test(event_bus, a_holder_without_a_name_publishes_as_the_task)
{
    hx_handle_t task = HX_HANDLE_NONE;
    struct hx_event seen;
    start();
    spawn("publisher", publish_as_kernel, &task);
    cr_assert_eq(hx_topic_read(topic, &seen, 1), 1);
    cr_assert_eq(seen.source, task);
    stop();
}

Test(event_bus, publishing_to_no_topic_is_nothing)
{
    struct hx_event event = { .type = HX_EVENT_CUSTOM };
    hx_event_publish(NULL, NULL, &event);
}

/* ---- subscribers ---------------------------------------------------------------------------------------------------- */
Test(event_bus, each_subscriber_sees_all_events_in_order_at_his_own_pace)
{
    struct hx_subscription fast = everything(), slow = everything();
    start();
    hx_event_subscribe(topic, &fast, false);
    hx_event_subscribe(topic, &slow, false);
    publish(10);
    drain(&fast);
    publish(11);
    drain(&fast);
    expect_trace("1:10 2:11");
    drain(&slow);
    expect_trace("1:10 2:11");
    cr_assert_eq(slow.delivered, 2);
    cr_assert_eq(slow.lost, 0);
    hx_event_unsubscribe(&fast);
    hx_event_unsubscribe(&slow);
    stop();
}

Test(event_bus, a_subscriber_sees_what_comes_after_him_or_the_history_as_well)
{
    struct hx_subscription late = everything(), historian = everything();
    start();
    publish(10);
    publish(11);
    hx_event_subscribe(topic, &late, false);
    hx_event_subscribe(topic, &historian, true);
    publish(12);
    drain(&late);
    expect_trace("3:12");
    drain(&historian);
    expect_trace("1:10 2:11 3:12");
    hx_event_unsubscribe(&late);
    hx_event_unsubscribe(&historian);
    stop();
}

Test(event_bus, who_falls_behind_loses_the_oldest_and_is_told_how_many)
{
    struct hx_subscription slow = everything();
    struct hx_event event;
    start();
    hx_event_subscribe(topic, &slow, false);
    for (uint64_t i = 1; i <= HX_EVENT_HISTORY; i++)
        publish(i);
    cr_assert(hx_event_next(&slow, &event));
    cr_assert_eq(event.sequence, 1, "what the ring holds is not lost");
    cr_assert_eq(slow.lost, 0);
    for (uint64_t i = 0; i < 10; i++)
        publish(i);
    cr_assert(hx_event_next(&slow, &event));
    cr_assert_eq(event.sequence, 11);
    cr_assert_eq(slow.lost, 9);
    uint32_t count = 1;
    while (hx_event_next(&slow, &event))
        count++;
    cr_assert_eq(count, HX_EVENT_HISTORY);
    cr_assert_eq(slow.delivered, 1 + HX_EVENT_HISTORY);
    hx_event_unsubscribe(&slow);
    stop();
}

Test(event_bus, a_filter_lets_types_through)
{
    struct hx_subscription picky = { .filter.types = HX_EVENT_BIT(40) | HX_EVENT_BIT(63) };
    start();
    hx_event_subscribe(topic, &picky, false);
    publish_type(39, 1);
    publish_type(40, 2);
    publish_type(63, 3);
    publish_type(HX_EVENT_MODULE_LOADED, 4);
    drain(&picky);
    expect_trace("2:2 3:3");
    cr_assert_eq(picky.delivered, 2);
    hx_event_unsubscribe(&picky);
    stop();
}

Test(event_bus, a_filter_lets_several_sources_through_and_may_change)
{
    static struct hx_holder others[3] = { { .self = 71 }, { .self = 72 }, { .self = 73 } };
    struct hx_event_filter two = { HX_EVENTS_ALL, 2, { 71, 73 } }, kernel = { HX_EVENTS_ALL, 1, { HX_HANDLE_NONE } };
    struct hx_subscription picky = { 0 };
    start();
    hx_event_set_filter(&picky, &two);
    hx_event_subscribe(topic, &picky, false);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            struct hx_event event = { .type = HX_EVENT_CUSTOM, .words = { i } };
            hx_event_publish(topic, &others[i], &event);
        }
        hx_event_publish(topic, NULL, &(struct hx_event){ .type = HX_EVENT_CUSTOM, .words = { 9 } });
        drain(&picky);
        expect_trace(round ? "8:9" : "1:0 3:2");
        hx_event_set_filter(&picky, &kernel);
    }
    hx_event_unsubscribe(&picky);
    stop();
}

Test(event_bus, a_filter_lets_one_source_through)
{
    struct hx_subscription picky = { .filter = { HX_EVENTS_ALL, 1, { module.self } } };
    struct hx_event event = { .type = HX_EVENT_CUSTOM, .words = { 9 } };
    start();
    hx_event_subscribe(topic, &picky, false);
    hx_event_publish(topic, NULL, &event);
    publish(1);
    drain(&picky);
    expect_trace("2:1");
    hx_event_unsubscribe(&picky);
    stop();
}

static void count_call(struct hx_subscription *subscription)
{
    (void)subscription;
    note("told");
}

Test(event_bus, a_subscriber_is_told_once_until_he_has_looked)
{
    struct hx_subscription subscription = { .filter.types = HX_EVENTS_ALL, .notify = count_call };
    start();
    hx_event_subscribe(topic, &subscription, false);
    publish(1);
    publish(2);
    expect_trace("told");
    drain(&subscription);
    expect_trace("1:1 2:2");
    publish(3);
    expect_trace("told");
    hx_event_unsubscribe(&subscription);
    stop();
}

Test(event_bus, nobody_is_told_of_what_does_not_pass_his_filter)
{
    struct hx_subscription subscription = { .filter.types = HX_EVENT_BIT(40), .notify = count_call };
    start();
    hx_event_subscribe(topic, &subscription, false);
    publish_type(41, 1);
    expect_trace("");
    cr_assert(hx_event_is_waiting(&subscription), "there may be one");
    drain(&subscription);
    expect_trace("");
    cr_assert_not(hx_event_is_waiting(&subscription));
    hx_event_unsubscribe(&subscription);
    stop();
}

Test(event_bus, nothing_comes_after_unsubscribing)
{
    struct hx_subscription subscription = { .filter.types = HX_EVENTS_ALL, .notify = count_call };
    struct hx_event event;
    start();
    hx_event_subscribe(topic, &subscription, false);
    publish(1);
    expect_trace("told");
    hx_event_unsubscribe(&subscription);
    subscription.notified = false;
    publish(2);
    expect_trace("");
    cr_assert_not(hx_event_is_waiting(&subscription));
    cr_assert_not(hx_event_next(&subscription, &event));
    hx_event_unsubscribe(&subscription);
    stop();
}

/* ---- waking --------------------------------------------------------------------------------------------------------- */
static struct hx_subscription sleeper;
static struct hx_waitq sleepers;

static void wake_sleeper(struct hx_subscription *subscription)
{
    (void)subscription;
    hx_waitq_wake_all(&sleepers);
}

static bool something_is_waiting(void *context)
{
    return hx_event_is_waiting(context);
}

/* Sees two events, and leaves while it may be told of the next. */
static hx_status_t watch_two(void *argument)
{
    struct hx_event event;
    (void)argument;
    for (int seen = 0; seen < 2;) {
        expect_ok(hx_waitq_wait(&sleepers, something_is_waiting, &sleeper, UINT64_MAX));
        while (hx_event_next(&sleeper, &event)) {
            note("%llu", (unsigned long long)event.words[0]);
            seen++;
        }
    }
    hx_event_unsubscribe(&sleeper);
    return HX_OK;
}

static void start_watching(void)
{
    hx_waitq_init(&sleepers);
    sleeper = (struct hx_subscription){ .filter.types = HX_EVENTS_ALL, .notify = wake_sleeper };
    hx_event_subscribe(topic, &sleeper, false);
    spawn("watcher", watch_two, NULL);
}

Test(event_bus, who_waits_runs_before_the_publisher_goes_on)
{
    start();
    start_watching();
    publish(1);
    expect_trace("1");
    publish(2);
    expect_trace("2");
    publish(3);
    expect_trace("");
    stop();
}

static void publish_in_interrupt(struct hx_timer *timer)
{
    (void)timer;
    cr_assert_neq(hx_cpu_read(irq_depth), 0);
    publish(1);
    publish(2);
}

Test(event_bus, an_interrupt_publishes)
{
    struct hx_timer timer = { 0 };
    start();
    start_watching();
    hx_timer_arm(&timer, hx_hal_clock_ns() + 100, publish_in_interrupt);
    hal_host_advance(100);
    expect_trace("1 2");
    stop();
}

static void publish_once_more(struct hx_timer *timer)
{
    (void)timer;
    publish(99);
}

/* The interrupt comes wherever the clock is read: in publish() as well, which must not be in the middle of something then. */
Test(event_bus, an_interrupt_between_two_publishings_breaks_nothing)
{
    struct hx_timer timer = { 0 };
    struct hx_subscription subscription = everything();
    struct hx_event event;
    start();
    hal_host_clock_step(10);
    hx_event_subscribe(topic, &subscription, false);
    hx_timer_arm_every(&timer, hx_hal_clock_ns() + 35, 35, publish_once_more);
    for (uint64_t i = 0; i < 40; i++)
        publish(i);
    hx_timer_disarm(&timer);
    uint64_t next = 0, others = 0, sequence = 0, then = 0;
    while (hx_event_next(&subscription, &event)) {
        cr_assert_eq(event.sequence, ++sequence + subscription.lost);
        cr_assert_geq(event.time_ns, then);
        then = event.time_ns;
        if (event.words[0] == 99)
            others++;
        else
            cr_assert_geq(event.words[0], next++);
    }
    cr_assert_gt(others, 0);
    cr_assert_eq(subscription.delivered + subscription.lost, topic->published);
    hx_event_unsubscribe(&subscription);
    stop();
}

/* ---- history -------------------------------------------------------------------------------------------------------- */
Test(event_bus, the_history_has_the_last_events_oldest_first)
{
    struct hx_event seen[HX_EVENT_HISTORY + 1];
    start();
    cr_assert_eq(hx_topic_read(topic, seen, HX_EVENT_HISTORY), 0);
    publish(1);
    publish(2);
    cr_assert_eq(hx_topic_read(topic, seen, HX_EVENT_HISTORY), 2);
    cr_assert_eq(seen[0].words[0], 1);
    cr_assert_eq(hx_topic_kept(topic), 2);
    cr_assert_eq(hx_topic_place(topic, 2)->words[0], 2);
    for (uint64_t i = 3; i <= 100; i++)
        publish(i);
    cr_assert_eq(hx_topic_read(topic, seen, HX_EVENT_HISTORY + 1), HX_EVENT_HISTORY);
    cr_assert_eq(hx_topic_kept(topic), HX_EVENT_HISTORY);
    for (uint64_t i = 0; i < HX_EVENT_HISTORY; i++)
        cr_assert_eq(seen[i].words[0], 100 - HX_EVENT_HISTORY + 1 + i);
    cr_assert_eq(hx_topic_read_of("test.topic", seen, 3), 3);
    cr_assert_eq(seen[0].words[0], 98);
    cr_assert_eq(hx_topic_read_of("test.other", seen, 3), HX_E_NOENT);
    stop();
}

Test(event_bus, numbers_go_on_behind_their_largest)
{
    struct hx_subscription subscription = everything(), slow = everything();
    struct hx_event event;
    start();
    topic->published = UINT32_MAX - 1;
    hx_event_subscribe(topic, &subscription, false);
    hx_event_subscribe(topic, &slow, false);
    publish(1);
    publish(2);
    publish(3);
    drain(&subscription);
    expect_trace("4294967295:1 0:2 1:3");
    for (uint64_t i = 0; i < HX_EVENT_HISTORY; i++)
        publish(i);
    cr_assert(hx_event_next(&slow, &event));
    cr_assert_eq(event.sequence, 2);
    cr_assert_eq(slow.lost, 3);
    hx_event_unsubscribe(&subscription);
    hx_event_unsubscribe(&slow);
    stop();
}

/* ---- topics that go ------------------------------------------------------------------------------------------------- */
Test(event_bus, the_subscribers_of_a_destroyed_topic_see_what_is_left_and_keep_it)
{
    struct hx_subscription first = everything(), second = everything();
    struct hx_topic *again = NULL;
    start();
    hx_event_subscribe(topic, &first, false);
    hx_event_subscribe(topic, &second, false);
    publish(1);
    hx_topic_destroy(topic);
    expect_ok(hx_topic_create("test.topic", &hx_kernel_holder, &again));
    cr_assert_neq(again, topic);
    topic = again;
    publish(2);
    drain(&first);
    expect_trace("1:1");
    hx_event_unsubscribe(&first);
    drain(&second);
    expect_trace("1:1");
    hx_event_unsubscribe(&second);
    stop(); /* which finds nothing left */
}

static void note_wanted(struct hx_topic *wanted)
{
    note("wanted:%s", wanted->name);
}

Test(event_bus, a_topic_hears_of_its_first_subscriber)
{
    struct hx_subscription first = everything(), second = everything();
    start();
    hx_topic_bind_wanted(topic, note_wanted);
    hx_event_subscribe(topic, &first, false);
    expect_trace("wanted:test.topic");
    hx_event_subscribe(topic, &second, false);
    expect_trace("");
    hx_event_unsubscribe(&first);
    hx_event_unsubscribe(&second);
    hx_event_subscribe(topic, &first, false);
    expect_trace("wanted:test.topic");
    hx_event_unsubscribe(&first);
    stop();
}
