/* SPDX-License-Identifier: MIT */
/* module_file.h - a module that is to be pushed: read, and checked by the kernel's own loader as mkmodpack does. */
#pragma once
#include <helix/control.h>
#include <helix/module.h>
#include <jansson.h>
#include <mkmodpack/input_file.h>

struct hx_ctl_module {
    struct hx_mp_file file;           /* Owned. */
    struct hx_slice sent;             /* what goes to the kernel: of @file, or @stripped */
    struct hx_slice stripped;         /* without debug information. Owned. */
    char pushed[HX_CONTROL_NAME_MAX]; /* what the kernel is to call the file */
    char name[HX_NAME_MAX];           /* of the module; "": not known */
    uint32_t version, abi;
};

/*
 * Reads @path, which is to be called @name there (NULL: as here). With @check, what the kernel would refuse is complained of;
 * @introduction: of the kernel, whose binary interface is asked for. False: refused. @out is to be freed either way.
 */
bool hx_ctl_module_read(struct hx_ctl_module *out, const char *path, const char *name, bool check,
                        const json_t *introduction);
/* Leaves debug information out of what is sent: it is for this machine, and most of the file. Not of a module that was refused.
 * False: complained of. */
bool hx_ctl_module_strip(struct hx_ctl_module *module);
/* Whether a kernel takes so much. False: complained of. */
bool hx_ctl_module_fits(const struct hx_ctl_module *module);
/* Accepts a zeroed one. */
void hx_ctl_module_free(struct hx_ctl_module *module);
