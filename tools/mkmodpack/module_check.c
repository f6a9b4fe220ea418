/* SPDX-License-Identifier: MIT */
/*
 * module_check.c - refuse what the kernel would refuse of one module, all of it at once.
 *
 * The records are checked by the kernel's own code (module/records.h). What is here the kernel asks of its registry, which
 * this program does not have: the interfaces that it is built with, and what the imports mean.
 */
#include "module_check.h"

#include "kernel_names.h"
#include "kernel_types.h"

#include <stdlib.h>

/* ---- the records ----------------------------------------------------------------------------------------------------- */
struct told {
    const struct hx_mp_module *module;
    struct hx_mp_findings *findings;
};

static bool find_violation(void *context, hx_status_t err, const char *subject, const char *message)
{
    const struct told *told = context;

    (void)subject;
    hx_mp_find_error(told->findings, err, told->module->path, "%s", message);
    return true;
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */
static void check_against_kernel(const struct hx_mp_module *module, const struct hx_interface_record *record,
                                 struct hx_mp_findings *findings)
{
    size_t count;
    const struct hx_mp_kernel_interface *known = hx_mp_kernel_interfaces(&count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(known[i].prefix, record->prefix) == 0 &&
            !hx_ops_agree(hx_mp_ops(module, record), record->version, known[i].ops, known[i].version))
            hx_mp_find_error(
                findings, HX_E_VERSION, module->path,
                "another %s: version %s does not agree with the kernel's %s; build it with this kernel's headers",
                hx_mp_interface_name(record->prefix).text, hx_mp_interface_version_text(record->version).text,
                hx_mp_interface_version_text(known[i].version).text);
}

static void check_interfaces(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < module->records.provides_count; i++)
        check_against_kernel(module, &module->records.provides[i], findings);
    for (size_t i = 0; i < module->records.requires_count; i++)
        check_against_kernel(module, &module->records.requires[i], findings);
}

/* Linking took every name that looks like an operation of a required interface; now the lists of operations are there. */
static void check_imports(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < module->imports.count; i++) {
        const char *name = module->imports.name[i];
        const struct hx_interface_record *meant = NULL;
        const struct hx_mp_export *export = hx_mp_export_called(name);
        bool found = export != NULL;

        if (export && !hx_records_ask_for(module->bytes, export->needs))
            hx_mp_find_error(findings, HX_E_PERM, module->path,
                             "import of %s without a capability of type %s; declare it with %s", name,
                             hx_capability_type_name(export->needs), hx_capability_type_macro(export->needs));
        for (size_t j = 0; j < module->records.requires_count && !found; j++) {
            const struct hx_interface_record *required = &module->records.requires[j];
            const char *operation = hx_mp_operation_called(name, required);

            if (!operation)
                continue;
            meant = required;
            found = hx_ops_index(hx_mp_ops(module, meant), operation, strlen(operation)) >= 0;
        }
        if (!found && meant) /* a weak symbol may stay without a meaning */
            hx_mp_find_error(findings, HX_E_SYMBOL, module->path,
                             "unknown operation %s: %s %s has none of that name; require a newer version", name,
                             hx_mp_interface_name(meant->prefix).text,
                             hx_mp_interface_version_text(meant->version).text);
    }
}

/* ---- types ----------------------------------------------------------------------------------------------------------- */
void hx_mp_find_type(const char *path, const struct hx_mp_type *mine, const struct hx_mp_type *other, const char *there,
                     const char *advice, struct hx_mp_findings *findings)
{
    char *difference = hx_mp_type_difference(mine->text, "here", other->text, there);

    hx_mp_find_error(findings, HX_E_VERSION, path, "another type of %s: %s; %s", mine->name,
                     difference ? difference : "not enough memory to say more", advice);
    free(difference);
}

static void check_types(const struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    const struct hx_mp_types kernel = { .type = (struct hx_mp_type *)(uintptr_t)hx_mp_kernel_types,
                                        .count = hx_mp_kernel_types_count };

    for (size_t i = 0; i < module->types.count; i++) {
        const struct hx_mp_type *mine = &module->types.type[i], *own = hx_mp_types_find(&kernel, mine->name);

        if (own && own->type != mine->type)
            hx_mp_find_type(module->path, mine, own, "in this kernel", "build it with this kernel's headers", findings);
    }
}

bool hx_mp_module_check(struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    struct told told = { .module = module, .findings = findings };
    const struct hx_records_sink sink = { .violation = find_violation, .context = &told };
    unsigned int before = findings->count;

    if (hx_records_check(module->image, module->bytes, &sink, &module->records) != HX_OK)
        return false;
    check_interfaces(module, findings);
    check_types(module, findings);
    if (findings->count == before)
        check_imports(module, findings);
    if (findings->count == before)
        module->record = module->records.module;
    return findings->count == before;
}
