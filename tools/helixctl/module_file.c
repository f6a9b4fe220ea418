/* SPDX-License-Identifier: MIT */
/* module_file.c - see module_file.h. */
#include "module_file.h"

#include "answer.h"
#include "terminal.h"

#include <mkmodpack/module_info.h>
#include <mkmodpack/module_types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings;
    (void)err;
    hx_ctl_complain("%s: %s", file, text);
}

static void keep_quiet(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings;
    (void)err;
    (void)file;
    (void)text;
}

/* As a file of the initrd may be called. */
static bool name_is_good(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";
    size_t length = strlen(name);

    return length < HX_CONTROL_NAME_MAX && length > strlen(".hxm") && strspn(name, letters) == length &&
           name[0] != '.' && name[0] != '-' && strcmp(name + length - strlen(".hxm"), ".hxm") == 0;
}

static bool take_name(struct hx_ctl_module *module, const char *name)
{
    if (!name_is_good(name)) {
        hx_ctl_complain(
            "%s: the kernel takes no file of that name: at most %d characters of A-Z a-z 0-9 . _ + -, and .hxm "
            "at the end; give it one by --name",
            name, HX_CONTROL_NAME_MAX - 1);
        return false;
    }
    memcpy(module->pushed, name, strlen(name) + 1);
    return true;
}

/* The kernel that runs there need not be the one that this was built with. */
static bool fits_kernel(const struct hx_ctl_module *module, const json_t *introduction)
{
    unsigned int major = 0, minor = 0;
    const char *abi = hx_ctl_member(introduction, "abi", "");
    uint32_t own_major = HX_VERSION_MAJOR(module->abi), own_minor = HX_VERSION_MINOR(module->abi);

    if (sscanf(abi, "%u.%u", &major, &minor) != 2 || (own_major == major && own_minor <= minor))
        return true;
    hx_ctl_complain("%s: version: built for ABI %u.%u, the running kernel has %u.%u; build it with that kernel's SDK",
                    module->file.path, own_major, own_minor, major, minor);
    return false;
}

static bool look_inside(struct hx_ctl_module *module, bool check, const json_t *introduction)
{
    struct hx_mp_findings findings = { .take = check ? complain : keep_quiet };
    struct hx_mp_module linked = { 0 };
    bool good = hx_mp_module_open(&linked, &module->file, &findings);

    if (linked.record) {
        snprintf(module->name, sizeof(module->name), "%s", linked.record->name);
        module->version = linked.record->version;
        module->abi = linked.record->abi;
        good = good && fits_kernel(module, introduction);
    }
    hx_mp_module_close(&linked);
    return good || !check;
}

bool hx_ctl_module_fits(const struct hx_ctl_module *module)
{
    if (module->sent.bytes > 0 && module->sent.bytes <= HX_CONTROL_FILE_MAX)
        return true;
    hx_ctl_complain("%s: %zu bytes: a module that is pushed has from 1 to %d; strip its debug information",
                    module->file.path, module->sent.bytes, HX_CONTROL_FILE_MAX);
    return false;
}

bool hx_ctl_module_read(struct hx_ctl_module *out, const char *path, const char *name, bool check,
                        const json_t *introduction)
{
    struct hx_mp_findings findings = { .take = complain };

    memset(out, 0, sizeof(*out));
    if (!hx_mp_file_read(&out->file, NULL, path, &findings) || !take_name(out, name ? name : out->file.name))
        return false;
    out->sent = out->file.bytes;
    return look_inside(out, check, introduction);
}

bool hx_ctl_module_strip(struct hx_ctl_module *module)
{
    struct hx_mp_findings findings = { .take = complain };

    if (!module->name[0])
        return true;
    if (!hx_mp_module_types_record(module->file.bytes, module->file.path, true, &module->stripped, &findings))
        return false;
    module->sent = module->stripped;
    return true;
}

void hx_ctl_module_free(struct hx_ctl_module *module)
{
    hx_mp_file_free(&module->file);
    free((void *)(uintptr_t)module->stripped.data);
}
