/* SPDX-License-Identifier: MIT */
/*
 * bench_module.c - loading, unloading, and what each relocation and import adds to a load.
 */
#include "bench_part.h"

#include <arch/x86_64/arch.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

enum { LOAD_ROUNDS = 16 };

static hx_status_t load_and_unload(struct hx_slice file, uint64_t *load, uint64_t *unload, struct hx_report *why)
{
    struct hx_module *module = NULL;
    uint64_t start = hx_arch_tsc();
    hx_status_t err = hx_lifecycle_load(file, "", &module, why);
    *load = hx_arch_tsc() - start;
    start = hx_arch_tsc();
    if (err == HX_OK)
        err = hx_lifecycle_unload(module, why);
    *unload = hx_arch_tsc() - start;
    return err;
}

/* The first rounds warm up (stubs, page tables of the module area); the last counts. */
static hx_status_t measure_load(const char *file_name, uint64_t *load, uint64_t *unload)
{
    struct hx_slice file;
    struct hx_report why;
    hx_report_init(&why);
    if (hx_pack_find(hx_bench_pack, file_name, &file) != HX_OK)
        return hx_bench_complain(file_name, "it is not in the initrd");
    for (uint32_t i = 0; i < LOAD_ROUNDS; i++)
        if (load_and_unload(file, load, unload, &why) != HX_OK)
            return hx_bench_complain(file_name, why.message);
    return HX_OK;
}

hx_status_t hx_bench_load(const char *name)
{
    uint64_t load = 0, unload = 0;
    hx_status_t err = measure_load("bench_reloc10.hxm", &load, &unload);
    if (err == HX_OK)
        hx_bench_report(name, strcmp(name, "module_load_10") == 0 ? load : unload);
    return err;
}

/* What each of @count more relocations or imports than bench_reloc10 has costs in a whole load, rounded up. */
static hx_status_t bench_each(const char *name, const char *file_name, uint64_t count)
{
    uint64_t load = 0, base = 0, unload = 0;
    hx_status_t err = measure_load("bench_reloc10.hxm", &base, &unload);
    if (err == HX_OK)
        err = measure_load(file_name, &load, &unload);
    if (err == HX_OK)
        hx_bench_report(name, (load - base + count - 1) / count);
    return err;
}

hx_status_t hx_bench_reloc_1000(const char *name)
{
    return bench_each(name, "bench_reloc1000.hxm", 1000);
}

hx_status_t hx_bench_reloc_20000(const char *name)
{
    return bench_each(name, "bench_reloc20000.hxm", 20000);
}

/* Of the kernel whose table has a thousand names more; each import is there with its relocation. */
hx_status_t hx_bench_import(const char *name)
{
    return bench_each(name, "bench_import1000.hxm", 1000);
}
