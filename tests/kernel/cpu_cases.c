/* SPDX-License-Identifier: MIT */
/*
 * cpu_cases.c - several CPUs: calls, pokes, probes, translations that must be forgotten, one clock, and the stop.
 *
 * The other CPUs wait here for jobs instead of running tasks. A job is one function, done when its CPU's desk is empty again.
 * On a machine with one CPU each case holds for those that there are.
 */
#include "selftest.h"

#include <arch/x86_64/arch.h>
#include <hal/hx_hal_entry.h>
#include <hal/hx_lock.h>
#include <interrupts/exception.h>
#include <main/processors.h>
#include <mm/vm.h>
#include <orchestrator/panic.h>
#include <string.h>

enum { SECOND_NS = 1000000000 };
static const uint64_t patience_ns = 30ull * SECOND_NS; /* a host may have fewer CPUs */

typedef void (*job_fn)(void);
static job_fn desk[HX_CPUS_MAX];
static uint32_t begun; /* CPUs that wait for each other to begin */
static uint32_t pokes[HX_CPUS_MAX], probes[HX_CPUS_MAX];

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void add(uint32_t *word)
{
    (void)__atomic_fetch_add(word, 1, __ATOMIC_ACQ_REL);
}

static uint32_t self(void)
{
    return hx_cpu_read(id);
}

/* ---- in place of the shipped kernel's tasks ------------------------------------------------------------------------- */
_Noreturn void __wrap_hx_entry_cpu(void);
void __wrap_hx_entry_poke(void);
void __wrap_hx_entry_trap(struct hx_trap *trap);
void __real_hx_entry_trap(struct hx_trap *trap);

_Noreturn void __wrap_hx_entry_cpu(void)
{
    for (;;) {
        hx_irq_disable();
        job_fn job = __atomic_load_n(&desk[self()], __ATOMIC_ACQUIRE);
        if (!job) {
            hx_hal_idle();
            continue;
        }
        hx_irq_enable();
        job();
        __atomic_store_n(&desk[self()], NULL, __ATOMIC_RELEASE);
    }
}

void __wrap_hx_entry_poke(void)
{
    add(&pokes[self()]);
}

void __wrap_hx_entry_trap(struct hx_trap *trap)
{
    if (hx_hal_trap_kind(trap) == HX_TRAP_KIND_PROBE)
        add(&probes[self()]);
    else
        __real_hx_entry_trap(trap);
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------- */
static void give(uint32_t cpu, job_fn job)
{
    __atomic_store_n(&desk[cpu], job, __ATOMIC_RELEASE);
    hx_hal_cpu_poke(cpu);
}

static void give_all(job_fn job)
{
    for (uint32_t cpu = 1; cpu < hx_hal_cpu_count(); cpu++)
        give(cpu, job);
}

static bool all_done(void)
{
    uint64_t deadline_ns = hx_hal_clock_ns() + patience_ns;

    for (uint32_t cpu = 1; cpu < hx_hal_cpu_count(); cpu++)
        while (__atomic_load_n(&desk[cpu], __ATOMIC_ACQUIRE)) {
            if (hx_hal_clock_ns() > deadline_ns)
                return selftest_fail("CPU %u does not come to an end", cpu);
            hx_cpu_relax();
        }
    return true;
}

static bool becomes(const uint32_t *word, uint32_t value)
{
    uint64_t deadline_ns = hx_hal_clock_ns() + patience_ns;

    while (load(word) != value) {
        if (hx_hal_clock_ns() > deadline_ns)
            return selftest_fail("%u instead of %u", load(word), value);
        hx_cpu_relax();
    }
    return true;
}

static bool is_alone(void)
{
    return hx_hal_cpu_count() == 1;
}

hx_status_t selftest_cpus_start(void)
{
    const struct hx_acpi_info *acpi = hx_processors_info();
    hx_status_t err = HX_OK;

    for (uint32_t i = 1; i < acpi->cpu_count && i < HX_CPUS_MAX; i++)
        hx_arch_cpu_reset(acpi->cpu[i].apic_id);
    for (uint32_t i = 1; i < acpi->cpu_count && i < HX_CPUS_MAX && !err; i++)
        err = hx_arch_cpu_start(acpi, i);
    return err;
}

hx_status_t selftest_cpu_absent(void)
{
    static struct hx_acpi_info acpi;
    uint32_t count = hx_hal_cpu_count();

    acpi = *hx_processors_info();
    acpi.cpu[0].apic_id = HX_ACPI_APIC_IDS - 1; /* nobody's */
    hx_status_t err = hx_arch_cpu_start(&acpi, 0);
    return err == HX_E_TIMEOUT && hx_hal_cpu_count() == count ? HX_OK : HX_E_INTERNAL;
}

static void panic_with_all(void)
{
    add(&begun);
    while (load(&begun) < hx_hal_cpu_count())
        hx_cpu_relax();
    hx_panic(NULL, "CPU %u of all", self());
}

_Noreturn void selftest_panic_everywhere(void)
{
    give_all(panic_with_all);
    panic_with_all();
    __builtin_unreachable();
}

/* ---- who is there --------------------------------------------------------------------------------------------------- */
static uint32_t seen[HX_CPUS_MAX];

static void see(void)
{
    seen[self()]++;
}

static bool all_run(void)
{
    uint32_t found = hx_processors_info()->found_count, wanted = found < HX_CPUS_MAX ? found : HX_CPUS_MAX;

    EXPECT(hx_hal_cpu_count() == wanted);
    give_all(see);
    EXPECT(all_done());
    for (uint32_t cpu = 1; cpu < wanted; cpu++)
        EXPECT(seen[cpu] == 1);
    return true;
}

static uintptr_t stack_low[HX_CPUS_MAX];

static void note_stack(void)
{
    uintptr_t high;

    hx_hal_stack_bounds(&stack_low[self()], &high);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (here < stack_low[self()] || here >= high || !hx_mm_is_stack_guard(stack_low[self()] - 1))
        stack_low[self()] = 0;
}

static bool stacks_are_guarded(void)
{
    give_all(note_stack);
    EXPECT(all_done());
    for (uint32_t cpu = 1; cpu < hx_hal_cpu_count(); cpu++)
        EXPECT(stack_low[cpu] != 0 && !can_read(stack_low[cpu] - 1));
    return true;
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */
static uint32_t called[HX_CPUS_MAX];

static void note_call(void *amount)
{
    called[self()] += *(uint32_t *)amount;
}

static bool calls_run_elsewhere(void)
{
    memset(called, 0, sizeof(called));
    for (uint32_t i = 1; i <= 100; i++) {
        uint32_t amount = i;
        EXPECT(hx_hal_cpu_call_others(note_call, &amount, hx_hal_clock_ns() + patience_ns) == HX_OK);
    }
    EXPECT(called[0] == 0);
    for (uint32_t cpu = 1; cpu < hx_hal_cpu_count(); cpu++)
        EXPECT(called[cpu] == 5050);
    EXPECT(hx_hal_cpu_sync(hx_hal_clock_ns() + patience_ns) == HX_OK && hx_irq_enabled());
    return true;
}

enum { CALLS = 20 };
static uint32_t heard, refused;

static void hear(void *unused)
{
    (void)unused;
    add(&heard);
}

static void call_often(void)
{
    for (uint32_t i = 0; i < CALLS; i++)
        if (hx_hal_cpu_call_others(hear, NULL, hx_hal_clock_ns() + patience_ns))
            add(&refused);
}

static bool all_call_at_once(void)
{
    uint32_t count = hx_hal_cpu_count();

    heard = refused = 0;
    give_all(call_often);
    call_often();
    EXPECT(all_done());
    EXPECT(load(&refused) == 0 && load(&heard) == count * (count - 1) * CALLS);
    return true;
}

static uint32_t is_deaf, may_hear;

/* With interrupts off for as long as it is told. */
static void be_deaf(void)
{
    hx_irq_flags_t flags = hx_irq_save();

    store(&is_deaf, 1);
    while (!load(&may_hear))
        hx_cpu_relax();
    hx_irq_restore(flags);
    store(&is_deaf, 0);
}

static bool deaf_one(void)
{
    store(&may_hear, 0);
    give(1, be_deaf);
    return becomes(&is_deaf, 1);
}

static bool late_call_is_none(void)
{
    if (is_alone())
        return true;
    memset(called, 0, sizeof(called));
    EXPECT(deaf_one());
    uint32_t amount = 1;
    EXPECT(hx_hal_cpu_call_others(note_call, &amount, hx_hal_clock_ns() + SECOND_NS / 50) == HX_E_TIMEOUT);
    store(&may_hear, 1);
    EXPECT(all_done());
    EXPECT(called[1] == 0);
    EXPECT(hx_hal_cpu_call_others(note_call, &amount, hx_hal_clock_ns() + patience_ns) == HX_OK && called[1] == 1);
    return true;
}

/* ---- pokes and probes ----------------------------------------------------------------------------------------------- */
static bool pokes_arrive(void)
{
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++) {
        uint32_t before = load(&pokes[cpu]);
        hx_hal_cpu_poke(cpu);
        EXPECT(becomes(&pokes[cpu], before + 1));
    }
    return true;
}

static bool probes_arrive_in_cli(void)
{
    if (is_alone())
        return true;
    EXPECT(deaf_one());
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t before = load(&probes[1]);
        hx_hal_cpu_probe(1);
        EXPECT(becomes(&probes[1], before + 1));
    }
    store(&may_hear, 1);
    return all_done();
}

/* ---- translations --------------------------------------------------------------------------------------------------- */
static uintptr_t watched_va;
static uint32_t could[HX_CPUS_MAX];

static void look(void)
{
    could[self()] = can_write(watched_va) ? 2 : can_read(watched_va) ? 1 : 0;
}

static bool all_could(uint32_t what)
{
    give_all(look);
    EXPECT(all_done());
    for (uint32_t cpu = 1; cpu < hx_hal_cpu_count(); cpu++)
        if (could[cpu] != what)
            return selftest_fail("CPU %u could do %u instead of %u", cpu, could[cpu], what);
    return true;
}

static bool rights_go_everywhere(void)
{
    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &watched_va) == HX_OK);
    EXPECT(all_could(2));
    hx_hal_image_protect(watched_va, HX_PAGE_BYTES, HX_PROT_R);
    EXPECT(all_could(1));
    hx_hal_image_protect(watched_va, HX_PAGE_BYTES, HX_PROT_RW);
    EXPECT(all_could(2));
    hx_hal_image_free(watched_va, HX_PAGE_BYTES);
    return all_could(0);
}

static bool long_runs_go_everywhere(void)
{
    enum { PAGES = 300 };
    uintptr_t va;

    EXPECT(hx_hal_image_alloc(PAGES * HX_PAGE_BYTES, &va) == HX_OK);
    watched_va = va + (PAGES - 1) * HX_PAGE_BYTES;
    EXPECT(all_could(2));
    hx_hal_image_protect(va, PAGES * HX_PAGE_BYTES, HX_PROT_R);
    EXPECT(all_could(1));
    hx_hal_image_free(va, PAGES * HX_PAGE_BYTES);
    return all_could(0);
}

static bool grants_go_everywhere(void)
{
    static const uint32_t sizes[] = { 1, 300, HX_HAL_GRANT_PAGES };
    enum { SLOT = HX_HAL_GRANT_SLOTS - 1 };

    for (uint32_t i = 0; i < HX_ARRAY_SIZE(sizes); i++) {
        struct hx_hal_grant *grant = hx_hal_grant_alloc(sizes[i]);
        EXPECT(grant);
        watched_va = hx_hal_grant_va(SLOT) + (sizes[i] - 1) * (uintptr_t)HX_PAGE_BYTES;
        EXPECT(all_could(0));
        hx_hal_grant_attach(grant, SLOT, HX_PROT_RW);
        EXPECT(all_could(2));
        hx_hal_grant_detach(grant, SLOT);
        EXPECT(!can_read(watched_va) && all_could(0));
        hx_hal_grant_attach(grant, SLOT, HX_PROT_R);
        EXPECT(!can_write(watched_va) && all_could(1));
        hx_hal_grant_detach(grant, SLOT);
        EXPECT(all_could(0));
        hx_hal_grant_free(grant);
    }
    return true;
}

static struct hx_hal_grant *ball; /* nobody else's slots are where it goes */
static uint32_t gone, late;

/* Writes where the grant is until it is told that it is gone: from then on each write must fault. */
static void write_on(void)
{
    const uint8_t byte = 1;

    add(&begun);
    while (!load(&gone)) {
        (void)!hx_hal_copy((void *)watched_va, &byte, 1);
        hx_cpu_relax(); /* CPUs that run in turns: the others */
    }
    if (hx_hal_copy((void *)watched_va, &byte, 1) == HX_OK)
        add(&late);
}

/* Its translations are in use on every CPU at the moment of detaching. */
static bool grants_are_taken_from_writers(void)
{
    enum { ROUNDS = 20 };

    ball = hx_hal_grant_alloc(2);
    EXPECT(ball);
    late = 0;
    for (uint32_t slot = 0; slot < ROUNDS; slot++) {
        begun = 0;
        store(&gone, 0);
        watched_va = hx_hal_grant_va(slot);
        hx_hal_grant_attach(ball, slot, HX_PROT_RW);
        give_all(write_on);
        bool there = becomes(&begun, hx_hal_cpu_count() - 1);
        hx_hal_grant_detach(ball, slot);
        store(&gone, 1);
        EXPECT(all_done() && there);
    }
    hx_hal_grant_free(ball);
    EXPECT(load(&late) == 0);
    return true;
}

/* Each its own slots. */
static void attach_and_detach(void)
{
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t slot = self() * 20 + i;
        struct hx_hal_grant *grant = hx_hal_grant_alloc(1 + i);
        if (!grant) {
            add(&refused);
            continue;
        }
        hx_hal_grant_attach(grant, slot, HX_PROT_RW);
        *(volatile uint32_t *)hx_hal_grant_va(slot) = self();
        hx_hal_grant_detach(grant, slot);
        hx_hal_grant_attach(grant, slot, HX_PROT_R);
        if (can_write(hx_hal_grant_va(slot)) || *(volatile uint32_t *)hx_hal_grant_va(slot) != self())
            add(&refused);
        hx_hal_grant_detach(grant, slot);
        if (can_read(hx_hal_grant_va(slot)))
            add(&refused);
        hx_hal_grant_free(grant);
    }
}

static bool all_change_hands_at_once(void)
{
    refused = 0;
    give_all(attach_and_detach);
    attach_and_detach();
    EXPECT(all_done());
    EXPECT(load(&refused) == 0);
    return true;
}

static struct hx_lock door = HX_LOCK_INIT(1);
static uint32_t waits;

static void wait_at_door(void)
{
    hx_irq_flags_t flags = hx_irq_save();
    add(&waits);
    hx_lock_release(&door, hx_lock_acquire(&door));
    hx_irq_restore(flags);
}

static bool lock_waiters_forget(void)
{
    uintptr_t va;

    waits = 0;
    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &va) == HX_OK);
    hx_irq_flags_t flags = hx_lock_acquire(&door);
    give_all(wait_at_door);
    bool there = becomes(&waits, hx_hal_cpu_count() - 1);
    hx_hal_image_free(va, HX_PAGE_BYTES);
    hx_lock_release(&door, flags);
    EXPECT(there);
    return all_done();
}

/* It is probed meanwhile, too: an NMI serves both, and none is taken for the hardware's. */
static bool deaf_one_forgets(void)
{
    enum { ROUNDS = 20 };
    uint64_t nmis = hx_exception_nmis();

    if (is_alone())
        return true;
    EXPECT(deaf_one());
    for (uint32_t i = 0; i < ROUNDS; i++) {
        EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &watched_va) == HX_OK);
        uint32_t before = load(&probes[1]);
        hx_hal_cpu_probe(1);
        hx_hal_image_free(watched_va, HX_PAGE_BYTES);
        EXPECT(becomes(&probes[1], before + 1));
    }
    EXPECT(load(&is_deaf) == 1);
    store(&may_hear, 1);
    EXPECT(all_done());
    EXPECT(hx_exception_nmis() == nmis);
    return true;
}

static uint32_t finds;

/* Looks at a page again and again, interrupts off, until it is told to stop. */
static void look_deaf(void)
{
    hx_irq_flags_t flags = hx_irq_save();

    while (!load(&may_hear)) {
        store(&finds, can_write(watched_va) ? 2 : 1);
        hx_cpu_relax(); /* where processors take turns: it is another's */
    }
    hx_irq_restore(flags);
}

static bool deaf_one_sees_the_change(void)
{
    if (is_alone())
        return true;
    EXPECT(hx_hal_image_alloc(HX_PAGE_BYTES, &watched_va) == HX_OK);
    store(&may_hear, 0);
    for (uint32_t i = 0; i < 10; i++) {
        store(&finds, 0);
        if (i == 0)
            give(1, look_deaf);
        EXPECT(becomes(&finds, 2));
        hx_hal_image_protect(watched_va, HX_PAGE_BYTES, HX_PROT_R);
        EXPECT(becomes(&finds, 1));
        hx_hal_image_protect(watched_va, HX_PAGE_BYTES, HX_PROT_RW);
    }
    store(&may_hear, 1);
    EXPECT(all_done());
    hx_hal_image_free(watched_va, HX_PAGE_BYTES);
    return true;
}

/* Takes rights away again and again while everybody does. */
static void map_and_unmap(void)
{
    for (uint32_t i = 0; i < 10; i++) {
        uintptr_t va;
        if (hx_hal_image_alloc(2 * HX_PAGE_BYTES, &va)) {
            add(&refused);
            continue;
        }
        *(volatile uint32_t *)va = self();
        hx_hal_image_protect(va, HX_PAGE_BYTES, HX_PROT_R);
        if (can_write(va) || *(volatile uint32_t *)va != self())
            add(&refused);
        hx_hal_image_free(va, 2 * HX_PAGE_BYTES);
    }
}

static bool all_unmap_at_once(void)
{
    refused = 0;
    give_all(map_and_unmap);
    map_and_unmap();
    EXPECT(all_done());
    EXPECT(load(&refused) == 0);
    return true;
}

static bool audit_passes_meanwhile(void)
{
    char text[160];

    refused = 0;
    give_all(map_and_unmap);
    for (uint32_t i = 0; i < 3; i++)
        if (hx_mm_audit(text, sizeof(text)))
            return all_done() && selftest_fail("%s", text);
    EXPECT(all_done());
    EXPECT(load(&refused) == 0);
    return true;
}

static uint32_t stack_failures;

static void use_stacks(void)
{
    for (uint32_t i = 0; i < 100; i++) {
        volatile uint32_t *stack = hx_hal_stack_alloc();
        if (!stack) {
            add(&stack_failures);
            continue;
        }
        *stack = self();
        stack[HX_STACK_BYTES / sizeof(*stack) - 1] = self();
        if (*stack != self() || stack[HX_STACK_BYTES / sizeof(*stack) - 1] != self())
            add(&stack_failures);
        hx_hal_stack_free((void *)(uintptr_t)stack);
    }
}

static bool stacks_change_hands(void)
{
    stack_failures = 0;
    give_all(use_stacks);
    use_stacks();
    EXPECT(all_done());
    EXPECT(load(&stack_failures) == 0);
    return true;
}

/* ---- state regions -------------------------------------------------------------------------------------------------- */
enum { STATE_PAGES = 32 };
#define STATE_BYTES (STATE_PAGES * (size_t)HX_PAGE_BYTES)
static uintptr_t old_va, new_va;
static uint32_t stale;

static volatile uint32_t *state_word(uintptr_t va, uint32_t page, uint32_t index)
{
    return (volatile uint32_t *)(va + page * (uintptr_t)HX_PAGE_BYTES) + index;
}

/* All begin together and write a word of their own to each page, the same pages at the same time. */
static void write_pages(void)
{
    add(&begun);
    while (load(&begun) < hx_hal_cpu_count())
        hx_cpu_relax();
    for (uint32_t page = 0; page < STATE_PAGES; page++) {
        if (*state_word(new_va, page, 100) != page) /* a translation to remember */
            add(&stale);
        *state_word(new_va, page, self()) = page + self();
        if (*state_word(new_va, page, self()) != page + self())
            add(&stale);
    }
}

static bool share_states(void)
{
    EXPECT(hx_hal_image_alloc(STATE_BYTES, &old_va) == HX_OK && hx_hal_image_alloc(STATE_BYTES, &new_va) == HX_OK);
    for (uint32_t page = 0; page < STATE_PAGES; page++)
        *state_word(old_va, page, 100) = page;
    hx_hal_region_share(new_va, old_va, STATE_BYTES);
    begun = stale = 0;
    return true;
}

static bool give_states(void)
{
    hx_hal_image_free(new_va, STATE_BYTES);
    hx_hal_image_free(old_va, STATE_BYTES);
    return true;
}

static bool all_write_state(void)
{
    for (uint32_t round = 0; round < 5; round++) {
        EXPECT(share_states());
        give_all(write_pages);
        write_pages();
        EXPECT(all_done());
        EXPECT(load(&stale) == 0);
        for (uint32_t page = 0; page < STATE_PAGES; page++)
            for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
                EXPECT(*state_word(new_va, page, cpu) == (cpu < hx_hal_cpu_count() ? page + cpu : 0));
                EXPECT(*state_word(old_va, page, cpu) == 0);
            }
        give_states();
    }
    return true;
}

/* Reads page 0 until it sees what CPU 0 writes there, having seen what was there before. */
static void see_write(void)
{
    uint64_t deadline_ns = hx_hal_clock_ns() + patience_ns;

    if (*state_word(new_va, 0, 1) == 0)
        add(&begun);
    while (*state_word(new_va, 0, 1) != 77) {
        if (hx_hal_clock_ns() > deadline_ns) {
            add(&stale);
            return;
        }
        hx_cpu_relax();
    }
}

static bool readers_see_the_writer(void)
{
    EXPECT(share_states());
    give_all(see_write);
    EXPECT(becomes(&begun, hx_hal_cpu_count() - 1));
    *state_word(new_va, 0, 1) = 77;
    EXPECT(all_done());
    EXPECT(load(&stale) == 0);
    return give_states();
}

/* ---- one clock ------------------------------------------------------------------------------------------------------ */
static struct {
    struct hx_lock lock;
    uint64_t last_ns, back_ns; /* furthest back that a reading was behind an earlier one, wherever that was made */
} times = { .lock = HX_LOCK_INIT(2) };

static void read_clock(void)
{
    for (uint32_t i = 0; i < 2000; i++) {
        hx_irq_flags_t flags = hx_lock_acquire(&times.lock);
        uint64_t now_ns = hx_hal_clock_ns();
        if (now_ns < times.last_ns && times.last_ns - now_ns > times.back_ns)
            times.back_ns = times.last_ns - now_ns;
        times.last_ns = now_ns;
        hx_lock_release(&times.lock, flags);
    }
}

static bool clocks_agree(void)
{
    enum { ERROR_NS = 5000 };

    times.last_ns = times.back_ns = 0;
    give_all(read_clock);
    read_clock();
    EXPECT(all_done());
    if (times.back_ns > ERROR_NS)
        return selftest_fail("time went back by %llu ns", (unsigned long long)times.back_ns);
    return true;
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */
static uint32_t beats;

static void beat(void)
{
    hx_irq_disable();
    for (;;)
        add(&beats);
}

/* The last of all cases: nobody is left. */
static bool all_stop(void)
{
    if (is_alone())
        return true;
    uint32_t before = load(&beats);
    give_all(beat);
    uint64_t deadline_ns = hx_hal_clock_ns() + patience_ns;
    while (load(&beats) == before)
        EXPECT(hx_hal_clock_ns() < deadline_ns);
    hx_hal_cpu_stop_others();
    before = load(&beats);
    deadline_ns = hx_hal_clock_ns() + SECOND_NS / 10;
    while (hx_hal_clock_ns() < deadline_ns)
        EXPECT(load(&beats) == before);
    return true;
}

static const struct selftest_case cases[] = {
    { "every processor that the firmware names runs, with an id of its own", all_run },
    { "a CPU's first stack is its own and guarded", stacks_are_guarded },
    { "a call runs once on every other CPU and is over when it returns", calls_run_elsewhere },
    { "all CPUs may call all others at once", all_call_at_once },
    { "a call that is not answered in time is taken back", late_call_is_none },
    { "a poke arrives, at the CPU that sends it too", pokes_arrive },
    { "a probe arrives where interrupts are off, and is told as one", probes_arrive_in_cli },
    { "a right that a page loses is lost on every CPU", rights_go_everywhere },
    { "that holds for more pages than are forgotten one by one", long_runs_go_everywhere },
    { "a grant comes and goes on every CPU, whatever its size", grants_go_everywhere },
    { "a grant is taken from CPUs that write to it", grants_are_taken_from_writers },
    { "all CPUs attach and detach grants at once", all_change_hands_at_once },
    { "who waits for a lock with interrupts off forgets translations meanwhile", lock_waiters_forget },
    { "who has interrupts off for good forgets translations all the same", deaf_one_forgets },
    { "and finds what has changed", deaf_one_sees_the_change },
    { "all CPUs may take away mappings at once", all_unmap_at_once },
    { "the audit passes while other CPUs map and unmap", audit_passes_meanwhile },
    { "a stack that another CPU had can be used at once", stacks_change_hands },
    { "all CPUs may write one shared page at once, and it is copied once", all_write_state },
    { "who reads a shared page sees what another CPU writes to it", readers_see_the_writer },
    { "time does not go back from CPU to CPU", clocks_agree },
    { "all other CPUs stop, with interrupts off too", all_stop },
};
const struct selftest_group selftest_cpu = { cases, HX_ARRAY_SIZE(cases) };
