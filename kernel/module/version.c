/* SPDX-License-Identifier: MIT */
/*
 * version.c - from a file to a version that could run: peek, resolve, link, read the records.
 *
 * Policy: steps do not clean up; hx_version_create() owns every failure path, by way of the ledger.
 * Invariant: a record is checked once, here, while the loader's image is at hand; whoever uses a version trusts its
 *            records. They lie in the image's read-only part.
 */
#include "version.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#include "exports.h"
#include "module.h"

#define NODE_OWNER(node, member) ((struct hx_version *)((char *)(node)-offsetof(struct hx_version, member)))

/* ---- the loader's environment: image memory and heap of the machine, names of the kernel ---------------------------- */

static hx_status_t env_alloc(void *context, size_t bytes, uintptr_t *out_va, uint8_t **out_memory)
{
    (void)context;
    hx_status_t err = hx_hal_image_alloc(bytes, out_va);
    if (err == HX_OK)
        *out_memory = (uint8_t *)*out_va;
    return err;
}

static void env_protect(void *context, uintptr_t va, size_t bytes, enum hx_image_part part)
{
    (void)context;
    static const enum hx_prot prot[HX_PART_COUNT] = {
        [HX_PART_TEXT] = HX_PROT_RX,
        [HX_PART_RODATA] = HX_PROT_R,
        [HX_PART_DATA] = HX_PROT_RW,
        [HX_PART_STATE] = HX_PROT_RW,
    };
    hx_hal_image_protect(va, bytes, prot[part]);
}

static void env_release(void *context, uintptr_t va, uint8_t *memory, size_t bytes)
{
    (void)context, (void)memory;
    hx_hal_image_free(va, bytes);
}

/* A name is a kernel export, or PREFIX_OPERATION of an interface that the module requires; nothing else. */
static hx_status_t env_resolve(void *context, const char *name, bool weak, uint64_t *out_value)
{
    (void)weak;
    struct hx_version *version = context;
    const void *stub = NULL;
    if (hx_exports_find(name, &stub) == HX_OK) {
        *out_value = (uintptr_t)stub;
        return HX_OK;
    }
    for (uint32_t i = 0; i < version->requires_count; i++) {
        struct hx_interface *interface = version->requires[i].interface;
        const char *prefix = hx_slot_info(interface->slot)->name;
        size_t prefix_bytes = strlen(prefix);
        if (strncmp(name, prefix, prefix_bytes) != 0 || name[prefix_bytes] != '_')
            continue;
        const char *op = name + prefix_bytes + 1;
        hx_ret_t index = hx_interface_op(interface, op, strlen(op));
        uintptr_t va = 0;
        if (index < 0)
            continue;
        hx_status_t err = hx_interface_stub(interface, (uint32_t)index, &va);
        *out_value = va;
        return err;
    }
    return HX_E_SYMBOL;
}

static void *env_scratch(void *context, size_t bytes)
{
    (void)context;
    return hx_hal_alloc(bytes);
}

static void env_scratch_free(void *context, void *memory)
{
    (void)context;
    hx_hal_free(memory);
}

static struct hx_ldr_env loader_env(struct hx_version *version)
{
    return (struct hx_ldr_env){ .context = version,
                                .alloc = env_alloc,
                                .protect = env_protect,
                                .release = env_release,
                                .resolve = env_resolve,
                                .scratch = env_scratch,
                                .scratch_free = env_scratch_free };
}

/* ---- releases ------------------------------------------------------------------------------------------------------- */

static void release_image(struct hx_ledger_node *node)
{
    struct hx_version *version = NODE_OWNER(node, image_node);
    struct hx_ldr_env env = loader_env(version);
    hx_ldr_unload(version->image, &env);
}

static void release_hooks(struct hx_ledger_node *node)
{
    hx_slot_destroy(NODE_OWNER(node, hooks_node)->hooks);
}

/* Entered before the first interface is held, so it counts what there is. */
static void release_interfaces(struct hx_ledger_node *node)
{
    struct hx_version *version = NODE_OWNER(node, interfaces_node);
    for (uint32_t i = 0; i < version->requires_count; i++) {
        struct hx_interface_use *use = &version->requires[i];
        TAILQ_REMOVE(&use->interface->uses, use, link);
        hx_interface_release(use->interface);
    }
    for (uint32_t i = 0; i < version->provides_count; i++)
        hx_interface_withdraw(version->provides[i].interface, &version->provides[i].offer);
}

/* ---- what it requires: known before linking, because names resolve to it -------------------------------------------- */

bool hx_name_is_proper(const char name[HX_NAME_MAX])
{
    uint32_t i = 0;
    for (; i < HX_NAME_MAX && name[i]; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '+' && c != '-')
            return false;
    }
    return i > 0 && i < HX_NAME_MAX;
}

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

static hx_status_t check_provider(const struct hx_interface *interface, uint32_t least, struct hx_report *report)
{
    const char *prefix = hx_slot_info(interface->slot)->name;
    char display[HX_NAME_MAX];
    hx_interface_display(prefix, display);
    const struct hx_module *provider = hx_module_providing(interface);
    const struct hx_provided *provided = provider ? hx_version_provided(provider->running, interface) : NULL;
    if (!provided)
        return hx_report_fail(report, HX_E_DEPENDENCY, prefix,
                              "requires %s %u.%u, which no loaded module provides; load its provider first", display,
                              HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least));
    if (provider->state == HX_MODULE_ERROR)
        return hx_report_fail(report, HX_E_DEPENDENCY, prefix,
                              "requires %s, whose provider %s is in Error; rmmod that, insmod a version that works",
                              display, provider->name);
    const struct hx_provided *before =
        provider->previous ? hx_version_provided(provider->previous, interface) : provided;
    if (provided->version >= least && (!before || before->version < least))
        return hx_report_fail(report, HX_E_DEPENDENCY, prefix,
                              "requires %s %u.%u, which %s has on probation only; `commit %s' first", display,
                              HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least), provider->name, provider->name);
    if (provided->version < least)
        return hx_report_fail(report, HX_E_VERSION, prefix, "requires %s %u.%u, but %s provides %u.%u", display,
                              HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least), provider->name,
                              HX_VERSION_MAJOR(provided->version), HX_VERSION_MINOR(provided->version));
    return HX_OK;
}

/*
 * The operations' names are behind a pointer that linking has yet to fill in, so the definition that the provider agreed
 * on decides what a name means; check_requires() compares the two afterwards, before any code runs.
 */
static hx_status_t hold_requires(struct hx_version *version, struct hx_report *report)
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(version->file, HX_RECORDS_REQUIRES, &records);
    if (err != HX_OK) /* none, or a file that the loader will refuse with its reasons */
        return HX_OK;
    uint32_t count = (uint32_t)(records.bytes / sizeof(struct hx_interface_record));
    if (count > HX_REQUIRES_MAX)
        return hx_report_fail(report, HX_E_LIMIT, "requires", "requires %u interfaces; the limit is %u", count,
                              (unsigned)HX_REQUIRES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct hx_interface_record record;
        if (hx_slice_read(records, i * sizeof(record), &record, sizeof(record)) != HX_OK ||
            !hx_name_is_proper(record.prefix))
            return hx_report_fail(report, HX_E_FORMAT, "requires", "requires record %u has no proper name", i);
        struct hx_interface *interface = hx_interface_find(record.prefix);
        if (!interface) {
            char display[HX_NAME_MAX];
            hx_interface_display(record.prefix, display);
            return hx_report_fail(report, HX_E_DEPENDENCY, record.prefix,
                                  "requires %s %u.%u, which no loaded module provides; load its provider first",
                                  display, HX_VERSION_MAJOR(record.version), HX_VERSION_MINOR(record.version));
        }
        err = check_provider(interface, record.version, report);
        if (err != HX_OK)
            return err;
        struct hx_interface_use *use = &version->requires[version->requires_count++];
        *use = (struct hx_interface_use){ .interface = interface, .version = record.version, .user = version };
        TAILQ_INSERT_TAIL(&interface->uses, use, link);
        hx_interface_hold(interface);
    }
    return HX_OK;
}

/* ---- linking -------------------------------------------------------------------------------------------------------- */

static hx_status_t link_image(struct hx_version *version, struct hx_report *report)
{
    struct hx_ldr_report ldr;
    struct hx_ldr_env env = loader_env(version);
    hx_status_t err = hx_ldr_load(version->file, &env, &version->image, &ldr);
    if (err != HX_OK) {
        const char *subject = ldr.symbol[0] ? ldr.symbol : ldr.section;
        return hx_report_fail(report, err, subject, "%s", ldr.message);
    }
    return HX_OK;
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
    const uint8_t *at = version->image->memory + range->off;
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
    return hx_image_in_part(version->image, (uintptr_t)function, HX_PART_TEXT);
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
    const struct hx_image_range *part = &version->image->part[HX_PART_STATE];
    version->fields = records;
    version->state_mapped = (part->bytes + HX_PAGE_BYTES - 1) / HX_PAGE_BYTES * HX_PAGE_BYTES;
    version->state = part->bytes ? version->image->memory + part->off : NULL;
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
        memcpy(version->image->memory + ((uintptr_t)param->variable - version->image->va), &value, param->bytes);
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

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static hx_status_t build(struct hx_version *version, const char *params, struct hx_report *report)
{
    /* Released in the opposite order: what is offered lies in the image. */
    hx_ledger_enter(&version->ledger, &version->image_node, "image", release_image);
    hx_ledger_enter(&version->ledger, &version->interfaces_node, "interfaces", release_interfaces);
    hx_status_t err = hold_requires(version, report);
    if (err == HX_OK)
        err = link_image(version, report);
    if (err == HX_OK)
        err = check_module_record(version, report);
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

hx_status_t hx_version_create(struct hx_module *module, struct hx_slice file, const char *params,
                              struct hx_version **out, struct hx_report *report)
{
    struct hx_version *version = hx_hal_alloc(sizeof(*version));
    if (!version)
        return hx_report_fail(report, HX_E_NOMEM, "version", "not enough memory for a module's records");
    version->module = module;
    version->file = file;
    hx_ledger_init(&version->ledger);
    hx_status_t err = build(version, params, report);
    if (err != HX_OK) {
        hx_version_destroy(version);
        return err;
    }
    version->file_hash = hx_hash_xxh64(file.data, file.bytes, 0);
    *out = version;
    return HX_OK;
}

void hx_version_destroy(struct hx_version *version)
{
    if (!version)
        return;
    hx_ledger_release_all(&version->ledger);
    hx_hal_free(version);
}

hx_status_t hx_version_peek_name(struct hx_slice file, char out[HX_NAME_MAX])
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_MODULE, &records);
    if (err == HX_OK)
        err = hx_slice_read(records, offsetof(struct hx_module_record, name), out, HX_NAME_MAX);
    if (err == HX_OK && !hx_name_is_proper(out))
        err = HX_E_FORMAT;
    return err;
}

void hx_version_text(uint32_t version, char out[16])
{
    hx_fmt(out, 16, "%u.%u.%u", HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version), HX_VERSION_PATCH(version));
}

const char *hx_hook_name(enum hx_hook hook)
{
    static const char *const names[HX_HOOK_COUNT] = { "init",   "start", "stop", "fini", "pause",
                                                      "resume", "save",  "load", "check" };
    return hook < HX_HOOK_COUNT ? names[hook] : "?";
}

hx_ret_t hx_version_hook(struct hx_version *version, enum hx_hook hook, uint64_t argument)
{
    if (!hx_version_has_hook(version, hook))
        return HX_OK;
    return hx_gate_call(version->hooks, hook, argument, 0, 0, 0);
}

hx_status_t hx_version_try_hook(struct hx_version *version, enum hx_hook hook, uint64_t argument,
                                struct hx_report *report)
{
    hx_ret_t result = hx_version_hook(version, hook, argument);
    bool faulted = result == HX_E_FAULT;
    if (result >= 0)
        return HX_OK;
    return hx_report_fail(report, (hx_status_t)result, hx_hook_name(hook), "its %s %s: %s", hx_hook_name(hook),
                          faulted ? "faulted" : "refused", faulted ? version->module->fault : hx_err_text(result));
}

const struct hx_field_record *hx_version_field(const struct hx_version *version, const char *name)
{
    for (uint32_t i = 0; i < version->fields_count; i++)
        if (strcmp(version->fields[i].name, name) == 0)
            return &version->fields[i];
    return NULL;
}

const struct hx_provided *hx_version_provided(const struct hx_version *version, const struct hx_interface *interface)
{
    for (uint32_t i = 0; i < version->provides_count; i++)
        if (version->provides[i].interface == interface)
            return &version->provides[i];
    return NULL;
}

bool hx_version_may_use_port(const struct hx_version *version, uint16_t port)
{
    for (uint32_t i = 0; i < version->ports_count; i++)
        if (port >= version->ports[i].first && port <= version->ports[i].last)
            return true;
    return false;
}
