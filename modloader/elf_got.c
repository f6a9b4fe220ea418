/* SPDX-License-Identifier: MIT */
/*
 * elf_got.c - what no file brings along: the global offset table, and veneers for calls that do not reach.
 *
 * Why before placing: an image's memory is taken once, so what the loader adds to it is counted first.
 * Policy:    most tables need nothing of this; what they cost is one look at each relocation's type. Symbols get one slot
 *            and one veneer each, in the order of their first use.
 * Invariant: whoever counts and whoever uses asks the same questions (hx_ldr_relax(), hx_ldr_reaches()), which placing
 *            does not change. A slot or veneer that is not there is refused where it is used, never invented.
 * Source:    System V AMD64 psABI 1.0, 4.4.1 and 3.5.
 */
#include <modloader/elf_file.h>

/* What a relocation may ask for, by the low byte of its type: a wrong guess of a hostile file costs a closer look. */
enum { ASKS_TABLE = 1, ASKS_SLOT = 2, ASKS_BRANCH = 4 };
static const uint8_t asks[256] = {
    [R_X86_64_PLT32] = ASKS_BRANCH,    [R_X86_64_GOTPC32] = ASKS_TABLE,  [R_X86_64_GOTPC64] = ASKS_TABLE,
    [R_X86_64_GOTOFF64] = ASKS_TABLE,  [R_X86_64_PLTOFF64] = ASKS_TABLE, [R_X86_64_GOT32] = ASKS_SLOT,
    [R_X86_64_GOT64] = ASKS_SLOT,      [R_X86_64_GOTPLT64] = ASKS_SLOT,  [R_X86_64_GOTPCREL] = ASKS_SLOT,
    [R_X86_64_GOTPCREL64] = ASKS_SLOT, [R_X86_64_GOTPCRELX] = ASKS_SLOT, [R_X86_64_REX_GOTPCRELX] = ASKS_SLOT,
};

/* What was found to be needed. */
struct room {
    uint32_t slots;
    uint32_t veneers;
    bool table; /* somebody asks where the GOT is, even if it has no slot */
};

/* What the relocations of a table ask for, together: two instructions for each. Its size is a multiple of an entry's. */
static uint32_t asked_by(struct hx_slice table)
{
    const uint8_t *at = table.data + offsetof(Elf64_Rela, r_info);
    size_t left = table.bytes / sizeof(Elf64_Rela);
    uint8_t asked = 0;

    for (; left >= 8; left -= 8, at += 8 * sizeof(Elf64_Rela)) {
        asked |= asks[at[0]];
        asked |= asks[at[sizeof(Elf64_Rela)]];
        asked |= asks[at[2 * sizeof(Elf64_Rela)]];
        asked |= asks[at[3 * sizeof(Elf64_Rela)]];
        asked |= asks[at[4 * sizeof(Elf64_Rela)]];
        asked |= asks[at[5 * sizeof(Elf64_Rela)]];
        asked |= asks[at[6 * sizeof(Elf64_Rela)]];
        asked |= asks[at[7 * sizeof(Elf64_Rela)]];
    }
    for (; left; left--, at += sizeof(Elf64_Rela))
        asked |= asks[at[0]];
    return asked;
}

static void count_slot(struct hx_ldr_job *job, struct room *room, uint32_t symbol)
{
    if (!job->made[symbol].slot)
        job->made[symbol].slot = ++room->slots;
}

/* Only what comes from outside can be too far away: an image lies in one window, and nothing else is known to be code. */
static void count_veneer(struct hx_ldr_job *job, struct room *room, uint32_t symbol)
{
    const uint16_t section = hx_ldr_symbol(job, symbol).st_shndx;

    if ((section != SHN_UNDEF && section != SHN_ABS) || symbol == 0 || symbol == job->got_symbol ||
        hx_ldr_reaches(job, job->value[symbol]))
        return;
    if (!job->made[symbol].veneer)
        job->made[symbol].veneer = ++room->veneers;
}

static void count_one(struct hx_ldr_job *job, struct room *room, const struct hx_ldr_section *section,
                      const Elf64_Rela *rela)
{
    const uint32_t symbol = (uint32_t)ELF64_R_SYM(rela->r_info);
    struct hx_ldr_relaxed relaxed;

    switch (ELF64_R_TYPE(rela->r_info)) {
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
        hx_ldr_relax(job, section, rela, &relaxed);
        if (relaxed.type != R_X86_64_NONE)
            return;
        __attribute__((fallthrough));
    case R_X86_64_GOT32:
    case R_X86_64_GOT64:
    case R_X86_64_GOTPLT64:
    case R_X86_64_GOTPCREL64: count_slot(job, room, symbol); return;
    case R_X86_64_PLT32:
        if (job->far_symbols && rela->r_addend == -4)
            count_veneer(job, room, symbol);
        return;
    default: return;
    }
}

static hx_status_t count_table(struct hx_ldr_job *job, struct room *room, const struct hx_ldr_section *table)
{
    const struct hx_ldr_section *section = &job->section[table->info];
    size_t bytes = job->symbol_count * sizeof(*job->made);
    Elf64_Rela rela;

    if (!job->made)
        job->made = job->env->scratch(job->env->context, bytes);
    if (!job->made)
        return hx_ldr_refuse(job, HX_E_NOMEM, "no memory for the list of GOT slots (%zu bytes)", bytes);
    for (uint64_t off = 0; !hx_slice_read(table->content, off, &rela, sizeof(rela)); off += sizeof(rela))
        if (ELF64_R_SYM(rela.r_info) < job->symbol_count)
            count_one(job, room, section, &rela);
    return HX_OK;
}

static hx_status_t append(struct hx_ldr_job *job, const struct room *room)
{
    struct hx_image_range *got = &job->image->got;
    struct hx_image_range *veneers = &job->image->veneers;

    got->bytes = (size_t)room->slots * HX_LDR_SLOT_BYTES;
    if (room->table && !got->bytes)
        got->bytes = HX_LDR_SLOT_BYTES;
    veneers->bytes = (size_t)room->veneers * HX_LDR_VENEER_BYTES;
    if ((got->bytes && hx_ldr_append(job, HX_PART_RODATA, got->bytes, HX_LDR_SLOT_BYTES, &got->off)) ||
        (veneers->bytes && hx_ldr_append(job, HX_PART_TEXT, veneers->bytes, HX_LDR_VENEER_BYTES, &veneers->off)))
        return hx_ldr_refuse(job, HX_E_LIMIT,
                             "a global offset table of 0x%zx and veneers of 0x%zx bytes make the image exceed %d MiB",
                             got->bytes, veneers->bytes, HX_LDR_IMAGE_MAX >> 20);
    return HX_OK;
}

hx_status_t hx_ldr_make_room(struct hx_ldr_job *job)
{
    const uint32_t wanted = ASKS_SLOT | (job->far_symbols ? ASKS_BRANCH : 0);
    struct room room = { .table = job->got_symbol != 0 };
    hx_status_t err = HX_OK;

    for (uint32_t i = 1; i < job->section_count && !err; i++) {
        const struct hx_ldr_section *table = &job->section[i];
        uint32_t asked;

        if (table->type != SHT_RELA || job->section[table->info].part == HX_LDR_NOT_LOADED)
            continue;
        asked = asked_by(table->content);
        room.table |= (asked & ASKS_TABLE) != 0;
        if (asked & wanted)
            err = count_table(job, &room, table);
    }
    return err ? err : append(job, &room);
}

/* ---- contents -------------------------------------------------------------------------------------------------------- */
uint64_t hx_ldr_got_va(const struct hx_ldr_job *job)
{
    return job->image->part[HX_PART_RODATA].va + job->image->got.off;
}

uint64_t hx_ldr_slot_va(const struct hx_ldr_job *job, uint32_t symbol)
{
    uint32_t slot = job->made ? job->made[symbol].slot : 0;

    return slot ? hx_ldr_got_va(job) + (uint64_t)(slot - 1) * HX_LDR_SLOT_BYTES : 0;
}

uint64_t hx_ldr_veneer_va(const struct hx_ldr_job *job, uint32_t symbol)
{
    uint32_t veneer = job->made ? job->made[symbol].veneer : 0;

    return veneer ? job->image->part[HX_PART_TEXT].va + job->image->veneers.off +
                        (uint64_t)(veneer - 1) * HX_LDR_VENEER_BYTES
                  : 0;
}

/* jmp *0(%rip), the address that it reads, and int3 that nobody comes to. */
static void write_veneer(uint8_t *at, uint64_t target)
{
    static const uint8_t veneer[HX_LDR_VENEER_BYTES] = { 0xff, 0x25, [14] = 0xcc, [15] = 0xcc };

    memcpy(at, veneer, sizeof(veneer));
    memcpy(at + 6, &target, sizeof(target));
}

void hx_ldr_fill_room(struct hx_ldr_job *job)
{
    const struct hx_image *image = job->image;

    for (uint32_t i = 0; job->made && i < job->symbol_count; i++) {
        size_t slot_off = (size_t)(job->made[i].slot - 1) * HX_LDR_SLOT_BYTES;
        size_t veneer_off = (size_t)(job->made[i].veneer - 1) * HX_LDR_VENEER_BYTES;

        if (job->made[i].slot)
            memcpy(image->part[HX_PART_RODATA].memory + image->got.off + slot_off, &job->value[i], HX_LDR_SLOT_BYTES);
        if (job->made[i].veneer)
            write_veneer(image->part[HX_PART_TEXT].memory + image->veneers.off + veneer_off, job->value[i]);
    }
}
