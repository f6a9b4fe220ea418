/* SPDX-License-Identifier: MIT */
/*
 * version_records.c - what the kernel calls and keeps of a version, made from the checked records of its linked image.
 *
 * Invariant: records are checked once, here, while the loader's image is at hand (records.h); whoever uses a version
 *            trusts them. They lie in the image's read-only part.
 */
#include "version_steps.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#include "module.h"

static void vtable_clear(struct hx_gate_vtable *vtable)
{
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable->op[i] = (const void *)hx_gate_op_unsupported;
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */

/* What is held since before linking is what the records name; now the lists of operations are there to be compared. */
static hx_status_t check_requires(struct hx_version *version, const struct hx_records *records,
                                  struct hx_report *report)
{
    if (records->requires_count != version->requires_count)
        return hx_report_fail(report, HX_E_FORMAT, "requires",
                              "its requires records cannot be read before it is linked; build it again");
    for (uint32_t i = 0; i < records->requires_count; i++) {
        const struct hx_interface_record *record = &records->requires[i];
        if (!hx_interface_agrees(version->requires[i].interface, record->version,
                                 hx_records_ops(version->image, record)))
            return hx_report_fail(report, HX_E_VERSION, record->prefix,
                                  "interface %s: the module's operations differ from those of its provider's version; "
                                  "build both sides with the same header",
                                  record->prefix);
    }
    return HX_OK;
}

/* ---- types ----------------------------------------------------------------------------------------------------------- */

static hx_status_t refuse_type(const struct hx_version *version, const struct hx_type_record *record, const char *whose,
                               const char *advice, struct hx_report *report)
{
    char name[HX_TYPES_NAME_MAX], fault[HX_TYPES_FAULT_MAX];
    hx_types_name(&version->types, record, name);
    if (hx_types_check(&version->types, (uint32_t)(record - version->types.record), fault) != HX_OK)
        return hx_report_fail(report, HX_E_FORMAT, HX_TYPES_SECTION, "%s", fault);
    return hx_report_fail(report, HX_E_VERSION, name, "%s: its type differs from %s; %s", name, whose, advice);
}

static hx_status_t check_type_of(const struct hx_version *version, const struct hx_version *other,
                                 struct hx_report *report)
{
    const struct hx_type_record *record = hx_types_against(&version->types, &other->types);
    char whose[HX_NAME_MAX + 8];
    if (!record)
        return HX_OK;
    hx_fmt(whose, sizeof(whose), "that of %s", hx_version_name(other));
    return refuse_type(version, record, whose, "build both with the same header", report);
}

/* Before any code of it runs: it means the same as the kernel, its providers and, if it is to be one, its users. */
static hx_status_t check_types(struct hx_version *version, const struct hx_version_set *set, struct hx_report *report)
{
    char fault[HX_TYPES_FAULT_MAX];
    hx_status_t err = hx_types_read(version->file, &version->types, fault);
    if (err != HX_OK)
        return hx_report_fail(report, err, HX_TYPES_SECTION, "%s", fault);
    const struct hx_type_record *record = hx_types_against_kernel(&version->types);
    if (record)
        return refuse_type(version, record, "this kernel's", "rebuild with this kernel's SDK", report);
    for (uint32_t i = 0; i < version->requires_count && err == HX_OK; i++) {
        const struct hx_module *provider = hx_version_set_provider(set, version->requires[i].interface);
        if (provider)
            err = check_type_of(version, hx_version_to_be(set, provider), report);
    }
    return err;
}

/* Those who are replaced in the same step are looked at when they are made. */
static hx_status_t check_users(const struct hx_version *version, const struct hx_version_set *set,
                               const struct hx_interface *interface, struct hx_report *report)
{
    const struct hx_interface_use *use = NULL;
    hx_status_t err = HX_OK;
    TAILQ_FOREACH(use, &interface->uses, link)
        if (err == HX_OK && !hx_version_set_has(set, use->user->module))
            err = check_type_of(version, use->user, report);
    return err;
}

/* Whoever has offered it so far goes in the same step. */
static bool replaces_all(const struct hx_version_set *set, const char *prefix)
{
    const struct hx_interface *interface = hx_interface_find(prefix);
    const struct hx_module *owner = interface ? hx_module_claiming(interface) : NULL;
    return owner && hx_version_set_has(set, owner);
}

static hx_status_t offer_provides(struct hx_version *version, const struct hx_version_set *set,
                                  const struct hx_records *records, struct hx_report *report)
{
    for (uint32_t i = 0; i < records->provides_count; i++) {
        const struct hx_interface_record *record = &records->provides[i];
        struct hx_provided *provided = &version->provides[i];
        provided->offer =
            (struct hx_interface_offer){ .ops = hx_records_ops(version->image, record), .version = record->version };
        hx_status_t err = hx_interface_offer(record->prefix, &provided->offer, replaces_all(set, record->prefix),
                                             &provided->interface, report);
        if (err != HX_OK)
            return err;
        version->provides_count++;
        err = check_users(version, set, provided->interface, report);
        if (err != HX_OK)
            return err;
        provided->version = record->version;
        vtable_clear(&provided->vtable);
        provided->op_count = hx_records_vtable(version->image, record, provided->vtable.op);
    }
    return HX_OK;
}

/* ---- hooks and interrupts -------------------------------------------------------------------------------------------- */

static void release_hooks(struct hx_ledger_node *node)
{
    hx_slot_destroy(HX_VERSION_OF(node, hooks_node)->hooks);
}

static hx_status_t publish_hooks(struct hx_version *version, struct hx_report *report)
{
    vtable_clear(&version->hooks_vtable);
    for (uint32_t i = 0; i < HX_HOOK_COUNT; i++) {
        const void *hook = hx_records_hook(version->record, (enum hx_hook)i);
        if (hook)
            version->hooks_vtable.op[i] = hook;
    }
    char slot_name[HX_NAME_MAX];
    hx_fmt(slot_name, sizeof(slot_name), "%.20s:hooks", version->record->name);
    version->hooks = hx_slot_create(slot_name, HX_SLOT_KIND_HOOKS, true);
    if (!version->hooks)
        return hx_report_fail(report, HX_E_LIMIT, "slots", "all %u slots are taken; unload a module",
                              (unsigned)HX_SLOTS_MAX);
    hx_slot_publish(version->hooks, &version->hooks_vtable, version);
    hx_ledger_enter(&version->ledger, &version->hooks_node, "hooks", release_hooks);
    return HX_OK;
}

static void collect_callbacks(struct hx_version *version)
{
    vtable_clear(&version->callbacks_vtable);
    for (uint32_t i = 0; i < version->irqs_count; i++)
        version->callbacks_vtable.op[i] = (const void *)version->irqs[i].handler;
    vtable_clear(&version->calls_vtable);
}

/* ---- the declared state ---------------------------------------------------------------------------------------------- */

/* The name is part of it: two modules that declare alike need not mean alike. 0: nothing is declared. */
static uint64_t schema_of(const struct hx_version *version, const struct hx_fields *fields)
{
    const char *name = version->record->name;
    return fields->count ? hx_fields_schema(fields, hx_hash_name(name, strlen(name))) : 0;
}

static void describe_state(struct hx_version *version, const struct hx_records *records)
{
    const struct hx_image_piece *part = &version->image->part[HX_PART_STATE];
    version->state_mapped = (part->bytes + HX_PAGE_BYTES - 1) / HX_PAGE_BYTES * HX_PAGE_BYTES;
    version->state = part->bytes ? part->memory : NULL;
    version->state_bytes = records->state_bytes;
    version->schema = schema_of(version, &version->fields);
    version->record_schema = schema_of(version, &version->record_fields);
    hx_fields_reset(&version->fields, version->state);
}

/* ---- parameters ----------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t value = 0;
    uint32_t base = 10;
    if (bytes > 2 && text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
        bytes -= 2;
    }
    for (size_t i = 0; i < bytes; i++) {
        uint32_t digit = text[i] >= 'a' && text[i] <= 'f' ? (uint32_t)(text[i] - 'a') + 10 : (uint32_t)(text[i] - '0');
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *out = value;
    return bytes > 0;
}

static hx_status_t set_param(struct hx_version *version, const char *name, size_t name_bytes, const char *text,
                             size_t text_bytes, struct hx_report *report)
{
    for (uint32_t i = 0; i < version->params_count; i++) {
        const struct hx_param_record *param = &version->params[i];
        uint64_t value = 0;
        if (strlen(param->name) != name_bytes || strncmp(param->name, name, name_bytes) != 0)
            continue;
        if (!parse_number(text, text_bytes, &value) || (param->bytes < 8 && value >> (param->bytes * 8)))
            return hx_report_fail(report, HX_E_RANGE, param->name, "parameter %s: %.*s is not a number of %u bytes",
                                  param->name, (int)text_bytes, text, param->bytes);
        /* x86 is little-endian: the low bytes of the value are the variable. */
        memcpy(param->variable, &value, param->bytes);
        return HX_OK;
    }
    return hx_report_fail(report, HX_E_NOENT, "parameter", "it has no parameter %.*s; modinfo lists them",
                          (int)name_bytes, name);
}

static hx_status_t set_params(struct hx_version *version, const char *text, struct hx_report *report)
{
    hx_status_t err = HX_OK;
    if (strlen(text) >= sizeof(version->params_text))
        return hx_report_fail(report, HX_E_LIMIT, "parameter", "parameters are longer than %u bytes",
                              (unsigned)sizeof(version->params_text) - 1);
    hx_fmt(version->params_text, sizeof(version->params_text), "%s", text);
    while (err == HX_OK && *text) {
        size_t word = 0, name = 0;
        while (text[word] && text[word] != ' ')
            word++;
        while (name < word && text[name] != '=')
            name++;
        if (word && name == word)
            return hx_report_fail(report, HX_E_FORMAT, "parameter", "%.*s: say name=value", (int)word, text);
        if (word && strncmp(text, HX_PARAM_QUOTA, sizeof(HX_PARAM_QUOTA) - 1) != 0)
            err = set_param(version, text, name, text + name + 1, word - name - 1, report);
        text += word + (text[word] == ' ');
    }
    return err;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

static bool refuse_first(void *context, hx_status_t err, const char *subject, const char *message)
{
    (void)hx_report_fail(context, err, subject, "%s", message);
    return false;
}

static void keep(struct hx_version *version, const struct hx_records *records)
{
    version->record = records->module;
    version->irqs = records->irqs;
    version->irqs_count = records->irqs_count;
    version->callbacks = records->callbacks;
    version->callbacks_count = records->callbacks_count;
    version->channels = records->channels;
    version->channels_count = records->channels_count;
    version->topics = records->topics;
    version->topics_count = records->topics_count;
    version->sources = records->sources;
    version->sources_count = records->sources_count;
    version->ports = records->ports;
    version->ports_count = records->ports_count;
    version->params = records->params;
    version->params_count = records->params_count;
    version->fields = records->fields;
    version->record_region = records->record;
    version->record_fields = records->record_fields;
    version->constructors = records->constructors;
    version->constructors_count = records->constructors_count;
    version->destructors = records->destructors;
    version->destructors_count = records->destructors_count;
}

hx_status_t hx_version_read_records(struct hx_version *version, const struct hx_version_set *set, const char *params,
                                    struct hx_report *report)
{
    const struct hx_records_sink sink = { .violation = refuse_first, .context = report };
    struct hx_records records;
    hx_status_t err = hx_records_check(version->image, version->file, &sink, &records);
    if (err != HX_OK)
        return err;
    keep(version, &records);
    collect_callbacks(version);
    describe_state(version, &records);
    err = check_requires(version, &records, report);
    if (err == HX_OK)
        err = check_types(version, set, report);
    if (err == HX_OK)
        err = offer_provides(version, set, &records, report);
    if (err == HX_OK)
        err = set_params(version, params, report);
    if (err == HX_OK)
        err = publish_hooks(version, report);
    return err;
}
