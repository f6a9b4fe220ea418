/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.c - the value of every symbol, each found once, before any relocation is looked at.
 *
 * Why an array: a relocation then costs one load instead of a search, and all missing names are known at once.
 * Policy:    an undefined symbol is what the environment says it is, never another symbol of some module.
 * Why two steps: names are resolved before memory is taken, addresses are known after it.
 * Invariant: after hx_ldr_rebase() value[] is whole; symbols of sections that are not loaded have HX_LDR_NO_VALUE.
 * Source:    System V gABI, chapter 4, "Symbol Table".
 */
#include <modloader/elf_file.h>

#include <lib/fmt.h>

/* Room that the list of missing names leaves for its end. */
enum { TAIL_BYTES = 96 };

/* The list of missing names while it grows. */
struct missing {
    size_t used;     /* bytes of the message */
    uint32_t listed; /* names in it */
};

static hx_status_t refuse_type(struct hx_ldr_job *job, uint32_t index, unsigned int type)
{
    switch (type) {
    case STT_TLS:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "module uses thread-local storage; remove __thread and _Thread_local");
    case STT_GNU_IFUNC:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "an indirect function; remove attributes ifunc and target_clones");
    default: return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol type %u is not supported", type);
    }
}

static hx_status_t check_binding(struct hx_ldr_job *job, uint32_t index, unsigned int binding)
{
    if (binding != STB_LOCAL && binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol binding %u is not supported", binding);
    if ((binding == STB_LOCAL) != (index < job->first_global))
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "local symbols must come before, others after sh_info %u of the table",
                                    job->first_global);
    return HX_OK;
}

static hx_status_t check_symbol(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    unsigned int type = ELF64_ST_TYPE(symbol->st_info);

    if (symbol->st_name >= job->symbol_names.bytes)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "its name lies outside of the string table");
    if (type > STT_COMMON)
        return refuse_type(job, index, type);
    return check_binding(job, index, ELF64_ST_BIND(symbol->st_info));
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
    job->value[index] = symbol->st_value;
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

/* The special section numbers that have a meaning here. */
static hx_status_t define_special(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    switch (symbol->st_shndx) {
    case SHN_ABS: job->value[index] = symbol->st_value; return HX_OK;
    case SHN_COMMON: return define_common(job, index, symbol);
    case SHN_XINDEX:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "extended section numbering (SHN_XINDEX) is not supported");
    default:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "reserved section number 0x%x is not supported",
                                    symbol->st_shndx);
    }
}

/* Remembers a name that nobody knows; the message ends up with as many as fit. */
static void add_missing(struct hx_ldr_job *job, struct missing *missing, const char *name)
{
    struct hx_ldr_report *report = job->report;
    char clean[sizeof(report->symbol)];

    hx_ldr_copy_name(clean, sizeof(clean), name);
    if (report->missing_count++ == 0)
        hx_ldr_copy_name(report->symbol, sizeof(report->symbol), name);
    if (report->missing_count != missing->listed + 1 ||
        missing->used + strlen(clean) + 2 > sizeof(report->message) - TAIL_BYTES)
        return;
    missing->used = hx_fmt_append(report->message, sizeof(report->message), missing->used, "%s%s",
                                  missing->listed ? ", " : "undefined: ", clean);
    missing->listed++;
}

static hx_status_t refuse_missing(struct hx_ldr_job *job, const struct missing *missing)
{
    struct hx_ldr_report *report = job->report;
    const char *hint = strcmp(report->symbol, "_GLOBAL_OFFSET_TABLE_") == 0
                           ? "; build with -fno-pic"
                           : "; each must be a kernel export or of an interface named by HX_REQUIRES";
    size_t used = missing->used;

    report->err = HX_E_SYMBOL;
    if (report->missing_count > missing->listed)
        used = hx_fmt_append(report->message, sizeof(report->message), used, " and %u more",
                             report->missing_count - missing->listed);
    hx_fmt_append(report->message, sizeof(report->message), used, "%s", hint);
    return HX_E_SYMBOL;
}

static hx_status_t import(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol, struct missing *missing)
{
    const char *name = (const char *)job->symbol_names.data + symbol->st_name;
    bool weak = ELF64_ST_BIND(symbol->st_info) == STB_WEAK;
    uint64_t value = 0;
    hx_status_t err;

    if (!name[0] || index < job->first_global)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "an undefined symbol must be global and have a name");
    err = job->env->resolve(job->env->context, name, weak, &value);
    if (!err) {
        job->value[index] = value;
        job->import_count++;
        return HX_OK;
    }
    if (err != HX_E_SYMBOL)
        return hx_ldr_refuse_symbol(job, err, index, "it cannot be imported");
    if (weak)
        job->value[index] = 0;
    else
        add_missing(job, missing, name);
    return HX_OK;
}

hx_status_t hx_ldr_resolve(struct hx_ldr_job *job)
{
    struct missing missing = { 0, 0 };
    hx_status_t err = HX_OK;

    job->value[0] = 0;
    for (uint32_t i = 1; i < job->symbol_count; i++) {
        Elf64_Sym symbol = hx_ldr_symbol(job, i);

        err = check_symbol(job, i, &symbol);
        if (err)
            return err;
        if (symbol.st_shndx == SHN_UNDEF)
            err = import(job, i, &symbol, &missing);
        else if (symbol.st_shndx < SHN_LORESERVE)
            err = define(job, i, &symbol);
        else
            err = define_special(job, i, &symbol);
        if (err)
            return err;
    }
    if (job->report->missing_count)
        return refuse_missing(job, &missing);
    return HX_OK;
}

void hx_ldr_rebase(struct hx_ldr_job *job)
{
    const struct hx_image *image = job->image;
    uint64_t common_off = job->common_off;

    for (uint32_t i = 1; i < job->symbol_count; i++) {
        uint16_t section;

        memcpy(&section, job->symbols.data + i * sizeof(Elf64_Sym) + offsetof(Elf64_Sym, st_shndx), sizeof(section));
        if (section == SHN_COMMON) {
            Elf64_Sym symbol = hx_ldr_symbol(job, i);

            job->value[i] = image->part[HX_PART_DATA].va + hx_ldr_common_place(&symbol, &common_off);
            if (job->env->common)
                job->env->common(job->env->context, i, job->value[i]);
        } else if (section != SHN_UNDEF && section < SHN_LORESERVE) {
            job->value[i] = image->section_va[section] ? image->section_va[section] + job->value[i] : HX_LDR_NO_VALUE;
        }
    }
}
