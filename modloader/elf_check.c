/* SPDX-License-Identifier: MIT */
/*
 * elf_check.c - is it a relocatable x86-64 object whose tables lie inside the file and agree with each other?
 *
 * Why first: what follows may then index sections, names and symbols without asking again.
 * Policy:    every refusal names the field and what to do about it, where a compiler flag is the cause.
 * Invariant: on HX_OK each section's content lies in the file, each string table ends with NUL, there is exactly one
 *            symbol table, and each relocation table names it and an existing section.
 * Source:    System V gABI 4.1 with the 2015 draft's sections and groups; AMD64 psABI 1.0, chapter 4.
 */
#include <modloader/elf_file.h>

#include <lib/hash.h>

static hx_status_t check_ident(struct hx_ldr_job *job, const Elf64_Ehdr *header)
{
    const unsigned char *ident = header->e_ident;

    if (memcmp(ident, ELFMAG, SELFMAG) != 0)
        return hx_ldr_refuse(job, HX_E_FORMAT, "not an ELF file (it begins with %02x %02x %02x %02x)", ident[0],
                             ident[1], ident[2], ident[3]);
    if (ident[EI_CLASS] != ELFCLASS64)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "ELF class %u is not 64-bit; build with -m64", ident[EI_CLASS]);
    if (ident[EI_DATA] != ELFDATA2LSB)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "ELF data encoding %u is not little-endian", ident[EI_DATA]);
    if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "ELF version %u is not 1", header->e_version);
    if (ident[EI_OSABI] != ELFOSABI_NONE && ident[EI_OSABI] != ELFOSABI_GNU)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "ELF OS/ABI %u is neither System V nor GNU", ident[EI_OSABI]);
    return HX_OK;
}

static hx_status_t check_kind(struct hx_ldr_job *job, const Elf64_Ehdr *header)
{
    if (header->e_machine != EM_X86_64)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "machine %u is not x86-64", header->e_machine);
    if (header->e_type == ET_EXEC || header->e_type == ET_DYN)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED,
                             "an executable or shared object, not a relocatable one; link with -r");
    if (header->e_type != ET_REL)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "ELF type %u is not ET_REL; link with -r", header->e_type);
    if (header->e_ehsize != sizeof(Elf64_Ehdr))
        return hx_ldr_refuse(job, HX_E_FORMAT, "e_ehsize is %u, not %zu", header->e_ehsize, sizeof(Elf64_Ehdr));
    return HX_OK;
}

/* A string table that begins and ends with NUL: then every offset into it names a string that ends inside. */
static bool is_string_table(struct hx_slice table)
{
    return table.bytes && table.data[0] == '\0' && table.data[table.bytes - 1] == '\0';
}

static Elf64_Shdr header_at(const struct hx_ldr_job *job, uint32_t index)
{
    Elf64_Shdr header;

    memcpy(&header, job->headers.data + (size_t)index * sizeof(header), sizeof(header));
    return header;
}

static hx_status_t check_section_names(struct hx_ldr_job *job, uint32_t index)
{
    Elf64_Shdr header;

    if (index == SHN_XINDEX)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "extended section numbering (SHN_XINDEX) is not supported");
    if (index == SHN_UNDEF || index >= job->section_count)
        return hx_ldr_refuse(job, HX_E_FORMAT, "e_shstrndx is %u, but there are %u sections", index,
                             job->section_count);
    header = header_at(job, index);
    if (header.sh_type != SHT_STRTAB)
        return hx_ldr_refuse(job, HX_E_FORMAT, "the section names (section %u) are no string table", index);
    if (hx_slice_sub(job->file, header.sh_offset, header.sh_size, &job->section_names))
        return hx_ldr_refuse(job, HX_E_TRUNCATED, "the section names (section %u) lie outside of the file", index);
    if (!is_string_table(job->section_names))
        return hx_ldr_refuse(job, HX_E_FORMAT, "the section names (section %u) do not begin and end with NUL", index);
    return HX_OK;
}

hx_status_t hx_ldr_check_header(struct hx_ldr_job *job)
{
    Elf64_Ehdr header;
    hx_status_t err;

    if (hx_slice_read(job->file, 0, &header, sizeof(header)))
        return hx_ldr_refuse(job, HX_E_TRUNCATED, "%zu bytes are too few for an ELF header", job->file.bytes);
    err = check_ident(job, &header);
    if (err)
        return err;
    err = check_kind(job, &header);
    if (err)
        return err;

    if (header.e_shentsize != sizeof(Elf64_Shdr))
        return hx_ldr_refuse(job, HX_E_FORMAT, "e_shentsize is %u, not %zu", header.e_shentsize, sizeof(Elf64_Shdr));
    if (header.e_shnum == 0 || header.e_shnum >= SHN_LORESERVE)
        return hx_ldr_refuse(job, HX_E_UNSUPPORTED, "e_shnum is %u: no sections, or extended numbering",
                             header.e_shnum);
    if (hx_slice_sub(job->file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), &job->headers))
        return hx_ldr_refuse(job, HX_E_TRUNCATED, "the section headers (%u at 0x%lx) lie outside of the file",
                             header.e_shnum, header.e_shoff);
    job->section_count = header.e_shnum;
    return check_section_names(job, header.e_shstrndx);
}

hx_status_t hx_ldr_read_section(struct hx_ldr_job *job, uint32_t index, struct hx_ldr_section *out)
{
    const uint8_t *header = job->headers.data + index * sizeof(Elf64_Shdr);
    const uint32_t name = hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_name));
    const uint64_t offset = hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_offset));

    if (name >= job->section_names.bytes)
        return hx_ldr_refuse(job, HX_E_FORMAT, "section %u: its name lies outside of the section names", index);
    out->name = (const char *)job->section_names.data + name;
    out->type = hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_type));
    out->flags = hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_flags));
    out->bytes = hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_size));
    out->link = hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_link));
    out->info = hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_info));
    out->align = hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_addralign));
    out->entry_bytes = hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_entsize));
    out->part = HX_LDR_NOT_LOADED;
    if (out->align == 0)
        out->align = 1;
    out->content = hx_slice_of(NULL, 0);
    if (out->type != SHT_NOBITS && out->type != SHT_NULL && hx_slice_sub(job->file, offset, out->bytes, &out->content))
        return hx_ldr_refuse_section(job, HX_E_TRUNCATED, out->name,
                                     "its content (0x%lx bytes at 0x%lx) lies outside of the file", out->bytes, offset);
    if (out->align & (out->align - 1))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, out->name, "alignment 0x%lx is no power of two", out->align);
    return HX_OK;
}

/* Symbol 0 stands for no symbol at all; relocations may refer to it. */
static bool is_null_symbol(const uint8_t *at)
{
    static const Elf64_Sym null;

    return memcmp(at, &null, sizeof(null)) == 0;
}

hx_status_t hx_ldr_check_symtab(struct hx_ldr_job *job, uint32_t index, const struct hx_ldr_section *symtab,
                                const struct hx_ldr_section *names)
{
    uint64_t count = symtab->bytes / sizeof(Elf64_Sym);

    if (symtab->entry_bytes != sizeof(Elf64_Sym))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, symtab->name, "sh_entsize is %lu, not %zu", symtab->entry_bytes,
                                     sizeof(Elf64_Sym));
    if (symtab->bytes == 0 || symtab->bytes % sizeof(Elf64_Sym) != 0 || count > UINT32_MAX)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, symtab->name, "its size 0x%lx is no count of symbols",
                                     symtab->bytes);
    if (symtab->info == 0 || symtab->info > count)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, symtab->name,
                                     "sh_info, the first global symbol, is %u of %lu symbols", symtab->info, count);
    if (!names || names->type != SHT_STRTAB)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, symtab->name, "sh_link %u is no string table", symtab->link);
    if (!is_string_table(names->content))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, names->name, "it does not begin and end with NUL");
    if (!is_null_symbol(symtab->content.data))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, symtab->name, "its first entry is not null");
    job->symtab_index = index;
    job->symbols = symtab->content;
    job->symbol_count = (uint32_t)count;
    job->first_global = symtab->info;
    job->symbol_names = names->content;
    return HX_OK;
}

static hx_status_t check_rela(struct hx_ldr_job *job, const struct hx_ldr_section *rela)
{
    if (rela->info == 0 || rela->info >= job->section_count)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, rela->name, "sh_info %u names no section to relocate",
                                     rela->info);
    if (rela->link != job->symtab_index)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, rela->name, "sh_link %u is not the symbol table (section %u)",
                                     rela->link, job->symtab_index);
    if (rela->entry_bytes != sizeof(Elf64_Rela) || rela->bytes % sizeof(Elf64_Rela) != 0)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, rela->name, "sh_entsize %lu or size 0x%lx is wrong",
                                     rela->entry_bytes, rela->bytes);
    return HX_OK;
}

/* The signatures seen so far: open addressing by name, a section's index in each bucket. */
struct signatures {
    uint32_t *bucket; /* 0: empty */
    uint32_t mask;
};

/* The bucket of @name, or the free one where it belongs; UINT32_MAX: too many names fall together, as none do by chance. */
static uint32_t find_signature(const struct hx_ldr_job *job, const struct signatures *seen, const char *name,
                               size_t bytes)
{
    uint32_t at = (uint32_t)hx_hash_name(name, bytes) & seen->mask;

    for (uint32_t probes = 0; probes < HX_LDR_PROBES_MAX; probes++, at = (at + 1) & seen->mask)
        if (!seen->bucket[at] || strcmp(hx_ldr_symbol_name(job, job->section[seen->bucket[at]].info), name) == 0)
            return at;
    return UINT32_MAX;
}

/* A group that is there twice would need one copy thrown away; `ld -r` does that, this loader does not. */
static hx_status_t check_group(struct hx_ldr_job *job, uint32_t index, struct signatures *seen)
{
    const struct hx_ldr_section *group = &job->section[index];
    const char *name;
    size_t bytes;
    uint32_t at;

    if (group->link != job->symtab_index || group->info >= job->symbol_count)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, group->name, "its signature, symbol %u, does not exist",
                                     group->info);
    name = hx_ldr_symbol_name(job, group->info);
    bytes = strnlen(name, HX_LDR_NAME_MAX);
    at = bytes < HX_LDR_NAME_MAX ? find_signature(job, seen, name, bytes) : UINT32_MAX;
    if (at == UINT32_MAX)
        return hx_ldr_refuse_section(job, HX_E_LIMIT, group->name,
                                     "the name of its signature, symbol %u, has %d bytes or more, or too many like it",
                                     group->info, HX_LDR_NAME_MAX);
    if (seen->bucket[at])
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, group->name,
                                     "section group %u is there twice; link the module with ld -r", group->info);
    seen->bucket[at] = index;
    return HX_OK;
}

static hx_status_t check_groups(struct hx_ldr_job *job)
{
    struct signatures seen = { NULL, 3 };
    hx_status_t err = HX_OK;

    while (seen.mask < 2 * job->group_count)
        seen.mask = 2 * seen.mask + 1;
    seen.bucket = job->env->scratch(job->env->context, (seen.mask + 1) * sizeof(*seen.bucket));
    if (!seen.bucket)
        return hx_ldr_refuse(job, HX_E_NOMEM, "no memory for %u section groups", job->group_count);
    for (uint32_t i = 1; i < job->section_count && !err; i++)
        if (job->section[i].type == SHT_GROUP)
            err = check_group(job, i, &seen);
    job->env->scratch_free(job->env->context, seen.bucket);
    return err;
}

/* Tables that speak of other tables, once all are known. */
static hx_status_t check_references(struct hx_ldr_job *job)
{
    hx_status_t err = HX_OK;

    for (uint32_t i = 1; i < job->section_count && !err; i++) {
        if (job->section[i].type == SHT_RELA)
            err = check_rela(job, &job->section[i]);
        job->group_count += job->section[i].type == SHT_GROUP;
    }
    return !err && job->group_count ? check_groups(job) : err;
}

static hx_status_t check_type(struct hx_ldr_job *job, const struct hx_ldr_section *section)
{
    switch (section->type) {
    case SHT_REL:
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                     "relocations without addends (SHT_REL) are not x86-64's; build with -m64");
    case SHT_SYMTAB_SHNDX:
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                     "extended section numbering (SHN_XINDEX) is not supported");
    default: return HX_OK;
    }
}

hx_status_t hx_ldr_check_sections(struct hx_ldr_job *job)
{
    const struct hx_ldr_section *names;
    uint64_t bytes = 0;
    uint32_t symtab = 0;
    hx_status_t err;

    for (uint32_t i = 1; i < job->section_count; i++) {
        struct hx_ldr_section *section = &job->section[i];

        err = hx_ldr_read_section(job, i, section);
        if (!err)
            err = check_type(job, section);
        if (err)
            return err;
        bytes += section->content.bytes;
        if (bytes / 2 > job->file.bytes) /* what is there once is not to be worked through ten thousand times */
            return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name,
                                         "the contents of the sections up to it have 0x%lx bytes, the file 0x%zx",
                                         bytes, job->file.bytes);
        if (section->type != SHT_SYMTAB)
            continue;
        if (symtab)
            return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "a second symbol table");
        symtab = i;
    }
    if (!symtab)
        return hx_ldr_refuse(job, HX_E_FORMAT, "there is no symbol table; do not strip the module");
    names = job->section[symtab].link < job->section_count ? &job->section[job->section[symtab].link] : NULL;
    err = hx_ldr_check_symtab(job, symtab, &job->section[symtab], names);
    if (err)
        return err;
    return check_references(job);
}
