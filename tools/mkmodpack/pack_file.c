/* SPDX-License-Identifier: MIT */
/* pack_file.c - see pack_file.h. */
#include "pack_file.h"

#include <stdio.h>
#include <stdlib.h>

bool hx_mp_is_pack(struct hx_slice bytes)
{
    static const char magic[] = "07070"; /* cpio(5): every variant in text, so that a wrong one is called by its name */

    return bytes.bytes >= sizeof(magic) - 1 && memcmp(bytes.data, magic, sizeof(magic) - 1) == 0;
}

bool hx_mp_pack_read(struct hx_mp_pack *out, const char *path, struct hx_mp_findings *findings)
{
    struct hx_mp_file file;
    bool ok = hx_mp_file_read(&file, NULL, path, findings);

    *out = (struct hx_mp_pack){ 0 };
    ok = ok && hx_mp_pack_open(out, &file, findings);
    hx_mp_file_free(&file);
    return ok;
}

bool hx_mp_pack_open(struct hx_mp_pack *out, struct hx_mp_file *file, struct hx_mp_findings *findings)
{
    struct hx_pack_report report;
    hx_status_t err;

    *out = (struct hx_mp_pack){ .file = *file };
    *file = (struct hx_mp_file){ 0 };
    err = hx_pack_open(out->file.bytes, &out->pack, &report);
    if (err == HX_OK)
        return true;
    out->pack = (struct hx_pack){ 0 };
    hx_mp_find_error(findings, err, out->file.path, "not a good pack: %s; make it with mkmodpack create",
                     report.message);
    return false;
}

bool hx_mp_pack_link(struct hx_mp_pack *pack, struct hx_mp_findings *findings)
{
    uint32_t count = pack->pack.count;

    pack->set.module = calloc((size_t)count + 1, sizeof(*pack->set.module));
    pack->path = calloc((size_t)count + 1, sizeof(*pack->path));
    for (uint32_t i = 0; pack->set.module && pack->path && i < count; i++) {
        const struct hx_pack_entry *entry = hx_pack_entry_at(&pack->pack, i);

        if (asprintf(&pack->path[i], "%s(%s)", pack->file.path, entry->name) < 0) {
            pack->path[i] = NULL;
            break;
        }
        (void)hx_mp_module_open_bytes(&pack->set.module[i], pack->path[i], entry->name, entry->content, findings);
        pack->set.module[i].load = entry->load;
        pack->set.count++;
    }
    if (pack->set.module && pack->path && pack->set.count == count)
        return true;
    hx_mp_find_error(findings, HX_E_NOMEM, pack->file.path, "not enough memory: %u modules; free some", count);
    return false;
}

void hx_mp_pack_close(struct hx_mp_pack *pack)
{
    for (size_t i = 0; i < pack->set.count; i++)
        free(pack->path[i]);
    free(pack->path);
    hx_mp_set_free(&pack->set);
    hx_pack_close(&pack->pack);
    hx_mp_file_free(&pack->file);
    *pack = (struct hx_mp_pack){ 0 };
}
