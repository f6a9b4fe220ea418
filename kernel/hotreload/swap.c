/* SPDX-License-Identifier: MIT */
/*
 * swap.c - the transaction; see swap.h.
 *
 * Policy: each step returns and leaves cleaning up to hx_swap_run(), which knows from its members what there is to undo.
 * Invariant: a running version goes in hx_lifecycle_publish() alone, with all slots of all members closed.
 */
#include "swap.h"

#include "probation.h"

#include "audit.h"
#include <orchestrator/capability_broker.h>

#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <orchestrator/declared.h>
#include <orchestrator/lifecycle.h>
#include <orchestrator/record.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

struct member {
    const struct hx_swap_part *part;
    struct hx_module *module;
    struct hx_version *old, *new; /* new: the same as in the set */
    struct hx_state_transfer transfer;
    struct hx_swap_record *record;
    bool cyclic;  /* it was taken before those that it requires, because they require it */
    bool claimed; /* what it declares anew is reserved */
    bool carried; /* the new version has the state */
};

/* One worker swaps, so there is one. */
static struct swap {
    const char *who;
    struct hx_version_set set; /* in order of dependence, as the members are */
    struct member *at;         /* whose turn it is, or was when a step failed */
    struct member member[HX_SET_MAX];
} under_way;

#define FOR_MEMBERS(each, swap)                                                                                        \
    for (struct member *each = (swap)->member; each < (swap)->member + (swap)->set.count; each++)

static struct hx_report *report_of(const struct member *member)
{
    return &member->record->report;
}

/* ---- before the blackout -------------------------------------------------------------------------------------------- */

/* What the owner gave the running version goes on to hold, unless the new one is another module. */
static const char *params_of(const struct member *member)
{
    char name[HX_NAME_MAX];
    if (member->part->params)
        return member->part->params;
    bool same =
        hx_records_peek_name(member->part->file, name) == HX_OK && strcmp(name, hx_version_name(member->old)) == 0;
    return same ? member->old->params_text : "";
}

static hx_status_t link_new(struct swap *swap, struct member *member)
{
    struct hx_swap_record *record = member->record;
    hx_status_t err = hx_version_create(member->module, &swap->set, member->part->file, params_of(member), &member->new,
                                        report_of(member));
    if (err != HX_OK)
        return err;
    swap->set.version[member - swap->member] = member->new;
    record->new_version = member->new->record->version;
    record->new_hash = hx_version_file_hash(member->new);
    hx_fmt(record->new_name, HX_NAME_MAX, "%s", hx_version_name(member->new));
    return HX_OK;
}

static hx_status_t admit_name(struct swap *swap, struct member *member)
{
    const char *name = hx_version_name(member->new);
    const struct hx_module *other = hx_module_holding(name);
    char old_text[16], new_text[16];
    FOR_MEMBERS(earlier, swap)
    if (earlier < member && strcmp(hx_version_name(earlier->new), name) == 0)
        other = earlier->module;
    if (other && other != member->module)
        return hx_report_fail(report_of(member), HX_E_EXIST, name, "the name %s belongs to another module", name);
    if (other && member->new->record->version < member->old->record->version && !member->part->may_downgrade) {
        hx_version_text(member->old->record->version, old_text);
        hx_version_text(member->new->record->version, new_text);
        return hx_report_fail(report_of(member), HX_E_VERSION, name,
                              "%s is older than the running %s; name the file to go back", new_text, old_text);
    }
    return HX_OK;
}

static hx_status_t admit_provides(struct swap *swap, struct member *member)
{
    for (uint32_t i = 0; i < member->new->provides_count; i++) {
        const struct hx_interface *interface = member->new->provides[i].interface;
        const char *prefix = hx_slot_info(interface->slot)->name;
        FOR_MEMBERS(earlier, swap)
        if (earlier < member && hx_version_provided(earlier->new, interface))
            return hx_report_fail(report_of(member), HX_E_EXIST, prefix, "%s provides %s too", earlier->module->name,
                                  prefix);
    }
    return hx_lifecycle_admit_provides(member->module, member->new, report_of(member));
}

static bool suffices(const struct hx_provided *provided, uint32_t least)
{
    return provided && provided->version >= least && HX_VERSION_MAJOR(provided->version) == HX_VERSION_MAJOR(least);
}

/* Names of those who would be left behind, and the first of them. */
static const struct hx_interface_use *left_behind(const struct swap *swap, const struct hx_interface *interface,
                                                  const struct hx_provided *provided, char *names, size_t bytes)
{
    const struct hx_interface_use *use = NULL, *first = NULL;
    size_t used = 0;
    TAILQ_FOREACH(use, &interface->uses, link) {
        if (hx_version_set_has(&swap->set, use->user->module) || suffices(provided, use->version))
            continue;
        used = hx_fmt_append(names, bytes, used, "%s%s", first ? "," : "", use->user->module->name);
        first = first ? first : use;
    }
    return first;
}

/* Whatever somebody relies on must still be there, and new enough. The kernel relies on its own interfaces. */
static hx_status_t admit_users(struct swap *swap, struct member *member)
{
    for (uint32_t i = 0; i < member->old->provides_count; i++) {
        const struct hx_interface *interface = member->old->provides[i].interface;
        const struct hx_provided *provided = hx_version_provided(member->new, interface);
        const char *prefix = hx_slot_info(interface->slot)->name;
        char display[HX_NAME_MAX], names[128];
        hx_interface_display(prefix, display);
        if (!provided && hx_slot_is_static(interface->slot))
            return hx_report_fail(report_of(member), HX_E_IN_USE, prefix,
                                  "%s provides no %s, on which the kernel relies", hx_version_name(member->new),
                                  display);
        const struct hx_interface_use *use = left_behind(swap, interface, provided, names, sizeof(names));
        if (use)
            return hx_report_fail(report_of(member), provided ? HX_E_VERSION : HX_E_IN_USE, prefix,
                                  "%s requires %s %u.%u, which the new version does not provide; replace both in one "
                                  "step: --with %s",
                                  use->user->module->name, display, HX_VERSION_MAJOR(use->version),
                                  HX_VERSION_MINOR(use->version), names);
    }
    return HX_OK;
}

static bool relies_on_marked(const struct swap *swap, const struct hx_version *version)
{
    for (uint32_t i = 0; i < version->requires_count; i++) {
        const struct hx_module *provider = hx_version_set_provider(&swap->set, version->requires[i].interface);
        if (provider && provider->marked)
            return true;
    }
    return false;
}

/* Marks @module and all that will rely on it, by however many steps. */
static void mark_users(const struct swap *swap, const struct hx_module *module)
{
    struct hx_module *user = NULL;
    bool more = true;
    while ((user = hx_module_next(user)))
        user->marked = user == module;
    while (more) {
        more = false;
        while ((user = hx_module_next(user)))
            if (!user->marked && relies_on_marked(swap, hx_version_to_be(&swap->set, user)))
                user->marked = more = true;
    }
}

/* Modules that require each other, or themselves, could never be unloaded, and would wait at their own gates. */
static hx_status_t admit_requires(struct swap *swap, struct member *member)
{
    mark_users(swap, member->module);
    for (uint32_t i = 0; i < member->new->requires_count; i++) {
        const struct hx_interface *interface = member->new->requires[i].interface;
        const struct hx_module *provider = hx_version_set_provider(&swap->set, interface);
        if (!provider || provider->marked)
            return hx_report_fail(report_of(member), HX_E_CYCLE, hx_slot_info(interface->slot)->name,
                                  "%s requires an interface of %s, which relies on it", hx_version_name(member->new),
                                  provider ? provider->name : "nobody");
    }
    return HX_OK;
}

static hx_status_t admit(struct swap *swap, struct member *member)
{
    hx_status_t err = hx_resource_admit(member->new, false, report_of(member));
    if (err == HX_OK)
        err = admit_name(swap, member);
    if (err == HX_OK)
        err = admit_provides(swap, member);
    if (err == HX_OK)
        err = hx_capability_admit(member->module, member->new, report_of(member));
    if (err == HX_OK)
        err = admit_users(swap, member);
    if (err == HX_OK)
        err = admit_requires(swap, member);
    if (err == HX_OK)
        err = hx_record_admit(member->module, member->new, report_of(member));
    return err;
}

static hx_status_t init_new(struct swap *swap, struct member *member)
{
    (void)swap;
    hx_status_t err = hx_version_init(member->new, report_of(member));
    if (err == HX_OK)
        hx_resource_settle(member->new);
    return err;
}

/* Everything that may fail for want of something is had here. */
static hx_status_t reserve(struct swap *swap, struct member *member)
{
    (void)swap;
    hx_status_t err = hx_state_prepare(&member->transfer, member->old, member->new, report_of(member));
    if (HX_CHECKS && err == HX_OK)
        err = hx_audit_prepare(&member->transfer, report_of(member));
    if (err == HX_OK)
        err = hx_declared_claim_all(member->module, member->new, report_of(member));
    member->claimed = err == HX_OK;
    return err;
}

/* One step, for all of them. */
static hx_status_t for_all(struct swap *swap, const char *step,
                           hx_status_t (*run)(struct swap *swap, struct member *member))
{
    FOR_MEMBERS(member, swap)
    {
        swap->at = member;
        report_of(member)->step = step;
        hx_status_t err = run(swap, member);
        if (err != HX_OK)
            return err;
    }
    return HX_OK;
}

/* The same, and how long it takes: together, as they wait for each other. */
static hx_status_t time_all(struct swap *swap, const char *step, enum hx_swap_phase phase,
                            hx_status_t (*run)(struct swap *swap, struct member *member))
{
    uint64_t began_ns = hx_hal_clock_ns();
    hx_status_t err = for_all(swap, step, run);
    uint64_t ns = hx_hal_clock_ns() - began_ns;
    FOR_MEMBERS(member, swap)
    member->record->phase_ns[phase] += ns;
    return err;
}

/* ---- the blackout --------------------------------------------------------------------------------------------------- */

/* The state of a version that has faulted is not to be trusted, and the fault was not the new one's. */
static hx_status_t carry(struct swap *swap, struct member *member)
{
    (void)swap;
    if (member->module->faulted) {
        report_of(member)->step = "drain";
        return hx_report_fail(report_of(member), HX_E_FAULT, member->module->name,
                              "the running version has faulted: %s", member->module->fault);
    }
    uint64_t began_ns = hx_hal_clock_ns();
    hx_status_t err = hx_record_carry(member->old, member->new, report_of(member));
    if (err != HX_OK)
        return err;
    err = hx_state_carry(&member->transfer, report_of(member));
    uint64_t saved_ns = member->transfer.saved_ns ? member->transfer.saved_ns : began_ns;
    member->record->phase_ns[HX_PHASE_SAVE] = saved_ns - began_ns;
    member->record->phase_ns[HX_PHASE_LOAD] = hx_hal_clock_ns() - saved_ns;
    member->carried = err == HX_OK;
    return err;
}

static hx_status_t audit(struct swap *swap, struct member *member)
{
    (void)swap;
    return HX_CHECKS ? hx_audit_run(&member->transfer, report_of(member)) : HX_OK;
}

/* What the observers have of the old one is lost where the state is. */
static void notify_came(const struct member *member)
{
    hx_lifecycle_notify(member->new, member->transfer.way == HX_STATE_NONE ? NULL : member->old, true);
}

/* Returns with preemption as it was. */
static hx_status_t cross(struct swap *swap)
{
    uint64_t closed_ns = hx_hal_clock_ns();
    swap->at = swap->member;
    report_of(swap->at)->step = "drain";
    hx_status_t err = hx_lifecycle_close(swap->set.module, swap->set.count, report_of(swap->at));
    if (err != HX_OK)
        return err;
    uint64_t drained_ns = hx_hal_clock_ns();
    err = for_all(swap, "state", carry);
    if (HX_CHECKS && err == HX_OK)
        err = for_all(swap, "audit", audit);
    if (err == HX_OK) {
        FOR_MEMBERS(member, swap)
        if (member->transfer.way == HX_STATE_NONE)
            hx_declared_forsake(member->module);
        uint64_t carried_ns = hx_hal_clock_ns();
        hx_lifecycle_publish(&swap->set);
        uint64_t open_ns = hx_hal_clock_ns();
        FOR_MEMBERS(member, swap)
        {
            member->record->blackout_ns = open_ns - closed_ns;
            member->record->open_ns = open_ns;
            member->record->phase_ns[HX_PHASE_DRAIN] = drained_ns - closed_ns;
            member->record->phase_ns[HX_PHASE_PUBLISH] = open_ns - carried_ns;
            notify_came(member);
        }
    } else {
        FOR_MEMBERS(member, swap)
        hx_lifecycle_reopen(member->module);
    }
    hx_preempt_enable();
    hx_module_wake_callers();
    return err;
}

/* ---- after it ------------------------------------------------------------------------------------------------------- */

static hx_status_t start_new(struct swap *swap, struct member *member)
{
    (void)swap;
    return hx_version_try_hook(member->new, HX_HOOK_START, 1, report_of(member));
}

static hx_status_t check_new(struct swap *swap, struct member *member)
{
    (void)swap;
    hx_status_t err = hx_state_check_ranges(member->new, report_of(member));
    return err == HX_OK ? hx_version_try_hook(member->new, HX_HOOK_CHECK, 0, report_of(member)) : err;
}

/* Since the open, in a call that a check of another made, perhaps. */
static hx_status_t check_unfaulted(struct swap *swap, struct member *member)
{
    (void)swap;
    if (!member->module->faulted)
        return HX_OK;
    return hx_report_fail(report_of(member), HX_E_FAULT, member->module->name, "%s", member->module->fault);
}

/* Whoever shares the outcome of the step at which it failed. */
static void share_report(struct swap *swap)
{
    FOR_MEMBERS(member, swap)
    if (member != swap->at)
        hx_report_share(report_of(member), report_of(swap->at), swap->at->module->name);
}

/* Undoes everything up to the blackout. */
static void undo(struct swap *swap)
{
    for (uint32_t i = swap->set.count; i-- > 0;) {
        struct member *member = &swap->member[i];
        if (member->carried)
            hx_state_revert(member->new, member->transfer.way);
        if (member->claimed)
            hx_declared_release_others(member->module, member->old);
        if (member->new && !member->new->fault[0])
            hx_version_fini(member->new);
        hx_version_destroy(member->new);
    }
    share_report(swap);
}

/* What has been published does not start, or does not pass its check. While somebody who came in stays, it cannot go. */
static hx_status_t take_back(struct swap *swap)
{
    struct hx_module *module = swap->at->module;
    struct hx_report cause = *report_of(swap->at), why;
    struct hx_swap_record *ignored = NULL;
    hx_report_init(&why);
    hx_status_t err = hx_probation_revert(module, &cause, &ignored, &why);
    if (module->previous) {
        hx_lifecycle_fail(module);
        hx_report_fail(report_of(swap->at), cause.err, why.subject, "%s; it is in Error: %s: `rollback %s'",
                       cause.message, why.message, module->name);
        share_report(swap);
        return cause.err;
    }
    *report_of(swap->at) = err == HX_OK ? cause : why;
    return report_of(swap->at)->err;
}

static hx_status_t run(struct swap *swap)
{
    uint64_t began_ns = hx_hal_clock_ns();
    hx_status_t err = time_all(swap, "link", HX_PHASE_LINK, link_new);
    if (err == HX_OK)
        err = time_all(swap, "admit", HX_PHASE_ADMIT, admit);
    if (err == HX_OK)
        err = time_all(swap, hx_hook_name(HX_HOOK_INIT), HX_PHASE_INIT, init_new);
    if (err == HX_OK)
        err = time_all(swap, "reserve", HX_PHASE_RESERVE, reserve);
    if (err == HX_OK)
        err = cross(swap);
    uint64_t total_ns = hx_hal_clock_ns() - began_ns;
    FOR_MEMBERS(member, swap)
    {
        member->record->way = member->transfer.way;
        member->record->state_bytes = member->transfer.bytes;
        member->record->total_ns = total_ns;
        hx_state_release(&member->transfer);
    }
    if (err != HX_OK) {
        undo(swap);
        return err;
    }
    FOR_MEMBERS(member, swap)
    {
        hx_probation_begin(member->module, member->old, member->record);
        hx_lifecycle_tell(member->module, HX_EVENT_MODULE_SWAPPED);
        hx_declared_restore(member->module);
    }
    err = time_all(swap, hx_hook_name(HX_HOOK_START), HX_PHASE_START, start_new);
    if (err == HX_OK)
        err = time_all(swap, hx_hook_name(HX_HOOK_CHECK), HX_PHASE_CHECK, check_new);
    if (err == HX_OK)
        err = for_all(swap, hx_hook_name(HX_HOOK_CHECK), check_unfaulted);
    if (err != HX_OK)
        return take_back(swap);
    FOR_MEMBERS(member, swap)
    {
        report_of(member)->step = "done";
        report_of(member)->err = HX_OK;
    }
    return HX_OK;
}

/* ---- who takes part ------------------------------------------------------------------------------------------------- */

/* Whether @user's file requires an interface that @provider's declares. What cannot be read the linking will refuse. */
static bool requires_of(struct hx_slice user, struct hx_slice provider)
{
    struct hx_slice requires = hx_records_peek_interfaces(user, HX_RECORDS_REQUIRES);
    struct hx_slice provides = hx_records_peek_interfaces(provider, HX_RECORDS_PROVIDES);
    struct hx_interface_record use, offer;
    for (uint64_t i = 0; hx_slice_read(requires, i, &use, sizeof(use)) == HX_OK; i += sizeof(use))
        for (uint64_t k = 0; hx_slice_read(provides, k, &offer, sizeof(offer)) == HX_OK; k += sizeof(offer))
            if (strncmp(use.prefix, offer.prefix, HX_NAME_MAX) == 0)
                return true;
    return false;
}

/* Whether part @i can be linked before those that @left has bits of. */
static bool is_next(const struct hx_swap_request *request, uint32_t i, uint32_t left)
{
    for (uint32_t k = 0; k < request->count; k++)
        if (k != i && (left >> k & 1u) && requires_of(request->part[i].file, request->part[k].file))
            return false;
    return left >> i & 1u;
}

/* Providers before users. Of those that require each other one is taken, and @out_cycle is true. */
static uint32_t choose_next(const struct hx_swap_request *request, uint32_t left, bool *out_cycle)
{
    for (uint32_t i = 0; i < request->count; i++)
        if (is_next(request, i, left))
            return i;
    *out_cycle = true;
    return (uint32_t)__builtin_ctz(left);
}

static void enlist(struct swap *swap, struct member *member, const struct hx_swap_part *part, uint64_t transaction)
{
    struct hx_swap_record *record = hx_history_add();
    *member = (struct member){ .part = part, .module = part->module, .old = part->module->running, .record = record };
    swap->set.module[member - swap->member] = part->module;
    record->transaction = transaction ? transaction : record->number;
    record->old_version = member->old->record->version;
    record->old_hash = hx_version_file_hash(member->old);
    hx_fmt(record->old_name, sizeof(record->old_name), "%s", hx_version_name(member->old));
    hx_fmt(record->who, sizeof(record->who), "%s", swap->who);
}

static const char *way_to_running(const struct hx_module *module)
{
    if (module->previous)
        return "rollback or commit it first";
    return module->state == HX_MODULE_PAUSED ? "resume it first" : "restart it, or rmmod and insmod it";
}

static hx_status_t check_ready(struct swap *swap, struct member *member)
{
    (void)swap;
    const struct hx_module *module = member->module;
    struct hx_version_set pending; /* goes with it: a way back that somebody needs is not given away */
    hx_probation_members(module, &pending);
    for (uint32_t i = 0; i < pending.count; i++)
        if (pending.module[i]->faulted || pending.module[i]->state != HX_MODULE_RUNNING)
            module = pending.module[i];
    if (module->state != HX_MODULE_RUNNING)
        return hx_report_fail(report_of(member), HX_E_STATE, module->name, "%s is %s, not Running; %s", module->name,
                              hx_module_state_name(module->state), way_to_running(module));
    if (module->faulted) /* a moment ago: what is pending is what it goes back to */
        return hx_report_fail(report_of(member), HX_E_FAULT, module->name, "the running version has faulted: %s",
                              module->fault);
    return HX_OK;
}

static hx_status_t check_order(struct swap *swap, struct member *member)
{
    (void)swap;
    if (!member->cyclic)
        return HX_OK;
    return hx_report_fail(report_of(member), HX_E_CYCLE, member->module->name,
                          "%s would require an interface of another that requires one of it", member->module->name);
}

static hx_status_t take_part(struct swap *swap, struct member *member)
{
    hx_status_t err = hx_probation_commit(member->module);
    return err == HX_E_FAULT ? check_ready(swap, member) : HX_OK; /* HX_E_NOENT: nothing was pending */
}

static hx_status_t run_checked(struct swap *swap)
{
    hx_status_t err = for_all(swap, "request", check_ready);
    if (err == HX_OK)
        err = for_all(swap, "admit", check_order);
    if (err == HX_OK)
        err = for_all(swap, "request", take_part);
    if (err != HX_OK) {
        undo(swap);
        return err;
    }
    err = run(swap);
    if (err != HX_OK)
        return err;
    struct hx_module *first = swap->member->module;
    if (hx_probation_length_ns() > 0 || hx_probation_commit(first) != HX_OK)
        hx_probation_arm(first); /* not committed: it has faulted since its check */
    return HX_OK;
}

hx_status_t hx_swap_run(const struct hx_swap_request *request, struct hx_swap_record **out_record)
{
    struct swap *swap = &under_way;
    swap->who = request->who;
    swap->set = (struct hx_version_set){ .count = request->count };
    uint32_t left = (1u << request->count) - 1;
    uint64_t transaction = 0;
    FOR_MEMBERS(member, swap)
    {
        bool cyclic = false;
        uint32_t next = choose_next(request, left, &cyclic);
        left &= ~(1u << next);
        enlist(swap, member, &request->part[next], transaction);
        member->cyclic = cyclic;
        transaction = swap->member->record->number;
    }
    hx_status_t err = run_checked(swap);
    *out_record = err == HX_OK ? swap->member->record : swap->at->record;
    return err;
}
