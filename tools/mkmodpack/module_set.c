/* SPDX-License-Identifier: MIT */
/*
 * module_set.c - see module_set.h.
 *
 * Why twice the rules: a module that is held takes another's place later, so it may share that one's name and interfaces;
 * of those loaded at boot, all run at once.
 */
#include "module_set.h"

#include "module_check.h"

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

/* ---- who provides ---------------------------------------------------------------------------------------------------- */
static const struct hx_interface_record *find_provided(const struct hx_mp_module *module, const char *prefix)
{
    size_t count;
    const struct hx_interface_record *record = hx_mp_provides(module, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(record[i].prefix, prefix) == 0)
            return &record[i];
    return NULL;
}

static bool satisfies(const struct hx_mp_module *provider, const struct hx_interface_record *provided,
                      const struct hx_mp_module *user, const struct hx_interface_record *required)
{
    return provided->version >= required->version && hx_mp_ops_agree(hx_mp_ops(provider, provided), provided->version,
                                                                     hx_mp_ops(user, required), required->version);
}

/* The first module that provides @prefix and comes after @from; NULL: none. @load_only: of those loaded at boot. */
static const struct hx_mp_module *next_provider(const struct hx_mp_set *set, const struct hx_mp_module *from,
                                                const char *prefix, bool load_only)
{
    for (size_t i = from ? (size_t)(from - set->module) + 1 : 0; i < set->count; i++)
        if (set->module[i].record && (set->module[i].load || !load_only) && find_provided(&set->module[i], prefix))
            return &set->module[i];
    return NULL;
}

/* ---- one module's requirements --------------------------------------------------------------------------------------- */
static void report_absent(const struct hx_mp_set *set, const struct hx_mp_module *user,
                          const struct hx_interface_record *required, struct hx_mp_findings *findings)
{
    const struct hx_mp_module *held = next_provider(set, NULL, required->prefix, false);
    struct hx_mp_text name = hx_mp_interface_name(required->prefix);
    struct hx_mp_text version = hx_mp_interface_version_text(required->version);

    if (held)
        hx_mp_find(findings, user->path, "requires %s %s: %s provides it but is held; load that at boot too", name.text,
                   version.text, held->name);
    else
        hx_mp_find(findings, user->path, "requires %s %s: no module in the pack provides it; add one that does",
                   name.text, version.text);
}

static void check_required(const struct hx_mp_set *set, const struct hx_mp_module *user,
                           const struct hx_interface_record *required, struct hx_mp_findings *findings)
{
    const struct hx_mp_module *first = next_provider(set, NULL, required->prefix, user->load);
    const struct hx_interface_record *provided;

    if (!first) {
        report_absent(set, user, required, findings);
        return;
    }
    for (const struct hx_mp_module *provider = first; provider;
         provider = next_provider(set, provider, required->prefix, user->load))
        if (satisfies(provider, find_provided(provider, required->prefix), user, required))
            return;
    provided = find_provided(first, required->prefix);
    if (provided->version < required->version ||
        HX_VERSION_MAJOR(provided->version) != HX_VERSION_MAJOR(required->version))
        hx_mp_find(findings, user->path,
                   "requires %s %s: %s provides %s; pack a provider of the same major and no older",
                   hx_mp_interface_name(required->prefix).text, hx_mp_interface_version_text(required->version).text,
                   first->name, hx_mp_interface_version_text(provided->version).text);
    else
        hx_mp_find(findings, user->path,
                   "requires %s %s: %s was built with other operations of it; build both with the same header",
                   hx_mp_interface_name(required->prefix).text, hx_mp_interface_version_text(required->version).text,
                   first->name);
}

static void check_requirements(const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct hx_interface_record *required;
        size_t count;

        if (!set->module[i].record)
            continue;
        required = hx_mp_requires(&set->module[i], &count);
        for (size_t j = 0; j < count; j++)
            check_required(set, &set->module[i], &required[j], findings);
    }
}

/* ---- taken twice ----------------------------------------------------------------------------------------------------- */
static void check_name(const struct hx_mp_set *set, size_t index, struct hx_mp_findings *findings)
{
    const struct hx_mp_module *module = &set->module[index];

    for (size_t i = 0; i < index; i++)
        if (set->module[i].record && set->module[i].load &&
            strcmp(set->module[i].record->name, module->record->name) == 0)
            hx_mp_find(findings, module->path,
                       "module %s twice: %s is loaded at boot under that name too; hold one of them",
                       module->record->name, set->module[i].name);
}

static void check_provided(const struct hx_mp_set *set, size_t index, struct hx_mp_findings *findings)
{
    const struct hx_mp_module *module = &set->module[index];
    size_t count;
    const struct hx_interface_record *provided = hx_mp_provides(module, &count);

    for (size_t i = 0; i < count; i++) {
        const struct hx_mp_module *first = next_provider(set, NULL, provided[i].prefix, true);

        if (first != module)
            hx_mp_find(findings, module->path,
                       "provides %s: %s, loaded at boot too, provides it already; hold one of them",
                       hx_mp_interface_name(provided[i].prefix).text, first->name);
    }
}

/* ---- order ----------------------------------------------------------------------------------------------------------- */
/* Whether every provider that module @index waits for is @placed. @out_waits_for: one that is not. */
static bool is_ready(const struct hx_mp_set *set, size_t index, const bool *placed, size_t *out_waits_for)
{
    size_t count;
    const struct hx_interface_record *required = hx_mp_requires(&set->module[index], &count);

    for (size_t i = 0; i < count; i++) {
        const struct hx_mp_module *provider = next_provider(set, NULL, required[i].prefix, true);

        if (provider && !placed[provider - set->module]) {
            *out_waits_for = (size_t)(provider - set->module);
            return false;
        }
    }
    return true;
}

static bool takes_part(const struct hx_mp_module *module)
{
    return module->load && module->record;
}

/* Places those loaded at boot, each after its providers, the first in the set's order whenever there is a choice. Returns
 * how many there were; the rest depend on each other in a circle. */
static size_t place_all(const struct hx_mp_set *set, bool *placed, size_t *out_order)
{
    size_t count = 0;
    size_t waits_for;
    size_t i = 0;

    while (i < set->count) {
        if (takes_part(&set->module[i]) && !placed[i] && is_ready(set, i, placed, &waits_for)) {
            placed[i] = true;
            out_order[count++] = i;
            i = 0;
        } else {
            i++;
        }
    }
    return count;
}

/* Follows from module @from whom it waits for, until one comes again: that circle is the finding. */
static void report_cycle(const struct hx_mp_set *set, size_t from, const bool *placed, struct hx_mp_findings *findings)
{
    char path[512];
    size_t used = 0;
    size_t at = from;

    for (size_t i = 0; i < set->count; i++)
        (void)is_ready(set, at, placed, &at); /* after so many steps it stands in a circle */
    from = at;
    for (size_t i = 0; i < set->count; i++) { /* after so many more it has been all round it: start at the first */
        (void)is_ready(set, at, placed, &at);
        from = at < from ? at : from;
    }
    at = from;
    do {
        int n = snprintf(path + used, sizeof(path) - used, "%s -> ", set->module[at].record->name);

        used = n > 0 && (size_t)n < sizeof(path) - used ? used + (size_t)n : sizeof(path) - 1;
        (void)is_ready(set, at, placed, &at);
    } while (at != from);
    hx_mp_find(findings, set->module[from].path, "dependency cycle: %s%s; hold one of them or let it require less",
               path, set->module[from].record->name);
}

static void check_cycles(const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    bool *placed = calloc(set->count + 1, sizeof(*placed));
    size_t *order = calloc(set->count + 1, sizeof(*order));
    size_t waits_for;

    if (!placed || !order)
        hx_mp_find(findings, "dependencies", "not enough memory: %zu modules; free some", set->count);
    else
        (void)place_all(set, placed, order);
    for (size_t i = 0; placed && order && i < set->count; i++)
        if (takes_part(&set->module[i]) && !placed[i] && !is_ready(set, i, placed, &waits_for)) {
            report_cycle(set, i, placed, findings);
            break; /* what else is left may only hang on this circle */
        }
    free(placed);
    free(order);
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
void hx_mp_set_check(const struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!takes_part(&set->module[i]))
            continue;
        check_name(set, i, findings);
        check_provided(set, i, findings);
    }
    check_requirements(set, findings);
    check_cycles(set, findings);
}

bool hx_mp_set_order(struct hx_mp_set *set)
{
    bool *placed = calloc(set->count + 1, sizeof(*placed));
    size_t *order = calloc(set->count + 1, sizeof(*order));
    struct hx_mp_module *ordered = calloc(set->count + 1, sizeof(*ordered));
    size_t count = 0;
    bool ok = false;

    if (!placed || !order || !ordered)
        goto out;
    count = place_all(set, placed, order);
    for (size_t i = 0; i < set->count; i++)
        if (!placed[i])
            order[count++] = i;
    for (size_t i = 0; i < count; i++)
        ordered[i] = set->module[order[i]];
    free(set->module);
    set->module = ordered;
    ordered = NULL;
    ok = true;
out:
    free(placed);
    free(order);
    free(ordered);
    return ok;
}
