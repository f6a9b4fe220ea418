/* SPDX-License-Identifier: MIT */
/*
 * plan.c - see plan.h.
 */
#include "plan.h"

#include <hal/hx_hal.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#include "version.h"

enum { NOBODY = 0xffff };

/* Who provides what: open addressing by the interface's name, an item's index in each bucket. */
struct providers {
    uint16_t *bucket;
    uint32_t mask;
};

struct planner {
    struct hx_plan *plan;
    struct providers providers;
};

static uint32_t record_count(struct hx_slice records)
{
    return (uint32_t)(records.bytes / sizeof(struct hx_interface_record));
}

static bool record_at(struct hx_slice records, uint32_t index, struct hx_interface_record *out)
{
    return hx_slice_read(records, (uint64_t)index * sizeof(*out), out, sizeof(*out)) == HX_OK &&
           hx_name_is_proper(out->prefix);
}

/* @format takes the displayed name of interface @subject; the first reason stays. */
__attribute__((format(printf, 3, 0))) static void refuse(struct hx_plan_item *item, hx_status_t err, const char *format,
                                                         const char *subject)
{
    char display[HX_NAME_MAX];
    if (item->err != HX_OK)
        return;
    hx_interface_display(subject, display);
    item->err = err;
    hx_fmt(item->message, sizeof(item->message), format, display);
}

/* ---- reading descriptors -------------------------------------------------------------------------------------------- */

static void read_item(struct hx_plan_item *item)
{
    hx_status_t err = hx_version_peek_name(item->entry->content, item->name);
    if (err != HX_OK) {
        item->name[0] = 0;
        item->err = err;
        hx_fmt(item->message, sizeof(item->message), "%s: not a loadable Helix module: %s", item->entry->name,
               hx_err_text(err));
        return;
    }
    /* No such section is no such record. */
    if (hx_ldr_peek(item->entry->content, HX_RECORDS_PROVIDES, &item->provides) != HX_OK)
        item->provides = hx_slice_of(NULL, 0);
    if (hx_ldr_peek(item->entry->content, HX_RECORDS_REQUIRES, &item->requires) != HX_OK)
        item->requires = hx_slice_of(NULL, 0);
    /* No file decides how long planning takes. */
    if (record_count(item->provides) <= HX_PROVIDES_MAX && record_count(item->requires) <= HX_REQUIRES_MAX)
        return;
    item->provides = item->requires = hx_slice_of(NULL, 0);
    refuse(item, HX_E_LIMIT, "provides or requires more interfaces than a module may%s", "");
}

static uint32_t fill_items(struct hx_plan *plan, const struct hx_pack *pack, bool (*skips)(const char *name))
{
    uint32_t provided = 0;
    const struct hx_pack_entry *entry = NULL;
    for (uint32_t i = 0; (entry = hx_pack_entry_at(pack, i)); i++) {
        if (!entry->load)
            continue;
        struct hx_plan_item *item = &plan->items[plan->count++];
        item->entry = entry;
        read_item(item);
        if (item->err == HX_OK && skips && skips(item->name))
            refuse(item, HX_E_DISABLED, "skipped, as the command line asks for%s", "");
        provided += record_count(item->provides);
    }
    return provided;
}

/* ---- providers ------------------------------------------------------------------------------------------------------ */

static uint16_t *provider_bucket(const struct planner *planner, const char *prefix, uint32_t *out_version)
{
    uint32_t bucket = (uint32_t)hx_hash_name(prefix, strlen(prefix)) & planner->providers.mask;
    for (;; bucket = (bucket + 1) & planner->providers.mask) {
        uint16_t index = planner->providers.bucket[bucket];
        if (index == NOBODY)
            return &planner->providers.bucket[bucket];
        const struct hx_plan_item *item = &planner->plan->items[index];
        struct hx_interface_record record;
        for (uint32_t i = 0; i < record_count(item->provides); i++)
            if (record_at(item->provides, i, &record) && strcmp(record.prefix, prefix) == 0) {
                *out_version = record.version;
                return &planner->providers.bucket[bucket];
            }
    }
}

static void enter_providers(struct planner *planner)
{
    for (uint32_t i = 0; i < planner->plan->count; i++) {
        struct hx_plan_item *item = &planner->plan->items[i];
        struct hx_interface_record record;
        uint32_t ignored = 0;
        for (uint32_t r = 0; item->err == HX_OK && r < record_count(item->provides); r++) {
            if (!record_at(item->provides, r, &record))
                continue;
            uint16_t *bucket = provider_bucket(planner, record.prefix, &ignored);
            if (*bucket != NOBODY && *bucket != i)
                refuse(item, HX_E_EXIST, "%s is provided by another module of the pack; hold one of them",
                       record.prefix);
            else
                *bucket = (uint16_t)i;
        }
    }
}

/* The item that provides what @record requires, or NULL with the reason noted. */
static struct hx_plan_item *provider_of(const struct planner *planner, struct hx_plan_item *item,
                                        const struct hx_interface_record *record)
{
    uint32_t version = 0;
    uint16_t index = *provider_bucket(planner, record->prefix, &version);
    if (index == NOBODY) {
        refuse(item, HX_E_DEPENDENCY, "requires %s, which no module of the pack provides", record->prefix);
        return NULL;
    }
    if (version < record->version || HX_VERSION_MAJOR(version) != HX_VERSION_MAJOR(record->version)) {
        refuse(item, HX_E_VERSION, "requires %s in a version that the pack's provider does not have", record->prefix);
        return NULL;
    }
    return &planner->plan->items[index];
}

/* ---- ordering ------------------------------------------------------------------------------------------------------- */

/* Whether everything that the item requires is in the order; a refused provider refuses it too. */
static bool is_ready(const struct planner *planner, struct hx_plan_item *item, const bool *ordered)
{
    struct hx_interface_record record;
    for (uint32_t r = 0; r < record_count(item->requires); r++) {
        if (!record_at(item->requires, r, &record)) {
            refuse(item, HX_E_FORMAT, "a requires record is malformed%s", "");
            return false;
        }
        struct hx_plan_item *provider = provider_of(planner, item, &record);
        if (!provider)
            return false;
        if (provider->err != HX_OK) {
            refuse(item, HX_E_DEPENDENCY, "requires %s, whose provider cannot be loaded", record.prefix);
            return false;
        }
        if (!ordered[provider - planner->plan->items])
            return false;
    }
    return true;
}

/* A pass over what is left orders all that has become ready; as many passes as the longest chain against the manifest's
 * order, which is one when the manifest is in order. */
static void order_items(struct planner *planner, bool *ordered)
{
    struct hx_plan *plan = planner->plan;
    bool moved = true;
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < plan->count; i++) {
            struct hx_plan_item *item = &plan->items[i];
            if (ordered[i] || item->err != HX_OK)
                continue;
            if (is_ready(planner, item, ordered)) {
                plan->order[plan->order_count++] = (uint16_t)i;
                ordered[i] = true;
                moved = true;
            } else if (item->err != HX_OK) {
                moved = true;
            }
        }
    }
    for (uint32_t i = 0; i < plan->count; i++)
        if (!ordered[i])
            refuse(&plan->items[i], HX_E_CYCLE, "its dependencies form a cycle%s", "");
}

static uint32_t power_of_two_above(uint32_t count)
{
    uint32_t power = 4;
    while (power < 2 * count)
        power *= 2;
    return power;
}

hx_status_t hx_plan_make(const struct hx_pack *pack, bool (*skips)(const char *name), struct hx_plan *out)
{
    hx_status_t err = HX_E_NOMEM;
    memset(out, 0, sizeof(*out));
    if (pack->load_count == 0)
        return HX_OK;
    struct planner planner = { .plan = out };
    bool *ordered = hx_hal_alloc(pack->load_count * sizeof(*ordered));
    out->items = hx_hal_alloc(pack->load_count * sizeof(*out->items));
    out->order = hx_hal_alloc(pack->load_count * sizeof(*out->order));
    if (!ordered || !out->items || !out->order)
        goto out;
    uint32_t buckets = power_of_two_above(fill_items(out, pack, skips));
    planner.providers.mask = buckets - 1;
    planner.providers.bucket = hx_hal_alloc(buckets * sizeof(*planner.providers.bucket));
    if (!planner.providers.bucket)
        goto out;
    memset(planner.providers.bucket, 0xff, buckets * sizeof(*planner.providers.bucket));
    enter_providers(&planner);
    order_items(&planner, ordered);
    err = HX_OK;
out:
    hx_hal_free(planner.providers.bucket);
    hx_hal_free(ordered);
    if (err != HX_OK)
        hx_plan_release(out);
    return err;
}

void hx_plan_release(struct hx_plan *plan)
{
    hx_hal_free(plan->items);
    hx_hal_free(plan->order);
    memset(plan, 0, sizeof(*plan));
}
