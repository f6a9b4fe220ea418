/* SPDX-License-Identifier: MIT */
/*
 * elf_place.c - which sections are loaded, into which part, and where.
 *
 * Why separate: placing needs memory, linking needs names; apart, a load is refused before anything global is touched.
 * Policy:    sections with one permission share a part, parts begin on a page of their own; a section that wants two
 *            kinds of permission is refused. Records and .data.rel.ro are relocated, then read-only.
 * Not loaded: sections without SHF_ALLOC, notes, and .eh_frame with its relocations: the gate unwinds by its own frames
 *            and backtraces follow rbp, so nothing would ever read it.
 * Invariant: on HX_OK every section's part and offset are set, and no sum of sizes has wrapped.
 */
#include <modloader/elf_file.h>

const char *const hx_ldr_record_names[HX_RECORDS_COUNT] = {
    [HX_RECORDS_MODULE] = ".hx.module", [HX_RECORDS_PROVIDES] = ".hx.provides", [HX_RECORDS_REQUIRES] = ".hx.requires",
    [HX_RECORDS_IRQS] = ".hx.irqs",     [HX_RECORDS_PORTS] = ".hx.ports",       [HX_RECORDS_PARAMS] = ".hx.params",
    [HX_RECORDS_FIELDS] = ".hx.fields",
};

/* What a loaded section may carry; anything else could change its meaning. */
static const uint64_t known_flags = SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_MERGE | SHF_STRINGS | SHF_INFO_LINK |
                                    SHF_LINK_ORDER | SHF_GROUP | SHF_GNU_RETAIN;
#define FLAG_X86_64_LARGE UINT64_C(0x10000000) /* psABI 1.0, table 4.6 */

/* In place and not by strncmp(): nearly every name differs in its second byte, and a load asks this of each section. */
static inline bool begins_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}

static inline bool is_named(const char *text, const char *name)
{
    return text[1] == name[1] && strcmp(text, name) == 0;
}

/* Record kind of a section by its name; HX_RECORDS_COUNT: none. */
static uint32_t record_kind(const char *name)
{
    const size_t prefix_length = sizeof(".hx.") - 1;
    uint32_t kind;

    if (!begins_with(name, ".hx."))
        return HX_RECORDS_COUNT;
    for (kind = 0; kind < HX_RECORDS_COUNT; kind++) {
        const char *record = hx_ldr_record_names[kind];

        if (name[prefix_length] == record[prefix_length] && strcmp(name, record) == 0)
            break;
    }
    return kind;
}

static hx_status_t check_flags(struct hx_ldr_job *job, const struct hx_ldr_section *section)
{
    const char *name = section->name;

    if (section->flags & SHF_TLS)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name,
                                     "module uses thread-local storage; remove __thread and _Thread_local");
    if (section->flags & SHF_COMPRESSED)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name,
                                     "it is compressed; build without -gz for this section");
    if (section->flags & FLAG_X86_64_LARGE)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "a large-model section; build with -mcmodel=kernel");
    if (section->flags & ~known_flags)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "unknown section flags 0x%lx",
                                     section->flags & ~known_flags);
    if ((section->flags & SHF_WRITE) && (section->flags & SHF_EXECINSTR))
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "it is both writable and executable");
    if (section->align > HX_LDR_PAGE)
        return hx_ldr_refuse_section(job, HX_E_LIMIT, name, "alignment 0x%lx is more than a page", section->align);
    return HX_OK;
}

static hx_status_t refuse_constructors(struct hx_ldr_job *job, const struct hx_ldr_section *section)
{
    return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                 "constructors and destructors are not run; use the hooks init and fini");
}

/* Whether a section with SHF_ALLOC has anything to load. */
static hx_status_t check_loadable(struct hx_ldr_job *job, const struct hx_ldr_section *section, bool *out_loaded)
{
    *out_loaded = false;
    switch (section->type) {
    case SHT_PROGBITS:
        if (is_named(section->name, ".eh_frame"))
            return HX_OK;
        if (begins_with(section->name, ".ctors") || begins_with(section->name, ".dtors"))
            return refuse_constructors(job, section);
        break;
    case SHT_NOBITS: break;
    case SHT_NULL:
    case SHT_NOTE:
    case SHT_X86_64_UNWIND: return HX_OK;
    case SHT_INIT_ARRAY:
    case SHT_FINI_ARRAY:
    case SHT_PREINIT_ARRAY: return refuse_constructors(job, section);
    default:
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name, "section type 0x%x cannot be loaded",
                                     section->type);
    }
    *out_loaded = true;
    return check_flags(job, section);
}

static hx_status_t check_records(struct hx_ldr_job *job, const struct hx_ldr_section *section, uint32_t kind)
{
    if (section->type != SHT_PROGBITS || (section->flags & SHF_EXECINSTR))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "records must be constant data");
    if (job->image->records[kind].bytes)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "it is there twice; link the module with ld -r");
    return HX_OK;
}

static hx_status_t choose_part(struct hx_ldr_job *job, const struct hx_ldr_section *section, uint32_t kind,
                               uint32_t *out_part)
{
    bool writable = section->flags & SHF_WRITE;

    if (kind != HX_RECORDS_COUNT) {
        *out_part = HX_PART_RODATA;
        return check_records(job, section, kind);
    }
    if (section->flags & SHF_EXECINSTR) {
        *out_part = HX_PART_TEXT;
    } else if (writable && is_named(section->name, HX_STATE_SECTION)) {
        *out_part = HX_PART_STATE;
        if (job->image->part[HX_PART_STATE].bytes)
            return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "a second state; declare one structure");
    } else if (writable && !begins_with(section->name, ".data.rel.ro")) {
        *out_part = HX_PART_DATA;
    } else {
        *out_part = HX_PART_RODATA;
    }
    return HX_OK;
}

/* Appends the section to its part. Sizes stay below HX_LDR_IMAGE_MAX, so that no sum of them wraps. */
static hx_status_t append(struct hx_ldr_job *job, struct hx_ldr_section *section, uint32_t part)
{
    struct hx_image_range *range = &job->image->part[part];
    uint64_t off = (range->bytes + section->align - 1) & ~(section->align - 1);

    if (section->bytes > HX_LDR_IMAGE_MAX || off + section->bytes > HX_LDR_IMAGE_MAX)
        return hx_ldr_refuse_section(job, HX_E_LIMIT, section->name, "its 0x%lx bytes make the image exceed %d MiB",
                                     section->bytes, HX_LDR_IMAGE_MAX >> 20);
    section->part = part;
    section->off = off;
    range->bytes = off + section->bytes;
    return HX_OK;
}

static hx_status_t place_section(struct hx_ldr_job *job, struct hx_ldr_section *section)
{
    uint32_t part = HX_LDR_NOT_LOADED;
    bool loaded = false;
    uint32_t kind;
    hx_status_t err;

    if (!(section->flags & SHF_ALLOC)) {
        if (begins_with(section->name, ".gnu.lto_"))
            return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                         "it holds compiler intermediate code; build with -fno-lto");
        return HX_OK;
    }
    err = check_loadable(job, section, &loaded);
    if (err || !loaded)
        return err;
    kind = record_kind(section->name);
    err = choose_part(job, section, kind, &part);
    if (err)
        return err;
    err = append(job, section, part);
    if (!err && kind != HX_RECORDS_COUNT)
        job->image->records[kind] = (struct hx_image_range){ section->off, section->bytes };
    return err;
}

hx_status_t hx_ldr_place(struct hx_ldr_job *job)
{
    struct hx_image *image = job->image;
    size_t bytes = 0;

    for (uint32_t i = 1; i < job->section_count; i++) {
        hx_status_t err = place_section(job, &job->section[i]);

        if (err)
            return err;
    }
    for (uint32_t part = 0; part < HX_PART_COUNT; part++) {
        image->part[part].off = bytes;
        bytes += (image->part[part].bytes + HX_LDR_PAGE - 1) & ~(size_t)(HX_LDR_PAGE - 1);
    }
    for (uint32_t kind = 0; kind < HX_RECORDS_COUNT; kind++)
        if (image->records[kind].bytes)
            image->records[kind].off += image->part[HX_PART_RODATA].off;
    if (bytes == 0)
        return hx_ldr_refuse(job, HX_E_FORMAT, "there is nothing to load in it");
    if (bytes > HX_LDR_IMAGE_MAX)
        return hx_ldr_refuse(job, HX_E_LIMIT, "the image would take 0x%zx bytes, more than %d MiB", bytes,
                             HX_LDR_IMAGE_MAX >> 20);
    image->bytes = bytes;
    return HX_OK;
}

void hx_ldr_copy(struct hx_ldr_job *job)
{
    struct hx_image *image = job->image;

    for (uint32_t i = 1; i < job->section_count; i++) {
        const struct hx_ldr_section *section = &job->section[i];
        size_t off;

        if (section->part == HX_LDR_NOT_LOADED)
            continue;
        off = image->part[section->part].off + section->off;
        image->section_va[i] = image->va + off;
        if (section->content.bytes)
            memcpy(image->memory + off, section->content.data, section->content.bytes);
    }
}
