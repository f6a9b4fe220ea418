/* SPDX-License-Identifier: MIT */
/*
 * module_check.c - refuse what the kernel would refuse in a module's records, all of it at once.
 *
 * Why not the kernel's own code: it stops at the first refusal and takes slots as it goes; here a person wants the list.
 *            The limits are the kernel's (module/version.h), and so are the rules.
 * Invariant: checks of pointers come before anything is read through them.
 */
#include "module_check.h"

#include <gate/interfaces.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#include <module/version.h>

#define USE_MACROS "use the macros of helix/module.h"

/* ---- what the kernel knows ------------------------------------------------------------------------------------------- */
#define EXPORT_NAME(name, ...) #name,
static const char *const exports[] = { HX_EXPORTS(EXPORT_NAME) };
#undef EXPORT_NAME

struct kernel_interface {
    const char *prefix;
    uint32_t version;
    struct hx_slice ops;
};

#define OPS_TEXT(prefix, PREFIX, sleepable) static const char prefix##_ops_text[] = PREFIX##_OPS(HX_OP_TEXT_);
HX_KERNEL_INTERFACES(OPS_TEXT)
#undef OPS_TEXT
#define INTERFACE(prefix, PREFIX, sleepable)                                                                           \
    { #prefix, PREFIX##_VERSION, { (const uint8_t *)prefix##_ops_text, sizeof(prefix##_ops_text) } },
static const struct kernel_interface kernel_interfaces[] = { HX_KERNEL_INTERFACES(INTERFACE) };
#undef INTERFACE

bool hx_mp_is_export(const char *name)
{
    for (size_t i = 0; i < HX_ARRAY_SIZE(exports); i++)
        if (strcmp(exports[i], name) == 0)
            return true;
    return false;
}

/* ---- small checks ---------------------------------------------------------------------------------------------------- */
/* Ends within @max bytes and can be shown on a terminal. */
static bool is_text(const char *text, size_t max)
{
    size_t bytes = strnlen(text, max);

    for (size_t i = 0; i < bytes; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return bytes < max;
}

static bool is_name(const char name[HX_NAME_MAX])
{
    return name[0] != '\0' && is_text(name, HX_NAME_MAX) && !strchr(name, ' ');
}

static bool is_code(const struct hx_mp_module *module, const void *function)
{
    return hx_image_is_code(module->image, (uintptr_t)function);
}

/* ---- lists of operations --------------------------------------------------------------------------------------------- */
int hx_mp_ops_count(struct hx_slice ops)
{
    const char *op;
    int count = 0;

    for (uint64_t at = 0; (op = hx_slice_string(ops, at)) != NULL; at += strlen(op) + 1) {
        if (op[0] == '\0')
            return at + 1 == ops.bytes ? count : -1;
        if (!is_text(op, ops.bytes) || !strchr(op, '(') || ++count > HX_OPS_MAX)
            return -1;
    }
    return -1;
}

bool hx_mp_ops_agree(struct hx_slice a, uint32_t a_version, struct hx_slice b, uint32_t b_version)
{
    size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;

    /* Without the closing empty name of the shorter list, which stands where the longer goes on. */
    return HX_VERSION_MAJOR(a_version) == HX_VERSION_MAJOR(b_version) && common > 0 &&
           memcmp(a.data, b.data, common - 1) == 0;
}

bool hx_mp_ops_has(struct hx_slice ops, const char *name)
{
    size_t bytes = strlen(name);
    const char *op;

    for (uint64_t at = 0; (op = hx_slice_string(ops, at)) != NULL && op[0] != '\0'; at += strlen(op) + 1)
        if (strncmp(op, name, bytes) == 0 && op[bytes] == '(')
            return true;
    return false;
}

/* ---- counts ---------------------------------------------------------------------------------------------------------- */
static const size_t record_max[HX_RECORDS_COUNT] = {
    [HX_RECORDS_MODULE] = 1,
    [HX_RECORDS_PROVIDES] = HX_PROVIDES_MAX,
    [HX_RECORDS_REQUIRES] = HX_REQUIRES_MAX,
    [HX_RECORDS_IRQS] = HX_IRQS_MAX,
    [HX_RECORDS_PORTS] = HX_PORTS_MAX,
    [HX_RECORDS_PARAMS] = HX_PARAMS_MAX,
    [HX_RECORDS_FIELDS] = HX_FIELDS_MAX,
};

static bool check_counts(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    unsigned int before = findings->count;

    for (unsigned int k = 0; k < HX_RECORDS_COUNT; k++) {
        enum hx_image_records kind = (enum hx_image_records)k;
        size_t bytes = module->image->records[kind].bytes;
        size_t each = hx_mp_record_bytes(kind);

        if (bytes % each != 0 || module->image->records[kind].off % (kind == HX_RECORDS_PORTS ? 2 : 8) != 0)
            hx_mp_find(findings, module->path, "broken section %s: %zu bytes are no whole records of %zu; " USE_MACROS,
                       hx_mp_records_section(kind), bytes, each);
        else if (bytes / each > record_max[kind])
            hx_mp_find(findings, module->path, "too many records in %s: %zu, at most %zu are allowed; declare fewer",
                       hx_mp_records_section(kind), bytes / each, record_max[kind]);
    }
    return findings->count == before;
}

/* ---- the module ------------------------------------------------------------------------------------------------------ */
static bool check_descriptor(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    const struct hx_module_record *record =
        (const void *)(module->image->part[HX_PART_RODATA].memory + module->image->records[HX_RECORDS_MODULE].off);

    if (module->image->records[HX_RECORDS_MODULE].bytes == 0)
        hx_mp_find(findings, module->path,
                   "not a Helix module: section .hx.module is missing; describe it with HX_MODULE");
    else if (record->magic != HX_MODULE_MAGIC)
        hx_mp_find(findings, module->path, "broken descriptor: its magic is 0x%08x, not 0x%08x; " USE_MACROS,
                   record->magic, HX_MODULE_MAGIC);
    else if (HX_VERSION_MAJOR(record->abi) != HX_VERSION_MAJOR(HX_ABI) || record->abi > HX_ABI ||
             record->bytes != sizeof(*record))
        hx_mp_find(
            findings, module->path,
            "wrong ABI: built for %s with a descriptor of %u bytes, this kernel has %s and %zu; build it with this "
            "kernel's headers",
            hx_mp_version_text(record->abi).text, record->bytes, hx_mp_version_text(HX_ABI).text, sizeof(*record));
    else if (!is_name(record->name) || !is_text(record->summary, sizeof(record->summary)))
        hx_mp_find(findings, module->path, "broken descriptor: name or summary is no text; " USE_MACROS);
    else
        return true;
    return false;
}

static void check_hooks(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    const void *hook[HX_HOOK_COUNT];

    memcpy(hook, &module->record->hooks, sizeof(hook));
    for (unsigned int i = 0; i < HX_HOOK_COUNT; i++)
        if (hook[i] && !is_code(module, hook[i]))
            hx_mp_find(findings, module->path, "broken hook %u: %p is outside the module's code; name a function of it",
                       i, hook[i]);
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */
static void check_against_kernel(const struct hx_mp_module *module, const struct hx_interface_record *record,
                                 struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < HX_ARRAY_SIZE(kernel_interfaces); i++) {
        const struct kernel_interface *known = &kernel_interfaces[i];

        if (strcmp(known->prefix, record->prefix) == 0 &&
            !hx_mp_ops_agree(hx_mp_ops(module, record), record->version, known->ops, known->version))
            hx_mp_find(
                findings, module->path,
                "another %s: version %s does not agree with the kernel's %s; build it with this kernel's headers",
                hx_mp_interface_name(record->prefix).text, hx_mp_interface_version_text(record->version).text,
                hx_mp_interface_version_text(known->version).text);
    }
}

static bool check_interface(const struct hx_mp_module *module, const struct hx_interface_record *record,
                            struct hx_mp_findings *findings)
{
    if (!is_name(record->prefix)) {
        hx_mp_find(findings, module->path, "broken interface record: its name is no text; " USE_MACROS);
        return false;
    }
    if (hx_mp_ops_count(hx_mp_ops(module, record)) < 0) {
        hx_mp_find(findings, module->path,
                   "broken list of operations of %s: it lies outside the image or does not end; " USE_MACROS,
                   hx_mp_interface_name(record->prefix).text);
        return false;
    }
    check_against_kernel(module, record, findings);
    return true;
}

static void check_vtable(const struct hx_mp_module *module, const struct hx_interface_record *record,
                         struct hx_mp_findings *findings)
{
    struct hx_mp_text name = hx_mp_interface_name(record->prefix);
    size_t count = (size_t)hx_mp_ops_count(hx_mp_ops(module, record));
    size_t bytes = sizeof(struct hx_ops_head) + count * sizeof(void *);
    const uint8_t *vtable = hx_mp_at(module, record->vtable, bytes);
    struct hx_ops_head head;

    if (!vtable) {
        hx_mp_find(findings, module->path, "broken vtable of %s: it lies outside the image; " USE_MACROS, name.text);
        return;
    }
    memcpy(&head, vtable, sizeof(head));
    if (head.version != record->version || head.bytes != bytes)
        hx_mp_find(findings, module->path,
                   "broken vtable of %s: its head says version %s and %u bytes, the record %s and %zu; start it with "
                   "HX_OPS_HEAD",
                   name.text, hx_mp_interface_version_text(head.version).text, head.bytes,
                   hx_mp_interface_version_text(record->version).text, bytes);
    for (size_t i = 0; i < count; i++) {
        const void *op;

        memcpy(&op, vtable + sizeof(head) + i * sizeof(op), sizeof(op));
        if (!is_code(module, op))
            hx_mp_find(findings, module->path,
                       "operation %zu of %s is missing: %p is outside the module's code; write it, or provide an older "
                       "version of the interface",
                       i, name.text, op);
    }
}

static void check_interfaces(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    size_t provides_count, requires_count;
    const struct hx_interface_record *provides = hx_mp_provides(module, &provides_count);
    const struct hx_interface_record *requires = hx_mp_requires(module, &requires_count);

    for (size_t i = 0; i < provides_count; i++) {
        if (!check_interface(module, &provides[i], findings))
            continue;
        check_vtable(module, &provides[i], findings);
        for (size_t j = 0; j < i; j++)
            if (strncmp(provides[i].prefix, provides[j].prefix, HX_NAME_MAX) == 0)
                hx_mp_find(findings, module->path, "%s is provided twice: one vtable an interface; leave one out",
                           hx_mp_interface_name(provides[i].prefix).text);
    }
    for (size_t i = 0; i < requires_count; i++)
        (void)check_interface(module, &requires[i], findings);
}

/* Linking took every name that looks like an operation of a required interface; now the lists of operations are there. */
static void check_imports(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    size_t count;
    const struct hx_interface_record *requires = hx_mp_requires(module, &count);

    for (size_t i = 0; i < module->imports.count; i++) {
        const char *name = module->imports.name[i];
        const struct hx_interface_record *meant = NULL;
        bool found = hx_mp_is_export(name);

        for (size_t j = 0; j < count && !found; j++) {
            size_t bytes = strlen(requires[j].prefix);

            if (strncmp(name, requires[j].prefix, bytes) != 0 || name[bytes] != '_')
                continue;
            meant = &requires[j];
            found = hx_mp_ops_has(hx_mp_ops(module, meant), name + bytes + 1);
        }
        if (!found && meant) /* a weak symbol may stay without a meaning */
            hx_mp_find(findings, module->path,
                       "unknown operation %s: %s %s has none of that name; require a newer version", name,
                       hx_mp_interface_name(meant->prefix).text, hx_mp_interface_version_text(meant->version).text);
    }
}

/* ---- declarations ---------------------------------------------------------------------------------------------------- */
static void check_irqs(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++) {
        if (!is_name(irq[i].key) || irq[i].line > 15 || irq[i].flags != 0)
            hx_mp_find(findings, module->path,
                       "broken interrupt record %zu: line %u, flags 0x%x; lines are 0 to 15, flags 0", i, irq[i].line,
                       irq[i].flags);
        if (!is_code(module, (const void *)irq[i].handler))
            hx_mp_find(findings, module->path,
                       "broken interrupt record %zu: its handler is outside the module's code; "
                       "name a function of it",
                       i);
        for (size_t j = 0; j < i; j++)
            if (strncmp(irq[i].key, irq[j].key, HX_NAME_MAX) == 0)
                hx_mp_find(findings, module->path, "interrupt key %.*s is declared twice; choose another", HX_NAME_MAX,
                           irq[i].key);
    }
}

static void check_ports(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    size_t count;
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);

    for (size_t i = 0; i < count; i++)
        if (ports[i].first > ports[i].last)
            hx_mp_find(findings, module->path, "empty port range: 0x%x to 0x%x; put the lower port first",
                       ports[i].first, ports[i].last);
}

static void check_params(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    size_t count;
    const struct hx_param_record *param = hx_mp_params(module, &count);

    for (size_t i = 0; i < count; i++) {
        bool sized = param[i].bytes == 1 || param[i].bytes == 2 || param[i].bytes == 4 || param[i].bytes == 8;

        if (!is_name(param[i].name) || !is_text(param[i].summary, sizeof(param[i].summary)) || !sized ||
            !hx_image_in_part(module->image, (uintptr_t)param[i].variable, HX_PART_DATA) ||
            !hx_mp_at(module, param[i].variable, param[i].bytes))
            hx_mp_find(findings, module->path,
                       "broken parameter record %zu: its name, size or variable is wrong; use "
                       "HX_PARAM",
                       i);
    }
}

static void check_fields(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    static const uint8_t type_bytes[] = {
        [HX_FIELD_u8] = 1,  [HX_FIELD_u16] = 2, [HX_FIELD_u32] = 4,
        [HX_FIELD_u64] = 8, [HX_FIELD_i32] = 4, [HX_FIELD_i64] = 8,
    };
    size_t state_bytes = module->image->part[HX_PART_STATE].bytes;
    size_t count;
    const struct hx_field_record *field = hx_mp_fields(module, &count);

    if (count == 0 && state_bytes > 0)
        hx_mp_find(findings, module->path,
                   "section " HX_STATE_SECTION " without fields; declare the state with HX_STATE");
    for (size_t i = 0; i < count; i++) {
        uint64_t end = field[i].offset + (uint64_t)field[i].count * field[i].elem_bytes;

        if (!is_name(field[i].name))
            hx_mp_find(findings, module->path, "broken state field %zu: its name is no text; use HX_STATE", i);
        else if (field[i].type == 0 || field[i].type >= HX_ARRAY_SIZE(type_bytes) ||
                 field[i].elem_bytes != type_bytes[field[i].type] || field[i].count == 0 || end > state_bytes)
            hx_mp_find(findings, module->path,
                       "broken state field %s: type or place do not fit the state of %zu bytes; use "
                       "HX_STATE",
                       field[i].name, state_bytes);
    }
}

bool hx_mp_module_check(struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    unsigned int before = findings->count;

    if (!check_counts(module, findings) || !check_descriptor(module, findings))
        return false;
    module->record = (const void *)(module->image->part[HX_PART_RODATA].memory + module->image->records[HX_RECORDS_MODULE].off);
    check_hooks(module, findings);
    check_interfaces(module, findings);
    check_irqs(module, findings);
    check_ports(module, findings);
    check_params(module, findings);
    check_fields(module, findings);
    if (findings->count == before)
        check_imports(module, findings);
    if (findings->count != before)
        module->record = NULL;
    return findings->count == before;
}
