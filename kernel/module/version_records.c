/* SPDX-License-Identifier: MIT */
/*
 * version_records.c - the records of a linked image: checked, and made into what the kernel calls.
 *
 * Invariant: a record is checked once, here, while the loader's image is at hand; whoever uses a version trusts its
 *            records. They lie in the image's read-only part.
 */
#include "version_steps.h"

#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

/* A line for people: terminated, printable ASCII. */
static bool summary_is_proper(const char summary[HX_SUMMARY_MAX])
{
    for (uint32_t i = 0; i < HX_SUMMARY_MAX; i++) {
        if (!summary[i])
            return true;
        if (summary[i] < ' ' || summary[i] > '~')
            return false;
    }
    return false;
}

/* ---- records -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t bytes;
    uint32_t max;
} record_kind[HX_RECORDS_COUNT] = {
    [HX_RECORDS_MODULE] = { ".hx.module", sizeof(struct hx_module_record), 1 },
    [HX_RECORDS_PROVIDES] = { ".hx.provides", sizeof(struct hx_interface_record), HX_PROVIDES_MAX },
    [HX_RECORDS_REQUIRES] = { ".hx.requires", sizeof(struct hx_interface_record), HX_REQUIRES_MAX },
    [HX_RECORDS_IRQS] = { ".hx.irqs", sizeof(struct hx_irq_record), HX_IRQS_MAX },
    [HX_RECORDS_PORTS] = { ".hx.ports", sizeof(struct hx_ports_record), HX_PORTS_MAX },
    [HX_RECORDS_PARAMS] = { ".hx.params", sizeof(struct hx_param_record), HX_PARAMS_MAX },
    [HX_RECORDS_FIELDS] = { ".hx.fields", sizeof(struct hx_field_record), HX_FIELDS_MAX },
};

/* The array of one kind: whole records, not too many, aligned as the kernel reads them. */
static hx_status_t records_of(struct hx_version *version, enum hx_image_records kind, const void **out,
                              uint32_t *out_count, struct hx_report *report)
{
    const struct hx_image_range *range = &version->image->records[kind];
    const uint8_t *at = version->image->part[HX_PART_RODATA].memory + range->off;
    uint32_t bytes = record_kind[kind].bytes;
    uint32_t count = (uint32_t)(range->bytes / bytes);
    if (range->bytes % bytes || (uintptr_t)at % _Alignof(uint16_t) ||
        (kind != HX_RECORDS_PORTS && (uintptr_t)at % _Alignof(void *)))
        return hx_report_fail(report, HX_E_FORMAT, record_kind[kind].name,
                              "section %s does not hold whole records of %u bytes; use the macros of <helix/module.h>",
                              record_kind[kind].name, bytes);
    if (count > record_kind[kind].max)
        return hx_report_fail(report, kind == HX_RECORDS_MODULE ? HX_E_FORMAT : HX_E_LIMIT, record_kind[kind].name,
                              "section %s has %u records; the limit is %u", record_kind[kind].name, count,
                              record_kind[kind].max);
    *out = count ? at : NULL;
    *out_count = count;
    return HX_OK;
}

static bool is_code(const struct hx_version *version, const void *function)
{
    return hx_image_is_code(version->image, (uintptr_t)function);
}

static void vtable_clear(struct hx_gate_vtable *vtable)
{
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable->op[i] = (const void *)hx_gate_op_unsupported;
}

static hx_status_t check_module_record(struct hx_version *version, struct hx_report *report)
{
    uint32_t count = 0;
    const void *records = NULL;
    hx_status_t err = records_of(version, HX_RECORDS_MODULE, &records, &count, report);
    if (err != HX_OK)
        return err;
    const struct hx_module_record *record = records;
    if (count != 1)
        return hx_report_fail(report, HX_E_FORMAT, ".hx.module",
                              "not a Helix module: it has no HX_MODULE descriptor (section .hx.module)");
    if (record->magic != HX_MODULE_MAGIC)
        return hx_report_fail(report, HX_E_FORMAT, ".hx.module", "descriptor magic is 0x%x, not 0x%x", record->magic,
                              HX_MODULE_MAGIC);
    if (HX_VERSION_MAJOR(record->abi) != HX_VERSION_MAJOR(HX_ABI) || record->abi > HX_ABI ||
        record->bytes != sizeof(*record))
        return hx_report_fail(
            report, HX_E_ABI, "abi",
            "built for ABI %u.%u (descriptor of %u bytes), this kernel has %u.%u (%u bytes); rebuild it "
            "with this kernel's headers",
            HX_VERSION_MAJOR(record->abi), HX_VERSION_MINOR(record->abi), record->bytes, HX_VERSION_MAJOR(HX_ABI),
            HX_VERSION_MINOR(HX_ABI), (unsigned)sizeof(*record));
    if (!hx_name_is_proper(record->name) || !summary_is_proper(record->summary))
        return hx_report_fail(report, HX_E_FORMAT, ".hx.module",
                              "the module's name must be 1 to %u of [A-Za-z0-9_.+-], its summary printable text",
                              (unsigned)HX_NAME_MAX - 1);
    version->record = record;
    return HX_OK;
}

static void release_hooks(struct hx_ledger_node *node)
{
    hx_slot_destroy(HX_VERSION_OF(node, hooks_node)->hooks);
}

static hx_status_t read_hooks(struct hx_version *version, struct hx_report *report)
{
    const void *hook[HX_HOOK_COUNT];
    memcpy(hook, &version->record->hooks, sizeof(hook));
    vtable_clear(&version->hooks_vtable);
    for (uint32_t i = 0; i < HX_HOOK_COUNT; i++) {
        if (!hook[i])
            continue;
        if (!is_code(version, hook[i]))
            return hx_report_fail(report, HX_E_RANGE, hx_hook_name((enum hx_hook)i),
                                  "hook %s points to %p, outside the module's code", hx_hook_name((enum hx_hook)i),
                                  hook[i]);
        version->hooks_vtable.op[i] = hook[i];
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

/* The list of operations behind a record's pointer, if it lies in the image as declared. */
static hx_status_t record_ops(const struct hx_version *version, const struct hx_interface_record *record,
                              struct hx_slice *out, struct hx_report *report)
{
    const void *ops = hx_name_is_proper(record->prefix)
                          ? hx_image_at(version->image, (uintptr_t)record->ops, record->ops_bytes)
                          : NULL;
    if (!ops || record->ops_bytes == 0)
        return hx_report_fail(report, HX_E_RANGE, "interface",
                              "an interface record's list of operations lies outside "
                              "the image; use the macros of <helix/module.h>");
    *out = hx_slice_of(ops, record->ops_bytes);
    return HX_OK;
}

static hx_status_t check_requires(struct hx_version *version, struct hx_report *report)
{
    const void *records = NULL;
    uint32_t count = 0;
    hx_status_t err = records_of(version, HX_RECORDS_REQUIRES, &records, &count, report);
    const struct hx_interface_record *record = records;
    if (err == HX_OK && count != version->requires_count)
        err =
            hx_report_fail(report, HX_E_FORMAT, "requires", "its requires records cannot be read before it is linked");
    for (uint32_t i = 0; err == HX_OK && i < count; i++) {
        struct hx_slice ops;
        const struct hx_interface_use *use = &version->requires[i];
        err = record_ops(version, &record[i], &ops, report);
        if (err != HX_OK)
            break;
        if (use->version != record[i].version ||
            strcmp(hx_slot_info(use->interface->slot)->name, record[i].prefix) != 0)
            err = hx_report_fail(report, HX_E_FORMAT, record[i].prefix, "requires record %u is changed by a relocation",
                                 i);
        else if (hx_interface_count_ops(ops) < 0 || !hx_interface_agrees(use->interface, record[i].version, ops))
            err = hx_report_fail(report, HX_E_VERSION, record[i].prefix,
                                 "interface %s: the module's operations differ from those of its provider; build both "
                                 "sides with the same header",
                                 record[i].prefix);
    }
    return err;
}

static hx_status_t read_vtable(struct hx_version *version, const struct hx_interface_record *record, uint32_t op_count,
                               struct hx_gate_vtable *out, struct hx_report *report)
{
    struct hx_ops_head head;
    size_t bytes = sizeof(head) + op_count * sizeof(void *);
    const uint8_t *vtable = hx_image_at(version->image, (uintptr_t)record->vtable, bytes);
    if (!vtable)
        return hx_report_fail(report, HX_E_RANGE, record->prefix, "interface %s: its vtable lies outside the image",
                              record->prefix);
    memcpy(&head, vtable, sizeof(head));
    if (head.version != record->version || head.bytes != bytes)
        return hx_report_fail(
            report, HX_E_FORMAT, record->prefix,
            "interface %s: the vtable's head says %u bytes, the list of operations makes %u; start it "
            "with HX_OPS_HEAD",
            record->prefix, head.bytes, (unsigned)bytes);
    vtable_clear(out);
    for (uint32_t i = 0; i < op_count; i++) {
        const void *op = NULL;
        memcpy(&op, vtable + sizeof(head) + i * sizeof(op), sizeof(op));
        if (!is_code(version, op))
            return hx_report_fail(report, HX_E_RANGE, record->prefix,
                                  "interface %s: operation %u points to %p, outside the module's code", record->prefix,
                                  i, op);
        out->op[i] = op;
    }
    return HX_OK;
}

static hx_status_t read_provides(struct hx_version *version, struct hx_report *report)
{
    const void *records = NULL;
    uint32_t count = 0;
    hx_status_t err = records_of(version, HX_RECORDS_PROVIDES, &records, &count, report);
    const struct hx_interface_record *record = records;
    for (uint32_t i = 0; err == HX_OK && i < count; i++) {
        struct hx_provided *provided = &version->provides[i];
        struct hx_slice ops;
        err = record_ops(version, &record[i], &ops, report);
        if (err != HX_OK)
            break;
        hx_ret_t op_count = hx_interface_count_ops(ops);
        const struct hx_interface *known = hx_interface_find(record[i].prefix);
        if (known && hx_version_provided(version, known))
            return hx_report_fail(report, HX_E_EXIST, record[i].prefix, "interface %s is provided twice",
                                  record[i].prefix);
        provided->offer = (struct hx_interface_offer){ .ops = ops, .version = record[i].version };
        err = hx_interface_offer(record[i].prefix, &provided->offer, &provided->interface, report);
        if (err != HX_OK)
            break;
        version->provides_count++;
        provided->version = record[i].version;
        provided->op_count = (uint32_t)op_count;
        err = read_vtable(version, &record[i], provided->op_count, &provided->vtable, report);
    }
    return err;
}

static hx_status_t read_irqs(struct hx_version *version, struct hx_report *report)
{
    const void *records = NULL;
    hx_status_t err = records_of(version, HX_RECORDS_IRQS, &records, &version->irqs_count, report);
    version->irqs = records;
    vtable_clear(&version->callbacks_vtable);
    for (uint32_t i = 0; err == HX_OK && i < version->irqs_count; i++) {
        const struct hx_irq_record *irq = &version->irqs[i];
        if (!hx_name_is_proper(irq->key) || irq->line > 15 || irq->flags != 0)
            return hx_report_fail(report, HX_E_RANGE, "irq", "interrupt record %u: key, line or flags are out of range",
                                  i);
        if (!is_code(version, (const void *)irq->handler))
            return hx_report_fail(report, HX_E_RANGE, irq->key,
                                  "interrupt %s: its handler lies outside the module's code", irq->key);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(irq->key, version->irqs[j].key) == 0)
                return hx_report_fail(report, HX_E_EXIST, irq->key, "interrupt %s is declared twice", irq->key);
        version->callbacks_vtable.op[i] = (const void *)irq->handler;
    }
    return err;
}

static hx_status_t read_ports(struct hx_version *version, struct hx_report *report)
{
    const void *records = NULL;
    hx_status_t err = records_of(version, HX_RECORDS_PORTS, &records, &version->ports_count, report);
    version->ports = records;
    for (uint32_t i = 0; err == HX_OK && i < version->ports_count; i++)
        if (version->ports[i].first > version->ports[i].last)
            err = hx_report_fail(report, HX_E_RANGE, "ports", "port range 0x%x-0x%x is empty", version->ports[i].first,
                                 version->ports[i].last);
    return err;
}

enum { STATE_PADDING = 8 }; /* the state's structure ends less than that behind its last field */

static hx_status_t check_field(const struct hx_version *version, uint32_t index, struct hx_report *report)
{
    static const uint8_t type_bytes[] = { [HX_FIELD_u8] = 1,  [HX_FIELD_u16] = 2, [HX_FIELD_u32] = 4,
                                          [HX_FIELD_u64] = 8, [HX_FIELD_i32] = 4, [HX_FIELD_i64] = 8 };
    const struct hx_field_record *field = &version->fields[index];
    if (!hx_name_is_proper(field->name))
        return hx_report_fail(report, HX_E_FORMAT, "state", "state field %u has no proper name", index);
    uint64_t bytes = (uint64_t)field->count * field->elem_bytes;
    uint64_t end = field->offset + bytes;
    if (field->type == 0 || field->type >= HX_ARRAY_SIZE(type_bytes) || field->elem_bytes != type_bytes[field->type] ||
        field->count == 0 || end > version->image->part[HX_PART_STATE].bytes)
        return hx_report_fail(
            report, HX_E_RANGE, field->name,
            "state field %s: its type or place does not fit the module's state of %u bytes; declare it "
            "with HX_STATE",
            field->name, (unsigned)version->image->part[HX_PART_STATE].bytes);
    return HX_OK;
}

static hx_status_t read_fields(struct hx_version *version, struct hx_report *report)
{
    const void *records = NULL;
    hx_status_t err = records_of(version, HX_RECORDS_FIELDS, &records, &version->fields_count, report);
    if (err != HX_OK)
        return err;
    const struct hx_image_piece *part = &version->image->part[HX_PART_STATE];
    version->fields = records;
    version->state_mapped = (part->bytes + HX_PAGE_BYTES - 1) / HX_PAGE_BYTES * HX_PAGE_BYTES;
    version->state = part->bytes ? part->memory : NULL;
    for (uint32_t i = 0; err == HX_OK && i < version->fields_count; i++) {
        const struct hx_field_record *field = &version->fields[i];
        size_t end = field->offset + (size_t)field->count * field->elem_bytes;
        err = check_field(version, i, report);
        if (end > version->state_bytes)
            version->state_bytes = end;
    }
    /* Fields are counted from the section's start, and pages of it stand in for those of the next version. */
    if (err == HX_OK && version->fields_count && part->bytes >= version->state_bytes + STATE_PADDING)
        return hx_report_fail(report, HX_E_FORMAT, HX_STATE_SECTION,
                              "section %s has %u bytes, its fields %u; only HX_STATE puts something there",
                              HX_STATE_SECTION, (unsigned)part->bytes, (unsigned)version->state_bytes);
    if (version->fields_count)
        /* The name is part of it: two modules that declare alike need not mean alike. */
        version->schema = hx_hash_xxh64(version->fields, version->fields_count * sizeof(*version->fields),
                                        hx_hash_name(version->record->name, strlen(version->record->name))) |
                          1;
    else if (version->state)
        err = hx_report_fail(report, HX_E_FORMAT, HX_STATE_SECTION,
                             "section %s without fields; declare it with HX_STATE", HX_STATE_SECTION);
    return err;
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

static hx_status_t read_params(struct hx_version *version, const char *text, struct hx_report *report)
{
    const void *records = NULL;
    hx_status_t err = records_of(version, HX_RECORDS_PARAMS, &records, &version->params_count, report);
    version->params = records;
    for (uint32_t i = 0; err == HX_OK && i < version->params_count; i++) {
        const struct hx_param_record *param = &version->params[i];
        bool sized = param->bytes == 1 || param->bytes == 2 || param->bytes == 4 || param->bytes == 8;
        if (!hx_name_is_proper(param->name) || !summary_is_proper(param->summary) || !sized ||
            !hx_image_in_part(version->image, (uintptr_t)param->variable, HX_PART_DATA) ||
            !hx_image_at(version->image, (uintptr_t)param->variable, param->bytes))
            return hx_report_fail(report, HX_E_RANGE, "parameter", "parameter record %u is malformed; use HX_PARAM", i);
    }
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
        if (word)
            err = set_param(version, text, name, text + name + 1, word - name - 1, report);
        text += word + (text[word] == ' ');
    }
    return err;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

hx_status_t hx_version_read_records(struct hx_version *version, const char *params, struct hx_report *report)
{
    hx_status_t err = check_module_record(version, report);
    if (err == HX_OK)
        err = check_requires(version, report);
    if (err == HX_OK)
        err = read_provides(version, report);
    if (err == HX_OK)
        err = read_irqs(version, report);
    if (err == HX_OK)
        err = read_ports(version, report);
    if (err == HX_OK)
        err = read_fields(version, report);
    if (err == HX_OK)
        err = read_params(version, params, report);
    if (err == HX_OK)
        err = read_hooks(version, report);
    return err;
}
