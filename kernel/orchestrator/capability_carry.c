/* SPDX-License-Identifier: MIT */
/*
 * capability_carry.c - capabilities in messages: who holds one that nobody has received yet, and who gets it.
 *
 * What is on its way is a principal's like all others, so that it ends when that is revoked from which it comes.
 */
#include "capability_broker.h"

/* NULL: of nobody who could hold one. */
static struct hx_principal *principal_of(const struct hx_holder *holder)
{
    if (!holder)
        return &hx_messages_principal;
    if (holder == &hx_kernel_holder)
        return &hx_kernel_principal;
    if (hx_handle_type(holder->self) != HX_HANDLE_MODULE)
        return NULL;
    return ((const struct hx_module *)(const void *)((const char *)holder - offsetof(struct hx_module, holder)))
        ->principal;
}

hx_status_t hx_capability_carry(hx_handle_t id, const struct hx_holder *from, struct hx_holder *to, hx_handle_t *out)
{
    struct hx_principal *by = principal_of(from), *heir = principal_of(to);
    struct hx_capability_refusal refusal;
    hx_status_t err = by && heir && by != heir ? hx_capability_transfer(by, id, heir, out, &refusal) : HX_E_STALE;
    if (from || err == HX_OK)
        return err;
    (void)!hx_capability_end(&hx_messages_principal, id); /* stale: it has ended already */
    return HX_E_STALE;
}
