/* SPDX-License-Identifier: MIT */
/*
 * world.h - a whole Helix without its machine: the portable core on the host's seam, running real modules.
 *
 * Composed by kernel/main/compose_core.c. Bodies run as core tasks, as the console's commands do.
 */
#pragma once
#include <hotreload/engine.h>
#include <hotreload/probation.h>
#include <orchestrator/lifecycle.h>

#include "../host/hal_host.h"

/* An empty world: no module is loaded, the worker waits. Swaps commit after @probation_ms of virtual time. */
void world_begin(uint64_t probation_ms);
/* Runs @body(@argument) in a core task until it ends, and everything that it sets off; returns what it returned. */
hx_status_t world_run(hx_status_t (*body)(void *argument), void *argument);
/* The bytes of a built module, "svc_kv.hxm" or a fixture's; kept until the process ends. Fails the test when missing. */
struct hx_slice world_file(const char *name);

/* Jobs, run to their end by the worker. */
hx_status_t world_load(const char *file, struct hx_job *out_job);
hx_status_t world_unload(const char *module, struct hx_job *out_job);
hx_status_t world_reload(const char *module, const char *file, struct hx_job *out_job);
/* @file: borrowed for as long as the version is there that it becomes. */
hx_status_t world_reload_bytes(const char *module, struct hx_slice file, struct hx_job *out_job);
hx_status_t world_simple(enum hx_job_kind kind, const char *module, struct hx_job *out_job);
/* The version that runs under that name, as "1.0.0"; "-": none. */
const char *world_version(const char *module);

/* What exists: compared before and after. */
struct census {
    uint64_t heap_bytes, heap_objects, image_pages, grant_pages, modules;
};
struct census world_census(void);
#define ASSERT_CENSUS(before)                                                                                          \
    do {                                                                                                               \
        struct census now_ = world_census(), then_ = (before);                                                         \
        cr_assert_eq(now_.heap_objects, then_.heap_objects, "heap objects: %lu, before %lu", now_.heap_objects,        \
                     then_.heap_objects);                                                                              \
        cr_assert_eq(now_.heap_bytes, then_.heap_bytes, "heap bytes: %lu, before %lu", now_.heap_bytes,                \
                     then_.heap_bytes);                                                                                \
        cr_assert_eq(now_.image_pages, then_.image_pages, "image pages: %lu, before %lu", now_.image_pages,            \
                     then_.image_pages);                                                                               \
        cr_assert_eq(now_.grant_pages, then_.grant_pages, "grant pages: %lu, before %lu", now_.grant_pages,            \
                     then_.grant_pages);                                                                               \
        cr_assert_eq(now_.modules, then_.modules, "modules: %lu, before %lu", now_.modules, then_.modules);            \
    } while (0)

/* Keys 0..count-1 with values that name them, through the gate. */
void world_kv_fill(uint32_t count);
/* How many of them have their value, byte for byte. */
uint32_t world_kv_count_intact(uint32_t count);
