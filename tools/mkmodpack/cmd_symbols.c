/* SPDX-License-Identifier: MIT */
/* cmd_symbols.c - mkmodpack symbols: what the kernel offers, or what a module defines and takes. */
#include "command.h"
#include "json.h"
#include "kernel_names.h"
#include "printable.h"
#include "symbol_list.h"

#include <helix/module.h>
#include <stdio.h>

/* ---- of the kernel --------------------------------------------------------------------------------------------------- */
static void print_kernel(void)
{
    size_t count;
    const struct hx_mp_export *exports = hx_mp_exports(&count);
    const struct hx_mp_kernel_interface *interface;

    printf("abi        %s\n", hx_mp_version_text(HX_ABI).text);
    for (size_t i = 0; i < count; i++)
        printf("export     %s(%s)\n", exports[i].name, exports[i].arguments);
    interface = hx_mp_kernel_interfaces(&count);
    for (size_t i = 0; i < count; i++) {
        const char *op;

        printf("interface  %s %s\n", hx_mp_interface_name(interface[i].prefix).text,
               hx_mp_interface_version_text(interface[i].version).text);
        for (uint64_t at = 0; (op = hx_slice_string(interface[i].ops, at)) && op[0]; at += strlen(op) + 1)
            printf("           %s_%s\n", interface[i].prefix, op);
    }
}

static void json_kernel(void)
{
    size_t count;
    const struct hx_mp_export *exports = hx_mp_exports(&count);
    const struct hx_mp_kernel_interface *interface;

    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("abi", hx_mp_version_text(HX_ABI).text);
    hx_mp_json_open("exports", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", exports[i].name);
        hx_mp_json_text("arguments", exports[i].arguments);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    interface = hx_mp_kernel_interfaces(&count);
    hx_mp_json_open("interfaces", '[');
    for (size_t i = 0; i < count; i++) {
        const char *op;

        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("interface", hx_mp_interface_name(interface[i].prefix).text);
        hx_mp_json_text("prefix", interface[i].prefix);
        hx_mp_json_text("version", hx_mp_interface_version_text(interface[i].version).text);
        hx_mp_json_open("operations", '[');
        for (uint64_t at = 0; (op = hx_slice_string(interface[i].ops, at)) && op[0]; at += strlen(op) + 1)
            hx_mp_json_text(NULL, op);
        hx_mp_json_close(']');
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    hx_mp_json_close('}');
}

/* ---- of a module ----------------------------------------------------------------------------------------------------- */
struct satisfier {
    char text[2 * sizeof(struct hx_mp_text)];
};

static struct satisfier satisfier(const struct hx_mp_import *import)
{
    struct satisfier out;

    if (import->interface.text[0])
        snprintf(out.text, sizeof(out.text), "%s %s", import->interface.text, import->version.text);
    else
        snprintf(out.text, sizeof(out.text), "%s", hx_mp_source_name(import->source));
    return out;
}

static void print_module(const struct hx_mp_symbol_list *list)
{
    for (size_t i = 0; i < list->global_count; i++) {
        const struct hx_mp_global *global = &list->global[i];

        fputs("defined    ", stdout);
        hx_mp_print_column(global->name, 33, stdout);
        printf("%-8s %7llu bytes in ", global->type, (unsigned long long)global->bytes);
        hx_mp_print_name(global->section, stdout);
        puts(global->weak ? ", weak" : "");
    }
    for (size_t i = 0; i < list->import_count; i++) {
        fputs("import     ", stdout);
        hx_mp_print_column(list->import[i].name, 33, stdout);
        printf("from %s\n", satisfier(&list->import[i]).text);
    }
}

static void json_module(const char *file, const struct hx_mp_symbol_list *list)
{
    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("file", file);
    hx_mp_json_open("defined", '[');
    for (size_t i = 0; i < list->global_count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", list->global[i].name);
        hx_mp_json_text("type", list->global[i].type);
        hx_mp_json_text("section", list->global[i].section);
        hx_mp_json_number("bytes", list->global[i].bytes);
        hx_mp_json_bool("weak", list->global[i].weak);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    hx_mp_json_open("imports", '[');
    for (size_t i = 0; i < list->import_count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", list->import[i].name);
        hx_mp_json_bool("weak", list->import[i].weak);
        hx_mp_json_text("from", satisfier(&list->import[i]).text);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    hx_mp_json_close('}');
}

/* Of one that is refused too: its symbols are what a person then looks at. */
static void show_module(const char *path, bool json, struct hx_mp_findings *findings)
{
    struct hx_mp_symbol_list list = { 0 };
    struct hx_mp_module module = { 0 };
    struct hx_mp_file file = { 0 };

    if (!hx_mp_file_read(&file, NULL, path, findings) || !hx_mp_object_check(&file, findings))
        goto out;
    (void)hx_mp_module_open(&module, &file, findings);
    if (!hx_mp_symbol_list_read(&list, file.bytes, &module))
        hx_mp_find(findings, path, "broken symbol table: libelf cannot read it; build it again");
    else if (json)
        json_module(file.name, &list);
    else
        print_module(&list);
out:
    hx_mp_symbol_list_free(&list);
    hx_mp_module_close(&module);
    hx_mp_file_free(&file);
}

int hx_mp_cmd_symbols(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_arguments arguments = { .command = "symbols", .least = 0, .most = 1, .takes_json = true };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (arguments.count == 1)
        show_module(arguments.path[0], arguments.json, &findings);
    else if (arguments.json)
        json_kernel();
    else
        print_kernel();
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
