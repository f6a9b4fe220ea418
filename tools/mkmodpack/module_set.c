/* SPDX-License-Identifier: MIT */
/*
 * module_set.c - see module_set.h.
 *
 * What is loaded at boot is planned by the kernel's own planner, on the files as they are. What is here the planner does
 * not see: the lists of operations, which are known once a file is linked, and the modules that are held: one of those
 * takes another's place later, so it may share that one's name and interfaces, and anybody in the pack may be its provider.
 */
#include "module_set.h"

#include "module_check.h"

#include <module/plan.h>
#include <stdio.h>
#include <stdlib.h>

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct hx_mp_module *)a)->name, ((const struct hx_mp_module *)b)->name);
}

void hx_mp_set_sort(struct hx_mp_set *set)
{
    if (set->count > 0)
        qsort(set->module, set->count, sizeof(set->module[0]), compare_files);
}

void hx_mp_set_free(struct hx_mp_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        hx_mp_module_close(&set->module[i]);
    free(set->module);
    *set = (struct hx_mp_set){ 0 };
}

static void report_no_memory(const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    hx_mp_find_error(findings, HX_E_NOMEM, "modules", "not enough memory: there are %zu; free some", set->count);
}

/* ---- the kernel's plan ----------------------------------------------------------------------------------------------- */
/* A set as the pack that it will be, without those that were refused on their own. */
struct planned {
    struct hx_pack_entry *entries; /* [pack.count] */
    size_t *module;                /* [pack.count] index in the set */
    struct hx_pack pack;
    struct hx_plan plan;
};

static void planned_free(struct planned *planned)
{
    hx_plan_release(&planned->plan);
    free(planned->entries);
    free(planned->module);
}

static bool planned_make(const struct hx_mp_set *set, struct planned *out)
{
    *out = (struct planned){
        .entries = calloc(set->count + 1, sizeof(*out->entries)),
        .module = calloc(set->count + 1, sizeof(*out->module)),
    };
    for (size_t i = 0; out->entries && out->module && i < set->count; i++) {
        const struct hx_mp_module *module = &set->module[i];

        if (!module->record)
            continue;
        out->module[out->pack.count] = i;
        out->entries[out->pack.count++] =
            (struct hx_pack_entry){ .name = module->name, .content = module->bytes, .load = module->load };
        out->pack.load_count += module->load;
    }
    out->pack.entries = out->entries;
    if (out->entries && out->module && hx_plan_make(&out->pack, NULL, &out->plan) == HX_OK)
        return true;
    planned_free(out);
    return false;
}

/* The module of the set that item @index of the plan is. */
static size_t module_of(const struct planned *planned, uint32_t index)
{
    return planned->module[planned->plan.items[index].entry - planned->entries];
}

/* What is refused for another's sake is not said: that one's fault is. */
static void report_plan(const struct hx_mp_set *set, const struct planned *planned, struct hx_mp_findings *findings)
{
    for (uint32_t i = 0; i < planned->plan.count; i++) {
        const struct hx_plan_item *item = &planned->plan.items[i];

        if (item->err != HX_OK && item->because == HX_PLAN_NOBODY)
            hx_mp_find_error(findings, item->err, set->module[module_of(planned, i)].path, "%s", item->message);
    }
}

/* ---- who provides ---------------------------------------------------------------------------------------------------- */
struct provider {
    const struct hx_mp_module *module;
    const struct hx_interface_record *record;
};

struct providers {
    struct provider *provider; /* [count], by interface, then in the set's order */
    size_t count;
};

static int compare_providers(const void *a, const void *b)
{
    const struct provider *left = a;
    const struct provider *right = b;
    int order = strcmp(left->record->prefix, right->record->prefix);

    if (order != 0)
        return order;
    return left->module < right->module ? -1 : left->module > right->module;
}

static bool providers_make(const struct hx_mp_set *set, struct providers *out)
{
    *out = (struct providers){ .provider = calloc(set->count * HX_PROVIDES_MAX + 1, sizeof(*out->provider)) };
    if (!out->provider)
        return false;
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; set->module[i].record && j < set->module[i].records.provides_count; j++)
            out->provider[out->count++] =
                (struct provider){ .module = &set->module[i], .record = &set->module[i].records.provides[j] };
    qsort(out->provider, out->count, sizeof(*out->provider), compare_providers);
    return true;
}

/* The first provider of @prefix, or where it would be. */
static size_t find_provider(const struct providers *providers, const char *prefix)
{
    size_t low = 0;
    size_t high = providers->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(providers->provider[middle].record->prefix, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- one module's requirements --------------------------------------------------------------------------------------- */
static bool is_new_enough(const struct hx_interface_record *provided, const struct hx_interface_record *required)
{
    return provided->version >= required->version &&
           HX_VERSION_MAJOR(provided->version) == HX_VERSION_MAJOR(required->version);
}

static bool agrees(const struct provider *provider, const struct hx_mp_module *user,
                   const struct hx_interface_record *required)
{
    return hx_ops_agree(hx_mp_ops(provider->module, provider->record), provider->record->version,
                        hx_mp_ops(user, required), required->version);
}

/* Says why none of the providers from @first on will do; for a module that is loaded at boot the plan has said the most. */
static void report_unfit(const struct hx_mp_module *user, const struct hx_interface_record *required,
                         const struct provider *first, struct hx_mp_findings *findings)
{
    struct hx_mp_text interface = hx_mp_interface_name(required->prefix);
    struct hx_mp_text version = hx_mp_interface_version_text(required->version);

    if (first && is_new_enough(first->record, required))
        hx_mp_find_error(findings, HX_E_VERSION, user->path,
                         "requires %s %s: %s was built with other operations of it; build both with the same header",
                         interface.text, version.text, first->module->name);
    else if (first && !user->load)
        hx_mp_find_error(findings, HX_E_VERSION, user->path,
                         "requires %s %s: %s provides %s; pack a provider of the same major and no older",
                         interface.text, version.text, first->module->name,
                         hx_mp_interface_version_text(first->record->version).text);
    else if (!user->load)
        hx_mp_find_error(findings, HX_E_DEPENDENCY, user->path,
                         "requires %s %s: no module in the pack provides it; add one that does", interface.text,
                         version.text);
}

/* The two would be refused together, whoever comes second. */
static void check_types(const struct provider *provider, const struct hx_mp_module *user,
                        struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < user->types.count; i++) {
        const struct hx_mp_type *mine = &user->types.type[i];
        const struct hx_mp_type *other = hx_mp_types_find(&provider->module->types, mine->name);
        char there[HX_PACK_NAME_MAX + 4];

        snprintf(there, sizeof(there), "in %s", provider->module->name);
        if (other && other->type != mine->type)
            hx_mp_find_type(user->path, mine, other, there, "build both with the same header", findings);
    }
}

/* One that is loaded at boot relies on another that is; one that is held, on any. */
static void check_required(const struct providers *providers, const struct hx_mp_module *user,
                           const struct hx_interface_record *required, struct hx_mp_findings *findings)
{
    const struct provider *first = NULL;

    for (size_t i = find_provider(providers, required->prefix);
         i < providers->count && strcmp(providers->provider[i].record->prefix, required->prefix) == 0; i++) {
        const struct provider *provider = &providers->provider[i];

        if (user->load && !provider->module->load)
            continue;
        if (is_new_enough(provider->record, required) && agrees(provider, user, required)) {
            check_types(provider, user, findings);
            return;
        }
        first = first ? first : provider;
    }
    report_unfit(user, required, first, findings);
}

static void check_requirements(const struct hx_mp_set *set, const struct providers *providers,
                               struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; set->module[i].record && j < set->module[i].records.requires_count; j++)
            check_required(providers, &set->module[i], &set->module[i].records.requires[j], findings);
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
void hx_mp_set_check(const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    struct providers providers = { 0 };
    struct planned planned;

    if (!planned_make(set, &planned)) {
        report_no_memory(set, findings);
        return;
    }
    report_plan(set, &planned, findings);
    planned_free(&planned);
    if (providers_make(set, &providers))
        check_requirements(set, &providers, findings);
    else
        report_no_memory(set, findings);
    free(providers.provider);
}

bool hx_mp_set_order(struct hx_mp_set *set)
{
    struct hx_mp_module *ordered = calloc(set->count + 1, sizeof(*ordered));
    struct planned planned;
    size_t count = 0;

    if (!ordered || !planned_make(set, &planned)) {
        free(ordered);
        return false;
    }
    for (uint32_t i = 0; i < planned.plan.order_count; i++)
        ordered[count++] = set->module[module_of(&planned, planned.plan.order[i])];
    for (size_t i = 0; i < set->count; i++)
        if (!set->module[i].load)
            ordered[count++] = set->module[i];
    planned_free(&planned);
    free(set->module);
    set->module = ordered;
    return true;
}
