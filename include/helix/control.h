/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control channel: what goes over the second serial line between a running kernel and its owner's machine.
 *
 * Why: a person types on the first line; a program wants frames that say where they end, whether they are whole and which
 * request they answer.
 * Frame:    struct hx_control_header, then `bytes` of payload. All numbers are little-endian. Both directions alike.
 * Damage:   what is no frame is skipped up to the next magic, and counted; what was received in vain is looked through again
 *           for frames that lie in it. A frame that has begun and does not go on for HX_CONTROL_IDLE_MS is given up.
 *           Of each gap, which a whole frame or a silence of that length ends, the kernel tells once when it begins
 *           (HX_CONTROL_DAMAGED, request 0). Whoever has sent what was lost sends it again.
 * Requests: one at a time, numbered by who asks, from 1 on. Each ends with exactly one HX_CONTROL_END. Another request before
 *           that is refused with HX_E_BUSY, but for CANCEL and HELLO. HELLO gives up whatever a peer before has left half
 *           done: a command that runs is interrupted, a file that is being pushed is dropped. A load or a swap that has been
 *           asked for is not broken off: CANCEL ends its request with HX_E_CANCELED, and what comes next is obeyed behind it.
 * Output:   of EXEC comes as text without colours, in OUTPUT frames; of QUERY as JSON objects, one a line, in ROWS frames.
 *           Frames cut anywhere; a line may lie in two of them.
 * Push:     PUSH, then the file in DATA frames of one request, in order and without gaps; each is answered by ACK with the
 *           offset that is expected next. Up to HX_CONTROL_WINDOW frames may be under way unanswered. DATA of another offset is
 *           dropped and answered with the expected one. The file is there when END says 0, whole and under its name, and
 *           stands before one of the initrd that has the same; before that nothing has changed.
 */
#pragma once
#include <helix/types.h>

enum {
    HX_CONTROL_VERSION = 1,
    HX_CONTROL_MAGIC = 0x31435848, /* "HXC1" */
    HX_CONTROL_PAYLOAD_MAX = 4096,
    HX_CONTROL_WINDOW = 4,
    HX_CONTROL_IDLE_MS = 500,
    HX_CONTROL_NAME_MAX = 64,              /* of a file, with the final NUL */
    HX_CONTROL_FILE_MAX = 4 * 1024 * 1024, /* bytes of a file */
    HX_CONTROL_SIGNATURE_BYTES = 64,
};

enum hx_control_kind {
    /* to the kernel */
    HX_CONTROL_HELLO = 1, /* nothing; END has the kernel's introduction */
    HX_CONTROL_EXEC,      /* a command line, without a final NUL; the channel is the principal `control` */
    HX_CONTROL_QUERY,     /* the same, rows wanted */
    HX_CONTROL_PUSH,      /* struct hx_control_push */
    HX_CONTROL_DATA,      /* uint32_t offset, then bytes of the file */
    HX_CONTROL_CANCEL, /* nothing; as Ctrl-C for the request of that number; the request ends, CANCEL itself has no END */
    /* to the host */
    HX_CONTROL_OUTPUT = 0x81, /* text */
    HX_CONTROL_ROWS,          /* JSON objects, each closed by a newline */
    HX_CONTROL_ACK,           /* uint32_t: the offset that is expected next */
    HX_CONTROL_END, /* a JSON object: {"status": 0 or less, "error": "ok" or the short name, "text": ...} and more */
    HX_CONTROL_DAMAGED, /* a JSON object: {"damaged": frames so far, "skipped": bytes so far} */
};

struct hx_control_header {
    uint32_t magic;
    uint32_t crc; /* CRC-32C (RFC 3720, appendix B.4) of the header from `request` on and of the payload */
    uint32_t request;
    uint16_t kind;
    uint16_t bytes; /* of the payload, up to HX_CONTROL_PAYLOAD_MAX */
};

struct hx_control_push {
    uint32_t bytes;                                /* of the file, from 1 on */
    uint32_t crc;                                  /* CRC-32C of it */
    uint8_t signature[HX_CONTROL_SIGNATURE_BYTES]; /* Ed25519 (RFC 8032, section 5.1) of the file; zeros: none */
    char name[HX_CONTROL_NAME_MAX];                /* with its final NUL; as files of the initrd may be called */
};
