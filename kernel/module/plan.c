/* SPDX-License-Identifier: MIT */
/*
 * plan.c - see plan.h.
 *
 * Why no recursion and no passes: a pack has up to a thousand files and comes from outside. Modules wait for a number of
 *            providers; whoever waits for none goes next, the first of the manifest first, and tells its users.
 * Invariant: an item that is refused is walked over like the others, so that its users are told too.
 */
#include "plan.h"

#include <hal/hx_hal.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#include "records.h"

/* Open addressing by name; names lie in items and files. */
struct named {
    const char *name; /* NULL: free */
    uint32_t index;
    uint32_t version;
};

struct table {
    struct named *bucket; /* [mask + 1] */
    uint32_t mask;
};

/* One requirement that a module of the plan fulfils: a line in its provider's list of users. */
struct edge {
    uint32_t user;
    uint32_t record; /* among the user's requires */
    uint32_t next;   /* edge of the same provider; HX_PLAN_NOBODY: the last */
};

struct planner {
    const struct hx_pack *pack;
    struct hx_plan *plan;
    struct table names;     /* module -> item */
    struct table providers; /* interface -> item */
    struct table held; /* interface -> entry of the pack that is not loaded at boot; made when it is first asked for */
    struct edge *edges;
    uint32_t edge_count;
    uint32_t *first_edge; /* [count] of the item as provider */
    uint32_t *waits_for;  /* [count] providers that were not walked over yet */
    uint32_t *ready;      /* [ready_count] heap of items, the first of the manifest on top */
    uint32_t ready_count;
    uint32_t *seen; /* [count] number of the walk that came by, 0: none */
};

/* ---- records of files that are not linked ----------------------------------------------------------------------------- */

static uint32_t record_count(struct hx_slice records)
{
    return (uint32_t)(records.bytes / sizeof(struct hx_interface_record));
}

/* The name in the file and the version; NULL: malformed. */
static const char *record_at(struct hx_slice records, uint32_t index, uint32_t *out_version)
{
    struct hx_interface_record record;
    uint64_t offset = (uint64_t)index * sizeof(record);
    if (hx_slice_read(records, offset, &record, sizeof(record)) != HX_OK || !hx_name_is_proper(record.prefix))
        return NULL;
    *out_version = record.version;
    return (const char *)records.data + offset + offsetof(struct hx_interface_record, prefix);
}

__attribute__((format(printf, 4, 5))) static void refuse(struct hx_plan_item *item, hx_status_t err, uint32_t because,
                                                         const char *format, ...)
{
    va_list arguments;
    if (item->err != HX_OK) /* the first reason stays */
        return;
    item->err = err;
    item->because = because;
    va_start(arguments, format);
    hx_fmt_v(item->message, sizeof(item->message), format, arguments);
    va_end(arguments);
}

static void read_item(struct hx_plan_item *item)
{
    struct hx_slice file = item->entry->content;
    hx_status_t err = hx_records_peek_name(file, item->name);
    if (err != HX_OK) {
        item->name[0] = 0;
        refuse(item, err, HX_PLAN_NOBODY, "not a loadable Helix module: %s; pack another", hx_err_text(err));
        return;
    }
    item->provides = hx_records_peek_interfaces(file, HX_RECORDS_PROVIDES);
    item->requires = hx_records_peek_interfaces(file, HX_RECORDS_REQUIRES);
    /* No file decides how long planning takes. */
    if (record_count(item->provides) <= HX_PROVIDES_MAX && record_count(item->requires) <= HX_REQUIRES_MAX)
        return;
    item->provides = item->requires = hx_slice_of(NULL, 0);
    refuse(item, HX_E_LIMIT, HX_PLAN_NOBODY,
           "provides or requires more interfaces than a module may, %u and %u; split the module",
           (unsigned)HX_PROVIDES_MAX, (unsigned)HX_REQUIRES_MAX);
}

static void fill_items(struct planner *planner, bool (*skips)(const char *name))
{
    struct hx_plan *plan = planner->plan;
    const struct hx_pack_entry *entry = NULL;
    for (uint32_t i = 0; (entry = hx_pack_entry_at(planner->pack, i)); i++) {
        if (!entry->load)
            continue;
        struct hx_plan_item *item = &plan->items[plan->count++];
        item->entry = entry;
        item->because = HX_PLAN_NOBODY;
        read_item(item);
        if (item->err == HX_OK && skips && skips(item->name))
            refuse(item, HX_E_DISABLED, HX_PLAN_NOBODY, "skipped, as the command line asks for");
    }
}

/* ---- tables of names --------------------------------------------------------------------------------------------------- */

static bool table_init(struct table *table, uint32_t names)
{
    uint32_t buckets = 4;
    while (buckets < 2 * names)
        buckets *= 2;
    table->mask = buckets - 1;
    table->bucket = hx_hal_alloc(buckets * sizeof(*table->bucket));
    return table->bucket != NULL;
}

/* Where @name is, or would be. */
static struct named *table_find(const struct table *table, const char *name)
{
    uint32_t at = (uint32_t)hx_hash_name(name, strlen(name)) & table->mask;
    while (table->bucket[at].name && strcmp(table->bucket[at].name, name) != 0)
        at = (at + 1) & table->mask;
    return &table->bucket[at];
}

/* Of two modules with one name, or providers of one interface, the first that is not refused for something else counts. */
static void enter_name(struct planner *planner, uint32_t index)
{
    struct hx_plan_item *item = &planner->plan->items[index];
    if (item->err != HX_OK)
        return;
    struct named *named = table_find(&planner->names, item->name);
    if (named->name)
        refuse(item, HX_E_EXIST, HX_PLAN_NOBODY,
               "module %s twice: %s is loaded at boot under that name too; hold one of them", item->name,
               planner->plan->items[named->index].entry->name);
    else
        *named = (struct named){ .name = item->name, .index = index };
}

static void enter_provided(struct planner *planner, uint32_t index, const char *prefix, uint32_t version)
{
    struct hx_plan_item *item = &planner->plan->items[index];
    struct named *named = table_find(&planner->providers, prefix);
    const struct hx_plan_item *other = named->name ? &planner->plan->items[named->index] : NULL;
    char display[HX_NAME_MAX];
    if (!other || (other->err != HX_OK && item->err == HX_OK)) {
        *named = (struct named){ .name = prefix, .index = index, .version = version };
        return;
    }
    hx_interface_display(prefix, display);
    if (other != item)
        refuse(item, HX_E_EXIST, HX_PLAN_NOBODY,
               "provides %s: %s, loaded at boot too, provides it already; hold one of them", display,
               other->entry->name);
}

static void enter_items(struct planner *planner)
{
    for (uint32_t i = 0; i < planner->plan->count; i++) {
        const struct hx_plan_item *item = &planner->plan->items[i];
        uint32_t version = 0;
        enter_name(planner, i);
        for (uint32_t r = 0; r < record_count(item->provides); r++) {
            const char *prefix = record_at(item->provides, r, &version);
            if (prefix)
                enter_provided(planner, i, prefix, version);
        }
    }
}

/* ---- who waits for whom ------------------------------------------------------------------------------------------------ */

static void enter_held(struct planner *planner)
{
    const struct hx_pack_entry *entry = NULL;
    uint32_t version = 0;
    for (uint32_t i = 0; (entry = hx_pack_entry_at(planner->pack, i)); i++) {
        struct hx_slice provides = hx_slice_of(NULL, 0);
        if (!entry->load)
            provides = hx_records_peek_interfaces(entry->content, HX_RECORDS_PROVIDES);
        for (uint32_t r = 0; r < record_count(provides) && r < HX_PROVIDES_MAX; r++) {
            const char *prefix = record_at(provides, r, &version);
            struct named *named = prefix ? table_find(&planner->held, prefix) : NULL;
            if (named && !named->name)
                *named = (struct named){ .name = prefix, .index = i };
        }
    }
}

/* The file that provides @prefix and is not loaded at boot, or NULL. Asked for only when something is wrong: then files are
 * read that otherwise nobody would. */
static const char *held_provider(struct planner *planner, const char *prefix)
{
    uint32_t held = planner->pack->count - planner->pack->load_count;
    if (!planner->held.bucket && table_init(&planner->held, held * HX_PROVIDES_MAX))
        enter_held(planner);
    const struct named *named = planner->held.bucket ? table_find(&planner->held, prefix) : NULL;
    return named && named->name ? hx_pack_entry_at(planner->pack, named->index)->name : NULL;
}

static void refuse_absent(struct planner *planner, struct hx_plan_item *item, const char *prefix, uint32_t least)
{
    char display[HX_NAME_MAX];
    const char *held = held_provider(planner, prefix);
    hx_interface_display(prefix, display);
    if (held)
        refuse(item, HX_E_DEPENDENCY, HX_PLAN_NOBODY,
               "requires %s %u.%u: %s provides it but is held; load that at boot too", display, HX_VERSION_MAJOR(least),
               HX_VERSION_MINOR(least), held);
    else
        refuse(item, HX_E_DEPENDENCY, HX_PLAN_NOBODY,
               "requires %s %u.%u: no module in the pack provides it; add one that does", display,
               HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least));
}

static void resolve_record(struct planner *planner, uint32_t index, uint32_t record)
{
    struct hx_plan_item *item = &planner->plan->items[index];
    char display[HX_NAME_MAX];
    uint32_t least = 0;
    const char *prefix = record_at(item->requires, record, &least);
    if (!prefix) {
        refuse(item, HX_E_FORMAT, HX_PLAN_NOBODY, "its requires record %u has no proper name; use HX_REQUIRES", record);
        return;
    }
    const struct named *named = table_find(&planner->providers, prefix);
    if (!named->name) {
        refuse_absent(planner, item, prefix, least);
        return;
    }
    hx_interface_display(prefix, display);
    if (named->version < least || HX_VERSION_MAJOR(named->version) != HX_VERSION_MAJOR(least))
        refuse(item, HX_E_VERSION, HX_PLAN_NOBODY,
               "requires %s %u.%u: %s provides %u.%u; pack a provider of the same major and no older", display,
               HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least), planner->plan->items[named->index].entry->name,
               HX_VERSION_MAJOR(named->version), HX_VERSION_MINOR(named->version));
    struct edge *edge = &planner->edges[planner->edge_count];
    *edge = (struct edge){ .user = index, .record = record, .next = planner->first_edge[named->index] };
    planner->first_edge[named->index] = planner->edge_count++;
    planner->waits_for[index]++;
}

static void resolve_items(struct planner *planner)
{
    memset(planner->first_edge, 0xff, planner->plan->count * sizeof(*planner->first_edge));
    for (uint32_t i = 0; i < planner->plan->count; i++)
        for (uint32_t r = 0; r < record_count(planner->plan->items[i].requires); r++)
            resolve_record(planner, i, r);
}

/* ---- the order --------------------------------------------------------------------------------------------------------- */

static void swap_ready(struct planner *planner, uint32_t a, uint32_t b)
{
    uint32_t index = planner->ready[a];
    planner->ready[a] = planner->ready[b];
    planner->ready[b] = index;
}

static void push_ready(struct planner *planner, uint32_t index)
{
    uint32_t at = planner->ready_count++;
    planner->ready[at] = index;
    for (; at > 0 && planner->ready[at] < planner->ready[(at - 1) / 2]; at = (at - 1) / 2)
        swap_ready(planner, at, (at - 1) / 2);
}

static uint32_t pop_ready(struct planner *planner)
{
    uint32_t top = planner->ready[0], at = 0;
    planner->ready[0] = planner->ready[--planner->ready_count];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < planner->ready_count && planner->ready[child + 1] < planner->ready[child])
            child++;
        if (child >= planner->ready_count || planner->ready[at] <= planner->ready[child])
            return top;
        swap_ready(planner, at, child);
        at = child;
    }
}

static const char *required_display(const struct hx_plan_item *item, uint32_t record, char out[HX_NAME_MAX])
{
    uint32_t ignored = 0;
    hx_interface_display(record_at(item->requires, record, &ignored), out);
    return out;
}

static void walk_over(struct planner *planner, uint32_t index)
{
    struct hx_plan *plan = planner->plan;
    const struct hx_plan_item *item = &plan->items[index];
    char display[HX_NAME_MAX];
    if (item->err == HX_OK)
        plan->order[plan->order_count++] = index;
    for (uint32_t e = planner->first_edge[index]; e != HX_PLAN_NOBODY; e = planner->edges[e].next) {
        const struct edge *edge = &planner->edges[e];
        struct hx_plan_item *user = &plan->items[edge->user];
        if (item->err != HX_OK)
            refuse(user, HX_E_DEPENDENCY, index, "requires %s, whose provider %s cannot be loaded",
                   required_display(user, edge->record, display), item->entry->name);
        if (--planner->waits_for[edge->user] == 0)
            push_ready(planner, edge->user);
    }
}

static void order_items(struct planner *planner)
{
    for (uint32_t i = 0; i < planner->plan->count; i++)
        if (planner->waits_for[i] == 0)
            push_ready(planner, i);
    while (planner->ready_count > 0)
        walk_over(planner, pop_ready(planner));
}

/* ---- circles ----------------------------------------------------------------------------------------------------------- */

/* A provider that was not walked over, of an item for which that is the case: there is one. */
static uint32_t waits_for_whom(const struct planner *planner, uint32_t index, uint32_t *out_record)
{
    const struct hx_plan_item *item = &planner->plan->items[index];
    uint32_t version = 0;
    for (uint32_t r = 0; r < record_count(item->requires); r++) {
        const char *prefix = record_at(item->requires, r, &version);
        const struct named *named = prefix ? table_find(&planner->providers, prefix) : NULL;
        *out_record = r;
        if (named && named->name && planner->waits_for[named->index] > 0)
            return named->index;
    }
    return HX_PLAN_NOBODY;
}

/* The circle that @at stands in, from its first member that has no other fault: "a -> b -> a". Returns that member. */
static uint32_t describe_circle(const struct planner *planner, uint32_t at, char *out, size_t bytes)
{
    const struct hx_plan_item *items = planner->plan->items;
    uint32_t first = at, record = 0;
    size_t used = 0;
    bool cut = false;
    for (uint32_t i = waits_for_whom(planner, at, &record); i != at; i = waits_for_whom(planner, i, &record))
        if (items[first].err != HX_OK ? items[i].err == HX_OK || i < first : items[i].err == HX_OK && i < first)
            first = i;
    uint32_t i = first;
    do {
        if (used + 2 * (HX_NAME_MAX + 8) < bytes)
            used = hx_fmt_append(out, bytes, used, "%s -> ", items[i].name);
        else if (!cut)
            used = hx_fmt_append(out, bytes, used, "... -> "), cut = true;
        i = waits_for_whom(planner, i, &record);
    } while (i != first);
    (void)hx_fmt_append(out, bytes, used, "%s", items[first].name);
    return first;
}

static void refuse_circle(struct planner *planner, uint32_t at)
{
    char members[192];
    uint32_t first = describe_circle(planner, at, members, sizeof(members)), record = 0;
    uint32_t i = first;
    do {
        refuse(&planner->plan->items[i], HX_E_CYCLE, i == first ? HX_PLAN_NOBODY : first,
               "dependency cycle: %s; hold one or let it require less", members);
        i = waits_for_whom(planner, i, &record);
    } while (i != first);
}

/* Who still waits stands in a circle or hangs on one: each follows whom it waits for until somebody comes by again. */
static void refuse_circles(struct planner *planner)
{
    struct hx_plan_item *items = planner->plan->items;
    char display[HX_NAME_MAX];
    for (uint32_t start = 0; start < planner->plan->count; start++) {
        uint32_t at = start, steps = 0, record = 0;
        if (planner->waits_for[start] == 0)
            continue;
        for (; !planner->seen[at]; steps++) {
            planner->seen[at] = start + 1;
            at = waits_for_whom(planner, at, &record);
        }
        if (planner->seen[at] == start + 1 && steps > 0)
            refuse_circle(planner, at);
        for (at = start; steps > 0; steps--) {
            uint32_t provider = waits_for_whom(planner, at, &record);
            refuse(&items[at], HX_E_DEPENDENCY, provider, "requires %s, whose provider %s cannot be loaded",
                   required_display(&items[at], record, display), items[provider].entry->name);
            at = provider;
        }
    }
}

/* ---- public ------------------------------------------------------------------------------------------------------------ */

static bool alloc_edges(struct planner *planner)
{
    uint32_t provided = 0, required = 0;
    for (uint32_t i = 0; i < planner->plan->count; i++) {
        provided += record_count(planner->plan->items[i].provides);
        required += record_count(planner->plan->items[i].requires);
    }
    planner->edges = hx_hal_alloc((required + 1) * sizeof(*planner->edges));
    return planner->edges && table_init(&planner->providers, provided) &&
           table_init(&planner->names, planner->plan->count);
}

static bool alloc_items(struct planner *planner, uint32_t count)
{
    struct hx_plan *plan = planner->plan;
    plan->items = hx_hal_alloc(count * sizeof(*plan->items));
    plan->order = hx_hal_alloc(count * sizeof(*plan->order));
    planner->first_edge = hx_hal_alloc(count * sizeof(*planner->first_edge));
    planner->waits_for = hx_hal_alloc(count * sizeof(*planner->waits_for));
    planner->ready = hx_hal_alloc(count * sizeof(*planner->ready));
    planner->seen = hx_hal_alloc(count * sizeof(*planner->seen));
    return plan->items && plan->order && planner->first_edge && planner->waits_for && planner->ready && planner->seen;
}

static void free_planner(struct planner *planner)
{
    hx_hal_free(planner->names.bucket);
    hx_hal_free(planner->providers.bucket);
    hx_hal_free(planner->held.bucket);
    hx_hal_free(planner->edges);
    hx_hal_free(planner->first_edge);
    hx_hal_free(planner->waits_for);
    hx_hal_free(planner->ready);
    hx_hal_free(planner->seen);
}

hx_status_t hx_plan_make(const struct hx_pack *pack, bool (*skips)(const char *name), struct hx_plan *out)
{
    hx_status_t err = HX_E_NOMEM;
    memset(out, 0, sizeof(*out));
    if (pack->load_count == 0)
        return HX_OK;
    struct planner planner = { .pack = pack, .plan = out };
    if (!alloc_items(&planner, pack->load_count))
        goto out;
    fill_items(&planner, skips);
    if (!alloc_edges(&planner))
        goto out;
    enter_items(&planner);
    resolve_items(&planner);
    order_items(&planner);
    refuse_circles(&planner);
    err = HX_OK;
out:
    free_planner(&planner);
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
