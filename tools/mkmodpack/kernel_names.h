/* SPDX-License-Identifier: MIT */
/* kernel_names.h - what a module may call: the kernel's exports, and the interfaces that the kernel has the headers of. */
#pragma once
#include <lib/slice.h>
#include <module/capability.h>

struct hx_mp_export {
    const char *name;
    const char *arguments; /* as declared: "HX_VAL(level), HX_IN(text)" */
    uint32_t needs;        /* enum hx_capability_type */
};

struct hx_mp_kernel_interface {
    const char *prefix;
    uint32_t version;
    struct hx_slice ops; /* see struct hx_interface_record */
};

const struct hx_mp_export *hx_mp_exports(size_t *out_count);
const struct hx_mp_kernel_interface *hx_mp_kernel_interfaces(size_t *out_count);
/* NULL: the kernel exports no such name. */
const struct hx_mp_export *hx_mp_export_called(const char *name);
