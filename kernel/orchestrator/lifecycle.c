/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.c - see lifecycle.h.
 *
 * Policy: steps do not clean up; hx_lifecycle_load() owns every failure path, and teardown() is the one way out of being
 * loaded.
 */
#include "lifecycle.h"

#include "declared.h"

#include "capability_broker.h"

#include <hal/hx_import.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <string.h>

#include "record.h"
#include "resource_broker.h"

static const uint64_t drain_ns = 1000000000u;   /* how long a drain waits for who is inside, and may sleep there */
static const uint64_t drain_poll_ns = 1000000u; /* in the end; it begins with a 32nd of that */
/* For what ends by itself: a processor answers, an atomic operation returns or is unwound after so many of its own ticks.
 * That takes long only where a host does not run the processor; callers at a gate wait for five seconds. */
static const uint64_t answer_ns = 4000000000u;

static const struct hx_lifecycle_observer *observer;
static struct hx_lifecycle_watcher watchers[HX_LIFECYCLE_WATCHERS_MAX];
static uint32_t watcher_count;

/* Section 3.2 of the specification, and the edges that it lacks: out of a failed load, restart, force-unload. */
#define TO(state) (1u << HX_MODULE_##state)
static const uint16_t legal_edges[HX_MODULE_STATE_COUNT] = {
    [HX_MODULE_LOADING] = TO(LOADED) | TO(UNLOADING) | TO(ERROR),
    [HX_MODULE_LOADED] = TO(INITIALIZING) | TO(UNLOADING) | TO(ERROR),
    [HX_MODULE_INITIALIZING] = TO(RUNNING) | TO(UNLOADING) | TO(ERROR),
    [HX_MODULE_RUNNING] = TO(PAUSED) | TO(STOPPING) | TO(ERROR),
    [HX_MODULE_PAUSED] = TO(RUNNING) | TO(STOPPING) | TO(ERROR),
    [HX_MODULE_STOPPING] = TO(STOPPED) | TO(ERROR),
    [HX_MODULE_STOPPED] = TO(LOADING) | TO(UNLOADING) | TO(ERROR),
    [HX_MODULE_UNLOADING] = 0,
    [HX_MODULE_ERROR] = TO(LOADING) | TO(RUNNING) | TO(UNLOADING),
};
#undef TO

bool hx_lifecycle_is_legal(enum hx_module_state from, enum hx_module_state to)
{
    return from < HX_MODULE_STATE_COUNT && to < HX_MODULE_STATE_COUNT && (legal_edges[from] >> to & 1u);
}

void hx_lifecycle_tell(const struct hx_module *module, enum hx_event_type what)
{
    if (observer && observer->happened)
        observer->happened(module, what);
}

static enum hx_event_type event_of(enum hx_module_state from, enum hx_module_state to)
{
    if (to == HX_MODULE_RUNNING && from == HX_MODULE_INITIALIZING)
        return HX_EVENT_MODULE_LOADED;
    if (to == HX_MODULE_UNLOADING && (from == HX_MODULE_STOPPED || from == HX_MODULE_ERROR))
        return HX_EVENT_MODULE_UNLOADED;
    return HX_EVENT_MODULE_STATE;
}

/* By a copy: one of them may come or go meanwhile, for the next transition. */
static void tell_watchers(const struct hx_module *module, enum hx_module_state before, enum hx_module_state now)
{
    struct hx_lifecycle_watcher snapshot[HX_ARRAY_SIZE(watchers)];
    uint32_t count = watcher_count;
    memcpy(snapshot, watchers, sizeof(snapshot));
    for (uint32_t i = 0; i < count; i++)
        snapshot[i].changed(snapshot[i].context, module, before, now);
}

hx_status_t hx_lifecycle_transition(struct hx_module *module, enum hx_module_state next)
{
    enum hx_module_state before = module->state;
    if (!hx_lifecycle_is_legal(before, next))
        return HX_E_STATE;
    module->state = next;
    hx_lifecycle_tell(module, event_of(before, next));
    tell_watchers(module, before, next);
    return HX_OK;
}

hx_status_t hx_lifecycle_watch(const struct hx_lifecycle_watcher *watcher)
{
    if (watcher_count == HX_ARRAY_SIZE(watchers))
        return HX_E_LIMIT;
    watchers[watcher_count++] = *watcher;
    return HX_OK;
}

void hx_lifecycle_unwatch(const struct hx_lifecycle_watcher *watcher)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < watcher_count; i++)
        if (memcmp(&watchers[i], watcher, sizeof(*watcher)) != 0)
            watchers[kept++] = watchers[i];
    watcher_count = kept;
}

void hx_lifecycle_bind(const struct hx_lifecycle_observer *bound)
{
    observer = bound;
}

void hx_lifecycle_notify(const struct hx_version *version, const struct hx_version *other, bool came)
{
    for (uint32_t i = 0; observer && i < version->provides_count; i++) {
        struct hx_interface *interface = version->provides[i].interface;
        if (other && hx_version_provided(other, interface))
            continue;
        if (came)
            observer->came(interface->slot);
        else
            observer->went(interface->slot);
    }
}

void hx_lifecycle_fail(struct hx_module *module)
{
    /* Before the slots: who still faults in it changes nothing any more. */
    hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_ERROR);
    (void)legal; /* every state but Unloading has the edge, and only the worker unloads; or it is there already */
    if (!module->faulted) /* it was a hook's */
        hx_fmt(module->fault, sizeof(module->fault), "%s", module->running->fault);
    hx_declared_disarm(module);
    hx_declared_forsake(module);
    hx_module_fail(module);
    hx_lifecycle_notify(module->running, NULL, false);
}

/* ---- closing -------------------------------------------------------------------------------------------------------- */

struct insider {
    const struct hx_module *module;
    const struct hx_task *task;
    uint32_t import; /* 1 + the number of what it called and has not come back from; 0: its own code */
};

/* On a task's own CPU, with interrupts off: nobody else runs it. */
static bool find_insider(struct hx_task *task, void *context)
{
    struct insider *insider = context;
    const struct hx_gate_frame *frame = task == hx_task_current() ? hx_gate_frame() : task->frame;
    if (task->cpu != hx_cpu_read(id) || !hx_gate_chain_has(frame, insider->module))
        return true;
    insider->import = frame->in_import;
    insider->task = task;
    return false;
}

/* In an interrupt of each CPU but this one, and here in the same way. Several may find one: any will do. */
static void look_for_insider(void *context)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_task_for_each(find_insider, context);
    hx_irq_restore(flags);
}

/* "hx_sleep_ns" */
static const char *standing_in(const struct insider *insider)
{
    uint32_t import = insider->import;
    return import && import <= hx_import_count ? hx_import_table[import - 1].name : "its own code";
}

static hx_status_t report_silent_cpu(struct hx_report *report)
{
    return hx_report_fail(report, HX_E_TIMEOUT, "cpu", "a processor does not answer; it is given up");
}

static hx_status_t report_insider(const struct hx_module *module, uint64_t waited_ns, struct hx_report *report)
{
    struct insider insider = { .module = module };
    look_for_insider(&insider);
    if (!insider.task && hx_hal_cpu_call_others(look_for_insider, &insider, hx_hal_clock_ns() + answer_ns) != HX_OK)
        return report_silent_cpu(report);
    if (!insider.task)
        return hx_report_fail(report, HX_E_BUSY, "interrupt", "a callback of %s does not return", module->name);
    return hx_report_fail(report, HX_E_BUSY, insider.task->name,
                          "task %s is still inside %s after %u ms, in %s; try again when it has left",
                          insider.task->name, module->name, (unsigned)(waited_ns / 1000000), standing_in(&insider));
}

static hx_status_t wait_until_empty(struct hx_module *module, bool atomic, struct hx_report *report)
{
    uint64_t deadline = hx_hal_clock_ns() + drain_ns;
    for (uint64_t poll_ns = drain_poll_ns / 32; hx_module_is_inside(module, atomic);) {
        if (hx_hal_clock_ns() >= deadline)
            return report_insider(module, drain_ns, report);
        hx_task_break_waits(module);
        hx_status_t err = hx_module_wait_empty(module, atomic, hx_hal_clock_ns() + poll_ns);
        if (err != HX_OK && err != HX_E_TIMEOUT)
            return err;
        poll_ns = poll_ns < drain_poll_ns ? 2 * poll_ns : drain_poll_ns;
    }
    return HX_OK;
}

/* Waits until the slots of one kind, which are closed, are empty. Preemption on. */
static hx_status_t drain(struct hx_module *module, bool atomic, struct hx_report *report)
{
    if (hx_hal_cpu_sync(hx_hal_clock_ns() + answer_ns) != HX_OK)
        return report_silent_cpu(report);
    if (!hx_module_is_inside(module, atomic))
        return HX_OK;
    /* Who waits in it at a gate that only the worker opens, a faulted one's, would wait for us. */
    module->leaving = true;
    hx_module_wake_callers();
    hx_status_t err = wait_until_empty(module, atomic, report);
    module->leaving = false;
    return err;
}

/* The atomic ones: who is inside runs on another CPU and leaves soon. Preemption off, interrupts on. */
static hx_status_t drain_atomic(struct hx_module *const *modules, uint32_t count, struct hx_report *report)
{
    uint64_t deadline = hx_hal_clock_ns() + answer_ns;
    if (hx_hal_cpu_sync(deadline) != HX_OK)
        return report_silent_cpu(report);
    /* Nobody comes in any more; those who are inside are counted out where they are. */
    for (uint32_t i = 0; i < count; i++)
        while (hx_module_is_inside(modules[i], true)) {
            if (hx_hal_clock_ns() >= deadline)
                return report_insider(modules[i], answer_ns, report);
            hx_cpu_relax();
        }
    return HX_OK;
}

hx_status_t hx_lifecycle_close(struct hx_module *const *modules, uint32_t count, struct hx_report *report)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = count; err == HX_OK && i-- > 0;) {
        if (hx_gate_chain_has(hx_gate_frame(), modules[i]))
            err = hx_report_fail(report, HX_E_BUSY, modules[i]->name, "%s cannot be replaced from inside itself",
                                 modules[i]->name);
        if (err != HX_OK)
            break;
        hx_module_close(modules[i], false);
        err = drain(modules[i], false, report);
    }
    if (err == HX_OK) {
        /* Atomic operations run with preemption off or in interrupts: once it is off here, none stays inside on this CPU,
         * where one that was interrupted could not leave while we wait. On the others they leave by themselves. */
        hx_preempt_disable();
        for (uint32_t i = count; i-- > 0;)
            hx_module_close(modules[i], true);
        err = drain_atomic(modules, count, report);
        if (err != HX_OK)
            hx_preempt_enable();
    }
    for (uint32_t i = 0; err != HX_OK && i < count; i++)
        hx_lifecycle_reopen(modules[i]);
    return err;
}

void hx_lifecycle_reopen(struct hx_module *module)
{
    if (module->state == HX_MODULE_PAUSED)
        return;
    if (module->state == HX_MODULE_ERROR) {
        hx_module_fail(module);
        return;
    }
    hx_irq_flags_t flags = hx_irq_save();
    hx_module_reopen(module);
    hx_declared_replay(module);
    hx_irq_restore(flags);
}

void hx_lifecycle_publish(const struct hx_version_set *set)
{
    hx_irq_flags_t flags = hx_irq_save();
    for (uint32_t i = 0; i < set->count; i++) {
        struct hx_module *module = set->module[i];
        struct hx_version *gone = module->running, *version = set->version[i];
        module->running = version;
        hx_module_rename(module, hx_version_name(version));
        hx_module_retract(module, gone, version);
        hx_declared_bind(module, gone, version);
    }
    for (uint32_t i = 0; i < set->count; i++) {
        hx_module_open(set->module[i], set->version[i]);
        hx_declared_replay(set->module[i]);
    }
    hx_irq_restore(flags);
}

/* ---- teardown: the one way out -------------------------------------------------------------------------------------- */

/*
 * Takes back what was published. The slots are closed or failed and empty, and preemption is off, so that no task of this CPU
 * finds a scheduler that is closed, and not yet gone; it is on again on return.
 */
static void retire(struct hx_module *module)
{
    hx_declared_disarm(module);
    hx_lifecycle_notify(module->running, NULL, false);
    hx_module_retract(module, module->running, NULL);
    hx_preempt_enable();
}

/* Nothing of it is published; what it declares may be another's. */
static void teardown(struct hx_module *module)
{
    struct hx_version *version = module->running;
    if (version && module->state != HX_MODULE_ERROR && !module->faulted)
        hx_version_fini(version);
    hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_UNLOADING);
    (void)legal;
    struct hx_version *previous = module->previous;
    module->running = module->previous = NULL;
    hx_version_destroy(previous);
    hx_version_destroy(version);
    hx_module_destroy(module);
}

/* ---- load ----------------------------------------------------------------------------------------------------------- */

hx_status_t hx_lifecycle_admit_provides(const struct hx_module *module, const struct hx_version *version,
                                        struct hx_report *report)
{
    for (uint32_t i = 0; i < version->provides_count; i++) {
        const struct hx_provided *provided = &version->provides[i];
        const struct hx_slot_info *info = hx_slot_info(provided->interface->slot);
        const struct hx_module *owner = hx_module_claiming(provided->interface);
        uint32_t least = hx_interface_least(provided->interface);
        char display[HX_NAME_MAX];
        hx_interface_display(info->name, display);
        if (provided->version < least)
            return hx_report_fail(report, HX_E_VERSION, info->name,
                                  "%s provides %s %u.%u, and %u processors need %u.%u; build it for that or a later "
                                  "version, or start with one processor",
                                  hx_version_name(version), display, HX_VERSION_MAJOR(provided->version),
                                  HX_VERSION_MINOR(provided->version), hx_hal_cpu_count(), HX_VERSION_MAJOR(least),
                                  HX_VERSION_MINOR(least));
        if (!owner || owner == module)
            continue;
        if (owner->state == HX_MODULE_ERROR)
            return hx_report_fail(report, HX_E_EXIST, info->name,
                                  "%s belongs to %s, which is in Error; `rmmod %s' first", display, owner->name,
                                  owner->name);
        if (!info->owner)
            return hx_report_fail(report, HX_E_EXIST, info->name,
                                  "%s belongs to %s again if its probation ends in a revert; `commit %s' first",
                                  display, owner->name, owner->name);
        return hx_report_fail(report, HX_E_EXIST, info->name, "%s is provided by %s already; use `reload %s FILE'",
                              display, owner->name, owner->name);
    }
    return HX_OK;
}

/* From here on a fault of the module is seen by whoever calls it, so publishing comes before start. */
static void publish_first(struct hx_module *module)
{
    hx_preempt_disable();
    hx_module_open(module, module->running);
    module->calls_before = hx_module_calls(module);
    hx_irq_flags_t flags = hx_irq_save();
    hx_declared_bind(module, NULL, module->running);
    hx_declared_replay(module);
    hx_irq_restore(flags);
    hx_lifecycle_notify(module->running, NULL, true);
    hx_preempt_enable();
}

/* Start has failed with @err. Nobody can have been told of the module; who came in by chance is waited for, and when he does
 * not leave, it cannot go. */
static hx_status_t withdraw(struct hx_module *module, hx_status_t err, struct hx_report *report)
{
    struct hx_report inside;
    hx_report_init(&inside);
    if (hx_lifecycle_close(&module, 1, &inside) == HX_OK) {
        retire(module);
        return err;
    }
    hx_lifecycle_fail(module);
    return hx_report_fail(report, err, inside.subject,
                          "its start failed, and %s is inside; it is in Error; rmmod it later", inside.subject);
}

static hx_status_t bring_up(struct hx_module *module, struct hx_slice file, const char *params,
                            struct hx_report *report)
{
    report->step = "link";
    hx_status_t err = hx_resource_open(module, report);
    if (err == HX_OK)
        err = hx_version_create(module, NULL, file, params, &module->running, report);
    if (err != HX_OK)
        return err;
    report->step = "admit";
    err = hx_lifecycle_transition(module, HX_MODULE_LOADED);
    if (err == HX_OK)
        err = hx_resource_admit(module->running, true, report);
    if (err == HX_OK)
        err = hx_record_admit(module, module->running, report);
    if (err == HX_OK)
        err = hx_lifecycle_admit_provides(module, module->running, report);
    if (err == HX_OK)
        err = hx_capability_admit(module, module->running, report);
    if (err == HX_OK)
        err = hx_declared_claim_all(module, module->running, report);
    if (err != HX_OK)
        return err;
    report->step = "init";
    err = hx_lifecycle_transition(module, HX_MODULE_INITIALIZING);
    if (err == HX_OK)
        err = hx_version_init(module->running, report);
    if (err != HX_OK)
        return err;
    hx_resource_settle(module->running);
    report->step = "start";
    publish_first(module);
    err = hx_version_try_hook(module->running, HX_HOOK_START, 0, report);
    if (err == HX_OK)
        err = hx_lifecycle_transition(module, HX_MODULE_RUNNING);
    return err == HX_OK ? HX_OK : withdraw(module, err, report);
}

hx_status_t hx_lifecycle_load(struct hx_slice file, const char *params, struct hx_module **out,
                              struct hx_report *report)
{
    char name[HX_NAME_MAX];
    report->step = "link";
    hx_status_t err = hx_records_peek_name(file, name);
    if (err != HX_OK)
        hx_fmt(name, sizeof(name), "?"); /* the loader says better what is wrong with the file */
    struct hx_module *module = NULL;
    err = hx_module_create(name, &module, report);
    if (err != HX_OK)
        return err;
    err = bring_up(module, file, params, report);
    if (err != HX_OK && module->state == HX_MODULE_ERROR)
        return err;
    if (err != HX_OK) {
        teardown(module);
        return err;
    }
    report->step = "done";
    report->err = HX_OK;
    *out = module;
    return HX_OK;
}

/* ---- unload --------------------------------------------------------------------------------------------------------- */

size_t hx_lifecycle_users(const struct hx_module *module, char *out, size_t bytes)
{
    size_t used = 0;
    for (uint32_t i = 0; i < module->running->provides_count; i++) {
        struct hx_interface_use *use = NULL;
        TAILQ_FOREACH(use, &module->running->provides[i].interface->uses, link)
            if (use->user->module != module)
                used = hx_fmt_append(out, bytes, used, "%s%s", used ? ", " : "", use->user->module->name);
    }
    return used;
}

hx_status_t hx_lifecycle_may_unload(const struct hx_module *module, struct hx_report *report)
{
    char users[160];
    if (!hx_lifecycle_users(module, users, sizeof(users)))
        return HX_OK;
    return hx_report_fail(report, HX_E_IN_USE, users, "%s is required by %s; unload that first", module->name, users);
}

/* Returns with preemption off. A refusal leaves the module as it was before, or in Error when it faults on the way. */
static hx_status_t stop_sound(struct hx_module *module, struct hx_report *report)
{
    bool paused = module->state == HX_MODULE_PAUSED; /* closed and empty */
    hx_status_t err = hx_version_try_hook(module->running, HX_HOOK_STOP, 0, report);
    if (err == HX_E_FAULT) {
        hx_lifecycle_fail(module);
        hx_fmt_append(report->message, sizeof(report->message), strlen(report->message), "; it is in Error");
    }
    if (err != HX_OK)
        return err;
    if (paused)
        hx_preempt_disable();
    else
        err = hx_lifecycle_close(&module, 1, report);
    if (err != HX_OK) {
        if (hx_version_hook(module->running, HX_HOOK_START, 0) < 0)
            hx_lifecycle_fail(module);
        return err;
    }
    hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_STOPPING);
    legal = legal == HX_OK ? hx_lifecycle_transition(module, HX_MODULE_STOPPED) : legal;
    (void)legal; /* it was Running or Paused */
    return HX_OK;
}

hx_status_t hx_lifecycle_stop(struct hx_module *module, struct hx_report *report)
{
    report->step = "drain";
    if (module->state != HX_MODULE_ERROR)
        return stop_sound(module, report);
    hx_status_t err = drain(module, false, report);
    if (err == HX_OK)
        err = drain(module, true, report);
    if (err == HX_OK)
        hx_preempt_disable();
    return err;
}

hx_status_t hx_lifecycle_unload(struct hx_module *module, struct hx_report *report)
{
    report->step = "admit";
    hx_status_t err = hx_lifecycle_may_unload(module, report);
    if (err == HX_OK)
        err = hx_lifecycle_stop(module, report);
    if (err != HX_OK)
        return err;
    retire(module);
    teardown(module);
    report->step = "done";
    report->err = HX_OK;
    return HX_OK;
}
