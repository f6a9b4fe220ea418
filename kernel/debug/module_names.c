/* SPDX-License-Identifier: MIT */
/*
 * module_names.c - see module_names.h.
 */
#include "module_names.h"

#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "nearest.h"

#include <lib/fmt.h>
#include <module/module.h>
#include <module/pack.h>
#include <module/pushed.h>
#include <string.h>

/* Names of all modules: [*out_count], to be freed with hx_hal_free(). NULL: not enough memory, or none loaded. */
static char (*copy_names(uint32_t *out_count))[HX_NAME_MAX]
{
    uint32_t max = hx_module_count(), count = 0;
    char(*names)[HX_NAME_MAX] = max ? hx_hal_alloc(max * sizeof(*names)) : NULL;
    hx_preempt_disable();
    struct hx_module *module = NULL;
    while (names && count < max && (module = hx_module_next(module)))
        memcpy(names[count++], module->name, HX_NAME_MAX);
    hx_preempt_enable();
    *out_count = count;
    return names;
}

static void offer_modules(struct hx_nearest *nearest)
{
    uint32_t count = 0;
    char(*names)[HX_NAME_MAX] = copy_names(&count);
    for (uint32_t i = 0; i < count; i++)
        hx_nearest_offer(nearest, names[i]);
    hx_hal_free(names);
}

const char *hx_names_file_at(uint32_t index, struct hx_slice *out)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    struct hx_slice pushed;
    uint32_t count = 0;
    const char *name = hx_pushed_at(index, out);
    while (!name && hx_pushed_at(count, &pushed))
        count++;
    for (uint32_t i = 0; !name && pack && i < pack->count; i++) {
        if (hx_pushed_find(pack->entries[i].name, &pushed) == HX_OK || count++ != index)
            continue;
        name = pack->entries[i].name;
        *out = pack->entries[i].content;
    }
    return name;
}

/* Each file by both names that it goes by. */
static void offer_files(struct hx_nearest *nearest)
{
    const char *name;
    struct hx_slice content;
    for (uint32_t i = 0; (name = hx_names_file_at(i, &content)); i++) { /* it ends in the suffix, or were not there */
        char bare[HX_PACK_NAME_MAX];
        hx_nearest_offer(nearest, name);
        hx_fmt(bare, sizeof(bare), "%.*s", (int)(strlen(name) - strlen(HX_PACK_SUFFIX)), name);
        hx_nearest_offer(nearest, bare);
    }
}

hx_status_t hx_names_refuse_module(const char *command, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    offer_modules(&nearest);
    return hx_command_unknown(command, "module", name, hx_nearest_name(&nearest), "see lsmod");
}

hx_status_t hx_names_refuse_either(const char *command, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    offer_modules(&nearest);
    offer_files(&nearest);
    return hx_command_unknown(command, "module or file", name, hx_nearest_name(&nearest), "see lsmod and modinfo");
}

hx_status_t hx_names_refuse_file(const char *command, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    offer_files(&nearest);
    return hx_command_unknown(command, "file", name, hx_nearest_name(&nearest),
                              "the files of the initrd are listed by modinfo");
}

static hx_status_t find_file(const char *name, struct hx_slice *out)
{
    const struct hx_pack *pack = hx_console_env()->pack;
    if (hx_pushed_find(name, out) == HX_OK)
        return HX_OK;
    return pack ? hx_pack_find(pack, name, out) : HX_E_NOENT;
}

hx_status_t hx_names_find_file(const char *name, struct hx_slice *out)
{
    char with_suffix[HX_PACK_NAME_MAX];
    if (find_file(name, out) == HX_OK)
        return HX_OK;
    hx_fmt(with_suffix, sizeof(with_suffix), "%s%s", name, HX_PACK_SUFFIX);
    return find_file(with_suffix, out);
}

hx_status_t hx_names_peek(struct hx_slice file, struct hx_module_record *out)
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_MODULE, &records);
    if (err == HX_OK)
        err = hx_slice_read(records, 0, out, sizeof(*out));
    if (err == HX_OK && (!memchr(out->name, 0, sizeof(out->name)) || !memchr(out->summary, 0, sizeof(out->summary))))
        err = HX_E_FORMAT;
    return err;
}

hx_status_t hx_names_find_newest(const char *module, struct hx_slice *out)
{
    struct hx_module_record record;
    struct hx_slice content;
    uint32_t best = 0;
    hx_status_t found = HX_E_NOENT;
    for (uint32_t i = 0; hx_names_file_at(i, &content); i++) {
        if (hx_names_peek(content, &record) != HX_OK || strcmp(record.name, module) != 0)
            continue;
        if (found == HX_OK && record.version <= best)
            continue;
        best = record.version;
        *out = content;
        found = HX_OK;
    }
    return found;
}

void hx_names_complete_modules(uint32_t position, struct hx_editor_matches *matches)
{
    uint32_t count = 0;
    char(*names)[HX_NAME_MAX] = position == 1 ? copy_names(&count) : NULL;
    for (uint32_t i = 0; i < count; i++)
        hx_editor_offer(matches, names[i]);
    hx_hal_free(names);
}

void hx_names_offer_files(struct hx_editor_matches *matches)
{
    const char *name;
    struct hx_slice content;
    hx_pushed_enter();
    for (uint32_t i = 0; (name = hx_names_file_at(i, &content)); i++)
        hx_editor_offer(matches, name);
    hx_pushed_leave();
}

void hx_names_complete_files(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        hx_names_offer_files(matches);
}
