/* SPDX-License-Identifier: MIT */
/*
 * exports_grant.c - memory that a module can give away in a message: making it, and looking at what one has; and devices'.
 *
 * A new grant is described into a span of the module; when that cannot be written, nobody would know the grant, and it ends.
 */
#include <hal/hx_import.h>
#include <ipc/grant.h>
#include <module/module.h>
#include <orchestrator/capability_broker.h>

/* The identity that the call acts for, or NULL. */
static struct hx_holder *calling_holder(void)
{
    const struct hx_version *version = hx_module_calling();
    return version ? &version->module->holder : NULL;
}

static hx_status_t describe(hx_handle_t grant, const struct hx_holder *holder, void *memory, uint64_t memory_bytes)
{
    struct hx_message_memory found;
    if (memory_bytes != sizeof(found))
        return HX_E_INVAL;
    hx_status_t err = hx_grant_describe(grant, holder, &found);
    return err == HX_OK ? hx_hal_copy(memory, &found, sizeof(found)) : err;
}

/* One that was made, unless @err. */
static hx_status_t hand_over(hx_status_t err, hx_handle_t grant, const struct hx_holder *holder, void *memory,
                             uint64_t memory_bytes)
{
    if (err == HX_OK) {
        err = describe(grant, holder, memory, memory_bytes);
        if (err != HX_OK) {
            hx_status_t closed = hx_handle_close(grant, holder);
            (void)closed; /* the module ends: then it is gone already */
        }
    }
    return err;
}

hx_ret_t hx_export_hx_grant_create(uint64_t bytes, void *memory, uint64_t memory_bytes)
{
    struct hx_holder *holder = calling_holder();
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va = 0;
    hx_status_t err = holder ? hx_grant_make(bytes, holder, &grant, &va) : HX_E_STATE;
    return hand_over(err, grant, holder, memory, memory_bytes);
}

hx_ret_t hx_export_hx_memory_map(uint64_t first, uint64_t bytes, uint64_t permissions, void *memory,
                                 uint64_t memory_bytes)
{
    struct hx_holder *holder = calling_holder();
    hx_handle_t grant = HX_HANDLE_NONE;
    _Static_assert((int)HX_GRANT_READ == HX_CAPABILITY_READ && (int)HX_GRANT_WRITE == HX_CAPABILITY_WRITE, "rights");
    if (!holder)
        return HX_E_STATE;
    if (first % HX_PAGE_BYTES || bytes % HX_PAGE_BYTES || !bytes || first + bytes < first ||
        (permissions | HX_GRANT_WRITE) != (HX_GRANT_READ | HX_GRANT_WRITE))
        return HX_E_INVAL;
    hx_status_t err = hx_capability_check(hx_module_calling()->module->principal, HX_CAPABILITY_MEMORY,
                                          (uint32_t)permissions, first, first + bytes - 1);
    if (err == HX_OK)
        err = hx_grant_make_device(first, bytes, (uint32_t)permissions, holder, &grant);
    return hand_over(err, grant, holder, memory, memory_bytes);
}

hx_ret_t hx_export_hx_grant_look(uint64_t grant, void *memory, uint64_t memory_bytes)
{
    const struct hx_holder *holder = calling_holder();
    return holder ? describe(grant, holder, memory, memory_bytes) : HX_E_STATE;
}
