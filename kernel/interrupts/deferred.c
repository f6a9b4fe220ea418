/* SPDX-License-Identifier: MIT */
/*
 * deferred.c - see deferred.h.
 *
 * Locks: one, over the list of all; requests come from interrupts, and from any CPU. Held for a walk along the list.
 */
#include "deferred.h"

#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <string.h>

enum { CORE_PRIORITY = 200 };

static TAILQ_HEAD(, hx_deferred) all = TAILQ_HEAD_INITIALIZER(all);
static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_IRQ);
static struct hx_waitq asked = HX_WAITQ_INIT(asked);
static struct hx_deferred *chosen; /* l: by the task; not to be released */
static struct hx_deferred *last;   /* l: that was chosen: the others' turn comes first */
static bool has_task;

#define DEFERRED_OF(ledger_node) ((struct hx_deferred *)((char *)(ledger_node)-offsetof(struct hx_deferred, node)))

/* ---- the task ------------------------------------------------------------------------------------------------------- */

static bool is_due(const struct hx_deferred *deferred)
{
    return deferred->bound && deferred->pending > 0 && hx_slot_info(deferred->module->deferred)->state == HX_SLOT_OPEN;
}

/* From behind @last to the end, or else from the beginning. Locked. */
static struct hx_deferred *find_due(void)
{
    struct hx_deferred *deferred = last;
    while (deferred && (deferred = TAILQ_NEXT(deferred, link)))
        if (is_due(deferred))
            return deferred;
    TAILQ_FOREACH(deferred, &all, link)
        if (is_due(deferred))
            return deferred;
    return NULL;
}

static bool somebody_is_due(void *context)
{
    (void)context;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    bool due = find_due() != NULL;
    hx_lock_release(&lock, flags);
    return due;
}

static struct hx_deferred *choose(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_deferred *deferred = find_due();
    chosen = deferred;
    if (deferred)
        last = deferred;
    hx_lock_release(&lock, flags);
    return deferred;
}

static void leave(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    chosen = NULL;
    hx_lock_release(&lock, flags);
}

/* The gate's answers when a slot closes in between and does not open soon: nobody has been called. */
static bool is_answer_of_gate(hx_ret_t result)
{
    return result == HX_E_TIMEOUT || result == HX_E_CLOSED || result == HX_E_ABSENT || result == HX_E_FAILED;
}

static void call(struct hx_deferred *deferred)
{
    uint64_t count = *(volatile uint64_t *)&deferred->pending;
    struct hx_slot *slot = deferred->module->deferred;
    hx_ret_t result = hx_gate_call(slot, deferred->op, count, 0, 0, 0);
    if (hx_slot_info(slot)->state != HX_SLOT_OPEN && is_answer_of_gate(result))
        return;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    deferred->pending -= count;
    if (result == HX_E_FAULT)
        deferred->lost += count;
    else
        deferred->served += count;
    hx_lock_release(&lock, flags);
}

static hx_status_t run(void *argument)
{
    (void)argument;
    while (hx_waitq_wait(&asked, somebody_is_due, NULL, UINT64_MAX) == HX_OK) {
        struct hx_deferred *deferred = choose();
        if (deferred)
            call(deferred);
        leave();
    }
    return HX_E_INTERNAL; /* it waits without a deadline, and core tasks are not killed */
}

static hx_status_t start_task(void)
{
    hx_handle_t task = HX_HANDLE_NONE;
    hx_status_t err = has_task ? HX_OK : hx_task_create(HX_TASK_CORE, "deferred", CORE_PRIORITY, run, NULL, &task);
    has_task = err == HX_OK;
    return err;
}

/* ---- claims --------------------------------------------------------------------------------------------------------- */

/* Its slot is closed and empty, or has another function in its place. */
static void release(struct hx_ledger_node *node)
{
    struct hx_deferred *deferred = DEFERRED_OF(node);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    TAILQ_REMOVE(&all, deferred, link);
    if (last == deferred)
        last = NULL;
    hx_lock_release(&lock, flags);
    while (*(struct hx_deferred *volatile *)&chosen == deferred) {
        hx_status_t slept = hx_task_sleep_until(hx_hal_clock_ns() + 1000000);
        (void)slept; /* the worker is not killed */
    }
    hx_hal_free(deferred);
}

static void give_back(struct hx_deferred *deferred)
{
    hx_ledger_strike(&deferred->module->ledger, &deferred->node);
    release(&deferred->node);
}

static struct hx_deferred *find(const struct hx_module *module, const char *key)
{
    struct hx_deferred *deferred = NULL;
    TAILQ_FOREACH(deferred, &all, link)
        if (deferred->module == module && strcmp(deferred->key, key) == 0)
            return deferred;
    return NULL;
}

static const struct hx_deferred_record *record_of(const struct hx_version *version, const char *key)
{
    for (uint32_t i = 0; i < version->deferred_count; i++)
        if (strcmp(version->deferred[i].key, key) == 0)
            return &version->deferred[i];
    return NULL;
}

/* The first operation that no key of the module has. There are more than two versions can declare together. */
static uint32_t free_op(const struct hx_module *module)
{
    const struct hx_deferred *deferred = NULL;
    uint32_t taken = 0;
    TAILQ_FOREACH(deferred, &all, link)
        if (deferred->module == module)
            taken |= 1u << deferred->op;
    return (uint32_t)__builtin_ctz(~taken);
}
_Static_assert(2 * HX_DEFERRED_MAX <= HX_OPS_MAX, "free_op() finds one");

static hx_status_t claim(struct hx_module *module, const char *key, struct hx_deferred **out)
{
    struct hx_deferred *deferred = hx_hal_alloc(sizeof(*deferred));
    if (!deferred)
        return HX_E_NOMEM;
    hx_fmt(deferred->key, sizeof(deferred->key), "%s", key);
    deferred->module = module;
    deferred->op = free_op(module);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    TAILQ_INSERT_TAIL(&all, deferred, link);
    hx_lock_release(&lock, flags);
    hx_ledger_enter(&module->ledger, &deferred->node, "deferred function", release);
    *out = deferred;
    return HX_OK;
}

hx_status_t hx_deferred_claim_all(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    struct hx_deferred *claimed[HX_DEFERRED_MAX];
    uint32_t count = 0;
    if (version->deferred_count == 0)
        return HX_OK;
    hx_status_t err = hx_module_need_deferred(module);
    if (err == HX_OK)
        err = start_task();
    for (uint32_t i = 0; err == HX_OK && i < version->deferred_count; i++) {
        struct hx_deferred *deferred = find(module, version->deferred[i].key);
        if (!deferred) {
            err = claim(module, version->deferred[i].key, &deferred);
            if (err != HX_OK)
                break;
            claimed[count++] = deferred;
        }
        version->deferred_vtable.op[deferred->op] = (const void *)version->deferred[i].function;
    }
    if (err == HX_OK)
        return HX_OK;
    while (count > 0)
        give_back(claimed[--count]);
    return hx_report_fail(report, err, "deferred", "no memory or slot for its deferred functions; unload a module");
}

void hx_deferred_bind(struct hx_module *module, const struct hx_version *version)
{
    struct hx_deferred *deferred = NULL;
    TAILQ_FOREACH(deferred, &all, link)
        if (deferred->module == module)
            deferred->bound = record_of(version, deferred->key) != NULL;
}

void hx_deferred_release_others(struct hx_module *module, const struct hx_version *keep)
{
    struct hx_deferred *next = NULL;
    for (struct hx_deferred *deferred = TAILQ_FIRST(&all); deferred; deferred = next) {
        next = TAILQ_NEXT(deferred, link);
        if (deferred->module == module && !record_of(keep, deferred->key))
            give_back(deferred);
    }
}

/* ---- requests ------------------------------------------------------------------------------------------------------- */

void hx_deferred_resume(void)
{
    if (has_task)
        hx_waitq_wake_all(&asked);
}

hx_status_t hx_deferred_ask(const struct hx_module *module, const char *key)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_deferred *deferred = find(module, key);
    bool known = deferred && deferred->bound;
    if (known)
        deferred->pending++;
    hx_lock_release(&lock, flags);
    if (!known)
        return HX_E_NOENT;
    hx_waitq_wake_all(&asked);
    return HX_OK;
}

const struct hx_deferred *hx_deferred_next(const struct hx_deferred *deferred)
{
    return deferred ? TAILQ_NEXT(deferred, link) : TAILQ_FIRST(&all);
}
