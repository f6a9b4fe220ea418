/* SPDX-License-Identifier: MIT */
/*
 * pack_build.c - see pack_build.h.
 *
 * Why the given manifest is read only as part of the finished archive: there is one reader of manifests, the kernel's.
 */
#include "pack_build.h"

#include "depfile.h"
#include "module_types.h"
#include "output_file.h"
#include "pack_write.h"

#include <module/pack.h>
#include <stdlib.h>

/* ---- modules --------------------------------------------------------------------------------------------------------- */
static void check_file_name(const struct hx_mp_file *file, const struct hx_mp_file *before, size_t before_count,
                            struct hx_mp_findings *findings)
{
    if (!hx_pack_name_valid(hx_slice_of(file->name, strlen(file->name))))
        hx_mp_find(findings, file->path,
                   "bad file name: a pack takes at most %d of A-Z a-z 0-9 . _ + -, ending in " HX_PACK_SUFFIX
                   "; rename it",
                   HX_PACK_NAME_MAX - 1);
    for (size_t i = 0; i < before_count; i++)
        if (before[i].path && strcmp(before[i].path, file->path) == 0)
            hx_mp_find(findings, file->path, "named twice: a pack holds a file once; name it once");
        else if (before[i].name && strcmp(before[i].name, file->name) == 0)
            hx_mp_find(findings, file->path, "file name %s twice: %s has it too; rename one of them", file->name,
                       before[i].path);
}

/* What is packed must load to the same bytes as what was built. */
static bool same_image(const struct hx_image *a, const struct hx_image *b)
{
    for (unsigned int i = 0; i < HX_PART_COUNT; i++)
        if (a->part[i].va != b->part[i].va || a->part[i].bytes != b->part[i].bytes ||
            (a->part[i].bytes && memcmp(a->part[i].memory, b->part[i].memory, a->part[i].bytes) != 0))
            return false;
    return true;
}

/* Puts a file with its types recorded, perhaps stripped, in the place of @file, linked again as @module. Both were good. */
static void remake_module(struct hx_mp_file *file, struct hx_mp_module *module, bool strip,
                          struct hx_mp_findings *findings)
{
    struct hx_mp_file remade = *file;
    struct hx_mp_module again;

    if (!hx_mp_module_types_record(file->bytes, file->path, strip, &remade.bytes, findings) || !remade.bytes.data)
        return;
    if (hx_mp_module_open(&again, &remade, findings) && !same_image(module->image, again.image))
        hx_mp_find(findings, file->path, "cannot be stripped: it would load to other bytes; pack it as it is");
    hx_mp_types_free(&again.types); /* those of the debug information say more */
    again.types = module->types;
    module->types = (struct hx_mp_types){ 0 };
    hx_mp_module_close(module);
    *module = again;
    free((void *)(uintptr_t)file->bytes.data);
    file->bytes = remade.bytes;
}

/* What a kernel could not compare. */
static void require_types(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    if (module->types.count == 0)
        hx_mp_find(findings, module->path,
                   "its types are not recorded: it has no debug information; compile it with -g");
    for (size_t i = 0; i < module->imports.count && module->types.count > 0; i++) {
        char name[128];

        snprintf(name, sizeof(name), "import %s", module->imports.name[i]);
        if (!hx_mp_types_find(&module->types, name))
            hx_mp_find(findings, module->path,
                       "the type of import %s is not recorded: its debug information does not have it; compile it with "
                       "-g, and clang with -O1 or more",
                       module->imports.name[i]);
    }
}

static void read_modules(const struct hx_mp_build *build, struct hx_mp_file *files, struct hx_mp_set *set,
                         struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < build->count; i++) {
        struct hx_mp_module *module = &set->module[set->count];

        if (!hx_mp_file_read(&files[i], build->directory, build->path[i], findings))
            continue;
        check_file_name(&files[i], files, i, findings);
        if (hx_mp_module_open(module, &files[i], findings)) {
            remake_module(&files[i], module, build->strip, findings);
            if (build->require_types)
                require_types(module, findings);
        }
        module->load = !build->hold[i];
        set->count++;
    }
    hx_mp_set_sort(set);
}

/* ---- pack ------------------------------------------------------------------------------------------------------------ */
/* What is written must be what the kernel will find. */
static bool read_back(const char *path, struct hx_slice bytes, struct hx_mp_set *set, struct hx_mp_findings *findings)
{
    struct hx_pack_report report;
    struct hx_pack pack;

    if (hx_pack_open(bytes, &pack, &report) != HX_OK) {
        hx_mp_find(findings, path, "the kernel's reader refuses the pack: %s; correct the manifest or the modules",
                   report.message);
        return false;
    }
    for (uint32_t i = 0; i < pack.count; i++)
        for (size_t j = 0; j < set->count; j++)
            if (strcmp(set->module[j].name, pack.entries[i].name) == 0)
                set->module[j].load = pack.entries[i].load;
    hx_pack_close(&pack);
    return true;
}

/* The manifest of the person, who has the say over load, hold and order. */
static bool pack_by_manifest(const struct hx_mp_build *build, struct hx_mp_set *set, struct hx_mp_archive *out,
                             struct hx_mp_findings *findings)
{
    struct hx_mp_file manifest = { 0 };
    bool ok = hx_mp_file_read(&manifest, NULL, build->manifest, findings) &&
              hx_mp_archive_make(out, build->output, manifest.bytes, set, findings) &&
              read_back(build->manifest, out->bytes, set, findings);

    hx_mp_file_free(&manifest);
    hx_mp_set_check(set, findings);
    return ok && findings->count == 0;
}

static bool pack_by_order(const struct hx_mp_build *build, struct hx_mp_set *set, struct hx_mp_archive *out,
                          struct hx_mp_findings *findings)
{
    char *manifest = NULL;
    bool ok = false;

    hx_mp_set_check(set, findings);
    if (findings->count > 0)
        return false;
    if (hx_mp_set_order(set))
        manifest = hx_mp_manifest_make(set);
    if (!manifest)
        hx_mp_find(findings, build->output, "not enough memory: %zu modules; free some", set->count);
    else
        ok = hx_mp_archive_make(out, build->output, hx_slice_of(manifest, strlen(manifest)), set, findings) &&
             read_back(build->output, out->bytes, set, findings);
    free(manifest);
    return ok;
}

/* Nothing is written over what the pack is made from, nor one of two outputs over the other. */
static void check_outputs(const struct hx_mp_build *build, const struct hx_mp_file *files,
                          struct hx_mp_findings *findings)
{
    const char *output[] = { build->output, build->depfile };

    for (size_t i = 0; i < HX_ARRAY_SIZE(output) && output[i]; i++) {
        if (build->manifest)
            (void)hx_mp_file_spares(output[i], build->manifest, findings);
        for (size_t j = 0; j < build->count; j++)
            if (files[j].path)
                (void)hx_mp_file_spares(output[i], files[j].path, findings);
    }
    if (build->depfile)
        (void)hx_mp_file_spares(build->output, build->depfile, findings);
}

/* ---- what is written ------------------------------------------------------------------------------------------------- */
static void tell(const struct hx_mp_build *build, const struct hx_mp_set *set, struct hx_slice archive)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct hx_mp_module *module = &set->module[i];

        fprintf(build->verbose, "%s %s: %s %s, %zu bytes\n", module->load ? "load" : "hold", module->name,
                module->record->name, hx_mp_version_text(module->record->version).text, module->bytes.bytes);
    }
    fprintf(build->verbose, "%s: %zu modules, %zu bytes%s\n", build->output, set->count, archive.bytes,
            build->dry ? ", not written" : "");
}

/* What the pack was made from, by the paths under which it was read. NULL after a finding. */
static char *make_depfile(const struct hx_mp_build *build, const struct hx_mp_file *files,
                          struct hx_mp_findings *findings)
{
    const char **path = calloc(build->count + 1, sizeof(*path));
    size_t count = 0;
    char *text = NULL;

    if (!path) {
        hx_mp_find_error(findings, HX_E_NOMEM, build->depfile, "not enough memory: %zu paths; free some", build->count);
        return NULL;
    }
    if (build->manifest)
        path[count++] = build->manifest;
    for (size_t i = 0; i < build->count; i++)
        path[count++] = files[i].path;
    text = hx_mp_depfile_make(build->output, path, count, findings);
    free(path);
    return text;
}

/* The pack last: it is the one that must not be there unless all went well. */
static bool write_files(const struct hx_mp_build *build, const struct hx_mp_file *files, struct hx_slice archive,
                        struct hx_mp_findings *findings)
{
    char *depfile = build->depfile ? make_depfile(build, files, findings) : NULL;
    bool ok = !build->depfile || depfile;

    if (ok && depfile && !build->dry)
        ok = hx_mp_file_write(build->depfile, hx_slice_of(depfile, strlen(depfile)), findings);
    if (ok && !build->dry)
        ok = hx_mp_file_write(build->output, archive, findings);
    free(depfile);
    return ok;
}

bool hx_mp_build_run(const struct hx_mp_build *build, struct hx_mp_findings *findings)
{
    struct hx_mp_file *files = calloc(build->count + 1, sizeof(*files));
    struct hx_mp_set set = { .module = calloc(build->count + 1, sizeof(*set.module)) };
    struct hx_mp_archive archive = { 0 };
    bool ok = false;

    if (!files || !set.module) {
        hx_mp_find_error(findings, HX_E_NOMEM, build->output, "not enough memory: %zu modules; free some",
                         build->count);
        goto out;
    }
    read_modules(build, files, &set, findings);
    check_outputs(build, files, findings);
    ok = build->manifest ? pack_by_manifest(build, &set, &archive, findings)
                         : pack_by_order(build, &set, &archive, findings);
    ok = ok && write_files(build, files, archive.bytes, findings);
    if (ok && build->verbose)
        tell(build, &set, archive.bytes);
out:
    hx_mp_archive_free(&archive);
    hx_mp_set_free(&set);
    for (size_t i = 0; files && i < build->count; i++)
        hx_mp_file_free(&files[i]);
    free(files);
    return ok;
}
