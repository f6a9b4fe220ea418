/* SPDX-License-Identifier: MIT */
/*
 * declared.c - see declared.h.
 *
 * Locks: that of the registry of modules stands over the lists of channels, because it does over the names by which they are
 * found. A list is as long as two versions' declarations at most.
 */
#include "declared.h"

#include "callbacks.h"

#include <interrupts/router.h>
#include <ipc/channel.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <string.h>

/* A channel or a topic that a module has declared. */
struct hx_declared_claim {
    LIST_ENTRY(hx_declared_claim) link; /* its module's */
    struct hx_ledger_node node;
    struct hx_module *module;
    char key[HX_NAME_MAX]; /* of a channel; the name of a topic */
    uint32_t capacity;     /* of a channel; 0: it is a topic */
    hx_handle_t mine, far; /* the module's end, and the kernel's handle of the other */
    struct hx_topic *topic;
};

#define CLAIM_OF(ledger_node)                                                                                          \
    ((struct hx_declared_claim *)((char *)(ledger_node)-offsetof(struct hx_declared_claim, node)))

static bool any_connected; /* by a module, ever: there is something to look for when a capability ends */

/* ---- channels and topics ---------------------------------------------------------------------------------------------- */

static struct hx_declared_claim *find(const struct hx_module *module, const char *key, bool channel)
{
    struct hx_declared_claim *claim = NULL;
    LIST_FOREACH(claim, &module->claims, link)
        if ((claim->capacity > 0) == channel && strcmp(claim->key, key) == 0)
            break;
    return claim;
}

/* The module may have closed its end itself. */
static void close_channel(const struct hx_declared_claim *claim)
{
    hx_status_t err = hx_ipc_close(claim->far, &hx_kernel_holder);
    err = hx_handle_close(claim->far, &hx_kernel_holder);
    err = hx_handle_close(claim->mine, &claim->module->holder);
    (void)err;
}

static hx_status_t open_channel(struct hx_declared_claim *claim)
{
    struct hx_channel_ends ends;
    hx_status_t err = hx_ipc_create(claim->capacity, &claim->module->holder, &ends);
    if (err != HX_OK)
        return err;
    claim->mine = ends.end[0];
    err = hx_handle_give(ends.end[1], &claim->module->holder, &hx_kernel_holder, &claim->far);
    if (err != HX_OK) {
        hx_status_t ignored = hx_handle_close(ends.end[1], &claim->module->holder);
        ignored = hx_handle_close(claim->mine, &claim->module->holder);
        (void)ignored;
    }
    return err;
}

static void release(struct hx_ledger_node *node)
{
    struct hx_declared_claim *claim = CLAIM_OF(node);
    hx_irq_flags_t flags = hx_module_registry_lock();
    LIST_REMOVE(claim, link);
    hx_module_registry_unlock(flags);
    if (claim->capacity)
        close_channel(claim);
    else
        hx_topic_destroy(claim->topic);
    hx_hal_free(claim);
}

/* @capacity 0: a topic. */
static hx_status_t claim_new(struct hx_module *module, const char *key, uint32_t capacity)
{
    struct hx_declared_claim *claim = hx_hal_alloc(sizeof(*claim));
    if (!claim)
        return HX_E_NOMEM;
    memcpy(claim->key, key, sizeof(claim->key));
    claim->module = module;
    claim->capacity = capacity;
    hx_status_t err = capacity ? open_channel(claim) : hx_topic_create(key, &module->holder, &claim->topic);
    if (err != HX_OK) {
        hx_hal_free(claim);
        return err;
    }
    hx_irq_flags_t flags = hx_module_registry_lock();
    LIST_INSERT_HEAD(&module->claims, claim, link);
    hx_module_registry_unlock(flags);
    hx_ledger_enter(&module->ledger, &claim->node, capacity ? "channel" : "topic", release);
    return HX_OK;
}

static hx_status_t claim_one(struct hx_module *module, const char *key, uint32_t capacity, struct hx_report *report)
{
    const struct hx_declared_claim *claim = find(module, key, capacity > 0);
    const char *kind = capacity ? "channel" : "topic";
    if (claim && claim->capacity != capacity)
        return hx_report_fail(report, HX_E_INVAL, key,
                              "channel %s: its capacity changes from %u to %u; declare it under another key", key,
                              claim->capacity, capacity);
    hx_status_t err = claim ? HX_OK : claim_new(module, key, capacity);
    return err == HX_OK ? HX_OK : hx_report_fail(report, err, key, "%s %s: %s", kind, key, hx_err_text(err));
}

static hx_status_t claim_channels_and_topics(struct hx_module *module, const struct hx_version *version,
                                             struct hx_report *report)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < version->channels_count; i++)
        err = claim_one(module, version->channels[i].key, version->channels[i].capacity, report);
    for (uint32_t i = 0; err == HX_OK && i < version->topics_count; i++)
        err = claim_one(module, version->topics[i].name, 0, report);
    return err;
}

static bool declares(const struct hx_version *version, const struct hx_declared_claim *claim)
{
    for (uint32_t i = 0; claim->capacity && i < version->channels_count; i++)
        if (strcmp(version->channels[i].key, claim->key) == 0)
            return true;
    for (uint32_t i = 0; !claim->capacity && i < version->topics_count; i++)
        if (strcmp(version->topics[i].name, claim->key) == 0)
            return true;
    return false;
}

static void release_other_claims(struct hx_module *module, const struct hx_version *keep)
{
    struct hx_declared_claim *next = NULL;
    for (struct hx_declared_claim *claim = LIST_FIRST(&module->claims); claim; claim = next) {
        next = LIST_NEXT(claim, link);
        if (declares(keep, claim))
            continue;
        hx_ledger_strike(&module->ledger, &claim->node);
        release(&claim->node);
    }
}

hx_status_t hx_declared_channel(const struct hx_module *module, const char *key, hx_handle_t *out)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    const struct hx_declared_claim *claim = find(module, key, true);
    hx_handle_t mine = claim ? claim->mine : HX_HANDLE_NONE;
    hx_module_registry_unlock(flags);
    if (!mine)
        return HX_E_NOENT;
    *out = mine;
    return HX_OK;
}

hx_status_t hx_declared_connect(const char *name, struct hx_holder *holder, hx_handle_t *out)
{
    char module_name[HX_NAME_MAX] = "";
    size_t bytes = 0;
    while (name[bytes] && name[bytes] != '/')
        bytes++;
    if (bytes == 0 || bytes >= sizeof(module_name) || !name[bytes])
        return HX_E_INVAL;
    memcpy(module_name, name, bytes);
    hx_irq_flags_t flags = hx_module_registry_lock();
    const struct hx_module *module = hx_module_find(module_name);
    const struct hx_declared_claim *claim = module ? find(module, name + bytes + 1, true) : NULL;
    hx_handle_t far = claim ? claim->far : HX_HANDLE_NONE;
    hx_module_registry_unlock(flags);
    hx_status_t err =
        far ? hx_ipc_clone_by(far, &hx_kernel_holder, HX_RIGHT_ALL & ~HX_RIGHT_CLOSE, holder, holder->self, out)
            : HX_E_NOENT;
    if (err == HX_OK && holder->self != HX_HANDLE_NONE)
        __atomic_store_n(&any_connected, true, __ATOMIC_SEQ_CST);
    return err == HX_E_STALE ? HX_E_NOENT : err; /* it went in between */
}

/* ---- connections by capabilities: the registry locked ------------------------------------------------------------------ */

/* "module/key" of the channel of which @end is the end that others have; false: nobody's. */
static bool name_of(const void *end, char out[2 * HX_NAME_MAX])
{
    const struct hx_declared_claim *claim = NULL;
    for (const struct hx_module *module = hx_module_next(NULL); module; module = hx_module_next(module))
        LIST_FOREACH(claim, &module->claims, link)
            if (claim->capacity && hx_handles[hx_handle_index(claim->far)].object == end) {
                hx_fmt(out, 2 * HX_NAME_MAX, "%s/%s", module->name, claim->key);
                return true;
            }
    return false;
}

static const struct hx_module *named(hx_handle_t self)
{
    const struct hx_module *module = hx_module_next(NULL);
    while (module && module->holder.self != self)
        module = hx_module_next(module);
    return module;
}

static bool stays(const struct hx_handle_entry *entry, bool (*may)(const struct hx_module *module, const char *name))
{
    char name[2 * HX_NAME_MAX];
    if (entry->authority == HX_HANDLE_NONE || !name_of(entry->object, name))
        return true; /* a channel that nobody declares any more is closed */
    const struct hx_module *module = named(entry->authority);
    return module && may(module, name);
}

void hx_declared_check_connections(bool (*may)(const struct hx_module *module, const char *name))
{
    uint32_t at = 0;
    bool again = false; /* what was withdrawn may have been cloned to where was looked already */
    while (__atomic_load_n(&any_connected, __ATOMIC_SEQ_CST)) {
        hx_handle_t handle = HX_HANDLE_NONE;
        const struct hx_holder *owner = NULL;
        const struct hx_handle_entry *entry = NULL;
        hx_irq_flags_t flags = hx_module_registry_lock();
        for (; (entry = hx_handle_next(at)); at = (uint32_t)(entry - hx_handles)) {
            handle = HX_HANDLE_READ(entry->name); /* first: what changes meanwhile is not taken for it */
            owner = HX_HANDLE_READ(entry->owner);
            if (hx_handle_type(handle) == HX_HANDLE_CHANNEL && !stays(entry, may))
                break;
        }
        hx_module_registry_unlock(flags);
        if (!entry && !again)
            return;
        if (entry)
            hx_ipc_withdraw(handle, owner);
        again = entry != NULL;
        at = entry ? (uint32_t)(entry - hx_handles) : 0;
    }
}

bool hx_declared_channel_name(uint32_t index, char out[2 * HX_NAME_MAX], hx_handle_t *out_mine)
{
    bool found = false;
    const struct hx_module *module = NULL;
    const struct hx_declared_claim *claim = NULL;
    hx_irq_flags_t flags = hx_module_registry_lock();
    while (!found && (module = hx_module_next(module)))
        LIST_FOREACH(claim, &module->claims, link)
            if (!found && claim->capacity && index-- == 0) {
                hx_fmt(out, 2 * HX_NAME_MAX, "%s/%s", module->name, claim->key);
                if (out_mine)
                    *out_mine = claim->mine;
                found = true;
            }
    hx_module_registry_unlock(flags);
    return found;
}

/* ---- all of it --------------------------------------------------------------------------------------------------------- */

hx_status_t hx_declared_claim_all(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    hx_status_t err = hx_irq_claim_all(module, version, report);
    if (err == HX_OK)
        err = claim_channels_and_topics(module, version, report); /* callbacks may subscribe to them */
    if (err == HX_OK)
        err = hx_callbacks_claim_all(module, version, report);
    if (err != HX_OK && module->running != version) /* else all of it goes */
        hx_declared_release_others(module, module->running);
    return err;
}

void hx_declared_bind(struct hx_module *module, const struct hx_version *before, const struct hx_version *version)
{
    if (version->irqs_count || (before && before->irqs_count))
        hx_irq_bind(module, version);
    if (module->called)
        hx_callbacks_bind(module, version);
    hx_callbacks_meet_sources();
}

void hx_declared_replay(struct hx_module *module)
{
    if (module->running->irqs_count)
        hx_irq_replay(module);
    if (module->called)
        hx_callbacks_resume(module);
}

void hx_declared_restore(struct hx_module *module)
{
    hx_callbacks_restore(module);
}

void hx_declared_disarm(struct hx_module *module)
{
    hx_irq_disarm_all(module);
    hx_callbacks_disarm(module);
}

void hx_declared_forsake(struct hx_module *module)
{
    hx_callbacks_forsake(module);
}

void hx_declared_release_others(struct hx_module *module, const struct hx_version *keep)
{
    hx_irq_release_others(module, keep);
    hx_callbacks_release_others(module, keep);
    release_other_claims(module, keep);
}
