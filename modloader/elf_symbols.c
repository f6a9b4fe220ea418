/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.c - the value of every symbol, each found once, before any relocation is looked at.
 *
 * Why an array: a relocation then costs one load instead of a search, and all missing names are known at once
 *            (elf_missing.c).
 * Policy:    an undefined symbol is what the environment says it is, never another symbol of some module.
 * Why two steps: names are resolved before memory is taken, addresses are known after it.
 * Invariant: after hx_ldr_rebase() value[] is whole; symbols of sections that are not loaded have HX_LDR_NO_VALUE.
 * Source:    System V gABI, chapter 4, "Symbol Table".
 */
#include <modloader/elf_file.h>

const char hx_ldr_tls_hint[] = "module uses thread-local storage; remove __thread and _Thread_local, or build with "
                               "-D__thread= -D_Thread_local=";

static hx_status_t refuse_type(struct hx_ldr_job *job, uint32_t index, unsigned int type)
{
    switch (type) {
    case STT_TLS: return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "%s", hx_ldr_tls_hint);
    case STT_GNU_IFUNC:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "an indirect function; remove attributes ifunc and target_clones, or build with "
                                    "-D'target_clones(...)='");
    default: return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol type %u is not supported", type);
    }
}

static inline hx_status_t check_binding(struct hx_ldr_job *job, uint32_t index, unsigned int binding)
{
    if (binding != STB_LOCAL && binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol binding %u is not supported", binding);
    if ((binding == STB_LOCAL) != (index < job->first_global))
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "local symbols must come before, others after sh_info %u of the table",
                                    job->first_global);
    return HX_OK;
}

static inline hx_status_t check_symbol(struct hx_ldr_job *job, uint32_t index, uint32_t name, uint32_t info)
{
    if (name >= job->symbol_names.bytes)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "its name lies outside of the string table");
    if (ELF64_ST_TYPE(info) > STT_COMMON)
        return refuse_type(job, index, ELF64_ST_TYPE(info));
    return check_binding(job, index, ELF64_ST_BIND(info));
}

/* A symbol of a section. The end of a section is a place in it. */
static hx_status_t define(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    const struct hx_ldr_section *section;

    if (symbol->st_shndx >= job->section_count)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "section %u does not exist", symbol->st_shndx);
    section = &job->section[symbol->st_shndx];
    if (symbol->st_value > section->bytes || symbol->st_size > section->bytes - symbol->st_value)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "its place (0x%lx bytes at 0x%lx) lies outside of its section", symbol->st_size,
                                    symbol->st_value);
    return HX_OK;
}

/* Memory that the linker is to make: st_value is its alignment. */
static hx_status_t define_common(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    uint64_t align = symbol->st_value;

    if (align == 0 || (align & (align - 1)) || align > HX_LDR_PAGE)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "a common symbol's alignment 0x%lx is no power of two up to a page", align);
    if (symbol->st_size > HX_LDR_IMAGE_MAX)
        return hx_ldr_refuse_symbol(job, HX_E_LIMIT, index, "its 0x%lx bytes make the image exceed %d MiB",
                                    symbol->st_size, HX_LDR_IMAGE_MAX >> 20);
    job->common_count++;
    return HX_OK;
}

/* A value that does not depend on where the image lies. */
static inline void set_outside(struct hx_ldr_job *job, uint32_t index, uint64_t value)
{
    job->value[index] = value;
    job->far_symbols |= !hx_ldr_reaches(job, value);
}

/* The special section numbers that have a meaning here. */
static hx_status_t define_special(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    switch (symbol->st_shndx) {
    case SHN_ABS:
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FILE)
            set_outside(job, index, symbol->st_value);
        return HX_OK;
    case SHN_COMMON:
    case HX_LDR_SHN_LARGE_COMMON: return define_common(job, index, symbol);
    case SHN_XINDEX:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "extended section numbering (SHN_XINDEX) is not supported");
    default:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "reserved section number 0x%x is not supported",
                                    symbol->st_shndx);
    }
}

/* The one undefined name that the loader knows itself. */
static bool is_got(const char *name)
{
    return name[0] == '_' && name[1] == 'G' && strcmp(name, "_GLOBAL_OFFSET_TABLE_") == 0;
}

static hx_status_t import_got(struct hx_ldr_job *job, uint32_t index)
{
    if (job->got_symbol)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "it is there twice, first as symbol %u", job->got_symbol);
    job->got_symbol = index;
    return HX_OK;
}

static hx_status_t import(struct hx_ldr_job *job, uint32_t index, const char *name, bool weak)
{
    size_t bytes = strnlen(name, HX_LDR_NAME_MAX);
    uint64_t value = 0;
    hx_status_t err;

    if (!bytes || index < job->first_global)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "an undefined symbol must be global and have a name");
    if (bytes == HX_LDR_NAME_MAX)
        return hx_ldr_refuse_symbol(job, HX_E_LIMIT, index, "its name has %d bytes or more", HX_LDR_NAME_MAX);
    if (is_got(name))
        return import_got(job, index);
    err = job->env->resolve(job->env->context, name, bytes, weak, &value);
    if (!err) {
        set_outside(job, index, value);
        job->import_count++;
        return HX_OK;
    }
    if (err != HX_E_SYMBOL)
        return hx_ldr_refuse_symbol(job, err, index, "it cannot be imported");
    if (weak) {
        set_outside(job, index, 0);
    } else {
        job->value[index] = HX_LDR_NO_VALUE;
        job->missing_count++;
    }
    return HX_OK;
}

/* Symbols of the image are not those that cost, so the whole entry is read again. */
static hx_status_t define_any(struct hx_ldr_job *job, uint32_t index)
{
    const Elf64_Sym symbol = hx_ldr_symbol(job, index);

    return symbol.st_shndx < SHN_LORESERVE ? define(job, index, &symbol) : define_special(job, index, &symbol);
}

hx_status_t hx_ldr_resolve(struct hx_ldr_job *job)
{
    const uint8_t *at = job->symbols.data + sizeof(Elf64_Sym);
    hx_status_t err = HX_OK;

    job->value[0] = 0;
    for (uint32_t i = 1; i < job->symbol_count; i++, at += sizeof(Elf64_Sym)) {
        uint32_t name = hx_ldr_load32(at + offsetof(Elf64_Sym, st_name));
        uint32_t info = at[offsetof(Elf64_Sym, st_info)];

        err = check_symbol(job, i, name, info);
        if (err)
            return err;
        if (hx_ldr_load16(at + offsetof(Elf64_Sym, st_shndx)) == SHN_UNDEF)
            err = import(job, i, (const char *)job->symbol_names.data + name, ELF64_ST_BIND(info) == STB_WEAK);
        else
            err = define_any(job, i);
        if (err)
            return err;
    }
    return job->missing_count ? hx_ldr_check_missing(job) : HX_OK;
}

/* ---- once the parts have their place --------------------------------------------------------------------------------- */
static uint64_t section_value(const struct hx_image *image, const uint8_t *at, uint32_t section)
{
    uintptr_t va = image->section_va[section];

    return va ? va + hx_ldr_load64(at + offsetof(Elf64_Sym, st_value)) : HX_LDR_NO_VALUE;
}

void hx_ldr_rebase(struct hx_ldr_job *job)
{
    const uint8_t *at = job->symbols.data + sizeof(Elf64_Sym);

    if (job->got_symbol)
        job->value[job->got_symbol] = hx_ldr_got_va(job);
    for (uint32_t i = 1; i < job->symbol_count; i++, at += sizeof(Elf64_Sym)) {
        uint32_t section = hx_ldr_load16(at + offsetof(Elf64_Sym, st_shndx));

        if (section == SHN_UNDEF)
            continue;
        if (section < SHN_LORESERVE)
            job->value[i] = section_value(job->image, at, section);
        else if (hx_ldr_is_common(section))
            job->value[i] += job->image->part[HX_PART_DATA].va;
    }
}

void hx_ldr_tell_commons(const struct hx_ldr_job *job)
{
    for (uint32_t i = 1; job->common_count && job->env->common && i < job->symbol_count; i++)
        if (hx_ldr_is_common(hx_ldr_symbol(job, i).st_shndx))
            job->env->common(job->env->context, i, job->value[i]);
}

bool hx_ldr_has_value(const struct hx_ldr_job *job, uint32_t symbol)
{
    uint32_t section = hx_ldr_symbol(job, symbol).st_shndx;

    return section == SHN_UNDEF || section >= SHN_LORESERVE || job->image->section_va[section];
}
