/* SPDX-License-Identifier: MIT */
/*
 * processors.c - which processors and interrupt controllers the machine has, and which of them run the kernel.
 *
 * Why the tables are read before hx_mm_init(): they lie in memory that is neither usable nor a device's, which the final
 * tables do not map and boot.S's provisional ones, up to 4 GiB, do. So nothing stays mapped that is read once. Firmware
 * that puts its tables further up is told so, and the machine goes on without them.
 */
#include "processors.h"

#include <arch/x86_64/arch.h>
#include <debug/log.h>
#include <hal/hx_hal.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <task/task.h>

static struct hx_acpi_info acpi;
static uint8_t cpu_of[HX_ACPI_CPUS_MAX];      /* by index; 0 of all but the first: does not run the kernel */
static char complaint[HX_ACPI_MESSAGE_BYTES]; /* why there is no more in it than a guess; empty: there is */

static hx_status_t read_at(void *context, uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    hx_boot_at_fn *at = context;
    return (*at)(pa, bytes, out);
}

__attribute__((cold)) void hx_processors_read(const struct hx_boot_info *info, hx_boot_at_fn at)
{
    /* What is wrong is said when there is a log. */
    (void)!hx_acpi_read(info->rsdp_pa, hx_arch_apic_id(), read_at, &at, &acpi, complaint);
}

const struct hx_acpi_info *hx_processors_info(void)
{
    return &acpi;
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */

/* What stands in `cpus='. */
static uint32_t limit_of(const struct hx_boot_info *info)
{
    char text[8];
    uint32_t limit = 0;

    if (hx_boot_option(info, "cpus", text, sizeof(text)) == HX_E_NOENT)
        return HX_CPUS_MAX;
    for (const char *at = text; *at >= '0' && *at <= '9'; at++)
        limit = limit * 10 + (uint32_t)(*at - '0');
    if (limit > 0)
        return limit < HX_CPUS_MAX ? limit : HX_CPUS_MAX;
    hx_log_line(HX_LOG_WARN, NULL, "boot option cpus=%s: expected a number from 1 on; the default stays", text);
    return HX_CPUS_MAX;
}

/* Indices of those that can run the kernel, the first left out. */
static uint32_t others_find(uint32_t limit, uint8_t out[HX_CPUS_MAX])
{
    uint32_t count = 0;

    for (uint32_t i = 1; i < acpi.cpu_count && count + 1 < limit; i++)
        if (acpi.cpu[i].enabled)
            out[count++] = (uint8_t)i;
    return count;
}

__attribute__((cold)) void hx_processors_start(const struct hx_boot_info *info)
{
    uint8_t others[HX_CPUS_MAX];
    uint32_t count = others_find(limit_of(info), others);

    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        hx_arch_cpu_reset(acpi.cpu[others[i]].apic_id);
    (void)hx_task_sleep_until(hx_hal_clock_ns() + HX_ARCH_RESET_NS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t cpu = hx_hal_cpu_count();
        hx_status_t err = hx_arch_cpu_start(&acpi, others[i]);
        if (err)
            hx_log_line(HX_LOG_WARN, NULL, "processor %u (APIC id %u) did not start: %s; going on without it",
                        others[i], acpi.cpu[others[i]].apic_id, hx_err_text(err));
        else
            cpu_of[others[i]] = (uint8_t)cpu;
    }
}

/* ---- for a person --------------------------------------------------------------------------------------------------- */

static size_t describe_all(char *text, size_t bytes)
{
    return hx_fmt(text, bytes, "%u processor%s found, %u used", acpi.found_count, acpi.found_count == 1 ? "" : "s",
                  hx_hal_cpu_count());
}

__attribute__((cold)) void hx_processors_log(void)
{
    char text[64];
    uint32_t dropped = acpi.cpus_dropped + acpi.cpus_x2apic;

    if (complaint[0])
        hx_log_line(HX_LOG_WARN, NULL, "%s; going on with one processor and the addresses of every PC", complaint);
    describe_all(text, sizeof(text));
    hx_log_line(HX_LOG_INFO, NULL, "%s", text);
    if (dropped || acpi.ioapics_dropped || acpi.nmis_dropped)
        hx_log_line(
            HX_LOG_WARN, NULL,
            "acpi: left out: %u processors (with APIC ids above %u, or more than %u), %u I/O APICs, %u NMI lines",
            dropped, HX_ACPI_APIC_IDS - 1, HX_ACPI_CPUS_MAX, acpi.ioapics_dropped, acpi.nmis_dropped);
}

__attribute__((cold)) size_t hx_processor_describe(uint32_t index, char *text, size_t bytes)
{
    if (index > acpi.cpu_count)
        return 0;
    if (index == acpi.cpu_count)
        return describe_all(text, bytes);
    size_t used = hx_fmt(text, bytes, "%5u %7u ", index, acpi.cpu[index].apic_id);
    if (index > 0 && cpu_of[index] == 0)
        return hx_fmt_append(text, bytes, used, "%s", acpi.cpu[index].enabled ? "enabled, not used" : "can be added");
    used = hx_fmt_append(text, bytes, used, "runs the kernel as ");
    return used + hx_arch_cpu_describe(cpu_of[index], text + used, bytes - used);
}
