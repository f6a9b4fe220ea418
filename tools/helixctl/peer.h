/* SPDX-License-Identifier: MIT */
/*
 * peer.h - the kernel at the other end: requests, and what comes back.
 *
 * Damage: what the kernel did not get whole it says, and it is sent again. What came back damaged is asked for again when the
 *         request only looks (repeatable); otherwise the request is waited for and ends as HX_CTL_DAMAGED, because nobody
 *         knows what was in the gap.
 * Ctrl-C: cancels the request; its end is waited for, a second one is not heard out.
 */
#pragma once
#include "answer.h"
#include "line.h"

#include <lib/control_frame.h>

struct hx_ctl_peer {
    struct hx_ctl_line line;
    struct hx_control_decoder decoder;
    const struct hx_ctl_options *options;
    uint32_t request;     /* the last that was made */
    uint64_t gaps;        /* of the decoder, that are known of */
    uint64_t told;        /* times that the kernel has told of damage */
    bool closed;          /* the other end is gone */
    json_t *introduction; /* Owned. */
};

/* Connects and says HELLO. Complains unless @quiet. */
enum hx_ctl_exit hx_ctl_peer_open(struct hx_ctl_peer *out, const struct hx_ctl_options *options, bool quiet);
/* Accepts one that could not be opened. */
void hx_ctl_peer_close(struct hx_ctl_peer *peer);

struct hx_ctl_ask {
    enum hx_control_kind kind; /* HX_CONTROL_EXEC or HX_CONTROL_QUERY */
    const char *command;
    bool repeatable; /* only looks: what it gives is held back until it is whole, then taken at once */
    bool endless;    /* goes on until it is interrupted */
    void (*take)(void *context, const char *data, size_t bytes); /* of OUTPUT and ROWS. May be NULL. */
    void *context;
};

/*
 * OK and REFUSED: the request has come to its end, which is in @out; a refusal is not complained of here. Otherwise complains.
 * @out is to be freed either way.
 */
enum hx_ctl_exit hx_ctl_peer_ask(struct hx_ctl_peer *peer, const struct hx_ctl_ask *ask, struct hx_ctl_answer *out);
/* Says what the kernel refused. */
void hx_ctl_peer_complain(const char *command, const struct hx_ctl_answer *answer);

/* ---- for those who make requests of their own (push.c) ---------------------------------------------------------------- */
enum hx_ctl_event {
    HX_CTL_EVENT_FRAME,  /* of the last request */
    HX_CTL_EVENT_TOLD,   /* the kernel has not got whole what was sent */
    HX_CTL_EVENT_GAP,    /* what came was damaged */
    HX_CTL_EVENT_SILENT, /* nothing until the deadline */
    HX_CTL_EVENT_CLOSED,
    HX_CTL_EVENT_STOPPED, /* Ctrl-C */
};
enum hx_ctl_event hx_ctl_peer_receive(struct hx_ctl_peer *peer, uint64_t deadline_ns, struct hx_control_frame *out);
/* FRAME: it is under way. */
enum hx_ctl_event hx_ctl_peer_send(struct hx_ctl_peer *peer, enum hx_control_kind kind, const void *payload,
                                   size_t bytes);
/* Tells the kernel to end the last request, and waits for that; @out may be NULL. */
void hx_ctl_peer_cancel(struct hx_ctl_peer *peer, struct hx_ctl_answer *out);
/* A number for a new request; what is there of the one before is forgotten. */
void hx_ctl_peer_begin(struct hx_ctl_peer *peer);
/* Says HELLO again: whatever was left half done is given up. */
enum hx_ctl_exit hx_ctl_peer_greet(struct hx_ctl_peer *peer, bool quiet);
/* How long an answer may take, in seconds. */
double hx_ctl_peer_patience(const struct hx_ctl_peer *peer);
/* Complains of what ended a request before its END, which becomes an exit status. */
enum hx_ctl_exit hx_ctl_peer_lost(const struct hx_ctl_peer *peer, enum hx_ctl_event event, const char *what);
