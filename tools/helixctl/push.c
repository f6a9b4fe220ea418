/* SPDX-License-Identifier: MIT */
/*
 * push.c - see push.h.
 *
 * Loss: every DATA frame that the kernel gets whole is answered by one ACK, in order. When it tells of damage, says the same
 *       offset again, or falls silent, sending stops until the line is quiet, and goes on from the last ACK. So no answer to
 *       a frame from before is taken for one to a frame from after.
 */
#include "push.h"

#include "interrupt.h"
#include "terminal.h"

#include <lib/crc.h>
#include <string.h>

enum { DATA_MAX = HX_CONTROL_PAYLOAD_MAX - sizeof(uint32_t), TRIES = 8 };
/* Nothing for so long: it is lost, or so is its answer. Then again and again up to TRIES. */
static const double silence_s = 2.0, quiet_s = 0.15, end_s = 10.0;

struct course {
    struct hx_ctl_peer *peer;
    const struct hx_ctl_push *push;
    struct hx_ctl_bar bar;
    uint32_t acked, sent; /* offsets */
    uint32_t under_way;   /* DATA frames without an answer */
    uint32_t tries;       /* since it went on last */
    uint32_t resumed;
    uint32_t heads; /* PUSH frames that were sent */
    bool accepted;  /* the kernel has PUSH */
    bool lost;
};

static bool goes_on(enum hx_ctl_event event)
{
    return event == HX_CTL_EVENT_FRAME || event == HX_CTL_EVENT_TOLD || event == HX_CTL_EVENT_GAP;
}

/* ---- sending ----------------------------------------------------------------------------------------------------------- */
static enum hx_ctl_event send_head(struct course *course)
{
    const struct hx_ctl_push *push = course->push;
    struct hx_control_push head = { .bytes = (uint32_t)push->file.bytes,
                                    .crc = hx_crc32c(0, push->file.data, push->file.bytes) };

    memcpy(head.signature, push->signature, sizeof(head.signature));
    memcpy(head.name, push->name, strlen(push->name));
    course->heads++;
    return hx_ctl_peer_send(course->peer, HX_CONTROL_PUSH, &head, sizeof(head));
}

static enum hx_ctl_event send_data(struct course *course)
{
    uint8_t payload[HX_CONTROL_PAYLOAD_MAX];
    size_t left = course->push->file.bytes - course->sent, bytes = left < DATA_MAX ? left : DATA_MAX;

    memcpy(payload, &course->sent, sizeof(course->sent));
    memcpy(payload + sizeof(course->sent), course->push->file.data + course->sent, bytes);
    course->sent += (uint32_t)bytes;
    course->under_way++;
    return hx_ctl_peer_send(course->peer, HX_CONTROL_DATA, payload, sizeof(course->sent) + bytes);
}

/* What the window has room for. */
static enum hx_ctl_event fill_window(struct course *course)
{
    enum hx_ctl_event event = HX_CTL_EVENT_FRAME;

    while (event == HX_CTL_EVENT_FRAME && course->under_way < HX_CONTROL_WINDOW &&
           course->sent < course->push->file.bytes)
        event = send_data(course);
    return event;
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */
static void take_ack(struct course *course, const struct hx_control_frame *frame)
{
    uint32_t expected = 0;

    if (frame->payload.bytes != sizeof(expected))
        return;
    memcpy(&expected, frame->payload.data, sizeof(expected));
    if (expected > course->push->file.bytes)
        return;
    course->accepted = true;
    if (expected > course->acked) {
        course->acked = expected;
        course->tries = 0;
    } else if (course->under_way > 0) {
        course->lost = expected < course->sent && course->sent > 0;
    }
    if (course->under_way > 0)
        course->under_way--;
    if (course->sent < course->acked)
        course->sent = course->acked;
    hx_ctl_bar_show(&course->bar, course->acked, course->push->file.bytes);
}

/* One event. FRAME with *@out filled: END. */
static enum hx_ctl_event take_event(struct course *course, double limit_s, struct hx_ctl_answer *out)
{
    struct hx_control_frame frame;
    enum hx_ctl_event event = hx_ctl_peer_receive(course->peer, hx_ctl_deadline(limit_s), &frame);

    if (event == HX_CTL_EVENT_FRAME && frame.kind == HX_CONTROL_ACK)
        take_ack(course, &frame);
    if (event != HX_CTL_EVENT_FRAME || frame.kind != HX_CONTROL_END)
        return event;
    if (!hx_ctl_answer_read(out, frame.payload.data, frame.payload.bytes))
        event = HX_CTL_EVENT_GAP;
    if (course->heads > 1 && strcmp(out->error, "busy") == 0) {
        course->accepted = true; /* by the first PUSH: what was lost came behind it */
        hx_ctl_answer_free(out);
    }
    return event;
}

/* Until the line is quiet, then from what the kernel has. SILENT: it may go on. */
static enum hx_ctl_event resume(struct course *course, struct hx_ctl_answer *out)
{
    enum hx_ctl_event event = HX_CTL_EVENT_FRAME;

    while (goes_on(event) && !out->end)
        event = take_event(course, quiet_s, out);
    if (event != HX_CTL_EVENT_SILENT || out->end)
        return event;
    course->resumed++;
    if (++course->tries > TRIES)
        return HX_CTL_EVENT_GAP;
    course->sent = course->acked;
    course->under_way = 0;
    course->lost = false;
    /* Whether PUSH itself has arrived is known by an answer to what came after. */
    return course->accepted || send_head(course) == HX_CTL_EVENT_FRAME ? HX_CTL_EVENT_SILENT : HX_CTL_EVENT_CLOSED;
}

/* Until END (FRAME). GAP: too much was lost. */
static enum hx_ctl_event run(struct course *course, struct hx_ctl_answer *out)
{
    double patience_s = hx_ctl_peer_patience(course->peer);
    enum hx_ctl_event event = send_head(course);

    if (patience_s > end_s)
        patience_s = end_s;
    while (goes_on(event)) {
        event = fill_window(course);
        if (event != HX_CTL_EVENT_FRAME)
            break;
        bool all_there = course->acked == course->push->file.bytes;
        event = take_event(course, all_there ? patience_s : silence_s, out);
        if (out->end)
            return HX_CTL_EVENT_FRAME;
        if (event == HX_CTL_EVENT_SILENT && all_there)
            break;
        if (event == HX_CTL_EVENT_GAP && all_there)
            return event;
        if (event == HX_CTL_EVENT_TOLD || event == HX_CTL_EVENT_SILENT || course->lost) {
            bool silent = event == HX_CTL_EVENT_SILENT;
            event = resume(course, out);
            if (out->end)
                return HX_CTL_EVENT_FRAME;
            if (event == HX_CTL_EVENT_GAP)
                return silent ? HX_CTL_EVENT_SILENT : HX_CTL_EVENT_GAP;
            if (event == HX_CTL_EVENT_SILENT)
                event = HX_CTL_EVENT_FRAME;
        }
    }
    return event;
}

enum hx_ctl_exit hx_ctl_push_run(struct hx_ctl_peer *peer, struct hx_ctl_push *push, struct hx_ctl_answer *out)
{
    uint64_t begun_ns = hx_ctl_clock_ns();
    enum hx_ctl_event event = HX_CTL_EVENT_GAP;
    bool again = true;

    *out = (struct hx_ctl_answer){ 0 };
    /* Twice: END itself may be what was lost, and nothing is harmed by a file that is pushed again. */
    for (unsigned int i = 0; i < 2 && again; i++) {
        struct course course = { .peer = peer, .push = push };

        if (i > 0 && hx_ctl_peer_greet(peer, true) != HX_CTL_OK)
            break;
        hx_ctl_answer_free(out);
        hx_ctl_bar_begin(&course.bar, push->name, peer->options->quiet);
        hx_ctl_peer_begin(peer);
        event = run(&course, out);
        hx_ctl_bar_end(&course.bar);
        push->resumed += course.resumed;
        again = event == HX_CTL_EVENT_GAP || (event == HX_CTL_EVENT_SILENT && course.acked == push->file.bytes);
    }
    push->seconds = (double)(hx_ctl_clock_ns() - begun_ns) / 1e9;
    if (event == HX_CTL_EVENT_FRAME)
        return out->status == 0 ? HX_CTL_OK : HX_CTL_REFUSED;
    if (event == HX_CTL_EVENT_STOPPED)
        hx_ctl_peer_cancel(peer, NULL);
    return hx_ctl_peer_lost(peer, event, push->name);
}
