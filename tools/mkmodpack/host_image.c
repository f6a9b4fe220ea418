/* SPDX-License-Identifier: MIT */
/* host_image.c - see host_image.h. */
#include "host_image.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096 };

/* Of the first byte behind a part, or 0 past the last page there is. */
static uintptr_t next_page(uintptr_t end)
{
    return (end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

/* ---- where the parts lie --------------------------------------------------------------------------------------------- */
static bool overlap(const struct hx_image_piece *a, const struct hx_image_piece *b)
{
    return a->bytes && b->bytes && (a->va < b->va ? b->va - a->va < a->bytes : a->va - b->va < b->bytes);
}

static hx_status_t refuse(struct hx_mp_host *host, const struct hx_image_piece part[HX_PART_COUNT], unsigned int index,
                          const char *why)
{
    snprintf(host->refusal, sizeof(host->refusal), "part %s, 0x%zx bytes at 0x%lx, %s",
             hx_image_part_name((enum hx_image_part)index), part[index].bytes, part[index].va, why);
    return HX_E_RANGE;
}

static hx_status_t check_place(struct hx_mp_host *host, const struct hx_image_piece part[HX_PART_COUNT],
                               unsigned int index)
{
    const struct hx_image_piece *piece = &part[index];

    if (piece->va == 0 || piece->bytes - 1 > UINTPTR_MAX - piece->va)
        return refuse(host, part, index, "passes the end of the address space");
    if (piece->align && piece->va % piece->align != 0)
        return refuse(host, part, index, "does not lie on a multiple of its alignment");
    for (unsigned int i = 0; i < index; i++)
        if (overlap(piece, &part[i]))
            return refuse(host, part, index, "overlaps another part");
    return HX_OK;
}

static hx_status_t place(struct hx_mp_host *host, struct hx_image_piece part[HX_PART_COUNT])
{
    uintptr_t va = host->base;

    for (unsigned int i = 0; i < HX_PART_COUNT; i++) {
        hx_status_t err;

        if (part[i].bytes == 0)
            continue;
        part[i].va = host->part_va[i] ? host->part_va[i] : va;
        err = check_place(host, part, i);
        if (err)
            return err;
        va = next_page(part[i].va + part[i].bytes);
    }
    return HX_OK;
}

/* ---- environment of the loader --------------------------------------------------------------------------------------- */
static hx_status_t env_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    hx_status_t err = place(context, part);

    for (unsigned int i = 0; i < HX_PART_COUNT && !err; i++) {
        if (part[i].bytes == 0)
            continue;
        part[i].memory = calloc(1, part[i].bytes);
        if (!part[i].memory)
            err = HX_E_NOMEM;
    }
    return err;
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
