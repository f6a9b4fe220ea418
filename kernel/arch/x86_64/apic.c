/* SPDX-License-Identifier: MIT */
/*
 * apic.c - the local APIC, the I/O APIC in front of it, and the legacy PICs silenced behind both.
 *
 * Lines are the ISA ones, 0..15: edge-triggered, active high, on the I/O APIC's inputs of the same number, but for the
 * PIT, which every PC board wires to input 2. Each has a vector of its own.
 * Locks: ioapic.lock, inside everything that unmasks; index and data register must not be torn apart.
 * Source: Intel SDM vol. 3A, chapter 10; Intel 82093AA (I/O APIC) data sheet, 3.1 and 3.2; 8259A data sheet.
 */
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"

#include <hal/hx_hal.h>
#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <mm/mm.h>

#include "apic.h"

/* ---- local APIC ----------------------------------------------------------------------------------------------------- */

enum {
    APIC_BASE_X2 = 1 << 10,
    APIC_BASE_ENABLED = 1 << 11,
    CPUID_1_EDX_APIC = 1 << 9,
    APIC_BYTES = 4096,
    APIC_ID = 0x20,
    APIC_TASK_PRIORITY = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_IN_SERVICE = 0x100,
    APIC_ERROR = 0x280,
    APIC_COMMAND_LOW = 0x300,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERFORMANCE = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,

    SPURIOUS_ENABLE = 1 << 8,
    LVT_MASKED = 1 << 16,
    LVT_NMI = 4 << 8,
    COMMAND_SELF = 1 << 18,
    COMMAND_ASSERT = 1 << 14,
};

static volatile uint8_t *apic;

void hx_arch_apic_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(apic + reg) = value;
}

uint32_t hx_arch_apic_read(uint32_t reg)
{
    return *(volatile uint32_t *)(apic + reg);
}

void hx_arch_apic_eoi(void)
{
    hx_arch_apic_write(APIC_EOI, 0);
}

uint32_t hx_arch_apic_in_service(uint32_t vector)
{
    return hx_arch_apic_read(APIC_IN_SERVICE + vector / 32 * 16) & 1u << vector % 32;
}

static void local_init(void)
{
    if (!(hx_cpuid(1, 0).edx & CPUID_1_EDX_APIC))
        return;
    uint64_t base = hx_msr_read(HX_MSR_APIC_BASE) & ~(uint64_t)(APIC_BASE_X2 | APIC_BASE_ENABLED);
    hx_msr_write(HX_MSR_APIC_BASE, base); /* from x2APIC mode the only way leads through off */
    hx_msr_write(HX_MSR_APIC_BASE, base | APIC_BASE_ENABLED);
    apic = hx_mm_map_mmio(base & 0xffffff000, APIC_BYTES);
    if (!apic)
        return;
    hx_arch_apic_write(APIC_TASK_PRIORITY, 0);
    hx_arch_apic_write(HX_APIC_LVT_TIMER, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED);
    hx_arch_apic_write(APIC_LVT_LINT0, LVT_MASKED); /* the PICs' output */
    hx_arch_apic_write(APIC_LVT_LINT1, LVT_NMI);
    hx_arch_apic_write(APIC_LVT_ERROR, HX_VECTOR_APIC_ERROR);
    hx_arch_apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | HX_VECTOR_SPURIOUS);
    hx_arch_apic_write(APIC_ERROR, 0);
    hx_arch_apic_eoi(); /* whatever the firmware left in service */
}

/* ---- I/O APIC ------------------------------------------------------------------------------------------------------- */

enum {
    IOAPIC_BYTES = 4096,
    IOAPIC_INDEX = 0x00,
    IOAPIC_DATA = 0x10,
    IOAPIC_VERSION = 1,
    IOAPIC_REDIRECTION = 0x10, /* two words an input */
    REDIRECTION_MASKED = 1 << 16,
    PIT_INPUT = 2,
};
static const uint64_t ioapic_pa = 0xfec00000;

static struct {
    struct hx_lock lock;
    volatile uint8_t *registers;
    uint32_t version;
    uint32_t inputs;
} ioapic = { .lock = HX_LOCK_INIT(HX_RANK_IRQ + 5) };

static uint32_t ioapic_read(uint32_t index)
{
    *(volatile uint32_t *)(ioapic.registers + IOAPIC_INDEX) = index;
    return *(volatile uint32_t *)(ioapic.registers + IOAPIC_DATA);
}

static void ioapic_write(uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)(ioapic.registers + IOAPIC_INDEX) = index;
    *(volatile uint32_t *)(ioapic.registers + IOAPIC_DATA) = value;
}

static uint32_t input_of(uint32_t line)
{
    return line == HX_LINE_PIT ? PIT_INPUT : line;
}

static void line_route(uint32_t line, uint32_t masked)
{
    uint32_t input = input_of(line);
    if (line >= HX_LINE_COUNT || input >= ioapic.inputs)
        return;
    hx_irq_flags_t flags = hx_lock_acquire(&ioapic.lock);
    ioapic_write(IOAPIC_REDIRECTION + 2 * input, masked | (HX_VECTOR_LINE + line));
    hx_lock_release(&ioapic.lock, flags);
}

void hx_hal_irq_mask(uint32_t line)
{
    if (line != HX_LINE_COM1)
        line_route(line, REDIRECTION_MASKED);
}

void hx_hal_irq_unmask(uint32_t line)
{
    line_route(line, 0);
}

/* The version register of a real one is small and has at least the ISA inputs; nothing there reads as all ones or zeros. */
static bool ioapic_init(void)
{
    ioapic.registers = hx_mm_map_mmio(ioapic_pa, IOAPIC_BYTES);
    if (!ioapic.registers)
        return false;
    ioapic.version = ioapic_read(IOAPIC_VERSION);
    ioapic.inputs = (ioapic.version >> 16 & 0xff) + 1;
    if ((ioapic.version & 0xff) == 0 || (ioapic.version & 0xff) > 0x3f || ioapic.inputs < HX_LINE_COUNT)
        return false;

    uint32_t here = hx_arch_apic_read(APIC_ID) & 0xff000000;
    for (uint32_t input = 0; input < ioapic.inputs; input++) {
        ioapic_write(IOAPIC_REDIRECTION + 2 * input, REDIRECTION_MASKED);
        ioapic_write(IOAPIC_REDIRECTION + 2 * input + 1, here);
    }
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

/* ---- start ---------------------------------------------------------------------------------------------------------- */

static _Noreturn void give_up(const char *what, uint32_t version)
{
    char text[128];
    size_t length =
        hx_fmt(text, sizeof(text), "helix: irq: %s (version register 0x%x): no interrupts; halted\n", what, version);
    hx_hal_console_emergency(text, length < sizeof(text) ? length : sizeof(text) - 1);
    hx_hal_halt();
}

void hx_arch_interrupts_init(void)
{
    pics_silence();
    local_init();
    if (!apic)
        give_up("no local APIC", 0);
    if (!ioapic_init())
        give_up("no I/O APIC at 0xfec00000", ioapic.version);
    hx_arch_clock_calibrate();
    hx_hal_irq_unmask(HX_LINE_COM1);
    hx_arch_serial_by_interrupt();
}
