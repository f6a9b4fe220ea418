/* SPDX-License-Identifier: MIT */
/*
 * channel.h - two ends, each of which sends to the other: messages by priority, first come first served within one.
 *
 * A channel belongs to the kernel; modules and tasks have handles of its ends. So a swap changes nothing about what is queued or
 * who waits. An end is closed when its last handle is given up; the other end's holders then receive what is queued and
 * HX_E_CLOSED after it. What is in a message that nobody receives any more is released.
 *
 * A message that was handed to a task which is killed before it has seen it is queued again, in front of its equals, or goes to
 * another who waits.
 *
 * Context: thread; what does not wait (HX_WAIT_NOT, count, is_open) in interrupts too. Locks: the channel's own, HX_RANK_CHANNEL.
 * Invariant: at most `capacity` messages are queued towards an end, those that came back apart, and none while somebody waits
 * to receive there.
 */
#pragma once
#include <task/task.h>

#include "handle.h"

/* @capacity: messages each way, 1 to HX_CHANNEL_CAPACITY_MAX. Both handles have all rights. HX_E_INVAL, HX_E_NOMEM, HX_E_LIMIT, or
 * why @owner cannot be charged for its memory. */
HX_NODISCARD hx_status_t hx_ipc_create(uint32_t capacity, struct hx_holder *owner, struct hx_channel_ends *out);
/* A further handle of the end, with @rights that it has, for @to. HX_E_STALE, HX_E_PERM (HX_RIGHT_CLONE, or more than it has),
 * HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_ipc_clone(hx_handle_t end, const struct hx_holder *owner, uint32_t rights,
                                      struct hx_holder *to, hx_handle_t *out);
/* The same by @authority (struct hx_handle_entry); HX_HANDLE_NONE: by that of @end. */
HX_NODISCARD hx_status_t hx_ipc_clone_by(hx_handle_t end, const struct hx_holder *owner, uint32_t rights,
                                         struct hx_holder *to, hx_handle_t authority, hx_handle_t *out);

/*
 * Sends a copy of @message, stamped, from @end to whoever receives at the other. While the queue is full it waits until
 * @deadline_ns (UINT64_MAX: for ever; HX_WAIT_NOT or one that has passed: not at all).
 * HX_E_FULL: it may not wait; HX_E_TIMEOUT; HX_E_CLOSED: nobody can receive any more; HX_E_STALE, HX_E_PERM; HX_E_INVAL: no such
 * type or payload, more bytes than fit, or an end that would stand in the queue towards itself, by way of other
 * queues perhaps; HX_E_LIMIT: too many queues in each other to know that; HX_E_KILLED, HX_E_STATE as
 * hx_waitq_wait(). When it fails, a grant or capability in the message is the sender's still.
 */
HX_NODISCARD hx_status_t hx_ipc_send(hx_handle_t end, struct hx_holder *owner, const struct hx_message *message,
                                     uint64_t deadline_ns);
/*
 * Receives the most urgent message. HX_E_EMPTY: none, and it may not wait; HX_E_TIMEOUT; HX_E_CLOSED: none, and nobody can send
 * any more; else as above.
 */
HX_NODISCARD hx_status_t hx_ipc_receive(hx_handle_t end, struct hx_holder *owner, struct hx_message *out,
                                        uint64_t deadline_ns);
/* @message, which @owner has just received at @end, could not be given to who asked for it: it is where it was, with what it
 * carries, unless @end has gone meanwhile. Thread. */
void hx_ipc_return(hx_handle_t end, struct hx_holder *owner, const struct hx_message *message);
/*
 * Waits until something can be received at one of @count ends (or it is closed). Returns its index, the first of several.
 * HX_E_TIMEOUT; HX_E_INVAL: none or more than HX_SELECT_MAX; else as above.
 */
HX_NODISCARD hx_ret_t hx_ipc_select(const hx_handle_t *ends, uint32_t count, struct hx_holder *owner,
                                    uint64_t deadline_ns);
/* Messages that wait to be received at @end. HX_E_STALE. */
HX_NODISCARD hx_ret_t hx_ipc_count(hx_handle_t end, const struct hx_holder *owner);
/* Whether the other end is. HX_E_STALE. */
HX_NODISCARD hx_ret_t hx_ipc_is_open(hx_handle_t end, const struct hx_holder *owner);
/* Closes both directions at once, for all handles of both ends; what is queued can still be received. HX_E_STALE, HX_E_PERM. */
HX_NODISCARD hx_status_t hx_ipc_close(hx_handle_t end, const struct hx_holder *owner);

/* Takes from @owner, or out of a message that nobody has received yet, what he must not have any more; his other handles of the end
 * stay. Stale ones are ignored. Thread, no lock held. */
void hx_ipc_withdraw(hx_handle_t end, const struct hx_holder *owner);

/* ---- for those who show them ------------------------------------------------------------------------------------------- */
struct hx_channel_info {
    uint32_t number, capacity;
    uint32_t queued[2], handles[2];    /* towards an end; of an end */
    uint32_t receivers[2], senders[2]; /* that wait there */
    uint64_t sent[2];                  /* from an end, ever */
    bool open;
};
/* The first channel numbered @from or later; false: none. */
bool hx_channel_describe(uint32_t from, struct hx_channel_info *out);
/* The channel that the entry is an end of. */
uint32_t hx_channel_number(const struct hx_handle_entry *entry);
/* Which of its two ends: 0 or 1, as in struct hx_channel_info. */
uint32_t hx_channel_side(const struct hx_handle_entry *entry);

/* ---- capabilities ------------------------------------------------------------------------------------------------------ */
/*
 * A capability in a message belongs to another table than handle.h's: @give has it change hands, under a new name. @from or @to
 * NULL: messages on their way; both: nobody receives it, and it ends. HX_E_STALE: there is no such (any more), or @to may not
 * have it and it has ended; else @from has it still. Any context, a channel may be locked. Bound once.
 */
void hx_channel_bind_capabilities(hx_status_t (*give)(hx_handle_t id, const struct hx_holder *from,
                                                      struct hx_holder *to, hx_handle_t *out));
