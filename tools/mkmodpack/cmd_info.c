/* SPDX-License-Identifier: MIT */
/* cmd_info.c - mkmodpack info: what a module declares, read from its linked image. */
#include "command.h"
#include "json.h"
#include "module_info.h"
#include "printable.h"

#include <getopt.h>
#include <lib/hash.h>
#include <module/capability.h>
#include <stdio.h>

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
    return hx_records_hook(module->record, (enum hx_hook)hook) != NULL;
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

static void print_callbacks(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_callback_record *record = hx_mp_callbacks(module, &count);

    for (size_t i = 0; i < count; i++) {
        unsigned long long number = record[i].number;

        printf("%-10s %s", hx_callback_kind_name(record[i].kind), record[i].key);
        if (record[i].kind == HX_CALLBACK_TIMER)
            printf(": every %llu ns", number);
        else if (record[i].kind == HX_CALLBACK_EVENT)
            printf(": of %s, types 0x%llx", record[i].topic, number);
        else if (record[i].kind == HX_CALLBACK_TASK)
            printf(": priority %llu", number);
        else if (record[i].kind == HX_CALLBACK_SERVICE)
            printf(": repeatable codes 0x%llx", number);
        putchar('\n');
    }
}

/* A line each, with @head before it. */
static void print_capabilities(const struct hx_mp_module *module, const char *head)
{
    uint32_t count;
    const struct hx_capability_record *record = hx_records_capabilities(module->image, &count);
    char text[HX_CAPABILITY_TEXT_MAX];

    for (uint32_t i = 0; i < count; i++) {
        hx_capability_text(&record[i].what, text);
        printf("%s%s%s\n", head, text, record[i].optional ? ", optional" : "");
    }
}

static void print_declarations(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("irq        %s: %s %u%s\n", irq[i].key, irq[i].flags & HX_IRQ_GSI ? "GSI" : "line", irq[i].line,
               irq[i].flags & HX_IRQ_EDGE ? ", edge" : "");
    print_callbacks(module);
    const struct hx_channel_record *channel = hx_mp_channels(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("channel    %s: %u messages each way\n", channel[i].key, channel[i].capacity);
    const struct hx_topic_record *topic = hx_mp_topics(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("topic      %s\n", topic[i].name);
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);
    for (size_t i = 0; i < count; i++)
        printf("ports      0x%x to 0x%x\n", ports[i].first, ports[i].last);
    print_capabilities(module, "capability ");
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
            printf(" %s", hx_hook_name((enum hx_hook)i));
    putchar('\n');
    const struct hx_interface_record *record = hx_mp_provides(module, &count);
    print_interfaces(module, "provides", true, record, count);
    record = hx_mp_requires(module, &count);
    print_interfaces(module, "requires", false, record, count);
    print_declarations(module);
    for (size_t i = 0; i < module->imports.count; i++) {
        printf("%-10s ", "import");
        hx_mp_print_name(module->imports.name[i], stdout);
        putchar('\n');
    }
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
        hx_mp_json_number("flags", irq[i].flags);
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

static void json_capabilities(const struct hx_mp_module *module)
{
    uint32_t count;
    const struct hx_capability_record *record = hx_records_capabilities(module->image, &count);
    char text[HX_CAPABILITY_TEXT_MAX];

    hx_mp_json_open("capabilities", '[');
    for (uint32_t i = 0; i < count; i++) {
        hx_capability_text(&record[i].what, text);
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("capability", text);
        hx_mp_json_bool("optional", record[i].optional);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_callbacks(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_callback_record *record = hx_mp_callbacks(module, &count);

    hx_mp_json_open("callbacks", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("key", record[i].key);
        hx_mp_json_text("kind", hx_callback_kind_name(record[i].kind));
        hx_mp_json_number("number", record[i].number);
        if (record[i].kind == HX_CALLBACK_EVENT)
            hx_mp_json_text("topic", record[i].topic);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    const struct hx_channel_record *channel = hx_mp_channels(module, &count);
    hx_mp_json_open("channels", '[');
    for (size_t i = 0; i < count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("key", channel[i].key);
        hx_mp_json_number("capacity", channel[i].capacity);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
    const struct hx_topic_record *topic = hx_mp_topics(module, &count);
    hx_mp_json_open("topics", '[');
    for (size_t i = 0; i < count; i++)
        hx_mp_json_text(NULL, topic[i].name);
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
            hx_mp_json_text(NULL, hx_hook_name((enum hx_hook)i));
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
    json_capabilities(module);
    json_callbacks(module);
    json_params(module);
    json_fields(module);
    hx_mp_json_open("imports", '[');
    for (size_t i = 0; i < module->imports.count; i++)
        hx_mp_json_text(NULL, module->imports.name[i]);
    hx_mp_json_close(']');
    hx_mp_json_close('}');
}

/* ---- one field, bare ------------------------------------------------------------------------------------------------- */
static void show_file(const struct hx_mp_module *module)
{
    puts(module->name);
}

static void show_name(const struct hx_mp_module *module)
{
    puts(module->record->name);
}

static void show_version(const struct hx_mp_module *module)
{
    puts(hx_mp_version_text(module->record->version).text);
}

static void show_summary(const struct hx_mp_module *module)
{
    puts(module->record->summary);
}

static void show_abi(const struct hx_mp_module *module)
{
    puts(hx_mp_version_text(module->record->abi).text);
}

static void show_bytes(const struct hx_mp_module *module)
{
    printf("%zu\n", module->bytes.bytes);
}

static void show_hash(const struct hx_mp_module *module)
{
    puts(hash_text(module).text);
}

static void show_image_bytes(const struct hx_mp_module *module)
{
    printf("%zu\n", hx_image_bytes(module->image));
}

static void show_relocations(const struct hx_mp_module *module)
{
    printf("%u\n", module->image->relocation_count);
}

static void show_hooks(const struct hx_mp_module *module)
{
    for (unsigned int i = 0; i < HX_HOOK_COUNT; i++)
        if (has_hook(module, i))
            puts(hx_hook_name((enum hx_hook)i));
}

static void show_interfaces(const struct hx_interface_record *record, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", hx_mp_interface_name(record[i].prefix).text,
               hx_mp_interface_version_text(record[i].version).text);
}

static void show_provides(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_interface_record *record = hx_mp_provides(module, &count);

    show_interfaces(record, count);
}

static void show_requires(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_interface_record *record = hx_mp_requires(module, &count);

    show_interfaces(record, count);
}

static void show_irqs(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("%s %u\n", irq[i].key, irq[i].line);
}

static void show_callbacks(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_callback_record *record = hx_mp_callbacks(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", record[i].key, hx_callback_kind_name(record[i].kind));
}

static void show_channels(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_channel_record *channel = hx_mp_channels(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("%s %u\n", channel[i].key, channel[i].capacity);
}

static void show_topics(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_topic_record *topic = hx_mp_topics(module, &count);

    for (size_t i = 0; i < count; i++)
        puts(topic[i].name);
}

static void show_ports(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("0x%x 0x%x\n", ports[i].first, ports[i].last);
}

static void show_capabilities(const struct hx_mp_module *module)
{
    print_capabilities(module, "");
}

static void show_params(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_param_record *param = hx_mp_params(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("%s=%llu\n", param[i].name, (unsigned long long)param_default(module, &param[i]));
}

static void show_fields(const struct hx_mp_module *module)
{
    size_t count;
    const struct hx_field_record *field = hx_mp_fields(module, &count);

    for (size_t i = 0; i < count; i++)
        printf("%s %s[%u] %u\n", field[i].name, field_type_name(field[i].type), field[i].count, field[i].offset);
}

static void show_imports(const struct hx_mp_module *module)
{
    for (size_t i = 0; i < module->imports.count; i++) {
        hx_mp_print_name(module->imports.name[i], stdout);
        putchar('\n');
    }
}

/* Named as in JSON. */
static const struct field {
    const char *name;
    void (*show)(const struct hx_mp_module *module);
} known_fields[] = {
    { "file", show_file },
    { "name", show_name },
    { "version", show_version },
    { "summary", show_summary },
    { "abi", show_abi },
    { "bytes", show_bytes },
    { "xxh64", show_hash },
    { "image_bytes", show_image_bytes },
    { "relocations", show_relocations },
    { "hooks", show_hooks },
    { "provides", show_provides },
    { "requires", show_requires },
    { "irqs", show_irqs },
    { "callbacks", show_callbacks },
    { "channels", show_channels },
    { "topics", show_topics },
    { "ports", show_ports },
    { "capabilities", show_capabilities },
    { "params", show_params },
    { "fields", show_fields },
    { "imports", show_imports },
};

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < HX_ARRAY_SIZE(known_fields); i++)
        if (strcmp(known_fields[i].name, name) == 0)
            return &known_fields[i];
    fprintf(stderr, "mkmodpack: info: %s: unknown field: there are", name);
    for (size_t i = 0; i < HX_ARRAY_SIZE(known_fields); i++)
        fprintf(stderr, " %s", known_fields[i].name);
    fputc('\n', stderr);
    hx_mp_usage("info", 0);
    return NULL;
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
struct request {
    const char *path;
    const struct field *field; /* NULL: all of them */
    bool json;
    bool help;
};

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        { "field", required_argument, NULL, 'F' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "F:h", options, NULL)) != -1) {
        if (c == 'h')
            return out->help = true;
        if (c == 'j')
            out->json = true;
        else if (c != 'F')
            return hx_mp_usage("info", 0), false;
        else if (!(out->field = find_field(optarg)))
            return false;
    }
    if (out->field && out->json) {
        fputs("mkmodpack: info: --field with --json: one shows a bare value, the other everything; leave out one\n",
              stderr);
        return hx_mp_usage("info", 0), false;
    }
    if (optind + 1 != argc)
        return hx_mp_wrong_count("info", argc - optind, 1, 1);
    out->path = argv[optind];
    return true;
}

static void show(const struct request *request, const struct hx_mp_module *module)
{
    if (request->field)
        request->field->show(module);
    else if (request->json)
        print_json(module);
    else
        print_text(module);
}

int hx_mp_cmd_info(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_module module = { 0 };
    struct hx_mp_file file = { 0 };
    struct request request = { 0 };

    if (!parse(argc, argv, &request))
        return HX_MP_USAGE;
    if (request.help) {
        hx_mp_usage("info", 1);
        return HX_MP_OK;
    }
    if (hx_mp_file_read(&file, NULL, request.path, &findings) && hx_mp_module_open(&module, &file, &findings))
        show(&request, &module);
    hx_mp_module_close(&module);
    hx_mp_file_free(&file);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
