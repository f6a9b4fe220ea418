/* SPDX-License-Identifier: MIT */
/*
 * context.c - the first frame of a context, as if it had been switched away from at its very start.
 */
#include <hal/hx_hal.h>

/* What context.S pops. */
struct hx_context_frame {
    uint64_t stack_low;
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t return_ip;
    uint64_t end[2]; /* a zero return address over the entry; keeps rsp = 16n */
};

extern const char hx_arch_context_start[];

void hx_hal_context_init(struct hx_hal_context *context, void *stack, void (*entry)(void *argument), void *argument)
{
    uintptr_t top = (uintptr_t)stack + HX_STACK_BYTES;
    struct hx_context_frame *frame = (struct hx_context_frame *)(top - sizeof(*frame));
    *frame = (struct hx_context_frame){
        .stack_low = (uint64_t)(uintptr_t)stack,
        .r12 = (uint64_t)(uintptr_t)entry,
        .rbx = (uint64_t)(uintptr_t)argument,
        .return_ip = (uint64_t)(uintptr_t)hx_arch_context_start,
    };
    context->sp = frame;
}
