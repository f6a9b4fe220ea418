/* SPDX-License-Identifier: MIT */
/*
 * channel.pml - one direction of a channel whose receivers are killed, which is closed, and whose memory is another channel's
 * after that, for every interleaving of two senders, two receivers, who kills them and who closes it.
 *
 * What stands in one atomic step is done under the channel's lock, or by the CPU that a task is on, with interrupts off; between
 * two of them anybody may run, as on two CPUs or more. A handle is looked up before, without the lock: so it is looked at again
 * under it, for the memory may have become another channel's in between (kernel/ipc/handle.h).
 *
 * A message is handed to a receiver of the sender's own CPU, who is ready then, or to one elsewhere, whose CPU finds him in its
 * mail. Killed before he runs, he gives it back (kernel/ipc/channel_back.c), and another begins in his place.
 *
 * Claims: what a sender was told is accepted is received, once, by one of this channel's receivers, unless all handles were given
 * up; what he was told was not is never received; the queue is in the order of sending, and no sender finds room beyond its
 * capacity; nobody waits where something is queued, nor for ever; nothing reaches the channel that has the memory later.
 *
 * Each of these, defined, is a mistake that must be found:
 *   NO_RECHECK          the handle is not looked at again under the lock
 *   WAIT_UNLOCKED       a sender finds the queue full under the lock, and queues himself under the next one
 *   CLOSE_WAKES_NOBODY
 *   EMPTY_THEN_CLOSED   a receiver finds the queue empty under the lock, and the channel closed under the next one
 *   CHECK_THEN_QUEUE    a sender finds room under the lock, and queues the message under the next one
 *   KILL_LOSES          what was handed to a killed one goes with him
 *   MAIL_LOSES          the same, where he was killed while he was in the mail
 *   BACK_AND_KEPT       it comes back, and whoever begins in his place finds it as well
 *   BACK_TO_AN_HEIR     it comes back to whatever channel has the memory
 *   BACK_LAST           it comes back behind those that were sent later
 *   BACK_IF_ROOM        it comes back where the queue is not full
 *   BACK_PAST_WAITERS   it comes back into the queue though somebody waits
 *   BACK_MAKES_ROOM     what is received of a queue beyond its capacity makes room for a sender
 */
#define SENDERS 2
#define RECEIVERS 2
#ifndef MESSAGES
#define MESSAGES 2 /* of each sender */
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define CAPACITY 1
#define ALL 4 /* SENDERS * MESSAGES, at most */
#define NONE 255

mtype = { RUNS, WAITS, MAILED, READY }; /* a receiver; MAILED: woken, and his CPU does not know */
mtype = { LOOK, SENT };                 /* to a sender who waits */

byte generation = 0; /* of the handle's entry */
bool closed = false, abandoned = false;
chan queue = [ALL] of { byte, byte }; /* when it was sent, and what */
byte stamps = 0, stamp_of[ALL];
mtype told[SENDERS] = LOOK;
byte offers[SENDERS] = NONE; /* of a sender who waits */
mtype is[RECEIVERS] = RUNS;
byte handed[RECEIVERS] = NONE;
bool doomed[RECEIVERS]; /* killed, and has not ended */
bool accepted[ALL], got[ALL];
byte senders_ended = 0, receivers_ended = 0, kills = 0;

inline look_again()
{
    if
#ifndef NO_RECHECK
    :: generation != 0 -> goto ended
#endif
    :: else -> skip
    fi
}

#define NOBODY_WAITS (is[0] != WAITS && is[1] != WAITS)

inline hand_to(who, message)
{
    handed[who] = message;
    if
    :: is[who] = READY
    :: is[who] = MAILED
    fi
}

/* Into the queue, or past it. */
inline put(message)
{
    assert(generation == 0);
    stamp_of[message] = stamps;
    stamps++;
    if
    :: is[0] == WAITS -> hand_to(0, message)
    :: is[0] != WAITS && is[1] == WAITS -> hand_to(1, message)
    :: else -> assert(len(queue) < CAPACITY); queue!stamp_of[message], message
    fi;
    accepted[message] = true
}

/* There is room, perhaps: who waits to send has sent. */
inline serve_senders()
{
    if
#ifdef BACK_MAKES_ROOM
    :: offers[0] != NONE ->
#else
    :: offers[0] != NONE && len(queue) < CAPACITY ->
#endif
        put(offers[0]); offers[0] = NONE; told[0] = SENT
    :: offers[0] == NONE && offers[1] != NONE && len(queue) < CAPACITY ->
        put(offers[1]); offers[1] = NONE; told[1] = SENT
    :: else -> skip
    fi
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
                ; offers[me] = me * MESSAGES + count
#endif
            fi
        };
        if
        :: is_full ->
#ifdef WAIT_UNLOCKED
            offers[me] = me * MESSAGES + count;
#endif
            atomic {
                offers[me] == NONE;
                if
                :: told[me] == LOOK -> goto again
                :: told[me] == SENT -> told[me] = LOOK
                fi
            }
        :: else ->
#ifdef CHECK_THEN_QUEUE
            atomic { put(me * MESSAGES + count) }
#endif
        fi;
        count++
    od;
ended:
    senders_ended++
}

inline take(message)
{
    assert(!got[message]);
    got[message] = true
}

/* And whoever begins in his place when he is killed. */
proctype receiver(byte me)
{
    byte message = 0, stamp = 0, next = 0;
    bool is_empty;

again:
    atomic {
        is_empty = false;
        look_again();
        if
        :: len(queue) > 0 ->
            queue?stamp, message;
            if
            :: queue?[next, _] -> queue?<next, _>; assert(stamp < next)
            :: else -> skip
            fi;
            take(message);
            message = 0; stamp = 0; next = 0;
            serve_senders()
        :: len(queue) == 0 && closed ->
#ifndef EMPTY_THEN_CLOSED
            goto ended
#else
            is_empty = true
#endif
        :: else -> is_empty = true
#ifndef EMPTY_THEN_CLOSED
            ; is[me] = WAITS
#endif
        fi
    };
#ifdef EMPTY_THEN_CLOSED
    if
    :: is_empty ->
        atomic {
            if
            :: closed -> goto ended
            :: else -> is[me] = WAITS
            fi
        }
    :: else -> skip
    fi;
#endif
    atomic {
        is[me] == RUNS || is[me] == READY;
        is[me] = RUNS;
        if
        :: handed[me] != NONE && !doomed[me] -> take(handed[me])
        :: else -> skip
        fi;
        handed[me] = NONE;
        doomed[me] = false
    };
    goto again;
ended:
    receivers_ended++
}

/* What @who was handed is sent anew, as what it was. */
inline give_back(who)
{
    if
#ifdef KILL_LOSES
    :: true -> skip
#elif !defined(BACK_TO_AN_HEIR)
    :: generation != 0 -> skip
#endif
    :: else ->
        assert(generation == 0);
        if
#ifndef BACK_PAST_WAITERS
        :: is[0] == WAITS -> hand_to(0, handed[who])
        :: is[0] != WAITS && is[1] == WAITS -> hand_to(1, handed[who])
#endif
#ifdef BACK_IF_ROOM
        :: NOBODY_WAITS && len(queue) >= CAPACITY -> skip
#endif
        :: else ->
#ifdef BACK_LAST
            queue!stamp_of[handed[who]], handed[who]
#else
            queue!!stamp_of[handed[who]], handed[who]
#endif
            ; assert(NOBODY_WAITS)
        fi
    fi;
#ifndef BACK_AND_KEPT
    handed[who] = NONE
#endif
}

/* What each receiver's CPU does: it looks at its mail, and kills him when it is asked to. */
proctype machine(byte who)
{
end:
    do
    :: atomic {
            is[who] == MAILED ->
            if
#ifndef MAIL_LOSES
            :: doomed[who] -> give_back(who)
#endif
            :: else -> skip
            fi;
            is[who] = READY
        }
    :: atomic {
            kills < KILLS && is[who] != RUNS ->
            kills++;
            if
            :: is[who] == WAITS -> is[who] = READY
            :: is[who] == READY && handed[who] != NONE -> give_back(who)
            :: is[who] == MAILED -> doomed[who] = true
            :: else -> skip
            fi
        }
    od
}

inline wake_all()
{
    skip;
#ifndef CLOSE_WAKES_NOBODY
    offers[0] = NONE;
    offers[1] = NONE;
    if :: is[0] == WAITS -> is[0] = READY :: else -> skip fi;
    if :: is[1] == WAITS -> is[1] = READY :: else -> skip fi
#endif
}

/*
 * Closes it at any moment; when its receivers have let go, the memory is another channel's. Or gives up all handles at once, with
 * what is queued; then what was handed to a killed one may come when it is another's already.
 */
proctype closer()
{
    if
    :: atomic { closed = true; wake_all() };
        atomic { receivers_ended == RECEIVERS -> generation = 1; closed = false }
    :: atomic {
            abandoned = true;
            generation = 1;
            do
            :: len(queue) > 0 -> queue?_, _
            :: else -> break
            od;
            wake_all()
        }
    fi;
    /* A sender who has looked it up before meets the new channel. */
    atomic {
        senders_ended == SENDERS && receivers_ended == RECEIVERS;
        assert(len(queue) == 0);
        assert(abandoned || (accepted[0] == got[0] && accepted[1] == got[1] && accepted[2] == got[2] && accepted[3] == got[3]));
        assert((accepted[0] || !got[0]) && (accepted[1] || !got[1]) && (accepted[2] || !got[2]) && (accepted[3] || !got[3]))
    }
}

init
{
    atomic {
        run sender(0);
        run sender(1);
        run receiver(0);
        run receiver(1);
        run machine(0);
        run machine(1);
        run closer()
    }
}
