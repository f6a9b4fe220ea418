/* SPDX-License-Identifier: MIT */
/* single_step.c - see single_step.h. */
#include "single_step.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <ucontext.h>

enum { TRAP_FLAG = 0x100 };

static uint32_t left;
static bool struck;
static void (*strike)(void);

static void on_step(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    (void)signal;
    (void)info;
    if (--left > 0)
        return;
    interrupted->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    struck = true;
    strike();
}

uint64_t single_step_pause(void)
{
    uint64_t flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(flags & ~(uint64_t)TRAP_FLAG);
    return flags & TRAP_FLAG;
}

void single_step_resume(uint64_t paused)
{
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | paused);
}

bool single_step_strike(uint32_t at, void (*body)(void), void (*other)(void))
{
    struct sigaction before, action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
    cr_assert_eq(sigaction(SIGTRAP, &action, &before), 0);
    left = at;
    struck = false;
    strike = other;
    single_step_resume(TRAP_FLAG);
    body();
    (void)single_step_pause();
    cr_assert_eq(sigaction(SIGTRAP, &before, NULL), 0);
    return struck;
}
