/* SPDX-License-Identifier: MIT */
/*
 * channel_circle.c - which ends of channels stand in the queues towards which others.
 *
 * An end that is sent towards itself could never be received, nor released; and neither can one in whose own queue, or in that of
 * an end that stands there, and so on, the end stands to which it is sent. That is refused, whoever else has handles of those
 * ends: so there is no circle, and what nobody can reach any more is always released from its beginning.
 *
 * That it is a circle has to be looked for only if ends stand in the queue of the one that is sent: hardly ever. Then each handle
 * in a message is looked at, once for each queue that lies in another.
 * Locks: HX_RANK_ENDS, over `queued_at` and `ends_inside`; a channel's may be held.
 */
#include "channel_parts.h"

enum { DEPTH = 16, WORDS = HX_CHANNEL_ENDS / 64 };

static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_ENDS);
static uint64_t reached[WORDS]; /* a bit an end */

static bool is_reached(uint32_t end)
{
    return reached[end / 64] >> end % 64 & 1;
}

/* Ends that stand in queues of those that are reached. Whether there were any that were not. */
static bool reach_further(void)
{
    bool further = false;
    const struct hx_handle_entry *entry;
    for (uint32_t at = 0; (entry = hx_handle_next(at)); at = (uint32_t)(entry - hx_handles)) {
        if (!entry->queued_at || !is_reached(entry->queued_at - 1))
            continue;
        uint32_t end = hx_channel_end_number(entry->object);
        if (is_reached(end))
            continue;
        reached[end / 64] |= UINT64_C(1) << end % 64;
        further = true;
    }
    return further;
}

/* HX_OK: @to does not stand in the queue of @end, and in none that does. Locked. */
static hx_status_t check(const struct hx_channel_end *end, const struct hx_channel_end *to)
{
    uint32_t from = hx_channel_end_number(end), depth = 0;
    if (end == to)
        return HX_E_INVAL;
    if (end->ends_inside == 0)
        return HX_OK;
    memset(reached, 0, sizeof(reached));
    reached[from / 64] |= UINT64_C(1) << from % 64;
    while (reach_further())
        if (++depth == DEPTH)
            return HX_E_LIMIT;
    return is_reached(hx_channel_end_number(to)) ? HX_E_INVAL : HX_OK;
}

hx_status_t hx_channel_end_pack(hx_handle_t *handle, const struct hx_holder *owner, struct hx_channel_end *to)
{
    struct hx_handle_entry *entry;
    hx_status_t err = HX_E_STALE;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    const struct hx_channel_end *end = hx_handle_find(*handle, HX_HANDLE_CHANNEL, owner, 0, &entry, &err);
    if (end)
        err = check(end, to);
    if (err == HX_OK)
        err = hx_handle_give(*handle, owner, &hx_channel_transit, handle);
    if (err == HX_OK) {
        entry->queued_at = (uint16_t)(hx_channel_end_number(to) + 1);
        to->ends_inside++;
    }
    hx_lock_release(&lock, flags);
    return err;
}

/* Locked. */
static void leave(struct hx_handle_entry *entry)
{
    if (entry->queued_at)
        hx_channel_end_at(entry->queued_at - 1)->ends_inside--;
    entry->queued_at = 0;
}

hx_status_t hx_channel_end_unpack(hx_handle_t handle, struct hx_holder *owner, hx_handle_t *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    hx_status_t err = hx_handle_give(handle, &hx_channel_transit, owner, out);
    if (err == HX_OK)
        leave(&hx_handles[hx_handle_index(handle)]);
    hx_lock_release(&lock, flags);
    return err;
}

/* One that was withdrawn on its way is stale, and its entry perhaps another's. */
void hx_channel_end_drop(hx_handle_t handle)
{
    hx_status_t err = HX_E_STALE;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    struct hx_handle_entry *entry = hx_handle_look(handle, HX_HANDLE_CHANNEL, &hx_channel_transit, 0, &err);
    if (entry)
        leave(entry);
    hx_lock_release(&lock, flags);
    (void)!hx_handle_close(handle, &hx_channel_transit);
}
