/* SPDX-License-Identifier: MIT */
/*
 * ipc.h - what is sent: messages by channels and requests, events by topics.
 *
 * Both are plain values of fixed size. The kernel stamps who sent them and when; what a sender writes there is ignored.
 * The functions that send and receive are listed in helix/kernel.h.
 */
#pragma once
#include <helix/types.h>

/* ---- messages -------------------------------------------------------------------------------------------------------- */
enum hx_message_type {
    HX_MESSAGE_NOTIFICATION, /* nobody answers */
    HX_MESSAGE_REQUEST,
    HX_MESSAGE_REPLY,
    HX_MESSAGE_ERROR,  /* in the place of a reply: `code` is the HX_E_* as a positive number */
    HX_MESSAGE_SYSTEM, /* the kernel's own; sent by a module it is HX_E_PERM */
    HX_MESSAGE_EVENT,  /* what a topic has published; likewise */
    HX_MESSAGE_TYPE_COUNT,
};

enum hx_payload {
    HX_PAYLOAD_NONE,
    HX_PAYLOAD_INLINE, /* `bytes` of `data` */
    HX_PAYLOAD_MEMORY, /* `memory`: the grant goes to the receiver, and its pages with it */
    /* `capability`: the handle of a capability, or of a channel's end, goes to the receiver; HX_HANDLE_NONE when it ended on its
     * way, or is one that the receiver may not have: then it ends */
    HX_PAYLOAD_CAPABILITY,
    HX_PAYLOAD_COUNT,
};

enum {
    HX_INLINE_MAX = 64,       /* bytes of an inline payload */
    HX_PRIORITY_NORMAL = 128, /* of messages, in the middle; 255 is received first */
};

/* A grant in a message. The sender gives `grant` and what the receiver may do; the receiver finds all three. */
struct hx_message_memory {
    hx_handle_t grant;
    uint64_t address;     /* where it is mapped for the receiver */
    uint64_t bytes;       /* of it */
    uint32_t permissions; /* bits of enum hx_grant_permission */
    uint32_t reserved;
};

struct hx_message {
    hx_handle_t source;      /* stamped: the module or task that sent it */
    hx_handle_t destination; /* stamped: the channel's end or the service that it was sent to */
    uint64_t time_ns;        /* stamped: since boot */
    uint64_t correlation;    /* a request's number, stamped by the router; a reply has that of its request */
    uint32_t code;           /* what it means is between sender and receiver: a service's operation */
    uint8_t type;            /* enum hx_message_type */
    uint8_t priority;
    uint8_t payload; /* enum hx_payload */
    uint8_t bytes;   /* of an inline payload, at most HX_INLINE_MAX */
    union {
        uint8_t data[HX_INLINE_MAX];
        struct hx_message_memory memory;
        hx_handle_t capability;
    };
};
HX_STATIC_ASSERT(sizeof(struct hx_message) == 104, "thirteen words");

/* What a service returns that will answer later, by hx_reply() with the request's correlation. Any other result >= 0: the message
 * is the reply now; an error: the reply is that error. */
#define HX_REPLY_LATER ((hx_ret_t)1)

/* ---- channels -------------------------------------------------------------------------------------------------------- */
/* What a handle of a channel's end lets its holder do: bits. */
enum hx_right {
    HX_RIGHT_SEND = 1 << 0,
    HX_RIGHT_RECEIVE = 1 << 1,
    HX_RIGHT_CLONE = 1 << 2,    /* make further handles of the same end */
    HX_RIGHT_TRANSFER = 1 << 3, /* give it away in a message */
    HX_RIGHT_CLOSE = 1 << 4,    /* close the channel for everybody: who connects to another's does not get it */
    HX_RIGHT_ALL = 0x1f,
};
enum { HX_CHANNEL_CAPACITY_MAX = 1024, HX_SELECT_MAX = 8 };

/* The ends of a new channel: what is sent into one is received from the other. */
struct hx_channel_ends {
    hx_handle_t end[2];
};

/*
 * How long a call may wait: ns from now. With HX_WAIT_RESTARTABLE the module promises that the call of it which is under way has
 * had no effect yet: a swap need not wait for it, but breaks it off, and the kernel makes the same call on the new version.
 */
#define HX_WAIT_NOT UINT64_C(0)
#define HX_WAIT_FOREVER (UINT64_MAX / 2)
#define HX_WAIT_RESTARTABLE (UINT64_C(1) << 63)

/* ---- shared memory ---------------------------------------------------------------------------------------------------- */
enum hx_grant_permission { HX_GRANT_READ = 1 << 0, HX_GRANT_WRITE = 1 << 1 };
enum { HX_GRANT_BYTES_MAX = 2 << 20 };

/* ---- events ---------------------------------------------------------------------------------------------------------- */
enum hx_event_type {
    HX_EVENT_MODULE_LOADED = 1,
    HX_EVENT_MODULE_UNLOADED,
    HX_EVENT_MODULE_SWAPPED, /* to another version, or back */
    HX_EVENT_MODULE_FAULTED,
    HX_EVENT_MODULE_STATE, /* any other change of its lifecycle */
    HX_EVENT_TASK_CREATED,
    HX_EVENT_TASK_EXITED,
    HX_EVENT_INTERRUPT,
    HX_EVENT_TIMER,
    HX_EVENT_MEMORY_PRESSURE,
    HX_EVENT_CAPABILITY,       /* granted, revoked, expired, or denied */
    HX_EVENT_RESOURCE,         /* more was wanted than a quota */
    HX_EVENT_MODULE_RESTARTED, /* by hand or after a crash */
    HX_EVENT_CUSTOM = 32,      /* from here on: what a topic's publisher means */
    HX_EVENT_TYPE_COUNT = 64,
};

enum { HX_EVENT_BYTES_MAX = 40, HX_EVENT_HISTORY = 64 };

struct hx_event {
    uint64_t time_ns;   /* stamped */
    hx_handle_t source; /* stamped: the module or task that published it; HX_HANDLE_NONE: the kernel */
    uint32_t sequence;  /* stamped: the topic's events are numbered from 1 */
    uint16_t type;      /* enum hx_event_type */
    uint8_t bytes;      /* of data */
    uint8_t reserved;
    union {
        uint8_t data[HX_EVENT_BYTES_MAX];
        char text
            [HX_EVENT_BYTES_MAX]; /* the kernel's events: whom it is about, NUL-terminated; behind it words[HX_EVENT_NUMBER] */
        uint64_t words[HX_EVENT_BYTES_MAX / 8];
    };
};
HX_STATIC_ASSERT(sizeof(struct hx_event) == 64, "a cache line");

/*
 * What the kernel's own events have in words[HX_EVENT_NUMBER], and whom the name is of:
 * MODULE_LOADED, UNLOADED, SWAPPED, FAULTED, RESTARTED: the version (HX_VERSION) that runs, or ran; the module
 * MODULE_STATE:            the state, numbered in order of the lifecycle from 0, Loading; the module
 * TASK_CREATED, EXITED:    the handle; the task
 * INTERRUPT:               the line, which stormed and is masked; the module that it is of
 * TIMER:                   seconds since boot; "second"
 * MEMORY_PRESSURE:         free page frames; "scarce" or "enough"
 * CAPABILITY:              HX_CAPABILITY_HAPPENED(what, type) of helix/capability.h; who holds it, held it or was denied
 * RESOURCE:                enum hx_resource of helix/resource.h; the module that wanted more than its quota of it
 */
enum { HX_EVENT_NUMBER = HX_NAME_MAX / 8 };

/* The kernel's own topics, on which no module publishes. */
#define HX_TOPIC_MODULES "hx.modules"
#define HX_TOPIC_TASKS "hx.tasks"
#define HX_TOPIC_MEMORY "hx.memory"
#define HX_TOPIC_INTERRUPTS "hx.interrupts"
#define HX_TOPIC_SECURITY "hx.security"
#define HX_TOPIC_TIME "hx.time" /* once a second */

#define HX_EVENT_BIT(type) (UINT64_C(1) << (type))
#define HX_EVENTS_ALL UINT64_MAX
