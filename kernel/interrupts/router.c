/* SPDX-License-Identifier: MIT */
/* router.c - see router.h. */
#include "router.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <string.h>

static struct hx_irq lines[HX_IRQ_LINES];

#define IRQ_OF(ledger_node) ((struct hx_irq *)((char *)(ledger_node)-offsetof(struct hx_irq, node)))

static uint32_t line_of(const struct hx_irq *irq)
{
    return (uint32_t)(irq - lines);
}

static void disarm(struct hx_irq *irq)
{
    hx_hal_irq_mask(line_of(irq));
    irq->armed = false;
    irq->held = false;
}

static void release(struct hx_ledger_node *node)
{
    struct hx_irq *irq = IRQ_OF(node);
    disarm(irq);
    irq->module = NULL;
}

hx_status_t hx_irq_claim(struct hx_module *module, const char *key, uint32_t line, struct hx_report *report)
{
    struct hx_irq *irq = &lines[line];
    if (irq->module)
        return hx_report_fail(report, HX_E_IN_USE, key, "interrupt %s: line %u belongs to %s (%s); unload that first",
                              key, line, irq->module->name, irq->key);
    uint64_t unhandled = irq->unhandled;
    memset(irq, 0, sizeof(*irq));
    irq->unhandled = unhandled;
    hx_fmt(irq->key, sizeof(irq->key), "%s", key);
    irq->module = module;
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

static void give_back(struct hx_irq *irq)
{
    hx_ledger_strike(&irq->module->ledger, &irq->node);
    release(&irq->node);
}

hx_status_t hx_irq_claim_all(struct hx_module *module, const struct hx_version *version, struct hx_report *report)
{
    hx_status_t err = HX_OK;
    uint32_t claimed = 0;
    for (uint32_t i = 0; err == HX_OK && i < version->irqs_count; i++) {
        const struct hx_irq_record *record = &version->irqs[i];
        const struct hx_irq *held = hx_irq_find(module, record->key);
        if (!held) {
            err = hx_irq_claim(module, record->key, record->line, report);
            if (err == HX_OK)
                claimed |= 1u << record->line;
        } else if (line_of(held) != record->line) {
            err = hx_report_fail(report, HX_E_INVAL, record->key,
                                 "interrupt %s: its line changes from %u to %u; declare it under another key",
                                 record->key, line_of(held), record->line);
        }
    }
    for (uint32_t line = 0; err != HX_OK && line < HX_IRQ_LINES; line++)
        if (claimed & 1u << line)
            give_back(&lines[line]);
    return err;
}

void hx_irq_bind(struct hx_module *module, const struct hx_version *version)
{
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++) {
        struct hx_irq *irq = &lines[line];
        if (irq->module != module)
            continue;
        const struct hx_irq_record *record = record_of(version, irq->key);
        if (!record) {
            disarm(irq);
            continue;
        }
        irq->callback = (uint32_t)(record - version->irqs);
        if (!irq->armed) {
            irq->armed = true;
            hx_hal_irq_unmask(line);
        }
    }
}

void hx_irq_disarm_all(struct hx_module *module)
{
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++)
        if (lines[line].module == module)
            disarm(&lines[line]);
}

void hx_irq_release_others(struct hx_module *module, const struct hx_version *keep)
{
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++)
        if (lines[line].module == module && !record_of(keep, lines[line].key))
            give_back(&lines[line]);
}

/* Interrupts off. What a closed slot does not take stays pending. */
static void deliver(struct hx_irq *irq)
{
    uint64_t count = irq->pending;
    const struct hx_slot_info *info = hx_slot_info(irq->module->callbacks);
    hx_ret_t result = hx_gate_call(irq->module->callbacks, irq->callback, count, 0, 0, 0);
    /* The gate's answer; a handler that returns the same, of another module's gate perhaps, has been told. */
    if (info->state != HX_SLOT_OPEN && (result == HX_E_CLOSED || result == HX_E_FAILED || result == HX_E_ABSENT))
        return;
    irq->pending -= count;
    if (result == HX_E_FAULT)
        irq->lost += count;
    else
        irq->served += count;
}

/* Edges must not be missed while the slot is closed; a level is still there afterwards. */
static void hold(struct hx_irq *irq)
{
    if (!hx_hal_irq_is_level(line_of(irq)))
        return;
    irq->held = true;
    hx_hal_irq_mask(line_of(irq));
}

static void let_go(struct hx_irq *irq)
{
    irq->held = false;
    hx_hal_irq_unmask(line_of(irq));
}

void hx_irq_replay(struct hx_module *module)
{
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++) {
        struct hx_irq *irq = &lines[line];
        if (irq->module != module || !irq->armed || !irq->pending)
            continue;
        deliver(irq);
        if (irq->held && irq->pending == 0)
            let_go(irq);
    }
}

void hx_entry_irq(uint32_t line)
{
    if (line >= HX_IRQ_LINES)
        return;
    struct hx_irq *irq = &lines[line];
    if (!irq->module || !irq->armed) {
        irq->unhandled++;
        hx_hal_irq_mask(line);
        return;
    }
    irq->accepted++;
    irq->pending++;
    deliver(irq);
    if (irq->pending > 0 && irq->armed)
        hold(irq);
}

const struct hx_irq *hx_irq_find(const struct hx_module *module, const char *key)
{
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++)
        if (lines[line].module == module && strcmp(lines[line].key, key) == 0)
            return &lines[line];
    return NULL;
}

const struct hx_irq *hx_irq_of_line(uint32_t line)
{
    return line < HX_IRQ_LINES ? &lines[line] : NULL;
}
