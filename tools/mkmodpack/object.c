/* SPDX-License-Identifier: MIT */
/* object.c - see object.h. */
#include "object.h"

#include <gelf.h>
#include <stdlib.h>

static Elf *open_bytes(struct hx_slice bytes)
{
    if (elf_version(EV_CURRENT) == EV_NONE)
        return NULL;
    /* libelf writes to the memory only when asked to update; nothing here does. */
    return elf_memory((char *)(uintptr_t)bytes.data, bytes.bytes);
}

static const char *type_text(unsigned int type)
{
    switch (type) {
    case ET_EXEC: return "an executable";
    case ET_DYN: return "a shared object or position-independent executable";
    case ET_CORE: return "a core dump";
    default: return "an ELF file of unknown type";
    }
}

static bool check_header(Elf *elf, const struct hx_mp_file *file, struct hx_mp_findings *findings)
{
    GElf_Ehdr header;

    if (!gelf_getehdr(elf, &header)) {
        hx_mp_find(findings, file->path, "broken ELF file: %s; build it again", elf_errmsg(-1));
        return false;
    }
    if (gelf_getclass(elf) != ELFCLASS64 || header.e_machine != EM_X86_64) {
        hx_mp_find(findings, file->path, "not for this machine: ELF%d, machine %u; compile it for x86-64",
                   gelf_getclass(elf) == ELFCLASS64 ? 64 : 32, header.e_machine);
        return false;
    }
    if (header.e_type != ET_REL) {
        hx_mp_find(findings, file->path, "not a module: %s; link it with ld -r", type_text(header.e_type));
        return false;
    }
    return true;
}

bool hx_mp_object_check(const struct hx_mp_file *file, struct hx_mp_findings *findings)
{
    Elf *elf = NULL;
    bool ok = false;

    if (file->bytes.bytes == 0) {
        hx_mp_find(findings, file->path, "not an ELF file: it is empty; build it again");
        return false;
    }
    elf = open_bytes(file->bytes);
    switch (elf ? elf_kind(elf) : ELF_K_NONE) {
    case ELF_K_ELF: ok = check_header(elf, file, findings); break;
    case ELF_K_AR:
        hx_mp_find(findings, file->path, "not an ELF file: an ar archive; link it with ld -r --whole-archive");
        break;
    default:
        hx_mp_find(findings, file->path, "not an ELF file: the magic number is missing; name a module (ld -r)");
        break;
    }
    elf_end(elf);
    return ok;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_import(struct hx_mp_imports *imports, const char *name)
{
    char **larger = realloc(imports->name, (imports->count + 1) * sizeof(*larger));

    if (!larger)
        return false;
    imports->name = larger;
    imports->name[imports->count] = strdup(name);
    return imports->name[imports->count++] != NULL;
}

static bool read_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct hx_mp_imports *out)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;

    for (size_t i = 1; i < count; i++) {
        GElf_Sym symbol;
        const char *name;

        if (!gelf_getsym(data, (int)i, &symbol))
            return false;
        if (symbol.st_shndx != SHN_UNDEF)
            continue;
        name = elf_strptr(elf, header->sh_link, symbol.st_name);
        if (!name)
            return false;
        if (name[0] != '\0' && !add_import(out, name))
            return false;
    }
    return true;
}

bool hx_mp_object_imports(struct hx_slice bytes, struct hx_mp_imports *out)
{
    Elf *elf = open_bytes(bytes);
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    bool ok = elf != NULL;

    *out = (struct hx_mp_imports){ 0 };
    while (ok && (section = elf_nextscn(elf, section)) != NULL)
        if (!gelf_getshdr(section, &header))
            ok = false;
        else if (header.sh_type == SHT_SYMTAB)
            ok = read_symbols(elf, section, &header, out);
    elf_end(elf);
    if (ok && out->count > 0)
        qsort(out->name, out->count, sizeof(out->name[0]), compare_names);
    if (!ok)
        hx_mp_imports_free(out);
    return ok;
}

/* The first object of the table @symbols that lies in section @index. */
static bool find_object(Elf *elf, Elf_Scn *symbols, size_t index, char **out)
{
    Elf_Data *data = elf_getdata(symbols, NULL);
    GElf_Shdr header;
    GElf_Sym symbol;

    if (!data || !gelf_getshdr(symbols, &header))
        return false;
    for (int i = 1; !*out && gelf_getsym(data, i, &symbol); i++) {
        const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);

        if (symbol.st_shndx != index || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || !name || !name[0])
            continue;
        *out = strdup(name);
        return *out != NULL;
    }
    return true;
}

bool hx_mp_object_symbol_in(struct hx_slice bytes, const char *section, char **out)
{
    Elf *elf = open_bytes(bytes);
    Elf_Scn *at = NULL, *symbols = NULL;
    size_t names, index = SHN_UNDEF;
    bool ok = elf && elf_getshdrstrndx(elf, &names) == 0;

    *out = NULL;
    while (ok && (at = elf_nextscn(elf, at)) != NULL) {
        GElf_Shdr header;
        const char *name;

        ok = gelf_getshdr(at, &header) != NULL;
        name = ok ? elf_strptr(elf, names, header.sh_name) : NULL;
        if (name && strcmp(name, section) == 0)
            index = elf_ndxscn(at);
        if (ok && header.sh_type == SHT_SYMTAB)
            symbols = at;
    }
    if (ok && symbols && index != SHN_UNDEF)
        ok = find_object(elf, symbols, index, out);
    elf_end(elf);
    return ok;
}

void hx_mp_imports_free(struct hx_mp_imports *imports)
{
    for (size_t i = 0; i < imports->count; i++)
        free(imports->name[i]);
    free(imports->name);
    *imports = (struct hx_mp_imports){ 0 };
}

bool hx_mp_object_sections(struct hx_slice bytes,
                           bool (*each)(void *context, const struct hx_mp_object_section *section), void *context)
{
    Elf *elf = open_bytes(bytes);
    Elf_Scn *section = NULL;
    size_t names;
    bool ok = elf && elf_getshdrstrndx(elf, &names) == 0;

    while (ok && (section = elf_nextscn(elf, section)) != NULL) {
        struct hx_mp_object_section found = { .index = (uint32_t)elf_ndxscn(section) };
        GElf_Shdr header;

        ok = gelf_getshdr(section, &header) != NULL;
        if (!ok)
            break;
        found.name = elf_strptr(elf, names, header.sh_name);
        found.name = found.name ? found.name : "";
        found.type = header.sh_type;
        found.flags = header.sh_flags;
        found.bytes = header.sh_size;
        ok = each(context, &found);
    }
    elf_end(elf);
    return ok;
}
