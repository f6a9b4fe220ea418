/* SPDX-License-Identifier: MIT */
/* symbol_list.c - see symbol_list.h. */
#include "symbol_list.h"

#include "kernel_names.h"

#include <gelf.h>
#include <module/ops.h>
#include <stdlib.h>

struct reading {
    struct hx_mp_symbol_list *out;
    const struct hx_mp_module *module;
    struct hx_slice requires; /* unlinked records */
    Elf *elf;
    size_t section_names;
};

/* ---- who has it ------------------------------------------------------------------------------------------------------ */
/* Whether @name is called as an operation of the interface in @record, and, where the lists can be read, is one. */
static bool is_operation(const struct reading *reading, const char *name, const struct hx_interface_record *record,
                         size_t index)
{
    const char *operation = hx_mp_operation_called(name, record);
    const struct hx_interface_record *linked;
    size_t count;

    if (!operation || !reading->module->record)
        return operation != NULL;
    linked = hx_mp_requires(reading->module, &count);
    return index < count && hx_ops_index(hx_mp_ops(reading->module, &linked[index]), operation, strlen(operation)) >= 0;
}

static void find_source(const struct reading *reading, struct hx_mp_import *import)
{
    struct hx_interface_record record;

    import->source = import->weak ? HX_MP_FROM_NOBODY_WEAK : HX_MP_FROM_NOBODY;
    if (hx_mp_export_called(import->name))
        import->source = HX_MP_FROM_KERNEL;
    else if (strcmp(import->name, "_GLOBAL_OFFSET_TABLE_") == 0)
        import->source = HX_MP_FROM_LOADER;
    for (size_t i = 0; hx_slice_read(reading->requires, i * sizeof(record), &record, sizeof(record)) == HX_OK; i++) {
        if (import->source == HX_MP_FROM_KERNEL || !is_operation(reading, import->name, &record, i))
            continue;
        import->source = HX_MP_FROM_INTERFACE;
        import->interface = hx_mp_interface_name(record.prefix);
        import->version = hx_mp_interface_version_text(record.version);
        return;
    }
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
static bool add_import(struct reading *reading, const char *name, bool weak)
{
    struct hx_mp_symbol_list *out = reading->out;
    struct hx_mp_import *larger = realloc(out->import, (out->import_count + 1) * sizeof(*larger));
    struct hx_mp_import import = { .name = strdup(name), .weak = weak };

    if (larger)
        out->import = larger;
    if (!larger || !import.name) {
        free(import.name);
        return false;
    }
    find_source(reading, &import);
    out->import[out->import_count++] = import;
    return true;
}

static const char *section_name(const struct reading *reading, unsigned int index)
{
    Elf_Scn *section = index < SHN_LORESERVE ? elf_getscn(reading->elf, index) : NULL;
    GElf_Shdr header;
    const char *name = NULL;

    if (index == SHN_COMMON)
        return "common";
    if (index == SHN_ABS)
        return "absolute";
    if (section && gelf_getshdr(section, &header))
        name = elf_strptr(reading->elf, reading->section_names, header.sh_name);
    return name ? name : "?";
}

static bool add_global(struct reading *reading, const char *name, const GElf_Sym *symbol)
{
    struct hx_mp_symbol_list *out = reading->out;
    struct hx_mp_global *larger = realloc(out->global, (out->global_count + 1) * sizeof(*larger));
    unsigned int type = GELF_ST_TYPE(symbol->st_info);
    struct hx_mp_global global = {
        .name = strdup(name),
        .section = strdup(section_name(reading, symbol->st_shndx)),
        .type = type == STT_FUNC                           ? "function"
                : type == STT_OBJECT || type == STT_COMMON ? "object"
                                                           : "other",
        .weak = GELF_ST_BIND(symbol->st_info) == STB_WEAK,
        .bytes = symbol->st_size,
    };

    if (larger)
        out->global = larger;
    if (!larger || !global.name || !global.section) {
        free(global.name);
        free(global.section);
        return false;
    }
    out->global[out->global_count++] = global;
    return true;
}

static bool read_symbols(struct reading *reading, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;

    for (size_t i = 1; i < count; i++) {
        GElf_Sym symbol;
        const char *name;
        bool ok = true;

        if (!gelf_getsym(data, (int)i, &symbol))
            return false;
        if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL)
            continue;
        name = elf_strptr(reading->elf, header->sh_link, symbol.st_name);
        if (!name)
            return false;
        if (symbol.st_shndx == SHN_UNDEF)
            ok = add_import(reading, name, GELF_ST_BIND(symbol.st_info) == STB_WEAK);
        else
            ok = add_global(reading, name, &symbol);
        if (!ok)
            return false;
    }
    return true;
}

bool hx_mp_symbol_list_read(struct hx_mp_symbol_list *out, struct hx_slice bytes, const struct hx_mp_module *module)
{
    struct reading reading = { .out = out, .module = module };
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    bool ok = elf_version(EV_CURRENT) != EV_NONE;

    *out = (struct hx_mp_symbol_list){ 0 };
    reading.requires = hx_records_peek_interfaces(bytes, HX_RECORDS_REQUIRES);
    reading.elf = ok ? elf_memory((char *)(uintptr_t)bytes.data, bytes.bytes) : NULL;
    ok = reading.elf && elf_getshdrstrndx(reading.elf, &reading.section_names) == 0;
    while (ok && (section = elf_nextscn(reading.elf, section)) != NULL)
        if (!gelf_getshdr(section, &header))
            ok = false;
        else if (header.sh_type == SHT_SYMTAB)
            ok = read_symbols(&reading, section, &header);
    elf_end(reading.elf);
    if (!ok)
        hx_mp_symbol_list_free(out);
    return ok;
}

void hx_mp_symbol_list_free(struct hx_mp_symbol_list *list)
{
    for (size_t i = 0; i < list->global_count; i++) {
        free(list->global[i].name);
        free(list->global[i].section);
    }
    for (size_t i = 0; i < list->import_count; i++)
        free(list->import[i].name);
    free(list->global);
    free(list->import);
    *list = (struct hx_mp_symbol_list){ 0 };
}

const char *hx_mp_source_name(enum hx_mp_source source)
{
    static const char *const names[] = {
        [HX_MP_FROM_KERNEL] = "the kernel", [HX_MP_FROM_INTERFACE] = "a required interface",
        [HX_MP_FROM_LOADER] = "the loader", [HX_MP_FROM_NOBODY_WEAK] = "nobody: weak, 0",
        [HX_MP_FROM_NOBODY] = "nobody",
    };

    return (unsigned int)source < HX_ARRAY_SIZE(names) ? names[source] : "?";
}
