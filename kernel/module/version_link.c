/* SPDX-License-Identifier: MIT */
/*
 * version_link.c - names and memory for a version: what the loader is owed, and what the file requires.
 *
 * Invariant: what is required is held before linking, because undefined names resolve to it.
 */
#include "version_steps.h"

#include <string.h>

#include "capability.h"
#include "exports.h"
#include "module.h"

/* ---- the loader's environment: image memory and heap of the machine, names of the kernel ---------------------------- */

static const enum hx_prot part_prot[HX_PART_COUNT] = {
    [HX_PART_TEXT] = HX_PROT_RX,          [HX_PART_RODATA] = HX_PROT_R,     [HX_PART_DATA] = HX_PROT_RW,
    [HX_PART_STATE] = HX_PROT_RW,         [HX_PART_INIT_TEXT] = HX_PROT_RX, [HX_PART_INIT_DATA] = HX_PROT_RW,
    [HX_PART_RO_AFTER_INIT] = HX_PROT_RW,
};

/* Whose permission or frames change while it lives: shared pages would not do. */
static bool has_own_pages(uint32_t part)
{
    return part == HX_PART_STATE || part == HX_PART_RO_AFTER_INIT;
}

static void free_part(struct hx_image_piece *piece, uint32_t part)
{
    if (!piece->va)
        return;
    if (has_own_pages(part))
        hx_hal_image_free(piece->va, hx_page_round_up(piece->bytes));
    else
        hx_hal_piece_free(piece->va, piece->bytes, part_prot[part]);
    *piece = (struct hx_image_piece){ 0 };
}

static hx_status_t env_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; i < HX_PART_COUNT && err == HX_OK; i++) {
        if (!part[i].bytes)
            continue;
        if (!has_own_pages(i)) {
            err = hx_hal_piece_alloc(part[i].bytes, part[i].align, part_prot[i], &part[i].va, &part[i].memory);
            continue;
        }
        err = hx_hal_image_alloc(hx_page_round_up(part[i].bytes), &part[i].va);
        part[i].memory = (uint8_t *)part[i].va;
        part[i].zeroed = true;
    }
    return err;
}

static void env_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (part[i].bytes && !has_own_pages(i))
            hx_hal_piece_seal(part[i].va, part[i].bytes, part_prot[i]);
        part[i].memory = (uint8_t *)part[i].va;
    }
}

static void env_settle(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    if (part[HX_PART_RO_AFTER_INIT].bytes)
        hx_hal_image_protect(part[HX_PART_RO_AFTER_INIT].va, hx_page_round_up(part[HX_PART_RO_AFTER_INIT].bytes),
                             HX_PROT_R);
    free_part(&part[HX_PART_INIT_TEXT], HX_PART_INIT_TEXT);
    free_part(&part[HX_PART_INIT_DATA], HX_PART_INIT_DATA);
}

static void env_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        free_part(&part[i], i);
}

/* A name is a kernel export, or PREFIX_OPERATION of an interface that the module requires; nothing else. */
static hx_status_t env_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)weak;
    struct hx_version *version = context;
    const struct hx_export *export = hx_exports_look(name, bytes);
    if (export) {
        *out_value = (uintptr_t) export->stub;
        return export->needs == HX_CAPABILITY_NONE || hx_records_ask_for(version->file, export->needs) ? HX_OK
                                                                                                       : HX_E_PERM;
    }
    for (uint32_t i = 0; i < version->requires_count; i++) {
        struct hx_interface *interface = version->requires[i].interface;
        hx_ret_t index = hx_interface_import(interface, name, bytes);
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
    struct hx_ldr_env env = { .context = version,
                              .alloc = env_alloc,
                              .seal = env_seal,
                              .settle = env_settle,
                              .release = env_release,
                              .resolve = env_resolve,
                              .names_hint = "each must be a kernel export or of an interface named by HX_REQUIRES",
                              .scratch = env_scratch,
                              .scratch_free = env_scratch_free };
    hx_hal_image_window(&env.low, &env.high);
    return env;
}

void hx_version_release_image(struct hx_ledger_node *node)
{
    struct hx_version *version = HX_VERSION_OF(node, image_node);
    struct hx_ldr_env env = loader_env(version);
    hx_ldr_unload(version->image, &env);
}

void hx_version_settle_image(struct hx_version *version)
{
    struct hx_ldr_env env = loader_env(version);
    hx_ldr_settle(version->image, &env);
}

/* ---- what it requires: known before linking, because names resolve to it -------------------------------------------- */

static bool suffices(const struct hx_provided *provided, uint32_t least)
{
    return provided && provided->version >= least && HX_VERSION_MAJOR(provided->version) == HX_VERSION_MAJOR(least);
}

static hx_status_t check_provider(const struct hx_version_set *set, const struct hx_interface *interface,
                                  uint32_t least, struct hx_report *report)
{
    const char *prefix = hx_slot_info(interface->slot)->name;
    char display[HX_NAME_MAX];
    hx_interface_display(prefix, display);
    const struct hx_module *provider = hx_version_set_provider(set, interface);
    const struct hx_provided *provided =
        provider ? hx_version_provided(hx_version_to_be(set, provider), interface) : NULL;
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
    if (suffices(provided, least) && !suffices(before, least))
        return hx_report_fail(report, HX_E_DEPENDENCY, prefix,
                              "requires %s %u.%u, which %s has on probation only; `commit %s' first", display,
                              HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least), provider->name, provider->name);
    if (!suffices(provided, least))
        return hx_report_fail(report, HX_E_VERSION, prefix, "requires %s %u.%u, but %s provides %u.%u", display,
                              HX_VERSION_MAJOR(least), HX_VERSION_MINOR(least), provider->name,
                              HX_VERSION_MAJOR(provided->version), HX_VERSION_MINOR(provided->version));
    return HX_OK;
}

/*
 * The operations' names are behind a pointer that linking has yet to fill in, so the definition that the provider agreed
 * on decides what a name means; check_requires() compares the two afterwards, before any code runs.
 */
static hx_status_t hold_requires(struct hx_version *version, const struct hx_version_set *set, struct hx_report *report)
{
    /* A file that cannot be read has none here, and the loader will refuse it with its reasons. */
    struct hx_slice records = hx_records_peek_interfaces(version->file, HX_RECORDS_REQUIRES);
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
        hx_status_t err = check_provider(set, interface, record.version, report);
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
        const struct hx_export *denied = err == HX_E_PERM ? hx_exports_look(ldr.symbol, strlen(ldr.symbol)) : NULL;
        if (denied)
            return hx_report_fail(report, err, ldr.symbol,
                                  "imports %s, for which it must ask for a capability of type %s; declare it with %s",
                                  ldr.symbol, hx_capability_type_name(denied->needs),
                                  hx_capability_type_macro(denied->needs));
        const char *subject = ldr.symbol[0] ? ldr.symbol : ldr.section;
        return hx_report_fail(report, err, subject, "%s", ldr.message);
    }
    return HX_OK;
}

hx_status_t hx_version_link(struct hx_version *version, const struct hx_version_set *set, struct hx_report *report)
{
    hx_status_t err = hold_requires(version, set, report);
    return err == HX_OK ? link_image(version, report) : err;
}
