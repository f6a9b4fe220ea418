/* SPDX-License-Identifier: MIT */
/*
 * link_object.c - see link_object.h.
 *
 * Why libelf beside the loader: the image knows where each section went, but neither what it is called nor how long it is.
 * It is asked only about an object that the loader has taken.
 */
#include "link_object.h"

#include "object.h"
#include "printable.h"

#include <stdlib.h>

#define GOT_NAME "_GLOBAL_OFFSET_TABLE_" /* the loader knows itself where that is */

/* What the loader's callbacks need; host first, because it is the environment's context. */
struct link {
    struct hx_mp_host host;
    const struct hx_mp_symbols *symbols;
    struct hx_mp_linked *out;
    bool no_memory;
};

/* ---- environment of the loader --------------------------------------------------------------------------------------- */
/* Room for one more; what was there stays when there is none. */
static bool grow(void **array, size_t count, size_t each)
{
    void *larger;

    if (count & (count - 1)) /* there is room up to the next power of two */
        return true;
    larger = realloc(*array, (count ? 2 * count : 1) * each);
    if (!larger)
        return false;
    *array = larger;
    return true;
}

static bool note_import(struct hx_mp_linked *linked, const char *name, uint64_t value)
{
    char *copy = strdup(name);

    if (!copy || !grow((void **)&linked->import, linked->import_count, sizeof(*linked->import))) {
        free(copy);
        return false;
    }
    linked->import[linked->import_count++] = (struct hx_mp_linked_import){ copy, value };
    return true;
}

static hx_status_t env_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
    struct link *link = context;
    const struct hx_mp_symbol *symbol = hx_mp_symbols_find(link->symbols, name);

    (void)weak; /* the loader says what becomes of one that nobody knows */
    if (!note_import(link->out, name, symbol ? symbol->value : 0))
        return HX_E_NOMEM;
    if (!symbol)
        return HX_E_SYMBOL;
    *out_value = symbol->value;
    return HX_OK;
}

static void env_common(void *context, uint32_t symbol, uintptr_t va)
{
    struct link *link = context;
    struct hx_mp_linked *out = link->out;

    if (!grow((void **)&out->common, out->common_count, sizeof(*out->common))) {
        link->no_memory = true;
        return;
    }
    out->common[out->common_count++] = (struct hx_mp_linked_common){ symbol, va };
}

/* ---- after the load -------------------------------------------------------------------------------------------------- */
static bool add_section(void *context, const struct hx_mp_object_section *section)
{
    struct hx_mp_linked *linked = context;
    const struct hx_image *image = linked->image;
    struct hx_mp_linked_section found = { .index = section->index, .bytes = section->bytes };

    if (section->index >= image->section_count || image->section_va[section->index] == 0)
        return true;
    found.va = image->section_va[section->index];
    found.data = hx_image_at(image, found.va, found.bytes);
    found.name = strdup(section->name);
    if (!found.name || !grow((void **)&linked->section, linked->section_count, sizeof(*linked->section))) {
        free(found.name);
        return false;
    }
    linked->section[linked->section_count++] = found;
    return true;
}

/* The loader does not ask about its own table; who reads the result wants to know. */
static bool add_got(struct hx_mp_linked *linked, const struct hx_mp_imports *imports)
{
    const struct hx_image *image = linked->image;

    for (size_t i = 0; i < linked->import_count; i++)
        if (strcmp(linked->import[i].name, GOT_NAME) == 0)
            return true;
    for (size_t i = 0; i < imports->count; i++)
        if (strcmp(imports->name[i], GOT_NAME) == 0)
            return note_import(linked, GOT_NAME, image->part[HX_PART_RODATA].va + image->got.off);
    return true;
}

static bool describe(struct hx_mp_linked *linked, struct hx_slice bytes)
{
    struct hx_mp_imports imports = { 0 };
    bool ok = hx_mp_object_sections(bytes, add_section, linked) && hx_mp_object_imports(bytes, &imports) &&
              add_got(linked, &imports);

    hx_mp_imports_free(&imports);
    return ok;
}

bool hx_mp_link(struct hx_mp_linked *out, const struct hx_mp_file *file, const struct hx_mp_link_request *request,
                struct hx_mp_findings *findings)
{
    struct link link = { .host = { .base = request->base }, .symbols = request->symbols, .out = out };
    struct hx_ldr_env env;
    struct hx_ldr_report report = { 0 };
    hx_status_t err;

    *out = (struct hx_mp_linked){ 0 };
    memcpy(link.host.part_va, request->part_va, sizeof(link.host.part_va));
    env = hx_mp_host_env(&link.host);
    env.resolve = env_resolve;
    env.names_hint = "give each a value in the file of --symbols";
    env.common = env_common;
    err = hx_ldr_load(file->bytes, &env, &out->image, &report);
    out->host = link.host;
    if (err) {
        out->image = NULL;
        hx_mp_find_error(findings, err, file->path, "%s", link.host.refusal[0] ? link.host.refusal : report.message);
        return false;
    }
    if (link.no_memory || !describe(out, file->bytes)) {
        hx_mp_find_error(findings, HX_E_NOMEM, file->path, "not enough memory to describe what came out; free some");
        return false;
    }
    return true;
}

void hx_mp_linked_free(struct hx_mp_linked *linked)
{
    struct hx_ldr_env env = hx_mp_host_env(&linked->host);

    hx_ldr_unload(linked->image, &env);
    for (size_t i = 0; i < linked->import_count; i++)
        free(linked->import[i].name);
    for (size_t i = 0; i < linked->section_count; i++)
        free(linked->section[i].name);
    free(linked->import);
    free(linked->common);
    free(linked->section);
    *linked = (struct hx_mp_linked){ 0 };
}

/* ---- for programs ---------------------------------------------------------------------------------------------------- */
static void print_hex(const uint8_t *data, size_t bytes, FILE *to)
{
    static const char digits[] = "0123456789abcdef";

    if (bytes == 0)
        fputc('-', to);
    for (size_t i = 0; i < bytes; i++) {
        fputc(digits[data[i] >> 4], to);
        fputc(digits[data[i] & 15], to);
    }
    fputc('\n', to);
}

static void dump_made(const struct hx_image *image, enum hx_image_part part, struct hx_image_range range, FILE *to)
{
    if (range.bytes == 0)
        return;
    fprintf(to, "M 0x%lx 0x%zx ", image->part[part].va + range.off, range.bytes);
    print_hex(image->part[part].memory + range.off, range.bytes, to);
}

void hx_mp_linked_dump(const struct hx_mp_linked *linked, FILE *to)
{
    for (size_t i = 0; i < linked->section_count; i++) {
        const struct hx_mp_linked_section *section = &linked->section[i];

        fprintf(to, "S 0x%x 0x%lx 0x%zx ", section->index, section->va, section->bytes);
        print_hex(section->data, section->bytes, to);
    }
    for (size_t i = 0; i < linked->import_count; i++) {
        fputs("U ", to);
        hx_mp_print_name(linked->import[i].name, to);
        fprintf(to, " 0x%llx\n", (unsigned long long)linked->import[i].value);
    }
    for (size_t i = 0; i < linked->common_count; i++)
        fprintf(to, "C 0x%x 0x%lx\n", linked->common[i].symbol, linked->common[i].va);
    dump_made(linked->image, HX_PART_RODATA, linked->image->got, to);
    dump_made(linked->image, HX_PART_TEXT, linked->image->veneers, to);
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */
static void print_range(const struct hx_image *image, const char *what, enum hx_image_part part,
                        struct hx_image_range range, FILE *to)
{
    if (range.bytes > 0)
        fprintf(to, "%-24s 0x%016lx %9zu bytes\n", what, image->part[part].va + range.off, range.bytes);
}

static void print_sections(const struct hx_mp_linked *linked, enum hx_image_part part, FILE *to)
{
    for (size_t i = 0; i < linked->section_count; i++) {
        const struct hx_mp_linked_section *section = &linked->section[i];

        if (!hx_image_in_part(linked->image, section->va, part))
            continue;
        fputs("  ", to);
        hx_mp_print_column(section->name, 23, to);
        fprintf(to, "0x%016lx %9zu bytes\n", section->va, section->bytes);
    }
}

void hx_mp_linked_print(const struct hx_mp_linked *linked, FILE *to)
{
    const struct hx_image *image = linked->image;

    for (unsigned int i = 0; i < HX_PART_COUNT; i++) {
        const struct hx_image_piece *piece = &image->part[i];

        if (piece->bytes == 0)
            continue;
        fprintf(to, "%-24s 0x%016lx %9zu bytes\n", hx_image_part_name((enum hx_image_part)i), piece->va, piece->bytes);
        print_sections(linked, (enum hx_image_part)i, to);
    }
    print_range(image, "GOT", HX_PART_RODATA, image->got, to);
    print_range(image, "veneers", HX_PART_TEXT, image->veneers, to);
    for (size_t i = 0; i < linked->common_count; i++)
        fprintf(to, "common symbol %-10u 0x%016lx\n", linked->common[i].symbol, linked->common[i].va);
    for (size_t i = 0; i < linked->import_count; i++) {
        fputs("import ", to);
        hx_mp_print_column(linked->import[i].name, 18, to);
        fprintf(to, "0x%016llx\n", (unsigned long long)linked->import[i].value);
    }
    fprintf(to, "%u relocations, %zu bytes\n", image->relocation_count, hx_image_bytes(image));
}
