/* SPDX-License-Identifier: MIT */
/* cmd_graph.c - mkmodpack graph: packs and modules as a picture for dot. */
#include "command.h"
#include "graph.h"
#include "pack_file.h"

#include <limits.h>
#include <stdlib.h>

static bool add_modules(struct hx_mp_set *set, const struct hx_mp_module *module, size_t count)
{
    struct hx_mp_module *larger = realloc(set->module, (set->count + count + 1) * sizeof(*larger));

    if (!larger)
        return false;
    set->module = larger;
    if (count > 0)
        memcpy(set->module + set->count, module, count * sizeof(*module));
    set->count += count;
    return true;
}

/* A module alone is a pack of one that is loaded. */
static bool open_module(struct hx_mp_pack *out, struct hx_mp_findings *findings)
{
    out->set.module = calloc(1, sizeof(*out->set.module));
    out->path = calloc(1, sizeof(*out->path));
    if (!out->set.module || !out->path)
        return false;
    (void)hx_mp_module_open(&out->set.module[0], &out->file, findings);
    out->set.module[0].load = true;
    out->set.count = 1;
    return true;
}

static bool open_source(struct hx_mp_pack *out, const char *path, struct hx_mp_findings *findings)
{
    struct hx_mp_file file = { 0 };

    if (!hx_mp_file_read(&file, NULL, path, findings)) {
        hx_mp_file_free(&file);
        return true; /* a finding; the others are drawn */
    }
    if (!hx_mp_is_pack(file.bytes)) {
        out->file = file;
        return open_module(out, findings);
    }
    return !hx_mp_pack_open(out, &file, findings) || hx_mp_pack_link(out, findings);
}

static void draw(char **path, size_t count, struct hx_mp_findings *findings)
{
    struct hx_mp_pack *pack = calloc(count, sizeof(*pack));
    struct hx_mp_set set = { 0 };
    bool ok = pack != NULL;

    for (size_t i = 0; ok && i < count; i++)
        ok = open_source(&pack[i], path[i], findings) && add_modules(&set, pack[i].set.module, pack[i].set.count);
    ok = ok && hx_mp_graph_print(&set, stdout);
    if (!ok)
        hx_mp_find_error(findings, HX_E_NOMEM, path[0], "not enough memory: %zu files; free some", count);
    for (size_t i = 0; pack && i < count; i++)
        hx_mp_pack_close(&pack[i]);
    free(pack);
    free(set.module);
}

int hx_mp_cmd_graph(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_arguments arguments = { .command = "graph", .least = 1, .most = INT_MAX };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    draw(arguments.path, (size_t)arguments.count, &findings);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
