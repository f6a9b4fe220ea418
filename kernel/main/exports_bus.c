/* SPDX-License-Identifier: MIT */
/*
 * exports_bus.c - what the kernel's exports of topics and services do when a module calls them.
 */
#include "exports.h"

#include <hal/hx_import.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <orchestrator/capability_broker.h>

static hx_status_t copy_whole(void *out, size_t bytes, const void *span, uint64_t span_bytes)
{
    return span_bytes == bytes ? hx_hal_copy(out, span, bytes) : HX_E_INVAL;
}

/* NULL: nobody stands in a module. */
static const struct hx_holder *caller(void)
{
    const struct hx_version *version = hx_module_calling();
    return version ? &version->module->holder : NULL;
}

static hx_status_t publish_to_another_s(const char *name, const struct hx_event *event)
{
    hx_status_t err = hx_capability_check_path_calling(HX_CAPABILITY_IPC, HX_CAPABILITY_WRITE, name);
    return err == HX_OK ? hx_topic_publish(name, caller(), event) : err;
}

/* The caller's own topic stays while he is here. */
hx_ret_t hx_export_hx_publish(const void *topic, uint64_t topic_bytes, const void *event, uint64_t event_bytes)
{
    char name[HX_NAME_MAX];
    struct hx_event copy;
    hx_status_t err = hx_export_copy_name(name, topic, topic_bytes);
    if (err == HX_OK)
        err = copy_whole(&copy, sizeof(copy), event, event_bytes);
    if (err != HX_OK)
        return err;
    struct hx_topic *found = NULL;
    err = hx_topic_find_own(name, caller(), &found);
    if (err != HX_OK && err != HX_E_PERM)
        return err;
    if (copy.type >= HX_EVENT_TYPE_COUNT || copy.bytes > HX_EVENT_BYTES_MAX)
        return HX_E_INVAL;
    if (err != HX_OK)
        return publish_to_another_s(name, &copy);
    hx_event_publish(found, caller(), &copy);
    return HX_OK;
}

hx_ret_t hx_export_hx_topic_history(const void *topic, uint64_t topic_bytes, void *events, uint64_t events_bytes)
{
    char name[HX_NAME_MAX];
    uint64_t max = events_bytes / sizeof(struct hx_event);
    hx_ret_t count = hx_export_copy_name(name, topic, topic_bytes);
    if (count != HX_OK)
        return count;
    count = hx_capability_check_path_calling(HX_CAPABILITY_IPC, 0, name);
    if (count != HX_OK)
        return count;
    struct hx_event *copy = hx_hal_alloc(HX_EVENT_HISTORY * sizeof(*copy));
    if (!copy)
        return HX_E_NOMEM;
    count = hx_topic_read_of(name, copy, max < HX_EVENT_HISTORY ? (uint32_t)max : HX_EVENT_HISTORY);
    if (count > 0 && hx_hal_copy(events, copy, (uint64_t)count * sizeof(*copy)) != HX_OK)
        count = HX_E_FAULT;
    hx_hal_free(copy);
    return count;
}

hx_ret_t hx_export_hx_service_find(const void *name, uint64_t name_bytes)
{
    char copy[HX_NAME_MAX];
    hx_status_t err = hx_export_copy_name(copy, name, name_bytes);
    if (err != HX_OK)
        return err;
    err = hx_capability_check_path_calling(HX_CAPABILITY_IPC, 0, copy);
    if (err != HX_OK)
        return err;
    hx_handle_t service = hx_router_find(copy);
    return service ? (hx_ret_t)service : HX_E_NOENT;
}

hx_ret_t hx_export_hx_request(uint64_t service, void *message, uint64_t message_bytes, uint64_t timeout_ns)
{
    char name[HX_NAME_MAX];
    struct hx_message copy;
    hx_status_t err = copy_whole(&copy, sizeof(copy), message, message_bytes);
    if (err != HX_OK)
        return err;
    const struct hx_holder *asker = caller();
    if (!asker)
        return HX_E_STATE;
    err = hx_router_name(service, name);
    if (err == HX_OK) /* each time, as what let him find it may have been revoked */
        err = hx_capability_check_path_calling(HX_CAPABILITY_IPC, 0, name);
    if (err != HX_OK)
        return err;
    hx_ret_t result = hx_router_request(service, asker, &copy, hx_export_wait_begin(timeout_ns));
    if (result == HX_OK)
        result = hx_hal_copy(message, &copy, sizeof(copy));
    return hx_export_wait_end(result);
}

hx_ret_t hx_export_hx_reply(uint64_t correlation, const void *message, uint64_t message_bytes)
{
    struct hx_message copy;
    hx_status_t err = copy_whole(&copy, sizeof(copy), message, message_bytes);
    return err == HX_OK ? hx_router_reply(correlation, caller(), &copy) : err;
}
