/* SPDX-License-Identifier: MIT */
/*
 * topics.c - see topics.h.
 *
 * Time is published by a timer that runs only while somebody subscribes, so that an idle machine stays idle. Memory is
 * published by a timer, too: who takes or gives frames may hold any lock.
 */
#include "topics.h"

#include <debug/log.h>
#include <ipc/event_bus.h>
#include <lib/fmt.h>
#include <mm/mm.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/resource_broker.h>
#include <string.h>
#include <task/task.h>

enum { SECOND_NS = 1000000000 };

static struct hx_topic *modules, *tasks, *memory, *interrupts, *security, *time;

/* @name: whom it is about. The topic stamps the rest. */
static void publish(struct hx_topic *topic, enum hx_event_type type, const char name[HX_NAME_MAX], uint64_t number)
{
    struct hx_event event;
    event.type = (uint16_t)type;
    event.bytes = HX_EVENT_BYTES_MAX;
    memcpy(event.text, name, HX_NAME_MAX);
    event.words[HX_EVENT_NUMBER] = number;
    hx_event_publish(topic, NULL, &event);
}

/* ---- modules, interrupts --------------------------------------------------------------------------------------------- */
void hx_topics_module_happened(const struct hx_module *module, enum hx_event_type what)
{
    uint64_t version = module->running && module->running->record ? module->running->record->version : 0;
    publish(modules, what, module->name, what == HX_EVENT_MODULE_STATE ? (uint64_t)module->state : version);
}

void hx_topics_line_stormed(uint32_t line, const char owner[HX_NAME_MAX])
{
    publish(interrupts, HX_EVENT_INTERRUPT, owner, line);
}

/* ---- capabilities ---------------------------------------------------------------------------------------------------- */
void hx_topics_capability_happened(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                                   uint64_t first)
{
    char name[HX_NAME_MAX];
    hx_fmt(name, sizeof(name), "%s", principal->name);
    publish(security, HX_EVENT_CAPABILITY, name, HX_CAPABILITY_HAPPENED(what, type));
    if (hx_capability_warns && what >= HX_CAPABILITY_EXPIRED && !(principal->denied & (principal->denied - 1)))
        hx_log_line(HX_LOG_WARN, name, "without caps=warn it were denied %s 0x%llx, for the %lluth time",
                    hx_capability_type_name(type), (unsigned long long)first, (unsigned long long)principal->denied);
}

/* ---- quotas ---------------------------------------------------------------------------------------------------------- */
static struct {
    struct hx_timer timer;
    uint64_t next_ns; /* not before, so that one module does not push others' events out of the topic */
    bool armed;       /* a: by whoever set it; then he alone reads next_ns */
} quotas;

/* A module that has come over a quota, and of what; false: there is none. */
static bool find_over(char out_name[HX_NAME_MAX], uint32_t *out)
{
    bool found = false;
    hx_irq_flags_t flags = hx_module_registry_lock();
    for (struct hx_module *module = hx_module_next(NULL); module && !found; module = hx_module_next(module))
        for (uint32_t i = 0; module->resources && i < HX_RESOURCES_MAX && !found; i++)
            if (hx_resource_take_news(module->resources, (enum hx_resource)i)) {
                memcpy(out_name, module->name, HX_NAME_MAX);
                *out = i;
                found = true;
            }
    hx_module_registry_unlock(flags);
    return found;
}

static void publish_quotas(struct hx_timer *timer)
{
    char name[HX_NAME_MAX];
    uint32_t resource = 0;
    (void)timer;
    quotas.next_ns = hx_hal_clock_ns() + SECOND_NS;
    __atomic_store_n(&quotas.armed, false, __ATOMIC_SEQ_CST);
    while (find_over(name, &resource))
        publish(security, HX_EVENT_RESOURCE, name, resource);
}

/* Whoever runs out of time does so in the middle of a switch. */
static void note_quota(void)
{
    if (__atomic_exchange_n(&quotas.armed, true, __ATOMIC_SEQ_CST))
        return;
    uint64_t now_ns = hx_hal_clock_ns();
    hx_timer_arm(&quotas.timer, now_ns > quotas.next_ns ? now_ns : quotas.next_ns, publish_quotas);
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */
static void task_told(const struct hx_task *task, bool begins)
{
    publish(tasks, begins ? HX_EVENT_TASK_CREATED : HX_EVENT_TASK_EXITED, task->name, task->handle);
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */
static struct {
    struct hx_timer timer;
    bool armed; /* a: by whoever set it */
    bool scarce;
    uint64_t free_frames;
} pressure;

static void publish_pressure(struct hx_timer *timer)
{
    (void)timer;
    __atomic_store_n(&pressure.armed, false, __ATOMIC_SEQ_CST);
    static const char scarce[HX_NAME_MAX] = "scarce", enough[HX_NAME_MAX] = "enough";
    publish(memory, HX_EVENT_MEMORY_PRESSURE, pressure.scarce ? scarce : enough, pressure.free_frames);
}

static void note_pressure(bool scarce, uint64_t free_frames)
{
    pressure.scarce = scarce;
    pressure.free_frames = free_frames;
    if (!__atomic_exchange_n(&pressure.armed, true, __ATOMIC_SEQ_CST))
        hx_timer_arm(&pressure.timer, hx_hal_clock_ns(), publish_pressure);
}

/* ---- time ----------------------------------------------------------------------------------------------------------- */
static struct {
    struct hx_timer timer;
    bool runs; /* a: of the CPU that set it */
} second;

static void start_seconds(struct hx_topic *topic);

/* A subscriber who comes while it stops either is seen here, or finds it stopped. */
static void publish_second(struct hx_timer *timer)
{
    static const char name[HX_NAME_MAX] = "second";
    publish(time, HX_EVENT_TIMER, name, hx_hal_clock_ns() / SECOND_NS);
    if (__atomic_load_n(&time->subscribers, __ATOMIC_SEQ_CST))
        return;
    hx_timer_disarm(timer);
    __atomic_store_n(&second.runs, false, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&time->subscribers, __ATOMIC_SEQ_CST))
        start_seconds(time);
}

static void start_seconds(struct hx_topic *topic)
{
    (void)topic;
    if (!__atomic_exchange_n(&second.runs, true, __ATOMIC_SEQ_CST))
        hx_timer_arm_every(&second.timer, hx_hal_clock_ns() / SECOND_NS * SECOND_NS + SECOND_NS, SECOND_NS,
                           publish_second);
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */
hx_status_t hx_topics_create(void)
{
    static const char *const names[] = { HX_TOPIC_MODULES,    HX_TOPIC_TASKS,    HX_TOPIC_MEMORY,
                                         HX_TOPIC_INTERRUPTS, HX_TOPIC_SECURITY, HX_TOPIC_TIME };
    struct hx_topic **const topics[] = { &modules, &tasks, &memory, &interrupts, &security, &time };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(names); i++) {
        hx_status_t err = hx_topic_create(names[i], &hx_kernel_holder, topics[i]);
        if (err != HX_OK)
            return err;
    }
    hx_topic_bind_wanted(time, start_seconds);
    hx_task_bind_life(task_told);
    hx_mm_bind_pressure(note_pressure);
    hx_resource_bind(note_quota);
    return HX_OK;
}
