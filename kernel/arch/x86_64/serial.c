/* SPDX-License-Identifier: MIT */
/*
 * serial.c - COM1, the person's console: a 16550 with both directions by interrupt, and polled when it must be.
 *
 * Why a ring on the way out and none on the way in: received bytes go straight up (hx_entry_console_byte), whose owner
 * knows how many it can hold; sent ones come faster than the line.
 * Invariant: THRE interrupts are enabled while the ring holds something.
 * A lone "\n" goes out as "\r\n": terminals want both, and callers think in lines.
 * Context:   write: thread, or interrupts off; emergency: any, NMI included.   Locks: serial_lock, above every rank.
 * Source:    National Semiconductor PC16550D data sheet, sections 8.1 to 8.7.
 */
#include "arch.h"
#include "cpu_ops.h"
#include "interrupts.h"

#include <hal/hx_hal.h>
#include <hal/hx_hal_entry.h>
#include <hal/hx_lock.h>
#include <linux/serial_reg.h>

enum {
    COM1 = 0x3f8,
    FIFO_BYTES = 16,
    RING_BYTES = 4096, /* a power of two */
    TEST_BYTE = 0xae,
    SPINS_PATIENT = 5000000,  /* a reader that is slow is waited for; */
    SPINS_EMERGENCY = 200000, /* in an emergency not for long */
    PASSES_MAX = 256,         /* an interrupt serves before it gives others a turn */
};

static struct hx_lock serial_lock = HX_LOCK_INIT(HX_RANK_LOG + 10); /* apart from the rest, which starts as zeros */
static struct {
    uint32_t head, tail; /* free-running; ring holds head - tail bytes */
    uint8_t ring[RING_BYTES];
    uint8_t ahead[FIFO_BYTES]; /* typed before the FIFO was switched on, which empties it */
    uint32_t ahead_count;
    uint8_t last;    /* byte that was queued last */
    uint8_t enabled; /* what IER holds */
    bool present;
    bool by_interrupt;
    bool dead; /* the line did not drain within the bound: the next byte is not waited for */
} serial;

static uint8_t reg_read(uint32_t reg)
{
    return hx_in8((uint16_t)(COM1 + reg));
}

static void reg_write(uint32_t reg, uint32_t value)
{
    hx_out8((uint16_t)(COM1 + reg), (uint8_t)value);
}

static void enable(uint8_t bits)
{
    if (bits == serial.enabled)
        return;
    serial.enabled = bits;
    reg_write(UART_IER, bits);
}

/* ---- polled --------------------------------------------------------------------------------------------------------- */

static bool wait_for_room(uint32_t spins)
{
    if (serial.dead)
        spins = 1;
    for (uint32_t i = 0; i < spins; i++) {
        if (reg_read(UART_LSR) & UART_LSR_THRE) {
            serial.dead = false;
            return true;
        }
        hx_cpu_relax();
    }
    serial.dead = true;
    return false;
}

static void put_polled(uint8_t byte, uint32_t spins)
{
    if (wait_for_room(spins))
        reg_write(UART_TX, byte);
}

static void drain_polled(uint32_t spins)
{
    for (; serial.tail != serial.head; serial.tail++)
        put_polled(serial.ring[serial.tail % RING_BYTES], spins);
}

static void write_polled(const char *text, size_t bytes, uint32_t spins)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n' && serial.last != '\r')
            put_polled('\r', spins);
        put_polled((uint8_t)text[i], spins);
        serial.last = (uint8_t)text[i];
    }
}

/* ---- by interrupt --------------------------------------------------------------------------------------------------- */

/* Fills the FIFO each time it is empty. On a real line that is once; an emulated one takes all at once. */
static void pump(void)
{
    while (serial.tail != serial.head && reg_read(UART_LSR) & UART_LSR_THRE) {
        for (uint32_t i = 0; i < FIFO_BYTES && serial.tail != serial.head; i++)
            reg_write(UART_TX, serial.ring[serial.tail++ % RING_BYTES]);
    }
    enable(serial.tail == serial.head ? UART_IER_RDI : UART_IER_RDI | UART_IER_THRI);
}

static bool ring_has_room(void)
{
    return serial.head - serial.tail <= RING_BYTES - 2;
}

/* Queues what fits and returns how much that was. */
static size_t queue(const char *text, size_t bytes)
{
    size_t done = 0;
    for (; done < bytes && ring_has_room(); done++) {
        if (text[done] == '\n' && serial.last != '\r')
            serial.ring[serial.head++ % RING_BYTES] = '\r';
        serial.ring[serial.head++ % RING_BYTES] = (uint8_t)text[done];
        serial.last = (uint8_t)text[done];
    }
    return done;
}

/* The ring is full: the interrupt that empties it wakes us, and if there can be none, we send. */
static void wait_for_ring(bool interrupts)
{
    if (!interrupts) {
        drain_polled(SPINS_PATIENT);
        return;
    }
    hx_irq_disable();
    if (!ring_has_room())
        hx_hal_idle();
    hx_irq_enable();
}

void hx_hal_console_write(const char *text, size_t bytes)
{
    if (!serial.present)
        return;
    if (!serial.by_interrupt) {
        write_polled(text, bytes, SPINS_PATIENT);
        return;
    }
    bool interrupts = hx_irq_enabled();
    while (bytes > 0) {
        hx_irq_flags_t flags = hx_lock_acquire(&serial_lock);
        size_t done = queue(text, bytes);
        pump();
        hx_lock_release(&serial_lock, flags);
        text += done;
        bytes -= done;
        if (bytes > 0)
            wait_for_ring(interrupts);
    }
}

void hx_hal_console_emergency(const char *text, size_t bytes)
{
    if (!serial.present)
        return;
    hx_irq_flags_t flags = hx_irq_save();
    drain_polled(SPINS_EMERGENCY); /* what was said before comes first */
    write_polled(text, bytes, SPINS_EMERGENCY);
    hx_irq_restore(flags);
}

void hx_arch_serial_flush(void)
{
    if (serial.present)
        drain_polled(SPINS_PATIENT);
}

static void receive(void)
{
    for (uint32_t i = 0; i < 2 * FIFO_BYTES && reg_read(UART_LSR) & UART_LSR_DR; i++)
        hx_entry_console_byte(reg_read(UART_RX));
}

/*
 * The line is edge-triggered: it rises again only after it has fallen, so every cause must have been served once before we
 * leave. Past the bound, switching the causes off and on makes a new edge.
 */
void hx_arch_serial_interrupt(void)
{
    for (uint32_t i = 0; i < serial.ahead_count; i++)
        hx_entry_console_byte(serial.ahead[i]);
    serial.ahead_count = 0;
    for (uint32_t passes = 0; !(reg_read(UART_IIR) & UART_IIR_NO_INT); passes++) {
        if (passes == PASSES_MAX) {
            uint8_t causes = serial.enabled;
            enable(0);
            enable(causes);
            return;
        }
        receive();
        hx_irq_flags_t flags = hx_lock_acquire(&serial_lock);
        pump();
        hx_lock_release(&serial_lock, flags);
        (void)reg_read(UART_MSR);
    }
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */

/* A byte sent in loopback comes back, unless nothing is there. */
static bool self_test(void)
{
    reg_write(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2);
    reg_write(UART_TX, TEST_BYTE);
    for (uint32_t i = 0; i < SPINS_EMERGENCY; i++) {
        if (reg_read(UART_LSR) & UART_LSR_DR)
            return reg_read(UART_RX) == TEST_BYTE;
    }
    return false;
}

/* What the loader still sends goes out, what was typed at it is kept. Without a UART all bits read as set. */
static void settle(void)
{
    for (uint32_t i = 0; i < SPINS_EMERGENCY && !(reg_read(UART_LSR) & UART_LSR_TEMT); i++)
        hx_cpu_relax();
    while (serial.ahead_count < FIFO_BYTES && reg_read(UART_LSR) & UART_LSR_DR)
        serial.ahead[serial.ahead_count++] = reg_read(UART_RX);
}

bool hx_arch_serial_init_early(void)
{
    settle();
    reg_write(UART_IER, 0);
    /* 115200 baud (divisor 1), 8 data bits, no parity, one stop bit. */
    reg_write(UART_LCR, UART_LCR_DLAB);
    reg_write(UART_DLL, 1);
    reg_write(UART_DLM, 0);
    reg_write(UART_LCR, UART_LCR_WLEN8);
    reg_write(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | UART_FCR_TRIGGER_14);
    serial.present = self_test();
    /* OUT2 connects the interrupt line on PCs. */
    reg_write(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
    return serial.present;
}

void hx_arch_serial_by_interrupt(void)
{
    if (!serial.present)
        return;
    serial.by_interrupt = true;
    enable(UART_IER_RDI | UART_IER_THRI); /* one comes at once and takes what was typed ahead */
}
