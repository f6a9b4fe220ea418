/* SPDX-License-Identifier: MIT */
/*
 * channel.pml - one direction of a channel that is closed, and whose memory is another channel's after that, for every
 * interleaving of two senders, two receivers and who closes it.
 *
 * What stands in one atomic step is done under the channel's lock. A handle is looked up before, without it: so it is looked at
 * again under the lock, for the memory may have become another channel's in between (kernel/ipc/handle.h).
 *
 * Claims: what a sender was told is accepted is received, once, by one of this channel's receivers; what he was told
 * was not is never received; the queue never holds more than its capacity; nobody waits for ever; nothing reaches the
 * channel that has the memory later.
 *
 * Each of these, defined, is a mistake that must be found:
 *   NO_RECHECK          the handle is not looked at again under the lock
 *   WAIT_UNLOCKED       a sender finds the queue full under the lock, and queues himself under the next one
 *   CLOSE_WAKES_NOBODY
 *   EMPTY_THEN_CLOSED   a receiver finds the queue empty under the lock, and the channel closed under the next one
 *   CHECK_THEN_QUEUE    a sender finds room under the lock, and queues the message under the next one
 */
#define SENDERS 2
#define RECEIVERS 2
#ifndef MESSAGES
#define MESSAGES 2 /* of each sender */
#endif
#define CAPACITY 1
#define ALL 4 /* SENDERS * MESSAGES */
#define NONE 255

byte generation = 0; /* of the handle's entry */
bool closed = false;
chan queue = [ALL] of { byte };
bool sender_waits[SENDERS];
bool receiver_waits[RECEIVERS];
byte handed[RECEIVERS] = NONE; /* to a receiver who waits */
bool accepted[ALL], got[ALL];
byte senders_ended = 0, receivers_ended = 0;

inline look_again()
{
    if
#ifndef NO_RECHECK
    :: generation != 0 -> goto ended
#endif
    :: else -> skip
    fi
}

inline wake_sender()
{
    if
    :: sender_waits[0] -> sender_waits[0] = false
    :: !sender_waits[0] && sender_waits[1] -> sender_waits[1] = false
    :: else -> skip
    fi
}

inline put(message)
{
    assert(generation == 0);
    if
    :: receiver_waits[0] -> receiver_waits[0] = false; handed[0] = message
    :: !receiver_waits[0] && receiver_waits[1] -> receiver_waits[1] = false; handed[1] = message
    :: else -> queue!message; assert(len(queue) <= CAPACITY)
    fi;
    accepted[message] = true
}

proctype sender(byte me)
{
    byte count = 0;
    bool is_full;

    do
    :: count == MESSAGES -> break
    :: else ->
again:  if /* the look without the lock */
        :: generation != 0 -> goto ended
        :: else -> skip
        fi;
        atomic {
            look_again();
            is_full = false;
            if
            :: closed -> goto ended
#ifdef CHECK_THEN_QUEUE
            :: !closed && len(queue) < CAPACITY -> skip
#else
            :: !closed && len(queue) < CAPACITY -> put(me * MESSAGES + count)
#endif
            :: else -> is_full = true
#ifndef WAIT_UNLOCKED
                ; sender_waits[me] = true
#endif
            fi
        };
        if
        :: is_full ->
#ifdef WAIT_UNLOCKED
            sender_waits[me] = true;
#endif
            !sender_waits[me];
            goto again
        :: else ->
#ifdef CHECK_THEN_QUEUE
            atomic { put(me * MESSAGES + count) };
#endif
            count++
        fi
    od;
ended:
    senders_ended++
}

inline take(message)
{
    assert(!got[message]);
    got[message] = true
}

proctype receiver(byte me)
{
    byte message = 0;
    bool is_empty;

again:
    atomic {
        is_empty = false;
        look_again();
        if
        :: len(queue) > 0 -> queue?message; take(message); message = 0; wake_sender()
        :: len(queue) == 0 && closed ->
#ifndef EMPTY_THEN_CLOSED
            goto ended
#else
            is_empty = true
#endif
        :: else -> is_empty = true
#ifndef EMPTY_THEN_CLOSED
            ; receiver_waits[me] = true
#endif
        fi
    };
#ifdef EMPTY_THEN_CLOSED
    if
    :: is_empty ->
        atomic {
            if
            :: closed -> goto ended
            :: else -> receiver_waits[me] = true
            fi
        }
    :: else -> skip
    fi;
#endif
    atomic {
        !receiver_waits[me];
        if
        :: handed[me] != NONE -> take(handed[me]); handed[me] = NONE
        :: else -> skip
        fi
    };
    goto again;
ended:
    receivers_ended++
}

/* Closes it at any moment; when its receivers have let go, the memory is another channel's. */
proctype closer()
{
    atomic {
        closed = true;
#ifndef CLOSE_WAKES_NOBODY
        sender_waits[0] = false;
        sender_waits[1] = false;
        receiver_waits[0] = false;
        receiver_waits[1] = false
#endif
    };
    atomic { receivers_ended == RECEIVERS -> generation = 1; closed = false };
    /* A sender who has looked it up before meets the new channel. */
    senders_ended == SENDERS;
    assert(len(queue) == 0);
    assert(accepted[0] == got[0] && accepted[1] == got[1] && accepted[2] == got[2] && accepted[3] == got[3])
}

init
{
    atomic {
        run sender(0);
        run sender(1);
        run receiver(0);
        run receiver(1);
        run closer()
    }
}
