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

hx_status_t hx_ldr_peek(struct hx_slice file, enum hx_image_records kind, struct hx_slice *out)
{
    struct hx_ldr_job job = { .file = file };
    hx_status_t err;

    if ((uint32_t)kind >= HX_RECORDS_COUNT)
        return HX_E_NOENT;
    err = hx_ldr_check_header(&job);
    if (err)
        return err;
    for (uint32_t i = 1; i < job.section_count; i++) {
        struct hx_ldr_section section;

        err = hx_ldr_read_section(&job, i, &section);
        if (err)
            return err;
        if (section.type == SHT_PROGBITS && (section.flags & SHF_ALLOC) &&
            strcmp(section.name, hx_ldr_record_names[kind]) == 0) {
            *out = section.content;
            return HX_OK;
        }
    }
    return HX_E_NOENT;
}
