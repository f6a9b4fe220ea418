/* SPDX-License-Identifier: MIT */
/*
 * exports_channel.c - channels, as modules call them: helix/kernel.h says what each does.
 *
 * A message is copied once more here, because a module's span must not be touched with a lock held.
 */
#include "exports.h"

#include <hal/hx_import.h>
#include <ipc/channel.h>

/* The identity that the call acts for, or NULL. */
static struct hx_holder *calling_holder(void)
{
    const struct hx_version *version = hx_module_calling();
    return version ? &version->module->holder : NULL;
}

/* Gives up a handle that could not be told to its module. */
static void give_up(hx_handle_t handle, const struct hx_holder *holder)
{
    (void)!hx_handle_close(handle, holder); /* stale: the module ends */
}

hx_ret_t hx_export_hx_channel_create(uint64_t capacity, void *ends, uint64_t ends_bytes)
{
    struct hx_channel_ends made;
    struct hx_holder *holder = calling_holder();
    if (!holder)
        return HX_E_STATE;
    if (ends_bytes != sizeof(made) || capacity > HX_CHANNEL_CAPACITY_MAX)
        return HX_E_INVAL;
    hx_status_t err = hx_ipc_create((uint32_t)capacity, holder, &made);
    if (err != HX_OK)
        return err;
    err = hx_hal_copy(ends, &made, sizeof(made));
    if (err != HX_OK) {
        give_up(made.end[0], holder);
        give_up(made.end[1], holder);
    }
    return err;
}

hx_ret_t hx_export_hx_channel_clone(uint64_t end, uint64_t rights)
{
    struct hx_holder *holder = calling_holder();
    hx_handle_t clone = HX_HANDLE_NONE;
    if (!holder)
        return HX_E_STATE;
    if (rights & ~(uint64_t)HX_RIGHT_ALL)
        return HX_E_PERM;
    hx_status_t err = hx_ipc_clone(end, holder, (uint32_t)rights, holder, &clone);
    return err == HX_OK ? (hx_ret_t)clone : (hx_ret_t)err;
}

hx_ret_t hx_export_hx_channel_send(uint64_t end, const void *message, uint64_t message_bytes, uint64_t timeout_ns)
{
    struct hx_message copy;
    struct hx_holder *holder = calling_holder();
    if (!holder)
        return HX_E_STATE;
    if (message_bytes != sizeof(copy))
        return HX_E_INVAL;
    hx_status_t err = hx_hal_copy(&copy, message, sizeof(copy));
    if (err != HX_OK)
        return err;
    uint64_t deadline_ns = hx_export_wait_begin(timeout_ns);
    return hx_export_wait_end(hx_ipc_send(end, holder, &copy, deadline_ns));
}

/* The span is written before anything is received, so that what is received need not go back; it has to where the span has gone
 * during the wait. */
hx_ret_t hx_export_hx_channel_receive(uint64_t end, void *message, uint64_t message_bytes, uint64_t timeout_ns)
{
    struct hx_message copy = { 0 };
    struct hx_holder *holder = calling_holder();
    if (!holder)
        return HX_E_STATE;
    if (message_bytes != sizeof(copy))
        return HX_E_INVAL;
    hx_status_t err = hx_hal_copy(message, &copy, sizeof(copy));
    if (err != HX_OK)
        return err;
    uint64_t deadline_ns = hx_export_wait_begin(timeout_ns);
    hx_ret_t result = hx_export_wait_end(hx_ipc_receive(end, holder, &copy, deadline_ns));
    if (result != HX_OK)
        return result;
    err = hx_hal_copy(message, &copy, sizeof(copy));
    if (err != HX_OK)
        hx_ipc_return(end, holder, &copy);
    return err;
}

hx_ret_t hx_export_hx_channel_select(const void *ends, uint64_t ends_bytes, uint64_t timeout_ns)
{
    hx_handle_t copy[HX_SELECT_MAX];
    struct hx_holder *holder = calling_holder();
    if (!holder)
        return HX_E_STATE;
    if (ends_bytes > sizeof(copy) || ends_bytes % sizeof(copy[0]))
        return HX_E_INVAL;
    hx_status_t err = hx_hal_copy(copy, ends, ends_bytes);
    if (err != HX_OK)
        return err;
    uint64_t deadline_ns = hx_export_wait_begin(timeout_ns);
    return hx_export_wait_end(hx_ipc_select(copy, (uint32_t)(ends_bytes / sizeof(copy[0])), holder, deadline_ns));
}

hx_ret_t hx_export_hx_channel_count(uint64_t end)
{
    const struct hx_holder *holder = calling_holder();
    return holder ? hx_ipc_count(end, holder) : HX_E_STATE;
}

hx_ret_t hx_export_hx_channel_is_open(uint64_t end)
{
    const struct hx_holder *holder = calling_holder();
    return holder ? hx_ipc_is_open(end, holder) : HX_E_STATE;
}

hx_ret_t hx_export_hx_channel_close(uint64_t end)
{
    const struct hx_holder *holder = calling_holder();
    return holder ? hx_ipc_close(end, holder) : HX_E_STATE;
}

hx_ret_t hx_export_hx_handle_drop(uint64_t handle)
{
    const struct hx_holder *holder = calling_holder();
    if (hx_handle_type(handle) == HX_HANDLE_CAPABILITY)
        return hx_export_hx_cap_revoke(handle);
    if (hx_handle_type(handle) == HX_HANDLE_ALLOCATION)
        return hx_export_allocation_drop(handle);
    return holder ? hx_handle_close(handle, holder) : HX_E_STATE;
}
