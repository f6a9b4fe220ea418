/* SPDX-License-Identifier: MIT */
/*
 * test_acpi.c - processors and interrupt controllers out of ACPI tables: as QEMU's machines have them, and as they must not be.
 *
 * Physical memory is a handful of tables here; what is read is handed over in copies of exact length, so that under the
 * address sanitizer a read past it is an error of its own.
 */
#include <boot/acpi.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RSDP_PA = 0xf59e0, LIST_PA = 0x7fe23b3, MADT_PA = 0x7fe2287, OTHER_PA = 0x7fe2000 };
enum { LOCAL_APIC, IO_APIC, SOURCE_OVERRIDE, NMI_SOURCE, LOCAL_NMI, ADDRESS, X2APIC = 9, X2APIC_NMI };
enum { ENABLED = 1, ONLINE_CAPABLE = 2 };
enum { TABLE_BYTES = 70000, COPIES_MAX = 20000 };

/* ---- physical memory ------------------------------------------------------------------------------------------------- */
struct table {
    uint64_t pa;
    size_t bytes; /* that are there */
    uint8_t data[TABLE_BYTES];
};
static struct table rsdp, list, madt, other;
static struct table *const memory[] = { &rsdp, &list, &madt, &other };
static void *copies[COPIES_MAX];
static uint32_t copy_count;
static struct hx_acpi_info info;
static char message[HX_ACPI_MESSAGE_BYTES];

static hx_status_t read_memory(void *context, uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    cr_assert_eq(context, &memory, "the context is handed on");
    for (size_t i = 0; i < HX_ARRAY_SIZE(memory); i++) {
        const struct table *t = memory[i];
        if (pa < t->pa || !hx_slice_has(hx_slice_of(t->data, t->bytes), pa - t->pa, bytes))
            continue;
        cr_assert_lt(copy_count, COPIES_MAX);
        void *copy = malloc(bytes);
        memcpy(copy, t->data + (pa - t->pa), bytes);
        copies[copy_count++] = copy;
        *out = hx_slice_of(copy, bytes);
        return HX_OK;
    }
    return HX_E_RANGE;
}

/* ---- building -------------------------------------------------------------------------------------------------------- */
static void set(struct table *t, size_t offset, uint64_t value, size_t bytes)
{
    cr_assert_leq(offset + bytes, sizeof(t->data));
    memcpy(t->data + offset, &value, bytes);
}

static void fix_sum(struct table *t, size_t at, size_t bytes)
{
    uint8_t sum = 0;
    t->data[at] = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + t->data[i]);
    t->data[at] = (uint8_t)-sum;
}

/* Length and checksum of what is there. */
static void seal(struct table *t)
{
    set(t, 4, t->bytes, 4);
    fix_sum(t, 9, t->bytes);
}

static void begin(struct table *t, uint64_t pa, const char *signature, size_t bytes)
{
    memset(t->data, 0, sizeof(t->data));
    memcpy(t->data, signature, strlen(signature));
    t->pa = pa;
    t->bytes = bytes;
}

static void add(const void *data, size_t bytes)
{
    cr_assert_leq(madt.bytes + bytes, sizeof(madt.data));
    memcpy(madt.data + madt.bytes, data, bytes);
    madt.bytes += bytes;
}
#define ADD(...) add((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void add_cpu(uint32_t uid, uint32_t apic_id, uint32_t flags)
{
    ADD(LOCAL_APIC, 8, (uint8_t)uid, (uint8_t)apic_id, (uint8_t)flags, 0, 0, 0);
}
static void add_x2apic(uint32_t uid, uint32_t apic_id, uint32_t flags)
{
    uint32_t words[] = { X2APIC | 16 << 8, apic_id, flags, uid };
    add(words, sizeof(words));
}
static void add_ioapic(uint32_t id, uint32_t pa, uint32_t gsi)
{
    uint32_t words[] = { IO_APIC | 12 << 8 | id << 16, pa, gsi };
    add(words, sizeof(words));
}
static void add_override(uint32_t line, uint8_t gsi, uint8_t flags)
{
    ADD(SOURCE_OVERRIDE, 10, 0, (uint8_t)line, gsi, 0, 0, 0, flags, 0);
}

/* An RSDP of revision 0 and an RSDT with the MADT behind another table; a MADT without an entry. */
static void setup(void)
{
    begin(&rsdp, RSDP_PA, "RSD PTR ", 20);
    set(&rsdp, 16, LIST_PA, 4);
    fix_sum(&rsdp, 8, 20);
    begin(&list, LIST_PA, "RSDT", 44);
    set(&list, 36, OTHER_PA, 4);
    set(&list, 40, MADT_PA, 4);
    seal(&list);
    begin(&other, OTHER_PA, "FACP", 36);
    seal(&other);
    begin(&madt, MADT_PA, "APIC", 44);
    set(&madt, 36, 0xfee00000, 4);
}

/* The same with revision 2: an XSDT, and an RSDT that must not be asked. */
static void setup_2(void)
{
    setup();
    rsdp.bytes = 36;
    set(&rsdp, 15, 2, 1);
    set(&rsdp, 16, 0x1000, 4);
    set(&rsdp, 20, 36, 4);
    set(&rsdp, 24, LIST_PA, 8);
    fix_sum(&rsdp, 8, 20);
    fix_sum(&rsdp, 32, 36);
    begin(&list, LIST_PA, "XSDT", 52);
    set(&list, 36, OTHER_PA, 8);
    set(&list, 44, MADT_PA, 8);
    seal(&list);
}

static void plain_entries(void)
{
    add_cpu(0, 0, ENABLED);
    add_cpu(1, 1, ENABLED);
    add_ioapic(0, 0xfec00000, 0);
}

TestSuite(acpi, .init = setup);

static hx_status_t parse_as(uint32_t apic_id, uint64_t rsdp_pa)
{
    memset(message, '?', sizeof(message));
    memset(&info, 0x5a, sizeof(info));
    hx_status_t err = hx_acpi_read(rsdp_pa, apic_id, read_memory, (void *)&memory, &info, message);
    while (copy_count > 0)
        free(copies[--copy_count]);
    cr_assert_not_null(memchr(message, 0, sizeof(message)), "the message ends");
    cr_assert_eq(err == HX_OK, message[0] == '\0', "a message comes with an error and only then");
    return err;
}
static hx_status_t parse(void)
{
    seal(&madt);
    return parse_as(0, RSDP_PA);
}

static void expect_default(void)
{
    struct hx_acpi_info expected;
    hx_acpi_default(&expected, 0);
    cr_assert_arr_eq(&info, &expected, sizeof(info), "after a refusal nothing of the tables is kept");
}
static void expect_refusal(hx_status_t err, hx_status_t expected, const char *part)
{
    cr_assert_eq(err, expected, "%d: %s", err, message);
    cr_assert_not_null(strstr(message, part), "`%s' is not in: %s", part, message);
    cr_assert_eq(strncmp(message, "acpi: ", 6), 0, "%s", message);
    expect_default();
}
#define EXPECT_REFUSAL(err, part) expect_refusal(parse(), err, part)

/* ---- good tables ----------------------------------------------------------------------------------------------------- */
/* What SeaBIOS hands over on QEMU 7.2, -machine q35 -smp 4. */
static const uint8_t q35_rsdp[] = { 0x52, 0x53, 0x44, 0x20, 0x50, 0x54, 0x52, 0x20, 0x77, 0x42,
                                    0x4f, 0x43, 0x48, 0x53, 0x20, 0x00, 0xb3, 0x23, 0xfe, 0x07 };
static const uint8_t q35_rsdt[] = {
    0x52, 0x53, 0x44, 0x54, 0x38, 0x00, 0x00, 0x00, 0x01, 0x4f, 0x42, 0x4f, 0x43, 0x48, 0x53, 0x20, 0x42, 0x58, 0x50,
    0x43, 0x20, 0x20, 0x20, 0x20, 0x01, 0x00, 0x00, 0x00, 0x42, 0x58, 0x50, 0x43, 0x01, 0x00, 0x00, 0x00, 0x93, 0x21,
    0xfe, 0x07, 0x87, 0x22, 0xfe, 0x07, 0x17, 0x23, 0xfe, 0x07, 0x4f, 0x23, 0xfe, 0x07, 0x8b, 0x23, 0xfe, 0x07
};
static const uint8_t q35_madt[] = {
    0x41, 0x50, 0x49, 0x43, 0x90, 0x00, 0x00, 0x00, 0x01, 0x4b, 0x42, 0x4f, 0x43, 0x48, 0x53, 0x20, 0x42, 0x58,
    0x50, 0x43, 0x20, 0x20, 0x20, 0x20, 0x01, 0x00, 0x00, 0x00, 0x42, 0x58, 0x50, 0x43, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xe0, 0xfe, 0x01, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x08,
    0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x08, 0x02, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x08, 0x03, 0x03,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xfe, 0x00, 0x00, 0x00, 0x00, 0x02, 0x0a,
    0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x0a, 0x00, 0x05, 0x05, 0x00, 0x00, 0x00, 0x0d, 0x00,
    0x02, 0x0a, 0x00, 0x09, 0x09, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x02, 0x0a, 0x00, 0x0a, 0x0a, 0x00, 0x00, 0x00,
    0x0d, 0x00, 0x02, 0x0a, 0x00, 0x0b, 0x0b, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x04, 0x06, 0xff, 0x00, 0x00, 0x01
};
#define TAKE(table, bytes_of) (memcpy((table).data, bytes_of, sizeof(bytes_of)), (table).bytes = sizeof(bytes_of))

static void expect_line(uint32_t line, uint32_t gsi, bool low, bool level)
{
    cr_expect_eq(info.line[line].gsi, gsi, "line %u: GSI %u", line, info.line[line].gsi);
    cr_expect_eq(info.line[line].signal.low, low, "line %u", line);
    cr_expect_eq(info.line[line].signal.level, level, "line %u", line);
}

Test(acpi, the_tables_of_qemu_are_read)
{
    TAKE(rsdp, q35_rsdp);
    TAKE(list, q35_rsdt);
    TAKE(madt, q35_madt);
    cr_assert_eq(parse_as(0, RSDP_PA), HX_OK, "%s", message);
    cr_expect_eq(info.local_apic_pa, 0xfee00000);
    cr_expect_eq(info.found_count, 4);
    cr_assert_eq(info.cpu_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(info.cpu[i].apic_id, i);
        cr_expect_eq(info.cpu[i].uid, i);
        cr_expect(info.cpu[i].enabled && !info.cpu[i].online_capable);
    }
    cr_assert_eq(info.ioapic_count, 1);
    cr_expect_eq(info.ioapic[0].id, 0);
    cr_expect_eq(info.ioapic[0].pa, 0xfec00000);
    cr_expect_eq(info.ioapic[0].first_gsi, 0);
    for (uint32_t line = 0; line < HX_ACPI_LINES; line++) {
        bool pci = line == 5 || (line >= 9 && line <= 11);
        expect_line(line, line == 0 ? 2 : line == 2 ? HX_ACPI_GSI_NONE : line, false, pci);
    }
    cr_assert_eq(info.local_nmi_count, 1);
    cr_expect_eq(info.local_nmi[0].uid, HX_ACPI_UID_ALL);
    cr_expect_eq(info.local_nmi[0].lint, 1);
    cr_expect_eq(info.nmi_source_count, 0);
    cr_expect_eq(info.cpus_dropped + info.cpus_x2apic + info.cpus_absent + info.ioapics_dropped + info.nmis_dropped, 0);
}

Test(acpi, every_truncation_of_qemus_madt_is_refused)
{
    TAKE(rsdp, q35_rsdp);
    TAKE(list, q35_rsdt);
    TAKE(madt, q35_madt);
    for (madt.bytes = 0; madt.bytes < sizeof(q35_madt); madt.bytes++)
        cr_assert_eq(parse_as(0, RSDP_PA), madt.bytes < 4 ? HX_E_NOENT : HX_E_RANGE, "cut to %zu bytes", madt.bytes);
}

Test(acpi, every_flipped_bit_of_what_is_read_whole_is_noticed)
{
    struct table *const tables[] = { &rsdp, &list, &madt };
    TAKE(rsdp, q35_rsdp);
    TAKE(list, q35_rsdt);
    TAKE(madt, q35_madt);
    for (size_t t = 0; t < HX_ARRAY_SIZE(tables); t++) {
        for (size_t bit = 0; bit < 8 * tables[t]->bytes; bit++) {
            tables[t]->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_neq(parse_as(0, RSDP_PA), HX_OK, "bit %zu of table %zu", bit, t);
            tables[t]->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    cr_assert_eq(parse_as(0, RSDP_PA), HX_OK, "%s", message);
}

Test(acpi, a_machine_without_acpi_is_one_processor_and_what_every_pc_has)
{
    hx_acpi_default(&info, 7);
    cr_expect_eq(info.found_count, 1);
    cr_assert_eq(info.cpu_count, 1);
    cr_expect_eq(info.cpu[0].apic_id, 7);
    cr_expect(info.cpu[0].enabled);
    cr_expect_eq(info.local_apic_pa, 0xfee00000);
    cr_assert_eq(info.ioapic_count, 1);
    cr_expect_eq(info.ioapic[0].pa, 0xfec00000);
    for (uint32_t line = 0; line < HX_ACPI_LINES; line++)
        expect_line(line, line == 0 ? 2 : line == 2 ? HX_ACPI_GSI_NONE : line, false, false);
    cr_assert_eq(info.local_nmi_count, 1);
    cr_expect_eq(info.local_nmi[0].uid, HX_ACPI_UID_ALL);
    cr_expect_eq(info.local_nmi[0].lint, 1);
}

Test(acpi, where_there_is_an_xsdt_the_rsdt_is_not_asked, .init = setup_2)
{
    plain_entries();
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.cpu_count, 2);
}

Test(acpi, without_an_xsdt_the_rsdt_of_a_revision_2_counts)
{
    plain_entries();
    rsdp.bytes = 36;
    set(&rsdp, 15, 2, 1);
    set(&rsdp, 20, 36, 4);
    fix_sum(&rsdp, 8, 20);
    fix_sum(&rsdp, 32, 36);
    cr_assert_eq(parse(), HX_OK, "%s", message);
}

Test(acpi, a_longer_rsdp_of_a_later_revision_is_read_whole, .init = setup_2)
{
    plain_entries();
    rsdp.bytes = 48;
    set(&rsdp, 15, 3, 1);
    set(&rsdp, 20, 48, 4);
    set(&rsdp, 40, 0x12, 1);
    fix_sum(&rsdp, 8, 20);
    fix_sum(&rsdp, 32, 48);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    rsdp.bytes = 47;
    EXPECT_REFUSAL(HX_E_RANGE, "RSDP at 0xf59e0: it lies where memory cannot be read");
}

Test(acpi, the_processor_that_reads_comes_first_and_the_others_in_the_tables_order)
{
    add_cpu(10, 6, ENABLED);
    add_cpu(11, 3, ENABLED);
    add_cpu(12, 9, ENABLED);
    add_ioapic(0, 0xfec00000, 0);
    seal(&madt);
    cr_assert_eq(parse_as(9, RSDP_PA), HX_OK, "%s", message);
    cr_assert_eq(info.cpu_count, 3);
    cr_expect_eq(info.cpu[0].apic_id, 9);
    cr_expect_eq(info.cpu[0].uid, 12);
    cr_expect_eq(info.cpu[1].apic_id, 6);
    cr_expect_eq(info.cpu[2].apic_id, 3);
}

Test(acpi, processors_that_are_not_there_are_counted_and_left_out)
{
    plain_entries();
    add_cpu(2, 2, ONLINE_CAPABLE);
    add_cpu(3, 0, 0);
    add_cpu(4, 255, 0);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_assert_eq(info.cpu_count, 3);
    cr_expect_eq(info.found_count, 2);
    cr_expect_eq(info.cpus_absent, 2);
    cr_expect(!info.cpu[2].enabled && info.cpu[2].online_capable);
}

Test(acpi, a_processor_that_both_kinds_of_entry_name_is_one)
{
    plain_entries();
    add_x2apic(0, 0, ENABLED);
    add_x2apic(1, 1, ENABLED);
    add_x2apic(2, 2, ENABLED);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.found_count, 3);
    cr_expect_eq(info.cpu_count, 3);
    cr_expect_eq(info.cpu[2].apic_id, 2);
    cr_expect_eq(info.cpu[2].uid, 2);
}

Test(acpi, ids_that_only_x2apic_mode_has_are_counted_and_left_out)
{
    plain_entries();
    add_cpu(2, 255, ENABLED);
    add_x2apic(3, 254, ENABLED);
    add_x2apic(4, 256, ENABLED);
    add_x2apic(5, UINT32_MAX, ENABLED);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.found_count, 6);
    cr_assert_eq(info.cpu_count, 3);
    cr_expect_eq(info.cpu[2].apic_id, 254);
    cr_expect_eq(info.cpus_x2apic, 3);
}

Test(acpi, a_thousand_processors_are_counted)
{
    add_ioapic(0, 0xfec00000, 0);
    for (uint32_t id = 1; id <= 1000; id++)
        add_x2apic(id, id % 1000, ENABLED);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.found_count, 1000);
    cr_expect_eq(info.cpu_count, HX_ACPI_CPUS_MAX);
    cr_expect_eq(info.cpus_dropped, 255 - HX_ACPI_CPUS_MAX);
    cr_expect_eq(info.cpus_x2apic, 1000 - 255);
    cr_expect_eq(info.cpu[0].apic_id, 0, "the one that reads has its place although it is the last");
    cr_expect_eq(info.cpu[0].uid, 1000);
}

Test(acpi, overrides_say_where_a_line_enters_and_how_it_signals)
{
    plain_entries();
    add_override(0, 2, 0);
    add_override(9, 20, 0xf);
    add_override(10, 11, 0x7);
    add_override(3, 3, 0x5);
    add_override(3, 3, 0x5);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    expect_line(0, 2, false, false);
    expect_line(2, HX_ACPI_GSI_NONE, false, false);
    expect_line(9, 20, true, true);
    expect_line(10, 11, true, false);
    expect_line(11, HX_ACPI_GSI_NONE, false, false);
    expect_line(3, 3, false, false);
    expect_line(1, 1, false, false);
}

Test(acpi, lines_that_change_places_both_lead_somewhere)
{
    plain_entries();
    add_override(5, 6, 0);
    add_override(6, 5, 0);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    expect_line(5, 6, false, false);
    expect_line(6, 5, false, false);
}

Test(acpi, several_io_apics_are_kept_and_too_many_counted)
{
    add_cpu(0, 0, ENABLED);
    for (uint32_t i = 0; i < HX_ACPI_IOAPICS_MAX + 2; i++)
        add_ioapic(i, 0xfec00000 + 0x1000 * i, 24 * i);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_assert_eq(info.ioapic_count, HX_ACPI_IOAPICS_MAX);
    cr_expect_eq(info.ioapics_dropped, 2);
    cr_expect_eq(info.ioapic[1].id, 1);
    cr_expect_eq(info.ioapic[1].pa, 0xfec01000);
    cr_expect_eq(info.ioapic[1].first_gsi, 24);
}

Test(acpi, nmis_of_each_kind_are_kept_and_too_many_counted)
{
    plain_entries();
    ADD(LOCAL_NMI, 6, 3, 0x7, 0, 0);
    ADD(X2APIC_NMI, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0);
    ADD(NMI_SOURCE, 8, 0xd, 0, 17, 0, 0, 0);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_assert_eq(info.local_nmi_count, 2);
    cr_expect_eq(info.local_nmi[0].uid, 3);
    cr_expect_eq(info.local_nmi[0].lint, 0);
    cr_expect(info.local_nmi[0].signal.low && !info.local_nmi[0].signal.level);
    cr_expect_eq(info.local_nmi[1].uid, HX_ACPI_UID_ALL);
    cr_expect_eq(info.local_nmi[1].lint, 1);
    cr_assert_eq(info.nmi_source_count, 1);
    cr_expect_eq(info.nmi_source[0].gsi, 17);
    cr_expect(!info.nmi_source[0].signal.low && info.nmi_source[0].signal.level);
    for (uint32_t i = 0; i < 100; i++) {
        ADD(LOCAL_NMI, 6, (uint8_t)i, 0, 0, 1);
        ADD(NMI_SOURCE, 8, 0, 0, 17, 0, 0, 0);
    }
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.local_nmi_count, HX_ACPI_LOCAL_NMIS_MAX);
    cr_expect_eq(info.nmi_source_count, HX_ACPI_NMI_SOURCES_MAX);
    cr_expect_eq(info.nmis_dropped, 203 - HX_ACPI_LOCAL_NMIS_MAX - HX_ACPI_NMI_SOURCES_MAX);
}

Test(acpi, an_address_of_64_bits_replaces_that_in_the_head)
{
    plain_entries();
    ADD(ADDRESS, 12, 0, 0, 0x00, 0x10, 0x20, 0x30, 0x04, 0, 0, 0);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.local_apic_pa, 0x430201000);
}

Test(acpi, entries_of_unknown_kinds_and_longer_ones_are_passed_over)
{
    plain_entries();
    ADD(0x7f, 3, 1);
    ADD(8, 2);
    ADD(LOCAL_APIC, 10, 5, 5, ENABLED, 0, 0, 0, 0xee, 0xee);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    cr_expect_eq(info.cpu_count, 3);
}

/* ---- the RSDP -------------------------------------------------------------------------------------------------------- */
Test(acpi, no_rsdp_is_refused)
{
    plain_entries();
    expect_refusal(parse_as(0, 0), HX_E_NOENT, "RSDP at 0: the boot loader names none");
}

Test(acpi, an_rsdp_outside_of_memory_is_refused)
{
    static const uint64_t places[] = { 0x1000, RSDP_PA + 1, 1ull << 40, UINT64_MAX - 19, UINT64_MAX };
    plain_entries();
    for (size_t i = 0; i < HX_ARRAY_SIZE(places); i++)
        expect_refusal(parse_as(0, places[i]), HX_E_RANGE, "cannot be read");
}

static hx_status_t read_one_byte_less(void *context, uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    return read_memory(context, pa, bytes - 1, out);
}

Test(acpi, memory_that_comes_in_part_is_refused)
{
    plain_entries();
    seal(&madt);
    hx_status_t err = hx_acpi_read(RSDP_PA, 0, read_one_byte_less, (void *)&memory, &info, message);
    expect_refusal(err, HX_E_RANGE, "RSDP at 0xf59e0: it lies where memory cannot be read");
    free(copies[--copy_count]);
}

Test(acpi, another_signature_of_the_rsdp_is_refused)
{
    plain_entries();
    rsdp.data[7] = '_';
    fix_sum(&rsdp, 8, 20);
    EXPECT_REFUSAL(HX_E_FORMAT, "RSDP at 0xf59e0: its signature is another one");
}

Test(acpi, a_wrong_checksum_of_the_rsdp_is_refused)
{
    plain_entries();
    rsdp.data[9]++;
    EXPECT_REFUSAL(HX_E_CHECKSUM, "RSDP at 0xf59e0: its checksum is wrong");
}

Test(acpi, a_wrong_extended_checksum_is_refused, .init = setup_2)
{
    plain_entries();
    rsdp.data[33]++;
    EXPECT_REFUSAL(HX_E_CHECKSUM, "RSDP at 0xf59e0: its checksum is wrong");
}

Test(acpi, a_revision_2_that_is_cut_off_is_refused, .init = setup_2)
{
    plain_entries();
    for (rsdp.bytes = 20; rsdp.bytes < 36; rsdp.bytes++)
        EXPECT_REFUSAL(HX_E_RANGE, "RSDP at 0xf59e0: it lies where memory cannot be read");
}

Test(acpi, a_length_of_the_rsdp_that_cannot_be_is_refused, .init = setup_2)
{
    static const uint32_t lengths[] = { 0, 20, 35, 4097, UINT32_MAX };
    plain_entries();
    rsdp.bytes = 5000;
    for (size_t i = 0; i < HX_ARRAY_SIZE(lengths); i++) {
        set(&rsdp, 20, lengths[i], 4);
        fix_sum(&rsdp, 32, 36);
        EXPECT_REFUSAL(HX_E_FORMAT, "RSDP at 0xf59e0: it has a length that cannot be");
    }
}

Test(acpi, an_rsdp_without_a_list_is_refused)
{
    plain_entries();
    set(&rsdp, 16, 0, 4);
    fix_sum(&rsdp, 8, 20);
    EXPECT_REFUSAL(HX_E_FORMAT, "RSDP at 0xf59e0: it names neither an XSDT nor an RSDT");
}

/* ---- the lists ------------------------------------------------------------------------------------------------------- */
Test(acpi, a_list_outside_of_memory_is_refused, .init = setup_2)
{
    plain_entries();
    set(&rsdp, 24, UINT64_MAX - 3, 8);
    fix_sum(&rsdp, 32, 36);
    EXPECT_REFUSAL(HX_E_RANGE, "XSDT at 0xfffffffffffffffc: it lies where memory cannot be read");
}

Test(acpi, an_rsdt_where_an_xsdt_should_be_is_refused, .init = setup_2)
{
    plain_entries();
    memcpy(list.data, "RSDT", 4);
    seal(&list);
    EXPECT_REFUSAL(HX_E_FORMAT, "XSDT at 0x7fe23b3: its signature is another one");
}

Test(acpi, a_list_that_names_only_itself_ends)
{
    plain_entries();
    set(&list, 36, LIST_PA, 4);
    set(&list, 40, LIST_PA, 4);
    seal(&list);
    EXPECT_REFUSAL(HX_E_NOENT, "RSDT at 0x7fe23b3: there is no MADT in it");
}

Test(acpi, tables_that_cannot_be_read_are_counted_and_passed_over)
{
    plain_entries();
    set(&list, 36, 0xfffffffe, 4);
    seal(&list);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    set(&list, 40, 0, 4);
    seal(&list);
    EXPECT_REFUSAL(HX_E_NOENT, "there is no MADT in it, or it lies where memory cannot be read");
}

Test(acpi, an_empty_list_is_refused)
{
    plain_entries();
    list.bytes = 36;
    seal(&list);
    EXPECT_REFUSAL(HX_E_NOENT, "there is no MADT in it");
}

Test(acpi, a_list_that_ends_inside_an_address_is_refused, .init = setup_2)
{
    plain_entries();
    list.bytes = 48;
    seal(&list);
    EXPECT_REFUSAL(HX_E_FORMAT, "XSDT at 0x7fe23b3: it ends inside an address");
}

Test(acpi, a_table_shorter_than_its_head_is_refused)
{
    plain_entries();
    for (uint32_t bytes = 0; bytes < 36; bytes++) {
        set(&list, 4, bytes, 4);
        EXPECT_REFUSAL(HX_E_FORMAT, "RSDT at 0x7fe23b3: it is shorter than its head");
    }
}

Test(acpi, a_table_longer_than_the_limit_is_refused)
{
    plain_entries();
    list.bytes = HX_ACPI_TABLE_BYTES_MAX;
    seal(&list);
    cr_assert_eq(parse(), HX_OK, "%s", message);
    list.bytes = HX_ACPI_TABLE_BYTES_MAX + 4;
    seal(&list);
    EXPECT_REFUSAL(HX_E_LIMIT, "RSDT at 0x7fe23b3: it is longer than 64 KiB");
}

Test(acpi, a_table_that_leaves_memory_is_refused)
{
    plain_entries();
    set(&list, 4, list.bytes + 4, 4);
    EXPECT_REFUSAL(HX_E_RANGE, "RSDT at 0x7fe23b3: it lies where memory cannot be read");
}

Test(acpi, a_wrong_checksum_of_a_table_is_refused)
{
    plain_entries();
    seal(&madt);
    madt.data[9]++;
    expect_refusal(parse_as(0, RSDP_PA), HX_E_CHECKSUM, "MADT at 0x7fe2287: its checksum is wrong");
    list.data[9]++;
    expect_refusal(parse_as(0, RSDP_PA), HX_E_CHECKSUM, "RSDT at 0x7fe23b3: its checksum is wrong");
}

Test(acpi, tables_that_nobody_needs_may_be_broken)
{
    plain_entries();
    other.data[9]++;
    set(&other, 4, UINT32_MAX, 4);
    cr_assert_eq(parse(), HX_OK, "%s", message);
}

/* ---- the MADT -------------------------------------------------------------------------------------------------------- */
Test(acpi, a_madt_without_its_addresses_is_refused)
{
    for (madt.bytes = 36; madt.bytes < 44; madt.bytes++)
        EXPECT_REFUSAL(HX_E_FORMAT, "MADT at 0x7fe2287: it is shorter than its head");
}

Test(acpi, an_entry_of_length_0_or_1_is_refused)
{
    plain_entries();
    ADD(0x7f, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: it is shorter than its head");
    madt.data[0x49] = 1;
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: it is shorter than its head");
}

Test(acpi, an_entry_that_leaves_the_table_is_refused)
{
    plain_entries();
    ADD(0x7f, 3);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: it leaves the table");
}

Test(acpi, a_table_that_ends_inside_the_head_of_an_entry_is_refused)
{
    plain_entries();
    ADD(0x7f);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: the table ends inside of it");
}

Test(acpi, an_entry_too_short_for_its_kind_is_refused)
{
    static const uint8_t kinds[][2] = {
        { LOCAL_APIC, 8 }, { IO_APIC, 12 }, { SOURCE_OVERRIDE, 10 }, { NMI_SOURCE, 8 },
        { LOCAL_NMI, 6 },  { ADDRESS, 12 }, { X2APIC, 16 },          { X2APIC_NMI, 12 }
    };
    plain_entries();
    size_t before = madt.bytes;
    for (size_t i = 0; i < HX_ARRAY_SIZE(kinds); i++) {
        for (uint8_t bytes = 2; bytes < kinds[i][1]; bytes++) {
            madt.bytes = before;
            uint8_t entry[16] = { kinds[i][0], bytes };
            add(entry, bytes);
            EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: it is too short for its kind");
        }
    }
}

Test(acpi, a_table_without_the_processor_that_reads_it_is_refused)
{
    plain_entries();
    seal(&madt);
    cr_assert_eq(parse_as(2, RSDP_PA), HX_E_FORMAT);
    cr_expect_str_eq(message, "acpi: MADT at 0x7fe2287: the processor that reads it is not in it");
    cr_expect_eq(info.cpu[0].apic_id, 2);
    cr_assert_eq(parse_as(300, RSDP_PA), HX_E_FORMAT);
    cr_expect_eq(info.cpu[0].apic_id, 300);
}

Test(acpi, a_table_without_an_io_apic_is_refused)
{
    add_cpu(0, 0, ENABLED);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT at 0x7fe2287: there is no I/O APIC in it");
}

Test(acpi, an_io_apic_without_an_address_is_refused)
{
    add_ioapic(0, 0, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x2c: an I/O APIC without an address");
}

Test(acpi, two_io_apics_with_the_same_inputs_are_refused)
{
    plain_entries();
    add_ioapic(1, 0xfec01000, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: an I/O APIC with the inputs of another one");
}

Test(acpi, an_override_of_what_is_no_isa_line_is_refused)
{
    plain_entries();
    add_override(16, 16, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: an override that is not of an ISA line");
    madt.data[0x4a] = 1;
    madt.data[0x4b] = 3;
    EXPECT_REFUSAL(HX_E_FORMAT, "an override that is not of an ISA line");
}

Test(acpi, an_override_to_no_gsi_is_refused)
{
    plain_entries();
    ADD(SOURCE_OVERRIDE, 10, 0, 3, 0xff, 0xff, 0xff, 0xff, 0, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x48: an override that is not of an ISA line, or to no GSI");
}

Test(acpi, a_line_with_two_different_overrides_is_refused)
{
    static const uint8_t second[][2] = { { 4, 0x5 }, { 3, 0x7 }, { 3, 0xd } };
    for (size_t i = 0; i < HX_ARRAY_SIZE(second); i++) {
        madt.bytes = 44;
        add_override(3, 3, 0x5);
        add_override(3, second[i][0], second[i][1]);
        EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x36: an override that contradicts an earlier one");
    }
}

Test(acpi, two_lines_with_one_gsi_are_refused)
{
    add_override(3, 20, 0);
    add_override(4, 20, 0);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x36: an override to the GSI of another line");
}

Test(acpi, reserved_flags_are_refused)
{
    static const uint8_t flags[] = { 0x2, 0x8, 0xa, 0x6, 0xe, 0x9 };
    for (size_t i = 0; i < HX_ARRAY_SIZE(flags); i++) {
        madt.bytes = 44;
        add_override(3, 3, flags[i]);
        EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x2c: reserved flags of polarity or trigger mode");
        madt.bytes = 44;
        ADD(NMI_SOURCE, 8, flags[i], 0, 17, 0, 0, 0);
        EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x2c: reserved flags");
        madt.bytes = 44;
        ADD(LOCAL_NMI, 6, 0xff, flags[i], 0, 1);
        EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x2c: reserved flags");
    }
}

Test(acpi, a_lint_that_no_local_apic_has_is_refused)
{
    ADD(LOCAL_NMI, 6, 0xff, 0, 0, 2);
    EXPECT_REFUSAL(HX_E_FORMAT, "MADT entry at 0x2c: an input that no local APIC has");
}
