/* SPDX-License-Identifier: MIT */
/* cmd_verify.c - mkmodpack verify: everything that create checks, on a finished pack. */
#include "command.h"
#include "module_set.h"

#include <module/pack.h>
#include <stdio.h>
#include <stdlib.h>

/* A module in a pack is called PACK(FILE), as in ar(1)'s messages. */
static char *member_path(const char *pack, const char *file)
{
    char *out = NULL;

    return asprintf(&out, "%s(%s)", pack, file) < 0 ? NULL : out;
}

static void verify(const char *path, const struct hx_pack *pack, struct hx_mp_findings *findings)
{
    struct hx_mp_set set = { .module = calloc(pack->count + 1, sizeof(*set.module)) };
    char **paths = calloc(pack->count + 1, sizeof(*paths));

    for (uint32_t i = 0; set.module && paths && i < pack->count; i++) {
        const struct hx_pack_entry *entry = hx_pack_entry_at(pack, i);

        paths[i] = member_path(path, entry->name);
        if (!paths[i])
            break;
        (void)hx_mp_module_open_bytes(&set.module[i], paths[i], entry->name, entry->content, findings);
        set.module[i].load = entry->load;
        set.count++;
    }
    if (set.count < pack->count)
        hx_mp_find(findings, path, "not enough memory: %u modules; free some", pack->count);
    else
        hx_mp_set_check(&set, findings);
    hx_mp_set_free(&set);
    for (uint32_t i = 0; paths && i < pack->count; i++)
        free(paths[i]);
    free(paths);
}

int hx_mp_verify(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_file file = { 0 };
    struct hx_pack_report report;
    struct hx_pack pack = { 0 };
    const char *path;
    enum hx_mp_parse parse = hx_mp_parse_one_file(argc, argv, NULL, &path);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (!hx_mp_file_read(&file, NULL, path, &findings))
        goto out;
    if (hx_pack_open(file.bytes, &pack, &report) != HX_OK) {
        hx_mp_find(&findings, path, "not a good pack: %s; make it with mkmodpack create", report.message);
        goto out;
    }
    verify(path, &pack, &findings);
    if (findings.count == 0)
        printf("%s: good: %u modules, %u of them loaded at boot\n", path, pack.count, pack.load_count);
out:
    hx_pack_close(&pack);
    hx_mp_file_free(&file);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
