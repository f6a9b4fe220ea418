/* SPDX-License-Identifier: MIT */
/*
 * push.h - a file over the line: DATA frames in order, a few of them under way unanswered, from the last ACK again when some
 * were lost. Ends with the kernel's END, or when the line has eaten too much of it.
 */
#pragma once
#include "peer.h"

#include <lib/slice.h>

struct hx_ctl_push {
    const char *name; /* what the kernel is to call it */
    struct hx_slice file;
    uint8_t signature[HX_CONTROL_SIGNATURE_BYTES];
    /* of the course, when it is over */
    uint32_t resumed; /* times that it went on from an earlier offset */
    double seconds;
};

/* As hx_ctl_peer_ask(). */
enum hx_ctl_exit hx_ctl_push_run(struct hx_ctl_peer *peer, struct hx_ctl_push *push, struct hx_ctl_answer *out);
