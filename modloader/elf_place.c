/* SPDX-License-Identifier: MIT */
/*
 * elf_place.c - which sections are loaded, into which part, and where in it.
 *
 * Why separate: all that decides how much memory an image takes is here, and is known before any is taken.
 * Policy:    sections with one permission and one lifetime share a part; a section that wants two kinds of permission is
 *            refused. Records, constructors' addresses and .data.rel.ro are relocated, then read-only. What the loader
 *            makes itself comes last in its part: common symbols in data, the GOT in rodata, veneers in text.
 * Not loaded: sections without SHF_ALLOC, notes, and .eh_frame with its relocations: the gate unwinds by its own frames
 *            and backtraces follow rbp, so nothing would ever read it.
 * Invariant: on HX_OK every section's part and offset are set, and no sum of sizes has wrapped.
 */
#include <modloader/elf_file.h>

const char *const hx_ldr_record_names[HX_RECORDS_COUNT] = {
    [HX_RECORDS_CAPABILITIES] = ".hx.capabilities",
    [HX_RECORDS_MODULE] = ".hx.module",
    [HX_RECORDS_PROVIDES] = ".hx.provides",
    [HX_RECORDS_REQUIRES] = ".hx.requires",
    [HX_RECORDS_IRQS] = ".hx.irqs",
    [HX_RECORDS_PORTS] = ".hx.ports",
    [HX_RECORDS_PARAMS] = ".hx.params",
    [HX_RECORDS_FIELDS] = ".hx.fields",
    [HX_RECORDS_RULES] = ".hx.rules",
    [HX_RECORDS_CALLBACKS] = ".hx.callbacks",
    [HX_RECORDS_CHANNELS] = ".hx.channels",
    [HX_RECORDS_TOPICS] = ".hx.topics",
    [HX_RECORDS_RECORD] = ".hx.record",
    [HX_RECORDS_RECORD_FIELDS] = ".hx.record_fields",
    [HX_RECORDS_SOURCES] = ".hx.sources",
    [HX_RECORDS_TYPES] = ".hx.types",
};

/* What a loaded section may carry; anything else could change its meaning. */
#define FLAG_X86_64_LARGE UINT64_C(0x10000000) /* psABI 1.0, table 4.6: may lie far away, but need not */
static const uint64_t known_flags = SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_MERGE | SHF_STRINGS | SHF_INFO_LINK |
                                    SHF_LINK_ORDER | SHF_GROUP | SHF_GNU_RETAIN | FLAG_X86_64_LARGE;

/* In place and not by strncmp(): nearly every name differs in its second byte, and a load asks this of each section. */
static inline bool begins_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}

/* Whether a section is @family or one of it: ".data.rel.ro" and ".data.rel.ro.local", but not ".data.rel.rose". */
static inline bool is_of(const char *text, const char *family)
{
    while (*family)
        if (*text++ != *family++)
            return false;
    return !*text || *text == '.';
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
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "%s", hx_ldr_tls_hint);
    if (section->flags & SHF_COMPRESSED)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name,
                                     "it is compressed; build without -gz for this section");
    if (section->flags & ~known_flags)
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "unknown section flags 0x%lx",
                                     section->flags & ~known_flags);
    if ((section->flags & SHF_WRITE) && (section->flags & SHF_EXECINSTR))
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, name, "it is both writable and executable");
    if (section->align > HX_LDR_PAGE)
        return hx_ldr_refuse_section(job, HX_E_LIMIT, name, "alignment 0x%lx is more than a page", section->align);
    return HX_OK;
}

bool hx_ldr_may_load(const struct hx_ldr_section *section)
{
    return (section->flags & SHF_ALLOC) && section->type != SHT_NULL && section->type != SHT_NOTE &&
           section->type != SHT_X86_64_UNWIND &&
           !(section->type == SHT_PROGBITS && hx_ldr_is_named(section->name, ".eh_frame"));
}

/* Whether a section with SHF_ALLOC has anything to load. */
static hx_status_t check_loadable(struct hx_ldr_job *job, const struct hx_ldr_section *section, bool *out_loaded)
{
    *out_loaded = hx_ldr_may_load(section);
    if (!*out_loaded)
        return HX_OK;
    switch (section->type) {
    case SHT_PROGBITS:
        if (is_of(section->name, ".ctors") || is_of(section->name, ".dtors"))
            return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                         "constructors of the old kind; build with a compiler that uses .init_array");
        if (section->bytes && (hx_ldr_is_named(section->name, ".init") || hx_ldr_is_named(section->name, ".fini")))
            return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                         "only programs run it; use .init_array or the hooks init and fini");
        break;
    case SHT_NOBITS:
    case SHT_INIT_ARRAY:
    case SHT_FINI_ARRAY: break;
    case SHT_PREINIT_ARRAY:
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                     "only programs have constructors of this kind; use .init_array or the hook init");
    default:
        return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name, "section type 0x%x cannot be loaded",
                                     section->type);
    }
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

/* By name, where the flags do not say it: how long it is needed, and who may write it. */
static uint32_t part_by_name(const struct hx_ldr_section *section)
{
    const char *name = section->name;

    if (section->flags & SHF_EXECINSTR)
        return is_of(name, ".init.text") ? HX_PART_INIT_TEXT : HX_PART_TEXT;
    if (is_of(name, ".init.data") || is_of(name, ".init.rodata"))
        return HX_PART_INIT_DATA;
    if (!(section->flags & SHF_WRITE) || is_of(name, ".data.rel.ro"))
        return HX_PART_RODATA;
    if (hx_ldr_is_named(name, HX_STATE_SECTION))
        return HX_PART_STATE;
    return is_of(name, HX_RO_AFTER_INIT_SECTION) ? HX_PART_RO_AFTER_INIT : HX_PART_DATA;
}

static hx_status_t refuse_size(struct hx_ldr_job *job, const struct hx_ldr_section *section, uint64_t bytes)
{
    return hx_ldr_refuse_section(job, HX_E_LIMIT, section->name, "its 0x%lx bytes make the image exceed %d MiB", bytes,
                                 HX_LDR_IMAGE_MAX >> 20);
}

/* No sum wraps: each addend and each part is at most HX_LDR_IMAGE_MAX. */
hx_status_t hx_ldr_append(struct hx_ldr_job *job, uint32_t part, uint64_t bytes, uint64_t align, size_t *out_off)
{
    struct hx_image_piece *piece = &job->image->part[part];
    uint64_t off = (piece->bytes + align - 1) & ~(align - 1);

    if (bytes > HX_LDR_IMAGE_MAX || job->bytes + (off - piece->bytes) + bytes > HX_LDR_IMAGE_MAX)
        return HX_E_LIMIT;
    job->bytes += off - piece->bytes + bytes;
    piece->bytes = off + bytes;
    if (piece->align < align)
        piece->align = align;
    *out_off = off;
    return HX_OK;
}

hx_status_t hx_ldr_append_section(struct hx_ldr_job *job, struct hx_ldr_section *section, uint32_t part)
{
    size_t end = job->image->part[part].bytes;

    if (hx_ldr_append(job, part, section->bytes, section->align, &section->off))
        return refuse_size(job, section, section->bytes);
    section->part = part;
    section->pad = (uint32_t)(section->off - end);
    return HX_OK;
}

static hx_status_t place_section(struct hx_ldr_job *job, struct hx_ldr_section *section)
{
    bool loaded = false;
    uint32_t kind, part;
    hx_status_t err;

    if (!(section->flags & SHF_ALLOC)) {
        if (begins_with(section->name, ".gnu.lto_"))
            return hx_ldr_refuse_section(job, HX_E_UNSUPPORTED, section->name,
                                         "it holds compiler intermediate code; build with -fno-lto");
        return HX_OK;
    }
    err = check_loadable(job, section, &loaded);
    if (err || !loaded || hx_ldr_is_array(section)) /* those wait for all of them */
        return err;
    kind = record_kind(section->name);
    part = kind == HX_RECORDS_COUNT ? part_by_name(section) : HX_PART_RODATA;
    if (kind != HX_RECORDS_COUNT)
        err = check_records(job, section, kind);
    else if (part == HX_PART_STATE && job->image->part[HX_PART_STATE].bytes)
        err = hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "a second state; declare one structure");
    if (!err)
        err = hx_ldr_append_section(job, section, part);
    if (!err && kind != HX_RECORDS_COUNT)
        job->image->records[kind] = (struct hx_image_range){ section->off, section->bytes };
    return err;
}

/* ---- common symbols -------------------------------------------------------------------------------------------------- */
static hx_status_t place_commons(struct hx_ldr_job *job)
{
    for (uint32_t i = 1; job->common_count && i < job->symbol_count; i++) {
        const Elf64_Sym symbol = hx_ldr_symbol(job, i);
        size_t off = 0;

        if (!hx_ldr_is_common(symbol.st_shndx))
            continue;
        if (hx_ldr_append(job, HX_PART_DATA, symbol.st_size, symbol.st_value, &off))
            return hx_ldr_refuse_symbol(job, HX_E_LIMIT, i, "its 0x%lx bytes make the image exceed %d MiB",
                                        symbol.st_size, HX_LDR_IMAGE_MAX >> 20);
        job->value[i] = off;
    }
    return HX_OK;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */
/* What comes behind the sections of each part is made here, not copied. */
static hx_status_t place_made(struct hx_ldr_job *job)
{
    hx_status_t err;

    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        job->sections_end[i] = job->image->part[i].bytes;
    err = place_commons(job);
    return !err && job->counts_room ? hx_ldr_make_room(job) : err;
}

hx_status_t hx_ldr_place(struct hx_ldr_job *job)
{
    hx_status_t err = HX_OK;

    for (uint32_t i = 1; i < job->section_count && !err; i++)
        err = place_section(job, &job->section[i]);
    if (!err)
        err = hx_ldr_place_arrays(job);
    if (!err)
        err = place_made(job);
    if (!err && job->bytes == 0)
        err = hx_ldr_refuse(job, HX_E_FORMAT, "there is nothing to load in it");
    return err;
}

/* ---- contents -------------------------------------------------------------------------------------------------------- */
/*
 * What takes no memory may stand in a part that has none; its address is asked for all the same (an array without members,
 * a label at the end). Where another part begins will do, as far as the alignment lets it.
 */
static uintptr_t place_of_nothing(const struct hx_image *image, uint64_t align)
{
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        if (image->part[i].bytes)
            return image->part[i].va & ~(uintptr_t)(align - 1);
    return 0;
}

static void clear(const struct hx_image_piece *piece, size_t off, size_t bytes)
{
    if (bytes && !piece->zeroed)
        memset(piece->memory + off, 0, bytes);
}

static void copy_section(const struct hx_image_piece *piece, const struct hx_ldr_section *section)
{
    clear(piece, section->off - section->pad, section->pad);
    if (section->content.bytes)
        memcpy(piece->memory + section->off, section->content.data, section->content.bytes);
    else
        clear(piece, section->off, section->bytes);
}

void hx_ldr_copy(struct hx_ldr_job *job)
{
    struct hx_image *image = job->image;

    for (uint32_t i = 1; i < job->section_count; i++) {
        const struct hx_ldr_section *section = &job->section[i];
        const struct hx_image_piece *piece;

        if (section->part == HX_LDR_NOT_LOADED)
            continue;
        piece = &image->part[section->part];
        image->section_va[i] = piece->bytes ? piece->va + section->off : place_of_nothing(image, section->align);
        if (piece->bytes)
            copy_section(piece, section);
    }
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        clear(&image->part[i], job->sections_end[i], image->part[i].bytes - job->sections_end[i]);
}
