/* SPDX-License-Identifier: MIT */
/*
 * cmd_resources.c - commands that show what modules have and have used, and say how much they may.
 *
 * The worker may end a module whenever it runs: its books are copied with preemption off, and printed afterwards.
 */
#include "command.h"
#include "console.h"
#include "module_names.h"
#include "task_rows.h"

#include <lib/fmt.h>
#include <module/module.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

/* ---- res ------------------------------------------------------------------------------------------------------------ */
/* Of @resource, which is CPU time or something that is counted. */
static const char *amount_text(enum hx_resource resource, uint64_t amount, char out[24])
{
    char ms[24];
    if (resource == HX_RESOURCE_CPU_TIME)
        hx_fmt(out, 24, "%.20sms", hx_task_rows_ms(amount, ms));
    else
        hx_fmt(out, 24, "%llu", (unsigned long long)amount);
    return out;
}

static void print_pools(void)
{
    struct hx_resource_pool pool;
    char total[24], left[24];
    hx_console_table("RESOURCE                 TOTAL        AVAILABLE ALLOCATIONS");
    for (uint32_t i = 0; i < HX_RESOURCES_MAX; i++) {
        enum hx_resource resource = (enum hx_resource)i;
        if (hx_resource_pool_get(resource, &pool) != HX_OK)
            continue;
        hx_console_row("resource total available allocations", "%-13s %16s %16s %11u\n", pool.name,
                       amount_text(resource, pool.total, total), amount_text(resource, pool.available, left),
                       pool.count);
    }
}

static void print_share(const char *module, enum hx_resource resource, const char *name,
                        const struct hx_resource_share *share)
{
    char allocated[24], used[24], quota[24];
    hx_resource_quota_text(resource, share->quota, quota);
    hx_console_row("module resource allocated used quota throttled", "%-16s %-13s %14s %16s %12s %9llu\n", module, name,
                   amount_text(resource, share->allocated, allocated), amount_text(resource, share->used, used), quota,
                   (unsigned long long)share->throttled);
}

struct books {
    char name[HX_NAME_MAX];
    bool exist;
    struct hx_resource_share share[HX_RESOURCES_MAX];
};

static void copy_books(const struct hx_module *module, struct books *out)
{
    memcpy(out->name, module->name, sizeof(out->name));
    out->exist = module->resources != NULL;
    for (uint32_t i = 0; out->exist && i < HX_RESOURCES_MAX; i++)
        hx_resource_usage(module->resources, (enum hx_resource)i, &out->share[i]);
}

/* Of module number @nth in the order of loading. */
static bool copy_nth(uint32_t nth, struct books *out)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_next(NULL);
    for (; module && nth > 0; nth--)
        module = hx_module_next(module);
    if (module)
        copy_books(module, out);
    hx_preempt_enable();
    return module != NULL;
}

static bool copy_called(const char *name, struct books *out)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    if (module)
        copy_books(module, out);
    hx_preempt_enable();
    return module != NULL;
}

static void print_books(const struct books *books, bool all)
{
    struct hx_resource_pool pool;
    for (uint32_t i = 0; books->exist && i < HX_RESOURCES_MAX; i++) {
        const struct hx_resource_share *share = &books->share[i];
        bool blank = !share->allocated && !share->used && share->quota == HX_QUOTA_NONE;
        if ((all || !blank) && hx_resource_pool_get((enum hx_resource)i, &pool) == HX_OK)
            print_share(books->name, (enum hx_resource)i, pool.name, share);
    }
}

/* Its record behind @after. */
static bool copy_record(const char *name, hx_handle_t after, struct hx_allocation *out)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    bool any = module && module->resources && hx_resource_next(module->resources, after, out) == HX_OK;
    hx_preempt_enable();
    return any;
}

static void print_records(const char *name)
{
    struct hx_allocation one = { .handle = HX_HANDLE_NONE };
    struct hx_resource_pool pool;
    char allocated[24], used[24];
    while (!hx_console_interrupted() && copy_record(name, one.handle, &one))
        if (hx_resource_pool_get(one.resource, &pool) == HX_OK)
            hx_console_row("allocation amount resource used", "allocation 0x%llx: %s of %s, %s used\n",
                           (unsigned long long)one.handle, amount_text(one.resource, one.allocated, allocated),
                           pool.name, amount_text(one.resource, one.used, used));
}

static hx_status_t cmd_res(int argc, char **argv)
{
    static const char heading[] =
        "MODULE           RESOURCE           ALLOCATED             USED        QUOTA THROTTLED";
    struct books books;
    if (argc > 2)
        return hx_command_usage(argv[0]);
    if (argc == 2 && !copy_called(argv[1], &books))
        return hx_names_refuse_module(argv[0], argv[1]);
    if (argc == 1)
        print_pools();
    hx_console_table(heading);
    if (argc == 2) {
        print_books(&books, true);
        print_records(argv[1]);
    }
    for (uint32_t nth = 0; argc == 1 && copy_nth(nth, &books) && !hx_console_interrupted(); nth++)
        print_books(&books, false);
    return HX_OK;
}

/* ---- quota ---------------------------------------------------------------------------------------------------------- */
static hx_status_t set(const char *name, enum hx_resource resource, uint64_t quota)
{
    hx_preempt_disable();
    struct hx_module *module = hx_module_find(name);
    hx_status_t err =
        module && module->resources ? hx_resource_set_quota(module->resources, resource, quota) : HX_E_NOENT;
    hx_preempt_enable();
    return err;
}

static hx_status_t cmd_quota(int argc, char **argv)
{
    struct books books;
    enum hx_resource resource[HX_COMMAND_ARGS_MAX] = { HX_RESOURCE_MEMORY };
    uint64_t quota[HX_COMMAND_ARGS_MAX] = { 0 };
    if (argc < 3)
        return hx_command_usage(argv[0]);
    if (!copy_called(argv[1], &books))
        return hx_names_refuse_module(argv[0], argv[1]);
    for (int i = 2; i < argc; i++) {
        hx_status_t err = hx_resource_parse_quota(argv[i], strlen(argv[i]), &resource[i], &quota[i]);
        if (err != HX_OK)
            return hx_command_refuse(argv[0], argv[i], err,
                                     "say memory=BYTES, cpu=PERCENT or NAME=none; res lists names");
    }
    for (int i = 2; i < argc; i++) {
        hx_status_t err = set(argv[1], resource[i], quota[i]);
        if (err != HX_OK)
            return hx_command_refuse(argv[0], argv[i], err, NULL);
    }
    for (int i = 2; i < argc; i++)
        hx_console_printf("%s: %s\n", argv[1], argv[i]);
    return HX_OK;
}

/* ---- pool ----------------------------------------------------------------------------------------------------------- */
static hx_status_t cmd_pool(int argc, char **argv)
{
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_resource_pool_add(argv[1], strlen(argv[1]));
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[1], err, "say NAME=AMOUNT, of a pool that res does not list");
    hx_console_printf("pool: %s\n", argv[1]);
    return HX_OK;
}

const struct hx_command hx_commands_resources[] = {
    { .id = { HX_CAPABILITY_DEBUG, "res" },
      .arguments = "[MODULE]",
      .summary = "what there is of memory, CPU time and others, and what modules have of it",
      .handler = cmd_res,
      .help = "ALLOCATED is held now, USED is what of it is in use; of cpu, what has been used since the module was\n"
              "loaded. THROTTLED counts how often it was over its quota. Of one MODULE its allocations are shown, too.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_SYSTEM, "quota" },
      .arguments = "MODULE NAME=AMOUNT...",
      .summary = "say how much of a resource a module may have",
      .handler = cmd_quota,
      .help =
          "memory=BYTES, with K, M or G behind it; cpu=PERCENT of one processor; NAME=none: no limit. What it has it\n"
          "keeps, though that be more. When it is loaded the same is said by quota.NAME=AMOUNT among its parameters.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_SYSTEM, "pool" },
      .arguments = "NAME=AMOUNT",
      .summary = "say how much there is of a further resource, for modules to share",
      .handler = cmd_pool,
      .help =
          "io, files, connections, or any other name; K, M or G may stand behind AMOUNT. It stays. Modules that have asked\n"
          "for it (HX_CAP_RESOURCE) take of it and give back; res shows who has how much, quota says how much one may." },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
