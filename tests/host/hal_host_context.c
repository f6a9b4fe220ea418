/* SPDX-License-Identifier: MIT */
/*
 * hal_host_context.c - stacks and the switch between them.
 *
 * Stacks are larger than the kernel's: a sanitizer's frames are, and so is the C library below a test. Below each lies a
 * guard page.
 */
#include "hal_host_parts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#if HAL_HOST_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 4096 };

struct bounds {
    uintptr_t low, high;
};

/* At the top of each stack. */
struct stack {
    LIST_ENTRY(stack) link;
    struct bounds bounds;
} __attribute__((aligned(16)));

static LIST_HEAD(, stack) stacks = LIST_HEAD_INITIALIZER(stacks);
static uint64_t live_stacks;
static struct bounds main_stack;

/* What the switch pushes, lowest address first. */
struct switch_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, return_ip;
    uint64_t end; /* a zero return address above the entry */
};

void hal_host_context_switch(void **from_sp, void **to_sp); /* may be the same */
extern const char hal_host_context_start[];
_Noreturn void hal_host_context_begin(void (*entry)(void *argument), void *argument);

__asm__(".text\n"
        ".globl hal_host_context_switch\n"
        ".type hal_host_context_switch, @function\n"
        "hal_host_context_switch:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov (%rsi), %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n"
        ".globl hal_host_context_start\n"
        "hal_host_context_start:\n"
        "    mov %r12, %rdi\n"
        "    mov %rbx, %rsi\n"
        "    push $0\n" /* aligned for the call */
        "    call hal_host_context_begin\n");

void hal_host_context_init(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    HAL_HOST_CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0, "the main stack is not to be found");
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    main_stack = (struct bounds){ (uintptr_t)low, (uintptr_t)low + bytes };
}

static struct bounds stack_of(uintptr_t sp)
{
    const struct stack *stack;
    LIST_FOREACH(stack, &stacks, link)
        if (sp >= stack->bounds.low && sp < stack->bounds.high)
            return stack->bounds;
    return main_stack;
}

void hx_hal_stack_bounds(uintptr_t *out_low, uintptr_t *out_high)
{
    uintptr_t sp = hal_host_trapped_sp();
    struct bounds bounds = stack_of(sp ? sp : (uintptr_t)__builtin_frame_address(0));
    *out_low = bounds.low;
    *out_high = bounds.high;
}

uint64_t hal_host_live_stacks(void)
{
    return live_stacks;
}

static struct stack *header_of(void *stack)
{
    return (struct stack *)((uintptr_t)stack + STACK_BYTES - sizeof(struct stack));
}

void *hx_hal_stack_alloc(void)
{
    if (!hal_host_may_allocate())
        return NULL;
    uint8_t *memory = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    HAL_HOST_CHECK(memory != MAP_FAILED, "the host has no memory left for stacks");
    mprotect(memory, GUARD_BYTES, PROT_NONE);
    void *low = memory + GUARD_BYTES;
    struct stack *stack = header_of(low);
    stack->bounds = (struct bounds){ (uintptr_t)low, (uintptr_t)stack };
    LIST_INSERT_HEAD(&stacks, stack, link);
    live_stacks++;
    return low;
}

void hx_hal_stack_free(void *stack)
{
    if (!stack)
        return;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), low = (uintptr_t)stack;
    HAL_HOST_CHECK(here < low || here >= low + STACK_BYTES, "hx_hal_stack_free of the stack that is in use");
    HAL_HOST_CHECK(stack_of(low).low == low, "hx_hal_stack_free(%p): no such stack", stack);
    LIST_REMOVE(header_of(stack), link);
    live_stacks--;
#if HAL_HOST_ASAN
    __asan_unpoison_memory_region(stack, STACK_BYTES);
#endif
    munmap((void *)(low - GUARD_BYTES), GUARD_BYTES + STACK_BYTES);
}

void hx_hal_context_init(struct hx_hal_context *context, void *stack, void (*entry)(void *argument), void *argument)
{
    /* One word short of 16n, where a function finds itself after the call that there was none of. */
    struct switch_frame *frame = (struct switch_frame *)((uintptr_t)header_of(stack) - sizeof(*frame));
    *frame = (struct switch_frame){
        .r12 = (uint64_t)(uintptr_t)entry,
        .rbx = (uint64_t)(uintptr_t)argument,
        .return_ip = (uint64_t)(uintptr_t)hal_host_context_start,
    };
    context->sp = frame;
}

static void leave_stack(uintptr_t to_sp)
{
#if HAL_HOST_ASAN
    struct bounds to = stack_of(to_sp);
    __sanitizer_start_switch_fiber(NULL, (void *)to.low, to.high - to.low);
#else
    (void)to_sp;
#endif
}

static void reach_stack(void)
{
#if HAL_HOST_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    HAL_HOST_CHECK(!hx_irq_enabled(), "a context was switched to with interrupts on");
}

void hx_hal_switch(struct hx_hal_context *from, struct hx_hal_context *to)
{
    HAL_HOST_CHECK(!hx_irq_enabled(), "hx_hal_switch with interrupts on");
    HAL_HOST_CHECK(!hx_cpu_read(irq_depth), "hx_hal_switch inside an interrupt handler");
    HAL_HOST_CHECK(!hx_cpu_read(preempt_off), "hx_hal_switch with preemption off");
    leave_stack(from == to ? (uintptr_t)__builtin_frame_address(0) : (uintptr_t)to->sp);
    hal_host_context_switch(&from->sp, &to->sp);
    reach_stack();
}

void hal_host_context_begin(void (*entry)(void *argument), void *argument)
{
    reach_stack();
    hx_irq_enable();
    entry(argument);
    hal_host_breach("the first function of a context returned");
}
