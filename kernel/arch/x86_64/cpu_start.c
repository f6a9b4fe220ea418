/* SPDX-License-Identifier: MIT */
/*
 * cpu_start.c - another CPU is started, and becomes one of the kernel's.
 *
 * One at a time. It has to take its place, by its APIC id, before the bound; the place is taken back from one that has not,
 * and when such a one comes after all it stops where it stands (ap_start.S). One that has taken its place is waited for.
 * Invariant: a CPU is counted when it can be asked for anything. What was unmapped before that, without its being asked, it
 *            forgets after it.
 * Source:    Intel SDM vol. 3A, 8.4.4; MultiProcessor Specification 1.4, B.4.
 */
#include "apic.h"
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"
#include "percpu.h"

#include <boot/acpi.h>
#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <mm/mm.h>
#include <mm/paging.h>
#include <string.h>

extern const uint8_t hx_arch_trampoline[], hx_arch_trampoline_end[]; /* ap_start.S */
_Noreturn void hx_arch_cpu_main(void); /* called there, on a stack of its own, interrupts off */

enum { NOBODY = UINT32_MAX };

/* Known to ap_start.S. */
extern struct hx_arch_start {
    uint32_t expected; /* APIC id of who may come; NOBODY; or taken */
    uint32_t efer;
    uint64_t cr3;
    uint64_t stack_top;
} hx_arch_start;
_Static_assert(offsetof(struct hx_arch_start, stack_top) == 16, "known to assembly");
struct hx_arch_start hx_arch_start = { .expected = NOBODY };

static struct {
    const struct hx_acpi_info *acpi;
    uint32_t id, uid;
} newcomer;

/* ---- here ----------------------------------------------------------------------------------------------------------- */

static bool has_come(uint32_t apic_id, uint64_t bound_ns)
{
    uint64_t deadline_ns = hx_hal_clock_ns() + bound_ns;
    while (__atomic_load_n(&hx_arch_start.expected, __ATOMIC_ACQUIRE) == apic_id) {
        if (hx_hal_clock_ns() >= deadline_ns)
            return false;
        hx_cpu_relax();
    }
    return true;
}

/* The second time, for one that has missed the first. */
static bool call_in(uint32_t apic_id, uint64_t page_pa)
{
    const uint64_t again_ns = 1000000, bound_ns = 5000000000; /* one of a busy host's may be late */
    uint32_t expected = apic_id;

    __atomic_store_n(&hx_arch_start.expected, apic_id, __ATOMIC_SEQ_CST);
    hx_arch_apic_send(apic_id, HX_APIC_COMMAND_STARTUP | (uint32_t)(page_pa / HX_PAGE_BYTES));
    if (has_come(apic_id, again_ns))
        return true;
    hx_arch_apic_send(apic_id, HX_APIC_COMMAND_STARTUP | (uint32_t)(page_pa / HX_PAGE_BYTES));
    if (has_come(apic_id, bound_ns))
        return true;
    return !__atomic_compare_exchange_n(&hx_arch_start.expected, &expected, NOBODY, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST);
}

__attribute__((cold)) void hx_arch_cpu_reset(uint32_t apic_id)
{
    hx_arch_apic_send(apic_id, HX_APIC_COMMAND_INIT);
}

__attribute__((cold)) hx_status_t hx_arch_cpu_start(const struct hx_acpi_info *acpi, uint32_t index)
{
    uint32_t id = hx_hal_cpu_count();
    uint64_t page_pa = hx_mm_low_page();
    if (id == HX_CPUS_MAX)
        return HX_E_LIMIT;
    struct hx_arch_cpu *cpu = page_pa ? hx_arch_percpu_create(id) : NULL;
    if (!cpu)
        return HX_E_NOMEM;
    cpu->apic_id = acpi->cpu[index].apic_id;
    newcomer.acpi = acpi;
    newcomer.id = id;
    newcomer.uid = acpi->cpu[index].uid;
    hx_arch_start.efer = (uint32_t)hx_msr_read(HX_MSR_EFER) & ~HX_EFER_LMA;
    hx_arch_start.cr3 = hx_cr3_read();
    hx_arch_start.stack_top = cpu->stack_low + HX_STACK_BYTES;
    memcpy(hx_mm_phys_to_virt(page_pa), hx_arch_trampoline, (size_t)(hx_arch_trampoline_end - hx_arch_trampoline));
    if (!call_in(cpu->apic_id, page_pa))
        return HX_E_TIMEOUT;
    hx_arch_clock_answer();
    while (hx_hal_cpu_count() == id)
        hx_cpu_relax();
    return HX_OK;
}

__attribute__((cold)) size_t hx_arch_cpu_describe(uint32_t cpu, char *text, size_t bytes)
{
    const struct hx_arch_cpu *arch = hx_arch_cpu_of(cpu);
    if (cpu == 0)
        return hx_fmt(text, bytes, "CPU 0");
    return hx_fmt(text, bytes, "CPU %u, clock %+lld ns, error %llu", cpu, (long long)arch->tsc_ahead_ns,
                  (unsigned long long)arch->tsc_error_ns);
}

/* ---- there ---------------------------------------------------------------------------------------------------------- */

_Noreturn void hx_arch_cpu_main(void)
{
    hx_arch_cpu_features_on();
    hx_arch_percpu_enter(newcomer.id);
    hx_arch_tables_use(hx_arch_cpu_here());
    hx_arch_apic_on(newcomer.acpi, newcomer.uid);
    hx_arch_clock_join();
    hx_arch_percpu_announce(newcomer.id);
    hx_paging_load(hx_cr3_read());
    hx_entry_cpu();
}
