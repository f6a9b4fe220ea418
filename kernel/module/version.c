/* SPDX-License-Identifier: MIT */
/* version.c - a version's life, and what may be asked of it; see version.h. */
#include "version_steps.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

#include "module.h"

/* Entered before the first interface is held, so it counts what there is. */
static void release_interfaces(struct hx_ledger_node *node)
{
    struct hx_version *version = HX_VERSION_OF(node, interfaces_node);
    for (uint32_t i = 0; i < version->requires_count; i++) {
        struct hx_interface_use *use = &version->requires[i];
        TAILQ_REMOVE(&use->interface->uses, use, link);
        hx_interface_release(use->interface);
    }
    for (uint32_t i = 0; i < version->provides_count; i++)
        hx_interface_withdraw(version->provides[i].interface, &version->provides[i].offer);
}

static hx_status_t build(struct hx_version *version, const char *params, struct hx_report *report)
{
    /* Released in the opposite order: what is offered lies in the image. */
    hx_ledger_enter(&version->ledger, &version->image_node, "image", hx_version_release_image);
    hx_ledger_enter(&version->ledger, &version->interfaces_node, "interfaces", release_interfaces);
    hx_status_t err = hx_version_link(version, report);
    return err == HX_OK ? hx_version_read_records(version, params, report) : err;
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
