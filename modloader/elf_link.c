/* SPDX-License-Identifier: MIT */
/*
 * elf_link.c - apply relocations to a placed image whose symbols have values.
 *
 * Policy:    a result that does not fit its field is refused, always; a relocation that is not known is refused by name.
 * Invariant: on entry every loaded section is placed and writable; on HX_OK none is executable yet. Each relocation costs
 *            a handful of compares: everything that holds for a whole table was checked with the table.
 * Source:    System V AMD64 psABI 1.0, table 4.9.
 */
#include <modloader/elf_file.h>

#include <lib/fmt.h>

/* What the relocations of one table have in common. */
struct target {
    const struct hx_ldr_section *rela; /* the table itself */
    uint8_t *memory;                   /* of the section that it changes */
    uint64_t va;
    uint64_t end32; /* first offset at which 4 bytes do not fit; 0: they fit nowhere */
    uint64_t end64; /* the same of 8 bytes */
};

/* Every relocation type that the psABI names; only known ones can be called by their name. */
static const char *const type_names[R_X86_64_NUM] = {
    [R_X86_64_NONE] = "NONE",
    [R_X86_64_64] = "64",
    [R_X86_64_PC32] = "PC32",
    [R_X86_64_GOT32] = "GOT32",
    [R_X86_64_PLT32] = "PLT32",
    [R_X86_64_COPY] = "COPY",
    [R_X86_64_GLOB_DAT] = "GLOB_DAT",
    [R_X86_64_JUMP_SLOT] = "JUMP_SLOT",
    [R_X86_64_RELATIVE] = "RELATIVE",
    [R_X86_64_GOTPCREL] = "GOTPCREL",
    [R_X86_64_32] = "32",
    [R_X86_64_32S] = "32S",
    [R_X86_64_16] = "16",
    [R_X86_64_PC16] = "PC16",
    [R_X86_64_8] = "8",
    [R_X86_64_PC8] = "PC8",
    [R_X86_64_DTPMOD64] = "DTPMOD64",
    [R_X86_64_DTPOFF64] = "DTPOFF64",
    [R_X86_64_TPOFF64] = "TPOFF64",
    [R_X86_64_TLSGD] = "TLSGD",
    [R_X86_64_TLSLD] = "TLSLD",
    [R_X86_64_DTPOFF32] = "DTPOFF32",
    [R_X86_64_GOTTPOFF] = "GOTTPOFF",
    [R_X86_64_TPOFF32] = "TPOFF32",
    [R_X86_64_PC64] = "PC64",
    [R_X86_64_GOTOFF64] = "GOTOFF64",
    [R_X86_64_GOTPC32] = "GOTPC32",
    [R_X86_64_GOT64] = "GOT64",
    [R_X86_64_GOTPCREL64] = "GOTPCREL64",
    [R_X86_64_GOTPC64] = "GOTPC64",
    [R_X86_64_GOTPLT64] = "GOTPLT64",
    [R_X86_64_PLTOFF64] = "PLTOFF64",
    [R_X86_64_SIZE32] = "SIZE32",
    [R_X86_64_SIZE64] = "SIZE64",
    [R_X86_64_GOTPC32_TLSDESC] = "GOTPC32_TLSDESC",
    [R_X86_64_TLSDESC_CALL] = "TLSDESC_CALL",
    [R_X86_64_TLSDESC] = "TLSDESC",
    [R_X86_64_IRELATIVE] = "IRELATIVE",
    [R_X86_64_RELATIVE64] = "RELATIVE64",
    [R_X86_64_GOTPCRELX] = "GOTPCRELX",
    [R_X86_64_REX_GOTPCRELX] = "REX_GOTPCRELX",
};

/* What to do about a type that is not supported, where a compiler flag is the cause. */
static const char *type_hint(uint32_t type)
{
    switch (type) {
    case R_X86_64_GOT32:
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTOFF64:
    case R_X86_64_GOTPC32:
    case R_X86_64_GOT64:
    case R_X86_64_GOTPCREL64:
    case R_X86_64_GOTPC64:
    case R_X86_64_GOTPLT64:
    case R_X86_64_PLTOFF64:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX: return "needs a global offset table; build with -fno-pic -mcmodel=kernel";
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
    case R_X86_64_TLSGD:
    case R_X86_64_TLSLD:
    case R_X86_64_DTPOFF32:
    case R_X86_64_GOTTPOFF:
    case R_X86_64_TPOFF32:
    case R_X86_64_GOTPC32_TLSDESC:
    case R_X86_64_TLSDESC_CALL:
    case R_X86_64_TLSDESC: return "module uses thread-local storage; remove __thread and _Thread_local";
    default: return "not supported";
    }
}

/* Entry at @at of a checked table; copied, because the file aligns nothing. */
static inline Elf64_Rela entry_at(const uint8_t *at)
{
    Elf64_Rela rela;

    memcpy(&rela, at, sizeof(rela));
    return rela;
}

/* How the refusal of a relocation begins; fills the report's place. Returns the bytes of the message so far. */
static size_t describe(struct hx_ldr_job *job, const struct target *target, const uint8_t *at)
{
    struct hx_ldr_report *report = job->report;
    const Elf64_Rela rela = entry_at(at);
    uint32_t type = ELF64_R_TYPE(rela.r_info);
    uint32_t symbol = (uint32_t)ELF64_R_SYM(rela.r_info);
    size_t bytes = sizeof(report->message);
    size_t used;

    hx_ldr_copy_name(report->section, sizeof(report->section), target->rela->name);
    if (symbol < job->symbol_count)
        hx_ldr_copy_name(report->symbol, sizeof(report->symbol), hx_ldr_symbol_name(job, symbol));
    report->relocation = (uint32_t)((size_t)(at - target->rela->content.data) / sizeof(rela));
    report->offset = rela.r_offset;
    used = hx_fmt_append(report->message, bytes, 0, "section %s, relocation %u: ", report->section, report->relocation);
    if (type < R_X86_64_NUM && type_names[type])
        used = hx_fmt_append(report->message, bytes, used, "R_X86_64_%s", type_names[type]);
    else
        used = hx_fmt_append(report->message, bytes, used, "type %u", type);
    if (report->symbol[0])
        used = hx_fmt_append(report->message, bytes, used, " against `%s'", report->symbol);
    return hx_fmt_append(report->message, bytes, used, " at offset 0x%lx: ", rela.r_offset);
}

__attribute__((cold, noinline)) static hx_status_t refuse(struct hx_ldr_job *job, const struct target *target,
                                                          const uint8_t *at, hx_status_t err, const char *why)
{
    size_t used = describe(job, target, at);

    hx_fmt_append(job->report->message, sizeof(job->report->message), used, "%s", why);
    job->report->err = err;
    return err;
}

static const char outside[] = "it lies outside of the section that it changes";
static const char no_symbol[] = "its symbol does not exist";
static const char no_value[] = "its symbol stands in a section that is not loaded";

/* A value that is none never fits 32 bits, so that only this place has to tell the two apart. */
__attribute__((cold, noinline)) static hx_status_t refuse_value(struct hx_ldr_job *job, const struct target *target,
                                                                const uint8_t *at, uint64_t value)
{
    const Elf64_Rela rela = entry_at(at);
    size_t used;

    if (job->value[ELF64_R_SYM(rela.r_info)] == HX_LDR_NO_VALUE)
        return refuse(job, target, at, HX_E_RELOC, no_value);
    used = describe(job, target, at);
    job->report->value = value;
    job->report->err = HX_E_RANGE;
    hx_fmt_append(job->report->message, sizeof(job->report->message), used, "0x%lx does not fit 32 bits", value);
    return HX_E_RANGE;
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline void store32(uint8_t *at, uint64_t value)
{
    uint32_t word = (uint32_t)value;

    memcpy(at, &word, sizeof(word));
}

static inline void store64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* One table. The loop is the loader's hottest: refusals stay out of line and read the entry again. */
static hx_status_t apply(struct hx_ldr_job *job, const struct target *target)
{
    const struct hx_slice table = target->rela->content;
    const uint8_t *end = table.data + table.bytes;
    const uint64_t *values = job->value;
    const uint32_t symbol_count = job->symbol_count;
    const uint64_t va = target->va;
    uint8_t *memory = target->memory;

    for (const uint8_t *at = table.data; at != end; at += sizeof(Elf64_Rela)) {
        const uint64_t off = load64(at + offsetof(Elf64_Rela, r_offset));
        const uint64_t info = load64(at + offsetof(Elf64_Rela, r_info));
        uint64_t value = load64(at + offsetof(Elf64_Rela, r_addend));

        if (ELF64_R_SYM(info) >= symbol_count)
            return refuse(job, target, at, HX_E_FORMAT, no_symbol);
        value += values[ELF64_R_SYM(info)];
        switch (ELF64_R_TYPE(info)) {
        case R_X86_64_NONE: continue;
        case R_X86_64_PC32:
        case R_X86_64_PLT32: value -= va + off; __attribute__((fallthrough));
        case R_X86_64_32S:
            if (off >= target->end32)
                return refuse(job, target, at, HX_E_FORMAT, outside);
            if (value != (uint64_t)(int32_t)value)
                return refuse_value(job, target, at, value);
            store32(memory + off, value);
            continue;
        case R_X86_64_32:
            if (off >= target->end32)
                return refuse(job, target, at, HX_E_FORMAT, outside);
            if (value != (uint32_t)value)
                return refuse_value(job, target, at, value);
            store32(memory + off, value);
            continue;
        case R_X86_64_PC64: value -= va + off; __attribute__((fallthrough));
        case R_X86_64_64:
            if (off >= target->end64)
                return refuse(job, target, at, HX_E_FORMAT, outside);
            if (values[ELF64_R_SYM(info)] == HX_LDR_NO_VALUE)
                return refuse(job, target, at, HX_E_RELOC, no_value);
            store64(memory + off, value);
            continue;
        default: return refuse(job, target, at, HX_E_RELOC, type_hint(ELF64_R_TYPE(info)));
        }
    }
    job->image->relocation_count += (uint32_t)(table.bytes / sizeof(Elf64_Rela));
    return HX_OK;
}

static inline uint64_t end_of(uint64_t bytes, uint64_t width)
{
    return bytes >= width ? bytes - width + 1 : 0;
}

hx_status_t hx_ldr_relocate(struct hx_ldr_job *job)
{
    for (uint32_t i = 1; i < job->section_count; i++) {
        const struct hx_ldr_section *rela = &job->section[i];
        const struct hx_ldr_section *section;
        struct target target;
        hx_status_t err;

        if (rela->type != SHT_RELA || job->section[rela->info].part == HX_LDR_NOT_LOADED)
            continue;
        section = &job->section[rela->info];
        if (section->type == SHT_NOBITS && rela->bytes)
            return hx_ldr_refuse_section(job, HX_E_FORMAT, rela->name, "%s has no contents to relocate", section->name);
        target = (struct target){
            .rela = rela,
            .memory = job->image->part[section->part].memory + section->off,
            .va = job->image->section_va[rela->info],
            .end32 = end_of(section->bytes, sizeof(uint32_t)),
            .end64 = end_of(section->bytes, sizeof(uint64_t)),
        };
        err = apply(job, &target);
        if (err)
            return err;
    }
    return HX_OK;
}
