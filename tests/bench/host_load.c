/* SPDX-License-Identifier: MIT */
/*
 * host_load.c - how many relocations a second the loader applies on this machine, a whole load through.
 *
 * host_load OBJECT loads it ROUNDS times and prints the best round as a JSON line: whatever else the machine does can only
 * make a round slower.
 */
#include <modloader/loader.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15 };

/* The top 2 GiB, as in the kernel: every name is within reach. */
#define BASE UINT64_C(0xffffffffa0000000)
#define IMPORT UINT64_C(0xffffffff80100000)

static hx_status_t env_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (!part[i].bytes)
            continue;
        part[i].memory = calloc(1, part[i].bytes);
        if (!part[i].memory)
            return HX_E_NOMEM;
        part[i].va = BASE + ((uintptr_t)i << 25);
    }
    return HX_OK;
}

static void env_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context, (void)part;
}

static void env_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        free(part[i].memory);
}

static hx_status_t env_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
    (void)context, (void)name, (void)weak;
    *out_value = IMPORT;
    return HX_OK;
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

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct hx_slice read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size = 0;

    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0) {
        rewind(file);
        bytes = malloc((size_t)size);
        if (bytes && fread(bytes, 1, (size_t)size, file) != (size_t)size)
            size = 0;
    }
    if (file)
        fclose(file);
    return hx_slice_of(bytes, bytes ? (size_t)size : 0);
}

int main(int argc, char **argv)
{
    const struct hx_ldr_env env = {
        .low = BASE,
        .high = BASE + (UINT64_C(1) << 28),
        .alloc = env_alloc,
        .seal = env_seal,
        .settle = env_seal,
        .release = env_release,
        .resolve = env_resolve,
        .scratch = env_scratch,
        .scratch_free = env_scratch_free,
    };
    struct hx_slice file = argc == 2 ? read_file(argv[1]) : hx_slice_of(NULL, 0);
    uint64_t best_ns = UINT64_MAX;
    uint32_t relocations = 0;

    if (!file.bytes) {
        fprintf(stderr, "host_load: name one readable object\n");
        return 2;
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct hx_image *image = NULL;
        struct hx_ldr_report report;
        uint64_t start = now_ns();
        hx_status_t err = hx_ldr_load(file, &env, &image, &report);
        uint64_t taken = now_ns() - start;

        if (err) {
            fprintf(stderr, "host_load: %s: %s\n", argv[1], report.message);
            return 1;
        }
        best_ns = taken < best_ns ? taken : best_ns;
        relocations = image->relocation_count;
        hx_ldr_unload(image, &env);
    }
    printf("{\"name\": \"host_relocs_per_s\", \"relocations\": %u, \"per_second\": %llu}\n", relocations,
           (unsigned long long)(relocations * UINT64_C(1000000000) / best_ns));
    free((void *)(uintptr_t)file.data);
    return 0;
}
