/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.c - see lifecycle.h.
 *
 * Policy: steps do not clean up; hx_lifecycle_load() owns every failure path, and teardown() is the one way out of being
 * loaded.
 */
#include "lifecycle.h"

#include <hal/hx_import.h>
#include <interrupts/router.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <string.h>

static const uint64_t drain_ns = 1000000000u; /* how long a drain waits for who is inside */
static const uint64_t drain_poll_ns = 1000000u;

static const struct hx_lifecycle_observer *observer;

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

hx_status_t hx_lifecycle_transition(struct hx_module *module, enum hx_module_state next)
{
    if (!hx_lifecycle_is_legal(module->state, next))
        return HX_E_STATE;
    module->state = next;
    return HX_OK;
}

void hx_lifecycle_bind(const struct hx_lifecycle_observer *bound)
{
    observer = bound;
}

void hx_lifecycle_notify(const struct hx_version *version, bool came)
{
    for (uint32_t i = 0; observer && i < version->provides_count; i++) {
        struct hx_slot *slot = version->provides[i].interface->slot;
        if (came)
            observer->came(slot);
        else
            observer->went(slot);
    }
}

/* ---- closing -------------------------------------------------------------------------------------------------------- */

struct insider {
    const struct hx_module *module;
    const struct hx_task *task;
};

static bool find_insider(struct hx_task *task, void *context)
{
    struct insider *insider = context;
    if (task != hx_task_current() && hx_gate_chain_has(task->frame, insider->module))
        insider->task = task;
    return !insider->task;
}

/* What the task called and has not come back from: "hx_sleep_ns", or its own code. */
static const char *standing_in(const struct hx_task *task)
{
    uint32_t import = task->frame->in_import;
    return import && import <= hx_import_count ? hx_import_table[import - 1].name : "its own code";
}

static hx_status_t report_insider(const struct hx_module *module, struct hx_report *report)
{
    struct insider insider = { .module = module };
    hx_task_for_each(find_insider, &insider);
    if (!insider.task)
        return hx_report_fail(report, HX_E_BUSY, "interrupt", "a callback of %s does not return", module->name);
    return hx_report_fail(report, HX_E_BUSY, insider.task->name,
                          "task %s is still inside %s after %u ms, in %s; try again when it has left",
                          insider.task->name, module->name, (unsigned)(drain_ns / 1000000), standing_in(insider.task));
}

/* Waits until the slots of one kind are empty. Preemption on. */
static hx_status_t drain(struct hx_module *module, bool atomic, struct hx_report *report)
{
    uint64_t deadline = hx_hal_clock_ns() + drain_ns;
    for (;;) {
        if (hx_hal_cpu_sync(deadline) != HX_OK)
            return hx_report_fail(report, HX_E_TIMEOUT, "cpu", "a processor does not answer; the swap is given up");
        if (!hx_module_is_inside(module, atomic))
            return HX_OK;
        if (hx_hal_clock_ns() >= deadline)
            return report_insider(module, report);
        hx_status_t err = hx_task_sleep_until(hx_hal_clock_ns() + drain_poll_ns);
        if (err != HX_OK)
            return err;
    }
}

hx_status_t hx_lifecycle_close(struct hx_module *module, struct hx_report *report)
{
    if (hx_gate_chain_has(hx_gate_frame(), module))
        return hx_report_fail(report, HX_E_BUSY, module->name, "%s cannot be replaced from inside itself", module->name);
    hx_module_close(module, false);
    hx_status_t err = drain(module, false, report);
    if (err == HX_OK) {
        /* Atomic operations run with preemption off or in interrupts: on this CPU none is inside once it is off here. */
        hx_preempt_disable();
        hx_module_close(module, true);
        uint64_t deadline = hx_hal_clock_ns() + drain_ns;
        err = hx_hal_cpu_sync(deadline);
        while (err == HX_OK && hx_module_is_inside(module, true))
            err = hx_hal_clock_ns() < deadline ? hx_hal_cpu_sync(deadline) : report_insider(module, report);
        if (err != HX_OK)
            hx_preempt_enable();
    }
    if (err != HX_OK)
        hx_module_reopen(module);
    return err;
}

/* ---- teardown: the one way out -------------------------------------------------------------------------------------- */

/* Nobody is inside and the slots are closed, failed or were never opened. */
static void teardown(struct hx_module *module)
{
    struct hx_version *version = module->running;
    if (version) {
        hx_module_retract(module, version, NULL);
        if (version->initialised && module->state != HX_MODULE_ERROR) {
            hx_ret_t ignored = hx_version_hook(version, HX_HOOK_FINI, 0);
            (void)ignored; /* it is going either way, and its ledger gives back all that the kernel knows of */
        }
    }
    hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_UNLOADING);
    (void)legal;
    hx_version_destroy(module->previous);
    hx_version_destroy(version);
    hx_module_destroy(module);
}

/* ---- load ----------------------------------------------------------------------------------------------------------- */

static hx_status_t peek_name(struct hx_slice file, char out[HX_NAME_MAX])
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_MODULE, &records);
    if (err == HX_OK)
        err = hx_slice_read(records, offsetof(struct hx_module_record, name), out, HX_NAME_MAX);
    if (err == HX_OK && (!out[0] || !memchr(out, 0, HX_NAME_MAX)))
        err = HX_E_FORMAT;
    return err;
}

hx_status_t hx_lifecycle_admit_provides(const struct hx_module *module, const struct hx_version *version,
                                        struct hx_report *report)
{
    for (uint32_t i = 0; i < version->provides_count; i++) {
        const struct hx_slot_info *info = hx_slot_info(version->provides[i].interface->slot);
        const struct hx_module *owner = info->owner;
        char display[HX_NAME_MAX];
        hx_interface_display(info->name, display);
        if (owner && owner != module)
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
    hx_irq_bind(module, module->running);
    hx_lifecycle_notify(module->running, true);
    hx_preempt_enable();
}

static hx_status_t run_hook(struct hx_module *module, enum hx_hook hook, struct hx_report *report)
{
    hx_ret_t result = hx_version_hook(module->running, hook, 0);
    if (result >= 0)
        return HX_OK;
    return hx_report_fail(report, (hx_status_t)result, hx_hook_name(hook), "its %s %s%s%s", hx_hook_name(hook),
                          result == HX_E_FAULT ? "faulted: " : "refused: ",
                          result == HX_E_FAULT ? module->fault : hx_err_text(result), "");
}

static hx_status_t bring_up(struct hx_module *module, struct hx_slice file, const char *params, struct hx_report *report)
{
    report->step = "link";
    hx_status_t err = hx_version_create(module, file, params, &module->running, report);
    if (err != HX_OK)
        return err;
    report->step = "admit";
    err = hx_lifecycle_transition(module, HX_MODULE_LOADED);
    if (err == HX_OK)
        err = hx_lifecycle_admit_provides(module, module->running, report);
    if (err == HX_OK)
        err = hx_irq_claim_all(module, module->running, report);
    if (err != HX_OK)
        return err;
    report->step = "init";
    err = hx_lifecycle_transition(module, HX_MODULE_INITIALIZING);
    if (err == HX_OK)
        err = run_hook(module, HX_HOOK_INIT, report);
    if (err != HX_OK)
        return err;
    module->running->initialised = true;
    report->step = "start";
    publish_first(module);
    err = run_hook(module, HX_HOOK_START, report);
    if (err == HX_OK)
        err = hx_lifecycle_transition(module, HX_MODULE_RUNNING);
    if (err != HX_OK) {
        struct hx_report ignored;
        hx_report_init(&ignored);
        /* Nobody can have been told of it; who came in by chance is waited for. */
        if (hx_lifecycle_close(module, &ignored) == HX_OK)
            hx_preempt_enable();
    }
    return err;
}

hx_status_t hx_lifecycle_load(struct hx_slice file, const char *params, struct hx_module **out, struct hx_report *report)
{
    char name[HX_NAME_MAX];
    report->step = "link";
    hx_status_t err = peek_name(file, name);
    if (err != HX_OK)
        hx_fmt(name, sizeof(name), "?"); /* the loader says better what is wrong with the file */
    struct hx_module *module = NULL;
    err = hx_module_create(name, &module, report);
    if (err != HX_OK)
        return err;
    module->busy = true;
    err = bring_up(module, file, params, report);
    if (err != HX_OK) {
        bool was_published = module->running && hx_slot_info(module->callbacks)->state != HX_SLOT_ABSENT;
        if (was_published)
            hx_lifecycle_notify(module->running, false);
        teardown(module);
        return err;
    }
    module->busy = false;
    report->step = "done";
    report->err = HX_OK;
    *out = module;
    return HX_OK;
}

/* ---- unload --------------------------------------------------------------------------------------------------------- */

static hx_status_t refuse_if_used(const struct hx_module *module, struct hx_report *report)
{
    char users[160] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < module->running->provides_count; i++) {
        struct hx_interface_use *use = NULL;
        TAILQ_FOREACH(use, &module->running->provides[i].interface->uses, link)
            if (use->user->module != module)
                used = hx_fmt_append(users, sizeof(users), used, "%s%s", used ? ", " : "", use->user->module->name);
    }
    if (!used)
        return HX_OK;
    return hx_report_fail(report, HX_E_IN_USE, users, "%s is required by %s; unload that first", module->name, users);
}

hx_status_t hx_lifecycle_unload(struct hx_module *module, struct hx_report *report)
{
    report->step = "admit";
    hx_status_t err = refuse_if_used(module, report);
    if (err != HX_OK)
        return err;
    bool crashed = module->state == HX_MODULE_ERROR;
    module->busy = true;
    report->step = "drain";
    if (crashed) {
        err = drain(module, false, report);
    } else {
        err = run_hook(module, HX_HOOK_STOP, report);
        if (err == HX_OK)
            err = hx_lifecycle_close(module, report);
        if (err == HX_OK)
            err = hx_lifecycle_transition(module, HX_MODULE_STOPPING);
        if (err == HX_OK)
            err = hx_lifecycle_transition(module, HX_MODULE_STOPPED);
    }
    if (err != HX_OK) {
        module->busy = false;
        return err;
    }
    hx_irq_disarm_all(module);
    hx_lifecycle_notify(module->running, false);
    if (!crashed)
        hx_preempt_enable();
    teardown(module);
    report->step = "done";
    report->err = HX_OK;
    return HX_OK;
}
