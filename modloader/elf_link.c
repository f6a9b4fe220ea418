/* SPDX-License-Identifier: MIT */
/*
 * elf_link.c - apply relocations to a placed image whose symbols have values.
 *
 * Why two ways: nearly all relocations of a module are of seven types and in order. Those go through a loop of some twenty
 *            instructions; it stops at whatever is not, and a slower way that knows every type decides or refuses.
 * Policy:    a result that does not fit its field is refused, always; a relocation that is not known is refused by name.
 * Invariant: on entry every loaded section is placed and writable; on HX_OK none is executable yet. Nothing is written
 *            before the field's place, the symbol and the value's range have been checked.
 * Source:    System V AMD64 psABI 1.0, table 4.9.
 */
#include <modloader/elf_file.h>

#include <lib/fmt.h>

/* What the relocations of one table have in common. */
struct target {
    const struct hx_ldr_section *rela;    /* the table itself */
    const struct hx_ldr_section *section; /* the one that it changes */
    uint8_t *memory;                      /* of that section */
    uint64_t va;
    uint64_t end32; /* first offset at which 4 bytes do not fit; 0: they fit nowhere */
    uint64_t end64; /* the same of 8 bytes */
};

/* What a relocation computes: the addend, something added to it, something taken away. */
enum base { BASE_UNSUPPORTED, BASE_SYMBOL, BASE_SLOT, BASE_GOT, BASE_SIZE };
enum less { LESS_NOTHING, LESS_PLACE, LESS_GOT };
/* How the result must be representable in the field. */
enum fit { FIT_ALL, FIT_SIGNED, FIT_UNSIGNED, FIT_EITHER };

struct kind {
    const char *name;
    uint8_t base;
    uint8_t less;
    uint8_t bytes;
    uint8_t fit;
};

/* Every relocation type that the psABI names; what has no base is known by its name only. */
static const struct kind kinds[R_X86_64_NUM] = {
    [R_X86_64_NONE] = { .name = "NONE" },
    [R_X86_64_64] = { "64", BASE_SYMBOL, LESS_NOTHING, 8, FIT_ALL },
    [R_X86_64_PC32] = { "PC32", BASE_SYMBOL, LESS_PLACE, 4, FIT_SIGNED },
    [R_X86_64_GOT32] = { "GOT32", BASE_SLOT, LESS_GOT, 4, FIT_SIGNED },
    [R_X86_64_PLT32] = { "PLT32", BASE_SYMBOL, LESS_PLACE, 4, FIT_SIGNED },
    [R_X86_64_COPY] = { .name = "COPY" },
    [R_X86_64_GLOB_DAT] = { .name = "GLOB_DAT" },
    [R_X86_64_JUMP_SLOT] = { .name = "JUMP_SLOT" },
    [R_X86_64_RELATIVE] = { .name = "RELATIVE" },
    [R_X86_64_GOTPCREL] = { "GOTPCREL", BASE_SLOT, LESS_PLACE, 4, FIT_SIGNED },
    [R_X86_64_32] = { "32", BASE_SYMBOL, LESS_NOTHING, 4, FIT_UNSIGNED },
    [R_X86_64_32S] = { "32S", BASE_SYMBOL, LESS_NOTHING, 4, FIT_SIGNED },
    [R_X86_64_16] = { "16", BASE_SYMBOL, LESS_NOTHING, 2, FIT_EITHER },
    [R_X86_64_PC16] = { "PC16", BASE_SYMBOL, LESS_PLACE, 2, FIT_EITHER },
    [R_X86_64_8] = { "8", BASE_SYMBOL, LESS_NOTHING, 1, FIT_EITHER },
    [R_X86_64_PC8] = { "PC8", BASE_SYMBOL, LESS_PLACE, 1, FIT_SIGNED },
    [R_X86_64_DTPMOD64] = { .name = "DTPMOD64" },
    [R_X86_64_DTPOFF64] = { .name = "DTPOFF64" },
    [R_X86_64_TPOFF64] = { .name = "TPOFF64" },
    [R_X86_64_TLSGD] = { .name = "TLSGD" },
    [R_X86_64_TLSLD] = { .name = "TLSLD" },
    [R_X86_64_DTPOFF32] = { .name = "DTPOFF32" },
    [R_X86_64_GOTTPOFF] = { .name = "GOTTPOFF" },
    [R_X86_64_TPOFF32] = { .name = "TPOFF32" },
    [R_X86_64_PC64] = { "PC64", BASE_SYMBOL, LESS_PLACE, 8, FIT_ALL },
    [R_X86_64_GOTOFF64] = { "GOTOFF64", BASE_SYMBOL, LESS_GOT, 8, FIT_ALL },
    [R_X86_64_GOTPC32] = { "GOTPC32", BASE_GOT, LESS_PLACE, 4, FIT_SIGNED },
    [R_X86_64_GOT64] = { "GOT64", BASE_SLOT, LESS_GOT, 8, FIT_ALL },
    [R_X86_64_GOTPCREL64] = { "GOTPCREL64", BASE_SLOT, LESS_PLACE, 8, FIT_ALL },
    [R_X86_64_GOTPC64] = { "GOTPC64", BASE_GOT, LESS_PLACE, 8, FIT_ALL },
    [R_X86_64_GOTPLT64] = { "GOTPLT64", BASE_SLOT, LESS_GOT, 8, FIT_ALL },
    [R_X86_64_PLTOFF64] = { "PLTOFF64", BASE_SYMBOL, LESS_GOT, 8, FIT_ALL },
    [R_X86_64_SIZE32] = { "SIZE32", BASE_SIZE, LESS_NOTHING, 4, FIT_UNSIGNED },
    [R_X86_64_SIZE64] = { "SIZE64", BASE_SIZE, LESS_NOTHING, 8, FIT_ALL },
    [R_X86_64_GOTPC32_TLSDESC] = { .name = "GOTPC32_TLSDESC" },
    [R_X86_64_TLSDESC_CALL] = { .name = "TLSDESC_CALL" },
    [R_X86_64_TLSDESC] = { .name = "TLSDESC" },
    [R_X86_64_IRELATIVE] = { .name = "IRELATIVE" },
    [R_X86_64_RELATIVE64] = { .name = "RELATIVE64" },
    [R_X86_64_GOTPCRELX] = { "GOTPCRELX", BASE_SLOT, LESS_PLACE, 4, FIT_SIGNED },
    [R_X86_64_REX_GOTPCRELX] = { "REX_GOTPCRELX", BASE_SLOT, LESS_PLACE, 4, FIT_SIGNED },
};

/* ---- refusals -------------------------------------------------------------------------------------------------------- */
/* What to do about a type that is not supported. */
static const char *type_hint(uint32_t type)
{
    switch (type) {
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
    case R_X86_64_TLSDESC: return hx_ldr_tls_hint;
    case R_X86_64_IRELATIVE:
    case R_X86_64_COPY:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_RELATIVE:
    case R_X86_64_RELATIVE64: return "only linked programs have it; link the module with ld -r and nothing else";
    default: return "not supported";
    }
}

/* What to do about a value that does not fit; empty: nothing is known. */
static const char *range_hint(uint32_t type, uint64_t value)
{
    switch (type) {
    case R_X86_64_32: return value == (uint64_t)(int32_t)value ? "; build with -mcmodel=kernel" : "; build with -fPIC";
    case R_X86_64_32S: return "; build with -fPIC";
    case R_X86_64_PC32:
    case R_X86_64_PLT32: return "; build with -mcmodel=large";
    case R_X86_64_GOT32:
    case R_X86_64_GOTPC32:
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX: return "; build with -mcmodel=large -fPIC";
    default: return "";
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
    if (type < R_X86_64_NUM && kinds[type].name)
        used = hx_fmt_append(report->message, bytes, used, "R_X86_64_%s", kinds[type].name);
    else
        used = hx_fmt_append(report->message, bytes, used, "type %u", type);
    if (report->symbol[0])
        used = hx_fmt_append(report->message, bytes, used, " against `%s'", report->symbol);
    return hx_fmt_append(report->message, bytes, used, " at offset 0x%lx: ", rela.r_offset);
}

__attribute__((cold)) static hx_status_t refuse(struct hx_ldr_job *job, const struct target *target, const uint8_t *at,
                                                hx_status_t err, const char *why)
{
    size_t used = describe(job, target, at);

    hx_fmt_append(job->report->message, sizeof(job->report->message), used, "%s", why);
    job->report->err = err;
    return err;
}

__attribute__((cold)) static hx_status_t refuse_value(struct hx_ldr_job *job, const struct target *target,
                                                      const uint8_t *at, uint64_t value, uint32_t bytes)
{
    size_t used = describe(job, target, at);

    job->report->value = value;
    job->report->err = HX_E_RANGE;
    hx_fmt_append(job->report->message, sizeof(job->report->message), used, "0x%lx does not fit %u bits%s", value,
                  8 * bytes, range_hint(ELF64_R_TYPE(entry_at(at).r_info), value));
    return HX_E_RANGE;
}

static const char outside[] = "it lies outside of the section that it changes";
static const char no_symbol[] = "its symbol does not exist";
static const char no_value[] = "its symbol stands in a section that is not loaded";
static const char no_room[] = "no room was made for it";

/* ---- one relocation of any type -------------------------------------------------------------------------------------- */
static bool fits(uint64_t value, uint32_t bytes, uint32_t fit)
{
    uint32_t unused = 64 - 8 * bytes;
    bool as_signed, as_unsigned;

    if (fit == FIT_ALL)
        return true;
    as_signed = (uint64_t)((int64_t)(value << unused) >> unused) == value;
    as_unsigned = value << unused >> unused == value;
    return (as_signed && fit != FIT_UNSIGNED) || (as_unsigned && fit != FIT_SIGNED);
}

/* Not the end of it, the first time. */
static hx_status_t refuse_room(struct hx_ldr_job *job, const struct target *target, const uint8_t *at)
{
    job->lacks_room = !job->counts_room;
    return refuse(job, target, at, HX_E_RELOC, no_room);
}

/* What the addend is added to. */
static hx_status_t find_base(struct hx_ldr_job *job, const struct target *target, const uint8_t *at, uint32_t base,
                             uint64_t *out)
{
    const uint32_t symbol = (uint32_t)ELF64_R_SYM(entry_at(at).r_info);

    if ((base == BASE_SYMBOL || base == BASE_SLOT) && !hx_ldr_has_value(job, symbol))
        return refuse(job, target, at, HX_E_RELOC, no_value);
    switch (base) {
    case BASE_SYMBOL: *out = job->value[symbol]; return HX_OK;
    case BASE_SLOT: *out = hx_ldr_slot_va(job, symbol); break;
    case BASE_GOT: *out = hx_ldr_got_va(job); break;
    default: *out = hx_ldr_symbol(job, symbol).st_size; return HX_OK;
    }
    return *out && job->image->got.bytes ? HX_OK : refuse_room(job, target, at);
}

/* Where the branch goes instead: to a veneer that continues to the symbol, if there is one and it is the symbol itself. */
static uint64_t by_veneer(const struct hx_ldr_job *job, const Elf64_Rela *rela, uint64_t place, uint64_t value)
{
    uint64_t veneer = rela->r_addend == -4 ? hx_ldr_veneer_va(job, (uint32_t)ELF64_R_SYM(rela->r_info)) : 0;

    return veneer ? veneer + (uint64_t)rela->r_addend - place : value;
}

static hx_status_t apply_kind(struct hx_ldr_job *job, const struct target *target, const uint8_t *at,
                              const struct kind *kind)
{
    const Elf64_Rela rela = entry_at(at);
    const uint64_t bytes = target->section->bytes;
    uint64_t value = 0;
    hx_status_t err;

    if (rela.r_offset > bytes || kind->bytes > bytes - rela.r_offset)
        return refuse(job, target, at, HX_E_FORMAT, outside);
    err = find_base(job, target, at, kind->base, &value);
    if (err)
        return err;
    value += (uint64_t)rela.r_addend;
    if (kind->less == LESS_PLACE)
        value -= target->va + rela.r_offset;
    else if (kind->less == LESS_GOT && !job->image->got.bytes)
        return refuse_room(job, target, at);
    else if (kind->less == LESS_GOT)
        value -= hx_ldr_got_va(job);
    if (ELF64_R_TYPE(rela.r_info) == R_X86_64_PLT32 && !fits(value, kind->bytes, kind->fit))
        value = by_veneer(job, &rela, target->va + rela.r_offset, value);
    if (!fits(value, kind->bytes, kind->fit))
        return refuse_value(job, target, at, value, kind->bytes);
    memcpy(target->memory + rela.r_offset, &value, kind->bytes);
    return HX_OK;
}

/* An instruction that can do without its slot; it was found to lie in the section. */
static hx_status_t apply_relaxed(struct hx_ldr_job *job, const struct target *target, const uint8_t *at,
                                 const struct hx_ldr_relaxed *relaxed)
{
    const Elf64_Rela rela = entry_at(at);
    const uint64_t start = rela.r_offset - relaxed->before;
    const struct kind *kind = &kinds[relaxed->type];
    uint64_t value = 0;
    hx_status_t err = find_base(job, target, at, BASE_SYMBOL, &value);

    if (err)
        return err;
    if (kind->less == LESS_PLACE)
        value -= target->va + start + relaxed->field_off + sizeof(uint32_t);
    if (!fits(value, kind->bytes, kind->fit))
        return refuse_value(job, target, at, value, kind->bytes);
    memcpy(target->memory + start, relaxed->code, relaxed->bytes);
    memcpy(target->memory + start + relaxed->field_off, &value, kind->bytes);
    return HX_OK;
}

static bool loads_from_got(uint32_t type)
{
    return type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX || type == R_X86_64_REX_GOTPCRELX;
}

__attribute__((cold, noinline)) static hx_status_t apply_any(struct hx_ldr_job *job, const struct target *target,
                                                             const uint8_t *at)
{
    const Elf64_Rela rela = entry_at(at);
    const uint32_t type = ELF64_R_TYPE(rela.r_info);
    struct hx_ldr_relaxed relaxed;

    if (ELF64_R_SYM(rela.r_info) >= job->symbol_count)
        return refuse(job, target, at, HX_E_FORMAT, no_symbol);
    if (type == R_X86_64_NONE)
        return HX_OK;
    if (type >= R_X86_64_NUM || kinds[type].base == BASE_UNSUPPORTED)
        return refuse(job, target, at, HX_E_RELOC, type_hint(type));
    if (loads_from_got(type)) {
        hx_ldr_relax(job, target->section, &rela, &relaxed);
        if (relaxed.type != R_X86_64_NONE)
            return apply_relaxed(job, target, at, &relaxed);
    }
    return apply_kind(job, target, at, &kinds[type]);
}

/* ---- those that are nearly all --------------------------------------------------------------------------------------- */
static inline void store32(uint8_t *at, uint64_t value)
{
    uint32_t word = (uint32_t)value;

    memcpy(at, &word, sizeof(word));
}

static inline void store64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/*
 * Applies the @left bytes of entries before @end, up to the first one that is not plain: of another type, out of place, out
 * of range or against what has no value. Returns the bytes left then.
 */
static int64_t apply_plain(const struct hx_ldr_job *job, const struct target *target, const uint8_t *end, int64_t left)
{
    const uint64_t *values = job->value;
    const uint64_t end32 = target->end32;
    const uint64_t va = target->va;
    const uint32_t symbol_count = job->symbol_count;
    uint8_t *memory = target->memory;

    for (left = -left; left; left += (int64_t)sizeof(Elf64_Rela)) {
        const uint64_t off = hx_ldr_load64(end + left + offsetof(Elf64_Rela, r_offset));
        uint64_t type = hx_ldr_load32(end + left + offsetof(Elf64_Rela, r_info));
        const uint32_t symbol = hx_ldr_load32(end + left + offsetof(Elf64_Rela, r_info) + sizeof(symbol));
        uint64_t value;

        if (symbol >= symbol_count)
            break;
        value = values[symbol];
        if (value == HX_LDR_NO_VALUE)
            break;
        value += hx_ldr_load64(end + left + offsetof(Elf64_Rela, r_addend));
        __asm__("" : "+r"(type)); /* 64 bits, as the jump table wants it: gcc would extend it once more */
        switch (type) {
        case R_X86_64_NONE: continue;
        case R_X86_64_PC32:
        case R_X86_64_PLT32: value -= va + off; __attribute__((fallthrough));
        case R_X86_64_32S:
            if (off >= end32 || value != (uint64_t)(int32_t)value)
                break;
            store32(memory + off, value);
            continue;
        case R_X86_64_32:
            if (off >= end32 || value != (uint32_t)value)
                break;
            store32(memory + off, value);
            continue;
        case R_X86_64_PC64: value -= va + off; __attribute__((fallthrough));
        case R_X86_64_64:
            if (off >= target->end64)
                break;
            store64(memory + off, value);
            continue;
        default: break;
        }
        break;
    }
    return -left;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */
static hx_status_t apply(struct hx_ldr_job *job, const struct target *target)
{
    const struct hx_slice table = target->rela->content;
    const uint8_t *end = table.data + table.bytes;
    int64_t left = apply_plain(job, target, end, (int64_t)table.bytes);

    while (left) {
        hx_status_t err = apply_any(job, target, end - left);

        if (err)
            return err;
        left = apply_plain(job, target, end, left - (int64_t)sizeof(Elf64_Rela));
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
            .section = section,
            .memory = section->bytes ? job->image->part[section->part].memory + section->off : NULL,
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
