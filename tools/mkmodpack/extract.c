/* SPDX-License-Identifier: MIT */
/*
 * extract.c - see extract.h.
 *
 * Why a descriptor of the directory: a name is then looked up in it and nowhere else, whatever happens to the path meanwhile.
 * Names in a pack have no slash (kernel/module/pack.h), so none leads out of it.
 */
#include "extract.h"

#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct target {
    int directory;
    const char *path; /* of the directory */
    FILE *verbose;
    struct hx_mp_findings *findings;
};

static void write_one(const struct target *target, const char *name, struct hx_slice content)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", target->path, name) < 0) {
        hx_mp_find_error(target->findings, HX_E_NOMEM, name, "not enough memory for its name; free some");
        return;
    }
    if (hx_mp_file_write_at(target->directory, name, path, content, target->findings) && target->verbose)
        fprintf(target->verbose, "%s\n", name);
    free(path);
}

static void write_all(const struct target *target, const struct hx_mp_pack *pack)
{
    write_one(target, HX_PACK_MANIFEST, pack->pack.manifest);
    for (uint32_t i = 0; i < pack->pack.count; i++)
        write_one(target, pack->pack.entries[i].name, pack->pack.entries[i].content);
}

static void write_named(const struct target *target, const struct hx_mp_pack *pack, const char *name)
{
    struct hx_slice content = pack->pack.manifest;

    if (strcmp(name, HX_PACK_MANIFEST) != 0 && hx_pack_find(&pack->pack, name, &content) != HX_OK)
        hx_mp_find_error(target->findings, HX_E_NOENT, pack->file.path, "%s is not in it; mkmodpack list shows what is",
                         name);
    else
        write_one(target, name, content);
}

void hx_mp_extract(const struct hx_mp_pack *pack, const char *directory, char *const *name, size_t count, FILE *verbose,
                   struct hx_mp_findings *findings)
{
    struct target target = { .directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                             .path = directory,
                             .verbose = verbose,
                             .findings = findings };

    if (target.directory < 0) {
        hx_mp_find_error(findings, hx_mp_status_of(errno), directory, "cannot extract to it: %s; make the directory",
                         strerror(errno));
        return;
    }
    if (count == 0)
        write_all(&target, pack);
    for (size_t i = 0; i < count; i++)
        write_named(&target, pack, name[i]);
    close(target.directory);
}
