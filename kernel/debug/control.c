/* SPDX-License-Identifier: MIT */
/*
 * control.c - see control.h: frames in, commands run, frames out.
 *
 * Why one task: while a command runs, it looks itself for what may interrupt it (hx_console_interrupted), and what has come until
 * its end is refused or obeyed before the end is told; when it waits for the engine it looks by end_early(). So nothing here is
 * shared.
 * Why it waits to send: the line is slower than a command, and a peer may not read; others run meanwhile, and what it has sent
 * to us stays in its hands.
 * Context: the control channel's task, but for hx_entry_control().
 */
#include "control.h"

#include "command.h"
#include "console.h"
#include "control_push.h"
#include "line_editor.h"

#include <hal/hx_hal_entry.h>
#include <helix/module.h>
#include <lib/control_frame.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <orchestrator/capability_broker.h>
#include <stdatomic.h>
#include <task/task.h>

enum { CONTROL_PRIORITY = 255, PIECE_BYTES = 512, HEADER_BYTES = sizeof(struct hx_control_header) };

static const uint64_t idle_ns = HX_CONTROL_IDLE_MS * UINT64_C(1000000);
static struct hx_waitq changes = HX_WAITQ_INIT(changes);

static struct {
    uint32_t push;        /* of the file that is being pushed; 0: none */
    uint32_t request;     /* that is being served; 0: none */
    uint32_t hello;       /* that came meanwhile and waits for its answer; 0: none */
    bool is_given_up;     /* nobody wants what the command prints: a HELLO has come, or: */
    bool is_ended;        /* its peer has had an answer already; what comes now is for after it */
    bool is_held;         /* `held` has come meanwhile; it lies in the decoder, which rests */
    uint32_t gaps_told;   /* of the decoder's */
    uint32_t kind;        /* of the frame that is being filled */
    uint32_t used;        /* bytes of its payload */
    uint64_t heard_ns;    /* when bytes came last */
    _Atomic bool changed; /* since it was looked at: bytes have come, or there is room */
    uint32_t piece_from, piece_to;
    uint8_t piece[PIECE_BYTES]; /* received, and not with the decoder yet */
    uint8_t frame[HX_CONTROL_FRAME_MAX];
    char line[HX_EDITOR_LINE_MAX + 1];
    struct hx_control_frame held;
    struct hx_control_decoder decoder;
} control;

static struct hx_sink sink;

/* ---- the line ------------------------------------------------------------------------------------------------------- */
void hx_entry_control(void)
{
    atomic_store_explicit(&control.changed, true, memory_order_release);
    hx_waitq_wake_one(&changes);
}

static bool has_changed(void *unused)
{
    (void)unused;
    return atomic_load_explicit(&control.changed, memory_order_acquire);
}

/* Until something has changed since what is there was looked at; a timeout is as good. Nobody kills a core task. */
static hx_status_t wait(uint64_t deadline_ns)
{
    hx_status_t err = hx_waitq_wait(&changes, has_changed, NULL, deadline_ns);
    return err == HX_E_TIMEOUT ? HX_OK : err;
}

static void look(void)
{
    atomic_store_explicit(&control.changed, false, memory_order_release);
}

static void send(const uint8_t *data, size_t bytes)
{
    for (;;) {
        look();
        size_t done = hx_hal_control_write(data, bytes);
        data += done;
        bytes -= done;
        if (bytes == 0)
            return;
        if (wait(UINT64_MAX) != HX_OK)
            return;
    }
}

static void flush_as(uint32_t request)
{
    if (control.used == 0)
        return;
    size_t bytes =
        hx_control_frame_encode(control.frame, request, control.kind, control.frame + HEADER_BYTES, control.used);
    control.used = 0;
    send(control.frame, bytes);
}

static void flush(void)
{
    flush_as(control.request);
}

static void put(const char *text, size_t bytes)
{
    if (control.is_given_up)
        return;
    while (bytes > 0) {
        size_t room = HX_CONTROL_PAYLOAD_MAX - control.used, part = bytes < room ? bytes : room;
        memcpy(control.frame + HEADER_BYTES + control.used, text, part);
        control.used += (uint32_t)part;
        text += part;
        bytes -= part;
        if (control.used == HX_CONTROL_PAYLOAD_MAX)
            flush();
    }
}

__attribute__((format(printf, 1, 2))) static void put_format(const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    size_t whole = hx_fmt_v(text, sizeof(text), format, arguments);
    va_end(arguments);
    put(text, whole < sizeof(text) ? whole : sizeof(text) - 1);
}

static void put_member(const char *key, const char *text)
{
    put_format(",\"%s\":", key);
    hx_console_json_string(&sink, text, strlen(text));
}

/* ---- what the kernel says ------------------------------------------------------------------------------------------- */
/* From here to hush(), which takes what this returns, the kernel's own words go out though the command that runs has been answered,
 * and nobody wants what that prints. */
static bool speak(void)
{
    bool was_given_up = control.is_given_up;
    control.is_given_up = was_given_up && !control.is_ended;
    return was_given_up;
}

static void hush(bool was_given_up)
{
    control.is_given_up = was_given_up;
}

static void begin_end(hx_status_t status)
{
    flush();
    control.kind = HX_CONTROL_END;
    put_format("{\"status\":%d,\"error\":\"%s\"", status < 0 ? status : HX_OK,
               hx_err_name(status < 0 ? status : HX_OK));
}

/* Of @request, whichever is being served. What that has printed goes before. */
static void end(uint32_t request, hx_status_t status, const char *text)
{
    uint32_t kind = control.kind;
    bool was_given_up = speak();
    begin_end(status);
    put_member("text", text);
    put("}", 1);
    flush_as(request);
    control.kind = kind;
    hush(was_given_up);
}

static void refuse(uint32_t request, hx_status_t err)
{
    end(request, err, hx_err_text(err));
}

static void tell_gap(void)
{
    const struct hx_control_decoder *decoder = &control.decoder;
    uint32_t kind = control.kind;
    if (decoder->gaps == control.gaps_told)
        return;
    bool was_given_up = speak();
    flush();
    control.gaps_told = decoder->gaps;
    control.kind = HX_CONTROL_DAMAGED;
    put_format("{\"damaged\":%llu,\"skipped\":%llu}", (unsigned long long)decoder->damaged,
               (unsigned long long)decoder->skipped);
    flush_as(0);
    control.kind = kind;
    hush(was_given_up);
}

/* ---- frames --------------------------------------------------------------------------------------------------------- */
/* Received bytes go to the decoder. False: there are none. */
static bool feed(void)
{
    if (control.piece_from == control.piece_to) {
        control.piece_from = 0;
        control.piece_to = (uint32_t)hx_hal_control_read(control.piece, PIECE_BYTES);
        if (control.piece_to == 0)
            return false;
        uint64_t now_ns = hx_hal_clock_ns();
        if (now_ns - control.heard_ns >= idle_ns)
            control.decoder.in_gap = false; /* who waited for an answer tries again, and is to hear of it again */
        control.heard_ns = now_ns;
    }
    control.piece_from += (uint32_t)hx_control_decoder_put(&control.decoder, control.piece + control.piece_from,
                                                           control.piece_to - control.piece_from);
    return true;
}

/* When a frame that has begun is given up. */
static uint64_t patience_ns(void)
{
    return hx_control_decoder_waits(&control.decoder) ? control.heard_ns + idle_ns : UINT64_MAX;
}

static bool next_frame(struct hx_control_frame *out)
{
    for (;;) {
        bool found = hx_control_decoder_next(&control.decoder, out);
        tell_gap();
        if (found)
            return true;
        if (feed())
            continue;
        if (hx_hal_clock_ns() < patience_ns())
            return false;
        hx_control_decoder_give_up(&control.decoder);
    }
}

/* The others belong to one. */
static bool is_request(const struct hx_control_frame *frame)
{
    return frame->kind != HX_CONTROL_HELLO && frame->kind != HX_CONTROL_DATA && frame->kind != HX_CONTROL_CANCEL;
}

/* Begins anew with whoever says hello. */
static void introduce(uint32_t request)
{
    hx_control_push_drop();
    control.push = control.hello = 0;
    control.is_given_up = false;
    control.kind = HX_CONTROL_END;
    begin_end(HX_OK);
    put_member("text", "helix " HX_HELIX_VERSION);
    put_member("version", HX_HELIX_VERSION);
    put_format(",\"abi\":\"%u.%u.%u\",\"protocol\":%u,\"cpus\":%u,\"uptime_ns\":%llu}", HX_VERSION_MAJOR(HX_ABI),
               HX_VERSION_MINOR(HX_ABI), HX_VERSION_PATCH(HX_ABI), HX_CONTROL_VERSION, hx_hal_cpu_count(),
               (unsigned long long)hx_hal_clock_ns());
    flush_as(request);
}

/* While a command runs: what may be said to it. */
static void take_meanwhile(const struct hx_control_frame *frame)
{
    bool is_hello = frame->kind == HX_CONTROL_HELLO;
    if (is_hello || (frame->kind == HX_CONTROL_CANCEL && frame->request == control.request))
        atomic_store_explicit(&sink.interrupted, true, memory_order_relaxed);
    else if (is_request(frame) && !control.is_given_up)
        refuse(frame->request, HX_E_BUSY);
    if (!is_hello)
        return;
    control.hello = frame->request;
    control.is_given_up = true;
    control.used = 0;
}

/* While it runs on although it has been answered: what comes is for after it, but for HELLO. */
static void take_behind(const struct hx_control_frame *frame)
{
    if (frame->kind == HX_CONTROL_HELLO) {
        introduce(frame->request);
        control.is_given_up = true;
    } else if (is_request(frame)) {
        control.held = *frame;
        control.is_held = true;
    }
}

static void poll(void)
{
    struct hx_control_frame frame;
    look();
    while (!control.is_held && next_frame(&frame)) {
        if (frame.request == 0)
            refuse(0, HX_E_INVAL);
        else
            (control.is_ended ? take_behind : take_meanwhile)(&frame);
    }
}

static bool pause(uint64_t deadline_ns, bool any_key)
{
    (void)any_key;
    flush();
    while (!hx_console_interrupted()) {
        if (hx_hal_clock_ns() >= deadline_ns)
            return false;
        uint64_t patience = patience_ns();
        if (wait(patience < deadline_ns ? patience : deadline_ns) != HX_OK)
            return true;
    }
    return true;
}

/* ---- requests ------------------------------------------------------------------------------------------------------- */
/* What the engine has begun cannot be broken off. Who gives it up is answered at once. */
static void end_early(void)
{
    poll();
    if (control.is_ended || !atomic_load_explicit(&sink.interrupted, memory_order_relaxed))
        return;
    if (control.hello)
        introduce(control.hello);
    else
        end(control.request, HX_E_CANCELED, "it goes on in the kernel; swaps and lsmod tell what came of it");
    control.is_given_up = control.is_ended = true;
}

/* The machine ends in the command that runs. */
static void finish(void)
{
    if (!control.is_given_up)
        end(control.request, HX_OK, "");
}

static hx_status_t run_line(bool wants_rows)
{
    control.kind = wants_rows ? HX_CONTROL_ROWS : HX_CONTROL_OUTPUT;
    sink.wants_rows = wants_rows;
    sink.has_rows = sink.inside_line = false;
    sink.error[0] = '\0';
    atomic_store_explicit(&sink.interrupted, false, memory_order_relaxed);
    hx_status_t err = hx_command_run(hx_command_table, control.line);
    hx_console_fresh_line();
    sink.wants_rows = false;
    return err;
}

static void run(const struct hx_control_frame *frame)
{
    size_t bytes = frame->payload.bytes;
    if (bytes > HX_EDITOR_LINE_MAX)
        refuse(frame->request, HX_E_LIMIT);
    else if (memchr(frame->payload.data, 0, bytes))
        refuse(frame->request, HX_E_FORMAT);
    if (bytes > HX_EDITOR_LINE_MAX || memchr(frame->payload.data, 0, bytes))
        return;
    memcpy(control.line, frame->payload.data, bytes);
    control.line[bytes] = '\0';
    control.request = frame->request;
    hx_status_t err = run_line(frame->kind == HX_CONTROL_QUERY);
    poll();
    if (!control.is_given_up)
        end(control.request, err, err == HX_OK ? "" : sink.error[0] ? sink.error : hx_err_text(err));
    control.request = 0;
    if (control.hello)
        introduce(control.hello);
    control.is_given_up = control.is_ended = false;
}

static void begin_push(const struct hx_control_frame *frame)
{
    struct hx_control_refusal refusal;
    hx_status_t err = hx_control_push_begin(frame->payload, &refusal);
    if (err == HX_OK)
        control.push = frame->request;
    else
        end(frame->request, err, refusal.why);
}

static void take_data(const struct hx_control_frame *frame)
{
    struct hx_control_refusal refusal = { .why = "" };
    uint32_t expected = 0;
    bool is_done = false;
    if (frame->request != control.push)
        return; /* of one that was refused, when this was under way */
    hx_status_t err = hx_control_push_data(frame->payload, &expected, &is_done, &refusal);
    if (err == HX_OK) {
        control.kind = HX_CONTROL_ACK;
        put((const char *)&expected, sizeof(expected));
        flush_as(control.push);
    }
    if (err == HX_OK && !is_done)
        return;
    control.push = 0;
    end(frame->request, err, refusal.why);
}

static void cancel(uint32_t request)
{
    if (request != control.push)
        return; /* what it means has ended */
    hx_control_push_drop();
    control.push = 0;
    end(request, HX_E_CANCELED, "given up");
}

static void take(const struct hx_control_frame *frame)
{
    if (frame->request == 0) {
        refuse(0, HX_E_INVAL);
        return;
    }
    if (is_request(frame) && control.push) {
        refuse(frame->request, HX_E_BUSY);
        return;
    }
    switch (frame->kind) {
    case HX_CONTROL_HELLO: introduce(frame->request); break;
    case HX_CONTROL_EXEC:
    case HX_CONTROL_QUERY: run(frame); break;
    case HX_CONTROL_PUSH: begin_push(frame); break;
    case HX_CONTROL_DATA: take_data(frame); break;
    case HX_CONTROL_CANCEL: cancel(frame->request); break;
    default: refuse(frame->request, HX_E_UNSUPPORTED); break;
    }
}

/* ---- the task ------------------------------------------------------------------------------------------------------- */
static struct hx_sink sink = { .principal = &hx_control_principal,
                               .write = put,
                               .pause = pause,
                               .poll = poll,
                               .meanwhile = end_early,
                               .finish = finish };

static hx_status_t control_body(void *unused)
{
    struct hx_control_frame frame;
    (void)unused;
    hx_status_t err = HX_OK;
    hx_console_bind_sink(&sink);
    while (err == HX_OK) {
        look();
        while (control.is_held || next_frame(&frame)) {
            if (control.is_held)
                frame = control.held;
            control.is_held = false;
            take(&frame);
        }
        err = wait(patience_ns());
    }
    return err;
}

hx_status_t hx_control_start(bool is_signed, const uint8_t *key)
{
    hx_handle_t task;
    hx_control_push_bind(is_signed, key);
    if (!hx_hal_control_open())
        return HX_E_ABSENT;
    return hx_task_create(HX_TASK_CORE, "control", CONTROL_PRIORITY, control_body, NULL, &task);
}
