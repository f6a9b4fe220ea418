/* SPDX-License-Identifier: MIT */
/* test_drv_serial.c - the serial driver against a 16550 made of a few lines: alone, and through swaps in a whole Helix. */
#include "modules/module_host.h"
#include "modules/single_step.h"
#include "world.h"

#include <criterion/criterion.h>
#include <helix/serial.h>
#include <ipc/channel.h>
#include <orchestrator/declared.h>
#include <string.h>

/* ---- the chip -------------------------------------------------------------------------------------------------------- */
enum { PORT = 0x3e8, LINE = 5, FIFO = 16, OUT_MAX = 1 << 16, RING = 1024 };

static struct {
    uint8_t ier, lcr, mcr, scr, errors;
    uint16_t divisor;
    bool absent, no_fifo, fifo_on;
    bool slow; /* what is written stays until chip_drain(); else it is gone at once */
    uint8_t in[FIFO], held[FIFO];
    uint32_t in_count, held_count;
    bool empty_pending, line_up;
    uint8_t out[OUT_MAX];
    uint32_t out_count;
    void (*raise)(void);
} chip;

static uint8_t chip_asks(void)
{
    if (chip.ier & 1 && chip.in_count > 0)
        return 4;
    return chip.ier & 2 && chip.empty_pending ? 2 : 1;
}

static void chip_update(void)
{
    bool up = chip_asks() != 1 && chip.mcr & 8;
    bool rises = up && !chip.line_up;
    chip.line_up = up;
    if (rises && chip.raise)
        chip.raise();
}

static void chip_drain(void)
{
    cr_assert(chip.out_count + chip.held_count <= OUT_MAX);
    memcpy(chip.out + chip.out_count, chip.held, chip.held_count);
    chip.out_count += chip.held_count;
    chip.empty_pending = chip.empty_pending || chip.held_count > 0;
    chip.held_count = 0;
    chip_update();
}

static void chip_receive(uint8_t byte)
{
    if (chip.in_count == FIFO)
        chip.errors |= 2;
    else
        chip.in[chip.in_count++] = byte;
    chip_update();
}

static uint8_t read_data(void)
{
    cr_assert_gt(chip.in_count, 0, "it was read while there was nothing");
    uint8_t byte = chip.in[0];
    memmove(chip.in, chip.in + 1, --chip.in_count);
    return byte;
}

static uint8_t read_register(uint16_t reg)
{
    uint8_t value = 0;
    switch (reg) {
    case 0: return read_data();
    case 2:
        value = chip_asks();
        chip.empty_pending = chip.empty_pending && value != 2;
        return value | (chip.fifo_on && !chip.no_fifo ? 0xc0 : 0);
    case 5:
        value = chip.errors | (chip.in_count > 0) | (chip.held_count == 0 ? 0x60 : 0);
        chip.errors = 0;
        return value;
    case 7: return chip.scr;
    default: cr_assert_fail("register %u is read", reg); return 0;
    }
}

static uint8_t chip_read(uint16_t port)
{
    cr_assert(port >= PORT && port < PORT + 8);
    if (chip.absent)
        return 0xff;
    uint64_t paused = single_step_pause();
    uint8_t value = read_register(port - PORT);
    chip_update();
    single_step_resume(paused);
    return value;
}

static void write_data(uint8_t value)
{
    cr_assert_lt(chip.held_count, chip.no_fifo ? 1 : FIFO, "it takes no more");
    chip.held[chip.held_count++] = value;
    chip.empty_pending = false;
    if (!chip.slow)
        chip_drain();
}

static void write_ier(uint8_t value)
{
    if ((chip.ier ^ value) & 2)
        chip.empty_pending = value & 2 && chip.held_count == 0;
    chip.ier = value;
}

static void chip_write(uint16_t port, uint8_t value)
{
    cr_assert(port >= PORT && port < PORT + 8);
    if (chip.absent)
        return;
    uint64_t paused = single_step_pause();
    switch (port - PORT) {
    case 0:
        chip.lcr & 0x80 ? (void)(chip.divisor = (uint16_t)((chip.divisor & 0xff00) | value)) : write_data(value);
        break;
    case 1:
        chip.lcr & 0x80 ? (void)(chip.divisor = (uint16_t)((chip.divisor & 0xff) | value << 8)) : write_ier(value);
        break;
    case 2: chip.fifo_on = value & 1; break;
    case 3: chip.lcr = value; break;
    case 4: chip.mcr = value; break;
    case 7: chip.scr = value; break;
    default: cr_assert_fail("register %u is written", port - PORT);
    }
    chip_update();
    single_step_resume(paused);
}

/* ---- alone, under the sanitizers --------------------------------------------------------------------------------------- */
static bool asked; /* an edge that the handler has not been told of */
static uint32_t next_out, next_in;
static struct hx_message received[256];
static uint32_t received_count, received_max;

/* Byte @i of what goes out or comes in: no part of a ring's length repeats in it. */
static uint8_t byte_of(uint32_t i)
{
    return (uint8_t)(i % 251);
}

static void note_edge(void)
{
    asked = true;
}

static void run_handler(void)
{
    while (asked) {
        asked = false;
        hx_ret_t err = drv_serial1_parts.interrupt(1);
        cr_assert(err == HX_OK || err == HX_E_NOENT);
    }
}

static hx_ret_t take_message(const struct hx_message *message)
{
    if (received_count == received_max)
        return HX_E_FULL; /* as if it waited on */
    received[received_count++] = *message;
    return HX_OK;
}

static void reset(void)
{
    memset(drv_serial1.state, 0, drv_serial1.state_bytes);
    memset(&chip, 0, sizeof(chip));
    memset(received, 0, sizeof(received));
    chip.raise = note_edge;
    asked = false;
    next_out = next_in = 0;
    received_count = 0;
    received_max = HX_ARRAY_SIZE(received);
    host_port_read_hook = chip_read;
    host_port_write_hook = chip_write;
    host_channel_send_hook = take_message;
    host_channel_receive_hook = NULL;
    host_channel_in = NULL;
    host_sleep_hook = NULL;
    host_deferred = 0;
    host_dropped = 0;
    *(uint32_t *)host_param(&drv_serial1, "baud") = 115200;
}
TestSuite(drv_serial, .init = reset);

static void start(void)
{
    cr_assert_eq(drv_serial1.record->hooks.init(), HX_OK);
    cr_assert_eq(drv_serial1.record->hooks.start(0), HX_OK);
    run_handler();
}

/* Bytes that count up, whoever sends them. */
static void transmit(uint32_t bytes)
{
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = (uint8_t)bytes };
    for (uint32_t i = 0; i < bytes; i++)
        message.data[i] = byte_of(next_out++);
    host_channel_in = &message;
    for (uint32_t tries = 0; host_channel_in; tries++) {
        cr_assert_lt(tries, 100, "it takes no message any more");
        cr_assert_eq(drv_serial1_parts.transmit(), HX_OK);
    }
}

static void expect_out(uint32_t bytes)
{
    cr_assert_eq(chip.out_count, bytes, "%u bytes went out, not %u", chip.out_count, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        cr_assert_eq(chip.out[i], byte_of(i), "byte %u", i);
}

/* What has been delivered since the last reset. Returns how many bytes that is. */
static uint32_t expect_in(void)
{
    uint32_t bytes = 0;
    for (uint32_t m = 0; m < received_count; m++)
        for (uint32_t i = 0; i < received[m].bytes; i++, bytes++)
            cr_assert_eq(received[m].data[i], byte_of(bytes), "byte %u", bytes);
    return bytes;
}

static struct hx_serial_counts counts(void)
{
    struct hx_serial_counts counts;
    struct hx_message message = { .code = HX_SERIAL_COUNTS };
    cr_assert_eq(drv_serial1_parts.serve(&message, sizeof(message)), HX_OK);
    cr_assert_eq(message.bytes, sizeof(counts));
    memcpy(&counts, message.data, sizeof(counts));
    return counts;
}

Test(drv_serial, the_chip_is_set_up_as_the_parameters_say)
{
    *(uint32_t *)host_param(&drv_serial1, "baud") = 300;
    start();
    cr_assert(chip.divisor == 384 && chip.lcr == 3 && chip.fifo_on && chip.mcr == 0x0b && chip.ier == 1);
    cr_assert_eq(drv_serial1.record->hooks.stop(), HX_OK);
    cr_assert(chip.ier == 0 && chip.mcr == 0);
}

Test(drv_serial, a_rate_that_no_divisor_makes_is_refused)
{
    static const uint32_t bad[] = { 0, 7, 11, 115201, 230400, UINT32_MAX };
    for (size_t i = 0; i < HX_ARRAY_SIZE(bad); i++) {
        *(uint32_t *)host_param(&drv_serial1, "baud") = bad[i];
        cr_assert_eq(drv_serial1.record->hooks.init(), HX_E_INVAL, "%u", bad[i]);
    }
}

Test(drv_serial, where_nothing_answers_it_does_not_start)
{
    chip.absent = true;
    cr_assert_eq(drv_serial1.record->hooks.start(0), HX_E_HARDWARE);
    cr_assert_eq(drv_serial1_parts.interrupt(1), HX_E_NOENT);
}

Test(drv_serial, what_is_sent_goes_out_in_order_and_the_chip_then_asks_for_no_more)
{
    start();
    for (uint32_t bytes = 0, sent = 0; bytes <= HX_INLINE_MAX; bytes++) {
        transmit(bytes);
        run_handler();
        sent += bytes;
        expect_out(sent);
        cr_assert_eq(chip.ier, 1);
    }
    cr_assert_eq(counts().sent, 2080);
    host_expect_sound(&drv_serial1);
}

static void drain_some(void)
{
    chip_drain();
    run_handler();
}

Test(drv_serial, a_slow_line_is_fed_as_much_as_it_takes_and_waited_for)
{
    for (uint32_t with_fifo = 0; with_fifo < 2; with_fifo++) {
        reset();
        chip.slow = true;
        chip.no_fifo = !with_fifo;
        host_sleep_hook = drain_some;
        start();
        for (uint32_t i = 0; i < 60; i++) {
            transmit(HX_INLINE_MAX);
            run_handler();
        }
        cr_assert_gt(chip.out_count, 0, "it has waited");
        for (uint32_t i = 0; i < 2 * RING; i++)
            drain_some();
        expect_out(60 * HX_INLINE_MAX);
    }
}

Test(drv_serial, what_comes_in_is_delivered_in_order)
{
    uint64_t total = 0;
    start();
    for (uint32_t burst = 1; burst <= FIFO; burst++)
        for (uint32_t i = 0; i < 5; i++) {
            for (uint32_t b = 0; b < burst; b++, total++)
                chip_receive(byte_of(next_in++));
            run_handler();
            if (i % 2)
                cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
        }
    cr_assert_gt(host_deferred, 0);
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    cr_assert_eq(expect_in(), total);
    cr_assert(counts().received == total && counts().overruns == 0);
}

Test(drv_serial, bytes_that_nobody_receives_stay_at_the_device_and_those_that_it_loses_are_counted)
{
    start();
    received_max = 3;
    for (uint32_t i = 0; i < RING + FIFO; i++) {
        chip_receive(byte_of(next_in++));
        run_handler();
    }
    cr_assert(chip.ier == 0 && chip.in_count == FIFO, "%u", chip.in_count);
    cr_assert_eq(counts().overruns, 0);
    chip_receive(99);
    run_handler();
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_E_FULL); /* the fourth message waits */
    cr_assert_eq(chip.ier, 1, "there is room again");
    run_handler();
    cr_assert_eq(counts().overruns, 1);
    received_max = HX_ARRAY_SIZE(received);
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    cr_assert_eq(expect_in(), RING + FIFO);
    host_expect_sound(&drv_serial1);
}

Test(drv_serial, a_burst_that_is_longer_than_the_room_is_taken_in_part)
{
    start();
    for (uint32_t i = 0; i < RING / FIFO; i++) {
        for (uint32_t b = i == 0 ? FIFO / 2 : 0; b < FIFO; b++) /* so that the last one finds half of the room */
            chip_receive(byte_of(next_in++));
        run_handler();
    }
    for (uint32_t b = 0; b < FIFO; b++)
        chip_receive(byte_of(next_in++));
    run_handler();
    cr_assert(chip.in_count == FIFO / 2 && chip.ier == 0, "%u left", chip.in_count);
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    run_handler();
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    cr_assert(expect_in() == RING + FIFO / 2 && counts().overruns == 0);
}

Test(drv_serial, an_interrupt_that_a_predecessor_has_left_unanswered_comes_again)
{
    start();
    chip_receive(byte_of(next_in++));
    asked = false; /* it faulted over that */
    chip_receive(byte_of(next_in++));
    cr_assert(!asked, "the line is up already");
    cr_assert_eq(drv_serial1.record->hooks.start(1), HX_OK);
    cr_assert(asked);
    run_handler();
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    cr_assert_eq(expect_in(), 2);
}

Test(drv_serial, other_payloads_are_given_up_and_other_requests_refused)
{
    struct hx_message message = { .payload = HX_PAYLOAD_MEMORY, .memory = { .grant = 5 } };
    start();
    host_channel_in = &message;
    cr_assert(drv_serial1_parts.transmit() == HX_OK && host_dropped == 5);
    message = (struct hx_message){ .payload = HX_PAYLOAD_CAPABILITY, .capability = 6 };
    host_channel_in = &message;
    cr_assert(drv_serial1_parts.transmit() == HX_OK && host_dropped == 6);
    cr_assert_eq(chip.out_count, 0);
    message.code = HX_SERIAL_COUNTS + 1;
    cr_assert_eq(drv_serial1_parts.serve(&message, sizeof(message)), HX_E_UNSUPPORTED);
}

Test(drv_serial, errors_of_the_line_are_counted)
{
    start();
    chip.errors = 4;
    chip_receive(0);
    run_handler();
    cr_assert(counts().errors == 1 && counts().overruns == 0 && counts().received == 1);
}

Test(drv_serial, check_finds_seeded_corruptions)
{
    static const struct corruption list[] = {
        { "received", 0, 0 }, { "delivered", 0, 11 }, { "accepted", 0, 0 },
        { "sent", 0, 41 },    { "burst", 0, 0 },      { "burst", 0, FIFO + 1 },
    };
    start();
    for (uint32_t i = 0; i < 10; i++)
        chip_receive(byte_of(next_in++));
    run_handler();
    cr_assert_eq(drv_serial1_parts.deliver(1), HX_OK);
    transmit(40);
    run_handler();
    host_expect_found(&drv_serial1, list, HX_ARRAY_SIZE(list));
}

/* ---- handler, task and deferred function at the same time --------------------------------------------------------------- */
static void transmit_one(void)
{
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = 1, .data = { byte_of(next_out++) } };
    host_channel_in = &message;
    cr_assert_eq(drv_serial1_parts.transmit(), HX_OK);
}

Test(drv_serial, a_message_that_comes_at_any_instruction_of_the_handler_goes_out, .timeout = 120)
{
    for (uint32_t slow = 0; slow < 2; slow++)
        for (uint32_t at = 1, bytes = 0;;
             at += 1 + host_random(1 + at / 64), bytes = 0) { /* it is long under sanitizers */
            reset();
            start();
            chip.slow = slow;
            transmit(3);
            bool struck = single_step_strike(at, run_handler, transmit_one);
            for (uint32_t i = 0; i < 4; i++)
                drain_some();
            bytes = 3 + struck;
            cr_assert_eq(chip.out_count, bytes, "%u of %u bytes, at instruction %u", chip.out_count, bytes, at);
            cr_assert_eq(chip.ier, 1, "at instruction %u", at);
            if (!struck)
                break;
            cr_assert_lt(at, 100000);
        }
}

static void transmit_three(void)
{
    transmit(3);
}

Test(drv_serial, the_handler_may_come_at_any_instruction_of_the_task, .timeout = 120)
{
    for (uint32_t at = 1;; at++) {
        reset();
        start();
        bool struck = single_step_strike(at, transmit_three, run_handler);
        run_handler();
        expect_out(3);
        cr_assert_eq(chip.ier, 1, "at instruction %u", at);
        if (!struck)
            break;
        cr_assert_lt(at, 100000);
    }
}

static void deliver_all(void)
{
    (void)drv_serial1_parts.deliver(1);
}

static void handle(void)
{
    chip_receive(byte_of(next_in++));
    run_handler();
}

/* The ring is full but for one byte, so that each side finds it full or not as it comes. */
static void fill(void)
{
    start();
    while (counts().received < RING - 1)
        handle();
}

Test(drv_serial, room_that_is_made_at_any_instruction_of_the_handler_is_used, .timeout = 120)
{
    for (uint32_t at = 1;; at++) {
        reset();
        fill();
        if (!single_step_strike(at, handle, deliver_all))
            break;
        for (uint32_t i = 0; i < 40; i++)
            handle();
        deliver_all();
        run_handler();
        deliver_all();
        for (uint32_t i = 0; i < 20; i++) {
            handle();
            deliver_all();
        }
        cr_assert_eq(chip.ier, 1, "at instruction %u", at);
        cr_assert_eq(expect_in(), RING - 1 + 61, "%u, at instruction %u", expect_in(), at);
        cr_assert_lt(at, 100000);
    }
}

Test(drv_serial, bytes_that_come_at_any_instruction_of_a_delivery_are_delivered, .timeout = 120)
{
    for (uint32_t at = 1;; at += 1 + host_random(1 + at / 3)) { /* it is long */
        reset();
        fill();
        for (uint32_t i = 0; i < 3; i++)
            handle(); /* two stay at the device */
        cr_assert_eq(chip.ier, 0);
        bool struck = single_step_strike(at, deliver_all, handle);
        run_handler();
        deliver_all();
        cr_assert_eq(expect_in(), RING - 1 + 3 + struck, "at instruction %u", at);
        if (!struck)
            break;
        cr_assert_lt(at, 100000);
    }
}

/* ---- in a whole Helix, through swaps ------------------------------------------------------------------------------------- */
enum { MS = 1000000 };

static void raise_line(void)
{
    hal_host_irq(LINE);
}

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static hx_status_t load(const char *params, struct hx_job *job)
{
    *job = (struct hx_job){ .kind = HX_JOB_LOAD,
                            .file = world_file("drv_serial.hxm"),
                            .params = params,
                            .who = "test",
                            .by = &hx_kernel_principal };
    return world_run(run_engine, job);
}

static hx_handle_t begin(void)
{
    struct hx_job job;
    hx_handle_t far = HX_HANDLE_NONE;
    world_begin(0);
    hal_host_port_read = chip_read;
    hal_host_port_write = chip_write;
    chip.raise = raise_line;
    cr_assert_eq(load("", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(hx_declared_connect(HX_SERIAL_CHANNEL, &hx_kernel_holder, &far), HX_OK);
    return far;
}

static void receive_all(hx_handle_t far)
{
    while (received_count < HX_ARRAY_SIZE(received) &&
           hx_ipc_receive(far, &hx_kernel_holder, &received[received_count], 0) == HX_OK)
        received_count++;
}

Test(drv_serial, no_byte_is_lost_or_doubled_when_it_is_replaced_in_the_middle)
{
    hx_handle_t far = begin();
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX };
    uint32_t sent = 0, came = 0;
    chip.slow = true;
    for (uint32_t turn = 0; turn < 30; turn++) {
        for (uint32_t i = 0; i < HX_INLINE_MAX; i++)
            message.data[i] = byte_of(next_out++);
        cr_assert_eq(hx_ipc_send(far, &hx_kernel_holder, &message, 0), HX_OK);
        sent += HX_INLINE_MAX;
        for (uint32_t i = 0; i < turn % (FIFO + 1); i++, came++)
            chip_receive(byte_of(next_in++));
        hal_host_advance(turn * 1009);
        chip_drain();
        cr_assert_eq(world_reload("drv_serial", "drv_serial.hxm", NULL), HX_OK);
    }
    for (uint32_t i = 0; i < 500; i++) {
        chip_drain();
        hal_host_advance(MS);
    }
    expect_out(sent);
    receive_all(far);
    cr_assert_eq(expect_in(), came);
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}

Test(drv_serial, a_delivery_that_waits_for_room_is_gone_on_with_by_the_next_version)
{
    hx_handle_t far = begin();
    uint32_t came = 0;
    for (; came < 90; came++) { /* a message each: more than the channel takes */
        chip_receive(byte_of(next_in++));
        hal_host_advance(MS / 10);
    }
    struct hx_job job;
    cr_assert_eq(world_reload("drv_serial", "drv_serial.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_lt(job.swap.blackout_ns, 2 * MS, "a swap has waited for a reader: %lu ns", job.swap.blackout_ns);
    receive_all(far);
    hal_host_advance(MS);
    receive_all(far);
    cr_assert_eq(expect_in(), came);
    cr_assert_eq(hx_handle_close(far, &hx_kernel_holder), HX_OK);
}

Test(drv_serial, it_goes_while_a_delivery_waits_for_room)
{
    struct census before;
    world_begin(0);
    before = world_census();
    hal_host_port_read = chip_read;
    hal_host_port_write = chip_write;
    chip.raise = raise_line;
    struct hx_job job;
    cr_assert_eq(load("", &job), HX_OK);
    for (uint32_t i = 0; i < 90; i++) {
        chip_receive(byte_of(next_in++));
        hal_host_advance(MS / 10);
    }
    cr_assert_eq(world_unload("drv_serial", NULL), HX_OK);
    cr_assert(chip.ier == 0 && chip.mcr == 0);
    ASSERT_CENSUS(before);
}

Test(drv_serial, without_a_device_it_is_refused_and_leaves_nothing)
{
    struct hx_job job;
    world_begin(0);
    struct census before = world_census();
    chip.absent = true;
    hal_host_port_read = chip_read;
    hal_host_port_write = chip_write;
    cr_assert_eq(load("", &job), HX_E_HARDWARE);
    cr_assert_str_eq(job.report.step, "start");
    ASSERT_CENSUS(before);
}
