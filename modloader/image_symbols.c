/* SPDX-License-Identifier: MIT */
/*
 * image_symbols.c - the names in an image, from the symbol table of the file that it was linked from.
 *
 * Why from the file: it lies in memory anyway, and names that are asked for once in a while are not worth a table.
 * Invariant: the file handed in may be another one, or changed, since the image was linked: it is checked again.
 */
#include <modloader/elf_file.h>

/* Finds the symbol table of a file without a section array. */
static hx_status_t find_symtab(struct hx_ldr_job *job)
{
    struct hx_ldr_section symtab, names;
    hx_status_t err;

    err = hx_ldr_check_header(job);
    if (err)
        return err;
    for (uint32_t i = 1; i < job->section_count; i++) {
        err = hx_ldr_read_section(job, i, &symtab);
        if (err)
            return err;
        if (symtab.type != SHT_SYMTAB)
            continue;
        if (symtab.link >= job->section_count)
            return HX_E_FORMAT;
        err = hx_ldr_read_section(job, symtab.link, &names);
        if (err)
            return err;
        return hx_ldr_check_symtab(job, i, &symtab, &names);
    }
    return HX_E_FORMAT;
}

/* A function or an object that has a name and lies in the image now: sections may not have been loaded, or be gone. */
static bool read_label(const struct hx_image *image, const struct hx_ldr_job *job, uint32_t index, struct hx_label *out)
{
    Elf64_Sym symbol = hx_ldr_symbol(job, index);
    unsigned int type = ELF64_ST_TYPE(symbol.st_info);

    if ((type != STT_FUNC && type != STT_OBJECT) || symbol.st_shndx == SHN_UNDEF ||
        symbol.st_shndx >= image->section_count || !image->section_va[symbol.st_shndx])
        return false;
    if (symbol.st_name >= job->symbol_names.bytes || !job->symbol_names.data[symbol.st_name])
        return false;
    out->name = (const char *)job->symbol_names.data + symbol.st_name;
    out->va = image->section_va[symbol.st_shndx] + symbol.st_value;
    out->bytes = symbol.st_size;
    return hx_image_holds(image, out->va);
}

void hx_image_for_each_symbol(const struct hx_image *image, struct hx_slice file,
                              bool (*visit)(const struct hx_label *label, void *context), void *context)
{
    struct hx_ldr_job job = { .file = file };
    struct hx_label label;

    if (find_symtab(&job) || job.section_count != image->section_count)
        return;
    for (uint32_t i = 1; i < job.symbol_count; i++)
        if (read_label(image, &job, i, &label) && !visit(&label, context))
            return;
}

struct search {
    const struct hx_image *image;
    uintptr_t va;
    struct hx_label best; /* name NULL: none yet */
};

static bool same_part(const struct hx_image *image, uintptr_t a, uintptr_t b)
{
    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        if (hx_image_in_part(image, a, (enum hx_image_part)part))
            return hx_image_in_part(image, b, (enum hx_image_part)part);
    return false;
}

/* One without a size (assembly) holds what follows it in its part. */
static bool keep_last_that_holds(const struct hx_label *label, void *context)
{
    struct search *search = context;

    if (search->va < label->va || (label->bytes && search->va - label->va >= label->bytes))
        return true;
    if (!label->bytes && !same_part(search->image, label->va, search->va))
        return true;
    if (!search->best.name || label->va > search->best.va)
        search->best = *label;
    return true;
}

hx_status_t hx_image_symbol(const struct hx_image *image, struct hx_slice file, uintptr_t va, struct hx_label *out)
{
    struct search search = { .image = image, .va = va };

    if (!hx_image_holds(image, va))
        return HX_E_NOENT;
    hx_image_for_each_symbol(image, file, keep_last_that_holds, &search);
    if (!search.best.name)
        return HX_E_NOENT;
    *out = search.best;
    return HX_OK;
}
