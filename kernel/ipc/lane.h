/* SPDX-License-Identifier: MIT */
/*
 * lane.h - one direction of a channel: messages in the order in which they are received.
 *
 * One list, most urgent first and first come first within one priority. A message goes behind the last of its priority or, if
 * there is none, of the next higher one. Who that is, is marked for every priority but that of the list's last member: so
 * where all have the same nothing is marked, and otherwise a mark is found by two bit searches.
 *
 * Locks: the channel's, all functions.
 */
#pragma once
#include <helix/ipc.h>
#include <hx_string_asm.h>

enum { HX_LANE_LEVELS = 256 };

struct hx_lane_slot {
    struct hx_lane_slot *next; /* in the list, or the next free one */
    struct hx_message message;
};

/* What is to be minded by who sends, and by who receives. A bit may be set though nothing is to be minded. */
enum hx_lane_send_mind {
    HX_LANE_RECEIVERS = 1 << 0, /* wait */
    HX_LANE_WATCHED = 1 << 1,
    HX_LANE_CLOSED = 1 << 2,
};
enum hx_lane_take_mind {
    HX_LANE_SENDERS = 1 << 0, /* wait */
    HX_LANE_CARRIES = 1 << 1, /* some message carries something */
    HX_LANE_MARKED = 1 << 2,  /* some mark is set */
    HX_LANE_OVER = 1 << 3,    /* it has more slots than its capacity */
};

struct hx_lane {
    struct hx_lane_slot *first, *last;            /* first NULL: empty, and last means nothing */
    struct hx_lane_slot *free;                    /* NULL: full */
    uint8_t send_mind, take_mind;                 /* bytes: compared with 0 where they are */
    uint64_t put, taken, handed;                  /* messages, ever: into the list, out of it, past it */
    uint32_t carrying;                            /* of those in the list */
    uint32_t watchers;                            /* who is to be told of a message: see select */
    struct hx_lane_slot *last_of[HX_LANE_LEVELS]; /* where marked: the last of a priority */
    uint64_t marked[HX_LANE_LEVELS / 64];
    /* for what came back when it was full */
    struct hx_lane_slot *spare; /* by next */
    struct hx_lane_extra *extra;
    uint32_t over; /* of the slots in use, how many are too many */
};

/* A slot beyond the capacity. */
struct hx_lane_extra {
    struct hx_lane_extra *next;
    struct hx_lane_slot slot;
};

enum {
    HX_MESSAGE_STAMPS = 3, /* words at the beginning, which the sender does not write */
    HX_MESSAGE_WORDS = sizeof(struct hx_message) / 8,
};
_Static_assert(offsetof(struct hx_message, correlation) == 8 * HX_MESSAGE_STAMPS, "what follows is the sender's");

/* What the sender writes. */
static inline void hx_message_copy_body(struct hx_message *to, const struct hx_message *from)
{
    hx_copy_words(&to->correlation, &from->correlation, HX_MESSAGE_WORDS - HX_MESSAGE_STAMPS);
}

static inline void hx_message_copy(struct hx_message *to, const struct hx_message *from)
{
    hx_copy_words(to, from, HX_MESSAGE_WORDS);
}

/* All but what the receiver stamps. */
static inline void hx_message_copy_but_destination(struct hx_message *to, const struct hx_message *from)
{
    _Static_assert(offsetof(struct hx_message, destination) == 8 && offsetof(struct hx_message, time_ns) == 16,
                   "the second word");
    to->source = from->source;
    hx_copy_words(&to->time_ns, &from->time_ns, HX_MESSAGE_WORDS - 2);
}

/* ---- cold: channel_life.c --------------------------------------------------------------------------------------------- */
/* @slot is lane->free, and its message is filled in. */
void hx_lane_put(struct hx_lane *lane, struct hx_lane_slot *slot);
/* @slot, filled in and none of the free ones, goes before its equals, but behind those that were sent earlier. */
void hx_lane_put_back(struct hx_lane *lane, struct hx_lane_slot *slot);
/* hx_lane_take() where something is marked, perhaps. */
void hx_lane_take_marked(struct hx_lane *lane, struct hx_lane_slot *slot);

/* ---- hot ------------------------------------------------------------------------------------------------------------- */
/* Whether a message of @priority goes to the end, and no mark is to be set. */
static inline bool hx_lane_is_like_last(const struct hx_lane *lane, uint8_t priority)
{
    return !lane->first || lane->last->message.priority == priority;
}

/* @slot is lane->free, its message is filled in, and it is like the last. */
static inline void hx_lane_put_last(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    lane->put++;
    lane->free = slot->next;
    slot->next = NULL;
    if (lane->first)
        lane->last->next = slot;
    else
        lane->first = slot;
    lane->last = slot;
}

/* @slot is lane->first, and has been copied; nothing is marked. */
static inline void hx_lane_take(struct hx_lane *lane, struct hx_lane_slot *slot)
{
    lane->first = slot->next;
    slot->next = lane->free;
    lane->free = slot;
    lane->taken++;
}
