/* SPDX-License-Identifier: MIT */
/*
 * gate_stub.c - writes the few instructions by which a module calls another: load slot and operation, enter the gate.
 *
 * Why generated: a module may not know where slots lie (no L0 header does), and one stub for all operations would need an
 * argument more than the operation has.
 * Position-independent but for hx_gate_module_enter, which lies within reach of a sign-extended 32-bit address like
 * everything in the image.
 */
#include <hal/hx_hal.h>
#include <string.h>

_Static_assert(HX_OPS_MAX == 16, "OPS_MAX in gate.S");

extern const char hx_gate_module_enter[];

static uint8_t *emit(uint8_t *at, const uint8_t *opcode, size_t opcode_bytes, uint32_t immediate)
{
    memcpy(at, opcode, opcode_bytes);
    memcpy(at + opcode_bytes, &immediate, sizeof(immediate));
    return at + opcode_bytes + sizeof(immediate);
}

void hx_hal_stub_write(uint8_t stub[HX_STUB_BYTES], struct hx_slot *slot, uint32_t index)
{
    /* Intel SDM vol. 2: REX.W C7 /0 id, B8+rd id, FF /4. */
    static const uint8_t mov_r11[] = { 0x49, 0xc7, 0xc3 }, mov_r10d[] = { 0x41, 0xba },
                         mov_rax[] = { 0x48, 0xc7, 0xc0 };
    static const uint8_t jmp_rax[] = { 0xff, 0xe0 };

    memset(stub, 0xcc, HX_STUB_BYTES); /* int3 */
    uint8_t *at = emit(stub, mov_r11, sizeof(mov_r11), (uint32_t)(uintptr_t)slot);
    at = emit(at, mov_r10d, sizeof(mov_r10d), index * (uint32_t)sizeof(void *));
    at = emit(at, mov_rax, sizeof(mov_rax), (uint32_t)(uintptr_t)hx_gate_module_enter);
    memcpy(at, jmp_rax, sizeof(jmp_rax));
}
