/* SPDX-License-Identifier: MIT */
/*
 * fuzz_acpi.c - any bytes whatever are the firmware's tables. The first byte says how much is put right before they are read,
 * so that a fuzzer gets past signatures and checksums: an RSDP in front, then lengths, then sums.
 *
 * What is read is handed over in copies of exact length. Whether the result keeps the promises of acpi.h is checked without
 * looking at the tables; every read must go through the callback, since there is no other way to them.
 */
#include "invariant.h"

#include <boot/acpi.h>

#define BASE_PA 0xe0000ull
enum { WINDOW_BYTES = 0x20000, COPIES_MAX = 0x8000 };
enum { RSDP_AT = 0, LIST_AT = 0x40, MADT_AT = 0x80 }; /* where the tables are put that are put right */
enum { FIX_RSDP = 1, FIX_XSDT = 2, FIX_MADT = 4, FIX_APIC_ID = 8 };

static struct {
    uint8_t byte[WINDOW_BYTES];
    void *copy[COPIES_MAX]; /* what was handed out */
    uint32_t copy_count;
    uint64_t copied_bytes;
} memory;

static hx_status_t read_memory(void *context, uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    must(context == &memory);
    if (pa < BASE_PA || !hx_slice_has(hx_slice_of(memory.byte, WINDOW_BYTES), pa - BASE_PA, bytes))
        return HX_E_RANGE;
    must(memory.copy_count < COPIES_MAX);
    memory.copied_bytes += bytes;
    memory.copy[memory.copy_count] = copy_of(memory.byte + (pa - BASE_PA), (size_t)bytes);
    *out = hx_slice_of(memory.copy[memory.copy_count++], (size_t)bytes);
    return HX_OK;
}

/* ---- putting right --------------------------------------------------------------------------------------------------- */
static void set(uint32_t at, uint64_t value, size_t bytes)
{
    memcpy(memory.byte + at, &value, bytes);
}

static void fix_sum(uint32_t first, uint32_t bytes, uint32_t at)
{
    uint8_t sum = 0;

    memory.byte[at] = 0;
    for (uint32_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + memory.byte[first + i]);
    memory.byte[at] = (uint8_t)-sum;
}

static void fix_table(uint32_t at, const char *signature, uint32_t bytes)
{
    memcpy(memory.byte + at, signature, 4);
    set(at + 4, bytes, 4);
    fix_sum(at, bytes, at + 9);
}

/* @bytes: of the input, which the MADT goes to the end of. */
static void put_right(uint8_t knobs, uint32_t bytes)
{
    bool xsdt = knobs & FIX_XSDT;

    if (knobs & FIX_MADT)
        fix_table(MADT_AT, "APIC", bytes > MADT_AT + 44 ? bytes - MADT_AT : 44);
    if (knobs & FIX_RSDP) {
        memcpy(memory.byte + RSDP_AT, "RSD PTR ", 8);
        set(RSDP_AT + 15, xsdt ? 2 : 0, 1);
        set(RSDP_AT + 16, BASE_PA + LIST_AT, 4);
        set(RSDP_AT + 20, 36, 4);
        set(RSDP_AT + 24, BASE_PA + LIST_AT, 8);
        fix_sum(RSDP_AT, 20, RSDP_AT + 8);
        fix_sum(RSDP_AT, 36, RSDP_AT + 32);
        set(LIST_AT + 36, BASE_PA + MADT_AT, 8);
        fix_table(LIST_AT, xsdt ? "XSDT" : "RSDT", xsdt ? 44 : 40);
    }
}

/* ---- what acpi.h promises -------------------------------------------------------------------------------------------- */
static void check_cpus(const struct hx_acpi_info *info, uint32_t apic_id)
{
    uint32_t enabled = 0;

    must(info->cpu_count >= 1 && info->cpu_count <= HX_ACPI_CPUS_MAX);
    must(info->cpu[0].apic_id == apic_id);
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        must(info->cpu[i].apic_id < HX_ACPI_APIC_IDS);
        must(info->cpu[i].enabled != info->cpu[i].online_capable);
        enabled += info->cpu[i].enabled;
        for (uint32_t j = 0; j < i; j++)
            must(info->cpu[j].apic_id != info->cpu[i].apic_id);
    }
    must(info->found_count >= enabled);
    must(info->found_count <= info->cpu_count + info->cpus_dropped + info->cpus_x2apic);
    must(info->cpus_dropped == 0 || info->cpu_count == HX_ACPI_CPUS_MAX);
}

static void check_lines(const struct hx_acpi_info *info)
{
    for (uint32_t i = 0; i < HX_ACPI_LINES; i++)
        for (uint32_t j = 0; j < i && info->line[i].gsi != HX_ACPI_GSI_NONE; j++)
            must(info->line[j].gsi != info->line[i].gsi);
}

static void check_wires(const struct hx_acpi_info *info)
{
    must(info->ioapic_count >= 1 && info->ioapic_count <= HX_ACPI_IOAPICS_MAX);
    must(info->ioapics_dropped == 0 || info->ioapic_count == HX_ACPI_IOAPICS_MAX);
    for (uint32_t i = 0; i < info->ioapic_count; i++) {
        must(info->ioapic[i].pa != 0);
        for (uint32_t j = 0; j < i; j++)
            must(info->ioapic[j].first_gsi != info->ioapic[i].first_gsi);
    }
    must(info->local_nmi_count <= HX_ACPI_LOCAL_NMIS_MAX);
    for (uint32_t i = 0; i < info->local_nmi_count; i++)
        must(info->local_nmi[i].lint < 2);
    must(info->nmi_source_count <= HX_ACPI_NMI_SOURCES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char message[HX_ACPI_MESSAGE_BYTES];
    struct hx_acpi_info info, guess;
    uint32_t apic_id;
    hx_status_t err;

    if (size == 0 || size - 1 > WINDOW_BYTES - 64)
        return 0;
    memset(memory.byte, 0, sizeof(memory.byte));
    memcpy(memory.byte, data + 1, size - 1);
    put_right(data[0], (uint32_t)size - 1);
    apic_id = data[0] & FIX_APIC_ID ? 300 : data[0] >> 4;
    memset(message, 0x5a, sizeof(message));
    memset(&info, 0x5a, sizeof(info));
    memory.copied_bytes = 0;
    err = hx_acpi_read(BASE_PA + RSDP_AT, apic_id, read_memory, &memory, &info, message);
    while (memory.copy_count > 0)
        free(memory.copy[--memory.copy_count]);
    must(memory.copied_bytes < 4 * HX_ACPI_TABLE_BYTES_MAX);
    if (err == HX_OK) {
        must(message[0] == '\0');
        must(apic_id < HX_ACPI_APIC_IDS);
        check_cpus(&info, apic_id);
        check_lines(&info);
        check_wires(&info);
    } else {
        must(err == HX_E_NOENT || err == HX_E_RANGE || err == HX_E_FORMAT || err == HX_E_CHECKSUM || err == HX_E_LIMIT);
        must(is_line(message, sizeof(message)));
        hx_acpi_default(&guess, apic_id);
        must(memcmp(&info, &guess, sizeof(info)) == 0);
    }
    return 0;
}
