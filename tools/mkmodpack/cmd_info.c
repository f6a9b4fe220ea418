/* SPDX-License-Identifier: MIT */
/* cmd_info.c - mkmodpack info: what a module declares, read from its linked image. */
#include "command.h"
#include "json.h"
#include "module_info.h"

#include <lib/hash.h>
#include <stdio.h>

static const char *const hook_names[HX_HOOK_COUNT] = {
    [HX_HOOK_INIT] = "init", [HX_HOOK_START] = "start", [HX_HOOK_STOP] = "stop",
    [HX_HOOK_FINI] = "fini", [HX_HOOK_PAUSE] = "pause", [HX_HOOK_RESUME] = "resume",
    [HX_HOOK_SAVE] = "save", [HX_HOOK_LOAD] = "load",   [HX_HOOK_CHECK] = "check",
};

static const char *field_type_name(uint32_t type)
{
    static const char *const names[] = {
        [HX_FIELD_u8] = "u8",   [HX_FIELD_u16] = "u16", [HX_FIELD_u32] = "u32",
        [HX_FIELD_u64] = "u64", [HX_FIELD_i32] = "i32", [HX_FIELD_i64] = "i64",
    };

    return type < HX_ARRAY_SIZE(names) && names[type] ? names[type] : "?";
}

static bool has_hook(const struct hx_mp_module *module, unsigned int hook)
{
    const void *function[HX_HOOK_COUNT];

    memcpy(function, &module->record->hooks, sizeof(function));
    return function[hook] != NULL;
}

static uint64_t param_default(const struct hx_mp_module *module, const struct hx_param_record *param)
{
    uint64_t value = 0;

    memcpy(&value, hx_mp_at(module, param->variable, param->bytes),
           param->bytes); /* modules are little-endian, so is the host */
    return value;
}

static struct hx_mp_text hash_text(const struct hx_mp_module *module)
{
    struct hx_mp_text out;

    snprintf(out.text, sizeof(out.text), "%016llx",
             (unsigned long long)hx_hash_xxh64(module->bytes.data, module->bytes.bytes, 0));
    return out;
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */
static void print_interfaces(const struct hx_mp_module *module, const char *title, bool with_ops,
                             const struct hx_interface_record *record, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct hx_slice ops = hx_mp_ops(module, &record[i]);
        const char *op;

        printf("%-10s %s %s\n", title, hx_mp_interface_name(record[i].prefix).text,
               hx_mp_interface_version_text(record[i].version).text);
        for (uint64_t at = 0; with_ops && (op = hx_slice_string(ops, at)) && op[0]; at += strlen(op) + 1)
            printf("           %s\n", op);
    }
}

static void print_declarations(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("irq        %s: line %u\n", irq[i].key, irq[i].line);
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("ports      0x%x to 0x%x\n", ports[i].first, ports[i].last);
    const struct hx_param_record *param = hx_mp_params(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("param      %s=%llu (u%u): %s\n", param[i].name, (unsigned long long)param_default(module, &param[i]),
               param[i].bytes * 8, param[i].summary);
    const struct hx_field_record *field = hx_mp_fields(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("field      %s: %s[%u] at %u\n", field[i].name, field_type_name(field[i].type), field[i].count,
               field[i].offset);
}

static void print_text(const struct hx_mp_module *module)
{
    const struct hx_image *image = module->image;
    size_t count;

    printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "name", module->record->name, "version",
           hx_mp_version_text(module->record->version).text, "summary", module->record->summary, "abi",
           hx_mp_version_text(module->record->abi).text);
    printf("%-10s %s, %zu bytes, xxh64 %s\n", "file", module->name, module->bytes.bytes, hash_text(module).text);
    printf("%-10s %zu bytes:", "image", hx_image_bytes(image));
    for (unsigned int i = 0; i < HX_PART_COUNT; i++)
        if (image->part[i].bytes > 0)
            printf(" %s %zu", hx_image_part_name((enum hx_image_part)i), image->part[i].bytes);
    printf("; %u relocations\n%-10s", image->relocation_count, "hooks");
    for (unsigned int i = 0; i < HX_HOOK_COUNT; i++)
        if (has_hook(module, i))
            printf(" %s", hook_names[i]);
    putchar('\n');
    const struct hx_interface_record *record = hx_mp_provides(module, &count);
    print_interfaces(module, "provides", true, record, count);
    record = hx_mp_requires(module, &count);
    print_interfaces(module, "requires", false, record, count);
    print_declarations(module);
    for (size_t i = 0; i < module->imports.count; i++)
        printf("%-10s %s\n", "import", module->imports.name[i]);
}

/* ---- for programs ---------------------------------------------------------------------------------------------------- */
static void json_interfaces(const struct hx_mp_module *module, const char *key,
                            const struct hx_interface_record *record, size_t count)
{
    hx_mp_json_open(key, '[');
    for (size_t i = 0; i < count; i++) {
        struct hx_slice ops = hx_mp_ops(module, &record[i]);
        const char *op;

        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("interface", hx_mp_interface_name(record[i].prefix).text);
        hx_mp_json_text("version", hx_mp_interface_version_text(record[i].version).text);
        hx_mp_json_open("operations", '[');
        for (uint64_t at = 0; (op = hx_slice_string(ops, at)) && op[0]; at += strlen(op) + 1)
            hx_mp_json_text(NULL, op);
        hx_mp_json_close(']');
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_devices(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    hx_mp_json_open("irqs", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("key", irq[i].key);
        hx_mp_json_number("line", irq[i].line);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);
    hx_mp_json_open("ports", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_number("first", ports[i].first);
        hx_mp_json_number("last", ports[i].last);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_params(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_param_record *param = hx_mp_params(module, &count);

    hx_mp_json_open("params", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", param[i].name);
        hx_mp_json_number("bytes", param[i].bytes);
        hx_mp_json_number("default", param_default(module, &param[i]));
        hx_mp_json_text("summary", param[i].summary);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_fields(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_field_record *field = hx_mp_fields(module, &count);

    hx_mp_json_open("fields", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("name", field[i].name);
        hx_mp_json_text("type", field_type_name(field[i].type));
        hx_mp_json_number("count", field[i].count);
        hx_mp_json_number("offset", field[i].offset);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_head(const struct hx_mp_module *module)
{
    hx_mp_json_text("file", module->name);
    hx_mp_json_text("name", module->record->name);
    hx_mp_json_text("version", hx_mp_version_text(module->record->version).text);
    hx_mp_json_text("summary", module->record->summary);
    hx_mp_json_text("abi", hx_mp_version_text(module->record->abi).text);
    hx_mp_json_number("bytes", module->bytes.bytes);
    hx_mp_json_text("xxh64", hash_text(module).text);
    hx_mp_json_number("image_bytes", hx_image_bytes(module->image));
    hx_mp_json_number("relocations", module->image->relocation_count);
    hx_mp_json_open("hooks", '[');
    for (unsigned int i = 0; i < HX_HOOK_COUNT; i++)
        if (has_hook(module, i))
            hx_mp_json_text(NULL, hook_names[i]);
    hx_mp_json_close(']');
}

static void print_json(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_interface_record *record;

    hx_mp_json_open(NULL, '{');
    json_head(module);
    record = hx_mp_provides(module, &count);
    json_interfaces(module, "provides", record, count);
    record = hx_mp_requires(module, &count);
    json_interfaces(module, "requires", record, count);
    json_devices(module);
    json_params(module);
    json_fields(module);
    hx_mp_json_open("imports", '[');
    for (size_t i = 0; i < module->imports.count; i++)
        hx_mp_json_text(NULL, module->imports.name[i]);
    hx_mp_json_close(']');
    hx_mp_json_close('}');
}

int hx_mp_info(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_module module = { 0 };
    struct hx_mp_file file = { 0 };
    const char *path;
    int json = 0;
    enum hx_mp_parse parse = hx_mp_parse_one_file(argc, argv, &json, &path);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (hx_mp_file_read(&file, NULL, path, &findings) && hx_mp_module_open(&module, &file, &findings)) {
        if (json)
            print_json(&module);
        else
            print_text(&module);
    }
    hx_mp_module_close(&module);
    hx_mp_file_free(&file);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
