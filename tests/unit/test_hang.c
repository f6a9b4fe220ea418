/* SPDX-License-Identifier: MIT */
/* test_hang.c - whose ticks are counted, when a call has had too many, and what becomes of it. */
#include "../host/hal_host.h"

#include <criterion/criterion.h>
#include <gate/gate.h>
#include <hal/hx_hal_entry.h>
#include <interrupts/exception.h>
#include <interrupts/hang.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <task/timer.h>

static uint32_t told, delivered, step = 1;
static char said[128];

static void on_module_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    (void)frame, (void)backtrace;
    told++;
    strncpy(said, description, sizeof(said) - 1);
}

/* A signal stands for the timer's interrupt. */
static void on_timer(struct hx_trap *trap)
{
    struct hx_cpu *cpu = hx_cpu_read(self);
    cpu->ticks += step;
    delivered++;
    hx_entry_tick(trap);
}

HAL_HOST_MODULE static hx_ret_t loop(void)
{
    while (raise(SIGUSR1) == 0)
        ;
    return 7;
}

HAL_HOST_MODULE static hx_ret_t thousand(void)
{
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    return 7;
}

/* As an import would, and its return. */
HAL_HOST_MODULE static hx_ret_t loop_in_import(void)
{
    struct hx_gate_frame *frame = hx_cpu_read(frame);
    frame->in_import = 1;
    while (!frame->kill_pending)
        raise(SIGUSR1);
    frame->in_import = 0;
    hx_gate_killed();
}

static const struct hx_gate_policy policy = { .hung = hx_hang_ended };

static hx_ret_t call_in(struct hx_slot *slot, hx_ret_t (*operation)(void))
{
    static struct hx_gate_vtable vtable;
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        vtable.op[i] = (const void *)(uintptr_t)operation;
    hx_slot_publish(slot, &vtable, NULL);
    return hx_gate_call(slot, 0, 0, 0, 0, 0);
}

static void start(void)
{
    hal_host_init();
    hx_gate_init();
    hx_gate_bind(&policy);
    hx_exception_bind(on_module_fault);
    hal_host_on_trap = on_timer;
}

Test(hang, a_call_that_does_not_end_is_unwound_when_its_ticks_are_used_up)
{
    start();
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS);
    cr_assert_eq(told, 1);
    cr_assert(strstr(said, "hang: 200 ms"), "%s", said);
    cr_assert_null(hx_gate_frame());
    cr_assert_eq(hx_slot_inside(&hx_slots[HX_SLOT_hx_kv]), 0);
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_sched], loop), HX_E_FAULT, "each call counts for itself");
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS + HX_HANG_ATOMIC_TICKS);
}

Test(hang, a_hook_may_take_as_long_as_an_atomic_operation)
{
    start();
    hx_slot_info(&hx_slots[HX_SLOT_hx_kv])->kind = HX_SLOT_KIND_HOOKS;
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_HOOK_TICKS);
    cr_assert(strstr(said, "hang: 500 ms"), "%s", said);
}

HAL_HOST_MODULE static hx_ret_t wait_thousand(void)
{
    struct hx_gate_frame *frame = hx_cpu_read(frame);
    frame->waiting = true;
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    frame->waiting = false;
    raise(SIGUSR1);
    return 7;
}

Test(hang, a_call_that_waits_for_another_module_is_not_blamed)
{
    start();
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], wait_thousand), 7);
    cr_assert_eq(told, 0);
}

Test(hang, interrupts_that_are_no_ticks_blame_nobody)
{
    start();
    step = 0;
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], thousand), 7);
    cr_assert_eq(told, 0);
}

Test(hang, in_an_import_the_call_ends_when_it_returns_and_the_import_is_named)
{
    start();
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop_in_import), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS);
    cr_assert_eq(told, 1);
    cr_assert(strstr(said, "hang: 200 ms, at last in hx_log"), "%s", said);
    cr_assert_null(hx_gate_frame());
}

Test(hang, a_tick_outside_of_every_module_is_nobodys)
{
    start();
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    cr_assert_eq(told, 0);
}

/* ---- another processor -------------------------------------------------------------------------------------------------- */
enum { FIRST = 1 << 0, SECOND = 1 << 1 };

static void *idles(void *idle)
{
    hal_host_cpu_enter(1);
    (void)hx_irq_save();
    hx_hang_idle_changed(idle != NULL);
    return NULL;
}

/* CPU 1 does so: a thread each time, the CPU is the same. */
static void second_idles(bool idle)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, idles, idle ? &thread : NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

static void first_idles(bool idle)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_hang_idle_changed(idle);
    hx_irq_restore(flags);
}

/* What a poke does, at its end. */
static void first_is_poked(void)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_entry_tick(NULL);
    hx_irq_restore(flags);
}

/* Time goes on for the first; returns who has been probed meanwhile. The second one's timer never comes. */
static uint32_t probes_in(uint64_t ns)
{
    hx_irq_flags_t flags = hx_irq_save();
    (void)hal_host_probes_take();
    for (uint64_t end_ns = hx_hal_clock_ns() + ns; hx_hal_clock_ns() < end_ns;) {
        hal_host_advance(1000000);
        hx_timer_run(hx_hal_clock_ns());
    }
    hx_irq_restore(flags);
    return hal_host_probes_take();
}

static struct hx_cpu *second(void)
{
    return hx_hal_on_cpu(&hx_cpu, 1);
}

/* The second one stands in a call, and gets no ticks. */
static void second_is_stuck(void)
{
    static struct hx_gate_frame frame;
    second()->frame = &frame;
}

static const uint64_t noticed_ns = (HX_HANG_LOOKS + 2ull) * HX_HANG_WATCH_NS;

Test(hang, an_idle_processor_probes_one_that_stands_still)
{
    start();
    second_idles(true);
    second_idles(false);
    second_is_stuck();
    first_idles(true);
    cr_assert_eq(probes_in((uint64_t)HX_HANG_LOOKS * HX_HANG_WATCH_NS), 0, "it may only be slow");
    cr_assert_eq(probes_in(noticed_ns), SECOND);
    second()->ticks++;
    cr_assert_eq(probes_in(3 * HX_HANG_PROBE_NS), 0, "it got one");
    cr_assert_eq(probes_in(noticed_ns), SECOND);
    second()->frame = NULL;
    cr_assert_eq(probes_in(noticed_ns), 0, "it is out of it");
}

Test(hang, one_that_gets_ticks_or_goes_from_call_to_call_is_not_probed)
{
    static struct hx_gate_frame other;
    start();
    second_idles(true);
    second_idles(false);
    second_is_stuck();
    first_idles(true);
    struct hx_gate_frame *frame = second()->frame;
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(probes_in(HX_HANG_WATCH_NS), 0);
        second()->ticks++;
    }
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(probes_in(HX_HANG_WATCH_NS), 0);
        second()->frame = i % 2 ? frame : &other;
    }
}

/* ---- being probed ------------------------------------------------------------------------------------------------------- */
static void on_probe(struct hx_trap *trap)
{
    delivered++;
    hx_hang_probed(trap);
}

Test(hang, a_probe_that_nobody_has_asked_for_is_no_tick)
{
    start();
    hal_host_on_trap = on_probe;
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], thousand), 7);
    raise(SIGUSR1);
    cr_assert_eq(delivered, 1001);
    cr_assert_eq(told, 0);
}

/* The second one's timers, up to when it probes. */
static void *probes(void *unused)
{
    (void)unused;
    hal_host_cpu_enter(1);
    (void)hx_irq_save();
    hx_hang_idle_changed(true);
    for (uint32_t i = 0; i < 100 && !hal_host_probes_take(); i++) {
        hal_host_advance(HX_HANG_PROBE_NS);
        hx_timer_run(hx_hal_clock_ns());
    }
    return NULL;
}

HAL_HOST_MODULE static hx_ret_t loop_while_probed(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, probes, NULL) == 0)
        pthread_join(thread, NULL);
    for (uint32_t i = 0; i < 1000; i++)
        raise(SIGUSR1);
    return 7;
}

Test(hang, each_probe_of_a_call_that_stands_still_is_a_tick)
{
    start();
    hal_host_on_trap = on_probe;
    cr_assert_eq(call_in(&hx_slots[HX_SLOT_hx_kv], loop_while_probed), HX_E_FAULT);
    cr_assert_eq(delivered, HX_HANG_SLEEPABLE_TICKS);
    cr_assert_eq(told, 1);
}

Test(hang, who_watched_and_is_busy_now_is_watched_by_one_that_idles_later)
{
    start();
    second_idles(true); /* and watches the first */
    second_idles(false);
    cr_assert_eq(hal_host_pokes_take(), 0, "nobody idles");
    second_is_stuck();
    first_idles(true);
    cr_assert_eq(probes_in(noticed_ns), SECOND);
}

Test(hang, who_watched_and_is_busy_now_is_watched_by_one_that_idled_already)
{
    start();
    second_idles(true);
    first_idles(true);
    cr_assert_eq(hal_host_pokes_take(), 0);
    second_idles(false);
    cr_assert_eq(hal_host_pokes_take(), FIRST);
    second_is_stuck();
    first_is_poked();
    cr_assert_eq(probes_in(noticed_ns), SECOND);
}

Test(hang, a_poke_is_heeded_though_ticks_went_by_before_there_were_others)
{
    start();
    ((struct hx_cpu *)hx_cpu_read(self))->ticks = 5;
    second_idles(true);
    first_idles(true);
    second_idles(false);
    second_is_stuck();
    first_is_poked();
    cr_assert_eq(probes_in(noticed_ns), SECOND);
}

Test(hang, a_busy_processor_looks_at_each_of_its_ticks)
{
    start();
    struct hx_cpu *cpu = hx_cpu_read(self);
    second_idles(true);
    second_idles(false);
    second_is_stuck();
    for (uint32_t i = 0; i <= HX_HANG_LOOKS + 1; i++) {
        first_is_poked();
        cpu->ticks++;
    }
    cr_assert_eq(probes_in(2 * HX_HANG_PROBE_NS), SECOND);
}

Test(hang, the_first_processor_is_watched_while_it_starts_the_others)
{
    start();
    second_idles(true);
    struct hx_timer_stats stats;
    hx_timer_stats(1, &stats);
    cr_assert_neq(stats.machine_ns, UINT64_MAX, "the second one looks at it");
}

/* Nobody is busy: it goes on for a while, in case, and then the machine is left in peace. */
Test(hang, who_watches_nobody_stops_to)
{
    start();
    second_idles(true);
    first_idles(true);
    second_idles(false);
    first_is_poked();
    second_idles(true);
    (void)probes_in((HX_HANG_LINGER_LOOKS + 5ull) * HX_HANG_WATCH_NS);
    struct hx_timer_stats stats;
    hx_timer_stats(0, &stats);
    cr_assert_eq(stats.machine_ns, UINT64_MAX);
}
