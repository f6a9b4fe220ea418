/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - mkmodpack list: what is in a pack.
 *
 * Does not link the modules, so that a pack with a broken one can be looked at; name and version are read from the
 * unlinked descriptor.
 */
#include "command.h"
#include "json.h"
#include "pack_file.h"

#include <lib/hash.h>
#include <stdio.h>

struct row {
    char module[HX_NAME_MAX]; /* "" when the descriptor cannot be read */
    struct hx_mp_text version;
    struct hx_mp_text hash;
};

static struct row row_of(const struct hx_pack_entry *entry)
{
    struct row row = { .module = "" };
    struct hx_module_record record;
    struct hx_slice records;

    snprintf(row.hash.text, sizeof(row.hash.text), "%016llx",
             (unsigned long long)hx_hash_xxh64(entry->content.data, entry->content.bytes, 0));
    if (hx_ldr_peek(entry->content, HX_RECORDS_MODULE, &records) != HX_OK ||
        hx_slice_read(records, 0, &record, sizeof(record)) != HX_OK || record.magic != HX_MODULE_MAGIC ||
        !memchr(record.name, 0, sizeof(record.name)))
        return row;
    memcpy(row.module, record.name, sizeof(row.module));
    for (char *c = row.module; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            *c = '?';
    row.version = hx_mp_version_text(record.version);
    return row;
}

static void print_table(const struct hx_pack *pack)
{
    printf("%-4s  %-28s %-20s %-9s %9s  %s\n", "when", "file", "module", "version", "bytes", "xxh64");
    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hx_pack_entry *entry = hx_pack_entry_at(pack, i);
        struct row row = row_of(entry);

        printf("%-4s  %-28s %-20s %-9s %9zu  %s\n", entry->load ? "load" : "hold", entry->name,
               row.module[0] ? row.module : "?", row.module[0] ? row.version.text : "?", entry->content.bytes,
               row.hash.text);
    }
}

static void print_json(const char *path, const struct hx_pack *pack)
{
    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("pack", path);
    hx_mp_json_number("format", HX_PACK_FORMAT);
    hx_mp_json_open("files", '[');
    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hx_pack_entry *entry = hx_pack_entry_at(pack, i);
        struct row row = row_of(entry);

        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("file", entry->name);
        hx_mp_json_bool("load", entry->load);
        hx_mp_json_number("bytes", entry->content.bytes);
        hx_mp_json_text("xxh64", row.hash.text);
        if (row.module[0]) {
            hx_mp_json_text("module", row.module);
            hx_mp_json_text("version", row.version.text);
        }
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    hx_mp_json_close('}');
}

int hx_mp_cmd_list(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_pack pack = { 0 };
    struct hx_mp_arguments arguments = { .command = "list", .least = 1, .most = 1, .takes_json = true };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (hx_mp_pack_read(&pack, arguments.path[0], &findings)) {
        if (arguments.json)
            print_json(arguments.path[0], &pack.pack);
        else
            print_table(&pack.pack);
    }
    hx_mp_pack_close(&pack);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
