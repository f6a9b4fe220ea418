/* SPDX-License-Identifier: MIT */
/*
 * probation.c - see probation.h.
 *
 * Invariant: a module is on probation while its `previous' is set; who shares it has the same number of the transaction.
 */
#include "probation.h"

#include <lib/err.h>
#include <orchestrator/declared.h>
#include <orchestrator/lifecycle.h>

static uint64_t length_ns = 1000000000u;
static void (*tell_over)(void);

void hx_probation_bind(void (*over)(void))
{
    tell_over = over;
}

void hx_probation_set_length_ns(uint64_t duration_ns)
{
    length_ns = duration_ns;
}

uint64_t hx_probation_length_ns(void)
{
    return length_ns;
}

/* ---- who is on it --------------------------------------------------------------------------------------------------- */

static struct hx_swap_record *record_of(const struct hx_module *module)
{
    return hx_history_get(module->pending_swap);
}

struct hx_swap_record *hx_probation_record(const struct hx_module *module)
{
    return module->previous ? record_of(module) : NULL;
}

void hx_probation_members(const struct hx_module *module, struct hx_version_set *out)
{
    struct hx_module *other = NULL;
    out->count = 0;
    while (module->previous && (other = hx_module_next(other))) {
        if (!other->previous || other->pending_transaction != module->pending_transaction)
            continue;
        uint32_t at = out->count++;
        for (; at > 0 && out->module[at - 1]->pending_swap > other->pending_swap; at--) {
            out->module[at] = out->module[at - 1];
            out->version[at] = out->version[at - 1];
        }
        out->module[at] = other;
        out->version[at] = other->previous;
    }
}

void hx_probation_begin(struct hx_module *module, struct hx_version *previous, struct hx_swap_record *record)
{
    module->previous = previous;
    module->pending_swap = record->number;
    module->pending_transaction = record->transaction;
    module->pending_way = record->way;
    module->calls_at_swap = hx_module_calls(module);
    module->swaps++;
    record->outcome = HX_SWAP_PROBATION;
}

/* ---- its time ------------------------------------------------------------------------------------------------------- */

static void expire(struct hx_timer *timer)
{
    struct hx_module *module = (struct hx_module *)((char *)timer - offsetof(struct hx_module, probation));
    module->probation_over = true;
    if (tell_over)
        tell_over();
}

/* One timer does for all that share it. */
void hx_probation_arm(struct hx_module *module)
{
    struct hx_version_set set;
    hx_probation_members(module, &set);
    for (uint32_t i = 0; i < set.count; i++)
        if (set.module[i]->state != HX_MODULE_RUNNING)
            return;
    if (set.count)
        hx_timer_arm(&module->probation, hx_hal_clock_ns() + length_ns, expire);
}

/* What has run out and was not looked at does not count any more, either. */
static void disarm(struct hx_module *module)
{
    hx_timer_disarm(&module->probation);
    module->probation_over = false;
}

void hx_probation_commit_due(void)
{
    struct hx_module *module = NULL;
    while ((module = hx_module_next(module)))
        if (module->probation_over) {
            module->probation_over = false;
            hx_status_t err = hx_probation_commit(module);
            (void)err; /* HX_E_FAULT: the answer to that decides */
        }
}

/* ---- the new ones stay ---------------------------------------------------------------------------------------------- */

static void commit_one(struct hx_module *module)
{
    struct hx_version *old = module->previous;
    struct hx_swap_record *record = record_of(module);
    disarm(module);
    hx_declared_release_others(module, module->running);
    hx_state_commit(old, module->running, module->pending_way);
    module->previous = NULL;
    module->restart_turn_ns = 0; /* another version: another chance */
    hx_version_fini(old);
    hx_version_destroy(old);
    if (!record)
        return;
    record->outcome = HX_SWAP_COMMITTED;
    record->decided_ns = hx_hal_clock_ns();
}

hx_status_t hx_probation_commit(struct hx_module *module)
{
    struct hx_version_set set;
    hx_probation_members(module, &set);
    for (uint32_t i = 0; i < set.count; i++)
        if (set.module[i]->faulted)
            return HX_E_FAULT;
    for (uint32_t i = set.count; i-- > 0;)
        commit_one(set.module[i]);
    return set.count ? HX_OK : HX_E_NOENT;
}

/* ---- the old ones come back ------------------------------------------------------------------------------------------ */

static void note_reverted(struct hx_module *module, const struct hx_report *cause, const struct hx_module *culprit,
                          uint64_t calls)
{
    struct hx_swap_record *record = record_of(module);
    if (!record)
        return;
    record->outcome = HX_SWAP_REVERTED;
    record->decided_ns = hx_hal_clock_ns();
    record->calls_since = calls;
    if (module == culprit)
        record->report = *cause;
    else
        hx_report_share(&record->report, cause, culprit->name);
}

/* From the opening on, a fault is the old version's. Its slots are closed, nobody is inside. Returns the version that goes. */
static struct hx_version *give_up(struct hx_module *module, bool *out_faulted)
{
    struct hx_version *new = module->running;
    *out_faulted = module->faulted || module->state == HX_MODULE_ERROR || new->fault[0];
    hx_state_revert(new, module->pending_way);
    module->previous = NULL;
    module->faulted = false;
    if (module->state == HX_MODULE_ERROR) { /* one who stayed inside until now kept it from coming back */
        hx_status_t legal = hx_lifecycle_transition(module, HX_MODULE_RUNNING);
        (void)legal;
    }
    return new;
}

static hx_status_t restart(struct hx_module *module, struct hx_report *report)
{
    hx_ret_t started = hx_version_hook(module->running, HX_HOOK_START, 1);
    if (started >= 0)
        return HX_OK;
    hx_status_t err = hx_report_fail(report, (hx_status_t)started, hx_hook_name(HX_HOOK_START),
                                     "%s, the version that came back, does not start: %s", module->name,
                                     started == HX_E_FAULT ? module->running->fault : hx_err_text(started));
    hx_lifecycle_fail(module);
    return err;
}

hx_status_t hx_probation_revert(struct hx_module *module, const struct hx_report *cause,
                                struct hx_swap_record **out_record, struct hx_report *report)
{
    struct hx_version_set set;
    struct hx_version *gone[HX_SET_MAX];
    uint64_t calls[HX_SET_MAX];
    bool faulted[HX_SET_MAX];
    hx_probation_members(module, &set);
    if (!set.count)
        return HX_E_NOENT;
    for (uint32_t i = 0; i < set.count; i++) {
        disarm(set.module[i]);
        calls[i] = hx_module_calls(set.module[i]) - set.module[i]->calls_at_swap;
    }
    report->step = "drain";
    hx_status_t err = hx_lifecycle_close(set.module, set.count, report);
    if (err != HX_OK)
        return err;
    for (uint32_t i = 0; i < set.count; i++)
        gone[i] = give_up(set.module[i], &faulted[i]);
    for (uint32_t i = 0; i < set.count; i++)
        hx_declared_forsake(set.module[i]); /* its state is of before they asked */
    hx_lifecycle_publish(&set);
    for (uint32_t i = 0; i < set.count; i++) {
        hx_lifecycle_notify(gone[i], set.version[i], false);
        /* Its state is the swap's; what has become ready or ended since must be told again. */
        hx_lifecycle_notify(set.version[i], NULL, true);
    }
    hx_preempt_enable();
    hx_module_wake_callers();
    *out_record = record_of(module);
    for (uint32_t i = set.count; i-- > 0;) {
        note_reverted(set.module[i], cause, module, calls[i]);
        hx_lifecycle_tell(set.module[i], HX_EVENT_MODULE_SWAPPED);
        hx_declared_release_others(set.module[i], set.version[i]);
        hx_declared_restore(set.module[i]);
        if (!faulted[i])
            hx_version_fini(gone[i]);
        hx_version_destroy(gone[i]);
    }
    report->step = "start";
    for (uint32_t i = 0; i < set.count; i++) {
        struct hx_report another; /* the first one's failure may be why others fail */
        hx_status_t started = restart(set.module[i], err == HX_OK ? report : &another);
        err = err == HX_OK ? started : err;
    }
    return err;
}
