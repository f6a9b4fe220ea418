/* SPDX-License-Identifier: MIT */
/* host_image.c - see host_image.h. */
#include "host_image.h"

#include <stdlib.h>

enum { PAGE = 4096 };

static uintptr_t next_page(uintptr_t va)
{
    return (va + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

static hx_status_t env_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    const struct hx_mp_host *host = context;
    uintptr_t va = host->base;

    for (unsigned int i = 0; i < HX_PART_COUNT; i++) {
        if (part[i].bytes == 0)
            continue;
        part[i].memory = calloc(1, part[i].bytes);
        if (!part[i].memory)
            return HX_E_NOMEM;
        part[i].va = host->part_va[i] ? host->part_va[i] : va;
        va = next_page(part[i].va + part[i].bytes);
    }
    return HX_OK;
}

static void env_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    (void)part;
}

static void env_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (unsigned int i = 0; i < HX_PART_COUNT; i++)
        free(part[i].memory);
}

static void *env_scratch(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void env_scratch_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

struct hx_ldr_env hx_mp_host_env(struct hx_mp_host *host)
{
    struct hx_ldr_env env = {
        .context = host,
        .low = host->base,
        .high = host->base,
        .alloc = env_alloc,
        .seal = env_seal,
        .settle = env_seal,
        .release = env_release,
        .scratch = env_scratch,
        .scratch_free = env_scratch_free,
    };

    /* An image has at most 16 MiB, and each of its parts may begin on a page of its own. */
    for (unsigned int i = 0; i < HX_PART_COUNT; i++) {
        if (host->part_va[i] && host->part_va[i] < env.low)
            env.low = host->part_va[i];
        if (host->part_va[i] > env.high)
            env.high = host->part_va[i];
    }
    env.high = env.high < UINTPTR_MAX - (uintptr_t)(32 << 20) ? env.high + (uintptr_t)(32 << 20) : UINTPTR_MAX;
    return env;
}
