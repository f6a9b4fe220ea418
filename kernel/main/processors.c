/* SPDX-License-Identifier: MIT */
/*
 * processors.c - which processors and interrupt controllers the machine has.
 *
 * Why the tables are read before hx_mm_init(): they lie in memory that is neither usable nor a device's, which the final
 * tables do not map and boot.S's provisional ones, up to 4 GiB, do. So nothing stays mapped that is read once. Firmware
 * that puts its tables further up is told so, and the machine goes on without them.
 */
#include "processors.h"

#include <arch/x86_64/arch.h>
#include <debug/log.h>
#include <hal/hx_hal.h>
#include <lib/fmt.h>

static struct hx_acpi_info acpi;
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
    return hx_fmt(text, bytes, "%5u %7u %s", index, acpi.cpu[index].apic_id,
                  index < hx_hal_cpu_count() ? "runs the kernel"
                  : acpi.cpu[index].enabled  ? "enabled, not used"
                                             : "can be added");
}
