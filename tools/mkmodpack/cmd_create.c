/* SPDX-License-Identifier: MIT */
/*
 * cmd_create.c - mkmodpack create: check modules, alone and together, and write them as a pack.
 *
 * Why the given manifest is read only as part of the finished archive: there is one reader of manifests, the kernel's.
 */
#include "command.h"
#include "pack_write.h"

#include <getopt.h>
#include <module/pack.h>
#include <stdio.h>
#include <stdlib.h>

struct request {
    const char *output;
    const char *directory;
    const char *manifest; /* NULL: made from the modules */
    const char **path;    /* [count] as named. Owned. */
    bool *hold;           /* [count]. Owned. */
    size_t count;
    bool help;
};

/* ---- command line ---------------------------------------------------------------------------------------------------- */
static bool wrong_usage(const char *text)
{
    fprintf(stderr, "mkmodpack: create: %s\n", text);
    hx_mp_usage("create", 0);
    return false;
}

static bool check_request(const struct request *request, bool hold_used)
{
    if (!request->output)
        return wrong_usage("no output: where to write is not said; add -o OUT");
    if (request->count == 0)
        return wrong_usage("no modules: a pack without any boots nothing; name some");
    if (request->manifest && hold_used)
        return wrong_usage("--hold with --manifest: the manifest says what is held; leave out one of them");
    return true;
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },   { "directory", required_argument, NULL, 'C' },
        { "manifest", required_argument, NULL, 'm' }, { "hold", no_argument, NULL, 'H' },
        { "help", no_argument, NULL, 'h' },           { NULL, 0, NULL, 0 },
    };
    bool hold = false;
    int c;

    out->path = calloc((size_t)argc, sizeof(*out->path));
    out->hold = calloc((size_t)argc, sizeof(*out->hold));
    if (!out->path || !out->hold)
        return wrong_usage("not enough memory: the command line is too long; name fewer modules");
    /* The leading '-' hands out other arguments in place, as option 1, so that --hold counts from where it stands. */
    while ((c = getopt_long(argc, argv, "-o:C:h", options, NULL)) != -1) {
        if (c == 'o')
            out->output = optarg;
        else if (c == 'C')
            out->directory = optarg;
        else if (c == 'm')
            out->manifest = optarg;
        else if (c == 'H')
            hold = true;
        else if (c == 'h')
            return out->help = true;
        else if (c == 1)
            out->hold[out->count] = hold, out->path[out->count++] = optarg;
        else
            return hx_mp_usage("create", 0), false;
    }
    for (; optind < argc; optind++) /* after -- */
        out->hold[out->count] = hold, out->path[out->count++] = argv[optind];
    return check_request(out, hold);
}

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
        if (before[i].name && strcmp(before[i].name, file->name) == 0)
            hx_mp_find(findings, file->path, "file name %s twice: %s has it too; rename one of them", file->name,
                       before[i].path);
}

static void read_modules(const struct request *request, struct hx_mp_file *files, struct hx_mp_set *set,
                         struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < request->count; i++) {
        struct hx_mp_module *module = &set->module[set->count];

        if (!hx_mp_file_read(&files[i], request->directory, request->path[i], findings))
            continue;
        check_file_name(&files[i], files, i, findings);
        (void)hx_mp_module_open(module, &files[i], findings);
        module->load = !request->hold[i];
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
static bool pack_by_manifest(const struct request *request, struct hx_mp_set *set, struct hx_mp_archive *out,
                             struct hx_mp_findings *findings)
{
    struct hx_mp_file manifest = { 0 };
    bool ok = hx_mp_file_read(&manifest, NULL, request->manifest, findings) &&
              hx_mp_archive_make(out, request->output, manifest.bytes, set, findings) &&
              read_back(request->manifest, out->bytes, set, findings);

    hx_mp_file_free(&manifest);
    hx_mp_set_check(set, findings);
    return ok && findings->count == 0;
}

static bool pack_by_order(const struct request *request, struct hx_mp_set *set, struct hx_mp_archive *out,
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
        hx_mp_find(findings, request->output, "not enough memory: %zu modules; free some", set->count);
    else
        ok = hx_mp_archive_make(out, request->output, hx_slice_of(manifest, strlen(manifest)), set, findings) &&
             read_back(request->output, out->bytes, set, findings);
    free(manifest);
    return ok;
}

static void create(const struct request *request, struct hx_mp_findings *findings)
{
    struct hx_mp_file *files = calloc(request->count, sizeof(*files));
    struct hx_mp_set set = { .module = calloc(request->count, sizeof(*set.module)) };
    struct hx_mp_archive archive = { 0 };

    if (!files || !set.module) {
        hx_mp_find(findings, request->output, "not enough memory: %zu modules; free some", request->count);
        goto out;
    }
    read_modules(request, files, &set, findings);
    if (request->manifest ? pack_by_manifest(request, &set, &archive, findings)
                          : pack_by_order(request, &set, &archive, findings))
        (void)hx_mp_file_write(request->output, archive.bytes, findings);
out:
    hx_mp_archive_free(&archive);
    hx_mp_set_free(&set);
    for (size_t i = 0; files && i < request->count; i++)
        hx_mp_file_free(&files[i]);
    free(files);
}

int hx_mp_create(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct request request = { 0 };
    int status = HX_MP_USAGE;

    if (!parse(argc, argv, &request))
        goto out;
    if (request.help)
        hx_mp_usage("create", 1);
    else
        create(&request, &findings);
    status = findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
out:
    free(request.path);
    free(request.hold);
    return status;
}
