/* SPDX-License-Identifier: MIT */
/* restart.c - see restart.h. */
#include "restart.h"

#include <orchestrator/capability_broker.h>
#include <orchestrator/declared.h>
#include <orchestrator/lifecycle.h>
#include <orchestrator/resource_broker.h>

#include <lib/fmt.h>
#include <string.h>

struct restart {
    struct hx_module *module;
    struct hx_version *old, *new;
    struct hx_swap_record *record;
    bool crashed; /* nothing of the old one is called any more */
};

bool hx_restart_take_turn(struct hx_module *module)
{
    uint64_t now_ns = hx_hal_clock_ns();
    if (now_ns < module->restart_turn_ns)
        return false;
    module->restart_turn_ns = now_ns + HX_RESTART_RENEWS_NS;
    return true;
}

static hx_status_t admit(struct restart *restart, struct hx_report *report)
{
    hx_status_t err = hx_resource_admit(restart->new, false, report);
    if (err == HX_OK)
        err = hx_record_admit(restart->module, restart->new, report);
    if (err == HX_OK)
        err = hx_lifecycle_admit_provides(restart->module, restart->new, report);
    return err == HX_OK ? hx_capability_admit(restart->module, restart->new, report) : err;
}

/* Everything that may fail while the old one still stands. */
static hx_status_t make_new(struct restart *restart, struct hx_report *report)
{
    struct hx_module *module = restart->module;
    struct hx_version_set set = { .count = 1, .module = { module } };
    report->step = "link";
    hx_status_t err =
        hx_version_create(module, &set, restart->old->file, restart->old->params_text, &restart->new, report);
    if (err != HX_OK)
        return err;
    report->step = "admit";
    err = admit(restart, report);
    if (err != HX_OK)
        return err;
    report->step = hx_hook_name(HX_HOOK_INIT);
    err = hx_version_init(restart->new, report);
    if (err != HX_OK)
        return err;
    hx_resource_settle(restart->new);
    report->step = "reserve";
    return hx_declared_claim_all(module, restart->new, report);
}

static void drop_new(const struct restart *restart)
{
    if (restart->new && !restart->new->fault[0])
        hx_version_fini(restart->new);
    hx_version_destroy(restart->new);
}

/* The states that a module goes through until its start. */
static void begin_life(struct hx_module *module)
{
    static const enum hx_module_state states[] = { HX_MODULE_LOADING, HX_MODULE_LOADED, HX_MODULE_INITIALIZING };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(states); i++) {
        hx_status_t legal = hx_lifecycle_transition(module, states[i]);
        (void)legal; /* it was Stopped or in Error */
    }
}

/* Its slots are closed, failed or faulted, and nobody is inside; preemption is off until the end. */
static void change(const struct restart *restart)
{
    struct hx_module *module = restart->module;
    const struct hx_version_set set = { .count = 1, .module = { module }, .version = { restart->new } };
    begin_life(module);
    restart->record->found = hx_record_recover(restart->new);
    hx_declared_forsake(module); /* the new one knows nothing of what the old has promised */
    module->faulted = false;
    hx_lifecycle_publish(&set);
    hx_lifecycle_notify(restart->new, NULL, true);
    hx_preempt_enable();
    hx_module_wake_callers();
    module->restarts++;
    hx_declared_restore(module);
    if (!restart->crashed)
        hx_version_fini(restart->old);
    hx_version_destroy(restart->old);
}

static hx_status_t start_new(struct hx_module *module, struct hx_report *report)
{
    report->step = hx_hook_name(HX_HOOK_START);
    hx_status_t err = hx_version_try_hook(module->running, HX_HOOK_START, 0, report);
    if (err == HX_OK)
        err = hx_lifecycle_transition(module, HX_MODULE_RUNNING);
    if (err != HX_OK) {
        hx_lifecycle_fail(module);
        hx_fmt_append(report->message, sizeof(report->message), strlen(report->message), "; it is in Error");
    }
    return err;
}

static hx_status_t run(struct restart *restart, struct hx_report *report)
{
    uint64_t began_ns = hx_hal_clock_ns();
    hx_status_t err = make_new(restart, report);
    uint64_t closed_ns = hx_hal_clock_ns();
    if (err == HX_OK)
        err = hx_lifecycle_stop(restart->module, report);
    if (err != HX_OK) {
        drop_new(restart);
        return err;
    }
    change(restart);
    restart->record->total_ns = hx_hal_clock_ns() - began_ns;
    restart->record->blackout_ns = hx_hal_clock_ns() - closed_ns;
    restart->record->outcome = HX_SWAP_FAILED;
    err = start_new(restart->module, report);
    if (err != HX_OK)
        return err;
    restart->record->outcome = HX_SWAP_RESTARTED;
    hx_lifecycle_tell(restart->module, HX_EVENT_MODULE_RESTARTED);
    return HX_OK;
}

static struct hx_swap_record *enter(struct hx_version *version, const char *who)
{
    struct hx_swap_record *record = hx_history_add();
    record->transaction = record->number;
    record->old_version = record->new_version = version->record->version;
    record->old_hash = record->new_hash = hx_version_file_hash(version);
    hx_fmt(record->old_name, sizeof(record->old_name), "%s", hx_version_name(version));
    hx_fmt(record->new_name, sizeof(record->new_name), "%s", hx_version_name(version));
    hx_fmt(record->who, sizeof(record->who), "%s", who);
    return record;
}

hx_status_t hx_restart_run(struct hx_module *module, const char *who, struct hx_swap_record **out_record)
{
    struct restart restart = { .module = module, .old = module->running, .record = enter(module->running, who) };
    struct hx_report *report = &restart.record->report;
    *out_record = restart.record;
    if (module->previous)
        return hx_report_fail(report, HX_E_STATE, module->name, "%s is on probation; commit or rollback it first",
                              module->name);
    if (module->faulted) {
        /* Its slots stay as the fault has left them: who calls waits for what comes of this. */
        hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_ERROR);
        (void)legal;
    }
    restart.crashed = module->state == HX_MODULE_ERROR;
    hx_status_t err = run(&restart, report);
    if (err != HX_OK)
        return err;
    hx_report_init(report);
    if (restart.crashed)
        hx_fmt(report->message, sizeof(report->message), "%s", module->fault);
    report->step = "done";
    return report->err = HX_OK;
}
