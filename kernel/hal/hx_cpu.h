/* SPDX-License-Identifier: MIT */
/*
 * hx_cpu.h - what each CPU has for itself, and the slots' counters, in one section that exists once a CPU.
 *
 * The section .percpu in the image is the template. Every CPU, the first included, runs on a copy of it; GS base is the
 * copy's address minus the template's, so that %gs:symbol is this CPU's instance and the symbol itself the shared one. What
 * begins as zeros lies in .bss.percpu, the template's end, which takes no room in the kernel's file.
 *
 * May be used by: everybody from L1 up. The layout is known to assembly (offsets below, asserted).
 */
#pragma once
#define HX_CPU_FRAME 0
#define HX_CPU_SELF 8
#define HX_CPU_PREEMPT_OFF 28
#define HX_CPU_LOCK_RANK 44

#define HX_SLOT_SHIFT 5
#define HX_SLOT_VTABLE 0
#define HX_SLOT_ENTERED 8
#define HX_SLOT_LEFT 16

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct hx_gate_frame;
struct hx_task;

struct hx_cpu {
    struct hx_gate_frame *frame; /* innermost gate frame of what runs here, NULL outside every module */
    struct hx_cpu *self;         /* linear address of this copy */
    struct hx_task *current;     /* the running task */
    uint32_t id;
    uint32_t preempt_off; /* > 0: no task switch here */
    uint32_t irq_depth;   /* interrupt handlers on the stack */
    uint32_t need_resched;
    uint32_t ticks;     /* of the scheduler, HX_TICK_NS apart, delivered while a task other than the idle one ran */
    uint32_t lock_rank; /* highest rank of the spinlocks held; only with HX_CHECKS */
};
_Static_assert(offsetof(struct hx_cpu, irq_depth) == offsetof(struct hx_cpu, preempt_off) + 4, "asked together");
_Static_assert(offsetof(struct hx_cpu, frame) == HX_CPU_FRAME, "known to assembly");
_Static_assert(offsetof(struct hx_cpu, self) == HX_CPU_SELF, "known to assembly");
_Static_assert(offsetof(struct hx_cpu, preempt_off) == HX_CPU_PREEMPT_OFF, "known to assembly");
_Static_assert(offsetof(struct hx_cpu, lock_rank) == HX_CPU_LOCK_RANK, "known to assembly");

/*
 * A slot. vtable is read and written through the symbol (shared); entered and left are counted through %gs (per CPU), each
 * with one increment. vtable points to HX_OPS_MAX operation pointers in kernel memory.
 */
struct hx_slot {
    const void *const *vtable;
    uint64_t entered;
    uint64_t left;
    uint64_t reserved;
};
_Static_assert(sizeof(struct hx_slot) == 1u << HX_SLOT_SHIFT, "known to assembly");
_Static_assert(offsetof(struct hx_slot, vtable) == HX_SLOT_VTABLE, "known to assembly");
_Static_assert(offsetof(struct hx_slot, entered) == HX_SLOT_ENTERED, "known to assembly");
_Static_assert(offsetof(struct hx_slot, left) == HX_SLOT_LEFT, "known to assembly");

#define HX_PERCPU __attribute__((section(".percpu"), aligned(64)))
#define HX_PERCPU_ZERO __attribute__((section(".bss.percpu"), aligned(64)))

extern struct hx_cpu hx_cpu;
extern uintptr_t hx_stack_low; /* HX_PERCPU, of the machine: lowest address of the running context's stack */
extern char hx_percpu_start[], hx_percpu_end[]; /* the template */
#endif
