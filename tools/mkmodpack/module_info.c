/* SPDX-License-Identifier: MIT */
/*
 * module_info.c - link a module in this program's memory, as if for the kernel's module area.
 *
 * Why not just read the sections: a record's pointers exist only once the file is linked, and a file that the kernel's
 * loader refuses must not get into a pack. The image is linked for an address of the kernel and never run.
 */
#include "module_info.h"

#include "host_image.h"
#include "kernel_names.h"
#include "module_check.h"
#include "module_types.h"

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
static hx_status_t env_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
    const struct names *names = context;
    struct hx_interface_record record;
    bool known = hx_mp_export_called(name) != NULL;

    (void)weak;
    for (uint64_t at = 0; !known && hx_slice_read(names->requires, at, &record, sizeof(record)) == HX_OK;
         at += sizeof(record))
        known = hx_mp_operation_called(name, &record) != NULL;
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
    case HX_E_UNSUPPORTED: return "compile it with the flags that mkmodpack(1) names";
    case HX_E_LIMIT: return "make it smaller";
    case HX_E_NOMEM: return "free some memory";
    default: return "build it again";
    }
}

static bool link_module(struct hx_mp_module *module, struct hx_mp_findings *findings)
{
    struct names names = { .host = { .base = IMAGE_VA } };
    struct hx_ldr_env env = hx_mp_host_env(&names.host);
    struct hx_ldr_report report = { 0 };
    hx_status_t err;

    env.resolve = env_resolve;
    env.names_hint = "each must be a kernel export or of an interface named by HX_REQUIRES";
    /* A file that cannot be read has none; the load says what is wrong with it. */
    names.requires = hx_records_peek_interfaces(module->bytes, HX_RECORDS_REQUIRES);
    err = hx_ldr_load(module->bytes, &env, &module->image, &report);
    if (err == HX_OK)
        return true;
    module->image = NULL;
    /* Some of its messages say what to do already. */
    if (strstr(report.message, "; "))
        hx_mp_find_error(findings, err, module->path, "the kernel's loader refuses it: %s", report.message);
    else
        hx_mp_find_error(findings, err, module->path, "the kernel's loader refuses it: %s; %s", report.message,
                         advice(err));
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
        hx_mp_find_error(findings, HX_E_FORMAT, out->path,
                         "broken symbol table: libelf cannot read it; build it again");
        return false;
    }
    return hx_mp_module_types_read(&out->types, out->bytes, out->path, findings) && hx_mp_module_check(out, findings);
}

void hx_mp_module_close(struct hx_mp_module *module)
{
    struct names names = { .host = { .base = IMAGE_VA } };
    struct hx_ldr_env env = hx_mp_host_env(&names.host);

    hx_ldr_unload(module->image, &env);
    hx_mp_imports_free(&module->imports);
    hx_mp_types_free(&module->types);
    *module = (struct hx_mp_module){ 0 };
}

/* ---- records --------------------------------------------------------------------------------------------------------- */
const struct hx_interface_record *hx_mp_provides(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.provides_count;
    return module->records.provides;
}

const struct hx_interface_record *hx_mp_requires(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.requires_count;
    return module->records.requires;
}

const struct hx_irq_record *hx_mp_irqs(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.irqs_count;
    return module->records.irqs;
}

const struct hx_callback_record *hx_mp_callbacks(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.callbacks_count;
    return module->records.callbacks;
}

const struct hx_channel_record *hx_mp_channels(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.channels_count;
    return module->records.channels;
}

const struct hx_topic_record *hx_mp_topics(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.topics_count;
    return module->records.topics;
}

const struct hx_ports_record *hx_mp_ports(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.ports_count;
    return module->records.ports;
}

const struct hx_param_record *hx_mp_params(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.params_count;
    return module->records.params;
}

const struct hx_field_record *hx_mp_fields(const struct hx_mp_module *module, size_t *out_count)
{
    *out_count = module->records.fields.count;
    return module->records.fields.field;
}

const void *hx_mp_at(const struct hx_mp_module *module, const void *pointer, size_t bytes)
{
    return hx_image_at(module->image, (uintptr_t)pointer, bytes);
}

struct hx_slice hx_mp_ops(const struct hx_mp_module *module, const struct hx_interface_record *record)
{
    return hx_records_ops(module->image, record);
}

const char *hx_mp_operation_called(const char *name, const struct hx_interface_record *record)
{
    size_t bytes = strnlen(record->prefix, HX_NAME_MAX);
    bool is_meant = bytes > 0 && bytes < HX_NAME_MAX && strncmp(name, record->prefix, bytes) == 0 && name[bytes] == '_';

    return is_meant ? name + bytes + 1 : NULL;
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

    hx_interface_display(prefix, out.text);
    return out;
}
