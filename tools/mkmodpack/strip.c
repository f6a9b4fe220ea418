/* SPDX-License-Identifier: MIT */
/*
 * strip.c - see strip.h.
 *
 * Why the symbols stay where they are: relocations then need no change at all. Only section numbers move, and they stand in
 * few places: symbols, links, groups.
 * Source: System V gABI, chapter 4, "Sections" and "Section Groups"; DWARF 5, appendix G.
 */
#include "strip.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GONE = 0, TYPES_ALIGN = 8 }; /* in the map of section numbers */

static const char types_name[] = HX_MP_TYPES_SECTION;

struct stripper {
    const struct hx_mp_remake *how;
    Elf *in, *out;
    int fd;       /* of out */
    size_t *map;  /* [count], old number to new */
    size_t count; /* of sections in the old file */
    size_t names; /* number of the section of section names */
};

/* ---- what goes ------------------------------------------------------------------------------------------------------- */
static bool is_debug_name(const char *name)
{
    static const char *const prefixes[] = {
        ".debug",        ".zdebug",           ".gnu.debug",           ".stab", ".line", ".gdb_index",
        ".llvm_addrsig", ".gnu.linkonce.wi.", ".gnu.build.attributes"
    };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_relocations(const GElf_Shdr *header)
{
    return header->sh_type == SHT_RELA || header->sh_type == SHT_REL;
}

static bool goes(const struct hx_mp_remake *how, const char *name, uint64_t flags)
{
    if (flags & SHF_ALLOC)
        return false;
    return (how->strip && is_debug_name(name)) || (how->types.bytes && strcmp(name, types_name) == 0);
}

/* Marks in the map what stays (1) and what goes. */
static bool choose(struct stripper *strip)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(strip->in, section)) != NULL) {
        const char *name;

        if (!gelf_getshdr(section, &header) || !(name = elf_strptr(strip->in, strip->names, header.sh_name)))
            return false;
        strip->map[elf_ndxscn(section)] = !goes(strip->how, name, header.sh_flags);
    }
    while ((section = elf_nextscn(strip->in, section)) != NULL) {
        if (!gelf_getshdr(section, &header))
            return false;
        if (is_relocations(&header) && header.sh_info < strip->count && header.sh_info != 0 &&
            strip->map[header.sh_info] == GONE)
            strip->map[elf_ndxscn(section)] = GONE;
    }
    return true;
}

/* Members of @section, a group, that stay. */
static size_t members_left(const struct stripper *strip, const Elf_Data *data)
{
    const uint32_t *word = data->d_buf;
    size_t left = 0;

    for (size_t i = 1; i < data->d_size / sizeof(*word); i++)
        left += word[i] < strip->count && strip->map[word[i]] != GONE;
    return left;
}

/* A group of debug information alone goes with it. */
static bool choose_groups(struct stripper *strip)
{
    Elf_Scn *section = NULL;

    while ((section = elf_nextscn(strip->in, section)) != NULL) {
        GElf_Shdr header;
        Elf_Data *data;

        if (!gelf_getshdr(section, &header))
            return false;
        if (header.sh_type != SHT_GROUP)
            continue;
        data = elf_getdata(section, NULL);
        if (!data || data->d_size < sizeof(uint32_t))
            return false;
        if (members_left(strip, data) == 0)
            strip->map[elf_ndxscn(section)] = GONE;
    }
    return true;
}

static void number(struct stripper *strip)
{
    size_t next = 1;

    for (size_t i = 1; i < strip->count; i++)
        if (strip->map[i] != GONE)
            strip->map[i] = next++;
}

/* ---- what is left ---------------------------------------------------------------------------------------------------- */
/* Whether sh_info is the number of a section, not of a symbol. */
static bool info_is_section(const GElf_Shdr *header)
{
    return is_relocations(header) || (header->sh_flags & SHF_INFO_LINK);
}

/* What a symbol of a section that is gone becomes; others may refer to a global one by its name. */
static GElf_Sym absolute_zero(const GElf_Sym *symbol)
{
    unsigned char binding = GELF_ST_BIND(symbol->st_info);

    return (GElf_Sym){ .st_info = (unsigned char)GELF_ST_INFO(binding, STT_NOTYPE),
                       .st_name = binding == STB_LOCAL ? 0 : symbol->st_name,
                       .st_shndx = SHN_ABS };
}

static bool renumber_symbols(const struct stripper *strip, Elf_Data *data)
{
    for (size_t i = 1; i < data->d_size / sizeof(Elf64_Sym); i++) {
        GElf_Sym symbol;

        if (!gelf_getsym(data, (int)i, &symbol))
            return false;
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE)
            continue;
        if (symbol.st_shndx >= strip->count)
            return false;
        if (strip->map[symbol.st_shndx] == GONE)
            symbol = absolute_zero(&symbol);
        else
            symbol.st_shndx = (GElf_Section)strip->map[symbol.st_shndx];
        if (!gelf_update_sym(data, (int)i, &symbol))
            return false;
    }
    return true;
}

static void renumber_group(const struct stripper *strip, Elf_Data *data)
{
    uint32_t *word = data->d_buf;
    size_t left = 1;

    for (size_t i = 1; i < data->d_size / sizeof(*word); i++)
        if (word[i] < strip->count && strip->map[word[i]] != GONE)
            word[left++] = (uint32_t)strip->map[word[i]];
    data->d_size = left * sizeof(*word);
}

/* The contents may be changed: they are a copy. */
static bool copy_data(const struct stripper *strip, Elf_Scn *from, Elf_Scn *to, const GElf_Shdr *header)
{
    Elf_Data *old = elf_getdata(from, NULL);
    Elf_Data *new = elf_newdata(to);

    if (!old || !new)
        return false;
    *new = *old;
    new->d_buf = NULL;
    if (header->sh_type == SHT_NOBITS || old->d_size == 0)
        return true;
    new->d_buf = malloc(old->d_size + sizeof(types_name));
    if (!new->d_buf)
        return false;
    memcpy(new->d_buf, old->d_buf, old->d_size);
    if (strip->how->types.bytes && elf_ndxscn(from) == strip->names) {
        memcpy((char *)new->d_buf + old->d_size, types_name, sizeof(types_name));
        new->d_size += sizeof(types_name);
    }
    if (header->sh_type == SHT_GROUP)
        renumber_group(strip, new);
    return header->sh_type != SHT_SYMTAB || renumber_symbols(strip, new);
}

static bool copy_section(const struct stripper *strip, Elf_Scn *from)
{
    Elf_Scn *to = elf_newscn(strip->out);
    GElf_Shdr header;

    if (!to || !gelf_getshdr(from, &header) || header.sh_link >= strip->count)
        return false;
    header.sh_link = (GElf_Word)strip->map[header.sh_link];
    if (info_is_section(&header)) {
        if (header.sh_info >= strip->count)
            return false;
        header.sh_info = (GElf_Word)strip->map[header.sh_info];
    }
    return copy_data(strip, from, to, &header) && gelf_update_shdr(to, &header);
}

static bool copy_header(const struct stripper *strip)
{
    GElf_Ehdr header;

    if (!gelf_getehdr(strip->in, &header) || !gelf_newehdr(strip->out, ELFCLASS64))
        return false;
    header.e_shstrndx = (GElf_Half)strip->map[strip->names];
    return gelf_update_ehdr(strip->out, &header);
}

/* Not loaded, and its name is the last in the table of names. */
static bool add_types(const struct stripper *strip)
{
    Elf_Scn *names = elf_getscn(strip->in, strip->names), *section = elf_newscn(strip->out);
    Elf_Data *data = section ? elf_newdata(section) : NULL;
    GElf_Shdr header, names_header;
    void *copy = malloc(strip->how->types.bytes);

    if (!data || !copy || !gelf_getshdr(names, &names_header) || !gelf_getshdr(section, &header)) {
        free(copy);
        return false;
    }
    memcpy(copy, strip->how->types.data, strip->how->types.bytes);
    *data = (Elf_Data){ .d_buf = copy,
                        .d_type = ELF_T_BYTE,
                        .d_version = EV_CURRENT,
                        .d_size = strip->how->types.bytes,
                        .d_align = TYPES_ALIGN };
    header.sh_name = (GElf_Word)names_header.sh_size;
    header.sh_type = SHT_PROGBITS;
    header.sh_addralign = TYPES_ALIGN;
    return gelf_update_shdr(section, &header);
}

static bool copy(const struct stripper *strip)
{
    Elf_Scn *section = NULL;

    if (!copy_header(strip))
        return false;
    while ((section = elf_nextscn(strip->in, section)) != NULL)
        if (strip->map[elf_ndxscn(section)] != GONE && !copy_section(strip, section))
            return false;
    if (strip->how->types.bytes && !add_types(strip))
        return false;
    return elf_update(strip->out, ELF_C_WRITE) >= 0;
}

/* libelf leaves contents that it was given to who gave them. */
static void free_copies(Elf *elf)
{
    Elf_Scn *section = NULL;

    while (elf && (section = elf_nextscn(elf, section)) != NULL) {
        Elf_Data *data = elf_getdata(section, NULL);

        if (data) {
            free(data->d_buf);
            data->d_buf = NULL;
        }
    }
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
static bool read_back(int fd, struct hx_slice *out)
{
    off_t bytes = lseek(fd, 0, SEEK_END);
    uint8_t *data = bytes > 0 ? malloc((size_t)bytes) : NULL;

    if (!data || pread(fd, data, (size_t)bytes, 0) != (ssize_t)bytes) {
        free(data);
        return false;
    }
    *out = hx_slice_of(data, (size_t)bytes);
    return true;
}

static bool open_both(struct stripper *strip, struct hx_slice bytes)
{
    if (elf_version(EV_CURRENT) == EV_NONE)
        return false;
    strip->in = elf_memory((char *)(uintptr_t)bytes.data, bytes.bytes);
    strip->fd = memfd_create("mkmodpack", MFD_CLOEXEC);
    if (!strip->in || strip->fd < 0 || elf_getshdrnum(strip->in, &strip->count) != 0 ||
        elf_getshdrstrndx(strip->in, &strip->names) != 0 || strip->names >= strip->count)
        return false;
    strip->map = calloc(strip->count, sizeof(*strip->map));
    strip->out = elf_begin(strip->fd, ELF_C_WRITE, NULL);
    return strip->map && strip->out;
}

bool hx_mp_remake(struct hx_slice bytes, const char *path, const struct hx_mp_remake *how, struct hx_slice *out,
                  struct hx_mp_findings *findings)
{
    struct stripper strip = { .how = how, .fd = -1 };
    bool ok = open_both(&strip, bytes) && choose(&strip) && choose_groups(&strip);

    if (ok) {
        strip.map[strip.names] = 1; /* whatever it is called */
        number(&strip);
        ok = copy(&strip) && read_back(strip.fd, out);
    }
    if (!ok)
        hx_mp_find(findings, path, "cannot be stripped, nor its types recorded: %s; build it again",
                   elf_errno() ? elf_errmsg(-1) : "its section table is damaged");
    free_copies(strip.out);
    elf_end(strip.out);
    elf_end(strip.in);
    if (strip.fd >= 0)
        close(strip.fd);
    free(strip.map);
    return ok;
}
