/* SPDX-License-Identifier: MIT */
/*
 * drv_serial.c - a further serial port, COM3 with a 16550 at 0x3e8 and line 5, given to others as a channel (helix/serial.h).
 *
 * Why: a driver that is in the middle of something whenever it is replaced, and loses none of it.
 * Receive:   the handler takes what the chip has into a ring; the deferred function sends it on, and waits where nobody
 *            receives. When the ring is full the handler leaves bytes where they are and disables its interrupt.
 * Transmit:  the task takes a message where the ring has room for the longest; the handler feeds the chip from there.
 * Interrupts: which of the two the chip asks for follows from the rings alone. Handler, task and deferred function, on whatever
 *            CPUs, change rings and settle what the chip is told, so who writes its register looks again afterwards: what was
 *            written last was right. A port access comes after the stores before it.
 * Swap:      both rings are state, each with one who puts and one who takes. Task and deferred function wait for channels only
 *            when all that they have done is in the state, so their waits are restartable.
 * Fixed:     port and line are declared, so they are constants; another port is a module like this one.
 * Source:    National Semiconductor PC16550D data sheet, sections 8.1 to 8.7.
 */
#include <helix/module.h>
#include <helix/serial.h>

enum {
    SERIAL_PORT = 0x3e8,
    SERIAL_LINE = 5,

    DATA = 0, /* with LCR_DIVISOR: low byte of the divisor */
    IER = 1,  /* with LCR_DIVISOR: high byte */
    IIR = 2,  /* read */
    FCR = 2,  /* written */
    LCR = 3,
    MCR = 4,
    LSR = 5,
    SCR = 7,

    IER_RECEIVED = 0x01,
    IER_EMPTY = 0x02,
    IIR_NONE = 0x01,
    IIR_FIFO = 0xc0,
    FCR_ON_EMPTY_8 = 0x87, /* enabled, both emptied, interrupt at 8 bytes or when no more come */
    LCR_8N1 = 0x03,
    LCR_DIVISOR = 0x80,
    MCR_ON = 0x0b, /* DTR, RTS, and OUT2, which lets the interrupt out on a PC */
    LSR_RECEIVED = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_ERROR = 0x1c,
    LSR_EMPTY = 0x20,

    FIFO_BYTES = 16,
    RING_BYTES = 1024, /* a power of two */
    BAUD_MAX = 115200,
    BITS_PER_BYTE = 10,
};

#define SERIAL_STATE(SCALAR, ARRAY)                                                                                    \
    SCALAR(u32, burst)     /* bytes that the chip takes when it is empty */                                            \
    SCALAR(u32, pause_ns)  /* as long as the longest message is on the line */                                         \
    SCALAR(u64, received)  /* put into `in` ever: by the handler */                                                    \
    SCALAR(u64, delivered) /* taken from it: by the deferred function */                                               \
    SCALAR(u64, accepted)  /* put into `out`: by the task */                                                           \
    SCALAR(u64, sent)      /* taken from it: by the handler */                                                         \
    SCALAR(u64, overruns)                                                                                              \
    SCALAR(u64, errors)                                                                                                \
    ARRAY(u8, in, RING_BYTES)                                                                                          \
    ARRAY(u8, out, RING_BYTES)
HX_STATE(serial, SERIAL_STATE);
HX_PARAM(uint32_t, baud, BAUD_MAX, "bits a second, a divisor of 115200");

static uint64_t look(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

/* Only who counts it calls this. */
static void step(uint64_t *count, uint64_t by)
{
    __atomic_store_n(count, *count + by, __ATOMIC_RELEASE);
}

/* ---- the chip -------------------------------------------------------------------------------------------------------- */
/* The ports are declared below, so the kernel does not refuse them. */
static uint8_t reg_read(uint32_t reg)
{
    return (uint8_t)hx_port_read8(SERIAL_PORT + reg);
}

static void reg_write(uint32_t reg, uint8_t value)
{
    (void)!hx_port_write8(SERIAL_PORT + reg, value);
}

static uint8_t wanted(void)
{
    uint8_t bits = look(&serial.received) - look(&serial.delivered) < RING_BYTES ? IER_RECEIVED : 0;
    return look(&serial.accepted) != look(&serial.sent) ? bits | IER_EMPTY : bits;
}

/* Tells the chip what to ask for. Called by whoever has changed a ring, afterwards. */
static void settle(void)
{
    uint8_t told, now = wanted();
    do {
        told = now;
        reg_write(IER, told);
        now = wanted();
    } while (now != told);
}

/* ---- interrupt ------------------------------------------------------------------------------------------------------- */
/* Reading it forgets what it says of errors. */
static uint8_t line_status(void)
{
    uint8_t status = reg_read(LSR);
    if (status & LSR_OVERRUN)
        step(&serial.overruns, 1);
    if (status & LSR_ERROR)
        step(&serial.errors, 1);
    return status;
}

static void take_received(void)
{
    uint64_t before = serial.received;
    while (serial.received - look(&serial.delivered) < RING_BYTES && line_status() & LSR_RECEIVED) {
        serial.in[serial.received % RING_BYTES] = reg_read(DATA);
        step(&serial.received, 1);
    }
    if (serial.received != before)
        (void)!hx_defer(HX_TEXT("deliver"));
}

static void feed(void)
{
    if (look(&serial.accepted) == serial.sent || !(line_status() & LSR_EMPTY))
        return;
    for (uint32_t i = 0; i < serial.burst && look(&serial.accepted) != serial.sent; i++) {
        reg_write(DATA, serial.out[serial.sent % RING_BYTES]);
        step(&serial.sent, 1);
    }
}

/* Until the chip asks for nothing: a line whose edges count must have been down. */
static hx_ret_t serial_interrupt(uint64_t count)
{
    hx_ret_t result = HX_E_NOENT; /* another's */
    (void)count;
    while (!(reg_read(IIR) & IIR_NONE)) {
        take_received();
        feed();
        settle();
        result = HX_OK;
    }
    return result;
}

/* ---- to and from the channel ------------------------------------------------------------------------------------------- */
/* What has been sent is out of the ring before the next message waits, so a new version goes on from there. */
static hx_ret_t deliver(uint64_t count)
{
    (void)count;
    hx_ret_t end = hx_channel_mine(HX_TEXT("com3"));
    while (end >= 0 && look(&serial.received) != serial.delivered) {
        struct hx_message message = { .priority = HX_PRIORITY_NORMAL, .payload = HX_PAYLOAD_INLINE };
        uint64_t there = look(&serial.received) - serial.delivered;
        message.bytes = (uint8_t)(there < HX_INLINE_MAX ? there : HX_INLINE_MAX);
        for (uint32_t i = 0; i < message.bytes; i++)
            message.data[i] = serial.in[(serial.delivered + i) % RING_BYTES];
        hx_ret_t err = hx_channel_send((uint64_t)end, &message, sizeof(message), HX_WAIT_FOREVER | HX_WAIT_RESTARTABLE);
        if (err < 0)
            return err; /* somebody has closed the channel: the bytes stay */
        step(&serial.delivered, message.bytes);
        settle();
    }
    return end < 0 ? end : HX_OK;
}

static void accept_message(const struct hx_message *message)
{
    uint32_t bytes = message->payload == HX_PAYLOAD_INLINE ? message->bytes : 0;
    for (uint32_t i = 0; i < bytes; i++)
        serial.out[(serial.accepted + i) % RING_BYTES] = message->data[i];
    step(&serial.accepted, bytes);
    settle();
    if (message->payload == HX_PAYLOAD_MEMORY)
        (void)!hx_handle_drop(message->memory.grant);
    if (message->payload == HX_PAYLOAD_CAPABILITY && message->capability != HX_HANDLE_NONE)
        (void)!hx_handle_drop(message->capability);
}

/* How fast the ring empties is known, so a full one is waited for by the clock. */
static hx_ret_t transmit(void)
{
    struct hx_message message;
    if (serial.accepted - look(&serial.sent) > RING_BYTES - HX_INLINE_MAX)
        return hx_sleep_ns(serial.pause_ns | HX_WAIT_RESTARTABLE);
    hx_ret_t end = hx_channel_mine(HX_TEXT("com3"));
    hx_ret_t err = end;
    if (end >= 0)
        err = hx_channel_receive((uint64_t)end, &message, sizeof(message), HX_WAIT_FOREVER | HX_WAIT_RESTARTABLE);
    if (err < 0)
        return err == HX_E_LIMIT ? HX_E_TIMEOUT : err; /* no room for what it carries: later */
    accept_message(&message);
    return HX_OK;
}

static hx_ret_t serve(struct hx_message *message, uint64_t bytes)
{
    (void)bytes;
    const struct hx_serial_counts counts = { look(&serial.received), look(&serial.sent), look(&serial.overruns),
                                             look(&serial.errors) };
    if (message->code != HX_SERIAL_COUNTS)
        return HX_E_UNSUPPORTED;
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = sizeof(counts);
    __builtin_memcpy(message->data, &counts, sizeof(counts));
    return HX_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */
static hx_ret_t serial_init(void)
{
    return baud > 0 && baud <= BAUD_MAX && BAUD_MAX % baud == 0 ? HX_OK : HX_E_INVAL;
}

/* Where there is nothing, what was written does not come back. */
static bool is_present(void)
{
    for (uint32_t pattern = 0x55; pattern <= 0xaa; pattern += 0x55) {
        reg_write(SCR, (uint8_t)pattern);
        if (reg_read(SCR) != pattern)
            return false;
    }
    return true;
}

static void switch_on(void)
{
    uint32_t divisor = BAUD_MAX / baud;
    reg_write(IER, 0);
    reg_write(LCR, LCR_DIVISOR);
    reg_write(DATA, (uint8_t)divisor);
    reg_write(IER, (uint8_t)(divisor >> 8));
    reg_write(LCR, LCR_8N1);
    reg_write(FCR, FCR_ON_EMPTY_8);
    reg_write(MCR, MCR_ON);
    serial.burst = (reg_read(IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_BYTES : 1;
    serial.pause_ns = (uint32_t)(UINT64_C(1000000000) * HX_INLINE_MAX * BITS_PER_BYTE / baud);
}

static hx_ret_t serial_start(uint64_t resumed)
{
    if (!resumed && !is_present()) {
        (void)!hx_log(HX_LOG_ERROR, HX_TEXT("not present: nothing answers at port 0x3e8"));
        return HX_E_HARDWARE;
    }
    if (!resumed)
        switch_on();
    reg_write(IER, 0); /* the line falls, so that whatever is left from before makes it rise */
    settle();
    return HX_OK;
}

static hx_ret_t serial_stop(void)
{
    reg_write(IER, 0);
    reg_write(MCR, 0);
    return HX_OK;
}

static hx_ret_t serial_check(void)
{
    uint64_t delivered = look(&serial.delivered), sent = look(&serial.sent); /* first: they are behind */
    bool sound = delivered <= look(&serial.received) && sent <= look(&serial.accepted);
    return sound && serial.burst >= 1 && serial.burst <= FIFO_BYTES ? HX_OK : HX_E_CORRUPT;
}

HX_MODULE("drv_serial", HX_VERSION(1, 0, 0), "serial port COM3, as a channel", .init = serial_init,
          .start = serial_start, .stop = serial_stop, .check = serial_check);
HX_PORTS(SERIAL_PORT, SERIAL_PORT + 7);
HX_IRQ("com3", SERIAL_LINE, serial_interrupt);
HX_DEFERRED("deliver", deliver);
HX_TASK("transmit", HX_PRIORITY_NORMAL, transmit);
HX_CHANNEL("com3", 64);
HX_SERVICE(HX_SERIAL_SERVICE, 1u << HX_SERIAL_COUNTS, serve);
