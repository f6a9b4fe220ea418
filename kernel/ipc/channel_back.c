/* SPDX-License-Identifier: MIT */
/*
 * channel_back.c - messages that come back: their receiver was killed before he saw them, or has no place for them any more.
 *
 * Such a message was the first in its order, and is so again. It may come when the queue is full of others already: it gets a
 * slot beyond the capacity, which is put aside when it, or any other, is received. Only where there is no memory for that
 * either it is released.
 * Locks: the channel's, all static functions. Context: any, interrupts off.
 */
#include "channel_parts.h"

/* ---- slots beyond the capacity ---------------------------------------------------------------------------------------- */
static struct hx_lane_slot *one_more(struct hx_lane *lane)
{
    struct hx_lane_slot *slot = lane->spare;
    if (slot) {
        lane->spare = slot->next;
    } else {
        struct hx_lane_extra *extra = hx_hal_alloc(sizeof(*extra));
        if (!extra)
            return NULL;
        extra->next = lane->extra;
        lane->extra = extra;
        slot = &extra->slot;
    }
    lane->over++;
    lane->take_mind |= HX_LANE_OVER;
    return slot;
}

void hx_lane_retire(struct hx_lane *lane)
{
    struct hx_lane_slot *slot = lane->free;
    lane->free = slot->next;
    slot->next = lane->spare;
    lane->spare = slot;
    if (--lane->over == 0)
        lane->take_mind &= (uint8_t)~HX_LANE_OVER;
}

void hx_lane_fini(struct hx_lane *lane)
{
    struct hx_lane_extra *extra;
    while ((extra = lane->extra)) {
        lane->extra = extra->next;
        hx_hal_free(extra);
    }
}

/* ---- back ------------------------------------------------------------------------------------------------------------- */
/* False: there is no place for it. */
static bool put_back(struct hx_lane *lane, const struct hx_message *message)
{
    struct hx_lane_slot *slot = lane->free;
    if (slot)
        lane->free = slot->next;
    else if (!(slot = one_more(lane)))
        return false;
    hx_message_copy(&slot->message, message);
    if (hx_message_carries(message)) {
        lane->carrying++;
        lane->take_mind |= HX_LANE_CARRIES;
    }
    hx_lane_put_back(lane, slot);
    hx_channel_tell_watchers(lane);
    return true;
}

/* To who waits, or into the queue. What carries something is only ever queued, as by channel_slow.c. */
static bool give_to_another(struct hx_channel_end *end, const struct hx_message *message)
{
    struct hx_task *receiver;
    if (!hx_message_carries(message) && (receiver = hx_handover_take(&end->receivers))) {
        hx_message_copy_but_destination(hx_handover_place(receiver), message);
        hx_handover_wake(receiver);
        return true;
    }
    if (!put_back(end->in, message))
        return false;
    while ((receiver = hx_handover_take(&end->receivers)))
        hx_handover_refuse(receiver, HX_OK);
    return true;
}

/* Whether the channel is that to which the message was sent, and not an heir of its entry, and somebody can receive it. */
static bool is_wanted(const struct hx_channel_end *end, const struct hx_message *message)
{
    return end->channel->lanes && end->handles && message->time_ns >= end->channel->made_ns;
}

bool hx_channel_take_back(struct hx_waitq *queue, const void *place)
{
    struct hx_channel_end *end = hx_channel_of_receivers(queue);
    if (!end)
        return false;
    hx_irq_flags_t flags = hx_lock_acquire(&end->channel->lock);
    if (is_wanted(end, place))
        (void)!give_to_another(end, place); /* it carries nothing */
    hx_lock_release(&end->channel->lock, flags);
    return true;
}

void hx_ipc_return(hx_handle_t handle, struct hx_holder *owner, const struct hx_message *message)
{
    struct hx_message back;
    hx_irq_flags_t flags = 0;
    hx_status_t err = HX_E_STALE;
    struct hx_channel_end *end = hx_channel_find_and_lock(handle, owner, 0, &flags, &err);
    if (!end)
        return;
    hx_message_copy(&back, message);
    err = hx_message_take_back(&back, owner, end);
    bool given = err != HX_OK || give_to_another(end, &back);
    hx_lock_release(&end->channel->lock, flags);
    if (!given)
        hx_message_drop(&back);
    hx_handover_point();
}
