/* SPDX-License-Identifier: MIT */
/* kernel_names.c - see kernel_names.h; made from the lists that the kernel itself is made from. */
#include "kernel_names.h"

#include <gate/interfaces.h>
#include <helix/kernel.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#include <module/export_needs.h>

#define EXPORT(name, ...) { #name, #__VA_ARGS__, HX_NEED_##name },
static const struct hx_mp_export exports[] = { HX_EXPORTS(EXPORT) };
#undef EXPORT

#define OPS_TEXT(prefix, PREFIX, sleepable) static const char prefix##_ops_text[] = PREFIX##_OPS(HX_OP_TEXT_);
HX_KERNEL_INTERFACES(OPS_TEXT)
#undef OPS_TEXT

#define INTERFACE(prefix, PREFIX, sleepable)                                                                           \
    { #prefix, PREFIX##_VERSION, { (const uint8_t *)prefix##_ops_text, sizeof(prefix##_ops_text) } },
static const struct hx_mp_kernel_interface interfaces[] = { HX_KERNEL_INTERFACES(INTERFACE) };
#undef INTERFACE

const struct hx_mp_export *hx_mp_exports(size_t *out_count)
{
    *out_count = HX_ARRAY_SIZE(exports);
    return exports;
}

const struct hx_mp_kernel_interface *hx_mp_kernel_interfaces(size_t *out_count)
{
    *out_count = HX_ARRAY_SIZE(interfaces);
    return interfaces;
}

const struct hx_mp_export *hx_mp_export_called(const char *name)
{
    for (size_t i = 0; i < HX_ARRAY_SIZE(exports); i++)
        if (strcmp(exports[i].name, name) == 0)
            return &exports[i];
    return NULL;
}
