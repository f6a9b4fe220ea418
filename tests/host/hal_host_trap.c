/* SPDX-License-Identifier: MIT */
/*
 * hal_host_trap.c - signals as the machine's exceptions, guarded copies, backtraces.
 *
 * A signal handler runs on a stack of its own and may change where its thread goes on, as an exception handler may; so the
 * core's trap entry is called from it, and unwinding to a gate frame rewrites the interrupted context.
 */
#include "hal_host_parts.h"

#include <gate/gate.h>
#include <hal/hx_hal_entry.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if HAL_HOST_ASAN
#include <sanitizer/asan_interface.h>
#endif

struct hx_trap {
    int signal;
    uintptr_t address; /* of a memory fault */
    ucontext_t *context;
};

enum { SIGNAL_STACK_BYTES = 256 * 1024, PF_WRITE = 2, PF_FETCH = 16, EFLAGS_DF = 1 << 10 };

__attribute__((weak)) void hx_entry_trap(struct hx_trap *trap);
__attribute__((weak)) extern const char __start_hal_host_module[], __stop_hal_host_module[];
extern const char __executable_start[], etext[];
extern const char hal_host_copy_insn[], hal_host_copy_fault[];
uint64_t hal_host_copy_bytes(void *to, const void *from, size_t bytes);

void (*hal_host_on_trap)(struct hx_trap *trap);
static _Thread_local const struct hx_trap *running_trap;

/* ---- guarded copy --------------------------------------------------------------------------------------------------- */
/* uint64_t hal_host_copy_bytes(to, from, bytes): what was not copied. */
__asm__(".text\n"
        ".globl hal_host_copy_bytes, hal_host_copy_insn, hal_host_copy_fault\n"
        ".type hal_host_copy_bytes, @function\n"
        "hal_host_copy_bytes:\n"
        "    mov %rdx, %rcx\n"
        "hal_host_copy_insn:\n"
        "    rep movsb\n"
        "hal_host_copy_fault:\n"
        "    mov %rcx, %rax\n"
        "    ret\n");

hx_status_t hx_hal_copy(void *to, const void *from, size_t bytes)
{
    return hal_host_copy_bytes(to, from, bytes) == 0 ? HX_OK : HX_E_FAULT;
}

/* ---- what a trap says ----------------------------------------------------------------------------------------------- */
static uint64_t reg(const struct hx_trap *trap, int which)
{
    return (uint64_t)trap->context->uc_mcontext.gregs[which];
}

static void reg_set(struct hx_trap *trap, int which, uint64_t value)
{
    trap->context->uc_mcontext.gregs[which] = (greg_t)value;
}

/* A test raises SIGUSR1 for a non-maskable interrupt, SIGUSR2 for a machine check. */
enum hx_trap_kind hx_hal_trap_kind(const struct hx_trap *trap)
{
    switch (trap->signal) {
    case SIGUSR1: return HX_TRAP_KIND_NMI;
    case SIGTRAP: return HX_TRAP_KIND_STEP;
    case SIGUSR2: return HX_TRAP_KIND_MACHINE_CHECK;
    default: return HX_TRAP_KIND_FAULT;
    }
}

uintptr_t hx_hal_trap_ip(const struct hx_trap *trap)
{
    return reg(trap, REG_RIP);
}

static uintptr_t trap_sp(const struct hx_trap *trap)
{
    return reg(trap, REG_RSP);
}

uintptr_t hal_host_trapped_sp(void)
{
    return running_trap ? trap_sp(running_trap) : 0;
}

bool hx_hal_ip_in_core(uintptr_t ip)
{
    if (ip == (uintptr_t)hx_gate_stack_short)
        return false;
    if (ip >= (uintptr_t)__start_hal_host_module && ip < (uintptr_t)__stop_hal_host_module)
        return false;
    return ip >= (uintptr_t)__executable_start && ip < (uintptr_t)etext;
}

static size_t cut(int length, size_t bytes)
{
    if (bytes == 0)
        return 0;
    return (size_t)length < bytes ? (size_t)length : bytes - 1;
}

size_t hx_hal_trap_describe(const struct hx_trap *trap, char *text, size_t bytes)
{
    const char *access = reg(trap, REG_ERR) & PF_FETCH ? "execution" : reg(trap, REG_ERR) & PF_WRITE ? "write" : "read";
    switch (trap->signal) {
    case SIGSEGV:
    case SIGBUS:
        return cut(snprintf(text, bytes, "page fault: %s of 0x%lx", access, (unsigned long)trap->address), bytes);
    case SIGILL: return cut(snprintf(text, bytes, "invalid opcode"), bytes);
    case SIGFPE: return cut(snprintf(text, bytes, "divide error"), bytes);
    default: return cut(snprintf(text, bytes, "signal %d", trap->signal), bytes);
    }
}

size_t hx_hal_trap_registers(const struct hx_trap *trap, char *text, size_t bytes)
{
    return cut(snprintf(text, bytes, "rip %016lx  rsp %016lx  rbp %016lx\nrax %016lx  rdi %016lx  rsi %016lx\n",
                        reg(trap, REG_RIP), reg(trap, REG_RSP), reg(trap, REG_RBP), reg(trap, REG_RAX),
                        reg(trap, REG_RDI), reg(trap, REG_RSI)),
               bytes);
}

/* ---- going on elsewhere --------------------------------------------------------------------------------------------- */
/* Functions that never return leave the sanitizer's marks of their variables behind. */
static void forget_frames(const struct hx_trap *trap, const struct hx_gate_frame *until)
{
#if HAL_HOST_ASAN
    uintptr_t low, high, sp = trap_sp(trap);
    hx_hal_stack_bounds(&low, &high);
    if (sp < low || sp >= (uintptr_t)until)
        sp = low;
    __asan_unpoison_memory_region((void *)sp, (uintptr_t)until - sp);
#else
    (void)trap;
    (void)until;
#endif
}

void hx_hal_trap_unwind(struct hx_trap *trap, struct hx_gate_frame *frame, hx_ret_t result)
{
    for (struct hx_gate_frame *inner = hx_gate_frame(); inner != frame; inner = inner->prev) {
        HAL_HOST_CHECK(inner, "hx_hal_trap_unwind to a frame that is not in the chain");
        if (!inner->waiting)
            hx_slot_count_left(inner->slot);
    }
    forget_frames(trap, frame);
    reg_set(trap, REG_RIP, (uintptr_t)hx_gate_resume);
    reg_set(trap, REG_RSP, (uintptr_t)frame);
    reg_set(trap, REG_RAX, (uint64_t)result);
    reg_set(trap, REG_EFL, reg(trap, REG_EFL) & ~(uint64_t)EFLAGS_DF);
}

size_t hx_hal_backtrace(const struct hx_trap *trap, uintptr_t *out_ips, size_t max)
{
    uintptr_t low, high, at = trap ? reg(trap, REG_RBP) : (uintptr_t)__builtin_frame_address(0);
    size_t count = 0;
    hx_hal_stack_bounds(&low, &high);
    if (trap && count < max)
        out_ips[count++] = hx_hal_trap_ip(trap);
    while (count < max && at >= low && high - at >= 2 * sizeof(uintptr_t) && at < high && at % sizeof(uintptr_t) == 0) {
        const uintptr_t *words = (const uintptr_t *)at;
        if (!words[1])
            break;
        out_ips[count++] = words[1];
        if (words[0] <= at)
            break;
        at = words[0];
    }
    return count;
}

/* ---- signals -------------------------------------------------------------------------------------------------------- */
static void core_trap(struct hx_trap *trap)
{
    if (hal_host_on_trap)
        hal_host_on_trap(trap);
    else if (hx_entry_trap)
        hx_entry_trap(trap);
    else
        signal(trap->signal, SIG_DFL); /* the instruction faults once more, for good */
}

static void on_signal(int signal_number, siginfo_t *info, void *context)
{
    struct hx_trap trap = { .signal = signal_number, .context = context };
    if (signal_number == SIGSEGV || signal_number == SIGBUS) {
        trap.address = (uintptr_t)info->si_addr;
        if (reg(&trap, REG_ERR) & PF_WRITE && hal_host_image_copy_on_write(trap.address))
            return;
    }
    if (reg(&trap, REG_RIP) == (uintptr_t)hal_host_copy_insn) {
        reg_set(&trap, REG_RIP, (uintptr_t)hal_host_copy_fault);
        return;
    }
    const struct hx_trap *outer = running_trap;
    bool irq_on = hal_host_irq_set(false);
    running_trap = &trap;
    core_trap(&trap);
    running_trap = outer;
    HAL_HOST_CHECK(!hx_irq_enabled(), "hx_entry_trap returned with interrupts on");
    hal_host_irq_set(irq_on);
}

void hal_host_trap_init(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGUSR1, SIGUSR2 };
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    stack_t stack = { .ss_size = SIGNAL_STACK_BYTES };
    stack.ss_sp = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HAL_HOST_CHECK(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0, "no stack for signals");
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < HX_ARRAY_SIZE(signals); i++)
        HAL_HOST_CHECK(sigaction(signals[i], &action, NULL) == 0, "signal %d cannot be taken", signals[i]);
}
