/* SPDX-License-Identifier: MIT */
/*
 * channel_slow.c - sending and receiving in full: messages that carry something, full and closed channels, select.
 *
 * What is carried changes hands with the channel's lock held: so a message is either its sender's, or in the queue with all that
 * it carries, or its receiver's. Such a message is never handed over to who waits, but queued and he is woken to look: taking
 * it may fail, and then it stays where it is.
 */
#include "channel_parts.h"
#include "grant.h"

enum { WATCH_QUEUES = 32 };

/* Those who select wait here, by the number of their task; a lane has a bit for each queue where somebody watches it. */
static struct hx_waitq watching[WATCH_QUEUES];
struct hx_holder hx_channel_transit = { .name = "messages", .in_transit = true };
static hx_status_t (*give_capability)(hx_handle_t id, const struct hx_holder *from, struct hx_holder *to,
                                      hx_handle_t *out);

void hx_channel_bind_capabilities(hx_status_t (*give)(hx_handle_t id, const struct hx_holder *from,
                                                      struct hx_holder *to, hx_handle_t *out))
{
    give_capability = give;
}

void hx_channel_watch_init(void)
{
    for (uint32_t i = 0; i < WATCH_QUEUES; i++)
        hx_waitq_init(&watching[i]);
}

struct hx_channel_end *hx_channel_find_and_lock(hx_handle_t handle, const struct hx_holder *owner, uint32_t rights,
                                                hx_irq_flags_t *flags, hx_status_t *err)
{
    struct hx_handle_entry *entry;
    struct hx_channel_end *end = hx_handle_find(handle, HX_HANDLE_CHANNEL, owner, rights, &entry, err);
    if (!end)
        return NULL;
    *flags = hx_lock_acquire(&end->channel->lock);
    if (hx_handle_is(entry, handle))
        return end;
    hx_lock_release(&end->channel->lock, *flags);
    *err = HX_E_STALE;
    return NULL;
}

static bool is_closed(const struct hx_lane *lane)
{
    return lane->send_mind & HX_LANE_CLOSED;
}

/* ---- what is carried ------------------------------------------------------------------------------------------------- */
static hx_status_t check(const struct hx_message *message, const struct hx_holder *owner)
{
    if (message->type >= HX_MESSAGE_TYPE_COUNT || message->payload >= HX_PAYLOAD_COUNT ||
        (message->payload <= HX_PAYLOAD_INLINE && message->bytes > HX_INLINE_MAX))
        return HX_E_INVAL;
    return message->type >= HX_MESSAGE_SYSTEM && owner != &hx_kernel_holder ? HX_E_PERM : HX_OK;
}

static hx_status_t pack_capability(struct hx_message *queued, const struct hx_holder *owner, struct hx_channel_end *to)
{
    hx_status_t err = HX_E_INVAL;
    struct hx_handle_entry *entry;
    enum hx_handle_type type = (enum hx_handle_type)hx_handle_type(queued->capability);
    if (type == HX_HANDLE_CAPABILITY && give_capability)
        return give_capability(queued->capability, owner, NULL, &queued->capability);
    if (type != HX_HANDLE_CHANNEL)
        return queued->capability == HX_HANDLE_NONE ? HX_E_STALE : HX_E_INVAL;
    struct hx_channel_end *end = hx_handle_find(queued->capability, type, owner, HX_RIGHT_TRANSFER, &entry, &err);
    if (!end)
        return err;
    err = hx_channel_end_pack(&queued->capability, owner, to);
    if (err == HX_OK)
        hx_waitq_wake_all(&end->receivers); /* who waits with the old handle looks, and is told that it is stale */
    return err;
}

static hx_status_t pack_memory(struct hx_message *queued, const struct hx_holder *owner)
{
    struct hx_grant *grant = NULL;
    hx_status_t err = hx_grant_take(queued->memory.grant, owner, queued->memory.permissions, &grant);
    queued->memory.grant = (uintptr_t)grant;
    return err;
}

/* Takes from @owner what @queued, a copy of his, carries. */
static hx_status_t pack(struct hx_message *queued, const struct hx_holder *owner, struct hx_channel_end *to)
{
    switch (queued->payload) {
    case HX_PAYLOAD_MEMORY: return pack_memory(queued, owner);
    case HX_PAYLOAD_CAPABILITY: return pack_capability(queued, owner, to);
    default: return HX_OK;
    }
}

static bool is_capability(const struct hx_message *queued)
{
    return hx_handle_type(queued->capability) == HX_HANDLE_CAPABILITY;
}

/* Gives @owner what @queued carries, and a copy of it. A capability that was revoked on its way is none: who receives goes on. */
static hx_status_t unpack(const struct hx_message *queued, struct hx_holder *owner, struct hx_message *out)
{
    hx_handle_t capability = HX_HANDLE_NONE;
    struct hx_message_memory memory = { 0 };
    hx_status_t err = HX_OK;
    if (queued->payload == HX_PAYLOAD_MEMORY)
        err = hx_grant_accept((struct hx_grant *)(uintptr_t)queued->memory.grant, owner, &memory);
    else if (queued->payload == HX_PAYLOAD_CAPABILITY)
        err = is_capability(queued) ? give_capability(queued->capability, NULL, owner, &capability)
                                    : hx_channel_end_unpack(queued->capability, owner, &capability);
    if (err != HX_OK && (err != HX_E_STALE || queued->payload != HX_PAYLOAD_CAPABILITY))
        return err;
    hx_message_copy(out, queued);
    if (queued->payload == HX_PAYLOAD_MEMORY)
        out->memory = memory;
    else if (queued->payload == HX_PAYLOAD_CAPABILITY)
        out->capability = capability;
    return HX_OK;
}

void hx_message_drop(const struct hx_message *message)
{
    hx_handle_t ended;
    if (message->payload == HX_PAYLOAD_MEMORY)
        hx_grant_drop((struct hx_grant *)(uintptr_t)message->memory.grant);
    else if (message->payload == HX_PAYLOAD_CAPABILITY) {
        if (is_capability(message))
            (void)!give_capability(message->capability, NULL, NULL, &ended);
        else
            hx_channel_end_drop(message->capability);
    }
}

/* As it came, whatever he may do with it: a right that he lacks kept nobody from giving it to him. */
hx_status_t hx_message_take_back(struct hx_message *message, const struct hx_holder *owner, struct hx_channel_end *to)
{
    if (message->payload == HX_PAYLOAD_MEMORY)
        return pack_memory(message, owner);
    if (message->payload != HX_PAYLOAD_CAPABILITY || message->capability == HX_HANDLE_NONE)
        return HX_OK;
    return is_capability(message) ? give_capability(message->capability, owner, NULL, &message->capability)
                                  : hx_channel_end_pack(&message->capability, owner, to);
}

/* ---- sending: locked -------------------------------------------------------------------------------------------------- */
void hx_channel_tell_watchers(struct hx_lane *lane)
{
    uint32_t watchers = lane->watchers;
    lane->watchers = 0;
    lane->send_mind &= (uint8_t)~HX_LANE_WATCHED;
    for (; watchers; watchers &= watchers - 1)
        hx_waitq_wake_all(&watching[__builtin_ctz(watchers)]);
}

static hx_status_t enqueue(struct hx_channel_end *to, const struct hx_channel_sending *sending)
{
    struct hx_lane *lane = to->in;
    struct hx_lane_slot *slot = lane->free;
    hx_channel_deliver(&slot->message, sending->message, sending->source);
    hx_status_t err = pack(&slot->message, sending->owner, to);
    if (err != HX_OK)
        return err;
    if (hx_message_carries(&slot->message)) {
        lane->carrying++;
        lane->take_mind |= HX_LANE_CARRIES;
    }
    hx_lane_put(lane, slot);
    hx_channel_tell_watchers(lane);
    return HX_OK;
}

/* HX_E_FULL, HX_E_CLOSED, or why what it carries cannot be taken. */
static hx_status_t put(struct hx_channel_end *end, const struct hx_channel_sending *sending)
{
    struct hx_lane *lane = end->out;
    struct hx_waitq *receivers = &end->peer->receivers;
    struct hx_task *receiver = NULL;
    if (is_closed(lane))
        return HX_E_CLOSED;
    if (!hx_message_carries(sending->message) && (receiver = hx_handover_take(receivers))) {
        lane->handed++;
        hx_channel_deliver(hx_handover_place(receiver), sending->message, sending->source);
        hx_handover_wake(receiver);
        return HX_OK;
    }
    hx_status_t err = lane->free ? enqueue(end->peer, sending) : HX_E_FULL;
    if (err != HX_OK)
        return err; /* who waits still does */
    while ((receiver = hx_handover_take(receivers)))
        hx_handover_refuse(receiver, HX_OK); /* all of them: nobody waits where something is queued */
    lane->send_mind &= (uint8_t)~HX_LANE_RECEIVERS;
    return HX_OK;
}

hx_status_t hx_ipc_send_slowly(hx_handle_t handle, struct hx_holder *owner, const struct hx_message *message,
                               uint64_t deadline_ns)
{
    struct hx_channel_sending sending = { message, owner, hx_channel_source(owner) };
    hx_irq_flags_t flags = 0;
    hx_status_t err = check(message, owner);
    if (err != HX_OK)
        return err;
    do {
        struct hx_channel_end *end = hx_channel_find_and_lock(handle, owner, HX_RIGHT_SEND, &flags, &err);
        if (!end)
            return err;
        err = put(end, &sending);
        if (err != HX_E_FULL || deadline_ns == HX_WAIT_NOT) {
            hx_lock_release(&end->channel->lock, flags);
            break;
        }
        end->out->take_mind |= HX_LANE_SENDERS;
        err = hx_handover_wait_slowly(&end->senders, &end->channel->lock, &sending, deadline_ns);
        hx_irq_restore(flags);
    } while (err == HX_E_EMPTY);
    hx_handover_point();
    return err;
}

/* ---- receiving -------------------------------------------------------------------------------------------------------- */
/* There is room: those who wait to send, in their order. Locked. */
static void serve_senders(struct hx_channel_end *end)
{
    struct hx_task *sender;
    while (end->out->free && (sender = hx_handover_take(&end->senders))) {
        hx_status_t err = put(end, hx_handover_place(sender));
        if (err == HX_OK)
            hx_handover_wake(sender);
        else
            hx_handover_refuse(sender, err);
    }
    if (hx_handover_is_idle(&end->senders))
        end->out->take_mind &= (uint8_t)~HX_LANE_SENDERS;
}

/* HX_E_EMPTY, HX_E_CLOSED, or why what it carries cannot be given to @owner. Locked. */
static hx_status_t take(struct hx_channel_end *end, struct hx_holder *owner, struct hx_message *out)
{
    struct hx_lane *lane = end->in;
    struct hx_lane_slot *slot = lane->first;
    if (!slot)
        return is_closed(lane) ? HX_E_CLOSED : HX_E_EMPTY;
    hx_status_t err = unpack(&slot->message, owner, out);
    if (err != HX_OK)
        return err;
    if (hx_message_carries(&slot->message) && --lane->carrying == 0)
        lane->take_mind &= (uint8_t)~HX_LANE_CARRIES;
    hx_lane_take_marked(lane, slot);
    if (lane->over)
        hx_lane_retire(lane);
    serve_senders(end->peer);
    return HX_OK;
}

hx_status_t hx_ipc_receive_slowly(hx_handle_t handle, struct hx_holder *owner, struct hx_message *out,
                                  uint64_t deadline_ns)
{
    hx_irq_flags_t flags = 0;
    hx_status_t err = HX_E_STALE;
    do {
        struct hx_channel_end *end = hx_channel_find_and_lock(handle, owner, HX_RIGHT_RECEIVE, &flags, &err);
        if (!end)
            return err;
        err = take(end, owner, out);
        if (err != HX_E_EMPTY || deadline_ns == HX_WAIT_NOT) {
            hx_lock_release(&end->channel->lock, flags);
            break;
        }
        end->in->send_mind |= HX_LANE_RECEIVERS;
        out->destination = handle;
        err = hx_handover_wait_slowly(&end->receivers, &end->channel->lock, out, deadline_ns);
        hx_irq_restore(flags);
    } while (err == HX_E_EMPTY);
    hx_handover_point();
    if (err == HX_OK)
        out->destination = handle;
    return err;
}

/* ---- select ----------------------------------------------------------------------------------------------------------- */
struct selection {
    const hx_handle_t *ends;
    uint32_t count, queue;
    const struct hx_holder *owner;
    hx_ret_t result; /* an index or an error, once there is one */
};

/* Whether one of them is ready; from now on the others' senders tell. */
static bool is_ready(void *context)
{
    struct selection *selection = context;
    for (uint32_t i = 0; i < selection->count; i++) {
        hx_irq_flags_t flags = 0;
        hx_status_t err = HX_E_STALE;
        struct hx_channel_end *end =
            hx_channel_find_and_lock(selection->ends[i], selection->owner, HX_RIGHT_RECEIVE, &flags, &err);
        selection->result = end ? (hx_ret_t)i : (hx_ret_t)err;
        if (!end)
            return true;
        bool ready = end->in->first || is_closed(end->in);
        end->in->watchers |= UINT32_C(1) << selection->queue;
        end->in->send_mind |= HX_LANE_WATCHED;
        hx_lock_release(&end->channel->lock, flags);
        if (ready)
            return true;
    }
    return false;
}

hx_ret_t hx_ipc_select(const hx_handle_t *ends, uint32_t count, struct hx_holder *owner, uint64_t deadline_ns)
{
    uint32_t queue = hx_handle_index(hx_task_current()->handle) % WATCH_QUEUES;
    struct selection selection = { ends, count, queue, owner, HX_E_TIMEOUT };
    if (count == 0 || count > HX_SELECT_MAX)
        return HX_E_INVAL;
    if (is_ready(&selection))
        return selection.result;
    if (deadline_ns == HX_WAIT_NOT)
        return HX_E_TIMEOUT;
    hx_status_t err = hx_waitq_wait(&watching[queue], is_ready, &selection, deadline_ns);
    return err == HX_OK ? selection.result : (hx_ret_t)err;
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */
hx_ret_t hx_ipc_count(hx_handle_t handle, const struct hx_holder *owner)
{
    hx_irq_flags_t flags = 0;
    hx_status_t err = HX_E_STALE;
    const struct hx_channel_end *end = hx_channel_find_and_lock(handle, owner, 0, &flags, &err);
    if (!end)
        return err;
    hx_ret_t queued = (hx_ret_t)(end->in->put - end->in->taken);
    hx_lock_release(&end->channel->lock, flags);
    return queued;
}

hx_ret_t hx_ipc_is_open(hx_handle_t handle, const struct hx_holder *owner)
{
    hx_irq_flags_t flags = 0;
    hx_status_t err = HX_E_STALE;
    const struct hx_channel_end *end = hx_channel_find_and_lock(handle, owner, 0, &flags, &err);
    if (!end)
        return err;
    bool open = !is_closed(end->in);
    hx_lock_release(&end->channel->lock, flags);
    return open;
}
