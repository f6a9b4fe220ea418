/* SPDX-License-Identifier: MIT */
/* router.c - see router.h. */
#include "router.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <string.h>

static const uint64_t sync_ns = 1000000000u;

static struct hx_irq_line lines[HX_IRQ_LINES];
static LIST_HEAD(, hx_irq) claims = LIST_HEAD_INITIALIZER(claims);
static const struct hx_irq_policy *policy;

#define IRQ_OF(ledger_node) ((struct hx_irq *)((char *)(ledger_node)-offsetof(struct hx_irq, node)))

void hx_irq_bind_policy(const struct hx_irq_policy *bound)
{
    policy = bound;
}

/* ---- arming --------------------------------------------------------------------------------------------------------- */

/* Interrupts off. */
static void mask_or_unmask(uint32_t number)
{
    struct hx_irq_line *line = &lines[number];
    bool unmasked = line->first && !line->held && !line->stormed;
    if (unmasked == line->unmasked)
        return;
    line->unmasked = unmasked;
    if (unmasked)
        hx_hal_irq_unmask(number);
    else
        hx_hal_irq_mask(number);
}

static bool somebody_waits(const struct hx_irq_line *line)
{
    for (const struct hx_irq *irq = line->first; irq; irq = irq->next)
        if (irq->pending)
            return true;
    return false;
}

static void arm(struct hx_irq *irq)
{
    struct hx_irq_line *line = &lines[irq->line];
    if (!irq->armed) {
        irq->armed = true;
        irq->next = line->first;
        line->first = irq;
    }
    line->stormed = false;
    line->in_a_row = 0;
    mask_or_unmask(irq->line);
}

static void disarm(struct hx_irq *irq)
{
    struct hx_irq_line *line = &lines[irq->line];
    if (!irq->armed)
        return;
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_irq **link = &line->first;
    while (*link != irq)
        link = &(*link)->next;
    *link = irq->next;
    irq->armed = false;
    line->held = line->held && somebody_waits(line);
    mask_or_unmask(irq->line);
    hx_irq_restore(flags);
}

/* ---- claims --------------------------------------------------------------------------------------------------------- */

/* Its module's callbacks are closed and empty. Whoever is still on its way along the line's claims has passed this one once
 * every CPU has acknowledged an interrupt. */
static void release(struct hx_ledger_node *node)
{
    struct hx_irq *irq = IRQ_OF(node);
    disarm(irq);
    LIST_REMOVE(irq, link);
    hx_status_t err = hx_hal_cpu_sync(hx_hal_clock_ns() + sync_ns);
    if (err == HX_OK)
        hx_hal_free(irq);
}

static void give_back(struct hx_irq *irq)
{
    hx_ledger_strike(&irq->module->ledger, &irq->node);
    release(&irq->node);
}

static hx_status_t may_claim(const struct hx_module *module, const struct hx_irq_record *record,
                             struct hx_report *report)
{
    const struct hx_irq *other = hx_irq_of_line(record->line);
    const char *refusal = policy && policy->refusal ? policy->refusal(module, record->line) : NULL;
    if (refusal)
        return hx_report_fail(report, HX_E_PERM, record->key, "interrupt %s: no module may have line %u: %s",
                              record->key, record->line, refusal);
    bool level = (record->flags & HX_IRQ_GSI) && !(record->flags & HX_IRQ_EDGE);
    if (!other) {
        hx_status_t err = hx_hal_irq_configure(record->line, level);
        if (err == HX_OK)
            return HX_OK;
        return hx_report_fail(report, err, record->key,
                              err == HX_E_NOENT ? "interrupt %s: this machine has no line %u; see irq"
                                                : "interrupt %s: GSI %u is an ISA line's; declare that, see irq",
                              record->key, record->line);
    }
    if (hx_hal_irq_is_level(record->line) && (level || record->line < HX_HAL_ISA_LINES))
        return HX_OK;
    return hx_report_fail(report, HX_E_IN_USE, record->key,
                          "interrupt %s: line %u belongs to %s (%s); unload that first", record->key, record->line,
                          other->module->name, other->key);
}

static hx_status_t claim(struct hx_module *module, const struct hx_irq_record *record, struct hx_report *report)
{
    hx_status_t err = may_claim(module, record, report);
    if (err != HX_OK)
        return err;
    struct hx_irq *irq = hx_hal_alloc(sizeof(*irq));
    if (!irq)
        return hx_report_fail(report, HX_E_NOMEM, record->key, "interrupt %s: not enough memory", record->key);
    hx_fmt(irq->key, sizeof(irq->key), "%s", record->key);
    irq->line = record->line;
    irq->module = module;
    irq->slot = module->callbacks;
    LIST_INSERT_HEAD(&claims, irq, link);
    hx_ledger_enter(&module->ledger, &irq->node, "interrupt line", release);
    return HX_OK;
}

static const struct hx_irq_record *record_of(const struct hx_version *version, const char *key)
{
    for (uint32_t i = 0; i < version->irqs_count; i++)
        if (strcmp(version->irqs[i].key, key) == 0)
            return &version->irqs[i];
    return NULL;
}

hx_status_t hx_irq_claim_all(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    hx_status_t err = HX_OK;
    uint32_t claimed = 0;
    for (uint32_t i = 0; err == HX_OK && i < version->irqs_count; i++) {
        const struct hx_irq_record *record = &version->irqs[i];
        const struct hx_irq *held = hx_irq_find(module, record->key);
        if (!held) {
            err = claim(module, record, report);
            claimed += err == HX_OK;
        } else if (held->line != record->line) {
            err = hx_report_fail(report, HX_E_INVAL, record->key,
                                 "interrupt %s: its line changes from %u to %u; declare it under another key",
                                 record->key, held->line, record->line);
        }
    }
    for (; err != HX_OK && claimed > 0; claimed--)
        give_back(LIST_FIRST(&claims));
    return err;
}

void hx_irq_bind(struct hx_module *module, const struct hx_version *version)
{
    hx_irq_flags_t flags = hx_irq_save();
    struct hx_irq *irq = NULL;
    LIST_FOREACH(irq, &claims, link) {
        if (irq->module != module)
            continue;
        const struct hx_irq_record *record = record_of(version, irq->key);
        if (record) {
            irq->callback = (uint32_t)(record - version->irqs);
            arm(irq);
        } else {
            disarm(irq);
        }
    }
    hx_irq_restore(flags);
}

void hx_irq_disarm_all(struct hx_module *module)
{
    struct hx_irq *irq = NULL;
    LIST_FOREACH(irq, &claims, link)
        if (irq->module == module)
            disarm(irq);
}

void hx_irq_release_others(struct hx_module *module, const struct hx_version *keep)
{
    struct hx_irq *next = NULL;
    for (struct hx_irq *irq = LIST_FIRST(&claims); irq; irq = next) {
        next = LIST_NEXT(irq, link);
        if (irq->module == module && !record_of(keep, irq->key))
            give_back(irq);
    }
}

/* ---- delivery: interrupts off --------------------------------------------------------------------------------------- */

enum told { TOLD_OWN, TOLD_NOT_OWN, TOLD_LATER };

/* The gate did not get through, or the handler did not say that it had served its device. */
static __attribute__((noinline)) enum told told_in_vain(struct hx_irq *irq, uint64_t count, hx_ret_t result)
{
    const struct hx_slot_info *info = hx_slot_info(irq->slot);
    /* The gate's answer; a handler that returns the same, of another module's gate perhaps, has been told. */
    if (info->state != HX_SLOT_OPEN && (result == HX_E_CLOSED || result == HX_E_FAILED || result == HX_E_ABSENT))
        return TOLD_LATER;
    irq->pending -= count;
    if (result == HX_E_FAULT) {
        irq->lost += count;
        return TOLD_OWN; /* nobody knows, and the module is closed now */
    }
    irq->served += count;
    irq->refused += count;
    return TOLD_NOT_OWN;
}

static inline enum told tell(struct hx_irq *irq)
{
    uint64_t count = irq->pending;
    hx_ret_t result = hx_gate_call(irq->slot, irq->callback, count, 0, 0, 0);
    if (__builtin_expect(result < 0, 0))
        return told_in_vain(irq, count, result);
    irq->pending -= count;
    irq->served += count;
    return TOLD_OWN;
}

/* Edges must not be missed while the slot is closed; a level is still there afterwards. */
static void hold(uint32_t number)
{
    lines[number].held = hx_hal_irq_is_level(number);
    mask_or_unmask(number);
}

void hx_irq_replay(struct hx_module *module)
{
    struct hx_irq *irq = NULL;
    LIST_FOREACH(irq, &claims, link) {
        if (irq->module != module || !irq->armed || !irq->pending)
            continue;
        enum told told = tell(irq);
        (void)told; /* other interrupts of the line may have been handled meanwhile: these are no row */
        lines[irq->line].held = lines[irq->line].held && somebody_waits(&lines[irq->line]);
        mask_or_unmask(irq->line);
    }
}

static __attribute__((noinline)) void unhandled(uint32_t number)
{
    struct hx_irq_line *line = &lines[number];
    line->unhandled++;
    if (!line->first) {
        hx_hal_irq_mask(number);
        return;
    }
    if (++line->in_a_row < HX_IRQ_STORM)
        return;
    line->stormed = true;
    line->storms++;
    mask_or_unmask(number);
    if (policy && policy->stormed)
        policy->stormed(number, line->first->module);
}

void hx_entry_irq(uint32_t number)
{
    struct hx_irq_line *line = &lines[number];
    bool own = false, later = false;
    for (struct hx_irq *irq = line->first; irq; irq = irq->next) {
        irq->accepted++;
        irq->pending++;
        enum told told = tell(irq);
        own |= told == TOLD_OWN;
        later |= told == TOLD_LATER;
    }
    if (__builtin_expect(own && !later, 1))
        line->in_a_row = 0;
    else if (later)
        hold(number);
    else
        unhandled(number);
}

/* ---- for others ----------------------------------------------------------------------------------------------------- */

const struct hx_irq *hx_irq_find(const struct hx_module *module, const char *key)
{
    const struct hx_irq *irq = NULL;
    LIST_FOREACH(irq, &claims, link)
        if (irq->module == module && strcmp(irq->key, key) == 0)
            return irq;
    return NULL;
}

const struct hx_irq *hx_irq_next(const struct hx_irq *irq)
{
    return irq ? LIST_NEXT(irq, link) : LIST_FIRST(&claims);
}

const struct hx_irq *hx_irq_of_line(uint32_t line)
{
    const struct hx_irq *irq = NULL;
    LIST_FOREACH(irq, &claims, link)
        if (irq->line == line)
            return irq;
    return NULL;
}

const struct hx_irq_line *hx_irq_line(uint32_t line)
{
    return &lines[line];
}
