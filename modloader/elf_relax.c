/* SPDX-License-Identifier: MIT */
/*
 * elf_relax.c - instructions that load an address from the GOT, made to name it themselves.
 *
 * Why: a slot costs memory and a load at each use; nearly every symbol of an image lies near enough to do without.
 * Policy:    the forms of the psABI and no other, with the bytes that GNU ld chooses for a program at a fixed address.
 *            Where ld gives up ("failed to convert"), a mov becomes a lea and the rest keep their slots.
 * Invariant: the answer depends on the file, on symbols from outside and on the window that the parts will lie in, never
 *            on where they lie: slots are counted before that is known. The range of the result is checked all the same.
 * Source:    System V AMD64 psABI 1.0, B.2 "Optimize GOTPCRELX Relocations"; Intel SDM volume 2, 2.1 and 2.2.1.
 */
#include <modloader/elf_file.h>

enum {
    REX = 0x40, /* 0x40 to 0x4f; its low bits: */
    REX_MASK = 0xf0,
    REX_W = 8, /* 64-bit operand */
    REX_R = 4, /* fourth bit of ModRM.reg */
    REX_X = 2,
    REX_B = 1, /* fourth bit of ModRM.rm */

    OP_TEST = 0x85,
    OP_MOV = 0x8b,
    OP_LEA = 0x8d,
    OP_BRANCH = 0xff,
    OP_CALL_DIRECT = 0xe8,
    OP_JMP_DIRECT = 0xe9,
    OP_MOV_IMMEDIATE = 0xc7,
    OP_TEST_IMMEDIATE = 0xf7,
    OP_BINARY_IMMEDIATE = 0x81,
    OP_NOP = 0x90,
    PREFIX_ADDR32 = 0x67, /* says nothing to a call, and fills the byte that it leaves */

    MODRM_RIP = 0x05, /* the operand is at RIP + 32 bits */
    MODRM_CALL = 0x15,
    MODRM_JMP = 0x25,
    MODRM_REG = 0x38,      /* a register, or the extension of an opcode */
    MODRM_REGISTER = 0xc0, /* the operand is a register */
};

/* The instruction as it is. */
struct load {
    uint8_t rex; /* 0: none */
    uint8_t opcode;
    uint8_t modrm;
};

/* How a symbol's address can be written into an instruction. */
struct reach {
    bool relative; /* as a distance from any place in the image */
    bool sign;     /* as 32 bits, sign-extended */
    bool zero;     /* as 32 bits, zero-extended */
    bool inside;   /* the symbol belongs to the image */
};

/* A symbol of the image lies anywhere in the window, its end included when it marks the end of its section. */
static struct reach reach_inside(const struct hx_ldr_job *job, const Elf64_Sym *symbol)
{
    const uint64_t low = job->env->low;
    bool at_end = hx_ldr_is_common(symbol->st_shndx)
                      ? symbol->st_size == 0
                      : symbol->st_shndx != SHN_UNDEF && symbol->st_value >= job->section[symbol->st_shndx].bytes;
    uint64_t last = job->env->high - (at_end ? 0 : 1);

    return (struct reach){
        .relative = hx_ldr_reaches(job, low),
        .sign = (int64_t)low >= INT32_MIN && (int64_t)low <= (int64_t)last && (int64_t)last <= INT32_MAX,
        .zero = low <= last && last <= UINT32_MAX,
        .inside = true,
    };
}

/* Of a checked symbol. */
static struct reach reach_of(const struct hx_ldr_job *job, uint32_t index)
{
    const Elf64_Sym symbol = hx_ldr_symbol(job, index);
    uint64_t value;

    if (symbol.st_shndx != SHN_ABS && (symbol.st_shndx != SHN_UNDEF || (index && index == job->got_symbol)))
        return reach_inside(job, &symbol);
    value = job->value[index];
    return (struct reach){
        .relative = hx_ldr_reaches(job, value),
        .sign = value == (uint64_t)(int32_t)value,
        .zero = value == (uint32_t)value,
        .inside = false,
    };
}

/* What stands before the field, if all of it and the field lie in the section. */
static bool read_load(const struct hx_ldr_section *section, const Elf64_Rela *rela, uint32_t type, struct load *out)
{
    uint32_t length = type == R_X86_64_REX_GOTPCRELX ? 3 : 2;
    uint8_t code[3 + sizeof(uint32_t)];

    if (rela->r_offset < length ||
        hx_slice_read(section->content, rela->r_offset - length, code, length + sizeof(uint32_t)))
        return false;
    *out = (struct load){ .rex = length == 3 ? code[0] : 0, .opcode = code[length - 2], .modrm = code[length - 1] };
    /* A REX prefix with a bit that means nothing here would come to mean something. */
    return !out->rex || (out->rex & (REX_MASK | REX_X | REX_B)) == REX;
}

/* call *foo@GOTPCREL(%rip) -> addr32 call foo; jmp *foo@GOTPCREL(%rip) -> jmp foo; nop. A REX prefix before it stays. */
static void relax_branch(const struct load *load, const struct reach *reach, struct hx_ldr_relaxed *out)
{
    if (!reach->relative)
        return;
    if (load->modrm == MODRM_CALL)
        *out = (struct hx_ldr_relaxed){ R_X86_64_PC32, 2, 2, 6, { PREFIX_ADDR32, OP_CALL_DIRECT } };
    else if (load->modrm == MODRM_JMP)
        *out = (struct hx_ldr_relaxed){ R_X86_64_PC32, 1, 2, 6, { OP_JMP_DIRECT, [5] = OP_NOP } };
}

/* mov foo@GOTPCREL(%rip), %reg -> lea foo(%rip), %reg; right for 32-bit registers too: both keep the low half. */
static void relax_to_lea(const struct load *load, const struct reach *reach, struct hx_ldr_relaxed *out)
{
    if (reach->relative)
        *out = (struct hx_ldr_relaxed){ R_X86_64_PC32, 2, 2, 6, { OP_LEA, load->modrm } };
}

/* The register moves from ModRM.reg to ModRM.rm, and its fourth bit in the prefix with it. @extension: of the opcode. */
static void relax_to_immediate(const struct load *load, uint8_t opcode, uint8_t extension, struct hx_ldr_relaxed *out)
{
    uint8_t modrm = (uint8_t)(MODRM_REGISTER | extension | (load->modrm & MODRM_REG) >> 3);
    uint8_t rex = (uint8_t)((load->rex & ~REX_R) | (load->rex & REX_R ? REX_B : 0));
    uint32_t type = load->rex & REX_W ? R_X86_64_32S : R_X86_64_32;

    if (load->rex)
        *out = (struct hx_ldr_relaxed){ type, 3, 3, 7, { rex, opcode, modrm } };
    else
        *out = (struct hx_ldr_relaxed){ type, 2, 2, 6, { opcode, modrm } };
}

/* adc, add, and, cmp, or, sbb, sub, xor with a register on the left: 00xxx011, and xxx is the extension of 0x81. */
static bool is_binary(uint8_t opcode)
{
    return (opcode & 0xc7) == 0x03;
}

/* @extended: the relocation promises that the form is one of the psABI's, and says whether there is a REX prefix. */
static void relax(const struct load *load, const struct reach *reach, bool extended, struct hx_ldr_relaxed *out)
{
    bool fits = load->rex & REX_W ? reach->sign : reach->zero;

    if (load->opcode == OP_BRANCH && extended)
        relax_branch(load, reach, out);
    if ((load->modrm & ~MODRM_REG) != MODRM_RIP)
        return;
    if (load->opcode == OP_MOV && extended && fits)
        relax_to_immediate(load, OP_MOV_IMMEDIATE, 0, out);
    else if (load->opcode == OP_MOV && (!extended || reach->inside))
        relax_to_lea(load, reach, out);
    else if (load->opcode == OP_TEST && extended && fits)
        relax_to_immediate(load, OP_TEST_IMMEDIATE, 0, out);
    else if (is_binary(load->opcode) && extended && fits)
        relax_to_immediate(load, OP_BINARY_IMMEDIATE, load->opcode & MODRM_REG, out);
}

void hx_ldr_relax(const struct hx_ldr_job *job, const struct hx_ldr_section *section, const Elf64_Rela *rela,
                  struct hx_ldr_relaxed *out)
{
    uint32_t type = ELF64_R_TYPE(rela->r_info);
    struct reach reach;
    struct load load;

    *out = (struct hx_ldr_relaxed){ .type = R_X86_64_NONE };
    if (!(section->flags & SHF_EXECINSTR) || rela->r_addend != -4 || !read_load(section, rela, type, &load))
        return;
    reach = reach_of(job, (uint32_t)ELF64_R_SYM(rela->r_info));
    relax(&load, &reach, type != R_X86_64_GOTPCREL, out);
}
