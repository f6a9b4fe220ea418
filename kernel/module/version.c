/* SPDX-License-Identifier: MIT */
/* version.c - a version's life, and what may be asked of it; see version.h. */
#include "version_steps.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <lib/label.h>
#include <string.h>

#include "module.h"
#include "pushed.h"

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

static hx_status_t build(struct hx_version *version, const struct hx_version_set *set, const char *params,
                         struct hx_report *report)
{
    /* Released in the opposite order: what is offered lies in the image. */
    hx_ledger_enter(&version->ledger, &version->image_node, "image", hx_version_release_image);
    hx_ledger_enter(&version->ledger, &version->interfaces_node, "interfaces", release_interfaces);
    hx_status_t err = hx_version_link(version, set, report);
    return err == HX_OK ? hx_version_read_records(version, set, params, report) : err;
}

hx_status_t hx_version_create(struct hx_module *module, const struct hx_version_set *set, struct hx_slice file,
                              const char *params, struct hx_version **out, struct hx_report *report)
{
    struct hx_version *version = hx_hal_alloc(sizeof(*version));
    if (!version)
        return hx_report_fail(report, HX_E_NOMEM, "version", "not enough memory for a module's records");
    version->module = module;
    version->file = file;
    hx_pushed_borrow(file);
    hx_ledger_init(&version->ledger);
    hx_status_t err = build(version, set, params, report);
    if (err != HX_OK) {
        hx_version_destroy(version);
        return err;
    }
    *out = version;
    return HX_OK;
}

void hx_version_destroy(struct hx_version *version)
{
    if (!version)
        return;
    hx_module_registry_unlock(hx_module_registry_lock());
    hx_ledger_release_all(&version->ledger);
    hx_pushed_give_back(version->file);
    hx_hal_free(version);
}

/* Nobody waits for it on the way to a running module. */
uint64_t hx_version_file_hash(struct hx_version *version)
{
    if (!version->file_hash)
        version->file_hash = hx_hash_xxh64(version->file.data, version->file.bytes, 0);
    return version->file_hash;
}

void hx_version_text(uint32_t version, char out[16])
{
    hx_fmt(out, 16, "%u.%u.%u", HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version), HX_VERSION_PATCH(version));
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
                          faulted ? "faulted" : "refused", faulted ? version->fault : hx_err_text(result));
}

/* ---- init and fini --------------------------------------------------------------------------------------------------- */

/* The operation of the hooks' slot behind the last hook: constructors and destructors, one at a time. */
enum { CALL = HX_HOOK_COUNT };
HX_STATIC_ASSERT((int)CALL < (int)HX_OPS_MAX, "there is an operation to spare");

/* Stands between the gate and a function that returns nothing, so that what is left in its register is taken for nothing.
 * Holds nothing: a fault of the function is unwound over it. */
static hx_ret_t call_function(uint64_t function)
{
    ((void (*)(void))(uintptr_t)function)();
    return HX_OK;
}

static hx_ret_t call_through_gate(struct hx_version *version, uint64_t function)
{
    version->hooks_vtable.op[CALL] = (const void *)call_function;
    hx_ret_t result = hx_gate_call(version->hooks, CALL, function, 0, 0, 0);
    version->hooks_vtable.op[CALL] = (const void *)hx_gate_op_unsupported;
    return result;
}

/* Its name as its file has it, or its address when the file is stripped. */
static void name_function(const struct hx_version *version, uintptr_t va, char *out, size_t bytes)
{
    struct hx_label label;
    if (hx_image_symbol(version->image, version->file, va, &label) == HX_OK)
        (void)hx_label_text(&label, va, NULL, out, bytes);
    else
        hx_fmt(out, bytes, "at 0x%zx", (size_t)va);
}

static hx_status_t construct(struct hx_version *version, struct hx_report *report)
{
    for (uint32_t i = 0; i < version->constructors_count; i++) {
        hx_ret_t result = call_through_gate(version, version->constructors[i]);
        if (result == HX_OK)
            continue;
        char name[96];
        name_function(version, version->constructors[i], name, sizeof(name));
        return hx_report_fail(report, (hx_status_t)result, "constructor", "its constructor %s, %u of %u, faulted: %s",
                              name, i + 1, version->constructors_count, version->fault);
    }
    return HX_OK;
}

static void destroy_constructed(struct hx_version *version)
{
    for (uint32_t i = version->destructors_count; i > 0; i--)
        if (call_through_gate(version, version->destructors[i - 1]) != HX_OK)
            return;
}

hx_status_t hx_version_init(struct hx_version *version, struct hx_report *report)
{
    hx_status_t err = construct(version, report);
    if (err != HX_OK)
        return err;
    err = hx_version_try_hook(version, HX_HOOK_INIT, 0, report);
    if (err == HX_OK) {
        /* Its code may be gone. */
        version->hooks_vtable.op[HX_HOOK_INIT] = (const void *)hx_gate_op_unsupported;
        hx_version_settle_image(version);
        version->initialised = true;
    } else if (err != HX_E_FAULT) {
        destroy_constructed(version);
    }
    return err;
}

void hx_version_fini(struct hx_version *version)
{
    if (!version->initialised)
        return;
    version->initialised = false;
    /* Whatever else it returns: it is going, and its ledger gives back all that the kernel knows of. */
    if (hx_version_hook(version, HX_HOOK_FINI, 0) != HX_E_FAULT)
        destroy_constructed(version);
}

/* ---- in one step with others ---------------------------------------------------------------------------------------- */

struct hx_version *hx_version_to_be(const struct hx_version_set *set, const struct hx_module *module)
{
    for (uint32_t i = 0; set && i < set->count; i++)
        if (set->module[i] == module && set->version[i])
            return set->version[i];
    return module->running;
}

struct hx_module *hx_version_set_provider(const struct hx_version_set *set, const struct hx_interface *interface)
{
    for (uint32_t i = 0; set && i < set->count; i++)
        if (set->version[i] && hx_version_provided(set->version[i], interface))
            return set->module[i];
    struct hx_module *running = hx_module_providing(interface);
    return running && hx_version_provided(hx_version_to_be(set, running), interface) ? running : NULL;
}

bool hx_version_set_has(const struct hx_version_set *set, const struct hx_module *module)
{
    for (uint32_t i = 0; set && i < set->count; i++)
        if (set->module[i] == module)
            return true;
    return false;
}

/* ---- what it declares ------------------------------------------------------------------------------------------------ */

const struct hx_provided *hx_version_provided(const struct hx_version *version, const struct hx_interface *interface)
{
    for (uint32_t i = 0; i < version->provides_count; i++)
        if (version->provides[i].interface == interface)
            return &version->provides[i];
    return NULL;
}
