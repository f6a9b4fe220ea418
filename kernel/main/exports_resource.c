/* SPDX-License-Identifier: MIT */
/*
 * exports_resource.c - what modules take of pools, give back, and are told of their accounts.
 */
#include "exports.h"

#include <hal/hx_import.h>
#include <helix/resource.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

/* The books of the identity that the call acts for, or NULL. */
static struct hx_resource_holder *caller(void)
{
    const struct hx_version *version = hx_module_calling();
    return version ? version->module->resources : NULL;
}

static hx_status_t check_own(hx_handle_t allocation)
{
    struct hx_allocation found;
    const struct hx_resource_holder *holder = caller();
    if (!holder)
        return HX_E_STATE;
    hx_status_t err = hx_resource_get(allocation, &found);
    return err == HX_OK && found.holder == holder && !found.pinned ? HX_OK : HX_E_STALE;
}

hx_ret_t hx_export_hx_res_allocate(const void *name, uint64_t name_bytes, uint64_t amount)
{
    char pool[HX_NAME_MAX];
    enum hx_resource resource = HX_RESOURCES_MAX;
    hx_handle_t allocation = HX_HANDLE_NONE;
    struct hx_resource_holder *holder = caller();
    hx_status_t err = holder ? hx_export_copy_name(pool, name, name_bytes) : HX_E_STATE;
    if (err == HX_OK)
        err = hx_capability_check_path_calling(HX_CAPABILITY_RESOURCE, 0, pool);
    if (err == HX_OK)
        err = hx_resource_find(pool, strlen(pool), &resource);
    if (err == HX_OK)
        err = hx_resource_allocate_asked(holder, resource, amount, &allocation);
    return err == HX_OK ? (hx_ret_t)allocation : err;
}

hx_ret_t hx_export_hx_res_use(uint64_t allocation, uint64_t used)
{
    hx_status_t err = check_own(allocation);
    if (err == HX_OK)
        err = hx_resource_update_usage(allocation, used);
    return err == HX_E_NOENT ? HX_E_STALE : err; /* it went in between */
}

hx_ret_t hx_export_allocation_drop(hx_handle_t allocation)
{
    hx_status_t err = check_own(allocation);
    if (err == HX_OK)
        err = hx_resource_deallocate(allocation);
    return err == HX_E_NOENT ? HX_E_STALE : err;
}

/* The pool of that name. */
static hx_status_t find_pool(const void *name, uint64_t name_bytes, enum hx_resource *out,
                             struct hx_resource_pool *out_pool)
{
    char text[HX_NAME_MAX];
    hx_status_t err = hx_export_copy_name(text, name, name_bytes);
    if (err == HX_OK)
        err = hx_resource_find(text, strlen(text), out);
    return err == HX_OK ? hx_resource_pool_get(*out, out_pool) : err;
}

hx_ret_t hx_export_hx_res_spend(const void *name, uint64_t name_bytes, uint64_t amount)
{
    enum hx_resource resource = HX_RESOURCES_MAX;
    struct hx_resource_pool pool;
    struct hx_resource_holder *holder = caller();
    hx_status_t err = holder ? find_pool(name, name_bytes, &resource, &pool) : HX_E_STATE;
    if (err != HX_OK)
        return err;
    if (!pool.is_rate || resource == HX_RESOURCE_CPU_TIME)
        return HX_E_INVAL;
    uint64_t now_ns = hx_hal_clock_ns(), until_ns = hx_resource_spend(holder, resource, amount, now_ns);
    return until_ns > now_ns ? (hx_ret_t)(until_ns - now_ns) : 0;
}

hx_ret_t hx_export_hx_res_look(const void *name, uint64_t name_bytes, void *account, uint64_t account_bytes)
{
    enum hx_resource resource = HX_RESOURCES_MAX;
    struct hx_resource_pool pool;
    struct hx_resource_share share;
    const struct hx_resource_holder *holder = caller();
    hx_status_t err = holder ? HX_OK : HX_E_STATE;
    if (err == HX_OK && account_bytes != sizeof(struct hx_resource_account))
        err = HX_E_INVAL;
    if (err == HX_OK)
        err = find_pool(name, name_bytes, &resource, &pool);
    if (err != HX_OK)
        return err;
    hx_resource_usage(holder, resource, &share);
    struct hx_resource_account told = { .total = pool.total,
                                        .available = pool.available,
                                        .quota = share.quota,
                                        .allocated = share.allocated,
                                        .used = share.used,
                                        .throttled = share.throttled };
    return hx_hal_copy(account, &told, sizeof(told));
}
