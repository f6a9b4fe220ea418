/* SPDX-License-Identifier: MIT */
/* cmd_types.c - mkmodpack types: the types by which a module meets the kernel and others, or those of the kernel. */
#include "command.h"
#include "json.h"
#include "kernel_types.h"
#include "module_types.h"
#include "object.h"

#include <inttypes.h>

/* A line of it, whatever the module's compiler put there. */
static void print_line(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        putchar(text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
    putchar('\n');
}

static void print_types(const struct hx_mp_types *types)
{
    for (size_t i = 0; i < types->count; i++) {
        const struct hx_mp_type *type = &types->type[i];

        printf("%016" PRIx64 " ", type->type);
        print_line(type->name, strlen(type->name));
        for (const char *at = type->text; at && *at; at += strcspn(at, "\n") + 1) {
            fputs("    ", stdout);
            print_line(at, strcspn(at, "\n"));
        }
    }
}

static void json_types(const struct hx_mp_types *types)
{
    hx_mp_json_open(NULL, '[');
    for (size_t i = 0; i < types->count; i++) {
        char hash[17];

        snprintf(hash, sizeof(hash), "%016" PRIx64, types->type[i].type);
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", types->type[i].name);
        hx_mp_json_text("hash", hash);
        if (types->type[i].text)
            hx_mp_json_text("text", types->type[i].text);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void show(const struct hx_mp_types *types, bool json)
{
    if (json)
        json_types(types);
    else
        print_types(types);
}

int hx_mp_cmd_types(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_types types = { 0 };
    struct hx_mp_file file = { 0 };
    struct hx_mp_arguments arguments = { .command = "types", .least = 0, .most = 1, .takes_json = true };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (arguments.count == 0) {
        types = (struct hx_mp_types){ .type = (struct hx_mp_type *)(uintptr_t)hx_mp_kernel_types,
                                      .count = hx_mp_kernel_types_count };
        show(&types, arguments.json);
        return HX_MP_OK;
    }
    if (hx_mp_file_read(&file, NULL, arguments.path[0], &findings) && hx_mp_object_check(&file, &findings) &&
        hx_mp_module_types_read(&types, file.bytes, arguments.path[0], &findings)) {
        show(&types, arguments.json);
        if (types.count == 0)
            hx_mp_find(&findings, arguments.path[0],
                       "its types are not recorded: it has no debug information; compile it with -g");
    }
    hx_mp_types_free(&types);
    hx_mp_file_free(&file);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
