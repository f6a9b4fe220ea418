/* SPDX-License-Identifier: MIT */
/*
 * acpi.c - reads processors and interrupt controllers out of the firmware's tables.
 *
 * Why no interpreter and no other table: the MADT is plain data, and all that starting processors and routing lines need.
 * Why the tables between are not checked: of those that the RSDT lists only the signature is looked at, so a broken one
 * that nobody needs costs nothing. There is nothing to follow in circles: each step leads to another kind of table.
 * Why cold: it runs once a boot, so it is compiled to be small.
 * Policy:  a table that contradicts itself is refused whole; what has no place in the result is counted.
 * Source:  ACPI Specification 6.5; the numbers below name sections and tables of it.
 */
#include "acpi.h"

#include <lib/fmt.h>

/* Table 5.3. */
struct rsdp {
    char signature[8];
    uint8_t checksum; /* of all up to length */
    char oem[6];
    uint8_t revision;
    uint32_t rsdt_pa;
    /* from revision 2 on */
    uint32_t bytes;
    uint64_t xsdt_pa;
    uint8_t checksum_of_all;
    uint8_t reserved[3];
} __attribute__((packed));
enum { RSDP_0_BYTES = offsetof(struct rsdp, bytes), RSDP_BYTES_MAX = 4096 };
_Static_assert(RSDP_0_BYTES == 20 && sizeof(struct rsdp) == 36, "as the firmware has it");

/* Table 5.4: what every other table begins with; table 5.19: MADT. */
struct table_head {
    char signature[4];
    uint32_t bytes;
    uint8_t rest[28];
};
struct madt_head {
    struct table_head head;
    uint32_t local_apic_pa;
    uint32_t flags;
};
_Static_assert(sizeof(struct table_head) == 36 && sizeof(struct madt_head) == 44, "as the firmware has it");

/* Table 5.20, and for each kind the table of its section. */
enum {
    LOCAL_APIC = 0,
    IO_APIC = 1,
    SOURCE_OVERRIDE = 2,
    NMI_SOURCE = 3,
    LOCAL_NMI = 4,
    LOCAL_APIC_ADDRESS = 5,
    LOCAL_X2APIC = 9,
    LOCAL_X2APIC_NMI = 10,
};
struct entry_head {
    uint8_t type, bytes;
};
union entry {
    struct entry_head head;
    struct {
        struct entry_head head;
        uint8_t uid, apic_id;
        uint32_t flags;
    } cpu; /* 5.2.12.2 */
    struct {
        struct entry_head head;
        uint8_t id, reserved;
        uint32_t pa, first_gsi;
    } ioapic; /* 5.2.12.3 */
    struct {
        struct entry_head head;
        uint8_t bus, line;
        uint32_t gsi;
        uint16_t flags;
    } __attribute__((packed)) override; /* 5.2.12.5 */
    struct {
        struct entry_head head;
        uint16_t flags;
        uint32_t gsi;
    } nmi_source; /* 5.2.12.6 */
    struct {
        struct entry_head head;
        uint8_t uid;
        uint16_t flags;
        uint8_t lint;
    } __attribute__((packed)) local_nmi; /* 5.2.12.7 */
    struct {
        struct entry_head head;
        uint16_t reserved;
        uint64_t pa;
    } __attribute__((packed)) address; /* 5.2.12.8 */
    struct {
        struct entry_head head;
        uint16_t reserved;
        uint32_t apic_id, flags, uid;
    } x2apic; /* 5.2.12.12 */
    struct {
        struct entry_head head;
        uint16_t flags;
        uint32_t uid;
        uint8_t lint, reserved[3];
    } x2apic_nmi; /* 5.2.12.13 */
};
static const uint8_t entry_bytes[] = {
    [LOCAL_APIC] = 8,          [IO_APIC] = 12,      [SOURCE_OVERRIDE] = 10, [NMI_SOURCE] = 8, [LOCAL_NMI] = 6,
    [LOCAL_APIC_ADDRESS] = 12, [LOCAL_X2APIC] = 16, [LOCAL_X2APIC_NMI] = 12
};
/* Table 5.22: flags of a processor. */
enum { CPU_ENABLED = 1 << 0, CPU_ONLINE_CAPABLE = 1 << 1 };
enum { UID_ALL_8 = 0xff, LINTS = 2 };

#define LOCAL_APIC_PA 0xfee00000u /* of every PC, unless its firmware moved it: Intel SDM vol. 3A, 10.4.1 */
#define IOAPIC_PA 0xfec00000u     /* Intel 82093AA data sheet, 3.1 */

struct reader {
    hx_acpi_read_fn read;
    void *context;
    struct hx_acpi_info *out;
    char *message;
    const char *what;            /* is looked at, */
    uint64_t at;                 /* and where it lies in memory, or an entry in its table */
    bool seen[HX_ACPI_APIC_IDS]; /* APIC ids */
    uint32_t overridden;         /* lines, a bit each */
};

__attribute__((cold, noinline)) static hx_status_t refuse(struct reader *r, hx_status_t err, const char *why)
{
    (void)hx_fmt(r->message, HX_ACPI_MESSAGE_BYTES, "acpi: %s at %#llx: %s", r->what, (unsigned long long)r->at, why);
    return err;
}

/* ---- 5.2.5 to 5.2.8: the way to the MADT ---------------------------------------------------------------------------- */

/* Of what is looked at. */
static hx_status_t bytes_get(struct reader *r, uint64_t bytes, struct hx_slice *out)
{
    if (r->read(r->context, r->at, bytes, out) || out->bytes < bytes)
        return refuse(r, HX_E_RANGE, "it lies where memory cannot be read");
    return HX_OK;
}

/* The same, the sum of the bytes 0 as it must be. */
static hx_status_t summed_get(struct reader *r, uint64_t bytes, struct hx_slice *out)
{
    uint8_t sum = 0;
    hx_status_t err = bytes_get(r, bytes, out);

    if (err)
        return err;
    for (size_t i = 0; i < out->bytes; i++)
        sum = (uint8_t)(sum + out->data[i]);
    return sum ? refuse(r, HX_E_CHECKSUM, "its checksum is wrong") : HX_OK;
}

/* The table at @pa, whole: its signature, length and checksum are right. */
static hx_status_t table_open(struct reader *r, const char *name, const char *signature, uint64_t pa,
                              struct hx_slice *out)
{
    struct table_head head;
    hx_status_t err;

    r->what = name;
    r->at = pa;
    err = bytes_get(r, sizeof(head), out);
    if (err)
        return err;
    if (hx_slice_read(*out, 0, &head, sizeof(head)) || memcmp(head.signature, signature, sizeof(head.signature)) != 0)
        return refuse(r, HX_E_FORMAT, "its signature is another one");
    if (head.bytes < sizeof(head))
        return refuse(r, HX_E_FORMAT, "it is shorter than its head");
    if (head.bytes > HX_ACPI_TABLE_BYTES_MAX)
        return refuse(r, HX_E_LIMIT, "it is longer than 64 KiB");
    return summed_get(r, head.bytes, out);
}

/* 5.2.5.3: revision 2 made it longer, and added a checksum of it all. */
static hx_status_t rsdp_open(struct reader *r, uint64_t pa, struct rsdp *out)
{
    struct hx_slice bytes = { 0 };
    hx_status_t err;

    memset(out, 0, sizeof(*out));
    r->what = "RSDP";
    r->at = pa;
    if (pa == 0)
        return refuse(r, HX_E_NOENT, "the boot loader names none");
    err = summed_get(r, RSDP_0_BYTES, &bytes);
    if (err)
        return err;
    if (hx_slice_read(bytes, 0, out, RSDP_0_BYTES) || memcmp(out->signature, "RSD PTR ", sizeof(out->signature)) != 0)
        return refuse(r, HX_E_FORMAT, "its signature is another one");
    if (out->revision < 2)
        return HX_OK;
    err = bytes_get(r, sizeof(*out), &bytes);
    if (err)
        return err;
    if (hx_slice_read(bytes, 0, out, sizeof(*out)) || out->bytes < sizeof(*out) || out->bytes > RSDP_BYTES_MAX)
        return refuse(r, HX_E_FORMAT, "it has a length that cannot be");
    return summed_get(r, out->bytes, &bytes);
}

/* The first MADT that @list, an XSDT or RSDT, names by an address of @width bytes. */
static hx_status_t madt_find(struct reader *r, struct hx_slice list, uint32_t width, struct hx_slice *out)
{
    const char *why = "there is no MADT in it";
    struct hx_slice signature = { 0 };
    uint64_t pa = 0;

    for (uint64_t at = sizeof(struct table_head); at < list.bytes; at += width) {
        if (hx_slice_read(list, at, &pa, width))
            return refuse(r, HX_E_FORMAT, "it ends inside an address");
        if (pa == 0 || r->read(r->context, pa, 4, &signature))
            why = "there is no MADT in it, or it lies where memory cannot be read";
        else if (hx_slice_has(signature, 0, 4) && memcmp(signature.data, "APIC", 4) == 0)
            return table_open(r, "MADT", "APIC", pa, out);
    }
    return refuse(r, HX_E_NOENT, why);
}

/* 5.2.8: where there is an XSDT, it counts. */
static hx_status_t madt_open(struct reader *r, uint64_t rsdp_pa, struct hx_slice *out)
{
    struct rsdp rsdp;
    struct hx_slice list = { 0 };
    hx_status_t err = rsdp_open(r, rsdp_pa, &rsdp);

    if (err)
        return err;
    const char *name = rsdp.xsdt_pa ? "XSDT" : "RSDT";
    uint64_t pa = rsdp.xsdt_pa ? rsdp.xsdt_pa : rsdp.rsdt_pa;
    if (pa == 0)
        return refuse(r, HX_E_FORMAT, "it names neither an XSDT nor an RSDT");
    err = table_open(r, name, name, pa, &list);
    return err ? err : madt_find(r, list, rsdp.xsdt_pa ? 8 : 4, out);
}

/* ---- 5.2.12: entries of the MADT ------------------------------------------------------------------------------------ */

/* An id that comes again, as it does where both kinds of entry name a processor, is the same one. */
static void take_cpu(struct reader *r, uint32_t apic_id, uint32_t uid, uint32_t flags)
{
    struct hx_acpi_info *out = r->out;
    bool enabled = flags & CPU_ENABLED;
    struct hx_acpi_cpu *cpu = &out->cpu[0];

    if (!(flags & (CPU_ENABLED | CPU_ONLINE_CAPABLE))) {
        out->cpus_absent++;
        return;
    }
    if (apic_id < HX_ACPI_APIC_IDS && r->seen[apic_id])
        return;
    out->found_count += enabled;
    if (apic_id >= HX_ACPI_APIC_IDS) {
        out->cpus_x2apic++;
        return;
    }
    r->seen[apic_id] = true;
    if (apic_id != cpu->apic_id) {
        if (out->cpu_count == HX_ACPI_CPUS_MAX) {
            out->cpus_dropped++;
            return;
        }
        cpu = &out->cpu[out->cpu_count++];
    }
    *cpu = (struct hx_acpi_cpu){ apic_id, uid, enabled, !enabled };
}

static hx_status_t take_ioapic(struct reader *r, uint32_t id, uint32_t pa, uint32_t first_gsi)
{
    struct hx_acpi_info *out = r->out;

    if (pa == 0)
        return refuse(r, HX_E_FORMAT, "an I/O APIC without an address");
    for (uint32_t i = 0; i < out->ioapic_count; i++) {
        if (out->ioapic[i].first_gsi == first_gsi)
            return refuse(r, HX_E_FORMAT, "an I/O APIC with the inputs of another one");
    }
    if (out->ioapic_count < HX_ACPI_IOAPICS_MAX)
        out->ioapic[out->ioapic_count++] = (struct hx_acpi_ioapic){ id, pa, first_gsi };
    else
        out->ioapics_dropped++;
    return HX_OK;
}

/* Table 5.26: MPS INTI flags. "As the bus has it" is edge-triggered and active high on the ISA bus. */
static hx_status_t take_signal(struct reader *r, uint32_t flags, struct hx_acpi_signal *out)
{
    enum { RESERVED = 2, LOW_OR_LEVEL = 3 };
    uint32_t polarity = flags & 3;
    uint32_t trigger = flags >> 2 & 3;

    if (polarity == RESERVED || trigger == RESERVED)
        return refuse(r, HX_E_FORMAT, "reserved flags of polarity or trigger mode");
    *out = (struct hx_acpi_signal){ .low = polarity == LOW_OR_LEVEL, .level = trigger == LOW_OR_LEVEL };
    return HX_OK;
}

/* The same override again is none. */
static hx_status_t take_override(struct reader *r, uint32_t line, uint32_t gsi, struct hx_acpi_signal signal)
{
    struct hx_acpi_line *lines = r->out->line;

    for (uint32_t i = 0; i < HX_ACPI_LINES; i++) {
        if (!(r->overridden >> i & 1))
            continue;
        bool same = lines[i].gsi == gsi && lines[i].signal.low == signal.low && lines[i].signal.level == signal.level;
        if (i == line && !same)
            return refuse(r, HX_E_FORMAT, "an override that contradicts an earlier one");
        if (i != line && lines[i].gsi == gsi)
            return refuse(r, HX_E_FORMAT, "an override to the GSI of another line");
    }
    r->overridden |= 1u << line;
    lines[line] = (struct hx_acpi_line){ gsi, signal };
    return HX_OK;
}

static hx_status_t take_local_nmi(struct reader *r, uint32_t uid, uint32_t lint, struct hx_acpi_signal signal)
{
    struct hx_acpi_info *out = r->out;

    if (lint >= LINTS)
        return refuse(r, HX_E_FORMAT, "an input that no local APIC has");
    if (out->local_nmi_count < HX_ACPI_LOCAL_NMIS_MAX)
        out->local_nmi[out->local_nmi_count++] = (struct hx_acpi_local_nmi){ uid, lint, signal };
    else
        out->nmis_dropped++;
    return HX_OK;
}

/* Entries that say how something is wired. */
static hx_status_t take_wire(struct reader *r, const union entry *e, uint32_t flags)
{
    struct hx_acpi_info *out = r->out;
    struct hx_acpi_signal signal;
    hx_status_t err = take_signal(r, flags, &signal);

    if (err)
        return err;
    switch (e->head.type) {
    case SOURCE_OVERRIDE:
        if (e->override.bus != 0 || e->override.line >= HX_ACPI_LINES || e->override.gsi == HX_ACPI_GSI_NONE)
            return refuse(r, HX_E_FORMAT, "an override that is not of an ISA line, or to no GSI");
        return take_override(r, e->override.line, e->override.gsi, signal);
    case LOCAL_NMI:
        return take_local_nmi(r, e->local_nmi.uid == UID_ALL_8 ? HX_ACPI_UID_ALL : e->local_nmi.uid, e->local_nmi.lint,
                              signal);
    case LOCAL_X2APIC_NMI: return take_local_nmi(r, e->x2apic_nmi.uid, e->x2apic_nmi.lint, signal);
    default:
        if (out->nmi_source_count < HX_ACPI_NMI_SOURCES_MAX)
            out->nmi_source[out->nmi_source_count++] = (struct hx_acpi_line){ e->nmi_source.gsi, signal };
        else
            out->nmis_dropped++;
        return HX_OK;
    }
}

static hx_status_t take_entry(struct reader *r, const union entry *e)
{
    switch (e->head.type) {
    case LOCAL_APIC: take_cpu(r, e->cpu.apic_id, e->cpu.uid, e->cpu.flags); return HX_OK;
    case LOCAL_X2APIC: take_cpu(r, e->x2apic.apic_id, e->x2apic.uid, e->x2apic.flags); return HX_OK;
    case LOCAL_APIC_ADDRESS: r->out->local_apic_pa = e->address.pa; return HX_OK;
    case IO_APIC: return take_ioapic(r, e->ioapic.id, e->ioapic.pa, e->ioapic.first_gsi);
    case SOURCE_OVERRIDE: return take_wire(r, e, e->override.flags);
    case LOCAL_NMI: return take_wire(r, e, e->local_nmi.flags);
    case NMI_SOURCE:
    case LOCAL_X2APIC_NMI: return take_wire(r, e, e->nmi_source.flags);
    default: return HX_OK; /* of a kind that came later */
    }
}

static hx_status_t take_entries(struct reader *r, struct hx_slice madt)
{
    r->what = "MADT entry";
    for (uint64_t at = sizeof(struct madt_head); at < madt.bytes;) {
        union entry entry = { .head = { 0 } };
        struct hx_slice bytes;
        size_t known = 0;

        r->at = at;
        if (hx_slice_read(madt, at, &entry.head, sizeof(entry.head)))
            return refuse(r, HX_E_FORMAT, "the table ends inside of it");
        if (entry.head.bytes < sizeof(entry.head))
            return refuse(r, HX_E_FORMAT, "it is shorter than its head");
        if (hx_slice_sub(madt, at, entry.head.bytes, &bytes))
            return refuse(r, HX_E_FORMAT, "it leaves the table");
        if (entry.head.type < HX_ARRAY_SIZE(entry_bytes))
            known = entry_bytes[entry.head.type];
        if (hx_slice_read(bytes, 0, &entry, known))
            return refuse(r, HX_E_FORMAT, "it is too short for its kind");
        hx_status_t err = take_entry(r, &entry);
        if (err)
            return err;
        at += bytes.bytes;
    }
    return HX_OK;
}

/* ---- the result ----------------------------------------------------------------------------------------------------- */

static void lines_begin(struct hx_acpi_line lines[HX_ACPI_LINES])
{
    for (uint32_t i = 0; i < HX_ACPI_LINES; i++)
        lines[i] = (struct hx_acpi_line){ .gsi = i };
}

/* 5.2.12.5: a line without an override has the GSI of its own number. Where that belongs to another one by an override, as
 * the PIT takes input 2 on every PC, it leads nowhere: behind the second PIC it never led to a device. */
static void lines_settle(struct hx_acpi_line lines[HX_ACPI_LINES], uint32_t overridden)
{
    for (uint32_t i = 0; i < HX_ACPI_LINES; i++) {
        uint32_t gsi = lines[i].gsi;
        if ((overridden >> i & 1) && gsi < HX_ACPI_LINES && !(overridden >> gsi & 1))
            lines[gsi].gsi = HX_ACPI_GSI_NONE;
    }
}

__attribute__((cold)) void hx_acpi_default(struct hx_acpi_info *out, uint32_t apic_id)
{
    enum { PIT_LINE = 0, PIT_GSI = 2, NMI_LINT = 1 };

    memset(out, 0, sizeof(*out));
    out->local_apic_pa = LOCAL_APIC_PA;
    out->found_count = out->cpu_count = out->ioapic_count = out->local_nmi_count = 1;
    out->cpu[0] = (struct hx_acpi_cpu){ .apic_id = apic_id, .enabled = true };
    out->ioapic[0].pa = IOAPIC_PA;
    out->local_nmi[0] = (struct hx_acpi_local_nmi){ .uid = HX_ACPI_UID_ALL, .lint = NMI_LINT };
    lines_begin(out->line);
    out->line[PIT_LINE].gsi = PIT_GSI;
    lines_settle(out->line, 1u << PIT_LINE);
}

static hx_status_t madt_take(struct reader *r, struct hx_slice madt)
{
    struct hx_acpi_info *out = r->out;
    uint32_t apic_id = out->cpu[0].apic_id;
    struct madt_head head;

    if (hx_slice_read(madt, 0, &head, sizeof(head)))
        return refuse(r, HX_E_FORMAT, "it is shorter than its head");
    out->local_apic_pa = head.local_apic_pa;
    out->found_count = out->ioapic_count = out->local_nmi_count = 0;
    lines_begin(out->line);
    uint64_t madt_pa = r->at;
    hx_status_t err = take_entries(r, madt);
    if (err)
        return err;
    r->what = "MADT";
    r->at = madt_pa;
    if (apic_id >= HX_ACPI_APIC_IDS || !r->seen[apic_id])
        return refuse(r, HX_E_FORMAT, "the processor that reads it is not in it");
    if (out->ioapic_count == 0)
        return refuse(r, HX_E_FORMAT, "there is no I/O APIC in it");
    lines_settle(out->line, r->overridden);
    return HX_OK;
}

__attribute__((cold)) hx_status_t hx_acpi_read(uint64_t rsdp_pa, uint32_t apic_id, hx_acpi_read_fn read, void *context,
                                               struct hx_acpi_info *out, char *out_message)
{
    struct reader r = { .read = read, .context = context, .out = out, .message = out_message };
    struct hx_slice madt = { 0 };
    hx_status_t err;

    out_message[0] = '\0';
    hx_acpi_default(out, apic_id);
    err = madt_open(&r, rsdp_pa, &madt);
    if (!err)
        err = madt_take(&r, madt);
    if (err)
        hx_acpi_default(out, apic_id);
    return err;
}
