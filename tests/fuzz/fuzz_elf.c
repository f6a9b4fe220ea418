/* SPDX-License-Identifier: MIT */
/*
 * fuzz_elf.c - any bytes whatever go through the loader: nothing is read or written outside, nothing is left behind.
 *
 * The image is linked for the kernel's addresses but lies elsewhere, as in mkmodpack. What loads is then looked at as the
 * kernel would. The last byte chooses which allocation fails, so that failure paths are fuzzed too.
 */
#include <modloader/loader.h>
#include <module/types.h>
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

static hx_status_t world_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    struct world *world = context;

    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (!part[i].bytes)
            continue;
        if (fails(world))
            return HX_E_NOMEM;
        if (!part[i].align || part[i].align > 4096 || (part[i].align & (part[i].align - 1)))
            abort();
        part[i].memory = calloc(1, part[i].bytes);
        if (!part[i].memory)
            return HX_E_NOMEM;
        part[i].va = UINT64_C(0xffffffff90000000) + ((uintptr_t)i << 25);
        world->live++;
    }
    return HX_OK;
}

static void world_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    (void)part;
}

static void free_part(struct world *world, struct hx_image_piece *piece)
{
    if (!piece->va)
        return;
    free(piece->memory);
    world->live--;
    *piece = (struct hx_image_piece){ 0 };
}

static void world_settle(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    free_part(context, &part[HX_PART_INIT_TEXT]);
    free_part(context, &part[HX_PART_INIT_DATA]);
}

static void world_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        free_part(context, &part[i]);
}

static hx_status_t world_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
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

/* What is said to lie in a part lies there. */
static void look_at_range(const struct hx_image_piece *piece, struct hx_image_range range)
{
    if (range.bytes && (range.off > piece->bytes || range.bytes > piece->bytes - range.off))
        abort();
}

/* Every answer about an image lies in it. */
static void look_at(const struct hx_image *image, struct hx_slice file)
{
    const struct hx_image_piece *text = &image->part[HX_PART_TEXT], *rodata = &image->part[HX_PART_RODATA];
    struct hx_label label;

    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        for (size_t at = 0; at < image->part[part].bytes; at += 97)
            if (!hx_image_at(image, image->part[part].va + at, 1))
                abort();
    for (uint32_t kind = 0; kind < HX_RECORDS_COUNT; kind++)
        look_at_range(rodata, image->records[kind]);
    look_at_range(rodata, image->constructors);
    look_at_range(rodata, image->destructors);
    look_at_range(rodata, image->got);
    look_at_range(text, image->veneers);
    if (hx_image_symbol(image, file, text->va + 1, &label) == HX_OK && strlen(label.name) > file.bytes)
        abort();
}

/* All that a load does with what the file says of types. */
static void look_at_types(struct hx_slice file)
{
    char name[HX_TYPES_NAME_MAX], fault[HX_TYPES_FAULT_MAX];
    struct hx_types types;

    if (hx_types_read(file, &types, fault) != HX_OK)
        return;
    for (uint32_t i = 0; i < types.count; i++) {
        hx_types_name(&types, &types.record[i], name);
        (void)!hx_types_check(&types, i, fault);
    }
    if (hx_types_against(&types, &types)) /* in whatever order */
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = { 0, size ? data[size - 1] % 8u : 0 };
    struct hx_ldr_env env = {
        .context = &world,
        .low = UINT64_C(0xffffffff90000000),
        .high = UINT64_C(0xffffffffa0000000),
        .alloc = world_alloc,
        .seal = world_seal,
        .settle = world_settle,
        .release = world_release,
        .resolve = world_resolve,
        .scratch = world_scratch,
        .scratch_free = world_scratch_free,
    };
    struct hx_slice file = hx_slice_of(data, size);
    struct hx_image *image = NULL;
    struct hx_ldr_report report;

    if (hx_ldr_load(file, &env, &image, &report) == HX_OK) {
        look_at(image, file);
        hx_ldr_settle(image, &env);
        look_at(image, file);
        hx_ldr_unload(image, &env);
    } else if (report.err == HX_OK || !report.message[0] ||
               strnlen(report.message, sizeof(report.message)) == sizeof(report.message)) {
        abort();
    }
    if (world.live)
        abort();
    look_at_types(file);
    for (uint32_t kind = 0; kind < HX_RECORDS_COUNT; kind++) {
        struct hx_slice records;

        if (hx_ldr_peek(file, (enum hx_image_records)kind, &records) == HX_OK && records.bytes > size)
            abort();
    }
    return 0;
}
