/* SPDX-License-Identifier: MIT */
/*
 * fuzz_elf.c - any bytes whatever go through the loader: nothing is read or written outside, nothing is left behind.
 *
 * The image is linked for the kernel's addresses but lies elsewhere, as in mkmodpack. What loads is then looked at as the
 * kernel would. The last byte chooses which allocation fails, so that failure paths are fuzzed too.
 */
#include <modloader/loader.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    unsigned int live;
    unsigned int until_failure; /* 0: never */
};

static bool fails(struct world *world)
{
    return world->until_failure && --world->until_failure == 0;
}

static hx_status_t world_alloc(void *context, size_t bytes, uintptr_t *out_va, uint8_t **out_memory)
{
    struct world *world = context;

    if (fails(world))
        return HX_E_NOMEM;
    *out_memory = calloc(1, bytes);
    if (!*out_memory)
        return HX_E_NOMEM;
    *out_va = UINT64_C(0xffffffff90000000);
    world->live++;
    return HX_OK;
}

static void world_protect(void *context, uintptr_t va, size_t bytes, enum hx_image_part part)
{
    (void)context;
    if (va < UINT64_C(0xffffffff90000000) || va % 4096 || !bytes || bytes % 4096 || part >= HX_PART_COUNT)
        abort();
}

static void world_release(void *context, uintptr_t va, uint8_t *memory, size_t bytes)
{
    struct world *world = context;

    (void)va;
    (void)bytes;
    free(memory);
    world->live--;
}

static hx_status_t world_resolve(void *context, const char *name, bool weak, uint64_t *out_value)
{
    (void)context;
    (void)weak;
    if (strlen(name) % 4 == 0)
        return HX_E_SYMBOL;
    *out_value = UINT64_C(0xffffffff80001000);
    return HX_OK;
}

static void *world_scratch(void *context, size_t bytes)
{
    struct world *world = context;
    void *memory = fails(world) ? NULL : calloc(1, bytes);

    world->live += memory != NULL;
    return memory;
}

static void world_scratch_free(void *context, void *memory)
{
    struct world *world = context;

    free(memory);
    world->live--;
}

/* Every answer about an image lies in it. */
static void look_at(const struct hx_image *image, struct hx_slice file)
{
    const char *name = NULL;
    uint64_t offset = 0;

    for (uint32_t part = 0; part < HX_PART_COUNT; part++) {
        const struct hx_image_range *range = &image->part[part];

        if (range->off > image->bytes || range->bytes > image->bytes - range->off)
            abort();
        for (size_t at = 0; at < range->bytes; at += 97)
            if (!hx_image_at(image, image->va + range->off + at, 1))
                abort();
    }
    for (uint32_t kind = 0; kind < HX_RECORDS_COUNT; kind++) {
        const struct hx_image_range *range = &image->records[kind];

        if (range->bytes && !hx_image_at(image, image->va + range->off, range->bytes))
            abort();
    }
    if (hx_image_symbol(image, file, image->va + 1, &name, &offset) == HX_OK && strlen(name) > file.bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = { 0, size ? data[size - 1] % 8u : 0 };
    struct hx_ldr_env env = { &world,        world_alloc,   world_protect,     world_release,
                              world_resolve, world_scratch, world_scratch_free };
    struct hx_slice file = hx_slice_of(data, size);
    struct hx_image *image = NULL;
    struct hx_ldr_report report;

    if (hx_ldr_load(file, &env, &image, &report) == HX_OK) {
        look_at(image, file);
        hx_ldr_unload(image, &env);
    } else if (report.err == HX_OK || !report.message[0] ||
               strnlen(report.message, sizeof(report.message)) == sizeof(report.message)) {
        abort();
    }
    if (world.live)
        abort();
    for (uint32_t kind = 0; kind < HX_RECORDS_COUNT; kind++) {
        struct hx_slice records;

        if (hx_ldr_peek(file, (enum hx_image_records)kind, &records) == HX_OK && records.bytes > size)
            abort();
    }
    return 0;
}
