/* SPDX-License-Identifier: MIT */
/*
 * bench_interrupt.c - what an interrupt costs who it comes to, and how long it takes to reach a module's handler.
 */
#include "bench_part.h"

#include <arch/x86_64/arch.h>
#include <hal/hx_hal.h>
#include <interrupts/router.h>
#include <lib/err.h>
#include <string.h>

/*
 * A task reads the counter twice at once, again and again: what lies between, beyond the least ever seen, is the work of an
 * interrupt, from the CPU's first instruction of it to its return.
 */
enum { RTC_LINE = 8, INTERRUPTS = 8, INTERRUPT_LEAST_INSNS = 40, SPIN_MAX_INSNS = 400000000 };

static struct interrupted {
    uint64_t insns, count;
} tick, line;
static struct hx_waitq spun = HX_WAITQ_INIT(spun);
static bool spinning;

static void note_interrupt(uint64_t insns, bool of_line)
{
    struct interrupted *kind = of_line ? &line : &tick;
    kind->insns += insns;
    kind->count++;
}

static hx_status_t spinner(void *argument)
{
    const struct hx_irq *rtc = hx_irq_of_line(RTC_LINE); /* NULL: then it is never seen to have come */
    uint64_t start = hx_arch_tsc(), between = UINT64_MAX;
    (void)argument;
    while ((tick.count < INTERRUPTS || line.count < INTERRUPTS) && hx_arch_tsc() - start < SPIN_MAX_INSNS) {
        uint64_t accepted = rtc ? rtc->accepted : 0, from = hx_arch_tsc(), to = hx_arch_tsc();
        if (to - from < between)
            between = to - from;
        if (to - from > between + INTERRUPT_LEAST_INSNS)
            note_interrupt(to - from - between, rtc && rtc->accepted != accepted);
    }
    spinning = false;
    hx_waitq_wake_all(&spun);
    return HX_OK;
}

static bool has_spun(void *context)
{
    (void)context;
    return !spinning;
}

/* The real-time clock stands for an interrupt line of a module: its handler reads two ports. */
hx_status_t hx_bench_interrupt(const char *name)
{
    hx_handle_t task = HX_HANDLE_NONE;
    tick = line = (struct interrupted){ 0, 0 };
    spinning = true;
    hx_status_t err = hx_task_create(HX_TASK_POLICY, "spinner", 128, spinner, NULL, &task);
    if (err == HX_OK)
        err = hx_waitq_wait(&spun, has_spun, NULL, UINT64_MAX);
    const struct interrupted *kind = strcmp(name, "timer_tick_busy") == 0 ? &tick : &line;
    if (err == HX_OK && kind->count == 0)
        err = HX_E_TIMEOUT;
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    hx_bench_report(name, kind->insns / kind->count);
    return HX_OK;
}

/* From before the processor interrupts itself until the handler, in a module that does nothing else, has returned. */
static hx_status_t measure_self_ipi(const char *name, const struct hx_module *module)
{
    const struct hx_irq *irq = hx_irq_find(module, "bell");
    uint64_t insns = 0;
    if (!irq)
        return hx_bench_complain(name, "the module has no line");
    for (uint32_t i = 0; i < HX_BENCH_ROUNDS; i++) {
        uint64_t served = irq->served, start = hx_arch_tsc();
        hx_arch_irq_raise(irq->line);
        while (*(const volatile uint64_t *)&irq->served == served)
            hx_cpu_relax();
        insns += hx_arch_tsc() - start;
    }
    hx_bench_report(name, insns / HX_BENCH_ROUNDS);
    return HX_OK;
}

hx_status_t hx_bench_self_ipi(const char *name)
{
    return hx_bench_with_module(name, "bench_irq.hxm", measure_self_ipi);
}
