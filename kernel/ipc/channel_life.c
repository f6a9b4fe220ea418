/* SPDX-License-Identifier: MIT */
/*
 * channel_life.c - channels: made, cloned, closed, gone; and the marks of a lane.
 *
 * Channels are entries of a table, whose locks and wait queues outlive them: who found one by a handle locks it, and then looks
 * whether the handle still is one. What is queued lies in memory of the heap that goes with the last handle.
 *
 * An end without handles is emptied. What its messages carry may be the last handle of another channel's end, and so on: the
 * ends are a list, and whoever comes first empties all of them, one after the other.
 * Locks: table.lock over the list and the free entries; never together with a channel's.
 */
#include "channel_parts.h"

enum { CHANNELS = HX_CHANNEL_ENDS / 2 };

static struct hx_channel channels[CHANNELS];
static struct {
    struct hx_lock lock;
    uint32_t used, numbers;
    struct hx_channel *free, *ending;
    bool is_emptying;
} table = { .lock = HX_LOCK_INIT(HX_RANK_CHANNEL) };

/* ---- marks ------------------------------------------------------------------------------------------------------------ */
static void mark(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    uint32_t level = slot->message.priority;
    lane->last_of[level] = slot;
    lane->marked[level / 64] |= UINT64_C(1) << level % 64;
    lane->take_mind |= HX_LANE_MARKED;
}

/* Behind whom a message of @level goes that is more urgent than the last; NULL: it is the first. */
static struct hx_lane_slot *before(const struct hx_lane *lane, uint32_t level)
{
    uint64_t marks = lane->marked[level / 64] >> level % 64 << level % 64;
    for (uint32_t word = level / 64;;) {
        if (marks)
            return lane->last_of[64 * word + (uint32_t)__builtin_ctzll(marks)];
        if (++word == HX_LANE_LEVELS / 64)
            return NULL;
        marks = lane->marked[word];
    }
}

void hx_lane_put(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    uint8_t priority = slot->message.priority;
    struct hx_lane_slot *last = lane->last, *found;
    if (hx_lane_is_like_last(lane, priority)) {
        hx_lane_put_last(lane, slot);
    } else if (last->message.priority > priority) {
        mark(lane, last);
        hx_lane_put_last(lane, slot);
    } else {
        lane->put++;
        lane->free = slot->next;
        found = before(lane, priority);
        slot->next = found ? found->next : lane->first;
        if (found)
            found->next = slot;
        else
            lane->first = slot;
        mark(lane, slot);
    }
}

void hx_lane_put_back(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    uint32_t level = slot->message.priority;
    struct hx_lane_slot *found = NULL, *next;
    lane->taken--;
    if (lane->first && lane->last->message.priority > level) {
        found = lane->last;
        mark(lane, found);
    } else if (lane->first && level + 1 < HX_LANE_LEVELS) {
        found = before(lane, level + 1);
    }
    next = found ? found->next : lane->first;
    for (; next && next->message.priority == level && next->message.time_ns < slot->message.time_ns; next = next->next)
        found = next; /* it came back as well */
    slot->next = next;
    if (found)
        found->next = slot;
    else
        lane->first = slot;
    if (!next)
        lane->last = slot;
    else if (next->message.priority < level)
        mark(lane, slot);
}

void hx_lane_take_marked(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    uint32_t level = slot->message.priority;
    uint64_t bit = UINT64_C(1) << level % 64;
    if (lane->marked[level / 64] & bit && lane->last_of[level] == slot) {
        lane->marked[level / 64] &= ~bit;
        if (!(lane->marked[0] | lane->marked[1] | lane->marked[2] | lane->marked[3]))
            lane->take_mind &= (uint8_t)~HX_LANE_MARKED;
    }
    hx_lane_take(lane, slot);
}

/* ---- making ----------------------------------------------------------------------------------------------------------- */
static void lane_init(struct hx_lane *lane, struct hx_lane_slot *slot, uint32_t count)
{
    lane->free = slot;
    for (uint32_t i = 0; i + 1 < count; i++)
        slot[i].next = &slot[i + 1];
}

static struct hx_channel *enter(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    struct hx_channel *channel = table.free;
    if (channel) {
        table.free = channel->next_free;
    } else if (table.used < CHANNELS) {
        if (table.used == 0) {
            hx_channel_watch_init();
            hx_handover_bind(hx_channel_take_back);
        }
        channel = &channels[table.used++];
        channel->lock = (struct hx_lock)HX_LOCK_INIT(HX_RANK_CHANNEL);
        for (uint32_t i = 0; i < 2; i++) {
            hx_waitq_init(&channel->end[i].receivers);
            hx_waitq_init(&channel->end[i].senders);
        }
    }
    if (channel)
        channel->end[0].handles = channel->end[1].handles = 1; /* about to be opened */
    hx_lock_release(&table.lock, flags);
    return channel;
}

static uint32_t next_number(void)
{
    uint32_t number;
    do
        number = __atomic_add_fetch(&table.numbers, 1, __ATOMIC_RELAXED);
    while (number == 0);
    return number;
}

static void give_lanes(struct hx_channel *channel, void *lanes, uint32_t capacity)
{
    struct hx_lane *lane = lanes;
    struct hx_lane_slot *slot = (struct hx_lane_slot *)&lane[2];
    hx_irq_flags_t flags = hx_lock_acquire(&channel->lock);
    channel->lanes = lanes;
    channel->capacity = capacity;
    channel->made_ns = hx_hal_clock_ns();
    channel->number = next_number();
    for (uint32_t i = 0; i < 2; i++) {
        struct hx_channel_end *end = &channel->end[i];
        lane_init(&lane[i], &slot[i * capacity], capacity);
        end->channel = channel;
        end->peer = &channel->end[!i];
        end->in = &lane[i];
        end->out = &lane[!i];
    }
    hx_lock_release(&channel->lock, flags);
}

/* ---- closing ---------------------------------------------------------------------------------------------------------- */
/* Locked. Nobody waits any more. */
static void shut(struct hx_channel *channel)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct hx_channel_end *end = &channel->end[i];
        end->in->send_mind |= HX_LANE_CLOSED;
        hx_channel_tell_watchers(end->in);
        hx_waitq_wake_all(&end->receivers);
        hx_waitq_wake_all(&end->senders);
    }
}

/* The first message at an end that nobody has a handle of; false: none. */
static bool take_unwanted(struct hx_channel *channel, struct hx_message *out)
{
    bool found = false;
    hx_irq_flags_t flags = hx_lock_acquire(&channel->lock);
    for (uint32_t i = 0; i < 2 && channel->lanes && !found; i++) {
        struct hx_lane *lane = channel->end[i].in;
        if (channel->end[i].handles || !lane->first)
            continue;
        hx_message_copy(out, &lane->first->message);
        hx_lane_take_marked(lane, lane->first);
        found = true;
    }
    hx_lock_release(&channel->lock, flags);
    return found;
}

static void forget(struct hx_channel *channel)
{
    hx_irq_flags_t flags = hx_lock_acquire(&channel->lock);
    void *lanes = channel->end[0].handles || channel->end[1].handles ? NULL : channel->lanes;
    if (lanes) {
        channel->lanes = NULL;
        channel->number = 0;
    }
    hx_lock_release(&channel->lock, flags);
    if (!lanes)
        return;
    for (uint32_t i = 0; i < 2; i++)
        hx_lane_fini((struct hx_lane *)lanes + i);
    hx_hal_free(lanes);
    flags = hx_lock_acquire(&table.lock);
    channel->next_free = table.free;
    table.free = channel;
    hx_lock_release(&table.lock, flags);
}

/* Those that are to be looked at are emptied, by one at a time; others leave theirs to him. */
static void empty_all(struct hx_channel *channel)
{
    struct hx_message message;
    hx_preempt_disable(); /* he is not to be ended in the middle */
    hx_irq_flags_t flags = hx_lock_acquire(&table.lock);
    if (!channel->is_ending) {
        channel->is_ending = true;
        channel->next_ending = table.ending;
        table.ending = channel;
    }
    bool mine = !table.is_emptying;
    table.is_emptying = true;
    while (mine && (channel = table.ending)) {
        table.ending = channel->next_ending;
        channel->is_ending = false;
        hx_lock_release(&table.lock, flags);
        while (take_unwanted(channel, &message))
            hx_message_drop(&message);
        forget(channel);
        flags = hx_lock_acquire(&table.lock);
    }
    if (mine)
        table.is_emptying = false;
    hx_lock_release(&table.lock, flags);
    hx_preempt_enable();
}

static void release(struct hx_handle_entry *entry)
{
    struct hx_channel_end *end = entry->object;
    struct hx_channel *channel = end->channel;
    hx_irq_flags_t flags = hx_lock_acquire(&channel->lock);
    bool last = --end->handles == 0;
    if (last)
        shut(channel);
    hx_lock_release(&channel->lock, flags);
    if (last)
        empty_all(channel);
    hx_handover_point();
}

/* ---- operations ------------------------------------------------------------------------------------------------------- */
hx_status_t hx_ipc_create(uint32_t capacity, struct hx_holder *owner, struct hx_channel_ends *out)
{
    hx_status_t err = HX_E_LIMIT;
    struct hx_channel_ends ends = { { HX_HANDLE_NONE, HX_HANDLE_NONE } };
    if (capacity == 0 || capacity > HX_CHANNEL_CAPACITY_MAX)
        return HX_E_INVAL;
    uint64_t bytes = sizeof(struct hx_lane) + capacity * sizeof(struct hx_lane_slot); /* of one end */
    void *lanes = hx_hal_alloc(2 * bytes);
    if (!lanes)
        return HX_E_NOMEM;
    struct hx_channel *channel = enter();
    if (!channel) {
        hx_hal_free(lanes);
        return HX_E_LIMIT;
    }
    hx_handle_bind(HX_HANDLE_CHANNEL, release);
    give_lanes(channel, lanes, capacity);
    err = hx_handle_open_for(HX_HANDLE_CHANNEL, &channel->end[0], owner, HX_RIGHT_ALL, bytes, &ends.end[0]);
    if (err == HX_OK)
        err = hx_handle_open_for(HX_HANDLE_CHANNEL, &channel->end[1], owner, HX_RIGHT_ALL, bytes, &ends.end[1]);
    if (err == HX_OK) {
        *out = ends;
        return HX_OK;
    }
    channel->end[1].handles = 0;
    if (ends.end[0] != HX_HANDLE_NONE) {
        (void)!hx_handle_close(ends.end[0], owner);
    } else {
        channel->end[0].handles = 0;
        empty_all(channel);
    }
    return err;
}

hx_status_t hx_ipc_clone_by(hx_handle_t handle, const struct hx_holder *owner, uint32_t rights, struct hx_holder *to,
                            hx_handle_t authority, hx_handle_t *out)
{
    hx_status_t err = HX_E_STALE;
    struct hx_handle_entry *entry;
    struct hx_channel_end *end =
        hx_handle_find(handle, HX_HANDLE_CHANNEL, owner, HX_RIGHT_CLONE | rights, &entry, &err);
    if (!end)
        return err;
    hx_irq_flags_t flags = hx_lock_acquire(&end->channel->lock);
    err = hx_handle_clone(handle, to, rights, authority, out);
    end->handles += err == HX_OK;
    hx_lock_release(&end->channel->lock, flags);
    return err;
}

hx_status_t hx_ipc_clone(hx_handle_t handle, const struct hx_holder *owner, uint32_t rights, struct hx_holder *to,
                         hx_handle_t *out)
{
    return hx_ipc_clone_by(handle, owner, rights, to, HX_HANDLE_NONE, out);
}

void hx_ipc_withdraw(hx_handle_t handle, const struct hx_holder *owner)
{
    struct hx_handle_entry *entry;
    hx_status_t err = HX_E_STALE;
    struct hx_channel_end *end = hx_handle_find(handle, HX_HANDLE_CHANNEL, owner, 0, &entry, &err);
    if (!end)
        return;
    if (owner == &hx_channel_transit) /* a holder may have gone meanwhile */
        hx_channel_end_drop(handle);
    else
        (void)!hx_handle_close(handle, owner); /* stale: it has gone by itself */
    hx_irq_flags_t flags = hx_lock_acquire(&end->channel->lock);
    if (end->channel->lanes)
        hx_channel_tell_watchers(end->in);
    /* Who waits with it looks, and is told that it is stale; others go on waiting. */
    hx_waitq_wake_all(&end->receivers);
    hx_waitq_wake_all(&end->senders);
    hx_lock_release(&end->channel->lock, flags);
    hx_handover_point();
}

hx_status_t hx_ipc_close(hx_handle_t handle, const struct hx_holder *owner)
{
    hx_status_t err = HX_E_STALE;
    struct hx_handle_entry *entry;
    struct hx_channel_end *end = hx_handle_find(handle, HX_HANDLE_CHANNEL, owner, HX_RIGHT_CLOSE, &entry, &err);
    if (!end)
        return err;
    hx_irq_flags_t flags = hx_lock_acquire(&end->channel->lock);
    err = hx_handle_is(entry, handle) ? HX_OK : HX_E_STALE;
    if (err == HX_OK)
        shut(end->channel);
    hx_lock_release(&end->channel->lock, flags);
    hx_handover_point();
    return err;
}

struct hx_channel_end *hx_channel_of_receivers(const struct hx_waitq *queue)
{
    uintptr_t off = (uintptr_t)queue - (uintptr_t)channels;
    if (off >= sizeof(channels))
        return NULL;
    struct hx_channel *channel = &channels[off / sizeof(channels[0])];
    for (uint32_t i = 0; i < 2; i++)
        if (queue == &channel->end[i].receivers)
            return &channel->end[i];
    return NULL;
}

uint32_t hx_channel_end_number(const struct hx_channel_end *end)
{
    return (uint32_t)(end->channel - channels) * 2 + (end != end->channel->end);
}

struct hx_channel_end *hx_channel_end_at(uint32_t number)
{
    return &channels[number / 2].end[number % 2];
}

/* ---- for those who show them ------------------------------------------------------------------------------------------- */
uint32_t hx_channel_number(const struct hx_handle_entry *entry)
{
    const struct hx_channel_end *end = entry->object;
    return end->channel->number;
}

uint32_t hx_channel_side(const struct hx_handle_entry *entry)
{
    const struct hx_channel_end *end = entry->object;
    return end != end->channel->end;
}

static void describe(struct hx_channel *channel, struct hx_channel_info *out)
{
    hx_irq_flags_t flags = hx_lock_acquire(&channel->lock);
    *out = (struct hx_channel_info){ .number = channel->number, .capacity = channel->capacity };
    for (uint32_t i = 0; i < 2 && channel->lanes; i++) {
        struct hx_channel_end *end = &channel->end[i];
        out->open = !(end->in->send_mind & HX_LANE_CLOSED);
        out->queued[i] = (uint32_t)(end->in->put - end->in->taken);
        out->sent[i] = end->out->put + end->out->handed;
        out->handles[i] = end->handles;
        out->receivers[i] = hx_waitq_count(&end->receivers);
        out->senders[i] = hx_waitq_count(&end->senders);
    }
    hx_lock_release(&channel->lock, flags);
}

bool hx_channel_describe(uint32_t from, struct hx_channel_info *out)
{
    struct hx_channel *best = NULL;
    for (uint32_t i = 0; i < table.used; i++) {
        uint32_t number = channels[i].number;
        if (number >= from && number != 0 && (!best || number < best->number))
            best = &channels[i];
    }
    if (best)
        describe(best, out);
    return best && out->number >= from;
}
