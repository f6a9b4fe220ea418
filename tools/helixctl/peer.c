/* SPDX-License-Identifier: MIT */
/* peer.c - see peer.h. */
#include "peer.h"

#include "interrupt.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 8 };
static const double hello_s = 5.0, hello_again_s = 0.7, patience_s = 60.0, cancel_s = 3.0, again_s = 0.3;

double hx_ctl_peer_patience(const struct hx_ctl_peer *peer)
{
    return peer->options->timed ? peer->options->timeout_s : patience_s;
}

/* ---- frames ----------------------------------------------------------------------------------------------------------- */
enum hx_ctl_event hx_ctl_peer_send(struct hx_ctl_peer *peer, enum hx_control_kind kind, const void *payload,
                                   size_t bytes)
{
    uint8_t frame[HX_CONTROL_FRAME_MAX];
    size_t length = hx_control_frame_encode(frame, peer->request, kind, payload, bytes);

    switch (hx_ctl_line_write(&peer->line, hx_ctl_deadline(hx_ctl_peer_patience(peer)), frame, length)) {
    case HX_CTL_LINE_DATA: return HX_CTL_EVENT_FRAME;
    case HX_CTL_LINE_SILENT: return HX_CTL_EVENT_SILENT;
    case HX_CTL_LINE_STOPPED: return HX_CTL_EVENT_STOPPED;
    default: peer->closed = true; return HX_CTL_EVENT_CLOSED;
    }
}

/* What the decoder has: a frame of ours, a sign of damage, or nothing (SILENT). */
static enum hx_ctl_event next_frame(struct hx_ctl_peer *peer, struct hx_control_frame *out)
{
    while (hx_control_decoder_next(&peer->decoder, out)) {
        if (out->kind == HX_CONTROL_DAMAGED) {
            peer->told++;
            return HX_CTL_EVENT_TOLD;
        }
        if (out->request == peer->request)
            return HX_CTL_EVENT_FRAME;
    }
    if (peer->decoder.gaps == peer->gaps)
        return HX_CTL_EVENT_SILENT;
    peer->gaps = peer->decoder.gaps;
    return HX_CTL_EVENT_GAP;
}

static enum hx_ctl_line_event read_some(struct hx_ctl_peer *peer, uint64_t deadline_ns)
{
    uint8_t data[HX_CONTROL_FRAME_MAX];
    size_t room = sizeof(data) - (peer->decoder.to - peer->decoder.from), got = 0;
    enum hx_ctl_line_event event = hx_ctl_line_read(&peer->line, deadline_ns, data, room, &got);

    for (size_t at = 0; event == HX_CTL_LINE_DATA && at < got;)
        at += hx_control_decoder_put(&peer->decoder, data + at, got - at);
    return event;
}

enum hx_ctl_event hx_ctl_peer_receive(struct hx_ctl_peer *peer, uint64_t deadline_ns, struct hx_control_frame *out)
{
    for (;;) {
        enum hx_ctl_event event = next_frame(peer, out);
        if (event != HX_CTL_EVENT_SILENT)
            return event;
        bool waits = hx_control_decoder_waits(&peer->decoder);
        uint64_t idle_ns = hx_ctl_deadline(HX_CONTROL_IDLE_MS / 1000.0);
        bool idle_first = waits && idle_ns < deadline_ns;

        switch (read_some(peer, idle_first ? idle_ns : deadline_ns)) {
        case HX_CTL_LINE_DATA: break;
        case HX_CTL_LINE_STOPPED: return HX_CTL_EVENT_STOPPED;
        case HX_CTL_LINE_CLOSED: peer->closed = true; return HX_CTL_EVENT_CLOSED;
        case HX_CTL_LINE_SILENT:
            if (!idle_first)
                return HX_CTL_EVENT_SILENT;
            hx_control_decoder_give_up(&peer->decoder);
            break;
        }
    }
}

void hx_ctl_peer_begin(struct hx_ctl_peer *peer)
{
    if (++peer->request == 0)
        peer->request = 1;
    peer->gaps = peer->decoder.gaps;
}

enum hx_ctl_exit hx_ctl_peer_lost(const struct hx_ctl_peer *peer, enum hx_ctl_event event, const char *what)
{
    const char *path = peer->line.path;

    switch (event) {
    case HX_CTL_EVENT_STOPPED: hx_ctl_complain("%s: interrupted", what); return HX_CTL_STOPPED;
    case HX_CTL_EVENT_CLOSED:
        hx_ctl_complain("%s: the connection to %s has ended; see whether the kernel still runs", what, path);
        return HX_CTL_ABSENT;
    case HX_CTL_EVENT_SILENT:
        hx_ctl_complain(
            "%s: no answer from %s within %g s; see the kernel's console, or give it more time by --timeout", what,
            path, hx_ctl_peer_patience(peer));
        return HX_CTL_ABSENT;
    default:
        hx_ctl_complain(
            "%s: %s: the line damages what goes over it (%llu gaps here, %llu told by the kernel); look at the "
            "cable, and with swaps at what was done",
            what, path, (unsigned long long)peer->decoder.gaps, (unsigned long long)peer->told);
        return HX_CTL_DAMAGED;
    }
}

/* ---- HELLO ------------------------------------------------------------------------------------------------------------ */
/* One introduction; SILENT: say it again. */
static enum hx_ctl_event greet_once(struct hx_ctl_peer *peer, uint64_t deadline_ns)
{
    struct hx_control_frame frame;
    struct hx_ctl_answer answer;
    enum hx_ctl_event event = HX_CTL_EVENT_SILENT;

    hx_ctl_peer_begin(peer);
    event = hx_ctl_peer_send(peer, HX_CONTROL_HELLO, NULL, 0);
    while (event != HX_CTL_EVENT_SILENT && event != HX_CTL_EVENT_CLOSED && event != HX_CTL_EVENT_STOPPED) {
        event = hx_ctl_peer_receive(peer, deadline_ns, &frame);
        if (event != HX_CTL_EVENT_FRAME || frame.kind != HX_CONTROL_END)
            continue; /* what is left of somebody else's */
        bool good = hx_ctl_answer_read(&answer, frame.payload.data, frame.payload.bytes);
        json_decref(peer->introduction);
        peer->introduction = json_incref(answer.end);
        hx_ctl_answer_free(&answer);
        return good ? HX_CTL_EVENT_FRAME : HX_CTL_EVENT_GAP;
    }
    return event;
}

static enum hx_ctl_exit check_version(const struct hx_ctl_peer *peer, bool quiet)
{
    double version = hx_ctl_member_number(peer->introduction, "protocol", HX_CONTROL_VERSION);

    if ((int)version == HX_CONTROL_VERSION)
        return HX_CTL_OK;
    if (!quiet)
        hx_ctl_complain(
            "%s: the kernel speaks version %d of the protocol, this program version %d; take the helixctl of its "
            "SDK",
            peer->line.path, (int)version, HX_CONTROL_VERSION);
    return HX_CTL_REFUSED;
}

enum hx_ctl_exit hx_ctl_peer_greet(struct hx_ctl_peer *peer, bool quiet)
{
    double limit_s = peer->options->timed ? peer->options->timeout_s : hello_s;
    uint64_t end_ns = hx_ctl_deadline(limit_s);
    enum hx_ctl_event event = HX_CTL_EVENT_SILENT;

    while (event != HX_CTL_EVENT_FRAME && hx_ctl_clock_ns() < end_ns) {
        uint64_t again_ns = hx_ctl_deadline(hello_again_s);

        event = greet_once(peer, again_ns < end_ns ? again_ns : end_ns);
        if (event == HX_CTL_EVENT_CLOSED || event == HX_CTL_EVENT_STOPPED)
            break;
    }
    if (event == HX_CTL_EVENT_FRAME)
        return check_version(peer, quiet);
    if (event == HX_CTL_EVENT_STOPPED)
        return HX_CTL_STOPPED;
    if (!quiet && event == HX_CTL_EVENT_CLOSED)
        hx_ctl_complain("%s: closed before a kernel has answered; see whether it still runs", peer->line.path);
    else if (!quiet)
        hx_ctl_complain(
            "%s: connected, but no kernel has answered within %g s; see whether it has booted with control=on, "
            "and whether another program is connected",
            peer->line.path, limit_s);
    return HX_CTL_ABSENT;
}

enum hx_ctl_exit hx_ctl_peer_open(struct hx_ctl_peer *out, const struct hx_ctl_options *options, bool quiet)
{
    enum hx_ctl_exit status = HX_CTL_ABSENT;

    memset(out, 0, sizeof(*out));
    out->options = options;
    /* So that answers to a peer before are not taken for ours. */
    out->request = (uint32_t)(hx_ctl_clock_ns() / 1000) & 0x3fffffff;
    status = hx_ctl_line_open(&out->line, options, quiet);
    return status == HX_CTL_OK ? hx_ctl_peer_greet(out, quiet) : status;
}

void hx_ctl_peer_close(struct hx_ctl_peer *peer)
{
    hx_ctl_line_close(&peer->line);
    json_decref(peer->introduction);
    peer->introduction = NULL;
}

/* ---- requests --------------------------------------------------------------------------------------------------------- */
/* What is held back until it is whole. */
struct held {
    char *data; /* [bytes]. Owned. */
    size_t bytes, room;
};

static bool hold(struct held *held, const void *data, size_t bytes)
{
    if (held->bytes + bytes > held->room) {
        size_t room = 2 * (held->bytes + bytes);
        char *larger = realloc(held->data, room);
        if (!larger)
            return false;
        held->data = larger;
        held->room = room;
    }
    memcpy(held->data + held->bytes, data, bytes);
    held->bytes += bytes;
    return true;
}

static void take(const struct hx_ctl_ask *ask, struct held *held, const struct hx_control_frame *frame)
{
    if (!ask->take)
        return;
    if (!ask->repeatable)
        ask->take(ask->context, (const char *)frame->payload.data, frame->payload.bytes);
    else if (!hold(held, frame->payload.data, frame->payload.bytes))
        abort(); /* a list of the kernel's that this machine has no memory for */
}

void hx_ctl_peer_cancel(struct hx_ctl_peer *peer, struct hx_ctl_answer *out)
{
    struct hx_control_frame frame;
    uint64_t deadline_ns = hx_ctl_deadline(cancel_s);
    enum hx_ctl_event event = HX_CTL_EVENT_FRAME;

    hx_ctl_interrupt_clear();
    if (hx_ctl_peer_send(peer, HX_CONTROL_CANCEL, NULL, 0) != HX_CTL_EVENT_FRAME)
        return;
    while (event != HX_CTL_EVENT_SILENT && event != HX_CTL_EVENT_CLOSED && event != HX_CTL_EVENT_STOPPED) {
        event = hx_ctl_peer_receive(peer, deadline_ns, &frame);
        if (event == HX_CTL_EVENT_FRAME && frame.kind == HX_CONTROL_END) {
            if (out)
                (void)hx_ctl_answer_read(out, frame.payload.data, frame.payload.bytes);
            return;
        }
    }
}

/* What one try knows. */
struct course {
    bool heard;   /* something of the request has come: the kernel has it */
    bool damaged; /* something that came is missing */
    unsigned int sent;
    uint64_t again_ns; /* when it is sent again if nothing is heard; UINT64_MAX: not */
};

/* What the kernel has told of need not have been the request: its answer is waited for a moment before that goes again. */
static enum hx_ctl_event listen(struct hx_ctl_peer *peer, const struct hx_ctl_ask *ask, struct course *course,
                                struct hx_control_frame *out)
{
    uint64_t deadline_ns = ask->endless ? UINT64_MAX : hx_ctl_deadline(hx_ctl_peer_patience(peer));
    bool again_first = course->again_ns < deadline_ns;
    enum hx_ctl_event event = hx_ctl_peer_receive(peer, again_first ? course->again_ns : deadline_ns, out);

    if (event == HX_CTL_EVENT_TOLD && !course->heard && course->again_ns == UINT64_MAX)
        course->again_ns = hx_ctl_deadline(again_s);
    if (event != HX_CTL_EVENT_SILENT || !again_first)
        return event;
    course->again_ns = UINT64_MAX;
    if (course->sent++ >= TRIES)
        return HX_CTL_EVENT_SILENT;
    event = hx_ctl_peer_send(peer, ask->kind, ask->command, strlen(ask->command));
    return event == HX_CTL_EVENT_FRAME ? HX_CTL_EVENT_TOLD : event;
}

/* That the request which is sent again is being served is no answer to it. */
static bool is_echo(const struct course *course, const struct hx_ctl_answer *answer)
{
    return course->sent > 1 && strcmp(answer->error, "busy") == 0;
}

/* Until END (FRAME), or what keeps it from coming. GAP: it has come, but not all before it. */
static enum hx_ctl_event run(struct hx_ctl_peer *peer, const struct hx_ctl_ask *ask, struct course *course,
                             struct held *held, struct hx_ctl_answer *out)
{
    struct hx_control_frame frame;
    uint64_t gaps = peer->decoder.gaps;
    enum hx_ctl_event event = hx_ctl_peer_send(peer, ask->kind, ask->command, strlen(ask->command));

    *course = (struct course){ .sent = 1, .again_ns = UINT64_MAX };
    while (event == HX_CTL_EVENT_FRAME || event == HX_CTL_EVENT_TOLD || event == HX_CTL_EVENT_GAP) {
        event = listen(peer, ask, course, &frame);
        course->damaged = peer->decoder.gaps != gaps;
        if (course->damaged && ask->repeatable)
            return HX_CTL_EVENT_GAP;
        if (event != HX_CTL_EVENT_FRAME)
            continue;
        if (frame.kind != HX_CONTROL_END) {
            take(ask, held, &frame);
        } else if (!hx_ctl_answer_read(out, frame.payload.data, frame.payload.bytes)) {
            return HX_CTL_EVENT_GAP;
        } else if (is_echo(course, out)) {
            hx_ctl_answer_free(out);
        } else {
            return course->damaged ? HX_CTL_EVENT_GAP : event;
        }
        course->heard = true;
        course->again_ns = UINT64_MAX;
    }
    return event;
}

enum hx_ctl_exit hx_ctl_peer_ask(struct hx_ctl_peer *peer, const struct hx_ctl_ask *ask, struct hx_ctl_answer *out)
{
    struct held held = { 0 };
    enum hx_ctl_event event = HX_CTL_EVENT_GAP;

    *out = (struct hx_ctl_answer){ 0 };
    if (strlen(ask->command) > HX_CONTROL_PAYLOAD_MAX) {
        hx_ctl_complain("a command of %zu bytes: at most %d go over the line; make it shorter", strlen(ask->command),
                        HX_CONTROL_PAYLOAD_MAX);
        return HX_CTL_REFUSED;
    }
    for (unsigned int i = 0; i < TRIES && event == HX_CTL_EVENT_GAP; i++) {
        struct course course;

        /* What runs of a try before is given up, its number with it. */
        if (i > 0 && (!ask->repeatable || hx_ctl_peer_greet(peer, true) != HX_CTL_OK))
            break;
        hx_ctl_answer_free(out);
        held.bytes = 0;
        hx_ctl_peer_begin(peer);
        event = run(peer, ask, &course, &held, out);
        if (event == HX_CTL_EVENT_SILENT && course.damaged)
            event = HX_CTL_EVENT_GAP;
    }
    if (event == HX_CTL_EVENT_FRAME && held.bytes > 0)
        ask->take(ask->context, held.data, held.bytes);
    free(held.data);
    if (event == HX_CTL_EVENT_FRAME)
        return out->status == 0 ? HX_CTL_OK : HX_CTL_REFUSED;
    if (event == HX_CTL_EVENT_STOPPED) {
        hx_ctl_peer_cancel(peer, out);
        if (out->end && strcmp(out->error, "canceled") == 0)
            hx_ctl_complain("%s: %s", ask->command, out->text);
        return HX_CTL_STOPPED;
    }
    return hx_ctl_peer_lost(peer, event, ask->command);
}

void hx_ctl_peer_complain(const char *command, const struct hx_ctl_answer *answer)
{
    /* The kernel's lines have the error's name in them, and what to do. */
    if (strstr(answer->text, answer->error))
        hx_ctl_complain("refused: %s", answer->text);
    else
        hx_ctl_complain("refused: %s: %s%s%s", command, answer->error, answer->text[0] ? ": " : "", answer->text);
}
