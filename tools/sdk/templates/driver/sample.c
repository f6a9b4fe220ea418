/* SPDX-License-Identifier: MIT */
/*
 * sample.c - a driver of the PS/2 keyboard controller, as far as needed to hear from it: a byte sent to it with the command
 * that passes it off as a key comes back by an interrupt.
 *
 * State: what has come, which a swap keeps. Only the handler writes it. Interrupts of the blackout come afterwards.
 * Source: Intel 8042, commands 0x60 (write command byte) and 0xd2 (write keyboard's output buffer).
 */
#include <helix/fmt.h>
#include <helix/module.h>

#ifndef SAMPLE_MINOR
#define SAMPLE_MINOR 0
#endif

enum {
    PORT_DATA = 0x60,
    PORT_STATUS = 0x64, /* to read; to write: a command */
    STATUS_FULL = 0x01, /* there is a byte to read */
    STATUS_BUSY = 0x02, /* what was written has not been taken */
    COMMAND_SET_MODE = 0x60,
    COMMAND_LOOP = 0xd2,
    MODE = 0x45, /* keys are translated, the controller is tested, interrupts are on */
    LINE = 1,
    POLLS_MAX = 10000,
    BYTES_MAX = 16, /* in one interrupt: the controller holds no more */
};

#define SAMPLE_FIELDS(SCALAR, ARRAY)                                                                                   \
    SCALAR(u64, bytes)                                                                                                 \
    SCALAR(u64, last)
HX_STATE(sample, SAMPLE_FIELDS); /* static struct sample_state sample */

enum { SAMPLE_TELL, SAMPLE_SEND }; /* codes of requests */

static hx_ret_t sample_interrupt(uint64_t count)
{
    (void)count; /* how often; the device says what there is */
    for (uint32_t i = 0; i < BYTES_MAX && (hx_port_read8(PORT_STATUS) & STATUS_FULL); i++) {
        __atomic_store_n(&sample.last, (uint64_t)hx_port_read8(PORT_DATA), __ATOMIC_RELAXED);
        __atomic_store_n(&sample.bytes, sample.bytes + 1, __ATOMIC_RELAXED);
    }
    return HX_OK;
}

static hx_ret_t sample_write(uint64_t port, uint64_t value)
{
    for (uint32_t i = 0; i < POLLS_MAX; i++)
        if (!(hx_port_read8(PORT_STATUS) & STATUS_BUSY))
            return hx_port_write8(port, value);
    return HX_E_HARDWARE;
}

static hx_ret_t sample_command(uint64_t command, uint64_t value)
{
    hx_ret_t err = sample_write(PORT_STATUS, command);
    return err < 0 ? err : sample_write(PORT_DATA, value);
}

static hx_ret_t sample_serve(struct hx_message *message, uint64_t bytes)
{
    (void)bytes;
    if (message->code == SAMPLE_SEND)
        return message->payload == HX_PAYLOAD_INLINE && message->bytes > 0
                   ? sample_command(COMMAND_LOOP, message->data[0])
                   : HX_E_INVAL;
    if (message->code != SAMPLE_TELL)
        return HX_E_UNSUPPORTED;
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes =
        (uint8_t)hx_fmt((char *)message->data, sizeof(message->data), "sample 1.%u: %llu bytes, last 0x%02llx",
                        (unsigned)SAMPLE_MINOR, (unsigned long long)__atomic_load_n(&sample.bytes, __ATOMIC_RELAXED),
                        (unsigned long long)__atomic_load_n(&sample.last, __ATOMIC_RELAXED));
    return HX_OK;
}

/* What is left from before keeps the line asserted. */
static hx_ret_t sample_start(uint64_t resumed)
{
    if (resumed)
        return HX_OK;
    for (uint32_t i = 0; i < BYTES_MAX && (hx_port_read8(PORT_STATUS) & STATUS_FULL); i++)
        (void)!hx_port_read8(PORT_DATA);
    return sample_command(COMMAND_SET_MODE, MODE);
}

HX_MODULE("sample", HX_VERSION(1, SAMPLE_MINOR, 0), "keyboard controller", .start = sample_start);
HX_SERVICE("sample", 1u << SAMPLE_TELL, sample_serve);
HX_IRQ("keyboard", LINE, sample_interrupt);
HX_PORTS(PORT_DATA, PORT_DATA);
HX_PORTS(PORT_STATUS, PORT_STATUS);
