/* SPDX-License-Identifier: MIT */
/*
 * channel.c - sending and receiving, as it usually goes: a plain message, and a receiver that waits, or room in the queue.
 *
 * Why separate: this is what a message costs. Each function here ends in at most one call, so that it has nothing to save
 * before; what is not as usual gives the lock back, with nothing done, and starts again in channel_slow.c, which has the
 * whole story.
 */
#include "channel_parts.h"

/* The end, locked; NULL: not to be had so easily. */
static inline __attribute__((always_inline)) struct hx_channel_end *find_and_lock(hx_handle_t handle,
                                                                                  const struct hx_holder *owner,
                                                                                  uint32_t rights,
                                                                                  hx_irq_flags_t *flags)
{
    struct hx_handle_entry *entry = &hx_handles[hx_handle_index(handle) % HX_HANDLES_MAX];
    struct hx_channel_end *end = HX_HANDLE_READ(entry->object);
    if (hx_unlikely(!hx_handle_is(entry, handle)) || hx_unlikely(HX_HANDLE_READ(entry->owner) != owner) ||
        hx_unlikely(HX_HANDLE_READ(entry->denied) & HX_HANDLE_MAY(HX_HANDLE_CHANNEL, rights)) ||
        hx_unlikely(!hx_lock_try(&end->channel->lock, flags)))
        return NULL;
    if (hx_likely(hx_handle_is(entry, handle)))
        return end;
    hx_lock_release(&end->channel->lock, *flags);
    return NULL;
}

static __attribute__((noinline)) hx_status_t send_unlocked(hx_handle_t handle, struct hx_holder *owner,
                                                           const struct hx_message *message, uint64_t deadline_ns,
                                                           struct hx_channel_end *end, hx_irq_flags_t flags)
{
    hx_lock_release(&end->channel->lock, flags);
    return hx_ipc_send_slowly(handle, owner, message, deadline_ns);
}

/* Somebody waits, perhaps; nobody does where it is closed. Locked. */
static __attribute__((noinline)) hx_status_t hand_over(hx_handle_t handle, struct hx_holder *owner,
                                                       const struct hx_message *message, uint64_t deadline_ns,
                                                       struct hx_channel_end *end, hx_irq_flags_t flags)
{
    struct hx_task *receiver = hx_handover_take_simply(&end->peer->receivers);
    if (hx_unlikely(!receiver))
        return send_unlocked(handle, owner, message, deadline_ns, end, flags);
    end->out->handed++;
    hx_channel_deliver(hx_handover_place(receiver), message, hx_channel_source(owner));
    hx_handover_wake_simply(receiver);
    hx_lock_release(&end->channel->lock, flags);
    return HX_OK;
}

/* The message stands in @slot, and goes between others. Locked. */
static __attribute__((noinline)) hx_status_t put_between(struct hx_lane *lane, struct hx_lane_slot *slot,
                                                         struct hx_channel_end *end, hx_irq_flags_t flags)
{
    hx_lane_put(lane, slot);
    hx_lock_release(&end->channel->lock, flags);
    return HX_OK;
}

/* Nobody waits, and there is room, perhaps. Locked. Apart, because copying wants registers in which arguments come. */
static __attribute__((noinline)) hx_status_t put(hx_handle_t handle, struct hx_holder *owner,
                                                 const struct hx_message *message, uint64_t deadline_ns,
                                                 struct hx_channel_end *end, hx_irq_flags_t flags)
{
    struct hx_lane *lane = end->out;
    struct hx_lane_slot *slot = lane->free;
    if (hx_unlikely(!slot))
        return send_unlocked(handle, owner, message, deadline_ns, end, flags);
    hx_channel_deliver(&slot->message, message, hx_channel_source(owner));
    if (hx_unlikely(!hx_lane_is_like_last(lane, slot->message.priority)))
        return put_between(lane, slot, end, flags);
    hx_lane_put_last(lane, slot);
    hx_lock_release(&end->channel->lock, flags);
    return HX_OK;
}

hx_status_t hx_ipc_send(hx_handle_t handle, struct hx_holder *owner, const struct hx_message *message,
                        uint64_t deadline_ns)
{
    hx_irq_flags_t flags;
    struct hx_channel_end *end;
    if (hx_unlikely(!hx_message_is_plain(message)) ||
        hx_unlikely(!(end = find_and_lock(handle, owner, HX_RIGHT_SEND, &flags))))
        return hx_ipc_send_slowly(handle, owner, message, deadline_ns);
    if (end->out->send_mind)
        return hand_over(handle, owner, message, deadline_ns, end, flags);
    return put(handle, owner, message, deadline_ns, end, flags);
}

static __attribute__((noinline)) hx_status_t receive_unlocked(hx_handle_t handle, struct hx_holder *owner,
                                                              struct hx_message *out, uint64_t deadline_ns,
                                                              struct hx_channel_end *end, hx_irq_flags_t flags)
{
    hx_lock_release(&end->channel->lock, flags);
    return hx_ipc_receive_slowly(handle, owner, out, deadline_ns);
}

/* Nothing is there. Locked. */
static __attribute__((noinline)) hx_status_t wait(hx_handle_t handle, struct hx_holder *owner, struct hx_message *out,
                                                  uint64_t deadline_ns, struct hx_channel_end *end,
                                                  hx_irq_flags_t flags)
{
    /* In memory: registers that outlive the wait are saved and restored, and this is wanted next to never. */
    volatile struct {
        hx_handle_t handle;
        struct hx_holder *owner;
    } again;
    struct hx_lane *lane = end->in;
    if (hx_unlikely(deadline_ns != UINT64_MAX) || hx_unlikely(lane->send_mind & HX_LANE_CLOSED))
        return receive_unlocked(handle, owner, out, deadline_ns, end, flags);
    again.handle = handle;
    again.owner = owner;
    lane->send_mind |= HX_LANE_RECEIVERS;
    out->destination = handle;
    if (hx_unlikely(!hx_handover_wait_simply(&end->receivers, &end->channel->lock, out, flags)))
        return receive_unlocked(handle, owner, out, UINT64_MAX, end, flags);
    const struct hx_task *task = hx_task_current();
    if (hx_likely(hx_handover_is_done(task)))
        return HX_OK;
    out = task->place;
    hx_status_t err = hx_handover_result(task);
    return err == HX_E_EMPTY ? hx_ipc_receive_slowly(again.handle, again.owner, out, UINT64_MAX) : err;
}

/* Something is there. Locked. Apart, because copying wants registers in which arguments come. */
static __attribute__((noinline)) hx_status_t take(hx_handle_t handle, struct hx_holder *owner, struct hx_message *out,
                                                  uint64_t deadline_ns, struct hx_channel_end *end,
                                                  hx_irq_flags_t flags)
{
    struct hx_lane *lane = end->in;
    if (hx_unlikely(lane->take_mind != 0))
        return receive_unlocked(handle, owner, out, deadline_ns, end, flags);
    struct hx_lane_slot *slot = lane->first;
    out->destination = handle;
    hx_message_copy_but_destination(out, &slot->message);
    hx_lane_take(lane, slot);
    hx_lock_release(&end->channel->lock, flags);
    return HX_OK;
}

hx_status_t hx_ipc_receive(hx_handle_t handle, struct hx_holder *owner, struct hx_message *out, uint64_t deadline_ns)
{
    hx_irq_flags_t flags;
    struct hx_channel_end *end = find_and_lock(handle, owner, HX_RIGHT_RECEIVE, &flags);
    if (hx_unlikely(!end))
        return hx_ipc_receive_slowly(handle, owner, out, deadline_ns);
    if (end->in->first)
        return take(handle, owner, out, deadline_ns, end, flags);
    return wait(handle, owner, out, deadline_ns, end, flags);
}
