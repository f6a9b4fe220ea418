/* SPDX-License-Identifier: MIT */
/*
 * ipi.c - what CPUs ask of each other: calls, pokes, probes, forgetting translations, and to stop.
 *
 * A request is a word in the asked CPU's own area, and the interrupt only says that one should look: one too many, or one
 * that comes late, finds nothing. Who has asked for a call takes it back before it goes away, or waits if it has begun, so
 * that nobody ever comes back to a stack that is gone.
 * Forgetting translations: asked for under hx_mm_lock, so by one CPU at a time, with interrupts off. Who waits for a lock with
 * interrupts off serves it there; who has them off for long, a module that loops perhaps, is asked by an NMI.
 * Source: Intel SDM vol. 3A, 10.6 (interrupt command register), 4.10.5 (propagation of changes of translations).
 */
#include "ipi.h"

#include "apic.h"
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"
#include "percpu.h"

#include <hal/hx_hal_entry.h>
#include <mm/paging.h>

enum { CALL_NONE, CALL_ASKED, CALL_RUNS };
enum { NMI_PROBE = 1, NMI_STOP = 2, NMI_STOPPED = 4, NMI_FLUSH = 8 };
enum { NOBODY = UINT32_MAX };

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static bool replace(uint32_t *word, uint32_t old, uint32_t new)
{
    return __atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void interrupt(const struct hx_arch_cpu *cpu, uint32_t command)
{
    hx_arch_apic_send(cpu->apic_id, command);
}

/* The next is sent when the one before has come and found why: so none is left over which nobody knows. */
static void interrupt_by_nmi(struct hx_arch_cpu *cpu, uint32_t why)
{
    if (!__atomic_fetch_or(&cpu->nmi, why, __ATOMIC_ACQ_REL))
        interrupt(cpu, HX_APIC_COMMAND_NMI);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

static struct {
    uint32_t taken; /* by a caller, preemption off */
    void (*function)(void *argument);
    void *argument;
} call;

static bool call_take(uint64_t deadline_ns)
{
    while (!replace(&call.taken, 0, 1)) {
        if (hx_hal_clock_ns() >= deadline_ns)
            return false;
        hx_cpu_relax();
    }
    return true;
}

static void call_ask(void (*function)(void *argument), void *argument)
{
    hx_irq_disable(); /* who is `other' does not change meanwhile */
    uint32_t self = hx_cpu_read(id);
    call.function = function;
    call.argument = argument;
    for (uint32_t id = 0; id < hx_hal_cpu_count(); id++) {
        if (id == self)
            continue;
        store(&hx_arch_cpu_of(id)->call, CALL_ASKED);
        interrupt(hx_arch_cpu_of(id), HX_VECTOR_CALL);
    }
    hx_irq_enable();
}

static hx_status_t call_wait(uint64_t deadline_ns)
{
    hx_status_t err = HX_OK;
    for (uint32_t id = 0; id < hx_hal_cpu_count(); id++) {
        uint32_t *asked = &hx_arch_cpu_of(id)->call;
        while (load(asked) != CALL_NONE) {
            if (hx_hal_clock_ns() >= deadline_ns && replace(asked, CALL_ASKED, CALL_NONE))
                err = HX_E_TIMEOUT;
            hx_cpu_relax();
        }
    }
    return err;
}

/* Preemption is off, so that who waits for its turn never waits for one that has been preempted. */
static hx_status_t call_others(void (*function)(void *argument), void *argument, uint64_t deadline_ns)
{
    hx_status_t err = HX_E_TIMEOUT;
    hx_cpu_add32(preempt_off, 1);
    if (call_take(deadline_ns)) {
        call_ask(function, argument);
        err = call_wait(deadline_ns);
        store(&call.taken, 0);
    }
    hx_cpu_add32(preempt_off, -1);
    if (hx_cpu_read(need_resched)) /* the switch that was put off comes now */
        hx_hal_cpu_poke(hx_cpu_read(id));
    return err;
}

hx_status_t hx_hal_cpu_call_others(void (*function)(void *argument), void *argument, uint64_t deadline_ns)
{
    if (hx_hal_cpu_count() > 1)
        return call_others(function, argument, deadline_ns);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return HX_OK;
}

static void call_serve(void)
{
    uint32_t *asked = &hx_arch_cpu_here()->call;
    if (!replace(asked, CALL_ASKED, CALL_RUNS))
        return;
    if (call.function)
        call.function(call.argument);
    store(asked, CALL_NONE);
}

void hx_hal_cpu_poke(uint32_t cpu)
{
    interrupt(hx_arch_cpu_of(cpu), HX_VECTOR_POKE);
}

/* ---- translations --------------------------------------------------------------------------------------------------- */

static uint32_t stopper = NOBODY; /* CPU that has stopped all others */
static struct {
    uintptr_t va;
    size_t pages;
    uint32_t number; /* of the request, never 0 */
} flush;             /* hx_mm_lock */

/*
 * Why it ends, whatever the other one does: nothing but another NMI or a machine check keeps an NMI out, and what these do is
 * bounded; it serves the request before anything else, without a lock. It comes once the word in `nmi' says why, for who
 * finds that set has one on its way, and who clears it looks at the request after that. A CPU that is stopped does not
 * answer; but who stops one stops all, this one too.
 * Patience is time and not turns of this loop: each `pause' may give the CPU below to a guest that loops for a long time.
 */
static void flush_wait(struct hx_arch_cpu *asked)
{
    enum { PATIENCE_NS = 100000 };
    uint64_t nmi_ns = hx_hal_clock_ns() + PATIENCE_NS;
    while (load(&asked->flush)) {
        if (hx_hal_clock_ns() >= nmi_ns) {
            interrupt_by_nmi(asked, NMI_FLUSH);
            nmi_ns = UINT64_MAX;
        }
        hx_cpu_relax();
    }
}

void hx_arch_flush_others(uintptr_t va, size_t pages)
{
    uint32_t self = hx_cpu_read(id), count = hx_hal_cpu_count();
    if (count == 1 || load(&stopper) != NOBODY)
        return;
    flush.va = va;
    flush.pages = pages;
    flush.number += flush.number == UINT32_MAX ? 2 : 1;
    for (uint32_t id = 0; id < count; id++) {
        if (id == self)
            continue;
        store(&hx_arch_cpu_of(id)->flush, flush.number);
        interrupt(hx_arch_cpu_of(id), HX_VECTOR_FLUSH);
    }
    for (uint32_t id = 0; id < count; id++)
        flush_wait(hx_arch_cpu_of(id));
}

/* An NMI may come in between and serve it, and then others that were asked for next: only what was looked at is answered. */
static void flush_serve(void)
{
    enum { PAGES_MAX = 64 }; /* beyond this forgetting everything is cheaper */
    struct hx_arch_cpu *cpu = hx_arch_cpu_here();
    uint32_t number = load(&cpu->flush);
    if (!number)
        return;
    uintptr_t va = flush.va;
    size_t pages = flush.pages;
    if (pages == 0)
        hx_paging_reload();
    if (pages > PAGES_MAX)
        hx_paging_load(hx_cr3_read());
    for (size_t i = 0; i < pages && pages <= PAGES_MAX; i++)
        hx_paging_flush(va + i * HX_PAGE_BYTES);
    (void)replace(&cpu->flush, number, 0);
}

void hx_hal_lock_wait(void)
{
    flush_serve();
    hx_cpu_relax();
}

/* ---- non-maskable --------------------------------------------------------------------------------------------------- */

void hx_hal_cpu_probe(uint32_t cpu)
{
    interrupt_by_nmi(hx_arch_cpu_of(cpu), NMI_PROBE);
}

bool hx_arch_nmi(struct hx_trap *trap)
{
    struct hx_arch_cpu *cpu = hx_arch_cpu_here();
    uint32_t why = __atomic_exchange_n(&cpu->nmi, 0, __ATOMIC_ACQ_REL);
    flush_serve();
    trap->is_probe = why & NMI_PROBE;
    if (why & NMI_STOP) {
        store(&cpu->nmi, NMI_STOPPED);
        hx_hal_halt();
    }
    return why == NMI_FLUSH;
}

/* Where two do this at once the first one wins, and the other stops here. */
void hx_hal_cpu_stop_others(void)
{
    enum { SPINS = 5000000 }; /* who cannot be stopped is not waited for */
    uint32_t self = hx_cpu_read(id), count = hx_hal_cpu_count();
    if (count == 1 || load(&stopper) == self)
        return;
    if (!replace(&stopper, NOBODY, self))
        hx_hal_halt();
    for (uint32_t id = 0; id < count; id++) {
        if (id == self)
            continue;
        (void)__atomic_fetch_or(&hx_arch_cpu_of(id)->nmi, NMI_STOP, __ATOMIC_ACQ_REL);
        interrupt(hx_arch_cpu_of(id), HX_APIC_COMMAND_NMI);
    }
    for (uint32_t id = 0, spins = 0; id < count; id++)
        while (id != self && load(&hx_arch_cpu_of(id)->nmi) != NMI_STOPPED && spins++ < SPINS)
            hx_cpu_relax();
}

/* ---- who is asked --------------------------------------------------------------------------------------------------- */

bool hx_arch_ipi(uint32_t vector)
{
    switch (vector) {
    case HX_VECTOR_CALL: call_serve(); break;
    case HX_VECTOR_FLUSH: flush_serve(); break;
    case HX_VECTOR_POKE: hx_entry_poke(); break;
    default: return false;
    }
    hx_arch_apic_eoi();
    return true;
}
