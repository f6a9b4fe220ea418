/* SPDX-License-Identifier: MIT */
/*
 * module_resources.c - what modules are charged for; see resource_broker.h.
 *
 * A module's books hang on its identity, so versions come and go on the same account: during a swap, and until its probation
 * ends, it pays for both.
 */
#include "resource_broker.h"

#include <lib/fmt.h>
#include <module/module.h>
#include <string.h>

struct books {
    struct hx_resource_holder holder; /* first: module->resources */
    struct hx_ledger_node node;
    struct hx_module *module;
};

static void release_books(struct hx_ledger_node *node)
{
    struct books *books = (struct books *)((char *)node - offsetof(struct books, node));
    __atomic_store_n(&books->module->resources, NULL, __ATOMIC_SEQ_CST);
    hx_handle_settle(); /* who has found them with one of these locks is done with them */
    hx_module_registry_unlock(hx_module_registry_lock());
    hx_resource_release_all(&books->holder);
    hx_hal_free(books);
}

hx_status_t hx_resource_open(struct hx_module *module, struct hx_report *report)
{
    struct books *books = hx_hal_alloc(sizeof(*books));
    if (!books)
        return hx_report_fail(report, HX_E_NOMEM, "resources", "not enough memory for the module's accounts");
    hx_resource_holder_init(&books->holder);
    books->module = module;
    module->resources = &books->holder;
    hx_ledger_enter(&module->ledger, &books->node, "resources", release_books);
    return HX_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

/* What the loader has had made for it, in whole pages where it has its own, and its record. */
static uint64_t bytes_of(const struct hx_version *version)
{
    const struct hx_image_piece *part = version->image->part;
    uint64_t bytes = sizeof(*version);
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        bytes += i == HX_PART_STATE || i == HX_PART_RO_AFTER_INIT ? hx_page_round_up(part[i].bytes) : part[i].bytes;
    return bytes;
}

static void release_memory(struct hx_ledger_node *node)
{
    struct hx_version *version = (struct hx_version *)((char *)node - offsetof(struct hx_version, memory_node));
    hx_status_t err = hx_resource_deallocate(version->memory);
    (void)err; /* it was entered when there was one */
}

static hx_status_t read_quotas(struct hx_resource_holder *holder, const char *text, struct hx_report *report)
{
    const size_t prefix = sizeof(HX_PARAM_QUOTA) - 1;
    for (size_t word = 0; *text; text += word + (text[word] == ' ')) {
        enum hx_resource resource = HX_RESOURCE_MEMORY;
        uint64_t quota = 0;
        for (word = 0; text[word] && text[word] != ' ';)
            word++;
        if (strncmp(text, HX_PARAM_QUOTA, prefix) != 0)
            continue;
        hx_status_t err = hx_resource_parse_quota(text + prefix, word - prefix, &resource, &quota);
        if (err == HX_OK)
            err = hx_resource_set_quota(holder, resource, quota);
        if (err != HX_OK)
            return hx_report_fail(report, err, "quota", "%.*s is no quota; say quota.memory=BYTES or quota.cpu=PERCENT",
                                  (int)word, text);
    }
    return HX_OK;
}

/* The running version's parameters come over with what they have said of quotas; what is said anew would be lost with the
 * version, if it went. */
static hx_status_t check_quotas(const struct hx_version *version, struct hx_report *report)
{
    const char *text = version->params_text;
    if (!version->module->running || strcmp(text, version->module->running->params_text) == 0)
        return HX_OK;
    for (; *text; text++)
        if (strncmp(text, HX_PARAM_QUOTA, sizeof(HX_PARAM_QUOTA) - 1) == 0)
            return hx_report_fail(report, HX_E_UNSUPPORTED, "quota",
                                  "a quota is the module's, whatever its version; say it apart: quota %s memory=BYTES",
                                  version->module->name);
    return HX_OK;
}

static hx_status_t refuse(const struct hx_version *version, bool first, hx_status_t err, uint64_t bytes,
                          struct hx_report *report)
{
    const struct hx_module *module = version->module;
    struct hx_resource_share share;
    struct hx_resource_pool pool = { .available = 0 };
    hx_resource_usage(module->resources, HX_RESOURCE_MEMORY, &share);
    hx_status_t found = hx_resource_pool_get(HX_RESOURCE_MEMORY, &pool);
    if (err == HX_E_QUOTA)
        return hx_report_fail(
            report, err, "memory",
            "it takes %llu bytes%s, and of its quota of %llu are %llu left; allow more: %s%s%smemory=BYTES",
            (unsigned long long)bytes, first ? "" : " beside the version that runs", (unsigned long long)share.quota,
            (unsigned long long)(share.quota > share.allocated ? share.quota - share.allocated : 0),
            first ? "" : "quota ", first ? "quota" : module->name, first ? "." : " ");
    if (err == HX_E_EXHAUSTED && found == HX_OK)
        return hx_report_fail(report, err, "memory", "it takes %llu bytes, and modules may have %llu more together",
                              (unsigned long long)bytes, (unsigned long long)pool.available);
    return hx_report_fail(report, err, "memory", "its memory cannot be accounted for; unload a module");
}

hx_status_t hx_resource_admit(struct hx_version *version, bool first, struct hx_report *report)
{
    struct hx_module *module = version->module;
    uint64_t bytes = bytes_of(version);
    hx_status_t err =
        first ? read_quotas(module->resources, version->params_text, report) : check_quotas(version, report);
    if (err != HX_OK)
        return err;
    err = hx_resource_allocate(module->resources, HX_RESOURCE_MEMORY, bytes, &version->memory);
    if (err != HX_OK)
        return refuse(version, first, err, bytes, report);
    hx_resource_pin(version->memory);
    hx_ledger_enter(&version->ledger, &version->memory_node, "memory", release_memory);
    return hx_resource_update_usage(version->memory, bytes);
}

hx_status_t hx_resource_charge(const struct hx_version *version, uint64_t bytes, struct hx_report *report)
{
    const struct hx_module *module = version->module;
    hx_status_t err = hx_resource_charge_memory(module->resources, bytes);
    return err == HX_OK ? HX_OK : refuse(version, module->running == version, err, bytes, report);
}

hx_status_t hx_resource_pay(const struct hx_holder *holder, uint64_t bytes, bool back)
{
    if (hx_handle_type(holder->self) != HX_HANDLE_MODULE)
        return HX_OK;
    const struct hx_module *module =
        (const struct hx_module *)(const void *)((const char *)holder - offsetof(struct hx_module, holder));
    struct hx_resource_holder *books = __atomic_load_n(&module->resources, __ATOMIC_ACQUIRE);
    if (!back)
        return hx_resource_charge_memory(books, bytes);
    hx_resource_uncharge_memory(books, bytes);
    return HX_OK;
}

void hx_resource_settle(const struct hx_version *version)
{
    hx_status_t err = hx_resource_update_usage(version->memory, bytes_of(version));
    (void)err; /* less than before */
}

/* ---- CPU time ------------------------------------------------------------------------------------------------------- */

uint64_t hx_resource_task_ran(void *owner, uint64_t ran_ns, uint64_t now_ns)
{
    const struct hx_module *module = owner;
    if (!module->resources)
        return 0;
    uint64_t until_ns = hx_resource_spend(module->resources, HX_RESOURCE_CPU_TIME, ran_ns, now_ns);
    return module->leaving ? 0 : until_ns; /* others wait for its tasks to leave it */
}

void hx_resource_tick(const struct hx_gate_frame *frame)
{
    const struct hx_slot_info *info = hx_slot_info(frame->slot);
    if (!info->owner || hx_task_current()->owner)
        return; /* a task with an owner is his wherever it runs */
    const struct hx_module *module =
        info->kind == HX_SLOT_KIND_HOOKS ? ((const struct hx_version *)info->owner)->module : info->owner;
    if (module->resources)
        (void)hx_resource_spend(module->resources, HX_RESOURCE_CPU_TIME, HX_TICK_NS, hx_hal_clock_ns());
}
