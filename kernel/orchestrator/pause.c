/* SPDX-License-Identifier: MIT */
/*
 * pause.c - a module stands still with everything it has, and goes on: see lifecycle.h.
 *
 * Why it is little: a pause is the first half of a swap, closing and draining, and a resume its last, replaying and opening; in
 * between nothing is replaced. Preemption is on meanwhile, which is why a provider of an atomic interface cannot be paused: its
 * callers do not wait.
 */
#include "callbacks.h"
#include "lifecycle.h"

#include <lib/fmt.h>

static hx_status_t refuse_state(const struct hx_module *module, enum hx_module_state wanted,
                                enum hx_module_state target, struct hx_report *report)
{
    const char *name = hx_module_state_name(module->state);
    if (module->state == target)
        return hx_report_fail(report, HX_E_ALREADY, module->name, "%s is %s already", module->name, name);
    return hx_report_fail(report, HX_E_STATE, module->name, "%s is %s, not %s; see lsmod", module->name, name,
                          hx_module_state_name(wanted));
}

static hx_status_t may_pause(const struct hx_module *module, struct hx_report *report)
{
    if (module->state != HX_MODULE_RUNNING)
        return refuse_state(module, HX_MODULE_RUNNING, HX_MODULE_PAUSED, report);
    if (module->previous)
        return hx_report_fail(report, HX_E_STATE, module->name, "%s is on probation; commit or rollback it first",
                              module->name);
    for (uint32_t i = 0; i < module->running->provides_count; i++) {
        const struct hx_slot_info *info = hx_slot_info(module->running->provides[i].interface->slot);
        if (!info->sleepable)
            return hx_report_fail(report, HX_E_UNSUPPORTED, info->name,
                                  "%s provides %s, whose callers cannot wait; replace it by `reload'", module->name,
                                  info->name);
    }
    return HX_OK;
}

/* Calls a hook of the closed module. */
static hx_status_t call_hook(struct hx_module *module, enum hx_hook hook, struct hx_report *report)
{
    report->step = hx_hook_name(hook);
    hx_status_t err = hx_version_try_hook(module->running, hook, 0, report);
    if (err != HX_E_FAULT)
        return err;
    hx_lifecycle_fail(module);
    return hx_report_fail(report, err, hx_hook_name(hook), "its %s faulted: %s: it is in Error; restart or rmmod it",
                          hx_hook_name(hook), module->fault);
}

/* @err is an earlier step's. */
static hx_status_t finish(struct hx_module *module, hx_status_t err, enum hx_module_state now, struct hx_report *report)
{
    if (err == HX_OK)
        err = hx_lifecycle_transition(module, now);
    if (err != HX_OK)
        return err;
    hx_report_init(report);
    hx_lifecycle_users(module, report->message, sizeof(report->message));
    report->step = "done";
    return report->err = HX_OK;
}

hx_status_t hx_lifecycle_pause(struct hx_module *module, struct hx_report *report)
{
    report->step = "admit";
    hx_status_t err = may_pause(module, report);
    if (err != HX_OK)
        return err;
    report->step = "drain";
    err = hx_lifecycle_close(&module, 1, report);
    if (err != HX_OK)
        return err;
    hx_preempt_enable();
    if (module->faulted)
        err = hx_report_fail(report, HX_E_FAULT, module->name, "it has faulted on the way: %s", module->fault);
    else
        err = call_hook(module, HX_HOOK_PAUSE, report);
    if (err == HX_OK)
        hx_callbacks_stop_timers(module);
    err = finish(module, err, HX_MODULE_PAUSED, report);
    if (err != HX_OK)
        hx_lifecycle_reopen(module);
    return err;
}

hx_status_t hx_lifecycle_resume(struct hx_module *module, struct hx_report *report)
{
    report->step = "admit";
    if (module->state != HX_MODULE_PAUSED)
        return refuse_state(module, HX_MODULE_PAUSED, HX_MODULE_RUNNING, report);
    hx_status_t err = call_hook(module, HX_HOOK_RESUME, report);
    err = finish(module, err, HX_MODULE_RUNNING, report);
    if (err != HX_OK)
        return err;
    hx_callbacks_continue_timers(module);
    hx_lifecycle_reopen(module);
    return HX_OK;
}
