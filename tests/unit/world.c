/* SPDX-License-Identifier: MIT */
/* world.c - see world.h. */
#include "world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <main/compose_core.h>
#include <orchestrator/resource_broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_begin(uint64_t probation_ms)
{
    static const struct hx_compose_ties ties; /* nobody is told */
    hal_host_init();
    hx_irq_flags_t flags = hx_irq_save();
    cr_assert_eq(hx_compose_core(&ties), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_MEMORY, UINT64_C(1) << 30), HX_OK);
    cr_assert_eq(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, 1000000000), HX_OK);
    hx_probation_set_length_ns(probation_ms * 1000000);
    hx_engine_set_restarts(false); /* who wants them says so */
    cr_assert_eq(hx_task_init(), HX_OK);
    cr_assert_eq(hx_engine_start(), HX_OK);
    hx_irq_restore(flags);
    hal_host_run();
}

struct call {
    hx_status_t (*body)(void *argument);
    void *argument;
    hx_status_t result;
    bool done;
};

static hx_status_t run_call(void *argument)
{
    struct call *call = argument;
    call->result = call->body(call->argument);
    call->done = true;
    return HX_OK;
}

hx_status_t world_run(hx_status_t (*body)(void *argument), void *argument)
{
    struct call call = { .body = body, .argument = argument };
    hx_handle_t task = HX_HANDLE_NONE;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "body", 200, run_call, &call, &task), HX_OK);
    for (uint32_t i = 0; !call.done && i < 10000; i++)
        hal_host_advance(1000000);
    cr_assert(call.done, "the body does not end");
    hal_host_advance(1000); /* whoever is left over is reaped */
    return call.result;
}

/* Kept to the end: versions borrow them. */
static struct kept_file {
    struct kept_file *next;
    const char *name;
    struct hx_slice bytes;
} * kept_files;

static struct hx_slice keep_file(const char *name, uint8_t *data, size_t bytes)
{
    struct kept_file *kept = malloc(sizeof(*kept));
    *kept = (struct kept_file){ .next = kept_files, .name = strdup(name), .bytes = hx_slice_of(data, bytes) };
    kept_files = kept;
    return kept->bytes;
}

struct hx_slice world_file(const char *name)
{
    for (const struct kept_file *kept = kept_files; kept; kept = kept->next)
        if (strcmp(kept->name, name) == 0)
            return kept->bytes;
    static const char *const folders[] = { HX_MODULES_DIR, HX_MODULE_FIXTURES_DIR };
    char path[512];
    for (size_t i = 0; i < HX_ARRAY_SIZE(folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", folders[i], name);
        FILE *file = fopen(path, "rb");
        if (!file)
            continue;
        cr_assert_eq(fseek(file, 0, SEEK_END), 0);
        size_t bytes = (size_t)ftell(file);
        uint8_t *data = malloc(bytes);
        rewind(file);
        cr_assert_eq(fread(data, 1, bytes, file), bytes);
        fclose(file);
        return keep_file(name, data, bytes);
    }
    cr_assert_fail("no module file %s", name);
    return hx_slice_of(NULL, 0);
}

static hx_status_t run_job(void *argument)
{
    return hx_engine_run(argument);
}

static hx_status_t run(struct hx_job *job, struct hx_job *out_job)
{
    hx_status_t err = world_run(run_job, job);
    if (out_job)
        *out_job = *job;
    return err;
}

hx_status_t world_load(const char *file, struct hx_job *out_job)
{
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = "", .who = "test", .by = &hx_kernel_principal
    };
    return run(&job, out_job);
}

hx_status_t world_simple(enum hx_job_kind kind, const char *module, struct hx_job *out_job)
{
    struct hx_job job = { .kind = kind, .who = "test", .by = &hx_kernel_principal };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return run(&job, out_job);
}

hx_status_t world_unload(const char *module, struct hx_job *out_job)
{
    return world_simple(HX_JOB_UNLOAD, module, out_job);
}

hx_status_t world_reload_bytes(const char *module, struct hx_slice file, struct hx_job *out_job)
{
    struct hx_job job = {
        .kind = HX_JOB_RELOAD, .file = file, .who = "test", .by = &hx_kernel_principal, .may_downgrade = true
    };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return run(&job, out_job);
}

hx_status_t world_reload(const char *module, const char *file, struct hx_job *out_job)
{
    return world_reload_bytes(module, world_file(file), out_job);
}

const char *world_version(const char *module)
{
    static char text[16];
    const struct hx_module *found = hx_module_find(module);
    if (!found || !found->running)
        return "-";
    hx_version_text(found->running->record->version, text);
    return text;
}

struct census world_census(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    return (struct census){ .heap_bytes = stats.heap_bytes,
                            .heap_objects = stats.heap_objects,
                            .image_pages = stats.image_pages,
                            .grant_pages = stats.grant_pages,
                            .modules = hx_module_count() };
}

static void kv_text(char key[16], char value[64], uint32_t i)
{
    snprintf(key, 16, "key-%u", i);
    snprintf(value, 64, "value of key %u: %08x", i, i * 2654435761u);
}

static hx_status_t fill(void *argument)
{
    for (uint32_t i = 0; i < *(uint32_t *)argument; i++) {
        char key[16], value[64];
        kv_text(key, value, i);
        hx_ret_t result = hx_kv_put(key, strlen(key), value, strlen(value));
        if (result < 0)
            return (hx_status_t)result;
    }
    return HX_OK;
}

void world_kv_fill(uint32_t count)
{
    cr_assert_eq(world_run(fill, &count), HX_OK);
}

static hx_status_t count_intact(void *argument)
{
    uint32_t *count = argument, intact = 0;
    for (uint32_t i = 0; i < *count; i++) {
        char key[16], value[64], got[64];
        kv_text(key, value, i);
        hx_ret_t bytes = hx_kv_get(key, strlen(key), got, sizeof(got));
        intact += bytes == (hx_ret_t)strlen(value) && memcmp(got, value, strlen(value)) == 0;
    }
    *count = intact;
    return HX_OK;
}

uint32_t world_kv_count_intact(uint32_t count)
{
    cr_assert_eq(world_run(count_intact, &count), HX_OK);
    return count;
}
