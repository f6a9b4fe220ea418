/* SPDX-License-Identifier: MIT */
/*
 * exports_capability.c - what modules do with capabilities of theirs.
 */
#include "exports.h"

#include <hal/hx_import.h>
#include <orchestrator/capability_broker.h>

static struct hx_principal *caller(void)
{
    const struct hx_version *version = hx_module_calling();
    return version ? version->module->principal : NULL;
}

static hx_status_t copy_what(struct hx_capability *out, const void *what, uint64_t what_bytes)
{
    return what_bytes == sizeof(*out) ? hx_hal_copy(out, what, sizeof(*out)) : HX_E_INVAL;
}

hx_ret_t hx_export_hx_cap_find(const void *what, uint64_t what_bytes)
{
    struct hx_capability copy;
    hx_handle_t found = HX_HANDLE_NONE;
    const struct hx_principal *by = caller();
    hx_status_t err = by ? copy_what(&copy, what, what_bytes) : HX_E_STATE;
    if (err == HX_OK)
        err = hx_capability_find(by, &copy, &found);
    return err == HX_OK ? (hx_ret_t)found : err;
}

hx_ret_t hx_export_hx_cap_derive(uint64_t from, const void *what, uint64_t what_bytes, uint64_t duration_ns)
{
    struct hx_capability copy;
    struct hx_capability_refusal refusal;
    hx_handle_t derived = HX_HANDLE_NONE;
    struct hx_principal *by = caller();
    uint64_t expires_ns =
        duration_ns >= HX_WAIT_FOREVER ? HX_CAPABILITY_NEVER : hx_capability_expiry(hx_hal_clock_ns(), duration_ns);
    hx_status_t err = by ? copy_what(&copy, what, what_bytes) : HX_E_STATE;
    if (err == HX_OK)
        err = hx_capability_derive(by, from, by, &copy, expires_ns, &derived, &refusal);
    return err == HX_OK ? (hx_ret_t)derived : err;
}

hx_ret_t hx_export_hx_cap_revoke(uint64_t capability)
{
    const struct hx_principal *by = caller();
    return by ? hx_capability_revoke(by, capability) : HX_E_STATE;
}
