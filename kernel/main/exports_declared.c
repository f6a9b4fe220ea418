/* SPDX-License-Identifier: MIT */
/* exports_declared.c - what modules ask for of what they and others have declared. */
#include "exports.h"

#include <hal/hx_import.h>
#include <ipc/channel.h>
#include <orchestrator/callbacks.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/declared.h>

hx_ret_t hx_export_hx_defer(const void *key, uint64_t key_bytes)
{
    char name[HX_NAME_MAX];
    hx_status_t err = hx_export_copy_name(name, key, key_bytes);
    if (err != HX_OK)
        return err;
    const struct hx_version *version = hx_module_calling();
    return version ? hx_callback_ask(version->module, name) : HX_E_NOENT;
}

hx_ret_t hx_export_hx_channel_mine(const void *key, uint64_t key_bytes)
{
    char name[HX_NAME_MAX];
    hx_handle_t end = HX_HANDLE_NONE;
    const struct hx_version *version = hx_module_calling();
    hx_status_t err = version ? hx_export_copy_name(name, key, key_bytes) : HX_E_NOENT;
    if (err == HX_OK)
        err = hx_declared_channel(version->module, name, &end);
    return err == HX_OK ? (hx_ret_t)end : err;
}

/* "module/key" */
hx_ret_t hx_export_hx_channel_connect(const void *name, uint64_t name_bytes)
{
    char text[2 * HX_NAME_MAX];
    hx_handle_t end = HX_HANDLE_NONE;
    const struct hx_version *version = hx_module_calling();
    if (!version || name_bytes >= sizeof(text))
        return HX_E_INVAL;
    text[name_bytes] = 0;
    hx_status_t err = hx_hal_copy(text, name, name_bytes);
    if (err == HX_OK)
        err = hx_capability_check_path_calling(HX_CAPABILITY_IPC, 0, text);
    if (err == HX_OK)
        err = hx_declared_connect(text, &version->module->holder, &end);
    if (err != HX_OK)
        return err;
    /* Who revokes it from now on finds the handle; who did so meanwhile has not. */
    if (!hx_capability_warns)
        err = hx_capability_look_path(version->module->principal, HX_CAPABILITY_IPC, 0, text);
    if (err == HX_OK)
        return (hx_ret_t)end;
    hx_ipc_withdraw(end, &version->module->holder);
    return err;
}
