/* SPDX-License-Identifier: MIT */
/*
 * capability_policy.c - what the owner lets nobody have, and what modules get of the rest.
 */
#include "capability_broker.h"

/* The kernel's own devices, and what could be used to get at them. */
static const struct {
    uint32_t type, first, last;
    const char *why;
} reserved[] = {
    { HX_CAPABILITY_IO_PORT, 0x20, 0x21, "it is the interrupt controller" },
    { HX_CAPABILITY_IO_PORT, 0x40, 0x43, "it is the interval timer, which the kernel measures its clock by" },
    { HX_CAPABILITY_IO_PORT, 0xa0, 0xa1, "it is the interrupt controller" },
    { HX_CAPABILITY_IO_PORT, 0xf4, 0xf4, "it ends the machine" },
    { HX_CAPABILITY_IO_PORT, 0x2f8, 0x2ff, "it is the kernel's control channel" },
    { HX_CAPABILITY_IO_PORT, 0x3f8, 0x3ff, "it is the kernel's console" },
    { HX_CAPABILITY_IO_PORT, 0xcf8, 0xcff, "it configures all devices" },
    { HX_CAPABILITY_MEMORY, 0xfec00000, 0xfec00fff, "it is the interrupt controller" },
    { HX_CAPABILITY_MEMORY, 0xfee00000, 0xfee00fff, "it is the interrupt controller" },
    { HX_CAPABILITY_INTERRUPT, 0, 0, "it is the interval timer's, which the kernel measures its clock by" },
    { HX_CAPABILITY_INTERRUPT, 2, 2, "the second interrupt controller stands behind it" },
    { HX_CAPABILITY_INTERRUPT, 3, 3, "it is the kernel's control channel" },
    { HX_CAPABILITY_INTERRUPT, 4, 4, "it is the kernel's console" },
};

static const char *refuse_devices(const struct hx_capability *what, const struct hx_principal *principal)
{
    if (principal->kind != HX_PRINCIPAL_MODULE)
        return NULL;
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(reserved); i++)
        if (what->type == reserved[i].type && what->first <= reserved[i].last && reserved[i].first <= what->last)
            return reserved[i].why;
    return NULL;
}

static const char *refuse_unasked(const struct hx_capability *what, const struct hx_principal *principal)
{
    return principal->kind != HX_PRINCIPAL_MODULE || hx_capability_is_asked_for(principal, what)
               ? NULL
               : "it does not ask for that in what it declares";
}

void hx_capability_add_default_policies(void)
{
    static struct hx_capability_policy devices = { .name = "devices", .refuse = refuse_devices };
    static struct hx_capability_policy manifest = { .name = "manifest", .refuse = refuse_unasked };
    (void)!hx_capability_add_policy(&devices); /* no policy is there yet */
    (void)!hx_capability_add_policy(&manifest);
}
