/* SPDX-License-Identifier: MIT */
/*
 * swap.c - the transaction; see swap.h.
 *
 * Policy: each step returns and leaves cleaning up to hx_swap_run(), which knows from `reached` what there is to undo.
 * Invariant: module->running changes in publish() alone, with all the module's slots closed.
 */
#include "swap.h"

#include <interrupts/router.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

static uint64_t probation_ns = 1000000000u;

struct swap {
    const struct hx_swap_request *request;
    struct hx_module *module;
    struct hx_version *old, *new;
    struct hx_state_transfer transfer;
    struct hx_swap_record *record;
    struct hx_report *report; /* of the record */
    bool claimed;             /* new interrupt lines are reserved */
};

void hx_swap_set_probation_ns(uint64_t duration_ns)
{
    probation_ns = duration_ns;
}

uint64_t hx_swap_probation_ns(void)
{
    return probation_ns;
}

/* ---- before the blackout -------------------------------------------------------------------------------------------- */

/* What the owner gave the running version goes on to hold, unless the new one is another module. */
static const char *params_of(const struct swap *swap)
{
    char name[HX_NAME_MAX];
    if (swap->request->params)
        return swap->request->params;
    bool same =
        hx_records_peek_name(swap->request->file, name) == HX_OK && strcmp(name, hx_version_name(swap->old)) == 0;
    return same ? swap->old->params_text : "";
}

static hx_status_t link_new(struct swap *swap)
{
    const char *params = params_of(swap);
    swap->report->step = "link";
    hx_status_t err = hx_version_create(swap->module, swap->request->file, params, &swap->new, swap->report);
    if (err != HX_OK)
        return err;
    swap->record->new_version = swap->new->record->version;
    swap->record->new_hash = hx_version_file_hash(swap->new);
    hx_fmt(swap->record->new_name, HX_NAME_MAX, "%s", hx_version_name(swap->new));
    return HX_OK;
}

static hx_status_t admit_name(struct swap *swap)
{
    const char *name = hx_version_name(swap->new);
    const struct hx_module *other = hx_module_holding(name);
    char old_text[16], new_text[16];
    if (other && other != swap->module)
        return hx_report_fail(swap->report, HX_E_EXIST, name, "the name %s belongs to another module", name);
    if (other && swap->new->record->version < swap->old->record->version && !swap->request->may_downgrade) {
        hx_version_text(swap->old->record->version, old_text);
        hx_version_text(swap->new->record->version, new_text);
        return hx_report_fail(swap->report, HX_E_VERSION, name,
                              "%s is older than the running %s; name the file to go back", new_text, old_text);
    }
    return HX_OK;
}

/* Whatever somebody relies on must still be there, and new enough. The kernel relies on its own interfaces. */
static hx_status_t admit_users(struct swap *swap)
{
    for (uint32_t i = 0; i < swap->old->provides_count; i++) {
        const struct hx_interface *interface = swap->old->provides[i].interface;
        const struct hx_provided *provided = hx_version_provided(swap->new, interface);
        const char *prefix = hx_slot_info(interface->slot)->name;
        char display[HX_NAME_MAX];
        hx_interface_display(prefix, display);
        if (!provided && hx_slot_is_static(interface->slot))
            return hx_report_fail(swap->report, HX_E_IN_USE, prefix, "%s provides no %s, on which the kernel relies",
                                  hx_version_name(swap->new), display);
        const struct hx_interface_use *use = NULL;
        TAILQ_FOREACH(use, &interface->uses, link) {
            if (use->user->module == swap->module || (provided && provided->version >= use->version))
                continue;
            return hx_report_fail(swap->report, provided ? HX_E_VERSION : HX_E_IN_USE, prefix,
                                  "%s requires %s %u.%u, which the new version does not provide",
                                  use->user->module->name, display, HX_VERSION_MAJOR(use->version),
                                  HX_VERSION_MINOR(use->version));
        }
    }
    return HX_OK;
}

static bool relies_on_marked(const struct hx_version *version)
{
    for (uint32_t i = 0; i < version->requires_count; i++) {
        const struct hx_module *provider = hx_module_providing(version->requires[i].interface);
        if (provider && provider->marked)
            return true;
    }
    return false;
}

/* Marks @module and all that rely on it, by however many steps. */
static void mark_users(const struct hx_module *module)
{
    struct hx_module *user = NULL;
    bool more = true;
    while ((user = hx_module_next(user)))
        user->marked = user == module;
    while (more) {
        more = false;
        while ((user = hx_module_next(user)))
            if (!user->marked && relies_on_marked(user->running))
                user->marked = more = true;
    }
}

/* Modules that require each other, or themselves, could never be unloaded, and would wait at their own gates. */
static hx_status_t admit_requires(struct swap *swap)
{
    mark_users(swap->module);
    for (uint32_t i = 0; i < swap->new->requires_count; i++) {
        const struct hx_interface *interface = swap->new->requires[i].interface;
        const struct hx_module *provider = hx_module_providing(interface);
        if (hx_version_provided(swap->new, interface) || !provider || provider->marked)
            return hx_report_fail(swap->report, HX_E_CYCLE, hx_slot_info(interface->slot)->name,
                                  "%s requires an interface of %s, which relies on it", hx_version_name(swap->new),
                                  provider ? provider->name : "nobody");
    }
    return HX_OK;
}

static hx_status_t admit(struct swap *swap)
{
    swap->report->step = "admit";
    hx_status_t err = admit_name(swap);
    if (err == HX_OK)
        err = hx_lifecycle_admit_provides(swap->module, swap->new, swap->report);
    if (err == HX_OK)
        err = admit_users(swap);
    if (err == HX_OK)
        err = admit_requires(swap);
    return err;
}

static hx_status_t run_hook(struct swap *swap, enum hx_hook hook, uint64_t argument)
{
    swap->report->step = hx_hook_name(hook);
    return hx_version_try_hook(swap->new, hook, argument, swap->report);
}

static hx_status_t init_new(struct swap *swap)
{
    swap->report->step = hx_hook_name(HX_HOOK_INIT);
    return hx_version_init(swap->new, swap->report);
}

/* Everything that may fail for want of something is had here. */
static hx_status_t reserve(struct swap *swap)
{
    swap->report->step = "reserve";
    hx_status_t err = hx_state_prepare(&swap->transfer, swap->old, swap->new, swap->report);
    if (err == HX_OK)
        err = hx_irq_claim_all(swap->module, swap->new, swap->report);
    swap->claimed = err == HX_OK;
    return err;
}

/* ---- the blackout --------------------------------------------------------------------------------------------------- */

/* All slots are closed, preemption is off. */
static void publish(struct hx_module *module, struct hx_version *version)
{
    struct hx_version *gone = module->running;
    module->running = version;
    hx_module_rename(module, hx_version_name(version));
    hx_irq_flags_t flags = hx_irq_save();
    hx_module_retract(module, gone, version);
    hx_irq_bind(module, version);
    hx_module_open(module, version);
    hx_irq_replay(module);
    hx_irq_restore(flags);
}

/* The state of a version that has faulted is not to be trusted, and the fault was not the new one's. */
static hx_status_t carry(struct swap *swap)
{
    if (swap->module->faulted)
        return hx_report_fail(swap->report, HX_E_FAULT, swap->module->name, "the running version has faulted: %s",
                              swap->module->fault);
    swap->report->step = "state";
    return hx_state_carry(&swap->transfer, swap->report);
}

/* Returns with preemption as it was. */
static hx_status_t cross(struct swap *swap)
{
    uint64_t closed_ns = hx_hal_clock_ns();
    swap->report->step = "drain";
    hx_status_t err = hx_lifecycle_close(swap->module, swap->report);
    if (err != HX_OK)
        return err;
    err = carry(swap);
    if (err == HX_OK) {
        publish(swap->module, swap->new);
        swap->record->blackout_ns = hx_hal_clock_ns() - closed_ns;
        hx_lifecycle_notify(swap->new, swap->transfer.way == HX_STATE_NONE ? NULL : swap->old, true);
    } else {
        hx_lifecycle_reopen(swap->module);
    }
    hx_preempt_enable();
    hx_waitq_wake_all(&swap->module->callers);
    return err;
}

/* ---- after it ------------------------------------------------------------------------------------------------------- */

/* What probation needs to know of the swap; one a module. */
static struct hx_swap_record *record_of(const struct hx_module *module)
{
    return hx_history_get(module->pending_swap);
}

struct hx_swap_record *hx_swap_pending(const struct hx_module *module)
{
    return module->previous ? record_of(module) : NULL;
}

/* A version that is not published any more: fini unless it is the one that faulted, then everything that it has. */
static void discard(struct hx_version *version, bool call_fini)
{
    if (version && call_fini)
        hx_version_fini(version);
    hx_version_destroy(version);
}

hx_status_t hx_swap_commit(struct hx_module *module)
{
    struct hx_version *old = module->previous;
    if (!old)
        return HX_E_NOENT;
    struct hx_swap_record *record = record_of(module);
    hx_timer_disarm(&module->probation);
    hx_irq_release_others(module, module->running);
    hx_state_commit(old, module->running, module->pending_way);
    module->previous = NULL;
    discard(old, true);
    if (record)
        record->outcome = HX_SWAP_COMMITTED;
    return HX_OK;
}

static void note_reverted(struct hx_module *module, const struct hx_report *cause, uint64_t calls)
{
    struct hx_swap_record *record = record_of(module);
    if (!record)
        return;
    record->outcome = HX_SWAP_REVERTED;
    record->calls_since = calls;
    record->report = *cause;
}

hx_status_t hx_swap_revert(struct hx_module *module, const struct hx_report *cause, struct hx_swap_record **out_record,
                           struct hx_report *report)
{
    struct hx_version *old = module->previous, *new = module->running;
    if (!old)
        return HX_E_NOENT;
    hx_timer_disarm(&module->probation);
    uint64_t calls = hx_module_calls(module) - module->calls_at_swap;
    report->step = "drain";
    hx_status_t err = hx_lifecycle_close(module, report);
    if (err != HX_OK)
        return err;
    hx_state_revert(new, module->pending_way);
    module->previous = NULL;
    module->faulted = false; /* from the opening on, a fault is the old version's */
    if (module->state == HX_MODULE_ERROR)
        module->state = HX_MODULE_RUNNING; /* a legal edge: one who stayed inside until now kept it from coming back */
    publish(module, old);
    hx_lifecycle_notify(new, old, false);
    /* Its state is the swap's; what has become ready or ended since must be told again. */
    hx_lifecycle_notify(old, NULL, true);
    hx_preempt_enable();
    hx_waitq_wake_all(&module->callers);
    note_reverted(module, cause, calls);
    *out_record = record_of(module);
    hx_irq_release_others(module, old);
    discard(new, cause->err != HX_E_FAULT);
    report->step = "start";
    hx_ret_t started = hx_version_hook(old, HX_HOOK_START, 1);
    if (started >= 0)
        return HX_OK;
    return hx_report_fail(report, (hx_status_t)started, hx_hook_name(HX_HOOK_START),
                          "the version that came back does not start: %s",
                          started == HX_E_FAULT ? module->fault : hx_err_text(started));
}

static hx_status_t try_new(struct swap *swap)
{
    hx_status_t err = run_hook(swap, HX_HOOK_START, 1);
    if (err == HX_OK)
        err = run_hook(swap, HX_HOOK_CHECK, 0);
    if (err == HX_OK && swap->module->faulted)
        err = hx_report_fail(swap->report, HX_E_FAULT, swap->module->name, "%s", swap->module->fault);
    return err;
}

static void begin_probation(struct swap *swap)
{
    struct hx_module *module = swap->module;
    module->previous = swap->old;
    module->pending_swap = swap->record->number;
    module->pending_way = swap->transfer.way;
    module->calls_at_swap = hx_module_calls(module);
    module->swaps++;
    swap->record->outcome = HX_SWAP_PROBATION;
}

static void describe_old(struct swap *swap)
{
    struct hx_swap_record *record = swap->record;
    record->old_version = swap->old->record->version;
    record->old_hash = hx_version_file_hash(swap->old);
    hx_fmt(record->old_name, sizeof(record->old_name), "%s", hx_version_name(swap->old));
    hx_fmt(record->who, sizeof(record->who), "%s", swap->request->who);
}

/* Undoes everything up to the blackout. */
static void undo(struct swap *swap)
{
    if (swap->claimed)
        hx_irq_release_others(swap->module, swap->old);
    discard(swap->new, true);
}

static hx_status_t run(struct swap *swap)
{
    uint64_t began_ns = hx_hal_clock_ns();
    hx_status_t err = link_new(swap);
    if (err == HX_OK)
        err = admit(swap);
    if (err == HX_OK)
        err = init_new(swap);
    if (err == HX_OK)
        err = reserve(swap);
    if (err == HX_OK)
        err = cross(swap);
    swap->record->way = swap->transfer.way;
    swap->record->state_bytes = swap->transfer.bytes;
    swap->record->total_ns = hx_hal_clock_ns() - began_ns;
    hx_state_release(&swap->transfer);
    if (err != HX_OK) {
        undo(swap);
        return err;
    }
    begin_probation(swap);
    err = try_new(swap);
    if (err != HX_OK) {
        struct hx_report cause = *swap->report;
        struct hx_swap_record *ignored = NULL;
        hx_status_t reverted = hx_swap_revert(swap->module, &cause, &ignored, swap->report);
        if (reverted != HX_OK) {
            hx_lifecycle_fail(swap->module);
            return reverted;
        }
        *swap->report = cause;
        return err;
    }
    swap->report->step = "done";
    swap->report->err = HX_OK;
    return HX_OK;
}

hx_status_t hx_swap_run(const struct hx_swap_request *request, struct hx_swap_record **out_record)
{
    struct hx_module *module = request->module;
    struct swap swap = { .request = request, .module = module, .old = module->running, .record = hx_history_add() };
    swap.report = &swap.record->report;
    *out_record = swap.record;
    describe_old(&swap);
    if (module->state != HX_MODULE_RUNNING)
        return hx_report_fail(swap.report, HX_E_STATE, module->name, "%s is %s, not Running; rmmod and insmod it",
                              module->name, hx_module_state_name(module->state));
    if (module->faulted) /* a moment ago: what is pending is what it goes back to */
        return hx_report_fail(swap.report, HX_E_FAULT, module->name, "the running version has faulted: %s",
                              module->fault);
    module->busy = true;
    hx_status_t committed = hx_swap_commit(module);
    (void)committed; /* HX_E_NOENT: nothing was pending */
    hx_status_t err = run(&swap);
    module->busy = false;
    if (err == HX_OK && probation_ns == 0)
        err = hx_swap_commit(module);
    return err;
}
