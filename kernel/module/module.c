/* SPDX-License-Identifier: MIT */
/* module.c - see module.h. */
#include "module.h"

#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

enum { NAME_BUCKETS = 256 };
static const uint64_t gate_wait_ns = 5000000000u;

static struct {
    TAILQ_HEAD(, hx_module) all;
    LIST_HEAD(, hx_module) by_name[NAME_BUCKETS];
    uint32_t count;
    struct hx_lock lock;
    struct hx_waitq callers; /* who waits at a closed slot: one queue for all, because modules go away */
    struct hx_waitq drain;   /* the worker, for a module to be empty */
} registry = { .lock = HX_LOCK_INIT(HX_RANK_REGISTRY) };

#define MODULE_OF(node) ((struct hx_module *)((char *)(node)-offsetof(struct hx_module, callbacks_node)))

void hx_module_registry_init(void)
{
    TAILQ_INIT(&registry.all);
    for (uint32_t i = 0; i < NAME_BUCKETS; i++)
        LIST_INIT(&registry.by_name[i]);
    registry.count = 0;
    hx_waitq_init(&registry.callers);
    hx_waitq_init(&registry.drain);
}

hx_irq_flags_t hx_module_registry_lock(void)
{
    return hx_lock_acquire(&registry.lock);
}

void hx_module_registry_unlock(hx_irq_flags_t flags)
{
    hx_lock_release(&registry.lock, flags);
}

static uint32_t bucket_of(const char *name)
{
    return (uint32_t)hx_hash_name(name, strlen(name)) % NAME_BUCKETS;
}

static void set_name(struct hx_module *module, const char *name)
{
    hx_fmt(module->name, sizeof(module->name), "%s", name);
    LIST_INSERT_HEAD(&registry.by_name[bucket_of(module->name)], module, name_link);
}

static void release_callbacks(struct hx_ledger_node *node)
{
    hx_slot_destroy(MODULE_OF(node)->callbacks);
}

/* What it sent and nobody has received keeps its name, which is stale from now on. */
static void release_handles(struct hx_ledger_node *node)
{
    struct hx_module *module = (struct hx_module *)((char *)node - offsetof(struct hx_module, handles_node));
    hx_handle_close_all(&module->holder);
    (void)!hx_handle_close(module->holder.self, &hx_kernel_holder);
}

hx_status_t hx_module_create(const char *name, struct hx_module **out, struct hx_report *report)
{
    const struct hx_module *holder = hx_module_holding(name);
    if (holder)
        return hx_report_fail(
            report, HX_E_EXIST, name,
            strcmp(holder->name, name) == 0
                ? "a module called %s is loaded; reload or rmmod it"
                : "the name %s is that of a version on whose return probation may decide; commit first",
            name);
    char slot_name[HX_NAME_MAX];
    hx_fmt(slot_name, sizeof(slot_name), "%.20s:irq", name);
    struct hx_module *module = hx_hal_alloc(sizeof(*module));
    struct hx_slot *callbacks = module ? hx_slot_create(slot_name, HX_SLOT_KIND_CALLBACKS, false) : NULL;
    if (!callbacks) {
        hx_hal_free(module);
        return hx_report_fail(report, module ? HX_E_LIMIT : HX_E_NOMEM, name,
                              module ? "all slots are taken; unload a module" : "not enough memory for the module");
    }
    if (hx_handle_open(HX_HANDLE_MODULE, module, &hx_kernel_holder, 0, &module->holder.self) != HX_OK) {
        hx_slot_destroy(callbacks);
        hx_hal_free(module);
        return hx_report_fail(report, HX_E_LIMIT, name, "all handles are taken; unload a module");
    }
    module->holder.name = module->name;
    module->holder.limit = HX_MODULE_HANDLES_MAX;
    module->state = HX_MODULE_LOADING;
    module->callbacks = callbacks;
    module->loaded_ns = hx_hal_clock_ns();
    hx_ledger_init(&module->ledger);
    hx_ledger_enter(&module->ledger, &module->callbacks_node, "callbacks", release_callbacks);
    hx_ledger_enter(&module->ledger, &module->handles_node, "handles", release_handles);
    hx_irq_flags_t flags = hx_module_registry_lock();
    set_name(module, name);
    TAILQ_INSERT_TAIL(&registry.all, module, link);
    registry.count++;
    hx_module_registry_unlock(flags);
    *out = module;
    return HX_OK;
}

static void release_calls(struct hx_ledger_node *node)
{
    hx_slot_destroy(((struct hx_module *)((char *)node - offsetof(struct hx_module, calls_node)))->calls);
}

hx_status_t hx_module_need_calls(struct hx_module *module)
{
    char slot_name[HX_NAME_MAX];
    if (module->calls)
        return HX_OK;
    hx_fmt(slot_name, sizeof(slot_name), "%.20s:calls", module->name);
    module->calls = hx_slot_create(slot_name, HX_SLOT_KIND_CALLBACKS, true);
    if (!module->calls)
        return HX_E_LIMIT;
    hx_ledger_enter(&module->ledger, &module->calls_node, "calls", release_calls);
    return HX_OK;
}

void hx_module_destroy(struct hx_module *module)
{
    hx_ledger_release_all(&module->ledger);
    hx_irq_flags_t flags = hx_module_registry_lock();
    TAILQ_REMOVE(&registry.all, module, link);
    LIST_REMOVE(module, name_link);
    registry.count--;
    hx_module_registry_unlock(flags);
    hx_hal_free(module);
}

struct hx_module *hx_module_find(const char *name)
{
    struct hx_module *module = NULL;
    LIST_FOREACH(module, &registry.by_name[bucket_of(name)], name_link)
        if (strcmp(module->name, name) == 0)
            return module;
    return NULL;
}

struct hx_module *hx_module_holding(const char *name)
{
    struct hx_module *module = hx_module_find(name);
    if (module)
        return module;
    TAILQ_FOREACH(module, &registry.all, link)
        if (module->previous && strcmp(hx_version_name(module->previous), name) == 0)
            return module;
    return NULL;
}

void hx_module_rename(struct hx_module *module, const char *name)
{
    if (strcmp(module->name, name) == 0)
        return;
    hx_irq_flags_t flags = hx_module_registry_lock();
    LIST_REMOVE(module, name_link);
    set_name(module, name);
    hx_module_registry_unlock(flags);
}

struct hx_module *hx_module_next(const struct hx_module *module)
{
    return module ? TAILQ_NEXT(module, link) : TAILQ_FIRST(&registry.all);
}

uint32_t hx_module_count(void)
{
    return registry.count;
}

struct hx_module *hx_module_providing(const struct hx_interface *interface)
{
    return hx_slot_info(interface->slot)->owner;
}

struct hx_module *hx_module_claiming(const struct hx_interface *interface)
{
    struct hx_module *module = hx_module_providing(interface);
    if (module)
        return module;
    TAILQ_FOREACH(module, &registry.all, link)
        if (module->previous && hx_version_provided(module->previous, interface))
            return module;
    return NULL;
}

static bool version_holds(const struct hx_version *version, uintptr_t va)
{
    return version && version->image && hx_image_holds(version->image, va);
}

struct hx_version *hx_module_version_at(uintptr_t va)
{
    struct hx_module *module = NULL;
    TAILQ_FOREACH(module, &registry.all, link) {
        if (version_holds(module->running, va))
            return module->running;
        if (version_holds(module->previous, va))
            return module->previous;
    }
    return NULL;
}

struct hx_version *hx_module_calling(void)
{
    const struct hx_gate_frame *frame = hx_gate_frame();
    if (!frame)
        return NULL;
    const struct hx_slot_info *info = hx_slot_info(frame->slot);
    if (info->kind == HX_SLOT_KIND_HOOKS)
        return info->owner;
    const struct hx_module *module = info->owner;
    return module ? module->running : NULL;
}

/* A caller who comes in by the first slot and faults closes all of them, the last included. */
void hx_module_open(struct hx_module *module, struct hx_version *version)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    for (uint32_t i = 0; i < version->provides_count; i++)
        hx_slot_publish(version->provides[i].interface->slot, &version->provides[i].vtable, module);
    hx_slot_publish(module->callbacks, &version->callbacks_vtable, module);
    if (version->callbacks_count)
        hx_slot_publish(module->calls, &version->calls_vtable, module);
    hx_module_registry_unlock(flags);
}

/* Applies @each to the slots of the running version that are sleepable or atomic. */
static void for_slots(const struct hx_module *module, bool atomic, void (*each)(struct hx_slot *slot))
{
    const struct hx_version *version = module->running;
    for (uint32_t i = 0; i < version->provides_count; i++) {
        struct hx_slot *slot = version->provides[i].interface->slot;
        if (hx_slot_info(slot)->sleepable != atomic)
            each(slot);
    }
    if (atomic)
        each(module->callbacks);
    else if (version->callbacks_count)
        each(module->calls);
}

void hx_module_close(struct hx_module *module, bool atomic)
{
    for_slots(module, atomic, hx_slot_close);
}

bool hx_module_fault(struct hx_module *module, const char *description, const char *backtrace)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    bool first = !module->faulted && module->state != HX_MODULE_ERROR;
    if (first) {
        hx_fmt(module->fault, sizeof(module->fault), "%s", description);
        hx_fmt(module->backtrace, sizeof(module->backtrace), "%s", backtrace);
        module->faults = 0;
        module->faulted = true;
        for_slots(module, true, hx_slot_fault);
        for_slots(module, false, hx_slot_fault);
    }
    module->faults++;
    hx_module_registry_unlock(flags);
    return first;
}

void hx_module_reopen(struct hx_module *module)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    for_slots(module, true, hx_slot_reopen);
    for_slots(module, false, hx_slot_reopen);
    hx_module_registry_unlock(flags);
    hx_module_wake_callers();
}

void hx_module_fail(struct hx_module *module)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    module->faulted = false;
    for_slots(module, true, hx_slot_fail);
    for_slots(module, false, hx_slot_fail);
    hx_module_registry_unlock(flags);
    hx_module_wake_callers();
}

void hx_module_retract(struct hx_module *module, const struct hx_version *version, const struct hx_version *keep)
{
    for (uint32_t i = 0; i < version->provides_count; i++)
        if (!keep || !hx_version_provided(keep, version->provides[i].interface))
            hx_slot_retract(version->provides[i].interface->slot);
    if (!keep)
        hx_slot_retract(module->callbacks);
    if (module->calls && (!keep || !keep->callbacks_count))
        hx_slot_retract(module->calls);
    hx_module_wake_callers();
}

bool hx_module_is_inside(const struct hx_module *module, bool atomic)
{
    const struct hx_version *version = module->running;
    for (uint32_t i = 0; i < version->provides_count; i++) {
        struct hx_slot *slot = version->provides[i].interface->slot;
        if (hx_slot_info(slot)->sleepable != atomic && hx_slot_inside(slot))
            return true;
    }
    if (!atomic)
        return version->callbacks_count && hx_slot_inside(module->calls);
    return hx_slot_inside(module->callbacks);
}

struct drain {
    const struct hx_module *module;
    bool atomic;
};

static bool is_empty(void *context)
{
    const struct drain *drain = context;
    return !hx_module_is_inside(drain->module, drain->atomic);
}

hx_status_t hx_module_wait_empty(const struct hx_module *module, bool atomic, uint64_t deadline_ns)
{
    struct drain drain = { module, atomic };
    return hx_waitq_wait(&registry.drain, is_empty, &drain, deadline_ns);
}

void hx_module_was_left(void)
{
    hx_waitq_wake_all(&registry.drain);
}

uint64_t hx_module_calls(const struct hx_module *module)
{
    uint64_t calls = hx_slot_calls(module->callbacks) + (module->calls ? hx_slot_calls(module->calls) : 0);
    for (uint32_t i = 0; i < module->running->provides_count; i++)
        calls += hx_slot_calls(module->running->provides[i].interface->slot);
    return calls;
}

struct gate_wait {
    const struct hx_slot *slot;
    const struct hx_gate_frame *frame; /* the waiter's */
};

/* Modules in which somebody is stay. */
static bool stands_in_leaving(const struct hx_gate_frame *frame)
{
    for (; frame; frame = frame->prev) {
        const struct hx_slot_info *info = hx_slot_info(frame->slot);
        if (!frame->waiting && info->kind != HX_SLOT_KIND_HOOKS && info->owner &&
            ((const struct hx_module *)info->owner)->leaving)
            return true;
    }
    return false;
}

static bool wait_is_over(void *context)
{
    const struct gate_wait *wait = context;
    return !hx_slot_is_undecided(hx_slot_state(wait->slot)) || stands_in_leaving(wait->frame);
}

/* Whether @slot is closed because its module is paused. Locked: the module may go. */
static bool is_paused(const struct hx_slot *slot)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    const struct hx_module *module = hx_slot_info(slot)->owner;
    bool paused = module && module->state == HX_MODULE_PAUSED;
    hx_module_registry_unlock(flags);
    return paused;
}

hx_status_t hx_module_gate_wait(struct hx_slot *slot)
{
    if (hx_cpu_read(irq_depth) || hx_cpu_read(preempt_off))
        return HX_E_CLOSED;
    hx_module_was_left(); /* who calls again because his wait inside was broken off comes by here */
    struct gate_wait wait = { .slot = slot, .frame = hx_gate_frame() };
    struct hx_task_patience *patience = hx_task_current()->patience;
    uint64_t deadline_ns = hx_hal_clock_ns() + gate_wait_ns;
    if (patience && patience->frame != wait.frame->prev)
        patience = NULL; /* it is that of a call around this one */
    if (patience && patience->deadline_ns < deadline_ns)
        deadline_ns = patience->deadline_ns;
    hx_status_t err = hx_waitq_wait(&registry.callers, wait_is_over, &wait, deadline_ns);
    /* A swap that takes so long has gone wrong; a pause has not, so who said how long he waits does wait. */
    if (err == HX_E_TIMEOUT && patience && deadline_ns < patience->deadline_ns && is_paused(slot))
        err = hx_waitq_wait(&registry.callers, wait_is_over, &wait, patience->deadline_ns);
    if (patience)
        patience->passed_ns = hx_hal_clock_ns();
    if (err == HX_E_TIMEOUT && is_paused(slot))
        return HX_E_PAUSED;
    return err == HX_OK && stands_in_leaving(wait.frame) ? HX_E_CLOSED : err;
}

void hx_module_wake_callers(void)
{
    hx_waitq_wake_all(&registry.callers);
}

const char *hx_module_state_name(enum hx_module_state state)
{
    static const char *const names[HX_MODULE_STATE_COUNT] = {
        [HX_MODULE_LOADING] = "Loading", [HX_MODULE_LOADED] = "Loaded",       [HX_MODULE_INITIALIZING] = "Initializing",
        [HX_MODULE_RUNNING] = "Running", [HX_MODULE_PAUSED] = "Paused",       [HX_MODULE_STOPPING] = "Stopping",
        [HX_MODULE_STOPPED] = "Stopped", [HX_MODULE_UNLOADING] = "Unloading", [HX_MODULE_ERROR] = "Error",
    };
    return state < HX_MODULE_STATE_COUNT ? names[state] : "?";
}
