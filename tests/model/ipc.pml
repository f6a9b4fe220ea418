/* SPDX-License-Identifier: MIT */
/*
 * ipc.pml - requests through a service that is swapped and crashes, into a channel, for every interleaving.
 *
 * Three callers ask a service that sends what they ask for into a channel, answers at once, or later by a task of its own, and may
 * crash at each of its steps, in whatever calls it and in that task. The worker swaps it, goes back when its check fails or
 * somebody wants it, answers faults (back to the predecessor, one restart, or Error) and frees what goes. A consumer receives.
 * The handle by which the service sends may be taken from it at any moment.
 *
 * Each may run between any two steps of the others: what two CPUs can do, and more. What stands in one atomic step is done under
 * one lock in the kernel, or is the gate's, whose counting gate.pml shows to be as good as one step. The channel's own steps are
 * channel.pml's.
 *
 * Claims: each request ends once, in a reply or in an error; what was answered was received once, and what ended in an error
 * at most once; never two versions are entered; none that has crashed is entered again; none is freed while somebody is inside;
 * each swap ends in commit or rollback, once; nothing is sent by a handle after it was revoked; and nobody waits for ever.
 *
 * Each of these, defined, is a mistake that must be found:
 *   NO_DRAIN       the worker frees and publishes without waiting for those inside
 *   NO_FORSAKE     a crash leaves those alone who wait for a late reply
 *   REPEAT_ALL     a request whose server crashed is repeated though its operation is not declared so
 *   REPLY_AGAIN    a late reply does not look whether the request has ended
 *   OPEN_FAULTED   the end of a swap opens what a crash has shut meanwhile
 *   USE_REVOKED    a handle that was there without the channel's lock is not looked at again under it
 *   KEEP_PENDING   a swap begins while the one before it is on probation, and does not end that
 */
#define CALLERS 3
#define REPEATER 2 /* the caller whose operation is repeatable: it sends nothing */
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef SWAPS
#define SWAPS 2
#endif
#ifndef REVOKES
#define REVOKES 1
#endif
#define CAPACITY 1
#define VERSIONS 5 /* the first, one a swap, one for the restart, one to spare */
#define NONE 255

mtype = { OPEN, CLOSED, FAULTED, FAILED };
mtype = { UNASKED, ASKED, WAITING, REPLIED, GIVEN_UP };

mtype slot = OPEN;
byte version = 0;  /* the version cell */
byte previous = NONE;
byte made = 1;     /* versions ever made */
byte inside[VERSIONS];
bool gone[VERSIONS];
bool broken[VERSIONS]; /* it has crashed */

mtype late[CALLERS] = UNASKED; /* the router's table of late replies */
bool owed[CALLERS];            /* the service's: it has said that it answers later */
byte forsaken = 0;             /* how often the service has been */
chan queue = [CAPACITY] of { byte };

byte outcomes[CALLERS]; /* of each request: how many */
bool answered[CALLERS];
byte received[CALLERS];
byte ended = 0; /* callers */
byte crashes = 0, swaps = 0, commits = 0, rollbacks = 0;
bool revoked = false; /* the handle of the channel's end */

inline end_request(ok)
{
    outcomes[me]++;
    assert(outcomes[me] == 1);
    answered[me] = ok
}

/* In the service: its memory is there, and no other version is entered; and it may crash here. */
inline use()
{
    assert(!gone[mine]);
    assert(inside[mine] > 0);
    i = 0;
    do
    :: i == VERSIONS -> break
    :: else -> assert(i == mine || inside[i] == 0); i++
    od;
    i = 0;
    if
    :: crashes < CRASHES -> crashes++; inside[mine]--; broken[mine] = true; slot = FAULTED; goto crashed
    :: skip
    fi
}

/* What consumers have received until somebody looks at the queue: when they did is nobody's business. */
inline receive_some()
{
    do
    :: queue?i -> received[i]++; assert(received[i] == 1)
    :: break
    od;
    i = 0
}

proctype caller(byte me)
{
    byte mine = 0;
    byte i = 0;
    bool refused = false;
    byte asked_in = 0;
    bool again = false;

top:
    atomic { late[me] = ASKED; asked_in = forsaken }; /* before the call: the reply may come before it returns */
    atomic {
        if
        :: slot == OPEN -> mine = version; assert(!broken[mine]); inside[mine]++
        :: slot == FAILED -> late[me] = GIVEN_UP; goto failed
        fi
    }
#if REVOKES
    atomic { use(); refused = revoked }; /* the look without the lock */
#endif
    atomic {
        use();
        if
#ifdef USE_REVOKED
        :: me == REPEATER || refused -> skip
#else
        :: me == REPEATER || refused || revoked -> refused = me != REPEATER
#endif
        :: else ->
            receive_some();
            if
            :: len(queue) < CAPACITY -> assert(!revoked); queue!me
            :: else -> refused = true
            fi
        fi
    };
    atomic {
        use();
        if
        :: refused -> inside[mine]--; late[me] = GIVEN_UP; goto failed
        :: !refused -> inside[mine]--; late[me] = REPLIED; goto answered_at_once
        :: !refused -> owed[me] = true
        fi
    };
    atomic { use(); inside[mine]-- };
    atomic {
        if
        :: late[me] == ASKED && asked_in == forsaken -> late[me] = WAITING
        :: late[me] == ASKED && asked_in != forsaken -> late[me] = GIVEN_UP
        :: else -> skip
        fi
    };
answered_at_once:
    atomic {
        late[me] != WAITING;
        if
        :: late[me] == REPLIED -> end_request(true)
        :: else -> end_request(false)
        fi;
        goto done
    };
crashed:
    if
#ifdef REPEAT_ALL
    :: !again -> again = true; goto top
#else
    :: me == REPEATER && !again -> again = true; goto top
#endif
    :: else -> late[me] = GIVEN_UP
    fi;
failed:
    atomic { end_request(false) };
done:
    atomic { ended++; mine = 0; i = 0; refused = false; again = false; asked_in = 0 }
}

/* The service's own task, which owes replies; between two of them it stands in no version. */
active proctype replier()
{
    byte mine = 0, who = 0;
    byte i = 0;

end:
top:
    atomic {
        slot == OPEN && (owed[0] || owed[1] || owed[2]);
        mine = version;
        assert(!broken[mine]);
        inside[mine]++;
        if
        :: owed[0] -> who = 0
        :: owed[1] -> who = 1
        :: owed[2] -> who = 2
        fi
    };
    atomic {
        use();
        owed[who] = false;
#ifdef REPLY_AGAIN
        late[who] = REPLIED;
        if
        :: outcomes[who] > 0 -> assert(false)
        :: else -> skip
        fi
#else
        if
        :: late[who] == ASKED || late[who] == WAITING -> late[who] = REPLIED
        :: else -> skip /* HX_E_STALE */
        fi
#endif
    };
    atomic { use(); inside[mine]-- };
crashed:
    atomic { mine = 0; who = 0; goto top }
}

/* Whoever may, takes the service's handle from it. */
active proctype revoker()
{
end:
    atomic { REVOKES && !revoked -> revoked = true }
}

#ifdef NO_DRAIN
#define EMPTY(v) true
#else
#define EMPTY(v) (inside[v] == 0)
#endif

/* What the version owes that is shut will not come. */
inline forsake()
{
    owed[0] = false; owed[1] = false; owed[2] = false;
#ifndef NO_FORSAKE
    forsaken++;
    if :: late[0] == WAITING -> late[0] = GIVEN_UP :: else -> skip fi;
    if :: late[1] == WAITING -> late[1] = GIVEN_UP :: else -> skip fi;
    if :: late[2] == WAITING -> late[2] = GIVEN_UP :: else -> skip fi
#endif
}

inline commit_pending()
{
    if
    :: previous != NONE -> gone[previous] = true; previous = NONE; commits++
    :: else -> skip
    fi
}

inline close_slot()
{
    if
    :: slot == OPEN -> slot = CLOSED
    :: else -> skip /* a crash was there first */
    fi
}

proctype worker()
{
    byte new = NONE, i = 0;

    do
    :: atomic { slot == FAULTED && EMPTY(version) -> forsake() };
        atomic {
            gone[version] = true;
            if
            :: previous != NONE -> version = previous; previous = NONE; rollbacks++; slot = OPEN
            :: previous == NONE && made < VERSIONS - SWAPS + swaps -> version = made; made++; slot = OPEN
            :: else -> slot = FAILED
            fi
        }
    :: atomic {
            swaps < SWAPS && slot == OPEN -> swaps++; new = made; made++;
#ifndef KEEP_PENDING
            commit_pending()
#endif
        };
        atomic { close_slot() };
        if
        :: atomic { slot == CLOSED && EMPTY(version) -> previous = version; version = new; slot = OPEN }
        :: atomic { /* there was a crash, or the deadline has passed, or save or load refuses */
                gone[new] = true;
                rollbacks++;
                if
#ifdef OPEN_FAULTED
                :: slot != FAILED -> slot = OPEN
#else
                :: slot == CLOSED -> slot = OPEN
#endif
                :: else -> skip
                fi
            }
        fi;
        new = NONE
    /* its check fails, or somebody goes back by hand */
    :: atomic { slot == OPEN && previous != NONE -> close_slot() };
        atomic {
            EMPTY(version);
            if
            :: slot == CLOSED ->
                forsake();
                gone[version] = true;
                version = previous;
                previous = NONE;
                rollbacks++;
                slot = OPEN
            :: else -> skip /* the crash is answered so as well */
            fi
        }
    :: atomic { ended == CALLERS && slot != FAULTED && swaps == SWAPS -> commit_pending(); break }
    :: atomic { slot == FAILED && ended == CALLERS -> break }
    od;
    atomic {
        do
        :: queue?i -> received[i]++; assert(received[i] == 1)
        :: empty(queue) -> break
        od;
        assert(commits + rollbacks == swaps);
        assert(!answered[0] || received[0] == 1);
        assert(!answered[1] || received[1] == 1);
        assert(outcomes[0] == 1 && outcomes[1] == 1 && outcomes[2] == 1)
    }
}

init
{
    atomic {
        run caller(0);
        run caller(1);
        run caller(2);
        run worker()
    }
}
