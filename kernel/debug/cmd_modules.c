/* SPDX-License-Identifier: MIT */
/*
 * cmd_modules.c - commands that show modules.
 *
 * The worker may replace or destroy a version at any moment it runs, so whatever is shown is first copied, or made into
 * text, with preemption off, and printed afterwards; printing may sleep.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "module_names.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <module/module.h>
#include <module/pack.h>
#include <module/pushed.h>
#include <orchestrator/record.h>
#include <string.h>

enum { LIST_TEXT_MAX = 64, INFO_TEXT_BYTES = 8192 };

/* ---- lsmod ---------------------------------------------------------------------------------------------------------- */
struct module_row {
    char name[HX_NAME_MAX];
    char version[16];
    char previous[HX_NAME_MAX + 16]; /* with its name when that is another */
    char provides[LIST_TEXT_MAX], users[LIST_TEXT_MAX];
    const char *state;
    uint64_t calls;
    uint32_t swaps, restarts;
};

static void append_to_list(char *list, size_t bytes, const char *item)
{
    size_t used = strnlen(list, bytes);
    hx_fmt_append(list, bytes, used, used ? ",%s" : "%s", item);
}

static void append_users(const struct hx_interface *interface, char *list, size_t bytes)
{
    const struct hx_interface_use *use;
    TAILQ_FOREACH(use, &interface->uses, link)
        append_to_list(list, bytes, use->user->module->name);
}

static void describe_provided(const struct hx_version *version, struct module_row *row)
{
    char display[HX_NAME_MAX], item[48];
    for (uint32_t i = 0; i < version->provides_count; i++) {
        const struct hx_provided *provided = &version->provides[i];
        if (!provided->interface)
            continue;
        hx_interface_display(provided->interface->slot ? hx_slot_info(provided->interface->slot)->name : "?", display);
        hx_fmt(item, sizeof(item), "%s-%u.%u", display, HX_VERSION_MAJOR(provided->version),
               HX_VERSION_MINOR(provided->version));
        append_to_list(row->provides, sizeof(row->provides), item);
        append_users(provided->interface, row->users, sizeof(row->users));
    }
}

static void copy_module(const struct hx_module *module, struct module_row *row)
{
    memset(row, 0, sizeof(*row));
    memcpy(row->name, module->name, sizeof(row->name));
    row->state = hx_module_state_name(module->state);
    row->calls = hx_module_calls(module) - module->calls_before;
    row->swaps = module->swaps;
    row->restarts = module->restarts;
    if (module->running && module->running->record) {
        hx_version_text(module->running->record->version, row->version);
        describe_provided(module->running, row);
    }
    if (module->previous && module->previous->record) {
        char text[16];
        const char *name = hx_version_name(module->previous);
        bool renamed = strcmp(name, module->name) != 0;
        hx_version_text(module->previous->record->version, text);
        hx_fmt(row->previous, sizeof(row->previous), "%s%s%s", renamed ? name : "", renamed ? "-" : "", text);
    }
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void print_module(const struct module_row *row)
{
    hx_console_row("name version state previous calls swaps restarts provides users",
                   "%-16s %-8s %-12s %-8s %12llu %5u %8u %-16s %s\n", row->name, or_dash(row->version), row->state,
                   or_dash(row->previous), (unsigned long long)row->calls, row->swaps, row->restarts,
                   or_dash(row->provides), or_dash(row->users));
}

static hx_status_t cmd_lsmod(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    uint32_t max = hx_module_count(), count = 0;
    struct module_row *rows = hx_hal_alloc((max + 1) * sizeof(*rows));
    if (!rows)
        return hx_command_refuse(argv[0], "list of modules", HX_E_NOMEM, NULL);
    hx_preempt_disable();
    for (struct hx_module *module = NULL; count < max && (module = hx_module_next(module));)
        copy_module(module, &rows[count++]);
    hx_preempt_enable();
    hx_console_table(
        "NAME             VERSION  STATE        PREVIOUS        CALLS SWAPS RESTARTS PROVIDES         USED-BY");
    for (uint32_t i = 0; i < count; i++)
        print_module(&rows[i]);
    hx_hal_free(rows);
    return HX_OK;
}

/* ---- modinfo -------------------------------------------------------------------------------------------------------- */
/* Text under construction; what does not fit is left out. */
struct info {
    char *text;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct info *info, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = INFO_TEXT_BYTES - info->used;
    size_t length = hx_fmt_v(info->text + info->used, room, format, arguments);
    va_end(arguments);
    info->used += length < room ? length : room - 1;
}

static void add_identity(struct info *info, const struct hx_module *module, struct hx_version *version)
{
    char text[16];
    hx_version_text(version->record->version, text);
    add(info, "name:      %s\nversion:   %s\nsummary:   %s\nstate:     %s\n", module->name, text,
        version->record->summary, hx_module_state_name(module->state));
    if (module->previous) {
        hx_version_text(module->previous->record->version, text);
        add(info, "probation: %s %s comes back if this version fails\n", module->previous->record->name, text);
    }
    if (module->fault[0])
        add(info, "fault:     %s\n", module->fault);
    add(info, "file:      %zu bytes, XXH64 %016llx\n", version->file.bytes,
        (unsigned long long)hx_version_file_hash(version));
    add(info, "loaded:    %llu ms after boot, %u swaps, %u restarts, %llu calls\n",
        (unsigned long long)(module->loaded_ns / 1000000u), module->swaps, module->restarts,
        (unsigned long long)(hx_module_calls(module) - module->calls_before));
}

/* The hash of what nobody may write is that of what `mkmodpack link' makes at the same place. */
static void add_part(struct info *info, enum hx_image_part part, const struct hx_image_piece *piece)
{
    add(info, "  %-8s 0x%llx, %zu bytes", hx_image_part_name(part), (unsigned long long)piece->va, piece->bytes);
    if (part == HX_PART_TEXT || part == HX_PART_RODATA)
        add(info, ", XXH64 %016llx", (unsigned long long)hx_hash_xxh64(piece->memory, piece->bytes, 0));
    add(info, "\n");
}

static void add_image(struct info *info, const struct hx_image *image)
{
    add(info, "image:     %zu bytes, %u relocations, %u imports\n", hx_image_bytes(image), image->relocation_count,
        image->import_count);
    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        if (image->part[part].bytes > 0)
            add_part(info, (enum hx_image_part)part, &image->part[part]);
}

static void add_interface(struct info *info, const char *label, const struct hx_interface *interface, uint32_t version)
{
    char display[HX_NAME_MAX];
    hx_interface_display(hx_slot_info(interface->slot)->name, display);
    add(info, "%s%s %u.%u", label, display, HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version));
}

static void add_interfaces(struct info *info, const struct hx_version *version)
{
    for (uint32_t i = 0; i < version->provides_count; i++) {
        char users[LIST_TEXT_MAX] = "";
        add_interface(info, "provides:  ", version->provides[i].interface, version->provides[i].version);
        append_users(version->provides[i].interface, users, sizeof(users));
        add(info, users[0] ? ", used by %s\n" : "\n", users);
    }
    for (uint32_t i = 0; i < version->requires_count; i++) {
        const struct hx_module *provider = hx_module_providing(version->requires[i].interface);
        add_interface(info, "requires:  ", version->requires[i].interface, version->requires[i].version);
        add(info, " from %s\n", provider ? provider->name : "nobody");
    }
}

static void add_parameter(struct info *info, const struct hx_param_record *param)
{
    uint64_t value = 0; /* little-endian, as the machine */
    bool known = param->bytes <= sizeof(value) && hx_hal_copy(&value, param->variable, param->bytes) == HX_OK;
    if (known)
        add(info, "parameter: %s = %llu: %s\n", param->name, (unsigned long long)value, param->summary);
    else
        add(info, "parameter: %s: %s\n", param->name, param->summary);
}

static void add_fields(struct info *info, const struct hx_field_record *field, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        add(info, "  %-16s %u x %u bytes\n", field[i].name, field[i].count, field[i].elem_bytes);
}

static void add_declarations(struct info *info, const struct hx_version *version)
{
    for (uint32_t i = 0; i < version->irqs_count; i++)
        add(info, "interrupt: %s on line %u\n", version->irqs[i].key, version->irqs[i].line);
    for (uint32_t i = 0; i < version->callbacks_count; i++)
        add(info, "%-9s  %s %llu%s%s\n", hx_callback_kind_name(version->callbacks[i].kind), version->callbacks[i].key,
            (unsigned long long)version->callbacks[i].number, version->callbacks[i].topic[0] ? " of " : "",
            version->callbacks[i].topic);
    for (uint32_t i = 0; i < version->sources_count; i++)
        add(info, "source:    %s hears %s\n", version->sources[i].key, version->sources[i].source);
    for (uint32_t i = 0; i < version->channels_count; i++)
        add(info, "channel:   %s of %u messages each way\n", version->channels[i].key, version->channels[i].capacity);
    for (uint32_t i = 0; i < version->topics_count; i++)
        add(info, "topic:     %s\n", version->topics[i].name);
    for (uint32_t i = 0; i < version->ports_count; i++)
        add(info, "ports:     0x%x to 0x%x\n", version->ports[i].first, version->ports[i].last);
    for (uint32_t i = 0; i < version->params_count; i++)
        add_parameter(info, &version->params[i]);
    if (version->schema)
        add(info, "state:     %zu bytes, schema %016llx\n", version->state_bytes, (unsigned long long)version->schema);
    add_fields(info, version->fields.field, version->fields.count);
    if (version->kept) {
        struct hx_record_info record;
        hx_record_look(version, &record);
        add(info, "record:    %zu bytes, schema %016llx, %llu commits%s\n", record.bytes,
            (unsigned long long)version->record_schema, (unsigned long long)record.commits,
            record.damaged ? ", damaged" : "");
        add_fields(info, version->record_fields.field, version->record_fields.count);
    }
    add(info, version->types.count ? "types:     %u recorded\n" : "types:     not recorded\n", version->types.count);
    add(info, "hooks:    ");
    for (uint32_t hook = 0; hook < HX_HOOK_COUNT; hook++)
        if (hx_records_hook(version->record, (enum hx_hook)hook)) /* init cannot be called any more */
            add(info, " %s", hx_hook_name((enum hx_hook)hook));
    add(info, "\n");
}

/* HX_E_NOENT: no such module. */
static hx_status_t describe_module(struct info *info, const char *name)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    struct hx_version *version = module ? module->running : NULL;
    if (version) {
        add_identity(info, module, version);
        add_image(info, version->image);
        add_interfaces(info, version);
        add_declarations(info, version);
    } else if (module) {
        add(info, "name:      %s\nstate:     %s\n", module->name, hx_module_state_name(module->state));
    }
    hx_preempt_enable();
    return module ? HX_OK : HX_E_NOENT;
}

static void print_file(const char *name, struct hx_slice file)
{
    struct hx_module_record record;
    char version[16];
    hx_status_t err = hx_names_peek(file, &record);
    if (err != HX_OK) {
        hx_console_row("file bytes error", "%-24s %8zu bytes, not a module: %s\n", name, file.bytes, hx_err_text(err));
        return;
    }
    hx_version_text(record.version, version);
    hx_console_row("file bytes name version summary", "%-24s %8zu bytes, %s %s: %s\n", name, file.bytes, record.name,
                   version, record.summary);
}

static void list_files(void)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    const char *name;
    struct hx_slice content;
    uint32_t pushed = 0;
    hx_console_table(NULL);
    for (uint32_t i = 0; (name = hx_names_file_at(i, &content)) && !hx_console_interrupted(); i++)
        print_file(name, content);
    while (hx_pushed_at(pushed, &content))
        pushed++;
    hx_console_printf("modinfo: %u files in the initrd", pack ? pack->count : 0u);
    if (pushed)
        hx_console_printf(", %u pushed", pushed);
    hx_console_printf("\n");
}

static hx_status_t cmd_modinfo(int argc, char **argv)
{
    if (argc > 2)
        return hx_command_usage(argv[0]);
    if (argc == 1) {
        hx_pushed_enter();
        list_files();
        hx_pushed_leave();
        return HX_OK;
    }
    struct info info = { .text = hx_hal_alloc(INFO_TEXT_BYTES) };
    if (!info.text)
        return hx_command_refuse(argv[0], argv[1], HX_E_NOMEM, NULL);
    struct hx_slice file;
    hx_pushed_enter();
    hx_status_t err = describe_module(&info, argv[1]);
    if (err == HX_OK)
        hx_console_text(info.text, info.used);
    else if ((err = hx_names_find_file(argv[1], &file)) == HX_OK)
        print_file(argv[1], file);
    hx_hal_free(info.text);
    if (err != HX_OK)
        err = hx_names_refuse_either(argv[0], argv[1]);
    hx_pushed_leave();
    return err;
}

static void complete_modules_and_files(uint32_t position, struct hx_editor_matches *matches)
{
    hx_names_complete_modules(position, matches);
    if (position == 1)
        hx_names_offer_files(matches);
}

const struct hx_command hx_commands_modules[] = {
    { .id = { HX_CAPABILITY_DEBUG, "lsmod" },
      .arguments = "",
      .summary = "loaded modules",
      .handler = cmd_lsmod,
      .help = "PREVIOUS is the version that comes back if the running one fails on probation." },
    { .id = { HX_CAPABILITY_DEBUG, "modinfo" },
      .arguments = "[NAME|FILE]",
      .summary = "all about a module, or the files there are",
      .handler = cmd_modinfo,
      .complete = complete_modules_and_files },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
