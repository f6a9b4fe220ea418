/* SPDX-License-Identifier: MIT */
/*
 * module_info.c - link a module in this program's memory, as if for the kernel's module area.
 *
 * Why not just read the sections: a record's pointers exist only once the file is linked, and a file that the kernel's
 * loader refuses must not get into a pack. The image is linked for an address of the kernel and never run.
 */
#include "module_info.h"

#include "host_image.h"
#include "module_check.h"

#include <stdio.h>
#include <stdlib.h>

/* Any address does at which the relocations of -mcmodel=kernel fit; this one lies where the kernel loads modules. */
#define IMAGE_VA ((uintptr_t)0xffffffffa0000000)
#define IMPORT_VA ((uint64_t)0xffffffff80100000) /* of every import: nothing is ever called */

/* What names are resolved against. */
struct names {
    struct hx_mp_host host;   /* first: it is the environment's context */
    struct hx_slice requires; /* unlinked records */
};

/* ---- environment of the loader --------------------------------------------------------------------------------------- */
/* Whether @name is written as an operation of the interface that @record requires; which operations it has is only known
 * once the file is linked. */
static bool has_prefix_of(const char *name, const struct hx_interface_record *record)
{
    size_t bytes = strnlen(record->prefix, HX_NAME_MAX);

    return bytes > 0 && bytes < HX_NAME_MAX && strncmp(name, record->prefix, bytes) == 0 && name[bytes] == '_';
}

static hx_status_t env_resolve(void *context, const char *name, bool weak, uint64_t *out_value)
{
    const struct names *names = context;
    struct hx_interface_record record;
    bool known = hx_mp_is_export(name);

    (void)weak;
    for (uint64_t at = 0; !known && hx_slice_read(names->requires, at, &record, sizeof(record)) == HX_OK;
         at += sizeof(record))
        known = has_prefix_of(name, &record);
    if (!known)
        return HX_E_SYMBOL;
    *out_value = IMPORT_VA;
    return HX_OK;
}

static const char *advice(hx_status_t err)
{
    switch (err) {
    case HX_E_SYMBOL: return "use what helix/kernel.h exports, and require each interface that is called (HX_REQUIRES)";
    case HX_E_RELOC:
    case HX_E_RANGE:
    case HX_E_UNSUPPORTED: return "compile with the flags of pkg-config --cflags helix-sdk";
    case HX_E_NOMEM: return "free some memory";
    default: return "build it again";
    }
}

static bool link_module(struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    struct names names = { .host = { .base = IMAGE_VA } };
    struct hx_ldr_env env = hx_mp_host_env(&names.host);
    struct hx_ldr_report report = { 0 };
    hx_status_t err = hx_ldr_peek(module->bytes, HX_RECORDS_REQUIRES, &names.requires);

    env.resolve = env_resolve;
    /* Other errors of the peek are found again, and reported, by the load. */
    if (err != HX_OK)
        names.requires = (struct hx_slice){ 0 };
    err = hx_ldr_load(module->bytes, &env, &module->image, &report);
    if (err == HX_OK)
        return true;
    module->image = NULL;
    hx_mp_find(findings, module->path, "the kernel's loader refuses it: %s; %s", report.message, advice(err));
    return false;
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
bool hx_mp_module_open_bytes(struct hx_mp_module *out, const char *path, const char *name, struct hx_slice bytes,
                             struct hx_mp_findings *findings)
{
    const struct hx_mp_file file = { .path = (char *)(uintptr_t)path, .name = name, .bytes = bytes };

    return hx_mp_module_open(out, &file, findings);
}

bool hx_mp_module_open(struct hx_mp_module *out, const struct hx_mp_file *file, struct hx_mp_findings *findings)
{
    *out = (struct hx_mp_module){ .path = file->path, .name = file->name, .bytes = file->bytes };
    if (!hx_mp_object_check(file, findings) || !link_module(out, findings))
        return false;
    if (!hx_mp_object_imports(out->bytes, &out->imports)) {
        hx_mp_find(findings, out->path, "broken symbol table: libelf cannot read it; build it again");
        return false;
    }
    return hx_mp_module_check(out, findings);
}

void hx_mp_module_close(struct hx_mp_module *module)
{
    struct names names = { .host = { .base = IMAGE_VA } };
    struct hx_ldr_env env = hx_mp_host_env(&names.host);

    hx_ldr_unload(module->image, &env);
    hx_mp_imports_free(&module->imports);
    *module = (struct hx_mp_module){ 0 };
}

/* ---- records --------------------------------------------------------------------------------------------------------- */
static const struct {
    const char *section;
    size_t bytes;
} record_kinds[HX_RECORDS_COUNT] = {
    [HX_RECORDS_MODULE] = { ".hx.module", sizeof(struct hx_module_record) },
    [HX_RECORDS_PROVIDES] = { ".hx.provides", sizeof(struct hx_interface_record) },
    [HX_RECORDS_REQUIRES] = { ".hx.requires", sizeof(struct hx_interface_record) },
    [HX_RECORDS_IRQS] = { ".hx.irqs", sizeof(struct hx_irq_record) },
    [HX_RECORDS_PORTS] = { ".hx.ports", sizeof(struct hx_ports_record) },
    [HX_RECORDS_PARAMS] = { ".hx.params", sizeof(struct hx_param_record) },
    [HX_RECORDS_FIELDS] = { ".hx.fields", sizeof(struct hx_field_record) },
};

const char *hx_mp_records_section(enum hx_image_records kind)
{
    return record_kinds[kind].section;
}

size_t hx_mp_record_bytes(enum hx_image_records kind)
{
    return record_kinds[kind].bytes;
}

static const void *records(const struct hx_mp_module *module, enum hx_image_records kind, size_t *out_count)
{
    *out_count = module->image->records[kind].bytes / record_kinds[kind].bytes;
    return module->image->part[HX_PART_RODATA].memory + module->image->records[kind].off;
}

const struct hx_interface_record *hx_mp_provides(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_PROVIDES, out_count);
}

const struct hx_interface_record *hx_mp_requires(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_REQUIRES, out_count);
}

const struct hx_irq_record *hx_mp_irqs(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_IRQS, out_count);
}

const struct hx_ports_record *hx_mp_ports(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_PORTS, out_count);
}

const struct hx_param_record *hx_mp_params(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_PARAMS, out_count);
}

const struct hx_field_record *hx_mp_fields(const struct hx_mp_module *module, size_t *out_count)
{
    return records(module, HX_RECORDS_FIELDS, out_count);
}

const void *hx_mp_at(const struct hx_mp_module *module, const void *pointer, size_t bytes)
{
    return hx_image_at(module->image, (uintptr_t)pointer, bytes);
}

struct hx_slice hx_mp_ops(const struct hx_mp_module *module, const struct hx_interface_record *record)
{
    const void *text = hx_mp_at(module, record->ops, record->ops_bytes);

    return text ? hx_slice_of(text, record->ops_bytes) : (struct hx_slice){ 0 };
}

/* ---- texts ----------------------------------------------------------------------------------------------------------- */
struct hx_mp_text hx_mp_version_text(uint32_t version)
{
    struct hx_mp_text out;

    snprintf(out.text, sizeof(out.text), "%u.%u.%u", HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version),
             HX_VERSION_PATCH(version));
    return out;
}

struct hx_mp_text hx_mp_interface_version_text(uint32_t version)
{
    struct hx_mp_text out;

    snprintf(out.text, sizeof(out.text), "%u.%u", HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version));
    return out;
}

struct hx_mp_text hx_mp_interface_name(const char *prefix)
{
    struct hx_mp_text out;
    char *separator;

    snprintf(out.text, sizeof(out.text), "%.*s", HX_NAME_MAX, prefix);
    separator = strchr(out.text, '_');
    if (separator)
        *separator = '.';
    return out;
}
