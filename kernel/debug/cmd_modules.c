/* SPDX-License-Identifier: MIT */
/*
 * cmd_modules.c - commands about modules: what is there, and changing it through the engine.
 *
 * The worker may replace or destroy a version at any moment it runs, so whatever is shown is first copied, or made into
 * text, with preemption off, and printed afterwards; printing may sleep.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "nearest.h"

#include <hotreload/engine.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <module/module.h>
#include <module/pack.h>
#include <string.h>

enum { CONSOLE_PRIORITY = 128, LIST_TEXT_MAX = 64, INFO_TEXT_BYTES = 8192 };

/* ---- names ---------------------------------------------------------------------------------------------------------- */
/* Names of all modules: [*out_count], to be freed with hx_hal_free(). NULL: not enough memory, or none loaded. */
static char (*module_names(uint32_t *out_count))[HX_NAME_MAX]
{
    uint32_t max = hx_module_count(), count = 0;
    char(*names)[HX_NAME_MAX] = max ? hx_hal_alloc(max * sizeof(*names)) : NULL;
    hx_preempt_disable();
    struct hx_module *module = NULL;
    while (names && count < max && (module = hx_module_next(module)))
        memcpy(names[count++], module->name, HX_NAME_MAX);
    hx_preempt_enable();
    *out_count = count;
    return names;
}

static hx_status_t refuse_module(const char *command, const char *name)
{
    uint32_t count = 0;
    char(*names)[HX_NAME_MAX] = module_names(&count);
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    for (uint32_t i = 0; i < count; i++)
        hx_nearest_offer(&nearest, names[i]);
    hx_hal_free(names);
    return hx_command_unknown(command, "module", name, hx_nearest_name(&nearest), "see lsmod");
}

static hx_status_t refuse_file(const char *command, const char *name)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    for (uint32_t i = 0; pack && i < pack->count; i++)
        hx_nearest_offer(&nearest, pack->entries[i].name);
    return hx_command_unknown(command, "file", name, hx_nearest_name(&nearest),
                              "the files of the initrd are listed by modinfo");
}

/* The file called @name in the pack, ".hxm" may be left out. HX_E_NOENT, unsaid. */
static hx_status_t find_file(const char *name, struct hx_slice *out)
{
    char with_suffix[HX_PACK_NAME_MAX];
    const struct hx_pack *pack = hx_console_env()->pack;
    if (!pack)
        return HX_E_NOENT;
    if (hx_pack_find(pack, name, out) == HX_OK)
        return HX_OK;
    hx_fmt(with_suffix, sizeof(with_suffix), "%s%s", name, HX_PACK_SUFFIX);
    return hx_pack_find(pack, with_suffix, out);
}

/* The descriptor of a file, looked at without loading it; its pointers mean nothing. */
static hx_status_t peek(struct hx_slice file, struct hx_module_record *out)
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_MODULE, &records);
    if (err == HX_OK)
        err = hx_slice_read(records, 0, out, sizeof(*out));
    if (err == HX_OK && (!memchr(out->name, 0, sizeof(out->name)) || !memchr(out->summary, 0, sizeof(out->summary))))
        err = HX_E_FORMAT;
    return err;
}

/* The file in the pack that holds the highest version of module @module. HX_E_NOENT, unsaid. */
static hx_status_t find_newest(const char *module, struct hx_slice *out)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    struct hx_module_record record;
    uint32_t best = 0;
    hx_status_t found = HX_E_NOENT;
    for (uint32_t i = 0; pack && i < pack->count; i++) {
        if (peek(pack->entries[i].content, &record) != HX_OK || strcmp(record.name, module) != 0)
            continue;
        if (found == HX_OK && record.version <= best)
            continue;
        best = record.version;
        *out = pack->entries[i].content;
        found = HX_OK;
    }
    return found;
}

static void complete_modules(uint32_t position, struct hx_editor_matches *matches)
{
    uint32_t count = 0;
    char(*names)[HX_NAME_MAX] = position == 1 ? module_names(&count) : NULL;
    for (uint32_t i = 0; i < count; i++)
        hx_editor_offer(matches, names[i]);
    hx_hal_free(names);
}

static void offer_files(struct hx_editor_matches *matches)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    for (uint32_t i = 0; pack && i < pack->count; i++)
        hx_editor_offer(matches, pack->entries[i].name);
}

static void complete_files(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        offer_files(matches);
}

static void complete_modules_and_files(uint32_t position, struct hx_editor_matches *matches)
{
    complete_modules(position, matches);
    if (position == 1)
        offer_files(matches);
}

static void complete_reload(uint32_t position, struct hx_editor_matches *matches)
{
    complete_modules(position, matches);
    if (position == 2)
        offer_files(matches);
}

/* ---- lsmod ---------------------------------------------------------------------------------------------------------- */
struct module_row {
    char name[HX_NAME_MAX];
    char version[16], previous[16];
    char provides[LIST_TEXT_MAX], users[LIST_TEXT_MAX];
    const char *state;
    uint64_t calls;
    uint32_t swaps;
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
    row->calls = hx_module_calls(module);
    row->swaps = module->swaps;
    if (module->running && module->running->record) {
        hx_version_text(module->running->record->version, row->version);
        describe_provided(module->running, row);
    }
    if (module->previous && module->previous->record)
        hx_version_text(module->previous->record->version, row->previous);
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void print_module(const struct module_row *row)
{
    hx_console_printf("%-16s %-8s %-12s %-8s %12llu %5u %-16s %s\n", row->name, or_dash(row->version), row->state,
                      or_dash(row->previous), (unsigned long long)row->calls, row->swaps, or_dash(row->provides),
                      or_dash(row->users));
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
    hx_console_printf("%s%-16s %-8s %-12s %-8s %12s %5s %-16s %s%s\n", hx_console_style(HX_STYLE_STRONG), "NAME", "VERSION",
                      "STATE", "PREVIOUS", "CALLS", "SWAPS", "PROVIDES", "USED-BY", hx_console_style(HX_STYLE_PLAIN));
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

static void add_identity(struct info *info, const struct hx_module *module, const struct hx_version *version)
{
    char text[16];
    hx_version_text(version->record->version, text);
    add(info, "name:      %s\nversion:   %s\nsummary:   %s\nstate:     %s\n", module->name, text, version->record->summary,
        hx_module_state_name(module->state));
    if (module->previous) {
        hx_version_text(module->previous->record->version, text);
        add(info, "probation: %s %s comes back if this version fails\n", module->previous->record->name, text);
    }
    if (module->fault[0])
        add(info, "fault:     %s\n", module->fault);
    add(info, "file:      %zu bytes, XXH64 %016llx\n", version->file.bytes, (unsigned long long)version->file_hash);
    add(info, "loaded:    %llu ms after boot, %u swaps, %llu calls\n", (unsigned long long)(module->loaded_ns / 1000000u),
        module->swaps, (unsigned long long)hx_module_calls(module));
}

static void add_image(struct info *info, const struct hx_image *image)
{
    add(info, "image:     %zu bytes at 0x%llx, %u relocations, %u imports\n", image->bytes, (unsigned long long)image->va,
        image->relocation_count, image->import_count);
    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        if (image->part[part].bytes > 0)
            add(info, "  %-8s 0x%llx, %zu bytes\n", hx_image_part_name((enum hx_image_part)part),
                (unsigned long long)(image->va + image->part[part].off), image->part[part].bytes);
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

static void add_declarations(struct info *info, const struct hx_version *version)
{
    for (uint32_t i = 0; i < version->irqs_count; i++)
        add(info, "interrupt: %s on line %u\n", version->irqs[i].key, version->irqs[i].line);
    for (uint32_t i = 0; i < version->ports_count; i++)
        add(info, "ports:     0x%x to 0x%x\n", version->ports[i].first, version->ports[i].last);
    for (uint32_t i = 0; i < version->params_count; i++)
        add_parameter(info, &version->params[i]);
    if (version->schema)
        add(info, "state:     %zu bytes, schema %016llx\n", version->state_bytes, (unsigned long long)version->schema);
    for (uint32_t i = 0; i < version->fields_count; i++)
        add(info, "  %-16s %u x %u bytes\n", version->fields[i].name, version->fields[i].count,
            version->fields[i].elem_bytes);
    add(info, "hooks:    ");
    for (uint32_t hook = 0; hook < HX_HOOK_COUNT; hook++)
        if (hx_version_has_hook(version, (enum hx_hook)hook))
            add(info, " %s", hx_hook_name((enum hx_hook)hook));
    add(info, "\n");
}

/* HX_E_NOENT: no such module. */
static hx_status_t describe_module(struct info *info, const char *name)
{
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    const struct hx_version *version = module ? module->running : NULL;
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
    hx_status_t err = peek(file, &record);
    if (err != HX_OK) {
        hx_console_printf("%-24s %8zu bytes, not a module: %s\n", name, file.bytes, hx_err_text(err));
        return;
    }
    hx_version_text(record.version, version);
    hx_console_printf("%-24s %8zu bytes, %s %s: %s\n", name, file.bytes, record.name, version, record.summary);
}

static void list_files(void)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    for (uint32_t i = 0; pack && i < pack->count && !hx_console_interrupted(); i++)
        print_file(pack->entries[i].name, pack->entries[i].content);
    hx_console_printf("modinfo: %u files in the initrd\n", pack ? pack->count : 0u);
}

static hx_status_t cmd_modinfo(int argc, char **argv)
{
    if (argc > 2)
        return hx_command_usage(argv[0]);
    if (argc == 1) {
        list_files();
        return HX_OK;
    }
    struct info info = { .text = hx_hal_alloc(INFO_TEXT_BYTES) };
    if (!info.text)
        return hx_command_refuse(argv[0], argv[1], HX_E_NOMEM, NULL);
    struct hx_slice file;
    hx_status_t err = describe_module(&info, argv[1]);
    if (err == HX_OK)
        hx_console_text(info.text, info.used);
    else if ((err = find_file(argv[1], &file)) == HX_OK)
        print_file(argv[1], file);
    hx_hal_free(info.text);
    return err == HX_OK ? HX_OK : refuse_module(argv[0], argv[1]);
}

/* ---- changes -------------------------------------------------------------------------------------------------------- */
static const char *advice_for(hx_status_t err)
{
    switch (err) {
    case HX_E_IN_USE: return "rmmod its users first, see lsmod";
    case HX_E_TIMEOUT:
    case HX_E_BUSY: return "what ran before runs on, try again";
    case HX_E_FAULT: return "what ran before runs on, see dmesg";
    case HX_E_VERSION: return "see modinfo for the versions there are";
    default: return "nothing was changed";
    }
}

/* One line from a report. Messages that say themselves what to do have a semicolon. */
static hx_status_t refuse_by_report(const char *command, const char *what, hx_status_t err, const struct hx_report *report)
{
    const char *message = report->message[0] ? report->message : hx_err_text(err);
    bool has_advice = memchr(message, ';', strlen(message)) != NULL;
    hx_console_printf("%s%s: %s: %s: %s: %s%s%s%s\n", hx_console_style(HX_STYLE_ERROR), command, what,
                      report->step ? report->step : "request", hx_err_name(err), message, has_advice ? "" : "; ",
                      has_advice ? "" : advice_for(err), hx_console_style(HX_STYLE_PLAIN));
    return err;
}

static void version_of(const char *name, char out[16])
{
    hx_fmt(out, 16, "-");
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    if (module && module->running)
        hx_version_text(module->running->record->version, out);
    hx_preempt_enable();
}

/* Puts the words from @argv on together again, separated by a blank. HX_E_LIMIT. */
static hx_status_t join_parameters(int argc, char **argv, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < argc; i++) {
        if (used + strlen(argv[i]) + 2 > bytes)
            return HX_E_LIMIT;
        used = hx_fmt_append(out, bytes, used, i ? " %s" : "%s", argv[i]);
    }
    return HX_OK;
}

static hx_status_t cmd_insmod(int argc, char **argv)
{
    char params[HX_PARAM_TEXT_MAX], version[16];
    struct hx_job job = { .kind = HX_JOB_LOAD, .priority = CONSOLE_PRIORITY, .params = params, .who = "console" };
    if (argc < 2)
        return hx_command_usage(argv[0]);
    if (find_file(argv[1], &job.file) != HX_OK)
        return refuse_file(argv[0], argv[1]);
    if (join_parameters(argc - 2, argv + 2, params, sizeof(params)) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_LIMIT, "give parameters of at most 127 bytes together");
    hx_status_t err = hx_engine_run(&job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job.report);
    version_of(job.loaded, version);
    hx_console_printf("insmod: loaded %s %s\n", job.loaded, version);
    return HX_OK;
}

/* A job on a module named by the owner; an unknown name is refused here. */
static hx_status_t prepare_job(const char *command, enum hx_job_kind kind, const char *name, struct hx_job *job)
{
    hx_preempt_disable();
    bool exists = strlen(name) < HX_NAME_MAX && hx_module_find(name);
    hx_preempt_enable();
    if (!exists)
        return refuse_module(command, name);
    *job = (struct hx_job){ .kind = kind, .priority = CONSOLE_PRIORITY, .who = "console" };
    hx_fmt(job->module, sizeof(job->module), "%s", name);
    return HX_OK;
}

static hx_status_t cmd_rmmod(int argc, char **argv)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], HX_JOB_UNLOAD, argv[1], &job);
    if (err != HX_OK)
        return err;
    err = hx_engine_run(&job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job.report);
    hx_console_printf("rmmod: unloaded %s\n", argv[1]);
    return HX_OK;
}

/* ---- swaps ---------------------------------------------------------------------------------------------------------- */
static void version_pair(const struct hx_swap_record *record, char *out, size_t bytes)
{
    char old_text[16], new_text[16];
    hx_version_text(record->old_version, old_text);
    hx_version_text(record->new_version, new_text);
    bool same = strcmp(record->old_name, record->new_name) == 0 || record->new_name[0] == '\0';
    hx_fmt(out, bytes, "%s %s -> %s%s%s", record->old_name, old_text, same ? "" : record->new_name, same ? "" : " ",
           record->new_version ? new_text : "?");
}

static void print_swap(const char *command, const struct hx_swap_record *record)
{
    char pair[112];
    version_pair(record, pair, sizeof(pair));
    hx_console_printf("%s: %s, %llu bytes of state (%s), total %llu.%03u us, blackout %llu.%03u us, %s\n", command, pair,
                      (unsigned long long)record->state_bytes, hx_state_way_name(record->way),
                      (unsigned long long)(record->total_ns / 1000u), (uint32_t)(record->total_ns % 1000u),
                      (unsigned long long)(record->blackout_ns / 1000u), (uint32_t)(record->blackout_ns % 1000u),
                      hx_swap_outcome_name(record->outcome));
}

static hx_status_t run_swap_job(char **argv, struct hx_job *job)
{
    hx_status_t err = hx_engine_run(job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, job->swap.number ? &job->swap.report : &job->report);
    print_swap(argv[0], &job->swap);
    return HX_OK;
}

static hx_status_t cmd_reload(int argc, char **argv)
{
    struct hx_job job;
    if (argc < 2 || argc > 3)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], HX_JOB_RELOAD, argv[1], &job);
    if (err != HX_OK)
        return err;
    job.may_downgrade = argc == 3;
    if (argc == 3 && find_file(argv[2], &job.file) != HX_OK)
        return refuse_file(argv[0], argv[2]);
    if (argc == 2 && find_newest(argv[1], &job.file) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_NOENT, "name the file to load, modinfo lists them");
    return run_swap_job(argv, &job);
}

static hx_status_t end_probation(int argc, char **argv, enum hx_job_kind kind)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], kind, argv[1], &job);
    return err == HX_OK ? run_swap_job(argv, &job) : err;
}

static hx_status_t cmd_commit(int argc, char **argv)
{
    return end_probation(argc, argv, HX_JOB_COMMIT);
}

static hx_status_t cmd_rollback(int argc, char **argv)
{
    return end_probation(argc, argv, HX_JOB_ROLLBACK);
}

static bool copy_swap(uint64_t number, struct hx_swap_record *out)
{
    hx_preempt_disable();
    const struct hx_swap_record *record = hx_history_get(number);
    if (record)
        *out = *record;
    hx_preempt_enable();
    return record != NULL;
}

static void print_history_row(const struct hx_swap_record *record)
{
    char pair[112];
    version_pair(record, pair, sizeof(pair));
    hx_console_printf("%4llu %8llu.%03u %-8s %-36s %9llu %-6s %8llu.%03u %8llu.%03u %-9s",
                      (unsigned long long)record->number, (unsigned long long)(record->at_ns / 1000000000u),
                      (uint32_t)(record->at_ns / 1000000u % 1000u), record->who, pair,
                      (unsigned long long)record->state_bytes, hx_state_way_name(record->way),
                      (unsigned long long)(record->total_ns / 1000u), (uint32_t)(record->total_ns % 1000u),
                      (unsigned long long)(record->blackout_ns / 1000u), (uint32_t)(record->blackout_ns % 1000u),
                      hx_swap_outcome_name(record->outcome));
    if (record->outcome == HX_SWAP_REVERTED)
        hx_console_printf(" after %llu calls:", (unsigned long long)record->calls_since);
    if (record->outcome == HX_SWAP_REVERTED || record->outcome == HX_SWAP_REFUSED)
        hx_console_printf(" %s: %s: %s", record->report.step ? record->report.step : "?",
                          hx_err_name(record->report.err), record->report.message);
    hx_console_printf("\n");
}

static hx_status_t cmd_swaps(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    struct hx_swap_record record;
    uint64_t last = hx_history_last(), first = last > HX_HISTORY_ENTRIES ? last - HX_HISTORY_ENTRIES + 1 : 1;
    hx_console_printf("%s%4s %12s %-8s %-36s %9s %-6s %12s %12s %-9s %s%s\n", hx_console_style(HX_STYLE_STRONG), "NUM",
                      "AT-S", "WHO", "WHAT", "STATE", "WAY", "TOTAL-US", "BLACKOUT-US", "OUTCOME", "REASON",
                      hx_console_style(HX_STYLE_PLAIN));
    for (uint64_t number = first; number <= last && !hx_console_interrupted(); number++)
        if (copy_swap(number, &record))
            print_history_row(&record);
    if (first > 1)
        hx_console_printf("swaps: %llu earlier entries were dropped\n", (unsigned long long)(first - 1));
    return HX_OK;
}

static hx_status_t cmd_reloads(int argc, char **argv)
{
    bool on = hx_engine_reloads();
    if (argc > 2 || (argc == 2 && hx_console_switch_parse(argv[1], &on) != HX_OK))
        return hx_command_usage(argv[0]);
    hx_engine_set_reloads(on);
    hx_console_printf("reloads %s\n", on ? "on" : "off");
    return HX_OK;
}

const struct hx_command hx_commands_modules[] = {
    { .name = "lsmod", .arguments = "", .summary = "loaded modules", .handler = cmd_lsmod,
      .help = "PREVIOUS is the version that comes back if the running one fails on probation." },
    { .name = "modinfo", .arguments = "[NAME|FILE]", .summary = "all about a module, or the files of the initrd",
      .handler = cmd_modinfo, .complete = complete_modules_and_files },
    { .name = "insmod", .arguments = "FILE [PARAM=VALUE...]", .summary = "load a module from the initrd",
      .handler = cmd_insmod, .complete = complete_files },
    { .name = "rmmod", .arguments = "NAME", .summary = "unload a module", .handler = cmd_rmmod,
      .complete = complete_modules },
    { .name = "reload", .arguments = "NAME [FILE]", .summary = "replace a running module, its state carried over",
      .handler = cmd_reload,
      .help = "Without FILE: by the highest version of NAME in the initrd. With FILE: by that file, an older version or\n"
              "another module that provides the same included. Refused at any step, the old version runs on.",
      .complete = complete_reload },
    { .name = "swaps", .arguments = "", .summary = "what became of each reload", .handler = cmd_swaps },
    { .name = "commit", .arguments = "NAME", .summary = "end a module's probation: the new version stays",
      .handler = cmd_commit, .complete = complete_modules },
    { .name = "rollback", .arguments = "NAME", .summary = "end a module's probation: the previous version comes back",
      .handler = cmd_rollback, .complete = complete_modules },
    { .name = "reloads", .arguments = "[on|off]", .summary = "whether reloads are taken", .handler = cmd_reloads,
      .words = "on off" },
    { .name = NULL },
};
