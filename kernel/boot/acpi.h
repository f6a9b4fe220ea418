/* SPDX-License-Identifier: MIT */
/*
 * acpi.h - what the firmware's ACPI tables say about processors and interrupt controllers (RSDP -> XSDT or RSDT -> MADT).
 *
 * Pure, and the tables count as hostile. Nothing in the result points into them.
 * May be used by: kernel/main, kernel/arch.
 * Source: ACPI Specification 6.5, sections 5.2.5 (RSDP) to 5.2.8 (XSDT) and 5.2.12 (MADT).
 */
#pragma once
#include <helix/types.h>
#include <lib/slice.h>

enum {
    HX_ACPI_CPUS_MAX = 64,
    HX_ACPI_IOAPICS_MAX = 8,
    HX_ACPI_LOCAL_NMIS_MAX = 64, /* firmware may name each processor by itself */
    HX_ACPI_NMI_SOURCES_MAX = 8,
    HX_ACPI_LINES = 16,                 /* of the ISA bus */
    HX_ACPI_APIC_IDS = 255,             /* that a local APIC can have outside of x2APIC mode; 255 is everybody */
    HX_ACPI_TABLE_BYTES_MAX = 64 << 10, /* of the tables that are read whole */
    HX_ACPI_MESSAGE_BYTES = 128,
};
#define HX_ACPI_GSI_NONE UINT32_MAX /* the line is connected to nothing */
#define HX_ACPI_UID_ALL UINT32_MAX  /* every processor */

struct hx_acpi_cpu {
    uint32_t apic_id;
    uint32_t uid;        /* by which other entries and tables name it */
    bool enabled;        /* it is there and can be started */
    bool online_capable; /* not enabled now, but it may be while the machine runs */
};

struct hx_acpi_ioapic {
    uint32_t id;
    uint32_t pa;
    uint32_t first_gsi; /* of its input 0 */
};

/* How a signal is wired; all false: edge-triggered, active high. */
struct hx_acpi_signal {
    bool low, level;
};

struct hx_acpi_line {
    uint32_t gsi; /* global system interrupt, or HX_ACPI_GSI_NONE */
    struct hx_acpi_signal signal;
};

struct hx_acpi_local_nmi {
    uint32_t uid; /* or HX_ACPI_UID_ALL */
    uint32_t lint;
    struct hx_acpi_signal signal;
};

struct hx_acpi_info {
    uint64_t local_apic_pa;
    uint32_t found_count; /* enabled processors, also those that cpu[] has not */
    uint32_t cpu_count;
    struct hx_acpi_cpu cpu[HX_ACPI_CPUS_MAX]; /* the one that reads this, then as the table has them; each id once */
    uint32_t cpus_dropped;                    /* no place in cpu[] */
    uint32_t cpus_x2apic;                     /* with an id from HX_ACPI_APIC_IDS on: not supported */
    uint32_t cpus_absent;                     /* sockets and places in the table that are empty */
    uint32_t ioapic_count;
    struct hx_acpi_ioapic ioapic[HX_ACPI_IOAPICS_MAX];
    uint32_t ioapics_dropped;
    struct hx_acpi_line line[HX_ACPI_LINES]; /* no two have the same gsi */
    uint32_t local_nmi_count;
    struct hx_acpi_local_nmi local_nmi[HX_ACPI_LOCAL_NMIS_MAX];
    uint32_t nmi_source_count;
    struct hx_acpi_line nmi_source[HX_ACPI_NMI_SOURCES_MAX];
    uint32_t nmis_dropped; /* of either kind */
};

/* Turns physical memory into bytes, or refuses. They stay readable until hx_acpi_read() has returned. */
typedef hx_status_t (*hx_acpi_read_fn)(void *context, uint64_t pa, uint64_t bytes, struct hx_slice *out);

/* A machine without ACPI: the processor that asks, and what every PC has at the same place. @apic_id: its own. */
void hx_acpi_default(struct hx_acpi_info *out, uint32_t apic_id);

/*
 * @rsdp_pa: where the boot loader says that the RSDP lies, 0: it does not. @apic_id: of the processor that asks.
 * HX_E_NOENT (no RSDP, no MADT), HX_E_RANGE (memory that cannot be read), HX_E_FORMAT, HX_E_CHECKSUM, HX_E_LIMIT (a table
 * longer than HX_ACPI_TABLE_BYTES_MAX). On error @out is hx_acpi_default()'s, and @out_message, [HX_ACPI_MESSAGE_BYTES],
 * one line for a person.
 */
HX_NODISCARD hx_status_t hx_acpi_read(uint64_t rsdp_pa, uint32_t apic_id, hx_acpi_read_fn read, void *context,
                                      struct hx_acpi_info *out, char *out_message);
