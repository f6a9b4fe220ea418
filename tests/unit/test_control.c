/* SPDX-License-Identifier: MIT */
/*
 * test_control.c - the control channel as a program meets it: frames in, frames out, and what has become of the machine.
 */
#include <debug/control.h>
#include <helix/kv.h>
#include <lib/control_frame.h>
#include <lib/crc.h>
#include <module/pushed.h>

#include "world.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t ms = 1000000;

/* What the kernel has said since the last look. */
static struct {
    uint32_t count;
    struct {
        uint32_t request, kind;
        size_t bytes;
        char *text;
    } frame[512];
    char output[1 << 20]; /* of OUTPUT and ROWS together */
    size_t output_bytes;
} said;

static void settle(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        hx_task_yield();
        hal_host_advance(ms);
    }
}

static void listen(void)
{
    static struct hx_control_decoder decoder;
    struct hx_control_frame frame;
    size_t bytes = 0, at = 0;
    const uint8_t *data = hal_host_control_take(&bytes);
    said.count = 0;
    said.output_bytes = 0;
    for (;;) {
        if (!hx_control_decoder_next(&decoder, &frame)) {
            if (at == bytes)
                break;
            at += hx_control_decoder_put(&decoder, data + at, bytes - at);
            continue;
        }
        cr_assert_lt(said.count, HX_ARRAY_SIZE(said.frame));
        char *text = calloc(1, frame.payload.bytes + 1);
        memcpy(text, frame.payload.data, frame.payload.bytes);
        said.frame[said.count].request = frame.request;
        said.frame[said.count].kind = frame.kind;
        said.frame[said.count].bytes = frame.payload.bytes;
        said.frame[said.count++].text = text;
        if (frame.kind == HX_CONTROL_OUTPUT || frame.kind == HX_CONTROL_ROWS) {
            memcpy(said.output + said.output_bytes, frame.payload.data, frame.payload.bytes);
            said.output_bytes += frame.payload.bytes;
        }
    }
    said.output[said.output_bytes] = '\0';
    cr_assert_eq(decoder.skipped, 0u, "the kernel says nothing but frames");
}

static void send_bytes(const void *data, size_t bytes)
{
    hal_host_control_send(data, bytes);
    settle();
    listen();
}

static void send(uint32_t request, uint32_t kind, const void *payload, size_t bytes)
{
    uint8_t frame[HX_CONTROL_FRAME_MAX];
    send_bytes(frame, hx_control_frame_encode(frame, request, kind, payload, bytes));
}

static void run(uint32_t request, const char *line)
{
    send(request, HX_CONTROL_EXEC, line, strlen(line));
}

static void query(uint32_t request, const char *line)
{
    send(request, HX_CONTROL_QUERY, line, strlen(line));
}

/* The last frame ends @request with @status, and no other frame ended it. */
static void expect_end(uint32_t request, hx_status_t status, const char *words)
{
    char start[32];
    uint32_t ends = 0;
    snprintf(start, sizeof(start), "{\"status\":%d,", status);
    cr_assert_gt(said.count, 0u, "silence");
    for (uint32_t i = 0; i < said.count; i++)
        ends += said.frame[i].kind == HX_CONTROL_END && said.frame[i].request == request;
    cr_assert_eq(ends, 1u, "request %u has %u ends", request, ends);
    const char *text = said.frame[said.count - 1].text;
    cr_assert_eq(said.frame[said.count - 1].request, request, "%s", text);
    cr_assert_eq(strncmp(text, start, strlen(start)), 0, "%s", text);
    cr_assert_not_null(strstr(text, words), "%s", text);
}

static void expect_output(const char *words)
{
    cr_assert_not_null(strstr(said.output, words), "`%s' is not in: %s", words, said.output);
}

static void begin_push(uint32_t request, const char *name, struct hx_slice file)
{
    struct hx_control_push push = { .bytes = (uint32_t)file.bytes, .crc = hx_crc32c(0, file.data, file.bytes) };
    snprintf(push.name, sizeof(push.name), "%s", name);
    send(request, HX_CONTROL_PUSH, &push, sizeof(push));
}

static void send_data(uint32_t request, uint32_t offset, const uint8_t *data, size_t bytes)
{
    uint8_t payload[HX_CONTROL_PAYLOAD_MAX];
    memcpy(payload, &offset, sizeof(offset));
    memcpy(payload + sizeof(offset), data, bytes);
    send(request, HX_CONTROL_DATA, payload, sizeof(offset) + bytes);
}

static uint32_t acknowledged(void)
{
    uint32_t offset = UINT32_MAX;
    cr_assert_eq(said.frame[0].kind, (uint32_t)HX_CONTROL_ACK);
    memcpy(&offset, said.frame[0].text, sizeof(offset));
    return offset;
}

static void push(uint32_t request, const char *name, struct hx_slice file)
{
    begin_push(request, name, file);
    for (size_t at = 0, part; at < file.bytes; at += part) {
        part = file.bytes - at < 4000 ? file.bytes - at : 4000;
        cr_assert_eq(said.count, 0u, "%s", said.frame[0].text);
        send_data(request, (uint32_t)at, file.data + at, part);
        cr_assert_eq(acknowledged(), at + part);
        if (at + part < file.bytes)
            said.count = 0;
    }
}

static void start(bool is_signed, const uint8_t *key)
{
    world_begin(1000);
    cr_assert_eq(hx_control_start(is_signed, key), HX_OK);
    settle();
    listen();
    cr_assert_eq(said.count, 0u, "it speaks when it is spoken to");
}

static void begin(void)
{
    start(false, NULL);
}

TestSuite(control, .init = begin, .timeout = 30);

/* ---- requests ------------------------------------------------------------------------------------------------------- */
Test(control, hello_is_answered_with_who_is_there)
{
    send(1, HX_CONTROL_HELLO, "", 0);
    expect_end(1, HX_OK, "\"protocol\":1");
    expect_end(1, HX_OK, "\"version\":\"" HX_HELIX_VERSION "\"");
}

Test(control, a_command_s_text_comes_without_colours_and_ends_with_its_status)
{
    run(1, "version");
    expect_end(1, HX_OK, "\"error\":\"ok\"");
    cr_assert_eq(strncmp(said.output, "helix " HX_HELIX_VERSION ", module ABI", 20), 0, "%s", said.output);
    cr_assert_null(memchr(said.output, '\r', said.output_bytes));
    run(2, "nonsense");
    expect_end(2, HX_E_NOENT, "\"error\":\"not-found\",\"text\":\"nonsense: unknown command");
    cr_assert_null(memchr(said.output, '\033', said.output_bytes));
    query(3, "help"); /* more than a frame */
    expect_end(3, HX_OK, "");
    cr_assert_gt(said.count, 2u);
    expect_output("{\"text\":\"  poweroff [CODE]");
}

Test(control, the_console_says_nothing_of_it)
{
    hal_host_console_clear();
    run(1, "lsmod");
    run(2, "color on");
    cr_assert_str_eq(hal_host_console(), "");
}

Test(control, a_query_s_rows_are_objects_and_other_lines_texts)
{
    query(1, "lsmod");
    expect_end(1, HX_OK, "");
    cr_assert_str_eq(said.output, "");
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    query(2, "lsmod");
    cr_assert_eq(
        strncmp(said.output, "{\"name\":\"svc_kv\",\"version\":\"1.0.0\",\"state\":\"Running\",\"previous\":null,", 69),
        0, "%s", said.output);
    query(3, "version");
    cr_assert_eq(strncmp(said.output, "{\"text\":\"helix ", 15), 0, "%s", said.output);
    cr_assert_str_eq(said.output + said.output_bytes - 3, "\"}\n");
    query(4, "swaps");
    cr_assert_str_eq(said.output, "");
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    query(5, "swaps");
    expect_output("\"who\":");
    expect_output("\"link_ns\":");
    expect_output("\"decided_ns\":0,");
    query(6, "nonsense \"a\\\\b\" ");
    expect_end(6, HX_E_NOENT, "");
}

Test(control, what_is_quoted_is_escaped)
{
    run(1, "help \"a\\\"b\\\\c\"");
    expect_end(1, HX_E_NOENT, "\"text\":\"help: a\\\"b\\\\c: there is no such command");
    query(2, "help \"a\\\"b\001\xe9\"");
    expect_output("{\"text\":\"help: a\\\"b\\u0001\\u00e9: there");
}

Test(control, each_bad_request_is_refused_for_its_reason)
{
    static char line[300];
    memset(line, 'x', sizeof(line));
    send(1, HX_CONTROL_EXEC, line, sizeof(line));
    expect_end(1, HX_E_LIMIT, "\"limit\"");
    send(2, HX_CONTROL_EXEC, "ps\0lsmod", 8);
    expect_end(2, HX_E_FORMAT, "\"format\"");
    send(3, 77, "", 0);
    expect_end(3, HX_E_UNSUPPORTED, "\"unsupported\"");
    send(0, HX_CONTROL_EXEC, "ps", 2);
    expect_end(0, HX_E_INVAL, "\"invalid\"");
    run(4, "version 'open");
    expect_end(4, HX_E_FORMAT, "control: line: a quote is left open");
    send(5, HX_CONTROL_CANCEL, "", 0);
    cr_assert_eq(said.count, 0u, "nothing to cancel, and no end");
    send(6, HX_CONTROL_DATA, "\0\0\0\0x", 5);
    cr_assert_eq(said.count, 0u);
    run(7, "");
    expect_end(7, HX_OK, "");
}

Test(control, while_a_command_runs_others_are_refused_and_cancel_ends_it)
{
    run(1, "dmesg -f");
    hal_host_advance(300 * ms);
    listen();
    run(2, "version");
    hal_host_advance(300 * ms);
    listen();
    send(3, HX_CONTROL_CANCEL, "", 0); /* another's */
    cr_assert_eq(said.count, 0u);
    run(4, "version");
    expect_end(4, HX_E_BUSY, "\"busy\"");
    send(1, HX_CONTROL_CANCEL, "", 0);
    expect_end(1, HX_OK, "");
    run(5, "version");
    expect_end(5, HX_OK, "");
}

Test(control, hello_gives_up_what_a_peer_before_has_begun)
{
    run(1, "dmesg -f");
    send(1, HX_CONTROL_HELLO, "", 0);
    expect_end(1, HX_OK, "\"protocol\"");
    cr_assert_eq(said.count, 1u, "the command's end is nobody's");
    run(2, "version");
    expect_end(2, HX_OK, "");
}

Test(control, what_a_command_prints_after_hello_is_dropped)
{
    uint8_t both[2 * HX_CONTROL_FRAME_MAX];
    push(1, "a.hxm", world_file("svc_kv.hxm"));
    run(2, "modinfo");
    expect_output("1 pushed");
    size_t used = hx_control_frame_encode(both, 3, HX_CONTROL_EXEC, "modinfo", 7);
    used += hx_control_frame_encode(both + used, 4, HX_CONTROL_HELLO, "", 0);
    send_bytes(both, used); /* it looks for that before it prints anything */
    expect_end(4, HX_OK, "\"protocol\"");
    cr_assert_eq(said.count, 1u, "%s", said.frame[0].text);
    run(5, "modinfo");
    expect_output("1 pushed");
}

static hx_status_t sleep_inside(void *unused)
{
    char value[8];
    (void)unused;
    return (hx_status_t)hx_kv_get("sleep", 5, value, sizeof(value));
}

/* Request 1 swaps a module in which somebody sleeps: for a second the engine waits for him. */
static void wait_for_engine(void)
{
    hx_handle_t task;
    cr_assert_eq(world_load("kv_sleeps.hxm", NULL), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "dreamer", 100, sleep_inside, NULL, &task), HX_OK);
    push(1, "svc_kv.hxm", world_file("svc_kv-2.hxm"));
    run(1, "reload svc_kv svc_kv.hxm");
    cr_assert_eq(said.count, 0u, "%s", said.frame[0].text);
    run(2, "version");
    hal_host_advance(30 * ms);
    listen();
    expect_end(2, HX_E_BUSY, "\"busy\"");
}

static void expect_refused_swap(uint32_t request)
{
    query(request, "swaps");
    expect_end(request, HX_OK, "");
    expect_output("\"outcome\":\"refused\",\"step\":\"drain\"");
}

Test(control, cancel_ends_a_command_that_waits_for_the_engine_and_what_that_has_begun_goes_on)
{
    wait_for_engine();
    send(1, HX_CONTROL_CANCEL, "", 0);
    hal_host_advance(30 * ms);
    listen();
    expect_end(1, HX_E_CANCELED, "it goes on in the kernel");
    cr_assert_eq(said.count, 1u);
    run(3, "version");
    hal_host_advance(100 * ms);
    listen();
    cr_assert_eq(said.count, 0u, "it comes behind the swap: %s", said.frame[0].text);
    hal_host_advance(1000 * ms);
    listen();
    expect_end(3, HX_OK, "");
    cr_assert_eq(said.count, 2u, "its output and its end");
    expect_refused_swap(4);
}

Test(control, hello_is_answered_while_a_command_waits_for_the_engine)
{
    wait_for_engine();
    send(3, HX_CONTROL_HELLO, "", 0);
    hal_host_advance(30 * ms);
    listen();
    expect_end(3, HX_OK, "\"protocol\"");
    cr_assert_eq(said.count, 1u);
    send(4, HX_CONTROL_HELLO, "", 0);
    hal_host_advance(30 * ms);
    listen();
    expect_end(4, HX_OK, "\"protocol\"");
    cr_assert_eq(said.count, 1u);
    begin_push(5, "a.hxm", hx_slice_of("abc", 3)); /* waits for the engine */
    send_data(5, 0, (const uint8_t *)"abc", 3);
    hal_host_advance(30 * ms);
    listen();
    cr_assert_eq(said.count, 0u, "%s", said.frame[0].text);
    hal_host_advance(1000 * ms);
    listen();
    cr_assert_eq(acknowledged(), 3u);
    expect_end(5, HX_OK, "");
    expect_refused_swap(6);
}

Test(control, what_is_damaged_or_has_no_number_is_told_while_the_engine_goes_on)
{
    wait_for_engine();
    send(1, HX_CONTROL_CANCEL, "", 0);
    hal_host_advance(30 * ms);
    listen();
    expect_end(1, HX_E_CANCELED, "it goes on in the kernel");
    send(0, HX_CONTROL_HELLO, "", 0);
    hal_host_advance(30 * ms);
    listen();
    expect_end(0, HX_E_INVAL, "\"invalid\"");
    send_bytes("HXC1 is no frame", 16);
    hal_host_advance(30 * ms);
    listen();
    cr_assert_eq(said.count, 1u);
    cr_assert_eq(said.frame[0].kind, (uint32_t)HX_CONTROL_DAMAGED);
    hal_host_advance(1000 * ms);
    run(3, "version");
    expect_end(3, HX_OK, "");
}

Test(control, hello_without_a_number_is_refused_while_a_command_runs)
{
    run(1, "dmesg -f");
    send(0, HX_CONTROL_HELLO, "", 0);
    expect_end(0, HX_E_INVAL, "\"invalid\"");
    send(1, HX_CONTROL_CANCEL, "", 0);
    expect_end(1, HX_OK, "");
}

Test(control, what_is_printed_waits_for_room_in_the_line)
{
    hal_host_control_room(100);
    run(1, "help");
    cr_assert_eq(said.count, 0u);
    for (uint32_t i = 0; i < 200; i++) {
        hal_host_control_room(57);
        settle();
    }
    listen();
    expect_end(1, HX_OK, "");
    expect_output("  poweroff [CODE]");
}

/* ---- damage --------------------------------------------------------------------------------------------------------- */
Test(control, a_gap_is_told_once_and_what_is_behind_it_runs)
{
    uint8_t frame[64];
    send_bytes("HXC1 is no frame", 16);
    cr_assert_eq(said.count, 1u);
    cr_assert_eq(said.frame[0].kind, (uint32_t)HX_CONTROL_DAMAGED);
    cr_assert_eq(said.frame[0].request, 0u);
    cr_assert_str_eq(said.frame[0].text, "{\"damaged\":1,\"skipped\":16}");
    size_t bytes = hx_control_frame_encode(frame, 1, HX_CONTROL_EXEC, "ps", 2);
    frame[17] ^= 1;
    send_bytes("more", 4);
    cr_assert_eq(said.count, 0u, "it is the same gap");
    hal_host_advance(600 * ms);
    send_bytes(frame, bytes);
    cr_assert_eq(said.count, 1u, "after a silence it is another");
    cr_assert_str_eq(said.frame[0].text, "{\"damaged\":2,\"skipped\":38}");
    run(2, "version");
    expect_end(2, HX_OK, "");
    cr_assert_eq(said.count, 2u);
}

Test(control, a_frame_that_stops_is_given_up_and_the_next_is_whole)
{
    uint8_t frame[64];
    size_t bytes = hx_control_frame_encode(frame, 1, HX_CONTROL_EXEC, "version", 7);
    for (size_t cut = 1; cut < bytes; cut++) {
        send_bytes(frame, cut);
        hal_host_advance(600 * ms);
        listen();
        cr_assert_eq(said.count, 1u, "cut at %zu", cut);
        run(2, "version");
        expect_end(2, HX_OK, "");
        cr_assert_eq(said.count, 2u);
    }
}

/* ---- pushes --------------------------------------------------------------------------------------------------------- */
Test(control, a_pushed_file_stands_before_others_and_is_reloaded)
{
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    push(1, "svc_kv.hxm", world_file("svc_kv-2.hxm"));
    expect_end(1, HX_OK, "");
    run(2, "modinfo svc_kv.hxm");
    expect_output("svc_kv 2.0.0");
    run(3, "modinfo");
    expect_output("svc_kv.hxm ");
    expect_output("modinfo: 0 files in the initrd, 1 pushed\n");
    run(4, "reload svc_kv");
    expect_end(4, HX_OK, "");
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    query(5, "swaps");
    expect_output("\"who\":\"control\"");
}

Test(control, a_file_goes_when_neither_its_name_nor_a_version_has_it)
{
    struct hx_job job;
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    struct census first = world_census();
    push(1, "svc_kv.hxm", world_file("svc_kv-2.hxm"));
    struct census one = world_census();
    cr_assert_eq(one.heap_objects, first.heap_objects + 1);
    run(2, "reload svc_kv");
    hal_host_advance(2000 * ms); /* probation */
    push(3, "svc_kv.hxm", world_file("svc_kv.hxm"));
    expect_end(3, HX_OK, "");
    struct census two = world_census();
    run(4, "modinfo svc_kv"); /* of bytes that have no name any more */
    expect_output("version:   2.0.0");
    cr_assert_eq(world_simple(HX_JOB_RESTART, "svc_kv", &job), HX_OK, "%s", job.report.message);
    cr_assert_str_eq(world_version("svc_kv"), "2.0.0");
    cr_assert_eq(world_unload("svc_kv", &job), HX_OK);
    cr_assert_eq(world_census().heap_bytes < two.heap_bytes - world_file("svc_kv-2.hxm").bytes, true);
    push(5, "svc_kv.hxm", hx_slice_of("x", 1));
    cr_assert_leq(world_census().heap_bytes, first.heap_bytes);
}

Test(control, a_version_that_comes_back_has_its_bytes_still)
{
    struct hx_job job;
    push(1, "svc_kv.hxm", world_file("svc_kv.hxm"));
    run(2, "insmod svc_kv");
    expect_end(2, HX_OK, "");
    push(3, "svc_kv.hxm", world_file("svc_kv-2.hxm"));
    run(4, "reload svc_kv");
    expect_end(4, HX_OK, "");
    push(5, "svc_kv.hxm", hx_slice_of("x", 1)); /* both have no name now */
    run(6, "rollback svc_kv");
    expect_end(6, HX_OK, "");
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
    cr_assert_eq(world_simple(HX_JOB_RESTART, "svc_kv", &job), HX_OK);
    run(7, "sym kv_find");
    expect_output("svc_kv 1.0.0, text");
}

Test(control, each_bad_push_is_refused_for_its_reason_and_leaves_nothing)
{
    struct census before = world_census();
    struct hx_control_push said_push = { .bytes = 3, .crc = 1, .name = "a.hxm" };
    send(1, HX_CONTROL_PUSH, "", 0);
    expect_end(1, HX_E_FORMAT, "PUSH has 0 bytes, not 136");
    begin_push(2, "../a.hxm", hx_slice_of("abc", 3));
    expect_end(2, HX_E_FORMAT, "the name is none");
    begin_push(3, "a.txt", hx_slice_of("abc", 3));
    expect_end(3, HX_E_FORMAT, "the name is none");
    begin_push(4, "a.hxm", hx_slice_of("", 0));
    expect_end(4, HX_E_LIMIT, "0 bytes");
    said_push.bytes = HX_CONTROL_FILE_MAX + 1;
    send(5, HX_CONTROL_PUSH, &said_push, sizeof(said_push));
    expect_end(5, HX_E_LIMIT, "4194305 bytes");
    said_push.bytes = 3;
    send(6, HX_CONTROL_PUSH, &said_push, sizeof(said_push));
    send_data(6, 0, (const uint8_t *)"abc", 3);
    expect_end(6, HX_E_CHECKSUM, "364b3fb7, not 00000001");
    begin_push(7, "a.hxm", hx_slice_of("abc", 3));
    send_data(7, 0, (const uint8_t *)"abcd", 4);
    expect_end(7, HX_E_RANGE, "more than the 3 bytes");
    hal_host_fail_at(1);
    begin_push(8, "a.hxm", hx_slice_of("abc", 3));
    expect_end(8, HX_E_NOMEM, "no room");
    ASSERT_CENSUS(before);
    run(9, "modinfo a.hxm");
    expect_end(9, HX_E_NOENT, "");
}

Test(control, data_out_of_order_is_answered_with_what_is_expected)
{
    begin_push(1, "a.hxm", hx_slice_of("abcdef", 6));
    send_data(1, 3, (const uint8_t *)"def", 3);
    cr_assert_eq(acknowledged(), 0u);
    send_data(1, 0, (const uint8_t *)"abc", 3);
    cr_assert_eq(acknowledged(), 3u);
    send_data(1, 0, (const uint8_t *)"abc", 3);
    cr_assert_eq(acknowledged(), 3u);
    run(2, "version");
    expect_end(2, HX_E_BUSY, "");
    begin_push(3, "b.hxm", hx_slice_of("abcdef", 6));
    expect_end(3, HX_E_BUSY, "");
    send_data(4, 3, (const uint8_t *)"xyz", 3); /* another's */
    cr_assert_eq(said.count, 0u);
    send_data(1, 3, (const uint8_t *)"def", 3);
    cr_assert_eq(acknowledged(), 6u);
    expect_end(1, HX_OK, "");
}

Test(control, a_push_that_is_cancelled_leaves_nothing)
{
    struct census before = world_census();
    begin_push(1, "a.hxm", hx_slice_of("abcdef", 6));
    send_data(1, 0, (const uint8_t *)"abc", 3);
    send(1, HX_CONTROL_CANCEL, "", 0);
    expect_end(1, HX_E_CANCELED, "given up");
    ASSERT_CENSUS(before);
}

Test(control, there_is_an_end_to_what_can_be_pushed)
{
    static uint8_t zeros[HX_CONTROL_FILE_MAX];
    struct census before = world_census();
    char name[16];
    for (uint32_t i = 0; i < HX_PUSHED_BYTES_MAX / HX_CONTROL_FILE_MAX; i++) {
        snprintf(name, sizeof(name), "%u.hxm", i);
        struct hx_pushed *file;
        cr_assert_eq(hx_pushed_reserve(name, sizeof(zeros), &file), HX_OK);
        hx_pushed_publish(file);
    }
    begin_push(1, "a.hxm", hx_slice_of("a", 1));
    expect_end(1, HX_E_LIMIT, "no room for 1 bytes beside the files pushed before, 16777216 in all");
    push(2, "0.hxm", hx_slice_of("a", 0)); /* refused, too: nothing is as good as taken */
    expect_end(2, HX_E_LIMIT, "");
    cr_assert_eq(world_census().heap_objects, before.heap_objects + 4);
}

/* All that goes over the line when a file is pushed and takes its module's place. Returns how many bytes; *@out_there: behind
 * which of them the kernel has the file. */
static size_t lay_push(uint8_t *line, struct hx_slice file, const char *command, size_t *out_there)
{
    struct hx_control_push push = { .bytes = (uint32_t)file.bytes, .crc = hx_crc32c(0, file.data, file.bytes) };
    uint8_t data[HX_CONTROL_PAYLOAD_MAX];
    snprintf(push.name, sizeof(push.name), "a.hxm");
    size_t used = hx_control_frame_encode(line, 1, HX_CONTROL_HELLO, "", 0);
    used += hx_control_frame_encode(line + used, 2, HX_CONTROL_PUSH, &push, sizeof(push));
    for (uint32_t at = 0, part; at < file.bytes; at += part) {
        part = file.bytes - at < 1000 ? (uint32_t)file.bytes - at : 1000;
        memcpy(data, &at, sizeof(at));
        memcpy(data + sizeof(at), file.data + at, part);
        used += hx_control_frame_encode(line + used, 2, HX_CONTROL_DATA, data, sizeof(at) + part);
    }
    *out_there = used;
    return used + hx_control_frame_encode(line + used, 3, HX_CONTROL_EXEC, command, strlen(command));
}

/* Somebody else says hello, and asks the module; it was swapped @swaps times. */
static void expect_old_version_answers(uint32_t swaps, size_t cut)
{
    send(10, HX_CONTROL_HELLO, "", 0);
    expect_end(10, HX_OK, "\"protocol\"");
    run(11, "request keeper 1");
    expect_end(11, HX_OK, "");
    cr_assert_not_null(strstr(said.output, "code 1: 0000000000000000"), "cut behind byte %zu: %s", cut, said.output);
    cr_assert_eq(hx_module_find("keeper")->swaps, swaps, "cut behind byte %zu", cut);
}

/* A peer pushes a good module, has it replace what runs, and dies behind any byte of all that; another comes. */
Test(control, a_push_cut_at_any_byte_leaves_the_old_version_answering_and_nothing_behind, .timeout = 60)
{
    static uint8_t line[64 * 1024];
    struct hx_slice file = world_file("keeper.hxm");
    size_t there = 0, whole = lay_push(line, file, "reload keeper a.hxm", &there);
    cr_assert_eq(world_load("keeper.hxm", NULL), HX_OK);
    expect_old_version_answers(0, 0);
    struct census before = world_census(), with_file = before;
    for (size_t cut = 1; cut < whole; cut++) {
        send_bytes(line, cut);
        hal_host_advance(600 * ms);
        listen();
        expect_old_version_answers(0, cut);
        if (cut == there)
            with_file = world_census();
        ASSERT_CENSUS(cut < there ? before : with_file);
    }
    cr_assert_eq(with_file.heap_objects, before.heap_objects + 1);
    send_bytes(line, whole);
    expect_end(3, HX_OK, "");
    expect_old_version_answers(1, whole);
}

/* A number below @bound, the next of a sequence. Source: Knuth's MMIX. */
static uint32_t draw(uint32_t bound)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % bound;
}

/* A payload as @kind has it, or nearly so. */
static size_t draw_payload(uint32_t kind, uint8_t *out)
{
    static const char *const lines[] = { "version", "dmesg -f", "modinfo", "events -f",
                                         "",        "nonsense", "'",       "reload svc_kv svc_kv.hxm" };
    const char *line = lines[draw(HX_ARRAY_SIZE(lines))];
    struct hx_control_push push = { .bytes = draw(2) ? 3 : draw(5000000), .crc = hx_crc32c(0, "abc", 3) };
    uint32_t offset = draw(4);
    switch (kind) {
    case HX_CONTROL_EXEC:
    case HX_CONTROL_QUERY: memcpy(out, line, strlen(line)); return strlen(line);
    case HX_CONTROL_PUSH:
        snprintf(push.name, sizeof(push.name), "%s", draw(4) ? "a.hxm" : "a.txt");
        memcpy(out, &push, sizeof(push));
        return sizeof(push) - (draw(8) == 0);
    case HX_CONTROL_DATA:
        memcpy(out, &offset, sizeof(offset));
        memcpy(out + sizeof(offset), "abcd", 4);
        return draw(4) ? 4 + draw(5) : draw(4);
    default: return draw(3);
    }
}

Test(control, any_sequence_of_whole_frames_leaves_a_channel_that_answers, .timeout = 60)
{
    static uint8_t payload[256], frame[HX_CONTROL_FRAME_MAX];
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    push(1, "svc_kv.hxm", world_file("svc_kv.hxm"));
    send(2, HX_CONTROL_HELLO, "", 0);
    for (uint32_t round = 1; round <= 500; round++) {
        for (uint32_t i = 1 + draw(6); i > 0; i--) {
            uint32_t kind = draw(9);
            size_t bytes = draw_payload(kind, payload);
            bytes = hx_control_frame_encode(frame, draw(5), kind, payload, bytes);
            hal_host_control_send(frame, bytes);
            if (draw(2))
                settle();
        }
        hal_host_advance(draw(40) * ms);
        listen();
        send(1000 + round, HX_CONTROL_HELLO, "", 0);
        expect_end(1000 + round, HX_OK, "\"protocol\"");
    }
    run(2000, "version");
    expect_end(2000, HX_OK, "");
    cr_assert_str_eq(world_version("svc_kv"), "1.0.0");
}

/* ---- who may -------------------------------------------------------------------------------------------------------- */
TestSuite(control_signed, .timeout = 30);

/* Source: RFC 8032, section 7.1, TEST 2. */
static const uint8_t key[32] = { 0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a,
                                 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4,
                                 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c };
static const uint8_t signature[64] = { 0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
                                       0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
                                       0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
                                       0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
                                       0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00 };

static void push_signed(uint32_t request, uint8_t byte, const uint8_t *by)
{
    struct hx_control_push push = { .bytes = 1, .crc = hx_crc32c(0, &byte, 1), .name = "a.hxm" };
    if (by)
        memcpy(push.signature, by, sizeof(push.signature));
    send(request, HX_CONTROL_PUSH, &push, sizeof(push));
    if (said.count == 0)
        send_data(request, 0, &byte, 1);
}

Test(control_signed, only_what_the_key_has_signed_is_taken)
{
    start(true, key);
    struct census before = world_census();
    push_signed(1, 0x72, NULL);
    expect_end(1, HX_E_PERM, "has not signed this");
    push_signed(2, 0x73, signature);
    expect_end(2, HX_E_PERM, "has not signed this");
    ASSERT_CENSUS(before);
    push_signed(3, 0x72, signature);
    expect_end(3, HX_OK, "");
    run(4, "version");
    expect_end(4, HX_OK, "");
}

Test(control_signed, without_a_key_nothing_is_taken)
{
    start(true, NULL);
    push_signed(1, 0x72, signature);
    expect_end(1, HX_E_DISABLED, "no key is built into this kernel");
}

Test(control_signed, a_machine_without_the_line_has_no_task)
{
    world_begin(1000);
    hal_host_control_absent();
    uint32_t tasks = hx_task_count();
    cr_assert_eq(hx_control_start(false, NULL), HX_E_ABSENT);
    cr_assert_eq(hx_task_count(), tasks);
}
