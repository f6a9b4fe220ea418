/* SPDX-License-Identifier: MIT */
/*
 * hx_gate_asm.h - the frame that the gate parks on the stack, for C and assembly.
 *
 * Built by gate.S from high to low addresses. The upper half of the parked RFLAGS word is always pushed as zero (SDM vol. 1,
 * 3.4.3: bits 22..63 are reserved, read as 0), so the frame's own marks live there and cost nothing to clear.
 */
#pragma once
#define HX_FRAME_PREV 0
#define HX_FRAME_SLOT 8
#define HX_FRAME_RFLAGS 64
#define HX_FRAME_IN_IMPORT 68
#define HX_FRAME_KILL 69
#define HX_FRAME_WAITING 70
#define HX_FRAME_BYTES 72

/* What must be left of the stack when a module calls: for the work of the kernel, and for an interrupt on top of it. */
#define HX_STACK_ROOM 4096

#ifdef __ASSEMBLER__
/* Too little left is a fault at hx_gate_stack_short, which counts as the module's own code. Changes rax. */
/* clang-format off */
.macro STACK_ROOM
    mov %rsp, %rax
    sub %gs:hx_stack_low, %rax
    cmp $HX_STACK_ROOM, %rax
    jb hx_gate_stack_short
.endm
/* clang-format on */
#else
#include <stddef.h>
#include <stdint.h>

struct hx_slot;

enum { HX_KILL_TASK = 1, HX_KILL_RESTART = 2, HX_KILL_HUNG = 0x80 };

struct hx_gate_frame {
    struct hx_gate_frame *prev; /* of the call that this one nests in, NULL for the outermost */
    struct hx_slot *slot;       /* entered through; names the module that runs */
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint32_t rflags;
    uint8_t in_import; /* control is in the kernel, called by the module: no unwinding now. Which import, from 1 */
    uint8_t
        kill_pending; /* unwind when the import returns: HX_KILL_TASK, HX_KILL_RESTART, or HX_KILL_HUNG and the import */
    uint8_t waiting;  /* at a closed slot, counted as not inside */
    uint8_t ticks;    /* that came while this call was the innermost: hang.c */
    uint64_t return_ip;
};
_Static_assert(offsetof(struct hx_gate_frame, slot) == HX_FRAME_SLOT, "known to assembly");
_Static_assert(offsetof(struct hx_gate_frame, rflags) == HX_FRAME_RFLAGS, "known to assembly");
_Static_assert(offsetof(struct hx_gate_frame, in_import) == HX_FRAME_IN_IMPORT, "known to assembly");
_Static_assert(offsetof(struct hx_gate_frame, kill_pending) == HX_FRAME_KILL, "known to assembly");
_Static_assert(offsetof(struct hx_gate_frame, waiting) == HX_FRAME_WAITING, "known to assembly");
_Static_assert(offsetof(struct hx_gate_frame, return_ip) == HX_FRAME_BYTES, "known to assembly");
#endif
