/* SPDX-License-Identifier: MIT */
/*
 * privileged.c - see privileged.h.
 *
 * Why the linked image: its addresses are those that functions are found by. Data between instructions is skipped a byte at
 * a time, so that it hides nothing that follows it.
 * Source: Intel SDM volume 3A, 5.9 "Privileged Instructions" and volume 1, 19.5 on IOPL.
 */
#include "privileged.h"

#include <capstone/capstone.h>
#include <stdio.h>

/* What capstone's group of privileged instructions lacks, or some of its versions do. */
static bool is_known(unsigned int id)
{
    static const unsigned int ids[] = {
        X86_INS_IN,     X86_INS_OUT,      X86_INS_INSB,     X86_INS_INSW,   X86_INS_INSD,    X86_INS_OUTSB,
        X86_INS_OUTSW,  X86_INS_OUTSD,    X86_INS_CLI,      X86_INS_STI,    X86_INS_HLT,     X86_INS_RDMSR,
        X86_INS_WRMSR,  X86_INS_LGDT,     X86_INS_LIDT,     X86_INS_LLDT,   X86_INS_LTR,     X86_INS_LMSW,
        X86_INS_CLTS,   X86_INS_INVD,     X86_INS_WBINVD,   X86_INS_INVLPG, X86_INS_INVPCID, X86_INS_SWAPGS,
        X86_INS_SYSRET, X86_INS_IRETQ,    X86_INS_IRETD,    X86_INS_IRET,   X86_INS_SYSEXIT, X86_INS_XSETBV,
        X86_INS_RDPMC,  X86_INS_MONITOR,  X86_INS_MWAIT,    X86_INS_STAC,   X86_INS_CLAC,    X86_INS_VMXON,
        X86_INS_VMXOFF, X86_INS_VMLAUNCH, X86_INS_VMRESUME, X86_INS_RSM,    X86_INS_XSAVES,  X86_INS_XSAVES64,
        X86_INS_GETSEC, X86_INS_ENCLS,
    };

    for (size_t i = 0; i < HX_ARRAY_SIZE(ids); i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Control and debug registers; capstone calls every move a mov. */
static bool touches_system_register(const cs_insn *insn)
{
    const cs_x86 *x86 = &insn->detail->x86;

    for (unsigned int i = 0; i < x86->op_count; i++) {
        unsigned int reg = x86->operands[i].type == X86_OP_REG ? (unsigned int)x86->operands[i].reg : X86_REG_INVALID;

        if ((reg >= X86_REG_CR0 && reg <= X86_REG_CR15) || (reg >= X86_REG_DR0 && reg <= X86_REG_DR15))
            return true;
    }
    return false;
}

static bool is_privileged(csh handle, const cs_insn *insn)
{
    return insn->id != 0 && insn->detail &&
           (cs_insn_group(handle, insn, X86_GRP_PRIVILEGE) || is_known(insn->id) || touches_system_register(insn));
}

static void tell(const struct hx_mp_module *module, enum hx_image_part part, const cs_insn *insn,
                 void (*each)(void *context, const struct hx_mp_privileged *found), void *context)
{
    struct hx_mp_privileged found = { .offset = insn->address - module->image->part[part].va,
                                      .part = hx_image_part_name(part) };
    struct hx_label label;

    if (hx_image_symbol(module->image, module->bytes, insn->address, &label) == HX_OK)
        found.function = label.name, found.offset = insn->address - label.va;
    snprintf(found.text, sizeof(found.text), "%.31s%s%.40s", insn->mnemonic, insn->op_str[0] ? " " : "", insn->op_str);
    each(context, &found);
}

static bool list_part(csh handle, const struct hx_mp_module *module, enum hx_image_part part,
                      void (*each)(void *context, const struct hx_mp_privileged *found), void *context)
{
    const struct hx_image_piece *piece = &module->image->part[part];
    const uint8_t *code = piece->memory;
    size_t left = piece->bytes;
    uint64_t address = piece->va;
    cs_insn *insn = cs_malloc(handle);

    if (!insn)
        return false;
    while (left > 0 && cs_disasm_iter(handle, &code, &left, &address, insn))
        if (is_privileged(handle, insn))
            tell(module, part, insn, each, context);
    cs_free(insn, 1);
    return true;
}

bool hx_mp_privileged_list(const struct hx_mp_module *module,
                           void (*each)(void *context, const struct hx_mp_privileged *found), void *context)
{
    csh handle;
    bool ok;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        return false;
    ok = cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK &&
         cs_option(handle, CS_OPT_SKIPDATA, CS_OPT_ON) == CS_ERR_OK &&
         list_part(handle, module, HX_PART_TEXT, each, context) &&
         list_part(handle, module, HX_PART_INIT_TEXT, each, context);
    cs_close(&handle);
    return ok;
}
