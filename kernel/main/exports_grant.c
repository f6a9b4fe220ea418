/* SPDX-License-Identifier: MIT */
/*
 * exports_grant.c - memory that a module can give away in a message: making it, and looking at what one has.
 *
 * A new grant is described into a span of the module; when that cannot be written, nobody would know the grant, and it ends.
 */
#include <hal/hx_import.h>
#include <ipc/grant.h>
#include <module/module.h>

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

hx_ret_t hx_export_hx_grant_create(uint64_t bytes, void *memory, uint64_t memory_bytes)
{
    struct hx_holder *holder = calling_holder();
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va = 0;
    hx_status_t err = holder ? hx_grant_make(bytes, holder, &grant, &va) : HX_E_STATE;
    if (err == HX_OK) {
        err = describe(grant, holder, memory, memory_bytes);
        if (err != HX_OK) {
            hx_status_t closed = hx_handle_close(grant, holder);
            (void)closed; /* the module ends: then it is gone already */
        }
    }
    return err;
}

hx_ret_t hx_export_hx_grant_look(uint64_t grant, void *memory, uint64_t memory_bytes)
{
    const struct hx_holder *holder = calling_holder();
    return holder ? describe(grant, holder, memory, memory_bytes) : HX_E_STATE;
}
