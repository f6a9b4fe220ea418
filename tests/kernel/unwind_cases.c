/* SPDX-License-Identifier: MIT */
/*
 * unwind_cases.c - a module that faults gives its caller HX_E_FAULT, whatever it did to the CPU.
 */
#include "selftest.h"

#include <lib/fmt.h>
#include <mm/mm.h>
#include <string.h>

#define NON_CANONICAL 0x8000000000000000ul
#define NOWHERE 0xffffa00000000000ul /* between memory and stacks: never mapped */

static uint8_t data[] = { RETURN_INSTRUCTION };

static bool answers(void)
{
    EXPECT(module_call(OP_ANSWER, 0, 0) == 42);
    EXPECT(module_call(OP_READ, (uintptr_t)data, 0) == RETURN_INSTRUCTION);
    return true;
}

static bool null_read(void)
{
    return module_is_unwound(OP_READ, 0, 0, "page fault: read of unmapped 0x0");
}

static bool text_write(void)
{
    char fault[96];

    hx_fmt(fault, sizeof(fault), "page fault: write of read-only 0x%llx", (unsigned long long)(uintptr_t)hx_text_start);
    return module_is_unwound(OP_WRITE, (uintptr_t)hx_text_start, 0, fault);
}

static bool undefined(void)
{
    return module_is_unwound(OP_UNDEFINED, 0, 0, "invalid opcode");
}

static bool divide(void)
{
    return module_is_unwound(OP_DIVIDE, 0, 0, "divide error");
}

static bool vector(void)
{
    return module_is_unwound(OP_VECTOR, 0, 0,
                             "x87, MMX or SSE instruction (kernel and modules are built without: -mgeneral-regs-only)");
}

static bool non_canonical(void)
{
    return module_is_unwound(OP_READ, NON_CANONICAL, 0, "general protection");
}

static bool no_execute(void)
{
    char fault[96];

    hx_fmt(fault, sizeof(fault), "page fault: execution of no-execute 0x%llx", (unsigned long long)(uintptr_t)data);
    return module_is_unwound(OP_JUMP, (uintptr_t)data, 0, fault);
}

static bool jump_to_null(void)
{
    return module_is_unwound(OP_JUMP, 0, 0, "page fault: execution of unmapped 0x0");
}

static bool trash(void)
{
    return module_is_unwound(OP_TRASH, 0, 0, "invalid opcode");
}

static bool wild_stack(void)
{
    return module_is_unwound(OP_SWITCH_STACK, NOWHERE, 0, "double fault") &&
           module_is_unwound(OP_SWITCH_STACK, 0x10, 0, "double fault") &&
           module_is_unwound(OP_SWITCH_STACK, NON_CANONICAL, 0, "double fault");
}

static bool overflow(void)
{
    char fault[96];

    hx_fmt(fault, sizeof(fault), "double fault: stack overflow at 0x%llx",
           (unsigned long long)(uintptr_t)hx_boot_stack - 8);
    return module_is_unwound(OP_OVERFLOW, 0, 0, fault);
}

static bool again_and_again(void)
{
    for (uint32_t i = 0; i < 1000; i++)
        EXPECT(module_is_unwound(i % 2 ? OP_TRASH : OP_UNDEFINED, 0, 0, "invalid opcode"));
    return answers();
}

static const struct selftest_case cases[] = {
    { "a call through a gate answers", answers },
    { "a read through a null pointer is unwound", null_read },
    { "a write to the kernel's text is unwound", text_write },
    { "an undefined instruction is unwound", undefined },
    { "a division by zero is unwound", divide },
    { "an SSE instruction is unwound", vector },
    { "a read of a non-canonical address is unwound", non_canonical },
    { "a jump into data is unwound", no_execute },
    { "a jump to 0 is unwound", jump_to_null },
    { "a fault with all registers and flags spoiled and interrupts off is unwound", trash },
    { "a push with a wild stack pointer is unwound", wild_stack },
    { "a stack overflow meets the guard and is unwound", overflow },
    { "a thousand faults later calls still answer", again_and_again },
};
const struct selftest_group selftest_unwind = { cases, HX_ARRAY_SIZE(cases) };
