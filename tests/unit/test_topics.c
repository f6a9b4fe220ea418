/* SPDX-License-Identifier: MIT */
/* test_topics.c - what the kernel publishes on its own topics, by the parts that cause it. */
#include "world.h"

#include <criterion/criterion.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <main/topics.h>
#include <mm/mm.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

static const uint64_t second = 1000000000;

/* mm.c is the machine's. */
static void (*pressure_changed)(bool scarce, uint64_t free_frames);
void hx_mm_bind_pressure(void (*changed)(bool scarce, uint64_t free_frames))
{
    pressure_changed = changed;
}

static void ignore(struct hx_slot *slot)
{
    (void)slot;
}

static void begin(void)
{
    static const struct hx_lifecycle_observer observer = { ignore, ignore, hx_topics_module_happened };
    world_begin(0);
    hal_host_clock_step(0);
    cr_assert_eq(hx_topics_create(), HX_OK);
    hx_lifecycle_bind(&observer);
}

TestSuite(topics, .init = begin);

static uint32_t published_on(const char *topic)
{
    struct hx_topic_info info;
    hx_topic_describe(hx_topic_find(topic), &info);
    return (uint32_t)info.published;
}

/* The last event but @back of @topic. */
static struct hx_event event_of(const char *topic, uint32_t back)
{
    struct hx_event last[4];
    cr_assert_eq(hx_topic_read_of(topic, last, back + 1), (hx_ret_t)back + 1, "%s", topic);
    return last[0];
}

static void expect_event(const char *topic, uint32_t back, enum hx_event_type type, const char *name, uint64_t number)
{
    struct hx_event event = event_of(topic, back);
    cr_assert_eq(event.type, type, "%s: %u", topic, event.type);
    cr_assert_eq(event.source, HX_HANDLE_NONE);
    cr_assert_eq(event.bytes, HX_EVENT_BYTES_MAX);
    cr_assert_str_eq(event.text, name);
    cr_assert_eq(event.words[HX_EVENT_NUMBER], number, "%s: %lu", topic, event.words[HX_EVENT_NUMBER]);
}

Test(topics, seconds_are_told_while_somebody_listens)
{
    struct hx_subscription listener = { .filter.types = HX_EVENTS_ALL };
    struct hx_topic *time = hx_topic_find(HX_TOPIC_TIME);
    hal_host_advance(3 * second);
    cr_assert_eq(published_on(HX_TOPIC_TIME), 0, "nobody listens");
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t before = published_on(HX_TOPIC_TIME);
        uint64_t now = hx_hal_clock_ns() / second;
        hx_event_subscribe(time, &listener, false);
        hal_host_advance(3 * second);
        cr_assert_eq(published_on(HX_TOPIC_TIME) - before, 3);
        for (uint32_t i = 0; i < 3; i++)
            expect_event(HX_TOPIC_TIME, 2 - i, HX_EVENT_TIMER, "second", now + 1 + i);
        cr_assert_leq(event_of(HX_TOPIC_TIME, 0).time_ns - (now + 3) * second, 1000000, "it is late");
        hx_event_unsubscribe(&listener);
        hal_host_advance(5 * second);
        cr_assert_leq(published_on(HX_TOPIC_TIME) - before, 4, "that it is over is seen at the next");
    }
}

Test(topics, memory_that_becomes_scarce_is_told_of_after_who_took_it)
{
    hx_irq_flags_t flags = hx_irq_save(); /* as with a lock held */
    pressure_changed(true, 77);
    cr_assert_eq(published_on(HX_TOPIC_MEMORY), 0, "who takes frames may hold any lock");
    hx_irq_restore(flags);
    hal_host_advance(1);
    expect_event(HX_TOPIC_MEMORY, 0, HX_EVENT_MEMORY_PRESSURE, "scarce", 77);
    pressure_changed(false, 99);
    hal_host_advance(1);
    expect_event(HX_TOPIC_MEMORY, 0, HX_EVENT_MEMORY_PRESSURE, "enough", 99);
    flags = hx_irq_save();
    pressure_changed(true, 70);
    pressure_changed(false, 98);
    hx_irq_restore(flags);
    hal_host_advance(1);
    cr_assert_eq(published_on(HX_TOPIC_MEMORY), 3, "how it is now, once");
    expect_event(HX_TOPIC_MEMORY, 0, HX_EVENT_MEMORY_PRESSURE, "enough", 98);
}

Test(topics, a_line_that_storms_is_told_of_with_its_module)
{
    static const char owner[HX_NAME_MAX] = "drv_bell";
    hx_topics_line_stormed(9, owner);
    expect_event(HX_TOPIC_INTERRUPTS, 0, HX_EVENT_INTERRUPT, "drv_bell", 9);
}

static hx_status_t nothing(void *unused)
{
    (void)unused;
    return HX_OK;
}

Test(topics, a_task_that_comes_and_goes_is_told_of_by_name_and_handle)
{
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "passer-by", 100, nothing, NULL, &task), HX_OK);
    hal_host_run();
    expect_event(HX_TOPIC_TASKS, 1, HX_EVENT_TASK_CREATED, "passer-by", task);
    expect_event(HX_TOPIC_TASKS, 0, HX_EVENT_TASK_EXITED, "passer-by", task);
}

Test(topics, what_becomes_of_a_module_is_told)
{
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    expect_event(HX_TOPIC_MODULES, 0, HX_EVENT_MODULE_LOADED, "svc_kv", HX_VERSION(1, 0, 0));
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    expect_event(HX_TOPIC_MODULES, 0, HX_EVENT_MODULE_SWAPPED, "svc_kv", HX_VERSION(2, 0, 0));
    cr_assert_eq(world_simple(HX_JOB_PAUSE, "svc_kv", NULL), HX_OK);
    expect_event(HX_TOPIC_MODULES, 0, HX_EVENT_MODULE_STATE, "svc_kv", HX_MODULE_PAUSED);
    cr_assert_eq(world_simple(HX_JOB_RESTART, "svc_kv", NULL), HX_OK);
    expect_event(HX_TOPIC_MODULES, 0, HX_EVENT_MODULE_RESTARTED, "svc_kv", HX_VERSION(2, 0, 0));
    cr_assert_eq(world_unload("svc_kv", NULL), HX_OK);
    expect_event(HX_TOPIC_MODULES, 0, HX_EVENT_MODULE_UNLOADED, "svc_kv", HX_VERSION(2, 0, 0));
}

static hx_status_t fault(void *unused)
{
    struct hx_message message = { .code = 2 };
    (void)unused;
    return hx_router_request(hx_router_find("keeper"), &hx_kernel_holder, &message, UINT64_MAX);
}

Test(topics, a_module_that_faults_is_told_of)
{
    uint32_t faulted = 0;
    struct hx_event all[HX_EVENT_HISTORY];
    cr_assert_eq(world_load("keeper.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(fault, NULL), HX_E_FAULT);
    hx_ret_t count = hx_topic_read_of(HX_TOPIC_MODULES, all, HX_EVENT_HISTORY);
    for (hx_ret_t i = 0; i < count; i++)
        faulted += all[i].type == HX_EVENT_MODULE_FAULTED && strcmp(all[i].text, "keeper") == 0;
    cr_assert_eq(faulted, 1);
}

Test(topics, what_is_granted_and_denied_is_told)
{
    struct hx_principal alice = { .name = "alice", .kind = HX_PRINCIPAL_CONSOLE };
    struct hx_capability what = { .type = HX_CAPABILITY_DEBUG };
    struct hx_capability_refusal refusal;
    hx_handle_t id = HX_HANDLE_NONE;
    hx_capability_bind(hx_topics_capability_happened);
    cr_assert_eq(hx_capability_check(&alice, HX_CAPABILITY_DEBUG, 0, 0, 0), HX_E_PERM);
    expect_event(HX_TOPIC_SECURITY, 0, HX_EVENT_CAPABILITY, "alice",
                 HX_CAPABILITY_HAPPENED(HX_CAPABILITY_DENIED, HX_CAPABILITY_DEBUG));
    cr_assert_eq(hx_capability_grant(&hx_kernel_principal, &alice, &what, HX_CAPABILITY_NEVER, &id, &refusal), HX_OK);
    expect_event(HX_TOPIC_SECURITY, 0, HX_EVENT_CAPABILITY, "alice",
                 HX_CAPABILITY_HAPPENED(HX_CAPABILITY_GRANTED, HX_CAPABILITY_DEBUG));
}

Test(topics, a_module_that_wants_more_than_its_quota_is_told_of_once)
{
    struct hx_resource_share share;
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    struct hx_resource_holder *books = hx_module_find("svc_kv")->resources;
    hx_resource_usage(books, HX_RESOURCE_MEMORY, &share);
    cr_assert_eq(hx_resource_set_quota(books, HX_RESOURCE_MEMORY, share.allocated), HX_OK);
    uint32_t before = published_on(HX_TOPIC_SECURITY);
    hx_irq_flags_t flags = hx_irq_save(); /* as with a lock held */
    cr_assert_eq(hx_resource_charge_memory(books, 1), HX_E_QUOTA);
    cr_assert_eq(hx_resource_charge_memory(books, 1), HX_E_QUOTA);
    cr_assert_eq(published_on(HX_TOPIC_SECURITY), before, "who is charged may hold any lock");
    hx_irq_restore(flags);
    hal_host_advance(1);
    cr_assert_eq(published_on(HX_TOPIC_SECURITY), before + 1);
    expect_event(HX_TOPIC_SECURITY, 0, HX_EVENT_RESOURCE, "svc_kv", HX_RESOURCE_MEMORY);
}
