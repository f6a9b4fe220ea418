/* SPDX-License-Identifier: MIT */
/*
 * trap.h - what trap_entry.S leaves on the stack: the interrupted registers, and what the CPU pushed.
 *
 * May be used by: kernel/arch/x86_64 alone; everybody else has hx_hal_trap_*(). Known to assembly (asserted).
 */
#pragma once
#define HX_TRAP_CS 160
#define HX_SELECTOR_CODE 0x08
#define HX_SELECTOR_DATA 0x10
#define HX_SELECTOR_TSS 0x28

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct hx_trap {
    uint64_t cr2;      /* exceptions only */
    uint64_t is_probe; /* an NMI that another CPU has sent */
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t
        error; /* 0 where the CPU pushes none. Of interrupts the low byte is the vector, until hx_arch_interrupt() */
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(offsetof(struct hx_trap, cs) == HX_TRAP_CS, "known to assembly");

enum {
    HX_TRAP_DB = 1,
    HX_TRAP_NMI = 2,
    HX_TRAP_DF = 8,
    HX_TRAP_PF = 14,
    HX_TRAP_MC = 18,
    HX_TRAP_CP = 21,
    HX_TRAP_COUNT = 32
};

/* Intel SDM vol. 3A, 4.7: the page-fault error code. */
enum {
    HX_PF_PRESENT = 1 << 0,
    HX_PF_WRITE = 1 << 1,
    HX_PF_USER = 1 << 2,
    HX_PF_RESERVED_BIT = 1 << 3,
    HX_PF_FETCH = 1 << 4,
    HX_PF_PROTECTION_KEY = 1 << 5,
    HX_PF_SHADOW_STACK = 1 << 6,
};

/* gate.S: a module's call that finds too little of the stack left faults here. */
extern const char hx_gate_stack_short[];
/* trap_entry.S: 32 stubs of 16 bytes, then 32 of 4 bytes and 8 bytes more, seven times. */
extern const char hx_arch_trap_stubs[];
/* Called by trap_entry.S, interrupts off. @trap: on this stack, written back to the registers. */
void hx_arch_exception(struct hx_trap *trap);
void hx_arch_interrupt(struct hx_trap *trap);
#endif
