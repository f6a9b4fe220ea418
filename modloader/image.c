/* SPDX-License-Identifier: MIT */
/*
 * image.c - questions about an image, and about a file that is not loaded yet.
 *
 * Why here: admission, backtraces and tools ask the same things; only this room knows how a file becomes an image.
 * Invariant: the file handed in may be another one, or changed, since the image was linked: it is checked again.
 */
#include <modloader/elf_file.h>

static bool in_piece(const struct hx_image_piece *piece, uintptr_t va, size_t bytes)
{
    uintptr_t off = va - piece->va;

    return off < piece->bytes && bytes <= piece->bytes - off;
}

const void *hx_image_at(const struct hx_image *image, uintptr_t va, size_t bytes)
{
    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        if (in_piece(&image->part[part], va, bytes))
            return image->part[part].memory + (va - image->part[part].va);
    return NULL;
}

bool hx_image_in_part(const struct hx_image *image, uintptr_t va, enum hx_image_part part)
{
    return in_piece(&image->part[part], va, 1);
}

bool hx_image_holds(const struct hx_image *image, uintptr_t va)
{
    return hx_image_at(image, va, 1) != NULL;
}

bool hx_image_is_code(const struct hx_image *image, uintptr_t va)
{
    return hx_image_in_part(image, va, HX_PART_TEXT) || hx_image_in_part(image, va, HX_PART_INIT_TEXT);
}

size_t hx_image_bytes(const struct hx_image *image)
{
    size_t bytes = 0;

    for (uint32_t part = 0; part < HX_PART_COUNT; part++)
        bytes += image->part[part].bytes;
    return bytes;
}

const char *hx_image_part_name(enum hx_image_part part)
{
    static const char *const names[HX_PART_COUNT] = {
        [HX_PART_TEXT] = "text",
        [HX_PART_RODATA] = "rodata",
        [HX_PART_DATA] = "data",
        [HX_PART_STATE] = "state",
        [HX_PART_RO_AFTER_INIT] = "ro_after_init",
        [HX_PART_INIT_TEXT] = "init_text",
        [HX_PART_INIT_DATA] = "init_data",
    };

    return (uint32_t)part < HX_PART_COUNT ? names[part] : "?";
}

/* Asked of every section, of most of them in vain; what else is wrong with the file is for the load to say. */
static bool holds_records(const struct hx_ldr_job *job, uint32_t index, enum hx_image_records kind)
{
    const uint64_t alloc = kind == HX_RECORDS_TYPES ? 0 : SHF_ALLOC;
    const uint8_t *header = job->headers.data + index * sizeof(Elf64_Shdr);
    uint32_t name_off = hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_name));

    return hx_ldr_load32(header + offsetof(Elf64_Shdr, sh_type)) == SHT_PROGBITS &&
           (hx_ldr_load64(header + offsetof(Elf64_Shdr, sh_flags)) & SHF_ALLOC) == alloc &&
           name_off < job->section_names.bytes &&
           hx_ldr_is_named((const char *)job->section_names.data + name_off, hx_ldr_record_names[kind]);
}

hx_status_t hx_ldr_peek(struct hx_slice file, enum hx_image_records kind, struct hx_slice *out)
{
    struct hx_ldr_job job = { .file = file };
    struct hx_ldr_section section;
    hx_status_t err;

    if ((uint32_t)kind >= HX_RECORDS_COUNT)
        return HX_E_NOENT;
    err = hx_ldr_check_header(&job);
    if (err)
        return err;
    for (uint32_t i = 1; i < job.section_count; i++) {
        if (!holds_records(&job, i, kind))
            continue;
        err = hx_ldr_read_section(&job, i, &section);
        if (!err)
            *out = section.content;
        return err;
    }
    return HX_E_NOENT;
}
