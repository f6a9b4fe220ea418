/* SPDX-License-Identifier: MIT */
/*
 * apic.c - the local APIC, the I/O APICs in front of it, and the legacy PICs silenced behind both.
 *
 * Lines 0..15 are the ISA's; which input of which I/O APIC one enters by, and how it signals, the firmware's tables say.
 * Lines from 16 on are the inputs of these numbers (GSIs), and signal as who claims one says. Each has a vector of its own.
 * Locks: ioapic_lock, inside everything that unmasks; index and data register must not be torn apart.
 * Source: Intel SDM vol. 3A, chapter 10; Intel 82093AA (I/O APIC) data sheet, 3.1 and 3.2; 8259A data sheet.
 */
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"

#include <boot/acpi.h>
#include <hal/hx_hal.h>
#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <mm/mm.h>

#include "apic.h"

/* ---- local APIC ----------------------------------------------------------------------------------------------------- */

#define APIC_BASE_ADDRESS 0xffffff000ul
enum {
    APIC_BASE_X2 = 1 << 10,
    APIC_BASE_ENABLED = 1 << 11,
    CPUID_1_EDX_APIC = 1 << 9,
    APIC_BYTES = 4096,
    APIC_ID = 0x20,
    APIC_TASK_PRIORITY = 0x80,
    APIC_SPURIOUS = 0xf0,
    APIC_IN_SERVICE = 0x100,
    APIC_ERROR = 0x280,
    APIC_COMMAND_LOW = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERFORMANCE = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,

    SPURIOUS_ENABLE = 1 << 8,
    LVT_MASKED = 1 << 16,
    LVT_NMI = 4 << 8,
    LVT_LOW = 1 << 13,
    COMMAND_SELF = 1 << 18,
    COMMAND_ASSERT = 1 << 14,
    COMMAND_PENDING = 1 << 12,
    COMMAND_TO_SHIFT = 24,
};

volatile uint8_t *hx_arch_apic;
static uint64_t apic_pa;

void hx_arch_apic_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(hx_arch_apic + reg) = value;
}

uint32_t hx_arch_apic_read(uint32_t reg)
{
    return *(volatile uint32_t *)(hx_arch_apic + reg);
}

uint32_t hx_arch_apic_in_service(uint32_t vector)
{
    return hx_arch_apic_read(APIC_IN_SERVICE + vector / 32 * 16) & 1u << vector % 32;
}

/* Those of this CPU; the trigger mode of an NMI means nothing to the APIC. */
static void local_nmis_on(const struct hx_acpi_info *acpi, uint32_t uid)
{
    for (uint32_t i = 0; i < acpi->local_nmi_count; i++) {
        const struct hx_acpi_local_nmi *nmi = &acpi->local_nmi[i];
        if (nmi->uid == HX_ACPI_UID_ALL || nmi->uid == uid)
            hx_arch_apic_write(nmi->lint == 0 ? APIC_LVT_LINT0 : APIC_LVT_LINT1,
                               LVT_NMI | (nmi->signal.low ? LVT_LOW : 0));
    }
}

void hx_arch_apic_on(const struct hx_acpi_info *acpi, uint32_t uid)
{
    uint64_t flags = hx_msr_read(HX_MSR_APIC_BASE) & 0xfff & ~(uint64_t)(APIC_BASE_X2 | APIC_BASE_ENABLED);
    hx_msr_write(HX_MSR_APIC_BASE, apic_pa | flags); /* from x2APIC mode the only way leads through off */
    hx_msr_write(HX_MSR_APIC_BASE, apic_pa | flags | APIC_BASE_ENABLED);
    hx_arch_apic_write(APIC_TASK_PRIORITY, 0);
    hx_arch_apic_write(HX_APIC_LVT_TIMER, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_LINT0, LVT_MASKED); /* the PICs' output */
    hx_arch_apic_write(APIC_LVT_LINT1, LVT_MASKED);
    local_nmis_on(acpi, uid);
    hx_arch_apic_write(APIC_LVT_ERROR, HX_VECTOR_APIC_ERROR);
    hx_arch_apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | HX_VECTOR_SPURIOUS);
    hx_arch_apic_write(APIC_ERROR, 0);
    hx_arch_apic_eoi(); /* whatever the firmware left in service */
}

static void local_init(const struct hx_acpi_info *acpi)
{
    if (!(hx_cpuid(1, 0).edx & CPUID_1_EDX_APIC))
        return;
    apic_pa = hx_msr_read(HX_MSR_APIC_BASE) & APIC_BASE_ADDRESS;
    hx_arch_apic = hx_mm_map_mmio(apic_pa, APIC_BYTES);
    if (hx_arch_apic)
        hx_arch_apic_on(acpi, acpi->cpu[0].uid);
}

void hx_arch_apic_send(uint32_t apic_id, uint32_t command)
{
    hx_irq_flags_t flags = hx_irq_save();
    uint32_t outer = hx_arch_apic_read(APIC_COMMAND_HIGH);
    while (hx_arch_apic_read(APIC_COMMAND_LOW) & COMMAND_PENDING)
        hx_cpu_relax();
    hx_arch_apic_write(APIC_COMMAND_HIGH, apic_id << COMMAND_TO_SHIFT);
    hx_arch_apic_write(APIC_COMMAND_LOW, command | COMMAND_ASSERT);
    hx_arch_apic_write(APIC_COMMAND_HIGH, outer); /* an NMI's send inside another's */
    hx_irq_restore(flags);
}

/* ---- I/O APICs ------------------------------------------------------------------------------------------------------ */

enum {
    IOAPIC_BYTES = 4096,
    IOAPIC_INDEX = 0x00,
    IOAPIC_DATA = 0x10,
    IOAPIC_VERSION = 1,
    IOAPIC_REDIRECTION = 0x10, /* two words an input */
    IOAPIC_INPUTS_MAX = 120,   /* that an index of 8 bits reaches */
    REDIRECTION_LOW = 1 << 13,
    REDIRECTION_LEVEL = 1 << 15,
    REDIRECTION_MASKED = 1 << 16,
};

typedef volatile uint8_t ioapic_registers_t;

/* Where a line enters. */
struct route {
    ioapic_registers_t *registers; /* NULL: nowhere */
    uint32_t input;
    uint32_t mode;
    uint32_t gsi;
};

static struct hx_lock ioapic_lock = HX_LOCK_INIT(HX_RANK_IRQ + 5);
static struct route routes[HX_LINE_COUNT]; /* constant once interrupts are on, but for the mode of a GSI */
_Static_assert((int)HX_LINE_ISA == (int)HX_ACPI_LINES, "the ISA bus");
_Static_assert((int)HX_LINE_COUNT == (int)HX_HAL_LINES, "what the core counts with");

static uint32_t ioapic_read(ioapic_registers_t *registers, uint32_t index)
{
    *(volatile uint32_t *)(registers + IOAPIC_INDEX) = index;
    return *(volatile uint32_t *)(registers + IOAPIC_DATA);
}

static void ioapic_write(ioapic_registers_t *registers, uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)(registers + IOAPIC_INDEX) = index;
    *(volatile uint32_t *)(registers + IOAPIC_DATA) = value;
}

static void line_route(uint32_t line, uint32_t masked)
{
    if (line >= HX_LINE_COUNT || !routes[line].registers)
        return;
    const struct route *route = &routes[line];
    hx_irq_flags_t flags = hx_lock_acquire(&ioapic_lock);
    ioapic_write(route->registers, IOAPIC_REDIRECTION + 2 * route->input,
                 masked | route->mode | (HX_VECTOR_LINE + line));
    hx_lock_release(&ioapic_lock, flags);
}

void hx_hal_irq_mask(uint32_t line)
{
    if (line != HX_LINE_COM1 && line != HX_LINE_COM2)
        line_route(line, REDIRECTION_MASKED);
}

void hx_hal_irq_unmask(uint32_t line)
{
    line_route(line, 0);
}

hx_status_t hx_hal_irq_configure(uint32_t line, bool level)
{
    if (line >= HX_LINE_COUNT || !routes[line].registers)
        return HX_E_NOENT;
    if (line < HX_LINE_ISA)
        return HX_OK;
    for (uint32_t isa = 0; isa < HX_LINE_ISA; isa++)
        if (routes[isa].registers && routes[isa].gsi == line)
            return HX_E_IN_USE;
    routes[line].mode = level ? REDIRECTION_LEVEL | REDIRECTION_LOW : 0;
    return HX_OK;
}

bool hx_hal_irq_is_level(uint32_t line)
{
    return line < HX_LINE_COUNT && (routes[line].mode & REDIRECTION_LEVEL) != 0;
}

__attribute__((cold)) size_t hx_arch_line_describe(uint32_t line, char *text, size_t bytes)
{
    if (line >= HX_LINE_COUNT || !routes[line].registers)
        return 0;
    const struct route *route = &routes[line];
    return hx_fmt(text, bytes, "GSI %u %s %s", route->gsi, route->mode & REDIRECTION_LEVEL ? "level" : "edge",
                  route->mode & REDIRECTION_LOW ? "low" : "high");
}

/* Inputs [first_gsi, first_gsi + @inputs) are those of @registers. */
static void lines_connect(const struct hx_acpi_info *acpi, ioapic_registers_t *registers, uint32_t first_gsi,
                          uint32_t inputs)
{
    for (uint32_t line = 0; line < HX_LINE_ISA; line++) {
        const struct hx_acpi_line *from = &acpi->line[line];
        if (from->gsi == HX_ACPI_GSI_NONE || from->gsi < first_gsi || from->gsi - first_gsi >= inputs)
            continue;
        routes[line] = (struct route){
            .registers = registers,
            .input = from->gsi - first_gsi,
            .mode = (from->signal.low ? REDIRECTION_LOW : 0u) | (from->signal.level ? REDIRECTION_LEVEL : 0u),
            .gsi = from->gsi,
        };
    }
    for (uint32_t line = HX_LINE_ISA; line < HX_LINE_COUNT; line++)
        if (line >= first_gsi && line - first_gsi < inputs)
            routes[line] = (struct route){ .registers = registers, .input = line - first_gsi, .gsi = line };
}

/* The version register of a real one is small; nothing there reads as all ones or zeros. */
static bool ioapic_init(const struct hx_acpi_info *acpi, const struct hx_acpi_ioapic *ioapic, uint32_t *out_version)
{
    ioapic_registers_t *registers = hx_mm_map_mmio(ioapic->pa, IOAPIC_BYTES);
    if (!registers)
        return false;
    uint32_t version = ioapic_read(registers, IOAPIC_VERSION);
    uint32_t inputs = (version >> 16 & 0xff) + 1;
    *out_version = version;
    if ((version & 0xff) == 0 || (version & 0xff) > 0x3f)
        return false;
    if (inputs > IOAPIC_INPUTS_MAX)
        inputs = IOAPIC_INPUTS_MAX;

    uint32_t here = hx_arch_apic_read(APIC_ID) & 0xff000000;
    for (uint32_t input = 0; input < inputs; input++) {
        ioapic_write(registers, IOAPIC_REDIRECTION + 2 * input, REDIRECTION_MASKED);
        ioapic_write(registers, IOAPIC_REDIRECTION + 2 * input + 1, here);
    }
    lines_connect(acpi, registers, ioapic->first_gsi, inputs);
    return true;
}

/* ---- legacy PICs ---------------------------------------------------------------------------------------------------- */

/* Moved off the exceptions' vectors before they are masked: a spurious one can come even then. */
static void pics_silence(void)
{
    enum { MASTER = 0x20, SLAVE = 0xa0, INIT_WITH_ICW4 = 0x11, MODE_8086 = 0x01, SLAVE_AT = 2 };
    hx_out8(MASTER, INIT_WITH_ICW4);
    hx_out8(SLAVE, INIT_WITH_ICW4);
    hx_out8(MASTER + 1, HX_VECTOR_PIC);
    hx_out8(SLAVE + 1, HX_VECTOR_PIC + 8);
    hx_out8(MASTER + 1, 1 << SLAVE_AT);
    hx_out8(SLAVE + 1, SLAVE_AT);
    hx_out8(MASTER + 1, MODE_8086);
    hx_out8(SLAVE + 1, MODE_8086);
    hx_out8(MASTER + 1, 0xff);
    hx_out8(SLAVE + 1, 0xff);
}

void hx_arch_irq_raise(uint32_t line)
{
    hx_arch_apic_write(APIC_COMMAND_LOW, COMMAND_SELF | COMMAND_ASSERT | (HX_VECTOR_LINE + line));
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */

static void say_missing(const char *what, uint64_t pa, uint32_t version, const char *consequence)
{
    char text[128];
    size_t length = hx_fmt(text, sizeof(text), "helix: irq: no %s at 0x%llx (version register 0x%x): %s\n", what,
                           (unsigned long long)pa, version, consequence);
    hx_hal_console_emergency(text, length < sizeof(text) ? length : sizeof(text) - 1);
}

static _Noreturn void give_up(const char *what, uint64_t pa, uint32_t version)
{
    say_missing(what, pa, version, "no interrupts; halted");
    hx_hal_halt();
}

/* All are silenced, also those that no line enters by. */
__attribute__((cold)) static void ioapics_init(const struct hx_acpi_info *acpi)
{
    for (uint32_t i = 0, missing = 0; i < acpi->ioapic_count; i++) {
        uint32_t version = 0;
        if (ioapic_init(acpi, &acpi->ioapic[i], &version))
            continue;
        if (++missing == acpi->ioapic_count)
            give_up("I/O APIC", acpi->ioapic[i].pa, version);
        say_missing("I/O APIC", acpi->ioapic[i].pa, version, "what enters there stays silent");
    }
}

__attribute__((cold)) void hx_arch_interrupts_init(const struct hx_acpi_info *acpi)
{
    pics_silence();
    local_init(acpi);
    if (!hx_arch_apic)
        give_up("local APIC", acpi->local_apic_pa, 0);
    ioapics_init(acpi);
    hx_arch_clock_calibrate();
    hx_hal_irq_unmask(HX_LINE_COM1);
    hx_arch_serial_by_interrupt();
}
