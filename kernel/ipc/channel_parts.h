/* SPDX-License-Identifier: MIT */
/*
 * channel_parts.h - what channel.c (the usual way of a message), channel_slow.c (every other), channel_back.c (the way back) and
 * channel_life.c (beginning and end) know of a channel. Not for others.
 */
#pragma once
#include "channel.h"

#include <task/handover.h>

#include "lane.h"

struct hx_channel;

/* What a handle stands for. */
struct hx_channel_end {
    struct hx_channel *channel;
    struct hx_channel_end *peer;
    struct hx_lane *in, *out; /* c: while a handle of either end is */
    struct hx_waitq receivers,
        senders; /* that wait here; of receivers none while something is in `in` that they may take */
    uint32_t handles;
    uint32_t ends_inside; /* in the messages towards it: channel_circle.c's lock */
};

/* An entry of a table: never given back. What is at `lanes` lives as long as handles do. */
struct hx_channel {
    struct hx_lock lock; /* over all that follows but the last three */
    uint32_t number, capacity;
    struct hx_channel_end end[2];
    void *lanes;
    uint64_t made_ns; /* what was sent before was another's, whose entry this was */
    /* the table's lock */
    struct hx_channel *next_free, *next_ending;
    bool is_ending; /* in the list of those at whose end something is to be done */
};

/* One who waits to send: what is to be sent, and in whose name. */
struct hx_channel_sending {
    const struct hx_message *message;
    struct hx_holder *owner;
    hx_handle_t source;
};

/* Handles in messages that have been sent and not received. */
extern struct hx_holder hx_channel_transit;

/* The task or module that sends in @owner's name. */
static inline hx_handle_t hx_channel_source(const struct hx_holder *owner)
{
    return owner->self != HX_HANDLE_NONE ? owner->self : hx_task_current()->handle;
}

/* Type, priority, payload and bytes of a message in one word. */
static inline uint32_t hx_message_kind(const struct hx_message *message)
{
    uint32_t kind;
    _Static_assert(offsetof(struct hx_message, bytes) == offsetof(struct hx_message, type) + 3, "side by side");
    memcpy(&kind, &message->type, sizeof(kind));
    return kind;
}

/* Whether anybody may send it, and it carries nothing. */
static inline bool hx_message_is_plain(const struct hx_message *message)
{
    _Static_assert(HX_MESSAGE_ERROR == 3 && HX_MESSAGE_SYSTEM == 4 && HX_PAYLOAD_INLINE == 1, "cut by masks");
    uint32_t kind = hx_message_kind(message);
    return hx_likely((kind & 0x00fe00fcu) == 0 && kind >> 24 <= HX_INLINE_MAX);
}

static inline bool hx_message_carries(const struct hx_message *message)
{
    return message->payload > HX_PAYLOAD_INLINE;
}

/* Puts @message, stamped, where somebody waits for it. Interrupts off. */
static inline void hx_channel_deliver(struct hx_message *to, const struct hx_message *message, hx_handle_t source)
{
    hx_message_copy_body(to, message);
    to->source = source;
    to->time_ns = hx_hal_clock_ns_here();
}

/* ---- channel_slow.c --------------------------------------------------------------------------------------------------- */
/* The same as hx_ipc_send() and hx_ipc_receive(), for every case. */
HX_NODISCARD hx_status_t hx_ipc_send_slowly(hx_handle_t handle, struct hx_holder *owner,
                                            const struct hx_message *message, uint64_t deadline_ns);
HX_NODISCARD hx_status_t hx_ipc_receive_slowly(hx_handle_t handle, struct hx_holder *owner, struct hx_message *out,
                                               uint64_t deadline_ns);
/* The channel locked by way of its end's handle, or NULL and why in @err. */
struct hx_channel_end *hx_channel_find_and_lock(hx_handle_t handle, const struct hx_holder *owner, uint32_t rights,
                                                hx_irq_flags_t *flags, hx_status_t *err);
/* Tells those who watch the lane. Locked. */
void hx_channel_tell_watchers(struct hx_lane *lane);
void hx_channel_watch_init(void);
/* Releases what the message carries. No lock is held. */
void hx_message_drop(const struct hx_message *message);
/* Takes from @owner what @message, which he has received, carries: as he got it. */
HX_NODISCARD hx_status_t hx_message_take_back(struct hx_message *message, const struct hx_holder *owner,
                                              struct hx_channel_end *to);

/* ---- channel_back.c --------------------------------------------------------------------------------------------------- */
/* See hx_handover_bind(). */
bool hx_channel_take_back(struct hx_waitq *queue, const void *place);
/* The slot that was taken last is one too many: put aside. Locked. */
void hx_lane_retire(struct hx_lane *lane);
/* What came with slots for what came back. */
void hx_lane_fini(struct hx_lane *lane);

/* ---- channel_circle.c ------------------------------------------------------------------------------------------------- */
/* The handle of an end goes from @owner into a message towards @to: HX_E_INVAL: nobody could ever receive it; HX_E_LIMIT: to know
 * that would take too long; HX_E_STALE. */
HX_NODISCARD hx_status_t hx_channel_end_pack(hx_handle_t *handle, const struct hx_holder *owner,
                                             struct hx_channel_end *to);
/* Out of it again, to @owner. As hx_handle_give(). */
HX_NODISCARD hx_status_t hx_channel_end_unpack(hx_handle_t handle, struct hx_holder *owner, hx_handle_t *out);
/* With a message that nobody receives. */
void hx_channel_end_drop(hx_handle_t handle);

/* ---- channel_life.c --------------------------------------------------------------------------------------------------- */
/* Whose receivers wait on @queue; NULL: no channel's. */
struct hx_channel_end *hx_channel_of_receivers(const struct hx_waitq *queue);
/* All ends have numbers from 0. */
enum { HX_CHANNEL_ENDS = 2048 };
uint32_t hx_channel_end_number(const struct hx_channel_end *end);
struct hx_channel_end *hx_channel_end_at(uint32_t number);
