/* SPDX-License-Identifier: MIT */
/*
 * serial.c - two 16550s with both directions by interrupt: COM1, the person's console, polled when it must be, and COM2, the
 * control channel.
 *
 * Why a ring on the way out and none on the console's way in: received bytes go straight up (hx_entry_console_byte), whose
 * owner knows how many it can hold; sent ones come faster than the line. What the control channel receives is taken in
 * pieces, and waits here: while its ring is full, bytes stay in the chip with their interrupt off, and an emulator holds the
 * other side back.
 * Invariant: THRE interrupts are enabled while the ring holds something; received data's, unless there is no place for it.
 * A lone "\n" goes out as "\r\n" on the console: terminals want both, and callers think in lines.
 * Context:   write: thread, or interrupts off; emergency: any, NMI included.   Locks: one each, above every rank.
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
    COM1_BASE = 0x3f8,
    COM2_BASE = 0x2f8,
    FIFO_BYTES = 16,
    FIFO_TRIGGER = 14,
    IIR_CAUSE = 0x0f,       /* 0x0c, time is up, has the bit of UART_IIR_RDI */
    RING_BYTES = 4096,      /* a power of two */
    RECEIVED_BYTES = 32768, /* likewise; more than a peer may have under way */
    TEST_BYTE = 0xae,
    TEST_BYTE_INVERTED = 0x51,
    SPINS_PATIENT = 5000000,  /* a reader that is slow is waited for; */
    SPINS_EMERGENCY = 200000, /* in an emergency not for long */
    PASSES_MAX = 256,         /* an interrupt serves before it gives others a turn */
};

struct uart {
    uint16_t base;
    uint32_t head, tail; /* free-running; ring holds head - tail bytes */
    uint8_t ring[RING_BYTES];
    uint8_t ahead[FIFO_BYTES]; /* came before the FIFO was switched on, which empties it */
    uint32_t ahead_count;
    uint8_t last;    /* byte that was queued last */
    uint8_t enabled; /* what IER holds */
    uint8_t receive; /* UART_IER_RDI, or 0: there is no place */
    bool present;
    bool by_interrupt;
    bool dead; /* the line did not drain within the bound: the next byte is not waited for */
};

static struct uart console, control;
static struct hx_lock console_lock = HX_LOCK_INIT(HX_RANK_LOG + 10); /* apart from the rest, which starts as zeros */
static struct hx_lock control_lock = HX_LOCK_INIT(HX_RANK_LOG + 10);
static struct {
    uint32_t head, tail; /* as above; under control_lock */
    uint8_t ring[RECEIVED_BYTES];
} received;

static struct hx_lock *lock_of(const struct uart *uart)
{
    return uart == &control ? &control_lock : &console_lock;
}

static uint8_t reg_read(const struct uart *uart, uint32_t reg)
{
    return hx_in8((uint16_t)(uart->base + reg));
}

static void reg_write(const struct uart *uart, uint32_t reg, uint32_t value)
{
    hx_out8((uint16_t)(uart->base + reg), (uint8_t)value);
}

static void enable(struct uart *uart, uint8_t bits)
{
    if (bits == uart->enabled)
        return;
    uart->enabled = bits;
    reg_write(uart, UART_IER, bits);
}

/* ---- polled --------------------------------------------------------------------------------------------------------- */

static bool wait_for_room(struct uart *uart, uint32_t spins)
{
    if (uart->dead)
        spins = 1;
    for (uint32_t i = 0; i < spins; i++) {
        if (reg_read(uart, UART_LSR) & UART_LSR_THRE) {
            uart->dead = false;
            return true;
        }
        hx_cpu_relax();
    }
    uart->dead = true;
    return false;
}

static void put_polled(struct uart *uart, uint8_t byte, uint32_t spins)
{
    if (wait_for_room(uart, spins))
        reg_write(uart, UART_TX, byte);
}

static void drain_polled(struct uart *uart, uint32_t spins)
{
    for (; uart->tail != uart->head; uart->tail++)
        put_polled(uart, uart->ring[uart->tail % RING_BYTES], spins);
}

static void write_polled(struct uart *uart, const char *text, size_t bytes, uint32_t spins)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n' && uart->last != '\r')
            put_polled(uart, '\r', spins);
        put_polled(uart, (uint8_t)text[i], spins);
        uart->last = (uint8_t)text[i];
    }
}

/* ---- by interrupt --------------------------------------------------------------------------------------------------- */

/* Fills the FIFO each time it is empty. On a real line that is once; an emulated one takes all at once. */
static void pump(struct uart *uart)
{
    while (uart->tail != uart->head && reg_read(uart, UART_LSR) & UART_LSR_THRE) {
        for (uint32_t i = 0; i < FIFO_BYTES && uart->tail != uart->head; i++)
            reg_write(uart, UART_TX, uart->ring[uart->tail++ % RING_BYTES]);
    }
    enable(uart, (uint8_t)(uart->receive | (uart->tail == uart->head ? 0 : UART_IER_THRI)));
}

static bool ring_has_room(const struct uart *uart)
{
    return uart->head - uart->tail <= RING_BYTES - 2;
}

static void queue_byte(struct uart *uart, uint8_t byte)
{
    uart->ring[uart->head++ % RING_BYTES] = byte;
}

/* Queues what fits and returns how much that was. */
static size_t queue(struct uart *uart, const uint8_t *data, size_t bytes)
{
    size_t done = 0;
    hx_irq_flags_t flags = hx_lock_acquire(lock_of(uart));
    for (; done < bytes && ring_has_room(uart); done++) {
        if (uart == &console && data[done] == '\n' && uart->last != '\r')
            queue_byte(uart, '\r');
        queue_byte(uart, data[done]);
        uart->last = data[done];
    }
    pump(uart);
    hx_lock_release(lock_of(uart), flags);
    return done;
}

/* The ring is full: the interrupt that empties it wakes us, and if there can be none, we send. */
static void wait_for_ring(bool interrupts)
{
    if (!interrupts) {
        drain_polled(&console, SPINS_PATIENT);
        return;
    }
    hx_irq_disable();
    if (!ring_has_room(&console))
        hx_hal_idle();
    hx_irq_enable();
}

void hx_hal_console_write(const char *text, size_t bytes)
{
    if (!console.present)
        return;
    if (!console.by_interrupt) {
        write_polled(&console, text, bytes, SPINS_PATIENT);
        return;
    }
    bool interrupts = hx_irq_enabled();
    while (bytes > 0) {
        size_t done = queue(&console, (const uint8_t *)text, bytes);
        text += done;
        bytes -= done;
        if (bytes > 0)
            wait_for_ring(interrupts);
    }
}

void hx_hal_console_emergency(const char *text, size_t bytes)
{
    if (!console.present)
        return;
    hx_irq_flags_t flags = hx_irq_save();
    drain_polled(&console, SPINS_EMERGENCY); /* what was said before comes first */
    write_polled(&console, text, bytes, SPINS_EMERGENCY);
    hx_irq_restore(flags);
}

void hx_arch_serial_flush(void)
{
    if (console.present)
        drain_polled(&console, SPINS_PATIENT);
    if (control.present)
        drain_polled(&control, SPINS_EMERGENCY);
}

/* ---- received ------------------------------------------------------------------------------------------------------- */

static bool has_place(const struct uart *uart)
{
    return uart == &console || received.head - received.tail < RECEIVED_BYTES;
}

/* Under the lock if it is the control channel's. */
static void take_byte(const struct uart *uart, uint8_t byte)
{
    if (uart == &console)
        hx_entry_console_byte(byte);
    else
        received.ring[received.head++ % RECEIVED_BYTES] = byte;
}

/* @sure: as many are there without a look at the status, which costs as much as a byte. */
static void receive(struct uart *uart, uint32_t sure)
{
    for (; sure > 0 && has_place(uart); sure--)
        take_byte(uart, reg_read(uart, UART_RX));
    for (uint32_t i = 0; i < 2 * FIFO_BYTES && has_place(uart) && reg_read(uart, UART_LSR) & UART_LSR_DR; i++)
        take_byte(uart, reg_read(uart, UART_RX));
    uart->receive = has_place(uart) ? UART_IER_RDI : 0;
}

/* What came before there were interrupts. */
static void take_ahead(struct uart *uart)
{
    for (uint32_t i = 0; i < uart->ahead_count; i++)
        take_byte(uart, uart->ahead[i]);
    uart->ahead_count = 0;
}

/* A console's byte goes up without the lock, as who takes it may wake somebody. */
static void serve(struct uart *uart, uint8_t cause)
{
    /* The FIFO holds what it was told to ask at. */
    uint32_t sure = (cause & IIR_CAUSE) == UART_IIR_RDI ? FIFO_TRIGGER : 0;
    if (uart == &console)
        receive(uart, sure);
    hx_irq_flags_t flags = hx_lock_acquire(lock_of(uart));
    if (uart == &control)
        receive(uart, sure);
    pump(uart);
    hx_lock_release(lock_of(uart), flags);
    (void)reg_read(uart, UART_MSR);
}

/*
 * The line is edge-triggered: it rises again only after it has fallen, so every cause must have been served once before we
 * leave. Past the bound, switching the causes off and on makes a new edge.
 */
void hx_arch_serial_interrupt(uint32_t line)
{
    struct uart *uart = line == HX_LINE_COM2 ? &control : &console;
    take_ahead(uart);
    uint8_t cause;
    for (uint32_t passes = 0; !((cause = reg_read(uart, UART_IIR)) & UART_IIR_NO_INT); passes++) {
        if (passes == PASSES_MAX) {
            uint8_t causes = uart->enabled;
            enable(uart, 0);
            enable(uart, causes);
            break;
        }
        serve(uart, cause);
    }
    if (uart == &control)
        hx_entry_control();
}

size_t hx_hal_control_read(void *out, size_t bytes)
{
    size_t done = 0;
    hx_irq_flags_t flags = hx_lock_acquire(&control_lock);
    for (; done < bytes && received.head != received.tail; done++)
        ((uint8_t *)out)[done] = received.ring[received.tail++ % RECEIVED_BYTES];
    if (done > 0 && !control.receive) { /* there is place again */
        receive(&control, 0);
        pump(&control);
    }
    hx_lock_release(&control_lock, flags);
    return done;
}

size_t hx_hal_control_write(const void *data, size_t bytes)
{
    return queue(&control, data, bytes);
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */

/* The scratch register keeps what it is given, both ways, unless nothing is there. */
static bool self_test(const struct uart *uart)
{
    reg_write(uart, UART_SCR, TEST_BYTE);
    if (reg_read(uart, UART_LSR) == UINT8_MAX || reg_read(uart, UART_SCR) != TEST_BYTE)
        return false;
    reg_write(uart, UART_SCR, TEST_BYTE_INVERTED);
    return reg_read(uart, UART_SCR) == TEST_BYTE_INVERTED;
}

/* What the loader still sends goes out, what was typed at it is kept. Without a UART all bits read as set. */
static void settle(struct uart *uart)
{
    for (uint32_t i = 0; i < SPINS_EMERGENCY && !(reg_read(uart, UART_LSR) & UART_LSR_TEMT); i++)
        hx_cpu_relax();
    while (uart->ahead_count < FIFO_BYTES && reg_read(uart, UART_LSR) & UART_LSR_DR)
        uart->ahead[uart->ahead_count++] = reg_read(uart, UART_RX);
}

static bool open(struct uart *uart, uint16_t base)
{
    uart->base = base;
    if (!self_test(uart))
        return false;
    settle(uart);
    reg_write(uart, UART_IER, 0);
    /* 115200 baud (divisor 1), 8 data bits, no parity, one stop bit. */
    reg_write(uart, UART_LCR, UART_LCR_DLAB);
    reg_write(uart, UART_DLL, 1);
    reg_write(uart, UART_DLM, 0);
    reg_write(uart, UART_LCR, UART_LCR_WLEN8);
    reg_write(uart, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | UART_FCR_TRIGGER_14);
    /* OUT2 connects the interrupt line on PCs. */
    reg_write(uart, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
    uart->receive = UART_IER_RDI;
    uart->present = true;
    return true;
}

/* One comes at once and takes what was there before. */
static void by_interrupt(struct uart *uart)
{
    uart->by_interrupt = true;
    enable(uart, UART_IER_RDI | UART_IER_THRI);
}

bool hx_arch_serial_init_early(void)
{
    return open(&console, COM1_BASE);
}

void hx_arch_serial_by_interrupt(void)
{
    if (console.present)
        by_interrupt(&console);
}

bool hx_hal_control_open(void)
{
    if (!control.present && open(&control, COM2_BASE)) {
        hx_hal_irq_unmask(HX_LINE_COM2);
        by_interrupt(&control);
    }
    return control.present;
}
